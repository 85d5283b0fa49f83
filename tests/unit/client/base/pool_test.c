/* Proves: pool hands out distinct zeroed objects up to its maximum, handles tell a former life from
 * the present one, memory failures at any point are survived, and everything goes back. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/pool.h"
#include "client/base/rng.h"

#include <string.h>

enum { MODEL = 300 };

static void random_use_agrees_with_a_model(void **state)
{
    struct support_memory memory;
    struct pool pool;
    struct rng rng;
    uint8_t *objects[MODEL] = {0};
    struct handle handles[MODEL] = {{0, 0}};
    uint32_t in_use = 0;

    (void)state;
    support_memory_init(&memory, 4 << 20);
    rng_init(&rng, 2);
    pool_init(&pool, &memory.mem, 200, MODEL - 50);
    for (uint32_t step = 0; step < 30000; step++) {
        uint32_t i = (uint32_t)rng_below(&rng, MODEL);

        assert_ptr_equal(pool_get(&pool, handles[i]), objects[i]);
        if (objects[i] != NULL) {
            for (uint32_t at = 0; at < 200; at++)
                assert_int_equal(objects[i][at], (uint8_t)i);
            assert_true(handle_equal(pool_handle(&pool, objects[i]), handles[i]));
            pool_give(&pool, objects[i]);
            objects[i] = NULL;
            in_use--;
            assert_null(pool_get(&pool, handles[i]));
        } else {
            uint8_t *object = pool_take(&pool);

            assert_int_equal(object == NULL, in_use == MODEL - 50);
            if (object == NULL) continue;
            assert_int_equal((uintptr_t)object % 16, 0);
            for (uint32_t at = 0; at < 200; at++)
                assert_int_equal(object[at], 0);
            memset(object, (uint8_t)i, 200);
            objects[i] = object;
            handles[i] = pool_handle(&pool, object);
            in_use++;
        }
        assert_int_equal(pool_in_use(&pool), in_use);
    }
    for (uint32_t i = 0; i < MODEL; i++)
        if (objects[i] != NULL) pool_give(&pool, objects[i]);
    pool_deinit(&pool);
    support_memory_deinit(&memory);
}

static void the_maximum_is_exact_for_every_size(void **state)
{
    struct support_memory memory;

    (void)state;
    support_memory_init(&memory, 16 << 20);
    for (uint32_t max = 1; max < 70; max += 17) {
        for (size_t size = 1; size < 100000; size = size * 5 + 3) {
            struct pool pool;
            void *objects[70];

            pool_init(&pool, &memory.mem, size, max);
            for (uint32_t i = 0; i < max; i++) {
                objects[i] = pool_take(&pool);
                assert_non_null(objects[i]);
                memset(objects[i], 0xff, size);
            }
            assert_null(pool_take(&pool));
            for (uint32_t i = 0; i < max; i++)
                pool_give(&pool, objects[i]);
            assert_int_equal(pool.peak, max);
            pool_deinit(&pool);
        }
    }
    support_memory_deinit(&memory);
}

static void handles_from_elsewhere_refer_to_nothing(void **state)
{
    struct support_memory memory;
    struct pool pool;
    void *object;
    struct handle handle;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    pool_init(&pool, &memory.mem, 32, 10);
    assert_null(pool_get(&pool, HANDLE_NONE));
    assert_null(pool_get(&pool, (struct handle){0, 1}));
    object = pool_take(&pool);
    handle = pool_handle(&pool, object);
    assert_null(pool_get(&pool, HANDLE_NONE));
    assert_null(pool_get(&pool, (struct handle){handle.index, handle.generation + 1}));
    assert_null(pool_get(&pool, (struct handle){handle.index + 1, handle.generation}));
    assert_null(pool_get(&pool, (struct handle){UINT32_MAX, 1}));
    pool_give(&pool, object);
    assert_ptr_equal(pool_take(&pool), object); /* the same place, another life */
    assert_null(pool_get(&pool, handle));
    EXPECT_BUG(pool_deinit(&pool));
    pool_give(&pool, object);
    EXPECT_BUG(pool_give(&pool, object));
    pool_deinit(&pool);
    support_memory_deinit(&memory);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1; fail_at < 8; fail_at++) {
        struct support_memory memory;
        struct pool pool;
        void *objects[100];
        uint32_t taken = 0;
        uint32_t refused = 0;

        support_memory_init(&memory, 4 << 20);
        pool_init(&pool, &memory.mem, 4000, COUNT_OF(objects));
        memory.mem.fail_at = fail_at;
        for (uint32_t i = 0; i < 50; i++) {
            void *object = pool_take(&pool);

            if (object != NULL) {
                objects[taken++] = object;
            } else {
                refused++;
            }
        }
        assert_int_equal(refused, 1);
        assert_int_equal(taken, 49);
        while (taken > 0)
            pool_give(&pool, objects[--taken]);
        pool_deinit(&pool);
        support_memory_deinit(&memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_use_agrees_with_a_model),
        cmocka_unit_test(the_maximum_is_exact_for_every_size),
        cmocka_unit_test(handles_from_elsewhere_refer_to_nothing),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
