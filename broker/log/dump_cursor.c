/* Batch after batch of a file, or of the segments of a directory in order. Reads ahead into one
 * buffer that holds at least a whole batch; sees a file as long as it was when it was opened. */
#include "broker/log/dump_private.h"

#include <string.h>

enum { CURSOR_BUFFER = 1 << 20 };

enum cursor_step {
    CURSOR_START,
    CURSOR_OPENED,
    CURSOR_READ,
    CURSOR_CLOSED,
};
static const char *const cursor_steps[] = {"START", "OPENED", "READ", "CLOSED"};

static void cursor_init(struct dump_cursor *cursor, struct env *env)
{
    *cursor = (struct dump_cursor){.env = env};
    op_source_init(&cursor->source);
    log_io_init(&cursor->io);
}

static void cursor_copy(char path[LOG_PATH_MAX], const char *from)
{
    struct text text;

    text_init(&text, path, LOG_PATH_MAX);
    text_cstr(&text, from);
}

void dump_cursor_init_file(struct dump_cursor *cursor, struct env *env, const char *path)
{
    cursor_init(cursor, env);
    cursor->single = true;
    cursor->base_count = 1;
    cursor_copy(cursor->path, path);
}

void dump_cursor_init_dir(struct dump_cursor *cursor, struct env *env, const char *dir)
{
    cursor_init(cursor, env);
    cursor_copy(cursor->dir, dir);
}

enum err dump_cursor_add(struct dump_cursor *cursor, int64_t base)
{
    struct mem *mem = &cursor->env->mem;

    ASSERT(cursor->base_count == 0 || cursor->bases[cursor->base_count - 1] < base);
    if (cursor->base_count == cursor->base_room) {
        uint32_t room = cursor->base_room == 0 ? 64 : cursor->base_room * 2;
        int64_t *grown = mem_alloc(mem, room * sizeof *grown);

        if (grown == NULL) return ERR_NO_MEMORY;
        if (cursor->base_count > 0)
            memcpy(grown, cursor->bases, cursor->base_count * sizeof *grown);
        mem_free(mem, cursor->bases, cursor->base_room * sizeof *grown);
        cursor->bases = grown;
        cursor->base_room = room;
    }
    cursor->bases[cursor->base_count++] = base;
    return ERR_NONE;
}

void dump_cursor_deinit(struct dump_cursor *cursor)
{
    struct mem *mem = &cursor->env->mem;

    ASSERT(!cursor->opened && !cursor->busy);
    mem_free(mem, cursor->bases, cursor->base_room * sizeof *cursor->bases);
    mem_free(mem, cursor->buffer, cursor->buffer_size);
    cursor->bases = NULL;
    cursor->base_room = 0;
    cursor->buffer = NULL;
    cursor->buffer_size = 0;
}

static enum op_result cursor_end(struct dump_cursor *o, enum dump_cursor_state state, enum err err)
{
    o->state = state;
    o->err = err;
    o->busy = false;
    op_wake(&o->source);
    return OP_DONE;
}

/* What stands at next_position is no batch. */
static void cursor_bad(struct dump_cursor *cursor)
{
    cursor->state = DUMP_CURSOR_BAD;
    cursor->position = cursor->next_position;
    cursor->rest = cursor->file_size - cursor->next_position;
    cursor->over = true;
}

/* From the buffer alone: true when there is something to tell. */
static bool cursor_take(struct dump_cursor *cursor)
{
    struct bytes bytes = {cursor->buffer + cursor->at, (uint32_t)(cursor->have - cursor->at)};

    if (!cursor->opened || cursor->over || cursor->have == cursor->at) return false;
    switch (record_batch_parse(bytes, &cursor->batch)) {
    case RECORD_BATCH_PARTIAL: return false;
    case RECORD_BATCH_CORRUPT: cursor_bad(cursor); return true;
    case RECORD_BATCH_WHOLE: break;
    }
    cursor->state = DUMP_CURSOR_BATCH;
    cursor->crc_ok = record_batch_check_crc(cursor->env->world->cpu, &cursor->batch) == ERR_NONE;
    cursor->position = cursor->next_position;
    cursor->next_position += cursor->batch.bytes.length;
    cursor->at += cursor->batch.bytes.length;
    return true;
}

/* Room behind what is in the buffer: for a whole batch, which the file must still have. False: no
 * more of this file can be a batch. */
