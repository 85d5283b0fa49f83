/* Random faults of clocks and disks. */
#include "sim/swarm.h"

#include <stdio.h>
#include <string.h>

/* ---- clocks and disks ------------------------------------------------------------------------ */

static void fault_clock(struct swarm *swarm, bool jump)
{
    int node = swarm_node(swarm);
    int64_t amount = swarm_ms(swarm, jump ? 100 : 50, jump ? 12 : 6);
    bool back = rng_chance(&swarm->rng, RNG_MILLION / 2);

    if (jump) {
        (void)swarm_act_on(swarm, "{clock: {node: node(%d), jump: %s%lldms}}",
                           swarm_id(swarm, node), back ? "-" : "", (long long)amount);
    } else {
        (void)swarm_act_on(swarm, "{clock: {node: node(%d), drift: %s%lldppm}}",
                           swarm_id(swarm, node), back ? "-" : "", (long long)amount);
    }
}

/* A constant, or for a while: coarse steps, timers that are late. */
static void fault_clock_way(struct swarm *swarm, enum fault_class class)
{
    int node = swarm_node(swarm);
    int64_t amount = swarm_ms(swarm, class == FAULT_CLASS_OFFSET ? 100 : 1, 9);
    int64_t for_ms = swarm_ms(swarm, 1000, 5);
    bool back = rng_chance(&swarm->rng, RNG_MILLION / 2);

    if (amount == 0) amount = 1;
    if (class == FAULT_CLASS_OFFSET) {
        (void)swarm_act_on(swarm, "{clock: {node: node(%d), skew: %s%lldms}}",
                           swarm_id(swarm, node), back ? "-" : "", (long long)amount);
    } else {
        (void)swarm_act_on(swarm, "{clock: {node: node(%d), %s: %lldms, for: %lldms}}",
                           swarm_id(swarm, node), class == FAULT_CLASS_COARSE ? "coarse" : "late",
                           (long long)amount, (long long)for_ms);
    }
}

static void fault_sleep(struct swarm *swarm)
{
    int node = swarm_victim(swarm);
    int64_t for_ms = swarm_ms(swarm, 50, 8);
    bool runs = rng_chance(&swarm->rng, RNG_MILLION / 2);

    if (node < 0) return;
    swarm_rests(swarm, node, for_ms);
    (void)swarm_act_on(swarm, "{sleep: {node: node(%d), for: %lldms, monotonic: %s}}",
                       swarm_id(swarm, node), (long long)for_ms, runs ? "runs" : "stops");
}

static void fault_disk_error(struct swarm *swarm, const char *op)
{
    int node = swarm_victim(swarm);
    int64_t nth = swarm_ms(swarm, 10, 6);
    uint64_t times = rng_below(&swarm->rng, 3);

    if (node < 0) return;
    swarm_rests(swarm, node, 2000);
    (void)swarm_act_on(swarm,
                       "{disk_error: {node: node(%d), op: %s, nth: %lld, times: %u, errno: EIO}}",
                       swarm_id(swarm, node), op, (long long)nth, (unsigned)times + 1);
}

static void fault_disk_full(struct swarm *swarm)
{
    int node = swarm_victim(swarm);
    int64_t left = swarm_ms(swarm, 1000, 8);
    int64_t for_ms = swarm_ms(swarm, 500, 5);

    if (node < 0) return;
    swarm_rests(swarm, node, for_ms);
    (void)swarm_act_on(swarm, "{disk_full: {node: node(%d), free: %lldB, for: %lldms}}",
                       swarm_id(swarm, node), (long long)left, (long long)for_ms);
}

static void fault_disk_slow(struct swarm *swarm)
{
    int node = swarm_node(swarm);
    bool stall = rng_chance(&swarm->rng, RNG_MILLION / 2);
    int64_t for_ms = swarm_ms(swarm, 50, 8);
    int64_t factor = swarm_ms(swarm, 10, 8);
    bool blocks = rng_chance(&swarm->rng, RNG_MILLION / 5);

    if (blocks) { /* a call that should not wait does */
        (void)swarm_act_on(swarm, "{disk_block: {node: node(%d), each: %lldus, for: %lldms}}",
                           swarm_id(swarm, node), (long long)factor * 5, (long long)for_ms);
    } else if (stall) {
        (void)swarm_act_on(swarm, "{disk_stall: {node: node(%d), for: %lldms}}",
                           swarm_id(swarm, node), (long long)for_ms);
    } else {
        (void)swarm_act_on(swarm, "{disk_slow: {node: node(%d), factor: %lldx, for: %lldms}}",
                           swarm_id(swarm, node), (long long)factor, (long long)for_ms);
    }
}

/* ---- what a disk should never do ------------------------------------------------------------- */

