/* Proves: a scenario that was read can be written, and what was written is the same scenario: it
 * parses, it is written to the same bytes again, and a run of it is the same run. Over every file
 * of the library, and over one scenario that uses the whole language. */
#include "tests/support/support.h"

#include "client/posix/codecs.h"
#include "sim/run.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 17 };

static const char everything[] =
    "gregor: 1\nname: all-of-it\nabout: \"Says: \\\"all\\\", even {this} # that.\"\ntags: [a, b]\n"
    "seeds: [3, 9]\nstop: {time: 20s, events: 5M, wall: 1min}\n"
    "cluster:\n  controllers: 3\n  brokers: 4\n  racks: [a, a, b, b]\n"
    "  config: {replica.lag.time.max.ms: 5000}\n"
    "  node: {2: {config: {num.partitions: 4}, disk: {profile: hdd}, clock: {skew: 2s}}, "
    "101: {clock: {drift: 12.5ppm}, disk: {power_loss: {keep: 50%, drop: 50%}}}}\n"
    "  network: {latency: 1ms..2ms, jitter: 300us, bandwidth: 10MiB, pieces: 12.5%}\n"
    "  disk: {profile: ssd, power_loss: {keep: 40%, drop: 40%, tear: 15%, garbage: 5%}}\n"
    "  clock: {skew: -1s..1s, drift: -200ppm..200ppm}\n  cpu: free\n"
    "topics:\n  pay: {partitions: 1..3, replicas: [3, 1], config: {min.insync.replicas: 2}}\n"
    "  t: {partitions: 2, replicas: 2..3}\n"
    "workload:\n  - {producer: p, topic: pay, acks: 1, idempotent: false, batch: 5, rate: 20/s, "
    "records: 7, record_size: 20B..1KiB, linger: 5ms, timeout: 30s}\n"
    "  - {producer: q, topic: t, rate: 0.05/s..3/s, first_sequence: 2147483000, transaction: 5}\n"
    "  - {consumer: c, topics: [pay, t], seek: 20ms..1s}\n"
    "  - {consumer: m, topics: [t], group: g, members: 3, protocol: consumer, static: true, "
    "assignor: sticky, "
    "work: 1ms..3ms}\n"
    "steps:\n"
    "  - {every: 1s..2s, times: 3, parallel: true, do: {one_of: [{heal: all}, {note: 'a, b'}], "
    "then: {check: {}}}}\n"
    "  - {at: 1s..2s, as: {f: any followers(pay-0)}, do: {partition: {from: $f, to: "
    "[leader(pay-0), controllers], both: true, style: reset, for: 1.5s}}}\n"
    "  - when: count(isr(pay-0)) == 1 and not (exists leader(t-0) or time > 3s) for 2s\n"
    "    within: 20s\n    optional: true\n    times: 2\n    chance: 12.5%\n"
    "    if: leader(pay-0) != $f and (acked(p) - sent(p)) - 3 < 7 - (1 + 1)\n"
    "    do: [{heal: all}, {crash: {nodes: rack(a) - node(1), how: power_loss, unsynced: tear}, "
    "then: {restart: {after: 1s..2s}}}]\n"
    "  - {on: point replica.*, node: rack(b), optional: true, do: {crash: $it}}\n"
    "  - {on: \"disk sync *.log #3\", optional: true, do: {pause: {node: $it, for: 1s}}}\n"
    "  - {on: \"api Produce #2 from any clients\", optional: true, do: {pause: {client: p}}}\n"
    "  - {after: 10ms, do: {clog: {links: ['1 -> 2', 'leader(t-0) <-> rack(b)'], for: 1s}}}\n"
    "  - after: 10ms\n    do:\n      - {create_topic: {topic: n, partitions: 2, config: {a.b: "
    "'1'}}}\n"
    "      - {add_partitions: {topic: t, count: 4}}\n      - {elect: t-1}\n"
    "      - {config: {scope: topic t, set: {retention.ms: '5', x: 'a,b'}}}\n"
    "      - {delete_records: {partition: t-0, before: 3}}\n      - {delete_topic: n}\n"
    "      - {start_client: {copy_of: q, as: q2}}\n      - {produce: {client: q2, n: 5}}\n"
    "      - {stop_client: {client: any q, how: vanish}}\n      - {mark: here}\n"
    "expect:\n"
    "  - {after: step 2, that: eventually exists leader(pay-0) for 1s within 3s}\n"
    "  - {that: \"never errors(p, NOT_LEADER_OR_FOLLOWER) > 5 unless acked(all) == 0\"}\n"
    "  - {by: end, that: 'same_prefix(pay-0, node(1), node(3)) and truncated(t-0, node(2)) >= 0'}\n"
    "  - {by: end, that: all replicas(t) identical below hw}\n"
    "  - {by: end, that: group(g).state == stable and exists coordinator(group g) and lag(g) == 0}"
    "\n  - {that: never committed_regressed(group g) unless reset}\n"
    "  - {that: \"always replica(t-0, node(1)).epoch_end(leader(t-0).epoch - 1) >= 0\"}\n"
    "invariants:\n  off:\n    - {name: leader-hw-monotone, why: 'because, of this'}\n  every: 7\n"
    "loss_budget: {replicas: 2}\nliveness: {core: [1, 2, 101], converge: 50s}\n";

