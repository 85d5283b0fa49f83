/* From a record to an open batch: its topic, its partition, room in a batch. What cannot be
 * appended yet waits here, in order. */
#include "client/partitioner.h"
#include "client/producer.h"

#define RECORD(link_) LIST_ENTRY(link_, struct producer_record, link)

/* A record that never came into a batch is certainly in no log. */
void producer_refuse(struct producer *producer, struct producer_record *record, enum err result)
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
    struct map_node *node;
    enum err err = ERR_NONE;

    *topic = producer->latest;
    if (*topic != NULL && str_equal(metadata_name((*topic)->meta), name)) return ERR_NONE;
    node = map_find_str(&producer->topics, name);
    if (node == NULL) {
        err = producer_topic_make(producer, name, topic);
    } else {
        *topic = MAP_ENTRY(node, struct producer_topic, by_name);
    }
    if (err == ERR_NONE) producer->latest = *topic;
    return err;
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

static uint32_t producer_led(const struct metadata_topic *meta)
{
    uint32_t led = 0;

    for (uint32_t i = 0; i < meta->partitions_count; i++)
        if (meta->partitions[i].leader >= 0) led++;
    return led;
}

/* The n-th of the partitions with a leader. */
static int32_t producer_led_nth(const struct metadata_topic *meta, uint64_t n)
{
    uint64_t draw = n;

    for (uint32_t i = 0; i < meta->partitions_count; i++) {
        if (meta->partitions[i].leader < 0) continue;
        if (draw == 0) return (int32_t)i;
        draw--;
    }
    IMPOSSIBLE("fewer led partitions than counted");
}

/* Uniform over the partitions with a leader, over all when none has one. */
static int32_t producer_stick(struct producer *producer, struct producer_topic *topic)
{
    uint32_t led = producer_led(topic->meta);
    uint64_t draw;

    if (led == 0) return (int32_t)rng_below(&producer->rng, topic->meta->partitions_count);
    draw = rng_below(&producer->rng, led);
    return producer_led_nth(topic->meta, draw);
}

/* One after the other, of those with a leader if there are any. */
static int32_t producer_next_in_turn(struct producer_topic *topic)
{
    uint32_t led = producer_led(topic->meta);
    uint32_t turn = topic->turn++;

    if (led == 0) return (int32_t)(turn % topic->meta->partitions_count);
    return producer_led_nth(topic->meta, turn % led);
}

static enum err producer_choose(struct producer *producer, struct producer_topic *topic,
                                const struct producer_record *record, int32_t *partition)
{
    if (record->partition >= 0) {
        if ((uint32_t)record->partition >= topic->meta->partitions_count)
            return ERR_UNKNOWN_TOPIC_OR_PARTITION; /* may come: waits */
        *partition = record->partition;
    } else if (producer->config.partitioning == PRODUCER_BY_CALLER) {
        *partition = producer->config.partitioner(producer->config.partitioner_context, record,
                                                  topic->meta->partitions_count);
        if (*partition < 0 || (uint32_t)*partition >= topic->meta->partitions_count)
            return ERR_INVALID_PARTITIONS;
    } else if (producer->config.partitioning == PRODUCER_IN_TURN) {
        *partition = producer_next_in_turn(topic);
    } else if (record->key.data != NULL && producer->config.partitioning == PRODUCER_BY_KEY) {
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
    batch->span = PRODUCER_BATCH_SPAN;
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

    if (most + RECORD_BATCH_HEADER > producer->config.max_request_size ||
        most > producer->config.buffer_memory)
        return ERR_MESSAGE_TOO_LARGE; /* clients.md 2.1 */
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
    producer->counts.records++;
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
void producer_admit(struct producer *producer)
{
    int64_t patience_ns = producer->config.max_block_ms * NS_PER_MS;
    struct str stuck = STR_NULL; /* the topic that was not known last: saves asking again */

    LIST_FOR_EACH_SAFE (link, after, &producer->waiting) {
        struct producer_record *record = RECORD(link);
        enum err err = stuck.data != NULL && str_equal(stuck, record->topic)
                           ? ERR_LEADER_NOT_AVAILABLE
                           : producer_append(producer, record);

        if (err == ERR_NONE) continue;
        if (!producer_not_now(err)) {
            producer_refuse(producer, record, err);
        } else if (producer->env->now.mono.ns - record->started_ns >= patience_ns) {
            enum err why = producer->metadata.last_error;

            producer_refuse(producer, record, why != ERR_NONE ? why : ERR_TIMED_OUT);
        } else if (err == ERR_NO_MEMORY) {
            return; /* those behind it came later: they have patience too */
        } else {
            stuck = record->topic;
        }
    }
}
