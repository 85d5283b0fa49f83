/* Groups as the wire sees them, on one node: FindCoordinator makes the topic, a member in every
 * version of its requests, offsets of a group without members, and what administrators ask. */
#include "tests/support/raw_client.h"
#include "wire/delete_groups.h"
#include "wire/describe_groups.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/list_groups.h"
#include "wire/offset_commit.h"
#include "wire/offset_delete.h"
#include "wire/offset_fetch.h"
#include "wire/produce.h"
#include "wire/sync_group.h"

#include <string.h>

static struct node_box box;
static struct raw_client raw;

static void begin(void)
{
    node_box_init(&box, 5, "a",
                  "offsets.topic.num.partitions=3\ngroup.initial.rebalance.delay.ms=0\n");
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&raw, "t", 2, 1);
    assert_int_equal(raw_find_coordinator(&raw, "g"),
                     ERR_COORDINATOR_NOT_AVAILABLE); /* and it is being made */
    raw_until_coordinated(&raw, "g");
}

static void end(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 90000);
    node_box_deinit(&box);
}

static int16_t commit(int16_t version, struct str member, int32_t generation, int32_t partition,
                      int64_t offset)
{
    struct offset_commit_request_partition part;
    struct offset_commit_request_topic topic;
    struct offset_commit_request request;
    struct offset_commit_response response;

    offset_commit_request_default(&request);
    offset_commit_request_topic_default(&topic);
    offset_commit_request_partition_default(&part);
    part.partition_index = partition;
    part.committed_offset = offset;
    part.committed_metadata = STR("note");
    topic.name = STR("t");
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.group_id = STR("g");
    request.member_id = member;
    request.generation_id_or_member_epoch = generation;
    request.topics = &topic;
    request.topics_count = 1;
    raw_ask(&raw, API_OFFSET_COMMIT, version, &request, &response);
    assert_int_equal(response.topics_count, 1);
    return response.topics[0].partitions[0].error_code;
}

/* Partition 0 of t. */
static int64_t fetch(int16_t version, struct str group)
{
    static int32_t zero = 0;
    struct offset_fetch_request_topic topic;
    struct offset_fetch_request_group one;
    struct offset_fetch_request_group_topic of_one;
    struct offset_fetch_request request;
    struct offset_fetch_response response;

    offset_fetch_request_default(&request);
    if (version < 8) {
        offset_fetch_request_topic_default(&topic);
        topic.name = STR("t");
        topic.partition_indexes = &zero;
        topic.partition_indexes_count = 1;
        request.group_id = group;
        request.topics = &topic;
        request.topics_count = 1;
    } else {
        offset_fetch_request_group_default(&one);
        offset_fetch_request_group_topic_default(&of_one);
        of_one.name = STR("t");
        of_one.partition_indexes = &zero;
        of_one.partition_indexes_count = 1;
        one.group_id = group;
        one.topics = &of_one;
        one.topics_count = 1;
        request.groups = &one;
        request.groups_count = 1;
    }
    raw_ask(&raw, API_OFFSET_FETCH, version, &request, &response);
    if (version < 8) {
        assert_int_equal(response.error_code, 0);
        assert_int_equal(response.topics[0].partitions[0].error_code, 0);
        return response.topics[0].partitions[0].committed_offset;
    }
    assert_int_equal(response.groups[0].error_code, 0);
    return response.groups[0].topics[0].partitions[0].committed_offset;
}

static void offsets_are_committed_and_read_in_every_version(void **state)
{
    (void)state;
    begin();
    assert_int_equal(fetch(7, STR("never")), -1);
    for (int16_t version = 1; version <= 9; version++) {
        assert_int_equal(commit(version, STR(""), -1, 0, 100 + version), 0);
        for (int16_t reader = 1; reader <= 9; reader++)
            assert_int_equal(fetch(reader, STR("g")), 100 + version);
    }
    assert_int_equal(commit(7, STR(""), -1, 9, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(commit(7, STR("m"), 3, 0, 1), ERR_UNKNOWN_MEMBER_ID);
    end();
}

static void offsets_outlive_the_node(void **state)
{
    (void)state;
    begin();
    assert_int_equal(commit(7, STR(""), -1, 0, 42), 0);
    raw_close(&raw);
    node_box_stop(&box, 0, 90000);
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 60000));
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_until_coordinated(&raw, "g");
    assert_int_equal(fetch(7, STR("g")), 42);
    end();
}

static char member[128];

