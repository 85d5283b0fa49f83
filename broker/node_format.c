/* gregor-broker format: the directory of one node of a cluster, made ready before its first start.
 * A short-lived node of its own: one op over one log directory. */
#include "broker/node.h"

#include "client/base/text.h"

#include <string.h>

enum node_format_step { NODE_FORMAT_START, NODE_FORMAT_DONE };
static const char *const node_format_steps[] = {"START", "DONE"};

enum { NODE_FORMAT_OPS_MAX = 256, NODE_FORMAT_PAYLOAD = 4 << 20 };

static enum op_result node_format_run(struct op *op)
{
    struct node_format *o = CONTAINER_OF(op, struct node_format, op);

    switch ((enum node_format_step)op->step) {
    case NODE_FORMAT_START:
        log_dir_format(&o->dir, &o->meta);
        AWAIT(o, NODE_FORMAT_DONE, &o->dir.state_source, !log_dir_busy(&o->dir));
        return OP_DONE;
    }
    IMPOSSIBLE("step of a format");
}

static void node_format_finish(struct op *op)
{
    struct node_format *format = CONTAINER_OF(op, struct node_format, op);
    struct env *env = &format->env;

    if (format->dir.err != ERR_NONE) {
        format->status = 1;
        TRACE_TEXT(env->world, NODE_ERROR, str_of(format->dir.message.text),
                   (int64_t)format->dir.err);
    }
    log_dir_deinit(&format->dir);
    log_cache_deinit(&format->cache);
    env_stop(env, format->status);
}

static const struct op_kind node_format_kind = {
    "format", node_format_steps, COUNT_OF(node_format_steps), node_format_run, node_format_finish};

static void node_format_started(struct env *env)
{
    struct node_format *format = CONTAINER_OF(env, struct node_format, env);
    struct log_dir_limits limits = log_dir_limits_default();
    struct rng rng;

    rng_init(&rng, dice_seed(env->world, DICE_IDENTITY));
    format->meta.directory_id = rng_uuid(&rng);
    log_cache_init(&format->cache, &env->mem, NODE_FORMAT_PAYLOAD, 16);
    log_dir_init(&format->dir, env, &format->cache, str_of(format->path), &limits);
    op_start(&env->loop, &format->op, &node_format_kind, NODE_FORMAT_START);
}

enum err node_format_start(struct node_format *format, struct world *world,
                           const struct config *config, struct str cluster_id, struct errmsg *error)
{
    const struct env_limits limits = {.ops_max = NODE_FORMAT_OPS_MAX,
                                      .payload_bytes = NODE_FORMAT_PAYLOAD};
    struct text text;
    enum err err;

    *format = (struct node_format){.meta = {.node_id = (int32_t)config->node_id}};
    text_init(&text, error->text, sizeof error->text);
    if (cluster_id.length == 0 || cluster_id.length >= sizeof format->meta.cluster_id) {
        text_cstr(&text, "--cluster-id: 1 to 63 characters are wanted");
        return ERR_BAD_CONFIG;
    }
    memcpy(format->meta.cluster_id, cluster_id.data, cluster_id.length);
    text_init(&text, format->path, sizeof format->path);
    text_cstr(&text, config->log_dirs[0]);
    world->node_id = (int32_t)config->node_id;
    err = env_init(&format->env, world, &limits, node_format_started);
    if (err != ERR_NONE) {
        text_init(&text, error->text, sizeof error->text);
        text_format(&text, "no memory: %s", err_name(err));
    }
    return err;
}
