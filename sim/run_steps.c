/* When steps fire.
 *
 *   WAITING --its turn--> ARMED --its trigger, `times` often--> OVER
 *                           `-- within ran out ----------------> OVER, or nothing fires any more
 *
 * Steps are armed in the order of the file: the next one when this one is over, at once beside a
 * `parallel` one, and with the first beat of an `every`. `at`, `after` and `every` fire by the
 * clock; `when` fires when its condition is found true after a turn (at once, if it holds when the
 * step is armed), or has held long enough; `on` fires inside the turn of the node, at the very
 * event: what the node does behind it in the same callback is undone when the action kills it. */
#include "sim/run.h"

#include <stdio.h>
#include <string.h>

static const struct scenario_step *step_of(const struct run *run, const struct run_step *step)
{
    return &run->scenario->steps[step->index];
}

static bool step_by_clock(const struct scenario_step *words)
{
    return words->trigger == SCENARIO_AT || words->trigger == SCENARIO_AFTER ||
           words->trigger == SCENARIO_EVERY;
}

/* ---- arming ---------------------------------------------------------------------------------- */

/* The clock looks again at the earliest moment at which the step may need it. */
static void step_set_timer(struct run *run, struct run_step *step)
{
    const struct scenario_step *words = step_of(run, step);
    int64_t next = INT64_MAX;

    sim_unschedule(run->sim, &step->timer);
    if (step->state != RUN_STEP_ARMED) return;
    if (step_by_clock(words)) next = step->due_ns;
    if (words->hold_ns > 0 && step->true_since_ns >= 0 && !step->was_true) {
        next = step->true_since_ns + words->hold_ns;
    }
    if (words->within_ns > 0 && step->armed_ns + words->within_ns < next) {
        next = step->armed_ns + words->within_ns;
    }
    if (next != INT64_MAX) sim_schedule(run->sim, &step->timer, next);
}

static void step_arm(struct run *run, struct run_step *step)
{
    const struct scenario_step *words = step_of(run, step);

    step->state = RUN_STEP_ARMED;
    step->true_since_ns = -1;
    step->armed_ns = run->sim->now_ns;
    if (step_by_clock(words)) {
        int64_t time;

        run->step = (int)step->index;
        time = run_draw(run, DECIDE_STEP_TIME, 0, words->time);
        step->due_ns =
            words->trigger == SCENARIO_AT ? run->zero_ns + time : run->sim->now_ns + time;
    }
    run->dirty = true;
    step_set_timer(run, step);
}

/* The next one, and those beside it. */
static void steps_arm_next(struct run *run)
{
    struct run_steps *steps = &run->steps;

    while (steps->next < run->scenario->step_count) {
        struct run_step *step = &steps->all[steps->next++];

        step_arm(run, step);
        if (!step_of(run, step)->parallel) return;
    }
}

/* The step lets the next one have its turn: once, and nobody waits for a parallel one. */
static void step_pass(struct run *run, const struct run_step *step)
{
    if (step->index + 1 == run->steps.next && !step_of(run, step)->parallel) steps_arm_next(run);
}

static void step_over(struct run *run, struct run_step *step)
{
    step->state = RUN_STEP_OVER;
    sim_unschedule(run->sim, &step->timer);
    step_pass(run, step);
}

/* ---- firing ---------------------------------------------------------------------------------- */

uint64_t run_steps_choose(struct expr_source *source, uint64_t count)
{
    struct run *run = CONTAINER_OF(source, struct run, source);
    struct decide_site site = {DECIDE_STEP_ANY, -1, (uint64_t)(run->step + 1), 0};

    return decide_below(run->sim, site, count);
}

static void step_act(struct run *run, struct run_step *step, uint64_t it)
{
    const struct scenario_step *words = step_of(run, step);
    const int64_t fields[] = {step->index + 1};

    run->steps.busy = true;
    sim_tell(run->sim, TRACE_SIM_STEP, str_of(words->text), fields, 1);
    run->source.choose = run_steps_choose;
    run->source.it = it;
    for (uint32_t i = 0; i < words->as_count; i++) {
        struct expr_value value = expr_eval(words->as[i].selector, &run->source);

        run->source.vars[words->as[i].var] = value.kind == EXPR_SET ? value.set : 0;
    }
    for (uint32_t i = 0; i < words->action_count; i++)
        it = run_act_of_step(run, &words->actions[i], (int)step->index, it);
    run->source.choose = NULL;
    run->steps.busy = false;
    step->fired++;
    run_expects_step(run, step->index);
}

