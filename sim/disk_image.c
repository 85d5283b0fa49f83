#include "sim/disk_image.h"

#include "client/base/assert.h"
#include "sim/disk_image_private.h"
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pages ----------------------------------------------------------------------------------- */

/* The page, to be written: alone in its place. */
uint8_t *image_page_own(struct page **place)
{
    struct page *page;

    if (*place != NULL && (*place)->refs == 1) return (*place)->data;
    page = malloc(sizeof *page);
    if (page == NULL) abort();
    page->refs = 1;
    if (*place != NULL) {
        memcpy(page->data, (*place)->data, SIM_PAGE);
    } else {
        memset(page->data, 0, SIM_PAGE);
    }
    page_drop(place);
    *place = page;
    return page->data;
}

static struct slot *slot_at(struct sim_inode *inode, uint64_t index)
{
    if (index >= inode->slot_count) {
        uint64_t count = inode->slot_count == 0 ? 1 : inode->slot_count * 2;

        if (count <= index) count = index + 1;
        inode->slots = realloc(inode->slots, count * sizeof *inode->slots);
        if (inode->slots == NULL) abort();
        memset(inode->slots + inode->slot_count, 0,
               (count - inode->slot_count) * sizeof *inode->slots);
        inode->slot_count = count;
    }
    return &inode->slots[index];
}

static void page_zero_from(struct page **place, uint32_t from)
{
    if (*place != NULL && from < SIM_PAGE) memset(image_page_own(place) + from, 0, SIM_PAGE - from);
}

/* ---- inodes and entries ---------------------------------------------------------------------- */

void image_charge(struct sim_image *image, struct sim_inode *inode, uint64_t pages)
{
    image->used_pages += pages - inode->charged;
    inode->charged = pages;
}

static struct sim_inode *inode_create(struct sim_image *image, bool directory)
{
    struct sim_inode *inode = sim_alloc(sizeof *inode);

    inode->number = image->next_number++;
    inode->directory = directory;
    list_init(&inode->link);
    list_init(&inode->pending);
    list_init(&inode->entries);
    list_push(&image->inodes, &inode->link);
    return inode;
}

static void inode_free(struct sim_image *image, struct sim_inode *inode)
{
    while (!list_empty(&inode->pending)) {
        image_op_free(image, LIST_ENTRY(inode->pending.next, struct op, link));
    }
    image_charge(image, inode, 0);
    for (uint64_t i = 0; i < inode->slot_count; i++) {
        page_drop(&inode->slots[i].visible);
        page_drop(&inode->slots[i].durable);
    }
    while (!list_empty(&inode->entries)) {
        struct entry *entry = LIST_ENTRY(list_pop(&inode->entries), struct entry, link);

        free(entry);
    }
    list_remove(&inode->link);
    free(inode->buckets);
    free(inode->slots);
    free(inode);
}

/* A directory without a name, in either image, has no entries left but durable ones: they go too,
 * and what they named, and so on. */
void image_inode_drop(struct sim_image *image, struct sim_inode *inode)
{
    if (inode == NULL) return;
    ASSERT(inode->refs > 0);
    if (--inode->refs > 0) return;
    while (!list_empty(&inode->pending)) {
        image_op_free(image, LIST_ENTRY(inode->pending.next, struct op, link));
    }
    LIST_FOR_EACH (link, &inode->entries) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);

        ASSERT(entry->pending == 0);
        if (entry->visible != NULL) entry->visible->names--;
        image_inode_drop(image, entry->visible);
        image_inode_drop(image, entry->durable);
    }
    inode_free(image, inode);
}

struct sim_inode *image_inode_hold(struct sim_inode *inode)
{
    if (inode != NULL) inode->refs++;
    return inode;
}

/* Space comes back when nobody sees the file any more, whatever the device still holds. */
static void inode_release_space(struct sim_image *image, struct sim_inode *inode)
{
    if (inode->names == 0 && inode->opens == 0) image_charge(image, inode, 0);
}

static uint32_t name_hash(const char *name, uint32_t length)
{
    return (uint32_t)sim_digest(0, name, length);
}

