/* What the files of a machine share (node_world.c, node_life.c). */
#ifndef SIM_NODE_PRIVATE_H
#define SIM_NODE_PRIVATE_H

#include "sim/node_world.h"

/* Work of the node's CPU beside its turns. */
struct sim_job {
    struct sim_event event;
    struct sim_world *node;
    struct compute_job *job;
    struct list link;
};

/* ---- node_world.c ---- */
extern const struct world_ops node_world_ops;
int64_t node_clock_mono(const struct sim_clock *clock, int64_t time_ns);
/* A clock was set: what waits for it looks again. */
void node_clock_wake(struct sim_world *node);
void node_rearm(struct sim_world *node);
/* One turn; the next death of a crash loop: fired by events. */
void node_turn(struct sim_event *event);
void node_loop_again(struct sim_event *event);

/* ---- node_life.c ---- */
void node_tear_down(struct sim_world *node, enum sim_down how);

#endif
