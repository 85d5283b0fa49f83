/* Truncation from the end.
 *
 *     walk to the cut: position, end, index, producers, epochs  (from the newest snapshot below it)
 *     lower the recovery point in the checkpoint, durably       else a crash reads as damage
 *       and with it the high watermark                          else it comes back over the records
 *                                                               that are written instead (R47)
 *     unlink later segments, newest first; sync the directory
 *     cut the file; sync it                                     before it is written again (H13)
 *       or, when ranges of it were sent: copy what stays, sync, rename over it. A socket refers to
 *       pages of the old file as long as the peer has not read them (H11; performance.md 5.3)
 *     epochs to their file
 *
 * Until the walk has come to its end, and a copy has its buffer, nothing is changed: damage below
 * the cut, which a replica that has the range can mend (manager_scrub.c), leaves the log as it was,
 * OPEN with ERR_DAMAGED; without memory it is OPEN with ERR_NO_MEMORY, and the cut is asked for
 * again. A cut that takes the batch with the log start becomes a reset to that start (log_reset.c).
 *
 * A crash between any two leaves a log that ends somewhere between the new end and the old one,
 * which is where a follower may be that was about to truncate: it does so again. */
#include "broker/log/log_cut_private.h"

enum cut_step {
    CUT_START,
    CUT_QUIET,
    CUT_SNAPSHOT,
    CUT_WINDOW,
    CUT_WALKED,
    CUT_LOWERED,
    CUT_MARK_GONE,
    CUT_LATER_GONE,
    CUT_NAMES_SYNCED,
    CUT_OPENED,
    CUT_DONE,
    CUT_SYNCED,
    CUT_CLOSED,
    CUT_EPOCHS_SAVED,
};

/* In cut_copy(), behind these. */
enum cut_copy_step {
    CUT_COPY = CUT_EPOCHS_SAVED + 1,
    CUT_COPY_OPENED,
    CUT_COPY_MADE,
    CUT_COPY_EMPTY,
    CUT_COPY_READ,
    CUT_COPY_WRITTEN,
    CUT_COPY_SYNCED,
    CUT_COPY_CLOSED,
    CUT_COPY_OLD_CLOSED,
    CUT_COPY_NAMED,
    CUT_COPY_NAME_SYNCED,
    CUT_COPY_EPOCHS_SAVED,
};
static const char *const cut_steps[] = {"START",
                                        "QUIET",
                                        "SNAPSHOT",
                                        "WINDOW",
                                        "WALKED",
                                        "LOWERED",
                                        "MARK_GONE",
                                        "LATER_GONE",
                                        "NAMES_SYNCED",
                                        "OPENED",
                                        "DONE",
                                        "SYNCED",
                                        "CLOSED",
                                        "EPOCHS_SAVED",
                                        "COPY",
                                        "COPY_OPENED",
                                        "COPY_MADE",
                                        "COPY_EMPTY",
                                        "COPY_READ",
                                        "COPY_WRITTEN",
                                        "COPY_SYNCED",
                                        "COPY_CLOSED",
                                        "COPY_OLD_CLOSED",
                                        "COPY_NAMED",
                                        "COPY_NAME_SYNCED",
                                        "COPY_EPOCHS_SAVED"};

/* Names of one segment. Not all of them exist. */
static const char *const cut_suffixes[] = {".snapshot",  ".producers", ".txnindex",
                                           ".timeindex", ".index",     ".log"};

void log_cut_forget(struct log *log, int64_t end)
{
    log->generation++;
    log->failed_from = end;
    log->append_err = ERR_NOT_LEADER_OR_FOLLOWER;
    log->cuts++;
    log_copied_cut(log, end);
    log_sound_forget_all(log);
    if (log->dir->cache != NULL) log_cache_cut(log->dir->cache, &log->cached, end);
}

enum op_result log_cut_fail(struct log_flow *o)
{
    /* Damage is this log's own; an I/O error, or a state half way, is the directory's. */
    if (o->err == ERR_DAMAGED) {
        log_fail(o->log, o->err);
    } else {
        log_dir_fail(o->log->dir, o->err);
    }
    return OP_DONE;
}

/* ---- what the walk builds anew stands beside what there was --------------------------------- */

static struct log_segment *cut_target(const struct log_flow *o)
{
    return o->log->segments[log_segment_find(o->log, o->snapshot)];
}

