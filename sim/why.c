/* gregor-sim why: the command; runs as the probe, text and DOT as the answer. */
#include "sim/why.h"

#include "sim/campaign.h"
#include "sim/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WHY_RUNS = 10,
    WHY_RUNS_MAX = 1000,
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

static int probe(void *context, uint64_t event)
{
    struct why *why = context;
    struct run_options options = why->options;
    int failed = 0;

    options.fork_event = event;
    for (int i = 0; i < why->runs; i++) {
        options.fork_salt = (uint64_t)i + 1;
        replay_fork(why->scenario, why->plan->seed, &options, why->result);
        failed += replay_same(why->plan, why->result);
    }
    if (why->progress) {
        fprintf(stderr, "\rwhy: other choices from event %" PRIu64 ": %d of %d fail alike\033[K",
                event, failed, why->runs);
    }
    return failed;
}

/* ---- the trace ------------------------------------------------------------------------------- */

static bool read_event(char *line, struct why_event *event)
{
    int matters = 0;
    int used = 0;

    if (sscanf(line, "%" SCNu64 " %d %d %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %n", &event->event,
               &event->node, &event->kind, &matters, &event->fields[0], &event->fields[1],
               &event->fields[2], &used) != 7 ||
        used == 0) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    event->matters = matters != 0;
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
        if (read_event(line, &why->events[why->event_count])) why->event_count++;
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
        why->violation = i;
        break;
    }
    return there;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void put_words(FILE *out, const char *words)
{
    for (; *words != '\0'; words++) {
        if (*words == '"' || *words == '\\') fputc('\\', out);
        fputc(*words, out);
    }
}

/* Words of ring_print(): " 16.059s  102 controller.partition ..." */
static void write_dot(const struct why *why, FILE *out)
{
    const struct why_chain *chain = &why->chain;

    fprintf(out,
            "digraph why {\n  rankdir=TB; node [shape=box fontname=\"monospace\" fontsize=10];\n");
    for (uint32_t i = 0; i < chain->count; i++) {
        fprintf(out, "  e%u [label=\"", i);
        put_words(out, why->events[chain->kept[i]].words +
                           strspn(why->events[chain->kept[i]].words, " "));
        fprintf(out, "\"%s];\n", i == 0 ? " style=bold" : "");
    }
    fprintf(out, "  bad [label=\"");
    put_words(out, why->plan->signature);
    fprintf(out, "\\n");
    put_words(out, why->result->text);
    fprintf(out, "\" shape=octagon color=\"#b00020\" style=bold];\n");
    for (uint32_t i = 0; i < chain->link_count; i++)
        fprintf(out, "  e%u -> e%u;\n", chain->links[i].from, chain->links[i].to);
    fprintf(out, "  e%u -> bad;\n}\n", chain->count - 1);
}

static bool draw(const char *dot, const char *svg)
{
    int status = 1;
    pid_t pid = fork();

    if (pid == 0) {
        (void)execlp("dot", "dot", "-Tsvg", dot, "-o", svg, (char *)NULL);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && status == 0;
}

static void write_pictures(const struct why *why)
{
    char dot[1100];
    char svg[1100];
    FILE *out;

    (void)snprintf(dot, sizeof dot, "%s/why.dot", why->out);
    (void)snprintf(svg, sizeof svg, "%s/why.svg", why->out);
    out = fopen(dot, "w");
    if (out == NULL) {
        fprintf(stderr, "gregor-sim: %s: %s\n", dot, strerror(errno));
        return;
    }
    write_dot(why, out);
    (void)fclose(out);
    if (draw(dot, svg)) {
        printf("  %s\n  %s\n", dot, svg);
    } else {
        printf("  %s (no SVG: install graphviz)\n", dot);
    }
}

static void tell_points(const struct why *why)
{
    if (why->progress) fputs("\r\033[K", stderr);
    printf("why: %s\n  other choices from event on: share that fails alike\n",
           why->plan->signature);
    for (uint32_t i = 0; i < why->search.count; i++) {
        const struct why_point *point = &why->search.points[i];

        printf("  %10" PRIu64 "  %3d %%%s\n", point->event, 100 * point->failed / why->runs,
               i == why->search.jump       ? "  from here"
               : i == why->search.jump + 1 ? "  to here it rises most"
                                           : "");
    }
}

static void tell_chain(const struct why *why)
{
    const struct why_chain *chain = &why->chain;
    const struct why_point *jump = &why->search.points[why->search.jump];

    if (jump[1].failed <= jump[0].failed) {
        printf("why: no event of this run decided it; its end:\n");
    } else {
        printf("why: unavoidable at event %" PRIu64 " (%d %% to %d %%):\n", jump[1].event - 1,
               100 * jump[0].failed / why->runs, 100 * jump[1].failed / why->runs);
        for (uint32_t i = 0; i < why->event_count && why->events[i].event < jump[1].event; i++)
            printf("  %s\n", why->events[i].words);
    }
    printf("why: and what leads from there to the violation%s:\n",
           chain->left_out > 0 ? ", first and last of it" : "");
    for (uint32_t i = 0; i < chain->count; i++)
        printf("  %s\n", why->events[chain->kept[i]].words);
    if (chain->left_out > 0) printf("  (%u more in between)\n", chain->left_out);
    printf("  %s\n", why->result->text);
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

static int why_plan(struct why *why)
{
    const struct plan *plan = why->plan;
    const struct why_point *jump;
    uint64_t stop_events;

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
    why_search(&why->search, plan->events, why->runs, probe, why);
    jump = &why->search.points[why->search.jump];
    tell_points(why);
    if (!tell_events(why, jump[0].event)) {
        fprintf(stderr, "gregor-sim: why: no events in %s\n", why->out);
        return CAMPAIGN_SIMULATOR;
    }
    why_chain(&why->chain, why->events, why->event_count, jump[1].event - 1, why->violation);
    tell_chain(why);
    write_pictures(why);
    return CAMPAIGN_PASSED;
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
            status = why_plan(why);
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
