/* Proves the error table of Produce (protocol.md 12) against a whole node: each wrong batch has its
 * own error and leaves the log alone, idempotence answers duplicates as the first time, acks=0 says
 * nothing and closes on an error, and a long wait does not outlive the node. */
#include "tests/support/raw_client.h"

#include "client/wire/crc32c.h"
#include "client/wire/record_batch.h"
#include "wire/produce.h"

#include <string.h>

static struct node_box box;
static struct raw_client raw;

static struct produce_request_partition part;
static struct produce_request_topic topic;
static struct produce_request request;
static struct produce_response response;
static uint8_t records[1 << 21];

static void fill(const char *name, int16_t acks)
{
    produce_request_default(&request);
    produce_request_topic_default(&topic);
    produce_request_partition_default(&part);
    topic.name = str_of(name);
    topic.partition_data = &part;
    topic.partition_data_count = 1;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    request.acks = acks;
    request.timeout_ms = 3000;
    part.records = raw_batch(records, sizeof records, 3, 10);
}

static void begin(uint64_t seed, const char *extra)
{
    node_box_init(&box, seed, "a", extra);
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&raw, "t", 2, 1);
    fill("t", -1);
}

static void end(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static const struct produce_response_partition *ask(int16_t version)
{
    raw_ask(&raw, API_PRODUCE, version, &request, &response);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partition_responses_count, 1);
    return &response.responses[0].partition_responses[0];
}

static void expect(int16_t version, enum err err)
{
    const struct produce_response_partition *answer = ask(version);

    if (answer->error_code != (int16_t)err) {
        fail_msg("%s instead of %s", err_name(err_from_wire(answer->error_code)), err_name(err));
    }
    if (err == ERR_NONE) return;
    assert_int_equal(answer->base_offset, -1);
    assert_int_equal(answer->log_append_time_ms, -1);
    assert_int_equal(answer->log_start_offset, -1);
}

/* The checksum of what was changed behind it. */
static void seal(void)
{
    uint8_t *at = records;

    be_put32(at + 17, crc32c((struct cpu){0}, 0, at + 21, part.records.length - 21));
}

static void every_version_appends_and_counts_on(void **state)
{
    int64_t next = 0;

    (void)state;
    begin(1, "");
    for (int16_t version = 3; version <= 9; version++) {
        for (int16_t acks = -1; acks <= 1; acks += 2) {
            const struct produce_response_partition *answer;

            request.acks = acks;
            answer = ask(version);
            assert_int_equal(answer->error_code, 0);
            assert_int_equal(answer->base_offset, next);
            assert_int_equal(answer->log_append_time_ms, -1);
            next += 3;
        }
    }
    end();
}

