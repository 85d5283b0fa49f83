/* Snapshots written, and what they make superfluous cleaned (kraft.md 8, KIP-630).
 *
 *   due         so many bytes were applied since the last one, or so much time has passed
 *   build       the applied state as batches in memory, in slices; meanwhile nothing is applied, so
 *               it is the state at one offset, which is committed and ends a batch (K18)
 *   write       <id>.checkpoint.part, synced, renamed, the directory synced: only then it counts
 *   clean       while log and snapshots are too big or the oldest is too old: the log start moves
 *               to the next snapshot's end, durably; then segments and snapshots below it go
 *
 * The newest snapshot always stays; the log always starts at 0 or at the end of one that is kept.
 * A write that fails (no space, no memory) is tried again later: nothing depends on it. DIFFERS:
 * with a single snapshot the log below it may go too, where Kafka waits for a second one. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"

#include <string.h>

/* ---- due ------------------------------------------------------------------------------------- */

static int64_t quorum_keep_newest(const struct quorum *quorum)
{
    const struct quorum_keep *keep = &quorum->keep;

    return keep->count > 0 ? keep->kept[keep->count - 1].id.end : 0;
}

static bool quorum_keep_snapshot_due(const struct quorum *quorum)
{
    const struct quorum_keep *keep = &quorum->keep;
    const struct quorum_config *config = &quorum->config;

    if (quorum->applied_end <= quorum_keep_newest(quorum)) return false;
    if (keep->err != ERR_NONE) return quorum->env->now.mono.ns >= keep->snapshot_ns;
    if (keep->bytes_since >= (uint64_t)config->snapshot_bytes) return true;
    return config->snapshot_interval_ms > 0 && quorum->env->now.mono.ns >= keep->snapshot_ns;
}

static bool quorum_keep_due(const struct quorum *quorum)
{
    if (quorum->keep.barred) return false;
    return quorum_keep_snapshot_due(quorum) || quorum->env->now.mono.ns >= quorum->keep.clean_ns;
}

static int64_t quorum_keep_deadline(const struct quorum *quorum)
{
    const struct quorum_keep *keep = &quorum->keep;
    /* Without anything new its time may lie in the past: it must not hide that of the cleaning. */
    bool timed = quorum->applied_end > quorum_keep_newest(quorum) &&
                 (quorum->config.snapshot_interval_ms > 0 || keep->err != ERR_NONE);

    if (keep->barred) return OP_NO_DEADLINE;
    return timed && keep->snapshot_ns < keep->clean_ns ? keep->snapshot_ns : keep->clean_ns;
}

/* ---- build ----------------------------------------------------------------------------------- */

/* Who votes as of the applied end. */
static enum err quorum_keep_voters(struct quorum *quorum)
{
    const struct quorum_voters *voters = &quorum->voting.applied;
    uint8_t version[QUORUM_VOTERS_BYTES], value[QUORUM_VOTERS_BYTES];

    if (voters->kraft_version == 0 || voters->count == 0) return ERR_NONE;
    return quorum_snapshot_writer_voters(
        &quorum->keep.writer, quorum_voters_encode_version(voters->kraft_version, version),
        quorum_voters_encode(voters, quorum->config.listener_name, value));
}

static void quorum_keep_hold(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;
    struct quorum_snapshot_id id = {quorum->applied_end, quorum->applied_epoch};

    quorum->commit_held = true;
    keep->err = quorum->listener->snapshot_open(quorum->listener);
    if (keep->err != ERR_NONE) return;
    keep->err = quorum_snapshot_writer_init(&keep->writer, &quorum->env->mem,
                                            quorum->env->world->cpu, id, quorum->applied_ms);
    if (keep->err == ERR_NONE) keep->err = quorum_keep_voters(quorum);
}

