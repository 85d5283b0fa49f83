#include "broker/raft/quorum_file.h"

#include "client/base/assert.h"
#include "client/base/byteorder.h"
#include "client/base/text.h"
#include "client/wire/crc32c.h"

#include <string.h>

/* ---- quorum-state
 * ----------------------------------------------------------------------------- */

uint32_t quorum_file_print(const struct raft_durable *durable, char *text)
{
    struct text out;

    text_init(&out, text, QUORUM_STATE_MAX);
    text_format(&out, "{\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":%d,\"votedDirectoryId\":\"",
                durable->leader, durable->epoch, durable->voted);
    text_uuid(&out, durable->voted_directory);
    text_cstr(&out, "\",\"data_version\":1}");
    ASSERT(!out.truncated);
    return text_view(&out).length;
}

struct json {
    const char *at;
    const char *end;
    bool bad;
};

static void json_space(struct json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t')) {
        json->at++;
    }
}

static bool json_take(struct json *json, char c)
{
    json_space(json);
    if (json->at == json->end || *json->at != c) return false;
    json->at++;
    return true;
}

/* A string without escapes: keys, ids. */
static struct str json_string(struct json *json)
{
    struct str s = STR_NULL;

    if (!json_take(json, '"')) {
        json->bad = true;
        return s;
    }
    s.data = json->at;
    while (json->at < json->end && *json->at != '"' && *json->at != '\\')
        json->at++;
    s.length = (uint32_t)(json->at - s.data);
    if (json->at == json->end || *json->at != '"') {
        json->bad = true;
    } else {
        json->at++;
    }
    return s;
}

static struct str json_number(struct json *json)
{
    struct str s;

    json_space(json);
    s = (struct str){json->at, 0};
    while (json->at < json->end && (*json->at == '-' || (*json->at >= '0' && *json->at <= '9'))) {
        json->at++;
    }
    s.length = (uint32_t)(json->at - s.data);
    if (s.length == 0) json->bad = true;
    return s;
}

/* currentVoters of version 0: brackets, which hold numbers and names, to the matching one. */
static void json_skip_nested(struct json *json)
{
    uint32_t depth = 0;

    while (json->at < json->end && !json->bad) {
        char c = *json->at;

        if (c == '"') {
            (void)json_string(json);
            continue;
        }
        json->at++;
        if (c == '[' || c == '{') depth++;
        if (c == ']' || c == '}') depth--;
        if (depth == 0) return;
    }
    json->bad = true;
}

/* One value: a number, a string or anything that is skipped. */
static void json_value(struct json *json, struct str *number, struct str *string)
{
    *number = STR_NULL;
    *string = STR_NULL;
    json_space(json);
    if (json->at == json->end) {
        json->bad = true;
    } else if (*json->at == '"') {
        *string = json_string(json);
    } else if (*json->at == '[' || *json->at == '{') {
        json_skip_nested(json);
    } else if (json->end - json->at >= 4 && memcmp(json->at, "null", 4) == 0) {
        json->at += 4;
    } else {
        *number = json_number(json);
    }
}

static bool parse_int(struct str number, int32_t *value)
{
    int64_t wide;

    if (number.data == NULL || !text_parse_i64(number, &wide)) return false;
    if (wide < -1 || wide > INT32_MAX) return false;
    *value = (int32_t)wide;
    return true;
}

enum { SEEN_LEADER = 1, SEEN_EPOCH = 2, SEEN_VOTED = 4, SEEN_VERSION = 8, SEEN_ALL = 15 };

enum err quorum_file_parse(struct str text, struct raft_durable *durable)
{
    struct json json = {text.data, text.data + text.length, false};
    struct raft_durable read = {0};
    int32_t version = -1;
    uint32_t seen = 0;

