/* Retention of a directory: one op looks at its logs every log.retention.check.interval.ms, makes
 * the new log starts durable at once for all of them, has the segments dropped, and unlinks what
 * was dropped when its delay is over. In slices, so that many partitions hold nobody up. */
#include "broker/replica/manager_internal.h"

enum { RETAIN_SLICE = 200 }; /* logs looked at per turn */

enum retain_step {
    RETAIN_STARTED,
    RETAIN_DUE,
    RETAIN_SWEPT,
    RETAIN_LOOKED,
    RETAIN_SLICED,
    RETAIN_KEPT,
};
static const char *const retain_steps[] = {"STARTED", "DUE", "SWEPT", "LOOKED", "SLICED", "KEPT"};

static bool retain_over(const struct manager_retain *o)
{
    return o->manager->stopping || !log_dir_online(o->dir);
}

static int64_t retain_next_ns(const struct manager_retain *o)
{
    int64_t sweep_ns = log_sweep_due_ns(o->dir);

    return sweep_ns < o->pass_ns ? sweep_ns : o->pass_ns;
}

static bool retain_due(const struct manager_retain *o)
{
    return op_expired(&o->op) || o->manager->stopping ||
           log_sweep_due_ns(o->dir) < o->deadline_ns; /* there is something to sweep earlier */
}

/* The next partition of this directory, pinned; the present one is let go. */
static void retain_move(struct manager_retain *o, struct partition *next)
{
    while (next != NULL && (manager_dir(o->manager, next) != o->dir || next->log == NULL))
        next = manager_next(o->manager, next);
    if (next != NULL) partition_pin(next);
    if (o->part != NULL) partition_unpin(o->part);
    o->part = next;
}

static bool retain_looked(const struct manager_retain *o)
{
    return log_retain_ready(o->part->log) || retain_over(o);
}

/* Each log at most this often in one pass: a log that is written all the time gets on too. */
static bool retain_look(struct manager_retain *o)
{
    struct log *log = o->part->log;
    /* One that has moved is the other directory's: the log start is durable there. One that is HELD
     * has told what it has, and the copy is closed. */
    bool here =
        manager_dir(o->manager, o->part) == o->dir && partition_held(o->part) != PARTITION_HELD;
    bool waits =
        here && o->looks < RETAIN_SLICE && log_retain_look(log, &o->rolled) == LOG_RETAIN_WAITS;

    o->looks++;
    if (here && log_retain_pending(log)) o->pending = true;
    return waits;
}

static void retain_drop(struct manager_retain *o)
{
    for (struct partition *part = manager_first(o->manager); part != NULL;
         part = manager_next(o->manager, part)) {
        if (part->log != NULL && manager_dir(o->manager, part) == o->dir)
            log_retain_drop(part->log);
    }
}

static void retain_begin(struct manager_retain *o)
{
    o->pass_ns = env_deadline(o->manager->env, o->manager->config->log_retention_check_interval_ms);
    o->pending = false;
    o->seen = 0;
    retain_move(o, manager_first(o->manager));
}

static enum op_result retain_run(struct op *op)
{
    struct manager_retain *o = CONTAINER_OF(op, struct manager_retain, op);

    switch ((enum retain_step)op->step) {
    case RETAIN_STARTED:
        while (!retain_over(o)) {
            o->deadline_ns = retain_next_ns(o);
            op_deadline(op, o->deadline_ns);
            AWAIT(o, RETAIN_DUE, &o->dir->trash_source, retain_due(o));
            op_deadline(op, OP_NO_DEADLINE);
            while (!retain_over(o) && log_sweep_next(&o->sweep, o->dir)) {
                AWAIT(o, RETAIN_SWEPT, &o->sweep.source, !o->sweep.busy);
            }
            if (retain_over(o) || o->manager->env->now.mono.ns < o->pass_ns) continue;
            for (retain_begin(o); o->part != NULL;
                 retain_move(o, manager_next(o->manager, o->part))) {
                o->looks = 0;
                o->rolled = false;
                while (!retain_over(o) && retain_look(o)) {
                    AWAIT(o, RETAIN_LOOKED, &o->part->log->state_source, retain_looked(o));
                }
                if (++o->seen % RETAIN_SLICE == 0) {
                    op_deadline(op, env_deadline(o->manager->env, 1));
                    AWAIT(o, RETAIN_SLICED, NULL, op_expired(op));
                    op_deadline(op, OP_NO_DEADLINE);
                }
            }
            if (!o->pending || retain_over(o)) continue;
            o->checkpoint = log_dir_checkpoint(o->dir);
            AWAIT(o, RETAIN_KEPT, &o->dir->checkpoint_source,
                  o->dir->checkpoints_written >= o->checkpoint || retain_over(o));
            if (!retain_over(o)) retain_drop(o);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void retain_finish(struct op *op)
{
    manager_check_stopped(CONTAINER_OF(op, struct manager_retain, op)->manager);
}

static const struct op_kind retain_kind = {"manager.retain", retain_steps, COUNT_OF(retain_steps),
                                           retain_run, retain_finish};

void manager_retain_start(struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        struct manager_retain *retain = &manager->retains[i];

        retain->manager = manager;
        retain->dir = manager->dirs[i];
        retain->pass_ns =
            env_deadline(manager->env, manager->config->log_retention_check_interval_ms);
        log_sweep_init(&retain->sweep);
        op_start(&manager->env->loop, &retain->op, &retain_kind, RETAIN_STARTED);
    }
}

void manager_retain_stop(struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (op_live(&manager->retains[i].op)) op_resume(&manager->retains[i].op);
    }
}

bool manager_retain_ended(const struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (op_live(&manager->retains[i].op)) return false;
    }
    return true;
}
