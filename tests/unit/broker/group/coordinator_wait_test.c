/* Requests that wait for a group are woken by whatever lets it go. On one node whose disk stands
 * still, the record of a classic group is on its way for as long as the test wants, and a
 * heartbeat of KIP-848 waits for it. Then the record loses its meaning without being committed (its
 * member leaves, another one joins, it is too late), or the group comes to live elsewhere. The box
 * looks after every turn whether an op waits on a condition that holds. */
#include "broker/group/group_place.h"
#include "tests/support/raw_client.h"
#include "wire/consumer_group_heartbeat.h"
#include "wire/delete_groups.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/offset_commit.h"
#include "wire/sync_group.h"

#include <stdio.h>
#include <string.h>

enum { STALL_MS = 5000, LOOK_MS = 200, GROWN = 103 };

static struct node_box box;
static struct raw_client classic; /* whose record is on its way */
static struct raw_client waiting;
static struct raw_client third;
static char member[128];

/* Of t: partitions 0 and 1. */
static const uint8_t subscribed[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};
static const uint8_t assigned[] = {0, 0, 0, 0, 0, 1, 0, 1, 't',  0,    0,    0,   2,
                                   0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff};

static struct coordinator *groups(void)
{
    return &box.node[0].node->groups;
}

static void begin(const char *settings)
{
    static char text[512];

    (void)snprintf(text, sizeof text,
                   "offsets.topic.num.partitions=2\ngroup.initial.rebalance.delay.ms=0\n"
                   "group.consumer.migration.policy=bidirectional\n%s",
                   settings);
    node_box_init(&box, 5, "a", text);
    node_box_start_all(&box);
    raw_open(&classic, &box, 0, NODE_BOX_PORT);
    raw_open(&waiting, &box, 0, NODE_BOX_PORT);
    raw_open(&third, &box, 0, NODE_BOX_PORT);
    raw_create_topic(&classic, "t", 2, 1);
    raw_until_coordinated(&classic, "g");
    member[0] = '\0';
}

static void end(void)
{
    raw_close(&classic);
    raw_close(&waiting);
    raw_close(&third);
    node_box_stop(&box, 0, 90000);
    node_box_deinit(&box);
}

static void stall(void)
{
    sim_stall_disk(box.node[0].world, box.sim->now_ns + (int64_t)STALL_MS * 1000000);
}

