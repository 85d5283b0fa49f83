/* Actions on disks. */
#include "sim/run_act.h"

#include "client/base/assert.h"

#include <stdio.h>
#include <string.h>

static void later_disk(struct run_later *later)
{
    struct run *run = later->run;

    FOR_NODES (i, later->nodes) {
        if (later->action->kind == ACTION_DISK_SLOW) sim_slow_disk(run->sim->nodes[i], 1000);
        if (later->action->kind == ACTION_DISK_FULL) sim_fill_disk(run->sim->nodes[i], UINT64_MAX);
        if (later->action->kind == ACTION_SHORT_IO) sim_short_io(run->sim->nodes[i], 0);
        if (later->action->kind == ACTION_DISK_BLOCK) sim_block_submits(run->sim->nodes[i], 0);
        if (later->action->kind == ACTION_LYING_SYNC) sim_disk_lie(run->sim->nodes[i]->disk, false);
    }
}

/* ---- disks ----------------------------------------------------------------------------------- */

static void glob_of(const struct scenario_action *action, char *glob, size_t size)
{
    const struct scenario_value *file = scenario_arg(action, "file");

    glob[0] = '\0';
    if (file != NULL) (void)snprintf(glob, size, "*%.120s*", file->text);
}

static void break_disk(struct run *run, const struct scenario_action *action,
                       struct sim_world *node)
{
    static const uint32_t ops[] = {
        1u << DISK_WRITE, 1u << DISK_READ,     1u << DISK_SYNC | 1u << DISK_SYNC_MANY,
        1u << DISK_OPEN,  1u << DISK_TRUNCATE, 1u << DISK_RENAME};
    struct sim_disk_rule rule = {
        .ops = ops[act_choice(action, "op")],
        .nth = (uint32_t)act_quantity(run, action, "nth", 1),
        .times = (uint32_t)act_quantity(run, action, "times", 1),
        .error = act_choice(action, "errno") == 1 ? ERR_NO_SPACE : ERR_IO,
        .partial = act_truth(action, "partial"),
        .reverts = act_truth(action, "reverts"),
    };

    glob_of(action, rule.glob, sizeof rule.glob);
    if (scenario_arg(action, "offset") != NULL) { /* one sector, until it is written again */
        rule.offset = (uint64_t)act_quantity(run, action, "offset", 0);
        rule.length = SIM_SECTOR;
        rule.until_written = rule.ops == 1u << DISK_READ;
    }
    (void)sim_break_disk(node, &rule);
}

/* Requests that succeed and should not have. */
static void worse_disk(struct run *run, const struct scenario_action *action,
                       struct sim_world *node)
{
    struct sim_disk_rule rule = {
        .ops = action->kind == ACTION_STALE_READ ? 1u << DISK_READ : 1u << DISK_WRITE,
        .nth = (uint32_t)act_quantity(run, action, "nth", 1),
        .times = (uint32_t)act_quantity(run, action, "times", 1),
        .effect = action->kind == ACTION_STALE_READ   ? SIM_DISK_STALE
                  : action->kind == ACTION_LOSE_WRITE ? SIM_DISK_LOSE
                                                      : SIM_DISK_MISDIRECT,
    };

    glob_of(action, rule.glob, sizeof rule.glob);
    (void)sim_break_disk(node, &rule);
}

static void rot_disk(struct run *run, const struct scenario_action *action, struct sim_world *node)
{
    bool somewhere = scenario_arg(action, "offset") == NULL;
    int64_t offset = act_quantity(run, action, "offset", 0);
    int64_t bits = act_quantity(run, action, "bits", 1);
    char glob[128];

    glob_of(action, glob, sizeof glob);
    (void)sim_rot_somewhere(node, glob[0] != '\0' ? glob : "*.log",
                            somewhere ? UINT64_MAX : (uint64_t)offset, act_truth(action, "header"),
                            (uint32_t)bits);
}

/* No byte of a log changes. */
static bool of_checkpoint(const struct scenario_action *action)
{
    const struct scenario_value *file = scenario_arg(action, "file");

    return file != NULL && strstr(file->text, "-checkpoint") != NULL;
}

