/* Proves: the ways of working that gregor.h offers by configuration do what Kafka's do, against a
 * broker over real sockets: acks of every kind, the partitioners by name, where a consumer without
 * a commit begins, groups of the new protocol (KIP-848), and fetch sessions (KIP-227). */
#include "tests/support/real_broker.h"

#include "client/gregor.h"
#include "client/gregor_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 20000, PARTITIONS = 4 };

struct rig {
    struct gregor_config *config;
    struct gregor_client *client;
    const char *topic;
};

static void set(struct rig *rig, const char *key, const char *value)
{
    char why[256] = "";

    if (gregor_config_set(rig->config, key, value, why, sizeof why) != GREGOR_OK)
        fail_msg("%s", why);
}

static void rig_open(struct rig *rig, const struct real_broker *broker, const char *topic,
                     int32_t partitions)
{
    struct gregor_new_topic wanted = {.name = topic, .partitions = partitions};
    struct gregor_admin *admin;

    rig->config = gregor_config_new();
    rig->client = gregor_client_new_sized(64 << 20);
    rig->topic = topic;
    assert_non_null(rig->client);
    set(rig, "bootstrap.servers", real_broker_address(broker));
    admin = gregor_admin_new(rig->client, rig->config, NULL, 0);
    assert_non_null(admin);
    assert_int_equal(gregor_admin_create_topic(admin, &wanted), GREGOR_OK);
    gregor_admin_close(admin);
}

static void rig_close(struct rig *rig)
{
    gregor_client_free(rig->client);
    gregor_config_free(rig->config);
}

static struct gregor_producer *producer_of(struct rig *rig)
{
    struct gregor_producer *producer = gregor_producer_new(rig->client, rig->config, NULL, 0);

    assert_non_null(producer);
    return producer;
}

static struct gregor_consumer *consumer_of(struct rig *rig)
{
    struct gregor_consumer *consumer = gregor_consumer_new(rig->client, rig->config, NULL, 0);

    assert_non_null(consumer);
    return consumer;
}

static struct gregor_record record_of(const struct rig *rig, const char *value)
{
    return (struct gregor_record){
        .topic = rig->topic, .partition = -1, .value = value, .value_length = strlen(value)};
}

/* Takes `count` records and fails when they do not come. */
static void take(struct gregor_consumer *consumer, size_t count)
{
    while (count > 0) {
        int error = GREGOR_OK;
        struct gregor_batch *batch = gregor_consumer_poll(consumer, WAIT_MS, &error);

        if (batch == NULL) fail_msg("%zu to come: %s", count, gregor_error_name(error));
        assert_true(batch->count <= count);
        count -= batch->count;
        gregor_batch_release(batch);
    }
}

static void produce(struct rig *rig, uint32_t count)
{
    struct gregor_producer *producer = producer_of(rig);
    struct gregor_record record = record_of(rig, "x");

    record.partition = 0;
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(gregor_producer_send(producer, &record, NULL, NULL), GREGOR_OK);
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
}

/* ---- producer -------------------------------------------------------------------------------- */

static void a_record_is_told_as_its_acks_allow(void **state)
{
    static const char *const kinds[] = {"all", "1", "0", "-1"};
    static const int64_t offsets[] = {0, 1, -1, 3}; /* none is told without an answer */
    struct gregor_partition place = {.topic = "acks", .offset = 0};
    struct gregor_consumer *consumer;
    struct rig rig;

    rig_open(&rig, *state, "acks", 1);
    set(&rig, "enable.idempotence", "false");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct gregor_producer *producer;
        struct gregor_record record = record_of(&rig, kinds[i]);
        struct gregor_delivery delivery;

        set(&rig, "acks", kinds[i]);
        producer = producer_of(&rig);
        assert_int_equal(gregor_producer_send_sync(producer, &record, &delivery), GREGOR_OK);
        assert_int_equal(delivery.error, GREGOR_OK);
        assert_int_equal(delivery.offset, offsets[i]);
        assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
        consumer = consumer_of(&rig); /* nobody tells of acks=0 that it is there: look */
        assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
        take(consumer, i + 1);
        assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    }
    rig_close(&rig);
}

static void count_partition(const struct gregor_delivery *delivery)
{
    assert_int_equal(delivery->error, GREGOR_OK);
    assert_in_range(delivery->partition, 0, PARTITIONS - 1);
    ++((uint32_t *)delivery->context)[delivery->partition];
}

static void send_keyless(struct rig *rig, const char *partitioner, uint32_t counts[PARTITIONS])
{
    struct gregor_producer *producer;
    struct gregor_record record = record_of(rig, "x");

    set(rig, "partitioner.class", partitioner);
    producer = producer_of(rig);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(gregor_producer_send(producer, &record, count_partition, counts),
                         GREGOR_OK);
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
}

