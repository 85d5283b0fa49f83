/* Proves Metadata in all its versions, topics created and deleted through any broker while the
 * controller moves, automatic topics, and producer ids that are never given twice. */
#include "tests/support/raw_client.h"

#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/describe_cluster.h"
#include "wire/describe_topic_partitions.h"
#include "wire/find_coordinator.h"
#include "wire/init_producer_id.h"
#include "wire/metadata.h"

#include <string.h>

static struct node_box box;
static struct raw_client raw;

static struct metadata_request_topic topics[2];
static struct metadata_request request;
static struct metadata_response response;

static void fill(const char *name)
{
    metadata_request_default(&request);
    metadata_request_topic_default(&topics[0]);
    request.topics = topics;
    request.topics_count = name != NULL ? 1 : 0;
    topics[0].name = name != NULL ? str_of(name) : STR_NULL;
}

static void begin(uint64_t seed, const char *roles, const char *extra)
{
    node_box_init(&box, seed, roles, extra);
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
}

static void end(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 90000);
    node_box_deinit(&box);
}

static void ask(int16_t version)
{
    raw_ask(&raw, API_METADATA, version, &request, &response);
}

static void every_version_tells_of_brokers_and_topics(void **state)
{
    struct uuid id = {{0}};

    (void)state;
    begin(1, "a", "");
    raw_create_topic(&raw, "t", 3, 1);
    for (int16_t version = 0; version <= 12; version++) {
        fill("t");
        ask(version);
        assert_int_equal(response.brokers_count, 1);
        assert_int_equal(response.brokers[0].node_id, 1);
        assert_int_equal(response.brokers[0].port, NODE_BOX_PORT);
        assert_true(str_equal(response.brokers[0].host, STR("node-1")));
        if (version >= 1) assert_int_equal(response.controller_id, 1);
        if (version >= 2) assert_true(str_equal(response.cluster_id, STR("cluster-of-the-test")));
        assert_int_equal(response.topics_count, 1);
        assert_int_equal(response.topics[0].error_code, 0);
        assert_int_equal(response.topics[0].partitions_count, 3);
        assert_int_equal(response.topics[0].partitions[2].partition_index, 2);
        assert_int_equal(response.topics[0].partitions[2].leader_id, 1);
        assert_int_equal(response.topics[0].partitions[2].isr_nodes_count, 1);
        if (version >= 10) id = response.topics[0].topic_id;
        fill(NULL); /* an empty list: all in 0, none later */
        ask(version);
        assert_int_equal(response.topics_count, version == 0 ? 1 : 0);
        if (version == 0) continue;
        request.topics_null = true;
        ask(version);
        assert_int_equal(response.topics_count, 1);
    }
    assert_false(uuid_is_zero(id));
    fill(NULL);
    request.topics_count = 1;
    topics[0].topic_id = id;
    ask(12);
    assert_int_equal(response.topics[0].error_code, 0);
    assert_true(str_equal(response.topics[0].name, STR("t")));
    ask(10);
    assert_int_equal(response.topics[0].error_code, ERR_INVALID_REQUEST);
    topics[0].topic_id.bytes[0] ^= 1;
    ask(12);
    assert_int_equal(response.topics[0].error_code, ERR_UNKNOWN_TOPIC_ID);
    end();
}

