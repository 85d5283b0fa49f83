/* When steps fire and expectations are judged.
 *
 * One step is armed at a time, in the order of the file. `at` and `after` fire by the clock; `when`
 * fires when its condition is found true after a turn (at once, if it holds when the step is
 * armed), or has held long enough. A step whose `within` runs out: optional ones are skipped,
 * otherwise nothing more fires and the run is not exercised. */
#include "sim/run.h"

#include <stdio.h>
#include <string.h>

static const struct scenario_step *armed_step(const struct run *run)
{
    const struct run_steps *steps = &run->steps;

    if (steps->missed || steps->armed >= run->scenario->step_count) return NULL;
    return &run->scenario->steps[steps->armed];
}

static void expect_arm(struct run *run, uint32_t index);

/* ---- steps ----------------------------------------------------------------------------------- */

/* The clock looks again at the earliest moment at which the armed step may need it. */
static void steps_set_timer(struct run *run)
{
    const struct scenario_step *step = armed_step(run);
    struct run_steps *steps = &run->steps;
    int64_t next = INT64_MAX;

    sim_unschedule(run->sim, &steps->timer);
    if (step == NULL) return;
    if (step->trigger != SCENARIO_WHEN) {
        next = steps->due_ns;
    } else if (step->hold_ns > 0 && steps->true_since_ns >= 0) {
        next = steps->true_since_ns + step->hold_ns;
    }
    if (step->within_ns > 0 && steps->armed_ns + step->within_ns < next) {
        next = steps->armed_ns + step->within_ns;
    }
    if (next != INT64_MAX) sim_schedule(run->sim, &steps->timer, next);
}

static void steps_arm(struct run *run, uint32_t index)
{
    struct run_steps *steps = &run->steps;
    const struct scenario_step *step;

    steps->armed = index;
    steps->fired = 0;
    steps->was_true = false;
    steps->true_since_ns = -1;
    steps->armed_ns = run->sim->now_ns;
    run->step = (int)index;
    step = armed_step(run);
    if (step != NULL && step->trigger != SCENARIO_WHEN) {
        int64_t time = run_draw(run, DECIDE_STEP_TIME, 0, step->time);

        steps->due_ns =
            step->trigger == SCENARIO_AT ? run->zero_ns + time : run->sim->now_ns + time;
    }
    run->dirty = true;
    steps_set_timer(run);
}

static uint64_t step_choose(struct expr_source *source, uint64_t count)
{
    struct run *run = CONTAINER_OF(source, struct run, source);
    struct decide_site site = {DECIDE_STEP_ANY, -1, (uint64_t)(run->step + 1), 0};

    return decide_below(run->sim, site, count);
}

static void step_fire(struct run *run, const struct scenario_step *step)
{
    struct run_steps *steps = &run->steps;
    const int64_t fields[] = {steps->armed + 1};
    uint32_t index = steps->armed;
    uint64_t it = 0;

    sim_tell(run->sim, TRACE_SIM_STEP, str_of(step->text), fields, 1);
    run->step = (int)index;
    run->source.choose = step_choose;
    for (uint32_t i = 0; i < step->as_count; i++) {
        struct expr_value value = expr_eval(step->as[i].selector, &run->source);

        run->source.vars[step->as[i].var] = value.kind == EXPR_SET ? value.set : 0;
    }
    for (uint32_t i = 0; i < step->action_count; i++)
        it = run_act(run, &step->actions[i], (int)index, it);
    run->source.choose = NULL;
    run->steps_fired |= UINT64_C(1) << index;
    for (uint32_t i = 0; i < run->scenario->expect_count; i++) {
        if (run->scenario->expects[i].after_step == (int32_t)index) expect_arm(run, i);
    }
    steps->fired++;
    if (steps->fired >= step->times) {
        steps_arm(run, index + 1);
    } else if (step->trigger == SCENARIO_AFTER) {
        steps->due_ns = run->sim->now_ns + run_draw(run, DECIDE_STEP_TIME, 0, step->time);
        steps_set_timer(run);
    }
}

static void step_missed(struct run *run, const struct scenario_step *step)
{
    if (step->optional || run->steps.fired > 0) {
        steps_arm(run, run->steps.armed + 1);
        return;
    }
    run->steps.missed = true;
    run_not_exercised(run, "%s did not fire within %.3f s", step->text,
                      (double)step->within_ns / (double)NS_PER_SEC);
}

/* True: something fired or was skipped, look again. */
static bool step_look(struct run *run)
{
    struct run_steps *steps = &run->steps;
    const struct scenario_step *step = armed_step(run);
    int64_t now = run->sim->now_ns;
    bool holds;

    if (step == NULL) return false;
    if (step->trigger != SCENARIO_WHEN) {
        if (now < steps->due_ns) return false;
        step_fire(run, step);
        return true;
    }
    holds = expr_holds(step->when, &run->source);
    if (!holds) {
        steps->was_true = false;
        steps->true_since_ns = -1;
    } else if (!steps->was_true) {
        if (steps->true_since_ns < 0) steps->true_since_ns = now;
        if (now - steps->true_since_ns >= step->hold_ns) {
            steps->was_true = true;
            step_fire(run, step);
            return true;
        }
    }
    if (step->within_ns > 0 && now - steps->armed_ns >= step->within_ns) {
        step_missed(run, step);
        return true;
    }
    steps_set_timer(run);
    return false;
}

static void steps_timer(struct sim_event *event)
{
    struct run_steps *steps = CONTAINER_OF(event, struct run_steps, timer);
    struct run *run = CONTAINER_OF(steps, struct run, steps);

    run->dirty = true;
    run_steps_look(run);
}

/* ---- expectations ---------------------------------------------------------------------------- */

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
        if (holds && run->phase == RUN_SAFETY) expect_failed(run, expect, "is broken");
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

void run_steps_begin(struct run *run)
{
    sim_event_init(&run->steps.timer, steps_timer);
    for (uint32_t i = 0; i < run->scenario->expect_count; i++) {
        run->expects[i].run = run;
        run->expects[i].index = i;
        sim_event_init(&run->expects[i].timer, expect_timer);
        if (run->scenario->expects[i].after_step < 0) expect_arm(run, i);
    }
    steps_arm(run, 0);
    run_steps_look(run);
}

void run_steps_look(struct run *run)
{
    if (run->phase == RUN_SETUP || run->phase >= RUN_STOPPING || !run->dirty) return;
    run->dirty = false;
    run->looks++;
    for (uint32_t i = 0; i < 64 && run->phase == RUN_SAFETY && step_look(run); i++) {
    }
    for (uint32_t i = 0; i < run->scenario->expect_count; i++)
        expect_look(run, i);
}

void run_steps_end(struct run *run)
{
    const struct run_steps *steps = &run->steps;

    sim_unschedule(run->sim, &run->steps.timer);
    for (uint32_t i = 0; i < run->scenario->step_count && !steps->missed; i++) {
        const struct scenario_step *step = &run->scenario->steps[i];

        if ((run->steps_fired >> i & 1) != 0 || step->optional) continue;
        run->result->missed = true;
        run_not_exercised(run, "%s never fired", step->text);
        return;
    }
}
