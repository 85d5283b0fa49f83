/* A follower's decisions: which answers count, where to cut, where to begin (replication.md 7), and
 * the histories F1, F3, F4, F6, F8 to F11, F14 to F16 replayed on the pure parts: real epoch lists
 * on both sides, logs reduced to their ends. */
#include "broker/replica/follower.h"
#include "tests/support/support.h"

#include "client/base/list.h"

/* A replica reduced to what divergence is about. */
struct replica {
    struct log_epochs epochs;
    int64_t log_end;
    int64_t high_watermark;
    int32_t leader_epoch;
};

struct fixture {
    struct support_memory memory;
    struct replica a;
    struct replica b;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){0};
    support_memory_init(&f.memory, 1 << 20);
    log_epochs_init(&f.a.epochs, &f.memory.mem);
    log_epochs_init(&f.b.epochs, &f.memory.mem);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    log_epochs_deinit(&f->a.epochs);
    log_epochs_deinit(&f->b.epochs);
    support_memory_deinit(&f->memory);
    return 0;
}

static void epoch(struct replica *replica, int32_t number, int64_t start)
{
    assert_int_equal(log_epochs_reserve(&replica->epochs, 1), ERR_NONE);
    (void)log_epochs_assign(&replica->epochs, number, start);
}

static struct log_epoch_end end_for(const struct replica *replica, int32_t number)
{
    return log_epochs_end_for(&replica->epochs, number, replica->log_end);
}

static void cut_to(struct replica *replica, int64_t to)
{
    if (to < replica->log_end) replica->log_end = to;
    if (replica->high_watermark > to) replica->high_watermark = to;
    (void)log_epochs_cut_end(&replica->epochs, replica->log_end);
}

/* One fetch: the leader's divergence rule (replication.md 6), then the follower's. True: cut. */
static bool fetch_round(struct replica *follower, const struct replica *leader)
{
    int32_t last = log_epochs_latest(&follower->epochs);
    struct log_epoch_end end = end_for(leader, last);
    struct follower_cut cut = {.leader = end,
                               .own = end_for(follower, end.epoch),
                               .log_end = follower->log_end,
                               .high_watermark = follower->high_watermark};

    assert_true(end.end_offset >= 0);
    if (end.epoch >= last && end.end_offset >= follower->log_end) return false;
    cut_to(follower, follower_truncation(&cut));
    return true;
}

static uint32_t reconcile(struct replica *follower, const struct replica *leader)
{
    uint32_t rounds = 0;

    while (fetch_round(follower, leader)) {
        rounds++;
        assert_true(rounds < 10); /* R55 */
    }
    return rounds;
}

/* ---- which answers count --------------------------------------------------------------------- */

static void answers_by_table(void **state)
{
    static const struct {
        const char *name;
        struct follower_answer answer;
        bool busy;
        enum follower_act expected;
    } rows[] = {
        {"data", {5, 100, ERR_NONE, false, true}, false, FOLLOWER_APPEND},
        {"empty", {5, 100, ERR_NONE, false, false}, false, FOLLOWER_ADVANCE},
        {"diverged", {5, 100, ERR_NONE, true, false}, false, FOLLOWER_TRUNCATE},
        {"diverged, data too: not used (F9)",
         {5, 100, ERR_NONE, true, true},
         false,
         FOLLOWER_TRUNCATE},
        {"error before divergence",
         {5, 100, ERR_NOT_LEADER_OR_FOLLOWER, true, true},
         false,
         FOLLOWER_BACK_OFF},
        {"late, diverged, of the leader before (F6)",
         {4, 100, ERR_NONE, true, false},
         false,
         FOLLOWER_IGNORE},
        {"late data of the leader before", {4, 100, ERR_NONE, false, true}, false, FOLLOWER_IGNORE},
        {"of a newer epoch than ours", {6, 100, ERR_NONE, false, true}, false, FOLLOWER_IGNORE},
        {"another offset (F14)", {5, 90, ERR_NONE, false, true}, false, FOLLOWER_IGNORE},
        {"still appending", {5, 100, ERR_NONE, false, true}, true, FOLLOWER_IGNORE},
        {"late error", {4, 100, ERR_OFFSET_OUT_OF_RANGE, false, false}, false, FOLLOWER_IGNORE},
        {"out of range",
         {5, 100, ERR_OFFSET_OUT_OF_RANGE, false, false},
         false,
         FOLLOWER_OUT_OF_RANGE},
        {"fenced", {5, 100, ERR_FENCED_LEADER_EPOCH, false, false}, false, FOLLOWER_PARK},
        {"leader does not know yet",
         {5, 100, ERR_UNKNOWN_LEADER_EPOCH, false, false},
         false,
         FOLLOWER_BACK_OFF},
        {"topic not there yet",
         {5, 100, ERR_UNKNOWN_TOPIC_ID, false, false},
         false,
         FOLLOWER_BACK_OFF},
        {"leader's disk",
         {5, 100, ERR_KAFKA_STORAGE_ERROR, false, false},
         false,
         FOLLOWER_BACK_OFF},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct follower follower = {.leader_epoch = 5, .log_end = 100, .ready = !rows[i].busy};

        if (follower_judge(&follower, &rows[i].answer) != rows[i].expected) {
            fail_msg("%s", rows[i].name);
        }
    }
}

