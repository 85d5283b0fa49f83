/* Proves: followers that catch up are let in, and those that stop are put out, by AlterPartition
 * alone; what the controller answers is taken, taken back or asked again as the table says
 * (replication.md 5, 6). */
#include "tests/support/replica_acts.h"

enum { A, B, C };

static void followers_that_catch_up_enter_the_set_by_alter_partition(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, false);
    replica_start_all(rig);
    replica_put(rig, A, 3);
    replica_await_end(rig, C, 3);
    replica_rig_run_ms(rig, 2000);
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 3);
    assert_int_equal(rig->alters, 2); /* one after the other */
    replica_rig_publish_all(rig);     /* the records come after the answers */
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 3);
    assert_int_equal(replica_rig_part(rig, A, 1)->partition_epoch,
                     replica_rig_part(rig, B, 1)->partition_epoch);
}

static void a_request_for_several_partitions_names_each_topic_once(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, false);
    for (int32_t index = 1; index < 3; index++) {
        replica_rig_add(rig, &(struct rig_record){.kind = RIG_PARTITION,
                                                  .id = 1,
                                                  .topic = 1,
                                                  .index = index,
                                                  .replicas = {1, 2, 3},
                                                  .isr = {1}});
    }
    replica_start_all(rig);
    replica_rig_run_ms(rig, 5000);
    for (int32_t index = 0; index < 3; index++) {
        assert_int_equal(isr_size(replica_rig_part_at(rig, A, 1, index)->isr.committed), 3);
    }
    assert_true(rig->alters < 6); /* together, not one by one */
}

static void a_follower_that_stops_is_put_out_and_the_rest_goes_on(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 1);
    replica_await_hw(rig, A, 1);
    replica_rig_kill(rig, C, false);
    replica_put(rig, A, 1);
    replica_rig_run_ms(rig, 5000);
    assert_int_equal(replica_rig_part(rig, A, 1)->high_watermark, 1);
    replica_rig_run_ms(rig, 60000); /* 1.5 times replica.lag.time.max.ms and a bit */
    assert_int_equal(replica_rig_part(rig, A, 1)->high_watermark, 2);
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 2);
    /* It comes back, catches up, and is let in again. */
    replica_rig_start(rig, C);
    replica_await_end(rig, C, 2);
    replica_rig_run_ms(rig, 3000);
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 3);
}

static void a_refused_change_is_taken_back_and_asked_for_again_later(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, false);
    rig->alter_refusal = ERR_INELIGIBLE_REPLICA;
    replica_start_all(rig);
    replica_rig_run_ms(rig, 5000);
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 3);
    assert_true(rig->alters >= 3);
}

/* swarm-network, seed 5109: they had caught up and were about to join; the leader waited for them
 * with its high watermark. They are gone, and no fetch and no append makes it look again. */
static void nobody_waits_for_ever_for_followers_that_were_about_to_join(void **state)
{
    struct replica_rig *rig = *state;
    struct partition *part;

    replica_topic(rig, 1, 1, false);
    rig->alter_refusal = ERR_INELIGIBLE_REPLICA;
    replica_start_all(rig);
    for (int i = 0; i < 1000 && rig->alters == 0; i++)
        replica_rig_run_ms(rig, 1);
    part = replica_rig_part(rig, A, 1);
    for (int i = 0; i < 100 && part->isr.state != ISR_COMMITTED; i++)
        replica_rig_run_ms(rig, 1);
    assert_int_equal(isr_size(part->isr.committed), 1);
    replica_rig_kill(rig, B, false);
    replica_rig_kill(rig, C, false);
    replica_put(rig, A, 1);
    replica_rig_run_ms(rig, 1000);
    assert_int_equal(part->high_watermark, 0);
    replica_rig_run_ms(rig, 60000);
    assert_int_equal(isr_size(part->isr.committed), 1);
    assert_int_equal(part->high_watermark, 1);
}

