/* Replicas that move between the log directories of this broker (AlterReplicaLogDirs, KIP-113). One
 * op per directory takes those that are to come to it, one after the other:
 *
 *      QUEUED --> COPYING ------------> LEVEL: the copy ends where the log ended a moment ago
 *         |          |  ^                 |
 *         |          |  +-- cut, begun    | partition_hold(): no role, so no append and no fetch;
 *         |          |      anew          v what was under way is done
 *         |          |                  HELD: the rest is copied, names change (log_move.h)
 *         |          |                    |
 *         v          v                    v the partition is opened in the new directory and takes
 *      another wish, an error,          MOVED  its role again, in the same epoch; then the old one
 *      the replica leaves: the copy           is unlinked
 *      goes, the log stays where it is
 *
 * Until the old directory has lost its name (log->removed) everything that fails leaves the replica
 * where it is; from there on it is in the new directory, or offline. While it is HELD its readers
 * and writers are told that nobody leads here, for as long as some renames and syncs take.
 *
 * The controller is told nothing: it does not record which working directory a replica lies in
 * (assign_dirs.c), and no decision of it depends on that.
 *
 * DIFFERS: Kafka moves as many at once as it has threads (num.replica.alter.log.dirs.threads), with
 * a rate (replica.alter.log.dirs.io.max.bytes.per.second); here it is one per directory, one read
 * and one append at a time. Kafka remembers the wish for a replica that is not here yet; here only
 * REPLICA_NOT_AVAILABLE is told, as there. */
#include "broker/log/log_move.h"
#include "broker/replica/fetcher.h"
#include "broker/replica/manager_internal.h"
#include "client/base/text.h"

#include <string.h>

enum { MOVE_POLL_MS = 1, MOVE_NAME_LEFT = 42 /* .U-future */ };

struct manager_move {
    struct op op;
    struct manager *manager;
    struct log_dir *dir;
    uint32_t index; /* of the directory */
    struct list queue;
    struct op_source source; /* the queue, the partition's state, a stop */
    struct partition *part;  /* pinned */
    struct log *from;
    struct log_copied copied; /* `from` */
    struct log *to;
    struct uuid id; /* of the copy */
    struct log_read read;
    struct log_append append;
    struct log_rename rename;
    uint64_t checkpoint;
    int64_t cleaned;
    int64_t base;
    uint32_t slice;
    enum log_move_step next;
    enum err err;
    bool reading;
    bool near; /* it reached the end that the log had when the read began */
    bool anew;
};

enum move_step {
    MOVE_STARTED,
    MOVE_IDLE,
    MOVE_WHOLE,
    MOVE_FIRST_READ,
    MOVE_OPENED,
    MOVE_CUT,
    MOVE_WAITED,
    MOVE_HELD,
    MOVE_READ,
    MOVE_APPENDED,
    MOVE_COPY_GONE,
};
enum move_swap_step {
    MOVE_SWAP = MOVE_COPY_GONE + 1,
    MOVE_EPOCHS,
    MOVE_CLOSED,
    MOVE_KEPT,
    MOVE_READY,
    MOVE_REMOVED,
    MOVE_NAMED,
    MOVE_TAKEN,
    MOVE_OLD_GONE,
    MOVE_OLD_LEFT,
};
static const char *const move_steps[] = {
    "STARTED", "IDLE",  "WHOLE",    "FIRST_READ", "OPENED", "CUT",      "WAITED",
    "HELD",    "READ",  "APPENDED", "COPY_GONE",  "SWAP",   "EPOCHS",   "CLOSED",
    "KEPT",    "READY", "REMOVED",  "NAMED",      "TAKEN",  "OLD_GONE", "OLD_LEFT"};
_Static_assert(COUNT_OF(move_steps) == MOVE_OLD_LEFT + 1, "one name a step");

static bool move_stops(const struct manager_move *o)
{
    return o->manager->stopping || !log_dir_online(o->dir);
}

