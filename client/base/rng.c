/* xoshiro256** 1.0 and splitmix64 (Blackman, Vigna; both in the public domain), bounded numbers by
 * multiply and shift with rejection (Lemire 2019). */
#include "client/base/rng.h"

#include "client/base/assert.h"

__extension__ typedef unsigned __int128 u128;

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z;

    *state += UINT64_C(0x9e3779b97f4a7c15);
    z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void rng_init(struct rng *rng, uint64_t seed)
{
    for (uint32_t i = 0; i < 4; i++)
        rng->state[i] = splitmix64(&seed);
}

uint64_t rng_stream(uint64_t seed, uint64_t domain, uint64_t node)
{
    uint64_t state = seed;
    uint64_t hash = splitmix64(&state);

    state = hash ^ domain;
    hash = splitmix64(&state);
    state = hash ^ node;
    return splitmix64(&state);
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
    u128 product;

    ASSERT(n > 0);
    product = (u128)rng_u64(rng) * n;
    if ((uint64_t)product < n) {
        uint64_t threshold = (0 - n) % n; /* 2^64 mod n: the share that would be counted twice */

        while ((uint64_t)product < threshold)
            product = (u128)rng_u64(rng) * n;
    }
    return (uint64_t)(product >> 64);
}

int64_t rng_range(struct rng *rng, int64_t first, int64_t last)
{
    uint64_t span;
    uint64_t drawn;

    ASSERT(first <= last);
    span = (uint64_t)last - (uint64_t)first;
    drawn = span == UINT64_MAX ? rng_u64(rng) : rng_below(rng, span + 1);
    return (int64_t)((uint64_t)first + drawn);
}

bool rng_chance(struct rng *rng, uint32_t per_million)
{
    u128 product = (u128)rng_u64(rng) * RNG_MILLION;

    return (uint32_t)(product >> 64) < per_million;
}

/* -log2(u / 2^64) with 24 bits behind the point, u > 0: whole part from the leading zeros, then one
 * bit per squaring of the mantissa. */
static uint64_t minus_log2(uint64_t u)
{
    uint32_t zeros = (uint32_t)__builtin_clzll((unsigned long long)u);
    uint64_t mantissa = (u << zeros) >> 32; /* 1 <= mantissa / 2^31 < 2 */
    uint64_t log = 63 - zeros;

    for (uint32_t i = 0; i < 24; i++) {
        mantissa = (mantissa * mantissa) >> 31;
        log <<= 1;
        if (mantissa >> 32 != 0) {
            log |= 1;
            mantissa >>= 1;
        }
    }
    return (UINT64_C(64) << 24) - log;
}

int64_t rng_exponential(struct rng *rng, int64_t mean)
{
    const uint64_t ln2 = UINT64_C(2977044472); /* ln 2 * 2^32 */
    uint64_t u = rng_u64(rng) | 1;
    u128 product;

    ASSERT(mean >= 0 && mean <= INT64_C(1) << 56);
    product = (u128)(minus_log2(u) * ln2) * (uint64_t)mean; /* scaled by 2^56 */
    return (int64_t)(product >> 56);
}

void rng_bytes(struct rng *rng, void *bytes, size_t length)
{
    uint8_t *at = bytes;

    for (size_t i = 0; i < length; i += 8) {
        uint64_t drawn = rng_u64(rng);

        for (size_t j = i; j < length && j < i + 8; j++) {
            at[j] = (uint8_t)drawn;
            drawn >>= 8;
        }
    }
}

struct uuid rng_uuid(struct rng *rng)
{
    struct uuid id;

    do {
        rng_bytes(rng, id.bytes, sizeof id.bytes);
    } while (id.bytes[0] >> 2 == 62); /* '-' in the alphabet of uuid_print() */
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}
