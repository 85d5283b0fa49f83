#include "broker/log/log_private.h"
#include "client/base/text.h"

#include <string.h>

static void log_io_complete(struct world_req *req, struct instant now)
{
    struct log_io *io = CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct log_io, req);

    (void)now;
    op_wake(&io->done);
}

void log_io_init(struct log_io *io)
{
    *io = (struct log_io){0};
    world_req_init(&io->req.req, log_io_complete);
    op_source_init(&io->done);
}

/* A fresh request of this kind; the source keeps its waiters (there are none). */
static struct disk_req *log_io_begin(struct log_io *io, enum disk_op op)
{
    ASSERT(!io->req.req.pending);
    io->req = (struct disk_req){.op = op};
    world_req_init(&io->req.req, log_io_complete);
    return &io->req;
}

void log_io_open(struct log_io *io, struct world *world, const char *path, uint32_t flags)
{
    struct disk_req *req = log_io_begin(io, DISK_OPEN);

    req->path = path;
    req->flags = flags;
    disk_submit(world, req);
}

void log_io_close(struct log_io *io, struct world *world, struct disk_file file)
{
    struct disk_req *req = log_io_begin(io, DISK_CLOSE);

    req->file = file;
    disk_submit(world, req);
}

void log_io_read(struct log_io *io, struct world *world, struct disk_file file, uint8_t *into,
                 uint64_t offset, uint64_t length, uint32_t flags)
{
    struct disk_req *req = log_io_begin(io, DISK_READ);

    req->file = file;
    req->into = into;
    req->offset = offset;
    req->length = length;
    req->flags = flags;
    disk_submit(world, req);
}

void log_io_resident(struct log_io *io, struct world *world, struct disk_file file, uint64_t offset,
                     uint64_t length)
{
    struct disk_req *req = log_io_begin(io, DISK_RESIDENT);

    req->file = file;
    req->offset = offset;
    req->length = length;
    disk_submit(world, req);
}

void log_io_write(struct log_io *io, struct world *world, struct disk_file file, struct bytes data,
                  uint64_t offset)
{
    struct disk_req *req = log_io_begin(io, DISK_WRITE);

    io->slice = data;
    req->file = file;
    req->slices = &io->slice;
    req->slice_count = 1;
    req->offset = offset;
    disk_submit(world, req);
}

void log_io_sync(struct log_io *io, struct world *world, struct disk_file file)
{
    struct disk_req *req = log_io_begin(io, DISK_SYNC);

    req->file = file;
    disk_submit(world, req);
}

void log_io_truncate(struct log_io *io, struct world *world, struct disk_file file, uint64_t length)
{
    struct disk_req *req = log_io_begin(io, DISK_TRUNCATE);

    req->file = file;
    req->length = length;
    disk_submit(world, req);
}

void log_io_path(struct log_io *io, struct world *world, enum disk_op op, const char *path)
{
    struct disk_req *req = log_io_begin(io, op);

    req->path = path;
    disk_submit(world, req);
}

void log_io_rename(struct log_io *io, struct world *world, const char *path, const char *path_to)
{
    struct disk_req *req = log_io_begin(io, DISK_RENAME);

    req->path = path;
    req->path_to = path_to;
    disk_submit(world, req);
}

void log_io_list(struct log_io *io, struct world *world, const char *path, uint8_t *into,
                 uint64_t length)
{
    struct disk_req *req = log_io_begin(io, DISK_LIST);

    req->path = path;
    req->into = into;
    req->length = length;
    disk_submit(world, req);
}

/* ---- names ---------------------------------------------------------------------------------- */

void log_path(char path[LOG_PATH_MAX], const char *dir, const char *name)
{
    struct text out;

    text_init(&out, path, LOG_PATH_MAX);
    text_format(&out, "%s/%s", dir, name);
    ASSERT(!out.truncated);
}

