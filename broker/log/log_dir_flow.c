/* Opening a log directory: what its files say; formatting it is log_dir_format.c, keeping and
 * closing it log_dir_keep.c.
 *
 * The clean marker (H4): .kafka_cleanshutdown holds the crc of clean-state, whose lines name each
 * log that was closed well with its end and the size of its active segment. At the next start it is
 * read, the running file takes over its epoch, and it is removed and the root synced before any log
 * is opened; a marker that comes back after a power cut vouches for sizes that no longer fit. */
#include "broker/log/log_dir_private.h"
#include "broker/log/log_move.h"

#include "client/base/text.h"

#include <string.h>

enum {
    DIR_FILE_MAX = 64 << 20, /* of a checkpoint */
    DIR_LIST_MAX = 64 << 20,
};

const char *const log_dir_checkpoint_names[] = {
    [LOG_CHECKPOINT_RECOVERY] = "recovery-point-offset-checkpoint",
    [LOG_CHECKPOINT_START] = "log-start-offset-checkpoint",
    [LOG_CHECKPOINT_HW] = "replication-offset-checkpoint",
    [LOG_CHECKPOINT_CLEANER] = "cleaner-offset-checkpoint",
    [LOG_CHECKPOINT_CLEAN] = "clean-state",
};

struct log_dir_flow *log_dir_flow_take(struct log_dir *dir)
{
    struct log_dir_flow *flow = mem_zalloc(&dir->env->mem, sizeof *flow);

    if (flow == NULL) return NULL;
    flow->dir = dir;
    log_io_init(&flow->io);
    op_source_init(&flow->source);
    return flow;
}

void log_dir_flow_free(struct log_dir_flow *flow)
{
    struct mem *mem = &flow->dir->env->mem;

    mem_free(mem, flow->bytes, flow->bytes_size);
    mem_free(mem, flow->list, flow->list_size);
    mem_free(mem, flow->inner, flow->inner_size);
    log_load_free(&flow->load);
    mem_free(mem, flow, sizeof *flow);
}

void log_dir_flow_finish(struct op *op)
{
    struct log_dir_flow *flow = CONTAINER_OF(op, struct log_dir_flow, op);

    flow->dir->flow = NULL;
    op_wake(&flow->dir->state_source);
    log_dir_flow_free(flow);
}

bool log_dir_flow_room(struct log_dir_flow *o, size_t size)
{
    struct mem *mem = &o->dir->env->mem;

    mem_free(mem, o->bytes, o->bytes_size);
    o->bytes_size = 0;
    o->bytes = mem_alloc(mem, size);
    if (o->bytes == NULL) return false;
    o->bytes_size = size;
    return true;
}

struct bytes log_dir_flow_bytes(const struct log_dir_flow *o)
{
    return (struct bytes){o->bytes, (uint32_t)o->bytes_used};
}

/* ---- open: reading -------------------------------------------------------------------------- */

/* The number or text behind "key": in the marker's one line of JSON. */
static struct str marker_value(struct bytes file, const char *key)
{
    size_t length = strlen(key);

    for (uint32_t i = 0; i + length < file.length; i++) {
        const char *at = (const char *)file.data + i;
        uint32_t used = 0;

        if (memcmp(at, key, length) != 0) continue;
        at += length;
        while (i + length + used < file.length && at[used] != ',' && at[used] != '}' &&
               at[used] != '"')
            used++;
        return (struct str){at, used};
    }
    return STR_NULL;
}

static void open_marker(struct log_dir_flow *o)
{
    struct log_dir *dir = o->dir;
    struct str value;
    int64_t number;
    uint64_t crc = 0;

    dir->was_clean = false;
    o->marker_epoch = -1;
    o->marker = o->load.err == ERR_NONE;
    if (!o->marker) return;
    value = marker_value(log_load_bytes(&o->load), "\"brokerEpoch\":");
    if (value.data != NULL && text_parse_i64(value, &number)) o->marker_epoch = number;
    value = marker_value(log_load_bytes(&o->load), "\"cleanState\":");
    if (value.data != NULL && text_parse_u64(value, &crc) && crc <= UINT32_MAX) {
        o->state_crc = (uint32_t)crc;
        dir->was_clean = true;
    }
}

/* The process that wrote it may have died, its machine has not: the page cache is still there. */
static void open_running(struct log_dir_flow *o)
{
    struct str value;
    struct uuid boot;
    int64_t number;

    o->running_epoch = -1;
    if (o->load.err != ERR_NONE) return;
    value = marker_value(log_load_bytes(&o->load), "\"boot\":\"");
    if (value.data == NULL || !uuid_parse(value, &boot)) return;
    if (uuid_is_zero(boot) || !uuid_equal(boot, o->dir->env->world->boot)) return;
    value = marker_value(log_load_bytes(&o->load), "\"brokerEpoch\":");
    if (value.data != NULL && text_parse_i64(value, &number)) o->running_epoch = number;
}

