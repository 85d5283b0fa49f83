/* Proves the life of a simulated machine: its clocks, its turns, its CPU, how it dies. */
#include "tests/support/rig.h"

#include <string.h>

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, 5, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

/* A program whose timers do what the test says. */
struct script {
    struct sim_program program;
    struct actor actor;
    struct world *world;
    struct world_timer timer[3];
    struct disk_req disk;
    struct instant fired[3];
    uint32_t fired_count;
    uint32_t turns;
    uint32_t boots;
    uint32_t downs;
    enum sim_down how;
    uint64_t seed;
    uint8_t first_byte;
    bool trace_in_timer;
    int stop_status; /* of the first timer; -1: none */
};

static struct script script;

static void script_turn_end(struct actor *actor, struct instant now)
{
    (void)now;
    CONTAINER_OF(actor, struct script, actor)->turns++;
}

static void script_ignore(struct world_req *req, struct instant now)
{
    (void)req;
    (void)now;
}

static void script_timer(struct world_req *req, struct instant now)
{
    (void)req;
    script.fired[script.fired_count++] = now;
    if (script.trace_in_timer) {
        TRACE(script.world, NODE_READY, 1);
        disk_submit(script.world, &script.disk);
    }
    if (script.stop_status >= 0) world_stop(script.world, script.stop_status);
}

static void script_boot(struct sim_program *program, struct world *world, struct instant now)
{
    uint8_t *memory = region_take(world->region, 4096, 64);

    assert_ptr_equal(program, &script.program);
    script.world = world;
    script.boots++;
    script.first_byte = memory[0];
    memory[0] = 77;
    script.seed = dice_seed(world, DICE_IDENTITY);
    script.actor.turn_end = script_turn_end;
    world->actor = &script.actor;
    memset(&script.disk, 0, sizeof script.disk);
    script.disk.op = DISK_MKDIR;
    script.disk.path = "made";
    world_req_init(&script.disk.req, script_ignore);
    for (int i = 0; i < 3; i++) {
        world_req_init(&script.timer[i].req, script_timer);
        script.timer[i].deadline = (struct mono_time){now.mono.ns + (i + 1) * 10 * NS_PER_MS};
        timer_start(world, &script.timer[i]);
    }
}

static void script_down(struct sim_program *program, struct world *world, enum sim_down how)
{
    (void)program;
    (void)world;
    script.downs++;
    script.how = how;
}

static struct sim_world *script_add(const struct sim_costs *costs, int64_t drift_ppb)
{
    struct sim_node_config config = sim_node_config_default(9);
    struct sim_world *node;

    memset(&script, 0, sizeof script);
    script.stop_status = -1;
    script.program.boot = script_boot;
    script.program.down = script_down;
    config.program = &script.program;
    if (costs != NULL) config.costs = *costs;
    config.drift_ppb = drift_ppb;
    node = sim_node_add(rig.sim, &config);
    sim_node_start(node);
    return node;
}

static void timers_fire_at_the_nodes_own_time(void **state)
{
    struct sim_world *node = script_add(NULL, 500000000); /* half as fast again */

    (void)state;
    rig_run_ms(&rig, 19);
    assert_int_equal(script.fired_count, 2); /* 10 and 20 ms of its own are 6.7 and 13.3 of ours */
    assert_true(script.fired[0].mono.ns >= script.timer[0].deadline.ns);
    assert_true(script.fired[0].mono.ns <= script.timer[0].deadline.ns + 2);
    sim_clock_drift(node, -500000000);
    rig_run_ms(&rig, 2);
    assert_int_equal(script.fired_count, 2);
    rig_run_ms(&rig, 2);
    assert_int_equal(script.fired_count, 3);
    assert_true(script.fired[2].mono.ns >= script.timer[2].deadline.ns);
}

static void wall_clock_steps_and_monotonic_does_not(void **state)
{
    struct instant before = sim_node_now(rig.node[0]);
    struct instant other = sim_node_now(rig.node[1]);
    struct instant after;

    (void)state;
    assert_int_equal(before.wall.ms, INT64_C(1704067200000));
    assert_int_not_equal(before.mono.ns, other.mono.ns); /* not switched on together */
    sim_clock_step(rig.node[0], -60000);
    after = sim_node_now(rig.node[0]);
    assert_int_equal(after.wall.ms, before.wall.ms - 60000);
    assert_int_equal(after.mono.ns, before.mono.ns);
    rig.node[0]->clock.coarse_ms = 16;
    rig_run_ms(&rig, 5);
    assert_int_equal(sim_node_now(rig.node[0]).wall.ms % 16, 0);
    assert_int_equal(sim_node_now(rig.node[0]).mono.ns, before.mono.ns + 5 * NS_PER_MS);
    assert_int_equal(sim_node_now(rig.node[1]).wall.ms, other.wall.ms + 5);
}

static void paused_node_gets_everything_in_one_turn(void **state)
{
    struct sim_world *node = script_add(NULL, 0);
    uint32_t turns;

    (void)state;
    rig_run_ms(&rig, 5);
    turns = script.turns;
    sim_pause(node);
    rig_run_ms(&rig, 1000);
    assert_int_equal(script.fired_count, 0);
    sim_resume(node);
    rig_run_ms(&rig, 1);
    assert_int_equal(script.fired_count, 3);
    assert_int_equal(script.turns, turns + 1);
    assert_int_equal(script.fired[0].mono.ns, script.fired[2].mono.ns);
}

