/* What a leader checks before it takes a batch (storage.md 5.2): size, header, every record,
 * timestamps, sequence numbers. Pure but for the scratch that a compressed batch is inflated into:
 * once, with a bound, and the bytes are kept as the client sent them.
 *
 *   framing of the batch, crc, codec, the stream of the codec       CORRUPT_MESSAGE
 *   framing of a record, offsets not 0, 1, 2 ... n-1, a record
 *   without key for a compacted topic, what the header promises     INVALID_RECORD
 *   a timestamp out of the topic's range                            INVALID_TIMESTAMP
 *
 * A batch that stands in the log already passes none of this but framing and crc: the limits of the
 * topic and the time may have changed since it was taken, and its producer takes a refusal for a
 * batch that is nowhere (it cuts one that is too large, and sends the parts). DIFFERS: Kafka looks
 * for duplicates last.
 * DIFFERS: Kafka re-encodes a compressed batch whose inner offsets are not dense, here it is
 * refused; Kafka inflates as much as there is, here LOG_INFLATE_MAX is the end of it
 * (MESSAGE_TOO_LARGE). */
#include "broker/log/log_private.h"

#include "client/wire/compress.h"

enum {
    LOG_INFLATE_FIRST = 64 << 10,
    LOG_INFLATE_MAX = 32 << 20, /* of one batch, taken from the node's memory for the call */
};

/* Every record of an uncompressed batch, or of a compressed one inflated into scratch: tries with
 * four times its size, then twice that, up to the bound. */
static enum err validate_records(struct log *log, const struct record_batch *batch,
                                 struct record_summary *summary)
{
    struct mem *mem = &log->dir->env->mem;
    const struct codecs *codecs = log->dir->env->world->codecs;
    size_t room = LOG_INFLATE_FIRST;
    enum err err;

    if (!record_batch_is_compressed(batch))
        return record_summarize(batch, record_batch_payload(batch), summary) == ERR_NONE
                   ? ERR_NONE
                   : ERR_INVALID_RECORD;
    if (codecs == NULL) return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    while (room < (size_t)batch->bytes.length * 4)
        room *= 2;
    for (;; room *= 2) {
        struct bytes records;
        uint8_t *scratch;

        if (room > LOG_INFLATE_MAX) room = LOG_INFLATE_MAX;
        scratch = mem_alloc(mem, room);
        if (scratch == NULL) return ERR_NO_MEMORY;
        err = compress_open(codecs, batch, scratch, room, &records);
        if (err == ERR_NONE && record_summarize(batch, records, summary) != ERR_NONE)
            err = ERR_INVALID_RECORD;
        mem_free(mem, scratch, room);
        if (err != ERR_TOO_LARGE) return err;
        if (room == LOG_INFLATE_MAX) return ERR_MESSAGE_TOO_LARGE;
    }
}

/* -1 is no timestamp and is exempt. */
static enum err validate_times(const struct log *log, const struct record_summary *summary)
{
    const struct log_config *config = log->config;
    int64_t now_ms = log->dir->env->now.wall.ms;

    if (config->log_append_time || summary->min_timestamp < 0) return ERR_NONE;
    if (summary->max_timestamp > now_ms &&
        summary->max_timestamp - now_ms > config->timestamp_after_max_ms)
        return ERR_INVALID_TIMESTAMP;
    if (summary->min_timestamp < now_ms &&
        now_ms - summary->min_timestamp > config->timestamp_before_max_ms)
        return ERR_INVALID_TIMESTAMP;
    return ERR_NONE;
}

enum err log_validate_batch(struct log *log, const struct record_batch *batch,
                            enum log_origin origin, int64_t *max_timestamp)
{
    struct cpu cpu = log->dir->env->world->cpu;
    struct record_summary summary;
    enum err err;

    /* One of the metadata log is bounded by the quorum, and may have a segment of its own. */
    if (origin != LOG_RAFT && batch->bytes.length > log->config->segment_bytes)
        return ERR_RECORD_LIST_TOO_LARGE;
    if (batch->bytes.length > log->config->max_message_bytes) return ERR_MESSAGE_TOO_LARGE;
    switch (origin) {
    case LOG_CLIENT:
        err = record_batch_check_client(cpu, batch);
        if (err == ERR_NONE) err = validate_records(log, batch, &summary);
        if (err != ERR_NONE) return err;
        if (!summary.dense) return ERR_INVALID_RECORD;
        if (log->config->gaps && summary.first_without_key >= 0) return ERR_INVALID_RECORD;
        *max_timestamp = summary.max_timestamp;
        return validate_times(log, &summary);
    case LOG_COORDINATOR:
    case LOG_RAFT:
        *max_timestamp = batch->max_timestamp;
        return record_batch_check_copy(cpu, batch);
    }
    IMPOSSIBLE("origin");
}

static enum err validate_verdict(enum log_producer_verdict verdict)
{
    switch (verdict) {
    case LOG_PRODUCER_NEXT:
    case LOG_PRODUCER_DUPLICATE: return ERR_NONE;
    case LOG_PRODUCER_OUT_OF_ORDER: return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case LOG_PRODUCER_FENCED: return ERR_INVALID_PRODUCER_EPOCH;
    case LOG_PRODUCER_IN_TXN: return ERR_INVALID_TXN_STATE;
    case LOG_PRODUCER_COORDINATOR_FENCED: return ERR_TRANSACTION_COORDINATOR_FENCED;
    }
    IMPOSSIBLE("verdict");
}

enum err log_validate_producer(struct log *log, const struct record_batch *batch,
                               enum log_origin origin, struct log_append *append)
{
    struct log_producer_batch original;
    enum log_producer_verdict verdict;
    struct record_marker marker = {.coordinator_epoch = -1};

    append->duplicate = false;
    if (batch->producer_id < 0) return ERR_NONE;
    if (origin != LOG_CLIENT) {
        if (record_batch_is_control(batch)) {
            enum err err = record_marker_read(batch, &marker);

            if (err != ERR_NONE) return err;
        }
        return validate_verdict(
            log_producers_check_epochs(&log->producers, batch, marker.coordinator_epoch));
    }
    verdict = log_producers_check(&log->producers, batch, &original);
    if (verdict == LOG_PRODUCER_DUPLICATE) {
        *append = (struct log_append){.base_offset = original.last_offset - original.offset_delta,
                                      .last_offset = original.last_offset,
                                      .append_time_ms =
                                          log->config->log_append_time ? original.timestamp : -1,
                                      .generation = log->generation,
                                      .duplicate = true};
    }
    return validate_verdict(verdict);
}

bool log_validate_known(struct log *log, const struct record_batch *batch, enum log_origin origin,
                        struct log_append *append)
{
    struct log_append ticket = {.append_time_ms = -1};

    if (origin != LOG_CLIENT || batch->producer_id < 0) return false;
    if (log_validate_producer(log, batch, origin, &ticket) != ERR_NONE || !ticket.duplicate)
        return false;
    if (record_batch_check_client(log->dir->env->world->cpu, batch) != ERR_NONE) return false;
    *append = ticket;
    return true;
}
