/* Compute, dice, trace, stop, and the memory of a node. */
#include "tests/conformance/suite.h"

#include <string.h>

struct sum_job {
    struct compute_job job;
    uint64_t from;
    uint64_t sum;
};

static void sum_run(struct compute_job *job)
{
    struct sum_job *sum = CONTAINER_OF(job, struct sum_job, job);

    sum->sum = 0;
    for (uint64_t i = 0; i < 100000; i++)
        sum->sum += sum->from + i;
}

static void sum_submit(struct world *world, struct sum_job *sum)
{
    compute_submit(world, &sum->job);
}

static void compute_jobs_run_once_each_and_tell_their_results(void **state)
{
    static struct sum_job jobs[16];

    (void)state;
    suite_begin(1, 1, 1);
    for (uint32_t i = 0; i < COUNT_OF(jobs); i++) {
        jobs[i] = (struct sum_job){.job = {.run = sum_run, .bytes = COMPUTE_MIN_BYTES}, .from = i};
        suite_watch(0, &jobs[i].job.req);
        suite_enter(0);
        sum_submit(suite_world(0), &jobs[i]);
        suite_leave(0, &jobs[i].job.req);
    }
    for (uint32_t i = 0; i < COUNT_OF(jobs); i++) {
        assert_int_equal(suite_wait(&jobs[i].job.req), ERR_NONE);
        assert_int_equal(jobs[i].sum, UINT64_C(100000) * i + UINT64_C(99999) * 50000);
    }
}

static void dice_differ_by_concern_and_by_node(void **state)
{
    uint64_t seeds[12];

    (void)state;
    suite_begin(2, 1, 1);
    for (uint32_t i = 0; i < 12; i++) {
        seeds[i] = dice_seed(suite_world(i / 6), (enum dice_concern)(i % 6));
        for (uint32_t j = 0; j < i; j++)
            assert_true(seeds[i] != seeds[j]);
    }
}

static void the_boot_of_the_machine_is_told(void **state)
{
    (void)state;
    suite_begin(1, 1, 1);
    assert_false(uuid_is_zero(suite_world(0)->boot));
}

static void trace_takes_every_event(void **state)
{
    uint64_t before;

    (void)state;
    suite_begin(1, 1, 1);
    before = suite.harness->traced(suite.set, 0);
    suite_enter(0);
    TRACE(suite_world(0), LOG_ROLLED, 1, 2, 3);
    TRACE_TEXT(suite_world(0), NODE_STATE, STR("starting"), 0, 1);
    suite_leave(0, NULL);
    assert_int_equal(suite.harness->traced(suite.set, 0) - before, 2);
}

static void stop_tells_its_status_and_ends_the_turns(void **state)
{
    struct world_timer timer = {.deadline = {0}};
    int status = -1;

    (void)state;
    suite_begin(1, 1, 1);
    assert_false(suite.harness->stopped(suite.set, 0, &status));
    SUBMIT(0, timer_start, &timer);
    assert_int_equal(suite_wait(&timer.req), ERR_NONE);
    SUBMIT(0, timer_start, &timer);
    suite_enter(0);
    world_stop(suite_world(0), 3);
    suite_leave(0, NULL);
    suite_idle();
    assert_true(suite.harness->stopped(suite.set, 0, &status));
    assert_int_equal(status, 3);
    assert_false(suite_told(&timer.req));
}

static void region_of_a_node_is_zero_filled_and_as_large_as_promised(void **state)
{
    const uint8_t *at;

    (void)state;
    suite_begin(1, 1, 1);
    assert_true(suite_world(0)->region->size >= CONF_REGION_SIZE);
    at = region_take(suite_world(0)->region, 100000, 16);
    assert_non_null(at);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(at[i], 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, suite_teardown)
const struct CMUnitTest suite_others[] = {
    TEST(compute_jobs_run_once_each_and_tell_their_results),
    TEST(dice_differ_by_concern_and_by_node),
    TEST(the_boot_of_the_machine_is_told),
    TEST(trace_takes_every_event),
    TEST(stop_tells_its_status_and_ends_the_turns),
    TEST(region_of_a_node_is_zero_filled_and_as_large_as_promised),
};
const size_t suite_others_count = COUNT_OF(suite_others);
