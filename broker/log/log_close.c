/* The end of a log in memory: an orderly close, and the removal of a partition. */
#include "broker/log/log_private.h"

#include "client/base/text.h"

#include <string.h>

enum close_step {
    CLOSE_START,
    CLOSE_QUIET,
    CLOSE_SYNCED,
    CLOSE_INDEX_SAVED,
    CLOSE_TIMES_SAVED,
    CLOSE_SNAPSHOT_SAVED,
    CLOSE_WINDOW_SAVED,
    CLOSE_ABORTED_SAVED,
    CLOSE_NAMES_SYNCED,
};
static const char *const close_steps[] = {"START",        "QUIET",         "SYNCED",
                                          "INDEX_SAVED",  "TIMES_SAVED",   "SNAPSHOT_SAVED",
                                          "WINDOW_SAVED", "ABORTED_SAVED", "NAMES_SYNCED"};

static bool close_synced(const struct log *log)
{
    if (log->syncing) return false; /* it holds the file, also when the directory has failed */
    return log->state == LOG_FAILED || !log_dir_online(log->dir) || !list_linked(&log->sync_link);
}

/* Memory and files go; what the directory keeps of the log is written down. */
static enum op_result close_end(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_known *known = log->known;

    if (o->err == ERR_NONE && log->synced_end == log->log_end) {
        known->clean_end = log->log_end;
        known->clean_bytes = (int64_t)log_active(log)->size;
    }
    if (o->first) { /* it was open once: its ends are known */
        known->recovery_point = log->synced_end;
        known->log_start = log->log_start;
        known->high_watermark = log->high_watermark;
    }
    if (list_linked(&log->sync_link)) list_remove(&log->sync_link);
    if (log->dir->cache != NULL) log_cache_cut(log->dir->cache, &log->cached, 0);
    while (log->segment_count > 0)
        log_segment_drop_last(log);
    log->wanted = 0;
    log_set_state(log, LOG_CLOSED, o->err);
    return OP_DONE;
}

static void close_begin(struct log_flow *o)
{
    struct log *log = o->log;

    o->err = log->err;
    o->first = log->closing_well;
    if (o->first) o->err = ERR_NONE;
}