/* "orders-0/" of a partition that the node has, by chance; its topic, -1: it has none. */
static int write_partition(struct swarm *swarm, int node, char *text, size_t size)
{
    const struct run *run = swarm->run;
    uint64_t which = rng_u64(&swarm->rng);
    uint32_t count = 0;

    for (int turn = 0; turn < 2 && node >= 0; turn++) {
        uint32_t seen = 0;

        for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
            for (uint32_t i = 0; i < run->cluster->partitions[topic]; i++) {
                if (!check_partition_member(run->check, run->scenario->topics[topic].name,
                                            (int32_t)i, swarm_id(swarm, node))
                         .replica)
                    continue;
                if (turn == 1 && seen == which % count) {
                    (void)snprintf(text, size, "%.60s-%u/", run->scenario->topics[topic].name, i);
                    return (int)topic;
                }
                seen++;
            }
        }
        count = seen;
    }
    return -1;
}

static void fault_rot(struct swarm *swarm, bool header)
{
    int node = swarm_damage_victim(swarm);
    bool checkpoint = rng_chance(&swarm->rng, RNG_MILLION / 4) && header;
    uint64_t bits = rng_below(&swarm->rng, 3);
    char of[96];

    if (write_partition(swarm, node, of, sizeof of) < 0) return;
    swarm_rests(swarm, node, 4000);
    if (checkpoint) {
        (void)swarm_act_on(swarm, "{rot: {node: node(%d), file: %sleader-epoch-checkpoint}}",
                           swarm_id(swarm, node), of);
    } else {
        (void)swarm_act_on(swarm, "{rot: {node: node(%d), file: %s*.log, bits: %u%s}}",
                           swarm_id(swarm, node), of, (unsigned)bits + 1,
                           header ? ", header: true" : "");
    }
}

/* Few reads reach the device, and most of those at a start: there is one soon. */
static void fault_deceit(struct swarm *swarm, enum fault_class class)
{
    const char *name = class == FAULT_CLASS_LOST_WRITE  ? "lose_write"
                       : class == FAULT_CLASS_MISDIRECT ? "misdirect"
                                                        : "stale_read";
    int node = swarm_damage_victim(swarm);
    int64_t nth = swarm_ms(swarm, 5, 5);
    uint64_t times = rng_below(&swarm->rng, 3);
    int64_t wait_ms = swarm_ms(swarm, 100, 5);
    char of[96];

    if (class == FAULT_CLASS_STALE_READ) nth = nth / 10 + 1;
    if (write_partition(swarm, node, of, sizeof of) < 0) return;
    swarm_rests(swarm, node, 4000);
    if (!swarm_act_on(swarm, "{%s: {node: node(%d), file: %s*.log, nth: %lld, times: %u}}", name,
                      swarm_id(swarm, node), of, (long long)nth, (unsigned)times + 1))
        return;
    if (class == FAULT_CLASS_STALE_READ) swarm_kill_later(swarm, node, wait_ms, wait_ms);
}

static void fault_lie(struct swarm *swarm)
{
    int node = swarm_damage_victim(swarm);
    int64_t for_ms = swarm_ms(swarm, 200, 5);

    if (node < 0) return;
    swarm_rests(swarm, node, for_ms);
    (void)swarm_act_on(swarm, "{lying_sync: {node: node(%d), for: %lldms}}", swarm_id(swarm, node),
                       (long long)for_ms);
}

static void fault_short_io(struct swarm *swarm)
{
    int node = swarm_node(swarm);
    int64_t for_ms = swarm_ms(swarm, 500, 5);
    uint64_t share = rng_below(&swarm->rng, 50);

    (void)swarm_act_on(swarm, "{short_io: {node: node(%d), share: %u%%, for: %lldms}}",
                       swarm_id(swarm, node), (unsigned)share + 1, (long long)for_ms);
}

/* Of several log directories one fails; the process goes on, or comes back without it. */
static void fault_dir_gone(struct swarm *swarm)
{
    const struct scenario *scenario = swarm->run->scenario;
    int node = swarm_damage_victim(swarm);
    bool read_only = rng_chance(&swarm->rng, RNG_MILLION / 2);
    bool second = false;

    for (uint32_t i = 0; i < scenario->config_count; i++)
        second = second || (strcmp(scenario->configs[i].key, "log.dirs") == 0 &&
                            strstr(scenario->configs[i].value, "second") != NULL);
    if (node < 0 || !second) return;
    swarm_rests(swarm, node, 4000);
    (void)swarm_act_on(swarm, "{dir_gone: {node: node(%d), dir: second, how: %s}}",
                       swarm_id(swarm, node), read_only ? "read_only" : "failed");
}

/* Until the broker has come so far that it puts it aside, which takes the metadata. */
static bool foreign_stands(const struct swarm *swarm, int node)
{
    const struct run *run = swarm->run;
    const struct swarm_foreign *foreign = &swarm->foreign[node];
    const char *name = run->scenario->topics[foreign->topic].name;
    char glob[96], path[256];
    uint64_t size;

    if (!foreign->came ||
        check_partition_member(run->check, name, foreign->partition, swarm_id(swarm, node)).replica)
        return false;
    (void)snprintf(glob, sizeof glob, "*/%.60s-%d/*", name, (int)foreign->partition);
    return sim_image_pick(sim_disk_image(run->sim->nodes[node]->disk), glob, 0, path, sizeof path,
                          &size) != NULL;
}

