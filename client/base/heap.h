/* Deadlines in order: an intrusive 4-ary heap with a total order, (deadline, sequence). The caller
 * gives every node of a heap another sequence (a counter), so ties are broken the same way in
 * every run. */
#ifndef CLIENT_BASE_HEAP_H
#define CLIENT_BASE_HEAP_H

#include "client/base/err.h"
#include "client/base/mem.h"

struct heap_node {
    int64_t deadline;
    uint64_t sequence;
    uint32_t position; /* private: in the array, HEAP_NOWHERE when not queued */
};

#define HEAP_NOWHERE UINT32_MAX

struct heap {
    struct mem *mem;
    uint32_t count;
    uint32_t max;
    /* private */
    uint32_t capacity;
    struct heap_node **nodes;
};

/* Takes no memory yet; grows by doubling up to `max` nodes, which is above 0. */
void heap_init(struct heap *heap, struct mem *mem, uint32_t max);
/* Asserts that the heap is empty. */
void heap_deinit(struct heap *heap);

/* Before the first push; a zeroed node would look queued. */
static inline void heap_node_init(struct heap_node *node)
{
    *node = (struct heap_node){.position = HEAP_NOWHERE};
}

static inline bool heap_queued(const struct heap_node *node)
{
    return node->position != HEAP_NOWHERE;
}

/* Room for `count` nodes, so that no push up to there can fail. */
MUST_USE enum err heap_reserve(struct heap *heap, uint32_t count);
/* ERR_TOO_MANY at the maximum, ERR_NO_MEMORY. The node is not queued yet. */
MUST_USE enum err heap_push(struct heap *heap, struct heap_node *node, int64_t deadline,
                            uint64_t sequence);
/* The earliest; NULL when empty. */
struct heap_node *heap_peek(const struct heap *heap);
struct heap_node *heap_pop(struct heap *heap);
/* The node is queued in this heap. */
void heap_remove(struct heap *heap, struct heap_node *node);
void heap_update(struct heap *heap, struct heap_node *node, int64_t deadline, uint64_t sequence);

#endif