static const char choices[] = "gregor: 1\nname: choices\nstop: {time: 1s}\n"
                              "cluster:\n  controllers: {pick: [1, 3]}\n  brokers: 1..4\n"
                              "  disk: {profile: {pick: [nvme, hdd]}}\n"
                              "topics:\n  t: {partitions: 1..8, replicas: 1..3}\n";

static struct codecs codecs;

static struct scenario *read_back(const char *text)
{
    struct yaml_error error;
    struct scenario *scenario = scenario_parse("w.yaml", text, strlen(text), &error);

    if (scenario == NULL) fail_msg("%s\nin\n%s", error.text, text);
    return scenario;
}

static char *written(const struct scenario *scenario)
{
    char *text = malloc(TEXT_MAX);
    struct sink_buffer buffer;
    struct text_sink sink;

    assert_non_null(text);
    sink = sink_into(&buffer, text, TEXT_MAX);
    scenario_write(scenario, &sink);
    assert_false(buffer.full);
    return text;
}

/* The text of the scenario as written, after it was read and written once more. */
static char *round_trip(const struct scenario *scenario)
{
    char *first = written(scenario);
    struct scenario *again = read_back(first);
    char *second = written(again);

    assert_string_equal(first, second);
    scenario_destroy(again);
    free(second);
    return first;
}

static uint64_t hash_of(const struct scenario *scenario, uint64_t seed)
{
    const struct run_options options = {.trace = RUN_TRACE_NONE, .codecs = &codecs};
    struct run_result *result = calloc(1, sizeof *result);
    uint64_t hash;

    assert_non_null(result);
    run_scenario(scenario, seed, &options, result);
    hash = result->hash;
    free(result);
    return hash;
}

