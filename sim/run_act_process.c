/* Actions on processes and clocks. */
#include "sim/run_act.h"

#include <stdio.h>

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
    case 5: return (struct sim_loss){.policy = SIM_LOSS_PREFIX};
    case 6: return (struct sim_loss){SIM_LOSS_RANDOM, 500000, 100000, 0};
    case 7: return (struct sim_loss){SIM_LOSS_NAMES, 500000, 0, 0};
    default: break;
    }
    keep = draw_share(run, DECIDE_LOSS_KEEP, 1);
    tear = draw_share(run, DECIDE_LOSS_TEAR, 2);
    return (struct sim_loss){SIM_LOSS_PAGES, keep, tear, draw_share(run, DECIDE_LOSS_GARBAGE, 4)};
}

void act_crash(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    int how = act_choice(action, "how");

    FOR_NODES (i, nodes) {
        struct sim_world *node = run->sim->nodes[i];

        if (how == 2) {
            act_tell(run, SIM_FAULT_STOP, true, step, i, "orderly stop of");
            sim_fault_asked(run->sim, SIM_FAULT_STOP);
            if (node->up) sim_fault_hit(run->sim, SIM_FAULT_STOP);
            if (i < run->cluster->count) cluster_stop(run->cluster, i);
        } else if (how == 1) {
            act_tell(run, SIM_FAULT_POWER_LOSS, true, step, i, "power loss of");
            sim_disk_settings(node->disk)->loss = loss_of(run, action);
            sim_crash(node, SIM_DOWN_POWER);
        } else {
            act_tell(run, SIM_FAULT_KILL, true, step, i, "kill of");
            sim_crash(node, SIM_DOWN_KILL);
        }
    }
}

/* P10 */
static void restart_with(struct run *run, uint32_t index, const char *settings)
{
    struct errmsg error = {.text = ""};

    sim_fault_asked(run->sim, SIM_FAULT_RECONFIGURE);
    if (index < run->cluster->count && cluster_reconfigure(run->cluster, index, settings, &error)) {
        sim_fault_hit(run->sim, SIM_FAULT_RECONFIGURE);
        return;
    }
    run_not_exercised(run, "restart with \"%s\": %.160s", settings, error.text);
}

void act_restart(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    const struct scenario_value *with = scenario_arg(action, "with");

    FOR_NODES (i, nodes) {
        struct sim_world *node = run->sim->nodes[i];

        if (node->up) continue;
        act_tell(run, SIM_FAULT_START, true, step, i, "start of");
        if (with != NULL) restart_with(run, i, with->text);
        sim_restart(node);
    }
}

void act_pause(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    bool sleeps = action->kind == ACTION_SLEEP;

    FOR_NODES (i, nodes) {
        act_tell(run, sleeps ? SIM_FAULT_SLEEP : SIM_FAULT_PAUSE, true, step, i,
                 sleeps ? "sleep of" : "pause of");
        if (sleeps) {
            sim_sleep(run->sim->nodes[i], act_choice(action, "monotonic") == 0);
        } else {
            sim_pause(run->sim->nodes[i]);
        }
    }
    (void)act_ends(run, action, nodes, later_resume);
}

void act_slow(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    int64_t permille = act_quantity(run, action, "cpu", 1000);

    FOR_NODES (i, nodes) {
        act_tell(run, SIM_FAULT_SLOW_CPU, true, step, i, "slow CPU of");
        sim_slow_cpu(run->sim->nodes[i], permille > 0 ? permille : 1);
    }
    (void)act_ends(run, action, nodes, later_fast);
}

static void later_step(struct run_later *later)
{
    struct run *run = later->run;
    struct unit_range range = run->scenario->clock_step_ns;

    FOR_NODES (i, later->nodes) {
        struct decide_site site = {DECIDE_NODE_STEP, run->sim->nodes[i]->id, 1, 0};

        act_tell(run, SIM_FAULT_CLOCK_STEP, true, -1, i, "clock of");
        sim_clock_step(run->sim->nodes[i],
                       decide_range(run->sim, site, range.min, range.max) / NS_PER_MS);
    }
}

