/* What was fetched, taken record by record: batches are checked and inflated when their turn comes,
 * in the order of offsets; what lies below the position, control records and what was aborted is
 * passed over. Partitions take turns: who has nothing left goes to the end. */
#include "client/consumer.h"

#define PARTITION(link_) LIST_ENTRY(link_, struct consumer_partition, link)

bool consumer_has_records(const struct consumer *consumer)
{
    LIST_FOR_EACH (link, &consumer->partitions)
        if (PARTITION(link)->held != NULL && !consumer_silent(PARTITION(link))) return true;
    return false;
}

/* Inflates into memory of its own; nothing on the wire says how much it will be. */
static enum err consumer_inflate(struct consumer_partition *partition, struct bytes *records)
{
    struct env *env = partition->consumer->env;
    size_t size = (size_t)partition->batch.bytes.length * 4;
    enum err err = ERR_TOO_LARGE;

    if (env->world->codecs == NULL) return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    while (err == ERR_TOO_LARGE && size <= CONSUMER_INFLATE_MAX) {
        consumer_end_batch(partition);
        partition->inflated = buf_take(&env->payload, size, false);
        if (partition->inflated == NULL) return ERR_NO_MEMORY;
        err = compress_open(env->world->codecs, &partition->batch, partition->inflated->data, size,
                            records);
        size *= 2;
    }
    return err;
}

/* Opens the next batch that has something for us. EOF: the response is used up. */
static enum err consumer_open_batch(struct consumer_partition *partition)
{
    struct record_batch *batch = &partition->batch;
    struct bytes records;
    enum err err;

    for (;;) {
        if (!record_batch_iter_next(&partition->batches, batch))
            return partition->batches.ended == RECORD_BATCH_CORRUPT ? ERR_CORRUPT_MESSAGE : ERR_EOF;
        if (record_batch_end_offset(batch) <= partition->position) continue;
        err = record_batch_check_crc(partition->consumer->env->world->cpu, batch);
        if (err != ERR_NONE) return ERR_CORRUPT_MESSAGE;
        if (!consumer_aborted_skips(partition, batch) && !record_batch_is_control(batch) &&
            batch->record_count > 0)
            break;
        partition->position = record_batch_end_offset(batch);
        partition->position_epoch = batch->partition_leader_epoch;
    }
    records = record_batch_payload(batch);
    if (record_batch_is_compressed(batch)) {
        err = consumer_inflate(partition, &records);
        if (err != ERR_NONE) return err;
    }
    partition->in_batch = true;
    record_iter_init(&partition->records, batch, records);
    return ERR_NONE;
}

/* ERR_EOF: nothing left of what was fetched. */
static enum err consumer_take(struct consumer_partition *partition, struct record *record)
{
    enum err err;

    for (;;) {
        if (!partition->in_batch) {
            err = consumer_open_batch(partition);
            if (err != ERR_NONE) return err;
        }
        err = record_iter_next(&partition->records, record);
        if (err == ERR_NONE && record->offset < partition->position) continue;
        if (err != ERR_EOF) break;
        /* Offsets may end above the last record (compaction). */
        partition->position = record_batch_end_offset(&partition->batch);
        partition->position_epoch = partition->batch.partition_leader_epoch;
        consumer_end_batch(partition);
    }
    if (err != ERR_NONE) return err;
    partition->position = record->offset + 1;
    partition->position_epoch = partition->batch.partition_leader_epoch;
    return ERR_NONE;
}

static void consumer_told(struct consumer *consumer, const struct consumer_record *record)
{
    int64_t value =
        consumer->config.trace_value != NULL ? consumer->config.trace_value(&record->record) : -1;

    TRACE(consumer->env->world, CLIENT_READ, (int64_t)uuid_high(record->partition->topic->id),
          record->partition->index, record->record.offset, value, record->leader_epoch);
}

bool consumer_next(struct consumer *consumer, struct consumer_record *record)
{
    LIST_FOR_EACH_SAFE (link, after, &consumer->partitions) {
        struct consumer_partition *partition = PARTITION(link);
        enum err err;

        if (partition->held == NULL || consumer_silent(partition)) continue;
        err = consumer_take(partition, &record->record);
        if (err == ERR_NONE) {
            record->partition = partition;
            record->buf = partition->inflated != NULL ? partition->inflated : partition->held;
            record->leader_epoch = partition->batch.partition_leader_epoch;
            consumer_told(consumer, record);
            return true;
        }
        if (err == ERR_EOF || err == ERR_NO_MEMORY) {
            consumer_drop_held(partition); /* NO_MEMORY: fetched again later */
            list_remove(&partition->link); /* the others first, next time */
            list_push(&consumer->partitions, &partition->link);
            op_wake(&consumer->ready);
        } else {
            consumer_fail(partition, err);
        }
    }
    return false;
}
