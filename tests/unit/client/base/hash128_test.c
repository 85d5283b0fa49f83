/* Proves: hash128 depends on every value, on their order and framing, and on nothing else; its
 * results are pinned, because recorded runs are compared by them. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/hash128.h"

static struct hash128_value of_text(const char *first, size_t first_length, const char *second,
                                    size_t second_length)
{
    struct hash128 hash;

    hash128_init(&hash, 0);
    hash128_add_bytes(&hash, first, first_length);
    hash128_add_bytes(&hash, second, second_length);
    return hash128_final(&hash);
}

static void the_results_are_pinned(void **state)
{
    struct hash128 hash;
    struct hash128_value value;

    (void)state;
    hash128_init(&hash, 42);
    hash128_add_u64(&hash, 1);
    hash128_add_u64(&hash, UINT64_MAX);
    hash128_add_bytes(&hash, "twelve bytes", 12);
    value = hash128_final(&hash);
    assert_true(value.high == UINT64_C(0x1f85a47c139d87cf));
    assert_true(value.low == UINT64_C(0x66a9f17743de67c9));
}

static void framing_keeps_equal_bytes_apart(void **state)
{
    struct hash128 one;
    struct hash128 other;

    (void)state;
    assert_false(hash128_equal(of_text("ab", 2, "c", 1), of_text("a", 1, "bc", 2)));
    assert_false(hash128_equal(of_text("", 0, "a", 1), of_text("a", 1, "", 0)));
    assert_false(hash128_equal(of_text("a\0", 2, "", 0), of_text("a", 1, "", 0)));
    assert_true(hash128_equal(of_text("ab", 2, "c", 1), of_text("ab", 2, "c", 1)));
    hash128_init(&one, 0);
    hash128_init(&other, 0);
    hash128_add_u64(&one, 1);
    hash128_add_bytes(&other, "\1", 1);
    assert_false(hash128_equal(hash128_final(&one), hash128_final(&other)));
}

static void order_seed_and_every_bit_count(void **state)
{
    enum { MANY = 64 * 8 };
    struct hash128_value seen[MANY];
    uint32_t count = 0;

    (void)state;
    for (uint32_t place = 0; place < 8; place++) {
        for (uint32_t bit = 0; bit < 64; bit++) {
            struct hash128 hash;

            hash128_init(&hash, 0);
            for (uint32_t i = 0; i < 8; i++)
                hash128_add_u64(&hash, i == place ? UINT64_C(1) << bit : 0);
            seen[count] = hash128_final(&hash);
            for (uint32_t i = 0; i < count; i++) {
                assert_true(seen[i].high != seen[count].high);
                assert_true(seen[i].low != seen[count].low);
            }
            count++;
        }
    }
}

static void reading_the_result_changes_nothing(void **state)
{
    struct hash128 a;
    struct hash128 b;

    (void)state;
    hash128_init(&a, 1);
    hash128_init(&b, 1);
    assert_true(hash128_equal(hash128_final(&a), hash128_final(&b)));
    hash128_add_u64(&a, 5);
    hash128_add_u64(&b, 5);
    (void)hash128_final(&a);
    hash128_add_u64(&a, 6);
    hash128_add_u64(&b, 6);
    assert_true(hash128_equal(hash128_final(&a), hash128_final(&b)));
    hash128_init(&b, 2);
    hash128_init(&a, 1);
    assert_false(hash128_equal(hash128_final(&a), hash128_final(&b)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_results_are_pinned),
        cmocka_unit_test(framing_keeps_equal_bytes_apart),
        cmocka_unit_test(order_seed_and_every_bit_count),
        cmocka_unit_test(reading_the_result_changes_nothing),
    };

    return cmocka_run_group_tests_name("hash128", tests, NULL, NULL);
}
