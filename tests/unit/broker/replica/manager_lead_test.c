/* Proves: when leaderships change, waits end, logs that diverged are made equal, and the high
 * watermark never lies; and what a leader answers to fetches (replication.md 3, 7-9). */
#include "tests/support/replica_acts.h"

enum { A, B, C };

static void a_new_leader_ends_the_waits_of_the_old_one(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_append append;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_rig_kill(rig, C, false); /* so that nothing can be acknowledged */
    assert_int_equal(replica_rig_append(rig, A, 1, -1, 1, &append), ERR_NONE);
    replica_await_end(rig, B, 1);
    assert_int_equal(partition_replicated(&append), ERR_REQUEST_TIMED_OUT);
    replica_change(rig, 1, 2, (int32_t[]){1, 2, 0});
    replica_rig_publish_all(rig);
    assert_int_equal(partition_replicated(&append), ERR_NOT_LEADER_OR_FOLLOWER);
    replica_await_role(rig, A, PARTITION_FOLLOWER);
    replica_await_role(rig, B, PARTITION_LEADER);
    replica_await_hw(rig, B, 1);
    /* Back again: the offset is committed, but by another leader's doing. */
    replica_change(rig, 1, 1, NULL);
    replica_rig_publish_all(rig);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_await_hw(rig, A, 1);
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

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_put(rig, A, 1);
    replica_await_end(rig, A, 1);
    sim_stall_disk(rig->machines[A].world, rig->sim->now_ns + 20 * NS_PER_SEC);
    assert_int_equal(replica_rig_append(rig, A, 1, 1, 1, &written.append), ERR_NONE);
    op_start(&rig->machines[A].node.env.loop, &written.op, &written_kind, 0);
    replica_rig_run_ms(rig, 100);
    assert_true(op_live(&written.op));
    replica_change(rig, 1, 2, (int32_t[]){1, 2, 3, 0});
    replica_rig_publish_all(rig);
    replica_rig_run_ms(rig, 100);
    assert_false(op_live(&written.op));
    assert_int_equal(written.err, ERR_NOT_LEADER_OR_FOLLOWER);
    replica_rig_run_ms(rig, 20000);
}

static void a_log_that_diverged_is_cut_to_where_it_parted(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 3);
    replica_await_hw(rig, B, 3);
    replica_await_hw(rig, C, 3);
    replica_rig_kill(rig, B, false);
    replica_rig_kill(rig, C, false);
    replica_put(rig, A, 4); /* [3, 7) of epoch 0 on A alone */
    replica_await_end(rig, A, 7);
    assert_int_equal(replica_rig_part(rig, A, 1)->high_watermark, 3);
    replica_change(rig, 1, 2, (int32_t[]){2, 3, 0});
    replica_rig_start(rig, B); /* leads epoch 1 */
    replica_rig_start(rig, C);
    replica_put(rig, B, 2); /* [3, 5) of epoch 1 */
    replica_await_hw(rig, B, 5);
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_end, 7);
    replica_rig_publish_all(rig); /* A learns of it */
    replica_await_end(rig, A, 5);
    assert_int_equal(log_latest_epoch(replica_rig_part(rig, A, 1)->log), 1);
    assert_int_equal(replica_rig_part(rig, A, 1)->divergences, 1);
    replica_await_hw(rig, A, 5);
    assert_true(rig->traced[TRACE_REPLICA_DIVERGED] == 1);
}

static void a_restarted_follower_keeps_what_lies_above_its_high_watermark(void **state)
{
    struct replica_rig *rig = *state;

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 2);
    replica_await_end(rig, B, 2);
    replica_rig_kill(rig, B, false); /* its high watermark was never checkpointed: F1, F15 */
    replica_rig_kill(rig, A, false);
    replica_change(rig, 1, 2, (int32_t[]){2, 3, 0});
    replica_rig_start(rig, B);
    replica_await_role(rig, B, PARTITION_LEADER);
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

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 2);
    replica_await_hw(rig, C, 2);
    replica_rig_kill(rig, C, false);
    replica_change(rig, 1, 2, NULL);
    replica_rig_start(rig, C); /* A and B have not heard of it: the fetch is refused */
    assert_true(replica_rig_until(rig, 5000, first_answer_taken, rig));
    assert_int_equal(replica_rig_part(rig, C, 1)->high_watermark, 0);
    replica_change(rig, 1, 1, NULL);
    replica_rig_publish_all(rig);
    replica_await_hw(rig, C, 2);
}

static void the_end_is_not_told_before_the_new_leader_knows_it(void **state)
{
    struct replica_rig *rig = *state;
    struct partition_list list = {.timestamp = -1, .current_epoch = -1, .replica_id = -1};
    struct partition_list own = {.timestamp = -1, .current_epoch = -1, .replica_id = 3};

    replica_topic(rig, 1, 1, true);
    replica_start_all(rig);
    replica_put(rig, A, 3);
    replica_await_end(rig, B, 3);
    replica_rig_kill(rig, A, false);
    replica_rig_kill(rig, C, false);
    replica_rig_part(rig, B, 1)->follow->leader_hw = -1;
    replica_change(rig, 1, 2, (int32_t[]){2, 3, 0});
    replica_rig_publish(rig, B);
    replica_await_role(rig, B, PARTITION_LEADER);
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
    replica_await_hw(rig, B, 3);
    partition_list(replica_rig_part(rig, B, 1), &list);
    assert_int_equal(list.err, ERR_NONE);
    assert_int_equal(list.offset, 3);
    assert_int_equal(list.leader_epoch, 1);
    partition_list_finish(&list);
}

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

    replica_topic(rig, 1, 1, true);
    replica_rig_start(rig, A);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_put(rig, A, 4);
    replica_await_end(rig, A, 4);
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

    replica_topic(rig, 1, 1, true);
    replica_rig_start(rig, A);
    replica_put(rig, A, 4);
    replica_await_end(rig, A, 4);
    replica_change(rig, 1, 1, NULL); /* epoch 1 begins at 4 */
    replica_change(rig, 1, 1, NULL); /* epoch 2 too */
    replica_rig_publish(rig, A);
    replica_await_role(rig, A, PARTITION_LEADER);
    replica_put(rig, A, 2);
    replica_await_end(rig, A, 6);
    f = fetch_of(2, 1, 5, 1); /* it has [4, 5) of epoch 1, which we never wrote */
    f.current_epoch = 2;
    assert_int_equal(fetch_now(rig, &f), ERR_NONE);
    assert_true(f.diverged);
    assert_int_equal(f.diverging.end_offset, 4);
    assert_int_equal(f.read.count, 0);
    assert_int_equal(replica_rig_part(rig, A, 1)->isr.replicas[1].log_end, ISR_UNKNOWN); /* F8 */
}

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

    replica_topic(rig, 1, 1, false);
    replica_rig_start(rig, A);
    replica_await_role(rig, A, PARTITION_LEADER);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_new_leader_ends_the_waits_of_the_old_one),
        WITH_RIG(a_new_leader_ends_the_waits_for_a_slow_disk),
        WITH_RIG(a_log_that_diverged_is_cut_to_where_it_parted),
        WITH_RIG(a_restarted_follower_keeps_what_lies_above_its_high_watermark),
        WITH_RIG(the_first_answer_of_the_next_leader_counts),
        WITH_RIG(the_end_is_not_told_before_the_new_leader_knows_it),
        WITH_RIG(what_a_leader_answers_to_fetches_by_table),
        WITH_RIG(a_fetch_that_diverges_is_no_progress),
        WITH_RIG(a_limit_that_is_lifted_wakes_those_it_held_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
