/* One Fetch request: what it asks, and what its answer means for each partition. */
#include "client/consumer.h"

enum consumer_fetch_step {
    CONSUMER_FETCH_START,
    CONSUMER_FETCH_ANSWERED,
    CONSUMER_FETCH_STEP_COUNT
};
static const char *const consumer_fetch_steps[CONSUMER_FETCH_STEP_COUNT] = {
    [CONSUMER_FETCH_START] = "START",
    [CONSUMER_FETCH_ANSWERED] = "ANSWERED",
};

enum { FETCH_THROTTLE_FROM = 8, FETCH_IDS_FROM = 13 };

/* ---- sessions ------------------------------------------------------------------------------- */

static void consumer_session_forget_all(struct consumer_session *session)
{
    LIST_FOR_EACH_SAFE (link, after, &session->members) {
        struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, session_link);

        list_remove(&partition->session_link);
        partition->session = NULL;
    }
}

void consumer_session_drop(struct consumer_partition *partition)
{
    if (partition->session == NULL) return;
    partition->session->renew = true; /* the node still has it */
    list_remove(&partition->session_link);
    partition->session = NULL;
}

static void consumer_session_end(struct consumer *consumer, struct consumer_session *session)
{
    consumer_session_forget_all(session);
    list_remove(&session->link);
    pool_give(&consumer->sessions, session);
}

void consumer_session_end_all(struct consumer *consumer)
{
    LIST_FOR_EACH_SAFE (link, after, &consumer->sessions_live) {
        consumer_session_end(consumer, LIST_ENTRY(link, struct consumer_session, link));
    }
}

static bool consumer_session_busy(const struct consumer *consumer,
                                  const struct consumer_session *session)
{
    LIST_FOR_EACH (link, &consumer->in_flight)
        if (LIST_ENTRY(link, struct consumer_fetch, link)->session == session) return true;
    return false;
}

/* Of this node; a node that is gone makes room. NULL: all are in use. */
static struct consumer_session *consumer_session_of(struct consumer *consumer, int32_t node)
{
    struct consumer_session *idle = NULL;
    struct consumer_session *session;

    LIST_FOR_EACH (link, &consumer->sessions_live) {
        session = LIST_ENTRY(link, struct consumer_session, link);
        if (session->node == node) return session;
        if (idle == NULL && !consumer_session_busy(consumer, session)) idle = session;
    }
    session = pool_take(&consumer->sessions);
    if (session == NULL && idle != NULL) {
        consumer_session_end(consumer, idle);
        session = pool_take(&consumer->sessions);
    }
    if (session == NULL) return NULL;
    session->node = node;
    list_init(&session->members);
    list_init(&session->link);
    list_push(&consumer->sessions_live, &session->link);
    return session;
}

/* ---- asking --------------------------------------------------------------------------------- */

static int32_t consumer_fetch_epoch(const struct consumer_partition *partition)
{
    return partition->topic->partitions[partition->index].leader_epoch;
}

static void consumer_fetch_name(struct consumer_fetch *fetch, struct consumer_partition *partition)
{
    struct fetch_request *body = &fetch->body;
    struct fetch_request_partition *asked = &fetch->partitions[fetch->named];
    struct fetch_request_topic *topic = NULL;

    /* Partitions come in the order of their turn; those of one topic mostly stand together. */
    if (fetch->named > 0 &&
        str_equal(fetch->topics[body->topics_count - 1].topic, metadata_name(partition->topic))) {
        topic = &fetch->topics[body->topics_count - 1];
    } else {
        topic = &fetch->topics[body->topics_count++];
        fetch_request_topic_default(topic);
        topic->topic = metadata_name(partition->topic);
        topic->topic_id = partition->topic->id;
        topic->partitions = asked;
    }
    topic->partitions_count++;
    fetch->named++;
    partition->asked_epoch = consumer_fetch_epoch(partition);
    partition->asked_offset = partition->position;
    partition->asked_topic = partition->topic->id;
    fetch_request_partition_default(asked);
    asked->partition = partition->index;
    asked->current_leader_epoch = partition->asked_epoch;
    asked->fetch_offset = partition->asked_offset;
    asked->partition_max_bytes = partition->consumer->config.partition_max_bytes;
}

static void consumer_fetch_ask(struct consumer_fetch *fetch, struct consumer_partition *partition)
{
    struct consumer_session *session = fetch->session;

    if (partition->session != session) {
        consumer_session_drop(partition); /* read from another node until now */
        partition->session = session;
        list_push(&session->members, &partition->session_link);
    }
    partition->asked_moves = partition->moves;
    partition->fetching = true;
}

