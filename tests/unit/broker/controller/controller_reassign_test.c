/* Proves: reassignments (KIP-455) from their begin to their end or back, under other targets and
 * other leaders; and brokers that are unregistered. */
#include "tests/support/control_rig.h"

#include <string.h>

/* The leader of "t" tells this ISR. */
static enum err tell_isr(struct control_rig *f, const int32_t *ids, uint32_t count)
{
    const struct image_topic *topic = image_topic_by_name(&f->controller.image, STR("t"));
    int32_t leader = topic->partitions[0].leader;
    struct alter_partition_request_broker_state isr[8];
    struct alter_partition_request_partition in = {
        .leader_epoch = topic->partitions[0].leader_epoch,
        .partition_epoch = topic->partitions[0].partition_epoch,
        .new_isr_with_epochs = isr,
        .new_isr_with_epochs_count = count};
    struct alter_partition_request_topic in_topic = {
        .topic_id = topic->id, .partitions = &in, .partitions_count = 1};
    struct alter_partition_request request = {.broker_id = leader,
                                              .broker_epoch = control_epoch_of(f, leader),
                                              .topics = &in_topic,
                                              .topics_count = 1};

    for (uint32_t i = 0; i < count; i++)
        isr[i] = (struct alter_partition_request_broker_state){ids[i], control_epoch_of(f, ids[i])};
    control_submit(f, (struct controller_call){.api = CONTROLLER_ALTER_PARTITION,
                                               .request.alter_partition = &request,
                                               .response.alter_partition = &f->altered,
                                               .version = 3});
    control_commit(f);
    return (enum err)f->altered.topics[0].partitions[0].error_code;
}

