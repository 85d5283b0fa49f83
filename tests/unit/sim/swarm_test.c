/* Proves: a scenario with random faults is one run for one seed, its shape is drawn within what the
 * file allows, and the loss budget weakens what would take more than a partition may lose. */
#include "tests/support/support.h"

#include "client/posix/codecs.h"
#include "sim/run.h"
#include "sim/swarm_shape.h"

#include <stdlib.h>
#include <string.h>

static struct codecs codecs;

static struct scenario *parse(const char *text)
{
    struct yaml_error error = {.text = ""};
    struct scenario *scenario = scenario_parse("swarm.yaml", text, strlen(text), &error);

    if (scenario == NULL) fail_msg("%s", error.text);
    return scenario;
}

static void refuse(const char *text, const char *said)
{
    struct yaml_error error = {.text = ""};

    assert_null(scenario_parse("swarm.yaml", text, strlen(text), &error));
    if (strstr(error.text, said) == NULL) fail_msg("\"%s\" is not in: %s", said, error.text);
}

#define SHAPE                                                                                  \
    "gregor: 1\nname: s\nstop: {time: 15s}\n"                                                  \
    "cluster: {controllers: {pick: [1, 3]}, brokers: {pick: [2, 4]}, config: {swarm: true}}\n" \
    "topics: {t: {partitions: 1..3, replicas: 1..3, config: {swarm: true}}}\n"                 \
    "workload: {mix: standard, clients: 2..5}\n"

#define TWO_BROKERS(time, controllers, in_sync, rate)                                   \
    "gregor: 1\nname: two\nstop: {time: " time "}\n"                                    \
    "cluster: {controllers: " controllers ", brokers: 2}\ntopics: {t: {partitions: 1, " \
    "replicas: 2, config: {min.insync.replicas: " in_sync "}}}\n"                       \
    "workload:\n  - {producer: p, topic: t, rate: " rate "}\n"

static uint32_t members_of(const struct scenario *drawn)
{
    uint32_t members = 0;

    for (uint32_t i = 0; i < drawn->client_count; i++)
        members += drawn->clients[i].group != NULL;
    return members;
}

static bool is_compacted(const struct scenario_topic *topic)
{
    for (uint32_t i = 0; i < topic->config_count; i++) {
        if (strcmp(topic->configs[i].key, "cleanup.policy") == 0) return true;
    }
    return false;
}

/* Who groups has a topic for their offsets; who compacts has keys. */
static void groups_keys_and_racks_are_drawn_where_they_belong(void **state)
{
    struct scenario *scenario = parse(SHAPE);
    uint32_t groups = 0, compacted = 0, racks = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct yaml_error error = {.text = ""};
        struct scenario *chosen = scenario_for_seed(scenario, seed, &error);
        struct scenario *drawn = swarm_shape_draw(chosen, seed);
        bool has_group = members_of(drawn) > 0;

        assert_int_equal(has_group, drawn->topic_count == 2);
        if (has_group) assert_string_equal(drawn->topics[1].name, "__consumer_offsets");
        groups += has_group;
        racks += drawn->racks[0] != NULL;
        if (is_compacted(&drawn->topics[0])) {
            compacted++;
            assert_true(drawn->clients[0].keys > 0);
        }
        scenario_destroy(drawn);
        scenario_destroy(chosen);
    }
    assert_in_range(groups, 10, 60);
    assert_in_range(compacted, 10, 60);
    assert_in_range(racks, 10, 60);
    scenario_destroy(scenario);
}

/* One producer at most, and one whose records are written once. */
static void transactions_are_drawn(void **state)
{
    struct scenario *scenario = parse(SHAPE);
    uint32_t runs = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct yaml_error error = {.text = ""};
        struct scenario *chosen = scenario_for_seed(scenario, seed, &error);
        struct scenario *drawn = swarm_shape_draw(chosen, seed);
        uint32_t count = 0;

        for (uint32_t i = 0; i < drawn->client_count; i++) {
            const struct scenario_client *client = &drawn->clients[i];

            if (client->transaction == 0) continue;
            assert_int_equal(client->kind, SCENARIO_PRODUCER);
            assert_true(client->idempotent);
            count++;
        }
        assert_in_range(count, 0, 1);
        runs += count;
        scenario_destroy(drawn);
        scenario_destroy(chosen);
    }
    assert_in_range(runs, 10, 60);
    scenario_destroy(scenario);
}

