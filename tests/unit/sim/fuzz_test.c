/* Proves: shards of a campaign are disjoint and together complete; a campaign says what was idle
 * and only that; the canary is found out for one seed in a hundred and lives with the others. */
#include "tests/support/support.h"

#include "client/posix/codecs.h"
#include "sim/fuzz.h"
#include "sim/tally.h"

#include <stdlib.h>
#include <string.h>

static void shards_are_disjoint_and_complete(void **state)
{
    enum { TURNS = 1000 };
    uint32_t seen[TURNS] = {0};

    (void)state;
    for (uint32_t shards = 1; shards <= 7; shards += 3) {
        memset(seen, 0, sizeof seen);
        for (uint32_t shard = 1; shard <= shards; shard++) {
            const struct fuzz_options options = {.shard = shard, .shards = shards};

            for (uint64_t n = 0; fuzz_turn(&options, n) < TURNS; n++)
                seen[fuzz_turn(&options, n)]++;
        }
        for (uint32_t i = 0; i < TURNS; i++)
            assert_int_equal(seen[i], 1);
    }
}

/* One seed draws the same classes of faults in every scenario: twenty of them would be one draw. */
static void scenarios_have_seeds_of_their_own_unless_a_range_is_given(void **state)
{
    struct fuzz_options options = {.campaign = {.seed_first = 7}};

    (void)state;
    assert_int_equal(fuzz_seed(&options, 0, 3), 10);
    assert_int_equal(fuzz_seed(&options, 2, 3), 10 + 2 * FUZZ_APART);
    options.has_count = true;
    assert_int_equal(fuzz_seed(&options, 2, 3), 10);
}

static void idle_oracles_and_faults_are_named(void **state)
{
    struct scenario *scenario = calloc(1, sizeof *scenario);
    struct run_result *result = calloc(1, sizeof *result);
    struct tally *tally = calloc(1, sizeof *tally);
    char text[256];

    (void)state;
    scenario->faults.swarm = true;
    scenario->faults.classes = 1u << FAULT_CLASS_KILL | 1u << FAULT_CLASS_PAUSE;
    while (check_list(result->oracles) != NULL)
        result->evaluations[result->oracles++] = 1;
    result->random[FAULT_CLASS_KILL] = (struct fault_class_count){.done = 2, .full = 1};
    result->random[FAULT_CLASS_PAUSE] = (struct fault_class_count){.done = 3, .full = 0};
    result->faults[SIM_FAULT_POWER_LOSS] =
        (struct sim_fault_count){.asked = 2, .injected = 2, .weakened = 2};
    result->evaluations[0] = 0;
    tally_add(tally, scenario, result);
    assert_int_equal(tally_idle(tally, text, sizeof text), 3);
    assert_non_null(strstr(text, check_list(0)->id));
    assert_non_null(strstr(text, "random fault P5"));
    assert_non_null(strstr(text, "fault power loss"));
    assert_null(strstr(text, "P1"));
    /* One run that has it is enough for the campaign. */
    result->evaluations[0] = 1;
    result->random[FAULT_CLASS_PAUSE].full = 1;
    result->faults[SIM_FAULT_POWER_LOSS].weakened = 1;
    tally_add(tally, scenario, result);
    assert_int_equal(tally_idle(tally, text, sizeof text), 0);
    assert_string_equal(text, "");
    free(tally);
    free(result);
    free(scenario);
}

/* What the victims of a fault were, the phase of the cluster, records above the high watermark. */
static void a_campaign_tells_in_which_states_its_faults_met_the_cluster(void **state)
{
    struct tally *tally = calloc(1, sizeof *tally);
    struct spread *kill = &tally->spread[SIM_FAULT_KILL];
    FILE *file = tmpfile();
    char text[16384];
    size_t length;

    (void)state;
    assert_non_null(file);
    kill->count[SPREAD_LEADER][SPREAD_STEADY][0] = 1;
    kill->count[SPREAD_LEADER][SPREAD_SHRUNK][3] = 2;
    kill->count[SPREAD_FOLLOWER][SPREAD_LEADERLESS][1] = 3;
    tally_print(file, tally);
    rewind(file);
    length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    assert_non_null(
        strstr(text, "spread crash                down 0 voter 0 active 0 follower 3 leader 3 |"
                     " steady 1 shrunk 2 leaderless 3 headless 0 |"
                     " above hw 0: 1 1: 3 2-9: 0 10-99: 2 100+: 0\n"));
    (void)fclose(file);
    free(tally);
}

