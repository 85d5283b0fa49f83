/* Whom a random fault hits, how long it lasts, and how it is written. */
#include "sim/swarm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int64_t swarm_decades(struct rng *rng, int64_t unit, uint32_t steps)
{
    static const int64_t tenths[] = {2, 5, 10};
    uint64_t step = rng_below(rng, steps);
    int64_t value = unit * tenths[step % 3] / 10;

    for (uint64_t i = 0; i < step / 3; i++)
        value *= 10;
    return value;
}

uint32_t swarm_count(uint64_t set)
{
    uint32_t count = 0;

    for (; set != 0; set &= set - 1)
        count++;
    return count;
}

int swarm_nth(uint64_t set, uint64_t n)
{
    for (; n > 0; n--)
        set &= set - 1;
    for (int i = 0; i < EXPR_NODES_MAX; i++) {
        if ((set >> i & 1) != 0) return i;
    }
    return -1;
}

int64_t swarm_ms(struct swarm *swarm, int64_t unit_ms, uint32_t steps)
{
    return swarm_decades(&swarm->rng, unit_ms, steps);
}

int swarm_leader(struct swarm *swarm)
{
    const struct run *run = swarm->run;
    uint64_t topic = rng_below(&swarm->rng, run->scenario->topic_count);
    uint64_t partition = rng_below(&swarm->rng, run->cluster->partitions[topic]);

    return cluster_partition_leader(run->cluster, (uint32_t)topic, (int32_t)partition);
}

int swarm_node(struct swarm *swarm)
{
    const struct run *run = swarm->run;
    uint64_t how = rng_below(&swarm->rng, 10);
    uint64_t any = rng_below(&swarm->rng, run->cluster->count);
    uint64_t broker = rng_below(&swarm->rng, swarm_count(cluster_brokers(run->cluster)));
    int node = -1;

    if (swarm->moment >= 0 && how < 7) return swarm->moment;
    if (how > 7) return swarm_nth(cluster_brokers(run->cluster), broker);
    if (how < 3 && run->scenario->topic_count > 0) {
        node = swarm_leader(swarm);
    } else if (how < 5) {
        node = cluster_active_controller(run->cluster);
    }
    return node >= 0 ? node : (int)any;
}

int32_t swarm_id(const struct swarm *swarm, int index)
{
    return swarm->run->cluster->nodes[index].id;
}

int swarm_victim(struct swarm *swarm)
{
    static const uint32_t most_down[] = {[FAULT_CALM] = 1, [FAULT_ROUGH] = 2, [FAULT_HOSTILE] = 64};
    const struct run *run = swarm->run;
    int node = swarm_node(swarm);
    uint32_t down = 0;

    for (uint32_t i = 0; i < run->cluster->count; i++)
        down += !run->sim->nodes[i]->up;
    if (down >= most_down[swarm->intensity] || !run->sim->nodes[node]->up) return -1;
    return swarm->node_free_ns[node] <= run->sim->now_ns ? node : -1;
}

int swarm_storage_victim(struct swarm *swarm)
{
    const struct cluster *cluster = swarm->run->cluster;
    uint64_t storage = cluster_brokers(cluster) & ~cluster_controllers(cluster);
    int node = swarm_victim(swarm);

    return node >= 0 && (storage >> node & 1) != 0 ? node : -1;
}

static bool is_free(const struct swarm *swarm, int node)
{
    return swarm->run->sim->nodes[node]->up && swarm->node_free_ns[node] <= swarm->run->sim->now_ns;
}

int swarm_damage_victim(struct swarm *swarm)
{
    const struct cluster *cluster = swarm->run->cluster;
    uint64_t storage = cluster_brokers(cluster) & ~cluster_controllers(cluster);
    bool again = rng_chance(&swarm->rng, RNG_MILLION / 4 * 3);
    int node = swarm_storage_victim(swarm);

    for (uint32_t i = 0; i < cluster->count && again; i++) {
        if ((storage >> i & 1) == 0 ||
            !check_disk_spent(swarm->run->check, swarm_id(swarm, (int)i)))
            continue;
        return is_free(swarm, (int)i) ? (int)i : -1;
    }
    return node;
}

int swarm_voter_victim(struct swarm *swarm)
{
    const struct cluster *cluster = swarm->run->cluster;
    uint64_t voters = cluster_voter_set(cluster);
    uint64_t which = rng_below(&swarm->rng, CLUSTER_NODES_MAX);
    int node;

    if (voters == 0) voters = cluster_controllers(cluster);
    voters &= ~cluster_brokers(cluster);
    if (voters == 0) return -1;
    node = swarm_nth(voters, which % swarm_count(voters));
    return is_free(swarm, node) ? node : -1;
}

void swarm_rests(struct swarm *swarm, int node, int64_t busy_ms)
{
    static const int64_t units[] = {
        [FAULT_CALM] = 1000, [FAULT_ROUGH] = 500, [FAULT_HOSTILE] = 100};
    int64_t calm_ms = swarm_ms(swarm, units[swarm->intensity], 6);

    swarm->node_free_ns[node] = swarm->run->sim->now_ns + (busy_ms + calm_ms) * NS_PER_MS;
}

void swarm_write_set(const struct swarm *swarm, uint64_t set, bool clients, char *text)
{
    size_t used = (size_t)snprintf(text, SWARM_NODES_TEXT, "[");
    const char *comma = "";
    uint32_t count = 0;

    for (uint32_t i = 0; i < swarm->run->cluster->count && count < SCENARIO_TARGETS_MAX - 1; i++) {
        if ((set >> i & 1) == 0) continue;
        used += (size_t)snprintf(text + used, SWARM_NODES_TEXT - used, "%snode(%d)", comma,
                                 swarm_id(swarm, (int)i));
        comma = ", ";
        count++;
    }
    (void)snprintf(text + used, SWARM_NODES_TEXT - used, "%s%s]", clients ? comma : "",
                   clients ? "clients" : "");
}

bool swarm_act_on(struct swarm *swarm, const char *format, ...)
{
    char text[SWARM_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return swarm_do(swarm, text);
}
