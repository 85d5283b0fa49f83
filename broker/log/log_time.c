/* ListOffsets by time (storage.md 9): segments whose greatest timestamp is below the one asked
 * for are passed over. The next one is read in log_read.c's way: the active one from the place its
 * time index names, a closed one from its beginning. */
#include "broker/log/log_private.h"
#include "client/wire/record.h"

enum { TIME_BYTES = 256 * 1024 };

enum time_step {
    TIME_START,
    TIME_SWAPPED,
    TIME_FILE,
    TIME_BYTES_READ,
};
static const char *const time_steps[] = {"START", "SWAPPED", "FILE", "BYTES_READ"};

static enum op_result time_end(struct log_time_lookup *o, enum err err)
{
    struct log_reader *r = o->reader;
    struct log *log = o->log;

    if (r->pinned != NULL) log_file_unpin(r->pinned);
    buf_unref(r->buf);
    mem_free(&log->dir->env->mem, r, sizeof *r);
    o->reader = NULL;
    o->err = err;
    o->done = true;
    op_wake(&o->source);
    log_readers_left(log);
    return OP_DONE;
}

/* The next segment that can hold an answer; false: none. */
static bool time_segment(struct log_time_lookup *o)
{
    struct log_reader *r = o->reader;
    struct log *log = o->log;

    for (; o->segment < log->segment_count; o->segment++) {
        struct log_segment *segment = log->segments[o->segment];
        uint32_t skip;

        if (segment->end <= log->log_start || segment->size == 0) continue;
        if (segment->max_timestamp >= 0 && o->timestamp >= 0 &&
            segment->max_timestamp < o->timestamp)
            continue;
        if (segment->base >= o->limit) return false;
        r->segment = segment;
        r->position = 0;
        r->want = 0;
        if (segment->index == NULL || o->timestamp < 0) return true;
        skip = log_index_find_time(segment->index, o->timestamp);
        r->position = log_index_find(segment->index, skip);
        return true;
    }
    return false;
}

static bool time_file_there(const struct log *log, const struct log_segment *segment)
{
    if (!log_dir_online(log->dir) || log->dir->files_short) return true;
    if (segment->file == NULL) return !list_linked(&log->starved);
    return segment->file->state == LOG_FILE_OPEN;
}

static bool time_submit(struct log_time_lookup *o)
{
    struct log_reader *r = o->reader;
    uint64_t size = TIME_BYTES;
    uint64_t left = r->segment->size - r->position;

    if (size < r->want) size = r->want;
    if (size > left) size = left;
    buf_unref(r->buf);
    r->buf = buf_take(&o->log->dir->env->payload, size, true);
    if (r->buf == NULL) return false;
    r->size = (uint32_t)size;
    log_sound_unread(r->segment, r->position, r->position + size);
    log_io_read(&r->io, o->log->dir->env->world, r->pinned->file, r->buf->data, r->position, size,
                0);
    return true;
}

/* The first record of the batch at or after the time, when the records can be seen; the first
 * with the greatest timestamp for -3. */
static void time_within(struct log_time_lookup *o, const struct record_batch *batch)
{
    struct record_iter iter;
    struct record record;
    int64_t wanted = o->timestamp >= 0 ? o->timestamp : batch->max_timestamp;

    o->offset = batch->base_offset < o->log->log_start ? o->log->log_start : batch->base_offset;
    o->found_timestamp = batch->max_timestamp;
    o->leader_epoch = batch->partition_leader_epoch;
    if (record_batch_is_compressed(batch)) return;
    record_iter_init(&iter, batch, record_batch_payload(batch));
    while (record_iter_next(&iter, &record) == ERR_NONE) {
        if (record.timestamp < wanted || record.offset < o->log->log_start) continue;
        o->offset = record.offset;
        o->found_timestamp = record.timestamp;
        return;
    }
}

