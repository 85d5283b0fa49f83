/* What compaction leaves of one batch (storage.md 12.3; KIP-534). Pure; in slices, so that a batch
 * of many records does not hold anybody up.
 *
 *     begin -> step ... -> KEEP   the batch as it is, byte for byte
 *                          GONE   nothing
 *                          WRITE  filter->result: fewer records, or none, or a delete horizon
 *
 *   record   above the map's end                           stays
 *            without key, or an older one of its key       goes
 *            with a value                                  stays
 *            tombstone                                     stays until its batch's horizon
 *   batch    of an aborted transaction, or a marker whose
 *            horizon has passed                            all records go
 *            that loses all records                        goes, but for its header when `needed`
 *                                                          or when it is the first of its epoch
 *
 * DIFFERS: Kafka forgets an epoch with its last record. A replica that copied what was left then
 * leads without it, and who has it is told to cut below the high watermark, or keeps what never
 * was committed (KIP-101 counts on every epoch that has batches). The header that stays for this
 * alone belongs to no producer: nothing ends a transaction whose marker is gone.
 *
 * Base and last offset, leader epoch, codec and kind of timestamp never change, producer fields
 * only so.
 * Records that stay are copied byte for byte unless the batch gets a horizon: that takes the place
 * of the base timestamp, so the deltas change with it. */
#ifndef BROKER_LOG_LOG_FILTER_H
#define BROKER_LOG_LOG_FILTER_H

#include "broker/log/log_keymap.h"
#include "client/wire/compress.h"

/* Memory that grows with the largest batch seen. */
struct log_bytes {
    struct mem *mem;
    uint8_t *data;
    size_t room;
    size_t used;
};
/* At least `room`; what is in it (`used`) stays. */
MUST_USE bool log_bytes_room(struct log_bytes *bytes, size_t room);
void log_bytes_free(struct log_bytes *bytes);

/* What the caller knows of a batch. */
struct log_filter_batch {
    bool discard; /* of an aborted transaction, or a marker of one that is gone (KIP-534) */
    bool needed;  /* its header: a live producer is known by it, or the end of what is cleaned */
    bool begins_epoch; /* its header, without producer: who copies the log learns the epoch from it
                        */
};

enum log_filter_result {
    LOG_FILTER_MORE, /* the budget is used up */
    LOG_FILTER_KEEP,
    LOG_FILTER_GONE,
    LOG_FILTER_WRITE,
    LOG_FILTER_FAILED, /* err: CORRUPT_MESSAGE, NO_MEMORY ... */
};

struct log_filter {
    /* set by the owner once */
    struct cpu cpu;
    const struct codecs *codecs;
    const struct log_keymap *map;
    int64_t now_ms;
    int64_t delete_retention_ms;
    /* out */
    struct bytes result;
    int64_t max_timestamp; /* of the batch as it is now */
    enum err err;
    /* private */
    struct record_batch batch;
    struct log_filter_batch about;
    struct record_iter iter;
    struct log_bytes inflated;
    struct log_bytes kept; /* header and records */
    struct log_bytes other;
    int32_t kept_count;
    int64_t horizon; /* the batch's, or the one it gets; -1 none */
    int64_t kept_max_timestamp;
    bool dropped;
    bool tombstones;
    bool marker; /* of a transaction that is gone; its horizon has not passed */
    bool redating;
};

void log_filter_init(struct log_filter *filter, struct mem *mem, struct cpu cpu,
                     const struct codecs *codecs, const struct log_keymap *map);
void log_filter_deinit(struct log_filter *filter);
/* The batch, crc checked, stays where it is until the end. CORRUPT_MESSAGE, TOO_LARGE,
 * NO_MEMORY. */
MUST_USE enum err log_filter_begin(struct log_filter *filter, const struct record_batch *batch,
                                   struct log_filter_batch about);
/* *budget: records, counted down. */
enum log_filter_result log_filter_step(struct log_filter *filter, uint32_t *budget);

/* The records of a batch, inflated into `inflated` when they are compressed, with a bound. */
MUST_USE enum err log_filter_open(const struct codecs *codecs, const struct record_batch *batch,
                                  struct log_bytes *inflated, struct bytes *records);

#endif
