/* Shared by disk_image.c, disk_inode.c and disk_power.c only. */
#ifndef SIM_DISK_IMAGE_PRIVATE_H
#define SIM_DISK_IMAGE_PRIVATE_H

#include "sim/disk_image.h"

#include <stdlib.h>

struct page {
    uint32_t refs;
    uint8_t data[SIM_PAGE];
};

/* One page of a file. NULL is zeros. orphan: a failed sync left them different with nothing
 * pending; they are never shared again before the page is dropped. */
struct slot {
    struct page *visible;
    struct page *durable;
    uint32_t pending;
    bool orphan;
    bool cold; /* it rotted, and nobody has read it since */
};

struct entry {
    struct list link; /* in the directory, in order of creation */
    struct entry *chain;
    struct sim_inode *visible;
    struct sim_inode *durable;
    uint32_t pending;
    uint32_t hash;
    uint64_t settled; /* mark of the operation that made `durable` */
    char name[];
};

struct sim_inode {
    uint64_t number;
    uint64_t site; /* digest of the path at a power loss, or the number: where decisions fall */
    bool directory;
    bool locked;
    uint32_t refs;  /* entries (each of both images), opens, pending names */
    uint32_t names; /* visible ones */
    uint32_t opens;
    struct list link;    /* all inodes, by number */
    struct list pending; /* its operations, in order of issue */
    /* a file */
    uint64_t size;
    uint64_t durable_size;
    struct slot *slots;
    uint64_t slot_count;
    uint64_t reserved;  /* pages reserved from the beginning */
    uint64_t charged;   /* pages it occupies */
    uint64_t dirty;     /* pending bytes */
    uint32_t truncates; /* pending cuts */
    /* a directory */
    struct list entries;
    struct entry **buckets;
    uint32_t bucket_count;
    uint32_t entry_count;
};

enum op_kind { OP_DATA, OP_SIZE, OP_NAME };

struct op {
    struct list link;  /* of the inode */
    struct list order; /* of the image */
    enum op_kind kind;
    uint64_t mark;
    int64_t time_ns;
    struct sim_inode *inode; /* whose sync settles it */
    /* DATA */
    uint64_t page;
    uint32_t from;
    uint32_t to;
    /* SIZE */
    uint64_t size;
    bool exact; /* a truncate; otherwise growth */
    /* NAME: entry shows target (NULL: nothing); old entry, if any, loses it */
    struct sim_inode *old_dir;
    struct entry *entry;
    struct entry *old;
    struct sim_inode *target;
    uint8_t bytes[];
};

struct sim_image {
    struct sim_inode *root;
    struct list inodes;
    struct list order;
    uint64_t next_number;
    uint64_t mark;
    uint64_t used_pages;
    uint32_t opens;
    int64_t now_ns;
    struct sim_file_loss *losses;
};

static inline void page_drop(struct page **page)
{
    if (*page != NULL && --(*page)->refs == 0) free(*page);
    *page = NULL;
}

static inline struct page *page_share(struct page *page)
{
    if (page != NULL) page->refs++;
    return page;
}

uint8_t *image_page_own(struct page **place);
uint64_t image_inode_space(const struct sim_inode *inode); /* pages it is to be charged for */
void image_charge(struct sim_image *image, struct sim_inode *inode, uint64_t pages);
struct sim_inode *image_inode_hold(struct sim_inode *inode);
void image_inode_drop(struct sim_image *image, struct sim_inode *inode);
struct sim_inode *image_path_walk(struct sim_image *image, const char *path, enum sim_view view);
void image_entry_tidy(struct sim_inode *dir, struct entry *entry); /* frees an empty one */
void image_op_apply(struct sim_image *image, struct op *op, uint8_t mask);
void image_op_free(struct sim_image *image, struct op *op);

/* disk_inode.c */
struct slot *image_slot_at(struct sim_inode *inode, uint64_t index);
void image_page_zero_from(struct page **place, uint32_t from);
/* An orphan without pending bytes leaves the cache; the inode is to be charged anew. */
void image_page_reread(struct sim_inode *inode, uint64_t index);
struct sim_inode *image_inode_create(struct sim_image *image, bool directory);
void image_inode_release_space(struct sim_image *image, struct sim_inode *inode);
struct entry *image_entry_find(const struct sim_inode *dir, struct str name);
struct entry *image_entry_make(struct sim_inode *dir, struct str name);
void image_entry_show(struct sim_image *image, struct entry *entry, struct sim_inode *inode);
struct op *image_op_create(struct sim_image *image, struct sim_inode *inode, enum op_kind kind,
                           uint32_t bytes);
uint64_t image_inode_settle(struct sim_image *image, struct sim_inode *inode, uint64_t mark);
void image_name_change(struct sim_image *image, struct sim_inode *dir, struct entry *entry,
                       struct sim_inode *target);
struct sim_inode *image_entry_in(const struct entry *entry, enum sim_view view);
/* `prefix`, "" for the root, and the entry's name, into DISK_PATH_MAX + 1 bytes. */
void image_entry_path(char *path, const char *prefix, const struct entry *entry);
struct sim_inode *image_path_parent(struct sim_image *image, const char *path, struct str *leaf);
void image_inode_free(struct sim_image *image, struct sim_inode *inode);

#endif