static void the_shape_stays_within_the_file(void **state)
{
    struct scenario *scenario = parse(SHAPE);
    uint32_t brokers = 0;

    (void)state;
    assert_true(swarm_shape_wanted(scenario));
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct yaml_error error = {.text = ""};
        struct scenario *chosen = scenario_for_seed(scenario, seed, &error);
        struct scenario *drawn = swarm_shape_draw(chosen, seed);
        const struct scenario_topic *topic = &drawn->topics[0];

        assert_non_null(chosen);
        assert_true(drawn->brokers == 2 || drawn->brokers == 4);
        assert_true(drawn->controllers == 1 || drawn->controllers == 3);
        assert_true(topic->partitions.min == topic->partitions.max);
        assert_in_range(topic->partitions.min, 1, 3);
        assert_true(topic->replicas.max <= (int64_t)drawn->brokers);
        assert_in_range(drawn->client_count - members_of(drawn), 2, 5);
        assert_int_equal(drawn->clients[0].kind, SCENARIO_PRODUCER);
        assert_int_equal(drawn->clients[1].kind, SCENARIO_CONSUMER);
        brokers |= drawn->brokers;
        scenario_destroy(drawn);
        scenario_destroy(chosen);
    }
    assert_int_equal(brokers, 2 | 4);
    assert_int_equal(scenario->config_count, 0); /* the original is as it was */
    assert_int_equal(scenario->client_count, 0);
    scenario_destroy(scenario);
}

static void what_cannot_be_drawn_is_an_error(void **state)
{
    (void)state;
    refuse(SHAPE "faults: {only: [P1, P99]}\n", "no such random fault: \"P99\"");
    refuse(SHAPE "faults: {classes: [weather]}\n", "weather");
    refuse(SHAPE "faults: {only: [P1], off: [P1]}\n", "no class is left");
    refuse(SHAPE "faults: {intensity: {pick: []}}\n", "pick");
}

static void run(const struct scenario *scenario, uint64_t seed, struct run_result *result)
{
    const struct run_options options = {.trace = RUN_TRACE_NONE, .codecs = &codecs};

    run_scenario(scenario, seed, &options, result);
    if (result->verdict != RUN_PASS) fail_msg("%s", result->report);
}

static void one_seed_draws_one_run(void **state)
{
    struct scenario *scenario = parse(SHAPE "faults: {intensity: hostile, off: [P2]}\n");
    struct run_result *first = calloc(1, sizeof *first);
    struct run_result *again = calloc(1, sizeof *again);

    (void)state;
    run(scenario, 3, first);
    run(scenario, 3, again);
    assert_true(first->hash == again->hash);
    assert_string_equal(first->drawn, again->drawn);
    run(scenario, 4, again);
    assert_true(first->hash != again->hash);
    free(first);
    free(again);
    scenario_destroy(scenario);
}

/* min.insync.replicas 1: nobody may lose anything; all power losses keep what was written. */
static void no_budget_no_loss(void **state)
{
    struct scenario *scenario = parse(TWO_BROKERS(
        "30s", "1", "1", "50/s") "faults: {intensity: hostile, only: [P2], rate: {P2: 1/s}}\n");
    struct run_result *result = calloc(1, sizeof *result);
    const struct sim_fault_count *count = &result->faults[SIM_FAULT_POWER_LOSS];

    (void)state;
    run(scenario, 1, result);
    assert_true(count->injected > 0);
    assert_true(count->weakened > 0);
    assert_true(count->asked >= count->injected + count->refused);
    free(result);
    scenario_destroy(scenario);
}

/* Each change of the cluster hits in some run of its own, and where it would take too much it
 * is refused. */
