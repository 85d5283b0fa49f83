/* The simulated universe: one thread, one seed, one queue of events in virtual time.
 *
 * It owns the clock of all, the queue ordered by (time, sequence), the nodes, the network, the
 * rolling hash of everything delivered, and whoever watches. It never reads a real clock, never
 * orders by address, and chooses only through decide.h (simulation.md 2).
 *
 *     sim_run: take the earliest event -> fire -> (turn of a node -> observers) -> next
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "client/base/hash128.h"
#include "client/base/heap.h"
#include "client/base/list.h"
#include "client/world/world.h"
#include "sim/decide.h"
#include "sim/net.h"

#include <setjmp.h>

struct sim;
struct sim_world;

/* First argument of a stream of the nodes' own dice after the seed: + enum dice_concern. The number
 * is part of every seed. */
enum { SIM_DOMAIN_DICE = 64 };

/* What is delivered to nodes: part of the trace hash. */
enum sim_kind {
    SIM_KIND_BOOT = 1,
    SIM_KIND_TIMER,
    SIM_KIND_RESOLVE,
    SIM_KIND_LISTEN,
    SIM_KIND_UNLISTENED,
    SIM_KIND_ACCEPT,
    SIM_KIND_CONNECT,
    SIM_KIND_RECV,
    SIM_KIND_SEND,
    SIM_KIND_GONE,
    SIM_KIND_CLOSED,
    SIM_KIND_DISK,
    SIM_KIND_COMPUTE,
};

/* Embedded by whatever happens later. */
struct sim_event {
    void (*fire)(struct sim_event *event);
    struct heap_node node;
};

/* The rolling hash at event (i + 1) << shift. A run that grows keeps every other one and doubles
 * the distance: two runs are compared over their whole length, however long (simulation.md 2.4). */
enum { SIM_CHECKPOINTS = 128, SIM_CHECKPOINT_SHIFT = 8 };

struct sim_checkpoints {
    uint32_t shift;
    uint32_t count;
    uint64_t hash[SIM_CHECKPOINTS];
};

/* One callback delivered, as it went into the hash. */
struct sim_delivery {
    uint64_t event; /* its number, from 1 */
    uint32_t node;  /* index */
    enum sim_kind kind;
    enum err result;
    uint64_t digest;
    uint64_t decisions; /* digest of all choices so far */
};

/* Who watches. No draw and no effect on the nodes; a scenario may call the actions of fault.h from
 * here (the node whose turn it is then dies at the end of it, see sim_crash). NULL: not wanted. */
struct sim_observer {
    void (*traced)(struct sim_observer *observer, struct sim_world *node,
                   const struct trace_event *event); /* node NULL: told by the simulator itself */
    void (*turned)(struct sim_observer *observer, struct sim_world *node); /* a turn has ended */
    /* A request of a node's disk, before it is executed: a node that is killed here never asked.
     * A sync of many files is told once a file, as DISK_SYNC_MANY. */
    void (*disk)(struct sim_observer *observer, struct sim_world *node, enum disk_op op,
                 const char *path);
    /* Only for events from sim->watch_from up to watch_to. */
    void (*delivered)(struct sim_observer *observer, const struct sim_delivery *delivery);
    struct list link;
};

enum sim_outcome {
    SIM_END_DONE,   /* the predicate holds */
    SIM_END_TIME,   /* the time limit; the clock stands there */
    SIM_END_EVENTS, /* the cap on events */
    SIM_END_QUIET,  /* nothing is left that could happen; the clock stands at the limit, if any */
    SIM_END_FAILED, /* sim_fail() or an assertion; only sim_destroy() makes sense afterwards */
};

struct sim_limits {
    int64_t until_ns;            /* INT64_MAX: none */
    uint64_t events_max;         /* 0: none */
    bool (*done)(void *context); /* NULL: none; asked before the first turn and after each */
    void *context;
};

/* The first thing that went wrong. */
struct sim_failure {
    int64_t time_ns;
    int32_t node; /* id, -1: none */
    int line;
    char text[256];
};

struct sim_config {
    uint64_t seed;
    uint32_t nodes_max;
    int64_t wall_start_ms; /* what every clock shows at virtual time 0, before offsets */
    struct sim_net_config net;
};

struct sim {
    struct sim_config config;
    int64_t now_ns;
    uint64_t events; /* callbacks delivered */
    uint64_t turns;
    struct hash128 hash;
    struct sim_checkpoints checkpoints;
    uint64_t watch_from; /* deliveries told to observers; none when equal */
    uint64_t watch_to;
    uint64_t pause_at; /* paused() is called between this event and the next; 0: never */
    void (*paused)(void *context);
    void *pause_context;
    struct sim_world **nodes; /* in order of sim_node_add */
    uint32_t node_count;
    struct sim_world *turning; /* whose turn runs; NULL between turns */
    struct sim_net *net;
    struct decide *decide;
    struct sim_failure failure; /* text empty: none */
    void *counters;             /* private to fault.c */
    /* private */
    struct list observers;
    struct region region; /* memory of the queues */
    struct mem mem;
    struct heap queue;
    uint64_t sequence;
    jmp_buf escape;
    bool running;
};

/* A small, friendly network; nothing fails. */
struct sim_config sim_config_default(uint64_t seed);

struct sim *sim_create(const struct sim_config *config);
void sim_destroy(struct sim *sim);

enum sim_outcome sim_run(struct sim *sim, const struct sim_limits *limits);

/* Fires at `time_ns` (not before now), after everything scheduled for that time before it.
 * Scheduling a queued event moves it. */
void sim_schedule(struct sim *sim, struct sim_event *event, int64_t time_ns);
void sim_unschedule(struct sim *sim, struct sim_event *event);
void sim_event_init(struct sim_event *event, void (*fire)(struct sim_event *event));
static inline bool sim_scheduled(const struct sim_event *event)
{
    return heap_queued(&event->node);
}

void sim_observe(struct sim *sim, struct sim_observer *observer);
/* Tells the observers something of the simulator itself; text may be STR_NULL. */
void sim_tell(struct sim *sim, enum trace_kind kind, struct str text, const int64_t *fields,
              uint32_t field_count);
/* For node_world.c: a node's own trace event, a node's turn that has ended, a delivery. */
void sim_traced(struct sim *sim, struct sim_world *node, const struct trace_event *event);
void sim_turned(struct sim *sim, struct sim_world *node);
void sim_disk_asked(struct sim *sim, struct sim_world *node, enum disk_op op, const char *path);
void sim_delivered(struct sim *sim, uint32_t node, enum sim_kind kind, enum err result,
                   uint64_t digest);

/* Something else that must be the same in every run of a seed: a digest of a node's state. */
void sim_hash_state(struct sim *sim, uint64_t digest);

struct hash128_value sim_hash(const struct sim *sim);

/* Ends the run with SIM_END_FAILED; outside of a run the process ends with status 6. */
_Noreturn void sim_fail(struct sim *sim, const char *text, const char *file, int line);
/* The simulator that runs in this process, for assert_failed(); NULL outside of sim_run(). */
struct sim *sim_current(void);

/* Says nothing about the system under test: inconclusive (simulation.md 7). */
enum { SIM_EXIT_NO_MEMORY = 7 };
/* Memory of the simulator: never NULL, zeroed. */
void *sim_alloc(size_t size);
/* A 64-bit digest of bytes, for the trace hash. */
uint64_t sim_digest(uint64_t digest, const void *data, size_t length);
const char *sim_kind_name(enum sim_kind kind);

#endif
