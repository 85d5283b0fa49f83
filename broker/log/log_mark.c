/* Marks: from where a log is read again after an unclean stop.
 *
 * A snapshot of the producers stands at each segment's base; a segment has a gibibyte. So while a
 * segment grows, a mark is set in it every `recovery_bytes`, beside the appends:
 *
 *     at R, the log's end      entries of the indexes and the producers are copied
 *     the log is synced up to R
 *     N.index, N.timeindex, N.txnindex, R.producers
 *                                            saved; the directory synced      (N: segment's base)
 *     R.snapshot                             saved; the directory synced: the mark counts
 *     the mark before it                     unlinked
 *
 * R.producers says that it is a mark's (a roll writes the same names before the log is synced).
 * An open that finds both, R no segment's base, takes R for synced, and walks from the last index
 * entry below R (log_open.c); so it does from where the last orderly stop left the same files, if
 * the checkpoint is as far. A cut below R removes the mark, durably, before anything is cut
 * (log_cut.c).
 *
 * One mark at a time per directory. A log that has grown by recovery_bytes comes first; when all
 * logs of the directory together have grown by twice as much, the one that has waited longest.
 * Writes of a log wait for the device when the directory is LOG_MARK_FULL halves of recovery_bytes
 * ahead of its marks and the log itself by more than a sixteenth of one: 50 MiB at the default of
 * 20, and what is under way. */
#include "broker/log/log_private.h"

enum { LOG_MARK_FULL = 5, LOG_MARK_SMALL = 16, LOG_MARK_LOOK = 16 };
enum { MARK_INDEX, MARK_TIMES, MARK_ABORTED, MARK_WINDOW, MARK_SNAPSHOT, MARK_PARTS };

struct log_marker {
    struct op op;
    struct log_dir *dir;
    struct log *log;
    struct log_save save;
    struct log_io io;
    enum err err;
    int64_t offset;   /* R */
    int64_t base;     /* of the active segment when it began */
    int64_t old;      /* the mark before; -1 none */
    uint64_t covered; /* of log->exposed */
    uint32_t part;
    uint8_t *bytes[MARK_PARTS];
    size_t sizes[MARK_PARTS]; /* allocated: one more than used, never 0 */
    size_t used[MARK_PARTS];
    char path[LOG_PATH_MAX];
};

enum mark_step {
    MARK_START,
    MARK_SYNCED,
    MARK_SAVED,
    MARK_OLD_GONE,
};
static const char *const mark_steps[] = {"START", "SYNCED", "SAVED", "OLD_GONE"};

static const char *const mark_suffixes[] = {".index", ".timeindex", ".txnindex", ".producers",
                                            ".snapshot"};

/* ---- what is exposed ------------------------------------------------------------------------- */

void log_mark_exposed(struct log *log, uint64_t exposed)
{
    struct log_dir *dir = log->dir;

    if (log->config->verify_all) return;
    dir->exposed = dir->exposed - log->exposed + exposed;
    log->exposed = exposed;
    if (exposed == 0) {
        list_remove(&log->exposed_link);
    } else if (!list_linked(&log->exposed_link)) {
        list_push(&dir->exposed_logs, &log->exposed_link);
    }
}

static bool mark_wanted(const struct log *log)
{
    return log->exposed >= log->dir->limits.recovery_bytes ||
           log->dir->exposed >= 2 * (uint64_t)log->dir->limits.recovery_bytes;
}

static bool mark_possible(const struct log *log)
{
    return log->state == LOG_OPEN && log->flow == NULL && log->wanted == 0 &&
           log->log_end > log_active(log)->base && log->mark < log->log_end;
}

static struct log *mark_next(struct log_dir *dir)
{
    uint32_t looked = 0;

    if (dir->marks_paused || !log_dir_online(dir)) return NULL;
    LIST_FOR_EACH (link, &dir->exposed_logs) {
        struct log *log = LIST_ENTRY(link, struct log, exposed_link);

        if (!mark_wanted(log) || ++looked > LOG_MARK_LOOK) return NULL;
        if (mark_possible(log)) return log;
    }
    return NULL;
}