static int32_t join(int16_t version)
{
    static const uint8_t metadata[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};
    struct join_group_request_protocol protocol;
    struct join_group_request request;
    struct join_group_response response;

    join_group_request_default(&request);
    join_group_request_protocol_default(&protocol);
    protocol.name = STR("range");
    protocol.metadata = (struct bytes){metadata, sizeof metadata};
    request.group_id = STR("g");
    request.session_timeout_ms = 10000;
    request.rebalance_timeout_ms = version > 0 ? 10000 : -1;
    request.member_id = str_of(member);
    request.protocol_type = STR("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    raw_ask(&raw, API_JOIN_GROUP, version, &request, &response);
    assert_true(response.member_id.length < sizeof member);
    memcpy(member, response.member_id.data, response.member_id.length);
    member[response.member_id.length] = '\0';
    if (response.error_code == ERR_MEMBER_ID_REQUIRED) return join(version);
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.members_count, 1);
    return response.generation_id;
}

static void sync_up(int16_t version, int32_t generation)
{
    struct sync_group_request_assignment assignment;
    struct sync_group_request request;
    struct sync_group_response response;

    sync_group_request_default(&request);
    sync_group_request_assignment_default(&assignment);
    assignment.member_id = str_of(member);
    assignment.assignment = (struct bytes){(const uint8_t *)"mine", 4};
    request.group_id = STR("g");
    request.generation_id = generation;
    request.member_id = str_of(member);
    request.assignments = &assignment;
    request.assignments_count = 1;
    raw_ask(&raw, API_SYNC_GROUP, version, &request, &response);
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.assignment.length, 4);
}

static int16_t beat(int16_t version, int32_t generation)
{
    struct heartbeat_request request;
    struct heartbeat_response response;

    heartbeat_request_default(&request);
    request.group_id = STR("g");
    request.generation_id = generation;
    request.member_id = str_of(member);
    raw_ask(&raw, API_HEARTBEAT, version, &request, &response);
    return response.error_code;
}

static int16_t leave(int16_t version)
{
    struct leave_group_request_member one;
    struct leave_group_request request;
    struct leave_group_response response;

    leave_group_request_default(&request);
    leave_group_request_member_default(&one);
    one.member_id = str_of(member);
    request.group_id = STR("g");
    if (version < 3) {
        request.member_id = str_of(member);
    } else {
        request.members = &one;
        request.members_count = 1;
    }
    raw_ask(&raw, API_LEAVE_GROUP, version, &request, &response);
    if (version < 3) return response.error_code;
    assert_int_equal(response.error_code, 0);
    return response.members[0].error_code;
}

static void a_member_lives_in_every_version(void **state)
{
    (void)state;
    begin();
    for (int16_t version = 0; version <= 9; version++) {
        int32_t generation;

        member[0] = '\0';
        generation = join(version);
        sync_up(version > 5 ? 3 : version, generation);
        assert_int_equal(beat(version > 4 ? 4 : version, generation), 0);
        assert_int_equal(beat(0, generation + 1), ERR_ILLEGAL_GENERATION);
        assert_int_equal(commit(7, str_of(member), generation, 0, version), 0);
        assert_int_equal(commit(7, STR(""), -1, 0, 77), ERR_UNKNOWN_MEMBER_ID);
        assert_int_equal(leave(version > 5 ? 5 : version), 0);
        assert_int_equal(beat(0, generation), ERR_UNKNOWN_MEMBER_ID);
        assert_int_equal(fetch(7, STR("g")), version);
    }
    end();
}

