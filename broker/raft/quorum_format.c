#include "broker/raft/quorum_format.h"

#include "broker/raft/quorum_snapshot.h"
#include "client/base/assert.h"
#include "client/base/text.h"

#include <string.h>

/* The file's bytes. NO_MEMORY. */
static enum err format_print(struct quorum_format *format)
{
    struct env *env = format->env;
    struct quorum_snapshot_writer writer;
    const struct quorum_snapshot_id id = {0, 0};
    uint8_t version[QUORUM_VOTERS_BYTES], value[QUORUM_VOTERS_BYTES];
    enum err err = quorum_snapshot_writer_init(&writer, &env->mem, env->world->cpu, id, 0);

    if (err == ERR_NONE)
        err = quorum_snapshot_writer_voters(
            &writer, quorum_voters_encode_version(1, version),
            quorum_voters_encode(format->voters, format->listener, value));
    if (err == ERR_NONE) err = quorum_snapshot_writer_finish(&writer);
    for (struct list *link = writer.chunks.next; err == ERR_NONE && link != &writer.chunks;
         link = link->next) {
        const struct quorum_snapshot_chunk *chunk =
            LIST_ENTRY(link, struct quorum_snapshot_chunk, link);

        ASSERT(format->file.length + chunk->used <= QUORUM_FILE_MAX);
        memcpy(format->file.bytes + format->file.length, chunk->data, chunk->used);
        format->file.length += chunk->used;
    }
    quorum_snapshot_writer_free(&writer);
    return err;
}

static void format_made(struct world_req *req, struct instant now)
{
    (void)now;
    op_wake(
        &CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct quorum_format, req)->made);
}

static void format_mkdir(struct quorum_format *format, const char *path)
{
    format->req.op = DISK_MKDIR;
    format->req.req.result = ERR_NONE;
    format->req.path = path;
    disk_submit(format->env->world, &format->req);
}

static bool format_there(struct quorum_format *format)
{
    enum err err = format->req.req.result;

    if (err != ERR_NONE && err != ERR_EXISTS) format->err = err;
    return format->err == ERR_NONE;
}

enum format_step { FORMAT_START, FORMAT_LOOKED, FORMAT_MADE, FORMAT_MADE_INSIDE, FORMAT_WRITTEN };
static const char *const format_steps[] = {"START", "LOOKED", "MADE", "MADE_INSIDE", "WRITTEN"};

static enum op_result format_run(struct op *op)
{
    struct quorum_format *o = CONTAINER_OF(op, struct quorum_format, op);

    switch ((enum format_step)op->step) {
    case FORMAT_START:
        if (o->err != ERR_NONE) return OP_DONE;
        quorum_file_load(&o->meta);
        AWAIT(o, FORMAT_LOOKED, &o->meta.done_source, !o->meta.busy);
        o->refused = o->meta.err == ERR_NONE;
        if (o->refused) return OP_DONE;
        format_mkdir(o, o->dir);
        AWAIT(o, FORMAT_MADE, &o->made, !o->req.req.pending);
        if (!format_there(o)) return OP_DONE;
        format_mkdir(o, o->path);
        AWAIT(o, FORMAT_MADE_INSIDE, &o->made, !o->req.req.pending);
        if (!format_there(o)) return OP_DONE;
        o->err = format_print(o);
        if (o->err != ERR_NONE) return OP_DONE;
        quorum_file_replace(&o->file);
        AWAIT(o, FORMAT_WRITTEN, &o->file.done_source, !o->file.busy);
        o->err = o->file.err;
        return OP_DONE;
    }
    IMPOSSIBLE("step of a format");
}

static void format_finish(struct op *op)
{
    struct quorum_format *format = CONTAINER_OF(op, struct quorum_format, op);

    if (format->meta.env != NULL) quorum_file_deinit(&format->meta);
    if (format->file.env != NULL) quorum_file_deinit(&format->file);
    format->busy = false;
    op_wake(&format->source);
}

static const struct op_kind format_kind = {"quorum_format", format_steps, COUNT_OF(format_steps),
                                           format_run, format_finish};

void quorum_format_start(struct quorum_format *format, struct env *env, struct str dir,
                         const struct quorum_voters *voters, struct str listener)
{
    char name[QUORUM_SNAPSHOT_NAME];
    struct text text;

    *format =
        (struct quorum_format){.env = env, .voters = voters, .listener = listener, .busy = true};
    op_source_init(&format->source);
    op_source_init(&format->made);
    world_req_init(&format->req.req, format_made);
    text_init(&text, format->dir, sizeof format->dir);
    text_str(&text, dir);
    ASSERT(!text.truncated);
    text_init(&text, format->path, sizeof format->path);
    text_format(&text, "%S/__cluster_metadata-0", dir);
    ASSERT(!text.truncated);
    quorum_snapshot_name(name, (struct quorum_snapshot_id){0, 0}, "");
    format->err = quorum_file_init(&format->meta, env, dir, "meta.properties");
    if (format->err == ERR_NONE)
        format->err = quorum_file_init(&format->file, env, text_view(&text), name);
    op_start(&env->loop, &format->op, &format_kind, FORMAT_START);
}
