/* Proves: the actions that need a whole cluster hit, and the cluster survives them: messages held
 * across exactly one event, metadata that comes at once, crash loops, wipes, memory failure, damage
 * on disks that the others make good. */
#include "tests/support/support.h"

#include "client/posix/codecs.h"
#include "sim/campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTER                                                                             \
    "gregor: 1\nname: faults\nstop: {time: 14s}\n"                                          \
    "cluster: {controllers: 3, brokers: 3, config: {replica.lag.time.max.ms: 3000, "        \
    "broker.session.timeout.ms: 3000, broker.heartbeat.interval.ms: 500}}\n"                \
    "topics: {t: {partitions: 2, replicas: 3, config: {min.insync.replicas: 2}}}\n"         \
    "workload:\n  - {producer: p, topic: t, rate: 100/s}\n  - {consumer: c, topics: [t]}\n" \
    "steps:\n"

static struct codecs codecs;

/* The steps pass and this fault has hit so often, at least. */
static void expect_hits(const char *steps, enum sim_fault fault, uint64_t least)
{
    const struct run_options options = {.trace = RUN_TRACE_NONE, .codecs = &codecs};
    struct run_result *result = calloc(1, sizeof *result);
    struct yaml_error error;
    struct scenario *scenario;
    char text[2048];

    assert_non_null(result);
    (void)snprintf(text, sizeof text, "%s%s", CLUSTER, steps);
    scenario = scenario_parse("faults.yaml", text, strlen(text), &error);
    if (scenario == NULL) fail_msg("%s", error.text);
    run_scenario(scenario, 1, &options, result);
    if (result->verdict != RUN_PASS) fail_msg("%s\n%s", steps, result->report);
    if (result->faults[fault].injected < least) {
        fail_msg("%s: injected %llu", sim_fault_word(fault),
                 (unsigned long long)result->faults[fault].injected);
    }
    scenario_destroy(scenario);
    free(result);
}

static void a_fetch_is_late_by_one_leader_change(void **state)
{
    (void)state;
    expect_hits("  - at: 2s\n    do: {hold_message: {from: any followers(t-0), to: leader(t-0), "
                "api: Fetch, until: leader_change}, then: {crash: {node: leader(t-1), after: "
                "300ms}}}\n",
                SIM_FAULT_HOLD, 1);
}

static void a_fetch_of_a_former_life_arrives_after_the_restart(void **state)
{
    (void)state;
    expect_hits("  - at: 2s\n    as: {f: any followers(t-0)}\n"
                "    do: {hold_message: {from: $f, to: leader(t-0), api: Fetch, until: restart}, "
                "then: {crash: {node: $f, how: power_loss, unsynced: drop, after: 700ms}, then: "
                "{restart: {after: 500ms}}}}\n",
                SIM_FAULT_HOLD, 1);
}

static void metadata_of_a_node_comes_at_once(void **state)
{
    (void)state;
    expect_hits("  - at: 2s\n    do: {coalesce_metadata: {node: node(1), for: 2s}, then: {crash: "
                "{node: node(2), after: 100ms}, then: {restart: {after: 600ms}}}}\n",
                SIM_FAULT_COALESCE, 1);
}

static void a_node_dies_again_and_again_in_its_recovery(void **state)
{
    (void)state;
    expect_hits("  - at: 2s\n    do: {crash_loop: {node: node(1), how: power_loss, point: "
                "\"log.opened\", nth: 2, times: 3}}\n",
                SIM_FAULT_CRASH_LOOP, 3);
    expect_hits("  - at: 2s\n    do: {crash_loop: {node: node(101), event: 12, times: 4}}\n",
                SIM_FAULT_CRASH_LOOP, 4);
}

static void a_wiped_broker_comes_back(void **state)
{
    (void)state;
    expect_hits("  - at: 2s\n    do: {wipe: {node: node(1), identity: new}, then: {restart: "
                "{after: 1s}}}\n",
                SIM_FAULT_WIPE, 1);
}

static void refused_memory_fails_a_request_or_stops_the_node(void **state)
{
    (void)state;
    expect_hits("  - at: 2s\n    do: {oom: {node: brokers, after: 200, times: 3}}\n"
                "  - at: 5s\n    do: {oom: {node: controllers, after: 50}}\n",
                SIM_FAULT_OOM, 8);
}

static void lost_and_rotten_bytes_are_made_good_by_the_others(void **state)
{
    (void)state;
    expect_hits("  - at: 2s\n    do: {rot: {node: node(1), file: t-0/*.log, header: true}, then: "
                "{crash: {node: node(1), after: 1s}, then: {restart: {after: 1s}}}}\n",
                SIM_FAULT_HEADER_ROT, 1);
    expect_hits("  - at: 2s\n    do: {lose_write: {node: node(1), file: t-0/*.log, times: 3}, "
                "then: {crash: {node: node(1), after: 3s}, then: {restart: {after: 1s}}}}\n",
                SIM_FAULT_LOST_WRITE, 3);
}

