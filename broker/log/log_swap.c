/* The end of a compaction: one new segment takes the places of one or several old ones (storage.md
 * 12.4, with the directory syncs that H2 asks for).
 *
 *     N.log.cleaned ...   written, synced; the directory synced              log_clean.c
 *     .cleaned -> .swap   the directory synced: from here on an open finishes it
 *     ---- in a flow: nothing is appended, nobody reads
 *     segment-manifest    without the lines of the old ones, durable
 *     old -> .deleted     with the snapshots of bases that are no more; the directory synced
 *     .swap -> N.log ...  the directory synced
 *     memory              the log has the new segment
 *     segment-manifest    with its line
 *
 * Names persist in any subset until their directory is synced (DF5), so each line ends with a sync.
 * An open (log_swap_resume) finds:
 *     any .cleaned        not finished: they go, and the .swap of the same base and above
 *     N.log.swap          finished: N.log and its like go, and all that is numbered inside of what
 *                         N.log.swap holds; then it takes its name
 *     only N.index.swap   the last renames were under way: it takes its name
 * and syncs the directory before it goes on. Sources behind the last batch that was kept may come
 * back: they hold only what newer records replaced. */
#include "broker/log/log_clean_private.h"

#include "client/base/text.h"

#include <string.h>

const char *const log_swap_suffixes[LOG_SWAP_PARTS] = {".log", ".index", ".timeindex", ".txnindex"};

/* What goes of a source: the first four of all, the others of bases that are no more. */
static const char *const swap_gone[] = {".log",      ".index",    ".timeindex",
                                        ".txnindex", ".snapshot", ".producers"};

bool log_swap_due(const struct log *log)
{
    return log->swapping || (log->wanted & LOG_WANT_SWAP) != 0;
}

/* Index of the first source when they stand in the log as they did; -1. */
static int64_t swap_find(const struct log *log)
{
    const struct log_swap *swap = &log->clean->swap;
    uint32_t first = log_segment_find(log, swap->bases[0]);
    uint64_t bytes = 0;

    if (first + swap->count >= log->segment_count) return -1;
    for (uint32_t i = 0; i < swap->count; i++) {
        if (log->segments[first + i]->base != swap->bases[i]) return -1;
        bytes += log->segments[first + i]->size;
    }
    if (log->segments[first + swap->count]->base != swap->end || bytes != swap->old_bytes)
        return -1;
    return first;
}

bool log_swap_quiet(const struct log *log)
{
    int64_t first;

    if (log->clean == NULL || log->readers != log->readers_waiting || log->syncing) return false;
    first = swap_find(log);
    for (uint32_t i = 0; first >= 0 && i < log->clean->swap.count; i++) {
        const struct log_file *file = log->segments[first + i]->file;

        if (file != NULL && file->pins > 0) return false;
    }
    return true;
}

/* ---- the flow -------------------------------------------------------------------------------- */

enum swap_step {
    SWAP_START,
    SWAP_LINES_GONE,
    SWAP_OLD_RENAMED,
    SWAP_OLD_SYNCED,
    SWAP_NEW_RENAMED,
    SWAP_NEW_SYNCED,
    SWAP_LINES_SAVED,
};
static const char *const swap_steps[] = {"START",       "LINES_GONE", "OLD_RENAMED", "OLD_SYNCED",
                                         "NEW_RENAMED", "NEW_SYNCED", "LINES_SAVED"};

static void swap_told(struct log_flow *o)
{
    o->log->swapping = false;
    o->log->wanted &= (uint16_t)~LOG_WANT_SWAP;
    op_wake(&o->log->state_source);
}

static bool swap_begin(struct log_flow *o)
{
    struct log *log = o->log;
    int64_t first;

    if (log->state != LOG_OPEN || !log_swap_quiet(log)) return false;
    first = swap_find(log);
    if (first < 0) {
        swap_told(o);
        return false;
    }
    log->swapping = true;
    for (uint32_t i = 0; i < log->clean->swap.count; i++)
        log_file_drop(log->segments[first + i]);
    o->skip_from = log->clean->swap.bases[0];
    o->skip_to = log->clean->swap.end;
    o->err = log_flow_print_manifest(o) ? ERR_NONE : ERR_NO_MEMORY;
    log_path_log(o->path, log);
    if (o->err == ERR_NONE) {
        log_save_start(&o->save, log_flow_env(o), o->path, "segment-manifest", log_flow_bytes(o),
                       true);
    }
    return true;
}

