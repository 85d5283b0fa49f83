/* Proves: a scenario is read as written; whatever is wrong with one is said with its place and, for
 * a mistyped word, with the nearest right one. Messages are compared whole: people read them. */
#include "tests/support/support.h"

#include "sim/scenario/scenario.h"

#include <stdio.h>
#include <string.h>

#define HEAD "gregor: 1\nname: t\ntopics:\n  orders: {partitions: 2, replicas: 3}\n"
#define WORK HEAD "workload:\n  - {producer: p1, topic: orders, rate: 10/s}\n"

static void refuse(const char *text, const char *expected)
{
    struct yaml_error error;
    struct scenario *scenario = scenario_parse("t.yaml", text, strlen(text), &error);

    if (scenario != NULL) fail_msg("was accepted: %s", text);
    assert_string_equal(error.text, expected);
}

static struct scenario *accept(const char *text)
{
    struct yaml_error error;
    struct scenario *scenario = scenario_parse("t.yaml", text, strlen(text), &error);

    if (scenario == NULL) fail_msg("%s", error.text);
    return scenario;
}

static void a_whole_scenario_is_read(void **state)
{
    struct scenario *s = accept(
        "gregor: 1\nname: whole\nabout: All of it.\ntags: [a]\nseeds: {from: 3, count: 4}\n"
        "stop: {time: 90s, events: 5M, wall: 1min}\n"
        "cluster:\n  controllers: 3\n  brokers: 3\n  racks: [a, a, b]\n"
        "  config: {replica.lag.time.max.ms: 5000}\n  node: {2: {config: {num.partitions: 4}}}\n"
        "  network: {latency: 1ms..2ms}\n  disk: {profile: ssd}\n"
        "  clock: {skew: -1s..1s, drift: 0ppm}\n"
        "topics:\n  pay: {partitions: 1..3, replicas: [3, 1], config: {min.insync.replicas: 2}}\n"
        "workload:\n  - {producer: p, topic: pay, acks: 1, idempotent: false, batch: 5, "
        "rate: 20/s, records: 7, record_size: 20B..1KiB}\n  - {consumer: c, topics: [pay]}\n"
        "steps:\n"
        "  - {at: 1s..2s, as: {f: any follower(pay-0)}, do: {partition: {from: $f, to: "
        "[leader(pay-0), controllers], both: true, style: reset}}}\n"
        "  - when: count(isr(pay-0)) == 1 for 2s\n    within: 20s\n    optional: true\n"
        "    do: [{heal: all}, {crash: {nodes: rack(a), how: power_loss, unsynced: tear}, "
        "then: {restart: {after: 1s}}}]\n"
        "expect:\n  - {after: step 2, that: eventually exists leader(pay-0) within 3s}\n"
        "  - {by: end, that: lost_acked(p) == 0}\n"
        "liveness: {core: random, converge: 50s}\nloss_budget: {replicas: 2}\n");
    const struct scenario_step *second = &s->steps[1];
    const struct scenario_action *crash = &second->actions[1];

    (void)state;
    assert_string_equal(s->name, "whole");
    assert_int_equal(s->seed_count, 4);
    assert_int_equal(s->seeds[3], 6);
    assert_int_equal(s->stop_ns, 90 * NS_PER_SEC);
    assert_int_equal(s->stop_events, 5000000);
    assert_string_equal(s->racks[2], "b");
    assert_int_equal(s->config_count, 2);
    assert_int_equal(s->configs[0].node, -1);
    assert_int_equal(s->configs[1].node, 2);
    assert_int_equal(s->net.latency_max_ns, 2 * NS_PER_MS);
    assert_int_equal(s->topics[0].partitions.max, 3);
    assert_int_equal(s->topics[0].assignment[0], 3);
    assert_int_equal(s->clients[0].acks, 1);
    assert_int_equal(s->clients[0].record_size.max, 1024);
    assert_int_equal(s->clients[1].kind, SCENARIO_CONSUMER);
    assert_int_equal(s->steps[0].time.max, 2 * NS_PER_SEC);
    assert_int_equal(scenario_arg(&s->steps[0].actions[0], "to")->node_count, 2);
    assert_int_equal(scenario_arg(&s->steps[0].actions[0], "style")->choice, SIM_CUT_RESET);
    assert_null(scenario_arg(&s->steps[0].actions[0], "for"));
    assert_int_equal(second->hold_ns, 2 * NS_PER_SEC);
    assert_true(second->optional);
    assert_true(scenario_arg(&second->actions[0], "links")->all_links);
    assert_int_equal(crash->kind, ACTION_CRASH);
    assert_int_equal(crash->then->kind, ACTION_RESTART);
    assert_int_equal(crash->then->after.min, NS_PER_SEC);
    assert_int_equal(s->expects[0].verdict, SCENARIO_EVENTUALLY);
    assert_int_equal(s->expects[0].after_step, 1);
    assert_true(s->expects[1].at_end);
    assert_int_equal(s->core, SCENARIO_CORE_RANDOM);
    assert_int_equal(s->loss_budget, 2);
    scenario_destroy(s);
}

