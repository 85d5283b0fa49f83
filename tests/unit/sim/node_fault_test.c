/* Proves the faults of processes and clocks: each hits, and does what its sentence says. */
#include "tests/support/rig.h"

#include "tests/support/chatter.h"

#include <string.h>

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, 3, 4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

static uint64_t hits(const struct sim *sim, enum sim_fault fault)
{
    return sim_fault_counted(sim, fault).injected;
}

static int64_t mono_ms(void)
{
    return sim_node_now(rig.node[0]).mono.ns / NS_PER_MS;
}

static int64_t wall_ms(void)
{
    return sim_node_now(rig.node[0]).wall.ms;
}

static void sleeping_machine_loses_monotonic_time_and_no_wall_time(void **state)
{
    int64_t mono = mono_ms();
    int64_t wall = wall_ms();

    (void)state;
    sim_sleep(rig.node[0], true);
    rig_run_ms(&rig, 5000);
    sim_resume(rig.node[0]);
    assert_in_range(mono_ms() - mono, 0, 1);
    assert_in_range(wall_ms() - wall, 4999, 5001);
    rig_run_ms(&rig, 1000);
    assert_in_range(mono_ms() - mono, 999, 1001);
    assert_int_equal(hits(rig.sim, SIM_FAULT_SLEEP), 1);
}

static void monotonic_clock_may_run_on_in_a_sleep(void **state)
{
    int64_t mono = mono_ms();

    (void)state;
    sim_sleep(rig.node[0], false);
    rig_run_ms(&rig, 5000);
    sim_resume(rig.node[0]);
    assert_in_range(mono_ms() - mono, 4999, 5001);
}

static void offset_is_against_the_true_time(void **state)
{
    int64_t other;

    (void)state;
    rig_run_ms(&rig, 100);
    sim_clock_offset(rig.node[0], 0);
    sim_clock_offset(rig.node[1], -60000);
    other = sim_node_now(rig.node[1]).wall.ms;
    assert_in_range(wall_ms() - other, 59999, 60001);
    assert_int_equal(hits(rig.sim, SIM_FAULT_CLOCK_OFFSET), 1); /* 0 is none */
}

static void coarse_clock_moves_in_steps(void **state)
{
    (void)state;
    sim_clock_coarse(rig.node[0], 15);
    for (int i = 0; i < 40; i++) {
        rig_run_ms(&rig, 1);
        assert_int_equal(wall_ms() % 15, 0);
    }
    assert_int_equal(hits(rig.sim, SIM_FAULT_CLOCK_COARSE), 1);
}

static void timers_are_late_and_never_early(void **state)
{
    int64_t late = 0;

    (void)state;
    sim_timers_late(rig.node[0], 10 * NS_PER_MS);
    for (int i = 0; i < 50; i++) {
        struct mono_time deadline = mono_add_ms(sim_node_now(rig.node[0]).mono, 5);
        struct world_timer timer = {.deadline = deadline};

        rig_req(&timer.req);
        timer_start(rig_world(&rig, 0), &timer);
        assert_int_equal(rig_wait(&rig, &timer.req), ERR_NONE);
        assert_true(rig.node[0]->now.mono.ns >= deadline.ns);
        late += rig.node[0]->now.mono.ns - deadline.ns;
    }
    assert_true(late > 50 * 3 * NS_PER_MS);
}

/* ---- programs -------------------------------------------------------------------------------- */

static struct chatter chatter[2];

static struct sim *talking(struct sim_world **node)
{
    struct sim_config config = sim_config_default(9);
    struct sim *sim = sim_create(&config);

    for (int32_t i = 0; i < 2; i++) {
        struct sim_node_config own = sim_node_config_default(i + 1);

        chatter_init(&chatter[i], own.id, 2, 5 * NS_PER_MS);
        own.program = &chatter[i].program;
        own.costs = sim_costs_default();
        node[i] = sim_node_add(sim, &own);
        sim_node_start(node[i]);
    }
    return sim;
}

