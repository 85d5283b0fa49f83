/* Opening a log, and recovery (storage.md 13, 17, 21).
 *
 *   listing -> partition.metadata -> leader-epoch-checkpoint -> segment-manifest
 *     -> newest usable producer snapshot -> walk from there (or from the recovery point) to the end
 *     -> verdict -> cut a torn tail -> OPEN
 *
 * Clean (the directory's marker vouches for end and size of this very log): only what follows the
 * last index entry, or the snapshot, is read. Otherwise every batch from the segment of the
 * recovery point on passes framing, crc, offsets that continue and epochs that do not fall (H13).
 *
 * A transaction index is made from the batches and the producers, so where one is made the snapshot
 * is that of its segment's base, or an earlier one's. Those of closed segments that nothing else
 * calls for are looked at; from one that does not parse on the log is walked.
 *
 * Verdict on bytes that are no batch, at offset o:
 *     o >= recovery point   torn tail: never promised to anybody; cut, durably, later segments
 *                           first. After a life that is vouched for only the beginning of a
 *                           batch at the very end (log_open_walk.c); else as below
 *     o <  recovery point   damage below a promise: DAMAGED, nothing is touched (H6, S16)
 * The same for a log that ends below its recovery point without any bad byte. A recovery point at
 * or below the log start promises nothing. What ends below the log start starts over there, as the
 * last step of the open (log_reset_kind): only then its ends are told. An I/O error says
 * nothing about the bytes: the open fails with it and nothing is touched (H1). */
#include "broker/log/log_cut_private.h"
#include "broker/log/log_open_private.h"
#include "broker/log/log_text.h"

#include "client/base/text.h"

/* These functions share the op: each goes on where the one before ends. */
enum open_files_step {
    OPEN_START,
    OPEN_FORGOTTEN,
    OPEN_MADE,
    OPEN_LISTED,
};
enum open_names_step {
    OPEN_NAMES = OPEN_LISTED + 1,
    OPEN_IDENTITY,
    OPEN_IDENTITY_SAVED,
    OPEN_RETIRED,
    OPEN_FIRST_MADE,
    OPEN_FIRST_CLOSED,
    OPEN_NAMES_SYNCED,
    OPEN_ROOT_SYNCED,
};
enum open_recover_step {
    OPEN_RECOVER = OPEN_ROOT_SYNCED + 1,
    OPEN_EPOCHS,
    OPEN_MANIFEST,
    OPEN_ABORTED,
    OPEN_SNAPSHOT,
    OPEN_WINDOW,
    OPEN_INDEX,
    OPEN_TIMES,
    OPEN_MARK_ABORTED,
    OPEN_WALKED,
    OPEN_REINDEXED,
    OPEN_RETIMED,
    OPEN_ABORTED_SAVED,
};
enum open_cut_step {
    OPEN_CUT = OPEN_ABORTED_SAVED + 1,
    OPEN_LATER_GONE,
    OPEN_CUT_NAMES,
    OPEN_CUT_OPENED,
    OPEN_CUT_DONE,
    OPEN_CUT_SYNCED,
    OPEN_CUT_CLOSED,
};
enum open_take_step {
    OPEN_TAKE = OPEN_CUT_CLOSED + 1,
    OPEN_TAKE_LOWERED,
};
static const char *const open_steps[] = {"START",
                                         "FORGOTTEN",
                                         "MADE",
                                         "LISTED",
                                         "NAMES",
                                         "IDENTITY",
                                         "IDENTITY_SAVED",
                                         "RETIRED",
                                         "FIRST_MADE",
                                         "FIRST_CLOSED",
                                         "NAMES_SYNCED",
                                         "ROOT_SYNCED",
                                         "RECOVER",
                                         "EPOCHS",
                                         "MANIFEST",
                                         "ABORTED",
                                         "SNAPSHOT",
                                         "WINDOW",
                                         "INDEX",
                                         "TIMES",
                                         "MARK_ABORTED",
                                         "WALKED",
                                         "REINDEXED",
                                         "RETIMED",
                                         "ABORTED_SAVED",
                                         "CUT",
                                         "LATER_GONE",
                                         "CUT_NAMES",
                                         "CUT_OPENED",
                                         "CUT_DONE",
                                         "CUT_SYNCED",
                                         "CUT_CLOSED",
                                         "TAKE",
                                         "TAKE_LOWERED",
                                         "SWAP",
                                         "SWAP_CLEARED",
                                         "SWAP_CLEARED_SYNCED",
                                         "SWAP_WALKED",
                                         "SWAP_BAD_GONE",
                                         "SWAP_OLD_GONE",
                                         "SWAP_OLD_SYNCED",
                                         "SWAP_RENAMED",
                                         "SWAP_RENAMED_SYNCED"};