static void unknown_words_get_the_nearest_one(void **state)
{
    (void)state;
    refuse(HEAD "worklod: []\n",
           "t.yaml:5:1: no such key here: \"worklod\"; did you mean \"workload\"?");
    refuse(HEAD "steps:\n  - {at: 1s, do: {crsh: {node: 1}}}\n",
           "t.yaml:6:19: no such action: \"crsh\"; did you mean \"crash\"?");
    refuse(HEAD "steps:\n  - {at: 1s, do: {crash: {nod: 1}}}\n",
           "t.yaml:6:27: no such key here: \"nod\"; did you mean \"node\"?");
    refuse(HEAD "steps:\n  - {at: 1s, do: {crash: {node: 1, how: kil}}}\n",
           "t.yaml:6:41: no such how: \"kil\"; did you mean \"kill\"?");
    refuse(HEAD "steps:\n  - {at: 1s, do: {crash: {node: leadr(orders-0)}}}\n",
           "t.yaml:6:33: no such term or selector: \"leadr\"; did you mean \"leader\"?");
    refuse(HEAD "steps:\n  - {at: 1s, do: {crash: {node: leader(order-0)}}}\n",
           "t.yaml:6:40: no such topic: \"order\"; did you mean \"orders\"?");
    refuse(WORK "steps:\n  - when: errors(p1, NOT_ENOUGH_REPLICA) > 0\n    do: {heal: all}\n",
           "t.yaml:8:22: no such error: \"NOT_ENOUGH_REPLICA\"; did you mean "
           "\"NOT_ENOUGH_REPLICAS\"?");
    refuse(HEAD "workload:\n  - {producer: p, topic: ordesr, rate: 1/s}\n",
           "t.yaml:6:26: no such topic: \"ordesr\"; did you mean \"orders\"?");
}

static void structure_is_checked(void **state)
{
    (void)state;
    refuse("", "t.yaml:1:1: an empty file is no scenario");
    refuse("name: x\n", "t.yaml:1:1: \"gregor: 1\" is missing: the version of the language");
    refuse("gregor: 2\nname: x\n", "t.yaml:1:9: this program reads version 1, not 2");
    refuse("gregor: 1\nname: x\nname: y\n",
           "t.yaml:3:1: \"name\" is there already, in line 2; a key stands once");
    refuse("gregor: 1\nname: x\nstop: [1]\n", "t.yaml:3:7: stop is a map of keys, not a list");
    refuse("gregor: 1\nname: x\nstop: {time: 60}\n",
           "t.yaml:3:14: \"60\" has no unit; wanted is for example 250ms or 3s");
    refuse("gregor: 1\nname: x\ncluster: {brokers: 2, controllers: 3, combined: true}\n",
           "t.yaml:3:49: combined: true needs as many brokers as controllers, not 2 and 3");
    refuse("gregor: 1\nname: x\ntopics: {t: {replicas: 5}}\n",
           "t.yaml:3:24: \"5\": 1 to 3 replicas can be placed on 3 brokers");
    refuse("gregor: 1\nname: x\ntopics: {t: {}}\nworkload:\n"
           "  - {producer: p, topic: t, acks: 1, idempotent: false, first_sequence: 7}\n",
           "t.yaml:5:73: first_sequence: needs idempotent: true");
    refuse("gregor: 1\nname: x\ntopics: {t: {}}\nworkload:\n"
           "  - {consumer: c, topics: [t], group: g, seek: 1s}\n",
           "t.yaml:5:48: seek: needs no group:");
    refuse("gregor: 1\nname: x\ntopics: {t: {}}\nworkload:\n"
           "  - {consumer: c, topics: [t], group: g, static: true, crowd: 3}\n",
           "t.yaml:5:63: crowd: its members are not static");
    refuse("gregor: 1\nname: x\ncluster: {brokers: *b}\n",
           "t.yaml:3:20: anchors and aliases are not part of the scenario language");
}

