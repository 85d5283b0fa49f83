/* Proves determinism: a seed is a run, whatever the addresses; another seed is another run. And
 * that a thousand crashes leave nothing behind. */
#include "tests/support/chatter.h"

#include <stdlib.h>
#include <string.h>

enum { NODES = 3 };

struct storm {
    struct sim *sim;
    struct sim_world *node[NODES];
    struct chatter chatter[NODES];
    struct sim_event event;
    struct rng rng;
    int64_t mean_ns;
    bool cut;
    uint32_t crashes;
};

/* One random fault after the other, for ever. */
static void storm_blows(struct sim_event *event)
{
    struct storm *storm = CONTAINER_OF(event, struct storm, event);
    struct sim_world *node = storm->node[rng_below(&storm->rng, NODES)];
    uint64_t what = rng_below(&storm->rng, 8);
    int64_t next = rng_exponential(&storm->rng, storm->mean_ns);

    sim_resume(node);
    if (!node->up) {
        sim_restart(node);
    } else if (what < 2) {
        sim_crash(node, SIM_DOWN_KILL);
        storm->crashes++;
    } else if (what < 4) {
        sim_crash(node, SIM_DOWN_POWER);
        storm->crashes++;
    } else if (what == 4) {
        sim_pause(node);
    } else if (what == 5) {
        sim_reset(node, storm->node[0], SIM_NOTICE_SECOND);
    } else if (what == 6) {
        sim_clock_drift(node, rng_range(&storm->rng, -500000, 500000));
        sim_clock_step(node, rng_range(&storm->rng, -10000, 10000));
    } else if (storm->cut) {
        sim_heal_all(storm->sim);
        storm->cut = false;
    } else {
        sim_partition(storm->sim, UINT64_C(1) << node->index, 7, SIM_CUT_HOLD);
        storm->cut = true;
    }
    sim_schedule(storm->sim, event, storm->sim->now_ns + next);
}

static void storm_start(struct storm *storm, uint64_t seed, int64_t mean_ns, bool pieces)
{
    struct sim_config config = sim_config_default(seed);

    if (pieces) {
        config.net.pieces_per_million = RNG_MILLION;
        config.net.buffer_min = 16;
    }
    memset(storm, 0, sizeof *storm);
    storm->sim = sim_create(&config);
    storm->mean_ns = mean_ns;
    for (uint32_t i = 0; i < NODES; i++) {
        struct sim_node_config node = sim_node_config_default((int32_t)i + 1);

        chatter_init(&storm->chatter[i], node.id, NODES, 5 * NS_PER_MS);
        node.program = &storm->chatter[i].program;
        node.costs = sim_costs_default();
        node.drift_ppb = 20000 * (int64_t)i;
        node.fill = 0xa5;
        node.fill_size = i * 4096;
        storm->node[i] = sim_node_add(storm->sim, &node);
        storm->node[i]->clock.late_ns = 100000;
        sim_node_start(storm->node[i]);
    }
    decide_rng(storm->sim, (struct decide_site){DECIDE_TEST, -1, 0, 0}, &storm->rng);
    sim_event_init(&storm->event, storm_blows);
    if (mean_ns > 0) sim_schedule(storm->sim, &storm->event, mean_ns);
}

static struct hash128_value storm_run(uint64_t seed, int64_t seconds, uint64_t *events)
{
    static struct storm storm;
    struct sim_limits limits = {.until_ns = seconds * NS_PER_SEC};
    struct hash128_value hash;

    storm_start(&storm, seed, 300 * NS_PER_MS, seed % 2 != 0);
    assert_int_equal(sim_run(storm.sim, &limits), SIM_END_TIME);
    assert_int_equal(storm.sim->now_ns, seconds * NS_PER_SEC);
    assert_true(storm.chatter[1].received > 0);
    *events = storm.sim->events;
    hash = sim_hash(storm.sim);
    sim_destroy(storm.sim);
    return hash;
}

static void same_seed_gives_the_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t first_events;
        uint64_t second_events;
        struct hash128_value first = storm_run(seed, 20, &first_events);
        void *moved = malloc(12345 * seed); /* other addresses for the second run */
        struct hash128_value second = storm_run(seed, 20, &second_events);

        free(moved);
        assert_true(first_events > 1000);
        assert_int_equal(first_events, second_events);
        assert_true(hash128_equal(first, second));
    }
}

