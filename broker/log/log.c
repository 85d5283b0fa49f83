/* Append: stage, gather, complete, fail; and what a log does next (log_advance). */
#include "broker/log/log_private.h"

#include "client/base/text.h"

#include <string.h>

struct log_config log_config_default(void)
{
    return (struct log_config){
        .segment_bytes = 1 << 30,
        .index_bytes = 10 << 20,
        .index_interval_bytes = 4096,
        .max_message_bytes = 1048588,
        .segment_ms = INT64_C(604800000),
        .retention_ms = -1,
        .retention_bytes = -1,
        .delete_delay_ms = 60000,
        .delete_retention_ms = 86400000,
        .max_compaction_lag_ms = INT64_MAX,
        .flush_messages = INT64_MAX,
        .flush_ms = INT64_MAX,
        .producer_expiration_ms = 86400000,
        .producer_check_ms = 600000,
        .min_cleanable_ratio = 500000,
        .timestamp_after_max_ms = 3600000,
        .timestamp_before_max_ms = INT64_MAX,
    };
}

bool log_name_parse(struct str name, struct str *topic, int32_t *partition)
{
    uint32_t dash = name.length;
    int64_t number;

    while (dash > 0 && name.data[dash - 1] != '-')
        dash--;
    if (dash < 2) return false;
    if (!text_parse_i64((struct str){name.data + dash, name.length - dash}, &number)) return false;
    if (number < 0 || number > INT32_MAX) return false;
    *topic = (struct str){name.data, dash - 1};
    *partition = (int32_t)number;
    return true;
}

void log_tell(struct log *log, enum log_change change)
{
    if (log->owner != NULL) log->owner->changed(log->owner, change);
}

void log_set_start(struct log *log, int64_t log_start)
{
    if (log_start == log->log_start) return;
    log->log_start = log_start;
    log_tell(log, LOG_CHANGED_START);
}

void log_set_state(struct log *log, enum log_state state, enum err err)
{
    static const uint8_t moves[] = {
        [LOG_OPENING] = 1 << LOG_OPEN | 1 << LOG_FAILED,
        [LOG_OPEN] = 1 << LOG_TRUNCATING | 1 << LOG_CLOSING | 1 << LOG_FAILED,
        [LOG_TRUNCATING] = 1 << LOG_OPEN | 1 << LOG_CLOSING | 1 << LOG_FAILED,
        [LOG_CLOSING] = 1 << LOG_CLOSED | 1 << LOG_FAILED,
        [LOG_CLOSED] = 0,
        [LOG_FAILED] = 1 << LOG_TRUNCATING | 1 << LOG_CLOSING | 1 << LOG_CLOSED,
    };

    ASSERT((moves[log->state] & 1 << state) != 0);
    log->state = state;
    log->err = err;
    op_wake(&log->state_source);
    if (state == LOG_FAILED || state == LOG_CLOSED) {
        op_wake(&log->end_source);
        op_wake(&log->synced_source);
        log_dir_gone(log->dir);
    }
    log_tell(log, LOG_CHANGED_STATE);
}

bool log_gaps(const struct log *log)
{
    return log->config->gaps ||
           (log->known->cleaned >= 0 && log->dir->checkpoints_written >= log->gaps_after);
}

bool log_quiet(const struct log *log)
{
    return log->readers == 0 && !log->syncing && !log->marking && log->clean == NULL;
}

void log_readers_left(struct log *log)
{
    ASSERT(log->readers > 0);
    log->readers--;
    if (log->readers == 0) op_wake(&log->state_source);
    if ((log->wanted & (LOG_WANT_DROP | LOG_WANT_SWAP)) != 0) log_advance(log);
}

/* It is a reader since its first call, and was in the way of a swap that was asked for between that
 * and its first step: with nobody else in the way there is none but us to start it. */
void log_reader_waits(struct log *log)
{
    log->readers_waiting++;
    if (log_swap_due(log)) log_advance(log);
}

void log_reader_goes_on(struct log *log)
{
    ASSERT(log->readers_waiting > 0);
    log->readers_waiting--;
}