void log_file_name(char name[LOG_FILE_NAME], int64_t base, const char *suffix)
{
    char digits[21];
    uint64_t rest = (uint64_t)base;
    struct text out;

    ASSERT(base >= 0);
    for (uint32_t i = 20; i > 0; i--, rest /= 10)
        digits[i - 1] = (char)('0' + (char)(rest % 10));
    digits[20] = '\0';
    text_init(&out, name, LOG_FILE_NAME);
    text_cstr(&out, digits);
    text_cstr(&out, suffix);
    ASSERT(!out.truncated);
}

bool log_file_parse(struct str name, int64_t *base, struct str *suffix)
{
    /* A dot follows: snapshots of the metadata log, "<offset>-<epoch>.checkpoint", are none of a
     * log's own files, and no cut takes them with it. */
    if (name.length < 21 || name.data[20] != '.') return false;
    for (uint32_t i = 0; i < 20; i++)
        if (name.data[i] < '0' || name.data[i] > '9') return false;
    if (!text_parse_i64((struct str){name.data, 20}, base)) return false;
    *suffix = (struct str){name.data + 20, name.length - 20};
    return true;
}

void log_path_log(char path[LOG_PATH_MAX], const struct log *log)
{
    log_path(path, log->dir->path, log->known->name);
}

void log_path_of(char path[LOG_PATH_MAX], const struct log *log, int64_t base, const char *suffix)
{
    char name[LOG_FILE_NAME];
    struct text out;

    log_file_name(name, base, suffix);
    text_init(&out, path, LOG_PATH_MAX);
    text_format(&out, "%s/%s/%s", log->dir->path, log->known->name, name);
    ASSERT(!out.truncated);
}

/* ---- save ----------------------------------------------------------------------------------- */

enum save_step {
    SAVE_START,
    SAVE_OPENED,
    SAVE_EMPTIED,
    SAVE_WRITTEN,
    SAVE_SYNCED,
    SAVE_CLOSED,
    SAVE_RENAMED,
    SAVE_DIR_SYNCED,
};
static const char *const save_steps[] = {"START",  "OPENED", "EMPTIED", "WRITTEN",
                                         "SYNCED", "CLOSED", "RENAMED", "DIR_SYNCED"};

static enum op_result save_end(struct log_save *o)
{
    o->busy = false;
    op_wake(&o->source);
    return OP_DONE;
}

static enum op_result save_run(struct op *op)
{
    struct log_save *o = CONTAINER_OF(op, struct log_save, op);
    struct world *world = o->env->world;

