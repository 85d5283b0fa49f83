/* Proves: each trigger fires when it says, at the very event where it says so; guards hold back and
 * are counted; parallel steps go side by side; a step that never fires is UNEXERCISED; actions on
 * the cluster and on clients do what they say, through real clients; the terms of epochs and logs
 * say what the logs hold. The scenarios judge themselves: their expectations are the assertions,
 * and each kind of expectation is also shown to fail. */
#include "tests/support/support.h"

#include "client/posix/codecs.h"
#include "sim/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTER                                                                                  \
    "gregor: 1\nname: small\nstop: {time: 6s}\n"                                                 \
    "cluster: {controllers: 3, brokers: 3, racks: [a, b, c], config: {replica.lag.time.max.ms: " \
    "3s, broker.session.timeout.ms: 3s, broker.heartbeat.interval.ms: 500ms}}\n"                 \
    "topics: {t: {partitions: 2, replicas: 3, config: {min.insync.replicas: 2}}}\n"              \
    "workload:\n  - {producer: p, topic: t, rate: 100/s}\n  - {consumer: c, topics: "            \
    "[t]}\nsteps:\n"

static struct codecs codecs;

static struct run_result *ran(const char *text, uint64_t seed)
{
    const struct run_options options = {.trace = RUN_TRACE_NONE, .codecs = &codecs};
    struct run_result *result = calloc(1, sizeof *result);
    struct yaml_error error;
    struct scenario *scenario = scenario_parse("steps.yaml", text, strlen(text), &error);

    assert_non_null(result);
    if (scenario == NULL) fail_msg("%s", error.text);
    run_scenario(scenario, seed, &options, result);
    scenario_destroy(scenario);
    return result;
}

static void expect_verdict(const char *text, enum run_verdict verdict, const char *said)
{
    struct run_result *result = ran(text, 1);

    if (result->verdict != verdict) fail_msg("%s\n%s", text, result->report);
    if (strstr(result->text, said) == NULL) fail_msg("\"%s\" is not in: %s", said, result->text);
    free(result);
}

static void passes(const char *text)
{
    expect_verdict(text, RUN_PASS, "");
}

static uint64_t injected(const char *text, uint64_t seed, enum sim_fault fault)
{
    struct run_result *result = ran(text, seed);
    uint64_t count = result->faults[fault].injected;

    if (result->verdict != RUN_PASS) fail_msg("%s\n%s", text, result->report);
    free(result);
    return count;
}

/* ---- triggers -------------------------------------------------------------------------------- */

static void every_beats_so_often_and_lets_the_next_step_begin(void **state)
{
    (void)state;
    /* The second step comes while the first goes on. */
    assert_int_equal(injected(CLUSTER
                              "  - {every: 500ms, times: 4, do: {pause: {node: 1, for: 50ms}}}\n"
                              "  - {at: 1s, do: {mark: between}}\n"
                              "  - {when: time > 1.8s, within: 1s, do: {note: still in time}}\n",
                              1, SIM_FAULT_PAUSE),
                     4);
    /* Without times: until the safety phase ends. */
    assert_int_equal(injected(CLUSTER "  - {every: 1s, do: {pause: {node: 1, for: 50ms}}}\n", 1,
                              SIM_FAULT_PAUSE),
                     6); /* also at the last moment */
}

static void an_action_of_a_list_comes_as_long_behind_its_step_as_it_says(void **state)
{
    (void)state;
    passes(CLUSTER "  - {at: 1s, do: [{crash: {node: 3}}, {restart: {node: 3, after: 2s}}]}\n"
                   "  - {when: time > 2.9s, within: 3s, if: count(up(brokers)) == 2, do: check}\n"
                   "  - {when: time > 3.1s, within: 3s, if: count(up(brokers)) == 3, do: check}\n");
}

static void a_point_fires_inside_the_turn_of_its_node(void **state)
{
    (void)state;
    /* The leader dies with the append that it has just told of: 1 s later it is back. */
    passes(CLUSTER "  - on: \"point log.appended #20\"\n    node: leader(t-0)\n    as: {old: $it}\n"
                   "    do: {crash: {node: $it}, then: {restart: {after: 1s}}}\n"
                   "  - {when: leader(t-0) != $old and exists leader(t-0), within: 6s, do: check}\n"
                   "expect:\n  - {by: end, that: lost_acked(p) == 0}\n");
    expect_verdict(CLUSTER "  - {on: point dir.offline, do: {note: never}}\n", RUN_UNEXERCISED,
                   "step 1 (line 10): note never fired");
}

