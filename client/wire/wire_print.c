#include "client/wire/wire_print.h"

#include "client/base/assert.h"

#include <string.h>

static size_t element_size(const struct wire_field *field)
{
    switch (field->type) {
    case WIRE_BOOL: return sizeof(bool);
    case WIRE_INT8: return sizeof(int8_t);
    case WIRE_INT16:
    case WIRE_UINT16: return sizeof(int16_t);
    case WIRE_INT32:
    case WIRE_UINT32: return sizeof(int32_t);
    case WIRE_INT64: return sizeof(int64_t);
    case WIRE_UUID: return sizeof(struct uuid);
    case WIRE_STRING: return sizeof(struct str);
    case WIRE_BYTES:
    case WIRE_RECORDS: return sizeof(struct bytes);
    case WIRE_STRUCT: return field->element->size;
    }
    IMPOSSIBLE("type");
}

static void print_struct(struct text *text, const struct wire_struct *type, int16_t version,
                         const uint8_t *value);

/* Quoted; what is not printable ASCII becomes '?': a peer's bytes never reach a terminal. */
static void print_string(struct text *text, struct str value)
{
    if (value.data == NULL) {
        text_cstr(text, "null");
        return;
    }
    text_char(text, '"');
    for (uint32_t i = 0; i < value.length; i++) {
        char c = value.data[i];

        text_char(text, c >= ' ' && c <= '~' && c != '"' ? c : '?');
    }
    text_char(text, '"');
}

static void print_one(struct text *text, const struct wire_field *field, int16_t version,
                      const void *at)
{
    switch (field->type) {
    case WIRE_BOOL: text_cstr(text, *(const bool *)at ? "true" : "false"); break;
    case WIRE_INT8: text_i64(text, *(const int8_t *)at); break;
    case WIRE_INT16: text_i64(text, *(const int16_t *)at); break;
    case WIRE_UINT16: text_i64(text, *(const uint16_t *)at); break;
    case WIRE_INT32: text_i64(text, *(const int32_t *)at); break;
    case WIRE_UINT32: text_i64(text, *(const uint32_t *)at); break;
    case WIRE_INT64: text_i64(text, *(const int64_t *)at); break;
    case WIRE_UUID: text_uuid(text, *(const struct uuid *)at); break;
    case WIRE_STRING: print_string(text, *(const struct str *)at); break;
    case WIRE_BYTES:
    case WIRE_RECORDS: {
        struct bytes bytes = *(const struct bytes *)at;

        if (bytes.data == NULL)
            text_cstr(text, "null");
        else
            text_format(text, "<%u bytes>", bytes.length);
        break;
    }
    case WIRE_STRUCT: print_struct(text, field->element, version, at); break;
    }
}

static void print_field(struct text *text, const struct wire_field *field, int16_t version,
                        const uint8_t *value)
{
    const uint8_t *elements;
    uint32_t count;

    if (field->null_offset != WIRE_NO_OFFSET && value[field->null_offset] != 0) {
        text_cstr(text, "null");
        return;
    }
    if (!field->array) {
        print_one(text, field, version, value + field->offset);
        return;
    }
    memcpy(&elements, value + field->offset, sizeof elements);
    memcpy(&count, value + field->count_offset, sizeof count);
    text_char(text, '[');
    for (uint32_t i = 0; i < count && !text->truncated; i++) {
        if (i > 0) text_char(text, ' ');
        print_one(text, field, version, elements + i * element_size(field));
    }
    text_char(text, ']');
}

static void print_struct(struct text *text, const struct wire_struct *type, int16_t version,
                         const uint8_t *value)
{
    bool first = true;

    text_char(text, '{');
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct wire_field *field = &type->fields[i];

        if (!wire_in_range(field->versions, version)) continue;
        if (!first) text_char(text, ' ');
        first = false;
        text_cstr(text, field->name);
        text_char(text, '=');
        print_field(text, field, version, value);
    }
    text_char(text, '}');
}

void wire_print(struct text *text, const struct wire_message *message, int16_t version,
                const void *value)
{
    text_cstr(text, message->name);
    print_struct(text, message->body, version, value);
}
