/* The flow of dump-log: what each path stands for (a file, a partition, a log directory with its
 * partitions), then the mode over all of that. */
#include "broker/log/dump_private.h"

#include <string.h>

/* ---- the command line ------------------------------------------------------------------------ */

static enum err parse_wrong(struct errmsg *error, const char *what, const char *which)
{
    struct text text;

    text_init(&text, error->text, sizeof error->text);
    text_format(&text, "dump-log: %s%s%s", what, which != NULL ? ": " : "",
                which != NULL ? which : "");
    return ERR_BAD_CONFIG;
}

static bool parse_is(const char *argument, const char *option)
{
    return str_equal(str_of(argument), str_of(option));
}

enum err dump_parse(struct dump_request *request, int argument_count, char *const *arguments,
                    struct errmsg *error)
{
    struct dump_request parsed = {.mode = DUMP_SHOW, .to = -1};

    for (int i = 0; i < argument_count; i++) {
        const char *argument = arguments[i];

        if (parse_is(argument, "--digest") || parse_is(argument, "--compare")) {
            if (parsed.mode != DUMP_SHOW)
                return parse_wrong(error, "--digest or --compare, once", NULL);
            parsed.mode = parse_is(argument, "--digest") ? DUMP_DIGEST : DUMP_COMPARE;
        } else if (parse_is(argument, "--to")) {
            if (++i == argument_count)
                return parse_wrong(error, "--to needs HW or an offset", NULL);
            parsed.to_high_watermark = parse_is(arguments[i], "HW");
            if (!parsed.to_high_watermark &&
                (!text_parse_i64(str_of(arguments[i]), &parsed.to) || parsed.to < 0))
                return parse_wrong(error, "--to wants HW or an offset, not", arguments[i]);
        } else if (argument[0] == '-') {
            return parse_wrong(error, "unknown option", argument);
        } else if (parsed.path_count == DUMP_PATHS_MAX) {
            return parse_wrong(error, "too many paths, from", argument);
        } else if (argument[0] == '\0' || str_of(argument).length > LOG_PATH_MAX / 2) {
            return parse_wrong(error, "a path that is empty or too long", NULL);
        } else {
            parsed.paths[parsed.path_count++] = argument;
        }
    }
    if (parsed.path_count == 0) return parse_wrong(error, "a FILE or DIR is wanted", NULL);
    if (parsed.mode == DUMP_COMPARE && parsed.path_count < 2)
        return parse_wrong(error, "--compare wants two directories of partitions, or more", NULL);
    if (parsed.mode == DUMP_SHOW && (parsed.to_high_watermark || parsed.to >= 0))
        return parse_wrong(error, "--to goes with --digest or --compare", NULL);
    *request = parsed;
    return ERR_NONE;
}

/* ---- output ---------------------------------------------------------------------------------- */

struct text *dump_line(struct dump_work *work)
{
    text_init(&work->text, work->line, sizeof work->line);
    return &work->text;
}

void dump_print_line(struct dump_work *work)
{
    if (work->text.truncated) memcpy(work->text.at - 3, "...", 3);
    work->dump->sink->line(work->dump->sink, text_view(&work->text));
}

void dump_error(struct dump_work *work, const char *path, const char *what, const char *detail)
{
    struct text *text = dump_line(work);

    text_format(text, "%s: %s%s", path, what, detail);
    work->dump->sink->error(work->dump->sink, text_view(text));
    work->dump->failed = true;
}

/* ---- names ----------------------------------------------------------------------------------- */

bool dump_is_log(struct str name)
{
    struct str suffix;
    int64_t base;

    if (log_file_parse(name, &base, &suffix) && str_equal(suffix, STR(".log"))) return true;
    /* Snapshots of the metadata are batches too. */
    return name.length > 11 &&
           str_equal((struct str){name.data + name.length - 11, 11}, STR(".checkpoint"));
}

struct str dump_base_name(const char *path)
{
    struct str name = str_of(path);

    while (name.length > 1 && name.data[name.length - 1] == '/')
        name.length--;
    for (uint32_t i = name.length; i > 0; i--)
        if (name.data[i - 1] == '/') return (struct str){name.data + i, name.length - i};
    return name;
}

