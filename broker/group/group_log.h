/* The records of __consumer_offsets: bytes to meaning and back (groups.md 6). A key begins with an
 * int16 that says what the record is, a value with its version. */
#ifndef BROKER_GROUP_GROUP_LOG_H
#define BROKER_GROUP_GROUP_LOG_H

#include "broker/group/group.h"
#include "broker/group/parts.h"
#include "client/wire/record.h"
#include "wire/consumer_group_member_metadata_value.h"
#include "wire/consumer_group_partition_metadata_value.h"
#include "wire/group_metadata_value.h"
#include "wire/offset_commit_key.h"
#include "wire/offset_commit_value.h"

/* ---- writing: records gathered in an arena, then one batch ----------------------------------- */

struct group_log_record {
    struct bytes key;
    struct bytes value; /* data NULL: a tombstone */
};

struct group_log {
    struct arena *arena;
    struct group_log_record *records;
    uint32_t count;
    uint32_t max;
    enum err err; /* of the first that failed: NO_MEMORY, TOO_LARGE */
};
void group_log_init(struct group_log *log, struct arena *arena);
void group_log_offset(struct group_log *log, struct str group, struct str topic, int32_t partition,
                      const struct offset_commit_value *value);
void group_log_offset_gone(struct group_log *log, struct str group, struct str topic,
                           int32_t partition);
/* The group as it stands; `write` says which assignments count. */
void group_log_group(struct group_log *log, const struct group *group, enum group_write write);
void group_log_group_value(struct group_log *log, struct str group,
                           const struct group_metadata_value *value);
void group_log_group_gone(struct group_log *log, struct str group);
/* One record: int16 and a message of the generated codec for the key, the same for the value.
 * `value` NULL: a tombstone. */
void group_log_put(struct group_log *log, const struct wire_message *key_message,
                   int16_t key_version, const void *key, const struct wire_message *value_message,
                   int16_t value_version, const void *value);
/* Those of a consumer group (KIP-848), records 3 to 8. group_log_consumer.c */
void group_log_consumer_epoch(struct group_log *log, struct str group, int32_t epoch);
void group_log_consumer_epoch_gone(struct group_log *log, struct str group);
void group_log_consumer_topics(struct group_log *log, struct str group,
                               const struct consumer_group_partition_metadata_value *topics);
void group_log_consumer_topics_gone(struct group_log *log, struct str group);
void group_log_consumer_member(struct group_log *log, struct str group, struct str member,
                               const struct consumer_group_member_metadata_value *metadata);
void group_log_consumer_target_epoch(struct group_log *log, struct str group, int32_t epoch);
void group_log_consumer_target_epoch_gone(struct group_log *log, struct str group);
void group_log_consumer_target(struct group_log *log, struct str group, struct str member,
                               struct parts target);
struct group_log_current {
    int32_t epoch;
    int32_t previous_epoch;
    int8_t state;
    struct parts assigned;
    struct parts revoking;
};
void group_log_consumer_current(struct group_log *log, struct str group, struct str member,
                                const struct group_log_current *current);
/* Tombstones of the three records of a member. */
void group_log_consumer_member_gone(struct group_log *log, struct str group, struct str member);
/* Bytes that the batch takes at most. */
size_t group_log_size(const struct group_log *log);
/* Into `buffer` of that size. */
MUST_USE enum err group_log_batch(const struct group_log *log, struct cpu cpu, int64_t wall_ms,
                                  void *buffer, size_t size, struct bytes *batch);

/* ---- reading --------------------------------------------------------------------------------- */

enum group_log_kind {
    GROUP_LOG_OFFSET,
    GROUP_LOG_GROUP,
    GROUP_LOG_CONSUMER_GROUP,        /* 3: epoch */
    GROUP_LOG_CONSUMER_TOPICS,       /* 4: topics */
    GROUP_LOG_CONSUMER_MEMBER,       /* 5: member, member_metadata */
    GROUP_LOG_CONSUMER_TARGET_EPOCH, /* 6: epoch */
    GROUP_LOG_CONSUMER_TARGET,       /* 7: member, assigned */
    GROUP_LOG_CONSUMER_CURRENT,      /* 8: member, epochs, state, assigned, revoking */
    GROUP_LOG_UNKNOWN, /* of a newer broker, or of another kind of group: passed over */
};

struct group_log_read {
    enum group_log_kind kind;
    bool tombstone;
    struct str group;
    struct str topic;
    int32_t partition;
    struct offset_commit_value offset;
    struct group_metadata_value metadata; /* arrays in the arena */
    struct str member;
    int32_t epoch;
    int32_t previous_epoch;
    int8_t state;
    struct parts assigned;
    struct parts revoking;
    struct consumer_group_partition_metadata_value_topic_metadata *topics;
    uint32_t topics_count;
    struct consumer_group_member_metadata_value member_metadata;
};
/* MALFORMED; NO_MEMORY. Strings are views into the record. */
MUST_USE enum err group_log_read(const struct record *record, struct arena *arena,
                                 struct group_log_read *read);
/* For group_log.c: a record with this version of key. */
MUST_USE enum err group_log_consumer_read(struct wire_reader *key, struct wire_reader *value,
                                          int16_t version, struct arena *arena,
                                          struct group_log_read *read);

#endif