static void run_ms(struct sim *sim, int64_t ms)
{
    struct sim_limits limits = {.until_ns = sim->now_ns + ms * NS_PER_MS};

    (void)sim_run(sim, &limits);
}

static void crash_loop_dies_at_the_event_so_often_and_then_lives(void **state)
{
    const struct sim_crash_loop loop = {
        .how = SIM_DOWN_KILL, .event = 5, .times = 3, .again_ns = 10 * NS_PER_MS};
    struct sim_world *node[2];
    struct sim *sim = talking(node);

    (void)state;
    run_ms(sim, 100);
    sim_crash_loop(node[0], &loop);
    sim_crash(node[0], SIM_DOWN_KILL);
    sim_start_later(node[0], loop.again_ns);
    run_ms(sim, 2000);
    assert_int_equal(hits(sim, SIM_FAULT_CRASH_LOOP), 3);
    assert_true(node[0]->up);
    assert_int_equal(node[0]->incarnation, 5); /* the first, three that died, the last */
    sim_destroy(sim);
}

static void submit_that_stalls_makes_the_turn_last(void **state)
{
    struct disk_req req = {.op = DISK_FREE_SPACE, .path = ""};
    struct world_timer timer = {.deadline = sim_node_now(rig.node[0]).mono};
    int64_t start = rig.sim->now_ns;

    (void)state;
    sim_block_submits(rig.node[0], 50 * NS_PER_MS);
    rig_req(&req.req);
    rig_req(&timer.req);
    disk_submit(rig_world(&rig, 0), &req);
    assert_int_equal(rig_wait(&rig, &req.req), ERR_NONE);
    timer_start(rig_world(&rig, 0), &timer);
    assert_int_equal(rig_wait(&rig, &timer.req), ERR_NONE);
    assert_true(rig.sim->now_ns - start >= 50 * NS_PER_MS);
    assert_int_equal(hits(rig.sim, SIM_FAULT_SUBMIT_STALL), 1);
}

static void shuffled_node_hears_of_connections_in_another_order(void **state)
{
    static struct rig_pair pairs[4];
    static struct net_recv recvs[4];
    static uint8_t got[4];

    (void)state;
    rig_open_pair(&rig, &pairs[0], 0, 1);
    rig_open_pair(&rig, &pairs[1], 1, 0);
    rig_open_pair(&rig, &pairs[2], 1, 2);
    rig_open_pair(&rig, &pairs[3], 1, 3);
    sim_shuffle(rig.node[1], true);
    for (uint32_t round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t side = i == 0 ? 1 : 0;

            recvs[i] = (struct net_recv){.conn = &pairs[i].end[side], .into = &got[i], .want = 1};
            rig_req(&recvs[i].req);
            net_recv(rig_world(&rig, 1), &recvs[i]);
        }
        sim_pause(rig.node[1]); /* all of them in one turn */
        for (uint32_t i = 0; i < 4; i++)
            assert_int_equal(rig_send(&rig, &pairs[i], i == 0 ? 0 : 1, "x", 1), ERR_NONE);
        rig_run_ms(&rig, 100);
        sim_resume(rig.node[1]);
        rig_run_ms(&rig, 100);
        for (uint32_t i = 0; i < 4; i++)
            assert_int_equal(recvs[i].done, 1);
    }
    assert_true(hits(rig.sim, SIM_FAULT_SHUFFLE) > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(sleeping_machine_loses_monotonic_time_and_no_wall_time),
        TEST(monotonic_clock_may_run_on_in_a_sleep),
        TEST(offset_is_against_the_true_time),
        TEST(coarse_clock_moves_in_steps),
        TEST(timers_are_late_and_never_early),
        TEST(submit_that_stalls_makes_the_turn_last),
        TEST(shuffled_node_hears_of_connections_in_another_order),
        cmocka_unit_test(crash_loop_dies_at_the_event_so_often_and_then_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
