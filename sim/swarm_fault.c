/* One random fault of each class, written in the scenario language: processes and networks. */
#include "sim/swarm.h"

#include "sim/swarm_shape.h"

#include <stdio.h>

enum { UNTIL_CONTROLLER = 1 }; /* of those that fault_hold() draws from */

/* ---- processes ------------------------------------------------------------------------------- */

static void fault_kill(struct swarm *swarm, const char *how)
{
    int node = swarm_victim(swarm);
    int64_t down_ms = swarm_ms(swarm, 100, 7);

    if (node < 0) return;
    swarm_rests(swarm, node, down_ms);
    (void)swarm_act_on(swarm,
                       "{crash: {node: node(%d), how: %s}, then: {restart: {after: %lldms}}}",
                       swarm_id(swarm, node), how, (long long)down_ms);
}

static void fault_power_loss(struct swarm *swarm)
{
    static const char *const keeps[] = {"drop", "tear", "garbage", "random", "random"};
    int node = swarm_victim(swarm);
    int64_t down_ms = swarm_ms(swarm, 100, 7);
    uint64_t keep = rng_below(&swarm->rng, COUNT_OF(keeps));
    uint64_t others = rng_u64(&swarm->rng);
    bool several = rng_chance(&swarm->rng, RNG_MILLION / 8) && swarm->intensity == FAULT_HOSTILE;
    char nodes[SWARM_NODES_TEXT];

    if (node < 0) return;
    swarm_rests(swarm, node, down_ms);
    swarm_write_set(swarm, UINT64_C(1) << node | (several ? others : 0), false, nodes);
    (void)swarm_act_on(
        swarm,
        "{crash: {nodes: %s, how: power_loss, unsynced: %s}, then: {restart: {after: "
        "%lldms}}}",
        nodes, keeps[keep], (long long)down_ms);
}

void swarm_kill_later(struct swarm *swarm, int node, int64_t wait_ms, int64_t down_ms)
{
    char text[192];

    (void)snprintf(text, sizeof text,
                   "{crash: {node: node(%d), how: kill}, then: {restart: {after: %lldms}}}",
                   swarm_id(swarm, node), (long long)down_ms);
    swarm_do_later(swarm, swarm->run->sim->now_ns + wait_ms * NS_PER_MS, text);
}

/* The second blow falls while it recovers, or soon after. */
static void fault_crash_loop(struct swarm *swarm)
{
    int node = swarm_victim(swarm);
    int64_t down_ms = swarm_ms(swarm, 10, 6);
    int64_t life_ms = swarm_ms(swarm, 5, 9);
    int64_t again_ms = swarm_ms(swarm, 100, 5);

    if (node < 0) return;
    swarm_rests(swarm, node, down_ms + life_ms + again_ms);
    if (!swarm_act_on(swarm,
                      "{crash: {node: node(%d), how: kill}, then: {restart: {after: %lldms}}}",
                      swarm_id(swarm, node), (long long)down_ms)) {
        return;
    }
    swarm_kill_later(swarm, node, down_ms + life_ms, again_ms);
}

static void fault_pause(struct swarm *swarm)
{
    int node = swarm_victim(swarm);
    int64_t for_ms = swarm_ms(swarm, 50, 8);

    if (node < 0) return;
    swarm_rests(swarm, node, for_ms);
    (void)swarm_act_on(swarm, "{pause: {node: node(%d), for: %lldms}}", swarm_id(swarm, node),
                       (long long)for_ms);
}

static void fault_slow_cpu(struct swarm *swarm)
{
    int node = swarm_node(swarm);
    int64_t factor = swarm_ms(swarm, 10, 6);
    int64_t for_ms = swarm_ms(swarm, 500, 5);

    (void)swarm_act_on(swarm, "{slow: {node: node(%d), cpu: %lldx, for: %lldms}}",
                       swarm_id(swarm, node), (long long)factor, (long long)for_ms);
}

