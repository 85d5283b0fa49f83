/* Proves: what a controller makes of brokers: registrations, leases, fencing, controlled
 * shutdown, and leaderships that go back to the preferred. */
#include "tests/support/control_rig.h"

static void a_broker_is_unfenced_when_it_has_applied_its_registration(void **state)
{
    struct control_rig *f = *state;
    int64_t epoch;

    control_lead(f, 1);
    control_commit(f);
    control_commit(f);
    epoch = control_join(f, 5, 1);
    assert_int_equal(epoch, f->end - 1); /* the offset of the record */
    assert_true(image_broker(&f->controller.image, 5)->fenced);
    control_send_beat(f, 5, epoch, epoch - 1, false);
    control_commit(f);
    assert_true(f->beat.is_fenced);
    assert_false(f->beat.is_caught_up);
    control_send_beat(f, 5, epoch, epoch, false);
    control_commit(f);
    assert_false(f->beat.is_fenced);
    assert_true(f->beat.is_caught_up);
    assert_false(image_broker(&f->loader.image, 5)->fenced);
}

static void registrations_that_cannot_be_are_refused(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 1);
    control_send_register(f, 1, 99); /* the first incarnation's lease is valid */
    control_commit(f);
    assert_int_equal(f->registered.error_code, ERR_DUPLICATE_BROKER_REGISTRATION);
    assert_int_equal(control_join(f, 1, 1),
                     control_epoch_of(f, 1)); /* the same incarnation amends */
    assert_false(image_broker(&f->controller.image, 1)->fenced);
    control_send_beat(f, 1, control_epoch_of(f, 1) + 1, 0, false);
    control_commit(f);
    assert_int_equal(f->beat.error_code, ERR_STALE_BROKER_EPOCH); /* R39 */
    control_send_beat(f, 4, 0, 0, false);
    control_commit(f);
    assert_int_equal(f->beat.error_code, ERR_STALE_BROKER_EPOCH);
    f->controller.config.cluster_id = STR("another");
    control_send_register(f, 2, 1);
    control_commit(f);
    assert_int_equal(f->registered.error_code, ERR_INCONSISTENT_CLUSTER_ID);
}

static void a_lease_that_ends_fences_one_broker_per_check(void **state)
{
    struct control_rig *f = *state;
    const struct image_partition *p;

    control_cluster(f, 3);
    assert_int_equal(control_create(f, "t", 3, 3), ERR_NONE);
    for (int32_t t = 0; t < 5; t++) { /* 1 goes on, 2 and 3 are silent */
        control_pass_ms(f, CONTROL_HEARTBEAT_MS);
        control_commit(f);
        control_beat(f, 1);
    }
    /* 10 s: both are stale; checks come every session/8. */
    assert_true(image_broker(&f->controller.image, 2)->fenced);
    assert_false(image_broker(&f->controller.image, 3)->fenced &&
                 f->env.loop.now_ns < (CONTROL_SESSION_MS + CONTROL_SESSION_MS / 8) * NS_PER_MS);
    control_pass_ms(f, CONTROL_SESSION_MS / 4);
    control_commit(f);
    assert_true(image_broker(&f->controller.image, 3)->fenced);
    for (int32_t i = 0; i < 3; i++) {
        p = control_part(f, "t", i);
        assert_int_equal(p->leader, 1);
        assert_int_equal(p->isr_count, 1); /* R15 */
    }
    /* The last one is eligible, and so is nobody else at min ISR 1. */
    control_pass_ms(f, CONTROL_SESSION_MS + CONTROL_SESSION_MS / 4);
    control_commit(f);
    p = control_part(f, "t", 0);
    assert_int_equal(p->leader, IMAGE_NO_LEADER);
    assert_int_equal(p->isr_count, 0);
    assert_int_equal(p->elr_count, 1);
    assert_int_equal(image_elr(p).ids[0], 1);
    /* It comes back and leads again; another one cannot. */
    control_beat(f, 2);
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    control_beat(f, 1);
    assert_int_equal(control_part(f, "t", 0)->leader, 1);
}

