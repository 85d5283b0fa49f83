/* The table of keys, and all that walks it: numbers and choices are read, printed and described by
 * their rows alone. A new key is a row here and a field in config.h. */
#include "broker/config_internal.h"

#include "client/base/assert.h"

#include <string.h>

struct config_row {
    const char *key;
    enum config_type type;
    size_t field;
    int64_t fallback;
    int64_t min;
    int64_t max;
    int64_t scale;       /* the field is in a smaller unit: hours to ms */
    const char *choices; /* "CreateTime LogAppendTime" */
};

#define INT(key, field, fallback, min, max)                                          \
    {                                                                                \
        key, CONFIG_INT, offsetof(struct config, field), fallback, min, max, 1, NULL \
    }
#define SCALED(key, field, scale)                                                       \
    {                                                                                   \
        key, CONFIG_INT, offsetof(struct config, field), -1, -1, INT32_MAX, scale, NULL \
    }
#define RATIO(key, field, fallback)                                                      \
    {                                                                                    \
        key, CONFIG_RATIO, offsetof(struct config, field), fallback, 0, 1000000, 1, NULL \
    }
#define BOOL(key, field, fallback)                                                        \
    {                                                                                     \
        key, CONFIG_BOOL, offsetof(struct config, field), fallback, 0, 1, 1, "false true" \
    }
#define CHOICE(key, field, choices)                                             \
    {                                                                           \
        key, CONFIG_CHOICE, offsetof(struct config, field), 0, 0, 0, 1, choices \
    }
#define SPECIAL(key)                             \
    {                                            \
        key, CONFIG_SPECIAL, 0, 0, 0, 0, 1, NULL \
    }

#define I32 INT32_MAX
#define I64 INT64_MAX

