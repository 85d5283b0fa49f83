/* Replication quotas (KIP-73): which traffic counts, and when who was held back may go on.
 *
 * Whether the leaders' quota is used up is a latch and not a look at the clock, so that what waits
 * for it is woken: bytes that are noted set it, or a lower rate; the op clears it when the mean has
 * come down by time alone, and wakes the readers of what was held back. */
#include "broker/replica/manager_internal.h"
#include "broker/topic_config.h"

enum { QUOTA_LOOK_MS = 20 }; /* replicas in sync may use it up at once again: not in every turn */

void manager_throttle(struct partition *part)
{
    const struct manager *manager = part->manager;
    struct str leaders = topic_config_text(manager->config, manager->image, part->topic_name,
                                           STR("leader.replication.throttled.replicas"));
    struct str followers = topic_config_text(manager->config, manager->image, part->topic_name,
                                             STR("follower.replication.throttled.replicas"));

    part->throttled_leading = quota_names(leaders, part->index, manager->broker);
    part->throttled_following = quota_names(followers, part->index, manager->broker);
}

void manager_throttled(struct partition *part, int32_t replica, const struct quota *quota)
{
    struct manager *manager = part->manager;

    if (quota == &manager->leader_quota && !list_linked(&part->held))
        list_push(&manager->held, &part->held);
    TRACE(manager->env->world, REPLICA_THROTTLED, (int64_t)part->topic, part->index, replica,
          quota_measure(quota, manager->env->now.mono.ns), quota->rate);
}

static void look(struct manager *manager)
{
    bool held = quota_exceeded(&manager->leader_quota, manager->env->now.mono.ns);

    if (held == manager->leader_held) return;
    manager->leader_held = held;
    op_wake(&manager->quota_source);
    while (!held && !list_empty(&manager->held)) {
        struct partition *part = LIST_ENTRY(list_pop(&manager->held), struct partition, held);

        partition_wake_readers(part);
    }
}

void manager_served(struct manager *manager, uint64_t bytes)
{
    quota_note(&manager->leader_quota, manager->env->now.mono.ns, bytes);
    if (!manager->leader_held) look(manager);
}

void manager_quotas(struct manager *manager)
{
    manager->leader_quota.rate = topic_config_broker_number(
        manager->config, manager->image, STR("leader.replication.throttled.rate"));
    manager->follower_quota.rate = topic_config_broker_number(
        manager->config, manager->image, STR("follower.replication.throttled.rate"));
    look(manager);
}

enum quota_step { QUOTA_STARTED, QUOTA_HELD, QUOTA_FREE };
static const char *const quota_steps[] = {"STARTED", "HELD", "FREE"};

static void arm(struct manager_op *o)
{
    const struct manager *manager = o->manager;
    int64_t least_ns = env_deadline(manager->env, QUOTA_LOOK_MS);
    int64_t free_ns = quota_free_at(&manager->leader_quota, manager->env->now.mono.ns);

    op_deadline(&o->op, free_ns > least_ns ? free_ns : least_ns);
}

static enum op_result quota_run(struct op *op)
{
    struct manager_op *o = CONTAINER_OF(op, struct manager_op, op);
    struct manager *manager = o->manager;

    switch ((enum quota_step)op->step) {
    case QUOTA_STARTED:
        while (!manager->stopping) {
            AWAIT(o, QUOTA_HELD, &manager->quota_source, manager->leader_held || manager->stopping);
            arm(o);
            AWAIT(o, QUOTA_FREE, &manager->quota_source,
                  op_expired(op) || !manager->leader_held || manager->stopping);
            op_deadline(op, OP_NO_DEADLINE);
            look(manager);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void quota_finish(struct op *op)
{
    manager_check_stopped(CONTAINER_OF(op, struct manager_op, op)->manager);
}

static const struct op_kind quota_kind = {"manager.quota", quota_steps, COUNT_OF(quota_steps),
                                          quota_run, quota_finish};

void manager_quota_start(struct manager *manager)
{
    manager->quota.manager = manager;
    op_start(&manager->env->loop, &manager->quota.op, &quota_kind, QUOTA_STARTED);
}

void manager_quota_stop(struct manager *manager)
{
    op_wake(&manager->quota_source);
}

bool manager_quota_ended(const struct manager *manager)
{
    return !op_live(&manager->quota.op);
}
