/* gregor-sim why: the command. Runs from checkpoints are the probe, text and a page the answer. */
#include "sim/why.h"

#include "sim/campaign.h"
#include "sim/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WHY_RUNS = 10,
    WHY_RUNS_MAX = 1000,
    WHY_FIRST_MAX = 8, /* told of the event that decided it */
    WHY_DECISIVE = 7,  /* its weight */
    WHY_EVENTS_MAX = 1 << 20,
    WHY_LINE_MAX = 1024,
    WHY_SLACK_EVENTS = 3000
};

struct why {
    const struct plan *plan;
    struct scenario *scenario;
    struct run_options options;
    struct run_result *result;
    int runs;
    bool progress;
    char out[1024]; /* directory */
    struct why_search search;
    struct why_event *events;
    uint32_t event_count;
    uint32_t violation;
    struct why_chain chain;
};

/* ---- probing --------------------------------------------------------------------------------- */

static int probe(void *context, uint64_t event, uint32_t round)
{
    struct why *why = context;
    struct replay_rewind from = {
        .event = event, .salt = 1 + (uint64_t)round * (uint64_t)why->runs, .runs = why->runs};
    int failed = replay_rewind(why->plan, why->scenario, &why->options, from);

    if (why->progress) {
        fprintf(stderr, "\rwhy: other choices from event %" PRIu64 ": %d of %d fail alike\033[K",
                event, failed, why->runs);
    }
    return failed;
}

/* ---- the trace ------------------------------------------------------------------------------- */

/* Of the partition that failed, and what strikes nodes, weighs most; then who leads the cluster. */
static uint8_t weigh(const struct why *why, const struct why_event *event, const char *partition)
{
    bool quorum = why->result->check[0] == 'K';

    switch (event->kind) {
    case TRACE_SIM_FAULT:
    case TRACE_SIM_UP:
    case TRACE_SIM_DOWN: return 6;
    case TRACE_RAFT_VOTE:
    case TRACE_RAFT_STATE:
    case TRACE_RAFT_ELECTED: return quorum ? 5 : 2;
    case TRACE_CONTROLLER_ACTIVE:
    case TRACE_CONTROLLER_RENOUNCED: return 4;
    case TRACE_CONTROLLER_BROKER: return 3;
    case TRACE_NODE_READY:
    case TRACE_NODE_STARTED: return 1;
    case TRACE_NODE_STATE:
    case TRACE_META_BROKER:        /* everybody learns everything */
    case TRACE_SIM_STEP: return 0; /* the fault says what it does */
    default: break;
    }
    if (partition[0] == '-') return quorum && event->fields[0] == 0 ? 4 : 1;
    return why->result->partition[0] == '\0' || strcmp(partition, why->result->partition) == 0 ? 5
                                                                                               : 1;
}

static bool read_event(const struct why *why, char *line, struct why_event *event)
{
    char partition[96];
    int matters = 0;
    int used = 0;

    if (sscanf(line, "%" SCNu64 " %d %d %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %95s %n",
               &event->event, &event->node, &event->kind, &matters, &event->fields[0],
               &event->fields[1], &event->fields[2], &event->time_ns, partition, &used) != 9 ||
        used == 0) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    event->weight = matters != 0 ? weigh(why, event, partition) : 0;
    event->words = strdup(line + used);
    return event->words != NULL;
}

static bool read_events(struct why *why, const char *path)
{
    FILE *file = fopen(path, "r");
    char line[WHY_LINE_MAX];

    if (file == NULL) return false;
    why->events = sim_alloc(WHY_EVENTS_MAX * sizeof *why->events);
    while (why->event_count < WHY_EVENTS_MAX && fgets(line, sizeof line, file) != NULL) {
        if (read_event(why, line, &why->events[why->event_count])) why->event_count++;
    }
    (void)fclose(file);
    return why->event_count > 0;
}

/* The run once more, from the jump on with every event told. */
static bool tell_events(struct why *why, uint64_t from)
{
    struct run_options options = why->options;
    char path[1100];
    bool there;

    (void)snprintf(path, sizeof path, "%s/why.events", why->out);
    options.tell_path = path;
    options.tell_from = from;
    replay_fork(why->scenario, why->plan->seed, &options, why->result);
    there = read_events(why, path);
    (void)remove(path);
    why->violation = why->event_count - 1;
    for (uint32_t i = why->event_count; there && i-- > 0;) {
        if (why->result->node >= 0 && why->events[i].node != why->result->node) continue;
        if (why->events[i].kind == TRACE_OP_STEP) continue;
        why->violation = i;
        break;
    }
    return there;
}

