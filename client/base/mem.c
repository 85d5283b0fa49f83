/* The heap of a node.
 *
 *   region: | ... fixed takes ... | state bytes | heap ..... frontier :  never touched  |
 *
 * The heap is counted in pages of 4 KiB. A free block of order k covers 2^k pages, begins at a
 * multiple of 2^k and is linked through its own first bytes. `state` has a byte per page:
 *
 *   INNER         no block begins here
 *   FREE | order  a free block of that order begins here
 *   USED | order  a piece of an allocation: one of n pages is kept as the binary digits of n,
 *                 largest piece first, so that freeing needs only n
 *   SLAB          a slab (4 pages) begins here
 *
 * Blocks are taken from the smallest free order that fits, and only then from the frontier, so
 * resident memory follows use, whatever the region's size, and a region that was not refilled
 * with zeros does no harm. Every operation is O(orders). */
#include "client/base/mem.h"

#include "client/base/assert.h"
#include "client/base/poison.h"

#include <stdbool.h>
#include <string.h>

enum { INNER = 0, FREE = 0x40, USED = 0x80, SLAB = 0xc0 };
enum { SLAB_ORDER = 2, SLAB_SIZE = MEM_PAGE << SLAB_ORDER };

#define NOWHERE SIZE_MAX

struct mem_free_block {
    struct mem_free_block *next;
    struct mem_free_block *prev;
};

struct slot {
    struct slot *next;
};

struct mem_slab {
    struct list link; /* in mem->partial[class], or nowhere when full */
    struct slot *free;
    uint16_t class;
    uint16_t used;
    uint16_t carved; /* slots handed out at least once */
    uint16_t slots;
};

enum { SLAB_HEAD = 48 };
_Static_assert(sizeof(struct mem_slab) <= SLAB_HEAD, "slots begin behind the head");

static const uint16_t slab_sizes[MEM_SLAB_CLASSES] = {
    16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, MEM_SLAB_LARGEST,
};

static uint32_t log2_up(size_t n)
{
    return n <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll((unsigned long long)n - 1);
}

/* Classes come in pairs, 2^k and 3/4 of 2^(k+1), from 32 on. */
static uint32_t class_of(size_t size)
{
    uint32_t log;

    if (size <= 16) return 0;
    if (size <= 32) return 1;
    log = log2_up(size); /* 2^(log-1) < size <= 2^log, log >= 6 */
    return (log - 5) * 2 + 1 - (size <= ((size_t)3 << (log - 2)) ? 1 : 0);
}

size_t mem_class_size(size_t size)
{
    if (size <= MEM_SLAB_LARGEST) return slab_sizes[class_of(size)];
    return (size + MEM_PAGE - 1) & ~(size_t)(MEM_PAGE - 1);
}

void mem_init(struct mem *mem, struct region *region)
{
    uint8_t *rest = region_take(region, 0, MEM_PAGE);
    size_t room = rest != NULL ? region->size - region->used : 0;
    size_t pages = room / (MEM_PAGE + 1);
    size_t states = (pages + MEM_PAGE - 1) & ~(size_t)(MEM_PAGE - 1);

    while (pages > 0 && states + pages * MEM_PAGE > room)
        pages--;
    *mem = (struct mem){.region = region};
    for (uint32_t i = 0; i < MEM_SLAB_CLASSES; i++)
        list_init(&mem->partial[i]);
    if (pages == 0) return;
    mem->state = region_take(region, states, MEM_PAGE);
    mem->heap = region_take(region, pages * MEM_PAGE, MEM_PAGE);
    ASSERT(mem->state != NULL && mem->heap != NULL);
    mem->heap_size = pages * MEM_PAGE;
}

/* ---- buddy: everything in page numbers --------------------------------------------------- */

static struct mem_free_block *block_at(struct mem *mem, size_t page)
{
    return (struct mem_free_block *)(void *)(mem->heap + (page << MEM_PAGE_LOG));
}

/* The links of free blocks are poisoned as well: opened for each access. */
static struct mem_free_block links_get(const struct mem_free_block *block)
{
    struct mem_free_block links;

    UNPOISON(block, sizeof *block);
    links = *block;
    POISON(block, sizeof *block);
    return links;
}

static void links_set(struct mem_free_block *block, struct mem_free_block links)
{
    UNPOISON(block, sizeof *block);
    *block = links;
    POISON(block, sizeof *block);
}

static void free_list_push(struct mem *mem, size_t page, uint32_t order)
{
    struct mem_free_block *block = block_at(mem, page);
    struct mem_free_block *next = mem->free[order];

    links_set(block, (struct mem_free_block){.next = next, .prev = NULL});
    if (next != NULL) links_set(next, (struct mem_free_block){links_get(next).next, block});
    mem->free[order] = block;
    mem->free_orders |= 1u << order;
    mem->state[page] = (uint8_t)(FREE | order);
}

