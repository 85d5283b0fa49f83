#include "sim/disk.h"

#include "sim/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct handle {
    struct sim_inode *inode; /* NULL: free */
    uint32_t flags;
    bool writing;  /* W7: one write at a time */
    uint32_t next; /* of a free one: the next free handle, 0: none */
    char *path;    /* as opened */
    uint32_t site; /* digest of the path: where its decisions fall */
};

struct job {
    struct sim_event event;
    struct list link; /* in flight, in order of submission */
    struct sim_disk *disk;
    struct disk_req *req;
    uint64_t mark; /* what a sync covers */
    bool halved;   /* the first part of a write is there */
};

struct sim_disk {
    struct sim_world *node;
    struct sim_disk_config config;
    struct sim_image *image;
    struct sim_disk_stats stats;
    struct sim_losses losses;
    struct list jobs;
    struct sim_event writeback;
    int64_t free_ns; /* when the device's queue is empty */
    int64_t slow_permille;
    int64_t stalled_until_ns;
    int64_t submit_stall_ns;
    bool lying;
    struct handle *handles; /* [handle], 0 unused */
    uint32_t handle_count;
    uint32_t handle_capacity;
    uint32_t free_handle; /* first of the free ones, 0: none */
    uint32_t open_count;
    struct sim_disk_rule rules[SIM_DISK_RULES_MAX];
    uint32_t rule_count;
    uint32_t short_per_million;
    struct list watches;
    struct sim_image *snapshot; /* NULL: none was taken */
};

struct sim_disk_config sim_disk_config_default(enum sim_disk_profile profile)
{
    struct sim_disk_config config = {.op_ns = 5000,
                                     .ps_per_byte = 500,
                                     .latency_ns = 80000,
                                     .jitter_ns = 20000,
                                     .sync_ns = 500000,
                                     .cache_ns = 2000,
                                     .writeback_ns = 30 * NS_PER_SEC,
                                     .capacity = UINT64_C(1) << 40,
                                     .loss = {.policy = SIM_LOSS_RANDOM,
                                              .keep_per_million = RNG_MILLION / 2,
                                              .tear_per_million = 50000,
                                              .garbage_per_million = 20000}};

    switch (profile) {
    case SIM_DISK_NVME: break;
    case SIM_DISK_SSD:
        config.op_ns = 20000;
        config.ps_per_byte = 2000;
        config.latency_ns = 150000;
        config.sync_ns = 3 * NS_PER_MS;
        break;
    case SIM_DISK_HDD:
        config.op_ns = 5 * NS_PER_MS;
        config.ps_per_byte = 7000;
        config.latency_ns = 4 * NS_PER_MS;
        config.jitter_ns = 2 * NS_PER_MS;
        config.sync_ns = 12 * NS_PER_MS;
        break;
    }
    return config;
}

/* ---- handles --------------------------------------------------------------------------------- */

static struct handle *handle_of(struct sim_disk *disk, struct disk_file file)
{
    ASSERT(file.handle != 0 && file.handle <= disk->handle_count);
    ASSERT(disk->handles[file.handle].inode != NULL);
    return &disk->handles[file.handle];
}

static uint32_t handle_take(struct sim_disk *disk)
{
    uint32_t handle = disk->free_handle;

    if (handle != 0) {
        disk->free_handle = disk->handles[handle].next;
        return handle;
    }
    if (disk->handle_count + 1 >= disk->handle_capacity) {
        disk->handle_capacity = disk->handle_capacity == 0 ? 64 : disk->handle_capacity * 2;
        disk->handles = realloc(disk->handles, disk->handle_capacity * sizeof *disk->handles);
        if (disk->handles == NULL) abort();
    }
    disk->handles[++disk->handle_count] = (struct handle){0};
    return disk->handle_count;
}

