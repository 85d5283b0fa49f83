/* Damage to what stands on a disk, and copies of it: files found by name, bits that flip, writes
 * that went astray, images as they were, files from elsewhere (storage.md DF7 to DF10, DF18 to
 * DF20). Which place is hit follows from the number that the caller has drawn. */
#include "client/base/assert.h"
#include "sim/disk.h"
#include "sim/disk_image_private.h"
#include "sim/sim.h"

#include <stdio.h>
#include <string.h>

/* ---- every file ------------------------------------------------------------------------------ */

struct walk {
    void (*visit)(struct walk *walk, const char *path, struct sim_inode *inode);
    const char *glob;
    uint64_t count;
    uint64_t wanted; /* the file of this number */
    char path[DISK_PATH_MAX + 1];
    struct sim_inode *found;
    struct sim_image *into; /* of a copy */
    const char *as;
};

static void walk_dir(struct walk *walk, const struct sim_inode *dir, const char *prefix)
{
    LIST_FOR_EACH (link, &dir->entries) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        char path[DISK_PATH_MAX + 1];

        if (entry->visible == NULL) continue;
        image_entry_path(path, prefix, entry);
        if (entry->visible->directory) {
            walk_dir(walk, entry->visible, path);
        } else if (walk->glob == NULL || sim_glob(walk->glob, path)) {
            walk->visit(walk, path, entry->visible);
        }
    }
}

static void visit_nonempty(struct walk *walk, const char *path, struct sim_inode *inode)
{
    if (inode->size == 0) return;
    if (walk->count == walk->wanted) {
        (void)snprintf(walk->path, sizeof walk->path, "%s", path);
        walk->found = inode;
    }
    walk->count++;
}

const char *sim_image_pick(struct sim_image *image, const char *glob, uint64_t draw, char *path,
                           size_t size, uint64_t *file_size)
{
    struct walk walk = {.visit = visit_nonempty, .glob = glob, .wanted = UINT64_MAX};

    walk_dir(&walk, image->root, "");
    if (walk.count == 0) return NULL;
    walk.wanted = draw % walk.count;
    walk.count = 0;
    walk_dir(&walk, image->root, "");
    (void)snprintf(path, size, "%s", walk.path);
    *file_size = walk.found->size;
    return path;
}

/* ---- writes that went astray ----------------------------------------------------------------- */

uint32_t sim_image_lose(struct sim_image *image, struct sim_inode *inode, uint64_t after_mark)
{
    uint32_t lost = 0;

    LIST_FOR_EACH_SAFE (link, after, &inode->pending) {
        struct op *op = LIST_ENTRY(link, struct op, link);

        if (op->kind != OP_DATA || op->mark <= after_mark) continue;
        inode->slots[op->page].orphan = true;
        image_op_free(image, op);
        lost++;
    }
    return lost;
}

/* A page of the device that holds something, other than the one meant; those of the same file
 * before all others. */
static struct slot *astray(struct sim_image *image, const struct sim_inode *meant, uint64_t page,
                           uint64_t draw)
{
    for (uint32_t same = 2; same-- > 0;) {
        uint64_t count = 0;
        struct slot *found = NULL;

        for (uint32_t pass = 0; pass < 2; pass++) {
            uint64_t wanted = pass == 1 ? draw % count : UINT64_MAX;

            count = 0;
            LIST_FOR_EACH (link, &image->inodes) {
                struct sim_inode *inode = LIST_ENTRY(link, struct sim_inode, link);

                if (inode->directory || (inode == meant) != (same == 1)) continue;
                for (uint64_t i = 0; i < inode->slot_count; i++) {
                    if (inode->slots[i].durable == NULL || (inode == meant && i == page)) continue;
                    if (count == wanted) found = &inode->slots[i];
                    count++;
                }
            }
            if (count == 0) break;
        }
        if (found != NULL) return found;
    }
    return NULL;
}

bool sim_image_misdirect(struct sim_image *image, struct sim_inode *inode, uint64_t after_mark,
                         uint64_t draw)
{
    bool hit = false;

    LIST_FOR_EACH (link, &inode->pending) {
        const struct op *op = LIST_ENTRY(link, struct op, link);
        struct slot *slot;

        if (op->kind != OP_DATA || op->mark <= after_mark || hit) continue;
        slot = astray(image, inode, op->page, draw);
        if (slot == NULL) return false;
        memcpy(image_page_own(&slot->durable) + op->from, op->bytes, op->to - op->from);
        slot->orphan = true; /* processes still see the cached one */
        hit = true;
    }
    if (hit) (void)sim_image_lose(image, inode, after_mark);
    return hit;
}

