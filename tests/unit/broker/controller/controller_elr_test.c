/* Proves: who is eligible to lead though it has left the ISR (KIP-966), and what a broker must
 * prove to stay so. */
#include "tests/support/control_rig.h"

/* Three brokers, min ISR 2, one partition; everybody has gone: `last` last. */
static void all_gone(struct control_rig *f, int32_t first, int32_t second, int32_t last)
{
    control_cluster(f, 3);
    assert_int_equal(control_create(f, "t", 1, 3), ERR_NONE);
    assert_int_equal(
        control_increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("2")),
        ERR_NONE);
    control_fence(f, first);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 0);
    control_fence(f, second);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 1);
    control_fence(f, last);
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    assert_int_equal(control_part(f, "t", 0)->isr_count, 0);
    assert_true(image_ids_contain(image_elr(control_part(f, "t", 0)), second));
    assert_true(image_ids_contain(image_elr(control_part(f, "t", 0)), last));
    assert_int_equal(image_last_known_elr(control_part(f, "t", 0)).ids[0], last);
    control_pass_ms(
        f, CONTROL_SESSION_MS); /* their leases are over: others may register in their place */
    control_commit(f);
}

/* A new process of `id`; its machine has run on (`kept`), or it may have lost data. */
static void comes_back(struct control_rig *f, int32_t id, uint8_t incarnation, bool kept)
{
    f->previous_epoch = kept ? control_epoch_of(f, id) : -1;
    control_join(f, id, incarnation);
    control_beat(f, id);
    assert_false(image_broker(&f->controller.image, id)->fenced);
}

static void who_may_have_lost_data_is_eligible_no_more(void **state)
{
    struct control_rig *f = *state;

    all_gone(f, 1, 2, 3);
    comes_back(f, 3, 33, false);
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 1);
    comes_back(f, 1, 11, true); /* was not in the ISR when it fell below min ISR */
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    comes_back(f, 2, 22, true);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
    assert_int_equal(control_part(f, "t", 0)->isr_count, 1);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 0);
    assert_int_equal(control_part(f, "t", 0)->recovery, IMAGE_RECOVERED);
}

static void an_epoch_of_an_earlier_life_proves_nothing(void **state)
{
    struct control_rig *f = *state;

    all_gone(f, 1, 2, 3);
    f->previous_epoch = control_epoch_of(f, 2) - 1;
    control_join(f, 2, 22);
    control_beat(f, 2);
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    assert_false(image_ids_contain(image_elr(control_part(f, "t", 0)), 2));
}

/* A process that registers, telling of `epoch`, and ends before anything else. */
static void comes_and_dies(struct control_rig *f, int32_t id, uint8_t incarnation, int64_t epoch)
{
    f->previous_epoch = epoch;
    control_join(f, id, incarnation);
    assert_true(image_broker(&f->controller.image, id)->fenced);
    control_pass_ms(f, CONTROL_SESSION_MS);
    control_commit(f);
}

/* Its directory tells of the life before until it is written in the new one. */
static void who_died_before_its_file_told_of_its_registration_stays_eligible(void **state)
{
    struct control_rig *f = *state;
    int64_t epoch;

    all_gone(f, 1, 2, 3);
    epoch = control_epoch_of(f, 2);
    comes_and_dies(f, 2, 22, epoch);
    assert_true(control_epoch_of(f, 2) > epoch);
    comes_and_dies(f, 2, 23, epoch);
    comes_and_dies(f, 2, 24, epoch);
    assert_true(image_ids_contain(image_elr(control_part(f, "t", 0)), 2));
    epoch = control_epoch_of(f, 2); /* written at last, and killed all the same */
    comes_and_dies(f, 2, 25, epoch);
    f->previous_epoch = epoch;
    control_join(f, 2, 26);
    control_beat(f, 2);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
    assert_int_equal(control_part(f, "t", 0)->recovery, IMAGE_RECOVERED);
}

static void an_earlier_epoch_proves_nothing_once_the_broker_was_unfenced(void **state)
{
    struct control_rig *f = *state;
    int64_t epoch;

    all_gone(f, 1, 2, 3);
    epoch = control_epoch_of(f, 2);
    comes_back(f, 2, 22, true);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
    control_fence(f, 2);
    control_pass_ms(f, CONTROL_SESSION_MS);
    control_commit(f);
    assert_true(image_ids_contain(image_elr(control_part(f, "t", 0)), 2));
    comes_and_dies(f, 2, 23, epoch);
    assert_false(image_ids_contain(image_elr(control_part(f, "t", 0)), 2));
}

