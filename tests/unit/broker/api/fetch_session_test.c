/* Proves fetch sessions (KIP-227, protocol.md 14) against a whole node: what a full and an
 * incremental answer hold, epochs and each top-level error, forgotten partitions, turns, topics
 * that go and come again, two fetches of one session, and the rules of the cache. */
#include "tests/support/raw_client.h"

#include "wire/delete_topics.h"
#include "wire/fetch.h"
#include "wire/metadata.h"

#include <string.h>

enum { PARTS = 4, VERSION = 11 };

static struct node_box box;
static struct raw_client raw;

static struct fetch_request_partition parts[PARTS];
static struct fetch_request_topic topic;
static struct fetch_request_forgotten_topic forgotten;
static int32_t forgotten_indexes[PARTS];
static struct fetch_request request;
static struct fetch_response response;
static uint8_t records[1 << 16];

static void produce(struct raw_client *from, int32_t index, uint32_t count, uint32_t size)
{
    raw_produce(from, "t", index, raw_batch(records, sizeof records, count, size));
}

/* Names partitions [first, first + count) at offset 0. */
static void name(int32_t first, uint32_t count)
{
    topic.partitions_count = count;
    for (uint32_t i = 0; i < count; i++) {
        fetch_request_partition_default(&parts[i]);
        parts[i].partition = first + (int32_t)i;
        parts[i].partition_max_bytes = 1 << 20;
    }
    request.topics_count = count > 0 ? 1 : 0;
}

static void forget(int32_t index)
{
    fetch_request_forgotten_topic_default(&forgotten);
    forgotten.topic = STR("t");
    forgotten.partitions = forgotten_indexes;
    forgotten.partitions_count = 1;
    forgotten_indexes[0] = index;
    request.forgotten_topics_data = &forgotten;
    request.forgotten_topics_data_count = 1;
}

static void begin(uint64_t seed, const char *extra)
{
    node_box_init(&box, seed, "a", extra);
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&raw, "t", PARTS, 1);
    fetch_request_default(&request);
    fetch_request_topic_default(&topic);
    topic.topic = STR("t");
    topic.partitions = parts;
    request.topics = &topic;
    request.min_bytes = 1;
    name(0, PARTS);
}

static void end(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static void ask(int32_t id, int32_t epoch)
{
    request.session_id = id;
    request.session_epoch = epoch;
    raw_ask(&raw, API_FETCH, VERSION, &request, &response);
    request.forgotten_topics_data_count = 0;
}

/* Opens a session with `count` partitions; what comes after names nothing unless told to. */
static int32_t open_session(uint32_t count)
{
    name(0, count);
    ask(0, 0);
    assert_int_equal(response.error_code, 0);
    assert_true(response.session_id > 0);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partitions_count, count);
    name(0, 0);
    return response.session_id;
}

static uint32_t answers(void)
{
    uint32_t count = 0;

    assert_int_equal(response.error_code, 0);
    for (uint32_t i = 0; i < response.responses_count; i++) {
        count += response.responses[i].partitions_count;
    }
    return count;
}

static const struct fetch_response_partition *only(int32_t index)
{
    assert_int_equal(answers(), 1);
    assert_int_equal(response.responses[0].partitions[0].partition_index, index);
    return &response.responses[0].partitions[0];
}

static void refused(enum err err)
{
    assert_int_equal(response.error_code, err);
    assert_int_equal(response.session_id, 0);
    assert_int_equal(response.responses_count, 0);
}

/* ---- what an answer holds -------------------------------------------------------------------- */

static void only_news_are_told(void **state)
{
    int32_t id;

    (void)state;
    begin(1, "");
    id = open_session(PARTS);
    ask(id, 1);
    assert_int_equal(answers(), 0);
    assert_int_equal(response.session_id, id);
    produce(&raw, 2, 3, 10);
    ask(id, 2);
    assert_int_equal(only(2)->high_watermark, 3);
    assert_true(only(2)->records.length > 30);
    ask(id, 3); /* the position was not moved: the same again */
    assert_true(only(2)->records.length > 30);
    name(2, 1);
    parts[0].fetch_offset = 3;
    ask(id, 4);
    assert_int_equal(answers(), 0);
    name(0, 0);
    ask(id, 5);
    assert_int_equal(answers(), 0);
    end();
}

