/* Proves: the api table says what protocol.md 20 and 6 say, per listener, and headers follow their
 * rules, the exception of ApiVersions included. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/wire/api.h"
#include "client/wire/metadata_record.h"
#include "wire/api_versions.h"

static void the_table_is_sorted_and_consistent(void **state)
{
    (void)state;
    assert_true(api_table_count >= 23);
    for (uint32_t i = 0; i < api_table_count; i++) {
        const struct api_entry *entry = &api_table[i];

        if (i > 0) assert_true(entry->key > api_table[i - 1].key);
        assert_ptr_equal(api_find(entry->key), entry);
        assert_true(entry->served.first <= entry->served.last);
        if (entry->broker.first <= entry->broker.last)
            assert_true(entry->broker.last <= entry->served.last);
        if (entry->controller.first <= entry->controller.last)
            assert_true(entry->controller.last <= entry->served.last);
        assert_int_equal(entry->request->kind, WIRE_REQUEST);
        assert_int_equal(entry->response->kind, WIRE_RESPONSE);
        assert_int_equal(entry->request->id, entry->key);
    }
    assert_null(api_find(-1));
    assert_null(api_find(999));
    assert_string_equal(api_name(API_OFFSET_FOR_LEADER_EPOCH), "offset_for_leader_epoch");
}

static void broker_ranges_are_those_of_the_sheet(void **state)
{
    static const struct {
        enum api_key key;
        struct wire_range range;
    } expected[] = {
        {API_PRODUCE, {0, 9}},
        {API_FETCH, {4, 17}},
        {API_LIST_OFFSETS, {1, 7}},
        {API_METADATA, {0, 12}},
        {API_API_VERSIONS, {0, 4}},
        {API_FIND_COORDINATOR, {0, 4}},
        {API_INIT_PRODUCER_ID, {0, 4}},
        {API_CREATE_TOPICS, {2, 7}},
        {API_DELETE_TOPICS, {1, 6}},
        {API_OFFSET_FOR_LEADER_EPOCH, {2, 4}},
        {API_DELETE_RECORDS, {0, 2}},
        {API_DESCRIBE_CONFIGS, {1, 4}},
        {API_WRITE_TXN_MARKERS, {1, 1}},
        {API_ALTER_CONFIGS, {0, 2}},
        {API_ALTER_REPLICA_LOG_DIRS, {1, 2}},
        {API_DESCRIBE_LOG_DIRS, {1, 4}},
        {API_ELECT_LEADERS, {0, 2}},
        {API_INCREMENTAL_ALTER_CONFIGS, {0, 1}},
        {API_CREATE_PARTITIONS, {0, 3}},
        {API_DESCRIBE_QUORUM, {0, 2}},
        {API_OFFSET_COMMIT, {1, 9}},
        {API_OFFSET_FETCH, {1, 9}},
        {API_JOIN_GROUP, {0, 9}},
        {API_HEARTBEAT, {0, 4}},
        {API_LEAVE_GROUP, {0, 5}},
        {API_SYNC_GROUP, {0, 5}},
        {API_DESCRIBE_GROUPS, {0, 6}},
        {API_LIST_GROUPS, {0, 5}},
        {API_DELETE_GROUPS, {0, 2}},
        {API_OFFSET_DELETE, {0, 0}},
        {API_ALTER_PARTITION_REASSIGNMENTS, {0, 0}},
        {API_LIST_PARTITION_REASSIGNMENTS, {0, 0}},
        {API_UNREGISTER_BROKER, {0, 0}},
        {API_DESCRIBE_CLUSTER, {0, 1}},
        {API_DESCRIBE_TOPIC_PARTITIONS, {0, 0}},
        {API_UPDATE_FEATURES, {0, 2}},
        {API_ADD_RAFT_VOTER, {0, 1}},
        {API_REMOVE_RAFT_VOTER, {0, 0}},
        {API_CONSUMER_GROUP_HEARTBEAT, {0, 1}},
        {API_CONSUMER_GROUP_DESCRIBE, {0, 0}},
    };
    struct api_versions_response_api_version list[96];
    uint32_t count;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        struct wire_range range = api_advertised(API_ON_BROKER, api_find((int16_t)expected[i].key));

        assert_int_equal(range.first, expected[i].range.first);
        assert_int_equal(range.last, expected[i].range.last);
    }
    assert_true(api_table_count <= COUNT_OF(list));
    count = api_versions_list(API_ON_BROKER, list);
    assert_int_equal(count, COUNT_OF(expected));
    assert_int_equal(list[0].max_version, 9);
}

static void produce_0_to_2_is_told_but_not_taken(void **state)
{
    (void)state;
    assert_false(api_accepts(API_ON_BROKER, API_PRODUCE, 2));
    assert_true(api_accepts(API_ON_BROKER, API_PRODUCE, 3));
    assert_false(api_accepts(API_ON_BROKER, API_PRODUCE, 10));
    assert_false(api_accepts(API_ON_CONTROLLER, API_PRODUCE, 3));
    assert_true(api_accepts(API_ON_CONTROLLER, API_VOTE, 2));
    assert_false(api_accepts(API_ON_BROKER, API_VOTE, 2));
    assert_false(api_accepts(API_ON_CONTROLLER, API_ENVELOPE, 0)); /* nobody sends one */
}