static void an_earlier_epoch_proves_nothing_after_a_life_that_may_have_lost_data(void **state)
{
    struct control_rig *f = *state;
    int64_t epoch;

    all_gone(f, 1, 2, 3);
    epoch = control_epoch_of(f, 2);
    comes_and_dies(f, 2, 22, -1);
    assert_int_equal(image_broker(&f->controller.image, 2)->kept_epoch, -1);
    comes_and_dies(f, 2, 23, epoch);
    assert_int_equal(image_broker(&f->controller.image, 2)->kept_epoch, -1);
    comes_and_dies(f, 3, 33, -1);
    comes_and_dies(f, 3, 34, -1); /* that nothing is known is no proof */
    assert_int_equal(control_part(f, "t", 0)->elr_count, 0);
}

static void the_eligible_lead_only_when_they_are_there(void **state)
{
    struct control_rig *f = *state;

    all_gone(f, 1, 2, 3);
    f->previous_epoch = control_epoch_of(f, 2);
    control_join(f, 2, 22); /* registered, fenced */
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    comes_back(f, 1, 11, true);
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    control_beat(f, 2);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
}

static void the_last_leader_leads_when_nobody_is_eligible(void **state)
{
    struct control_rig *f = *state;

    all_gone(f, 1, 2, 3);
    comes_back(f, 2, 22, false);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 1);
    f->previous_epoch = -1;
    control_join(f, 3, 33);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 0);
    assert_int_equal(control_part(f, "t", 0)->leader,
                     IMAGE_NO_LEADER); /* it is fenced (KAFKA-19522) */
    control_beat(f, 3);
    assert_int_equal(control_part(f, "t", 0)->leader, 3);
    assert_int_equal(control_part(f, "t", 0)->recovery, IMAGE_RECOVERING);
    assert_int_equal(control_part(f, "t", 0)->last_known_elr_count, 0);
}

static void min_isr_lowered_ends_eligibility_and_raised_moves_the_partition_epoch(void **state)
{
    struct control_rig *f = *state;
    int32_t epoch;

    control_cluster(f, 3);
    assert_int_equal(control_create(f, "t", 1, 3), ERR_NONE);
    epoch = control_part(f, "t", 0)->partition_epoch;
    assert_int_equal(
        control_increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("2")),
        ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->partition_epoch, epoch + 1);
    assert_int_equal(control_part(f, "t", 0)->isr_count, 3);
    control_fence(f, 1);
    control_fence(f, 2);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 1);
    assert_int_equal(
        control_increment(f, IMAGE_RESOURCE_BROKER, "", "min.insync.replicas", 0, STR("2")),
        ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 1); /* the topic has a value of its own */
    assert_int_equal(
        control_increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("1")),
        ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 0);
    assert_int_equal(control_part(f, "t", 0)->leader, 3);
    /* Brokers and controllers go by this one: it stays. */
    assert_int_equal(
        control_increment(f, IMAGE_RESOURCE_BROKER, "", "min.insync.replicas", 1, STR_NULL),
        ERR_INVALID_CONFIG);
}

static void a_broker_that_knows_no_eligible_replicas_is_refused(void **state)
{
    struct control_rig *f = *state;

    control_lead(f, 1);
    control_commit(f);
    f->without_elr = true;
    control_send_register(f, 5, 1);
    control_commit(f);
    assert_int_equal(f->registered.error_code, ERR_UNSUPPORTED_VERSION);
}

/* Broker `id` can do without its replica of t-0: what became of it. */
static enum err gives_up(struct control_rig *f, int32_t id)
{
    struct assign_replicas_to_dirs_request_partition part = {.partition_index = 0};
    struct assign_replicas_to_dirs_request_topic topic = {.partitions = &part,
                                                          .partitions_count = 1};
    struct assign_replicas_to_dirs_request_directory dir = {.topics = &topic, .topics_count = 1};
    struct assign_replicas_to_dirs_response response = {0};
    struct assign_replicas_to_dirs_request request;