static enum run_verdict canary(uint64_t seed, char check[40])
{
    static const char text[] =
        "gregor: 1\nname: canary\nstop: {time: 3s}\ncanary: true\n"
        "cluster: {controllers: 1, brokers: 1}\ntopics: {t: {partitions: 1, replicas: 1}}\n"
        "workload:\n  - {producer: p, topic: t, rate: 100/s}\n  - {consumer: c, topics: [t]}\n";
    struct run_result *result = calloc(1, sizeof *result);
    struct yaml_error error = {.text = ""};
    struct scenario *scenario = scenario_parse("canary", text, sizeof text - 1, &error);
    struct codecs codecs;
    const struct run_options options = {.trace = RUN_TRACE_NONE, .codecs = &codecs};
    enum run_verdict verdict;

    assert_non_null(scenario);
    assert_int_equal(codecs_create(&codecs), ERR_NONE);
    run_scenario(scenario, seed, &options, result);
    verdict = result->verdict;
    memcpy(check, result->check, 40);
    codecs_destroy(&codecs);
    scenario_destroy(scenario);
    free(result);
    return verdict;
}

static void the_canary_dies_of_a_lie_about_a_high_watermark(void **state)
{
    char check[40];

    (void)state;
    assert_int_equal(canary(300, check), RUN_FAIL);
    assert_string_equal(check, "R6");
    assert_int_equal(canary(301, check), RUN_PASS);
}

/* One short run: most oracles judge nothing, and a power loss that nobody may lose anything by is
 * never one at full strength. A shard of it says nothing of the whole. */
static void a_campaign_with_something_idle_is_red(void **state)
{
    static const char text[] =
        "gregor: 1\nname: short\nstop: {time: 5s}\ncluster: {controllers: 1, brokers: 1}\n"
        "topics: {t: {partitions: 1, replicas: 1}}\n"
        "workload:\n  - {producer: p, topic: t, rate: 50/s}\n"
        "faults: {only: [P2], rate: {P2: 1/s}}\n";
    struct yaml_error error = {.text = ""};
    struct scenario *scenario = scenario_parse("short", text, sizeof text - 1, &error);
    struct codecs codecs;
    struct fuzz_options options = {.has_count = true, .shard = 1, .shards = 1};

    (void)state;
    if (scenario == NULL) fail_msg("%s", error.text);
    assert_int_equal(codecs_create(&codecs), ERR_NONE);
    options.campaign =
        (struct campaign_options){.run = {.codecs = &codecs, .out_dir = "build/fuzz-test"},
                                  .seed_first = 1,
                                  .seed_count = 1,
                                  .jobs = 1,
                                  .quiet = true};
    assert_int_equal(fuzz_run(&scenario, 1, &options), CAMPAIGN_UNEXERCISED);
    options.campaign.seed_count = 2;
    options.shards = 2;
    assert_int_equal(fuzz_run(&scenario, 1, &options), CAMPAIGN_PASSED);
    codecs_destroy(&codecs);
    scenario_destroy(scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_disjoint_and_complete),
        cmocka_unit_test(scenarios_have_seeds_of_their_own_unless_a_range_is_given),
        cmocka_unit_test(idle_oracles_and_faults_are_named),
        cmocka_unit_test(a_campaign_with_something_idle_is_red),
        cmocka_unit_test(a_campaign_tells_in_which_states_its_faults_met_the_cluster),
        cmocka_unit_test(the_canary_dies_of_a_lie_about_a_high_watermark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