static bool swap_old_next(struct log_flow *o)
{
    struct log_swap *swap = &o->log->clean->swap;
    struct text to;
    uint32_t parts = swap->at == 0 ? LOG_SWAP_PARTS : (uint32_t)COUNT_OF(swap_gone);

    if (swap->part == parts) {
        swap->part = 0;
        swap->at++;
    }
    if (swap->at == swap->count) return false;
    log_path_of(o->path, o->log, swap->bases[swap->at], swap_gone[swap->part++]);
    text_init(&to, o->path_to, sizeof o->path_to);
    text_format(&to, "%s.deleted", o->path);
    ASSERT(!to.truncated);
    log_io_rename(&o->io, log_flow_env(o)->world, o->path, o->path_to);
    return true;
}

static bool swap_new_next(struct log_flow *o)
{
    struct log_swap *swap = &o->log->clean->swap;
    struct text from;

    if (swap->part == LOG_SWAP_PARTS || (swap->part == 3 && !swap->aborted)) return false;
    log_path_of(o->path_to, o->log, swap->bases[0], log_swap_suffixes[swap->part++]);
    text_init(&from, o->path, sizeof o->path);
    text_format(&from, "%s.swap", o->path_to);
    log_io_rename(&o->io, log_flow_env(o)->world, o->path, o->path_to);
    return true;
}

static void swap_sync(struct log_flow *o)
{
    log_path_log(o->path, o->log);
    log_io_path(&o->io, log_flow_env(o)->world, DISK_SYNC_DIR, o->path);
    o->log->clean->swap.part = 0;
}

/* The first source becomes the new segment, the others go. */
static void swap_apply(struct log_flow *o)
{
    struct log *log = o->log;
    struct log_swap *swap = &log->clean->swap;
    int64_t first = swap_find(log);
    struct log_segment *segment;

    ASSERT(first >= 0);
    segment = log->segments[first];
    ASSERT(segment->index == NULL && !segment->dirty);
    segment->end = swap->end;
    segment->size = swap->size;
    segment->max_timestamp = swap->max_timestamp;
    segment->first_timestamp = swap->first_timestamp;
    segment->retain_ms = swap->max_timestamp;
    segment->offset_count = swap->offset_count;
    segment->time_count = swap->time_count;
    segment->aborted = swap->aborted;
    segment->index_bad = false;
    log_lookup_forget(log, segment);
    log_sound_forget(log, segment); /* it was of the old file */
    segment->hint_offset = -1;
    /* Entries of the transaction index are gone with what they were for; not so from the cache. */
    if (log->dir->cache != NULL) log_cache_cut_below(log->dir->cache, &log->cached, swap->end);
    for (uint32_t i = 1; i < swap->count; i++)
        log_segment_drop_at(log, (uint32_t)first + 1);
    for (uint32_t i = 0; i < swap->count; i++)
        log_retain_trash(log, swap->bases[i]);
    op_wake(&log->dir->trash_source);
    swap->done = true;
    TRACE(log->dir->env->world, LOG_SWAPPED, (int64_t)log->topic, log->partition, swap->bases[0],
          swap->end, (int64_t)swap->old_bytes, (int64_t)swap->size);
}

static enum op_result swap_fail(struct log_flow *o)
{
    log_dir_fail(o->log->dir, o->err);
    swap_told(o);
    return OP_DONE;
}

