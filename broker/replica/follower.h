/* What a follower does with an answer of its leader: pure decisions, without log, network or clock.
 * replication.md 7; fetcher.c carries them out.
 *
 * In this order: is the answer to the question we would ask now? error? divergence? only then data,
 * high watermark and log start. With a divergence nothing else of the answer is used (F9). */
#ifndef BROKER_REPLICA_FOLLOWER_H
#define BROKER_REPLICA_FOLLOWER_H

#include "broker/log/log_epochs.h"

/* What the follower is now. */
struct follower {
    int32_t leader_epoch; /* by metadata */
    int64_t log_end;
    bool ready; /* follows, and neither appends nor truncates */
};

/* One partition of an answer, with what the request for it said. */
struct follower_answer {
    int32_t request_epoch; /* leader epoch that the fetch was made with */
    int64_t request_offset;
    enum err err;
    bool diverged;
    bool data; /* records are not empty */
};

enum follower_act {
    FOLLOWER_IGNORE,   /* the answer to an older question (F6, F14) */
    FOLLOWER_APPEND,   /* batches of epochs up to request_epoch; then high watermark, log start */
    FOLLOWER_ADVANCE,  /* no data: high watermark and log start only */
    FOLLOWER_TRUNCATE, /* to follower_truncation() */
    FOLLOWER_OUT_OF_RANGE, /* ask the leader for its offsets */
    FOLLOWER_BACK_OFF,     /* the same again, later */
    FOLLOWER_PARK,         /* the leader is in a newer epoch: wait for the metadata */
};
enum follower_act follower_judge(const struct follower *follower,
                                 const struct follower_answer *answer);

/* Where to cut when the leader says that `last fetched epoch` ends elsewhere: KIP-101, KIP-279. */
struct follower_cut {
    struct log_epoch_end leader; /* epoch -1, end_offset -1: undefined */
    struct log_epoch_end own;    /* own end for leader.epoch; undefined alike */
    int64_t log_end;
    int64_t high_watermark;
};
int64_t follower_truncation(const struct follower_cut *cut);

/* A new leader: where fetching begins. Without any epoch the log is cut to the high watermark
 * first, as there is nothing to find a divergence by; with epochs it never is (F1, F15, R47). */
int64_t follower_start(uint32_t epochs_count, int64_t log_end, int64_t high_watermark);

/* The leader answered OFFSET_OUT_OF_RANGE. `leader_start` counts only when the leader's end is not
 * below ours: then it is asked for too. */
enum follower_range {
    FOLLOWER_RANGE_TRUNCATE, /* to leader_end */
    /* Everything: the log begins at leader_start (F16, F28). Also what ends just there: the leader
     * cannot say whether its own records were the same. */
    FOLLOWER_RANGE_RESET,
    FOLLOWER_RANGE_RESUME, /* the leader moved on meanwhile: fetch from our end */
};
enum follower_range follower_out_of_range(int64_t log_start, int64_t log_end, int64_t leader_end,
                                          int64_t leader_start);

#endif
