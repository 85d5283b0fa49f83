/* Proves: arena hands out separate aligned places up to its cap, keeps one chunk over a reset, and
 * gives everything back. */
#include "tests/support/support.h"

#include "client/base/arena.h"
#include "client/base/assert.h"
#include "client/base/rng.h"

#include <string.h>

static void random_use_never_overlaps(void **state)
{
    struct support_memory memory;
    struct arena arena;
    struct rng rng;

    (void)state;
    support_memory_init(&memory, 8 << 20);
    arena_init(&arena, &memory.mem, 1 << 20);
    rng_init(&rng, 6);
    for (uint32_t round = 0; round < 200; round++) {
        uint8_t *places[60];
        size_t sizes[60];
        size_t kept;

        for (uint32_t i = 0; i < COUNT_OF(places); i++) {
            sizes[i] = rng_below(&rng, 10) == 0 ? rng_below(&rng, 30000) : rng_below(&rng, 200);
            places[i] = arena_alloc(&arena, sizes[i]);
            assert_non_null(places[i]);
            assert_int_equal((uintptr_t)places[i] % 16, 0);
            memset(places[i], (int)i, sizes[i]);
        }
        for (uint32_t i = 0; i < COUNT_OF(places); i++)
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(places[i][at], i);
        arena_reset(&arena);
        assert_int_equal(arena.used, 0);
        kept = mem_in_use(&memory.mem);
        assert_in_range(kept, 1, 64 << 10);
    }
    arena_deinit(&arena);
    assert_int_equal(mem_in_use(&memory.mem), 0);
    support_memory_deinit(&memory);
}

static void past_the_cap_it_refuses_until_reset(void **state)
{
    struct support_memory memory;
    struct arena arena;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    arena_init(&arena, &memory.mem, 10000);
    assert_null(arena_alloc(&arena, 10001));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_non_null(arena_alloc(&arena, 8000));
    assert_null(arena_alloc(&arena, 2001));
    assert_non_null(arena_alloc(&arena, 1984));
    assert_non_null(arena_alloc(&arena, 0));
    assert_null(arena_alloc(&arena, 0)); /* the cap is exact: 10000 are used */
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 8000));
    arena_deinit(&arena);
    support_memory_deinit(&memory);
}

static void zalloc_zeroes_what_a_reset_left(void **state)
{
    struct support_memory memory;
    struct arena arena;
    uint8_t *place;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    arena_init(&arena, &memory.mem, 1 << 16);
    memset(arena_alloc(&arena, 1000), 0xee, 1000);
    arena_reset(&arena);
    place = arena_zalloc(&arena, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(place[i], 0);
    assert_non_null(arena_zalloc(&arena, 0));
    arena_deinit(&arena);
    support_memory_deinit(&memory);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1; fail_at < 6; fail_at++) {
        struct support_memory memory;
        struct arena arena;
        uint32_t refused = 0;

        support_memory_init(&memory, 4 << 20);
        arena_init(&arena, &memory.mem, 1 << 20);
        memory.mem.fail_at = fail_at;
        for (uint32_t i = 0; i < 200; i++)
            if (arena_alloc(&arena, 1000) == NULL) refused++;
        assert_int_equal(refused, 1);
        arena_deinit(&arena);
        support_memory_deinit(&memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_use_never_overlaps),
        cmocka_unit_test(past_the_cap_it_refuses_until_reset),
        cmocka_unit_test(zalloc_zeroes_what_a_reset_left),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
