/* W5: timers fire in order, never early, and can be moved and cancelled at any moment; W2 and W3
 * for them. */
#include "tests/conformance/suite.h"

/* The time of the worlds, from a timer that is due at once. */
static struct mono_time timers_now(void)
{
    static struct world_timer timer;

    timer.deadline = (struct mono_time){0};
    SUBMIT(0, timer_start, &timer);
    assert_int_equal(suite_wait(&timer.req), ERR_NONE);
    return suite_entry(&timer.req)->at.mono;
}

static void timer_due_long_ago_fires_in_a_turn_of_its_own(void **state)
{
    struct world_timer timer = {.deadline = {0}};

    (void)state;
    suite_begin(1, 4, 4);
    SUBMIT(0, timer_start, &timer);
    assert_false(suite_told(&timer.req));
    assert_int_equal(suite_wait(&timer.req), ERR_NONE);
    assert_true(suite_entry(&timer.req)->at.wall.ms > 0);
}

static void timers_fire_by_deadline_and_then_by_start(void **state)
{
    static const int64_t delay_ms[8] = {9, 3, 3, 1, 9, 2, 3, 0};
    static const uint32_t expected[8] = {7, 3, 5, 1, 2, 6, 0, 4};
    struct world_timer timers[8];
    struct mono_time start;

    (void)state;
    suite_begin(1, 4, 4);
    start = timers_now();
    for (uint32_t i = 0; i < 8; i++) {
        timers[i].deadline = mono_add_ms(start, delay_ms[i]);
        SUBMIT(0, timer_start, &timers[i]);
    }
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(suite_wait(&timers[i].req), ERR_NONE);
        assert_true(suite_entry(&timers[i].req)->at.mono.ns >= timers[i].deadline.ns);
    }
    for (uint32_t i = 1; i < 8; i++) {
        assert_true(suite_entry(&timers[expected[i - 1]].req)->order <
                    suite_entry(&timers[expected[i]].req)->order);
    }
}

static void timer_fires_never_early_to_the_nanosecond(void **state)
{
    struct world_timer timers[20];
    struct mono_time start;

    (void)state;
    suite_begin(1, 4, 4);
    start = timers_now();
    for (uint32_t i = 0; i < 20; i++) {
        timers[i].deadline = (struct mono_time){start.ns + 1 + (int64_t)i * 777777};
        SUBMIT(0, timer_start, &timers[i]);
    }
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(suite_wait(&timers[i].req), ERR_NONE);
        assert_true(suite_entry(&timers[i].req)->at.mono.ns >= timers[i].deadline.ns);
    }
}

static void timer_moved_later_and_earlier_fires_once_at_its_last_deadline(void **state)
{
    struct world_timer later;
    struct world_timer earlier;
    struct world_timer between;
    struct mono_time start;

    (void)state;
    suite_begin(1, 4, 4);
    start = timers_now();
    later.deadline = mono_add_ms(start, 1);
    between.deadline = mono_add_ms(start, 20);
    earlier.deadline = mono_add_ms(start, 3600 * 1000);
    SUBMIT(0, timer_start, &later);
    SUBMIT(0, timer_start, &between);
    SUBMIT(0, timer_start, &earlier);
    suite_enter(0);
    timer_move(suite_world(0), &later, mono_add_ms(start, 40));
    timer_move(suite_world(0), &earlier, mono_add_ms(start, 2));
    suite_leave(0, &later.req);
    assert_int_equal(suite_wait(&later.req), ERR_NONE);
    assert_true(suite_entry(&later.req)->at.mono.ns >= mono_add_ms(start, 40).ns);
    assert_true(suite_entry(&earlier.req)->order < suite_entry(&between.req)->order);
    assert_true(suite_entry(&between.req)->order < suite_entry(&later.req)->order);
    suite_idle();
}

