/* Records 3 to 8 of __consumer_offsets: consumer groups of KIP-848 (groups.md 6). Keys are not
 * flexible, values are, and all values have version 0. */
#include "broker/group/group_log.h"

#include "wire/consumer_group_current_member_assignment_key.h"
#include "wire/consumer_group_current_member_assignment_value.h"
#include "wire/consumer_group_member_metadata_key.h"
#include "wire/consumer_group_metadata_key.h"
#include "wire/consumer_group_metadata_value.h"
#include "wire/consumer_group_partition_metadata_key.h"
#include "wire/consumer_group_target_assignment_member_key.h"
#include "wire/consumer_group_target_assignment_member_value.h"
#include "wire/consumer_group_target_assignment_metadata_key.h"
#include "wire/consumer_group_target_assignment_metadata_value.h"

enum {
    KEY_EPOCH = 3,
    KEY_TOPICS = 4,
    KEY_MEMBER = 5,
    KEY_TARGET_EPOCH = 6,
    KEY_TARGET = 7,
    KEY_CURRENT = 8,
};

/* ---- writing --------------------------------------------------------------------------------- */

static void put_epoch(struct group_log *log, struct str group, const int32_t *epoch)
{
    struct consumer_group_metadata_key key = {.group_id = group};
    struct consumer_group_metadata_value value = {.epoch = epoch != NULL ? *epoch : 0};

    group_log_put(log, &consumer_group_metadata_key_message, KEY_EPOCH, &key,
                  &consumer_group_metadata_value_message, 0, epoch != NULL ? &value : NULL);
}

void group_log_consumer_epoch(struct group_log *log, struct str group, int32_t epoch)
{
    put_epoch(log, group, &epoch);
}

void group_log_consumer_epoch_gone(struct group_log *log, struct str group)
{
    put_epoch(log, group, NULL);
}

void group_log_consumer_topics(struct group_log *log, struct str group,
                               const struct consumer_group_partition_metadata_value *topics)
{
    struct consumer_group_partition_metadata_key key = {.group_id = group};

    group_log_put(log, &consumer_group_partition_metadata_key_message, KEY_TOPICS, &key,
                  &consumer_group_partition_metadata_value_message, 0, topics);
}

void group_log_consumer_topics_gone(struct group_log *log, struct str group)
{
    group_log_consumer_topics(log, group, NULL);
}

void group_log_consumer_member(struct group_log *log, struct str group, struct str member,
                               const struct consumer_group_member_metadata_value *metadata)
{
    struct consumer_group_member_metadata_key key = {.group_id = group, .member_id = member};

    group_log_put(log, &consumer_group_member_metadata_key_message, KEY_MEMBER, &key,
                  &consumer_group_member_metadata_value_message, 0, metadata);
}

static void put_target_epoch(struct group_log *log, struct str group, const int32_t *epoch)
{
    struct consumer_group_target_assignment_metadata_key key = {.group_id = group};
    struct consumer_group_target_assignment_metadata_value value = {.assignment_epoch =
                                                                        epoch != NULL ? *epoch : 0};

    group_log_put(log, &consumer_group_target_assignment_metadata_key_message, KEY_TARGET_EPOCH,
                  &key, &consumer_group_target_assignment_metadata_value_message, 0,
                  epoch != NULL ? &value : NULL);
}

void group_log_consumer_target_epoch(struct group_log *log, struct str group, int32_t epoch)
{
    put_target_epoch(log, group, &epoch);
}

void group_log_consumer_target_epoch_gone(struct group_log *log, struct str group)
{
    put_target_epoch(log, group, NULL);
}

static void put_target(struct group_log *log, struct str group, struct str member,
                       const struct consumer_group_target_assignment_member_value *value)
{
    struct consumer_group_target_assignment_member_key key = {.group_id = group,
                                                              .member_id = member};

    group_log_put(log, &consumer_group_target_assignment_member_key_message, KEY_TARGET, &key,
                  &consumer_group_target_assignment_member_value_message, 0, value);
}

void group_log_consumer_target(struct group_log *log, struct str group, struct str member,
                               struct parts target)
{
    struct consumer_group_target_assignment_member_value value;
    int32_t *indexes = parts_indexes(log->arena, target);

    consumer_group_target_assignment_member_value_default(&value);
    value.topic_partitions =
        arena_alloc(log->arena, parts_topics(target) * sizeof *value.topic_partitions);
    if (value.topic_partitions == NULL || indexes == NULL) {
        log->err = ERR_NO_MEMORY;
        return;
    }
    for (uint32_t i = 0, end; i < target.count; i = end) {
        end = parts_topic_end(target, i);
        value.topic_partitions[value.topic_partitions_count++] =
            (struct consumer_group_target_assignment_member_value_topic_partition){
                target.items[i].topic, indexes + i, end - i};
    }
    put_target(log, group, member, &value);
}

