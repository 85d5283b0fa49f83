/* Gregor's client library: a producer, a consumer and an administrator for any cluster that speaks
 * Kafka's protocol. C11 or C++; no thread of the caller is needed, no global state is kept.
 *
 *     struct gregor_config *config = gregor_config_new();
 *     gregor_config_set(config, "bootstrap.servers", "localhost:9092", why, sizeof why);
 *     struct gregor_client *client = gregor_client_new();
 *     struct gregor_producer *producer = gregor_producer_new(client, config, why, sizeof why);
 *     gregor_producer_send(producer, &(struct gregor_record){.topic = "t", .partition = -1,
 *                          .value = "hello", .value_length = 5}, NULL, NULL);
 *     gregor_producer_close(producer, 10000);
 *
 * A client is an event loop with any number of producers, consumers and administrators on it. It
 * moves only inside calls of this library. Whoever has a loop of his own does, for ever:
 *
 *     struct pollfd fd = {gregor_fd(client), POLLIN, 0};
 *     poll(&fd, 1, gregor_timeout_ms(client));
 *     gregor_poll(client, 0);
 *
 * Rules
 * - One thread at a time uses a client and what is on it; different clients are independent.
 * - Callbacks are called from inside gregor_poll() and from calls that block (those with a
 * timeout),
 *   never from anywhere else. Inside a callback of a delivery or a commit what blocks is refused
 *   with GREGOR_ERR_BAD_STATE; inside one of a rebalance commits are fine.
 * - What is given to a call is copied before it returns, where it is needed longer.
 * - Times are milliseconds. A timeout of -1 waits as long as it takes.
 * - Functions that return int give 0 or a code of enum gregor_error: Kafka's numbers and names, and
 *   a band of local ones below -100. gregor_error_name() tells the name.
 * - Memory is bounded: buffer.memory and records per producer, fetched bytes per consumer
 *   (gregor_client_new()). */
#ifndef GREGOR_H
#define GREGOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

#define GREGOR_VERSION "0.1.0"

struct gregor_config;
struct gregor_client;
struct gregor_producer;
struct gregor_consumer;
struct gregor_admin;

/* ---- errors ---------------------------------------------------------------------------------- */