static void timer_moved_to_the_deadline_of_another_stands_behind_it(void **state)
{
    struct world_timer first;
    struct world_timer second;
    struct mono_time at;

    (void)state;
    suite_begin(1, 4, 4);
    at = mono_add_ms(timers_now(), 5);
    first.deadline = at;
    second.deadline = at;
    SUBMIT(0, timer_start, &first);
    SUBMIT(0, timer_start, &second);
    suite_enter(0);
    timer_move(suite_world(0), &first, at);
    suite_leave(0, &first.req);
    assert_int_equal(suite_wait(&first.req), ERR_NONE);
    assert_true(suite_entry(&second.req)->order < suite_entry(&first.req)->order);
}

static void timer_cancelled_completes_once_with_canceled(void **state)
{
    struct world_timer timer;
    struct world_timer other;

    (void)state;
    suite_begin(1, 4, 4);
    timer.deadline = mono_add_ms(timers_now(), 5);
    other.deadline = mono_add_ms(timer.deadline, 5);
    SUBMIT(0, timer_start, &timer);
    SUBMIT(0, timer_start, &other);
    suite_enter(0);
    timer_cancel(suite_world(0), &timer);
    suite_leave(0, &timer.req); /* told later, from the loop */
    assert_int_equal(suite_wait(&timer.req), ERR_CANCELED);
    assert_int_equal(suite_wait(&other.req), ERR_NONE);
    suite_idle();
    SUBMIT(0, timer_start, &timer); /* and can be started again */
    assert_int_equal(suite_wait(&timer.req), ERR_NONE);
}

static struct world_timer turn_timers[3];

/* The first of three that are due together withdraws the second and puts off the third. */
static void turn_end_rearms(struct suite_node *node)
{
    if (!suite_told(&turn_timers[0].req) || node->turns != suite_entry(&turn_timers[0].req)->turn) {
        return;
    }
    if (!turn_timers[1].req.pending) SUBMIT(0, timer_start, &turn_timers[1]);
}

static void timer_can_be_started_again_at_the_end_of_its_turn(void **state)
{
    struct mono_time start;

    (void)state;
    suite_begin(1, 4, 4);
    start = timers_now();
    suite.nodes[0].at_turn_end = turn_end_rearms;
    turn_timers[1].deadline = start;
    turn_timers[0].deadline = mono_add_ms(start, 1);
    SUBMIT(0, timer_start, &turn_timers[1]);
    SUBMIT(0, timer_start, &turn_timers[0]);
    assert_int_equal(suite_wait(&turn_timers[0].req), ERR_NONE);
    /* It was due already: it comes in a later turn, never in the one that started it. */
    assert_false(suite_told(&turn_timers[1].req));
    assert_int_equal(suite_wait(&turn_timers[1].req), ERR_NONE);
    assert_true(suite_entry(&turn_timers[1].req)->turn > suite_entry(&turn_timers[0].req)->turn);
}

static void timer_of_never_does_not_fire(void **state)
{
    struct world_timer timer = {.deadline = MONO_NEVER};

    (void)state;
    suite_begin(1, 4, 4);
    SUBMIT(0, timer_start, &timer);
    suite_idle();
    assert_false(suite_told(&timer.req));
}

#define TEST(name) cmocka_unit_test_teardown(name, suite_teardown)
const struct CMUnitTest suite_timers[] = {
    TEST(timer_due_long_ago_fires_in_a_turn_of_its_own),
    TEST(timers_fire_by_deadline_and_then_by_start),
    TEST(timer_fires_never_early_to_the_nanosecond),
    TEST(timer_moved_later_and_earlier_fires_once_at_its_last_deadline),
    TEST(timer_moved_to_the_deadline_of_another_stands_behind_it),
    TEST(timer_cancelled_completes_once_with_canceled),
    TEST(timer_can_be_started_again_at_the_end_of_its_turn),
    TEST(timer_of_never_does_not_fire),
};
const size_t suite_timers_count = COUNT_OF(suite_timers);
