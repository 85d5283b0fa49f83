#include "client/producer_batch.h"

#define BATCH(link_) LIST_ENTRY(link_, struct producer_batch, link)

void producer_partition_init(struct producer_partition *partition, struct producer_topic *topic,
                             int32_t index)
{
    *partition = (struct producer_partition){
        .topic = topic, .index = index, .identity = {-1, -1}, .last_acked = -1};
    list_init(&partition->active);
    list_init(&partition->queue);
    list_init(&partition->in_flight);
}

struct producer_batch *producer_partition_open(const struct producer_partition *partition)
{
    struct producer_batch *last;

    if (list_empty(&partition->queue)) return NULL;
    last = BATCH(partition->queue.prev);
    return last->sealed ? NULL : last;
}

bool producer_batch_before(const struct producer_batch *a, const struct producer_batch *b)
{
    return a->number != b->number ? a->number < b->number : a->part < b->part;
}

/* ---- what may be sent ----------------------------------------------------------------------- */

struct producer_batch *producer_partition_next(const struct producer_partition *partition,
                                               bool idempotent, uint32_t in_flight_max)
{
    struct producer_batch *head;

    if (list_empty(&partition->queue) || partition->bump) return NULL;
    head = BATCH(partition->queue.next);
    if (partition->in_flight_count == 0)
        return head->sequence < 0 && partition->unresolved ? NULL : head;
    if (!idempotent || partition->in_flight_count >= in_flight_max) return NULL;
    if (partition->last_acked < 0) return NULL; /* the first of an identity flies alone */
    if (head->sequence < 0 && partition->unresolved) return NULL;
    LIST_FOR_EACH (link, &partition->in_flight) {
        const struct producer_batch *flying = BATCH(link);

        if (flying->attempts > 1) return NULL; /* a retry flies alone */
        if (flying->passed >= PRODUCER_WINDOW - 1) return NULL;
        if (head->attempts > 0 && producer_batch_before(flying, head)) return NULL;
    }
    return head;
}

void producer_partition_depart(struct producer_partition *partition, struct producer_batch *batch)
{
    ASSERT(partition->queue.next == &batch->link);
    ASSERT(batch->sealed);
    LIST_FOR_EACH (link, &partition->in_flight)
        BATCH(link)->passed++;
    list_remove(&batch->link);
    list_push(&partition->in_flight, &batch->link);
    partition->in_flight_count++;
    batch->attempts++;
    batch->passed = 0;
}

void producer_partition_queue(struct producer_partition *partition, struct producer_batch *batch)
{
    struct list *place = partition->queue.next;

    while (place != &partition->queue && producer_batch_before(BATCH(place), batch))
        place = place->next;
    list_push(place, &batch->link);
}

void producer_partition_drop(struct producer_partition *partition, struct producer_batch *batch)
{
    ASSERT(partition->in_flight_count > 0);
    list_remove(&batch->link);
    partition->in_flight_count--;
}

void producer_partition_return(struct producer_partition *partition, struct producer_batch *batch)
{
    producer_partition_drop(partition, batch);
    producer_partition_queue(partition, batch);
}

/* ---- sequences ------------------------------------------------------------------------------ */

static int32_t producer_batch_last_sequence(const struct producer_batch *batch)
{
    return record_batch_sequence_add(batch->sequence, batch->builder.count - 1);
}

static int32_t producer_partition_expected(const struct producer_partition *partition)
{
    return partition->last_acked < 0 ? partition->first_sequence
                                     : record_batch_sequence_add(partition->last_acked, 1);
}

static bool producer_batch_flies(const struct producer_batch *batch)
{
    LIST_FOR_EACH (link, &batch->partition->in_flight)
        if (link == &batch->link) return true;
    return false;
}

void producer_partition_settle(struct producer_partition *partition, struct producer_batch *batch,
                               bool acked)
{
    if (producer_batch_flies(batch)) {
        ASSERT(partition->in_flight_count > 0);
        partition->in_flight_count--;
    }
    list_remove(&batch->link);
    if (batch->sequence < 0) return;
    if (!acked) {
        partition->unresolved = true;
    } else if (batch->number > partition->acked_number ||
               (batch->number == partition->acked_number && batch->part >= partition->acked_part)) {
        /* A broker takes sequences only without gaps: what was open before it is there too. */
        partition->acked_number = batch->number;
        partition->acked_part = batch->part;
        partition->last_acked = producer_batch_last_sequence(batch);
    }
}