_Static_assert(LOG_SWAP_RESUME == OPEN_TAKE_LOWERED + 1, "log_swap.c goes on behind these");
_Static_assert(COUNT_OF(open_steps) == LOG_SWAP_RENAMED_SYNCED + 1, "one name a step");

/* One line for people: which partition stays offline, and why. */
static void open_say(const struct log_flow *o)
{
    char buffer[LOG_PATH_MAX + 120];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%s/%s ", o->log->dir->path, o->log->known->name);
    if (o->err == ERR_DAMAGED) {
        text_cstr(&text, "is damaged below what was promised; it was not changed");
    } else {
        text_format(&text, "cannot be opened: %s", err_name(o->err));
    }
    TRACE_TEXT(log_flow_env(o)->world, NODE_WARNING, text_view(&text), (int64_t)o->err);
}

void log_open_done(struct log *log)
{
    log->opened = true;
    ASSERT(log->log_start <= log->log_end);
    LOG_TRACE(log, LOG_EPOCH, log_latest_epoch(log), -1);
    LOG_TRACE(log, LOG_OPENED, log->log_start, log->log_end, log->synced_end, log->high_watermark,
              log->opened_clean, (int64_t)log->cut_bytes);
    log_set_state(log, LOG_OPEN, ERR_NONE);
}

static enum op_result open_end(struct log_flow *o)
{
    struct log *log = o->log;

    log->wanted &= (uint16_t)~LOG_WANT_OPEN;
    log->known->clean_end = -1; /* vouched for once */
    /* Its directory went offline meanwhile, and perhaps it is being closed already. */
    if (log->state == LOG_FAILED || log->state == LOG_CLOSING) return OP_DONE;
    if (o->err != ERR_NONE) {
        open_say(o);
        log_set_state(log, LOG_FAILED, o->err);
        /* Not of this partition alone: whoever runs the node must see it (storage.md 15). */
        if (o->err == ERR_IO) log_dir_fail(log->dir, o->err);
        return OP_DONE;
    }
    if ((log->wanted & LOG_WANT_RESET) == 0) log_open_done(log);
    return OP_DONE;
}

static enum op_result open_damaged(struct log_flow *o, int64_t offset, uint64_t position)
{
    TRACE(log_flow_env(o)->world, LOG_DAMAGED, (int64_t)o->log->topic, o->log->partition, offset,
          (int64_t)position, ERR_DAMAGED);
    o->err = ERR_DAMAGED;
    return open_end(o);
}

static bool open_is_clean(const struct log *log)
{
    const struct log_known *known = log->known;

    return log->dir->was_clean && !log->config->verify_all && known->clean_end >= 0 &&
           (uint64_t)known->clean_bytes == log_active(log)->size &&
           known->clean_end >= log_active(log)->base;
}

/* ---- the flow ------------------------------------------------------------------------------- */

static void open_begin(struct log_flow *o)
{
    struct log *log = o->log;

    log->producers.clock_ms = log->dir->env->now.wall.ms;
    o->err = ERR_NONE;
    /* What lies below the start is no part of the log. One that goes beyond it was of the bytes
     * below as well: they were synced with the rest of their file. */
    o->promised = log->known->recovery_point;
    if (o->promised < 0 || o->promised <= log->known->log_start) o->promised = 0;
    log_path_log(o->path, log);
}

/* A high watermark of what was lost goes from the checkpoint before anything else stands there: the
 * next open would take it for one of the new records (R47). */
