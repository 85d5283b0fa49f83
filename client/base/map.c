/* Text is hashed with SipHash-1-3 (Aumasson, Bernstein), so that a client cannot choose names that
 * all fall into one bucket; numbers and uuids with two rounds of a 64-bit mix. */
#include "client/base/map.h"

#include <string.h>

enum { MAP_BUCKETS_LOG_FIRST = 1, MAP_BUCKETS_LOG_MAX = 23 };

_Static_assert((sizeof(void *) << MAP_BUCKETS_LOG_MAX) <= MEM_MAX, "one allocation");

void map_init(struct map *map, struct mem *mem, uint64_t seed, uint32_t max)
{
    ASSERT(max > 0);
    *map = (struct map){.mem = mem, .max = max, .seed = seed};
    list_init(&map->order);
}

static size_t buckets_bytes(uint32_t buckets_log)
{
    return sizeof(struct map_node *) << buckets_log;
}

void map_deinit(struct map *map)
{
    ASSERT(map->count == 0);
    if (map->buckets != NULL) mem_free(map->mem, map->buckets, buckets_bytes(map->buckets_log));
    map->buckets = NULL;
}

/* ---- hashes ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

static uint64_t hash_str(uint64_t seed, struct str text)
{
    uint64_t key = mix(seed + UINT64_C(0x9e3779b97f4a7c15));
    uint64_t v[4] = {
        seed ^ UINT64_C(0x736f6d6570736575),
        key ^ UINT64_C(0x646f72616e646f6d),
        seed ^ UINT64_C(0x6c7967656e657261),
        key ^ UINT64_C(0x7465646279746573),
    };
    uint64_t word = 0;

    for (uint32_t i = 0; i < text.length; i++) {
        word |= (uint64_t)(uint8_t)text.data[i] << (i % 8 * 8);
        if (i % 8 != 7) continue;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        word = 0;
    }
    word |= (uint64_t)text.length << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (uint32_t i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_u64(uint64_t seed, uint64_t key)
{
    return mix(mix(key ^ seed) + seed);
}

static uint64_t hash_uuid(uint64_t seed, struct uuid key)
{
    uint64_t low = 0;

    for (uint32_t i = 8; i < 16; i++)
        low = (low << 8) | key.bytes[i];
    return mix(hash_u64(seed, uuid_high(key)) ^ low);
}

/* ---- buckets ----------------------------------------------------------------------------- */

static struct map_node **bucket_of(const struct map *map, uint64_t hash)
{
    return &map->buckets[hash >> (64 - map->buckets_log)];
}

/* Twice the buckets. Without memory for them the map stays as it is, only slower. */
static void map_double(struct map *map)
{
    uint32_t bigger_log = map->buckets_log + 1;
    struct map_node **bigger;

    if (bigger_log > MAP_BUCKETS_LOG_MAX) return;
    bigger = mem_zalloc(map->mem, buckets_bytes(bigger_log));
    if (bigger == NULL) return;
    mem_free(map->mem, map->buckets, buckets_bytes(map->buckets_log));
    map->buckets = bigger;
    map->buckets_log = bigger_log;
    MAP_FOR_EACH (node, map) {
        struct map_node **bucket = bucket_of(map, node->hash);

        node->chain = *bucket;
        *bucket = node;
    }
}

static enum err map_room(struct map *map)
{
    if (map->count == map->max) return ERR_TOO_MANY;
    if (map->buckets == NULL) {
        map->buckets = mem_zalloc(map->mem, buckets_bytes(MAP_BUCKETS_LOG_FIRST));
        if (map->buckets == NULL) return ERR_NO_MEMORY;
        map->buckets_log = MAP_BUCKETS_LOG_FIRST;
    } else if (map->count >> map->buckets_log != 0) {
        map_double(map);
    }
    return ERR_NONE;
}

static void map_insert(struct map *map, struct map_node *node, uint64_t hash)
{
    struct map_node **bucket = bucket_of(map, hash);

    node->hash = hash;
    node->chain = *bucket;
    *bucket = node;
    list_init(&node->link);
    list_push(&map->order, &node->link);
    map->count++;
}

enum err map_add_u64(struct map *map, struct map_node *node, uint64_t key)
{
    enum err err = map_room(map);

    if (err != ERR_NONE) return err;
    ASSERT(map_find_u64(map, key) == NULL);
    node->key.number = key;
    map_insert(map, node, hash_u64(map->seed, key));
    return ERR_NONE;
}

enum err map_add_str(struct map *map, struct map_node *node, struct str key)
{
    enum err err = map_room(map);

    if (err != ERR_NONE) return err;
    ASSERT(map_find_str(map, key) == NULL);
    node->key.text = key;
    map_insert(map, node, hash_str(map->seed, key));
    return ERR_NONE;
}

enum err map_add_uuid(struct map *map, struct map_node *node, struct uuid key)
{
    enum err err = map_room(map);

    if (err != ERR_NONE) return err;
    ASSERT(map_find_uuid(map, key) == NULL);
    node->key.id = key;
    map_insert(map, node, hash_uuid(map->seed, key));
    return ERR_NONE;
}

struct map_node *map_find_u64(const struct map *map, uint64_t key)
{
    struct map_node *node;

    if (map->count == 0) return NULL;
    node = *bucket_of(map, hash_u64(map->seed, key));
    while (node != NULL && node->key.number != key)
        node = node->chain;
    return node;
}

struct map_node *map_find_str(const struct map *map, struct str key)
{
    struct map_node *node;
    uint64_t hash;

    if (map->count == 0) return NULL;
    hash = hash_str(map->seed, key);
    node = *bucket_of(map, hash);
    while (node != NULL && (node->hash != hash || !str_equal(node->key.text, key)))
        node = node->chain;
    return node;
}

struct map_node *map_find_uuid(const struct map *map, struct uuid key)
{
    struct map_node *node;

    if (map->count == 0) return NULL;
    node = *bucket_of(map, hash_uuid(map->seed, key));
    while (node != NULL && !uuid_equal(node->key.id, key))
        node = node->chain;
    return node;
}

void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **place;

    ASSERT(map->count > 0);
    place = bucket_of(map, node->hash);
    while (*place != node) {
        ASSERT(*place != NULL);
        place = &(*place)->chain;
    }
    *place = node->chain;
    node->chain = NULL;
    list_remove(&node->link);
    map->count--;
}
