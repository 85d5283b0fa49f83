/* The state of a log directory, what it knows of its partitions, and what an I/O error does to it.
 * The flows over its files: log_dir_flow.c. */
#include "broker/log/log_dir_private.h"

#include "client/base/text.h"

#include <string.h>

struct log_dir_limits log_dir_limits_default(void)
{
    return (struct log_dir_limits){
        .logs_max = 200000,
        .files_max = 4096,
        .flows_max = 64,
        .writes_max = 256,
        .staged_max = 65536,
        .producers_max = 10000,
        .index_bytes = 64 << 20,
        .recovery_bytes = 20 << 20,
    };
}

void log_dir_init(struct log_dir *dir, struct env *env, struct log_cache *cache, struct str path,
                  const struct log_dir_limits *limits)
{
    struct text out;

    *dir = (struct log_dir){.env = env,
                            .cache = cache,
                            .limits = *limits,
                            .state = LOG_DIR_CLOSED,
                            .previous_broker_epoch = -1,
                            .broker_epoch = -1,
                            .vouch_epoch = -1,
                            .vouched_epoch = -1,
                            .flush_check_ms = LOG_CHECKPOINT_MS};
    text_init(&out, dir->path, sizeof dir->path);
    text_str(&out, path);
    ASSERT(!out.truncated);
    op_source_init(&dir->state_source);
    op_source_init(&dir->file_source);
    op_source_init(&dir->checkpoint_source);
    op_source_init(&dir->damage_source);
    map_init(&dir->known, &env->mem, dice_seed(env->world, DICE_HASH), limits->logs_max);
    pool_init(&dir->logs, &env->mem, sizeof(struct log), limits->logs_max);
    pool_init(&dir->files, &env->mem, sizeof(struct log_file),
              limits->files_max + LOG_FILES_CLOSING);
    pool_init(&dir->flows, &env->mem, sizeof(struct log_flow), limits->flows_max);
    pool_init(&dir->writes, &env->mem, sizeof(struct log_write), limits->writes_max);
    pool_init(&dir->staged, &env->mem, sizeof(struct log_staged), limits->staged_max);
    list_init(&dir->file_lru);
    list_init(&dir->file_starved);
    list_init(&dir->flow_starved);
    list_init(&dir->write_starved);
    list_init(&dir->sync_wanted);
    list_init(&dir->indexes);
    list_init(&dir->exposed_logs);
    list_init(&dir->mark_starved);
    list_init(&dir->trash);
    list_init(&dir->trash_taken);
    list_init(&dir->moved);
    list_init(&dir->copied);
    op_source_init(&dir->trash_source);
    log_sync_init(dir);
}

void log_dir_deinit(struct log_dir *dir)
{
    ASSERT(dir->state == LOG_DIR_CLOSED || dir->state == LOG_DIR_OFFLINE);
    ASSERT(dir->logs_open == 0 && dir->flow == NULL && dir->keeper == NULL);
    ASSERT(dir->marker == NULL && dir->exposed == 0 && dir->index_bytes == 0);
    ASSERT(list_empty(&dir->copied));
    if (dir->closer != NULL) log_dir_flow_free(dir->closer); /* never opened well */
    while (map_first(&dir->known) != NULL)
        log_dir_forget(dir, MAP_ENTRY(map_first(&dir->known), struct log_known, node));
    map_deinit(&dir->known);
    ASSERT(list_empty(&dir->moved));
    log_sweep_forget(dir);
    list_remove(&dir->sync_flush.link);
    log_sync_free(dir);
    pool_deinit(&dir->logs);
    pool_deinit(&dir->files);
    pool_deinit(&dir->flows);
    pool_deinit(&dir->writes);
    pool_deinit(&dir->staged);
}

void log_dir_set_state(struct log_dir *dir, enum log_dir_state state)
{
    static const uint8_t moves[] = {
        [LOG_DIR_CLOSED] = 1 << LOG_DIR_OPENING,
        [LOG_DIR_OPENING] = 1 << LOG_DIR_ONLINE | 1 << LOG_DIR_CLOSED | 1 << LOG_DIR_OFFLINE,
        [LOG_DIR_ONLINE] = 1 << LOG_DIR_CLOSING | 1 << LOG_DIR_OFFLINE,
        [LOG_DIR_CLOSING] = 1 << LOG_DIR_CLOSED | 1 << LOG_DIR_OFFLINE,
        [LOG_DIR_OFFLINE] = 0,
    };

    ASSERT((moves[dir->state] & 1 << state) != 0);
    dir->state = state;
    op_wake(&dir->state_source);
    op_wake(&dir->damage_source);
    if (dir->keeper != NULL) op_wake(&dir->keeper->source); /* it ends with the directory */
    op_wake(&dir->checkpoint_source);
    op_wake(&dir->file_source);
}