bool producer_batch_first_open(const struct producer_batch *batch)
{
    LIST_FOR_EACH (link, &batch->partition->in_flight)
        if (producer_batch_before(BATCH(link), batch)) return false;
    LIST_FOR_EACH (link, &batch->partition->queue)
        if (BATCH(link)->sequence >= 0 && producer_batch_before(BATCH(link), batch)) return false;
    return true;
}

void producer_partition_out_of_order(struct producer_partition *partition,
                                     const struct producer_batch *batch)
{
    if (!producer_batch_first_open(batch)) return;
    if (partition->unresolved || batch->sequence == producer_partition_expected(partition))
        partition->bump = true;
}

void producer_partition_resolve(struct producer_partition *partition)
{
    if (!partition->unresolved || partition->in_flight_count > 0) return;
    LIST_FOR_EACH (link, &partition->queue)
        if (BATCH(link)->sequence >= 0) return; /* its retry will tell */
    if (partition->next_sequence != producer_partition_expected(partition)) partition->bump = true;
    partition->unresolved = false;
}

static void producer_batch_write(struct producer_batch *batch)
{
    struct record_builder *builder = &batch->builder;

    builder->config.producer_id = batch->sequence < 0 ? -1 : batch->partition->identity.id;
    builder->config.producer_epoch = batch->sequence < 0 ? -1 : batch->partition->identity.epoch;
    builder->config.base_sequence = batch->sequence;
    batch->bytes = batch->packed != NULL
                       ? record_builder_finish_compressed(builder, batch->codec,
                                                          batch->packed->data, batch->packed_length)
                       : record_builder_finish(builder);
}

static void producer_batch_number(struct producer_batch *batch)
{
    struct producer_partition *partition = batch->partition;

    batch->sequence = partition->next_sequence;
    partition->next_sequence =
        record_batch_sequence_add(partition->next_sequence, batch->builder.count);
}

void producer_partition_renumber(struct producer_partition *partition,
                                 struct producer_identity identity)
{
    ASSERT(partition->in_flight_count == 0);
    /* A broker that knows the id takes 0 only from a new epoch, one that does not takes any. */
    if (partition->identity.id >= 0) partition->first_sequence = 0;
    partition->identity = identity;
    partition->next_sequence = partition->first_sequence;
    partition->last_acked = -1;
    partition->unresolved = false;
    partition->bump = false;
    LIST_FOR_EACH (link, &partition->queue) {
        struct producer_batch *batch = BATCH(link);

        if (batch->sequence < 0) break;
        producer_batch_number(batch);
        producer_batch_write(batch);
    }
}

bool producer_partition_stale(const struct producer_partition *partition,
                              struct producer_identity identity)
{
    if (partition->identity.id == identity.id && partition->identity.epoch == identity.epoch)
        return false;
    if (partition->in_flight_count > 0) return false;
    return list_empty(&partition->queue) || BATCH(partition->queue.next)->sequence < 0;
}

/* ---- sealing -------------------------------------------------------------------------------- */

size_t producer_batch_capacity(size_t batch_size, size_t record_max)
{
    size_t needed = RECORD_BATCH_HEADER + record_max;

    return needed > batch_size ? needed : batch_size;
}

static void producer_batch_compress(struct producer_batch *batch, struct buf_budget *budget,
                                    const struct codecs *codecs, enum codec codec, int32_t level)
{
    struct bytes records = record_builder_records(&batch->builder);
    size_t room = compress_bound(codec, records.length);
    size_t length = 0;
    struct buf *packed;

    if (codec == CODEC_NONE || codecs == NULL) return;
    packed = buf_take(budget, RECORD_BATCH_HEADER + room, false);
    if (packed == NULL) return;
    if (compress_encode(codecs, codec, level, records, packed->data + RECORD_BATCH_HEADER, room,
                        &length) != ERR_NONE ||
        length >= records.length) {
        buf_unref(packed);
        return;
    }
    batch->packed = packed;
    batch->packed_length = length;
    batch->codec = codec;
}

void producer_batch_seal(struct producer_batch *batch, struct buf_budget *budget,
                         const struct codecs *codecs, enum codec codec, int32_t level,
                         bool idempotent)
{
    bool number = idempotent && batch->sequence < 0;

    if (batch->sealed && !number) return;
    if (!batch->sealed) producer_batch_compress(batch, budget, codecs, codec, level);
    batch->sealed = true;
    if (number) producer_batch_number(batch);
    producer_batch_write(batch);
}
