/* DIGEST and COMPARE. A digest is a sum over the bytes of the batches in the order of their
 * offsets, headers included: replicas in sync agree byte for byte (S34), wherever their segments
 * begin. Left out: what ends below the log start, and what reaches beyond `to`. */
#include "broker/log/dump_private.h"

#include "broker/log/log_text.h"

#include <string.h>

/* ---- one replica ----------------------------------------------------------------------------- */

/* The partition's line in a checkpoint of its log directory; -1 none. */
static int64_t replica_checkpoint(struct dump_work *work)
{
    struct str name = dump_base_name(work->item->path);
    struct log_text lines;
    struct str words[3];
    char buffer[LOG_PATH_MAX];
    int64_t offset;

    if (work->load.err != ERR_NONE) return -1;
    if (log_text_open(&lines, (struct str){(const char *)work->load.data,
                                           (uint32_t)work->load.size}) != ERR_NONE)
        return -1;
    while (log_text_next(&lines) == ERR_NONE) {
        struct text text;

        if (!log_text_word(&lines, &words[0]) || !log_text_word(&lines, &words[1]) ||
            !log_text_word(&lines, &words[2]) || !text_parse_i64(words[2], &offset))
            return -1;
        text_init(&text, buffer, sizeof buffer);
        text_format(&text, "%S-%S", words[0], words[1]);
        if (str_equal(text_view(&text), name)) return offset;
    }
    return -1;
}

static void replica_load(struct dump_work *work, const char *file)
{
    struct str name = dump_base_name(work->item->path);
    uint32_t length = (uint32_t)(name.data - work->item->path);
    struct text text;

    text_init(&text, work->path, sizeof work->path);
    if (length == 0) {
        text_char(&text, '.');
    } else {
        text_str(&text, (struct str){work->item->path, length > 1 ? length - 1 : 1});
    }
    log_load_start(&work->load, work->dump->env, work->path, file, DUMP_FILE_MAX);
}

