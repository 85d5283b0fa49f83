/* Directories of partitions that are not assigned here, or belong to another topic of that name:
 * renamed, so that neither their data nor their name stands in the way (replication.md 12). */
#include "broker/log/log_move.h"
#include "broker/replica/manager_internal.h"
#include "client/base/text.h"

#include <string.h>

static void known_forget(struct log_dir *dir, struct str name)
{
    struct log_known *known = log_dir_find(dir, name);

    if (known == NULL) return;
    known->listed = false;
    known->recovery_point = -1;
    known->log_start = 0;
    known->high_watermark = 0; /* of another topic: never to be taken for the next one's */
    known->clean_end = -1;
}

static void stray_complete(struct world_req *req, struct instant now)
{
    struct disk_req *disk = CONTAINER_OF(req, struct disk_req, req);
    struct manager_stray *stray = CONTAINER_OF(disk, struct manager_stray, req);

    (void)now;
    if (req->result == ERR_NONE && !stray->renamed) {
        stray->renamed = true;
        if (stray->kind == MANAGER_STRAY_AWAY) {
            known_forget(stray->dir, str_of(stray->name));
        } else {
            log_move_named(stray->dir, str_of(stray->name), stray->kind == MANAGER_STRAY_TAKE);
        }
        stray->req.op = DISK_SYNC_DIR;
        stray->req.path = stray->dir->path;
        disk_submit(stray->manager->env->world, &stray->req);
        return;
    }
    stray->err = req->result;
    stray->done = true;
    op_wake(&stray->source);
}

struct manager_stray *manager_stray_begin(struct manager *manager, struct log_dir *dir,
                                          struct str topic, int32_t index,
                                          enum manager_stray_kind kind)
{
    struct manager_stray *stray = mem_zalloc(&manager->env->mem, sizeof *stray);
    struct uuid moved = {{0}};
    struct text name;
    struct text from;
    struct text to;

    if (stray == NULL) return NULL;
    text_init(&name, stray->name, sizeof stray->name);
    text_init(&from, stray->from, sizeof stray->from);
    text_init(&to, stray->to, sizeof stray->to);
    text_format(&name, "%S-%d", topic, index);
    text_format(&from, "%s/%s", dir->path, stray->name);
    if (kind != MANAGER_STRAY_AWAY) moved = log_move_id(dir, log_dir_find(dir, text_view(&name)));
    text_str(&to, text_view(&from));
    switch (kind) {
    case MANAGER_STRAY_AWAY:
        text_char(&to, '.');
        text_hex(&to, rng_u64(&manager->rng), 16);
        text_cstr(&to, "-stray");
        break;
    case MANAGER_STRAY_DROP: log_move_name(&to, moved, LOG_MOVE_DELETE); break;
    case MANAGER_STRAY_TAKE: break;
    }
    if (kind != MANAGER_STRAY_AWAY) log_move_name(&from, moved, LOG_MOVE_MOVED);
    if (name.truncated || from.truncated || to.truncated) {
        mem_free(&manager->env->mem, stray, sizeof *stray);
        return NULL;
    }
    op_source_init(&stray->source);
    stray->manager = manager;
    stray->dir = dir;
    stray->kind = (int)kind;
    world_req_init(&stray->req.req, stray_complete);
    stray->req.op = DISK_RENAME;
    stray->req.path = stray->from;
    stray->req.path_to = stray->to;
    disk_submit(manager->env->world, &stray->req);
    return stray;
}

void manager_stray_end(struct manager *manager, struct manager_stray *stray)
{
    ASSERT(stray->done);
    mem_free(&manager->env->mem, stray, sizeof *stray);
}

/* ---- at the start ---------------------------------------------------------------------------- */

enum stray_step { STRAY_STARTED, STRAY_RENAMED };
static const char *const stray_steps[] = {"STARTED", "RENAMED"};

static bool is_stray(const struct manager *manager, const struct log_dir *dir,
                     const struct log_known *known, struct str *topic, int32_t *index)
{
    struct partition *part;

    if (!known->listed || known->log != NULL) return false;
    if (!log_name_parse((struct str){known->name, known->name_length}, topic, index)) return false;
    if (str_equal(*topic, STR("__cluster_metadata"))) return false; /* the quorum's */
    if (manager_find_by_name(manager, *topic, *index, &part) == ERR_NONE)
        return manager_dir(manager, part) != dir;
    return !manager_assigned(manager, *topic, *index); /* there was no memory for it */
}

/* A move that its end overtook, or that came to nothing. It stays while nobody knows whether the
 * directory it came from has the name still. */
static bool is_left(const struct manager *manager, const struct log_known *known, struct str *topic,
                    int32_t *index)
{
    struct partition *part;

    if (!known->moved) return false;
    if (!log_name_parse((struct str){known->name, known->name_length}, topic, index)) return false;
    if (manager_find_by_name(manager, *topic, *index, &part) == ERR_NONE)
        return !part->take && !part->missing;
    return !manager_assigned(manager, *topic, *index);
}

/* The next directory that nobody claims, on its way; false when there is none. Looks from the
 * first again: what was renamed is not listed any more. */
static bool next_stray(struct manager *manager)
{
    for (; manager->stray_dir < manager->dirs_count; manager->stray_dir++) {
        struct log_dir *dir = manager->dirs[manager->stray_dir];
        struct str topic;
        int32_t index;

        if (!log_dir_online(dir)) continue;
        MAP_FOR_EACH (node, &dir->known) {
            const struct log_known *known = MAP_ENTRY(node, struct log_known, node);

            if (is_left(manager, known, &topic, &index)) {
                manager->stray =
                    manager_stray_begin(manager, dir, topic, index, MANAGER_STRAY_DROP);
            } else if (is_stray(manager, dir, known, &topic, &index)) {
                manager->stray =
                    manager_stray_begin(manager, dir, topic, index, MANAGER_STRAY_AWAY);
            } else {
                continue;
            }
            if (manager->stray != NULL) return true;
        }
    }
    return false;
}

static enum op_result stray_run(struct op *op)
{
    struct manager_op *o = CONTAINER_OF(op, struct manager_op, op);
    struct manager *manager = o->manager;

    switch ((enum stray_step)op->step) {
    case STRAY_STARTED:
        while (next_stray(manager)) {
            AWAIT(o, STRAY_RENAMED, &manager->stray->source, manager->stray->done);
            if (manager->stray->err != ERR_NONE) {
                TRACE_TEXT(manager->env->world, NODE_WARNING,
                           STR("a directory without a replica could not be renamed"),
                           (int64_t)manager->stray->err);
                manager->stray_dir++; /* or it would be tried for ever */
            }
            manager_stray_end(manager, manager->stray);
            manager->stray = NULL;
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void stray_finish(struct op *op)
{
    struct manager *manager = CONTAINER_OF(op, struct manager_op, op)->manager;

    manager_opened(manager, NULL);
    manager_check_stopped(manager);
}

static const struct op_kind stray_kind = {"manager.strays", stray_steps, COUNT_OF(stray_steps),
                                          stray_run, stray_finish};

void manager_stray_start(struct manager *manager)
{
    manager->stray_dir = 0;
    manager->strays.manager = manager;
    manager->opening++;
    op_start(&manager->env->loop, &manager->strays.op, &stray_kind, STRAY_STARTED);
}