static void consumer_fetch_forget(struct consumer_fetch *fetch,
                                  struct consumer_partition *partition)
{
    struct fetch_request *body = &fetch->body;
    struct fetch_request_forgotten_topic *topic =
        &fetch->forgotten_topics[body->forgotten_topics_data_count++];

    fetch_request_forgotten_topic_default(topic);
    topic->topic = metadata_name(partition->topic);
    topic->topic_id = partition->asked_topic;
    topic->partitions = &fetch->forgotten_partitions[fetch->forgotten];
    topic->partitions_count = 1;
    fetch->forgotten_partitions[fetch->forgotten++] = partition->index;
    list_remove(&partition->session_link);
    partition->session = NULL;
}

/* The members that the node knows as they are; those that have no part in this fetch are
 * forgotten, those that are elsewhere by now named below. False: too many, a full fetch says it
 * shorter. */
static bool consumer_fetch_members(struct consumer_fetch *fetch, const struct peer *peer)
{
    LIST_FOR_EACH_SAFE (link, after, &fetch->session->members) {
        struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, session_link);

        if (!uuid_equal(partition->asked_topic, partition->topic->id)) return false;
        if (!consumer_fetchable(partition) || consumer_source(partition) != peer) {
            if (fetch->forgotten == CONSUMER_FETCH_PARTITIONS) return false;
            consumer_fetch_forget(fetch, partition);
        }
    }
    LIST_FOR_EACH (link, &fetch->session->members) {
        struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, session_link);

        if (partition->asked_offset == partition->position &&
            partition->asked_epoch == consumer_fetch_epoch(partition)) {
            consumer_fetch_ask(fetch, partition);
        }
    }
    return true;
}

/* All partitions of a topic follow each other, so that the topic is named once. False: there are
 * more. */
static bool consumer_fetch_collect(struct consumer_fetch *fetch, const struct peer *peer)
{
    struct consumer *consumer = fetch->consumer;

    LIST_FOR_EACH (first, &consumer->partitions) {
        const struct consumer_partition *leading =
            LIST_ENTRY(first, struct consumer_partition, link);
        const struct metadata_topic *topic = leading->topic;

        if (!consumer_fetchable(leading)) continue; /* also: its topic was collected */
        LIST_FOR_EACH (link, &consumer->partitions) {
            struct consumer_partition *partition =
                LIST_ENTRY(link, struct consumer_partition, link);

            if (partition->topic != topic || !consumer_fetchable(partition)) continue;
            if (consumer_source(partition) != peer) continue;
            if (fetch->named == CONSUMER_FETCH_PARTITIONS) return false;
            consumer_fetch_ask(fetch, partition);
            consumer_fetch_name(fetch, partition);
        }
    }
    return true;
}

static bool consumer_fetch_has_ids(const struct consumer *consumer)
{
    LIST_FOR_EACH (link, &consumer->partitions) {
        const struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, link);

        if (consumer_fetchable(partition) && uuid_is_zero(partition->topic->id)) return false;
    }
    return true;
}

static void consumer_fetch_begin(struct consumer_fetch *fetch)
{
    struct fetch_request *body = &fetch->body;

    body->topics_count = 0;
    body->forgotten_topics_data_count = 0;
    fetch->named = 0;
    fetch->forgotten = 0;
}

