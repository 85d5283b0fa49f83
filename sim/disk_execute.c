/* A request happens: what it does to the image, and what a rule makes of it. */
#include "sim/disk_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t disk_space_left(const struct sim_disk *disk)
{
    uint64_t used = sim_image_used(disk->image);

    return used < disk->config.capacity ? disk->config.capacity - used : 0;
}

/* So many of the first `most` bytes of the write find space. */
static uint64_t write_fits(const struct sim_disk *disk, const struct sim_inode *inode,
                           uint64_t offset, uint64_t most)
{
    uint64_t left = disk_space_left(disk);

    while (most > 0 && sim_image_growth(inode, offset, most) > left) {
        uint64_t over = sim_image_growth(inode, offset, most) - left;

        most = over < most ? most - over : 0;
    }
    return most;
}

/* The first `most` bytes of a gathered write, as far as there is space: req->done. */
void disk_write_bytes(struct sim_disk *disk, struct disk_req *req, uint64_t most)
{
    struct sim_inode *inode = disk_handle_of(disk, req->file)->inode;

    req->done = 0;
    most = write_fits(disk, inode, req->offset, most);
    for (uint32_t i = 0; i < req->slice_count && req->done < most; i++) {
        uint64_t part = req->slices[i].length;

        if (part > most - req->done) part = most - req->done;
        if (part == 0) continue;
        sim_image_write(disk->image, inode, req->offset + req->done, req->slices[i].data, part);
        req->done += part;
    }
    disk->stats.bytes_written += req->done;
}

/* DF15: what fits is written, then the device is full. */
enum err disk_run_write(struct sim_disk *disk, struct disk_req *req)
{
    uint64_t total = disk_slices_length(req);

    disk->stats.writes++;
    disk_write_bytes(disk, req, total);
    return req->done == total ? ERR_NONE : ERR_NO_SPACE;
}

static enum err run_open(struct sim_disk *disk, struct disk_req *req)
{
    struct sim_inode *inode;
    enum err error;
    uint32_t handle;

    if (disk->open_count >= disk->node->world.files_max) return ERR_TOO_MANY;
    error = sim_image_open(disk->image, req->path, req->flags, &inode);
    if (error != ERR_NONE) return error;
    handle = disk_handle_take(disk);
    disk->handles[handle] = (struct disk_handle){.inode = inode, .flags = req->flags};
    disk->handles[handle].path = strdup(req->path);
    disk->handles[handle].site = disk_path_site(req->path);
    disk->open_count++;
    req->file.handle = handle;
    req->size = sim_image_size(inode);
    return ERR_NONE;
}

static enum err run_read(struct sim_disk *disk, struct disk_req *req)
{
    enum sim_view view = (req->flags & DISK_UNCACHED) != 0 ? SIM_VIEW_DEVICE : SIM_VIEW_VISIBLE;

    req->done = sim_image_read(disk_handle_of(disk, req->file)->inode, req->offset, req->into,
                               req->length, view);
    disk->stats.reads++;
    disk->stats.bytes_read += req->done;
    return ERR_NONE;
}

/* What rotted is not in the page cache until it was read again; anything else may have left it. */
static void run_resident(struct sim_disk *disk, struct disk_req *req)
{
    const struct sim_inode *inode = disk_handle_of(disk, req->file)->inode;

    req->done = sim_image_resident(inode, req->offset, req->length);
    if (decide_chance(disk->node->sim, disk_site(disk, DECIDE_DISK_EVICTED, req), RNG_MILLION / 8))
        req->done = 0;
}

static enum err run_sync_one(struct sim_disk *disk, struct disk_file file, uint64_t mark)
{
    const struct disk_handle *handle = disk_handle_of(disk, file);
    const struct sim_disk_rule *rule = disk_rule_fires(disk, DISK_SYNC, NULL, handle->path);

    disk->stats.syncs++;
    if (rule != NULL) {
        if (rule->error == ERR_IO && rule->reverts) {
            sim_image_sync_reverts(disk->image, handle->inode);
        } else if (rule->error == ERR_IO) {
            sim_image_sync_failed(disk->image, handle->inode);
        }
        if (rule->error == ERR_IO) {
            const int64_t fields[] = {disk->node->id};

            sim_tell(disk->node->sim, TRACE_SIM_SYNC_FAILED, str_of(handle->path), fields, 1);
        }
        return rule->error;
    }
    if (disk->lying) {
        if (sim_image_pending_bytes(handle->inode) > 0) {
            sim_fault_hit(disk->node->sim, SIM_FAULT_DISK_LIE);
        }
        return ERR_NONE;
    }
    (void)sim_image_sync(disk->image, handle->inode, mark);
    return ERR_NONE;
}

static enum err run_sync_many(struct sim_disk *disk, const struct disk_req *req, uint64_t mark)
{
    enum err first = ERR_NONE;

    for (uint32_t i = 0; i < req->file_count; i++) {
        enum err error = run_sync_one(disk, req->files[i], mark);

        if (first == ERR_NONE) first = error;
    }
    return first;
}

static enum err run_preallocate(struct sim_disk *disk, const struct disk_req *req)
{
    struct sim_inode *inode = disk_handle_of(disk, req->file)->inode;
    uint64_t end = req->offset + req->length;

    if (sim_image_growth(inode, 0, end) > disk_space_left(disk)) return ERR_NO_SPACE;
    sim_image_reserve(disk->image, inode, end);
    return ERR_NONE;
}

static enum err run_list(struct sim_disk *disk, struct disk_req *req)
{
    uint64_t needed;
    struct rng rng;
    enum err error;

