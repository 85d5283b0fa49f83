/* The producer of gregor.h. A record of the core lives from the send to its callback; what the core
 * does not copy at once is copied here. */
#include "client/gregor_internal.h"

#include <stdlib.h>
#include <string.h>

/* Bounds: records that have not been told yet, and bytes appended until the network has a turn.
 * Records are made SLAB at a time and kept until the producer is closed. */
enum { RECORDS_MAX = 1000000, SLAB = 128, TURN_BYTES = 64 * 1024, HEADERS_MAX = 64 };

struct gregor_producer {
    struct gregor_left left;
    struct list link;
    struct gregor_client *client;
    struct gregor_config *config;
    struct producer producer;
    struct list finished; /* records of the core, not told */
    struct list spare;
    struct slab *slabs;
    uint32_t alive; /* records not told */
    size_t copied;  /* bytes kept for records that wait */
    size_t since;   /* bytes appended since the network had a turn */
    struct gregor_name *topics;
    const struct gregor_name *last_topic;
    gregor_partitioner *partitioner;
    void *partitioner_context;
    struct gregor_interceptor interceptors[GREGOR_INTERCEPTORS_MAX];
    uint32_t interceptors_count;
    struct gregor_serializer key;
    struct gregor_serializer value;
};

struct sent {
    struct producer_record record;
    gregor_delivered *delivered;
    void *context;
    const struct gregor_name *topic;
    void *copy; /* of key, value and headers; NULL: the core has them */
    size_t copy_size;
    struct gregor_delivery *sync; /* of who waits */
    bool *sync_done;
};

struct slab {
    struct slab *next;
    struct sent records[SLAB];
};

struct gregor_producer *gregor_producer_of(struct list *link)
{
    return LIST_ENTRY(link, struct gregor_producer, link);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void producer_dispose(struct gregor_producer *producer)
{
    while (producer->slabs != NULL) {
        struct slab *next = producer->slabs->next;

        free(producer->slabs);
        producer->slabs = next;
    }
    gregor_forget(&producer->topics);
    gregor_config_free(producer->config);
    producer->config = NULL;
}

struct gregor_producer *gregor_producer_new(struct gregor_client *client,
                                            const struct gregor_config *config, char *why,
                                            size_t why_size)
{
    struct gregor_producer *producer = calloc(1, sizeof *producer);
    struct producer_config settings;
    enum err err = ERR_NO_MEMORY;

    if (producer != NULL) producer->config = gregor_config_copy(config);
    if (producer == NULL || producer->config == NULL) {
        gregor_explain(why, why_size, "not enough memory");
        free(producer);
        return NULL;
    }
    producer->client = client;
    list_init(&producer->finished);
    list_init(&producer->spare);
    list_init(&producer->link);
    if (gregor_config_producer(producer->config, &settings, why, why_size)) {
        gregor_enter(client);
        err = producer_init(&producer->producer, &client->env, &settings);
        if (err != ERR_NONE) gregor_explain(why, why_size, "%s", err_name(err));
    }
    if (err != ERR_NONE) {
        gregor_config_free(producer->config);
        free(producer);
        return NULL;
    }
    list_push(&client->producers, &producer->link);
    return producer;
}

static bool producer_ended(void *context)
{
    const struct gregor_producer *producer = context;

    return producer_closed(&producer->producer) && list_empty(&producer->finished);
}

int gregor_producer_close(struct gregor_producer *producer, int timeout_ms)
{
    struct gregor_client *client = producer->client;
    int error = GREGOR_OK;

    if (client->delivering) return GREGOR_ERR_BAD_STATE;
    gregor_enter(client);
    producer_close(&producer->producer, false);
    if (!gregor_wait(client, producer_ended, producer, gregor_deadline_ns(timeout_ms))) {
        error = GREGOR_ERR_TIMED_OUT;
        gregor_enter(client);
        producer_close(&producer->producer, true);
    }
    if (error == GREGOR_OK ||
        gregor_wait(client, producer_ended, producer, gregor_deadline_ns(1000))) {
        gregor_enter(client);
        producer_deinit(&producer->producer);
        list_remove(&producer->link);
        producer_dispose(producer);
        free(producer);
        return error;
    }
    list_remove(&producer->link); /* its ops live on in the client, and end with it */
    gregor_leave(client, &producer->left, producer);
    return error;
}

/* ---- endings --------------------------------------------------------------------------------- */

static bool slab_make(struct gregor_producer *producer)
{
    struct slab *slab = malloc(sizeof *slab);

    if (slab == NULL) return false;
    slab->next = producer->slabs;
    producer->slabs = slab;
    for (uint32_t i = 0; i < SLAB; i++) {
        list_init(&slab->records[i].record.link);
        list_push(&producer->spare, &slab->records[i].record.link);
    }
    return true;
}

static struct sent *sent_take(struct gregor_producer *producer)
{
    struct sent *sent;