static void consumer_fetch_fill(struct consumer_fetch *fetch, const struct peer *peer)
{
    struct consumer_session *session = fetch->session;
    struct fetch_request *body = &fetch->body;
    bool by_name = !consumer_fetch_has_ids(fetch->consumer);
    bool again = session->renew || session->epoch == 0 || session->by_name != by_name;

    session->by_name = by_name;
    session->renew = false;
    if (by_name) fetch->call.version_max = FETCH_IDS_FROM - 1;
    consumer_fetch_begin(fetch);
    if (again || !consumer_fetch_members(fetch, peer)) {
        consumer_fetch_begin(fetch);
        consumer_session_forget_all(session);
        session->epoch = 0;
        fetch->full = true;
    }
    body->session_id = session->id;
    body->session_epoch = session->epoch;
    /* What found no place is named by the next one, which is not to wait for this one. */
    if (!consumer_fetch_collect(fetch, peer) && session->id != 0) body->max_wait_ms = 0;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void consumer_fetch_failed(struct consumer_partition *partition, enum err err)
{
    if (partition->preferred >= 0) { /* the leader knows better */
        consumer_prefer(partition, -1);
        partition->consumer->near_from_ns =
            env_deadline(partition->consumer->env, CONSUMER_NEAR_RETRY_MS);
        if (err == ERR_OFFSET_OUT_OF_RANGE) {
            consumer_kick(partition->consumer);
            return;
        }
    }
    switch (err_retry(err)) {
    case ERR_RETRIABLE:
    case ERR_RETRIABLE_META: break;
    case ERR_FINAL:
        if (err == ERR_OFFSET_OUT_OF_RANGE) {
            consumer_reset(partition, err);
            return;
        }
        if (err_is_wire(err) && err != ERR_UNKNOWN_SERVER_ERROR) {
            consumer_fail(partition, err);
            return;
        }
        if (err == ERR_UNSUPPORTED_VERSION) {
            consumer_fail(partition, err);
            return;
        }
        break;
    }
    if (err == ERR_CORRUPT_MESSAGE) {
        consumer_fail(partition, err);
    } else {
        consumer_retry(partition, API_FETCH, err);
    }
}

static void consumer_fetch_hold(struct consumer_fetch *fetch, struct consumer_partition *partition,
                                const struct fetch_response_partition *answer)
{
    struct consumer *consumer = fetch->consumer;
    struct bytes records = answer->records;

    ASSERT(partition->held == NULL && !partition->in_batch);
    if (records.data == NULL || records.length == 0) return;
    if (consumer->config.read_committed && !consumer_aborted_take(partition, answer)) {
        consumer_retry(partition, API_FETCH, ERR_NO_MEMORY);
        return;
    }
    partition->held = buf_ref(fetch->call.frame.buf);
    partition->held_bytes = records.length;
    consumer->buffered += records.length;
    record_batch_iter_init(&partition->batches, records);
    op_wake(&consumer->ready);
}

/* A leader sends us on, again and again, as long as we tell our rack. Who is not known here, or not
 * reached, would keep us from reading: then we tell none for a while, and ask who is there. */
static void consumer_fetch_prefer(struct consumer_partition *partition, int32_t node)
{
    struct consumer *consumer = partition->consumer;
    const struct peer *peer = metadata_peer(&consumer->metadata, node);

    if (peer != NULL && peer_usable(peer)) {
        consumer_prefer(partition, node);
        return;
    }
    consumer->near_from_ns = env_deadline(consumer->env, CONSUMER_NEAR_RETRY_MS);
    metadata_refresh(&consumer->metadata);
}

static void consumer_fetch_partition(struct consumer_fetch *fetch,
                                     struct consumer_partition *partition,
                                     const struct fetch_response_partition *answer)
{
    enum err err = err_from_wire(answer->error_code);
    bool news;

    if (err != ERR_NONE) {
        metadata_hint(&fetch->consumer->metadata, partition->topic, partition->index,
                      answer->current_leader.leader_id, answer->current_leader.leader_epoch);
        consumer_fetch_failed(partition, err);
        return;
    }
    if (answer->preferred_read_replica >= 0)
        consumer_fetch_prefer(partition, answer->preferred_read_replica);
    news = partition->high_watermark != answer->high_watermark ||
           partition->last_stable != answer->last_stable_offset;
    partition->failures = 0;
    partition->high_watermark = answer->high_watermark;
    partition->last_stable = answer->last_stable_offset;
    partition->log_start = answer->log_start_offset;
    consumer_fetch_hold(fetch, partition, answer);
    if (news) op_wake(&fetch->consumer->ready);
}

static const struct fetch_response_partition *
consumer_fetch_find(const struct consumer_fetch *fetch, const struct fetch_response *response,
                    const struct consumer_partition *partition)
{
    bool by_id = fetch->call.version >= FETCH_IDS_FROM;

    for (uint32_t t = 0; t < response->responses_count; t++) {
        const struct fetch_response_topic *topic = &response->responses[t];

        if (by_id ? !uuid_equal(topic->topic_id, partition->topic->id)
                  : !str_equal(topic->topic, metadata_name(partition->topic)))
            continue;
        for (uint32_t p = 0; p < topic->partitions_count; p++)
            if (topic->partitions[p].partition_index == partition->index)
                return &topic->partitions[p];
    }
    return NULL;
}

static enum err consumer_fetch_decode(struct consumer_fetch *fetch, struct fetch_response *response)
{
    struct consumer *consumer = fetch->consumer;
    struct peer *peer = metadata_peer(&consumer->metadata, fetch->node);
    enum err err = fetch->call.result;

    arena_reset(&consumer->arena);
    fetch_response_default(response);
    if (err == ERR_NONE)
        err = fetch_response_decode(&fetch->call.reader, fetch->call.version, &consumer->arena,
                                    response);
    if (err != ERR_NONE) return err;
    if (peer != NULL && fetch->call.version >= FETCH_THROTTLE_FROM)
        peer_throttle(peer, response->throttle_time_ms);
    for (uint32_t i = 0; i < response->node_endpoints_count; i++)
        metadata_hint_node(&consumer->metadata, response->node_endpoints[i].node_id,
                           response->node_endpoints[i].host, response->node_endpoints[i].port);
    return err_from_wire(response->error_code);
}

/* What the answer means for the session. True: the partitions are asked for again at once. */
static bool consumer_fetch_session(struct consumer_fetch *fetch, enum err err, int32_t id)
{
    struct consumer_session *session = fetch->session;

    if (err == ERR_FETCH_SESSION_ID_NOT_FOUND) session->id = 0;
    if (err == ERR_NONE) session->id = id;
    if (err != ERR_NONE || id == 0) {
        session->epoch = 0;
        return !fetch->full &&
               (err == ERR_FETCH_SESSION_ID_NOT_FOUND || err == ERR_INVALID_FETCH_SESSION_EPOCH ||
                err == ERR_FETCH_SESSION_TOPIC_ID_ERROR);
    }
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    return false;
}

static void consumer_fetch_take(struct consumer_fetch *fetch)
{
    struct consumer_session *session = fetch->session;
    struct fetch_response response;
    enum err err = consumer_fetch_decode(fetch, &response);
    bool again = consumer_fetch_session(fetch, err, err == ERR_NONE ? response.session_id : 0);

    LIST_FOR_EACH_SAFE (link, after, &session->members) {
        struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, session_link);
        const struct fetch_response_partition *answer;

        answer = err == ERR_NONE ? consumer_fetch_find(fetch, &response, partition) : NULL;
        if (!partition->fetching || partition->moves != partition->asked_moves ||
            fetch->consumer->closing) {
            if (answer != NULL) session->renew = true; /* the node believes that we know it */
            partition->fetching = false;
            continue;
        }
        partition->fetching = false;
        if (answer != NULL) {
            consumer_fetch_partition(fetch, partition, answer);
        } else if (!again && (err != ERR_NONE || fetch->full)) {
            consumer_fetch_failed(partition, err != ERR_NONE ? err : ERR_MALFORMED);
        } else if (err == ERR_NONE) {
            partition->failures = 0;
        }
    }
    fetch->consumer->last_error = err;
    arena_reset(&fetch->consumer->arena);
}

