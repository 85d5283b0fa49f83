/* The consumer of gregor.h: polls, batches that keep what they point into, partitions, the
 * group. */
#include "client/gregor_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- life ------------------------------------------------------------------------------------ */

struct gregor_consumer *gregor_consumer_of(struct list *link)
{
    return LIST_ENTRY(link, struct gregor_consumer, link);
}

static enum err consumer_open(struct gregor_consumer *consumer, char *why, size_t why_size)
{
    struct consumer_config settings;
    struct membership_config member;
    enum err err;

    if (!gregor_config_consumer(consumer->config, &settings, &member, why, why_size))
        return ERR_BAD_CONFIG;
    consumer->poll_records = (uint32_t)gregor_config_int(consumer->config, "max.poll.records");
    gregor_enter(consumer->client);
    err = consumer_init(&consumer->consumer, &consumer->client->env, &settings);
    if (err == ERR_NONE && member.group_id.length > 0) {
        err = membership_init(&consumer->member, &consumer->consumer, &member);
        consumer->grouped = err == ERR_NONE;
    }
    if (err != ERR_NONE) gregor_explain(why, why_size, "%s", err_name(err));
    return err;
}

struct gregor_consumer *gregor_consumer_new(struct gregor_client *client,
                                            const struct gregor_config *config, char *why,
                                            size_t why_size)
{
    struct gregor_consumer *consumer = calloc(1, sizeof *consumer);

    if (consumer != NULL) consumer->config = gregor_config_copy(config);
    if (consumer == NULL || consumer->config == NULL) {
        gregor_explain(why, why_size, "not enough memory");
        free(consumer);
        return NULL;
    }
    consumer->client = client;
    list_init(&consumer->link);
    list_init(&consumer->commits);
    if (consumer_open(consumer, why, why_size) != ERR_NONE) {
        gregor_config_free(consumer->config);
        free(consumer);
        return NULL;
    }
    list_push(&client->consumers, &consumer->link);
    return consumer;
}

/* ---- partitions ------------------------------------------------------------------------------ */

struct gregor_partition gregor_consumer_told(struct gregor_consumer *consumer,
                                             const struct consumer_partition *partition)
{
    const struct gregor_name *name =
        gregor_intern(&consumer->names, metadata_name(partition->topic));

    return (struct gregor_partition){
        .topic = name != NULL ? name->text : "",
        .partition = partition->index,
        .offset = partition->position,
        .leader_epoch = partition->position_epoch,
    };
}

struct consumer_partition *gregor_consumer_find(struct gregor_consumer *consumer, const char *topic,
                                                int32_t partition)
{
    return consumer_find(&consumer->consumer, str_of(topic), partition);
}

size_t gregor_consumer_assignment(struct gregor_consumer *consumer,
                                  struct gregor_partition *partitions, size_t max)
{
    size_t count = 0;

    LIST_FOR_EACH (link, &consumer->consumer.partitions) {
        const struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, link);

        if (count < max) partitions[count] = gregor_consumer_told(consumer, partition);
        count++;
    }
    return count;
}

void gregor_consumer_on_rebalance(struct gregor_consumer *consumer, gregor_rebalanced *rebalanced,
                                  void *context)
{
    consumer->rebalanced = rebalanced;
    consumer->rebalanced_context = context;
}

int gregor_consumer_subscribe(struct gregor_consumer *consumer, const char *const *topics,
                              size_t count)
{
    struct str *names;
    enum err err;

    if (!consumer->grouped) return GREGOR_ERR_INVALID_GROUP_ID;
    if (!consumer->managed && consumer->consumer.partitions_count > 0) return GREGOR_ERR_BAD_STATE;
    if (count > MEMBERSHIP_TOPICS_MAX) return GREGOR_ERR_TOO_MANY;
    names = calloc(count + 1, sizeof *names);
    if (names == NULL) return GREGOR_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        names[i] = str_of(topics[i]);
    gregor_enter(consumer->client);
    err = membership_subscribe(&consumer->member, names, (uint32_t)count);
    free(names);
    if (err == ERR_NONE) consumer->managed = true;
    return (int)err;
}

