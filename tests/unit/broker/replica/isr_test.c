/* The in-sync set by table: which log ends the high watermark waits for (replication.md 4), who may
 * enter and who must leave (9), and the traps F18, F20 to F22, F26. */
#include "broker/replica/isr.h"
#include "tests/support/support.h"

enum { SELF = 1, SECOND = 1000, LAG = 30 * SECOND };

struct fixture {
    struct support_memory memory;
    struct isr isr;
    struct isr_brokers brokers;
    struct isr_broker broker[5]; /* by id */
    struct isr_facts facts;
};

static struct isr_broker find(const struct isr_brokers *brokers, int32_t id)
{
    const struct fixture *f =
        (const struct fixture *)(const void *)((const char *)brokers -
                                               offsetof(struct fixture, brokers));

    return f->broker[id];
}

static const int32_t replicas[] = {1, 2, 3};

static void set(struct fixture *f, const int32_t *members, uint32_t count)
{
    assert_int_equal(isr_set(&f->isr, SELF, replicas, 3, members, count), ERR_NONE);
}

static struct mono_time at_ms(int64_t ms)
{
    return (struct mono_time){ms * NS_PER_MS};
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.brokers = {find}};
    support_memory_init(&f.memory, 1 << 20);
    for (int32_t id = 1; id < 5; id++) {
        f.broker[id] = (struct isr_broker){100 + id, true};
    }
    isr_init(&f.isr, &f.memory.mem);
    f.facts = (struct isr_facts){.log_end = 100,
                                 .high_watermark = 40,
                                 .leader_epoch_start = 30,
                                 .min_isr = 1,
                                 .now = at_ms(0),
                                 .lag_max_ms = LAG,
                                 .brokers = &f.brokers};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    isr_deinit(&f->isr);
    support_memory_deinit(&f->memory);
    return 0;
}

static void fetched(struct fixture *f, int32_t id, int64_t offset)
{
    isr_fetched(&f->isr, (uint32_t)isr_index(&f->isr, id),
                &(struct isr_fetch){.offset = offset,
                                    .log_start = 0,
                                    .broker_epoch = 100 + id,
                                    .leader_end = f->facts.log_end,
                                    .now = f->facts.now});
}

static int64_t hw(const struct fixture *f)
{
    return isr_high_watermark(&f->isr, &f->facts);
}

static bool may_enter(const struct fixture *f, int32_t id)
{
    return isr_may_expand(&f->isr, (uint32_t)isr_index(&f->isr, id), &f->facts);
}

static uint64_t laggards(const struct fixture *f)
{
    return isr_laggards(&f->isr, &f->facts);
}

/* ---- high watermark -------------------------------------------------------------------------- */

static void the_high_watermark_by_table(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        int32_t members[3];
        uint32_t count;
        int64_t end2; /* log ends of 2 and 3; -1: has not fetched in this epoch */
        int64_t end3;
        int32_t min_isr;
        int64_t expected;
    } rows[] = {
        {"all have everything", {1, 2, 3}, 3, 100, 100, 1, 100},
        {"the slowest member counts", {1, 2, 3}, 3, 60, 80, 1, 60},
        {"who has not fetched in this epoch holds it", {1, 2, 3}, 3, -1, 100, 1, 40},
        {"never down", {1, 2, 3}, 3, 20, 100, 1, 40},
        {"alone", {1}, 1, -1, -1, 1, 100},
        {"out and far behind does not count", {1, 2}, 2, 90, 10, 1, 90},
        {"too few for min.insync.replicas", {1, 2}, 2, 100, 100, 3, 40},
        {"just enough", {1, 2}, 2, 100, -1, 2, 100},
        {"min.insync.replicas is capped by the replicas", {1, 2, 3}, 3, 100, 100, 9, 100},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        f->facts.now = at_ms(10 * LAG);
        f->facts.min_isr = rows[i].min_isr;
        set(f, rows[i].members, rows[i].count);
        isr_new_epoch(&f->isr, at_ms(0));
        if (rows[i].end2 >= 0) fetched(f, 2, rows[i].end2);
        if (rows[i].end3 >= 0) fetched(f, 3, rows[i].end3);
        if (hw(f) != rows[i].expected) {
            fail_msg("%s: %lld", rows[i].name, (long long)hw(f));
        }
        isr_check(&f->isr);
    }
}