    switch ((enum save_step)op->step) {
    case SAVE_START:
        log_io_open(&o->io, world, o->temporary, DISK_CREATE);
        AWAIT_IO(o, SAVE_OPENED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return save_end(o);
        o->file = o->io.req.file;
        /* Left over from a save that did not come to its end. */
        if (o->io.req.size > 0) log_io_truncate(&o->io, world, o->file, 0);
        AWAIT_IO(o, SAVE_EMPTIED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err == ERR_NONE) log_io_write(&o->io, world, o->file, o->data, 0);
        AWAIT_IO(o, SAVE_WRITTEN, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        if (o->err == ERR_NONE) log_io_sync(&o->io, world, o->file);
        AWAIT_IO(o, SAVE_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        log_io_close(&o->io, world, o->file);
        AWAIT_IO(o, SAVE_CLOSED, &o->io);
        if (o->err != ERR_NONE) return save_end(o);
        log_io_rename(&o->io, world, o->temporary, o->path);
        AWAIT_IO(o, SAVE_RENAMED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE || !o->sync_dir) return save_end(o);
        log_io_path(&o->io, world, DISK_SYNC_DIR, o->dir);
        AWAIT_IO(o, SAVE_DIR_SYNCED, &o->io);
        o->err = log_io_err(&o->io);
        return save_end(o);
    }
    IMPOSSIBLE("step");
}

static const struct op_kind save_kind = {"log_save", save_steps, COUNT_OF(save_steps), save_run,
                                         NULL};

void log_save_start(struct log_save *save, struct env *env, const char *dir, const char *name,
                    struct bytes data, bool sync_dir)
{
    struct text out;

    ASSERT(!save->busy);
    save->env = env;
    save->busy = true;
    save->sync_dir = sync_dir;
    save->err = ERR_NONE;
    save->data = data;
    op_source_init(&save->source);
    log_io_init(&save->io);
    log_path(save->path, dir, name);
    text_init(&out, save->dir, sizeof save->dir);
    text_cstr(&out, dir);
    text_init(&out, save->temporary, sizeof save->temporary);
    text_format(&out, "%s.tmp", save->path);
    ASSERT(!out.truncated);
    op_start(&env->loop, &save->op, &save_kind, SAVE_START);
}

/* ---- load ----------------------------------------------------------------------------------- */

enum load_step {
    LOAD_START,
    LOAD_OPENED,
    LOAD_READ,
    LOAD_CLOSED,
};
static const char *const load_steps[] = {"START", "OPENED", "READ", "CLOSED"};

static enum op_result load_end(struct log_load *o)
{
    o->busy = false;
    op_wake(&o->source);
    return OP_DONE;
}

static void load_room(struct log_load *o)
{
    if (o->io.req.size > o->size_max) {
        o->err = ERR_TOO_LARGE;
        return;
    }
    o->size = o->io.req.size;
    if (o->size == 0) return;
    o->data = mem_alloc(&o->env->mem, o->size);
    if (o->data == NULL) o->err = ERR_NO_MEMORY;
}

static enum op_result load_run(struct op *op)
{
    struct log_load *o = CONTAINER_OF(op, struct log_load, op);
    struct world *world = o->env->world;

    switch ((enum load_step)op->step) {
    case LOAD_START:
        log_io_open(&o->io, world, o->path, DISK_READ_ONLY);
        AWAIT_IO(o, LOAD_OPENED, &o->io);
        o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE) return load_end(o);
        o->file = o->io.req.file;
        load_room(o);
        if (o->err == ERR_NONE && o->size > 0)
            log_io_read(&o->io, world, o->file, o->data, 0, o->size, 0);
        AWAIT_IO(o, LOAD_READ, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        if (o->err == ERR_NONE && o->size > 0 && o->io.req.done != o->size) o->err = ERR_DAMAGED;
        log_io_close(&o->io, world, o->file);
        AWAIT_IO(o, LOAD_CLOSED, &o->io);
        if (o->err != ERR_NONE) log_load_free(o);
        return load_end(o);
    }
    IMPOSSIBLE("step");
}

static const struct op_kind load_kind = {"log_load", load_steps, COUNT_OF(load_steps), load_run,
                                         NULL};

void log_load_start(struct log_load *load, struct env *env, const char *dir, const char *name,
                    uint64_t size_max)
{
    ASSERT(!load->busy);
    if (load->data != NULL) log_load_free(load);
    load->env = env;
    load->busy = true;
    load->err = ERR_NONE;
    load->data = NULL;
    load->size = 0;
    load->size_max = size_max;
    op_source_init(&load->source);
    log_io_init(&load->io);
    log_path(load->path, dir, name);
    op_start(&env->loop, &load->op, &load_kind, LOAD_START);
}

void log_load_none(struct log_load *load)
{
    ASSERT(!load->busy);
    log_load_free(load);
    load->err = ERR_NOT_FOUND;
}

void log_load_empty(struct log_load *load, struct env *env)
{
    ASSERT(!load->busy);
    log_load_free(load);
    load->env = env;
    load->err = ERR_NONE;
}

void log_load_free(struct log_load *load)
{
    if (load->data != NULL) mem_free(&load->env->mem, load->data, load->size);
    load->data = NULL;
    load->size = 0;
}
