/* Reads. The tail comes from the cache of received buffers at once; the rest from disk, every batch
 * checked before it is served (nothing else would notice a rotten sector; storage.md 17.1). What
 * was found sound before, in a closed segment below the high watermark, goes to who takes it as a
 * range of its file, while it is in the page cache, without being touched again (log_sound.c).
 *
 *     file open -> position: hint of the last read, index in memory, or a search in the index file
 *               -> bytes into a counted buffer -> skip what ends below the offset -> check -> slice
 *
 * An index that points somewhere no batch begins, or behind the one wanted, is not believed: the
 * read starts over at the beginning of the segment (derived data never decides; storage.md 4). */
#include "broker/log/log_private.h"

enum {
    READ_BYTES_MAX = 16 << 20, /* of one read, the first batch aside */
    READ_SEARCH_LEFT = 64,     /* index entries that are read as one */
    READ_OVERLAP = 8192,       /* bytes before the offset that a sparse index leaves */
};

enum read_step {
    READ_START,
    READ_SWAPPED,
    READ_FILE,
    READ_INDEX_OPENED,
    READ_INDEX_LOADED,
    READ_PROBED,
    READ_WINDOW,
    READ_INDEX_CLOSED,
    READ_RESIDENT,
    READ_BYTES,
};
static const char *const read_steps[] = {"START",        "SWAPPED", "FILE",   "INDEX_OPENED",
                                         "INDEX_LOADED", "PROBED",  "WINDOW", "INDEX_CLOSED",
                                         "RESIDENT",     "BYTES",   "STABLE", "STABLE_LOADED"};
_Static_assert(LOG_STABLE_FIND == READ_BYTES + 1, "log_stable.c goes on behind these");

static bool read_file_there(const struct log *log, const struct log_segment *segment)
{
    if (!log_dir_online(log->dir) || log->dir->files_short) return true;
    if (segment->file == NULL) return !list_linked(&log->starved);
    return segment->file->state == LOG_FILE_OPEN;
}

void log_read_over(struct log_read *read)
{
    read->done = true;
    op_wake(&read->source);
    log_readers_left(read->log);
}

static enum op_result read_end(struct log_read *o, enum err err)
{
    struct log_reader *r = o->reader;
    struct log *log = o->log;

    if (r->pinned != NULL) log_file_unpin(r->pinned);
    buf_unref(r->buf);
    mem_free(&log->dir->env->mem, r->index, r->index_size);
    mem_free(&log->dir->env->mem, r, sizeof *r);
    o->reader = NULL;
    o->err = err;
    if (log_stable_begin(o)) {
        op_enter(&o->op, LOG_STABLE_FIND);
        return log_stable_run(o);
    }
    log_read_over(o);
    return OP_DONE;
}

/* The position is an index's: no chain of batches leads there. */
static void read_index_says(struct log_reader *r)
{
    if (r->position == 0) return;
    r->expected = -1;
    r->walked = false;
}

/* Begins with the segment at `r->segment`: the position without the index file, if it is known. */
static bool read_locate(struct log_read *o)
{
    struct log_reader *r = o->reader;
    struct log_segment *segment = r->segment;

    uint32_t position;

    r->want = 0;
    r->position = 0;
    r->span = 0;
    r->expected = segment->base;
    r->walked = true;
    if (o->offset <= segment->base) return true;
    if (segment->hint_offset == o->offset) {
        r->walked = false;
        r->position = segment->hint_position;
        r->expected = o->offset;
        return true;
    }
    /* In memory it was made from the batches, or looked at when it was loaded. A new log has none
     * of the files, which index_bad is about. */
    if (log_lookup(o->log, segment, o->offset, &position, &r->span)) {
        r->position = position;
        read_index_says(r);
        return true;
    }
    if (segment->index_bad) return true;
    r->low = 0;
    r->high = segment->offset_count;
    return r->high == 0;
}

/* Asks for the whole index; false: it is too large, or there is no memory, and it is searched where
 * it is. */