/* The next records; false: that was the last slice, or it cannot be done. */
static bool quorum_keep_build(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;
    struct bytes value;

    for (uint32_t i = 0; keep->err == ERR_NONE && i < QUORUM_SNAPSHOT_SLICE; i++) {
        keep->err = quorum->listener->snapshot_next(quorum->listener, &value);
        if (keep->err == ERR_NONE) keep->err = quorum_snapshot_writer_add(&keep->writer, value);
    }
    if (keep->err == ERR_NONE) return !quorum_over(quorum);
    if (keep->err == ERR_EOF) keep->err = quorum_snapshot_writer_finish(&keep->writer);
    return false;
}

static void quorum_keep_release(struct quorum *quorum)
{
    quorum->listener->snapshot_close(quorum->listener);
    quorum->commit_held = false;
    op_wake(&quorum->commit_source);
}

/* ---- write ----------------------------------------------------------------------------------- */

static void quorum_keep_took(struct quorum_keep *keep)
{
    if (keep->err == ERR_NONE) keep->err = quorum_io_err(&keep->io);
}

/* Submits the write of the next batch; false: all are written, or it failed. */
static bool quorum_keep_write_next(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;
    struct list *link = keep->writer.chunks.next;

    if (keep->err != ERR_NONE || link == &keep->writer.chunks) return false;
    keep->chunk = LIST_ENTRY(link, struct quorum_snapshot_chunk, link);
    quorum_io_write(quorum, &keep->io, keep->file,
                    (struct bytes){keep->chunk->data, keep->chunk->used}, keep->written);
    return true;
}

static void quorum_keep_wrote(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;

    quorum_keep_took(keep);
    keep->written += keep->chunk->used;
    list_remove(&keep->chunk->link);
    mem_free(&quorum->env->mem, keep->chunk, sizeof *keep->chunk + keep->chunk->capacity);
    keep->chunk = NULL;
}

static void quorum_keep_written(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;
    struct quorum_snapshot_id id = keep->writer.id;

    if (keep->err == ERR_NONE) {
        TRACE(quorum->env->world, RAFT_SNAPSHOT, id.end, id.epoch, (int64_t)keep->written,
              keep->writer.crc, QUORUM_SNAPSHOT_WRITTEN);
        ASSERT(keep->count < QUORUM_SNAPSHOTS_MAX && id.end > quorum_keep_newest(quorum));
        keep->kept[keep->count++] = (struct quorum_kept){id, keep->written, keep->writer.timestamp};
        keep->bytes_since = 0;
        keep->snapshot_ns = env_deadline(quorum->env, quorum->config.snapshot_interval_ms);
        quorum->starts_moved = true;
        quorum_driver_wake(quorum);
    } else if (!quorum_over(quorum)) {
        TRACE_TEXT(quorum->env->world, NODE_WARNING,
                   STR("a metadata snapshot could not be written; tried again in a minute"),
                   keep->err);
        keep->snapshot_ns = env_deadline(quorum->env, QUORUM_KEEP_MS);
    }
    quorum_snapshot_writer_free(&keep->writer);
}

/* ---- clean ----------------------------------------------------------------------------------- */

/* Too much, or too old, when the log starts at `start` and the first `doomed` are gone. */
static bool quorum_keep_exceeds(const struct quorum *quorum, int64_t start, uint32_t doomed)
{
    const struct quorum_keep *keep = &quorum->keep;
    const struct quorum_config *config = &quorum->config;
    uint64_t total = log_size_from(quorum->log, start);

    for (uint32_t i = doomed; i < keep->count; i++)
        total += keep->kept[i].size;
    if (config->retention_bytes >= 0 && total > (uint64_t)config->retention_bytes) return true;
    if (keep->count - doomed >= QUORUM_SNAPSHOTS_MAX - 1) return true;
    return config->retention_ms >= 0 &&
           quorum->env->now.wall.ms - keep->kept[doomed].timestamp_ms > config->retention_ms;
}

