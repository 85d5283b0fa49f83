/* One run in a process of its own: started with limits, its result read through a pipe, its end
 * understood when it could not say anything itself. */
#ifndef SIM_CAMPAIGN_CHILD_H
#define SIM_CAMPAIGN_CHILD_H

#include "sim/run.h"

#include <sys/types.h>

/* Beyond any honest run; a run that meets one of them is INCONCLUSIVE, neither pass nor finding. */
enum { CHILD_CPU_SECONDS = 300, CHILD_WALL_SECONDS = 900 };
#define CHILD_ADDRESS_SPACE ((uint64_t)128 << 30) /* regions of nodes are reserved, not used */

struct campaign_job {
    const struct scenario *scenario;
    uint64_t seed;
    struct run_options options;
    struct run_result *result;
    struct run_result *first; /* of a failure that runs again with its whole trace */
    bool done;
    /* while it runs */
    pid_t pid;
    int fd;
    size_t got;
    int64_t deadline_ns; /* wall */
    bool late;           /* killed by us */
    bool ended;          /* its result is there; campaign_child_wait() */
};

/* The machine's monotonic clock. */
int64_t campaign_wall_ns(void);
/* In this process. */
void campaign_child_run(struct campaign_job *job);
bool campaign_child_start(struct campaign_job *job);
/* Up to `timeout_ms` (-1: as long as it takes) for news of running jobs. */
void campaign_child_wait(struct campaign_job **jobs, uint32_t count, int timeout_ms);
/* Compares the second run of a failure with the first; NONDET when they differ. */
void campaign_child_compare(struct campaign_job *job);

#endif