static enum op_result open_take(struct log_flow *o)
{
    struct log *log = o->log;
    int64_t most;

    switch ((enum open_take_step)o->op.step) {
    case OPEN_TAKE:
        log_open_take(o);
        most = (log->wanted & LOG_WANT_RESET) != 0 ? log->wanted_to : log->log_end;
        o->checkpoints = log->dir->checkpoints_written;
        if (log->known->high_watermark > most) {
            log->known->high_watermark = most;
            o->checkpoints = log_dir_checkpoint(log->dir);
        }
        AWAIT(o, OPEN_TAKE_LOWERED, &log->dir->checkpoint_source, log_cut_lowered(o));
        return open_end(o);
    }
    IMPOSSIBLE("step");
}

/* A torn tail goes: later segments newest first, then the file is cut, durably. So does what a roll
 * has left over; there the file stays as it is. */
static enum op_result open_cut(struct log_flow *o)
{
    struct log *log = o->log;
    struct env *env = log_flow_env(o);

    switch ((enum open_cut_step)o->op.step) {
    case OPEN_CUT:
        while (log->segment_count > o->segment + 1)
            log_segment_drop_last(log);
        while (log_open_next_later(o)) {
            AWAIT_IO(o, OPEN_LATER_GONE, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return open_end(o);
        }
        log_path_log(o->path, log);
        log_io_path(&o->io, env->world, DISK_SYNC_DIR, o->path);
        AWAIT_IO(o, OPEN_CUT_NAMES, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return open_end(o);
        log_path_of(o->path_to, log, log_active(log)->base, ".log");
        log_io_open(&o->io, env->world, o->path_to, 0);
        AWAIT_IO(o, OPEN_CUT_OPENED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return open_end(o);
        o->file = o->io.req.file;
        log_io_truncate(&o->io, env->world, o->file, log_active(log)->size);
        AWAIT_IO(o, OPEN_CUT_DONE, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err == ERR_NONE) log_io_sync(&o->io, env->world, o->file);
        AWAIT_IO(o, OPEN_CUT_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        log_io_close(&o->io, env->world, o->file);
        AWAIT_IO(o, OPEN_CUT_CLOSED, &o->io);
        if (o->err != ERR_NONE) return open_end(o);
        op_enter(&o->op, OPEN_TAKE);
        return open_take(o);
    }
    IMPOSSIBLE("step");
}

static enum op_result open_recover(struct log_flow *o);

/* Again, and from the base of a segment. */
static enum op_result open_without_mark(struct log_flow *o)
{
    o->mark_bad = true;
    o->marked = false;
    log_producers_clear(&o->log->producers);
    log_index_clear(o->log->segments[o->segment]->index);
    op_enter(&o->op, OPEN_RECOVER);
    return open_recover(o);
}

/* Epochs, manifest, producers, then batch after batch to the end. */
static enum op_result open_recover(struct log_flow *o)
{
    struct log *log = o->log;
    struct env *env = log_flow_env(o);

    switch ((enum open_recover_step)o->op.step) {
    case OPEN_RECOVER:
        log_load_start(&o->load, env, o->path, "leader-epoch-checkpoint", LOG_OPEN_SMALL_FILE);
        AWAIT_LOAD(o, OPEN_EPOCHS, &o->load);
        if (!log_open_epochs(o)) return open_end(o);
        o->old_end = log->epochs.count;
        if (!log_open_listed(o, "segment-manifest")) {
            log_load_none(&o->load);
        } else {
            log_load_start(&o->load, env, o->path, "segment-manifest", LOG_OPEN_SMALL_FILE);
        }
        AWAIT_LOAD(o, OPEN_MANIFEST, &o->load);
        o->offset = -1;
        o->err = log_open_check_manifest(o, &o->offset);
        if (o->err == ERR_DAMAGED) return open_damaged(o, o->offset, 0);
        if (o->err != ERR_NONE) return open_end(o);

        o->clean = open_is_clean(log) && !o->epochs_bad;
        o->from = o->promised;
        o->segment = 0;
        while (log_open_load_aborted(o)) {
            AWAIT_LOAD(o, OPEN_ABORTED, &o->load);
            if (!log_open_take_aborted(o)) return open_end(o);
        }
        o->snapshot = log_open_newest(o) + 1;
        while ((o->snapshot = log_open_snapshot_below(o, o->snapshot)) >= log->segments[0]->base) {
            if (!log_open_snapshot_fits(o)) continue;
            log_open_submit_snapshot(o);
            AWAIT_LOAD(o, OPEN_SNAPSHOT, &o->load);
            log_open_submit_window(o);
            AWAIT_LOAD(o, OPEN_WINDOW, &o->window);
            if (log_open_take_snapshot(o) && log_open_accept(o)) break;
        }
        if (o->err != ERR_NONE) return open_end(o);
        log->stranger = log->segments[0]->base > 0 &&
                        (o->snapshot < log->segments[0]->base || o->window.err != ERR_NONE);
        if (o->snapshot < log->segments[0]->base) o->snapshot = log->segments[0]->base;
        log_open_choose(o);
        if ((o->clean && o->segment + 1 == log->segment_count) || o->marked) {
            o->err = log_segment_index(log, log->segments[o->segment]);
            if (o->err != ERR_NONE) return open_end(o);
            log_open_submit_index(o, ".index", &o->window);
            AWAIT_LOAD(o, OPEN_INDEX, &o->window);
            log_open_submit_index(o, ".timeindex", &o->load);
            AWAIT_LOAD(o, OPEN_TIMES, &o->load);
            log_open_take_index(o);
        }
        if (o->marked) {
            log_open_load_mark_aborted(o);
            AWAIT_LOAD(o, OPEN_MARK_ABORTED, &o->load);
            if (!log_open_take_mark_aborted(o)) return open_without_mark(o);
        }
        for (;;) {
            if (log->segments[o->segment]->index == NULL)
                o->err = log_segment_index(log, log->segments[o->segment]);
            if (o->err != ERR_NONE) return open_end(o);
            log_open_walk(o);
            AWAIT_WALK(o, OPEN_WALKED, &o->walk);
            if (log_open_mark_fails(o)) return open_without_mark(o);
            switch (log_open_judge(o)) {
            case LOG_OPEN_ERROR: return open_end(o);
            case LOG_OPEN_ROTTEN:
                return open_damaged(o, o->walk.scan.next_offset, o->walk.scan.position);
            case LOG_OPEN_NEXT:
            case LOG_OPEN_TORN: break;
            }
            if (o->cut || o->segment + 1 == log->segment_count) break;
            log_index_finish(log->segments[o->segment]->index);
            log_open_save_part(o, false);
            AWAIT_SAVE(o, OPEN_REINDEXED, &o->save);
            if (o->err == ERR_NONE && o->save.err == ERR_NONE) log_open_save_part(o, true);
            AWAIT_SAVE(o, OPEN_RETIMED, &o->save);
            if (o->err == ERR_NONE) log_open_save_aborted(o);
            AWAIT_SAVE(o, OPEN_ABORTED_SAVED, &o->save);
            if (o->err != ERR_NONE) return open_end(o);
            log_open_index_closed(o);
            o->segment++;
        }
        if (o->cut || o->left_over) {
            op_enter(&o->op, OPEN_CUT);
            return open_cut(o);
        }
        op_enter(&o->op, OPEN_TAKE);
        return open_take(o);
    }
    IMPOSSIBLE("step");
}

static enum op_result open_files(struct log_flow *o);

/* A compaction that was under way, then from the front. */
static enum op_result open_swap(struct log_flow *o)
{
    enum op_result result = log_swap_resume(o);

    if (result != OP_DONE) return result;
    if (o->err != ERR_NONE) return open_end(o);
    op_enter(&o->op, OPEN_START);
    return open_files(o);
}

/* The directory is not among those that were listed when the root was opened. */
static bool open_makes(const struct log_flow *o)
{
    return o->log->create && !o->log->known->listed;
}

/* What a killed process made or removed is so for the page cache, until a power loss: before the
 * log goes on, the names on the device are those of the listing. */
static bool open_names_unsure(const struct log_flow *o)
{
    return o->made || !o->log->dir->was_clean;
}

/* Nothing was ever written to it, and perhaps nobody came to the end of making it. */
static bool open_root_unsure(const struct log_flow *o)
{
    const struct log *log = o->log;

    return open_names_unsure(o) && log->segment_count == 1 && log_active(log)->size == 0;
}

/* A line of an earlier log of this name may stand in the checkpoints still: whoever is killed with
 * a new log beside it would be held to what that one had promised, and found damaged. */
static bool open_forgotten(const struct log_flow *o)
{
    const struct log_dir *dir = o->log->dir;

    return dir->forgotten_saved >= o->checkpoints || !log_dir_online(dir);
}

/* The identity; what is below the start goes; a new log gets its first segment; and all names are
 * on the device. */
static enum op_result open_names(struct log_flow *o)
{
    struct log *log = o->log;
    struct env *env = log_flow_env(o);
    struct world *world = env->world;

    switch ((enum open_names_step)o->op.step) {
    case OPEN_NAMES:
        log_load_start(&o->load, env, o->path, "partition.metadata", 4096);
        AWAIT_LOAD(o, OPEN_IDENTITY, &o->load);
        o->err = log_open_check_identity(o);
        if (o->err == ERR_NOT_FOUND && !uuid_is_zero(log->topic_id)) {
            o->err = log_open_print_identity(o) ? ERR_NONE : ERR_NO_MEMORY;
            if (o->err == ERR_NONE) {
                log_save_start(&o->save, env, o->path, "partition.metadata", log_flow_bytes(o),
                               true);
            }
        }
        AWAIT_SAVE(o, OPEN_IDENTITY_SAVED, &o->save);
        if (o->err == ERR_NONE) o->err = o->save.err;
        if (o->err == ERR_DAMAGED) return open_damaged(o, 0, 0); /* whose log is it? */
        if (o->err != ERR_NONE) return open_end(o);

        log_retain_open(o);
        while (log_retain_open_next(o)) {
            AWAIT_IO(o, OPEN_RETIRED, &o->io);
            if (log_io_err(&o->io) == ERR_IO) o->err = ERR_IO;
            if (o->err != ERR_NONE) return open_end(o);
        }
        log_path_log(o->path, log); /* it named what was removed */
        if (log->segment_count == 0) {
            if (o->promised > 0 && o->promised > log->known->log_start)
                return open_damaged(o, 0, 0);
            o->offset = log->known->log_start;
            if (log_segment_add(log, o->offset) == NULL) {
                o->err = ERR_NO_MEMORY;
                return open_end(o);
            }
            log_path_of(o->path_to, log, o->offset, ".log");
            log_io_open(&o->io, world, o->path_to, DISK_CREATE);
            AWAIT_IO(o, OPEN_FIRST_MADE, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return open_end(o);
            o->made = true;
            log_io_close(&o->io, world, o->io.req.file);
            AWAIT_IO(o, OPEN_FIRST_CLOSED, &o->io);
        }
        if (open_names_unsure(o)) log_io_path(&o->io, world, DISK_SYNC_DIR, o->path);
        AWAIT_IO(o, OPEN_NAMES_SYNCED, &o->io);
        if (open_names_unsure(o)) o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return open_end(o);
        /* And the entry in the root, or all of it is gone with the next power cut (H3). */
        if (open_root_unsure(o)) log_io_path(&o->io, world, DISK_SYNC_DIR, log->dir->path);
        AWAIT_IO(o, OPEN_ROOT_SYNCED, &o->io);
        if (open_root_unsure(o)) o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return open_end(o);
        op_enter(&o->op, OPEN_RECOVER);
        return open_recover(o);
    }
    IMPOSSIBLE("step");
}

/* The directory and its listing. */
static enum op_result open_files(struct log_flow *o)
{
    struct log *log = o->log;
    struct env *env = log_flow_env(o);
    struct world *world = env->world;

    switch ((enum open_files_step)o->op.step) {
    case OPEN_START:
        open_begin(o);
        o->checkpoints = open_makes(o) ? log->dir->forgotten : 0;
        if (!open_forgotten(o)) (void)log_dir_checkpoint(log->dir);
        AWAIT(o, OPEN_FORGOTTEN, &log->dir->checkpoint_source, open_forgotten(o));
        if (open_makes(o)) log_io_path(&o->io, world, DISK_MKDIR, o->path);
        AWAIT_IO(o, OPEN_MADE, &o->io);
        if (open_makes(o) && log_io_err(&o->io) != ERR_NONE && log_io_err(&o->io) != ERR_EXISTS) {
            o->err = log_io_err(&o->io);
            return open_end(o);
        }
        do {
            if (!log_open_list_room(o)) {
                o->err = ERR_NO_MEMORY;
                return open_end(o);
            }
            log_io_list(&o->io, world, o->path, o->list, o->list_size);
            AWAIT_IO(o, OPEN_LISTED, &o->io);
        } while (log_io_err(&o->io) == ERR_TOO_LARGE);
        o->err = log_io_err(&o->io);
        if (o->err == ERR_NOT_FOUND && log->create && !open_makes(o)) {
            log->known->listed = false; /* it was there when the root was opened */
            op_enter(&o->op, OPEN_START);
            return open_files(o);
        }
        o->list_used = o->io.req.done;
        if (o->err == ERR_NONE && log_swap_left(o)) {
            op_enter(&o->op, LOG_SWAP_RESUME);
            return open_swap(o);
        }
        if (o->err == ERR_NONE) o->err = log_open_segments(o);
        if (o->err != ERR_NONE) return open_end(o);
        op_enter(&o->op, OPEN_NAMES);
        return open_names(o);
    }
    IMPOSSIBLE("step");
}

static enum op_result open_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);

    if (op->step >= LOG_SWAP_RESUME) return open_swap(o);
    if (op->step >= OPEN_TAKE) return open_take(o);
    if (op->step >= OPEN_CUT) return open_cut(o);
    if (op->step >= OPEN_RECOVER) return open_recover(o);
    return op->step >= OPEN_NAMES ? open_names(o) : open_files(o);
}

const struct op_kind log_open_kind = {"log_open", open_steps, COUNT_OF(open_steps), open_run,
                                      log_flow_finish};

struct log *log_open(struct log_dir *dir, const struct log_open *open,
                     const struct log_config *config)
{
    char name[LOG_NAME_MAX + 1];
    struct text out;
    struct log_known *known;
    struct log *log;

    if (!log_dir_online(dir)) return NULL;
    text_init(&out, name, sizeof name);
    text_format(&out, "%S-%d", open->topic, open->partition);
    if (!uuid_is_zero(open->future)) log_name_add(&out, open->future, "-future");
    if (out.truncated) return NULL;
    known = log_dir_know(dir, text_view(&out));
    if (known == NULL || known->log != NULL) return NULL;
    if (!uuid_is_zero(open->future)) known->log_start = open->base;
    log = pool_take(&dir->logs);
    if (log == NULL) return NULL;
    log->dir = dir;
    log->known = known;
    log->config = config;
    log->state = LOG_OPENING;
    log->topic_id = open->topic_id;
    log->topic = uuid_high(open->topic_id);
    log->partition = open->partition;
    log->create = open->create;
    log->future = !uuid_is_zero(open->future);
    log->begun_epoch = -1;
    log->damaged = -1;
    log->mark = -1;
    log->assigned_epoch = -1;
    log->flush.flush = log_flush;
    list_init(&log->flush.link);
    list_init(&log->staged);
    list_init(&log->starved);
    list_init(&log->sync_link);
    list_init(&log->exposed_link);
    log_tail_init(&log->cached);
    op_source_init(&log->end_source);
    op_source_init(&log->synced_source);
    op_source_init(&log->state_source);
    log_epochs_init(&log->epochs, &dir->env->mem);
    log_producers_init(&log->producers, &dir->env->mem, dir->limits.producers_max);
    log_aborted_init(&log->aborted, &dir->env->mem);
    known->log = log;
    dir->logs_open++;
    log->wanted = LOG_WANT_OPEN;
    log_advance(log);
    return log;
}
