/* Idempotent producers of one partition: the last five batches of each, so that a batch sent
 * twice is written once and a lost one is noticed (KIP-98; storage.md 6).
 *
 * Two layers: what is in the log (`batches`), and what is staged on top of it (`staged`, newest
 * last), which a failed write takes away again. A check looks at both. Pure: no I/O, no clock.
 *
 * Transactions (transactions.md 5): of each producer at most one is open, from its first
 * transactional batch to its marker. One that ended stays until its marker is below the high
 * watermark; the lowest first offset of both kinds is where a read_committed reader stops.
 *
 * Snapshot file N.snapshot: Kafka's layout, version 1, one batch per producer. The other four stand
 * in N.producers beside it (ours), so that a restart does not narrow the window (H9). */
#ifndef BROKER_LOG_LOG_PRODUCERS_H
#define BROKER_LOG_LOG_PRODUCERS_H

#include "broker/log/log_aborted.h"
#include "client/base/map.h"
#include "client/wire/record.h"

enum {
    LOG_PRODUCER_BATCHES = 5,
    LOG_PRODUCERS_FEW = 8, /* found without an index: most partitions have one or two */
};

struct log_producer_batch {
    int64_t last_offset;
    int64_t timestamp; /* max_timestamp */
    int32_t first_sequence;
    int32_t offset_delta; /* last_offset - base_offset, also last - first sequence */
};

/* What a batch does to the transaction of its producer. */
enum log_producer_step {
    LOG_PRODUCER_PLAIN, /* nothing */
    LOG_PRODUCER_TXN,   /* is in it; begins one if there is none */
    LOG_PRODUCER_COMMIT,
    LOG_PRODUCER_ABORT,
    LOG_PRODUCER_EMPTIED, /* a compacted control batch: its transaction is gone altogether */
};

/* A transaction that has ended, until its marker is replicated. */
struct log_producer_ended {
    struct list link; /* in log_producers.ended, in order of the markers */
    int64_t first_offset;
    int64_t last_offset; /* of the marker */
};

/* Embedded in a staged batch. */
struct log_producer_staged {
    struct list link; /* of its producer, in order; unlinked: no producer id */
    struct log_producer_batch batch;
    struct log_producer_ended *ended; /* of a marker: taken when it is staged */
    int32_t coordinator_epoch;        /* of a marker */
    enum log_producer_step step;
    int16_t epoch;
    bool turned; /* once complete: it began a transaction, or ended one */
};

struct log_producer {
    struct map_node node; /* in the index */
    struct list staged;   /* struct log_producer_staged */
    struct list age;      /* least recently appended first */
    struct list open;     /* in log_producers.open while it has a transaction */
    int64_t id;
    int64_t last_timestamp;
    int64_t seen_ms;           /* the broker's clock at its last batch, or at the load */
    int64_t txn_first_offset;  /* -1 none open */
    int32_t coordinator_epoch; /* -1 none */
    int16_t epoch;
    uint8_t count;
    struct log_producer_batch *batches; /* oldest first; `one`, or owned: room for all */
    struct log_producer_batch one;      /* most producers of most partitions are idle */
};

struct log_producers {
    struct mem *mem;
    struct map *index; /* owned: by id, when they are many; NULL: `age` is looked through */
    struct list age;
    struct list open;  /* struct log_producer, by txn_first_offset */
    struct list ended; /* struct log_producer_ended */
    uint32_t count;
    uint32_t max;
    int64_t clock_ms; /* wall time, as the owner said last: what enters is seen now */
};

void log_producers_init(struct log_producers *producers, struct mem *mem, uint32_t max);
void log_producers_deinit(struct log_producers *producers);
/* All of `from`, into a set that is not initialised; `from` is empty. Nothing is staged. */
void log_producers_take(struct log_producers *to, struct log_producers *from);
void log_producers_clear(struct log_producers *producers); /* nothing is staged (asserted) */
struct log_producer *log_producers_find(const struct log_producers *producers, int64_t id);

/* What a client's batch with a producer id is. */
enum log_producer_verdict {
    LOG_PRODUCER_NEXT,      /* append it */
    LOG_PRODUCER_DUPLICATE, /* *batch is the first time */
    LOG_PRODUCER_OUT_OF_ORDER,
    LOG_PRODUCER_FENCED,             /* an older epoch */
    LOG_PRODUCER_IN_TXN,             /* a plain batch inside of a transaction */
    LOG_PRODUCER_COORDINATOR_FENCED, /* a marker of an older coordinator */
};
enum log_producer_verdict log_producers_check(const struct log_producers *producers,
                                              const struct record_batch *batch,
                                              struct log_producer_batch *original);
/* The same for a marker, and for what a coordinator appends for a producer: epochs only. */
enum log_producer_verdict log_producers_check_epochs(const struct log_producers *producers,
                                                     const struct record_batch *batch,
                                                     int32_t coordinator_epoch);
/* Enters a batch that is staged; its offsets are assigned. NO_MEMORY: nothing changed. */
MUST_USE enum err log_producers_stage(struct log_producers *producers,
                                      struct log_producer_staged *staged,
                                      const struct record_batch *batch);
/* The write failed: takes it out again. Newest first. */
void log_producers_unstage(struct log_producers *producers, struct log_producer_staged *staged);
/* The batch is in the log (its `staged` is unlinked by the caller before, if there was one). */
MUST_USE enum err log_producers_apply(struct log_producers *producers,
                                      const struct record_batch *batch,
                                      struct log_aborted *aborted);
/* The same for a batch that was staged: cannot fail. *aborted: the entry of the transaction index
 * that an abort marker makes; producer_id -1: none. */
void log_producers_complete(struct log_producers *producers, struct log_producer_staged *staged,
                            const struct record_batch *batch, struct log_aborted *aborted);
/* Forgets what ended with a marker below the high watermark. */
void log_producers_replicated(struct log_producers *producers, int64_t high_watermark);
/* First offset of a transaction that is open, or has ended but is not replicated; -1: none. Walks
 * those that ended: as many as have markers above the high watermark. */
int64_t log_producers_first_unstable(const struct log_producers *producers);
/* Forgets who wrote nothing for `idle_ms` of the broker's clock and has no open transaction.
 * DIFFERS: a record's timestamp is its client's word and counts for nothing here (H12). */
void log_producers_expire(struct log_producers *producers, int64_t idle_ms);

/* ---- files ---- */
/* Of what is below `end`: of each producer its batches that end there, and a transaction that
 * begins there. INT64_MAX: all of it. The sizes are the most that it can be. */
size_t log_producers_snapshot_size(const struct log_producers *producers);
size_t log_producers_snapshot(const struct log_producers *producers, int64_t end, struct cpu cpu,
                              uint8_t *at);
size_t log_producers_window_size(const struct log_producers *producers);
/* `mark`: the file says that the log is synced up to the offset in its name (log_mark.c). */
size_t log_producers_window(const struct log_producers *producers, int64_t end, struct cpu cpu,
                            uint8_t *at, bool mark);
bool log_producers_marks(struct cpu cpu, struct bytes window);
/* Into an empty set. `window` may be empty, or not fit: then one batch each. DAMAGED. */
MUST_USE enum err log_producers_load(struct log_producers *producers, struct cpu cpu,
                                     struct bytes snapshot, struct bytes window);

#endif
