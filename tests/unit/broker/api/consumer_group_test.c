/* Groups of KIP-848 as the wire sees them, on one node: at group.version 0 nobody is told of them,
 * and a broker that starts does not take its own ignorance for that; a classic group that has
 * members is taken over, and not where it would lose something: by its policy, with what an
 * assignor of the client keeps, of another protocol type (groups.md 8.7); and what it became is
 * what a coordinator finds that loads its log. */
#include "tests/support/raw_client.h"
#include "wire/consumer_group_describe.h"
#include "wire/consumer_group_heartbeat.h"
#include "wire/delete_groups.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/list_groups.h"
#include "wire/offset_commit.h"
#include "wire/offset_fetch.h"
#include "wire/sync_group.h"

#include <stdio.h>
#include <string.h>

static struct node_box box;
static struct raw_client raw;
static char member[128];

/* Of t: partitions 0 and 1, without and with user data. */
static const uint8_t subscribed[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};
static const uint8_t assigned[] = {0, 0, 0, 0, 0, 1, 0, 1, 't',  0,    0,    0,   2,
                                   0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff};
static const uint8_t with_data[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0,   2,   0,
                                    0, 0, 0, 0, 0, 0, 1, 0, 0,   0, 3, 'o', 'w', 'n'};

static void begin(const char *settings)
{
    static char text[512];

    (void)snprintf(text, sizeof text,
                   "offsets.topic.num.partitions=3\ngroup.initial.rebalance.delay.ms=0\n%s",
                   settings);
    node_box_init(&box, 5, "a", text);
    node_box_start_all(&box);
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&raw, "t", 2, 1);
    raw_until_coordinated(&raw, "g");
    member[0] = '\0';
}

static void end(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 90000);
    node_box_deinit(&box);
}

static void restart(void)
{
    raw_close(&raw);
    node_box_stop(&box, 0, 90000);
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 60000));
    raw_open(&raw, &box, 0, NODE_BOX_PORT);
    raw_until_coordinated(&raw, "g");
}

static uint32_t refused; /* joins that were told to come again */

static int32_t join(struct str type)
{
    struct join_group_request_protocol protocol;
    struct join_group_request request;
    struct join_group_response response;

    join_group_request_default(&request);
    join_group_request_protocol_default(&protocol);
    protocol.name = STR("range");
    protocol.metadata = (struct bytes){subscribed, sizeof subscribed};
    request.group_id = STR("g");
    request.session_timeout_ms = 30000;
    request.rebalance_timeout_ms = 30000;
    request.member_id = str_of(member);
    request.protocol_type = type;
    request.protocols = &protocol;
    request.protocols_count = 1;
    raw_ask(&raw, API_JOIN_GROUP, 5, &request, &response);
    assert_true(response.member_id.length < sizeof member);
    memcpy(member, response.member_id.data, response.member_id.length);
    member[response.member_id.length] = '\0';
    if (response.error_code == ERR_MEMBER_ID_REQUIRED) return join(type);
    if (response.error_code == ERR_COORDINATOR_NOT_AVAILABLE && refused < 10) {
        refused++;
        node_box_run_ms(&box, 100);
        return join(type);
    }
    assert_int_equal(response.error_code, 0);
    return response.generation_id;
}

/* One classic member, which is given `bytes`. */
static void classic_group(struct str type, struct bytes bytes)
{
    struct sync_group_request_assignment assignment;
    struct sync_group_request request;
    struct sync_group_response response;

    sync_group_request_default(&request);
    sync_group_request_assignment_default(&assignment);
    request.generation_id = join(type);
    assignment.member_id = str_of(member);
    assignment.assignment = bytes;
    request.group_id = STR("g");
    request.member_id = str_of(member);
    request.assignments = &assignment;
    request.assignments_count = 1;
    raw_ask(&raw, API_SYNC_GROUP, 3, &request, &response);
    assert_int_equal(response.error_code, 0);
}

