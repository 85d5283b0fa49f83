/* The life of one partition's log, as an op: opened (another topic's directory of that name moves
 * away first), watched while it is appended to and cut, closed or deleted, and given back when no
 * pin is left. Whenever the log is quiet, the role that the metadata wants is taken on
 * (partition_settle). */
#include "broker/replica/fetcher.h"
#include "broker/replica/manager_internal.h"
#include "broker/replica/partition.h"
#include "client/base/text.h"

enum { PARTITION_RETRY_MS = 100 };

enum partition_step {
    PARTITION_STARTED,
    PARTITION_NAME_FREE,
    PARTITION_OPENED,
    PARTITION_STRAY_CLOSED,
    PARTITION_STRAYED,
    PARTITION_TAKEN,
    PARTITION_WORK,
    PARTITION_LET_GO,
    PARTITION_EMPTIED,
    PARTITION_APPENDED,
    PARTITION_CUT,
    PARTITION_WRITTEN,
    PARTITION_CLOSED,
    PARTITION_UNPINNED,
};

static const char *const partition_steps[] = {
    "STARTED", "NAME_FREE", "OPENED",   "STRAY_CLOSED", "STRAYED", "TAKEN",  "WORK",
    "LET_GO",  "EMPTIED",   "APPENDED", "CUT",          "WRITTEN", "CLOSED", "UNPINNED"};

static bool try_open(struct partition *part)
{
    struct manager *manager = part->manager;
    struct log_open open = {.topic = part->topic_name,
                            .partition = part->index,
                            .topic_id = part->topic_id,
                            .create = true};

    if (part->missing || !log_dir_online(manager_dir(manager, part))) {
        partition_go_offline(part);
        return false;
    }
    part->seen_closes = manager->closes;
    /* A topic of the same name that is being deleted still has the directory. */
    if (!manager_name_free(manager, part)) return false;
    part->log = log_open(manager_dir(manager, part), &open, manager_log_config(manager, part));
    return part->log != NULL;
}

/* Durable mode: what is not synced was written before this process, or before a cut. */
static void see_synced(struct partition *part)
{
    part->seen_synced = part->log->synced_end;
    if (log_owes_sync(part->log)) log_sync(part->log);
}

/* Eligible, and not in sync: nobody, or another one, leads. */
static bool may_be_elected(const struct partition *part)
{
    const struct isr *isr = &part->isr;

    return part->eligible && (isr->committed >> isr->self & 1) == 0;
}

/* A kill leaves the beginning of a batch that nobody was told of. One that was whole, and whose
 * length rotted with more of it, looks the same (DF8): who is eligible for all he had, and can be
 * done without, does not insist. While nobody is in sync he cannot, but the doubt stays: another
 * one may be elected first, and he after that one. */
static void doubt(struct partition *part)
{
    part->doubtful = part->log->cut_bytes > 0 && part->log->dir->previous_broker_epoch >= 0 &&
                     may_be_elected(part);
    if (partition_doubted(part)) manager_lost_look(part->manager);
}

static void log_opened(struct partition *part)
{
    struct log *log = part->log;

    part->opened = true;
    if (log->state == LOG_FAILED) {
        partition_go_offline(part);
    } else {
        part->generation = log->generation;
        part->seen_end = log->log_end;
        log->owner = &part->log_owner;
        see_synced(part);
        partition_begin_high_watermark(part);
        doubt(part);
    }
}

/* Whatever moves something of the log, everybody who waits for that looks again. Not readers for
 * what was appended: they are told when the replica counts it (take_appends). */
static void log_changed(struct log_owner *owner, enum log_change change)
{
    struct partition *part = CONTAINER_OF(owner, struct partition, log_owner);

    switch (change) {
    case LOG_CHANGED_STATE: partition_wake_readers(part); break;
    case LOG_CHANGED_START: partition_note_start(part); break;
    case LOG_CHANGED_APPENDS:
    case LOG_CHANGED_SYNCED: break;
    }
    op_wake(&part->work);
}

static bool log_moved(const struct partition *part)
{
    const struct log *log = part->log;

    return log->log_end != part->seen_end || log->generation != part->generation ||
           log->state != LOG_OPEN;
}

static bool appending(const struct partition *part)
{
    return part->log->state == LOG_OPEN && part->log->assigned_end != part->log->log_end;
}

/* ---- held for a move ------------------------------------------------------------------------- */

void partition_hold(struct partition *part)
{
    ASSERT(part->move->hold == PARTITION_FREE);
    part->move->hold = PARTITION_HOLDING;
    op_wake(&part->work);
}

void partition_free_hold(struct partition *part)
{
    part->move->hold = PARTITION_FREE;
    op_wake(&part->work);
}

/* A leader's proposal that the controller may have taken counts until it is decided (R13), and a
 * new beginning in the same epoch would forget it. */