static bool read_load_index(struct log_read *o)
{
    struct log_reader *r = o->reader;
    uint32_t size = r->high * LOG_INDEX_ENTRY;

    if (size > o->log->dir->limits.index_bytes / 4) return false;
    r->index = mem_alloc(&o->log->dir->env->mem, size);
    if (r->index == NULL) return false;
    r->index_size = size;
    log_io_read(&r->io, o->log->dir->env->world, r->index_file, r->index, 0, size, 0);
    return true;
}

/* What was read is of use, or the segment is walked from its beginning. */
static void read_take_index(struct log_read *o)
{
    struct log_reader *r = o->reader;
    struct bytes file = {r->index, r->index_size};
    uint32_t position;

    if (log_io_err(&r->io) != ERR_NONE || r->io.req.done < r->index_size) {
        r->segment->index_bad = true;
    } else if (log_lookup_load(o->log, r->segment, file) == ERR_DAMAGED) {
        r->segment->index_bad = true;
    } else if (log_lookup(o->log, r->segment, o->offset, &position, &r->span)) {
        r->position = position;
        read_index_says(r);
    }
    r->low = r->high = 0;
}

static void read_probe(struct log_read *o)
{
    struct log_reader *r = o->reader;
    uint32_t middle = r->low + (r->high - r->low) / 2;

    log_io_read(&r->io, o->log->dir->env->world, r->index_file, r->entries,
                (uint64_t)middle * LOG_INDEX_ENTRY, LOG_INDEX_ENTRY, 0);
}

/* low: everything before it is at or below the offset; high: everything from it on is above. */
static void read_narrow(struct log_read *o)
{
    struct log_reader *r = o->reader;
    uint32_t middle = r->low + (r->high - r->low) / 2;
    struct log_index_entry entry = log_index_get_offset(r->entries);

    if (log_io_err(&r->io) != ERR_NONE || r->io.req.done < LOG_INDEX_ENTRY) {
        r->low = r->high = 0; /* no help from this file */
        r->segment->index_bad = true;
    } else if (entry.offset <= o->offset - r->segment->base) {
        r->low = middle;
    } else {
        r->high = middle;
    }
}

static void read_window(struct log_read *o)
{
    struct log_reader *r = o->reader;

    if (r->high == r->low) return;
    log_io_read(&r->io, o->log->dir->env->world, r->index_file, r->entries,
                (uint64_t)r->low * LOG_INDEX_ENTRY, (uint64_t)(r->high - r->low) * LOG_INDEX_ENTRY,
                0);
}

static void read_take_window(struct log_read *o)
{
    struct log_reader *r = o->reader;
    uint32_t count = (uint32_t)(r->io.req.done / LOG_INDEX_ENTRY);

    if (r->high == r->low) return;
    if (log_io_err(&r->io) != ERR_NONE) {
        r->segment->index_bad = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct log_index_entry entry =
            log_index_get_offset(r->entries + (size_t)i * LOG_INDEX_ENTRY);

        if (entry.offset <= o->offset - r->segment->base) r->position = entry.position;
    }
    if (r->position >= r->segment->size) r->position = 0;
    read_index_says(r);
}

/* ---- ranges ---- */

struct log_range {
    struct log_file *file;
};

static void read_range_released(struct buf *buf)
{
    log_file_returned(((struct log_range *)(void *)buf->data)->file);
}

/* What of the segment is sound from the offset on, as much as may be read; and where a read that
 * has to look for itself ends, so that the next one begins with a run. */
static bool read_sound(struct log_read *o)
{
    struct log_reader *r = o->reader;
    const struct log *log = o->log;
    int64_t limit = o->limit < log->high_watermark ? o->limit : log->high_watermark;
    const struct log_run *run;

    r->ranged = false;
    r->stop = -1;
    r->stop_position = 0;
    if (!o->ranges || o->scrub || r->segment == log_active(log)) return false;
    r->ranged = log_sound_from(r->segment, o->offset, limit, o->max_bytes, &r->run);
    if (r->ranged) return true;
    run = log_sound_find(r->segment, o->offset);
    if (run == NULL || run->first == o->offset) return false;
    r->stop = run->first > o->offset ? run->first : run->next;
    r->stop_position = run->position + (run->first > o->offset ? 0 : run->length);
    return false;
}