static void busy_node_gets_what_came_meanwhile_together(void **state)
{
    const struct sim_costs costs = {.timer_ns = 15 * NS_PER_MS};
    uint32_t turns;

    (void)state;
    (void)script_add(&costs, 0);
    rig_run_ms(&rig, 11);
    turns = script.turns; /* the first timer has fired and keeps it busy until 25 ms */
    assert_int_equal(script.fired_count, 1);
    rig_run_ms(&rig, 13);
    assert_int_equal(script.turns, turns);
    rig_run_ms(&rig, 20);
    assert_int_equal(script.fired_count, 3);
    assert_true(script.fired[1].mono.ns >= script.fired[0].mono.ns + 15 * NS_PER_MS);
}

static void region_is_fresh_and_dice_differ_in_every_life(void **state)
{
    struct sim_world *node = script_add(NULL, 0);
    uint64_t seed;

    (void)state;
    rig_run_ms(&rig, 1);
    seed = script.seed;
    assert_int_equal(script.first_byte, 0);
    sim_crash(node, SIM_DOWN_KILL);
    assert_int_equal(script.downs, 1);
    assert_int_equal(script.how, SIM_DOWN_KILL);
    rig_run_ms(&rig, 1000);
    assert_int_equal(script.fired_count, 0); /* W9: nothing of the old life */
    sim_restart(node);
    rig_run_ms(&rig, 1);
    assert_int_equal(script.boots, 2);
    assert_int_equal(script.first_byte, 0);
    assert_int_equal(node->incarnation, 2);
    assert_int_not_equal(script.seed, seed);
}

struct killer {
    struct sim_observer observer;
    uint32_t heard;
};

static void killer_traced(struct sim_observer *observer, struct sim_world *node,
                          const struct trace_event *event)
{
    struct killer *killer = CONTAINER_OF(observer, struct killer, observer);

    if (node == NULL || event->kind != TRACE_NODE_READY) return;
    killer->heard++;
    sim_crash(node, SIM_DOWN_POWER);
}

static void node_killed_at_a_trace_event_does_nothing_more(void **state)
{
    struct killer killer = {.observer = {.traced = killer_traced}};
    struct sim_world *node = script_add(NULL, 0);
    uint32_t turns;

    (void)state;
    sim_observe(rig.sim, &killer.observer);
    script.trace_in_timer = true;
    rig_run_ms(&rig, 5);
    turns = script.turns;
    rig_run_ms(&rig, 100);
    assert_int_equal(killer.heard, 1);
    assert_int_equal(script.fired_count, 1);
    assert_int_equal(script.turns, turns); /* turn_end was not called */
    assert_true(script.disk.req.pending);  /* W1; and it never completes */
    assert_false(node->up);
    assert_true(sim_node_at_baseline(node));
    assert_int_equal(script.how, SIM_DOWN_POWER);
}

static void stopped_node_is_down_and_says_what_it_left(void **state)
{
    struct sim_world *node = script_add(NULL, 0);

    (void)state;
    script.stop_status = 3;
    rig_run_ms(&rig, 100);
    assert_int_equal(script.fired_count, 1);
    assert_true(node->stopped && !node->up);
    assert_int_equal(node->stop_status, 3);
    assert_int_equal(node->stop_leftover, 2); /* two timers */
    assert_int_equal(script.how, SIM_DOWN_CLEAN);
}

static void late_timers_are_late_and_never_early(void **state)
{
    struct sim_world *node = script_add(NULL, 0);

    (void)state;
    node->clock.late_ns = NS_PER_MS;
    rig_run_ms(&rig, 500);
    assert_int_equal(script.fired_count, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(script.fired[i].mono.ns >= script.timer[i].deadline.ns);
    }
    assert_true(script.fired[1].mono.ns > script.timer[1].deadline.ns);
}

static void submit_that_stalls_makes_the_node_busy(void **state)
{
    struct sim_world *node = script_add(NULL, 0);
    uint32_t fired;

    (void)state;
    script.trace_in_timer = true; /* the first timer submits to the disk */
    rig_run_ms(&rig, 9);
    sim_disk_stall_submit(node->disk, 500 * NS_PER_MS);
    rig_run_ms(&rig, 2);
    script.trace_in_timer = false;
    fired = script.fired_count;
    assert_int_equal(fired, 1);
    rig_run_ms(&rig, 480);
    assert_int_equal(script.fired_count, 1);
    rig_run_ms(&rig, 30);
    assert_int_equal(script.fired_count, 3);
}

struct doubling {
    struct compute_job job;
    uint32_t value;
};

static void double_it(struct compute_job *job)
{
    CONTAINER_OF(job, struct doubling, job)->value *= 2;
}

static void compute_costs_time_and_its_result_is_an_event(void **state)
{
    static struct doubling doubling;
    int64_t start = rig.sim->now_ns;

    (void)state;
    doubling.value = 21;
    doubling.job = (struct compute_job){.run = double_it, .bytes = 1000000};
    rig_req(&doubling.job.req);
    compute_submit(rig_world(&rig, 0), &doubling.job);
    assert_true(doubling.job.req.pending);
    assert_int_equal(rig_wait(&rig, &doubling.job.req), ERR_NONE);
    assert_int_equal(doubling.value, 42);
    assert_true(rig.sim->now_ns - start >= NS_PER_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_at_the_nodes_own_time),
        TEST(wall_clock_steps_and_monotonic_does_not),
        TEST(paused_node_gets_everything_in_one_turn),
        TEST(busy_node_gets_what_came_meanwhile_together),
        TEST(region_is_fresh_and_dice_differ_in_every_life),
        TEST(node_killed_at_a_trace_event_does_nothing_more),
        TEST(stopped_node_is_down_and_says_what_it_left),
        TEST(late_timers_are_late_and_never_early),
        TEST(submit_that_stalls_makes_the_node_busy),
        TEST(compute_costs_time_and_its_result_is_an_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