void log_fail(struct log *log, enum err err)
{
    if (log->state == LOG_FAILED || log->state == LOG_CLOSED) return;
    if (!list_empty(&log->staged)) log_append_failed(log, err);
    log->wanted &= LOG_WANT_CLOSE;
    log_set_state(log, LOG_FAILED, err);
    log_advance(log);
}

uint64_t log_size(const struct log *log)
{
    uint64_t size = 0;

    for (uint32_t i = 0; i < log->segment_count; i++)
        size += log->segments[i]->size;
    return size;
}

uint64_t log_size_from(const struct log *log, int64_t offset)
{
    uint64_t size = 0;

    for (uint32_t i = 0; i < log->segment_count; i++)
        if (i + 1 == log->segment_count || log->segments[i + 1]->base > offset)
            size += log->segments[i]->size;
    return size;
}

struct log_epoch_end log_end_offset_for(const struct log *log, int32_t epoch)
{
    return log_epochs_end_for(&log->epochs, epoch, log->log_end);
}

/* ---- what is next --------------------------------------------------------------------------- */

void log_advance(struct log *log)
{
    const struct op_kind *kind = NULL;

    if (log->flow != NULL || log->write != NULL) return;
    if (log->state == LOG_CLOSED) return;
    if (log->wanted & LOG_WANT_OPEN) {
        (void)log_flow_start(log, &log_open_kind);
        return;
    }
    if (log->state == LOG_FAILED && (log->wanted & (LOG_WANT_RESET | LOG_WANT_CLOSE)) == 0) return;
    if (log->wanted & LOG_WANT_REPAIR) {
        kind = &log_repair_kind;
    } else if ((log->wanted & LOG_WANT_DROP) != 0 && log->state == LOG_OPEN &&
               log_retain_quiet(log)) {
        kind = &log_drop_kind; /* before appends: there may be no moment without any */
    } else if ((log->wanted & LOG_WANT_SWAP) != 0 && log->state == LOG_OPEN &&
               log_swap_quiet(log)) {
        kind = &log_swap_kind;
    } else if (!list_empty(&log->staged)) {
        if (log->epochs_dirty) {
            kind = &log_epochs_kind;
        } else if (LIST_ENTRY(log->staged.next, struct log_staged, link)->roll) {
            if (!log->marking) kind = &log_roll_kind;
        } else {
            env_stage_write(log->dir->env, &log->flush);
        }
    } else if (log->wanted & LOG_WANT_TRUNCATE) {
        kind = &log_truncate_kind;
    } else if (log->wanted & LOG_WANT_RESET) {
        kind = &log_reset_kind;
    } else if (log->wanted & LOG_WANT_CLOSE) {
        kind = &log_close_kind;
    } else if (log->wanted & LOG_WANT_DELETE) {
        kind = &log_delete_kind;
    } else if (log->epochs_dirty && !log->epochs_failed) {
        kind = &log_epochs_kind; /* a leader that never appends: its epoch lasts all the same */
    } else if ((log->wanted & LOG_WANT_TIMES) != 0 && log->state == LOG_OPEN) {
        kind = &log_times_kind;
    } else if ((log->wanted & LOG_WANT_ROLL) != 0 && log->state == LOG_OPEN && !log->marking) {
        kind = &log_roll_kind;
    }
    if (kind != NULL) (void)log_flow_start(log, kind);
}

/* ---- epochs --------------------------------------------------------------------------------- */

void log_note_epoch(struct log *log, int32_t epoch, int64_t start_offset)
{
    if (!log_epochs_assign(&log->epochs, epoch, start_offset)) return;
    LOG_TRACE(log, LOG_EPOCH, epoch, start_offset);
}

void log_assigned_reset(struct log *log)
{
    log->assigned_end = log->log_end;
    log->assigned_base = log_active(log)->base;
    log->assigned_size = log_active(log)->size;
    log->assigned_epoch = log_latest_epoch(log);
    if (log->begun_epoch > log->assigned_epoch) log->assigned_epoch = log->begun_epoch;
}