static void a_topic_that_is_named_comes_into_being_once(void **state)
{
    (void)state;
    begin(2, "a", "num.partitions=2\n");
    fill("fresh");
    request.allow_auto_topic_creation = false;
    ask(9);
    assert_int_equal(response.topics[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
    fill("not a name");
    ask(9);
    assert_int_equal(response.topics[0].error_code, ERR_INVALID_TOPIC_EXCEPTION);
    fill("fresh");
    for (uint32_t i = 0; i < 5; i++)
        ask(9); /* five at once: one creation */
    node_box_run_ms(&box, 500);
    ask(9);
    assert_int_equal(response.topics[0].error_code, 0);
    assert_int_equal(response.topics[0].partitions_count, 2);
    assert_true(list_empty(&box.node[0].node->auto_topics_live));
    end();
}

static enum err create(const char *name, int16_t version, int32_t timeout_ms)
{
    struct create_topics_request_topic topic;
    struct create_topics_request body;
    struct create_topics_response answer;

    create_topics_request_default(&body);
    create_topics_request_topic_default(&topic);
    topic.name = str_of(name);
    topic.num_partitions = 1;
    topic.replication_factor = 1;
    body.topics = &topic;
    body.topics_count = 1;
    body.timeout_ms = timeout_ms;
    raw_ask(&raw, API_CREATE_TOPICS, version, &body, &answer);
    assert_int_equal(answer.topics_count, 1);
    assert_true(str_equal(answer.topics[0].name, topic.name));
    return err_from_wire(answer.topics[0].error_code);
}

static enum err delete (const char *name, int16_t version) {
    struct delete_topics_request_topic topic; struct delete_topics_request body;
    struct delete_topics_response answer; struct str names[1] = {str_of(name)};

    delete_topics_request_default(&body); delete_topics_request_topic_default(&topic);
    topic.name = str_of(name); if (version >= 6){body.topics = &topic; body.topics_count = 1;}
else
{
    body.topic_names = names;
    body.topic_names_count = 1;
}
body.timeout_ms = 5000;
raw_ask(&raw, API_DELETE_TOPICS, version, &body, &answer);
assert_int_equal(answer.responses_count, 1);
assert_true(str_equal(answer.responses[0].name, str_of(name)));
return err_from_wire(answer.responses[0].error_code);
}

static void topics_are_created_and_deleted_through_a_broker(void **state)
{
    (void)state;
    begin(3, "bc", "");
    for (int16_t version = 2; version <= 7; version++) {
        assert_int_equal(create("t", version, 5000), ERR_NONE);
        assert_int_equal(create("t", version, 5000), ERR_TOPIC_ALREADY_EXISTS);
        assert_int_equal(delete ("t", version > 6 ? 6 : version), ERR_NONE);
        assert_int_equal(delete ("t", version > 6 ? 6 : version), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    assert_int_equal(create("not a name", 7, 5000), ERR_INVALID_TOPIC_EXCEPTION);
    end();
}

static void a_controller_that_moves_is_found_in_time(void **state)
{
    int active;

    (void)state;
    begin(4, "bccc", "");
    assert_int_equal(create("before", 7, 5000), ERR_NONE);
    active = node_box_controller(&box);
    assert_true(active > 0);
    sim_crash(box.node[active].world, SIM_DOWN_POWER);
    assert_int_equal(create("after", 7, 30000), ERR_NONE);
    assert_true(node_box_controller(&box) != active);
    end();
}

static void without_a_controller_the_request_ends_in_its_time(void **state)
{
    int64_t before;

    (void)state;
    begin(5, "bc", "");
    sim_crash(box.node[1].world, SIM_DOWN_POWER);
    before = box.sim->now_ns;
    assert_int_equal(create("t", 7, 2000), ERR_REQUEST_TIMED_OUT);
    assert_in_range(box.sim->now_ns - before, 2000 * NS_PER_MS, 4000 * NS_PER_MS);
    end();
}

/* ---- producer ids ---------------------------------------------------------------------------- */

static struct init_producer_id_response init_id(int16_t version, const char *transactional)
{
    struct init_producer_id_request body;
    struct init_producer_id_response answer;

    init_producer_id_request_default(&body);
    body.transactional_id = transactional != NULL ? str_of(transactional) : STR_NULL;
    raw_ask(&raw, API_INIT_PRODUCER_ID, version, &body, &answer);
    return answer;
}

static void producer_ids_are_never_given_twice(void **state)
{
    int64_t last = -1;

    (void)state;
    begin(6, "a", "");
    for (uint32_t life = 0; life < 4; life++) {
        for (uint32_t i = 0; i < 400; i++) {
            struct init_producer_id_response answer = init_id((int16_t)(i % 5), NULL);

            assert_int_equal(answer.error_code, 0);
            assert_int_equal(answer.producer_epoch, 0);
            assert_true(answer.producer_id > last);
            last = answer.producer_id;
        }
        raw_close(&raw);
        sim_crash(box.node[0].world, life % 2 == 0 ? SIM_DOWN_POWER : SIM_DOWN_KILL);
        node_box_start(&box, 0);
        assert_true(node_box_ready(&box, 0, 60000));
        raw_open(&raw, &box, 0, NODE_BOX_PORT);
    }
    assert_int_equal(init_id(4, "tx").error_code, ERR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(init_id(4, "tx").producer_id, -1);
    end();
}

static void the_cluster_is_described_and_coordinators_are_not_there_yet(void **state)
{
    struct describe_cluster_request cluster;
    struct describe_cluster_response described;
    struct find_coordinator_request find;
    struct find_coordinator_response found;
    struct str keys[2] = {STR("g"), STR("h")};

    (void)state;
    begin(7, "a", "");
    describe_cluster_request_default(&cluster);
    raw_ask(&raw, API_DESCRIBE_CLUSTER, 1, &cluster, &described);
    assert_int_equal(described.error_code, 0);
    assert_int_equal(described.brokers_count, 1);
    cluster.endpoint_type = 2;
    raw_ask(&raw, API_DESCRIBE_CLUSTER, 1, &cluster, &described);
    assert_int_equal(described.error_code, ERR_MISMATCHED_ENDPOINT_TYPE);
    find_coordinator_request_default(&find);
    find.key = keys[0];
    raw_ask(&raw, API_FIND_COORDINATOR, 2, &find, &found);
    assert_int_equal(found.error_code, ERR_COORDINATOR_NOT_AVAILABLE);
    find.key = STR("");
    find.coordinator_keys = keys;
    find.coordinator_keys_count = 2;
    raw_ask(&raw, API_FIND_COORDINATOR, 4, &find, &found);
    assert_int_equal(found.coordinators_count, 2);
    assert_int_equal(found.coordinators[1].error_code, ERR_COORDINATOR_NOT_AVAILABLE);
    end();
}

/* KIP-966. */
static void topics_are_told_in_pages_by_name(void **state)
{
    struct describe_topic_partitions_request_topic named[3];
    struct describe_topic_partitions_request ask_for;
    struct describe_topic_partitions_response page;

    (void)state;
    begin(8, "a", "");
    raw_create_topic(&raw, "b", 3, 1);
    raw_create_topic(&raw, "a", 2, 1);
    raw_create_topic(&raw, "c", 1, 1);
    describe_topic_partitions_request_default(&ask_for);
    raw_ask(&raw, API_DESCRIBE_TOPIC_PARTITIONS, 0, &ask_for, &page);
    assert_int_equal(page.topics_count, 3);
    assert_true(page.next_cursor_null);
    assert_true(str_equal(page.topics[0].name, STR("a")));
    assert_true(str_equal(page.topics[2].name, STR("c")));
    assert_int_equal(page.topics[1].partitions_count, 3);
    assert_int_equal(page.topics[1].partitions[2].leader_id, 1);
    assert_int_equal(page.topics[1].partitions[2].isr_nodes_count, 1);
    assert_false(page.topics[1].partitions[2].eligible_leader_replicas_null);
    assert_int_equal(page.topics[1].partitions[2].eligible_leader_replicas_count, 0);
    ask_for.response_partition_limit = 3; /* a-0, a-1, b-0 */
    raw_ask(&raw, API_DESCRIBE_TOPIC_PARTITIONS, 0, &ask_for, &page);
    assert_int_equal(page.topics_count, 2);
    assert_int_equal(page.topics[1].partitions_count, 1);
    assert_false(page.next_cursor_null);
    assert_true(str_equal(page.next_cursor.topic_name, STR("b")));
    assert_int_equal(page.next_cursor.partition_index, 1);
    ask_for.response_partition_limit = 2; /* b-1, b-2: the page ends with the topic */
    ask_for.cursor_null = false;
    ask_for.cursor.topic_name = STR("b");
    ask_for.cursor.partition_index = 1;
    raw_ask(&raw, API_DESCRIBE_TOPIC_PARTITIONS, 0, &ask_for, &page);
    assert_int_equal(page.topics_count, 1);
    assert_int_equal(page.topics[0].partitions[0].partition_index, 1);
    assert_true(str_equal(page.next_cursor.topic_name, STR("c")));
    assert_int_equal(page.next_cursor.partition_index, 0);
    for (int32_t i = 0; i < 3; i++)
        describe_topic_partitions_request_topic_default(&named[i]);
    named[0].name = named[1].name = STR("c");
    named[2].name = STR("no such topic");
    ask_for.topics = named;
    ask_for.topics_count = 3;
    raw_ask(&raw, API_DESCRIBE_TOPIC_PARTITIONS, 0, &ask_for, &page);
    assert_int_equal(page.topics_count, 2);
    assert_int_equal(page.topics[0].error_code, 0);
    assert_int_equal(page.topics[1].error_code, ERR_INVALID_TOPIC_EXCEPTION);
    assert_true(page.next_cursor_null);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_tells_of_brokers_and_topics),
        cmocka_unit_test(a_topic_that_is_named_comes_into_being_once),
        cmocka_unit_test(topics_are_created_and_deleted_through_a_broker),
        cmocka_unit_test(a_controller_that_moves_is_found_in_time),
        cmocka_unit_test(without_a_controller_the_request_ends_in_its_time),
        cmocka_unit_test(producer_ids_are_never_given_twice),
        cmocka_unit_test(topics_are_told_in_pages_by_name),
        cmocka_unit_test(the_cluster_is_described_and_coordinators_are_not_there_yet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
