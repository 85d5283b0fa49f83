/* The coordinator's shards follow the metadata; groups are made and freed; time passes. */
#include "broker/group/coordinator.h"

#include "broker/config.h"
#include "broker/controller/image.h"
#include "broker/group/group_place.h"

#include <string.h>

/* ---- time ------------------------------------------------------------------------------------ */

enum timer_step { TIMER_START, TIMER_DUE };
static const char *const timer_steps[] = {"START", "DUE"};

/* Nothing that is due is done to a busy group: it is armed again when its batch ended. */
static int64_t next_deadline(const struct coordinator_group *cg)
{
    int64_t deadline = group_next_deadline(&cg->group);
    int64_t other = INT64_MAX;

    if (cg->migrating) return INT64_MAX;
    if (cg->consumer != NULL && !cg->busy) other = consumer_group_next_deadline(cg->consumer);
    if (other < cg->retry_ns) other = cg->retry_ns;
    return deadline < other ? deadline : other;
}

void coordinator_arm(struct coordinator_group *cg)
{
    struct coordinator *c = cg->shard->coordinator;
    int64_t deadline = next_deadline(cg);
    enum err err;

    if (heap_queued(&cg->timer)) heap_remove(&c->timers, &cg->timer);
    if (deadline == INT64_MAX) return;
    err = heap_push(&c->timers, &cg->timer, deadline, c->timer_sequence++);
    ASSERT(err == ERR_NONE); /* room was taken when the group was made */
    if (deadline < c->timer_op.deadline_ns) {
        c->timer_moved = true;
        op_wake(&c->timer_source);
    }
}

static void run_due(struct coordinator *c)
{
    struct heap_node *due;

    while ((due = heap_peek(&c->timers)) != NULL && due->deadline <= c->env->now.mono.ns) {
        struct coordinator_group *cg = CONTAINER_OF(due, struct coordinator_group, timer);
        struct group_effects effects;

        if (cg->consumer != NULL && next_deadline(cg) <= c->env->now.mono.ns)
            coordinator_consumer_due(cg);
        if (cg->migrating) {
            coordinator_arm(cg);
            continue;
        }
        group_effects_init(&effects);
        group_tick(&cg->group, c->env->now, &effects);
        coordinator_effects(cg, &effects);
    }
}

static enum op_result timer_run(struct op *op)
{
    struct coordinator *o = CONTAINER_OF(op, struct coordinator, timer_op);

    switch ((enum timer_step)op->step) {
    case TIMER_START:
        for (;;) {
            run_due(o);
            o->timer_moved = false;
            op_deadline(op, heap_peek(&o->timers) != NULL ? heap_peek(&o->timers)->deadline
                                                          : OP_NO_DEADLINE);
            op_enter(op, TIMER_DUE);
            __attribute__((fallthrough));
        case TIMER_DUE:
            if (!(op_expired(op) || o->timer_moved || o->stopping))
                return op_park(op, &o->timer_source, OP_NO_KEY);
            if (op_probing(op)) return OP_HOLDS;
            if (o->stopping) return OP_DONE;
        }
    }
    IMPOSSIBLE("step of the groups' timer");
}

static const struct op_kind timer_kind = {"group_timer", timer_steps, COUNT_OF(timer_steps),
                                          timer_run, NULL};

/* ---- groups ---------------------------------------------------------------------------------- */

struct coordinator_group *coordinator_group(const struct coordinator_shard *shard, struct str group)
{
    struct map_node *node = map_find_str(&shard->groups, group);

    return node != NULL ? MAP_ENTRY(node, struct coordinator_group, node) : NULL;
}

enum err coordinator_group_make(struct coordinator_shard *shard, struct str id,
                                struct coordinator_group **made)
{
    struct coordinator *c = shard->coordinator;
    struct mem *mem = &c->env->mem;
    struct coordinator_group *cg = pool_take(&c->group_pool);