/* Equal on every machine, compiler, optimisation and sanitizer: changed only on purpose. */
static void golden_run_is_the_same_everywhere(void **state)
{
    uint64_t events;
    struct hash128_value hash = storm_run(42, 20, &events);

    (void)state;
    assert_int_equal(events, 17653);
    assert_true(hash.high == UINT64_C(0xbc484603d9d978f1));
}

static void other_seed_gives_another_run(void **state)
{
    uint64_t events;
    struct hash128_value first = storm_run(1, 5, &events);
    struct hash128_value second = storm_run(2, 5, &events);

    (void)state;
    assert_false(hash128_equal(first, second));
}

/* The baseline itself is asserted inside every crash. */
static void thousand_crashes_leave_nothing_behind(void **state)
{
    static struct storm storm;
    struct sim_limits limits = {.until_ns = 200 * NS_PER_SEC};

    (void)state;
    storm_start(&storm, 3, 30 * NS_PER_MS, true);
    assert_int_equal(sim_run(storm.sim, &limits), SIM_END_TIME);
    assert_true(storm.crashes > 1000);
    for (uint32_t i = 0; i < NODES; i++)
        sim_crash(storm.node[i], SIM_DOWN_KILL);
    for (uint32_t i = 0; i < NODES; i++) {
        assert_true(sim_node_at_baseline(storm.node[i]));
        for (uint32_t j = 0; j < NODES; j++) {
            assert_int_equal(sim_net_conn_count(storm.sim, i, j), 0);
        }
    }
    assert_true(sim_fault_counted(storm.sim, SIM_FAULT_POWER_LOSS).injected > 100);
    sim_destroy(storm.sim);
}

static void calm_network_delivers_everything(void **state)
{
    static struct storm storm;
    struct sim_limits limits = {.until_ns = 10 * NS_PER_SEC};

    (void)state;
    storm_start(&storm, 5, 0, false);
    assert_int_equal(sim_run(storm.sim, &limits), SIM_END_TIME);
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(storm.chatter[i].boots, 1);
        assert_true(storm.chatter[i].received > 64 * 1500);
    }
    sim_destroy(storm.sim);
}

static void caps_end_a_run(void **state)
{
    static struct storm storm;
    struct sim_limits limits = {.until_ns = INT64_MAX, .events_max = 500};

    (void)state;
    storm_start(&storm, 5, 0, false);
    assert_int_equal(sim_run(storm.sim, &limits), SIM_END_EVENTS);
    assert_true(storm.sim->events >= 500 && storm.sim->events < 520);
    sim_destroy(storm.sim);
}

static void nothing_left_to_happen_is_quiet(void **state)
{
    struct sim_config config = sim_config_default(1);
    struct sim_limits limits = {.until_ns = 77};
    struct sim *sim = sim_create(&config);

    (void)state;
    assert_int_equal(sim_run(sim, &limits), SIM_END_QUIET);
    assert_int_equal(sim->now_ns, 77);
    sim_destroy(sim);
}

static void fails(struct sim_event *event)
{
    (void)event;
    sim_fail(sim_current(), "as the test wants it", "here.c", 1);
}

static void failure_ends_the_run_and_is_kept(void **state)
{
    struct sim_config config = sim_config_default(9);
    struct sim_limits limits = {.until_ns = NS_PER_SEC};
    struct sim *sim = sim_create(&config);
    struct sim_event event;

    (void)state;
    sim_event_init(&event, fails);
    sim_schedule(sim, &event, 1234);
    assert_int_equal(sim_run(sim, &limits), SIM_END_FAILED);
    assert_int_equal(sim->failure.time_ns, 1234);
    assert_int_equal(sim->failure.node, -1);
    assert_string_equal(sim->failure.text, "here.c:1: as the test wants it");
    assert_null(sim_current());
    assert_int_equal(sim_run(sim, &limits), SIM_END_FAILED);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_gives_the_same_run),
        cmocka_unit_test(golden_run_is_the_same_everywhere),
        cmocka_unit_test(other_seed_gives_another_run),
        cmocka_unit_test(thousand_crashes_leave_nothing_behind),
        cmocka_unit_test(calm_network_delivers_everything),
        cmocka_unit_test(caps_end_a_run),
        cmocka_unit_test(nothing_left_to_happen_is_quiet),
        cmocka_unit_test(failure_ends_the_run_and_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
