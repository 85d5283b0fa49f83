/* gregor-broker format: the directories of one node of a cluster, made ready before its start.
 * A short-lived node of its own: one op, one log directory after the other. */
#include "broker/node.h"

#include "client/base/text.h"

#include <string.h>

enum node_format_step { NODE_FORMAT_START, NODE_FORMAT_VOTERS, NODE_FORMAT_DONE };
static const char *const node_format_steps[] = {"START", "VOTERS", "DONE"};

enum { NODE_FORMAT_OPS_MAX = 256, NODE_FORMAT_PAYLOAD = 4 << 20 };

/* Who votes from which directory is known when ours is. */
static void take_voters(struct node_format *format)
{
    struct quorum_member *own = quorum_voters_find(&format->voters, format->meta.node_id);

    ASSERT(own != NULL);
    if (uuid_is_zero(own->directory)) {
        own->directory = format->meta.directory_id;
    } else {
        format->meta.directory_id = own->directory;
    }
}

/* The next of log.dirs, then metadata.log.dir unless it was among them. False: that was the last,
 * which stays for the end. */
static bool next_dir(struct node_format *format)
{
    const struct config *config = &format->config;
    struct log_dir_limits limits = log_dir_limits_default();
    struct str path;

    if (format->at > config->log_dir_count) return false;
    path = str_of(format->at < config->log_dir_count ? config->log_dirs[format->at]
                                                     : config->metadata_log_dir);
    for (uint32_t i = 0; format->at == config->log_dir_count && i < config->log_dir_count; i++) {
        if (str_equal(path, str_of(config->log_dirs[i]))) return false;
    }
    if (format->at > 0) log_dir_deinit(&format->dir);
    format->meta.directory_id = rng_uuid(&format->rng);
    if (format->writes_voters && str_equal(path, str_of(config->metadata_log_dir)))
        take_voters(format);
    log_dir_init(&format->dir, &format->env, &format->cache, path, &limits);
    return true;
}

static enum op_result node_format_run(struct op *op)
{
    struct node_format *o = CONTAINER_OF(op, struct node_format, op);

