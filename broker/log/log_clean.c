#include "broker/log/log_clean_private.h"

#include "client/base/text.h"

/* ---- what there is to do --------------------------------------------------------------------- */

static int64_t clean_first_dirty(const struct log *log)
{
    int64_t cleaned = log->known->cleaned;

    return cleaned < log->log_start || cleaned > log->log_end ? log->log_start : cleaned;
}

/* The newest record of a segment, as far as it is known. */
static int64_t clean_newest(const struct log_segment *segment)
{
    if (segment->max_timestamp >= 0) return segment->max_timestamp;
    return segment->retain_ms >= 0 ? segment->retain_ms : segment->created_ms;
}

int64_t log_clean_ratio(const struct log_clean_look *look)
{
    uint64_t all = look->clean_bytes + look->dirty_bytes;
    uint64_t dirty = look->dirty_bytes;

    for (; all > UINT64_C(1) << 40; all /= 2)
        dirty /= 2;
    return all == 0 ? 0 : (int64_t)(dirty * 1000000 / all);
}

void log_clean_look(struct log *log, struct log_clean_look *look)
{
    const struct log_config *config = log->config;
    int64_t now_ms = log->dir->env->now.wall.ms;
    int64_t stable = log_last_stable(log); /* what is undecided may yet be aborted */

    *look = (struct log_clean_look){.first_dirty = clean_first_dirty(log)};
    look->first_uncleanable = look->first_dirty;
    if (log->state != LOG_OPEN || !log_dir_online(log->dir) || !config->gaps || log->uncleanable ||
        log->clean != NULL)
        return;
    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        const struct log_segment *segment = log->segments[i];
        int64_t end = log->segments[i + 1]->base;
        int64_t first = segment->first_timestamp;

        if (end <= look->first_dirty) {
            look->clean_bytes += segment->size;
            continue;
        }
        /* Nothing that may still be taken back, and nothing that a power cut may take. */
        if (end > stable || segment->dirty) break;
        if (first < 0) first = clean_newest(segment);
        if (config->min_compaction_lag_ms > 0 &&
            clean_newest(segment) > now_ms - config->min_compaction_lag_ms)
            break;
        if (first < now_ms && now_ms - first > config->max_compaction_lag_ms) look->overdue = true;
        look->dirty_bytes += segment->size;
        look->first_uncleanable = end;
    }
    if (look->dirty_bytes == 0) return;
    look->wanted = look->overdue || log_clean_ratio(look) > config->min_cleanable_ratio;
}

/* ---- the pieces of the op -------------------------------------------------------------------- */

enum clean_step {
    CLEAN_START,
    CLEAN_ABORTED_LOADED,
    CLEAN_CLEARED,
    CLEAN_MAP_OPENED,
    CLEAN_MAP_READ,
    CLEAN_MAP_YIELDED,
    CLEAN_MAP_CLOSED,
};
enum clean_copy_step {
    CLEAN_COPY = CLEAN_MAP_CLOSED + 1,
    CLEAN_OUT_OPENED,
    CLEAN_OUT_EMPTIED,
    CLEAN_IN_OPENED,
    CLEAN_IN_READ,
    CLEAN_WRITTEN,
    CLEAN_YIELDED,
    CLEAN_IN_CLOSED,
    CLEAN_REST_WRITTEN,
    CLEAN_OUT_SYNCED,
    CLEAN_OUT_CLOSED,
    CLEAN_PART_SAVED,
    CLEAN_NAMES_SYNCED,
    CLEAN_RENAMED,
    CLEAN_SWAPS_SYNCED,
    CLEAN_SWAPPED,
};
enum clean_end_step {
    CLEAN_END = CLEAN_SWAPPED + 1,
    CLEAN_END_IN_CLOSED,
    CLEAN_END_OUT_CLOSED,
    CLEAN_END_UNLINKED,
    CLEAN_END_SYNCED,
};
static const char *const clean_steps[] = {
    "START",         "ABORTED_LOADED", "CLEARED",      "MAP_OPENED",   "MAP_READ",   "MAP_YIELDED",
    "MAP_CLOSED",    "COPY",           "OUT_OPENED",   "OUT_EMPTIED",  "IN_OPENED",  "IN_READ",
    "WRITTEN",       "YIELDED",        "IN_CLOSED",    "REST_WRITTEN", "OUT_SYNCED", "OUT_CLOSED",
    "PART_SAVED",    "NAMES_SYNCED",   "RENAMED",      "SWAPS_SYNCED", "SWAPPED",    "END",
    "END_IN_CLOSED", "END_OUT_CLOSED", "END_UNLINKED", "END_SYNCED"};