/* True: the answer stands. */
static bool time_look(struct log_time_lookup *o)
{
    struct log_reader *r = o->reader;
    struct bytes rest = {r->buf->data, (uint32_t)r->io.req.done};
    struct record_batch batch;
    struct cpu cpu = o->log->dir->env->world->cpu;

    while (record_batch_parse(rest, &batch) == RECORD_BATCH_WHOLE) {
        int64_t last = record_batch_last_offset(&batch);
        /* Neither markers nor what a compaction emptied are records to begin at. */
        bool counts =
            last >= o->log->log_start && !record_batch_is_control(&batch) && batch.record_count > 0;

        if (last >= o->limit) return true;
        if (counts && o->timestamp >= 0 && batch.max_timestamp >= o->timestamp) {
            if (record_batch_check_crc(cpu, &batch) != ERR_NONE) o->err = ERR_CORRUPT_MESSAGE;
            if (o->err == ERR_NONE) time_within(o, &batch);
            return true;
        }
        if (counts && o->timestamp < 0 && batch.max_timestamp > o->found_timestamp) {
            if (record_batch_check_crc(cpu, &batch) != ERR_NONE) o->err = ERR_CORRUPT_MESSAGE;
            if (o->err != ERR_NONE) return true;
            time_within(o, &batch);
        }
        r->position += batch.bytes.length;
        rest.data += batch.bytes.length;
        rest.length -= batch.bytes.length;
    }
    r->want = rest.length >= RECORD_BATCH_PREFIX ? record_batch_total(rest.data) : 0;
    if (r->position < r->segment->size && r->size == r->segment->size - r->position + 0 &&
        r->want <= rest.length)
        o->err = ERR_CORRUPT_MESSAGE;
    if (rest.length > 0 && r->want > r->segment->size - r->position) o->err = ERR_CORRUPT_MESSAGE;
    return o->err != ERR_NONE;
}

/* True: another read; the segment is done when its bytes are. */
static bool time_decide(struct log_time_lookup *o)
{
    struct log_reader *r = o->reader;

    o->err = log_io_err(&r->io);
    if (o->err != ERR_NONE) {
        log_dir_fail(o->log->dir, o->err);
        o->err = ERR_KAFKA_STORAGE_ERROR;
        return false;
    }
    if (time_look(o)) return false;
    if (r->position < r->segment->size) return true;
    log_file_unpin(r->pinned);
    r->pinned = NULL;
    o->segment++;
    return time_segment(o);
}

static enum op_result time_run(struct op *op)
{
    struct log_time_lookup *o = CONTAINER_OF(op, struct log_time_lookup, op);
    struct log_reader *r = o->reader;
    struct log *log = o->log;

    switch ((enum time_step)op->step) {
    case TIME_START:
        log_reader_waits(log);
        AWAIT(o, TIME_SWAPPED, &log->state_source, !log_swap_due(log));
        log_reader_goes_on(log);
        if (!time_segment(o)) return time_end(o, ERR_NONE);
        do {
            while (r->pinned == NULL) {
                if (!log_dir_online(log->dir)) return time_end(o, ERR_KAFKA_STORAGE_ERROR);
                r->pinned = log_file_get(log, r->segment);
                if (r->pinned != NULL) {
                    log_file_pin(r->pinned);
                    break;
                }
                if (log->dir->files_short) return time_end(o, ERR_KAFKA_STORAGE_ERROR);
                AWAIT(o, TIME_FILE, &log->dir->file_source, time_file_there(log, r->segment));
            }
            if (!time_submit(o)) return time_end(o, ERR_NO_MEMORY);
            AWAIT_IO(o, TIME_BYTES_READ, &r->io);
        } while (time_decide(o));
        return time_end(o, o->err);
    }
    IMPOSSIBLE("step");
}

static const struct op_kind time_kind = {"log_time", time_steps, COUNT_OF(time_steps), time_run,
                                         NULL};

void log_offset_for_time(struct log *log, struct log_time_lookup *lookup)
{
    lookup->done = false;
    lookup->err = ERR_NONE;
    lookup->offset = -1;
    lookup->found_timestamp = -1;
    lookup->leader_epoch = -1;
    lookup->log = log;
    lookup->segment = 0;
    lookup->reader = NULL;
    op_source_init(&lookup->source);
    if (lookup->limit > log->log_end) lookup->limit = log->log_end;
    if (log->state == LOG_TRUNCATING) {
        lookup->err = ERR_NOT_LEADER_OR_FOLLOWER;
    } else if (log->state != LOG_OPEN || !log_dir_online(log->dir)) {
        lookup->err = ERR_KAFKA_STORAGE_ERROR;
    } else if (lookup->limit > log->log_start) {
        lookup->reader = mem_zalloc(&log->dir->env->mem, sizeof *lookup->reader);
        if (lookup->reader == NULL) lookup->err = ERR_NO_MEMORY;
    }
    if (lookup->reader == NULL) {
        lookup->done = true;
        return;
    }
    log_io_init(&lookup->reader->io);
    log->readers++;
    op_start(&log->dir->env->loop, &lookup->op, &time_kind, TIME_START);
}
