/* Proves: a whole cluster of real nodes and clients runs under the simulator, the same in every
 * process for the same seed; each verdict comes from what it is for; lines and exit codes are those
 * that scripts rely on. */
#include "tests/support/support.h"

#include "client/posix/codecs.h"
#include "sim/campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLUSTER                                                                      \
    "gregor: 1\nname: small\nstop: {time: 4s}\n"                                     \
    "cluster: {controllers: 3, brokers: 3, config: {replica.lag.time.max.ms: 3000, " \
    "broker.session.timeout.ms: 3000, broker.heartbeat.interval.ms: 500}}\n"         \
    "topics: {t: {partitions: 2, replicas: 3, config: {min.insync.replicas: 2}}}\n"  \
    "workload:\n  - {producer: p, topic: t, rate: 100/s}\n  - {consumer: c, topics: [t]}\n"

static struct codecs codecs;

static void run(const char *text, uint64_t seed, struct run_result *result)
{
    const struct run_options options = {.trace = RUN_TRACE_NONE, .codecs = &codecs};
    struct yaml_error error;
    struct scenario *scenario = scenario_parse("small.yaml", text, strlen(text), &error);

    if (scenario == NULL) fail_msg("%s", error.text);
    run_scenario(scenario, seed, &options, result);
    scenario_destroy(scenario);
}

static void expect_verdict(const char *text, enum run_verdict verdict, const char *check,
                           const char *said)
{
    struct run_result *result = calloc(1, sizeof *result);

    assert_non_null(result);
    run(text, 1, result);
    if (result->verdict != verdict) fail_msg("%s", result->report);
    assert_string_equal(result->check, check);
    if (strstr(result->text, said) == NULL) fail_msg("\"%s\" is not in: %s", said, result->text);
    if (verdict != RUN_PASS && verdict != RUN_ERROR) {
        assert_non_null(strstr(result->report, "gregor-sim run small.yaml --seed 1 --no-fork"));
        assert_non_null(strstr(result->report, "last events:"));
    }
    free(result);
}

/* The same run in a process of its own. */
static uint64_t hash_of_child(uint64_t seed)
{
    uint64_t hash = 0;
    int fds[2];
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        void *shift = malloc(123457); /* another layout */
        struct run_result *result = calloc(1, sizeof *result);

        run(CLUSTER, seed, result);
        if (write(fds[1], &result->hash, sizeof result->hash) != sizeof hash) _exit(1);
        free(shift);
        _exit(0);
    }
    assert_int_equal(read(fds[0], &hash, sizeof hash), sizeof hash);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return hash;
}

static void one_seed_is_one_run_in_every_process(void **state)
{
    struct run_result *result = calloc(1, sizeof *result);
    uint64_t first;

    (void)state;
    run(CLUSTER, 7, result);
    if (result->verdict != RUN_PASS) fail_msg("%s", result->report);
    first = result->hash;
    assert_int_equal(hash_of_child(7), first);
    assert_int_equal(hash_of_child(7), first);
    assert_int_not_equal(hash_of_child(8), first);
    run(CLUSTER, 7, result); /* nothing is left behind by a run in the same process */
    assert_int_equal(result->hash, first);
    free(result);
}

static void a_crash_is_survived_and_counted(void **state)
{
    struct run_result *result = calloc(1, sizeof *result);

    (void)state;
    run(CLUSTER "steps:\n  - at: 1s\n    do: {crash: {node: leader(t-0)}, then: {restart: {after: "
                "1s}}}\nexpect:\n  - {by: end, that: lost_acked(p) == 0 and acked(p) > 100}\n",
        3, result);
    if (result->verdict != RUN_PASS) fail_msg("%s", result->report);
    assert_int_equal(result->faults[SIM_FAULT_KILL].injected, 1);
    assert_int_equal(result->faults[SIM_FAULT_START].injected, 1);
    assert_true(result->oracles > 50);
    free(result);
}

static void what_is_expected_and_does_not_hold_fails(void **state)
{
    (void)state;
    expect_verdict(CLUSTER "expect:\n  - {by: end, that: acked(p) == 1}\n", RUN_FAIL, "expect:10",
                   "does not hold at the end: acked(p) == 1");
    expect_verdict(CLUSTER "expect:\n  - {that: never acked(p) > 20}\n", RUN_FAIL, "expect:10",
                   "is broken");
    expect_verdict(CLUSTER "expect:\n  - {that: eventually acked(p) > 100000 within 2s}\n",
                   RUN_FAIL, "expect:10", "was not met in time");
}