/* What a leader began while older appends were under way begins now. */
static void log_begin_pending(struct log *log)
{
    if (log->begun_epoch < 0 || !list_empty(&log->staged)) return;
    if (log->begun_epoch > log_latest_epoch(log))
        log_note_epoch(log, log->begun_epoch, log->log_end);
    log->begun_epoch = -1;
}

void log_begin_epoch(struct log *log, int32_t epoch)
{
    if (epoch <= log->assigned_epoch) return;
    /* Without memory for an entry the node could lead without a trace of it: not possible. */
    if (log_epochs_reserve(&log->epochs, 2) != ERR_NONE) {
        log_fail(log, ERR_NO_MEMORY);
        return;
    }
    log->begun_epoch = epoch;
    log->assigned_epoch = epoch;
    log->epochs_dirty = true;
    log_begin_pending(log);
    log_advance(log);
}

/* ---- staging -------------------------------------------------------------------------------- */

/* Whether a batch needs a new segment (storage.md 3). `base`, `size`: the segment as it will be. */
static bool log_needs_roll(const struct log *log, const struct record_batch *batch, uint32_t bytes)
{
    const struct log_segment *active = log_active(log);
    int64_t last = record_batch_last_offset(batch);

    if (log->assigned_size == 0) return false;
    if (log->assigned_size + bytes > log->config->segment_bytes) return true;
    if (last - log->assigned_base > INT32_MAX) return true;
    if (log->assigned_base != active->base) return false; /* a segment that does not exist yet */
    if (log_index_full(active->index, log->config->index_bytes)) return true;
    if (log->aborted.count >= LOG_ABORTED_SEGMENT) return true;
    if (active->first_timestamp >= 0)
        return batch->max_timestamp - active->first_timestamp > log->config->segment_ms;
    return log->dir->env->now.wall.ms - active->created_ms > log->config->segment_ms;
}

static uint32_t log_staged_epochs(const struct log *log)
{
    int32_t epoch = log_latest_epoch(log);
    uint32_t count = 2; /* the new one, and one begun by a leader */

    LIST_FOR_EACH (link, &log->staged) {
        int32_t next = LIST_ENTRY(link, struct log_staged, link)->epoch;

        count += next > epoch;
        epoch = next;
    }
    return count;
}

/* A marker may complete without failing: its entry of the transaction index has a place. */
static enum err log_reserve_aborted(struct log *log)
{
    uint32_t markers = 1;

    LIST_FOR_EACH (link, &log->staged)
        markers += LIST_ENTRY(link, struct log_staged, link)->marker;
    return log_aborted_reserve(&log->aborted, markers);
}

/* The batch stands with its final header in `bytes` of `buf`. All failing comes first. */
static enum err log_stage(struct log *log, struct buf *buf, const struct record_batch *batch)
{
    struct log_staged *staged;
    bool roll = log_needs_roll(log, batch, batch->bytes.length);
    bool marker = record_batch_is_control(batch) && batch->producer_id >= 0;

    if (batch->partition_leader_epoch > log->assigned_epoch ||
        batch->partition_leader_epoch > log_latest_epoch(log)) {
        enum err err = log_epochs_reserve(&log->epochs, log_staged_epochs(log));

        if (err != ERR_NONE) return err;
    }
    if (marker && log_reserve_aborted(log) != ERR_NONE) return ERR_NO_MEMORY;
    staged = pool_take(&log->dir->staged);
    if (staged == NULL) return ERR_NO_MEMORY;
    list_init(&staged->link);
    list_init(&staged->producer.link);
    if (batch->producer_id >= 0 &&
        log_producers_stage(&log->producers, &staged->producer, batch) != ERR_NONE) {
        pool_give(&log->dir->staged, staged);
        return ERR_NO_MEMORY;
    }
    if (roll) {
        log->assigned_base = batch->base_offset;
        log->assigned_size = 0;
    }
    staged->buf = buf_ref(buf);
    staged->bytes = batch->bytes;
    staged->position = log->assigned_size;
    staged->base_offset = batch->base_offset;
    staged->last_offset = record_batch_last_offset(batch);
    staged->epoch = batch->partition_leader_epoch;
    staged->roll = roll;
    staged->marker = marker;
    list_push(&log->staged, &staged->link);
    log->assigned_size += batch->bytes.length;
    log->assigned_end = staged->last_offset + 1;
    if (staged->epoch > log->assigned_epoch) {
        log->assigned_epoch = staged->epoch;
        log->epochs_dirty = true; /* durable before the batch (replication.md 2) */
    }
    return ERR_NONE;
}