/* The caller gives the page its next state. */
static void free_list_remove(struct mem *mem, size_t page, uint32_t order)
{
    struct mem_free_block gone = links_get(block_at(mem, page));

    ASSERT(mem->state[page] == (FREE | order));
    if (gone.next != NULL)
        links_set(gone.next, (struct mem_free_block){links_get(gone.next).next, gone.prev});
    if (gone.prev != NULL) {
        links_set(gone.prev, (struct mem_free_block){gone.next, links_get(gone.prev).prev});
        return;
    }
    mem->free[order] = gone.next;
    if (gone.next == NULL) mem->free_orders &= ~(1u << order);
}

static void block_give(struct mem *mem, size_t page, uint32_t order)
{
    POISON(block_at(mem, page), (size_t)MEM_PAGE << order);
    mem->state[page] = INNER;
    while (order + 1 < MEM_ORDERS) {
        size_t buddy = page ^ ((size_t)1 << order);

        if (buddy >= mem->frontier || mem->state[buddy] != (FREE | order)) break;
        free_list_remove(mem, buddy, order);
        mem->state[buddy] = INNER;
        page &= ~((size_t)1 << order);
        order++;
    }
    free_list_push(mem, page, order);
}

/* Fresh pages: the next multiple of the block's size; what is skipped becomes free blocks. */
static size_t frontier_take(struct mem *mem, uint32_t order)
{
    size_t size = (size_t)1 << order;
    size_t gap = mem->frontier;
    size_t start = (gap + size - 1) & ~(size - 1);
    size_t end = start + size;

    if (end > mem->heap_size >> MEM_PAGE_LOG) return NOWHERE;
    memset(mem->state + gap, INNER, end - gap);
    POISON(block_at(mem, start), size << MEM_PAGE_LOG);
    mem->frontier = end;
    while (gap < start) {
        uint32_t piece = (uint32_t)__builtin_ctzll((unsigned long long)gap);

        block_give(mem, gap, piece);
        gap += (size_t)1 << piece;
    }
    return start;
}

static size_t block_take(struct mem *mem, uint32_t order)
{
    uint32_t fitting = mem->free_orders & ~((1u << order) - 1);
    uint32_t found;
    size_t page;

    if (fitting == 0) return frontier_take(mem, order);
    found = (uint32_t)__builtin_ctz(fitting);
    page = (size_t)((uint8_t *)mem->free[found] - mem->heap) >> MEM_PAGE_LOG;
    free_list_remove(mem, page, found);
    mem->state[page] = INNER;
    while (found > order) {
        found--;
        free_list_push(mem, page + ((size_t)1 << found), found);
    }
    return page;
}

/* ---- slabs ------------------------------------------------------------------------------- */

static void slab_release(struct mem *mem, struct mem_slab *slab)
{
    size_t page = (size_t)((uint8_t *)slab - mem->heap) >> MEM_PAGE_LOG;

    ASSERT(slab->used == 0 && mem->state[page] == SLAB);
    list_remove(&slab->link);
    block_give(mem, page, SLAB_ORDER);
}

/* Memory is short: the empty slabs go back as well. False when there were none. */
static bool spares_release(struct mem *mem)
{
    bool released = false;

    for (uint32_t i = 0; i < MEM_SLAB_CLASSES; i++) {
        if (mem->spare[i] == NULL) continue;
        slab_release(mem, mem->spare[i]);
        mem->spare[i] = NULL;
        released = true;
    }
    return released;
}

static size_t block_take_hard(struct mem *mem, uint32_t order)
{
    size_t page = block_take(mem, order);

    if (page == NOWHERE && spares_release(mem)) page = block_take(mem, order);
    return page;
}

static struct mem_slab *slab_create(struct mem *mem, uint32_t class)
{
    size_t page = block_take_hard(mem, SLAB_ORDER);
    struct mem_slab *slab;

    if (page == NOWHERE) return NULL;
    mem->state[page] = SLAB;
    slab = (struct mem_slab *)(void *)block_at(mem, page);
    UNPOISON(slab, SLAB_HEAD);
    *slab = (struct mem_slab){
        .class = (uint16_t) class,
        .slots = (uint16_t)((SLAB_SIZE - SLAB_HEAD) / slab_sizes[class]),
    };
    list_init(&slab->link);
    list_push_front(&mem->partial[class], &slab->link);
    return slab;
}

static void *slab_alloc(struct mem *mem, size_t size)
{
    uint32_t class = class_of(size);
    struct mem_slab *slab;
    struct slot *slot;

    if (list_empty(&mem->partial[class])) {
        slab = slab_create(mem, class);
        if (slab == NULL) return NULL;
    } else {
        slab = LIST_ENTRY(mem->partial[class].next, struct mem_slab, link);
    }
    if (mem->spare[class] == slab) mem->spare[class] = NULL;
    slot = slab->free;
    if (slot != NULL) {
        UNPOISON(slot, sizeof *slot);
        slab->free = slot->next;
        POISON(slot, sizeof *slot);
    } else {
        ASSERT(slab->carved < slab->slots);
        slot = (struct slot *)(void *)((uint8_t *)slab + SLAB_HEAD +
                                       (size_t)slab->carved * slab_sizes[class]);
        slab->carved++;
    }
    slab->used++;
    if (slab->used == slab->slots) list_remove(&slab->link);
    UNPOISON(slot, size);
    return slot;
}

