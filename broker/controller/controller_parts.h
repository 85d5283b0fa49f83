/* What the files of the controller share among themselves; nobody else includes this.
 *
 * A decision reads the working image and adds records; controller_write() appends them and replays
 * them. Nothing else changes the working image. */
#ifndef BROKER_CONTROLLER_CONTROLLER_PARTS_H
#define BROKER_CONTROLLER_CONTROLLER_PARTS_H

#include "broker/controller/controller.h"
#include "broker/controller/partition_change.h"

enum { CONTROLLER_ELECTIONS_MAX = 1000 }; /* of one pass that nobody asked for, as in Kafka */

enum controller_atomicity {
    CONTROLLER_ATOMIC, /* one batch, or ERR_TOO_LARGE */
    CONTROLLER_SPLIT,  /* as many batches as it takes; each leaves a state that may stay */
};
/* Appends, replays, traces. NOT_CONTROLLER: the leadership is gone and the working image with it;
 * TOO_LARGE, NO_MEMORY, TOO_MANY (later): what was not appended was not replayed either. */
MUST_USE enum err controller_write(struct controller *c, struct records *records,
                                   enum controller_atomicity atomicity);
/* Drops everything of a leadership. `failed`: by our own fault, so the quorum is told as well. */
void controller_renounce(struct controller *c, bool failed);

/* ---- cluster_control.c: brokers, leases ------------------------------------------------------ */

/* Decisions about one request fill the response and return NONE, or say what came in the way. */
MUST_USE enum err cluster_control_register(struct controller *c,
                                           const struct broker_registration_request *request,
                                           struct broker_registration_response *response);
MUST_USE enum err cluster_control_heartbeat(struct controller *c,
                                            const struct broker_heartbeat_request *request,
                                            struct broker_heartbeat_response *response);
/* Out of the metadata, whatever it is doing; its replicas stay assigned to it. */
MUST_USE enum err cluster_control_unregister(struct controller *c,
                                             const struct unregister_broker_request *request,
                                             struct unregister_broker_response *response);
/* NONE, or STALE_BROKER_EPOCH: not the registered incarnation (R39). */
enum err cluster_control_check_epoch(const struct controller *c, int32_t id, int64_t broker_epoch);
/* Whether one of `others` was heard of in this leadership since `broker` registered: it lived. */
bool cluster_control_witnessed(const struct controller *c, const struct image_broker *broker,
                               struct image_ids others);
/* Leases for every broker of the working image; NO_MEMORY. */
MUST_USE enum err cluster_control_activate(struct controller *c);
void cluster_control_renounce(struct controller *c);
/* When the next lease ends that has not ended yet, as far as is known now; OP_NO_DEADLINE: none. */
int64_t cluster_control_next_expiry(const struct controller *c);
/* Fences one broker whose lease is over. */
MUST_USE enum err cluster_control_check_leases(struct controller *c);

MUST_USE enum err
cluster_control_register_controller(struct controller *c,
                                    const struct controller_registration_request *request,
                                    struct controller_registration_response *response);

/* ---- feature_control.c: levels of features --------------------------------------------------- */

MUST_USE enum err feature_control_update(struct controller *c,
                                         const struct update_features_request *request,
                                         int16_t version, struct update_features_response *response,
                                         struct arena *arena);
void feature_control_elr_safety(const struct controller *c, struct records *records);
/* NONE, or UNSUPPORTED_VERSION: a node with these features does not know a level that counts. */
enum err feature_control_admits(const struct controller *c, const struct image_feature *features,
                                uint32_t count);

/* ---- replication_control.c: topics, partitions, elections ------------------------------------ */

MUST_USE enum err replication_control_alter(struct controller *c,
                                            const struct alter_partition_request *request,
                                            int16_t version,
                                            struct alter_partition_response *response,
                                            struct arena *arena);
MUST_USE enum err replication_control_delete(struct controller *c,
                                             const struct delete_topics_request *request,
                                             int16_t version,
                                             struct delete_topics_response *response,
                                             struct arena *arena);
