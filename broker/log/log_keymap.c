#include "broker/log/log_keymap.h"

#include "client/base/assert.h"
#include "client/base/hash128.h"

enum err log_keymap_init(struct log_keymap *map, struct mem *mem, uint64_t seed, uint64_t keys,
                         uint64_t bytes_max)
{
    uint64_t most = (bytes_max < MEM_MAX ? bytes_max : MEM_MAX) / LOG_KEYMAP_SLOT;
    uint64_t room = keys + keys / 4 + LOG_KEYMAP_ROOM_MIN;

    *map = (struct log_keymap){.mem = mem, .seed = seed, .latest = -1};
    if (room > most) room = most;
    if (room < LOG_KEYMAP_ROOM_MIN) room = LOG_KEYMAP_ROOM_MIN;
    for (; room >= LOG_KEYMAP_ROOM_MIN; room /= 2) {
        map->slots = mem_alloc(mem, room * sizeof *map->slots);
        if (map->slots == NULL) continue;
        map->room = (uint32_t)room;
        return ERR_NONE;
    }
    return ERR_NO_MEMORY;
}

void log_keymap_deinit(struct log_keymap *map)
{
    if (map->slots != NULL) mem_free(map->mem, map->slots, map->room * sizeof *map->slots);
    map->slots = NULL;
}

bool log_keymap_clear(struct log_keymap *map)
{
    for (uint32_t i = 0; i < LOG_KEYMAP_CLEAR && map->cleared < map->room; i++)
        map->slots[map->cleared++] = (struct log_keymap_slot){.offset = -1};
    return map->cleared == map->room;
}

bool log_keymap_full(const struct log_keymap *map)
{
    return map->count >= map->room - map->room / 10;
}

/* The slot of the key, or the empty one where it would stand. */
static struct log_keymap_slot *keymap_slot(const struct log_keymap *map, struct bytes key)
{
    struct hash128 hash;
    struct hash128_value value;
    uint64_t at;

    hash128_init(&hash, map->seed);
    hash128_add_bytes(&hash, key.data, key.length);
    value = hash128_final(&hash);
    at = value.low % map->room;
    for (;; at = at + 1 == map->room ? 0 : at + 1) {
        struct log_keymap_slot *slot = &map->slots[at];

        if (slot->offset < 0) {
            slot->high = value.high;
            slot->low = value.low;
            return slot;
        }
        if (slot->high == value.high && slot->low == value.low) return slot;
    }
}

void log_keymap_put(struct log_keymap *map, struct bytes key, int64_t offset)
{
    struct log_keymap_slot *slot;

    ASSERT(map->cleared == map->room && !log_keymap_full(map));
    ASSERT(offset > map->latest);
    slot = keymap_slot(map, key);
    if (slot->offset < 0) map->count++;
    slot->offset = offset;
    map->latest = offset;
}

int64_t log_keymap_get(const struct log_keymap *map, struct bytes key)
{
    return keymap_slot(map, key)->offset;
}