/* Defaults of Kafka 4.0; where two keys share a field the first sets the default. */
static const struct config_row config_rows[] = {
    INT("node.id", node_id, -1, 0, I32),
    INT("broker.id", node_id, -1, 0, I32),
    SPECIAL("process.roles"),
    SPECIAL("broker.rack"),
    SPECIAL("listeners"),
    SPECIAL("advertised.listeners"),
    SPECIAL("controller.listener.names"),
    SPECIAL("inter.broker.listener.name"),
    SPECIAL("listener.security.protocol.map"),
    SPECIAL("controller.quorum.voters"),
    SPECIAL("controller.quorum.bootstrap.servers"),
    SPECIAL("log.dirs"),
    SPECIAL("log.dir"),
    SPECIAL("metadata.log.dir"),
    INT("controller.quorum.election.timeout.ms", quorum_election_timeout_ms, 1000, 10, I32),
    INT("controller.quorum.fetch.timeout.ms", quorum_fetch_timeout_ms, 2000, 10, I32),
    INT("controller.quorum.election.backoff.max.ms", quorum_election_backoff_max_ms, 1000, 0, I32),
    INT("controller.quorum.append.linger.ms", quorum_append_linger_ms, 25, 0, I32),
    INT("controller.quorum.request.timeout.ms", quorum_request_timeout_ms, 2000, 10, I32),
    INT("controller.quorum.retry.backoff.ms", quorum_retry_backoff_ms, 20, 1, I32),
    BOOL("controller.quorum.auto.join.enable", quorum_auto_join_enable, 0),
    INT("gregor.feature.metadata.version.max", feature_metadata_version_max,
        CONFIG_METADATA_VERSION_READ, 17, CONFIG_METADATA_VERSION_READ),
    INT("gregor.feature.kraft.version.max", feature_kraft_version_max, 1, 0, 1),
    INT("gregor.feature.eligible.leader.replicas.version.max", feature_elr_version_max, 1, 0, 1),
    INT("gregor.feature.group.version.max", feature_group_version_max, 1, 0, 1),
    INT("metadata.max.idle.interval.ms", metadata_max_idle_interval_ms, 500, 0, I32),
    INT("metadata.log.max.record.bytes.between.snapshots", metadata_snapshot_bytes, 20971520, 1,
        I64),
    INT("metadata.log.max.snapshot.interval.ms", metadata_snapshot_interval_ms, 3600000, 0, I64),
    INT("metadata.max.retention.bytes", metadata_retention_bytes, 104857600, -1, I64),
    INT("metadata.max.retention.ms", metadata_retention_ms, 604800000, -1, I64),
    INT("metadata.log.segment.bytes", metadata_segment_bytes, 1073741824, 12, I32),
    INT("metadata.log.segment.ms", metadata_segment_ms, 604800000, 1, I64),
    INT("broker.heartbeat.interval.ms", broker_heartbeat_interval_ms, 2000, 10, I32),
    INT("broker.session.timeout.ms", broker_session_timeout_ms, 9000, 100, I32),
    INT("initial.broker.registration.timeout.ms", initial_broker_registration_timeout_ms, 60000, 1,
        I32),
    INT("controlled.shutdown.max.wait.ms", controlled_shutdown_max_wait_ms, 30000, 0, I32),
    INT("replica.lag.time.max.ms", replica_lag_time_max_ms, 30000, 1, I64),
    INT("replica.fetch.wait.max.ms", replica_fetch_wait_max_ms, 500, 0, I32),
    INT("replica.fetch.min.bytes", replica_fetch_min_bytes, 1, 0, I32),
    INT("replica.fetch.max.bytes", replica_fetch_max_bytes, 1048576, 1, I32),
    INT("replica.fetch.response.max.bytes", replica_fetch_response_max_bytes, 10485760, 1, I32),
    CHOICE("replica.selector.class", replica_selector,
           "org.apache.kafka.common.replica.LeaderSelector "
           "org.apache.kafka.common.replica.RackAwareReplicaSelector"),
    INT("replica.fetch.backoff.ms", replica_fetch_backoff_ms, 1000, 0, I32),
    INT("leader.replication.throttled.rate", leader_throttled_rate, I64, 0, I64),
    INT("follower.replication.throttled.rate", follower_throttled_rate, I64, 0, I64),
    BOOL("auto.leader.rebalance.enable", auto_leader_rebalance_enable, 1),
    INT("leader.imbalance.check.interval.seconds", leader_imbalance_check_interval_seconds, 300, 1,
        I32),
    INT("replica.high.watermark.checkpoint.interval.ms",
        replica_high_watermark_checkpoint_interval_ms, 5000, 1, I32),
    INT("replica.socket.timeout.ms", replica_socket_timeout_ms, 30000, 10, I32),
    INT("num.partitions", num_partitions, 1, 1, 10000),
    INT("default.replication.factor", default_replication_factor, 1, 1, INT16_MAX),
    INT("min.insync.replicas", min_insync_replicas, 1, 1, I32),
    BOOL("unclean.leader.election.enable", unclean_leader_election_enable, 0),
    BOOL("auto.create.topics.enable", auto_create_topics_enable, 1),
    INT("log.segment.bytes", log_segment_bytes, 1073741824, 1024, I32),
    INT("log.roll.ms", log_roll_ms, 604800000, 1, I64),
    SCALED("log.roll.hours", log_roll_ms, 3600000),
    INT("log.retention.ms", log_retention_ms, 604800000, -1, I64),
    SCALED("log.retention.minutes", log_retention_ms, 60000),
    SCALED("log.retention.hours", log_retention_ms, 3600000),
    INT("log.retention.bytes", log_retention_bytes, -1, -1, I64),
    INT("log.retention.check.interval.ms", log_retention_check_interval_ms, 300000, 1, I64),
    INT("log.segment.delete.delay.ms", log_segment_delete_delay_ms, 60000, 0, I64),
    INT("log.message.timestamp.before.max.ms", log_message_timestamp_before_max_ms, I64, 0, I64),
    INT("log.message.timestamp.after.max.ms", log_message_timestamp_after_max_ms, 3600000, 0, I64),
    INT("log.index.interval.bytes", log_index_interval_bytes, 4096, 0, I32),
    INT("log.index.size.max.bytes", log_index_size_max_bytes, 10485760, 64, I32),
    INT("message.max.bytes", message_max_bytes, 1048588, 61, I32),
    CHOICE("log.message.timestamp.type", log_message_timestamp_type, "CreateTime LogAppendTime"),
    CHOICE("log.cleanup.policy", log_cleanup_policy,
           "delete compact compact,delete delete,compact"),
    BOOL("log.cleaner.enable", log_cleaner_enable, 1),
    INT("log.cleaner.dedupe.buffer.size", log_cleaner_dedupe_buffer_size, 134217728, 1536, I64),
    INT("log.cleaner.backoff.ms", log_cleaner_backoff_ms, 15000, 1, I64),
    RATIO("log.cleaner.min.cleanable.ratio", log_cleaner_min_cleanable_ratio, 500000),
    INT("log.cleaner.delete.retention.ms", log_cleaner_delete_retention_ms, 86400000, 0, I64),
    INT("log.cleaner.min.compaction.lag.ms", log_cleaner_min_compaction_lag_ms, 0, 0, I64),
    INT("log.cleaner.max.compaction.lag.ms", log_cleaner_max_compaction_lag_ms, I64, 1, I64),
    INT("log.flush.interval.messages", log_flush_interval_messages, I64, 1, I64),
    INT("log.flush.interval.ms", log_flush_interval_ms, I64, 0, I64),
    INT("log.flush.scheduler.interval.ms", log_flush_scheduler_interval_ms, I64, 1, I64),
    INT("producer.id.expiration.ms", producer_id_expiration_ms, 86400000, 1, I64),
    INT("producer.id.expiration.check.interval.ms", producer_id_expiration_check_interval_ms,
        600000, 1, I64),
    BOOL("gregor.durable.acks", gregor_durable_acks, 0),
    INT("gregor.recovery.bytes", gregor_recovery_bytes, 20971520, 1024, 1 << 30),
    INT("gregor.scrub.interval.ms", gregor_scrub_interval_ms, 604800000, 0, I64),
    INT("gregor.scrub.max.bytes.per.second", gregor_scrub_max_bytes_per_second, 10485760, 1024,
        I64),
    INT("group.min.session.timeout.ms", group_min_session_timeout_ms, 6000, 1, I32),
    INT("group.max.session.timeout.ms", group_max_session_timeout_ms, 1800000, 1, I32),
    INT("group.initial.rebalance.delay.ms", group_initial_rebalance_delay_ms, 3000, 0, I32),
    INT("group.max.size", group_max_size, I32, 1, I32),
    CHOICE("group.coordinator.rebalance.protocols", group_rebalance_protocols,
           "classic,consumer consumer,classic classic"),
    INT("group.consumer.session.timeout.ms", group_consumer_session_timeout_ms, 45000, 1, I32),
    INT("group.consumer.heartbeat.interval.ms", group_consumer_heartbeat_interval_ms, 5000, 1, I32),
    INT("group.consumer.max.size", group_consumer_max_size, I32, 1, I32),
    CHOICE("group.consumer.assignors", group_consumer_assignors,
           "uniform,range range,uniform uniform range"),
    CHOICE("group.consumer.migration.policy", group_consumer_migration_policy,
           "bidirectional upgrade downgrade disabled"),
    INT("offsets.topic.num.partitions", offsets_topic_num_partitions, 50, 1, 10000),
    INT("offsets.topic.replication.factor", offsets_topic_replication_factor, -1, 1, INT16_MAX),
    INT("offsets.topic.segment.bytes", offsets_topic_segment_bytes, 104857600, 1024, I32),
    INT("offsets.commit.timeout.ms", offsets_commit_timeout_ms, 5000, 1, I32),
    INT("offsets.retention.minutes", offsets_retention_minutes, 10080, 1, I32),
    INT("offsets.retention.check.interval.ms", offsets_retention_check_interval_ms, 600000, 1, I64),
    INT("offsets.load.buffer.size", offsets_load_buffer_size, 5242880, 1024, I32),
    INT("offset.metadata.max.bytes", offset_metadata_max_bytes, 4096, 0, I32),
    INT("socket.request.max.bytes", socket_request_max_bytes, 104857600, 1024, I32),
    INT("fetch.max.bytes", fetch_max_bytes, 57671680, 1024, I32),
    INT("max.incremental.fetch.session.cache.slots", fetch_session_slots, 1000, 0, 1000000),
    INT("max.connections", max_connections, 10000, 1, 1000000),
    INT("connections.max.idle.ms", connections_max_idle_ms, 600000, -I32, I64 / 1000000),
    INT("queued.max.requests", queued_max_requests, 500, 1, 1000000),
    INT("queued.max.request.bytes", queued_max_request_bytes, 268435456, 1048576, I64),
    INT("request.timeout.ms", request_timeout_ms, 30000, 1, I32),
};

