/* Every error of the house, one enum.
 *
 * -1 and above are Kafka's wire codes, unchanged (protocol.md 8): the one thing of Kafka that base
 * knows, so that one function can answer a local condition or a protocol outcome. The band
 * -200..-101 is local and never reaches a wire. Name, retriability and text come from this list;
 * there is no second table. */
#ifndef CLIENT_BASE_ERR_H
#define CLIENT_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

/* Must-use result. */
#define MUST_USE __attribute__((warn_unused_result))

enum err_retry {
    ERR_FINAL,          /* the same request again would fail again */
    ERR_RETRIABLE,      /* may succeed later */
    ERR_RETRIABLE_META, /* may succeed after a refresh of metadata */
};

/* X(name, code, retry, text) */
#define ERR_LIST(X)                                                                      \
    X(CANCELED, -200, ERR_FINAL, "the request was withdrawn, or its connection closed")  \
    X(EOF, -199, ERR_FINAL, "orderly end of a byte stream")                              \
    X(CONNECTION_REFUSED, -198, ERR_RETRIABLE, "")                                       \
    X(CONNECTION_RESET, -197, ERR_RETRIABLE, "")                                         \
    X(TIMED_OUT, -196, ERR_RETRIABLE, "a local deadline passed")                         \
    X(ADDRESS_IN_USE, -195, ERR_FINAL, "")                                               \
    X(ADDRESS_UNKNOWN, -194, ERR_FINAL,                                                  \
      "a name that does not resolve, an address that is not ours")                       \
    X(NOT_FOUND, -193, ERR_FINAL, "no such directory, or something else of that name")   \
    X(EXISTS, -192, ERR_FINAL, "file exists, directory not empty")                       \
    X(IO, -191, ERR_FINAL, "EIO: the device failed; not retriable")                      \
    X(NO_SPACE, -190, ERR_RETRIABLE, "no space left on the device")                      \
    X(NO_MEMORY, -189, ERR_RETRIABLE, "a pool, a budget or the region is used up")       \
    X(TOO_MANY, -188, ERR_FINAL, "a table at its stated maximum")                        \
    X(ACCESS, -187, ERR_FINAL, "permission denied, or a file system that is read-only")  \
    X(MALFORMED, -186, ERR_FINAL, "bytes that do not decode")                            \
    X(TOO_LARGE, -185, ERR_FINAL, "above a stated limit")                                \
    X(UNSUPPORTED, -184, ERR_FINAL, "not built in, or not known")                        \
    X(BAD_STATE, -183, ERR_FINAL, "not possible in the present state of the object")     \
    X(BAD_CONFIG, -182, ERR_FINAL, "a configuration that cannot be used")                \
    X(DAMAGED, -181, ERR_FINAL, "a checksum or chain that does not match: bytes rotted") \
    X(LOCKED, -180, ERR_FINAL, "another process holds the lock")                         \
    X(UNKNOWN_SERVER_ERROR, -1, ERR_FINAL, "")                                           \
    X(NONE, 0, ERR_FINAL, "")                                                            \
    X(OFFSET_OUT_OF_RANGE, 1, ERR_FINAL, "")                                             \
    X(CORRUPT_MESSAGE, 2, ERR_RETRIABLE, "")                                             \
    X(UNKNOWN_TOPIC_OR_PARTITION, 3, ERR_RETRIABLE_META, "")                             \
    X(INVALID_FETCH_SIZE, 4, ERR_FINAL, "")                                              \
    X(LEADER_NOT_AVAILABLE, 5, ERR_RETRIABLE_META, "")                                   \
    X(NOT_LEADER_OR_FOLLOWER, 6, ERR_RETRIABLE_META, "")                                 \
    X(REQUEST_TIMED_OUT, 7, ERR_RETRIABLE, "")                                           \
    X(BROKER_NOT_AVAILABLE, 8, ERR_FINAL, "")                                            \
    X(REPLICA_NOT_AVAILABLE, 9, ERR_RETRIABLE_META, "")                                  \
    X(MESSAGE_TOO_LARGE, 10, ERR_FINAL, "")                                              \
    X(STALE_CONTROLLER_EPOCH, 11, ERR_FINAL, "")                                         \
    X(OFFSET_METADATA_TOO_LARGE, 12, ERR_FINAL, "")                                      \
    X(NETWORK_EXCEPTION, 13, ERR_RETRIABLE_META, "")                                     \
    X(COORDINATOR_LOAD_IN_PROGRESS, 14, ERR_RETRIABLE, "")                               \
    X(COORDINATOR_NOT_AVAILABLE, 15, ERR_RETRIABLE, "")                                  \
    X(NOT_COORDINATOR, 16, ERR_RETRIABLE, "")                                            \
    X(INVALID_TOPIC_EXCEPTION, 17, ERR_FINAL, "")                                        \
    X(RECORD_LIST_TOO_LARGE, 18, ERR_FINAL, "")                                          \
    X(NOT_ENOUGH_REPLICAS, 19, ERR_RETRIABLE, "")                                        \
    X(NOT_ENOUGH_REPLICAS_AFTER_APPEND, 20, ERR_RETRIABLE, "")                           \
    X(INVALID_REQUIRED_ACKS, 21, ERR_FINAL, "")                                          \
    X(ILLEGAL_GENERATION, 22, ERR_FINAL, "")                                             \
    X(INCONSISTENT_GROUP_PROTOCOL, 23, ERR_FINAL, "")                                    \
    X(INVALID_GROUP_ID, 24, ERR_FINAL, "")                                               \
    X(UNKNOWN_MEMBER_ID, 25, ERR_FINAL, "")                                              \
    X(INVALID_SESSION_TIMEOUT, 26, ERR_FINAL, "")                                        \
    X(REBALANCE_IN_PROGRESS, 27, ERR_FINAL, "")                                          \
    X(INVALID_COMMIT_OFFSET_SIZE, 28, ERR_FINAL, "")                                     \
    X(TOPIC_AUTHORIZATION_FAILED, 29, ERR_FINAL, "")                                     \
    X(GROUP_AUTHORIZATION_FAILED, 30, ERR_FINAL, "")                                     \
    X(CLUSTER_AUTHORIZATION_FAILED, 31, ERR_FINAL, "")                                   \
    X(INVALID_TIMESTAMP, 32, ERR_FINAL, "")                                              \
    X(UNSUPPORTED_SASL_MECHANISM, 33, ERR_FINAL, "")                                     \
    X(ILLEGAL_SASL_STATE, 34, ERR_FINAL, "")                                             \
    X(UNSUPPORTED_VERSION, 35, ERR_FINAL, "")                                            \
    X(TOPIC_ALREADY_EXISTS, 36, ERR_FINAL, "")                                           \
    X(INVALID_PARTITIONS, 37, ERR_FINAL, "")                                             \
    X(INVALID_REPLICATION_FACTOR, 38, ERR_FINAL, "")                                     \
    X(INVALID_REPLICA_ASSIGNMENT, 39, ERR_FINAL, "")                                     \
    X(INVALID_CONFIG, 40, ERR_FINAL, "")                                                 \
    X(NOT_CONTROLLER, 41, ERR_RETRIABLE, "")                                             \
    X(INVALID_REQUEST, 42, ERR_FINAL, "")                                                \
    X(UNSUPPORTED_FOR_MESSAGE_FORMAT, 43, ERR_FINAL, "")                                 \
    X(POLICY_VIOLATION, 44, ERR_FINAL, "")                                               \
    X(OUT_OF_ORDER_SEQUENCE_NUMBER, 45, ERR_FINAL, "")                                   \
    X(DUPLICATE_SEQUENCE_NUMBER, 46, ERR_FINAL, "")                                      \
    X(INVALID_PRODUCER_EPOCH, 47, ERR_FINAL, "")                                         \
    X(INVALID_TXN_STATE, 48, ERR_FINAL, "")                                              \
    X(INVALID_PRODUCER_ID_MAPPING, 49, ERR_FINAL, "")                                    \
    X(INVALID_TRANSACTION_TIMEOUT, 50, ERR_FINAL, "")                                    \
    X(CONCURRENT_TRANSACTIONS, 51, ERR_RETRIABLE, "")                                    \
    X(TRANSACTION_COORDINATOR_FENCED, 52, ERR_FINAL, "")                                 \
    X(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 53, ERR_FINAL, "")                          \
    X(SECURITY_DISABLED, 54, ERR_FINAL, "")                                              \
    X(OPERATION_NOT_ATTEMPTED, 55, ERR_FINAL, "")                                        \
    X(KAFKA_STORAGE_ERROR, 56, ERR_RETRIABLE_META, "")                                   \
    X(LOG_DIR_NOT_FOUND, 57, ERR_FINAL, "")                                              \
    X(SASL_AUTHENTICATION_FAILED, 58, ERR_FINAL, "")                                     \
    X(UNKNOWN_PRODUCER_ID, 59, ERR_FINAL, "")                                            \
    X(REASSIGNMENT_IN_PROGRESS, 60, ERR_FINAL, "")                                       \
    X(DELEGATION_TOKEN_AUTH_DISABLED, 61, ERR_FINAL, "")                                 \
    X(DELEGATION_TOKEN_NOT_FOUND, 62, ERR_FINAL, "")                                     \
    X(DELEGATION_TOKEN_OWNER_MISMATCH, 63, ERR_FINAL, "")                                \
    X(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, 64, ERR_FINAL, "")                           \
    X(DELEGATION_TOKEN_AUTHORIZATION_FAILED, 65, ERR_FINAL, "")                          \
    X(DELEGATION_TOKEN_EXPIRED, 66, ERR_FINAL, "")                                       \
    X(INVALID_PRINCIPAL_TYPE, 67, ERR_FINAL, "")                                         \
    X(NON_EMPTY_GROUP, 68, ERR_FINAL, "")                                                \
    X(GROUP_ID_NOT_FOUND, 69, ERR_FINAL, "")                                             \
    X(FETCH_SESSION_ID_NOT_FOUND, 70, ERR_RETRIABLE, "")                                 \
    X(INVALID_FETCH_SESSION_EPOCH, 71, ERR_RETRIABLE, "")                                \
    X(LISTENER_NOT_FOUND, 72, ERR_RETRIABLE_META, "")                                    \
    X(TOPIC_DELETION_DISABLED, 73, ERR_FINAL, "")                                        \
    X(FENCED_LEADER_EPOCH, 74, ERR_RETRIABLE_META, "")                                   \
    X(UNKNOWN_LEADER_EPOCH, 75, ERR_RETRIABLE, "")                                       \
    X(UNSUPPORTED_COMPRESSION_TYPE, 76, ERR_FINAL, "")                                   \
    X(STALE_BROKER_EPOCH, 77, ERR_FINAL, "")                                             \
    X(OFFSET_NOT_AVAILABLE, 78, ERR_RETRIABLE, "")                                       \
    X(MEMBER_ID_REQUIRED, 79, ERR_FINAL, "")                                             \
    X(PREFERRED_LEADER_NOT_AVAILABLE, 80, ERR_RETRIABLE_META, "")                        \
    X(GROUP_MAX_SIZE_REACHED, 81, ERR_FINAL, "")                                         \
    X(FENCED_INSTANCE_ID, 82, ERR_FINAL, "")                                             \
    X(ELIGIBLE_LEADERS_NOT_AVAILABLE, 83, ERR_RETRIABLE_META, "")                        \
    X(ELECTION_NOT_NEEDED, 84, ERR_RETRIABLE_META, "")                                   \
    X(NO_REASSIGNMENT_IN_PROGRESS, 85, ERR_FINAL, "")                                    \
    X(GROUP_SUBSCRIBED_TO_TOPIC, 86, ERR_FINAL, "")                                      \
    X(INVALID_RECORD, 87, ERR_FINAL, "")                                                 \
    X(UNSTABLE_OFFSET_COMMIT, 88, ERR_RETRIABLE, "")                                     \
    X(THROTTLING_QUOTA_EXCEEDED, 89, ERR_RETRIABLE, "")                                  \
    X(PRODUCER_FENCED, 90, ERR_FINAL, "")                                                \
    X(RESOURCE_NOT_FOUND, 91, ERR_FINAL, "")                                             \
    X(DUPLICATE_RESOURCE, 92, ERR_FINAL, "")                                             \
    X(UNACCEPTABLE_CREDENTIAL, 93, ERR_FINAL, "")                                        \
    X(INCONSISTENT_VOTER_SET, 94, ERR_FINAL, "")                                         \
    X(INVALID_UPDATE_VERSION, 95, ERR_FINAL, "")                                         \
    X(FEATURE_UPDATE_FAILED, 96, ERR_FINAL, "")                                          \
    X(PRINCIPAL_DESERIALIZATION_FAILURE, 97, ERR_FINAL, "")                              \
    X(SNAPSHOT_NOT_FOUND, 98, ERR_FINAL, "")                                             \
    X(POSITION_OUT_OF_RANGE, 99, ERR_FINAL, "")                                          \
    X(UNKNOWN_TOPIC_ID, 100, ERR_RETRIABLE_META, "")                                     \
    X(DUPLICATE_BROKER_REGISTRATION, 101, ERR_FINAL, "")                                 \
    X(BROKER_ID_NOT_REGISTERED, 102, ERR_FINAL, "")                                      \
    X(INCONSISTENT_TOPIC_ID, 103, ERR_RETRIABLE_META, "")                                \
    X(INCONSISTENT_CLUSTER_ID, 104, ERR_FINAL, "")                                       \
    X(TRANSACTIONAL_ID_NOT_FOUND, 105, ERR_FINAL, "")                                    \
    X(FETCH_SESSION_TOPIC_ID_ERROR, 106, ERR_RETRIABLE, "")                              \
    X(INELIGIBLE_REPLICA, 107, ERR_FINAL, "")                                            \
    X(NEW_LEADER_ELECTED, 108, ERR_FINAL, "")                                            \
    X(OFFSET_MOVED_TO_TIERED_STORAGE, 109, ERR_FINAL, "")                                \
    X(FENCED_MEMBER_EPOCH, 110, ERR_FINAL, "")                                           \
    X(UNRELEASED_INSTANCE_ID, 111, ERR_FINAL, "")                                        \
    X(UNSUPPORTED_ASSIGNOR, 112, ERR_FINAL, "")                                          \
    X(STALE_MEMBER_EPOCH, 113, ERR_FINAL, "")                                            \
    X(MISMATCHED_ENDPOINT_TYPE, 114, ERR_FINAL, "")                                      \
    X(UNSUPPORTED_ENDPOINT_TYPE, 115, ERR_FINAL, "")                                     \
    X(UNKNOWN_CONTROLLER_ID, 116, ERR_FINAL, "")                                         \
    X(UNKNOWN_SUBSCRIPTION_ID, 117, ERR_FINAL, "")                                       \
    X(TELEMETRY_TOO_LARGE, 118, ERR_FINAL, "")                                           \
    X(INVALID_REGISTRATION, 119, ERR_FINAL, "")                                          \
    X(TRANSACTION_ABORTABLE, 120, ERR_FINAL, "")                                         \
    X(INVALID_RECORD_STATE, 121, ERR_FINAL, "")                                          \
    X(SHARE_SESSION_NOT_FOUND, 122, ERR_RETRIABLE, "")                                   \
    X(INVALID_SHARE_SESSION_EPOCH, 123, ERR_RETRIABLE, "")                               \
    X(FENCED_STATE_EPOCH, 124, ERR_FINAL, "")                                            \
    X(INVALID_VOTER_KEY, 125, ERR_FINAL, "")                                             \
    X(DUPLICATE_VOTER, 126, ERR_FINAL, "")                                               \
    X(VOTER_NOT_FOUND, 127, ERR_FINAL, "")                                               \
    X(INVALID_REGULAR_EXPRESSION, 128, ERR_FINAL, "")                                    \
    X(REBOOTSTRAP_REQUIRED, 129, ERR_FINAL, "")                                          \
    X(STREAMS_INVALID_TOPOLOGY, 130, ERR_FINAL, "")                                      \
    X(STREAMS_INVALID_TOPOLOGY_EPOCH, 131, ERR_FINAL, "")                                \
    X(STREAMS_TOPOLOGY_FENCED, 132, ERR_FINAL, "")                                       \
    X(SHARE_SESSION_LIMIT_REACHED, 133, ERR_RETRIABLE, "")

#define ERR_ENUM(name, code, retry, text) ERR_##name = (code),
enum err { ERR_LIST(ERR_ENUM) };
#undef ERR_ENUM

/* "NOT_LEADER_OR_FOLLOWER"; "UNKNOWN" for a code that is not in the list. */
const char *err_name(enum err err);
/* A word of explanation, or "" where the name says it all. */
const char *err_text(enum err err);
enum err_retry err_retry(enum err err);
bool err_is_wire(enum err err); /* may stand in a response */
/* The code of a response; a number that no list knows reads as UNKNOWN_SERVER_ERROR. */
enum err err_from_wire(int16_t code);

/* Text for people: configuration, scenarios, command lines, recovery. Wrapped on the way up. */
struct errmsg {
    char text[256];
};

#endif