static void records_without_a_key_stick_or_go_round_by_configuration(void **state)
{
    uint32_t round[PARTITIONS] = {0};
    uint32_t sticky[PARTITIONS] = {0};
    uint32_t used = 0;
    struct rig rig;

    rig_open(&rig, *state, "keyless", PARTITIONS);
    send_keyless(&rig, "roundrobin", round);
    send_keyless(&rig, "sticky", sticky);
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        assert_int_equal(round[i], 10);
        used += sticky[i] > 0;
    }
    assert_int_equal(used, 1); /* 40 bytes do not fill a batch */
    rig_close(&rig);
}

/* ---- consumer -------------------------------------------------------------------------------- */

static void without_a_commit_the_policy_says_where_to_begin(void **state)
{
    static const char *const topics[] = {"policy"};
    struct gregor_consumer *consumer;
    struct gregor_partition failed;
    int64_t offset = -1;
    int error = GREGOR_OK;
    struct rig rig;

    rig_open(&rig, *state, "policy", 1);
    produce(&rig, 7);
    set(&rig, "enable.auto.commit", "false");
    set(&rig, "group.id", "earliest");
    set(&rig, "auto.offset.reset", "earliest");
    consumer = consumer_of(&rig);
    assert_int_equal(gregor_consumer_subscribe(consumer, topics, 1), GREGOR_OK);
    take(consumer, 7);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);

    set(&rig, "group.id", "latest");
    set(&rig, "auto.offset.reset", "latest");
    consumer = consumer_of(&rig);
    assert_int_equal(gregor_consumer_subscribe(consumer, topics, 1), GREGOR_OK);
    for (uint32_t i = 0; i < 2000 && gregor_consumer_assignment(consumer, NULL, 0) == 0; i++)
        assert_null(gregor_consumer_poll(consumer, 10, NULL));
    assert_int_equal(gregor_consumer_position(consumer, "policy", 0, WAIT_MS, &offset), GREGOR_OK);
    assert_int_equal(offset, 7);
    produce(&rig, 2);
    take(consumer, 2);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);

    set(&rig, "group.id", "none");
    set(&rig, "auto.offset.reset", "none");
    consumer = consumer_of(&rig);
    assert_int_equal(gregor_consumer_subscribe(consumer, topics, 1), GREGOR_OK);
    for (uint32_t i = 0; i < 2000 && error == GREGOR_OK; i++)
        assert_null(gregor_consumer_poll(consumer, 10, &error));
    assert_int_not_equal(error, GREGOR_OK);
    assert_true(gregor_consumer_failed(consumer, &failed));
    assert_int_equal(failed.partition, 0);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_close(&rig);
}

static void a_policy_by_duration_begins_so_long_ago(void **state)
{
    enum { OLD = 3, NEW = 2 };
    static const char *const wrong[] = {"by_duration:1H", "by_duration:P", "by_duration:PT1H2D",
                                        "by_duration:P1DT", "by_duration:-PT1H"};
    struct gregor_partition place = {.topic = "ago", .offset = -1};
    struct gregor_producer *producer;
    struct gregor_consumer *consumer;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    int64_t back_ms = 0;
    struct rig rig;

    rig_open(&rig, *state, "ago", 1);
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(gregor_config_set(rig.config, "auto.offset.reset", wrong[i], NULL, 0),
                         GREGOR_ERR_BAD_CONFIG);
    assert_true(gregor_config_back("by_duration:P2DT3H4M5.25S", &back_ms));
    assert_int_equal(back_ms, (((2 * 24 + 3) * 60 + 4) * 60 + 5) * 1000 + 250);
    producer = producer_of(&rig);
    for (uint32_t i = 0; i < OLD + NEW; i++) {
        struct gregor_record record = record_of(&rig, "x");

        record.timestamp = i < OLD ? now_ms - 7200000 : now_ms;
        assert_int_equal(gregor_producer_send_sync(producer, &record, NULL), GREGOR_OK);
    }
    assert_int_equal(gregor_producer_close(producer, WAIT_MS), GREGOR_OK);
    set(&rig, "auto.offset.reset", "by_duration:PT1H");
    consumer = consumer_of(&rig);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    take(consumer, NEW);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    set(&rig, "auto.offset.reset", "by_duration:P1D");
    consumer = consumer_of(&rig);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    take(consumer, OLD + NEW);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_close(&rig);
}

static void open_up(void *context, struct gregor_consumed *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        records[i].value = "opened";
        records[i].value_length = 6;
        ++*(uint32_t *)context;
    }
}