/* Takes the newest staged batch back. */
static void log_unstage(struct log *log)
{
    struct log_staged *staged = LIST_ENTRY(log->staged.prev, struct log_staged, link);

    list_remove(&staged->link);
    if (list_linked(&staged->producer.link))
        log_producers_unstage(&log->producers, &staged->producer);
    buf_unref(staged->buf);
    pool_give(&log->dir->staged, staged);
}

void log_append_failed(struct log *log, enum err err)
{
    while (!list_empty(&log->staged))
        log_unstage(log);
    log->generation++;
    log->failed_from = log->log_end;
    log->append_err = err;
    log_begin_pending(log);
    log_assigned_reset(log);
    LOG_TRACE(log, LOG_FAILED, log->log_end, err);
    op_wake(&log->end_source);
    log_tell(log, LOG_CHANGED_APPENDS);
}

static enum err log_may_append(const struct log *log)
{
    if (log->state != LOG_OPEN || !log_dir_online(log->dir)) return ERR_KAFKA_STORAGE_ERROR;
    if ((log->wanted & ~(uint32_t)LOG_WANTS_BESIDES) != 0)
        return ERR_KAFKA_STORAGE_ERROR; /* repair: ENOSPC is retriable */
    return ERR_NONE;
}

/* ---- append --------------------------------------------------------------------------------- */

/* The writable bytes of a batch inside its buffer. */
static uint8_t *log_inside(struct buf *buf, struct bytes bytes)
{
    ASSERT(bytes.data >= buf->data && bytes.data + bytes.length <= buf->data + buf->capacity);
    return buf->data + (bytes.data - buf->data);
}

enum err log_append_as_leader(struct log *log, struct buf *buf, struct bytes bytes,
                              int32_t leader_epoch, enum log_origin origin,
                              struct log_append *append)
{
    struct record_batch batch;
    struct record_batch given;
    struct log_append ticket = {.append_time_ms = -1};
    int64_t max_timestamp = -1;
    uint8_t *at = log_inside(buf, bytes);
    enum err err = log_may_append(log);

    if (err != ERR_NONE) return err;
    if (record_batch_parse(bytes, &batch) != RECORD_BATCH_WHOLE) return ERR_CORRUPT_MESSAGE;
    /* Exactly one batch (storage.md 5.2). */
    if (batch.bytes.length != bytes.length) return ERR_INVALID_RECORD;
    given = batch;
    if (log_validate_known(log, &batch, origin, append)) return ERR_NONE;
    err = log_validate_batch(log, &batch, origin, &max_timestamp);
    if (err == ERR_NONE) err = log_validate_producer(log, &batch, origin, &ticket);
    if (err != ERR_NONE) return err;
    ASSERT(!ticket.duplicate);
    if (leader_epoch < log->assigned_epoch) return ERR_NOT_LEADER_OR_FOLLOWER;
    record_batch_set_offset(at, log->assigned_end, leader_epoch);
    if (log->config->log_append_time) {
        ticket.append_time_ms = log->dir->env->now.wall.ms;
        record_batch_set_timestamp(log->dir->env->world->cpu, at, true, ticket.append_time_ms);
    } else if (max_timestamp != batch.max_timestamp) {
        record_batch_set_timestamp(log->dir->env->world->cpu, at, false, max_timestamp);
    }
    ASSERT(record_batch_parse(bytes, &batch) == RECORD_BATCH_WHOLE);
    err = log_stage(log, buf, &batch);
    if (err != ERR_NONE) {
        /* The caller may try again with the same bytes. */
        record_batch_set_offset(at, given.base_offset, given.partition_leader_epoch);
        if (batch.crc != given.crc)
            record_batch_set_timestamp(log->dir->env->world->cpu, at, false, given.max_timestamp);
        return err;
    }
    ticket.base_offset = batch.base_offset;
    ticket.last_offset = record_batch_last_offset(&batch);
    ticket.generation = log->generation;
    *append = ticket;
    log_advance(log);
    return ERR_NONE;
}