void log_dir_fail(struct log_dir *dir, enum err err)
{
    struct text out;

    if (dir->state == LOG_DIR_OFFLINE || dir->state == LOG_DIR_CLOSED) return;
    dir->err = err;
    text_init(&out, dir->message.text, sizeof dir->message.text);
    text_format(&out, "log directory %s is offline: %s", dir->path, err_name(err));
    log_dir_set_state(dir, LOG_DIR_OFFLINE);
    TRACE_TEXT(dir->env->world, DIR_OFFLINE, str_of(dir->path), err);
    while (!list_empty(&dir->sync_wanted))
        list_remove(dir->sync_wanted.next);
    MAP_FOR_EACH (node, &dir->known) {
        struct log *log = MAP_ENTRY(node, struct log_known, node)->log;

        if (log != NULL) log_fail(log, err);
    }
}

void log_dir_gone(struct log_dir *dir)
{
    op_wake(&dir->state_source);
}

void log_dir_changed(struct log_dir *dir)
{
    dir->checkpoint_dirty = true;
}

/* In the order in which they lined up, as many as there are places; who finds none after all lines
 * up anew. Each log is looked at once, whatever comes: the others keep their places. */
void log_dir_unstarve(struct list *starved, const struct pool *pool)
{
    struct list waiting;
    struct list *link;
    bool more = true;

    if (list_empty(starved) || pool_in_use(pool) >= pool->max) return;
    list_init(&waiting);
    list_splice(&waiting, starved);
    while (more && (link = list_pop(&waiting)) != NULL) {
        struct log *log = LIST_ENTRY(link, struct log, starved);

        log_advance(log);
        more = !list_linked(&log->starved) && pool_in_use(pool) < pool->max;
    }
    list_splice(&waiting, starved); /* what lined up meanwhile comes last */
    list_splice(starved, &waiting);
}

struct log_known *log_dir_find(const struct log_dir *dir, struct str name)
{
    struct map_node *node = map_find_str(&dir->known, name);

    return node == NULL ? NULL : MAP_ENTRY(node, struct log_known, node);
}

/* The name begins where the fields end, not where the padding does: a class less for some. */
static size_t known_size(size_t name_length)
{
    return offsetof(struct log_known, name) + name_length + 1;
}

struct log_known *log_dir_know(struct log_dir *dir, struct str name)
{
    struct log_known *known = log_dir_find(dir, name);

    if (known != NULL) return known;
    if (name.length > LOG_NAME_MAX) return NULL;
    known = mem_zalloc(&dir->env->mem, known_size(name.length));
    if (known == NULL) return NULL;
    known->recovery_point = -1;
    known->clean_end = -1;
    known->cleaned = -1;
    known->name_length = (uint16_t)name.length;
    memcpy(known->name, name.data, name.length);
    if (map_add_str(&dir->known, &known->node, (struct str){known->name, name.length}) !=
        ERR_NONE) {
        mem_free(&dir->env->mem, known, known_size(name.length));
        return NULL;
    }
    return known;
}

void log_dir_forget(struct log_dir *dir, struct log_known *known)
{
    ASSERT(known->log == NULL);
    log_moved_forget(dir, known);
    map_remove(&dir->known, &known->node);
    mem_free(&dir->env->mem, known, known_size(known->name_length));
    dir->checkpoint_dirty = true;
    dir->forgotten++;
}

/* ---- checkpoints: text ---------------------------------------------------------------------- */

/* What it holds may be written down. While it opens, and when that failed (damage below a promise),
 * it does not know: what was promised stands until the log is emptied on purpose. */
static bool log_dir_ends_known(const struct log *log)
{
    return log != NULL && log->segment_count > 0 && log->state != LOG_OPENING && log->opened;
}

