/* Intrusive chained hash map with a stated maximum, iterated in the order of insertion. The hash is
 * seeded (names are chosen by clients); the seed changes no order that anyone can see.
 *
 * Keys are numbers, text or uuids; one map holds one kind. Text is borrowed: it lies in the object
 * that embeds the node, or lives at least as long. */
#ifndef CLIENT_BASE_MAP_H
#define CLIENT_BASE_MAP_H

#include "client/base/bytes.h"
#include "client/base/err.h"
#include "client/base/list.h"
#include "client/base/mem.h"

struct map_node {
    struct list link; /* order of insertion */
    struct map_node *chain;
    uint64_t hash;
    union {
        uint64_t number;
        struct str text;
        struct uuid id;
    } key;
};

struct map {
    struct mem *mem;
    uint32_t count;
    uint32_t max;
    /* private */
    uint32_t buckets_log;
    uint64_t seed;
    struct map_node **buckets; /* NULL until the first add */
    struct list order;
};

/* Takes no memory yet. The buckets double up to the size that fits `max` nodes. */
void map_init(struct map *map, struct mem *mem, uint64_t seed, uint32_t max);
/* Asserts that the map is empty. */
void map_deinit(struct map *map);

/* ERR_TOO_MANY at the maximum, ERR_NO_MEMORY. The node is fresh (any bytes); the key is not in the
 * map (asserted). */
MUST_USE enum err map_add_u64(struct map *map, struct map_node *node, uint64_t key);
MUST_USE enum err map_add_str(struct map *map, struct map_node *node, struct str key);
MUST_USE enum err map_add_uuid(struct map *map, struct map_node *node, struct uuid key);

struct map_node *map_find_u64(const struct map *map, uint64_t key);
struct map_node *map_find_str(const struct map *map, struct str key);
struct map_node *map_find_uuid(const struct map *map, struct uuid key);

/* The node is in this map. */
void map_remove(struct map *map, struct map_node *node);

static inline struct map_node *map_first(const struct map *map)
{
    return map->count == 0 ? NULL : LIST_ENTRY(map->order.next, struct map_node, link);
}

static inline struct map_node *map_next(const struct map *map, const struct map_node *node)
{
    return node->link.next == &map->order ? NULL
                                          : LIST_ENTRY(node->link.next, struct map_node, link);
}

/* The object of a node that a find returned; the node is not NULL. */
#define MAP_ENTRY(node, type, member) CONTAINER_OF(node, type, member)

/* In the order of insertion. The body must not remove `node`: see MAP_FOR_EACH_SAFE. */
#define MAP_FOR_EACH(node, map) \
    for (struct map_node *node = map_first(map); node != NULL; node = map_next(map, node))

/* The body may remove `node` (and only it). */
#define MAP_FOR_EACH_SAFE(node, after, map)                                  \
    for (struct map_node *node = map_first(map),                             \
                         *after = node != NULL ? map_next(map, node) : NULL; \
         node != NULL; node = after, after = node != NULL ? map_next(map, node) : NULL)

#endif
