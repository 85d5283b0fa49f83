/* The producer: takes records without ever blocking, batches them per partition, sends the batches
 * to the leaders, and tells of every record exactly once how it ended.
 *
 *   producer_send --> waiting (topic not known, no memory) --> batch of its partition --> finished
 *                       at most max_block_ms                     at most delivery_timeout_ms
 *
 * Outcomes (clients.md 2.4): ACKED with an offset (-1 with acks=0, or a duplicate without one);
 * FAILED: definitely in no log; UNKNOWN: an attempt may have reached a log.
 *
 * One op sends (the sender); each request in flight is an op of its own. Rules of order, sequences
 * and epochs: producer_batch.h. One instance has one set of connections and one producer id.
 * A batch that is too large for the broker is cut in two and tried again (producer_split.c). */
#ifndef CLIENT_PRODUCER_H
#define CLIENT_PRODUCER_H

#include "client/base/pool.h"
#include "client/producer_batch.h"
#include "wire/init_producer_id.h"
#include "wire/produce.h"

enum {
    PRODUCER_REQUEST_BATCHES = CALL_HOLDS_MAX, /* in one request */
    PRODUCER_ARENA_MAX = 1024 * 1024,          /* one decoded answer */
};

enum producer_outcome {
    PRODUCER_PENDING,
    PRODUCER_ACKED,
    PRODUCER_FAILED,
    PRODUCER_UNKNOWN,
};

/* One record to be sent. Owned by the caller until it is finished. */
struct producer_record {
    /* in */
    struct str topic; /* borrowed until appended or finished, as are the next three */
    struct bytes key; /* data NULL: null */
    struct bytes value;
    const struct record_header *headers;
    uint32_t headers_count;
    int32_t partition;    /* -1: by key, or sticky */
    int64_t timestamp_ms; /* -1: now. Out: what the log has */
    int64_t trace_value;  /* names the record in traces */
    int64_t trace_key;
    struct op_source *done; /* woken when it is finished; NULL: nobody waits */
    struct list *collect;   /* finished records are pushed there by `link`; NULL: not */
    /* out */
    enum producer_outcome outcome;
    enum err result; /* why it is not ACKED */
    int64_t offset;
    bool appended; /* copied into a batch: what was borrowed is the caller's again */
    /* private */
    struct list link;
    int64_t started_ns;
    struct metadata_topic *waits_for;
};

/* Where a record without a partition goes. */
enum producer_partitioning {
    PRODUCER_BY_KEY,   /* murmur2; without a key: sticky */
    PRODUCER_STICKY,   /* whatever the key */
    PRODUCER_IN_TURN,  /* round robin */
    PRODUCER_BY_CALLER /* config.partitioner */
};

struct producer_config {
    struct metadata_config metadata;
    int16_t acks;                /* -1, 0, 1 */
    bool idempotent;             /* needs acks -1 */
    struct str transactional_id; /* batches are transactional; the caller ends them */
    int32_t
        first_sequence; /* of each partition, by the first producer id: 0, but to test the wrap */
    enum codec codec;
    int32_t codec_level;
    uint32_t batch_size;
    uint32_t max_request_size;
    size_t buffer_memory;
    int32_t linger_ms;
    int32_t max_block_ms;
    int32_t delivery_timeout_ms;
    int32_t request_timeout_ms;
    uint32_t in_flight_max; /* requests per node, at most 5 with idempotence */
    uint32_t retries;       /* attempts of a batch after the first */
    enum producer_partitioning partitioning;
    /* BY_CALLER; not in [0, partitions): the record fails with INVALID_PARTITIONS. */
    int32_t (*partitioner)(void *context, const struct producer_record *record,
                           uint32_t partitions);
    void *partitioner_context;
    uint32_t waiting_max; /* records that are not appended */
    uint32_t topics_max;
};
/* Kafka's defaults, idempotent. */
void producer_config_default(struct producer_config *config);

struct producer_topic {
    struct map_node by_name;
    struct metadata_topic *meta; /* used */
    int32_t sticky;              /* -1: to be chosen */
    uint32_t sticky_bytes;
    uint32_t turn; /* round robin */
    uint32_t partitions_count;
    struct producer_partition **partitions; /* from mem, each made at first use */
};

