/* Group commit: requests of a turn, of all logs of the directory, become one SYNC_MANY; what is
 * asked for meanwhile joins the next round. One round in flight per directory (performance.md 6).
 *
 *     log_sync() -> sync_wanted -> (end of the turn) -> round in flight -> synced_end */
#include "broker/log/log_private.h"

struct log_sync_part {
    struct log *log;
    int64_t end; /* what the round covers */
};

struct log_sync_round {
    struct disk_req req;
    struct log_dir *dir;
    bool busy;
    uint32_t file_count;
    uint32_t part_count;
    struct disk_file files[LOG_SYNC_FILES];
    struct log_file *pinned[LOG_SYNC_FILES];
    struct log_sync_part parts[LOG_SYNC_FILES];
};

static bool log_sync_clean(const struct log *log)
{
    for (uint32_t i = log->segment_count; i > 0; i--) {
        if (log->segments[i - 1]->dirty) return false;
        if (log->segments[i - 1]->end <= log->synced_end) break;
    }
    return true;
}

static void log_synced(struct log *log, int64_t end)
{
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct log_segment *segment = log->segments[i];

        if (segment->dirty && segment->end <= end) segment->dirty = false;
    }
    if (end > log->log_end) end = log->log_end;
    if (log_sync_clean(log)) {
        log->unsynced_bytes = 0;
        log->unsynced_since_ns = 0;
    } else {
        log->unsynced_since_ns = log->dir->env->now.mono.ns + 1;
        log->unsynced_bytes = log_active(log)->size; /* at most: only asks for another round */
        if (log->unsynced_bytes > LOG_SYNC_BYTES / 2) log->unsynced_bytes = LOG_SYNC_BYTES / 2;
    }
    if (end > log->synced_end) {
        log->synced_end = end;
        LOG_TRACE(log, LOG_SYNCED, end);
        log_dir_changed(log->dir);
    }
    op_wake_below(&log->synced_source, log->synced_end);
    log_tell(log, LOG_CHANGED_SYNCED);
}

static void log_sync_completed(struct world_req *req, struct instant now)
{
    struct log_sync_round *round =
        CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct log_sync_round, req);
    struct log_dir *dir = round->dir;

    dir->env->now = now;
    round->busy = false;
    for (uint32_t i = 0; i < round->file_count; i++)
        log_file_unpin(round->pinned[i]);
    for (uint32_t i = 0; i < round->part_count; i++) {
        struct log *log = round->parts[i].log;

        log->syncing = false;
        if (req->result == ERR_NONE && log_dir_online(dir)) log_synced(log, round->parts[i].end);
        op_wake(&log->state_source); /* a truncation or close may go on */
        if ((log->wanted & (LOG_WANT_DROP | LOG_WANT_SWAP)) != 0) log_advance(log);
    }
    /* Whatever failed: nothing that was not synced before can be trusted any more (H5). */
    if (req->result != ERR_NONE) log_dir_fail(dir, req->result);
    if (!list_empty(&dir->sync_wanted)) log_sync_stage(dir);
    log_dir_gone(dir);
}

/* The files of a log into the round: its dirty segments in order, as far as they are open and
 * there is room. Covers up to the end of the last one taken; true when that is the end of the
 * log. */
static bool log_sync_collect(struct log_sync_round *round, struct log *log)
{
    int64_t end = -1;
    bool all = true;

    for (uint32_t i = 0; i < log->segment_count && all; i++) {
        struct log_segment *segment = log->segments[i];
        struct log_file *file;

        if (!segment->dirty && i + 1 < log->segment_count) continue;
        file = round->file_count < LOG_SYNC_FILES ? log_file_get(log, segment) : NULL;
        if (file == NULL) {
            all = false;
        } else {
            log_file_pin(file);
            round->pinned[round->file_count] = file;
            round->files[round->file_count++] = file->file;
            end = segment->end;
        }
    }
    if (end < 0) return false;
    round->parts[round->part_count++] = (struct log_sync_part){log, end};
    log->syncing = true;
    return all;
}

static void log_sync_flush(struct env_flush *flush)
{
    struct log_dir *dir = CONTAINER_OF(flush, struct log_dir, sync_flush);
    struct log_sync_round *round = dir->round;

    if (round->busy || !log_dir_online(dir)) return;
    round->file_count = 0;
    round->part_count = 0;
    LIST_FOR_EACH_SAFE (link, after, &dir->sync_wanted) {
        struct log *log = LIST_ENTRY(link, struct log, sync_link);

        if (log_sync_collect(round, log)) list_remove(&log->sync_link);
        if (round->part_count == LOG_SYNC_FILES) break;
    }
    if (round->part_count == 0) return; /* staged again when a file is open */
    round->busy = true;
    round->req = (struct disk_req){
        .op = DISK_SYNC_MANY, .files = round->files, .file_count = round->file_count};
    world_req_init(&round->req.req, log_sync_completed);
    disk_submit(dir->env->world, &round->req);
}

void log_sync_stage(struct log_dir *dir)
{
    env_stage_write(dir->env, &dir->sync_flush);
}

void log_sync_init(struct log_dir *dir)
{
    dir->sync_flush.flush = log_sync_flush;
    list_init(&dir->sync_flush.link);
}

void log_sync_free(struct log_dir *dir)
{
    if (dir->round == NULL) return;
    ASSERT(!dir->round->busy);
    mem_free(&dir->env->mem, dir->round, sizeof *dir->round);
    dir->round = NULL;
}

void log_sync(struct log *log)
{
    struct log_dir *dir = log->dir;

    if (log->state == LOG_FAILED || log->state == LOG_CLOSED || !log_dir_online(dir)) return;
    if (dir->round == NULL) {
        dir->round = mem_zalloc(&dir->env->mem, sizeof *dir->round);
        if (dir->round == NULL) {
            log_fail(log, ERR_NO_MEMORY);
            return;
        }
        dir->round->dir = dir;
    }
    if (log->synced_end == log->log_end && log_sync_clean(log)) return;
    if (!list_linked(&log->sync_link)) list_push(&dir->sync_wanted, &log->sync_link);
    log_sync_stage(dir);
}
