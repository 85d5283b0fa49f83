/* Two lanes of 64 bits in the manner of MurmurHash3 (Appleby, public domain): a word is multiplied
 * into each lane with other constants, the lanes feed each other. Every step is a bijection of the
 * state, so no history is ever lost to a zero. */
#include "client/base/hash128.h"

#define LANE_A UINT64_C(0x87c37b91114253d5)
#define LANE_B UINT64_C(0x4cf5ad432745937f)

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static uint64_t finish(uint64_t x)
{
    x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

void hash128_init(struct hash128 *hash, uint64_t seed)
{
    *hash = (struct hash128){.a = seed, .b = finish(seed + LANE_A), .words = 0};
}

static void hash_word(struct hash128 *hash, uint64_t word)
{
    hash->a ^= rotate_left(word * LANE_A, 31) * LANE_B;
    hash->a = (rotate_left(hash->a, 27) + hash->b) * 5 + 0x52dce729;
    hash->b ^= rotate_left(word * LANE_B, 33) * LANE_A;
    hash->b = (rotate_left(hash->b, 31) + hash->a) * 5 + 0x38495ab5;
    hash->words++;
}

void hash128_add_u64(struct hash128 *hash, uint64_t value)
{
    hash_word(hash, value);
}

void hash128_add_bytes(struct hash128 *hash, const void *data, size_t length)
{
    const uint8_t *at = data;

    /* The complement of a length is no likely number: keeps bytes and numbers apart. */
    hash_word(hash, ~(uint64_t)length);
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = 0;

        for (size_t j = 0; j < 8 && i + j < length; j++)
            word |= (uint64_t)at[i + j] << (8 * j);
        hash_word(hash, word);
    }
}

struct hash128_value hash128_final(const struct hash128 *hash)
{
    uint64_t a = hash->a ^ hash->words;
    uint64_t b = hash->b ^ hash->words;

    a += b;
    b += a;
    a = finish(a);
    b = finish(b);
    a += b;
    b += a;
    return (struct hash128_value){a, b};
}
