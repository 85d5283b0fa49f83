/* What a read_committed reader has to leave out: the aborted transactions that have batches among
 * those of a read (transactions.md 5).
 *
 *     from the segment of the offset on: entries with last_offset >= offset and first_offset <
 *     next_offset, until one says that everything below next_offset was decided when it was written
 *
 * Entries of the active segment are in memory, those of closed ones in their files. The reader
 * counts as one of the log until this is over: a compaction drops neither bytes nor entries in
 * between, nor is the log cut. */
#include "broker/log/log_private.h"

struct log_stable {
    int64_t base; /* segments up to this one were looked at */
    struct log_load load;
    struct log_aborted_list list;
};

/* True: nothing further can matter. */
static bool stable_take(struct log_read *o, const struct log_aborted_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct log_aborted *entry = &list->entries[i];

        if (entry->last_offset >= o->offset && entry->first_offset < o->next_offset) {
            o->err = log_aborted_add(&o->aborted, *entry);
            if (o->err != ERR_NONE) return true;
        }
        if (entry->last_stable >= o->next_offset) return true;
    }
    return false;
}

static bool stable_on_disk(const struct log_read *o)
{
    const struct log *log = o->log;

    for (uint32_t i = log_segment_find(log, o->offset); i + 1 < log->segment_count; i++)
        if (log->segments[i]->aborted) return true;
    return false;
}

/* The bytes are of no use without the list. */
static void stable_fail(struct log_read *o, enum err err)
{
    log_read_release(o);
    o->next_offset = o->offset;
    o->err = err;
}

bool log_stable_begin(struct log_read *o)
{
    struct mem *mem = &o->log->dir->env->mem;

    if (!o->stable || o->err != ERR_NONE || o->count == 0) return false;
    if (stable_on_disk(o)) {
        o->finding = mem_zalloc(mem, sizeof *o->finding);
        if (o->finding != NULL) {
            log_aborted_init(&o->finding->list, mem);
            o->finding->base = -1;
            return true;
        }
        o->err = ERR_NO_MEMORY;
    } else {
        (void)stable_take(o, &o->log->aborted);
    }
    if (o->err != ERR_NONE) {
        o->done = true; /* for the release */
        stable_fail(o, o->err);
    }
    return false;
}

/* Starts to load the next index; false: all was looked at. */
static bool stable_load(struct log_read *o)
{
    struct log *log = o->log;
    struct log_stable *s = o->finding;
    uint32_t at = log_segment_find(log, s->base < 0 ? o->offset : s->base);
    char dir[LOG_PATH_MAX];
    char name[LOG_FILE_NAME];

    if (s->base >= 0) at++;
    while (at + 1 < log->segment_count && !log->segments[at]->aborted)
        at++;
    if (at >= log->segment_count) return false;
    if (at + 1 == log->segment_count) {
        (void)stable_take(o, &log->aborted);
        return false;
    }
    s->base = log->segments[at]->base;
    log_file_name(name, s->base, ".txnindex");
    log_path_log(dir, log);
    log_load_start(&s->load, log->dir->env, dir, name, LOG_ABORTED_MAX);
    return true;
}

/* False: it is over. */
static bool stable_loaded(struct log_read *o)
{
    struct log *log = o->log;
    struct log_stable *s = o->finding;
    bool over = true;

    s->list.count = 0;
    o->err = s->load.err;
    if (o->err == ERR_NONE) o->err = log_aborted_load(&s->list, log_load_bytes(&s->load));
    if (o->err == ERR_NONE) {
        over = stable_take(o, &s->list);
    } else if (o->err == ERR_IO) {
        log_dir_fail(log->dir, o->err);
    } else if (o->err == ERR_DAMAGED) {
        TRACE(log->dir->env->world, LOG_DAMAGED, (int64_t)log->topic, log->partition, s->base, -1,
              ERR_DAMAGED);
    }
    log_load_free(&s->load);
    return o->err == ERR_NONE && !over;
}

enum op_result log_stable_run(struct log_read *o)
{
    struct log_stable *s = o->finding;
    struct mem *mem = &o->log->dir->env->mem;

    switch ((enum log_stable_step)o->op.step) {
    case LOG_STABLE_FIND:
        while (stable_load(o)) {
            AWAIT_LOAD(o, LOG_STABLE_LOADED, &s->load);
            if (!stable_loaded(o)) break;
        }
        log_aborted_deinit(&s->list);
        mem_free(mem, s, sizeof *s);
        o->finding = NULL;
        o->done = true;
        if (o->err == ERR_NO_MEMORY) {
            stable_fail(o, o->err);
        } else if (o->err != ERR_NONE) {
            stable_fail(o, ERR_KAFKA_STORAGE_ERROR);
        }
        log_read_over(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}
