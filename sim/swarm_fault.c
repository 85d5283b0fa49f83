/* One random fault of each class, written in the scenario language. */
#include "sim/swarm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NODES_TEXT = 256 };

/* ---- choosing -------------------------------------------------------------------------------- */

static uint32_t count_of(uint64_t set)
{
    uint32_t count = 0;

    for (; set != 0; set &= set - 1)
        count++;
    return count;
}

static int nth_of(uint64_t set, uint64_t n)
{
    for (; n > 0; n--)
        set &= set - 1;
    for (int i = 0; i < EXPR_NODES_MAX; i++) {
        if ((set >> i & 1) != 0) return i;
    }
    return -1;
}

static int64_t milliseconds(struct swarm *swarm, int64_t unit_ms, uint32_t steps)
{
    return swarm_decades(&swarm->rng, unit_ms, steps);
}

/* Index of the leader of a random partition; -1 none. */
static int draw_leader(struct swarm *swarm)
{
    const struct run *run = swarm->run;
    uint64_t topic = rng_below(&swarm->rng, run->scenario->topic_count);
    uint64_t partition = rng_below(&swarm->rng, run->cluster->partitions[topic]);

    return cluster_partition_leader(run->cluster, (uint32_t)topic, (int32_t)partition);
}

/* Those who matter are hit more often than by chance: a leader, the active controller. */
static int draw_node(struct swarm *swarm)
{
    const struct run *run = swarm->run;
    uint64_t how = rng_below(&swarm->rng, 10);
    uint64_t any = rng_below(&swarm->rng, run->cluster->count);
    uint64_t broker = rng_below(&swarm->rng, count_of(cluster_brokers(run->cluster)));
    int node = -1;

    if (swarm->moment >= 0 && how < 7) return swarm->moment;
    if (how > 7) return nth_of(cluster_brokers(run->cluster), broker);
    if (how < 3 && run->scenario->topic_count > 0) {
        node = draw_leader(swarm);
    } else if (how < 5) {
        node = cluster_active_controller(run->cluster);
    }
    return node >= 0 ? node : (int)any;
}

static int32_t id_of(const struct swarm *swarm, int index)
{
    return swarm->run->cluster->nodes[index].id;
}

/* A node that is up and not in its time of rest, or -1. */
static int draw_victim(struct swarm *swarm)
{
    static const uint32_t most_down[] = {[FAULT_CALM] = 1, [FAULT_ROUGH] = 2, [FAULT_HOSTILE] = 64};
    const struct run *run = swarm->run;
    int node = draw_node(swarm);
    uint32_t down = 0;

    for (uint32_t i = 0; i < run->cluster->count; i++)
        down += !run->sim->nodes[i]->up;
    if (down >= most_down[swarm->intensity] || !run->sim->nodes[node]->up) return -1;
    return swarm->node_free_ns[node] <= run->sim->now_ns ? node : -1;
}

/* It is left alone for `busy_ms`, until the fault is over, and then for a while. */
static void rests(struct swarm *swarm, int node, int64_t busy_ms)
{
    static const int64_t units[] = {
        [FAULT_CALM] = 1000, [FAULT_ROUGH] = 500, [FAULT_HOSTILE] = 100};
    int64_t calm_ms = milliseconds(swarm, units[swarm->intensity], 6);

    swarm->node_free_ns[node] = swarm->run->sim->now_ns + (busy_ms + calm_ms) * NS_PER_MS;
}

static bool links_rest(struct swarm *swarm, int64_t busy_ms)
{
    int64_t calm_ms = milliseconds(swarm, 200, 5);

    if (swarm->links_free_ns > swarm->run->sim->now_ns) return true;
    swarm->links_free_ns = swarm->run->sim->now_ns + (busy_ms + calm_ms) * NS_PER_MS;
    return false;
}

static void write_set(const struct swarm *swarm, uint64_t set, bool clients, char *text)
{
    size_t used = (size_t)snprintf(text, NODES_TEXT, "[");
    const char *comma = "";
    uint32_t count = 0;

    for (uint32_t i = 0; i < swarm->run->cluster->count && count < SCENARIO_TARGETS_MAX - 1; i++) {
        if ((set >> i & 1) == 0) continue;
        used += (size_t)snprintf(text + used, NODES_TEXT - used, "%snode(%d)", comma,
                                 id_of(swarm, (int)i));
        comma = ", ";
        count++;
    }
    (void)snprintf(text + used, NODES_TEXT - used, "%s%s]", clients ? comma : "",
                   clients ? "clients" : "");
}