void run_clocks_begin(struct run *run)
{
    const struct scenario *scenario = run->scenario;

    if (scenario->clock_step_ns.min == 0 && scenario->clock_step_ns.max == 0) return;
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        struct decide_site site = {DECIDE_NODE_STEP, run->sim->nodes[i]->id, 0, 0};

        run_later(run, decide_range(run->sim, site, 0, scenario->stop_ns), later_step)->nodes =
            UINT64_C(1) << i;
    }
}

static void later_clock(struct run_later *later)
{
    struct run *run = later->run;

    FOR_NODES (i, later->nodes) {
        if (scenario_arg(later->action, "coarse") != NULL) sim_clock_coarse(run->sim->nodes[i], 0);
        if (scenario_arg(later->action, "late") != NULL) sim_timers_late(run->sim->nodes[i], 0);
    }
}

void act_clock(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    static const struct {
        const char *name;
        enum sim_fault fault;
    } parts[] = {{"jump", SIM_FAULT_CLOCK_STEP},
                 {"drift", SIM_FAULT_CLOCK_DRIFT},
                 {"skew", SIM_FAULT_CLOCK_OFFSET},
                 {"coarse", SIM_FAULT_CLOCK_COARSE},
                 {"late", SIM_FAULT_TIMER_LATE}};

    for (uint32_t part = 0; part < COUNT_OF(parts); part++) {
        int64_t value;

        if (scenario_arg(action, parts[part].name) == NULL) continue;
        value = act_quantity(run, action, parts[part].name, 0);
        FOR_NODES (i, nodes) {
            struct sim_world *node = run->sim->nodes[i];

            act_tell(run, parts[part].fault, true, step, i, "clock of");
            if (part == 0) sim_clock_step(node, value / NS_PER_MS);
            if (part == 1) sim_clock_drift(node, value);
            if (part == 2) sim_clock_offset(node, value / NS_PER_MS);
            if (part == 3) sim_clock_coarse(node, value / NS_PER_MS);
            if (part == 4) sim_timers_late(node, value);
        }
    }
    (void)act_ends(run, action, nodes, later_clock);
}

/* ---- what is hit from inside ----------------------------------------------------------------- */

void act_crash_loop(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    const struct scenario_value *point = scenario_arg(action, "point");
    bool power = act_choice(action, "how") == 1;
    struct sim_crash_loop loop = {
        .how = power ? SIM_DOWN_POWER : SIM_DOWN_KILL,
        .event = (uint64_t)act_quantity(run, action, "event", 0),
        .nth = (uint32_t)act_quantity(run, action, "nth", 1),
        .times = (uint32_t)act_quantity(run, action, "times", 1),
        .again_ns = act_quantity(run, action, "again", NS_PER_SEC / 10),
    };

    if (point != NULL) (void)snprintf(loop.point, sizeof loop.point, "%.63s", point->text);
    FOR_NODES (i, nodes) {
        struct sim_world *node = run->sim->nodes[i];

        act_tell(run, SIM_FAULT_CRASH_LOOP, true, step, i, "crash loop of");
        if (power) sim_disk_settings(node->disk)->loss = run->scenario->loss;
        sim_crash_loop(node, &loop);
        if (node->up) sim_crash(node, loop.how);
        sim_start_later(node, loop.again_ns);
    }
}

void act_oom(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    uint64_t after = (uint64_t)act_quantity(run, action, "after", 1);
    uint32_t times = (uint32_t)act_quantity(run, action, "times", 1);

    FOR_NODES (i, nodes) {
        act_tell(run, SIM_FAULT_OOM, true, step, i, "memory failure on");
        if (i < run->cluster->count) run->cluster->nodes[i].disk_faulted = true;
        sim_oom(run->sim->nodes[i], after + 1, times);
    }
}

static void later_ordered(struct run_later *later)
{
    struct run *run = later->run;

    FOR_NODES (i, later->nodes) {
        sim_shuffle(run->sim->nodes[i], false);
    }
}

void act_shuffle(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    FOR_NODES (i, nodes) {
        act_tell(run, SIM_FAULT_SHUFFLE, true, step, i, "shuffled readiness of");
        sim_shuffle(run->sim->nodes[i], true);
    }
    (void)act_ends(run, action, nodes, later_ordered);
}