/* All of the run is in the page cache, and nothing was found since: it is the answer. */
static bool read_refer(struct log_read *o)
{
    struct log_reader *r = o->reader;
    struct log *log = o->log;
    struct log_run run = r->run;
    struct log_range *range;
    struct buf *buf;

    r->ranged = false;
    r->position = run.position; /* else the bytes are read from here on */
    r->expected = run.first;
    r->walked = false;
    if (log_io_err(&r->io) != ERR_NONE || r->io.req.done < run.length) {
        log->dir->ranges_missed++;
        return false;
    }
    if (!log_sound_from(r->segment, run.first, run.next, run.length, &r->run)) return false;
    if (r->run.length != run.length) return false;
    buf = buf_take(&log->dir->env->payload, sizeof *range, true);
    if (buf == NULL) return false;
    if (!log_file_lend(r->pinned)) {
        buf_unref(buf);
        return false;
    }
    range = (struct log_range *)(void *)buf->data;
    *range = (struct log_range){r->pinned};
    buf->released = read_range_released;
    r->segment->ranged = true;
    r->segment->hint_offset = run.next;
    r->segment->hint_position = (uint64_t)run.position + run.length;
    log->dir->ranges_told++;
    log->dir->ranges_bytes += run.length;
    o->range_file = r->pinned->file;
    o->range_offset = run.position;
    o->slices[0] = (struct bytes){NULL, run.length};
    o->holds[0] = buf;
    o->count = 1;
    o->bytes = run.length;
    o->next_offset = run.next;
    return true;
}

/* A batch at r->position was found sound; `next`: the offset behind it. */
static void read_note_sound(struct log_read *o, const struct record_batch *batch, int64_t next)
{
    struct log_reader *r = o->reader;

    if (r->segment == log_active(o->log)) return;
    if (r->run.length == 0) {
        int64_t first = o->bytes == 0 ? o->offset : r->expected;

        r->run = (struct log_run){
            .position = (uint32_t)r->position,
            .first = batch->base_offset < first || first < 0 ? batch->base_offset : first};
    }
    r->run.length += batch->bytes.length;
    r->run.next = next;
    if (r->run.length < LOG_RUN_BYTES) return;
    log_sound_note(o->log, r->segment, &r->run);
    r->run.length = 0;
}

/* Asks for bytes from the position on; false: done with an error, or nothing left in the log. */
static bool read_submit(struct log_read *o)
{
    struct log_reader *r = o->reader;
    uint64_t left = r->segment->size - r->position;
    uint64_t size = o->max_bytes < READ_BYTES_MAX ? o->max_bytes : READ_BYTES_MAX;

    size += READ_OVERLAP + (r->span < READ_BYTES_MAX ? r->span : 0);
    r->span = 0; /* of what comes after the first read */
    if (size < r->want) size = r->want;
    if (size > left) size = left;
    if (r->stop_position > r->position && r->want == 0 && size > r->stop_position - r->position)
        size = r->stop_position - r->position;
    r->run.length = 0;
    log_sound_unread(r->segment, r->position, r->position + size);
    buf_unref(r->buf);
    r->size = (uint32_t)size;
    r->buf = buf_take(&o->log->dir->env->payload, size, true);
    if (r->buf == NULL) return false;
    log_io_read(&r->io, o->log->dir->env->world, r->pinned->file, r->buf->data, r->position, size,
                o->scrub || r->retried ? DISK_UNCACHED : 0);
    return true;
}

enum read_verdict {
    READ_SERVED,
    READ_MORE,     /* at r->position, r->want bytes at least */
    READ_EMPTY,    /* up to the end of the segment, or the limit, there is nothing */
    READ_DISTRUST, /* the index led astray */
    READ_DAMAGED,
};

bool log_epoch_fits(const struct log *log, const struct record_batch *batch)
{
    int32_t epoch = log_epochs_at(&log->epochs, batch->base_offset);

    return epoch < 0 || epoch == batch->partition_leader_epoch;
}

/* What stands at the position is not the batch that should. Whoever walked here from the beginning
 * of the segment need not doubt an index. */
static enum read_verdict read_no_batch(const struct log_read *o)
{
    if (o->count > 0) return READ_SERVED;
    return o->reader->walked ? READ_DAMAGED : READ_DISTRUST;
}

