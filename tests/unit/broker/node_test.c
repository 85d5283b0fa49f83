/* Proves: a whole node comes up to READY and goes down in order from wherever it stands, giving
 * everything back; what makes a start impossible is one clear message and status 1; a thousand
 * crashes in one run leave neither a handle nor a file behind. */
#include "tests/support/node_box.h"

#include <string.h>

static struct node_box box;

static void begin(uint64_t seed, const char *roles)
{
    node_box_init(&box, seed, roles, "");
}

static void a_combined_node_starts_serves_and_stops(void **state)
{
    (void)state;
    begin(1, "a");
    node_box_start_all(&box);
    assert_int_equal(node_port(box.node[0].node), NODE_BOX_PORT);
    assert_int_equal(node_box_controller(&box), 0);
    node_box_stop(&box, 0, 60000);
    /* and again, on what it left */
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static void a_node_without_configuration_formats_itself(void **state)
{
    (void)state;
    begin(2, "a");
    box.node[0].format_alone = true;
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    assert_true(node_cluster_id(box.node[0].node).length > 0);
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

/* What its directories and connections counted is a line of the log when it stops. */
static void a_node_that_answered_with_ranges_says_how_many(void **state)
{
    static const int64_t none[4] = {0}, told[4] = {5, 7000, 2, 3};

    (void)state;
    begin(1, "a");
    node_box_start_all(&box);
    node_box_stop(&box, 0, 60000);
    assert_memory_equal(none, box.node[0].ranges, sizeof none);
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 60000));
    box.node[0].node->log_dirs[0].ranges_told = 5;
    box.node[0].node->log_dirs[0].ranges_bytes = 7000;
    box.node[0].node->log_dirs[0].ranges_missed = 2;
    box.node[0].node->env.range_misses = 3;
    node_box_stop(&box, 0, 60000);
    assert_memory_equal(told, box.node[0].ranges, sizeof told);
    node_box_deinit(&box);
}

static void three_combined_nodes_start_and_stop_one_by_one(void **state)
{
    (void)state;
    begin(3, "aaa");
    node_box_start_all(&box);
    for (uint32_t i = 0; i < 3; i++)
        node_box_stop(&box, i, 90000);
    node_box_deinit(&box);
}

static void separate_controllers_and_brokers_start_and_stop(void **state)
{
    (void)state;
    begin(4, "cccbb");
    node_box_start_all(&box);
    assert_true(node_box_controller(&box) >= 0);
    for (uint32_t i = 5; i > 0; i--)
        node_box_stop(&box, i - 1, 90000);
    node_box_deinit(&box);
}

/* At each event from the first to READY; the last run is one that was READY. */
static void stop_at_every_event(const char *roles, uint64_t seed, uint32_t step)
{
    bool ready = false;

    for (uint64_t events = 1; !ready; events += step) {
        begin(seed, roles);
        node_box_format(&box);
        for (uint32_t i = 1; i < box.count; i++)
            node_box_start(&box, i);
        node_box_run_ms(&box, box.count > 1 ? 5000 : 0);
        node_box_start(&box, 0);
        for (uint64_t i = 0; i < events || box.node[0].node == NULL; i++)
            node_box_run_events(&box, 1);
        ready = box.node[0].node->state == NODE_READY;
        node_box_stop(&box, 0, 90000);
        node_box_deinit(&box);
    }
}

static void a_stop_at_any_event_of_a_start_gives_everything_back(void **state)
{
    (void)state;
    stop_at_every_event("a", 5, 1);
}

static void a_stop_at_any_event_while_joining_others_gives_everything_back(void **state)
{
    (void)state;
    stop_at_every_event("aaa", 6, 23);
    stop_at_every_event("bc", 6, 7);
    stop_at_every_event("cc", 6, 7);
}

static void a_stop_without_a_quorum_is_bounded(void **state)
{
    (void)state;
    begin(7, "accb");
    node_box_start_all(&box);
    sim_crash(box.node[1].world, SIM_DOWN_POWER);
    sim_crash(box.node[2].world, SIM_DOWN_POWER);
    node_box_run_ms(&box, 3000);
    node_box_ask_stop(&box, 3);
    assert_int_equal(node_box_wait_down(&box, 3, 60000), 0);
    node_box_ask_stop(&box, 0);
    assert_int_equal(node_box_wait_down(&box, 0, 60000), 0);
    node_box_deinit(&box);
}

/* The last ones have nobody left to ask: they wait as long as an election may take, not for all of
 * controlled.shutdown.max.wait.ms. */