/* The segments of the item. */
static enum err replica_cursor(struct dump_work *work, struct dump_cursor *cursor,
                               const struct dump_item *item)
{
    if (item->kind == DUMP_ITEM_FILE) {
        dump_cursor_init_file(cursor, work->dump->env, item->path);
        return ERR_NONE;
    }
    dump_cursor_init_dir(cursor, work->dump->env, item->path);
    for (const struct dump_name *name = item->names; name != NULL; name = name->next) {
        struct str suffix;
        int64_t base;
        enum err err;

        if (name->directory || !log_file_parse(str_of(name->name), &base, &suffix)) continue;
        if (!str_equal(suffix, STR(".log"))) continue;
        err = dump_cursor_add(cursor, base);
        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

static bool replica_begin(struct dump_work *work)
{
    struct dump_replica *replica = arena_zalloc(&work->names, sizeof *replica);

    if (replica == NULL) {
        dump_error(work, work->item->path, "no memory", "");
        return false;
    }
    *replica = (struct dump_replica){
        .item = work->item, .log_start = -1, .log_end = -1, .high_watermark = -1};
    *work->replicas_end = replica;
    work->replicas_end = &replica->next;
    work->replica = replica;
    hash128_init(&work->hash, 0);
    return true;
}

static bool replica_ready(struct dump_work *work)
{
    const struct dump_request *request = &work->dump->request;
    struct dump_replica *replica = work->replica;

    replica->to = INT64_MAX;
    if (request->to >= 0) replica->to = request->to;
    if (request->to_high_watermark) {
        if (replica->high_watermark < 0) {
            dump_error(work, replica->item->path,
                       "replication-offset-checkpoint beside it names no high watermark of it", "");
            return false;
        }
        replica->to = replica->high_watermark;
    }
    if (replica_cursor(work, &work->cursor, replica->item) == ERR_NONE) return true;
    dump_error(work, replica->item->path, "no memory", "");
    dump_cursor_deinit(&work->cursor);
    return false;
}

static void replica_batch(struct dump_work *work)
{
    const struct record_batch *batch = &work->cursor.batch;
    struct dump_replica *replica = work->replica;

    if (!work->cursor.crc_ok) {
        dump_error(work, work->cursor.path, "a batch fails its crc", "");
    }
    if (record_batch_end_offset(batch) <= replica->log_start) return;
    if (replica->log_start < 0) replica->log_start = batch->base_offset;
    replica->log_end = record_batch_end_offset(batch);
    if (replica->log_end > replica->to) return;
    replica->batches++;
    replica->records += (uint64_t)batch->record_count;
    hash128_add_bytes(&work->hash, batch->bytes.data, batch->bytes.length);
}

/* False: the log has been read. */
static bool replica_cursor_step(struct dump_work *work)
{
    struct dump_cursor *cursor = &work->cursor;

    switch (cursor->state) {
    case DUMP_CURSOR_SEGMENT: return true;
    case DUMP_CURSOR_BATCH: replica_batch(work); return true;
    case DUMP_CURSOR_BAD:
        /* At the very end: torn, or an append under way. In the middle batches are missing. */
        if (!cursor->single && cursor->segment + 1 < cursor->base_count) {
            dump_error(work, cursor->path, "its end is no batch, and segments follow", "");
        }
        return true;
    case DUMP_CURSOR_ERROR:
        dump_error(work, cursor->path, "cannot be read: ", err_name(cursor->err));
        work->replica->unreadable = true;
        return false;
    case DUMP_CURSOR_END: return false;
    }
    IMPOSSIBLE("state");
}

static void replica_end(struct dump_work *work)
{
    const struct dump_request *request = &work->dump->request;
    struct dump_replica *replica = work->replica;
    int64_t end = replica->log_end < replica->to ? replica->log_end : replica->to;
    struct text *text;

    replica->sum = hash128_final(&work->hash);
    if (replica->log_start < 0) replica->log_start = 0; /* nothing in it */
    if (replica->log_end < replica->log_start) replica->log_end = replica->log_start;
    if (end < replica->log_start) end = replica->log_start;
    if (replica->to != INT64_MAX && replica->log_end < replica->to) {
        dump_error(work, replica->item->path, "ends below what --to asks for", "");
    }
    text = dump_line(work);
    if (request->mode == DUMP_DIGEST) {
        text_cstr(text, "digest=");
    } else {
        text_format(text, "replica start=%D end=%D hw=%D digest=", replica->log_start,
                    replica->log_end, replica->high_watermark);
    }
    text_hex(text, replica->sum.high, 16);
    text_hex(text, replica->sum.low, 16);
    text_format(text, " from=%D to=%D batches=%U records=%U %s", replica->log_start, end,
                replica->batches, replica->records, replica->item->path);
    dump_print_line(work);
}

static void replica_epochs(struct dump_work *work)
{
    struct text *text = dump_line(work);
    struct log_text lines;
    struct str words[2];

    text_cstr(text, "  epochs");
    if (work->load.err != ERR_NONE ||
        log_text_open(&lines, (struct str){(const char *)work->load.data,
                                           (uint32_t)work->load.size}) != ERR_NONE) {
        text_cstr(text, " unknown");
    } else {
        while (log_text_next(&lines) == ERR_NONE && log_text_word(&lines, &words[0]) &&
               log_text_word(&lines, &words[1]))
            text_format(text, " %S@%S", words[0], words[1]);
    }
    dump_print_line(work);
}

enum digest_step {
    DIGEST_START,
    DIGEST_HW,
    DIGEST_LOG_START,
    DIGEST_NEXT,
    DIGEST_EPOCHS,
};
static const char *const digest_steps[] = {"START", "HW", "LOG_START", "NEXT", "EPOCHS"};

static enum op_result digest_run(struct op *op)
{
    struct dump_inner *o = CONTAINER_OF(op, struct dump_inner, op);
    struct dump_work *work = o->work;

    switch ((enum digest_step)op->step) {
    case DIGEST_START:
        if (!replica_begin(work)) return OP_DONE;
        if (work->item->kind == DUMP_ITEM_PARTITION) {
            replica_load(work, "replication-offset-checkpoint");
            AWAIT_LOAD(o, DIGEST_HW, &work->load);
            work->replica->high_watermark = replica_checkpoint(work);
            replica_load(work, "log-start-offset-checkpoint");
            AWAIT_LOAD(o, DIGEST_LOG_START, &work->load);
            work->replica->log_start = replica_checkpoint(work);
            log_load_free(&work->load);
        }
        if (!replica_ready(work)) {
            work->replica->unreadable = true;
            return OP_DONE;
        }
        do {
            dump_cursor_next(&work->cursor);
            AWAIT_CURSOR(o, DIGEST_NEXT, &work->cursor);
        } while (replica_cursor_step(work));
        dump_cursor_deinit(&work->cursor);
        replica_end(work);
        if (work->dump->request.mode == DUMP_DIGEST) return OP_DONE;
        log_load_start(&work->load, work->dump->env, work->item->path, "leader-epoch-checkpoint",
                       DUMP_FILE_MAX);
        AWAIT_LOAD(o, DIGEST_EPOCHS, &work->load);
        replica_epochs(work);
        log_load_free(&work->load);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

const struct op_kind dump_digest_kind = {"dump_digest", digest_steps, COUNT_OF(digest_steps),
                                         digest_run, dump_inner_finish};

/* ---- side by side ---------------------------------------------------------------------------- */

/* Goes on to a batch that counts, or to the end: true when the cursor has to move once more. */
static bool compare_skips(const struct dump_cursor *cursor, int64_t from)
{
    switch (cursor->state) {
    case DUMP_CURSOR_SEGMENT:
    case DUMP_CURSOR_BAD: return true;
    case DUMP_CURSOR_BATCH: return record_batch_end_offset(&cursor->batch) <= from;
    case DUMP_CURSOR_ERROR:
    case DUMP_CURSOR_END: return false;
    }
    IMPOSSIBLE("state");
}

static void compare_print_side(struct text *text, const struct dump_cursor *cursor,
                               const struct dump_replica *replica)
{
    const struct record_batch *batch = &cursor->batch;

    text_format(text, " %s base=%D last=%D epoch=%d crc=%x size=%u", replica->item->path,
                batch->base_offset, record_batch_last_offset(batch), batch->partition_leader_epoch,
                batch->crc, batch->bytes.length);
}

static int64_t compare_from(const struct dump_work *work)
{
    const struct dump_replica *first = work->replicas;

    return first->log_start > work->replica->log_start ? first->log_start
                                                       : work->replica->log_start;
}

/* Both stand on a batch or at their end. True: so far the same, and both have more. */
static bool compare_step(struct dump_work *work)
{
    const struct dump_cursor *a = &work->cursor;
    const struct dump_cursor *b = &work->other;
    const struct dump_replica *first = work->replicas;
    const struct dump_replica *second = work->replica;
    struct text *text = dump_line(work);
    int64_t end = first->log_end < second->log_end ? first->log_end : second->log_end;
    int64_t base;

    if (a->state != DUMP_CURSOR_BATCH || b->state != DUMP_CURSOR_BATCH) {
        text_format(text, "same to=%D %s %s", end, first->item->path, second->item->path);
        dump_print_line(work);
        return false;
    }
    base =
        a->batch.base_offset < b->batch.base_offset ? a->batch.base_offset : b->batch.base_offset;
    if (base >= first->to || base >= second->to) {
        text_format(text, "same to=%D %s %s", base, first->item->path, second->item->path);
        dump_print_line(work);
        return false;
    }
    if (a->batch.bytes.length == b->batch.bytes.length &&
        memcmp(a->batch.bytes.data, b->batch.bytes.data, a->batch.bytes.length) == 0)
        return true;
    text_format(text, "differs offset=%D", base);
    compare_print_side(text, a, first);
    compare_print_side(text, b, second);
    dump_print_line(work);
    work->dump->failed = true;
    return false;
}

static void compare_begin(struct dump_work *work)
{
    enum err err = replica_cursor(work, &work->cursor, work->replicas->item);
    enum err other = replica_cursor(work, &work->other, work->replica->item);

    if (err == ERR_NONE && other == ERR_NONE) return;
    dump_error(work, work->replica->item->path, "no memory", "");
    work->replica->unreadable = true;
}

enum compare_step_name {
    COMPARE_START,
    COMPARE_FIRST,
    COMPARE_SECOND,
    COMPARE_FIRST_SHUT,
    COMPARE_SECOND_SHUT,
};
static const char *const compare_steps[] = {"START", "FIRST", "SECOND", "FIRST_SHUT",
                                            "SECOND_SHUT"};

static enum op_result compare_run(struct op *op)
{
    struct dump_inner *o = CONTAINER_OF(op, struct dump_inner, op);
    struct dump_work *work = o->work;

    switch ((enum compare_step_name)op->step) {
    case COMPARE_START:
        if (work->replicas == NULL) return OP_DONE;
        if (work->replicas->next == NULL) {
            dump_error(work, work->replicas->item->path, "there is nothing to compare it with", "");
            return OP_DONE;
        }
        for (work->replica = work->replicas->next; work->replica != NULL;
             work->replica = work->replica->next) {
            compare_begin(work);
            if (!work->replica->unreadable) {
                do {
                    do {
                        dump_cursor_next(&work->cursor);
                        AWAIT_CURSOR(o, COMPARE_FIRST, &work->cursor);
                    } while (compare_skips(&work->cursor, compare_from(work)));
                    do {
                        dump_cursor_next(&work->other);
                        AWAIT_CURSOR(o, COMPARE_SECOND, &work->other);
                    } while (compare_skips(&work->other, compare_from(work)));
                } while (compare_step(work));
            }
            dump_cursor_stop(&work->cursor);
            AWAIT_CURSOR(o, COMPARE_FIRST_SHUT, &work->cursor);
            dump_cursor_stop(&work->other);
            AWAIT_CURSOR(o, COMPARE_SECOND_SHUT, &work->other);
            dump_cursor_deinit(&work->cursor);
            dump_cursor_deinit(&work->other);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

const struct op_kind dump_compare_kind = {"dump_compare", compare_steps, COUNT_OF(compare_steps),
                                          compare_run, dump_inner_finish};
