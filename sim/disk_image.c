#include "sim/disk_image.h"

#include "client/base/assert.h"
#include "sim/disk_image_private.h"
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ----------------------------------------------------------------------------------- */

enum err sim_image_open(struct sim_image *image, const char *path, uint32_t flags,
                        struct sim_inode **inode)
{
    struct str leaf;
    struct sim_inode *dir = image_path_parent(image, path, &leaf);
    struct sim_inode *found;

    if (dir == NULL) return ERR_NOT_FOUND;
    found = image_entry_in(image_entry_find(dir, leaf), SIM_VIEW_VISIBLE);
    if (found == NULL && (flags & DISK_CREATE) == 0) return ERR_NOT_FOUND;
    if (found != NULL && (flags & DISK_CREATE) != 0 && (flags & DISK_EXCLUSIVE) != 0) {
        return ERR_EXISTS;
    }
    if (found != NULL && found->directory) return ERR_ACCESS;
    if (found != NULL && found->locked && (flags & DISK_LOCK) != 0) return ERR_LOCKED;
    if (found == NULL) {
        found = image_inode_create(image, false);
        image_name_change(image, dir, image_entry_make(dir, leaf), found);
    }
    if ((flags & DISK_LOCK) != 0) found->locked = true;
    found->opens++;
    image->opens++;
    *inode = image_inode_hold(found);
    return ERR_NONE;
}

void sim_image_close(struct sim_image *image, struct sim_inode *inode, bool locked)
{
    ASSERT(inode->opens > 0);
    if (locked) inode->locked = false;
    inode->opens--;
    image->opens--;
    image_inode_release_space(image, inode);
    image_inode_drop(image, inode);
}

uint64_t sim_image_size(const struct sim_inode *inode)
{
    return inode->size;
}

uint64_t sim_image_growth(const struct sim_inode *inode, uint64_t offset, uint64_t length)
{
    uint64_t pages = 0;

    if (length == 0) return 0;
    for (uint64_t i = offset / SIM_PAGE; i <= (offset + length - 1) / SIM_PAGE; i++) {
        if (i < inode->reserved) continue;
        if (i < inode->slot_count && inode->slots[i].visible != NULL) continue;
        pages++;
    }
    return pages * SIM_PAGE;
}

static void size_change(struct sim_image *image, struct sim_inode *inode, uint64_t size, bool exact)
{
    struct op *op = image_op_create(image, inode, OP_SIZE, 0);

    op->size = size;
    op->exact = exact;
    if (exact) inode->truncates++;
    inode->size = size;
}

void sim_image_write(struct sim_image *image, struct sim_inode *inode, uint64_t offset,
                     const void *data, uint64_t length)
{
    const uint8_t *from = data;

    image_charge(image, inode, inode->charged + sim_image_growth(inode, offset, length) / SIM_PAGE);
    for (uint64_t done = 0; done < length;) {
        uint64_t index = (offset + done) / SIM_PAGE;
        uint32_t at = (uint32_t)((offset + done) % SIM_PAGE);
        uint32_t part = SIM_PAGE - at < length - done ? SIM_PAGE - at : (uint32_t)(length - done);
        struct slot *slot = image_slot_at(inode, index);
        struct op *op = image_op_create(image, inode, OP_DATA, part);

        memcpy(image_page_own(&slot->visible) + at, from + done, part);
        memcpy(op->bytes, from + done, part);
        op->page = index;
        op->from = at;
        op->to = at + part;
        slot->pending++;
        inode->dirty += part;
        done += part;
    }
    if (offset + length > inode->size) size_change(image, inode, offset + length, false);
}

void sim_image_reserve(struct sim_image *image, struct sim_inode *inode, uint64_t end)
{
    uint64_t pages = (end + SIM_PAGE - 1) / SIM_PAGE;

    if (pages <= inode->reserved) return;
    image_charge(image, inode, inode->charged + sim_image_growth(inode, 0, end) / SIM_PAGE);
    inode->reserved = pages;
}

/* What a failed sync left never reaches the device; what was done to the page since then does, and
 * whoever reads past the cache sees it: a kernel writes back what is dirty before such a read. */
static void orphan_on_device(const struct sim_inode *inode, uint64_t index, struct page *page)
{
    const struct slot *slot = &inode->slots[index];
    uint64_t begin = index * SIM_PAGE;

    if (slot->durable != NULL) {
        memcpy(page->data, slot->durable->data, SIM_PAGE);
    } else {
        memset(page->data, 0, SIM_PAGE);
    }
    LIST_FOR_EACH (link, &inode->pending) {
        const struct op *op = LIST_ENTRY(link, struct op, link);

        if (op->kind == OP_DATA && op->page == index) {
            memcpy(page->data + op->from, op->bytes, op->to - op->from);
        } else if (op->kind == OP_SIZE && op->exact && op->size < begin + SIM_PAGE) {
            uint64_t from = op->size > begin ? op->size - begin : 0;

            memset(page->data + from, 0, SIM_PAGE - from);
        }
    }
}

