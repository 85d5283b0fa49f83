/* The walk of an open over the batches: which segment it begins with and what it builds, the
 * verdict at its end (head comment of log_open.c), what is saved of a closed segment, and what the
 * log is when all of it was read. */
#include "broker/log/log_open_private.h"

/* After the snapshot is known: the segment that the walk begins with. */
void log_open_choose(struct log_flow *o)
{
    struct log *log = o->log;
    int64_t from = o->snapshot;

    if (!o->clean && o->from < from) from = o->from;
    if (log->config->verify_all || o->epochs_bad || from < 0) from = 0;
    o->segment = log_segment_find(log, from);
    o->first = true;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct log_segment *segment = log->segments[i];
        int64_t size = log_open_list_size(o, segment->base, ".index");
        int64_t times = log_open_list_size(o, segment->base, ".timeindex");

        segment->index_bad = size < 0 || times < 0 || size % LOG_INDEX_ENTRY != 0 ||
                             times % LOG_TIME_ENTRY != 0 || size > LOG_OPEN_INDEX_MAX ||
                             times > LOG_OPEN_INDEX_MAX;
        if (segment->index_bad) continue;
        segment->offset_count = (uint32_t)(size / LOG_INDEX_ENTRY);
        segment->time_count = (uint32_t)(times / LOG_TIME_ENTRY);
    }
}

/* The producers are known from its base on, or from a mark whose transaction index was loaded. */
static bool open_knows_aborted(const struct log_flow *o)
{
    return o->snapshot <= o->log->segments[o->segment]->base ||
           (o->marked && o->segment == o->from_segment);
}

/* Starts the walk of o->segment; its index is in memory, empty or as loaded. */
void log_open_walk(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_segment *segment = log->segments[o->segment];
    struct log_index *index = segment->index;
    bool last = o->segment + 1 == log->segment_count;
    uint64_t position = 0;
    int64_t next = segment->base;

    if (index->offset_count > 0 &&
        ((o->clean && last && o->snapshot == log->known->clean_end) || (o->marked && o->first))) {
        position = index->offsets[index->offset_count - 1].position;
        next = -1;
    } else {
        log_index_clear(index);
    }
    if (o->first) {
        o->from_segment = o->segment;
        o->from_position = position;
    }
    if (o->snapshot <= segment->base) log->aborted.count = 0;
    log_walk_start(&o->walk, log, segment, position, next, o->first ? -1 : o->walk.scan.epoch);
    o->walk.producers_from = o->snapshot;
    o->walk.index = true;
    o->walk.aborted = open_knows_aborted(o);
    /* After an unclean stop a failed sync may have left pages in the cache that the device never
     * saw, and that no later sync writes: what counts is what the device says (H5). */
    if (!log->dir->was_clean) o->walk.read_flags = DISK_UNCACHED;
    o->walk.epochs_from = o->epochs_from;
    o->first = false;
}

/* The directory tells of a life that lost nothing, and the broker is registered on that: it stays
 * in the ELR for what it has (KIP-966). A process that is killed leaves the beginning of its last
 * write, so no more than a file that ends within a batch. Anything else is a loss: not cut, or the
 * next life would vouch for the rest, but told (DF11). The metadata log promises what was synced.
 */
static bool open_breaks_word(const struct log_flow *o, bool last)
{
    const struct log *log = o->log;

    if (log->dir->previous_broker_epoch < 0 || log->config->verify_all) return false;
    return !(last && o->walk.end == LOG_WALK_BAD && o->walk.ends_short);
}

enum log_open_verdict log_open_judge(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_walk *walk = &o->walk;
    struct log_segment *segment = log->segments[o->segment];
    bool last = o->segment + 1 == log->segment_count;
    int64_t end = walk->scan.next_offset;
    bool whole = false;

    switch (walk->end) {
    case LOG_WALK_ERROR: o->err = walk->err; return LOG_OPEN_ERROR;
    case LOG_WALK_WHOLE: whole = true; break;
    case LOG_WALK_BAD: break;
    case LOG_WALK_STOP: IMPOSSIBLE("a recovery walks to the end");
    }
    if (end < 0) end = segment->base; /* not one batch after the index entry: cannot be */
    if (whole && !last && !log_gaps(log) && log->segments[o->segment + 1]->base != end)
        whole = false; /* a hole between two segments (H14) */
    if (whole && last && end < o->promised) whole = false;
    segment->end = end;
    if (whole) return LOG_OPEN_NEXT;
    if (end < o->promised || open_breaks_word(o, last)) return LOG_OPEN_ROTTEN;
    o->cut = true;
    o->cut_bytes = segment->size - walk->scan.position;
    for (uint32_t i = o->segment + 1; i < log->segment_count; i++)
        o->cut_bytes += log->segments[i]->size;
    segment->size = walk->scan.position;
    LOG_TRACE(log, LOG_RECOVERED_TO, segment->base, end, (int64_t)o->cut_bytes);
    return LOG_OPEN_TORN;
}

/* After the walk from a mark: the index led astray, or what it leads to is not what was promised.
 * From the beginning of the segment then, and what is found there counts. */