    decide_rng(disk->node->sim, disk_site(disk, DECIDE_DISK_ORDER, req), &rng);
    error =
        sim_image_list(disk->image, req->path, &rng, req->into, req->length, &req->done, &needed);
    req->size = needed;
    return error;
}

static enum err run_rule(struct sim_disk *disk, struct disk_req *req,
                         const struct sim_disk_rule *rule)
{
    if (req->op == DISK_WRITE && rule->partial) {
        uint64_t total = disk_slices_length(req);

        if (total > 0) {
            disk_write_bytes(
                disk, req,
                decide_below(disk->node->sim, disk_site(disk, DECIDE_DISK_PARTIAL, req), total));
        }
    }
    return rule->error;
}

static bool path_too_long(const char *path)
{
    return path != NULL && strlen(path) > DISK_PATH_MAX;
}

/* The earlier version of each page: what the device has, or zeros when that is the same. */
static bool read_stale(struct sim_disk *disk, struct disk_req *req)
{
    struct sim_inode *inode = disk_handle_of(disk, req->file)->inode;
    uint8_t *older = sim_alloc(req->done + 1);
    uint64_t got = sim_image_read(inode, req->offset, older, req->done, SIM_VIEW_DURABLE);
    bool hit;

    if (got == req->done && memcmp(older, req->into, got) == 0) {
        uint64_t sector = req->done > SIM_SECTOR ? req->done - SIM_SECTOR : 0;

        memset(older + sector, 0, req->done - sector); /* before it was ever written */
    }
    hit = memcmp(older, req->into, req->done) != 0;
    memcpy(req->into, older, req->done);
    free(older);
    return hit;
}

/* The request has succeeded; what the rule makes of that. */
static void rule_after(struct sim_disk *disk, struct disk_req *req,
                       const struct sim_disk_rule *rule, uint64_t mark)
{
    bool hit = false;

    switch (rule->effect) {
    case SIM_DISK_FAIL: return;
    case SIM_DISK_LOSE:
        if (req->op != DISK_WRITE) break;
        hit = sim_image_lose(disk->image, disk_handle_of(disk, req->file)->inode, mark) > 0;
        break;
    case SIM_DISK_MISDIRECT:
        if (req->op != DISK_WRITE) break;
        hit = sim_image_misdirect(
            disk->image, disk_handle_of(disk, req->file)->inode, mark,
            decide_u64(disk->node->sim, disk_site(disk, DECIDE_DISK_STRAY, req)));
        break;
    case SIM_DISK_STALE:
        if (req->op == DISK_READ && req->done > 0) hit = read_stale(disk, req);
        break;
    }
    if (hit && rule->fault > 0) sim_fault_hit(disk->node->sim, (enum sim_fault)(rule->fault - 1));
}

static enum err disk_run(struct sim_disk *disk, struct disk_req *req, uint64_t mark);

enum err disk_execute(struct sim_disk *disk, struct disk_req *req, uint64_t mark)
{
    const char *path =
        disk_op_has_file(req->op) ? disk_handle_of(disk, req->file)->path : req->path;

    if (!disk_op_has_file(req->op) && req->op != DISK_SYNC_MANY && path_too_long(path)) {
        return ERR_TOO_LARGE;
    }
    if (req->op == DISK_RENAME && path_too_long(req->path_to)) return ERR_TOO_LARGE;
    if (req->op != DISK_SYNC && req->op != DISK_SYNC_MANY && req->op != DISK_CLOSE) {
        const struct sim_disk_rule *rule = disk_rule_fires(disk, req->op, req, path);
        uint64_t before = sim_image_mark(disk->image);
        enum err error;

        if (rule != NULL && rule->effect == SIM_DISK_FAIL) return run_rule(disk, req, rule);
        if (rule != NULL) {
            error = disk_run(disk, req, mark);
            if (error == ERR_NONE) rule_after(disk, req, rule, before);
            return error;
        }
    }
    return disk_run(disk, req, mark);
}

static enum err disk_run(struct sim_disk *disk, struct disk_req *req, uint64_t mark)
{
    switch (req->op) {
    case DISK_OPEN: return run_open(disk, req);
    case DISK_CLOSE: disk_handle_close(disk, disk_handle_of(disk, req->file)); return ERR_NONE;
    case DISK_PREALLOCATE: return run_preallocate(disk, req);
    case DISK_WRITE: return disk_run_write(disk, req);
    case DISK_READ: return run_read(disk, req);
    case DISK_SYNC: return run_sync_one(disk, req->file, mark);
    case DISK_SYNC_MANY: return run_sync_many(disk, req, mark);
    case DISK_TRUNCATE:
        sim_image_truncate(disk->image, disk_handle_of(disk, req->file)->inode, req->length);
        return ERR_NONE;
    case DISK_RENAME: return sim_image_rename(disk->image, req->path, req->path_to);
    case DISK_UNLINK: return sim_image_unlink(disk->image, req->path);
    case DISK_MKDIR: return sim_image_mkdir(disk->image, req->path);
    case DISK_RMDIR: return sim_image_rmdir(disk->image, req->path);
    case DISK_LIST: return run_list(disk, req);
    case DISK_SYNC_DIR: return sim_image_sync_dir(disk->image, req->path, disk->lying ? 0 : mark);
    case DISK_FREE_SPACE: req->size = disk_space_left(disk); return ERR_NONE;
    case DISK_RESIDENT: run_resident(disk, req); return ERR_NONE;
    }
    IMPOSSIBLE("a disk operation");
}
