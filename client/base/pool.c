#include "client/base/pool.h"

#include "client/base/assert.h"
#include "client/base/poison.h"

#include <string.h>

/* Whole pages of a power of two, as mem cuts them: only the rest of a stride is left over. */
enum { POOL_CHUNK_BYTES = 32 * 1024 };

/* Before every object, never poisoned. */
struct pool_head {
    uint32_t index;
    uint32_t generation; /* of the present or the next life; never 0 */
    uint32_t next_free;  /* index + 1 */
    uint32_t live;       /* POOL_LIVE or POOL_FREE */
};

enum { POOL_LIVE = 0x11fe, POOL_FREE = 0xf4ee };

_Static_assert(sizeof(struct pool_head) == 16, "the object behind it is 16-aligned");

void pool_init(struct pool *pool, struct mem *mem, size_t object_size, uint32_t max)
{
    size_t stride = sizeof(struct pool_head) + ((object_size + 15) & ~(size_t)15);
    size_t per_chunk = POOL_CHUNK_BYTES / stride;

    ASSERT(object_size > 0 && object_size <= MEM_MAX / 2);
    ASSERT(max > 0 && max < UINT32_C(1) << 31);
    if (per_chunk == 0) per_chunk = 1;
    if (per_chunk > max) per_chunk = max;
    *pool = (struct pool){
        .mem = mem,
        .object_size = (uint32_t)object_size,
        .max = max,
        .stride = (uint32_t)stride,
        .per_chunk = (uint32_t)per_chunk,
    };
}

static size_t chunk_bytes(const struct pool *pool)
{
    return (size_t)pool->stride * pool->per_chunk;
}

static size_t table_bytes(const struct pool *pool)
{
    return ((size_t)pool->max + pool->per_chunk - 1) / pool->per_chunk * sizeof pool->chunks[0];
}

static struct pool_head *head_at(const struct pool *pool, uint32_t index)
{
    uint8_t *chunk = pool->chunks[index / pool->per_chunk];
    uint32_t within = index % pool->per_chunk;

    return (struct pool_head *)(void *)(chunk + (size_t)within * pool->stride);
}

void pool_deinit(struct pool *pool)
{
    ASSERT(pool->in_use == 0);
    if (pool->chunks == NULL) return;
    for (uint32_t index = 0; index < pool->carved; index += pool->per_chunk) {
        uint8_t *chunk = pool->chunks[index / pool->per_chunk];

        UNPOISON(chunk, chunk_bytes(pool));
        mem_free(pool->mem, chunk, chunk_bytes(pool));
    }
    mem_free(pool->mem, pool->chunks, table_bytes(pool));
    pool->chunks = NULL;
    pool->carved = 0;
    pool->free = 0;
}

/* A place that was never used; a new chunk where one begins. */
static struct pool_head *pool_carve(struct pool *pool)
{
    uint32_t within = pool->carved % pool->per_chunk;
    struct pool_head *head;

    if (pool->chunks == NULL) {
        pool->chunks = mem_alloc(pool->mem, table_bytes(pool));
        if (pool->chunks == NULL) return NULL;
    }
    if (within == 0) {
        uint8_t *chunk = mem_alloc(pool->mem, chunk_bytes(pool));

        if (chunk == NULL) return NULL;
        POISON(chunk, chunk_bytes(pool));
        pool->chunks[pool->carved / pool->per_chunk] = chunk;
    }
    head = head_at(pool, pool->carved);
    UNPOISON(head, sizeof *head);
    *head = (struct pool_head){.index = pool->carved, .generation = 1, .live = POOL_FREE};
    pool->carved++;
    return head;
}

void *pool_take(struct pool *pool)
{
    struct pool_head *head;

    if (pool->in_use == pool->max) return NULL;
    if (pool->free != 0) {
        head = head_at(pool, pool->free - 1);
        pool->free = head->next_free;
    } else {
        head = pool_carve(pool);
        if (head == NULL) return NULL;
    }
    ASSERT(head->live == POOL_FREE);
    head->live = POOL_LIVE;
    head->next_free = 0;
    pool->in_use++;
    if (pool->in_use > pool->peak) pool->peak = pool->in_use;
    UNPOISON(head + 1, pool->object_size);
    return memset(head + 1, 0, pool->object_size);
}

static struct pool_head *head_of(const struct pool *pool, const void *object)
{
    uintptr_t at = (uintptr_t)object - sizeof(struct pool_head);
    struct pool_head *head = (struct pool_head *)at;

    ASSERT(head->live == POOL_LIVE);
    ASSERT(head->index < pool->carved);
    ASSERT(head_at(pool, head->index) == head);
    return head;
}

void pool_give(struct pool *pool, void *object)
{
    struct pool_head *head = head_of(pool, object);

    head->live = POOL_FREE;
    head->generation = head->generation == UINT32_MAX ? 1 : head->generation + 1;
    head->next_free = pool->free;
    pool->free = head->index + 1;
    pool->in_use--;
    POISON(object, pool->stride - sizeof *head);
}

struct handle pool_handle(const struct pool *pool, const void *object)
{
    const struct pool_head *head = head_of(pool, object);

    return (struct handle){head->index, head->generation};
}

void *pool_get(const struct pool *pool, struct handle handle)
{
    struct pool_head *head;

    if (handle.generation == 0 || handle.index >= pool->carved) return NULL;
    head = head_at(pool, handle.index);
    if (head->live != POOL_LIVE || head->generation != handle.generation) return NULL;
    return head + 1;
}