static bool step_lucky(struct run *run, uint32_t chance)
{
    struct decide_site site = {DECIDE_STEP_CHANCE, -1, (uint64_t)(run->step + 1), 0};

    return decide_chance(run->sim, site, chance);
}

/* Its trigger has happened; the guards decide. False: it did not count. */
static bool step_comes(struct run *run, struct run_step *step, uint64_t it)
{
    const struct scenario_step *words = step_of(run, step);

    if (words->only_if != NULL) {
        run->source.it = it;
        if (!expr_holds(words->only_if, &run->source)) return false;
    }
    step->came++;
    step->matched = 0;
    run->step = (int)step->index;
    if (words->chance == RNG_MILLION || step_lucky(run, words->chance)) {
        step_act(run, step, it);
    }
    if (words->times > 0 && step->came >= words->times) {
        step_over(run, step);
    } else if (words->trigger == SCENARIO_EVERY && step->came == 1) {
        step_pass(run, step);
    }
    return true;
}

static void step_missed(struct run *run, struct run_step *step)
{
    const struct scenario_step *words = step_of(run, step);

    if (words->optional || step->came > 0) {
        step_over(run, step);
        return;
    }
    run->steps.missed = true;
    run_not_exercised(run, "%s did not fire within %.3f s", words->text,
                      (double)words->within_ns / (double)NS_PER_SEC);
}

/* ---- by the clock, and by conditions --------------------------------------------------------- */

/* True: it fired or is over. */
static bool step_look_clock(struct run *run, struct run_step *step)
{
    const struct scenario_step *words = step_of(run, step);
    bool came;

    if (run->sim->now_ns < step->due_ns) return false;
    came = step_comes(run, step, 0);
    if (step->state == RUN_STEP_OVER) return true;
    if (!came && words->trigger != SCENARIO_EVERY) {
        step_over(run, step); /* "if" did not hold at its one moment */
        return true;
    }
    run->step = (int)step->index;
    step->due_ns = run->sim->now_ns + run_draw(run, DECIDE_STEP_TIME, 0, words->time);
    step_set_timer(run, step);
    return came;
}

static bool step_look_when(struct run *run, struct run_step *step)
{
    const struct scenario_step *words = step_of(run, step);
    int64_t now = run->sim->now_ns;

    if (!expr_holds(words->when, &run->source)) {
        step->was_true = false;
        step->true_since_ns = -1;
        return false;
    }
    if (step->was_true) return false;
    if (step->true_since_ns < 0) step->true_since_ns = now;
    if (now - step->true_since_ns < words->hold_ns) return false;
    if (!step_comes(run, step, 0)) return false; /* and looks again while the condition holds */
    step->was_true = true;
    return true;
}

static bool step_look(struct run *run, struct run_step *step)
{
    const struct scenario_step *words = step_of(run, step);
    bool fired = false;

    if (step_by_clock(words)) {
        fired = step_look_clock(run, step);
    } else if (words->trigger == SCENARIO_WHEN) {
        fired = step_look_when(run, step);
    }
    if (fired || step->state != RUN_STEP_ARMED) return fired;
    if (words->within_ns > 0 && run->sim->now_ns - step->armed_ns >= words->within_ns) {
        step_missed(run, step);
        return true;
    }
    step_set_timer(run, step);
    return false;
}

static void step_timer(struct sim_event *event)
{
    struct run_step *step = CONTAINER_OF(event, struct run_step, timer);

    step->run->dirty = true;
    run_look(step->run);
}

/* ---- at the very event ----------------------------------------------------------------------- */

static uint64_t bit_of(const struct sim_world *node)
{
    return node->index < EXPR_NODES_MAX ? UINT64_C(1) << node->index : 0;
}

static bool in_selector(struct run *run, const struct expr *selector, const struct sim_world *node)
{
    struct expr_value value;

    if (selector == NULL) return true;
    if (node == NULL) return false;
    value = expr_eval(selector, &run->source);
    return value.kind == EXPR_SET && (value.set & bit_of(node)) != 0;
}