int gregor_consumer_subscribe_pattern(struct gregor_consumer *consumer, const char *pattern)
{
    enum err err;

    if (!consumer->grouped) return GREGOR_ERR_INVALID_GROUP_ID;
    if (!consumer->managed && consumer->consumer.partitions_count > 0) return GREGOR_ERR_BAD_STATE;
    gregor_enter(consumer->client);
    err = membership_subscribe_pattern(&consumer->member, str_of(pattern));
    if (err == ERR_NONE) consumer->managed = true;
    return (int)err;
}

/* Where a partition begins for which nothing was said. */
static struct consumer_start start_of(const struct gregor_consumer *consumer,
                                      const struct gregor_partition *partition)
{
    if (partition->offset >= 0)
        return (struct consumer_start){.by_offset = true, .offset = partition->offset};
    if (partition->offset == GREGOR_BEGINNING)
        return (struct consumer_start){.timestamp = CONSUMER_EARLIEST};
    if (consumer->grouped || consumer->consumer.config.reset == CONSUMER_RESET_NONE)
        return (struct consumer_start){.waiting = true};
    return (struct consumer_start){.timestamp = consumer_reset_time(&consumer->consumer)};
}

int gregor_consumer_add_interceptor(struct gregor_consumer *consumer,
                                    const struct gregor_consumer_interceptor *interceptor)
{
    if (interceptor->on_consume == NULL) return GREGOR_ERR_BAD_CONFIG;
    if (consumer->interceptors_count == GREGOR_INTERCEPTORS_MAX) return GREGOR_ERR_TOO_MANY;
    consumer->interceptors[consumer->interceptors_count++] = *interceptor;
    return GREGOR_OK;
}

int gregor_consumer_assign(struct gregor_consumer *consumer,
                           const struct gregor_partition *partitions, size_t count)
{
    struct consumer_partition *assigned;
    enum err err = ERR_NONE;

    if (consumer->managed) return GREGOR_ERR_BAD_STATE;
    gregor_enter(consumer->client);
    LIST_FOR_EACH_SAFE (link, after, &consumer->consumer.partitions)
        consumer_unassign(LIST_ENTRY(link, struct consumer_partition, link));
    for (size_t i = 0; i < count && err == ERR_NONE; i++) {
        if (partitions[i].partition < 0) return GREGOR_ERR_INVALID_PARTITIONS;
        if (gregor_consumer_find(consumer, partitions[i].topic, partitions[i].partition) != NULL)
            continue;
        err =
            consumer_assign(&consumer->consumer, str_of(partitions[i].topic),
                            partitions[i].partition, start_of(consumer, &partitions[i]), &assigned);
    }
    return (int)err;
}

/* ---- the group's events ---------------------------------------------------------------------- */

static void tell(struct gregor_consumer *consumer, enum gregor_rebalance what)
{
    struct gregor_partition *told;
    size_t count = 0;

    if (consumer->rebalanced == NULL) return;
    told = calloc(consumer->consumer.partitions_count + 1, sizeof *told);
    LIST_FOR_EACH (link, &consumer->consumer.partitions) {
        const struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, link);
        bool meant = what == GREGOR_ASSIGNED ? partition->fresh : partition->revoking;

        if (meant && told != NULL) told[count++] = gregor_consumer_told(consumer, partition);
    }
    consumer->rebalanced(consumer->rebalanced_context, consumer, what, told, count);
    free(told);
}

/* Says that the application lives, and tells it what happened. */
static void poll_member(struct gregor_consumer *consumer)
{
    enum membership_event event;

    if (!consumer->managed) {
        if (consumer->grouped) (void)membership_poll(&consumer->member);
        return;
    }
    event = membership_poll(&consumer->member);
    switch (event) {
    case MEMBERSHIP_NOTHING: return;
    case MEMBERSHIP_ASSIGNED: tell(consumer, GREGOR_ASSIGNED); break;
    case MEMBERSHIP_REVOKED: tell(consumer, GREGOR_REVOKED); break;
    case MEMBERSHIP_LOST: tell(consumer, GREGOR_LOST); break;
    }
    gregor_enter(consumer->client);
    membership_handled(&consumer->member);
}

/* ---- a poll ---------------------------------------------------------------------------------- */

struct batch {
    struct gregor_batch told; /* first */
    struct gregor_consumer *consumer;
    struct buf **bufs; /* one reference each */
    uint32_t bufs_count;
    uint32_t bufs_room;
    struct gregor_consumed records[];
};

