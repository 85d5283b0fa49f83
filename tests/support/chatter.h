/* A small program for simulated nodes: every node listens, connects to the next one, sends frames
 * at random times, writes and syncs what it receives, and traces it. Enough to exercise the whole
 * door under faults; all its memory is in the node's region. */
#ifndef TESTS_SUPPORT_CHATTER_H
#define TESTS_SUPPORT_CHATTER_H

#include "tests/support/rig.h"

struct chatter {
    struct sim_program program;
    uint32_t peers; /* nodes are node-1 .. node-<peers> */
    int32_t id;
    uint64_t boots;
    uint64_t received; /* over all lives */
    int64_t period_ns; /* mean time between two frames */
    bool quiet;        /* no disk */
};

void chatter_init(struct chatter *chatter, int32_t id, uint32_t peers, int64_t period_ns);

#endif