    if (producer->alive >= RECORDS_MAX) return NULL;
    if (list_empty(&producer->spare) && !slab_make(producer)) return NULL;
    sent = LIST_ENTRY(producer->spare.next, struct sent, record.link);
    list_remove(&sent->record.link);
    producer->alive++;
    producer_record_init(&sent->record);
    sent->copy = NULL;
    sent->copy_size = 0;
    sent->sync = NULL;
    sent->sync_done = NULL;
    return sent;
}

static void sent_give(struct gregor_producer *producer, struct sent *sent)
{
    producer->alive--;
    producer->copied -= sent->copy_size;
    free(sent->copy);
    list_push_front(&producer->spare, &sent->record.link);
}

static void sent_end(struct gregor_producer *producer, struct sent *sent)
{
    struct gregor_delivery delivery = {
        .error = (int)sent->record.result,
        .unclear = sent->record.outcome == PRODUCER_UNKNOWN,
        .topic = sent->topic->text,
        .partition = sent->record.partition,
        .offset = sent->record.offset,
        .timestamp = sent->record.timestamp_ms,
        .context = sent->context,
    };

    if (delivery.error == 0 && delivery.unclear) delivery.error = GREGOR_ERR_TIMED_OUT;
    for (uint32_t i = 0; i < producer->interceptors_count; i++)
        if (producer->interceptors[i].on_delivery != NULL)
            producer->interceptors[i].on_delivery(producer->interceptors[i].context, &delivery);
    if (sent->sync_done != NULL) {
        *sent->sync = delivery;
        *sent->sync_done = true;
    }
    if (sent->delivered != NULL) sent->delivered(&delivery);
}

int gregor_producer_deliver(struct gregor_producer *producer)
{
    struct gregor_client *client = producer->client;
    struct list told;
    struct list *link;
    int count = 0;

    list_init(&told);
    list_splice(&told, &producer->finished);
    client->delivering = true;
    while ((link = list_pop(&told)) != NULL) {
        struct sent *sent = LIST_ENTRY(link, struct sent, record.link);

        sent_end(producer, sent);
        count += sent->delivered != NULL;
        sent_give(producer, sent);
    }
    client->delivering = false;
    return count;
}

/* ---- sending --------------------------------------------------------------------------------- */

static const struct gregor_name *topic_of(struct gregor_producer *producer, const char *topic)
{
    const struct gregor_name *last = producer->last_topic;

    if (last != NULL && strcmp(last->text, topic) == 0) return last;
    producer->last_topic = gregor_intern(&producer->topics, str_of(topic));
    return producer->last_topic;
}

static int32_t ask_partitioner(void *context, const struct producer_record *record,
                               uint32_t partitions)
{
    struct gregor_producer *producer = context;
    const struct sent *sent = CONTAINER_OF(record, struct sent, record);

    return producer->partitioner(producer->partitioner_context, sent->topic->text, record->key.data,
                                 record->key.length, record->value.data, record->value.length,
                                 (int32_t)partitions);
}

int gregor_producer_set_partitioner(struct gregor_producer *producer,
                                    gregor_partitioner *partitioner, void *context)
{
    struct producer_config settings;

    if (producer->producer.counts.records > 0) return GREGOR_ERR_BAD_STATE;
    if (!gregor_config_producer(producer->config, &settings, NULL, 0)) return GREGOR_ERR_BAD_CONFIG;
    producer->partitioner = partitioner;
    producer->partitioner_context = context;
    producer->producer.config.partitioning =
        partitioner != NULL ? PRODUCER_BY_CALLER : settings.partitioning;
    producer->producer.config.partitioner = ask_partitioner;
    producer->producer.config.partitioner_context = producer;
    return GREGOR_OK;
}

int gregor_producer_add_interceptor(struct gregor_producer *producer,
                                    const struct gregor_interceptor *interceptor)
{
    if (producer->interceptors_count == GREGOR_INTERCEPTORS_MAX) return GREGOR_ERR_TOO_MANY;
    producer->interceptors[producer->interceptors_count++] = *interceptor;
    return GREGOR_OK;
}

void gregor_producer_set_serializers(struct gregor_producer *producer,
                                     const struct gregor_serializer *key,
                                     const struct gregor_serializer *value)
{
    producer->key = key != NULL ? *key : (struct gregor_serializer){0};
    producer->value = value != NULL ? *value : (struct gregor_serializer){0};
}

/* Moves what the core borrows into memory of its own: the record waits. All of it is at most
 * buffer.memory and one record (has_room()). */
static bool sent_keep(struct gregor_producer *producer, struct sent *sent)
{
    struct producer_record *record = &sent->record;
    size_t size = record->key.length + record->value.length +
                  record->headers_count * sizeof(struct record_header);
    struct record_header *headers;
    uint8_t *at;

    for (uint32_t i = 0; i < record->headers_count; i++)
        size += record->headers[i].key.length + record->headers[i].value.length;
    sent->copy = malloc(size + 1);
    if (sent->copy == NULL) return false;
    sent->copy_size = size;
    producer->copied += size;
    headers = sent->copy;
    at = (uint8_t *)(headers + record->headers_count);
    for (uint32_t i = 0; i < record->headers_count; i++) {
        struct bytes *parts[] = {&headers[i].key, &headers[i].value};

        headers[i] = record->headers[i];
        for (uint32_t k = 0; k < COUNT_OF(parts); k++) {
            if (parts[k]->data == NULL) continue;
            memcpy(at, parts[k]->data, parts[k]->length);
            parts[k]->data = at;
            at += parts[k]->length;
        }
    }
    if (record->headers_count > 0) record->headers = headers;
    if (record->key.data != NULL) {
        memcpy(at, record->key.data, record->key.length);
        record->key.data = at;
        at += record->key.length;
    }
    if (record->value.data != NULL) {
        memcpy(at, record->value.data, record->value.length);
        record->value.data = at;
    }
    return true;
}

/* Without room the record could only wait; the caller waits instead. */
static bool has_room(const struct gregor_producer *producer)
{
    return producer->alive < RECORDS_MAX &&
           producer->producer.waiting_count < producer->producer.config.waiting_max &&
           producer->copied < producer->producer.config.buffer_memory;
}

/* An empty value is not a null one. */
static struct bytes bytes_of(const void *data, size_t length)
{
    static const uint8_t nothing[1] = {0};

