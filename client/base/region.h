/* All memory of a node: one block of address space, handed out upward in pages, never given back.
 * A crash is region_reset(): no destructor runs, as in a real power cut.
 *
 *   region    one per node, from the world            grows to its size, then refuses
 *     mem     variable sizes: buddy blocks and slabs  everything freed at an orderly stop
 *     pool    one fixed size, a stated maximum        (pool.h)
 *     arena   one event or one request, then reset    (arena.h)
 *     buf     counted payload buffers, one budget     (buf.h) */
#ifndef CLIENT_BASE_REGION_H
#define CLIENT_BASE_REGION_H

#include <stddef.h>
#include <stdint.h>

/* The base is aligned to a page, so that the layout inside does not depend on its address. */
enum { REGION_ALIGN = 4096 };

struct region {
    uint8_t *base; /* owned by the world; zero filled at first use */
    size_t size;
    size_t used;
    /* The world's, or NULL: what stands in these pages is of no use to anybody (mem_trim()). */
    void (*unused)(void *pages, size_t size);
};

void region_init(struct region *region, void *base, size_t size);
/* `size` bytes aligned to `align` (a power of two); NULL when the region is used up. */
void *region_take(struct region *region, size_t size, size_t align);
/* Forgets everything. The world refills the memory (zero, or a pattern). */
void region_reset(struct region *region);

#endif
