#include "client/wire/record_builder.h"

#include "client/base/assert.h"

struct record_builder_config record_builder_config_default(struct cpu cpu)
{
    return (struct record_builder_config){.cpu = cpu,
                                          .base_offset = 0,
                                          .partition_leader_epoch = -1,
                                          .attributes = 0,
                                          .producer_id = -1,
                                          .producer_epoch = -1,
                                          .base_sequence = -1};
}

void record_builder_init(struct record_builder *builder, const struct record_builder_config *config,
                         void *buffer, size_t capacity)
{
    ASSERT((config->attributes & RECORD_CODEC_MASK) == 0);
    *builder = (struct record_builder){.config = *config,
                                       .buffer = buffer,
                                       .capacity = capacity,
                                       .used = RECORD_BATCH_HEADER,
                                       .last_delta = -1,
                                       .base_timestamp = -1,
                                       .max_timestamp = -1};
}

static void write_bytes(struct wire_writer *writer, struct bytes value)
{
    wire_write_varint(writer, value.data == NULL ? -1 : (int32_t)value.length);
    wire_write_raw(writer, value.data, value.length);
}

static void write_body(struct wire_writer *writer, const struct record_builder *builder,
                       int32_t delta, int64_t timestamp, struct bytes key, struct bytes value,
                       const struct record_header *headers, uint32_t headers_count)
{
    wire_write_int8(writer, 0);
    wire_write_varlong(writer, timestamp - builder->base_timestamp);
    wire_write_varint(writer, delta);
    write_bytes(writer, key);
    write_bytes(writer, value);
    wire_write_varint(writer, (int32_t)headers_count);
    for (uint32_t i = 0; i < headers_count; i++) {
        ASSERT(headers[i].key.data != NULL);
        write_bytes(writer, headers[i].key);
        write_bytes(writer, headers[i].value);
    }
}

size_t record_builder_size_max(struct bytes key, struct bytes value,
                               const struct record_header *headers, uint32_t headers_count)
{
    size_t size = RECORD_OVERHEAD_MAX + 5 + (size_t)key.length + value.length;

    for (uint32_t i = 0; i < headers_count; i++)
        size += 10 + (size_t)headers[i].key.length + headers[i].value.length;
    return size;
}

enum err record_builder_append_at(struct record_builder *builder, int32_t delta, int64_t timestamp,
                                  struct bytes key, struct bytes value,
                                  const struct record_header *headers, uint32_t headers_count)
{
    struct wire_writer writer;
    struct wire_writer measured;
    int64_t base_timestamp = builder->base_timestamp;

    ASSERT(delta > builder->last_delta);
    if (record_builder_size_max(key, value, headers, headers_count) > INT32_MAX ||
        builder->used >= builder->capacity)
        return ERR_TOO_LARGE;
    if (builder->count == 0) builder->base_timestamp = timestamp;
    wire_writer_measure(&measured);
    write_body(&measured, builder, delta, timestamp, key, value, headers, headers_count);
    wire_writer_init(&writer, builder->buffer + builder->used, builder->capacity - builder->used);
    wire_write_varint(&writer, (int32_t)measured.used);
    write_body(&writer, builder, delta, timestamp, key, value, headers, headers_count);
    if (writer.error != ERR_NONE || builder->used + writer.used > INT32_MAX) {
        builder->base_timestamp = base_timestamp;
        return ERR_TOO_LARGE;
    }
    builder->used += writer.used;
    builder->count++;
    builder->last_delta = delta;
    if (builder->count == 1 || timestamp > builder->max_timestamp)
        builder->max_timestamp = timestamp;
    return ERR_NONE;
}

enum err record_builder_append(struct record_builder *builder, int64_t timestamp, struct bytes key,
                               struct bytes value, const struct record_header *headers,
                               uint32_t headers_count)
{
    if (builder->last_delta == INT32_MAX) return ERR_TOO_LARGE;
    return record_builder_append_at(builder, builder->last_delta + 1, timestamp, key, value,
                                    headers, headers_count);
}

struct bytes record_builder_records(const struct record_builder *builder)
{
    return (struct bytes){builder->buffer + RECORD_BATCH_HEADER,
                          (uint32_t)(builder->used - RECORD_BATCH_HEADER)};
}

static struct bytes finish(const struct record_builder *builder, enum codec codec, uint8_t *at,
                           size_t total)
{
    const struct record_builder_config *config = &builder->config;
    struct record_batch batch = {
        .base_offset = config->base_offset,
        .partition_leader_epoch = config->partition_leader_epoch,
        .attributes = (int16_t)(config->attributes | (int)codec),
        .last_offset_delta = builder->last_delta,
        .base_timestamp = builder->base_timestamp,
        .max_timestamp = builder->max_timestamp,
        .producer_id = config->producer_id,
        .producer_epoch = config->producer_epoch,
        .base_sequence = config->base_sequence,
        .record_count = builder->count,
    };

    ASSERT(builder->count > 0 && total <= INT32_MAX);
    record_batch_write_header(config->cpu, at, &batch, (uint32_t)total);
    return (struct bytes){at, (uint32_t)total};
}

struct bytes record_builder_finish(struct record_builder *builder)
{
    return finish(builder, CODEC_NONE, builder->buffer, builder->used);
}

struct bytes record_builder_finish_compressed(struct record_builder *builder, enum codec codec,
                                              uint8_t *target, size_t length)
{
    return finish(builder, codec, target, RECORD_BATCH_HEADER + length);
}

/* ---- control batches ------------------------------------------------------------------------ */

struct record_builder_config record_builder_config_control(struct cpu cpu)
{
    struct record_builder_config config = record_builder_config_default(cpu);

    config.attributes = RECORD_CONTROL;
    return config;
}

enum err record_builder_append_control(struct record_builder *builder, int64_t timestamp,
                                       enum control_type type, struct bytes value)
{
    uint8_t key[4] = {0, 0, 0, (uint8_t)type}; /* version 0, type */

    ASSERT((builder->config.attributes & RECORD_CONTROL) != 0 && type != CONTROL_UNKNOWN);
    return record_builder_append(builder, timestamp, (struct bytes){key, sizeof key}, value, NULL,
                                 0);
}

enum err record_builder_append_marker(struct record_builder *builder, int64_t timestamp,
                                      enum control_type type, int32_t coordinator_epoch)
{
    uint32_t epoch = (uint32_t)coordinator_epoch;
    uint8_t value[6] = {0,
                        0,
                        (uint8_t)(epoch >> 24),
                        (uint8_t)(epoch >> 16),
                        (uint8_t)(epoch >> 8),
                        (uint8_t)epoch};

    ASSERT(type == CONTROL_ABORT || type == CONTROL_COMMIT);
    return record_builder_append_control(builder, timestamp, type,
                                         (struct bytes){value, sizeof value});
}