/* Three helpers are machines too; a crowd is in no set. */
static void more_machines_than_a_set_can_name_are_refused(void **state)
{
    static const char head[] = "gregor: 1\nname: x\ncluster: {controllers: 3, brokers: 9}\n"
                               "topics: {t: {}}\nworkload:\n";
    char text[512];
    struct scenario *s;
    struct yaml_error error = {0};

    (void)state;
    (void)snprintf(text, sizeof text, "%s  - {consumer: c, topics: [t], group: g, members: 50}\n",
                   head);
    refuse(text, "t.yaml:6:3: 50 clients: 9 brokers and 3 controllers leave 49 of 64 machines that "
                 "steps can name; crowd: has room for 64 members more");
    (void)snprintf(text, sizeof text,
                   "%s  - {consumer: c, topics: [t], group: g, members: 49}\n"
                   "steps:\n  - {at: 1s, do: {start_client: {copy_of: c, as: d}}}\n",
                   head);
    refuse(text, "t.yaml:6:3: 50 clients: 9 brokers and 3 controllers leave 49 of 64 machines that "
                 "steps can name; crowd: has room for 64 members more");
    (void)snprintf(text, sizeof text,
                   "%s  - {consumer: c, topics: [t], group: g, members: 2, crowd: 40}\n"
                   "  - {consumer: d, topics: [t], group: h, crowd: 25}\n",
                   head);
    refuse(text, "t.yaml:6:3: crowd: 65 in all, of at most 64");
    (void)snprintf(text, sizeof text,
                   "%s  - {consumer: c, topics: [t], group: g, members: 49, crowd: 64}\n", head);
    s = scenario_parse("t.yaml", text, strlen(text), &error);
    if (s == NULL) fail_msg("%s", error.text);
    assert_int_equal(s->client_count, 49);
    assert_int_equal(scenario_crowd(s), 64);
    assert_int_equal(s->clients[0].crowd, 64);
    assert_int_equal(s->clients[1].crowd, 0);
    scenario_destroy(s);
}

static void steps_are_checked(void **state)
{
    (void)state;
    refuse(HEAD "steps:\n  - {do: {heal: all}}\n",
           "t.yaml:6:5: a step needs a trigger: at, after, every, when or on");
    refuse(HEAD "steps:\n  - {at: 1s, after: 2s, do: {heal: all}}\n",
           "t.yaml:6:21: a step has one trigger; at, after, every, when or on");
    refuse(HEAD "steps:\n  - {at: 61s, do: {heal: all}}\n",
           "t.yaml:6:10: unreachable: the run stops before, at stop.time");
    refuse(HEAD "steps:\n  - {at: 5s, do: begin_liveness}\n  - {after: 1s, do: {heal: all}}\n",
           "t.yaml:7:5: unreachable: step 1 ends the safety phase");
    refuse(HEAD "steps:\n  - {at: 5s, do: {heal: all}}\n  - {at: 4s, do: {heal: all}}\n",
           "t.yaml:7:5: out of order: steps fire in the order of the file, and step 1 comes later");
    refuse(HEAD "steps:\n  - {at: 1s, as: {v: leader(orders-0)}, do: {heal: all}}\n",
           "t.yaml:6:1: $v is bound and never used; remove it or use it");
    refuse(HEAD "steps:\n  - {at: 1s, do: {restart: {node: $old}}}\n",
           "t.yaml:6:35: no such variable here: \"old\"");
    refuse(HEAD "steps:\n  - {at: 1s, do: {crash: {node: 1, unsynced: drop}}}\n",
           "t.yaml:6:19: crash: \"unsynced\" needs how: power_loss; a kill loses nothing");
    refuse(HEAD "steps:\n  - {at: 1s, do: {clog: {links: \"1 => 2\", for: 1s}}}\n",
           "t.yaml:6:33: \"1 => 2\" is no link; wanted is \"A -> B\", \"A <-> B\" or all");
    refuse(HEAD "steps:\n  - {at: 1s, do: {reset: \"1 -> leadr(orders-0)\"}}\n",
           "t.yaml:6:32: no such term or selector: \"leadr\"; did you mean \"leader\"?");
    refuse(WORK "expect:\n  - {that: eventually acked(p1) > 1}\n",
           "t.yaml:8:12: eventually C within TIME: the time is missing");
    refuse(WORK "expect:\n  - {after: step 2, that: never acked(p1) > 1}\n",
           "t.yaml:8:13: there is no step 2; there are 0");
}