    if (!json_take(&json, '{')) return ERR_MALFORMED;
    while (!json.bad && !json_take(&json, '}')) {
        struct str number, string, key = json_string(&json);
        bool good = true;

        if (!json_take(&json, ':')) return ERR_MALFORMED;
        json_value(&json, &number, &string);
        if (str_equal(key, STR("leaderId"))) {
            good = parse_int(number, &read.leader);
            seen |= SEEN_LEADER;
        } else if (str_equal(key, STR("leaderEpoch"))) {
            good = parse_int(number, &read.epoch) && read.epoch >= 0;
            seen |= SEEN_EPOCH;
        } else if (str_equal(key, STR("votedId"))) {
            good = parse_int(number, &read.voted);
            seen |= SEEN_VOTED;
        } else if (str_equal(key, STR("votedDirectoryId"))) {
            good = uuid_parse(string, &read.voted_directory);
        } else if (str_equal(key, STR("data_version"))) {
            good = parse_int(number, &version);
            seen |= SEEN_VERSION;
        }
        if (!good) return ERR_MALFORMED;
        (void)json_take(&json, ',');
    }
    json_space(&json);
    if (json.bad || json.at != json.end || seen != SEEN_ALL) return ERR_MALFORMED;
    if (version != 0 && version != 1) return ERR_MALFORMED;
    *durable = read;
    return ERR_NONE;
}

/* ---- acknowledged-end
 * ------------------------------------------------------------------------- */

enum { HINT_VERSION = 1, HINT_CRC = 24 };
static const uint8_t hint_magic[4] = {'G', 'A', 'C', 'K'};

static bool hint_slot(const uint8_t *slot, struct cpu cpu, struct quorum_hint *hint)
{
    if (memcmp(slot, hint_magic, sizeof hint_magic) != 0) return false;
    if (be_get32(slot + 4) != (uint32_t)HINT_VERSION) return false;
    if (be_get32(slot + HINT_CRC) != crc32c(cpu, 0, slot, HINT_CRC)) return false;
    hint->sequence = (int64_t)be_get64(slot + 8);
    hint->end = (int64_t)be_get64(slot + 16);
    return true;
}

enum err quorum_file_parse_hint(struct bytes bytes, struct cpu cpu, struct quorum_hint *hint)
{
    struct quorum_hint first, second;
    bool has_first, has_second;

    if (bytes.length < QUORUM_HINT_SIZE) return ERR_DAMAGED;
    has_first = hint_slot(bytes.data, cpu, &first);
    has_second = hint_slot(bytes.data + QUORUM_HINT_AT, cpu, &second);
    if (!has_first && !has_second) return ERR_DAMAGED;
    if (has_second && (!has_first || second.sequence > first.sequence)) first = second;
    *hint = first;
    return ERR_NONE;
}

uint32_t quorum_file_print_hint(uint8_t bytes[QUORUM_HINT_SIZE], struct cpu cpu,
                                const struct quorum_hint *hint)
{
    uint32_t at = (hint->sequence & 1) != 0 ? QUORUM_HINT_AT : 0;
    uint8_t *slot = bytes + at;

    memcpy(slot, hint_magic, sizeof hint_magic);
    be_put32(slot + 4, HINT_VERSION);
    be_put64(slot + 8, (uint64_t)hint->sequence);
    be_put64(slot + 16, (uint64_t)hint->end);
    be_put32(slot + HINT_CRC, crc32c(cpu, 0, slot, HINT_CRC));
    return at;
}

/* ---- flows
 * ------------------------------------------------------------------------------------ */

enum quorum_file_step {
    FILE_LOAD,
    FILE_LOAD_OPENED,
    FILE_LOAD_READ,
    FILE_LOAD_SYNCED,
    FILE_LOAD_CLOSED,
    FILE_LOAD_DIR_SYNCED,
    FILE_REPLACE,
    FILE_REPLACE_OPENED,
    FILE_REPLACE_EMPTIED,
    FILE_REPLACE_WRITTEN,
    FILE_REPLACE_SYNCED,
    FILE_REPLACE_CLOSED,
    FILE_REPLACE_RENAMED,
    FILE_REPLACE_DIR_SYNCED,
    FILE_PATCH,
    FILE_PATCH_OPENED,
    FILE_PATCH_WRITTEN,
    FILE_PATCH_SYNCED,
    FILE_CLOSE,
    FILE_CLOSED,
};