static void cut_keep(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_segment *target = cut_target(o);

    log_producers_take(&o->kept_producers, &log->producers);
    o->kept_aborted = log->aborted;
    log_aborted_init(&log->aborted, o->kept_aborted.mem);
    o->kept_index = target->index;
    target->index = NULL;
    o->kept_max_timestamp = target->max_timestamp;
    o->kept_first_timestamp = target->first_timestamp;
    o->kept_sync = list_linked(&log->sync_link);
    if (o->kept_sync) list_remove(&log->sync_link);
}

static void cut_drop_index(struct log *log, struct log_index *index)
{
    if (index == NULL) return;
    log_index_deinit(index);
    mem_free(&log->dir->env->mem, index, sizeof *index);
}

static void cut_drop_kept(struct log_flow *o)
{
    log_producers_deinit(&o->kept_producers);
    log_aborted_deinit(&o->kept_aborted);
    cut_drop_index(o->log, o->kept_index);
}

static void cut_restore(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_segment *target = cut_target(o);

    log_producers_deinit(&log->producers);
    log_producers_take(&log->producers, &o->kept_producers);
    log_aborted_deinit(&log->aborted);
    log->aborted = o->kept_aborted;
    cut_drop_index(log, target->index);
    target->index = o->kept_index;
    target->max_timestamp = o->kept_max_timestamp;
    target->first_timestamp = o->kept_first_timestamp;
    if (o->kept_sync) log_sync(log);
}

/* The walk did not come to the cut: nothing happened. The metadata log has a cure of its own
 * (node.c). */
static enum op_result cut_refused(struct log_flow *o)
{
    struct log *log = o->log;

    cut_restore(o);
    if (!log_err_passes(o->err) && (o->err != ERR_DAMAGED || log->config->verify_all))
        return log_cut_fail(o);
    if (o->err == ERR_DAMAGED) {
        TRACE(log->dir->env->world, LOG_DAMAGED, (int64_t)log->topic, log->partition, o->offset,
              (int64_t)o->walk.scan.position, ERR_DAMAGED);
        log_note_damage(log, o->walk.scan.next_offset, o->walk.segment->base,
                        o->walk.scan.position);
    }
    log->wanted &= (uint16_t)~LOG_WANT_TRUNCATE;
    if (log->state == LOG_TRUNCATING) log_set_state(log, LOG_OPEN, o->err);
    return OP_DONE;
}

/* NONE: the log is sound up to where the walk stopped. What is not, and would be cut anyway, does
 * no harm; bytes that are missing do. */
static enum err cut_walked(const struct log_flow *o)
{
    const struct log_walk *walk = &o->walk;

    switch (walk->end) {
    case LOG_WALK_STOP: return ERR_NONE;
    case LOG_WALK_WHOLE: return walk->scan.position < walk->segment->size ? ERR_DAMAGED : ERR_NONE;
    case LOG_WALK_BAD: return walk->scan.next_offset < o->offset ? ERR_DAMAGED : ERR_NONE;
    case LOG_WALK_ERROR: return walk->err;
    }
    IMPOSSIBLE("end of a walk");
}

/* What a copy needs, as long as nothing is changed. Nobody reads any more, so it stays as it is
 * whether ranges of the file were sent. */
static bool cut_room(struct log_flow *o)
{
    if (cut_target(o)->ranged && !log_flow_room(o, LOG_WALK_BYTES)) o->err = ERR_NO_MEMORY;
    return o->err == ERR_NONE;
}

/* The batch with the log start goes: nothing is left of the log, and its start is told and perhaps
 * on disk. It stays, as does an end that is no lower: the log begins anew there. */
static bool cut_begins_anew(struct log_flow *o)
{
    struct log *log = o->log;

    if (o->walk.scan.next_offset >= log->log_start) return false;
    cut_restore(o);
    log->wanted &= (uint16_t)~LOG_WANT_TRUNCATE;
    log->wanted |= LOG_WANT_RESET;
    log->wanted_to = log->log_start;
    return true;
}

void log_cut_tell(const struct log_flow *o, int64_t end, int64_t reason)
{
    const struct log *log = o->log;

    LOG_TRACE(log, LOG_CUTTING, o->old_end, end, log->high_watermark, reason);
}

