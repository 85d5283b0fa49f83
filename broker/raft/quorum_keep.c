/* The snapshots of this node: what is on the disk, and which one it starts from (kraft.md 8).
 *
 * At a start:  names of files --> parts and retired ones are unlinked
 *              the newest good one becomes the state of the node; a damaged one is passed over
 *              without any: the one of the format (0-0) says who votes, and nothing else
 *              the log begins with it when it has nothing of it, or parts from it (a crash between
 *              the rename of a fetched snapshot and the cut of the log)
 *   A log that begins above every good snapshot has a gap. With other members it is emptied and
 *   fetched again (the hint says what was acknowledged, so this node does not vote until it has
 *   that); alone, the node says so and stops.
 *
 * Writing and cleaning: quorum_keep_write.c. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"
#include "client/base/text.h"

#include <string.h>

enum { KEEP_LIST = 64 << 10 };

/* ---- what is kept ---------------------------------------------------------------------------- */

void quorum_keep_wake(struct quorum *quorum)
{
    op_wake(&quorum->keep.source);
}

const struct quorum_kept *quorum_keep_find(const struct quorum *quorum,
                                           struct quorum_snapshot_id id)
{
    const struct quorum_keep *keep = &quorum->keep;

    for (uint32_t i = 0; i < keep->count; i++)
        if (keep->kept[i].id.end == id.end && keep->kept[i].id.epoch == id.epoch)
            return &keep->kept[i];
    return NULL;
}

struct raft_log quorum_keep_log(const struct quorum *quorum)
{
    const struct quorum_keep *keep = &quorum->keep;
    const struct log *log = quorum->log;
    bool any = keep->count > 0;

    return (struct raft_log){.log_end = log->log_end,
                             .flushed_end = log->synced_end,
                             .last_epoch = quorum_log_last_epoch(quorum),
                             .acknowledged_end = quorum->hint.end,
                             .log_start = log->log_start,
                             .start_epoch = keep->start_epoch,
                             .snapshot_end =
                                 any ? keep->kept[keep->count - 1].id.end : RAFT_NO_SNAPSHOT,
                             .snapshot_epoch = any ? keep->kept[keep->count - 1].id.epoch : 0};
}

/* In its place; of too many the oldest is forgotten (its file goes with the next look). */
static void quorum_keep_know(struct quorum_keep *keep, struct quorum_kept kept)
{
    uint32_t at = keep->count;

    if (keep->count == QUORUM_SNAPSHOTS_MAX) {
        if (kept.id.end < keep->kept[0].id.end) return;
        memmove(&keep->kept[0], &keep->kept[1], (keep->count - 1) * sizeof keep->kept[0]);
        at = --keep->count;
    }
    while (at > 0 && (keep->kept[at - 1].id.end > kept.id.end ||
                      (keep->kept[at - 1].id.end == kept.id.end &&
                       keep->kept[at - 1].id.epoch > kept.id.epoch))) {
        keep->kept[at] = keep->kept[at - 1];
        at--;
    }
    keep->kept[at] = kept;
    keep->count++;
}

void quorum_keep_installed(struct quorum *quorum, struct quorum_snapshot_id id, uint64_t size)
{
    struct quorum_keep *keep = &quorum->keep;

    if (quorum_keep_find(quorum, id) == NULL) {
        quorum_keep_know(keep, (struct quorum_kept){id, size, quorum->env->now.wall.ms});
    }
    ASSERT(keep->kept[keep->count - 1].id.end == id.end);
    keep->kept[keep->count - 1].size = size;
    keep->start_epoch = id.epoch;
    keep->snapshot_ns = env_deadline(quorum->env, quorum->config.snapshot_interval_ms);
}

void quorum_keep_deinit(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;

    quorum_snapshot_writer_free(&keep->writer);
    mem_free(&quorum->env->mem, keep->list, keep->list_size);
    keep->list = NULL;
}

/* ---- the directory --------------------------------------------------------------------------- */

static bool quorum_keep_room(struct quorum *quorum, uint64_t size)
{
    struct quorum_keep *keep = &quorum->keep;

    mem_free(&quorum->env->mem, keep->list, keep->list_size);
    keep->list = mem_alloc(&quorum->env->mem, size);
    keep->list_size = keep->list != NULL ? size : 0;
    keep->list_at = 0;
    if (keep->list == NULL) keep->load_err = ERR_NO_MEMORY;
    return keep->list != NULL;
}

/* The listing was too long for its buffer: once more with a bigger one. */
static bool quorum_keep_list_again(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;

    if (keep->load_err != ERR_NONE || quorum_io_err(&keep->io) != ERR_TOO_LARGE) return false;
    return quorum_keep_room(quorum, keep->io.req.size + KEEP_LIST);
}