static enum sim_fault error_fault(const struct scenario_action *action)
{
    switch (act_choice(action, "op")) {
    case 0: return SIM_FAULT_WRITE_ERROR;
    case 1: return SIM_FAULT_READ_ERROR;
    case 2: return SIM_FAULT_SYNC_ERROR;
    default: return SIM_FAULT_DISK_ERROR;
    }
}

static const struct disk_act {
    enum action_kind kind;
    enum sim_fault fault;
    const char *sentence;
} disk_acts[] = {
    {ACTION_DISK_SLOW, SIM_FAULT_DISK_SLOW, "slow disk of"},
    {ACTION_DISK_STALL, SIM_FAULT_DISK_STALL, "stalled disk of"},
    {ACTION_DISK_FULL, SIM_FAULT_DISK_FULL, "full disk of"},
    {ACTION_DISK_ERROR, SIM_FAULT_DISK_ERROR, "disk error on"},
    {ACTION_LYING_SYNC, SIM_FAULT_DISK_LIE, "lying syncs of"},
    {ACTION_ROT, SIM_FAULT_DISK_ROT, "bit rot on"},
    {ACTION_LOSE_WRITE, SIM_FAULT_LOST_WRITE, "lost write on"},
    {ACTION_MISDIRECT, SIM_FAULT_MISDIRECTED, "misdirected write on"},
    {ACTION_STALE_READ, SIM_FAULT_STALE_READ, "stale read on"},
    {ACTION_SHORT_IO, SIM_FAULT_SHORT_IO, "short transfers of"},
    {ACTION_DISK_BLOCK, SIM_FAULT_SUBMIT_STALL, "blocking disk of"},
    {ACTION_WIPE, SIM_FAULT_WIPE, "wipe of"},
    {ACTION_DIR_GONE, SIM_FAULT_DIR_GONE, "directory gone on"},
    {ACTION_REVERT, SIM_FAULT_REVERT, "rollback of"},
    {ACTION_FOREIGN, SIM_FAULT_FOREIGN, "foreign files on"},
};

static struct disk_act disk_act_of(const struct scenario_action *action)
{
    for (uint32_t i = 0; i < COUNT_OF(disk_acts); i++) {
        struct disk_act act = disk_acts[i];

        if (act.kind != action->kind) continue;
        if (action->kind == ACTION_DISK_ERROR) act.fault = error_fault(action);
        if (action->kind == ACTION_ROT && of_checkpoint(action)) {
            act.fault = SIM_FAULT_HEADER_ROT;
            act.sentence = "rot of a checkpoint on";
        }
        if (action->kind == ACTION_WIPE && act_choice(action, "identity") == CLUSTER_NEW_IDENTITY)
            act.sentence = "wipe and new identity of";
        return act;
    }
    IMPOSSIBLE("what is done to a disk");
}

static void tell_disk(struct run *run, const struct scenario_action *action, int step,
                      uint32_t index)
{
    struct disk_act act = disk_act_of(action);

    act_says(run, act.fault, true, step, index, act.sentence);
    if (index < run->cluster->count) run->cluster->nodes[index].disk_faulted = true;
}

void act_disk(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    int64_t factor = act_quantity(run, action, "factor", 1000);
    int64_t stall_ns = action->kind == ACTION_DISK_STALL ? act_quantity(run, action, "for", 0) : 0;
    int64_t left = act_quantity(run, action, "free", 0);
    int64_t share = act_quantity(run, action, "share", 0);
    int64_t each_ns = act_quantity(run, action, "each", 0);

    FOR_NODES (i, nodes) {
        struct sim_world *node = run->sim->nodes[i];

        act_meets(run, disk_act_of(action).fault, i);
        tell_disk(run, action, step, i);
        switch ((int)action->kind) {
        case ACTION_DISK_SLOW: sim_slow_disk(node, factor > 0 ? factor : 1); break;
        case ACTION_DISK_STALL: sim_stall_disk(node, run->sim->now_ns + stall_ns); break;
        case ACTION_DISK_FULL: sim_fill_disk(node, (uint64_t)left); break;
        case ACTION_DISK_ERROR: break_disk(run, action, node); break;
        case ACTION_LYING_SYNC: sim_lying_disk(node, true); break;
        case ACTION_ROT: rot_disk(run, action, node); break;
        case ACTION_SHORT_IO: sim_short_io(node, (uint32_t)share); break;
        case ACTION_DISK_BLOCK: sim_block_submits(node, each_ns); break;
        default: worse_disk(run, action, node); break;
        }
    }
    (void)act_ends(run, action, nodes, action->kind == ACTION_DISK_STALL ? act_over : later_disk);
}

