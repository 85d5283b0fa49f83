/* Proves: whoever waits for something of a replica is woken when it changes, whoever changes it:
 * readers when the log is being cut, who waits for a deletion when its start moves, and a move that
 * waits for a change of the in-sync set. The rig asks after each turn whether a wake-up is lost. */
#include "tests/support/replica_rig.h"

#include <string.h>

enum { A, B };
enum { RECORDS = 10 };

static struct replica_rig *the_rig;

static struct partition *part_of(uint32_t machine)
{
    return replica_rig_part(the_rig, machine, 1);
}

static struct env *env_of(uint32_t machine)
{
    return &the_rig->machines[machine].node.env;
}

/* ---- who waits ------------------------------------------------------------------------------- */

enum waiter_step { WAITER_START, WAITER_READS, WAITER_DELETES };
static const char *const waiter_steps[] = {"START", "READS", "DELETES"};

static struct waiter {
    struct op op;
    struct partition *part;
    struct op_source news;
    struct partition_watcher watcher;
    struct partition_fetch fetch;
    int64_t deletes_to; /* -1: it reads */
    enum err err;       /* what its fetch would be told when it went on */
    bool over;
} waiter;

static enum op_result waiter_run(struct op *op)
{
    struct waiter *o = CONTAINER_OF(op, struct waiter, op);