bool log_open_mark_fails(struct log_flow *o)
{
    const struct log_walk *walk = &o->walk;

    if (!o->marked || o->segment != o->from_segment || o->from_position == 0) return false;
    if (walk->end == LOG_WALK_ERROR) return false;
    if (walk->first >= 0 && walk->first <= o->snapshot && walk->scan.next_offset >= o->promised)
        return false;
    return true;
}

/* A closed segment was walked: its index goes to disk and out of memory. */
void log_open_save_part(struct log_flow *o, bool times)
{
    struct log_segment *segment = o->log->segments[o->segment];
    struct log_index *index = segment->index;
    char name[LOG_FILE_NAME];
    size_t size = times ? (size_t)index->time_count * LOG_TIME_ENTRY
                        : (size_t)index->offset_count * LOG_INDEX_ENTRY;

    if (!log_flow_room(o, size + 1)) {
        o->err = ERR_NO_MEMORY;
        return;
    }
    o->bytes_used = size;
    if (times) {
        log_index_put_times(index, o->bytes);
    } else {
        log_index_put_offsets(index, o->bytes);
    }
    log_file_name(name, segment->base, times ? ".timeindex" : ".index");
    log_save_start(&o->save, log_flow_env(o), o->path, name, log_flow_bytes(o), false);
}

/* The third file. Where the producers were not replayed the old one stays. */
void log_open_save_aborted(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_segment *segment = log->segments[o->segment];
    char name[LOG_FILE_NAME];
    size_t size = (size_t)log->aborted.count * LOG_ABORTED_ENTRY;

    if (o->save.err != ERR_NONE || !open_knows_aborted(o)) return;
    if (log->aborted.count == 0 && !segment->aborted) return;
    if (!log_flow_room(o, size + 1)) {
        o->err = ERR_NO_MEMORY;
        return;
    }
    o->bytes_used = size;
    log_aborted_put(&log->aborted, o->bytes);
    segment->aborted = log->aborted.count > 0;
    log_file_name(name, segment->base, ".txnindex");
    log_save_start(&o->save, log_flow_env(o), o->path, name, log_flow_bytes(o), false);
}

void log_open_index_closed(struct log_flow *o)
{
    struct log_segment *segment = o->log->segments[o->segment];

    segment->offset_count = segment->index->offset_count;
    segment->time_count = segment->index->time_count;
    segment->index_bad = o->save.err != ERR_NONE; /* H1: no index file is no reason to fail */
    log_index_deinit(segment->index);
    mem_free(&log_flow_env(o)->mem, segment->index, sizeof *segment->index);
    segment->index = NULL;
}

/* The next recovery would begin where this one did, until there is a mark. */
static void open_expose(struct log_flow *o)
{
    struct log *log = o->log;
    uint64_t bytes = 0;

    for (uint32_t i = o->from_segment; !o->clean && i < log->segment_count; i++)
        bytes += log->segments[i]->size;
    log_mark_exposed(log, bytes > o->from_position ? bytes - o->from_position : 0);
}

/* Everything that was read is in its place. */
void log_open_take(struct log_flow *o)
{
    struct log *log = o->log;
    const struct log_known *known = log->known;
    int64_t start = log->segments[0]->base;

    log->log_end = log_active(log)->end;
    log->log_start = known->log_start > start ? known->log_start : start;
    log->cut_bytes = o->cut_bytes;
    log->opened_clean = o->clean;
    log->saved = o->clean && !o->cut && o->snapshot == log->log_end &&
                 !log_active(log)->index_bad; /* index files and snapshot are of this very end */
    if (log->log_end < log->log_start) {
        /* Older than what was deleted on purpose: nothing of it may come back (storage.md 13.4). */
        log->wanted |= LOG_WANT_RESET;
        log->wanted_to = log->log_start;
        log->log_start = log->log_end;
    }
    log->synced_end = o->clean ? log->log_end : o->promised;
    for (uint32_t i = 0; i < log->segment_count; i++)
        log->segments[i]->dirty = log->segments[i]->end > log->synced_end;
    /* Nothing is left to be synced below the start, but its bytes may have to be: those of a later
     * promise stand behind them. */
    if (log->synced_end < log->log_start) log->synced_end = log->log_start;
    if (log->synced_end > log->log_end) log->synced_end = log->log_end;
    if (log->mark > log->log_end) log->mark = -1;
    open_expose(o);
    log->high_watermark = known->high_watermark;
    if (log->high_watermark < log->log_start) log->high_watermark = log->log_start;
    if (log->high_watermark > log->log_end) log->high_watermark = log->log_end;
    /* What was cut or found goes to the file. */
    log->epochs_dirty = o->epochs_bad || log->epochs.count != (uint32_t)o->old_end;
    if (log_epochs_cut_end(&log->epochs, log->log_end)) log->epochs_dirty = true;
    if (log_epochs_cut_start(&log->epochs, log->log_start)) log->epochs_dirty = true;
    log_producers_replicated(&log->producers, log->high_watermark);
    log_assigned_reset(log);
}
