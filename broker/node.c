#include "broker/node.h"

#include "broker/api/api.h"
#include "client/base/text.h"

#include <string.h>

enum {
    NODE_PARTITIONS_MAX = 200000,
    NODE_TOPICS_MAX = 100000,
    NODE_BROKERS_MAX = 1000,
    NODE_CALLS_MAX = 4096,               /* controller requests at once */
    NODE_CACHE_SHARE = 4,                /* the tail cache may have a quarter of the payload */
    NODE_CACHE_BATCHES = 1 << 16,
    NODE_OPS_OTHER = 1024,               /* flows of the log, the quorum, single ops */
    NODE_RESERVED_SHARE = 8,             /* of the payload, for replication and quorum */
};

static const struct {
    const char *name;
    uint32_t next; /* bits of legal moves */
} node_states[] = {
    [NODE_NEW] = {"NEW", 1u << NODE_OPENING},
    [NODE_OPENING] = {"OPENING", 1u << NODE_JOINING | 1u << NODE_CLOSING},
    [NODE_JOINING] = {"JOINING",
                      1u << NODE_REGISTERING | 1u << NODE_READY | 1u << NODE_CLOSING},
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

struct str node_cluster_id(const struct node *node)
{
    return str_of(node->dir.meta.cluster_id);
}

uint16_t node_port(const struct node *node)
{
    return node->state == NODE_READY && node->has_broker ? node->broker_server.port : 0;
}

/* One clear line, then down. The first reason counts. */
static void node_fail(struct node *node, enum err err, struct str what)
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

static void node_fail_err(struct node *node, const char *what, enum err err)
{
    char buffer[200];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%s: %s", what, err_name(err));
    node_fail(node, err, text_view(&text));
}

/* ---- the committed metadata --------------------------------------------------------------------- */

/* The loader runs its publishers: replicas follow the image, and who waits for the node looks. */
static void node_published(struct loader_publisher *publisher, const struct image *image)
{
    struct node *node = CONTAINER_OF(publisher, struct node, publisher);

    (void)image;
    if (node->has_broker && node->replicas.started) manager_apply(&node->replicas);
    op_wake(&node->changed);
}

/* ---- what the parts ask of the node -------------------------------------------------------------- */

static int64_t node_broker_epoch(struct manager_links *links)
{
    return CONTAINER_OF(links, struct node, manager_links)->lifecycle.broker_epoch;
}

static struct peer *node_controller_peer(struct manager_links *links)
{
    return channel_peer(&CONTAINER_OF(links, struct node, manager_links)->channel);
}

static void node_dirs_failed(struct manager_links *links)
{
    struct node *node = CONTAINER_OF(links, struct node, manager_links);

    node_fail(node, ERR_IO, STR("the last log directory failed"));
}