static void what_sees_records_before_a_poll_returns_may_change_them(void **state)
{
    struct gregor_partition place = {.topic = "seen", .offset = 0};
    uint32_t seen[2] = {0, 0};
    struct gregor_consumer_interceptor one = {open_up, &seen[0]};
    struct gregor_consumer_interceptor other = {open_up, &seen[1]};
    struct gregor_consumer_interceptor none = {NULL, NULL};
    struct gregor_consumer *consumer;
    struct gregor_batch *batch;
    struct rig rig;

    rig_open(&rig, *state, "seen", 1);
    produce(&rig, 4);
    consumer = consumer_of(&rig);
    assert_int_equal(gregor_consumer_add_interceptor(consumer, &none), GREGOR_ERR_BAD_CONFIG);
    assert_int_equal(gregor_consumer_add_interceptor(consumer, &one), GREGOR_OK);
    assert_int_equal(gregor_consumer_add_interceptor(consumer, &other), GREGOR_OK);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    batch = gregor_consumer_poll(consumer, WAIT_MS, NULL);
    assert_non_null(batch);
    assert_int_equal(batch->records[0].value_length, 6);
    assert_memory_equal(batch->records[0].value, "opened", 6);
    assert_int_equal(seen[0], batch->count);
    assert_int_equal(seen[1], batch->count);
    gregor_batch_release(batch);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_close(&rig);
}

struct story {
    uint32_t assigned;
    uint32_t given; /* revoked or lost */
};

static void rebalanced(void *context, struct gregor_consumer *consumer, enum gregor_rebalance what,
                       const struct gregor_partition *partitions, size_t count)
{
    struct story *story = context;

    (void)consumer;
    (void)partitions;
    if (what == GREGOR_ASSIGNED) {
        story->assigned += (uint32_t)count;
    } else {
        story->given += (uint32_t)count;
    }
}

static void poll_until(struct gregor_consumer *consumer, size_t partitions)
{
    for (uint32_t i = 0; i < 2000; i++) {
        if (gregor_consumer_assignment(consumer, NULL, 0) == partitions) return;
        gregor_batch_release(gregor_consumer_poll(consumer, 10, NULL));
    }
    fail_msg("no %zu partitions", partitions);
}

/* Its commits are of the positions that the last poll but one had reached. */
static void a_group_of_the_new_protocol_works_by_configuration_alone(void **state)
{
    struct story story = {0};
    struct gregor_consumer *consumer;
    struct gregor_groups *groups;
    struct gregor_admin *admin;
    struct rig rig;

    rig_open(&rig, *state, "next.one", 2);
    set(&rig, "group.protocol", "consumer");
    set(&rig, "group.id", "g-next");
    set(&rig, "auto.offset.reset", "earliest");
    produce(&rig, 30);
    consumer = consumer_of(&rig);
    gregor_consumer_on_rebalance(consumer, rebalanced, &story);
    assert_int_equal(gregor_consumer_subscribe_pattern(consumer, "next\\..*"), GREGOR_OK);
    take(consumer, 30);
    assert_int_equal(story.assigned, 2);
    admin = gregor_admin_new(rig.client, rig.config, NULL, 0);
    assert_int_equal(gregor_admin_describe_group(admin, "g-next", &groups), GREGOR_OK);
    assert_string_equal(groups->groups[0].type, "consumer");
    assert_int_equal(groups->groups[0].members_count, 1);
    gregor_free(groups);
    gregor_admin_close(admin);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    assert_int_equal(story.given, 2);

    produce(&rig, 5);
    consumer = consumer_of(&rig);
    assert_int_equal(gregor_consumer_subscribe_pattern(consumer, "next\\..*"), GREGOR_OK);
    take(consumer, 5); /* committed at the close: not one of the thirty comes again */
    poll_until(consumer, 2);
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_close(&rig);
}

static void fetches_go_on_in_one_session(void **state)
{
    struct gregor_partition place = {.topic = "sessions", .offset = 0};
    const struct consumer_session *session;
    struct gregor_consumer *consumer;
    struct rig rig;
    int32_t id;
    int32_t epoch;

    rig_open(&rig, *state, "sessions", 1);
    produce(&rig, 3);
    consumer = consumer_of(&rig);
    assert_int_equal(gregor_consumer_assign(consumer, &place, 1), GREGOR_OK);
    take(consumer, 3);
    session = LIST_ENTRY(consumer->consumer.sessions_live.next, struct consumer_session, link);
    id = session->id;
    epoch = session->epoch;
    assert_true(id > 0);
    produce(&rig, 2);
    take(consumer, 2);
    assert_int_equal(session->id, id);
    assert_true(session->epoch > epoch); /* incremental: the session was not begun anew */
    assert_int_equal(gregor_consumer_close(consumer, WAIT_MS), GREGOR_OK);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_told_as_its_acks_allow),
        cmocka_unit_test(records_without_a_key_stick_or_go_round_by_configuration),
        cmocka_unit_test(without_a_commit_the_policy_says_where_to_begin),
        cmocka_unit_test(a_policy_by_duration_begins_so_long_ago),
        cmocka_unit_test(what_sees_records_before_a_poll_returns_may_change_them),
        cmocka_unit_test(a_group_of_the_new_protocol_works_by_configuration_alone),
        cmocka_unit_test(fetches_go_on_in_one_session),
    };

    return cmocka_run_group_tests(tests, real_broker_setup, real_broker_teardown);
}
