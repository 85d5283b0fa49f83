/* The copy of a log in another directory; the order of events is in log_move.h. */
#include "broker/log/log_move.h"

#include "broker/log/log_private.h"
#include "client/base/text.h"

#include <string.h>

enum { MOVE_HEX = 32 };
static const char move_suffix[] = "-moved";

/* ---- names ----------------------------------------------------------------------------------- */

void log_name_add(struct text *name, struct uuid id, const char *suffix)
{
    text_char(name, '.');
    for (uint32_t i = 0; i < sizeof id.bytes; i++)
        text_hex(name, id.bytes[i], 2);
    text_cstr(name, suffix);
}

static bool hex_digit(char c, uint8_t *value)
{
    if (c >= '0' && c <= '9') {
        *value = (uint8_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
        *value = (uint8_t)(c - 'a' + 10);
    } else {
        return false;
    }
    return true;
}

bool log_move_parse(struct str directory, struct str *name, struct uuid *id)
{
    uint32_t tail = 1 + MOVE_HEX + (sizeof move_suffix - 1);
    const char *at;
    struct str topic;
    int32_t partition;

    if (directory.length <= tail) return false;
    at = directory.data + directory.length - tail;
    if (*at != '.' || memcmp(at + 1 + MOVE_HEX, move_suffix, sizeof move_suffix - 1) != 0)
        return false;
    for (uint32_t i = 0; i < sizeof id->bytes; i++) {
        uint8_t high, low;

        if (!hex_digit(at[1 + 2 * i], &high) || !hex_digit(at[2 + 2 * i], &low)) return false;
        id->bytes[i] = (uint8_t)(high << 4 | low);
    }
    *name = (struct str){directory.data, directory.length - tail};
    return !uuid_is_zero(*id) && log_name_parse(*name, &topic, &partition);
}

void log_move_name(struct text *name, struct uuid id, enum log_move_name kind)
{
    switch (kind) {
    case LOG_MOVE_FUTURE: log_name_add(name, id, "-future"); return;
    case LOG_MOVE_MOVED: log_name_add(name, id, move_suffix); return;
    case LOG_MOVE_DELETE: log_name_add(name, id, "-delete"); return;
    case LOG_MOVE_FINAL: return;
    }
    IMPOSSIBLE("name of a directory");
}

/* ---- what stands beside a log ---------------------------------------------------------------- */

/* Out of line: few logs have one, after a crash in the midst of a move. */
struct log_moved {
    struct list link; /* in dir->moved */
    const struct log_known *known;
    struct uuid id;
};

static struct log_moved *moved_of(const struct log_dir *dir, const struct log_known *known)
{
    if (!known->moved) return NULL;
    LIST_FOR_EACH (link, &dir->moved) {
        struct log_moved *moved = LIST_ENTRY(link, struct log_moved, link);

        if (moved->known == known) return moved;
    }
    IMPOSSIBLE("noted with the flag");
}

bool log_moved_note(struct log_dir *dir, struct log_known *known, struct uuid id)
{
    struct log_moved *moved = moved_of(dir, known);

    if (moved == NULL) {
        moved = mem_zalloc(&dir->env->mem, sizeof *moved);
        if (moved == NULL) return false;
        moved->known = known;
        list_init(&moved->link);
        list_push(&dir->moved, &moved->link);
        known->moved = true;
    }
    moved->id = id;
    return true;
}

void log_moved_forget(struct log_dir *dir, struct log_known *known)
{
    struct log_moved *moved = moved_of(dir, known);

    if (moved == NULL) return;
    known->moved = false;
    list_remove(&moved->link);
    mem_free(&dir->env->mem, moved, sizeof *moved);
}

struct uuid log_move_id(const struct log_dir *dir, const struct log_known *known)
{
    const struct log_moved *moved = moved_of(dir, known);

    return moved != NULL ? moved->id : (struct uuid){{0}};
}

/* ---- renames --------------------------------------------------------------------------------- */

static void move_path(char path[LOG_PATH_MAX], const struct log_dir *dir, struct str name,
                      enum log_move_name kind, struct uuid id)
{
    struct text out;

    text_init(&out, path, LOG_PATH_MAX);
    text_format(&out, "%s/%S", dir->path, name);
    log_move_name(&out, id, kind);
    ASSERT(!out.truncated);
}

static void rename_complete(struct world_req *req, struct instant now)
{
    struct disk_req *disk = CONTAINER_OF(req, struct disk_req, req);
    struct log_rename *rename = CONTAINER_OF(disk, struct log_rename, req);

    (void)now;
    if (req->result == ERR_NONE && !rename->renamed) {
        rename->renamed = true;
        rename->req.op = DISK_SYNC_DIR;
        rename->req.path = rename->dir->path;
        disk_submit(rename->dir->env->world, &rename->req);
        return;
    }
    rename->err = req->result;
    /* Renamed and not synced: nobody knows which name the next start finds. */
    if (rename->err == ERR_IO || (rename->renamed && rename->err != ERR_NONE))
        log_dir_fail(rename->dir, rename->err);
    rename->done = true;
    op_wake(&rename->source);
}

void log_rename_start(struct log_rename *rename, struct log_dir *dir, struct str name,
                      enum log_move_name from, struct uuid from_id, enum log_move_name to,
                      struct uuid to_id)
{
    op_source_init(&rename->source);
    rename->done = rename->renamed = false;
    rename->err = ERR_NONE;
    rename->dir = dir;
    move_path(rename->from, dir, name, from, from_id);
    move_path(rename->to, dir, name, to, to_id);
    rename->req = (struct disk_req){0};
    world_req_init(&rename->req.req, rename_complete);
    rename->req.op = DISK_RENAME;
    rename->req.path = rename->from;
    rename->req.path_to = rename->to;
    disk_submit(dir->env->world, &rename->req);
}

void log_move_named(struct log_dir *dir, struct str name, bool listed)
{
    struct log_known *known = log_dir_find(dir, name);

    if (known == NULL) return;
    log_moved_forget(dir, known);
    if (listed) known->listed = true;
    log_dir_changed(dir);
}

/* ---- the copy -------------------------------------------------------------------------------- */

void log_copied_begin(struct log_copied *copied, struct log *log)
{
    list_remove(&copied->link);
    copied->log = log;
    copied->lowest_end = INT64_MAX;
    list_push(&log->dir->copied, &copied->link);
}

void log_copied_end(struct log_copied *copied)
{
    list_remove(&copied->link);
    copied->log = NULL;
}

void log_copied_cut(const struct log *log, int64_t end)
{
    LIST_FOR_EACH (link, &log->dir->copied) {
        struct log_copied *copied = LIST_ENTRY(link, struct log_copied, link);

        if (copied->log == log && end < copied->lowest_end) copied->lowest_end = end;
    }
}

struct log *log_move_open(struct log_dir *dir, const struct log *from, struct uuid id, int64_t base,
                          const struct log_config *config)
{
    struct log_open open = {.topic_id = from->topic_id, .future = id, .base = base, .create = true};
    struct log *to;

    if (!log_name_parse((struct str){from->known->name, from->known->name_length}, &open.topic,
                        &open.partition))
        return NULL;
    to = log_open(dir, &open, config);
    /* Gaps of a log that was compacted once are no holes in the copy. */
    if (to != NULL) to->known->cleaned = from->known->cleaned;
    return to;
}

int64_t log_move_base(const struct log *from, const struct log_read *read)
{
    struct record_batch batch;

    /* Above it behind what a compaction has taken away. */
    if (read->count > 0 && record_batch_parse(read->slices[0], &batch) == RECORD_BATCH_WHOLE &&
        batch.base_offset < from->log_start)
        return batch.base_offset;
    return from->log_start;
}

/* Who wrote what is below its start the copy learns from no batch (log_handover.c). */
static enum log_move_step move_hand_over(const struct log *from, struct log *to)
{
    struct mem *mem = &to->dir->env->mem;
    size_t size = log_handover_size(from);
    uint8_t *bytes = mem_alloc(mem, size);
    struct log_handover handover;
    enum err err = ERR_NO_MEMORY;

    if (bytes != NULL) {
        log_handover_put(from, to->log_end, bytes, &handover);
        err = log_reset_handed(to, to->log_end, &handover);
    }
    mem_free(mem, bytes, size);
    return err == ERR_NONE ? LOG_MOVE_CUT : LOG_MOVE_OVER;
}

enum log_move_step log_move_next(struct log_copied *copied, struct log *to, struct log_read *read)
{
    struct log *from = copied->log;
    int64_t cut;

    if (from->state == LOG_TRUNCATING && to->state == LOG_OPEN) return LOG_MOVE_WAIT;
    if (from->state != LOG_OPEN || to->state != LOG_OPEN) return LOG_MOVE_OVER;
    if (!log_dir_online(from->dir) || !log_dir_online(to->dir)) return LOG_MOVE_OVER;
    cut = copied->lowest_end;
    copied->lowest_end = INT64_MAX;
    if (cut <= to->log_start && to->log_end > to->log_start) return LOG_MOVE_ANEW;
    /* An empty one may begin below the start: with the batch that holds it. */
    if (from->log_start > to->log_end && to->log_end > to->log_start) return LOG_MOVE_ANEW;
    if (from->log_end < to->log_start) return LOG_MOVE_ANEW;
    if (cut < to->log_end) {
        log_truncate(to, cut);
        return LOG_MOVE_CUT;
    }
    if (log_stranger(to) && !log_stranger(from)) return move_hand_over(from, to);
    if (from->log_start > to->log_start && from->log_start <= to->log_end)
        log_raise_start(to, from->log_start);
    if (to->known->cleaned < 0 && from->known->cleaned >= 0) to->known->cleaned = 0;
    if (to->log_end >= from->log_end) return LOG_MOVE_LEVEL;
    *read =
        (struct log_read){.offset = to->log_end > from->log_start ? to->log_end : from->log_start,
                          .limit = from->log_end,
                          .max_bytes = LOG_MOVE_BYTES,
                          .first_whole = true};
    return LOG_MOVE_READ;
}

enum err log_move_append(struct log *to, struct log_read *read, uint32_t slice,
                         struct log_append *append)
{
    return log_append_as_follower(to, read->holds[slice], read->slices[slice], INT32_MAX, append);
}

enum err log_move_epochs(struct log *to, const struct log *from)
{
    enum err err;

    ASSERT(to->log_end == from->log_end && list_empty(&to->staged));
    (void)log_epochs_cut_end(&to->epochs, 0);
    err = log_epochs_reserve(&to->epochs, from->epochs.count + 2);
    if (err != ERR_NONE) return err;
    for (uint32_t i = 0; i < from->epochs.count; i++) {
        const struct log_epoch *entry = &from->epochs.entries[i];

        (void)log_epochs_assign(&to->epochs, entry->epoch, entry->start_offset);
    }
    log_assigned_reset(to);
    to->epochs_failed = false;
    to->epochs_dirty = true;
    log_advance(to);
    return ERR_NONE;
}

bool log_move_settled(const struct log *to)
{
    if (to->state != LOG_OPEN || !log_dir_online(to->dir)) return true;
    return to->flow == NULL && to->write == NULL && (!to->epochs_dirty || to->epochs_failed);
}

bool log_move_same(const struct log *from, const struct log *to)
{
    const struct log_epochs *ours = &to->epochs;

    if (from->log_end != to->log_end || from->log_start != to->log_start) return false;
    if (from->epochs.count != ours->count || to->epochs_dirty) return false;
    for (uint32_t i = 0; i < ours->count; i++) {
        const struct log_epoch *entry = &from->epochs.entries[i];

        if (entry->epoch != ours->entries[i].epoch ||
            entry->start_offset != ours->entries[i].start_offset)
            return false;
    }
    return true;
}

bool log_move_known(struct log *from, struct log *to, int64_t cleaned)
{
    struct log_dir *dir = to->dir;
    struct log_known *known =
        log_dir_know(dir, (struct str){from->known->name, from->known->name_length});

    if (known == NULL) return false;
    ASSERT(known->log == NULL);
    known->recovery_point = from->log_end;
    known->log_start = from->log_start;
    known->high_watermark = from->high_watermark;
    known->clean_end = -1;
    /* What was compacted meanwhile may have been copied before that. */
    known->cleaned = cleaned < 0 && from->known->cleaned >= 0 ? 0 : cleaned;
    if (known->cleaned >= 0) dir->cleaned_any = true;
    log_dir_changed(dir);
    return true;
}

void log_move_free(struct log *to)
{
    struct log_dir *dir = to->dir;
    struct log_known *known = to->known;
    bool removed = to->removed;

    log_free(to);
    if (!removed) log_dir_forget(dir, known);
}
