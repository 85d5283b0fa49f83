/* Committed offsets of one group, by topic and partition. Holds what is in the log up to the high
 * watermark and nothing else: a commit is put here when its record is committed (groups.md 5.1). */
#ifndef BROKER_GROUP_GROUP_OFFSETS_H
#define BROKER_GROUP_GROUP_OFFSETS_H

#include "client/base/map.h"

enum {
    GROUP_OFFSETS_TOPICS_MAX = 100000,     /* of one group */
    GROUP_OFFSETS_PARTITIONS_MAX = 100000, /* of one topic of one group */
};

struct group_offset {
    struct map_node node; /* by partition */
    int32_t partition;
    int32_t leader_epoch; /* -1: not said */
    int64_t offset;
    int64_t commit_ms;
    int64_t expire_ms; /* -1: by retention */
    int64_t record;    /* offset of the record that says so */
    struct str metadata;
    size_t block_size;
};

struct group_offsets_topic {
    struct map_node node; /* by name */
    struct str name;
    struct map partitions;
    size_t block_size;
};

struct group_offsets {
    struct mem *mem;
    struct map topics;
    uint64_t seed;
    uint32_t count; /* of partitions, all topics */
};

void group_offsets_init(struct group_offsets *offsets, struct mem *mem, uint64_t seed);
void group_offsets_deinit(struct group_offsets *offsets); /* frees all */

struct group_offsets_value {
    int64_t offset;
    int32_t leader_epoch;
    struct str metadata;
    int64_t commit_ms;
    int64_t expire_ms;
    int64_t record;
};
/* The newer record stays. */
MUST_USE enum err group_offsets_put(struct group_offsets *offsets, struct str topic,
                                    int32_t partition, const struct group_offsets_value *value);
void group_offsets_remove(struct group_offsets *offsets, struct str topic, int32_t partition);
/* NULL: none. */
const struct group_offset *group_offsets_find(const struct group_offsets *offsets, struct str topic,
                                              int32_t partition);

#endif
