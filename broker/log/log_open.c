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

enum open_step {
    OPEN_START,
    OPEN_MADE,
    OPEN_LISTED,
    OPEN_IDENTITY,
    OPEN_IDENTITY_SAVED,
    OPEN_FIRST_MADE,
    OPEN_FIRST_CLOSED,
    OPEN_NAMES_SYNCED,
    OPEN_ROOT_SYNCED,
    OPEN_EPOCHS,
    OPEN_MANIFEST,
    OPEN_SNAPSHOT,
    OPEN_WINDOW,
    OPEN_INDEX,
    OPEN_TIMES,
    OPEN_WALKED,
    OPEN_REINDEXED,
    OPEN_RETIMED,
    OPEN_LATER_GONE,
    OPEN_CUT_NAMES,
    OPEN_CUT_OPENED,
    OPEN_CUT_DONE,
    OPEN_CUT_SYNCED,
    OPEN_CUT_CLOSED,
};
static const char *const open_steps[] = {
    "START",        "MADE",         "LISTED",      "IDENTITY", "IDENTITY_SAVED", "FIRST_MADE",
    "FIRST_CLOSED", "NAMES_SYNCED", "ROOT_SYNCED", "EPOCHS",   "MANIFEST",       "SNAPSHOT",
    "WINDOW",       "INDEX",        "TIMES",       "WALKED",   "REINDEXED",      "RETIMED",
    "LATER_GONE",   "CUT_NAMES",    "CUT_OPENED",  "CUT_DONE", "CUT_SYNCED",     "CUT_CLOSED"};

enum {
    OPEN_LIST_FIRST = 4096,
    OPEN_LIST_MAX = 16 << 20, /* bytes of a partition directory's listing */
    OPEN_SMALL_FILE = 16 << 20,
    OPEN_INDEX_MAX = 64 << 20,
};

static enum op_result open_end(struct log_flow *o)
{
    struct log *log = o->log;

    log->wanted &= (uint8_t)~LOG_WANT_OPEN;
    log->known->clean_end = -1; /* vouched for once */
    if (o->err != ERR_NONE) {
        log_set_state(log, LOG_FAILED, o->err);
        return OP_DONE;
    }
    ASSERT(log->log_start <= log->log_end);
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

/* ---- the listing ---------------------------------------------------------------------------- */

static bool open_list_room(struct log_flow *o)
{
    struct mem *mem = &log_flow_env(o)->mem;
    uint64_t size = o->list_size == 0 ? OPEN_LIST_FIRST : o->list_size * 2;

    if (size > OPEN_LIST_MAX) return false;
    mem_free(mem, o->list, o->list_size);
    o->list_size = 0;
    o->list = mem_alloc(mem, size);
    if (o->list == NULL) return false;
    o->list_size = size;
    return true;
}

static const struct disk_entry *open_list_next(struct log_flow *o)
{
    const struct disk_entry *entry;

    if (o->list_at >= o->list_used) return NULL;
    entry = (const struct disk_entry *)(const void *)(o->list + o->list_at);
    ASSERT(entry->entry_length > 0);
    o->list_at += entry->entry_length;
    return entry;
}

/* Size of dir/N<suffix>, or -1. */
static int64_t open_list_size(struct log_flow *o, int64_t base, const char *suffix)
{
    char name[LOG_FILE_NAME];
    const struct disk_entry *entry;

    log_file_name(name, base, suffix);
    o->list_at = 0;
    while ((entry = open_list_next(o)) != NULL)
        if (str_equal(str_of(entry->name), str_of(name))) return (int64_t)entry->size;
    return -1;
}

/* Segments by their bases, from a listing in any order: one pass finds the next one. */
static enum err open_segments(struct log_flow *o)
{
    struct log *log = o->log;

    for (int64_t above = -1;;) {
        const struct disk_entry *entry;
        int64_t next = INT64_MAX;
        uint64_t size = 0;
        struct log_segment *segment;

        o->list_at = 0;
        while ((entry = open_list_next(o)) != NULL) {
            int64_t base;
            struct str suffix;

            if (entry->directory || !log_file_parse(str_of(entry->name), &base, &suffix)) continue;
            if (!str_equal(suffix, STR(".log")) || base <= above || base >= next) continue;
            next = base;
            size = entry->size;
        }
        if (next == INT64_MAX) return ERR_NONE;
        segment = log_segment_add(log, next);
        if (segment == NULL) return ERR_NO_MEMORY;
        segment->size = size;
        above = next;
    }
}

/* The newest snapshot below `below` (exclusive) that the listing has, or -1. */
static int64_t open_snapshot_below(struct log_flow *o, int64_t below)
{
    const struct disk_entry *entry;
    int64_t found = -1;

    o->list_at = 0;
    while ((entry = open_list_next(o)) != NULL) {
        int64_t base;
        struct str suffix;

        if (!log_file_parse(str_of(entry->name), &base, &suffix)) continue;
        if (str_equal(suffix, STR(".snapshot")) && base < below && base > found) found = base;
    }
    return found;
}

/* ---- identity ------------------------------------------------------------------------------- */

static enum err open_check_identity(struct log_flow *o)
{
    static const char head[] = "version: 0\ntopic_id: ";
    struct log *log = o->log;
    struct bytes file = log_load_bytes(&o->load);
    struct uuid id;
    size_t length = sizeof head - 1;