typedef struct consumer_group_current_member_assignment_value_topic_partitions current_topic;

static current_topic *current_topics(struct group_log *log, struct parts set, uint32_t *count)
{
    int32_t *indexes = parts_indexes(log->arena, set);
    current_topic *topics = arena_alloc(log->arena, parts_topics(set) * sizeof *topics);

    *count = 0;
    if (topics == NULL || indexes == NULL) {
        log->err = ERR_NO_MEMORY;
        return NULL;
    }
    for (uint32_t i = 0, end; i < set.count; i = end) {
        end = parts_topic_end(set, i);
        topics[(*count)++] = (current_topic){set.items[i].topic, indexes + i, end - i};
    }
    return topics;
}

static void put_current(struct group_log *log, struct str group, struct str member,
                        const struct consumer_group_current_member_assignment_value *value)
{
    struct consumer_group_current_member_assignment_key key = {.group_id = group,
                                                               .member_id = member};

    group_log_put(log, &consumer_group_current_member_assignment_key_message, KEY_CURRENT, &key,
                  &consumer_group_current_member_assignment_value_message, 0, value);
}

void group_log_consumer_current(struct group_log *log, struct str group, struct str member,
                                const struct group_log_current *current)
{
    struct consumer_group_current_member_assignment_value value;

    consumer_group_current_member_assignment_value_default(&value);
    value.member_epoch = current->epoch;
    value.previous_member_epoch = current->previous_epoch;
    value.state = current->state;
    value.assigned_partitions =
        current_topics(log, current->assigned, &value.assigned_partitions_count);
    value.partitions_pending_revocation =
        current_topics(log, current->revoking, &value.partitions_pending_revocation_count);
    if (log->err == ERR_NONE) put_current(log, group, member, &value);
}