static bool act(struct swarm *swarm, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool act(struct swarm *swarm, const char *format, ...)
{
    char text[SWARM_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return swarm_do(swarm, text);
}

/* ---- processes ------------------------------------------------------------------------------- */

static void fault_kill(struct swarm *swarm, const char *how)
{
    int node = draw_victim(swarm);
    int64_t down_ms = milliseconds(swarm, 100, 7);

    if (node < 0) return;
    rests(swarm, node, down_ms);
    (void)act(swarm, "{crash: {node: node(%d), how: %s}, then: {restart: {after: %lldms}}}",
              id_of(swarm, node), how, (long long)down_ms);
}

static void fault_power_loss(struct swarm *swarm)
{
    static const char *const keeps[] = {"drop", "tear", "garbage", "random", "random"};
    int node = draw_victim(swarm);
    int64_t down_ms = milliseconds(swarm, 100, 7);
    uint64_t keep = rng_below(&swarm->rng, COUNT_OF(keeps));
    uint64_t others = rng_u64(&swarm->rng);
    bool several = rng_chance(&swarm->rng, RNG_MILLION / 8) && swarm->intensity == FAULT_HOSTILE;
    char nodes[NODES_TEXT];

    if (node < 0) return;
    rests(swarm, node, down_ms);
    write_set(swarm, UINT64_C(1) << node | (several ? others : 0), false, nodes);
    (void)act(swarm,
              "{crash: {nodes: %s, how: power_loss, unsynced: %s}, then: {restart: {after: "
              "%lldms}}}",
              nodes, keeps[keep], (long long)down_ms);
}

/* Weighed when it falls. */
static void kill_later(struct swarm *swarm, int node, int64_t wait_ms, int64_t down_ms)
{
    char text[192];

    (void)snprintf(text, sizeof text,
                   "{crash: {node: node(%d), how: kill}, then: {restart: {after: %lldms}}}",
                   id_of(swarm, node), (long long)down_ms);
    swarm_do_later(swarm, swarm->run->sim->now_ns + wait_ms * NS_PER_MS, text);
}

/* The second blow falls while it recovers, or soon after. */
static void fault_crash_loop(struct swarm *swarm)
{
    int node = draw_victim(swarm);
    int64_t down_ms = milliseconds(swarm, 10, 6);
    int64_t life_ms = milliseconds(swarm, 5, 9);
    int64_t again_ms = milliseconds(swarm, 100, 5);

    if (node < 0) return;
    rests(swarm, node, down_ms + life_ms + again_ms);
    if (!act(swarm, "{crash: {node: node(%d), how: kill}, then: {restart: {after: %lldms}}}",
             id_of(swarm, node), (long long)down_ms)) {
        return;
    }
    kill_later(swarm, node, down_ms + life_ms, again_ms);
}

static void fault_pause(struct swarm *swarm)
{
    int node = draw_victim(swarm);
    int64_t for_ms = milliseconds(swarm, 50, 8);

    if (node < 0) return;
    rests(swarm, node, for_ms);
    (void)act(swarm, "{pause: {node: node(%d), for: %lldms}}", id_of(swarm, node),
              (long long)for_ms);
}

static void fault_slow_cpu(struct swarm *swarm)
{
    int node = draw_node(swarm);
    int64_t factor = milliseconds(swarm, 10, 6);
    int64_t for_ms = milliseconds(swarm, 500, 5);

    (void)act(swarm, "{slow: {node: node(%d), cpu: %lldx, for: %lldms}}", id_of(swarm, node),
              (long long)factor, (long long)for_ms);
}

/* ---- network --------------------------------------------------------------------------------- */

/* Another node, or the clients. */
static void write_peer(struct swarm *swarm, int node, char *text)
{
    uint64_t which = rng_below(&swarm->rng, swarm->run->cluster->count + 1);

    if (which == swarm->run->cluster->count || (int)which == node) {
        (void)snprintf(text, NODES_TEXT, "clients");
    } else {
        (void)snprintf(text, NODES_TEXT, "node(%d)", id_of(swarm, (int)which));
    }
}

static void fault_clog(struct swarm *swarm)
{
    int node = draw_node(swarm);
    int64_t for_ms = milliseconds(swarm, 20, 9);
    uint64_t shape = rng_below(&swarm->rng, 3);
    char peer[NODES_TEXT];

    write_peer(swarm, node, peer);
    if (shape == 0) {
        (void)act(swarm, "{clog: {links: \"%s -> node(%d)\", for: %lldms}}", peer,
                  id_of(swarm, node), (long long)for_ms);
    } else {
        (void)act(swarm, "{clog: {links: \"node(%d) %s %s\", for: %lldms}}", id_of(swarm, node),
                  shape == 1 ? "->" : "<->", peer, (long long)for_ms);
    }
}

/* A random half freezes one by one in the first half of a window, and thaws in the second. */
static void fault_swizzle(struct swarm *swarm)
{
    int64_t window_ms = milliseconds(swarm, 1000, 4);
    uint64_t half = rng_u64(&swarm->rng);
    int64_t now = swarm->run->sim->now_ns;

    if (links_rest(swarm, window_ms)) return;
    for (uint32_t i = 0; i < swarm->run->cluster->count; i++) {
        int64_t from_ms = rng_range(&swarm->rng, 0, window_ms / 2);
        int64_t until_ms = rng_range(&swarm->rng, window_ms / 2, window_ms);
        char text[192];

        if ((half >> i & 1) == 0 || until_ms <= from_ms) continue;
        (void)snprintf(text, sizeof text,
                       "{clog: {links: [\"node(%d) <-> brokers\", \"node(%d) <-> controllers\", "
                       "\"node(%d) <-> clients\"], for: %lldms}}",
                       id_of(swarm, (int)i), id_of(swarm, (int)i), id_of(swarm, (int)i),
                       (long long)(until_ms - from_ms));
        swarm_do_later(swarm, now + from_ms * NS_PER_MS, text);
    }
}

static const char *draw_style(struct swarm *swarm)
{
    static const char *const styles[] = {"hold", "reset", "blackhole"};

    return styles[rng_below(&swarm->rng, COUNT_OF(styles))];
}

/* One node alone, or any two groups; clients on either side, or reaching both. */
static void fault_cut(struct swarm *swarm, bool both, bool isolate, const char *style)
{
    uint64_t all = (UINT64_C(1) << swarm->run->cluster->count) - 1;
    int node = draw_node(swarm);
    uint64_t random = rng_u64(&swarm->rng) & all;
    uint64_t clients = rng_below(&swarm->rng, 3);
    bool alone = rng_chance(&swarm->rng, RNG_MILLION / 2) || isolate;
    int64_t for_ms = milliseconds(swarm, 100, 7);
    uint64_t side = alone ? UINT64_C(1) << node : random;
    char from[NODES_TEXT];
    char to[NODES_TEXT];

    if (side == 0 || side == all || links_rest(swarm, for_ms)) return;
    write_set(swarm, side, clients == 1, from);
    write_set(swarm, all & ~side, clients == 2 || isolate, to);
    (void)act(swarm, "{partition: {from: %s, to: %s, both: %s, style: %s, for: %lldms}}",
              both           ? from
              : clients == 0 ? to
                             : from,
              both           ? to
              : clients == 0 ? from
                             : to,
              both ? "true" : "false", style, (long long)for_ms);
}

static void fault_cut_pair(struct swarm *swarm)
{
    int first = draw_node(swarm);
    uint64_t others = ((UINT64_C(1) << swarm->run->cluster->count) - 1) & ~(UINT64_C(1) << first);
    int64_t for_ms = milliseconds(swarm, 100, 8);
    uint64_t which = rng_below(&swarm->rng, others != 0 ? count_of(others) : 1);
    const char *style = draw_style(swarm);

    if (others == 0) return;
    (void)act(swarm,
              "{partition: {from: node(%d), to: node(%d), both: true, style: %s, for: %lldms}}",
              id_of(swarm, first), id_of(swarm, nth_of(others, which)), style, (long long)for_ms);
}

static void fault_reset(struct swarm *swarm)
{
    int node = draw_node(swarm);
    char peer[NODES_TEXT];

    write_peer(swarm, node, peer);
    (void)act(swarm, "{reset: \"%s <-> node(%d)\"}", peer, id_of(swarm, node));
}

static void fault_connect(struct swarm *swarm)
{
    static const char *const hows[] = {"refused", "timed_out", "reset"};
    int node = draw_node(swarm);
    uint64_t times = rng_below(&swarm->rng, 5);
    uint64_t how = rng_below(&swarm->rng, COUNT_OF(hows));

    (void)act(swarm, "{fail_connects: {node: node(%d), times: %u, how: %s}}", id_of(swarm, node),
              (unsigned)times + 1, hows[how]);
}

/* What it has sent is held back, it dies, and comes back before its own old words arrive. */
static void fault_late_bytes(struct swarm *swarm)
{
    int node = draw_victim(swarm);
    uint64_t all = (UINT64_C(1) << swarm->run->cluster->count) - 1;
    int64_t wait_ms = milliseconds(swarm, 20, 5);
    int64_t down_ms = milliseconds(swarm, 50, 5);
    int64_t late_ms = milliseconds(swarm, 100, 5);
    char to[NODES_TEXT];

    if (node < 0 || swarm->run->cluster->count < 2) return;
    rests(swarm, node, wait_ms + down_ms + late_ms);
    write_set(swarm, all & ~(UINT64_C(1) << node), true, to);
    (void)act(swarm, "{partition: {from: node(%d), to: %s, style: hold, for: %lldms}}",
              id_of(swarm, node), to, (long long)(wait_ms + down_ms + late_ms));
    kill_later(swarm, node, wait_ms, down_ms);
}

/* ---- clocks and disks ------------------------------------------------------------------------ */

static void fault_clock(struct swarm *swarm, bool jump)
{
    int node = draw_node(swarm);
    int64_t amount = milliseconds(swarm, jump ? 100 : 50, jump ? 12 : 6);
    bool back = rng_chance(&swarm->rng, RNG_MILLION / 2);

    if (jump) {
        (void)act(swarm, "{clock: {node: node(%d), jump: %s%lldms}}", id_of(swarm, node),
                  back ? "-" : "", (long long)amount);
    } else {
        (void)act(swarm, "{clock: {node: node(%d), drift: %s%lldppm}}", id_of(swarm, node),
                  back ? "-" : "", (long long)amount);
    }
}

static void fault_disk_error(struct swarm *swarm, const char *op)
{
    int node = draw_victim(swarm);
    int64_t nth = milliseconds(swarm, 10, 6);
    uint64_t times = rng_below(&swarm->rng, 3);

    if (node < 0) return;
    rests(swarm, node, 2000);
    (void)act(swarm, "{disk_error: {node: node(%d), op: %s, nth: %lld, times: %u, errno: EIO}}",
              id_of(swarm, node), op, (long long)nth, (unsigned)times + 1);
}

static void fault_disk_full(struct swarm *swarm)
{
    int node = draw_victim(swarm);
    int64_t left = milliseconds(swarm, 1000, 8);
    int64_t for_ms = milliseconds(swarm, 500, 5);

    if (node < 0) return;
    rests(swarm, node, for_ms);
    (void)act(swarm, "{disk_full: {node: node(%d), free: %lldB, for: %lldms}}", id_of(swarm, node),
              (long long)left, (long long)for_ms);
}

static void fault_disk_slow(struct swarm *swarm)
{
    int node = draw_node(swarm);
    bool stall = rng_chance(&swarm->rng, RNG_MILLION / 2);
    int64_t for_ms = milliseconds(swarm, 50, 8);
    int64_t factor = milliseconds(swarm, 10, 8);

    if (stall) {
        (void)act(swarm, "{disk_stall: {node: node(%d), for: %lldms}}", id_of(swarm, node),
                  (long long)for_ms);
    } else {
        (void)act(swarm, "{disk_slow: {node: node(%d), factor: %lldx, for: %lldms}}",
                  id_of(swarm, node), (long long)factor, (long long)for_ms);
    }
}

void swarm_fault(struct swarm *swarm, enum fault_class class)
{
    switch (class) {
    case FAULT_CLASS_KILL: fault_kill(swarm, "kill"); return;
    case FAULT_CLASS_POWER_LOSS: fault_power_loss(swarm); return;
    case FAULT_CLASS_STOP: fault_kill(swarm, "clean"); return;
    case FAULT_CLASS_CRASH_LOOP: fault_crash_loop(swarm); return;
    case FAULT_CLASS_PAUSE: fault_pause(swarm); return;
    case FAULT_CLASS_SLOW_CPU: fault_slow_cpu(swarm); return;
    case FAULT_CLASS_CLOG: fault_clog(swarm); return;
    case FAULT_CLASS_SWIZZLE: fault_swizzle(swarm); return;
    case FAULT_CLASS_CUT: fault_cut(swarm, true, false, draw_style(swarm)); return;
    case FAULT_CLASS_CUT_ONE_WAY: fault_cut(swarm, false, false, draw_style(swarm)); return;
    case FAULT_CLASS_CUT_PAIR: fault_cut_pair(swarm); return;
    case FAULT_CLASS_RESET: fault_reset(swarm); return;
    case FAULT_CLASS_HALF_OPEN: fault_cut(swarm, true, true, "blackhole"); return;
    case FAULT_CLASS_CONNECT: fault_connect(swarm); return;
    case FAULT_CLASS_LATE_BYTES: fault_late_bytes(swarm); return;
    case FAULT_CLASS_DRIFT: fault_clock(swarm, false); return;
    case FAULT_CLASS_JUMP: fault_clock(swarm, true); return;
    case FAULT_CLASS_READ_ERROR: fault_disk_error(swarm, "read"); return;
    case FAULT_CLASS_WRITE_ERROR: fault_disk_error(swarm, "write"); return;
    case FAULT_CLASS_SYNC_ERROR: fault_disk_error(swarm, "sync"); return;
    case FAULT_CLASS_DISK_FULL: fault_disk_full(swarm); return;
    case FAULT_CLASS_DISK_SLOW: fault_disk_slow(swarm); return;
    case FAULT_CLASSES: break;
    }
    IMPOSSIBLE("class of a fault");
}
