/* One segment read in slices and passed through the scan (log_scan.h), with what each good batch
 * means for the index, the producers and the epochs. */
#include "broker/log/log_private.h"

enum walk_step {
    WALK_START,
    WALK_OPENED,
    WALK_READ,
    WALK_CLOSED,
};
static const char *const walk_steps[] = {"START", "OPENED", "READ", "CLOSED"};

static enum op_result walk_end(struct log_walk *o)
{
    mem_free(&o->log->dir->env->mem, o->buffer, LOG_WALK_BYTES);
    o->buffer = NULL;
    o->busy = false;
    op_wake(&o->source);
    return OP_DONE;
}

/* As if the scan had refused it: it stands where it stood. */
static void walk_back(struct log_walk *o, int64_t next_offset, int32_t epoch)
{
    o->scan.position = o->scan.batch_position;
    o->scan.next_offset = next_offset;
    o->scan.epoch = epoch;
}

/* What stands in front of all that is known is not told: the newest epoch is another one. */
static enum err walk_epoch(struct log_walk *o)
{
    struct log_epochs *epochs = &o->log->epochs;
    int32_t epoch = o->scan.batch.partition_leader_epoch;
    bool front = o->scan.batch.base_offset < o->epochs_from;
    enum err err;

    if (!front && epoch <= log_epochs_latest(epochs)) return ERR_NONE;
    err = log_epochs_reserve(epochs, 1);
    if (err != ERR_NONE) return err;
    if (front) {
        (void)log_epochs_found(epochs, epoch, o->scan.batch.base_offset);
    } else {
        log_note_epoch(o->log, epoch, o->scan.batch.base_offset);
    }
    return ERR_NONE;
}

/* A batch that the scan accepted. False: it is to be left out, the walk ends before it. */
static bool walk_batch(struct log_walk *o)
{
    struct log *log = o->log;
    const struct record_batch *batch = &o->scan.batch;

    if (o->first < 0) o->first = batch->base_offset;
    if (!o->effects) return true;
    if (record_batch_last_offset(batch) >= o->stop_at) {
        o->scan.position = o->scan.batch_position;
        o->scan.next_offset = batch->base_offset;
        o->end = LOG_WALK_STOP;
        return false;
    }
    o->err = walk_epoch(o);
    if (o->err != ERR_NONE) {
        o->end = LOG_WALK_ERROR;
        return false;
    }
    if (batch->base_offset >= o->producers_from) {
        struct log_aborted aborted;

        o->err = log_producers_apply(&log->producers, batch, &aborted);
        if (o->err == ERR_NONE && o->aborted && aborted.producer_id >= 0)
            o->err = log_aborted_add(&log->aborted, aborted);
        if (o->err != ERR_NONE) {
            o->end = LOG_WALK_ERROR;
            return false;
        }
    }
    if (o->index) {
        log_index_batch(log, o->segment, o->segment->index, o->scan.batch_position, batch,
                        batch->bytes.length);
    }
    return true;
}

/* What stands behind the last good batch is none: true when it is to be read once more. */
static bool walk_again(struct log_walk *o)
{
    if (o->read_again && o->again_at == o->scan.position) {
        o->end = LOG_WALK_BAD;
        return false;
    }
    o->read_again = true;
    o->again_at = o->scan.position;
    o->read_flags |= DISK_UNCACHED;
    o->at = o->scan.position;
    log_scan_again(&o->scan);
    return true;
}

/* What was read passes the scan. True: the walk goes on. */
static bool walk_feed(struct log_walk *o)
{
    struct bytes bytes = {o->buffer, (uint32_t)o->io.req.done};

    o->err = log_io_err(&o->io);
    if (o->err != ERR_NONE) {
        o->end = LOG_WALK_ERROR;
        return false;
    }
    if (bytes.length == 0) {
        o->ends_short = log_scan_torn(&o->scan);
        if (log_scan_partial(&o->scan) > 0) return walk_again(o);
        o->end = LOG_WALK_WHOLE;
        return false;
    }
    o->at += bytes.length;
    for (;;) {
        int64_t next_offset = o->scan.next_offset;
        int32_t epoch = o->scan.epoch;

        switch (log_scan_feed(&o->scan, o->log->dir->env->world->cpu, &bytes)) {
        case LOG_SCAN_MORE: return true;
        case LOG_SCAN_BATCH:
            if (o->known && !log_epoch_fits(o->log, &o->scan.batch)) {
                walk_back(o, next_offset, epoch);
                o->ends_short = false;
                return walk_again(o);
            }
            if (!walk_batch(o)) return false;
            break;
        case LOG_SCAN_BAD: o->ends_short = false; return walk_again(o);
        }
    }
}

static enum op_result walk_run(struct op *op)
{
    struct log_walk *o = CONTAINER_OF(op, struct log_walk, op);
    struct world *world = o->log->dir->env->world;

    switch ((enum walk_step)op->step) {
    case WALK_START:
        o->end = LOG_WALK_ERROR;
        o->buffer = mem_alloc(&o->log->dir->env->mem, LOG_WALK_BYTES);
        o->err = ERR_NO_MEMORY;
        if (o->buffer == NULL) {
            o->busy = false;
            op_wake(&o->source);
            return OP_DONE;
        }
        log_path_of(o->path, o->log, o->segment->base, o->suffix);
        log_io_open(&o->io, world, o->path, DISK_READ_ONLY);
        AWAIT_IO(o, WALK_OPENED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return walk_end(o);
        o->file = o->io.req.file;
        do {
            log_io_read(&o->io, world, o->file, o->buffer, o->at, LOG_WALK_BYTES, o->read_flags);
            AWAIT_IO(o, WALK_READ, &o->io);
        } while (walk_feed(o));
        log_io_close(&o->io, world, o->file);
        AWAIT_IO(o, WALK_CLOSED, &o->io);
        return walk_end(o);
    }
    IMPOSSIBLE("step");
}

static const struct op_kind walk_kind = {"log_walk", walk_steps, COUNT_OF(walk_steps), walk_run,
                                         NULL};

void log_walk_start(struct log_walk *walk, struct log *log, struct log_segment *segment,
                    uint64_t position, int64_t next_offset, int32_t epoch)
{
    ASSERT(!walk->busy);
    walk->busy = true;
    walk->log = log;
    walk->segment = segment;
    walk->at = position;
    walk->stop_at = INT64_MAX;
    walk->first = -1;
    walk->producers_from = INT64_MAX;
    walk->epochs_from = 0;
    walk->index = false;
    walk->aborted = false;
    walk->effects = true;
    walk->known = false;
    walk->suffix = ".log";
    walk->read_flags = 0;
    walk->read_again = false;
    walk->ends_short = false;
    op_source_init(&walk->source);
    log_io_init(&walk->io);
    log_scan_init(&walk->scan, segment->base, position, next_offset, epoch, log_gaps(log));
    op_start(&log->dir->env->loop, &walk->op, &walk_kind, WALK_START);
}
