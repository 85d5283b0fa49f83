/* gregor-sim shrink: the command, and runs as the oracle of candidates. */
#include "sim/shrink.h"

#include "sim/campaign.h"
#include "sim/replay.h"
#include "sim/scenario/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a core does in a second, with all oracles, at least. */
enum { SHRINK_EVENTS_PER_SECOND = 500000 };

struct shrink_run {
    const struct plan *plan;
    struct run_options options;
    struct run_result *result;
    char text[640]; /* the sentence of the last that failed alike */
};

static void judge_run(void *context, struct scenario *candidate, uint64_t seed, uint64_t events_max,
                      struct shrink_outcome *outcome)
{
    struct shrink_run *run = context;

    if (candidate->stop_events == 0 || candidate->stop_events > events_max) {
        candidate->stop_events = events_max;
    }
    replay_fork(candidate, seed, &run->options, run->result);
    outcome->same = replay_same(run->plan, run->result);
    outcome->in_safety = run->result->in_safety;
    outcome->since_ns = run->result->since_ns;
    outcome->events = run->result->events > 0 ? run->result->events : 1000;
    if (outcome->same && seed == run->plan->seed) {
        (void)snprintf(run->text, sizeof run->text, "%s", run->result->text);
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

/* A comment in lines that people can read. */
static void put_comment(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");

        if (length > 96) {
            length = 96;
            while (length > 40 && text[length] != ' ')
                length--;
        }
        fprintf(out, "# %.*s\n", (int)length, text);
        text += length;
        text += strspn(text, " \n");
    }
}

static bool write_result(const struct shrink *shrink, const struct shrink_run *run,
                         const char *path)
{
    const struct plan *plan = run->plan;
    FILE *out = fopen(path, "w");
    char head[1024];

    if (out == NULL) return false;
    (void)snprintf(head, sizeof head, "Shows: %s. %s", plan->signature, run->text);
    put_comment(out, head);
    (void)snprintf(head, sizeof head,
                   "Shrunk from %s, seed %" PRIu64 ", version %s, build %016" PRIx64
                   "; fails alike with %d of %d other seeds.",
                   plan->scenario, plan->seed, plan->version, plan->build, shrink->score,
                   shrink->scored);
    put_comment(out, head);
    fputs(shrink->text, out);
    return fclose(out) == 0;
}

/* A step may do several things. */
static uint32_t acts(const struct scenario *scenario)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < scenario->step_count; i++)
        count += scenario->steps[i].action_count;
    return count;
}

static void tell(const struct shrink *shrink, const struct plan *plan, const char *path)
{
    if (shrink->progress) fputs("\r\033[K", stderr);
    printf("shrink: %u faults of %u, %u candidates (%u refused by lint), %" PRIu64
           " events, %d of %d other seeds%s\n",
           acts(shrink->now), plan->fault_count, shrink->tried, shrink->refused, shrink->spent,
           shrink->score, shrink->scored, shrink->spent >= shrink->budget ? ", out of time" : "");
    printf("shrink: the same failure: %s\n  %s\n", plan->signature, path);
    printf("  again: gregor-sim run %s\n", path);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int usage(const char *what, const char *which)
{
    fprintf(stderr, "gregor-sim: shrink: %s: %s; see gregor-sim --help\n", what, which);
    return CAMPAIGN_USAGE;
}

struct shrink_words {
    const char *path;
    const char *out;
    int64_t time_ns;
};

static int read_words(int argc, char **argv, struct shrink_words *words)
{
    for (int i = 2; i < argc; i++) {
        struct unit_range range;
        char why[128];

        if (argv[i][0] != '-') {
            if (words->path != NULL) return usage("one plan at a time", argv[i]);
            words->path = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--out") != 0 && strcmp(argv[i], "--time") != 0) {
            return usage("unknown option", argv[i]);
        }
        if (i + 1 == argc) return usage("needs a value", argv[i]);
        if (strcmp(argv[i++], "--out") == 0) {
            words->out = argv[i];
        } else if (units_parse(UNIT_TIME, argv[i], &range, why) && range.min > 0) {
            words->time_ns = range.min;
        } else {
            return usage("--time: a time, such as 60s", argv[i]);
        }
    }
    return words->path != NULL ? 0 : usage("wanted is", "a directory or a plan file");
}

static bool begin(struct shrink *shrink, const struct plan *plan, struct yaml_error *error)
{
    bool scripted = true;
    char *text;

    for (uint32_t i = 0; i < plan->fault_count; i++)
        scripted = scripted && plan->faults[i].step > 0;
    for (int way = 0; way < 2; way++) {
        if (way == 1 && !scripted) continue;
        text = way == 0 ? shrink_concrete(plan, error) : shrink_scripted(plan, error);
        if (text == NULL) return false;
        if (shrink_begin(shrink, text)) return true;
    }
    (void)snprintf(error->text, sizeof error->text,
                   "with its faults at their times it does not fail alike (%s)", plan->signature);
    return false;
}

static int shrink_plan(const struct plan *plan, const struct shrink_words *words,
                       struct codecs *codecs)
{
    struct shrink_run run = {.plan = plan, .options = {.codecs = codecs}};
    struct shrink shrink = {.oracle = {judge_run, &run}, .seed = plan->seed};
    struct yaml_error error = {.text = ""};
    char path[1200];
    int status = 0;

    run.options.trace = RUN_TRACE_NONE;
    run.result = sim_alloc(sizeof *run.result);
    shrink.budget = (uint64_t)(words->time_ns / NS_PER_MS) * SHRINK_EVENTS_PER_SECOND / 1000;
    shrink.progress = isatty(STDERR_FILENO) != 0;
    (void)snprintf(path, sizeof path, "%s", words->out != NULL ? words->out : "small.yaml");
    if (words->out == NULL) {
        (void)snprintf(path, sizeof path, "%s-%" PRIu64 "-shrunk.yaml", plan->scenario, plan->seed);
    }
    if (!begin(&shrink, plan, &error)) {
        fprintf(stderr, "gregor-sim: shrink: %s\n", error.text);
        status = REPLAY_SKIP;
    } else {
        shrink_loop(&shrink);
        shrink_anchors(&shrink);
        if (!write_result(&shrink, &run, path)) {
            status = usage("cannot be written", path);
        } else {
            tell(&shrink, plan, path);
        }
    }
    if (shrink.now != NULL || shrink.seen != NULL) shrink_end(&shrink);
    free(run.result);
    return status;
}

int shrink_command(int argc, char **argv, struct codecs *codecs)
{
    struct shrink_words words = {.time_ns = 60 * NS_PER_SEC};
    char error[PLAN_ERROR_MAX];
    struct plan *plan;
    int status = read_words(argc, argv, &words);

    if (status != 0) return status;
    plan = plan_load(words.path, error);
    if (plan == NULL) {
        fprintf(stderr, "gregor-sim: %s: %s\n", words.path, error);
        return CAMPAIGN_USAGE;
    }
    if (strcmp(plan->verdict, "PASS") == 0) {
        status = usage("nothing failed in", words.path);
    } else {
        status = shrink_plan(plan, &words, codecs);
    }
    plan_destroy(plan);
    return status;
}
