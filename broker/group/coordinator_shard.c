/* One partition of __consumer_offsets, from the epoch in which this broker leads it to the end of
 * that epoch: loaded, served, given up. */
#include "broker/group/coordinator.h"

#include "broker/config.h"

enum shard_step {
    SHARD_IDLE,
    SHARD_LEADS,
    SHARD_COMMITTED,
    SHARD_READ,
    SHARD_SERVING,
    SHARD_BACKOFF
};
static const char *const shard_steps[] = {"IDLE", "LEADS",   "COMMITTED",
                                          "READ", "SERVING", "BACKOFF"};

static void trace(const struct coordinator_shard *shard)
{
    TRACE(shard->coordinator->env->world, GROUP_COORDINATOR, shard->index, shard->epoch,
          (int64_t)shard->state, shard->target, (int64_t)shard->groups.count);
}

/* Of the epoch that was begun. */
static bool leads(const struct coordinator_shard *shard)
{
    const struct partition *part = shard->part;

    return !partition_leaving(part) && part->role == PARTITION_LEADER &&
           part->leader_epoch == shard->epoch;
}

static void begin(struct coordinator_shard *shard)
{
    const struct partition *part = shard->part;

    shard->load = ++shard->coordinator->loads;
    shard->epoch = part->leader_epoch;
    shard->state = COORDINATOR_LOADING;
    shard->err = ERR_NONE;
    shard->at = part->log->log_start;
    /* Nobody but us appends here: nothing is under way, unless we gave up in this very epoch. */
    shard->target = part->log->assigned_end;
    trace(shard);
}

static void read_on(struct coordinator_shard *shard)
{
    shard->read.offset = shard->at;
    shard->read.limit = shard->target;
    shard->read.max_bytes = (uint32_t)shard->coordinator->config->offsets_load_buffer_size;
    shard->read.first_whole = true;
    op_source_init(&shard->read.source);
    log_read(shard->part->log, &shard->read);
}

static void take_read(struct coordinator_shard *shard)
{
    struct log_read *read = &shard->read;

    shard->err = read->err;
    for (uint32_t i = 0; shard->err == ERR_NONE && i < read->count; i++)
        shard->err = coordinator_replay(shard, read->slices[i], false);
    if (shard->err == ERR_NONE && read->next_offset <= shard->at) shard->err = ERR_CORRUPT_MESSAGE;
    shard->at = read->next_offset;
    log_read_release(read);
}

static void activate(struct coordinator_shard *shard)
{
    struct instant now = shard->coordinator->env->now;

    shard->state = COORDINATOR_ACTIVE;
    MAP_FOR_EACH_SAFE (node, next, &shard->groups) {
        struct coordinator_group *cg = MAP_ENTRY(node, struct coordinator_group, node);
        struct group_effects effects;

        if (cg->consumer != NULL) {
            consumer_group_loaded(cg->consumer, &shard->coordinator->consumer_config, now);
            coordinator_settle(cg);
            continue;
        }
        group_effects_init(&effects);
        group_loaded(&cg->group, now, &effects);
        coordinator_effects(cg, &effects);
    }
    trace(shard);
}

static void unload(struct coordinator_shard *shard)
{
    struct instant now = shard->coordinator->env->now;

    coordinator_writes_fail(shard);
    MAP_FOR_EACH_SAFE (node, next, &shard->groups) {
        struct coordinator_group *cg = MAP_ENTRY(node, struct coordinator_group, node);
        struct group_effects effects;
        struct list *link;

        group_effects_init(&effects);
        group_close(&cg->group, ERR_NOT_COORDINATOR, now, &effects);
        while ((link = list_pop(&effects.answered)) != NULL)
            op_wake(&LIST_ENTRY(link, struct group_call, link)->source);
        coordinator_group_free(cg);
    }
    shard->state = COORDINATOR_IDLE;
    op_wake(&shard->coordinator->ended_source);
    trace(shard);
}

static void report_failure(const struct coordinator_shard *shard)
{
    TRACE_TEXT(shard->coordinator->env->world, NODE_ERROR,
               STR("a partition of " COORDINATOR_TOPIC " cannot be loaded"), (int64_t)shard->err);
}

static int64_t serving_key(const struct coordinator_shard *shard)
{
    const struct coordinator_write *first;

    if (list_empty(&shard->writes)) return INT64_MAX;
    first = LIST_ENTRY(shard->writes.next, struct coordinator_write, link);
    return first->append.append.last_offset + 1;
}

static enum op_result shard_run(struct op *op)
{
    struct coordinator_shard *o = CONTAINER_OF(op, struct coordinator_shard, op);

    switch ((enum shard_step)op->step) {
    case SHARD_IDLE:
        while (!partition_leaving(o->part)) {
            AWAIT(o, SHARD_LEADS, &o->part->role_source,
                  o->part->role == PARTITION_LEADER || partition_leaving(o->part));
            if (partition_leaving(o->part)) break;
            begin(o);
            AWAIT_KEY(o, SHARD_COMMITTED, &o->part->hw_source, o->target,
                      o->part->high_watermark >= o->target || !leads(o));
            while (leads(o) && o->err == ERR_NONE && o->at < o->target) {
                read_on(o);
                AWAIT(o, SHARD_READ, &o->read.source, o->read.done);
                take_read(o);
            }
            if (leads(o) && o->err == ERR_NONE) {
                activate(o);
                for (;;) {
                    op_deadline(op, coordinator_writes_deadline(o));
                    AWAIT_KEY(o, SHARD_SERVING, &o->part->hw_source, serving_key(o),
                              coordinator_writes_due(o) || !leads(o));
                    if (!leads(o)) break;
                    coordinator_writes_take(o);
                    if (o->err != ERR_NONE) break;
                }
                op_deadline(op, OP_NO_DEADLINE);
            }
            unload(o);
            if (leads(o)) {
                report_failure(o);
                op_deadline(op, env_deadline(o->coordinator->env, COORDINATOR_RETRY_MS));
                AWAIT(o, SHARD_BACKOFF, &o->part->role_source, op_expired(op) || !leads(o));
                op_deadline(op, OP_NO_DEADLINE);
            }
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of a coordinator's shard");
}

static void shard_finish(struct op *op)
{
    coordinator_shard_over(CONTAINER_OF(op, struct coordinator_shard, op));
}

static const struct op_kind shard_kind = {"coordinator", shard_steps, COUNT_OF(shard_steps),
                                          shard_run, shard_finish};

void coordinator_shard_start(struct coordinator_shard *shard)
{
    op_start(&shard->coordinator->env->loop, &shard->op, &shard_kind, SHARD_IDLE);
}
