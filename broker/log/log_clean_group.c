/* The segments that a compaction reads, and the groups of them that become one: which they are, the
 * names of the new one's files, its indexes, its way to the swap (log_swap.c). */
#include "broker/log/log_clean_private.h"

#include "client/base/text.h"

/* The first closed segment at or behind `base` that has something below dirty_end. */
const struct log_segment *log_clean_segment(struct log_clean_work *o, int64_t base)
{
    const struct log *log = o->log;

    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        const struct log_segment *segment = log->segments[i];

        if (segment->base < base) continue;
        if (segment->base >= o->dirty_end) return NULL;
        o->end = log->segments[i + 1]->base;
        return segment;
    }
    return NULL;
}

void log_clean_open(struct log_clean_work *o, const struct log_segment *segment)
{
    o->base = segment->base;
    o->in_size = segment->size;
    o->in_position = 0;
    o->in_at = 0;
    o->in.used = 0;
    o->next_offset = segment->base;
    o->batch_open = false;
    log_path_of(o->path, o->log, segment->base, ".log");
    log_io_open(&o->io, o->log->dir->env->world, o->path, DISK_READ_ONLY);
}

/* The next segments that fit one; false: none is left. */
bool log_clean_group(struct log_clean_work *o)
{
    const struct log *log = o->log;
    struct log_swap *swap = &o->swap;
    uint64_t offsets = 0;
    uint64_t times = 0;

    *swap = (struct log_swap){.max_timestamp = -1, .first_timestamp = -1};
    for (int64_t base = o->next_base; swap->count < LOG_CLEAN_GROUP;) {
        const struct log_segment *segment = log_clean_segment(o, base);

        if (segment == NULL) break;
        offsets += segment->offset_count;
        times += segment->time_count;
        if (swap->count > 0 && (swap->old_bytes + segment->size > log->config->segment_bytes ||
                                offsets * LOG_INDEX_ENTRY > log->config->index_bytes ||
                                times * LOG_TIME_ENTRY > log->config->index_bytes ||
                                o->end - swap->bases[0] > INT32_MAX))
            break;
        swap->bases[swap->count++] = segment->base;
        swap->old_bytes += segment->size;
        swap->end = o->end;
        base = o->end;
    }
    if (swap->count == 0) return false;
    o->next_base = swap->end;
    o->out.used = 0;
    o->out_position = 0;
    log_index_init(&o->index, &log->dir->env->mem);
    o->index_there = true;
    o->kept_aborted.count = 0;
    o->part = 0;
    return true;
}

static void clean_name(struct log_clean_work *o, char path[LOG_PATH_MAX], uint32_t part,
                       const char *end)
{
    char suffix[32];
    struct text text;

    text_init(&text, suffix, sizeof suffix);
    text_format(&text, "%s%s", log_swap_suffixes[part], end);
    log_path_of(path, o->log, o->swap.bases[0], suffix);
}

void log_clean_open_out(struct log_clean_work *o)
{
    clean_name(o, o->path, 0, ".cleaned");
    log_io_open(&o->io, o->log->dir->env->world, o->path, DISK_CREATE);
}

/* The next source of the group. */
bool log_clean_next_source(struct log_clean_work *o)
{
    const struct log_segment *segment;

    if (o->part == o->swap.count) return false;
    segment = log_clean_segment(o, o->swap.bases[o->part]);
    if (segment == NULL || segment->base != o->swap.bases[o->part]) {
        o->err = ERR_CANCELED;
        return false;
    }
    o->part++;
    log_clean_open(o, segment);
    return true;
}

