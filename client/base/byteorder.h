/* Numbers in bytes: big-endian integers at a checked place, and base-128 varints with
 * bounds. Never reads or writes outside what it was given, never looks at the machine's byte order.
 *
 *   uvarint  uvarlong   unsigned, 32 and 64 bits       7 bits a byte, least significant first,
 *   varint   varlong    zigzag, 32 and 64 bits         the high bit says that more follows
 *
 * A decoder returns where the next field begins, or NULL (value untouched) when the bytes end too
 * early, run past 5 (10) bytes, or hold more than 32 (64) bits.
 * A longer form than needed (0x80 0x00 for 0) is read, as other implementations do.
 * DIFFERS: Kafka drops bits of the last byte that do not fit; here the field is malformed. */
#ifndef CLIENT_BASE_BYTEORDER_H
#define CLIENT_BASE_BYTEORDER_H

#include <stddef.h>
#include <stdint.h>

static inline uint16_t be_get16(const uint8_t *at)
{
    return (uint16_t)((uint32_t)at[0] << 8 | at[1]);
}

static inline uint32_t be_get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t be_get64(const uint8_t *at)
{
    return (uint64_t)be_get32(at) << 32 | be_get32(at + 4);
}

static inline void be_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void be_put32(uint8_t *at, uint32_t value)
{
    be_put16(at, (uint16_t)(value >> 16));
    be_put16(at + 2, (uint16_t)value);
}

static inline void be_put64(uint8_t *at, uint64_t value)
{
    be_put32(at, (uint32_t)(value >> 32));
    be_put32(at + 4, (uint32_t)value);
}

/* ---- varints ----------------------------------------------------------------------------- */

enum { UVARINT_MAX_SIZE = 5, UVARLONG_MAX_SIZE = 10 };

static inline uint32_t zigzag32(int32_t value)
{
    return (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0);
}

static inline uint64_t zigzag64(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int32_t unzigzag32(uint32_t value)
{
    return (int32_t)(value >> 1 ^ (0 - (value & 1)));
}

static inline int64_t unzigzag64(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

/* Bytes that the value takes. */
static inline uint32_t uvarlong_size(uint64_t value)
{
    uint32_t bits = 64 - (uint32_t)__builtin_clzll((unsigned long long)(value | 1));

    return (bits + 6) / 7;
}

static inline uint32_t uvarint_size(uint32_t value)
{
    return uvarlong_size(value);
}

static inline uint32_t varint_size(int32_t value)
{
    return uvarlong_size(zigzag32(value));
}

static inline uint32_t varlong_size(int64_t value)
{
    return uvarlong_size(zigzag64(value));
}

/* Writes x_size(value) bytes, which the caller knows to fit; returns what follows them. */
static inline uint8_t *uvarlong_put(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline uint8_t *uvarint_put(uint8_t *at, uint32_t value)
{
    return uvarlong_put(at, value);
}

static inline uint8_t *varint_put(uint8_t *at, int32_t value)
{
    return uvarlong_put(at, zigzag32(value));
}

static inline uint8_t *varlong_put(uint8_t *at, int64_t value)
{
    return uvarlong_put(at, zigzag64(value));
}

static inline const uint8_t *uvarint_get(const uint8_t *at, const uint8_t *end, uint32_t *value)
{
    uint32_t result = 0;

    for (uint32_t shift = 0; shift < 35; shift += 7) {
        uint8_t byte;

        if (at == end) return NULL;
        byte = *at++;
        if (shift == 28 && byte > 0x0f) return NULL;
        result |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

static inline const uint8_t *uvarlong_get(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t result = 0;

    for (uint32_t shift = 0; shift < 70; shift += 7) {
        uint8_t byte;

        if (at == end) return NULL;
        byte = *at++;
        if (shift == 63 && byte > 0x01) return NULL;
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

static inline const uint8_t *varint_get(const uint8_t *at, const uint8_t *end, int32_t *value)
{
    uint32_t raw = 0;

    at = uvarint_get(at, end, &raw);
    if (at != NULL) *value = unzigzag32(raw);
    return at;
}

static inline const uint8_t *varlong_get(const uint8_t *at, const uint8_t *end, int64_t *value)
{
    uint64_t raw = 0;

    at = uvarlong_get(at, end, &raw);
    if (at != NULL) *value = unzigzag64(raw);
    return at;
}

#endif
