/* The controller of the cluster. Every controller node has one; it is active while its node leads
 * the metadata quorum.
 *
 *                 leads                     all below the epoch's start is applied
 *     STANDBY ------------> CATCHING_UP ------------------------------------------> ACTIVE
 *        ^                       |                                                    |
 *        |        lost           |                      lost, or append failed        |
 *        +-----------------------+----------------------------------------------------+
 *
 * A request is a `controller_call`, an op: validate against the working image -> records -> append
 * -> replay into the working image at once -> wait until the high watermark passed the last record
 * -> answered. One that wrote nothing waits for what others wrote before it: answers never tell of
 * anything uncommitted. When the leadership is lost the working image is dropped and every waiting
 * call is answered NOT_CONTROLLER (K23); its records may still be committed by a later leader.
 *
 * The working image starts as a clone of the committed one (that is the one moment that costs
 * O(partitions), at a change of the leader).
 *
 * Soft state: leases, what brokers reported of their metadata offset. Rebuilt by each new leader:
 * every unfenced broker gets a lease of three heartbeat intervals, and a whole session from its
 * first heartbeat on. DIFFERS: Kafka gives a fresh session at once (architecture.md 4). */
#ifndef BROKER_CONTROLLER_CONTROLLER_H
#define BROKER_CONTROLLER_CONTROLLER_H

#include "broker/controller/image.h"
#include "broker/controller/loader.h"
#include "broker/features.h"
#include "client/base/op.h"
#include "client/base/pool.h"
#include "client/base/rng.h"
#include "client/world/env.h"
#include "wire/allocate_producer_ids.h"
#include "wire/alter_configs.h"
#include "wire/alter_partition.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/assign_replicas_to_dirs.h"
#include "wire/broker_heartbeat.h"
#include "wire/broker_registration.h"
#include "wire/controller_registration.h"
#include "wire/create_partitions.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/elect_leaders.h"
#include "wire/incremental_alter_configs.h"
#include "wire/list_partition_reassignments.h"
#include "wire/unregister_broker.h"
#include "wire/update_features.h"

/* ---- the quorum, as the controller sees it --------------------------------------------------- */

/* Implemented over broker/raft/quorum.h by the node; by a fake in tests. */
struct controller_quorum;
struct controller_quorum_ops {
    /* The epoch this node leads and may append in; -1: it does not lead. */
    int32_t (*leading)(struct controller_quorum *quorum);
    /* First offset of the led epoch (its LeaderChange record). */
    int64_t (*epoch_start)(struct controller_quorum *quorum);
    /* The offset that the first record of the next append gets, while leading. */
    int64_t (*next_offset)(struct controller_quorum *quorum);
    /* One atomic batch, 1 to RECORDS_BATCH_MAX values, copied during the call; offsets are
     * consecutive from next_offset(). NOT_CONTROLLER: no longer leads `epoch`; any other error:
     * nothing was appended, it still leads. */
    enum err (*append)(struct controller_quorum *quorum, int32_t epoch, const struct bytes *values,
                       uint32_t count, int64_t *first_offset, int64_t *last_offset);
    /* First offset that is not committed; -1 while unknown. */
    int64_t (*high_watermark)(struct controller_quorum *quorum);
    /* Gives the leadership of `epoch` up: the state in memory went wrong. Tells it by
     * controller_quorum_changed() or by the next leading(), not from inside the call. */
    void (*resign)(struct controller_quorum *quorum, int32_t epoch);
    /* kraft.version; and 0 to 1, or whether that could be: quorum_change_kraft_version(). NULL:
     * always 0. */
    int16_t (*kraft_version)(struct controller_quorum *quorum);
    enum err (*raise_kraft_version)(struct controller_quorum *quorum, bool validate_only,
                                    int64_t *offset, const char **why);
};
struct controller_quorum {
    const struct controller_quorum_ops *ops;
    /* Keyed by offset; of the implementation (quorum.hw_source). It wakes those below the high
     * watermark when it moves: op_wake_below(source, high_watermark - 1). */
    struct op_source *hw_source;
};

/* ---- configuration --------------------------------------------------------------------------- */