/* `id` goes: out of every ISR, its partitions get other leaders. */
void replication_control_broker_leaves(struct controller *c, int32_t id, struct records *records);
/* `id` came back and may have lost data: out of every ISR and every ELR (KIP-966). */
void replication_control_broker_lost(struct controller *c, int32_t id, struct records *records);
/* A change of one partition, with what the cluster and the topic say. */
struct partition_change;
void replication_control_change(const struct controller *c, const struct image_topic *topic,
                                const struct image_partition *part,
                                struct partition_change *change);
/* A copy of the topic's name for the answer, which may outlive the topic: it is encoded when the
 * decision is committed. NO_MEMORY. */
MUST_USE enum err replication_control_keep_name(struct arena *arena,
                                                const struct image_topic *topic, struct str *name);
/* What an election of this topic may do without being asked: UNCLEAN where that is enabled. */
enum election replication_control_election(const struct controller *c,
                                           const struct image_topic *topic);
/* min.insync.replicas becomes `value` (null: goes) for `topic` (empty: for all). Lowered: who was
 * eligible only because the high watermark stood still is so no longer; to be written before the
 * setting. Raised: partition epochs move, so that no leader that knows only the old value changes
 * its ISR; to be written after it. Kafka clears the ELR in both cases (ClearElrRecord). */
void replication_control_min_isr(struct controller *c, struct str topic, struct str value,
                                 bool raised, struct records *records);
/* Its replica of one partition goes, out of ISR and ELR: its directory has failed. */
void replication_control_replica_leaves(struct controller *c, const struct image_topic *topic,
                                        uint32_t index, int32_t id, struct records *records);
/* `id` comes: partitions without a leader try again. */
void replication_control_broker_joins(struct controller *c, int32_t id, struct records *records);
void replication_control_balance(struct controller *c, struct records *records);
void replication_control_unclean(struct controller *c, struct records *records);

/* ---- create_topics.c, create_partitions.c, elect_leaders.c, assign_dirs.c, reassign.c -------- */

MUST_USE enum err reassign_alter(struct controller *c,
                                 const struct alter_partition_reassignments_request *request,
                                 struct alter_partition_reassignments_response *response,
                                 struct arena *arena);
MUST_USE enum err reassign_list(struct controller *c,
                                const struct list_partition_reassignments_request *request,
                                struct list_partition_reassignments_response *response,
                                struct arena *arena);

MUST_USE enum err assign_dirs_decide(struct controller *c,
                                     const struct assign_replicas_to_dirs_request *request,
                                     struct assign_replicas_to_dirs_response *response,
                                     struct arena *arena);

MUST_USE enum err create_topics_decide(struct controller *c,
                                       const struct create_topics_request *request,
                                       struct create_topics_response *response,
                                       struct arena *arena);
MUST_USE enum err create_partitions_decide(struct controller *c,
                                           const struct create_partitions_request *request,
                                           struct create_partitions_response *response,
                                           struct arena *arena);
MUST_USE enum err elect_leaders_decide(struct controller *c,
                                       const struct elect_leaders_request *request,
                                       struct elect_leaders_response *response,
                                       struct arena *arena);

/* ---- config_control.c, producer_id_blocks.c -------------------------------------------------- */

MUST_USE enum err config_control_incremental(
    struct controller *c, const struct incremental_alter_configs_request *request,
    struct incremental_alter_configs_response *response, struct arena *arena);
MUST_USE enum err config_control_replace(struct controller *c,
                                         const struct alter_configs_request *request,
                                         struct alter_configs_response *response,
                                         struct arena *arena);
MUST_USE enum err producer_id_blocks_allocate(struct controller *c,
                                              const struct allocate_producer_ids_request *request,
                                              struct allocate_producer_ids_response *response);

/* ---- controller_answer.c --------------------------------------------------------------------- */

/* Fills the response with one error in every place it belongs. */
void controller_answer_error(struct controller_call *call, enum err err);

#endif