static void dir_grow(struct sim_inode *dir)
{
    uint32_t count = dir->bucket_count == 0 ? 8 : dir->bucket_count * 2;

    free(dir->buckets);
    dir->buckets = sim_alloc(count * sizeof(struct entry *));
    dir->bucket_count = count;
    LIST_FOR_EACH (link, &dir->entries) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        struct entry **bucket = &dir->buckets[entry->hash & (count - 1)];

        entry->chain = *bucket;
        *bucket = entry;
    }
}

static struct entry *entry_find(const struct sim_inode *dir, struct str name)
{
    uint32_t hash = name_hash(name.data, name.length);
    struct entry *entry;

    if (dir->bucket_count == 0) return NULL;
    entry = dir->buckets[hash & (dir->bucket_count - 1)];
    while (entry != NULL && !(entry->hash == hash && str_equal(str_of(entry->name), name))) {
        entry = entry->chain;
    }
    return entry;
}

static struct entry *entry_make(struct sim_inode *dir, struct str name)
{
    struct entry *entry = entry_find(dir, name);

    if (entry != NULL) return entry;
    if (dir->entry_count >= dir->bucket_count) dir_grow(dir);
    entry = sim_alloc(sizeof *entry + name.length + 1);
    memcpy(entry->name, name.data, name.length);
    entry->hash = name_hash(name.data, name.length);
    list_init(&entry->link);
    list_push(&dir->entries, &entry->link);
    entry->chain = dir->buckets[entry->hash & (dir->bucket_count - 1)];
    dir->buckets[entry->hash & (dir->bucket_count - 1)] = entry;
    dir->entry_count++;
    return entry;
}

void image_entry_tidy(struct sim_inode *dir, struct entry *entry)
{
    struct entry **at;

    if (entry->visible != NULL || entry->durable != NULL || entry->pending > 0) return;
    at = &dir->buckets[entry->hash & (dir->bucket_count - 1)];
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    list_remove(&entry->link);
    dir->entry_count--;
    free(entry);
}

static void entry_show(struct sim_image *image, struct entry *entry, struct sim_inode *inode)
{
    struct sim_inode *before = entry->visible;

    if (inode != NULL) {
        image_inode_hold(inode);
        inode->names++;
    }
    entry->visible = inode;
    if (before == NULL) return;
    before->names--;
    inode_release_space(image, before);
    image_inode_drop(image, before);
}

static void entry_settle(struct sim_image *image, struct entry *entry, struct sim_inode *inode,
                         uint64_t mark)
{
    struct sim_inode *before = entry->durable;

    if (mark < entry->settled) return; /* a later one was settled through another directory */
    entry->settled = mark;
    entry->durable = image_inode_hold(inode);
    image_inode_drop(image, before);
}

/* ---- pending operations ---------------------------------------------------------------------- */

static struct op *op_create(struct sim_image *image, struct sim_inode *inode, enum op_kind kind,
                            uint32_t bytes)
{
    struct op *op = malloc(sizeof *op + bytes);

    if (op == NULL) abort();
    *op = (struct op){.kind = kind, .inode = inode, .mark = ++image->mark};
    op->time_ns = image->now_ns;
    list_init(&op->link);
    list_init(&op->order);
    list_push(&inode->pending, &op->link);
    list_push(&image->order, &op->order);
    return op;
}

/* Takes it off the books, whether it was applied or not. */
void image_op_free(struct sim_image *image, struct op *op)
{
    list_remove(&op->link);
    list_remove(&op->order);
    switch (op->kind) {
    case OP_DATA:
        op->inode->slots[op->page].pending--;
        op->inode->dirty -= op->to - op->from;
        break;
    case OP_SIZE:
        if (op->exact) op->inode->truncates--;
        break;
    case OP_NAME:
        op->entry->pending--;
        image_entry_tidy(op->inode, op->entry);
        if (op->old != NULL) {
            op->old->pending--;
            image_entry_tidy(op->old_dir, op->old);
            image_inode_drop(image, op->old_dir);
        }
        image_inode_drop(image, op->target);
        break;
    }
    free(op);
}

