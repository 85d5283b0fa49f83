/* The event at which a failure became unavoidable (simulation.md 5.4), and what led from there.
 *
 *   search   the run up to event k with its own choices, from that checkpoint with others, several
 *            times: the share that fails alike. Unavoidable is what fails alike every time, from
 *            there on and at every later place that was tried; found over a grid of k, then by
 *            halves, then confirmed with more runs
 *   chain    of the trace from there: what comes from that place and leads to the violation, along
 *            the order on each node and the messages between them; at most 50 events */
#ifndef SIM_WHY_H
#define SIM_WHY_H

#include "reports/reports.h"
#include "sim/plan.h"

enum {
    WHY_POINTS_MAX = 64,
    WHY_GRID = 8,
    WHY_NODES_MAX = REPORTS_WHY_MAX,
    WHY_NEAR_MAX = 3,
    WHY_ROUNDS = 4
};

/* How many of the runs that leave at this event fail alike; `round`: choices unlike those of other
 * rounds. */
typedef int why_probe(void *context, uint64_t event, uint32_t round);

struct why_search {
    struct reports_why_point points[WHY_POINTS_MAX]; /* in order; the last is the whole run */
    uint32_t count;
    bool decided; /* false: it fails alike from the very beginning */
    uint32_t at;  /* the point from which on it is unavoidable; the one before is one event less */
};
/* `runs` at each point; the run has `events`. */
void why_search(struct why_search *search, uint64_t events, int runs, why_probe *probe,
                void *context);

/* One trace event. */
struct why_event {
    uint64_t event;
    int32_t node; /* whose order it belongs to; -1: nobody's */
    int32_t kind;
    uint8_t weight;    /* how much it says about the violation; 0: nothing by itself */
    int64_t fields[3]; /* first, second and fourth */
    int64_t time_ns;
    char *words; /* malloced */
};

struct why_link {
    uint32_t from; /* numbers in `kept` */
    uint32_t to;
};

struct why_chain {
    uint32_t kept[WHY_NODES_MAX]; /* numbers of events, in order */
    uint32_t count;
    uint32_t left_out; /* of the chain, for want of room */
    struct why_link links[WHY_NODES_MAX * WHY_NEAR_MAX];
    uint32_t link_count;
};
/* From the events up to `until` to the event numbered `violation`. */
void why_chain(struct why_chain *chain, const struct why_event *events, uint32_t count,
               uint64_t until, uint32_t violation);

/* The node whose order an event belongs to: a fault to the one it strikes. */
int32_t why_order(const struct why_event *event);

/* gregor-sim why DIR|PLAN [--runs 10] [--out DIR] */
int why_command(int argc, char **argv, struct codecs *codecs);

#endif
