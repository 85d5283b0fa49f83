/* Proves: buf never exceeds its budget, keeps the reserve for those who may use it, counts
 * references, and gives everything back. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/buf.h"
#include "client/base/rng.h"

#include <string.h>

static void the_reserve_is_kept_for_replication(void **state)
{
    struct support_memory memory;
    struct buf_budget budget;
    struct buf *client;
    struct buf *replica;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    buf_budget_init(&budget, &memory.mem, 64 << 10, 16 << 10);
    client = buf_take(&budget, 48 << 10, false);
    assert_non_null(client);
    assert_null(buf_take(&budget, 1, false));
    replica = buf_take(&budget, 16 << 10, true);
    assert_non_null(replica);
    assert_null(buf_take(&budget, 1, true));
    buf_unref(client);
    /* The reserve is a part of the limit: who may use it counts against the rest as well. */
    assert_false(buf_fits(&budget, 36 << 10, false));
    assert_true(buf_fits(&budget, 32 << 10, false));
    assert_true(buf_fits(&budget, 48 << 10, true));
    buf_unref(replica);
    assert_int_equal(budget.peak, 64 << 10);
    buf_budget_deinit(&budget);
    support_memory_deinit(&memory);
}

static void the_last_reference_gives_the_bytes_back(void **state)
{
    struct support_memory memory;
    struct buf_budget budget;
    struct buf *buf;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    buf_budget_init(&budget, &memory.mem, 64 << 10, 0);
    buf = buf_take(&budget, 5000, false);
    assert_int_equal(buf->capacity, 8192);
    assert_int_equal(budget.used, 8192);
    memset(buf->data, 1, buf->capacity);
    assert_ptr_equal(buf_ref(buf), buf);
    buf_unref(buf);
    assert_int_equal(budget.used, 8192);
    EXPECT_BUG(buf_budget_deinit(&budget));
    buf_unref(buf);
    buf_unref(NULL);
    assert_int_equal(budget.used, 0);
    buf_budget_deinit(&budget);
    support_memory_deinit(&memory);
}

static void sizes_beyond_everything_are_refused(void **state)
{
    struct support_memory memory;
    struct buf_budget budget;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    buf_budget_init(&budget, &memory.mem, SIZE_MAX, 0);
    assert_null(buf_take(&budget, SIZE_MAX, true));
    assert_null(buf_take(&budget, (size_t)MEM_MAX + 1, true));
    assert_null(buf_take(&budget, 2 << 20, true)); /* within the budget, not within the region */
    memory.mem.fail_at = 1;
    assert_null(buf_take(&budget, 100, true));
    memory.mem.fail_at = 2;
    assert_null(buf_take(&budget, 100, true));
    assert_int_equal(budget.used, 0);
    EXPECT_BUG(buf_take(&budget, 0, true));
    EXPECT_BUG(buf_budget_init(&budget, &memory.mem, 1, 2));
    buf_budget_deinit(&budget);
    support_memory_deinit(&memory);
}

static void random_use_agrees_with_a_sum(void **state)
{
    enum { BUFS = 64, LIMIT = 256 << 10, RESERVED = 64 << 10 };
    struct support_memory memory;
    struct buf_budget budget;
    struct buf *bufs[BUFS] = {0};
    size_t used = 0;
    struct rng rng;

    (void)state;
    support_memory_init(&memory, 4 << 20);
    buf_budget_init(&budget, &memory.mem, LIMIT, RESERVED);
    rng_init(&rng, 1);
    for (uint32_t step = 0; step < 20000; step++) {
        struct buf **buf = &bufs[rng_below(&rng, BUFS)];
        size_t size = 1 + rng_below(&rng, 20000);
        bool reserve = rng_chance(&rng, 300000);

        if (*buf != NULL) {
            used -= (*buf)->capacity;
            buf_unref(*buf);
            *buf = NULL;
        } else {
            bool fits = used + mem_class_size(size) <= (reserve ? LIMIT : LIMIT - RESERVED);

            *buf = buf_take(&budget, size, reserve);
            assert_int_equal(*buf != NULL, fits);
            if (fits) used += (*buf)->capacity;
        }
        assert_int_equal(budget.used, used);
    }
    for (uint32_t i = 0; i < BUFS; i++)
        buf_unref(bufs[i]);
    buf_budget_deinit(&budget);
    support_memory_deinit(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reserve_is_kept_for_replication),
        cmocka_unit_test(the_last_reference_gives_the_bytes_back),
        cmocka_unit_test(sizes_beyond_everything_are_refused),
        cmocka_unit_test(random_use_agrees_with_a_sum),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