/* How many bytes of whole batches up to `epoch_max`, all sound and in a chain. */
static enum err log_check_follower(const struct log *log, struct bytes bytes, int32_t epoch_max,
                                   uint32_t *taken)
{
    struct record_batch_iter iter;
    struct record_batch batch;
    int64_t next = log->assigned_end;
    int32_t epoch = log->assigned_epoch;

    *taken = 0;
    record_batch_iter_init(&iter, bytes);
    while (record_batch_iter_next(&iter, &batch)) {
        enum err err = record_batch_check_copy(log->dir->env->world->cpu, &batch);

        if (err != ERR_NONE) return err;
        if (batch.partition_leader_epoch > epoch_max) return ERR_NONE;
        if (batch.partition_leader_epoch < epoch) return ERR_BAD_STATE;
        if (!log_follows(log, &batch, next)) return ERR_OFFSET_OUT_OF_RANGE;
        if (batch.bytes.length > log->config->segment_bytes && batch.bytes.length > INT32_MAX / 2)
            return ERR_RECORD_LIST_TOO_LARGE;
        next = record_batch_end_offset(&batch);
        epoch = batch.partition_leader_epoch;
        *taken += batch.bytes.length;
    }
    return iter.ended == RECORD_BATCH_CORRUPT ? ERR_CORRUPT_MESSAGE : ERR_NONE;
}

enum err log_append_as_follower(struct log *log, struct buf *buf, struct bytes bytes,
                                int32_t epoch_max, struct log_append *append)
{
    struct record_batch_iter iter;
    struct record_batch batch;
    uint32_t taken = 0;
    uint32_t count = 0;
    int64_t base_offset = log->assigned_end;
    enum err err = log_may_append(log);

    (void)log_inside(buf, bytes);
    if (err == ERR_NONE) err = log_check_follower(log, bytes, epoch_max, &taken);
    if (err != ERR_NONE) return err;
    bytes.length = taken;
    record_batch_iter_init(&iter, bytes);
    while (record_batch_iter_next(&iter, &batch)) {
        if (count == 0) base_offset = batch.base_offset;
        err = log_stage(log, buf, &batch);
        if (err != ERR_NONE) break;
        count++;
    }
    if (err != ERR_NONE) {
        /* All or nothing: what this call staged goes again. */
        for (; count > 0; count--)
            log_unstage(log);
        if (list_empty(&log->staged)) {
            log_assigned_reset(log);
        } else {
            const struct log_staged *last = LIST_ENTRY(log->staged.prev, struct log_staged, link);

            log->assigned_end = last->last_offset + 1;
            log->assigned_size = last->position + last->bytes.length;
            log->assigned_epoch = last->epoch;
            LIST_FOR_EACH (link, &log->staged) {
                const struct log_staged *staged = LIST_ENTRY(link, struct log_staged, link);

                if (link == log->staged.next) log->assigned_base = log_active(log)->base;
                if (staged->roll) log->assigned_base = staged->base_offset;
            }
        }
        return err;
    }
    *append = (struct log_append){.base_offset = base_offset,
                                  .last_offset = log->assigned_end - 1,
                                  .append_time_ms = -1,
                                  .generation = log->generation};
    log_advance(log);
    return ERR_NONE;
}

enum log_append_state log_append_state(const struct log *log, const struct log_append *append)
{
    if (append->generation == log->generation) {
        if (log->log_end > append->last_offset) return LOG_APPEND_DONE;
        return log->state == LOG_FAILED ? LOG_APPEND_FAILED : LOG_APPEND_PENDING;
    }
    /* Below what any failure or truncation since took away it is safe; when several happened, only
     * the last is known, and an older ticket is told that it failed. */
    if (append->generation + 1 == log->generation && append->last_offset < log->failed_from)
        return LOG_APPEND_DONE;
    return LOG_APPEND_FAILED;
}

