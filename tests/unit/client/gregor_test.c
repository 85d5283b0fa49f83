/* Proves: what gregor.h promises holds against a broker over real sockets: every record ends in one
 * callback, batches stay until they are released, a group goes on where it committed, seeks, pauses
 * and rebalances do what they say, an administrator sees what is there, a wrong property is
 * explained, and a program with a loop of its own needs nothing but poll(). */
#include "tests/support/real_broker.h"

#include "client/gregor.h"
#include "client/partitioner.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 20000 };

struct rig {
    struct gregor_config *config;
    struct gregor_client *client;
    struct gregor_admin *admin;
    char topic[32];
};

static void set(struct rig *rig, const char *key, const char *value)
{
    char why[256] = "";

    if (gregor_config_set(rig->config, key, value, why, sizeof why) != GREGOR_OK)
        fail_msg("%s", why);
}

static struct rig *rig_create(const struct real_broker *broker, const char *topic,
                              int32_t partitions)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct gregor_new_topic wanted = {.name = topic, .partitions = partitions};

    assert_non_null(rig);
    rig->config = gregor_config_new();
    rig->client = gregor_client_new_sized(64 << 20);
    assert_non_null(rig->client);
    set(rig, "bootstrap.servers", real_broker_address(broker));
    set(rig, "auto.offset.reset", "earliest");
    snprintf(rig->topic, sizeof rig->topic, "%s", topic);
    rig->admin = gregor_admin_new(rig->client, rig->config, NULL, 0);
    assert_non_null(rig->admin);
    if (partitions > 0) assert_int_equal(gregor_admin_create_topic(rig->admin, &wanted), GREGOR_OK);
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    gregor_admin_close(rig->admin);
    gregor_client_free(rig->client);
    gregor_config_free(rig->config);
    free(rig);
}

static struct gregor_producer *rig_producer(struct rig *rig)
{
    char why[256] = "";
    struct gregor_producer *producer =
        gregor_producer_new(rig->client, rig->config, why, sizeof why);

    if (producer == NULL) fail_msg("%s", why);
    return producer;
}

static struct gregor_consumer *rig_consumer(struct rig *rig)
{
    char why[256] = "";
    struct gregor_consumer *consumer =
        gregor_consumer_new(rig->client, rig->config, why, sizeof why);

    if (consumer == NULL) fail_msg("%s", why);
    return consumer;
}

static struct gregor_record text_record(const struct rig *rig, const char *key, const char *value)
{
    return (struct gregor_record){.topic = rig->topic,
                                  .partition = -1,
                                  .key = key,
                                  .key_length = key != NULL ? strlen(key) : 0,
                                  .value = value,
                                  .value_length = strlen(value)};
}

static void produce(struct rig *rig, uint32_t from, uint32_t to)
{
    struct gregor_producer *producer = rig_producer(rig);

    for (uint32_t i = from; i < to; i++) {
        char value[32];
        struct gregor_record record;

        snprintf(value, sizeof value, "%u", i);
        record = text_record(rig, NULL, value);
        record.partition = 0;
        assert_int_equal(gregor_producer_send(producer, &record, NULL, NULL), GREGOR_OK);
    }
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
}

static uint32_t number_of(const struct gregor_consumed *record)
{
    char text[32] = "";

    assert_true(record->value_length < sizeof text);
    memcpy(text, record->value, record->value_length);
    return (uint32_t)strtoul(text, NULL, 10);
}

/* The next `count` records are the numbers from `from` on. */
static void expect(struct gregor_consumer *consumer, uint32_t from, uint32_t count)
{
    uint32_t got = 0;

    while (got < count) {
        int error = GREGOR_OK;
        struct gregor_batch *batch = gregor_consumer_poll(consumer, WAIT_MS, &error);

        if (batch == NULL) fail_msg("%u of %u: %s", got, count, gregor_error_name(error));
        for (size_t i = 0; i < batch->count; i++)
            assert_int_equal(number_of(&batch->records[i]), from + got++);
        gregor_batch_release(batch);
    }
    assert_int_equal(got, count);
}