static void a_disk_request_fires_before_it_is_executed(void **state)
{
    (void)state;
    /* A follower dies instead of asking for its 5th write: what it has is short of it. */
    passes(CLUSTER "  - on: \"disk write *t-0*.log #5\"\n    node: followers(t-0)\n"
                   "    do: {crash: {node: $it, how: power_loss, unsynced: keep}, then: {restart: "
                   "{after: 500ms}}}\nexpect:\n  - {by: end, that: lost_acked(p) == 0}\n");
    passes(CLUSTER "  - {at: 1s, do: {crash: {node: active controller, how: kill}, then: {restart: "
                   "{node: $it, after: 1s}}}}\n"
                   "  - {on: disk sync *__cluster_metadata-0, node: controllers, do: check}\n");
    expect_verdict(CLUSTER "  - {on: disk write *no-such-file*, do: {note: never}}\n",
                   RUN_UNEXERCISED, "never fired");
}

static void a_request_fires_where_it_arrives_and_from_whom(void **state)
{
    (void)state;
    assert_int_equal(injected(CLUSTER "  - {on: \"api produce #3 from p\", times: 2, do: {pause: "
                                      "{node: $it, for: 20ms}}}\n",
                              1, SIM_FAULT_PAUSE),
                     2);
    expect_verdict(CLUSTER "  - {on: api Produce from c, do: {note: never}}\n", RUN_UNEXERCISED,
                   "never fired");
    passes(CLUSTER "  - {on: api AlterPartition, optional: true, parallel: true, do: check}\n"
                   "  - {on: api Fetch from followers(t-1), node: leader(t-1), do: check}\n");
}

/* ---- guards ---------------------------------------------------------------------------------- */

static void if_holds_a_step_back_and_is_no_pass(void **state)
{
    (void)state;
    passes(CLUSTER "  - {on: point log.appended, if: acked(p) > 50, do: {note: late}}\n"
                   "  - {when: acked(p) > 0, if: acked(p) > 100, do: {note: later}}\n");
    expect_verdict(CLUSTER "  - {at: 1s, if: acked(p) > 1M, do: {heal: all}}\n", RUN_UNEXERCISED,
                   "heal never fired");
    passes(CLUSTER "  - {at: 1s, if: acked(p) > 1M, optional: true, do: {heal: all}}\n"
                   "  - {at: 2s, do: {note: its turn has come}}\n");
}

static void chance_and_one_of_draw_once_each_time(void **state)
{
    static const char half[] =
        CLUSTER "  - {every: 100ms, times: 40, chance: 50%, do: {pause: {node: 1, for: 1ms}}}\n";
    static const char one_of[] =
        CLUSTER "  - {every: 100ms, times: 40, do: {one_of: [{pause: {node: 1, for: 1ms}}, "
                "{clog: {links: \"1 -> 2\", for: 1ms}}]}}\n";
    uint64_t first = injected(half, 1, SIM_FAULT_PAUSE);
    uint64_t pauses = injected(one_of, 3, SIM_FAULT_PAUSE);

    (void)state;
    assert_in_range(first, 8, 32);
    assert_int_equal(injected(half, 1, SIM_FAULT_PAUSE), first); /* the seed decides */
    assert_in_range(pauses, 8, 32);
    assert_int_equal(pauses + injected(one_of, 3, SIM_FAULT_CLOG), 40);
}

