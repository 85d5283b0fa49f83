/* SHOW: every file of an item, in the order of their names. */
#include "broker/log/dump_private.h"

enum show_step {
    SHOW_START,
    SHOW_NEXT,
    SHOW_LOADED,
};
static const char *const show_steps[] = {"START", "NEXT", "LOADED"};

/* What stands in this file is metadata: its records are shown. */
static bool show_is_metadata(const char *path)
{
    struct str name = dump_base_name(path);
    struct str parent = {path, (uint32_t)(name.data - path)};
    char copy[LOG_PATH_MAX];
    struct text text;

    if (name.length > 11 && dump_is_log(name) && name.data[name.length - 1] == 't') return true;
    text_init(&text, copy, sizeof copy);
    text_str(&text, parent);
    return str_equal(dump_base_name(copy), STR("__cluster_metadata-0"));
}

/* o->path is the next file of the item; false: that was all. */
static bool show_next_file(struct dump_work *work)
{
    const struct dump_item *item = work->item;
    struct text text;

    if (item->kind == DUMP_ITEM_FILE) {
        if (work->path[0] != '\0') return false; /* the one it is */
        text_init(&text, work->path, sizeof work->path);
        text_cstr(&text, item->path);
        return true;
    }
    for (; work->name != NULL; work->name = work->name->next) {
        if (work->name->directory || str_equal(str_of(work->name->name), STR(".lock"))) continue;
        log_path(work->path, item->path, work->name->name);
        work->name = work->name->next;
        return true;
    }
    return false;
}

static void show_heading(struct dump_work *work)
{
    struct text *text = dump_line(work);

    switch (work->item->kind) {
    case DUMP_ITEM_FILE: return;
    case DUMP_ITEM_PARTITION: text_format(text, "partition %s", work->item->path); break;
    case DUMP_ITEM_ROOT: text_format(text, "directory %s", work->item->path); break;
    }
    dump_print_line(work);
}

/* What the cursor came to. False: the file is done. */
static bool show_cursor(struct dump_work *work)
{
    const struct dump_cursor *cursor = &work->cursor;
    struct text *text;

    switch (cursor->state) {
    case DUMP_CURSOR_SEGMENT:
        text = dump_line(work);
        text_format(text, "file %S size=%U", dump_base_name(cursor->path), cursor->file_size);
        dump_print_line(work);
        return true;
    case DUMP_CURSOR_BATCH:
        dump_print_batch(work, cursor, show_is_metadata(work->path));
        if (!cursor->crc_ok) dump_error(work, cursor->path, "a batch fails its crc", "");
        return true;
    case DUMP_CURSOR_BAD:
        text = dump_line(work);
        text_format(text, "  no-batch position=%U size=%U", cursor->position, cursor->rest);
        dump_print_line(work);
        return true;
    case DUMP_CURSOR_ERROR:
        dump_error(work, work->path, "cannot be read: ", err_name(cursor->err));
        return false;
    case DUMP_CURSOR_END: return false;
    }
    IMPOSSIBLE("state");
}

static void show_load(struct dump_work *work)
{
    struct str name = dump_base_name(work->path);
    char directory[LOG_PATH_MAX];
    char file[LOG_PATH_MAX];
    struct text text;
    uint32_t length = (uint32_t)(name.data - work->path);

    text_init(&text, directory, sizeof directory);
    if (length == 0) {
        text_char(&text, '.');
    } else {
        text_str(&text, (struct str){work->path, length > 1 ? length - 1 : 1});
    }
    text_init(&text, file, sizeof file);
    text_str(&text, name);
    log_load_start(&work->load, work->dump->env, directory, file, DUMP_FILE_MAX);
}

static void show_loaded(struct dump_work *work)
{
    if (work->load.err != ERR_NONE) {
        dump_error(work, work->path, "cannot be read: ", err_name(work->load.err));
        return;
    }
    dump_print_file(work, dump_base_name(work->path), log_load_bytes(&work->load));
    log_load_free(&work->load);
}

static enum op_result show_run(struct op *op)
{
    struct dump_inner *o = CONTAINER_OF(op, struct dump_inner, op);
    struct dump_work *work = o->work;

    switch ((enum show_step)op->step) {
    case SHOW_START:
        show_heading(work);
        work->name = work->item->names;
        work->path[0] = '\0';
        while (show_next_file(work)) {
            if (!dump_is_log(dump_base_name(work->path))) {
                show_load(work);
                AWAIT_LOAD(o, SHOW_LOADED, &work->load);
                show_loaded(work);
                continue;
            }
            dump_cursor_init_file(&work->cursor, work->dump->env, work->path);
            do {
                dump_cursor_next(&work->cursor);
                AWAIT_CURSOR(o, SHOW_NEXT, &work->cursor);
            } while (show_cursor(work));
            dump_cursor_deinit(&work->cursor);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

const struct op_kind dump_show_kind = {"dump_show", show_steps, COUNT_OF(show_steps), show_run,
                                       dump_inner_finish};