enum gregor_error {
    GREGOR_OK = 0,
    GREGOR_ERR_CANCELED = -200,
    GREGOR_ERR_EOF = -199,
    GREGOR_ERR_CONNECTION_REFUSED = -198,
    GREGOR_ERR_CONNECTION_RESET = -197,
    GREGOR_ERR_TIMED_OUT = -196,
    GREGOR_ERR_ADDRESS_IN_USE = -195,
    GREGOR_ERR_ADDRESS_UNKNOWN = -194,
    GREGOR_ERR_NOT_FOUND = -193,
    GREGOR_ERR_EXISTS = -192,
    GREGOR_ERR_IO = -191,
    GREGOR_ERR_NO_SPACE = -190,
    GREGOR_ERR_NO_MEMORY = -189,
    GREGOR_ERR_TOO_MANY = -188,
    GREGOR_ERR_ACCESS = -187,
    GREGOR_ERR_MALFORMED = -186,
    GREGOR_ERR_TOO_LARGE = -185,
    GREGOR_ERR_UNSUPPORTED = -184,
    GREGOR_ERR_BAD_STATE = -183,
    GREGOR_ERR_BAD_CONFIG = -182,
    GREGOR_ERR_DAMAGED = -181,
    GREGOR_ERR_LOCKED = -180,
    GREGOR_ERR_UNKNOWN_SERVER_ERROR = -1,
    GREGOR_ERR_OFFSET_OUT_OF_RANGE = 1,
    GREGOR_ERR_CORRUPT_MESSAGE = 2,
    GREGOR_ERR_UNKNOWN_TOPIC_OR_PARTITION = 3,
    GREGOR_ERR_INVALID_FETCH_SIZE = 4,
    GREGOR_ERR_LEADER_NOT_AVAILABLE = 5,
    GREGOR_ERR_NOT_LEADER_OR_FOLLOWER = 6,
    GREGOR_ERR_REQUEST_TIMED_OUT = 7,
    GREGOR_ERR_BROKER_NOT_AVAILABLE = 8,
    GREGOR_ERR_REPLICA_NOT_AVAILABLE = 9,
    GREGOR_ERR_MESSAGE_TOO_LARGE = 10,
    GREGOR_ERR_STALE_CONTROLLER_EPOCH = 11,
    GREGOR_ERR_OFFSET_METADATA_TOO_LARGE = 12,
    GREGOR_ERR_NETWORK_EXCEPTION = 13,
    GREGOR_ERR_COORDINATOR_LOAD_IN_PROGRESS = 14,
    GREGOR_ERR_COORDINATOR_NOT_AVAILABLE = 15,
    GREGOR_ERR_NOT_COORDINATOR = 16,
    GREGOR_ERR_INVALID_TOPIC_EXCEPTION = 17,
    GREGOR_ERR_RECORD_LIST_TOO_LARGE = 18,
    GREGOR_ERR_NOT_ENOUGH_REPLICAS = 19,
    GREGOR_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20,
    GREGOR_ERR_INVALID_REQUIRED_ACKS = 21,
    GREGOR_ERR_ILLEGAL_GENERATION = 22,
    GREGOR_ERR_INCONSISTENT_GROUP_PROTOCOL = 23,
    GREGOR_ERR_INVALID_GROUP_ID = 24,
    GREGOR_ERR_UNKNOWN_MEMBER_ID = 25,
    GREGOR_ERR_INVALID_SESSION_TIMEOUT = 26,
    GREGOR_ERR_REBALANCE_IN_PROGRESS = 27,
    GREGOR_ERR_INVALID_COMMIT_OFFSET_SIZE = 28,
    GREGOR_ERR_TOPIC_AUTHORIZATION_FAILED = 29,
    GREGOR_ERR_GROUP_AUTHORIZATION_FAILED = 30,
    GREGOR_ERR_CLUSTER_AUTHORIZATION_FAILED = 31,
    GREGOR_ERR_INVALID_TIMESTAMP = 32,
    GREGOR_ERR_UNSUPPORTED_SASL_MECHANISM = 33,
    GREGOR_ERR_ILLEGAL_SASL_STATE = 34,
    GREGOR_ERR_UNSUPPORTED_VERSION = 35,
    GREGOR_ERR_TOPIC_ALREADY_EXISTS = 36,
    GREGOR_ERR_INVALID_PARTITIONS = 37,
    GREGOR_ERR_INVALID_REPLICATION_FACTOR = 38,
    GREGOR_ERR_INVALID_REPLICA_ASSIGNMENT = 39,
    GREGOR_ERR_INVALID_CONFIG = 40,
    GREGOR_ERR_NOT_CONTROLLER = 41,
    GREGOR_ERR_INVALID_REQUEST = 42,
    GREGOR_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43,
    GREGOR_ERR_POLICY_VIOLATION = 44,
    GREGOR_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45,
    GREGOR_ERR_DUPLICATE_SEQUENCE_NUMBER = 46,
    GREGOR_ERR_INVALID_PRODUCER_EPOCH = 47,
    GREGOR_ERR_INVALID_TXN_STATE = 48,
    GREGOR_ERR_INVALID_PRODUCER_ID_MAPPING = 49,
    GREGOR_ERR_INVALID_TRANSACTION_TIMEOUT = 50,
    GREGOR_ERR_CONCURRENT_TRANSACTIONS = 51,
    GREGOR_ERR_TRANSACTION_COORDINATOR_FENCED = 52,
    GREGOR_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
    GREGOR_ERR_SECURITY_DISABLED = 54,
    GREGOR_ERR_OPERATION_NOT_ATTEMPTED = 55,
    GREGOR_ERR_KAFKA_STORAGE_ERROR = 56,
    GREGOR_ERR_LOG_DIR_NOT_FOUND = 57,
    GREGOR_ERR_SASL_AUTHENTICATION_FAILED = 58,
    GREGOR_ERR_UNKNOWN_PRODUCER_ID = 59,
    GREGOR_ERR_REASSIGNMENT_IN_PROGRESS = 60,
    GREGOR_ERR_DELEGATION_TOKEN_AUTH_DISABLED = 61,
    GREGOR_ERR_DELEGATION_TOKEN_NOT_FOUND = 62,
    GREGOR_ERR_DELEGATION_TOKEN_OWNER_MISMATCH = 63,
    GREGOR_ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64,
    GREGOR_ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65,
    GREGOR_ERR_DELEGATION_TOKEN_EXPIRED = 66,
    GREGOR_ERR_INVALID_PRINCIPAL_TYPE = 67,
    GREGOR_ERR_NON_EMPTY_GROUP = 68,
    GREGOR_ERR_GROUP_ID_NOT_FOUND = 69,
    GREGOR_ERR_FETCH_SESSION_ID_NOT_FOUND = 70,
    GREGOR_ERR_INVALID_FETCH_SESSION_EPOCH = 71,
    GREGOR_ERR_LISTENER_NOT_FOUND = 72,
    GREGOR_ERR_TOPIC_DELETION_DISABLED = 73,
    GREGOR_ERR_FENCED_LEADER_EPOCH = 74,
    GREGOR_ERR_UNKNOWN_LEADER_EPOCH = 75,
    GREGOR_ERR_UNSUPPORTED_COMPRESSION_TYPE = 76,
    GREGOR_ERR_STALE_BROKER_EPOCH = 77,
    GREGOR_ERR_OFFSET_NOT_AVAILABLE = 78,
    GREGOR_ERR_MEMBER_ID_REQUIRED = 79,
    GREGOR_ERR_PREFERRED_LEADER_NOT_AVAILABLE = 80,
    GREGOR_ERR_GROUP_MAX_SIZE_REACHED = 81,
    GREGOR_ERR_FENCED_INSTANCE_ID = 82,
    GREGOR_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE = 83,
    GREGOR_ERR_ELECTION_NOT_NEEDED = 84,
    GREGOR_ERR_NO_REASSIGNMENT_IN_PROGRESS = 85,
    GREGOR_ERR_GROUP_SUBSCRIBED_TO_TOPIC = 86,
    GREGOR_ERR_INVALID_RECORD = 87,
    GREGOR_ERR_UNSTABLE_OFFSET_COMMIT = 88,
    GREGOR_ERR_THROTTLING_QUOTA_EXCEEDED = 89,
    GREGOR_ERR_PRODUCER_FENCED = 90,
    GREGOR_ERR_RESOURCE_NOT_FOUND = 91,
    GREGOR_ERR_DUPLICATE_RESOURCE = 92,
    GREGOR_ERR_UNACCEPTABLE_CREDENTIAL = 93,
    GREGOR_ERR_INCONSISTENT_VOTER_SET = 94,
    GREGOR_ERR_INVALID_UPDATE_VERSION = 95,
    GREGOR_ERR_FEATURE_UPDATE_FAILED = 96,
    GREGOR_ERR_PRINCIPAL_DESERIALIZATION_FAILURE = 97,
    GREGOR_ERR_SNAPSHOT_NOT_FOUND = 98,
    GREGOR_ERR_POSITION_OUT_OF_RANGE = 99,
    GREGOR_ERR_UNKNOWN_TOPIC_ID = 100,
    GREGOR_ERR_DUPLICATE_BROKER_REGISTRATION = 101,
    GREGOR_ERR_BROKER_ID_NOT_REGISTERED = 102,
    GREGOR_ERR_INCONSISTENT_TOPIC_ID = 103,
    GREGOR_ERR_INCONSISTENT_CLUSTER_ID = 104,
    GREGOR_ERR_TRANSACTIONAL_ID_NOT_FOUND = 105,
    GREGOR_ERR_FETCH_SESSION_TOPIC_ID_ERROR = 106,
    GREGOR_ERR_INELIGIBLE_REPLICA = 107,
    GREGOR_ERR_NEW_LEADER_ELECTED = 108,
    GREGOR_ERR_OFFSET_MOVED_TO_TIERED_STORAGE = 109,
    GREGOR_ERR_FENCED_MEMBER_EPOCH = 110,
    GREGOR_ERR_UNRELEASED_INSTANCE_ID = 111,
    GREGOR_ERR_UNSUPPORTED_ASSIGNOR = 112,
    GREGOR_ERR_STALE_MEMBER_EPOCH = 113,
    GREGOR_ERR_MISMATCHED_ENDPOINT_TYPE = 114,
    GREGOR_ERR_UNSUPPORTED_ENDPOINT_TYPE = 115,
    GREGOR_ERR_UNKNOWN_CONTROLLER_ID = 116,
    GREGOR_ERR_UNKNOWN_SUBSCRIPTION_ID = 117,
    GREGOR_ERR_TELEMETRY_TOO_LARGE = 118,
    GREGOR_ERR_INVALID_REGISTRATION = 119,
    GREGOR_ERR_TRANSACTION_ABORTABLE = 120,
    GREGOR_ERR_INVALID_RECORD_STATE = 121,
    GREGOR_ERR_SHARE_SESSION_NOT_FOUND = 122,
    GREGOR_ERR_INVALID_SHARE_SESSION_EPOCH = 123,
    GREGOR_ERR_FENCED_STATE_EPOCH = 124,
    GREGOR_ERR_INVALID_VOTER_KEY = 125,
    GREGOR_ERR_DUPLICATE_VOTER = 126,
    GREGOR_ERR_VOTER_NOT_FOUND = 127,
    GREGOR_ERR_INVALID_REGULAR_EXPRESSION = 128,
    GREGOR_ERR_REBOOTSTRAP_REQUIRED = 129,
    GREGOR_ERR_STREAMS_INVALID_TOPOLOGY = 130,
    GREGOR_ERR_STREAMS_INVALID_TOPOLOGY_EPOCH = 131,
    GREGOR_ERR_STREAMS_TOPOLOGY_FENCED = 132,
    GREGOR_ERR_SHARE_SESSION_LIMIT_REACHED = 133,
};

