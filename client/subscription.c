#include "client/subscription.h"

enum { OWNED_FROM = 1, GENERATION_FROM = 2, RACK_FROM = 3 };
enum { STRING_LEAST = 2, TOPIC_LEAST = 2 + 4 }; /* bytes of the smallest string, topic entry */

/* ---- parts ---------------------------------------------------------------------------------- */

static void write_topics(struct wire_writer *writer, const struct subscription_topic *topics,
                         uint32_t count)
{
    wire_write_int32(writer, (int32_t)count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_string(writer, topics[i].name, false);
        wire_write_int32(writer, (int32_t)topics[i].partitions_count);
        for (uint32_t p = 0; p < topics[i].partitions_count; p++)
            wire_write_int32(writer, topics[i].partitions[p]);
    }
}

static uint32_t read_topics(struct wire_reader *reader, struct arena *arena,
                            struct subscription_topic **topics)
{
    struct wire_array array = wire_read_array(reader, arena, TOPIC_LEAST, sizeof **topics, false);
    struct subscription_topic *read = array.elements;

    for (uint32_t i = 0; i < array.count; i++) {
        struct wire_array partitions;

        read[i].name = wire_read_string(reader, false);
        partitions = wire_read_array(reader, arena, sizeof(int32_t), sizeof(int32_t), false);
        read[i].partitions = partitions.elements;
        read[i].partitions_count = partitions.count;
        for (uint32_t p = 0; p < partitions.count; p++)
            read[i].partitions[p] = wire_read_int32(reader);
    }
    *topics = read;
    return array.count;
}

/* ---- subscription --------------------------------------------------------------------------- */

void subscription_write(struct wire_writer *writer, const struct subscription *subscription)
{
    wire_write_int16(writer, SUBSCRIPTION_VERSION);
    wire_write_int32(writer, (int32_t)subscription->topics_count);
    for (uint32_t i = 0; i < subscription->topics_count; i++)
        wire_write_string(writer, subscription->topics[i], false);
    wire_write_bytes(writer, subscription->user_data, true);
    write_topics(writer, subscription->owned, subscription->owned_count);
    wire_write_int32(writer, subscription->generation);
    wire_write_string(writer, subscription->rack, true);
}

enum err subscription_read(struct bytes bytes, struct arena *arena,
                           struct subscription *subscription)
{
    struct subscription read = {.generation = -1};
    struct wire_reader reader;
    struct wire_array topics;
    int16_t version;

    wire_reader_init(&reader, bytes.data, bytes.length);
    version = wire_read_int16(&reader);
    if (version < 0) return ERR_MALFORMED;
    topics = wire_read_array(&reader, arena, STRING_LEAST, sizeof *read.topics, false);
    read.topics = topics.elements;
    read.topics_count = topics.count;
    for (uint32_t i = 0; i < topics.count; i++)
        read.topics[i] = wire_read_string(&reader, false);
    read.user_data = wire_read_bytes(&reader, true);
    if (version >= OWNED_FROM) read.owned_count = read_topics(&reader, arena, &read.owned);
    if (version >= GENERATION_FROM) read.generation = wire_read_int32(&reader);
    if (version >= RACK_FROM) read.rack = wire_read_string(&reader, true);
    if (reader.error != ERR_NONE) return reader.error;
    *subscription = read;
    return ERR_NONE;
}

/* ---- assignment ----------------------------------------------------------------------------- */

void subscription_assignment_write(struct wire_writer *writer,
                                   const struct subscription_assignment *assignment)
{
    wire_write_int16(writer, SUBSCRIPTION_VERSION);
    write_topics(writer, assignment->topics, assignment->topics_count);
    wire_write_bytes(writer, BYTES_NULL, true);
}

enum err subscription_assignment_read(struct bytes bytes, struct arena *arena,
                                      struct subscription_assignment *assignment)
{
    struct subscription_assignment read = {0};
    struct wire_reader reader;

    if (bytes.data == NULL || bytes.length == 0) {
        *assignment = read;
        return ERR_NONE;
    }
    wire_reader_init(&reader, bytes.data, bytes.length);
    if (wire_read_int16(&reader) < 0) return ERR_MALFORMED;
    read.topics_count = read_topics(&reader, arena, &read.topics);
    if (reader.error != ERR_NONE) return reader.error;
    if (reader.at < reader.end) read.user_data = wire_read_bytes(&reader, true);
    if (reader.error != ERR_NONE) return reader.error;
    *assignment = read;
    return ERR_NONE;
}

/* ---- user data ------------------------------------------------------------------------------ */

void subscription_sticky_write(struct wire_writer *writer,
                               const struct subscription_assignment *owned, int32_t generation)
{
    write_topics(writer, owned->topics, owned->topics_count);
    wire_write_int32(writer, generation);
}

enum err subscription_sticky_read(struct bytes bytes, struct arena *arena,
                                  struct subscription_assignment *owned, int32_t *generation)
{
    struct subscription_assignment read = {0};
    struct wire_reader reader;
    int32_t of = -1;

    wire_reader_init(&reader, bytes.data, bytes.length);
    read.topics_count = read_topics(&reader, arena, &read.topics);
    if (reader.error == ERR_NONE && wire_left(&reader) > 0) of = wire_read_int32(&reader);
    if (reader.error != ERR_NONE) return reader.error;
    *owned = read;
    *generation = of;
    return ERR_NONE;
}

enum err subscription_cooperative_read(struct bytes bytes, int32_t *generation)
{
    struct wire_reader reader;
    int32_t read;

    wire_reader_init(&reader, bytes.data, bytes.length);
    read = wire_read_int32(&reader);
    if (reader.error != ERR_NONE) return reader.error;
    *generation = read;
    return ERR_NONE;
}