/* Since producer_init(). */
struct producer_counts {
    uint64_t records; /* given to producer_send() */
    uint64_t acked;
    uint64_t failed;
    uint64_t unknown;
    uint64_t requests;
    uint64_t batches; /* sent, each attempt */
    uint64_t bytes;   /* of these, as sent */
    uint64_t retries; /* batches that came back */
    uint64_t splits;
};

struct producer {
    struct producer_counts counts;
    uint32_t pending; /* records not finished */
    struct producer_identity identity;
    enum err last_error; /* of the latest attempt of anything */
    enum err fatal;      /* why nothing can be sent any more; NONE */
    struct metadata metadata;
    struct op_source changed; /* records finished, memory came back, closed */
    /* private */
    struct env *env;
    struct producer_config config;
    struct rng rng;
    struct op op;
    struct op_source wake;
    struct op watch; /* metadata changes become kicks */
    uint64_t watched;
    struct op identify; /* gets the producer id */
    struct call identify_call;
    struct init_producer_id_request identify_body;
    uint32_t identify_failures;
    bool kicked;
    bool closing;
    bool aborted;     /* closing without waiting for deliveries */
    uint32_t flushes; /* flush in progress: linger does not count */
    size_t memory_used;
    struct pool requests;
    struct list in_flight; /* producer_request */
    struct map topics;
    struct producer_topic *latest; /* looked up; they stay */
    struct list active;            /* partitions with a queue */
    struct list by_age;            /* batches with unfinished records, oldest first */
    struct list waiting;           /* records not appended, in order */
    uint32_t waiting_count;
    struct arena arena;
};

/* One Produce request. */
struct producer_request {
    struct op op;
    struct list link;
    struct producer *producer;
    int32_t node;
    struct call call;
    uint32_t batches_count;
    struct producer_batch *batches[PRODUCER_REQUEST_BATCHES];
    struct produce_request body;
    struct produce_request_topic topics[PRODUCER_REQUEST_BATCHES];
    struct produce_request_partition partitions[PRODUCER_REQUEST_BATCHES];
};

/* BAD_CONFIG: a bootstrap list that does not parse, or settings that contradict. */
MUST_USE enum err producer_init(struct producer *producer, struct env *env,
                                const struct producer_config *config);
/* After producer_closed(). */
void producer_deinit(struct producer *producer);

void producer_record_init(struct producer_record *record);
/* Never blocks, never fails here: a refusal is the record's outcome, at once. */
void producer_send(struct producer *producer, struct producer_record *record);
/* Linger no more; until the next producer_send() after everything is sent. */
void producer_flush(struct producer *producer);
/* Of a transaction that is over: nothing is pending. The next batches have the next epoch, so that
 * whatever of the old one is still on its way is refused (KIP-890). */
void producer_next_epoch(struct producer *producer);
/* Takes no more records, delivers what it has (bounded by their timeouts), then closes; with
 * `abort` what is pending fails now. A second call may abort. `changed` tells. */
void producer_close(struct producer *producer, bool abort);
bool producer_closed(const struct producer *producer);

/* ---- for producer_request.c ---- */
void producer_kick(struct producer *producer);
/* Ends a batch's records (all get base offset + index, or -1) and frees the batch when it does not
 * fly any more. */
void producer_finish_records(struct producer *producer, struct producer_batch *batch,
                             enum producer_outcome outcome, enum err result, int64_t base_offset,
                             int64_t append_time_ms);
void producer_free_batch(struct producer *producer, struct producer_batch *batch);
/* producer_append.c */
void producer_refuse(struct producer *producer, struct producer_record *record, enum err result);
void producer_admit(struct producer *producer); /* those that waited */
/* producer.c */
void producer_finish(struct producer *producer, struct producer_record *record,
                     enum producer_outcome outcome, enum err result, int64_t offset, int64_t topic);
/* producer_identify.c */
void producer_identify_start(struct producer *producer);
/* producer_split.c: a batch of two records or more, in flight, becomes two batches in its place.
 * False: there is no memory; nothing changed. */
MUST_USE bool producer_split(struct producer *producer, struct producer_batch *batch);
void producer_request_start(struct producer *producer, struct producer_request *request,
                            struct peer *peer);
uint32_t producer_request_count(const struct producer *producer, int32_t node);

#endif