void gregor_batch_release(struct gregor_batch *told)
{
    struct batch *batch = (struct batch *)(void *)told;

    if (batch == NULL) return;
    for (uint32_t i = 0; i < batch->bufs_count; i++)
        buf_unref(batch->bufs[i]);
    batch->consumer->batches_held--;
    free(batch->bufs);
    free(batch);
}

/* Room for one more reference, before a record is taken that may need it. */
static bool batch_room(struct batch *batch)
{
    struct buf **more;

    if (batch->bufs_count < batch->bufs_room) return true;
    more = realloc(batch->bufs, (batch->bufs_room * 2 + 4) * sizeof(struct buf *));
    if (more == NULL) return false;
    batch->bufs = more;
    batch->bufs_room = batch->bufs_room * 2 + 4;
    return true;
}

/* A reference to what the record points into; records of one buffer come one after the other. */
static void batch_hold(struct batch *batch, struct buf *buf)
{
    if (batch->bufs_count > 0 && batch->bufs[batch->bufs_count - 1] == buf) return;
    batch->bufs[batch->bufs_count++] = buf_ref(buf);
}

static void fill(struct gregor_consumer *consumer, struct batch *batch)
{
    const struct consumer_partition *last = NULL;
    const char *topic = NULL;
    struct consumer_record record;

    while (batch->told.count < consumer->poll_records && batch_room(batch) &&
           consumer_next(&consumer->consumer, &record)) {
        if (record.partition != last) {
            last = record.partition;
            topic = gregor_consumer_told(consumer, last).topic;
        }
        batch_hold(batch, record.buf);
        batch->records[batch->told.count++] = (struct gregor_consumed){
            .topic = topic,
            .partition = record.partition->index,
            .leader_epoch = record.leader_epoch,
            .offset = record.record.offset,
            .timestamp = record.record.timestamp,
            .key = record.record.key.data,
            .key_length = record.record.key.length,
            .value = record.record.value.data,
            .value_length = record.record.value.length,
            .headers_count = record.record.headers_count,
            .headers = record.record.headers.data,
            .headers_length = record.record.headers.length,
        };
        consumer->bytes += record.record.key.length + record.record.value.length;
    }
}

static struct gregor_batch *take(struct gregor_consumer *consumer, int *error)
{
    struct batch *batch;

    if (!consumer_has_records(&consumer->consumer)) return NULL;
    batch = malloc(sizeof *batch + consumer->poll_records * sizeof batch->records[0]);
    if (batch == NULL) {
        *error = GREGOR_ERR_NO_MEMORY;
        return NULL;
    }
    *batch = (struct batch){.told = {0, batch->records}, .consumer = consumer};
    consumer->batches_held++;
    fill(consumer, batch);
    if (batch->told.count == 0) {
        gregor_batch_release(&batch->told);
        return NULL;
    }
    consumer->records += batch->told.count;
    consumer->polls++;
    for (uint32_t i = 0; i < consumer->interceptors_count; i++)
        consumer->interceptors[i].on_consume(consumer->interceptors[i].context, batch->records,
                                             batch->told.count);
    return &batch->told;
}

static int trouble(const struct gregor_consumer *consumer)
{
    const struct consumer_partition *failed = consumer_failed(&consumer->consumer);

    if (failed != NULL) return (int)failed->error;
    if (consumer->grouped && consumer->member.state == MEMBERSHIP_FAILED)
        return (int)consumer->member.error;
    return GREGOR_OK;
}

/* Worth another look of poll(). */
static bool poll_worth(void *context)
{
    const struct gregor_consumer *consumer = context;

    return consumer_has_records(&consumer->consumer) || trouble(consumer) != GREGOR_OK ||
           (consumer->managed && membership_due(&consumer->member));
}

static int64_t wake_ns(const struct gregor_consumer *consumer, int64_t deadline_ns)
{
    int64_t next_ns;

    if (!consumer->grouped) return deadline_ns;
    next_ns = membership_next_poll_ns(&consumer->member);
    return next_ns < deadline_ns ? next_ns : deadline_ns;
}

