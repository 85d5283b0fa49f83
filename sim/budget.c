#include "sim/budget.h"

#include "sim/swarm_shape.h"

#include <string.h>

enum { HOW_POWER_LOSS = 1, UNSYNCED_KEEP = 0, VOTERS_MIN = 3 };

static struct scenario_value *argument(struct scenario_action *action, const char *name)
{
    const struct action_word *word = language_action(action->kind);

    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++) {
        if (strcmp(word->args[i].name, name) == 0) return &action->args[i];
    }
    IMPOSSIBLE("an argument that the action does not have");
}

static int choice_of(const struct scenario_action *action, const char *name)
{
    const struct scenario_value *value = scenario_arg(action, name);

    return value != NULL ? value->choice : -1;
}

/* What may end a process, and take what it has synced, and as which fault it is counted. */
static const struct row {
    enum action_kind kind;
    bool takes;
    enum sim_fault fault;
} rows[] = {
    {ACTION_CRASH, false, SIM_FAULT_KILL},
    {ACTION_OOM, false, SIM_FAULT_OOM},
    {ACTION_DISK_ERROR, true, SIM_FAULT_DISK_ERROR},
    {ACTION_WIPE, true, SIM_FAULT_WIPE},
    {ACTION_LYING_SYNC, true, SIM_FAULT_DISK_LIE},
    {ACTION_ROT, true, SIM_FAULT_DISK_ROT},
    {ACTION_LOSE_WRITE, true, SIM_FAULT_LOST_WRITE},
    {ACTION_MISDIRECT, true, SIM_FAULT_MISDIRECTED},
    {ACTION_STALE_READ, true, SIM_FAULT_STALE_READ},
    {ACTION_DIR_GONE, true, SIM_FAULT_DIR_GONE},
    {ACTION_REVERT, true, SIM_FAULT_REVERT},
    {ACTION_FOREIGN, true, SIM_FAULT_FOREIGN},
    {ACTION_UPGRADE, false, SIM_FAULT_VERSION},
};

static const struct row *row_of(const struct scenario_action *action)
{
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].kind == action->kind) return &rows[i];
    }
    return NULL;
}

/* The nodes that would lose what they have not synced. */
static uint64_t losers(struct run *run, const struct scenario_action *action)
{
    const struct scenario_value *value = scenario_arg(action, "node");
    uint64_t nodes = 0;

    if (value == NULL) value = scenario_arg(action, "nodes");
    for (uint32_t i = 0; value != NULL && i < value->node_count; i++)
        nodes |= expr_eval(value->nodes[i], &run->source).set;
    return nodes;
}

/* Does it take bytes that somebody was told are there? */
static bool takes(const struct scenario_action *action)
{
    const struct row *row = row_of(action);

    if (action->kind == ACTION_CRASH) {
        return choice_of(action, "how") == HOW_POWER_LOSS &&
               choice_of(action, "unsynced") != UNSYNCED_KEEP;
    }
    /* A failed sync has dropped the pages it was to write (DF14); after any other error the node
     * may stop, and start again on what the disk has. */
    return row != NULL && row->takes;
}

static bool ends_process(const struct scenario_action *action)
{
    return row_of(action) != NULL;
}

static bool takes_synced(const struct scenario_action *action)
{
    return action->kind != ACTION_CRASH && takes(action);
}

static bool has_room(struct run *run, uint64_t nodes, enum check_loss_kind kind)
{
    int32_t ids[CLUSTER_NODES_MAX];
    struct check_loss loss;
    uint32_t count = 0;

    for (uint32_t i = 0; i < run->cluster->count; i++) {
        if ((nodes >> i & 1) != 0) ids[count++] = run->cluster->nodes[i].id;
    }
    return check_loss_room(run->check, ids, count, kind, &loss);
}

static uint32_t count_of(uint64_t set)
{
    uint32_t count = 0;

    for (; set != 0; set &= set - 1)
        count++;
    return count;
}

/* Another change of the voters is not answered yet. */
static bool voters_change(const struct run *run)
{
    const struct workload *workload = run->workload;

    for (uint32_t i = workload->job_next; i < workload->job_count; i++) {
        if (workload_fault(workload->jobs[i].action->kind) == SIM_FAULT_VOTERS) return true;
    }
    return false;
}

/* One voter less must leave as many as survive the loss of one. */
static bool voters_suffice(struct run *run, const struct scenario_action *action)
{
    uint64_t set = cluster_voter_set(run->cluster);

    if (voters_change(run)) return false;
    return action->kind == ACTION_ADD_VOTER || count_of(set) > VOTERS_MIN;
}

/* A level that a node does not know, wherever it is now, keeps that node out for ever. */
static bool levels_known(const struct run *run)
{
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        if (run->cluster->nodes[i].config.feature_metadata_version_max < CONFIG_METADATA_VERSION)
            return false;
    }
    return true;
}