static void image_copy_out(const struct sim_inode *inode, uint64_t offset, uint8_t *into,
                           uint64_t length, enum sim_view view)
{
    for (uint64_t done = 0; done < length;) {
        uint64_t index = (offset + done) / SIM_PAGE;
        uint32_t at = (uint32_t)((offset + done) % SIM_PAGE);
        uint32_t part = SIM_PAGE - at < length - done ? SIM_PAGE - at : (uint32_t)(length - done);
        const struct page *page = NULL;
        struct page device;

        if (index < inode->slot_count) {
            const struct slot *slot = &inode->slots[index];

            page = view == SIM_VIEW_DURABLE ? slot->durable : slot->visible;
            if (view == SIM_VIEW_DEVICE && slot->orphan) {
                orphan_on_device(inode, index, &device);
                page = &device;
            }
        }
        if (page != NULL) {
            memcpy(into + done, page->data + at, part);
        } else {
            memset(into + done, 0, part);
        }
        done += part;
    }
}

uint64_t sim_image_read(const struct sim_inode *inode, uint64_t offset, uint8_t *into,
                        uint64_t length, enum sim_view view)
{
    uint64_t size = view == SIM_VIEW_DURABLE ? inode->durable_size : inode->size;

    if (offset >= size) return 0;
    if (length > size - offset) length = size - offset;
    image_copy_out(inode, offset, into, length, view);
    for (uint64_t i = offset / SIM_PAGE;
         view == SIM_VIEW_VISIBLE && i < inode->slot_count && i * SIM_PAGE < offset + length; i++) {
        inode->slots[i].cold = false;
    }
    return length;
}

uint64_t sim_image_resident(const struct sim_inode *inode, uint64_t offset, uint64_t length)
{
    if (offset >= inode->size) return 0;
    if (length > inode->size - offset) length = inode->size - offset;
    for (uint64_t i = offset / SIM_PAGE; i < inode->slot_count && i * SIM_PAGE < offset + length;
         i++) {
        if (inode->slots[i].cold) return i * SIM_PAGE > offset ? i * SIM_PAGE - offset : 0;
    }
    return length;
}

void sim_image_pin(struct sim_inode *inode)
{
    (void)image_inode_hold(inode);
    inode->opens++;
}

void sim_image_unpin(struct sim_image *image, struct sim_inode *inode)
{
    ASSERT(inode->opens > 0);
    inode->opens--;
    image_inode_release_space(image, inode);
    image_inode_drop(image, inode);
}

