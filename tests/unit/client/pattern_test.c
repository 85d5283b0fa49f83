/* Proves: a pattern matches whole names as an extended regular expression does, refuses what it
 * does not know, and needs no more time for a nasty one. */
#include "tests/support/support.h"

#include "client/pattern.h"

#include <string.h>

static bool matches(const char *text, const char *name)
{
    struct pattern pattern;

    assert_int_equal(pattern_compile(&pattern, str_of(text)), ERR_NONE);
    return pattern_matches(&pattern, str_of(name));
}

static void names_match_as_a_whole(void **state)
{
    static const struct {
        const char *pattern;
        const char *name;
        bool match;
    } cases[] = {
        {"orders", "orders", true},
        {"orders", "orders-2", false},
        {"orders", "my-orders", false},
        {"orders.*", "orders-2", true},
        {"orders.*", "orders", true},
        {"orders.+", "orders", false},
        {"^orders-[0-9]+$", "orders-17", true},
        {"^orders-[0-9]+$", "orders-x", false},
        {"orders-[^0-9]", "orders-x", true},
        {"orders-[^0-9]", "orders-1", false},
        {"a|b|cd", "b", true},
        {"a|b|cd", "cd", true},
        {"a|b|cd", "c", false},
        {"(in|out)-log(ged)?", "out-logged", true},
        {"(in|out)-log(ged)?", "in-log", true},
        {"(in|out)-log(ged)?", "inout-log", false},
        {"(a|b)*c", "ababc", true},
        {"(a|b)*c", "c", true},
        {"(a|b)*c", "abd", false},
        {"x(a|b)+y", "xy", false},
        {"a\\.b", "a.b", true},
        {"a\\.b", "axb", false},
        {"[]a]+", "]a]", true},
        {"[a-c_-]*", "b_-", true},
        {"(ab?)*", "aaba", true},
        {"(ab?)*", "bab", false},
        {"a??b", "b", true},
        {"(a*)*b", "aab", true},
        {"()|a", "", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (matches(cases[i].pattern, cases[i].name) != cases[i].match)
            fail_msg("%s on %s", cases[i].pattern, cases[i].name);
}

static void what_is_no_pattern_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "*a",
                                      "(a",
                                      "a)",
                                      "[a",
                                      "a{2}",
                                      "a\\",
                                      "[z-a]",
                                      "a|*",
                                      "a^b",
                                      "a$b",
                                      "[[:alpha:]]",
                                      "(((((((((((((((((a)))))))))))))))))"};
    struct pattern pattern;
    char long_one[PATTERN_STEPS_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pattern_compile(&pattern, str_of(bad[i])) != ERR_BAD_CONFIG) fail_msg("%s", bad[i]);
    memset(long_one, 'a', sizeof long_one);
    long_one[sizeof long_one - 1] = 0;
    assert_int_equal(pattern_compile(&pattern, str_of(long_one)), ERR_BAD_CONFIG);
}

static void a_nasty_pattern_takes_no_longer(void **state)
{
    char name[250];

    (void)state;
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    assert_false(matches("((a*)*)*b", name));
    assert_false(matches("(a|a|aa)+c", name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_match_as_a_whole),
        cmocka_unit_test(what_is_no_pattern_is_refused),
        cmocka_unit_test(a_nasty_pattern_takes_no_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
