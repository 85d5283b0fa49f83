/* Flows of one log: at most one at a time, never beside a write. Here: roll, epochs, repair.
 *
 * Roll, before the first batch of a new segment is written (storage.md 3):
 *
 *     index and time index of the old segment   synced, renamed
 *     N.snapshot, N.producers                   synced, renamed     (N: base of the new segment)
 *     transaction index, if there is one        synced, renamed
 *     segment-manifest                          synced, renamed     (H14: end and bytes of the
 * closed)
 *     N.log created, the directory synced: all these names last
 *     the old segment's bytes                   in the next sync round
 *
 * A crash between any two leaves the old segment as the last one, or an empty new one. A roll that
 * fails takes N.log away again, durably, before the old segment goes on: the next one may be rolled
 * elsewhere, and N.log would stand within it. */
#include "broker/log/log_private.h"

#include "client/base/text.h"

struct env *log_flow_env(const struct log_flow *flow)
{
    return flow->log->dir->env;
}

bool log_flow_start(struct log *log, const struct op_kind *kind)
{
    struct log_dir *dir = log->dir;
    struct log_flow *flow = pool_take(&dir->flows);

    ASSERT(log->flow == NULL && log->write == NULL);
    if (flow == NULL) {
        if (!list_linked(&log->starved)) list_push(&dir->flow_starved, &log->starved);
        return false;
    }
    flow->log = log;
    log_io_init(&flow->io);
    log->flow = flow;
    op_start(&dir->env->loop, &flow->op, kind, 0);
    return true;
}

void log_flow_finish(struct op *op)
{
    struct log_flow *flow = CONTAINER_OF(op, struct log_flow, op);
    struct log *log = flow->log;
    struct log_dir *dir = log->dir;
    struct mem *mem = &dir->env->mem;

    mem_free(mem, flow->bytes, flow->bytes_size);
    mem_free(mem, flow->list, flow->list_size);
    log_load_free(&flow->load);
    log_load_free(&flow->window);
    pool_give(&dir->flows, flow);
    log->flow = NULL;
    log_dir_unstarve(&dir->flow_starved, &dir->flows);
    if (log->state == LOG_CLOSED) {
        op_wake(&log->state_source);
        log_dir_gone(dir);
        return;
    }
    log_advance(log);
}

bool log_flow_room(struct log_flow *flow, size_t size)
{
    struct mem *mem = &log_flow_env(flow)->mem;

    ASSERT(size > 0);
    mem_free(mem, flow->bytes, flow->bytes_size);
    flow->bytes_used = 0;
    flow->bytes_size = 0;
    flow->bytes = mem_alloc(mem, size);
    if (flow->bytes == NULL) return false;
    flow->bytes_size = size;
    return true;
}

struct bytes log_flow_bytes(const struct log_flow *flow)
{
    return (struct bytes){flow->bytes, (uint32_t)flow->bytes_used};
}

/* Epochs of the log and of what is staged: the file is ahead of the batches, never behind. */
bool log_flow_print_epochs(struct log_flow *flow)
{
    struct log *log = flow->log;
    struct log_epochs all;
    uint32_t more = 2;
    bool done = false;

    LIST_FOR_EACH (link, &log->staged)
        more++;
    if (more > LOG_EPOCHS_MAX) more = LOG_EPOCHS_MAX;
    log_epochs_init(&all, &log->dir->env->mem);
    if (log_epochs_reserve(&all, log->epochs.count + more) != ERR_NONE) return false;
    for (uint32_t i = 0; i < log->epochs.count; i++)
        all.entries[all.count++] = log->epochs.entries[i];
    LIST_FOR_EACH (link, &log->staged) {
        const struct log_staged *staged = LIST_ENTRY(link, struct log_staged, link);

        if (staged->epoch > log_epochs_latest(&all))
            (void)log_epochs_assign(&all, staged->epoch, log_first_of(log, staged->base_offset));
    }
    if (log->begun_epoch > log_epochs_latest(&all))
        (void)log_epochs_assign(&all, log->begun_epoch, log->assigned_end);
    if (log_flow_room(flow, log_epochs_text_max(all.count))) {
        flow->bytes_used = log_epochs_print(&all, (char *)flow->bytes, flow->bytes_size);
        done = true;
    }
    log_epochs_deinit(&all);
    return done;
}

static bool manifest_skips(const struct log_flow *flow, const struct log_segment *segment)
{
    return segment->base >= flow->skip_from && segment->base < flow->skip_to;
}