    switch ((enum waiter_step)op->step) {
    case WAITER_START:
        if (o->deletes_to < 0) {
            AWAIT(o, WAITER_READS, &o->news, partition_fetch_ready(o->part, &o->fetch));
            o->err = partition_fetch_check(o->part, &o->fetch);
        } else {
            AWAIT(o, WAITER_DELETES, &o->part->start_source,
                  partition_low_watermark(o->part) >= o->deletes_to);
        }
        partition_unwatch(&o->watcher);
        o->over = true;
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind waiter_kind = {"waiter", waiter_steps, COUNT_OF(waiter_steps),
                                           waiter_run, NULL};

static void wait_at(uint32_t machine, int64_t offset, int64_t deletes_to)
{
    memset(&waiter, 0, sizeof waiter);
    waiter.part = part_of(machine);
    waiter.deletes_to = deletes_to;
    waiter.fetch = (struct partition_fetch){.replica_id = -1,
                                            .replica_epoch = -1,
                                            .current_epoch = -1,
                                            .offset = offset,
                                            .last_fetched_epoch = -1,
                                            .log_start = -1,
                                            .any_replica = true};
    op_source_init(&waiter.news);
    partition_watch(waiter.part, &waiter.watcher, &waiter.news);
    op_start(&env_of(machine)->loop, &waiter.op, &waiter_kind, WAITER_START);
    replica_rig_run_ms(the_rig, 50);
    assert_false(waiter.over);
    env_of(machine)->now = sim_node_now(the_rig->machines[machine].world);
}

static bool is_over(void *context)
{
    (void)context;
    return waiter.over;
}

static bool has_all(void *context)
{
    const struct partition *part = part_of(B);

    (void)context;
    return part != NULL && part->opened && part->high_watermark == RECORDS && partition_quiet(part);
}

static bool is_open(void *context)
{
    (void)context;
    return partition_quiet(part_of(B)) && part_of(B)->log->state == LOG_OPEN;
}

static void add_topic(const int32_t *isr)
{
    struct rig_record part = {.kind = RIG_PARTITION, .id = 1, .topic = 1, .replicas = {1, 2}};

    replica_rig_add(the_rig, &(struct rig_record){.kind = RIG_TOPIC, .topic = 1});
    memcpy(part.isr, isr, 2 * sizeof *isr);
    replica_rig_add(the_rig, &part);
}

/* A leads, B has all of it, and nothing more comes. */
static void two_level(struct replica_rig *rig)
{
    struct partition_append append;

    the_rig = rig;
    add_topic((int32_t[]){1, 2});
    replica_rig_start(rig, RIG_CONTROLLER);
    replica_rig_start(rig, A);
    replica_rig_start(rig, B);
    assert_true(replica_rig_until(rig, 20000, replica_rig_leads, rig));
    assert_int_equal(replica_rig_append(rig, A, 1, 1, RECORDS, &append), ERR_NONE);
    partition_append_end(&append, ERR_NONE);
    assert_true(replica_rig_until(rig, 20000, has_all, NULL));
}

static void a_reader_of_a_follower_is_told_that_its_log_is_being_cut(void **state)
{
    two_level(*state);
    replica_rig_kill(the_rig, A, false);
    wait_at(B, RECORDS, -1);
    partition_truncate(part_of(B), RECORDS); /* nothing moves but the state */
    assert_true(replica_rig_until(the_rig, 1000, is_over, NULL));
    assert_int_equal(waiter.err, ERR_OFFSET_NOT_AVAILABLE);
    assert_true(replica_rig_until(the_rig, 1000, is_open, NULL));
    wait_at(B, RECORDS, -1);
    assert_int_equal(partition_reset(part_of(B), RECORDS, NULL), ERR_NONE);
    assert_true(replica_rig_until(the_rig, 1000, is_over, NULL));
    assert_int_equal(waiter.err, ERR_OFFSET_NOT_AVAILABLE);
    assert_true(replica_rig_until(the_rig, 1000, is_open, NULL));
    assert_int_equal(part_of(B)->log->log_start, RECORDS);
}

static void a_log_start_that_moves_is_told_whoever_moves_it(void **state)
{
    two_level(*state);
    wait_at(A, RECORDS, RECORDS / 2);
    log_raise_start(part_of(B)->log, RECORDS / 2);
    replica_rig_run_ms(the_rig, 3000); /* the follower tells of it with a fetch */
    assert_false(waiter.over);
    assert_int_equal(part_of(A)->isr.replicas[1].log_start, RECORDS / 2);
    log_raise_start(part_of(A)->log, RECORDS / 2);
    assert_true(replica_rig_until(the_rig, 1000, is_over, NULL));
}

static bool is_holding(void *context)
{
    (void)context;
    return partition_held(part_of(A)) == PARTITION_HOLDING;
}

static bool has_moved(void *context)
{
    (void)context;
    return part_of(A)->move == NULL && part_of(A)->dir == 1 && replica_rig_leads(the_rig);
}

/* Nothing is written and nobody asks: only the decision can wake the replica. */
static void a_move_that_waits_for_the_in_sync_set_goes_on_when_that_is_decided(void **state)
{
    static const struct {
        enum err err;
        bool told; /* by the metadata, not by the answer */
    } rows[] = {{ERR_NONE, false}, {ERR_INELIGIBLE_REPLICA, false}, {ERR_NONE, true}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct replica_rig rig;
        struct partition_altered altered = {
            .err = rows[i].err, .partition_epoch = 1, .isr = (int32_t[]){1}, .isr_count = 1};
        struct partition *part;

        replica_rig_init(&rig, 7);
        rig.second = true;
        the_rig = &rig;
        add_topic((int32_t[]){1, 2});
        replica_rig_start(&rig, A);
        assert_true(replica_rig_until(&rig, 20000, replica_rig_leads, &rig));
        part = part_of(A);
        assert_int_equal(manager_move(&rig.machines[A].node.replicas, part, 1), ERR_NONE);
        isr_shrink(&part->isr, 2); /* B is down: proposed, and not decided */
        part->alter_sent = true;
        assert_true(replica_rig_until(&rig, 20000, is_holding, NULL));
        replica_rig_run_ms(&rig, 1000);
        assert_true(is_holding(NULL));
        if (rows[i].told) {
            replica_rig_add(
                &rig, &(struct rig_record){.kind = RIG_CHANGE, .id = -2, .topic = 1, .isr = {1}});
            replica_rig_publish(&rig, A);
        } else {
            assert_int_equal(partition_altered(part, &altered), PARTITION_ALTER_OVER);
        }
        assert_true(replica_rig_until(&rig, 20000, has_moved, NULL));
        replica_rig_deinit(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_reader_of_a_follower_is_told_that_its_log_is_being_cut),
        WITH_RIG(a_log_start_that_moves_is_told_whoever_moves_it),
        cmocka_unit_test(a_move_that_waits_for_the_in_sync_set_goes_on_when_that_is_decided),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
