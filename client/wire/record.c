/* Records inside a batch (protocol.md 9). All varints are zig-zag:
 *
 *   length varint (of what follows) | attributes int8, unused | timestamp_delta varlong |
 *   offset_delta varint | key_length varint (-1 null) key | value_length varint (-1 null) value |
 *   header_count varint, each: key_length varint (>= 0) key, value_length varint (-1 null) value */
#include "client/wire/record.h"

void record_iter_init(struct record_iter *iter, const struct record_batch *batch,
                      struct bytes records)
{
    *iter =
        (struct record_iter){.batch = batch,
                             .left = batch->record_count,
                             .timestamp_base = batch->base_timestamp,
                             .log_append_time = (batch->attributes & RECORD_LOG_APPEND_TIME) != 0};
    wire_reader_init(&iter->reader, records.data, records.length);
}

/* length varint, bytes; -1 is null where `nullable`. */
static struct bytes read_bytes(struct wire_reader *reader, bool nullable)
{
    int32_t length = wire_read_varint(reader);
    const uint8_t *data;

    if (reader->error != ERR_NONE || (length == -1 && nullable)) return BYTES_NULL;
    if (length < 0) {
        wire_reader_fail(reader, ERR_MALFORMED);
        return BYTES_NULL;
    }
    data = wire_take(reader, (size_t)length);
    return data != NULL ? (struct bytes){data, (uint32_t)length} : BYTES_NULL;
}

/* Steps over the headers so that a record handed out is known to be sound. */
static void read_headers(struct wire_reader *reader, struct record *record)
{
    int32_t count = wire_read_varint(reader);

    if (reader->error != ERR_NONE) return;
    if (count < 0 || (size_t)count > wire_left(reader)) {
        wire_reader_fail(reader, ERR_MALFORMED);
        return;
    }
    record->headers_count = (uint32_t)count;
    record->headers = (struct bytes){reader->at, (uint32_t)wire_left(reader)};
    for (int32_t i = 0; i < count && reader->error == ERR_NONE; i++) {
        (void)read_bytes(reader, false);
        (void)read_bytes(reader, true);
    }
}