/* "NOT_LEADER_OR_FOLLOWER"; "UNKNOWN" for a code that is not in the list. Static. */
const char *gregor_error_name(int error);
/* A word of explanation, perhaps "". Static. */
const char *gregor_error_text(int error);
/* The same call may succeed later. */
bool gregor_error_retriable(int error);
const char *gregor_version(void);

/* ---- configuration --------------------------------------------------------------------------- */

/* Kafka's property names, for producers, consumers and administrators alike: a handle takes what
 * concerns it and leaves the rest. client/README.md lists them with their defaults. */
struct gregor_config *gregor_config_new(void); /* NULL: no memory */
void gregor_config_free(struct gregor_config *config);
/* GREGOR_ERR_BAD_CONFIG: an unknown key, a wrong value, a feature that is not there; `why` (may be
 * NULL) says which, and what would be right: "unknown property 'linger': did you mean
 * linger.ms?" */
int gregor_config_set(struct gregor_config *config, const char *key, const char *value, char *why,
                      size_t why_size);
/* What stands there, or the default; NULL: no such key, or no value. Until the next set. */
const char *gregor_config_get(const struct gregor_config *config, const char *key);
/* A file of key=value lines, # and ! begin comments. `why` names the line. */
int gregor_config_load(struct gregor_config *config, const char *path, char *why, size_t why_size);