/* Of what happened at the event that decided it, what says most: always in the chain. */
static void mark_decisive(struct why *why, uint64_t event)
{
    struct why_event *best = NULL;
    int best_score = -1;

    for (uint32_t i = 0; i < why->event_count && why->events[i].event <= event; i++) {
        struct why_event *own = &why->events[i];
        bool message = own->kind >= TRACE_RPC_SENT && own->kind <= TRACE_RPC_REPLIED;
        int score = own->weight > 0              ? 3 + own->weight
                    : message                    ? 2
                    : own->kind != TRACE_OP_STEP ? 1
                                                 : 0;

        if (own->event != event || score <= best_score) continue;
        best = own;
        best_score = score;
    }
    if (best != NULL) best->weight = WHY_DECISIVE;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void tell_points(const struct why *why)
{
    if (why->progress) fputs("\r\033[K", stderr);
    printf("why: %s\n  other choices from event on: so many fail alike\n", why->plan->signature);
    for (uint32_t i = 0; i < why->search.count; i++) {
        const struct reports_why_point *point = &why->search.points[i];

        printf("  %10" PRIu64 "  %3u of %u%s\n", point->event, point->failed, point->of,
               why->search.decided && i == why->search.at ? "  unavoidable from here on" : "");
    }
}

static void tell_event(const struct why_event *event)
{
    char who[24] = "";

    if (event->node >= 0) (void)snprintf(who, sizeof who, "node %d", (int)event->node);
    printf("  %4lld.%06lld  %-10s %s\n", (long long)(event->time_ns / NS_PER_SEC),
           (long long)(event->time_ns % NS_PER_SEC / 1000), who, event->words);
}

static void tell_chain(const struct why *why)
{
    const struct why_chain *chain = &why->chain;
    uint64_t from = why->search.points[why->search.at].event;

    if (!why->search.decided) {
        printf(
            "why: nothing in this run decided it, it fails alike whatever the choices; its end:\n");
    } else {
        uint32_t told = 0;

        printf("why: unavoidable from event %" PRIu64 " on; what happened there:\n", from);
        for (uint32_t i = 0; i < why->event_count && told < WHY_FIRST_MAX; i++) {
            if (why->events[i].event >= from) break;
            tell_event(&why->events[i]);
            told++;
        }
    }
    printf("why: and what leads from there to the violation%s:\n",
           chain->left_out > 0 ? ", the weightiest of it" : "");
    for (uint32_t i = 0; i < chain->count; i++)
        tell_event(&why->events[chain->kept[i]]);
    if (chain->left_out > 0) printf("  (%u more are left out)\n", chain->left_out);
    printf("  %s\n", why->result->text);
}

static int draw(const struct why *why, const char *path)
{
    const struct why_chain *chain = &why->chain;
    struct reports_why_event events[WHY_NODES_MAX];
    struct reports_why_link *links = sim_alloc((chain->link_count + 1) * sizeof *links);
    struct reports_result result;
    char again[1200];
    struct reports_why drawn = {.directory = why->out,
                                .scenario = why->plan->scenario,
                                .seed = why->plan->seed,
                                .outcome = why->plan->signature,
                                .violation = why->result->text,
                                .again = again,
                                .decided = why->search.decided,
                                .from = why->search.points[why->search.at].event,
                                .points = why->search.points,
                                .point_count = why->search.count,
                                .events = events,
                                .event_count = chain->count,
                                .left_out = chain->left_out,
                                .links = links,
                                .link_count = chain->link_count};
    enum err err;

    (void)snprintf(again, sizeof again, "gregor-sim why %s", path);
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct why_event *event = &why->events[chain->kept[i]];
        bool bad = event->kind == TRACE_SIM_DOWN ||
                   (event->kind == TRACE_SIM_FAULT && event->fields[1] != 0);

        events[i] = (struct reports_why_event){event->time_ns, event->event, why_order(event),
                                               event->node,    bad,          event->words};
    }
    for (uint32_t i = 0; i < chain->link_count; i++)
        links[i] = (struct reports_why_link){chain->links[i].from, chain->links[i].to};
    err = reports_render_why(&drawn, &result);
    free(links);
    if (err != ERR_NONE) {
        fprintf(stderr, "gregor-sim: %s/why.html: %s\n", why->out, err_name(err));
        return CAMPAIGN_SIMULATOR;
    }
    if (result.note[0] != '\0') fprintf(stderr, "gregor-sim: %s\n", result.note);
    printf("  %s/why.html\n", why->out);
    return CAMPAIGN_PASSED;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int usage(const char *what, const char *which)
{
    fprintf(stderr, "gregor-sim: why: %s: %s; see gregor-sim --help\n", what, which);
    return CAMPAIGN_USAGE;
}

static int read_words(int argc, char **argv, struct why *why, const char **path)
{
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] != '-') {
            if (*path != NULL) return usage("one plan at a time", argv[i]);
            *path = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--runs") != 0 && strcmp(argv[i], "--out") != 0) {
            return usage("unknown option", argv[i]);
        }
        if (i + 1 == argc) return usage("needs a value", argv[i]);
        if (strcmp(argv[i++], "--out") == 0) {
            (void)snprintf(why->out, sizeof why->out, "%s", argv[i]);
            continue;
        }
        why->runs = atoi(argv[i]);
        if (why->runs < 1 || why->runs > WHY_RUNS_MAX) return usage("--runs: 1 to 1000", argv[i]);
    }
    return *path != NULL ? 0 : usage("wanted is", "a directory or a plan file");
}

