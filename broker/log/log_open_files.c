/* What an open reads besides batches: the listing of the partition's directory, partition.metadata,
 * segment-manifest. */
#include "broker/log/log_private.h"
#include "broker/log/log_text.h"

#include "client/base/text.h"

#include <string.h>

enum {
    OPEN_LIST_FIRST = 4096,
    OPEN_LIST_MAX = 16 << 20, /* bytes of a partition directory's listing */
};

/* ---- the listing ---------------------------------------------------------------------------- */

bool log_open_list_room(struct log_flow *o)
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

const struct disk_entry *log_open_list_next(struct log_flow *o)
{
    const struct disk_entry *entry;

    if (o->list_at >= o->list_used) return NULL;
    entry = (const struct disk_entry *)(const void *)(o->list + o->list_at);
    ASSERT(entry->entry_length > 0);
    o->list_at += entry->entry_length;
    return entry;
}

/* Size of dir/N<suffix>, or -1. */
int64_t log_open_list_size(struct log_flow *o, int64_t base, const char *suffix)
{
    char name[LOG_FILE_NAME];
    const struct disk_entry *entry;

    log_file_name(name, base, suffix);
    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL)
        if (str_equal(str_of(entry->name), str_of(name))) return (int64_t)entry->size;
    return -1;
}

bool log_open_listed(struct log_flow *o, const char *name)
{
    const struct disk_entry *entry;

    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL)
        if (str_equal(str_of(entry->name), str_of(name))) return true;
    return false;
}

/* Segments by their bases, from a listing in any order: one pass finds the next one. */
enum err log_open_segments(struct log_flow *o)
{
    struct log *log = o->log;

    for (int64_t above = -1;;) {
        const struct disk_entry *entry;
        int64_t next = INT64_MAX;
        uint64_t size = 0;
        struct log_segment *segment;

        o->list_at = 0;
        while ((entry = log_open_list_next(o)) != NULL) {
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
        segment->aborted = log_open_list_size(o, next, ".txnindex") > 0;
        above = next;
    }
}

/* The newest snapshot below `below` (exclusive) that the listing has, or -1. */
int64_t log_open_snapshot_below(struct log_flow *o, int64_t below)
{
    const struct disk_entry *entry;
    int64_t found = -1;

    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL) {
        int64_t base;
        struct str suffix;

        if (!log_file_parse(str_of(entry->name), &base, &suffix)) continue;
        if (str_equal(suffix, STR(".snapshot")) && base < below && base > found) found = base;
    }
    return found;
}

/* ---- identity ------------------------------------------------------------------------------- */

enum err log_open_check_identity(struct log_flow *o)
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

bool log_open_print_identity(struct log_flow *o)
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
enum err log_open_check_manifest(struct log_flow *o, int64_t *offset)
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
        if (segment->size == (uint64_t)size && log_gaps(log) && end <= segment->end) continue;
        if (at + 2 == log->segment_count && log_active(log)->size == 0) {
            /* A roll whose bytes were lost, or that failed: the old segment goes on, and may be
             * rolled elsewhere. The file goes, or it stands within the log one day. */
            log_segment_drop_last(log);
            o->left_over = true;
            continue;
        }
        if (segment->end >= o->promised) continue; /* the walk will judge */
        *offset = segment->base;
        return ERR_DAMAGED;
    }
    return ERR_NONE;
}

/* Names of the listing that a cut takes with it: everything numbered above the last segment, newest
 * first, and snapshots beyond the end. */
bool log_open_next_later(struct log_flow *o)
{
    struct log *log = o->log;
    const struct disk_entry *entry;
    const struct disk_entry *victim = NULL;
    int64_t above = -1;
    char *name = NULL;

    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL) {
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
