/* An open log directory: the keeper, which writes the checkpoints when something changed and asks
 * for a sync of what is unsynced for long; and the orderly close with the clean marker (H4,
 * log_dir_flow.c). */
#include "broker/log/log_dir_private.h"

#include "client/base/text.h"

/* ---- keeper --------------------------------------------------------------------------------- */

enum keeper_step {
    KEEPER_START,
    KEEPER_DUE,
    KEEPER_VOUCHED,
    KEEPER_SAVED,
    KEEPER_DISOWNED,
};
static const char *const keeper_steps[] = {"START", "DUE", "VOUCHED", "SAVED", "DISOWNED"};

static void keeper_ask_syncs(struct log_dir *dir)
{
    int64_t now_ns = dir->env->now.mono.ns;

    MAP_FOR_EACH (node, &dir->known) {
        struct log *log = MAP_ENTRY(node, struct log_known, node)->log;

        int64_t age_ms = LOG_SYNC_AGE_MS;

        if (log == NULL || log->unsynced_since_ns == 0) continue;
        if (log->config->flush_ms < age_ms) age_ms = log->config->flush_ms;
        if (log->unsynced_since_ns > now_ns - age_ms * NS_PER_MS) continue;
        if (log->state == LOG_OPEN) log_sync(log);
    }
}

static void keeper_save(struct log_dir_flow *o)
{
    struct log_dir *dir = o->dir;

    o->err = log_dir_print(dir, o->kind, &o->bytes, &o->bytes_size, &o->bytes_used) ? ERR_NONE
                                                                                    : ERR_NO_MEMORY;
    if (o->err != ERR_NONE) return;
    log_save_start(&o->save, dir->env, dir->path, log_dir_checkpoint_names[o->kind],
                   log_dir_flow_bytes(o), true);
}

/* Without a compacted log there is no checkpoint of them. */
static enum log_checkpoint keeper_last(const struct log_dir *dir)
{
    return dir->cleaned_any ? LOG_CHECKPOINT_CLEANER : LOG_CHECKPOINT_HW;
}

static void keeper_failed(struct log_dir *dir, enum err err)
{
    dir->checkpoint_dirty =
        true; /* no space, no memory, no file: tried again at the next turn of the clock */
    if (!log_err_passes(err)) log_dir_fail(dir, err);
}

/* Checkpoints are due: asked for, or something changed and it is time. */
static bool keeper_writes(const struct log_dir_flow *o)
{
    const struct log_dir *dir = o->dir;

    return dir->checkpoint_now ||
           (dir->checkpoint_dirty && dir->env->now.mono.ns >= o->checkpoint_ns);
}

static bool keeper_due(const struct log_dir_flow *o)
{
    return op_expired(&o->op) || o->stop || o->dir->checkpoint_now || !log_dir_online(o->dir) ||
           !log_dir_vouched(o->dir);
}

/* Without the file the next start is one that may have lost something, no more: nobody waits for
 * another try. */
static bool keeper_vouched(struct log_dir_flow *o)
{
    struct log_dir *dir = o->dir;
    bool first = dir->vouched_epoch != o->vouching;

    dir->vouched_epoch = o->vouching;
    dir->vouch_again = log_err_passes(o->save.err);
    op_wake(&dir->state_source);
    return first || o->stop || !log_dir_online(dir);
}

/* What a failed sync dropped is still in the page cache, and never reaches the device (H5): who is
 * killed from here on may have lost something, though its machine goes on. What becomes of it
 * nobody asks. */
static void running_disown(struct log_dir_flow *o)
{
    log_path(o->path, o->dir->path, log_dir_running_name);
    log_io_path(&o->io, o->dir->env->world, DISK_UNLINK, o->path);
}

static enum op_result keeper_run(struct op *op)
{
    struct log_dir_flow *o = CONTAINER_OF(op, struct log_dir_flow, op);
    struct log_dir *dir = o->dir;