/* Nothing is forgotten with it: of each partition somebody else is in sync. */
static bool replaceable(struct run *run, uint64_t brokers)
{
    for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
        for (uint32_t p = 0; p < workload_partitions(run->workload, topic); p++) {
            uint64_t in_sync = 0;

            for (uint32_t i = 0; i < run->cluster->count; i++) {
                struct check_member member =
                    check_partition_member(run->check, run->scenario->topics[topic].name,
                                           (int32_t)p, run->cluster->nodes[i].id);

                if (member.in_sync) in_sync |= UINT64_C(1) << i;
            }
            if (in_sync != 0 && (in_sync & ~brokers) == 0) return false;
        }
    }
    return true;
}

/* What an administrator must not ask for, or the scenario would not be what it promises. */
static bool cluster_allows(struct run *run, const struct scenario_action *action)
{
    const struct scenario_value *broker = scenario_arg(action, "broker");
    const struct scenario_value *to = scenario_arg(action, "to");
    uint64_t set = 0;

    switch ((int)action->kind) {
    case ACTION_ADD_VOTER:
    case ACTION_REMOVE_VOTER: return voters_suffice(run, action);
    case ACTION_FEATURES: return levels_known(run);
    case ACTION_UNREGISTER:
        for (uint32_t i = 0; i < broker->node_count; i++)
            set |= expr_eval(broker->nodes[i], &run->source).set;
        return cluster_down_set(run->cluster, set) && replaceable(run, set);
    case ACTION_REASSIGN: /* more than these are needed to write at all */
        for (uint32_t i = 0; i < to->node_count; i++)
            set |= expr_eval(to->nodes[i], &run->source).set;
        return (int32_t)count_of(set) >= run_min_isr(run, (uint32_t)action->args[0].topic);
    default: return true;
    }
}

/* A cluster that began without eligible leader replicas elects the last member of an ISR, whatever
 * its disk has kept: what KIP-966 is for. Such a run loses nothing at all. */
static bool began_without_elr(const struct run *run)
{
    const struct scenario *scenario = run->scenario;

    for (uint32_t i = 0; i < scenario->config_count; i++) {
        if (strcmp(scenario->configs[i].key, SWARM_SHAPE_BUILD) == 0) return true;
    }
    return false;
}

/* Nothing that was committed, no vote that was cast, is forgotten with the disks of voters. */
static bool quorum_spares(const struct run *run, uint64_t nodes)
{
    return (nodes & cluster_controllers(run->cluster)) == 0 ||
           cluster_quorum_spares(run->cluster, nodes);
}

enum budget_verdict budget_judge(struct run *run, const struct scenario_action *action)
{
    enum budget_verdict verdict = BUDGET_FULL;
    uint64_t nodes = losers(run, action);
    enum check_loss_kind kind =
        action->kind == ACTION_CRASH && choice_of(action, "how") == HOW_POWER_LOSS
            ? CHECK_LOSS_MACHINE
            : CHECK_LOSS_PROCESS;

    if (!cluster_allows(run, action)) return BUDGET_REFUSED;
    if (ends_process(action) && !takes_synced(action) && !has_room(run, nodes, kind)) {
        return BUDGET_REFUSED;
    }
    if (takes_synced(action) && began_without_elr(run)) return BUDGET_REFUSED;
    if (takes_synced(action) &&
        (!has_room(run, nodes, CHECK_LOSS_SYNCED) || !quorum_spares(run, nodes))) {
        return BUDGET_REFUSED;
    }
    if (takes(action) && action->kind == ACTION_CRASH &&
        (began_without_elr(run) || !has_room(run, nodes, CHECK_LOSS_UNSYNCED))) {
        verdict = BUDGET_WEAKER;
    }
    /* What follows later cannot be weighed now: nothing of it may take anything. */
    for (const struct scenario_action *then = action->then; then != NULL; then = then->then)
        ASSERT(!takes(then) && !ends_process(then));
    return verdict;
}

enum sim_fault budget_fault(const struct scenario_action *action)
{
    static const enum sim_fault errors[] = {SIM_FAULT_WRITE_ERROR, SIM_FAULT_READ_ERROR,
                                            SIM_FAULT_SYNC_ERROR};
    const struct row *row = row_of(action);
    int op = choice_of(action, "op");

    if (row == NULL) return workload_fault(action->kind);
    if (action->kind == ACTION_DISK_ERROR && op >= 0 && op < (int)COUNT_OF(errors)) {
        return errors[op];
    }
    if (choice_of(action, "how") == HOW_POWER_LOSS && action->kind == ACTION_CRASH) {
        return SIM_FAULT_POWER_LOSS;
    }
    return row->fault;
}

void budget_weaken(struct scenario_action *action)
{
    struct scenario_value *unsynced = argument(action, "unsynced");

    ASSERT(action->kind == ACTION_CRASH);
    unsynced->set = true;
    unsynced->choice = UNSYNCED_KEEP;
}