/* Where the log will start. */
static bool quorum_keep_look(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;

    keep->clean_ns = env_deadline(quorum->env, QUORUM_KEEP_MS);
    keep->cut_to = quorum->log->log_start;
    keep->doomed = 0;
    if (keep->count == 0 || quorum_over(quorum) || quorum->log->state != LOG_OPEN) return false;
    while (keep->kept[keep->doomed].id.end < quorum->log->log_start)
        keep->doomed++; /* left behind by one that was fetched */
    while (quorum_keep_exceeds(quorum, keep->cut_to, keep->doomed)) {
        if (keep->kept[keep->doomed].id.end > keep->cut_to) {
            keep->cut_to = keep->kept[keep->doomed].id.end;
        } else if (keep->doomed + 1 < keep->count) {
            keep->cut_to = keep->kept[++keep->doomed].id.end;
        } else {
            break;
        }
    }
    return keep->cut_to > quorum->log->log_start || keep->doomed > 0;
}

static void quorum_keep_cut(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;
    bool rolled = false;

    log_raise_start(quorum->log, keep->cut_to);
    keep->start_epoch = keep->kept[keep->doomed].id.epoch;
    ASSERT(keep->kept[keep->doomed].id.end == keep->cut_to);
    quorum->starts_moved = true;
    quorum_driver_wake(quorum);
    (void)log_retain_look(quorum->log, &rolled);
    keep->checkpoint = log_dir_checkpoint(quorum->log->dir);
}

static bool quorum_keep_cut_durable(const struct quorum *quorum)
{
    const struct log_dir *dir = quorum->log->dir;

    return dir->checkpoints_written >= quorum->keep.checkpoint || !log_dir_online(dir) ||
           quorum_over(quorum);
}

/* The oldest snapshot that lies below the log start; false: none does. */
static bool quorum_keep_drop_next(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;

    if (keep->doomed == 0 || quorum_over(quorum)) return false;
    quorum_scan_path(quorum, keep->path, keep->kept[0].id, "");
    keep->count--;
    keep->doomed--;
    memmove(&keep->kept[0], &keep->kept[1], keep->count * sizeof keep->kept[0]);
    quorum_io_path(quorum, &keep->io, DISK_UNLINK, keep->path, NULL);
    return true;
}

/* ---- the op ---------------------------------------------------------------------------------- */

enum quorum_keep_step {
    KEEP_START,
    KEEP_DUE,
    KEEP_SLICE,
    KEEP_OPENED,
    KEEP_EMPTIED,
    KEEP_WROTE,
    KEEP_SYNCED,
    KEEP_CLOSED,
    KEEP_RENAMED,
    KEEP_DIR_SYNCED,
    KEEP_CUT_READY,
    KEEP_CUT_DURABLE,
    KEEP_DROPPED,
    KEEP_SWEPT,
};
static const char *const quorum_keep_steps[] = {
    "START",  "DUE",     "SLICE",      "OPENED",    "EMPTIED",     "WROTE",   "SYNCED",
    "CLOSED", "RENAMED", "DIR_SYNCED", "CUT_READY", "CUT_DURABLE", "DROPPED", "SWEPT"};
_Static_assert(COUNT_OF(quorum_keep_steps) == KEEP_SWEPT + 1, "one name a step");

static enum op_result quorum_keep_run(struct op *op)
{
    struct quorum_keep *o = CONTAINER_OF(op, struct quorum_keep, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, keep);