    if (o->load.err == ERR_NOT_FOUND) return ERR_NOT_FOUND;
    if (o->load.err != ERR_NONE) return o->load.err;
    if (file.length < length + UUID_TEXT || memcmp(file.data, head, length) != 0)
        return ERR_DAMAGED;
    if (!uuid_parse((struct str){(const char *)file.data + length, UUID_TEXT}, &id))
        return ERR_DAMAGED;
    if (uuid_is_zero(id)) return ERR_DAMAGED;
    if (!uuid_is_zero(log->topic_id) && !uuid_equal(id, log->topic_id))
        return ERR_INCONSISTENT_TOPIC_ID;
    log->topic_id = id;
    log->topic = uuid_high(id);
    return ERR_NONE;
}

static bool open_print_identity(struct log_flow *o)
{
    struct text out;

    if (!log_flow_room(o, 128)) return false;
    text_init(&out, (char *)o->bytes, o->bytes_size);
    text_cstr(&out, "version: 0\ntopic_id: ");
    text_uuid(&out, o->log->topic_id);
    o->bytes_used = text_view(&out).length;
    return true;
}

/* ---- closed segments and the manifest ------------------------------------------------------- */

/* End and size of closed segments as they were written down when they were closed; a chain that
 * does not fit has a hole or was cut behind our back (H14). Segments without a line (a log from
 * elsewhere) end where the next one begins. */
static enum err open_check_manifest(struct log_flow *o, int64_t *offset)
{
    struct log *log = o->log;
    struct log_text lines = {0};
    struct str words[3];

    if (o->load.err != ERR_NONE && o->load.err != ERR_NOT_FOUND) return o->load.err;
    for (uint32_t i = 0; i + 1 < log->segment_count; i++)
        log->segments[i]->end = log->segments[i + 1]->base;
    if (o->load.err == ERR_NOT_FOUND) return ERR_NONE;
    if (log_text_open(&lines, (struct str){(const char *)o->load.data, (uint32_t)o->load.size}) !=
        ERR_NONE)
        return ERR_NONE; /* damaged: worth no more than none; the walk sees what matters */
    while (log_text_next(&lines) == ERR_NONE) {
        int64_t base, end, size;
        uint32_t at;
        struct log_segment *segment;

        if (!log_text_word(&lines, &words[0]) || !log_text_word(&lines, &words[1]) ||
            !log_text_word(&lines, &words[2]) || !text_parse_i64(words[0], &base) ||
            !text_parse_i64(words[1], &end) || !text_parse_i64(words[2], &size))
            return ERR_NONE;
        at = log_segment_find(log, base);
        if (at + 1 >= log->segment_count) continue; /* the last one may have grown or been cut */
        segment = log->segments[at];
        if (segment->base != base) continue;
        if (segment->size == (uint64_t)size && segment->end == end) continue;
        if (at + 2 == log->segment_count && log_active(log)->size == 0) {
            /* A roll that failed after it made the file: the old segment went on. */
            log_segment_drop_last(log);
            continue;
        }
        if (segment->end >= o->promised) continue; /* the walk will judge */
        *offset = segment->base;
        return ERR_DAMAGED;
    }
    return ERR_NONE;
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

    if (!o->clean && log->known->recovery_point < from) from = log->known->recovery_point;
    if (log->config.verify_all || o->epochs_bad || from < 0) from = 0;
    o->segment = log_segment_find(log, from);
    o->first = true;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct log_segment *segment = log->segments[i];
        int64_t size = open_list_size(o, segment->base, ".index");
        int64_t times = open_list_size(o, segment->base, ".timeindex");

        segment->index_bad = size < 0 || times < 0 || size % LOG_INDEX_ENTRY != 0 ||
                             times % LOG_TIME_ENTRY != 0 || size > OPEN_INDEX_MAX ||
                             times > OPEN_INDEX_MAX;
        if (segment->index_bad) continue;
        segment->offset_count = (uint32_t)(size / LOG_INDEX_ENTRY);
        segment->time_count = (uint32_t)(times / LOG_TIME_ENTRY);
    }
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

