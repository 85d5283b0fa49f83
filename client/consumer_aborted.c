/* Isolation read_committed (transactions.md 5): a fetch answer lists the aborted transactions that
 * have batches in it. Over the batches in their order:
 *
 *     a transaction of the list begins     when a batch reaches its first offset
 *     it ends                              at its producer's abort marker
 *     a transactional batch in between     is left out
 *
 * Control batches are nobody's records in either isolation. */
#include "client/consumer.h"

void consumer_aborted_drop(struct consumer_partition *partition)
{
    mem_free(&partition->consumer->env->mem, partition->aborted,
             partition->aborted_count * sizeof *partition->aborted);
    partition->aborted = NULL;
    partition->aborted_count = 0;
    partition->aborted_at = 0;
}

static bool before(const struct consumer_aborted *a, const struct consumer_aborted *b)
{
    if (a->first_offset != b->first_offset) return a->first_offset < b->first_offset;
    return a->producer_id < b->producer_id;
}

/* Insertion: brokers list them in the order of their markers, which is nearly that of their
 * beginnings. */
static void sort(struct consumer_aborted *items, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct consumer_aborted item = items[i];
        uint32_t at = i;

        for (; at > 0 && before(&item, &items[at - 1]); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

bool consumer_aborted_take(struct consumer_partition *partition,
                           const struct fetch_response_partition *answer)
{
    uint32_t count = answer->aborted_transactions_null ? 0 : answer->aborted_transactions_count;

    consumer_aborted_drop(partition);
    if (count == 0) return true;
    partition->aborted =
        mem_alloc(&partition->consumer->env->mem, count * sizeof *partition->aborted);
    if (partition->aborted == NULL) return false;
    partition->aborted_count = count;
    for (uint32_t i = 0; i < count; i++) {
        partition->aborted[i] =
            (struct consumer_aborted){answer->aborted_transactions[i].producer_id,
                                      answer->aborted_transactions[i].first_offset};
    }
    sort(partition->aborted, count);
    return true;
}

/* Of those that have begun. */
static struct consumer_aborted *find(struct consumer_partition *partition, int64_t producer_id)
{
    for (uint32_t i = 0; i < partition->aborted_at; i++)
        if (partition->aborted[i].producer_id == producer_id) return &partition->aborted[i];
    return NULL;
}

bool consumer_aborted_skips(struct consumer_partition *partition, const struct record_batch *batch)
{
    int64_t last = record_batch_last_offset(batch);
    struct consumer_aborted *found;
    struct record_marker marker;

    if (partition->aborted_count == 0 || batch->producer_id < 0) return false;
    while (partition->aborted_at < partition->aborted_count &&
           partition->aborted[partition->aborted_at].first_offset <= last)
        partition->aborted_at++;
    found = find(partition, batch->producer_id);
    if (found == NULL) return false;
    if (!record_batch_is_control(batch)) return record_batch_is_transactional(batch);
    if (record_marker_read(batch, &marker) == ERR_NONE && marker.type == CONTROL_ABORT)
        found->producer_id = -1;
    return false;
}
