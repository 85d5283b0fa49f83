#include "client/world/trace_file.h"

#include "client/base/assert.h"
#include "client/base/byteorder.h"

#include <string.h>

static const uint8_t trace_magic[8] = {'g', 'r', 'e', 'g', 'o', 'r', 't', 'r'};
static const uint8_t block_magic[4] = {'b', 'l', 'c', 'k'};

/* ---- writing --------------------------------------------------------------------------------- */

static uint8_t *put_text(uint8_t *at, const char *text)
{
    size_t length = strlen(text);

    at = uvarint_put(at, (uint32_t)length);
    memcpy(at, text, length);
    return at + length;
}

uint32_t trace_file_head(uint8_t *buffer)
{
    uint8_t *at = buffer;

    memcpy(at, trace_magic, sizeof trace_magic);
    be_put32(at + 8, TRACE_VERSION);
    be_put32(at + 12, TRACE_KIND_COUNT);
    at += 16;
    for (uint32_t i = 0; i < TRACE_KIND_COUNT; i++) {
        struct trace_kind_info info;

        trace_kind_describe((enum trace_kind)i, &info);
        at = put_text(at, info.name);
        at = put_text(at, info.fields);
        ASSERT(at - buffer < TRACE_FILE_HEAD_MAX);
    }
    return (uint32_t)(at - buffer);
}

void trace_file_begin(struct trace_file_block *block, uint8_t *buffer, uint32_t capacity)
{
    ASSERT(capacity >= TRACE_FILE_BLOCK_HEAD + TRACE_FILE_EVENT_MAX);
    *block = (struct trace_file_block){
        .buffer = buffer, .capacity = capacity, .used = TRACE_FILE_BLOCK_HEAD};
    for (uint32_t i = 0; i < TRACE_KIND_COUNT; i++) {
        struct trace_kind_info info;

        trace_kind_describe((enum trace_kind)i, &info);
        block->fields[i] = (uint8_t)info.field_count;
    }
}

bool trace_file_append(struct trace_file_block *block, int64_t time_ns, int32_t node,
                       const struct trace_event *event)
{
    uint8_t *at = block->buffer + block->used;
    int64_t *last = block->last[event->kind];
    uint32_t length = event->text.length;

    if (block->capacity - block->used < TRACE_FILE_EVENT_MAX) return false;
    if (block->events == 0) {
        block->last_ns = time_ns;
        be_put64(block->buffer + 12, (uint64_t)time_ns);
    }
    ASSERT(time_ns >= block->last_ns);
    at = uvarint_put(at, (uint32_t)event->kind);
    at = uvarlong_put(at, (uint64_t)(time_ns - block->last_ns));
    at = varint_put(at, node);
    ASSERT(event->field_count == block->fields[event->kind]);
    for (uint32_t i = 0; i < event->field_count; i++) {
        /* Wraps: the reader's sum wraps back. */
        uint64_t difference = (uint64_t)event->fields[i] - (uint64_t)last[i];

        at = varlong_put(at, (int64_t)difference);
        last[i] = event->fields[i];
    }
    if (event->text.data == NULL) {
        at = uvarint_put(at, 0);
    } else {
        uint32_t used = (uint32_t)(at - block->buffer) - block->used;

        if (length > TRACE_FILE_EVENT_MAX - used - 5) length = TRACE_FILE_EVENT_MAX - used - 5;
        at = uvarint_put(at, length + 1);
        if (length > 0) memcpy(at, event->text.data, length);
        at += length;
    }
    block->used = (uint32_t)(at - block->buffer);
    block->last_ns = time_ns;
    block->events++;
    return true;
}

uint32_t trace_file_end(struct trace_file_block *block)
{
    memcpy(block->buffer, block_magic, sizeof block_magic);
    be_put32(block->buffer + 4, block->used - TRACE_FILE_BLOCK_HEAD);
    be_put32(block->buffer + 8, block->events);
    if (block->events == 0) be_put64(block->buffer + 12, 0);
    return block->used;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool get_text(struct trace_file_reader *reader, struct str *text)
{
    uint32_t length;
    const uint8_t *at = uvarint_get(reader->at, reader->end, &length);

    if (at == NULL || length > (size_t)(reader->end - at)) return false;
    *text = (struct str){(const char *)at, length};
    reader->at = at + length;
    return true;
}

static int16_t find_kind(struct str name)
{
    for (uint32_t i = 0; i < TRACE_KIND_COUNT; i++) {
        struct trace_kind_info info;

        trace_kind_describe((enum trace_kind)i, &info);
        if (str_equal(name, str_of(info.name))) return (int16_t)i;
    }
    return -1;
}

static uint32_t count_words(struct str fields)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < fields.length; i++) {
        if (fields.data[i] != ' ' && (i == 0 || fields.data[i - 1] == ' ')) count++;
    }
    return count;
}

