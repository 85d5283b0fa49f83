#include "client/posix/posix_disk.h"

#include "client/posix/posix_clock.h"
#include "client/posix/posix_file.h"
#include "client/posix/posix_ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DISK_SLOW_NS    (1 * NS_PER_MS) /* three such calls of 1,000 make a device slow */
#define DISK_QUICK_NS   INT64_C(200000) /* a second of only such calls makes it quick */
#define DISK_RECOVER_NS (1 * NS_PER_SEC)
#define DISK_WINDOW     1000

/* ---- handles: index + 1 in 20 bits, generation in 12 ---- */

enum { HANDLE_BITS = 20, HANDLE_MASK = (1 << HANDLE_BITS) - 1, GENERATION_MASK = 0xfff };

static struct posix_file *disk_file(struct posix_disk *disk, struct disk_file file)
{
    uint32_t index = (file.handle & HANDLE_MASK) - 1;
    struct posix_file *found;

    ASSERT(index < disk->files_max);
    found = &disk->files[index];
    ASSERT(found->used && found->generation == file.handle >> HANDLE_BITS);
    return found;
}

static enum err disk_file_take(struct posix_disk *disk, struct disk_file *file)
{
    uint32_t index = disk->free_first - 1;
    struct posix_file *taken;

    if (disk->free_first == 0) return ERR_TOO_MANY;
    taken = &disk->files[index];
    disk->free_first = taken->next_free;
    taken->used = true;
    taken->fd = -1;
    disk->files_open++;
    file->handle = (index + 1) | ((uint32_t)taken->generation << HANDLE_BITS);
    return ERR_NONE;
}

static void disk_file_give(struct posix_disk *disk, struct posix_file *file)
{
    file->used = false;
    file->generation = (file->generation + 1) & GENERATION_MASK;
    file->next_free = disk->free_first;
    disk->free_first = (uint32_t)(file - disk->files) + 1;
    disk->files_open--;
}

/* ---- devices ---- */

static uint8_t disk_device(struct posix_disk *disk, dev_t id)
{
    uint32_t i = 0;

    while (i < disk->devices_count && disk->devices[i].id != id)
        i++;
    if (i == disk->devices_count) {
        if (i == POSIX_DEVICES_MAX) return POSIX_DEVICES_MAX - 1;
        disk->devices[i] = (struct posix_device){.id = id};
        disk->devices_count++;
    }
    return (uint8_t)i;
}

void posix_disk_note(struct posix_device *device, int64_t took_ns, int64_t now_ns)
{
    device->calls++;
    if (!device->slow) {
        uint64_t oldest;

        if (took_ns <= DISK_SLOW_NS) return;
        device->slow_at[device->slow_next] = device->calls;
        device->slow_next = (device->slow_next + 1) % POSIX_SLOW_CALLS;
        oldest = device->slow_at[device->slow_next];
        if (oldest == 0 || device->calls - oldest >= DISK_WINDOW) return;
        device->slow = true;
        device->quick_since_ns = now_ns;
        device->moves++;
        return;
    }
    if (took_ns >= DISK_QUICK_NS) device->quick_since_ns = now_ns;
    if (now_ns - device->quick_since_ns < DISK_RECOVER_NS || device->on_worker > 0) return;
    device->slow = false;
    memset(device->slow_at, 0, sizeof device->slow_at);
    device->moves++;
}

/* Whether a call of over a millisecond is looked at closely: one was slow not long ago. */
static bool disk_suspects(const struct posix_device *device)
{
    uint32_t last = (device->slow_next + POSIX_SLOW_CALLS - 1) % POSIX_SLOW_CALLS;

    return device->slow ||
           (device->slow_at[last] != 0 && device->calls - device->slow_at[last] < DISK_WINDOW);
}

/* ---- execution ---- */

/* How often this thread gave up the processor by itself. */
static int64_t disk_waits(void)
{
    struct rusage used;

    return getrusage(RUSAGE_THREAD, &used) == 0 ? (int64_t)used.ru_nvcsw : -1;
}

/* A write or a listing, and the time that the device took for it. A call that waited for nothing
 * was held up by another process on this processor: that says nothing about the device, and a
 * worker would not help. */
static enum err disk_timed(const struct posix_disk *disk, int fd, struct disk_req *req, bool watch,
                           int64_t *took_ns)
{
    int64_t waits = watch ? disk_waits() : -1;
    int64_t before = posix_clock_mono_ns();
    enum err err = req->op == DISK_WRITE
                       ? posix_file_write(disk->calls, fd, req)
                       : posix_file_other(disk->calls, disk->directory_fd, fd, req);

    *took_ns = posix_clock_mono_ns() - before;
    if (waits >= 0 && *took_ns >= DISK_QUICK_NS && disk_waits() == waits) *took_ns = 0;
    return err;
}

static struct posix_device *disk_timed_device(struct posix_disk *disk, const struct disk_req *req)
{
    if (req->op == DISK_LIST) return &disk->names;
    return &disk->devices[disk_file(disk, req->file)->device];
}

/* On a worker. What must come back besides the result stands in the request's token: the time a
 * write or a listing took (before: whether to look closely), or the device of an open. */