static void a_lease_is_over_when_it_ends_and_not_at_the_next_check(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 2);
    control_pass_ms(f, 500); /* between two checks */
    control_beat(f, 1);
    for (int32_t t = 0; t < CONTROL_SESSION_MS - 1000; t += 1000) {
        control_pass_ms(f, 1000);
        control_commit(f);
        control_beat(f, 2);
    }
    control_pass_ms(f, 999);
    assert_false(image_broker(&f->controller.image, 1)->fenced);
    control_pass_ms(f, 1);
    assert_true(image_broker(&f->controller.image, 1)->fenced);
    assert_false(image_broker(&f->controller.image, 2)->fenced);
}

static void two_stale_brokers_are_fenced_in_two_checks(void **state)
{
    struct control_rig *f = *state;
    uint32_t fenced = 0;

    control_cluster(f, 2);
    for (int32_t step = 0; step < 40 && fenced == 0; step++) {
        control_pass_ms(f, CONTROL_SESSION_MS / 8);
        for (int32_t id = 1; id <= 2; id++)
            fenced += image_broker(&f->controller.image, id)->fenced;
    }
    assert_int_equal(fenced, 1);
    control_pass_ms(f, CONTROL_SESSION_MS / 8);
    assert_true(image_broker(&f->controller.image, 1)->fenced);
    assert_true(image_broker(&f->controller.image, 2)->fenced);
}

static void a_new_controller_gives_three_heartbeats_to_those_it_has_not_heard(void **state)
{
    struct control_rig *f = *state;

    control_cluster(f, 2);
    control_lose(f);
    control_lead(f, 2);
    control_commit(f);
    control_pass_ms(f, CONTROL_HEARTBEAT_MS);
    control_commit(f);
    control_beat(f, 1);
    control_pass_ms(f, 2 * CONTROL_HEARTBEAT_MS + CONTROL_SESSION_MS / 8);
    control_commit(f);
    assert_true(image_broker(&f->controller.image, 2)->fenced);
    assert_false(image_broker(&f->controller.image, 1)->fenced); /* a whole session */
}

static void a_registration_without_fencing_leaves_the_isrs_kafka_18106(void **state)
{
    struct control_rig *f = *state;
    const struct image_partition *p;
    int64_t first;
    int32_t leader, other;

    control_cluster(f, 2);
    assert_int_equal(control_create(f, "t", 1, 2), ERR_NONE);
    leader = control_part(f, "t", 0)->leader;
    other = 3 - leader;
    first = control_epoch_of(f, leader);
    /* Its lease ends between two checks: gone for registration, not yet fenced. */
    control_send_beat(f, leader, first, f->end - 1, false);
    control_commit(f);
    f->controller.next_lease_check_ns = f->env.loop.now_ns + 2 * CONTROL_SESSION_MS * NS_PER_MS;
    control_pass_ms(f, CONTROL_SESSION_MS - 1000);
    control_commit(f);
    control_beat(f, other);
    control_pass_ms(f, 1000);
    assert_false(image_broker(&f->controller.image, leader)->fenced);
    control_send_register(f, leader, 77);
    control_commit(f);
    assert_int_equal(f->registered.error_code, ERR_NONE);
    assert_true(f->registered.broker_epoch > first);
    p = control_part(f, "t", 0);
    assert_int_equal(p->leader, other);
    assert_int_equal(p->isr_count, 1);
    assert_true(image_broker(&f->controller.image, leader)->fenced);
    /* the record of the registration is the last one, and its offset the epoch */
    assert_int_equal(f->registered.broker_epoch, f->end - 1);
    control_send_beat(f, leader, first, f->end, false);
    control_commit(f);
    assert_int_equal(f->beat.error_code, ERR_STALE_BROKER_EPOCH);
}