static enum read_verdict read_look(struct log_read *o)
{
    struct log_reader *r = o->reader;
    struct log *log = o->log;
    struct bytes rest = {r->buf->data, (uint32_t)r->io.req.done};
    struct record_batch batch;
    enum record_batch_framing framing;
    int64_t next = r->expected;

    while ((framing = record_batch_parse(rest, &batch)) == RECORD_BATCH_WHOLE) {
        int64_t last = record_batch_last_offset(&batch);

        if (batch.base_offset < r->segment->base || last < batch.base_offset ||
            batch.base_offset < next || last >= r->segment->end)
            return read_no_batch(o);
        if (next < 0 && batch.base_offset > o->offset && o->count == 0 && !log_gaps(log))
            return READ_DISTRUST;
        if (next >= 0 && batch.base_offset > next && !log_gaps(log)) return read_no_batch(o);
        next = last + 1;
        if (last >= o->offset) {
            if (r->stop >= 0 && batch.base_offset >= r->stop && o->count > 0) return READ_SERVED;
            if (last >= o->limit) return o->count > 0 ? READ_SERVED : READ_EMPTY;
            if (o->bytes + batch.bytes.length > o->max_bytes && !(o->first_whole && o->bytes == 0))
                return o->count > 0 ? READ_SERVED : READ_EMPTY;
            if (record_batch_check_crc(log->dir->env->world->cpu, &batch) != ERR_NONE ||
                (o->scrub && !log_epoch_fits(log, &batch)))
                return o->count > 0 ? READ_SERVED : READ_DAMAGED; /* what is good goes out */
            if (o->count == 0) {
                o->slices[0] = (struct bytes){batch.bytes.data, 0};
                o->count = 1;
            }
            read_note_sound(o, &batch, next);
            o->slices[0].length += batch.bytes.length;
            o->bytes += batch.bytes.length;
            o->next_offset = next;
            r->segment->hint_offset = next;
            r->segment->hint_position = r->position + batch.bytes.length;
        }
        r->position += batch.bytes.length;
        r->expected = next;
        rest.data += batch.bytes.length;
        rest.length -= batch.bytes.length;
    }
    if (o->count > 0) return READ_SERVED;
    if (framing == RECORD_BATCH_CORRUPT) return read_no_batch(o);
    if (r->position == r->segment->size) return READ_EMPTY;
    r->want = rest.length >= RECORD_BATCH_PREFIX ? record_batch_total(rest.data) : 0;
    if (r->position + r->size >= r->segment->size && r->want > r->segment->size - r->position)
        return READ_DAMAGED;
    if (r->want <= rest.length) r->want = rest.length + RECORD_BATCH_HEADER;
    if (r->position + rest.length >= r->segment->size) return READ_DAMAGED;
    return READ_MORE;
}

/* To the segment behind this one; false: it is the last. */
static bool read_next_segment(struct log_read *o)
{
    struct log_reader *r = o->reader;
    struct log *log = o->log;
    uint32_t at = log_segment_find(log, r->segment->base);

    if (at + 1 == log->segment_count) return false;
    log_file_unpin(r->pinned);
    r->pinned = NULL;
    r->segment = log->segments[at + 1];
    r->position = 0;
    r->expected = r->segment->base;
    r->walked = true;
    r->want = 0;
    r->stop = -1;
    r->stop_position = 0;
    return true;
}

void log_note_damage(struct log *log, int64_t offset, int64_t base, uint64_t position)
{
    if (log->damaged < 0) log->dir->damaged++;
    log->damaged = offset;
    log->damaged_base = base;
    log->damaged_position = position;
    log->dir->damage_notes++;
    op_wake(&log->dir->damage_source);
}

/* One place at a time is enough, the next read finds the next. */
static void read_note_damage(struct log_read *o)
{
    const struct log_reader *r = o->reader;

    log_sound_forget(o->log, r->segment);
    if (o->log->damaged >= 0 || r->expected < 0) return;
    log_note_damage(o->log, r->expected, r->segment->base, r->position);
}

