/* What handlers ask of a shard that serves. */
#include "broker/group/coordinator.h"

/* A group on which nothing may be done just now. */
static bool is_closed(const struct coordinator_group *cg)
{
    return cg->deleting || cg->group.state == GROUP_DEAD;
}

static void answer(struct group_call *call, enum err err, struct str member_id)
{
    call->done = true;
    call->err = err;
    call->member_id = member_id;
    op_wake(&call->source);
}

/* A JoinGroup for a group of KIP-848 that cannot take it. One without members gives its name away;
 * the client asks again (clients.md 5). */
static enum err other_kind(struct coordinator_group *cg)
{
    struct arena *arena = &cg->shard->coordinator->arena;
    struct coordinator_write *write;
    struct group_log log;
    enum err err;

    if (cg->busy) return ERR_COORDINATOR_NOT_AVAILABLE;
    group_log_init(&log, arena);
    coordinator_log_gone(cg, &log);
    err = log.err == ERR_NONE ? coordinator_write_consumer(cg, &log, &write) : log.err;
    arena_reset(arena);
    (void)err; /* written or not: it asks again */
    return ERR_COORDINATOR_NOT_AVAILABLE;
}

void coordinator_join(struct coordinator_shard *shard, struct str group, struct group_join *join)
{
    struct coordinator *c = shard->coordinator;
    struct coordinator_group *cg = coordinator_group(shard, group);
    struct group_effects effects;

    if (join->session_timeout_ms < c->group_config.session_min_ms ||
        join->session_timeout_ms > c->group_config.session_max_ms) {
        answer(join->call, ERR_INVALID_SESSION_TIMEOUT, join->member_id);
        return;
    }
    if (cg == NULL && join->member_id.length > 0) {
        answer(join->call, ERR_UNKNOWN_MEMBER_ID, join->member_id);
        return;
    }
    if ((cg == NULL && coordinator_group_make(shard, group, &cg) != ERR_NONE) || is_closed(cg)) {
        answer(join->call, ERR_COORDINATOR_NOT_AVAILABLE, join->member_id);
        return;
    }
    if (cg->consumer != NULL && cg->consumer->members.count > 0 && !cg->busy) {
        coordinator_classic_join(cg, join);
        return;
    }
    if (cg->consumer != NULL || cg->busy) {
        answer(join->call, other_kind(cg), join->member_id);
        return;
    }
    join->fresh = rng_uuid(&c->rng);
    group_effects_init(&effects);
    group_join(&cg->group, join, c->env->now, &effects);
    coordinator_effects(cg, &effects);
}

void coordinator_sync(struct coordinator_shard *shard, struct str group,
                      const struct group_sync *sync)
{
    struct coordinator_group *cg = coordinator_group(shard, group);
    struct group_effects effects;

    if (cg == NULL || is_closed(cg)) {
        answer(sync->call, cg == NULL ? ERR_UNKNOWN_MEMBER_ID : ERR_COORDINATOR_NOT_AVAILABLE,
               sync->member_id);
        return;
    }
    if (cg->consumer != NULL) {
        coordinator_classic_sync(cg, sync);
        return;
    }
    if (cg->migrating) {
        answer(sync->call, ERR_REBALANCE_IN_PROGRESS, sync->member_id);
        return;
    }
    group_effects_init(&effects);
    group_sync(&cg->group, sync, shard->coordinator->env->now, &effects);
    coordinator_effects(cg, &effects);
}

/* Its deadline only moves back: the timer finds that out by itself. */
enum err coordinator_heartbeat(struct coordinator_shard *shard, struct str group,
                               const struct group_who *who)
{
    struct coordinator_group *cg = coordinator_group(shard, group);

    if (cg == NULL) return ERR_UNKNOWN_MEMBER_ID;
    if (is_closed(cg)) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (cg->consumer != NULL) return coordinator_classic_beat(cg, who);
    return group_heartbeat(&cg->group, who, shard->coordinator->env->now);
}

bool coordinator_leave(struct coordinator_shard *shard, struct str group,
                       const struct group_who *who, enum err *errs, uint32_t count)
{
    struct coordinator_group *cg = coordinator_group(shard, group);
    struct group_effects effects;

    if (cg == NULL) return false;
    if (cg->consumer != NULL && !is_closed(cg)) {
        coordinator_classic_leave(cg, who, errs, count);
        return true;
    }
    group_effects_init(&effects);
    for (uint32_t i = 0; i < count; i++) {
        errs[i] = is_closed(cg) || cg->migrating ? ERR_COORDINATOR_NOT_AVAILABLE
                                                 : group_leave(&cg->group, &who[i], &effects);
    }
    group_left(&cg->group, shard->coordinator->env->now, &effects);
    coordinator_effects(cg, &effects);
    return true;
}

enum err coordinator_commit(struct coordinator_shard *shard, struct str group,
                            const struct group_who *who, enum err no_group)
{
    struct coordinator_group *cg = coordinator_group(shard, group);

    /* The first commit of a simple group makes it, when its record is committed. */
    if (cg == NULL) return who->generation < 0 ? ERR_NONE : no_group;
    if (is_closed(cg)) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (cg->consumer != NULL) {
        struct consumer_group_who member = {.member_id = who->member_id,
                                            .instance_id = who->instance_id,
                                            .epoch = who->generation,
                                            .epochs_known = who->epochs_known};

        return consumer_group_commit(cg->consumer, &member);
    }
    return group_commit(&cg->group, who, shard->coordinator->env->now);
}
