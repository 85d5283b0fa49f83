/* One Produce request: what it says, and what its answer means for each batch. */
#include "client/producer.h"

enum producer_request_step {
    PRODUCER_REQUEST_START,
    PRODUCER_REQUEST_ANSWERED,
    PRODUCER_REQUEST_STEP_COUNT
};
static const char *const producer_request_steps[PRODUCER_REQUEST_STEP_COUNT] = {
    [PRODUCER_REQUEST_START] = "START",
    [PRODUCER_REQUEST_ANSWERED] = "ANSWERED",
};

/* First versions that carry what we use. */
enum { PRODUCE_ZSTD_FROM = 7, PRODUCE_THROTTLE_FROM = 6, PRODUCE_IDS_FROM = 13 };

uint32_t producer_request_count(const struct producer *producer, int32_t node)
{
    uint32_t count = 0;

    LIST_FOR_EACH (link, &producer->in_flight)
        if (LIST_ENTRY(link, struct producer_request, link)->node == node) count++;
    return count;
}

/* ---- asking --------------------------------------------------------------------------------- */

/* Batches of one topic stand together, under one entry. */
static void producer_request_body(struct producer_request *request)
{
    struct produce_request *body = &request->body;
    uint32_t placed = 0;
    bool done[PRODUCER_REQUEST_BATCHES] = {false};

    produce_request_default(body);
    body->transactional_id = request->producer->config.transactional_id;
    body->acks = request->producer->config.acks;
    body->timeout_ms = request->producer->config.request_timeout_ms;
    body->topic_data = request->topics;
    for (uint32_t i = 0; i < request->batches_count; i++) {
        const struct producer_topic *topic = request->batches[i]->partition->topic;
        struct produce_request_topic *entry = &request->topics[body->topic_data_count];

        if (done[i]) continue;
        produce_request_topic_default(entry);
        entry->name = metadata_name(topic->meta);
        entry->topic_id = topic->meta->id;
        entry->partition_data = &request->partitions[placed];
        for (uint32_t k = i; k < request->batches_count; k++) {
            struct producer_batch *batch = request->batches[k];

            if (batch->partition->topic != topic) continue;
            done[k] = true;
            produce_request_partition_default(&request->partitions[placed]);
            request->partitions[placed].index = batch->partition->index;
            request->partitions[placed++].records = batch->bytes;
            entry->partition_data_count++;
        }
        body->topic_data_count++;
    }
    ASSERT(placed == request->batches_count);
}

/* A topic without id cannot be named from version 13 on. */
static int16_t producer_request_version_max(const struct producer_request *request)
{
    for (uint32_t i = 0; i < request->batches_count; i++)
        if (uuid_is_zero(request->batches[i]->partition->topic->meta->id))
            return PRODUCE_IDS_FROM - 1;
    return INT16_MAX;
}

static void producer_request_send(struct producer_request *request, struct peer *peer)
{
    struct call *call = &request->call;

    producer_request_body(request);
    call_init(call, API_PRODUCE);
    call->version_max = producer_request_version_max(request);
    call->no_response = request->producer->config.acks == 0;
    call->timeout_ms = request->producer->config.request_timeout_ms;
    call->body = &request->body;
    for (uint32_t i = 0; i < request->batches_count; i++) {
        const struct producer_batch *batch = request->batches[i];

        if (batch->codec == CODEC_ZSTD) call->version_min = PRODUCE_ZSTD_FROM;
        call->holds[call->holds_count++] = batch->packed != NULL ? batch->packed : batch->buf;
    }
    peer_call(peer, call);
}

/* ---- the answer for one batch --------------------------------------------------------------- */

/* Whether an attempt that ended like this may have put the batch into a log (clients.md 2.4). What
 * a leader says before it appends is certain; what it says after, or does not say, is not. */
