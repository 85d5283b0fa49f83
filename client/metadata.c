#include "client/metadata.h"

#include "client/base/text.h"
#include "wire/metadata.h"

#include <string.h>

enum { METADATA_JITTER_PERCENT = 20 };

enum metadata_step {
    METADATA_START,
    METADATA_WANTED,
    METADATA_ANSWERED,
    METADATA_BACKED_OFF,
    METADATA_PEERS_CLOSED,
    METADATA_STEP_COUNT
};
static const char *const metadata_steps[METADATA_STEP_COUNT] = {
    [METADATA_START] = "START",
    [METADATA_WANTED] = "WANTED",
    [METADATA_ANSWERED] = "ANSWERED",
    [METADATA_BACKED_OFF] = "BACKED_OFF",
    [METADATA_PEERS_CLOSED] = "PEERS_CLOSED",
};
static enum op_result metadata_run(struct op *op);
static const struct op_kind metadata_kind = {"metadata", metadata_steps, METADATA_STEP_COUNT,
                                             metadata_run, NULL};

/* ---- pure ---------------------------------------------------------------------------------- */

bool metadata_epoch_acceptable(int32_t known_epoch, int32_t told_epoch, bool same_topic)
{
    if (!same_topic) return true;
    if (told_epoch < 0) return true; /* an old broker tells none */
    return told_epoch >= known_epoch;
}

bool metadata_next_address(struct str *list, struct str *host, uint16_t *port, enum err *err)
{
    struct str entry = *list;
    struct str digits;
    uint32_t colon = UINT32_MAX;
    uint64_t number = 0;

    *err = ERR_NONE;
    if (list->length == 0) return false;
    for (uint32_t i = 0; i < entry.length; i++) {
        if (entry.data[i] == ',') {
            entry.length = i;
            break;
        }
        if (entry.data[i] == ':') colon = i;
    }
    list->data += entry.length;
    list->length -= entry.length;
    if (list->length > 0) { /* the comma */
        list->data++;
        list->length--;
        if (list->length == 0) *err = ERR_BAD_CONFIG;
    }
    if (colon == UINT32_MAX || colon == 0) {
        *err = ERR_BAD_CONFIG;
        return false;
    }
    digits = (struct str){entry.data + colon + 1, entry.length - colon - 1};
    if (!text_parse_u64(digits, &number) || number == 0 || number > METADATA_PORT_MAX) {
        *err = ERR_BAD_CONFIG;
        return false;
    }
    *host = (struct str){entry.data, colon};
    if (host->length > 2 && host->data[0] == '[' && host->data[host->length - 1] == ']')
        *host = (struct str){host->data + 1, host->length - 2};
    *port = (uint16_t)number;
    return *err == ERR_NONE;
}

int64_t metadata_backoff_ms(struct metadata *metadata, uint32_t attempts)
{
    int64_t ms = metadata->config.retry_backoff_ms;
    int64_t spread;

    for (uint32_t i = 1; i < attempts && ms < metadata->config.retry_backoff_max_ms; i++)
        ms *= 2;
    if (ms > metadata->config.retry_backoff_max_ms) ms = metadata->config.retry_backoff_max_ms;
    spread = ms * METADATA_JITTER_PERCENT / 100;
    return rng_range(&metadata->rng, ms - spread, ms + spread);
}

/* ---- nodes --------------------------------------------------------------------------------- */

struct metadata_node *metadata_find_node(const struct metadata *metadata, int32_t id)
{
    struct map_node *node = map_find_u64(&metadata->nodes, (uint64_t)(int64_t)id);

    return node != NULL ? MAP_ENTRY(node, struct metadata_node, by_id) : NULL;
}

enum err metadata_add_node(struct metadata *metadata, int32_t id, struct str host, uint16_t port)
{
    struct metadata_node *node;
    uint64_t seed;
    enum err err;

