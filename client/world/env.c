#include "client/world/env.h"

enum {
    /* Resumptions of ops in one turn; what is left runs in a turn of its own right after, so that
     * completions are not held up by a long queue. */
    ENV_TURN_BUDGET = 10000,
};

static void env_flush_all(struct list *staged)
{
    struct list *link;

    while ((link = list_pop(staged)) != NULL) {
        struct env_flush *flush = LIST_ENTRY(link, struct env_flush, link);

        flush->flush(flush);
    }
}

static void env_arm(struct env *env, int64_t wanted_ns)
{
    struct mono_time deadline = {wanted_ns};

    if (wanted_ns == OP_NO_DEADLINE) return;
    if (!env->timer.req.pending) {
        env->timer.deadline = deadline;
        timer_start(env->world, &env->timer);
    } else if (wanted_ns < env->timer.deadline.ns) {
        /* Later deadlines are left alone: the early call finds nothing due and arms anew. */
        timer_move(env->world, &env->timer, deadline);
        env->timer.deadline = deadline;
    }
}

/* No op is left, so nothing but our own timer may be outstanding; its cancellation is one more
 * turn. */
static void env_end(struct env *env)
{
    if (env->timer.req.pending) {
        timer_cancel(env->world, &env->timer);
        return;
    }
    env_deinit(env);
    world_stop(env->world, env->stop_status);
}

static void env_turn_end(struct actor *actor, struct instant now)
{
    struct env *env = CONTAINER_OF(actor, struct env, actor);
    int64_t next_ns;

    env->now = now;
    next_ns = op_loop_run(&env->loop, now.mono.ns, ENV_TURN_BUDGET);
    env_flush_all(&env->writes);
    env_flush_all(&env->sends);
    if (env->stopping && env->loop.live == 0) {
        env_end(env);
    } else {
        env_arm(env, next_ns);
    }
}

/* The timer only makes a turn: what is due runs at the turn's end. */
static void env_timer_fired(struct world_req *req, struct instant now)
{
    CONTAINER_OF(CONTAINER_OF(req, struct world_timer, req), struct env, timer)->now = now;
}

static void env_start_fired(struct world_req *req, struct instant now)
{
    struct env *env = CONTAINER_OF(CONTAINER_OF(req, struct world_timer, req), struct env, start);

    env->now = now;
    env->loop.now_ns = now.mono.ns;
    if (env->started != NULL) env->started(env);
}

static void env_stepped(struct op_loop *loop, const struct op *op)
{
    struct env *env = CONTAINER_OF(loop, struct env, loop);

    TRACE_TEXT(env->world, OP_STEP, str_of(op_step_name(op)), (int64_t)op->sequence,
               (int64_t)op->step);
}

enum err env_init(struct env *env, struct world *world, const struct env_limits *limits,
                  void (*started)(struct env *env))
{
    enum err err;

    *env = (struct env){.world = world, .actor = {env_turn_end}, .started = started};
    mem_init(&env->mem, world->region);
    buf_budget_init(&env->payload, &env->mem, limits->payload_bytes, limits->payload_reserved);
    err = op_loop_init(&env->loop, &env->mem, limits->ops_max, env_stepped);
    if (err != ERR_NONE) return err;
    list_init(&env->writes);
    list_init(&env->sends);
    world_req_init(&env->timer.req, env_timer_fired);
    world_req_init(&env->start.req, env_start_fired);
    env->start.deadline = (struct mono_time){0};
    world->actor = &env->actor;
    timer_start(world, &env->start);
    return ERR_NONE;
}

void env_deinit(struct env *env)
{
    if (env->timer.req.pending) timer_cancel(env->world, &env->timer);
    ASSERT(list_empty(&env->writes));
    ASSERT(list_empty(&env->sends));
    op_loop_deinit(&env->loop);
    buf_budget_deinit(&env->payload);
    ASSERT(mem_in_use(&env->mem) == 0);
}

void env_stop(struct env *env, int status)
{
    env->stopping = true;
    env->stop_status = status;
}

void env_stage_write(struct env *env, struct env_flush *flush)
{
    if (!list_linked(&flush->link)) list_push(&env->writes, &flush->link);
}

void env_stage_send(struct env *env, struct env_flush *flush)
{
    if (!list_linked(&flush->link)) list_push(&env->sends, &flush->link);
}

int64_t env_deadline(const struct env *env, int64_t ms)
{
    return mono_add_ms(env->now.mono, ms).ns;
}