static void handle_close(struct sim_disk *disk, struct handle *handle)
{
    sim_image_close(disk->image, handle->inode, (handle->flags & DISK_LOCK) != 0);
    free(handle->path);
    *handle = (struct handle){.next = disk->free_handle};
    disk->free_handle = (uint32_t)(handle - disk->handles);
    disk->open_count--;
}

static uint32_t path_site(const char *path)
{
    return (uint32_t)sim_digest(0, path, strlen(path));
}

/* ---- rules ----------------------------------------------------------------------------------- */

bool sim_glob(const char *pattern, const char *text)
{
    for (; *pattern != '\0'; pattern++, text++) {
        if (*pattern == '*') {
            for (;; text++) {
                if (sim_glob(pattern + 1, text)) return true;
                if (*text == '\0') return false;
            }
        }
        if (*text == '\0' || (*pattern != '?' && *pattern != *text)) return false;
    }
    return *text == '\0';
}

static bool op_has_file(enum disk_op op)
{
    switch (op) {
    case DISK_CLOSE:
    case DISK_PREALLOCATE:
    case DISK_WRITE:
    case DISK_READ:
    case DISK_SYNC:
    case DISK_TRUNCATE: return true;
    case DISK_OPEN:
    case DISK_SYNC_MANY:
    case DISK_RENAME:
    case DISK_UNLINK:
    case DISK_MKDIR:
    case DISK_RMDIR:
    case DISK_LIST:
    case DISK_SYNC_DIR:
    case DISK_FREE_SPACE: return false;
    }
    return false;
}

/* A request's decisions fall at its operation and its path; a SYNC_MANY has none. */
static struct decide_site disk_site(struct sim_disk *disk, enum decide_what what,
                                    const struct disk_req *req)
{
    uint32_t path = 0;

    if (op_has_file(req->op)) {
        path = handle_of(disk, req->file)->site;
    } else if (req->path != NULL && req->op != DISK_SYNC_MANY) {
        path = path_site(req->path);
    }
    return (struct decide_site){what, disk->node->id, (uint64_t)req->op, path};
}

static uint64_t slices_length(const struct disk_req *req)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < req->slice_count; i++)
        total += req->slices[i].length;
    return total;
}

static bool rule_spent(const struct sim_disk_rule *rule)
{
    return rule->times != 0 && rule->injected >= rule->times;
}

/* Does the request touch the rule's place? req NULL: a sync of one file among several. */
static bool rule_in_place(const struct sim_disk_rule *rule, const struct disk_req *req)
{
    uint64_t length;

    if (req != NULL && req->op == DISK_OPEN && rule->changes_only) {
        return (req->flags & DISK_READ_ONLY) == 0;
    }
    if (rule->length == 0 || req == NULL) return true;
    length = req->op == DISK_WRITE ? slices_length(req) : req->length;
    return req->offset < rule->offset + rule->length && rule->offset < req->offset + length;
}

static void rules_mend(struct sim_disk *disk, const struct disk_req *req, const char *path)
{
    for (uint32_t i = 0; i < disk->rule_count; i++) {
        struct sim_disk_rule *rule = &disk->rules[i];

        if (!rule->until_written || !rule_in_place(rule, req)) continue;
        if (rule->glob[0] != '\0' && !sim_glob(rule->glob, path)) continue;
        rule->times = 1;
        rule->injected = 1;
    }
}

static struct sim_disk_rule *rule_fires(struct sim_disk *disk, enum disk_op op,
                                        const struct disk_req *req, const char *path)
{
    if (op == DISK_WRITE) rules_mend(disk, req, path);
    for (uint32_t i = 0; i < disk->rule_count; i++) {
        struct sim_disk_rule *rule = &disk->rules[i];

        if ((rule->ops >> op & 1) == 0 || rule_spent(rule)) continue;
        if (rule->glob[0] != '\0' && !sim_glob(rule->glob, path)) continue;
        if (!rule_in_place(rule, req)) continue;
        if (rule->nth > 1) {
            rule->nth--;
            continue;
        }
        rule->injected++;
        disk->stats.errors++;
        if (rule->fault > 0 && rule->effect == SIM_DISK_FAIL) {
            sim_fault_hit(disk->node->sim, (enum sim_fault)(rule->fault - 1));
        }
        return rule;
    }
    return NULL;
}