/* ---- the loop -------------------------------------------------------------------------------- */

struct gregor_client *gregor_client_new(void); /* NULL: no memory, no descriptors */
/* The same with a bound for all bytes that are sent or fetched and not yet gone (512 MiB). */
struct gregor_client *gregor_client_new_sized(size_t bytes);
/* Drops what is still open on it, as a crash would: close producers and consumers first. */
void gregor_client_free(struct gregor_client *client);
/* Readable when gregor_poll() has something to do. Never read it. */
int gregor_fd(struct gregor_client *client);
/* When gregor_poll() wants to be called at the latest; -1: whenever the descriptor is readable. Ask
 * right before you wait. */
int gregor_timeout_ms(struct gregor_client *client);
/* Does what is due, waiting at most so long until a callback could be made. Returns how many
 * callbacks were made. */
int gregor_poll(struct gregor_client *client, int timeout_ms);

/* ---- producer -------------------------------------------------------------------------------- */

struct gregor_header {
    const char *key; /* of a consumed record: not terminated */
    size_t key_length;
    const void *value; /* NULL: null */
    size_t value_length;
};

struct gregor_record {
    const char *topic;
    int32_t partition; /* -1: the partitioner decides */
    int64_t timestamp; /* 0 or less: now */
    const void *key;   /* NULL: null */
    size_t key_length;
    const void *value; /* NULL: null */
    size_t value_length;
    const struct gregor_header *headers;
    size_t headers_count;
};