/* Takes in what it passes; stops at a file that has to go, its path in keep->path. */
static bool quorum_keep_next_left_over(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;

    while (keep->load_err == ERR_NONE && keep->list_at < keep->list_used) {
        /* Entries are packed aligned to 8, and so is the list. */
        const struct disk_entry *entry = (const void *)(keep->list + keep->list_at);
        struct quorum_snapshot_id id;
        struct str suffix;
        struct text text;

        keep->list_at += entry->entry_length;
        if (entry->directory || !quorum_snapshot_parse_name(str_of(entry->name), &id, &suffix)) {
            continue;
        }
        if (suffix.length == 0 && id.end > 0 && id.end >= quorum->log->log_start) {
            quorum_keep_know(keep, (struct quorum_kept){id, entry->size, quorum->env->now.wall.ms});
            continue;
        }
        if (suffix.length == 0 && id.end == 0) { /* of a format: local, never counted */
            keep->formatted = keep->formatted || id.epoch == 0;
            continue;
        }
        text_init(&text, keep->path, sizeof keep->path);
        text_format(&text, "%S/%s", quorum->config.dir, entry->name);
        ASSERT(!text.truncated);
        return true;
    }
    return false;
}

/* ---- the newest good one --------------------------------------------------------------------- */

static bool quorum_keep_try(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;

    if (keep->load_err != ERR_NONE || keep->count == 0) return false;
    quorum_scan_path(quorum, keep->path, keep->kept[keep->count - 1].id, "");
    quorum_scan_start(quorum, &keep->scan, keep->path, keep->kept[keep->count - 1].id);
    return true;
}

/* False: it was damaged, an older one may do. */
static bool quorum_keep_judge(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;
    char line[QUORUM_PATH_MAX + 100];
    struct text text;

    switch (keep->scan.err) {
    case ERR_NONE: return true;
    case ERR_IO:
    case ERR_NO_MEMORY: keep->load_err = keep->scan.err; return true;
    default: break;
    }
    text_init(&text, line, sizeof line);
    text_format(&text, "the snapshot %s is damaged (%s) and not used", keep->path,
                err_name(keep->scan.err));
    TRACE_TEXT(quorum->env->world, NODE_WARNING, text_view(&text), ERR_DAMAGED);
    keep->count--;
    return false;
}

static bool quorum_keep_gap(const struct quorum *quorum)
{
    const struct quorum_keep *keep = &quorum->keep;

    if (keep->load_err != ERR_NONE || quorum->log->log_start == 0) return false;
    return keep->count == 0 || keep->kept[keep->count - 1].id.end < quorum->log->log_start;
}

static void quorum_keep_close_gap(struct quorum *quorum)
{
    uint32_t others = quorum->config.voter_count + quorum->config.bootstrap_count;

    for (uint32_t i = 0; i < quorum->config.voter_count; i++)
        if (quorum->config.voters[i].id == quorum->config.node_id) others--;
    if (others == 0) {
        quorum->keep.load_err = ERR_DAMAGED;
        return;
    }
    TRACE_TEXT(quorum->env->world, NODE_WARNING,
               STR("no good snapshot reaches the start of the metadata log: it is emptied and "
                   "fetched again from the other voters"),
               ERR_DAMAGED);
    log_reset(quorum->log, 0);
}

/* The log has nothing of what follows the snapshot, or something else. */
static bool quorum_keep_parts(const struct quorum *quorum)
{
    const struct log *log = quorum->log;
    struct quorum_snapshot_id id;

    if (quorum->keep.load_err != ERR_NONE || quorum->keep.count == 0) return false;
    id = quorum->keep.kept[quorum->keep.count - 1].id;
    if (log->log_end < id.end) return true;
    return id.end > log->log_start && log_epochs_at(&log->epochs, id.end - 1) != id.epoch;
}

static void quorum_keep_take(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;
    struct log *log = quorum->log;
    const struct quorum_kept *newest;

    keep->snapshot_ns = env_deadline(quorum->env, quorum->config.snapshot_interval_ms);
    keep->clean_ns = env_deadline(quorum->env, QUORUM_KEEP_MS);
    if (keep->load_err != ERR_NONE || keep->count == 0) return;
    newest = &keep->kept[keep->count - 1];
    /* The log starts at a snapshot that is kept: at this one, when the other is gone. */
    if (log->log_start > 0 && keep->kept[0].id.end != log->log_start)
        log_raise_start(log, newest->id.end);
    keep->start_epoch = 0;
    for (uint32_t i = 0; i < keep->count; i++)
        if (keep->kept[i].id.end == log->log_start) keep->start_epoch = keep->kept[i].id.epoch;
    keep->kept[keep->count - 1].timestamp_ms = keep->scan.reader.timestamp;
    quorum_scan_take(quorum, &keep->scan, newest->id, QUORUM_SNAPSHOT_LOADED);
}

/* The snapshot of the format says who votes as long as there is no other one. */
static bool quorum_keep_try_formatted(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;
    const struct quorum_snapshot_id id = {0, 0};

    if (keep->load_err != ERR_NONE || keep->count > 0 || !keep->formatted) return false;
    quorum_scan_path(quorum, keep->path, id, "");
    quorum_scan_start(quorum, &keep->scan, keep->path, id);
    return true;
}