/* "base end bytes" of every closed segment. */
bool log_flow_print_manifest(struct log_flow *flow)
{
    const struct log *log = flow->log;
    uint32_t lines = 0;
    struct text out;

    for (uint32_t i = 0; i < log->segment_count; i++)
        lines += !manifest_skips(flow, log->segments[i]);
    if (!log_flow_room(flow, 32 + (size_t)log->segment_count * 64)) return false;
    text_init(&out, (char *)flow->bytes, flow->bytes_size);
    text_format(&out, "0\n%u\n", lines);
    for (uint32_t i = 0; i < log->segment_count; i++) {
        const struct log_segment *segment = log->segments[i];

        if (manifest_skips(flow, segment)) continue;
        text_format(&out, "%D %D %U\n", segment->base, segment->end, segment->size);
    }
    ASSERT(!out.truncated);
    flow->bytes_used = text_view(&out).length;
    return true;
}

/* ---- epochs --------------------------------------------------------------------------------- */

enum epochs_step {
    EPOCHS_START,
    EPOCHS_SAVED,
};
static const char *const epochs_steps[] = {"START", "SAVED"};

static enum op_result epochs_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);

    switch ((enum epochs_step)op->step) {
    case EPOCHS_START:
        o->err = log_flow_print_epochs(o) ? ERR_NONE : ERR_NO_MEMORY;
        o->log->epochs_dirty = false;
        o->log->epochs_failed = false;
        log_path_log(o->path, o->log);
        if (o->err == ERR_NONE) {
            log_save_start(&o->save, log_flow_env(o), o->path, "leader-epoch-checkpoint",
                           log_flow_bytes(o), true);
        }
        AWAIT_SAVE(o, EPOCHS_SAVED, &o->save);
        if (o->err == ERR_NONE) o->err = o->save.err;
        if (o->err == ERR_NONE) return OP_DONE;
        /* The file as it was is sound: it was replaced as a whole or not at all. */
        if (log_err_passes(o->err)) {
            if (!list_empty(&o->log->staged)) log_append_failed(o->log, o->err);
            /* Tried again with the next append; only then does somebody depend on it. */
            o->log->epochs_dirty = true;
            o->log->epochs_failed = true;
            return OP_DONE;
        }
        log_dir_fail(o->log->dir, o->err);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_epochs_kind = {"log_epochs", epochs_steps, COUNT_OF(epochs_steps),
                                        epochs_run, log_flow_finish};

/* ---- roll ----------------------------------------------------------------------------------- */

enum roll_step {
    ROLL_START,
    ROLL_INDEX_SAVED,
    ROLL_TIMES_SAVED,
    ROLL_SNAPSHOT_SAVED,
    ROLL_WINDOW_SAVED,
    ROLL_ABORTED_SAVED,
    ROLL_MANIFEST_SAVED,
    ROLL_CREATED,
    ROLL_EMPTIED,
    ROLL_CLOSED,
    ROLL_DIR_SYNCED,
    ROLL_UNMADE,
    ROLL_UNMADE_SYNCED,
};
static const char *const roll_steps[] = {
    "START",         "INDEX_SAVED",    "TIMES_SAVED",  "SNAPSHOT_SAVED", "WINDOW_SAVED",
    "ABORTED_SAVED", "MANIFEST_SAVED", "CREATED",      "EMPTIED",        "CLOSED",
    "DIR_SYNCED",    "UNMADE",         "UNMADE_SYNCED"};

/* Which of the small files of a segment. */
enum log_part {
    LOG_PART_INDEX,
    LOG_PART_TIMES,
    LOG_PART_SNAPSHOT,
    LOG_PART_WINDOW,
    LOG_PART_ABORTED,
};

/* Starts to save one of them; without memory flow->err says so. An earlier error: nothing. */
static void log_flow_save_part(struct log_flow *o, enum log_part part, int64_t base)
{
    static const char *const suffixes[] = {".index", ".timeindex", ".snapshot", ".producers",
                                           ".txnindex"};
    struct log *log = o->log;
    struct cpu cpu = log->dir->env->world->cpu;
    struct log_index *index = log_active(log)->index;
    char name[LOG_FILE_NAME];
    size_t size = 1;

    if (o->err != ERR_NONE) return;
    switch (part) {
    case LOG_PART_INDEX: size += (size_t)index->offset_count * LOG_INDEX_ENTRY; break;
    case LOG_PART_TIMES: size += (size_t)index->time_count * LOG_TIME_ENTRY; break;
    case LOG_PART_SNAPSHOT: size += log_producers_snapshot_size(&log->producers); break;
    case LOG_PART_WINDOW: size += log_producers_window_size(&log->producers); break;
    case LOG_PART_ABORTED: size += (size_t)log->aborted.count * LOG_ABORTED_ENTRY; break;
    }
    if (!log_flow_room(o, size)) {
        o->err = ERR_NO_MEMORY;
        return;
    }
    o->bytes_used = size - 1;
    switch (part) {
    case LOG_PART_INDEX: log_index_put_offsets(index, o->bytes); break;
    case LOG_PART_TIMES: log_index_put_times(index, o->bytes); break;
    case LOG_PART_SNAPSHOT:
        o->bytes_used = log_producers_snapshot(&log->producers, INT64_MAX, cpu, o->bytes);
        break;
    case LOG_PART_WINDOW:
        o->bytes_used = log_producers_window(&log->producers, INT64_MAX, cpu, o->bytes, false);
        break;
    case LOG_PART_ABORTED: log_aborted_put(&log->aborted, o->bytes); break;
    }
    log_file_name(name, base, suffixes[part]);
    log_path_log(o->path, log);
    log_save_start(&o->save, log->dir->env, o->path, name, log_flow_bytes(o), false);
}

void log_flow_saved(struct log_flow *o)
{
    if (o->err == ERR_NONE) o->err = o->save.err;
}

void log_flow_save_index(struct log_flow *o)
{
    log_index_finish(log_active(o->log)->index);
    log_flow_save_part(o, LOG_PART_INDEX, log_active(o->log)->base);
}

void log_flow_save_times(struct log_flow *o)
{
    log_flow_saved(o);
    log_flow_save_part(o, LOG_PART_TIMES, log_active(o->log)->base);
}

void log_flow_save_snapshot(struct log_flow *o, int64_t offset)
{
    log_flow_saved(o);
    log_flow_save_part(o, LOG_PART_SNAPSHOT, offset);
}

void log_flow_save_window(struct log_flow *o, int64_t offset)
{
    log_flow_saved(o);
    log_flow_save_part(o, LOG_PART_WINDOW, offset);
}

void log_flow_save_aborted(struct log_flow *o)
{
    const struct log *log = o->log;

    log_flow_saved(o);
    if (log->aborted.count == 0 && !log_active(log)->aborted) return;
    log_flow_save_part(o, LOG_PART_ABORTED, log_active(log)->base);
}

static void roll_save_manifest(struct log_flow *o)
{
    log_flow_saved(o);
    if (o->err == ERR_NONE && !log_flow_print_manifest(o)) o->err = ERR_NO_MEMORY;
    if (o->err != ERR_NONE) return;
    log_save_start(&o->save, log_flow_env(o), o->path, "segment-manifest", log_flow_bytes(o),
                   false);
}

static void roll_create(struct log_flow *o)
{
    log_flow_saved(o);
    if (o->err != ERR_NONE) return;
    log_path_of(o->path_to, o->log, o->offset, ".log");
    log_io_open(&o->io, log_flow_env(o)->world, o->path_to, DISK_CREATE);
}

/* The names are durable: the new segment is the active one. */
static void roll_apply(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_segment *old = log_active(log);
    struct log_segment *segment = log_segment_add(log, o->offset);

    o->err = segment == NULL ? ERR_NO_MEMORY : log_segment_index(log, segment);
    if (o->err != ERR_NONE) {
        if (segment != NULL) log_segment_drop_last(log);
        return;
    }
    old->offset_count = old->index->offset_count;
    old->time_count = old->index->time_count;
    old->index_bad = false; /* both were saved just now, whatever the open found */
    log_lookup_keep(log, old, old->index);
    old->index = NULL;
    old->aborted = log->aborted.count > 0;
    log->aborted.count = 0;
    if (!list_empty(&log->staged)) {
        struct log_staged *first = LIST_ENTRY(log->staged.next, struct log_staged, link);

        if (first->roll && first->base_offset == o->offset) first->roll = false;
    }
    if (log->mark == o->offset) {
        /* Its files are the new segment's from here on; the checkpoint says what it said. */
        log->mark = -1;
        (void)log_dir_checkpoint(log->dir);
    }
    LOG_TRACE(log, LOG_ROLLED, o->offset);
    log_sync(log);
}

/* Who asked for a roll without an append has the answer. */
static enum op_result roll_told(struct log_flow *o)
{
    o->log->wanted &= (uint16_t)~LOG_WANT_ROLL;
    op_wake(&o->log->state_source);
    return OP_DONE;
}

/* For the first staged batch; or, when nothing is staged, because retention asked for it: what is
 * staged from here on goes to the new segment. */
static bool roll_begin(struct log_flow *o)
{
    struct log *log = o->log;
    const struct log_staged *first = LIST_ENTRY(log->staged.next, struct log_staged, link);

    o->err = ERR_NONE;
    if (!list_empty(&log->staged)) {
        o->offset = first->base_offset;
        return first->roll;
    }
    if (log_active(log)->size == 0) return false;
    o->offset = log->log_end;
    log->assigned_base = log->log_end;
    log->assigned_size = 0;
    return true;
}

static enum op_result roll_end(struct log_flow *o)
{
    if (log_err_passes(o->err)) {
        if (!list_empty(&o->log->staged)) {
            log_append_failed(o->log, o->err);
        } else {
            log_assigned_reset(o->log);
        }
    } else {
        log_dir_fail(o->log->dir, o->err);
    }
    return roll_told(o);
}

static enum op_result roll_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);
    struct world *world = log_flow_env(o)->world;

    switch ((enum roll_step)op->step) {
    case ROLL_START:
        if (!roll_begin(o)) return roll_told(o);
        log_flow_save_index(o);
        AWAIT_SAVE(o, ROLL_INDEX_SAVED, &o->save);
        log_flow_save_times(o);
        AWAIT_SAVE(o, ROLL_TIMES_SAVED, &o->save);
        log_flow_save_snapshot(o, o->offset);
        AWAIT_SAVE(o, ROLL_SNAPSHOT_SAVED, &o->save);
        log_flow_save_window(o, o->offset);
        AWAIT_SAVE(o, ROLL_WINDOW_SAVED, &o->save);
        log_flow_save_aborted(o);
        AWAIT_SAVE(o, ROLL_ABORTED_SAVED, &o->save);
        roll_save_manifest(o);
        AWAIT_SAVE(o, ROLL_MANIFEST_SAVED, &o->save);
        roll_create(o);
        AWAIT_IO(o, ROLL_CREATED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return roll_end(o);
        o->file = o->io.req.file;
        /* A left-over of the same base: of a roll that did not come to its end. */
        log_io_truncate(&o->io, world, o->file, 0);
        AWAIT_IO(o, ROLL_EMPTIED, &o->io);
        o->err = log_io_err(&o->io);
        log_io_close(&o->io, world, o->file);
        AWAIT_IO(o, ROLL_CLOSED, &o->io);
        if (o->err == ERR_NONE) log_io_path(&o->io, world, DISK_SYNC_DIR, o->path);
        AWAIT_IO(o, ROLL_DIR_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        if (o->err == ERR_NONE) roll_apply(o);
        if (o->err == ERR_NONE) return roll_told(o);
        if (!log_err_passes(o->err)) return roll_end(o);
        log_io_path(&o->io, world, DISK_UNLINK, o->path_to);
        AWAIT_IO(o, ROLL_UNMADE, &o->io);
        if (log_io_err(&o->io) == ERR_NONE) log_io_path(&o->io, world, DISK_SYNC_DIR, o->path);
        AWAIT_IO(o, ROLL_UNMADE_SYNCED, &o->io);
        if (log_io_err(&o->io) != ERR_NONE) log_dir_fail(o->log->dir, log_io_err(&o->io));
        return roll_end(o);
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_roll_kind = {"log_roll", roll_steps, COUNT_OF(roll_steps), roll_run,
                                      log_flow_finish};

/* ---- repair --------------------------------------------------------------------------------- */

/* After a failed write: back to log_end, durably, before anything is written there again. */
enum repair_step {
    REPAIR_START,
    REPAIR_OPENED,
    REPAIR_CUT,
    REPAIR_SYNCED,
    REPAIR_CLOSED,
};
static const char *const repair_steps[] = {"START", "OPENED", "CUT", "SYNCED", "CLOSED"};

static enum op_result repair_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);
    struct world *world = log_flow_env(o)->world;

    switch ((enum repair_step)op->step) {
    case REPAIR_START:
        log_path_of(o->path, o->log, log_active(o->log)->base, ".log");
        log_io_open(&o->io, world, o->path, 0);
        AWAIT_IO(o, REPAIR_OPENED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) {
            log_dir_fail(o->log->dir, o->err);
            return OP_DONE;
        }
        o->file = o->io.req.file;
        log_io_truncate(&o->io, world, o->file, log_active(o->log)->size);
        AWAIT_IO(o, REPAIR_CUT, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err == ERR_NONE) log_io_sync(&o->io, world, o->file);
        AWAIT_IO(o, REPAIR_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        log_io_close(&o->io, world, o->file);
        AWAIT_IO(o, REPAIR_CLOSED, &o->io);
        if (o->err != ERR_NONE) {
            log_dir_fail(o->log->dir, o->err);
            return OP_DONE;
        }
        o->log->wanted &= (uint16_t)~LOG_WANT_REPAIR;
        op_wake(&o->log->state_source);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_repair_kind = {"log_repair", repair_steps, COUNT_OF(repair_steps),
                                        repair_run, log_flow_finish};
