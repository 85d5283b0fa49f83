/* CreateTopics and DeleteTopics as a broker serves them: passed on to the active controller, over
 * the same connection that carries heartbeats, and answered with what it says. A controller that
 * moved is looked for again until the request's own time-out. Also the creation of a topic that a
 * client merely named (auto.create.topics.enable).
 *
 * DIFFERS: Kafka wraps the client's request in an Envelope; without authentication there is nothing
 * to wrap it in, and the decoded request is sent as the broker's own. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "client/base/text.h"

#include <string.h>

enum topics_step { TOPICS_START, TOPICS_LEADER, TOPICS_ANSWERED, TOPICS_BACKOFF };
static const char *const topics_steps[] = {"START", "LEADER", "ANSWERED", "BACKOFF"};

enum { TOPICS_MARGIN_MS = 1000 }; /* the controller's own time-out comes first */

struct topics {
    struct op op;
    struct request *request;
    struct call call;
    const struct api_entry *entry;
    int64_t give_up_ns;
    bool create;
    union {
        struct create_topics_request create;
        struct delete_topics_request delete;
    } body;
    union {
        struct create_topics_response create;
        struct delete_topics_response delete;
    } answer;
};

static bool topics_not_controller(const struct topics *o)
{
    if (o->create) {
        return o->answer.create.topics_count > 0 &&
               o->answer.create.topics[0].error_code == ERR_NOT_CONTROLLER;
    }
    return o->answer.delete.responses_count > 0 &&
           o->answer.delete.responses[0].error_code == ERR_NOT_CONTROLLER;
}

/* What a client can read when the controller could not be asked in time. */
static void topics_fill_error(struct topics *o, enum err err)
{
    if (o->create) {
        const struct create_topics_request *body = &o->body.create;
        struct create_topics_response *answer = &o->answer.create;

        create_topics_response_default(answer);
        answer->topics =
            request_alloc(o->request, (body->topics_count + 1) * sizeof *answer->topics);
        if (answer->topics == NULL) return;
        for (uint32_t i = 0; i < body->topics_count; i++) {
            create_topics_response_topic_default(&answer->topics[i]);
            answer->topics[i].name = body->topics[i].name;
            answer->topics[i].error_code = (int16_t)err;
            answer->topics_count++;
        }
    } else {
        const struct delete_topics_request *body = &o->body.delete;
        struct delete_topics_response *answer = &o->answer.delete;
        uint32_t count = body->topics_count + body->topic_names_count;

        delete_topics_response_default(answer);
        answer->responses = request_alloc(o->request, (count + 1) * sizeof *answer->responses);
        if (answer->responses == NULL) return;
        for (uint32_t i = 0; i < count; i++) {
            delete_topics_response_topic_default(&answer->responses[i]);
            if (i < body->topics_count) {
                answer->responses[i].name = body->topics[i].name;
                answer->responses[i].topic_id = body->topics[i].topic_id;
            } else {
                answer->responses[i].name = body->topic_names[i - body->topics_count];
            }
            answer->responses[i].error_code = (int16_t)err;
            answer->responses_count++;
        }
    }
}

/* The request as this broker's own: DeleteTopics below 6 names topics in another field. */
static enum err topics_normalise(struct topics *o)
{
    struct delete_topics_request *body = &o->body.delete;
    uint32_t count = body->topic_names_count;

    if (o->create || count == 0) return ERR_NONE;
    body->topics = request_alloc(o->request, count * sizeof *body->topics);
    if (body->topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        delete_topics_request_topic_default(&body->topics[i]);
        body->topics[i].name = body->topic_names[i];
    }
    body->topics_count = count;
    body->topic_names = NULL;
    body->topic_names_count = 0;
    return ERR_NONE;
}

/* Not above the request's own time: a controller that hangs must not keep its client waiting. */
static int32_t topics_left_ms(const struct topics *o)
{
    int64_t left = (o->give_up_ns - o->request->env->now.mono.ns) / NS_PER_MS;

    return left < 1 ? 1 : left > INT32_MAX ? INT32_MAX : (int32_t)left;
}

