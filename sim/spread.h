/* In what state faults meet the cluster, those of steps and random ones: a campaign whose leaders
 * were always at rest when they died has not tried much. One count a victim, by fault, by what it
 * was, by the phase of the cluster, and by how many records stood above the high watermark. */
#ifndef SIM_SPREAD_H
#define SIM_SPREAD_H

#include "sim/fault.h"

#include <stdio.h>

enum spread_role { SPREAD_DOWN, SPREAD_CONTROLLER, SPREAD_ACTIVE, SPREAD_FOLLOWER, SPREAD_LEADER };
enum spread_phase { SPREAD_STEADY, SPREAD_SHRUNK, SPREAD_LEADERLESS, SPREAD_HEADLESS };
enum { SPREAD_ROLES = SPREAD_LEADER + 1, SPREAD_PHASES = SPREAD_HEADLESS + 1, SPREAD_BUCKETS = 5 };

struct spread {
    uint32_t count[SPREAD_ROLES][SPREAD_PHASES][SPREAD_BUCKETS];
};

struct run;
/* Before the fault: its victim by index in the simulator. */
void spread_note(struct run *run, struct spread *spread, uint32_t index);
void spread_add(struct spread *to, const struct spread *from);
/* By fault: how often, and in which states. */
void spread_print_faults(FILE *file, const struct sim_fault_count *faults,
                         const struct spread *spreads);

#endif