/* DIFFERS: metadata records in it are not used; the first leader writes what a cluster begins
 * with. */
static void quorum_keep_take_formatted(struct quorum *quorum)
{
    struct quorum_keep *keep = &quorum->keep;

    if (keep->scan.err == ERR_NONE) {
        quorum->listener->snapshot_dropped(quorum->listener);
        quorum_voting_loaded(quorum, &keep->scan);
        return;
    }
    keep->load_err = keep->scan.err;
    if (keep->scan.err == ERR_UNSUPPORTED) keep->load_err = ERR_DAMAGED;
}

enum quorum_load_step {
    LOAD_START,
    LOAD_LISTED,
    LOAD_LEFT_OVER,
    LOAD_SCANNED,
    LOAD_EMPTIED,
    LOAD_CUT,
    LOAD_FORMATTED,
    LOAD_VOTERS,
};
static const char *const quorum_load_steps[] = {"START",   "LISTED", "LEFT_OVER", "SCANNED",
                                                "EMPTIED", "CUT",    "FORMATTED", "VOTERS"};
_Static_assert(COUNT_OF(quorum_load_steps) == LOAD_VOTERS + 1, "one name a step");

static enum op_result quorum_load_run(struct op *op)
{
    struct quorum_keep *o = CONTAINER_OF(op, struct quorum_keep, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, keep);

    switch ((enum quorum_load_step)op->step) {
    case LOAD_START:
        quorum_io_init(&o->io);
        if (!quorum_keep_room(q, KEEP_LIST)) return OP_DONE;
        do {
            quorum_scan_dir(q, o->path_to);
            quorum_io_list(q, &o->io, o->path_to, o->list, o->list_size);
            AWAIT_QUORUM_IO(o, LOAD_LISTED, &o->io);
        } while (quorum_keep_list_again(q));
        if (o->load_err == ERR_NONE) o->load_err = quorum_io_err(&o->io);
        o->list_used = o->load_err == ERR_NONE ? o->io.req.done : 0;
        while (quorum_keep_next_left_over(q)) {
            /* What cannot be removed does no harm: its name says what it is. */
            quorum_io_path(q, &o->io, DISK_UNLINK, o->path, NULL);
            AWAIT_QUORUM_IO(o, LOAD_LEFT_OVER, &o->io);
        }
        while (quorum_keep_try(q)) {
            AWAIT_SCAN(o, LOAD_SCANNED, &o->scan);
            if (quorum_keep_judge(q)) break;
        }
        if (quorum_keep_gap(q)) quorum_keep_close_gap(q);
        AWAIT(o, LOAD_EMPTIED, &q->log->state_source, q->log->state != LOG_TRUNCATING);
        if (quorum_keep_parts(q)) log_reset(q->log, o->kept[o->count - 1].id.end);
        AWAIT(o, LOAD_CUT, &q->log->state_source, q->log->state != LOG_TRUNCATING);
        if (o->load_err == ERR_NONE && q->log->state != LOG_OPEN) o->load_err = ERR_IO;
        quorum_keep_take(q);
        if (quorum_keep_try_formatted(q)) {
            AWAIT_SCAN(o, LOAD_FORMATTED, &o->scan);
            quorum_keep_take_formatted(q);
        }
        while (o->load_err == ERR_NONE && quorum_voting_read_next(q)) {
            AWAIT(o, LOAD_VOTERS, &q->voting.read.source, q->voting.read.done);
            o->load_err = quorum_voting_read_done(q);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void quorum_load_end(struct op *op)
{
    struct quorum_keep *keep = CONTAINER_OF(op, struct quorum_keep, op);
    struct quorum *quorum = CONTAINER_OF(keep, struct quorum, keep);

    mem_free(&quorum->env->mem, keep->list, keep->list_size);
    keep->list = NULL;
    keep->list_size = 0;
    keep->loaded = true;
    op_wake(&keep->source);
    if (keep->load_err == ERR_DAMAGED) {
        quorum_driver_fail(quorum, ERR_DAMAGED,
                           STR("the metadata log begins above every snapshot that can be read, and "
                               "no other voter has what is missing; see gregor-broker dump-log"));
    } else if (keep->load_err != ERR_NONE) {
        quorum_driver_fail(quorum, keep->load_err, STR("the metadata snapshots cannot be read"));
    }
}

static const struct op_kind quorum_load_kind = {"quorum_load", quorum_load_steps,
                                                COUNT_OF(quorum_load_steps), quorum_load_run,
                                                quorum_load_end};

void quorum_keep_load(struct quorum *quorum)
{
    log_sweep_init(&quorum->keep.sweep);
    op_start(&quorum->env->loop, &quorum->keep.op, &quorum_load_kind, LOAD_START);
}
