/* The liveness phase (simulation.md 1.7): a core of nodes is healed, what is broken outside of it
 * stays broken, and the core must come to rest in a time that follows from its timeouts.
 *
 * Converged: one active controller that every core node follows; every partition led, all its core
 * replicas in the ISR, with the leader's epoch, log end and high watermark; every producer's record
 * settled. A node outside may lead when it is well enough that the core follows it. Looked at every
 * 50 ms of virtual time.
 *
 * Members of groups commit on, and a follower hears of a high watermark with its next fetch, so of
 * a log that still grows no follower need ever know all. What it owes is what the leader had some
 * time ago (struct run_trail); of a log that is quiet for as long that is all of it. */
#include "sim/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONVERGE_TICK_NS (50 * NS_PER_MS)

enum { MENDS_MAX = 3 };

static bool in_set(uint64_t set, uint32_t index)
{
    return index < EXPR_NODES_MAX && (set >> index & 1) != 0;
}

static uint32_t count_of(uint64_t set)
{
    uint32_t count = 0;

    for (; set != 0; set &= set - 1)
        count++;
    return count;
}

/* ---- what must be true ----------------------------------------------------------------------- */

static bool missing(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool missing(struct run *run, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(run->missing, sizeof run->missing, format, args);
    va_end(args);
    return false;
}

static bool core_is_up(struct run *run, uint64_t core)
{
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        const struct node *node = cluster_node(run->cluster, i);

        if (!in_set(core, i)) continue;
        if (node == NULL) return missing(run, "node %d is down", run->cluster->nodes[i].id);
        if (node->state == NODE_READY) continue;
        return missing(run, "node %d is %s", run->cluster->nodes[i].id,
                       node_state_name(node->state));
    }
    return true;
}

static bool core_has_controller(struct run *run, uint64_t core)
{
    int active = cluster_active_controller(run->cluster);
    const struct node *leader = active >= 0 ? cluster_node(run->cluster, (uint32_t)active) : NULL;

    if (leader == NULL) return missing(run, "no controller is active");
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        const struct node *node = cluster_node(run->cluster, i);

        if (!in_set(core, i) || node == NULL) continue;
        if (i != (uint32_t)active && node->controls && controller_active(&node->controller)) {
            return missing(run, "controllers %d and %d are both active",
                           run->cluster->nodes[active].id, run->cluster->nodes[i].id);
        }
        if (node->quorum.leader != run->cluster->nodes[active].id ||
            node->quorum.epoch != leader->quorum.epoch) {
            return missing(run, "node %d follows controller %d in epoch %d, active is %d in %d",
                           run->cluster->nodes[i].id, node->quorum.leader, node->quorum.epoch,
                           run->cluster->nodes[active].id, leader->quorum.epoch);
        }
    }
    return true;
}

/* How long a follower may take over news of a leader: a fetch that has just begun to wait, and the
 * next one (as of R52). */
static int64_t trail_ns(const struct run *run)
{
    return 2 * run->check_config.fetch_wait_ns + run->check_config.heartbeat_ns;
}

static void trail_note(const struct run *run, struct run_trail *trail,
                       const struct partition *leader)
{
    int64_t end = leader->log->log_end;
    bool anew = trail->epoch != leader->leader_epoch || end < trail->end;

    if (!anew && run->sim->now_ns - trail->noted_ns < trail_ns(run)) return;
    trail->owed = anew ? INT64_MAX : trail->end;
    trail->epoch = leader->leader_epoch;
    trail->end = end;
    trail->noted_ns = run->sim->now_ns;
}

static void trails_note(struct run *run)
{
    for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
        for (uint32_t i = 0; i < run->trail_count[topic]; i++) {
            int leader = cluster_partition_leader(run->cluster, topic, (int32_t)i);
            const struct partition *leading =
                leader < 0 ? NULL
                           : cluster_replica(run->cluster, (uint32_t)leader, topic, (int32_t)i);

            if (leading != NULL && leading->log != NULL)
                trail_note(run, &run->trails[topic][i], leading);
        }
    }
}

