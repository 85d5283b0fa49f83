/* Objects of one size with a stated maximum. Grows in chunks taken from mem, which it keeps until
 * pool_deinit(); a free object is reused last in, first out.
 *
 * Across a wait hold a handle, not a pointer: pool_get() answers NULL once the object was given
 * back, also when its place was taken again since. A zeroed handle refers to nothing. */
#ifndef CLIENT_BASE_POOL_H
#define CLIENT_BASE_POOL_H

#include "client/base/mem.h"

#include <stdbool.h>

struct handle {
    uint32_t index;
    uint32_t generation; /* 0: refers to nothing */
};

#define HANDLE_NONE ((struct handle){0, 0})

static inline bool handle_equal(struct handle a, struct handle b)
{
    return a.index == b.index && a.generation == b.generation;
}

struct pool {
    struct mem *mem;
    uint32_t object_size;
    uint32_t max;
    uint32_t in_use;
    uint32_t peak;
    /* private */
    uint32_t stride;    /* head and object */
    uint32_t per_chunk; /* objects of a chunk */
    uint32_t carved;    /* places handed out at least once */
    uint32_t free;      /* index of the first free place + 1, 0 = none */
    uint8_t **chunks;   /* taken with the first object, for `max` objects */
};

/* Takes no memory yet. object_size and max are above 0; max is below 2^31. */
void pool_init(struct pool *pool, struct mem *mem, size_t object_size, uint32_t max);
/* Asserts that every object was given back. */
void pool_deinit(struct pool *pool);
/* A zeroed, 16-aligned object; NULL at the maximum or when mem is out. */
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *object);

struct handle pool_handle(const struct pool *pool, const void *object);
/* NULL when the object was given back since. Any handle is allowed, also one from a peer. */
void *pool_get(const struct pool *pool, struct handle handle);

static inline uint32_t pool_in_use(const struct pool *pool)
{
    return pool->in_use;
}

#endif
