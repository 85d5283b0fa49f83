/* The two passes of a compaction over the batches of a segment, one slice at a time: into the map,
 * and through the filter into the new segment. Every batch passes its crc first: a copy must not
 * make rotten bytes sound. */
#include "broker/log/log_clean_private.h"

#include <string.h>

static enum log_clean_next feed_fail(struct log_clean_work *o, enum err err)
{
    o->err = err;
    return LOG_CLEAN_FAILED;
}

static enum log_clean_next feed_damaged(struct log_clean_work *o)
{
    struct log *log = o->log;

    TRACE(log->dir->env->world, LOG_DAMAGED, (int64_t)log->topic, log->partition, o->next_offset,
          (int64_t)(o->in_position + o->in_at), ERR_DAMAGED);
    return feed_fail(o, ERR_DAMAGED);
}

bool log_clean_read(struct log_clean_work *o)
{
    uint64_t left;
    uint32_t want = LOG_CLEAN_BYTES;

    o->in.used -= o->in_at;
    if (o->in.used > 0) memmove(o->in.data, o->in.data + o->in_at, o->in.used);
    o->in_position += o->in_at;
    o->in_at = 0;
    if (o->in.used >= RECORD_BATCH_PREFIX && record_batch_total(o->in.data) > want)
        want = record_batch_total(o->in.data);
    left = o->in_size - o->in_position;
    if (want > left) want = (uint32_t)left;
    if (!log_bytes_room(&o->in, want > LOG_CLEAN_BYTES ? want : LOG_CLEAN_BYTES)) return false;
    log_io_read(&o->io, o->log->dir->env->world, o->in_file, o->in.data + o->in.used,
                o->in_position + o->in.used, want - o->in.used, 0);
    return true;
}

bool log_clean_took(struct log_clean_work *o)
{
    o->err = log_io_err(&o->io);
    if (o->err == ERR_NONE && o->io.req.done == 0) o->err = ERR_DAMAGED; /* shorter than it was */
    if (o->err != ERR_NONE) return false;
    o->in.used += o->io.req.done;
    return true;
}

static bool feed_committed(const struct log_clean_work *o, const struct record_batch *batch,
                           bool *commit)
{
    struct record_iter iter;
    struct record record;
    enum control_type type;

    (void)o;
    *commit = true;
    if (!record_batch_is_control(batch) || batch->record_count == 0) return true;
    record_iter_init(&iter, batch, record_batch_payload(batch));
    if (record_iter_next(&iter, &record) != ERR_NONE) return false;
    if (record_control_type(&record, &type) != ERR_NONE) return false;
    *commit = type != CONTROL_ABORT;
    return true;
}

/* One of the batches by which a retry is known, or the marker of one who has none. */
static bool feed_tells(const struct log_producer *producer, const struct record_batch *batch)
{
    int64_t last = record_batch_last_offset(batch);

    for (uint32_t i = 0; i < producer->count; i++)
        if (producer->batches[i].last_offset == last) return true;
    return producer->count == 0 && record_batch_is_control(batch) &&
           batch->producer_epoch == producer->epoch;
}

/* The header of a batch stays when a producer that is still known would not be known so well
 * without it, or when the end of what is cleaned would move.
 * DIFFERS: Kafka keeps the header of a producer's last batch. Whoever replays what was cleaned,
 * after a crash or as a new replica, then answers the retry of one before it with out of order, and
 * an idempotent producer sends it again in its next epoch (C2). */
static bool feed_needed(const struct log_clean_work *o, const struct record_batch *batch)
{
    const struct log_producer *producer;

    if (record_batch_end_offset(batch) == o->dirty_end) return true;
    if (batch->producer_id < 0) return false;
    producer = log_producers_find(&o->log->producers, batch->producer_id);
    return producer != NULL && feed_tells(producer, batch);
}