static void triggers_and_guards_are_checked(void **state)
{
    (void)state;
    refuse(HEAD "steps:\n  - {on: point log.apended, do: check}\n",
           "t.yaml:6:10: no such point: \"log.apended\"; did you mean \"log.appended\"?");
    refuse(HEAD "steps:\n  - {on: pont log.appended, do: check}\n",
           "t.yaml:6:10: no such trigger on: \"pont\"; did you mean \"point\"?");
    refuse(HEAD "steps:\n  - on: disk sync *.log #2\n    do: check\n",
           "t.yaml:6:9: YAML reads \"#\" after a blank as a comment; quote it: on: \"disk sync "
           "*.log #2\"");
    refuse(HEAD "steps:\n  - {on: \"disk sink *.log\", do: check}\n",
           "t.yaml:6:10: no such disk operation: \"sink\"; did you mean \"sync\"?");
    refuse(HEAD "steps:\n  - {on: \"api Prodce\", do: check}\n",
           "t.yaml:6:10: no such API: \"Prodce\"; did you mean \"produce\"?");
    refuse(HEAD "steps:\n  - {on: \"point log.* #0\", do: check}\n",
           "t.yaml:6:10: \"#0\": wanted is for example #3, from 1");
    refuse(HEAD "steps:\n  - {at: 1s, node: 1, do: check}\n", "t.yaml:6:20: node: belongs to on:");
    refuse(HEAD "steps:\n  - {at: 1s, times: 2, do: check}\n",
           "t.yaml:6:21: times: belongs to every:, when:, on: and after:");
    refuse(HEAD "steps:\n  - {at: 1s, hold: 2s, do: check}\n",
           "t.yaml:6:20: hold: belongs to when:");
    refuse(HEAD "steps:\n  - {at: 1s, if: time > 1s for 2s, do: check}\n",
           "t.yaml:6:18: if: looks at one moment; \"for\" belongs to when:");
    refuse(HEAD "steps:\n  - {at: 1s, chance: 3, do: check}\n",
           "t.yaml:6:22: \"3\" has no unit; wanted is for example 15%");
    refuse(HEAD "steps:\n  - {every: 1us, do: check}\n", "t.yaml:6:13: every: wants at least 1ms");
    refuse(HEAD "steps:\n  - {at: 1s, do: {one_of: [check]}}\n",
           "t.yaml:6:27: one_of: 2 to 16 actions, of which one is drawn");
    refuse(HEAD "steps:\n  - {at: 1s, do: {crash: {node: $it}}}\n",
           "t.yaml:6:33: no such variable here: \"it\"");
}

static void what_can_never_be_true_is_refused(void **state)
{
    (void)state;
    refuse(HEAD "steps:\n  - {when: leader(orders-0).leo < 0, do: check}\n",
           "t.yaml:6:12: this can never be true: leader(orders-0).leo < 0");
    refuse(HEAD "steps:\n  - {when: count(isr(orders-0)) > 64 and time > 1s, do: check}\n",
           "t.yaml:6:12: this can never be true: count(isr(orders-0)) > 64 and time > 1s");
    refuse(HEAD "steps:\n  - {when: 1 > 2, do: check}\n",
           "t.yaml:6:12: this can never be true: 1 > 2");
    scenario_destroy(accept(HEAD "steps:\n  - {when: leader(orders-0).leo < 1, do: check}\n"));
}

