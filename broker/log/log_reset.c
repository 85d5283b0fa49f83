/* The full reset: an empty log that begins at an offset of its owner's choice, or where an open
 * says that nobody knew another end (log_open.c).
 *
 *     recovery point to 0 and high watermark to the new end, in the checkpoint, durably
 *     unlink the mark, then all segments, newest first; sync the directory
 *     make the first file, empty; sync the directory        again and again, while there is no room
 *     epochs to their file                                  likewise
 *     log start to the checkpoint, when it was above
 *
 * Nothing is read, so it is also the way out of FAILED with ERR_DAMAGED. A crash before the end
 * leaves a prefix of the log, or none of it: who opens it goes on from there. The file may begin
 * below the offset: log_begin.c. */
#include "broker/log/log_cut_private.h"

enum reset_step {
    RESET_START,
    RESET_QUIET,
    RESET_LOWERED,
    RESET_MARK_GONE,
    RESET_GONE,
    RESET_NAMES_SYNCED,
    RESET_MADE,
    RESET_NOT_MADE,
    RESET_EMPTIED,
    RESET_CLOSED,
    RESET_MADE_SYNCED,
    RESET_EPOCHS_SAVED,
    RESET_WINDOW_SAVED,
    RESET_SNAPSHOT_SAVED,
    RESET_SHORT,
    RESET_STARTED,
};
static const char *const reset_steps[] = {
    "START",        "QUIET",          "LOWERED", "MARK_GONE", "GONE",        "NAMES_SYNCED",
    "MADE",         "NOT_MADE",       "EMPTIED", "CLOSED",    "MADE_SYNCED", "EPOCHS_SAVED",
    "WINDOW_SAVED", "SNAPSHOT_SAVED", "SHORT",   "STARTED"};

enum { RESET_RETRY_MS = 1000 };

/* Short of memory, space or files: what is there so far stands, and nobody depends on the rest. */
static bool reset_short(struct log_flow *o)
{
    if (!log_err_passes(o->err) || !log_dir_online(o->log->dir)) return false;
    op_deadline(&o->op, env_deadline(log_flow_env(o), RESET_RETRY_MS));
    return true;
}

static bool reset_again(struct log_flow *o)
{
    return op_expired(&o->op) || !log_dir_online(o->log->dir);
}

/* The active segment, in memory. */
static enum err reset_segment(struct log *log, int64_t end)
{
    if (log->segment_count == 0 && log_segment_add(log, end - log->wanted_below) == NULL)
        return ERR_NO_MEMORY;
    log_active(log)->end = end;
    return log_segment_index(log, log_active(log));
}

/* It is empty, and begins where it should; on disk as well when o->checkpoints are written. */
static void reset_apply(struct log_flow *o)
{
    struct log *log = o->log;

    log->wanted &= (uint16_t)~LOG_WANT_RESET;
    log->handed = false;
    log->log_end = o->offset;
    log->synced_end = o->offset;
    log_set_start(log, o->offset);
    if (log->known->cleaned > 0) log->known->cleaned = o->offset;
    log->high_watermark = o->offset;
    log->failed_from = o->offset;
    log->unsynced_bytes = 0;
    log->unsynced_since_ns = 0;
    log_undamaged(log);
    log_mark_exposed(log, 0);
    log_assigned_reset(log);
    log_dir_changed(log->dir);
    /* The old start would empty the log once more at the next open. */
    o->checkpoints = log->dir->checkpoints_written;
    if (log->known->log_start > o->offset || log->dir->checkpoint_unsure)
        o->checkpoints = log_dir_checkpoint(log->dir);
}

static enum op_result reset_end(struct log_flow *o)
{
    struct log *log = o->log;

    if (log->state == LOG_OPENING) { /* the last step of it: nobody knew another end */
        log_open_done(log);
        return OP_DONE;
    }
    LOG_TRACE(log, LOG_TRUNCATED, o->old_end, o->offset, o->offset, 1);
    log_set_state(log, LOG_OPEN, ERR_NONE);
    return OP_DONE;
}

static void reset_save_epochs(struct log_flow *o)
{
    log_handover_begin(o->log);
    o->log->aborted.count = 0;
    (void)log_epochs_cut_end(&o->log->epochs, 0);
    log_cut_save_epochs(o);
}

