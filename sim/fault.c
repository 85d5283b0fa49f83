#include "sim/fault.h"

#include <string.h>

struct counters {
    struct sim_fault_count count[SIM_FAULT_COUNT];
};

static const struct {
    const char *id;
    const char *word;
} faults[] = {
#define X(name, id, word) [SIM_FAULT_##name] = {id, word},
    SIM_FAULT_LIST(X)
#undef X
};

void *sim_fault_counters_create(void)
{
    return sim_alloc(sizeof(struct counters));
}

struct sim_fault_count sim_fault_counted(const struct sim *sim, enum sim_fault fault)
{
    const struct counters *counters = sim->counters;

    return counters->count[fault];
}

const char *sim_fault_word(enum sim_fault fault)
{
    return faults[fault].word;
}

const char *sim_fault_id(enum sim_fault fault)
{
    return faults[fault].id;
}

static void fault_count(struct sim *sim, enum sim_fault fault, bool injected)
{
    struct counters *counters = sim->counters;

    counters->count[fault].asked++;
    counters->count[fault].injected += injected;
}

void sim_fault_weaken(struct sim *sim, enum sim_fault fault)
{
    struct counters *counters = sim->counters;

    counters->count[fault].weakened++;
}

void sim_fault_refuse(struct sim *sim, enum sim_fault fault)
{
    struct counters *counters = sim->counters;

    counters->count[fault].asked++;
    counters->count[fault].refused++;
}

/* ---- process --------------------------------------------------------------------------------- */

void sim_crash(struct sim_world *node, enum sim_down how)
{
    fault_count(node->sim, how == SIM_DOWN_POWER ? SIM_FAULT_POWER_LOSS : SIM_FAULT_KILL, node->up);
    sim_node_down(node, how);
}

void sim_restart(struct sim_world *node)
{
    bool possible = !node->up;

    fault_count(node->sim, SIM_FAULT_START, possible);
    if (possible) sim_node_start(node);
}

void sim_pause(struct sim_world *node)
{
    fault_count(node->sim, SIM_FAULT_PAUSE, node->up && !node->paused);
    if (node->up) sim_node_pause(node);
}

void sim_resume(struct sim_world *node)
{
    fault_count(node->sim, SIM_FAULT_RESUME, node->paused);
    sim_node_resume(node);
}

void sim_slow_cpu(struct sim_world *node, int64_t permille)
{
    ASSERT(permille > 0);
    fault_count(node->sim, SIM_FAULT_SLOW_CPU, permille != node->slow_permille);
    node->slow_permille = permille;
}

void sim_wipe(struct sim_world *node)
{
    ASSERT(!node->up);
    fault_count(node->sim, SIM_FAULT_WIPE, sim_image_used(sim_disk_image(node->disk)) > 0);
    sim_image_wipe(sim_disk_image(node->disk));
}

/* ---- network --------------------------------------------------------------------------------- */

enum { SET_MAX = 64 };

/* Calls for each ordered pair; says whether there was one. */
static bool for_pairs(struct sim *sim, uint64_t from, uint64_t to, enum sim_cut style, bool cut)
{
    bool any = false;

    for (uint32_t i = 0; i < sim->node_count && i < SET_MAX; i++) {
        for (uint32_t j = 0; j < sim->node_count && j < SET_MAX; j++) {
            if (i == j || (from >> i & 1) == 0 || (to >> j & 1) == 0) continue;
            any = true;
            if (cut) {
                (void)sim_net_cut(sim, i, j, style);
            } else {
                sim_net_mend(sim, i, j, style);
            }
        }
    }
    return any;
}

void sim_partition(struct sim *sim, uint64_t first, uint64_t second, enum sim_cut style)
{
    bool there = for_pairs(sim, first, second, style, true);
    bool back = for_pairs(sim, second, first, style, true);

    fault_count(sim, SIM_FAULT_CUT, there && back);
}

void sim_partition_one_way(struct sim *sim, uint64_t from, uint64_t to, enum sim_cut style)
{
    fault_count(sim, SIM_FAULT_CUT_ONE_WAY, for_pairs(sim, from, to, style, true));
}

void sim_heal(struct sim *sim, uint64_t first, uint64_t second, enum sim_cut style)
{
    bool there = for_pairs(sim, first, second, style, false);
    bool back = for_pairs(sim, second, first, style, false);

    fault_count(sim, SIM_FAULT_HEAL, there && back);
}