void log_cut_lower(struct log_flow *o, int64_t to, int64_t high)
{
    struct log *log = o->log;
    struct log_dir *dir = log->dir;

    if (log->synced_end > to) log->synced_end = to;
    if (log->high_watermark > high) log->high_watermark = high;
    o->checkpoints = dir->checkpoints_written;
    if (log->known->recovery_point > to || log->known->high_watermark > high ||
        dir->checkpoint_unsure ||
        (log->wanted_below > 0 && log->known->log_start < log->log_start)) /* log_begin.c */
        o->checkpoints = log_dir_checkpoint(dir);
}

bool log_cut_lowered(const struct log_flow *o)
{
    const struct log_dir *dir = o->log->dir;

    return dir->checkpoints_written >= o->checkpoints || !log_dir_online(dir);
}

/* Where the walk begins: the newest snapshot at a segment base at or below the cut that loads. */
static bool cut_take_snapshot(struct log_flow *o)
{
    struct log *log = o->log;

    log_producers_clear(&log->producers);
    log->producers.clock_ms = log->dir->env->now.wall.ms;
    log->stranger =
        o->load.err != ERR_NONE ||
        log_producers_load(&log->producers, log->dir->env->world->cpu, log_load_bytes(&o->load),
                           log_load_bytes(&o->window)) != ERR_NONE;
    return !log->stranger;
}

static void cut_load(struct log_flow *o, struct log_load *load, const char *suffix)
{
    char name[LOG_FILE_NAME];

    log_file_name(name, o->log->segments[o->segment]->base, suffix);
    log_path_log(o->path, o->log);
    log_load_start(load, log_flow_env(o), o->path, name, 16 << 20);
}

static void cut_walk(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_segment *segment = log->segments[o->segment];
    bool target = segment->base == o->snapshot;

    log_walk_start(&o->walk, log, segment, 0, segment->base, -1);
    o->walk.stop_at = o->offset;
    o->walk.producers_from = 0;
    o->walk.index = target;
    o->walk.aborted = target;
    o->walk.known = true;
}

bool log_cut_next(struct log_flow *o, int64_t above)
{
    struct log *log = o->log;

    if (log->segment_count == 0 || log_active(log)->base <= above) return false;
    log_path_of(o->path, log, log_active(log)->base, cut_suffixes[o->list_at]);
    log_io_path(&o->io, log_flow_env(o)->world, DISK_UNLINK, o->path);
    o->list_at++;
    if (o->list_at == COUNT_OF(cut_suffixes)) {
        o->list_at = 0;
        log_segment_drop_last(log);
    }
    return true;
}

static void cut_apply(struct log_flow *o, int64_t end)
{
    struct log *log = o->log;

    log_active(log)->size = o->walk.scan.position;
    log_active(log)->end = end;
    log_active(log)->dirty = false;
    log_producers_replicated(&log->producers, log->high_watermark);
    log->log_end = end;
    if (log->synced_end > end) log->synced_end = end;
    if (log->known->cleaned > end) log->known->cleaned = end;
    if (log->log_start > end) log_set_start(log, end);
    if (log->high_watermark > end) log->high_watermark = end;
    if (log->mark < 0 || log->exposed > log_active(log)->size)
        log_mark_exposed(log, log_active(log)->size);
    (void)log_epochs_cut_end(&log->epochs, end);
    log_assigned_reset(log);
    log_dir_changed(log->dir);
    LOG_TRACE(log, LOG_TRUNCATED, o->old_end, end, log->high_watermark, 0);
}

static enum op_result cut_end(struct log_flow *o)
{
    struct log *log = o->log;

    log->wanted &= (uint16_t)~LOG_WANT_TRUNCATE;
    if (o->err == ERR_NONE) o->err = o->save.err;
    if (o->err != ERR_NONE) {
        if (!log_err_passes(o->err)) return log_cut_fail(o);
        log->epochs_dirty = true; /* extra entries in the file are cut again at the next open */
        log->epochs_failed = true;
    }
    if (log->state == LOG_TRUNCATING) log_set_state(log, LOG_OPEN, ERR_NONE);
    return OP_DONE;
}

void log_cut_save_epochs(struct log_flow *o)
{
    log_path_log(o->path, o->log);
    o->err = log_flow_print_epochs(o) ? ERR_NONE : ERR_NO_MEMORY;
    if (o->err != ERR_NONE) return;
    o->log->epochs_dirty = false;
    log_save_start(&o->save, log_flow_env(o), o->path, "leader-epoch-checkpoint", log_flow_bytes(o),
                   true);
}

