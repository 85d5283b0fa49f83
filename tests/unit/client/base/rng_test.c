/* Proves: rng produces the published numbers of its algorithms, stays within the bounds it is
 * given, and its distributions have about the right shape (fixed seeds, so never by luck). */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/rng.h"

#include <string.h>

static void the_numbers_are_the_published_ones(void **state)
{
    static const uint64_t splitmix[4] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431)};
    static const uint64_t xoshiro[5] = {11520, 0, 1509978240, UINT64_C(1215971899390074240),
                                        UINT64_C(1216172134540287360)};
    struct rng rng;

    (void)state;
    rng_init(&rng, 1234567);
    assert_memory_equal(rng.state, splitmix, sizeof splitmix);
    rng = (struct rng){{1, 2, 3, 4}};
    for (uint32_t i = 0; i < COUNT_OF(xoshiro); i++)
        assert_int_equal(rng_u64(&rng), xoshiro[i]);
}

static void below_reaches_every_value_about_equally(void **state)
{
    uint32_t seen[7] = {0};
    struct rng rng;

    (void)state;
    rng_init(&rng, 1);
    for (uint32_t i = 0; i < 70000; i++) {
        uint64_t drawn = rng_below(&rng, 7);

        assert_true(drawn < 7);
        seen[drawn]++;
    }
    for (uint32_t i = 0; i < 7; i++)
        assert_in_range(seen[i], 9600, 10400);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(rng_below(&rng, 1), 0);
        assert_true(rng_below(&rng, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
    EXPECT_BUG(rng_below(&rng, 0));
}

static void range_includes_both_ends(void **state)
{
    bool low = false;
    bool high = false;
    bool negative = false;
    struct rng rng;

    (void)state;
    rng_init(&rng, 2);
    for (uint32_t i = 0; i < 1000; i++) {
        int64_t drawn = rng_range(&rng, -2, 2);
        int64_t any;

        assert_true(drawn >= -2 && drawn <= 2);
        low = low || drawn == -2;
        high = high || drawn == 2;
        any = rng_range(&rng, INT64_MIN, INT64_MAX);
        negative = negative || any < 0;
        assert_int_equal(rng_range(&rng, 5, 5), 5);
    }
    assert_true(low && high && negative);
    EXPECT_BUG(rng_range(&rng, 1, 0));
}

static void chance_is_never_at_zero_and_always_at_a_million(void **state)
{
    uint32_t hits = 0;
    struct rng rng;

    (void)state;
    rng_init(&rng, 3);
    for (uint32_t i = 0; i < 100000; i++) {
        assert_false(rng_chance(&rng, 0));
        assert_true(rng_chance(&rng, RNG_MILLION));
        assert_true(rng_chance(&rng, UINT32_MAX));
        if (rng_chance(&rng, 250000)) hits++;
    }
    assert_in_range(hits, 24500, 25500);
}

static void exponential_has_its_mean_and_its_tail(void **state)
{
    int64_t sum = 0;
    uint32_t above = 0;
    struct rng rng;

    (void)state;
    rng_init(&rng, 4);
    for (uint32_t i = 0; i < 100000; i++) {
        int64_t drawn = rng_exponential(&rng, 1000000);

        assert_true(drawn >= 0 && drawn < 45000000);
        sum += drawn;
        if (drawn > 2000000) above++;
    }
    assert_in_range(sum / 100000, 990000, 1010000);
    assert_in_range(above, 13200, 13850); /* e^-2 = 13.53 % */
    assert_int_equal(rng_exponential(&rng, 0), 0);
    for (uint32_t i = 0; i < 1000; i++)
        assert_true(rng_exponential(&rng, INT64_C(1) << 56) >= 0);
    EXPECT_BUG(rng_exponential(&rng, -1));
}

static void streams_differ_in_each_of_their_three_parts(void **state)
{
    uint64_t seen[512];
    uint32_t count = 0;

    (void)state;
    for (uint64_t i = 0; i < 512; i++) {
        uint64_t stream = rng_stream(i & 7, i >> 3 & 7, i >> 6);

        for (uint32_t j = 0; j < count; j++)
            assert_int_not_equal(seen[j], stream);
        seen[count++] = stream;
    }
    assert_int_equal(rng_stream(1, 2, 3), rng_stream(1, 2, 3));
}

static void bytes_are_independent_of_the_length_asked(void **state)
{
    uint8_t whole[40];
    struct rng rng;

    (void)state;
    rng_init(&rng, 5);
    rng_bytes(&rng, whole, sizeof whole);
    for (size_t length = 0; length < sizeof whole; length++) {
        uint8_t part[41];

        memset(part, 0xcc, sizeof part);
        rng_init(&rng, 5);
        rng_bytes(&rng, part, length);
        assert_memory_equal(part, whole, length);
        assert_int_equal(part[length], 0xcc);
    }
}

static void uuids_are_version_4_and_no_option(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 6);
    for (uint32_t i = 0; i < 1000; i++) {
        struct uuid id = rng_uuid(&rng);
        struct uuid again;
        char text[UUID_TEXT + 1];

        assert_int_equal(id.bytes[6] >> 4, 4);
        assert_int_equal(id.bytes[8] >> 6, 2);
        uuid_print(id, text);
        assert_int_not_equal(text[0], '-');
        assert_true(uuid_parse(str_of(text), &again));
        assert_true(uuid_equal(id, again));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_are_the_published_ones),
        cmocka_unit_test(below_reaches_every_value_about_equally),
        cmocka_unit_test(range_includes_both_ends),
        cmocka_unit_test(chance_is_never_at_zero_and_always_at_a_million),
        cmocka_unit_test(exponential_has_its_mean_and_its_tail),
        cmocka_unit_test(streams_differ_in_each_of_their_three_parts),
        cmocka_unit_test(bytes_are_independent_of_the_length_asked),
        cmocka_unit_test(uuids_are_version_4_and_no_option),
    };

    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
