/* A snapshot that is fetched: parts are saved one after the other, then it takes the place of the
 * log (kraft.md 8).
 *
 *   part      <id>.checkpoint.part, begun anew by the part at position 0
 *   install   told to the listener as a whole while it is checked (a damaged one is dropped, K19)
 *             synced, renamed, the directory synced
 *             the hint lowered to its end, so that a crash in between disowns nothing
 *             the log emptied to begin at its end
 *             the hint raised to its end: what it holds is acknowledged by the next fetch
 *             the machine hears of it, then the listener takes it (K25)
 *
 * A crash after the rename leaves a snapshot beyond the log, which the next start cuts to it. A
 * member that lost what it had acknowledged (distrusted) keeps its hint until it has that again. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"

static void quorum_install_took(struct quorum_work *work)
{
    if (work->err == ERR_NONE) work->err = quorum_io_err(&work->io);
}

/* ---- one part -------------------------------------------------------------------------------- */

enum quorum_part_step { PART_START, PART_OPENED, PART_EMPTIED, PART_WRITTEN, PART_CLOSED };
static const char *const quorum_part_steps[] = {"START", "OPENED", "EMPTIED", "WRITTEN", "CLOSED"};

static enum op_result quorum_part_run(struct op *op)
{
    struct quorum_work *o = CONTAINER_OF(op, struct quorum_work, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, work);

