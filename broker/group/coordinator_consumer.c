/* Groups of KIP-848 in their shard: records in, heartbeats and time on their way to records. */
#include "broker/group/coordinator.h"

#include "broker/config.h"

enum { RETRY_MS = 500 };

void coordinator_consumer_configure(struct consumer_group_config *to, const struct config *from)
{
    *to = (struct consumer_group_config){
        .session_timeout_ms = from->group_consumer_session_timeout_ms,
        .heartbeat_interval_ms = from->group_consumer_heartbeat_interval_ms,
        .max_size = from->group_consumer_max_size,
        .classic_max_size = from->group_max_size,
        .upgrades = from->group_consumer_migration_policy == GROUP_MIGRATION_BIDIRECTIONAL ||
                    from->group_consumer_migration_policy == GROUP_MIGRATION_UPGRADE,
        .downgrades = from->group_consumer_migration_policy == GROUP_MIGRATION_BIDIRECTIONAL ||
                      from->group_consumer_migration_policy == GROUP_MIGRATION_DOWNGRADE,
        .enabled = from->group_rebalance_protocols != GROUP_PROTOCOLS_CLASSIC,
    };
    switch ((enum config_group_assignors)from->group_consumer_assignors) {
    case GROUP_ASSIGNORS_UNIFORM_RANGE:
        to->assignors[to->assignors_count++] = CONSUMER_GROUP_UNIFORM;
        to->assignors[to->assignors_count++] = CONSUMER_GROUP_RANGE;
        break;
    case GROUP_ASSIGNORS_RANGE_UNIFORM:
        to->assignors[to->assignors_count++] = CONSUMER_GROUP_RANGE;
        to->assignors[to->assignors_count++] = CONSUMER_GROUP_UNIFORM;
        break;
    case GROUP_ASSIGNORS_UNIFORM:
        to->assignors[to->assignors_count++] = CONSUMER_GROUP_UNIFORM;
        break;
    case GROUP_ASSIGNORS_RANGE: to->assignors[to->assignors_count++] = CONSUMER_GROUP_RANGE; break;
    }
}

/* ---- life and replay ------------------------------------------------------------------------- */

static enum err make(struct coordinator_group *cg)
{
    struct coordinator *c = cg->shard->coordinator;
    struct consumer_group *group = mem_alloc(&c->env->mem, sizeof *group);

    if (group == NULL) return ERR_NO_MEMORY;
    consumer_group_init(group, &c->env->mem, cg->group.id, c->seed);
    group->world = c->env->world;
    group->partition = cg->shard->index;
    group->leader_epoch = cg->shard->epoch;
    cg->consumer = group;
    return ERR_NONE;
}

void coordinator_consumer_free(struct coordinator_group *cg)
{
    if (cg->consumer == NULL) return;
    consumer_group_deinit(cg->consumer);
    mem_free(&cg->shard->coordinator->env->mem, cg->consumer, sizeof *cg->consumer);
    cg->consumer = NULL;
}

enum err coordinator_replay_consumer(struct coordinator_shard *shard,
                                     const struct group_log_read *read, bool live)
{
    struct coordinator *c = shard->coordinator;
    struct coordinator_group *cg = coordinator_group(shard, read->group);
    bool over = false;
    enum err err = ERR_NONE;

    if (read->tombstone && (cg == NULL || cg->consumer == NULL)) return ERR_NONE;
    if (cg == NULL) err = coordinator_group_make(shard, read->group, &cg);
    if (err == ERR_NONE && cg->consumer == NULL) err = make(cg);
    if (err != ERR_NONE) return err;
    err = consumer_group_replay(cg->consumer, read, &c->consumer_config, live, c->env->now, &over);
    if (err != ERR_NONE || !over) return err;
    coordinator_consumer_free(cg);
    if (cg->busy || cg->offsets.count > 0 || !group_blank(&cg->group)) return ERR_NONE;
    coordinator_group_free(cg);
    return ERR_NONE;
}

/* ---- steps ----------------------------------------------------------------------------------- */

bool coordinator_free(struct coordinator *c, struct str group)
{
    const struct coordinator_group *cg;
    struct coordinator_shard *shard;

    if (coordinator_find(c, group, &shard) != ERR_NONE) return true;
    cg = coordinator_group(shard, group);
    return cg == NULL || !cg->busy;
}

bool coordinator_settled(struct coordinator *c, struct str group, uint64_t load)
{
    const struct coordinator_group *cg;
    struct coordinator_shard *shard;

    if (coordinator_find(c, group, &shard) != ERR_NONE || shard->load != load) return true;
    cg = coordinator_group(shard, group);
    if (cg == NULL) return true;
    ASSERT(cg->held == (cg->busy || group_writing(&cg->group))); /* or somebody was not woken */
    return !cg->held;
}

struct consumer_group_step coordinator_step(const struct coordinator_shard *shard,
                                            const struct coordinator_group *cg, struct str group,
                                            struct arena *arena)
{
    struct coordinator *c = shard->coordinator;