struct gregor_batch *gregor_consumer_poll(struct gregor_consumer *consumer, int timeout_ms,
                                          int *error)
{
    int64_t deadline_ns = gregor_deadline_ns(timeout_ms);
    struct gregor_batch *batch = NULL;
    int wrong = GREGOR_OK;
    bool first = true;

    if (consumer->busy || consumer->client->delivering) {
        if (error != NULL) *error = GREGOR_ERR_BAD_STATE;
        return NULL;
    }
    consumer->busy = true;
    while (batch == NULL && wrong == GREGOR_OK) {
        gregor_enter(consumer->client);
        poll_member(consumer);
        batch = take(consumer, &wrong);
        if (batch == NULL && wrong == GREGOR_OK) wrong = trouble(consumer);
        if (batch != NULL || wrong != GREGOR_OK) break;
        if (!first && posix_clock_mono_ns() >= deadline_ns) break;
        first = false;
        (void)gregor_wait(consumer->client, poll_worth, consumer, wake_ns(consumer, deadline_ns));
    }
    consumer->busy = false;
    if (error != NULL) *error = wrong;
    return batch;
}

bool gregor_consumer_failed(struct gregor_consumer *consumer, struct gregor_partition *partition)
{
    const struct consumer_partition *failed = consumer_failed(&consumer->consumer);

    if (failed == NULL) return false;
    *partition = gregor_consumer_told(consumer, failed);
    return true;
}

int gregor_consumed_header(const struct gregor_consumed *record, uint32_t n,
                           struct gregor_header *header)
{
    struct bytes rest = {record->headers, (uint32_t)record->headers_length};
    struct record_header one;

    if (n >= record->headers_count) return GREGOR_ERR_NOT_FOUND;
    for (uint32_t i = 0; i <= n; i++)
        if (record_headers_next(&rest, &one) != ERR_NONE) return GREGOR_ERR_CORRUPT_MESSAGE;
    *header = (struct gregor_header){
        .key = (const char *)one.key.data,
        .key_length = one.key.length,
        .value = one.value.data,
        .value_length = one.value.length,
    };
    return GREGOR_OK;
}

/* ---- close ----------------------------------------------------------------------------------- */

static bool member_worth(void *context)
{
    const struct gregor_consumer *consumer = context;

    return membership_closed(&consumer->member) || membership_due(&consumer->member);
}

static bool member_leaves(struct gregor_consumer *consumer, int64_t deadline_ns)
{
    gregor_enter(consumer->client);
    membership_close(&consumer->member);
    while (!membership_closed(&consumer->member)) {
        gregor_enter(consumer->client);
        poll_member(consumer);
        if (!gregor_wait(consumer->client, member_worth, consumer, deadline_ns)) return false;
    }
    return true;
}

static bool core_closed(void *context)
{
    return consumer_closed(&((struct gregor_consumer *)context)->consumer);
}

int gregor_consumer_close(struct gregor_consumer *consumer, int timeout_ms)
{
    struct gregor_client *client = consumer->client;
    int64_t deadline_ns = gregor_deadline_ns(timeout_ms);
    bool ended = true;

    if (consumer->busy || client->delivering) return GREGOR_ERR_BAD_STATE;
    consumer->busy = true;
    if (consumer->grouped) {
        consumer->member.config.close_timeout_ms = timeout_ms < 0 ? INT32_MAX : timeout_ms;
        ended = member_leaves(consumer,
                              deadline_ns == INT64_MAX ? INT64_MAX : deadline_ns + NS_PER_SEC);
    }
    if (consumer->admin != NULL) gregor_admin_close(consumer->admin);
    gregor_commit_drop(consumer);
    if (ended) {
        if (consumer->grouped) membership_deinit(&consumer->member);
        gregor_enter(client);
        consumer_close(&consumer->consumer);
        ended = gregor_wait(client, core_closed, consumer, gregor_deadline_ns(5000));
    }
    list_remove(&consumer->link);
    gregor_forget(&consumer->names);
    if (!ended) {
        gregor_leave(client, &consumer->left, consumer);
        return GREGOR_ERR_TIMED_OUT;
    }
    consumer_deinit(&consumer->consumer);
    gregor_config_free(consumer->config);
    free(consumer);
    return GREGOR_OK;
}

void gregor_consumer_get_metrics(const struct gregor_consumer *consumer,
                                 struct gregor_consumer_metrics *metrics)
{
    *metrics = (struct gregor_consumer_metrics){
        .records = consumer->records,
        .bytes = consumer->bytes,
        .polls = consumer->polls,
        .rebalances = consumer->grouped ? consumer->member.rebalances : 0,
        .buffered = consumer->consumer.buffered,
        .batches_held = consumer->batches_held,
        .partitions = consumer->consumer.partitions_count,
    };
}