uint32_t sim_disk_add_rule(struct sim_disk *disk, const struct sim_disk_rule *rule)
{
    uint32_t index = 0;

    while (index < disk->rule_count &&
           (disk->rule_count < SIM_DISK_RULES_MAX || !rule_spent(&disk->rules[index]))) {
        index++;
    }
    if (index == SIM_DISK_RULES_MAX) return UINT32_MAX;
    disk->rules[index] = *rule;
    disk->rules[index].injected = 0;
    if (index == disk->rule_count) disk->rule_count++;
    return index;
}

const struct sim_disk_rule *sim_disk_rule(const struct sim_disk *disk, uint32_t index)
{
    ASSERT(index < disk->rule_count);
    return &disk->rules[index];
}

void sim_disk_clear_rules(struct sim_disk *disk)
{
    disk->rule_count = 0;
}

/* ---- execution ------------------------------------------------------------------------------- */

/* The first `most` bytes of a gathered write. */
static void write_bytes(struct sim_disk *disk, struct disk_req *req, uint64_t most)
{
    struct sim_inode *inode = handle_of(disk, req->file)->inode;

    req->done = 0;
    for (uint32_t i = 0; i < req->slice_count && req->done < most; i++) {
        uint64_t part = req->slices[i].length;

        if (part > most - req->done) part = most - req->done;
        if (part == 0) continue;
        sim_image_write(disk->image, inode, req->offset + req->done, req->slices[i].data, part);
        req->done += part;
    }
    disk->stats.bytes_written += req->done;
}

static uint64_t space_left(const struct sim_disk *disk)
{
    uint64_t used = sim_image_used(disk->image);

    return used < disk->config.capacity ? disk->config.capacity - used : 0;
}

/* DF15: what fits is written, then the device is full. */
static enum err run_write(struct sim_disk *disk, struct disk_req *req)
{
    const struct sim_inode *inode = handle_of(disk, req->file)->inode;
    uint64_t total = slices_length(req);
    uint64_t fits = total;

    disk->stats.writes++;
    while (fits > 0 && sim_image_growth(inode, req->offset, fits) > space_left(disk)) {
        uint64_t over = sim_image_growth(inode, req->offset, fits) - space_left(disk);

        fits = over < fits ? fits - over : 0;
    }
    write_bytes(disk, req, fits);
    return fits == total ? ERR_NONE : ERR_NO_SPACE;
}

static enum err run_open(struct sim_disk *disk, struct disk_req *req)
{
    struct sim_inode *inode;
    enum err error;
    uint32_t handle;

    if (disk->open_count >= disk->node->world.files_max) return ERR_TOO_MANY;
    error = sim_image_open(disk->image, req->path, req->flags, &inode);
    if (error != ERR_NONE) return error;
    handle = handle_take(disk);
    disk->handles[handle] = (struct handle){.inode = inode, .flags = req->flags};
    disk->handles[handle].path = strdup(req->path);
    disk->handles[handle].site = path_site(req->path);
    disk->open_count++;
    req->file.handle = handle;
    req->size = sim_image_size(inode);
    return ERR_NONE;
}

static enum err run_read(struct sim_disk *disk, struct disk_req *req)
{
    enum sim_view view = (req->flags & DISK_UNCACHED) != 0 ? SIM_VIEW_DEVICE : SIM_VIEW_VISIBLE;

    req->done = sim_image_read(handle_of(disk, req->file)->inode, req->offset, req->into,
                               req->length, view);
    disk->stats.reads++;
    disk->stats.bytes_read += req->done;
    return ERR_NONE;
}