    switch ((enum node_format_step)op->step) {
    case NODE_FORMAT_START:
        for (o->at = 0; next_dir(o); o->at++) {
            if (o->writes_voters &&
                str_equal(str_of(o->dir.path), str_of(o->config.metadata_log_dir))) {
                /* First: what has a meta.properties counts as formatted. */
                quorum_format_start(&o->quorum, &o->env, str_of(o->dir.path), &o->voters,
                                    str_of(o->config.controller_listener));
                AWAIT(o, NODE_FORMAT_VOTERS, &o->quorum.source, !o->quorum.busy);
                if (o->quorum.err != ERR_NONE) {
                    o->status = 1;
                    TRACE_TEXT(o->env.world, NODE_ERROR,
                               STR("the snapshot of the first voters cannot be written"),
                               (int64_t)o->quorum.err);
                    return OP_DONE;
                }
            }
            log_dir_format(&o->dir, &o->meta, o->keeps);
            AWAIT(o, NODE_FORMAT_DONE, &o->dir.state_source, !log_dir_busy(&o->dir));
            if (o->dir.err != ERR_NONE) {
                o->status = 1;
                TRACE_TEXT(o->env.world, NODE_ERROR, str_of(o->dir.message.text),
                           (int64_t)o->dir.err);
                return OP_DONE;
            }
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of a format");
}

static void node_format_finish(struct op *op)
{
    struct node_format *format = CONTAINER_OF(op, struct node_format, op);
    struct env *env = &format->env;

    log_dir_deinit(&format->dir);
    log_cache_deinit(&format->cache);
    env_stop(env, format->status);
}

static const struct op_kind node_format_kind = {
    "format", node_format_steps, COUNT_OF(node_format_steps), node_format_run, node_format_finish};

static void node_format_started(struct env *env)
{
    struct node_format *format = CONTAINER_OF(env, struct node_format, env);

    rng_init(&format->rng, dice_seed(env->world, DICE_IDENTITY));
    log_cache_init(&format->cache, &env->mem, NODE_FORMAT_PAYLOAD, 16);
    op_start(&env->loop, &format->op, &node_format_kind, NODE_FORMAT_START);
}

/* Kafka's rules for what is given to `format` (KIP-853). */
static const char *voters_wrong(struct node_format *format, enum node_format_voters how,
                                struct str initial)
{
    const struct config *config = &format->config;
    bool controller = config_has_role(config, CONFIG_ROLE_CONTROLLER);
    const struct config_endpoint *own = config_controller_endpoint(config);
    const struct quorum_member *member;

    if (how != NODE_FORMAT_CONFIGURED && config->voter_count > 0)
        return "the voters are configured (controller.quorum.voters): none of "
               "--initial-controllers, "
               "--standalone and --no-initial-controllers may be given";
    if (how == NODE_FORMAT_CONFIGURED && config->voter_count == 0 && controller &&
        config->bootstrap_count > 0)
        return "controller.quorum.voters is not set: one of --initial-controllers, --standalone "
               "and "
               "--no-initial-controllers is wanted";
    if (how == NODE_FORMAT_CONFIGURED || how == NODE_FORMAT_NO_INITIAL) return NULL;
    format->writes_voters = true;
    if (!controller) return "process.roles has no controller: it cannot be one of the first voters";
    if (own == NULL || own->host[0] == '\0' || own->port == 0)
        return "listeners: that of controller.listener.names needs a host and a port";
    if (how == NODE_FORMAT_STANDALONE) {
        struct quorum_member self;

        format->voters = (struct quorum_voters){.kraft_version = 1, .offset = -1};
        if (quorum_voters_member(&self, (int32_t)config->node_id, (struct uuid){{0}},
                                 str_of(own->host), own->port) != ERR_NONE ||
            quorum_voters_add(&format->voters, &self) != ERR_NONE)
            return "the host of the controller's listener is too long";
        return NULL;
    }
    if (!quorum_voters_parse(initial, &format->voters))
        return "--initial-controllers: id@host:port:directory[,...] is wanted, each id once, at "
               "most "
               "9, directories as 22 characters of base64";
    member = quorum_voters_find(&format->voters, (int32_t)config->node_id);
    if (member == NULL) return "--initial-controllers: this node.id is not among them";
    if (!str_equal(str_of(member->host), str_of(own->host)) || member->port != own->port)
        return "--initial-controllers: this node has another address in its listeners";
    return NULL;
}

enum err node_format_start(struct node_format *format, struct world *world,
                           const struct config *config, struct str cluster_id,
                           enum node_format_voters voters, struct str initial, bool keeps,
                           struct errmsg *error)
{
    const struct env_limits limits = {.ops_max = NODE_FORMAT_OPS_MAX,
                                      .payload_bytes = NODE_FORMAT_PAYLOAD};
    const char *wrong;
    struct text text;
    enum err err;

    *format = (struct node_format){
        .meta = {.node_id = (int32_t)config->node_id}, .config = *config, .keeps = keeps};
    text_init(&text, error->text, sizeof error->text);
    if (cluster_id.length == 0 || cluster_id.length >= sizeof format->meta.cluster_id) {
        text_cstr(&text, "--cluster-id: 1 to 63 characters are wanted");
        return ERR_BAD_CONFIG;
    }
    wrong = voters_wrong(format, voters, initial);
    if (wrong != NULL) {
        text_cstr(&text, wrong);
        return ERR_BAD_CONFIG;
    }
    memcpy(format->meta.cluster_id, cluster_id.data, cluster_id.length);
    world->node_id = (int32_t)config->node_id;
    err = env_init(&format->env, world, &limits, node_format_started);
    if (err != ERR_NONE) {
        text_init(&text, error->text, sizeof error->text);
        text_format(&text, "no memory: %s", err_name(err));
    }
    return err;
}
