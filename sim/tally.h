/* What a campaign came to, over all its runs, and whether it may call itself a test. */
#ifndef SIM_TALLY_H
#define SIM_TALLY_H

#include "sim/campaign.h"

struct tally {
    uint64_t runs;
    uint64_t verdicts[RUN_VERDICTS];
    uint64_t events;
    int64_t virtual_ns;
    int64_t busy_ns; /* wall time of the runs, summed */
    struct sim_fault_count faults[SIM_FAULT_COUNT];
    struct spread spread[SIM_FAULT_COUNT];
    struct fault_class_count random[FAULT_CLASSES];
    uint64_t evaluations[RUN_ORACLES_MAX];
    uint64_t marks[MARKS];
    uint64_t marked[MARKS]; /* runs that came through it */
    uint64_t allowed;       /* classes that a scenario of the campaign may draw: bit mask */
};

void tally_add(struct tally *tally, const struct scenario *scenario,
               const struct run_result *result);
/* For people. */
void tally_print(FILE *file, const struct tally *tally);
/* Names of oracles that judged nothing, and of faults that never hit at full strength. Returns how
 * many there are; 0: the campaign was exercised. `text` may be NULL. */
uint32_t tally_idle(const struct tally *tally, char *text, size_t size);

#endif