static bool dump_before(const char *a, const char *b)
{
    struct str left = str_of(a), right = str_of(b);
    uint32_t length = left.length < right.length ? left.length : right.length;
    int order = memcmp(left.data, right.data, length);

    return order != 0 ? order < 0 : left.length < right.length;
}

/* Insertion into a sorted list: names of a directory mostly come in few runs, and thousands are
 * the most a person looks at. */
static void dump_insert(struct dump_name **first, struct dump_name *name)
{
    while (*first != NULL && dump_before((*first)->name, name->name))
        first = &(*first)->next;
    name->next = *first;
    *first = name;
}

/* The listing, sorted. */
static enum err dump_names(struct dump_work *work, uint64_t used, struct dump_name **names)
{
    struct dump_name *first = NULL;

    for (uint64_t at = 0; at < used;) {
        const struct disk_entry *entry = (const struct disk_entry *)(const void *)(work->list + at);
        size_t length = strlen(entry->name) + 1;
        struct dump_name *name = arena_alloc(&work->names, sizeof *name + length);

        if (name == NULL) return ERR_NO_MEMORY;
        name->directory = entry->directory != 0;
        memcpy(name->name, entry->name, length);
        dump_insert(&first, name);
        at += entry->entry_length;
    }
    *names = first;
    return ERR_NONE;
}

/* ---- items ----------------------------------------------------------------------------------- */

static enum err dump_add_item(struct dump_work *work, enum dump_item_kind kind, struct str path,
                              struct dump_name *names)
{
    struct dump_item *item;

    while (path.length > 1 && path.data[path.length - 1] == '/')
        path.length--;
    item = arena_alloc(&work->names, sizeof *item + path.length + 1);
    if (item == NULL) return ERR_NO_MEMORY;
    *item = (struct dump_item){.kind = kind, .names = names};
    memcpy(item->path, path.data, path.length);
    item->path[path.length] = '\0';
    *work->items_end = item;
    work->items_end = &item->next;
    return ERR_NONE;
}

static bool dump_is_partition(const struct dump_name *names)
{
    for (; names != NULL; names = names->next)
        if (!names->directory && (dump_is_log(str_of(names->name)) ||
                                  str_equal(str_of(names->name), STR("partition.metadata"))))
            return true;
    return false;
}

/* A listed directory: itself, and the partitions in it, which are listed when it is their turn. */
static enum err dump_take_directory(struct dump_work *work, const char *path, uint64_t used)
{
    struct dump_name *names;
    enum err err = dump_names(work, used, &names);

    if (err != ERR_NONE) return err;
    if (dump_is_partition(names))
        return dump_add_item(work, DUMP_ITEM_PARTITION, str_of(path), names);
    err = dump_add_item(work, DUMP_ITEM_ROOT, str_of(path), names);
    for (; err == ERR_NONE && names != NULL; names = names->next) {
        struct str topic;
        int32_t partition;

        if (!names->directory || !log_name_parse(str_of(names->name), &topic, &partition)) continue;
        log_path(work->path, path, names->name);
        err = dump_add_item(work, DUMP_ITEM_PARTITION, str_of(work->path), NULL);
    }
    return err;
}

static bool dump_list(struct dump_work *work, const char *path)
{
    struct mem *mem = &work->dump->env->mem;
    uint64_t size = work->list_size == 0 ? 8192 : work->list_size * 2;

    if (size > DUMP_LIST_MAX) return false;
    mem_free(mem, work->list, work->list_size);
    work->list_size = 0;
    work->list = mem_alloc(mem, size);
    if (work->list == NULL) return false;
    work->list_size = size;
    log_io_list(&work->io, work->dump->env->world, path, work->list, size);
    return true;
}

/* ---- the flow -------------------------------------------------------------------------------- */

void dump_inner_start(struct dump_work *work, const struct op_kind *kind)
{
    ASSERT(!work->inner.busy);
    work->inner.work = work;
    work->inner.busy = true;
    op_start(&work->dump->env->loop, &work->inner.op, kind, 0);
}

void dump_inner_finish(struct op *op)
{
    struct dump_inner *inner = CONTAINER_OF(op, struct dump_inner, op);

    inner->busy = false;
    op_wake(&inner->work->source);
}

enum dump_step {
    DUMP_START,
    DUMP_LISTED,
    DUMP_ITEM_LISTED,
    DUMP_ITEM_DONE,
    DUMP_COMPARED,
};
static const char *const dump_steps[] = {"START", "LISTED", "ITEM_LISTED", "ITEM_DONE", "COMPARED"};

