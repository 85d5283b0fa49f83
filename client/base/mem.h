/* Memory of variable size from a region: the node's heap.
 *
 * Sizes above 2 KiB are whole pages of 4 KiB, cut from the blocks of a binary buddy (the tail that
 * is not needed goes back at once), up to 64 MiB. Sizes up to 2 KiB come from slabs of one size
 * class (16, 32, 64, ... 2048, and the 3/4 steps 48, 96, ... 1536) carved from 16 KiB blocks,
 * returned to the buddy when empty (one empty slab a class is kept until the buddy runs short).
 * Callers give the size back at mem_free(), so a block has no header.
 * A block of n bytes lies at a multiple of the next power of two: a heap below 128 MiB may fail
 * to serve the largest sizes although enough bytes are free.
 * Everything allocated must be freed before an orderly stop: mem_in_use() is then 0 (asserted).
 * Deterministic: addresses aside, the same calls give the same results. */
#ifndef CLIENT_BASE_MEM_H
#define CLIENT_BASE_MEM_H

#include "client/base/list.h"
#include "client/base/region.h"

#include <stdint.h>

enum {
    MEM_PAGE_LOG = 12,
    MEM_PAGE = 1 << MEM_PAGE_LOG,
    MEM_MAX_LOG = 26,
    MEM_MAX = 1 << MEM_MAX_LOG, /* the largest single allocation */
    MEM_ORDERS = MEM_MAX_LOG - MEM_PAGE_LOG + 1,
    MEM_SLAB_CLASSES = 14,
    MEM_SLAB_LARGEST = 2048,
};

struct mem_free_block;
struct mem_slab;

struct mem {
    struct region *region;
    size_t in_use; /* bytes as asked for */
    size_t peak;
    /* P8, a failpoint: every allocation counts it down, the one that finds 1 is refused (then it
     * is 0 and stays so). 0 = never. */
    uint64_t fail_at;
    /* private */
    struct mem_free_block *free[MEM_ORDERS];  /* blocks of 4 KiB << order */
    uint32_t free_orders;                     /* bit set: free[order] is not empty */
    struct list partial[MEM_SLAB_CLASSES];    /* slabs with a free slot */
    struct mem_slab *spare[MEM_SLAB_CLASSES]; /* the one empty slab that is kept */
    uint8_t *heap;
    size_t heap_size;
    size_t frontier; /* nothing at or above was ever touched: no page, no state byte */
    uint8_t *state;  /* per page: what begins there */
};

/* Takes the rest of `region` for the heap: call last, after fixed takes. Touches none of it. */
void mem_init(struct mem *mem, struct region *region);
/* Uninitialised bytes, 16-aligned; NULL when out of memory or size is above 64 MiB. size > 0. */
void *mem_alloc(struct mem *mem, size_t size);
void *mem_zalloc(struct mem *mem, size_t size);
/* `size` as it was asked for. NULL is fine. */
void mem_free(struct mem *mem, void *block, size_t size);
/* Tells the world which large free blocks need not be kept: after something that took much for a
 * while and does not come back, as a start. */
void mem_trim(struct mem *mem);
/* The bytes that a request for `size` really gets: the size class, or whole pages. */
size_t mem_class_size(size_t size);
static inline size_t mem_in_use(const struct mem *mem)
{
    return mem->in_use;
}

#endif
