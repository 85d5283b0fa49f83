/* Logs, batch by batch: R1 to R4, R8 (K4 for the metadata log), R22, R25; what a move to another
 * directory may: R4, R40. What recovery may do: check_recovery.c. */
#include "sim/check/check_private.h"

#include <stdlib.h>

/* ---- the list of batches --------------------------------------------------------------------- */

void check_log_push(struct check_log *log, int64_t base, uint32_t batch)
{
    log->entries = check_grow(log->entries, &log->room, log->count, sizeof *log->entries);
    log->entries[log->count++] = (struct check_entry){base, batch};
}

void check_log_cut(struct check_log *log, int64_t end)
{
    while (log->count > 0 && log->entries[log->count - 1].base >= end)
        log->count--;
    if (end < log->end) log->end = end;
    if (log->start > log->end) log->start = log->end;
}

bool check_log_find(const struct check_log *log, int64_t offset, uint32_t *batch)
{
    uint32_t low = 0, high = log->count;

    if (offset < log->start || offset >= log->end) return false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (log->entries[middle].base <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *batch = low == 0 ? CHECK_UNKNOWN : log->entries[low - 1].batch;
    return true;
}

enum check_fit check_log_fits(const struct check_log *log, const struct check_log *other,
                              int64_t end)
{
    uint32_t own, theirs;

    if (end <= other->start || end <= log->start) return CHECK_FITS; /* nothing retained */
    if (end > log->end) return CHECK_MISSING;
    if (!check_log_find(log, end - 1, &own) || !check_log_find(other, end - 1, &theirs))
        return CHECK_FITS;
    if (own == CHECK_UNKNOWN || theirs == CHECK_UNKNOWN || own == theirs) return CHECK_FITS;
    return CHECK_DIFFERS;
}

int64_t check_log_parts_at(const struct check *check, const struct check_log *log,
                           const struct check_log *other, int64_t end)
{
    int64_t at = end;
    uint32_t own, theirs;

    if (log->end < at) at = log->end;
    while (at > log->start && at > other->start) {
        if (!check_log_find(log, at - 1, &own) || !check_log_find(other, at - 1, &theirs)) break;
        if (own == CHECK_UNKNOWN || theirs == CHECK_UNKNOWN || own == theirs) break;
        at = check->batches.items[theirs].base;
    }
    return at;
}

int32_t check_log_epoch(const struct check *check, const struct check_log *log, int64_t offset)
{
    uint32_t batch;

    return check_log_find(log, offset, &batch) ? check->batches.items[batch].epoch : -1;
}

static uint32_t last_batch(const struct check_log *log)
{
    return log->count == 0 ? CHECK_UNKNOWN : log->entries[log->count - 1].batch;
}

struct check_at check_log_at(const struct check_replica_ghost *replica, int64_t epoch,
                             int64_t offset)
{
    return (struct check_at){replica->node, replica->part, epoch, offset};
}

/* ---- R8, K4 ---------------------------------------------------------------------------------- */

static uint32_t batch_add(struct check *check, const struct check_part *part,
                          struct check_batch batch)
{
    uint32_t index = check->batches.count;

    batch.same = check_table_get(&check->batches_by_base, part->index, (uint64_t)batch.base);
    CHECK_PUSH(&check->batches, batch);
    check_table_set(&check->batches_by_base, part->index, (uint64_t)batch.base, index);
    return index;
}

static void matching_failed(struct check *check, const struct check_replica_ghost *replica,
                            const struct check_batch *known, const struct check_batch *found)
{
    struct check_at at = check_log_at(replica, found->epoch, found->base);
    const char *what = known->crc != found->crc     ? "checksum"
                       : known->last != found->last ? "last offset"
                                                    : "batch before it";
    uint32_t is = known->crc != found->crc ? known->crc : known->before;
    uint32_t now = known->crc != found->crc ? found->crc : found->before;

    if (replica->part->topic == 0) {
        CHECK_FAIL(
            check, K4, at,
            "metadata batch at offset %D of epoch %d has another %s here (%x) than elsewhere "
            "(%x)",
            found->base, found->epoch, what, now, is);
    } else {
        CHECK_FAIL(check, R8, at,
                   "batch at offset %D of epoch %d has another %s here (%x) than elsewhere (%x)",
                   found->base, found->epoch, what, now, is);
    }
}

/* The number of this batch: it may be known from another replica, and then must be the same. */
static uint32_t batch_intern(struct check *check, const struct check_replica_ghost *replica,
                             const struct check_batch *found)
{
    const struct check_part *part = replica->part;
    uint32_t index = check_table_get(&check->batches_by_base, part->index, (uint64_t)found->base);

    for (; index != 0; index = check->batches.items[index].same) {
        struct check_batch *known = &check->batches.items[index];
        bool linked = known->before != CHECK_UNKNOWN && found->before != CHECK_UNKNOWN;

        if (known->epoch != found->epoch) continue;
        /* With fewer records, or behind another one: the same batch after a compaction. */
        if (found->base < part->cleaned_to && known->last == found->last) return index;
        check_count(check, part->topic == 0 ? CHECK_K4 : CHECK_R8);
        if (known->crc != found->crc || known->last != found->last ||
            (linked && known->before != found->before)) {
            matching_failed(check, replica, known, found);
            return index;
        }
        if (known->before == CHECK_UNKNOWN) known->before = found->before;
        return index;
    }
    return batch_add(check, part, *found);
}

/* ---- epoch cache ----------------------------------------------------------------------------- */

static void epochs_push(struct check_replica_ghost *replica, int32_t epoch, int64_t start)
{
    while (replica->epoch_count > 0 && (replica->epochs[replica->epoch_count - 1].epoch >= epoch ||
                                        replica->epochs[replica->epoch_count - 1].start >= start))
        replica->epoch_count--;
    replica->epochs = check_grow(replica->epochs, &replica->epoch_room, replica->epoch_count,
                                 sizeof *replica->epochs);
    replica->epochs[replica->epoch_count++] = (struct check_epoch_start){epoch, start};
}

/* A follower of a compacted leader goes on behind what is gone. */
static bool compacted_away(const struct check_replica_ghost *replica, int64_t from, int64_t to)
{
    return from < to && to <= replica->part->cleaned_to;
}

/* The leader epoch of a batch can rot with no checksum to tell, and the file of epochs too (DF8):
 * the open finds another one at a batch than was appended, or tells a newest one that no leader
 * had. What stands under it is worth nothing to its follower; from where, only the batch tells. */
static void log_epoch_rotten(const struct check *check, struct check_replica_ghost *replica,
                             int32_t epoch, int64_t start)
{
    const struct check_node *node = &check->nodes[replica->node];
    int32_t appended = start < 0 ? -1 : check_log_epoch(check, &replica->log, start);

    if (replica->opened_in == node->incarnation || start >= replica->rotten_from) return;
    if (node->log_lied && appended >= 0 && appended != epoch) replica->rotten_from = start;
    if (node->disk_lied && start < 0 && replica->rotten_from == INT64_MAX &&
        replica->part->topic != 0 && epoch > replica->part->chain.leader_epoch)
        replica->rotten_from = replica->log.start;
}

static void log_epoch(struct check *check, struct check_replica_ghost *replica, int32_t epoch,
                      int64_t start)
{
    const struct check_epoch_start *last =
        replica->epoch_count > 0 ? &replica->epochs[replica->epoch_count - 1] : NULL;
    struct check_at at = check_log_at(replica, epoch, start);

    log_epoch_rotten(check, replica, epoch, start);
    if (start < 0) { /* the newest that a log which is being opened knows */
        replica->recovering = true;
        replica->recovered_epoch = epoch;
        return;
    }
    check_count(check, CHECK_R4);
    if (start > replica->log.end && !compacted_away(replica, replica->log.end, start)) {
        CHECK_FAIL(check, R4, at, "epoch %d begins at %D, above the log end %D", epoch, start,
                   replica->log.end);
        return;
    }
    if (replica->epochs_sure && last != NULL &&
        (epoch <= last->epoch || start < last->start || start < replica->log.end)) {
        CHECK_FAIL(check, R4, at,
                   "epoch %d from %D after epoch %d from %D in a log that ends at %D", epoch, start,
                   last->epoch, last->start, replica->log.end);
        return;
    }
    epochs_push(replica, epoch, start);
    replica->epochs_sure =
        replica->down_how == 0; /* a walk that opens it adds what the file lacks */
}

void check_log_cut_epochs(struct check_replica_ghost *replica, int64_t end, bool keep_at_end)
{
    while (replica->epoch_count > 0 &&
           replica->epochs[replica->epoch_count - 1].start >= end + (keep_at_end ? 1 : 0))
        replica->epoch_count--;
}

/* ---- append ---------------------------------------------------------------------------------- */

/* An empty log that begins inside of a batch is given all of it (DeleteRecords). */
static bool holds_start(const struct check_log *log, const struct check_batch *batch)
{
    return log->count == 0 && log->start == log->end && batch->base < log->start &&
           batch->last >= log->start;
}

static void append_order(struct check *check, struct check_replica_ghost *replica,
                         const struct check_batch *batch)
{
    struct check_log *log = &replica->log;
    struct check_at at = check_log_at(replica, batch->epoch, batch->base);
    uint32_t last = last_batch(log);
    int32_t before = check->batches.items[last].epoch;
    bool covered;

    check_count(check, CHECK_R2);
    if ((batch->base != log->end && !compacted_away(replica, log->end, batch->base) &&
         !holds_start(log, batch)) ||
        batch->last < batch->base) {
        CHECK_FAIL(check, R2, at, "batch %D to %D appended to a log that ends at %D", batch->base,
                   batch->last, log->end);
        return;
    }
    check_count(check, CHECK_R3);
    if (batch->epoch < before) {
        CHECK_FAIL(check, R3, at, "batch at %D has epoch %d, the one before it %d", batch->base,
                   batch->epoch, before);
        return;
    }
    if (replica->leader_epoch >= 0 && batch->epoch > replica->leader_epoch) {
        CHECK_FAIL(check, R3, at, "batch at %D has epoch %d, the replica knows of %d", batch->base,
                   batch->epoch, replica->leader_epoch);
        return;
    }
    check_count(check, CHECK_R4);
    covered =
        replica->epoch_count > 0 && replica->epochs[replica->epoch_count - 1].epoch == batch->epoch;
    if (!covered && replica->epochs_sure) {
        CHECK_FAIL(check, R4, at, "batch at %D has epoch %d, the epoch cache says %d", batch->base,
                   batch->epoch,
                   replica->epoch_count > 0 ? replica->epochs[replica->epoch_count - 1].epoch : -1);
        return;
    }
    if (!covered) epochs_push(replica, batch->epoch, batch->base);
}

/* Below the start of a log nothing is compared: the first epoch of its leader begins there, and a
 * follower whose end is there goes on there, whatever its last batch is (KIP-101); its own start
 * follows, before the append or after it. In the metadata log it takes a snapshot: K4. */
static bool begins_at_start(const struct check_part *part, const struct check_batch *batch)
{
    return part->topic != 0 && batch->base <= part->kept_from;
}

static void log_appended(struct check *check, struct check_replica_ghost *replica,
                         const struct trace_event *event)
{
    struct check_part *part = replica->part;
    struct check_log *log = &replica->log;
    struct check_batch batch = {.base = check_field(event, 2),
                                .last = check_field(event, 3),
                                .epoch = (int32_t)check_field(event, 4),
                                .crc = (uint32_t)check_field(event, 5),
                                .before = last_batch(log)};
    uint32_t index;

    append_order(check, replica, &batch);
    if (check->violated) return;
    if (batch.base > log->end) {
        check_log_push(log, log->end, CHECK_UNKNOWN);
        batch.before = CHECK_UNKNOWN;
    }
    if (begins_at_start(part, &batch)) batch.before = CHECK_UNKNOWN;
    index = batch_intern(check, replica, &batch);
    if (check->violated) return;
    check_log_push(log, batch.base, index);
    log->end = batch.last + 1;
    replica->cut_end = -1;
    if (log->end > part->assigned_end) part->assigned_end = log->end;
    part->appended_ns = check->now_ns;
    if (replica->reach_epoch != replica->leader_epoch) {
        replica->reach_epoch = replica->leader_epoch;
        replica->reach = log->end;
    } else if (log->end > replica->reach) {
        replica->reach = log->end;
    }
    if (part->topic == 0) {
        check_raft_appended(check, replica->node, batch.base, batch.epoch);
    } else {
        check_isr_appended(check, replica, batch.base);
    }
    if (replica->lost && log->end >= part->committed.end &&
        check_log_fits(log, &part->committed, part->committed.end) == CHECK_FITS)
        replica->lost = replica->alone = false; /* earned back */
}

/* ---- cut ------------------------------------------------------------------------------------- */

/* R22 */
static void cut_keeps_committed(struct check *check, const struct check_replica_ghost *replica,
                                int64_t end, bool reset)
{
    struct check_part *part = replica->part;
    struct check_at at = check_log_at(replica, replica->leader_epoch, end);
    /* A voter whose disk lied begins its log anew and may not vote until it has caught up (K27). */
    bool anew = reset && part->topic == 0 && check->nodes[replica->node].disk_lied;
    /* As it was before the replica lowered it for this cut. */
    int64_t held = replica->hw_held > replica->hw ? replica->hw_held : replica->hw;

    if (end >= replica->log.end && !reset) return;
    check_count(check, CHECK_R22);
    if (end < held && !part->unclean && !part->forgiven && !anew && !replica->lost &&
        end < replica->rotten_from)
        CHECK_FAIL(check, R22, at, "cut from %D to %D, below the own high watermark %D",
                   replica->log.end, end, held);
}

/* A log that did not open, on a disk that lies, is emptied to be fetched again: as soon as its
 * replica is none that the metadata counts on (partition_life.c). */
static bool fetched_anew(const struct check *check, const struct check_replica_ghost *replica,
                         int64_t end)
{
    const struct check_node *node = &check->nodes[replica->node];
    const struct check_state *chain = &replica->part->chain;

    return end == 0 && replica->part->topic != 0 && node->disk_lied &&
           replica->damaged_in == node->incarnation && replica->opened_in != node->incarnation &&
           !check_in(chain->isr | chain->elr, replica->node);
}

/* What ends this life may leave any end from the new one to the old (log_cut.c). */
static void log_cutting(struct check *check, struct check_replica_ghost *replica,
                        const struct trace_event *event)
{
    int64_t end = check_field(event, 3);
    bool reset = check_field(event, 5) == 1;

    if (!reset || !fetched_anew(check, replica, end))
        cut_keeps_committed(check, replica, end, reset);
    if (replica->deleted_to > end) replica->deleted_to = end;
    replica->cutting = reset ? 0 : end;
    replica->resetting = reset;
    replica->reset_to = end;
}

static void log_truncated(struct check *check, struct check_replica_ghost *replica,
                          const struct trace_event *event)
{
    struct check_part *part = replica->part;
    int64_t end = check_field(event, 3);
    bool reset = check_field(event, 5) == 1;

    replica->cutting = INT64_MAX;
    cut_keeps_committed(check, replica, end, reset);
    if (check->violated) return;
    if ((end < replica->log.end || reset) && part->topic != 0)
        check_isr_truncated(check, replica, end);
    if (check->violated) return;
    if (reset) {
        replica->resetting = false;
        replica->log.count = 0;
        replica->log.start = replica->log.end = end;
        replica->epoch_count = 0;
        replica->hw = replica->hw_held = end;
        check_recovery_holds(replica);
        /* Forward as well: to where a leader's log begins that has deleted what is below. */
        if (end > replica->reach) replica->reach = end;
    }
    if (!reset) check_disk_cut(check, replica, end);
    check_log_cut(&replica->log, end);
    check_log_cut_epochs(replica, end, false);
    if (end <= replica->rotten_from || reset) replica->rotten_from = INT64_MAX;
    /* The cut is synced before the range is written again (storage.md H13). */
    if (replica->synced_end > end) replica->synced_end = end;
    if (replica->hw > end) replica->hw = end;
    if (replica->hw_held > end) replica->hw_held = end;
}

void check_log_order(struct check *check, const struct check_replica_ghost *replica)
{
    const struct check_log *log = &replica->log;
    struct check_at at = check_log_at(replica, replica->leader_epoch, replica->hw);

    check_count(check, CHECK_R1);
    /* The metadata log's high watermark is the quorum's to tell: K8, K9. */
    if (log->start > log->end || (replica->part->topic != 0 && replica->hw < log->start) ||
        replica->hw > log->end || replica->synced_end > log->end)
        CHECK_FAIL(check, R1, at,
                   "log start %D, high watermark %D, log end %D, synced to %D: not in order",
                   log->start, replica->hw, log->end, replica->synced_end);
}

static void log_started(struct check *check, struct check_replica_ghost *replica,
                        const struct trace_event *event)
{
    int64_t start = check_field(event, 3);

    if (start > replica->part->kept_from) replica->part->kept_from = start;
    if (replica->part->topic != 0) {
        check_count(check, CHECK_R25);
        if (start > replica->part->committed.end)
            CHECK_FAIL(check, R25, check_log_at(replica, replica->leader_epoch, start),
                       "log start moved from %D to %D, only what is below %D is committed",
                       check_field(event, 2), start, replica->part->committed.end);
    }
    replica->log.start = start;
    check_recovery_holds(replica);
    if (replica->part->topic == 0) check_snapshot_log_start(check, replica->node, start);
    check_log_order(check, replica);
}

static void log_synced(struct check *check, struct check_replica_ghost *replica, int64_t end)
{
    /* A log that was opened again may count its syncs anew; what was durable is so still. */
    if (end > replica->synced_end) replica->synced_end = end;
    if (end > replica->synced_max) replica->synced_max = end;
    check_log_order(check, replica);
}

static void log_cut_or_emptied(struct check *check, struct check_replica_ghost *replica,
                               const struct trace_event *event)
{
    bool reset = check_field(event, 5) == 1;

    if (!reset || !fetched_anew(check, replica, check_field(event, 3))) {
        log_truncated(check, replica, event);
        return;
    }
    check_count(check, CHECK_R22);
    check_recovery_begin_anew(replica);
    replica->cutting = INT64_MAX;
    replica->resetting = false;
    replica->opened_in = check->nodes[replica->node].incarnation;
    check_isr_truncated(check, replica, 0);
}

/* In another directory, and nothing happened to the process: all of it is there, and the epoch
 * cache knows every epoch that its batches have (F13). */
static void log_moved(struct check *check, struct check_replica_ghost *replica,
                      const struct trace_event *event)
{
    const struct check_log *log = &replica->log;
    int64_t start = check_field(event, 2), end = check_field(event, 3);
    int64_t epochs = check_field(event, 5), found = 0;
    int32_t last = -1;

    check_count(check, CHECK_R40);
    if (end != replica->before_open) {
        CHECK_FAIL(check, R40, check_log_at(replica, -1, end),
                   "log ended at %D before it moved to another directory, now at %D",
                   replica->before_open, end);
        return;
    }
    check_count(check, CHECK_R4);
    for (uint32_t i = 0; i < log->count; i++) {
        const struct check_batch *batch = &check->batches.items[log->entries[i].batch];

        if (log->entries[i].batch == CHECK_UNKNOWN || batch->last < start) continue;
        if (batch->epoch > last) found++;
        last = batch->epoch;
    }
    if (epochs < found)
        CHECK_FAIL(check, R4, check_log_at(replica, last, end),
                   "moved to another directory: its batches are of %D epochs, the epoch cache "
                   "has %D",
                   found, epochs);
}

/* ---- events ---------------------------------------------------------------------------------- */

bool check_log_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_replica_ghost *replica;

    if (event->kind == TRACE_RECORDS_DELETED) {
        check_recovery_deleted(check, node, event);
        return true;
    }
    if ((event->kind < TRACE_LOG_OPENED || event->kind > TRACE_LOG_CLEANED) &&
        event->kind != TRACE_LOG_CUTTING && event->kind != TRACE_LOG_SWAPPING &&
        event->kind != TRACE_LOG_MOVED)
        return false;
    replica = check_replica(
        check, node, check_part(check, check_field(event, 0), (int32_t)check_field(event, 1)));
    switch ((int)event->kind) {
    case TRACE_LOG_OPENED: check_recovery_opened(check, replica, event); break;
    case TRACE_LOG_APPENDED: log_appended(check, replica, event); break;
    case TRACE_LOG_CUTTING: log_cutting(check, replica, event); break;
    case TRACE_LOG_MOVED: log_moved(check, replica, event); break;
    case TRACE_LOG_TRUNCATED: log_cut_or_emptied(check, replica, event); break;
    case TRACE_LOG_START: log_started(check, replica, event); break;
    case TRACE_LOG_SWAPPING: /* who dies before log.swapped finishes it at an open */
    case TRACE_LOG_SWAPPED:
        if (check_field(event, 3) > replica->part->cleaned_to)
            replica->part->cleaned_to = check_field(event, 3);
        break;
    case TRACE_LOG_SYNCED:
        check_disk_synced(check, replica, check_field(event, 2));
        if (!check->violated) log_synced(check, replica, check_field(event, 2));
        break;
    case TRACE_LOG_CLEANED: check_disk_cleaned(check, replica, check_field(event, 3)); break;
    case TRACE_LOG_DAMAGED:
        replica->damaged_in = check->nodes[node].incarnation;
        check_disk_damaged(check, replica, check_field(event, 2));
        break;
    case TRACE_LOG_EPOCH:
        log_epoch(check, replica, (int32_t)check_field(event, 2), check_field(event, 3));
        break;
    case TRACE_LOG_FAILED:
        if (replica->part->topic == 0) check_raft_failed(check, node);
        break;
    default: break;
    }
    return true;
}