/* Kafka's own keys that this broker knows and does not act on. Said at start, each by name. */
static const char config_known[] =
    "log.flush.offset.checkpoint.interval.ms num.network.threads num.io.threads "
    "background.threads num.recovery.threads.per.data.dir num.replica.fetchers "
    "socket.send.buffer.bytes socket.receive.buffer.bytes socket.listen.backlog.size "
    "log.cleaner.threads log.cleaner.io.buffer.size log.cleaner.io.buffer.load.factor "
    "log.cleaner.io.max.bytes.per.second log.flush.start.offset.checkpoint.interval.ms "
    "compression.type delete.topic.enable leader.imbalance.per.broker.percentage "
    "offsets.topic.compression.codec transaction.state.log.num.partitions "
    "transaction.state.log.replication.factor transaction.state.log.min.isr "
    "transaction.max.timeout.ms transactional.id.expiration.ms "
    "share.coordinator.state.topic.replication.factor share.coordinator.state.topic.min.isr "
    "sasl.enabled.mechanisms super.users authorizer.class.name ssl.client.auth "
    "controlled.shutdown.enable eligible.leader.replicas.enable";

_Static_assert(COUNT_OF(config_rows) <= 128, "config.given has a bit for each");

static int64_t *config_field(struct config *config, const struct config_row *row)
{
    return (int64_t *)(void *)((uint8_t *)config + row->field);
}