    if (cg == NULL) return ERR_TOO_MANY;
    cg->id = mem_alloc(mem, id.length + 1);
    cg->id_length = id.length;
    if (cg->id == NULL || heap_reserve(&c->timers, c->group_pool.in_use) != ERR_NONE) {
        mem_free(mem, cg->id, id.length + 1);
        pool_give(&c->group_pool, cg);
        return ERR_NO_MEMORY;
    }
    if (id.length > 0) memcpy(cg->id, id.data, id.length);
    cg->shard = shard;
    cg->deleting = false;
    cg->consumer = NULL;
    cg->busy = false;
    cg->held = false;
    cg->migrating = false;
    cg->retry_ns = 0;
    heap_node_init(&cg->timer);
    group_init(&cg->group, mem, &c->group_config, (struct str){cg->id, id.length}, c->seed,
               c->env->now.wall.ms);
    cg->group.world = c->env->world;
    cg->group.partition = shard->index;
    cg->group.epoch = shard->epoch;
    group_offsets_init(&cg->offsets, mem, c->seed);
    if (map_add_str(&shard->groups, &cg->node, cg->group.id) != ERR_NONE) {
        group_deinit(&cg->group);
        group_offsets_deinit(&cg->offsets);
        mem_free(mem, cg->id, id.length + 1);
        pool_give(&c->group_pool, cg);
        return ERR_NO_MEMORY;
    }
    *made = cg;
    return ERR_NONE;
}

/* No call waits any more. */
void coordinator_group_free(struct coordinator_group *cg)
{
    struct coordinator *c = cg->shard->coordinator;

    if (heap_queued(&cg->timer)) heap_remove(&c->timers, &cg->timer);
    if (cg->held) op_wake(&c->ended_source);
    map_remove(&cg->shard->groups, &cg->node);
    coordinator_consumer_free(cg);
    group_deinit(&cg->group);
    group_offsets_deinit(&cg->offsets);
    mem_free(&c->env->mem, cg->id, cg->id_length + 1);
    pool_give(&c->group_pool, cg);
}

void coordinator_effects(struct coordinator_group *cg, struct group_effects *effects)
{
    struct instant now = cg->shard->coordinator->env->now;
    bool again = true;

    while (again) {
        enum group_write write = effects->write;
        uint64_t ticket = effects->ticket;
        struct list *link;
        enum err err;

        while ((link = list_pop(&effects->answered)) != NULL)
            op_wake(&LIST_ENTRY(link, struct group_call, link)->source);
        again = false;
        if (write == GROUP_WRITE_NONE) continue;
        err = coordinator_write_group(cg, write, ticket);
        group_effects_init(effects);
        if (err == ERR_NONE) continue;
        group_written(&cg->group, ticket, err, now, effects);
        again = true;
    }
    group_check(&cg->group);
    coordinator_settle(cg);
}

void coordinator_note(struct coordinator_group *cg)
{
    bool was = cg->held;

    cg->held = cg->busy || group_writing(&cg->group);
    if (was && !cg->held) op_wake(&cg->shard->coordinator->ended_source);
}

void coordinator_settle(struct coordinator_group *cg)
{
    bool used = cg->consumer != NULL || cg->busy || cg->deleting || cg->offsets.count > 0;

    coordinator_note(cg);
    if (!used && group_blank(&cg->group)) {
        coordinator_group_free(cg);
    } else {
        coordinator_arm(cg);
    }
}

/* ---- shards ---------------------------------------------------------------------------------- */

/* Another topic, or more partitions of it. */
static bool resize(struct coordinator *c, const struct image_topic *topic)
{
    struct mem *mem = &c->env->mem;
    uint32_t count = topic != NULL ? topic->partitions_count : 0;
    struct coordinator_shard **by_index = NULL;
    struct uuid id = topic != NULL ? topic->id : (struct uuid){{0}};

    if (count > COORDINATOR_SHARDS_MAX) count = COORDINATOR_SHARDS_MAX;
    if (count == c->count && uuid_equal(id, c->topic_id)) return true;
    if (count > 0) {
        by_index = mem_zalloc(mem, count * sizeof(*by_index));
        if (by_index == NULL) return false;
    }
    for (uint32_t i = 0; uuid_equal(id, c->topic_id) && i < c->count && i < count; i++)
        by_index[i] = c->by_index[i];
    if (c->count > 0) mem_free(mem, c->by_index, c->count * sizeof(*c->by_index));
    c->by_index = by_index;
    c->count = count;
    c->topic_id = id;
    op_wake(&c->ended_source); /* groups may live elsewhere now */
    return true;
}

static void host(struct coordinator *c, struct partition *part, int32_t index)
{
    struct coordinator_shard *shard = mem_zalloc(&c->env->mem, sizeof *shard);

    if (shard == NULL) return; /* the next change of the metadata tries again */
    shard->coordinator = c;
    shard->part = part;
    shard->index = index;
    list_init(&shard->link);
    list_init(&shard->writes);
    map_init(&shard->groups, &c->env->mem, c->seed, COORDINATOR_GROUPS_MAX);
    list_push(&c->shards, &shard->link);
    c->by_index[index] = shard;
    partition_pin(part);
    coordinator_shard_start(shard);
}