    return (struct consumer_group_step){.group = cg != NULL ? cg->consumer : NULL,
                                        .id = group,
                                        .config = &c->consumer_config,
                                        .image = c->image,
                                        .arena = arena,
                                        .now = c->env->now};
}

enum err coordinator_step_append(struct coordinator_shard *shard, struct str group,
                                 const struct group_log *log, struct coordinator_write **write)
{
    struct coordinator_group *cg = coordinator_group(shard, group);
    enum err err = ERR_NONE;

    if (log->err != ERR_NONE) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (cg == NULL) err = coordinator_group_make(shard, group, &cg);
    if (err != ERR_NONE) return ERR_COORDINATOR_NOT_AVAILABLE;
    err = coordinator_write_consumer(cg, log, write);
    if (err != ERR_NONE) coordinator_settle(cg);
    return err;
}

/* What a heartbeat finds here that is no group of its kind; NONE: it goes on. */
static enum err other_kind(const struct coordinator_group *cg,
                           const struct consumer_group_beat *beat)
{
    if (cg != NULL && cg->deleting) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (cg != NULL && cg->consumer != NULL) return ERR_NONE;
    /* DIFFERS: GROUP_ID_NOT_FOUND is fatal to clients; a member that was away too long joins. */
    return beat->epoch != 0 ? ERR_UNKNOWN_MEMBER_ID : ERR_NONE;
}

/* The group as it is, or the classic one with members that becomes it (groups.md 8.7). */
static enum err begin(struct consumer_group_step *step, const struct coordinator_group *cg)
{
    bool takes_over = cg != NULL && cg->consumer == NULL && cg->group.members.count > 0;
    enum err err =
        takes_over ? consumer_group_import(step, &cg->group) : consumer_group_step_begin(step);

    return err == ERR_NO_MEMORY ? ERR_COORDINATOR_NOT_AVAILABLE : err;
}

void coordinator_step_write(const struct consumer_group_step *step, struct group_log *log)
{
    if (consumer_group_goes_back(step)) {
        consumer_group_step_write_classic(step, log);
    } else {
        consumer_group_step_write(step, log);
    }
}

void coordinator_beat(struct coordinator_shard *shard, struct str group,
                      struct consumer_group_beat *beat, struct arena *arena,
                      struct consumer_group_answer *answer, struct coordinator_write **write)
{
    struct coordinator *c = shard->coordinator;
    struct coordinator_group *cg = coordinator_group(shard, group);
    struct consumer_group_step step = coordinator_step(shard, cg, group, arena);
    struct group_log log;
    enum err err = other_kind(cg, beat);

    *write = NULL;
    if (err == ERR_NONE) {
        beat->fresh = rng_uuid(&c->rng);
        err = begin(&step, cg);
    }
    if (err == ERR_NONE) {
        consumer_group_beat(&step, beat, answer);
        err = answer->err;
    }
    if (err == ERR_NONE) {
        group_log_init(&log, arena);
        if (cg != NULL && cg->consumer == NULL && !group_blank(&cg->group))
            group_log_group_gone(&log, group); /* a classic group gives its name away */
        coordinator_step_write(&step, &log);
        if (log.count > 0 || log.err != ERR_NONE)
            err = coordinator_step_append(shard, group, &log, write);
    }
    if (*write != NULL) {
        (*write)->waited = true;
        cg = coordinator_group(shard, group);
        cg->migrating = cg->consumer == NULL;
        coordinator_arm(cg); /* nothing of the classic group is due from here on */
    }
    answer->err = err;
}

/* Sessions that ended, revocations that did not come. Refused: again in a while. */
void coordinator_consumer_due(struct coordinator_group *cg)
{
    struct coordinator_shard *shard = cg->shard;
    struct arena *arena = &shard->coordinator->arena;
    struct consumer_group_step step = coordinator_step(shard, cg, cg->group.id, arena);
    struct coordinator_write *write;
    struct group_log log;
    enum err err = consumer_group_step_begin(&step);

    if (err == ERR_NONE) err = consumer_group_expire(&step);
    group_log_init(&log, arena);
    if (err == ERR_NONE) coordinator_step_write(&step, &log);
    if (err == ERR_NONE) err = log.err;
    if (err == ERR_NONE && log.count > 0) err = coordinator_write_consumer(cg, &log, &write);
    cg->retry_ns = err == ERR_NONE ? 0 : env_deadline(shard->coordinator->env, RETRY_MS);
    arena_reset(arena);
}

void coordinator_log_gone(const struct coordinator_group *cg, struct group_log *log)
{
    struct consumer_group_step step = {.group = cg->consumer, .id = cg->group.id};

    if (cg->consumer == NULL) {
        group_log_group_gone(log, cg->group.id);
    } else {
        ASSERT(cg->consumer->members.count == 0);
        consumer_group_step_write_gone(&step, log);
    }
}