static bool hold_due(const struct partition *part)
{
    if (partition_held(part) != PARTITION_HOLDING) return false;
    switch (part->role) {
    case PARTITION_LEADER: return part->isr.state == ISR_COMMITTED;
    case PARTITION_FOLLOWER: return true;
    case PARTITION_NONE: return partition_quiet(part);
    case PARTITION_OFFLINE: return false;
    }
    IMPOSSIBLE("role");
}

static void hold_on(struct partition *part)
{
    if (part->role == PARTITION_NONE) {
        part->move->hold = PARTITION_HELD;
        manager_move_look(part);
    } else {
        partition_step_down(part);
    }
}

void partition_moved(struct partition *part, struct log *old)
{
    struct log *log = part->log;

    old->owner = NULL;
    part->damaged = part->lost_told = false;
    part->held_cut = -1;
    if (log->state != LOG_OPEN) {
        partition_go_offline(part);
        return;
    }
    TRACE(part->manager->env->world, LOG_MOVED, (int64_t)part->topic, part->index, log->log_start,
          log->log_end, part->high_watermark, log->epochs.count);
    part->generation = log->generation;
    part->seen_end = log->log_end;
    log->owner = &part->log_owner;
    see_synced(part);
    log_note_high_watermark(log, part->high_watermark);
    partition_note_start(part);
}

static bool has_work(const struct partition *part)
{
    if (partition_leaving(part)) return true;
    if (part->role == PARTITION_OFFLINE) return partition_forfeits(part);
    if (hold_due(part)) return true;
    if (part->fetching == PARTITION_BUSY && partition_quiet(part)) return true;
    if (part->log->config->durable && part->seen_synced != part->log->synced_end) return true;
    return log_moved(part) || appending(part) || partition_may_settle(part);
}

/* Appends completed or failed. */
static void take_appends(struct partition *part)
{
    struct log *log = part->log;
    bool failed = log->generation != part->generation;

    part->generation = log->generation;
    part->seen_end = log->log_end;
    partition_note_end(part);
    see_synced(part);
    if (part->role == PARTITION_OFFLINE) return;
    if (log->state == LOG_FAILED || !log_dir_online(log->dir)) {
        partition_go_offline(part);
        return;
    }
    if (failed) op_wake(&part->hw_source);
    partition_wake_readers(part);
    partition_advance(part);
    if (part->fetching == PARTITION_BUSY && partition_quiet(part)) fetcher_applied(part, failed);
}

/* Nothing was cut. Damage is mended first (manager_scrub.c): the leader has what is below the end
 * that it named. For want of memory it is tried again. */
static void cut_refused(struct partition *part)
{
    const struct log *log = part->log;

    if (log->err == ERR_DAMAGED) {
        part->held_cut = log->wanted_to;
        part->damaged = true;
        manager_lost_look(part->manager);
    }
    if (part->fetching == PARTITION_BUSY && partition_quiet(part)) fetcher_applied(part, true);
}

/* A truncation or reset ended. */
static void take_cut(struct partition *part)
{
    struct log *log = part->log;

    part->generation = log->generation;
    part->seen_end = log->log_end;
    see_synced(part);
    if (part->role == PARTITION_OFFLINE) return;
    if (log->state == LOG_FAILED) {
        partition_go_offline(part);
        return;
    }
    if (log->err != ERR_NONE) {
        cut_refused(part);
        return;
    }
    part->held_cut = -1;
    partition_clamp_high_watermark(part, log->log_end); /* a batch that straddled went whole */
    partition_wake_readers(part);
    if (part->fetching == PARTITION_BUSY && partition_quiet(part)) fetcher_applied(part, false);
}

static void close_log(struct partition *part)
{
    switch (part->log->state) {
    case LOG_OPEN:
        if (part->removing) {
            log_delete(part->log);
        } else {
            log_close(part->log);
        }
        break;
    case LOG_OPENING:
    case LOG_TRUNCATING: IMPOSSIBLE("waited for");
    case LOG_FAILED: log_close(part->log); break;
    case LOG_CLOSING:
    case LOG_CLOSED: break;
    }
}

static bool closed(const struct partition *part)
{
    return part->log->state == LOG_CLOSED;
}

/* The directory holds another topic of this name, deleted while this broker was down. */
static bool is_stray(const struct partition *part)
{
    return part->log->state == LOG_FAILED && part->log->err == ERR_INCONSISTENT_TOPIC_ID;
}

static bool stray_over(const struct partition *part)
{
    return part->stray == NULL || part->stray->done;
}

static void stray_begin(struct partition *part)
{
    log_free(part->log);
    part->log = NULL;
    part->stray = manager_stray_begin(part->manager, manager_dir(part->manager, part),
                                      part->topic_name, part->index, MANAGER_STRAY_AWAY);
    if (part->stray == NULL) partition_go_offline(part);
}

/* It died on its way from one directory to another: what is there is whole (log_move.h). */
static void take_begin(struct partition *part)
{
    part->stray = manager_stray_begin(part->manager, manager_dir(part->manager, part),
                                      part->topic_name, part->index, MANAGER_STRAY_TAKE);
    if (part->stray == NULL) partition_go_offline(part);
}

