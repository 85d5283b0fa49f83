/* Proves: deleted records and old segments are gone on leader and followers, and stay gone; and who
 * waits for the low watermark hears of it, also when a replica no longer counts. */
#include "tests/support/replica_acts.h"

enum { A, B, C };

static bool deleted_everywhere(void *context)
{
    return partition_low_watermark(replica_rig_part(context, A, 1)) >= 4;
}

static void deleted_records_are_gone_on_every_live_replica_and_stay_gone(void **state)
{
    struct replica_rig *rig = *state;
    struct partition *leader;
    int64_t offset = 11;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_put(rig, A, 5);
    replica_put(rig, A, 5);
    replica_await_hw(rig, A, 10);
    leader = replica_rig_part(rig, A, 1);
    assert_int_equal(partition_delete_records(leader, &offset), ERR_OFFSET_OUT_OF_RANGE);
    offset = -2;
    assert_int_equal(partition_delete_records(leader, &offset), ERR_OFFSET_OUT_OF_RANGE);
    offset = 4;
    assert_int_equal(partition_delete_records(replica_rig_part(rig, B, 1), &offset),
                     ERR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(partition_delete_records(leader, &offset), ERR_NONE);
    assert_int_equal(leader->log->log_start, 4);
    assert_true(partition_low_watermark(leader) < 4); /* nobody else has heard of it */
    assert_true(replica_rig_until(rig, 20000, deleted_everywhere, rig));
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_start, 4);
    assert_int_equal(replica_rig_part(rig, C, 1)->log->log_start, 4);
    offset = 2; /* lower than it is: nothing moves */
    assert_int_equal(partition_delete_records(leader, &offset), ERR_NONE);
    assert_int_equal(leader->log->log_start, 4);
    offset = -1;
    assert_int_equal(partition_delete_records(leader, &offset), ERR_NONE);
    assert_int_equal(offset, 10);
    assert_int_equal(leader->log->log_start, 10);
    leader->owner->config.deletes = false;
    assert_int_equal(partition_delete_records(leader, &offset), ERR_POLICY_VIOLATION);
    replica_rig_run_ms(rig, 6000); /* checkpoints */
    replica_rig_kill(rig, B, true);
    replica_rig_start(rig, B);
    replica_await_role(rig, B, PARTITION_FOLLOWER);
    replica_rig_run_ms(rig, 1000);
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_start, 10);
}

/* Nobody had time for a checkpoint but those that were asked for (S18). */
static void what_was_deleted_stays_so_when_a_follower_is_killed_at_once(void **state)
{
    struct replica_rig *rig = *state;
    int64_t offset = 4;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_put(rig, A, 5);
    replica_put(rig, A, 5);
    replica_await_hw(rig, A, 10);
    assert_int_equal(partition_delete_records(replica_rig_part(rig, A, 1), &offset), ERR_NONE);
    assert_true(replica_rig_until(rig, 3000, deleted_everywhere, rig));
    replica_rig_kill(rig, A, false);
    for (uint32_t machine = B; machine <= C; machine++) {
        replica_rig_kill(rig, machine, true);
        replica_rig_start(rig, machine);
        replica_await_role(rig, machine, PARTITION_FOLLOWER);
        assert_int_equal(replica_rig_part(rig, machine, 1)->log->log_start, 4);
    }
}

/* Waits as DeleteRecords does. */
struct low_wait {
    struct op op;
    struct partition *part;
    int64_t offset;
};

enum low_step { LOW_START, LOW_REACHED };
static const char *const low_steps[] = {"START", "REACHED"};

static enum op_result low_run(struct op *op)
{
    struct low_wait *o = CONTAINER_OF(op, struct low_wait, op);

    switch ((enum low_step)op->step) {
    case LOW_START:
        AWAIT(o, LOW_REACHED, &o->part->start_source,
              partition_low_watermark(o->part) >= o->offset);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a test");
}

static const struct op_kind low_kind = {"low_wait", low_steps, COUNT_OF(low_steps), low_run, NULL};

static void low_start(struct replica_rig *rig, struct low_wait *o, int64_t offset)
{
    *o = (struct low_wait){.part = replica_rig_part(rig, A, 1), .offset = offset};
    op_start(&rig->machines[A].node.env.loop, &o->op, &low_kind, LOW_START);
}

static bool low_over(void *context)
{
    return !op_live(&((struct low_wait *)context)->op);
}

static void who_waits_for_the_low_watermark_hears_of_replicas_that_no_longer_count(void **state)
{
    struct replica_rig *rig = *state;
    struct rig_record alone = {.kind = RIG_CHANGE, .id = -2, .topic = 1, .replicas = {1}};
    static struct low_wait o; /* a test that fails is left with the op in the loop */
    int64_t offset = 4;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_put(rig, A, 5);
    replica_put(rig, A, 5);
    replica_await_hw(rig, A, 10);
    /* Of two followers one tells its log start, the other is dead; then the controller knows. */
    replica_rig_kill(rig, B, false);
    assert_int_equal(partition_delete_records(replica_rig_part(rig, A, 1), &offset), ERR_NONE);
    low_start(rig, &o, 4);
    replica_rig_run_ms(rig, 2000);
    assert_true(op_live(&o.op));
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_FENCE, .id = 2});
    replica_rig_publish(rig, A);
    assert_true(replica_rig_until(rig, 100, low_over, &o));
    /* The other one is a replica no longer. */
    replica_rig_kill(rig, C, false);
    offset = 6;
    assert_int_equal(partition_delete_records(replica_rig_part(rig, A, 1), &offset), ERR_NONE);
    low_start(rig, &o, 6);
    replica_rig_run_ms(rig, 2000);
    assert_true(op_live(&o.op));
    alone.isr[0] = 1;
    replica_rig_add(rig, &alone);
    replica_rig_publish(rig, A);
    assert_true(replica_rig_until(rig, 100, low_over, &o));
    /* Nobody but the leader is left: its own log start tells. */
    low_start(rig, &o, 8);
    replica_rig_run_ms(rig, 100);
    assert_true(op_live(&o.op));
    offset = 8;
    assert_int_equal(partition_delete_records(replica_rig_part(rig, A, 1), &offset), ERR_NONE);
    assert_true(replica_rig_until(rig, 100, low_over, &o));
}

static void old_segments_go_by_themselves_on_leader_and_followers(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_await_role(rig, C, PARTITION_FOLLOWER);
    replica_put(rig, A, 7);
    replica_await_hw(rig, A, 7);
    replica_await_hw(rig, C, 7);
    replica_rig_part(rig, A, 1)->owner->config.retention_ms = 1000;
    replica_rig_part(rig, C, 1)->owner->config.retention_ms = 1000;
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_start, 0);
    /* log.retention.check.interval.ms, twice: all of the log is old, a new segment comes first. */
    replica_rig_run_ms(rig, 2 * 300000 + 10000);
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_start, 7);
    assert_int_equal(replica_rig_part(rig, C, 1)->log->log_start, 7);
    assert_int_equal(log_size(replica_rig_part(rig, A, 1)->log), 0);
    replica_put(rig, A, 3);
    replica_await_hw(rig, C, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(deleted_records_are_gone_on_every_live_replica_and_stay_gone),
        WITH_RIG(what_was_deleted_stays_so_when_a_follower_is_killed_at_once),
        WITH_RIG(who_waits_for_the_low_watermark_hears_of_replicas_that_no_longer_count),
        WITH_RIG(old_segments_go_by_themselves_on_leader_and_followers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
