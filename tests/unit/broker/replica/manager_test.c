/* Leaders and followers on simulated machines, real logs and real Fetch requests between them:
 * what is produced is replicated, the high watermark moves and never lies, leaderships change,
 * logs diverge and are made equal, replicas leave and come back (replication.md 2-9, 11). The
 * controller is the test. After every turn each partition is checked, and no wake-up may be
 * lost. */
#include "tests/support/replica_rig.h"

#include <string.h>

enum { A, B, C };

static void add_topic(struct replica_rig *rig, uint8_t topic, int32_t leader, bool all_in_sync)
{
    struct rig_record part = {.kind = RIG_PARTITION, .id = leader, .topic = topic};

    replica_rig_add(rig, &(struct rig_record){.kind = RIG_TOPIC, .topic = topic});
    memcpy(part.replicas, (int32_t[]){1, 2, 3}, 3 * sizeof(int32_t));
    if (all_in_sync) {
        memcpy(part.isr, part.replicas, sizeof part.isr);
    } else {
        part.isr[0] = leader;
    }
    replica_rig_add(rig, &part);
}

static void start_all(struct replica_rig *rig)
{
    for (uint32_t i = 0; i < RIG_MACHINES; i++) {
        replica_rig_start(rig, i);
    }
}

static void change(struct replica_rig *rig, uint8_t topic, int32_t leader, const int32_t *isr)
{
    struct rig_record record = {.kind = RIG_CHANGE, .id = leader, .topic = topic};

    for (uint32_t i = 0; isr != NULL && isr[i] != 0; i++) {
        record.isr[i] = isr[i];
    }
    replica_rig_add(rig, &record);
}

struct wait {
    struct replica_rig *rig;
    uint32_t machine;
    uint8_t topic;
    int64_t offset;
    enum partition_role role;
};

static bool hw_reached(void *context)
{
    const struct wait *w = context;
    const struct partition *part = replica_rig_part(w->rig, w->machine, w->topic);

    return part != NULL && part->opened && part->high_watermark >= w->offset;
}

static bool end_is(void *context)
{
    const struct wait *w = context;
    const struct partition *part = replica_rig_part(w->rig, w->machine, w->topic);

    return part != NULL && part->log != NULL && part->opened && part->log->log_end == w->offset &&
           partition_quiet(part);
}

static bool has_role(void *context)
{
    const struct wait *w = context;
    const struct partition *part = replica_rig_part(w->rig, w->machine, w->topic);

    return part != NULL && part->role == w->role;
}

static void await_hw(struct replica_rig *rig, uint32_t machine, int64_t offset)
{
    struct wait w = {rig, machine, 1, offset, PARTITION_NONE};

    if (!replica_rig_until(rig, 20000, hw_reached, &w)) {
        const struct partition *part = replica_rig_part(rig, machine, 1);

        fail_msg("hw %lld of %u, wanted %lld", (long long)part->high_watermark, machine,
                 (long long)offset);
    }
}

static void await_end(struct replica_rig *rig, uint32_t machine, int64_t offset)
{
    struct wait w = {rig, machine, 1, offset, PARTITION_NONE};

    if (!replica_rig_until(rig, 20000, end_is, &w)) {
        const struct partition *part = replica_rig_part(rig, machine, 1);

        fail_msg("end %lld of %u, wanted %lld", (long long)part->log->log_end, machine,
                 (long long)offset);
    }
}

static void await_role(struct replica_rig *rig, uint32_t machine, enum partition_role role)
{
    struct wait w = {rig, machine, 1, 0, role};

    assert_true(replica_rig_until(rig, 20000, has_role, &w));
}

static void append_and_forget(struct replica_rig *rig, uint32_t machine, uint32_t records)
{
    struct partition_append append;

    assert_int_equal(replica_rig_append(rig, machine, 1, 1, records, &append), ERR_NONE);
    partition_append_end(&append, ERR_NONE);
}

