#include "client/base/uuid.h"

#include <string.h>

bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

bool uuid_is_zero(struct uuid a)
{
    return uuid_equal(a, (struct uuid){{0}});
}

int uuid_compare(struct uuid a, struct uuid b)
{
    int order = memcmp(a.bytes, b.bytes, sizeof a.bytes);

    return order < 0 ? -1 : order > 0 ? 1 : 0;
}

static const char uuid_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void uuid_print(struct uuid id, char text[UUID_TEXT + 1])
{
    uint32_t bits = 0;
    uint32_t held = 0;
    uint32_t at = 0;

    for (uint32_t i = 0; i < 16; i++) {
        bits = (bits << 8) | id.bytes[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            text[at++] = uuid_alphabet[(bits >> held) & 63];
        }
    }
    text[at++] = uuid_alphabet[(bits << (6 - held)) & 63];
    text[at] = '\0';
}

bool uuid_parse(struct str text, struct uuid *id)
{
    struct uuid parsed = {{0}};
    uint32_t bits = 0;
    uint32_t held = 0;
    uint32_t at = 0;

    if (text.length != UUID_TEXT) return false;
    for (uint32_t i = 0; i < UUID_TEXT; i++) {
        const char *place = memchr(uuid_alphabet, text.data[i], sizeof uuid_alphabet - 1);

        if (place == NULL) return false;
        bits = (bits << 6) | (uint32_t)(place - uuid_alphabet);
        held += 6;
        if (held >= 8 && at < 16) {
            held -= 8;
            parsed.bytes[at++] = (uint8_t)(bits >> held);
        }
    }
    if ((bits & ((1u << held) - 1)) != 0) return false;
    *id = parsed;
    return true;
}

uint64_t uuid_high(struct uuid id)
{
    uint64_t high = 0;

    for (uint32_t i = 0; i < 8; i++)
        high = (high << 8) | id.bytes[i];
    return high;
}