#define TELL_ISR(f, ...) \
    tell_isr((f), (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* No ids: the reassignment is cancelled. */
static enum err reassign(struct control_rig *f, const char *name, int32_t index, int32_t *ids,
                         uint32_t count)
{
    struct alter_partition_reassignments_request_partition in = {.partition_index = index,
                                                                 .replicas = ids,
                                                                 .replicas_count = count,
                                                                 .replicas_null = ids == NULL};
    struct alter_partition_reassignments_request_topic topic = {str_of(name), &in, 1};
    struct alter_partition_reassignments_request request = {
        .timeout_ms = 1000, .topics = &topic, .topics_count = 1};

    control_submit(f, (struct controller_call){.api = CONTROLLER_ALTER_REASSIGNMENTS,
                                               .request.alter_reassignments = &request,
                                               .response.alter_reassignments = &f->reassigned});
    control_commit(f);
    assert_int_equal(f->reassigned.error_code, ERR_NONE);
    assert_true(str_equal(f->reassigned.responses[0].name, str_of(name)));
    assert_int_equal(f->reassigned.responses[0].partitions[0].partition_index, index);
    return (enum err)f->reassigned.responses[0].partitions[0].error_code;
}

#define REASSIGN(f, ...)                            \
    reassign((f), "t", 0, (int32_t[]){__VA_ARGS__}, \
             sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void expect_ids(struct image_ids ids, const int32_t *expected, uint32_t count)
{
    assert_int_equal(ids.count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(ids.ids[i], expected[i]);
}

#define EXPECT_IDS(ids, ...) \
    expect_ids((ids), (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* A topic "t" of one partition with these replicas. */
static void create_at(struct control_rig *f, int32_t *ids, uint32_t count)
{
    struct create_topics_request_assignment assignment = {0, ids, count};
    struct create_topics_request_topic topic = {.name = STR("t"),
                                                .num_partitions = -1,
                                                .replication_factor = -1,
                                                .assignments = &assignment,
                                                .assignments_count = 1};
    struct create_topics_request request = {.topics = &topic, .topics_count = 1};

    control_submit(f, (struct controller_call){.api = CONTROLLER_CREATE_TOPICS,
                                               .request.create_topics = &request,
                                               .response.create_topics = &f->created,
                                               .version = 7});
    control_commit(f);
    assert_int_equal(f->created.topics[0].error_code, ERR_NONE);
}

#define CREATE_AT(f, ...) \
    create_at((f), (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* Of "t", or of all. */
static const struct list_partition_reassignments_response *list_ongoing(struct control_rig *f,
                                                                        bool all)
{
    int32_t indexes[] = {0, 7};
    struct list_partition_reassignments_request_topic topics[] = {{STR("t"), indexes, 2},
                                                                  {STR("unknown"), indexes, 2}};
    struct list_partition_reassignments_request request = {
        .timeout_ms = 1000, .topics = topics, .topics_count = all ? 0 : 2, .topics_null = all};

    control_submit(f, (struct controller_call){.api = CONTROLLER_LIST_REASSIGNMENTS,
                                               .request.list_reassignments = &request,
                                               .response.list_reassignments = &f->reassigning});
    control_commit(f);
    assert_int_equal(f->reassigning.error_code, ERR_NONE);
    return &f->reassigning;
}

static void a_reassignment_is_listed_until_all_targets_are_in_sync(void **state)
{
    const struct list_partition_reassignments_response *list;
    struct control_rig *f = *state;

    control_cluster(f, 5);
    CREATE_AT(f, 1, 2, 3);
    assert_int_equal(list_ongoing(f, true)->topics_count, 0);
    assert_int_equal(REASSIGN(f, 4, 2, 5), ERR_NONE);
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 4, 2, 5, 1, 3);
    EXPECT_IDS(image_adding(control_part(f, "t", 0)), 4, 5);
    EXPECT_IDS(image_removing(control_part(f, "t", 0)), 1, 3);
    assert_int_equal(control_part(f, "t", 0)->leader_epoch,
                     0); /* the leader stays, so does its epoch */
    for (int all = 0; all <= 1; all++) {
        list = list_ongoing(f, all == 1);
        assert_int_equal(list->topics_count, 1);
        assert_int_equal(list->topics[0].partitions_count, 1);
        assert_int_equal(list->topics[0].partitions[0].replicas_count, 5);
        assert_int_equal(list->topics[0].partitions[0].adding_replicas[1], 5);
        assert_int_equal(list->topics[0].partitions[0].removing_replicas[0], 1);
    }
    assert_int_equal(TELL_ISR(f, 1, 2, 3, 4), ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->removing_count, 2);
    control_lose(f); /* another controller goes on with it */
    control_lead(f, 2);
    control_commit(f);
    assert_int_equal(TELL_ISR(f, 1, 2, 3, 4, 5), ERR_NEW_LEADER_ELECTED);
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 4, 2, 5);
    EXPECT_IDS(image_isr(control_part(f, "t", 0)), 2, 4, 5);
    assert_int_equal(control_part(f, "t", 0)->leader, 4);
    assert_int_equal(control_part(f, "t", 0)->leader_epoch, 1);
    assert_int_equal(
        control_part(f, "t", 0)->adding_count + control_part(f, "t", 0)->removing_count, 0);
    assert_int_equal(list_ongoing(f, true)->topics_count, 0);
}

static void a_reassignment_that_cannot_be_is_refused_with_kafkas_codes(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 3);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 1, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(REASSIGN(f, 1, 9), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(REASSIGN(f, 1, -1), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign(f, "t", 0, (int32_t[]){0}, 0), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign(f, "t", 1, (int32_t[]){1}, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign(f, "t", -1, (int32_t[]){1}, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign(f, "u", 0, (int32_t[]){1}, 1), ERR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(control_part(f, "t", 0)->partition_epoch, 0);
    assert_int_equal(REASSIGN(f, 1, 2), ERR_NONE); /* as it is */
    assert_int_equal(control_part(f, "t", 0)->partition_epoch, 0);
    assert_int_equal(REASSIGN(f, 2, 1), ERR_NONE); /* another order: nobody comes or goes */
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 2, 1);
    assert_int_equal(control_part(f, "t", 0)->leader_epoch, 0);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NO_REASSIGNMENT_IN_PROGRESS);
}

static void fewer_replicas_wait_for_those_that_stay(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 3);
    CREATE_AT(f, 1, 2, 3);
    assert_int_equal(TELL_ISR(f, 1, 3), ERR_NONE);
    assert_int_equal(REASSIGN(f, 2), ERR_NONE);
    EXPECT_IDS(image_removing(control_part(f, "t", 0)), 1, 3); /* 2 is not in sync */
    assert_int_equal(TELL_ISR(f, 1, 2, 3), ERR_NEW_LEADER_ELECTED);
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 2);
    EXPECT_IDS(image_isr(control_part(f, "t", 0)), 2);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
    assert_int_equal(REASSIGN(f, 2, 1), ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->adding_count, 1);
    assert_int_equal(REASSIGN(f, 2), ERR_NONE); /* back, by naming it: over at once */
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 2);
    assert_int_equal(
        control_part(f, "t", 0)->adding_count + control_part(f, "t", 0)->removing_count, 0);
    assert_int_equal(control_part(f, "t", 0)->leader_epoch, 2); /* fences out who was being added */
}

static void a_cancelled_reassignment_takes_those_being_added_out(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 4);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 3, 4), ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1, 2, 3), ERR_NONE);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NONE);
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 1, 2);
    EXPECT_IDS(image_isr(control_part(f, "t", 0)), 1, 2);
    assert_int_equal(
        control_part(f, "t", 0)->adding_count + control_part(f, "t", 0)->removing_count, 0);
    assert_int_equal(control_part(f, "t", 0)->leader, 1);
    assert_int_equal(control_part(f, "t", 0)->leader_epoch, 1);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NO_REASSIGNMENT_IN_PROGRESS);
}

