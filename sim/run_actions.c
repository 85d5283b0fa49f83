/* What the actions of a step do to the world: the one place between the language and fault.h. */
#include "sim/run_act.h"

#include "sim/plan.h"

#include <stdio.h>
#include <string.h>

/* ---- arguments ------------------------------------------------------------------------------- */

uint64_t act_nodes(struct run *run, const struct scenario_value *value)
{
    uint64_t nodes = 0;

    for (uint32_t i = 0; value != NULL && i < value->node_count; i++) {
        struct expr_value one = expr_eval(value->nodes[i], &run->source);

        if (one.kind == EXPR_SET) nodes |= one.set;
    }
    plan_note_nodes(run, value, nodes);
    return nodes;
}

int64_t act_quantity(struct run *run, const struct scenario_action *action, const char *name,
                     int64_t fallback)
{
    const struct scenario_value *value = scenario_arg(action, name);
    int64_t drawn;

    if (value == NULL) return fallback;
    drawn =
        run_draw(run, DECIDE_STEP_VALUE,
                 (uint64_t)action->kind << 8 | (uint64_t)(value - action->args), value->quantity);
    plan_note_quantity(run, value, drawn);
    return drawn;
}

int act_choice(const struct scenario_action *action, const char *name)
{
    const struct scenario_value *value = scenario_arg(action, name);

    return value != NULL ? value->choice : 0;
}

void act_meets(struct run *run, enum sim_fault fault, uint32_t index)
{
    if (!sim_fault_is_end(fault)) spread_note(run, &run->result->spread[fault], index);
}

void act_tell(struct run *run, enum sim_fault fault, bool on, int step, uint32_t index,
              const char *sentence)
{
    if (on) act_meets(run, fault, index);
    act_says(run, fault, on, step, index, sentence);
}

void act_says(struct run *run, enum sim_fault fault, bool on, int step, uint32_t index,
              const char *sentence)
{
    const struct sim_world *node = run->sim->nodes[index];
    const int64_t fields[] = {fault, on, step + 1, node->id, 1000};
    char text[160];

    (void)snprintf(text, sizeof text, "%s %s", sentence, node->name);
    sim_tell(run->sim, TRACE_SIM_FAULT, str_of(text), fields, 5);
    run->told_fault = fault;
    run->told_sentence = sentence;
}

void act_tell_pairs(struct run *run, uint64_t from, uint64_t to, bool cut)
{
    FOR_NODES (i, from) {
        FOR_NODES (j, to) {
            const int64_t fields[] = {-1, run->sim->nodes[i]->id, run->sim->nodes[j]->id, cut};

            if (i != j) sim_tell(run->sim, TRACE_SIM_BLOCKED, STR_NULL, fields, 4);
        }
    }
}

bool act_truth(const struct scenario_action *action, const char *name)
{
    const struct scenario_value *value = scenario_arg(action, name);

    return value != NULL && value->truth;
}

/* ---- what ends by itself --------------------------------------------------------------------- */

static void later_fire(struct sim_event *event)
{
    struct run_later *later = CONTAINER_OF(event, struct run_later, event);

    struct run *run = later->run;

    /* The liveness phase has healed the core; outside of it faults have become permanent. */
    if (run->phase != RUN_SAFETY) return;
    FOR_NODES (i, later->nodes) {
        if (later->sentence != NULL)
            act_tell(run, later->fault, false, later->step, i, later->sentence);
    }
    later->act(later);
}

struct run_later *run_later(struct run *run, int64_t delay_ns, void (*act)(struct run_later *later))
{
    struct run_later *later = sim_alloc(sizeof *later);

    later->run = run;
    later->act = act;
    later->next = run->laters;
    run->laters = later;
    sim_event_init(&later->event, later_fire);
    sim_schedule(run->sim, &later->event, run->sim->now_ns + delay_ns);
    return later;
}

struct run_later *act_ends_in(struct run *run, const struct scenario_action *action,
                              int64_t delay_ns, uint64_t nodes,
                              void (*act)(struct run_later *later))
{
    struct run_later *later = run_later(run, delay_ns, act);

    later->action = action;
    later->step = run->step;
    later->nodes = nodes;
    later->fault = run->told_fault;
    later->sentence = run->told_sentence;
    return later;
}