/* ---- replication ----------------------------------------------------------------------------- */

static void what_is_produced_reaches_every_replica_and_then_counts(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_append append;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    await_role(rig, A, PARTITION_LEADER);
    await_role(rig, B, PARTITION_FOLLOWER);
    assert_int_equal(replica_rig_append(rig, A, 1, -1, 5, &append), ERR_NONE);
    assert_int_equal(append.append.last_offset, 4);
    assert_int_equal(partition_replicated(&append), ERR_REQUEST_TIMED_OUT);
    await_hw(rig, A, 5);
    assert_int_equal(partition_replicated(&append), ERR_NONE);
    partition_append_end(&append, ERR_NONE);
    await_hw(rig, B, 5);
    await_hw(rig, C, 5);
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_end, 5);
    assert_true(rig->traced[TRACE_REPLICA_HW] > 0);
    assert_int_equal(rig->alters, 0);
}

/* ---- retention and deletion ------------------------------------------------------------------ */

static bool deleted_everywhere(void *context)
{
    const struct wait *w = context;

    return partition_low_watermark(replica_rig_part(w->rig, A, 1)) >= w->offset;
}

static void deleted_records_are_gone_on_every_live_replica_and_stay_gone(void **state)
{
    struct replica_rig *rig = *state;
    struct wait w = {rig, A, 1, 4, PARTITION_NONE};
    struct partition *leader;
    int64_t offset = 11;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    await_role(rig, A, PARTITION_LEADER);
    append_and_forget(rig, A, 5);
    append_and_forget(rig, A, 5);
    await_hw(rig, A, 10);
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
    assert_true(replica_rig_until(rig, 20000, deleted_everywhere, &w));
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
    await_role(rig, B, PARTITION_FOLLOWER);
    replica_rig_run_ms(rig, 1000);
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_start, 10);
}

/* Nobody had time for a checkpoint but those that were asked for (S18). */
static void what_was_deleted_stays_so_when_a_follower_is_killed_at_once(void **state)
{
    struct replica_rig *rig = *state;
    struct wait w = {rig, A, 1, 4, PARTITION_NONE};
    int64_t offset = 4;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    await_role(rig, A, PARTITION_LEADER);
    append_and_forget(rig, A, 5);
    append_and_forget(rig, A, 5);
    await_hw(rig, A, 10);
    assert_int_equal(partition_delete_records(replica_rig_part(rig, A, 1), &offset), ERR_NONE);
    assert_true(replica_rig_until(rig, 3000, deleted_everywhere, &w));
    replica_rig_kill(rig, A, false);
    for (uint32_t machine = B; machine <= C; machine++) {
        replica_rig_kill(rig, machine, true);
        replica_rig_start(rig, machine);
        await_role(rig, machine, PARTITION_FOLLOWER);
        assert_int_equal(replica_rig_part(rig, machine, 1)->log->log_start, 4);
    }
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

    add_topic(rig, 1, 1, true);
    start_all(rig);
    await_role(rig, B, PARTITION_FOLLOWER);
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

    add_topic(rig, 1, 1, true);
    start_all(rig);
    await_role(rig, A, PARTITION_LEADER);
    append_and_forget(rig, A, 5);
    append_and_forget(rig, A, 5);
    await_hw(rig, A, 10);
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

    add_topic(rig, 1, 1, true);
    start_all(rig);
    await_role(rig, A, PARTITION_LEADER);
    await_role(rig, C, PARTITION_FOLLOWER);
    append_and_forget(rig, A, 7);
    await_hw(rig, A, 7);
    await_hw(rig, C, 7);
    replica_rig_part(rig, A, 1)->owner->config.retention_ms = 1000;
    replica_rig_part(rig, C, 1)->owner->config.retention_ms = 1000;
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_start, 0);
    /* log.retention.check.interval.ms, twice: all of the log is old, a new segment comes first. */
    replica_rig_run_ms(rig, 2 * 300000 + 10000);
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_start, 7);
    assert_int_equal(replica_rig_part(rig, C, 1)->log->log_start, 7);
    assert_int_equal(log_size(replica_rig_part(rig, A, 1)->log), 0);
    append_and_forget(rig, A, 3);
    await_hw(rig, C, 10);
}

