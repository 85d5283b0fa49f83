/* Leaders and followers on simulated machines, real logs and real Fetch requests between them:
 * what is produced is replicated, topics come and go, and what a crash or a disk does to a replica
 * is mended (replication.md 2-9, 11). The controller is the test. After every turn each partition
 * is checked, and no wake-up may be lost. */
#include "tests/support/replica_acts.h"

enum { A, B, C };

static void what_is_produced_reaches_every_replica_and_then_counts(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_append append;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_await_role(rig, B, PARTITION_FOLLOWER);
    assert_int_equal(replica_rig_append(rig, A, 1, -1, 5, &append), ERR_NONE);
    assert_int_equal(append.append.last_offset, 4);
    assert_int_equal(partition_replicated(&append), ERR_REQUEST_TIMED_OUT);
    replica_await_hw(rig, A, 5);
    assert_int_equal(partition_replicated(&append), ERR_NONE);
    partition_append_end(&append, ERR_NONE);
    replica_await_hw(rig, B, 5);
    replica_await_hw(rig, C, 5);
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_end, 5);
    assert_true(rig->traced[TRACE_REPLICA_HW] > 0);
    assert_int_equal(rig->alters, 0);
}

static bool is_gone(void *context)
{
    const struct manager *manager = context;

    return manager->partitions_count == 0;
}

static void a_topic_deleted_and_made_again_in_one_delta_begins_empty(void **state)
{
    struct replica_rig *rig = *state;
    struct partition *part;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 3);
    replica_await_hw(rig, B, 3);
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_REMOVE, .topic = 1});
    replica_topic(rig, 2, 2, true); /* the same name */
    replica_rig_publish_all(rig);
    assert_null(replica_rig_part(rig, A, 1));
    replica_rig_run_ms(rig, 5000);
    part = replica_rig_part(rig, B, 2);
    assert_non_null(part);
    assert_int_equal(part->role, PARTITION_LEADER);
    assert_int_equal(part->log->log_end, 0);
    assert_int_equal(replica_rig_part(rig, A, 2)->role, PARTITION_FOLLOWER);
    assert_int_equal(rig->machines[A].node.replicas.partitions_count, 1);
}

static void a_topic_that_was_deleted_while_the_broker_was_down_stands_in_nobodys_way(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 3);
    replica_await_hw(rig, B, 3);
    replica_rig_stop(rig, A);
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_REMOVE, .topic = 1});
    replica_topic(rig, 2, 1, true);
    replica_rig_start(rig, A);
    assert_int_equal(replica_rig_part(rig, A, 2)->role, PARTITION_LEADER);
    assert_int_equal(replica_rig_part(rig, A, 2)->log->log_end, 0);
    assert_int_equal(replica_rig_part(rig, A, 2)->high_watermark, 0);
}

static void a_removed_topic_takes_its_log_along(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 3);
    replica_await_hw(rig, A, 3);
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_REMOVE, .topic = 1});
    replica_rig_publish_all(rig);
    assert_true(replica_rig_until(rig, 10000, is_gone, &rig->machines[A].node.replicas));
    assert_int_equal(rig->machines[A].node.log_dirs[0].logs_open, 0);
}

static void after_a_power_loss_the_replicas_agree_again(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 5);
    replica_await_hw(rig, B, 5);
    replica_rig_kill(rig, B, true);
    replica_put(rig, A, 2);
    replica_rig_run_ms(rig, 1000);
    replica_rig_start(rig, B);
    replica_await_end(rig, B, 7);
    replica_await_hw(rig, A, 7);
    replica_await_hw(rig, B, 7);
}

static void a_follower_below_the_leaders_start_begins_anew_there(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, false);
    replica_rig_start(rig, A);
    replica_rig_start(rig, RIG_CONTROLLER);
    for (uint32_t i = 0; i < 4; i++) {
        replica_put(rig, A, 5);
    }
    replica_await_hw(rig, A, 20);
    log_raise_start(replica_rig_part(rig, A, 1)->log, 10); /* retention, while B was away */
    replica_rig_start(rig, B);
    replica_await_end(rig, B, 20);
    replica_await_hw(rig, B, 20);
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_start, 10); /* F16, F28 */
    replica_rig_run_ms(rig, 3000);
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 2);
}

static void a_disk_that_fails_takes_the_replica_offline_and_fails_who_waits(void **state)
{
    struct replica_rig *rig = *state;
    struct sim_disk_rule rule = {.ops = 1U << DISK_WRITE, .error = ERR_IO};
    struct partition_append append;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 1);
    replica_await_hw(rig, A, 1);
    (void)sim_break_disk(rig->machines[A].world, &rule);
    assert_int_equal(replica_rig_append(rig, A, 1, -1, 1, &append), ERR_NONE);
    replica_await_role(rig, A, PARTITION_OFFLINE);
    assert_int_equal(partition_replicated(&append), ERR_NOT_LEADER_OR_FOLLOWER);
    partition_append_end(&append, ERR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(partition_check_leader(replica_rig_part(rig, A, 1), 0),
                     ERR_KAFKA_STORAGE_ERROR);
    replica_change(rig, 1, 2, (int32_t[]){2, 3, 0});
    replica_rig_publish_all(rig);
    replica_put(rig, B, 1);
    replica_await_hw(rig, B, 2);
    replica_rig_kill(rig, A, false); /* its process would end now */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(what_is_produced_reaches_every_replica_and_then_counts),
        WITH_RIG(a_topic_deleted_and_made_again_in_one_delta_begins_empty),
        WITH_RIG(a_topic_that_was_deleted_while_the_broker_was_down_stands_in_nobodys_way),
        WITH_RIG(a_removed_topic_takes_its_log_along),
        WITH_RIG(after_a_power_loss_the_replicas_agree_again),
        WITH_RIG(a_follower_below_the_leaders_start_begins_anew_there),
        WITH_RIG(a_disk_that_fails_takes_the_replica_offline_and_fails_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