static struct str move_name(const struct manager_move *o)
{
    return (struct str){o->from->known->name, o->from->known->name_length};
}

/* ---- wishes ---------------------------------------------------------------------------------- */

static bool wish_add(struct partition *part, uint32_t dir)
{
    struct partition_move *move = mem_zalloc(&part->manager->env->mem, sizeof *move);

    if (move == NULL) return false;
    move->part = part;
    move->wish = dir;
    move->hold = PARTITION_FREE;
    list_init(&move->link);
    part->move = move;
    return true;
}

static void wish_drop(struct partition *part)
{
    list_remove(&part->move->link);
    mem_free(&part->manager->env->mem, part->move, sizeof *part->move);
    part->move = NULL;
}

static void wish_queue(struct partition *part)
{
    struct partition_move *move = part->move;

    move->by = &part->manager->moves[move->wish];
    list_push(&move->by->queue, &move->link);
    op_wake(&move->by->source);
}

static bool wish_queued(const struct partition *part)
{
    return list_linked(&part->move->link);
}

enum err manager_move(struct manager *manager, struct partition *part, uint32_t dir)
{
    ASSERT(dir < manager->dirs_count);
    if (!log_dir_online(manager->dirs[dir])) return ERR_KAFKA_STORAGE_ERROR;
    if (partition_leaving(part)) return ERR_REPLICA_NOT_AVAILABLE;
    if (part->log == NULL || !part->opened) return ERR_REPLICA_NOT_AVAILABLE;
    if (part->role == PARTITION_OFFLINE) return ERR_KAFKA_STORAGE_ERROR;
    if (dir != part->dir &&
        part->log->known->name_length + (uint32_t)MOVE_NAME_LEFT > (uint32_t)LOG_NAME_MAX)
        return ERR_KAFKA_STORAGE_ERROR; /* no directory can have the name of the copy */
    if (part->move == NULL) {
        if (dir == part->dir) return ERR_NONE;
        if (!wish_add(part, dir)) return ERR_NO_MEMORY;
        wish_queue(part);
        return ERR_NONE;
    }
    part->move->wish = dir;
    if (part->move->by->index == dir) return ERR_NONE;
    if (!wish_queued(part)) {
        /* It looks at the wish, unless the names change already. */
        op_wake(&part->move->by->source);
    } else if (dir == part->dir) {
        wish_drop(part);
    } else {
        list_remove(&part->move->link);
        wish_queue(part);
    }
    return ERR_NONE;
}

const struct log *manager_move_copy(const struct partition *part)
{
    if (part->move == NULL || wish_queued(part)) return NULL;
    return part->move->by->to != part->log ? part->move->by->to : NULL;
}

uint32_t manager_move_to(const struct partition *part)
{
    return part->move == NULL ? MANAGER_DIRS_MAX : part->move->by->index;
}

void manager_move_look(struct partition *part)
{
    if (part->move == NULL) return;
    if (partition_leaving(part) && wish_queued(part)) {
        wish_drop(part);
    } else {
        op_wake(&part->move->by->source);
    }
}

/* ---- the copy -------------------------------------------------------------------------------- */

static bool move_off(const struct manager_move *o)
{
    const struct partition *part = o->part;

    return move_stops(o) || partition_leaving(part) || part->role == PARTITION_OFFLINE ||
           part->move->wish != o->index || part->log != o->from;
}

static void move_take(struct manager_move *o)
{
    o->part = LIST_ENTRY(list_pop(&o->queue), struct partition_move, link)->part;
    partition_pin(o->part);
    o->from = o->part->log;
    o->to = NULL;
    o->err = ERR_NONE;
}

