/* What stands on a simulated disk, twice: as running processes see it, and as it is on the device
 * (storage.md 18.2).
 *
 *   visible = durable + pending, in the order of issue. A pending operation is a piece of one page
 *   (4 KiB), a length, or a name. Settling applies it to the durable image: a file's sync settles
 *   its pieces and lengths, a directory's sync its names; neither settles the other.
 *   Power loss: a subset of what is pending is applied, the rest never was; then visible = durable.
 *
 * Pages are shared between both images while they agree, so a synced file is kept once. No time, no
 * latency, no errors of a device here: that is disk.c. */
#ifndef SIM_DISK_IMAGE_H
#define SIM_DISK_IMAGE_H

#include "client/base/err.h"
#include "client/base/list.h"
#include "client/base/rng.h"
#include "client/world/world.h"

enum { SIM_PAGE = 4096, SIM_SECTOR = 512 };

struct sim_image;
struct sim_inode;

/* What of the pending operations a power loss keeps. */
enum sim_loss_policy {
    SIM_LOSS_NOTHING,    /* keep all: the write cache was flushed in time */
    SIM_LOSS_EVERYTHING, /* keep none */
    SIM_LOSS_PREFIX,     /* keep those before a random moment */
    SIM_LOSS_RANDOM,     /* each on its own (DF2, DF5) */
    SIM_LOSS_PAGES,      /* each page as a whole; lengths and names on their own */
    SIM_LOSS_NAMES,      /* all data is kept, names on their own (DF5) */
    SIM_LOSS_POLICIES,
};

struct sim_loss {
    enum sim_loss_policy policy;
    uint32_t keep_per_million;    /* RANDOM, PAGES */
    uint32_t tear_per_million;    /* of pages: each 512 byte sector old or new (DF3) */
    uint32_t garbage_per_million; /* of pages: unsynced bytes of some sectors are noise (DF4) */
};

/* One file that is not what it was before the power loss. */
struct sim_file_loss {
    char path[256]; /* cut when longer */
    bool gone;      /* the name, or the whole file */
    uint64_t size;  /* as it was visible */
    uint64_t size_after;
    uint64_t synced_end; /* length that had been synced */
    uint64_t first;      /* first byte that differs or is missing */
    uint64_t lost_bytes; /* how many do */
};

struct sim_losses {
    struct sim_file_loss *files; /* owned by the image until the next power loss */
    uint32_t count;
    uint64_t lost_bytes;
    uint64_t pending; /* operations there were to decide on, */
    uint64_t dropped; /* of those that never reached the device, */
    uint64_t torn;    /* that did in some sectors only, */
    uint64_t garbage; /* that reached it as noise, */
    bool reordered;   /* a name is gone although something later is there */
};

enum sim_view {
    SIM_VIEW_VISIBLE, /* as processes see it */
    SIM_VIEW_DEVICE,  /* past the page cache: what a failed sync left is not there (H5) */
    SIM_VIEW_DURABLE, /* what stands after losing everything pending */
};

struct sim;

struct sim_image *sim_image_create(void);
void sim_image_destroy(struct sim_image *image);
void sim_image_set_time(struct sim_image *image, int64_t now_ns); /* stamps pending operations */

/* Paths are relative to one root; leading and repeated slashes and "." do not matter. */
MUST_USE enum err sim_image_open(struct sim_image *image, const char *path, uint32_t flags,
                                 struct sim_inode **inode);
void sim_image_close(struct sim_image *image, struct sim_inode *inode, bool locked);
uint64_t sim_image_size(const struct sim_inode *inode);
/* New bytes of device space that the write, or the reservation, would take. */
uint64_t sim_image_growth(const struct sim_inode *inode, uint64_t offset, uint64_t length);
void sim_image_write(struct sim_image *image, struct sim_inode *inode, uint64_t offset,
                     const void *data, uint64_t length);
void sim_image_reserve(struct sim_image *image, struct sim_inode *inode, uint64_t end);
/* Bytes read: short at the end of the file only. */
uint64_t sim_image_read(const struct sim_inode *inode, uint64_t offset, uint8_t *into,
                        uint64_t length, enum sim_view view);
