/* Random faults of one run (simulation.md 1.8).
 *
 *   draw     a share of runs stays quiet; of the classes allowed each is off with a fair coin;
 *            each that is on gets a mean interval, drawn over decades
 *   turn     at its next moment a class writes one action in the scenario language, with nodes by
 *            number, and gives it to run_act() (swarm_fault.c): what cannot be written in the
 *            language does not happen
 *   windows  a node that was hit is left alone for a while, so are links after a cut
 *   budget   what takes data is weighed by budget.h first
 *   janitor  a node that is down for long, for whatever reason, is started again
 *
 * Only in the safety phase. */
#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include "sim/run.h"

enum { SWARM_TEXT_MAX = 1024, SWARM_LATERS_MAX = 64 };

struct swarm_class {
    struct sim_event event;
    struct swarm *swarm;
    enum fault_class class;
    bool on;
    bool waits; /* for records on their way */
    int64_t mean_ns;
};

/* An action that a fault brings later; in the order of their times. */
struct swarm_later {
    int64_t time_ns;
    enum fault_class class;
    char text[192];
};

struct swarm {
    struct run *run;
    struct rng rng; /* of the fault that is being drawn */
    enum fault_intensity intensity;
    bool quiet;
    uint32_t waiting;       /* classes: bit mask */
    int moment;             /* index of the leader that has just appended; -1 */
    enum fault_class doing; /* FAULT_CLASSES: the janitor */
    struct swarm_class classes[FAULT_CLASSES];
    int64_t node_free_ns[CLUSTER_NODES_MAX]; /* left alone until then */
    int64_t links_free_ns;
    int64_t down_since_ns[CLUSTER_NODES_MAX]; /* -1: it is up */
    struct sim_event janitor;
    struct sim_event later_event;
    struct swarm_later laters[SWARM_LATERS_MAX];
    uint32_t later_count;
    struct scenario *scenario; /* the run's own: actions are kept in it */
};

/* NULL: the scenario asks for none. `scenario` is the run's own copy. */
struct swarm *swarm_create(struct run *run, struct scenario *scenario);
void swarm_destroy(struct swarm *swarm);
void swarm_begin(struct swarm *swarm); /* of the safety phase */
/* Every trace event of a node: half of the faults wait for a leader with records that nobody else
 * has yet. */
void swarm_traced(struct swarm *swarm, uint32_t index, const struct trace_event *event);
/* What was drawn, for people. */
void swarm_tell(const struct swarm *swarm, char *text, size_t size);

/* Does one action; false: refused by the budget, or nothing. */
bool swarm_do(struct swarm *swarm, const char *text);
void swarm_do_later(struct swarm *swarm, int64_t time_ns, const char *text);

/* ---- swarm_fault.c ---- */

/* One fault of a class, now. */
void swarm_fault(struct swarm *swarm, enum fault_class class);
/* 0.2, 0.5, 1, 2, 5 .. times `unit`: one of `steps` values, over decades. */
int64_t swarm_decades(struct rng *rng, int64_t unit, uint32_t steps);

#endif