static void followers_that_catch_up_enter_the_set_by_alter_partition(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, false);
    start_all(rig);
    append_and_forget(rig, A, 3);
    await_end(rig, C, 3);
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

    add_topic(rig, 1, 1, false);
    for (int32_t index = 1; index < 3; index++) {
        replica_rig_add(rig, &(struct rig_record){.kind = RIG_PARTITION,
                                                  .id = 1,
                                                  .topic = 1,
                                                  .index = index,
                                                  .replicas = {1, 2, 3},
                                                  .isr = {1}});
    }
    start_all(rig);
    replica_rig_run_ms(rig, 5000);
    for (int32_t index = 0; index < 3; index++) {
        assert_int_equal(isr_size(replica_rig_part_at(rig, A, 1, index)->isr.committed), 3);
    }
    assert_true(rig->alters < 6); /* together, not one by one */
}

static void a_follower_that_stops_is_put_out_and_the_rest_goes_on(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 1);
    await_hw(rig, A, 1);
    replica_rig_kill(rig, C, false);
    append_and_forget(rig, A, 1);
    replica_rig_run_ms(rig, 5000);
    assert_int_equal(replica_rig_part(rig, A, 1)->high_watermark, 1);
    replica_rig_run_ms(rig, 60000); /* 1.5 times replica.lag.time.max.ms and a bit */
    assert_int_equal(replica_rig_part(rig, A, 1)->high_watermark, 2);
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 2);
    /* It comes back, catches up, and is let in again. */
    replica_rig_start(rig, C);
    await_end(rig, C, 2);
    replica_rig_run_ms(rig, 3000);
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 3);
}

static void a_refused_change_is_taken_back_and_asked_for_again_later(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, false);
    rig->alter_refusal = ERR_INELIGIBLE_REPLICA;
    start_all(rig);
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

    add_topic(rig, 1, 1, false);
    rig->alter_refusal = ERR_INELIGIBLE_REPLICA;
    start_all(rig);
    for (int i = 0; i < 1000 && rig->alters == 0; i++)
        replica_rig_run_ms(rig, 1);
    part = replica_rig_part(rig, A, 1);
    for (int i = 0; i < 100 && part->isr.state != ISR_COMMITTED; i++)
        replica_rig_run_ms(rig, 1);
    assert_int_equal(isr_size(part->isr.committed), 1);
    replica_rig_kill(rig, B, false);
    replica_rig_kill(rig, C, false);
    append_and_forget(rig, A, 1);
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

    add_topic(rig, 1, 1, false);
    replica_rig_start(rig, A); /* alone */
    await_role(rig, A, PARTITION_LEADER);
    part = replica_rig_part(rig, A, 1);
    part->min_isr = 2;
    assert_int_equal(replica_rig_append(rig, A, 1, -1, 1, &append), ERR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(rig->traced[TRACE_REPLICA_MIN_ISR], 1);
    assert_int_equal(replica_rig_append(rig, A, 1, 2, 1, &append), ERR_INVALID_REQUIRED_ACKS);
    append_and_forget(rig, A, 1);
    await_end(rig, A, 1);
    assert_int_equal(part->high_watermark, 0); /* R20 */
}

/* ---- leaderships ----------------------------------------------------------------------------- */