static void fault_oom(struct swarm *swarm)
{
    int node = swarm_victim(swarm);
    int64_t behind = swarm_ms(swarm, 50, 7);
    uint64_t times = rng_below(&swarm->rng, 5);

    if (node < 0) return;
    swarm_rests(swarm, node, 2000);
    (void)swarm_act_on(swarm, "{oom: {node: node(%d), after: %lld, times: %u}}",
                       swarm_id(swarm, node), (long long)behind, (unsigned)times + 1);
}

static void fault_reconfigure(struct swarm *swarm)
{
    int node = swarm_victim(swarm);
    int64_t down_ms = swarm_ms(swarm, 100, 6);
    char setting[96];

    swarm_shape_setting(&swarm->rng, setting, sizeof setting);
    if (node < 0) return;
    swarm_rests(swarm, node, down_ms);
    (void)swarm_act_on(
        swarm,
        "{crash: {node: node(%d), how: clean}, then: {restart: {after: %lldms, with: \"%s\"}}}",
        swarm_id(swarm, node), (long long)down_ms, setting);
}

/* Its place is taken by an empty machine, with its name or with a new identity. */
static void fault_wipe(struct swarm *swarm)
{
    int node = swarm_damage_victim(swarm);
    int64_t down_ms = swarm_ms(swarm, 100, 6);
    bool same = rng_chance(&swarm->rng, RNG_MILLION / 2);

    if (node < 0) return;
    swarm_rests(swarm, node, down_ms);
    (void)swarm_act_on(swarm,
                       "{wipe: {node: node(%d), identity: %s}, then: {restart: {after: %lldms}}}",
                       swarm_id(swarm, node), same ? "same" : "new", (long long)down_ms);
}

/* ---- network --------------------------------------------------------------------------------- */

static bool links_rest(struct swarm *swarm, int64_t busy_ms)
{
    int64_t calm_ms = swarm_ms(swarm, 200, 5);

    if (swarm->links_free_ns > swarm->run->sim->now_ns) return true;
    swarm->links_free_ns = swarm->run->sim->now_ns + (busy_ms + calm_ms) * NS_PER_MS;
    return false;
}

/* Another node, or the clients. */
static void write_peer(struct swarm *swarm, int node, char *text)
{
    uint64_t which = rng_below(&swarm->rng, swarm->run->cluster->count + 1);

    if (which == swarm->run->cluster->count || (int)which == node) {
        (void)snprintf(text, SWARM_NODES_TEXT, "clients");
    } else {
        (void)snprintf(text, SWARM_NODES_TEXT, "node(%d)", swarm_id(swarm, (int)which));
    }
}

static void fault_clog(struct swarm *swarm)
{
    int node = swarm_node(swarm);
    int64_t for_ms = swarm_ms(swarm, 20, 9);
    uint64_t shape = rng_below(&swarm->rng, 3);
    char peer[SWARM_NODES_TEXT];

    write_peer(swarm, node, peer);
    if (shape == 0) {
        (void)swarm_act_on(swarm, "{clog: {links: \"%s -> node(%d)\", for: %lldms}}", peer,
                           swarm_id(swarm, node), (long long)for_ms);
    } else {
        (void)swarm_act_on(swarm, "{clog: {links: \"node(%d) %s %s\", for: %lldms}}",
                           swarm_id(swarm, node), shape == 1 ? "->" : "<->", peer,
                           (long long)for_ms);
    }
}