static enum op_result close_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);
    struct log *log = o->log;

    switch ((enum close_step)op->step) {
    case CLOSE_START:
        close_begin(o);
        AWAIT(o, CLOSE_QUIET, &log->state_source, log_quiet(log));
        if (!o->first || !log_dir_online(log->dir)) {
            if (o->err == ERR_NONE) o->err = log->dir->err;
            return close_end(o);
        }
        log_sync(log);
        AWAIT(o, CLOSE_SYNCED, &log->state_source, close_synced(log));
        if (log->state == LOG_FAILED || !log_dir_online(log->dir)) {
            o->err = log->dir->err;
            return close_end(o);
        }
        if (log->saved) return close_end(o);
        log_flow_save_index(o);
        AWAIT_SAVE(o, CLOSE_INDEX_SAVED, &o->save);
        log_flow_save_times(o);
        AWAIT_SAVE(o, CLOSE_TIMES_SAVED, &o->save);
        /* Without one it asks again who wrote what is gone. */
        if (!log_stranger(log)) log_flow_save_snapshot(o, log->log_end);
        AWAIT_SAVE(o, CLOSE_SNAPSHOT_SAVED, &o->save);
        log_flow_save_window(o, log->log_end);
        AWAIT_SAVE(o, CLOSE_WINDOW_SAVED, &o->save);
        log_flow_save_aborted(o);
        AWAIT_SAVE(o, CLOSE_ABORTED_SAVED, &o->save);
        log_flow_saved(o);
        log_path_log(o->path, log);
        if (o->err == ERR_NONE) log_io_path(&o->io, log_flow_env(o)->world, DISK_SYNC_DIR, o->path);
        AWAIT_IO(o, CLOSE_NAMES_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        return close_end(o);
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_close_kind = {"log_close", close_steps, COUNT_OF(close_steps), close_run,
                                       log_flow_finish};

void log_close(struct log *log)
{
    if (log->state == LOG_CLOSING || log->state == LOG_CLOSED) return;
    ASSERT(log->state != LOG_OPENING);
    /* A truncation under way comes to its end first: log_advance() has it before the close. */
    log->closing_well = log->state != LOG_FAILED;
    log_set_state(log, LOG_CLOSING, log->err);
    log->wanted |= LOG_WANT_CLOSE;
    log_advance(log);
}

void log_free(struct log *log)
{
    struct log_dir *dir = log->dir;

    ASSERT(log->state == LOG_CLOSED);
    ASSERT(log->flow == NULL && log->write == NULL && list_empty(&log->staged));
    ASSERT(!list_linked(&log->flush.link) || list_empty(&log->staged));
    list_remove(&log->flush.link);
    list_remove(&log->starved);
    ASSERT(log->readers == 0 && !log->syncing && !log->marking && log->segment_count == 0);
    log_mark_exposed(log, 0);
    /* Nobody waits in memory that goes away. */
    ASSERT(op_source_empty(&log->end_source) && op_source_empty(&log->synced_source));
    ASSERT(op_source_empty(&log->state_source));
    mem_free(&dir->env->mem, log->segments, log->segment_room * sizeof *log->segments);
    log_undamaged(log);
    log_epochs_deinit(&log->epochs);
    log_producers_deinit(&log->producers);
    log_aborted_deinit(&log->aborted);
    if (log->known != NULL) {
        log->known->log = NULL;
        if (log->removed) log_dir_forget(dir, log->known);
    }
    ASSERT(dir->logs_open > 0);
    dir->logs_open--;
    pool_give(&dir->logs, log);
    log_dir_gone(dir);
}

/* ---- delete --------------------------------------------------------------------------------- */

enum delete_step {
    DELETE_START,
    DELETE_QUIET,
    DELETE_RENAMED,
    DELETE_ROOT_SYNCED,
    DELETE_LISTED,
    DELETE_FILE_GONE,
    DELETE_DIR_GONE,
};
static const char *const delete_steps[] = {"START",  "QUIET",     "RENAMED", "ROOT_SYNCED",
                                           "LISTED", "FILE_GONE", "DIR_GONE"};

enum { DELETE_LIST_MAX = 16 << 20 };

/* T-P.U-delete, cut to 255 bytes in the topic's part; U: the topic id, once per partition. */
static void delete_name(struct log_flow *o)
{
    const struct log *log = o->log;
    struct str name = {log->known->name, log->known->name_length};
    struct text out;
    struct str topic;
    int32_t partition;

    text_init(&out, o->path_to, sizeof o->path_to);
    if (log->future) {
        name.length -= (uint32_t)(sizeof "-future" - 1); /* its own U stays */
        text_format(&out, "%s/%S-delete", log->dir->path, name);
    } else {
        if (!log_name_parse(name, &topic, &partition)) IMPOSSIBLE("the name was made by log_open");
        if (topic.length > 200) topic.length = 200;
        text_format(&out, "%s/%S-%d", log->dir->path, topic, partition);
        log_name_add(&out, log->topic_id, "-delete");
    }
    ASSERT(!out.truncated);
    log_path_log(o->path, log);
}

static bool delete_list(struct log_flow *o)
{
    struct mem *mem = &log_flow_env(o)->mem;
    uint64_t size = o->list_size == 0 ? 8192 : o->list_size * 2;

    if (size > DELETE_LIST_MAX) return false;
    mem_free(mem, o->list, o->list_size);
    o->list_size = 0;
    o->list = mem_alloc(mem, size);
    if (o->list == NULL) return false;
    o->list_size = size;
    log_io_list(&o->io, log_flow_env(o)->world, o->path_to, o->list, size);
    return true;
}

static bool delete_next(struct log_flow *o)
{
    const struct disk_entry *entry;

    if (o->list_at >= o->list_used) return false;
    entry = (const struct disk_entry *)(const void *)(o->list + o->list_at);
    o->list_at += entry->entry_length;
    log_path(o->path, o->path_to, entry->name);
    log_io_path(&o->io, log_flow_env(o)->world, DISK_UNLINK, o->path);
    return true;
}

static void delete_forget(struct log_flow *o)
{
    struct log *log = o->log;

    if (list_linked(&log->sync_link)) list_remove(&log->sync_link);
    if (log->dir->cache != NULL) log_cache_cut(log->dir->cache, &log->cached, 0);
    while (log->segment_count > 0)
        log_segment_drop_last(log);
    o->err = ERR_NONE;
}

static enum op_result delete_end(struct log_flow *o)
{
    o->log->wanted = 0;
    if (o->err == ERR_IO) log_dir_fail(o->log->dir, o->err);
    if (o->log->state == LOG_CLOSING) log_set_state(o->log, LOG_CLOSED, o->err);
    return OP_DONE;
}

static enum op_result delete_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);
    struct log *log = o->log;
    struct world *world = log_flow_env(o)->world;

    switch ((enum delete_step)op->step) {
    case DELETE_START:
        delete_name(o);
        AWAIT(o, DELETE_QUIET, &log->state_source, log_quiet(log));
        delete_forget(o);
        log_io_rename(&o->io, world, o->path, o->path_to);
        AWAIT_IO(o, DELETE_RENAMED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err == ERR_NONE) log_io_path(&o->io, world, DISK_SYNC_DIR, log->dir->path);
        AWAIT_IO(o, DELETE_ROOT_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return delete_end(o);
        log->removed = true; /* by name it does not exist any more; the rest is cleaning up */
        op_wake(&log->state_source);
        log_dir_changed(log->dir);
        do {
            if (!delete_list(o)) return delete_end(o);
            AWAIT_IO(o, DELETE_LISTED, &o->io);
        } while (log_io_err(&o->io) == ERR_TOO_LARGE);
        o->list_used = log_io_err(&o->io) == ERR_NONE ? o->io.req.done : 0;
        o->list_at = 0;
        while (delete_next(o)) {
            AWAIT_IO(o, DELETE_FILE_GONE, &o->io);
        }
        log_io_path(&o->io, world, DISK_RMDIR, o->path_to);
        AWAIT_IO(o, DELETE_DIR_GONE, &o->io);
        return delete_end(o); /* what is left over goes at the next start */
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_delete_kind = {"log_delete", delete_steps, COUNT_OF(delete_steps),
                                        delete_run, log_flow_finish};

void log_delete(struct log *log)
{
    if (log->state == LOG_CLOSING || log->state == LOG_CLOSED) return;
    ASSERT(log->state != LOG_OPENING);
    log_set_state(log, LOG_CLOSING, ERR_NONE);
    if (!list_empty(&log->staged) && log->write == NULL)
        log_append_failed(log, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    log->wanted |= log_dir_online(log->dir) ? LOG_WANT_DELETE : LOG_WANT_CLOSE;
    log_advance(log);
}
