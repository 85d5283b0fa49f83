/* Offsets that are over, and groups of which nothing is left, get their tombstones: every
 * offsets.retention.check.interval.ms, and at once when a topic was deleted. A batch that is
 * refused is made again the next time. */
#include "broker/group/coordinator.h"

#include "broker/config.h"
#include "broker/group/group_expire.h"

enum { MS_PER_MINUTE = 60000 };

static void expire_group(struct coordinator_group *cg)
{
    struct coordinator_shard *shard = cg->shard;
    struct coordinator *c = shard->coordinator;
    struct group_expire expire = {.group = &cg->group,
                                  .consumer = cg->consumer,
                                  .offsets = &cg->offsets,
                                  .image = c->image,
                                  .retention_ms =
                                      c->config->offsets_retention_minutes * MS_PER_MINUTE,
                                  .now_ms = c->env->now.wall.ms};
    struct coordinator_write *write;
    struct group_log log;
    bool over;

    group_log_init(&log, &c->arena);
    /* What is on its way into the log may be an offset, or the group's next generation. */
    over = group_expire(&expire, &log) && list_empty(&shard->writes);
    if (over) coordinator_log_gone(cg, &log);
    if (log.err == ERR_NONE && log.count > 0 &&
        coordinator_write_consumer(cg, &log, &write) == ERR_NONE)
        cg->deleting = over; /* nobody joins what is about to go */
    arena_reset(&c->arena);
}

static void sweep(struct coordinator *c)
{
    LIST_FOR_EACH (link, &c->shards) {
        struct coordinator_shard *shard = LIST_ENTRY(link, struct coordinator_shard, link);

        if (c->image == NULL || !coordinator_serves(shard, shard->epoch)) continue;
        MAP_FOR_EACH_SAFE (node, next, &shard->groups) {
            struct coordinator_group *cg = MAP_ENTRY(node, struct coordinator_group, node);

            if (!cg->busy && !cg->deleting) expire_group(cg);
        }
    }
}

enum expire_step { EXPIRE_START, EXPIRE_DUE };
static const char *const expire_steps[] = {"START", "DUE"};

static enum op_result expire_run(struct op *op)
{
    struct coordinator *o = CONTAINER_OF(op, struct coordinator, expire_op);

    switch ((enum expire_step)op->step) {
    case EXPIRE_START:
        for (;;) {
            op_deadline(op, env_deadline(o->env, o->config->offsets_retention_check_interval_ms));
            op_enter(op, EXPIRE_DUE);
            __attribute__((fallthrough));
        case EXPIRE_DUE:
            if (!(op_expired(op) || o->topic_gone || o->stopping))
                return op_park(op, &o->expire_source, OP_NO_KEY);
            if (op_probing(op)) return OP_HOLDS;
            if (o->stopping) return OP_DONE;
            o->topic_gone = false;
            sweep(o);
        }
    }
    IMPOSSIBLE("step of the offsets' expiry");
}

static const struct op_kind expire_kind = {"offsets_expire", expire_steps, COUNT_OF(expire_steps),
                                           expire_run, NULL};

void coordinator_expire_start(struct coordinator *c)
{
    op_source_init(&c->expire_source);
    op_start(&c->env->loop, &c->expire_op, &expire_kind, EXPIRE_START);
}

void coordinator_expire_kick(struct coordinator *c)
{
    c->topic_gone = true;
    op_wake(&c->expire_source);
}