/* ---- configuration --------------------------------------------------------------------------- */

static void a_wrong_property_is_explained(void **state)
{
    struct gregor_config *config = gregor_config_new();
    struct gregor_client *client = gregor_client_new();
    char why[256];

    (void)state;
    assert_int_equal(gregor_config_set(config, "linger", "5", why, sizeof why),
                     GREGOR_ERR_BAD_CONFIG);
    assert_string_equal(why, "unknown property 'linger': did you mean linger.ms?");
    assert_int_equal(gregor_config_set(config, "bootstrap.server", "x:1", why, sizeof why),
                     GREGOR_ERR_BAD_CONFIG);
    assert_non_null(strstr(why, "bootstrap.servers"));
    assert_int_equal(gregor_config_set(config, "acks", "2", why, sizeof why),
                     GREGOR_ERR_BAD_CONFIG);
    assert_string_equal(why, "acks: '2' is not one of: all -1 0 1");
    assert_int_equal(gregor_config_set(config, "linger.ms", "-1", why, sizeof why),
                     GREGOR_ERR_BAD_CONFIG);
    assert_int_equal(gregor_config_set(config, "enable.auto.commit", "maybe", why, sizeof why),
                     GREGOR_ERR_BAD_CONFIG);
    assert_string_equal(gregor_config_get(config, "linger.ms"), "5");
    assert_null(gregor_producer_new(client, config, why, sizeof why));
    assert_string_equal(why, "bootstrap.servers is not set");
    assert_int_equal(gregor_config_set(config, "bootstrap.servers", "nowhere", why, sizeof why), 0);
    assert_null(gregor_producer_new(client, config, why, sizeof why));
    assert_int_equal(gregor_config_set(config, "bootstrap.servers", "a:1", why, sizeof why), 0);
    assert_int_equal(gregor_config_set(config, "enable.idempotence", "true", why, sizeof why), 0);
    assert_int_equal(gregor_config_set(config, "acks", "1", why, sizeof why), 0);
    assert_null(gregor_producer_new(client, config, why, sizeof why));
    assert_string_equal(why, "enable.idempotence: wants acks=all");
    gregor_client_free(client);
    gregor_config_free(config);
}

static void a_file_of_properties_is_read_and_its_wrong_line_named(void **state)
{
    struct gregor_config *config = gregor_config_new();
    char path[] = "/tmp/gregor-properties-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    char why[256];

    (void)state;
    fputs("# a comment\n\nacks = 1\nlinger.ms:20\nbatch.sise=3\n", file);
    fclose(file);
    assert_int_equal(gregor_config_load(config, path, why, sizeof why), GREGOR_ERR_BAD_CONFIG);
    assert_non_null(strstr(why, ":5: unknown property 'batch.sise': did you mean batch.size?"));
    assert_string_equal(gregor_config_get(config, "acks"), "1");
    assert_string_equal(gregor_config_get(config, "linger.ms"), "20");
    remove(path);
    gregor_config_free(config);
}

static void errors_have_the_names_of_kafka(void **state)
{
    (void)state;
    assert_string_equal(gregor_error_name(GREGOR_ERR_NOT_LEADER_OR_FOLLOWER),
                        "NOT_LEADER_OR_FOLLOWER");
    assert_int_equal(GREGOR_ERR_NOT_LEADER_OR_FOLLOWER, 6);
    assert_true(gregor_error_retriable(GREGOR_ERR_NOT_LEADER_OR_FOLLOWER));
    assert_false(gregor_error_retriable(GREGOR_ERR_MESSAGE_TOO_LARGE));
}

/* ---- producer -------------------------------------------------------------------------------- */

struct told {
    uint32_t count;
    uint32_t failed;
    int64_t last;
};