/* Beside the plan, where it stands in a directory of its own. */
static void choose_out(struct why *why, const char *path)
{
    struct stat about;

    if (why->out[0] == '\0') {
        bool inside = stat(path, &about) == 0 && S_ISDIR(about.st_mode);

        (void)snprintf(why->out, sizeof why->out, "%s", inside ? path : ".");
    }
    (void)mkdir(why->out, 0777);
}

/* With every choice of its shape made. */
static struct scenario *scenario_of(const struct plan *plan, struct yaml_error *error)
{
    struct scenario *pattern = scenario_parse(plan->scenario, plan->text, plan->text_length, error);
    struct scenario *made;

    if (pattern == NULL || !pattern->varies) return pattern;
    made = scenario_for_seed(pattern, plan->seed, error);
    scenario_destroy(pattern);
    return made;
}

static int why_plan(struct why *why, const char *path)
{
    const struct plan *plan = why->plan;
    uint64_t stop_events;
    uint64_t from;

    replay_fork(why->scenario, plan->seed, &why->options, why->result);
    /* Who is well for half as long again does not fail alike. */
    stop_events = plan->events + plan->events / 2 + WHY_SLACK_EVENTS;
    if (!replay_same(plan, why->result) || why->result->hash != plan->hash) {
        fprintf(stderr, "gregor-sim: why: this program does not run the plan as it was: %s\n",
                why->result->signature);
        return REPLAY_SKIP;
    }
    if (why->scenario->stop_events == 0 || why->scenario->stop_events > stop_events) {
        why->scenario->stop_events = stop_events;
    }
    why->scenario->stop_wall_ns = 0; /* the checkpoint's clock has run for all its children */
    why_search(&why->search, plan->events, why->runs, probe, why);
    from = why->search.points[why->search.at].event;
    tell_points(why);
    if (!tell_events(why, from > 0 ? from - 1 : 0)) {
        fprintf(stderr, "gregor-sim: why: no events in %s\n", why->out);
        return CAMPAIGN_SIMULATOR;
    }
    if (why->search.decided) mark_decisive(why, from - 1);
    why_chain(&why->chain, why->events, why->event_count, from > 0 ? from - 1 : 0, why->violation);
    tell_chain(why);
    return draw(why, path);
}

int why_command(int argc, char **argv, struct codecs *codecs)
{
    struct why *why = sim_alloc(sizeof *why);
    struct yaml_error yaml = {.text = ""};
    char error[PLAN_ERROR_MAX];
    const char *path = NULL;
    struct plan *plan = NULL;
    int status;

    why->runs = WHY_RUNS;
    status = read_words(argc, argv, why, &path);
    if (status == 0 && (plan = plan_load(path, error)) == NULL) {
        fprintf(stderr, "gregor-sim: %s: %s\n", path, error);
        status = CAMPAIGN_USAGE;
    }
    if (plan != NULL && strcmp(plan->verdict, "PASS") == 0) {
        status = usage("nothing failed in", path);
    } else if (plan != NULL) {
        why->plan = plan;
        why->progress = isatty(STDERR_FILENO) != 0;
        why->options = (struct run_options){.trace = RUN_TRACE_NONE, .codecs = codecs};
        why->result = sim_alloc(sizeof *why->result);
        choose_out(why, path);
        why->scenario = scenario_of(plan, &yaml);
        if (why->scenario == NULL) {
            fprintf(stderr, "gregor-sim: the scenario of the plan: %s\n", yaml.text);
            status = CAMPAIGN_USAGE;
        } else {
            status = why_plan(why, path);
        }
        scenario_destroy(why->scenario);
        free(why->result);
    }
    for (uint32_t i = 0; i < why->event_count; i++)
        free(why->events[i].words);
    free(why->events);
    plan_destroy(plan);
    free(why);
    return status;
}
