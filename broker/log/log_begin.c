/* What a follower is sent that does not go on where its log ends.
 *
 * Offsets that a compaction of the leader has taken away, of a topic that is not compacted any
 * more: a leader serves no gap that is a hole. An open takes it for none when the line in
 * cleaner-offset-checkpoint says so, so that is written first.
 *
 * And the batch with the start, for a log that holds nothing.
 *
 * The start of a log may lie inside of a batch (DeleteRecords), and who begins there, because it
 * was reset or lost what it had, is given the whole batch that holds its start: its segment, and so
 * its file, then begins below the start. Nothing else changes: start, high watermark and end of the
 * empty log stay, so that none of them ever goes back (R18, R22).
 *
 *                       log_reset              log_begin_with            append
 *     start, end          187 187                 187 187                187 190
 *     segment             187                     180 (hollow)           180
 *
 * An open that finds nothing whole in such a file resets the log to its start, as it stands in the
 * checkpoint: that is written before the file is made.
 * DIFFERS: Kafka starts the log anew at the batch's base offset, high watermark included. */
#include "broker/log/log_cut_private.h"

static bool log_empty(const struct log *log)
{
    return log->log_start == log->log_end && log->segment_count == 1 &&
           log_active(log)->size == 0 && list_empty(&log->staged);
}

/* An empty one that begins anew where it is has its producers from somewhere else. */
static bool log_knows(const struct log *log, int64_t at)
{
    return at > 0 && log_empty(log) && log->log_end == at && !log->stranger;
}

void log_reset(struct log *log, int64_t at)
{
    log_reset_below(log, at, 0, log_knows(log, at));
}

bool log_stranger(const struct log *log)
{
    return log->stranger && log->log_end > 0 && log_empty(log);
}

enum err log_reset_handed(struct log *log, int64_t at, const struct log_handover *handover)
{
    struct log_producers producers;
    enum err err = log_handover_load(log, handover, &producers);

    if (err != ERR_NONE) return err;
    ASSERT(log->state == LOG_OPEN && list_empty(&log->staged));
    log_producers_deinit(&log->producers);
    log_producers_take(&log->producers, &producers);
    log_reset_below(log, at, 0, true);
    return ERR_NONE;
}

bool log_hollow(const struct log *log)
{
    return log_empty(log) && log_active(log)->base < log->log_end;
}

static bool log_holds_start(const struct log *log, const struct record_batch *batch)
{
    return log_empty(log) && batch->base_offset <= log->log_end &&
           record_batch_last_offset(batch) >= log->log_end;
}

bool log_follows(const struct log *log, const struct record_batch *batch, int64_t next)
{
    if (next == log->log_end && log_holds_start(log, batch))
        return batch->base_offset == log_active(log)->base;
    return batch->base_offset == next || (batch->base_offset > next && log_gaps(log));
}

bool log_begins_with(const struct log *log, struct bytes batches, int64_t *base)
{
    struct record_batch batch;

    if (log->state != LOG_OPEN || record_batch_parse(batches, &batch) != RECORD_BATCH_WHOLE)
        return false;
    if (!log_holds_start(log, &batch) || batch.base_offset == log_active(log)->base) return false;
    *base = batch.base_offset;
    return true;
}

void log_begin_with(struct log *log, int64_t base)
{
    ASSERT(log_empty(log) && base >= 0 && base <= log->log_end);
    log_reset_below(log, log->log_end, log->log_end - base, log_knows(log, log->log_end));
}

/* ---- gaps ------------------------------------------------------------------------------------ */

bool log_has_gaps(const struct log *log, struct bytes batches)
{
    struct record_batch_iter iter;
    struct record_batch batch;
    int64_t next = log->assigned_end;
    bool gap = false;

    if (log->state != LOG_OPEN || log->config->gaps || log->known->cleaned >= 0) return false;
    record_batch_iter_init(&iter, batches);
    while (record_batch_iter_next(&iter, &batch)) {
        if (batch.base_offset < next) return false;
        if (batch.base_offset > next) gap = true;
        next = record_batch_end_offset(&batch);
    }
    return gap;
}

void log_admit_gaps(struct log *log)
{
    ASSERT(log->known->cleaned < 0);
    log->known->cleaned = 0;
    log->dir->cleaned_any = true;
    log->gaps_after = log_dir_checkpoint(log->dir);
}