static const struct config_row *config_row(struct str key)
{
    for (uint32_t i = 0; i < COUNT_OF(config_rows); i++) {
        if (str_equal(key, str_of(config_rows[i].key))) return &config_rows[i];
    }
    return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static enum err config_int(struct config *config, const struct config_row *row, struct str value,
                           struct errmsg *error)
{
    int64_t number;

    if (!text_parse_i64(value, &number) || number < row->min || number > row->max) {
        char right[96];
        struct text text;

        text_init(&text, right, sizeof right);
        text_format(&text, "a whole number from %D to %D", row->min, row->max);
        return config_wrong(error, str_of(row->key), value, right);
    }
    /* Of several keys of one field that with the finer unit counts, wherever it stands. */
    for (uint32_t i = 0; i < COUNT_OF(config_rows); i++) {
        const struct config_row *other = &config_rows[i];

        if (other->type == CONFIG_INT && other->field == row->field && other->scale < row->scale &&
            (config->given[i / 64] >> (i % 64) & 1) != 0) {
            return ERR_NONE;
        }
    }
    config->given[(row - config_rows) / 64] |= UINT64_C(1) << ((row - config_rows) % 64);
    *config_field(config, row) = number < 0 ? number : number * row->scale;
    return ERR_NONE;
}

bool config_parse_ratio(struct str text, int64_t *millionths)
{
    int64_t value = 0;
    int64_t unit = 1000000;
    bool point = false;
    bool digits = false;

    for (uint32_t i = 0; i < text.length; i++) {
        char c = text.data[i];

        if (c == '.' && !point) {
            point = true;
        } else if (c < '0' || c > '9') {
            return false;
        } else {
            digits = true;
            if (point) unit /= 10;
            value = point ? value + (c - '0') * unit : value * 10 + (c - '0') * unit;
            if (value > 1000000) return false;
        }
    }
    *millionths = value;
    return digits;
}

static enum err config_ratio(struct config *config, const struct config_row *row, struct str value,
                             struct errmsg *error)
{
    int64_t millionths;

    if (!config_parse_ratio(value, &millionths))
        return config_wrong(error, str_of(row->key), value, "a number from 0 to 1, such as 0.5");
    config->given[(row - config_rows) / 64] |= UINT64_C(1) << ((row - config_rows) % 64);
    *config_field(config, row) = millionths;
    return ERR_NONE;
}

static enum err config_choice(struct config *config, const struct config_row *row, struct str value,
                              struct errmsg *error)
{
    struct str rest = str_of(row->choices);
    struct str choice;

    for (int64_t n = 0; config_next(&rest, ' ', &choice); n++) {
        if (!str_equal(choice, value)) continue;
        config->given[(row - config_rows) / 64] |= UINT64_C(1) << ((row - config_rows) % 64);
        *config_field(config, row) = n;
        return ERR_NONE;
    }
    return config_wrong(error, str_of(row->key), value, row->choices);
}

/* ---- unknown keys ---------------------------------------------------------------------------- */

/* Edit distance, bounded by the longest key of interest; small enough for a start-up warning. */
static uint32_t config_distance(struct str a, struct str b)
{
    uint32_t row[96];

    if (a.length >= COUNT_OF(row) || b.length >= COUNT_OF(row)) return UINT32_MAX;
    for (uint32_t j = 0; j <= b.length; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a.length; i++) {
        uint32_t diagonal = row[0];

        row[0] = i;
        for (uint32_t j = 1; j <= b.length; j++) {
            uint32_t above = row[j];
            uint32_t best = diagonal + (a.data[i - 1] == b.data[j - 1] ? 0 : 1);

            if (above + 1 < best) best = above + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[b.length];
}

static void config_unknown(struct config_warnings *warnings, struct str key)
{
    struct str rest = str_of(config_known);
    struct str known;
    const char *nearest = NULL;
    uint32_t distance = 4; /* farther is no help */
    struct text text = config_warn(warnings);

    while (config_next(&rest, ' ', &known)) {
        if (str_equal(key, known)) {
            text_format(&text, "%S: known, but not honoured by this version", key);
            return;
        }
    }
    for (uint32_t i = 0; i < COUNT_OF(config_rows); i++) {
        uint32_t d = config_distance(key, str_of(config_rows[i].key));

        if (d < distance) {
            distance = d;
            nearest = config_rows[i].key;
        }
    }
    text_format(&text, "%S: unknown key, ignored", key);
    if (nearest != NULL) text_format(&text, "; did you mean %s?", nearest);
}

/* ---- public ---------------------------------------------------------------------------------- */

enum err config_set(struct config *config, struct str key, struct str value,
                    struct config_warnings *warnings, struct errmsg *error)
{
    const struct config_row *row = config_row(key);

    if (row == NULL) {
        config_unknown(warnings, key);
        return ERR_NONE;
    }
    switch (row->type) {
    case CONFIG_INT: return config_int(config, row, value, error);
    case CONFIG_RATIO: return config_ratio(config, row, value, error);
    case CONFIG_BOOL:
    case CONFIG_CHOICE: return config_choice(config, row, value, error);
    case CONFIG_SPECIAL: return config_special(config, key, value, error);
    }
    IMPOSSIBLE("type of a row");
}

void config_kafka_defaults(struct config *config)
{
    *config = (struct config){.node_id = -1};
    for (uint32_t i = COUNT_OF(config_rows); i-- > 0;) {
        const struct config_row *row = &config_rows[i];

        if (row->type != CONFIG_SPECIAL && row->scale == 1) {
            *config_field(config, row) = row->fallback;
        }
    }
}

void config_default(struct config *config)
{
    config_kafka_defaults(config);
    config->node_id = 1;
    config->roles = CONFIG_ROLE_BROKER | CONFIG_ROLE_CONTROLLER;
    config->listeners[0] = (struct config_endpoint){"PLAINTEXT", "127.0.0.1", 9092};
    config->listener_count = 1;
    config_add_controller_listener(config);
    (void)config_copy(config->log_dirs[0], sizeof config->log_dirs[0], STR("gregor-data"));
    config->log_dir_count = 1;
}

static void config_print(struct text *text, const struct config_row *row, int64_t number)
{
    struct str rest = str_of(row->choices != NULL ? row->choices : "");
    struct str choice = STR_NULL;

    if (row->type == CONFIG_RATIO) {
        text_format(text, "%D.", number / 1000000);
        number %= 1000000;
        for (int64_t unit = 100000; unit > 0; number %= unit, unit /= 10) {
            text_i64(text, number / unit);
            if (number % unit == 0) return;
        }
        return;
    }
    if (row->choices == NULL) {
        text_i64(text, number);
        return;
    }
    for (int64_t at = 0; at <= number; at++)
        (void)config_next(&rest, ' ', &choice);
    text_str(text, choice);
}

bool config_key(const struct config *config, uint32_t n, struct str *key, struct errmsg *value)
{
    struct text text;
    int64_t number;

    for (uint32_t i = 0; i < COUNT_OF(config_rows); i++) {
        const struct config_row *row = &config_rows[i];

        if (row->type == CONFIG_SPECIAL || row->scale != 1) continue;
        if (n-- > 0) continue;
        *key = str_of(row->key);
        memcpy(&number, (const uint8_t *)config + row->field, sizeof number);
        text_init(&text, value->text, sizeof value->text);
        config_print(&text, row, number);
        return true;
    }
    return false;
}

enum config_type config_describe(const struct config *config, struct str key, struct errmsg *value,
                                 bool *given)
{
    const struct config_row *row = config_row(key);
    struct text text;
    int64_t number;
    bool any = false;

    ASSERT(row != NULL && row->type != CONFIG_SPECIAL);
    for (uint32_t i = 0; i < COUNT_OF(config_rows); i++) {
        bool set = (config->given[i / 64] >> (i % 64) & 1) != 0;

        if (config_rows[i].type != CONFIG_SPECIAL && config_rows[i].field == row->field)
            any = any || set;
    }
    memcpy(&number, (const uint8_t *)config + row->field, sizeof number);
    if (given == NULL) number = row->fallback;
    if (given != NULL) *given = any;
    text_init(&text, value->text, sizeof value->text);
    config_print(&text, row, number);
    return row->type;
}
