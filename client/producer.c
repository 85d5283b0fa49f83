#include "client/producer.h"

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

void producer_kick(struct producer *producer)
{
    producer->kicked = true;
    op_wake(&producer->wake);
}

/* ---- endings -------------------------------------------------------------------------------- */

void producer_finish(struct producer *producer, struct producer_record *record,
                     enum producer_outcome outcome, enum err result, int64_t offset, int64_t topic)
{
    struct world *world = producer->env->world;

    ASSERT(record->outcome == PRODUCER_PENDING && producer->pending > 0);
    record->outcome = outcome;
    record->result = result;
    record->offset = offset;
    producer->pending--;
    if (outcome == PRODUCER_ACKED) {
        producer->counts.acked++;
    } else if (outcome == PRODUCER_FAILED) {
        producer->counts.failed++;
    } else {
        producer->counts.unknown++;
    }
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

void producer_next_epoch(struct producer *producer)
{
    ASSERT(producer->pending == 0 && producer->config.idempotent);
    if (producer->identity.id < 0) return;
    if (producer->identity.epoch == PRODUCER_EPOCH_MAX) {
        producer->identity = (struct producer_identity){-1, -1};
    } else {
        producer->identity.epoch++;
    }
    producer_kick(producer);
}

static bool producer_identified(struct producer *producer)
{
    if (!producer->config.idempotent || producer->identity.id >= 0) return true;
    if (!op_live(&producer->identify) && producer->fatal == ERR_NONE)
        producer_identify_start(producer);
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
        producer->counts.batches++;
        producer->counts.bytes += batch->bytes.length;
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
            producer->counts.requests++;
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
        .retries = INT32_MAX,
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