void log_cut_begin(struct log_flow *o)
{
    o->err = ERR_NONE;
    o->log->saved = false;
    o->offset = o->log->wanted_to;
    o->old_end = o->log->log_end;
    ASSERT(list_empty(&o->log->staged));
}

/* One step of the copy went as it should; `bytes`: and had so many. */
static bool cut_copied(struct log_flow *o, uint64_t bytes)
{
    o->err = log_io_err(&o->io);
    if (o->err == ERR_NONE && bytes > 0 && o->io.req.done < bytes) o->err = ERR_IO;
    return o->err == ERR_NONE;
}

static uint64_t cut_copy_part(const struct log_flow *o)
{
    uint64_t left = o->walk.scan.position - o->list_at;

    return left < LOG_WALK_BYTES ? left : LOG_WALK_BYTES;
}

/* As at an append's failure half way, whatever fails here is the directory's; a crash leaves the
 * old file, or the new one. */
static enum op_result cut_copy(struct log_flow *o)
{
    struct log *log = o->log;
    struct world *world = log_flow_env(o)->world;

    switch ((enum cut_copy_step)o->op.step) {
    case CUT_COPY:
        ASSERT(o->bytes_size == LOG_WALK_BYTES);
        log_path_of(o->path, log, log_active(log)->base, ".log");
        log_path_of(o->path_to, log, log_active(log)->base, ".log.tmp");
        log_io_open(&o->io, world, o->path, DISK_READ_ONLY);
        AWAIT_IO(o, CUT_COPY_OPENED, &o->io);
        if (!cut_copied(o, 0)) return log_cut_fail(o);
        o->file = o->io.req.file;
        log_io_open(&o->io, world, o->path_to, DISK_CREATE);
        AWAIT_IO(o, CUT_COPY_MADE, &o->io);
        if (!cut_copied(o, 0)) return log_cut_fail(o);
        o->copy = o->io.req.file;
        log_io_truncate(&o->io, world, o->copy, 0);
        AWAIT_IO(o, CUT_COPY_EMPTY, &o->io);
        if (!cut_copied(o, 0)) return log_cut_fail(o);
        for (o->list_at = 0; o->list_at < o->walk.scan.position; o->list_at += cut_copy_part(o)) {
            log_io_read(&o->io, world, o->file, o->bytes, o->list_at, cut_copy_part(o), 0);
            AWAIT_IO(o, CUT_COPY_READ, &o->io);
            if (!cut_copied(o, cut_copy_part(o))) return log_cut_fail(o);
            log_io_write(&o->io, world, o->copy,
                         (struct bytes){o->bytes, (uint32_t)cut_copy_part(o)}, o->list_at);
            AWAIT_IO(o, CUT_COPY_WRITTEN, &o->io);
            if (!cut_copied(o, 0)) return log_cut_fail(o);
        }
        log_io_sync(&o->io, world, o->copy);
        AWAIT_IO(o, CUT_COPY_SYNCED, &o->io);
        if (!cut_copied(o, 0)) return log_cut_fail(o);
        log_io_close(&o->io, world, o->copy);
        AWAIT_IO(o, CUT_COPY_CLOSED, &o->io);
        log_io_close(&o->io, world, o->file);
        AWAIT_IO(o, CUT_COPY_OLD_CLOSED, &o->io);
        log_io_rename(&o->io, world, o->path_to, o->path);
        AWAIT_IO(o, CUT_COPY_NAMED, &o->io);
        if (!cut_copied(o, 0)) return log_cut_fail(o);
        log_path_log(o->path_to, log);
        log_io_path(&o->io, world, DISK_SYNC_DIR, o->path_to);
        AWAIT_IO(o, CUT_COPY_NAME_SYNCED, &o->io);
        if (!cut_copied(o, 0)) return log_cut_fail(o);
        log_file_drop(log_active(log)); /* it is open on the old one */
        log_active(log)->ranged = false;
        cut_apply(o, o->walk.scan.next_offset);
        log_cut_save_epochs(o);
        AWAIT_SAVE(o, CUT_COPY_EPOCHS_SAVED, &o->save);
        return cut_end(o);
    }
    IMPOSSIBLE("step");
}