void sim_heal_one_way(struct sim *sim, uint64_t from, uint64_t to, enum sim_cut style)
{
    fault_count(sim, SIM_FAULT_HEAL, for_pairs(sim, from, to, style, false));
}

void sim_heal_all(struct sim *sim)
{
    bool any = false;

    for (uint32_t i = 0; i < sim->node_count; i++) {
        for (uint32_t j = 0; j < sim->node_count; j++) {
            any = sim_net_mend_all(sim, i, j) || any;
        }
    }
    fault_count(sim, SIM_FAULT_HEAL, any);
}

void sim_clog(struct sim_world *from, struct sim_world *to, int64_t until_ns)
{
    fault_count(from->sim, SIM_FAULT_CLOG, until_ns > from->sim->now_ns);
    sim_net_clog(from->sim, from->index, to->index, until_ns);
}

void sim_slow_link(struct sim_world *from, struct sim_world *to, int64_t extra_ns,
                   int64_t bytes_per_ms)
{
    fault_count(from->sim, SIM_FAULT_SLOW_LINK, extra_ns > 0 || bytes_per_ms > 0);
    sim_net_slow(from->sim, from->index, to->index, extra_ns, bytes_per_ms);
}

void sim_reset(struct sim_world *first, struct sim_world *second, enum sim_notice notice)
{
    uint32_t hit = sim_net_reset(first->sim, first->index, second->index, notice);

    fault_count(first->sim, SIM_FAULT_RESET, hit > 0);
}

void sim_fail_connects(struct sim_world *to, enum sim_connect_fault fault, uint32_t count)
{
    fault_count(to->sim, SIM_FAULT_FAIL_CONNECTS, count > 0);
    sim_net_fail_connects(to, fault, count);
}

/* ---- clock ----------------------------------------------------------------------------------- */

void sim_clock_step(struct sim_world *node, int64_t step_ms)
{
    fault_count(node->sim, SIM_FAULT_CLOCK_STEP, step_ms != 0);
    sim_clock_step_wall(node, step_ms);
}

void sim_clock_drift(struct sim_world *node, int64_t drift_ppb)
{
    fault_count(node->sim, SIM_FAULT_CLOCK_DRIFT, drift_ppb != node->clock.drift_ppb);
    sim_clock_set_drift(node, drift_ppb);
}

/* ---- disk ------------------------------------------------------------------------------------ */

void sim_slow_disk(struct sim_world *node, int64_t permille)
{
    fault_count(node->sim, SIM_FAULT_DISK_SLOW, permille != 1000);
    sim_disk_slow(node->disk, permille);
}

void sim_stall_disk(struct sim_world *node, int64_t until_ns)
{
    bool stalls = until_ns > node->sim->now_ns;

    fault_count(node->sim, SIM_FAULT_DISK_STALL, stalls);
    if (stalls) {
        sim_disk_stall(node->disk, until_ns);
    } else {
        sim_disk_unstall(node->disk);
    }
}

void sim_fill_disk(struct sim_world *node, uint64_t free_bytes)
{
    uint64_t used = sim_image_used(sim_disk_image(node->disk));
    bool fills = free_bytes != UINT64_MAX;

    fault_count(node->sim, SIM_FAULT_DISK_FULL, fills);
    sim_disk_settings(node->disk)->capacity =
        fills ? used + free_bytes : node->config.disk.capacity;
}

uint32_t sim_break_disk(struct sim_world *node, const struct sim_disk_rule *rule)
{
    fault_count(node->sim, SIM_FAULT_DISK_ERROR, rule->ops != 0);
    return sim_disk_add_rule(node->disk, rule);
}

void sim_lying_disk(struct sim_world *node, bool lying)
{
    fault_count(node->sim, SIM_FAULT_DISK_LIE, lying);
    sim_disk_lie(node->disk, lying);
}

bool sim_rot_disk(struct sim_world *node, const char *path, uint64_t offset, uint32_t bit)
{
    bool hit = sim_image_rot(sim_disk_image(node->disk), path, offset, bit);

    fault_count(node->sim, SIM_FAULT_DISK_ROT, hit);
    return hit;
}
