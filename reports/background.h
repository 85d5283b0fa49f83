/* What the whole run did besides the focus, for the figures that show all of it: faults as
 * stretches of time, links that were cut, client operations, groups. Filled in the same pass as
 * the story, bounded by the limits below; what was beyond them is counted in `dropped`.
 *
 * A fault lasts from the event that turns it on to the one that turns it off; what nobody turns
 * off ends with the safety phase (which mends everything), with its node, or with the trace. */
#ifndef REPORTS_BACKGROUND_H
#define REPORTS_BACKGROUND_H

#include "client/base/bytes.h"
#include "client/world/trace.h"

enum {
    BACKGROUND_FAULTS_MAX = 4096,
    BACKGROUND_CUTS_MAX = 16384,
    BACKGROUND_OPS_MAX = 1 << 20,
    BACKGROUND_GROUPS_MAX = 1 << 16,
    BACKGROUND_OWNED_MAX = 1 << 16,
    BACKGROUND_TEXT = 96,
};

enum background_sort {
    BACKGROUND_MOMENT, /* strikes once: kill, reset, error */
    BACKGROUND_DOWN,   /* a node that is not there */
    BACKGROUND_PAUSE,
    BACKGROUND_CUT,  /* its network */
    BACKGROUND_DISK, /* slow, stalled, full */
    BACKGROUND_SLOW, /* CPU, clock */
};

struct background_fault {
    int64_t begin_ns;
    int64_t end_ns;
    int64_t fault; /* number of the simulator */
    uint64_t number;
    int16_t node; /* index, -1 */
    uint8_t sort;
    bool open; /* nobody ended it yet */
    char text[BACKGROUND_TEXT];
};

struct background_cut {
    int64_t begin_ns;
    int64_t end_ns;
    int16_t from;
    int16_t to;
    bool open;
};

enum background_outcome { BACKGROUND_PENDING, BACKGROUND_OK, BACKGROUND_UNKNOWN, BACKGROUND_NO };

/* One record of a producer, from the first attempt to what it learned. */
struct background_op {
    int64_t begin_ns;
    int64_t end_ns; /* PENDING: where the trace ends */
    int64_t value;
    int64_t topic;
    int64_t offset; /* -1 unknown */
    int32_t partition;
    int32_t err;
    int16_t node;
    uint8_t outcome;
};

/* A step of a group, as its coordinator tells. */
struct background_group {
    int64_t time_ns;
    int64_t generation;
    int64_t members;
    int64_t state; /* new */
    int64_t old;
    int16_t node;
    bool consumer; /* of KIP-848: its generation is the group epoch; joining: not assigned yet */
    char name[BACKGROUND_TEXT];
};

/* A member has a partition from this generation on; in a group of KIP-848 from when the coordinator
 * says so until it says that it has given it up, or is gone. */
struct background_owned {
    int64_t time_ns;
    int64_t end_ns; /* 0: with the group's next rebalance; INT64_MAX: still */
    int64_t generation;
    int32_t partition;
    char group[48];
    char member[64];
    char topic[64];
};

struct background {
    struct background_fault *faults; /* owned, all of them */
    uint32_t fault_count;
    struct background_cut *cuts;
    uint32_t cut_count;
    struct background_op *ops;
    uint32_t op_count;
    struct background_group *groups;
    uint32_t group_count;
    struct background_owned *owned;
    uint32_t owned_count;
    uint64_t reads;  /* records that consumers got */
    uint64_t errors; /* attempts that were refused or lost */
    uint64_t dropped;
    /* private */
    uint32_t *slots; /* value -> op + 1 */
    uint32_t slot_count;
    uint32_t fault_room;
    uint32_t cut_room;
    uint32_t op_room;
    uint32_t group_room;
    uint32_t owned_room;
    uint64_t quiet_stop; /* nodes that were asked to stop by a fault */
};

struct story;

/* Any event, in order; the node is an index of the story, -1. */
void background_take(struct background *background, const struct story *story,
                     const struct trace_event *event, int16_t node, int64_t now_ns,
                     uint64_t number);
/* The trace ends here: what is open stays open to this moment. */
void background_end(struct background *background, int64_t now_ns);
void background_free(struct background *background);
const char *background_sort_word(enum background_sort sort);

#endif
