#include "client/producer.h"

#include "client/partitioner.h"

#include <string.h>

#define BATCH(link_)     LIST_ENTRY(link_, struct producer_batch, link)
#define RECORD(link_)    LIST_ENTRY(link_, struct producer_record, link)
#define PARTITION(link_) LIST_ENTRY(link_, struct producer_partition, active)

enum { PRODUCER_EPOCH_MAX = INT16_MAX, PRODUCER_REQUEST_OVERHEAD = 512 };

enum producer_step {
    PRODUCER_START,
    PRODUCER_EVENT,
    PRODUCER_METADATA_CLOSED,
    PRODUCER_STEP_COUNT
};
static const char *const producer_steps[PRODUCER_STEP_COUNT] = {
    [PRODUCER_START] = "START",
    [PRODUCER_EVENT] = "EVENT",
    [PRODUCER_METADATA_CLOSED] = "METADATA_CLOSED",
};
static enum op_result producer_run(struct op *op);
static const struct op_kind producer_kind = {"producer", producer_steps, PRODUCER_STEP_COUNT,
                                             producer_run, NULL};

enum producer_watch_step { PRODUCER_WATCH_START, PRODUCER_WATCH_CHANGED, PRODUCER_WATCH_COUNT };
static const char *const producer_watch_steps[PRODUCER_WATCH_COUNT] = {
    [PRODUCER_WATCH_START] = "START",
    [PRODUCER_WATCH_CHANGED] = "CHANGED",
};
static enum op_result producer_watch_run(struct op *op);
static const struct op_kind producer_watch_kind = {"producer.watch", producer_watch_steps,
                                                   PRODUCER_WATCH_COUNT, producer_watch_run, NULL};

enum producer_identify_step {
    PRODUCER_IDENTIFY_START,
    PRODUCER_IDENTIFY_ANSWERED,
    PRODUCER_IDENTIFY_BACKED_OFF,
    PRODUCER_IDENTIFY_COUNT
};
static const char *const producer_identify_steps[PRODUCER_IDENTIFY_COUNT] = {
    [PRODUCER_IDENTIFY_START] = "START",
    [PRODUCER_IDENTIFY_ANSWERED] = "ANSWERED",
    [PRODUCER_IDENTIFY_BACKED_OFF] = "BACKED_OFF",
};
static enum op_result producer_identify_run(struct op *op);
static const struct op_kind producer_identify_kind = {"producer.identify", producer_identify_steps,
                                                      PRODUCER_IDENTIFY_COUNT,
                                                      producer_identify_run, NULL};

void producer_kick(struct producer *producer)
{
    producer->kicked = true;
    op_wake(&producer->wake);
}

/* ---- endings -------------------------------------------------------------------------------- */

static void producer_finish(struct producer *producer, struct producer_record *record,
                            enum producer_outcome outcome, enum err result, int64_t offset,
                            int64_t topic)
{
    struct world *world = producer->env->world;

    ASSERT(record->outcome == PRODUCER_PENDING && producer->pending > 0);
    record->outcome = outcome;
    record->result = result;
    record->offset = offset;
    producer->pending--;
    if (outcome == PRODUCER_ACKED) {
        TRACE(world, CLIENT_ACKED, topic, record->partition, record->trace_value, offset,
              producer->env->now.mono.ns - record->started_ns);
    } else {
        TRACE(world, CLIENT_FAILED, topic, record->partition, record->trace_value, result,
              outcome == PRODUCER_FAILED);
    }
    if (record->collect != NULL) list_push(record->collect, &record->link);
    if (record->done != NULL) op_wake(record->done);
    op_wake(&producer->changed);
}

void producer_finish_records(struct producer *producer, struct producer_batch *batch,
                             enum producer_outcome outcome, enum err result, int64_t base_offset,
                             int64_t append_time_ms)
{
    int64_t topic = (int64_t)uuid_high(batch->partition->topic->meta->id);
    int64_t offset = base_offset;
    struct list *link;

    list_remove(&batch->by_age);
    while ((link = list_pop(&batch->records)) != NULL) {
        struct producer_record *record = RECORD(link);

        if (append_time_ms >= 0) record->timestamp_ms = append_time_ms;
        producer_finish(producer, record, outcome, result, offset, topic);
        if (offset >= 0) offset++;
    }
}