static bool on_point(struct run *run, const struct run_step *step, const struct sim_world *node,
                     const struct trace_event *event)
{
    const struct scenario_step *words = step_of(run, step);

    if (words->trigger == SCENARIO_POINT) return step->kinds[event->kind];
    if (words->trigger != SCENARIO_API || event->kind != TRACE_RPC_RECEIVED) return false;
    if (event->fields[2] != words->api) return false;
    return words->from == NULL ||
           in_selector(run, words->from, sim_net_peer(node, (uint64_t)event->fields[0]));
}

/* One more match of an armed step; the n-th fires. */
static void step_match(struct run *run, struct run_step *step, const struct sim_world *node)
{
    const struct scenario_step *words = step_of(run, step);

    if (!in_selector(run, words->node, node)) return;
    if (++step->matched < words->nth) return;
    (void)step_comes(run, step, bit_of(node));
}

static bool steps_watch(const struct run *run)
{
    return run->phase == RUN_SAFETY && !run->steps.busy && !run->steps.missed && run->steps.watches;
}

void run_steps_point(struct run *run, struct sim_world *node, const struct trace_event *event)
{
    if (!steps_watch(run)) return;
    for (uint32_t i = 0; i < run->steps.next; i++) {
        struct run_step *step = &run->steps.all[i];

        if (step->state != RUN_STEP_ARMED) continue;
        if (on_point(run, step, node, event)) step_match(run, step, node);
    }
}

static bool on_disk(const struct scenario_step *words, enum disk_op op, const char *path)
{
    static const uint32_t ops[] = {1u << DISK_WRITE,
                                   1u << DISK_READ,
                                   1u << DISK_SYNC | 1u << DISK_SYNC_MANY | 1u << DISK_SYNC_DIR,
                                   1u << DISK_OPEN,
                                   1u << DISK_TRUNCATE,
                                   1u << DISK_RENAME,
                                   1u << DISK_UNLINK};

    return words->trigger == SCENARIO_DISK && (ops[words->disk_op] >> op & 1) != 0 &&
           sim_glob(words->glob, path);
}

void run_steps_disk(struct run *run, struct sim_world *node, enum disk_op op, const char *path)
{
    if (!steps_watch(run)) return;
    for (uint32_t i = 0; i < run->steps.next; i++) {
        struct run_step *step = &run->steps.all[i];

        if (step->state != RUN_STEP_ARMED) continue;
        if (on_disk(step_of(run, step), op, path)) step_match(run, step, node);
    }
}

/* ---- entry points ---------------------------------------------------------------------------- */

void run_steps_begin(struct run *run)
{
    for (uint32_t i = 0; i < run->scenario->step_count; i++) {
        const struct scenario_step *words = &run->scenario->steps[i];
        struct run_step *step = &run->steps.all[i];

        step->run = run;
        step->index = i;
        sim_event_init(&step->timer, step_timer);
        if (words->trigger >= SCENARIO_POINT) run->steps.watches = true;
        for (int kind = 0; words->trigger == SCENARIO_POINT && kind < TRACE_KIND_COUNT; kind++)
            step->kinds[kind] = language_point(words->glob, (enum trace_kind)kind);
    }
    steps_arm_next(run);
    run_look(run);
}

bool run_steps_look(struct run *run)
{
    bool fired = false;

    for (uint32_t i = 0; i < run->steps.next && !run->steps.missed; i++) {
        struct run_step *step = &run->steps.all[i];

        if (step->state == RUN_STEP_ARMED) fired = step_look(run, step) || fired;
    }
    return fired;
}

void run_look(struct run *run)
{
    if (run->phase == RUN_SETUP || run->phase >= RUN_STOPPING || !run->dirty) return;
    run->dirty = false;
    run->looks++;
    for (uint32_t i = 0; i < 64 && run->phase == RUN_SAFETY && run_steps_look(run); i++) {
    }
    run_expects_look(run);
}

void run_steps_end(struct run *run)
{
    for (uint32_t i = 0; i < run->scenario->step_count; i++) {
        struct run_step *step = &run->steps.all[i];

        sim_unschedule(run->sim, &step->timer);
        if (run->steps.missed || step->came > 0 || step_of(run, step)->optional) continue;
        run->result->missed = true;
        run_not_exercised(run, "%s never fired", step_of(run, step)->text);
        run->steps.missed = true;
    }
}