static void all_nodes_of_a_cluster_stopped_at_once_are_down_soon(void **state)
{
    static const char *const layouts[] = {"aaa", "cccbb"};

    (void)state;
    for (uint32_t l = 0; l < COUNT_OF(layouts); l++) {
        int64_t before;

        begin(70 + l, layouts[l]);
        node_box_start_all(&box);
        node_box_run_ms(&box, 3000);
        before = box.sim->now_ns;
        for (uint32_t i = 0; i < box.count; i++)
            node_box_ask_stop(&box, i);
        for (uint32_t i = 0; i < box.count; i++)
            assert_int_equal(node_box_wait_down(&box, i, 20000), 0);
        assert_true(box.sim->now_ns - before < 12000 * NS_PER_MS);
        node_box_deinit(&box);
    }
}

static void a_second_stop_does_not_wait_for_the_controller(void **state)
{
    int64_t before;

    (void)state;
    begin(8, "cb");
    node_box_start_all(&box);
    sim_crash(box.node[0].world, SIM_DOWN_KILL);
    node_box_run_ms(&box, 3000);
    before = box.sim->now_ns;
    node_box_ask_stop(&box, 1);
    node_box_run_ms(&box, 100);
    node_box_ask_stop(&box, 1);
    assert_int_equal(node_box_wait_down(&box, 1, 20000), 0);
    assert_true(box.sim->now_ns - before < 12000 * NS_PER_MS);
    node_box_deinit(&box);
}

static void a_thousand_crashes_leave_nothing_behind(void **state)
{
    uint32_t files = 0;
    struct rng rng;

    (void)state;
    begin(9, "a");
    node_box_start_all(&box);
    node_box_stop(&box, 0, 60000);
    rng_init(&rng, 99);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t events = (uint32_t)rng_below(&rng, 260);
        bool power = rng_below(&rng, 2) == 0;

        node_box_start(&box, 0);
        node_box_run_events(&box, events);
        if (box.node[0].errors > 0) fail_msg("crash %u: %s", i, box.node[0].error);
        sim_crash(box.node[0].world, power ? SIM_DOWN_POWER : SIM_DOWN_KILL);
        assert_true(sim_node_at_baseline(box.node[0].world));
        if (i % 250 != 249) continue;
        node_box_start(&box, 0);
        if (!node_box_ready(&box, 0, 30000)) fail_msg("%s", box.node[0].error);
        node_box_stop(&box, 0, 60000);
        /* A clean end writes a snapshot and its checksum; nothing else stays. */
        if (i > 250) assert_in_range(node_box_files(&box, 0, "data"), files, files + 2);
        files = node_box_files(&box, 0, "data");
    }
    node_box_deinit(&box);
}

/* ---- what makes a start impossible ----------------------------------------------------------- */

