/* Proves: region hands out aligned memory upward without overlap, refuses at its end, and begins
 * anew after a reset. */
#include "tests/support/support.h"

#include "client/base/assert.h"

static void takes_are_aligned_and_follow_each_other(void **state)
{
    struct region region;
    uint8_t *end;

    (void)state;
    support_region_init(&region, 1 << 20);
    end = region.base;
    for (size_t align = 1; align <= 4096; align *= 2) {
        uint8_t *place = region_take(&region, 3, align);

        assert_int_equal((uintptr_t)place % align, 0);
        assert_true(place >= end);
        end = place + 3;
        assert_ptr_equal(region.base + region.used, end);
    }
    support_region_deinit(&region);
}

static void the_end_refuses_and_takes_nothing(void **state)
{
    struct region region;

    (void)state;
    support_region_init(&region, 8192);
    assert_non_null(region_take(&region, 8191, 1));
    assert_null(region_take(&region, 1, 16));
    assert_null(region_take(&region, 2, 1));
    assert_null(region_take(&region, SIZE_MAX, 1));
    assert_int_equal(region.used, 8191);
    assert_non_null(region_take(&region, 1, 1));
    assert_null(region_take(&region, 1, 1));
    region_reset(&region);
    assert_ptr_equal(region_take(&region, 8192, 4096), region.base);
    support_region_deinit(&region);
}

static void an_unaligned_base_or_alignment_is_a_bug(void **state)
{
    struct region region;
    struct region other;

    (void)state;
    support_region_init(&region, 8192);
    EXPECT_BUG(region_init(&other, region.base + 16, 4096));
    EXPECT_BUG(region_take(&region, 16, 3));
    EXPECT_BUG(region_take(&region, 16, 0));
    support_region_deinit(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_are_aligned_and_follow_each_other),
        cmocka_unit_test(the_end_refuses_and_takes_nothing),
        cmocka_unit_test(an_unaligned_base_or_alignment_is_a_bug),
    };

    return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
