/* The admin client: one request, sent to the right node, repeated while that may help, until its
 * deadline. What the answer says is left to the caller, as the generated struct.
 *
 * Target: the node that is named; else what changes something goes to the node that metadata calls
 * the controller (with KRaft any broker, which forwards), everything else to the least loaded node
 * (clients.md 4).
 * Of a group's coordinator and a partition's leader the caller finds the node first and names it;
 * when that is the wrong one (any more), the task ends and says so.
 * A change whose answer was lost may have happened: `unclear` says so; the retry then often ends
 * with TOPIC_ALREADY_EXISTS or UNKNOWN_TOPIC_OR_PARTITION. */
#ifndef CLIENT_ADMIN_H
#define CLIENT_ADMIN_H

#include "client/metadata.h"
#include "wire/add_raft_voter.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/alter_replica_log_dirs.h"
#include "wire/api_versions.h"
#include "wire/consumer_group_describe.h"
#include "wire/create_partitions.h"
#include "wire/create_topics.h"
#include "wire/delete_groups.h"
#include "wire/delete_records.h"
#include "wire/delete_topics.h"
#include "wire/describe_configs.h"
#include "wire/describe_groups.h"
#include "wire/describe_log_dirs.h"
#include "wire/describe_quorum.h"
#include "wire/elect_leaders.h"
#include "wire/find_coordinator.h"
#include "wire/incremental_alter_configs.h"
#include "wire/list_groups.h"
#include "wire/list_offsets.h"
#include "wire/list_partition_reassignments.h"
#include "wire/metadata.h"
#include "wire/offset_commit.h"
#include "wire/offset_fetch.h"
#include "wire/remove_raft_voter.h"
#include "wire/unregister_broker.h"
#include "wire/update_features.h"

enum {
    ADMIN_ARENA_MAX = 64 * 1024 * 1024, /* one decoded answer */
    ADMIN_MESSAGE_MAX = 255,
};

struct admin {
    struct metadata metadata;
    uint32_t tasks; /* alive */
};

/* One request. Fill `request`, start, wait for `done`, read `response`, release. */
struct admin_task {
    /* in */
    int16_t api;  /* one of those of `request` */
    int32_t node; /* who is to answer: what a broker says of itself; -1: whoever is right */
    int32_t timeout_ms;
    union {
        struct metadata_request metadata;
        struct create_topics_request create_topics;
        struct delete_topics_request delete_topics;
        struct delete_records_request delete_records; /* of one node: the leader */
        struct describe_configs_request describe_configs;
        struct incremental_alter_configs_request incremental_alter_configs;
        struct create_partitions_request create_partitions;
        struct elect_leaders_request elect_leaders;
        struct alter_partition_reassignments_request alter_reassignments;
        struct list_partition_reassignments_request list_reassignments;
        struct unregister_broker_request unregister_broker;
        struct describe_quorum_request describe_quorum;
        struct describe_log_dirs_request describe_log_dirs;
        struct alter_replica_log_dirs_request alter_log_dirs; /* of one node */
        struct list_groups_request list_groups;
        struct describe_groups_request describe_groups;
        struct consumer_group_describe_request consumer_group_describe;
        struct delete_groups_request delete_groups;
        struct find_coordinator_request find_coordinator;
        struct offset_fetch_request offset_fetch;
        struct offset_commit_request offset_commit;
        struct list_offsets_request list_offsets;
        struct add_raft_voter_request add_raft_voter;
        struct remove_raft_voter_request remove_raft_voter;
        struct update_features_request update_features;
        struct api_versions_request api_versions;
    } request; /* set to its defaults by admin_task_init(); what it names is borrowed until done */
    /* out */
    struct op_source done;
    bool finished;
    enum err result; /* NONE: `response` is there and nothing in it has an error */
    bool answered;   /* `response` is there (perhaps with errors in it) */
    bool unclear;    /* an attempt was sent and not answered */
    char message[ADMIN_MESSAGE_MAX + 1]; /* of the broker, for the first error */
    union {
        struct metadata_response metadata;
        struct create_topics_response create_topics;
        struct delete_topics_response delete_topics;
        struct delete_records_response delete_records;
        struct describe_configs_response describe_configs;
        struct incremental_alter_configs_response incremental_alter_configs;
        struct create_partitions_response create_partitions;
        struct elect_leaders_response elect_leaders;
        struct alter_partition_reassignments_response alter_reassignments;
        struct list_partition_reassignments_response list_reassignments;
        struct unregister_broker_response unregister_broker;
        struct describe_quorum_response describe_quorum;
        struct describe_log_dirs_response describe_log_dirs;
        struct alter_replica_log_dirs_response alter_log_dirs;
        struct list_groups_response list_groups;
        struct describe_groups_response describe_groups;
        struct consumer_group_describe_response consumer_group_describe;
        struct delete_groups_response delete_groups;
        struct find_coordinator_response find_coordinator;
        struct offset_fetch_response offset_fetch;
        struct offset_commit_response offset_commit;
        struct list_offsets_response list_offsets;
        struct add_raft_voter_response add_raft_voter;
        struct remove_raft_voter_response remove_raft_voter;
        struct update_features_response update_features;
        struct api_versions_response api_versions;
    } response; /* until admin_task_release() */
    /* private */
    struct admin *admin;
    struct op op;
    struct call call;
    struct arena arena;
    int64_t deadline_ns;
    uint32_t attempts;
};

MUST_USE enum err admin_init(struct admin *admin, struct env *env,
                             const struct metadata_config *config);
/* When no task is alive; metadata_close() and metadata_closed() of its metadata end it. */
void admin_deinit(struct admin *admin);

void admin_task_init(struct admin_task *task, int16_t api);
void admin_start(struct admin *admin, struct admin_task *task);
void admin_task_release(struct admin_task *task);

#endif