static void each_wrong_batch_has_its_error(void **state)
{
    uint32_t whole;

    (void)state;
    begin(2, "");
    whole = part.records.length;
    topic.name = STR("nobody");
    expect(9, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    topic.name = STR("t");
    part.index = 2;
    expect(9, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    part.index = -1;
    expect(9, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    part.index = 0;
    request.acks = 2;
    expect(9, ERR_INVALID_REQUIRED_ACKS);
    request.acks = -2;
    expect(9, ERR_INVALID_REQUIRED_ACKS);
    request.acks = -1;
    part.records = BYTES_NULL;
    expect(9, ERR_INVALID_RECORD);
    part.records = (struct bytes){records, 0};
    expect(9, ERR_INVALID_RECORD);
    memcpy(records + whole, records, whole); /* two batches */
    part.records = (struct bytes){records, 2 * whole};
    expect(9, ERR_INVALID_RECORD);
    part.records = (struct bytes){records, whole - 1};
    expect(9, ERR_CORRUPT_MESSAGE);
    part.records = (struct bytes){records, whole};
    records[16] = 1; /* magic */
    expect(9, ERR_INVALID_RECORD);
    records[16] = 3;
    expect(9, ERR_CORRUPT_MESSAGE);
    records[16] = 2;
    records[whole - 1] ^= 1;
    expect(9, ERR_CORRUPT_MESSAGE);
    records[whole - 1] ^= 1;
    records[22] = CODEC_ZSTD;
    seal();
    expect(6, ERR_UNSUPPORTED_COMPRESSION_TYPE);
    records[22] = 7; /* no codec */
    seal();
    expect(9, ERR_CORRUPT_MESSAGE);
    records[22] = 0x20; /* control */
    seal();
    expect(9, ERR_INVALID_RECORD);
    records[22] = 0x10; /* transactional */
    seal();
    expect(9, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    request.transactional_id = STR("tx");
    expect(9, ERR_INVALID_RECORD); /* of no producer */
    request.transactional_id = STR_NULL;
    records[22] = 0;
    seal();
    assert_int_equal(ask(9)->base_offset, 0); /* nothing of that was appended */
    end();
}

static void a_batch_above_the_limit_is_too_large(void **state)
{
    (void)state;
    begin(3, "message.max.bytes=5000\n");
    part.records = raw_batch(records, sizeof records, 1, 6000);
    expect(9, ERR_MESSAGE_TOO_LARGE);
    part.records = raw_batch(records, sizeof records, 1, 4000);
    expect(9, ERR_NONE);
    end();
}

static void a_transactional_batch_fails_its_whole_request(void **state)
{
    struct produce_request_partition parts[2];
    uint8_t other[200];

    (void)state;
    begin(4, "");
    produce_request_partition_default(&parts[0]);
    produce_request_partition_default(&parts[1]);
    parts[0].records = raw_batch(other, sizeof other, 1, 10);
    parts[1].index = 1;
    records[22] = 0x10;
    seal();
    parts[1].records = part.records;
    topic.partition_data = parts;
    topic.partition_data_count = 2;
    raw_ask(&raw, API_PRODUCE, 9, &request, &response);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(response.responses[0].partition_responses[i].error_code,
                         ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    end();
}

static void an_idempotent_producer_is_told_the_first_offsets_again(void **state)
{
    (void)state;
    begin(5, "");
    part.records = raw_batch_of(records, sizeof records, 3, 10, 4000, 0, 0);
    assert_int_equal(ask(9)->base_offset, 0);
    assert_int_equal(ask(9)->base_offset, 0); /* duplicate */
    part.records = raw_batch_of(records, sizeof records, 2, 10, 4000, 0, 3);
    assert_int_equal(ask(9)->base_offset, 3);
    part.records = raw_batch_of(records, sizeof records, 2, 10, 4000, 0, 9);
    expect(9, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    part.records = raw_batch_of(records, sizeof records, 2, 10, 4000, 1, 0);
    assert_int_equal(ask(9)->base_offset, 5);
    part.records = raw_batch_of(records, sizeof records, 2, 10, 4000, 0, 5);
    expect(9, ERR_INVALID_PRODUCER_EPOCH);
    end();
}

static void acks_0_is_not_answered_and_an_error_closes(void **state)
{
    (void)state;
    begin(6, "");
    request.acks = 0;
    raw_request(&raw, API_PRODUCE, 9, &request);
    assert_false(raw_answer(&raw, 1000));
    raw.answered++; /* there is none for it */
    request.acks = 1;
    assert_int_equal(ask(9)->base_offset, 3);
    request.acks = 0;
    topic.name = STR("nobody");
    raw_request(&raw, API_PRODUCE, 9, &request);
    assert_true(raw_closed(&raw, 1000));
    assert_int_equal(box.node[0].hostile, 0);
    end();
}

static bool waits(void *context)
{
    (void)context;
    return pool_in_use(&box.node[0].node->broker_server.requests) == 1;
}

static void a_wait_for_replicas_ends_with_the_node(void **state)
{
    (void)state;
    node_box_init(&box, 7, "abb", "replica.lag.time.max.ms=600000\nmin.insync.replicas=1\n");
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&raw, "t", 8, 3);
    fill("t", -1);
    request.timeout_ms = INT32_MAX;
    sim_pause(box.node[1].world);
    sim_pause(box.node[2].world);
    for (part.index = 0; part.index < 8; part.index++) {
        raw_request(&raw, API_PRODUCE, 9, &request);
        if (!raw_answer(&raw, 300)) break; /* the first that this node leads waits */
    }
    assert_true(part.index < 8);
    assert_true(node_box_until(&box, 1000, waits, NULL));
    node_box_stop(&box, 0, 90000);
    raw_close(&raw);
    node_box_deinit(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_appends_and_counts_on),
        cmocka_unit_test(each_wrong_batch_has_its_error),
        cmocka_unit_test(a_batch_above_the_limit_is_too_large),
        cmocka_unit_test(a_transactional_batch_fails_its_whole_request),
        cmocka_unit_test(an_idempotent_producer_is_told_the_first_offsets_again),
        cmocka_unit_test(acks_0_is_not_answered_and_an_error_closes),
        cmocka_unit_test(a_wait_for_replicas_ends_with_the_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
