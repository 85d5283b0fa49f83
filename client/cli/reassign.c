/* gregor cluster reassign generate|execute|verify|cancel|list: in the manner of
 * kafka-reassign-partitions.sh, with its files (reassign_plan.h) and its words.
 *
 *   generate   metadata -> a plan is printed, and what is
 *   execute    metadata, ongoing -> what is -> throttles set -> reassignments begun
 *   verify     ongoing, metadata -> of each partition how far it is -> all over: throttles cleared
 *              (in this order: what ends in between is then seen as completed; the broker that
 *              answers may still lag behind the controller, so what does not fit is asked again)
 *   cancel     ongoing -> those of the plan taken back -> throttles cleared
 *   list       ongoing */
#include "client/cli/cluster.h"

#include "client/cli/reassign.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOKS_MAX = 10, LOOK_AGAIN_MS = 50 };
static const char *const verbs[VERBS] = {"generate", "execute", "verify", "cancel", "list"};

/* ---- what is --------------------------------------------------------------------------------- */

static bool wants(const struct reassign *o, struct str topic, int32_t partition)
{
    return plan_find(&o->plan, topic, partition) != NULL;
}

enum cli_exit reassign_no_memory(void)
{
    return cli_complain(CLI_FAILED, "cluster reassign: not enough memory, or too many partitions");
}

static enum cli_exit take_metadata(struct reassign *o)
{
    const struct metadata_response *response = &o->admin.task.response.metadata;

    if (!o->admin.task.answered)
        return cli_complain_err("cluster reassign", o->admin.task.result, o->admin.task.message);
    plan_free(&o->current);
    o->brokers_count = 0;
    for (uint32_t i = 0; i < response->brokers_count && i < REASSIGN_BROKERS_MAX; i++)
        o->brokers[o->brokers_count++] = response->brokers[i].node_id;
    for (uint32_t i = 0; i < response->topics_count; i++) {
        const struct metadata_response_topic *topic = &response->topics[i];

        for (uint32_t k = 0; k < topic->partitions_count; k++) {
            const struct metadata_response_partition *part = &topic->partitions[k];

            if (!wants(o, topic->name, part->partition_index)) continue;
            if (!plan_add(&o->current, topic->name, part->partition_index, part->replica_nodes,
                          part->replica_nodes_count))
                return reassign_no_memory();
        }
    }
    plan_sort(&o->current);
    for (uint32_t i = 0; i < o->plan.count; i++) {
        const struct plan_part *part = &o->plan.parts[i];

        if (plan_find(&o->current, str_of(part->topic), part->partition) == NULL)
            return cli_complain(CLI_FAILED, "cluster reassign: partition %s-%d does not exist",
                                part->topic, part->partition);
    }
    return CLI_FINE;
}

static void print_id_list(const char *name, const int32_t *ids, uint32_t count)
{
    if (count == 0) return;
    printf(" %s: ", name);
    for (uint32_t i = 0; i < count; i++)
        printf("%s%d", i > 0 ? "," : "", ids[i]);
    putchar('.');
}

static enum cli_exit take_ongoing(struct reassign *o)
{
    const struct list_partition_reassignments_response *response =
        &o->admin.task.response.list_reassignments;

    if (o->admin.task.result != ERR_NONE)
        return cli_complain_err("cluster reassign", o->admin.task.result, o->admin.task.message);
    if (o->verb == VERB_LIST)
        puts(response->topics_count > 0 ? "Current partition reassignments:"
                                        : "No partition reassignments found.");
    for (uint32_t i = 0; i < response->topics_count; i++) {
        struct str topic = response->topics[i].name;

        for (uint32_t k = 0; k < response->topics[i].partitions_count; k++) {
            const struct list_partition_reassignments_response_partition *part =
                &response->topics[i].partitions[k];

            if (o->verb == VERB_LIST) {
                printf("%.*s-%d:", STR_ARG(topic), part->partition_index);
                print_id_list("replicas", part->replicas, part->replicas_count);
                print_id_list("adding", part->adding_replicas, part->adding_replicas_count);
                print_id_list("removing", part->removing_replicas, part->removing_replicas_count);
                putchar('\n');
            } else if (wants(o, topic, part->partition_index)) {
                if (!plan_add(&o->ongoing, topic, part->partition_index, part->replicas,
                              part->replicas_count) ||
                    !plan_add(&o->adding, topic, part->partition_index, part->adding_replicas,
                              part->adding_replicas_count))
                    return reassign_no_memory();
            }
        }
    }
    plan_sort(&o->ongoing);
    return CLI_FINE;
}