/* The next batch of the window; false with *next. */
static bool feed_batch(struct log_clean_work *o, enum log_clean_next *next)
{
    struct bytes rest = {o->in.data + o->in_at, (uint32_t)(o->in.used - o->in_at)};
    struct log *log = o->log;
    struct log_filter_batch about;
    bool commit;
    enum err err;

    *next = LOG_CLEAN_OVER;
    if (rest.length == 0 && o->in_position + o->in_at == o->in_size) return false;
    switch (record_batch_parse(rest, &o->batch)) {
    case RECORD_BATCH_WHOLE: break;
    case RECORD_BATCH_CORRUPT: *next = feed_damaged(o); return false;
    case RECORD_BATCH_PARTIAL:
        *next = o->in_position + o->in.used == o->in_size ? feed_damaged(o) : LOG_CLEAN_READ;
        return false;
    }
    if (o->batch.base_offset < o->next_offset || o->batch.last_offset_delta < 0 ||
        record_batch_end_offset(&o->batch) > o->end ||
        record_batch_check_copy(log->dir->env->world->cpu, &o->batch) != ERR_NONE ||
        !feed_committed(o, &o->batch, &commit)) {
        *next = feed_damaged(o);
        return false;
    }
    err = log_aborted_see(&o->pass_aborted, &o->batch, commit, &about.discard, &o->entry);
    if (err == ERR_NONE && o->pass == LOG_CLEAN_COPY) {
        about.needed = feed_needed(o, &o->batch);
        about.begins_epoch =
            log_epochs_begins(&log->epochs, o->batch.partition_leader_epoch, o->batch.base_offset);
        err = log_filter_begin(&o->filter, &o->batch, about);
    } else if (err == ERR_NONE) {
        struct bytes records = BYTES_NULL;

        /* Neither markers nor what was aborted count as the newest of their keys. */
        if (record_batch_is_control(&o->batch) || about.discard ||
            record_batch_last_offset(&o->batch) < o->first_dirty)
            o->batch.record_count = 0;
        if (o->batch.record_count > 0)
            err = log_filter_open(log->dir->env->world->codecs, &o->batch, &o->inflated, &records);
        record_iter_init(&o->records, &o->batch, records);
    }
    if (err != ERR_NONE) {
        *next = feed_fail(o, err);
        return false;
    }
    o->batch_open = true;
    return true;
}

/* Records of the open batch into the map. False: the budget or the map is used up. */
static bool feed_map(struct log_clean_work *o, uint32_t *budget, enum log_clean_next *next)
{
    struct record record;
    enum err err;

    *next = LOG_CLEAN_YIELD;
    while (o->records.left > 0) {
        if (*budget == 0) return false;
        err = record_iter_next(&o->records, &record);
        if (err != ERR_NONE) {
            *next = feed_damaged(o);
            return false;
        }
        --*budget;
        if (record.key.data == NULL || record.offset < o->first_dirty) continue;
        if (log_keymap_full(&o->map)) {
            o->mapped = true;
            *next = LOG_CLEAN_OVER;
            return false;
        }
        log_keymap_put(&o->map, record.key, record.offset);
    }
    return true;
}

static bool feed_out(struct log_clean_work *o, struct bytes bytes, int64_t max_timestamp)
{
    struct log *log = o->log;
    int64_t last = record_batch_last_offset(&o->batch);

    if (!log_bytes_room(&o->out, o->out.used + bytes.length)) return false;
    memcpy(o->out.data + o->out.used, bytes.data, bytes.length);
    log_index_add(&o->index, log->config->index_interval_bytes, (uint32_t)(last - o->swap.bases[0]),
                  (uint32_t)(o->out_position + o->out.used), bytes.length, max_timestamp);
    o->out.used += bytes.length;
    if (o->swap.first_timestamp < 0) o->swap.first_timestamp = max_timestamp;
    if (max_timestamp > o->swap.max_timestamp) o->swap.max_timestamp = max_timestamp;
    return true;
}

/* The open batch through the filter. False: the budget is used up, or it failed. */
static bool feed_copy(struct log_clean_work *o, uint32_t *budget, enum log_clean_next *next)
{
    struct bytes bytes = o->batch.bytes;

    *next = LOG_CLEAN_YIELD;
    switch (log_filter_step(&o->filter, budget)) {
    case LOG_FILTER_MORE: return false;
    case LOG_FILTER_FAILED: *next = feed_fail(o, o->filter.err); return false;
    case LOG_FILTER_GONE: return true;
    case LOG_FILTER_WRITE: bytes = o->filter.result; break;
    case LOG_FILTER_KEEP: break;
    }
    if (o->out_position + o->out.used + bytes.length > INT32_MAX) {
        *next = feed_fail(o, ERR_TOO_LARGE);
        return false;
    }
    if (!feed_out(o, bytes, o->filter.max_timestamp) ||
        (o->entry.producer_id >= 0 && log_aborted_add(&o->kept_aborted, o->entry) != ERR_NONE)) {
        *next = feed_fail(o, ERR_NO_MEMORY);
        return false;
    }
    return true;
}

enum log_clean_next log_clean_feed(struct log_clean_work *o)
{
    uint32_t budget = LOG_CLEAN_RECORDS;
    uint32_t bytes = 0;
    enum log_clean_next next;

    o->clean->slices++;
    for (;;) {
        if (!o->batch_open && !feed_batch(o, &next)) return next;
        if (o->pass == LOG_CLEAN_MAP ? !feed_map(o, &budget, &next) : !feed_copy(o, &budget, &next))
            return next;
        o->batch_open = false;
        o->next_offset = record_batch_end_offset(&o->batch);
        o->in_at += o->batch.bytes.length;
        bytes += o->batch.bytes.length;
        if (o->out.used >= LOG_CLEAN_BYTES) return LOG_CLEAN_WRITE;
        if (bytes >= LOG_CLEAN_BYTES || budget == 0) return LOG_CLEAN_YIELD;
    }
}
