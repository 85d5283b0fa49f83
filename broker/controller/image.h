/* The metadata image: what the metadata log says up to one offset. Brokers, topics, partitions,
 * configs, feature levels, producer ids, controllers.
 *
 * Changed by image_apply() only, one record at a time; a record that cannot be is an error and
 * changes nothing. Every node keeps one of the committed log (loader.h); the active controller has
 * a second one, the working image, with its uncommitted records on top.
 *
 * Digest. Each object has a 64-bit hash of its content; the digest is their sum. So it costs only
 * what changed, and does not depend on the order of changes: two images are equal when their
 * digests are (K22, R38). Offsets are no part of it.
 *
 * Delta. With `tracks_changes` an image remembers what changed since the last image_mark(), in
 * lists through the objects, so that remembering cannot fail. A deleted topic and a removed broker
 * stay readable until the mark.
 *
 * Order of iteration: the order in which records made the objects, equal on all nodes.
 * Never does: I/O, time, draws. */
#ifndef BROKER_CONTROLLER_IMAGE_H
#define BROKER_CONTROLLER_IMAGE_H

#include "broker/controller/records.h"
#include "client/base/list.h"
#include "client/base/map.h"
#include "client/base/mem.h"

enum {
    IMAGE_REPLICAS_MAX = 64, /* of one partition */
    IMAGE_ENDPOINTS_MAX = 8, /* of one broker or controller */
    IMAGE_LOG_DIRS_MAX = 32, /* of one broker */
    IMAGE_FEATURES_MAX = 32, /* of one broker, and of the cluster */
    IMAGE_CONTROLLERS_MAX = 32,
    IMAGE_CONFIGS_MAX = 200, /* keys of one resource */
    IMAGE_NO_LEADER = -1,
};

struct image_limits {
    uint32_t brokers_max;
    uint32_t topics_max;
    uint32_t partitions_max;
};

enum image_recovery { IMAGE_RECOVERED = 0, IMAGE_RECOVERING = 1 };

/* Broker ids, borrowed. */
struct image_ids {
    const int32_t *ids;
    uint32_t count;
};

bool image_ids_contain(struct image_ids ids, int32_t id);
bool image_ids_equal(struct image_ids a, struct image_ids b); /* same order */

/* Compact on purpose: 100,000 of them are 4 MiB, and about as much for the ids. */
struct image_partition {
    int32_t *ids; /* owned; replicas, ISR, removing, adding, ELR, last known ELR, back to back */
    uint64_t hash;
    int32_t leader; /* IMAGE_NO_LEADER */
    int32_t leader_epoch;
    int32_t partition_epoch;
    uint8_t recovery; /* enum image_recovery */
    uint8_t replicas_count;
    uint8_t isr_count;
    uint8_t removing_count;
    uint8_t adding_count;
    uint8_t elr_count;
    uint8_t last_known_elr_count;
    bool changed; /* since the mark */
};

static inline struct image_ids image_replicas(const struct image_partition *part)
{
    return (struct image_ids){part->ids, part->replicas_count};
}
static inline struct image_ids image_isr(const struct image_partition *part)
{
    return (struct image_ids){part->ids + part->replicas_count, part->isr_count};
}
static inline struct image_ids image_removing(const struct image_partition *part)
{
    return (struct image_ids){image_isr(part).ids + part->isr_count, part->removing_count};
}
static inline struct image_ids image_adding(const struct image_partition *part)
{
    return (struct image_ids){image_removing(part).ids + part->removing_count, part->adding_count};
}
static inline struct image_ids image_elr(const struct image_partition *part)
{
    return (struct image_ids){image_adding(part).ids + part->adding_count, part->elr_count};
}
static inline struct image_ids image_last_known_elr(const struct image_partition *part)
{
    return (struct image_ids){image_elr(part).ids + part->elr_count, part->last_known_elr_count};
}

struct image_topic {
    struct uuid id;
    struct str name;
    struct image_partition *partitions; /* by index; moves when partitions are added */
    uint32_t partitions_count;
    /* of the delta */
    bool created; /* since the mark */
    bool deleted;
    uint32_t changed_first; /* changed partitions lie in [changed_first, changed_end) */
    uint32_t changed_end;
    struct list changed; /* in image.changed_topics, or image.deleted_topics */
    /* private */
    struct map_node by_id;
    struct map_node by_name;
    uint32_t partitions_capacity;
    uint64_t hash;
};

struct image_endpoint {
    struct str name; /* of the listener */
    struct str host;
    uint16_t port;
    int16_t security_protocol;
};

struct image_feature {
    struct str name;
    int16_t min;
    int16_t max; /* of the cluster: the level, in both */
};

struct image_broker {
    int32_t id;
    int64_t epoch;      /* offset of the registration record */
    int64_t kept_epoch; /* an earlier one that proves as much, see cluster_control_register(); -1 */
    struct uuid incarnation;
    bool fenced;
    bool in_controlled_shutdown;
    struct str rack; /* null: none */
    struct image_endpoint *endpoints;
    struct image_feature *features;
    struct uuid *log_dirs; /* owned */
    uint32_t endpoints_count;
    uint32_t features_count;
    uint32_t log_dirs_count;
    /* derived from the partitions */
    uint32_t leader_count;
    uint32_t isr_count;
    /* of the delta */
    bool removed;
    struct list changed; /* in image.changed_brokers, or image.removed_brokers */
    /* private */
    struct map_node node;
    void *block; /* owned: arrays and text */
    size_t block_size;
    uint64_t hash;
};

