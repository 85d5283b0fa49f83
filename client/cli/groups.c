/* gregor groups list|describe|delete|reset-offsets: columns as people know them from Kafka's tool
 * (clients.md 7.3). One op asks step by step:
 *
 *   list       metadata, then every broker its groups
 *   delete     for each group: its coordinator, which deletes
 *   describe   for each group: coordinator, group, offsets, then the leaders of the partitions
 *   reset      the same, then ListOffsets for the new place, then a commit without a generation */
#include "client/cli/groups.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum groups_step { GROUPS_START, GROUPS_ASKED, GROUPS_CLOSED, GROUPS_STEPS };
static const char *const groups_steps[GROUPS_STEPS] = {"START", "ASKED", "CLOSED"};

/* ---- what is asked next ---------------------------------------------------------------------- */

static void ask(struct groups *groups, int16_t api, int32_t node, enum groups_stage stage)
{
    admin_task_init(&groups->task, api);
    groups->task.timeout_ms = groups->cli.timeout_ms;
    groups->task.node = node;
    groups->stage = stage;
}

void groups_fail(struct groups *groups, const char *what, enum err err)
{
    groups->code = cli_complain_err(what, err, groups->task.message);
    groups->stage = GROUPS_OVER;
}

static void ask_coordinator(struct groups *groups)
{
    ask(groups, API_FIND_COORDINATOR, -1, GROUPS_FINDING);
    groups->task.request.find_coordinator.key = str_of(groups_name(groups));
}

static void ask_brokers(struct groups *groups)
{
    ask(groups, API_METADATA, -1, GROUPS_BROKERS);
    groups->task.request.metadata.topics_null = false;
}

/* On to the next group, or the end. */
void groups_next(struct groups *groups)
{
    groups_clear(groups);
    if (++groups->at < groups->names_count) {
        ask_coordinator(groups);
    } else {
        groups->stage = GROUPS_OVER;
    }
}

static void ask_group(struct groups *groups)
{
    groups->coordinator = groups->task.response.find_coordinator.node_id;
    snprintf(groups->coordinator_address, sizeof groups->coordinator_address, "%.*s:%d",
             STR_ARG(groups->task.response.find_coordinator.host),
             groups->task.response.find_coordinator.port);
    groups->asked_name = str_of(groups_name(groups));
    if (groups->command == GROUPS_DELETE) {
        ask(groups, API_DELETE_GROUPS, groups->coordinator, GROUPS_DELETING);
        groups->task.request.delete_groups.groups_names = &groups->asked_name;
        groups->task.request.delete_groups.groups_names_count = 1;
        return;
    }
    ask(groups, API_DESCRIBE_GROUPS, groups->coordinator, GROUPS_DESCRIBING);
    groups->task.request.describe_groups.groups = &groups->asked_name;
    groups->task.request.describe_groups.groups_count = 1;
}

static void ask_offsets(struct groups *groups)
{
    ask(groups, API_OFFSET_FETCH, groups->coordinator, GROUPS_OFFSETS);
    groups->task.request.offset_fetch.group_id = groups->asked_name;
    groups->task.request.offset_fetch.topics_null = true;
}

/* ---- list ------------------------------------------------------------------------------------ */

static void ask_listing(struct groups *groups)
{
    if (groups->broker_at < groups->brokers_count) {
        ask(groups, API_LIST_GROUPS, groups->brokers[groups->broker_at++], GROUPS_LISTING);
    } else if (groups->command == GROUPS_LIST) {
        groups_print_list(groups);
        groups->stage = GROUPS_OVER;
    } else { /* --all */
        groups->at = UINT32_MAX;
        groups_next(groups);
    }
}

static void take_brokers(struct groups *groups)
{
    const struct metadata_response *response = &groups->task.response.metadata;

    for (uint32_t i = 0; i < response->brokers_count && i < GROUPS_BROKERS_MAX; i++)
        groups->brokers[groups->brokers_count++] = response->brokers[i].node_id;
    ask_listing(groups);
}

static void take_listing(struct groups *groups)
{
    const struct list_groups_response *response = &groups->task.response.list_groups;

    for (uint32_t i = 0; i < response->groups_count; i++)
        groups_add_name(groups, response->groups[i].group_id, response->groups[i].group_state);
    ask_listing(groups);
}