static void a_new_leader_ends_the_waits_of_the_old_one(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_append append;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    replica_rig_kill(rig, C, false); /* so that nothing can be acknowledged */
    assert_int_equal(replica_rig_append(rig, A, 1, -1, 1, &append), ERR_NONE);
    await_end(rig, B, 1);
    assert_int_equal(partition_replicated(&append), ERR_REQUEST_TIMED_OUT);
    change(rig, 1, 2, (int32_t[]){1, 2, 0});
    replica_rig_publish_all(rig);
    assert_int_equal(partition_replicated(&append), ERR_NOT_LEADER_OR_FOLLOWER);
    await_role(rig, A, PARTITION_FOLLOWER);
    await_role(rig, B, PARTITION_LEADER);
    await_hw(rig, B, 1);
    /* Back again: the offset is committed, but by another leader's doing. */
    change(rig, 1, 1, NULL);
    replica_rig_publish_all(rig);
    await_role(rig, A, PARTITION_LEADER);
    await_hw(rig, A, 1);
    assert_int_equal(partition_replicated(&append), ERR_NOT_LEADER_OR_FOLLOWER);
    partition_append_end(&append, ERR_NOT_LEADER_OR_FOLLOWER);
}

/* As a request with acks=1 waits. */
struct written {
    struct op op;
    struct partition_append append;
    enum err err;
};
static const char *const written_steps[] = {"START", "DECIDED"};

static enum op_result written_run(struct op *op)
{
    struct written *o = CONTAINER_OF(op, struct written, op);

    switch (op->step) {
    case 0:
        AWAIT_KEY(o, 1, &o->append.part->log->end_source, o->append.append.last_offset + 1,
                  partition_appended(&o->append) != ERR_REQUEST_TIMED_OUT);
        o->err = partition_appended(&o->append);
        partition_append_end(&o->append, o->err);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind written_kind = {"written", written_steps, COUNT_OF(written_steps),
                                            written_run, NULL};

static void a_new_leader_ends_the_waits_for_a_slow_disk(void **state)
{
    struct replica_rig *rig = *state;
    struct written written = {.err = ERR_NONE};

    add_topic(rig, 1, 1, true);
    start_all(rig);
    await_role(rig, A, PARTITION_LEADER);
    append_and_forget(rig, A, 1);
    await_end(rig, A, 1);
    sim_stall_disk(rig->machines[A].world, rig->sim->now_ns + 20 * NS_PER_SEC);
    assert_int_equal(replica_rig_append(rig, A, 1, 1, 1, &written.append), ERR_NONE);
    op_start(&rig->machines[A].node.env.loop, &written.op, &written_kind, 0);
    replica_rig_run_ms(rig, 100);
    assert_true(op_live(&written.op));
    change(rig, 1, 2, (int32_t[]){1, 2, 3, 0});
    replica_rig_publish_all(rig);
    replica_rig_run_ms(rig, 100);
    assert_false(op_live(&written.op));
    assert_int_equal(written.err, ERR_NOT_LEADER_OR_FOLLOWER);
    replica_rig_run_ms(rig, 20000);
}

static void a_log_that_diverged_is_cut_to_where_it_parted(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 3);
    await_hw(rig, B, 3);
    await_hw(rig, C, 3);
    replica_rig_kill(rig, B, false);
    replica_rig_kill(rig, C, false);
    append_and_forget(rig, A, 4); /* [3, 7) of epoch 0 on A alone */
    await_end(rig, A, 7);
    assert_int_equal(replica_rig_part(rig, A, 1)->high_watermark, 3);
    change(rig, 1, 2, (int32_t[]){2, 3, 0});
    replica_rig_start(rig, B); /* leads epoch 1 */
    replica_rig_start(rig, C);
    append_and_forget(rig, B, 2); /* [3, 5) of epoch 1 */
    await_hw(rig, B, 5);
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_end, 7);
    replica_rig_publish_all(rig); /* A learns of it */
    await_end(rig, A, 5);
    assert_int_equal(log_latest_epoch(replica_rig_part(rig, A, 1)->log), 1);
    assert_int_equal(replica_rig_part(rig, A, 1)->divergences, 1);
    await_hw(rig, A, 5);
    assert_true(rig->traced[TRACE_REPLICA_DIVERGED] == 1);
}

