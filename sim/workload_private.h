/* What stands in the region of a client machine: workload_client.c, workload_operator.c. */
#ifndef SIM_WORKLOAD_PRIVATE_H
#define SIM_WORKLOAD_PRIVATE_H

#include "client/admin.h"
#include "client/consumer.h"
#include "client/membership.h"
#include "client/producer.h"
#include "sim/check/check.h"
#include "sim/decide.h"
#include "sim/workload.h"
#include "wire/write_txn_markers.h"

enum { CLIENT_ADMIN_TIMEOUT_MS = 60000, CLIENT_VOTER_TIMEOUT_MS = 10000 };

struct workload_node {
    struct env env;
    struct workload_client *client;
    struct op op;
    struct op_source wake; /* told to finish */
    bool finishing;
    bool nudged; /* told that there is more to do */
    /* admin */
    struct admin admin;
    struct admin_task task;
    uint32_t topic;
    struct create_topics_request_topic request;
    struct create_topics_request_assignment assignments[1000];
    struct create_topics_request_config configs[SCENARIO_CONFIGS_MAX];
    /* operator */
    struct workload_job *job;
    struct create_partitions_request_topic more;
    struct elect_leaders_request_topic elect;
    struct alter_partition_reassignments_request_partition reassigned;
    struct alter_partition_reassignments_request_topic reassigned_of;
    struct incremental_alter_configs_request_resource resource;
    struct incremental_alter_configs_request_config alter[SCENARIO_CONFIGS_MAX];
    struct delete_records_request_topic records_of;
    struct delete_records_request_partition records_at;
    struct alter_replica_log_dirs_request_topic moved;
    struct alter_replica_log_dirs_request_dir moved_to;
    struct add_raft_voter_request_listener voter_at;
    char voter_host[16];
    struct update_features_request_feature_update_key features[SCENARIO_CONFIGS_MAX];
    struct str topic_name;
    int32_t partition;
    char broker[16];
    /* producer */
    struct producer producer;
    struct pool records;
    struct list done; /* of client_record, through producer_record.link */
    uint32_t record_size_max;
    int64_t beat_ns; /* between two batches */
    int64_t next_ns;
    /* producer of transactions (workload_txn.c) */
    uint32_t txn_records;
    uint32_t txn_done;
    bool txn_commit;
    struct producer_identity txn_marker;
    int32_t txn_partition;
    struct call txn_call;
    struct write_txn_markers_request txn_body;
    struct write_txn_markers_request_marker txn_of;
    struct write_txn_markers_request_topic txn_topic;
    struct arena txn_arena;
    /* consumer, drain */
    struct consumer consumer;
    int64_t seek_ns;          /* when it moves next */
    uint32_t agains;          /* how often the drain came back to what was damaged */
    struct membership member; /* of a group */
    int64_t working_ns;       /* it does not poll before */
};

/* workload_operator.c: does the jobs of the workload, one after the other. */
extern const struct op_kind workload_operator_kind;
/* The request of one topic, as the scenario and the draws of this run have it. */
void workload_operator_create(struct workload_node *node, uint32_t topic);
/* Ends the op's machine: for every kind of op on it. */
void workload_client_over(struct op *op);

/* workload_txn.c: a producer whose records are in transactions. */
extern const struct op_kind workload_txn_kind;
bool workload_txn(const struct workload_client *client);
bool workload_any_txn(const struct workload *workload);

/* workload_drain.c: the reader of all, at the end. */
enum { WORKLOAD_DRAIN_AGAIN_MS = 50 };
bool workload_drain_read(const struct workload_node *node);  /* everything, as far as it can be */
bool workload_drain_waits(const struct workload_node *node); /* to try again what was damaged */
void workload_drain_again(struct workload_node *node);

/* ---- of workload_client.c ---- */
bool workload_producer_one(struct workload_node *node);
bool workload_producer_has_more(const struct workload_node *node);
int64_t workload_client_draw(const struct workload_node *node, enum decide_what what,
                             struct unit_range range);

#endif