/* One batch where the log starts: the copy begins with it. */
static void move_begin(struct manager_move *o)
{
    struct log *from = o->from;

    o->anew = false;
    o->near = false;
    o->cleaned = from->known->cleaned;
    log_copied_begin(&o->copied, from);
    o->id = rng_uuid(&o->manager->rng);
    o->reading = from->log_start < from->log_end;
    o->read = (struct log_read){
        .offset = from->log_start, .limit = from->log_end, .max_bytes = 1, .first_whole = true};
    op_source_init(&o->read.source);
    if (o->reading) log_read(from, &o->read);
}

static bool move_read(const struct manager_move *o)
{
    return !o->reading || o->read.done;
}

static void move_open(struct manager_move *o)
{
    o->err = o->reading ? o->read.err : ERR_NONE;
    o->base = log_move_base(o->from, &o->read);
    if (o->reading) log_read_release(&o->read);
    o->reading = false;
    if (o->err != ERR_NONE || move_off(o)) return;
    o->to = log_move_open(o->dir, o->from, o->id, o->base, manager_log_config(o->manager, o->part));
    if (o->to == NULL) o->err = ERR_NO_MEMORY;
}

static bool move_opened(const struct manager_move *o)
{
    return o->to == NULL || o->to->state != LOG_OPENING;
}

static void move_read_more(struct manager_move *o)
{
    o->near = false;
    o->reading = true;
    log_read(o->from, &o->read);
}

/* False: nothing more to append of this read. */
static bool move_append(struct manager_move *o)
{
    while (o->err == ERR_NONE && o->slice < o->read.count) {
        o->err = log_move_append(o->to, &o->read, o->slice, &o->append);
        /* What the copy was to begin with is gone by now. */
        o->anew = o->err == ERR_OFFSET_OUT_OF_RANGE && o->from->log_start > o->to->log_end;
        if (o->anew) o->err = ERR_NONE;
        if (o->anew) return false;
        o->slice++;
        if (o->err == ERR_NONE && o->append.last_offset >= o->append.base_offset) return true;
    }
    return false;
}

static bool move_appended(const struct manager_move *o)
{
    return log_append_state(o->to, &o->append) != LOG_APPEND_PENDING;
}

static void move_read_done(struct manager_move *o)
{
    o->near = o->err == ERR_NONE && o->read.next_offset >= o->read.limit;
    /* It began elsewhere by now, or was being cut. */
    if (o->read.err == ERR_OFFSET_OUT_OF_RANGE || o->read.err == ERR_NOT_LEADER_OR_FOLLOWER)
        o->read.err = ERR_NONE;
    if (o->err == ERR_NONE) o->err = o->read.err;
    log_read_release(&o->read);
    o->reading = false;
}

/* The rest is copied when nothing comes any more. */
static bool move_hold(struct manager_move *o)
{
    if (o->part->move->hold != PARTITION_FREE || (!o->near && o->to->log_end < o->from->log_end))
        return false;
    partition_hold(o->part);
    return true;
}

static bool move_held(const struct manager_move *o)
{
    return o->part->move->hold == PARTITION_HELD || move_off(o);
}

static void move_say(const struct manager_move *o)
{
    char buffer[2 * LOG_NAME_MAX + 300];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%S-%d stays in its log directory, the move to %s failed: %s",
                o->part->topic_name, o->part->index, o->dir->path, err_name(o->err));
    TRACE_TEXT(o->manager->env->world, NODE_WARNING, text_view(&text), (int64_t)o->err);
}

/* The copy goes. */
static void move_drop(struct manager_move *o)
{
    if (o->to == NULL || o->to == o->part->log) return;
    if (o->to->state == LOG_CLOSING || o->to->state == LOG_CLOSED) return;
    if (o->to->state == LOG_FAILED) {
        log_close(o->to);
    } else {
        log_delete(o->to);
    }
}

static bool move_closed(const struct log *log)
{
    return log->state == LOG_CLOSED && log->flow == NULL;
}

static bool move_dropped(const struct manager_move *o)
{
    return o->to == NULL || o->to == o->part->log || move_closed(o->to);
}

