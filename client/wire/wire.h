/* The bytes of Kafka's protocol: a bounds-checked reader, a writer that gathers, and the shape of
 * the facts that the generator (client/wire/gen) makes from client/wire/schema.
 *
 * Reading. One reader {at, end, error}. Every primitive checks bounds; the first error stays and
 * every later read returns zero, so generated code tests once, at the end. Strings, bytes and
 * records are views into the frame and live as long as it does; arrays live in the arena.
 *
 * Writing. Two passes with the same code: a writer without a buffer measures, one with a buffer
 * writes. `records` are not copied but referenced when slices are given, so that a Fetch response
 * leaves as a gathered send: header bytes, records, header bytes, ... (protocol.md 21).
 *
 *   buffer  [ size | header | topics .. partition ][ next partition .. tags ]
 *   slices    0: buffer part      1: records        2: buffer part            */
#ifndef CLIENT_WIRE_WIRE_H
#define CLIENT_WIRE_WIRE_H

#include "client/base/arena.h"
#include "client/base/byteorder.h"
#include "client/base/bytes.h"
#include "client/base/err.h"

/* ---- reading ------------------------------------------------------------------------------- */

struct wire_reader {
    const uint8_t *at; /* never passes end */
    const uint8_t *end;
    enum err error; /* sticky: ERR_MALFORMED, or ERR_NO_MEMORY when the arena is at its cap */
    bool flexible;  /* compact lengths and tagged fields; set by generated code per version */
};

enum { WIRE_STRING_MAX = 32767 };

void wire_reader_init(struct wire_reader *reader, const void *data, size_t length);
/* The reader's error; ERR_MALFORMED also when bytes are left over. */
MUST_USE enum err wire_reader_end(const struct wire_reader *reader);
void wire_reader_fail(struct wire_reader *reader, enum err error);
static inline size_t wire_left(const struct wire_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}
/* `length` bytes, or NULL and the sticky error. */
static inline const uint8_t *wire_take(struct wire_reader *reader, size_t length)
{
    const uint8_t *taken = reader->at;

    if (reader->error != ERR_NONE) return NULL;
    if (wire_left(reader) < length) {
        reader->error = ERR_MALFORMED;
        return NULL;
    }
    reader->at += length;
    return taken;
}

static inline int8_t wire_read_int8(struct wire_reader *reader)
{
    const uint8_t *at = wire_take(reader, 1);

    return at != NULL ? (int8_t)*at : 0;
}

static inline bool wire_read_bool(struct wire_reader *reader)
{
    return wire_read_int8(reader) != 0;
}

static inline uint16_t wire_read_uint16(struct wire_reader *reader)
{
    const uint8_t *at = wire_take(reader, 2);

    return at != NULL ? be_get16(at) : 0;
}

static inline int16_t wire_read_int16(struct wire_reader *reader)
{
    return (int16_t)wire_read_uint16(reader);
}

static inline uint32_t wire_read_uint32(struct wire_reader *reader)
{
    const uint8_t *at = wire_take(reader, 4);

    return at != NULL ? be_get32(at) : 0;
}

static inline int32_t wire_read_int32(struct wire_reader *reader)
{
    return (int32_t)wire_read_uint32(reader);
}

static inline int64_t wire_read_int64(struct wire_reader *reader)
{
    const uint8_t *at = wire_take(reader, 8);

    return at != NULL ? (int64_t)be_get64(at) : 0;
}

struct uuid wire_read_uuid(struct wire_reader *reader);
/* Lengths, counts and tags: base 128 in as few bytes as it takes, anything longer is an error. */
uint32_t wire_read_uvarint(struct wire_reader *reader);
/* Inside record batches: zig-zag; padding up to 5 (10) bytes is read, as other readers do. */
int32_t wire_read_varint_any(struct wire_reader *reader);
int64_t wire_read_varlong_any(struct wire_reader *reader);

/* One byte, as most are: a leader reads six of each record that it appends. */
static inline bool wire_at_short(const struct wire_reader *reader)
{
    return reader->error == ERR_NONE && reader->at < reader->end && *reader->at < 0x80;
}

static inline int32_t wire_read_varint(struct wire_reader *reader)
{
    return wire_at_short(reader) ? unzigzag32(*reader->at++) : wire_read_varint_any(reader);
}

static inline int64_t wire_read_varlong(struct wire_reader *reader)
{
    return wire_at_short(reader) ? unzigzag64(*reader->at++) : wire_read_varlong_any(reader);
}