static bool producer_request_may_have_appended(const struct call *call, enum err err)
{
    if (!err_is_wire(err)) return call->sent;
    if (err == ERR_NONE || err == ERR_REQUEST_TIMED_OUT ||
        err == ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND || err == ERR_NOT_LEADER_OR_FOLLOWER ||
        err == ERR_UNKNOWN_SERVER_ERROR || err == ERR_KAFKA_STORAGE_ERROR)
        return true;
    /* The topic went away, perhaps after the append. */
    return err == ERR_UNKNOWN_TOPIC_OR_PARTITION || err == ERR_UNKNOWN_TOPIC_ID;
}

/* Worth another attempt; sets what the next one needs. */
static bool producer_request_retries(struct producer *producer, struct producer_batch *batch,
                                     enum err err, int64_t log_start)
{
    struct producer_partition *partition = batch->partition;

    if (producer->aborted || batch->attempts > producer->config.retries) return false;
    if (!err_is_wire(err)) return err != ERR_UNSUPPORTED_VERSION && err != ERR_BAD_STATE;
    if (producer->config.idempotent && err == ERR_OUT_OF_ORDER_SEQUENCE_NUMBER) {
        if (batch->torn && producer_batch_first_open(batch)) return false; /* it is there, whole */
        producer_partition_out_of_order(partition, batch);
        return true;
    }
    if (producer->config.idempotent && err == ERR_UNKNOWN_PRODUCER_ID) {
        if (log_start >= 0) partition->bump = true;
        return true;
    }
    /* The cluster knows a newer epoch of our id: start anew, but this batch may be in the log. */
    if (producer->config.idempotent && err == ERR_INVALID_PRODUCER_EPOCH) partition->bump = true;
    return err_retry(err) != ERR_FINAL;
}

static void producer_request_retry(struct producer *producer, struct producer_batch *batch,
                                   enum err err)
{
    struct producer_partition *partition = batch->partition;
    int64_t backoff_ms = metadata_backoff_ms(&producer->metadata, batch->attempts);

    if (!err_is_wire(err) || err_retry(err) == ERR_RETRIABLE_META)
        metadata_refresh(&producer->metadata);
    TRACE(producer->env->world, CLIENT_ERROR, API_PRODUCE, err,
          (int64_t)uuid_high(partition->topic->meta->id), partition->index);
    producer->counts.retries++;
    batch->retry_at_ns = env_deadline(producer->env, backoff_ms);
    producer_partition_return(partition, batch);
    if (!list_linked(&partition->active)) list_push(&producer->active, &partition->active);
}

/* Too large as a whole, not record by record: says so before it appends. */
static bool producer_request_splits(struct producer *producer, struct producer_batch *batch,
                                    enum err err)
{
    if (err != ERR_MESSAGE_TOO_LARGE && err != ERR_RECORD_LIST_TOO_LARGE) return false;
    if (batch->expired || producer->aborted || producer_batch_count(batch) < 2) return false;
    return producer_split(producer, batch);
}

static void producer_request_batch(struct producer_request *request, struct producer_batch *batch,
                                   enum err err, const struct produce_response_partition *answer)
{
    struct producer *producer = request->producer;
    bool acked = err == ERR_NONE || err == ERR_DUPLICATE_SEQUENCE_NUMBER;
    int64_t offset = err == ERR_NONE ? answer->base_offset : -1;
    int64_t append_time = acked ? answer->log_append_time_ms : -1;

    producer->last_error = err;
    if (!acked && producer_request_may_have_appended(&request->call, err)) batch->maybe = true;
    if (!acked && !batch->expired &&
        producer_request_retries(producer, batch, err, answer->log_start_offset)) {
        producer_request_retry(producer, batch, err);
        return;
    }
    producer_partition_settle(batch->partition, batch, acked);
    if (!batch->expired)
        producer_finish_records(producer, batch,
                                acked          ? PRODUCER_ACKED
                                : batch->maybe ? PRODUCER_UNKNOWN
                                               : PRODUCER_FAILED,
                                acked ? ERR_NONE : err, offset, append_time);
    producer_free_batch(producer, batch);
}

/* ---- the answer as a whole ------------------------------------------------------------------ */