static enum op_result reset_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);
    struct log *log = o->log;
    struct world *world = log_flow_env(o)->world;

    switch ((enum reset_step)op->step) {
    case RESET_START:
        log_cut_begin(o);
        AWAIT(o, RESET_QUIET, &log->state_source, log_quiet(log));
        if (list_linked(&log->sync_link)) list_remove(&log->sync_link);
        log_cut_forget(log, 0);
        log_cut_lower(o, 0, o->offset);
        AWAIT(o, RESET_LOWERED, &log->dir->checkpoint_source, log_cut_lowered(o));
        if (!log_dir_online(log->dir)) return OP_DONE;
        if (log->state != LOG_OPENING) log_cut_tell(o, o->offset, 1);
        while (log_mark_cut(o, -1)) {
            AWAIT_IO(o, RESET_MARK_GONE, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return log_cut_fail(o);
        }
        o->list_at = 0;
        while (log_cut_next(o, -1)) {
            AWAIT_IO(o, RESET_GONE, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return log_cut_fail(o);
        }
        log_path_log(o->path_to, log);
        log_io_path(&o->io, world, DISK_SYNC_DIR, o->path_to);
        AWAIT_IO(o, RESET_NAMES_SYNCED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return log_cut_fail(o);
        for (;;) {
            log_path_of(o->path, log, o->offset - log->wanted_below, ".log");
            log_io_open(&o->io, world, o->path, DISK_CREATE);
            AWAIT_IO(o, RESET_MADE, &o->io);
            o->err = log_io_err(&o->io);
            if (!reset_short(o)) break;
            AWAIT(o, RESET_NOT_MADE, &log->dir->state_source, reset_again(o));
        }
        op_deadline(op, OP_NO_DEADLINE);
        if (o->err != ERR_NONE) return log_cut_fail(o);
        o->file = o->io.req.file;
        log_io_truncate(&o->io, world, o->file, 0);
        AWAIT_IO(o, RESET_EMPTIED, &o->io);
        o->err = log_io_err(&o->io);
        log_io_close(&o->io, world, o->file);
        AWAIT_IO(o, RESET_CLOSED, &o->io);
        if (o->err != ERR_NONE) return log_cut_fail(o);
        log_io_path(&o->io, world, DISK_SYNC_DIR, o->path_to);
        AWAIT_IO(o, RESET_MADE_SYNCED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return log_cut_fail(o);
        for (;;) {
            reset_save_epochs(o);
            AWAIT_SAVE(o, RESET_EPOCHS_SAVED, &o->save);
            if (o->err == ERR_NONE) o->err = o->save.err;
            if (o->err == ERR_NONE) o->err = reset_segment(log, o->offset);
            log_handover_save_window(o);
            AWAIT_SAVE(o, RESET_WINDOW_SAVED, &o->save);
            log_handover_save_snapshot(o);
            AWAIT_SAVE(o, RESET_SNAPSHOT_SAVED, &o->save);
            log_flow_saved(o);
            if (!reset_short(o)) break;
            AWAIT(o, RESET_SHORT, &log->dir->state_source, reset_again(o));
        }
        op_deadline(op, OP_NO_DEADLINE);
        if (o->err != ERR_NONE) return log_cut_fail(o);
        reset_apply(o);
        AWAIT(o, RESET_STARTED, &log->dir->checkpoint_source, log_cut_lowered(o));
        if (!log_dir_online(log->dir)) return OP_DONE;
        return reset_end(o);
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_reset_kind = {"log_reset", reset_steps, COUNT_OF(reset_steps), reset_run,
                                       log_flow_finish};

void log_reset_below(struct log *log, int64_t at, int64_t below, bool handed)
{
    ASSERT(at >= 0 && below >= 0);
    if (log->state != LOG_OPEN && !(log->state == LOG_FAILED && log->err == ERR_DAMAGED)) return;
    log->opened = true; /* from here on nothing is promised */
    log_set_state(log, LOG_TRUNCATING, ERR_NONE);
    log->wanted |= LOG_WANT_RESET;
    log->wanted_to = at;
    log->wanted_below = below;
    log->handed = handed;
    log_advance(log);
}