struct str wire_read_string(struct wire_reader *reader, bool nullable);
struct str wire_read_plain_string(struct wire_reader *reader, bool nullable); /* never compact */
struct bytes wire_read_bytes(struct wire_reader *reader, bool nullable);

struct wire_array {
    void *elements; /* from the arena; NULL when count is 0 */
    uint32_t count;
    bool null;
};
/* Count, checked against the bytes left over `min_size` (smallest encoding of an element), and
 * room for the elements. */
struct wire_array wire_read_array(struct wire_reader *reader, struct arena *arena, size_t min_size,
                                  size_t element_size, bool nullable);
/* The int8 before a nullable struct: false = null. */
bool wire_read_present(struct wire_reader *reader);
bool wire_read_present_tagged(struct wire_reader *reader);

/* A block of tagged fields: ascending tags, each consumed exactly, else ERR_MALFORMED. */
struct wire_tags {
    uint32_t left;
    uint32_t tag;
    bool open; /* a field is being read; reader->end is its end */
    bool any;
    const uint8_t *outer_end;
};
void wire_tags_begin(struct wire_reader *reader, struct wire_tags *tags);
/* Steps to the next field: tags->tag, with the reader cut to its bytes. */
bool wire_tags_next(struct wire_reader *reader, struct wire_tags *tags);
void wire_tags_skip(struct wire_reader *reader);
/* A whole block of which no tag is known. */
void wire_tags_skip_all(struct wire_reader *reader);

/* ---- writing ------------------------------------------------------------------------------- */

enum wire_slice_kind {
    WIRE_SLICE_MEMORY,
    WIRE_SLICE_FILE, /* a range of an open file: only where slices are gathered */
};

struct wire_slice {
    enum wire_slice_kind kind;
    uint32_t length;
    const uint8_t *data; /* of MEMORY; borrowed until sent */
    uint32_t file;       /* of FILE: struct disk_file, open until sent */
    uint64_t offset;
};

struct wire_writer {
    uint8_t *buffer; /* NULL: measure only */
    size_t capacity;
    size_t used;               /* bytes in the buffer */
    size_t referenced;         /* bytes in slices outside the buffer */
    struct wire_slice *slices; /* NULL: records are copied into the buffer */
    uint32_t slices_max;
    uint32_t slices_count;
    size_t slice_begin; /* first buffer byte that no slice covers yet */
    enum err error;     /* sticky */
    bool flexible;
};

/* What an encoding needs. All in one buffer: bytes. Gathered: bytes - payload in the buffer, and
 * at most `slices` slices. */
struct wire_size {
    size_t bytes;
    size_t payload;
    uint32_t slices;
};

void wire_writer_init(struct wire_writer *writer, void *buffer, size_t capacity);
/* Records become slices of their own; call before the first write. */
void wire_writer_gather(struct wire_writer *writer, struct wire_slice *slices, uint32_t max);
void wire_writer_measure(struct wire_writer *writer);
struct wire_size wire_writer_size(const struct wire_writer *writer);
/* Closes the last slice. The sticky error: ERR_UNSUPPORTED_VERSION (a value that this version
 * cannot say), ERR_BAD_STATE (null where none is allowed), ERR_TOO_LARGE (a string or a buffer). */
MUST_USE enum err wire_writer_finish(struct wire_writer *writer);
void wire_writer_fail(struct wire_writer *writer, enum err error);

/* The int32 size before a frame: begin before the header, end after the body. */
struct wire_frame {
    size_t at;     /* where the size stands in the buffer */
    size_t before; /* bytes written before the frame */
};
struct wire_frame wire_frame_begin(struct wire_writer *writer);
void wire_frame_end(struct wire_writer *writer, struct wire_frame frame);
/* Size out of the first four bytes. ERR_MALFORMED below 0, ERR_TOO_LARGE above max. */
MUST_USE enum err wire_frame_size(const uint8_t first[4], uint32_t max, uint32_t *size);

void wire_write_raw(struct wire_writer *writer, const void *data, size_t length);

/* Room for `length` bytes in the buffer; NULL when measuring or failed. */
static inline uint8_t *wire_room(struct wire_writer *writer, size_t length)
{
    uint8_t *at;

    if (writer->buffer == NULL) {
        writer->used += length;
        return NULL;
    }
    if (writer->error != ERR_NONE) return NULL;
    if (writer->capacity - writer->used < length) {
        wire_writer_fail(writer, ERR_TOO_LARGE);
        return NULL;
    }
    at = writer->buffer + writer->used;
    writer->used += length;
    return at;
}

