#include "broker/node.h"

#include "broker/node_parts.h"
#include "client/base/text.h"

enum {
    NODE_OPS_OTHER = 4096,   /* flows of the log, the quorum, controller calls, single ops */
    NODE_RESERVED_SHARE = 8, /* of the payload, for replication and quorum */
};

static const struct {
    const char *name;
    uint32_t next; /* bits of legal moves */
} node_states[] = {
    [NODE_NEW] = {"NEW", 1u << NODE_OPENING},
    [NODE_OPENING] = {"OPENING", 1u << NODE_JOINING | 1u << NODE_CLOSING},
    [NODE_JOINING] = {"JOINING", 1u << NODE_REGISTERING | 1u << NODE_READY | 1u << NODE_CLOSING},
    [NODE_REGISTERING] = {"REGISTERING",
                          1u << NODE_RECOVERING | 1u << NODE_LEAVING | 1u << NODE_CLOSING},
    [NODE_RECOVERING] = {"RECOVERING", 1u << NODE_READY | 1u << NODE_LEAVING | 1u << NODE_CLOSING},
    [NODE_READY] = {"READY", 1u << NODE_LEAVING | 1u << NODE_CLOSING},
    [NODE_LEAVING] = {"LEAVING", 1u << NODE_CLOSING},
    [NODE_CLOSING] = {"CLOSING", 1u << NODE_STOPPED},
    [NODE_STOPPED] = {"STOPPED", 0},
};
_Static_assert(COUNT_OF(node_states) == NODE_STATES, "one row a state");

const char *node_state_name(enum node_state state)
{
    return node_states[state].name;
}

static void node_set(struct node *node, enum node_state state)
{
    enum node_state old = node->state;

    ASSERT((node_states[old].next & (1u << state)) != 0);
    node->state = state;
    TRACE_TEXT(node->env.world, NODE_STATE, str_of(node_states[state].name), (int64_t)old,
               (int64_t)state);
    op_wake(&node->changed);
}

bool node_stopping(const struct node *node)
{
    return node->stop_wanted;
}

bool node_closing(const struct node *node)
{
    return node->state >= NODE_CLOSING;
}

struct str node_cluster_id(const struct node *node)
{
    return str_of(node->meta_dir->meta.cluster_id);
}

uint16_t node_port(const struct node *node)
{
    return node->state == NODE_READY && node->has_broker ? node->broker_server.port : 0;
}

/* One clear line, then down. The first reason counts. */
void node_fail(struct node *node, enum err err, struct str what)
{
    struct text text;

    if (node->status == 0) {
        node->status = 1;
        text_init(&text, node->message.text, sizeof node->message.text);
        text_str(&text, what);
        TRACE_TEXT(node->env.world, NODE_ERROR, text_view(&text), (int64_t)err);
    }
    node_stop(node);
}

void node_fail_err(struct node *node, const char *what, enum err err)
{
    char buffer[200];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%s: %s", what, err_name(err));
    node_fail(node, err, text_view(&text));
}

/* ---- the life of a node ---------------------------------------------------------------------- */

/* The directory whose turn it is: the metadata's first. */
static uint32_t node_dir_at(const struct node *node)
{
    uint32_t first = node_dirs_meta(node);

    if (node->dir_turn == 0) return first;
    return node->dir_turn <= first ? node->dir_turn - 1 : node->dir_turn;
}

static bool node_takes_dir(struct node *node)
{
    if (node->dir_turn > 0) {
        if (!node_dirs_take(node, node_dir_at(node))) return false;
        if (node->dir_turn + 1 < node->dir_count || !node->has_broker || node_dirs_any(node))
            return true;
        node_fail(node, ERR_IO, STR("no log directory can be used"));
        return false;
    }
    if (node->meta_dir->state == LOG_DIR_ONLINE) return true;
    node_fail(node, node->meta_dir->err, str_of(node->meta_dir->message.text));
    return false;
}

/* The registration is in our image, and so is all that was committed when we joined. */
static bool node_registered(const struct node *node)
{
    return node->lifecycle.broker_epoch >= 0 && loader_caught_up(&node->loader) &&
           node->loader.image.last_offset >= node->lifecycle.broker_epoch;
}

static bool node_listed(const struct node *node)
{
    return node->lifecycle.state == LIFECYCLE_RUNNING &&
           image_broker_active(&node->loader.image, (int32_t)node->config.node_id);
}

