/* Snapshots of the metadata log: K10 (of the quorum), K18, K19.
 *
 * RAFT_SNAPSHOT is told when one is durable under its name (written or fetched), or when a start
 * reads one. K22 judges the state it gives: META_APPLIED at its end. */
#include "sim/check/check_private.h"

enum { HOW_LOADED, HOW_WRITTEN, HOW_FETCHED };

static struct check_at at_snapshot(uint32_t node, int64_t epoch, int64_t end)
{
    return (struct check_at){node, NULL, epoch, end};
}

void check_snapshot_down(struct check *check, uint32_t node)
{
    check->nodes[node].snapshot_loaded = 0;
}

/* Equal ids are equal bytes, on every node and in every life. */
static bool same_bytes(struct check *check, uint32_t index, int64_t end, int64_t epoch, int64_t crc)
{
    uint32_t known = check_table_get(&check->snapshots, (uint64_t)end, 0);
    const struct check_snapshot *other;

    if (known == 0) {
        CHECK_PUSH(&check->snapshot_values, ((struct check_snapshot){epoch, crc}));
        check_table_set(&check->snapshots, (uint64_t)end, 0, check->snapshot_values.count);
        return true;
    }
    check_count(check, CHECK_K19);
    other = &check->snapshot_values.items[known - 1];
    if (other->epoch == epoch && other->crc == crc) return true;
    CHECK_FAIL(check, K19, at_snapshot(index, epoch, end),
               "the snapshot at %D has epoch %D and sum %X, another had epoch %D and sum %X", end,
               epoch, (uint64_t)crc, other->epoch, (uint64_t)other->crc);
    return false;
}

static void snapshot(struct check *check, uint32_t index, const struct trace_event *event)
{
    struct check_node *node = &check->nodes[index];
    struct check_replica_ghost *replica = check_replica(check, index, check->metadata);
    int64_t end = check_field(event, 0), epoch = check_field(event, 1), how = check_field(event, 4);
    struct check_at at = at_snapshot(index, epoch, end);

    check_count(check, CHECK_K18);
    if (end > check->metadata->committed.end) {
        CHECK_FAIL(check, K18, at, "a snapshot ends at %D, only what is below %D is committed", end,
                   check->metadata->committed.end);
        return;
    }
    if (!same_bytes(check, index, end, epoch, check_field(event, 3))) return;
    if (how == HOW_LOADED) {
        node->snapshot_loaded = end;
    } else if (end > node->snapshot_durable) {
        node->snapshot_durable = end;
    }
    check_table_set(&check->snapshots_held, (uint64_t)index, (uint64_t)end, 1);
    /* The log was emptied to begin here: everything below is durable, in the snapshot. */
    if (how == HOW_WRITTEN || replica->log.start != end) return;
    if (replica->synced_end < end) replica->synced_end = end;
    if (replica->synced_max < end) replica->synced_max = end;
}

/* The first state of a life: the snapshots were read before. */
void check_snapshot_started(struct check *check, uint32_t index)
{
    const struct check_node *node = &check->nodes[index];

    if (node->disk_lied || node->snapshot_durable == 0) return;
    check_count(check, CHECK_K19);
    if (node->snapshot_loaded < node->snapshot_durable)
        CHECK_FAIL(check, K19, at_snapshot(index, -1, node->snapshot_durable),
                   "starts from a snapshot that ends at %D, had a durable one that ends at %D",
                   node->snapshot_loaded, node->snapshot_durable);
}

/* The metadata log of a node begins somewhere else now. */
void check_snapshot_log_start(struct check *check, uint32_t index, int64_t start)
{
    if (start == 0) return;
    check_count(check, CHECK_K18);
    if (check_table_get(&check->snapshots_held, (uint64_t)index, (uint64_t)start) == 0)
        CHECK_FAIL(check, K18, at_snapshot(index, -1, start),
                   "the metadata log starts at %D, where no snapshot of this node ends", start);
}

bool check_snapshot_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    if (event->kind != TRACE_RAFT_SNAPSHOT) return false;
    snapshot(check, node, event);
    return true;
}