static void who_caught_up_and_is_eligible_is_waited_for_outside_the_set(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1, 2}, 2);
    isr_new_epoch(&f->isr, f->facts.now);
    fetched(f, 3, 100); /* caught up */
    f->facts.log_end = 150;
    f->facts.now = at_ms(SECOND);
    fetched(f, 2, 150);
    assert_int_equal(hw(f), 100);
    f->broker[3].active = false; /* fenced: will not enter */
    assert_int_equal(hw(f), 150);
    f->broker[3] = (struct isr_broker){999, true}; /* started anew since it fetched */
    assert_int_equal(hw(f), 150);
    f->broker[3] = (struct isr_broker){103, true};
    assert_int_equal(hw(f), 100);
    f->facts.now = at_ms(SECOND + LAG + 1); /* it lost its chance */
    assert_int_equal(hw(f), 150);
}

static void at_the_beginning_of_time_nobody_outside_counts_as_caught_up(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1}, 1);
    isr_new_epoch(&f->isr, at_ms(0));
    assert_int_equal(hw(f), 100);
}

static void a_shrink_counts_only_when_it_is_committed(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1, 2, 3}, 3);
    isr_new_epoch(&f->isr, at_ms(0));
    f->facts.now = at_ms(LAG + 1);
    fetched(f, 2, 100);
    assert_int_equal(hw(f), 40);
    assert_int_equal(laggards(f), 1U << 2);
    isr_shrink(&f->isr, laggards(f));
    assert_int_equal(isr_maximal(&f->isr), 7);
    assert_int_equal(hw(f), 40);      /* F18 */
    assert_int_equal(laggards(f), 0); /* one change at a time */
    isr_commit(&f->isr, (int32_t[]){1, 2}, 2);
    assert_int_equal(hw(f), 100);
}

static void an_expansion_counts_from_the_moment_it_is_asked_for(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1}, 1);
    isr_new_epoch(&f->isr, at_ms(0));
    fetched(f, 2, 50);
    assert_true(may_enter(f, 2));
    isr_expand(&f->isr, 1);
    f->facts.now = at_ms(10 * LAG);
    assert_int_equal(isr_maximal(&f->isr), 3);
    assert_int_equal(hw(f), 50);
    assert_int_equal(isr_size(f->isr.committed), 1);
    isr_revert(&f->isr);
    assert_int_equal(hw(f), 100);
}

static void min_isr_is_checked_on_the_committed_set_before_and_the_maximal_after(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1}, 1);
    isr_new_epoch(&f->isr, at_ms(0));
    fetched(f, 2, 100);
    isr_expand(&f->isr, 1);
    assert_false(isr_enough(&f->isr, 2));
    assert_true(isr_enough_after(&f->isr, 2));
    assert_false(isr_enough_after(&f->isr, 3));
}

/* ---- enter ----------------------------------------------------------------------------------- */

