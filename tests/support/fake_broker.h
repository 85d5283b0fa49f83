/* One scripted broker on a simulated node: speaks ApiVersions, Metadata, InitProducerId, Produce,
 * Fetch, ListOffsets, OffsetForLeaderEpoch, CreateTopics and DeleteTopics over the real connection
 * code, keeps logs in the test's memory, and misbehaves as told. Checks what a leader checks: crc,
 * sequences (with the five remembered batches a producer relies on). */
#ifndef TESTS_SUPPORT_FAKE_BROKER_H
#define TESTS_SUPPORT_FAKE_BROKER_H

#include "tests/support/support.h"

#include "client/connection.h"
#include "client/wire/api.h"
#include "sim/fault.h"

enum {
    FAKE_PARTITIONS = 4,
    FAKE_CONNECTIONS = 8,
    FAKE_BATCHES = 2000,
    FAKE_SCRIPT = 16,
    FAKE_PORT = 9092,
};

enum fake_trick {
    FAKE_CLOSE_BEFORE, /* closes instead of handling the request */
    FAKE_CLOSE_AFTER,  /* handles it, then closes instead of answering */
    FAKE_SILENT,       /* handles it, answers nothing */
    FAKE_ERROR,        /* answers `err`, does not append */
    FAKE_ERROR_AFTER,  /* appends, and answers `err` */
    FAKE_WRONG_CORRELATION,
    FAKE_HUGE_FRAME, /* a size of 2 GiB */
    FAKE_NEGATIVE_FRAME,
    FAKE_GARBAGE_BODY,
};

/* Applied once, to the n-th request (from 1) of an api. */
struct fake_act {
    int16_t api;
    uint32_t nth;
    enum fake_trick trick;
    enum err err;
    bool used;
};

struct fake_batch {
    uint8_t *bytes;
    uint32_t length;
    int64_t base;
    int32_t count;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence;
};

struct fake_partition {
    struct fake_batch batches[FAKE_BATCHES];
    uint32_t batches_count;
    int64_t end;
    int64_t start;
    int32_t leader_epoch;
};

struct fake_broker;

struct fake_connection {
    struct connection connection;
    struct op op;
    struct fake_broker *broker;
    bool used;
};

struct fake_broker {
    struct sim_program program;
    struct sim_world *node;
    int32_t id;
    /* what the test sets */
    struct fake_act script[FAKE_SCRIPT];
    uint32_t script_count;
    struct wire_range served[128]; /* clipped to the codec; {0,-1}: not there */
    uint32_t batch_max;            /* a larger one is MESSAGE_TOO_LARGE; 0: none is */
    bool missing_topic;            /* metadata answers UNKNOWN_TOPIC_OR_PARTITION */
    /* the log survives a crash: it is the test's memory */
    struct fake_partition partitions[FAKE_PARTITIONS];
    /* what the test reads */
    uint32_t requests[128];
    uint32_t connections;
    uint32_t duplicates;
    uint32_t out_of_order;
    int64_t next_producer_id;
    /* private, gone with the node */
    struct env *env;
    struct arena arena;
    struct net_listener listener;
    struct net_accept accept;
    struct fake_connection slots[FAKE_CONNECTIONS];
    struct op listen_op;
    struct op_source wake;
    bool listening;
};

/* Adds node `id` (host "node-<id>") and starts it. */
struct fake_broker *fake_broker_create(struct sim *sim, int32_t id);
void fake_broker_destroy(struct fake_broker *broker);
void fake_broker_script(struct fake_broker *broker, int16_t api, uint32_t nth,
                        enum fake_trick trick, enum err err);

#endif