static void going_back_is_refused_when_only_the_added_have_the_data(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 3);
    CREATE_AT(f, 1);
    assert_int_equal(REASSIGN(f, 2, 3), ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1, 2), ERR_NONE);
    control_fence(f, 1);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
    EXPECT_IDS(image_isr(control_part(f, "t", 0)), 2);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(control_part(f, "t", 0)->adding_count, 2);
    assert_int_equal(control_increment(f, IMAGE_RESOURCE_TOPIC, "t",
                                       "unclean.leader.election.enable", 0, STR("true")),
                     ERR_NONE);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(control_part(f, "t", 0)->leader, 2); /* 1 is fenced: nobody could lead */
    control_beat(f, 1);
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NONE);
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 1);
    assert_int_equal(control_part(f, "t", 0)->leader, 1);
    assert_int_equal(control_part(f, "t", 0)->recovery, IMAGE_RECOVERING); /* it is told: unclean */
}

static void another_target_keeps_an_added_leader_until_the_end_f64(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 5);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 3, 4), ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1, 2, 3), ERR_NONE);
    assert_int_equal(control_elect(f, 0, "t", 0), ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->leader, 3);
    assert_int_equal(REASSIGN(f, 1, 5), ERR_NONE);
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 1, 5, 3, 4, 2);
    EXPECT_IDS(image_adding(control_part(f, "t", 0)), 5);
    EXPECT_IDS(image_removing(control_part(f, "t", 0)), 3, 4, 2);
    assert_int_equal(control_part(f, "t", 0)->leader, 3);
    assert_int_equal(TELL_ISR(f, 1, 2, 3, 5), ERR_NEW_LEADER_ELECTED);
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 1, 5);
    EXPECT_IDS(image_isr(control_part(f, "t", 0)), 1, 5);
    assert_int_equal(control_part(f, "t", 0)->leader, 1);
}

static void who_was_being_added_stays_so_under_another_target(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 5);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 3, 4), ERR_NONE);
    assert_int_equal(REASSIGN(f, 3, 5), ERR_NONE);
    EXPECT_IDS(image_adding(control_part(f, "t", 0)), 3, 5);
    assert_int_equal(TELL_ISR(f, 1, 2, 5), ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->adding_count, 2); /* 3 is still to come */
    assert_int_equal(reassign(f, "t", 0, NULL, 0), ERR_NONE);
    assert_false(image_ids_contain(image_replicas(control_part(f, "t", 0)), 3));
}