void producer_free_batch(struct producer *producer, struct producer_batch *batch)
{
    ASSERT(list_empty(&batch->records) && !list_linked(&batch->link));
    ASSERT(producer->memory_used >= batch->builder.capacity);
    producer->memory_used -= batch->builder.capacity;
    buf_unref(batch->buf);
    buf_unref(batch->packed);
    mem_free(&producer->env->mem, batch, sizeof *batch);
    producer_kick(producer);
    op_wake(&producer->changed);
}

/* A record that never came into a batch is certainly in no log. */
static void producer_refuse(struct producer *producer, struct producer_record *record,
                            enum err result)
{
    if (list_linked(&record->link)) {
        list_remove(&record->link);
        producer->waiting_count--;
    }
    producer_finish(producer, record, PRODUCER_FAILED, result, -1, 0);
}

/* ---- appending ------------------------------------------------------------------------------ */

static enum err producer_topic_make(struct producer *producer, struct str name,
                                    struct producer_topic **made)
{
    struct mem *mem = &producer->env->mem;
    struct producer_topic *topic = mem_zalloc(mem, sizeof *topic);
    enum err err;

    if (topic == NULL) return ERR_NO_MEMORY;
    err = metadata_use(&producer->metadata, name, &topic->meta);
    if (err == ERR_NONE) {
        topic->sticky = -1;
        err = map_add_str(&producer->topics, &topic->by_name, metadata_name(topic->meta));
        if (err != ERR_NONE) metadata_unuse(&producer->metadata, topic->meta);
    }
    if (err != ERR_NONE) {
        mem_free(mem, topic, sizeof *topic);
        return err;
    }
    *made = topic;
    return ERR_NONE;
}

static enum err producer_topic_find(struct producer *producer, struct str name,
                                    struct producer_topic **topic)
{
    struct map_node *node = map_find_str(&producer->topics, name);

    if (node == NULL) return producer_topic_make(producer, name, topic);
    *topic = MAP_ENTRY(node, struct producer_topic, by_name);
    return ERR_NONE;
}

/* Room for all partitions of the topic; they are made one by one. */
static enum err producer_topic_grow(struct producer *producer, struct producer_topic *topic)
{
    uint32_t count = topic->meta->partitions_count;
    struct producer_partition **partitions;

    if (count <= topic->partitions_count) return ERR_NONE;
    partitions = mem_zalloc(&producer->env->mem, count * sizeof *partitions);
    if (partitions == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < topic->partitions_count; i++)
        partitions[i] = topic->partitions[i];
    mem_free(&producer->env->mem, topic->partitions,
             topic->partitions_count * sizeof *topic->partitions);
    topic->partitions = partitions;
    topic->partitions_count = count;
    return ERR_NONE;
}

/* Uniform over the partitions with a leader, over all when none has one. */
static int32_t producer_stick(struct producer *producer, struct producer_topic *topic)
{
    const struct metadata_topic *meta = topic->meta;
    uint32_t led = 0;
    uint64_t draw;

    for (uint32_t i = 0; i < meta->partitions_count; i++)
        if (meta->partitions[i].leader >= 0) led++;
    if (led == 0) return (int32_t)rng_below(&producer->rng, meta->partitions_count);
    draw = rng_below(&producer->rng, led);
    for (uint32_t i = 0; i < meta->partitions_count; i++) {
        if (meta->partitions[i].leader < 0) continue;
        if (draw == 0) return (int32_t)i;
        draw--;
    }
    IMPOSSIBLE("fewer led partitions than counted");
}

static enum err producer_choose(struct producer *producer, struct producer_topic *topic,
                                const struct producer_record *record, int32_t *partition)
{
    if (record->partition >= 0) {
        if ((uint32_t)record->partition >= topic->meta->partitions_count)
            return ERR_UNKNOWN_TOPIC_OR_PARTITION; /* may come: waits */
        *partition = record->partition;
    } else if (record->key.data != NULL) {
        *partition = partitioner_for_key(record->key, topic->meta->partitions_count);
    } else {
        if (topic->sticky < 0 || topic->sticky_bytes >= producer->config.batch_size ||
            (uint32_t)topic->sticky >= topic->meta->partitions_count) {
            topic->sticky = producer_stick(producer, topic);
            topic->sticky_bytes = 0;
        }
        *partition = topic->sticky;
    }
    return ERR_NONE;
}