struct image_controller {
    int32_t id;
    struct uuid incarnation;
    struct image_endpoint *endpoints;
    struct image_feature *features;
    uint32_t endpoints_count;
    uint32_t features_count;
    /* private */
    struct map_node node;
    void *block;
    size_t block_size;
    uint64_t hash;
};

enum image_resource_type { IMAGE_RESOURCE_TOPIC = 2, IMAGE_RESOURCE_BROKER = 4 };

struct image_config {
    struct list link; /* in image_resource.configs, in order of first setting */
    struct str key;
    struct str value;
    /* private */
    size_t block_size;
    uint64_t hash;
};

/* The configs of one topic or broker ("" is the default of all brokers). */
struct image_resource {
    int8_t type;
    struct str name;
    struct list configs;
    uint32_t configs_count; /* 0: all deleted; the object goes at the mark */
    struct list changed;    /* in image.changed_resources */
    /* private */
    struct map_node node;
    char *block; /* type byte and name: the key of the map */
    size_t block_size;
};

struct image {
    int64_t last_offset; /* of what was applied; -1: nothing */
    int32_t last_epoch;
    uint64_t digest;
    struct map brokers;      /* by id */
    struct map topics_by_id; /* iterate this one */
    struct map topics_by_name;
    struct map resources;
    struct map controllers;
    uint32_t partitions_count;
    struct image_feature features[IMAGE_FEATURES_MAX];
    uint32_t features_count;
    int64_t next_producer_id;
    /* the delta */
    struct list changed_topics; /* created ones included; in order of first change */
    struct list deleted_topics;
    struct list changed_brokers;
    struct list removed_brokers;
    struct list changed_resources;
    bool features_changed;
    /* private */
    struct mem *mem;
    struct image_limits limits;
    bool tracks_changes;
    uint64_t features_hash;
};

/* `seed` only for the hash tables (DICE_HASH). */
void image_init(struct image *image, struct mem *mem, const struct image_limits *limits,
                uint64_t seed, bool tracks_changes);
/* Gives all memory back; the image is then as after image_init(). */
void image_clear(struct image *image);
void image_deinit(struct image *image);
/* `to` is fresh or cleared. On an error it is left cleared. */
MUST_USE enum err image_clone(struct image *to, const struct image *from);

/* One record of the log. ERR_MALFORMED: a record that cannot be at this place (unknown broker, a
 * partition epoch that skips, an id twice); ERR_UNSUPPORTED: a kind that nobody here writes;
 * ERR_TOO_MANY: a cap; ERR_NO_MEMORY. On an error nothing has changed. */
MUST_USE enum err image_apply(struct image *image, const struct metadata_record *record,
                              int64_t offset, int32_t epoch);
/* Past what is no metadata record: control batches. */
void image_advance(struct image *image, int64_t last_offset, int32_t epoch);

/* The present state as records: applied to an empty image they make an equal one (a snapshot).
 * `put` may refuse; its error is passed on. The record is borrowed for the call. */
struct image_sink {
    enum err (*put)(struct image_sink *sink, const struct metadata_record *record);
};
MUST_USE enum err image_emit(const struct image *image, struct image_sink *sink);

/* The same in slices and in an order that depends on nothing but the state (a snapshot has the same
 * bytes on every node): features and configs by name, brokers and controllers by id, topics by
 * name. The image stands still meanwhile. image_cursor.c */
struct image_cursor;
/* NULL: no memory. */
struct image_cursor *image_cursor_create(const struct image *image);
void image_cursor_destroy(struct image_cursor *cursor);
/* EOF after the last one. The record is borrowed until the next call. */
MUST_USE enum err image_cursor_next(struct image_cursor *cursor, struct metadata_record *record);

/* `image` becomes equal to `from`, which is ahead of it in the same log; what differs is its delta.
 * On an error (MALFORMED: `from` cannot come after it; NO_MEMORY) it is something in between, and
 * of no use any more. image_replace.c */
MUST_USE enum err image_replace(struct image *image, const struct image *from);

/* Forgets the delta: from here on "changed" means since now. */
void image_mark(struct image *image);
bool image_has_changes(const struct image *image);
/* The next changed partition of a changed topic from `from` on; its index, or -1. */
int32_t image_next_changed(const struct image_topic *topic, uint32_t from);

struct image_broker *image_broker(const struct image *image, int32_t id);
struct image_topic *image_topic_by_id(const struct image *image, struct uuid id);
struct image_topic *image_topic_by_name(const struct image *image, struct str name);
struct image_partition *image_partition(const struct image_topic *topic, int32_t index);
/* Registered, unfenced and not about to leave. */
bool image_broker_active(const struct image *image, int32_t id);
/* Value of one key; null when not set there. No fallback to defaults. */
struct str image_config_value(const struct image *image, int8_t type, struct str name,
                              struct str key);
struct image_resource *image_resource(const struct image *image, int8_t type, struct str name);
/* Level of a feature; 0 when not set. */
int16_t image_feature_level(const struct image *image, struct str name);

/* Recomputes the digest and the derived counts from scratch; asserts that they are as kept. Walks
 * everything: for tests and for the simulator's checks. */
void image_check(const struct image *image);

#endif