    if (data == NULL) return (struct bytes){NULL, 0};
    return (struct bytes){length > 0 ? data : nothing, (uint32_t)length};
}

static int serialize(const struct gregor_serializer *serializer, const char *topic,
                     const void **data, size_t *length)
{
    if (serializer->serialize == NULL || *data == NULL) return GREGOR_OK;
    return serializer->serialize(serializer->context, topic, *data, *length, data, length);
}

static int prepare(struct gregor_producer *producer, struct gregor_record *record)
{
    int error;

    for (uint32_t i = 0; i < producer->interceptors_count; i++)
        if (producer->interceptors[i].on_send != NULL)
            producer->interceptors[i].on_send(producer->interceptors[i].context, record);
    if (record->topic == NULL || record->headers_count > HEADERS_MAX)
        return GREGOR_ERR_INVALID_RECORD;
    error = serialize(&producer->key, record->topic, &record->key, &record->key_length);
    if (error == GREGOR_OK)
        error = serialize(&producer->value, record->topic, &record->value, &record->value_length);
    if (error != GREGOR_OK) return error;
    if (record->key_length > INT32_MAX || record->value_length > INT32_MAX)
        return GREGOR_ERR_MESSAGE_TOO_LARGE;
    return GREGOR_OK;
}

static int hand_over(struct gregor_producer *producer, const struct gregor_record *record,
                     gregor_delivered *delivered, void *context, struct gregor_delivery *sync,
                     bool *sync_done)
{
    struct record_header headers[HEADERS_MAX];
    const struct gregor_name *topic = topic_of(producer, record->topic);
    struct sent *sent = topic != NULL ? sent_take(producer) : NULL;
    size_t size = record->key_length + record->value_length;

    if (sent == NULL) return GREGOR_ERR_NO_MEMORY;
    for (size_t i = 0; i < record->headers_count; i++) {
        headers[i].key = bytes_of(record->headers[i].key, record->headers[i].key_length);
        headers[i].value = bytes_of(record->headers[i].value, record->headers[i].value_length);
    }
    sent->topic = topic;
    sent->delivered = delivered;
    sent->context = context;
    sent->sync = sync;
    sent->sync_done = sync_done;
    sent->record.topic = (struct str){topic->text, topic->length};
    sent->record.key = bytes_of(record->key, record->key_length);
    sent->record.value = bytes_of(record->value, record->value_length);
    sent->record.headers = headers;
    sent->record.headers_count = (uint32_t)record->headers_count;
    sent->record.partition = record->partition < 0 ? -1 : record->partition;
    sent->record.timestamp_ms = record->timestamp > 0 ? record->timestamp : -1;
    sent->record.collect = &producer->finished;
    gregor_enter(producer->client);
    producer_send(&producer->producer, &sent->record);
    if (sent->record.outcome == PRODUCER_PENDING && !sent->record.appended &&
        !sent_keep(producer, sent)) {
        producer_refuse(&producer->producer, &sent->record, ERR_NO_MEMORY);
    }
    producer->since += size;
    if (producer->since >= TURN_BYTES && !producer->client->delivering) {
        producer->since = 0;
        (void)posix_world_turn(producer->client->posix, 0);
    }
    return GREGOR_OK;
}

int gregor_producer_try_send(struct gregor_producer *producer, const struct gregor_record *record,
                             gregor_delivered *delivered, void *context)
{
    struct gregor_record copy = *record;
    int error;

    if (!has_room(producer)) return GREGOR_ERR_TOO_MANY;
    error = prepare(producer, &copy);
    return error != GREGOR_OK ? error : hand_over(producer, &copy, delivered, context, NULL, NULL);
}

static bool room_came(void *context)
{
    return has_room(context);
}

static int wait_for_room(struct gregor_producer *producer)
{
    int32_t patience_ms = producer->producer.config.max_block_ms;

    if (has_room(producer)) return GREGOR_OK;
    if (producer->client->delivering) return GREGOR_ERR_TOO_MANY;
    return gregor_wait(producer->client, room_came, producer, gregor_deadline_ns(patience_ms))
               ? GREGOR_OK
               : GREGOR_ERR_TOO_MANY;
}

int gregor_producer_send(struct gregor_producer *producer, const struct gregor_record *record,
                         gregor_delivered *delivered, void *context)
{
    int error = wait_for_room(producer);

    return error != GREGOR_OK ? error
                              : gregor_producer_try_send(producer, record, delivered, context);
}

static bool is_done(void *context)
{
    return *(bool *)context;
}

int gregor_producer_send_sync(struct gregor_producer *producer, const struct gregor_record *record,
                              struct gregor_delivery *delivery)
{
    struct gregor_record copy = *record;
    struct gregor_delivery told = {0};
    bool done = false;
    int error;

