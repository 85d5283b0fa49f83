/* Framing, header and rules of record batches. All numbers are big-endian:
 *
 *    0 base_offset int64          | outside the crc: the leader sets them
 *    8 batch_length int32         | bytes after this field, at least 49
 *   12 partition_leader_epoch int32
 *   16 magic int8                 | 2; at this place in every magic
 *   17 crc uint32                 | CRC-32C of 21..end
 *   21 attributes int16           | 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control,
 *                                 | 6 delete horizon
 *   23 last_offset_delta int32
 *   27 base_timestamp int64
 *   35 max_timestamp int64
 *   43 producer_id int64
 *   51 producer_epoch int16
 *   53 base_sequence int32
 *   57 record_count int32
 *   61 records                    | one compressed stream if there is a codec */
#include "client/wire/record_batch.h"

#include "client/base/byteorder.h"

#include <string.h>

enum {
    AT_LENGTH = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21,
    AT_MAX_TIMESTAMP = 35,
    SMALLEST_ANY_MAGIC = 14, /* batch_length of the smallest message of magic 0 */
};

/* ---- view ---------------------------------------------------------------------------------- */

uint32_t record_batch_total(const uint8_t *first)
{
    uint32_t length = be_get32(first + AT_LENGTH);

    if (length < SMALLEST_ANY_MAGIC || length > INT32_MAX - RECORD_BATCH_PREFIX) return 0;
    return length + RECORD_BATCH_PREFIX;
}

enum record_batch_framing record_batch_parse(struct bytes buffer, struct record_batch *batch)
{
    const uint8_t *at = buffer.data;
    uint32_t total;

    if (buffer.length < RECORD_BATCH_PREFIX) return RECORD_BATCH_PARTIAL;
    total = record_batch_total(at);
    if (total == 0) return RECORD_BATCH_CORRUPT;
    if (buffer.length <= AT_MAGIC) return RECORD_BATCH_PARTIAL;
    /* Magic 0 and 1 are gone (KIP-724): nothing writes them any more. */
    if (at[AT_MAGIC] != RECORD_BATCH_MAGIC || total < RECORD_BATCH_HEADER)
        return RECORD_BATCH_CORRUPT;
    if (buffer.length < total) return RECORD_BATCH_PARTIAL;
    *batch = (struct record_batch){
        .bytes = {at, total},
        .base_offset = (int64_t)be_get64(at),
        .partition_leader_epoch = (int32_t)be_get32(at + AT_LEADER_EPOCH),
        .crc = be_get32(at + AT_CRC),
        .attributes = (int16_t)be_get16(at + AT_ATTRIBUTES),
        .last_offset_delta = (int32_t)be_get32(at + 23),
        .base_timestamp = (int64_t)be_get64(at + 27),
        .max_timestamp = (int64_t)be_get64(at + AT_MAX_TIMESTAMP),
        .producer_id = (int64_t)be_get64(at + 43),
        .producer_epoch = (int16_t)be_get16(at + 51),
        .base_sequence = (int32_t)be_get32(at + 53),
        .record_count = (int32_t)be_get32(at + 57),
    };
    return RECORD_BATCH_WHOLE;
}

static uint32_t compute_crc(struct cpu cpu, const uint8_t *at, uint32_t total)
{
    return crc32c(cpu, 0, at + RECORD_BATCH_CRC_FROM, total - RECORD_BATCH_CRC_FROM);
}

enum err record_batch_check_crc(struct cpu cpu, const struct record_batch *batch)
{
    uint32_t crc = compute_crc(cpu, batch->bytes.data, batch->bytes.length);

    return crc == batch->crc ? ERR_NONE : ERR_CORRUPT_MESSAGE;
}

int32_t record_batch_last_sequence(const struct record_batch *batch)
{
    if (batch->base_sequence < 0) return -1;
    return record_batch_sequence_add(batch->base_sequence, batch->last_offset_delta);
}

int32_t record_batch_sequence_add(int32_t sequence, int32_t delta)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)delta) & INT32_MAX);
}

enum err record_batch_codec(const struct record_batch *batch, enum codec *codec)
{
    int number = batch->attributes & RECORD_CODEC_MASK;

    if (number > CODEC_ZSTD) return ERR_CORRUPT_MESSAGE;
    *codec = (enum codec)number;
    return ERR_NONE;
}

struct bytes record_batch_payload(const struct record_batch *batch)
{
    return (struct bytes){batch->bytes.data + RECORD_BATCH_HEADER,
                          batch->bytes.length - RECORD_BATCH_HEADER};
}

/* ---- iterate ------------------------------------------------------------------------------- */

void record_batch_iter_init(struct record_batch_iter *iter, struct bytes buffer)
{
    *iter = (struct record_batch_iter){.rest = buffer, .ended = RECORD_BATCH_WHOLE};
}