static void a_disk_that_went_back_in_time_is_not_believed(void **state)
{
    (void)state;
    expect_hits("  - at: 8s\n    do: {revert: {node: node(1), to: 4s}, then: {restart: {after: "
                "1s}}}\n",
                SIM_FAULT_REVERT, 1);
}

static uint32_t met(const struct spread *spread, enum spread_role role)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < SPREAD_PHASES; i++) {
        for (uint32_t j = 0; j < SPREAD_BUCKETS; j++)
            sum += spread->count[role][i][j];
    }
    return sum;
}

/* What the victims of steps were at the moment, also of a fault that takes its node down first; a
 * start is no fault. */
static void a_run_tells_in_which_states_its_faults_met_the_cluster(void **state)
{
    const struct run_options options = {.trace = RUN_TRACE_NONE, .codecs = &codecs};
    struct run_result *result = calloc(1, sizeof *result);
    struct yaml_error error;
    const char *text =
        CLUSTER "  - at: 2s\n    do: {crash: {node: leader(t-0)}, then: {restart: {after: 3s}}}\n"
                "  - after: 100ms\n    do: {clock: {node: active controller, jump: 1s}}\n"
                "  - at: 9s\n    do: {wipe: {node: leader(t-1), identity: new}, then: {restart: "
                "{after: 1s}}}\n";
    struct scenario *scenario = scenario_parse("faults.yaml", text, strlen(text), &error);

    (void)state;
    if (scenario == NULL) fail_msg("%s", error.text);
    run_scenario(scenario, 1, &options, result);
    if (result->verdict != RUN_PASS) fail_msg("%s", result->report);
    for (int role = 0; role < SPREAD_ROLES; role++) {
        assert_int_equal(met(&result->spread[SIM_FAULT_KILL], (enum spread_role)role),
                         role == SPREAD_LEADER);
        assert_int_equal(met(&result->spread[SIM_FAULT_WIPE], (enum spread_role)role),
                         role == SPREAD_LEADER);
        assert_int_equal(met(&result->spread[SIM_FAULT_START], (enum spread_role)role), 0);
    }
    assert_true(met(&result->spread[SIM_FAULT_CLOCK_STEP], SPREAD_ACTIVE) > 0);
    scenario_destroy(scenario);
    free(result);
}

static void every_default_clock_differs_and_none_does_not(void **state)
{
    struct yaml_error error;
    struct scenario *scenario;
    static const char none[] = "gregor: 1\nname: n\ncluster: {clock: none}\n";
    static const char some[] = "gregor: 1\nname: n\n";

    (void)state;
    scenario = scenario_parse("n.yaml", none, sizeof none - 1, &error);
    assert_non_null(scenario);
    assert_int_equal(scenario->skew_ns.max, 0);
    assert_int_equal(scenario->clock_step_ns.max, 0);
    assert_int_equal(scenario->late_ns.max, 0);
    scenario_destroy(scenario);
    scenario = scenario_parse("n.yaml", some, sizeof some - 1, &error);
    assert_non_null(scenario);
    assert_true(scenario->skew_ns.max > 0);
    assert_true(scenario->drift_ppb.max > 0);
    assert_true(scenario->clock_step_ns.max > 0);
    assert_false(scenario->free_cpu);
    scenario_destroy(scenario);
}

static int group_up(void **state)
{
    (void)state;
    return codecs_create(&codecs) == ERR_NONE ? 0 : -1;
}

static int group_down(void **state)
{
    (void)state;
    codecs_destroy(&codecs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_is_late_by_one_leader_change),
        cmocka_unit_test(a_fetch_of_a_former_life_arrives_after_the_restart),
        cmocka_unit_test(metadata_of_a_node_comes_at_once),
        cmocka_unit_test(a_node_dies_again_and_again_in_its_recovery),
        cmocka_unit_test(a_wiped_broker_comes_back),
        cmocka_unit_test(refused_memory_fails_a_request_or_stops_the_node),
        cmocka_unit_test(lost_and_rotten_bytes_are_made_good_by_the_others),
        cmocka_unit_test(a_disk_that_went_back_in_time_is_not_believed),
        cmocka_unit_test(a_run_tells_in_which_states_its_faults_met_the_cluster),
        cmocka_unit_test(every_default_clock_differs_and_none_does_not),
    };

    return cmocka_run_group_tests(tests, group_up, group_down);
}
