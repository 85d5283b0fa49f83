/* Scratch memory for one event or one request: bump allocation, freed as a whole. Grows in chunks
 * taken from the node's mem up to a stated maximum, then refuses. */
#ifndef CLIENT_BASE_ARENA_H
#define CLIENT_BASE_ARENA_H

#include "client/base/mem.h"

struct arena_chunk;

struct arena {
    struct mem *mem;
    size_t used;
    size_t max; /* hard cap on what is handed out between two resets */
    /* private */
    struct arena_chunk *chunks;
};

void arena_init(struct arena *arena, struct mem *mem, size_t max);
/* 16-aligned, uninitialised; NULL past the cap or when mem is out. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_zalloc(struct arena *arena, size_t size);
/* Keeps the first chunk for the next event, gives the others back. */
void arena_reset(struct arena *arena);
/* Gives everything back. */
void arena_deinit(struct arena *arena);

#endif
