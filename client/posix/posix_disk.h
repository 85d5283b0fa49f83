/* Files of one world: a table of handles, and where each request is executed.
 *
 *   inline, in submit   open of what exists, warm reads (RWF_NOWAIT), writes while the device is
 *                       quick, close of what was opened to be read
 *   on a worker         everything else: syncs, names, sizes, listings, cold and uncached reads,
 *                       writes while the device is slow, other closes (the last close of an
 *                       unlinked file frees its blocks)
 *
 * A device (st_dev: one per log directory in practice, and one for several directories that share a
 * disk) is QUICK until 3 of its last 1,000 writes took over 1 ms, and then SLOW until a second
 * passed with only writes under 200 us; it changes only with no write in flight. After the first
 * slow one a write counts with the time it took only if its thread waited: on a busy machine most
 * are late because somebody else had the processor. Listings are judged by the same rule, all of
 * them together (a path does not say its device). A start lists the directory of each partition,
 * and with the names in memory to wake a worker costs more than the call: while they are quick one
 * is woken for all of a turn. */
#ifndef CLIENT_POSIX_POSIX_DISK_H
#define CLIENT_POSIX_POSIX_DISK_H

#include "client/posix/posix_calls.h"
#include "client/posix/posix_work.h"
#include "client/world/world.h"

enum { POSIX_DEVICES_MAX = 16, POSIX_SLOW_CALLS = 3 };

struct posix_device {
    dev_t id;
    bool slow;
    bool no_nowait;     /* RWF_NOWAIT is not supported: reads are taken for warm (tmpfs) */
    uint32_t on_worker; /* calls in flight that count */
    uint64_t calls;
    uint64_t slow_at[POSIX_SLOW_CALLS]; /* number of the last slow calls, a ring; 0: none */
    uint32_t slow_next;
    int64_t quick_since_ns; /* while slow: since when no call took 200 us */
    uint64_t moves;         /* how often it changed, for reports */
};

struct posix_file {
    int fd; /* -1: being opened */
    bool used;
    bool read_only;
    uint16_t generation;
    uint8_t device;
    uint32_t next_free;
};

struct posix_disk {
    const struct posix_calls *calls;
    struct list *ready;
    int directory_fd;
    uint32_t files_max;
    uint32_t files_open;
    uint32_t free_first; /* index + 1 */
    struct posix_file *files;
    uint32_t devices_count;
    struct posix_device devices[POSIX_DEVICES_MAX]; /* the last is shared by all that come later */
    struct posix_device names;                      /* of listings */
    struct posix_pool pool;
};

enum { POSIX_FILES_MAX = 1 << 20 };

MUST_USE enum err posix_disk_init(struct posix_disk *disk, const struct posix_calls *calls,
                                  struct list *ready, struct posix_inbox *inbox,
                                  const char *directory, uint32_t files_max, uint32_t workers);
void posix_disk_deinit(struct posix_disk *disk); /* closes every file */

void posix_disk_submit(struct posix_disk *disk, struct disk_req *req);
/* A request that comes back from a worker; it is ready afterwards. */
void posix_disk_returned(struct posix_disk *disk, struct disk_req *req);

/* How much of a range is in the page cache, from its beginning on; true: all of it, or nobody can
 * tell. And the descriptor, for the network. */
bool posix_disk_warm(struct posix_disk *disk, struct disk_file file, uint64_t offset,
                     uint64_t length, uint64_t *resident);
int posix_disk_fd(struct posix_disk *disk, struct disk_file file);

/* What one call of `took_ns` teaches about its device; pure bookkeeping, public for its test. */
void posix_disk_note(struct posix_device *device, int64_t took_ns, int64_t now_ns);

#endif