bool log_mark_full(const struct log *log)
{
    const struct log_dir *dir = log->dir;

    return dir->marker != NULL &&
           dir->exposed >= LOG_MARK_FULL * (uint64_t)dir->limits.recovery_bytes / 2 &&
           log->exposed >= dir->limits.recovery_bytes / LOG_MARK_SMALL;
}

bool log_mark_cut(struct log_flow *flow, int64_t end)
{
    struct log *log = flow->log;

    if (log->mark <= end) return false;
    if (flow->mark_at == 2) {
        log->mark = -1;
        return false;
    }
    log_path_of(flow->path, log, log->mark, mark_suffixes[MARK_SNAPSHOT - flow->mark_at++]);
    log_io_path(&flow->io, log->dir->env->world, DISK_UNLINK, flow->path);
    return true;
}

/* ---- the op ---------------------------------------------------------------------------------- */

static void mark_free(struct log_marker *o)
{
    for (uint32_t i = 0; i < MARK_PARTS; i++) {
        mem_free(&o->dir->env->mem, o->bytes[i], o->sizes[i]);
        o->bytes[i] = NULL;
        o->sizes[i] = 0;
    }
}

static bool mark_room(struct log_marker *o, uint32_t part, size_t used)
{
    o->bytes[part] = mem_alloc(&o->dir->env->mem, used + 1);
    if (o->bytes[part] == NULL) return false;
    o->sizes[part] = used + 1;
    o->used[part] = used;
    return true;
}

static enum err mark_copy(struct log_marker *o)
{
    const struct log *log = o->log;
    struct log_index *index = log_active(log)->index;
    struct cpu cpu = o->dir->env->world->cpu;

    log_index_finish(index);
    if (!mark_room(o, MARK_INDEX, (size_t)index->offset_count * LOG_INDEX_ENTRY) ||
        !mark_room(o, MARK_TIMES, (size_t)index->time_count * LOG_TIME_ENTRY) ||
        !mark_room(o, MARK_WINDOW, log_producers_window_size(&log->producers)) ||
        !mark_room(o, MARK_SNAPSHOT, log_producers_snapshot_size(&log->producers)))
        return ERR_NO_MEMORY;
    if ((log->aborted.count > 0 || log_active(log)->aborted) &&
        !mark_room(o, MARK_ABORTED, (size_t)log->aborted.count * LOG_ABORTED_ENTRY))
        return ERR_NO_MEMORY;
    if (o->bytes[MARK_ABORTED] != NULL) log_aborted_put(&log->aborted, o->bytes[MARK_ABORTED]);
    log_index_put_offsets(index, o->bytes[MARK_INDEX]);
    log_index_put_times(index, o->bytes[MARK_TIMES]);
    o->used[MARK_WINDOW] =
        log_producers_window(&log->producers, INT64_MAX, cpu, o->bytes[MARK_WINDOW], true);
    o->used[MARK_SNAPSHOT] =
        log_producers_snapshot(&log->producers, INT64_MAX, cpu, o->bytes[MARK_SNAPSHOT]);
    return ERR_NONE;
}

static void mark_begin(struct log_marker *o, struct log *log)
{
    o->log = log;
    o->offset = log->log_end;
    o->base = log_active(log)->base;
    o->old = log->mark;
    o->covered = log->exposed;
    o->part = 0;
    log->marking = true;
    o->err = mark_copy(o);
    if (o->err == ERR_NONE) log_sync(log);
}

static bool mark_gone(const struct log_marker *o)
{
    return o->log->state == LOG_FAILED || !log_dir_online(o->dir);
}

/* The next file but the snapshot; the last one with the directory. */
static bool mark_save(struct log_marker *o)
{
    char name[LOG_FILE_NAME];

    if (o->err == ERR_NONE && mark_gone(o)) o->err = ERR_CANCELED;
    if (o->part == MARK_ABORTED && o->bytes[MARK_ABORTED] == NULL) o->part++; /* none, no file */
    if (o->err != ERR_NONE || o->part == MARK_PARTS) return false;
    log_file_name(name, o->part < MARK_WINDOW ? o->base : o->offset, mark_suffixes[o->part]);
    log_path_log(o->path, o->log);
    log_save_start(&o->save, o->dir->env, o->path, name,
                   (struct bytes){o->bytes[o->part], (uint32_t)o->used[o->part]},
                   o->part >= MARK_WINDOW);
    o->part++;
    return true;
}