/* ---- describe -------------------------------------------------------------------------------- */

static void missing(struct groups *groups)
{
    /* It may have been given offsets without ever having had a member. */
    if (groups->command == GROUPS_RESET) {
        ask_offsets(groups);
        return;
    }
    groups->code = cli_complain(CLI_FAILED, "group '%s' does not exist", groups_name(groups));
    groups_next(groups);
}

static void show(struct groups *groups)
{
    if (groups->view == GROUPS_VIEW_MEMBERS) {
        groups_print_members(groups);
        groups_next(groups);
    } else if (groups->view == GROUPS_VIEW_STATE) {
        groups_print_state(groups);
        groups_next(groups);
    } else if (groups->command == GROUPS_RESET && groups->members_count > 0) {
        groups->code =
            cli_complain(CLI_FAILED, "group '%s' has members: offsets are reset while it has none",
                         groups_name(groups));
        groups_next(groups);
    } else {
        ask_offsets(groups);
    }
}

static void take_description(struct groups *groups)
{
    const struct describe_groups_response *response = &groups->task.response.describe_groups;
    const struct describe_groups_response_group *group;

    if (response->groups_count != 1) {
        groups_fail(groups, groups_name(groups), ERR_MALFORMED);
        return;
    }
    group = &response->groups[0];
    if (str_equal(group->group_state, STR("Dead")) ||
        err_from_wire(group->error_code) == ERR_GROUP_ID_NOT_FOUND) {
        ask(groups, API_CONSUMER_GROUP_DESCRIBE, groups->coordinator, GROUPS_DESCRIBING_CONSUMER);
        groups->task.request.consumer_group_describe.group_ids = &groups->asked_name;
        groups->task.request.consumer_group_describe.group_ids_count = 1;
        return;
    }
    groups_take_members(groups, group);
    show(groups);
}

/* Brokers that know only classic groups refuse the question. */
static void take_consumers(struct groups *groups)
{
    const struct consumer_group_describe_response *response =
        &groups->task.response.consumer_group_describe;

    if (groups->task.result != ERR_NONE || response->groups_count != 1) {
        missing(groups);
        return;
    }
    groups_take_consumers(groups, &response->groups[0]);
    show(groups);
}

static void ask_topics(struct groups *groups)
{
    if (groups_topics(groups) == 0) {
        if (groups->command == GROUPS_RESET)
            groups->code = cli_complain(CLI_FAILED, "group '%s' has no offsets of such topics",
                                        groups_name(groups));
        groups_finish(groups);
        return;
    }
    ask(groups, API_METADATA, -1, GROUPS_LEADERS);
    groups->task.request.metadata.topics = groups->topics;
    groups->task.request.metadata.topics_count = groups->topics_count;
    groups->task.request.metadata.topics_null = false;
}

/* The next leader that was not asked yet, for the ends first, then for the places wanted. */
static void ask_leader(struct groups *groups)
{
    int32_t leader = groups_fill_listing(groups);

    if (leader >= 0) {
        ask(groups, API_LIST_OFFSETS, leader, GROUPS_ENDS);
        groups->task.request.list_offsets.topics = groups->asked_topics;
        groups->task.request.list_offsets.topics_count = groups->asked_count;
    } else if (groups->command == GROUPS_RESET) {
        groups_choose(groups);
        if (!groups->execute || groups->code != CLI_FINE) {
            groups_finish(groups);
            return;
        }
        ask(groups, API_OFFSET_COMMIT, groups->coordinator, GROUPS_COMMITTING);
        groups_fill_commit(groups);
    } else {
        groups_finish(groups);
    }
}

/* ---- the op ---------------------------------------------------------------------------------- */

static void begin(struct groups *groups)
{
    if (groups->command == GROUPS_LIST || groups->all) {
        ask_brokers(groups);
    } else {
        ask_coordinator(groups);
    }
}