/* How a record ended. */
struct gregor_delivery {
    int error;    /* 0: it is in the log */
    bool unclear; /* error, but it may be in the log all the same */
    const char *topic;
    int32_t partition; /* -1: it never had one */
    int64_t offset;    /* -1: not told (acks=0) */
    int64_t timestamp;
    void *context;
};
typedef void gregor_delivered(const struct gregor_delivery *delivery);

/* NULL: `why` (may be NULL) says what is wrong with the configuration. */
struct gregor_producer *gregor_producer_new(struct gregor_client *client,
                                            const struct gregor_config *config, char *why,
                                            size_t why_size);
/* Takes the record; `delivered` (NULL: fire and forget) is called once, with `context`. When there
 * is no room it waits, at most max.block.ms, and delivers other records meanwhile; then
 * GREGOR_ERR_TOO_MANY. Any error: it was not taken, nothing is called. */
int gregor_producer_send(struct gregor_producer *producer, const struct gregor_record *record,
                         gregor_delivered *delivered, void *context);
/* The same, never waiting: GREGOR_ERR_TOO_MANY at once when there is no room. */
int gregor_producer_try_send(struct gregor_producer *producer, const struct gregor_record *record,
                             gregor_delivered *delivered, void *context);
/* Waits until it has ended: the result, and how (`delivery` may be NULL). */
int gregor_producer_send_sync(struct gregor_producer *producer, const struct gregor_record *record,
                              struct gregor_delivery *delivery);
/* Sends without lingering and waits until everything has ended. GREGOR_ERR_TIMED_OUT. */
int gregor_producer_flush(struct gregor_producer *producer, int timeout_ms);
/* Flushes, ends and frees it. What has not ended in time ends with GREGOR_ERR_CANCELED. */
int gregor_producer_close(struct gregor_producer *producer, int timeout_ms);

/* Decides for records without a partition. Not in [0, partitions): the record fails. With NULL the
 * one of the configuration. Before the first record. */
typedef int32_t gregor_partitioner(void *context, const char *topic, const void *key,
                                   size_t key_length, const void *value, size_t value_length,
                                   int32_t partitions);
int gregor_producer_set_partitioner(struct gregor_producer *producer,
                                    gregor_partitioner *partitioner, void *context);

/* What sees every record before it is serialized, and every end before its callback; in the order
 * they were added. on_send may point fields elsewhere (valid until the send returns). */
struct gregor_interceptor {
    void (*on_send)(void *context, struct gregor_record *record);
    void (*on_delivery)(void *context, const struct gregor_delivery *delivery);
    void *context;
};
enum { GREGOR_INTERCEPTORS_MAX = 8 };
int gregor_producer_add_interceptor(struct gregor_producer *producer,
                                    const struct gregor_interceptor *interceptor);

/* Makes bytes of the caller's objects: what record.key or record.value points to. The bytes stay
 * until the next call. An error of it is that of the send. NULL: they are bytes already. */
struct gregor_serializer {
    int (*serialize)(void *context, const char *topic, const void *object, size_t length,
                     const void **bytes, size_t *bytes_length);
    void *context;
};
void gregor_producer_set_serializers(struct gregor_producer *producer,
                                     const struct gregor_serializer *key,
                                     const struct gregor_serializer *value);