static bool open_checkpoint(struct log_dir_flow *o)
{
    struct log_dir *dir = o->dir;
    struct str text = {(const char *)o->load.data, (uint32_t)o->load.size};
    enum err err;

    if (o->load.err == ERR_NOT_FOUND) {
        if (o->kind == LOG_CHECKPOINT_CLEAN) dir->was_clean = false;
        return true;
    }
    if (o->load.err != ERR_NONE) {
        log_dir_message(dir, o->load.err, log_dir_checkpoint_names[o->kind], " is unreadable");
        return false;
    }
    if (o->kind == LOG_CHECKPOINT_CLEAN) {
        if (!dir->was_clean) return true;
        if (crc32c(dir->env->world->cpu, 0, o->load.data, o->load.size) != o->state_crc) {
            dir->was_clean = false;
            return true;
        }
    }
    err = log_dir_parse(dir, o->kind, text);
    if (err == ERR_NO_MEMORY) {
        log_dir_message(dir, err, "more partitions than there is memory for", "");
        return false;
    }
    if (err != ERR_NONE && o->kind == LOG_CHECKPOINT_CLEANER) return true; /* cleaned once more */
    if (err != ERR_NONE) dir->was_clean = false; /* like missing (replication.md 12, H10) */
    return true;
}

/* ---- open: the listing ---------------------------------------------------------------------- */

/* The second time with as much room as the first said, and a little for what comes meanwhile: a
 * listing looks at every entry. */
static bool dir_list(struct log_dir_flow *o, uint8_t **list, uint64_t *size, const char *path)
{
    struct mem *mem = &o->dir->env->mem;
    uint64_t room = *size == 0 ? 8192 : *size * 2;

    if (*size > 0 && o->io.req.size > room) room = o->io.req.size + 8192;
    if (room > DIR_LIST_MAX) return false;
    mem_free(mem, *list, *size);
    *size = 0;
    *list = mem_alloc(mem, room);
    if (*list == NULL) return false;
    *size = room;
    log_io_list(&o->io, o->dir->env->world, path, *list, room);
    return true;
}

static bool str_ends(struct str s, struct str end)
{
    return s.length >= end.length &&
           memcmp(s.data + s.length - end.length, end.data, end.length) == 0;
}

static const struct disk_entry *dir_next(const uint8_t *list, uint64_t used, uint64_t *at)
{
    const struct disk_entry *entry;

    if (*at >= used) return NULL;
    entry = (const struct disk_entry *)(const void *)(list + *at);
    *at += entry->entry_length;
    return entry;
}

/* Partitions become known; true with o->path set: a directory that is to go. */
static bool open_next_dead(struct log_dir_flow *o)
{
    const struct disk_entry *entry;

    while ((entry = dir_next(o->list, o->list_used, &o->list_at)) != NULL) {
        struct str name = str_of(entry->name);
        struct str topic;
        struct log_known *known;
        struct uuid moved;
        int32_t partition;

        if (!entry->directory) continue;
        /* A copy that was not whole is begun anew by who asks for it. */
        if (str_ends(name, STR("-delete")) || str_ends(name, STR("-future"))) {
            log_path(o->path, o->dir->path, entry->name);
            return true;
        }
        if (log_move_parse(name, &topic, &moved)) {
            known = log_dir_know(o->dir, topic);
            if (known == NULL || !log_moved_note(o->dir, known, moved)) {
                o->err = ERR_NO_MEMORY;
                return false;
            }
            continue;
        }
        if (!log_name_parse(name, &topic, &partition)) continue;
        known = log_dir_know(o->dir, name);
        if (known == NULL) {
            o->err = ERR_NO_MEMORY;
            return false;
        }
        known->listed = true;
    }
    return false;
}

static bool open_next_inner(struct log_dir_flow *o)
{
    const struct disk_entry *entry = dir_next(o->inner, o->inner_used, &o->inner_at);

    if (entry == NULL) return false;
    log_path(o->path_to, o->path, entry->name);
    log_io_path(&o->io, o->dir->env->world, DISK_UNLINK, o->path_to);
    return true;
}

/* Checkpoint lines of partitions that are gone. */
static void open_forget_gone(struct log_dir *dir)
{
    MAP_FOR_EACH_SAFE (node, after, &dir->known) {
        struct log_known *known = MAP_ENTRY(node, struct log_known, node);

        if (!known->listed && !known->moved) log_dir_forget(dir, known);
    }
}

