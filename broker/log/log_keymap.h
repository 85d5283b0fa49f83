/* The map of a compaction: hash of a key -> the newest offset it stands at (storage.md 12.2).
 * Open addressing in one block of memory of a fixed size, 24 bytes a slot, filled to nine tenths
 * at most; keys are taken as equal when 128 bits of a seeded hash are. Nobody outside knows the
 * seed, so nobody can choose keys that meet (DIFFERS: Kafka takes MD5). Pure.
 *
 *     slot:  uint64 hash high | uint64 hash low | int64 offset, -1 empty */
#ifndef BROKER_LOG_LOG_KEYMAP_H
#define BROKER_LOG_LOG_KEYMAP_H

#include "client/base/bytes.h"
#include "client/base/err.h"
#include "client/base/mem.h"

enum {
    LOG_KEYMAP_SLOT = 24,
    LOG_KEYMAP_ROOM_MIN = 64,      /* slots */
    LOG_KEYMAP_CLEAR = 128 * 1024, /* slots cleared per call */
};

struct log_keymap_slot {
    uint64_t high;
    uint64_t low;
    int64_t offset;
};

struct log_keymap {
    struct mem *mem;
    struct log_keymap_slot *slots;
    uint32_t room;
    uint32_t count;
    uint32_t cleared; /* slots from the front that are empty already */
    uint64_t seed;
    int64_t latest; /* greatest offset entered, -1 none: nothing behind it may be dropped */
};

/* Room for `keys` keys, or as many as fit `bytes_max` (and 64 MiB: one block of memory); less when
 * memory is short. NO_MEMORY: not even for the fewest. Not cleared yet. */
MUST_USE enum err log_keymap_init(struct log_keymap *map, struct mem *mem, uint64_t seed,
                                  uint64_t keys, uint64_t bytes_max);
/* Harmless on a zeroed one. */
void log_keymap_deinit(struct log_keymap *map);
/* Clears some slots; true when all are. */
bool log_keymap_clear(struct log_keymap *map);
bool log_keymap_full(const struct log_keymap *map);
/* Offsets come in ascending order. Not when it is full. */
void log_keymap_put(struct log_keymap *map, struct bytes key, int64_t offset);
/* -1: not there. */
int64_t log_keymap_get(const struct log_keymap *map, struct bytes key);

#endif
