#include "broker/group/group_log.h"

#include "client/wire/record_builder.h"
#include "wire/group_metadata_key.h"

#include <string.h>

enum {
    KEY_OFFSET = 1, /* 0 is read, 1 written */
    KEY_GROUP = 2,
    VALUE_OFFSET = 3,
    VALUE_OFFSET_EXPIRES = 1,
    VALUE_GROUP = 3,
    VALUE_MAX = 4,
};

/* ---- writing --------------------------------------------------------------------------------- */

void group_log_init(struct group_log *log, struct arena *arena)
{
    *log = (struct group_log){.arena = arena};
}

static struct group_log_record *add(struct group_log *log)
{
    if (log->err != ERR_NONE) return NULL;
    if (log->count == log->max) {
        uint32_t max = log->max == 0 ? 8 : log->max * 2;
        struct group_log_record *records = arena_alloc(log->arena, max * sizeof *records);

        if (records == NULL) {
            log->err = ERR_NO_MEMORY;
            return NULL;
        }
        if (log->count > 0) memcpy(records, log->records, log->count * sizeof *records);
        log->records = records;
        log->max = max;
    }
    log->records[log->count] = (struct group_log_record){BYTES_NULL, BYTES_NULL};
    return &log->records[log->count++];
}

/* int16 and a message of the generated codec. */
static struct bytes encode(struct group_log *log, const struct wire_message *message,
                           int16_t version, const void *value)
{
    struct wire_size size = message->measure(value, version);
    uint8_t *buffer = arena_alloc(log->arena, size.bytes + 2);
    struct wire_writer writer;
    enum err err;

    if (buffer == NULL) {
        log->err = ERR_NO_MEMORY;
        return BYTES_NULL;
    }
    wire_writer_init(&writer, buffer, size.bytes + 2);
    wire_write_int16(&writer, version);
    err = message->encode(&writer, version, value);
    if (err == ERR_NONE) err = wire_writer_finish(&writer);
    if (err != ERR_NONE) log->err = err;
    return (struct bytes){buffer, (uint32_t)(size.bytes + 2)};
}

void group_log_put(struct group_log *log, const struct wire_message *key_message,
                   int16_t key_version, const void *key, const struct wire_message *value_message,
                   int16_t value_version, const void *value)
{
    struct group_log_record *record = add(log);

    if (record == NULL) return;
    record->key = encode(log, key_message, key_version, key);
    if (value != NULL) record->value = encode(log, value_message, value_version, value);
}

static struct bytes offset_key(struct group_log *log, struct str group, struct str topic,
                               int32_t partition)
{
    struct offset_commit_key key = {.group = group, .topic = topic, .partition = partition};

    return encode(log, &offset_commit_key_message, KEY_OFFSET, &key);
}

void group_log_offset(struct group_log *log, struct str group, struct str topic, int32_t partition,
                      const struct offset_commit_value *value)
{
    struct group_log_record *record = add(log);
    int16_t version = value->expire_timestamp >= 0 ? VALUE_OFFSET_EXPIRES : VALUE_OFFSET;

    if (record == NULL) return;
    record->key = offset_key(log, group, topic, partition);
    record->value = encode(log, &offset_commit_value_message, version, value);
}

void group_log_offset_gone(struct group_log *log, struct str group, struct str topic,
                           int32_t partition)
{
    struct group_log_record *record = add(log);

    if (record != NULL) record->key = offset_key(log, group, topic, partition);
}

static struct bytes group_key(struct group_log *log, struct str group)
{
    struct group_metadata_key key = {.group = group};

    return encode(log, &group_metadata_key_message, KEY_GROUP, &key);
}

static struct bytes never_null(struct bytes bytes)
{
    return bytes.length > 0 ? bytes : (struct bytes){(const uint8_t *)"", 0};
}

static void put_member(const struct group *group, const struct group_member *from,
                       enum group_write write, struct group_metadata_value_member *to)
{
    struct bytes assignment = write == GROUP_WRITE_SYNC ? from->proposed : from->assignment;

    group_metadata_value_member_default(to);
    to->member_id = from->id;
    to->group_instance_id = from->instance_id;
    to->client_id = from->client_id;
    to->client_host = from->client_host;
    to->rebalance_timeout = from->rebalance_timeout_ms;
    to->session_timeout = from->session_timeout_ms;
    to->subscription = never_null(group_subscription(group, from));
    to->assignment = never_null(assignment);
}