static void ask_ongoing(struct reassign *o)
{
    admin_task_init(&o->admin.task, API_LIST_PARTITION_REASSIGNMENTS);
    o->admin.task.request.list_reassignments.timeout_ms = o->admin.cli.timeout_ms;
}

/* ---- execute, cancel ------------------------------------------------------------------------- */

typedef struct alter_partition_reassignments_request_topic topic_t;
typedef struct alter_partition_reassignments_request_partition part_t;

/* One topic for each partition would be refused: those of one topic stand together. */
static bool ask_alter(struct reassign *o)
{
    const struct plan *plan = o->verb == VERB_CANCEL ? &o->ongoing : &o->plan;
    struct alter_partition_reassignments_request *request =
        &o->admin.task.request.alter_reassignments;
    topic_t *topics = calloc(plan->count, sizeof *topics);
    part_t *parts = calloc(plan->count, sizeof *parts);

    admin_task_init(&o->admin.task, API_ALTER_PARTITION_REASSIGNMENTS);
    if (topics == NULL || parts == NULL) return false;
    request->timeout_ms = o->admin.cli.timeout_ms;
    for (uint32_t i = 0; i < plan->count; i++) {
        struct plan_part *part = &plan->parts[i];
        topic_t *topic = &topics[request->topics_count];

        alter_partition_reassignments_request_partition_default(&parts[i]);
        parts[i].partition_index = part->partition;
        parts[i].replicas_null = o->verb == VERB_CANCEL;
        if (o->verb != VERB_CANCEL) {
            parts[i].replicas = part->replicas;
            parts[i].replicas_count = part->count;
        }
        if (i > 0 && strcmp(part->topic, plan->parts[i - 1].topic) == 0) {
            topics[request->topics_count - 1].partitions_count++;
            continue;
        }
        topic->name = str_of(part->topic);
        topic->partitions = &parts[i];
        topic->partitions_count = 1;
        request->topics_count++;
    }
    request->topics = topics;
    o->sent = true;
    return true;
}

static enum cli_exit take_alter(struct reassign *o)
{
    const struct alter_partition_reassignments_response *response =
        &o->admin.task.response.alter_reassignments;
    enum cli_exit code = CLI_FINE;
    uint32_t good = 0;

    if (o->admin.task.result != ERR_NONE)
        return cli_complain_err("cluster reassign", o->admin.task.result, o->admin.task.message);
    for (uint32_t pass = 0; pass < 2; pass++) {
        if (pass == 1 && good > 0)
            printf(o->verb == VERB_CANCEL ? "Successfully cancelled partition reassignments for: "
                                          : "Successfully started partition reassignment%s for ",
                   good > 1 ? "s" : "");
        for (uint32_t i = 0, told = 0; i < response->responses_count; i++) {
            struct str topic = response->responses[i].name;

            for (uint32_t k = 0; k < response->responses[i].partitions_count; k++) {
                const struct alter_partition_reassignments_response_partition *part =
                    &response->responses[i].partitions[k];
                enum err err = err_from_wire(part->error_code);

                if (pass == 0 && err == ERR_NONE) good++;
                if (pass == 1 && err == ERR_NONE)
                    printf("%s%.*s-%d", told++ > 0 ? "," : "", STR_ARG(topic),
                           part->partition_index);
                if (pass == 0 && err != ERR_NONE)
                    code = cli_complain(CLI_FAILED, "%.*s-%d: %s: %.*s", STR_ARG(topic),
                                        part->partition_index, err_name(err),
                                        STR_ARG(part->error_message));
            }
        }
    }
    if (good > 0) putchar('\n');
    return code;
}

static enum cli_exit begin_execute(struct reassign *o)
{
    if (o->ongoing.count > 0 && !o->additional)
        return cli_complain(CLI_FAILED,
                            "cluster reassign: a reassignment of %s-%d is under way; --additional "
                            "overrides it",
                            o->ongoing.parts[0].topic, o->ongoing.parts[0].partition);
    puts("Current partition replica assignment\n");
    plan_print(&o->current);
    puts("\nSave this to use as the file of execute during rollback");
    return CLI_FINE;
}

/* ---- verify ---------------------------------------------------------------------------------- */

static bool same(const struct plan_part *a, const struct plan_part *b)
{
    return a->count == b->count &&
           memcmp(a->replicas, b->replicas, a->count * sizeof a->replicas[0]) == 0;
}

/* A reassignment is over, and its replicas are not those of the plan: so it was another one, or the
 * broker that answered has yet to hear of the end. */
