/* Opening a log, and recovery (storage.md 13, 17, 21).
 *
 *   listing -> partition.metadata -> leader-epoch-checkpoint -> segment-manifest
 *     -> newest usable producer snapshot -> walk from there (or from the recovery point) to the end
 *     -> verdict -> cut a torn tail -> OPEN
 *
 * Clean (the directory's marker vouches for end and size of this very log): only what follows the
 * last index entry, or the snapshot, is read. Otherwise every batch from the segment of the
 * recovery point on passes framing, crc, offsets that continue and epochs that do not fall (H13).
 *
 * A transaction index is made from the batches and the producers, so where one is made the snapshot
 * is that of its segment's base, or an earlier one's. Those of closed segments that nothing else
 * calls for are looked at; from one that does not parse on the log is walked.
 *
 * Verdict on bytes that are no batch, at offset o:
 *     o >= recovery point   torn tail: never promised to anybody; cut, durably, later segments
 *                           first
 *     o <  recovery point   damage below a promise: DAMAGED, nothing is touched (H6, S16)
 * The same for a log that ends below its recovery point without any bad byte. An I/O error says
 * nothing about the bytes: the open fails with it and nothing is touched (H1). */
#include "broker/log/log_private.h"
#include "broker/log/log_text.h"

#include "client/base/text.h"

#include <string.h>

/* Three functions share the op: each goes on where the one before ends. */
enum open_files_step {
    OPEN_START,
    OPEN_MADE,
    OPEN_LISTED,
    OPEN_IDENTITY,
    OPEN_IDENTITY_SAVED,
    OPEN_RETIRED,
    OPEN_FIRST_MADE,
    OPEN_FIRST_CLOSED,
    OPEN_NAMES_SYNCED,
    OPEN_ROOT_SYNCED,
};
enum open_recover_step {
    OPEN_RECOVER = OPEN_ROOT_SYNCED + 1,
    OPEN_EPOCHS,
    OPEN_MANIFEST,
    OPEN_ABORTED,
    OPEN_SNAPSHOT,
    OPEN_WINDOW,
    OPEN_INDEX,
    OPEN_TIMES,
    OPEN_MARK_ABORTED,
    OPEN_WALKED,
    OPEN_REINDEXED,
    OPEN_RETIMED,
    OPEN_ABORTED_SAVED,
};
enum open_cut_step {
    OPEN_CUT = OPEN_ABORTED_SAVED + 1,
    OPEN_LATER_GONE,
    OPEN_CUT_NAMES,
    OPEN_CUT_OPENED,
    OPEN_CUT_DONE,
    OPEN_CUT_SYNCED,
    OPEN_CUT_CLOSED,
};
static const char *const open_steps[] = {"START",
                                         "MADE",
                                         "LISTED",
                                         "IDENTITY",
                                         "IDENTITY_SAVED",
                                         "RETIRED",
                                         "FIRST_MADE",
                                         "FIRST_CLOSED",
                                         "NAMES_SYNCED",
                                         "ROOT_SYNCED",
                                         "RECOVER",
                                         "EPOCHS",
                                         "MANIFEST",
                                         "ABORTED",
                                         "SNAPSHOT",
                                         "WINDOW",
                                         "INDEX",
                                         "TIMES",
                                         "MARK_ABORTED",
                                         "MARK_ABORTED",
                                         "WALKED",
                                         "REINDEXED",
                                         "RETIMED",
                                         "ABORTED_SAVED",
                                         "CUT",
                                         "LATER_GONE",
                                         "CUT_NAMES",
                                         "CUT_OPENED",
                                         "CUT_DONE",
                                         "CUT_SYNCED",
                                         "CUT_CLOSED",
                                         "SWAP",
                                         "SWAP_CLEARED",
                                         "SWAP_CLEARED_SYNCED",
                                         "SWAP_WALKED",
                                         "SWAP_BAD_GONE",
                                         "SWAP_OLD_GONE",
                                         "SWAP_OLD_SYNCED",
                                         "SWAP_RENAMED",
                                         "SWAP_RENAMED_SYNCED"};