static void a_restarted_follower_keeps_what_lies_above_its_high_watermark(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 2);
    await_end(rig, B, 2);
    replica_rig_kill(rig, B, false); /* its high watermark was never checkpointed: F1, F15 */
    replica_rig_kill(rig, A, false);
    change(rig, 1, 2, (int32_t[]){2, 3, 0});
    replica_rig_start(rig, B);
    await_role(rig, B, PARTITION_LEADER);
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_end, 2);
}

static bool first_answer_taken(void *context)
{
    const struct partition *part = replica_rig_part(context, C, 1);

    return part != NULL && part->fetcher != NULL && part->follow->answered == 1;
}

/* The first fetch of each leader has number 1: what was answered to the one before says nothing
 * about the next one's (swarm-storage, seed 9060). */
static void the_first_answer_of_the_next_leader_counts(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 2);
    await_hw(rig, C, 2);
    replica_rig_kill(rig, C, false);
    change(rig, 1, 2, NULL);
    replica_rig_start(rig, C); /* A and B have not heard of it: the fetch is refused */
    assert_true(replica_rig_until(rig, 5000, first_answer_taken, rig));
    assert_int_equal(replica_rig_part(rig, C, 1)->high_watermark, 0);
    change(rig, 1, 1, NULL);
    replica_rig_publish_all(rig);
    await_hw(rig, C, 2);
}

static void the_end_is_not_told_before_the_new_leader_knows_it(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_list list = {.timestamp = -1, .current_epoch = -1, .replica_id = -1};
    struct partition_list own = {.timestamp = -1, .current_epoch = -1, .replica_id = 3};

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 3);
    await_end(rig, B, 3);
    replica_rig_kill(rig, A, false);
    replica_rig_kill(rig, C, false);
    replica_rig_part(rig, B, 1)->follow->leader_hw = -1;
    change(rig, 1, 2, (int32_t[]){2, 3, 0});
    replica_rig_publish(rig, B);
    await_role(rig, B, PARTITION_LEADER);
    if (replica_rig_part(rig, B, 1)->high_watermark < 3) {
        partition_list(replica_rig_part(rig, B, 1), &list);
        assert_int_equal(list.err, ERR_OFFSET_NOT_AVAILABLE); /* KIP-207 */
        partition_list_finish(&list);
    }
    partition_list(replica_rig_part(rig, B, 1), &own);
    assert_int_equal(own.err, ERR_NONE);
    assert_int_equal(own.offset, 3);
    partition_list_finish(&own);
    replica_rig_start(rig, C);
    await_hw(rig, B, 3);
    partition_list(replica_rig_part(rig, B, 1), &list);
    assert_int_equal(list.err, ERR_NONE);
    assert_int_equal(list.offset, 3);
    assert_int_equal(list.leader_epoch, 1);
    partition_list_finish(&list);
}

/* ---- a leader's answers, without a network --------------------------------------------------- */

static struct partition_fetch fetch_of(int32_t replica, int64_t epoch, int64_t offset,
                                       int32_t last_epoch)
{
    struct partition_fetch fetch = {.replica_id = replica,
                                    .replica_epoch = epoch,
                                    .current_epoch = 0,
                                    .offset = offset,
                                    .last_fetched_epoch = last_epoch,
                                    .log_start = 0,
                                    .max_bytes = 1000,
                                    .first_whole = true};

    op_source_init(&fetch.read.source);
    return fetch;
}

static bool fetch_done(void *context)
{
    return partition_fetch_read(context);
}

static enum err fetch_now(struct replica_rig *rig, struct partition_fetch *fetch)
{
    partition_fetch(replica_rig_part(rig, A, 1), fetch);
    assert_true(replica_rig_until(rig, 1000, fetch_done, fetch));
    partition_fetch_finish(fetch);
    partition_fetch_end(fetch);
    return fetch->err;
}

