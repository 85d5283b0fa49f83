#include "broker/log/log_filter.h"

#include "client/base/assert.h"
#include "client/wire/wire.h"

#include <string.h>

enum {
    FILTER_INFLATE_FIRST = 64 << 10,
    FILTER_INFLATE_MAX = 32 << 20, /* of one batch; what a leader takes in (log_validate.c) */
};

bool log_bytes_room(struct log_bytes *bytes, size_t room)
{
    uint8_t *data;

    if (room <= bytes->room) return true;
    data = mem_alloc(bytes->mem, room);
    if (data == NULL) return false;
    if (bytes->used > 0) memcpy(data, bytes->data, bytes->used);
    mem_free(bytes->mem, bytes->data, bytes->room);
    bytes->data = data;
    bytes->room = room;
    return true;
}

void log_bytes_free(struct log_bytes *bytes)
{
    mem_free(bytes->mem, bytes->data, bytes->room);
    *bytes = (struct log_bytes){.mem = bytes->mem};
}

void log_filter_init(struct log_filter *filter, struct mem *mem, struct cpu cpu,
                     const struct codecs *codecs, const struct log_keymap *map)
{
    *filter = (struct log_filter){.cpu = cpu, .codecs = codecs, .map = map};
    filter->inflated.mem = mem;
    filter->kept.mem = mem;
    filter->other.mem = mem;
}

void log_filter_deinit(struct log_filter *filter)
{
    log_bytes_free(&filter->inflated);
    log_bytes_free(&filter->kept);
    log_bytes_free(&filter->other);
}

enum err log_filter_open(const struct codecs *codecs, const struct record_batch *batch,
                         struct log_bytes *inflated, struct bytes *records)
{
    size_t room = FILTER_INFLATE_FIRST;

    *records = record_batch_payload(batch);
    /* An emptied batch keeps its codec, and there is no stream behind it. */
    if (!record_batch_is_compressed(batch) || batch->record_count == 0) return ERR_NONE;
    if (codecs == NULL) return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    while (room < (size_t)batch->bytes.length * 4)
        room *= 2;
    for (;; room *= 2) {
        enum err err;

        if (room > FILTER_INFLATE_MAX) room = FILTER_INFLATE_MAX;
        inflated->used = 0;
        if (!log_bytes_room(inflated, room)) return ERR_NO_MEMORY;
        err = compress_open(codecs, batch, inflated->data, inflated->room, records);
        if (err != ERR_TOO_LARGE || room == FILTER_INFLATE_MAX) return err;
    }
}

static bool filter_has_horizon(const struct record_batch *batch)
{
    return (batch->attributes & RECORD_DELETE_HORIZON) != 0;
}

enum err log_filter_begin(struct log_filter *filter, const struct record_batch *batch,
                          struct log_filter_batch about)
{
    struct bytes records;
    enum err err = log_filter_open(filter->codecs, batch, &filter->inflated, &records);

    if (err != ERR_NONE) return err;
    filter->kept.used = 0;
    if (!log_bytes_room(&filter->kept, RECORD_BATCH_HEADER + (size_t)records.length))
        return ERR_NO_MEMORY;
    filter->batch = *batch;
    filter->about = about;
    filter->kept.used = RECORD_BATCH_HEADER;
    filter->kept_count = 0;
    filter->kept_max_timestamp = -1;
    filter->horizon = filter_has_horizon(batch) ? batch->base_timestamp : -1;
    filter->dropped = false;
    filter->tombstones = false;
    filter->redating = false;
    filter->result = BYTES_NULL;
    filter->max_timestamp = batch->max_timestamp;
    record_iter_init(&filter->iter, &filter->batch, records);
    /* A marker of a transaction that is gone stays until its horizon: who reads the log from its
     * beginning may have seen the transaction's data before. */
    filter->marker = about.discard && record_batch_is_control(batch) &&
                     (filter->horizon < 0 || filter->now_ms < filter->horizon);
    if (filter->marker) filter->about.discard = false;
    return ERR_NONE;
}