static void parallel_steps_go_side_by_side_and_wait_for_nobody(void **state)
{
    (void)state;
    passes(CLUSTER "  - {when: acked(p) > 200, parallel: true, do: {mark: slow}}\n"
                   "  - {when: acked(p) > 20, within: 2s, do: {mark: quick}}\n"
                   "  - {when: acked(p) > 40, within: 1s, do: {mark: next}}\n"
                   "expect:\n  - {after: step 3, that: eventually acked(p) > 100 within 2s}\n");
    /* In file order the third would have its turn only behind the first. */
    expect_verdict(CLUSTER "  - {when: acked(p) > 1M, do: {mark: never}}\n"
                           "  - {when: acked(p) > 20, do: {mark: behind}}\n",
                   RUN_UNEXERCISED, "step 1 (line 10): mark never fired");
    expect_verdict(CLUSTER "  - {when: acked(p) > 1M, parallel: true, do: {mark: never}}\n"
                           "  - {when: acked(p) > 20, do: {mark: beside}}\n",
                   RUN_UNEXERCISED, "step 1 (line 10): mark never fired");
}

/* ---- actions --------------------------------------------------------------------------------- */

static void an_operator_asks_the_cluster_and_its_answers_count(void **state)
{
    (void)state;
    passes(CLUSTER
           "  - at: 1s\n    do:\n"
           "      - {create_topic: {topic: new, partitions: 2, config: {retention.ms: 1h}}}\n"
           "      - {add_partitions: {topic: t, count: 4}}\n      - {elect: t-1}\n"
           "      - {config: {scope: topic t, set: {retention.ms: 2h}}}\n"
           "      - {config: {scope: broker 2, set: {log.retention.ms: 3h}}}\n"
           "      - {delete_records: t-0}\n"
           "  - {when: exists leader(new-1) and exists leader(t-3), within: 3s, do: check}\n"
           "  - {when: leader(t-0).log_start > 0, within: 3s, do: {delete_topic: new}}\n"
           "  - {when: count(replicas(new-0)) == 0, within: 3s, do: check}\n");
    expect_verdict(CLUSTER "  - {at: 1s, do: {config: {scope: topic t, set: {no.such.key: 1}}}}\n",
                   RUN_UNEXERCISED, "step 1: config was answered with INVALID_CONFIG");
    expect_verdict(CLUSTER "  - {at: 1s, do: {remove_voter: 1}}\n", RUN_UNEXERCISED,
                   "step 1: node 1 is no controller");
}

static void clients_come_and_go(void **state)
{
    (void)state;
    passes(CLUSTER "  - {at: 1s, do: [{start_client: {copy_of: p, as: p2}}, {produce: {client: p, "
                   "n: 300}}]}\n"
                   "  - {when: sent(p) > 400, within: 1s, do: check}\n"
                   "  - {when: acked(p2) > 100, within: 3s, do: {stop_client: {client: p2, how: "
                   "vanish}}}\n"
                   "  - {after: 100ms, do: {stop_client: {client: c}}}\n"
                   "  - {after: 100ms, if: count(up(p2)) == 0, do: {pause: {client: p, for: 1s}}}\n"
                   "expect:\n  - {by: end, that: lost_acked(p2) == 0 and acked(p2) < sent(p)}\n");
    expect_verdict(CLUSTER "  - {at: 1s, do: {stop_client: {client: c, how: vanish}}}\n"
                           "  - {after: 1s, do: {stop_client: {client: c}}}\n",
                   RUN_UNEXERCISED, "stop_client found nobody");
}

static void fail_fails_and_mark_passes(void **state)
{
    (void)state;
    expect_verdict(CLUSTER "  - {when: acked(p) > 10, do: {fail: more than ten}}\n", RUN_FAIL,
                   "more than ten");
    passes(CLUSTER "  - {when: acked(p) > 10, do: {mark: ten}}\n");
}

/* ---- expectations and terms ------------------------------------------------------------------ */

static void epochs_and_logs_can_be_asked_for(void **state)
{
    static const char cut[] =
        CLUSTER "  - at: 1s\n    as: {old: leader(t-0)}\n    do: {partition: {from: $old, to: "
                "brokers - $old + controllers, both: true, style: hold, for: 4s}}\n"
                "  - {when: exists leader(t-0) and leader(t-0) != $old, within: 4s, do: check}\n"
                "expect:\n";
    char text[4096];

    (void)state;
    /* The deposed leader went on appending what nobody has; it cuts that off. */
    (void)snprintf(text, sizeof text,
                   "%s  - that: eventually not same_prefix(t-0, $old, leader(t-0)) within 5s\n"
                   "    after: step 2\n  - {by: end, that: \"truncated(t-0, $old) > 0 and "
                   "same_prefix(t-0, $old, leader(t-0))\"}\n"
                   "  - {by: end, that: all replicas(t) identical below hw}\n"
                   "  - {by: end, that: \"replica(t-0, $old).epoch_end(0) == "
                   "leader(t-0).epoch_end(0) and leader(t-0).epoch_end(0) > 0\"}\n",
                   cut);
    passes(text);
    (void)snprintf(text, sizeof text, "%s  - {by: end, that: \"truncated(t-0, $old) == 0\"}\n",
                   cut);
    expect_verdict(text, RUN_FAIL, "does not hold at the end");
    (void)snprintf(text, sizeof text,
                   "%s  - {that: \"always same_prefix(t-0, $old, leader(t-0))\", after: step 2}\n",
                   cut);
    expect_verdict(text, RUN_FAIL, "is broken");
}

