/* Members of the classic protocol in a group of KIP-848: their requests on the way to records, and
 * the answers that wait for these (consumer_group_classic.c has the rules). */
#include "broker/group/coordinator.h"

static void answer(struct group_call *call, enum err err)
{
    call->done = true;
    call->err = err;
    if (err != ERR_NONE) {
        call->generation = -1;
        call->protocol_type = STR_NULL;
        call->protocol_name = STR_NULL;
    }
    op_wake(&call->source);
}

/* A member that was let in has to fetch its assignment in its rebalance timeout. */
static void joined(struct coordinator_group *cg, struct group_call *call, enum err err)
{
    struct consumer_group_member *member = err == ERR_NONE && cg->consumer != NULL
                                               ? consumer_group_find(cg->consumer, call->member_id)
                                               : NULL;

    if (member != NULL) {
        struct instant now = cg->shard->coordinator->env->now;

        member->classic_ns = mono_add_ms(now.mono, member->metadata.rebalance_timeout_ms).ns;
        consumer_group_restart_session(member, &cg->shard->coordinator->consumer_config, now);
        if (!cg->busy) coordinator_arm(cg);
    }
    answer(call, err);
}

/* The group is NULL when it is gone. */
void coordinator_classic_told(struct coordinator_group *cg, struct coordinator_write *write)
{
    struct group_call *call = write->call;

    write->call = NULL;
    if (cg != NULL) {
        joined(cg, call, write->err);
    } else {
        answer(call, write->err != ERR_NONE ? write->err : ERR_REBALANCE_IN_PROGRESS);
    }
}

void coordinator_classic_join(struct coordinator_group *cg, struct group_join *join)
{
    struct coordinator *c = cg->shard->coordinator;
    struct consumer_group_step step = coordinator_step(cg->shard, cg, cg->group.id, &c->arena);
    struct coordinator_write *write = NULL;
    struct group_log log;
    enum err err;

    join->fresh = rng_uuid(&c->rng);
    group_log_init(&log, &c->arena);
    err = consumer_group_step_begin(&step);
    if (err == ERR_NONE) err = consumer_group_classic_join(&step, join);
    if (err == ERR_NONE) coordinator_step_write(&step, &log);
    if (err == ERR_NONE) err = log.err;
    if (err == ERR_NO_MEMORY) err = ERR_COORDINATOR_NOT_AVAILABLE;
    if (err == ERR_NONE && log.count > 0) err = coordinator_write_consumer(cg, &log, &write);
    arena_reset(&c->arena);
    if (write != NULL) {
        write->call = join->call;
    } else if (err == ERR_NONE) {
        joined(cg, join->call, ERR_NONE);
    } else {
        answer(join->call, err);
    }
}

void coordinator_classic_sync(struct coordinator_group *cg, const struct group_sync *sync)
{
    struct coordinator *c = cg->shard->coordinator;
    enum err err =
        consumer_group_classic_sync(cg->consumer, sync, &c->consumer_config, c->image, c->env->now);

    if (!cg->busy) coordinator_arm(cg);
    answer(sync->call, err);
}

enum err coordinator_classic_beat(struct coordinator_group *cg, const struct group_who *who)
{
    struct coordinator *c = cg->shard->coordinator;
    enum err err = consumer_group_classic_beat(cg->consumer, who, &c->consumer_config, c->env->now);

    if (!cg->busy) coordinator_arm(cg);
    return err;
}

/* DIFFERS: answered before its tombstones are committed. Lost, they come with its session's end. */
void coordinator_classic_leave(struct coordinator_group *cg, const struct group_who *who,
                               enum err *errs, uint32_t count)
{
    struct coordinator *c = cg->shard->coordinator;
    struct consumer_group_step step = coordinator_step(cg->shard, cg, cg->group.id, &c->arena);
    struct coordinator_write *write;
    struct group_log log;
    bool left = false;
    enum err err = cg->busy ? ERR_COORDINATOR_NOT_AVAILABLE : consumer_group_step_begin(&step);

    group_log_init(&log, &c->arena);
    for (uint32_t i = 0; i < count && err == ERR_NONE; i++) {
        errs[i] = consumer_group_classic_leave(&step, &who[i]);
        left = left || errs[i] == ERR_NONE;
    }
    if (err == ERR_NONE && left) err = consumer_group_step_epoch(&step, true);
    if (err == ERR_NONE && left) coordinator_step_write(&step, &log);
    if (err == ERR_NONE) err = log.err;
    if (err == ERR_NONE && left) err = coordinator_write_consumer(cg, &log, &write);
    arena_reset(&c->arena);
    for (uint32_t i = 0; i < count && err != ERR_NONE; i++)
        errs[i] = ERR_COORDINATOR_NOT_AVAILABLE;
}