/* a + b unless that overflows. */
static bool add(int64_t a, int64_t b, int64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

enum err record_iter_next(struct record_iter *iter, struct record *record)
{
    struct record read = {0};
    struct wire_reader body;
    const uint8_t *data;
    int64_t timestamp_delta;
    int32_t length;

    if (iter->left <= 0)
        return wire_reader_end(&iter->reader) == ERR_NONE ? ERR_EOF : ERR_CORRUPT_MESSAGE;
    length = wire_read_varint(&iter->reader);
    data = length < 0 ? NULL : wire_take(&iter->reader, (size_t)length);
    if (data == NULL) return ERR_CORRUPT_MESSAGE;
    wire_reader_init(&body, data, (size_t)length);
    (void)wire_read_int8(&body);
    timestamp_delta = wire_read_varlong(&body);
    read.offset_delta = wire_read_varint(&body);
    read.key = read_bytes(&body, true);
    read.value = read_bytes(&body, true);
    read_headers(&body, &read);
    if (wire_reader_end(&body) != ERR_NONE || read.offset_delta < 0 ||
        read.offset_delta > iter->batch->last_offset_delta ||
        !add(iter->batch->base_offset, read.offset_delta, &read.offset) ||
        !add(iter->timestamp_base, timestamp_delta, &read.timestamp))
        return ERR_CORRUPT_MESSAGE;
    if (iter->log_append_time) read.timestamp = iter->batch->max_timestamp;
    iter->left--;
    *record = read;
    return ERR_NONE;
}

enum err record_headers_next(struct bytes *headers, struct record_header *header)
{
    struct wire_reader reader;
    struct record_header read;

    wire_reader_init(&reader, headers->data, headers->length);
    read.key = read_bytes(&reader, false);
    read.value = read_bytes(&reader, true);
    if (reader.error != ERR_NONE) return ERR_CORRUPT_MESSAGE;
    *headers = (struct bytes){reader.at, (uint32_t)wire_left(&reader)};
    *header = read;
    return ERR_NONE;
}

enum err record_summarize(const struct record_batch *batch, struct bytes records,
                          struct record_summary *summary)
{
    struct record_summary found = {.max_timestamp = -1,
                                   .max_timestamp_delta = -1,
                                   .min_timestamp = -1,
                                   .first_without_key = -1,
                                   .dense = true};
    struct record_iter iter;
    struct record record;
    int32_t expected = 0;
    int32_t last = -1;
    enum err err;

    record_iter_init(&iter, batch, records);
    while ((err = record_iter_next(&iter, &record)) == ERR_NONE) {
        if (record.offset_delta <= last) return ERR_CORRUPT_MESSAGE;
        last = record.offset_delta;
        if (record.offset_delta != expected++) found.dense = false;
        if (found.max_timestamp_delta < 0 || record.timestamp > found.max_timestamp) {
            found.max_timestamp = record.timestamp;
            found.max_timestamp_delta = record.offset_delta;
        }
        if (record.timestamp >= 0 &&
            (found.min_timestamp < 0 || record.timestamp < found.min_timestamp))
            found.min_timestamp = record.timestamp;
        if (record.key.data == NULL && found.first_without_key < 0)
            found.first_without_key = record.offset_delta;
    }
    if (err != ERR_EOF) return ERR_CORRUPT_MESSAGE;
    *summary = found;
    return ERR_NONE;
}

/* ---- control records ------------------------------------------------------------------------ */

enum err record_control_type(const struct record *record, enum control_type *type)
{
    struct wire_reader reader;
    int16_t version, number;

    if (record->key.data == NULL) return ERR_CORRUPT_MESSAGE;
    wire_reader_init(&reader, record->key.data, record->key.length);
    version = wire_read_int16(&reader);
    number = wire_read_int16(&reader);
    if (reader.error != ERR_NONE || version < 0 || number < 0) return ERR_CORRUPT_MESSAGE;
    *type = number <= CONTROL_KRAFT_VOTERS ? (enum control_type)number : CONTROL_UNKNOWN;
    return ERR_NONE;
}

enum err record_marker_epoch(const struct record *record, int32_t *coordinator_epoch)
{
    struct wire_reader reader;
    int16_t version;
    int32_t epoch;

    if (record->value.data == NULL) return ERR_CORRUPT_MESSAGE;
    wire_reader_init(&reader, record->value.data, record->value.length);
    version = wire_read_int16(&reader);
    epoch = wire_read_int32(&reader);
    if (reader.error != ERR_NONE || version < 0) return ERR_CORRUPT_MESSAGE;
    *coordinator_epoch = epoch;
    return ERR_NONE;
}

enum err record_marker_read(const struct record_batch *batch, struct record_marker *marker)
{
    struct record_marker found = {.type = CONTROL_UNKNOWN, .coordinator_epoch = -1};
    struct record_iter iter;
    struct record record;
    enum err err = ERR_NONE;

    if (batch->record_count == 0) {
        *marker = found;
        return ERR_NONE;
    }
    if (record_batch_is_compressed(batch) || batch->bytes.data == NULL) return ERR_CORRUPT_MESSAGE;
    record_iter_init(&iter, batch, record_batch_payload(batch));
    err = record_iter_next(&iter, &record);
    if (err == ERR_NONE) err = record_control_type(&record, &found.type);
    if (err == ERR_NONE && (found.type == CONTROL_ABORT || found.type == CONTROL_COMMIT))
        err = record_marker_epoch(&record, &found.coordinator_epoch);
    if (err != ERR_NONE) return ERR_CORRUPT_MESSAGE;
    *marker = found;
    return ERR_NONE;
}