void group_log_consumer_member_gone(struct group_log *log, struct str group, struct str member)
{
    put_current(log, group, member, NULL);
    put_target(log, group, member, NULL);
    group_log_consumer_member(log, group, member, NULL);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A value of a version that is not known makes the record one of a newer broker. */
static enum err decode(struct wire_reader *value, const struct wire_message *message,
                       struct arena *arena, struct group_log_read *read, void *to)
{
    int16_t form = wire_read_int16(value);

    if (value->error == ERR_NONE && form == 0) return message->decode(value, form, arena, to);
    read->kind = GROUP_LOG_UNKNOWN;
    return value->error;
}

static enum err read_epoch(struct wire_reader *key, struct wire_reader *value, struct arena *arena,
                           struct group_log_read *read)
{
    struct consumer_group_metadata_key place;
    struct consumer_group_metadata_value body;
    enum err err = consumer_group_metadata_key_message.decode(key, KEY_EPOCH, arena, &place);

    if (err != ERR_NONE) return err;
    read->kind = GROUP_LOG_CONSUMER_GROUP;
    read->group = place.group_id;
    if (read->tombstone) return ERR_NONE;
    err = decode(value, &consumer_group_metadata_value_message, arena, read, &body);
    if (err == ERR_NONE && read->kind != GROUP_LOG_UNKNOWN) read->epoch = body.epoch;
    return err;
}

static enum err read_topics(struct wire_reader *key, struct wire_reader *value, struct arena *arena,
                            struct group_log_read *read)
{
    struct consumer_group_partition_metadata_key place;
    struct consumer_group_partition_metadata_value body;
    enum err err =
        consumer_group_partition_metadata_key_message.decode(key, KEY_TOPICS, arena, &place);

    if (err != ERR_NONE) return err;
    read->kind = GROUP_LOG_CONSUMER_TOPICS;
    read->group = place.group_id;
    if (read->tombstone) return ERR_NONE;
    err = decode(value, &consumer_group_partition_metadata_value_message, arena, read, &body);
    if (err != ERR_NONE || read->kind == GROUP_LOG_UNKNOWN) return err;
    read->topics = body.topics;
    read->topics_count = body.topics_count;
    return ERR_NONE;
}

static enum err read_member(struct wire_reader *key, struct wire_reader *value, struct arena *arena,
                            struct group_log_read *read)
{
    struct consumer_group_member_metadata_key place;
    enum err err =
        consumer_group_member_metadata_key_message.decode(key, KEY_MEMBER, arena, &place);

    if (err != ERR_NONE) return err;
    read->kind = GROUP_LOG_CONSUMER_MEMBER;
    read->group = place.group_id;
    read->member = place.member_id;
    if (read->tombstone) return ERR_NONE;
    return decode(value, &consumer_group_member_metadata_value_message, arena, read,
                  &read->member_metadata);
}

static enum err read_target_epoch(struct wire_reader *key, struct wire_reader *value,
                                  struct arena *arena, struct group_log_read *read)
{
    struct consumer_group_target_assignment_metadata_key place;
    struct consumer_group_target_assignment_metadata_value body;
    enum err err = consumer_group_target_assignment_metadata_key_message.decode(
        key, KEY_TARGET_EPOCH, arena, &place);

    if (err != ERR_NONE) return err;
    read->kind = GROUP_LOG_CONSUMER_TARGET_EPOCH;
    read->group = place.group_id;
    if (read->tombstone) return ERR_NONE;
    err =
        decode(value, &consumer_group_target_assignment_metadata_value_message, arena, read, &body);
    if (err == ERR_NONE && read->kind != GROUP_LOG_UNKNOWN) read->epoch = body.assignment_epoch;
    return err;
}

static enum err read_target(struct wire_reader *key, struct wire_reader *value, struct arena *arena,
                            struct group_log_read *read)
{
    struct consumer_group_target_assignment_member_key place;
    struct consumer_group_target_assignment_member_value body;
    uint32_t total = 0;
    enum err err =
        consumer_group_target_assignment_member_key_message.decode(key, KEY_TARGET, arena, &place);

    if (err != ERR_NONE) return err;
    read->kind = GROUP_LOG_CONSUMER_TARGET;
    read->group = place.group_id;
    read->member = place.member_id;
    if (read->tombstone) return ERR_NONE;
    err = decode(value, &consumer_group_target_assignment_member_value_message, arena, read, &body);
    if (err != ERR_NONE || read->kind == GROUP_LOG_UNKNOWN) return err;
    for (uint32_t t = 0; t < body.topic_partitions_count; t++)
        total += body.topic_partitions[t].partitions_count;
    err = parts_begin(arena, total, &read->assigned);
    if (err != ERR_NONE) return err;
    for (uint32_t t = 0; t < body.topic_partitions_count; t++)
        for (uint32_t p = 0; p < body.topic_partitions[t].partitions_count; p++)
            parts_push(&read->assigned, body.topic_partitions[t].topic_id,
                       body.topic_partitions[t].partitions[p]);
    parts_end(&read->assigned);
    return ERR_NONE;
}

static enum err take_topics(struct arena *arena, const current_topic *topics, uint32_t count,
                            struct parts *set)
{
    uint32_t total = 0;
    enum err err;

    for (uint32_t t = 0; t < count; t++)
        total += topics[t].partitions_count;
    err = parts_begin(arena, total, set);
    if (err != ERR_NONE) return err;
    for (uint32_t t = 0; t < count; t++)
        for (uint32_t p = 0; p < topics[t].partitions_count; p++)
            parts_push(set, topics[t].topic_id, topics[t].partitions[p]);
    parts_end(set);
    return ERR_NONE;
}

static enum err read_current(struct wire_reader *key, struct wire_reader *value,
                             struct arena *arena, struct group_log_read *read)
{
    struct consumer_group_current_member_assignment_key place;
    struct consumer_group_current_member_assignment_value body;
    enum err err = consumer_group_current_member_assignment_key_message.decode(key, KEY_CURRENT,
                                                                               arena, &place);

    if (err != ERR_NONE) return err;
    read->kind = GROUP_LOG_CONSUMER_CURRENT;
    read->group = place.group_id;
    read->member = place.member_id;
    if (read->tombstone) return ERR_NONE;
    err =
        decode(value, &consumer_group_current_member_assignment_value_message, arena, read, &body);
    if (err != ERR_NONE || read->kind == GROUP_LOG_UNKNOWN) return err;
    read->epoch = body.member_epoch;
    read->previous_epoch = body.previous_member_epoch;
    read->state = body.state;
    err = take_topics(arena, body.assigned_partitions, body.assigned_partitions_count,
                      &read->assigned);
    if (err != ERR_NONE) return err;
    return take_topics(arena, body.partitions_pending_revocation,
                       body.partitions_pending_revocation_count, &read->revoking);
}

enum err group_log_consumer_read(struct wire_reader *key, struct wire_reader *value,
                                 int16_t version, struct arena *arena, struct group_log_read *read)
{
    switch (version) {
    case KEY_EPOCH: return read_epoch(key, value, arena, read);
    case KEY_TOPICS: return read_topics(key, value, arena, read);
    case KEY_MEMBER: return read_member(key, value, arena, read);
    case KEY_TARGET_EPOCH: return read_target_epoch(key, value, arena, read);
    case KEY_TARGET: return read_target(key, value, arena, read);
    case KEY_CURRENT: return read_current(key, value, arena, read);
    default: return ERR_NONE; /* share groups, streams groups, resolved patterns: passed over */
    }
}