static void dump_took(struct dump_work *work, const char *path, enum err err)
{
    if (err != ERR_NONE) dump_error(work, path, "cannot be listed: ", err_name(err));
}

/* What the mode does with the item, if anything. */
static const struct op_kind *dump_kind(struct dump_work *work)
{
    const struct dump_item *item = work->item;

    if (work->dump->request.mode == DUMP_SHOW) return &dump_show_kind;
    if (work->dump->request.mode == DUMP_DIGEST)
        return item->kind == DUMP_ITEM_ROOT ? NULL : &dump_digest_kind;
    if (item->kind == DUMP_ITEM_PARTITION) return &dump_digest_kind;
    if (item->kind == DUMP_ITEM_FILE)
        dump_error(work, item->path, "--compare wants directories of partitions", "");
    return NULL;
}

static enum op_result dump_run(struct op *op)
{
    struct dump_work *o = CONTAINER_OF(op, struct dump_work, op);
    struct dump *dump = o->dump;

    switch ((enum dump_step)op->step) {
    case DUMP_START:
        for (; o->path_at < dump->request.path_count; o->path_at++) {
            do {
                if (!dump_list(o, dump->request.paths[o->path_at])) break;
                AWAIT_IO(o, DUMP_LISTED, &o->io);
            } while (log_io_err(&o->io) == ERR_TOO_LARGE);
            dump_took(o, dump->request.paths[o->path_at],
                      log_io_err(&o->io) == ERR_NONE
                          ? dump_take_directory(o, dump->request.paths[o->path_at], o->io.req.done)
                          : dump_add_item(o, DUMP_ITEM_FILE,
                                          str_of(dump->request.paths[o->path_at]), NULL));
        }
        for (o->item = o->items; o->item != NULL; o->item = o->item->next) {
            while (o->item->kind == DUMP_ITEM_PARTITION && o->item->names == NULL) {
                if (!dump_list(o, o->item->path)) break;
                AWAIT_IO(o, DUMP_ITEM_LISTED, &o->io);
                if (log_io_err(&o->io) == ERR_TOO_LARGE) continue;
                if (log_io_err(&o->io) == ERR_NONE)
                    dump_took(o, o->item->path, dump_names(o, o->io.req.done, &o->item->names));
                break; /* also a partition that was deleted meanwhile */
            }
            if (dump_kind(o) == NULL) continue;
            dump_inner_start(o, dump_kind(o));
            AWAIT_INNER(o, DUMP_ITEM_DONE);
        }
        if (dump->request.mode == DUMP_COMPARE) dump_inner_start(o, &dump_compare_kind);
        AWAIT_INNER(o, DUMP_COMPARED);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void dump_finish(struct op *op)
{
    struct dump_work *work = CONTAINER_OF(op, struct dump_work, op);
    struct dump *dump = work->dump;
    struct mem *mem = &dump->env->mem;

    mem_free(mem, work->list, work->list_size);
    arena_deinit(&work->names);
    arena_deinit(&work->scratch);
    mem_free(mem, work, sizeof *work);
    dump->work = NULL;
    dump->done = true;
    op_wake(&dump->done_source);
}

static const struct op_kind dump_op_kind = {"dump", dump_steps, COUNT_OF(dump_steps), dump_run,
                                            dump_finish};

void dump_start(struct dump *dump, struct env *env, const struct dump_request *request,
                struct dump_sink *sink)
{
    struct dump_work *work = mem_zalloc(&env->mem, sizeof *work);

    *dump = (struct dump){.env = env, .sink = sink, .request = *request, .work = work};
    op_source_init(&dump->done_source);
    if (work == NULL) {
        sink->error(sink, STR("no memory"));
        dump->failed = true;
        dump->done = true;
        return;
    }
    work->dump = dump;
    work->items_end = &work->items;
    work->replicas_end = &work->replicas;
    arena_init(&work->names, &env->mem, DUMP_NAMES_MAX);
    arena_init(&work->scratch, &env->mem, DUMP_FILE_MAX);
    log_io_init(&work->io);
    op_source_init(&work->source);
    op_start(&env->loop, &work->op, &dump_op_kind, DUMP_START);
}