static enum err producer_partition_find(struct producer *producer, struct producer_topic *topic,
                                        int32_t index, struct producer_partition **partition)
{
    enum err err = producer_topic_grow(producer, topic);

    if (err != ERR_NONE) return err;
    if (topic->partitions[index] == NULL) {
        struct producer_partition *made = mem_alloc(&producer->env->mem, sizeof *made);

        if (made == NULL) return ERR_NO_MEMORY;
        producer_partition_init(made, topic, index);
        made->first_sequence = producer->config.first_sequence;
        topic->partitions[index] = made;
    }
    *partition = topic->partitions[index];
    return ERR_NONE;
}

static enum err producer_batch_make(struct producer *producer, struct producer_partition *partition,
                                    size_t record_max, struct producer_batch **made)
{
    size_t capacity = producer_batch_capacity(producer->config.batch_size, record_max);
    struct record_builder_config config = record_builder_config_default(producer->env->world->cpu);
    struct producer_batch *batch;

    if (producer->memory_used > 0 &&
        (producer->memory_used > producer->config.buffer_memory ||
         capacity > producer->config.buffer_memory - producer->memory_used))
        return ERR_NO_MEMORY;
    batch = mem_zalloc(&producer->env->mem, sizeof *batch);
    if (batch == NULL) return ERR_NO_MEMORY;
    batch->buf = buf_take(&producer->env->payload, capacity, false);
    if (batch->buf == NULL) {
        mem_free(&producer->env->mem, batch, sizeof *batch);
        return ERR_NO_MEMORY;
    }
    batch->partition = partition;
    batch->sequence = -1;
    batch->tried_leader = -1;
    batch->tried_epoch = -1;
    batch->number = partition->next_number++;
    batch->created_ns = producer->env->now.mono.ns;
    list_init(&batch->link);
    list_init(&batch->by_age);
    list_init(&batch->records);
    record_builder_init(&batch->builder, &config, batch->buf->data, capacity);
    producer->memory_used += capacity;
    list_push(&partition->queue, &batch->link);
    list_push(&producer->by_age, &batch->by_age);
    if (!list_linked(&partition->active)) list_push(&producer->active, &partition->active);
    *made = batch;
    return ERR_NONE;
}

static enum err producer_append_to(struct producer *producer, struct producer_batch *batch,
                                   struct producer_record *record)
{
    int64_t timestamp =
        record->timestamp_ms >= 0 ? record->timestamp_ms : producer->env->now.wall.ms;
    enum err err = record_builder_append(&batch->builder, timestamp, record->key, record->value,
                                         record->headers, record->headers_count);

    if (err != ERR_NONE) return err;
    record->timestamp_ms = timestamp;
    record->appended = true;
    record->partition = batch->partition->index;
    if (list_linked(&record->link)) {
        list_remove(&record->link);
        producer->waiting_count--;
    }
    list_push(&batch->records, &record->link);
    TRACE(producer->env->world, CLIENT_SEND, (int64_t)uuid_high(batch->partition->topic->meta->id),
          record->partition, record->trace_value, record->trace_key, 0);
    return ERR_NONE;
}

/* NONE: appended. NO_MEMORY, UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE: not now. Anything
 * else is final. */
static enum err producer_append(struct producer *producer, struct producer_record *record)
{
    size_t most =
        record_builder_size_max(record->key, record->value, record->headers, record->headers_count);
    struct producer_topic *topic = NULL;
    struct producer_partition *partition = NULL;
    struct producer_batch *batch;
    int32_t index = 0;
    enum err err;

    if (most + RECORD_BATCH_HEADER > producer->config.max_request_size)
        return ERR_MESSAGE_TOO_LARGE;
    err = producer_topic_find(producer, record->topic, &topic);
    if (err != ERR_NONE) return err;
    if (topic->meta->partitions_count == 0) {
        if (topic->meta->error != ERR_NONE && err_retry(topic->meta->error) == ERR_FINAL)
            return topic->meta->error;
        return ERR_LEADER_NOT_AVAILABLE;
    }
    err = producer_choose(producer, topic, record, &index);
    if (err == ERR_NONE) err = producer_partition_find(producer, topic, index, &partition);
    if (err != ERR_NONE) return err;
    batch = producer_partition_open(partition);
    if (batch == NULL || producer_append_to(producer, batch, record) != ERR_NONE) {
        err = producer_batch_make(producer, partition, most, &batch);
        if (err == ERR_NONE) err = producer_append_to(producer, batch, record);
        ASSERT(err != ERR_TOO_LARGE);
    }
    if (err == ERR_NONE && topic->sticky == index) topic->sticky_bytes += (uint32_t)most;
    return err;
}