static int16_t heartbeat(int32_t epoch)
{
    static struct str topic = {"t", 1};
    struct consumer_group_heartbeat_request request;
    struct consumer_group_heartbeat_response response;

    consumer_group_heartbeat_request_default(&request);
    request.group_id = STR("g");
    request.member_id = STR("AAAAAAAAAAAAAAAAAAAAAQ");
    request.member_epoch = epoch;
    request.rebalance_timeout_ms = 30000;
    request.subscribed_topic_names = &topic;
    request.subscribed_topic_names_count = 1;
    request.subscribed_topic_names_null = false;
    request.topic_partitions_null = false;
    raw_ask(&raw, API_CONSUMER_GROUP_HEARTBEAT, 0, &request, &response);
    return response.error_code;
}

/* Members of the group of KIP-848; -1 - error: it is none. */
static int32_t described(void)
{
    static struct str group = {"g", 1};
    struct consumer_group_describe_request request;
    struct consumer_group_describe_response response;

    consumer_group_describe_request_default(&request);
    request.group_ids = &group;
    request.group_ids_count = 1;
    raw_ask(&raw, API_CONSUMER_GROUP_DESCRIBE, 0, &request, &response);
    assert_int_equal(response.groups_count, 1);
    if (response.groups[0].error_code != 0) return -1 - response.groups[0].error_code;
    return (int32_t)response.groups[0].members_count;
}

static void nobody_is_told_of_them_at_version_0(void **state)
{
    (void)state;
    begin("gregor.feature.group.version.max=0\n");
    assert_int_equal(heartbeat(0), ERR_UNSUPPORTED_VERSION);
    assert_int_equal(described(), -1 - ERR_UNSUPPORTED_VERSION);
    classic_group(STR("consumer"), (struct bytes){assigned, sizeof assigned});
    assert_int_equal(heartbeat(0), ERR_UNSUPPORTED_VERSION);
    end();
}

/* It knows of no features; a member that takes that for the cluster's word gives up for good. */
static void a_broker_that_starts_says_nothing_of_the_version(void **state)
{
    (void)state;
    node_box_init(&box, 5, "cb", "");
    node_box_format(&box);
    node_box_start(&box, 1);
    node_box_run_ms(&box, 1000);
    raw_open(&raw, &box, 1, NODE_BOX_PORT);
    assert_int_equal(heartbeat(0), ERR_NOT_COORDINATOR);
    assert_int_equal(described(), -1 - ERR_NOT_COORDINATOR);
    raw_close(&raw);
    node_box_deinit(&box);
}