static void what_a_leader_answers_to_fetches_by_table(void **state)
{
    struct replica_rig *rig = *state;
    const struct isr *isr;
    struct partition_fetch f;

    add_topic(rig, 1, 1, true);
    replica_rig_start(rig, A);
    await_role(rig, A, PARTITION_LEADER);
    append_and_forget(rig, A, 4);
    await_end(rig, A, 4);
    isr = &replica_rig_part(rig, A, 1)->isr;

    f = fetch_of(2, 1, 0, -1);
    f.current_epoch = 1;
    assert_int_equal(fetch_now(rig, &f), ERR_UNKNOWN_LEADER_EPOCH);
    f = fetch_of(9, 1, 0, -1); /* not a replica, as far as we know */
    assert_int_equal(fetch_now(rig, &f), ERR_UNKNOWN_LEADER_EPOCH);
    f = fetch_of(2, 1, 5, -1);
    assert_int_equal(fetch_now(rig, &f), ERR_OFFSET_OUT_OF_RANGE);
    f = fetch_of(2, 1, 0, 7); /* an epoch that never was */
    assert_int_equal(fetch_now(rig, &f), ERR_OFFSET_OUT_OF_RANGE);
    f = fetch_of(2, 0, 4, 0); /* broker 2 is registered with epoch 1: sent before its restart */
    assert_int_equal(fetch_now(rig, &f), ERR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(isr->replicas[1].log_end, ISR_UNKNOWN); /* F22 */

    f = fetch_of(2, 1, 0, -1);
    f.delayed = true; /* its progress was taken before */
    assert_int_equal(fetch_now(rig, &f), ERR_NONE);
    assert_int_equal(isr->replicas[1].log_end, ISR_UNKNOWN);
    f.delayed = false;
    assert_int_equal(fetch_now(rig, &f), ERR_NONE);
    assert_int_equal(isr->replicas[1].log_end, 0);
    assert_int_equal(f.high_watermark, 0);

    f = fetch_of(-1, -1, 2, -1); /* a consumer, above the high watermark: nothing, no error */
    assert_int_equal(fetch_now(rig, &f), ERR_NONE);
    assert_int_equal(f.limit, 0);
    f = fetch_of(2, 1, 4, 0);
    assert_int_equal(fetch_now(rig, &f), ERR_NONE);
    assert_int_equal(isr->replicas[1].log_end, 4);
    assert_int_equal(replica_rig_part(rig, A, 1)->high_watermark, 0); /* 3 has not fetched */
    f = fetch_of(3, 2, 4, 0);
    assert_int_equal(fetch_now(rig, &f), ERR_NONE);
    assert_int_equal(replica_rig_part(rig, A, 1)->high_watermark, 4);
    assert_int_equal(f.high_watermark, 4);
}

static void a_fetch_that_diverges_is_no_progress(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_fetch f;

    add_topic(rig, 1, 1, true);
    replica_rig_start(rig, A);
    append_and_forget(rig, A, 4);
    await_end(rig, A, 4);
    change(rig, 1, 1, NULL); /* epoch 1 begins at 4 */
    change(rig, 1, 1, NULL); /* epoch 2 too */
    replica_rig_publish(rig, A);
    await_role(rig, A, PARTITION_LEADER);
    append_and_forget(rig, A, 2);
    await_end(rig, A, 6);
    f = fetch_of(2, 1, 5, 1); /* it has [4, 5) of epoch 1, which we never wrote */
    f.current_epoch = 2;
    assert_int_equal(fetch_now(rig, &f), ERR_NONE);
    assert_true(f.diverged);
    assert_int_equal(f.diverging.end_offset, 4);
    assert_int_equal(f.read.count, 0);
    assert_int_equal(replica_rig_part(rig, A, 1)->isr.replicas[1].log_end, ISR_UNKNOWN); /* F8 */
}

/* ---- come and go ----------------------------------------------------------------------------- */

static bool told;

static void tell(struct partition_watcher *watcher)
{
    (void)watcher;
    told = true;
}

/* A fetch that the quota held back waits for news of the partition: this is some. */
static void a_limit_that_is_lifted_wakes_those_it_held_back(void **state)
{
    static const char key[] = "leader.replication.throttled.replicas";
    struct replica_rig *rig = *state;
    struct partition_watcher watcher = {.tell = tell};
    struct partition *part;

    add_topic(rig, 1, 1, false);
    replica_rig_start(rig, A);
    await_role(rig, A, PARTITION_LEADER);
    part = replica_rig_part(rig, A, 1);
    told = false;
    partition_watch(part, &watcher, NULL);
    for (int round = 0; round < 2; round++) {
        replica_rig_config(rig, A, key, round == 0 ? "*" : NULL);
        assert_int_equal(part->throttled_leading, round == 0);
        assert_int_equal(told, round == 1);
    }
    partition_unwatch(&watcher);
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

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 3);
    await_hw(rig, B, 3);
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_REMOVE, .topic = 1});
    add_topic(rig, 2, 2, true); /* the same name */
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

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 3);
    await_hw(rig, B, 3);
    replica_rig_stop(rig, A);
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_REMOVE, .topic = 1});
    add_topic(rig, 2, 1, true);
    replica_rig_start(rig, A);
    assert_int_equal(replica_rig_part(rig, A, 2)->role, PARTITION_LEADER);
    assert_int_equal(replica_rig_part(rig, A, 2)->log->log_end, 0);
    assert_int_equal(replica_rig_part(rig, A, 2)->high_watermark, 0);
}