static bool producer_not_now(enum err err)
{
    return err == ERR_NO_MEMORY || err == ERR_UNKNOWN_TOPIC_OR_PARTITION ||
           err == ERR_LEADER_NOT_AVAILABLE;
}

void producer_record_init(struct producer_record *record)
{
    *record = (struct producer_record){
        .partition = -1, .timestamp_ms = -1, .trace_value = -1, .trace_key = -1, .offset = -1};
    list_init(&record->link);
}

void producer_send(struct producer *producer, struct producer_record *record)
{
    enum err err = ERR_LEADER_NOT_AVAILABLE;

    ASSERT(record->outcome == PRODUCER_PENDING && !record->appended);
    producer->pending++;
    record->started_ns = producer->env->now.mono.ns;
    if (producer->closing || producer->fatal != ERR_NONE) {
        producer_refuse(producer, record, producer->closing ? ERR_BAD_STATE : producer->fatal);
        return;
    }
    /* Not past those that wait: records of a partition keep their order. */
    if (producer->waiting_count == 0) err = producer_append(producer, record);
    if (err != ERR_NONE && !producer_not_now(err)) {
        producer_refuse(producer, record, err);
        return;
    }
    if (err != ERR_NONE) {
        if (producer->waiting_count >= producer->config.waiting_max) {
            producer_refuse(producer, record, ERR_TOO_MANY);
            return;
        }
        list_push(&producer->waiting, &record->link);
        producer->waiting_count++;
    }
    producer_kick(producer);
}

/* Those that waited, in order. One that waits for memory holds back all behind it; one that waits
 * for its topic only those of the same topic. */
static void producer_admit(struct producer *producer)
{
    int64_t patience_ns = producer->config.max_block_ms * NS_PER_MS;
    bool memory = true;
    struct str stuck = STR_NULL; /* the topic that was not known last: saves asking again */

    LIST_FOR_EACH_SAFE (link, after, &producer->waiting) {
        struct producer_record *record = RECORD(link);
        enum err err = ERR_NO_MEMORY;

        if (stuck.data != NULL && str_equal(stuck, record->topic)) {
            err = ERR_LEADER_NOT_AVAILABLE;
        } else if (memory) {
            err = producer_append(producer, record);
        }
        if (err == ERR_NONE) continue;
        if (!producer_not_now(err)) {
            producer_refuse(producer, record, err);
        } else if (producer->env->now.mono.ns - record->started_ns >= patience_ns) {
            enum err why = producer->metadata.last_error;

            producer_refuse(producer, record, why != ERR_NONE ? why : ERR_TIMED_OUT);
        } else if (err == ERR_NO_MEMORY) {
            memory = false;
        } else {
            stuck = record->topic;
        }
    }
}

/* ---- sending -------------------------------------------------------------------------------- */

static bool producer_batch_full(const struct producer *producer, const struct producer_batch *batch)
{
    return batch->builder.used + RECORD_OVERHEAD_MAX >= producer->config.batch_size;
}

/* When the batch at the head may be sent, as far as time goes. */
static int64_t producer_ready_ns(const struct producer *producer,
                                 const struct producer_partition *partition,
                                 const struct producer_batch *head)
{
    if (head->attempts > 0) {
        const struct metadata_topic *meta = partition->topic->meta;

        /* A new leader is tried at once. */
        if ((uint32_t)partition->index < meta->partitions_count &&
            (meta->partitions[partition->index].leader != head->tried_leader ||
             meta->partitions[partition->index].leader_epoch != head->tried_epoch))
            return 0;
        return head->retry_at_ns;
    }
    if (head->link.next != &partition->queue || producer_batch_full(producer, head)) return 0;
    if (producer->flushes > 0 || producer->closing || producer->waiting_count > 0) return 0;
    return head->created_ns + producer->config.linger_ms * NS_PER_MS;
}

