/* Open segment files: at most files_max of them, the one used longest ago is closed first. Any of
 * them can be opened again at any time; a sync through another handle covers the same bytes.
 *
 * The table of handles is the world's, and others have files in it too. Should it be full all the
 * same, the one who asked is refused (append, read) or waits (sync), and is not asked for again
 * before the keeper's next round: files_short. */
#include "broker/log/log_private.h"

/* Somebody may get on: reads wait on the source, writes and syncs for another end of a turn. */
static void log_file_progress(struct log_dir *dir)
{
    op_wake(&dir->file_source);
    if (dir->files_short) return;
    log_dir_unstarve(&dir->file_starved, &dir->files);
    if (!list_empty(&dir->sync_wanted)) log_sync_stage(dir);
}

void log_file_retry(struct log_dir *dir)
{
    if (!dir->files_short) return;
    dir->files_short = false;
    log_file_progress(dir);
}

static void log_file_free(struct log_file *file)
{
    struct log_dir *dir = file->dir;

    list_remove(&file->lru);
    pool_give(&dir->files, file);
    log_file_progress(dir);
    log_dir_gone(dir);
}

static void log_file_closed(struct world_req *req, struct instant now)
{
    (void)now;
    log_file_free(CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct log_file, req));
}

static void log_file_close(struct log_file *file)
{
    ASSERT(file->state == LOG_FILE_OPEN && file->pins == 0 && file->ranges == 0);
    file->state = LOG_FILE_CLOSING;
    if (file->segment != NULL) file->segment->file = NULL;
    file->segment = NULL;
    file->log = NULL;
    list_remove(&file->lru);
    file->req = (struct disk_req){.op = DISK_CLOSE, .file = file->file};
    world_req_init(&file->req.req, log_file_closed);
    disk_submit(file->dir->env->world, &file->req);
}

static void log_file_opened(struct world_req *req, struct instant now)
{
    struct log_file *file =
        CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct log_file, req);
    struct log_dir *dir = file->dir;
    struct log *log = file->log;
    enum err err = req->result;

    dir->env->now = now;
    if (err != ERR_NONE) {
        if (file->segment != NULL) file->segment->file = NULL;
        if (log_err_passes(err)) dir->files_short = true;
        log_file_free(file);
        if (log == NULL) return;
        if (!log_err_passes(err)) {
            log_dir_fail(dir, err);
        } else if (!list_empty(&log->staged) && log->write == NULL && log->flow == NULL) {
            log_append_failed(log, err);
        }
        return;
    }
    file->file = file->req.file;
    file->state = LOG_FILE_OPEN;
    if (log == NULL) {
        log_file_close(file);
        return;
    }
    list_push(&dir->file_lru, &file->lru);
    log_advance(log);
    log_file_progress(dir);
}

static struct log_file *log_file_coldest(struct log_dir *dir)
{
    LIST_FOR_EACH (link, &dir->file_lru) {
        struct log_file *file = LIST_ENTRY(link, struct log_file, lru);

        if (file->pins == 0 && file->ranges == 0) return file;
    }
    return NULL;
}

struct log_file *log_file_get(struct log *log, struct log_segment *segment)
{
    struct log_dir *dir = log->dir;
    struct log_file *file = segment->file;

    if (!log_dir_online(dir)) return NULL;
    if (file != NULL) {
        if (file->state != LOG_FILE_OPEN) return NULL;
        list_remove(&file->lru);
        list_push(&dir->file_lru, &file->lru);
        return file;
    }
    if (dir->files_short) {
        if (!list_linked(&log->starved)) list_push(&dir->file_starved, &log->starved);
        return NULL;
    }
    if (pool_in_use(&dir->files) >= dir->limits.files_max) {
        file = log_file_coldest(dir);
        if (file != NULL) log_file_close(file);
    }
    /* The pool has room for the files that are just being closed. */
    file = pool_take(&dir->files);
    if (file == NULL) {
        if (!list_linked(&log->starved)) list_push(&dir->file_starved, &log->starved);
        return NULL;
    }
    *file =
        (struct log_file){.dir = dir, .log = log, .segment = segment, .state = LOG_FILE_OPENING};
    list_init(&file->lru);
    segment->file = file;
    log_path_of(file->path, log, segment->base, ".log");
    file->req.op = DISK_OPEN;
    file->req.path = file->path;
    world_req_init(&file->req.req, log_file_opened);
    disk_submit(dir->env->world, &file->req);
    return NULL;
}

void log_file_unpin(struct log_file *file)
{
    ASSERT(file->pins > 0);
    file->pins--;
    if (file->pins == 0 && pool_in_use(&file->dir->files) > file->dir->limits.files_max)
        log_file_progress(file->dir);
}

bool log_file_lend(struct log_file *file)
{
    struct log_dir *dir = file->dir;

    if (file->ranges == 0) {
        if (dir->ranged_files >= dir->limits.files_max / 2) return false;
        dir->ranged_files++;
    }
    file->ranges++;
    return true;
}

void log_file_returned(struct log_file *file)
{
    struct log_dir *dir = file->dir;

    ASSERT(file->ranges > 0);
    if (--file->ranges > 0) return;
    dir->ranged_files--;
    if (file->log == NULL) {
        log_file_close(file); /* nobody else wants it any more */
    } else if (file->pins == 0 && pool_in_use(&dir->files) > dir->limits.files_max) {
        log_file_progress(dir);
    }
}

void log_file_drop(struct log_segment *segment)
{
    struct log_file *file = segment->file;

    if (file == NULL) return;
    ASSERT(file->pins == 0);
    switch (file->state) {
    case LOG_FILE_OPENING:
        file->log = NULL;
        file->segment = NULL;
        segment->file = NULL;
        return;
    case LOG_FILE_OPEN:
        if (file->ranges == 0) {
            log_file_close(file);
            return;
        }
        list_remove(&file->lru); /* until they are sent */
        file->log = NULL;
        file->segment = NULL;
        segment->file = NULL;
        return;
    case LOG_FILE_CLOSING: IMPOSSIBLE("a file that is being closed has no segment");
    }
    IMPOSSIBLE("state");
}
