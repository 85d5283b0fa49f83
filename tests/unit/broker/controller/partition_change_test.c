/* Every rule of replication.md 9 and 10 about one partition: who is elected, when the epochs move,
 * what becomes of the ISR, when a reassignment ends, and the order in which an AlterPartition is
 * refused. */
#include "broker/controller/partition_change.h"
#include "tests/support/image_build.h"
#include "tests/support/support.h"

#define IDS(...) ((const int32_t[]){__VA_ARGS__, -1})

struct fixture {
    struct support_memory memory;
    struct image image;
    struct arena arena;
    struct uuid topic;
    struct partition_change change;
    struct partition_decision decision;
};

static int setup(void **state)
{
    static struct fixture f;
    struct image_limits limits = {8, 8, 64};

    support_memory_init(&f.memory, 8 << 20);
    image_init(&f.image, &f.memory.mem, &limits, 1, false);
    arena_init(&f.arena, &f.memory.mem, 1 << 20);
    for (int32_t id = 1; id <= 4; id++)
        image_build_broker(&f.image, id, false, NULL);
    f.topic = image_build_topic(&f.image, "t", 1);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    image_check(&f->image);
    image_deinit(&f->image);
    arena_deinit(&f->arena);
    support_memory_deinit(&f->memory);
    return 0;
}

static void part(struct fixture *f, const int32_t *replicas, const int32_t *isr, int32_t leader)
{
    image_build_partition(&f->image, f->topic, replicas, isr, leader);
    partition_change_init(&f->change, &f->image,
                          image_partition(image_topic_by_id(&f->image, f->topic), 0));
}

static void target(struct fixture *f, const int32_t *isr)
{
    f->change.target_isr = (struct image_ids){isr, image_build_count(isr)};
}

static void decide(struct fixture *f)
{
    partition_change_decide(&f->change, &f->decision);
}

static void assert_list(const struct partition_list *list, const int32_t *ids)
{
    assert_true(list->set);
    assert_int_equal(list->count, image_build_count(ids));
    for (uint32_t i = 0; i < list->count; i++)
        assert_int_equal(list->ids[i], ids[i]);
}

/* Writes the decision's record and applies it; the partition as it is then. */
static const struct image_partition *apply(struct fixture *f)
{
    struct records records;

    records_init(&records, &f->arena);
    partition_change_put(&f->decision, f->topic, 0, &records);
    assert_int_equal(records_finish(&records), ERR_NONE);
    image_build_apply(&f->image, &records.first->record);
    return image_partition(image_topic_by_id(&f->image, f->topic), 0);
}

static void online_keeps_a_leader_that_can_lead_and_writes_nothing(void **state)
{
    struct fixture *f = *state;

    part(f, IDS(1, 2, 3), IDS(1, 2, 3), 2);
    decide(f);
    assert_false(f->decision.changed);
    assert_int_equal(f->decision.leader, PARTITION_CHANGE_SAME_LEADER);
}

static void preferred_moves_to_the_first_replica_only_when_it_is_in_sync(void **state)
{
    struct fixture *f = *state;

    part(f, IDS(1, 2, 3), IDS(2, 3), 2);
    f->change.election = ELECTION_PREFERRED;
    decide(f);
    assert_false(f->decision.changed);
    target(f, IDS(1, 2, 3));
    decide(f);
    assert_int_equal(f->decision.leader, 1);
}

static void online_takes_the_first_in_replica_order_not_in_isr_order(void **state)
{
    struct fixture *f = *state;

    part(f, IDS(3, 1, 2), IDS(2, 1, 3), 3);
    target(f, IDS(2, 1));
    f->change.leaving = 3;
    decide(f);
    assert_int_equal(f->decision.leader, 1);
    assert_list(&f->decision.isr, IDS(2, 1));
}