static void a_removed_topic_takes_its_log_along(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 3);
    await_hw(rig, A, 3);
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_REMOVE, .topic = 1});
    replica_rig_publish_all(rig);
    assert_true(replica_rig_until(rig, 10000, is_gone, &rig->machines[A].node.replicas));
    assert_int_equal(rig->machines[A].node.log_dirs[0].logs_open, 0);
}

static void after_a_power_loss_the_replicas_agree_again(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 5);
    await_hw(rig, B, 5);
    replica_rig_kill(rig, B, true);
    append_and_forget(rig, A, 2);
    replica_rig_run_ms(rig, 1000);
    replica_rig_start(rig, B);
    await_end(rig, B, 7);
    await_hw(rig, A, 7);
    await_hw(rig, B, 7);
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void a_follower_below_the_leaders_start_begins_anew_there(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig, 1, 1, false);
    replica_rig_start(rig, A);
    replica_rig_start(rig, RIG_CONTROLLER);
    for (uint32_t i = 0; i < 4; i++) {
        append_and_forget(rig, A, 5);
    }
    await_hw(rig, A, 20);
    log_raise_start(replica_rig_part(rig, A, 1)->log, 10); /* retention, while B was away */
    replica_rig_start(rig, B);
    await_end(rig, B, 20);
    await_hw(rig, B, 20);
    assert_int_equal(replica_rig_part(rig, B, 1)->log->log_start, 10); /* F16, F28 */
    replica_rig_run_ms(rig, 3000);
    assert_int_equal(isr_size(replica_rig_part(rig, A, 1)->isr.committed), 2);
}

