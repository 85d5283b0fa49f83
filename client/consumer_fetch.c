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

/* ---- asking --------------------------------------------------------------------------------- */

static void consumer_fetch_ask(struct consumer_fetch *fetch, struct consumer_partition *partition)
{
    struct fetch_request *body = &fetch->body;
    struct fetch_request_partition *asked = &fetch->partitions[fetch->count];
    struct fetch_request_topic *topic = NULL;
    const struct metadata_partition *known = &partition->topic->partitions[partition->index];

    /* Partitions come in the order of their turn; those of one topic mostly stand together. */
    if (fetch->count > 0 && fetch->asked[fetch->count - 1]->topic == partition->topic) {
        topic = &fetch->topics[body->topics_count - 1];
    } else {
        topic = &fetch->topics[body->topics_count++];
        fetch_request_topic_default(topic);
        topic->topic = metadata_name(partition->topic);
        topic->topic_id = partition->topic->id;
        topic->partitions = asked;
    }
    topic->partitions_count++;
    fetch_request_partition_default(asked);
    asked->partition = partition->index;
    asked->current_leader_epoch = known->leader_epoch;
    asked->fetch_offset = partition->position;
    asked->partition_max_bytes = partition->consumer->config.partition_max_bytes;
    fetch->moves[fetch->count] = partition->moves;
    fetch->asked[fetch->count++] = partition;
    partition->fetching = true;
    if (uuid_is_zero(partition->topic->id)) fetch->call.version_max = FETCH_IDS_FROM - 1;
}

/* All partitions of a topic follow each other, so that the topic is named once. */
static void consumer_fetch_collect(struct consumer_fetch *fetch, const struct peer *peer)
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

            if (fetch->count == CONSUMER_FETCH_PARTITIONS) return;
            if (partition->topic != topic || !consumer_fetchable(partition)) continue;
            if (consumer_source(partition) != peer) continue;
            consumer_fetch_ask(fetch, partition);
        }
    }
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void consumer_fetch_failed(struct consumer_partition *partition, enum err err)
{
    if (partition->preferred >= 0) { /* the leader knows better */
        consumer_prefer(partition, -1);
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
                                struct bytes records)
{
    struct consumer *consumer = fetch->consumer;

    ASSERT(partition->held == NULL && !partition->in_batch);
    if (records.data == NULL || records.length == 0) return;
    partition->held = buf_ref(fetch->call.frame.buf);
    partition->held_bytes = records.length;
    consumer->buffered += records.length;
    record_batch_iter_init(&partition->batches, records);
    op_wake(&consumer->ready);
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
        consumer_prefer(partition, answer->preferred_read_replica);
    news = partition->high_watermark != answer->high_watermark;
    partition->failures = 0;
    partition->high_watermark = answer->high_watermark;
    partition->log_start = answer->log_start_offset;
    consumer_fetch_hold(fetch, partition, answer->records);
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

static void consumer_fetch_take(struct consumer_fetch *fetch)
{
    struct fetch_response response;
    enum err err = consumer_fetch_decode(fetch, &response);

    for (uint32_t i = 0; i < fetch->count; i++) {
        struct consumer_partition *partition = fetch->asked[i];
        const struct fetch_response_partition *answer;

        partition->fetching = false;
        if (partition->moves != fetch->moves[i] || fetch->consumer->closing) continue;
        answer = err == ERR_NONE ? consumer_fetch_find(fetch, &response, partition) : NULL;
        if (answer != NULL) {
            consumer_fetch_partition(fetch, partition, answer);
        } else {
            consumer_fetch_failed(partition, err != ERR_NONE ? err : ERR_MALFORMED);
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
    struct consumer_fetch *fetch = pool_take(&consumer->fetches);
    const struct consumer_config *config = &consumer->config;

    if (fetch == NULL) return;
    fetch->consumer = consumer;
    fetch->node = peer->node_id;
    call_init(&fetch->call, API_FETCH);
    fetch_request_default(&fetch->body);
    fetch->body.max_wait_ms = config->max_wait_ms;
    fetch->body.min_bytes = config->min_bytes;
    fetch->body.max_bytes = config->max_bytes;
    fetch->body.isolation_level = config->read_committed;
    if (config->rack.length > 0) fetch->body.rack_id = config->rack;
    fetch->body.session_id = 0;
    fetch->body.session_epoch = -1;
    fetch->body.topics = fetch->topics;
    consumer_fetch_collect(fetch, peer);
    ASSERT(fetch->count > 0);
    fetch->call.body = &fetch->body;
    fetch->call.timeout_ms = config->request_timeout_ms + config->max_wait_ms;
    list_init(&fetch->link);
    list_push(&consumer->in_flight, &fetch->link);
    op_start(&consumer->env->loop, &fetch->op, &consumer_fetch_kind, CONSUMER_FETCH_START);
    peer_call(peer, &fetch->call);
}