static void a_record_bumps_the_partition_epoch_and_a_leader_the_leader_epoch_r36(void **state)
{
    struct fixture *f = *state;
    const struct image_partition *now;

    part(f, IDS(1, 2, 3), IDS(1, 2, 3), 1);
    target(f, IDS(1, 2));
    decide(f);
    now = apply(f);
    assert_int_equal(now->partition_epoch, 10);
    assert_int_equal(now->leader_epoch, 5); /* a shrink with the same leader */
    partition_change_init(&f->change, &f->image, now);
    target(f, IDS(2));
    f->change.leaving = 1;
    decide(f);
    now = apply(f);
    assert_int_equal(now->partition_epoch, 11);
    assert_int_equal(now->leader_epoch, 6);
    assert_int_equal(now->leader, 2);
}

static void the_last_isr_member_stays_without_a_leader(void **state)
{
    struct fixture *f = *state;
    const struct image_partition *now;

    part(f, IDS(1, 2), IDS(1), 1);
    target(f, IDS(-1));
    f->change.leaving = 1;
    decide(f);
    assert_true(f->decision.changed);
    assert_false(f->decision.isr.set);
    assert_int_equal(f->decision.leader, IMAGE_NO_LEADER);
    now = apply(f);
    assert_int_equal(now->leader_epoch, 6);
    assert_int_equal(now->isr_count, 1);
    /* and leads again when it comes back */
    image_build_fence(&f->image, 1, 1);
    partition_change_init(&f->change, &f->image, now);
    decide(f);
    assert_false(f->decision.changed);
    f->change.joining = 1;
    decide(f);
    assert_int_equal(f->decision.leader, 1);
    assert_int_equal(apply(f)->leader_epoch, 7);
}

static void nobody_fenced_or_leaving_is_elected_r15(void **state)
{
    struct fixture *f = *state;

    part(f, IDS(1, 2, 3, 4), IDS(1, 2, 3, 4), 1);
    image_build_fence(&f->image, 2, 1);
    image_build_shutdown(&f->image, 3);
    target(f, IDS(2, 3, 4));
    f->change.leaving = 1;
    decide(f);
    assert_int_equal(f->decision.leader, 4);
}

static void unclean_takes_anybody_rather_than_nobody_and_says_recovering(void **state)
{
    struct fixture *f = *state;
    const struct image_partition *now;

    part(f, IDS(1, 2, 3), IDS(1), 1);
    target(f, IDS(-1));
    f->change.leaving = 1;
    f->change.election = ELECTION_UNCLEAN;
    decide(f);
    assert_true(f->decision.unclean);
    assert_int_equal(f->decision.leader, 2);
    assert_list(&f->decision.isr, IDS(2));
    now = apply(f);
    assert_int_equal(now->recovery, IMAGE_RECOVERING);
}

static void unclean_prefers_a_clean_one(void **state)
{
    struct fixture *f = *state;

    part(f, IDS(1, 2, 3), IDS(1, 3), 1);
    target(f, IDS(3));
    f->change.leaving = 1;
    f->change.election = ELECTION_UNCLEAN;
    decide(f);
    assert_false(f->decision.unclean);
    assert_int_equal(f->decision.leader, 3);
}

static void elr_elects_from_the_eligible_when_the_isr_is_empty(void **state)
{
    struct fixture *f = *state;

    part(f, IDS(1, 2, 3), IDS(1), 1);
    f->change.elr_enabled = true;
    f->change.min_isr = 2;
    target(f, IDS(-1));
    f->change.leaving = 1;
    decide(f);
    assert_list(&f->decision.isr, IDS(-1));
    assert_list(&f->decision.elr, IDS(1));
    assert_list(&f->decision.last_known_elr, IDS(1));
    (void)apply(f);
    partition_change_init(&f->change, &f->image,
                          image_partition(image_topic_by_id(&f->image, f->topic), 0));
    f->change.elr_enabled = true;
    f->change.min_isr = 2;
    decide(f);
    assert_int_equal(f->decision.leader, 1);
    assert_false(f->decision.unclean);
    assert_list(&f->decision.isr, IDS(1));
    assert_list(&f->decision.elr, IDS(-1)); /* R14: not in both */
}