struct controller_config {
    int32_t node_id;
    struct str cluster_id;         /* borrowed for life */
    int32_t session_timeout_ms;    /* broker.session.timeout.ms */
    int32_t heartbeat_interval_ms; /* broker.heartbeat.interval.ms */
    int32_t max_idle_interval_ms;  /* metadata.max.idle.interval.ms; 0: no NoOp records */
    int64_t balance_interval_ms;   /* leader.imbalance.check.interval; 0: never */
    int32_t unclean_interval_ms;   /* retry of unclean elections where enabled; 0: never */
    int32_t num_partitions;        /* of a topic created with -1 */
    int16_t default_replication_factor;
    int32_t min_insync_replicas;
    bool unclean_leader_election; /* unclean.leader.election.enable, the default of topics */
    int16_t metadata_version;     /* level written at bootstrap */
    int16_t elr_version;          /* likewise, of eligible.leader.replicas.version; 0: off */
    int16_t group_version;        /* likewise, of group.version */
    struct features_range features[FEATURES_COUNT]; /* that this node knows */
    uint32_t calls_max; /* requests at once; more: NOT_CONTROLLER, retriable */
    struct image_limits limits;
};
/* Kafka's defaults; node and cluster id stay to be set. */
struct controller_config controller_config_default(void);

enum controller_state { CONTROLLER_STANDBY, CONTROLLER_CATCHING_UP, CONTROLLER_ACTIVE };
enum { CONTROLLER_STATES = CONTROLLER_ACTIVE + 1 };

/* What a controller believes of a broker besides the image. */
struct controller_lease {
    struct map_node node; /* by broker id */
    int64_t expires_ns;
    int64_t broker_epoch;    /* whom the lease is for */
    int64_t metadata_offset; /* last told by a heartbeat; -1: none yet */
    int64_t shutdown_offset; /* all active brokers must have seen it; -1: not in shutdown */
    bool valid;              /* false: nothing heard of this incarnation, no session */
};

struct controller {
    enum controller_state state;
    int32_t epoch;      /* of the leadership; -1 unless ACTIVE */
    struct image image; /* the working image; valid only while ACTIVE */
    int64_t written;    /* last offset this leadership wrote; -1: nothing */
    struct controller_config config;
    /* private */
    struct env *env;
    struct controller_quorum *quorum;
    const struct loader *loader; /* whose image is the committed one */
    struct arena arena;          /* of one decision */
    struct rng placement;
    struct rng identity; /* topic ids */
    struct pool leases;
    struct map lease_of;
    uint32_t calls;
    struct op op; /* the life of the controller */
    struct op_source wake;
    bool stopping;
    int32_t told_epoch;     /* leading(), as of the last controller_quorum_changed() */
    int32_t catching_epoch; /* while CATCHING_UP */
    int32_t last_epoch;     /* in which it was active; never again in that one */
    int64_t next_lease_check_ns;
    int64_t next_no_op_ns;
    int64_t next_balance_ns;
    int64_t next_unclean_ns;
};

/* Needs room for 1 + calls_max ops in env's loop. */
MUST_USE enum err controller_init(struct controller *controller, struct env *env,
                                  const struct controller_config *config,
                                  struct controller_quorum *quorum, const struct loader *loader);
/* Orderly stop: renounces, ends its own op; the calls end by themselves, NOT_CONTROLLER. */
void controller_stop(struct controller *controller);
/* After a stop, when no call lives. */
void controller_deinit(struct controller *controller);

/* To be called when the quorum's leader or epoch changed, and after loader_batch(). Cheap. */
void controller_quorum_changed(struct controller *controller);
void controller_applied(struct controller *controller);

/* ---- requests -------------------------------------------------------------------------------- */