static void delivered(const struct gregor_delivery *delivery)
{
    struct told *told = delivery->context;

    told->count++;
    if (delivery->error != GREGOR_OK) {
        told->failed++;
        return;
    }
    assert_string_equal(delivery->topic, "callbacks");
    assert_true(delivery->offset > told->last);
    told->last = delivery->offset;
}

static void every_record_ends_in_one_callback_and_in_order(void **state)
{
    struct rig *rig = rig_create(*state, "callbacks", 1);
    struct gregor_producer *producer = rig_producer(rig);
    struct gregor_producer_metrics metrics;
    struct told told = {.last = -1};

    for (uint32_t i = 0; i < 20000; i++) {
        struct gregor_record record = text_record(rig, "k", "some value of some length");

        assert_int_equal(gregor_producer_send(producer, &record, delivered, &told), GREGOR_OK);
    }
    assert_int_equal(gregor_producer_flush(producer, WAIT_MS), GREGOR_OK);
    assert_int_equal(told.count, 20000);
    assert_int_equal(told.failed, 0);
    assert_int_equal(told.last, 19999);
    gregor_producer_get_metrics(producer, &metrics);
    assert_int_equal(metrics.records, 20000);
    assert_int_equal(metrics.delivered, 20000);
    assert_int_equal(metrics.pending, 0);
    assert_int_equal(metrics.buffer_used, 0);
    assert_true(metrics.requests > 0 && metrics.batches >= metrics.requests);
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void a_send_that_waits_tells_where_the_record_is(void **state)
{
    struct rig *rig = rig_create(*state, "sync", 1);
    struct gregor_producer *producer = rig_producer(rig);
    struct gregor_record record = text_record(rig, NULL, "x");
    struct gregor_delivery delivery;

    for (int64_t i = 0; i < 20; i++) {
        assert_int_equal(gregor_producer_send_sync(producer, &record, &delivery), GREGOR_OK);
        assert_int_equal(delivery.offset, i);
        assert_int_equal(delivery.partition, 0);
    }
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static int32_t by_length(void *context, const char *topic, const void *key, size_t key_length,
                         const void *value, size_t value_length, int32_t partitions)
{
    (void)topic;
    (void)key;
    (void)key_length;
    (void)value;
    ++*(uint32_t *)context;
    return (int32_t)value_length % partitions;
}

static int doubled(void *context, const char *topic, const void *object, size_t length,
                   const void **bytes, size_t *bytes_length)
{
    char *text = context;

    (void)topic;
    if (length > 10) return GREGOR_ERR_INVALID_RECORD;
    memcpy(text, object, length);
    memcpy(text + length, object, length);
    *bytes = text;
    *bytes_length = 2 * length;
    return GREGOR_OK;
}

static void count_sent(void *context, struct gregor_record *record)
{
    ++((uint32_t *)context)[0];
    if (record->key == NULL) {
        record->key = "added";
        record->key_length = 5;
    }
}

static void count_delivered(void *context, const struct gregor_delivery *delivery)
{
    ++((uint32_t *)context)[1];
    assert_int_equal(delivery->error, GREGOR_OK);
}

static void hooks_see_and_change_records(void **state)
{
    struct rig *rig = rig_create(*state, "hooks", 4);
    struct gregor_producer *producer = rig_producer(rig);
    uint32_t counts[3] = {0, 0, 0};
    char text[32];
    struct gregor_interceptor interceptor = {count_sent, count_delivered, counts};
    struct gregor_serializer serializer = {doubled, text};
    struct gregor_header headers[2] = {{"a", 1, "1", 1}, {"b", 1, NULL, 0}};
    struct gregor_record record = text_record(rig, NULL, "abc");
    struct gregor_partition place = {.topic = "hooks", .partition = 2, .offset = 0};
    struct gregor_consumer *consumer;
    struct gregor_delivery delivery;
    struct gregor_batch *batch;
    struct gregor_header header;

    assert_int_equal(gregor_producer_set_partitioner(producer, by_length, &counts[2]), GREGOR_OK);
    assert_int_equal(gregor_producer_add_interceptor(producer, &interceptor), GREGOR_OK);
    gregor_producer_set_serializers(producer, NULL, &serializer);
    record.headers = headers;
    record.headers_count = 2;
    assert_int_equal(gregor_producer_send_sync(producer, &record, &delivery), GREGOR_OK);
    assert_int_equal(delivery.partition, 6 % 4);
    record.value = "more than ten bytes";
    record.value_length = 19;
    assert_int_equal(gregor_producer_send(producer, &record, NULL, NULL),
                     GREGOR_ERR_INVALID_RECORD);
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 1);
    assert_true(counts[2] >= 1);

    consumer = rig_consumer(rig);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    batch = gregor_consumer_poll(consumer, WAIT_MS, NULL);
    assert_non_null(batch);
    assert_int_equal(batch->records[0].value_length, 6);
    assert_memory_equal(batch->records[0].value, "abcabc", 6);
    assert_memory_equal(batch->records[0].key, "added", 5);
    assert_int_equal(gregor_consumed_header(&batch->records[0], 1, &header), GREGOR_OK);
    assert_memory_equal(header.key, "b", 1);
    assert_null(header.value);
    assert_int_equal(gregor_consumed_header(&batch->records[0], 2, &header), GREGOR_ERR_NOT_FOUND);
    gregor_batch_release(batch);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void keys_go_where_every_client_puts_them(void **state)
{
    struct rig *rig = rig_create(*state, "keys", 10);
    struct gregor_producer *producer = rig_producer(rig);
    static const char *const keys[] = {"a", "ab", "abc", "abcd", "key-1", "foobar"};
    static const int32_t partitions[] = {4, 4, 7, 0, 0, 6}; /* clients.md 2.3 */

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct gregor_record record = text_record(rig, keys[i], "v");
        struct gregor_delivery delivery;

        assert_int_equal(gregor_producer_send_sync(producer, &record, &delivery), GREGOR_OK);
        assert_int_equal(delivery.partition, partitions[i]);
    }
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void count_ended(const struct gregor_delivery *delivery)
{
    struct told *told = delivery->context;

    told->count++;
    told->failed += delivery->error != GREGOR_OK;
}

static void without_a_broker_records_fail_in_time_and_room_is_bounded(void **state)
{
    struct rig *rig = rig_create(*state, "nowhere", 0);
    struct told told = {.last = -1};
    struct gregor_producer *producer;
    struct gregor_record record;
    static char value[1000];
    uint32_t taken = 0;

    set(rig, "bootstrap.servers", "127.0.0.1:1");
    set(rig, "max.block.ms", "300");
    set(rig, "buffer.memory", "100000");
    memset(value, 'x', sizeof value - 1);
    producer = rig_producer(rig);
    record = text_record(rig, NULL, value);
    while (gregor_producer_try_send(producer, &record, count_ended, &told) == GREGOR_OK)
        taken++;
    assert_true(taken > 50 && taken < 200);
    assert_int_equal(gregor_producer_flush(producer, WAIT_MS), GREGOR_OK);
    assert_int_equal(told.count, taken);
    assert_int_equal(told.failed, taken);
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void a_loop_of_the_caller_needs_only_poll(void **state)
{
    struct rig *rig = rig_create(*state, "loop", 1);
    struct gregor_producer *producer = rig_producer(rig);
    struct gregor_record record = text_record(rig, NULL, "x");
    struct told told = {.last = -1};
    uint32_t rounds = 0;

    assert_int_equal(gregor_producer_try_send(producer, &record, count_ended, &told), GREGOR_OK);
    while (told.count == 0) {
        struct pollfd fd = {gregor_fd(rig->client), POLLIN, 0};

        assert_true(rounds++ < 10000);
        assert_true(poll(&fd, 1, gregor_timeout_ms(rig->client)) >= 0);
        (void)gregor_poll(rig->client, 0);
    }
    assert_int_equal(told.failed, 0);
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void compressed_records_come_back(void **state)
{
    static const char *const codecs[] = {"gzip", "snappy", "lz4", "zstd"};

    for (uint32_t i = 0; i < COUNT_OF(codecs); i++) {
        struct rig *rig = rig_create(*state, codecs[i], 1);
        struct gregor_partition place = {.topic = rig->topic};
        struct gregor_consumer *consumer;

        set(rig, "compression.type", codecs[i]);
        set(rig, "linger.ms", "50");
        produce(rig, 0, 3000);
        consumer = rig_consumer(rig);
        assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
        expect(consumer, 0, 3000);
        assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
        rig_destroy(rig);
    }
}

/* ---- consumer -------------------------------------------------------------------------------- */

static void batches_stay_until_they_are_released(void **state)
{
    struct rig *rig = rig_create(*state, "batches", 1);
    struct gregor_batch *batches[200];
    struct gregor_partition place = {.topic = "batches"};
    struct gregor_consumer_metrics metrics;
    struct gregor_consumer *consumer;
    uint32_t held = 0;
    uint32_t got = 0;

    set(rig, "max.poll.records", "30");
    set(rig, "compression.type", "lz4");
    produce(rig, 0, 500);
    set(rig, "compression.type", "none");
    produce(rig, 500, 1000);
    consumer = rig_consumer(rig);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    while (got < 1000) {
        batches[held] = gregor_consumer_poll(consumer, WAIT_MS, NULL);
        assert_non_null(batches[held]);
        assert_true(batches[held]->count <= 30);
        got += (uint32_t)batches[held++]->count;
    }
    gregor_consumer_get_metrics(consumer, &metrics);
    assert_int_equal(metrics.records, 1000);
    assert_int_equal(metrics.batches_held, held);
    got = 0;
    for (uint32_t b = 0; b < held; b++)
        for (size_t i = 0; i < batches[b]->count; i++)
            assert_int_equal(number_of(&batches[b]->records[i]), got++);
    while (held > 0)
        gregor_batch_release(batches[--held]);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void seeks_go_to_offsets_times_and_both_ends(void **state)
{
    struct rig *rig = rig_create(*state, "seeks", 1);
    struct gregor_partition place = {.topic = "seeks"};
    struct gregor_consumer *consumer;
    int64_t position = -1;

    produce(rig, 0, 100);
    consumer = rig_consumer(rig);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    expect(consumer, 0, 100);
    assert_int_equal(gregor_consumer_seek(consumer, "seeks", 0, 70), GREGOR_OK);
    expect(consumer, 70, 30);
    assert_int_equal(gregor_consumer_seek(consumer, "seeks", 0, GREGOR_BEGINNING), GREGOR_OK);
    assert_int_equal(gregor_consumer_position(consumer, "seeks", 0, WAIT_MS, &position), GREGOR_OK);
    assert_int_equal(position, 0);
    assert_int_equal(gregor_consumer_seek(consumer, "seeks", 0, GREGOR_END), GREGOR_OK);
    assert_int_equal(gregor_consumer_position(consumer, "seeks", 0, WAIT_MS, &position), GREGOR_OK);
    assert_int_equal(position, 100);
    assert_int_equal(gregor_consumer_seek_time(consumer, "seeks", 0, 1000), GREGOR_OK);
    expect(consumer, 0, 100);
    assert_int_equal(gregor_consumer_seek(consumer, "seeks", 1, 0), GREGOR_ERR_NOT_FOUND);
    assert_int_equal(gregor_consumer_lag(consumer, "seeks", 0), 0);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void a_paused_partition_is_silent_until_it_is_resumed(void **state)
{
    struct rig *rig = rig_create(*state, "pauses", 1);
    struct gregor_partition place = {.topic = "pauses"};
    struct gregor_consumer *consumer;
    int error = GREGOR_OK;

    set(rig, "max.poll.records", "10");
    produce(rig, 0, 50);
    consumer = rig_consumer(rig);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    expect(consumer, 0, 10);
    assert_int_equal(gregor_consumer_pause(consumer, "pauses", 0), GREGOR_OK);
    assert_null(gregor_consumer_poll(consumer, 50, &error));
    assert_int_equal(error, GREGOR_OK);
    assert_int_equal(gregor_consumer_resume(consumer, "pauses", 0), GREGOR_OK);
    expect(consumer, 10, 40);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void an_offset_that_is_gone_is_told_without_a_reset(void **state)
{
    struct rig *rig = rig_create(*state, "gone", 1);
    struct gregor_partition place = {.topic = "gone", .offset = 5000};
    struct gregor_consumer *consumer;
    int error = GREGOR_OK;

    set(rig, "auto.offset.reset", "none");
    produce(rig, 0, 20);
    consumer = rig_consumer(rig);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    assert_null(gregor_consumer_poll(consumer, WAIT_MS, &error));
    assert_int_equal(error, GREGOR_ERR_OFFSET_OUT_OF_RANGE);
    assert_true(gregor_consumer_failed(consumer, &place));
    assert_string_equal(place.topic, "gone");
    assert_int_equal(gregor_consumer_seek(consumer, "gone", 0, 15), GREGOR_OK);
    expect(consumer, 15, 5);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

/* ---- groups ---------------------------------------------------------------------------------- */

struct story {
    uint32_t assigned;
    uint32_t revoked;
    uint32_t lost;
    bool commits;
};

static void rebalanced(void *context, struct gregor_consumer *consumer, enum gregor_rebalance what,
                       const struct gregor_partition *partitions, size_t count)
{
    struct story *story = context;

    for (size_t i = 0; i < count; i++)
        assert_non_null(partitions[i].topic);
    switch (what) {
    case GREGOR_ASSIGNED: story->assigned += (uint32_t)count; break;
    case GREGOR_REVOKED:
        story->revoked += (uint32_t)count;
        if (story->commits) assert_int_equal(gregor_consumer_commit(consumer, NULL, 0), GREGOR_OK);
        break;
    case GREGOR_LOST: story->lost += (uint32_t)count; break;
    }
}

static void committed(void *context, int error)
{
    assert_int_equal(error, GREGOR_OK);
    ++*(uint32_t *)context;
}

static void a_group_goes_on_where_it_committed(void **state)
{
    struct rig *rig = rig_create(*state, "groups", 1);
    const char *const topics[] = {"groups"};
    struct story story = {.commits = true};
    struct gregor_consumer *consumer;
    struct gregor_partition place = {.topic = "groups", .offset = 25, .leader_epoch = -1};
    uint32_t commits = 0;
    int64_t offset = -1;

    set(rig, "group.id", "g-one");
    set(rig, "enable.auto.commit", "false");
    set(rig, "max.poll.records", "10");
    produce(rig, 0, 40);
    consumer = rig_consumer(rig);
    gregor_consumer_on_rebalance(consumer, rebalanced, &story);
    assert_int_equal(gregor_consumer_subscribe(consumer, topics, 1), GREGOR_OK);
    expect(consumer, 0, 10);
    assert_int_equal(story.assigned, 1);
    assert_int_equal(gregor_consumer_commit(consumer, NULL, 0), GREGOR_OK);
    assert_int_equal(gregor_consumer_committed(consumer, "groups", 0, WAIT_MS, &offset), GREGOR_OK);
    assert_int_equal(offset, 10);
    assert_int_equal(gregor_consumer_commit_async(consumer, &place, 1, committed, &commits),
                     GREGOR_OK);
    for (uint32_t i = 0; i < 1000 && commits == 0; i++)
        (void)gregor_poll(rig->client, 20);
    assert_int_equal(commits, 1);
    story.commits = false;
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    assert_int_equal(story.revoked, 1);

    consumer = rig_consumer(rig);
    assert_int_equal(gregor_consumer_subscribe_pattern(consumer, "gro.ps"), GREGOR_OK);
    expect(consumer, 25, 10);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_destroy(rig);
}

static void two_members_share_and_the_one_that_stays_takes_over(void **state)
{
    struct rig *rig = rig_create(*state, "shared", 4);
    const char *const topics[] = {"shared"};
    struct story one = {.assigned = 0};
    struct story other = {.assigned = 0};
    struct gregor_consumer *first;
    struct gregor_consumer *second;

    set(rig, "group.id", "g-two");
    set(rig, "session.timeout.ms", "6000");
    set(rig, "heartbeat.interval.ms", "200");
    first = rig_consumer(rig);
    second = rig_consumer(rig);
    gregor_consumer_on_rebalance(first, rebalanced, &one);
    gregor_consumer_on_rebalance(second, rebalanced, &other);
    assert_int_equal(gregor_consumer_subscribe(first, topics, 1), GREGOR_OK);
    assert_int_equal(gregor_consumer_subscribe(second, topics, 1), GREGOR_OK);
    for (uint32_t i = 0; i < 2000; i++) {
        assert_null(gregor_consumer_poll(first, 5, NULL));
        assert_null(gregor_consumer_poll(second, 5, NULL));
        if (gregor_consumer_assignment(first, NULL, 0) == 2 &&
            gregor_consumer_assignment(second, NULL, 0) == 2)
            break;
    }
    assert_int_equal(gregor_consumer_assignment(first, NULL, 0), 2);
    assert_int_equal(gregor_consumer_assignment(second, NULL, 0), 2);
    assert_int_equal(gregor_consumer_close(second, WAIT_MS), GREGOR_OK);
    for (uint32_t i = 0; i < 2000 && gregor_consumer_assignment(first, NULL, 0) < 4; i++)
        assert_null(gregor_consumer_poll(first, 10, NULL));
    assert_int_equal(gregor_consumer_assignment(first, NULL, 0), 4);
    assert_int_equal(gregor_consumer_close(first, WAIT_MS), GREGOR_OK);
    assert_int_equal(one.assigned, one.revoked + one.lost);
    assert_int_equal(other.assigned, other.revoked + other.lost);
    rig_destroy(rig);
}

/* ---- administration -------------------------------------------------------------------------- */

static void an_administrator_sees_and_changes_topics_and_settings(void **state)
{
    struct rig *rig = rig_create(*state, "admin", 2);
    struct gregor_entry change = {"retention.ms", "12345"};
    struct gregor_settings *settings = NULL;
    struct gregor_cluster *cluster = NULL;
    struct gregor_topics *topics = NULL;
    bool found = false;
    int64_t offset = -5;

    assert_int_equal(gregor_admin_describe_cluster(rig->admin, &cluster), GREGOR_OK);
    assert_int_equal(cluster->nodes_count, 1);
    gregor_free(cluster);
    assert_int_equal(gregor_admin_create_partitions(rig->admin, "admin", 5), GREGOR_OK);
    assert_int_equal(gregor_admin_describe_topic(rig->admin, "admin", &topics), GREGOR_OK);
    assert_int_equal(topics->topics[0].partitions_count, 5);
    assert_int_equal(topics->topics[0].partitions[4].partition, 4);
    gregor_free(topics);
    assert_int_equal(gregor_admin_alter_configs(rig->admin, GREGOR_TOPIC, "admin", &change, 1),
                     GREGOR_OK);
    assert_int_equal(gregor_admin_describe_configs(rig->admin, GREGOR_TOPIC, "admin", &settings),
                     GREGOR_OK);
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->settings[i].key, "retention.ms") == 0)
            found = strcmp(settings->settings[i].value, "12345") == 0;
    assert_true(found);
    gregor_free(settings);
    produce(rig, 0, 10);
    assert_int_equal(gregor_admin_offset(rig->admin, "admin", 0, GREGOR_END, &offset), GREGOR_OK);
    assert_int_equal(offset, 10);
    assert_int_equal(gregor_admin_delete_records(rig->admin, "admin", 0, 4, &offset), GREGOR_OK);
    assert_int_equal(offset, 4);
    assert_int_equal(gregor_admin_offset(rig->admin, "admin", 0, GREGOR_BEGINNING, &offset),
                     GREGOR_OK);
    assert_int_equal(offset, 4);
    assert_int_equal(gregor_admin_delete_topic(rig->admin, "admin"), GREGOR_OK);
    assert_int_equal(gregor_admin_delete_topic(rig->admin, "admin"),
                     GREGOR_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    rig_destroy(rig);
}

static void an_administrator_sees_and_changes_groups(void **state)
{
    struct rig *rig = rig_create(*state, "offsets", 2);
    struct gregor_partition wanted[2] = {{.topic = "offsets", .offset = 7},
                                         {.topic = "offsets", .partition = 1, .offset = 9}};
    struct gregor_offsets *offsets = NULL;
    struct gregor_groups *groups = NULL;
    bool found = false;

    assert_int_equal(gregor_admin_alter_group_offsets(rig->admin, "g-admin", wanted, 2), GREGOR_OK);
    assert_int_equal(gregor_admin_group_offsets(rig->admin, "g-admin", &offsets), GREGOR_OK);
    assert_int_equal(offsets->count, 2);
    assert_int_equal(offsets->partitions[0].offset + offsets->partitions[1].offset, 16);
    gregor_free(offsets);
    assert_int_equal(gregor_admin_list_groups(rig->admin, &groups), GREGOR_OK);
    for (size_t i = 0; i < groups->count; i++)
        found = found || strcmp(groups->groups[i].name, "g-admin") == 0;
    assert_true(found);
    gregor_free(groups);
    assert_int_equal(gregor_admin_describe_group(rig->admin, "g-admin", &groups), GREGOR_OK);
    assert_string_equal(groups->groups[0].state, "Empty");
    assert_int_equal(groups->groups[0].members_count, 0);
    gregor_free(groups);
    assert_int_equal(gregor_admin_delete_group(rig->admin, "g-admin"), GREGOR_OK);
    assert_int_equal(gregor_admin_describe_group(rig->admin, "g-admin", &groups),
                     GREGOR_ERR_GROUP_ID_NOT_FOUND);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_property_is_explained),
        cmocka_unit_test(a_file_of_properties_is_read_and_its_wrong_line_named),
        cmocka_unit_test(errors_have_the_names_of_kafka),
        cmocka_unit_test(every_record_ends_in_one_callback_and_in_order),
        cmocka_unit_test(a_send_that_waits_tells_where_the_record_is),
        cmocka_unit_test(hooks_see_and_change_records),
        cmocka_unit_test(keys_go_where_every_client_puts_them),
        cmocka_unit_test(without_a_broker_records_fail_in_time_and_room_is_bounded),
        cmocka_unit_test(a_loop_of_the_caller_needs_only_poll),
        cmocka_unit_test(compressed_records_come_back),
        cmocka_unit_test(batches_stay_until_they_are_released),
        cmocka_unit_test(seeks_go_to_offsets_times_and_both_ends),
        cmocka_unit_test(a_paused_partition_is_silent_until_it_is_resumed),
        cmocka_unit_test(an_offset_that_is_gone_is_told_without_a_reset),
        cmocka_unit_test(a_group_goes_on_where_it_committed),
        cmocka_unit_test(two_members_share_and_the_one_that_stays_takes_over),
        cmocka_unit_test(an_administrator_sees_and_changes_topics_and_settings),
        cmocka_unit_test(an_administrator_sees_and_changes_groups),
    };

    return cmocka_run_group_tests(tests, real_broker_setup, real_broker_teardown);
}