static bool looks_behind(const struct reassign *o)
{
    for (uint32_t i = 0; i < o->plan.count; i++) {
        const struct plan_part *part = &o->plan.parts[i];
        struct str topic = str_of(part->topic);

        if (plan_find(&o->ongoing, topic, part->partition) == NULL &&
            !same(plan_find(&o->current, topic, part->partition), part))
            return true;
    }
    return false;
}

/* Whether to ask once more, after a moment. */
static bool look_again(struct reassign *o)
{
    const struct timespec moment = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};

    if (o->looks >= LOOKS_MAX || !looks_behind(o)) return false;
    (void)nanosleep(&moment, NULL);
    return true;
}

static enum cli_exit show_progress(struct reassign *o)
{
    enum cli_exit code = CLI_FINE;

    o->all_over = true;
    puts("Status of partition reassignment:");
    for (uint32_t i = 0; i < o->plan.count; i++) {
        const struct plan_part *part = &o->plan.parts[i];
        struct str topic = str_of(part->topic);

        if (plan_find(&o->ongoing, topic, part->partition) != NULL) {
            printf("Reassignment of partition %s-%d is still in progress.\n", part->topic,
                   part->partition);
            o->all_over = false;
        } else if (same(plan_find(&o->current, topic, part->partition), part)) {
            printf("Reassignment of partition %s-%d is completed.\n", part->topic, part->partition);
        } else {
            printf("There is no active reassignment of partition %s-%d, but its replicas are not "
                   "those of the plan.\n",
                   part->topic, part->partition);
            code = CLI_FAILED;
        }
    }
    return code;
}

/* ---- the order ------------------------------------------------------------------------------- */

static enum cli_exit show(struct cli_admin *admin)
{
    struct reassign *o = CONTAINER_OF(admin, struct reassign, admin);
    enum cli_exit code;

    switch (admin->task.api) {
    case API_METADATA:
        if (o->verb == VERB_GENERATE) return reassign_generate(o);
        code = take_metadata(o);
        if (code != CLI_FINE || o->verb != VERB_VERIFY) return code;
        o->looks++;
        o->again = look_again(o);
        return o->again ? CLI_FINE : show_progress(o);
    case API_LIST_PARTITION_REASSIGNMENTS:
        code = take_ongoing(o);
        if (code != CLI_FINE) return code;
        if (o->verb == VERB_EXECUTE) return begin_execute(o);
        if (o->verb == VERB_CANCEL && o->ongoing.count == 0) {
            puts("None of the specified partition reassignments are active.");
            return CLI_FINE;
        }
        return CLI_FINE;
    case API_INCREMENTAL_ALTER_CONFIGS: return reassign_take_throttle(o);
    default: return take_alter(o);
    }
}

/* What comes after an answer that was fine. */
static bool next(struct cli_admin *admin)
{
    struct reassign *o = CONTAINER_OF(admin, struct reassign, admin);
    bool asked_ongoing = admin->task.api == API_LIST_PARTITION_REASSIGNMENTS;

    if (admin->task.api == API_METADATA && (o->verb == VERB_EXECUTE || o->verb == VERB_CANCEL)) {
        ask_ongoing(o);
        return true;
    }
    switch (o->verb) {
    case VERB_GENERATE:
    case VERB_LIST: return false;
    case VERB_EXECUTE:
        if (asked_ongoing && o->rate >= 0) {
            reassign_ask_throttle(o, false);
            return true;
        }
        return !o->sent && ask_alter(o);
    case VERB_VERIFY:
        if (asked_ongoing || (admin->task.api == API_METADATA && o->again)) {
            admin_task_init(&admin->task, API_METADATA);
            return true;
        }
        if (admin->task.api != API_METADATA || !o->all_over || o->preserve) return false;
        reassign_ask_throttle(o, true);
        return true;
    case VERB_CANCEL:
        if (asked_ongoing && o->ongoing.count > 0) return ask_alter(o);
        if (o->preserve || o->throttled) return false;
        reassign_ask_throttle(o, true);
        return true;
    case VERBS: break;
    }
    return false;
}

/* ---- arguments ------------------------------------------------------------------------------- */