static bool log_dir_line(struct text *out, const struct log_known *known, enum log_checkpoint kind)
{
    const struct log *log = known->log;
    bool open = log_dir_ends_known(log);
    int64_t recovery = open ? log->synced_end : known->recovery_point;
    int64_t start = open ? log->log_start : known->log_start;
    int64_t high = open ? log->high_watermark : known->high_watermark;
    struct str topic;
    int32_t partition;
    int64_t value = 0;

    if (log != NULL && log->removed) return false;
    if (!log_name_parse((struct str){known->name, known->name_length}, &topic, &partition))
        return false;
    switch (kind) {
    case LOG_CHECKPOINT_RECOVERY: value = recovery; break;
    case LOG_CHECKPOINT_START: value = start; break;
    case LOG_CHECKPOINT_HW: value = high; break;
    case LOG_CHECKPOINT_CLEANER: value = known->cleaned; break;
    case LOG_CHECKPOINT_CLEAN: value = known->clean_end; break;
    }
    if (value < 0 || (kind == LOG_CHECKPOINT_START && value == 0)) return false;
    text_format(out, "%S %d %D", topic, partition, value);
    if (kind == LOG_CHECKPOINT_CLEAN) text_format(out, " %D", known->clean_bytes);
    text_char(out, '\n');
    return true;
}

/* What will be on disk is what a crash finds: a cut below it has to wait for another. */
static void log_dir_note(struct log_known *known, enum log_checkpoint kind)
{
    switch (kind) {
    case LOG_CHECKPOINT_START: known->log_start = known->log->log_start; break;
    case LOG_CHECKPOINT_RECOVERY: known->recovery_point = known->log->synced_end; break;
    case LOG_CHECKPOINT_HW: known->high_watermark = known->log->high_watermark; break;
    case LOG_CHECKPOINT_CLEANER:
    case LOG_CHECKPOINT_CLEAN: break;
    }
}

bool log_dir_print(struct log_dir *dir, enum log_checkpoint kind, uint8_t **bytes, size_t *room,
                   size_t *used)
{
    size_t need = 64;
    uint32_t count = 0;
    struct text out;
    char scratch[LOG_NAME_MAX + 128];

    MAP_FOR_EACH (node, &dir->known) {
        struct log_known *known = MAP_ENTRY(node, struct log_known, node);

        if (log_dir_ends_known(known->log)) log_dir_note(known, kind);
        text_init(&out, scratch, sizeof scratch);
        if (!log_dir_line(&out, known, kind)) continue;
        need += text_view(&out).length;
        count++;
    }
    mem_free(&dir->env->mem, *bytes, *room);
    *room = 0;
    *bytes = mem_alloc(&dir->env->mem, need);
    if (*bytes == NULL) return false;
    *room = need;
    text_init(&out, (char *)*bytes, need);
    text_format(&out, "0\n%u\n", count);
    MAP_FOR_EACH (node, &dir->known) {
        (void)log_dir_line(&out, MAP_ENTRY(node, struct log_known, node), kind);
    }
    ASSERT(!out.truncated);
    *used = text_view(&out).length;
    return true;
}

/* Lines of one checkpoint into the known partitions. DAMAGED: the rest of the file is left out. */
enum err log_dir_parse(struct log_dir *dir, enum log_checkpoint kind, struct str text)
{
    struct log_text lines;
    enum err err = log_text_open(&lines, text);

    if (err != ERR_NONE) return err;
    while ((err = log_text_next(&lines)) == ERR_NONE) {
        char name[LOG_NAME_MAX + 1];
        struct text out;
        struct str topic, partition, word;
        struct log_known *known;
        int64_t number, value, size = 0;

        if (!log_text_word(&lines, &topic) || !log_text_word(&lines, &partition) ||
            !text_parse_i64(partition, &number) || !log_text_word(&lines, &word) ||
            !text_parse_i64(word, &value) || value < 0)
            return ERR_DAMAGED;
        if (kind == LOG_CHECKPOINT_CLEAN &&
            (!log_text_word(&lines, &word) || !text_parse_i64(word, &size) || size < 0))
            return ERR_DAMAGED;
        text_init(&out, name, sizeof name);
        text_format(&out, "%S-%D", topic, number);
        if (out.truncated) return ERR_DAMAGED;
        known = log_dir_know(dir, text_view(&out));
        if (known == NULL) return ERR_NO_MEMORY;
        switch (kind) {
        case LOG_CHECKPOINT_RECOVERY: known->recovery_point = value; break;
        case LOG_CHECKPOINT_START: known->log_start = value; break;
        case LOG_CHECKPOINT_HW: known->high_watermark = value; break;
        case LOG_CHECKPOINT_CLEANER:
            known->cleaned = value;
            dir->cleaned_any = true;
            break;
        case LOG_CHECKPOINT_CLEAN:
            known->clean_end = value;
            known->clean_bytes = size;
            break;
        }
    }
    return err == ERR_EOF ? ERR_NONE : err;
}
