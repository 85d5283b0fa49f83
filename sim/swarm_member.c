/* Random changes of who is what in the cluster: where replicas stand, who votes, who is registered,
 * which build a node is. What budget.h refuses is counted as refused; what the cluster refuses has
 * been asked for and hits nothing. */
#include "sim/swarm.h"

#include <stdio.h>

/* ---- replicas -------------------------------------------------------------------------------- */

static uint64_t draw_some(struct swarm *swarm, uint64_t from, uint32_t count)
{
    uint64_t chosen = 0;

    while (count-- > 0 && (from & ~chosen) != 0) {
        uint64_t left = from & ~chosen;
        uint64_t which = rng_below(&swarm->rng, swarm_count(left));

        chosen |= UINT64_C(1) << swarm_nth(left, which);
    }
    return chosen;
}

/* To as many brokers as before, one more or one less; called back in a third of the cases. */
static void fault_reassign(struct swarm *swarm)
{
    struct run *run = swarm->run;
    uint32_t topic = swarm_topic(swarm);
    unsigned partition = (unsigned)rng_below(&swarm->rng, run->cluster->partitions[topic]);
    uint64_t change = rng_below(&swarm->rng, 5);
    uint64_t brokers = cluster_brokers(run->cluster);
    uint32_t count = run->cluster->replicas[topic] + (change == 0) - (change == 1);
    const char *name = swarm->scenario->topics[topic].name;
    int64_t back_ms = swarm_ms(swarm, 20, 8);
    bool back = rng_chance(&swarm->rng, RNG_MILLION / 3);
    uint64_t to, first;
    char nodes[SWARM_NODES_TEXT];
    char text[96];

    if (swarm->departed >= 0) brokers &= ~(UINT64_C(1) << swarm->departed);
    if (count == 0) count = 1;
    to = draw_some(swarm, brokers, count);
    first = draw_some(swarm, to, 1);
    if (to == 0 || swarm_foreign_stands(swarm)) return;
    swarm_write_set(swarm, to, false, nodes);
    if (!swarm_act_on(swarm, "{reassign: {partition: %s-%u, to: %s, first: node(%d)}}", name,
                      partition, nodes, swarm_id(swarm, swarm_nth(first, 0))) ||
        !back) {
        return;
    }
    (void)snprintf(text, sizeof text, "{cancel_reassign: {partition: %.60s-%u}}", name, partition);
    swarm_do_later(swarm, run->sim->now_ns + back_ms * NS_PER_MS, text);
}

/* ---- the quorum ------------------------------------------------------------------------------ */

/* Only where the voters are in the log. A leader is removed as often as chance has it. */
static void fault_voters(struct swarm *swarm)
{
    const struct cluster *cluster = swarm->run->cluster;
    uint64_t voters = cluster_voter_set(cluster);
    uint64_t others = cluster_controllers(cluster) & ~voters;
    bool add = rng_chance(&swarm->rng, RNG_MILLION / 2) || swarm_count(voters) <= 3;
    bool committed = rng_chance(&swarm->rng, RNG_MILLION / 2);
    uint64_t one = draw_some(swarm, add ? others : voters, 1);

    if (voters == 0 || one == 0) return;
    if (add) {
        (void)swarm_act_on(swarm, "{add_voter: {node: node(%d), ack: %s}}",
                           swarm_id(swarm, swarm_nth(one, 0)),
                           committed ? "committed" : "appended");
    } else {
        (void)swarm_act_on(swarm, "{remove_voter: {node: node(%d)}}",
                           swarm_id(swarm, swarm_nth(one, 0)));
    }
}

/* ---- registrations --------------------------------------------------------------------------- */

/* Who has left for good is forgotten, and may come back when that is answered. */
static void fault_unregister(struct swarm *swarm)
{
    enum fault_class own = swarm->doing;

    if (swarm->departed < 0) {
        swarm->doing = FAULT_CLASS_ADMIN; /* whose fault that is */
        swarm_depart(swarm);
        swarm->doing = own;
        return;
    }
    if (swarm->departing > 0) return;
    if (swarm_act_on(swarm, "{unregister: {broker: node(%d)}}", swarm_id(swarm, swarm->departed)))
        swarm->departing = swarm->run->workload->job_count;
}

/* ---- builds ---------------------------------------------------------------------------------- */

static uint64_t older(const struct cluster *cluster)
{
    uint64_t set = 0;

    for (uint32_t i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].config.feature_metadata_version_max < CONFIG_METADATA_VERSION)
            set |= UINT64_C(1) << i;
    }
    return set;
}

/* One node after the other, now and then one back; when all know the level, it is raised. */
static void fault_upgrade(struct swarm *swarm)
{
    const struct cluster *cluster = swarm->run->cluster;
    uint64_t old = older(cluster);
    uint64_t all = cluster_brokers(cluster) | cluster_controllers(cluster);
    bool raise = rng_chance(&swarm->rng, RNG_MILLION / 8);
    bool back = rng_chance(&swarm->rng, RNG_MILLION / 8);
    uint64_t one = draw_some(swarm, back ? all & ~old : old, 1);
    int node = one != 0 ? swarm_nth(one, 0) : -1;

    if (swarm->raised) return;
    if (old == 0 && !back) raise = true;
    if (raise) {
        if (swarm_act_on(swarm,
                         "{features: {set: {metadata.version: %d, "
                         "eligible.leader.replicas.version: 1}}}",
                         CONFIG_METADATA_VERSION))
            swarm->raised = true;
        return;
    }
    if (node < 0 || !swarm->run->sim->nodes[node]->up ||
        swarm->node_free_ns[node] > swarm->run->sim->now_ns)
        return;
    swarm_rests(swarm, node, 2000);
    (void)swarm_act_on(swarm, "{upgrade: {node: node(%d), to: %d}}", swarm_id(swarm, node),
                       back ? SWARM_OLD_BUILD : CONFIG_METADATA_VERSION);
}

void swarm_member_begin(struct swarm *swarm)
{
    swarm->raised = older(swarm->run->cluster) == 0;
}

void swarm_member_fault(struct swarm *swarm, enum fault_class class)
{
    if (!swarm_may_ask(swarm)) return;
    switch ((int)class) {
    case FAULT_CLASS_REASSIGN: fault_reassign(swarm); return;
    case FAULT_CLASS_VOTERS: fault_voters(swarm); return;
    case FAULT_CLASS_UNREGISTER: fault_unregister(swarm); return;
    case FAULT_CLASS_UPGRADE: fault_upgrade(swarm); return;
    default: IMPOSSIBLE("class of a change of the cluster");
    }
}
