#include "broker/group/group_place.h"

enum { PLACE_REPLACEMENT = 0xfffd };

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* One character from `*at` on. */
static uint32_t next_character(const uint8_t **at, const uint8_t *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = *at;
    uint32_t first = *p;
    uint32_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t value;

    *at = p + 1;
    if (length == 1) return first;
    if (length == 0 || first > 0xf4 || (uint32_t)(end - p) < length) return PLACE_REPLACEMENT;
    value = first & (0x7fu >> length);
    for (uint32_t i = 1; i < length; i++) {
        if (!is_tail(p[i])) return PLACE_REPLACEMENT;
        value = value << 6 | (p[i] & 0x3fu);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return PLACE_REPLACEMENT;
    *at = p + length;
    return value;
}

int32_t group_place_hash(struct str id)
{
    const uint8_t *at = (const uint8_t *)id.data;
    const uint8_t *end = at + id.length;
    uint32_t hash = 0;

    while (at < end) {
        uint32_t character = next_character(&at, end);

        if (character >= 0x10000) {
            hash = hash * 31 + (0xd800 + ((character - 0x10000) >> 10));
            character = 0xdc00 + ((character - 0x10000) & 0x3ff);
        }
        hash = hash * 31 + character;
    }
    return (int32_t)hash;
}

int32_t group_place(struct str id, uint32_t count)
{
    int32_t hash = group_place_hash(id);

    if (hash == INT32_MIN) return 0;
    return (hash < 0 ? -hash : hash) % (int32_t)count;
}

uint32_t group_place_length(struct str text)
{
    const uint8_t *at = (const uint8_t *)text.data;
    const uint8_t *end = at + text.length;
    uint32_t units = 0;

    while (at < end)
        units += next_character(&at, end) >= 0x10000 ? 2 : 1;
    return units;
}