bool swarm_foreign_stands(const struct swarm *swarm)
{
    for (uint32_t i = 0; i < swarm->run->cluster->count; i++)
        if (foreign_stands(swarm, (int)i)) return true;
    return false;
}

/* A broker's goes back behind its last start: a rollback within one life is noticed by nobody
 * (KIP-966 asks for the broker epoch before, and that is right then). A voter's is noticed by its
 * leader in any case (K35). What to go back to is kept at another time, without a log of elsewhere:
 * its name may be the broker's when it comes back. */
static void fault_revert(struct swarm *swarm)
{
    bool voter = rng_chance(&swarm->rng, RNG_MILLION / 3);
    int node = voter ? swarm_voter_victim(swarm) : swarm_damage_victim(swarm);
    int64_t down_ms = swarm_ms(swarm, 100, 5);
    uint64_t life;

    if (node < 0) return;
    life = swarm->run->sim->nodes[node]->incarnation;
    if (swarm->snapshot_life[node] == 0 || (!voter && swarm->snapshot_life[node] == life)) {
        if (foreign_stands(swarm, node)) return;
        if (!swarm_act_on(swarm, "{snapshot: {node: node(%d)}}", swarm_id(swarm, node))) return;
        swarm->snapshot_life[node] = life;
        return;
    }
    swarm_rests(swarm, node, down_ms);
    (void)swarm_act_on(swarm, "{revert: {node: node(%d)}, then: {restart: {after: %lldms}}}",
                       swarm_id(swarm, node), (long long)down_ms);
}

/* A log of one partition under the name of another, which the broker has not. One in the place of
 * its own log is not told from it by anybody: the topic is right, and so may be all the rest. */
static void fault_foreign(struct swarm *swarm)
{
    struct run *run = swarm->run;
    int node = swarm_damage_victim(swarm);
    uint64_t others = cluster_brokers(run->cluster);
    int from = swarm_nth(others, rng_below(&swarm->rng, swarm_count(others)));
    uint64_t topic = rng_below(&swarm->rng, run->scenario->topic_count);
    uint64_t partition = rng_below(&swarm->rng, run->cluster->partitions[topic] + 3);
    int64_t down_ms = swarm_ms(swarm, 100, 5);
    char of[96];
    int own = write_partition(swarm, from, of, sizeof of);
    bool same = own >= 0 && (uint64_t)own == topic;

    if (own < 0) return;
    if (node < 0 || check_partition_member(run->check, run->scenario->topics[topic].name,
                                           (int32_t)partition, swarm_id(swarm, node))
                        .replica)
        return;
    /* One at a time, and none that an administrator may be making the broker's own. */
    if (same && (foreign_stands(swarm, node) || run->workload->job_next < run->workload->job_count))
        return;
    swarm_rests(swarm, node, down_ms);
    if (swarm_act_on(swarm,
                     "{foreign: {node: node(%d), from: node(%d), file: %s, as: %s-%u}, then: "
                     "{restart: {after: %lldms}}}",
                     swarm_id(swarm, node), swarm_id(swarm, from), of,
                     run->scenario->topics[topic].name, (unsigned)partition, (long long)down_ms) &&
        same)
        swarm->foreign[node] = (struct swarm_foreign){true, (uint32_t)topic, (int32_t)partition};
}

void swarm_disk_fault(struct swarm *swarm, enum fault_class class)
{
    switch ((int)class) {
    case FAULT_CLASS_DRIFT: fault_clock(swarm, false); return;
    case FAULT_CLASS_JUMP: fault_clock(swarm, true); return;
    case FAULT_CLASS_OFFSET:
    case FAULT_CLASS_COARSE:
    case FAULT_CLASS_LATE: fault_clock_way(swarm, class); return;
    case FAULT_CLASS_SLEEP: fault_sleep(swarm); return;
    case FAULT_CLASS_READ_ERROR: fault_disk_error(swarm, "read"); return;
    case FAULT_CLASS_WRITE_ERROR: fault_disk_error(swarm, "write"); return;
    case FAULT_CLASS_SYNC_ERROR: fault_disk_error(swarm, "sync"); return;
    case FAULT_CLASS_DISK_FULL: fault_disk_full(swarm); return;
    case FAULT_CLASS_DISK_SLOW: fault_disk_slow(swarm); return;
    case FAULT_CLASS_LIE: fault_lie(swarm); return;
    case FAULT_CLASS_ROT: fault_rot(swarm, false); return;
    case FAULT_CLASS_HEADER_ROT: fault_rot(swarm, true); return;
    case FAULT_CLASS_LOST_WRITE:
    case FAULT_CLASS_MISDIRECT:
    case FAULT_CLASS_STALE_READ: fault_deceit(swarm, class); return;
    case FAULT_CLASS_SHORT_IO: fault_short_io(swarm); return;
    case FAULT_CLASS_DIR_GONE: fault_dir_gone(swarm); return;
    case FAULT_CLASS_REVERT: fault_revert(swarm); return;
    case FAULT_CLASS_FOREIGN: fault_foreign(swarm); return;
    default: IMPOSSIBLE("class of a fault of clocks and disks");
    }
}