    if (metadata->nodes.count + metadata->leaving_count >= metadata->config.nodes_max)
        return ERR_TOO_MANY;
    if (host.length > PEER_HOST_MAX) return ERR_TOO_LARGE;
    node = mem_zalloc(&metadata->env->mem, sizeof *node);
    if (node == NULL) return ERR_NO_MEMORY;
    node->id = id;
    node->listed = true;
    list_init(&node->leaving);
    err = map_add_u64(&metadata->nodes, &node->by_id, (uint64_t)(int64_t)id);
    if (err != ERR_NONE) {
        mem_free(&metadata->env->mem, node, sizeof *node);
        return err;
    }
    seed = rng_u64(&metadata->rng);
    err = peer_init(&node->peer, metadata->env, &metadata->config.peer, id, host, port, seed);
    ASSERT(err == ERR_NONE); /* the host's length was looked at above */
    return ERR_NONE;
}

void metadata_drop_node(struct metadata *metadata, struct metadata_node *node)
{
    map_remove(&metadata->nodes, &node->by_id);
    list_push(&metadata->leaving, &node->leaving);
    metadata->leaving_count++;
    peer_close(&node->peer);
}

void metadata_reap(struct metadata *metadata)
{
    LIST_FOR_EACH_SAFE (link, after, &metadata->leaving) {
        struct metadata_node *node = LIST_ENTRY(link, struct metadata_node, leaving);

        if (node->peer.state != PEER_CLOSED || op_live(&node->peer.op)) continue;
        if (!op_source_empty(&node->peer.changed)) continue;
        list_remove(&node->leaving);
        metadata->leaving_count--;
        peer_deinit(&node->peer);
        mem_free(&metadata->env->mem, node, sizeof *node);
    }
}

static void metadata_drop_all(struct metadata *metadata)
{
    MAP_FOR_EACH_SAFE (node, after, &metadata->nodes)
        metadata_drop_node(metadata, MAP_ENTRY(node, struct metadata_node, by_id));
}

/* Entries that parse were checked by metadata_init(). */
static enum err metadata_bootstrap(struct metadata *metadata)
{
    struct str list = metadata->config.bootstrap;
    struct str host;
    uint16_t port = 0;
    int32_t id = -1;
    enum err err = ERR_NONE;
    enum err added = ERR_NONE;

    metadata->bootstrapped = false;
    metadata_drop_all(metadata);
    while (id >= -METADATA_BOOTSTRAP_MAX && metadata_next_address(&list, &host, &port, &err)) {
        /* ids go on below, because the old entries may still be leaving */
        enum err one = metadata_add_node(metadata, id--, host, port);

        if (one != ERR_NONE) added = one;
    }
    if (err != ERR_NONE) return err;
    return id == -1 ? ERR_BAD_CONFIG : added;
}

struct peer *metadata_peer(const struct metadata *metadata, int32_t node_id)
{
    struct metadata_node *node = metadata_find_node(metadata, node_id);

    return node != NULL ? &node->peer : NULL;
}

/* Smaller is better: ready and unused; ready; on its way; the oldest attempt. */
static int64_t metadata_cost(const struct peer *peer)
{
    switch (peer->state) {
    case PEER_READY: return peer_load(peer);
    case PEER_RESOLVING:
    case PEER_CONNECTING:
    case PEER_NEGOTIATING: return INT64_C(1) << 32;
    case PEER_IDLE: return (INT64_C(1) << 33) + peer->last_attempt_ns / NS_PER_MS;
    case PEER_BACKOFF: return (INT64_C(1) << 52) + peer->last_attempt_ns / NS_PER_MS;
    case PEER_CLOSING:
    case PEER_CLOSED:
    case PEER_STATE_COUNT: break;
    }
    return INT64_MAX;
}

struct peer *metadata_any(struct metadata *metadata)
{
    struct peer *best = NULL;
    int64_t best_cost = INT64_MAX;
    uint64_t skip;
    struct map_node *node;