static enum err run_sync_one(struct sim_disk *disk, struct disk_file file, uint64_t mark)
{
    const struct handle *handle = handle_of(disk, file);
    const struct sim_disk_rule *rule = rule_fires(disk, DISK_SYNC, NULL, handle->path);

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
    struct sim_inode *inode = handle_of(disk, req->file)->inode;
    uint64_t end = req->offset + req->length;

    if (sim_image_growth(inode, 0, end) > space_left(disk)) return ERR_NO_SPACE;
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
        uint64_t total = slices_length(req);

        if (total > 0) {
            write_bytes(
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
    struct sim_inode *inode = handle_of(disk, req->file)->inode;
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
        hit = sim_image_lose(disk->image, handle_of(disk, req->file)->inode, mark) > 0;
        break;
    case SIM_DISK_MISDIRECT:
        if (req->op != DISK_WRITE) break;
        hit = sim_image_misdirect(
            disk->image, handle_of(disk, req->file)->inode, mark,
            decide_u64(disk->node->sim, disk_site(disk, DECIDE_DISK_STRAY, req)));
        break;
    case SIM_DISK_STALE:
        if (req->op == DISK_READ && req->done > 0) hit = read_stale(disk, req);
        break;
    }
    if (hit && rule->fault > 0) sim_fault_hit(disk->node->sim, (enum sim_fault)(rule->fault - 1));
}

static enum err disk_run(struct sim_disk *disk, struct disk_req *req, uint64_t mark);

static enum err disk_execute(struct sim_disk *disk, struct disk_req *req, uint64_t mark)
{
    const char *path = op_has_file(req->op) ? handle_of(disk, req->file)->path : req->path;