struct run_later *act_ends(struct run *run, const struct scenario_action *action, uint64_t nodes,
                           void (*act)(struct run_later *later))
{
    int64_t delay = act_quantity(run, action, "for", -1);

    return delay >= 0 ? act_ends_in(run, action, delay, nodes, act) : NULL;
}

void act_over(struct run_later *later)
{
    (void)later;
}

/* ---- all ------------------------------------------------------------------------------------- */

static void note(struct run *run, const struct scenario_action *action, int step)
{
    const int64_t fields[] = {step + 1};

    sim_tell(run->sim, TRACE_SIM_STEP, str_of(scenario_arg(action, "text")->text), fields, 1);
}

/* mark NAME: each name once a run. */
static void mark(struct run *run, const struct scenario_action *action, int step)
{
    const char *name = scenario_arg(action, "name")->text;
    const int64_t fields[] = {step + 1};
    char text[96];

    (void)snprintf(text, sizeof text, "mark %.64s", name);
    sim_tell(run->sim, TRACE_SIM_STEP, str_of(text), fields, 1);
    for (uint32_t i = 0; i < run->mark_count; i++) {
        if (strcmp(run->marks[i], name) == 0) return;
    }
    if (run->mark_count == RUN_MARKS_MAX) return;
    (void)snprintf(run->marks[run->mark_count++], sizeof run->marks[0], "%.63s", name);
}

static void fail(struct run *run, const struct scenario_action *action, int step)
{
    char check[40];

    (void)snprintf(check, sizeof check, "step:%d", step + 1);
    run_decide(run, RUN_FAIL, check, -1, "%s", scenario_arg(action, "text")->text);
}

static void later_then(struct run_later *later)
{
    (void)run_act(later->run, later->action, later->step, later->nodes);
}