    if (metadata->nodes.count == 0) return NULL;
    skip = rng_below(&metadata->rng, metadata->nodes.count);
    node = map_first(&metadata->nodes);
    for (uint64_t i = 0; i < skip; i++)
        node = map_next(&metadata->nodes, node);
    for (uint32_t i = 0; i < metadata->nodes.count; i++) {
        struct peer *peer = &MAP_ENTRY(node, struct metadata_node, by_id)->peer;
        int64_t cost = metadata_cost(peer);

        if (cost < best_cost) {
            best = peer;
            best_cost = cost;
        }
        node = map_next(&metadata->nodes, node);
        if (node == NULL) node = map_first(&metadata->nodes);
    }
    return best;
}

/* ---- topics -------------------------------------------------------------------------------- */

enum err metadata_use(struct metadata *metadata, struct str name, struct metadata_topic **topic)
{
    struct map_node *node = map_find_str(&metadata->topics, name);
    struct metadata_topic *made;
    enum err err;

    if (node != NULL) {
        *topic = MAP_ENTRY(node, struct metadata_topic, by_name);
        (*topic)->users++;
        return ERR_NONE;
    }
    if (name.length == 0 || name.length > METADATA_TOPIC_NAME_MAX)
        return ERR_INVALID_TOPIC_EXCEPTION;
    made = mem_zalloc(&metadata->env->mem, sizeof *made);
    if (made == NULL) return ERR_NO_MEMORY;
    memcpy(made->name, name.data, name.length);
    made->name_length = name.length;
    made->users = 1;
    err = map_add_str(&metadata->topics, &made->by_name, metadata_name(made));
    if (err != ERR_NONE) {
        mem_free(&metadata->env->mem, made, sizeof *made);
        return err;
    }
    metadata->urgent = true;
    metadata->wanted = true;
    op_wake(&metadata->wake);
    *topic = made;
    return ERR_NONE;
}

void metadata_free_partitions(struct metadata *metadata, struct metadata_topic *topic)
{
    mem_free(&metadata->env->mem, topic->partitions,
             topic->partitions_count * sizeof *topic->partitions);
    topic->partitions = NULL;
    topic->partitions_count = 0;
}

void metadata_unuse(struct metadata *metadata, struct metadata_topic *topic)
{
    ASSERT(topic->users > 0);
    topic->users--;
    if (topic->users > 0) return;
    map_remove(&metadata->topics, &topic->by_name);
    metadata_free_partitions(metadata, topic);
    mem_free(&metadata->env->mem, topic, sizeof *topic);
}

struct metadata_topic *metadata_topic_by_id(const struct metadata *metadata, struct uuid id)
{
    MAP_FOR_EACH (node, &metadata->topics) {
        struct metadata_topic *topic = MAP_ENTRY(node, struct metadata_topic, by_name);

        if (uuid_equal(topic->id, id)) return topic;
    }
    return NULL;
}

struct peer *metadata_leader(struct metadata *metadata, const struct metadata_topic *topic,
                             int32_t partition)
{
    struct metadata_node *node = NULL;

    if (partition >= 0 && (uint32_t)partition < topic->partitions_count &&
        topic->partitions[partition].leader >= 0)
        node = metadata_find_node(metadata, topic->partitions[partition].leader);
    if (node == NULL) {
        metadata_refresh(metadata);
        return NULL;
    }
    return &node->peer;
}

void metadata_refresh(struct metadata *metadata)
{
    if (metadata->wanted) return;
    metadata->wanted = true;
    op_wake(&metadata->wake);
}

static void metadata_told(struct metadata *metadata)
{
    metadata->version++;
    op_wake(&metadata->changed);
}

