/* Primitives of reading and writing: protocol.md 3 and 4. */
#include "client/wire/wire.h"

#include <string.h>

/* ---- reading ------------------------------------------------------------------------------- */

void wire_reader_init(struct wire_reader *reader, const void *data, size_t length)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *begin = data != NULL ? data : nothing; /* an empty view is not null */

    *reader = (struct wire_reader){.at = begin, .end = begin + length, .error = ERR_NONE};
}

enum err wire_reader_end(const struct wire_reader *reader)
{
    if (reader->error != ERR_NONE) return reader->error;
    return reader->at == reader->end ? ERR_NONE : ERR_MALFORMED;
}

void wire_reader_fail(struct wire_reader *reader, enum err error)
{
    if (reader->error == ERR_NONE) reader->error = error;
}

struct uuid wire_read_uuid(struct wire_reader *reader)
{
    struct uuid id = {{0}};
    const uint8_t *at = wire_take(reader, sizeof id.bytes);

    if (at != NULL) memcpy(id.bytes, at, sizeof id.bytes);
    return id;
}

/* Steps to `after`; NULL is the error. */
static void step_to(struct wire_reader *reader, const uint8_t *after)
{
    if (after != NULL)
        reader->at = after;
    else
        wire_reader_fail(reader, ERR_MALFORMED);
}

uint32_t wire_read_uvarint(struct wire_reader *reader)
{
    const uint8_t *before = reader->at;
    uint32_t value = 0;

    if (reader->error != ERR_NONE) return 0;
    step_to(reader, uvarint_get(before, reader->end, &value));
    if (reader->at != before + uvarint_size(value)) wire_reader_fail(reader, ERR_MALFORMED);
    return reader->error == ERR_NONE ? value : 0;
}

int32_t wire_read_varint_any(struct wire_reader *reader)
{
    uint32_t value = 0;

    if (reader->error == ERR_NONE) step_to(reader, uvarint_get(reader->at, reader->end, &value));
    return unzigzag32(value);
}

int64_t wire_read_varlong_any(struct wire_reader *reader)
{
    uint64_t value = 0;

    if (reader->error == ERR_NONE) step_to(reader, uvarlong_get(reader->at, reader->end, &value));
    return unzigzag64(value);
}

/* A compact length: uvarint length + 1, 0 for null, so -1 here. */
static int64_t read_compact_length(struct wire_reader *reader)
{
    return (int64_t)wire_read_uvarint(reader) - 1;
}

static const uint8_t *take_view(struct wire_reader *reader, int64_t length, bool nullable,
                                int64_t max)
{
    if (reader->error != ERR_NONE) return NULL;
    if (length < -1 || length > max || (length == -1 && !nullable)) {
        wire_reader_fail(reader, ERR_MALFORMED);
        return NULL;
    }
    return length == -1 ? NULL : wire_take(reader, (size_t)length);
}

static struct str take_string(struct wire_reader *reader, int64_t length, bool nullable)
{
    const uint8_t *at = take_view(reader, length, nullable, WIRE_STRING_MAX);

    return at != NULL ? (struct str){(const char *)at, (uint32_t)length} : STR_NULL;
}

struct str wire_read_plain_string(struct wire_reader *reader, bool nullable)
{
    return take_string(reader, wire_read_int16(reader), nullable);
}

struct str wire_read_string(struct wire_reader *reader, bool nullable)
{
    if (!reader->flexible) return wire_read_plain_string(reader, nullable);
    return take_string(reader, read_compact_length(reader), nullable);
}

struct bytes wire_read_bytes(struct wire_reader *reader, bool nullable)
{
    int64_t length = reader->flexible ? read_compact_length(reader) : wire_read_int32(reader);
    const uint8_t *at = take_view(reader, length, nullable, INT32_MAX);

    return at != NULL ? (struct bytes){at, (uint32_t)length} : BYTES_NULL;
}

struct wire_array wire_read_array(struct wire_reader *reader, struct arena *arena, size_t min_size,
                                  size_t element_size, bool nullable)
{
    int64_t count = reader->flexible ? read_compact_length(reader) : wire_read_int32(reader);
    struct wire_array array = {0};

    if (reader->error != ERR_NONE) return array;
    if (count < -1 || (count == -1 && !nullable) ||
        (count > 0 && (uint64_t)count > wire_left(reader) / min_size)) {
        wire_reader_fail(reader, ERR_MALFORMED);
        return array;
    }
    array.null = count == -1;
    if (count <= 0) return array;
    array.elements = arena_alloc(arena, (size_t)count * element_size);
    if (array.elements == NULL) {
        wire_reader_fail(reader, ERR_NO_MEMORY);
        return array;
    }
    array.count = (uint32_t)count;
    return array;
}

bool wire_read_present(struct wire_reader *reader)
{
    return wire_read_int8(reader) >= 0 && reader->error == ERR_NONE;
}

