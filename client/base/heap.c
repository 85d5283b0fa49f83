#include "client/base/heap.h"

#include "client/base/assert.h"

#include <string.h>

enum { HEAP_WAYS = 4, HEAP_CAPACITY_FIRST = 16 };

void heap_init(struct heap *heap, struct mem *mem, uint32_t max)
{
    ASSERT(max > 0 && max <= MEM_MAX / sizeof heap->nodes[0]);
    *heap = (struct heap){.mem = mem, .max = max};
}

void heap_deinit(struct heap *heap)
{
    ASSERT(heap->count == 0);
    if (heap->nodes != NULL) mem_free(heap->mem, heap->nodes, heap->capacity * sizeof(void *));
    heap->nodes = NULL;
    heap->capacity = 0;
}

enum err heap_reserve(struct heap *heap, uint32_t count)
{
    uint32_t capacity = heap->capacity;
    struct heap_node **nodes;

    if (count > heap->max) return ERR_TOO_MANY;
    if (count <= capacity) return ERR_NONE;
    if (capacity == 0) capacity = HEAP_CAPACITY_FIRST;
    while (capacity < count)
        capacity *= 2;
    if (capacity > heap->max) capacity = heap->max;
    nodes = mem_alloc(heap->mem, capacity * sizeof nodes[0]);
    if (nodes == NULL) return ERR_NO_MEMORY;
    if (heap->nodes != NULL) {
        memcpy(nodes, heap->nodes, heap->count * sizeof nodes[0]);
        mem_free(heap->mem, heap->nodes, heap->capacity * sizeof nodes[0]);
    }
    heap->nodes = nodes;
    heap->capacity = capacity;
    return ERR_NONE;
}

static bool node_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->sequence < b->sequence;
}

static void heap_place(struct heap *heap, struct heap_node *node, uint32_t position)
{
    heap->nodes[position] = node;
    node->position = position;
}

/* Puts `node` where it belongs, at `position` or above it. */
static void sift_up(struct heap *heap, struct heap_node *node, uint32_t position)
{
    while (position > 0) {
        uint32_t parent = (position - 1) / HEAP_WAYS;

        if (!node_before(node, heap->nodes[parent])) break;
        heap_place(heap, heap->nodes[parent], position);
        position = parent;
    }
    heap_place(heap, node, position);
}

/* Puts `node` where it belongs, at `position` or below it. */
static void sift_down(struct heap *heap, struct heap_node *node, uint32_t position)
{
    for (;;) {
        uint64_t first = (uint64_t)position * HEAP_WAYS + 1;
        uint64_t end = first + HEAP_WAYS < heap->count ? first + HEAP_WAYS : heap->count;
        uint64_t least = first;

        if (first >= heap->count) break;
        for (uint64_t child = first + 1; child < end; child++) {
            if (node_before(heap->nodes[child], heap->nodes[least])) least = child;
        }
        if (!node_before(heap->nodes[least], node)) break;
        heap_place(heap, heap->nodes[least], position);
        position = (uint32_t)least;
    }
    heap_place(heap, node, position);
}

static void heap_settle(struct heap *heap, struct heap_node *node, uint32_t position)
{
    if (position > 0 && node_before(node, heap->nodes[(position - 1) / HEAP_WAYS])) {
        sift_up(heap, node, position);
    } else {
        sift_down(heap, node, position);
    }
}

enum err heap_push(struct heap *heap, struct heap_node *node, int64_t deadline, uint64_t sequence)
{
    enum err err;

    ASSERT(!heap_queued(node));
    err = heap_reserve(heap, heap->count + 1);
    if (err != ERR_NONE) return err;
    node->deadline = deadline;
    node->sequence = sequence;
    heap->count++;
    sift_up(heap, node, heap->count - 1);
    return ERR_NONE;
}

struct heap_node *heap_peek(const struct heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

struct heap_node *heap_pop(struct heap *heap)
{
    struct heap_node *first = heap_peek(heap);

    if (first != NULL) heap_remove(heap, first);
    return first;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    uint32_t position = node->position;
    struct heap_node *last;

    ASSERT(position < heap->count && heap->nodes[position] == node);
    heap->count--;
    last = heap->nodes[heap->count];
    if (last != node) heap_settle(heap, last, position);
    node->position = HEAP_NOWHERE;
}

void heap_update(struct heap *heap, struct heap_node *node, int64_t deadline, uint64_t sequence)
{
    ASSERT(node->position < heap->count && heap->nodes[node->position] == node);
    node->deadline = deadline;
    node->sequence = sequence;
    heap_settle(heap, node, node->position);
}