static void a_classic_group_stays_where_the_policy_says_so(void **state)
{
    (void)state;
    begin("group.consumer.migration.policy=downgrade\n");
    classic_group(STR("consumer"), (struct bytes){assigned, sizeof assigned});
    assert_int_equal(heartbeat(0), ERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(described(), -1 - ERR_GROUP_ID_NOT_FOUND);
    end();
}

static void what_an_assignor_keeps_there_is_not_lost(void **state)
{
    (void)state;
    begin("");
    classic_group(STR("consumer"), (struct bytes){with_data, sizeof with_data});
    assert_int_equal(heartbeat(0), ERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(described(), -1 - ERR_GROUP_ID_NOT_FOUND);
    end();
}

static void a_group_of_another_type_is_not_taken_over(void **state)
{
    (void)state;
    begin("");
    classic_group(STR("connect"), (struct bytes){assigned, sizeof assigned});
    assert_int_equal(heartbeat(0), ERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(described(), -1 - ERR_GROUP_ID_NOT_FOUND);
    end();
}

static void delete_group(void)
{
    static struct str group = {"g", 1};
    struct delete_groups_request request;
    struct delete_groups_response response;

    delete_groups_request_default(&request);
    request.groups_names = &group;
    request.groups_names_count = 1;
    raw_ask(&raw, API_DELETE_GROUPS, 1, &request, &response);
    assert_int_equal(response.results[0].error_code, 0);
}

static void leave(void)
{
    struct leave_group_request_member one;
    struct leave_group_request request;
    struct leave_group_response response;

    leave_group_request_default(&request);
    leave_group_request_member_default(&one);
    one.member_id = str_of(member);
    request.group_id = STR("g");
    request.members = &one;
    request.members_count = 1;
    raw_ask(&raw, API_LEAVE_GROUP, 3, &request, &response);
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.members[0].error_code, 0);
}

static uint32_t groups(void)
{
    struct list_groups_request request;
    struct list_groups_response response;

    list_groups_request_default(&request);
    raw_ask(&raw, API_LIST_GROUPS, 4, &request, &response);
    assert_int_equal(response.error_code, 0);
    return response.groups_count;
}

/* The batch that takes it over has the tombstone of the classic one: nothing of that comes back
 * when the new one is gone, too. */
static void a_group_that_was_taken_over_is_so_after_a_reload(void **state)
{
    (void)state;
    begin("group.consumer.migration.policy=upgrade\n");
    classic_group(STR("consumer"), (struct bytes){assigned, sizeof assigned});
    assert_int_equal(heartbeat(0), 0);
    assert_int_equal(described(), 2);
    restart();
    assert_int_equal(described(), 2);
    assert_int_equal(groups(), 1);
    leave();
    assert_int_equal(heartbeat(-1), 0);
    assert_int_equal(described(), 0);
    delete_group();
    assert_int_equal(groups(), 0);
    restart();
    assert_int_equal(groups(), 0);
    end();
}

/* As a tool does that resets them: without a member. */
static int16_t commit(int64_t offset)
{
    struct offset_commit_request_partition part;
    struct offset_commit_request_topic topic;
    struct offset_commit_request request;
    struct offset_commit_response response;

    offset_commit_request_default(&request);
    offset_commit_request_topic_default(&topic);
    offset_commit_request_partition_default(&part);
    part.committed_offset = offset;
    topic.name = STR("t");
    topic.partitions = &part;
    topic.partitions_count = 1;
    request.group_id = STR("g");
    request.generation_id_or_member_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    raw_ask(&raw, API_OFFSET_COMMIT, 7, &request, &response);
    assert_int_equal(response.topics_count, 1);
    return response.topics[0].partitions[0].error_code;
}

/* Of partition 0 of t. */
static int64_t committed(void)
{
    static int32_t zero = 0;
    struct offset_fetch_request_topic topic;
    struct offset_fetch_request request;
    struct offset_fetch_response response;

    offset_fetch_request_default(&request);
    offset_fetch_request_topic_default(&topic);
    topic.name = STR("t");
    topic.partition_indexes = &zero;
    topic.partition_indexes_count = 1;
    request.group_id = STR("g");
    request.topics = &topic;
    request.topics_count = 1;
    raw_ask(&raw, API_OFFSET_FETCH, 5, &request, &response);
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.topics[0].partitions[0].error_code, 0);
    return response.topics[0].partitions[0].committed_offset;
}

/* The group goes, its offsets stay (Kafka: tombstones of the group only), also after a reload. */
static void an_empty_group_gives_its_name_to_a_classic_one_and_its_offsets_with_it(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(heartbeat(0), 0);
    assert_int_equal(described(), 1);
    assert_int_equal(heartbeat(-1), 0);
    assert_int_equal(described(), 0);
    assert_int_equal(commit(7), 0);
    refused = 0;
    classic_group(STR("consumer"), (struct bytes){with_data, sizeof with_data});
    assert_in_range(refused, 1, 3);
    assert_int_equal(described(), -1 - ERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(groups(), 1);
    assert_int_equal(committed(), 7);
    restart();
    assert_int_equal(described(), -1 - ERR_GROUP_ID_NOT_FOUND);
    assert_int_equal(groups(), 1);
    assert_int_equal(committed(), 7);
    leave();
    assert_int_equal(committed(), 7);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_told_of_them_at_version_0),
        cmocka_unit_test(a_broker_that_starts_says_nothing_of_the_version),
        cmocka_unit_test(a_classic_group_stays_where_the_policy_says_so),
        cmocka_unit_test(what_an_assignor_keeps_there_is_not_lost),
        cmocka_unit_test(a_group_of_another_type_is_not_taken_over),
        cmocka_unit_test(a_group_that_was_taken_over_is_so_after_a_reload),
        cmocka_unit_test(an_empty_group_gives_its_name_to_a_classic_one_and_its_offsets_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