static inline void wire_write_int8(struct wire_writer *writer, int8_t value)
{
    uint8_t *at = wire_room(writer, 1);

    if (at != NULL) *at = (uint8_t)value;
}

static inline void wire_write_bool(struct wire_writer *writer, bool value)
{
    wire_write_int8(writer, value ? 1 : 0);
}

static inline void wire_write_uint16(struct wire_writer *writer, uint16_t value)
{
    uint8_t *at = wire_room(writer, 2);

    if (at != NULL) be_put16(at, value);
}

static inline void wire_write_int16(struct wire_writer *writer, int16_t value)
{
    wire_write_uint16(writer, (uint16_t)value);
}

static inline void wire_write_uint32(struct wire_writer *writer, uint32_t value)
{
    uint8_t *at = wire_room(writer, 4);

    if (at != NULL) be_put32(at, value);
}

static inline void wire_write_int32(struct wire_writer *writer, int32_t value)
{
    wire_write_uint32(writer, (uint32_t)value);
}

static inline void wire_write_int64(struct wire_writer *writer, int64_t value)
{
    uint8_t *at = wire_room(writer, 8);

    if (at != NULL) be_put64(at, (uint64_t)value);
}

void wire_write_uuid(struct wire_writer *writer, struct uuid value);
void wire_write_uvarint(struct wire_writer *writer, uint32_t value);
void wire_write_varint(struct wire_writer *writer, int32_t value);
void wire_write_varlong(struct wire_writer *writer, int64_t value);
void wire_write_string(struct wire_writer *writer, struct str value, bool nullable);
void wire_write_plain_string(struct wire_writer *writer, struct str value, bool nullable);
void wire_write_bytes(struct wire_writer *writer, struct bytes value, bool nullable);
/* `slices` (count > 0) take the place of `value`: records that lie in several pieces. */
void wire_write_records(struct wire_writer *writer, struct bytes value,
                        const struct wire_slice *slices, uint32_t slices_count, bool nullable);
void wire_write_count(struct wire_writer *writer, uint32_t count, bool null, bool nullable);
/* Tag and size of a tagged field; the content follows. */
void wire_write_tag(struct wire_writer *writer, uint32_t tag, size_t size);
/* A writer that measures, with the same `flexible`. */
struct wire_writer wire_writer_shadow(const struct wire_writer *writer);

/* ---- facts about messages, for printing, checking and fuzzing ------------------------------ */

enum wire_type {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_UINT16,
    WIRE_INT32,
    WIRE_UINT32,
    WIRE_INT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_RECORDS,
    WIRE_STRUCT,
};

#define WIRE_NO_OFFSET UINT32_MAX

/* Versions first..last; first > last is none. Clipped to the versions of the message. */
struct wire_range {
    int16_t first;
    int16_t last;
};

static inline bool wire_in_range(struct wire_range range, int16_t version)
{
    return version >= range.first && version <= range.last;
}

struct wire_struct;

struct wire_field {
    const char *name;
    enum wire_type type;
    bool array; /* T *name; uint32_t name_count */
    bool ignorable;
    bool plain;        /* never compact */
    bool default_null; /* for what can be null */
    int16_t tag;       /* -1: not tagged */
    struct wire_range versions;
    struct wire_range nullable;
    int64_t default_number;
    uint32_t offset;
    uint32_t count_offset;             /* arrays; else WIRE_NO_OFFSET */
    uint32_t null_offset;              /* bool name_null: nullable arrays and structs */
    const struct wire_struct *element; /* WIRE_STRUCT */
};

struct wire_struct {
    const char *name;
    size_t size;
    const struct wire_field *fields;
    uint32_t fields_count;
    void (*set_default)(void *value);
};

enum wire_kind {
    WIRE_REQUEST,
    WIRE_RESPONSE,
    WIRE_RECORD, /* metadata record; id is the record id */
    WIRE_DATA,   /* anything else: headers, values of control records */
};

struct wire_message {
    const char *name;
    enum wire_kind kind;
    int16_t id; /* api key or record id; -1 for WIRE_DATA */
    struct wire_range versions;
    int16_t flexible_from; /* above versions.last: never */
    const struct wire_struct *body;
    enum err (*decode)(struct wire_reader *, int16_t version, struct arena *, void *value);
    enum err (*encode)(struct wire_writer *, int16_t version, const void *value);
    struct wire_size (*measure)(const void *value, int16_t version);
};

#endif