static void elr_has_nobody_who_may_have_lost_data(void **state)
{
    struct fixture *f = *state;

    part(f, IDS(1, 2, 3), IDS(1, 2), 1);
    f->change.elr_enabled = true;
    f->change.min_isr = 2;
    target(f, IDS(1));
    f->change.leaving = f->change.lost = 2;
    decide(f);
    assert_list(&f->decision.isr, IDS(1));
    assert_false(f->decision.elr.set);
    assert_int_equal(f->decision.leader, PARTITION_CHANGE_SAME_LEADER);
}

static void a_touch_moves_the_partition_epoch_only(void **state)
{
    struct fixture *f = *state;
    const struct image_partition *now;
    int32_t epoch, leader_epoch;

    part(f, IDS(1, 2, 3), IDS(1, 2), 1);
    epoch = f->change.part->partition_epoch;
    leader_epoch = f->change.part->leader_epoch;
    f->change.touch = true;
    decide(f);
    assert_true(f->decision.changed);
    now = apply(f);
    assert_int_equal(now->partition_epoch, epoch + 1);
    assert_int_equal(now->leader_epoch, leader_epoch);
    assert_int_equal(now->isr_count, 2);
}

static void reassign(struct fixture *f, int32_t *replicas, uint32_t count, int32_t adding,
                     int32_t removing)
{
    struct metadata_record record;

    records_default(&record, RECORD_PARTITION_CHANGE);
    record.partition_change.topic_id = f->topic;
    record.partition_change.partition_id = 0;
    record.partition_change.replicas = replicas;
    record.partition_change.replicas_count = count;
    record.partition_change.replicas_null = false;
    record.partition_change.adding_replicas = &adding;
    record.partition_change.adding_replicas_count = 1;
    record.partition_change.adding_replicas_null = false;
    record.partition_change.removing_replicas = &removing;
    record.partition_change.removing_replicas_count = 1;
    record.partition_change.removing_replicas_null = false;
    image_build_apply(&f->image, &record);
}

static void a_reassignment_ends_with_the_last_adding_replica_in_sync(void **state)
{
    struct fixture *f = *state;
    int32_t replicas[] = {4, 2, 3};
    const struct image_partition *now;

    part(f, IDS(2, 3), IDS(2, 3), 2);
    reassign(f, replicas, 3, 4, 3);
    partition_change_init(&f->change, &f->image, f->change.part);
    decide(f);
    assert_false(f->decision.changed);
    target(f, IDS(2, 3, 4));
    decide(f);
    assert_list(&f->decision.replicas, IDS(4, 2));
    assert_list(&f->decision.isr, IDS(2, 4));
    now = apply(f);
    assert_int_equal(now->leader, 2);
    assert_int_equal(now->leader_epoch, 6); /* fences the removed replica out */
    assert_int_equal(now->adding_count + now->removing_count, 0);
}

