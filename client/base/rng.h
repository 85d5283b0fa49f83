/* Random numbers: xoshiro256**, seeded through splitmix64. Integers only, the same numbers on every
 * machine and compiler. Not for secrets.
 *
 * One generator per concern (network, disk, workload, each node), each seeded with rng_stream(), so
 * that one more draw in one place does not reshuffle the others. One draw per statement: the order
 * in which arguments are evaluated is the compiler's choice. */
#ifndef CLIENT_BASE_RNG_H
#define CLIENT_BASE_RNG_H

#include "client/base/bytes.h"

struct rng {
    uint64_t state[4];
};

enum { RNG_MILLION = 1000000 };

void rng_init(struct rng *rng, uint64_t seed);
/* The seed of an independent generator: a hash of the three. */
uint64_t rng_stream(uint64_t seed, uint64_t domain, uint64_t node);

uint64_t rng_u64(struct rng *rng);
/* 0 .. n-1; n > 0. */
uint64_t rng_below(struct rng *rng, uint64_t n);
/* first .. last, both included; first <= last. */
int64_t rng_range(struct rng *rng, int64_t first, int64_t last);
/* True `per_million` times in a million; 0 is never, a million and more always. Always one draw. */
bool rng_chance(struct rng *rng, uint32_t per_million);
/* Exponentially distributed, >= 0, at most about 44 times the mean. mean: 0 .. 2^56. */
int64_t rng_exponential(struct rng *rng, int64_t mean);
void rng_bytes(struct rng *rng, void *bytes, size_t length);
/* Version 4; never zero, and its text form never begins with '-' (it would look like an option). */
struct uuid rng_uuid(struct rng *rng);

#endif