/* Saves the next index file; false: all are there, or one failed. */
bool log_clean_save_part(struct log_clean_work *o)
{
    struct env *env = o->log->dir->env;
    char name[LOG_FILE_NAME];
    char suffix[32];
    struct text text;
    size_t size = 0;

    if (o->part == LOG_SWAP_PARTS) return false;
    mem_free(&env->mem, o->bytes, o->bytes_size);
    if (o->part == 1) size = (size_t)o->index.offset_count * LOG_INDEX_ENTRY;
    if (o->part == 2) size = (size_t)o->index.time_count * LOG_TIME_ENTRY;
    if (o->part == 3) size = (size_t)o->kept_aborted.count * LOG_ABORTED_ENTRY;
    o->bytes_size = 0;
    o->bytes = NULL;
    if (o->part == 3 && size == 0) return false;
    o->bytes = mem_alloc(&env->mem, size + 1);
    if (o->bytes == NULL) {
        o->err = ERR_NO_MEMORY;
        return false;
    }
    o->bytes_size = size + 1;
    if (o->part == 1) log_index_put_offsets(&o->index, o->bytes);
    if (o->part == 2) log_index_put_times(&o->index, o->bytes);
    if (o->part == 3) log_aborted_put(&o->kept_aborted, o->bytes);
    text_init(&text, suffix, sizeof suffix);
    text_format(&text, "%s.cleaned", log_swap_suffixes[o->part]);
    log_file_name(name, o->swap.bases[0], suffix);
    log_path_log(o->path_to, o->log);
    log_save_start(&o->save, env, o->path_to, name, (struct bytes){o->bytes, (uint32_t)size},
                   false);
    o->part++;
    return true;
}

void log_clean_finish_group(struct log_clean_work *o)
{
    log_index_finish(&o->index);
    o->swap.size = o->out_position;
    o->swap.offset_count = o->index.offset_count;
    o->swap.time_count = o->index.time_count;
    o->swap.aborted = o->kept_aborted.count > 0;
    o->part = 1;
}

bool log_clean_rename_next(struct log_clean_work *o)
{
    if (o->part == LOG_SWAP_PARTS || (o->part == 3 && !o->swap.aborted)) return false;
    clean_name(o, o->path, o->part, ".cleaned");
    clean_name(o, o->path_to, o->part, ".swap");
    if (!o->swapping) {
        TRACE(o->log->dir->env->world, LOG_SWAPPING, (int64_t)o->log->topic, o->log->partition,
              o->swap.bases[0], o->swap.end, (int64_t)o->swap.old_bytes, (int64_t)o->swap.size);
    }
    log_io_rename(&o->io, o->log->dir->env->world, o->path, o->path_to);
    o->swapping = true;
    o->part++;
    return true;
}

void log_clean_sync_dir(struct log_clean_work *o)
{
    log_path_log(o->path, o->log);
    log_io_path(&o->io, o->log->dir->env->world, DISK_SYNC_DIR, o->path);
}

/* The log may change again but for the group itself; it exchanges the files when nobody reads. */
void log_clean_ask_swap(struct log_clean_work *o)
{
    o->log->clean_reads = false;
    o->log->wanted |= LOG_WANT_SWAP;
    log_advance(o->log);
}

bool log_clean_swap_told(const struct log_clean_work *o)
{
    const struct log *log = o->log;

    if (log->swapping) return false;
    return (log->wanted & LOG_WANT_SWAP) == 0 || log_clean_over(o);
}

void log_clean_group_over(struct log_clean_work *o)
{
    o->log->wanted &= (uint16_t)~LOG_WANT_SWAP;
    o->log->clean_reads = true;
    if (!o->swap.done) {
        if (o->err == ERR_NONE) o->err = ERR_CANCELED;
        return;
    }
    o->swapping = false;
    o->clean->bytes_read += o->swap.old_bytes;
    o->clean->bytes_kept += o->swap.size;
    o->swap.count = 0;
    log_index_deinit(&o->index);
    o->index_there = false;
}

/* The n-th name of a group that was not swapped; false: none is left. */
bool log_clean_unlink_next(struct log_clean_work *o)
{
    static const char *const ends[] = {".cleaned", ".cleaned.tmp", ".swap"};

    if (o->swap.count == 0 || o->swap.done || !log_dir_online(o->log->dir)) return false;
    if (o->part == LOG_SWAP_PARTS * COUNT_OF(ends)) return false;
    clean_name(o, o->path, o->part % LOG_SWAP_PARTS, ends[o->part / LOG_SWAP_PARTS]);
    log_io_path(&o->io, o->log->dir->env->world, DISK_UNLINK, o->path);
    o->part++;
    return true;
}