    if (producer->client->delivering) return GREGOR_ERR_BAD_STATE;
    error = wait_for_room(producer);
    if (error == GREGOR_OK) error = prepare(producer, &copy);
    if (error == GREGOR_OK) error = hand_over(producer, &copy, NULL, NULL, &told, &done);
    if (error != GREGOR_OK) return error;
    producer_flush(&producer->producer);
    (void)gregor_wait(producer->client, is_done, &done, INT64_MAX); /* every record ends */
    if (delivery != NULL) *delivery = told;
    return told.error;
}

static bool all_ended(void *context)
{
    const struct gregor_producer *producer = context;

    return producer->producer.pending == 0 && list_empty(&producer->finished);
}

int gregor_producer_flush(struct gregor_producer *producer, int timeout_ms)
{
    if (producer->client->delivering) return GREGOR_ERR_BAD_STATE;
    gregor_enter(producer->client);
    producer_flush(&producer->producer);
    return gregor_wait(producer->client, all_ended, producer, gregor_deadline_ns(timeout_ms))
               ? GREGOR_OK
               : GREGOR_ERR_TIMED_OUT;
}

/* ---- what it says of itself ------------------------------------------------------------------ */

void gregor_producer_get_metrics(const struct gregor_producer *producer,
                                 struct gregor_producer_metrics *metrics)
{
    const struct producer *core = &producer->producer;
    uint64_t open = 0;