struct gregor_producer_metrics {
    uint64_t records; /* taken; the three below are how they ended */
    uint64_t delivered;
    uint64_t failed;
    uint64_t unclear;
    uint64_t pending;       /* not ended */
    uint64_t waiting;       /* of these: for metadata or memory */
    uint64_t requests;      /* sent */
    uint64_t batches;       /* in them, each attempt */
    uint64_t batch_bytes;   /* of these, compressed */
    uint64_t retries;       /* batches that came back */
    uint64_t splits;        /* batches cut in two */
    uint64_t buffer_used;   /* bytes of buffer.memory */
    uint64_t requests_open; /* without an answer */
};
void gregor_producer_get_metrics(const struct gregor_producer *producer,
                                 struct gregor_producer_metrics *metrics);
/* The known number of partitions of a topic; waits for it. -1: *error says why. */
int32_t gregor_producer_partitions(struct gregor_producer *producer, const char *topic,
                                   int timeout_ms, int *error);

/* ---- consumer -------------------------------------------------------------------------------- */

struct gregor_partition {
    const char *topic;
    int32_t partition;
    int64_t offset;       /* where one is asked for or told; -1: none */
    int32_t leader_epoch; /* of the record before the offset; -1: not known */
    const char *metadata; /* of a commit; NULL: "" */
};

/* A record that was read. Points into the batch. */
struct gregor_consumed {
    const char *topic;
    int32_t partition;
    int32_t leader_epoch;
    int64_t offset;
    int64_t timestamp;
    const void *key; /* NULL: null */
    size_t key_length;
    const void *value;
    size_t value_length;
    uint32_t headers_count;
    const void *headers; /* for gregor_consumed_header() */
    size_t headers_length;
};

/* Records of one poll, in offset order within each partition. */
struct gregor_batch {
    size_t count;
    const struct gregor_consumed *records;
};

enum gregor_rebalance {
    GREGOR_ASSIGNED, /* new ones: seek here if you like */
    GREGOR_REVOKED,  /* about to go: commit here if you like */
    GREGOR_LOST,     /* gone: others have them already */
};
typedef void gregor_rebalanced(void *context, struct gregor_consumer *consumer,
                               enum gregor_rebalance what,
                               const struct gregor_partition *partitions, size_t count);

struct gregor_consumer *gregor_consumer_new(struct gregor_client *client,
                                            const struct gregor_config *config, char *why,
                                            size_t why_size);
/* Commits (enable.auto.commit), leaves the group, frees. Release all batches first. */
int gregor_consumer_close(struct gregor_consumer *consumer, int timeout_ms);

/* What sees the records of every poll before it returns them, in the order they were added. It may
 * point keys and values elsewhere (valid until the batch is released), as a deserializer would. */
struct gregor_consumer_interceptor {
    void (*on_consume)(void *context, struct gregor_consumed *records, size_t count);
    void *context;
};
int gregor_consumer_add_interceptor(struct gregor_consumer *consumer,
                                    const struct gregor_consumer_interceptor *interceptor);
/* Before subscribing. */
void gregor_consumer_on_rebalance(struct gregor_consumer *consumer, gregor_rebalanced *rebalanced,
                                  void *context);
/* As a member of the group (group.id); replaces what was subscribed. */
int gregor_consumer_subscribe(struct gregor_consumer *consumer, const char *const *topics,
                              size_t count);
/* All topics whose whole name matches, internal ones left out: literals, . [a-z] * + ? ( | ). With
 * group.protocol=consumer the coordinator resolves it, where it can (KIP-848). */
int gregor_consumer_subscribe_pattern(struct gregor_consumer *consumer, const char *pattern);
/* By hand; replaces what was assigned. `offset` >= 0 begins there; else at the group's offset, or
 * where auto.offset.reset says. */
int gregor_consumer_assign(struct gregor_consumer *consumer,
                           const struct gregor_partition *partitions, size_t count);