_Static_assert(LOG_SWAP_RESUME == OPEN_CUT_CLOSED + 1, "log_swap.c goes on behind these");

enum {
    OPEN_SMALL_FILE = 16 << 20,
    OPEN_INDEX_MAX = 64 << 20,
};

/* One line for people: which partition stays offline, and why. */
static void open_say(const struct log_flow *o)
{
    char buffer[LOG_PATH_MAX + 120];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%s/%s ", o->log->dir->path, o->log->known->name);
    if (o->err == ERR_DAMAGED) {
        text_cstr(&text, "is damaged below what was promised; it was not changed");
    } else {
        text_format(&text, "cannot be opened: %s", err_name(o->err));
    }
    TRACE_TEXT(log_flow_env(o)->world, NODE_WARNING, text_view(&text), (int64_t)o->err);
}

static enum op_result open_end(struct log_flow *o)
{
    struct log *log = o->log;

    log->wanted &= (uint16_t)~LOG_WANT_OPEN;
    log->known->clean_end = -1; /* vouched for once */
    /* Its directory went offline meanwhile, and perhaps it is being closed already. */
    if (log->state == LOG_FAILED || log->state == LOG_CLOSING) return OP_DONE;
    if (o->err != ERR_NONE) {
        open_say(o);
        log_set_state(log, LOG_FAILED, o->err);
        /* Not of this partition alone: whoever runs the node must see it (storage.md 15). */
        if (o->err == ERR_IO) log_dir_fail(log->dir, o->err);
        return OP_DONE;
    }
    log->opened = true;
    ASSERT(log->log_start <= log->log_end);
    TRACE(log->dir->env->world, LOG_EPOCH, (int64_t)log->topic, log->partition,
          log_latest_epoch(log), -1);
    TRACE(log->dir->env->world, LOG_OPENED, (int64_t)log->topic, log->partition, log->log_start,
          log->log_end, log->synced_end, log->high_watermark, log->opened_clean,
          (int64_t)log->cut_bytes);
    if ((log->wanted & LOG_WANT_RESET) == 0) log_set_state(log, LOG_OPEN, ERR_NONE);
    return OP_DONE;
}

static enum op_result open_damaged(struct log_flow *o, int64_t offset, uint64_t position)
{
    TRACE(log_flow_env(o)->world, LOG_DAMAGED, (int64_t)o->log->topic, o->log->partition, offset,
          (int64_t)position, ERR_DAMAGED);
    o->err = ERR_DAMAGED;
    return open_end(o);
}

/* ---- where to begin ------------------------------------------------------------------------- */

static bool open_is_clean(const struct log *log)
{
    const struct log_known *known = log->known;

    return log->dir->was_clean && !log->config.verify_all && known->clean_end >= 0 &&
           (uint64_t)known->clean_bytes == log_active(log)->size &&
           known->clean_end >= log_active(log)->base;
}

/* After the snapshot is known: the segment that the walk begins with. */
static void open_choose(struct log_flow *o)
{
    struct log *log = o->log;
    int64_t from = o->snapshot;

    if (!o->clean && o->from < from) from = o->from;
    if (log->config.verify_all || o->epochs_bad || from < 0) from = 0;
    o->segment = log_segment_find(log, from);
    o->first = true;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct log_segment *segment = log->segments[i];
        int64_t size = log_open_list_size(o, segment->base, ".index");
        int64_t times = log_open_list_size(o, segment->base, ".timeindex");

        segment->index_bad = size < 0 || times < 0 || size % LOG_INDEX_ENTRY != 0 ||
                             times % LOG_TIME_ENTRY != 0 || size > OPEN_INDEX_MAX ||
                             times > OPEN_INDEX_MAX;
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
static void open_walk(struct log_flow *o)
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
    o->first = false;
}