bool wire_read_present_tagged(struct wire_reader *reader)
{
    return wire_read_uvarint(reader) != 0;
}

void wire_tags_begin(struct wire_reader *reader, struct wire_tags *tags)
{
    *tags = (struct wire_tags){.left = wire_read_uvarint(reader), .outer_end = reader->end};
}

bool wire_tags_next(struct wire_reader *reader, struct wire_tags *tags)
{
    uint32_t tag, size;

    if (tags->open) {
        if (reader->at != reader->end) wire_reader_fail(reader, ERR_MALFORMED);
        reader->end = tags->outer_end;
        tags->open = false;
    }
    if (reader->error != ERR_NONE || tags->left == 0) return false;
    tags->left--;
    tag = wire_read_uvarint(reader);
    size = wire_read_uvarint(reader);
    if (reader->error != ERR_NONE) return false;
    if ((tags->any && tag <= tags->tag) || size > wire_left(reader)) {
        wire_reader_fail(reader, ERR_MALFORMED);
        return false;
    }
    tags->tag = tag;
    tags->any = true;
    tags->open = true;
    reader->end = reader->at + size;
    return true;
}

void wire_tags_skip(struct wire_reader *reader)
{
    if (reader->error == ERR_NONE) reader->at = reader->end;
}

void wire_tags_skip_all(struct wire_reader *reader)
{
    struct wire_tags tags;

    wire_tags_begin(reader, &tags);
    while (wire_tags_next(reader, &tags))
        wire_tags_skip(reader);
}

/* ---- writing ------------------------------------------------------------------------------- */

void wire_writer_init(struct wire_writer *writer, void *buffer, size_t capacity)
{
    *writer = (struct wire_writer){.buffer = buffer, .capacity = capacity, .error = ERR_NONE};
}

void wire_writer_gather(struct wire_writer *writer, struct wire_slice *slices, uint32_t max)
{
    writer->slices = slices;
    writer->slices_max = max;
}

void wire_writer_measure(struct wire_writer *writer)
{
    *writer = (struct wire_writer){.error = ERR_NONE};
}

struct wire_writer wire_writer_shadow(const struct wire_writer *writer)
{
    return (struct wire_writer){.error = ERR_NONE, .flexible = writer->flexible};
}

/* A measuring writer counts payload slices; between and around them lie buffer slices. */
struct wire_size wire_writer_size(const struct wire_writer *writer)
{
    return (struct wire_size){.bytes = writer->used + writer->referenced,
                              .payload = writer->referenced,
                              .slices = 2 * writer->slices_count + 1};
}

void wire_writer_fail(struct wire_writer *writer, enum err error)
{
    if (writer->error == ERR_NONE) writer->error = error;
}

static void add_slice(struct wire_writer *writer, const uint8_t *data, size_t length)
{
    if (length == 0) return;
    if (writer->slices_count == writer->slices_max || length > UINT32_MAX) {
        wire_writer_fail(writer, ERR_TOO_LARGE);
        return;
    }
    writer->slices[writer->slices_count++] =
        (struct wire_slice){.kind = WIRE_SLICE_MEMORY, .length = (uint32_t)length, .data = data};
}

static void close_slice(struct wire_writer *writer)
{
    if (writer->buffer == NULL || writer->slices == NULL) return;
    add_slice(writer, writer->buffer + writer->slice_begin, writer->used - writer->slice_begin);
    writer->slice_begin = writer->used;
}

enum err wire_writer_finish(struct wire_writer *writer)
{
    if (writer->error == ERR_NONE) close_slice(writer);
    return writer->error;
}

struct wire_frame wire_frame_begin(struct wire_writer *writer)
{
    struct wire_frame frame = {writer->used, writer->used + writer->referenced};

    wire_write_int32(writer, 0);
    return frame;
}

void wire_frame_end(struct wire_writer *writer, struct wire_frame frame)
{
    size_t size = writer->used + writer->referenced - frame.before - 4;

    if (writer->error != ERR_NONE) return;
    if (size > INT32_MAX) {
        wire_writer_fail(writer, ERR_TOO_LARGE);
        return;
    }
    if (writer->buffer != NULL) be_put32(writer->buffer + frame.at, (uint32_t)size);
}

enum err wire_frame_size(const uint8_t first[4], uint32_t max, uint32_t *size)
{
    uint32_t value = (uint32_t)first[0] << 24 | (uint32_t)first[1] << 16 | (uint32_t)first[2] << 8 |
                     (uint32_t)first[3];

    if (value > INT32_MAX) return ERR_MALFORMED;
    if (value > max) return ERR_TOO_LARGE;
    *size = value;
    return ERR_NONE;
}

void wire_write_raw(struct wire_writer *writer, const void *data, size_t length)
{
    uint8_t *at = wire_room(writer, length);

    if (at != NULL && length > 0) memcpy(at, data, length);
}