static void a_waiting_fetch_is_woken_by_a_partition_that_it_does_not_name(void **state)
{
    static struct raw_client other;
    int64_t before;
    int32_t id;

    (void)state;
    begin(2, "");
    raw_open(&other, &box, 0, NODE_BOX_PORT);
    id = open_session(PARTS);
    request.max_wait_ms = 30000;
    request.session_id = id;
    request.session_epoch = 1;
    before = box.sim->now_ns;
    raw_request(&raw, API_FETCH, VERSION, &request);
    assert_false(raw_answer(&raw, 500));
    produce(&other, 3, 1, 10);
    raw_response(&raw, API_FETCH, VERSION, &response);
    assert_int_equal(only(3)->high_watermark, 1);
    assert_true(box.sim->now_ns - before < 2000 * NS_PER_MS);
    raw_close(&other);
    end();
}

/* The high watermark moved, but the limit left no room for the records. */
static void a_high_watermark_is_told_also_without_records(void **state)
{
    int32_t id;

    (void)state;
    begin(3, "");
    id = open_session(PARTS);
    name(1, 1);
    parts[0].partition_max_bytes = 0;
    ask(id, 1);
    assert_int_equal(answers(), 0);
    name(0, 0);
    produce(&raw, 1, 2, 10);
    ask(id, 2);
    assert_int_equal(only(1)->high_watermark, 2);
    assert_int_equal(only(1)->records.length, 0);
    ask(id, 3);
    assert_int_equal(answers(), 0);
    end();
}

static void an_error_is_told_until_it_is_over_and_then_the_state_again(void **state)
{
    int32_t id;

    (void)state;
    begin(4, "");
    produce(&raw, 0, 2, 10);
    name(0, 1);
    parts[0].fetch_offset = 2;
    ask(0, 0);
    id = response.session_id;
    parts[0].fetch_offset = 9;
    ask(id, 1);
    assert_int_equal(only(0)->error_code, ERR_OFFSET_OUT_OF_RANGE);
    name(0, 0);
    ask(id, 2);
    assert_int_equal(only(0)->error_code, ERR_OFFSET_OUT_OF_RANGE);
    name(0, 1);
    parts[0].fetch_offset = 2;
    ask(id, 3);
    assert_int_equal(only(0)->error_code, 0);
    assert_int_equal(only(0)->high_watermark, 2);
    name(0, 0);
    ask(id, 4);
    assert_int_equal(answers(), 0);
    end();
}

static void who_was_served_comes_last_next_time(void **state)
{
    int32_t id;

    (void)state;
    begin(5, "");
    id = open_session(PARTS);
    produce(&raw, 0, 1, 2000);
    produce(&raw, 1, 1, 2000);
    request.max_bytes = 100; /* one batch at a time */
    for (int32_t epoch = 1; epoch <= 4; epoch++) {
        uint32_t with_data = 0;

        ask(id, epoch);
        for (uint32_t i = 0; i < answers(); i++) {
            const struct fetch_response_partition *p = &response.responses[0].partitions[i];

            if (p->records.length == 0) continue;
            with_data++;
            assert_int_equal(p->partition_index, (epoch - 1) % 2);
        }
        assert_int_equal(with_data, 1);
    }
    end();
}

static void forgotten_partitions_are_not_served(void **state)
{
    int32_t id;

    (void)state;
    begin(6, "");
    id = open_session(2);
    forget(1);
    ask(id, 1);
    assert_int_equal(response.session_id, id);
    produce(&raw, 0, 1, 10);
    produce(&raw, 1, 1, 10);
    ask(id, 2);
    assert_int_equal(only(0)->high_watermark, 1);
    name(1, 1); /* back again: as a new one */
    parts[0].fetch_offset = 1;
    ask(id, 3);
    assert_int_equal(answers(), 2);
    name(0, 0);
    forget(0);
    ask(id, 4);
    forget(1);
    ask(id, 5); /* nothing is left of it */
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.session_id, 0);
    ask(id, 6);
    refused(ERR_FETCH_SESSION_ID_NOT_FOUND);
    end();
}

