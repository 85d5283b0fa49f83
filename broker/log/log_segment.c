/* The segments of a log in memory: ascending, the last one is written. */
#include "broker/log/log_private.h"

#include <string.h>

struct log_segment *log_segment_add(struct log *log, int64_t base)
{
    struct mem *mem = &log->dir->env->mem;
    struct log_segment *segment;

    if (log->segment_count == log->segment_room) {
        uint32_t room = log->segment_room == 0 ? 2 : log->segment_room * 2;
        struct log_segment **grown = mem_alloc(mem, room * sizeof *grown);

        if (grown == NULL) return NULL;
        if (log->segment_count > 0)
            memcpy(grown, log->segments, log->segment_count * sizeof *grown);
        mem_free(mem, log->segments, log->segment_room * sizeof *grown);
        log->segments = grown;
        log->segment_room = room;
    }
    segment = mem_alloc(mem, sizeof *segment);
    if (segment == NULL) return NULL;
    *segment = (struct log_segment){.base = base,
                                    .end = base,
                                    .max_timestamp = -1,
                                    .first_timestamp = -1,
                                    .retain_ms = -1,
                                    .created_ms = log->dir->env->now.wall.ms};
    log->segments[log->segment_count++] = segment;
    return segment;
}

void log_segment_drop_last(struct log *log)
{
    struct mem *mem = &log->dir->env->mem;
    struct log_segment *segment = log_active(log);

    log_file_drop(segment);
    log_lookup_forget(log, segment);
    log_sound_forget(log, segment);
    if (segment->index != NULL) {
        log_index_deinit(segment->index);
        mem_free(mem, segment->index, sizeof *segment->index);
    }
    mem_free(mem, segment, sizeof *segment);
    log->segment_count--;
}

void log_segment_drop_first(struct log *log)
{
    log_segment_drop_at(log, 0);
}

void log_segment_drop_at(struct log *log, uint32_t at)
{
    struct mem *mem = &log->dir->env->mem;
    struct log_segment *segment = log->segments[at];

    ASSERT(at + 1 < log->segment_count && segment->index == NULL);
    log_file_drop(segment);
    log_lookup_forget(log, segment);
    log_sound_forget(log, segment);
    mem_free(mem, segment, sizeof *segment);
    log->segment_count--;
    memmove(log->segments + at, log->segments + at + 1,
            (log->segment_count - at) * sizeof *log->segments);
}

uint32_t log_segment_find(const struct log *log, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = log->segment_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (log->segments[middle]->base <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : low - 1;
}

int64_t log_closed_end(const struct log *log)
{
    return log_active(log)->base;
}

uint64_t log_closed_bytes(const struct log *log)
{
    return log_size(log) - log_active(log)->size;
}

enum err log_segment_index(struct log *log, struct log_segment *segment)
{
    struct mem *mem = &log->dir->env->mem;

    log_lookup_forget(log, segment);
    if (segment->index != NULL) {
        log_index_clear(segment->index);
        return ERR_NONE;
    }
    segment->index = mem_alloc(mem, sizeof *segment->index);
    if (segment->index == NULL) return ERR_NO_MEMORY;
    log_index_init(segment->index, mem);
    return ERR_NONE;
}