/* ---- the op --------------------------------------------------------------------------------- */

static enum op_result consumer_fetch_run(struct op *op)
{
    struct consumer_fetch *o = CONTAINER_OF(op, struct consumer_fetch, op);

    switch ((enum consumer_fetch_step)op->step) {
    case CONSUMER_FETCH_START:
        AWAIT(o, CONSUMER_FETCH_ANSWERED, &o->call.done, call_done(&o->call));
        list_remove(&o->link);
        consumer_fetch_take(o);
        call_release(&o->call);
        consumer_kick(o->consumer);
        return OP_DONE;
    case CONSUMER_FETCH_STEP_COUNT: break;
    }
    IMPOSSIBLE("step");
}

static void consumer_fetch_finish(struct op *op)
{
    struct consumer_fetch *fetch = CONTAINER_OF(op, struct consumer_fetch, op);

    pool_give(&fetch->consumer->fetches, fetch);
}

static const struct op_kind consumer_fetch_kind = {"consumer.fetch", consumer_fetch_steps,
                                                   CONSUMER_FETCH_STEP_COUNT, consumer_fetch_run,
                                                   consumer_fetch_finish};

void consumer_fetch_start(struct consumer *consumer, struct peer *peer)
{
    struct consumer_session *session = consumer_session_of(consumer, peer->node_id);
    struct consumer_fetch *fetch = session != NULL ? pool_take(&consumer->fetches) : NULL;
    const struct consumer_config *config = &consumer->config;

    if (fetch == NULL) return;
    fetch->consumer = consumer;
    fetch->session = session;
    fetch->node = peer->node_id;
    call_init(&fetch->call, API_FETCH);
    fetch_request_default(&fetch->body);
    fetch->body.max_wait_ms = config->max_wait_ms;
    fetch->body.min_bytes = config->min_bytes;
    fetch->body.max_bytes = config->max_bytes;
    fetch->body.isolation_level = config->read_committed;
    if (config->rack.length > 0 && consumer->near_from_ns <= consumer->env->now.mono.ns)
        fetch->body.rack_id = config->rack;
    fetch->body.topics = fetch->topics;
    fetch->body.forgotten_topics_data = fetch->forgotten_topics;
    consumer_fetch_fill(fetch, peer);
    fetch->call.body = &fetch->body;
    fetch->call.timeout_ms = config->request_timeout_ms + config->max_wait_ms;
    list_init(&fetch->link);
    list_push(&consumer->in_flight, &fetch->link);
    op_start(&consumer->env->loop, &fetch->op, &consumer_fetch_kind, CONSUMER_FETCH_START);
    peer_call(peer, &fetch->call);
}