/* The partition goes on, wherever its log is now. */
static void move_let(struct manager_move *o)
{
    struct partition *part = o->part;
    bool again = o->anew || part->move->wish != o->index;

    log_copied_end(&o->copied);
    if (o->to != NULL && o->to != part->log) log_move_free(o->to);
    o->to = NULL;
    if (o->err != ERR_NONE && !partition_leaving(part)) move_say(o);
    partition_free_hold(part);
    again = again && o->err == ERR_NONE && part->move->wish != part->dir;
    if (again && !partition_leaving(part) && part->role != PARTITION_OFFLINE &&
        !o->manager->stopping) {
        wish_queue(part);
    } else {
        wish_drop(part);
    }
    o->part = NULL;
    o->from = NULL;
    partition_unpin(part);
}

/* ---- the names change ------------------------------------------------------------------------ */

static void move_close(struct manager_move *o)
{
    if (!move_off(o) && !log_move_same(o->from, o->to)) o->err = ERR_BAD_STATE;
    if (move_off(o) || o->err != ERR_NONE) return;
    log_close(o->to);
}

static bool move_kept(const struct manager_move *o)
{
    return o->dir->checkpoints_written >= o->checkpoint || !log_dir_online(o->dir);
}

/* Closed in order, or an error. Its lines go into the checkpoints. */
static bool move_keep(struct manager_move *o)
{
    if (o->to->err != ERR_NONE) o->err = o->to->err;
    if (o->err == ERR_NONE && !log_dir_online(o->dir)) o->err = o->dir->err;
    if (o->err == ERR_NONE && !log_move_known(o->from, o->to, o->cleaned)) o->err = ERR_NO_MEMORY;
    if (o->err != ERR_NONE) return false;
    o->checkpoint = log_dir_checkpoint(o->dir);
    return true;
}

static void move_rename(struct manager_move *o, enum log_move_name from, struct uuid from_id,
                        enum log_move_name to, struct uuid to_id)
{
    struct str name = {o->part->log->known->name, o->part->log->known->name_length};

    log_rename_start(&o->rename, o->dir, name, from, from_id, to, to_id);
}

/* The old directory has lost the name, or did not take that. */
static bool move_removed(const struct manager_move *o)
{
    return o->from->removed || o->from->state == LOG_CLOSED || o->from->state == LOG_FAILED;
}

static void move_open_final(struct manager_move *o)
{
    struct partition *part = o->part;
    struct log_open open = {
        .topic = part->topic_name, .partition = part->index, .topic_id = part->topic_id};

    log_move_named(o->dir, move_name(o), true);
    o->to = log_open(o->dir, &open, manager_log_config(o->manager, part));
}

/* The replica is in the new directory: what it had, it has. */
static void move_switch(struct manager_move *o)
{
    struct manager *manager = o->manager;
    struct partition *part = o->part;

    manager_scrub_left(part);
    ASSERT(manager->dir_load[part->dir] > 0);
    manager->dir_load[part->dir]--;
    manager->dir_load[o->index]++;
    part->dir = (uint8_t)o->index;
    part->log = o->to;
    manager->moved++;
    partition_moved(part, o->from);
}

/* Nobody waits in memory that goes. */
static bool move_old_left(const struct manager_move *o)
{
    return op_source_empty(&o->from->end_source) && op_source_empty(&o->from->synced_source) &&
           op_source_empty(&o->from->state_source);
}

static enum op_result move_run(struct op *op);

/* Back to the loop, with the copy in hand; o->err says how it went. */
static enum op_result move_end(struct manager_move *o)
{
    op_deadline(&o->op, OP_NO_DEADLINE);
    move_drop(o);
    op_enter(&o->op, MOVE_COPY_GONE);
    return move_run(&o->op);
}

/* The partition is HELD and the copy has all of it. */
static enum op_result move_swap(struct manager_move *o)
{
    struct op *op = &o->op;