/* ---- where to cut ---------------------------------------------------------------------------- */

static void truncation_by_table(void **state)
{
    static const struct {
        const char *name;
        struct log_epoch_end leader;
        struct log_epoch_end own;
        int64_t expected; /* log end 100, high watermark 40 */
    } rows[] = {
        {"leader knows nothing", {-1, -1}, {-1, -1}, 40},
        {"epoch unknown, offset known", {-1, 70}, {-1, -1}, 70},
        {"epoch unknown, offset above", {-1, 170}, {-1, -1}, 100},
        {"own end unknown", {3, 70}, {-1, -1}, 70},
        {"we lack that epoch: the one below ends at 50", {3, 70}, {2, 50}, 50},
        {"same epoch, leader's is shorter", {3, 70}, {3, 90}, 70},
        {"same epoch, ours is shorter", {3, 90}, {3, 70}, 70},
        {"nothing to cut but epochs", {3, 100}, {3, 100}, 100},
        {"never above the own end", {3, 170}, {3, 190}, 100},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct follower_cut cut = {rows[i].leader, rows[i].own, 100, 40};

        if (follower_truncation(&cut) != rows[i].expected) fail_msg("%s", rows[i].name);
    }
}

static void fetching_begins_at_the_log_end_when_there_are_epochs(void **state)
{
    (void)state;
    assert_int_equal(follower_start(1, 100, 40), 100); /* F1, R47: not at the high watermark */
    assert_int_equal(follower_start(0, 100, 40), 40);
    assert_int_equal(follower_start(0, 30, 40), 30);
    assert_int_equal(follower_start(3, 100, 0), 100); /* F15: a lost checkpoint cuts nothing */
}

static void out_of_range_by_table(void **state)
{
    (void)state;
    assert_int_equal(follower_out_of_range(0, 100, 90, 0), FOLLOWER_RANGE_TRUNCATE);
    assert_int_equal(follower_out_of_range(0, 100, 500, 200), FOLLOWER_RANGE_RESET);
    assert_int_equal(follower_out_of_range(0, 100, 500, 99), FOLLOWER_RANGE_RESUME);
    assert_int_equal(follower_out_of_range(0, 100, 500, 100), FOLLOWER_RANGE_RESET);
    assert_int_equal(follower_out_of_range(100, 100, 500, 100), FOLLOWER_RANGE_RESUME);
    assert_int_equal(follower_out_of_range(0, 100, 100, 50), FOLLOWER_RANGE_RESUME);
}

/* ---- histories ------------------------------------------------------------------------------- */

static void f1_a_restarted_follower_keeps_what_lies_above_its_high_watermark(void **state)
{
    struct fixture *f = *state;

    epoch(&f->a, 1, 0);
    epoch(&f->b, 1, 0);
    f->a.log_end = 2;
    f->b.log_end = 2;
    f->b.high_watermark = 1; /* one fetch late */
    assert_int_equal(follower_start(f->b.epochs.count, f->b.log_end, f->b.high_watermark), 2);
    assert_int_equal(reconcile(&f->b, &f->a), 0);
    assert_int_equal(f->b.log_end, 2);
}

static void f3_fast_failover_over_two_epochs_that_the_other_does_not_know(void **state)
{
    struct fixture *f = *state;

    /* A: e1 [0,20), leads e3 now. B: e1 [0,10), e2 [10,15). */
    epoch(&f->a, 1, 0);
    epoch(&f->a, 3, 20);
    f->a.log_end = 20;
    epoch(&f->b, 1, 0);
    epoch(&f->b, 2, 10);
    f->b.log_end = 15;
    f->b.high_watermark = 10;
    assert_int_equal(reconcile(&f->b, &f->a), 1);
    assert_int_equal(f->b.log_end, 10);
    assert_int_equal(log_epochs_latest(&f->b.epochs), 1);
}