bool log_clean_over(const struct log_clean_work *o)
{
    const struct log *log = o->log;

    return o->stop || log->state != LOG_OPEN || !log_dir_online(log->dir) || log->cuts != o->cuts ||
           (log->wanted &
            (LOG_WANT_TRUNCATE | LOG_WANT_RESET | LOG_WANT_CLOSE | LOG_WANT_DELETE)) != 0;
}

static bool clean_check(struct log_clean_work *o)
{
    if (o->err == ERR_NONE && log_clean_over(o)) o->err = ERR_CANCELED;
    return o->err == ERR_NONE;
}

static bool clean_opened(struct log_clean_work *o, struct disk_file *file, bool *open)
{
    o->err = log_io_err(&o->io);
    if (o->err != ERR_NONE) return false;
    *file = o->io.req.file;
    *open = true;
    return true;
}

static void clean_close_in(struct log_clean_work *o)
{
    o->in_open = false;
    log_io_close(&o->io, o->log->dir->env->world, o->in_file);
}

/* A nanosecond later is another turn. */
static void clean_yield(struct log_clean_work *o)
{
    op_deadline(&o->op, o->log->dir->env->now.mono.ns + 1);
}

static void clean_write(struct log_clean_work *o)
{
    struct bytes bytes = {o->out.data, (uint32_t)o->out.used};

    log_io_write(&o->io, o->log->dir->env->world, o->out_file, bytes, o->out_position);
}

static bool clean_wrote(struct log_clean_work *o)
{
    o->err = log_io_err(&o->io);
    if (o->err != ERR_NONE) return false;
    o->out_position += o->out.used;
    o->out.used = 0;
    return true;
}

static enum err clean_begin(struct log_clean_work *o, uint64_t map_bytes)
{
    struct env *env = o->log->dir->env;
    struct log_clean_look look;
    enum err err;

    o->log->clean = NULL;
    log_clean_look(o->log, &look);
    o->log->clean = o;
    o->log->clean_reads = true;
    o->cuts = o->log->cuts;
    o->first_dirty = look.first_dirty;
    o->dirty_end = look.first_uncleanable;
    o->clean->first_dirty = look.first_dirty;
    o->clean->cleaned_to = look.first_dirty;
    if (o->dirty_end <= o->first_dirty) return ERR_CANCELED;
    err = log_keymap_init(&o->map, &env->mem, dice_seed(env->world, DICE_HASH),
                          (uint64_t)(o->dirty_end - o->first_dirty), map_bytes);
    if (err != ERR_NONE) return err;
    log_filter_init(&o->filter, &env->mem, env->world->cpu, env->world->codecs, &o->map);
    o->filter.now_ms = env->now.wall.ms;
    o->filter.delete_retention_ms = o->log->config->delete_retention_ms;
    return ERR_NONE;
}

/* The next transaction index to read; false: none. Also of segments behind the dirty ones: a marker
 * may stand there whose transaction began among them. */
static bool clean_load_aborted(struct log_clean_work *o)
{
    const struct log *log = o->log;
    char name[LOG_FILE_NAME];

    for (; o->part + 1 < log->segment_count; o->part++) {
        const struct log_segment *segment = log->segments[o->part];

        if (!segment->aborted) continue;
        log_file_name(name, segment->base, ".txnindex");
        log_path_log(o->path_to, log);
        log_load_start(&o->load, log->dir->env, o->path_to, name, 64 << 20);
        o->part++;
        return true;
    }
    return false;
}

static bool clean_take_aborted(struct log_clean_work *o)
{
    o->err = o->load.err;
    if (o->err == ERR_NONE) o->err = log_aborted_load(&o->aborted, log_load_bytes(&o->load));
    log_load_free(&o->load);
    return o->err == ERR_NONE;
}

static bool clean_take_active(struct log_clean_work *o)
{
    const struct log_aborted_list *active = &o->log->aborted;

    for (uint32_t i = 0; i < active->count && o->err == ERR_NONE; i++)
        o->err = log_aborted_add(&o->aborted, active->entries[i]);
    return o->err == ERR_NONE;
}