    assign_replicas_to_dirs_request_default(&request);
    topic.topic_id = image_topic_by_name(&f->controller.image, STR("t"))->id;
    dir.id.bytes[15] = 1; /* DirectoryId.LOST */
    request.broker_id = id;
    request.broker_epoch = control_epoch_of(f, id);
    request.directories = &dir;
    request.directories_count = 1;
    control_submit(f, (struct controller_call){.api = CONTROLLER_ASSIGN_DIRS,
                                               .request.assign_dirs = &request,
                                               .response.assign_dirs = &response});
    control_commit(f);
    assert_int_equal(response.error_code, ERR_NONE);
    return (enum err)response.directories[0].topics[0].partitions[0].error_code;
}

/* Node 3 leads alone; node 2, eligible, was killed and has registered again. */
static void one_leads_and_one_is_back(struct control_rig *f)
{
    control_cluster(f, 3);
    assert_int_equal(control_create(f, "t", 1, 3), ERR_NONE);
    assert_int_equal(
        control_increment(f, IMAGE_RESOURCE_TOPIC, "t", "min.insync.replicas", 0, STR("2")),
        ERR_NONE);
    control_fence(f, 1);
    control_fence(f, 2);
    control_pass_ms(f, CONTROL_SESSION_MS / 2);
    control_beat(f, 3);
    control_pass_ms(f, CONTROL_SESSION_MS / 2 + 1000);
    f->previous_epoch = control_epoch_of(f, 2);
    control_join(f, 2, 22);
    assert_int_equal(control_part(f, "t", 0)->leader, 3);
    assert_true(image_ids_contain(image_elr(control_part(f, "t", 0)), 2));
}

/* Swarm-groups, seed 2000184: the leader was dead, its lease held still, and the one that had all
 * did not insist on leading, for the torn end of its log. */
static void nobody_steps_back_for_a_leader_that_may_be_dead(void **state)
{
    struct control_rig *f = *state;

    one_leads_and_one_is_back(f);
    assert_int_equal(gives_up(f, 2), ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    assert_true(image_ids_contain(image_elr(control_part(f, "t", 0)), 2));
    control_pass_ms(f, CONTROL_SESSION_MS);
    control_commit(f);
    assert_int_equal(control_part(f, "t", 0)->leader, IMAGE_NO_LEADER);
    control_beat(f, 2);
    assert_int_equal(control_part(f, "t", 0)->leader, 2);
    assert_int_equal(control_part(f, "t", 0)->recovery, IMAGE_RECOVERED);
}

static void the_eligible_step_back_for_a_leader_that_lives(void **state)
{
    struct control_rig *f = *state;

    one_leads_and_one_is_back(f);
    control_beat(f, 3);
    assert_int_equal(gives_up(f, 2), ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 0);
    assert_int_equal(control_part(f, "t", 0)->leader, 3);
}

static void a_lease_that_a_new_controller_grants_is_no_sign_of_life(void **state)
{
    struct control_rig *f = *state;

    one_leads_and_one_is_back(f);
    control_beat(f, 3);
    control_lose(f);
    control_lead(f, 2);
    control_commit(f);
    assert_int_equal(gives_up(f, 2), ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    control_beat(f, 3);
    assert_int_equal(gives_up(f, 2), ERR_NONE);
    assert_int_equal(control_part(f, "t", 0)->elr_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_TEST(who_may_have_lost_data_is_eligible_no_more),
        CONTROL_TEST(an_epoch_of_an_earlier_life_proves_nothing),
        CONTROL_TEST(who_died_before_its_file_told_of_its_registration_stays_eligible),
        CONTROL_TEST(an_earlier_epoch_proves_nothing_once_the_broker_was_unfenced),
        CONTROL_TEST(an_earlier_epoch_proves_nothing_after_a_life_that_may_have_lost_data),
        CONTROL_TEST(the_eligible_lead_only_when_they_are_there),
        CONTROL_TEST(the_last_leader_leads_when_nobody_is_eligible),
        CONTROL_TEST(min_isr_lowered_ends_eligibility_and_raised_moves_the_partition_epoch),
        CONTROL_TEST(a_broker_that_knows_no_eligible_replicas_is_refused),
        CONTROL_TEST(nobody_steps_back_for_a_leader_that_may_be_dead),
        CONTROL_TEST(the_eligible_step_back_for_a_leader_that_lives),
        CONTROL_TEST(a_lease_that_a_new_controller_grants_is_no_sign_of_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