    switch ((enum quorum_part_step)op->step) {
    case PART_START:
        quorum_scan_path(q, o->path, o->id, ".part");
        quorum_io_open(q, &o->io, o->path, DISK_CREATE);
        AWAIT_QUORUM_IO(o, PART_OPENED, &o->io);
        quorum_install_took(o);
        if (o->err != ERR_NONE) return OP_DONE;
        o->file = o->io.req.file;
        if (o->position == 0) quorum_io_file(q, &o->io, DISK_TRUNCATE, o->file);
        AWAIT_QUORUM_IO(o, PART_EMPTIED, &o->io);
        quorum_install_took(o);
        if (o->err == ERR_NONE) quorum_io_write(q, &o->io, o->file, o->bytes, o->position);
        AWAIT_QUORUM_IO(o, PART_WRITTEN, &o->io);
        quorum_install_took(o);
        quorum_io_close(q, &o->io, o->file);
        AWAIT_QUORUM_IO(o, PART_CLOSED, &o->io);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void quorum_part_end(struct op *op)
{
    struct quorum_work *work = CONTAINER_OF(op, struct quorum_work, op);

    buf_unref(work->part);
    work->part = NULL;
    quorum_log_work_end(op);
}

static const struct op_kind quorum_part_kind = {"quorum_part", quorum_part_steps,
                                                COUNT_OF(quorum_part_steps), quorum_part_run,
                                                quorum_part_end};

static struct quorum_work *quorum_install_begin(struct quorum *quorum, enum quorum_work_kind kind)
{
    struct quorum_work *work = &quorum->work;

    ASSERT(!work->busy && !work->done);
    work->kind = kind;
    work->err = ERR_NONE;
    work->refused = false;
    work->busy = true;
    quorum->hint_next = quorum->hint;
    quorum_io_init(&work->io);
    return work;
}

void quorum_install_part(struct quorum *quorum, struct quorum_call *call, int64_t position)
{
    struct quorum_work *work = quorum_install_begin(quorum, QUORUM_WORK_PART);

    ASSERT(call != NULL && call->records.length > 0);
    work->id = (struct quorum_snapshot_id){call->event.part.end, call->event.part.epoch};
    work->part = buf_ref(call->call.frame.buf);
    work->bytes = call->records;
    work->position = (uint64_t)position;
    work->end = position + work->bytes.length;
    op_start(&quorum->env->loop, &work->op, &quorum_part_kind, PART_START);
}

/* ---- install --------------------------------------------------------------------------------- */

enum quorum_install_step {
    INSTALL_START,
    INSTALL_ALONE,
    INSTALL_QUIET,
    INSTALL_SCANNED,
    INSTALL_OPENED,
    INSTALL_SYNCED,
    INSTALL_CLOSED,
    INSTALL_RENAMED,
    INSTALL_DIR_SYNCED,
    INSTALL_HINT_LOWERED,
    INSTALL_CUT,
    INSTALL_HINT_RAISED,
};
static const char *const quorum_install_steps[] = {
    "START",  "ALONE",   "QUIET",      "SCANNED",      "OPENED", "SYNCED",
    "CLOSED", "RENAMED", "DIR_SYNCED", "HINT_LOWERED", "CUT",    "HINT_RAISED"};
_Static_assert(COUNT_OF(quorum_install_steps) == INSTALL_HINT_RAISED + 1, "one name a step");

/* Checked and told. False: it is no good, or the disk is not. */
static bool quorum_install_sound(struct quorum *quorum)
{
    struct quorum_work *work = &quorum->work;
    enum err err = quorum->keep.scan.err;

    if (err == ERR_NONE) return true;
    if (err == ERR_IO) {
        work->err = err;
        return false;
    }
    work->refused = true;
    TRACE_TEXT(quorum->env->world, NODE_WARNING,
               STR("a snapshot that was fetched is damaged or cannot be taken in; it is fetched "
                   "again"),
               err);
    return false;
}

static bool quorum_install_named(struct quorum_work *work)
{
    quorum_install_took(work);
    return work->err == ERR_NONE;
}

static enum op_result quorum_install_run(struct op *op)
{
    struct quorum_work *o = CONTAINER_OF(op, struct quorum_work, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, work);

    switch ((enum quorum_install_step)op->step) {
    case INSTALL_START:
        q->keep.barred = true;
        AWAIT(o, INSTALL_ALONE, &q->keep.source, !q->keep.busy);
        q->commit_held = true;
        AWAIT(o, INSTALL_QUIET, &q->read.source, !q->committing || q->read.done);
        quorum_scan_path(q, o->path, o->id, ".part");
        quorum_scan_start(q, &q->keep.scan, o->path, o->id);
        AWAIT_SCAN(o, INSTALL_SCANNED, &q->keep.scan);
        if (!quorum_install_sound(q)) return OP_DONE;
        quorum_io_open(q, &o->io, o->path, 0);
        AWAIT_QUORUM_IO(o, INSTALL_OPENED, &o->io);
        if (!quorum_install_named(o)) return OP_DONE;
        o->file = o->io.req.file;
        quorum_io_file(q, &o->io, DISK_SYNC, o->file);
        AWAIT_QUORUM_IO(o, INSTALL_SYNCED, &o->io);
        quorum_install_took(o);
        quorum_io_close(q, &o->io, o->file);
        AWAIT_QUORUM_IO(o, INSTALL_CLOSED, &o->io);
        if (o->err != ERR_NONE) return OP_DONE;
        quorum_scan_path(q, o->path_to, o->id, "");
        quorum_io_path(q, &o->io, DISK_RENAME, o->path, o->path_to);
        AWAIT_QUORUM_IO(o, INSTALL_RENAMED, &o->io);
        if (!quorum_install_named(o)) return OP_DONE;
        quorum_scan_dir(q, o->path);
        quorum_io_path(q, &o->io, DISK_SYNC_DIR, o->path, NULL);
        AWAIT_QUORUM_IO(o, INSTALL_DIR_SYNCED, &o->io);
        if (!quorum_install_named(o)) return OP_DONE;
        if (q->hint.end > o->end && !q->raft.distrusted) quorum_log_put_hint(q, o->end);
        AWAIT(o, INSTALL_HINT_LOWERED, &q->hint_file.done_source, !q->hint_file.busy);
        if (!quorum_log_hinted(q)) return OP_DONE;
        log_reset(q->log, o->end);
        AWAIT(o, INSTALL_CUT, &q->log->state_source, q->log->state != LOG_TRUNCATING);
        if (q->log->state != LOG_OPEN) {
            o->err = ERR_IO;
            return OP_DONE;
        }
        if (op_live(&q->watch.op)) op_resume(&q->watch.op); /* the end has moved unannounced */
        if (q->hint.end < o->end) quorum_log_put_hint(q, o->end);
        AWAIT(o, INSTALL_HINT_RAISED, &q->hint_file.done_source, !q->hint_file.busy);
        if (!quorum_log_hinted(q)) return OP_DONE;
        quorum_keep_installed(q, o->id, q->keep.scan.size);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

/* The machine knows of it: its high watermark is not below the snapshot's end any more. */
void quorum_install_finish(struct quorum *quorum)
{
    struct quorum_work *work = &quorum->work;

    if (!work->refused && !quorum_over(quorum))
        quorum_scan_take(quorum, &quorum->keep.scan, work->id, QUORUM_SNAPSHOT_FETCHED);
    quorum->keep.barred = false;
    quorum->commit_held = false;
    op_wake(&quorum->commit_source);
    quorum_keep_wake(quorum);
}

static const struct op_kind quorum_install_kind = {"quorum_install", quorum_install_steps,
                                                   COUNT_OF(quorum_install_steps),
                                                   quorum_install_run, quorum_log_work_end};

void quorum_install(struct quorum *quorum, int64_t end, int32_t epoch)
{
    struct quorum_work *work = quorum_install_begin(quorum, QUORUM_WORK_INSTALL);

    work->id = (struct quorum_snapshot_id){end, epoch};
    work->end = end;
    op_start(&quorum->env->loop, &work->op, &quorum_install_kind, INSTALL_START);
}