enum err trace_file_open(struct trace_file_reader *reader, struct bytes data)
{
    *reader = (struct trace_file_reader){.at = data.data, .end = data.data + data.length};
    if (data.length < 16 || memcmp(data.data, trace_magic, sizeof trace_magic) != 0) {
        return ERR_MALFORMED;
    }
    if (be_get32(data.data + 8) > TRACE_VERSION) return ERR_UNSUPPORTED;
    reader->kind_count = be_get32(data.data + 12);
    reader->at += 16;
    if (reader->kind_count > TRACE_FILE_KINDS_MAX) return ERR_MALFORMED;
    for (uint32_t i = 0; i < reader->kind_count; i++) {
        struct str name;
        struct str fields;

        if (!get_text(reader, &name) || !get_text(reader, &fields)) return ERR_MALFORMED;
        if (count_words(fields) > TRACE_FIELDS_MAX) return ERR_MALFORMED;
        reader->kinds[i] = find_kind(name);
        reader->fields[i] = (uint8_t)count_words(fields);
    }
    return ERR_NONE;
}

static bool fail(struct trace_file_reader *reader)
{
    reader->err = ERR_MALFORMED;
    reader->at = reader->end;
    reader->block_left = 0;
    return false;
}

static bool next_block(struct trace_file_reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at);

    if (left == 0) return false;
    if (left < TRACE_FILE_BLOCK_HEAD) {
        reader->cut = true;
        reader->at = reader->end;
        return false;
    }
    if (memcmp(reader->at, block_magic, sizeof block_magic) != 0) return fail(reader);
    reader->block_left = be_get32(reader->at + 8);
    reader->time_ns = (int64_t)be_get64(reader->at + 12);
    left -= TRACE_FILE_BLOCK_HEAD;
    reader->block_end = reader->at + TRACE_FILE_BLOCK_HEAD + be_get32(reader->at + 4);
    if (be_get32(reader->at + 4) > left) {
        reader->cut = true;
        reader->block_end = reader->end;
    }
    reader->at += TRACE_FILE_BLOCK_HEAD;
    memset(reader->last, 0, sizeof reader->last);
    return true;
}

/* One event of the block; false: it is cut or makes no sense. */
static bool read_event(struct trace_file_reader *reader, struct trace_event *event, uint32_t *kind)
{
    const uint8_t *at = uvarint_get(reader->at, reader->block_end, kind);
    uint64_t after_ns;
    uint32_t length = 0;

    if (at == NULL || *kind >= reader->kind_count) return false;
    at = uvarlong_get(at, reader->block_end, &after_ns);
    if (at == NULL) return false;
    at = varint_get(at, reader->block_end, &reader->node);
    for (uint32_t i = 0; at != NULL && i < reader->fields[*kind]; i++) {
        int64_t *last = &reader->last[*kind][i];
        int64_t difference;

        at = varlong_get(at, reader->block_end, &difference);
        if (at == NULL) return false;
        *last = (int64_t)((uint64_t)*last + (uint64_t)difference);
        event->fields[i] = *last;
    }
    if (at != NULL) at = uvarint_get(at, reader->block_end, &length);
    if (at == NULL || (length > 0 && length - 1 > (size_t)(reader->block_end - at))) return false;
    event->field_count = reader->fields[*kind];
    event->text = length == 0 ? STR_NULL : (struct str){(const char *)at, length - 1};
    reader->at = at + (length > 0 ? length - 1 : 0);
    reader->time_ns += (int64_t)after_ns;
    return true;
}

bool trace_file_next(struct trace_file_reader *reader, struct trace_event *event)
{
    uint32_t kind;

    for (;;) {
        while (reader->block_left == 0) {
            if (!next_block(reader)) return false;
        }
        *event = (struct trace_event){.field_count = 0};
        if (!read_event(reader, event, &kind)) {
            if (!reader->cut) return fail(reader);
            reader->block_left = 0;
            reader->at = reader->end;
            return false;
        }
        reader->block_left--;
        if (reader->block_left == 0 && reader->at != reader->block_end) return fail(reader);
        if (reader->kinds[kind] >= 0) break;
        reader->unknown++;
    }
    reader->events++;
    event->kind = (enum trace_kind)reader->kinds[kind];
    return true;
}
