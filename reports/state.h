/* Where everybody stands, folded from the events of a story: the state at any moment is the fold of
 * the events before it, so a trace needs no snapshots (reports.md 6.6). */
#ifndef REPORTS_STATE_H
#define REPORTS_STATE_H

#include "reports/story.h"

enum { STATE_RUNS_MAX = 48 };

/* Records of one leader epoch, up to the next run or the log's end. */
struct state_run {
    int64_t start;
    int32_t epoch; /* -1: from before the trace */
};

struct state_replica {
    bool known; /* has this partition */
    bool up;
    enum story_role role;
    int32_t epoch; /* as the replica believes; -1 */
    int32_t leader;
    int64_t log_start;
    int64_t log_end;
    int64_t high_watermark;
    struct state_run runs[STATE_RUNS_MAX]; /* the oldest are merged when there are more */
    uint32_t run_count;
};

struct state {
    struct state_replica replicas[STORY_NODES_MAX];
    uint64_t isr; /* mask of node indexes, as the controller decided or the leader was told */
    bool isr_known;
    int32_t leader; /* node index as decided, -1 */
    int32_t leader_epoch;
    int32_t active; /* controller, node index, -1 */
};

void state_init(struct state *state);
void state_apply(struct state *state, const struct story *story, const struct story_event *event);
/* Leader epoch of the record at `offset`; -1 unknown, -2 not there. */
int32_t state_epoch_at(const struct state_replica *replica, int64_t offset);
/* The node that leads in the highest epoch and is up, -1. */
int32_t state_leader(const struct state *state);

#endif