static enum op_result swap_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);

    switch ((enum swap_step)op->step) {
    case SWAP_START:
        if (!swap_begin(o)) return OP_DONE;
        AWAIT_SAVE(o, SWAP_LINES_GONE, &o->save);
        if (o->err == ERR_NONE) o->err = o->save.err;
        if (log_err_passes(o->err)) {
            swap_told(o); /* another time: nothing has changed */
            return OP_DONE;
        }
        if (o->err != ERR_NONE) return swap_fail(o);
        while (swap_old_next(o)) {
            AWAIT_IO(o, SWAP_OLD_RENAMED, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return swap_fail(o);
        }
        swap_sync(o);
        AWAIT_IO(o, SWAP_OLD_SYNCED, &o->io);
        o->err = log_io_err(&o->io);
        while (o->err == ERR_NONE && swap_new_next(o)) {
            AWAIT_IO(o, SWAP_NEW_RENAMED, &o->io);
            o->err = log_io_err(&o->io);
        }
        if (o->err != ERR_NONE) return swap_fail(o);
        swap_sync(o);
        AWAIT_IO(o, SWAP_NEW_SYNCED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return swap_fail(o);
        swap_apply(o);
        o->skip_to = o->skip_from;
        if (!log_flow_print_manifest(o)) {
            swap_told(o);
            return OP_DONE; /* its line comes with the next roll */
        }
        log_path_log(o->path, o->log);
        log_save_start(&o->save, log_flow_env(o), o->path, "segment-manifest", log_flow_bytes(o),
                       true);
        AWAIT_SAVE(o, SWAP_LINES_SAVED, &o->save);
        o->err = o->save.err;
        if (o->err != ERR_NONE && !log_err_passes(o->err)) return swap_fail(o);
        swap_told(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_swap_kind = {"log_swap", swap_steps, COUNT_OF(swap_steps), swap_run,
                                      log_flow_finish};

/* ---- at an open ------------------------------------------------------------------------------ */

static bool swap_ends(struct str name, const char *end)
{
    size_t length = strlen(end);

    return name.length >= length && memcmp(name.data + name.length - length, end, length) == 0;
}

static bool swap_is_cleaned(struct str suffix)
{
    return swap_ends(suffix, ".cleaned") || swap_ends(suffix, ".cleaned.tmp");
}

static bool swap_entry(const struct disk_entry *entry, int64_t *base, struct str *suffix)
{
    return !entry->directory && log_file_parse(str_of(entry->name), base, suffix);
}

/* Lowest number of a name that ends like this; -1 none. */
static int64_t swap_lowest(struct log_flow *o, bool cleaned, const char *end)
{
    const struct disk_entry *entry;
    int64_t lowest = -1;

    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL) {
        struct str suffix;
        int64_t base;

        if (!swap_entry(entry, &base, &suffix)) continue;
        if (cleaned ? !swap_is_cleaned(suffix) : !swap_ends(suffix, end)) continue;
        if (lowest < 0 || base < lowest) lowest = base;
    }
    return lowest;
}

bool log_swap_left(struct log_flow *o)
{
    return swap_lowest(o, true, "") >= 0 || swap_lowest(o, false, ".swap") >= 0;
}

/* Submits the removal of a name of the listing, and forgets it. */
static void swap_unlink(struct log_flow *o, const struct disk_entry *entry)
{
    char *name = (char *)(o->list + ((const uint8_t *)entry->name - o->list));

    log_path_log(o->path_to, o->log);
    log_path(o->path, o->path_to, entry->name);
    name[0] = '-';
    log_io_path(&o->io, log_flow_env(o)->world, DISK_UNLINK, o->path);
}

/* Is there base + suffix + ".swap"? */
static bool swap_there(struct log_flow *o, int64_t base, struct str suffix)
{
    char name[LOG_FILE_NAME];
    char with[32];
    struct text text;
    uint64_t at = o->list_at;
    bool there;

    text_init(&text, with, sizeof with);
    text_format(&text, "%S.swap", suffix);
    if (text.truncated) return false;
    log_file_name(name, base, "");
    there = log_open_list_size(o, base, with) >= 0;
    o->list_at = at;
    return there;
}

static bool swap_ours(struct str suffix)
{
    for (uint32_t i = 0; i < COUNT_OF(swap_gone); i++)
        if (str_equal(suffix, str_of(swap_gone[i]))) return true;
    return false;
}

/* What o->mode is about: the next name to remove. */
static bool swap_unlink_next(struct log_flow *o, enum log_swap_mode mode)
{
    const struct disk_entry *entry;

    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL) {
        struct str suffix;
        int64_t base;
        bool goes = false;

        if (!swap_entry(entry, &base, &suffix)) {
            if (mode == LOG_SWAP_OLD && strcmp(entry->name, "segment-manifest") == 0) {
                swap_unlink(o, entry);
                return true;
            }
            continue;
        }
        switch (mode) {
        case LOG_SWAP_UNFINISHED:
            goes = swap_is_cleaned(suffix) || (swap_ends(suffix, ".swap") && base >= o->swap_base);
            break;
        case LOG_SWAP_BAD: goes = swap_ends(suffix, ".swap") && base == o->swap_base; break;
        case LOG_SWAP_OLD:
            if (!swap_ours(suffix) || base < o->swap_base) break;
            goes = base == o->swap_base ? swap_there(o, base, suffix) : base < o->swap_end;
            break;
        }
        if (!goes) continue;
        swap_unlink(o, entry);
        return true;
    }
    return false;
}

static bool swap_rename_next(struct log_flow *o)
{
    const struct disk_entry *entry;

    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL) {
        struct str suffix;
        struct text text;
        int64_t base;
        char *name;

        if (!swap_entry(entry, &base, &suffix) || !swap_ends(suffix, ".swap")) continue;
        if (base != o->swap_base) continue;
        log_path_log(o->path, o->log);
        text_init(&text, o->path_to, sizeof o->path_to);
        text_format(&text, "%s/%S", o->path,
                    (struct str){entry->name, (uint32_t)strlen(entry->name) - 5});
        text_init(&text, o->path + strlen(o->path), sizeof o->path - strlen(o->path));
        text_format(&text, "/%s", entry->name);
        name = (char *)(o->list + ((const uint8_t *)entry->name - o->list));
        name[0] = '-';
        log_io_rename(&o->io, log_flow_env(o)->world, o->path, o->path_to);
        return true;
    }
    return false;
}

static void swap_walk(struct log_flow *o)
{
    o->swap_segment = (struct log_segment){.base = o->swap_base};
    log_walk_start(&o->walk, o->log, &o->swap_segment, 0, o->swap_base, -1);
    o->walk.suffix = ".log.swap";
    o->walk.effects = false;
    o->walk.scan.gaps = true;
    o->walk.read_flags = DISK_UNCACHED;
}

static void swap_sync_dir(struct log_flow *o)
{
    log_path_log(o->path, o->log);
    log_io_path(&o->io, log_flow_env(o)->world, DISK_SYNC_DIR, o->path);
}

/* The next base with .swap names, the finished ones first; false: none is left. */
static bool swap_next_base(struct log_flow *o)
{
    o->swap_base = swap_lowest(o, false, ".log.swap");
    o->swap_whole = o->swap_base >= 0;
    if (!o->swap_whole) o->swap_base = swap_lowest(o, false, ".swap");
    return o->swap_base >= 0;
}

enum op_result log_swap_resume(struct log_flow *o)
{
    switch ((enum log_swap_resume_step)o->op.step) {
    case LOG_SWAP_RESUME:
        o->swap_base = swap_lowest(o, true, "");
        if (o->swap_base >= 0) {
            while (swap_unlink_next(o, LOG_SWAP_UNFINISHED)) {
                AWAIT_IO(o, LOG_SWAP_CLEARED, &o->io);
                o->err = log_io_err(&o->io);
                if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return OP_DONE;
            }
            swap_sync_dir(o);
            AWAIT_IO(o, LOG_SWAP_CLEARED_SYNCED, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return OP_DONE;
        }
        while (swap_next_base(o)) {
            if (o->swap_whole) {
                swap_walk(o);
                AWAIT_WALK(o, LOG_SWAP_WALKED, &o->walk);
                o->swap_end = o->walk.scan.next_offset;
                if (o->walk.end == LOG_WALK_ERROR) {
                    o->err = o->walk.err;
                    return OP_DONE;
                }
                if (o->walk.end != LOG_WALK_WHOLE) {
                    o->err = ERR_DAMAGED;
                    if (log_open_list_size(o, o->swap_base, ".log") < 0) return OP_DONE;
                    while (swap_unlink_next(o, LOG_SWAP_BAD)) {
                        AWAIT_IO(o, LOG_SWAP_BAD_GONE, &o->io);
                        o->err = log_io_err(&o->io);
                        if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return OP_DONE;
                    }
                } else {
                    while (swap_unlink_next(o, LOG_SWAP_OLD)) {
                        AWAIT_IO(o, LOG_SWAP_OLD_GONE, &o->io);
                        o->err = log_io_err(&o->io);
                        if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) return OP_DONE;
                    }
                }
                swap_sync_dir(o);
                AWAIT_IO(o, LOG_SWAP_OLD_SYNCED, &o->io);
                o->err = log_io_err(&o->io);
                if (o->err != ERR_NONE) return OP_DONE;
            }
            while (swap_rename_next(o)) {
                AWAIT_IO(o, LOG_SWAP_RENAMED, &o->io);
                o->err = log_io_err(&o->io);
                if (o->err != ERR_NONE) return OP_DONE;
            }
            swap_sync_dir(o);
            AWAIT_IO(o, LOG_SWAP_RENAMED_SYNCED, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return OP_DONE;
        }
        o->err = ERR_NONE;
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}