static enum err check(struct fixture *f, int32_t from, int32_t leader_epoch, int32_t epoch,
                      int8_t recovery, const int32_t *isr)
{
    int64_t epochs[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    struct partition_alter alter = {.broker_id = from,
                                    .leader_epoch = leader_epoch,
                                    .partition_epoch = epoch,
                                    .recovery = recovery,
                                    .isr = isr,
                                    .isr_epochs = epochs,
                                    .isr_count = image_build_count(isr)};

    return partition_change_check(&f->image, f->change.part, &alter);
}

static void alter_partition_is_refused_in_kafkas_order_r37(void **state)
{
    struct fixture *f = *state;
    int64_t wrong_epoch[] = {-1, 999};
    int64_t right_epoch[] = {101, 102};
    struct partition_alter alter = {.broker_id = 1,
                                    .leader_epoch = 5,
                                    .partition_epoch = 9,
                                    .isr = IDS(1, 2),
                                    .isr_epochs = wrong_epoch,
                                    .isr_count = 2};

    part(f, IDS(1, 2, 3), IDS(1, 2, 3), 1);
    assert_int_equal(check(f, 1, 6, 8, 0, IDS(1)), ERR_NOT_CONTROLLER);
    assert_int_equal(check(f, 1, 4, 10, 0, IDS(1)), ERR_NOT_CONTROLLER);
    assert_int_equal(check(f, 2, 4, 8, 0, IDS(1)), ERR_FENCED_LEADER_EPOCH);
    assert_int_equal(check(f, 2, 5, 8, 0, IDS(1)), ERR_INVALID_REQUEST);
    assert_int_equal(check(f, 1, 5, 8, 0, IDS(1, 1)), ERR_INVALID_UPDATE_VERSION);
    assert_int_equal(check(f, 1, 5, 9, 0, IDS(1, 1)), ERR_INVALID_REQUEST);
    assert_int_equal(check(f, 1, 5, 9, 0, IDS(1, 4)), ERR_INVALID_REQUEST);
    assert_int_equal(check(f, 1, 5, 9, 0, IDS(2, 3)), ERR_INVALID_REQUEST);
    assert_int_equal(check(f, 1, 5, 9, 1, IDS(1, 2)), ERR_INVALID_REQUEST);
    assert_int_equal(check(f, 1, 5, 9, 1, IDS(1)), ERR_INVALID_REQUEST); /* was RECOVERED */
    assert_int_equal(partition_change_check(&f->image, f->change.part, &alter),
                     ERR_INELIGIBLE_REPLICA);
    alter.isr_epochs = right_epoch;
    assert_int_equal(partition_change_check(&f->image, f->change.part, &alter), ERR_NONE);
    image_build_shutdown(&f->image, 2);
    assert_int_equal(check(f, 1, 5, 9, 0, IDS(1, 2)), ERR_INELIGIBLE_REPLICA);
    image_build_fence(&f->image, 3, 1);
    assert_int_equal(check(f, 1, 5, 9, 0, IDS(1, 3)), ERR_INELIGIBLE_REPLICA);
    assert_int_equal(check(f, 1, 5, 9, 0, IDS(1)), ERR_NONE);
}

static void min_isr_is_clamped_to_the_replicas_and_read_from_the_topic(void **state)
{
    struct fixture *f = *state;
    const struct image_topic *topic = image_topic_by_id(&f->image, f->topic);

    part(f, IDS(1, 2, 3), IDS(1, 2, 3), 1);
    assert_int_equal(partition_change_min_isr(&f->image, topic, 2), 2);
    assert_int_equal(partition_change_min_isr(&f->image, topic, 9), 3);
    assert_int_equal(partition_change_min_isr(&f->image, topic, 0), 1);
    image_build_config(&f->image, "t", "min.insync.replicas", "3");
    assert_int_equal(partition_change_min_isr(&f->image, topic, 1), 3);
    assert_false(partition_change_unclean(&f->image, topic, false));
    image_build_config(&f->image, "t", "unclean.leader.election.enable", "true");
    assert_true(partition_change_unclean(&f->image, topic, false));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(online_keeps_a_leader_that_can_lead_and_writes_nothing),
        TEST(preferred_moves_to_the_first_replica_only_when_it_is_in_sync),
        TEST(online_takes_the_first_in_replica_order_not_in_isr_order),
        TEST(a_record_bumps_the_partition_epoch_and_a_leader_the_leader_epoch_r36),
        TEST(the_last_isr_member_stays_without_a_leader),
        TEST(nobody_fenced_or_leaving_is_elected_r15),
        TEST(unclean_takes_anybody_rather_than_nobody_and_says_recovering),
        TEST(unclean_prefers_a_clean_one),
        TEST(elr_elects_from_the_eligible_when_the_isr_is_empty),
        TEST(elr_has_nobody_who_may_have_lost_data),
        TEST(a_touch_moves_the_partition_epoch_only),
        TEST(a_reassignment_ends_with_the_last_adding_replica_in_sync),
        TEST(alter_partition_is_refused_in_kafkas_order_r37),
        TEST(min_isr_is_clamped_to_the_replicas_and_read_from_the_topic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
