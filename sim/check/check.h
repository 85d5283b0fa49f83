/* The oracles: a ghost model of the cluster, fed with trace events and nothing else, that says
 * which promise was broken first. It reads no node's memory (the same oracles judge the trace of
 * real brokers), draws nothing, has no effect on the run, and gives the same answer for the same
 * events. Ids are those of the registry (architecture 5): R replication, K quorum, C clients.
 *
 *   check_create -> check_event ... check_turn_end ... check_phase(2) ... check_finish
 *
 * The first violation is kept and later events are ignored: a ghost that has left the real state
 * would only repeat itself. Memory is bounded by the run: measured 20 MB for 50,000 batches of one
 * record on two replicas, each sent, acknowledged and read. */
#ifndef SIM_CHECK_CHECK_H
#define SIM_CHECK_CHECK_H

#include "client/world/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHECK_NODES_MAX = 128, /* distinct node ids of one run, clients included */
    CHECK_SET_MAX = 64,    /* of them can be in a set: the first ones, all but a crowd */
    CHECK_TEXT_MAX = 512,
    CHECK_OFF_WORDS = 3, /* of 64 oracles each */
    CHECK_CONFIG_MAX = 1000,
};

/* In the name of a value of the workload, as traces tell it: the record has no value. */
#define CHECK_TOMBSTONE (INT64_C(1) << 62)

/* How a violation is classed: it decides the verdict and the exit code. */
enum check_class {
    CHECK_EVENT,      /* E: on the event itself */
    CHECK_PERIODIC,   /* P: every N events */
    CHECK_QUIESCENCE, /* Q: when a turn or the run is over */
    CHECK_HISTORY,    /* H: from what clients saw */
    CHECK_LIVENESS,   /* L: a verdict of its own (STUCK) */
};

struct check_config {
    bool unclean_election;  /* unclean.leader.election.enable somewhere in the cluster */
    bool fsync_before_ack;  /* durable mode: no power loss takes anything acknowledged */
    bool idempotent;        /* the workload's producers are: duplicates and order are judged */
    bool acks_all;          /* the workload's acks; otherwise an ack promises no reader anything */
    uint64_t transactional; /* clients, by number: what they send counts once it is committed */
    bool final_drain;       /* a fresh consumer reads every partition from its start at the end */
    uint64_t off[CHECK_OFF_WORDS]; /* bit mask of oracles that do not judge, by check_list() */
    bool only_history;   /* only class H judges: what a test without our trace could see */
    int32_t min_isr;     /* min.insync.replicas where no event tells better; 0 = not known */
    int32_t loss_budget; /* replicas of a partition that may lose data at once; -1 = min_isr - 1 */
    int64_t replica_lag_ns;      /* replica.lag.time.max.ms */
    int64_t fetch_wait_ns;       /* replica.fetch.wait.max.ms */
    int64_t session_ns;          /* broker.session.timeout.ms */
    int64_t heartbeat_ns;        /* broker.heartbeat.interval.ms */
    int64_t member_session_ns;   /* group.consumer.session.timeout.ms, or a classic member's own */
    int64_t request_timeout_ns;  /* timeout of the workload's produce requests */
    int64_t election_ns;         /* controller.quorum.election.timeout.ms */
    int64_t quorum_fetch_ns;     /* controller.quorum.fetch.timeout.ms */
    int64_t delete_retention_ns; /* the least delete.retention.ms of a topic */
};

/* Kafka's defaults, acks=all with idempotence, final drain, no unclean election. */
void check_config_init(struct check_config *config);
/* As a line of text, and back (check_config.c): cut where `size` ends, CHECK_CONFIG_MAX holds all.
 * False: not such a line; names that are not known are passed over. */
void check_config_print(const struct check_config *config, char *text, size_t size);
bool check_config_parse(struct check_config *config, const char *text);

struct check;

/* One violation, or one loss that was paid for. */
struct check_violation {
    const char *id;   /* "R6" */
    const char *name; /* "leader-hw-monotone" */
    enum check_class class;
    int64_t time_ns;
    int32_t node;
    int64_t topic; /* 0 = no partition is meant */
    int32_t partition;
    int64_t epoch;             /* -1 = none */
    int64_t offset;            /* -1 = none */
    char text[CHECK_TEXT_MAX]; /* sentence with values */
};