/* ---- epochs and errors ----------------------------------------------------------------------- */

static void wrong_ids_and_epochs_are_refused(void **state)
{
    int32_t id;
    int32_t again;

    (void)state;
    begin(7, "");
    ask(77, 5);
    refused(ERR_FETCH_SESSION_ID_NOT_FOUND);
    id = open_session(1);
    ask(id, 2);
    refused(ERR_INVALID_FETCH_SESSION_EPOCH);
    ask(id, 1);
    assert_int_equal(answers(), 0);
    ask(id, 1); /* once only */
    refused(ERR_INVALID_FETCH_SESSION_EPOCH);
    request.session_id = id;
    request.session_epoch = 2;
    raw_ask(&raw, API_FETCH, 13, &request, &response);
    refused(ERR_FETCH_SESSION_TOPIC_ID_ERROR);
    ask(id, 2);
    assert_int_equal(answers(), 0);
    name(0, 1);
    ask(id, 0); /* replaces it */
    again = response.session_id;
    assert_true(again > 0);
    assert_int_not_equal(again, id);
    ask(id, 3);
    refused(ERR_FETCH_SESSION_ID_NOT_FOUND);
    ask(again, -1); /* closes it */
    assert_int_equal(response.session_id, 0);
    assert_int_equal(answers(), 1);
    ask(again, 1);
    refused(ERR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(box.node[0].node->fetch_sessions.partitions_count, 0);
    end();
}

static void epochs_begin_anew_after_the_last(void **state)
{
    struct fetch_session *session;
    int32_t id;

    (void)state;
    begin(8, "");
    id = open_session(1);
    session = fetch_sessions_find(&box.node[0].node->fetch_sessions, id);
    session->epoch = INT32_MAX;
    ask(id, INT32_MAX);
    assert_int_equal(answers(), 0);
    ask(id, 1);
    assert_int_equal(answers(), 0);
    assert_int_equal(session->epoch, 2);
    end();
}

static void a_newer_fetch_takes_the_session_over(void **state)
{
    static struct raw_client other;
    struct fetch_response late;
    int32_t id;

    (void)state;
    begin(9, "");
    raw_open(&other, &box, 0, NODE_BOX_PORT);
    id = open_session(1);
    request.max_wait_ms = 30000;
    request.session_id = id;
    request.session_epoch = 1;
    raw_request(&other, API_FETCH, VERSION, &request);
    assert_false(raw_answer(&other, 500));
    request.max_wait_ms = 0;
    ask(id, 2);
    assert_int_equal(answers(), 0);
    raw_response(&other, API_FETCH, VERSION, &late);
    assert_int_equal(late.error_code, ERR_INVALID_FETCH_SESSION_EPOCH);
    request.max_wait_ms = 30000;
    request.session_epoch = 3;
    raw_request(&other, API_FETCH, VERSION, &request);
    assert_false(raw_answer(&other, 500));
    request.max_wait_ms = 0;
    name(0, 1);
    ask(id, -1); /* closed under a fetch that waits */
    assert_int_equal(answers(), 1);
    raw_response(&other, API_FETCH, VERSION, &late);
    assert_int_equal(late.error_code, ERR_FETCH_SESSION_ID_NOT_FOUND);
    raw_close(&other);
    end();
}

/* ---- topics ---------------------------------------------------------------------------------- */

static void delete_topic(void)
{
    struct delete_topics_request body;
    struct delete_topics_response answer;
    struct str names[] = {STR("t")};

    delete_topics_request_default(&body);
    body.topic_names = names;
    body.topic_names_count = 1;
    body.timeout_ms = 10000;
    raw_ask(&raw, API_DELETE_TOPICS, 5, &body, &answer);
    assert_int_equal(answer.responses[0].error_code, 0);
    assert_false(raw_answer(&raw, 3000)); /* until all of it is gone */
}

/* By name a session goes on with the new topic; nothing of the old one is kept alive by it. */
static void a_topic_goes_and_comes_again_in_a_session(void **state)
{
    int32_t id;

    (void)state;
    begin(10, "");
    produce(&raw, 0, 1, 10);
    id = open_session(1);
    delete_topic();
    assert_int_equal(box.node[0].node->replicas.partitions_count, 0);
    ask(id, 1);
    assert_int_equal(only(0)->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    raw_create_topic(&raw, "t", PARTS, 1);
    ask(id, 2);
    assert_int_equal(only(0)->error_code, 0);
    assert_int_equal(only(0)->high_watermark, 0);
    produce(&raw, 0, 1, 10);
    ask(id, 3);
    assert_int_equal(only(0)->high_watermark, 1);
    end();
}

/* ---- the cache ------------------------------------------------------------------------------- */

static void a_cache_of_no_slots_gives_no_session(void **state)
{
    (void)state;
    begin(11, "max.incremental.fetch.session.cache.slots=0\n");
    name(0, PARTS);
    ask(0, 0);
    assert_int_equal(response.session_id, 0);
    assert_int_equal(answers(), PARTS);
    end();
}

static int32_t try_open(uint32_t count)
{
    name(0, count);
    ask(0, 0);
    assert_int_equal(answers(), count);
    name(0, 0);
    return response.session_id;
}

static bool alive(int32_t id)
{
    return fetch_sessions_find(&box.node[0].node->fetch_sessions, id) != NULL;
}

static void a_full_cache_gives_way_by_kafkas_rules(void **state)
{
    int32_t first;
    int32_t second;
    int32_t third;

    (void)state;
    begin(12, "max.incremental.fetch.session.cache.slots=2\n");
    first = open_session(1);
    second = open_session(2);
    assert_int_equal(try_open(4), 0); /* both are young */
    node_box_run_ms(&box, 100000);
    ask(first, 1);
    node_box_run_ms(&box, 30000);
    third = try_open(1); /* second was not used for so long, and that counts alone */
    assert_true(third > 0);
    assert_true(alive(first) && !alive(second));
    assert_int_equal(try_open(1), 0); /* first is old by now, but worth as much */
    second = try_open(2);
    assert_true(second > 0);
    assert_false(alive(first));
    request.replica_id = 7; /* a follower: out goes the consumer's that is worth least */
    first = try_open(1);
    assert_true(first > 0);
    assert_true(alive(second) && !alive(third));
    request.replica_id = -1;
    node_box_run_ms(&box, 100000);
    ask(first, 1);
    ask(second, 1);
    node_box_run_ms(&box, 30000);
    assert_true(try_open(4) > 0);
    assert_true(alive(first)); /* a consumer's never takes a follower's place */
    assert_int_equal(box.node[0].node->fetch_sessions.evictions, 4);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_news_are_told),
        cmocka_unit_test(a_waiting_fetch_is_woken_by_a_partition_that_it_does_not_name),
        cmocka_unit_test(a_high_watermark_is_told_also_without_records),
        cmocka_unit_test(an_error_is_told_until_it_is_over_and_then_the_state_again),
        cmocka_unit_test(who_was_served_comes_last_next_time),
        cmocka_unit_test(forgotten_partitions_are_not_served),
        cmocka_unit_test(wrong_ids_and_epochs_are_refused),
        cmocka_unit_test(epochs_begin_anew_after_the_last),
        cmocka_unit_test(a_newer_fetch_takes_the_session_over),
        cmocka_unit_test(a_topic_goes_and_comes_again_in_a_session),
        cmocka_unit_test(a_cache_of_no_slots_gives_no_session),
        cmocka_unit_test(a_full_cache_gives_way_by_kafkas_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
