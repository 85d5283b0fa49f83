#include "sim/fault.h"

#include <string.h>

struct counters {
    struct sim_fault_count count[SIM_FAULT_COUNT];
};

static const struct sim_fault_info faults[] = {
#define X(name, id, class, kind, ledger, word, actions, about) \
    [SIM_FAULT_##                                              \
        name] = {id, SIM_CLASS_##class, SIM_FAULT_##kind, ledger != 0, word, actions, about},
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

const struct sim_fault_info *sim_fault_info(enum sim_fault fault)
{
    return &faults[fault];
}

const char *sim_fault_word(enum sim_fault fault)
{
    return faults[fault].word;
}

bool sim_fault_is_end(enum sim_fault fault)
{
    return fault == SIM_FAULT_START || fault == SIM_FAULT_RESUME || fault == SIM_FAULT_HEAL;
}

const char *sim_fault_id(enum sim_fault fault)
{
    return faults[fault].id;
}

const char *sim_fault_class_name(enum sim_fault_class class)
{
    static const char *const names[] = {"network",    "process", "disk",   "clock",
                                        "membership", "client",  "upgrade"};

    return names[class];
}

static struct sim_fault_count *counter(struct sim *sim, enum sim_fault fault)
{
    struct counters *counters = sim->counters;

    return &counters->count[fault];
}

void sim_fault_asked(struct sim *sim, enum sim_fault fault)
{
    counter(sim, fault)->asked++;
}

void sim_fault_hit(struct sim *sim, enum sim_fault fault)
{
    counter(sim, fault)->injected++;
}

void sim_fault_weakened(struct sim *sim, enum sim_fault fault)
{
    counter(sim, fault)->weakened++;
}

void sim_fault_refused(struct sim *sim, enum sim_fault fault)
{
    counter(sim, fault)->refused++;
}

static void fault_count(struct sim *sim, enum sim_fault fault, bool injected)
{
    sim_fault_asked(sim, fault);
    if (injected) sim_fault_hit(sim, fault);
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
    sim_disk_clear_rules(node->disk); /* another disk: it has other faults, or none */
}

void sim_crash_loop(struct sim_world *node, const struct sim_crash_loop *loop)
{
    if (loop->times > 0) sim_fault_asked(node->sim, SIM_FAULT_CRASH_LOOP);
    node->loop = *loop;
}

void sim_start_later(struct sim_world *node, int64_t delay_ns)
{
    sim_schedule(node->sim, &node->again, node->sim->now_ns + delay_ns);
}

void sim_oom(struct sim_world *node, uint64_t after, uint32_t times)
{
    sim_fault_asked(node->sim, SIM_FAULT_OOM);
    (void)sim_node_oom(node, after, times);
}

void sim_shuffle(struct sim_world *node, bool shuffled)
{
    if (shuffled) sim_fault_asked(node->sim, SIM_FAULT_SHUFFLE);
    node->net.shuffled = shuffled;
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
    if (extra_ns > 0) fault_count(from->sim, SIM_FAULT_LATENCY, true);
    if (bytes_per_ms > 0) fault_count(from->sim, SIM_FAULT_SLOW_LINK, true);
    sim_net_slow(from->sim, from->index, to->index, extra_ns, bytes_per_ms);
}

void sim_reset(struct sim_world *first, struct sim_world *second, enum sim_notice notice)
{
    uint32_t hit = sim_net_reset(first->sim, first->index, second->index, notice);

    fault_count(first->sim, SIM_FAULT_RESET, hit > 0);
}

void sim_fail_connects(struct sim_world *to, enum sim_connect_fault fault, uint32_t count)
{
    if (count > 0) sim_fault_asked(to->sim, SIM_FAULT_FAIL_CONNECTS);
    sim_net_fail_connects(to, fault, count);
}

void sim_cut_pair(struct sim_world *from, struct sim_world *to, enum sim_cut style)
{
    struct sim *sim = from->sim;
    bool partial = false;

    (void)sim_net_cut(sim, from->index, to->index, style);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        if (i == from->index || i == to->index) continue;
        partial =
            partial || !sim_net_is_cut(sim, from->index, i) || !sim_net_is_cut(sim, i, to->index);
    }
    fault_count(sim, SIM_FAULT_CUT_PAIRS, partial);
}

/* Begins in the first half of the window, ends in the second, each by its own dice. */
void sim_swizzle(struct sim *sim, uint64_t nodes, int64_t window_ns)
{
    uint64_t half = window_ns > 1 ? (uint64_t)window_ns / 2 : 1;
    struct rng rng;

    sim_fault_asked(sim, SIM_FAULT_SWIZZLE);
    decide_rng(sim, (struct decide_site){DECIDE_NET_SWIZZLE, -1, 0, 0}, &rng);
    for (uint32_t i = 0; i < sim->node_count && i < SET_MAX; i++) {
        bool frozen = (nodes >> i & 1) != 0 && rng_chance(&rng, RNG_MILLION / 2);
        int64_t begin = sim->now_ns + (int64_t)rng_below(&rng, half);
        int64_t end = sim->now_ns + (int64_t)(half + rng_below(&rng, half));

        if (!frozen) continue;
        for (uint32_t j = 0; j < sim->node_count; j++) {
            if (i == j) continue;
            sim_net_clog_later(sim, i, j, begin, end);
            sim_net_clog_later(sim, j, i, begin, end);
        }
    }
}

void sim_flaky(struct sim_world *from, struct sim_world *to, int64_t hold_ns, int64_t gap_ns,
               int64_t until_ns)
{
    sim_fault_asked(from->sim, SIM_FAULT_FLAKY);
    sim_net_flaky(from->sim, from->index, to->index, hold_ns, gap_ns, until_ns);
}

void sim_segment(struct sim_world *from, struct sim_world *to, enum sim_pieces pieces)
{
    if (pieces != SIM_PIECES_STYLES) sim_fault_asked(from->sim, SIM_FAULT_SEGMENT);
    sim_net_segment(from->sim, from->index, to->index, pieces);
}

void sim_small_buffers(struct sim_world *from, struct sim_world *to, uint32_t bytes)
{
    if (bytes > 0) sim_fault_asked(from->sim, SIM_FAULT_SMALL_BUFFERS);
    sim_net_small_buffers(from->sim, from->index, to->index, bytes);
}

void sim_reset_at(struct sim_world *first, struct sim_world *second, enum sim_moment moment)
{
    sim_fault_asked(first->sim, SIM_FAULT_RESET);
    sim_net_reset_at(first->sim, first->index, second->index, moment);
}

void sim_half_open(struct sim_world *first, struct sim_world *second)
{
    uint32_t hit = sim_net_half_open(first->sim, first->index, second->index);

    fault_count(first->sim, SIM_FAULT_HALF_OPEN, hit > 0);
}

void sim_corrupt(struct sim_world *from, struct sim_world *to, uint32_t count)
{
    if (count > 0) sim_fault_asked(from->sim, SIM_FAULT_CORRUPT);
    sim_net_corrupt(from->sim, from->index, to->index, count);
}

struct sim_hold *sim_hold_message(struct sim_world *asking, struct sim_world *asked, int16_t api,
                                  bool response, bool every)
{
    const struct sim_hold hold = {.asking = asking->index,
                                  .asked = asked->index,
                                  .api = api,
                                  .response = response,
                                  .every = every,
                                  .fault = every ? SIM_FAULT_COALESCE : SIM_FAULT_HOLD};

    sim_fault_asked(asking->sim, (enum sim_fault)hold.fault);
    return sim_net_hold(asking->sim, &hold);
}

void sim_release(struct sim *sim, struct sim_hold *hold, bool hit)
{
    if (hold->released) return;
    if (hit && hold->held > 0) sim_fault_hit(sim, (enum sim_fault)hold->fault);
    sim_net_let_go(sim, hold);
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

void sim_clock_offset(struct sim_world *node, int64_t offset_ms)
{
    fault_count(node->sim, SIM_FAULT_CLOCK_OFFSET, offset_ms != 0);
    sim_clock_set_offset(node, offset_ms);
}

void sim_clock_coarse(struct sim_world *node, int64_t step_ms)
{
    if (step_ms > 1) fault_count(node->sim, SIM_FAULT_CLOCK_COARSE, true);
    node->clock.coarse_ms = step_ms;
}

void sim_timers_late(struct sim_world *node, int64_t mean_ns)
{
    if (mean_ns > 0) fault_count(node->sim, SIM_FAULT_TIMER_LATE, true);
    node->clock.late_ns = mean_ns;
}

void sim_sleep(struct sim_world *node, bool monotonic_stops)
{
    bool sleeps = node->up && !node->paused;

    fault_count(node->sim, SIM_FAULT_SLEEP, sleeps);
    if (!sleeps) return;
    if (monotonic_stops) {
        sim_node_sleep(node);
    } else {
        sim_node_pause(node);
    }
}