static void topics_send(struct topics *o, struct peer *peer)
{
    call_init(&o->call, o->entry->key);
    o->call.body = &o->body;
    o->call.version_min = o->entry->served.last; /* the controller is one of ours */
    o->call.timeout_ms = topics_left_ms(o);
    peer_call(peer, &o->call);
}

static bool topics_decoded(struct topics *o)
{
    return o->call.result == ERR_NONE &&
           o->entry->response->decode(&o->call.reader, o->call.version, &o->request->arena,
                                      &o->answer) == ERR_NONE;
}

static enum op_result topics_run(struct op *op)
{
    struct topics *o = CONTAINER_OF(op, struct topics, op);
    struct channel *channel = &o->request->node->channel;

    switch ((enum topics_step)op->step) {
    case TOPICS_START:
        for (;;) {
            op_deadline(op, o->give_up_ns);
            AWAIT(o, TOPICS_LEADER, &channel->changed,
                  channel_peer(channel) != NULL || op_expired(op) ||
                      node_closing(o->request->node));
            if (op_expired(op) || node_closing(o->request->node)) break;
            topics_send(o, channel_peer(channel));
            AWAIT(o, TOPICS_ANSWERED, &o->call.done, call_done(&o->call));
            if (topics_decoded(o) && !topics_not_controller(o)) {
                request_reply(o->request, &o->answer);
                call_release(&o->call);
                return OP_DONE;
            }
            call_release(&o->call);
            if (o->request->env->now.mono.ns >= o->give_up_ns) break;
            op_deadline(op, env_deadline(o->request->env, CHANNEL_BACKOFF_MS));
            AWAIT(o, TOPICS_BACKOFF, NULL, op_expired(op));
        }
        topics_fill_error(o, ERR_REQUEST_TIMED_OUT);
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a topic request");
}

static void topics_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct topics, op)->request);
}

static const struct op_kind topics_kind = {"topics", topics_steps, COUNT_OF(topics_steps),
                                           topics_run, topics_finish};

void api_topics_handle(struct request *request)
{
    struct topics *o = request_alloc(request, sizeof *o);
    int32_t timeout_ms;

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    o->entry = api_find(request->header.request_api_key);
    o->create = o->entry->key == API_CREATE_TOPICS;
    timeout_ms = o->create ? o->body.create.timeout_ms : o->body.delete.timeout_ms;
    if (timeout_ms < 0) timeout_ms = 0;
    o->give_up_ns = env_deadline(request->env, (int64_t)timeout_ms + TOPICS_MARGIN_MS);
    if (topics_normalise(o) != ERR_NONE) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    op_start(&request->env->loop, &o->op, &topics_kind, TOPICS_START);
}

/* ---- topics that come into being because they were named ------------------------------------- */

enum auto_step { AUTO_START, AUTO_ANSWERED };
static const char *const auto_steps[] = {"START", "ANSWERED"};

enum { AUTO_CONFIGS_MAX = 3, AUTO_REPLICAS = 3 };

struct api_topics_auto {
    struct op op;
    struct list link;
    struct node *node;
    struct call call;
    struct create_topics_request body;
    struct create_topics_request_topic topic;
    struct create_topics_request_config configs[AUTO_CONFIGS_MAX];
    char segment_bytes[24];
    char name[249];
};

/* Whatever came of it: the client asks for metadata again and sees. */
static enum op_result auto_run(struct op *op)
{
    struct api_topics_auto *o = CONTAINER_OF(op, struct api_topics_auto, op);
    struct peer *peer = channel_peer(&o->node->channel);

    switch ((enum auto_step)op->step) {
    case AUTO_START:
        if (peer == NULL) return OP_DONE;
        call_init(&o->call, API_CREATE_TOPICS);
        o->call.body = &o->body;
        peer_call(peer, &o->call);
        AWAIT(o, AUTO_ANSWERED, &o->call.done, call_done(&o->call));
        call_release(&o->call);
        return OP_DONE;
    }
    IMPOSSIBLE("step of an automatic topic");
}