/* ---- open: what came of a step -------------------------------------------------------------- */

/* Each of these: false when the open ends here; then dir->message says why. */

static bool open_locked(struct log_dir_flow *o)
{
    struct log_dir *dir = o->dir;
    enum err err = log_io_err(&o->io);
    bool taken = err == ERR_LOCKED;

    if (err == ERR_NONE) {
        dir->lock = o->io.req.file;
        return true;
    }
    log_dir_message(dir, err,
                    taken ? "is in use by another process (.lock)" : ".lock cannot be written: ",
                    taken ? "" : log_dir_why(err));
    return false;
}

static bool open_marker_gone(struct log_dir_flow *o)
{
    enum err err = log_io_err(&o->io);

    if (!o->marker || err == ERR_NONE) return true;
    log_dir_message(o->dir, err, "the clean marker stays: ", log_dir_why(err));
    return false;
}

static bool open_listed(struct log_dir_flow *o)
{
    enum err err = log_io_err(&o->io);

    if (err != ERR_NONE) {
        log_dir_message(o->dir, err, "unreadable: ", log_dir_why(err));
        return false;
    }
    o->list_used = o->io.req.done;
    o->err = ERR_NONE;
    return true;
}

/* The marker goes: should the process die before it registers, the running file says so. */
static void open_vouched(struct log_dir_flow *o)
{
    struct log_dir *dir = o->dir;

    dir->previous_broker_epoch = dir->was_clean ? o->marker_epoch : o->running_epoch;
    if (!dir->was_clean) return;
    dir->vouch_epoch = o->marker_epoch;
    log_dir_running_save(o, o->marker_epoch);
}

static bool open_all_known(struct log_dir_flow *o)
{
    if (o->err != ERR_NONE) {
        log_dir_message(o->dir, o->err, "more partitions than there is memory for", "");
        return false;
    }
    open_forget_gone(o->dir);
    return true;
}

enum dir_open_step {
    DIR_OPEN_START,
    DIR_OPEN_LOCKED,
    DIR_OPEN_META,
    DIR_OPEN_MARKER,
    DIR_OPEN_RUNNING,
    DIR_OPEN_CHECKPOINT,
    DIR_OPEN_RUNNING_SAVED,
    DIR_OPEN_MARKER_GONE,
    DIR_OPEN_MARKER_SYNCED,
    DIR_OPEN_LISTED,
    DIR_OPEN_DEAD_LISTED,
    DIR_OPEN_DEAD_FILE,
    DIR_OPEN_DEAD_DIR,
    DIR_OPEN_UNLOCKED,
};
static const char *const dir_open_steps[] = {
    "START",       "LOCKED",        "META",        "MARKER",        "RUNNING",
    "CHECKPOINT",  "RUNNING_SAVED", "MARKER_GONE", "MARKER_SYNCED", "LISTED",
    "DEAD_LISTED", "DEAD_FILE",     "DEAD_DIR",    "UNLOCKED"};

static enum op_result dir_open_run(struct op *op)
{
    struct log_dir_flow *o = CONTAINER_OF(op, struct log_dir_flow, op);
    struct log_dir *dir = o->dir;
    struct env *env = dir->env;

