/* The accumulator of one partition: batches that fill, wait, fly and come back, in order, with
 * their sequences. Decides what may be sent next; sends nothing, reads no clock, draws nothing.
 *
 *     queue      head: the oldest that is not in flight ... tail: the open one that still fills
 *     in_flight  sent, not answered
 *
 * Order (never given up, with or without idempotence):
 *   - a batch that came back goes where it was: the queue is sorted by `number`;
 *   - without idempotence a partition has one batch in flight (DIFFERS: Kafka lets a retry
 *     overtake);
 *   - with it up to five requests may hold batches of a partition, but a retried one flies alone
 *     and the lowest first (transactions.md 1.4). DIFFERS: so does the first of an identity: a
 *     broker that knows nothing of a producer takes any sequence, so a refused first batch and the
 *     accepted ones behind it could only be made good by sending the latter twice.
 *   - and none flies further ahead of an unanswered one than a broker remembers, five batches: the
 *     retry of what had arrived would be OUT_OF_ORDER instead of a duplicate, and a bump would then
 *     write it again. DIFFERS: Kafka counts by connection, and so forgets what flies to an old
 *     leader that is gone without a word.
 * Sequences are given when a batch is first sent and stay over retries; only a bump renumbers:
 *   - OUT_OF_ORDER for a batch that is the next expected one says that the broker lost something;
 *   - a batch that failed for good leaves a gap: `unresolved` holds new batches back until what was
 *     sent is settled; if the last acked sequence then does not meet the next one: bump;
 *   - OUT_OF_ORDER for a part of a batch that was cut after an attempt of unclear end (`torn`) says
 *     that the whole is in the log: no bump, which would put its records there again.
 * A bump waits until nothing of the partition flies, then takes a new epoch and starts at 0. */
#ifndef CLIENT_PRODUCER_BATCH_H
#define CLIENT_PRODUCER_BATCH_H

#include "client/metadata.h"
#include "client/wire/compress.h"
#include "client/wire/record_builder.h"

struct producer;
struct producer_topic;

/* A batch can be cut in two 31 times; half its bytes are gone by then, or it is one record. */
#define PRODUCER_BATCH_SPAN (UINT32_C(1) << 31)

enum { PRODUCER_WINDOW = 5 }; /* batches of a producer that a broker remembers (KIP-98) */

struct producer_identity {
    int64_t id; /* -1: none */
    int16_t epoch;
};

struct producer_batch {
    struct list link;    /* partition.queue or partition.in_flight */
    struct list by_age;  /* producer.by_age until its records are finished */
    struct list records; /* producer_record */
    struct producer_partition *partition;
    uint64_t number;    /* order in the partition */
    uint32_t part;      /* order among those that were one batch */
    uint32_t span;      /* parts from `part` on are free up to this many */
    struct buf *buf;    /* the builder's */
    struct buf *packed; /* compressed; NULL: none */
    size_t packed_length;
    struct bytes bytes; /* sealed: what is sent */
    struct record_builder builder;
    enum codec codec; /* of `packed` */
    bool sealed;
    bool expired; /* its records are finished; the answer is awaited for the books only */
    bool maybe;   /* an attempt may have reached a log: the outcome cannot be "failed" any more */
    bool torn;    /* a part of one that was `maybe`: no broker knows its sequences as a duplicate */
    uint32_t attempts;
    uint32_t passed;  /* batches that left while it flies */
    int32_t sequence; /* base; -1: not given yet */
    int64_t created_ns;
    int64_t retry_at_ns;
    int32_t tried_leader; /* of the latest attempt */
    int32_t tried_epoch;
};

struct producer_partition {
    struct list active; /* in producer.active while the queue is not empty */
    struct producer_topic *topic;
    int32_t index;
    struct list queue;
    struct list in_flight;
    uint32_t in_flight_count;
    uint64_t next_number;
    struct producer_identity identity; /* of the sequences below */
    int32_t first_sequence;            /* of the identity: 0, unless a test comes near the wrap */
    int32_t next_sequence;
    int32_t last_acked;    /* last sequence that is known to be in the log; -1: none */
    uint64_t acked_number; /* of its batch */
    uint32_t acked_part;
    bool unresolved;
    bool bump;
};

void producer_partition_init(struct producer_partition *partition, struct producer_topic *topic,
                             int32_t index);
/* The open batch, or NULL. */
struct producer_batch *producer_partition_open(const struct producer_partition *partition);
/* The head, when order and sequences let it go now; NULL otherwise. Does not look at time. */
struct producer_batch *producer_partition_next(const struct producer_partition *partition,
                                               bool idempotent, uint32_t in_flight_max);
/* Moves the head into flight; it is sealed and has its sequence. */
void producer_partition_depart(struct producer_partition *partition, struct producer_batch *batch);
bool producer_batch_before(const struct producer_batch *a, const struct producer_batch *b);
/* No batch before this one has a sequence and waits for its fate. */
bool producer_batch_first_open(const struct producer_batch *batch);
/* Into its place in the queue. */
void producer_partition_queue(struct producer_partition *partition, struct producer_batch *batch);
/* Back from flight to its place in the queue. */
void producer_partition_return(struct producer_partition *partition, struct producer_batch *batch);
/* Out of flight, replaced by others: says nothing about its sequences. */
void producer_partition_drop(struct producer_partition *partition, struct producer_batch *batch);
/* Out of flight or queue for good. `acked`: its sequences are in the log. */
void producer_partition_settle(struct producer_partition *partition, struct producer_batch *batch,
                               bool acked);
/* The batch got OUT_OF_ORDER_SEQUENCE_NUMBER: sets `bump` when that says the broker's state is
 * gone; otherwise something before it is still open and it is simply tried again. */
void producer_partition_out_of_order(struct producer_partition *partition,
                                     const struct producer_batch *batch);
/* With nothing in flight: clears `unresolved`, or turns it into `bump`. */
void producer_partition_resolve(struct producer_partition *partition);
/* Sequences from 0 under a new identity; queued batches that had one are renumbered. Nothing is in
 * flight. */
void producer_partition_renumber(struct producer_partition *partition,
                                 struct producer_identity identity);
/* May take the producer's identity: it has another one, and nothing numbered is left. */
bool producer_partition_stale(const struct producer_partition *partition,
                              struct producer_identity identity);

/* Bytes a batch needs for a first record of this size. */
size_t producer_batch_capacity(size_t batch_size, size_t record_max);
/* Ready to be sent: compresses if that makes it smaller, gives it its sequence if it has none and
 * `identity` is one, writes the header. Never fails: without memory it stays uncompressed. */
void producer_batch_seal(struct producer_batch *batch, struct buf_budget *budget,
                         const struct codecs *codecs, enum codec codec, int32_t level,
                         bool idempotent);
static inline uint32_t producer_batch_count(const struct producer_batch *batch)
{
    return (uint32_t)batch->builder.count;
}

#endif