#define GROUP                                                                            \
    "gregor: 1\nname: group\nstop: {time: 20s}\ncluster: {controllers: 1, brokers: 3}\n" \
    "topics: {t: {partitions: 4, replicas: 3}}\n"                                        \
    "workload:\n  - {producer: p, topic: t, rate: 100/s}\n"                              \
    "  - {consumer: g, group: g, topics: [t], members: 2, commit: {every: 500ms}}\nsteps:\n"

static void groups_can_be_asked_for(void **state)
{
    (void)state;
    passes(GROUP "  - when: group(g).state == stable and group(g).members == 2\n"
                 "    within: 15s\n    as: {c: coordinator(group g)}\n"
                 "    do: {stop_client: {client: any g}}\n"
                 "  - {when: group(g).members == 1 and group(g).state == stable, within: 5s, do: "
                 "{start_client: {copy_of: g}}}\n"
                 "  - {when: group(g).generation > 1 and $c == coordinator(group g), do: check}\n"
                 "expect:\n  - {that: never shared_owner(group g)}\n"
                 "  - {that: never committed_regressed(group g) unless reset}\n"
                 "  - {by: end, that: lag(g) == 0}\n");
    expect_verdict(GROUP "  - {when: group(g).state == stable, within: 15s, do: check}\nexpect:\n"
                         "  - {that: never lag(g) > 0 for 100ms}\n",
                   RUN_FAIL, "is broken: never lag(g) > 0");
    /* A group that steps have emptied gets a member back for the liveness phase. */
    passes(GROUP
           "  - {when: group(g).members == 2, within: 15s, do: [{stop_client: {client: g, "
           "how: vanish}}]}\nexpect:\n  - {by: end, that: lag(g) == 0 and count(up(g)) == 1}\n");
}

static void unless_excuses_and_off_silences(void **state)
{
    (void)state;
    passes(CLUSTER "  - {at: 1s, do: check}\nexpect:\n"
                   "  - {that: never acked(p) > 100 unless time > 500ms}\n");
    expect_verdict(CLUSTER "  - {at: 1s, do: check}\nexpect:\n"
                           "  - {that: never acked(p) > 100 unless time < 500ms}\n",
                   RUN_FAIL, "is broken: never acked(p) > 100 unless time < 500ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_beats_so_often_and_lets_the_next_step_begin),
        cmocka_unit_test(an_action_of_a_list_comes_as_long_behind_its_step_as_it_says),
        cmocka_unit_test(a_point_fires_inside_the_turn_of_its_node),
        cmocka_unit_test(a_disk_request_fires_before_it_is_executed),
        cmocka_unit_test(a_request_fires_where_it_arrives_and_from_whom),
        cmocka_unit_test(if_holds_a_step_back_and_is_no_pass),
        cmocka_unit_test(chance_and_one_of_draw_once_each_time),
        cmocka_unit_test(parallel_steps_go_side_by_side_and_wait_for_nobody),
        cmocka_unit_test(an_operator_asks_the_cluster_and_its_answers_count),
        cmocka_unit_test(clients_come_and_go),
        cmocka_unit_test(fail_fails_and_mark_passes),
        cmocka_unit_test(epochs_and_logs_can_be_asked_for),
        cmocka_unit_test(groups_can_be_asked_for),
        cmocka_unit_test(unless_excuses_and_off_silences),
    };

    assert_int_equal(codecs_create(&codecs), ERR_NONE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
