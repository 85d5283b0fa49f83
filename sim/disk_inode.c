/* Inodes, names and pending operations of a simulated disk: the parts of disk_image.c. */
#include "sim/disk_image_private.h"

#include "client/base/assert.h"
#include "sim/sim.h"

#include <stdio.h>
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

struct slot *image_slot_at(struct sim_inode *inode, uint64_t index)
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

void image_page_zero_from(struct page **place, uint32_t from)
{
    if (*place != NULL && from < SIM_PAGE) memset(image_page_own(place) + from, 0, SIM_PAGE - from);
}

/* What the device has, less what is cut off it: also a cut that is not yet durable is seen. */
void image_page_reread(struct sim_inode *inode, uint64_t index)
{
    struct slot *slot = &inode->slots[index];
    uint64_t begin = index * SIM_PAGE;
    uint64_t end = begin + SIM_PAGE;

    LIST_FOR_EACH (link, &inode->pending) {
        const struct op *op = LIST_ENTRY(link, struct op, link);

        if (op->kind == OP_SIZE && op->exact && op->size < end) end = op->size;
    }
    page_drop(&slot->visible);
    slot->orphan = false;
    if (end <= begin) return;
    slot->visible = page_share(slot->durable);
    image_page_zero_from(&slot->visible, (uint32_t)(end - begin));
}

/* ---- inodes and entries ---------------------------------------------------------------------- */

/* Space comes back when nobody sees the file any more, whatever the device still holds. */
uint64_t image_inode_space(const struct sim_inode *inode)
{
    uint64_t pages = inode->reserved;

    if (inode->names == 0 && inode->opens == 0) return 0;
    for (uint64_t i = inode->reserved; i < inode->slot_count; i++)
        pages += inode->slots[i].visible != NULL;
    return pages;
}

void image_charge(struct sim_image *image, struct sim_inode *inode, uint64_t pages)
{
    image->used_pages += pages - inode->charged;
    inode->charged = pages;
}

struct sim_inode *image_inode_create(struct sim_image *image, bool directory)
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

void image_inode_free(struct sim_image *image, struct sim_inode *inode)
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
        if (entry->visible != NULL) {
            entry->visible->names--;
            image_inode_release_space(image, entry->visible);
        }
        image_inode_drop(image, entry->visible);
        image_inode_drop(image, entry->durable);
    }
    image_inode_free(image, inode);
}

struct sim_inode *image_inode_hold(struct sim_inode *inode)
{
    if (inode != NULL) inode->refs++;
    return inode;
}

void image_inode_release_space(struct sim_image *image, struct sim_inode *inode)
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

struct entry *image_entry_find(const struct sim_inode *dir, struct str name)
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

struct entry *image_entry_make(struct sim_inode *dir, struct str name)
{
    struct entry *entry = image_entry_find(dir, name);

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

void image_entry_show(struct sim_image *image, struct entry *entry, struct sim_inode *inode)
{
    struct sim_inode *before = entry->visible;

    if (inode != NULL) {
        image_inode_hold(inode);
        inode->names++;
    }
    entry->visible = inode;
    if (before == NULL) return;
    before->names--;
    image_inode_release_space(image, before);
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

struct op *image_op_create(struct sim_image *image, struct sim_inode *inode, enum op_kind kind,
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
        image_page_zero_from(&inode->slots[keep - 1].durable, (uint32_t)(size % SIM_PAGE));
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
uint64_t image_inode_settle(struct sim_image *image, struct sim_inode *inode, uint64_t mark)
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

void image_name_change(struct sim_image *image, struct sim_inode *dir, struct entry *entry,
                       struct sim_inode *target)
{
    struct op *op = image_op_create(image, dir, OP_NAME, 0);

    op->entry = entry;
    op->target = image_inode_hold(target);
    entry->pending++;
    image_entry_show(image, entry, target);
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

void image_entry_path(char *path, const char *prefix, const struct entry *entry)
{
    int length = snprintf(path, DISK_PATH_MAX + 1, "%s%s%s", prefix, prefix[0] != '\0' ? "/" : "",
                          entry->name);

    ASSERT(length > 0 && length <= DISK_PATH_MAX);
}

struct sim_inode *image_entry_in(const struct entry *entry, enum sim_view view)
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
        at = image_entry_in(image_entry_find(at, name), view);
    }
    return at;
}

/* The directory that holds the last name of `path`; NULL: it is not there, or path is the root. */
struct sim_inode *image_path_parent(struct sim_image *image, const char *path, struct str *leaf)
{
    struct sim_inode *at = image->root;
    struct str name;

    if (!path_next(&path, leaf)) return NULL;
    while (path_next(&path, &name)) {
        at = image_entry_in(image_entry_find(at, *leaf), SIM_VIEW_VISIBLE);
        if (at == NULL || !at->directory) return NULL;
        *leaf = name;
    }
    return at;
}