static void trails_begin(struct run *run)
{
    for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
        uint32_t count = run->cluster->partitions[topic];

        if (count == 0) continue;
        run->trails[topic] = sim_alloc(count * sizeof *run->trails[topic]);
        run->trail_count[topic] = count;
        for (uint32_t i = 0; i < count; i++)
            run->trails[topic][i] = (struct run_trail){.epoch = -1, .owed = INT64_MAX};
    }
}

void run_trails_free(struct run *run)
{
    for (uint32_t i = 0; i < SCENARIO_TOPICS_MAX; i++)
        free(run->trails[i]);
}

/* What replicas must have: all, where a partition came later and outside of the liveness phase. */
static int64_t owed_of(const struct run *run, uint32_t topic, int32_t partition,
                       const struct partition *leader)
{
    int64_t end = leader->log->log_end;

    if ((uint32_t)partition >= run->trail_count[topic]) return end;
    return run->trails[topic][partition].owed < end ? run->trails[topic][partition].owed : end;
}

static bool replica_at_rest(struct run *run, uint32_t topic, int32_t partition, uint32_t index,
                            const struct partition *leader, int64_t owed)
{
    const struct partition *part = cluster_replica(run->cluster, index, topic, partition);
    const char *name = run->scenario->topics[topic].name;
    int32_t id = run->cluster->nodes[index].id;

    if (part == NULL || part->log == NULL) {
        return missing(run, "%s-%d: node %d has no replica of it", name, partition, id);
    }
    if (part->leader_epoch != leader->leader_epoch) {
        return missing(run, "%s-%d: node %d is in epoch %d, the leader in %d", name, partition, id,
                       part->leader_epoch, leader->leader_epoch);
    }
    if (part->log->log_end >= owed && part->log->log_end <= leader->log->log_end &&
        part->high_watermark >= owed) {
        return true;
    }
    return missing(run,
                   "%s-%d: node %d has log end %lld and high watermark %lld, the leader's log "
                   "ends at %lld%s",
                   name, partition, id, (long long)part->log->log_end,
                   (long long)part->high_watermark, (long long)leader->log->log_end,
                   owed < leader->log->log_end ? " and has grown" : "");
}

static bool partition_at_rest(struct run *run, uint32_t topic, int32_t partition, uint64_t core)
{
    const struct image_partition *meta = cluster_partition(run->cluster, topic, partition);
    int leader = cluster_partition_leader(run->cluster, topic, partition);
    const char *name = run->scenario->topics[topic].name;
    const struct partition *leading;
    uint64_t replicas;
    int64_t owed;

    if (meta == NULL) return missing(run, "%s-%d is not in the metadata", name, partition);
    if (leader < 0) return missing(run, "%s-%d has no leader", name, partition);
    if (meta->leader != run->cluster->nodes[leader].id) {
        return missing(run, "%s-%d is led by %d, the metadata says %d", name, partition,
                       run->cluster->nodes[leader].id, meta->leader);
    }
    replicas = cluster_set(run->cluster, image_replicas(meta)) & core;
    if ((replicas & ~cluster_set(run->cluster, image_isr(meta))) != 0) {
        return missing(run, "%s-%d: %u of %u core replicas are in sync", name, partition,
                       count_of(replicas & cluster_set(run->cluster, image_isr(meta))),
                       count_of(replicas));
    }
    leading = cluster_replica(run->cluster, (uint32_t)leader, topic, partition);
    if (leading == NULL || leading->log == NULL) return missing(run, "%s: no log", name);
    owed = owed_of(run, topic, partition, leading);
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        if (!in_set(replicas, i)) continue;
        if (!replica_at_rest(run, topic, partition, i, leading, owed)) return false;
    }
    return true;
}

static bool core_at_rest(struct run *run, uint64_t core)
{
    if (!core_is_up(run, core) || !core_has_controller(run, core)) return false;
    for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
        if (run->cluster->topics_off[topic]) continue;
        for (uint32_t i = 0; i < run->cluster->partitions[topic]; i++) {
            if (!partition_at_rest(run, topic, (int32_t)i, core)) return false;
        }
    }
    return true;
}