static const struct produce_response_partition *
producer_request_find(const struct producer_request *request,
                      const struct produce_response *response, const struct producer_batch *batch)
{
    const struct metadata_topic *meta = batch->partition->topic->meta;
    bool by_id = request->call.version >= PRODUCE_IDS_FROM;

    for (uint32_t t = 0; t < response->responses_count; t++) {
        const struct produce_response_topic *topic = &response->responses[t];

        if (by_id ? !uuid_equal(topic->topic_id, meta->id)
                  : !str_equal(topic->name, metadata_name(meta)))
            continue;
        for (uint32_t p = 0; p < topic->partition_responses_count; p++)
            if (topic->partition_responses[p].index == batch->partition->index)
                return &topic->partition_responses[p];
    }
    return NULL;
}

static void producer_request_hints(struct producer_request *request,
                                   const struct produce_response *response)
{
    struct producer *producer = request->producer;
    struct peer *peer = metadata_peer(&producer->metadata, request->node);

    if (peer != NULL && request->call.version >= PRODUCE_THROTTLE_FROM)
        peer_throttle(peer, response->throttle_time_ms);
    for (uint32_t i = 0; i < response->node_endpoints_count; i++)
        metadata_hint_node(&producer->metadata, response->node_endpoints[i].node_id,
                           response->node_endpoints[i].host, response->node_endpoints[i].port);
}

static void producer_request_take(struct producer_request *request)
{
    struct producer *producer = request->producer;
    struct produce_response response;
    struct produce_response_partition nothing;
    enum err err = request->call.result;

    arena_reset(&producer->arena);
    produce_response_default(&response);
    if (err == ERR_NONE && !request->call.no_response)
        err = produce_response_decode(&request->call.reader, request->call.version,
                                      &producer->arena, &response);
    if (err == ERR_NONE) producer_request_hints(request, &response);
    produce_response_partition_default(&nothing);
    nothing.base_offset = -1;
    for (uint32_t i = 0; i < request->batches_count; i++) {
        struct producer_batch *batch = request->batches[i];
        const struct produce_response_partition *answer =
            producer_request_find(request, &response, batch);
        enum err one = err;

        if (answer != NULL) {
            one = err_from_wire(answer->error_code);
            metadata_hint(&producer->metadata, batch->partition->topic->meta,
                          batch->partition->index, answer->current_leader.leader_id,
                          answer->current_leader.leader_epoch);
        } else if (err == ERR_NONE && !request->call.no_response) {
            one = ERR_MALFORMED; /* forgotten in the answer: it may be in the log or not */
        }
        if (producer_request_splits(producer, batch, one)) continue;
        producer_request_batch(request, batch, one, answer != NULL ? answer : &nothing);
    }
    request->batches_count = 0;
    arena_reset(&producer->arena);
}

/* ---- the op --------------------------------------------------------------------------------- */

static enum op_result producer_request_run(struct op *op)
{
    struct producer_request *o = CONTAINER_OF(op, struct producer_request, op);

    switch ((enum producer_request_step)op->step) {
    case PRODUCER_REQUEST_START:
        AWAIT(o, PRODUCER_REQUEST_ANSWERED, &o->call.done, call_done(&o->call));
        list_remove(&o->link);
        producer_request_take(o);
        call_release(&o->call);
        producer_kick(o->producer);
        return OP_DONE;
    case PRODUCER_REQUEST_STEP_COUNT: break;
    }
    IMPOSSIBLE("step");
}

static void producer_request_finish(struct op *op)
{
    struct producer_request *request = CONTAINER_OF(op, struct producer_request, op);

    pool_give(&request->producer->requests, request);
}

static const struct op_kind producer_request_kind = {"producer.request", producer_request_steps,
                                                     PRODUCER_REQUEST_STEP_COUNT,
                                                     producer_request_run, producer_request_finish};

void producer_request_start(struct producer *producer, struct producer_request *request,
                            struct peer *peer)
{
    request->producer = producer;
    request->node = peer->node_id;
    list_init(&request->link);
    list_push(&producer->in_flight, &request->link);
    op_start(&producer->env->loop, &request->op, &producer_request_kind, PRODUCER_REQUEST_START);
    producer_request_send(request, peer);
}
