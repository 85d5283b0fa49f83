/* A campaign of fresh seeds over some scenarios, within a budget of time or of seeds.
 *
 * Turn n of a scenario has seed first + n; without a range of seeds, scenarios are FUZZ_APART from
 * each other: one seed draws the same classes of faults in each of them (swarm.c). Shard I of N
 * takes the turns with n % N == I - 1, so that shards are disjoint and together complete. The
 * scenario with the least run time so far goes next (one pick in a hundred: the one with the fewest
 * runs). Runs are told in the order of turns and scenarios, whatever the order in which they end.
 *
 * In every campaign a canary runs as well: a scenario that reports a falsehood to the oracles when
 * its seed divides by 100. A campaign whose canary lives has not tested anything. */
#ifndef SIM_FUZZ_H
#define SIM_FUZZ_H

#include "sim/campaign.h"

enum { FUZZ_CANARY_EVERY = RUN_CANARY_EVERY, FUZZ_MAX_FAIL = 10, FUZZ_APART = 1000003 };

struct fuzz_options {
    struct campaign_options campaign;
    bool has_count;         /* seed_count of the campaign is a bound */
    int64_t time_budget_ns; /* 0: none */
    uint64_t max_fail;      /* 0: keep going */
    uint32_t shard;         /* from 1 */
    uint32_t shards;
};

int fuzz_run(struct scenario **scenarios, uint32_t count, const struct fuzz_options *options);

/* The turn of a shard's own n-th run of a scenario. */
uint64_t fuzz_turn(const struct fuzz_options *options, uint64_t n);
uint64_t fuzz_seed(const struct fuzz_options *options, uint32_t scenario, uint64_t turn);
/* A first seed that nobody has chosen. */
uint64_t fuzz_random_seed(void);

#endif