static void header_versions_follow_flexibility(void **state)
{
    const struct api_entry *versions = api_find(API_API_VERSIONS);
    const struct api_entry *produce = api_find(API_PRODUCE);

    (void)state;
    assert_int_equal(api_request_header_version(produce, 8), 1);
    assert_int_equal(api_request_header_version(produce, 9), 2);
    assert_int_equal(api_response_header_version(produce, 8), 0);
    assert_int_equal(api_response_header_version(produce, 9), 1);
    assert_int_equal(api_request_header_version(versions, 5), 2);
    assert_int_equal(api_response_header_version(versions, 4), 0);
}

static void a_request_header_is_read_whatever_its_version(void **state)
{
    struct support_memory memory;
    struct arena arena;
    struct request_header header;
    struct wire_reader reader;
    struct wire_writer writer;
    uint8_t bytes[64];

    (void)state;
    support_memory_init(&memory, 1 << 20);
    arena_init(&arena, &memory.mem, 4096);
    for (int16_t version = 0; version < 7; version++) {
        wire_writer_init(&writer, bytes, sizeof bytes);
        (void)api_begin_request(&writer, API_API_VERSIONS, version, 7, STR("me"));
        wire_reader_init(&reader, bytes + 4, writer.used - 4);
        assert_int_equal(api_read_request_header(&reader, &arena, &header), ERR_NONE);
        assert_int_equal(wire_reader_end(&reader), ERR_NONE);
        assert_int_equal(header.request_api_version, version);
        assert_int_equal(header.correlation_id, 7);
        assert_true(str_equal(header.client_id, STR("me")));
        assert_int_equal(writer.used, api_request_overhead(API_API_VERSIONS, version, STR("me")));
    }
    bytes[4] = 3; /* key 0x0312 */
    wire_reader_init(&reader, bytes + 4, 8);
    assert_int_equal(api_read_request_header(&reader, &arena, &header), ERR_UNSUPPORTED);
    assert_int_equal(header.request_api_key, 0x312);
    wire_reader_init(&reader, bytes + 4, 7);
    assert_int_equal(api_read_request_header(&reader, &arena, &header), ERR_MALFORMED);
    arena_deinit(&arena);
    support_memory_deinit(&memory);
}

static void metadata_records_are_found_by_id(void **state)
{
    struct metadata_record_frame frame;
    struct wire_reader reader;
    struct wire_writer writer;
    uint8_t bytes[8];

    (void)state;
    assert_string_equal(metadata_record_message(METADATA_PARTITION_CHANGE_RECORD)->name,
                        "partition_change_record");
    assert_null(metadata_record_message(999));
    wire_writer_init(&writer, bytes, sizeof bytes);
    metadata_record_write_frame(&writer, METADATA_PARTITION_RECORD, 2);
    assert_memory_equal(bytes, "\x01\x03\x02", 3);
    wire_reader_init(&reader, bytes, writer.used);
    assert_int_equal(metadata_record_read_frame(&reader, &frame), ERR_NONE);
    assert_int_equal(frame.id, 3);
    assert_int_equal(frame.version, 2);
    bytes[0] = 2;
    wire_reader_init(&reader, bytes, writer.used);
    assert_int_equal(metadata_record_read_frame(&reader, &frame), ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted_and_consistent),
        cmocka_unit_test(broker_ranges_are_those_of_the_sheet),
        cmocka_unit_test(produce_0_to_2_is_told_but_not_taken),
        cmocka_unit_test(header_versions_follow_flexibility),
        cmocka_unit_test(a_request_header_is_read_whatever_its_version),
        cmocka_unit_test(metadata_records_are_found_by_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