enum controller_api {
    CONTROLLER_BROKER_REGISTRATION,
    CONTROLLER_BROKER_HEARTBEAT,
    CONTROLLER_CREATE_TOPICS,
    CONTROLLER_DELETE_TOPICS,
    CONTROLLER_ALTER_PARTITION,
    CONTROLLER_ASSIGN_DIRS,
    CONTROLLER_ALLOCATE_PRODUCER_IDS,
    CONTROLLER_INCREMENTAL_ALTER_CONFIGS,
    CONTROLLER_ALTER_CONFIGS,
    CONTROLLER_CREATE_PARTITIONS,
    CONTROLLER_ALTER_REASSIGNMENTS,
    CONTROLLER_LIST_REASSIGNMENTS,
    CONTROLLER_UNREGISTER_BROKER,
    CONTROLLER_ELECT_LEADERS,
    CONTROLLER_UPDATE_FEATURES,
    CONTROLLER_CONTROLLER_REGISTRATION,
};

/* One request; embedded by the op of the api layer, which awaits `done` until `finished`. It may
 * not go away before. */
struct controller_call {
    enum controller_api api;
    union { /* borrowed until finished */
        const struct broker_registration_request *broker_registration;
        const struct broker_heartbeat_request *broker_heartbeat;
        const struct create_topics_request *create_topics;
        const struct delete_topics_request *delete_topics;
        const struct alter_partition_request *alter_partition;
        const struct assign_replicas_to_dirs_request *assign_dirs;
        const struct allocate_producer_ids_request *allocate_producer_ids;
        const struct incremental_alter_configs_request *incremental_alter_configs;
        const struct alter_configs_request *alter_configs;
        const struct create_partitions_request *create_partitions;
        const struct alter_partition_reassignments_request *alter_reassignments;
        const struct list_partition_reassignments_request *list_reassignments;
        const struct unregister_broker_request *unregister_broker;
        const struct elect_leaders_request *elect_leaders;
        const struct update_features_request *update_features;
        const struct controller_registration_request *controller_registration;
    } request;
    union { /* out; filled whatever the result, with the error in every place it belongs */
        struct broker_registration_response *broker_registration;
        struct broker_heartbeat_response *broker_heartbeat;
        struct create_topics_response *create_topics;
        struct delete_topics_response *delete_topics;
        struct alter_partition_response *alter_partition;
        struct assign_replicas_to_dirs_response *assign_dirs;
        struct allocate_producer_ids_response *allocate_producer_ids;
        struct incremental_alter_configs_response *incremental_alter_configs;
        struct alter_configs_response *alter_configs;
        struct create_partitions_response *create_partitions;
        struct alter_partition_reassignments_response *alter_reassignments;
        struct list_partition_reassignments_response *list_reassignments;
        struct unregister_broker_response *unregister_broker;
        struct elect_leaders_response *elect_leaders;
        struct update_features_response *update_features;
        struct controller_registration_response *controller_registration;
    } response;
    int16_t version;
    struct arena *arena; /* for what the response points to; borrowed until it is encoded */
    int64_t deadline_ns; /* OP_NO_DEADLINE, or then: REQUEST_TIMED_OUT */
    /* out */
    struct op_source done;
    bool finished;
    enum err result; /* NONE: decided and committed. Else NOT_CONTROLLER, REQUEST_TIMED_OUT, ... */
    /* private */
    struct op op;
    struct controller *controller;
    int32_t epoch;
    int64_t required; /* answered when committed up to here, inclusive */
};

/* Fields up to deadline_ns set by the caller; response structs need not be initialised. */
void controller_submit(struct controller *controller, struct controller_call *call);

/* controller_answer.c: one error in every place of a response; also for a broker that did not reach
 * the controller. */
void controller_answer_incremental(const struct incremental_alter_configs_request *request,
                                   struct incremental_alter_configs_response *response,
                                   enum err err, struct arena *arena);
void controller_answer_replace(const struct alter_configs_request *request,
                               struct alter_configs_response *response, enum err err,
                               struct arena *arena);
void controller_answer_partitions(const struct create_partitions_request *request,
                                  struct create_partitions_response *response, enum err err,
                                  struct arena *arena);
void controller_answer_elect(const struct elect_leaders_request *request,
                             struct elect_leaders_response *response, enum err err, int16_t version,
                             struct arena *arena);

static inline bool controller_active(const struct controller *controller)
{
    return controller->state == CONTROLLER_ACTIVE;
}
const char *controller_state_name(enum controller_state state);

#endif