    switch ((enum dir_open_step)op->step) {
    case DIR_OPEN_START:
        o->err = ERR_BAD_STATE; /* unless it comes to the end */
        /* The identity first: a directory that is not ours is not even locked. */
        log_load_start(&o->load, env, dir->path, "meta.properties", 65536);
        AWAIT_LOAD(o, DIR_OPEN_META, &o->load);
        if (!log_dir_check_meta(o)) {
            log_dir_set_state(dir, LOG_DIR_CLOSED);
            return OP_DONE;
        }
        log_path(o->path, dir->path, ".lock");
        log_io_open(&o->io, env->world, o->path, DISK_CREATE | DISK_LOCK);
        AWAIT_IO(o, DIR_OPEN_LOCKED, &o->io);
        if (!open_locked(o)) {
            log_dir_set_state(dir, LOG_DIR_CLOSED);
            return OP_DONE;
        }
        log_load_start(&o->load, env, dir->path, ".kafka_cleanshutdown", 65536);
        AWAIT_LOAD(o, DIR_OPEN_MARKER, &o->load);
        open_marker(o);
        log_load_start(&o->load, env, dir->path, log_dir_running_name, 65536);
        AWAIT_LOAD(o, DIR_OPEN_RUNNING, &o->load);
        open_running(o);
        for (o->kind = LOG_CHECKPOINT_RECOVERY;;) {
            log_load_start(&o->load, env, dir->path, log_dir_checkpoint_names[o->kind],
                           DIR_FILE_MAX);
            AWAIT_LOAD(o, DIR_OPEN_CHECKPOINT, &o->load);
            if (!open_checkpoint(o)) goto unlock;
            if (o->kind == LOG_CHECKPOINT_CLEAN) break;
            o->kind = (enum log_checkpoint)(o->kind + 1);
        }
        open_vouched(o);
        AWAIT_SAVE(o, DIR_OPEN_RUNNING_SAVED, &o->save);
        dir->vouched_epoch = dir->vouch_epoch;
        dir->vouch_again = log_err_passes(o->save.err);
        log_path(o->path, dir->path, ".kafka_cleanshutdown");
        if (o->marker) log_io_path(&o->io, env->world, DISK_UNLINK, o->path);
        AWAIT_IO(o, DIR_OPEN_MARKER_GONE, &o->io);
        if (o->marker && log_io_err(&o->io) == ERR_NONE)
            log_io_path(&o->io, env->world, DISK_SYNC_DIR, dir->path);
        AWAIT_IO(o, DIR_OPEN_MARKER_SYNCED, &o->io);
        if (!open_marker_gone(o)) goto unlock;
        do {
            if (!dir_list(o, &o->list, &o->list_size, dir->path)) {
                log_dir_message(dir, ERR_NO_MEMORY, "too many entries", "");
                goto unlock;
            }
            AWAIT_IO(o, DIR_OPEN_LISTED, &o->io);
        } while (log_io_err(&o->io) == ERR_TOO_LARGE);
        if (!open_listed(o)) goto unlock;
        while (open_next_dead(o)) {
            do {
                if (!dir_list(o, &o->inner, &o->inner_size, o->path)) break;
                AWAIT_IO(o, DIR_OPEN_DEAD_LISTED, &o->io);
            } while (log_io_err(&o->io) == ERR_TOO_LARGE);
            o->inner_used = log_io_err(&o->io) == ERR_NONE ? o->io.req.done : 0;
            o->inner_at = 0;
            while (open_next_inner(o)) {
                AWAIT_IO(o, DIR_OPEN_DEAD_FILE, &o->io);
            }
            log_io_path(&o->io, env->world, DISK_RMDIR, o->path);
            AWAIT_IO(o, DIR_OPEN_DEAD_DIR, &o->io); /* what fails is tried at the next start */
        }
        if (!open_all_known(o)) goto unlock;
        log_dir_set_state(dir, LOG_DIR_ONLINE);
        log_dir_keep_start(dir);
        return OP_DONE;
    unlock:
        log_io_close(&o->io, env->world, dir->lock);
        AWAIT_IO(o, DIR_OPEN_UNLOCKED, &o->io);
        dir->lock = (struct disk_file){0};
        log_dir_set_state(dir, LOG_DIR_CLOSED);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind dir_open_kind = {
    "log_dir_open", dir_open_steps, COUNT_OF(dir_open_steps), dir_open_run, log_dir_flow_finish};

/* A pool keeps its first chunk: from here on a log that finds a pool used up waits for another one
 * that gives back, never for memory that nobody gives. */
static bool open_prime(struct log_dir *dir)
{
    struct pool *const pools[] = {&dir->flows, &dir->writes, &dir->files};

    for (uint32_t i = 0; i < COUNT_OF(pools); i++) {
        void *object = pool_take(pools[i]);

        if (object == NULL) return false;
        pool_give(pools[i], object);
    }
    return true;
}

void log_dir_open(struct log_dir *dir, struct str cluster_id, int32_t node_id)
{
    struct text out;

    ASSERT(dir->state == LOG_DIR_CLOSED && dir->flow == NULL);
    log_dir_set_state(dir, LOG_DIR_OPENING);
    dir->err = ERR_NONE;
    if (dir->closer == NULL) dir->closer = log_dir_flow_take(dir);
    dir->flow = dir->closer != NULL && open_prime(dir) ? log_dir_flow_take(dir) : NULL;
    if (dir->flow == NULL) {
        log_dir_message(dir, ERR_NO_MEMORY, "no memory", "");
        log_dir_set_state(dir, LOG_DIR_CLOSED);
        return;
    }
    text_init(&out, dir->flow->meta.cluster_id, sizeof dir->flow->meta.cluster_id);
    if (cluster_id.data != NULL) text_str(&out, cluster_id);
    dir->flow->meta.node_id = node_id;
    op_start(&dir->env->loop, &dir->flow->op, &dir_open_kind, DIR_OPEN_START);
}