/* The epoch goes on when a partition has to start anew (idempotent producers only). */
static void producer_bump(struct producer *producer, struct producer_partition *partition)
{
    if (partition->in_flight_count > 0) return;
    if (partition->identity.id == producer->identity.id &&
        partition->identity.epoch == producer->identity.epoch) {
        if (producer->identity.epoch == PRODUCER_EPOCH_MAX) {
            producer->identity = (struct producer_identity){-1, -1};
            return; /* a new id first */
        }
        producer->identity.epoch++;
    }
    producer_partition_renumber(partition, producer->identity);
}

static bool producer_identified(struct producer *producer)
{
    if (!producer->config.idempotent || producer->identity.id >= 0) return true;
    if (!op_live(&producer->identify) && producer->fatal == ERR_NONE)
        op_start(&producer->env->loop, &producer->identify, &producer_identify_kind,
                 PRODUCER_IDENTIFY_START);
    return false;
}

/* The batch of this partition that goes to `node` now, sealed; NULL: none. */
static struct producer_batch *producer_pick(struct producer *producer,
                                            struct producer_partition *partition)
{
    struct producer_batch *head;

    if (producer->config.idempotent) {
        producer_partition_resolve(partition);
        if (partition->bump) producer_bump(producer, partition);
        if (!producer_identified(producer)) return NULL;
        if (producer_partition_stale(partition, producer->identity))
            producer_partition_renumber(partition, producer->identity);
    }
    head = producer_partition_next(partition, producer->config.idempotent,
                                   producer->config.in_flight_max);
    if (head == NULL || producer_ready_ns(producer, partition, head) > producer->env->now.mono.ns)
        return NULL;
    return head;
}

/* An answer names partitions, not batches: a request holds one batch of each. */
static bool producer_request_has(const struct producer_request *request,
                                 const struct producer_partition *partition)
{
    for (uint32_t i = 0; i < request->batches_count; i++)
        if (request->batches[i]->partition == partition) return true;
    return false;
}

/* Fills one request for a node, from the active partitions whose leader it is. */
static void producer_fill(struct producer *producer, struct producer_request *request,
                          struct peer *peer)
{
    size_t bytes = PRODUCER_REQUEST_OVERHEAD;

    LIST_FOR_EACH_SAFE (link, after, &producer->active) {
        struct producer_partition *partition = PARTITION(link);
        struct producer_batch *batch;
        const struct metadata_partition *known;

        if (request->batches_count == PRODUCER_REQUEST_BATCHES) return;
        if (metadata_leader(&producer->metadata, partition->topic->meta, partition->index) != peer)
            continue;
        if (producer_request_has(request, partition)) continue; /* met again at the end */
        batch = producer_pick(producer, partition);
        if (batch == NULL) continue;
        if (request->batches_count > 0 &&
            bytes + batch->builder.used > producer->config.max_request_size)
            continue;
        producer_batch_seal(batch, &producer->env->payload, producer->env->world->codecs,
                            producer->config.codec, producer->config.codec_level,
                            producer->config.idempotent);
        known = &partition->topic->meta->partitions[partition->index];
        batch->tried_leader = known->leader;
        batch->tried_epoch = known->leader_epoch;
        producer_partition_depart(partition, batch);
        bytes += batch->bytes.length;
        request->batches[request->batches_count++] = batch;
        list_remove(&partition->active); /* to the end: everyone has a turn */
        if (!list_empty(&partition->queue)) list_push(&producer->active, &partition->active);
    }
}

/* Requests for every node that leads a partition with something to send. */
static void producer_drain(struct producer *producer)
{
    bool sent = true;

    while (sent) {
        sent = false;
        LIST_FOR_EACH_SAFE (link, after, &producer->active) {
            struct producer_partition *partition = PARTITION(link);
            struct producer_request *request;
            struct peer *peer;

            if (producer_pick(producer, partition) == NULL) continue;
            peer = metadata_leader(&producer->metadata, partition->topic->meta, partition->index);
            if (peer == NULL || !peer_usable(peer)) continue;
            if (producer_request_count(producer, peer->node_id) >= producer->config.in_flight_max)
                continue;
            request = pool_take(&producer->requests);
            if (request == NULL) return;
            producer_fill(producer, request, peer);
            ASSERT(request->batches_count > 0);
            producer_request_start(producer, request, peer);
            sent = true;
            break; /* the list has changed */
        }
    }
}

/* ---- time ----------------------------------------------------------------------------------- */