static void durable_cut(struct sim_inode *inode, uint64_t size)
{
    uint64_t keep = (size + SIM_PAGE - 1) / SIM_PAGE;

    for (uint64_t i = keep; i < inode->slot_count; i++)
        page_drop(&inode->slots[i].durable);
    if (size % SIM_PAGE != 0 && keep <= inode->slot_count) {
        page_zero_from(&inode->slots[keep - 1].durable, (uint32_t)(size % SIM_PAGE));
    }
    inode->durable_size = size;
}

/* Earlier names that the rename took away never come back on their own. */
static void name_supersede(struct sim_image *image, struct op *rename)
{
    LIST_FOR_EACH_SAFE (link, after, &rename->old_dir->pending) {
        struct op *op = LIST_ENTRY(link, struct op, link);

        if (op == rename || op->mark >= rename->mark) break;
        if (op->kind == OP_NAME && op->entry == rename->old && op->old == NULL) {
            image_op_free(image, op);
        }
    }
}

/* Makes it durable; mask: the sectors of the page that take it. Not freed. */
void image_op_apply(struct sim_image *image, struct op *op, uint8_t mask)
{
    struct sim_inode *inode = op->inode;
    struct slot *slot;

    switch (op->kind) {
    case OP_DATA:
        slot = &inode->slots[op->page];
        if (mask == 0xff && slot->pending == 1 && !slot->orphan && inode->truncates == 0) {
            page_drop(&slot->durable);
            slot->durable = page_share(slot->visible);
            return;
        }
        for (uint32_t at = op->from; at < op->to;) {
            uint32_t end = (at / SIM_SECTOR + 1) * SIM_SECTOR;

            if (end > op->to) end = op->to;
            if (mask >> at / SIM_SECTOR & 1) {
                memcpy(image_page_own(&slot->durable) + at, op->bytes + (at - op->from), end - at);
            }
            at = end;
        }
        return;
    case OP_SIZE:
        if (op->exact) {
            durable_cut(inode, op->size);
        } else if (op->size > inode->durable_size) {
            inode->durable_size = op->size;
        }
        return;
    case OP_NAME:
        if (op->old != NULL) {
            name_supersede(image, op);
            entry_settle(image, op->old, NULL, op->mark);
        }
        entry_settle(image, op->entry, op->target, op->mark);
        return;
    }
}

/* Every operation of the inode up to the mark. The inode is held: the last name may go. */
static uint64_t inode_settle(struct sim_image *image, struct sim_inode *inode, uint64_t mark)
{
    uint64_t bytes = 0;

    (void)image_inode_hold(inode);
    while (!list_empty(&inode->pending)) {
        struct op *op = LIST_ENTRY(inode->pending.next, struct op, link);

        if (op->mark > mark) break;
        bytes += op->to - op->from;
        image_op_apply(image, op, 0xff);
        image_op_free(image, op);
    }
    image_inode_drop(image, inode);
    return bytes;
}

static void name_change(struct sim_image *image, struct sim_inode *dir, struct entry *entry,
                        struct sim_inode *target)
{
    struct op *op = op_create(image, dir, OP_NAME, 0);

    op->entry = entry;
    op->target = image_inode_hold(target);
    entry->pending++;
    entry_show(image, entry, target);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static bool path_next(const char **path, struct str *name)
{
    do {
        while (**path == '/')
            (*path)++;
        name->data = *path;
        while (**path != '\0' && **path != '/')
            (*path)++;
        name->length = (uint32_t)(*path - name->data);
    } while (str_equal(*name, STR(".")));
    return name->length > 0;
}

static struct sim_inode *entry_in(const struct entry *entry, enum sim_view view)
{
    if (entry == NULL) return NULL;
    return view == SIM_VIEW_DURABLE ? entry->durable : entry->visible;
}

/* The inode at `path`, or NULL. */
struct sim_inode *image_path_walk(struct sim_image *image, const char *path, enum sim_view view)
{
    struct sim_inode *at = image->root;
    struct str name;

