/* Retention: whole segments go from the front (storage.md 11).
 *
 *   look      the log start moves over segments that are too old, or too many, or below it already;
 *             never past the high watermark (S28, R25)
 *   checkpoint of the log start, durable                    (the directory's, by the caller)
 *   drop      out of memory at once, when nobody reads; names get ".deleted"
 *   sweep     unlinked file.delete.delay.ms later
 *
 * A crash after the checkpoint leaves any of these names, in any combination: an open forgets and
 * unlinks all that lies below the log start. Before the checkpoint nothing has gone.
 * When all of the log may go, an empty segment is begun first, once in a pass: what is appended
 * meanwhile may be as old at once (the clock of a producer), and the disk may have no room. The age
 * of a segment is that of its newest record; one whose time index is unreadable counts from when
 * this process first saw it (DIFFERS: Kafka takes the file's mtime). */
#include "broker/log/log_private.h"

#include "client/base/text.h"

#include <string.h>

static const char *const retain_suffixes[] = {".log",      ".index",    ".timeindex",
                                              ".txnindex", ".snapshot", ".producers"};

struct log_trash {
    struct list link;
    int64_t due_ns;
    int64_t base;
    size_t size; /* of this struct with the name */
    char name[]; /* of the partition's directory, terminated */
};

/* ---- look ----------------------------------------------------------------------------------- */

enum retain_verdict { RETAIN_KEEP, RETAIN_GO, RETAIN_UNKNOWN };

static int64_t retain_newest(const struct log_segment *segment)
{
    return segment->max_timestamp >= 0 ? segment->max_timestamp : segment->retain_ms;
}

/* Whether this segment may go, `total` being the size of it and all that follow. */
static enum retain_verdict retain_judge(const struct log *log, const struct log_segment *segment,
                                        uint64_t total)
{
    const struct log_config *config = log->config;
    int64_t newest = retain_newest(segment);
    bool active = segment == log_active(log);

    if (config->retention_bytes >= 0 && total - segment->size >= (uint64_t)config->retention_bytes)
        return RETAIN_GO;
    if (config->retention_ms < 0) return RETAIN_KEEP;
    if (newest < 0 && !active) return RETAIN_UNKNOWN;
    if (newest < 0) newest = segment->created_ms;
    return log->dir->env->now.wall.ms - newest > config->retention_ms ? RETAIN_GO : RETAIN_KEEP;
}

/* Idle producers are forgotten, by this broker's clock. */
static void retain_producers(struct log *log)
{
    const struct env *env = log->dir->env;

    if (env->now.mono.ns - log->expired_ns < log->config->producer_check_ms * NS_PER_MS) return;
    log->expired_ns = env->now.mono.ns;
    log->producers.clock_ms = env->now.wall.ms;
    log_producers_expire(&log->producers, log->config->producer_expiration_ms);
}

enum log_retain log_retain_look(struct log *log, bool *rolled)
{
    uint64_t total = log_size(log);
    int64_t start = log->log_start;
    enum retain_verdict verdict = RETAIN_KEEP;
    uint32_t i = 0;

    if (log->state != LOG_OPEN || !log_dir_online(log->dir)) return LOG_RETAIN_DONE;
    retain_producers(log);
    for (; i < log->segment_count; i++) {
        const struct log_segment *segment = log->segments[i];
        bool last = i + 1 == log->segment_count;
        int64_t end = last ? log->log_end : log->segments[i + 1]->base;

        verdict = RETAIN_KEEP;
        if (last && segment->size == 0) break;
        if (end > log->high_watermark) break;
        verdict = !last && end <= log->log_start ? RETAIN_GO
                  : log->config->deletes         ? retain_judge(log, segment, total)
                                                 : RETAIN_KEEP;
        if (verdict != RETAIN_GO) break;
        if (last) break; /* not before another one takes its place */
        total -= segment->size;
        start = end;
    }
    if (start > log->log_start) log_raise_start(log, start);
    if (log->segment_count > 1 && log->segments[1]->base <= log->log_start)
        log->drop_wanted = log->log_start;
    if (verdict == RETAIN_UNKNOWN) {
        log->wanted |= LOG_WANT_TIMES;
    } else if (verdict == RETAIN_GO && i + 1 == log->segment_count && !*rolled) {
        log->wanted |= LOG_WANT_ROLL;
        *rolled = true;
    }
    if (log_retain_ready(log)) return LOG_RETAIN_DONE;
    log_advance(log);
    return LOG_RETAIN_WAITS;
}