static bool filter_keeps(const struct log_filter *filter, const struct record *record)
{
    if (filter->about.discard) return false;
    if (record_batch_is_control(&filter->batch)) return true;
    if (record->offset > filter->map->latest) return true;
    if (record->key.data == NULL) return false;
    if (record->offset < log_keymap_get(filter->map, record->key)) return false;
    if (record->value.data != NULL) return true;
    return filter->horizon < 0 || filter->now_ms < filter->horizon;
}

static size_t filter_varlong(uint8_t *at, int64_t value)
{
    uint64_t rest = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    size_t used = 0;

    for (; rest >= 0x80; rest >>= 7)
        at[used++] = (uint8_t)(rest | 0x80);
    at[used++] = (uint8_t)rest;
    return used;
}

/* One record with another delta: length and timestamp change, what follows is copied. */
static bool filter_redate(struct log_filter *filter, const uint8_t *from, size_t length,
                          int64_t timestamp)
{
    struct wire_reader reader;
    uint8_t delta[10];
    size_t delta_size;
    size_t rest;
    uint8_t *at;
    uint8_t attributes;

    wire_reader_init(&reader, from, length);
    (void)wire_read_varint(&reader);
    attributes = (uint8_t)wire_read_int8(&reader);
    (void)wire_read_varlong(&reader);
    rest = wire_left(&reader);
    delta_size = filter_varlong(delta, (int64_t)((uint64_t)timestamp - (uint64_t)filter->horizon));
    if (!log_bytes_room(&filter->other, filter->other.used + length + 20)) return false;
    at = filter->other.data + filter->other.used;
    at += filter_varlong(at, (int64_t)(1 + delta_size + rest));
    *at++ = attributes;
    memcpy(at, delta, delta_size);
    at += delta_size;
    memcpy(at, reader.at, rest);
    at += rest;
    filter->other.used = (size_t)(at - filter->other.data);
    return true;
}

static enum log_filter_result filter_fail(struct log_filter *filter, enum err err)
{
    filter->err = err;
    return LOG_FILTER_FAILED;
}

/* It stays to tell its epoch, and tells nothing of a producer any more. */
static void filter_disown(struct record_batch *batch)
{
    batch->attributes = (int16_t)(batch->attributes & ~(RECORD_TRANSACTIONAL | RECORD_CONTROL));
    batch->producer_id = -1;
    batch->producer_epoch = -1;
    batch->base_sequence = -1;
}

/* Header before the records in `records`; compressed as the batch was. */
static enum log_filter_result filter_finish(struct log_filter *filter, struct log_bytes *records)
{
    struct record_batch batch = filter->batch;
    struct bytes plain = {records->data + RECORD_BATCH_HEADER,
                          (uint32_t)(records->used - RECORD_BATCH_HEADER)};
    uint32_t total = (uint32_t)records->used;
    uint8_t *at = records->data;
    enum codec codec;
    enum err err = record_batch_codec(&batch, &codec);

    if (err != ERR_NONE) return filter_fail(filter, err);
    batch.record_count = filter->kept_count;
    if (filter->kept_count > 0 && (batch.attributes & RECORD_LOG_APPEND_TIME) == 0)
        batch.max_timestamp = filter->kept_max_timestamp;
    if (filter->horizon >= 0 && filter->kept_count > 0) {
        batch.attributes = (int16_t)(batch.attributes | RECORD_DELETE_HORIZON);
        batch.base_timestamp = filter->horizon;
    }
    if (filter->kept_count == 0) {
        batch.attributes = (int16_t)(batch.attributes & ~RECORD_DELETE_HORIZON);
        batch.base_timestamp = -1;
        if (!filter->about.needed) filter_disown(&batch);
    } else if (codec != CODEC_NONE) {
        struct log_bytes *target = records == &filter->kept ? &filter->other : &filter->kept;
        size_t bound = compress_bound(codec, plain.length);
        size_t length;

        target->used = 0;
        if (!log_bytes_room(target, RECORD_BATCH_HEADER + bound))
            return filter_fail(filter, ERR_NO_MEMORY);
        at = target->data;
        err = compress_encode(filter->codecs, codec, COMPRESS_LEVEL_DEFAULT, plain,
                              at + RECORD_BATCH_HEADER, bound, &length);
        if (err != ERR_NONE) return filter_fail(filter, err);
        total = (uint32_t)(RECORD_BATCH_HEADER + length);
    }
    record_batch_write_header(filter->cpu, at, &batch, total);
    filter->result = (struct bytes){at, total};
    filter->max_timestamp = batch.max_timestamp;
    return LOG_FILTER_WRITE;
}