static void disk_run(void *owner, struct world_req *world_req)
{
    struct posix_disk *disk = owner;
    struct disk_req *req = CONTAINER_OF(world_req, struct disk_req, req);
    int fd = req->file.handle != 0 ? disk_file(disk, req->file)->fd : -1;
    enum err err = ERR_NONE;
    dev_t device;

    switch (req->op) {
    case DISK_OPEN: {
        struct posix_file *file = disk_file(disk, req->file);

        err = posix_file_open(disk->calls, disk->directory_fd, req, &file->fd, &device);
        if (err == ERR_NONE) req->req.token = device;
        break;
    }
    case DISK_CLOSE:
        close(fd);
        disk_file(disk, req->file)->fd = -1;
        break;
    case DISK_WRITE:
    case DISK_LIST: {
        int64_t took_ns;

        err = disk_timed(disk, fd, req, req->req.token != 0, &took_ns);
        req->req.token = (uint64_t)took_ns;
        break;
    }
    case DISK_READ: err = posix_file_read(disk->calls, fd, req, false); break;
    case DISK_RESIDENT: IMPOSSIBLE("never waits");
    case DISK_SYNC_MANY:
        /* Start all write-back first, so that the waits overlap. */
        for (uint32_t i = 0; i < req->file_count; i++) {
            (void)sync_file_range(disk_file(disk, req->files[i])->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        }
        for (uint32_t i = 0; i < req->file_count; i++) {
            enum err one = posix_file_sync(disk->calls, disk_file(disk, req->files[i])->fd);

            if (err == ERR_NONE) err = one;
        }
        break;
    case DISK_PREALLOCATE:
    case DISK_SYNC:
    case DISK_TRUNCATE:
    case DISK_RENAME:
    case DISK_UNLINK:
    case DISK_MKDIR:
    case DISK_RMDIR:
    case DISK_SYNC_DIR:
    case DISK_FREE_SPACE: err = posix_file_other(disk->calls, disk->directory_fd, fd, req); break;
    }
    req->req.result = err;
}

void posix_disk_returned(struct posix_disk *disk, struct disk_req *req)
{
    if (req->op == DISK_OPEN) {
        struct posix_file *file = disk_file(disk, req->file);

        if (req->req.result == ERR_NONE) {
            file->read_only = (req->flags & DISK_READ_ONLY) != 0;
            file->device = disk_device(disk, (dev_t)req->req.token);
        } else {
            disk_file_give(disk, file);
            req->file.handle = 0;
        }
    } else if (req->op == DISK_CLOSE) {
        disk_file_give(disk, disk_file(disk, req->file));
        req->file.handle = 0;
    } else if (req->op == DISK_WRITE || req->op == DISK_LIST) {
        struct posix_device *device = disk_timed_device(disk, req);

        device->on_worker--;
        posix_disk_note(device, (int64_t)req->req.token, posix_clock_mono_ns());
    }
    posix_ready(disk->ready, &req->req, req->req.result);
}

static void disk_submit_open(struct posix_disk *disk, struct disk_req *req)
{
    enum err err = disk_file_take(disk, &req->file);

    if (err != ERR_NONE) {
        req->file.handle = 0;
        posix_ready(disk->ready, &req->req, err);
        return;
    }
    if ((req->flags & (DISK_CREATE | DISK_LOCK)) != 0) {
        posix_pool_submit(&disk->pool, &req->req);
        return;
    }
    disk_run(disk, &req->req);
    posix_disk_returned(disk, req);
}

static void disk_submit_close(struct posix_disk *disk, struct disk_req *req)
{
    if (!disk_file(disk, req->file)->read_only) {
        posix_pool_submit(&disk->pool, &req->req);
        return;
    }
    disk_run(disk, &req->req);
    posix_disk_returned(disk, req);
}

static void disk_submit_write(struct posix_disk *disk, struct disk_req *req)
{
    struct posix_device *device = disk_timed_device(disk, req);

    ASSERT(req->slice_count <= DISK_SLICES_MAX);
    req->req.token = disk_suspects(device);
    device->on_worker++; /* for posix_disk_returned(), the same end for both ways */
    if (device->slow) {
        posix_pool_submit(&disk->pool, &req->req);
        return;
    }
    disk_run(disk, &req->req);
    posix_disk_returned(disk, req);
}

static void disk_submit_list(struct posix_disk *disk, struct disk_req *req)
{
    req->file.handle = 0;
    req->req.token = disk_suspects(&disk->names);
    disk->names.on_worker++;
    if (disk->names.slow) {
        posix_pool_submit(&disk->pool, &req->req);
    } else {
        posix_pool_submit_quick(&disk->pool, &req->req);
    }
}

static void disk_submit_read(struct posix_disk *disk, struct disk_req *req)
{
    struct posix_file *file = disk_file(disk, req->file);
    struct posix_device *device = &disk->devices[file->device];
    enum err err = ERR_TIMED_OUT;

    req->done = 0;
    if ((req->flags & DISK_UNCACHED) == 0) {
        if (!device->no_nowait) {
            err = posix_file_read(disk->calls, file->fd, req, true);
            device->no_nowait = err == ERR_UNSUPPORTED;
        }
        if (device->no_nowait) err = posix_file_read(disk->calls, file->fd, req, false);
    }
    if (err == ERR_TIMED_OUT) {
        posix_pool_submit(&disk->pool, &req->req);
        return;
    }
    posix_ready(disk->ready, &req->req, err);
}

bool posix_disk_warm(struct posix_disk *disk, struct disk_file handle, uint64_t offset,
                     uint64_t length, uint64_t *resident)
{
    const struct posix_file *file = disk_file(disk, handle);
    struct posix_device *device = &disk->devices[file->device];
    bool unknown = false;

    *resident = length;
    if (device->no_nowait || length == 0) return true;
    if (posix_file_resident(disk->calls, file->fd, offset, length, resident, &unknown)) return true;
    device->no_nowait = unknown;
    if (unknown) *resident = length;
    return unknown;
}

int posix_disk_fd(struct posix_disk *disk, struct disk_file file)
{
    return disk_file(disk, file)->fd;
}

static void disk_submit_resident(struct posix_disk *disk, struct disk_req *req)
{
    (void)posix_disk_warm(disk, req->file, req->offset, req->length, &req->done);
    posix_ready(disk->ready, &req->req, ERR_NONE);
}

/* The paths an operation names are there and short enough. */
static bool disk_paths_ok(const struct disk_req *req)
{
    switch (req->op) {
    case DISK_RENAME:
        if (strnlen(req->path_to, DISK_PATH_MAX + 1) > DISK_PATH_MAX) return false;
        __attribute__((fallthrough));
    case DISK_OPEN:
    case DISK_UNLINK:
    case DISK_MKDIR:
    case DISK_RMDIR:
    case DISK_LIST:
    case DISK_SYNC_DIR:
    case DISK_FREE_SPACE: return strnlen(req->path, DISK_PATH_MAX + 1) <= DISK_PATH_MAX;
    case DISK_CLOSE:
    case DISK_PREALLOCATE:
    case DISK_WRITE:
    case DISK_READ:
    case DISK_RESIDENT:
    case DISK_SYNC:
    case DISK_SYNC_MANY:
    case DISK_TRUNCATE: return true;
    }
    IMPOSSIBLE("op");
}

void posix_disk_submit(struct posix_disk *disk, struct disk_req *req)
{
    posix_take(&req->req);
    if (!disk_paths_ok(req)) {
        if (req->op == DISK_OPEN) req->file.handle = 0;
        posix_ready(disk->ready, &req->req, ERR_TOO_LARGE);
        return;
    }
    switch (req->op) {
    case DISK_OPEN: disk_submit_open(disk, req); return;
    case DISK_WRITE: disk_submit_write(disk, req); return;
    case DISK_LIST: disk_submit_list(disk, req); return;
    case DISK_READ: disk_submit_read(disk, req); return;
    case DISK_RESIDENT: disk_submit_resident(disk, req); return;
    case DISK_CLOSE: disk_submit_close(disk, req); return;
    case DISK_SYNC_MANY:
        ASSERT(req->file_count <= DISK_SYNC_MAX);
        for (uint32_t i = 0; i < req->file_count; i++)
            (void)disk_file(disk, req->files[i]);
        req->file.handle = 0;
        break;
    case DISK_PREALLOCATE:
    case DISK_SYNC:
    case DISK_TRUNCATE:
        (void)disk_file(disk, req->file); /* asserts that it is open */
        break;
    case DISK_RENAME:
    case DISK_UNLINK:
    case DISK_MKDIR:
    case DISK_RMDIR:
    case DISK_SYNC_DIR:
    case DISK_FREE_SPACE: req->file.handle = 0; break;
    }
    posix_pool_submit(&disk->pool, &req->req);
}

enum err posix_disk_init(struct posix_disk *disk, const struct posix_calls *calls,
                         struct list *ready, struct posix_inbox *inbox, const char *directory,
                         uint32_t files_max, uint32_t workers)
{
    enum err err;

    ASSERT(files_max > 0 && files_max < POSIX_FILES_MAX);
    *disk = (struct posix_disk){.calls = calls, .ready = ready, .files_max = files_max};
    disk->files = calloc(files_max, sizeof *disk->files);
    if (disk->files == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = files_max; i-- > 0;) {
        disk->files[i].fd = -1;
        disk->files[i].next_free = disk->free_first;
        disk->free_first = i + 1;
    }
    disk->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->directory_fd < 0) {
        err = posix_calls_err(errno);
        free(disk->files);
        return err;
    }
    err = posix_pool_init(&disk->pool, inbox, &inbox->disk, workers, disk, disk_run);
    if (err != ERR_NONE) {
        close(disk->directory_fd);
        free(disk->files);
    }
    return err;
}

void posix_disk_deinit(struct posix_disk *disk)
{
    posix_pool_deinit(&disk->pool);
    for (uint32_t i = 0; i < disk->files_max; i++) {
        if (disk->files[i].used && disk->files[i].fd >= 0) close(disk->files[i].fd);
    }
    close(disk->directory_fd);
    free(disk->files);
}