void metadata_hint(struct metadata *metadata, struct metadata_topic *topic, int32_t partition,
                   int32_t leader, int32_t leader_epoch)
{
    struct metadata_partition *known;

    if (partition < 0 || (uint32_t)partition >= topic->partitions_count || leader < 0) return;
    known = &topic->partitions[partition];
    if (leader_epoch <= known->leader_epoch) return;
    if (metadata_find_node(metadata, leader) == NULL) {
        metadata_refresh(metadata);
        return;
    }
    known->leader = leader;
    known->leader_epoch = leader_epoch;
    known->error = ERR_NONE;
    metadata_told(metadata);
}

void metadata_hint_node(struct metadata *metadata, int32_t id, struct str host, int32_t port)
{
    struct metadata_node *node = metadata_find_node(metadata, id);

    if (node != NULL || !metadata->bootstrapped || id < 0) return;
    if (host.data == NULL || port <= 0 || port > METADATA_PORT_MAX) return;
    if (metadata_add_node(metadata, id, host, (uint16_t)port) != ERR_NONE)
        metadata_refresh(metadata);
}

/* ---- the op -------------------------------------------------------------------------------- */

static enum err metadata_encode(struct call *call, int16_t version, struct wire_writer *writer)
{
    struct metadata *metadata = CONTAINER_OF(call, struct metadata, call);
    struct metadata_request request;
    uint32_t count = 0;

    metadata_request_default(&request);
    arena_reset(&metadata->arena);
    request.topics =
        arena_zalloc(&metadata->arena, (metadata->topics.count + 1) * sizeof *request.topics);
    if (request.topics == NULL) return ERR_NO_MEMORY;
    MAP_FOR_EACH (node, &metadata->topics) {
        struct metadata_request_topic *topic = &request.topics[count++];

        metadata_request_topic_default(topic);
        topic->name = metadata_name(MAP_ENTRY(node, struct metadata_topic, by_name));
    }
    request.topics_count = count;
    request.topics_null = false;
    request.allow_auto_topic_creation = metadata->config.auto_create;
    return metadata_request_encode(writer, version, &request);
}

static void metadata_ask(struct metadata *metadata)
{
    struct peer *peer = metadata_any(metadata);

    metadata->wanted = false;
    metadata->urgent = false;
    call_init(&metadata->call, API_METADATA);
    metadata->call.version_min = 1; /* version 0 cannot ask for no topics */
    metadata->call.encode = metadata_encode;
    if (peer != NULL) {
        peer_call(peer, &metadata->call);
    } else {
        metadata->call.finished = true;
        metadata->call.result = ERR_BROKER_NOT_AVAILABLE;
    }
}

static void metadata_answered(struct metadata *metadata)
{
    bool settled = false;

    if (metadata->closing) return;
    arena_reset(&metadata->arena);
    metadata->last_error = metadata_take(metadata, &settled);
    call_release(&metadata->call);
    arena_reset(&metadata->arena);
    if (metadata->last_error == ERR_NONE) {
        metadata->failures = 0;
        metadata->unsettled = settled ? 0 : metadata->unsettled + 1;
        metadata->refreshed_ns = metadata->env->now.mono.ns;
        if (!settled) metadata->wanted = true;
    } else {
        metadata->failures++;
        metadata->wanted = true;
        /* Each node had its turn, and none answered: what we know of them may be history. */
        if (metadata->bootstrapped && metadata->failures > metadata->nodes.count &&
            metadata_bootstrap(metadata) == ERR_NONE)
            metadata->failures = 0;
    }
    metadata_told(metadata);
}

static bool metadata_due(const struct metadata *metadata)
{
    return metadata->closing || metadata->wanted || op_expired(&metadata->op);
}

static bool metadata_peers_gone(struct metadata *metadata)
{
    const struct metadata_node *node;

    if (list_empty(&metadata->leaving)) return true;
    node = LIST_ENTRY(metadata->leaving.next, struct metadata_node, leaving);
    return node->peer.state == PEER_CLOSED;
}

static struct op_source *metadata_leaving_source(struct metadata *metadata)
{
    return &LIST_ENTRY(metadata->leaving.next, struct metadata_node, leaving)->peer.changed;
}