static const char *const quorum_file_steps[] = {
    "LOAD",
    "LOAD_OPENED",
    "LOAD_READ",
    "LOAD_SYNCED",
    "LOAD_CLOSED",
    "LOAD_DIR_SYNCED",
    "REPLACE",
    "REPLACE_OPENED",
    "REPLACE_EMPTIED",
    "REPLACE_WRITTEN",
    "REPLACE_SYNCED",
    "REPLACE_CLOSED",
    "REPLACE_RENAMED",
    "REPLACE_DIR_SYNCED",
    "PATCH",
    "PATCH_OPENED",
    "PATCH_WRITTEN",
    "PATCH_SYNCED",
    "CLOSE",
    "CLOSED",
};
_Static_assert(COUNT_OF(quorum_file_steps) == FILE_CLOSED + 1, "one name a step");

static void quorum_file_completed(struct world_req *req, struct instant now)
{
    struct quorum_file *file =
        CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct quorum_file, req);

    (void)now;
    op_wake(&file->req_source);
}

static void quorum_file_submit(struct quorum_file *file, enum disk_op op)
{
    file->req.op = op;
    file->req.path = file->path;
    disk_submit(file->env->world, &file->req);
}

static void quorum_file_write(struct quorum_file *file, uint32_t at, uint32_t length)
{
    file->slice = (struct bytes){file->bytes + at, length};
    file->req.slices = &file->slice;
    file->req.slice_count = 1;
    file->req.offset = at;
    quorum_file_submit(file, DISK_WRITE);
}

static void quorum_file_sync_dir(struct quorum_file *file)
{
    file->req.op = DISK_SYNC_DIR;
    file->req.path = file->dir;
    disk_submit(file->env->world, &file->req);
}

static bool quorum_file_failed(struct quorum_file *file)
{
    if (file->req.req.result == ERR_NONE) return false;
    if (file->err == ERR_NONE) file->err = file->req.req.result;
    return true;
}

static void quorum_file_end(struct op *op)
{
    struct quorum_file *file = CONTAINER_OF(op, struct quorum_file, op);

    file->busy = false;
    op_wake(&file->done_source);
    if (file->owner != NULL) op_wake(file->owner);
}

#define AWAIT_DISK(STEP) AWAIT(o, STEP, &o->req_source, !o->req.req.pending)

static enum op_result quorum_file_run(struct op *op)
{
    struct quorum_file *o = CONTAINER_OF(op, struct quorum_file, op);