void sim_image_truncate(struct sim_image *image, struct sim_inode *inode, uint64_t length)
{
    uint64_t keep = (length + SIM_PAGE - 1) / SIM_PAGE;
    uint64_t dropped = inode->reserved > keep ? inode->reserved - keep : 0;

    if (length > inode->size) {
        size_change(image, inode, length, false);
        return;
    }
    for (uint64_t i = keep; i < inode->slot_count; i++) {
        if (inode->slots[i].visible != NULL && i >= inode->reserved) dropped++;
        page_drop(&inode->slots[i].visible);
        inode->slots[i].orphan = false;
    }
    if (inode->reserved > keep) inode->reserved = keep;
    ASSERT(dropped <= inode->charged);
    image_charge(image, inode, inode->charged - dropped);
    if (length == inode->size) return; /* what was reserved behind the end is all that goes */
    if (length % SIM_PAGE != 0 && keep <= inode->slot_count) {
        image_page_zero_from(&inode->slots[keep - 1].visible, (uint32_t)(length % SIM_PAGE));
    }
    size_change(image, inode, length, true);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool dir_empty(const struct sim_inode *dir)
{
    LIST_FOR_EACH (link, &dir->entries) {
        if (LIST_ENTRY(link, struct entry, link)->visible != NULL) return false;
    }
    return true;
}

enum err sim_image_rename(struct sim_image *image, const char *from, const char *to)
{
    struct str from_leaf;
    struct str to_leaf;
    struct sim_inode *from_dir = image_path_parent(image, from, &from_leaf);
    struct sim_inode *to_dir = image_path_parent(image, to, &to_leaf);
    struct entry *old;
    struct entry *entry;
    struct op *op;

    if (from_dir == NULL || to_dir == NULL) return ERR_NOT_FOUND;
    old = image_entry_find(from_dir, from_leaf);
    if (old == NULL || old->visible == NULL) return ERR_NOT_FOUND;
    entry = image_entry_make(to_dir, to_leaf);
    if (entry == old) return ERR_NONE;
    if (entry->visible != NULL && entry->visible->directory != old->visible->directory) {
        return ERR_EXISTS;
    }
    if (entry->visible != NULL && entry->visible->directory && !dir_empty(entry->visible)) {
        return ERR_EXISTS;
    }
    op = image_op_create(image, to_dir, OP_NAME, 0);
    op->entry = entry;
    op->old = old;
    op->old_dir = image_inode_hold(from_dir);
    op->target = image_inode_hold(old->visible);
    entry->pending++;
    old->pending++;
    image_entry_show(image, entry, op->target);
    image_entry_show(image, old, NULL);
    return ERR_NONE;
}

static enum err image_remove(struct sim_image *image, const char *path, bool directory)
{
    struct str leaf;
    struct sim_inode *dir = image_path_parent(image, path, &leaf);
    struct entry *entry = dir != NULL ? image_entry_find(dir, leaf) : NULL;

    if (entry == NULL || entry->visible == NULL) return ERR_NOT_FOUND;
    if (entry->visible->directory != directory) return ERR_ACCESS;
    if (directory && !dir_empty(entry->visible)) return ERR_EXISTS;
    image_name_change(image, dir, entry, NULL);
    return ERR_NONE;
}

enum err sim_image_unlink(struct sim_image *image, const char *path)
{
    return image_remove(image, path, false);
}

enum err sim_image_rmdir(struct sim_image *image, const char *path)
{
    return image_remove(image, path, true);
}

enum err sim_image_mkdir(struct sim_image *image, const char *path)
{
    struct str leaf;
    struct sim_inode *dir = image_path_parent(image, path, &leaf);
    struct entry *entry;

    if (dir == NULL)
        return image_path_walk(image, path, SIM_VIEW_VISIBLE) != NULL ? ERR_EXISTS : ERR_NOT_FOUND;
    entry = image_entry_find(dir, leaf);
    if (entry != NULL && entry->visible != NULL) return ERR_EXISTS;
    image_name_change(image, dir, image_entry_make(dir, leaf), image_inode_create(image, true));
    return ERR_NONE;
}

static uint64_t list_entry_length(const struct entry *entry)
{
    return (offsetof(struct disk_entry, name) + strlen(entry->name) + 1 + 7) & ~UINT64_C(7);
}

enum err sim_image_list(struct sim_image *image, const char *path, struct rng *rng, uint8_t *into,
                        uint64_t length, uint64_t *done, uint64_t *needed)
{
    struct sim_inode *dir = image_path_walk(image, path, SIM_VIEW_VISIBLE);
    struct entry **shuffled;
    uint32_t count = 0;
    uint64_t at = 0;

    *needed = 0;
    if (dir == NULL || !dir->directory) return ERR_NOT_FOUND;
    shuffled = sim_alloc((dir->entry_count + 1) * sizeof(struct entry *));
    LIST_FOR_EACH (link, &dir->entries) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        uint32_t place;

        if (entry->visible == NULL) continue;
        *needed += list_entry_length(entry);
        place = (uint32_t)rng_below(rng, count + 1);
        shuffled[count++] = shuffled[place];
        shuffled[place] = entry;
    }
    for (uint32_t i = 0; i < count && *needed <= length; i++) {
        struct disk_entry *out = (struct disk_entry *)(void *)(into + at);
        uint64_t entry_length = list_entry_length(shuffled[i]);

        memset(out, 0, entry_length);
        out->size = shuffled[i]->visible->size;
        out->entry_length = (uint16_t)entry_length;
        out->directory = shuffled[i]->visible->directory;
        memcpy(out->name, shuffled[i]->name, strlen(shuffled[i]->name));
        at += entry_length;
    }
    free(shuffled);
    if (*needed > length) return ERR_TOO_LARGE;
    *done = at;
    return ERR_NONE;
}

/* ---- settling -------------------------------------------------------------------------------- */

uint64_t sim_image_mark(const struct sim_image *image)
{
    return image->mark;
}

uint64_t sim_image_sync(struct sim_image *image, struct sim_inode *inode, uint64_t mark)
{
    return image_inode_settle(image, inode, mark);
}

enum err sim_image_sync_dir(struct sim_image *image, const char *path, uint64_t mark)
{
    struct sim_inode *dir = image_path_walk(image, path, SIM_VIEW_VISIBLE);

    if (dir == NULL || !dir->directory) return ERR_NOT_FOUND;
    (void)image_inode_settle(image, dir, mark);
    return ERR_NONE;
}

uint64_t sim_image_pending_bytes(const struct sim_inode *inode)
{
    return inode->dirty;
}