void group_log_group(struct group_log *log, const struct group *group, enum group_write write)
{
    struct group_log_record *record = add(log);
    struct group_metadata_value value;

    if (record == NULL) return;
    record->key = group_key(log, group->id);
    group_metadata_value_default(&value);
    value.protocol_type = group->protocol_type.data != NULL ? group->protocol_type : STR("");
    value.generation = group->generation;
    value.protocol = group->protocol;
    value.leader = group->leader != NULL ? group->leader->id : STR_NULL;
    value.current_state_timestamp = group->state_since_ms;
    value.members = arena_zalloc(log->arena, (group->members.count + 1) * sizeof *value.members);
    if (value.members == NULL) {
        log->err = ERR_NO_MEMORY;
        return;
    }
    MAP_FOR_EACH (node, &group->members)
        put_member(group, MAP_ENTRY(node, struct group_member, node), write,
                   &value.members[value.members_count++]);
    record->value = encode(log, &group_metadata_value_message, VALUE_GROUP, &value);
}

void group_log_group_value(struct group_log *log, struct str group,
                           const struct group_metadata_value *value)
{
    struct group_log_record *record = add(log);

    if (record == NULL) return;
    record->key = group_key(log, group);
    for (uint32_t i = 0; i < value->members_count; i++) {
        value->members[i].subscription = never_null(value->members[i].subscription);
        value->members[i].assignment = never_null(value->members[i].assignment);
    }
    record->value = encode(log, &group_metadata_value_message, VALUE_GROUP, value);
}

void group_log_group_gone(struct group_log *log, struct str group)
{
    struct group_log_record *record = add(log);

    if (record != NULL) record->key = group_key(log, group);
}

size_t group_log_size(const struct group_log *log)
{
    size_t size = RECORD_BATCH_HEADER;

    for (uint32_t i = 0; i < log->count; i++)
        size += record_builder_size_max(log->records[i].key, log->records[i].value, NULL, 0);
    return size;
}

enum err group_log_batch(const struct group_log *log, struct cpu cpu, int64_t wall_ms, void *buffer,
                         size_t size, struct bytes *batch)
{
    struct record_builder_config config = record_builder_config_default(cpu);
    struct record_builder builder;

    record_builder_init(&builder, &config, buffer, size);
    for (uint32_t i = 0; i < log->count; i++) {
        enum err err = record_builder_append(&builder, wall_ms, log->records[i].key,
                                             log->records[i].value, NULL, 0);

        if (err != ERR_NONE) return err;
    }
    *batch = record_builder_finish(&builder);
    return ERR_NONE;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The version in front, then the message; bytes after it are of a newer writer. */
static enum err decode(struct wire_reader *reader, const struct wire_message *message,
                       int16_t version, struct arena *arena, void *value)
{
    return message->decode(reader, version, arena, value);
}

static enum err read_offset(struct wire_reader *key, struct wire_reader *value, int16_t version,
                            struct arena *arena, struct group_log_read *read)
{
    struct offset_commit_key place;
    enum err err = decode(key, &offset_commit_key_message, version, arena, &place);
    int16_t form;

    if (err != ERR_NONE) return err;
    read->kind = GROUP_LOG_OFFSET;
    read->group = place.group;
    read->topic = place.topic;
    read->partition = place.partition;
    if (read->tombstone) return ERR_NONE;
    form = wire_read_int16(value);
    if (form < 0 || form > VALUE_MAX) {
        read->kind = GROUP_LOG_UNKNOWN;
        return value->error;
    }
    return decode(value, &offset_commit_value_message, form, arena, &read->offset);
}

static enum err read_group(struct wire_reader *key, struct wire_reader *value, struct arena *arena,
                           struct group_log_read *read)
{
    struct group_metadata_key place;
    enum err err = decode(key, &group_metadata_key_message, KEY_GROUP, arena, &place);
    int16_t form;

    if (err != ERR_NONE) return err;
    read->kind = GROUP_LOG_GROUP;
    read->group = place.group;
    if (read->tombstone) return ERR_NONE;
    form = wire_read_int16(value);
    if (form < 0 || form > VALUE_MAX) {
        read->kind = GROUP_LOG_UNKNOWN;
        return value->error;
    }
    return decode(value, &group_metadata_value_message, form, arena, &read->metadata);
}

enum err group_log_read(const struct record *record, struct arena *arena,
                        struct group_log_read *read)
{
    struct wire_reader key;
    struct wire_reader value;
    int16_t version;

    *read =
        (struct group_log_read){.kind = GROUP_LOG_UNKNOWN, .tombstone = record->value.data == NULL};
    wire_reader_init(&key, record->key.data, record->key.length);
    wire_reader_init(&value, record->value.data, record->value.length);
    if (record->key.data == NULL) return ERR_NONE; /* nobody writes these */
    version = wire_read_int16(&key);
    if (key.error != ERR_NONE) return key.error;
    if (version == 0 || version == KEY_OFFSET)
        return read_offset(&key, &value, version, arena, read);
    if (version == KEY_GROUP) return read_group(&key, &value, arena, read);
    if (version > KEY_GROUP) return group_log_consumer_read(&key, &value, version, arena, read);
    return ERR_NONE;
}