static void words_of_what_is_missing_say_so(void **state)
{
    (void)state;
    refuse(HEAD "steps:\n  - {when: txn(a).state == 1, do: check}\n",
           "t.yaml:6:12: \"txn\" needs a coordinator of transactions, which this version does not "
           "have");
    refuse(HEAD "steps:\n  - {when: leader(orders-0).lso > 1, do: check}\n",
           "t.yaml:6:29: \"lso\" needs a term for the last stable offset, which this version does "
           "not have");
    refuse(HEAD "steps:\n  - {at: 1s, do: {add_broker: 4}}\n",
           "t.yaml:6:19: \"add_broker\" needs brokers that join a cluster that runs, which this "
           "version does not have");
    refuse("gregor: 1\nname: x\ncluster: {versions: mixed}\n",
           "t.yaml:3:21: there is only \"same\", not \"mixed\": a node's "
           "gregor.feature.metadata.version.max and the action upgrade make versions differ");
}

static void names_that_steps_make_are_known_behind_them(void **state)
{
    (void)state;
    refuse(WORK "steps:\n  - {at: 1s, do: {start_client: {copy_of: p2, as: p3}}}\n",
           "t.yaml:8:19: no such client: \"p2\"; did you mean \"p1\"?");
    refuse(WORK "steps:\n  - {at: 1s, do: {start_client: {copy_of: p1, as: p1}}}\n",
           "t.yaml:8:19: a client \"p1\" is there already");
    refuse(WORK "steps:\n  - {when: acked(p2) > 0, do: check}\n"
                "  - {at: 1s, do: {start_client: {copy_of: p1, as: p2}}}\n",
           "t.yaml:8:18: no such client: \"p2\"; did you mean \"p1\"?");
    refuse(HEAD "steps:\n  - {at: 1s, do: {create_topic: {topic: orders}}}\n",
           "t.yaml:6:19: a topic \"orders\" is there already");
    refuse(HEAD "steps:\n  - {at: 1s, do: {add_partitions: {topic: orders, count: 2}}}\n",
           "t.yaml:6:19: add_partitions: count is how many there are then: 3 to 1000");
    refuse(
        HEAD "steps:\n  - {at: 1s, do: {config: {scope: node 1, set: {a: 1}}}}\n",
        "t.yaml:6:19: config: \"node 1\" is no scope; wanted is topic NAME, broker N or brokers");
}

static void invariants_and_choices_are_checked(void **state)
{
    (void)state;
    refuse(HEAD "invariants: {off: [{name: leader_hw_monotone}]}\n",
           "t.yaml:5:20: an invariant is turned off by {name: ..., why: ...}; both are wanted");
    refuse(HEAD "invariants: {off: [{name: leader-hw-monotne, why: x}]}\n",
           "t.yaml:5:27: no such invariant: \"leader-hw-monotne\"; did you mean "
           "\"leader-hw-monotone\"?");
    refuse("gregor: 1\nname: x\ncluster: {brokers: {pick: [1, 99]}}\n",
           "t.yaml:3:31: \"99\" is out of range; wanted is 1 to 24 (choice 2 of cluster.brokers)");
    refuse("gregor: 1\nname: x\ncluster: {brokers: {pick: 1}}\n",
           "t.yaml:3:27: pick: is a list of values, one of which a run takes");
    refuse("gregor: 1\nname: x\ncluster: {node: {7: {clock: {skew: 1s}}}}\n",
           "t.yaml:3:18: there is no node 7; brokers are 1 to 3, controllers 101 to 103");
    refuse(WORK "expect:\n  - {that: always acked(p1) > 1 unless time > 1s}\n",
           "t.yaml:8:12: unless belongs to never");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_scenario_is_read),
        cmocka_unit_test(unknown_words_get_the_nearest_one),
        cmocka_unit_test(structure_is_checked),
        cmocka_unit_test(more_machines_than_a_set_can_name_are_refused),
        cmocka_unit_test(steps_are_checked),
        cmocka_unit_test(triggers_and_guards_are_checked),
        cmocka_unit_test(what_can_never_be_true_is_refused),
        cmocka_unit_test(words_of_what_is_missing_say_so),
        cmocka_unit_test(names_that_steps_make_are_known_behind_them),
        cmocka_unit_test(invariants_and_choices_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
