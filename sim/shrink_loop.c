/* The loop of the shrinker: candidates, one after the other, until a round keeps none. */
#include "sim/shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SHRINK_ROUNDS_MAX = 8,
    SHRINK_SEEN_MAX = 1 << 14,
    SHRINK_NAME_MAX = 128,
    SHRINK_SLACK_EVENTS = 20000,  /* beyond three times those of the present one */
    SHRINK_SCORE_EVENTS = 300000, /* of a run with another seed */
};

static void tell(const struct shrink *shrink, const char *pass)
{
    if (!shrink->progress) return;
    fprintf(stderr, "\rshrink: %u candidates, %u kept, %u steps, %s\033[K", shrink->tried,
            shrink->kept, shrink->now->step_count, pass);
}

/* False: it was tried before. */
static bool first_time(struct shrink *shrink, const char *text)
{
    uint64_t digest = sim_digest(0, text, strlen(text));

    for (uint32_t i = 0; i < shrink->seen_count; i++) {
        if (shrink->seen[i] == digest) return false;
    }
    if (shrink->seen_count < SHRINK_SEEN_MAX) shrink->seen[shrink->seen_count++] = digest;
    return true;
}

static struct scenario *read_text(const char *text)
{
    struct yaml_error error;

    error.text[0] = '\0';
    return scenario_parse("shrunk.yaml", text, strlen(text), &error);
}

static void judge(struct shrink *shrink, struct scenario *candidate, uint64_t seed,
                  uint64_t events_max, struct shrink_outcome *outcome)
{
    const uint64_t stop_events = candidate->stop_events;

    memset(outcome, 0, sizeof *outcome);
    shrink->oracle.judge(shrink->oracle.context, candidate, seed, events_max, outcome);
    candidate->stop_events = stop_events; /* the bound of a candidate is not the scenario's */
    shrink->spent += outcome->events;
}

bool shrink_try(struct shrink *shrink, char *text)
{
    struct shrink_outcome outcome;
    struct scenario *candidate;

    if (shrink->spent >= shrink->budget || !first_time(shrink, text)) {
        free(text);
        return false;
    }
    shrink->tried++;
    candidate = read_text(text);
    if (candidate == NULL) {
        shrink->refused++;
        free(text);
        return false;
    }
    judge(shrink, candidate, shrink->seed,
          3 * shrink->outcome.events + SHRINK_SLACK_EVENTS + shrink->slack, &outcome);
    if (!outcome.same) {
        scenario_destroy(candidate);
        free(text);
        return false;
    }
    shrink->kept++;
    scenario_destroy(shrink->now);
    free(shrink->text);
    shrink->now = candidate;
    shrink->text = text;
    shrink->outcome = outcome;
    return true;
}

int shrink_score(struct shrink *shrink, const char *text, int count, int wanted)
{
    struct shrink_outcome outcome;
    int same = 0;

    for (int i = 0; i < count && same + count - i >= wanted; i++) {
        struct scenario *scenario;

        if (shrink->spent >= shrink->budget) return 0;
        scenario = read_text(text); /* a run may write into what it is given */
        if (scenario == NULL) return 0;
        judge(shrink, scenario, shrink->seed + 1000 + (uint64_t)i,
              3 * shrink->outcome.events + SHRINK_SCORE_EVENTS, &outcome);
        same += outcome.same;
        scenario_destroy(scenario);
    }
    return same;
}

bool shrink_begin(struct shrink *shrink, char *text)
{
    if (shrink->seen == NULL) shrink->seen = sim_alloc(SHRINK_SEEN_MAX * sizeof *shrink->seen);
    shrink->outcome.events = UINT32_MAX;
    return shrink_try(shrink, text);
}

void shrink_end(struct shrink *shrink)
{
    scenario_destroy(shrink->now);
    free(shrink->text);
    free(shrink->seen);
}

/* Everything that one pass can do; true: something was kept. */
static bool run_pass(struct shrink *shrink, const struct shrink_pass_info *info)
{
    struct scenario *copy = sim_alloc(sizeof *copy);
    bool kept = false;
    uint32_t n = 0;

    while (shrink->spent < shrink->budget) {
        enum shrink_edit edit;

        *copy = *shrink->now;
        edit = info->pass(copy, n, &shrink->outcome);
        /* What the edit took belongs to the scenario it is a copy of. */
        shrink->now->store = copy->store;
        if (edit == SHRINK_END) break;
        tell(shrink, info->name);
        if (edit == SHRINK_EDIT && shrink_try(shrink, shrink_written(copy))) {
            kept = true;
        } else {
            n++;
        }
    }
    free(copy);
    return kept;
}

void shrink_loop(struct shrink *shrink)
{
    for (uint32_t round = 0; round < SHRINK_ROUNDS_MAX; round++) {
        bool kept = false;

        for (const struct shrink_pass_info *info = shrink_passes; info->name != NULL; info++)
            kept = run_pass(shrink, info) || kept;
        if (!kept) return;
    }
}
