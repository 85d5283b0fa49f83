/* Makes record batches: for producers, for a controller or raft leader, for transaction markers,
 * for compaction. One buffer with a stated capacity; the first record sets the base timestamp. */
#ifndef CLIENT_WIRE_RECORD_BUILDER_H
#define CLIENT_WIRE_RECORD_BUILDER_H

#include "client/wire/record.h"

struct record_builder_config {
    struct cpu cpu;
    int64_t base_offset;            /* producers: 0 */
    int32_t partition_leader_epoch; /* producers: -1 */
    int16_t attributes;             /* without the codec */
    int64_t producer_id;            /* -1 none */
    int16_t producer_epoch;
    int32_t base_sequence;
};
/* As a producer without producer id wants it. */
struct record_builder_config record_builder_config_default(struct cpu cpu);

struct record_builder {
    struct record_builder_config config;
    uint8_t *buffer; /* borrowed; the header's 61 bytes are left free at its start */
    size_t capacity;
    size_t used;
    int32_t count;
    int32_t last_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
};

void record_builder_init(struct record_builder *builder, const struct record_builder_config *config,
                         void *buffer, size_t capacity);
/* ERR_TOO_LARGE when the record does not fit (nothing changed): close the batch, begin another. */
MUST_USE enum err record_builder_append(struct record_builder *builder, int64_t timestamp,
                                        struct bytes key, struct bytes value,
                                        const struct record_header *headers,
                                        uint32_t headers_count);
/* The same at a given offset delta, above the last one: for a compacted copy. */
MUST_USE enum err record_builder_append_at(struct record_builder *builder, int32_t delta,
                                           int64_t timestamp, struct bytes key, struct bytes value,
                                           const struct record_header *headers,
                                           uint32_t headers_count);
/* Bytes that this record would take at most. */
size_t record_builder_size_max(struct bytes key, struct bytes value,
                               const struct record_header *headers, uint32_t headers_count);
/* Records so far, uncompressed, for a codec. */
struct bytes record_builder_records(const struct record_builder *builder);
/* Writes the header: the batch is ready, at builder->buffer. The delta of the last offset is that
 * of the last record. */
struct bytes record_builder_finish(struct record_builder *builder);
/* Compressed: `target` has RECORD_BATCH_HEADER bytes free, then `length` bytes made by compress.h
 * from record_builder_records(). */
struct bytes record_builder_finish_compressed(struct record_builder *builder, enum codec codec,
                                              uint8_t *target, size_t length);

/* ---- control batches ------------------------------------------------------------------------ */

/* A control batch under construction; set base_offset, epoch and producer id in the config. */
struct record_builder_config record_builder_config_control(struct cpu cpu);
/* `value`: an encoded LeaderChangeMessage, SnapshotHeader, ... record. */
MUST_USE enum err record_builder_append_control(struct record_builder *builder, int64_t timestamp,
                                                enum control_type type, struct bytes value);
/* Value of CONTROL_ABORT and CONTROL_COMMIT. */
MUST_USE enum err record_builder_append_marker(struct record_builder *builder, int64_t timestamp,
                                               enum control_type type, int32_t coordinator_epoch);
#endif