bool log_retain_ready(const struct log *log)
{
    return (log->wanted & (LOG_WANT_TIMES | LOG_WANT_ROLL)) == 0 || log->state != LOG_OPEN ||
           !log_dir_online(log->dir);
}

/* ---- times ---------------------------------------------------------------------------------- */

enum times_step { TIMES_START, TIMES_LOADED };
static const char *const times_steps[] = {"START", "LOADED"};

enum { TIMES_FILE_MAX = 64 << 20 };

static struct log_segment *times_unknown(const struct log *log)
{
    for (uint32_t i = 0; i + 1 < log->segment_count; i++)
        if (retain_newest(log->segments[i]) < 0) return log->segments[i];
    return NULL;
}

static void times_load(struct log_flow *o, const struct log_segment *segment)
{
    char name[LOG_FILE_NAME];

    log_file_name(name, segment->base, ".timeindex");
    log_path_log(o->path, o->log);
    log_load_start(&o->load, log_flow_env(o), o->path, name, TIMES_FILE_MAX);
}

/* The last entry has the greatest timestamp: it is forced when a segment ends. */
static void times_take(struct log_flow *o)
{
    struct log_segment *segment = times_unknown(o->log);
    uint64_t whole = o->load.size / LOG_TIME_ENTRY;

    if (segment == NULL) return;
    segment->retain_ms = segment->created_ms;
    if (o->load.err != ERR_NONE || whole == 0) return;
    segment->retain_ms = log_index_get_time(o->load.data + (whole - 1) * LOG_TIME_ENTRY).timestamp;
    if (segment->retain_ms < 0) segment->retain_ms = segment->created_ms;
}

static enum op_result times_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);

    switch ((enum times_step)op->step) {
    case TIMES_START:
        if (times_unknown(o->log) != NULL) {
            times_load(o, times_unknown(o->log));
            AWAIT_LOAD(o, TIMES_LOADED, &o->load);
            times_take(o);
        }
        o->log->wanted &= (uint16_t)~LOG_WANT_TIMES;
        op_wake(&o->log->state_source);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_times_kind = {"log_times", times_steps, COUNT_OF(times_steps), times_run,
                                       log_flow_finish};

/* ---- drop ----------------------------------------------------------------------------------- */

enum drop_step { DROP_START, DROP_RENAMED };
static const char *const drop_steps[] = {"START", "RENAMED"};

static int64_t drop_limit(const struct log *log)
{
    return log->drop_to < log->log_start ? log->drop_to : log->log_start;
}

static bool drop_first(const struct log *log)
{
    return log->segment_count > 1 && log->segments[1]->base <= drop_limit(log);
}

bool log_retain_quiet(const struct log *log)
{
    if (log->readers > 0 || log->syncing || log->clean_reads) return false;
    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        if (log->segments[i + 1]->base > drop_limit(log)) break;
        if (log->segments[i]->file != NULL && log->segments[i]->file->pins > 0) return false;
    }
    return true;
}

void log_retain_drop(struct log *log)
{
    if (!log_retain_pending(log)) return;
    log->drop_to = log->drop_wanted;
    if (log->state != LOG_OPEN || !drop_first(log)) return;
    log->wanted |= LOG_WANT_DROP;
    log_advance(log);
}

static bool drop_next(struct log_flow *o)
{
    struct text to;
    uint32_t part = (uint32_t)(o->base_at % COUNT_OF(retain_suffixes));
    uint32_t at = (uint32_t)(o->base_at / COUNT_OF(retain_suffixes));

    if (at >= o->base_count) return false;
    log_path_of(o->path, o->log, o->bases[at], retain_suffixes[part]);
    text_init(&to, o->path_to, sizeof o->path_to);
    text_format(&to, "%s.deleted", o->path);
    ASSERT(!to.truncated);
    log_io_rename(&o->io, log_flow_env(o)->world, o->path, o->path_to);
    o->base_at++;
    return true;
}