static bool cursor_room(struct dump_cursor *cursor)
{
    struct mem *mem = &cursor->env->mem;
    size_t left = cursor->have - cursor->at;
    size_t want = CURSOR_BUFFER;
    uint8_t *grown;

    if (cursor->next_position + left >= cursor->file_size) return false;
    if (left >= RECORD_BATCH_PREFIX) {
        uint32_t total = record_batch_total(cursor->buffer + cursor->at);

        if (cursor->next_position + total > cursor->file_size) return false;
        if (total > want) want = total;
    }
    if (want <= cursor->buffer_size) {
        memmove(cursor->buffer, cursor->buffer + cursor->at, left);
    } else {
        grown = mem_alloc(mem, want);
        if (grown == NULL) return false;
        if (left > 0) memcpy(grown, cursor->buffer + cursor->at, left);
        mem_free(mem, cursor->buffer, cursor->buffer_size);
        cursor->buffer = grown;
        cursor->buffer_size = want;
    }
    cursor->at = 0;
    cursor->have = left;
    return true;
}

static void cursor_open(struct dump_cursor *o)
{
    char name[LOG_FILE_NAME];

    if (!o->single) {
        log_file_name(name, o->bases[o->segment], ".log");
        log_path(o->path, o->dir, name);
    }
    log_io_open(&o->io, o->env->world, o->path, DISK_READ_ONLY);
}

static enum op_result cursor_run(struct op *op)
{
    struct dump_cursor *o = CONTAINER_OF(op, struct dump_cursor, op);
    struct world *world = o->env->world;

    switch ((enum cursor_step)op->step) {
    case CURSOR_START:
        for (;;) {
            if (!o->opened) {
                if (o->segment == o->base_count) return cursor_end(o, DUMP_CURSOR_END, ERR_NONE);
                cursor_open(o);
                AWAIT_IO(o, CURSOR_OPENED, &o->io);
                if (log_io_err(&o->io) != ERR_NONE) {
                    o->segment = o->base_count;
                    return cursor_end(o, DUMP_CURSOR_ERROR, log_io_err(&o->io));
                }
                o->file = o->io.req.file;
                o->file_size = o->io.req.size;
                o->opened = true;
                o->at = o->have = 0;
                o->next_position = 0;
                return cursor_end(o, DUMP_CURSOR_SEGMENT, ERR_NONE);
            }
            if (!o->over && cursor_room(o)) {
                log_io_read(&o->io, world, o->file, o->buffer + o->have, o->next_position + o->have,
                            o->buffer_size - o->have, 0);
                AWAIT_IO(o, CURSOR_READ, &o->io);
                o->err = log_io_err(&o->io);
                o->have += o->io.req.done;
                if (o->err == ERR_NONE && o->io.req.done > 0) {
                    if (cursor_take(o)) return cursor_end(o, o->state, ERR_NONE);
                    continue;
                }
                if (o->err == ERR_NONE) o->file_size = o->next_position + o->have; /* cut */
            }
            if (o->err == ERR_NONE && !o->over && o->next_position < o->file_size) {
                cursor_bad(o);
                return cursor_end(o, DUMP_CURSOR_BAD, ERR_NONE);
            }
            log_io_close(&o->io, world, o->file);
            AWAIT_IO(o, CURSOR_CLOSED, &o->io);
            o->opened = false;
            o->over = false;
            o->segment++;
            if (o->err != ERR_NONE) {
                o->segment = o->base_count;
                return cursor_end(o, DUMP_CURSOR_ERROR, o->err);
            }
        }
    }
    IMPOSSIBLE("step");
}

static const struct op_kind cursor_kind = {"dump_cursor", cursor_steps, COUNT_OF(cursor_steps),
                                           cursor_run, NULL};

void dump_cursor_next(struct dump_cursor *cursor)
{
    ASSERT(!cursor->busy);
    cursor->err = ERR_NONE;
    if (cursor_take(cursor)) return;
    cursor->busy = true;
    op_start(&cursor->env->loop, &cursor->op, &cursor_kind, CURSOR_START);
}

void dump_cursor_stop(struct dump_cursor *cursor)
{
    if (cursor->opened) {
        cursor->over = true;
        cursor->segment = cursor->base_count - 1;
    } else {
        cursor->segment = cursor->base_count;
    }
    dump_cursor_next(cursor);
}
