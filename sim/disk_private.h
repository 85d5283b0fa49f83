/* What the files of the disk share (disk.c, disk_rule.c, disk_execute.c). */
#ifndef SIM_DISK_PRIVATE_H
#define SIM_DISK_PRIVATE_H

#include "sim/disk.h"
#include "sim/fault.h"

struct disk_handle {
    struct sim_inode *inode; /* NULL: free */
    uint32_t flags;
    bool writing;  /* W7: one write at a time */
    uint32_t next; /* of a free one: the next free handle, 0: none */
    char *path;    /* as opened */
    uint32_t site; /* digest of the path: where its decisions fall */
};

struct disk_job {
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
    struct disk_handle *handles; /* [handle], 0 unused */
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

/* ---- disk_rule.c ---- */
struct disk_handle *disk_handle_of(struct sim_disk *disk, struct disk_file file);
uint32_t disk_handle_take(struct sim_disk *disk);
void disk_handle_close(struct sim_disk *disk, struct disk_handle *handle);
/* Where decisions of a path fall. */
uint32_t disk_path_site(const char *path);
bool disk_op_has_file(enum disk_op op);
struct decide_site disk_site(struct sim_disk *disk, enum decide_what what,
                             const struct disk_req *req);
uint64_t disk_slices_length(const struct disk_req *req);
/* The rule that says otherwise; NULL: none. req NULL: a sync of one file among several. */
struct sim_disk_rule *disk_rule_fires(struct sim_disk *disk, enum disk_op op,
                                      const struct disk_req *req, const char *path);

/* ---- disk_execute.c ---- */
void disk_write_bytes(struct sim_disk *disk, struct disk_req *req, uint64_t most);
uint64_t disk_space_left(const struct sim_disk *disk);
enum err disk_run_write(struct sim_disk *disk, struct disk_req *req);
/* The request happens now; `mark`: what a sync covers. */
enum err disk_execute(struct sim_disk *disk, struct disk_req *req, uint64_t mark);

#endif
