/* Proves, over a raw connection to a whole node: versions are negotiated as in Kafka, what no peer
 * of Kafka would send closes the connection and is counted, answers keep the order of requests,
 * what is too much is held back and goes on later, and no bytes leave memory behind. */
#include "tests/support/raw_client.h"

#include "broker/api/api.h"
#include "wire/api_versions.h"
#include "wire/create_topics.h"
#include "wire/fetch.h"
#include "wire/metadata.h"
#include "wire/produce.h"

#include <stdlib.h>
#include <string.h>

static struct node_box box;
static struct raw_client raw;

static void begin(uint64_t seed, const char *extra)
{
    node_box_init(&box, seed, "a", extra);
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
}

static void end(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static void put16(uint8_t *at, int16_t value)
{
    be_put16(at, (uint16_t)value);
}

/* ---- versions -------------------------------------------------------------------------------- */

static void ask_versions(int16_t version, const char *name, struct api_versions_response *response)
{
    struct api_versions_request request;

    api_versions_request_default(&request);
    request.client_software_name = str_of(name);
    request.client_software_version = STR("1.0");
    raw_ask(&raw, API_API_VERSIONS, version, &request, response);
}

static void every_version_of_api_versions_lists_what_is_served(void **state)
{
    struct api_versions_response response;

    (void)state;
    begin(1, "");
    for (int16_t version = 0; version <= 4; version++) {
        bool produce = false;

        ask_versions(version, "raw-client", &response);
        assert_int_equal(response.error_code, 0);
        assert_int_equal(response.api_keys_count, api_broker_count);
        for (uint32_t i = 0; i < response.api_keys_count; i++) {
            if (response.api_keys[i].api_key != API_PRODUCE) continue;
            produce = true;
            assert_int_equal(response.api_keys[i].min_version, 0);
        }
        assert_true(produce);
    }
    end();
}

static void a_newer_api_versions_is_answered_in_form_0_with_error_35(void **state)
{
    struct api_versions_request request;
    struct api_versions_response response;
    size_t length;
    uint8_t *bytes;

    (void)state;
    begin(2, "");
    api_versions_request_default(&request);
    request.client_software_name = STR("raw");
    request.client_software_version = STR("1");
    bytes = raw_frame(&raw, API_API_VERSIONS, 4, &request, &length);
    put16(bytes + 6, 99);
    assert_true(raw_send(&raw, bytes, length, RAW_WAIT_MS));
    free(bytes);
    raw_response(&raw, API_API_VERSIONS, 0, &response);
    assert_int_equal(response.error_code, ERR_UNSUPPORTED_VERSION);
    assert_int_equal(response.api_keys_count, 1);
    assert_int_equal(response.api_keys[0].api_key, API_API_VERSIONS);
    assert_int_equal(response.api_keys[0].max_version, 4);
    /* and the connection goes on */
    ask_versions(3, "raw", &response);
    assert_int_equal(response.error_code, 0);
    end();
}

static void a_bad_client_name_is_an_invalid_request(void **state)
{
    struct api_versions_response response;

    (void)state;
    begin(3, "");
    ask_versions(3, "-raw", &response);
    assert_int_equal(response.error_code, ERR_INVALID_REQUEST);
    ask_versions(3, "", &response);
    assert_int_equal(response.error_code, ERR_INVALID_REQUEST);
    ask_versions(3, "r.a-w", &response);
    assert_int_equal(response.error_code, 0);
    end();
}

/* ---- idle ------------------------------------------------------------------------------------ */

static void an_idle_connection_is_closed_after_its_time_and_no_busy_one(void **state)
{
    struct api_versions_response response;

    (void)state;
    begin(4, "connections.max.idle.ms=20000\n");
    for (int i = 0; i < 6; i++) { /* a minute with a request every ten seconds */
        ask_versions(3, "raw", &response);
        assert_int_equal(response.error_code, 0);
        node_box_run_ms(&box, 10000);
    }
    assert_true(raw_closed(&raw, 11000)); /* 20 s after the last request */
    end();
}

/* ---- hostile --------------------------------------------------------------------------------- */

static void closes(const void *bytes, size_t length)
{
    uint64_t before = box.node[0].hostile;

    raw_close(&raw);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    (void)raw_send(&raw, bytes, length, 1000);
    assert_true(raw_closed(&raw, 5000));
    assert_int_equal(box.node[0].hostile, before + 1);
}

static void what_no_peer_sends_closes_and_is_counted(void **state)
{
    uint8_t frame[32] = {0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff};

    (void)state;
    begin(4, "");
    put16(frame + 4, 999); /* key */
    closes(frame, 18);
    put16(frame + 4, -5);
    closes(frame, 18);
    put16(frame + 4, API_VOTE); /* not on this listener */
    closes(frame, 18);
    put16(frame + 4, API_METADATA);
    put16(frame + 6, 77); /* version */
    closes(frame, 18);
    put16(frame + 6, -1);
    closes(frame, 18);
    put16(frame + 6, 1);
    be_put32(frame + 14, 0x7fffffff); /* topics that are not there */
    closes(frame, 18);
    be_put32(frame, 0xffffffff); /* sizes */
    closes(frame, 18);
    be_put32(frame, 0x7fffffff);
    closes(frame, 18);
    be_put32(frame, 0);
    closes(frame, 4);
    end();
}

static void random_bytes_never_hurt(void **state)
{
    struct metadata_request request;
    struct rng rng;
    size_t mem, length;
    uint8_t *frame;

    (void)state;
    begin(5, "");
    rng_init(&rng, 55);
    metadata_request_default(&request);
    request.topics_null = true;
    frame = raw_frame(&raw, API_METADATA, 9, &request, &length);
    free(frame);
    raw_close(&raw);
    node_box_run_ms(&box, 1000);
    mem = box.node[0].node->env.payload.used;
    for (uint32_t i = 0; i < 600; i++) {
        uint8_t bytes[300];
        uint32_t size = 14 + (uint32_t)rng_below(&rng, 280);

        for (uint32_t j = 0; j < sizeof bytes; j++)
            bytes[j] = (uint8_t)rng_below(&rng, rng_below(&rng, 2) == 0 ? 4 : 256);
        be_put32(bytes, size - 4);
        /* mostly an api that is served, in a version that is */
        if (rng_below(&rng, 8) != 0) {
            const struct server_api *api = &api_broker[rng_below(&rng, api_broker_count)];
            const struct api_entry *entry = api_find(api->key);
            int64_t versions = entry->served.last - entry->served.first + 1;

            put16(bytes + 4, api->key);
            put16(bytes + 6,
                  (int16_t)(entry->served.first + (int16_t)rng_below(&rng, (uint64_t)versions)));
            put16(bytes + 12, -1);
        }
        raw_open(&raw, &box, 0, NODE_BOX_PORT);
        (void)raw_send(&raw, bytes, size, 1000);
        node_box_run_ms(&box, 20);
        raw_close(&raw);
    }
    node_box_run_ms(&box, 70000);
    /* What topics that were named by chance left in the tail cache; the stop asserts the rest. */
    assert_in_range(box.node[0].node->env.payload.used, mem, mem + (1 << 20));
    assert_int_equal(box.node[0].node->broker_server.session_count, 0);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    end();
}

/* ---- order and back-pressure ----------------------------------------------------------------- */

static void fetch_request(struct fetch_request *request, struct fetch_request_topic *topic,
                          struct fetch_request_partition *part, const char *name, int32_t wait_ms)
{
    fetch_request_default(request);
    fetch_request_topic_default(topic);
    fetch_request_partition_default(part);
    part->partition_max_bytes = 1 << 20;
    topic->topic = str_of(name);
    topic->partitions = part;
    topic->partitions_count = 1;
    request->topics = topic;
    request->topics_count = 1;
    request->max_wait_ms = wait_ms;
    request->min_bytes = 1;
}

static void a_later_answer_waits_for_the_earlier_one(void **state)
{
    struct fetch_request_partition part;
    struct fetch_request_topic topic;
    struct fetch_request fetch;
    struct fetch_response fetched;
    struct api_versions_request versions;
    struct api_versions_response response;
    int64_t before;

    (void)state;
    begin(6, "");
    raw_create_topic(&raw, "t", 1, 1);
    fetch_request(&fetch, &topic, &part, "t", 800);
    api_versions_request_default(&versions);
    before = box.sim->now_ns;
    raw_request(&raw, API_FETCH, 11, &fetch);
    raw_request(&raw, API_API_VERSIONS, 0, &versions);
    raw_response(&raw, API_FETCH, 11, &fetched);
    assert_int_equal(fetched.responses[0].partitions[0].error_code, 0);
    assert_true(box.sim->now_ns - before >= 800 * NS_PER_MS);
    raw_response(&raw, API_API_VERSIONS, 0, &response);
    assert_int_equal(response.error_code, 0);
    end();
}

static void more_unanswered_requests_than_allowed_hold_the_peer_back(void **state)
{
    enum { MANY = 4000 };
    struct fetch_request_partition part;
    struct fetch_request_topic topic;
    struct fetch_request fetch;
    struct fetch_response fetched;
    struct api_versions_request versions;
    struct api_versions_response response;
    uint8_t *bytes = NULL;
    size_t used = 0;

    (void)state;
    begin(7, "");
    raw_create_topic(&raw, "t", 1, 1);
    fetch_request(&fetch, &topic, &part, "t", 3000);
    api_versions_request_default(&versions);
    raw_request(&raw, API_FETCH, 11, &fetch);
    for (uint32_t i = 0; i < MANY; i++) {
        size_t length;
        uint8_t *one = raw_frame(&raw, API_API_VERSIONS, 0, &versions, &length);

        bytes = realloc(bytes, used + length);
        memcpy(bytes + used, one, length);
        used += length;
        free(one);
    }
    assert_true(raw_send(&raw, bytes, used, 2000) || raw.send.req.pending);
    node_box_run_ms(&box, 500);
    assert_true(pool_in_use(&box.node[0].node->broker_server.requests) <= SESSION_REQUESTS_MAX);
    assert_true(box.node[0].node->env.payload.used < 1 << 20);
    raw_response(&raw, API_FETCH, 11, &fetched);
    for (uint32_t i = 0; i < MANY; i++)
        raw_response(&raw, API_API_VERSIONS, 0, &response);
    free(bytes);
    end();
}

static void a_peer_that_reads_nothing_does_not_hold_up_a_stop(void **state)
{
    enum { MANY = 60000 };
    struct api_versions_request versions;
    uint8_t *bytes = NULL;
    size_t used = 0;

    (void)state;
    begin(8, "");
    api_versions_request_default(&versions);
    for (uint32_t i = 0; i < MANY; i++) {
        size_t length;
        uint8_t *one = raw_frame(&raw, API_API_VERSIONS, 0, &versions, &length);

        bytes = realloc(bytes, used + length);
        memcpy(bytes + used, one, length);
        used += length;
        free(one);
    }
    (void)raw_send(&raw, bytes, used, 2000);
    node_box_run_ms(&box, 5000);
    /* Held back: its own answers fill the pipe. */
    assert_int_equal(pool_in_use(&box.node[0].node->broker_server.requests), SESSION_REQUESTS_MAX);
    node_box_stop(&box, 0, 60000);
    raw_close(&raw);
    free(bytes);
    node_box_deinit(&box);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void an_arena_that_is_used_up_closes_without_harm(void **state)
{
    enum { TOPICS = 200000 };
    struct metadata_request request;
    struct metadata_response response;

    (void)state;
    begin(9, "auto.create.topics.enable=false\n");
    metadata_request_default(&request);
    request.topics = calloc(TOPICS, sizeof *request.topics);
    request.topics_count = TOPICS;
    for (uint32_t i = 0; i < TOPICS; i++)
        request.topics[i].name = STR("no-such-topic");
    raw_request(&raw, API_METADATA, 9, &request);
    assert_true(raw_closed(&raw, 5000));
    assert_int_equal(box.node[0].hostile, 0);
    raw_close(&raw);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    request.topics_count = 10;
    raw_ask(&raw, API_METADATA, 9, &request, &response);
    assert_int_equal(response.topics_count, 10);
    free(request.topics);
    end();
}

static void a_payload_budget_that_is_used_up_holds_back_and_recovers(void **state)
{
    enum { CONNECTIONS = 6, SIZE = 700000 };
    static struct raw_client many[CONNECTIONS];
    struct produce_request_partition part;
    struct produce_request_topic topic;
    struct produce_request produce;
    struct produce_response response;
    uint8_t *records = malloc(SIZE + 1000);

    (void)state;
    begin(10, "queued.max.request.bytes=2097152\n");
    raw_create_topic(&raw, "t", 1, 1);
    produce_request_default(&produce);
    produce_request_topic_default(&topic);
    produce_request_partition_default(&part);
    topic.name = STR("t");
    topic.partition_data = &part;
    topic.partition_data_count = 1;
    produce.topic_data = &topic;
    produce.topic_data_count = 1;
    produce.acks = 1;
    produce.timeout_ms = 1000;
    part.records = raw_batch(records, SIZE + 1000, 1, SIZE);
    /* Five that stop in the middle of a frame take all that there is. */
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        size_t length;
        uint8_t *frame;

        raw_open(&many[i], &box, 0, NODE_BOX_PORT);
        frame = raw_frame(&many[i], API_PRODUCE, 9, &produce, &length);
        (void)raw_send(&many[i], frame, length / 2, 500);
        free(frame);
    }
    node_box_run_ms(&box, 1000);
    assert_true(box.node[0].node->env.payload.used <= 2097152);
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        raw_close(&many[i]);
    raw_ask(&raw, API_PRODUCE, 9, &produce, &response);
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
    for (uint32_t i = 0; i < 10; i++) {
        raw_ask(&raw, API_PRODUCE, 9, &produce, &response);
        assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
    }
    free(records);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_of_api_versions_lists_what_is_served),
        cmocka_unit_test(an_idle_connection_is_closed_after_its_time_and_no_busy_one),
        cmocka_unit_test(a_newer_api_versions_is_answered_in_form_0_with_error_35),
        cmocka_unit_test(a_bad_client_name_is_an_invalid_request),
        cmocka_unit_test(what_no_peer_sends_closes_and_is_counted),
        cmocka_unit_test(random_bytes_never_hurt),
        cmocka_unit_test(a_later_answer_waits_for_the_earlier_one),
        cmocka_unit_test(more_unanswered_requests_than_allowed_hold_the_peer_back),
        cmocka_unit_test(a_peer_that_reads_nothing_does_not_hold_up_a_stop),
        cmocka_unit_test(an_arena_that_is_used_up_closes_without_harm),
        cmocka_unit_test(a_payload_budget_that_is_used_up_holds_back_and_recovers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
