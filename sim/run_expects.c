/* Expectations of a scenario: armed at the start or by a step, looked at whenever something was
 * traced, judged in time or at the end. One that was never looked at is no pass. */
#include "sim/run.h"

#include <stdio.h>

static void expect_failed(struct run *run, const struct scenario_expect *expect, const char *how)
{
    char check[40];

    (void)snprintf(check, sizeof check, "expect:%d", expect->line);
    run_decide(run, RUN_FAIL, check, -1, "the expectation of line %d %s: %s", expect->line, how,
               expect->text);
}

static void expect_look(struct run *run, uint32_t index)
{
    const struct scenario_expect *expect = &run->scenario->expects[index];
    struct run_expect *state = &run->expects[index];
    int64_t now = run->sim->now_ns;
    bool holds;

    if (state->state != RUN_EXPECT_ARMED) return;
    state->looked++;
    holds = expr_holds(expect->condition, &run->source);
    if (!holds) state->true_since_ns = -1;
    if (holds && state->true_since_ns < 0) state->true_since_ns = now;
    if (holds && now - state->true_since_ns < expect->hold_ns) {
        sim_schedule(run->sim, &state->timer, state->true_since_ns + expect->hold_ns);
        holds = false;
    }
    switch (expect->verdict) {
    case SCENARIO_EVENTUALLY:
        if (holds) {
            state->state = RUN_EXPECT_FULFILLED;
        } else if (now >= state->deadline_ns) {
            expect_failed(run, expect, "was not met in time");
        }
        return;
    case SCENARIO_NEVER:
        if (!holds || run->phase != RUN_SAFETY) return;
        if (expect->unless != NULL && expr_holds(expect->unless, &run->source)) return;
        expect_failed(run, expect, "is broken");
        return;
    case SCENARIO_ALWAYS:
        if (!holds && run->phase == RUN_SAFETY) expect_failed(run, expect, "is broken");
        return;
    case SCENARIO_HOLDS: return;
    }
}

static void expect_timer(struct sim_event *event)
{
    struct run_expect *state = CONTAINER_OF(event, struct run_expect, timer);

    expect_look(state->run, state->index);
    if (state->state == RUN_EXPECT_ARMED && state->deadline_ns > state->run->sim->now_ns &&
        state->deadline_ns != INT64_MAX) {
        sim_schedule(state->run->sim, &state->timer, state->deadline_ns);
    }
}

static void expect_arm(struct run *run, uint32_t index)
{
    const struct scenario_expect *expect = &run->scenario->expects[index];
    struct run_expect *state = &run->expects[index];

    if (expect->at_end || state->state != RUN_EXPECT_WAITING) return;
    state->state = RUN_EXPECT_ARMED;
    state->true_since_ns = -1;
    state->deadline_ns = INT64_MAX;
    if (expect->verdict != SCENARIO_EVENTUALLY) return;
    state->deadline_ns = run->sim->now_ns + expect->within_ns;
    sim_schedule(run->sim, &state->timer, state->deadline_ns);
}

/* After the final drain. */
void run_expects_end(struct run *run)
{
    for (uint32_t i = 0; i < run->scenario->expect_count; i++) {
        const struct scenario_expect *expect = &run->scenario->expects[i];
        struct run_expect *state = &run->expects[i];

        if (expect->at_end) {
            if (!expr_holds(expect->condition, &run->source)) {
                expect_failed(run, expect, "does not hold at the end");
            }
        } else if (state->state == RUN_EXPECT_WAITING || state->looked == 0) {
            run_not_exercised(run, "the expectation of line %d was never judged: %s", expect->line,
                              expect->text);
        } else if (state->state == RUN_EXPECT_ARMED && expect->verdict == SCENARIO_EVENTUALLY) {
            run_not_exercised(run, "the run ended before the deadline of line %d: %s", expect->line,
                              expect->text);
        }
    }
}

/* ---- entry points ---------------------------------------------------------------------------- */

void run_expects_begin(struct run *run)
{
    for (uint32_t i = 0; i < run->scenario->expect_count; i++) {
        run->expects[i].run = run;
        run->expects[i].index = i;
        sim_event_init(&run->expects[i].timer, expect_timer);
        if (run->scenario->expects[i].after_step < 0) expect_arm(run, i);
    }
}

void run_expects_look(struct run *run)
{
    for (uint32_t i = 0; i < run->scenario->expect_count; i++)
        expect_look(run, i);
}

void run_expects_step(struct run *run, uint32_t step)
{
    for (uint32_t i = 0; i < run->scenario->expect_count; i++) {
        if (run->scenario->expects[i].after_step == (int32_t)step) expect_arm(run, i);
    }
}