static void stray_end(struct partition *part)
{
    if (part->stray == NULL) return;
    if (part->stray->err != ERR_NONE) partition_go_offline(part);
    manager_stray_end(part->manager, part->stray);
    part->stray = NULL;
}

/* The damage was told (manager_lost.c), and the metadata does without this replica: what it has
 * is worth nothing to it any more, and its leader has all of it (storage.md DF7, S30). */
static void refetch(struct partition *part)
{
    char buffer[LOG_NAME_MAX + 160];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text,
                "%S-%d is damaged below what was promised: it is emptied and fetched again from "
                "node %d, which leads it",
                part->topic_name, part->index, part->leader);
    TRACE_TEXT(part->manager->env->world, NODE_WARNING, text_view(&text), ERR_DAMAGED);
    log_reset(part->log, 0);
}

static void refetched(struct partition *part)
{
    if (part->log->state != LOG_OPEN || partition_leaving(part)) return;
    log_opened(part);
    partition_begins_anew(part);
}

static bool opening(const struct partition *part)
{
    return !part->opened && !partition_leaving(part) && part->role != PARTITION_OFFLINE;
}

static enum op_result partition_run(struct op *op)
{
    struct partition *o = CONTAINER_OF(op, struct partition, op);

    switch ((enum partition_step)op->step) {
    case PARTITION_STARTED:
        if (o->take) take_begin(o);
        AWAIT(o, PARTITION_TAKEN, o->stray == NULL ? NULL : &o->stray->source, stray_over(o));
        stray_end(o);
        while (opening(o)) {
            if (!try_open(o)) {
                if (o->role == PARTITION_OFFLINE) break;
                op_deadline(op, env_deadline(o->manager->env, PARTITION_RETRY_MS));
                AWAIT(o, PARTITION_NAME_FREE, &o->manager->closed_source,
                      op_expired(op) || partition_leaving(o) ||
                          o->seen_closes != o->manager->closes);
                op_deadline(op, OP_NO_DEADLINE);
                continue;
            }
            AWAIT(o, PARTITION_OPENED, &o->log->state_source, o->log->state != LOG_OPENING);
            if (is_stray(o)) {
                close_log(o);
                AWAIT(o, PARTITION_STRAY_CLOSED, &o->log->state_source, closed(o));
                stray_begin(o);
                AWAIT(o, PARTITION_STRAYED, &o->stray->source, stray_over(o));
                stray_end(o);
            } else {
                log_opened(o);
            }
        }
        manager_opened(o->manager, o);
        if (partition_may_settle(o)) partition_settle(o);
        while (!partition_leaving(o)) {
            AWAIT(o, PARTITION_WORK, &o->work, has_work(o));
            if (partition_leaving(o)) break;
            if (hold_due(o)) {
                hold_on(o);
                if (partition_held(o) != PARTITION_HELD) continue;
                AWAIT(o, PARTITION_LET_GO, &o->work, partition_held(o) == PARTITION_FREE);
                if (partition_may_settle(o)) partition_settle(o);
                continue;
            }
            if (partition_forfeits(o)) {
                refetch(o);
                AWAIT(o, PARTITION_EMPTIED, &o->log->state_source, o->log->state != LOG_TRUNCATING);
                refetched(o);
                if (partition_may_settle(o)) partition_settle(o);
                continue;
            }
            if (appending(o)) {
                AWAIT_KEY(o, PARTITION_APPENDED, &o->log->end_source, o->seen_end + 1,
                          log_moved(o));
            }
            if (o->log->state == LOG_TRUNCATING) {
                AWAIT(o, PARTITION_CUT, &o->log->state_source, o->log->state != LOG_TRUNCATING);
                take_cut(o);
            } else {
                take_appends(o);
            }
            if (partition_may_settle(o)) partition_settle(o);
        }
        while (o->log != NULL && o->log->state == LOG_TRUNCATING) {
            AWAIT(o, PARTITION_WRITTEN, &o->log->state_source, o->log->state != LOG_TRUNCATING);
        }
        if (o->log != NULL) {
            close_log(o);
            AWAIT(o, PARTITION_CLOSED, &o->log->state_source, closed(o));
            manager_name_freed(o->manager);
        }
        AWAIT(o, PARTITION_UNPINNED, &o->work, o->pins == 0);
        if (o->log != NULL) log_free(o->log);
        o->log = NULL;
        manager_name_freed(o->manager);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void partition_finish(struct op *op)
{
    struct partition *part = CONTAINER_OF(op, struct partition, op);

    manager_forget(part);
}

static const struct op_kind partition_kind = {
    "partition", partition_steps, COUNT_OF(partition_steps), partition_run, partition_finish};

void partition_start(struct partition *part)
{
    part->log_owner.changed = log_changed;
    op_start(&part->manager->env->loop, &part->op, &partition_kind, PARTITION_STARTED);
}