    if (!op_has_file(req->op) && req->op != DISK_SYNC_MANY && path_too_long(path)) {
        return ERR_TOO_LARGE;
    }
    if (req->op == DISK_RENAME && path_too_long(req->path_to)) return ERR_TOO_LARGE;
    if (req->op != DISK_SYNC && req->op != DISK_SYNC_MANY && req->op != DISK_CLOSE) {
        const struct sim_disk_rule *rule = rule_fires(disk, req->op, req, path);
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
    case DISK_CLOSE: handle_close(disk, handle_of(disk, req->file)); return ERR_NONE;
    case DISK_PREALLOCATE: return run_preallocate(disk, req);
    case DISK_WRITE: return run_write(disk, req);
    case DISK_READ: return run_read(disk, req);
    case DISK_SYNC: return run_sync_one(disk, req->file, mark);
    case DISK_SYNC_MANY: return run_sync_many(disk, req, mark);
    case DISK_TRUNCATE:
        sim_image_truncate(disk->image, handle_of(disk, req->file)->inode, req->length);
        return ERR_NONE;
    case DISK_RENAME: return sim_image_rename(disk->image, req->path, req->path_to);
    case DISK_UNLINK: return sim_image_unlink(disk->image, req->path);
    case DISK_MKDIR: return sim_image_mkdir(disk->image, req->path);
    case DISK_RMDIR: return sim_image_rmdir(disk->image, req->path);
    case DISK_LIST: return run_list(disk, req);
    case DISK_SYNC_DIR: return sim_image_sync_dir(disk->image, req->path, disk->lying ? 0 : mark);
    case DISK_FREE_SPACE: req->size = space_left(disk); return ERR_NONE;
    }
    IMPOSSIBLE("a disk operation");
}

/* ---- time ------------------------------------------------------------------------------------ */

static int64_t slowed(const struct sim_disk *disk, int64_t ns)
{
    return ns * disk->slow_permille / 1000;
}

/* The device works on one operation after the other; latency overlaps. */
static int64_t device_done(struct sim_disk *disk, const struct disk_req *req, int64_t start,
                           uint64_t bytes)
{
    const struct sim_disk_config *config = &disk->config;
    int64_t tail = decide_exponential(disk->node->sim, disk_site(disk, DECIDE_DISK_DELAY, req),
                                      config->jitter_ns);

    if (disk->free_ns < start) disk->free_ns = start;
    disk->free_ns += slowed(disk, config->op_ns + (int64_t)bytes * config->ps_per_byte / 1000);
    return disk->free_ns + slowed(disk, config->latency_ns + tail);
}

static int64_t cache_done(struct sim_disk *disk, const struct disk_req *req, int64_t start,
                          uint64_t bytes)
{
    int64_t jitter = decide_range(disk->node->sim, disk_site(disk, DECIDE_DISK_CACHE, req), 0,
                                  disk->config.cache_ns);

    /* Copying runs at about 8 GB/s. */
    return start + slowed(disk, disk->config.cache_ns + jitter + (int64_t)(bytes / 8));
}

static uint64_t sync_bytes(struct sim_disk *disk, const struct disk_req *req)
{
    uint64_t bytes = 0;

    if (req->op == DISK_SYNC) return sim_image_pending_bytes(handle_of(disk, req->file)->inode);
    for (uint32_t i = 0; i < req->file_count; i++) {
        bytes += sim_image_pending_bytes(handle_of(disk, req->files[i])->inode);
    }
    return bytes;
}

static int64_t disk_done_at(struct sim_disk *disk, const struct disk_req *req)
{
    int64_t start = sim_node_issue_ns(disk->node);

    switch (req->op) {
    case DISK_OPEN:
    case DISK_CLOSE:
    case DISK_PREALLOCATE:
    case DISK_TRUNCATE:
    case DISK_RENAME:
    case DISK_UNLINK:
    case DISK_MKDIR:
    case DISK_RMDIR:
    case DISK_LIST:
    case DISK_FREE_SPACE: return cache_done(disk, req, start, 0);
    case DISK_WRITE: return cache_done(disk, req, start, slices_length(req));
    case DISK_READ:
        if ((req->flags & DISK_UNCACHED) != 0) return device_done(disk, req, start, req->length);
        return cache_done(disk, req, start, req->length);
    case DISK_SYNC:
    case DISK_SYNC_MANY:
    case DISK_SYNC_DIR:
        return device_done(disk, req, start,
                           req->op == DISK_SYNC_DIR ? SIM_PAGE : sync_bytes(disk, req)) +
               slowed(disk, disk->config.sync_ns);
    }
    IMPOSSIBLE("a disk operation");
}

static void disk_writeback(struct sim_event *event)
{
    struct sim_disk *disk = CONTAINER_OF(event, struct sim_disk, writeback);
    struct sim *sim = disk->node->sim;
    int64_t oldest;

    if (disk->config.writeback_ns == 0) return;
    if (disk->lying) {
        sim_schedule(sim, event, sim->now_ns + disk->config.writeback_ns);
        return;
    }
    oldest = sim_image_writeback(disk->image, sim->now_ns - disk->config.writeback_ns + 1);
    if (oldest != INT64_MAX) sim_schedule(sim, event, oldest + disk->config.writeback_ns);
}

static void disk_arm_writeback(struct sim_disk *disk)
{
    struct sim *sim = disk->node->sim;

    if (disk->config.writeback_ns == 0 || sim_scheduled(&disk->writeback)) return;
    sim_schedule(sim, &disk->writeback, sim->now_ns + disk->config.writeback_ns);
}

static bool watch_matches(struct sim_disk *disk, const struct sim_disk_watch *watch,
                          const struct disk_req *req)
{
    if ((watch->ops >> req->op & 1) == 0) return false;
    if (watch->glob[0] == '\0') return true;
    if (req->op == DISK_SYNC_MANY) {
        for (uint32_t i = 0; i < req->file_count; i++) {
            if (sim_glob(watch->glob, handle_of(disk, req->files[i])->path)) return true;
        }
        return false;
    }
    return sim_glob(watch->glob,
                    op_has_file(req->op) ? handle_of(disk, req->file)->path : req->path);
}

/* Whoever is told may take watches off and crash the node: one is told, then all is looked at
 * again by the caller. A closed file has no path any more: its end is told by its submission. */
static void watches_tell(struct sim_disk *disk, const struct disk_req *req, bool done)
{
    struct sim_disk_watch *due[8];
    uint32_t count = 0;

    LIST_FOR_EACH (link, &disk->watches) {
        struct sim_disk_watch *watch = LIST_ENTRY(link, struct sim_disk_watch, link);

        if (watch->done != done || count == COUNT_OF(due)) continue;
        if (!watch_matches(disk, watch, req) || ++watch->seen < watch->nth) continue;
        due[count++] = watch;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (list_linked(&due[i]->link)) due[i]->fire(due[i], disk->node);
    }
}

/* DF16: the first part now, all of it a little later. */
static bool job_halves(struct sim_disk *disk, struct job *job)
{
    struct disk_req *req = job->req;
    uint64_t total = slices_length(req);
    struct sim *sim = disk->node->sim;

    if (disk->short_per_million == 0 || req->op != DISK_WRITE || job->halved || total < 2) {
        return false;
    }
    if (!decide_chance(sim, disk_site(disk, DECIDE_DISK_SHORT, req), disk->short_per_million))
        return false;
    if (sim_image_growth(handle_of(disk, req->file)->inode, req->offset, total) > space_left(disk))
        return false;
    write_bytes(disk, req,
                1 + decide_below(sim, disk_site(disk, DECIDE_DISK_SHORT, req), total - 1));
    job->halved = true;
    sim_fault_hit(sim, SIM_FAULT_SHORT_IO);
    sim_schedule(sim, &job->event, sim->now_ns + disk->config.latency_ns);
    return true;
}

static void job_done(struct sim_event *event)
{
    struct job *job = CONTAINER_OF(event, struct job, event);
    struct sim_disk *disk = job->disk;
    struct disk_req *req = job->req;
    uint64_t mark = sim_image_mark(disk->image);
    enum err result;

    if (disk->node->sim->now_ns < disk->stalled_until_ns) {
        if (disk->stalled_until_ns != INT64_MAX) {
            sim_schedule(disk->node->sim, event, disk->stalled_until_ns);
        } /* else sim_disk_unstall() schedules it */
        return;
    }
    sim_image_set_time(disk->image, disk->node->sim->now_ns);
    if (job_halves(disk, job)) {
        disk_arm_writeback(disk);
        return;
    }
    if (req->op == DISK_WRITE) handle_of(disk, req->file)->writing = false;
    result = disk_execute(disk, req, job->mark);
    if (sim_image_mark(disk->image) != mark) disk_arm_writeback(disk);
    list_remove(&job->link);
    free(job);
    if (!list_empty(&disk->watches) && req->op != DISK_CLOSE && result == ERR_NONE) {
        uint32_t incarnation = disk->node->incarnation;

        watches_tell(disk, req, true);
        if (!disk->node->up || disk->node->incarnation != incarnation) return;
    }
    sim_node_complete(disk->node, &req->req, SIM_KIND_DISK, result,
                      sim_digest((uint64_t)req->op, &req->done, sizeof req->done));
}

/* Whoever watches may kill the node here: between what it decided and what makes it durable. */
static void disk_tell(struct sim_disk *disk, const struct disk_req *req)
{
    struct sim *sim = disk->node->sim;

    if (req->op == DISK_SYNC_MANY) {
        for (uint32_t i = 0; i < req->file_count; i++)
            sim_disk_asked(sim, disk->node, req->op, handle_of(disk, req->files[i])->path);
        return;
    }
    sim_disk_asked(sim, disk->node, req->op,
                   op_has_file(req->op) ? handle_of(disk, req->file)->path
                   : req->path != NULL  ? req->path
                                        : "");
}

void sim_disk_submit(struct world *world, struct disk_req *req)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_disk *disk = node->disk;
    struct job *job;

