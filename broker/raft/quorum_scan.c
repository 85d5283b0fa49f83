/* Snapshot files read: one disk request at a time, batches judged and told in the order of the
 * file. Nothing that is told counts before quorum_scan_take(). */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"
#include "client/base/text.h"

enum { SCAN_BUFFER = 256 << 10 };

/* ---- one disk request ------------------------------------------------------------------------ */

static void quorum_io_completed(struct world_req *req, struct instant now)
{
    struct quorum_io *io =
        CONTAINER_OF(CONTAINER_OF(req, struct disk_req, req), struct quorum_io, req);

    (void)now;
    op_wake(&io->done);
}

void quorum_io_init(struct quorum_io *io)
{
    *io = (struct quorum_io){.slice = BYTES_NULL};
    op_source_init(&io->done);
    world_req_init(&io->req.req, quorum_io_completed);
}

static void quorum_io_submit(struct quorum *quorum, struct quorum_io *io, enum disk_op op)
{
    io->req.op = op;
    io->req.req.result = ERR_NONE;
    disk_submit(quorum->env->world, &io->req);
}

void quorum_io_open(struct quorum *quorum, struct quorum_io *io, const char *path, uint32_t flags)
{
    io->req.path = path;
    io->req.flags = flags;
    quorum_io_submit(quorum, io, DISK_OPEN);
}

void quorum_io_file(struct quorum *quorum, struct quorum_io *io, enum disk_op op,
                    struct disk_file file)
{
    io->req.file = file;
    io->req.flags = 0;
    io->req.length = 0; /* of a TRUNCATE */
    quorum_io_submit(quorum, io, op);
}

void quorum_io_close(struct quorum *quorum, struct quorum_io *io, struct disk_file file)
{
    quorum_io_file(quorum, io, DISK_CLOSE, file);
}

void quorum_io_read(struct quorum *quorum, struct quorum_io *io, struct disk_file file,
                    uint8_t *into, uint64_t offset, uint64_t length)
{
    io->req.file = file;
    io->req.flags = 0;
    io->req.into = into;
    io->req.offset = offset;
    io->req.length = length;
    quorum_io_submit(quorum, io, DISK_READ);
}

void quorum_io_write(struct quorum *quorum, struct quorum_io *io, struct disk_file file,
                     struct bytes data, uint64_t offset)
{
    io->slice = data;
    io->req.file = file;
    io->req.flags = 0;
    io->req.slices = &io->slice;
    io->req.slice_count = 1;
    io->req.offset = offset;
    quorum_io_submit(quorum, io, DISK_WRITE);
}

void quorum_io_path(struct quorum *quorum, struct quorum_io *io, enum disk_op op, const char *path,
                    const char *path_to)
{
    io->req.path = path;
    io->req.path_to = path_to;
    quorum_io_submit(quorum, io, op);
}

void quorum_io_list(struct quorum *quorum, struct quorum_io *io, const char *path, uint8_t *into,
                    uint64_t length)
{
    io->req.path = path;
    io->req.into = into;
    io->req.length = length;
    quorum_io_submit(quorum, io, DISK_LIST);
}

void quorum_scan_path(const struct quorum *quorum, char path[QUORUM_PATH_MAX],
                      struct quorum_snapshot_id id, const char *suffix)
{
    char name[QUORUM_SNAPSHOT_NAME];
    struct text text;

    quorum_snapshot_name(name, id, suffix);
    text_init(&text, path, QUORUM_PATH_MAX);
    text_format(&text, "%S/%s", quorum->config.dir, name);
    ASSERT(!text.truncated);
}

void quorum_scan_dir(const struct quorum *quorum, char path[QUORUM_PATH_MAX])
{
    struct text text;

    text_init(&text, path, QUORUM_PATH_MAX);
    text_str(&text, quorum->config.dir);
    ASSERT(!text.truncated);
}

/* ---- the file -------------------------------------------------------------------------------- */

static enum err quorum_scan_put(struct quorum_snapshot_sink *sink, struct bytes value)
{
    struct quorum_scan *scan = CONTAINER_OF(sink, struct quorum_scan, sink);
    struct quorum_listener *listener = scan->quorum->listener;

    return listener->snapshot_record(listener, value);
}

static enum err quorum_scan_control(struct quorum_snapshot_sink *sink, enum control_type type,
                                    struct bytes value)
{
    struct quorum_scan *scan = CONTAINER_OF(sink, struct quorum_scan, sink);
    struct quorum *quorum = scan->quorum;
    enum err err;

    if (type != CONTROL_KRAFT_VOTERS) return ERR_NONE;
    scan->voters.offset = -1;
    err = quorum_voters_decode(value, quorum->config.listener_name, &quorum->arena, &scan->voters);
    arena_reset(&quorum->arena);
    scan->has_voters = err == ERR_NONE;
    return err;
}

static bool quorum_scan_room(struct quorum_scan *scan, uint64_t wanted)
{
    struct mem *mem = &scan->quorum->env->mem;

    mem_free(mem, scan->buffer, scan->capacity);
    scan->buffer = mem_alloc(mem, wanted);
    scan->capacity = scan->buffer != NULL ? (uint32_t)wanted : 0;
    if (scan->buffer == NULL) scan->err = ERR_NO_MEMORY;
    return scan->buffer != NULL;
}

