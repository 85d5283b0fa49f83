/* Configuration of one node: Kafka's keys, Kafka's defaults.
 *
 * One table (config_rows in config.c) says for each key its type, default, range and field. A key
 * in the table is honoured; a key of Kafka's that we know and do not honour is a warning; an
 * unknown key is a warning that names the nearest known one; a wrong value is an error that says
 * what would be right. Nothing is read but the text that is given. */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include "client/base/arena.h"
#include "client/base/bytes.h"
#include "client/base/err.h"

enum {
    CONFIG_LISTENERS_MAX = 4,
    CONFIG_VOTERS_MAX = 9,
    CONFIG_LOG_DIRS_MAX = 8,
    CONFIG_NAME_MAX = 32,
    CONFIG_HOST_MAX = 255,
    CONFIG_PATH_MAX = 512,
    CONFIG_WARNINGS_MAX = 32,
    CONFIG_METADATA_VERSION = 23,      /* Kafka's highest level that is written here: 4.0-IV1 */
    CONFIG_METADATA_VERSION_READ = 25, /* and that a directory of Kafka's may have: 4.0-IV3 */
};

/* A ratio is kept in millionths. */
enum config_type { CONFIG_INT, CONFIG_RATIO, CONFIG_BOOL, CONFIG_CHOICE, CONFIG_SPECIAL };

/* Choices, in the order of their words. */
enum config_group_protocols {
    GROUP_PROTOCOLS_CLASSIC_CONSUMER,
    GROUP_PROTOCOLS_CONSUMER_CLASSIC,
    GROUP_PROTOCOLS_CLASSIC,
};
enum config_group_migration {
    GROUP_MIGRATION_BIDIRECTIONAL, /* as in Kafka 4.0 */
    GROUP_MIGRATION_UPGRADE,
    GROUP_MIGRATION_DOWNGRADE,
    GROUP_MIGRATION_DISABLED,
};
enum config_group_assignors {
    GROUP_ASSIGNORS_UNIFORM_RANGE,
    GROUP_ASSIGNORS_RANGE_UNIFORM,
    GROUP_ASSIGNORS_UNIFORM,
    GROUP_ASSIGNORS_RANGE,
};

enum config_role { CONFIG_ROLE_BROKER = 1, CONFIG_ROLE_CONTROLLER = 2 };

struct config_endpoint {
    char name[CONFIG_NAME_MAX + 1]; /* listener name: PLAINTEXT, CONTROLLER, ... */
    char host[CONFIG_HOST_MAX + 1]; /* "" is every address */
    uint16_t port;
};

struct config_voter {
    int32_t id;
    char host[CONFIG_HOST_MAX + 1];
    uint16_t port;
};

struct config {
    /* identity */
    int64_t node_id;
    uint32_t roles; /* config_role bits */
    char rack[CONFIG_NAME_MAX + 1];
    struct config_endpoint listeners[CONFIG_LISTENERS_MAX];
    uint32_t listener_count;
    struct config_endpoint advertised[CONFIG_LISTENERS_MAX];
    uint32_t advertised_count;
    char controller_listener[CONFIG_NAME_MAX + 1];
    char inter_broker_listener[CONFIG_NAME_MAX + 1];
    struct config_voter voters[CONFIG_VOTERS_MAX];
    uint32_t voter_count;
    struct config_voter
        bootstrap[CONFIG_VOTERS_MAX]; /* controller.quorum.bootstrap.servers; no id */
    uint32_t bootstrap_count;
    char log_dirs[CONFIG_LOG_DIRS_MAX][CONFIG_PATH_MAX + 1];
    uint32_t log_dir_count;
    char metadata_log_dir[CONFIG_PATH_MAX + 1]; /* finished: log_dirs[0] unless given */

    /* quorum (kraft.md 2) */
    int64_t quorum_election_timeout_ms;
    int64_t quorum_fetch_timeout_ms;
    int64_t quorum_election_backoff_max_ms;
    int64_t quorum_append_linger_ms;
    int64_t quorum_request_timeout_ms;
    int64_t quorum_retry_backoff_ms;
    int64_t quorum_auto_join_enable;
    /* The newest levels of features that this node has: an older build, for rolling upgrades in the
     * simulator. */
    int64_t feature_metadata_version_max;
    int64_t feature_kraft_version_max;
    int64_t feature_elr_version_max;
    int64_t feature_group_version_max;
    int64_t connections_max_idle_ms;
    int64_t metadata_max_idle_interval_ms;
    int64_t metadata_snapshot_bytes; /* metadata.log.max.record.bytes.between.snapshots */
    int64_t metadata_snapshot_interval_ms;
    int64_t metadata_retention_bytes;
    int64_t metadata_retention_ms;
    int64_t metadata_segment_bytes;
    int64_t metadata_segment_ms;

    /* broker life */
    int64_t broker_heartbeat_interval_ms;
    int64_t broker_session_timeout_ms;
    int64_t initial_broker_registration_timeout_ms;
    int64_t controlled_shutdown_max_wait_ms;

    /* replication (replication.md 1) */
    int64_t replica_lag_time_max_ms;
    int64_t replica_fetch_wait_max_ms;
    int64_t replica_fetch_min_bytes;
    int64_t replica_fetch_max_bytes;
    int64_t replica_fetch_response_max_bytes;
    int64_t leader_throttled_rate; /* leader.replication.throttled.rate, bytes a second */
    int64_t follower_throttled_rate;
    int64_t auto_leader_rebalance_enable;
    int64_t leader_imbalance_check_interval_seconds;
    int64_t replica_fetch_backoff_ms;
    int64_t replica_high_watermark_checkpoint_interval_ms;
    int64_t replica_socket_timeout_ms;
    int64_t replica_selector; /* 0: the leader serves all; 1: the nearest rack (KIP-392) */
    int64_t num_partitions;
    int64_t default_replication_factor;
    int64_t min_insync_replicas;
    int64_t unclean_leader_election_enable;
    int64_t auto_create_topics_enable;

