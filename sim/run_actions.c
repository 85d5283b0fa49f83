/* What the actions of a step do to the world: the one place between the language and fault.h. */
#include "sim/run.h"

#include "sim/plan.h"

#include <stdio.h>
#include <string.h>

/* ---- arguments ------------------------------------------------------------------------------- */

static uint64_t select_nodes(struct run *run, const struct scenario_value *value)
{
    uint64_t nodes = 0;

    for (uint32_t i = 0; value != NULL && i < value->node_count; i++) {
        struct expr_value one = expr_eval(value->nodes[i], &run->source);

        if (one.kind == EXPR_SET) nodes |= one.set;
    }
    plan_note_nodes(run, value, nodes);
    return nodes;
}

static int64_t quantity(struct run *run, const struct scenario_action *action, const char *name,
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

static int choice(const struct scenario_action *action, const char *name)
{
    const struct scenario_value *value = scenario_arg(action, name);

    return value != NULL ? value->choice : 0;
}

/* Says what is done to whom, before it happens. */
static void tell(struct run *run, enum sim_fault fault, bool on, int step, uint32_t index,
                 const char *sentence)
{
    const struct sim_world *node = run->sim->nodes[index];
    const int64_t fields[] = {fault, on, step + 1, node->id, 1000};
    char text[160];

    (void)snprintf(text, sizeof text, "%s %s", sentence, node->name);
    sim_tell(run->sim, TRACE_SIM_FAULT, str_of(text), fields, 5);
}

#define FOR_NODES(index, set)                                                     \
    for (uint32_t index = 0; index < run->sim->node_count && index < 64; index++) \
        if (((set) >> index & 1) != 0)

/* ---- what ends by itself --------------------------------------------------------------------- */

static void later_fire(struct sim_event *event)
{
    struct run_later *later = CONTAINER_OF(event, struct run_later, event);

    /* The liveness phase has healed the core; outside of it faults have become permanent. */
    if (later->run->phase == RUN_SAFETY) later->act(later);
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

static void later_resume(struct run_later *later)
{
    struct run *run = later->run;

    FOR_NODES (i, later->nodes) {
        if (run->sim->nodes[i]->paused) sim_resume(run->sim->nodes[i]);
    }
}

static void later_fast(struct run_later *later)
{
    struct run *run = later->run;

    FOR_NODES (i, later->nodes) {
        sim_slow_cpu(run->sim->nodes[i], 1000);
    }
}

static void later_disk(struct run_later *later)
{
    struct run *run = later->run;

    FOR_NODES (i, later->nodes) {
        if (later->action->kind == ACTION_DISK_SLOW) sim_slow_disk(run->sim->nodes[i], 1000);
        if (later->action->kind == ACTION_DISK_FULL) sim_fill_disk(run->sim->nodes[i], UINT64_MAX);
    }
}

static void later_heal(struct run_later *later)
{
    struct run *run = later->run;

    sim_heal_one_way(run->sim, later->nodes, later->others, later->style);
}

/* Ends by `act` after the action's "for", if it has one. */
static struct run_later *ends(struct run *run, const struct scenario_action *action, uint64_t nodes,
                              void (*act)(struct run_later *later))
{
    int64_t delay = quantity(run, action, "for", -1);
    struct run_later *later;

    if (delay < 0) return NULL;
    later = run_later(run, delay, act);
    later->action = action;
    later->nodes = nodes;
    return later;
}

/* ---- processes ------------------------------------------------------------------------------- */

/* Per million, up to a `part`-th of all. */
static uint32_t draw_share(struct run *run, enum decide_what what, int64_t part)
{
    return (uint32_t)run_draw(run, what, 0, (struct unit_range){0, RNG_MILLION / part - 1});
}

/* What the power loss of this crash keeps of what was not synced. */
static struct sim_loss loss_of(struct run *run, const struct scenario_action *action)
{
    const struct scenario_value *value = scenario_arg(action, "unsynced");
    uint32_t keep;
    uint32_t tear;

    if (value == NULL) return run->scenario->loss;
    switch (value->choice) {
    case 0: return (struct sim_loss){.policy = SIM_LOSS_NOTHING};
    case 1: return (struct sim_loss){.policy = SIM_LOSS_EVERYTHING};
    case 2: return (struct sim_loss){SIM_LOSS_PAGES, 400000, 500000, 0};
    case 3: return (struct sim_loss){SIM_LOSS_PAGES, 400000, 200000, 300000};
    default: break;
    }
    keep = draw_share(run, DECIDE_LOSS_KEEP, 1);
    tear = draw_share(run, DECIDE_LOSS_TEAR, 2);
    return (struct sim_loss){SIM_LOSS_PAGES, keep, tear, draw_share(run, DECIDE_LOSS_GARBAGE, 4)};
}

static void act_crash(struct run *run, const struct scenario_action *action, int step,
                      uint64_t nodes)
{
    int how = choice(action, "how");

    FOR_NODES (i, nodes) {
        struct sim_world *node = run->sim->nodes[i];

        if (how == 2) {
            tell(run, SIM_FAULT_KILL, true, step, i, "orderly stop of");
            if (i < run->cluster->count) cluster_stop(run->cluster, i);
        } else if (how == 1) {
            tell(run, SIM_FAULT_POWER_LOSS, true, step, i, "power loss of");
            sim_disk_settings(node->disk)->loss = loss_of(run, action);
            sim_crash(node, SIM_DOWN_POWER);
        } else {
            tell(run, SIM_FAULT_KILL, true, step, i, "kill of");
            sim_crash(node, SIM_DOWN_KILL);
        }
    }
}

static void act_restart(struct run *run, int step, uint64_t nodes)
{
    FOR_NODES (i, nodes) {
        struct sim_world *node = run->sim->nodes[i];

        if (node->up && node->doomed == SIM_DOWN_NOT) continue;
        tell(run, SIM_FAULT_START, true, step, i, "start of");
        sim_restart(node);
    }
}

static void act_pause(struct run *run, const struct scenario_action *action, int step,
                      uint64_t nodes)
{
    FOR_NODES (i, nodes) {
        tell(run, SIM_FAULT_PAUSE, true, step, i, "pause of");
        sim_pause(run->sim->nodes[i]);
    }
    (void)ends(run, action, nodes, later_resume);
}

static void act_slow(struct run *run, const struct scenario_action *action, int step,
                     uint64_t nodes)
{
    int64_t permille = quantity(run, action, "cpu", 1000);

    FOR_NODES (i, nodes) {
        tell(run, SIM_FAULT_SLOW_CPU, true, step, i, "slow CPU of");
        sim_slow_cpu(run->sim->nodes[i], permille > 0 ? permille : 1);
    }
    (void)ends(run, action, nodes, later_fast);
}

static void act_clock(struct run *run, const struct scenario_action *action, int step,
                      uint64_t nodes)
{
    bool jumps = scenario_arg(action, "jump") != NULL;
    bool drifts = scenario_arg(action, "drift") != NULL;
    int64_t jump_ms = quantity(run, action, "jump", 0) / NS_PER_MS;
    int64_t drift = quantity(run, action, "drift", 0);

    FOR_NODES (i, nodes) {
        tell(run, jumps ? SIM_FAULT_CLOCK_STEP : SIM_FAULT_CLOCK_DRIFT, true, step, i, "clock of");
        if (jumps) sim_clock_step(run->sim->nodes[i], jump_ms);
        if (drifts) sim_clock_drift(run->sim->nodes[i], drift);
    }
}

/* ---- network --------------------------------------------------------------------------------- */

static uint64_t act_partition(struct run *run, const struct scenario_action *action, int step)
{
    uint64_t from = select_nodes(run, scenario_arg(action, "from"));
    uint64_t to = select_nodes(run, scenario_arg(action, "to"));
    const struct scenario_value *both = scenario_arg(action, "both");
    enum sim_cut style = (enum sim_cut)choice(action, "style");
    bool two_way = both != NULL && both->truth;
    struct run_later *later;

    if (from == 0 || to == 0) return 0;
    FOR_NODES (i, from) {
        tell(run, two_way ? SIM_FAULT_CUT : SIM_FAULT_CUT_ONE_WAY, true, step, i,
             two_way ? "cut around" : "one-way cut from");
    }
    if (two_way) {
        sim_partition(run->sim, from, to, style);
    } else {
        sim_partition_one_way(run->sim, from, to, style);
    }
    later = ends(run, action, from, later_heal);
    if (later != NULL) {
        later->others = to;
        later->style = style;
    }
    if (later != NULL && two_way) {
        struct run_later *back =
            run_later(run, later->event.node.deadline - run->sim->now_ns, later_heal);

        back->nodes = to;
        back->others = from;
        back->style = style;
    }
    return from;
}

/* One direction of a link, node by node. */
static void link_pair(struct run *run, const struct scenario_action *action, uint32_t from,
                      uint32_t to, int64_t until_ns)
{
    struct sim_world *first = run->sim->nodes[from];
    struct sim_world *second = run->sim->nodes[to];

    if (action->kind == ACTION_CLOG) {
        sim_clog(first, second, until_ns);
    } else if (action->kind == ACTION_RESET) {
        sim_reset(first, second, SIM_NOTICE_BOTH);
    } else {
        (void)sim_net_mend_all(run->sim, from, to);
    }
}

static void link_sets(struct run *run, const struct scenario_action *action, uint64_t from,
                      uint64_t to, int64_t until_ns)
{
    FOR_NODES (i, from) {
        FOR_NODES (j, to) {
            if (i != j) link_pair(run, action, i, j, until_ns);
        }
    }
}

static uint64_t act_links(struct run *run, const struct scenario_action *action, int step)
{
    const struct scenario_value *value = scenario_arg(action, "links");
    int64_t until_ns = run->sim->now_ns + quantity(run, action, "for", 0);
    enum sim_fault fault = action->kind == ACTION_CLOG    ? SIM_FAULT_CLOG
                           : action->kind == ACTION_RESET ? SIM_FAULT_RESET
                                                          : SIM_FAULT_HEAL;
    const char *sentence = action->kind == ACTION_CLOG    ? "clog from"
                           : action->kind == ACTION_RESET ? "reset of connections of"
                                                          : "heal of";
    uint64_t hit = 0;

    if (value->all_links) {
        if (action->kind == ACTION_HEAL) {
            tell(run, fault, false, step, 0, "heal of all links, beginning with");
            sim_heal_all(run->sim);
            return UINT64_MAX;
        }
        link_sets(run, action, UINT64_MAX, UINT64_MAX, until_ns);
        return UINT64_MAX;
    }
    for (uint32_t i = 0; i < value->link_count; i++) {
        uint64_t from = expr_eval(value->links[i].from, &run->source).set;
        uint64_t to = expr_eval(value->links[i].to, &run->source).set;

        plan_note_link(run, i, from, to);

        if (to == 0) continue;
        FOR_NODES (j, from) {
            tell(run, fault, action->kind != ACTION_HEAL, step, j, sentence);
        }
        link_sets(run, action, from, to, until_ns);
        if (value->links[i].both) link_sets(run, action, to, from, until_ns);
        hit |= from;
    }
    return hit;
}

static void act_fail_connects(struct run *run, const struct scenario_action *action, int step,
                              uint64_t nodes)
{
    uint32_t times = (uint32_t)quantity(run, action, "times", 1);

    FOR_NODES (i, nodes) {
        tell(run, SIM_FAULT_FAIL_CONNECTS, true, step, i, "failing connects to");
        sim_fail_connects(run->sim->nodes[i], (enum sim_connect_fault)choice(action, "how"), times);
    }
}

/* ---- disks ----------------------------------------------------------------------------------- */

static void break_disk(struct run *run, const struct scenario_action *action,
                       struct sim_world *node)
{
    static const uint32_t ops[] = {
        1u << DISK_WRITE, 1u << DISK_READ,     1u << DISK_SYNC | 1u << DISK_SYNC_MANY,
        1u << DISK_OPEN,  1u << DISK_TRUNCATE, 1u << DISK_RENAME};
    const struct scenario_value *file = scenario_arg(action, "file");
    struct sim_disk_rule rule = {
        .ops = ops[choice(action, "op")],
        .nth = (uint32_t)quantity(run, action, "nth", 1),
        .times = (uint32_t)quantity(run, action, "times", 1),
        .error = choice(action, "errno") == 1 ? ERR_NO_SPACE : ERR_IO,
    };

    if (file != NULL) (void)snprintf(rule.glob, sizeof rule.glob, "*%.120s*", file->text);
    (void)sim_break_disk(node, &rule);
}

static void act_disk(struct run *run, const struct scenario_action *action, int step,
                     uint64_t nodes)
{
    int64_t factor = quantity(run, action, "factor", 1000);
    int64_t stall_ns = action->kind == ACTION_DISK_STALL ? quantity(run, action, "for", 0) : 0;
    int64_t left = quantity(run, action, "free", 0);

    FOR_NODES (i, nodes) {
        struct sim_world *node = run->sim->nodes[i];

        if (i < run->cluster->count) run->cluster->nodes[i].disk_faulted = true;
        if (action->kind == ACTION_DISK_SLOW) {
            tell(run, SIM_FAULT_DISK_SLOW, true, step, i, "slow disk of");
            sim_slow_disk(node, factor > 0 ? factor : 1);
        } else if (action->kind == ACTION_DISK_STALL) {
            tell(run, SIM_FAULT_DISK_STALL, true, step, i, "stalled disk of");
            sim_stall_disk(node, run->sim->now_ns + stall_ns);
        } else if (action->kind == ACTION_DISK_FULL) {
            tell(run, SIM_FAULT_DISK_FULL, true, step, i, "full disk of");
            sim_fill_disk(node, (uint64_t)left);
        } else {
            tell(run, SIM_FAULT_DISK_ERROR, true, step, i, "disk error on");
            break_disk(run, action, node);
        }
    }
    if (action->kind == ACTION_DISK_SLOW || action->kind == ACTION_DISK_FULL) {
        (void)ends(run, action, nodes, later_disk);
    }
}

/* ---- all ------------------------------------------------------------------------------------- */

static void note(struct run *run, const struct scenario_action *action, int step)
{
    const int64_t fields[] = {step + 1};

    sim_tell(run->sim, TRACE_SIM_STEP, str_of(scenario_arg(action, "text")->text), fields, 1);
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
    if (named != NULL) nodes = select_nodes(run, named);
    switch (action->kind) {
    case ACTION_CRASH: act_crash(run, action, step, nodes); break;
    case ACTION_RESTART: act_restart(run, step, nodes); break;
    case ACTION_PAUSE: act_pause(run, action, step, nodes); break;
    case ACTION_SLOW: act_slow(run, action, step, nodes); break;
    case ACTION_CLOCK: act_clock(run, action, step, nodes); break;
    case ACTION_FLAKY_CONNECTS: act_fail_connects(run, action, step, nodes); break;
    case ACTION_DISK_SLOW:
    case ACTION_DISK_STALL:
    case ACTION_DISK_FULL:
    case ACTION_DISK_ERROR: act_disk(run, action, step, nodes); break;
    case ACTION_PARTITION: nodes = act_partition(run, action, step); break;
    case ACTION_CLOG:
    case ACTION_RESET:
    case ACTION_HEAL: nodes = act_links(run, action, step); break;
    case ACTION_NOTE: note(run, action, step); return UINT64_MAX;
    case ACTION_CHECK: run->memory_turns = 0; return UINT64_MAX;
    case ACTION_BEGIN_LIVENESS: run->liveness_asked = true; return UINT64_MAX;
    case ACTIONS: IMPOSSIBLE("kind of an action");
    }
    return nodes;
}

uint64_t run_act(struct run *run, const struct scenario_action *action, int step, uint64_t it)
{
    uint64_t hit;

    run->step = step;
    run->source.it = it;
    plan_note_before(run);
    hit = act(run, action, step, it);
    plan_note_after(run, action, step, hit);
    run->source.it = hit;
    if (hit == 0) {
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
