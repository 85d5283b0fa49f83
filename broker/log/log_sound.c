/* What of the closed segments was read, and found sound, since this process began: as runs of whole
 * batches. A run may go out as a range of its file, as long as it is in the page cache, for it is
 * the page cache that was looked at (architecture.md 6; storage.md 21.12).
 *
 * A run is forgotten when its bytes were read again without being looked at (what the device has
 * may be something else by now), when damage is found in its segment, when a compaction put another
 * file in the place of its own, and when the log is cut. */
#include "broker/log/log_private.h"

#include <string.h>

enum { SOUND_FIRST_ROOM = 16 };

void log_sound_forget(struct log *log, struct log_segment *segment)
{
    size_t size = segment->sound_room * sizeof *segment->sound;

    if (segment->sound == NULL) return;
    ASSERT(log->dir->sound_bytes >= size);
    log->dir->sound_bytes -= size;
    mem_free(&log->dir->env->mem, segment->sound, size);
    segment->sound = NULL;
    segment->sound_count = segment->sound_room = 0;
}

void log_sound_forget_all(struct log *log)
{
    for (uint32_t i = 0; i < log->segment_count; i++)
        log_sound_forget(log, log->segments[i]);
}

/* Index of the first run that ends above `position`. */
static uint32_t sound_at(const struct log_segment *segment, uint64_t position)
{
    uint32_t low = 0;
    uint32_t high = segment->sound_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct log_run *run = &segment->sound[middle];

        if ((uint64_t)run->position + run->length <= position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void log_sound_unread(struct log_segment *segment, uint64_t from, uint64_t to)
{
    uint32_t first = sound_at(segment, from);
    uint32_t end = first;

    while (end < segment->sound_count && segment->sound[end].position < to)
        end++;
    if (end == first) return;
    memmove(segment->sound + first, segment->sound + end,
            (segment->sound_count - end) * sizeof *segment->sound);
    segment->sound_count -= end - first;
}

static bool sound_grow(struct log *log, struct log_segment *segment)
{
    struct mem *mem = &log->dir->env->mem;
    uint32_t room = segment->sound_room == 0 ? SOUND_FIRST_ROOM : segment->sound_room * 2;
    size_t more = (room - segment->sound_room) * sizeof *segment->sound;
    struct log_run *grown;

    if (log->dir->sound_bytes + more > LOG_SOUND_BYTES) return false;
    grown = mem_alloc(mem, room * sizeof *grown);
    if (grown == NULL) return false;
    if (segment->sound_count > 0)
        memcpy(grown, segment->sound, segment->sound_count * sizeof *grown);
    mem_free(mem, segment->sound, segment->sound_room * sizeof *grown);
    segment->sound = grown;
    segment->sound_room = room;
    log->dir->sound_bytes += more;
    return true;
}

void log_sound_note(struct log *log, struct log_segment *segment, const struct log_run *run)
{
    uint32_t at;

    if (run->length < LOG_RANGE_MIN || segment == log_active(log)) return;
    log_sound_unread(segment, run->position, (uint64_t)run->position + run->length);
    if (segment->sound_count == segment->sound_room && !sound_grow(log, segment)) return;
    at = sound_at(segment, run->position);
    memmove(segment->sound + at + 1, segment->sound + at,
            (segment->sound_count - at) * sizeof *segment->sound);
    segment->sound[at] = *run;
    segment->sound_count++;
}

const struct log_run *log_sound_find(const struct log_segment *segment, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = segment->sound_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (segment->sound[middle].next <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < segment->sound_count ? &segment->sound[low] : NULL;
}

bool log_sound_from(const struct log_segment *segment, int64_t offset, int64_t limit,
                    uint32_t max_bytes, struct log_run *found)
{
    const struct log_run *run = log_sound_find(segment, offset);
    const struct log_run *end = segment->sound + segment->sound_count;

    if (run == NULL || run->first != offset || run->next > limit || run->length > max_bytes)
        return false;
    *found = *run++;
    while (run < end && run->first == found->next &&
           run->position == (uint64_t)found->position + found->length && run->next <= limit &&
           run->length <= max_bytes - found->length) {
        found->length += run->length;
        found->next = run->next;
        run++;
    }
    return true;
}