static enum op_result metadata_run(struct op *op)
{
    struct metadata *o = CONTAINER_OF(op, struct metadata, op);

    switch ((enum metadata_step)op->step) {
    case METADATA_START:
        while (!o->closing) {
            op_deadline(op, o->refreshed_ns + o->config.max_age_ms * NS_PER_MS);
            AWAIT(o, METADATA_WANTED, &o->wake, metadata_due(o));
            if (o->closing) break;
            metadata_ask(o);
            AWAIT(o, METADATA_ANSWERED, &o->call.done, call_done(&o->call));
            metadata_answered(o);
            op_deadline(op,
                        env_deadline(o->env, metadata_backoff_ms(o, o->failures + o->unsettled)));
            AWAIT(o, METADATA_BACKED_OFF, &o->wake, o->closing || o->urgent || op_expired(op));
        }
        metadata_drop_all(o);
        op_deadline(op, OP_NO_DEADLINE);
        while (!list_empty(&o->leaving)) {
            AWAIT(o, METADATA_PEERS_CLOSED, metadata_leaving_source(o), metadata_peers_gone(o));
            metadata_reap(o);
        }
        metadata_told(o);
        return OP_DONE;
    case METADATA_STEP_COUNT: break;
    }
    IMPOSSIBLE("step");
}

/* ---- life ---------------------------------------------------------------------------------- */

void metadata_config_default(struct metadata_config *config)
{
    *config = (struct metadata_config){
        .bootstrap = STR("127.0.0.1:9092"),
        .max_age_ms = 300000,
        .retry_backoff_ms = 100,
        .retry_backoff_max_ms = 1000,
        .auto_create = true,
        .nodes_max = 1000,
        .topics_max = 10000,
        .partitions_max = 100000,
    };
    peer_config_default(&config->peer);
}

enum err metadata_init(struct metadata *metadata, struct env *env,
                       const struct metadata_config *config)
{
    struct str list = config->bootstrap;
    struct str host;
    uint16_t port = 0;
    uint32_t count = 0;
    enum err err = ERR_NONE;

    while (metadata_next_address(&list, &host, &port, &err))
        count++;
    if (err != ERR_NONE || count == 0 || count > METADATA_BOOTSTRAP_MAX) return ERR_BAD_CONFIG;
    *metadata =
        (struct metadata){.env = env, .config = *config, .controller_id = -1, .wanted = true};
    rng_init(&metadata->rng, dice_seed(env->world, DICE_CLIENT));
    op_source_init(&metadata->changed);
    op_source_init(&metadata->wake);
    list_init(&metadata->leaving);
    map_init(&metadata->nodes, &env->mem, dice_seed(env->world, DICE_HASH), config->nodes_max);
    map_init(&metadata->topics, &env->mem, dice_seed(env->world, DICE_HASH), config->topics_max);
    arena_init(&metadata->arena, &env->mem, METADATA_ARENA_MAX);
    metadata->refreshed_ns = env->now.mono.ns;
    call_init(&metadata->call, API_METADATA);
    err = metadata_bootstrap(metadata);
    if (metadata->nodes.count == 0) { /* no memory for even one */
        map_deinit(&metadata->nodes);
        return err;
    }
    op_start(&env->loop, &metadata->op, &metadata_kind, METADATA_START);
    return ERR_NONE;
}

void metadata_close(struct metadata *metadata)
{
    if (metadata->closing) return;
    metadata->closing = true;
    call_cancel(&metadata->call);
    op_resume(&metadata->op);
}

bool metadata_closed(const struct metadata *metadata)
{
    return metadata->closing && !op_live(&metadata->op);
}

void metadata_deinit(struct metadata *metadata)
{
    ASSERT(metadata_closed(metadata));
    metadata_racks_deinit(metadata);
    map_deinit(&metadata->nodes);
    map_deinit(&metadata->topics);
    arena_deinit(&metadata->arena);
}