/* What it has now; returns how many there are, `partitions` holds at most `max` of them. Names are
 * valid until the consumer is closed; offset is the position. */
size_t gregor_consumer_assignment(struct gregor_consumer *consumer,
                                  struct gregor_partition *partitions, size_t max);

/* The next records, at most max.poll.records, waiting at most so long; NULL: none, or *error (may
 * be NULL) says why. Says at the same time that what the last poll returned is processed. The
 * records are not copied: they stay until gregor_batch_release(), in any order, and count against
 * the
 * bytes of the client until then. */
struct gregor_batch *gregor_consumer_poll(struct gregor_consumer *consumer, int timeout_ms,
                                          int *error);
void gregor_batch_release(struct gregor_batch *batch);
/* The n-th header. GREGOR_ERR_NOT_FOUND, GREGOR_ERR_CORRUPT_MESSAGE. */
int gregor_consumed_header(const struct gregor_consumed *record, uint32_t n,
                           struct gregor_header *header);
/* After an error of a poll: the partition that cannot go on, and where. Seek it, or leave it. */
bool gregor_consumer_failed(struct gregor_consumer *consumer, struct gregor_partition *partition);

#define GREGOR_BEGINNING INT64_C(-2)
#define GREGOR_END       INT64_C(-1)
/* The next record that is returned is the first at or above `offset`, or from GREGOR_BEGINNING,
 * GREGOR_END. GREGOR_ERR_NOT_FOUND: not one of its partitions. */
int gregor_consumer_seek(struct gregor_consumer *consumer, const char *topic, int32_t partition,
                         int64_t offset);
/* The first record at or after a time; the end when there is none. */
int gregor_consumer_seek_time(struct gregor_consumer *consumer, const char *topic,
                              int32_t partition, int64_t timestamp);
int gregor_consumer_pause(struct gregor_consumer *consumer, const char *topic, int32_t partition);
int gregor_consumer_resume(struct gregor_consumer *consumer, const char *topic, int32_t partition);
/* Offset of the next record that will be returned. */
int gregor_consumer_position(struct gregor_consumer *consumer, const char *topic, int32_t partition,
                             int timeout_ms, int64_t *offset);
/* Last known end of a partition, and records to it; -1: not known yet. */
int64_t gregor_consumer_lag(struct gregor_consumer *consumer, const char *topic, int32_t partition);

/* NULL: the positions of everything it has. */
int gregor_consumer_commit(struct gregor_consumer *consumer,
                           const struct gregor_partition *partitions, size_t count);
typedef void gregor_committed(void *context, int error);
int gregor_consumer_commit_async(struct gregor_consumer *consumer,
                                 const struct gregor_partition *partitions, size_t count,
                                 gregor_committed *committed, void *context);
/* What the group has committed; -1: nothing. */
int gregor_consumer_committed(struct gregor_consumer *consumer, const char *topic,
                              int32_t partition, int timeout_ms, int64_t *offset);

struct gregor_consumer_metrics {
    uint64_t records;    /* returned */
    uint64_t bytes;      /* of their keys and values */
    uint64_t polls;      /* that returned some */
    uint64_t rebalances; /* assignments taken over */
    uint64_t buffered;   /* fetched bytes that no poll returned yet */
    uint64_t batches_held;
    uint32_t partitions;
};
void gregor_consumer_get_metrics(const struct gregor_consumer *consumer,
                                 struct gregor_consumer_metrics *metrics);

/* ---- administration -------------------------------------------------------------------------- */

/* Each call waits for its answer, at most default.api.timeout.ms. Results are freed by
 * gregor_free(), as a whole. */
struct gregor_admin *gregor_admin_new(struct gregor_client *client,
                                      const struct gregor_config *config, char *why,
                                      size_t why_size);
void gregor_admin_close(struct gregor_admin *admin);
/* What the broker said about the latest error, or "". */
const char *gregor_admin_message(const struct gregor_admin *admin);
void gregor_free(void *result);

struct gregor_entry {
    const char *key;
    const char *value; /* NULL: take it away */
};