    switch ((enum move_swap_step)op->step) {
    case MOVE_SWAP:
        o->err = log_move_epochs(o->to, o->from);
        while (o->err == ERR_NONE && !log_move_settled(o->to)) {
            op_deadline(op, env_deadline(o->manager->env, MOVE_POLL_MS));
            AWAIT(o, MOVE_EPOCHS, &o->to->state_source, op_expired(op));
        }
        op_deadline(op, OP_NO_DEADLINE);
        if (o->err == ERR_NONE) move_close(o);
        if (o->to->state != LOG_CLOSING && o->to->state != LOG_CLOSED) return move_end(o);
        AWAIT(o, MOVE_CLOSED, &o->to->state_source,
              move_closed(o->to) || o->to->state == LOG_FAILED);
        if (o->to->state != LOG_CLOSED || !move_keep(o)) return move_end(o);
        AWAIT(o, MOVE_KEPT, &o->dir->checkpoint_source, move_kept(o));
        /* From here on it comes to its end, also for a replica that leaves: it is deleted
         * where it is then. */
        if (!log_dir_online(o->dir) || o->from->state != LOG_OPEN) return move_end(o);
        log_move_free(o->to);
        o->to = NULL;
        move_rename(o, LOG_MOVE_FUTURE, o->id, LOG_MOVE_MOVED, o->part->topic_id);
        AWAIT(o, MOVE_READY, &o->rename.source, o->rename.done);
        o->err = o->rename.err;
        if (o->err != ERR_NONE || o->part->log->state != LOG_OPEN) return move_end(o);
        log_delete(o->from);
        AWAIT(o, MOVE_REMOVED, &o->from->state_source, move_removed(o));
        if (!o->from->removed) {
            /* What is on the disk decides at the next start. */
            o->err = o->from->err != ERR_NONE ? o->from->err : ERR_IO;
            partition_go_offline(o->part);
            return move_end(o);
        }
        move_rename(o, LOG_MOVE_MOVED, o->part->topic_id, LOG_MOVE_FINAL, o->part->topic_id);
        AWAIT(o, MOVE_NAMED, &o->rename.source, o->rename.done);
        o->err = o->rename.err;
        if (o->err == ERR_NONE) move_open_final(o);
        if (o->err == ERR_NONE && o->to == NULL) o->err = ERR_NO_MEMORY;
        if (o->err != ERR_NONE) {
            partition_go_offline(o->part);
            return move_end(o);
        }
        AWAIT(o, MOVE_TAKEN, &o->to->state_source, move_opened(o));
        if (o->to->state != LOG_OPEN) o->err = o->to->err;
        move_switch(o);
        partition_free_hold(o->part);
        AWAIT(o, MOVE_OLD_GONE, &o->from->state_source, move_closed(o->from));
        while (!move_old_left(o)) {
            op_deadline(op, env_deadline(o->manager->env, MOVE_POLL_MS));
            AWAIT(o, MOVE_OLD_LEFT, NULL, op_expired(op));
        }
        log_copied_end(&o->copied);
        log_free(o->from);
        manager_name_freed(o->manager);
        return move_end(o);
    }
    IMPOSSIBLE("step");
}

/* ---- the op ---------------------------------------------------------------------------------- */

static bool move_idle_over(const struct manager_move *o)
{
    return move_stops(o) || !list_empty(&o->queue);
}

/* What waited for a directory that has failed stays where it is. */
static void move_forget(struct manager_move *o)
{
    struct list *link;

    while ((link = list_pop(&o->queue)) != NULL)
        wish_drop(LIST_ENTRY(link, struct partition_move, link)->part);
}

static bool move_ready(const struct manager_move *o)
{
    return o->part->move->hold == PARTITION_HELD && o->to->log_end == o->from->log_end;
}

static enum op_result move_run(struct op *op)
{
    struct manager_move *o = CONTAINER_OF(op, struct manager_move, op);