/* In the order of the due times; delays rarely differ, so the search from the tail is short. */
static void trash_push(struct log_dir *dir, struct log_trash *trash)
{
    struct list *place = &dir->trash;

    while (place->prev != &dir->trash &&
           LIST_ENTRY(place->prev, struct log_trash, link)->due_ns > trash->due_ns)
        place = place->prev;
    list_push(place, &trash->link);
}

/* Without memory the files stay until the log is opened again. */
void log_retain_trash(struct log *log, int64_t base)
{
    struct env *env = log->dir->env;
    size_t size = sizeof(struct log_trash) + log->known->name_length + 1u;
    struct log_trash *trash = mem_zalloc(&env->mem, size);

    if (trash == NULL) return;
    trash->due_ns = env_deadline(env, log->config->delete_delay_ms);
    trash->base = base;
    trash->size = size;
    memcpy(trash->name, log->known->name, log->known->name_length);
    list_init(&trash->link);
    trash_push(log->dir, trash);
}

static void drop_begin(struct log_flow *o)
{
    struct log *log = o->log;

    while (o->base_count < LOG_DROP_MAX && drop_first(log)) {
        o->bases[o->base_count++] = log->segments[0]->base;
        log_segment_drop_first(log);
    }
    if (!drop_first(log)) log->wanted &= (uint16_t)~LOG_WANT_DROP;
}

static enum op_result drop_run(struct op *op)
{
    struct log_flow *o = CONTAINER_OF(op, struct log_flow, op);

    switch ((enum drop_step)op->step) {
    case DROP_START:
        /* A reader may have begun since the flow was asked for: another time. */
        if (!log_retain_quiet(o->log)) return OP_DONE;
        drop_begin(o);
        while (drop_next(o)) {
            AWAIT_IO(o, DROP_RENAMED, &o->io);
            o->err = log_io_err(&o->io);
            if (o->err != ERR_NONE && o->err != ERR_NOT_FOUND) {
                log_dir_fail(o->log->dir, o->err);
                return OP_DONE;
            }
        }
        for (uint32_t i = 0; i < o->base_count; i++)
            log_retain_trash(o->log, o->bases[i]);
        op_wake(&o->log->dir->trash_source);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

const struct op_kind log_drop_kind = {"log_drop", drop_steps, COUNT_OF(drop_steps), drop_run,
                                      log_flow_finish};

/* ---- at an open ----------------------------------------------------------------------------- */

static bool retain_is_base(const struct log *log, int64_t offset)
{
    return log->segment_count > 0 && log->segments[log_segment_find(log, offset)]->base == offset;
}

static bool retain_is_producers(struct str suffix)
{
    return str_equal(suffix, STR(".snapshot")) || str_equal(suffix, STR(".producers"));
}

/* The newest snapshot that stands at no segment's base: of the last orderly stop, or a mark. */
static int64_t retain_last_stop(struct log_flow *o)
{
    const struct disk_entry *entry;
    int64_t newest = -1;

    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL) {
        struct str suffix;
        int64_t base;

        if (!log_file_parse(str_of(entry->name), &base, &suffix)) continue;
        if (str_equal(suffix, STR(".snapshot")) && base > newest && !retain_is_base(o->log, base))
            newest = base;
    }
    return newest;
}

void log_retain_open(struct log_flow *o)
{
    struct log *log = o->log;

    while (log->segment_count > 1 && log->segments[1]->base <= log->known->log_start)
        log_segment_drop_first(log);
    o->snapshot = retain_last_stop(o);
    log->mark = o->snapshot;
}

static bool retain_left_over(const struct log_flow *o, struct str name)
{
    const struct log *log = o->log;
    struct str suffix;
    int64_t base;

    if (!log_file_parse(name, &base, &suffix)) return false;
    if (suffix.length > 8 &&
        str_equal((struct str){suffix.data + suffix.length - 8, 8}, STR(".deleted")))
        return true;
    /* One snapshot a segment, and that of the last orderly stop (storage.md 6). */
    if (retain_is_producers(suffix) && log->segment_count > 0 && base != o->snapshot &&
        !retain_is_base(log, base))
        return true;
    if (log->segment_count == 0 || base >= log->segments[0]->base) return false;
    for (uint32_t i = 0; i < COUNT_OF(retain_suffixes); i++)
        if (str_equal(suffix, str_of(retain_suffixes[i]))) return true;
    return false;
}

bool log_retain_open_next(struct log_flow *o)
{
    const struct disk_entry *entry;

    o->list_at = 0;
    while ((entry = log_open_list_next(o)) != NULL) {
        char *name;

        if (entry->directory || !retain_left_over(o, str_of(entry->name))) continue;
        log_path_log(o->path_to, o->log);
        log_path(o->path, o->path_to, entry->name);
        name = (char *)(o->list + ((const uint8_t *)entry->name - o->list));
        name[0] = '-'; /* seen */
        log_io_path(&o->io, log_flow_env(o)->world, DISK_UNLINK, o->path);
        return true;
    }
    return false;
}

/* ---- sweep ---------------------------------------------------------------------------------- */

void log_sweep_init(struct log_sweep *sweep)
{
    *sweep = (struct log_sweep){.busy = false};
    op_source_init(&sweep->source);
}

static void trash_free(struct log_dir *dir, struct log_trash *trash)
{
    list_remove(&trash->link);
    mem_free(&dir->env->mem, trash, trash->size);
}

/* Whatever came of it: what is left over goes at the next open. */
static void sweep_unlinked(struct world_req *req, struct instant now)
{
    struct log_sweep *sweep =
        CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct log_sweep, req);

