/* Record batches, magic 2: the bytes that a producer sends are the bytes in the log and the bytes
 * that a consumer gets. Layout and rules: protocol.md 9, 12; storage.md 2.1, 5.2.
 *
 *   view      record_batch_parse: framing and header of the batch at the start of a buffer
 *   iterate   record_batch_iter over batches; record.h over the records of one
 *   check     record_batch_check_*: what each kind of writer must keep to
 *   patch     record_batch_set_* in place; record_builder.h makes new ones
 *
 * Nothing here allocates. Compressed batches: compress.h gives the inflated records. */
#ifndef CLIENT_WIRE_RECORD_BATCH_H
#define CLIENT_WIRE_RECORD_BATCH_H

#include "client/base/bytes.h"
#include "client/base/err.h"
#include "client/wire/crc32c.h"
#include "client/wire/wire.h"

enum {
    RECORD_BATCH_PREFIX = 12, /* base_offset and batch_length */
    RECORD_BATCH_HEADER = 61,
    RECORD_BATCH_CRC_FROM = 21,
    RECORD_BATCH_MAGIC = 2,
    RECORD_OVERHEAD_MAX = 21, /* a record without key, value and headers */
};

enum codec {
    CODEC_NONE = 0,
    CODEC_GZIP = 1,
    CODEC_SNAPPY = 2,
    CODEC_LZ4 = 3,
    CODEC_ZSTD = 4,
};

enum record_attributes {
    RECORD_CODEC_MASK = 0x07,
    RECORD_LOG_APPEND_TIME = 0x08,
    RECORD_TRANSACTIONAL = 0x10,
    RECORD_CONTROL = 0x20,
    RECORD_DELETE_HORIZON = 0x40,
};

/* A batch in somebody's buffer. */
struct record_batch {
    struct bytes bytes; /* the whole batch, header included */
    int64_t base_offset;
    int32_t partition_leader_epoch;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp; /* with RECORD_DELETE_HORIZON: the horizon */
    int64_t max_timestamp;
    int64_t producer_id; /* -1 none */
    int16_t producer_epoch;
    int32_t base_sequence; /* -1 none */
    int32_t record_count;  /* may be below last_offset_delta + 1 after compaction */
};

/* ---- view ---------------------------------------------------------------------------------- */

enum record_batch_framing {
    RECORD_BATCH_WHOLE,
    RECORD_BATCH_PARTIAL, /* the buffer ends first: normal at the end of a Fetch response */
    RECORD_BATCH_CORRUPT, /* size or magic that cannot be */
};

/* Looks at the first batch of `buffer`: the size first (needs 12 bytes), then the magic (17). Fills
 * *batch only for WHOLE; no crc check. */
enum record_batch_framing record_batch_parse(struct bytes buffer, struct record_batch *batch);
/* Bytes of the batch that begins in `first` (at least RECORD_BATCH_PREFIX of them); 0 = corrupt. */
uint32_t record_batch_total(const uint8_t *first);
MUST_USE enum err record_batch_check_crc(struct cpu cpu, const struct record_batch *batch);

static inline int64_t record_batch_last_offset(const struct record_batch *batch)
{
    return batch->base_offset + batch->last_offset_delta;
}
/* First offset after the batch. */
static inline int64_t record_batch_end_offset(const struct record_batch *batch)
{
    return record_batch_last_offset(batch) + 1;
}
int32_t record_batch_last_sequence(const struct record_batch *batch); /* -1 none */
/* sequence + delta, wrapping from 2147483647 to 0. */
int32_t record_batch_sequence_add(int32_t sequence, int32_t delta);
static inline bool record_batch_is_control(const struct record_batch *batch)
{
    return (batch->attributes & RECORD_CONTROL) != 0;
}
static inline bool record_batch_is_transactional(const struct record_batch *batch)
{
    return (batch->attributes & RECORD_TRANSACTIONAL) != 0;
}
static inline bool record_batch_is_compressed(const struct record_batch *batch)
{
    return (batch->attributes & RECORD_CODEC_MASK) != 0;
}
/* The codec; ERR_CORRUPT_MESSAGE for 5 to 7. */
MUST_USE enum err record_batch_codec(const struct record_batch *batch, enum codec *codec);
/* The part after the header. */
struct bytes record_batch_payload(const struct record_batch *batch);

/* ---- iterate ------------------------------------------------------------------------------- */

/* Over the batches of a buffer: a Fetch response, a piece of a log. */
struct record_batch_iter {
    struct bytes rest;               /* not yet looked at; what is partial stays here */
    enum record_batch_framing ended; /* why next() was false: PARTIAL also for an empty rest */
};
void record_batch_iter_init(struct record_batch_iter *iter, struct bytes buffer);
bool record_batch_iter_next(struct record_batch_iter *iter, struct record_batch *batch);

/* ---- check --------------------------------------------------------------------------------- */

/* Everything about a client's batch that its header tells: crc, codec, count == last delta + 1 > 0,
 * no control, sequence with producer id, timestamp type 0, base offset 0. CORRUPT_MESSAGE or
 * INVALID_RECORD (storage.md 5.2, column CLIENT). */
MUST_USE enum err record_batch_check_client(struct cpu cpu, const struct record_batch *batch);
/* A batch copied from a leader (follower, raft): crc and framing of the header's numbers only. */
MUST_USE enum err record_batch_check_copy(struct cpu cpu, const struct record_batch *batch);

/* ---- patch --------------------------------------------------------------------------------- */

/* What the leader sets when it appends; outside the crc. `at` is the first byte of the batch. */
void record_batch_set_offset(uint8_t *at, int64_t base_offset, int32_t partition_leader_epoch);
void record_batch_set_base_offset(uint8_t *at, int64_t base_offset);
void record_batch_set_leader_epoch(uint8_t *at, int32_t partition_leader_epoch);
/* Attributes and max_timestamp are inside the crc, which is computed again. */
void record_batch_set_timestamp(struct cpu cpu, uint8_t *at, bool log_append_time,
                                int64_t max_timestamp);
/* Writes a header before the records that already stand at `at` + RECORD_BATCH_HEADER; computes
 * length and crc, takes the rest from *batch. `total`: header and records. */
void record_batch_write_header(struct cpu cpu, uint8_t *at, const struct record_batch *batch,
                               uint32_t total);

#endif
