/* The records of a batch: reading them one by one, strictly; control records. */
#ifndef CLIENT_WIRE_RECORD_H
#define CLIENT_WIRE_RECORD_H

#include "client/wire/record_batch.h"

struct record_header {
    struct bytes key; /* never null */
    struct bytes value;
};

struct record {
    int64_t offset;
    int64_t timestamp;
    int32_t offset_delta;
    struct bytes key; /* data == NULL: null */
    struct bytes value;
    uint32_t headers_count;
    struct bytes headers; /* encoded; record_headers_next reads them */
};

/* Over the records of a batch. */
struct record_iter {
    const struct record_batch *batch;
    struct wire_reader reader;
    int32_t left;
    int64_t timestamp_base;
    bool log_append_time;
};

/* `records`: the payload of the batch, or what compress.h made of it. */
void record_iter_init(struct record_iter *iter, const struct record_batch *batch,
                      struct bytes records);
/* ERR_NONE with *record; ERR_EOF after record_count records that fill the bytes exactly;
 * ERR_CORRUPT_MESSAGE for anything else. Strict: lengths, header counts and varints. */
MUST_USE enum err record_iter_next(struct record_iter *iter, struct record *record);
/* Takes the next header off `headers` (record.headers). */
MUST_USE enum err record_headers_next(struct bytes *headers, struct record_header *header);

/* What a walk over the records finds out. */
struct record_summary {
    int64_t max_timestamp;
    int32_t max_timestamp_delta; /* offset delta of the first record with it */
    int64_t min_timestamp;       /* of the records that have one; -1 none */
    int32_t first_without_key;   /* offset delta, -1 none: for compacted topics */
    bool dense;                  /* offset deltas are 0, 1, 2, ... */
};
/* Walks all records; ERR_CORRUPT_MESSAGE when they do not parse. */
MUST_USE enum err record_summarize(const struct record_batch *batch, struct bytes records,
                                   struct record_summary *summary);

/* ---- control records ------------------------------------------------------------------------ */

enum control_type {
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
    CONTROL_LEADER_CHANGE = 2,
    CONTROL_SNAPSHOT_HEADER = 3,
    CONTROL_SNAPSHOT_FOOTER = 4,
    CONTROL_KRAFT_VERSION = 5,
    CONTROL_KRAFT_VOTERS = 6,
    CONTROL_UNKNOWN = -1, /* newer than this code: skipped by readers */
};

/* The type out of the key of a control record. A newer key version reads as version 0. */
MUST_USE enum err record_control_type(const struct record *record, enum control_type *type);
/* The coordinator epoch out of a marker's value. */
MUST_USE enum err record_marker_epoch(const struct record *record, int32_t *coordinator_epoch);

/* What a control batch says of a transaction. */
struct record_marker {
    enum control_type type;    /* CONTROL_UNKNOWN: nothing, a compaction emptied it */
    int32_t coordinator_epoch; /* of CONTROL_ABORT and CONTROL_COMMIT; else -1 */
};
/* Of a whole control batch. CORRUPT_MESSAGE: its record does not parse, or is not at hand. */
MUST_USE enum err record_marker_read(const struct record_batch *batch,
                                     struct record_marker *marker);

#endif
