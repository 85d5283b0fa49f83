/* Proves: quantities of scenarios are read exactly, with their units, and refused with a hint. */
#include "tests/support/support.h"

#include "sim/scenario/units.h"

static void accept(enum unit unit, const char *text, int64_t min, int64_t max)
{
    struct unit_range range = {-1, -1};
    char why[192] = "";

    if (!units_parse(unit, text, &range, why)) fail_msg("%s: %s", text, why);
    assert_int_equal(range.min, min);
    assert_int_equal(range.max, max);
}

static void refuse(enum unit unit, const char *text, const char *expected)
{
    struct unit_range range = {7, 7};
    char why[192] = "";

    assert_false(units_parse(unit, text, &range, why));
    assert_string_equal(why, expected);
    assert_int_equal(range.min, 7);
}

static void every_unit_has_its_scale(void **state)
{
    (void)state;
    accept(UNIT_TIME, "250ms", 250000000, 250000000);
    accept(UNIT_TIME, "1.5s", 1500000000, 1500000000);
    accept(UNIT_TIME, "-30s", INT64_C(-30000000000), INT64_C(-30000000000));
    accept(UNIT_TIME, "2min", INT64_C(120000000000), INT64_C(120000000000));
    accept(UNIT_SIZE, "64KiB", 65536, 65536);
    accept(UNIT_RATE, "200/s", 200000, 200000);
    accept(UNIT_RATE, "0.5/s", 500, 500);
    accept(UNIT_SHARE, "15%", 150000, 150000);
    accept(UNIT_DRIFT, "-200ppm", -200000, -200000);
    accept(UNIT_FACTOR, "20x", 20000, 20000);
    accept(UNIT_COUNT, "5M", 5000000, 5000000);
    accept(UNIT_COUNT, "1.5k", 1500, 1500);
}

static void ranges_have_both_ends(void **state)
{
    (void)state;
    accept(UNIT_COUNT, "1..8", 1, 8);
    accept(UNIT_TIME, "200ms..2s", 200000000, 2000000000);
    accept(UNIT_DRIFT, "-200ppm..200ppm", -200000, 200000);
    accept(UNIT_SIZE, "50B..2KiB", 50, 2048);
    refuse(UNIT_COUNT, "8..1", "\"8..1\": the range is empty; the smaller end comes first");
    refuse(UNIT_COUNT, "1..", "\"1..\" is no quantity; wanted is for example 3 or 5k");
}

static void a_missing_or_wrong_unit_is_named(void **state)
{
    (void)state;
    refuse(UNIT_TIME, "250", "\"250\" has no unit; wanted is for example 250ms or 3s");
    refuse(UNIT_TIME, "3KiB", "\"3KiB\" has the wrong unit; wanted is for example 250ms or 3s");
    refuse(UNIT_TIME, "3 s", "\"3 s\" has no unit; wanted is for example 250ms or 3s");
    refuse(UNIT_COUNT, "soon", "\"soon\" is no quantity; wanted is for example 3 or 5k");
    refuse(UNIT_SIZE, "1.5B", "\"1.5B\" is no quantity; wanted is for example 512B or 64KiB");
    refuse(UNIT_COUNT, "99999999999999999999",
           "\"99999999999999999999\" is no quantity; wanted is for example 3 or 5k");
}

static void a_draw_stays_inside_and_repeats(void **state)
{
    const struct unit_range range = {10, 20};
    struct rng first;
    struct rng second;

    (void)state;
    rng_init(&first, 5);
    rng_init(&second, 5);
    for (int i = 0; i < 1000; i++) {
        int64_t value = units_draw(range, &first);

        assert_in_range(value, 10, 20);
        assert_int_equal(value, units_draw(range, &second));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_has_its_scale),
        cmocka_unit_test(ranges_have_both_ends),
        cmocka_unit_test(a_missing_or_wrong_unit_is_named),
        cmocka_unit_test(a_draw_stays_inside_and_repeats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