    if (o->clean && last && index->offset_count > 0 && o->snapshot == log->known->clean_end) {
        position = index->offsets[index->offset_count - 1].position;
        next = -1;
    } else {
        log_index_clear(index);
    }
    log_walk_start(&o->walk, log, segment, position, next, o->first ? -1 : o->walk.scan.epoch);
    o->walk.producers_from = o->snapshot;
    o->walk.index = true;
    o->first = false;
}

/* The index of a clean active segment, from its two files. */
static void open_take_index(struct log_flow *o)
{
    struct log_segment *segment = log_active(o->log);
    struct bytes offsets = log_load_bytes(&o->window);
    struct bytes times = log_load_bytes(&o->load);

    if (o->window.err != ERR_NONE || o->load.err != ERR_NONE ||
        log_index_load(segment->index, offsets.data, offsets.length, times.data, times.length,
                       segment->size) != ERR_NONE) {
        log_index_clear(segment->index);
        return;
    }
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
    if (whole && !last && !log->config.gaps && log->segments[o->segment + 1]->base != end)
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

/* Names of the listing that a cut takes with it: everything numbered above the last segment, newest
 * first, and snapshots beyond the end. */
static bool open_next_later(struct log_flow *o)
{
    struct log *log = o->log;
    const struct disk_entry *entry;
    const struct disk_entry *victim = NULL;
    int64_t above = -1;
    char *name = NULL;

    o->list_at = 0;
    while ((entry = open_list_next(o)) != NULL) {
        int64_t base;
        struct str suffix;

        if (entry->directory || !log_file_parse(str_of(entry->name), &base, &suffix)) continue;
        if (str_equal(suffix, STR(".snapshot")) || str_equal(suffix, STR(".producers"))) {
            if (base <= log_active(log)->end) continue;
        } else if (base <= log_active(log)->base) {
            continue;
        }
        if (base < above) continue;
        above = base;
        victim = entry;
    }
    if (victim == NULL) return false;
    log_path_log(o->path_to, log);
    log_path(o->path, o->path_to, victim->name);
    name = (char *)(o->list + ((const uint8_t *)victim->name - o->list));
    name[0] = '-'; /* seen */
    log_io_path(&o->io, log_flow_env(o)->world, DISK_UNLINK, o->path);
    return true;
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
    log->high_watermark = known->high_watermark;
    if (log->high_watermark < log->log_start) log->high_watermark = log->log_start;
    if (log->high_watermark > log->log_end) log->high_watermark = log->log_end;
    /* What was cut or found goes to the file. */
    log->epochs_dirty = o->epochs_bad || log->epochs.count != (uint32_t)o->old_end;
    if (log_epochs_cut_end(&log->epochs, log->log_end)) log->epochs_dirty = true;
    if (log_epochs_cut_start(&log->epochs, log->log_start)) log->epochs_dirty = true;
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

    log_file_name(name, log_active(o->log)->base, suffix);
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

    o->err = ERR_NONE;
    o->promised = log->known->recovery_point;
    if (o->promised < 0) o->promised = 0;
    log_path_log(o->path, log);
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
    return true;
}

static enum op_result open_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);
    struct log *log = o->log;
    struct env *env = log_flow_env(o);
    struct world *world = env->world;

    switch ((enum open_step)op->step) {
    case OPEN_START:
        open_begin(o);
        if (log->create) log_io_path(&o->io, world, DISK_MKDIR, o->path);
        AWAIT_IO(o, OPEN_MADE, &o->io);
        if (log->create && log_io_err(&o->io) != ERR_NONE && log_io_err(&o->io) != ERR_EXISTS) {
            o->err = log_io_err(&o->io);
            return open_end(o);
        }
        do {
            if (!open_list_room(o)) {
                o->err = ERR_NO_MEMORY;
                return open_end(o);
            }
            log_io_list(&o->io, world, o->path, o->list, o->list_size);
            AWAIT_IO(o, OPEN_LISTED, &o->io);
        } while (log_io_err(&o->io) == ERR_TOO_LARGE);
        o->err = log_io_err(&o->io);
        o->list_used = o->io.req.done;
        if (o->err == ERR_NONE) o->err = open_segments(o);
        if (o->err != ERR_NONE) return open_end(o);

        log_load_start(&o->load, env, o->path, "partition.metadata", 4096);
        AWAIT_LOAD(o, OPEN_IDENTITY, &o->load);
        o->err = open_check_identity(o);
        if (o->err == ERR_NOT_FOUND && !uuid_is_zero(log->topic_id)) {
            o->err = open_print_identity(o) ? ERR_NONE : ERR_NO_MEMORY;
            if (o->err == ERR_NONE) {
                log_save_start(&o->save, env, o->path, "partition.metadata", log_flow_bytes(o),
                               true);
            }
        }
        AWAIT_SAVE(o, OPEN_IDENTITY_SAVED, &o->save);
        if (o->err == ERR_NONE) o->err = o->save.err;
        if (o->err != ERR_NONE) return open_end(o);

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
        log_load_start(&o->load, env, o->path, "leader-epoch-checkpoint", OPEN_SMALL_FILE);
        AWAIT_LOAD(o, OPEN_EPOCHS, &o->load);
        if (!open_epochs(o)) return open_end(o);
        o->old_end = log->epochs.count;
        log_load_start(&o->load, env, o->path, "segment-manifest", OPEN_SMALL_FILE);
        AWAIT_LOAD(o, OPEN_MANIFEST, &o->load);
        o->offset = -1;
        o->err = open_check_manifest(o, &o->offset);
        if (o->err == ERR_DAMAGED) return open_damaged(o, o->offset, 0);
        if (o->err != ERR_NONE) return open_end(o);

        o->clean = open_is_clean(log) && !o->epochs_bad;
        o->snapshot = (o->clean ? log->known->clean_end : o->promised) + 1;
        while ((o->snapshot = open_snapshot_below(o, o->snapshot)) >= log->segments[0]->base) {
            open_submit_snapshot(o);
            AWAIT_LOAD(o, OPEN_SNAPSHOT, &o->load);
            open_submit_window(o);
            AWAIT_LOAD(o, OPEN_WINDOW, &o->window);
            if (open_take_snapshot(o)) break;
        }
        if (o->err != ERR_NONE) return open_end(o);
        if (o->snapshot < log->segments[0]->base) o->snapshot = log->segments[0]->base;
        open_choose(o);
        if (o->clean && o->segment + 1 == log->segment_count) {
            o->err = log_segment_index(log, log_active(log));
            if (o->err != ERR_NONE) return open_end(o);
            open_submit_index(o, ".index", &o->window);
            AWAIT_LOAD(o, OPEN_INDEX, &o->window);
            open_submit_index(o, ".timeindex", &o->load);
            AWAIT_LOAD(o, OPEN_TIMES, &o->load);
            open_take_index(o);
        }
        for (;;) {
            if (log->segments[o->segment]->index == NULL)
                o->err = log_segment_index(log, log->segments[o->segment]);
            if (o->err != ERR_NONE) return open_end(o);
            open_walk(o);
            AWAIT_WALK(o, OPEN_WALKED, &o->walk);
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
            if (o->err != ERR_NONE) return open_end(o);
            open_index_closed(o);
            o->segment++;
        }
        if (o->cut) {
            while (log->segment_count > o->segment + 1)
                log_segment_drop_last(log);
            while (open_next_later(o)) {
                AWAIT_IO(o, OPEN_LATER_GONE, &o->io);
                o->err = log_io_err(&o->io);
                if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return open_end(o);
            }
            log_path_log(o->path, log);
            log_io_path(&o->io, world, DISK_SYNC_DIR, o->path);
            AWAIT_IO(o, OPEN_CUT_NAMES, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return open_end(o);
            log_path_of(o->path_to, log, log_active(log)->base, ".log");
            log_io_open(&o->io, world, o->path_to, 0);
            AWAIT_IO(o, OPEN_CUT_OPENED, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return open_end(o);
            o->file = o->io.req.file;
            log_io_truncate(&o->io, world, o->file, log_active(log)->size);
            AWAIT_IO(o, OPEN_CUT_DONE, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err == ERR_NONE) log_io_sync(&o->io, world, o->file);
            AWAIT_IO(o, OPEN_CUT_SYNCED, &o->io);
            if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
            log_io_close(&o->io, world, o->file);
            AWAIT_IO(o, OPEN_CUT_CLOSED, &o->io);
            if (o->err != ERR_NONE) return open_end(o);
        }
        open_take(o);
        return open_end(o);
    }
    IMPOSSIBLE("step");
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
    log->assigned_epoch = -1;
    log->flush.flush = log_flush;
    list_init(&log->flush.link);
    list_init(&log->staged);
    list_init(&log->starved);
    list_init(&log->sync_link);
    log_tail_init(&log->cached);
    op_source_init(&log->end_source);
    op_source_init(&log->synced_source);
    op_source_init(&log->state_source);
    log_epochs_init(&log->epochs, &dir->env->mem);
    log_producers_init(&log->producers, &dir->env->mem, dir->limits.producers_max);
    known->log = log;
    dir->logs_open++;
    log->wanted = LOG_WANT_OPEN;
    log_advance(log);
    return log;
}