bool record_batch_iter_next(struct record_batch_iter *iter, struct record_batch *batch)
{
    enum record_batch_framing framing = record_batch_parse(iter->rest, batch);

    if (framing != RECORD_BATCH_WHOLE) {
        iter->ended = framing;
        return false;
    }
    iter->rest.data += batch->bytes.length;
    iter->rest.length -= batch->bytes.length;
    return true;
}

/* ---- check --------------------------------------------------------------------------------- */

static enum err check_numbers(const struct record_batch *batch)
{
    enum codec codec;

    if (batch->base_offset < 0 || batch->last_offset_delta < 0 || batch->record_count < 0)
        return ERR_CORRUPT_MESSAGE;
    if (batch->base_offset > INT64_MAX - 1 - batch->last_offset_delta) return ERR_CORRUPT_MESSAGE;
    if (batch->record_count > 0 && batch->record_count - 1 > batch->last_offset_delta)
        return ERR_CORRUPT_MESSAGE;
    return record_batch_codec(batch, &codec);
}

enum err record_batch_check_client(struct cpu cpu, const struct record_batch *batch)
{
    enum err err = record_batch_check_crc(cpu, batch);

    if (err == ERR_NONE) err = check_numbers(batch);
    if (err != ERR_NONE) return err;
    if (batch->base_offset != 0 || batch->record_count <= 0 ||
        batch->record_count - 1 != batch->last_offset_delta)
        return ERR_INVALID_RECORD;
    if ((batch->attributes & (RECORD_CONTROL | RECORD_LOG_APPEND_TIME | RECORD_DELETE_HORIZON)) !=
        0)
        return (batch->attributes & RECORD_LOG_APPEND_TIME) != 0 ? ERR_INVALID_TIMESTAMP
                                                                 : ERR_INVALID_RECORD;
    if (batch->producer_id >= 0 && (batch->base_sequence < 0 || batch->producer_epoch < 0))
        return ERR_INVALID_RECORD;
    if (record_batch_is_transactional(batch) && batch->producer_id < 0) return ERR_INVALID_RECORD;
    return ERR_NONE;
}

enum err record_batch_check_copy(struct cpu cpu, const struct record_batch *batch)
{
    enum err err = record_batch_check_crc(cpu, batch);

    return err != ERR_NONE ? err : check_numbers(batch);
}

/* ---- patch --------------------------------------------------------------------------------- */

void record_batch_set_offset(uint8_t *at, int64_t base_offset, int32_t partition_leader_epoch)
{
    record_batch_set_base_offset(at, base_offset);
    record_batch_set_leader_epoch(at, partition_leader_epoch);
}

void record_batch_set_base_offset(uint8_t *at, int64_t base_offset)
{
    be_put64(at, (uint64_t)base_offset);
}

void record_batch_set_leader_epoch(uint8_t *at, int32_t partition_leader_epoch)
{
    be_put32(at + AT_LEADER_EPOCH, (uint32_t)partition_leader_epoch);
}

void record_batch_set_timestamp(struct cpu cpu, uint8_t *at, bool log_append_time,
                                int64_t max_timestamp)
{
    uint32_t attributes = be_get16(at + AT_ATTRIBUTES) & ~(uint32_t)RECORD_LOG_APPEND_TIME;

    if (log_append_time) attributes |= RECORD_LOG_APPEND_TIME;
    be_put16(at + AT_ATTRIBUTES, (uint16_t)attributes);
    be_put64(at + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
    be_put32(at + AT_CRC, compute_crc(cpu, at, record_batch_total(at)));
}

void record_batch_write_header(struct cpu cpu, uint8_t *at, const struct record_batch *batch,
                               uint32_t total)
{
    memset(at, 0, RECORD_BATCH_HEADER);
    be_put64(at, (uint64_t)batch->base_offset);
    be_put32(at + AT_LENGTH, total - RECORD_BATCH_PREFIX);
    be_put32(at + AT_LEADER_EPOCH, (uint32_t)batch->partition_leader_epoch);
    at[AT_MAGIC] = RECORD_BATCH_MAGIC;
    be_put16(at + AT_ATTRIBUTES, (uint16_t)batch->attributes);
    be_put32(at + 23, (uint32_t)batch->last_offset_delta);
    be_put64(at + 27, (uint64_t)batch->base_timestamp);
    be_put64(at + AT_MAX_TIMESTAMP, (uint64_t)batch->max_timestamp);
    be_put64(at + 43, (uint64_t)batch->producer_id);
    be_put16(at + 51, (uint16_t)batch->producer_epoch);
    be_put32(at + 53, (uint32_t)batch->base_sequence);
    be_put32(at + 57, (uint32_t)batch->record_count);
    be_put32(at + AT_CRC, compute_crc(cpu, at, total));
}