static void who_was_removed_is_not_eligible_when_it_is_added_again_f27(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 5);
    CREATE_AT(f, 1, 2, 3, 4);
    assert_int_equal(
        control_increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("3")),
        ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1), ERR_NONE);
    EXPECT_IDS(image_elr(control_part(f, "t", 0)), 2, 3, 4);
    assert_int_equal(REASSIGN(f, 1, 5, 3, 4), ERR_NONE);
    assert_int_equal(TELL_ISR(f, 1, 5), ERR_NONE);
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 1, 5, 3, 4);
    EXPECT_IDS(image_elr(control_part(f, "t", 0)), 3, 4);
    assert_int_equal(REASSIGN(f, 1, 2, 3, 4), ERR_NONE);
    assert_false(image_ids_contain(image_elr(control_part(f, "t", 0)), 2));
}

static void new_partitions_have_the_factor_that_is_wanted(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 4);
    CREATE_AT(f, 1, 2);
    assert_int_equal(REASSIGN(f, 3, 4), ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->replicas_count, 4);
    assert_int_equal(control_grow(f, "t", 2, NULL, 0), ERR_NONE);
    assert_int_equal(control_part(f, "t", 1)->replicas_count, 2);
}

static enum err unregister(struct control_rig *f, int32_t id)
{
    struct unregister_broker_request request = {.broker_id = id};

    control_submit(f, (struct controller_call){.api = CONTROLLER_UNREGISTER_BROKER,
                                               .request.unregister_broker = &request,
                                               .response.unregister_broker = &f->unregistered});
    control_commit(f);
    return (enum err)f->unregistered.error_code;
}

static void a_broker_that_is_unregistered_is_in_no_isr_and_may_come_again(void **state)
{
    struct control_rig *f = *state;
    int64_t epoch;

    control_cluster(f, 3);
    CREATE_AT(f, 1, 2, 3);
    assert_int_equal(unregister(f, 9), ERR_BROKER_ID_NOT_REGISTERED);
    epoch = control_epoch_of(f, 1);
    assert_int_equal(unregister(f, 1), ERR_NONE);
    assert_null(image_broker(&f->controller.image, 1));
    EXPECT_IDS(image_replicas(control_part(f, "t", 0)), 1, 2, 3);
    EXPECT_IDS(image_isr(control_part(f, "t", 0)), 2, 3);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
    assert_int_equal(unregister(f, 1), ERR_BROKER_ID_NOT_REGISTERED);
    control_send_beat(f, 1, epoch, f->loader.image.last_offset, false);
    assert_int_equal(f->beat.error_code, ERR_STALE_BROKER_EPOCH);
    assert_int_equal(REASSIGN(f, 2, 1), ERR_INVALID_REPLICA_ASSIGNMENT);
    control_join(f, 1, 77);
    control_beat(f, 1);
    assert_true(control_epoch_of(f, 1) > epoch);
    assert_int_equal(TELL_ISR(f, 2, 3, 1), ERR_NONE);
}

static void who_is_unregistered_is_eligible_no_more(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 2);
    CREATE_AT(f, 1, 2);
    assert_int_equal(
        control_increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("2")),
        ERR_NONE);
    control_fence(f, 2);
    EXPECT_IDS(image_elr(control_part(f, "t", 0)), 2);
    assert_int_equal(unregister(f, 2), ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 0);
    control_join(f, 2, 55); /* nobody knows what it has lost */
    control_beat(f, 2);
    control_fence(f, 1);
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(a_reassignment_is_listed_until_all_targets_are_in_sync),
        CONTROL_TEST(a_reassignment_that_cannot_be_is_refused_with_kafkas_codes),
        CONTROL_TEST(fewer_replicas_wait_for_those_that_stay),
        CONTROL_TEST(a_cancelled_reassignment_takes_those_being_added_out),
        CONTROL_TEST(going_back_is_refused_when_only_the_added_have_the_data),
        CONTROL_TEST(another_target_keeps_an_added_leader_until_the_end_f64),
        CONTROL_TEST(who_was_being_added_stays_so_under_another_target),
        CONTROL_TEST(who_was_removed_is_not_eligible_when_it_is_added_again_f27),
        CONTROL_TEST(new_partitions_have_the_factor_that_is_wanted),
        CONTROL_TEST(a_broker_that_is_unregistered_is_in_no_isr_and_may_come_again),
        CONTROL_TEST(who_is_unregistered_is_eligible_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