/* Something ends this node. A condition: no effect. */
static bool node_ending(const struct node *node)
{
    return node->stop_wanted || (node->has_quorum && node->quorum.state == QUORUM_FAILED) ||
           (node->has_dir && node->meta_dir->state == LOG_DIR_OFFLINE) ||
           (node->has_replicas && node->lifecycle.state == LIFECYCLE_LEFT);
}

/* The quorum has traced why it failed; the last line of the process says it for people. */
static void node_tell_quorum(struct node *node)
{
    struct text text;

    node->status = 1;
    text_init(&text, node->message.text, sizeof node->message.text);
    if (node->quorum.err == ERR_INCONSISTENT_CLUSTER_ID) {
        text_format(&text,
                    "INCONSISTENT_CLUSTER_ID: %s belongs to cluster %s, the controllers to another",
                    node->meta_dir->path, node->meta_dir->meta.cluster_id);
    } else {
        text_format(&text, "the metadata quorum of this node failed: %s",
                    err_name(node->quorum.err));
    }
}

/* Says what ends it, once. */
static bool node_ended(struct node *node)
{
    if (!node_ending(node)) return false;
    if (node->stop_wanted) return true;
    if (node->has_quorum && node->quorum.state == QUORUM_FAILED) {
        node_tell_quorum(node);
        node_stop(node);
    } else if (node->meta_dir->state == LOG_DIR_OFFLINE) {
        node_fail(node, node->meta_dir->err, str_of(node->meta_dir->message.text));
    } else {
        node_fail_err(node, "the cluster does not take this broker", node->lifecycle.failed);
    }
    return true;
}

/* The metadata log opened damaged below what was promised, and there are others who have it: it is
 * fetched again from its beginning. `acknowledged-end` still says what this node had promised, so
 * until it has that much again it neither votes nor leads (K27, S30). */
static bool node_refetches(const struct node *node)
{
    return node->metadata_log->state == LOG_FAILED && node->metadata_log->err == ERR_DAMAGED &&
           config_other_voters(&node->config);
}

static void node_refetch(struct node *node)
{
    TRACE_TEXT(node->env.world, NODE_WARNING,
               STR("the metadata log is damaged below what was acknowledged: it is emptied and "
                   "fetched again from the other voters"),
               ERR_DAMAGED);
    log_reset(node->metadata_log, 0);
}

static void node_fail_metadata(struct node *node)
{
    if (node->metadata_log->err == ERR_DAMAGED) {
        node_fail(node, ERR_DAMAGED,
                  STR("the metadata log (__cluster_metadata-0) is damaged below what was "
                      "acknowledged, and no other voter has it; see gregor-broker dump-log"));
    } else {
        node_fail_err(node, "the metadata log cannot be opened", node->metadata_log->err);
    }
}

enum node_up_step {
    NODE_UP_START,
    NODE_UP_DIR,
    NODE_UP_FORMATTED,
    NODE_UP_DIR_AGAIN,
    NODE_UP_METADATA,
    NODE_UP_METADATA_RESET,
    NODE_UP_LISTENING,
    NODE_UP_QUORUM,
    NODE_UP_CAUGHT_UP,
    NODE_UP_REGISTERED,
    NODE_UP_REPLICAS,
    NODE_UP_DOUBTS,
    NODE_UP_VOUCHED,
    NODE_UP_LISTED,
    NODE_UP_SERVING,
    NODE_UP_LEFT,
};
static const char *const node_up_steps[] = {
    "START",     "DIR",    "FORMATTED", "DIR_AGAIN",  "METADATA", "METADATA_RESET",
    "LISTENING", "QUORUM", "CAUGHT_UP", "REGISTERED", "REPLICAS", "DOUBTS",
    "VOUCHED",   "LISTED", "SERVING",   "LEFT"};

/* From nothing to READY, then until the controlled shutdown is over. Whatever ends it early,
 * node_down takes over from where it stands. */
static enum op_result node_up_run(struct op *op)
{
    struct node *o = CONTAINER_OF(op, struct node, op);
    enum err err;

