/* Several members of a quorum over raft_step() alone: a network that delays, loses, repeats and
 * cuts, disks that are slow and forget what was not flushed, and ghosts that check K1 to K16 at
 * each step. Pure: no world, no op, no byte on any wire. */
#ifndef TESTS_SUPPORT_RAFT_CLUSTER_H
#define TESTS_SUPPORT_RAFT_CLUSTER_H

#include "broker/raft/raft.h"

enum {
    CLUSTER_NODES = 6,
    CLUSTER_LOG = 4000,
    CLUSTER_EPOCHS = 2000,
    CLUSTER_ITEMS = 4000,
};

struct cluster_entry {
    int32_t epoch;
    uint32_t value; /* 0: LeaderChange */
};

enum cluster_what {
    CLUSTER_FREE,
    CLUSTER_REQUEST,
    CLUSTER_REPLY,
    CLUSTER_FAILED,
    CLUSTER_PARKED,
    CLUSTER_STORED,
    CLUSTER_APPENDED,
    CLUSTER_FLUSHED,
    CLUSTER_HINTED,
    CLUSTER_CUT,
    CLUSTER_SAVED, /* a part of a snapshot */
    CLUSTER_INSTALLED,
    CLUSTER_DISOWNED,
    CLUSTER_TIMER,
};

struct cluster_item {
    enum cluster_what what;
    int64_t at;
    uint64_t sequence;
    uint32_t to;
    uint32_t from;
    uint32_t incarnation; /* of `to` for its own items, of the asker for replies */
    enum raft_request request;
    uint64_t round;
    int64_t until; /* parked */
    struct raft_event event;
    struct cluster_entry entries[64];
    uint32_t entry_count;
};

struct cluster_node {
    struct raft raft;
    struct rng rng;
    bool up;
    uint32_t incarnation;
    struct cluster_entry log[CLUSTER_LOG];
    int64_t assigned_end;
    int64_t log_end;
    int64_t disk_end;  /* survives a power loss */
    int64_t hint;      /* durable */
    int64_t log_start; /* durable, and so is the newest snapshot; what it holds is as committed */
    int32_t start_epoch;
    int64_t snapshot_end;
    int32_t snapshot_epoch;
    struct raft_durable stored;
    struct raft_durable storing;
    int64_t store_done_ns;
    bool rotten; /* lost durable entries once: outside of the majority's budget */
    struct cluster_entry fetched[64];
    uint32_t fetched_count;
    struct cluster_item asking; /* the request that the present (or stored) step answers */
    bool asked;
    /* ghosts */
    int32_t epoch_shown; /* highest in any message, over all incarnations */
    int64_t hw_seen;
    int32_t may_append; /* the epoch it leads, LeaderChange written; -1 */
};

struct cluster {
    uint32_t voters;
    uint32_t nodes; /* the last may be an observer */
    struct rng rng;
    int64_t now;
    uint64_t sequence;
    uint64_t events;
    struct cluster_node node[CLUSTER_NODES];
    struct cluster_item items[CLUSTER_ITEMS];
    uint32_t item_top;
    uint32_t loss;      /* per million */
    uint32_t duplicate; /* per million */
    int64_t delay_ns;
    int64_t disk_ns;
    bool cut[CLUSTER_NODES][CLUSTER_NODES]; /* from, to */
    uint32_t next_value;
    /* ghosts */
    int32_t elected[CLUSTER_EPOCHS];
    int32_t granted[CLUSTER_NODES][CLUSTER_EPOCHS];
    int64_t leader_hw[CLUSTER_EPOCHS];
    struct cluster_entry committed[CLUSTER_LOG];
    int64_t committed_end;
    int32_t epoch_max;
    uint32_t rot_count;
    /* what was met, for "is it exercised" */
    uint32_t elections, crashes, truncations, refusals, commits, distrusts, installs, set_back;
    char failure[256];
};

/* Observers above `voters`. All nodes start at time 0. */
void cluster_init(struct cluster *cluster, uint64_t seed, uint32_t voters, uint32_t observers);
/* Runs until `until_ns` or a failure. */
void cluster_run(struct cluster *cluster, int64_t until_ns);
void cluster_crash(struct cluster *cluster, uint32_t node);
void cluster_restart(struct cluster *cluster, uint32_t node);
/* While down: takes durable entries away from the end. */
void cluster_rot(struct cluster *cluster, uint32_t node, int64_t end);
void cluster_append(struct cluster *cluster, uint32_t node);
/* Takes a snapshot of what is committed there; `cut`: the log then starts at its end. */
void cluster_snapshot(struct cluster *cluster, uint32_t node, bool cut);
void cluster_link(struct cluster *cluster, uint32_t a, uint32_t b, bool cut);
void cluster_give(struct cluster *cluster, uint32_t node, struct raft_event *event);
/* The place of the only member that leads the highest epoch with a known high watermark; -1. */
int cluster_leader(const struct cluster *cluster);
/* All pairs of logs match (K4). */
void cluster_match(struct cluster *cluster);
bool cluster_failed(const struct cluster *cluster);

#endif