/* A random half freezes one by one in the first half of a window, and thaws in the second. */
static void fault_swizzle(struct swarm *swarm)
{
    int64_t window_ms = swarm_ms(swarm, 1000, 4);
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
                       swarm_id(swarm, (int)i), swarm_id(swarm, (int)i), swarm_id(swarm, (int)i),
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
    int node = swarm_node(swarm);
    uint64_t random = rng_u64(&swarm->rng) & all;
    uint64_t clients = rng_below(&swarm->rng, 3);
    bool alone = rng_chance(&swarm->rng, RNG_MILLION / 2) || isolate;
    int64_t for_ms = swarm_ms(swarm, 100, 7);
    uint64_t side = alone ? UINT64_C(1) << node : random;
    char from[SWARM_NODES_TEXT];
    char to[SWARM_NODES_TEXT];

    if (side == 0 || side == all || links_rest(swarm, for_ms)) return;
    swarm_write_set(swarm, side, clients == 1, from);
    swarm_write_set(swarm, all & ~side, clients == 2 || isolate, to);
    (void)swarm_act_on(swarm, "{partition: {from: %s, to: %s, both: %s, style: %s, for: %lldms}}",
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
    int first = swarm_node(swarm);
    uint64_t others = ((UINT64_C(1) << swarm->run->cluster->count) - 1) & ~(UINT64_C(1) << first);
    int64_t for_ms = swarm_ms(swarm, 100, 8);
    uint64_t which = rng_below(&swarm->rng, others != 0 ? swarm_count(others) : 1);
    const char *style = draw_style(swarm);

    if (others == 0) return;
    (void)swarm_act_on(
        swarm, "{partition: {from: node(%d), to: node(%d), both: true, style: %s, for: %lldms}}",
        swarm_id(swarm, first), swarm_id(swarm, swarm_nth(others, which)), style,
        (long long)for_ms);
}

static void fault_reset(struct swarm *swarm)
{
    int node = swarm_node(swarm);
    char peer[SWARM_NODES_TEXT];

    write_peer(swarm, node, peer);
    (void)swarm_act_on(swarm, "{reset: \"%s <-> node(%d)\"}", peer, swarm_id(swarm, node));
}

static void fault_connect(struct swarm *swarm)
{
    static const char *const hows[] = {"refused", "timed_out", "reset"};
    int node = swarm_node(swarm);
    uint64_t times = rng_below(&swarm->rng, 5);
    uint64_t how = rng_below(&swarm->rng, COUNT_OF(hows));

    (void)swarm_act_on(swarm, "{fail_connects: {node: node(%d), times: %u, how: %s}}",
                       swarm_id(swarm, node), (unsigned)times + 1, hows[how]);
}

/* What the voters have fetched last is late by an election, of which their leader hears late, too:
 * it goes on as the leader, and what it counts then must be what its successor has (K21). */
static bool fault_hold_quorum(struct swarm *swarm, int64_t for_ms)
{
    const struct cluster *cluster = swarm->run->cluster;
    int active = cluster_active_controller(cluster);
    uint64_t others;
    char from[SWARM_NODES_TEXT];

    if (active < 0) return false;
    others = cluster_controllers(cluster) & ~(UINT64_C(1) << active);
    if (others == 0) return false;
    swarm_write_set(swarm, others, false, from);
    for (uint32_t i = 0; i < 3; i++) {
        static const char *const apis[] = {"Fetch", "Vote", "BeginQuorumEpoch"};

        (void)swarm_act_on(swarm,
                           "{hold_message: {from: %s, to: node(%d), api: %s, until: "
                           "controller_change, plus: %dms, for: %lldms}}",
                           from, swarm_id(swarm, active), apis[i], i == 0 ? 0 : 300,
                           (long long)for_ms + 3000);
    }
    return true;
}

/* Exactly one request, or its answer, is late by an election, by a restart or by some time. */
static void fault_hold(struct swarm *swarm)
{
    static const char *const untils[] = {"leader_change", "controller_change", "restart", "time"};
    int from = swarm_node(swarm);
    uint64_t others = ((UINT64_C(1) << swarm->run->cluster->count) - 1) & ~(UINT64_C(1) << from);
    uint64_t which = rng_below(&swarm->rng, others != 0 ? swarm_count(others) : 1);
    uint64_t until = rng_below(&swarm->rng, COUNT_OF(untils));
    bool response = rng_chance(&swarm->rng, RNG_MILLION / 2);
    int64_t for_ms = swarm_ms(swarm, 200, 6);

    if (others == 0) return;
    if (until == UNTIL_CONTROLLER && !response && fault_hold_quorum(swarm, for_ms)) return;
    (void)swarm_act_on(swarm,
                       "{hold_message: {from: node(%d), to: node(%d), %suntil: %s, for: %lldms}}",
                       swarm_id(swarm, from), swarm_id(swarm, swarm_nth(others, which)),
                       response ? "response: true, " : "", untils[until], (long long)for_ms);
}

static void fault_coalesce(struct swarm *swarm)
{
    int node = swarm_node(swarm);
    int64_t for_ms = swarm_ms(swarm, 100, 6);

    (void)swarm_act_on(swarm, "{coalesce_metadata: {node: node(%d), for: %lldms}}",
                       swarm_id(swarm, node), (long long)for_ms);
}

/* What it has sent is held back, it dies, and comes back before its own old words arrive. */
static void fault_late_life(struct swarm *swarm)
{
    int node = swarm_victim(swarm);
    uint64_t all = (UINT64_C(1) << swarm->run->cluster->count) - 1;
    int64_t wait_ms = swarm_ms(swarm, 20, 5);
    int64_t down_ms = swarm_ms(swarm, 50, 5);
    int64_t late_ms = swarm_ms(swarm, 100, 5);
    char to[SWARM_NODES_TEXT];

    if (node < 0 || swarm->run->cluster->count < 2) return;
    swarm_rests(swarm, node, wait_ms + down_ms + late_ms);
    swarm_write_set(swarm, all & ~(UINT64_C(1) << node), true, to);
    (void)swarm_act_on(swarm, "{partition: {from: node(%d), to: %s, style: hold, for: %lldms}}",
                       swarm_id(swarm, node), to, (long long)(wait_ms + down_ms + late_ms));
    swarm_kill_later(swarm, node, wait_ms, down_ms);
}

static void fault_late(struct swarm *swarm)
{
    uint64_t how = rng_below(&swarm->rng, 4);

    if (how < 2) {
        fault_late_life(swarm);
    } else if (how == 2) {
        fault_hold(swarm);
    } else {
        fault_coalesce(swarm);
    }
}

/* "node(1) -> node(2)" or "node(1) <-> clients" */
static void write_links(struct swarm *swarm, char *text, size_t size)
{
    int node = swarm_node(swarm);
    uint64_t shape = rng_below(&swarm->rng, 3);
    char peer[SWARM_NODES_TEXT];

    write_peer(swarm, node, peer);
    (void)snprintf(text, size, "\"node(%d) %s %s\"", swarm_id(swarm, node),
                   shape == 0 ? "->" : "<->", peer);
}

static void fault_links(struct swarm *swarm, enum fault_class class)
{
    static const char *const modes[] = {"tiny", "random", "header"};
    int64_t for_ms = swarm_ms(swarm, 500, 5);
    int64_t amount = swarm_ms(swarm, 10, 6);
    uint64_t way = rng_below(&swarm->rng, 3);
    char links[SWARM_NODES_TEXT + 64];
    char what[96];
    const char *name = "segment";

    write_links(swarm, links, sizeof links);
    if (class == FAULT_CLASS_SEGMENT) {
        (void)snprintf(what, sizeof what, "mode: %s", modes[way]);
    } else if (class == FAULT_CLASS_SMALL_BUFFERS) {
        name = "small_buffers";
        (void)snprintf(what, sizeof what, "size: %lldB", (long long)amount * 8);
    } else if (class == FAULT_CLASS_FLAKY) {
        name = "flaky";
        (void)snprintf(what, sizeof what, "hold: %lldms, every: %lldms", (long long)amount * 2,
                       (long long)amount * (int64_t)(way + 1));
    } else {
        name = "slow_link";
        if (way == 0) {
            (void)snprintf(what, sizeof what, "rate: %lldB", (long long)amount * 1000);
        } else {
            (void)snprintf(what, sizeof what, "latency: %lldms", (long long)amount);
        }
    }
    (void)swarm_act_on(swarm, "{%s: {links: %s, %s, for: %lldms}}", name, links, what,
                       (long long)for_ms);
}

static void fault_shuffle(struct swarm *swarm)
{
    int node = swarm_node(swarm);
    int64_t for_ms = swarm_ms(swarm, 1000, 5);

    (void)swarm_act_on(swarm, "{shuffle: {node: node(%d), for: %lldms}}", swarm_id(swarm, node),
                       (long long)for_ms);
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
    case FAULT_CLASS_WIPE: fault_wipe(swarm); return;
    case FAULT_CLASS_OOM: fault_oom(swarm); return;
    case FAULT_CLASS_RECONFIGURE: fault_reconfigure(swarm); return;
    case FAULT_CLASS_CLOG: fault_clog(swarm); return;
    case FAULT_CLASS_SWIZZLE: fault_swizzle(swarm); return;
    case FAULT_CLASS_CUT: fault_cut(swarm, true, false, draw_style(swarm)); return;
    case FAULT_CLASS_CUT_ONE_WAY: fault_cut(swarm, false, false, draw_style(swarm)); return;
    case FAULT_CLASS_CUT_PAIR: fault_cut_pair(swarm); return;
    case FAULT_CLASS_RESET: fault_reset(swarm); return;
    case FAULT_CLASS_HALF_OPEN: fault_cut(swarm, true, true, "blackhole"); return;
    case FAULT_CLASS_CONNECT: fault_connect(swarm); return;
    case FAULT_CLASS_LATE_BYTES: fault_late(swarm); return;
    case FAULT_CLASS_LATENCY:
    case FAULT_CLASS_SEGMENT:
    case FAULT_CLASS_SMALL_BUFFERS:
    case FAULT_CLASS_FLAKY: fault_links(swarm, class); return;
    case FAULT_CLASS_SHUFFLE: fault_shuffle(swarm); return;
    case FAULT_CLASS_DRIFT:
    case FAULT_CLASS_JUMP:
    case FAULT_CLASS_OFFSET:
    case FAULT_CLASS_COARSE:
    case FAULT_CLASS_LATE:
    case FAULT_CLASS_SLEEP:
    case FAULT_CLASS_READ_ERROR:
    case FAULT_CLASS_WRITE_ERROR:
    case FAULT_CLASS_SYNC_ERROR:
    case FAULT_CLASS_DISK_FULL:
    case FAULT_CLASS_DISK_SLOW:
    case FAULT_CLASS_LIE:
    case FAULT_CLASS_ROT:
    case FAULT_CLASS_HEADER_ROT:
    case FAULT_CLASS_LOST_WRITE:
    case FAULT_CLASS_MISDIRECT:
    case FAULT_CLASS_STALE_READ:
    case FAULT_CLASS_SHORT_IO:
    case FAULT_CLASS_DIR_GONE:
    case FAULT_CLASS_FOREIGN:
    case FAULT_CLASS_REVERT: swarm_disk_fault(swarm, class); return;
    case FAULT_CLASS_REASSIGN:
    case FAULT_CLASS_VOTERS:
    case FAULT_CLASS_UNREGISTER:
    case FAULT_CLASS_UPGRADE: swarm_member_fault(swarm, class); return;
    case FAULT_CLASS_ADMIN: swarm_admin_fault(swarm); return;
    case FAULT_CLASS_CLIENT: swarm_client_fault(swarm); return;
    case FAULT_CLASSES: break;
    }
    IMPOSSIBLE("class of a fault");
}