    switch ((enum keeper_step)op->step) {
    case KEEPER_START:
        for (;;) {
            op_deadline(op, env_deadline(dir->env, dir->flush_check_ms < LOG_CHECKPOINT_MS
                                                       ? dir->flush_check_ms
                                                       : LOG_CHECKPOINT_MS));
            AWAIT(o, KEEPER_DUE, &o->source, keeper_due(o));
            op_deadline(op, OP_NO_DEADLINE);
            if (dir->state == LOG_DIR_CLOSING) return OP_DONE; /* what it vouches for holds */
            if (!log_dir_online(dir)) break;
            if (!log_dir_vouched(dir) || dir->vouch_again) {
                o->vouching = dir->vouch_epoch;
                log_dir_running_save(o, o->vouching);
                AWAIT_SAVE(o, KEEPER_VOUCHED, &o->save);
                if (keeper_vouched(o)) continue;
            }
            log_file_retry(dir);
            log_mark_retry(dir);
            keeper_ask_syncs(dir);
            if (!keeper_writes(o)) continue;
            o->checkpoint_ns = env_deadline(dir->env, LOG_CHECKPOINT_MS);
            dir->checkpoint_dirty = false;
            dir->checkpoint_now = false;
            dir->checkpoint_busy = true;
            dir->checkpoint_unsure = true;
            o->forgotten = dir->forgotten;
            /* Whoever depends on one of them waits for all: the order counts for nobody but a
             * crash in between, which finds each file as a whole, new or old. */
            for (o->kind = LOG_CHECKPOINT_RECOVERY;;) {
                keeper_save(o);
                AWAIT_SAVE(o, KEEPER_SAVED, &o->save);
                if (o->err == ERR_NONE) o->err = o->save.err;
                if (o->err != ERR_NONE || o->kind == keeper_last(dir)) break;
                o->kind = (enum log_checkpoint)(o->kind + 1);
            }
            dir->checkpoint_busy = false;
            if (o->err != ERR_NONE) {
                keeper_failed(dir, o->err);
                continue;
            }
            dir->checkpoint_unsure = false;
            dir->checkpoints_written++;
            dir->forgotten_saved = o->forgotten;
            op_wake(&dir->checkpoint_source);
        }
        running_disown(o);
        AWAIT_IO(o, KEEPER_DISOWNED, &o->io);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void keeper_finish(struct op *op)
{
    struct log_dir_flow *flow = CONTAINER_OF(op, struct log_dir_flow, op);

    flow->dir->keeper = NULL;
    op_wake(&flow->dir->state_source);
    log_dir_flow_free(flow);
}

static const struct op_kind keeper_kind = {"log_dir_keeper", keeper_steps, COUNT_OF(keeper_steps),
                                           keeper_run, keeper_finish};

void log_dir_keep_start(struct log_dir *dir)
{
    dir->keeper = log_dir_flow_take(dir);
    if (dir->keeper == NULL) {
        log_dir_fail(dir, ERR_NO_MEMORY);
        return;
    }
    op_start(&dir->env->loop, &dir->keeper->op, &keeper_kind, KEEPER_START);
}

uint64_t log_dir_checkpoint(struct log_dir *dir)
{
    dir->checkpoint_now = true;
    dir->checkpoint_dirty = true;
    if (dir->keeper != NULL) op_wake(&dir->keeper->source);
    /* The one being written was made before this request. */
    return dir->checkpoints_written + (dir->checkpoint_busy ? 2 : 1);
}

/* ---- the running file ------------------------------------------------------------------------ */

const char log_dir_running_name[] = ".gregor_running";

/* Starts to write it: AWAIT_SAVE on o->save. Of a machine that cannot tell its boots nothing can be
 * said. */
void log_dir_running_save(struct log_dir_flow *o, int64_t broker_epoch)
{
    struct text out;
    char boot[UUID_TEXT + 1];

    o->save.err = ERR_NONE;
    if (uuid_is_zero(o->dir->env->world->boot) || broker_epoch < 0) return;
    if (!log_dir_flow_room(o, 160)) {
        o->save.err = ERR_NO_MEMORY;
        return;
    }
    uuid_print(o->dir->env->world->boot, boot);
    text_init(&out, (char *)o->bytes, o->bytes_size);
    text_format(&out, "{\"version\":0,\"brokerEpoch\":%D,\"boot\":\"%s\"}", broker_epoch, boot);
    ASSERT(!out.truncated);
    o->bytes_used = text_view(&out).length;
    log_save_start(&o->save, o->dir->env, o->dir->path, log_dir_running_name, log_dir_flow_bytes(o),
                   true);
}

void log_dir_vouch(struct log_dir *dir, int64_t broker_epoch)
{
    dir->vouch_epoch = broker_epoch;
    if (dir->keeper != NULL) op_wake(&dir->keeper->source);
}

/* ---- close ---------------------------------------------------------------------------------- */

enum dir_close_step {
    DIR_CLOSE_START,
    DIR_CLOSE_QUIET,
    DIR_CLOSE_KEPT,
    DIR_CLOSE_SAVED,
    DIR_CLOSE_MARKED,
    DIR_CLOSE_DISOWNED,
    DIR_CLOSE_UNLOCKED,
};
static const char *const dir_close_steps[] = {"START",  "QUIET",    "KEPT",    "SAVED",
                                              "MARKED", "DISOWNED", "UNLOCKED"};

static void close_save(struct log_dir_flow *o)
{
    struct log_dir *dir = o->dir;

    o->err = log_dir_print(dir, o->kind, &o->bytes, &o->bytes_size, &o->bytes_used) ? ERR_NONE
                                                                                    : ERR_NO_MEMORY;
    if (o->err != ERR_NONE) return;
    if (o->kind == LOG_CHECKPOINT_CLEAN)
        o->state_crc = crc32c(dir->env->world->cpu, 0, o->bytes, o->bytes_used);
    log_save_start(&o->save, dir->env, dir->path, log_dir_checkpoint_names[o->kind],
                   log_dir_flow_bytes(o), true);
}

/* Kafka's line with one field more, which Kafka does not look at. */
static void close_mark(struct log_dir_flow *o)
{
    struct text out;

    if (!log_dir_flow_room(o, 160)) {
        o->err = ERR_NO_MEMORY;
        return;
    }
    text_init(&out, (char *)o->bytes, o->bytes_size);
    text_format(&out, "{\"version\":0,\"brokerEpoch\":%D,\"cleanState\":%u}", o->dir->broker_epoch,
                o->state_crc);
    ASSERT(!out.truncated);
    o->bytes_used = text_view(&out).length;
    log_save_start(&o->save, o->dir->env, o->dir->path, ".kafka_cleanshutdown",
                   log_dir_flow_bytes(o), true);
}

static void close_vouch(struct log_dir_flow *o)
{
    if (o->dir->unread) {
        log_dir_running_save(o, o->dir->broker_epoch);
    } else {
        close_mark(o);
    }
}

/* It failed, or may have dropped pages. For want of space the marker is missing and no more: the
 * running file, of the same boot, still says that nothing is lost. */
static bool close_disowns(const struct log_dir_flow *o)
{
    if (o->dir->state != LOG_DIR_CLOSING) return true;
    return o->err != ERR_NONE && !log_err_passes(o->err);
}

static bool close_dir_quiet(const struct log_dir *dir)
{
    return pool_in_use(&dir->files) == 0 && pool_in_use(&dir->flows) == 0 &&
           pool_in_use(&dir->writes) == 0;
}

static enum op_result dir_close_run(struct op *op)
{
    struct log_dir_flow *o = CONTAINER_OF(op, struct log_dir_flow, op);
    struct log_dir *dir = o->dir;

    switch ((enum dir_close_step)op->step) {
    case DIR_CLOSE_START:
        if (dir->keeper != NULL) {
            dir->keeper->stop = true;
            op_wake(&dir->keeper->source);
        }
        AWAIT(o, DIR_CLOSE_KEPT, &dir->state_source, dir->keeper == NULL);
        AWAIT(o, DIR_CLOSE_QUIET, &dir->state_source, close_dir_quiet(dir));
        for (o->kind = LOG_CHECKPOINT_RECOVERY; dir->state == LOG_DIR_CLOSING;) {
            close_save(o);
            AWAIT_SAVE(o, DIR_CLOSE_SAVED, &o->save);
            if (o->err == ERR_NONE) o->err = o->save.err;
            if (o->err != ERR_NONE || o->kind == LOG_CHECKPOINT_CLEAN) break;
            o->kind = (enum log_checkpoint)(o->kind + 1);
        }
        if (o->err == ERR_NONE && dir->state == LOG_DIR_CLOSING) close_vouch(o);
        AWAIT_SAVE(o, DIR_CLOSE_MARKED, &o->save);
        if (o->err == ERR_NONE) o->err = o->save.err;
        if (close_disowns(o)) running_disown(o);
        AWAIT_IO(o, DIR_CLOSE_DISOWNED, &o->io);
        if (dir->lock.handle != 0) log_io_close(&o->io, dir->env->world, dir->lock);
        AWAIT_IO(o, DIR_CLOSE_UNLOCKED, &o->io);
        dir->lock = (struct disk_file){0};
        if (dir->state == LOG_DIR_CLOSING) {
            dir->err = o->err;
            log_dir_set_state(dir, LOG_DIR_CLOSED);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind dir_close_kind = {"log_dir_close", dir_close_steps,
                                              COUNT_OF(dir_close_steps), dir_close_run,
                                              log_dir_flow_finish};

void log_dir_close(struct log_dir *dir)
{
    ASSERT(dir->logs_open == 0 && dir->flow == NULL);
    if (dir->state == LOG_DIR_CLOSED) return;
    if (dir->state == LOG_DIR_ONLINE) log_dir_set_state(dir, LOG_DIR_CLOSING);
    ASSERT(dir->closer != NULL); /* it was opened */
    dir->flow = dir->closer;
    dir->closer = NULL;
    op_start(&dir->env->loop, &dir->flow->op, &dir_close_kind, DIR_CLOSE_START);
}