static void producer_expire(struct producer *producer)
{
    int64_t limit_ns = producer->config.delivery_timeout_ms * NS_PER_MS;
    bool ended = producer->aborted || producer->fatal != ERR_NONE;
    enum err why = producer->aborted             ? ERR_CANCELED
                   : producer->fatal != ERR_NONE ? producer->fatal
                                                 : ERR_TIMED_OUT;

    while (!list_empty(&producer->by_age)) {
        struct producer_batch *batch =
            LIST_ENTRY(producer->by_age.next, struct producer_batch, by_age);
        struct producer_partition *partition = batch->partition;
        bool flies = false;

        if (!ended && producer->env->now.mono.ns - batch->created_ns < limit_ns) return;
        LIST_FOR_EACH (link, &partition->in_flight)
            if (link == &batch->link) flies = true;
        producer_finish_records(producer, batch,
                                batch->maybe || flies ? PRODUCER_UNKNOWN : PRODUCER_FAILED, why, -1,
                                -1);
        batch->expired = true;
        if (flies) continue; /* the answer frees it */
        producer_partition_settle(partition, batch, false);
        producer_free_batch(producer, batch);
        if (list_empty(&partition->queue)) list_remove(&partition->active);
    }
}

static int64_t producer_next_deadline(struct producer *producer)
{
    int64_t now_ns = producer->env->now.mono.ns;
    int64_t next = OP_NO_DEADLINE;

    if (!list_empty(&producer->by_age))
        next = LIST_ENTRY(producer->by_age.next, struct producer_batch, by_age)->created_ns +
               producer->config.delivery_timeout_ms * NS_PER_MS;
    if (producer->waiting_count > 0) {
        int64_t at =
            RECORD(producer->waiting.next)->started_ns + producer->config.max_block_ms * NS_PER_MS;

        if (at < next) next = at;
    }
    LIST_FOR_EACH (link, &producer->active) {
        const struct producer_partition *partition = PARTITION(link);
        int64_t at = producer_ready_ns(producer, partition, BATCH(partition->queue.next));

        if (at > now_ns && at < next) next = at;
        /* Ready but not sent: a leader or a connection is missing. Those who bring it kick; a peer
         * in backoff does not, so look again in a while. */
        if (at <= now_ns && mono_add_ms((struct mono_time){now_ns}, 50).ns < next)
            next = mono_add_ms((struct mono_time){now_ns}, 50).ns;
    }
    return next;
}

/* ---- ops ------------------------------------------------------------------------------------ */

static bool producer_idle(const struct producer *producer)
{
    return producer->pending == 0 && list_empty(&producer->in_flight) &&
           list_empty(&producer->active);
}

static void producer_turn(struct producer *producer)
{
    producer->kicked = false;
    if (producer->fatal != ERR_NONE) {
        while (!list_empty(&producer->waiting))
            producer_refuse(producer, RECORD(producer->waiting.next), producer->fatal);
    }
    if (producer->aborted) {
        while (!list_empty(&producer->waiting))
            producer_refuse(producer, RECORD(producer->waiting.next), ERR_CANCELED);
        LIST_FOR_EACH_SAFE (link, after, &producer->in_flight) {
            struct producer_request *request = LIST_ENTRY(link, struct producer_request, link);

            if (!call_done(&request->call)) {
                call_cancel(&request->call);
                op_resume(&request->op);
            }
        }
    }
    producer_expire(producer);
    producer_admit(producer);
    if (!producer->aborted) producer_drain(producer);
    if (producer->pending == 0) producer->flushes = 0;
}

static enum op_result producer_run(struct op *op)
{
    struct producer *o = CONTAINER_OF(op, struct producer, op);

    switch ((enum producer_step)op->step) {
    case PRODUCER_START:
        for (;;) {
            producer_turn(o);
            if (o->closing && producer_idle(o)) break;
            op_deadline(op, producer_next_deadline(o));
            AWAIT(o, PRODUCER_EVENT, &o->wake, o->kicked || op_expired(op));
        }
        if (op_live(&o->identify)) {
            call_cancel(&o->identify_call);
            call_release(&o->identify_call);
            op_cancel(&o->identify);
        }
        op_cancel(&o->watch);
        op_deadline(op, OP_NO_DEADLINE);
        metadata_close(&o->metadata);
        AWAIT(o, PRODUCER_METADATA_CLOSED, &o->metadata.changed, metadata_closed(&o->metadata));
        op_wake(&o->changed);
        return OP_DONE;
    case PRODUCER_STEP_COUNT: break;
    }
    IMPOSSIBLE("step");
}

