/* Walks the bytes of a segment in pieces of any size and checks the chain of batches: framing, crc,
 * offsets that continue, epochs that do not fall (H13). Constant memory whatever a batch weighs:
 * the header is collected, and a small batch as a whole (so that markers can be read); the rest
 * only passes the crc. Pure.
 *
 *     HEADER --61 bytes--> BODY --crc fits--> a batch, HEADER
 *        \________________________________--> BAD: the bytes from `position` on are no batch */
#ifndef BROKER_LOG_LOG_SCAN_H
#define BROKER_LOG_LOG_SCAN_H

#include "client/wire/record_batch.h"

enum log_scan_result {
    LOG_SCAN_MORE,  /* everything was consumed; more bytes, please */
    LOG_SCAN_BATCH, /* `batch` stands at `batch_position`; bytes.data NULL: more than is kept */
    LOG_SCAN_BAD,   /* for good; see `why` */
};

enum log_scan_why {
    LOG_SCAN_FRAMING,
    LOG_SCAN_CRC,
    LOG_SCAN_OFFSET, /* does not continue, or outside the segment */
    LOG_SCAN_EPOCH,  /* lower than the one before */
};

enum { LOG_SCAN_KEPT = 256 };

struct log_scan {
    uint64_t position;       /* end of the last good batch: where the chain is sound up to */
    uint64_t batch_position; /* of `batch` */
    int64_t next_offset;     /* after the last good batch */
    int64_t base;            /* of the segment */
    int32_t epoch;           /* of the last good batch; -1 none */
    bool gaps;               /* offsets may skip */
    enum log_scan_why why;
    struct record_batch batch;
    /* private */
    uint32_t have; /* bytes of the present batch seen */
    uint32_t total;
    uint32_t crc;
    bool slow;        /* the bytes came before: the crc is looked at after each of them */
    uint32_t fits_at; /* bytes of the present batch that are one by the crc, though fewer; 0 none */
    uint64_t behind;  /* up to 8 bytes behind those */
    uint8_t kept[LOG_SCAN_KEPT];
};

/* From `position`, where a batch with base offset `next_offset` (or above, with gaps;
 * -1: any) should begin. */
void log_scan_init(struct log_scan *scan, int64_t base, uint64_t position, int64_t next_offset,
                   int32_t epoch, bool gaps);
/* Takes bytes off `bytes`. */
enum log_scan_result log_scan_feed(struct log_scan *scan, struct cpu cpu, struct bytes *bytes);
/* Goes on after MORE or BAD as if nothing behind the last good batch had been seen: the bytes from
 * `position` on come again, and are looked at more closely (log_scan_torn). */
static inline void log_scan_again(struct log_scan *scan)
{
    scan->have = 0;
    scan->fits_at = 0;
    scan->slow = true;
}
/* Bytes of an unfinished batch behind the last good one. */
static inline uint32_t log_scan_partial(const struct log_scan *scan)
{
    return scan->have;
}
/* At the end of bytes that came again: those are the beginning of a batch. Where the crc fits fewer
 * bytes than the length says, and the file ends there or the next batch begins, the batch is all
 * there and its length is not what was written (DF8): no write that was cut short. Which the crc,
 * being none of the length, would not tell otherwise. */
static inline bool log_scan_torn(const struct log_scan *scan)
{
    return scan->have > 0 && scan->fits_at == 0;
}

#endif