    switch ((enum quorum_keep_step)op->step) {
    case KEEP_START:
        while (!quorum_over(q)) {
            op_deadline(op, quorum_keep_deadline(q));
            AWAIT(o, KEEP_DUE, &o->source,
                  quorum_over(q) || quorum_keep_due(q) ||
                      quorum_keep_deadline(q) < op->deadline_ns);
            if (quorum_over(q)) break;
            if (!quorum_keep_due(q)) continue;
            o->busy = true;
            if (quorum_keep_snapshot_due(q)) {
                quorum_keep_hold(q);
                while (quorum_keep_build(q)) {
                    op_deadline(op, env_deadline(q->env, 1));
                    AWAIT(o, KEEP_SLICE, NULL, op_expired(op));
                }
                op_deadline(op, OP_NO_DEADLINE);
                quorum_keep_release(q);
                o->written = 0;
                if (o->err == ERR_NONE && !quorum_over(q)) {
                    quorum_scan_path(q, o->path, o->writer.id, ".part");
                    quorum_scan_path(q, o->path_to, o->writer.id, "");
                    quorum_io_open(q, &o->io, o->path, DISK_CREATE);
                    AWAIT_QUORUM_IO(o, KEEP_OPENED, &o->io);
                    quorum_keep_took(o);
                    o->file = o->io.req.file;
                    if (o->err == ERR_NONE) {
                        quorum_io_file(q, &o->io, DISK_TRUNCATE, o->file);
                        AWAIT_QUORUM_IO(o, KEEP_EMPTIED, &o->io);
                        quorum_keep_took(o);
                        while (quorum_keep_write_next(q)) {
                            AWAIT_QUORUM_IO(o, KEEP_WROTE, &o->io);
                            quorum_keep_wrote(q);
                        }
                        if (o->err == ERR_NONE) quorum_io_file(q, &o->io, DISK_SYNC, o->file);
                        AWAIT_QUORUM_IO(o, KEEP_SYNCED, &o->io);
                        quorum_keep_took(o);
                        quorum_io_close(q, &o->io, o->file);
                        AWAIT_QUORUM_IO(o, KEEP_CLOSED, &o->io);
                    }
                    if (o->err == ERR_NONE)
                        quorum_io_path(q, &o->io, DISK_RENAME, o->path, o->path_to);
                    AWAIT_QUORUM_IO(o, KEEP_RENAMED, &o->io);
                    quorum_keep_took(o);
                    quorum_scan_dir(q, o->path);
                    if (o->err == ERR_NONE) quorum_io_path(q, &o->io, DISK_SYNC_DIR, o->path, NULL);
                    AWAIT_QUORUM_IO(o, KEEP_DIR_SYNCED, &o->io);
                    quorum_keep_took(o);
                }
                quorum_keep_written(q);
            }
            if (quorum_keep_look(q)) {
                quorum_keep_cut(q);
                AWAIT(o, KEEP_CUT_READY, &q->log->state_source,
                      log_retain_ready(q->log) || quorum_over(q));
                AWAIT(o, KEEP_CUT_DURABLE, &q->log->dir->checkpoint_source,
                      quorum_keep_cut_durable(q));
                if (log_dir_online(q->log->dir) && !quorum_over(q)) log_retain_drop(q->log);
                while (quorum_keep_drop_next(q)) {
                    AWAIT_QUORUM_IO(o, KEEP_DROPPED, &o->io);
                }
            }
            while (!quorum_over(q) && log_sweep_next(&o->sweep, q->log->dir)) {
                AWAIT(o, KEEP_SWEPT, &o->sweep.source, !o->sweep.busy);
            }
            o->busy = false;
            op_wake(&o->source);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void quorum_keep_end(struct op *op)
{
    struct quorum_keep *keep = CONTAINER_OF(op, struct quorum_keep, op);
    struct quorum *quorum = CONTAINER_OF(keep, struct quorum, keep);

    keep->busy = false;
    op_wake(&keep->source);
    op_wake(&quorum->state_source);
}

static const struct op_kind quorum_keep_kind = {"quorum_keep", quorum_keep_steps,
                                                COUNT_OF(quorum_keep_steps), quorum_keep_run,
                                                quorum_keep_end};

void quorum_keep_start(struct quorum *quorum)
{
    op_start(&quorum->env->loop, &quorum->keep.op, &quorum_keep_kind, KEEP_START);
}