/* The index of a clean active segment, or of the one with the mark, from its two files. */
static void open_take_index(struct log_flow *o)
{
    struct log_segment *segment = o->log->segments[o->segment];
    struct bytes offsets = log_load_bytes(&o->window);
    struct bytes times = log_load_bytes(&o->load);

    if (o->window.err != ERR_NONE || o->load.err != ERR_NONE ||
        log_index_load(segment->index, offsets.data, offsets.length, times.data, times.length,
                       segment->size) != ERR_NONE) {
        log_index_clear(segment->index);
        return;
    }
    if (o->marked) log_index_cut(segment->index, (uint32_t)(o->snapshot - segment->base));
    segment->max_timestamp = segment->index->max_timestamp;
}

/* ---- after a walk --------------------------------------------------------------------------- */

enum open_verdict {
    OPEN_NEXT,   /* this segment is whole */
    OPEN_TORN,   /* cut here */
    OPEN_ROTTEN, /* below a promise */
    OPEN_ERROR,
};

static enum open_verdict open_judge(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_walk *walk = &o->walk;
    struct log_segment *segment = log->segments[o->segment];
    bool last = o->segment + 1 == log->segment_count;
    int64_t end = walk->scan.next_offset;
    bool whole = false;

    switch (walk->end) {
    case LOG_WALK_ERROR: o->err = walk->err; return OPEN_ERROR;
    case LOG_WALK_WHOLE: whole = true; break;
    case LOG_WALK_BAD: break;
    case LOG_WALK_STOP: IMPOSSIBLE("a recovery walks to the end");
    }
    if (end < 0) end = segment->base; /* not one batch after the index entry: cannot be */
    if (whole && !last && !log_gaps(log) && log->segments[o->segment + 1]->base != end)
        whole = false; /* a hole between two segments (H14) */
    if (whole && last && end < o->promised) whole = false;
    segment->end = end;
    if (whole) return OPEN_NEXT;
    if (end < o->promised) return OPEN_ROTTEN;
    o->cut = true;
    o->cut_bytes = segment->size - walk->scan.position;
    for (uint32_t i = o->segment + 1; i < log->segment_count; i++)
        o->cut_bytes += log->segments[i]->size;
    segment->size = walk->scan.position;
    TRACE(log->dir->env->world, LOG_RECOVERED_TO, (int64_t)log->topic, log->partition,
          segment->base, end, (int64_t)o->cut_bytes);
    return OPEN_TORN;
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
static void open_take(struct log_flow *o)
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
    if (log->synced_end < log->log_start) log->synced_end = log->log_start;
    if (log->synced_end > log->log_end) log->synced_end = log->log_end;
    for (uint32_t i = 0; i < log->segment_count; i++)
        log->segments[i]->dirty = log->segments[i]->end > log->synced_end;
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

/* ---- the flow ------------------------------------------------------------------------------- */

static void open_submit_snapshot(struct log_flow *o)
{
    char name[LOG_FILE_NAME];

    log_file_name(name, o->snapshot, ".snapshot");
    log_load_start(&o->load, log_flow_env(o), o->path, name, OPEN_SMALL_FILE);
}

static void open_submit_window(struct log_flow *o)
{
    char name[LOG_FILE_NAME];

    log_file_name(name, o->snapshot, ".producers");
    log_load_start(&o->window, log_flow_env(o), o->path, name, OPEN_SMALL_FILE);
}

/* True when the snapshot is of use; an unreadable one is passed over for the one before it. */
static bool open_take_snapshot(struct log_flow *o)
{
    struct log *log = o->log;

    if (o->load.err == ERR_IO || o->window.err == ERR_IO) {
        o->err = ERR_IO;
        return true;
    }
    if (o->load.err != ERR_NONE) return false;
    return log_producers_load(&log->producers, log->dir->env->world->cpu, log_load_bytes(&o->load),
                              log_load_bytes(&o->window)) == ERR_NONE;
}

static void open_submit_index(struct log_flow *o, const char *suffix, struct log_load *load)
{
    char name[LOG_FILE_NAME];

    if (log_open_list_size(o, o->log->segments[o->segment]->base, suffix) == 0) {
        log_load_empty(load, log_flow_env(o));
        return;
    }
    log_file_name(name, o->log->segments[o->segment]->base, suffix);
    log_load_start(load, log_flow_env(o), o->path, name, OPEN_INDEX_MAX);
}

/* A closed segment was walked: its index goes to disk and out of memory. */
static void open_save_part(struct log_flow *o, bool times)
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
static void open_save_aborted(struct log_flow *o)
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

static void open_index_closed(struct log_flow *o)
{
    struct log_segment *segment = o->log->segments[o->segment];

    segment->offset_count = segment->index->offset_count;
    segment->time_count = segment->index->time_count;
    segment->index_bad = o->save.err != ERR_NONE; /* H1: no index file is no reason to fail */
    log_index_deinit(segment->index);
    mem_free(&log_flow_env(o)->mem, segment->index, sizeof *segment->index);
    segment->index = NULL;
}

static void open_begin(struct log_flow *o)
{
    struct log *log = o->log;

    log->producers.clock_ms = log->dir->env->now.wall.ms;
    o->err = ERR_NONE;
    o->promised = log->known->recovery_point;
    if (o->promised < 0) o->promised = 0;
    log_path_log(o->path, log);
}

/* The next transaction index to look at; false: none is left. */
static bool open_load_aborted(struct log_flow *o)
{
    struct log *log = o->log;
    char name[LOG_FILE_NAME];

    for (; o->segment < log->segment_count; o->segment++) {
        bool last = o->segment + 1 == log->segment_count;

        if (!log->segments[o->segment]->aborted || (last && !o->clean)) continue;
        log_file_name(name, log->segments[o->segment]->base, ".txnindex");
        log_load_start(&o->load, log_flow_env(o), o->path, name, OPEN_SMALL_FILE);
        return true;
    }
    return false;
}

/* What the last one leaves in log->aborted is the active segment's, when that is clean. */
static bool open_take_aborted(struct log_flow *o)
{
    struct log *log = o->log;
    const struct log_segment *segment = log->segments[o->segment++];
    const struct log_aborted_list *list = &log->aborted;
    bool last = o->segment == log->segment_count;
    int64_t end = last ? INT64_MAX : log->segments[o->segment]->base;

    log->aborted.count = 0;
    if (o->load.err == ERR_IO || o->load.err == ERR_NO_MEMORY) {
        o->err = o->load.err;
        return false;
    }
    if (o->load.err == ERR_NONE &&
        log_aborted_load(&log->aborted, log_load_bytes(&o->load)) == ERR_NONE &&
        (list->count == 0 || (list->entries[0].last_offset >= segment->base &&
                              list->entries[list->count - 1].last_offset < end))) {
        if (!last) log->aborted.count = 0;
        return true;
    }
    log->aborted.count = 0;
    o->clean = false;
    o->mark_bad = true;
    if (segment->base < o->from) o->from = segment->base;
    return true;
}

/* The file follows the start of the log at once, the checkpoint of that start comes later, and so
 * do the deletions: after a crash between them records are back whose epochs the file has dropped.
 * Not one entry may be left once those above the log end are gone too, and a follower without
 * epochs cuts to its high watermark, which the crash has set back as well.
 * DIFFERS: Kafka appends to what the file has, and so keeps the gap. */
static bool open_epochs_begin_late(const struct log *log)
{
    const struct log_epochs *epochs = &log->epochs;
    int64_t start = log->segments[0]->base;

    if (log->known->log_start > start) start = log->known->log_start;
    return log_size(log) > 0 && (epochs->count == 0 || epochs->entries[0].start_offset > start);
}

static bool open_epochs(struct log_flow *o)
{
    if (o->load.err == ERR_NOT_FOUND) {
        o->epochs_bad = log_size(o->log) > 0;
        return true;
    }
    if (o->load.err != ERR_NONE) {
        o->err = o->load.err;
        return false;
    }
    o->epochs_bad =
        log_epochs_parse(&o->log->epochs, (struct str){(const char *)o->load.data,
                                                       (uint32_t)o->load.size}) != ERR_NONE;
    if (!o->epochs_bad && open_epochs_begin_late(o->log)) {
        o->epochs_bad = true;
        (void)log_epochs_cut_end(&o->log->epochs, 0); /* the batches say it */
    }
    return true;
}

/* A torn tail goes: later segments newest first, then the file is cut, durably. */
static enum op_result open_cut(struct log_flow *o)
{
    struct log *log = o->log;
    struct env *env = log_flow_env(o);

    switch ((enum open_cut_step)o->op.step) {
    case OPEN_CUT:
        while (log->segment_count > o->segment + 1)
            log_segment_drop_last(log);
        while (log_open_next_later(o)) {
            AWAIT_IO(o, OPEN_LATER_GONE, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return open_end(o);
        }
        log_path_log(o->path, log);
        log_io_path(&o->io, env->world, DISK_SYNC_DIR, o->path);
        AWAIT_IO(o, OPEN_CUT_NAMES, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return open_end(o);
        log_path_of(o->path_to, log, log_active(log)->base, ".log");
        log_io_open(&o->io, env->world, o->path_to, 0);
        AWAIT_IO(o, OPEN_CUT_OPENED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return open_end(o);
        o->file = o->io.req.file;
        log_io_truncate(&o->io, env->world, o->file, log_active(log)->size);
        AWAIT_IO(o, OPEN_CUT_DONE, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err == ERR_NONE) log_io_sync(&o->io, env->world, o->file);
        AWAIT_IO(o, OPEN_CUT_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        log_io_close(&o->io, env->world, o->file);
        AWAIT_IO(o, OPEN_CUT_CLOSED, &o->io);
        if (o->err != ERR_NONE) return open_end(o);
        open_take(o);
        return open_end(o);
    }
    IMPOSSIBLE("step");
}

/* Whether a mark is there to go on from (log_mark.c). */
static bool open_mark_there(struct log_flow *o)
{
    const struct log *log = o->log;

    return !o->clean && !o->mark_bad && !o->epochs_bad && !log->config.verify_all &&
           log->mark >= 0 && log_open_list_size(o, log->mark, ".producers") > 0;
}

/* A snapshot that may be used: the one of the clean end, of a mark, or of the base
 * of a segment. */
static bool open_snapshot_fits(struct log_flow *o)
{
    const struct log *log = o->log;

    if (o->clean && o->snapshot == log->known->clean_end) return true;
    if (open_mark_there(o) && o->snapshot == log->mark) return true;
    return log->segments[log_segment_find(log, o->snapshot)]->base == o->snapshot;
}

static void open_load_mark_aborted(struct log_flow *o)
{
    const struct log_segment *segment = o->log->segments[o->segment];
    char name[LOG_FILE_NAME];

    if (!segment->aborted) {
        log_load_none(&o->load);
        return;
    }
    log_file_name(name, segment->base, ".txnindex");
    log_load_start(&o->load, log_flow_env(o), o->path, name, OPEN_SMALL_FILE);
}

/* The transaction index of the segment with the mark, up to the mark; false: it is not there. */
static bool open_take_mark_aborted(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_aborted_list *list = &log->aborted;

    list->count = 0;
    if (!log->segments[o->segment]->aborted) return true;
    if (o->load.err != ERR_NONE || log_aborted_load(list, log_load_bytes(&o->load)) != ERR_NONE)
        return false;
    while (list->count > 0 && list->entries[list->count - 1].last_offset >= o->snapshot)
        list->count--;
    return true;
}

/* No snapshot above this one counts. */
static int64_t open_newest(struct log_flow *o)
{
    const struct log *log = o->log;
    int64_t base;

    if (o->clean) return log->known->clean_end;
    base = log->segments[log_segment_find(log, o->from)]->base;
    return open_mark_there(o) && log->mark > base ? log->mark : base;
}

/* A snapshot was loaded. That of a mark vouches for the log up to there if both are whole. */
static bool open_accept(struct log_flow *o)
{
    struct log *log = o->log;

    if (o->err != ERR_NONE) return true;
    o->marked = o->snapshot == log->mark && o->window.err == ERR_NONE && open_mark_there(o);
    if (o->marked && o->promised < o->snapshot &&
        log_producers_marks(log->dir->env->world->cpu, log_load_bytes(&o->window)))
        o->promised = o->from = o->snapshot;
    if (o->clean || o->snapshot <= o->promised) return true;
    o->marked = false; /* of a roll that did not come to its end */
    log_producers_clear(&log->producers);
    return false;
}

/* After the walk from a mark: the index led astray, or what it leads to is not what was promised.
 * From the beginning of the segment then, and what is found there counts. */
static bool open_mark_fails(struct log_flow *o)
{
    const struct log_walk *walk = &o->walk;

    if (!o->marked || o->segment != o->from_segment || o->from_position == 0) return false;
    if (walk->end == LOG_WALK_ERROR) return false;
    if (walk->first >= 0 && walk->first <= o->snapshot && walk->scan.next_offset >= o->promised)
        return false;
    return true;
}

static enum op_result open_recover(struct log_flow *o);

/* Again, and from the base of a segment. */
static enum op_result open_without_mark(struct log_flow *o)
{
    o->mark_bad = true;
    o->marked = false;
    log_producers_clear(&o->log->producers);
    log_index_clear(o->log->segments[o->segment]->index);
    op_enter(&o->op, OPEN_RECOVER);
    return open_recover(o);
}

/* Epochs, manifest, producers, then batch after batch to the end. */
static enum op_result open_recover(struct log_flow *o)
{
    struct log *log = o->log;
    struct env *env = log_flow_env(o);

    switch ((enum open_recover_step)o->op.step) {
    case OPEN_RECOVER:
        log_load_start(&o->load, env, o->path, "leader-epoch-checkpoint", OPEN_SMALL_FILE);
        AWAIT_LOAD(o, OPEN_EPOCHS, &o->load);
        if (!open_epochs(o)) return open_end(o);
        o->old_end = log->epochs.count;
        if (!log_open_listed(o, "segment-manifest")) {
            log_load_none(&o->load);
        } else {
            log_load_start(&o->load, env, o->path, "segment-manifest", OPEN_SMALL_FILE);
        }
        AWAIT_LOAD(o, OPEN_MANIFEST, &o->load);
        o->offset = -1;
        o->err = log_open_check_manifest(o, &o->offset);
        if (o->err == ERR_DAMAGED) return open_damaged(o, o->offset, 0);
        if (o->err != ERR_NONE) return open_end(o);

        o->clean = open_is_clean(log) && !o->epochs_bad;
        o->from = o->promised;
        o->segment = 0;
        while (open_load_aborted(o)) {
            AWAIT_LOAD(o, OPEN_ABORTED, &o->load);
            if (!open_take_aborted(o)) return open_end(o);
        }
        o->snapshot = open_newest(o) + 1;
        while ((o->snapshot = log_open_snapshot_below(o, o->snapshot)) >= log->segments[0]->base) {
            if (!open_snapshot_fits(o)) continue;
            open_submit_snapshot(o);
            AWAIT_LOAD(o, OPEN_SNAPSHOT, &o->load);
            open_submit_window(o);
            AWAIT_LOAD(o, OPEN_WINDOW, &o->window);
            if (open_take_snapshot(o) && open_accept(o)) break;
        }
        if (o->err != ERR_NONE) return open_end(o);
        if (o->snapshot < log->segments[0]->base) o->snapshot = log->segments[0]->base;
        open_choose(o);
        if ((o->clean && o->segment + 1 == log->segment_count) || o->marked) {
            o->err = log_segment_index(log, log->segments[o->segment]);
            if (o->err != ERR_NONE) return open_end(o);
            open_submit_index(o, ".index", &o->window);
            AWAIT_LOAD(o, OPEN_INDEX, &o->window);
            open_submit_index(o, ".timeindex", &o->load);
            AWAIT_LOAD(o, OPEN_TIMES, &o->load);
            open_take_index(o);
        }
        if (o->marked) {
            open_load_mark_aborted(o);
            AWAIT_LOAD(o, OPEN_MARK_ABORTED, &o->load);
            if (!open_take_mark_aborted(o)) return open_without_mark(o);
        }
        for (;;) {
            if (log->segments[o->segment]->index == NULL)
                o->err = log_segment_index(log, log->segments[o->segment]);
            if (o->err != ERR_NONE) return open_end(o);
            open_walk(o);
            AWAIT_WALK(o, OPEN_WALKED, &o->walk);
            if (open_mark_fails(o)) return open_without_mark(o);
            switch (open_judge(o)) {
            case OPEN_ERROR: return open_end(o);
            case OPEN_ROTTEN:
                return open_damaged(o, o->walk.scan.next_offset, o->walk.scan.position);
            case OPEN_NEXT:
            case OPEN_TORN: break;
            }
            if (o->cut || o->segment + 1 == log->segment_count) break;
            log_index_finish(log->segments[o->segment]->index);
            open_save_part(o, false);
            AWAIT_SAVE(o, OPEN_REINDEXED, &o->save);
            if (o->err == ERR_NONE && o->save.err == ERR_NONE) open_save_part(o, true);
            AWAIT_SAVE(o, OPEN_RETIMED, &o->save);
            if (o->err == ERR_NONE) open_save_aborted(o);
            AWAIT_SAVE(o, OPEN_ABORTED_SAVED, &o->save);
            if (o->err != ERR_NONE) return open_end(o);
            open_index_closed(o);
            o->segment++;
        }
        if (o->cut) {
            op_enter(&o->op, OPEN_CUT);
            return open_cut(o);
        }
        open_take(o);
        return open_end(o);
    }
    IMPOSSIBLE("step");
}

static enum op_result open_files(struct log_flow *o);

/* A compaction that was under way, then from the front. */
static enum op_result open_swap(struct log_flow *o)
{
    enum op_result result = log_swap_resume(o);

    if (result != OP_DONE) return result;
    if (o->err != ERR_NONE) return open_end(o);
    op_enter(&o->op, OPEN_START);
    return open_files(o);
}

/* The directory is not among those that were listed when the root was opened. */
static bool open_makes(const struct log_flow *o)
{
    return o->log->create && !o->log->known->listed;
}

/* The directory, its listing and identity; a new log gets its first segment. */
static enum op_result open_files(struct log_flow *o)
{
    struct log *log = o->log;
    struct env *env = log_flow_env(o);
    struct world *world = env->world;

    switch ((enum open_files_step)o->op.step) {
    case OPEN_START:
        open_begin(o);
        if (open_makes(o)) log_io_path(&o->io, world, DISK_MKDIR, o->path);
        AWAIT_IO(o, OPEN_MADE, &o->io);
        if (open_makes(o) && log_io_err(&o->io) != ERR_NONE && log_io_err(&o->io) != ERR_EXISTS) {
            o->err = log_io_err(&o->io);
            return open_end(o);
        }
        do {
            if (!log_open_list_room(o)) {
                o->err = ERR_NO_MEMORY;
                return open_end(o);
            }
            log_io_list(&o->io, world, o->path, o->list, o->list_size);
            AWAIT_IO(o, OPEN_LISTED, &o->io);
        } while (log_io_err(&o->io) == ERR_TOO_LARGE);
        o->err = log_io_err(&o->io);
        if (o->err == ERR_NOT_FOUND && log->create && !open_makes(o)) {
            log->known->listed = false; /* it was there when the root was opened */
            op_enter(&o->op, OPEN_START);
            return open_files(o);
        }
        o->list_used = o->io.req.done;
        if (o->err == ERR_NONE && log_swap_left(o)) {
            op_enter(&o->op, LOG_SWAP_RESUME);
            return open_swap(o);
        }
        if (o->err == ERR_NONE) o->err = log_open_segments(o);
        if (o->err != ERR_NONE) return open_end(o);

        log_load_start(&o->load, env, o->path, "partition.metadata", 4096);
        AWAIT_LOAD(o, OPEN_IDENTITY, &o->load);
        o->err = log_open_check_identity(o);
        if (o->err == ERR_NOT_FOUND && !uuid_is_zero(log->topic_id)) {
            o->err = log_open_print_identity(o) ? ERR_NONE : ERR_NO_MEMORY;
            if (o->err == ERR_NONE) {
                log_save_start(&o->save, env, o->path, "partition.metadata", log_flow_bytes(o),
                               true);
            }
        }
        AWAIT_SAVE(o, OPEN_IDENTITY_SAVED, &o->save);
        if (o->err == ERR_NONE) o->err = o->save.err;
        if (o->err != ERR_NONE) return open_end(o);

        log_retain_open(o);
        while (log_retain_open_next(o)) {
            AWAIT_IO(o, OPEN_RETIRED, &o->io);
            if (log_io_err(&o->io) == ERR_IO) o->err = ERR_IO;
            if (o->err != ERR_NONE) return open_end(o);
        }
        log_path_log(o->path, log); /* it named what was removed */
        if (log->segment_count == 0) {
            if (o->promised > 0 && o->promised > log->known->log_start)
                return open_damaged(o, 0, 0);
            o->offset = log->known->log_start;
            if (log_segment_add(log, o->offset) == NULL) {
                o->err = ERR_NO_MEMORY;
                return open_end(o);
            }
            log_path_of(o->path_to, log, o->offset, ".log");
            log_io_open(&o->io, world, o->path_to, DISK_CREATE);
            AWAIT_IO(o, OPEN_FIRST_MADE, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return open_end(o);
            log_io_close(&o->io, world, o->io.req.file);
            AWAIT_IO(o, OPEN_FIRST_CLOSED, &o->io);
            log_io_path(&o->io, world, DISK_SYNC_DIR, o->path);
            AWAIT_IO(o, OPEN_NAMES_SYNCED, &o->io);
            o->err = log_io_err(&o->io);
            /* And the entry in the root, or all of it is gone with the next power cut (H3). */
            if (o->err == ERR_NONE) log_io_path(&o->io, world, DISK_SYNC_DIR, log->dir->path);
            AWAIT_IO(o, OPEN_ROOT_SYNCED, &o->io);
            if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return open_end(o);
        }
        op_enter(&o->op, OPEN_RECOVER);
        return open_recover(o);
    }
    IMPOSSIBLE("step");
}

static enum op_result open_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);

    if (op->step >= LOG_SWAP_RESUME) return open_swap(o);
    if (op->step >= OPEN_CUT) return open_cut(o);
    return op->step >= OPEN_RECOVER ? open_recover(o) : open_files(o);
}

const struct op_kind log_open_kind = {"log_open", open_steps, COUNT_OF(open_steps), open_run,
                                      log_flow_finish};

struct log *log_open(struct log_dir *dir, const struct log_open *open,
                     const struct log_config *config)
{
    char name[LOG_NAME_MAX + 1];
    struct text out;
    struct log_known *known;
    struct log *log;

    if (!log_dir_online(dir)) return NULL;
    text_init(&out, name, sizeof name);
    text_format(&out, "%S-%d", open->topic, open->partition);
    if (out.truncated) return NULL;
    known = log_dir_know(dir, text_view(&out));
    if (known == NULL || known->log != NULL) return NULL;
    log = mem_zalloc(&dir->env->mem, sizeof *log);
    if (log == NULL) return NULL;
    log->dir = dir;
    log->known = known;
    log->config = *config;
    log->state = LOG_OPENING;
    log->topic_id = open->topic_id;
    log->topic = uuid_high(open->topic_id);
    log->partition = open->partition;
    log->create = open->create;
    log->begun_epoch = -1;
    log->damaged = -1;
    log->mark = -1;
    log->assigned_epoch = -1;
    log->flush.flush = log_flush;
    list_init(&log->flush.link);
    list_init(&log->staged);
    list_init(&log->starved);
    list_init(&log->sync_link);
    list_init(&log->exposed_link);
    log_tail_init(&log->cached);
    op_source_init(&log->end_source);
    op_source_init(&log->synced_source);
    op_source_init(&log->state_source);
    log_epochs_init(&log->epochs, &dir->env->mem);
    log_producers_init(&log->producers, &dir->env->mem, dir->limits.producers_max);
    log_aborted_init(&log->aborted, &dir->env->mem);
    known->log = log;
    dir->logs_open++;
    log->wanted = LOG_WANT_OPEN;
    log_advance(log);
    return log;
}
