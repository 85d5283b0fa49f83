/* Memory of variable size from a region: the node's heap.
 *
 * Blocks of 4 KiB to 64 MiB come from a binary buddy; sizes up to 2 KiB from slabs of one size class
 * (16, 32, 64, ... 2048, and the 3/4 steps 24, 48, 96, ... 1536) carved from 16 KiB blocks, returned
 * to the buddy when empty. Callers give the size back at mem_free(), so a block has no header.
 * Everything allocated must be freed before an orderly stop: mem_in_use() is then 0 (asserted).
 * Deterministic: addresses aside, the same calls give the same results. */
#ifndef CLIENT_BASE_MEM_H
#define CLIENT_BASE_MEM_H

#include "client/base/region.h"

#include <stdint.h>

enum { MEM_BUDDY_MIN_LOG = 12, MEM_BUDDY_MAX_LOG = 26, MEM_SLAB_CLASSES = 15 };

struct mem_free_block;
struct mem_slab;

struct mem {
    struct region *region;
    size_t in_use; /* bytes as asked for */
    size_t peak;
    uint64_t fail_at; /* P8: refuse when this reaches 1 while counting down; 0 = never */
    /* private */
    struct mem_free_block *free[MEM_BUDDY_MAX_LOG + 1];
    struct mem_slab *partial[MEM_SLAB_CLASSES];
    uint8_t *heap; /* the buddy's arena: a power of two aligned run inside the region */
    size_t heap_size;
    uint8_t *order; /* per 4 KiB page: state of the block that begins there */
};

/* Takes the rest of `region` for the heap, less nothing: call last, after fixed takes. */
void mem_init(struct mem *mem, struct region *region);
/* Uninitialised bytes, 16-aligned; NULL when out of memory or size is above 64 MiB. size > 0. */
void *mem_alloc(struct mem *mem, size_t size);
void *mem_zalloc(struct mem *mem, size_t size);
/* `size` as it was asked for. NULL is fine. */
void mem_free(struct mem *mem, void *block, size_t size);
static inline size_t mem_in_use(const struct mem *mem)
{
    return mem->in_use;
}

#endif
