/* What may become of one partition: elections, ISR changes, the end of a reassignment, and what an
 * AlterPartition must satisfy. Pure: image in, decision out (replication.md 9, 10).
 *
 *   record      partition epoch + 1, always (R36)
 *   leader set  leader epoch + 1: another leader, none, or a replica left the assignment
 *   last ISR    member stays in the ISR although it is dead, without a leader (ELR off)
 *
 * Reassignment (KIP-455): replicas are the targets and behind them those that are to go. It ends in
 * whatever change finds everybody who was to come in the ISR; who was to go is then out of
 * replicas, ISR and ELR, and deletes its log when it applies the record.
 *
 * Eligible leader replicas (KIP-966), with the feature eligible.leader.replicas.version:
 *
 *   who leaves an ISR that falls below min ISR is in the ELR: it has all that is committed, for the
 *   high watermark stands still below min ISR (R20). Out again when the ISR has min ISR members, or
 *   when the broker may have lost data. An empty ISR elects from the ELR; both empty: the last
 *   known leader, if it is there. */
#ifndef BROKER_CONTROLLER_PARTITION_CHANGE_H
#define BROKER_CONTROLLER_PARTITION_CHANGE_H

#include "broker/controller/image.h"

enum election {
    ELECTION_PREFERRED, /* replicas[0] if it can, else as ONLINE */
    ELECTION_ONLINE,    /* the leader stays if it can, else the first that can */
    ELECTION_UNCLEAN,   /* as ONLINE, but rather anybody than nobody */
};

enum { PARTITION_CHANGE_NO_BROKER = -1, PARTITION_CHANGE_SAME_LEADER = -2 };

struct partition_change {
    const struct image *image; /* who is active */
    const struct image_partition *part;
    struct image_ids target_isr; /* partition_change_init(): all of these as they are */
    struct image_ids target_replicas;
    struct image_ids target_removing;
    struct image_ids target_adding;
    enum election election;
    int8_t target_recovery; /* -1: as it is */
    int32_t leaving;        /* a broker that counts as gone in this decision, or NO_BROKER */
    int32_t joining;        /* a broker that counts as active, or NO_BROKER */
    int32_t lost;           /* a broker that may have lost data: in neither ISR nor ELR */
    bool touch;             /* a record in any case: the partition epoch moves */
    bool elr_enabled;
    uint32_t min_isr; /* effective; used with ELR only */
};

/* A list of the decision; `set`: it differs, and the record says so. */
struct partition_list {
    bool set;
    uint8_t count;
    int32_t ids[IMAGE_REPLICAS_MAX];
};

struct partition_decision {
    bool changed;    /* false: no record */
    bool unclean;    /* the leader may lack committed records */
    bool last_known; /* and is elected for having been the last leader */
    int32_t leader;  /* SAME_LEADER: not in the record */
    int8_t recovery; /* -1: not in the record */
    struct partition_list isr;
    struct partition_list replicas;
    struct partition_list removing;
    struct partition_list adding;
    struct partition_list elr;
    struct partition_list last_known_elr;
};

/* An ONLINE election that changes nothing else. */
void partition_change_init(struct partition_change *change, const struct image *image,
                           const struct image_partition *part);
void partition_change_decide(const struct partition_change *change,
                             struct partition_decision *decision);
/* The record of a decision that changes something; lists are copied into the records' arena. */
void partition_change_put(const struct partition_decision *decision, struct uuid topic,
                          int32_t index, struct records *records);

/* One partition of an AlterPartition request. */
struct partition_alter {
    int32_t broker_id;
    int32_t leader_epoch;
    int32_t partition_epoch;
    int8_t recovery;
    const int32_t *isr;
    const int64_t *isr_epochs; /* -1: not told */
    uint32_t isr_count;
};
/* The first rule it breaks, in Kafka's order; NONE: may be decided (R37). The topic and the
 * partition exist, the sender's broker epoch was checked. */
enum err partition_change_check(const struct image *image, const struct image_partition *part,
                                const struct partition_alter *alter);

/* Whether the cluster keeps eligible leader replicas. */
bool partition_change_elr(const struct image *image);
#define PARTITION_CHANGE_ELR_FEATURE "eligible.leader.replicas.version"

/* min(min.insync.replicas, replicas of partition 0), at least 1. */
uint32_t partition_change_min_isr(const struct image *image, const struct image_topic *topic,
                                  int32_t min_insync_default);
/* As if `value` (null: none) were set for the topic `name`, or for all when it is empty. */
uint32_t partition_change_min_isr_with(const struct image *image, const struct image_topic *topic,
                                       int32_t min_insync_default, struct str name,
                                       struct str value);
/* unclean.leader.election.enable of a topic. */
bool partition_change_unclean(const struct image *image, const struct image_topic *topic,
                              bool unclean_default);

#endif