void log_undamaged(struct log *log)
{
    if (log->damaged < 0) return;
    log->damaged = -1;
    ASSERT(log->dir->damaged > 0);
    log->dir->damaged--;
}

/* True: go on reading (the same segment again, or its successor); else the read is over with
 * o->err. */
static bool read_decide(struct log_read *o)
{
    struct log_reader *r = o->reader;
    struct log *log = o->log;

    o->err = log_io_err(&r->io);
    if (o->err != ERR_NONE) {
        log_dir_fail(log->dir, o->err);
        o->err = ERR_KAFKA_STORAGE_ERROR;
        return false;
    }
    switch (read_look(o)) {
    case READ_MORE: return true;
    case READ_SERVED:
        log_sound_note(log, r->segment, &r->run);
        o->holds[0] = r->buf;
        r->buf = NULL;
        return false;
    case READ_DISTRUST:
        TRACE(log->dir->env->world, LOG_DAMAGED, (int64_t)log->topic, log->partition, o->offset,
              (int64_t)r->position, ERR_MALFORMED);
        r->segment->index_bad = true;
        r->segment->hint_offset = -1;
        r->position = 0;
        r->expected = r->segment->base;
        r->walked = true;
        r->want = 0;
        return true;
    case READ_DAMAGED:
        if (!r->retried) {
            /* A read may be wrong once (DF11). */
            r->retried = true;
            r->position = 0;
            r->expected = r->segment->base;
            r->walked = true;
            r->want = 0;
            r->segment->hint_offset = -1;
            return true;
        }
        TRACE(log->dir->env->world, LOG_DAMAGED, (int64_t)log->topic, log->partition, o->offset,
              (int64_t)r->position, ERR_DAMAGED);
        read_note_damage(o);
        o->err = ERR_CORRUPT_MESSAGE;
        return false;
    case READ_EMPTY: return r->position == r->segment->size && read_next_segment(o);
    }
    IMPOSSIBLE("verdict");
}

static enum op_result read_run(struct op *op)
{
    struct log_read *o = CONTAINER_OF(op, struct log_read, op);
    struct log_reader *r = o->reader;
    struct log *log = o->log;
    struct world *world = log->dir->env->world;

    if (op->step >= LOG_STABLE_FIND) return log_stable_run(o);
    switch ((enum read_step)op->step) {
    case READ_START:
        log_reader_waits(log);
        AWAIT(o, READ_SWAPPED, &log->state_source, !log_swap_due(log));
        log_reader_goes_on(log);
        r->segment = log->segments[log_segment_find(log, o->offset)];
        if (!read_sound(o) && !read_locate(o)) {
            log_path_of(r->path, log, r->segment->base, ".index");
            log_io_open(&r->io, world, r->path, DISK_READ_ONLY);
            AWAIT_IO(o, READ_INDEX_OPENED, &r->io);
            if (log_io_err(&r->io) == ERR_NONE) {
                r->index_file = r->io.req.file;
                if (read_load_index(o)) {
                    AWAIT_IO(o, READ_INDEX_LOADED, &r->io);
                    read_take_index(o);
                }
                while (r->high - r->low > READ_SEARCH_LEFT) {
                    read_probe(o);
                    AWAIT_IO(o, READ_PROBED, &r->io);
                    read_narrow(o);
                }
                read_window(o);
                AWAIT_IO(o, READ_WINDOW, &r->io);
                read_take_window(o);
                log_io_close(&r->io, world, r->index_file);
            } else {
                if (log_err_passes(log_io_err(&r->io))) return read_end(o, ERR_KAFKA_STORAGE_ERROR);
                r->segment->index_bad = true;
            }
            AWAIT_IO(o, READ_INDEX_CLOSED, &r->io);
        }
        for (;;) {
            while (r->pinned == NULL) {
                if (!log_dir_online(log->dir)) return read_end(o, ERR_KAFKA_STORAGE_ERROR);
                r->pinned = log_file_get(log, r->segment);
                if (r->pinned != NULL) {
                    log_file_pin(r->pinned);
                    break;
                }
                if (log->dir->files_short) return read_end(o, ERR_KAFKA_STORAGE_ERROR);
                AWAIT(o, READ_FILE, &log->dir->file_source, read_file_there(log, r->segment));
            }
            if (r->ranged) {
                log_io_resident(&r->io, world, r->pinned->file, r->run.position, r->run.length);
                AWAIT_IO(o, READ_RESIDENT, &r->io);
                if (read_refer(o)) return read_end(o, ERR_NONE);
            }
            if (r->segment->size == r->position) {
                if (!read_next_segment(o)) return read_end(o, ERR_NONE);
                continue; /* a compaction left nothing of this one */
            }
            if (!read_submit(o)) return read_end(o, ERR_NO_MEMORY);
            AWAIT_IO(o, READ_BYTES, &r->io);
            if (!read_decide(o)) break;
        }
        return read_end(o, o->err);
    }
    IMPOSSIBLE("step");
}

