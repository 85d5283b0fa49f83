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

static uint32_t text_slot(struct str text)
{
    uint32_t hash = text.length * 0x9e3779b1u;

    for (uint32_t i = 0; i < text.length; i++)
        hash = (hash ^ (uint8_t)text.data[i]) * 0x01000193u;
    return (hash ^ hash >> 16) % TRACE_FILE_SLOTS;
}

/* The event began at block->used. */
static uint8_t *put_event_text(struct trace_file_block *block, uint8_t *at, struct str text)
{
    uint32_t used = (uint32_t)(at - block->buffer) - block->used;
    uint32_t slot;
    uint32_t number;

    if (text.length > TRACE_FILE_EVENT_MAX - used - 5)
        text.length = TRACE_FILE_EVENT_MAX - used - 5;
    if (text.length == 0) return uvarint_put(at, 0);
    slot = text_slot(text);
    number = block->slots[slot];
    if (number > 0 && str_equal(block->texts[number - 1], text))
        return uvarint_put(at, (number - 1) * 2 + 1);
    at = uvarint_put(at, text.length * 2);
    memcpy(at, text.data, text.length);
    if (block->text_count < TRACE_FILE_TEXTS) {
        block->texts[block->text_count++] = (struct str){(const char *)at, text.length};
        block->slots[slot] = (uint8_t)block->text_count;
    }
    return at + text.length;
}

static uint8_t *put_fields(uint8_t *at, const struct trace_event *event, int64_t *last)
{
    bool masked = event->field_count >= TRACE_FILE_MASKED;
    uint8_t *mask = at;

    if (masked) *at++ = 0;
    for (uint32_t i = 0; i < event->field_count; i++) {
        /* Wraps: the reader's sum wraps back. */
        uint64_t difference = (uint64_t)event->fields[i] - (uint64_t)last[i];

        if (masked && difference == 0) continue;
        if (masked) *mask = (uint8_t)(*mask | 1u << i);
        at = varlong_put(at, (int64_t)difference);
        last[i] = event->fields[i];
    }
    return at;
}

bool trace_file_append(struct trace_file_block *block, int64_t time_ns, int32_t node,
                       const struct trace_event *event)
{
    uint8_t *at = block->buffer + block->used;
    bool text = event->text.data != NULL;
    bool same;

    if (block->capacity - block->used < TRACE_FILE_EVENT_MAX) return false;
    if (block->events == 0) {
        block->last_ns = time_ns;
        be_put64(block->buffer + 12, (uint64_t)time_ns);
    }
    ASSERT(time_ns >= block->last_ns);
    ASSERT(event->field_count == block->fields[event->kind]);
    same = time_ns == block->last_ns && node == block->last_node;
    at = uvarint_put(at, (uint32_t)event->kind * 4 + (same ? 2 : 0) + (text ? 1 : 0));
    if (!same) {
        at = uvarlong_put(at, (uint64_t)(time_ns - block->last_ns));
        at = varlong_put(at, (int64_t)node - block->last_node);
    }
    at = put_fields(at, event, block->last[event->kind]);
    if (text) at = put_event_text(block, at, event->text);
    block->used = (uint32_t)(at - block->buffer);
    block->last_ns = time_ns;
    block->last_node = node;
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
    reader->version = be_get32(data.data + 8);
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
    reader->text_count = 0;
    reader->node = 0;
    return true;
}

/* These return NULL when what they read is cut or makes no sense. */
static const uint8_t *read_text(struct trace_file_reader *reader, const uint8_t *at,
                                struct str *text)
{
    uint32_t head = 0;
    uint32_t length;

    at = uvarint_get(at, reader->block_end, &head);
    if (at == NULL || (reader->version == 1 && head == 0)) return at;
    if (reader->version > 1 && (head & 1) != 0) {
        if (head / 2 >= reader->text_count) return NULL;
        *text = reader->texts[head / 2];
        return at;
    }
    length = reader->version > 1 ? head / 2 : head - 1;
    if (length > (size_t)(reader->block_end - at)) return NULL;
    *text = (struct str){(const char *)at, length};
    if (length > 0 && reader->text_count < TRACE_FILE_TEXTS)
        reader->texts[reader->text_count++] = *text;
    return at + length;
}

static const uint8_t *read_place(struct trace_file_reader *reader, const uint8_t *at)
{
    uint64_t after_ns;
    int64_t node = 0;

    at = uvarlong_get(at, reader->block_end, &after_ns);
    if (at != NULL) at = varlong_get(at, reader->block_end, &node);
    if (at == NULL) return NULL;
    reader->time_ns = (int64_t)((uint64_t)reader->time_ns + after_ns);
    reader->node = (int32_t)((uint64_t)node + (reader->version > 1 ? (uint64_t)reader->node : 0));
    return at;
}

static const uint8_t *read_fields(struct trace_file_reader *reader, const uint8_t *at,
                                  struct trace_event *event, uint32_t kind)
{
    uint32_t mask = UINT32_MAX;

    if (reader->version > 1 && reader->fields[kind] >= TRACE_FILE_MASKED) {
        if (at == reader->block_end) return NULL;
        mask = *at++;
    }
    for (uint32_t i = 0; i < reader->fields[kind]; i++) {
        int64_t *last = &reader->last[kind][i];
        int64_t difference = 0;

        if ((mask >> i & 1) != 0) at = varlong_get(at, reader->block_end, &difference);
        if (at == NULL) return NULL;
        *last = (int64_t)((uint64_t)*last + (uint64_t)difference);
        event->fields[i] = *last;
    }
    return at;
}

/* One event of the block; false: it is cut or makes no sense. */
static bool read_event(struct trace_file_reader *reader, struct trace_event *event, uint32_t *kind)
{
    uint32_t flags = 1; /* not the same, a text */
    const uint8_t *at = uvarint_get(reader->at, reader->block_end, kind);

    if (at == NULL) return false;
    if (reader->version > 1) {
        flags = *kind & 3;
        *kind /= 4;
    }
    if (*kind >= reader->kind_count) return false;
    event->field_count = reader->fields[*kind];
    event->text = STR_NULL;
    if ((flags & 2) == 0) at = read_place(reader, at);
    if (at != NULL) at = read_fields(reader, at, event, *kind);
    if (at != NULL && (flags & 1) != 0) at = read_text(reader, at, &event->text);
    if (at == NULL) return false;
    reader->at = at;
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