void coordinator_apply(struct coordinator *c, const struct image *image)
{
    const struct image_topic *topic = image_topic_by_name(image, STR(COORDINATOR_TOPIC));

    c->image = image;
    if (!list_empty(&image->deleted_topics)) coordinator_expire_kick(c);
    if (topic != NULL && topic->deleted) topic = NULL;
    if (c->stopping || c->replicas->image == NULL || !resize(c, topic)) return;
    for (uint32_t i = 0; i < c->count; i++) {
        struct partition *part;

        if (c->by_index[i] != NULL) continue;
        if (manager_find(c->replicas, c->topic_id, (int32_t)i, &part) != ERR_NONE) continue;
        if (!partition_leaving(part)) host(c, part, (int32_t)i);
    }
}

/* Its op has ended: the replica left this broker. */
void coordinator_shard_over(struct coordinator_shard *shard)
{
    struct coordinator *c = shard->coordinator;
    struct partition *part = shard->part;

    ASSERT(list_empty(&shard->writes));
    list_remove(&shard->link);
    if ((uint32_t)shard->index < c->count && c->by_index[shard->index] == shard)
        c->by_index[shard->index] = NULL;
    map_deinit(&shard->groups);
    mem_free(&c->env->mem, shard, sizeof *shard);
    partition_unpin(part);
    if (!c->stopping && c->image != NULL) coordinator_apply(c, c->image);
}

bool coordinator_serves(const struct coordinator_shard *shard, int32_t epoch)
{
    return shard->state == COORDINATOR_ACTIVE && shard->epoch == epoch &&
           shard->part->role == PARTITION_LEADER && shard->part->leader_epoch == epoch;
}

enum err coordinator_find(struct coordinator *c, struct str group, struct coordinator_shard **found)
{
    struct coordinator_shard *shard;

    if (c->count == 0) return ERR_NOT_COORDINATOR;
    shard = c->by_index[group_place(group, c->count)];
    if (shard == NULL || shard->part->role != PARTITION_LEADER) return ERR_NOT_COORDINATOR;
    if (!coordinator_serves(shard, shard->epoch)) return ERR_COORDINATOR_LOAD_IN_PROGRESS;
    *found = shard;
    return ERR_NONE;
}

/* ---- life ------------------------------------------------------------------------------------ */

void coordinator_init(struct coordinator *c, struct env *env, const struct config *config,
                      struct manager *replicas)
{
    uint64_t identity = dice_seed(env->world, DICE_IDENTITY);

    *c = (struct coordinator){.env = env, .config = config, .replicas = replicas};
    c->group_config =
        (struct group_config){.initial_delay_ms = config->group_initial_rebalance_delay_ms,
                              .max_size = config->group_max_size,
                              .session_min_ms = config->group_min_session_timeout_ms,
                              .session_max_ms = config->group_max_session_timeout_ms};
    coordinator_consumer_configure(&c->consumer_config, config);
    /* A stream of its own: the identities of the node are drawn from the seed itself. */
    rng_init(&c->rng, rng_stream(identity, 0x67726f7570, (uint64_t)config->node_id));
    c->seed = dice_seed(env->world, DICE_HASH);
    list_init(&c->shards);
    pool_init(&c->group_pool, &env->mem, sizeof(struct coordinator_group), COORDINATOR_GROUPS_MAX);
    pool_init(&c->write_pool, &env->mem, sizeof(struct coordinator_write), COORDINATOR_WRITES_MAX);
    heap_init(&c->timers, &env->mem, COORDINATOR_GROUPS_MAX);
    op_source_init(&c->timer_source);
    op_source_init(&c->ended_source);
    arena_init(&c->arena, &env->mem, COORDINATOR_ARENA_MAX);
    op_start(&env->loop, &c->timer_op, &timer_kind, TIMER_START);
    coordinator_expire_start(c);
}

void coordinator_stop(struct coordinator *c)
{
    c->stopping = true;
    op_wake(&c->timer_source);
    op_wake(&c->expire_source);
}

bool coordinator_stopped(const struct coordinator *c)
{
    return list_empty(&c->shards) && !op_live(&c->timer_op) && !op_live(&c->expire_op);
}

void coordinator_deinit(struct coordinator *c)
{
    ASSERT(coordinator_stopped(c));
    if (c->count > 0) mem_free(&c->env->mem, c->by_index, c->count * sizeof(*c->by_index));
    heap_deinit(&c->timers);
    pool_deinit(&c->group_pool);
    pool_deinit(&c->write_pool);
    arena_deinit(&c->arena);
}