/* The answer is there: judges it and says what comes next. */
static void answered(struct groups *groups)
{
    enum err err = groups->task.result;
    enum groups_stage stage = groups->stage;

    if (err == ERR_NOT_COORDINATOR && stage != GROUPS_FINDING && groups->refound++ < 5) {
        groups_clear(groups);
        ask_coordinator(groups);
        return;
    }
    /* These say themselves what an error of theirs means. */
    if (err != ERR_NONE && !(groups->task.answered && stage == GROUPS_DESCRIBING) &&
        !(stage == GROUPS_DESCRIBING_CONSUMER &&
          (err == ERR_GROUP_ID_NOT_FOUND || err == ERR_UNSUPPORTED_VERSION)) &&
        !(groups->task.answered && (stage == GROUPS_LEADERS || stage == GROUPS_ENDS))) {
        groups->code = cli_complain_err(groups_name(groups), err, groups->task.message);
        if (stage == GROUPS_DELETING) {
            groups_next(groups);
        } else {
            groups->stage = GROUPS_OVER;
        }
        return;
    }
    switch (stage) {
    case GROUPS_FINDING: ask_group(groups); return;
    case GROUPS_BROKERS: take_brokers(groups); return;
    case GROUPS_LISTING: take_listing(groups); return;
    case GROUPS_DELETING:
        printf("Deleted group %s.\n", groups_name(groups));
        groups_next(groups);
        return;
    case GROUPS_DESCRIBING: take_description(groups); return;
    case GROUPS_DESCRIBING_CONSUMER: take_consumers(groups); return;
    case GROUPS_OFFSETS:
        groups_take_offsets(groups, &groups->task.response.offset_fetch);
        ask_topics(groups);
        return;
    case GROUPS_LEADERS:
        groups_take_leaders(groups, &groups->task.response.metadata);
        ask_leader(groups);
        return;
    case GROUPS_ENDS:
        groups_take_ends(groups, &groups->task.response.list_offsets);
        ask_leader(groups);
        return;
    case GROUPS_COMMITTING: groups_finish(groups); return;
    case GROUPS_OVER: break;
    }
    abort();
}

static enum op_result groups_run(struct op *op)
{
    struct groups *o = CONTAINER_OF(op, struct groups, op);

    switch ((enum groups_step)op->step) {
    case GROUPS_START:
        begin(o);
        while (o->stage != GROUPS_OVER) {
            admin_start(&o->admin, &o->task);
            AWAIT(o, GROUPS_ASKED, &o->task.done, o->task.finished);
            o->done = o->task; /* the answer, while `task` becomes the next question */
            answered(o);
            admin_task_release(&o->done);
        }
        groups_clear(o);
        metadata_close(&o->admin.metadata);
        AWAIT(o, GROUPS_CLOSED, &o->admin.metadata.changed, metadata_closed(&o->admin.metadata));
        admin_deinit(&o->admin);
        cli_end(&o->cli, o->code);
        return OP_DONE;
    case GROUPS_STEPS: break;
    }
    IMPOSSIBLE("step");
}

