#include "sim/disk.h"

#include "sim/disk_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

    if (req->op == DISK_SYNC)
        return sim_image_pending_bytes(disk_handle_of(disk, req->file)->inode);
    for (uint32_t i = 0; i < req->file_count; i++) {
        bytes += sim_image_pending_bytes(disk_handle_of(disk, req->files[i])->inode);
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
    case DISK_FREE_SPACE:
    case DISK_RESIDENT: return cache_done(disk, req, start, 0);
    case DISK_WRITE: return cache_done(disk, req, start, disk_slices_length(req));
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
            if (sim_glob(watch->glob, disk_handle_of(disk, req->files[i])->path)) return true;
        }
        return false;
    }
    return sim_glob(watch->glob,
                    disk_op_has_file(req->op) ? disk_handle_of(disk, req->file)->path : req->path);
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
static bool job_halves(struct sim_disk *disk, struct disk_job *job)
{
    struct disk_req *req = job->req;
    uint64_t total = disk_slices_length(req);
    struct sim *sim = disk->node->sim;

    if (disk->short_per_million == 0 || req->op != DISK_WRITE || job->halved || total < 2) {
        return false;
    }
    if (!decide_chance(sim, disk_site(disk, DECIDE_DISK_SHORT, req), disk->short_per_million))
        return false;
    if (sim_image_growth(disk_handle_of(disk, req->file)->inode, req->offset, total) >
        disk_space_left(disk))
        return false;
    disk_write_bytes(disk, req,
                     1 + decide_below(sim, disk_site(disk, DECIDE_DISK_SHORT, req), total - 1));
    job->halved = true;
    sim_fault_hit(sim, SIM_FAULT_SHORT_IO);
    sim_schedule(sim, &job->event, sim->now_ns + disk->config.latency_ns);
    return true;
}

static void job_done(struct sim_event *event)
{
    struct disk_job *job = CONTAINER_OF(event, struct disk_job, event);
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
    if (req->op == DISK_WRITE) disk_handle_of(disk, req->file)->writing = false;
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
            sim_disk_asked(sim, disk->node, req->op, disk_handle_of(disk, req->files[i])->path);
        return;
    }
    sim_disk_asked(sim, disk->node, req->op,
                   disk_op_has_file(req->op) ? disk_handle_of(disk, req->file)->path
                   : req->path != NULL       ? req->path
                                             : "");
}

void sim_disk_submit(struct world *world, struct disk_req *req)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_disk *disk = node->disk;
    struct disk_job *job;

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
        struct disk_handle *handle = disk_handle_of(disk, req->file);

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
static void job_interrupt(struct disk_job *job)
{
    struct sim_disk *disk = job->disk;
    struct disk_req *req = job->req;
    struct sim *sim = disk->node->sim;
    uint64_t fate = decide_below(sim, disk_site(disk, DECIDE_DISK_INTERRUPT, req), 3);

    if (fate == 0) return;
    switch (req->op) {
    case DISK_WRITE:
        if (fate == 1 && disk_slices_length(req) > 0) {
            disk_write_bytes(disk, req,
                             decide_below(sim, disk_site(disk, DECIDE_DISK_PREFIX, req),
                                          disk_slices_length(req)));
        } else {
            (void)disk_run_write(disk, req);
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
            disk_handle_close(disk, disk_handle_of(disk, req->file));
        }
        return;
    case DISK_CLOSE:
    case DISK_PREALLOCATE:
    case DISK_READ:
    case DISK_LIST:
    case DISK_FREE_SPACE:
    case DISK_RESIDENT: return;
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
        struct disk_job *job = LIST_ENTRY(list_pop(&disk->jobs), struct disk_job, link);

        job_interrupt(job);
        sim_unschedule(sim, &job->event);
        free(job);
    }
    for (uint32_t i = 1; i <= disk->handle_count; i++) {
        if (disk->handles[i].inode != NULL) disk_handle_close(disk, &disk->handles[i]);
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
        free(LIST_ENTRY(list_pop(&disk->jobs), struct disk_job, link));
    for (uint32_t i = 1; i <= disk->handle_count; i++)
        free(disk->handles[i].path);
    sim_image_destroy(disk->image);
    if (disk->snapshot != NULL) sim_image_destroy(disk->snapshot);
    free(disk->handles);
    free(disk);
}

struct sim_inode *sim_disk_inode(struct sim_disk *disk, struct disk_file file)
{
    return disk_handle_of(disk, file)->inode;
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
        struct disk_job *job = LIST_ENTRY(link, struct disk_job, link);

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
