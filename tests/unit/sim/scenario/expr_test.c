/* Proves: conditions bind as the grammar says, compare what can be compared, and what cannot be
 * known fulfils nothing. The values come from a small invented cluster. */
#include "tests/support/support.h"

#include "sim/scenario/expr.h"

#include <string.h>

/* orders-0: leader 1 of {1,2,3}, ISR {1,2}; log end 120, high watermark 40. orders-1: no leader. */
static struct expr_value world(struct expr_source *source, const struct expr *expr,
                               uint64_t argument)
{
    struct expr_value undefined = {.kind = EXPR_UNDEFINED};
    struct expr_value set = {.kind = EXPR_SET};
    struct expr_value number = {.kind = EXPR_NUMBER};
    bool led = expr->partition == 0;

    (void)source;
    if (expr->term == TERM_LEADER && expr->field == FIELD_NONE) {
        set.set = led ? 2 : 0;
        return set;
    }
    if (expr->term == TERM_LEADER) {
        number.number = expr->field == FIELD_LEO ? 120 : 40;
        return led ? number : undefined;
    }
    if (expr->term == TERM_REPLICA) {
        number.number = (int64_t)argument * 10;
        return number;
    }
    if (expr->term == TERM_TIME) {
        number.number = 5 * NS_PER_SEC;
        return number;
    }
    if (!language_term(expr->term)->is_set) {
        number.number = expr->client < 0 ? 100 : 7;
        return number;
    }
    set.set = expr->term == TERM_ISR ? 6 : expr->term == TERM_FOLLOWERS ? 12 : 14;
    return set;
}

static struct expr_names names = {.topics = {"orders"},
                                  .partitions = {2},
                                  .topic_count = 1,
                                  .clients = {"p1"},
                                  .client_count = 1,
                                  .vars = {"old"},
                                  .var_count = 1};

static bool holds(const char *text, int64_t *hold_ns)
{
    struct store store = {NULL};
    struct yaml_error error = {""};
    struct expr_reader reader = {&store, "t", &names, &error};
    struct yaml at = {.kind = YAML_SCALAR, .line = 1, .column = 1, .text = text};
    struct expr *expr = expr_parse_condition(&reader, &at, hold_ns);
    struct expr_source source = {.term = world, .vars = {4}};
    bool result;

    if (expr == NULL) fail_msg("%s: %s", text, error.text);
    result = expr_holds(expr, &source);
    store_free(&store);
    return result;
}

static bool now(const char *text)
{
    int64_t hold_ns = -1;
    bool result = holds(text, &hold_ns);

    assert_int_equal(hold_ns, 0);
    return result;
}

static void refuse(const char *text, const char *expected)
{
    struct store store = {NULL};
    struct yaml_error error = {""};
    struct expr_reader reader = {&store, "t", &names, &error};
    struct yaml at = {.kind = YAML_SCALAR, .line = 1, .column = 1, .text = text};
    int64_t hold_ns;

    assert_null(expr_parse_condition(&reader, &at, &hold_ns));
    assert_string_equal(error.text, expected);
    store_free(&store);
}

static void numbers_and_sets_are_compared(void **state)
{
    (void)state;
    assert_true(now("leader(orders-0).leo > 100 and leader(orders-0).hw < 50"));
    assert_true(now("leader(orders-0).leo == leader(orders-0).hw + 80"));
    assert_true(now("leader(orders-0).leo - 100 >= 20"));
    assert_false(now("leader(orders-0).leo <= 119"));
    assert_true(now("isr(orders-0) != replicas(orders-0)"));
    assert_true(now("isr(orders-0) in replicas(orders-0)"));
    assert_false(now("replicas(orders-0) in isr(orders-0)"));
    assert_true(now("count(isr(orders-0)) == 2"));
    assert_true(now("followers(orders-0) + leader(orders-0) == replicas(orders-0)"));
    assert_true(now("replicas(orders-0) - leader(orders-0) == followers(orders-0)"));
    assert_true(now("leader(orders-0) != $old and $old in replicas(orders-0)"));
    assert_true(now("replica(orders-0, $old).leo == 40"));
    assert_true(now("acked(p1) == 7 and acked(all) == 100"));
    assert_true(now("time >= 5s and time < 5001ms"));
}

static void not_binds_tighter_than_and_and_and_than_or(void **state)
{
    (void)state;
    assert_true(now("1 == 1 or 1 == 2 and 1 == 2"));
    assert_false(now("(1 == 1 or 1 == 2) and 1 == 2"));
    assert_true(now("not 1 == 2 and 1 == 1"));
    assert_false(now("not (1 == 2 or 1 == 1)"));
    assert_true(now("not not 1 == 1"));
}

static void what_cannot_be_known_fulfils_nothing(void **state)
{
    (void)state;
    assert_false(now("leader(orders-1).leo > 0"));
    assert_false(now("leader(orders-1).leo <= 0"));
    assert_false(now("leader(orders-1).leo != 5"));
    assert_false(now("leader(orders-1).leo + 1 >= 0"));
    assert_false(now("exists leader(orders-1)"));
    assert_true(now("not exists leader(orders-1)"));
    assert_true(now("exists any follower(orders-0)"));
}

static void a_hold_is_told(void **state)
{
    int64_t hold_ns = 0;

    (void)state;
    assert_true(holds("exists active controller for 250ms", &hold_ns));
    assert_int_equal(hold_ns, 250 * NS_PER_MS);
}

static void mistakes_are_placed(void **state)
{
    (void)state;
    refuse(
        "leader(orders-0) > 3",
        "t:1:18: the two sides cannot be compared: one is a set of nodes; count(SET) is a number");
    refuse("isr(orders-0) < replicas(orders-0)",
           "t:1:15: sets have no order; count(SET) is a number, \"in\" is the subset");
    refuse("acked(p1) > 3s",
           "t:1:11: the two sides have different units; times have one, counts have none");
    refuse("leader(orders-0)",
           "t:1:1: this is a value, not a condition; exists SET, or a comparison");
    refuse("exists leader(orders-2)", "t:1:15: \"orders\" has partitions 0 to 1");
    refuse("exists leader(orders)", "t:1:15: a partition is wanted; for example orders-0");
    refuse("leader(orders-0).loe > 3", "t:1:18: no such field: \"loe\"; did you mean \"leo\"?");
    refuse("acked(p1) >", "t:1:12: something is missing here; a term, a selector or a quantity");
    refuse("acked(p1) > 3 4", "t:1:15: the condition should end here; and, or, for TIME");
    refuse("acked(p1) & 3", "t:1:11: \"&\" is no part of a condition");
    refuse("exists leader(orders-0", "t:1:23: \")\" is missing here");
    refuse("count(3) == 3",
           "t:1:7: a set of nodes is wanted here, this is a number or a condition; "
           "for example leader(orders-0)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_sets_are_compared),
        cmocka_unit_test(not_binds_tighter_than_and_and_and_than_or),
        cmocka_unit_test(what_cannot_be_known_fulfils_nothing),
        cmocka_unit_test(a_hold_is_told),
        cmocka_unit_test(mistakes_are_placed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
