#include "tests/support/wire_random.h"

#include "client/base/assert.h"

#include <string.h>

static const char letters[] =
    "the quick brown fox jumps over the lazy dog, and once more: the quick "
    "brown fox jumps over the lazy dog. That makes it long enough.";

static int64_t random_number(struct rng *rng, int64_t first, int64_t last)
{
    switch (rng_below(rng, 6)) {
    case 0: return first;
    case 1: return last;
    case 2: return 0;
    case 3: return first < 0 ? -1 : 1;
    default: return rng_range(rng, first, last);
    }
}

static struct bytes random_bytes(struct rng *rng, bool null)
{
    uint32_t length = (uint32_t)rng_below(rng, 4) == 0
                          ? 0
                          : (uint32_t)rng_below(rng, rng_below(rng, 8) == 0 ? 130 : 12);

    return null ? BYTES_NULL : (struct bytes){(const uint8_t *)letters, length};
}

static void random_struct(struct rng *rng, struct arena *arena, const struct wire_struct *type,
                          int16_t version, void *value);

static void random_one(struct rng *rng, struct arena *arena, const struct wire_field *field,
                       int16_t version, void *at, bool null)
{
    switch (field->type) {
    case WIRE_BOOL: *(bool *)at = rng_below(rng, 2) != 0; break;
    case WIRE_INT8: *(int8_t *)at = (int8_t)random_number(rng, INT8_MIN, INT8_MAX); break;
    case WIRE_INT16: *(int16_t *)at = (int16_t)random_number(rng, INT16_MIN, INT16_MAX); break;
    case WIRE_UINT16: *(uint16_t *)at = (uint16_t)random_number(rng, 0, UINT16_MAX); break;
    case WIRE_INT32: *(int32_t *)at = (int32_t)random_number(rng, INT32_MIN, INT32_MAX); break;
    case WIRE_UINT32: *(uint32_t *)at = (uint32_t)random_number(rng, 0, UINT32_MAX); break;
    case WIRE_INT64: *(int64_t *)at = random_number(rng, INT64_MIN, INT64_MAX); break;
    case WIRE_UUID:
        if (rng_below(rng, 3) == 0)
            *(struct uuid *)at = (struct uuid){{0}};
        else
            *(struct uuid *)at = rng_uuid(rng);
        break;
    case WIRE_STRING: {
        struct bytes bytes = random_bytes(rng, null);

        *(struct str *)at = (struct str){(const char *)bytes.data, bytes.length};
        break;
    }
    case WIRE_BYTES:
    case WIRE_RECORDS: *(struct bytes *)at = random_bytes(rng, null); break;
    case WIRE_STRUCT: random_struct(rng, arena, field->element, version, at); break;
    }
}

static size_t one_size(const struct wire_field *field)
{
    switch (field->type) {
    case WIRE_BOOL:
    case WIRE_INT8: return 1;
    case WIRE_INT16:
    case WIRE_UINT16: return 2;
    case WIRE_INT32:
    case WIRE_UINT32: return 4;
    case WIRE_INT64: return 8;
    case WIRE_UUID: return sizeof(struct uuid);
    case WIRE_STRING: return sizeof(struct str);
    case WIRE_BYTES:
    case WIRE_RECORDS: return sizeof(struct bytes);
    case WIRE_STRUCT: return field->element->size;
    }
    IMPOSSIBLE("type");
}

static void random_field(struct rng *rng, struct arena *arena, const struct wire_field *field,
                         int16_t version, uint8_t *value)
{
    bool null = wire_in_range(field->nullable, version) && rng_below(rng, 3) == 0;
    uint32_t count = (uint32_t)rng_below(rng, 4);
    uint8_t *elements;

    if (field->null_offset != WIRE_NO_OFFSET) *(bool *)(void *)(value + field->null_offset) = null;
    if (!field->array) {
        if (!null || field->null_offset == WIRE_NO_OFFSET)
            random_one(rng, arena, field, version, value + field->offset, null);
        return;
    }
    if (null) count = 0;
    if (count == 0) return;
    elements = arena_zalloc(arena, count * one_size(field));
    ASSERT(elements != NULL);
    memcpy(value + field->offset, &elements, sizeof elements);
    memcpy(value + field->count_offset, &count, sizeof count);
    for (uint32_t i = 0; i < count; i++)
        random_one(rng, arena, field, version, elements + i * one_size(field), false);
}

static void random_struct(struct rng *rng, struct arena *arena, const struct wire_struct *type,
                          int16_t version, void *value)
{
    type->set_default(value);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct wire_field *field = &type->fields[i];

        if (!wire_in_range(field->versions, version)) continue;
        /* A tagged field at its default is not sent. */
        if (field->tag >= 0 && rng_below(rng, 3) == 0) continue;
        random_field(rng, arena, field, version, value);
    }
}

void wire_random_value(struct rng *rng, struct arena *arena, const struct wire_message *message,
                       int16_t version, void *value)
{
    random_struct(rng, arena, message->body, version, value);
}

static bool same_bytes(const void *a, const void *b)
{
    struct bytes left = *(const struct bytes *)a;
    struct bytes right = *(const struct bytes *)b;

    return (left.data == NULL) == (right.data == NULL) && bytes_equal(left, right);
}

static const char *one_difference(const struct wire_field *field, const void *a, const void *b)
{
    switch (field->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS: return same_bytes(a, b) ? NULL : field->name;
    case WIRE_STRUCT: return wire_random_difference(field->element, a, b);
    case WIRE_BOOL:
    case WIRE_INT8:
    case WIRE_INT16:
    case WIRE_UINT16:
    case WIRE_INT32:
    case WIRE_UINT32:
    case WIRE_INT64:
    case WIRE_UUID: break;
    }
    return memcmp(a, b, one_size(field)) == 0 ? NULL : field->name;
}

const char *wire_random_difference(const struct wire_struct *type, const void *a, const void *b)
{
    const uint8_t *left = a;
    const uint8_t *right = b;

    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct wire_field *field = &type->fields[i];
        const char *difference = NULL;
        const uint8_t *one, *other;
        uint32_t count, other_count;

        if (field->null_offset != WIRE_NO_OFFSET &&
            left[field->null_offset] != right[field->null_offset])
            return field->name;
        if (!field->array) {
            difference = one_difference(field, left + field->offset, right + field->offset);
            if (difference != NULL) return difference;
            continue;
        }
        memcpy(&count, left + field->count_offset, sizeof count);
        memcpy(&other_count, right + field->count_offset, sizeof other_count);
        if (count != other_count) return field->name;
        memcpy(&one, left + field->offset, sizeof one);
        memcpy(&other, right + field->offset, sizeof other);
        for (uint32_t n = 0; n < count && difference == NULL; n++)
            difference =
                one_difference(field, one + n * one_size(field), other + n * one_size(field));
        if (difference != NULL) return difference;
    }
    return NULL;
}