static void administrators_see_and_delete_groups(void **state)
{
    struct list_groups_request list;
    struct list_groups_response listed;
    struct describe_groups_request describe;
    struct describe_groups_response described;
    struct delete_groups_request delete;
    struct delete_groups_response deleted;
    struct str names[2] = {STR("g"), STR("never")};
    struct str empty = STR("EMPTY");

    (void)state;
    begin();
    member[0] = '\0';
    sync_up(3, join(5));
    list_groups_request_default(&list);
    raw_ask(&raw, API_LIST_GROUPS, 4, &list, &listed);
    assert_int_equal(listed.error_code, 0);
    assert_int_equal(listed.groups_count, 1);
    assert_true(str_equal(listed.groups[0].group_state, STR("Stable")));
    list.states_filter = &empty;
    list.states_filter_count = 1;
    raw_ask(&raw, API_LIST_GROUPS, 4, &list, &listed);
    assert_int_equal(listed.groups_count, 0);

    describe_groups_request_default(&describe);
    describe.groups = names;
    describe.groups_count = 2;
    raw_ask(&raw, API_DESCRIBE_GROUPS, 5, &describe, &described);
    assert_true(str_equal(described.groups[0].group_state, STR("Stable")));
    assert_true(str_equal(described.groups[0].protocol_data, STR("range")));
    assert_int_equal(described.groups[0].members[0].member_assignment.length, 4);
    assert_true(str_equal(described.groups[1].group_state, STR("Dead")));
    assert_int_equal(described.groups[1].error_code, 0);
    raw_ask(&raw, API_DESCRIBE_GROUPS, 6, &describe, &described);
    assert_int_equal(described.groups[1].error_code, ERR_GROUP_ID_NOT_FOUND);

    assert_int_equal(commit(7, str_of(member), 1, 0, 5), 0);
    delete_groups_request_default(&delete);
    delete.groups_names = names;
    delete.groups_names_count = 2;
    raw_ask(&raw, API_DELETE_GROUPS, 2, &delete, &deleted);
    assert_int_equal(deleted.results[0].error_code, ERR_NON_EMPTY_GROUP);
    assert_int_equal(deleted.results[1].error_code, ERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(leave(3), 0);
    raw_ask(&raw, API_LIST_GROUPS, 4, &list, &listed);
    assert_int_equal(listed.groups_count, 1); /* empty now */
    assert_int_equal(fetch(7, STR("g")), 5);
    raw_ask(&raw, API_DELETE_GROUPS, 2, &delete, &deleted);
    assert_int_equal(deleted.results[0].error_code, 0);
    assert_int_equal(fetch(7, STR("g")), -1);
    raw_ask(&raw, API_LIST_GROUPS, 4, &list, &listed);
    assert_int_equal(listed.groups_count, 0);
    end();
}

static int16_t forget(struct str group, int16_t *partition_error)
{
    struct offset_delete_request_partition part;
    struct offset_delete_request_topic topic;
    struct offset_delete_request request;
    struct offset_delete_response response;

    offset_delete_request_default(&request);
    offset_delete_request_topic_default(&topic);
    offset_delete_request_partition_default(&part);
    topic.name = STR("t");
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.group_id = group;
    request.topics = &topic;
    request.topics_count = 1;
    raw_ask(&raw, API_OFFSET_DELETE, 0, &request, &response);
    if (response.topics_count > 0) *partition_error = response.topics[0].partitions[0].error_code;
    return response.error_code;
}

static void single_offsets_are_deleted(void **state)
{
    int16_t of_partition = -1;

    (void)state;
    begin();
    assert_int_equal(forget(STR("never"), &of_partition), ERR_GROUP_ID_NOT_FOUND);
    member[0] = '\0';
    sync_up(3, join(5));
    assert_int_equal(commit(7, str_of(member), 1, 0, 5), 0);
    assert_int_equal(forget(STR("g"), &of_partition), 0);
    assert_int_equal(of_partition, ERR_GROUP_SUBSCRIBED_TO_TOPIC);
    assert_int_equal(fetch(7, STR("g")), 5);
    assert_int_equal(leave(3), 0);
    assert_int_equal(forget(STR("g"), &of_partition), 0);
    assert_int_equal(of_partition, 0);
    assert_int_equal(fetch(7, STR("g")), -1);
    end();
}

static void clients_do_not_write_to_the_coordinator_s_log(void **state)
{
    static uint8_t bytes[256];
    struct produce_request_partition part;
    struct produce_request_topic topic;
    struct produce_request request;
    struct produce_response response;

    (void)state;
    begin();
    produce_request_default(&request);
    produce_request_topic_default(&topic);
    produce_request_partition_default(&part);
    part.records = raw_batch(bytes, sizeof bytes, 1, 10);
    topic.name = STR("__consumer_offsets");
    topic.partition_data = &part;
    topic.partition_data_count = 1;
    request.acks = -1;
    request.timeout_ms = 1000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    raw_ask(&raw, API_PRODUCE, 9, &request, &response);
    assert_int_equal(response.responses[0].partition_responses[0].error_code,
                     ERR_INVALID_TOPIC_EXCEPTION);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_committed_and_read_in_every_version),
        cmocka_unit_test(offsets_outlive_the_node),
        cmocka_unit_test(a_member_lives_in_every_version),
        cmocka_unit_test(administrators_see_and_delete_groups),
        cmocka_unit_test(single_offsets_are_deleted),
        cmocka_unit_test(clients_do_not_write_to_the_coordinator_s_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