    switch ((enum node_up_step)op->step) {
    case NODE_UP_START:
        node_set(o, NODE_OPENING);
        node_parts_dir(o);
        for (o->dir_turn = 0; o->dir_turn < o->dir_count; o->dir_turn++) {
            node_dirs_open(o, node_dir_at(o));
            AWAIT(o, NODE_UP_DIR, &o->changed, node_dirs_settled(o));
            if (node_dirs_new(o, node_dir_at(o))) {
                node_dirs_format(o, node_dir_at(o));
                AWAIT(o, NODE_UP_FORMATTED, &o->changed, node_dirs_settled(o));
                if (o->log_dirs[node_dir_at(o)].err == ERR_NONE) node_dirs_open(o, node_dir_at(o));
                AWAIT(o, NODE_UP_DIR_AGAIN, &o->changed, node_dirs_settled(o));
            }
            if (!node_takes_dir(o)) return OP_DONE;
        }
        node_parts_metadata(o);
        if (o->metadata_log == NULL) {
            node_fail(o, ERR_NO_MEMORY, STR("no memory to open the metadata log"));
            return OP_DONE;
        }
        AWAIT(o, NODE_UP_METADATA, &o->changed, o->metadata_log->state != LOG_OPENING);
        if (node_refetches(o)) node_refetch(o);
        AWAIT(o, NODE_UP_METADATA_RESET, &o->changed,
              o->metadata_log->state != LOG_TRUNCATING && !node_refetches(o));
        if (o->metadata_log->state != LOG_OPEN) {
            node_fail_metadata(o);
            return OP_DONE;
        }
        node_set(o, NODE_JOINING);
        node_parts_servers(o);
        AWAIT(o, NODE_UP_LISTENING, &o->changed,
              node_parts_listening(o) || node_parts_listen_failed(o) != ERR_NONE || node_ending(o));
        if (node_parts_listen_failed(o) != ERR_NONE) node_parts_fail_listen(o);
        if (node_ended(o)) return OP_DONE;
        err = node_parts_init(o);
        if (err != ERR_NONE) {
            node_fail_err(o, "the node's memory is too small", err);
            return OP_DONE;
        }
        quorum_start(&o->quorum);
        AWAIT(o, NODE_UP_QUORUM, &o->changed, o->quorum.state != QUORUM_STARTING);
        if (node_ended(o)) return OP_DONE;
        node_parts_serve(o);
        if (!o->has_broker) {
            AWAIT(o, NODE_UP_CAUGHT_UP, &o->changed,
                  loader_caught_up(&o->loader) || node_ending(o));
            if (node_ended(o)) return OP_DONE;
        } else {
            lifecycle_start(&o->lifecycle);
            node_set(o, NODE_REGISTERING);
            AWAIT(o, NODE_UP_REGISTERED, &o->changed, node_registered(o) || node_ending(o));
            if (node_ended(o)) return OP_DONE;
            node_set(o, NODE_RECOVERING);
            err = manager_start(&o->replicas, &o->loader.image);
            if (err != ERR_NONE) node_fail_err(o, "the replicas cannot be opened", err);
            coordinator_apply(&o->groups, &o->loader.image);
            AWAIT(o, NODE_UP_REPLICAS, &o->changed, o->replicas.started || node_ending(o));
            if (node_ended(o)) return OP_DONE;
            AWAIT(o, NODE_UP_DOUBTS, &o->changed, !manager_doubts(&o->replicas) || node_ending(o));
            if (node_ended(o)) return OP_DONE;
            /* Not before what a power loss has left is cut: the next life counts on it. */
            node_dirs_vouch(o);
            AWAIT(o, NODE_UP_VOUCHED, &o->changed, node_dirs_vouched(o) || node_ending(o));
            if (node_ended(o)) return OP_DONE;
            lifecycle_ready(&o->lifecycle);
            AWAIT(o, NODE_UP_LISTED, &o->changed, node_listed(o) || node_ending(o));
            if (node_ended(o)) return OP_DONE;
        }
        node_set(o, NODE_READY);
        mem_trim(&o->env.mem); /* logs that were opened, records of who leads now */
        TRACE(o->env.world, NODE_READY, o->has_broker ? o->broker_server.port : 0);
        AWAIT(o, NODE_UP_SERVING, &o->changed, node_ending(o));
        if (node_ended(o) && o->has_broker && o->status == 0) {
            node_set(o, NODE_LEAVING);
            lifecycle_leave(&o->lifecycle);
            AWAIT(o, NODE_UP_LEFT, &o->changed, o->lifecycle.state == LIFECYCLE_LEFT);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of a node");
}

enum node_down_step {
    NODE_DOWN_START,
    NODE_DOWN_SERVERS,
    NODE_DOWN_REPLICAS,
    NODE_DOWN_CHANNEL,
    NODE_DOWN_QUORUM,
    NODE_DOWN_METADATA,
    NODE_DOWN_DIR_SETTLED,
    NODE_DOWN_DIR,
};
static const char *const node_down_steps[] = {"START",  "SERVERS",  "REPLICAS",    "CHANNEL",
                                              "QUORUM", "METADATA", "DIR_SETTLED", "DIR"};

static enum op_result node_down_run(struct op *op)
{
    struct node *o = CONTAINER_OF(op, struct node, op);

    switch ((enum node_down_step)op->step) {
    case NODE_DOWN_START:
        node_set(o, NODE_CLOSING);
        o->stop_wanted = true;
        node_parts_close_servers(o);
        AWAIT(o, NODE_DOWN_SERVERS, &o->changed, node_parts_servers_closed(o));
        AWAIT(o, NODE_DOWN_REPLICAS, &o->changed, node_parts_replicas_closed(o));
        AWAIT(o, NODE_DOWN_CHANNEL, &o->changed, node_parts_channel_closed(o));
        node_parts_close_quorum(o);
        AWAIT(o, NODE_DOWN_QUORUM, &o->changed, node_parts_quorum_closed(o));
        node_parts_close_metadata(o);
        AWAIT(o, NODE_DOWN_METADATA, &o->changed, node_parts_metadata_closed(o));
        AWAIT(o, NODE_DOWN_DIR_SETTLED, &o->changed, node_dirs_settled(o));
        node_parts_close_dir(o);
        AWAIT(o, NODE_DOWN_DIR, &o->changed, node_parts_dir_closed(o));
        return OP_DONE;
    }
    IMPOSSIBLE("step of a stop");
}

static void node_down_finish(struct op *op)
{
    struct node *node = CONTAINER_OF(op, struct node, op);

    if (node->has_dir) node_dirs_tell_ranges(node);
    node_parts_deinit(node);
    node_set(node, NODE_STOPPED);
    TRACE(node->env.world, NODE_STOPPED, node->status);
    env_stop(&node->env, node->status);
}

static const struct op_kind node_down_kind = {
    "node_down", node_down_steps, COUNT_OF(node_down_steps), node_down_run, node_down_finish};

static void node_up_finish(struct op *op)
{
    struct node *node = CONTAINER_OF(op, struct node, op);

    op_start(&node->env.loop, &node->op, &node_down_kind, NODE_DOWN_START);
}

static const struct op_kind node_up_kind = {"node", node_up_steps, COUNT_OF(node_up_steps),
                                            node_up_run, node_up_finish};

static void node_started(struct env *env)
{
    struct node *node = CONTAINER_OF(env, struct node, env);

    TRACE(env->world, NODE_STARTED, 0, (int64_t)node->config.roles);
    op_start(&env->loop, &node->op, &node_up_kind, NODE_UP_START);
}

enum err node_start(struct node *node, struct world *world, const struct config *config,
                    bool format_alone, struct errmsg *error)
{
    const struct manager_limits replicas = node_parts_replica_limits();
    struct env_limits limits = {
        .ops_max = (uint32_t)config->max_connections * 4 +
                   (uint32_t)config->queued_max_requests * 2 + manager_ops_max(&replicas) +
                   NODE_OPS_OTHER,
        .payload_bytes = (size_t)config->queued_max_request_bytes,
        .payload_reserved = (size_t)config->queued_max_request_bytes / NODE_RESERVED_SHARE,
    };
    struct text text;
    enum err err;

    *node = (struct node){.config = *config,
                          .format_alone = format_alone,
                          .has_broker = config_has_role(config, CONFIG_ROLE_BROKER),
                          .has_controller = config_has_role(config, CONFIG_ROLE_CONTROLLER)};
    err = env_init(&node->env, world, &limits, node_started);
    if (err != ERR_NONE) {
        text_init(&text, error->text, sizeof error->text);
        text_format(&text, "the node's memory is too small: %s", err_name(err));
        return err;
    }
    op_source_init(&node->changed);
    world->node_id = (int32_t)config->node_id;
    return ERR_NONE;
}

void node_stop(struct node *node)
{
    if (node->stop_wanted && node->state == NODE_LEAVING) lifecycle_abandon(&node->lifecycle);
    node->stop_wanted = true;
    op_wake(&node->changed);
}
