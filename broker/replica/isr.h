/* The in-sync replicas of one partition as its leader keeps them: who is in, who may enter or must
 * leave, what each follower is known to have, and what the high watermark may be. Pure bookkeeping:
 * no I/O, no clock, no trace; time and the state of brokers are handed in. replication.md 4, 9;
 * KIP-497, KIP-841, KIP-903.
 *
 *                      isr_expand                    isr_shrink
 *       EXPANDING <------------------- COMMITTED -------------------> SHRINKING
 *           |                              ^                              |
 *           +------------------------------+------------------------------+
 *             isr_set (metadata, AlterPartition's answer), isr_revert (refused)
 *
 * Two sets: `committed` is what the metadata log says and what min.insync.replicas is checked
 * against; isr_maximal() is what the high watermark counts: it has who may already be in, and still
 * has who may not yet be out. Sets are bits over the replica list. */
#ifndef BROKER_REPLICA_ISR_H
#define BROKER_REPLICA_ISR_H

#include "client/base/err.h"
#include "client/base/mem.h"
#include "client/world/world.h"

enum {
    ISR_REPLICAS_MAX = 64, /* of one partition: bits of a set */
    ISR_UNKNOWN = -1,      /* log end of a follower that has not fetched in this leader epoch */
};

/* What the committed metadata says of a broker now. */
struct isr_broker {
    int64_t epoch; /* -1: not registered */
    bool active;   /* unfenced and not about to leave */
};

/* Asked per replica, O(1). Embedded by who knows the image. */
struct isr_brokers {
    struct isr_broker (*find)(const struct isr_brokers *brokers, int32_t id);
};

/* One replica in the leader's eyes; of the leader itself only `id` counts. */
struct isr_replica {
    int32_t id;
    bool caught_up_once;             /* last_caught_up says something */
    int64_t log_end;                 /* or ISR_UNKNOWN */
    int64_t log_start;               /* or ISR_UNKNOWN */
    int64_t broker_epoch;            /* of its last fetch; -1: it told none */
    struct mono_time last_caught_up; /* it had everything that was there then */
    struct mono_time previous_fetch; /* with previous_end */
    int64_t previous_end;            /* leader's log end at its last fetch; INT64_MAX: none yet */
};

enum isr_state { ISR_COMMITTED, ISR_EXPANDING, ISR_SHRINKING };

struct isr {
    struct isr_replica *replicas; /* owned; in the order of the assignment, the leader included */
    uint16_t count;               /* at most ISR_REPLICAS_MAX */
    uint16_t self;                /* index of this broker */
    enum isr_state state;
    uint64_t committed;
    uint64_t proposed; /* while a change is pending: what was asked for */
    /* private */
    struct mem *mem;
};

/* What the rules need to know besides the set itself. */
struct isr_facts {
    int64_t log_end; /* of the leader: appends completed */
    int64_t owed;    /* of them, those that do not count yet: not synced in durable mode */
    int64_t high_watermark;
    int64_t leader_epoch_start;
    int32_t min_isr; /* min.insync.replicas, not yet capped */
    struct mono_time now;
    int64_t lag_max_ms;
    const struct isr_brokers *brokers;
    int64_t log_start;
};

void isr_init(struct isr *isr, struct mem *mem);
void isr_deinit(struct isr *isr);

/* Takes over what the metadata says: a pending change is over. Who stays keeps what is known of
 * him. `self` is among the replicas; members that are not are left out. NO_MEMORY, TOO_MANY:
 * nothing changed. */
MUST_USE enum err isr_set(struct isr *isr, int32_t self, const int32_t *replicas,
                          uint32_t replicas_count, const int32_t *members, uint32_t members_count);
/* A new leader epoch, also when the leader stays the same: everything known of followers is
 * forgotten (a replica removed and added again may have lost its log: F26); members count as
 * caught up now, so that they get a whole lag before they may be put out. */
void isr_new_epoch(struct isr *isr, struct mono_time now);

/* -1 when not among the replicas. */
int32_t isr_index(const struct isr *isr, int32_t id);
uint64_t isr_maximal(const struct isr *isr);
uint32_t isr_size(uint64_t set);
/* min(min.insync.replicas, number of replicas). */
uint32_t isr_effective_min(const struct isr *isr, int32_t min_isr);
/* Before an append with acks=all; also the condition for any move of the high watermark. */
bool isr_enough(const struct isr *isr, int32_t min_isr);
/* When the high watermark has passed an acks=all batch: counts the maximal set. */
bool isr_enough_after(const struct isr *isr, int32_t min_isr);

/* A follower's fetch was accepted: it has everything below `offset`. Index as of isr_index(). */
struct isr_fetch {
    int64_t offset;
    int64_t log_start;
    int64_t broker_epoch; /* -1 not told */
    int64_t leader_end;   /* sampled before the read */
    struct mono_time now;
};
void isr_fetched(struct isr *isr, uint32_t index, const struct isr_fetch *fetch);

/* The leader's log end moved on from `old_end`: who had everything was caught up until now, also
 * when it had no reason to say so for long (a fetch session names only what changed). */
void isr_appended(struct isr *isr, int64_t old_end, struct mono_time now);

/* THE function that computes the high watermark of a leader (replication.md 4). Never below
 * facts->high_watermark. Called by partition_advance() only. */
int64_t isr_high_watermark(const struct isr *isr, const struct isr_facts *facts);

/* May enter: no change pending, eligible, has the high watermark and the start of this epoch (the
 * second proves that it passed divergence detection: KIP-320), and has forgotten for good what the
 * leader has deleted: it may lead next (S18). */
bool isr_may_expand(const struct isr *isr, uint32_t index, const struct isr_facts *facts);
void isr_expand(struct isr *isr, uint32_t index);
/* Members that lag for longer than lag_max_ms; 0 while a change is pending. */
uint64_t isr_laggards(const struct isr *isr, const struct isr_facts *facts);
void isr_shrink(struct isr *isr, uint64_t out);
/* AlterPartition's answer: the set is now this one; a pending change is over. */
void isr_commit(struct isr *isr, const int32_t *members, uint32_t members_count);
/* The controller did not do it: back to the committed set. */
void isr_revert(struct isr *isr);

/* Ids of a set in the order of the assignment; returns how many. `ids` holds ISR_REPLICAS_MAX. */
uint32_t isr_ids(const struct isr *isr, uint64_t set, int32_t *ids);
/* Asserts what must hold at any time. */
void isr_check(const struct isr *isr);

#endif
