/* Proves: heap yields nodes in the order of (deadline, sequence) whatever was pushed, updated and
 * removed in between, and refuses at its maximum and without memory. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/heap.h"
#include "client/base/rng.h"

enum { NODES = 200 };

static struct heap_node *least_of(struct heap_node *nodes)
{
    struct heap_node *least = NULL;

    for (uint32_t i = 0; i < NODES; i++) {
        struct heap_node *n = &nodes[i];

        if (!heap_queued(n)) continue;
        if (least == NULL || n->deadline < least->deadline ||
            (n->deadline == least->deadline && n->sequence < least->sequence))
            least = n;
    }
    return least;
}

static void random_use_agrees_with_a_search(void **state)
{
    struct support_memory memory;
    struct heap_node nodes[NODES];
    struct heap heap;
    struct rng rng;
    uint64_t sequence = 0;
    uint32_t count = 0;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    heap_init(&heap, &memory.mem, NODES);
    rng_init(&rng, 3);
    for (uint32_t i = 0; i < NODES; i++)
        heap_node_init(&nodes[i]);
    for (uint32_t step = 0; step < 30000; step++) {
        struct heap_node *node = &nodes[rng_below(&rng, NODES)];
        int64_t deadline = rng_range(&rng, -20, 20);
        uint64_t act = rng_below(&rng, 10);

        if (act == 0) {
            struct heap_node *least = least_of(nodes);

            assert_ptr_equal(heap_pop(&heap), least);
            if (least == NULL) continue;
            assert_false(heap_queued(least));
            count--;
        } else if (!heap_queued(node)) {
            assert_int_equal(heap_push(&heap, node, deadline, sequence++), ERR_NONE);
            count++;
        } else if (act < 6) {
            heap_update(&heap, node, deadline, sequence++);
        } else {
            heap_remove(&heap, node);
            count--;
        }
        assert_int_equal(heap.count, count);
        assert_ptr_equal(heap_peek(&heap), least_of(nodes));
    }
    while (count > 0) {
        struct heap_node *least = least_of(nodes);

        assert_ptr_equal(heap_pop(&heap), least);
        count--;
    }
    assert_null(heap_pop(&heap));
    heap_deinit(&heap);
    support_memory_deinit(&memory);
}

static void equal_deadlines_leave_in_the_order_of_their_sequence(void **state)
{
    struct support_memory memory;
    struct heap_node nodes[50];
    struct heap heap;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    heap_init(&heap, &memory.mem, 50);
    for (uint32_t i = 0; i < 50; i++) {
        heap_node_init(&nodes[i]);
        /* 7 and 50 share no factor: every sequence once, in a scattered order. */
        assert_int_equal(heap_push(&heap, &nodes[i], INT64_MAX, i * 7 % 50), ERR_NONE);
    }
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(heap_pop(&heap)->sequence, i);
    heap_deinit(&heap);
    support_memory_deinit(&memory);
}

static void the_maximum_and_lack_of_memory_are_refusals(void **state)
{
    struct support_memory memory;
    struct heap_node nodes[21];
    struct heap heap;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    heap_init(&heap, &memory.mem, 20);
    for (uint32_t i = 0; i < 21; i++)
        heap_node_init(&nodes[i]);
    memory.mem.fail_at = 1;
    assert_int_equal(heap_push(&heap, &nodes[0], 0, 0), ERR_NO_MEMORY);
    assert_false(heap_queued(&nodes[0]));
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(heap_push(&heap, &nodes[i], i, i), ERR_NONE);
    memory.mem.fail_at = 1; /* the array grows at 17 */
    assert_int_equal(heap_push(&heap, &nodes[16], 0, 16), ERR_NO_MEMORY);
    assert_int_equal(heap.count, 16);
    assert_int_equal(heap_reserve(&heap, 21), ERR_TOO_MANY);
    assert_int_equal(heap_reserve(&heap, 20), ERR_NONE);
    memory.mem.fail_at = 1; /* reserved: no allocation any more */
    for (uint32_t i = 16; i < 20; i++)
        assert_int_equal(heap_push(&heap, &nodes[i], i, i), ERR_NONE);
    assert_int_equal(heap_push(&heap, &nodes[20], 0, 20), ERR_TOO_MANY);
    assert_int_equal(memory.mem.fail_at, 1);
    EXPECT_BUG(assert_int_equal(heap_push(&heap, &nodes[3], 0, 99), ERR_NONE));
    EXPECT_BUG(heap_deinit(&heap));
    EXPECT_BUG(heap_remove(&heap, &nodes[20]));
    EXPECT_BUG(heap_update(&heap, &nodes[20], 0, 0));
    while (heap_pop(&heap) != NULL)
        continue;
    heap_deinit(&heap);
    support_memory_deinit(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_use_agrees_with_a_search),
        cmocka_unit_test(equal_deadlines_leave_in_the_order_of_their_sequence),
        cmocka_unit_test(the_maximum_and_lack_of_memory_are_refusals),
    };

    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
