#include "client/posix/posix_slab.h"

#include "client/base/assert.h"

#include <stdlib.h>
#include <sys/mman.h>

enum err posix_slab_init(struct posix_slab *slab, uint32_t chunks)
{
    size_t bytes = (size_t)chunks * POSIX_CHUNK_BYTES;
    void *memory;

    ASSERT(chunks > 0);
    *slab = (struct posix_slab){.chunks_count = chunks};
    slab->chunks = calloc(chunks, sizeof *slab->chunks);
    if (slab->chunks == NULL) return ERR_NO_MEMORY;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (memory == MAP_FAILED) {
        free(slab->chunks);
        return ERR_NO_MEMORY;
    }
    slab->memory = memory;
    for (uint32_t i = chunks; i-- > 0;) {
        slab->chunks[i].next_free = slab->free;
        slab->free = &slab->chunks[i];
    }
    return ERR_NONE;
}

void posix_slab_deinit(struct posix_slab *slab)
{
    munmap(slab->memory, (size_t)slab->chunks_count * POSIX_CHUNK_BYTES);
    free(slab->chunks);
}

static uint8_t *slab_base(const struct posix_slab *slab, const struct posix_chunk *chunk)
{
    return slab->memory + (size_t)(chunk - slab->chunks) * POSIX_CHUNK_BYTES;
}

uint8_t *posix_slab_room(struct posix_slab *slab, size_t *room)
{
    struct posix_chunk *chunk = slab->current;

    if (chunk != NULL && POSIX_CHUNK_BYTES - chunk->used < POSIX_CHUNK_ROOM_MIN) {
        ASSERT(chunk->loans > 0); /* else it would have started again */
        chunk->current = false;
        chunk = NULL;
    }
    if (chunk == NULL) {
        chunk = slab->free;
        slab->current = chunk;
        if (chunk == NULL) return NULL;
        slab->free = chunk->next_free;
        chunk->current = true;
        chunk->used = 0;
    }
    *room = POSIX_CHUNK_BYTES - chunk->used;
    return slab_base(slab, chunk) + chunk->used;
}

struct posix_chunk *posix_slab_lend(struct posix_slab *slab, uint32_t length)
{
    struct posix_chunk *chunk = slab->current;
    uint32_t taken = (length + 15) & ~UINT32_C(15);

    ASSERT(chunk != NULL && length > 0 && taken <= POSIX_CHUNK_BYTES - chunk->used);
    chunk->used += taken;
    chunk->loans++;
    slab->loans++;
    return chunk;
}

void posix_slab_release(struct posix_slab *slab, struct posix_chunk *chunk)
{
    ASSERT(chunk->loans > 0 && slab->loans > 0);
    chunk->loans--;
    slab->loans--;
    if (chunk->loans > 0) return;
    chunk->used = 0;
    if (chunk->current) return;
    chunk->next_free = slab->free;
    slab->free = chunk;
}
