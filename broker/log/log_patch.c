#include "broker/log/log_patch.h"

#include "broker/log/log_private.h"

struct log_patch_work {
    struct op op;
    struct log_patch *patch;
    struct log *log;
    enum err err;
    struct bytes batch;
    struct record_batch parsed;
    struct log_segment *segment;
    uint64_t position;
    struct log_io io;
    struct disk_file file;
    uint8_t here[RECORD_BATCH_HEADER];
    uint8_t behind[RECORD_BATCH_HEADER];
    char path[LOG_PATH_MAX];
};

enum patch_step {
    PATCH_START,
    PATCH_SWAPPED,
    PATCH_OPENED,
    PATCH_HERE,
    PATCH_BEHIND,
    PATCH_WRITTEN,
    PATCH_SYNCED,
    PATCH_CLOSED,
};
static const char *const patch_steps[] = {"START",  "SWAPPED", "OPENED", "HERE",
                                          "BEHIND", "WRITTEN", "SYNCED", "CLOSED"};

/* Is this the batch that belongs there, and is the place still there? */
static bool patch_belongs(struct log_patch_work *o)
{
    struct log *log = o->log;
    uint32_t at = log_segment_find(log, log->damaged);
    int64_t last;
    int32_t epoch;

    if (log->state != LOG_OPEN || log->damaged < 0) return false;
    o->segment = log->segments[at];
    if (o->segment->base != log->damaged_base) return false;
    o->position = log->damaged_position;
    if (record_batch_parse(o->batch, &o->parsed) != RECORD_BATCH_WHOLE) return false;
    if (o->parsed.bytes.length != o->batch.length) return false;
    if (record_batch_check_crc(log->dir->env->world->cpu, &o->parsed) != ERR_NONE) return false;
    last = record_batch_last_offset(&o->parsed);
    if (log_gaps(log) ? o->parsed.base_offset < log->damaged
                      : o->parsed.base_offset != log->damaged)
        return false;
    if (last >= o->segment->end || o->position + o->batch.length > o->segment->size) return false;
    epoch = log_epochs_at(&log->epochs, o->parsed.base_offset);
    return epoch < 0 || epoch == o->parsed.partition_leader_epoch;
}

static bool patch_ends_segment(const struct log_patch_work *o)
{
    return o->position + o->batch.length == o->segment->size;
}

/* What stands behind the place goes on where the batch ends; or the place is as long. */
static bool patch_fits(const struct log_patch_work *o)
{
    int64_t next = record_batch_last_offset(&o->parsed) + 1;
    int64_t behind = 0;

    if (record_batch_total(o->here) == o->batch.length) return true;
    if (patch_ends_segment(o)) return next == o->segment->end;
    for (uint32_t i = 0; i < 8; i++)
        behind = (int64_t)((uint64_t)behind << 8 | o->behind[i]);
    return behind == next;
}

static enum op_result patch_end(struct log_patch_work *o, enum err err)
{
    struct log *log = o->log;

    if (err == ERR_NONE) {
        TRACE(log->dir->env->world, LOG_REPAIRED, (int64_t)log->topic, log->partition,
              o->parsed.base_offset, record_batch_last_offset(&o->parsed), (int64_t)o->position);
        log_undamaged(log);
    }
    o->patch->err = err;
    o->patch->base_offset = o->parsed.base_offset;
    o->patch->busy = false;
    op_wake(&o->patch->source);
    log_readers_left(log);
    return OP_DONE;
}

static void patch_finish(struct op *op)
{
    struct log_patch_work *o = CONTAINER_OF(op, struct log_patch_work, op);

    o->patch->work = NULL;
    mem_free(&o->log->dir->env->mem, o, sizeof *o);
}

static enum err patch_failed(struct log_patch_work *o)
{
    enum err err = log_io_err(&o->io);

    if (err == ERR_NONE || err == ERR_NO_SPACE) return err;
    log_dir_fail(o->log->dir, err);
    return ERR_KAFKA_STORAGE_ERROR;
}

static enum op_result patch_run(struct op *op)
{
    struct log_patch_work *o = CONTAINER_OF(op, struct log_patch_work, op);
    struct world *world = o->log->dir->env->world;

    switch ((enum patch_step)op->step) {
    case PATCH_START:
        log_reader_waits(o->log);
        AWAIT(o, PATCH_SWAPPED, &o->log->state_source, !log_swap_due(o->log));
        log_reader_goes_on(o->log);
        if (!patch_belongs(o)) return patch_end(o, ERR_BAD_STATE);
        log_path_of(o->path, o->log, o->segment->base, ".log");
        log_io_open(&o->io, world, o->path, 0);
        AWAIT_IO(o, PATCH_OPENED, &o->io);
        o->err = patch_failed(o);
        if (o->err != ERR_NONE) return patch_end(o, o->err);
        o->file = o->io.req.file;
        log_io_read(&o->io, world, o->file, o->here, o->position, RECORD_BATCH_HEADER,
                    DISK_UNCACHED);
        AWAIT_IO(o, PATCH_HERE, &o->io);
        o->err = patch_failed(o);
        if (o->err == ERR_NONE && !patch_ends_segment(o)) {
            log_io_read(&o->io, world, o->file, o->behind, o->position + o->batch.length,
                        RECORD_BATCH_HEADER, DISK_UNCACHED);
        }
        AWAIT_IO(o, PATCH_BEHIND, &o->io);
        if (o->err == ERR_NONE) o->err = patch_failed(o);
        if (o->err == ERR_NONE && !patch_fits(o)) o->err = ERR_BAD_STATE;
        if (o->err == ERR_NONE) log_io_write(&o->io, world, o->file, o->batch, o->position);
        AWAIT_IO(o, PATCH_WRITTEN, &o->io);
        if (o->err == ERR_NONE) o->err = patch_failed(o);
        if (o->err == ERR_NONE) log_io_sync(&o->io, world, o->file);
        AWAIT_IO(o, PATCH_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = patch_failed(o);
        log_io_close(&o->io, world, o->file);
        AWAIT_IO(o, PATCH_CLOSED, &o->io);
        return patch_end(o, o->err);
    }
    IMPOSSIBLE("step");
}

static const struct op_kind patch_kind = {"log_patch", patch_steps, COUNT_OF(patch_steps),
                                          patch_run, patch_finish};

void log_patch_start(struct log_patch *patch, struct log *log, struct bytes batch)
{
    struct log_patch_work *work = mem_zalloc(&log->dir->env->mem, sizeof *work);

    ASSERT(!patch->busy);
    *patch = (struct log_patch){.err = ERR_NO_MEMORY, .work = work, .busy = work != NULL};
    op_source_init(&patch->source);
    if (work == NULL) return;
    work->patch = patch;
    work->log = log;
    work->batch = batch;
    log_io_init(&work->io);
    log->readers++;
    op_start(&log->dir->env->loop, &work->op, &patch_kind, PATCH_START);
}