void sim_image_sync_failed(struct sim_image *image, struct sim_inode *inode)
{
    LIST_FOR_EACH_SAFE (link, after, &inode->pending) {
        struct op *op = LIST_ENTRY(link, struct op, link);

        if (op->kind == OP_DATA) {
            inode->slots[op->page].orphan = true;
            image_op_free(image, op);
        }
    }
}

int64_t sim_image_writeback(struct sim_image *image, int64_t time_ns)
{
    while (!list_empty(&image->order)) {
        struct op *op = LIST_ENTRY(image->order.next, struct op, order);

        if (op->time_ns >= time_ns) return op->time_ns;
        image_op_apply(image, op, 0xff);
        image_op_free(image, op);
    }
    return INT64_MAX;
}

void sim_image_evict_orphans(struct sim_image *image, struct sim *sim, int32_t node)
{
    LIST_FOR_EACH (link, &image->inodes) {
        struct sim_inode *inode = LIST_ENTRY(link, struct sim_inode, link);

        for (uint64_t i = 0; i < inode->slot_count; i++) {
            struct slot *slot = &inode->slots[i];

            if (!slot->orphan || slot->pending > 0) continue;
            if (!decide_chance(sim, (struct decide_site){DECIDE_DISK_EVICT, node, inode->number, i},
                               RNG_MILLION / 2))
                continue;
            image_page_reread(inode, i);
        }
        image_charge(image, inode, image_inode_space(inode));
    }
}

/* ---- looking --------------------------------------------------------------------------------- */

bool sim_image_pending(const struct sim_image *image)
{
    return !list_empty(&image->order);
}

uint64_t sim_image_used(const struct sim_image *image)
{
    return image->used_pages * SIM_PAGE;
}

uint64_t sim_image_recount(const struct sim_image *image)
{
    uint64_t pages = 0;

    LIST_FOR_EACH (link, &image->inodes)
        pages += image_inode_space(LIST_ENTRY(link, struct sim_inode, link));
    return pages * SIM_PAGE;
}

uint32_t sim_image_open_count(const struct sim_image *image)
{
    return image->opens;
}

void sim_image_set_time(struct sim_image *image, int64_t now_ns)
{
    image->now_ns = now_ns;
}

enum err sim_image_peek(struct sim_image *image, const char *path, enum sim_view view,
                        uint64_t offset, uint8_t *into, uint64_t length, uint64_t *done,
                        uint64_t *size)
{
    const struct sim_inode *inode = image_path_walk(image, path, view);

    if (inode == NULL || inode->directory) return ERR_NOT_FOUND;
    *size = view == SIM_VIEW_DURABLE ? inode->durable_size : inode->size;
    *done = sim_image_read(inode, offset, into, length, view);
    return ERR_NONE;
}

bool sim_image_rot(struct sim_image *image, const char *path, uint64_t offset, uint32_t bit)
{
    struct sim_inode *inode = image_path_walk(image, path, SIM_VIEW_VISIBLE);
    struct slot *slot;
    bool shared;

    if (inode == NULL || inode->directory || offset >= inode->size) return false;
    slot = image_slot_at(inode, offset / SIM_PAGE);
    if (slot->visible == NULL) return false; /* a hole takes no space: nothing there can rot */
    shared = slot->visible == slot->durable;
    image_page_own(&slot->visible)[offset % SIM_PAGE] ^= (uint8_t)(1u << (bit & 7));
    if (shared) {
        page_drop(&slot->durable);
        slot->durable = page_share(slot->visible);
    } else {
        image_page_own(&slot->durable)[offset % SIM_PAGE] ^= (uint8_t)(1u << (bit & 7));
    }
    slot->cold = true;
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct sim_image *sim_image_create(void)
{
    struct sim_image *image = sim_alloc(sizeof *image);

    list_init(&image->inodes);
    list_init(&image->order);
    image->next_number = 1;
    image->root = image_inode_hold(image_inode_create(image, true));
    return image;
}

/* Pending operations first: they hold entries and inodes. */
void sim_image_wipe(struct sim_image *image)
{
    ASSERT(image->opens == 0);
    while (!list_empty(&image->order)) {
        image_op_free(image, LIST_ENTRY(image->order.next, struct op, order));
    }
    image_inode_drop(image, image->root);
    image->root = image_inode_hold(image_inode_create(image, true));
}

void sim_image_destroy(struct sim_image *image)
{
    while (!list_empty(&image->order)) {
        image_op_free(image, LIST_ENTRY(image->order.next, struct op, order));
    }
    while (!list_empty(&image->inodes)) {
        image_inode_free(image, LIST_ENTRY(image->inodes.next, struct sim_inode, link));
    }
    free(image->losses);
    free(image);
}