static void an_answer_that_the_metadata_overtook_changes_nothing(void **state)
{
    struct replica_rig *rig = *state;
    struct partition *part;
    int32_t old[] = {1};
    struct partition_altered altered = {.isr = old, .isr_count = 1};

    add_topic(rig, 1, 1, true);
    start_all(rig);
    await_role(rig, A, PARTITION_LEADER);
    part = replica_rig_part(rig, A, 1);
    part->isr.proposed = 3; /* a shrink to 1, 2 was sent ... */
    part->isr.state = ISR_SHRINKING;
    part->alter_sent = true;
    change(rig, 1, -2, (int32_t[]){1, 3, 0}); /* ... and something else was decided */
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

    add_topic(rig, 1, 1, true);
    replica_rig_start(rig, A);
    await_role(rig, A, PARTITION_LEADER);
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

static void a_disk_that_fails_takes_the_replica_offline_and_fails_who_waits(void **state)
{
    struct replica_rig *rig = *state;
    struct sim_disk_rule rule = {.ops = 1U << DISK_WRITE, .error = ERR_IO};
    struct partition_append append;

    add_topic(rig, 1, 1, true);
    start_all(rig);
    append_and_forget(rig, A, 1);
    await_hw(rig, A, 1);
    (void)sim_break_disk(rig->machines[A].world, &rule);
    assert_int_equal(replica_rig_append(rig, A, 1, -1, 1, &append), ERR_NONE);
    await_role(rig, A, PARTITION_OFFLINE);
    assert_int_equal(partition_replicated(&append), ERR_NOT_LEADER_OR_FOLLOWER);
    partition_append_end(&append, ERR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(partition_check_leader(replica_rig_part(rig, A, 1), 0),
                     ERR_KAFKA_STORAGE_ERROR);
    change(rig, 1, 2, (int32_t[]){2, 3, 0});
    replica_rig_publish_all(rig);
    append_and_forget(rig, B, 1);
    await_hw(rig, B, 2);
    replica_rig_kill(rig, A, false); /* its process would end now */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(what_is_produced_reaches_every_replica_and_then_counts),
        WITH_RIG(deleted_records_are_gone_on_every_live_replica_and_stay_gone),
        WITH_RIG(what_was_deleted_stays_so_when_a_follower_is_killed_at_once),
        WITH_RIG(a_doubt_outlasts_the_time_when_nobody_is_in_sync),
        WITH_RIG(who_waits_for_the_low_watermark_hears_of_replicas_that_no_longer_count),
        WITH_RIG(old_segments_go_by_themselves_on_leader_and_followers),
        WITH_RIG(followers_that_catch_up_enter_the_set_by_alter_partition),
        WITH_RIG(a_request_for_several_partitions_names_each_topic_once),
        WITH_RIG(a_follower_that_stops_is_put_out_and_the_rest_goes_on),
        WITH_RIG(a_refused_change_is_taken_back_and_asked_for_again_later),
        WITH_RIG(nobody_waits_for_ever_for_followers_that_were_about_to_join),
        WITH_RIG(acks_all_is_refused_with_too_few_in_sync_and_acks_1_is_not),
        WITH_RIG(a_new_leader_ends_the_waits_of_the_old_one),
        WITH_RIG(a_new_leader_ends_the_waits_for_a_slow_disk),
        WITH_RIG(a_log_that_diverged_is_cut_to_where_it_parted),
        WITH_RIG(a_restarted_follower_keeps_what_lies_above_its_high_watermark),
        WITH_RIG(the_first_answer_of_the_next_leader_counts),
        WITH_RIG(the_end_is_not_told_before_the_new_leader_knows_it),
        WITH_RIG(what_a_leader_answers_to_fetches_by_table),
        WITH_RIG(a_fetch_that_diverges_is_no_progress),
        WITH_RIG(a_limit_that_is_lifted_wakes_those_it_held_back),
        WITH_RIG(a_topic_deleted_and_made_again_in_one_delta_begins_empty),
        WITH_RIG(a_topic_that_was_deleted_while_the_broker_was_down_stands_in_nobodys_way),
        WITH_RIG(a_removed_topic_takes_its_log_along),
        WITH_RIG(after_a_power_loss_the_replicas_agree_again),
        WITH_RIG(a_follower_below_the_leaders_start_begins_anew_there),
        WITH_RIG(an_answer_that_the_metadata_overtook_changes_nothing),
        WITH_RIG(answers_of_the_controller_by_table),
        WITH_RIG(a_disk_that_fails_takes_the_replica_offline_and_fails_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