bool run_in_sync(struct run *run)
{
    return core_at_rest(run, cluster_brokers(run->cluster) | cluster_controllers(run->cluster));
}

/* ---- the core -------------------------------------------------------------------------------- */

/* One node of a set that is not in `core` yet, by the scenario's dice. */
static uint64_t draw_one(struct run *run, uint64_t from)
{
    uint64_t skip;

    if (from == 0) return 0;
    skip =
        decide_below(run->sim, (struct decide_site){DECIDE_CORE_MEMBER, -1, 0, 0}, count_of(from));
    for (; skip > 0; skip--)
        from &= from - 1;
    return from & -from;
}

/* By what is committed, as the oracles know it: no node that runs need have heard of it. */
static void committed_sets(struct run *run, uint32_t topic, int32_t partition, uint64_t *replicas,
                           uint64_t *leaders)
{
    *replicas = *leaders = 0;
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        struct check_member member = check_partition_member(
            run->check, run->scenario->topics[topic].name, partition, run->cluster->nodes[i].id);

        if (member.replica) *replicas |= UINT64_C(1) << i;
        if (member.in_sync || member.last_leader || member.joining) *leaders |= UINT64_C(1) << i;
    }
}

/* Enough of every partition: who may have to lead, and as many brokers as min.insync.replicas. */
static uint64_t core_for_partition(struct run *run, uint64_t core, uint32_t topic,
                                   int32_t partition)
{
    uint64_t replicas;
    uint64_t leaders;

    committed_sets(run, topic, partition, &replicas, &leaders);
    /* Any of them may be the last in sync in a moment, when another has just been restarted and
     * counts as fenced: without unclean elections nobody else may lead then. So may who is about to
     * join, and the last known leader, when the machines of all who are eligible were restarted
     * (KIP-966). */
    core |= leaders;
    while (count_of(core & replicas) < (uint32_t)run_min_isr(run, topic) &&
           (replicas & ~core) != 0) {
        core |= draw_one(run, replicas & ~core);
    }
    return core;
}

/* A voter whose disk was set back or damaged votes for nobody until a leader has brought it what it
 * lacks, and the leader may be outside: the majority is of others, or else all are in. */
static uint64_t core_controllers(struct run *run, uint64_t core)
{
    uint64_t controllers = cluster_controllers(run->cluster), sound = 0;

    for (uint32_t i = 0; i < run->cluster->count; i++)
        if ((controllers >> i & 1) != 0 && !check_disk_spent(run->check, run->cluster->nodes[i].id))
            sound |= UINT64_C(1) << i;
    if (count_of(sound) * 2 <= count_of(controllers)) return core | controllers;
    while (count_of(core & sound) * 2 <= count_of(controllers))
        core |= draw_one(run, sound & ~core);
    return core;
}

static uint64_t core_random(struct run *run)
{
    uint64_t controllers = cluster_controllers(run->cluster);
    uint64_t core = 0;

    /* An administrator who has not heard yet may get partitions placed by what was, or is still to
     * be, decided: on brokers which may come to be the only ones in sync, and nobody misses yet. */
    core |= workload_placements(run->workload);
    if (run->scenario->voters > 0) core |= controllers; /* which of them vote is in the log */
    core = core_controllers(run, core);
    for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
        if (run->cluster->topics_off[topic]) continue;
        for (uint32_t i = 0; i < run->cluster->partitions[topic]; i++)
            core = core_for_partition(run, core, topic, (int32_t)i);
    }
    return core;
}

static uint64_t core_of(struct run *run)
{
    uint64_t core = 0;

    switch (run->scenario->core) {
    case SCENARIO_CORE_ALL:
        return cluster_brokers(run->cluster) | cluster_controllers(run->cluster);
    case SCENARIO_CORE_RANDOM: return core_random(run);
    case SCENARIO_CORE_LIST:
        for (uint32_t i = 0; i < run->scenario->core_count; i++) {
            int index = cluster_index(run->cluster, run->scenario->core_nodes[i]);

            if (index >= 0) core |= UINT64_C(1) << index;
        }
        return core;
    }
    IMPOSSIBLE("kind of a core");
}

