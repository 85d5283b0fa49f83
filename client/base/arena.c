#include "client/base/arena.h"

#include "client/base/assert.h"
#include "client/base/poison.h"

#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_CHUNK_SMALLEST = 4096, ARENA_CHUNK_LARGEST = 64 * 1024 };

/* The newest chunk comes first; the last of the list is the one that a reset keeps. */
struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* with this head */
    size_t at;   /* where the next allocation begins */
    size_t unused;
};

_Static_assert(sizeof(struct arena_chunk) % ARENA_ALIGN == 0, "what follows the head is aligned");

void arena_init(struct arena *arena, struct mem *mem, size_t max)
{
    *arena = (struct arena){.mem = mem, .max = max};
}

static struct arena_chunk *arena_grow(struct arena *arena, size_t need)
{
    size_t size = ARENA_CHUNK_SMALLEST;
    struct arena_chunk *chunk;

    if (arena->chunks != NULL && arena->chunks->size < ARENA_CHUNK_LARGEST)
        size = arena->chunks->size * 2;
    if (size > ARENA_CHUNK_LARGEST) size = ARENA_CHUNK_LARGEST;
    if (size < need + sizeof *chunk) size = need + sizeof *chunk;
    chunk = mem_alloc(arena->mem, size);
    if (chunk == NULL) return NULL;
    *chunk = (struct arena_chunk){arena->chunks, size, sizeof *chunk, 0};
    arena->chunks = chunk;
    POISON(chunk + 1, size - sizeof *chunk);
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    size_t need;
    uint8_t *place;

    if (size > arena->max - arena->used) return NULL;
    need = size == 0 ? ARENA_ALIGN : (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (need > arena->max - arena->used) return NULL;
    if (chunk == NULL || need > chunk->size - chunk->at) {
        chunk = arena_grow(arena, need);
        if (chunk == NULL) return NULL;
    }
    place = (uint8_t *)chunk + chunk->at;
    chunk->at += need;
    arena->used += need;
    UNPOISON(place, size);
    return place;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    void *place = arena_alloc(arena, size);

    return place != NULL && size > 0 ? memset(place, 0, size) : place;
}

static void chunk_free(struct arena *arena, struct arena_chunk *chunk)
{
    UNPOISON(chunk, chunk->size);
    mem_free(arena->mem, chunk, chunk->size);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;

    arena->used = 0;
    if (chunk == NULL) return;
    while (chunk->next != NULL) {
        struct arena_chunk *next = chunk->next;

        chunk_free(arena, chunk);
        chunk = next;
    }
    chunk->at = sizeof *chunk;
    POISON(chunk + 1, chunk->size - sizeof *chunk);
    arena->chunks = chunk;
}

void arena_deinit(struct arena *arena)
{
    arena_reset(arena);
    if (arena->chunks != NULL) chunk_free(arena, arena->chunks);
    arena->chunks = NULL;
}
