/* What an open takes from the files beside the segments: epochs, producer snapshots and which of
 * them count, indexes, transaction indexes. Where a file is missing, or says nothing that may be
 * believed, the batches say it: the walk begins further in front (log_open_walk.c). */
#include "broker/log/log_open_private.h"

void log_open_submit_snapshot(struct log_flow *o)
{
    char name[LOG_FILE_NAME];

    log_file_name(name, o->snapshot, ".snapshot");
    log_load_start(&o->load, log_flow_env(o), o->path, name, LOG_OPEN_SMALL_FILE);
}

void log_open_submit_window(struct log_flow *o)
{
    char name[LOG_FILE_NAME];

    log_file_name(name, o->snapshot, ".producers");
    log_load_start(&o->window, log_flow_env(o), o->path, name, LOG_OPEN_SMALL_FILE);
}

/* True when the snapshot is of use; an unreadable one is passed over for the one before it. */
bool log_open_take_snapshot(struct log_flow *o)
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

void log_open_submit_index(struct log_flow *o, const char *suffix, struct log_load *load)
{
    char name[LOG_FILE_NAME];

    if (log_open_list_size(o, o->log->segments[o->segment]->base, suffix) == 0) {
        log_load_empty(load, log_flow_env(o));
        return;
    }
    log_file_name(name, o->log->segments[o->segment]->base, suffix);
    log_load_start(load, log_flow_env(o), o->path, name, LOG_OPEN_INDEX_MAX);
}

/* The index of a clean active segment, or of the one with the mark, from its two files. */
void log_open_take_index(struct log_flow *o)
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

/* The next transaction index to look at; false: none is left. */
bool log_open_load_aborted(struct log_flow *o)
{
    struct log *log = o->log;
    char name[LOG_FILE_NAME];

    for (; o->segment < log->segment_count; o->segment++) {
        bool last = o->segment + 1 == log->segment_count;

        if (!log->segments[o->segment]->aborted || (last && !o->clean)) continue;
        log_file_name(name, log->segments[o->segment]->base, ".txnindex");
        log_load_start(&o->load, log_flow_env(o), o->path, name, LOG_OPEN_SMALL_FILE);
        return true;
    }
    return false;
}

/* What the last one leaves in log->aborted is the active segment's, when that is clean. */
bool log_open_take_aborted(struct log_flow *o)
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
 * epochs cuts to its high watermark, which the crash has set back as well. So what is in front is
 * taken from the batches. The rest is as the file says: a compaction of Kafka takes batches that
 * began an epoch, and what is left says that it begins late, or nothing (R4).
 * DIFFERS: Kafka appends to what the file has, and so keeps the gap. */
static bool open_epochs_begin_late(const struct log *log)
{
    const struct log_epochs *epochs = &log->epochs;
    int64_t start = log->segments[0]->base;

    if (log->known->log_start > start) start = log->known->log_start;
    return log_size(log) > 0 && (epochs->count == 0 || epochs->entries[0].start_offset > start);
}

bool log_open_epochs(struct log_flow *o)
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
        if (o->log->epochs.count > 0) o->epochs_from = o->log->epochs.entries[0].start_offset;
    }
    return true;
}

/* Whether a mark is there to go on from (log_mark.c). */
static bool open_mark_there(struct log_flow *o)
{
    const struct log *log = o->log;

    return !o->clean && !o->mark_bad && !o->epochs_bad && !log->config->verify_all &&
           log->mark >= 0 && log_open_list_size(o, log->mark, ".producers") > 0;
}

/* A snapshot that may be used: the one of the clean end, of a mark, or of the base
 * of a segment. */
bool log_open_snapshot_fits(struct log_flow *o)
{
    const struct log *log = o->log;

    if (o->clean && o->snapshot == log->known->clean_end) return true;
    if (open_mark_there(o) && o->snapshot == log->mark) return true;
    return log->segments[log_segment_find(log, o->snapshot)]->base == o->snapshot;
}

void log_open_load_mark_aborted(struct log_flow *o)
{
    const struct log_segment *segment = o->log->segments[o->segment];
    char name[LOG_FILE_NAME];

    if (!segment->aborted) {
        log_load_none(&o->load);
        return;
    }
    log_file_name(name, segment->base, ".txnindex");
    log_load_start(&o->load, log_flow_env(o), o->path, name, LOG_OPEN_SMALL_FILE);
}

/* The transaction index of the segment with the mark, up to the mark; false: it is not there. */
bool log_open_take_mark_aborted(struct log_flow *o)
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
int64_t log_open_newest(struct log_flow *o)
{
    const struct log *log = o->log;
    int64_t base;

    if (o->clean) return log->known->clean_end;
    base = log->segments[log_segment_find(log, o->from)]->base;
    return open_mark_there(o) && log->mark > base ? log->mark : base;
}

/* A snapshot was loaded. That of a mark vouches for the log up to there if both are whole. That at
 * the very beginning counts whatever was promised: what lay below went after the roll had come to
 * its end (log_retain.c), and nothing else tells of the producers whose records are gone (C2). */
bool log_open_accept(struct log_flow *o)
{
    struct log *log = o->log;

    if (o->err != ERR_NONE) return true;
    o->marked = o->snapshot == log->mark && o->window.err == ERR_NONE && open_mark_there(o);
    if (o->marked && o->promised < o->snapshot &&
        log_producers_marks(log->dir->env->world->cpu, log_load_bytes(&o->window)))
        o->promised = o->from = o->snapshot;
    if (o->clean || o->snapshot <= o->promised || o->snapshot == log->segments[0]->base)
        return true;
    o->marked = false; /* of a roll that did not come to its end */
    log_producers_clear(&log->producers);
    return false;
}