/* ---- what happens to a disk while nobody uses it --------------------------------------------- */

static void later_down(struct run_later *later)
{
    act_disk_down(later->run, later->action, later->step, later->nodes);
}

/* In its own turn a node dies at the end of it: then again. */
static bool taken_down(struct run *run, const struct scenario_action *action, int step,
                       uint32_t index)
{
    struct sim_world *node = run->sim->nodes[index];
    struct run_later *later;

    if (node->up) sim_crash(node, SIM_DOWN_KILL);
    if (!node->up) return true;
    later = run_later(run, 0, later_down);
    later->action = action;
    later->step = step;
    later->nodes = UINT64_C(1) << index;
    return false;
}

static void dir_gone(struct run *run, const struct scenario_action *action, uint32_t index,
                     bool down)
{
    const struct scenario_value *dir = scenario_arg(action, "dir");
    enum sim_gone how = (enum sim_gone)act_choice(action, "how");

    ASSERT(how != SIM_GONE_EMPTY || down);
    sim_dir_gone(run->sim->nodes[index], dir != NULL ? dir->text : "data", how);
}

void act_disk_down(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    bool stays_up = action->kind == ACTION_DIR_GONE && act_choice(action, "how") != SIM_GONE_EMPTY;

    FOR_NODES (i, nodes) {
        if (i >= run->cluster->count) continue;
        if (run->sim->nodes[i]->up) act_meets(run, disk_act_of(action).fault, i);
        if (!stays_up && !taken_down(run, action, step, i)) continue;
        tell_disk(run, action, step, i);
        if (action->kind == ACTION_WIPE) {
            cluster_wipe(run->cluster, i, (enum cluster_identity)act_choice(action, "identity"));
        } else if (action->kind == ACTION_DIR_GONE) {
            if (!stays_up) cluster_identity_forget(&run->cluster->nodes[i]);
            dir_gone(run, action, i, !stays_up);
        } else if (action->kind == ACTION_REVERT) {
            cluster_identity_forget(&run->cluster->nodes[i]);
            sim_revert(run->sim->nodes[i]);
        } else {
            const struct scenario_value *as = scenario_arg(action, "as");
            uint64_t from = act_nodes(run, scenario_arg(action, "from"));
            char glob[128];

            glob_of(action, glob, sizeof glob);
            FOR_NODES (j, from) {
                sim_foreign(run->sim->nodes[i], run->sim->nodes[j], glob,
                            as != NULL ? as->text : NULL);
            }
        }
    }
}

void act_snapshot(struct run *run, uint64_t nodes)
{
    FOR_NODES (i, nodes) {
        sim_snapshot(run->sim->nodes[i]);
    }
}

static void later_snapshot(struct run_later *later)
{
    act_snapshot(later->run, later->nodes);
}

/* What `revert: {to: TIME}` goes back to is kept at that time, of every node. */
void run_snapshots_begin(struct run *run)
{
    const struct scenario *scenario = run->scenario;

    for (uint32_t i = 0; i < scenario->step_count; i++) {
        for (uint32_t j = 0; j < scenario->steps[i].action_count; j++) {
            const struct scenario_action *action = &scenario->steps[i].actions[j];

            for (; action != NULL; action = action->then) {
                const struct scenario_value *to = scenario_arg(action, "to");

                if (action->kind != ACTION_REVERT || to == NULL) continue;
                run_later(run, to->quantity.min, later_snapshot)->nodes =
                    cluster_brokers(run->cluster) | cluster_controllers(run->cluster);
            }
        }
    }
}