static void clean_pass(struct log_clean_work *o, enum log_clean_pass pass)
{
    struct mem *mem = &o->log->dir->env->mem;

    log_aborted_pass_deinit(&o->pass_aborted);
    log_aborted_pass_init(&o->pass_aborted, mem, &o->aborted);
    o->pass = pass;
    if (pass == LOG_CLEAN_MAP) log_aborted_sort(&o->aborted);
}

/* ---- the op ---------------------------------------------------------------------------------- */

static enum op_result clean_end_run(struct log_clean_work *o);

static enum op_result clean_leave(struct log_clean_work *o)
{
    op_enter(&o->op, CLEAN_END);
    return clean_end_run(o);
}

static void clean_say(struct log_clean_work *o)
{
    struct log *log = o->log;
    char buffer[LOG_PATH_MAX + 120];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%s/%s is not compacted until the next start: %s", log->dir->path,
                log->known->name, err_name(o->err));
    TRACE_TEXT(log->dir->env->world, NODE_WARNING, text_view(&text), (int64_t)o->err);
}

static void clean_done(struct log_clean_work *o)
{
    struct log *log = o->log;

    if (o->err == ERR_NONE) {
        log->known->cleaned = o->dirty_end;
        log->dir->cleaned_any = true;
        o->clean->cleaned_to = o->dirty_end;
        log_dir_changed(log->dir);
        TRACE(log->dir->env->world, LOG_CLEANED, (int64_t)log->topic, log->partition,
              o->first_dirty, o->dirty_end, o->clean->keys, (int64_t)o->clean->bytes_read,
              (int64_t)o->clean->bytes_kept);
    } else if (o->err == ERR_IO) {
        log_dir_fail(log->dir, o->err);
    } else if (o->err != ERR_CANCELED && !log_err_passes(o->err)) {
        log->uncleanable = true; /* the next round would come to the same place */
        clean_say(o);
    }
}

/* Files closed, names of a group that did not come to its end removed: durably when they could be
 * taken for a finished one, before the log may change (a cut, or new records at old offsets). */
static enum op_result clean_end_run(struct log_clean_work *o)
{
    struct world *world = o->log->dir->env->world;

