/* Compaction of a directory: one op looks every log.cleaner.backoff.ms for the log that needs it
 * most (one past max.compaction.lag.ms, else the greatest dirty ratio), has it cleaned, and looks
 * again at once as long as there is one (storage.md 12.1). In slices, so that many partitions hold
 * nobody up. One log at a time: the map of its keys is the memory that compaction costs. */
#include "broker/replica/manager_internal.h"

enum { CLEAN_SLICE = 200 }; /* logs looked at per turn */

enum clean_step {
    CLEAN_STARTED,
    CLEAN_DUE,
    CLEAN_SLICED,
    CLEAN_CLEANED,
};
static const char *const clean_steps[] = {"STARTED", "DUE", "SLICED", "CLEANED"};

static bool clean_over(const struct manager_clean *o)
{
    return o->manager->stopping || !log_dir_online(o->dir);
}

/* The next partition of this directory, pinned; the present one is let go. */
static void clean_move(struct manager_clean *o, struct partition *next)
{
    while (next != NULL && (manager_dir(o->manager, next) != o->dir || next->log == NULL))
        next = manager_next(o->manager, next);
    if (next != NULL) partition_pin(next);
    if (o->part != NULL) partition_unpin(o->part);
    o->part = next;
}

static void clean_choose(struct manager_clean *o, struct partition *best)
{
    if (best != NULL) partition_pin(best);
    if (o->best != NULL) partition_unpin(o->best);
    o->best = best;
}

static void clean_look(struct manager_clean *o)
{
    struct log_clean_look look;

    log_clean_look(o->part->log, &look);
    if (!look.wanted || partition_leaving(o->part)) return;
    if (o->best != NULL &&
        (o->best_overdue > look.overdue ||
         (o->best_overdue == look.overdue && o->best_ratio >= log_clean_ratio(&look))))
        return;
    clean_choose(o, o->part);
    o->best_overdue = look.overdue;
    o->best_ratio = log_clean_ratio(&look);
}

/* Whether it is worth to look again at once. */
static bool clean_again(struct manager_clean *o)
{
    bool again = o->clean.err == ERR_NONE && o->clean.cleaned_to > o->clean.first_dirty;

    clean_choose(o, NULL);
    return again && !clean_over(o);
}

static bool clean_told(const struct manager_clean *o)
{
    return !o->clean.busy;
}

static enum op_result clean_run(struct op *op)
{
    struct manager_clean *o = CONTAINER_OF(op, struct manager_clean, op);
    struct manager *manager = o->manager;

    switch ((enum clean_step)op->step) {
    case CLEAN_STARTED:
        while (!clean_over(o)) {
            op_deadline(op, env_deadline(manager->env, manager->config->log_cleaner_backoff_ms));
            AWAIT(o, CLEAN_DUE, &o->source, op_expired(op) || manager->stopping);
            do {
                o->seen = 0;
                for (clean_move(o, manager_first(manager)); o->part != NULL;
                     clean_move(o, clean_over(o) ? NULL : manager_next(manager, o->part))) {
                    clean_look(o);
                    if (++o->seen % CLEAN_SLICE == 0) {
                        op_deadline(op, env_deadline(manager->env, 1));
                        AWAIT(o, CLEAN_SLICED, NULL, op_expired(op));
                    }
                }
                op_deadline(op, OP_NO_DEADLINE);
                if (o->best == NULL) break;
                if (!clean_over(o) && !partition_leaving(o->best) && o->best->log->clean == NULL) {
                    log_clean_start(&o->clean, o->best->log,
                                    (uint64_t)manager->config->log_cleaner_dedupe_buffer_size);
                    AWAIT(o, CLEAN_CLEANED, &o->clean.source, clean_told(o));
                } else {
                    o->clean.err = ERR_CANCELED;
                }
            } while (clean_again(o));
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void clean_finish(struct op *op)
{
    manager_check_stopped(CONTAINER_OF(op, struct manager_clean, op)->manager);
}

static const struct op_kind clean_kind = {"manager.clean", clean_steps, COUNT_OF(clean_steps),
                                          clean_run, clean_finish};

void manager_clean_start(struct manager *manager)
{
    if (manager->config->log_cleaner_enable == 0) return;
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        struct manager_clean *clean = &manager->cleans[i];

        clean->manager = manager;
        clean->dir = manager->dirs[i];
        op_source_init(&clean->source);
        op_start(&manager->env->loop, &clean->op, &clean_kind, CLEAN_STARTED);
    }
}

/* A round under way gives up because its log is closed. */
void manager_clean_stop(struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (!op_live(&manager->cleans[i].op)) continue;
        log_clean_stop(&manager->cleans[i].clean);
        op_resume(&manager->cleans[i].op);
    }
}

bool manager_clean_ended(const struct manager *manager)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (op_live(&manager->cleans[i].op)) return false;
    }
    return true;
}
