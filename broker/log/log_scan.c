#include "broker/log/log_scan.h"

#include <string.h>

void log_scan_init(struct log_scan *scan, int64_t base, uint64_t position, int64_t next_offset,
                   int32_t epoch, bool gaps)
{
    *scan = (struct log_scan){.position = position,
                              .next_offset = next_offset,
                              .base = base,
                              .epoch = epoch,
                              .gaps = gaps};
}

static enum log_scan_result log_scan_bad(struct log_scan *scan, enum log_scan_why why)
{
    scan->why = why;
    return LOG_SCAN_BAD;
}

/* The header is whole: is it a neighbour of the batch before? */
static enum log_scan_result log_scan_header(struct log_scan *scan)
{
    struct record_batch *batch = &scan->batch;
    int64_t last;

    scan->total = record_batch_total(scan->kept);
    if (scan->total < RECORD_BATCH_HEADER) return log_scan_bad(scan, LOG_SCAN_FRAMING);
    /* The parser wants to see all bytes: it reads only the header of them. */
    if (record_batch_parse((struct bytes){scan->kept, scan->total}, batch) != RECORD_BATCH_WHOLE)
        return log_scan_bad(scan, LOG_SCAN_FRAMING);
    if (scan->total > LOG_SCAN_KEPT) batch->bytes.data = NULL;
    if (batch->last_offset_delta < 0 || batch->record_count < 0)
        return log_scan_bad(scan, LOG_SCAN_FRAMING);
    if (batch->base_offset < scan->base || batch->base_offset < scan->next_offset)
        return log_scan_bad(scan, LOG_SCAN_OFFSET);
    if (!scan->gaps && scan->next_offset >= 0 && batch->base_offset != scan->next_offset)
        return log_scan_bad(scan, LOG_SCAN_OFFSET);
    last = batch->base_offset - scan->base;
    if (last > INT32_MAX - batch->last_offset_delta) return log_scan_bad(scan, LOG_SCAN_OFFSET);
    if (batch->partition_leader_epoch < scan->epoch) return log_scan_bad(scan, LOG_SCAN_EPOCH);
    return LOG_SCAN_MORE;
}

/* The 8 bytes behind it are the base offset of the next one. */
static bool log_scan_follows(const struct log_scan *scan)
{
    uint64_t end = (uint64_t)record_batch_end_offset(&scan->batch);

    return scan->gaps ? scan->behind >= end && scan->behind <= INT64_MAX : scan->behind == end;
}

/* As crc32c(), and notes where it fits before the batch is to end. */
static void log_scan_slowly(struct log_scan *scan, struct cpu cpu, const uint8_t *data,
                            uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        uint32_t have = scan->have + i + 1;

        scan->crc = crc32c(cpu, scan->crc, &data[i], 1);
        if (scan->fits_at > 0 && have - scan->fits_at <= 8) {
            scan->behind = scan->behind << 8 | data[i];
            if (have - scan->fits_at == 8 && !log_scan_follows(scan)) scan->fits_at = 0;
        } else if (scan->fits_at == 0 && scan->crc == scan->batch.crc && have < scan->total) {
            scan->fits_at = have;
            scan->behind = 0;
        }
    }
}

enum log_scan_result log_scan_feed(struct log_scan *scan, struct cpu cpu, struct bytes *bytes)
{
    while (bytes->length > 0) {
        uint32_t want = scan->have < RECORD_BATCH_HEADER ? RECORD_BATCH_HEADER : scan->total;
        uint32_t take = want - scan->have;

        if (take > bytes->length) take = bytes->length;
        if (want <= LOG_SCAN_KEPT) memcpy(scan->kept + scan->have, bytes->data, take);
        if (scan->have >= RECORD_BATCH_HEADER) {
            if (scan->slow) {
                log_scan_slowly(scan, cpu, bytes->data, take);
            } else {
                scan->crc = crc32c(cpu, scan->crc, bytes->data, take);
            }
        }
        scan->have += take;
        bytes->data += take;
        bytes->length -= take;
        if (scan->have == RECORD_BATCH_HEADER && want == RECORD_BATCH_HEADER) {
            if (log_scan_header(scan) == LOG_SCAN_BAD) return LOG_SCAN_BAD;
            scan->crc = crc32c(cpu, 0, scan->kept + RECORD_BATCH_CRC_FROM,
                               RECORD_BATCH_HEADER - RECORD_BATCH_CRC_FROM);
            scan->behind = 0;
            scan->fits_at = scan->slow && scan->crc == scan->batch.crc &&
                                    scan->total > RECORD_BATCH_HEADER /* one without records */
                                ? RECORD_BATCH_HEADER
                                : 0;
        }
        if (scan->have < RECORD_BATCH_HEADER || scan->have < scan->total) continue;
        if (scan->crc != scan->batch.crc) return log_scan_bad(scan, LOG_SCAN_CRC);
        scan->batch_position = scan->position;
        scan->position += scan->total;
        scan->next_offset = record_batch_end_offset(&scan->batch);
        scan->epoch = scan->batch.partition_leader_epoch;
        scan->have = scan->fits_at = 0;
        scan->slow = false;
        return LOG_SCAN_BATCH;
    }
    return LOG_SCAN_MORE;
}
