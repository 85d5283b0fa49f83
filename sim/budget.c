#include "sim/budget.h"

#include <string.h>

enum { HOW_POWER_LOSS = 1, UNSYNCED_KEEP = 0 };

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

enum budget_verdict budget_judge(struct run *run, const struct scenario_action *action)
{
    enum budget_verdict verdict = BUDGET_FULL;
    uint64_t nodes = losers(run, action);
    enum check_loss_kind kind =
        action->kind == ACTION_CRASH && choice_of(action, "how") == HOW_POWER_LOSS
            ? CHECK_LOSS_MACHINE
            : CHECK_LOSS_PROCESS;

    if (ends_process(action) && !takes_synced(action) && !has_room(run, nodes, kind)) {
        return BUDGET_REFUSED;
    }
    if (takes_synced(action) && !has_room(run, nodes, CHECK_LOSS_SYNCED)) {
        return BUDGET_REFUSED;
    }
    if (takes(action) && action->kind == ACTION_CRASH &&
        !has_room(run, nodes, CHECK_LOSS_UNSYNCED)) {
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

    ASSERT(row != NULL);
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
