/* The disk of one simulated machine: requests, latency, queueing, errors (storage.md 18). What
 * stands on it is disk_image.h.
 *
 *   submit -> [page cache or device queue] -> executed and completed at one later moment
 *
 * A request is executed when it completes; what is in flight at a crash is executed in part: none,
 * all, or a prefix of a write. Handles, locks and requests are the process's: a crash ends them. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "sim/disk_image.h"

struct sim_world;
struct sim_disk;

enum sim_disk_profile { SIM_DISK_NVME, SIM_DISK_SSD, SIM_DISK_HDD };

struct sim_disk_config {
    int64_t op_ns;        /* of the device's queue, per operation: 1/iops */
    int64_t ps_per_byte;  /* of the device: 1/bandwidth, in picoseconds */
    int64_t latency_ns;   /* until an operation is done, besides the queue */
    int64_t jitter_ns;    /* mean of the exponential tail */
    int64_t sync_ns;      /* flush of the device's cache */
    int64_t cache_ns;     /* an operation on the page cache */
    int64_t writeback_ns; /* the kernel writes back what is dirty for so long; 0: never */
    uint64_t capacity;    /* bytes */
    struct sim_loss loss; /* what a power loss keeps */
};

struct sim_disk_config sim_disk_config_default(enum sim_disk_profile profile);

/* What a rule does: fails the request, or lets it succeed and does worse. */
enum sim_disk_effect {
    SIM_DISK_FAIL,
    SIM_DISK_LOSE,      /* of a write: never reaches the device (DF9) */
    SIM_DISK_MISDIRECT, /* of a write: reaches it elsewhere (DF10) */
    SIM_DISK_STALE,     /* of a read: what was there before (DF11) */
};

/* An error to be injected: the nth matching request from now fails, and `times` of them in all. */
struct sim_disk_rule {
    uint32_t ops;       /* set of 1u << enum disk_op */
    char glob[128];     /* of the path at open or of the call; "*" and "?"; "" matches all */
    uint32_t nth;       /* 1: the next */
    uint32_t times;     /* 0: for ever */
    enum err error;     /* ERR_IO, ERR_NO_SPACE, ERR_ACCESS */
    bool partial;       /* a failing write applies a part of its bytes (DF13) */
    bool reverts;       /* a failing sync takes what was visible with it (DF14) */
    uint64_t offset;    /* only what touches this range of the file ... */
    uint64_t length;    /* ... of so many bytes; 0: anything */
    bool until_written; /* a write to that range mends it (DF12) */
    bool changes_only;  /* of DISK_OPEN: not those that only read (DF18) */
    enum sim_disk_effect effect;
    int fault;         /* enum sim_fault + 1, told when it hits; 0: nobody */
    uint32_t injected; /* out */
};

/* Told of the nth matching request (and of each after it, until it is taken off): before it is
 * executed, in the turn that submits it, or when it is done and the node does not know yet. Whoever
 * fires may crash the node. */
struct sim_disk_watch {
    struct list link;
    uint32_t ops;
    char glob[128];
    uint32_t nth;
    bool done; /* the second of the two moments */
    void (*fire)(struct sim_disk_watch *watch, struct sim_world *node);
    uint32_t seen; /* private */
};

enum { SIM_DISK_RULES_MAX = 32 };

struct sim_disk_stats {
    uint64_t reads, writes, syncs;
    uint64_t bytes_read, bytes_written;
    uint64_t errors; /* injected */
};

void sim_disk_submit(struct world *world, struct disk_req *req);

struct sim_disk *sim_disk_create(struct sim_world *node, const struct sim_disk_config *config);
void sim_disk_destroy(struct sim_disk *disk);
/* The process is gone; with `power` also what was not synced (config.loss). Returns lost bytes. */
uint64_t sim_disk_crash(struct sim_disk *disk, bool power);
bool sim_disk_idle(const struct sim_disk *disk);
uint32_t sim_disk_held(const struct sim_disk *disk); /* open files and requests in flight */

struct sim_image *sim_disk_image(struct sim_disk *disk);
struct sim_inode *sim_disk_inode(struct sim_disk *disk, struct disk_file file); /* an open one */
struct sim_disk_config *sim_disk_settings(struct sim_disk *disk); /* may be changed at any time */
const struct sim_disk_stats *sim_disk_stats(const struct sim_disk *disk);
/* Of the last power loss; valid until the next. */
struct sim_losses sim_disk_losses(const struct sim_disk *disk);

/* ---- faults (counted by fault.h) ------------------------------------------------------------- */

void sim_disk_watch(struct sim_disk *disk, struct sim_disk_watch *watch);
void sim_disk_unwatch(struct sim_disk_watch *watch);
/* Of the writes so many are done in two parts, with time between (DF16). */
void sim_disk_shorten(struct sim_disk *disk, uint32_t per_million);
/* A copy of what is visible, and back to it; no file may be open then (DF19). */
void sim_disk_snapshot(struct sim_disk *disk);
bool sim_disk_revert(struct sim_disk *disk);

/* Index of the rule; used up ones make room. Rules are asked in order; the first that fires
 * decides. UINT32_MAX: too many. */
uint32_t sim_disk_add_rule(struct sim_disk *disk, const struct sim_disk_rule *rule);
const struct sim_disk_rule *sim_disk_rule(const struct sim_disk *disk, uint32_t index);
void sim_disk_clear_rules(struct sim_disk *disk);
/* Latencies and the queue times `permille` / 1000 (DF17). */
void sim_disk_slow(struct sim_disk *disk, int64_t permille);
/* Nothing completes before `until_ns`; INT64_MAX: until sim_disk_unstall(). */
void sim_disk_stall(struct sim_disk *disk, int64_t until_ns);
void sim_disk_unstall(struct sim_disk *disk);
/* Each submit costs its node so much CPU time: a write that blocks in the call. */
void sim_disk_stall_submit(struct sim_disk *disk, int64_t ns);
void sim_disk_lie(struct sim_disk *disk, bool lying); /* syncs settle nothing (DF6) */

bool sim_glob(const char *pattern, const char *text);

#endif
