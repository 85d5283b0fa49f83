/* The records of __consumer_offsets: bytes to meaning and back (groups.md 6). A key begins with an
 * int16 that says what the record is, a value with its version. */
#ifndef BROKER_GROUP_GROUP_LOG_H
#define BROKER_GROUP_GROUP_LOG_H

#include "broker/group/group.h"
#include "client/wire/record.h"
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
void group_log_group_gone(struct group_log *log, struct str group);
/* Bytes that the batch takes at most. */
size_t group_log_size(const struct group_log *log);
/* Into `buffer` of that size. */
MUST_USE enum err group_log_batch(const struct group_log *log, struct cpu cpu, int64_t wall_ms,
                                  void *buffer, size_t size, struct bytes *batch);

/* ---- reading --------------------------------------------------------------------------------- */

enum group_log_kind {
    GROUP_LOG_OFFSET,
    GROUP_LOG_GROUP,
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
};
/* MALFORMED; NO_MEMORY. Strings are views into the record. */
MUST_USE enum err group_log_read(const struct record *record, struct arena *arena,
                                 struct group_log_read *read);

#endif