static enum op_result cut_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);
    struct log *log = o->log;
    struct world *world = log_flow_env(o)->world;

    if (op->step >= CUT_COPY) return cut_copy(o);
    switch ((enum cut_step)op->step) {
    case CUT_START:
        log_cut_begin(o);
        AWAIT(o, CUT_QUIET, &log->state_source, log_quiet(log));
        if (o->offset >= log->log_end) {
            /* A leader that never appended leaves an epoch at its log end (KIP-101). */
            if (log_epochs_cut_end(&log->epochs, o->offset)) {
                LOG_TRACE(log, LOG_TRUNCATED, o->old_end, o->old_end, log->high_watermark, 0);
            }
            log_assigned_reset(log);
        } else {
            /* o->snapshot: base of the segment that becomes the active one. */
            o->segment = log_segment_find(log, o->offset);
            o->snapshot = log->segments[o->segment]->base;
            cut_keep(o);
            for (;;) {
                cut_load(o, &o->load, ".snapshot");
                AWAIT_LOAD(o, CUT_SNAPSHOT, &o->load);
                cut_load(o, &o->window, ".producers");
                AWAIT_LOAD(o, CUT_WINDOW, &o->window);
                if (cut_take_snapshot(o) || o->segment == 0) break;
                o->segment--;
            }
            o->err = log_segment_index(log, cut_target(o));
            if (o->err != ERR_NONE) return cut_refused(o);
            for (;; o->segment++) {
                cut_walk(o);
                AWAIT_WALK(o, CUT_WALKED, &o->walk);
                o->err = cut_walked(o);
                if (o->err != ERR_NONE) return cut_refused(o);
                if (log->segments[o->segment]->base == o->snapshot) break;
            }
            if (cut_begins_anew(o)) return OP_DONE;
            if (!cut_room(o)) return cut_refused(o);
            cut_drop_kept(o);
            log_cut_forget(log, o->walk.scan.next_offset);
            log_cut_lower(o, o->walk.scan.next_offset, o->walk.scan.next_offset);
            AWAIT(o, CUT_LOWERED, &log->dir->checkpoint_source, log_cut_lowered(o));
            if (!log_dir_online(log->dir)) return OP_DONE;
            log_cut_tell(o, o->walk.scan.next_offset, 0);
            while (log_mark_cut(o, o->walk.scan.next_offset)) {
                AWAIT_IO(o, CUT_MARK_GONE, &o->io);
                o->err = log_io_err(&o->io);
                if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return log_cut_fail(o);
            }
            o->list_at = 0;
            while (log_cut_next(o, o->snapshot)) {
                AWAIT_IO(o, CUT_LATER_GONE, &o->io);
                o->err = log_io_err(&o->io);
                if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return log_cut_fail(o);
            }
            log_path_log(o->path_to, log);
            log_io_path(&o->io, world, DISK_SYNC_DIR, o->path_to);
            AWAIT_IO(o, CUT_NAMES_SYNCED, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return log_cut_fail(o);
            if (log_active(log)->ranged) {
                op_enter(&o->op, CUT_COPY);
                return cut_copy(o);
            }
            log_path_of(o->path, log, log_active(log)->base, ".log");
            log_io_open(&o->io, world, o->path, 0);
            AWAIT_IO(o, CUT_OPENED, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return log_cut_fail(o);
            o->file = o->io.req.file;
            log_io_truncate(&o->io, world, o->file, o->walk.scan.position);
            AWAIT_IO(o, CUT_DONE, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err == ERR_NONE) log_io_sync(&o->io, world, o->file);
            AWAIT_IO(o, CUT_SYNCED, &o->io);
            if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
            log_io_close(&o->io, world, o->file);
            AWAIT_IO(o, CUT_CLOSED, &o->io);
            if (o->err != ERR_NONE) return log_cut_fail(o);
            cut_apply(o, o->walk.scan.next_offset);
        }
        log_cut_save_epochs(o);
        AWAIT_SAVE(o, CUT_EPOCHS_SAVED, &o->save);
        return cut_end(o);
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_truncate_kind = {"log_truncate", cut_steps, COUNT_OF(cut_steps), cut_run,
                                          log_flow_finish};

void log_truncate(struct log *log, int64_t to)
{
    ASSERT(to >= 0);
    if (log->state != LOG_OPEN) return;
    log_set_state(log, LOG_TRUNCATING, ERR_NONE);
    if (to < log->segments[0]->base) {
        log->wanted |= LOG_WANT_RESET;
    } else {
        log->wanted |= LOG_WANT_TRUNCATE;
    }
    log->wanted_to = to;
    log->wanted_below = 0;
    log_advance(log);
}
