#include "broker/log/log_index.h"

#include "client/base/assert.h"
#include "client/base/byteorder.h"

#include <string.h>

enum { LOG_INDEX_FIRST_ROOM = 1 }; /* most logs are idle */

void log_index_init(struct log_index *index, struct mem *mem)
{
    *index = (struct log_index){.mem = mem, .max_timestamp = -1};
}

void log_index_deinit(struct log_index *index)
{
    mem_free(index->mem, index->offsets, index->offset_room * sizeof *index->offsets);
    mem_free(index->mem, index->times, index->time_room * sizeof *index->times);
    log_index_init(index, index->mem);
}

void log_index_clear(struct log_index *index)
{
    index->offset_count = 0;
    index->time_count = 0;
    index->since = 0;
    index->max_timestamp = -1;
    index->max_offset = 0;
}

/* A grown copy of an array, or NULL; the old one is then as it was. */
static void *log_index_grow(struct mem *mem, void *old, uint32_t *room, uint32_t want, size_t size)
{
    uint32_t grown = *room == 0 ? LOG_INDEX_FIRST_ROOM : *room;
    void *entries;

    while (grown < want)
        grown *= 2;
    entries = mem_alloc(mem, grown * size);
    if (entries == NULL) return NULL;
    if (*room > 0) memcpy(entries, old, *room * size);
    mem_free(mem, old, *room * size);
    *room = grown;
    return entries;
}

static bool log_index_room(struct log_index *index, uint32_t offsets, uint32_t times)
{
    void *grown;

    if (offsets > index->offset_room) {
        grown = log_index_grow(index->mem, index->offsets, &index->offset_room, offsets,
                               sizeof *index->offsets);
        if (grown == NULL) return false;
        index->offsets = grown;
    }
    if (times > index->time_room) {
        grown = log_index_grow(index->mem, index->times, &index->time_room, times,
                               sizeof *index->times);
        if (grown == NULL) return false;
        index->times = grown;
    }
    return true;
}

void log_index_finish(struct log_index *index)
{
    if (index->max_timestamp < 0) return;
    if (index->time_count > 0 &&
        index->times[index->time_count - 1].timestamp >= index->max_timestamp)
        return;
    if (!log_index_room(index, 0, index->time_count + 1)) return;
    index->times[index->time_count++] =
        (struct log_time_entry){index->max_timestamp, index->max_offset};
}

void log_index_add(struct log_index *index, uint32_t interval, uint32_t last_offset,
                   uint32_t position, uint32_t bytes, int64_t max_timestamp)
{
    if (max_timestamp > index->max_timestamp) {
        index->max_timestamp = max_timestamp;
        index->max_offset = last_offset;
    }
    if (index->since > interval && log_index_room(index, index->offset_count + 1, 0)) {
        index->offsets[index->offset_count++] = (struct log_index_entry){last_offset, position};
        log_index_finish(index);
        index->since = 0;
    }
    index->since += bytes;
}

bool log_index_full(const struct log_index *index, uint32_t index_bytes)
{
    return index->offset_count >= index_bytes / LOG_INDEX_ENTRY ||
           index->time_count + 1 >= index_bytes / LOG_TIME_ENTRY;
}

uint32_t log_index_find_span(const struct log_index *index, uint32_t offset, uint32_t *span)
{
    uint32_t low = 0;
    uint32_t high = index->offset_count;
    uint32_t position;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (index->offsets[middle].offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    position = low == 0 ? 0 : index->offsets[low - 1].position;
    *span = low == index->offset_count ? 0 : index->offsets[low].position - position;
    return position;
}

uint32_t log_index_find(const struct log_index *index, uint32_t offset)
{
    uint32_t span;

    return log_index_find_span(index, offset, &span);
}

void log_index_forget_times(struct log_index *index)
{
    mem_free(index->mem, index->times, index->time_room * sizeof *index->times);
    index->times = NULL;
    index->time_count = 0;
    index->time_room = 0;
}

uint32_t log_index_find_time(const struct log_index *index, int64_t timestamp)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < index->time_count && index->times[i].timestamp < timestamp; i++)
        found = index->times[i].offset;
    return found;
}

void log_index_cut(struct log_index *index, uint32_t offset)
{
    while (index->offset_count > 0 && index->offsets[index->offset_count - 1].offset >= offset)
        index->offset_count--;
    while (index->time_count > 0 && index->times[index->time_count - 1].offset >= offset)
        index->time_count--;
    index->max_timestamp = -1;
    index->max_offset = 0;
    if (index->time_count > 0) {
        index->max_timestamp = index->times[index->time_count - 1].timestamp;
        index->max_offset = index->times[index->time_count - 1].offset;
    }
    index->since = 0;
}

void log_index_put_offsets(const struct log_index *index, uint8_t *at)
{
    for (uint32_t i = 0; i < index->offset_count; i++, at += LOG_INDEX_ENTRY) {
        be_put32(at, index->offsets[i].offset);
        be_put32(at + 4, index->offsets[i].position);
    }
}

void log_index_put_times(const struct log_index *index, uint8_t *at)
{
    for (uint32_t i = 0; i < index->time_count; i++, at += LOG_TIME_ENTRY) {
        be_put64(at, (uint64_t)index->times[i].timestamp);
        be_put32(at + 8, index->times[i].offset);
    }
}

struct log_index_entry log_index_get_offset(const uint8_t *at)
{
    return (struct log_index_entry){be_get32(at), be_get32(at + 4)};
}

struct log_time_entry log_index_get_time(const uint8_t *at)
{
    return (struct log_time_entry){(int64_t)be_get64(at), be_get32(at + 8)};
}

enum err log_index_load(struct log_index *index, const uint8_t *offsets, uint32_t offsets_length,
                        const uint8_t *times, uint32_t times_length, uint64_t size)
{
    uint32_t offset_count = offsets_length / LOG_INDEX_ENTRY;
    uint32_t time_count = times_length / LOG_TIME_ENTRY;

    log_index_clear(index);
    if (offsets_length % LOG_INDEX_ENTRY != 0 || times_length % LOG_TIME_ENTRY != 0)
        return ERR_DAMAGED;
    if (!log_index_room(index, offset_count, time_count)) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < offset_count; i++) {
        struct log_index_entry entry = log_index_get_offset(offsets + (size_t)i * LOG_INDEX_ENTRY);

        if (entry.offset > INT32_MAX || entry.position >= size) return ERR_DAMAGED;
        if (i > 0 && (entry.offset <= index->offsets[i - 1].offset ||
                      entry.position <= index->offsets[i - 1].position))
            return ERR_DAMAGED;
        index->offsets[i] = entry;
    }
    for (uint32_t i = 0; i < time_count; i++) {
        struct log_time_entry entry = log_index_get_time(times + (size_t)i * LOG_TIME_ENTRY);

        if (entry.offset > INT32_MAX) return ERR_DAMAGED;
        if (i > 0 && (entry.timestamp <= index->times[i - 1].timestamp ||
                      entry.offset < index->times[i - 1].offset))
            return ERR_DAMAGED;
        index->times[i] = entry;
    }
    index->offset_count = offset_count;
    index->time_count = time_count;
    if (time_count > 0) {
        index->max_timestamp = index->times[time_count - 1].timestamp;
        index->max_offset = index->times[time_count - 1].offset;
    }
    return ERR_NONE;
}