struct gregor_new_topic {
    const char *name;
    int32_t partitions;         /* 0: as the cluster is configured */
    int32_t replication_factor; /* 0: likewise */
    const struct gregor_entry *configs;
    size_t configs_count;
};
int gregor_admin_create_topic(struct gregor_admin *admin, const struct gregor_new_topic *topic);
int gregor_admin_create_partitions(struct gregor_admin *admin, const char *topic, int32_t total);
int gregor_admin_delete_topic(struct gregor_admin *admin, const char *topic);

struct gregor_partition_info {
    int32_t partition;
    int32_t leader; /* -1: none */
    int32_t leader_epoch;
    int error;
    const int32_t *replicas;
    size_t replicas_count;
    const int32_t *isr;
    size_t isr_count;
};
struct gregor_topic_info {
    const char *name;
    char id[24]; /* as Kafka prints it */
    bool internal;
    const struct gregor_partition_info *partitions; /* by number */
    size_t partitions_count;
};
struct gregor_topics {
    const struct gregor_topic_info *topics; /* by name */
    size_t count;
};
int gregor_admin_list_topics(struct gregor_admin *admin, struct gregor_topics **topics);
int gregor_admin_describe_topic(struct gregor_admin *admin, const char *topic,
                                struct gregor_topics **topics);

struct gregor_node {
    int32_t id;
    const char *host;
    int32_t port;
    const char *rack; /* NULL: none */
};
struct gregor_cluster {
    const char *id;
    int32_t controller; /* as the broker tells it */
    const struct gregor_node *nodes;
    size_t nodes_count;
};
int gregor_admin_describe_cluster(struct gregor_admin *admin, struct gregor_cluster **cluster);

enum gregor_resource { GREGOR_TOPIC = 2, GREGOR_BROKER = 4 };
struct gregor_setting {
    const char *key;
    const char *value; /* NULL: secret or none */
    int source;        /* 1 topic, 2 broker, 3 all brokers, 4 its file, 5 default */
    bool read_only;
};
struct gregor_settings {
    const struct gregor_setting *settings;
    size_t count;
};
int gregor_admin_describe_configs(struct gregor_admin *admin, enum gregor_resource type,
                                  const char *name, struct gregor_settings **settings);
int gregor_admin_alter_configs(struct gregor_admin *admin, enum gregor_resource type,
                               const char *name, const struct gregor_entry *changes, size_t count);

struct gregor_member {
    const char *id;
    const char *instance; /* NULL: dynamic */
    const char *client;
    const char *host;
};
struct gregor_group {
    const char *name;
    const char *state; /* "Stable", "Empty", ... */
    const char *type;  /* "classic", "consumer", or "" */
    const char *assignor;
    const struct gregor_member *members;
    size_t members_count;
};
struct gregor_groups {
    const struct gregor_group *groups; /* by name */
    size_t count;
};
int gregor_admin_list_groups(struct gregor_admin *admin, struct gregor_groups **groups);
int gregor_admin_describe_group(struct gregor_admin *admin, const char *group,
                                struct gregor_groups **groups);
int gregor_admin_delete_group(struct gregor_admin *admin, const char *group);

struct gregor_offsets {
    const struct gregor_partition *partitions;
    size_t count;
};
int gregor_admin_group_offsets(struct gregor_admin *admin, const char *group,
                               struct gregor_offsets **offsets);
/* Of a group without members. */
int gregor_admin_alter_group_offsets(struct gregor_admin *admin, const char *group,
                                     const struct gregor_partition *offsets, size_t count);

/* First offset at or after a time, or of GREGOR_BEGINNING, GREGOR_END; -1: there is none. */
int gregor_admin_offset(struct gregor_admin *admin, const char *topic, int32_t partition,
                        int64_t timestamp, int64_t *offset);
/* Everything below `before` (GREGOR_END: everything); *low (may be NULL) is the new beginning. */
int gregor_admin_delete_records(struct gregor_admin *admin, const char *topic, int32_t partition,
                                int64_t before, int64_t *low);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