static const struct op_kind read_kind = {"log_read", read_steps, COUNT_OF(read_steps), read_run,
                                         NULL};

/* Slices of the tail cache; false when the offset is not there. */
static bool read_cached(struct log *log, struct log_read *read)
{
    struct log_cached *cached = log_cache_find(&log->cached, read->offset);

    if (cached == NULL) return false;
    for (struct list *link = &cached->own; link != &log->cached.batches; link = link->next) {
        cached = LIST_ENTRY(link, struct log_cached, own);
        if (cached->last_offset >= read->limit) break;
        if (read->bytes + cached->bytes.length > read->max_bytes &&
            !(read->first_whole && read->bytes == 0))
            break;
        if (read->count > 0 && read->holds[read->count - 1] == cached->buf &&
            read->slices[read->count - 1].data + read->slices[read->count - 1].length ==
                cached->bytes.data) {
            read->slices[read->count - 1].length += cached->bytes.length;
        } else {
            if (read->count == LOG_READ_SLICES) break;
            read->slices[read->count] = cached->bytes;
            read->holds[read->count++] = buf_ref(cached->buf);
        }
        read->bytes += cached->bytes.length;
        read->next_offset = cached->last_offset + 1;
    }
    return true;
}

/* The outcome that needs no disk, through *err; false when it does. */
static bool read_at_once(struct log *log, struct log_read *read, enum err *err)
{
    int64_t limit = read->limit < log->log_end ? read->limit : log->log_end;

    *err = ERR_NONE;
    read->limit = limit;
    if (log->state == LOG_TRUNCATING) {
        *err = ERR_NOT_LEADER_OR_FOLLOWER;
    } else if (log->state != LOG_OPEN || !log_dir_online(log->dir)) {
        *err = ERR_KAFKA_STORAGE_ERROR;
    } else if (read->offset < log->log_start || read->offset > log->log_end) {
        *err = ERR_OFFSET_OUT_OF_RANGE;
    } else if (read->offset < limit) {
        /* An exchange under way would be over between these bytes and their transactions. */
        return !read->scrub && !(read->stable && log_swap_due(log)) && read_cached(log, read);
    }
    return true;
}

void log_read(struct log *log, struct log_read *read)
{
    read->done = false;
    read->err = ERR_NONE;
    read->count = 0;
    read->bytes = 0;
    read->next_offset = read->offset;
    read->log = log;
    read->reader = NULL;
    read->finding = NULL;
    log_aborted_init(&read->aborted, &log->dir->env->mem);
    op_source_init(&read->source);
    if (read_at_once(log, read, &read->err)) {
        read->done = !log_stable_begin(read);
        if (read->done) return;
        log->readers++;
        op_start(&log->dir->env->loop, &read->op, &read_kind, LOG_STABLE_FIND);
        return;
    }
    read->reader = mem_zalloc(&log->dir->env->mem, sizeof *read->reader);
    if (read->reader == NULL) {
        read->err = ERR_NO_MEMORY;
        read->done = true;
        return;
    }
    log_io_init(&read->reader->io);
    log->readers++;
    op_start(&log->dir->env->loop, &read->op, &read_kind, READ_START);
}

void log_read_release(struct log_read *read)
{
    ASSERT(read->done);
    for (uint32_t i = 0; i < read->count; i++)
        buf_unref(read->holds[i]);
    read->count = 0;
    read->bytes = 0;
    log_aborted_deinit(&read->aborted);
}