static void what_never_happened_is_no_pass(void **state)
{
    (void)state;
    expect_verdict(CLUSTER "steps:\n  - {when: acked(p) > 100000, do: {heal: all}}\n",
                   RUN_UNEXERCISED, "", "step 1 (line 10): heal never fired");
    expect_verdict(CLUSTER "steps:\n  - {when: acked(p) > 100000, within: 1s, do: {heal: all}}\n",
                   RUN_UNEXERCISED, "", "did not fire within 1.000 s");
    expect_verdict(CLUSTER "steps:\n  - {at: 1s, do: {crash: {node: isr(t-0) - isr(t-0)}}}\n",
                   RUN_UNEXERCISED, "", "crash found nobody to act on");
    expect_verdict(CLUSTER
                   "steps:\n  - {when: acked(p) > 100000, optional: true, do: {heal: all}}\n",
                   RUN_PASS, "", "");
}

static void what_cannot_converge_is_stuck(void **state)
{
    (void)state;
    expect_verdict(CLUSTER "steps:\n  - {at: 1s, do: {crash: {nodes: controllers}}}\n"
                           "liveness: {core: [1, 2, 3], converge: 20s}\n",
                   RUN_STUCK, "", "no controller is active");
}

static void a_configuration_that_nodes_refuse_is_an_error(void **state)
{
    (void)state;
    expect_verdict("gregor: 1\nname: small\ncluster: {config: {num.partitions: many}}\n", RUN_ERROR,
                   "", "num.partitions");
    expect_verdict("gregor: 1\nname: small\ncluster: {config: {num.partition: 1}}\n", RUN_ERROR, "",
                   "num.partitions");
}

static void lines_are_those_of_the_contract(void **state)
{
    struct scenario scenario = {.name = "leader-crash"};
    struct run_result *result = calloc(1, sizeof *result);
    char line[512];

    (void)state;
    result->seed = 7;
    result->virtual_ns = 120 * NS_PER_SEC;
    result->events = 96223;
    result->hash = UINT64_C(0x9f3c02d1a7e45b10);
    result->node = -1;
    result->wall_ns = 310 * NS_PER_MS;
    campaign_line(&scenario, result, line, sizeof line);
    assert_string_equal(line, "PASS scenario=leader-crash seed=7 virtual=120.000s events=96223 "
                              "hash=9f3c02d1a7e45b10\twall=0.31s");
    result->verdict = RUN_FAIL;
    strcpy(result->check, "R6");
    strcpy(result->partition, "orders-0");
    result->node = 2;
    campaign_line(&scenario, result, line, sizeof line);
    assert_string_equal(line,
                        "FAIL scenario=leader-crash seed=7 virtual=120.000s events=96223 "
                        "hash=9f3c02d1a7e45b10 check=R6 node=2 partition=orders-0\twall=0.31s");
    free(result);
}

static void the_exit_code_is_the_first_of_the_order(void **state)
{
    uint64_t verdicts[RUN_VERDICTS] = {[RUN_PASS] = 9};

    (void)state;
    assert_int_equal(campaign_exit_of(verdicts), 0);
    verdicts[RUN_INCONCLUSIVE] = 1;
    assert_int_equal(campaign_exit_of(verdicts), 7);
    verdicts[RUN_UNEXERCISED] = 1;
    assert_int_equal(campaign_exit_of(verdicts), 4);
    verdicts[RUN_STUCK] = 1;
    assert_int_equal(campaign_exit_of(verdicts), 3);
    verdicts[RUN_FAIL] = 1;
    assert_int_equal(campaign_exit_of(verdicts), 1);
    verdicts[RUN_CRASH] = 1;
    assert_int_equal(campaign_exit_of(verdicts), 6);
    verdicts[RUN_NONDET] = 1;
    assert_int_equal(campaign_exit_of(verdicts), 5);
    verdicts[RUN_ERROR] = 1;
    assert_int_equal(campaign_exit_of(verdicts), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_is_one_run_in_every_process),
        cmocka_unit_test(a_crash_is_survived_and_counted),
        cmocka_unit_test(what_is_expected_and_does_not_hold_fails),
        cmocka_unit_test(what_never_happened_is_no_pass),
        cmocka_unit_test(what_cannot_converge_is_stuck),
        cmocka_unit_test(a_configuration_that_nodes_refuse_is_an_error),
        cmocka_unit_test(lines_are_those_of_the_contract),
        cmocka_unit_test(the_exit_code_is_the_first_of_the_order),
    };
    int failed;

    if (codecs_create(&codecs) != ERR_NONE) return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    codecs_destroy(&codecs);
    return failed;
}