/* ---- completion ----------------------------------------------------------------------------- */

void log_index_batch(struct log *log, struct log_segment *segment, struct log_index *index,
                     uint64_t position, const struct record_batch *batch, uint32_t bytes)
{
    if (segment->first_timestamp < 0) segment->first_timestamp = batch->max_timestamp;
    if (batch->max_timestamp > segment->max_timestamp)
        segment->max_timestamp = batch->max_timestamp;
    log_index_add(index, log->config->index_interval_bytes,
                  (uint32_t)(record_batch_last_offset(batch) - segment->base), (uint32_t)position,
                  bytes, batch->max_timestamp);
}

/* Its place was reserved. */
static void log_note_aborted(struct log *log, const struct log_aborted *aborted)
{
    enum err err = ERR_NONE;

    if (aborted->producer_id >= 0) err = log_aborted_add(&log->aborted, *aborted);
    ASSERT(err == ERR_NONE);
}

/* As LOG_TXN counts them. */
static int64_t log_txn_step(enum log_producer_step step)
{
    switch (step) {
    case LOG_PRODUCER_COMMIT: return 1;
    case LOG_PRODUCER_ABORT: return 2;
    case LOG_PRODUCER_PLAIN:
    case LOG_PRODUCER_TXN:
    case LOG_PRODUCER_EMPTIED: return 0;
    }
    IMPOSSIBLE("step of a transaction");
}

/* The oldest staged batch is in the file. */
static void log_complete_batch(struct log *log)
{
    struct log_staged *staged = LIST_ENTRY(log->staged.next, struct log_staged, link);
    struct log_segment *active = log_active(log);
    struct record_batch batch;
    struct log_aborted aborted;

    ASSERT(record_batch_parse(staged->bytes, &batch) == RECORD_BATCH_WHOLE);
    ASSERT(staged->position == active->size);
    ASSERT(staged->last_offset >= log->log_end);
    list_remove(&staged->link);
    if (batch.partition_leader_epoch > log_latest_epoch(log))
        log_note_epoch(log, batch.partition_leader_epoch, log_first_of(log, batch.base_offset));
    log_producers_complete(&log->producers, &staged->producer, &batch, &aborted);
    log_note_aborted(log, &aborted);
    log_index_batch(log, active, active->index, active->size, &batch, batch.bytes.length);
    log->saved = false;
    active->size += batch.bytes.length;
    active->end = staged->last_offset + 1;
    active->dirty = true;
    log->log_end = active->end;
    log->unsynced_bytes += batch.bytes.length;
    log_mark_note(log, batch.bytes.length);
    if (log->dir->cache != NULL) {
        log_cache_add(log->dir->cache, &log->cached, staged->buf, staged->bytes,
                      staged->base_offset, staged->last_offset);
    }
    LOG_TRACE(log, LOG_APPENDED, batch.base_offset, staged->last_offset,
              batch.partition_leader_epoch, batch.crc, batch.bytes.length);
    if (batch.producer_id >= 0 && staged->producer.turned) {
        LOG_TRACE(log, LOG_TXN, batch.producer_id, batch.producer_epoch,
                  log_txn_step(staged->producer.step), batch.base_offset,
                  batch.partition_leader_epoch);
    }
    buf_unref(staged->buf);
    pool_give(&log->dir->staged, staged);
}

static void log_written(struct world_req *req, struct instant now)
{
    struct log_write *write =
        CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct log_write, req);
    struct log *log = write->log;
    enum err err = req->result;
    uint32_t batches = write->batches;

    log->dir->env->now = now;
    log->producers.clock_ms = now.wall.ms;
    log->write = NULL;
    log_file_unpin(write->file);
    pool_give(&log->dir->writes, write);
    if (log->state == LOG_FAILED || !log_dir_online(log->dir)) {
        /* The directory went offline meanwhile: nothing staged counts any more. */
        if (!list_empty(&log->staged)) log_append_failed(log, ERR_IO);
    } else if (err != ERR_NONE) {
        log_append_failed(log, err);
        log->wanted |= LOG_WANT_REPAIR;
        if (!log_err_passes(err)) log_dir_fail(log->dir, err);
    } else {
        for (uint32_t i = 0; i < batches; i++)
            log_complete_batch(log);
        log_begin_pending(log);
        if (log->unsynced_since_ns == 0) log->unsynced_since_ns = now.mono.ns + 1;
        log_dir_changed(log->dir);
        op_wake_below(&log->end_source, log->log_end);
        log_tell(log, LOG_CHANGED_APPENDS);
        if (log->unsynced_bytes >= LOG_SYNC_BYTES || log->config->durable ||
            log->log_end - log->synced_end >= log->config->flush_messages)
            log_sync(log);
        log_mark_check(log);
    }
    log_dir_unstarve(&log->dir->write_starved, &log->dir->writes);
    log_advance(log);
}