    if (node->doomed == SIM_DOWN_NOT) disk_tell(disk, req);
    if (!sim_node_admit(node, &req->req)) return;
    ASSERT(req->slice_count <= DISK_SLICES_MAX && req->file_count <= DISK_SYNC_MAX);
    sim_node_charge(node, node->config.costs.submit_ns);
    if (disk->submit_stall_ns > 0) {
        sim_node_charge(node, disk->submit_stall_ns);
        sim_fault_hit(node->sim, SIM_FAULT_SUBMIT_STALL);
    }
    req->done = 0;
    if (req->op == DISK_WRITE) {
        struct handle *handle = handle_of(disk, req->file);

        ASSERT(!handle->writing);
        handle->writing = true;
    }
    if (!list_empty(&disk->watches)) {
        watches_tell(disk, req, false);
        if (!node->up) return;
    }
    job = sim_alloc(sizeof *job);
    job->disk = disk;
    job->req = req;
    job->mark = sim_image_mark(disk->image);
    sim_event_init(&job->event, job_done);
    list_init(&job->link);
    list_push(&disk->jobs, &job->link);
    sim_schedule(node->sim, &job->event, disk_done_at(disk, req));
}

/* ---- crash ----------------------------------------------------------------------------------- */

/* The kernel was somewhere in the middle of each request. */
static void job_interrupt(struct job *job)
{
    struct sim_disk *disk = job->disk;
    struct disk_req *req = job->req;
    struct sim *sim = disk->node->sim;
    uint64_t fate = decide_below(sim, disk_site(disk, DECIDE_DISK_INTERRUPT, req), 3);

    if (fate == 0) return;
    switch (req->op) {
    case DISK_WRITE:
        if (fate == 1 && slices_length(req) > 0) {
            write_bytes(
                disk, req,
                decide_below(sim, disk_site(disk, DECIDE_DISK_PREFIX, req), slices_length(req)));
        } else {
            (void)run_write(disk, req);
        }
        return;
    case DISK_TRUNCATE:
    case DISK_RENAME:
    case DISK_UNLINK:
    case DISK_MKDIR:
    case DISK_RMDIR:
    case DISK_SYNC:
    case DISK_SYNC_MANY:
    case DISK_SYNC_DIR: (void)disk_execute(disk, req, job->mark); return;
    case DISK_OPEN: /* a name may have been made; nobody holds it open */
        if (disk_execute(disk, req, job->mark) == ERR_NONE) {
            handle_close(disk, handle_of(disk, req->file));
        }
        return;
    case DISK_CLOSE:
    case DISK_PREALLOCATE:
    case DISK_READ:
    case DISK_LIST:
    case DISK_FREE_SPACE: return;
    }
}

