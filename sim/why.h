/* The event at which a failure became unavoidable (simulation.md 5.4), and what led from there.
 *
 *   search   the run again up to event k with its own choices, from there with others, ten
 *            times: the share that fails alike; over a grid of k, then by halves where it rises
 *   chain    of the trace between: what comes from that place and leads to the violation, along
 *            the order on each node and the messages between them; at most 50 events */
#ifndef SIM_WHY_H
#define SIM_WHY_H

#include "sim/plan.h"

enum { WHY_POINTS_MAX = 64, WHY_GRID = 8, WHY_NODES_MAX = 50, WHY_NEAR_MAX = 3 };

struct why_point {
    uint64_t event; /* choices are others from here on, with this event */
    int failed;     /* so many of the runs */
};

/* How many of the runs that leave at this event fail alike. */
typedef int why_probe(void *context, uint64_t event);

struct why_search {
    struct why_point points[WHY_POINTS_MAX]; /* in order; the last is the whole run */
    uint32_t count;
    uint32_t jump; /* between this point and the next the share rises most */
};
/* `runs` at each point; the run has `events`. */
void why_search(struct why_search *search, uint64_t events, int runs, why_probe *probe,
                void *context);

/* One trace event. */
struct why_event {
    uint64_t event;
    int32_t node; /* whose order it belongs to; -1: nobody's */
    int32_t kind;
    bool matters;
    int64_t fields[3]; /* first, second and fourth */
    char *words;       /* malloced */
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

/* gregor-sim why DIR|PLAN [--runs 10] [--out DIR] */
int why_command(int argc, char **argv, struct codecs *codecs);

#endif