/* The files of the mark before; nobody minds when they stay. */
static bool mark_unlink(struct log_marker *o)
{
    if (o->err != ERR_NONE || o->old < 0 || o->part == MARK_WINDOW) return false;
    o->part--;
    log_path_of(o->path, o->log, o->old, mark_suffixes[o->part]);
    log_io_path(&o->io, o->dir->env->world, DISK_UNLINK, o->path);
    return true;
}

static void mark_end(struct log_marker *o)
{
    struct log *log = o->log;
    struct log_dir *dir = o->dir;

    if (o->err == ERR_NONE && o->bytes[MARK_ABORTED] != NULL && log_active(log)->base == o->base)
        log_active(log)->aborted = o->used[MARK_ABORTED] > 0;
    mark_free(o);
    log->marking = false;
    if (o->err == ERR_NONE) {
        log->mark = o->offset;
        log_mark_exposed(log, log->exposed > o->covered ? log->exposed - o->covered : 0);
    } else if (log_err_passes(o->err)) {
        dir->marks_paused = true;
    } else if (o->err != ERR_CANCELED) {
        log_dir_fail(dir, o->err);
    }
    /* Behind the others; after a failure not before the keeper's next round. */
    if (list_linked(&log->exposed_link)) {
        list_remove(&log->exposed_link);
        list_push(&dir->exposed_logs, &log->exposed_link);
    }
    op_wake(&log->state_source);
    log_advance(log);
    log_dir_unstarve(&dir->mark_starved, &dir->writes);
}

static enum op_result mark_run(struct op *op)
{
    struct log_marker *o = CONTAINER_OF(op, struct log_marker, op);
    struct log *next;

    switch ((enum mark_step)op->step) {
    case MARK_START:
        while ((next = mark_next(o->dir)) != NULL) {
            mark_begin(o, next);
            AWAIT_KEY(o, MARK_SYNCED, &o->log->synced_source, o->offset,
                      o->err != ERR_NONE || o->log->synced_end >= o->offset || mark_gone(o));
            while (mark_save(o)) {
                AWAIT_SAVE(o, MARK_SAVED, &o->save);
                o->err = o->save.err;
            }
            if (o->old == o->offset) o->old = -1;
            while (mark_unlink(o)) {
                AWAIT_IO(o, MARK_OLD_GONE, &o->io);
            }
            mark_end(o);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void mark_finish(struct op *op)
{
    struct log_marker *o = CONTAINER_OF(op, struct log_marker, op);
    struct log_dir *dir = o->dir;

    dir->marker = NULL;
    mem_free(&dir->env->mem, o, sizeof *o);
    log_dir_unstarve(&dir->mark_starved, &dir->writes);
    log_dir_gone(dir);
}

static const struct op_kind mark_kind = {"log_mark", mark_steps, COUNT_OF(mark_steps), mark_run,
                                         mark_finish};

static void log_mark_start(struct log_dir *dir)
{
    if (dir->marker != NULL || mark_next(dir) == NULL) return;
    dir->marker = mem_zalloc(&dir->env->mem, sizeof *dir->marker);
    if (dir->marker == NULL) return;
    dir->marker->dir = dir;
    log_io_init(&dir->marker->io);
    op_start(&dir->env->loop, &dir->marker->op, &mark_kind, MARK_START);
}

void log_mark_retry(struct log_dir *dir)
{
    dir->marks_paused = false;
    log_mark_start(dir);
}

void log_mark_note(struct log *log, uint32_t bytes)
{
    log_mark_exposed(log, log->exposed + bytes);
}

void log_mark_check(struct log *log)
{
    struct log_dir *dir = log->dir;

    if (!mark_wanted(log)) return;
    if (log->exposed >= dir->limits.recovery_bytes && !log->marking) {
        list_remove(&log->exposed_link);
        list_push_front(&dir->exposed_logs, &log->exposed_link);
    }
    log_mark_start(dir);
}