static enum op_result producer_watch_run(struct op *op)
{
    struct producer *producer = CONTAINER_OF(op, struct producer, watch);

    switch ((enum producer_watch_step)op->step) {
    case PRODUCER_WATCH_START: op_enter(op, PRODUCER_WATCH_CHANGED); __attribute__((fallthrough));
    case PRODUCER_WATCH_CHANGED:
        if (producer->watched != producer->metadata.version) {
            if (op_probing(op)) return OP_HOLDS;
            producer->watched = producer->metadata.version;
            producer_kick(producer);
        }
        return op_park(op, &producer->metadata.changed, OP_NO_KEY);
    case PRODUCER_WATCH_COUNT: break;
    }
    IMPOSSIBLE("step");
}

static void producer_identify_ask(struct producer *producer)
{
    struct peer *peer = metadata_any(&producer->metadata);
    struct init_producer_id_request *body = &producer->identify_body;

    init_producer_id_request_default(body);
    body->transactional_id = STR_NULL;
    body->transaction_timeout_ms = INT32_MAX;
    call_init(&producer->identify_call, API_INIT_PRODUCER_ID);
    producer->identify_call.body = body;
    producer->identify_call.timeout_ms = producer->config.request_timeout_ms;
    if (peer != NULL) {
        peer_call(peer, &producer->identify_call);
    } else {
        producer->identify_call.finished = true;
        producer->identify_call.result = ERR_BROKER_NOT_AVAILABLE;
    }
}

static bool producer_identify_answered(struct producer *producer)
{
    struct call *call = &producer->identify_call;
    struct init_producer_id_response response;
    enum err err = call->result;

    arena_reset(&producer->arena);
    if (err == ERR_NONE)
        err = init_producer_id_response_decode(&call->reader, call->version, &producer->arena,
                                               &response);
    if (err == ERR_NONE) err = err_from_wire(response.error_code);
    if (err == ERR_NONE && response.producer_id < 0) err = ERR_MALFORMED;
    call_release(call);
    producer->last_error = err;
    if (err != ERR_NONE) {
        producer->identify_failures++;
        /* No id will ever come: nothing can be sent (clients.md 2.4). */
        if (err == ERR_UNSUPPORTED_VERSION ||
            (err_is_wire(err) && err_retry(err) == ERR_FINAL && err != ERR_UNKNOWN_SERVER_ERROR))
            producer->fatal = err;
        if (producer->fatal != ERR_NONE) producer_kick(producer);
        TRACE(producer->env->world, CLIENT_ERROR, API_INIT_PRODUCER_ID, err, 0, -1);
        return false;
    }
    producer->identify_failures = 0;
    producer->identity = (struct producer_identity){response.producer_id, response.producer_epoch};
    producer_kick(producer);
    return true;
}

static enum op_result producer_identify_run(struct op *op)
{
    struct producer *producer = CONTAINER_OF(op, struct producer, identify);

    switch ((enum producer_identify_step)op->step) {
    case PRODUCER_IDENTIFY_START:
    case PRODUCER_IDENTIFY_BACKED_OFF:
        if (op->step == PRODUCER_IDENTIFY_BACKED_OFF) {
            if (!op_expired(op)) return op_park(op, NULL, OP_NO_KEY);
            if (op_probing(op)) return OP_HOLDS;
        }
        producer_identify_ask(producer);
        op_enter(op, PRODUCER_IDENTIFY_ANSWERED);
        __attribute__((fallthrough));
    case PRODUCER_IDENTIFY_ANSWERED:
        if (!call_done(&producer->identify_call))
            return op_park(op, &producer->identify_call.done, OP_NO_KEY);
        if (op_probing(op)) return OP_HOLDS;
        if (producer_identify_answered(producer) || producer->fatal != ERR_NONE) return OP_DONE;
        op_deadline(op,
                    env_deadline(producer->env, metadata_backoff_ms(&producer->metadata,
                                                                    producer->identify_failures)));
        op_enter(op, PRODUCER_IDENTIFY_BACKED_OFF);
        return op_park(op, NULL, OP_NO_KEY);
    case PRODUCER_IDENTIFY_COUNT: break;
    }
    IMPOSSIBLE("step");
}