void sim_image_sync_reverts(struct sim_image *image, struct sim_inode *inode)
{
    sim_image_sync_failed(image, inode);
    for (uint64_t i = 0; i < inode->slot_count; i++) {
        if (inode->slots[i].orphan && inode->slots[i].pending == 0) image_page_reread(inode, i);
    }
    image_charge(image, inode, image_inode_space(inode));
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* A rename that took the name away has happened: its file stands under the other one. */
static void name_over(struct sim_image *image, struct op *op, const struct entry *entry)
{
    if (op->entry != entry) image_op_apply(image, op, 0xff);
    image_op_free(image, op);
}

/* The directory of that name in a directory, made durably when it is missing. */
static struct sim_inode *copy_dir(struct sim_image *image, struct sim_inode *dir, const char *name,
                                  bool directory)
{
    struct entry *entry = image_entry_make(dir, str_of(name));

    if (entry->visible != NULL && entry->visible->directory && directory) return entry->visible;
    while (entry->pending > 0) { /* what was said of the name before is over */
        struct list *at = image->order.next;

        while (LIST_ENTRY(at, struct op, order)->entry != entry &&
               LIST_ENTRY(at, struct op, order)->old != entry)
            at = at->next;
        name_over(image, LIST_ENTRY(at, struct op, order), entry);
        entry = image_entry_make(dir, str_of(name));
    }
    image_entry_show(image, entry, image_inode_create(image, directory));
    image_inode_drop(image, entry->durable);
    entry->durable = image_inode_hold(entry->visible);
    return entry->visible;
}

static void copy_file(struct sim_image *image, struct sim_inode *dir, const char *name,
                      const struct sim_inode *from)
{
    struct sim_inode *to = copy_dir(image, dir, name, false);
    uint64_t pages = 0;

    to->size = from->size;
    to->durable_size = from->size;
    for (uint64_t i = 0; i < from->slot_count; i++) {
        struct slot *slot;

        if (from->slots[i].visible == NULL) continue;
        slot = image_slot_at(to, i);
        slot->visible = page_share(from->slots[i].visible);
        slot->durable = page_share(from->slots[i].visible);
        pages++;
    }
    image_charge(image, to, pages);
}

static void copy_tree(struct sim_image *image, struct sim_inode *to, const struct sim_inode *from)
{
    LIST_FOR_EACH (link, &from->entries) {
        const struct entry *entry = LIST_ENTRY(link, struct entry, link);

        if (entry->visible == NULL) continue;
        if (entry->visible->directory) {
            copy_tree(image, copy_dir(image, to, entry->name, true), entry->visible);
        } else {
            copy_file(image, to, entry->name, entry->visible);
        }
    }
}

struct sim_image *sim_image_copy(const struct sim_image *image)
{
    struct sim_image *copy = sim_image_create();

    copy_tree(copy, copy->root, image->root);
    return copy;
}

void sim_image_become(struct sim_image *image, const struct sim_image *from)
{
    sim_image_wipe(image);
    copy_tree(image, image->root, from->root);
}

static void visit_take(struct walk *walk, const char *path, struct sim_inode *inode)
{
    struct sim_inode *dir = walk->into->root;
    char part[DISK_PATH_MAX + 1];
    const char *end;

    /* data/orders-0/000.log: "as" stands for the second part */
    for (uint32_t depth = 0; (end = strchr(path, '/')) != NULL; depth++) {
        (void)snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
        if (depth == 1 && walk->as != NULL) (void)snprintf(part, sizeof part, "%s", walk->as);
        dir = copy_dir(walk->into, dir, part, true);
        path = end + 1;
    }
    copy_file(walk->into, dir, path, inode);
    walk->count++;
}

uint32_t sim_image_take(struct sim_image *image, const struct sim_image *from, const char *glob,
                        const char *as)
{
    struct walk walk = {.visit = visit_take, .glob = glob, .into = image, .as = as};
    struct sim_image *copy = sim_image_copy(from); /* it may be the same disk */

    walk_dir(&walk, copy->root, "");
    sim_image_destroy(copy);
    return (uint32_t)walk.count;
}

static void visit_empty(struct walk *walk, const char *path, struct sim_inode *inode)
{
    (void)inode;
    if (walk->count == 0) (void)snprintf(walk->path, sizeof walk->path, "%s", path);
    walk->count++;
}

uint32_t sim_image_empty(struct sim_image *image, const char *glob)
{
    uint32_t gone = 0;

    for (;;) {
        struct walk walk = {.visit = visit_empty, .glob = glob};

        walk_dir(&walk, image->root, "");
        if (walk.count == 0) break;
        if (sim_image_unlink(image, walk.path) != ERR_NONE) break;
        gone++;
    }
    (void)sim_image_writeback(image, INT64_MAX); /* nothing of it comes back */
    return gone;
}
