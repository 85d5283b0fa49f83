/* Proves: a quota is exceeded by the mean of its windows and not by one answer for ever; lists of
 * throttled replicas are read as Kafka writes them, and anything else is refused. */
#include "broker/replica/quota.h"
#include "tests/support/support.h"

#define SECOND INT64_C(1000000000)

static void without_a_rate_nothing_is_exceeded(void **state)
{
    struct quota quota;

    (void)state;
    quota_init(&quota);
    quota_note(&quota, 5 * SECOND, UINT64_C(1) << 40);
    assert_false(quota_exceeded(&quota, 5 * SECOND));
    quota.rate = 0;
    assert_true(quota_exceeded(&quota, 5 * SECOND));
}

static void what_was_too_much_is_paid_for_by_waiting(void **state)
{
    struct quota quota;

    (void)state;
    quota_init(&quota);
    quota.rate = 1000;
    quota_note(&quota, 100 * SECOND, 4000);
    assert_int_equal(quota_measure(&quota, 100 * SECOND), 4000);
    assert_true(quota_exceeded(&quota, 103 * SECOND));
    assert_int_equal(quota_measure(&quota, 104 * SECOND), 1000);
    assert_false(quota_exceeded(&quota, 104 * SECOND));
}

static void the_mean_is_that_of_eleven_seconds(void **state)
{
    struct quota quota;

    (void)state;
    quota_init(&quota);
    quota.rate = 1000;
    for (int64_t second = 0; second < 60; second++) {
        quota_note(&quota, second * SECOND, 600);
        quota_note(&quota, second * SECOND + SECOND / 2, 300);
        assert_false(second > 0 && quota_exceeded(&quota, (second + 1) * SECOND - 1));
    }
    assert_int_equal(quota_measure(&quota, 59 * SECOND + SECOND - 1), 900);
    assert_int_equal(quota_measure(&quota, 90 * SECOND), 0); /* and forgets the rest */
}

/* At the moment that is told, and not a nanosecond before, nothing is exceeded. */
static void check_free(const struct quota *quota, int64_t now_ns, int64_t expected_ns)
{
    int64_t free_ns = quota_free_at(quota, now_ns);

    assert_int_equal(free_ns, expected_ns);
    assert_false(quota_exceeded(quota, free_ns));
    if (free_ns > now_ns) assert_true(quota_exceeded(quota, free_ns - 1));
}

static void it_is_known_when_enough_was_waited(void **state)
{
    struct quota quota;

    (void)state;
    quota_init(&quota);
    check_free(&quota, 7 * SECOND, 7 * SECOND);
    quota.rate = 1000;
    check_free(&quota, 7 * SECOND, 7 * SECOND);
    quota_note(&quota, 100 * SECOND, 4000);
    check_free(&quota, 100 * SECOND, 104 * SECOND - 3 * (SECOND / 1000)); /* the mean, rounded */
    check_free(&quota, 105 * SECOND, 105 * SECOND);
    /* More than eleven seconds allow: until it is forgotten. */
    quota_note(&quota, 101 * SECOND, 40000);
    check_free(&quota, 102 * SECOND, 112 * SECOND);
    quota.rate = 0;
    check_free(&quota, 102 * SECOND, 112 * SECOND);
}

static void lists_of_replicas_are_kafkas(void **state)
{
    (void)state;
    assert_null(quota_check_list(STR("")));
    assert_null(quota_check_list(STR("*")));
    assert_null(quota_check_list(STR("0:1")));
    assert_null(quota_check_list(STR("0:1,0:2,17:103")));
    assert_non_null(quota_check_list(STR("0:1,")));
    assert_non_null(quota_check_list(STR(",0:1")));
    assert_non_null(quota_check_list(STR("0")));
    assert_non_null(quota_check_list(STR("0:")));
    assert_non_null(quota_check_list(STR(":1")));
    assert_non_null(quota_check_list(STR("a:b")));
    assert_non_null(quota_check_list(STR("-1:2")));
    assert_non_null(quota_check_list(STR("*,0:1")));
    assert_true(quota_names(STR("*"), 7, 9));
    assert_true(quota_names(STR("0:1,7:9"), 7, 9));
    assert_false(quota_names(STR("0:1,7:9"), 7, 1));
    assert_false(quota_names(STR(""), 0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rate_nothing_is_exceeded),
        cmocka_unit_test(what_was_too_much_is_paid_for_by_waiting),
        cmocka_unit_test(the_mean_is_that_of_eleven_seconds),
        cmocka_unit_test(it_is_known_when_enough_was_waited),
        cmocka_unit_test(lists_of_replicas_are_kafkas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