    /* log */
    int64_t log_segment_bytes;
    int64_t log_roll_ms;
    int64_t log_retention_ms;    /* -1: for ever */
    int64_t log_retention_bytes; /* of one partition; -1: any size */
    int64_t log_retention_check_interval_ms;
    int64_t log_segment_delete_delay_ms;
    int64_t log_message_timestamp_before_max_ms;
    int64_t log_message_timestamp_after_max_ms;
    int64_t log_index_interval_bytes;
    int64_t log_index_size_max_bytes;
    int64_t message_max_bytes;
    int64_t log_message_timestamp_type; /* 0 CreateTime, 1 LogAppendTime */
    int64_t log_cleanup_policy;         /* delete compact compact,delete delete,compact */
    int64_t log_cleaner_enable;
    int64_t log_cleaner_dedupe_buffer_size;
    int64_t log_cleaner_backoff_ms;
    int64_t log_cleaner_min_cleanable_ratio; /* millionths */
    int64_t log_cleaner_delete_retention_ms;
    int64_t log_cleaner_min_compaction_lag_ms;
    int64_t log_cleaner_max_compaction_lag_ms;
    int64_t log_flush_interval_messages;
    int64_t log_flush_interval_ms;
    int64_t log_flush_scheduler_interval_ms;
    int64_t producer_id_expiration_ms;
    int64_t producer_id_expiration_check_interval_ms;
    int64_t gregor_scrub_interval_ms; /* every closed segment is read once in it; 0: never */
    int64_t gregor_scrub_max_bytes_per_second; /* of a directory */
    int64_t gregor_recovery_bytes;             /* of a log between two marks (log_mark.c) */
    int64_t gregor_durable_acks;               /* acks=all means synced on every in-sync replica */

    /* groups (groups.md 2) */
    int64_t group_min_session_timeout_ms;
    int64_t group_max_session_timeout_ms;
    int64_t group_initial_rebalance_delay_ms;
    int64_t group_max_size;
    int64_t group_rebalance_protocols; /* enum config_group_protocols */
    int64_t group_consumer_session_timeout_ms;
    int64_t group_consumer_heartbeat_interval_ms;
    int64_t group_consumer_max_size;
    int64_t group_consumer_assignors;        /* enum config_group_assignors */
    int64_t group_consumer_migration_policy; /* enum config_group_migration */
    int64_t offsets_topic_num_partitions;
    int64_t offsets_topic_replication_factor; /* -1: 3, or as many as there are brokers */
    int64_t offsets_topic_segment_bytes;
    int64_t offsets_commit_timeout_ms;
    int64_t offsets_retention_minutes;
    int64_t offsets_retention_check_interval_ms;
    int64_t offsets_load_buffer_size;
    int64_t offset_metadata_max_bytes;

    /* network */
    int64_t socket_request_max_bytes;
    int64_t fetch_max_bytes;
    int64_t fetch_session_slots; /* max.incremental.fetch.session.cache.slots */
    int64_t max_connections;
    int64_t queued_max_requests;
    int64_t queued_max_request_bytes;
    int64_t request_timeout_ms;

    uint64_t given[2]; /* private: a bit per row of the table that was set */
};

struct config_warnings {
    uint32_t count; /* of all; the first CONFIG_WARNINGS_MAX have text */
    struct errmsg text[CONFIG_WARNINGS_MAX];
};

/* The single node that runs with no configuration at all: broker and controller on
 * 127.0.0.1:9092, the quorum on a free port, data in ./gregor-data. */
void config_default(struct config *config);

/* Reads the text of a server.properties (Java properties syntax) on top of Kafka's defaults.
 * BAD_CONFIG: `error` says line, key, what is wrong and what would be right; `config` is then
 * undefined. */
MUST_USE enum err config_parse(struct config *config, struct str text,
                               struct config_warnings *warnings, struct errmsg *error);
/* One key=value, as `--set` gives it. */
MUST_USE enum err config_set(struct config *config, struct str key, struct str value,
                             struct config_warnings *warnings, struct errmsg *error);
/* Checks what needs more than one key, after the last set; fills derived defaults (directories,
 * listeners). */
MUST_USE enum err config_finish(struct config *config, struct errmsg *error);

/* "0.25" to millionths, 0 to 1000000; false: not such a number. */
MUST_USE bool config_parse_ratio(struct str text, int64_t *millionths);

/* The n-th honoured key and its present value as text; false past the last. For describe-configs
 * and documentation. */
bool config_key(const struct config *config, uint32_t n, struct str *key, struct errmsg *value);

/* One honoured key that is a number, a bool or a choice: its value, and whether it (or another key
 * of the same meaning) was set. With `given` NULL: the default of the house. */
enum config_type config_describe(const struct config *config, struct str key, struct errmsg *value,
                                 bool *given);

const struct config_endpoint *config_listener(const struct config *config, const char *name);
/* The advertised form of the listener that brokers and clients use. */
const struct config_endpoint *config_broker_endpoint(const struct config *config);
/* Where other controllers find this one; NULL: it is none. */
const struct config_endpoint *config_controller_endpoint(const struct config *config);
bool config_has_role(const struct config *config, enum config_role role);
bool config_is_voter(const struct config *config, int32_t node_id);
/* Somebody else than this node has the metadata log. */
bool config_other_voters(const struct config *config);

#endif