static void groups_begin(struct cli *cli)
{
    static const struct op_kind kind = {"cli.groups", groups_steps, GROUPS_STEPS, groups_run, NULL};
    struct groups *groups = CONTAINER_OF(cli, struct groups, cli);
    struct metadata_config config;

    cli_metadata_config(cli, &config);
    if (admin_init(&groups->admin, &cli->env, &config) != ERR_NONE) {
        cli_end(cli, cli_complain(CLI_USAGE, "-b '%s': not a list of HOST:PORT", cli->bootstrap));
        return;
    }
    op_start(&cli->env.loop, &groups->op, &kind, GROUPS_START);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static bool parse_time(const char *text, int64_t *ms)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (rest == NULL) {
        tm = (struct tm){0};
        rest = strptime(text, "%Y-%m-%d", &tm);
    }
    if (rest != NULL && *rest == '.') rest += strspn(rest + 1, "0123456789") + 1;
    if (rest == NULL || (*rest != 0 && strcmp(rest, "Z") != 0)) {
        cli_complain(CLI_USAGE, "--to-datetime: '%s' is not a time like 2026-03-01T12:00:00", text);
        return false;
    }
    *ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

static bool set_place(struct groups *groups, enum groups_place place)
{
    if (groups->place != GROUPS_PLACE_NONE) {
        cli_complain(CLI_USAGE, "groups reset-offsets: one place to go to, not two");
        return false;
    }
    groups->place = place;
    return true;
}

static bool parse_option(struct groups *groups, int option, char **argv)
{
    switch (option) {
    case 'a': groups->all = true; return true;
    case 'm': groups->view = GROUPS_VIEW_MEMBERS; return true;
    case 's': groups->view = GROUPS_VIEW_STATE; return true;
    case 'x': groups->execute = true; return true;
    case 'd': groups->execute = false; return true;
    case 'A': groups->all_topics = true; return true;
    case 't': return groups_add_filter(groups, optarg);
    case 'E': return set_place(groups, GROUPS_PLACE_EARLIEST);
    case 'L': return set_place(groups, GROUPS_PLACE_LATEST);
    case 'C': return set_place(groups, GROUPS_PLACE_CURRENT);
    case 'O':
        return set_place(groups, GROUPS_PLACE_OFFSET) &&
               cli_number("--to-offset", optarg, 0, INT64_MAX, &groups->place_value);
    case 'S':
        return set_place(groups, GROUPS_PLACE_SHIFT) &&
               cli_number("--shift-by", optarg, INT64_MIN / 2, INT64_MAX / 2, &groups->place_value);
    case 'T':
        return set_place(groups, GROUPS_PLACE_TIME) && parse_time(optarg, &groups->place_value);
    default: cli_bad_option("groups", argv); return false;
    }
}

static int parse(struct groups *groups, int argc, char **argv)
{
    static const struct option options[] = {{"all", no_argument, NULL, 'a'},
                                            {"members", no_argument, NULL, 'm'},
                                            {"state", no_argument, NULL, 's'},
                                            {"execute", no_argument, NULL, 'x'},
                                            {"dry-run", no_argument, NULL, 'd'},
                                            {"all-topics", no_argument, NULL, 'A'},
                                            {"topic", required_argument, NULL, 't'},
                                            {"to-earliest", no_argument, NULL, 'E'},
                                            {"to-latest", no_argument, NULL, 'L'},
                                            {"to-current", no_argument, NULL, 'C'},
                                            {"to-offset", required_argument, NULL, 'O'},
                                            {"shift-by", required_argument, NULL, 'S'},
                                            {"to-datetime", required_argument, NULL, 'T'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!parse_option(groups, option, argv)) return CLI_USAGE;
    for (int i = optind; i < argc; i++)
        groups_add_name(groups, str_of(argv[i]), STR_NULL);
    if (groups->command == GROUPS_LIST && groups->names_count > 0)
        return (int)cli_complain(CLI_USAGE, "groups list: takes no names");
    if (groups->command != GROUPS_LIST && groups->names_count == 0 &&
        !(groups->all && groups->command == GROUPS_DESCRIBE))
        return (int)cli_complain(CLI_USAGE, "groups: wants the name of a group");
    if (groups->command != GROUPS_RESET) return CLI_FINE;
    if (groups->names_count != 1)
        return (int)cli_complain(CLI_USAGE, "groups reset-offsets: wants one group");
    if (groups->place == GROUPS_PLACE_NONE)
        return (int)cli_complain(CLI_USAGE,
                                 "groups reset-offsets: wants a place, as --to-earliest");
    if (groups->all_topics == (groups->filters_count > 0))
        return (int)cli_complain(CLI_USAGE,
                                 "groups reset-offsets: wants --topic NAME or --all-topics");
    return CLI_FINE;
}

int groups_main(struct cli *cli, int argc, char **argv)
{
    static const struct {
        const char *name;
        enum groups_command command;
    } commands[] = {{"list", GROUPS_LIST},
                    {"describe", GROUPS_DESCRIBE},
                    {"delete", GROUPS_DELETE},
                    {"reset-offsets", GROUPS_RESET}};
    struct groups *groups;
    int code = CLI_USAGE;

    for (size_t i = 0; argc >= 2 && i < COUNT_OF(commands); i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        groups = calloc(1, sizeof *groups);
        if (groups == NULL) return (int)cli_complain(CLI_FAILED, "not enough memory");
        groups->cli = *cli;
        groups->command = commands[i].command;
        code = parse(groups, argc - 1, argv + 1);
        if (code == CLI_FINE) code = cli_run(&groups->cli, groups_begin);
        groups_free(groups);
        return code;
    }
    return (int)cli_complain(CLI_USAGE, "groups: list, describe, delete or reset-offsets");
}