static void join_ask(struct raw_client *raw, struct str id, struct str instance)
{
    struct join_group_request_protocol protocol;
    struct join_group_request request;

    join_group_request_default(&request);
    join_group_request_protocol_default(&protocol);
    protocol.name = STR("range");
    protocol.metadata = (struct bytes){subscribed, sizeof subscribed};
    request.group_id = STR("g");
    request.session_timeout_ms = 30000;
    request.rebalance_timeout_ms = 30000;
    request.member_id = id;
    request.group_instance_id = instance;
    request.protocol_type = STR("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    raw_request(raw, API_JOIN_GROUP, 5, &request);
}

static int32_t join(struct str instance)
{
    struct join_group_response response;

    join_ask(&classic, str_of(member), instance);
    raw_response(&classic, API_JOIN_GROUP, 5, &response);
    assert_true(response.member_id.length < sizeof member);
    memcpy(member, response.member_id.data, response.member_id.length);
    member[response.member_id.length] = '\0';
    if (response.error_code == ERR_MEMBER_ID_REQUIRED) return join(instance);
    assert_int_equal(response.error_code, 0);
    return response.generation_id;
}

static void sync_ask(int32_t generation, struct str instance)
{
    struct sync_group_request_assignment assignment;
    struct sync_group_request request;

    sync_group_request_default(&request);
    sync_group_request_assignment_default(&assignment);
    assignment.member_id = str_of(member);
    assignment.assignment = (struct bytes){assigned, sizeof assigned};
    request.group_id = STR("g");
    request.generation_id = generation;
    request.member_id = str_of(member);
    request.group_instance_id = instance;
    request.assignments = &assignment;
    request.assignments_count = 1;
    raw_request(&classic, API_SYNC_GROUP, 3, &request);
}

static int16_t sync_answer(void)
{
    struct sync_group_response response;

    raw_response(&classic, API_SYNC_GROUP, 3, &response);
    return response.error_code;
}

static void heartbeat_ask(void)
{
    static struct str topic = {"t", 1};
    struct consumer_group_heartbeat_request request;

    consumer_group_heartbeat_request_default(&request);
    request.group_id = STR("g");
    request.member_id = STR("AAAAAAAAAAAAAAAAAAAAAQ");
    request.rebalance_timeout_ms = 30000;
    request.subscribed_topic_names = &topic;
    request.subscribed_topic_names_count = 1;
    request.subscribed_topic_names_null = false;
    request.topic_partitions_null = false;
    raw_request(&waiting, API_CONSUMER_GROUP_HEARTBEAT, 0, &request);
}

static int16_t heartbeat_answer(void)
{
    struct consumer_group_heartbeat_response response;

    raw_response(&waiting, API_CONSUMER_GROUP_HEARTBEAT, 0, &response);
    return response.error_code;
}

static int16_t leave(struct str id, struct str instance)
{
    struct leave_group_request_member one;
    struct leave_group_request request;
    struct leave_group_response response;

    leave_group_request_default(&request);
    leave_group_request_member_default(&one);
    one.member_id = id;
    one.group_instance_id = instance;
    request.group_id = STR("g");
    request.members = &one;
    request.members_count = 1;
    raw_ask(&third, API_LEAVE_GROUP, 3, &request, &response);
    assert_int_equal(response.error_code, 0);
    return response.members[0].error_code;
}

static struct coordinator_shard *shard(void)
{
    struct coordinator_shard *found = NULL;

    assert_int_equal(coordinator_find(groups(), STR("g"), &found), ERR_NONE);
    return found;
}

static bool held(void)
{
    return !coordinator_settled(groups(), STR("g"), shard()->load);
}

/* The leader's assignment is on its way, and a heartbeat waits for it. */
static void wait_for_a_sync(void)
{
    int32_t generation = join(STR_NULL);

    stall();
    sync_ask(generation, STR_NULL);
    node_box_run_ms(&box, LOOK_MS);
    heartbeat_ask();
    node_box_run_ms(&box, LOOK_MS);
    assert_true(held());
}

static void a_member_that_leaves_lets_its_group_go(void **state)
{
    (void)state;
    begin("");
    wait_for_a_sync();
    assert_int_equal(leave(str_of(member), STR_NULL), 0);
    assert_int_equal(sync_answer(), ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(heartbeat_answer(), 0);
    end();
}

static void a_member_that_joins_lets_its_group_go(void **state)
{
    struct join_group_response response;

    (void)state;
    begin("");
    wait_for_a_sync();
    join_ask(&third, STR(""), STR("other"));
    assert_int_equal(sync_answer(), ERR_REBALANCE_IN_PROGRESS);
    node_box_run_ms(&box, LOOK_MS);
    assert_int_equal(heartbeat_answer(), 0);
    raw_response(&third, API_JOIN_GROUP, 5, &response);
    assert_int_equal(response.error_code, ERR_REBALANCE_IN_PROGRESS); /* it was taken over */
    end();
}

static void a_record_that_is_too_late_lets_its_group_go(void **state)
{
    (void)state;
    begin("offsets.commit.timeout.ms=1000\n");
    wait_for_a_sync();
    assert_int_equal(sync_answer(), ERR_COORDINATOR_NOT_AVAILABLE);
    node_box_run_ms(&box, STALL_MS);
    assert_int_equal(heartbeat_answer(), ERR_COORDINATOR_NOT_AVAILABLE); /* too late as well */
    end();
}

static void a_static_member_that_is_taken_away_lets_its_group_go(void **state)
{
    struct join_group_response response;

    (void)state;
    begin("");
    sync_ask(join(STR("i")), STR("i"));
    assert_int_equal(sync_answer(), 0);
    stall();
    join_ask(&classic, STR(""), STR("i")); /* it comes back: the record has its new id */
    node_box_run_ms(&box, LOOK_MS);
    heartbeat_ask();
    node_box_run_ms(&box, LOOK_MS);
    assert_true(held());
    assert_int_equal(leave(STR(""), STR("i")), 0);
    raw_response(&classic, API_JOIN_GROUP, 5, &response);
    assert_int_equal(response.error_code, ERR_UNKNOWN_MEMBER_ID);
    assert_int_equal(heartbeat_answer(), 0);
    end();
}

/* Its place is another one now. Partitions that are only counted lead nowhere. */
static void grow(void)
{
    struct node *node = box.node[0].node;
    struct image_topic *topic = image_topic_by_name(&node->loader.image, STR(COORDINATOR_TOPIC));

    assert_int_equal(group_place(STR("g"), 2), 1);
    assert_int_equal(group_place(STR("g"), GROWN), 0);
    topic->partitions_count = GROWN;
    coordinator_apply(groups(), &node->loader.image);
    topic->partitions_count = 2;
    assert_null(op_loop_probe(&node->env.loop));
}

static void a_group_that_comes_to_live_elsewhere_is_not_waited_for(void **state)
{
    uint64_t load;

    (void)state;
    begin("");
    wait_for_a_sync();
    load = shard()->load;
    grow();
    assert_true(shard()->load != load);
    assert_int_equal(heartbeat_answer(), ERR_NOT_COORDINATOR);
    assert_int_equal(sync_answer(), 0); /* what was begun ends where it was */
    end();
}

/* The other shard has the same epoch, and never had as many writes. */
static void a_deletion_does_not_take_another_shard_for_its_own(void **state)
{
    static struct str group = {"g", 1};
    struct offset_commit_request_partition part;
    struct offset_commit_request_topic topic;
    struct offset_commit_request commit;
    struct offset_commit_response committed;
    struct delete_groups_request request;
    struct delete_groups_response response;
    int32_t epoch;

    (void)state;
    begin("");
    offset_commit_request_default(&commit);
    offset_commit_request_topic_default(&topic);
    offset_commit_request_partition_default(&part);
    part.committed_offset = 1;
    topic.name = STR("t");
    topic.partitions = &part;
    topic.partitions_count = 1;
    commit.group_id = STR("g");
    commit.generation_id_or_member_epoch = -1;
    commit.topics = &topic;
    commit.topics_count = 1;
    raw_ask(&classic, API_OFFSET_COMMIT, 7, &commit, &committed);
    assert_int_equal(committed.topics[0].partitions[0].error_code, 0);
    stall();
    raw_request(&classic, API_OFFSET_COMMIT, 7, &commit);
    node_box_run_ms(&box, LOOK_MS);
    delete_groups_request_default(&request);
    request.groups_names = &group;
    request.groups_names_count = 1;
    raw_request(&waiting, API_DELETE_GROUPS, 1, &request);
    node_box_run_ms(&box, LOOK_MS);
    epoch = shard()->epoch;
    grow();
    assert_int_equal(shard()->epoch, epoch);
    assert_true(shard()->ended < 2);
    raw_response(&waiting, API_DELETE_GROUPS, 1, &response);
    assert_int_equal(response.results[0].error_code, ERR_NOT_COORDINATOR);
    raw_response(&classic, API_OFFSET_COMMIT, 7, &committed);
    assert_int_equal(committed.topics[0].partitions[0].error_code, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_leaves_lets_its_group_go),
        cmocka_unit_test(a_member_that_joins_lets_its_group_go),
        cmocka_unit_test(a_record_that_is_too_late_lets_its_group_go),
        cmocka_unit_test(a_static_member_that_is_taken_away_lets_its_group_go),
        cmocka_unit_test(a_group_that_comes_to_live_elsewhere_is_not_waited_for),
        cmocka_unit_test(a_deletion_does_not_take_another_shard_for_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
