/* Metadata records: the frame inside a record's value, and the list of what a controller appends.
 *
 *   value   frame version (uvarint, 1) | record id (uvarint) | version (uvarint) | fields
 *
 * kraft.md 11. The fields are generated codecs (client/wire/schema/record). */
#ifndef BROKER_CONTROLLER_RECORDS_H
#define BROKER_CONTROLLER_RECORDS_H

#include "client/base/arena.h"
#include "client/base/bytes.h"
#include "client/base/err.h"
#include "wire/abort_transaction_record.h"
#include "wire/begin_transaction_record.h"
#include "wire/broker_registration_change_record.h"
#include "wire/clear_elr_record.h"
#include "wire/config_record.h"
#include "wire/end_transaction_record.h"
#include "wire/feature_level_record.h"
#include "wire/no_op_record.h"
#include "wire/partition_change_record.h"
#include "wire/partition_record.h"
#include "wire/producer_ids_record.h"
#include "wire/register_broker_record.h"
#include "wire/register_controller_record.h"
#include "wire/remove_topic_record.h"
#include "wire/topic_record.h"
#include "wire/unregister_broker_record.h"

enum record_id {
    RECORD_REGISTER_BROKER = 0,
    RECORD_UNREGISTER_BROKER = 1,
    RECORD_TOPIC = 2,
    RECORD_PARTITION = 3,
    RECORD_CONFIG = 4,
    RECORD_PARTITION_CHANGE = 5,
    RECORD_REMOVE_TOPIC = 9,
    RECORD_FEATURE_LEVEL = 12,
    RECORD_PRODUCER_IDS = 15,
    RECORD_BROKER_REGISTRATION_CHANGE = 17,
    RECORD_NO_OP = 20,
    RECORD_BEGIN_TRANSACTION = 23, /* KIP-868: of Kafka's controllers; loader.h */
    RECORD_END_TRANSACTION = 24,
    RECORD_ABORT_TRANSACTION = 25,
    RECORD_REGISTER_CONTROLLER = 27,
    RECORD_CLEAR_ELR = 28, /* KIP-966: of Kafka's controllers, when min.insync.replicas changes */
};

enum {
    RECORDS_FRAME_VERSION = 1,
    RECORDS_BATCH_MAX = 10000,                 /* records of one append (kraft.md 2) */
    RECORDS_BATCH_BYTES_MAX = 4 * 1024 * 1024, /* values of one append; a batch may have 8 MiB */
};

/* One decoded record. Strings are views into the bytes, arrays lie in the arena. */
struct metadata_record {
    enum record_id id;
    union {
        struct register_broker_record register_broker;
        struct unregister_broker_record unregister_broker;
        struct topic_record topic;
        struct partition_record partition;
        struct config_record config;
        struct partition_change_record partition_change;
        struct remove_topic_record remove_topic;
        struct feature_level_record feature_level;
        struct producer_ids_record producer_ids;
        struct broker_registration_change_record registration_change;
        struct no_op_record no_op;
        struct begin_transaction_record begin_transaction;
        struct end_transaction_record end_transaction;
        struct abort_transaction_record abort_transaction;
        struct register_controller_record register_controller;
        struct clear_elr_record clear_elr;
    };
    uint32_t foreign; /* a NO_OP that stands for a kind without meaning here; 0: it is one */
    bool last_known;  /* of a decision, for the trace; not encoded: elects the last known leader */
};

/* Defaults of the kind: every field set, tagged ones absent. */
void records_default(struct metadata_record *record, enum record_id id);
/* ERR_MALFORMED; ERR_UNSUPPORTED for a frame, a kind or a version that is not built in. Kinds of
 * Kafka's that say nothing about what this house does (access lists, credentials, quotas, tokens,
 * the way from ZooKeeper) are NO_OP with `foreign`; a snapshot of ours does not have them. */
MUST_USE enum err records_decode(struct bytes value, struct arena *arena,
                                 struct metadata_record *record);
/* Into the arena, at the version this house writes. */
MUST_USE enum err records_encode(const struct metadata_record *record, struct arena *arena,
                                 struct bytes *value);

/* The records of one decision, in order. All memory from the arena; what they point to is
 * borrowed as long. */
struct records_node;
struct records {
    struct arena *arena;
    struct records_node *first;
    struct records_node *last;
    uint32_t count;
    size_t bytes;   /* of all values, about */
    enum err error; /* sticky: ERR_NO_MEMORY or ERR_TOO_LARGE */
};

struct records_node {
    struct records_node *next;
    struct metadata_record record;
    struct bytes value; /* set by records_finish() */
};

void records_init(struct records *records, struct arena *arena);
/* A record with its defaults, to be filled by the caller; NULL after an error, which is kept. */
struct metadata_record *records_add(struct records *records, enum record_id id);
/* Encodes all. The first error. */
MUST_USE enum err records_finish(struct records *records);

#endif