/* The turn ends: everything staged for the active segment goes into one write. */
void log_flush(struct env_flush *flush)
{
    struct log *log = CONTAINER_OF(flush, struct log, flush);
    struct log_file *file;
    struct log_write *write;

    if (log->write != NULL || log->flow != NULL || list_empty(&log->staged)) return;
    if (log->state == LOG_FAILED || log->epochs_dirty || !log_dir_online(log->dir)) return;
    if ((log->wanted & LOG_WANT_REPAIR) != 0) return;
    if (LIST_ENTRY(log->staged.next, struct log_staged, link)->roll) return;
    if (log_mark_full(log)) {
        if (!list_linked(&log->starved)) list_push(&log->dir->mark_starved, &log->starved);
        return;
    }
    file = log_file_get(log, log_active(log));
    if (file == NULL) {
        /* Staged again when it is open; or there is no place for it, nobody knows until when. */
        if (log->dir->files_short) log_append_failed(log, ERR_TOO_MANY);
        return;
    }
    write = pool_take(&log->dir->writes);
    if (write == NULL) {
        if (!list_linked(&log->starved)) list_push(&log->dir->write_starved, &log->starved);
        return;
    }
    write->log = log;
    write->file = file;
    world_req_init(&write->req.req, log_written);
    LIST_FOR_EACH (link, &log->staged) {
        const struct log_staged *staged = LIST_ENTRY(link, struct log_staged, link);
        struct bytes *last = write->slice_count > 0 ? &write->slices[write->slice_count - 1] : NULL;

        if (staged->roll || write->bytes >= LOG_WRITE_BYTES) break;
        if (last != NULL && last->data + last->length == staged->bytes.data) {
            last->length += staged->bytes.length;
        } else if (write->slice_count == LOG_WRITE_SLICES) {
            break;
        } else {
            write->slices[write->slice_count++] = staged->bytes;
        }
        write->bytes += staged->bytes.length;
        write->batches++;
    }
    log_file_pin(file);
    log->write = write;
    write->req.op = DISK_WRITE;
    write->req.file = file->file;
    write->req.offset = log_active(log)->size;
    write->req.slices = write->slices;
    write->req.slice_count = write->slice_count;
    disk_submit(log->dir->env->world, &write->req);
}

/* ---- ends ----------------------------------------------------------------------------------- */

void log_raise_start(struct log *log, int64_t log_start)
{
    int64_t old = log->log_start;

    ASSERT(log_start <= log->log_end);
    if (log_start <= old) return;
    log_set_start(log, log_start);
    if (log_epochs_cut_start(&log->epochs, log_start)) log->epochs_dirty = true;
    LOG_TRACE(log, LOG_START, old, log_start);
    log_dir_changed(log->dir);
    log_advance(log);
}

void log_note_high_watermark(struct log *log, int64_t high_watermark)
{
    if (high_watermark == log->high_watermark) return;
    log->high_watermark = high_watermark;
    log_producers_replicated(&log->producers, high_watermark);
    log_dir_changed(log->dir);
}

int64_t log_last_stable(const struct log *log)
{
    int64_t unstable = log_producers_first_unstable(&log->producers);

    if (unstable >= 0 && unstable < log->log_start) unstable = log->log_start;
    return unstable >= 0 && unstable < log->high_watermark ? unstable : log->high_watermark;
}