static void slab_free(struct mem *mem, void *block, size_t size)
{
    uint32_t class = class_of(size);
    size_t offset = (size_t)((uint8_t *)block - mem->heap);
    size_t start = offset & ~(size_t)(SLAB_SIZE - 1);
    struct mem_slab *slab = (struct mem_slab *)(void *)(mem->heap + start);
    struct slot *slot = block;

    ASSERT(mem->state[start >> MEM_PAGE_LOG] == SLAB);
    ASSERT(slab->class == class);
    ASSERT(slab->used > 0);
    ASSERT((offset - start - SLAB_HEAD) % slab_sizes[class] == 0);
    ASSERT(!POISONED(block));
    UNPOISON(slot, sizeof *slot);
    slot->next = slab->free;
    POISON(slot, slab_sizes[class]);
    slab->free = slot;
    slab->used--;
    if (slab->used == slab->slots - 1) list_push_front(&mem->partial[class], &slab->link);
    if (slab->used > 0) return;
    if (mem->spare[class] != NULL) {
        slab_release(mem, slab);
        return;
    }
    /* Kept, at the end of the list: slabs that are in use fill up first. */
    mem->spare[class] = slab;
    list_remove(&slab->link);
    list_push(&mem->partial[class], &slab->link);
}

/* ---- whole pages ------------------------------------------------------------------------- */

static void *pages_alloc(struct mem *mem, size_t size)
{
    size_t pages = (size + MEM_PAGE - 1) >> MEM_PAGE_LOG;
    uint32_t order = log2_up(pages);
    size_t page = block_take_hard(mem, order);
    size_t at = page;
    size_t end;

    if (page == NOWHERE) return NULL;
    end = page + ((size_t)1 << order);
    for (uint32_t piece = order + 1; piece-- > 0;) {
        if ((pages >> piece & 1) == 0) continue;
        mem->state[at] = (uint8_t)(USED | piece);
        at += (size_t)1 << piece;
    }
    while (at < end) {
        uint32_t piece = (uint32_t)__builtin_ctzll((unsigned long long)at);

        block_give(mem, at, piece);
        at += (size_t)1 << piece;
    }
    UNPOISON(block_at(mem, page), size);
    return block_at(mem, page);
}

static void pages_free(struct mem *mem, void *block, size_t size)
{
    size_t offset = (size_t)((uint8_t *)block - mem->heap);
    size_t pages = (size + MEM_PAGE - 1) >> MEM_PAGE_LOG;
    size_t at = offset >> MEM_PAGE_LOG;

    ASSERT((offset & (MEM_PAGE - 1)) == 0);
    for (uint32_t piece = MEM_ORDERS; piece-- > 0;) {
        if ((pages >> piece & 1) == 0) continue;
        ASSERT(mem->state[at] == (USED | piece));
        block_give(mem, at, piece);
        at += (size_t)1 << piece;
    }
}

void *mem_alloc(struct mem *mem, size_t size)
{
    void *block;

    ASSERT(size > 0);
    if (mem->fail_at != 0) {
        mem->fail_at--;
        if (mem->fail_at == 0) return NULL;
    }
    if (size > MEM_MAX) return NULL;
    block = size <= MEM_SLAB_LARGEST ? slab_alloc(mem, size) : pages_alloc(mem, size);
    if (block == NULL) return NULL;
    mem->in_use += size;
    if (mem->in_use > mem->peak) mem->peak = mem->in_use;
    return block;
}

void *mem_zalloc(struct mem *mem, size_t size)
{
    void *block = mem_alloc(mem, size);

    return block != NULL ? memset(block, 0, size) : NULL;
}

void mem_free(struct mem *mem, void *block, size_t size)
{
    if (block == NULL) return;
    ASSERT(size > 0 && size <= MEM_MAX);
    ASSERT((uintptr_t)block >= (uintptr_t)mem->heap);
    ASSERT((uintptr_t)block - (uintptr_t)mem->heap < mem->frontier << MEM_PAGE_LOG);
    ASSERT(mem->in_use >= size);
    if (size <= MEM_SLAB_LARGEST) {
        slab_free(mem, block, size);
    } else {
        pages_free(mem, block, size);
    }
    mem->in_use -= size;
}

enum { MEM_TRIM_ORDER = 4 }; /* 64 KiB and more: smaller ones are soon taken again */

void mem_trim(struct mem *mem)
{
    if (mem->region->unused == NULL) return;
    for (uint32_t order = MEM_TRIM_ORDER; order < MEM_ORDERS; order++) {
        struct mem_free_block *block = mem->free[order];

        /* The first page has the links. */
        for (; block != NULL; block = links_get(block).next)
            mem->region->unused((uint8_t *)block + MEM_PAGE,
                                ((size_t)MEM_PAGE << order) - MEM_PAGE);
    }
}