static void who_may_enter_by_table(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        int64_t offset; /* -1: no fetch */
        int64_t high_watermark;
        int64_t epoch_start;
        struct isr_broker broker;
        bool expected;
    } rows[] = {
        {"has both", 50, 40, 30, {103, true}, true},
        {"exactly both", 40, 40, 40, {103, true}, true},
        {"below the high watermark", 39, 40, 30, {103, true}, false},
        {"below the epoch's start: divergence is not checked", 45, 40, 50, {103, true}, false},
        {"never fetched in this epoch", -1, 40, 30, {103, true}, false},
        {"fenced or shutting down (F20)", 50, 40, 30, {103, false}, false},
        {"another incarnation is registered (F21)", 50, 40, 30, {104, true}, false},
        {"not registered", 50, 40, 30, {-1, false}, false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        set(f, (int32_t[]){1, 2}, 2);
        isr_new_epoch(&f->isr, at_ms(0));
        f->facts.high_watermark = rows[i].high_watermark;
        f->facts.leader_epoch_start = rows[i].epoch_start;
        f->broker[3] = rows[i].broker;
        if (rows[i].offset >= 0) fetched(f, 3, rows[i].offset);
        if (may_enter(f, 3) != rows[i].expected) fail_msg("%s", rows[i].name);
        assert_false(may_enter(f, 1)); /* itself */
        assert_false(may_enter(f, 2)); /* already in */
    }
}

static void a_fetch_that_names_no_broker_epoch_is_eligible(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1}, 1);
    isr_new_epoch(&f->isr, at_ms(0));
    isr_fetched(
        &f->isr, 1,
        &(struct isr_fetch){
            .offset = 100, .log_start = 0, .broker_epoch = -1, .leader_end = 100, .now = at_ms(0)});
    assert_true(may_enter(f, 2));
}

static void nobody_enters_while_a_change_is_pending(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1}, 1);
    isr_new_epoch(&f->isr, at_ms(0));
    fetched(f, 2, 100);
    fetched(f, 3, 100);
    isr_expand(&f->isr, 1);
    assert_false(may_enter(f, 3));
    EXPECT_BUG(isr_expand(&f->isr, 2));
}

/* ---- leave ----------------------------------------------------------------------------------- */

static void a_member_that_has_everything_never_lags_however_long_ago(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1, 2, 3}, 3);
    isr_new_epoch(&f->isr, at_ms(0));
    fetched(f, 2, 100);
    f->facts.now = at_ms(100 * LAG);
    assert_int_equal(laggards(f), 1U << 2);
}

static void members_get_a_whole_lag_from_the_start_of_the_epoch(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1, 2, 3}, 3);
    isr_new_epoch(&f->isr, at_ms(5 * LAG));
    f->facts.now = at_ms(6 * LAG);
    assert_int_equal(laggards(f), 0);
    f->facts.now = at_ms(6 * LAG + 1);
    assert_int_equal(laggards(f), 6);
}

static void reaching_the_end_of_the_previous_fetch_counts_as_caught_up_then(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1, 2}, 2);
    isr_new_epoch(&f->isr, at_ms(0));
    f->facts.now = at_ms(20 * SECOND);
    fetched(f, 2, 50); /* the end was 100 */
    f->facts.log_end = 200;
    f->facts.now = at_ms(40 * SECOND);
    fetched(f, 2, 100); /* what was there 20 s ago */
    assert_int_equal(f->isr.replicas[1].last_caught_up.ns, at_ms(20 * SECOND).ns);
    f->facts.now = at_ms(50 * SECOND);
    assert_int_equal(laggards(f), 0);
    f->facts.now = at_ms(50 * SECOND + 1);
    assert_int_equal(laggards(f), 2);
}

static void a_member_that_falls_behind_step_by_step_lags_in_the_end(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1, 2}, 2);
    isr_new_epoch(&f->isr, at_ms(0));
    for (int64_t i = 1; i <= 40; i++) {
        f->facts.now = at_ms(i * SECOND);
        f->facts.log_end = 100 + 100 * i;
        fetched(f, 2, 10 * i); /* active, but slower than the producers */
    }
    assert_int_equal(laggards(f), 2);
}

/* ---- epochs ---------------------------------------------------------------------------------- */