/* What every oracle can say of itself. */
struct check_info {
    const char *id;
    const char *name;
    enum check_class class;
    const char *sentence;
    const char *file;
};

struct check_stat {
    const struct check_info *info;
    uint64_t evaluations; /* non-trivial ones: 0 means not exercised, never passed */
};

/* Asserts that there is memory. config is copied. */
struct check *check_create(const struct check_config *config);
void check_destroy(struct check *check);

/* The configured min.insync.replicas of a topic by its name, so that what a leader says of it is
 * judged and not believed. 0: unknown from now on (a dynamic change), the leader is believed. */
void check_topic_min_isr(struct check *check, const char *name, int32_t min_isr);

/* Every event of every node and of the simulator itself (node is then whatever: SIM_* events name
 * their node in a field), in the order they happened. */
void check_event(struct check *check, int64_t time_ns, int32_t node,
                 const struct trace_event *event);
/* The node has finished a turn (one callback of the world and what followed from it): what must
 * hold only between turns is judged here. Cheap when nothing changed. */
void check_turn_end(struct check *check, int64_t time_ns, int32_t node);
/* 1 safety, 2 liveness (faults have stopped), 3 the final drain is over: as SIM_PHASE, which does
 * the same; the text of phase 2 may name the core. Liveness is judged when phase 3 is entered, so
 * the nodes must not be stopped before, and phase 2 must have lasted check_liveness_ns(). */
void check_phase(struct check *check, int64_t time_ns, int32_t phase);
/* The run is over. Judges liveness if that was not done; a run that was cut off before phase 2
 * lasted check_liveness_ns() is not judged by those oracles. */
void check_finish(struct check *check, int64_t time_ns);
/* Simulated time that the liveness phase must be given, from the configured timeouts. */
int64_t check_liveness_ns(const struct check_config *config);

/* NULL while nothing was violated. */
const struct check_violation *check_violation(const struct check *check);
/* Losses that were allowed, each naming the step that paid for it; NULL behind the last. */
const struct check_violation *check_excused(const struct check *check, uint32_t index);

/* What a node (id) is to a partition by the last committed record of the controller. */
struct check_member {
    bool replica;
    bool in_sync;     /* in the ISR or the ELR, also of a record that is not committed yet */
    bool last_leader; /* the last known one, and nobody is in the ISR */
};
struct check_member check_partition_member(const struct check *check, const char *topic,
                                           int32_t partition, int32_t node);

/* Its disk has failed or lied: what hits it again takes no more than is counted already. */
bool check_disk_spent(const struct check *check, int32_t node);

/* What dies with a node: its process; its machine, and nothing is lost by chance; also what it had
 * not synced; also what it had. */
enum check_loss_kind {
    CHECK_LOSS_PROCESS,
    CHECK_LOSS_MACHINE,
    CHECK_LOSS_UNSYNCED,
    CHECK_LOSS_SYNCED,
};
/* The ledger of losses: may these nodes (ids) be hit like this now, without any partition, or the
 * quorum, going beyond its budget? False: the first partition that would. */
struct check_loss {
    int64_t topic; /* 0: the metadata */
    int32_t partition;
    int32_t spent; /* with these nodes */
    int32_t budget;
};
bool check_loss_room(const struct check *check, const int32_t *ids, uint32_t count,
                     enum check_loss_kind kind, struct check_loss *loss);

/* All oracles in the order of their ids; NULL behind the last. */
const struct check_info *check_list(uint32_t index);
/* False behind the last; in the order of check_list(). */
bool check_stats(const struct check *check, uint32_t index, struct check_stat *stat);

/* Ghost against memory, every N events: what the node holds of one replica, now. A difference is
 * a violation with id "GHOST": an event is missing or lies. False when one was found. */
struct check_replica {
    int64_t topic;
    int32_t partition;
    int64_t log_end;
    int64_t high_watermark; /* -1 = not to be compared */
    int32_t leader_epoch;   /* -1 = not to be compared */
    int32_t role;           /* TRACE_ROLE_*; -1 = not to be compared */
    bool with_epoch;        /* the newest entry of the epoch cache is to be compared */
    int32_t newest_epoch;   /* -1 none */
    int64_t newest_start;
};
bool check_compare_replica(struct check *check, int64_t time_ns, int32_t node,
                           const struct check_replica *replica);

#endif
