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

enum {
    SWARM_TEXT_MAX = 1024,
    SWARM_LATERS_MAX = 64,
    SWARM_NODES_TEXT = 256,
    SWARM_OLD_BUILD = 20, /* metadata.version */
};

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

/* The latest log of the right topic that came to a disk under the name of a partition which its
 * broker has not. */
struct swarm_foreign {
    bool came;
    uint32_t topic;
    int32_t partition;
};

struct swarm {
    struct run *run;
    struct rng rng; /* of the fault that is being drawn */
    enum fault_intensity intensity;
    bool quiet;
    uint64_t waiting;       /* classes: bit mask */
    int moment;             /* index of the leader that has just appended; -1 */
    enum fault_class doing; /* FAULT_CLASSES: the janitor */
    struct swarm_class classes[FAULT_CLASSES];
    int64_t node_free_ns[CLUSTER_NODES_MAX]; /* left alone until then */
    int64_t links_free_ns;
    int64_t down_since_ns[CLUSTER_NODES_MAX];  /* -1: it is up */
    uint64_t snapshot_life[CLUSTER_NODES_MAX]; /* whose disk is kept; 0: none is */
    struct swarm_foreign foreign[CLUSTER_NODES_MAX];
    bool made;          /* the topic that comes and goes is there */
    int departed;       /* a broker that nobody starts again; -1: none */
    uint32_t departing; /* jobs up to its unregistration: then it may come back; 0: not asked */
    bool raised;        /* levels of features, or they were high from the beginning */
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

/* After the run: faults that hit later than they were asked for. */
void swarm_end(struct swarm *swarm);

/* ---- swarm_draw.c ---- */

/* 0.2, 0.5, 1, 2, 5 .. times `unit`: one of `steps` values, over decades. */
int64_t swarm_decades(struct rng *rng, int64_t unit, uint32_t steps);
int64_t swarm_ms(struct swarm *swarm, int64_t unit_ms, uint32_t steps);
uint32_t swarm_count(uint64_t set);
int swarm_nth(uint64_t set, uint64_t n);
int32_t swarm_id(const struct swarm *swarm, int index);
/* Index of the leader of a random partition; -1 none. */
int swarm_leader(struct swarm *swarm);
/* Those who matter are hit more often than by chance: a leader, the active controller. */
int swarm_node(struct swarm *swarm);
/* A node that is up and not in its time of rest, or -1. */
int swarm_victim(struct swarm *swarm);
/* The same, a broker that is no voter. */
int swarm_storage_victim(struct swarm *swarm);
/* For what takes data. The budget mostly has room for one broker at a time: the one whose disk has
 * been hit before is hit again more often than by chance. */
int swarm_damage_victim(struct swarm *swarm);
/* A voter that is no broker, like swarm_victim(). */
int swarm_voter_victim(struct swarm *swarm);
/* It is left alone for `busy_ms`, until the fault is over, and then for a while. */
void swarm_rests(struct swarm *swarm, int node, int64_t busy_ms);
/* "[node(1), clients]" */
void swarm_write_set(const struct swarm *swarm, uint64_t set, bool clients, char *text);
/* swarm_do() of what is written like printf. */
bool swarm_act_on(struct swarm *swarm, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- swarm_fault.c, swarm_disk.c, swarm_admin.c, swarm_member.c ---- */

/* One fault of a class, now. */
void swarm_fault(struct swarm *swarm, enum fault_class class);
/* It dies in `wait_ms`, and comes back `down_ms` later. Weighed when it falls. */
void swarm_kill_later(struct swarm *swarm, int node, int64_t wait_ms, int64_t down_ms);
void swarm_disk_fault(struct swarm *swarm, enum fault_class class);
/* Such a log of elsewhere stands on some disk. Nothing tells it from the true one: no broker is to
 * get a partition now. */
bool swarm_foreign_stands(const struct swarm *swarm);
void swarm_admin_fault(struct swarm *swarm);
/* An administrator who waits for few answers only may ask for more. */
bool swarm_may_ask(const struct swarm *swarm);
/* A topic of the file: not one that the swarm has added for itself. */
uint32_t swarm_topic(struct swarm *swarm);
void swarm_depart(struct swarm *swarm);
void swarm_client_fault(struct swarm *swarm);
void swarm_member_begin(struct swarm *swarm);
void swarm_member_fault(struct swarm *swarm, enum fault_class class);

#endif