/* ---- life ----------------------------------------------------------------------------------- */

void producer_config_default(struct producer_config *config)
{
    *config = (struct producer_config){
        .acks = -1,
        .idempotent = true,
        .codec = CODEC_NONE,
        .codec_level = COMPRESS_LEVEL_DEFAULT,
        .batch_size = 16384,
        .max_request_size = 1048576,
        .buffer_memory = 32 * 1024 * 1024,
        .linger_ms = 5,
        .max_block_ms = 60000,
        .delivery_timeout_ms = 120000,
        .request_timeout_ms = 30000,
        .in_flight_max = 5,
        .waiting_max = 10000,
        .topics_max = 1000,
    };
    metadata_config_default(&config->metadata);
}

enum err producer_init(struct producer *producer, struct env *env,
                       const struct producer_config *config)
{
    uint32_t requests = config->in_flight_max * config->metadata.nodes_max;
    uint64_t seed;
    enum err err;

    if (config->acks < -1 || config->acks > 1) return ERR_BAD_CONFIG;
    if (config->idempotent && (config->acks != -1 || config->in_flight_max > 5))
        return ERR_BAD_CONFIG;
    if (config->in_flight_max == 0 || config->in_flight_max > PEER_IN_FLIGHT_MAX - 1)
        return ERR_BAD_CONFIG;
    if (config->delivery_timeout_ms < config->linger_ms + config->request_timeout_ms)
        return ERR_BAD_CONFIG;
    *producer = (struct producer){.env = env, .config = *config, .identity = {-1, -1}};
    /* One more: metadata and producer ids share the connection. */
    producer->config.metadata.peer.in_flight_max = config->in_flight_max + 1;
    producer->config.metadata.peer.request_timeout_ms = config->request_timeout_ms;
    err = metadata_init(&producer->metadata, env, &producer->config.metadata);
    if (err != ERR_NONE) return err;
    seed = rng_u64(&producer->metadata.rng);
    rng_init(&producer->rng, seed);
    op_source_init(&producer->changed);
    op_source_init(&producer->wake);
    pool_init(&producer->requests, &env->mem, sizeof(struct producer_request), requests);
    list_init(&producer->in_flight);
    list_init(&producer->active);
    list_init(&producer->by_age);
    list_init(&producer->waiting);
    map_init(&producer->topics, &env->mem, dice_seed(env->world, DICE_HASH), config->topics_max);
    arena_init(&producer->arena, &env->mem, PRODUCER_ARENA_MAX);
    call_init(&producer->identify_call, API_INIT_PRODUCER_ID);
    op_start(&env->loop, &producer->op, &producer_kind, PRODUCER_START);
    op_start(&env->loop, &producer->watch, &producer_watch_kind, PRODUCER_WATCH_START);
    return ERR_NONE;
}

void producer_flush(struct producer *producer)
{
    producer->flushes++;
    producer_kick(producer);
}

void producer_close(struct producer *producer, bool abort)
{
    producer->closing = true;
    producer->aborted = producer->aborted || abort;
    producer_kick(producer);
}

bool producer_closed(const struct producer *producer)
{
    return producer->closing && !op_live(&producer->op);
}

static void producer_topic_free(struct producer *producer, struct producer_topic *topic)
{
    struct mem *mem = &producer->env->mem;

    for (uint32_t i = 0; i < topic->partitions_count; i++)
        mem_free(mem, topic->partitions[i], sizeof **topic->partitions);
    mem_free(mem, topic->partitions, topic->partitions_count * sizeof *topic->partitions);
    metadata_unuse(&producer->metadata, topic->meta);
    mem_free(mem, topic, sizeof *topic);
}

void producer_deinit(struct producer *producer)
{
    ASSERT(producer_closed(producer) && producer->pending == 0 && producer->memory_used == 0);
    MAP_FOR_EACH_SAFE (node, after, &producer->topics) {
        map_remove(&producer->topics, node);
        producer_topic_free(producer, MAP_ENTRY(node, struct producer_topic, by_name));
    }
    map_deinit(&producer->topics);
    pool_deinit(&producer->requests);
    arena_deinit(&producer->arena);
    metadata_deinit(&producer->metadata);
}