static void a_new_epoch_forgets_every_log_end_also_of_the_same_leader(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1, 2, 3}, 3);
    isr_new_epoch(&f->isr, at_ms(0));
    fetched(f, 2, 100);
    fetched(f, 3, 100);
    isr_new_epoch(&f->isr, at_ms(1)); /* F26: one of them may have lost its log */
    assert_int_equal(f->isr.replicas[1].log_end, ISR_UNKNOWN);
    assert_int_equal(f->isr.replicas[2].broker_epoch, -1);
    assert_int_equal(hw(f), 40);
}

static void metadata_ends_a_pending_change_and_keeps_what_is_known_of_who_stays(void **state)
{
    struct fixture *f = *state;

    set(f, (int32_t[]){1, 2}, 2);
    isr_new_epoch(&f->isr, at_ms(0));
    fetched(f, 2, 70);
    fetched(f, 3, 100);
    isr_expand(&f->isr, 2);
    assert_int_equal(isr_set(&f->isr, SELF, (int32_t[]){4, 2, 1}, 3, (int32_t[]){1, 2}, 2),
                     ERR_NONE);
    assert_int_equal(f->isr.state, ISR_COMMITTED);
    assert_int_equal(f->isr.self, 2);
    assert_int_equal(isr_index(&f->isr, 3), -1);
    assert_int_equal(f->isr.replicas[0].log_end, ISR_UNKNOWN);
    assert_int_equal(f->isr.replicas[1].log_end, 70);
    assert_int_equal(f->isr.committed, 6);
}

static void members_that_are_no_replicas_are_left_out(void **state)
{
    struct fixture *f = *state;
    int32_t ids[ISR_REPLICAS_MAX];

    set(f, (int32_t[]){1, 4, 3}, 3);
    assert_int_equal(isr_ids(&f->isr, f->isr.committed, ids), 2);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 3);
}

static void too_many_replicas_and_no_memory_change_nothing(void **state)
{
    struct fixture *f = *state;
    int32_t many[ISR_REPLICAS_MAX + 1];

    for (int32_t i = 0; i <= ISR_REPLICAS_MAX; i++) {
        many[i] = i + 1;
    }
    set(f, (int32_t[]){1, 2}, 2);
    assert_int_equal(isr_set(&f->isr, SELF, many, ISR_REPLICAS_MAX + 1, many, 1), ERR_TOO_MANY);
    f->memory.mem.fail_at = 1;
    assert_int_equal(isr_set(&f->isr, SELF, many, 5, many, 1), ERR_NO_MEMORY);
    assert_int_equal(f->isr.count, 3);
    assert_int_equal(f->isr.committed, 3);
    assert_int_equal(isr_set(&f->isr, 64, many, 64, many, 64), ERR_NONE);
    assert_int_equal(isr_size(f->isr.committed), 64);
    isr_check(&f->isr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_high_watermark_by_table, setup, teardown),
        cmocka_unit_test_setup_teardown(who_caught_up_and_is_eligible_is_waited_for_outside_the_set,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(at_the_beginning_of_time_nobody_outside_counts_as_caught_up,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_shrink_counts_only_when_it_is_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(an_expansion_counts_from_the_moment_it_is_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            min_isr_is_checked_on_the_committed_set_before_and_the_maximal_after, setup, teardown),
        cmocka_unit_test_setup_teardown(who_may_enter_by_table, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fetch_that_names_no_broker_epoch_is_eligible, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nobody_enters_while_a_change_is_pending, setup, teardown),
        cmocka_unit_test_setup_teardown(a_member_that_has_everything_never_lags_however_long_ago,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(members_get_a_whole_lag_from_the_start_of_the_epoch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            reaching_the_end_of_the_previous_fetch_counts_as_caught_up_then, setup, teardown),
        cmocka_unit_test_setup_teardown(a_member_that_falls_behind_step_by_step_lags_in_the_end,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_epoch_forgets_every_log_end_also_of_the_same_leader,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            metadata_ends_a_pending_change_and_keeps_what_is_known_of_who_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(members_that_are_no_replicas_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_replicas_and_no_memory_change_nothing, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