/* ---- healing --------------------------------------------------------------------------------- */

static void heal_node(struct run *run, uint32_t index)
{
    struct sim_world *node = run->sim->nodes[index];

    sim_disk_clear_rules(node->disk);
    sim_disk_unstall(node->disk);
    sim_disk_slow(node->disk, 1000);
    sim_disk_settings(node->disk)->capacity = node->config.disk.capacity;
    sim_disk_lie(node->disk, false);
    sim_disk_shorten(node->disk, 0);
    sim_disk_stall_submit(node->disk, 0);
    node->net.shuffled = false;
    node->net.connect_faults = 0;
    node->loop.times = 0;
    sim_node_oom_off(node);
    node->slow_permille = 1000;
    if (node->paused) sim_resume(node);
}

void run_heal_all(struct run *run)
{
    sim_heal_all(run->sim);
    for (uint32_t i = 0; i < run->sim->node_count; i++)
        heal_node(run, i);
}

/* A node outside of the core reaches all of it or none of it, each way, for good. One that leads
 * the quorum by the votes of some of the core and is out of reach for others would keep these out
 * for ever, and nothing in the protocol could help them (KIP-996). */
static void link_outsider(struct run *run, uint64_t healthy, uint32_t index)
{
    const struct decide_site site = {DECIDE_CORE_OUTSIDER, run->sim->nodes[index]->id, 0, 0};
    uint64_t mode = decide_below(run->sim, site, 4);
    uint64_t own = UINT64_C(1) << index;

    for (uint32_t i = 0; i < run->sim->node_count; i++) {
        if (!in_set(healthy, i)) continue;
        (void)sim_net_mend_all(run->sim, index, i);
        (void)sim_net_mend_all(run->sim, i, index);
    }
    if ((mode & 1) != 0) sim_partition_one_way(run->sim, own, healthy, SIM_CUT_BLACKHOLE);
    if ((mode & 2) != 0) sim_partition_one_way(run->sim, healthy, own, SIM_CUT_BLACKHOLE);
}

/* A replica that its disk has failed stays offline until the broker starts anew, as in Kafka. */
static bool has_offline(const struct run *run, uint32_t index)
{
    const struct node *node = cluster_node(run->cluster, index);

    if (node == NULL || !node->has_replicas || !node->replicas.started) return false;
    for (const struct partition *part = manager_first(&node->replicas); part != NULL;
         part = manager_next(&node->replicas, part)) {
        if (part->role == PARTITION_OFFLINE) return true;
    }
    return false;
}

/* A level was raised while it was away with an old build, which the cluster takes no more: whoever
 * runs it has installed the new one by now. */
static void update_build(struct run *run, uint32_t index)
{
    const struct image *image = cluster_image(run->cluster);
    int64_t known = run->cluster->nodes[index].config.feature_metadata_version_max;
    struct errmsg error = {.text = ""};
    char settings[80];

    if (image == NULL || known >= image_feature_level(image, STR("metadata.version"))) return;
    (void)snprintf(settings, sizeof settings, "gregor.feature.metadata.version.max=%d",
                   CONFIG_METADATA_VERSION);
    if (!cluster_reconfigure(run->cluster, index, settings, &error))
        run_decide(run, RUN_ERROR, "", -1, "the newest build: %s", error.text);
}

/* Whoever runs it starts it again: one that has gone by itself (its disk had failed), too; and puts
 * back what tells whose its directories are, if that is what it has gone for. One that
 * an administrator has given up waits until it is out of the metadata: a broker that runs must not
 * be unregistered, it would never join anything again (as in Kafka). */
static void start_core(struct run *run)
{
    uint64_t given_up = workload_unregisters(run->workload);

    for (uint32_t i = 0; i < run->cluster->count; i++) {
        if (!in_set(run->core & ~given_up, i) || run->sim->nodes[i]->up) continue;
        cluster_identity_mend(run->cluster, i);
        update_build(run, i);
        sim_restart(run->sim->nodes[i]);
    }
}