static void f3_many_epochs_alternate_and_it_ends_in_at_most_as_many_rounds(void **state)
{
    struct fixture *f = *state;

    /* A led 1, 3, 5; B led 1, 2, 4: only e1 [0,10) is common. */
    epoch(&f->a, 1, 0);
    epoch(&f->a, 3, 10);
    epoch(&f->a, 5, 30);
    f->a.log_end = 40;
    epoch(&f->b, 1, 0);
    epoch(&f->b, 2, 10);
    epoch(&f->b, 4, 20);
    f->b.log_end = 35;
    f->b.high_watermark = 10;
    assert_true(reconcile(&f->b, &f->a) <= 3); /* R24 */
    assert_int_equal(f->b.log_end, 10);
}

static void f4_a_leader_that_wrote_nothing_still_has_its_epoch(void **state)
{
    struct fixture *f = *state;

    /* A is elected in e3 with nothing but e1; it assigned e3 at its end at once. */
    epoch(&f->a, 1, 0);
    f->a.log_end = 10;
    epoch(&f->a, 3, 10);
    epoch(&f->b, 1, 0);
    epoch(&f->b, 2, 8); /* records of the epoch between */
    f->b.log_end = 12;
    f->b.high_watermark = 8;
    assert_int_equal(end_for(&f->a, 2).epoch, 1); /* not undefined */
    assert_int_equal(reconcile(&f->b, &f->a), 1);
    assert_int_equal(f->b.log_end, 8);
}

static void f6_a_late_diverging_answer_of_the_leader_before_cuts_nothing(void **state)
{
    struct follower follower = {.leader_epoch = 2, .log_end = 50, .ready = true};
    struct follower_answer late = {.request_epoch = 1, .request_offset = 50, .diverged = true};

    (void)state;
    assert_int_equal(follower_judge(&follower, &late), FOLLOWER_IGNORE);
    late.request_epoch = 2;
    assert_int_equal(follower_judge(&follower, &late), FOLLOWER_TRUNCATE);
}

static void f10_an_epoch_that_begins_at_the_log_end_is_cut_too(void **state)
{
    struct fixture *f = *state;

    /* B was elected in e2, wrote nothing, and was deposed. A leads e3. */
    epoch(&f->a, 1, 0);
    epoch(&f->a, 3, 10);
    f->a.log_end = 20;
    epoch(&f->b, 1, 0);
    epoch(&f->b, 2, 10);
    f->b.log_end = 10;
    f->b.high_watermark = 10;
    assert_int_equal(reconcile(&f->b, &f->a), 1); /* and not for ever */
    assert_int_equal(f->b.log_end, 10);
    assert_int_equal(log_epochs_latest(&f->b.epochs), 1);
}

static void f11_an_empty_answer_leaves_the_last_fetched_epoch(void **state)
{
    struct fixture *f = *state;
    struct follower follower = {.leader_epoch = 3, .log_end = 10, .ready = true};
    struct follower_answer empty = {.request_epoch = 3, .request_offset = 10};

    epoch(&f->b, 2, 0);
    f->b.log_end = 10;
    assert_int_equal(follower_judge(&follower, &empty), FOLLOWER_ADVANCE);
    /* It is what the log says, whatever the answer was. */
    assert_int_equal(log_epochs_latest(&f->b.epochs), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_by_table),
        cmocka_unit_test(truncation_by_table),
        cmocka_unit_test(fetching_begins_at_the_log_end_when_there_are_epochs),
        cmocka_unit_test(out_of_range_by_table),
        cmocka_unit_test_setup_teardown(
            f1_a_restarted_follower_keeps_what_lies_above_its_high_watermark, setup, teardown),
        cmocka_unit_test_setup_teardown(
            f3_fast_failover_over_two_epochs_that_the_other_does_not_know, setup, teardown),
        cmocka_unit_test_setup_teardown(
            f3_many_epochs_alternate_and_it_ends_in_at_most_as_many_rounds, setup, teardown),
        cmocka_unit_test_setup_teardown(f4_a_leader_that_wrote_nothing_still_has_its_epoch, setup,
                                        teardown),
        cmocka_unit_test(f6_a_late_diverging_answer_of_the_leader_before_cuts_nothing),
        cmocka_unit_test_setup_teardown(f10_an_epoch_that_begins_at_the_log_end_is_cut_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(f11_an_empty_answer_leaves_the_last_fetched_epoch, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
