/* A plan as a scenario that leaves nothing open. */
#include "sim/shrink.h"

#include "sim/swarm_shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the run has chosen ----------------------------------------------------------------- */

/* The first value of a site; false: the choice was not made. */
static bool chosen(const struct plan *plan, struct decide_site of, int64_t *value)
{
    for (uint32_t i = 0; i < plan->site_count; i++) {
        const struct plan_site *site = &plan->sites[i];

        if (site->site.what != of.what || site->site.node != of.node || site->site.a != of.a ||
            site->count == 0)
            continue;
        *value = site->values[0];
        return true;
    }
    return false;
}

static void pin(const struct plan *plan, struct decide_site of, struct unit_range *range)
{
    int64_t value;

    if (range->min == range->max || !chosen(plan, of, &value)) return;
    if (value < range->min || value > range->max) return;
    range->min = range->max = value;
}

static void pin_all(const struct plan *plan, struct scenario *scenario)
{
    for (uint32_t i = 0; i < scenario->topic_count; i++) {
        struct scenario_topic *topic = &scenario->topics[i];

        pin(plan, (struct decide_site){DECIDE_TOPIC_PARTITIONS, -1, i, 0}, &topic->partitions);
        pin(plan, (struct decide_site){DECIDE_TOPIC_REPLICAS, -1, i, 0}, &topic->replicas);
    }
    for (uint32_t i = 0; i < scenario->client_count; i++) {
        const int64_t id = SCENARIO_FIRST_CLIENT + (int64_t)i;

        pin(plan, (struct decide_site){DECIDE_CLIENT_RATE, id, 0, 0}, &scenario->clients[i].rate);
    }
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* A random fault acts behind the event it came with, a step before others of its time. */
static void write_faults(const struct plan *plan, FILE *out)
{
    if (plan->fault_count > 0) fputs("steps:\n", out);
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        int64_t time_ns = plan->faults[i].time_ns + 1;

        fprintf(out, "  - at: %" PRId64 "ns\n    do: {%s}\n", time_ns, plan->faults[i].was);
    }
}

static void drop_step_expects(struct scenario *scenario)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < scenario->expect_count; i++) {
        if (scenario->expects[i].after_step < 0) scenario->expects[kept++] = scenario->expects[i];
    }
    scenario->expect_count = kept;
}

static void put_sink(void *context, const char *text, size_t length)
{
    (void)fwrite(text, 1, length, context);
}

char *shrink_written(const struct scenario *scenario)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    const struct text_sink sink = {put_sink, out};

    if (out == NULL) abort();
    scenario_write(scenario, &sink);
    (void)fclose(out);
    return text;
}

/* ---- both ------------------------------------------------------------------------------------ */

static char *concrete(const struct plan *plan, bool faults, struct yaml_error *error)
{
    struct scenario *pattern = scenario_parse(plan->scenario, plan->text, plan->text_length, error);
    struct scenario *made;
    struct scenario *drawn;
    uint64_t seed = plan->seed;
    char *head;
    char *text = NULL;
    size_t length = 0;
    FILE *out;

    if (pattern == NULL) return NULL;
    made = scenario_for_seed(pattern, plan->seed, error);
    scenario_destroy(pattern);
    if (made == NULL) return NULL;
    drawn = swarm_shape_draw(made, plan->seed);
    pin_all(plan, drawn);
    drawn->name = store_format(&drawn->store, "%s-shrunk", plan->scenario);
    drawn->about = store_format(&drawn->store, "Shrunk from %s, seed %" PRIu64 ": %s.",
                                plan->scenario, plan->seed, plan->signature);
    drawn->seeds = &seed;
    drawn->seed_count = 1;
    drawn->varies = false;
    if (faults) {
        drawn->step_count = 0;
        drop_step_expects(drawn);
    }
    head = shrink_written(drawn);
    out = open_memstream(&text, &length);
    if (out == NULL) abort();
    fputs(head, out);
    if (faults) write_faults(plan, out);
    (void)fclose(out);
    free(head);
    scenario_destroy(drawn);
    scenario_destroy(made);
    return text;
}

char *shrink_concrete(const struct plan *plan, struct yaml_error *error)
{
    return concrete(plan, true, error);
}

char *shrink_scripted(const struct plan *plan, struct yaml_error *error)
{
    return concrete(plan, false, error);
}