static void fails_with(uint32_t node, const char *part)
{
    node_box_start(&box, node);
    assert_int_equal(node_box_wait_down(&box, node, 60000), 1);
    if (strstr(box.node[node].error, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", box.node[node].error, part);
    }
    assert_int_equal(box.node[node].errors, 1);
}

static void an_unformatted_directory_is_refused(void **state)
{
    (void)state;
    begin(10, "a");
    fails_with(0, "format");
    node_box_deinit(&box);
}

static void a_directory_of_another_node_is_refused(void **state)
{
    (void)state;
    begin(11, "a");
    node_box_format(&box);
    box.node[0].config.node_id = 7;
    box.node[0].config.voters[0].id = 7;
    fails_with(0, "node");
    node_box_deinit(&box);
}

static void a_port_in_use_is_one_message(void **state)
{
    (void)state;
    begin(12, "a");
    node_box_format(&box);
    box.node[0].config.listeners[1].port = box.node[0].config.listeners[0].port;
    fails_with(0, "in use");
    node_box_deinit(&box);
}

/* DF18: nobody else has it; whoever looks for another process looks in vain. */
static void a_directory_that_is_read_only_is_called_that(void **state)
{
    struct sim_disk_rule rule = {
        .ops = 1u << DISK_OPEN, .glob = "data/.lock", .nth = 1, .error = ERR_ACCESS};

    (void)state;
    begin(12, "a");
    node_box_format(&box);
    (void)sim_disk_add_rule(box.node[0].world->disk, &rule);
    fails_with(0, "read-only");
    assert_null(strstr(box.node[0].error, "in use"));
    node_box_deinit(&box);
}

static void a_voter_of_another_cluster_ends_with_one_message(void **state)
{
    (void)state;
    begin(13, "aaa");
    node_box_format_one(&box, 0, "cluster-of-the-test");
    node_box_format_one(&box, 1, "cluster-of-the-test");
    node_box_format_one(&box, 2, "another-cluster");
    node_box_start(&box, 0);
    node_box_start(&box, 1);
    assert_true(node_box_all_ready(&box, 30000));
    fails_with(2, "cluster");
    assert_int_equal(box.node[0].node->state, NODE_READY);
    assert_int_equal(box.node[1].node->state, NODE_READY);
    assert_int_equal(box.node[0].errors + box.node[1].errors, 0);
    node_box_deinit(&box);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* A bit that turned in the metadata log of a node that stopped in order: alone it can be sure of
 * nothing and says so; among three it fetches what it lost. Never a silent cut. */
static void a_rotten_metadata_log_is_not_passed_over(void **state)
{
    (void)state;
    begin(15, "a");
    node_box_start_all(&box);
    node_box_run_ms(&box, 5000);
    node_box_stop(&box, 0, 60000);
    assert_true(sim_rot_disk(box.node[0].world,
                             "data/__cluster_metadata-0/00000000000000000000.log", 200, 3));
    node_box_start(&box, 0);
    assert_int_equal(node_box_wait_down(&box, 0, 60000), 1);
    assert_int_equal(box.node[0].errors, 1);
    node_box_deinit(&box);
    begin(15, "aaab");
    node_box_start_all(&box);
    for (uint32_t i = 2; i < 4; i++) { /* a voter, an observer */
        node_box_run_ms(&box, 5000);
        node_box_stop(&box, i, 60000);
        assert_true(sim_rot_disk(box.node[i].world,
                                 "data/__cluster_metadata-0/00000000000000000000.log", 200, 3));
        node_box_start(&box, i);
        if (!node_box_ready(&box, i, 60000)) fail_msg("%s", box.node[i].error);
        assert_int_equal(box.node[i].errors, 0);
    }
    for (uint32_t i = 4; i > 0; i--)
        node_box_stop(&box, i - 1, 90000);
    node_box_deinit(&box);
}

/* ---- crashes of many ------------------------------------------------------------------------- */

static void three_nodes_survive_crashes_at_random_and_stop(void **state)
{
    struct rng rng;

    (void)state;
    node_box_init(&box, 16, "aaa", "initial.broker.registration.timeout.ms=36000000\n");
    node_box_start_all(&box);
    rng_init(&rng, 16);
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t node = (uint32_t)rng_below(&rng, 3);

        node_box_run_events(&box, rng_below(&rng, 1500));
        if (box.node[node].world->up) {
            sim_crash(box.node[node].world,
                      rng_below(&rng, 2) == 0 ? SIM_DOWN_POWER : SIM_DOWN_KILL);
        } else {
            node_box_start(&box, node);
        }
        for (uint32_t j = 0; j < 3; j++) {
            if (box.node[j].errors > 0) fail_msg("step %u: %s", i, box.node[j].error);
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        if (!box.node[i].world->up) node_box_start(&box, i);
    }
    assert_true(node_box_all_ready(&box, 120000));
    for (uint32_t i = 0; i < 3; i++)
        node_box_stop(&box, i, 90000);
    node_box_deinit(&box);
}

static void an_observer_of_another_cluster_ends_with_one_message(void **state)
{
    (void)state;
    begin(14, "cb");
    node_box_format_one(&box, 0, "cluster-of-the-test");
    node_box_format_one(&box, 1, "another-cluster");
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    fails_with(1, "cluster");
    assert_int_equal(box.node[0].node->state, NODE_READY);
    node_box_deinit(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_combined_node_starts_serves_and_stops),
        cmocka_unit_test(a_node_without_configuration_formats_itself),
        cmocka_unit_test(a_node_that_answered_with_ranges_says_how_many),
        cmocka_unit_test(three_combined_nodes_start_and_stop_one_by_one),
        cmocka_unit_test(separate_controllers_and_brokers_start_and_stop),
        cmocka_unit_test(a_stop_at_any_event_of_a_start_gives_everything_back),
        cmocka_unit_test(a_stop_at_any_event_while_joining_others_gives_everything_back),
        cmocka_unit_test(a_stop_without_a_quorum_is_bounded),
        cmocka_unit_test(all_nodes_of_a_cluster_stopped_at_once_are_down_soon),
        cmocka_unit_test(a_second_stop_does_not_wait_for_the_controller),
        cmocka_unit_test(a_thousand_crashes_leave_nothing_behind),
        cmocka_unit_test(an_unformatted_directory_is_refused),
        cmocka_unit_test(a_directory_of_another_node_is_refused),
        cmocka_unit_test(a_port_in_use_is_one_message),
        cmocka_unit_test(a_directory_that_is_read_only_is_called_that),
        cmocka_unit_test(a_voter_of_another_cluster_ends_with_one_message),
        cmocka_unit_test(an_observer_of_another_cluster_ends_with_one_message),
        cmocka_unit_test(a_rotten_metadata_log_is_not_passed_over),
        cmocka_unit_test(three_nodes_survive_crashes_at_random_and_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