    while (path_next(&path, &name)) {
        if (at == NULL || !at->directory) return NULL;
        at = entry_in(entry_find(at, name), view);
    }
    return at;
}

/* The directory that holds the last name of `path`; NULL: it is not there, or path is the root. */
static struct sim_inode *path_parent(struct sim_image *image, const char *path, struct str *leaf)
{
    struct sim_inode *at = image->root;
    struct str name;

    if (!path_next(&path, leaf)) return NULL;
    while (path_next(&path, &name)) {
        at = entry_in(entry_find(at, *leaf), SIM_VIEW_VISIBLE);
        if (at == NULL || !at->directory) return NULL;
        *leaf = name;
    }
    return at;
}

/* ---- files ----------------------------------------------------------------------------------- */

enum err sim_image_open(struct sim_image *image, const char *path, uint32_t flags,
                        struct sim_inode **inode)
{
    struct str leaf;
    struct sim_inode *dir = path_parent(image, path, &leaf);
    struct sim_inode *found;

    if (dir == NULL) return ERR_NOT_FOUND;
    found = entry_in(entry_find(dir, leaf), SIM_VIEW_VISIBLE);
    if (found == NULL && (flags & DISK_CREATE) == 0) return ERR_NOT_FOUND;
    if (found != NULL && (flags & DISK_CREATE) != 0 && (flags & DISK_EXCLUSIVE) != 0) {
        return ERR_EXISTS;
    }
    if (found != NULL && found->directory) return ERR_ACCESS;
    if (found != NULL && found->locked && (flags & DISK_LOCK) != 0) return ERR_ACCESS;
    if (found == NULL) {
        found = inode_create(image, false);
        name_change(image, dir, entry_make(dir, leaf), found);
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
    inode_release_space(image, inode);
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
    struct op *op = op_create(image, inode, OP_SIZE, 0);

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
        struct slot *slot = slot_at(inode, index);
        struct op *op = op_create(image, inode, OP_DATA, part);

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

static void image_copy_out(const struct sim_inode *inode, uint64_t offset, uint8_t *into,
                           uint64_t length, enum sim_view view)
{
    for (uint64_t done = 0; done < length;) {
        uint64_t index = (offset + done) / SIM_PAGE;
        uint32_t at = (uint32_t)((offset + done) % SIM_PAGE);
        uint32_t part = SIM_PAGE - at < length - done ? SIM_PAGE - at : (uint32_t)(length - done);
        const struct page *page = NULL;

        if (index < inode->slot_count) {
            const struct slot *slot = &inode->slots[index];

            page = slot->visible;
            if (view == SIM_VIEW_DURABLE || (view == SIM_VIEW_DEVICE && slot->orphan)) {
                page = slot->durable;
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
    return length;
}

void sim_image_truncate(struct sim_image *image, struct sim_inode *inode, uint64_t length)
{
    uint64_t keep = (length + SIM_PAGE - 1) / SIM_PAGE;
    uint64_t dropped = inode->reserved > keep ? inode->reserved - keep : 0;

    if (length >= inode->size) {
        if (length > inode->size) size_change(image, inode, length, false);
        return;
    }
    for (uint64_t i = keep; i < inode->slot_count; i++) {
        if (inode->slots[i].visible != NULL && i >= inode->reserved) dropped++;
        page_drop(&inode->slots[i].visible);
        inode->slots[i].orphan = false;
    }
    if (length % SIM_PAGE != 0 && keep <= inode->slot_count) {
        page_zero_from(&inode->slots[keep - 1].visible, (uint32_t)(length % SIM_PAGE));
    }
    if (inode->reserved > keep) inode->reserved = keep;
    ASSERT(dropped <= inode->charged);
    image_charge(image, inode, inode->charged - dropped);
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
    struct sim_inode *from_dir = path_parent(image, from, &from_leaf);
    struct sim_inode *to_dir = path_parent(image, to, &to_leaf);
    struct entry *old;
    struct entry *entry;
    struct op *op;

    if (from_dir == NULL || to_dir == NULL) return ERR_NOT_FOUND;
    old = entry_find(from_dir, from_leaf);
    if (old == NULL || old->visible == NULL) return ERR_NOT_FOUND;
    entry = entry_make(to_dir, to_leaf);
    if (entry == old) return ERR_NONE;
    if (entry->visible != NULL && entry->visible->directory != old->visible->directory) {
        return ERR_EXISTS;
    }
    if (entry->visible != NULL && entry->visible->directory && !dir_empty(entry->visible)) {
        return ERR_EXISTS;
    }
    op = op_create(image, to_dir, OP_NAME, 0);
    op->entry = entry;
    op->old = old;
    op->old_dir = image_inode_hold(from_dir);
    op->target = image_inode_hold(old->visible);
    entry->pending++;
    old->pending++;
    entry_show(image, entry, op->target);
    entry_show(image, old, NULL);
    return ERR_NONE;
}

static enum err image_remove(struct sim_image *image, const char *path, bool directory)
{
    struct str leaf;
    struct sim_inode *dir = path_parent(image, path, &leaf);
    struct entry *entry = dir != NULL ? entry_find(dir, leaf) : NULL;

    if (entry == NULL || entry->visible == NULL) return ERR_NOT_FOUND;
    if (entry->visible->directory != directory) return ERR_ACCESS;
    if (directory && !dir_empty(entry->visible)) return ERR_EXISTS;
    name_change(image, dir, entry, NULL);
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
    struct sim_inode *dir = path_parent(image, path, &leaf);
    struct entry *entry;

    if (dir == NULL)
        return image_path_walk(image, path, SIM_VIEW_VISIBLE) != NULL ? ERR_EXISTS : ERR_NOT_FOUND;
    entry = entry_find(dir, leaf);
    if (entry != NULL && entry->visible != NULL) return ERR_EXISTS;
    name_change(image, dir, entry_make(dir, leaf), inode_create(image, true));
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
    return inode_settle(image, inode, mark);
}

enum err sim_image_sync_dir(struct sim_image *image, const char *path, uint64_t mark)
{
    struct sim_inode *dir = image_path_walk(image, path, SIM_VIEW_VISIBLE);

    if (dir == NULL || !dir->directory) return ERR_NOT_FOUND;
    (void)inode_settle(image, dir, mark);
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

void sim_image_evict_orphans(struct sim_image *image, struct rng *rng)
{
    LIST_FOR_EACH (link, &image->inodes) {
        struct sim_inode *inode = LIST_ENTRY(link, struct sim_inode, link);

        for (uint64_t i = 0; i < inode->slot_count; i++) {
            struct slot *slot = &inode->slots[i];

            if (!slot->orphan || slot->pending > 0) continue;
            if (!rng_chance(rng, RNG_MILLION / 2)) continue;
            page_drop(&slot->visible);
            slot->visible = page_share(slot->durable);
            slot->orphan = false;
        }
    }
}

/* ---- looking --------------------------------------------------------------------------------- */

uint64_t sim_image_used(const struct sim_image *image)
{
    return image->used_pages * SIM_PAGE;
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
    slot = slot_at(inode, offset / SIM_PAGE);
    shared = slot->visible == slot->durable;
    image_page_own(&slot->visible)[offset % SIM_PAGE] ^= (uint8_t)(1u << (bit & 7));
    if (shared) {
        page_drop(&slot->durable);
        slot->durable = page_share(slot->visible);
    } else {
        image_page_own(&slot->durable)[offset % SIM_PAGE] ^= (uint8_t)(1u << (bit & 7));
    }
    return true;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct sim_image *sim_image_create(void)
{
    struct sim_image *image = sim_alloc(sizeof *image);

    list_init(&image->inodes);
    list_init(&image->order);
    image->next_number = 1;
    image->root = image_inode_hold(inode_create(image, true));
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
    image->root = image_inode_hold(inode_create(image, true));
}

void sim_image_destroy(struct sim_image *image)
{
    while (!list_empty(&image->order)) {
        image_op_free(image, LIST_ENTRY(image->order.next, struct op, order));
    }
    while (!list_empty(&image->inodes)) {
        inode_free(image, LIST_ENTRY(image->inodes.next, struct sim_inode, link));
    }
    free(image->losses);
    free(image);
}
