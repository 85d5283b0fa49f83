/* CRC-32C two ways. Bit-reversed throughout: bit 31 of a word is the coefficient of x^0.
 *
 * Table: slicing by 8, tables made by the generator (gen/crc.c) as constants.
 *
 * SSE4.2: the instruction has latency 3 and throughput 1, so three streams of CRC32C_LONG (then
 * CRC32C_SHORT) bytes run side by side. Joining them means shifting a crc over that many zero
 * bytes: multiplication by a constant modulo the polynomial, four table lookups. */
#include "client/wire/crc32c.h"

#include "wire/crc32c_table.h"

#include <string.h>

static uint32_t load_little_32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t by_table(uint32_t crc, const uint8_t *at, size_t length)
{
    for (; length >= 8; at += 8, length -= 8) {
        uint32_t low = crc ^ load_little_32(at);
        uint32_t high = load_little_32(at + 4);

        crc = crc32c_table[7][low & 255] ^ crc32c_table[6][low >> 8 & 255] ^
              crc32c_table[5][low >> 16 & 255] ^ crc32c_table[4][low >> 24] ^
              crc32c_table[3][high & 255] ^ crc32c_table[2][high >> 8 & 255] ^
              crc32c_table[1][high >> 16 & 255] ^ crc32c_table[0][high >> 24];
    }
    for (; length > 0; at++, length--)
        crc = crc >> 8 ^ crc32c_table[0][(crc ^ *at) & 255];
    return crc;
}

#if defined(__x86_64__)

static uint32_t shift(const uint32_t table[4][256], uint32_t crc)
{
    return table[0][crc & 255] ^ table[1][crc >> 8 & 255] ^ table[2][crc >> 16 & 255] ^
           table[3][crc >> 24];
}

static uint64_t load_64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value); /* x86: little endian, any alignment */
    return value;
}

/* Whole rounds of three streams of `run` bytes each. */
__attribute__((target("sse4.2"))) static uint32_t by_streams(uint64_t crc, const uint8_t **data,
                                                             size_t *length, size_t run,
                                                             const uint32_t zeros[4][256])
{
    const uint8_t *at = *data;

    for (; *length >= 3 * run; at += 3 * run, *length -= 3 * run) {
        uint64_t second = 0;
        uint64_t third = 0;

        for (size_t i = 0; i < run; i += 8) {
            crc = __builtin_ia32_crc32di(crc, load_64(at + i));
            second = __builtin_ia32_crc32di(second, load_64(at + run + i));
            third = __builtin_ia32_crc32di(third, load_64(at + 2 * run + i));
        }
        crc = shift(zeros, (uint32_t)crc) ^ second;
        crc = shift(zeros, (uint32_t)crc) ^ third;
    }
    *data = at;
    return (uint32_t)crc;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at,
                                                                 size_t length)
{
    uint64_t wide;

    crc = by_streams(crc, &at, &length, CRC32C_LONG, crc32c_table_long);
    crc = by_streams(crc, &at, &length, CRC32C_SHORT, crc32c_table_short);
    wide = crc;
    for (; length >= 8; at += 8, length -= 8)
        wide = __builtin_ia32_crc32di(wide, load_64(at));
    crc = (uint32_t)wide;
    for (; length > 0; at++, length--)
        crc = __builtin_ia32_crc32qi(crc, *at);
    return crc;
}

#else

static uint32_t by_instruction(uint32_t crc, const uint8_t *at, size_t length)
{
    return by_table(crc, at, length);
}

#endif

uint32_t crc32c(struct cpu cpu, uint32_t crc, const void *data, size_t length)
{
    crc = ~crc;
    crc = cpu.sse42 ? by_instruction(crc, data, length) : by_table(crc, data, length);
    return ~crc;
}

/* a * b modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        if ((a & bit) != 0) product ^= b;
        b = b >> 1 ^ (CRC32C_POLYNOMIAL & (UINT32_C(0) - (b & 1)));
    }
    return product;
}

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b)
{
    uint32_t power = UINT32_C(1) << 23; /* x^8: one byte of zeros */

    for (; length_b > 0; length_b >>= 1) {
        if ((length_b & 1) != 0) crc_a = multiply(power, crc_a);
        power = multiply(power, power);
    }
    return crc_a ^ crc_b;
}
