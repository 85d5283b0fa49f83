/* Proves: with an oracle that looks at the steps only, the shrinker ends with exactly the steps
 * that are needed, whatever else there was, twice the same, within its budget; what is not needed
 * of cluster, clients and settings goes; a failure that is none is refused; what knows no time
 * gets conditions. */
#include "sim/shrink.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fails when a step crashes node 2, and after it one pauses node 3. */
struct needs {
    uint32_t judged;
    bool never;
};

static int32_t node_of(const struct scenario_action *action)
{
    const struct scenario_value *value = scenario_arg(action, "node");

    if (value == NULL || value->node_count != 1 || value->nodes[0]->term != TERM_NODE) return -1;
    return value->nodes[0]->id;
}

static void judge(void *context, struct scenario *candidate, uint64_t seed, uint64_t events_max,
                  struct shrink_outcome *outcome)
{
    struct needs *needs = context;
    bool crashed = false;

    (void)seed;
    (void)events_max;
    needs->judged++;
    *outcome =
        (struct shrink_outcome){.in_safety = true, .since_ns = 7 * NS_PER_SEC, .events = 100};
    for (uint32_t i = 0; i < candidate->step_count && !needs->never; i++) {
        const struct scenario_action *action = &candidate->steps[i].actions[0];

        crashed = crashed || (action->kind == ACTION_CRASH && node_of(action) == 2);
        if (crashed && action->kind == ACTION_PAUSE && node_of(action) == 3) outcome->same = true;
    }
}

static char *many_steps(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    fputs("gregor: 1\nname: many\nstop: {time: 60s}\n"
          "cluster: {controllers: 3, brokers: 5, config: {log.segment.bytes: 4096}}\n"
          "topics:\n  a: {partitions: 3, replicas: 3}\n  b: {partitions: 1, replicas: 1}\n"
          "workload:\n  - {producer: p1, topic: a, rate: 10/s}\n"
          "  - {consumer: c1, topics: [a, b]}\nsteps:\n",
          out);
    for (int i = 0; i < 40; i++) {
        fprintf(out, "  - at: %dms\n    do: {clog: {links: brokers <-> brokers, for: 10ms}}\n",
                1001 + 100 * i);
        if (i == 11) fputs("  - at: 2150ms\n    do: {crash: {node: node(2), how: kill}}\n", out);
        if (i == 20) fputs("  - at: 3050ms\n    do: {restart: {node: node(2)}}\n", out);
        if (i == 33) fputs("  - at: 4350ms\n    do: {pause: {node: node(3), for: 1234ms}}\n", out);
    }
    (void)fclose(out);
    return text;
}

static void what_is_needed_stays_and_nothing_else(void **state)
{
    char *first = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct needs needs = {0};
        struct shrink shrink = {.oracle = {judge, &needs}, .seed = 5, .budget = 1000000};

        assert_true(shrink_begin(&shrink, many_steps()));
        shrink_loop(&shrink);
        assert_int_equal(shrink.now->step_count, 2);
        assert_int_equal(shrink.now->steps[0].actions[0].kind, ACTION_CRASH);
        assert_int_equal(shrink.now->steps[1].actions[0].kind, ACTION_PAUSE);
        assert_int_equal(shrink.now->topic_count, 1);
        assert_int_equal(shrink.now->client_count, 0);
        assert_int_equal(shrink.now->config_count, 0);
        assert_int_equal(shrink.now->controllers, 1);
        assert_int_equal(shrink.now->brokers, 1); /* this oracle asks for no machine */
        assert_false(shrink.now->liveness);
        assert_int_equal(shrink.now->stop_ns, 9 * NS_PER_SEC);
        assert_true(needs.judged < 200);
        if (first != NULL) assert_string_equal(first, shrink.text);
        free(first);
        first = strdup(shrink.text);
        shrink_end(&shrink);
    }
    free(first);
}

static void no_more_is_tried_than_the_budget_allows(void **state)
{
    struct needs needs = {0};
    struct shrink shrink = {.oracle = {judge, &needs}, .budget = 500};

    (void)state;
    assert_true(shrink_begin(&shrink, many_steps()));
    shrink_loop(&shrink);
    assert_int_equal(needs.judged, 5);
    shrink_end(&shrink);
}

static void what_does_not_fail_is_refused(void **state)
{
    struct needs needs = {.never = true};
    struct shrink shrink = {.oracle = {judge, &needs}, .budget = 1000000};

    (void)state;
    assert_false(shrink_begin(&shrink, many_steps()));
    assert_null(shrink.now);
    shrink_end(&shrink);
}

static void nodes_and_times_become_roles_and_conditions(void **state)
{
    struct needs needs = {0};
    struct shrink shrink = {.oracle = {judge, &needs}, .budget = 1000000};

    (void)state;
    assert_true(shrink_begin(&shrink, many_steps()));
    shrink_loop(&shrink);
    shrink_anchors(&shrink);
    /* This oracle knows nodes by number only, and no time at all. */
    assert_int_equal(shrink.score, shrink.scored);
    assert_non_null(strstr(shrink.text, "crash: node(2)"));
    assert_null(strstr(shrink.text, "  - at:"));
    assert_int_equal(shrink.now->step_count, 2);
    shrink_end(&shrink);
}

/* The first variant keeps all times: who was killed for good comes back behind the end. */
static void steps_become_one_story_that_comes_again_and_again(void **state)
{
    static const char text[] =
        "gregor: 1\nname: two\nstop: {time: 20s}\ncluster: {controllers: 1, brokers: 3}\n"
        "topics:\n  t: {partitions: 1, replicas: 3}\nsteps:\n"
        "  - at: 5800ms\n    do: {pause: {node: leader(t-0), for: 5s}}\n"
        "  - at: 8s\n    do: {crash: any followers(t-0)}\n";
    struct yaml_error error = {.text = ""};
    struct scenario *from = scenario_parse("two.yaml", text, strlen(text), &error);
    bool end = false;
    uint32_t variants = 0;
    char *story;

    (void)state;
    assert_non_null(from);
    story = shrink_story(from, 0, &end);
    assert_non_null(story);
    assert_non_null(strstr(story, "stop: {time: 170s}\n"));
    assert_non_null(strstr(story,
                           "steps:\n  - every: 13s..17s\n    do:\n"
                           "      - {pause: {node: leader(t-0), for: 5s}}\n"
                           "      - {crash: {node: any followers(t-0), after: 2200ms}, then: "
                           "{restart: {after: 4800ms}}}\n"));
    for (; !end; variants++) {
        free(story);
        story = shrink_story(from, variants + 1, &end);
        assert_true(end == (story == NULL));
    }
    assert_true(variants > 4);
    free(story);
    from->step_count = 1; /* one fault is no story */
    assert_null(shrink_story(from, 0, &end));
    assert_true(end);
    scenario_destroy(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_needed_stays_and_nothing_else),
        cmocka_unit_test(no_more_is_tried_than_the_budget_allows),
        cmocka_unit_test(what_does_not_fail_is_refused),
        cmocka_unit_test(steps_become_one_story_that_comes_again_and_again),
        cmocka_unit_test(nodes_and_times_become_roles_and_conditions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