/* All records were looked at. */
static enum log_filter_result filter_decide(struct log_filter *filter)
{
    const struct record_batch *batch = &filter->batch;

    if (filter->kept_count == 0) {
        if (!filter->about.needed && !filter->about.begins_epoch) return LOG_FILTER_GONE;
        if (batch->record_count == 0 && (filter->about.needed || batch->producer_id < 0))
            return LOG_FILTER_KEEP;
        filter->kept.used = RECORD_BATCH_HEADER;
        return filter_finish(filter, &filter->kept);
    }
    if (filter->horizon < 0 && (filter->tombstones || filter->marker)) {
        struct bytes records = {filter->kept.data + RECORD_BATCH_HEADER,
                                (uint32_t)(filter->kept.used - RECORD_BATCH_HEADER)};

        filter->horizon = filter->now_ms + filter->delete_retention_ms;
        filter->batch.record_count = filter->kept_count;
        record_iter_init(&filter->iter, &filter->batch, records);
        filter->other.used = 0;
        if (!log_bytes_room(&filter->other, filter->kept.used + RECORD_BATCH_HEADER))
            return filter_fail(filter, ERR_NO_MEMORY);
        filter->other.used = RECORD_BATCH_HEADER;
        filter->redating = true;
        return LOG_FILTER_MORE;
    }
    if (!filter->dropped) return LOG_FILTER_KEEP;
    return filter_finish(filter, &filter->kept);
}

/* The second pass: the records that stay get the horizon as their base. */
static enum log_filter_result filter_redate_step(struct log_filter *filter, uint32_t *budget)
{
    while (*budget > 0) {
        const uint8_t *from = filter->iter.reader.at;
        struct record record;
        enum err err = record_iter_next(&filter->iter, &record);

        if (err == ERR_EOF) return filter_finish(filter, &filter->other);
        if (err != ERR_NONE) return filter_fail(filter, err);
        if (!filter_redate(filter, from, (size_t)(filter->iter.reader.at - from), record.timestamp))
            return filter_fail(filter, ERR_NO_MEMORY);
        --*budget;
    }
    return LOG_FILTER_MORE;
}

enum log_filter_result log_filter_step(struct log_filter *filter, uint32_t *budget)
{
    if (filter->redating) return filter_redate_step(filter, budget);
    while (*budget > 0) {
        const uint8_t *from = filter->iter.reader.at;
        struct record record;
        enum err err = record_iter_next(&filter->iter, &record);
        size_t length;

        if (err == ERR_EOF) {
            enum log_filter_result result = filter_decide(filter);

            if (result != LOG_FILTER_MORE) return result;
            return filter_redate_step(filter, budget);
        }
        if (err != ERR_NONE) return filter_fail(filter, err);
        --*budget;
        if (!filter_keeps(filter, &record)) {
            filter->dropped = true;
            continue;
        }
        length = (size_t)(filter->iter.reader.at - from);
        memcpy(filter->kept.data + filter->kept.used, from, length);
        filter->kept.used += length;
        filter->kept_count++;
        if (record.value.data == NULL) filter->tombstones = true;
        if (record.timestamp > filter->kept_max_timestamp)
            filter->kept_max_timestamp = record.timestamp;
    }
    return LOG_FILTER_MORE;
}