/* So many bytes from `offset` on are in the page cache. */
uint64_t sim_image_resident(const struct sim_inode *inode, uint64_t offset, uint64_t length);
/* The network refers to its pages: it stays, whoever closes and unlinks it. */
void sim_image_pin(struct sim_inode *inode);
void sim_image_unpin(struct sim_image *image, struct sim_inode *inode);
void sim_image_truncate(struct sim_image *image, struct sim_inode *inode, uint64_t length);

MUST_USE enum err sim_image_rename(struct sim_image *image, const char *from, const char *to);
MUST_USE enum err sim_image_unlink(struct sim_image *image, const char *path);
MUST_USE enum err sim_image_mkdir(struct sim_image *image, const char *path);
MUST_USE enum err sim_image_rmdir(struct sim_image *image, const char *path);
/* As DISK_LIST; the order is drawn from rng (D14). */
MUST_USE enum err sim_image_list(struct sim_image *image, const char *path, struct rng *rng,
                                 uint8_t *into, uint64_t length, uint64_t *done, uint64_t *needed);

/* Operations have ascending marks: a sync covers what was done before its own submission. */
uint64_t sim_image_mark(const struct sim_image *image);
uint64_t sim_image_sync(struct sim_image *image, struct sim_inode *inode, uint64_t mark);
MUST_USE enum err sim_image_sync_dir(struct sim_image *image, const char *path, uint64_t mark);
uint64_t sim_image_pending_bytes(const struct sim_inode *inode);
/* DF14: what is pending of the file is marked clean and will never reach the device. */
void sim_image_sync_failed(struct sim_image *image, struct sim_inode *inode);
/* Settles everything stamped before `time_ns`; the stamp of the oldest left, INT64_MAX: none. */
int64_t sim_image_writeback(struct sim_image *image, int64_t time_ns);
/* After a process crash a page that a failed sync marked clean may have left the cache. */
void sim_image_evict_orphans(struct sim_image *image, struct sim *sim, int32_t node);
/* No file may be open. */
struct sim_losses sim_image_power_loss(struct sim_image *image, const struct sim_loss *loss,
                                       struct sim *sim, int32_t node);

bool sim_image_pending(const struct sim_image *image);  /* something is not on the device */
uint64_t sim_image_used(const struct sim_image *image); /* bytes of device space */
/* The same, counted from the pages: the account must agree with it at any time. */
uint64_t sim_image_recount(const struct sim_image *image);
uint32_t sim_image_open_count(const struct sim_image *image);

/* For oracles: content of a file by path, without effect. In SIM_VIEW_DURABLE also the names are
 * those of the device. NOT_FOUND. */
MUST_USE enum err sim_image_peek(struct sim_image *image, const char *path, enum sim_view view,
                                 uint64_t offset, uint8_t *into, uint64_t length, uint64_t *done,
                                 uint64_t *size);
/* DF7: flips one bit at rest, in both images. False: no such byte, or it is in a hole. */
bool sim_image_rot(struct sim_image *image, const char *path, uint64_t offset, uint32_t bit);
/* P7: an empty disk. No file may be open. */
void sim_image_wipe(struct sim_image *image);

/* ---- disk_damage.c --------------------------------------------------------------------------- */

/* One of the files whose path matches and that are not empty: number `draw` of them, modulo. */
const char *sim_image_pick(struct sim_image *image, const char *glob, uint64_t draw, char *path,
                           size_t size, uint64_t *file_size);
/* DF9: what was written to the file after that mark never reaches the device. How many pieces. */
uint32_t sim_image_lose(struct sim_image *image, struct sim_inode *inode, uint64_t after_mark);
/* DF10: likewise, and another page of the device has the bytes. False: there is no other. */
bool sim_image_misdirect(struct sim_image *image, struct sim_inode *inode, uint64_t after_mark,
                         uint64_t draw);
/* DF14, the variant: what is pending is gone at once, also for those who look. */
void sim_image_sync_reverts(struct sim_image *image, struct sim_inode *inode);
/* DF19: all that is visible, as a disk of its own, at the cost of the names. */
struct sim_image *sim_image_copy(const struct sim_image *image);
void sim_image_become(struct sim_image *image, const struct sim_image *from);
/* DF20: files of another disk that match, with their directories. How many. */
uint32_t sim_image_take(struct sim_image *image, const struct sim_image *from, const char *glob,
                        const char *as);
/* DF18: unlinks, durably, every file that matches. How many. */
uint32_t sim_image_empty(struct sim_image *image, const char *glob);

#endif