static void count_part(struct sim *sim, enum sim_fault fault)
{
    sim_fault_asked(sim, fault);
    sim_fault_hit(sim, fault);
}

uint64_t sim_disk_crash(struct sim_disk *disk, bool power)
{
    struct sim *sim = disk->node->sim;

    sim_image_set_time(disk->image, sim->now_ns);
    while (!list_empty(&disk->jobs)) {
        struct job *job = LIST_ENTRY(list_pop(&disk->jobs), struct job, link);

        job_interrupt(job);
        sim_unschedule(sim, &job->event);
        free(job);
    }
    for (uint32_t i = 1; i <= disk->handle_count; i++) {
        if (disk->handles[i].inode != NULL) handle_close(disk, &disk->handles[i]);
    }
    disk->handle_count = 0;
    disk->free_handle = 0;
    disk->free_ns = sim->now_ns;
    ASSERT(sim_image_open_count(disk->image) == 0);
    if (!power) {
        if (sim_image_pending(disk->image)) count_part(sim, SIM_FAULT_UNSYNCED_KEPT);
        sim_image_evict_orphans(disk->image, sim, disk->node->id);
        disk_arm_writeback(disk);
        return 0;
    }
    disk->losses = sim_image_power_loss(disk->image, &disk->config.loss, sim, disk->node->id);
    if (disk->losses.dropped > 0) count_part(sim, SIM_FAULT_UNSYNCED_LOST);
    if (disk->losses.torn > 0) count_part(sim, SIM_FAULT_TORN_PAGE);
    if (disk->losses.garbage > 0) count_part(sim, SIM_FAULT_GARBAGE_PAGE);
    if (disk->losses.reordered) count_part(sim, SIM_FAULT_NAMES_LOST);
    sim_unschedule(sim, &disk->writeback);
    return disk->losses.lost_bytes;
}