/* The action itself; what it has hit. */
static uint64_t act(struct run *run, const struct scenario_action *action, int step, uint64_t it)
{
    const struct scenario_value *named = scenario_arg(action, "node");
    uint64_t nodes = it;

    if (named == NULL) named = scenario_arg(action, "nodes");
    if (named == NULL) named = scenario_arg(action, "client");
    /* `any g` of what stops or produces means one that runs. */
    run->only_up = action->kind == ACTION_STOP_CLIENT || action->kind == ACTION_PRODUCE;
    if (named != NULL) nodes = act_nodes(run, named);
    run->only_up = false;
    switch (action->kind) {
    case ACTION_CRASH: act_crash(run, action, step, nodes); break;
    case ACTION_RESTART: act_restart(run, action, step, nodes); break;
    case ACTION_CRASH_LOOP: act_crash_loop(run, action, step, nodes); break;
    case ACTION_OOM: act_oom(run, action, step, nodes); break;
    case ACTION_SHUFFLE: act_shuffle(run, action, step, nodes); break;
    case ACTION_SLEEP:
    case ACTION_PAUSE: act_pause(run, action, step, nodes); break;
    case ACTION_SLOW: act_slow(run, action, step, nodes); break;
    case ACTION_CLOCK: act_clock(run, action, step, nodes); break;
    case ACTION_FLAKY_CONNECTS: act_fail_connects(run, action, step, nodes); break;
    case ACTION_DISK_SLOW:
    case ACTION_DISK_STALL:
    case ACTION_DISK_FULL:
    case ACTION_LYING_SYNC:
    case ACTION_ROT:
    case ACTION_LOSE_WRITE:
    case ACTION_MISDIRECT:
    case ACTION_STALE_READ:
    case ACTION_SHORT_IO:
    case ACTION_DISK_BLOCK:
    case ACTION_DISK_ERROR: act_disk(run, action, step, nodes); break;
    case ACTION_WIPE:
    case ACTION_DIR_GONE:
    case ACTION_REVERT:
    case ACTION_FOREIGN: act_disk_down(run, action, step, nodes); break;
    case ACTION_SNAPSHOT: act_snapshot(run, nodes); break;
    case ACTION_SWIZZLE: act_swizzle(run, action, step, nodes); break;
    case ACTION_HOLD_MESSAGE: nodes = act_hold(run, action, step); break;
    case ACTION_COALESCE_METADATA: act_coalesce(run, action, step, nodes); break;
    case ACTION_PARTITION: nodes = act_partition(run, action, step); break;
    case ACTION_CLOG:
    case ACTION_CUT:
    case ACTION_SLOW_LINK:
    case ACTION_FLAKY:
    case ACTION_SEGMENT:
    case ACTION_SMALL_BUFFERS:
    case ACTION_HALF_OPEN:
    case ACTION_CORRUPT:
    case ACTION_RESET:
    case ACTION_HEAL: nodes = act_links(run, action, step); break;
    case ACTION_NOTE: note(run, action, step); return UINT64_MAX;
    case ACTION_CHECK: run->memory_turns = 0; return UINT64_MAX;
    case ACTION_BEGIN_LIVENESS: run->liveness_asked = true; return UINT64_MAX;
    case ACTION_MARK: mark(run, action, step); return UINT64_MAX;
    case ACTION_FAIL: fail(run, action, step); return UINT64_MAX;
    case ACTION_CREATE_TOPIC:
    case ACTION_DELETE_TOPIC:
    case ACTION_ADD_PARTITIONS:
    case ACTION_DELETE_RECORDS:
    case ACTION_CONFIG:
    case ACTION_FEATURES:
    case ACTION_REASSIGN:
    case ACTION_CANCEL_REASSIGN:
    case ACTION_UNREGISTER:
    case ACTION_ELECT: run_act_cluster(run, action, step); return UINT64_MAX;
    case ACTION_MOVE_DIR: run_act_move_dir(run, action, step, nodes); break;
    case ACTION_ADD_VOTER:
    case ACTION_REMOVE_VOTER: run_act_voters(run, action, step, nodes); break;
    case ACTION_UPGRADE: act_upgrade(run, action, step, nodes); break;
    case ACTION_START_CLIENT:
    case ACTION_STOP_CLIENT:
    case ACTION_PRODUCE: return run_act_client(run, action, step, nodes);
    case ACTIONS: IMPOSSIBLE("kind of an action");
    }
    return nodes;
}

/* An action of a step with an `after` of its own comes so long after the step. */
uint64_t run_act_of_step(struct run *run, const struct scenario_action *action, int step,
                         uint64_t it)
{
    struct run_later *later;

    if (action->after.max == 0) return run_act(run, action, step, it);
    later = run_later(run, run_draw(run, DECIDE_STEP_THEN, 0, action->after), later_then);
    later->action = action;
    later->step = step;
    later->nodes = it;
    return it;
}

uint64_t run_act(struct run *run, const struct scenario_action *action, int step, uint64_t it)
{
    uint64_t (*choose)(struct expr_source * source, uint64_t count) = run->source.choose;
    uint64_t hit;

    run->step = step;
    run->source.it = it;
    run->source.choose = run_steps_choose;
    plan_note_before(run);
    if (action->one_of_count > 0) {
        struct decide_site site = {DECIDE_STEP_ONE_OF, -1, (uint64_t)(step + 1), 0};
        uint64_t index = decide_below(run->sim, site, action->one_of_count);

        hit = run_act(run, &action->one_of[index], step, it);
    } else {
        hit = act(run, action, step, it);
        plan_note_after(run, action, step, hit);
    }
    run->source.it = hit;
    run->source.choose = choose;
    if (hit == 0 && step >= 0 && action->one_of_count == 0) { /* what is random may miss */
        run_not_exercised(run, "step %d: %s found nobody to act on at %.3f s", step + 1,
                          language_action(action->kind)->name,
                          (double)run_time(run) / (double)NS_PER_SEC);
    }
    if (action->then != NULL) {
        struct run_later *later =
            run_later(run, run_draw(run, DECIDE_STEP_THEN, 0, action->then->after), later_then);

        later->action = action->then;
        later->step = step;
        later->nodes = hit;
    }
    return hit;
}