static void the_cluster_is_changed_at_random(void **state)
{
    static const struct {
        const char *faults;
        enum fault_class class;
        enum sim_fault fault;
        bool refused; /* in some run */
    } rows[] = {
        {"faults: {only: [P11R], rate: {P11R: 0.5/s}}\n", FAULT_CLASS_REASSIGN, SIM_FAULT_REASSIGN,
         true},
        {"faults: {only: [P11V], rate: {P11V: 0.5/s}}\n", FAULT_CLASS_VOTERS, SIM_FAULT_VOTERS,
         false},
        {"faults: {only: [P11U], rate: {P11U: 0.5/s}}\n", FAULT_CLASS_UNREGISTER,
         SIM_FAULT_UNREGISTER, true},
        {"faults: {only: [P9], rate: {P9: 1/s}}\n", FAULT_CLASS_UPGRADE, SIM_FAULT_FEATURES, true},
        {"faults: {only: [DF20], rate: {DF20: 0.3/s}}\n", FAULT_CLASS_FOREIGN, SIM_FAULT_FOREIGN,
         true}};
    struct run_result *result = calloc(1, sizeof *result);

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        char text[1024];
        struct scenario *scenario;
        uint64_t full = 0, refused = 0;

        (void)snprintf(text, sizeof text, "%s%s", SHAPE, rows[i].faults);
        scenario = parse(text);
        for (uint64_t seed = 1; seed <= 30 && full == 0; seed++) {
            run(scenario, seed, result);
            full = result->random[rows[i].class].full;
        }
        for (uint64_t seed = 1; seed <= 30 && refused == 0 && rows[i].refused; seed++) {
            run(scenario, seed, result);
            refused = result->faults[rows[i].fault].refused;
        }
        if (full == 0) fail_msg("%s never", fault_class_info(rows[i].class)->id);
        if (refused == 0 && rows[i].refused)
            fail_msg("%s is never refused", fault_class_info(rows[i].class)->id);
        scenario_destroy(scenario);
    }
    free(result);
}

/* Only while the other voters have everything; then its leader finds it out. */
static void the_disk_of_a_voter_is_set_back(void **state)
{
    struct scenario *scenario = parse(TWO_BROKERS(
        "20s", "3", "1",
        "50/s") "faults: {intensity: hostile, only: [P1, DF19], rate: {P1: 0.5/s, DF19: 1/s}}\n");
    struct run_result *result = calloc(1, sizeof *result);
    uint64_t found = 0, refused = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 30 && (found == 0 || refused == 0); seed++) {
        run(scenario, seed, result);
        refused += result->faults[SIM_FAULT_REVERT].refused;
        for (uint32_t i = 0; i < result->oracles; i++)
            if (strcmp(check_list(i)->id, "K35") == 0) found += result->evaluations[i];
    }
    assert_true(found > 0);
    assert_true(refused > 0);
    free(result);
    scenario_destroy(scenario);
}

/* A log under the name of another partition of its topic is like that one's own. The broker puts it
 * aside as long as that is not its own; it must not come back with an older disk, nor may the
 * broker get that partition before. Seed 13 made it the broker's: kept while the controller was
 * away, there again when the partition had been added. */
static void a_log_of_elsewhere_never_becomes_the_own_one(void **state)
{
    struct scenario *scenario = parse(TWO_BROKERS(
        "14s", "1", "2",
        "5/s") "faults: {intensity: hostile, quiet_start: 500ms, only: [DF20, DF19, P11],\n"
               "  rate: {DF20: 1/s, DF19: 3/s, P11: 1/s}}\n"
               "steps:\n  - at: 1s\n"
               "    do: {crash: {node: node(101), how: kill}, then: {restart: {after: 4s}}}\n");
    struct run_result *result = calloc(1, sizeof *result);
    uint64_t foreign = 0, reverted = 0;

    (void)state;
    for (uint64_t seed = 8; seed <= 18; seed++) {
        run(scenario, seed, result);
        foreign += result->faults[SIM_FAULT_FOREIGN].injected;
        reverted += result->faults[SIM_FAULT_REVERT].injected;
    }
    assert_true(foreign > 0 && reverted > 0);
    free(result);
    scenario_destroy(scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_keys_and_racks_are_drawn_where_they_belong),
        cmocka_unit_test(transactions_are_drawn),
        cmocka_unit_test(the_shape_stays_within_the_file),
        cmocka_unit_test(what_cannot_be_drawn_is_an_error),
        cmocka_unit_test(one_seed_draws_one_run),
        cmocka_unit_test(no_budget_no_loss),
        cmocka_unit_test(the_cluster_is_changed_at_random),
        cmocka_unit_test(the_disk_of_a_voter_is_set_back),
        cmocka_unit_test(a_log_of_elsewhere_never_becomes_the_own_one),
    };
    int failed;

    if (codecs_create(&codecs) != ERR_NONE) return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    codecs_destroy(&codecs);
    return failed;
}