    LIST_FOR_EACH (link, &core->in_flight)
        open++;
    *metrics = (struct gregor_producer_metrics){
        .records = core->counts.records,
        .delivered = core->counts.acked,
        .failed = core->counts.failed,
        .unclear = core->counts.unknown,
        .pending = core->pending,
        .waiting = core->waiting_count,
        .requests = core->counts.requests,
        .batches = core->counts.batches,
        .batch_bytes = core->counts.bytes,
        .retries = core->counts.retries,
        .splits = core->counts.splits,
        .buffer_used = core->memory_used,
        .requests_open = open,
    };
}

struct asked {
    const struct metadata_topic *topic;
};

static bool topic_known(void *context)
{
    const struct metadata_topic *topic = ((struct asked *)context)->topic;

    return topic->partitions_count > 0 ||
           (topic->error != ERR_NONE && err_retry(topic->error) == ERR_FINAL);
}

int32_t gregor_producer_partitions(struct gregor_producer *producer, const char *topic,
                                   int timeout_ms, int *error)
{
    struct metadata_topic *meta = NULL;
    struct asked asked;
    enum err err;
    int32_t count;

    if (producer->client->delivering) {
        *error = GREGOR_ERR_BAD_STATE;
        return -1;
    }
    gregor_enter(producer->client);
    err = metadata_use(&producer->producer.metadata, str_of(topic), &meta);
    if (err != ERR_NONE) {
        *error = (int)err;
        return -1;
    }
    asked.topic = meta;
    (void)gregor_wait(producer->client, topic_known, &asked, gregor_deadline_ns(timeout_ms));
    count = meta->partitions_count > 0 ? (int32_t)meta->partitions_count : -1;
    if (count < 0) *error = meta->error != ERR_NONE ? (int)meta->error : GREGOR_ERR_TIMED_OUT;
    metadata_unuse(&producer->producer.metadata, meta);
    return count;
}