    if (op->step >= MOVE_SWAP) return move_swap(o);
    switch ((enum move_step)op->step) {
    case MOVE_STARTED:
        for (;;) {
            AWAIT(o, MOVE_IDLE, &o->source, move_idle_over(o));
            if (move_stops(o)) break;
            move_take(o);
            AWAIT(o, MOVE_WHOLE, &o->from->state_source, o->from->state != LOG_TRUNCATING);
            move_begin(o);
            AWAIT(o, MOVE_FIRST_READ, &o->read.source, move_read(o));
            move_open(o);
            AWAIT(o, MOVE_OPENED, o->to == NULL ? NULL : &o->to->state_source, move_opened(o));
            if (o->to != NULL && o->to->state != LOG_OPEN) o->err = o->to->err;
            while (o->to != NULL && o->err == ERR_NONE && !move_off(o)) {
                o->next = log_move_next(&o->copied, o->to, &o->read);
                o->anew = o->next == LOG_MOVE_ANEW;
                if (o->anew || o->next == LOG_MOVE_OVER) break;
                if (o->next == LOG_MOVE_CUT) {
                    AWAIT(o, MOVE_CUT, &o->to->state_source, o->to->state != LOG_TRUNCATING);
                    if (o->to->state == LOG_OPEN) o->err = o->to->err;
                    continue;
                }
                if (o->next == LOG_MOVE_WAIT) {
                    AWAIT(o, MOVE_WAITED, &o->from->state_source, o->from->state != LOG_TRUNCATING);
                    continue;
                }
                if (move_ready(o)) {
                    op_enter(op, MOVE_SWAP);
                    return move_swap(o);
                }
                if (move_hold(o)) {
                    AWAIT(o, MOVE_HELD, &o->source, move_held(o));
                    continue;
                }
                ASSERT(o->next == LOG_MOVE_READ);
                o->slice = 0;
                move_read_more(o);
                AWAIT(o, MOVE_READ, &o->read.source, o->read.done);
                while (move_append(o)) {
                    AWAIT_KEY(o, MOVE_APPENDED, &o->to->end_source, o->append.last_offset + 1,
                              move_appended(o));
                    if (log_append_state(o->to, &o->append) == LOG_APPEND_FAILED)
                        o->err = o->to->append_err;
                }
                move_read_done(o);
                if (o->anew) break;
            }
            move_drop(o);
            AWAIT(o, MOVE_COPY_GONE, o->to == NULL ? NULL : &o->to->state_source, move_dropped(o));
            move_let(o);
        }
        move_forget(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void move_finish(struct op *op)
{
    manager_check_stopped(CONTAINER_OF(op, struct manager_move, op)->manager);
}

static const struct op_kind move_kind = {"manager.move", move_steps, COUNT_OF(move_steps), move_run,
                                         move_finish};

enum err manager_move_init(struct manager *manager)
{
    manager->moves = mem_zalloc(&manager->env->mem, MANAGER_DIRS_MAX * sizeof *manager->moves);
    if (manager->moves == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < MANAGER_DIRS_MAX; i++) {
        struct manager_move *move = &manager->moves[i];

        move->manager = manager;
        move->index = i;
        list_init(&move->queue);
        list_init(&move->copied.link);
        op_source_init(&move->source);
        op_source_init(&move->read.source);
    }
    return ERR_NONE;
}

void manager_move_start(struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        manager->moves[i].dir = manager->dirs[i];
        op_start(&manager->env->loop, &manager->moves[i].op, &move_kind, MOVE_STARTED);
    }
}

/* A stop, or a directory that has failed. */
void manager_move_wake(struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++)
        op_wake(&manager->moves[i].source);
}

bool manager_move_ended(const struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (op_live(&manager->moves[i].op)) return false;
    }
    return true;
}

void manager_move_deinit(struct manager *manager)
{
    ASSERT(manager_move_ended(manager));
    mem_free(&manager->env->mem, manager->moves, MANAGER_DIRS_MAX * sizeof *manager->moves);
    manager->moves = NULL;
}