bool sim_disk_idle(const struct sim_disk *disk)
{
    return disk->open_count == 0 && list_empty(&disk->jobs);
}

uint32_t sim_disk_held(const struct sim_disk *disk)
{
    uint32_t held = disk->open_count;

    LIST_FOR_EACH (link, &disk->jobs)
        held++;
    return held;
}

/* ---- life and faults ------------------------------------------------------------------------- */

struct sim_disk *sim_disk_create(struct sim_world *node, const struct sim_disk_config *config)
{
    struct sim_disk *disk = sim_alloc(sizeof *disk);

    disk->node = node;
    disk->config = *config;
    disk->image = sim_image_create();
    disk->slow_permille = 1000;
    list_init(&disk->jobs);
    list_init(&disk->watches);
    sim_event_init(&disk->writeback, disk_writeback);
    return disk;
}

void sim_disk_destroy(struct sim_disk *disk)
{
    while (!list_empty(&disk->jobs))
        free(LIST_ENTRY(list_pop(&disk->jobs), struct job, link));
    for (uint32_t i = 1; i <= disk->handle_count; i++)
        free(disk->handles[i].path);
    sim_image_destroy(disk->image);
    if (disk->snapshot != NULL) sim_image_destroy(disk->snapshot);
    free(disk->handles);
    free(disk);
}

struct sim_image *sim_disk_image(struct sim_disk *disk)
{
    return disk->image;
}

struct sim_disk_config *sim_disk_settings(struct sim_disk *disk)
{
    return &disk->config;
}

const struct sim_disk_stats *sim_disk_stats(const struct sim_disk *disk)
{
    return &disk->stats;
}

struct sim_losses sim_disk_losses(const struct sim_disk *disk)
{
    return disk->losses;
}

void sim_disk_slow(struct sim_disk *disk, int64_t permille)
{
    ASSERT(permille > 0);
    disk->slow_permille = permille;
}

void sim_disk_stall(struct sim_disk *disk, int64_t until_ns)
{
    disk->stalled_until_ns = until_ns;
}

void sim_disk_unstall(struct sim_disk *disk)
{
    disk->stalled_until_ns = 0;
    LIST_FOR_EACH (link, &disk->jobs) {
        struct job *job = LIST_ENTRY(link, struct job, link);

        if (!sim_scheduled(&job->event)) {
            sim_schedule(disk->node->sim, &job->event, disk->node->sim->now_ns);
        }
    }
}

void sim_disk_stall_submit(struct sim_disk *disk, int64_t ns)
{
    disk->submit_stall_ns = ns;
}

void sim_disk_lie(struct sim_disk *disk, bool lying)
{
    disk->lying = lying;
}

void sim_disk_watch(struct sim_disk *disk, struct sim_disk_watch *watch)
{
    watch->seen = 0;
    list_init(&watch->link);
    list_push(&disk->watches, &watch->link);
}

void sim_disk_unwatch(struct sim_disk_watch *watch)
{
    list_remove(&watch->link);
}

void sim_disk_shorten(struct sim_disk *disk, uint32_t per_million)
{
    disk->short_per_million = per_million;
}

void sim_disk_snapshot(struct sim_disk *disk)
{
    if (disk->snapshot != NULL) sim_image_destroy(disk->snapshot);
    disk->snapshot = sim_image_copy(disk->image);
}

bool sim_disk_revert(struct sim_disk *disk)
{
    if (disk->snapshot == NULL) return false;
    sim_image_become(disk->image, disk->snapshot);
    sim_unschedule(disk->node->sim, &disk->writeback);
    return true;
}
