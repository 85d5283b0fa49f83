/* The sparse indexes of one segment as arrays in memory: offset -> position every
 * index.interval.bytes, and (timestamp, offset) beside it (storage.md 2.4, 2.5, 4). An active
 * segment has them in memory; a closed one on disk, read by log_read.c. Pure.
 *
 *   .index      8 bytes an entry:  int32 offset - base, int32 position of its batch
 *   .timeindex 12 bytes an entry:  int64 timestamp, int32 offset - base
 *
 * Entries are made per batch, at completion: last offset of the batch -> where it begins, when more
 * than the interval was written since the last entry. */
#ifndef BROKER_LOG_LOG_INDEX_H
#define BROKER_LOG_LOG_INDEX_H

#include "client/base/err.h"
#include "client/base/mem.h"

#include <stdbool.h>

enum { LOG_INDEX_ENTRY = 8, LOG_TIME_ENTRY = 12 };

struct log_index_entry {
    uint32_t offset; /* relative to the segment's base */
    uint32_t position;
};

struct log_time_entry {
    int64_t timestamp; /* no record at or below `offset` is newer */
    uint32_t offset;
};

/* Grow by doubling from one entry; at most segment.index.bytes. */
struct log_index {
    struct mem *mem;
    struct log_index_entry *offsets;
    struct log_time_entry *times;
    uint32_t offset_count;
    uint32_t offset_room;
    uint32_t time_count;
    uint32_t time_room;
    uint32_t since;        /* bytes after the last entry */
    int64_t max_timestamp; /* of the segment so far; -1 none */
    uint32_t max_offset;   /* relative: last offset of the first batch that has it */
};

void log_index_init(struct log_index *index, struct mem *mem);
void log_index_deinit(struct log_index *index);
void log_index_clear(struct log_index *index);

/* A batch was appended. Without memory the entry is left out: the index is sparse anyway. */
void log_index_add(struct log_index *index, uint32_t interval, uint32_t last_offset,
                   uint32_t position, uint32_t bytes, int64_t max_timestamp);
/* The entry with the greatest timestamp, forced at a roll or close. */
void log_index_finish(struct log_index *index);
/* Whether one of the arrays has reached `index_bytes`; the time index one entry early (2.5). */
bool log_index_full(const struct log_index *index, uint32_t index_bytes);
/* Position at or before the batch that holds `offset`. */
uint32_t log_index_find(const struct log_index *index, uint32_t offset);
/* The same; *span: how far from there to the next entry, whose batch ends behind `offset`; 0: there
 * is none. */
uint32_t log_index_find_span(const struct log_index *index, uint32_t offset, uint32_t *span);
/* Of an index that is only asked for offsets. */
void log_index_forget_times(struct log_index *index);
/* The greatest entry with timestamp <= `timestamp`: records after it may be newer. 0 when none. */
uint32_t log_index_find_time(const struct log_index *index, int64_t timestamp);
/* Drops entries at or above `offset`. The caller rescans for max_timestamp and since. */
void log_index_cut(struct log_index *index, uint32_t offset);

/* File forms; `at` has room for count * entry bytes. */
void log_index_put_offsets(const struct log_index *index, uint8_t *at);
void log_index_put_times(const struct log_index *index, uint8_t *at);
struct log_index_entry log_index_get_offset(const uint8_t *at);
struct log_time_entry log_index_get_time(const uint8_t *at);
/* Replaces the arrays by what the files hold: DAMAGED when a length is odd, entries do not
 * increase or reach beyond `size` (then empty). */
MUST_USE enum err log_index_load(struct log_index *index, const uint8_t *offsets,
                                 uint32_t offsets_length, const uint8_t *times,
                                 uint32_t times_length, uint64_t size);

#endif