static void auto_finish(struct op *op)
{
    struct api_topics_auto *o = CONTAINER_OF(op, struct api_topics_auto, op);

    list_remove(&o->link);
    pool_give(&o->node->auto_topics, o);
}

static const struct op_kind auto_kind = {"auto_topic", auto_steps, COUNT_OF(auto_steps), auto_run,
                                         auto_finish};

void api_topics_init(struct node *node)
{
    pool_init(&node->auto_topics, &node->env.mem, sizeof(struct api_topics_auto),
              API_TOPICS_AUTO_MAX);
    list_init(&node->auto_topics_live);
}

bool api_topics_internal(struct str name)
{
    return str_equal(name, STR(COORDINATOR_TOPIC)) || str_equal(name, STR("__transaction_state"));
}

static void auto_config(struct api_topics_auto *o, const char *name, const char *value)
{
    struct create_topics_request_config *config = &o->configs[o->topic.configs_count++];

    ASSERT(o->topic.configs_count <= AUTO_CONFIGS_MAX);
    create_topics_request_config_default(config);
    config->name = str_of(name);
    config->value = str_of(value);
    o->topic.configs = o->configs;
}

/* __consumer_offsets as groups.md 1 has it. Unless it was set, the replication factor is what the
 * brokers there are can carry: a single node works without a word of configuration. */
static void auto_offsets_topic(struct api_topics_auto *o)
{
    const struct config *config = &o->node->config;
    int64_t replicas = config->offsets_topic_replication_factor;
    uint32_t brokers = o->node->loader.image.brokers.count;
    char buffer[160];
    struct text text;

    text_init(&text, o->segment_bytes, sizeof o->segment_bytes);
    text_i64(&text, config->offsets_topic_segment_bytes);
    auto_config(o, "cleanup.policy", "compact");
    auto_config(o, "segment.bytes", o->segment_bytes);
    if (replicas < 0) replicas = brokers < AUTO_REPLICAS ? (int64_t)brokers : AUTO_REPLICAS;
    o->topic.num_partitions = (int32_t)config->offsets_topic_num_partitions;
    o->topic.replication_factor = (int16_t)replicas;
    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "creating " COORDINATOR_TOPIC ": %d partitions, replication factor %D%s",
                o->topic.num_partitions, replicas,
                config->offsets_topic_replication_factor < 0 && replicas < AUTO_REPLICAS
                    ? " (as many brokers as there are; offsets.topic.replication.factor is not set)"
                    : "");
    trace_emit(o->node->env.world, TRACE_NODE_NOTE, text_view(&text), NULL, 0); /* no fields */
}

void api_topics_auto_create(struct node *node, struct str name)
{
    struct api_topics_auto *o;

    LIST_FOR_EACH (link, &node->auto_topics_live) {
        o = LIST_ENTRY(link, struct api_topics_auto, link);
        if (str_equal(o->topic.name, name)) return; /* asked for already */
    }
    if (name.length > sizeof o->name) return;
    o = pool_take(&node->auto_topics);
    if (o == NULL) return; /* the client asks again */
    o->node = node;
    memcpy(o->name, name.data, name.length);
    create_topics_request_default(&o->body);
    create_topics_request_topic_default(&o->topic);
    o->topic.name = (struct str){o->name, name.length};
    o->topic.num_partitions = -1;
    o->topic.replication_factor = -1;
    if (str_equal(name, STR(COORDINATOR_TOPIC))) auto_offsets_topic(o);
    o->body.topics = &o->topic;
    o->body.topics_count = 1;
    o->body.timeout_ms = (int32_t)node->config.request_timeout_ms;
    list_init(&o->link);
    list_push(&node->auto_topics_live, &o->link);
    op_start(&node->env.loop, &o->op, &auto_kind, AUTO_START);
}