static void heal_core(struct run *run)
{
    uint64_t healthy = run->core | workload_set(run->workload);

    for (uint32_t i = 0; i < run->sim->node_count; i++) {
        for (uint32_t j = 0; j < run->sim->node_count; j++) {
            if (i != j && in_set(healthy, i) && in_set(healthy, j)) {
                (void)sim_net_mend_all(run->sim, i, j);
            }
        }
    }
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        if (!in_set(healthy, i)) link_outsider(run, healthy, i);
    }
    for (uint32_t i = 0; i < run->sim->node_count; i++) {
        if (in_set(healthy, i)) heal_node(run, i);
    }
    start_core(run);
}

/* Its disk is mended: whoever runs it starts it again (the tick below does). It may notice an
 * offline directory only when it hears what it should have there. */
static void mend_offline(struct run *run, uint32_t index)
{
    struct cluster_node *node = &run->cluster->nodes[index];

    if (!node->disk_faulted || node->stop_sent || node->mends == MENDS_MAX) return;
    if (!has_offline(run, index)) return;
    node->mends++;
    cluster_stop(run->cluster, index);
}

static void converge_tick(struct sim_event *event)
{
    struct run *run = CONTAINER_OF(event, struct run, converge_tick);

    if ((run->phase != RUN_LIVENESS && run->phase != RUN_DRAIN) || run->converged) return;
    start_core(run);
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        if (in_set(run->core, i)) mend_offline(run, i);
    }
    trails_note(run);
    if (!workload_producers_finished(run->workload)) {
        (void)missing(run, "records of producers are not settled");
    } else if (core_at_rest(run, run->core)) {
        run->converged = true;
    }
    sim_schedule(run->sim, event, run->sim->now_ns + CONVERGE_TICK_NS);
}

void run_choose_core(struct run *run)
{
    run->core = core_of(run);
}

void run_core_text(const struct run *run, char *text, size_t size)
{
    uint64_t judged = run->core | (run->workload != NULL ? workload_set(run->workload) : 0);
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < run->sim->node_count && used + 16 < size; i++) {
        if (!in_set(judged, i)) continue;
        used += (size_t)snprintf(text + used, size - used, "%s%d", used > 0 ? "," : "",
                                 run->sim->nodes[i]->id);
    }
}

void run_liveness_begin(struct run *run)
{
    run->converged = false;
    trails_begin(run);
    heal_core(run);
    workload_finish_producers(run->workload);
    sim_event_init(&run->converge_tick, converge_tick);
    sim_schedule(run->sim, &run->converge_tick, run->sim->now_ns + CONVERGE_TICK_NS);
}

void run_liveness_again(struct run *run)
{
    run->converged = core_at_rest(run, run->core);
    if (!run->converged)
        sim_schedule(run->sim, &run->converge_tick, run->sim->now_ns + CONVERGE_TICK_NS);
}

/* A chain of bad luck: connections that nobody has noticed to be dead, a few failed elections, a
 * broker that has just missed its session, one whole lag of a replica, one delivery of a record. */
int64_t run_liveness_deadline_ns(const struct run *run)
{
    const struct config *config = &run->cluster->nodes[0].config;
    int64_t deadline_ms = 0;
    int64_t floor;

    if (run->scenario->converge_ns > 0) return run->scenario->converge_ns;
    deadline_ms += 15000; /* retransmission limit of the simulated network */
    deadline_ms += 10 * (config->quorum_election_timeout_ms +
                         config->quorum_election_backoff_max_ms + config->quorum_fetch_timeout_ms);
    deadline_ms += 2 * (config->broker_session_timeout_ms + config->broker_heartbeat_interval_ms);
    deadline_ms += 2 * config->replica_lag_time_max_ms + config->replica_socket_timeout_ms;
    deadline_ms += 120000; /* delivery.timeout.ms: until the last record is settled */
    floor = check_liveness_ns(&run->check_config);
    return deadline_ms * NS_PER_MS > floor ? deadline_ms * NS_PER_MS : floor;
}