    switch ((enum quorum_file_step)op->step) {
    case FILE_LOAD:
        o->req.flags = DISK_READ_ONLY;
        quorum_file_submit(o, DISK_OPEN);
        AWAIT_DISK(FILE_LOAD_OPENED);
        if (quorum_file_failed(o)) return OP_DONE;
        o->req.flags = 0;
        o->req.offset = 0;
        o->req.into = o->bytes;
        o->req.length = QUORUM_FILE_MAX;
        quorum_file_submit(o, DISK_READ);
        AWAIT_DISK(FILE_LOAD_READ);
        if (!quorum_file_failed(o)) o->length = (uint32_t)o->req.done;
        if (o->err == ERR_NONE && o->length == QUORUM_FILE_MAX) o->err = ERR_TOO_LARGE;
        /* Whoever wrote it may have died before its sync: what is acted upon has to stay (K3). */
        if (o->err == ERR_NONE) quorum_file_submit(o, DISK_SYNC);
        AWAIT_DISK(FILE_LOAD_SYNCED);
        (void)quorum_file_failed(o);
        quorum_file_submit(o, DISK_CLOSE);
        AWAIT_DISK(FILE_LOAD_CLOSED);
        if (o->err != ERR_NONE) return OP_DONE;
        quorum_file_sync_dir(o);
        AWAIT_DISK(FILE_LOAD_DIR_SYNCED);
        (void)quorum_file_failed(o);
        return OP_DONE;
    case FILE_REPLACE:
        o->req.flags = DISK_CREATE;
        o->req.op = DISK_OPEN;
        o->req.path = o->path_tmp;
        disk_submit(o->env->world, &o->req);
        AWAIT_DISK(FILE_REPLACE_OPENED);
        if (quorum_file_failed(o)) return OP_DONE;
        o->req.flags = 0;
        o->req.length = 0; /* one of an earlier crash may be longer */
        quorum_file_submit(o, DISK_TRUNCATE);
        AWAIT_DISK(FILE_REPLACE_EMPTIED);
        if (!quorum_file_failed(o)) quorum_file_write(o, 0, o->length);
        AWAIT_DISK(FILE_REPLACE_WRITTEN);
        if (!quorum_file_failed(o)) quorum_file_submit(o, DISK_SYNC);
        AWAIT_DISK(FILE_REPLACE_SYNCED);
        (void)quorum_file_failed(o);
        quorum_file_submit(o, DISK_CLOSE);
        AWAIT_DISK(FILE_REPLACE_CLOSED);
        if (o->err != ERR_NONE) return OP_DONE;
        o->req.op = DISK_RENAME;
        o->req.path = o->path_tmp;
        o->req.path_to = o->path;
        disk_submit(o->env->world, &o->req);
        AWAIT_DISK(FILE_REPLACE_RENAMED);
        if (quorum_file_failed(o)) return OP_DONE;
        quorum_file_sync_dir(o);
        AWAIT_DISK(FILE_REPLACE_DIR_SYNCED);
        (void)quorum_file_failed(o);
        return OP_DONE;
    case FILE_PATCH:
        if (o->open.handle == 0) {
            o->req.flags = 0;
            quorum_file_submit(o, DISK_OPEN);
        }
        AWAIT_DISK(FILE_PATCH_OPENED);
        if (quorum_file_failed(o)) return OP_DONE;
        o->open = o->req.file;
        quorum_file_write(o, o->patch_at, o->patch_length);
        AWAIT_DISK(FILE_PATCH_WRITTEN);
        if (quorum_file_failed(o)) return OP_DONE;
        quorum_file_submit(o, DISK_SYNC);
        AWAIT_DISK(FILE_PATCH_SYNCED);
        (void)quorum_file_failed(o);
        return OP_DONE;
    case FILE_CLOSE:
        o->req.file = o->open;
        quorum_file_submit(o, DISK_CLOSE);
        AWAIT_DISK(FILE_CLOSED);
        o->open = (struct disk_file){0};
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind quorum_file_kind = {"quorum_file", quorum_file_steps,
                                                COUNT_OF(quorum_file_steps), quorum_file_run,
                                                quorum_file_end};

enum err quorum_file_init(struct quorum_file *file, struct env *env, struct str dir,
                          const char *name)
{
    struct text text;

    *file = (struct quorum_file){.env = env};
    op_source_init(&file->done_source);
    op_source_init(&file->req_source);
    world_req_init(&file->req.req, quorum_file_completed);
    text_init(&text, file->dir, sizeof file->dir);
    text_str(&text, dir);
    text_init(&text, file->path, sizeof file->path);
    text_format(&text, "%S/%s", dir, name);
    text_init(&text, file->path_tmp, sizeof file->path_tmp);
    text_format(&text, "%S/%s.tmp", dir, name);
    if (text.truncated) return ERR_TOO_LARGE;
    file->bytes = mem_zalloc(&env->mem, QUORUM_FILE_MAX);
    return file->bytes != NULL ? ERR_NONE : ERR_NO_MEMORY;
}

void quorum_file_deinit(struct quorum_file *file)
{
    ASSERT(!file->busy && file->open.handle == 0);
    mem_free(&file->env->mem, file->bytes, QUORUM_FILE_MAX);
    file->bytes = NULL;
}

static void quorum_file_start(struct quorum_file *file, enum quorum_file_step step)
{
    ASSERT(!file->busy);
    file->busy = true;
    file->err = ERR_NONE;
    file->req.req.result = ERR_NONE;
    op_start(&file->env->loop, &file->op, &quorum_file_kind, step);
}

void quorum_file_load(struct quorum_file *file)
{
    quorum_file_start(file, FILE_LOAD);
}

void quorum_file_replace(struct quorum_file *file)
{
    ASSERT(file->length <= QUORUM_FILE_MAX && file->open.handle == 0);
    quorum_file_start(file, FILE_REPLACE);
}

void quorum_file_patch(struct quorum_file *file, uint32_t at, uint32_t length)
{
    ASSERT(at + length <= QUORUM_FILE_MAX);
    file->patch_at = at;
    file->patch_length = length;
    quorum_file_start(file, FILE_PATCH);
}

void quorum_file_close(struct quorum_file *file)
{
    if (file->open.handle == 0) return;
    quorum_file_start(file, FILE_CLOSE);
}