static void controlled_shutdown_waits_until_all_active_brokers_know(void **state)
{
    struct control_rig *f = *state;
    int64_t epoch;
    int32_t leader, other;

    control_cluster(f, 2);
    assert_int_equal(control_create(f, "t", 1, 2), ERR_NONE);
    leader = control_part(f, "t", 0)->leader;
    other = 3 - leader;
    epoch = control_epoch_of(f, leader);
    control_send_beat(f, leader, epoch, f->end - 1, true);
    control_commit(f);
    assert_false(f->beat.should_shut_down);
    assert_true(image_broker(&f->controller.image, leader)->in_controlled_shutdown);
    assert_int_equal(control_part(f, "t", 0)->leader, other);
    assert_int_equal(control_part(f, "t", 0)->isr_count, 1);
    control_send_beat(f, leader, epoch, f->end - 1, true); /* the other has not told yet */
    control_commit(f);
    assert_false(f->beat.should_shut_down);
    control_beat(f, other);
    control_send_beat(f, leader, epoch, f->end - 1, true);
    control_commit(f);
    assert_true(f->beat.should_shut_down);
    assert_true(image_broker(&f->controller.image, leader)->fenced);
    control_send_register(f, leader, 55); /* and need not wait for its old lease */
    control_commit(f);
    assert_int_equal(f->registered.error_code, ERR_NONE);
    assert_false(image_broker(&f->controller.image, leader)->in_controlled_shutdown);
}

/* The leader of "t" takes `id` into the ISR. */
static void expand(struct control_rig *f, int32_t leader, int32_t id)
{
    const struct image_topic *topic = image_topic_by_name(&f->controller.image, STR("t"));
    struct alter_partition_request_broker_state isr[] = {{leader, control_epoch_of(f, leader)},
                                                         {id, control_epoch_of(f, id)}};
    struct alter_partition_request_partition in = {
        .leader_epoch = topic->partitions[0].leader_epoch,
        .partition_epoch = topic->partitions[0].partition_epoch,
        .new_isr_with_epochs = isr,
        .new_isr_with_epochs_count = 2};
    struct alter_partition_request_topic in_topic = {
        .topic_id = topic->id, .partitions = &in, .partitions_count = 1};
    struct alter_partition_request request = {.broker_id = leader,
                                              .broker_epoch = control_epoch_of(f, leader),
                                              .topics = &in_topic,
                                              .topics_count = 1};

    control_submit(f, (struct controller_call){.api = CONTROLLER_ALTER_PARTITION,
                                               .request.alter_partition = &request,
                                               .response.alter_partition = &f->altered,
                                               .version = 3});
    control_commit(f);
    assert_int_equal(f->altered.topics[0].partitions[0].error_code, ERR_NONE);
}

static void the_balancer_gives_leadership_back_to_the_preferred(void **state)
{
    struct control_rig *f = *state;
    int32_t preferred, other;

    f->controller.config.balance_interval_ms = 3000;
    control_cluster(f, 2);
    assert_int_equal(control_create(f, "t", 1, 2), ERR_NONE);
    preferred = control_part(f, "t", 0)->ids[0];
    other = 3 - preferred;
    assert_int_equal(control_part(f, "t", 0)->leader, preferred);
    control_pass_ms(f, 3000);
    assert_int_equal(control_part(f, "t", 0)->partition_epoch,
                     0); /* nothing to do, nothing written */
    control_fence(f, preferred);
    assert_int_equal(control_part(f, "t", 0)->leader, other);
    control_beat(f, preferred);
    control_pass_ms(f, 3000);
    assert_int_equal(control_part(f, "t", 0)->leader, other); /* not in sync yet */
    expand(f, other, preferred);
    control_beat(f, preferred);
    control_beat(f, other);
    control_pass_ms(f, 3000);
    assert_int_equal(control_part(f, "t", 0)->leader, preferred);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(a_broker_is_unfenced_when_it_has_applied_its_registration),
        CONTROL_TEST(registrations_that_cannot_be_are_refused),
        CONTROL_TEST(a_lease_that_ends_fences_one_broker_per_check),
        CONTROL_TEST(a_lease_is_over_when_it_ends_and_not_at_the_next_check),
        CONTROL_TEST(two_stale_brokers_are_fenced_in_two_checks),
        CONTROL_TEST(a_new_controller_gives_three_heartbeats_to_those_it_has_not_heard),
        CONTROL_TEST(a_registration_without_fencing_leaves_the_isrs_kafka_18106),
        CONTROL_TEST(controlled_shutdown_waits_until_all_active_brokers_know),
        CONTROL_TEST(the_balancer_gives_leadership_back_to_the_preferred),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
