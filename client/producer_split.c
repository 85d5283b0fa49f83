/* A batch that the broker finds too large becomes two, of half its bytes each (clients.md 2.2).
 * They stand where it stood, with its sequences shared out: nothing overtakes, nothing is
 * renumbered, and what flies behind it stays right. It is no attempt that counts, and there is
 * no backoff.
 * When an earlier attempt may have put the whole into the log (the limit was lowered in between),
 * the parts are `torn`: a leader remembers batches by their first and last sequence and knows none
 * of the parts, so it refuses them as out of order. DIFFERS: Kafka takes that for a leader that
 * lost its state, begins a new epoch and writes the records twice; here they end as unknown.
 * DIFFERS: Kafka cuts to batch.size; halving also ends when batch.size is above the broker's
 * limit. */
#include "client/producer.h"

static struct producer_batch *producer_split_make(struct producer *producer,
                                                  const struct producer_batch *whole)
{
    struct record_builder_config config = record_builder_config_default(producer->env->world->cpu);
    struct producer_batch *part = mem_zalloc(&producer->env->mem, sizeof *part);
    size_t capacity = whole->builder.used;

    if (part == NULL) return NULL;
    if (producer->config.transactional_id.data != NULL) config.attributes |= RECORD_TRANSACTIONAL;
    part->buf = buf_take(&producer->env->payload, capacity, false);
    if (part->buf == NULL) {
        mem_free(&producer->env->mem, part, sizeof *part);
        return NULL;
    }
    part->partition = whole->partition;
    part->number = whole->number;
    part->part = whole->part;
    part->span = whole->span / 2;
    part->maybe = whole->maybe;
    part->torn = whole->maybe;
    part->attempts = whole->attempts; /* a retry: it flies alone */
    part->sequence = -1;
    part->created_ns = whole->created_ns;
    part->tried_leader = -1;
    part->tried_epoch = -1;
    list_init(&part->link);
    list_init(&part->by_age);
    list_init(&part->records);
    record_builder_init(&part->builder, &config, part->buf->data, capacity);
    producer->memory_used += capacity;
    return part;
}

static void producer_split_undo(struct producer *producer, struct producer_batch *part)
{
    if (part != NULL) producer_free_batch(producer, part);
}

static enum err producer_split_copy(struct arena *arena, struct producer_batch *part,
                                    const struct record *record)
{
    struct record_header *headers = NULL;
    struct bytes encoded = record->headers;
    enum err err = ERR_NONE;

    if (record->headers_count > 0) {
        headers = arena_alloc(arena, record->headers_count * sizeof *headers);
        if (headers == NULL) return ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < record->headers_count && err == ERR_NONE; i++)
        err = record_headers_next(&encoded, &headers[i]);
    if (err != ERR_NONE) return err;
    return record_builder_append(&part->builder, record->timestamp, record->key, record->value,
                                 headers, record->headers_count);
}

/* The records of `whole` in two: the first part has at least one and, but for that, at most half
 * the bytes; the second has the rest. */
static enum err producer_split_fill(struct arena *arena, const struct producer_batch *whole,
                                    struct producer_batch *parts[2])
{
    struct record_batch view;
    struct record_iter iter;
    struct record record;
    size_t half = whole->builder.used / 2;
    int32_t at = 0;
    uint32_t to = 0;
    enum err err;

    if (record_batch_parse(whole->bytes, &view) != RECORD_BATCH_WHOLE) return ERR_MALFORMED;
    record_iter_init(&iter, &view, record_builder_records(&whole->builder));
    while ((err = record_iter_next(&iter, &record)) == ERR_NONE) {
        if (at > 0 && (parts[0]->builder.used >= half || at + 1 == whole->builder.count)) to = 1;
        err = producer_split_copy(arena, parts[to], &record);
        if (err != ERR_NONE) return err;
        at++;
    }
    return err == ERR_EOF ? ERR_NONE : err;
}

bool producer_split(struct producer *producer, struct producer_batch *batch)
{
    struct producer_partition *partition = batch->partition;
    struct producer_batch *parts[2] = {NULL, NULL};
    int32_t sequence = batch->sequence;
    struct arena arena; /* the producer's holds the answer that is being read */
    enum err err = ERR_NO_MEMORY;

    if (batch->span < 2) return false;
    arena_init(&arena, &producer->env->mem, PRODUCER_ARENA_MAX);
    parts[0] = producer_split_make(producer, batch);
    parts[1] = producer_split_make(producer, batch);
    if (parts[0] != NULL && parts[1] != NULL) err = producer_split_fill(&arena, batch, parts);
    arena_deinit(&arena);
    if (err != ERR_NONE) {
        producer_split_undo(producer, parts[0]);
        producer_split_undo(producer, parts[1]);
        return false;
    }
    parts[1]->part += parts[1]->span;
    producer_partition_drop(partition, batch);
    for (uint32_t i = 0; i < 2; i++) {
        struct producer_batch *part = parts[i];

        for (int32_t k = 0; k < part->builder.count; k++) {
            struct list *link = list_pop(&batch->records);

            ASSERT(link != NULL);
            list_push(&part->records, link);
        }
        list_push(&batch->by_age, &part->by_age);
        part->sequence = sequence;
        if (sequence >= 0) sequence = record_batch_sequence_add(sequence, part->builder.count);
        producer_batch_seal(part, &producer->env->payload, producer->env->world->codecs,
                            producer->config.codec, producer->config.codec_level, false);
        producer_partition_queue(partition, part);
    }
    list_remove(&batch->by_age);
    if (!list_linked(&partition->active)) list_push(&producer->active, &partition->active);
    producer->counts.splits++;
    producer_free_batch(producer, batch);
    return true;
}
