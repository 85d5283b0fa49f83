/* Proves: the event from which on a synthetic run always fails is found exactly, also where the
 * share rises in two places or ten of ten are luck; of a synthetic trace the chain has what leads
 * from the start to the violation, over messages and faults, and nothing beside it, the weightiest
 * of it where that is more than its bound. */
#include "sim/why.h"
#include "tests/support/support.h"

#include <stdlib.h>
#include <string.h>

static uint32_t asked;

/* Three of ten from 100 on, all from 7777 on. */
static int two_rises(void *context, uint64_t event, uint32_t round)
{
    (void)context;
    (void)round;
    asked++;
    return event >= 7777 ? 10 : event >= 100 ? 3 : 0;
}

static int always(void *context, uint64_t event, uint32_t round)
{
    (void)context;
    (void)event;
    (void)round;
    return 10;
}

/* From 5000 on ten of ten, but from 5000 to 5999 a later round finds one that escapes. */
static int nearly(void *context, uint64_t event, uint32_t round)
{
    (void)context;
    return event >= 6000 || (event >= 5000 && round < 2) ? 10 : event >= 5000 ? 9 : 1;
}

static void what_is_unavoidable_is_found_to_the_event(void **state)
{
    struct why_search search;

    (void)state;
    asked = 0;
    why_search(&search, 20000, 10, two_rises, NULL);
    assert_true(search.decided);
    assert_int_equal(search.points[search.at].event, 7777);
    assert_int_equal(search.points[search.at].failed, 40); /* asked again, to be sure */
    assert_int_equal(search.points[search.at].of, 40);
    assert_int_equal(search.points[search.at - 1].event, 7776);
    assert_int_equal(search.points[search.at - 1].failed, 3);
    assert_true(asked < 25);
    for (uint32_t i = 1; i < search.count; i++)
        assert_true(search.points[i - 1].event < search.points[i].event);
}

static void ten_of_ten_by_luck_are_not_enough(void **state)
{
    struct why_search search;

    (void)state;
    why_search(&search, 20000, 10, nearly, NULL);
    assert_true(search.decided);
    assert_int_equal(search.points[search.at].event, 6000);
    assert_true(search.points[search.at - 1].failed < search.points[search.at - 1].of);
}

static void what_always_fails_is_not_searched(void **state)
{
    struct why_search search;

    (void)state;
    why_search(&search, 20000, 10, always, NULL);
    assert_false(search.decided);
    assert_int_equal(search.count, WHY_GRID + 1);
    assert_int_equal(search.points[0].failed, 40);
}

static struct why_event event(uint64_t number, int32_t node, int32_t kind, bool matters,
                              int64_t conn, int64_t correlation)
{
    return (struct why_event){.event = number,
                              .node = node,
                              .kind = kind,
                              .weight = matters,
                              .fields = {conn, correlation, 0}};
}

static void chain_follows_nodes_and_messages(void **state)
{
    struct why_event events[] = {
        event(10, 1, TRACE_LOG_APPENDED, true, 0, 0),  /* 0: the start */
        event(10, 1, TRACE_RPC_SENT, false, 4, 9),     /* 1 */
        event(11, 3, TRACE_LOG_APPENDED, true, 0, 0),  /* 2: has nothing to do with it */
        event(12, 2, TRACE_LOG_APPENDED, true, 0, 0),  /* 3: before the message came */
        event(13, 2, TRACE_RPC_RECEIVED, false, 4, 9), /* 4 */
        event(13, 2, TRACE_REPLICA_HW, true, 0, 0),    /* 5 */
        event(14, 2, TRACE_RPC_ANSWERED, false, 4, 9), /* 6 */
        event(15, 1, TRACE_RPC_REPLIED, false, 4, 9),  /* 7 */
        event(15, 1, TRACE_REPLICA_HW, true, 0, 0),    /* 8: violation */
        event(16, 2, TRACE_REPLICA_HW, true, 0, 0),    /* 9: too late */
    };
    struct why_chain *chain = calloc(1, sizeof *chain);

    (void)state;
    assert_non_null(chain);
    why_chain(chain, events, 10, 10, 8);
    assert_int_equal(chain->count, 3);
    assert_int_equal(chain->kept[0], 0);
    assert_int_equal(chain->kept[1], 5);
    assert_int_equal(chain->kept[2], 8);
    assert_int_equal(chain->left_out, 0);
    assert_int_equal(chain->link_count, 2); /* 0 to 5, 5 to 8; 0 to 8 is said by them */
    free(chain);
}

static void faults_belong_to_the_node_they_hit(void **state)
{
    struct why_event events[] = {
        event(5, -1, TRACE_SIM_DOWN, true, 2, 1),
        event(6, 2, TRACE_LOG_APPENDED, true, 0, 0),
    };
    struct why_chain *chain = calloc(1, sizeof *chain);

    (void)state;
    assert_non_null(chain);
    why_chain(chain, events, 2, 5, 1);
    assert_int_equal(chain->count, 2);
    assert_int_equal(chain->link_count, 1);
    free(chain);
}

static void what_weighs_more_stays(void **state)
{
    enum { LONG = 500 };
    struct why_event *events = calloc(LONG, sizeof *events);
    struct why_chain *chain = calloc(1, sizeof *chain);
    uint32_t heavy = 0;

    (void)state;
    assert_non_null(events);
    assert_non_null(chain);
    for (uint32_t i = 0; i < LONG; i++) {
        events[i] = event(i, 1, TRACE_LOG_APPENDED, true, 0, 0);
        if (i % 20 == 7) events[i].weight = 5;
    }
    why_chain(chain, events, LONG, 0, LONG - 1);
    assert_int_equal(chain->count, WHY_NODES_MAX);
    for (uint32_t i = 0; i < chain->count; i++)
        heavy += events[chain->kept[i]].weight == 5;
    assert_int_equal(heavy, 25);
    free(events);
    free(chain);
}

static void a_long_chain_keeps_its_ends(void **state)
{
    enum { LONG = 500 };
    struct why_event *events = calloc(LONG, sizeof *events);
    struct why_chain *chain = calloc(1, sizeof *chain);

    (void)state;
    assert_non_null(events);
    assert_non_null(chain);
    for (uint32_t i = 0; i < LONG; i++)
        events[i] = event(i, 1, TRACE_LOG_APPENDED, true, 0, 0);
    why_chain(chain, events, LONG, 0, LONG - 1);
    assert_int_equal(chain->count, WHY_NODES_MAX);
    assert_int_equal(chain->left_out, LONG - WHY_NODES_MAX);
    assert_int_equal(chain->kept[0], 0);
    assert_int_equal(chain->kept[WHY_NODES_MAX - 1], LONG - 1);
    free(chain);
    free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_unavoidable_is_found_to_the_event),
        cmocka_unit_test(ten_of_ten_by_luck_are_not_enough),
        cmocka_unit_test(what_always_fails_is_not_searched),
        cmocka_unit_test(chain_follows_nodes_and_messages),
        cmocka_unit_test(faults_belong_to_the_node_they_hit),
        cmocka_unit_test(a_long_chain_keeps_its_ends),
        cmocka_unit_test(what_weighs_more_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