    switch ((enum clean_end_step)o->op.step) {
    case CLEAN_END:
        op_deadline(&o->op, OP_NO_DEADLINE);
        if (o->in_open) clean_close_in(o);
        AWAIT_IO(o, CLEAN_END_IN_CLOSED, &o->io);
        if (o->out_open) log_io_close(&o->io, world, o->out_file);
        AWAIT_IO(o, CLEAN_END_OUT_CLOSED, &o->io);
        o->out_open = false;
        o->part = 0;
        while (log_clean_unlink_next(o)) {
            AWAIT_IO(o, CLEAN_END_UNLINKED, &o->io);
            if (log_io_err(&o->io) != ERR_NONE && log_io_err(&o->io) != ERR_NOT_FOUND)
                o->err = ERR_IO;
        }
        if (o->swapping && log_dir_online(o->log->dir)) {
            log_clean_sync_dir(o);
            AWAIT_IO(o, CLEAN_END_SYNCED, &o->io);
            if (log_io_err(&o->io) != ERR_NONE) o->err = ERR_IO;
        }
        clean_done(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

/* Segments in groups: copied, synced, renamed twice. */
static enum op_result clean_copy_run(struct log_clean_work *o)
{
    struct env *env = o->log->dir->env;
    enum log_clean_next next;

    switch ((enum clean_copy_step)o->op.step) {
    case CLEAN_COPY:
        clean_pass(o, LOG_CLEAN_COPY);
        while (clean_check(o) && log_clean_group(o)) {
            log_clean_open_out(o);
            AWAIT_IO(o, CLEAN_OUT_OPENED, &o->io);
            if (!clean_opened(o, &o->out_file, &o->out_open)) return clean_leave(o);
            log_io_truncate(&o->io, env->world, o->out_file, 0);
            AWAIT_IO(o, CLEAN_OUT_EMPTIED, &o->io);
            o->err = log_io_err(&o->io);
            while (clean_check(o) && log_clean_next_source(o)) {
                AWAIT_IO(o, CLEAN_IN_OPENED, &o->io);
                if (!clean_opened(o, &o->in_file, &o->in_open)) return clean_leave(o);
                for (;;) {
                    if (!clean_check(o)) return clean_leave(o);
                    next = log_clean_feed(o);
                    if (next == LOG_CLEAN_OVER) break;
                    if (next == LOG_CLEAN_FAILED) return clean_leave(o);
                    if (next == LOG_CLEAN_READ) {
                        o->err = log_clean_read(o) ? ERR_NONE : ERR_NO_MEMORY;
                        if (o->err != ERR_NONE) return clean_leave(o);
                        AWAIT_IO(o, CLEAN_IN_READ, &o->io);
                        if (!log_clean_took(o)) return clean_leave(o);
                    } else if (next == LOG_CLEAN_WRITE) {
                        clean_write(o);
                        AWAIT_IO(o, CLEAN_WRITTEN, &o->io);
                        if (!clean_wrote(o)) return clean_leave(o);
                    } else {
                        clean_yield(o);
                        AWAIT(o, CLEAN_YIELDED, NULL, op_expired(&o->op));
                        op_deadline(&o->op, OP_NO_DEADLINE);
                    }
                }
                clean_close_in(o);
                AWAIT_IO(o, CLEAN_IN_CLOSED, &o->io);
            }
            if (o->err != ERR_NONE) return clean_leave(o);
            clean_write(o);
            AWAIT_IO(o, CLEAN_REST_WRITTEN, &o->io);
            if (!clean_wrote(o)) return clean_leave(o);
            log_io_sync(&o->io, env->world, o->out_file);
            AWAIT_IO(o, CLEAN_OUT_SYNCED, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE) return clean_leave(o);
            log_io_close(&o->io, env->world, o->out_file);
            o->out_open = false;
            AWAIT_IO(o, CLEAN_OUT_CLOSED, &o->io);
            log_clean_finish_group(o);
            while (log_clean_save_part(o)) {
                AWAIT_SAVE(o, CLEAN_PART_SAVED, &o->save);
                o->err = o->save.err;
                if (o->err != ERR_NONE) return clean_leave(o);
            }
            if (!clean_check(o)) return clean_leave(o);
            log_clean_sync_dir(o);
            AWAIT_IO(o, CLEAN_NAMES_SYNCED, &o->io);
            o->err = log_io_err(&o->io);
            o->part = 0;
            while (clean_check(o) && log_clean_rename_next(o)) {
                AWAIT_IO(o, CLEAN_RENAMED, &o->io);
                o->err = log_io_err(&o->io);
            }
            if (o->err != ERR_NONE) return clean_leave(o);
            log_clean_sync_dir(o);
            AWAIT_IO(o, CLEAN_SWAPS_SYNCED, &o->io);
            o->err = log_io_err(&o->io);
            if (!clean_check(o)) return clean_leave(o);
            log_clean_ask_swap(o);
            AWAIT(o, CLEAN_SWAPPED, &o->log->state_source, log_clean_swap_told(o));
            log_clean_group_over(o);
        }
        return clean_leave(o);
    }
    IMPOSSIBLE("step");
}

/* The keys of the dirty part. */
static enum op_result clean_map_run(struct log_clean_work *o)
{
    const struct log_segment *segment;
    enum log_clean_next next;

    switch ((enum clean_step)o->op.step) {
    case CLEAN_START:
        if (!clean_check(o)) return clean_leave(o);
        while (clean_load_aborted(o)) {
            AWAIT_LOAD(o, CLEAN_ABORTED_LOADED, &o->load);
            if (!clean_take_aborted(o)) return clean_leave(o);
        }
        if (!clean_take_active(o)) return clean_leave(o);
        while (!log_keymap_clear(&o->map)) {
            clean_yield(o);
            AWAIT(o, CLEAN_CLEARED, NULL, op_expired(&o->op));
            op_deadline(&o->op, OP_NO_DEADLINE);
        }
        clean_pass(o, LOG_CLEAN_MAP);
        o->next_base = o->log->segments[log_segment_find(o->log, o->first_dirty)]->base;
        while (clean_check(o) && !o->mapped) {
            segment = log_clean_segment(o, o->next_base);
            if (segment == NULL) break;
            o->next_base = o->end;
            log_clean_open(o, segment);
            AWAIT_IO(o, CLEAN_MAP_OPENED, &o->io);
            if (!clean_opened(o, &o->in_file, &o->in_open)) return clean_leave(o);
            for (;;) {
                if (!clean_check(o)) return clean_leave(o);
                next = log_clean_feed(o);
                if (next == LOG_CLEAN_OVER) break;
                if (next == LOG_CLEAN_FAILED) return clean_leave(o);
                if (next == LOG_CLEAN_READ) {
                    o->err = log_clean_read(o) ? ERR_NONE : ERR_NO_MEMORY;
                    if (o->err != ERR_NONE) return clean_leave(o);
                    AWAIT_IO(o, CLEAN_MAP_READ, &o->io);
                    if (!log_clean_took(o)) return clean_leave(o);
                } else {
                    clean_yield(o);
                    AWAIT(o, CLEAN_MAP_YIELDED, NULL, op_expired(&o->op));
                    op_deadline(&o->op, OP_NO_DEADLINE);
                }
            }
            clean_close_in(o);
            AWAIT_IO(o, CLEAN_MAP_CLOSED, &o->io);
        }
        if (o->mapped) o->dirty_end = o->map.latest + 1;
        o->clean->keys = o->map.count;
        o->next_base = 0;
        op_enter(&o->op, CLEAN_COPY);
        return clean_copy_run(o);
    }
    IMPOSSIBLE("step");
}

static enum op_result clean_run(struct op *op)
{
    struct log_clean_work *o = CONTAINER_OF(op, struct log_clean_work, op);

    if (op->step >= CLEAN_END) return clean_end_run(o);
    return op->step >= CLEAN_COPY ? clean_copy_run(o) : clean_map_run(o);
}

static void clean_finish(struct op *op)
{
    struct log_clean_work *o = CONTAINER_OF(op, struct log_clean_work, op);
    struct log_clean *clean = o->clean;
    struct log *log = o->log;
    struct mem *mem = &log->dir->env->mem;

    clean->err = o->err;
    clean->busy = false;
    clean->work = NULL;
    log_keymap_deinit(&o->map);
    log_filter_deinit(&o->filter);
    log_bytes_free(&o->in);
    log_bytes_free(&o->out);
    log_bytes_free(&o->inflated);
    log_load_free(&o->load);
    log_aborted_pass_deinit(&o->pass_aborted);
    log_aborted_deinit(&o->aborted);
    log_aborted_deinit(&o->kept_aborted);
    if (o->index_there) log_index_deinit(&o->index);
    mem_free(mem, o->bytes, o->bytes_size);
    log->clean = NULL;
    log->clean_reads = false;
    mem_free(mem, o, sizeof *o);
    op_wake(&clean->source);
    op_wake(&log->state_source);
    log_advance(log);
}

static const struct op_kind clean_kind = {"log_clean", clean_steps, COUNT_OF(clean_steps),
                                          clean_run, clean_finish};

void log_clean_start(struct log_clean *clean, struct log *log, uint64_t map_bytes)
{
    struct mem *mem = &log->dir->env->mem;
    struct log_clean_work *o;

    ASSERT(log->clean == NULL);
    *clean = (struct log_clean){.log = log, .err = ERR_NO_MEMORY};
    op_source_init(&clean->source);
    o = mem_zalloc(mem, sizeof *o);
    if (o == NULL) return;
    clean->work = o;
    clean->busy = true;
    o->clean = clean;
    o->log = log;
    o->map.mem = mem;
    o->in.mem = mem;
    o->out.mem = mem;
    o->inflated.mem = mem;
    o->filter.inflated.mem = mem;
    o->filter.kept.mem = mem;
    o->filter.other.mem = mem;
    log_io_init(&o->io);
    log_aborted_init(&o->aborted, mem);
    log_aborted_init(&o->kept_aborted, mem);
    log_aborted_pass_init(&o->pass_aborted, mem, &o->aborted);
    o->err = clean_begin(o, map_bytes);
    op_start(&log->dir->env->loop, &o->op, &clean_kind, CLEAN_START);
}

void log_clean_stop(struct log_clean *clean)
{
    if (!clean->busy) return;
    clean->work->stop = true;
    op_resume(&clean->work->op);
}