static void acks_all_is_refused_with_too_few_in_sync_and_acks_1_is_not(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_append append;
    struct partition *part;

    replica_topic(rig, 1, 1, false);
    replica_rig_start(rig, A); /* alone */
    replica_await_role(rig, A, PARTITION_LEADER);
    part = replica_rig_part(rig, A, 1);
    part->min_isr = 2;
    assert_int_equal(replica_rig_append(rig, A, 1, -1, 1, &append), ERR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(rig->traced[TRACE_REPLICA_MIN_ISR], 1);
    assert_int_equal(replica_rig_append(rig, A, 1, 2, 1, &append), ERR_INVALID_REQUIRED_ACKS);
    replica_put(rig, A, 1);
    replica_await_end(rig, A, 1);
    assert_int_equal(part->high_watermark, 0); /* R20 */
}

static void an_answer_that_the_metadata_overtook_changes_nothing(void **state)
{
    struct replica_rig *rig = *state;
    struct partition *part;
    int32_t old[] = {1};
    struct partition_altered altered = {.isr = old, .isr_count = 1};

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_await_role(rig, A, PARTITION_LEADER);
    part = replica_rig_part(rig, A, 1);
    part->isr.proposed = 3; /* a shrink to 1, 2 was sent ... */
    part->isr.state = ISR_SHRINKING;
    part->alter_sent = true;
    replica_change(rig, 1, -2, (int32_t[]){1, 3, 0}); /* ... and something else was decided */
    replica_rig_publish(rig, A);
    assert_int_equal(part->isr.state, ISR_COMMITTED);
    assert_int_equal(part->isr.committed, 5);
    assert_int_equal(partition_altered(part, &altered), PARTITION_ALTER_OVER); /* F19 */
    assert_int_equal(part->isr.committed, 5);
    assert_int_equal(part->partition_epoch, 1);
}

static void answers_of_the_controller_by_table(void **state)
{
    struct replica_rig *rig = *state;
    static const struct {
        enum err err;
        enum partition_after_alter after;
        enum isr_state state; /* of a shrink from 1, 2, 3 to 1, 2 */
        uint64_t committed;
    } rows[] = {
        {ERR_OPERATION_NOT_ATTEMPTED, PARTITION_ALTER_OVER, ISR_COMMITTED, 7},
        {ERR_INELIGIBLE_REPLICA, PARTITION_ALTER_OVER, ISR_COMMITTED, 7},
        {ERR_UNKNOWN_TOPIC_OR_PARTITION, PARTITION_ALTER_OVER, ISR_SHRINKING, 7},
        {ERR_UNKNOWN_TOPIC_ID, PARTITION_ALTER_OVER, ISR_SHRINKING, 7},
        {ERR_FENCED_LEADER_EPOCH, PARTITION_ALTER_OVER, ISR_SHRINKING, 7},
        {ERR_INVALID_UPDATE_VERSION, PARTITION_ALTER_OVER, ISR_SHRINKING, 7},
        {ERR_INVALID_REQUEST, PARTITION_ALTER_OVER, ISR_SHRINKING, 7},
        {ERR_NEW_LEADER_ELECTED, PARTITION_ALTER_OVER, ISR_SHRINKING, 7},
        {ERR_NOT_CONTROLLER, PARTITION_ALTER_AGAIN, ISR_SHRINKING, 7},
        {ERR_UNKNOWN_SERVER_ERROR, PARTITION_ALTER_AGAIN, ISR_SHRINKING, 7},
        {ERR_NONE, PARTITION_ALTER_OVER, ISR_COMMITTED, 3},
    };
    int32_t agreed[] = {1, 2};
    struct partition *part;

    replica_topic(rig, 1, 1, true);
    replica_rig_start(rig, A);
    replica_await_role(rig, A, PARTITION_LEADER);
    part = replica_rig_part(rig, A, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct partition_altered altered = {.err = rows[i].err,
                                            .leader_epoch = 0,
                                            .partition_epoch = 1,
                                            .isr = agreed,
                                            .isr_count = 2};

        part->isr.proposed = 3;
        part->isr.state = ISR_SHRINKING;
        part->alter_sent = true;
        if (partition_altered(part, &altered) != rows[i].after ||
            part->isr.state != rows[i].state || part->isr.committed != rows[i].committed) {
            fail_msg("%s", err_name(rows[i].err));
        }
        list_remove(&part->altering);
    }
    assert_int_equal(part->partition_epoch, 1);
    /* Of another leader epoch, or older than what we know: not taken. */
    part->isr.proposed = 1;
    part->isr.state = ISR_SHRINKING;
    part->alter_sent = true;
    assert_int_equal(partition_altered(part, &(struct partition_altered){.leader_epoch = 1,
                                                                         .partition_epoch = 2,
                                                                         .isr = agreed,
                                                                         .isr_count = 1}),
                     PARTITION_ALTER_OVER);
    assert_int_equal(part->isr.committed, 3);
    part->alter_sent = true;
    assert_int_equal(partition_altered(part, &(struct partition_altered){.leader_epoch = 0,
                                                                         .partition_epoch = 0,
                                                                         .isr = agreed,
                                                                         .isr_count = 1}),
                     PARTITION_ALTER_OVER);
    assert_int_equal(part->isr.committed, 3);
    isr_revert(&part->isr);
}

static void apply_to(struct partition *part, int32_t leader, const int32_t *isr, uint32_t isr_count,
                     bool eligible)
{
    static const int32_t replicas[] = {1, 2, 3};
    struct partition_state state = {.leader = leader,
                                    .leader_epoch = part->leader_epoch + 1,
                                    .partition_epoch = part->partition_epoch + 1,
                                    .replicas = replicas,
                                    .replicas_count = 3,
                                    .isr = isr,
                                    .isr_count = isr_count,
                                    .eligible = eligible};

    assert_int_equal(partition_apply(part, &state), ERR_NONE);
}

/* Nobody is in sync: it may be the only one that can lead, and says nothing. Another one that is
 * eligible leads instead: it is done without before it would be elected in its turn (DF8). */
static void a_doubt_outlasts_the_time_when_nobody_is_in_sync(void **state)
{
    struct replica_rig *rig = *state;
    static const int32_t first[] = {1}, us[] = {2};
    struct partition *part;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_await_role(rig, B, PARTITION_FOLLOWER);
    part = replica_rig_part(rig, B, 1);
    part->doubtful = true; /* as its open would have it */
    apply_to(part, -1, first, 0, true);
    assert_false(partition_doubted(part));
    apply_to(part, 1, first, 1, true);
    assert_true(partition_doubted(part));
    apply_to(part, 1, first, 1, false); /* the controller has heard of it */
    assert_false(partition_doubted(part));
    apply_to(part, 1, first, 1, true);
    assert_false(partition_doubted(part));
    part->doubtful = true;
    apply_to(part, -1, first, 0, true);
    apply_to(part, 2, us, 1, false); /* it is the one that was elected */
    assert_false(part->doubtful);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(followers_that_catch_up_enter_the_set_by_alter_partition),
        WITH_RIG(a_request_for_several_partitions_names_each_topic_once),
        WITH_RIG(a_follower_that_stops_is_put_out_and_the_rest_goes_on),
        WITH_RIG(a_refused_change_is_taken_back_and_asked_for_again_later),
        WITH_RIG(nobody_waits_for_ever_for_followers_that_were_about_to_join),
        WITH_RIG(acks_all_is_refused_with_too_few_in_sync_and_acks_1_is_not),
        WITH_RIG(an_answer_that_the_metadata_overtook_changes_nothing),
        WITH_RIG(answers_of_the_controller_by_table),
        WITH_RIG(a_doubt_outlasts_the_time_when_nobody_is_in_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
