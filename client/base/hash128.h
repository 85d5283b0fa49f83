/* A fast 128-bit hash for traces and comparisons: not for secrets, not for anything on a wire or a
 * disk. The result depends on the values and their order only, on every machine the same.
 *
 * Every add is framed: ("ab", "c") and ("a", "bc") differ, and so do the number 1 and a byte 1. */
#ifndef CLIENT_BASE_HASH128_H
#define CLIENT_BASE_HASH128_H

#include "client/base/bytes.h"

struct hash128 {
    uint64_t a;
    uint64_t b;
    uint64_t words;
};

struct hash128_value {
    uint64_t high;
    uint64_t low;
};

void hash128_init(struct hash128 *hash, uint64_t seed);
void hash128_add_u64(struct hash128 *hash, uint64_t value);
void hash128_add_bytes(struct hash128 *hash, const void *data, size_t length);
/* Of everything added so far; the hash may go on. */
struct hash128_value hash128_final(const struct hash128 *hash);

static inline bool hash128_equal(struct hash128_value a, struct hash128_value b)
{
    return a.high == b.high && a.low == b.low;
}

#endif