static void help(FILE *out)
{
    fputs(
        "usage: gregor cluster reassign generate --topics FILE --brokers ID,... "
        "[--disable-rack-aware]\n"
        "       gregor cluster reassign execute --file FILE [--throttle BYTES_PER_SECOND] "
        "[--additional]\n"
        "       gregor cluster reassign verify --file FILE [--preserve-throttles]\n"
        "       gregor cluster reassign cancel --file FILE [--preserve-throttles]\n"
        "       gregor cluster reassign list\n"
        "\n"
        "The files are those of kafka-reassign-partitions.sh; - is stdin:\n"
        "  {\"version\":1,\"topics\":[{\"topic\":\"t\"}]}\n"
        "  {\"version\":1,\"partitions\":[{\"topic\":\"t\",\"partition\":0,\"replicas\":[1,2]}]}\n"
        "\n"
        "generate prints a plan and what is now; execute begins it, and replaces what is under "
        "way only\nwith --additional; verify tells how far it is, and ends the throttle when all "
        "is over; cancel\ngoes back. Exit codes: 0 fine (verify: over, or still in progress), 1 "
        "it could not be done or the\nreplicas are not those of the plan, 2 wrong use.\n",
        out);
}

static int parse(struct reassign *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"file", required_argument, NULL, 'f'},
        {"reassignment-json-file", required_argument, NULL, 'f'},
        {"topics", required_argument, NULL, 't'},
        {"topics-to-move-json-file", required_argument, NULL, 't'},
        {"brokers", required_argument, NULL, 'b'},
        {"broker-list", required_argument, NULL, 'b'},
        {"throttle", required_argument, NULL, 'r'},
        {"additional", no_argument, NULL, 'a'},
        {"preserve-throttles", no_argument, NULL, 'p'},
        {"disable-rack-aware", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    const char *topics = NULL;
    bool plan;
    int option;

    optind = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'f') o->file = optarg;
        if (option == 't') topics = optarg;
        if (option == 'b') o->brokers_text = optarg;
        if (option == 'a') o->additional = true;
        if (option == 'p') o->preserve = true;
        if (option == 'd') o->rack_aware = false;
        if (option == 'r' && !cli_number("--throttle", optarg, 0, INT64_MAX, &o->rate))
            return CLI_USAGE;
        if (option == '?') return (int)cli_bad_option("cluster reassign", argv);
        if (option != 'h') continue;
        help(stdout);
        return -1;
    }
    while (o->verb < VERBS && (optind >= argc || strcmp(argv[optind], verbs[o->verb]) != 0))
        o->verb++;
    if (o->verb == VERBS || argc - optind != 1)
        return (int)cli_complain(CLI_USAGE,
                                 "cluster reassign: generate, execute, verify, cancel or list?");
    plan = o->verb == VERB_EXECUTE || o->verb == VERB_VERIFY || o->verb == VERB_CANCEL;
    if (plan && o->file == NULL)
        return (int)cli_complain(CLI_USAGE, "cluster reassign %s: --file is missing",
                                 verbs[o->verb]);
    if (o->verb == VERB_GENERATE && (topics == NULL || o->brokers_text == NULL))
        return (int)cli_complain(CLI_USAGE,
                                 "cluster reassign generate: --topics or --brokers is missing");
    if ((!plan && o->file != NULL) ||
        (o->verb != VERB_EXECUTE && (o->additional || o->rate >= 0)) ||
        (o->verb != VERB_GENERATE && (topics != NULL || o->brokers_text != NULL)))
        return (int)cli_complain(CLI_USAGE, "cluster reassign %s: an option of another command",
                                 verbs[o->verb]);
    if (plan && !plan_read(&o->plan, o->file)) return CLI_USAGE;
    if (o->verb == VERB_GENERATE &&
        (!reassign_check_brokers(o->brokers_text) || !plan_read_topics(&o->plan, topics)))
        return CLI_USAGE;
    return CLI_FINE;
}

int cluster_reassign(struct cli *cli, int argc, char **argv)
{
    struct reassign *o = calloc(1, sizeof *o);
    int code;

    if (o == NULL) return (int)cli_complain(CLI_FAILED, "not enough memory");
    o->admin.cli = *cli;
    o->rate = -1;
    o->rack_aware = true;
    code = parse(o, argc, argv);
    if (code == CLI_FINE) {
        if (o->verb == VERB_LIST || o->verb == VERB_VERIFY) {
            ask_ongoing(o);
        } else {
            admin_task_init(&o->admin.task, API_METADATA);
        }
        o->admin.show = show;
        o->admin.more = next;
        code = cli_admin_run(&o->admin);
    }
    plan_free(&o->plan);
    plan_free(&o->current);
    plan_free(&o->ongoing);
    plan_free(&o->adding);
    free(o); /* what the requests point to goes with the process */
    return code < 0 ? CLI_FINE : code;
}