    (void)now;
    sweep->busy = false;
    op_wake(&sweep->source);
}

/* Taken off the list: a directory may have two sweeps, the partitions' and the metadata log's. */
static struct log_trash *sweep_take(struct log_dir *dir)
{
    struct log_trash *trash;

    if (log_sweep_due_ns(dir) > dir->env->now.mono.ns) return NULL;
    trash = LIST_ENTRY(dir->trash.next, struct log_trash, link);
    list_remove(&trash->link);
    list_push(&dir->trash_taken, &trash->link);
    return trash;
}

bool log_sweep_next(struct log_sweep *sweep, struct log_dir *dir)
{
    char name[LOG_FILE_NAME];
    struct text path;

    ASSERT(!sweep->busy);
    if (sweep->trash != NULL && sweep->part == COUNT_OF(retain_suffixes)) {
        trash_free(dir, sweep->trash);
        sweep->trash = NULL;
    }
    if (!log_dir_online(dir)) return false;
    if (sweep->trash == NULL) {
        sweep->trash = sweep_take(dir);
        sweep->part = 0;
    }
    if (sweep->trash == NULL) return false;
    log_file_name(name, sweep->trash->base, retain_suffixes[sweep->part++]);
    text_init(&path, sweep->path, sizeof sweep->path);
    text_format(&path, "%s/%s/%s.deleted", dir->path, sweep->trash->name, name);
    ASSERT(!path.truncated);
    sweep->req = (struct disk_req){.op = DISK_UNLINK, .path = sweep->path};
    world_req_init(&sweep->req.req, sweep_unlinked);
    sweep->busy = true;
    disk_submit(dir->env->world, &sweep->req);
    return true;
}

int64_t log_sweep_due_ns(const struct log_dir *dir)
{
    if (list_empty(&dir->trash)) return OP_NO_DEADLINE;
    return LIST_ENTRY(dir->trash.next, struct log_trash, link)->due_ns;
}

void log_sweep_forget(struct log_dir *dir)
{
    list_splice(&dir->trash, &dir->trash_taken);
    LIST_FOR_EACH_SAFE (link, after, &dir->trash) {
        trash_free(dir, LIST_ENTRY(link, struct log_trash, link));
    }
}
