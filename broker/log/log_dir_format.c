/* The identity of a log directory: meta.properties, written by format, checked by every open.
 *
 * A format that was interrupted leaves some directories with the file and some without. It is
 * finished by formatting once more with `keeps`: what has the file already for this node of this
 * cluster stays, and is synced, for whoever renamed it may have died before. */
#include "broker/log/log_dir_private.h"

#include "client/base/text.h"

#include <string.h>

const char *log_dir_why(enum err err)
{
    return err_text(err)[0] != '\0' ? err_text(err) : err_name(err);
}

void log_dir_message(struct log_dir *dir, enum err err, const char *what, const char *detail)
{
    struct text out;

    dir->err = err;
    text_init(&out, dir->message.text, sizeof dir->message.text);
    text_format(&out, "%s: %s%s", dir->path, what, detail);
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool meta_value(struct str line, struct str key, struct str *value)
{
    if (line.length <= key.length || line.data[key.length] != '=') return false;
    if (memcmp(line.data, key.data, key.length) != 0) return false;
    *value = (struct str){line.data + key.length + 1, line.length - key.length - 1};
    if (value->length > 0 && value->data[value->length - 1] == '\r') value->length--;
    return true;
}

/* Java properties, the few lines of them that there are. */
static bool meta_parse(struct bytes file, struct log_dir_meta *meta)
{
    const char *at = (const char *)file.data;
    const char *end = at + file.length;
    bool version = false, cluster = false, node = false;

    *meta = (struct log_dir_meta){.node_id = -1};
    while (at != end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct str line = {at, (uint32_t)((newline == NULL ? end : newline) - at)};
        struct str value;
        int64_t number;
        struct text out;

        at = newline == NULL ? end : newline + 1;
        if (meta_value(line, STR("version"), &value)) {
            version = str_equal(value, STR("0")) || str_equal(value, STR("1"));
        } else if (meta_value(line, STR("cluster.id"), &value)) {
            text_init(&out, meta->cluster_id, sizeof meta->cluster_id);
            text_str(&out, value);
            cluster = !out.truncated && value.length > 0;
        } else if (meta_value(line, STR("node.id"), &value) ||
                   meta_value(line, STR("broker.id"), &value)) {
            node = text_parse_i64(value, &number) && number >= 0 && number <= INT32_MAX;
            if (node) meta->node_id = (int32_t)number;
        } else if (meta_value(line, STR("directory.id"), &value)) {
            if (!uuid_parse(value, &meta->directory_id)) return false;
        }
    }
    return version && cluster && node;
}

bool log_dir_check_meta(struct log_dir_flow *o)
{
    struct log_dir *dir = o->dir;
    struct log_dir_meta found;
    struct text out;

    if (o->load.err == ERR_NOT_FOUND) {
        log_dir_message(dir, ERR_NOT_FOUND,
                        "is not formatted (no meta.properties); run gregor-broker format", "");
        return false;
    }
    if (o->load.err != ERR_NONE) {
        log_dir_message(dir, o->load.err,
                        "meta.properties is unreadable: ", log_dir_why(o->load.err));
        return false;
    }
    if (!meta_parse(log_load_bytes(&o->load), &found)) {
        log_dir_message(dir, ERR_DAMAGED, "meta.properties is not understood", "");
        return false;
    }
    text_init(&out, dir->message.text, sizeof dir->message.text);
    if (o->meta.cluster_id[0] != '\0' &&
        !str_equal(str_of(found.cluster_id), str_of(o->meta.cluster_id))) {
        dir->err = ERR_INCONSISTENT_CLUSTER_ID;
        text_format(&out, "%s: belongs to cluster %s, this node is of cluster %s", dir->path,
                    found.cluster_id, o->meta.cluster_id);
        return false;
    }
    if (found.node_id != o->meta.node_id) {
        dir->err = ERR_BAD_CONFIG;
        text_format(&out, "%s: belongs to node %d, this is node %d", dir->path, found.node_id,
                    o->meta.node_id);
        return false;
    }
    dir->meta = found;
    return true;
}

/* ---- format --------------------------------------------------------------------------------- */

enum format_step {
    FORMAT_START,
    FORMAT_MADE,
    FORMAT_LOOKED,
    FORMAT_SAVED,
    FORMAT_KEPT,
    FORMAT_PARENT_SYNCED,
};
static const char *const format_steps[] = {"START", "MADE", "LOOKED",
                                           "SAVED", "KEPT", "PARENT_SYNCED"};

static bool format_print(struct log_dir_flow *o)
{
    struct text out;

    if (!log_dir_flow_room(o, 512)) return false;
    text_init(&out, (char *)o->bytes, o->bytes_size);
    text_format(&out, "version=1\nnode.id=%d\ncluster.id=%s\ndirectory.id=", o->meta.node_id,
                o->meta.cluster_id);
    text_uuid(&out, o->meta.directory_id);
    text_char(&out, '\n');
    ASSERT(!out.truncated);
    o->bytes_used = text_view(&out).length;
    return true;
}

static void format_parent(struct log_dir_flow *o)
{
    struct text out;
    size_t length = strlen(o->dir->path);

    while (length > 0 && o->dir->path[length - 1] != '/')
        length--;
    text_init(&out, o->path, sizeof o->path);
    if (length == 0) {
        text_cstr(&out, ".");
    } else {
        text_str(&out, (struct str){o->dir->path, length == 1 ? 1 : (uint32_t)length - 1});
    }
}

/* What has a meta.properties stays, or is refused. */
static bool format_keeps(struct log_dir_flow *o)
{
    if (o->keeps) return log_dir_check_meta(o);
    log_dir_message(o->dir, o->load.err == ERR_NONE ? ERR_EXISTS : o->load.err,
                    "is formatted already (meta.properties)", "");
    return false;
}

static enum op_result format_run(struct op *op)
{
    struct log_dir_flow *o = CONTAINER_OF(op, struct log_dir_flow, op);
    struct log_dir *dir = o->dir;
    struct world *world = dir->env->world;

    switch ((enum format_step)op->step) {
    case FORMAT_START:
        log_io_path(&o->io, world, DISK_MKDIR, dir->path);
        AWAIT_IO(o, FORMAT_MADE, &o->io);
        if (log_io_err(&o->io) != ERR_NONE && log_io_err(&o->io) != ERR_EXISTS) {
            log_dir_message(dir, log_io_err(&o->io),
                            "cannot be made: ", log_dir_why(log_io_err(&o->io)));
            return OP_DONE;
        }
        log_load_start(&o->load, dir->env, dir->path, "meta.properties", 65536);
        AWAIT_LOAD(o, FORMAT_LOOKED, &o->load);
        if (o->load.err != ERR_NOT_FOUND) {
            if (!format_keeps(o)) return OP_DONE;
            log_io_path(&o->io, world, DISK_SYNC_DIR, dir->path);
            AWAIT_IO(o, FORMAT_KEPT, &o->io);
            o->err = log_io_err(&o->io);
        } else {
            if (!format_print(o)) {
                log_dir_message(dir, ERR_NO_MEMORY, "no memory", "");
                return OP_DONE;
            }
            log_save_start(&o->save, dir->env, dir->path, "meta.properties", log_dir_flow_bytes(o),
                           true);
            AWAIT_SAVE(o, FORMAT_SAVED, &o->save);
            o->err = o->save.err;
        }
        if (o->err == ERR_NONE) {
            format_parent(o);
            log_io_path(&o->io, world, DISK_SYNC_DIR, o->path);
        }
        AWAIT_IO(o, FORMAT_PARENT_SYNCED, &o->io);
        if (o->err == ERR_NONE) o->err = log_io_err(&o->io);
        if (o->err != ERR_NONE)
            log_dir_message(dir, o->err, "cannot be written: ", log_dir_why(o->err));
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind format_kind = {"log_dir_format", format_steps, COUNT_OF(format_steps),
                                           format_run, log_dir_flow_finish};

void log_dir_format(struct log_dir *dir, const struct log_dir_meta *meta, bool keeps)
{
    ASSERT(dir->state == LOG_DIR_CLOSED && dir->flow == NULL);
    dir->err = ERR_NONE;
    dir->flow = log_dir_flow_take(dir);
    if (dir->flow == NULL) {
        log_dir_message(dir, ERR_NO_MEMORY, "no memory", "");
        return;
    }
    dir->flow->meta = *meta;
    dir->flow->keeps = keeps;
    op_start(&dir->env->loop, &dir->flow->op, &format_kind, FORMAT_START);
}
