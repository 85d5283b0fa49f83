/* From an offset to a place in a segment. The active segment's index is in memory; that of a closed
 * one is read as a whole when it is first asked for, and kept: together at most index_bytes of a
 * directory, the one used longest ago goes first. So a read at any offset takes one read of an
 * index and one of the log when nothing is in memory, however long the log is. */
#include "broker/log/log_private.h"

struct log_loaded {
    struct log_index index;
    struct list link; /* in dir->indexes */
    struct log_segment *segment;
};

static size_t lookup_bytes(const struct log_index *index)
{
    return (size_t)index->offset_room * sizeof *index->offsets;
}

void log_lookup_forget(struct log *log, struct log_segment *segment)
{
    struct log_dir *dir = log->dir;
    struct log_loaded *loaded = segment->loaded;

    if (loaded == NULL) return;
    dir->index_bytes -= lookup_bytes(&loaded->index);
    list_remove(&loaded->link);
    log_index_deinit(&loaded->index);
    mem_free(&dir->env->mem, loaded, sizeof *loaded);
    segment->loaded = NULL;
}

void log_lookup_keep(struct log *log, struct log_segment *segment, struct log_index *index)
{
    struct log_dir *dir = log->dir;
    struct mem *mem = &dir->env->mem;
    struct log_loaded *loaded = mem_alloc(mem, sizeof *loaded);

    ASSERT(segment->loaded == NULL);
    if (loaded == NULL) {
        log_index_deinit(index); /* read again when it is asked for */
    } else {
        log_index_forget_times(index);
        loaded->index = *index;
        loaded->segment = segment;
        list_init(&loaded->link);
        list_push(&dir->indexes, &loaded->link);
        dir->index_bytes += lookup_bytes(index);
        segment->loaded = loaded;
    }
    mem_free(mem, index, sizeof *index);
    while (dir->index_bytes > dir->limits.index_bytes)
        log_lookup_forget(log, LIST_ENTRY(dir->indexes.next, struct log_loaded, link)->segment);
}

enum err log_lookup_load(struct log *log, struct log_segment *segment, struct bytes file)
{
    struct mem *mem = &log->dir->env->mem;
    struct log_index *index;
    enum err err;

    if (segment->loaded != NULL || segment->index != NULL) return ERR_NONE;
    index = mem_alloc(mem, sizeof *index);
    if (index == NULL) return ERR_NO_MEMORY;
    log_index_init(index, mem);
    err = log_index_load(index, file.data, file.length, NULL, 0, segment->size);
    if (err == ERR_NONE) {
        log_lookup_keep(log, segment, index);
        return ERR_NONE;
    }
    log_index_deinit(index);
    mem_free(mem, index, sizeof *index);
    return err;
}

bool log_lookup(struct log *log, struct log_segment *segment, int64_t offset, uint32_t *position,
                uint32_t *span)
{
    const struct log_index *index = segment->index;

    if (index == NULL && segment->loaded != NULL && !segment->index_bad) {
        index = &segment->loaded->index;
        list_remove(&segment->loaded->link);
        list_push(&log->dir->indexes, &segment->loaded->link);
    }
    if (index == NULL) return false;
    *position = log_index_find_span(index, (uint32_t)(offset - segment->base), span);
    if (*span == 0) *span = (uint32_t)(segment->size - *position);
    return true;
}