/* What the last read brought. A batch that does not fit the buffer gets a bigger one. */
static void quorum_scan_judge(struct quorum_scan *scan)
{
    struct bytes bytes = {scan->buffer, (uint32_t)scan->io.req.done};
    uint32_t used = 0, total;

    scan->err = quorum_io_err(&scan->io);
    if (scan->err != ERR_NONE) return;
    scan->err = quorum_snapshot_read(&scan->reader, bytes, &scan->sink, &used);
    if (scan->err == ERR_MALFORMED || scan->err == ERR_TOO_MANY) scan->err = ERR_DAMAGED;
    scan->at += used;
    if (scan->err != ERR_NONE || used > 0) return;
    total = bytes.length >= RECORD_BATCH_PREFIX ? record_batch_total(bytes.data) : 0;
    if (total <= scan->capacity || total > QUORUM_SNAPSHOT_BATCH_MAX ||
        total > scan->size - scan->at) {
        scan->err = ERR_DAMAGED; /* the file ends inside of a batch */
        return;
    }
    (void)quorum_scan_room(scan, total);
}

static bool quorum_scan_goes_on(const struct quorum_scan *scan)
{
    return scan->err == ERR_NONE && scan->at < scan->size;
}

enum quorum_scan_step { SCAN_OPEN, SCAN_OPENED, SCAN_READ, SCAN_CLOSED };
static const char *const quorum_scan_steps[] = {"OPEN", "OPENED", "READ", "CLOSED"};

static enum op_result quorum_scan_run(struct op *op)
{
    struct quorum_scan *o = CONTAINER_OF(op, struct quorum_scan, op);
    struct quorum *q = o->quorum;

    switch ((enum quorum_scan_step)op->step) {
    case SCAN_OPEN:
        quorum_io_open(q, &o->io, o->path, DISK_READ_ONLY);
        AWAIT_QUORUM_IO(o, SCAN_OPENED, &o->io);
        o->err = quorum_io_err(&o->io);
        if (o->err != ERR_NONE) return OP_DONE;
        o->file = o->io.req.file;
        o->size = o->io.req.size;
        (void)quorum_scan_room(o, SCAN_BUFFER);
        while (quorum_scan_goes_on(o)) {
            quorum_io_read(q, &o->io, o->file, o->buffer, o->at, o->capacity);
            AWAIT_QUORUM_IO(o, SCAN_READ, &o->io);
            quorum_scan_judge(o);
        }
        if (o->err == ERR_NONE && !quorum_snapshot_complete(&o->reader)) o->err = ERR_DAMAGED;
        quorum_io_close(q, &o->io, o->file);
        AWAIT_QUORUM_IO(o, SCAN_CLOSED, &o->io);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void quorum_scan_end(struct op *op)
{
    struct quorum_scan *scan = CONTAINER_OF(op, struct quorum_scan, op);
    struct quorum_listener *listener = scan->quorum->listener;

    mem_free(&scan->quorum->env->mem, scan->buffer, scan->capacity);
    scan->buffer = NULL;
    if (scan->err != ERR_NONE) listener->snapshot_dropped(listener);
    scan->busy = false;
    op_wake(&scan->source);
}

static const struct op_kind quorum_scan_kind = {"quorum_scan", quorum_scan_steps,
                                                COUNT_OF(quorum_scan_steps), quorum_scan_run,
                                                quorum_scan_end};

void quorum_scan_start(struct quorum *quorum, struct quorum_scan *scan, const char *path,
                       struct quorum_snapshot_id id)
{
    struct text text;

    *scan = (struct quorum_scan){.quorum = quorum,
                                 .busy = true,
                                 .sink = {.control = quorum_scan_control, .put = quorum_scan_put}};
    op_source_init(&scan->source);
    quorum_io_init(&scan->io);
    quorum_snapshot_reader_init(&scan->reader, quorum->env->world->cpu);
    text_init(&text, scan->path, sizeof scan->path);
    text_cstr(&text, path);
    quorum->listener->snapshot_begun(quorum->listener, id.end, id.epoch);
    op_start(&quorum->env->loop, &scan->op, &quorum_scan_kind, SCAN_OPEN);
}

void quorum_scan_take(struct quorum *quorum, struct quorum_scan *scan, struct quorum_snapshot_id id,
                      int how)
{
    enum err err;

    ASSERT(!scan->busy && scan->err == ERR_NONE && id.end >= quorum->applied_end);
    TRACE(quorum->env->world, RAFT_SNAPSHOT, id.end, id.epoch, (int64_t)scan->size,
          scan->reader.crc, how);
    quorum->applied_end = id.end;
    quorum->applied_epoch = id.epoch;
    quorum->applied_ms = scan->reader.timestamp;
    quorum->keep.bytes_since = 0;
    quorum_voting_loaded(quorum, scan);
    err = quorum->listener->snapshot_loaded(quorum->listener, id.end, id.epoch);
    if (err != ERR_NONE) quorum_driver_fail(quorum, err, STR("a snapshot cannot be applied"));
    op_wake_below(&quorum->applied_source, quorum->applied_end);
}