static void every_part_of_the_language_is_written(void **state)
{
    struct scenario *scenario = read_back(everything);
    char *text = round_trip(scenario);
    static const char *const parts[] = {
        "about: \"Says: \\\"all\\\", even {this} # that.\"\n",
        "racks: [a, a, b, b]",
        "    101: {disk: {power_loss: {keep: 50%, drop: 50%, tear: 0%, garbage: 0%}}, "
        "clock: {drift: 12.5ppm}}\n",
        "pieces: 12.5%",
        "rate: 0.05/s..3/s",
        "  - every: 1s..2s\n    times: 3\n    parallel: true\n    do: {one_of: [{heal: all}, "
        "{note: \"a, b\"}], then: {check: {}}}\n",
        "when: count(isr(pay-0)) == 1 and not (exists leader(t-0) or time > 3s)\n    hold: 2s\n",
        "if: leader(pay-0) != $f and acked(p) - sent(p) - 3 < 7 - (1 + 1)\n",
        "on: point replica.*\n    node: rack(b)\n",
        "on: \"disk sync *.log #3\"\n",
        "on: \"api produce #2 from any clients\"\n",
        "links: [node(1) -> node(2), leader(t-0) <-> rack(b)]",
        "- {config: {scope: topic t, set: {retention.ms: 5, x: \"a,b\"}}}\n",
        "{stop_client: {client: any client(q), how: vanish}}",
        "that: eventually exists leader(pay-0) for 1s within 3s\n    after: step 2\n",
        "that: \"never errors(p, NOT_LEADER_OR_FOLLOWER) > 5 unless acked(all) == 0\"\n",
        "that: all replicas(t) identical below hw\n",
        "  - {consumer: m, topics: [t], group: g, members: 3, static: true, protocol: consumer, "
        "assignor: sticky, commit: {every: 1s}, session: 10s, poll: 30s, work: 1ms..3ms}\n",
        "that: group(g).state == stable and exists coordinator(group g) and lag(g) == "
        "0\n",
        "epoch_end(leader(t-0).epoch - 1) >= 0",
        "- {name: leader-hw-monotone, why: \"because, of this\"}\n",
        "liveness: {core: [1, 2, 101], converge: 50s}\n",
    };

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(parts); i++) {
        if (strstr(text, parts[i]) == NULL) fail_msg("not there: %s\nin\n%s", parts[i], text);
    }
    assert_null(strstr(text, "q2, topic")); /* a copy is made by its step alone */
    free(text);
    scenario_destroy(scenario);
}

static void choices_stay_choices_until_a_seed_has_made_them(void **state)
{
    struct scenario *pattern = read_back(choices);
    char *text = round_trip(pattern);
    struct scenario *again = read_back(text);
    uint32_t brokers = 0;

    (void)state;
    assert_true(pattern->varies);
    assert_non_null(strstr(text, "controllers: {pick: [1, 3]}"));
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct yaml_error error;
        struct scenario *made = scenario_for_seed(pattern, seed, &error);
        struct scenario *other = scenario_for_seed(again, seed, &error);
        char *pinned = round_trip(made);
        char *same = round_trip(other);

        assert_false(made->varies);
        assert_null(strstr(pinned, "pick"));
        assert_string_equal(pinned, same); /* the layout of the file decides nothing */
        assert_true(made->controllers == 1 || made->controllers == 3);
        assert_true(made->topics[0].replicas.max <= made->brokers);
        brokers |= 1u << made->brokers;
        free(pinned);
        free(same);
        scenario_destroy(made);
        scenario_destroy(other);
    }
    assert_int_equal(brokers, 30); /* 1 to 4, each once at least */
    free(text);
    scenario_destroy(again);
    scenario_destroy(pattern);
}

static void each_file_of_the_library_is_written_and_runs_the_same(void **state)
{
    DIR *directory = opendir("scenarios");
    struct dirent *entry;
    uint32_t files = 0;

    (void)state;
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        struct scenario *scenario;
        struct scenario *again;
        struct yaml_error error;
        char path[512];
        char *text;

        if (dot == NULL || strcmp(dot, ".yaml") != 0) continue;
        (void)snprintf(path, sizeof path, "scenarios/%s", entry->d_name);
        scenario = scenario_load(path, &error);
        if (scenario == NULL) fail_msg("%s", error.text);
        text = round_trip(scenario);
        again = read_back(text);
        if (hash_of(scenario, 1) != hash_of(again, 1))
            fail_msg("%s runs as another:\n%s", path, text);
        free(text);
        scenario_destroy(scenario);
        scenario_destroy(again);
        files++;
    }
    (void)closedir(directory);
    assert_true(files > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_of_the_language_is_written),
        cmocka_unit_test(choices_stay_choices_until_a_seed_has_made_them),
        cmocka_unit_test(each_file_of_the_library_is_written_and_runs_the_same),
    };

    assert_int_equal(codecs_create(&codecs), ERR_NONE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