void wire_write_uuid(struct wire_writer *writer, struct uuid value)
{
    wire_write_raw(writer, value.bytes, sizeof value.bytes);
}

void wire_write_uvarint(struct wire_writer *writer, uint32_t value)
{
    uint8_t *at = wire_room(writer, uvarint_size(value));

    if (at != NULL) uvarint_put(at, value);
}

void wire_write_varint(struct wire_writer *writer, int32_t value)
{
    wire_write_uvarint(writer, zigzag32(value));
}

void wire_write_varlong(struct wire_writer *writer, int64_t value)
{
    uint8_t *at = wire_room(writer, varlong_size(value));

    if (at != NULL) varlong_put(at, value);
}

void wire_write_plain_string(struct wire_writer *writer, struct str value, bool nullable)
{
    if (value.data == NULL && !nullable) wire_writer_fail(writer, ERR_BAD_STATE);
    if (value.length > WIRE_STRING_MAX) wire_writer_fail(writer, ERR_TOO_LARGE);
    wire_write_int16(writer, value.data == NULL ? -1 : (int16_t)value.length);
    wire_write_raw(writer, value.data, value.length);
}

void wire_write_string(struct wire_writer *writer, struct str value, bool nullable)
{
    if (!writer->flexible) {
        wire_write_plain_string(writer, value, nullable);
        return;
    }
    if (value.data == NULL && !nullable) wire_writer_fail(writer, ERR_BAD_STATE);
    if (value.length > WIRE_STRING_MAX) wire_writer_fail(writer, ERR_TOO_LARGE);
    wire_write_uvarint(writer, value.data == NULL ? 0 : value.length + 1);
    wire_write_raw(writer, value.data, value.length);
}

/* The length before bytes or an array. */
static void write_length(struct wire_writer *writer, uint64_t length, bool null, bool nullable)
{
    if (null && !nullable) wire_writer_fail(writer, ERR_BAD_STATE);
    if (length > INT32_MAX) wire_writer_fail(writer, ERR_TOO_LARGE);
    if (writer->flexible)
        wire_write_uvarint(writer, null ? 0 : (uint32_t)length + 1);
    else
        wire_write_int32(writer, null ? -1 : (int32_t)length);
}

void wire_write_bytes(struct wire_writer *writer, struct bytes value, bool nullable)
{
    write_length(writer, value.length, value.data == NULL, nullable);
    wire_write_raw(writer, value.data, value.length);
}

static void write_payload(struct wire_writer *writer, const uint8_t *data, uint32_t length)
{
    if (length == 0) return;
    if (writer->buffer == NULL) { /* measuring */
        writer->slices_count++;
        writer->referenced += length;
    } else if (writer->slices == NULL) {
        wire_write_raw(writer, data, length);
    } else {
        close_slice(writer);
        add_slice(writer, data, length);
        writer->referenced += length;
    }
}

/* Counted as any payload; its bytes are nobody's here. */
static void write_range(struct wire_writer *writer, const struct wire_slice *range)
{
    if (writer->buffer == NULL) {
        write_payload(writer, NULL, range->length);
        return;
    }
    if (writer->slices == NULL) {
        wire_writer_fail(writer, ERR_BAD_STATE);
        return;
    }
    close_slice(writer);
    if (writer->slices_count == writer->slices_max) {
        wire_writer_fail(writer, ERR_TOO_LARGE);
        return;
    }
    writer->slices[writer->slices_count++] = *range;
    writer->referenced += range->length;
}

void wire_write_records(struct wire_writer *writer, struct bytes value,
                        const struct wire_slice *slices, uint32_t slices_count, bool nullable)
{
    uint64_t length = 0;

    if (slices_count == 0) {
        write_length(writer, value.length, value.data == NULL, nullable);
        write_payload(writer, value.data, value.length);
        return;
    }
    for (uint32_t i = 0; i < slices_count; i++)
        length += slices[i].length;
    write_length(writer, length, false, nullable);
    for (uint32_t i = 0; i < slices_count; i++) {
        switch (slices[i].kind) {
        case WIRE_SLICE_MEMORY: write_payload(writer, slices[i].data, slices[i].length); break;
        case WIRE_SLICE_FILE: write_range(writer, &slices[i]); break;
        }
    }
}

void wire_write_count(struct wire_writer *writer, uint32_t count, bool null, bool nullable)
{
    if (null && count > 0) wire_writer_fail(writer, ERR_BAD_STATE);
    write_length(writer, count, null, nullable);
}

void wire_write_tag(struct wire_writer *writer, uint32_t tag, size_t size)
{
    if (size > INT32_MAX) wire_writer_fail(writer, ERR_TOO_LARGE);
    wire_write_uvarint(writer, tag);
    wire_write_uvarint(writer, (uint32_t)size);
}
