/* Proves: mem's blocks are aligned, never overlap, keep their bytes, and all come back; refusal,
 * the failpoint, wrong frees behave as the header says; a huge region costs only what is used. */
#include "tests/support/support.h"

#include "client/base/assert.h"
#include "client/base/poison.h"
#include "client/base/rng.h"

#include <string.h>
#include <sys/mman.h>

enum { BLOCKS = 600 };

struct model_block {
    uint8_t *at;
    size_t size;
    uint8_t fill;
};

static size_t random_size(struct rng *rng)
{
    uint64_t kind = rng_below(rng, 10);

    if (kind < 6) return 1 + rng_below(rng, 300);
    if (kind < 9) return 1 + rng_below(rng, 20000);
    return 1 + rng_below(rng, 400000);
}

static void check_filled(const struct model_block *block)
{
    for (size_t i = 0; i < block->size; i++)
        if (block->at[i] != block->fill) fail_msg("byte %zu of %zu changed", i, block->size);
}

static void random_use_never_overlaps_and_comes_back_whole(void **state)
{
    struct support_memory memory;
    struct model_block blocks[BLOCKS] = {{0}};
    struct rng rng;
    size_t in_use = 0;
    void *whole;

    (void)state;
    support_memory_init(&memory, 24 << 20);
    rng_init(&rng, 7);
    for (uint32_t step = 0; step < 40000; step++) {
        struct model_block *block = &blocks[rng_below(&rng, BLOCKS)];

        if (block->at == NULL) {
            block->size = random_size(&rng);
            block->fill = (uint8_t)step;
            block->at = mem_alloc(&memory.mem, block->size);
            if (block->at == NULL) continue;
            assert_int_equal((uintptr_t)block->at % 16, 0);
            memset(block->at, block->fill, block->size);
            in_use += block->size;
        } else {
            check_filled(block);
            mem_free(&memory.mem, block->at, block->size);
            block->at = NULL;
            in_use -= block->size;
        }
        assert_int_equal(mem_in_use(&memory.mem), in_use);
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        if (blocks[i].at == NULL) continue;
        check_filled(&blocks[i]);
        mem_free(&memory.mem, blocks[i].at, blocks[i].size);
    }
    assert_int_equal(mem_in_use(&memory.mem), 0);
    assert_true(memory.mem.peak > 0);
    /* Everything merged again: a block of more than half of the heap fits. */
    whole = mem_alloc(&memory.mem, 16 << 20);
    assert_non_null(whole);
    mem_free(&memory.mem, whole, 16 << 20);
    support_memory_deinit(&memory);
}

static void the_same_calls_give_the_same_layout(void **state)
{
    struct support_memory a;
    struct support_memory b;
    struct rng rng;

    (void)state;
    support_memory_init(&a, 8 << 20);
    support_memory_init(&b, 8 << 20);
    /* What a crash leaves behind must not show: the second region holds a pattern. */
    region_reset(&b.region);
    memset(b.region.base, 0xa5, b.region.size);
    mem_init(&b.mem, &b.region);
    rng_init(&rng, 11);
    for (uint32_t step = 0; step < 3000; step++) {
        size_t size = random_size(&rng);
        bool keep = rng_chance(&rng, 300000);
        uint8_t *x = mem_alloc(&a.mem, size);
        uint8_t *y = mem_alloc(&b.mem, size);

        assert_int_equal(x != NULL, y != NULL);
        if (x == NULL) continue;
        assert_int_equal(x - a.region.base, y - b.region.base);
        if (keep) continue;
        mem_free(&a.mem, x, size);
        mem_free(&b.mem, y, size);
    }
    support_region_deinit(&a.region);
    support_region_deinit(&b.region);
}

static void every_size_class_holds_what_it_promises(void **state)
{
    struct support_memory memory;

    (void)state;
    support_memory_init(&memory, 4 << 20);
    for (size_t size = 1; size <= 9000; size++) {
        uint8_t *block = mem_alloc(&memory.mem, size);
        size_t real = mem_class_size(size);

        assert_non_null(block);
        assert_true(real >= size && (size <= 16 || real < 2 * size));
        assert_int_equal(mem_class_size(real), real);
        memset(block, 1, size);
        mem_free(&memory.mem, block, size);
    }
    support_memory_deinit(&memory);
}

static void exhaustion_is_a_refusal_and_not_the_end(void **state)
{
    struct support_memory memory;
    void *small[4096];
    uint32_t taken = 0;
    void *block;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    assert_null(mem_alloc(&memory.mem, (size_t)MEM_MAX + 1));
    assert_null(mem_alloc(&memory.mem, 2 << 20));
    while (taken < COUNT_OF(small)) {
        small[taken] = mem_alloc(&memory.mem, 1024);
        if (small[taken] == NULL) break;
        taken++;
    }
    assert_in_range(taken, 900, 1024);
    assert_null(mem_alloc(&memory.mem, 16384));
    for (uint32_t i = 0; i < taken; i++)
        mem_free(&memory.mem, small[i], 1024);
    /* The empty slab that is kept goes back when a large block needs it. */
    block = mem_alloc(&memory.mem, 512 << 10);
    assert_non_null(block);
    mem_free(&memory.mem, block, 512 << 10);
    support_memory_deinit(&memory);
}

static void a_region_without_room_refuses_everything(void **state)
{
    struct support_memory memory;

    (void)state;
    support_memory_init(&memory, 4096);
    assert_null(mem_alloc(&memory.mem, 1));
    assert_null(mem_alloc(&memory.mem, 4096));
    support_memory_deinit(&memory);
}

static void the_failpoint_refuses_exactly_one(void **state)
{
    struct support_memory memory;
    void *blocks[5];

    (void)state;
    support_memory_init(&memory, 1 << 20);
    memory.mem.fail_at = 3;
    for (uint32_t i = 0; i < COUNT_OF(blocks); i++)
        blocks[i] = mem_zalloc(&memory.mem, 100);
    for (uint32_t i = 0; i < COUNT_OF(blocks); i++)
        assert_int_equal(blocks[i] == NULL, i == 2);
    assert_int_equal(memory.mem.fail_at, 0);
    for (uint32_t i = 0; i < COUNT_OF(blocks); i++)
        mem_free(&memory.mem, blocks[i], 100);
    support_memory_deinit(&memory);
}

static void zalloc_zeroes_reused_memory(void **state)
{
    struct support_memory memory;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    for (size_t size = 1; size < 20000; size = size * 2 + 1) {
        uint8_t *block = mem_alloc(&memory.mem, size);

        memset(block, 0xee, size);
        mem_free(&memory.mem, block, size);
        block = mem_zalloc(&memory.mem, size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(block[i], 0);
        mem_free(&memory.mem, block, size);
    }
    support_memory_deinit(&memory);
}

static void wrong_frees_are_bugs(void **state)
{
    struct support_memory memory;
    uint8_t *pages;
    uint8_t *slot;

    (void)state;
    support_memory_init(&memory, 1 << 20);
    pages = mem_alloc(&memory.mem, 20000);
    slot = mem_alloc(&memory.mem, 100);
    EXPECT_BUG(mem_alloc(&memory.mem, 0));
    EXPECT_BUG(mem_free(&memory.mem, pages, 8000));
    EXPECT_BUG(mem_free(&memory.mem, pages + 16, 20000));
    EXPECT_BUG(mem_free(&memory.mem, slot, 200));
    EXPECT_BUG(mem_free(&memory.mem, slot + 16, 100));
    EXPECT_BUG(mem_free(&memory.mem, &memory, 100));
    mem_free(&memory.mem, NULL, 0);
    mem_free(&memory.mem, slot, 100);
    mem_free(&memory.mem, pages, 20000);
    EXPECT_BUG(mem_free(&memory.mem, pages, 20000));
    support_memory_deinit(&memory);
}

static void a_huge_region_is_touched_only_where_used(void **state)
{
    enum { SAMPLE = 64 << 20 };
    static unsigned char resident[SAMPLE / 4096];
    struct support_memory memory;
    void *blocks[100];
    size_t touched = 0;

    (void)state;
    support_memory_init(&memory, (size_t)1 << 30);
    for (uint32_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = mem_alloc(&memory.mem, 8000);
        memset(blocks[i], 1, 8000);
    }
    for (size_t at = 0; at < memory.region.size; at += SAMPLE) {
        assert_int_equal(mincore(memory.region.base + at, SAMPLE, resident), 0);
        for (uint32_t i = 0; i < COUNT_OF(resident); i++)
            touched += resident[i] & 1;
    }
    assert_in_range(touched, 200, 230);
    for (uint32_t i = 0; i < COUNT_OF(blocks); i++)
        mem_free(&memory.mem, blocks[i], 8000);
    support_memory_deinit(&memory);
}

static size_t unused_bytes;

static void unused(void *pages, size_t size)
{
    unused_bytes += size;
    UNPOISON(pages, size);
    memset(pages, 0xa5, size);
    POISON(pages, size);
}

static void what_is_trimmed_is_free_and_can_be_taken_again(void **state)
{
    enum { COUNT = 20, SIZE = 200000 };
    struct support_memory memory;
    struct model_block blocks[COUNT] = {{0}};

    (void)state;
    unused_bytes = 0;
    support_memory_init(&memory, 24 << 20);
    for (uint32_t i = 0; i < COUNT; i++) {
        blocks[i] = (struct model_block){mem_alloc(&memory.mem, SIZE), SIZE, (uint8_t)i};
        assert_non_null(blocks[i].at);
        memset(blocks[i].at, (int)i, SIZE);
    }
    mem_trim(&memory.mem); /* nobody to tell */
    memory.region.unused = unused;
    for (uint32_t i = 0; i < COUNT; i += 2)
        mem_free(&memory.mem, blocks[i].at, SIZE);
    mem_trim(&memory.mem);
    assert_true(unused_bytes >= COUNT / 2 * (SIZE - MEM_PAGE - 65536));
    for (uint32_t i = 1; i < COUNT; i += 2)
        check_filled(&blocks[i]);
    for (uint32_t i = 0; i < COUNT; i += 2) {
        blocks[i].at = mem_alloc(&memory.mem, SIZE);
        assert_non_null(blocks[i].at);
        memset(blocks[i].at, (int)i, SIZE);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        check_filled(&blocks[i]);
        mem_free(&memory.mem, blocks[i].at, SIZE);
    }
    assert_int_equal(0, mem_in_use(&memory.mem));
    support_memory_deinit(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_use_never_overlaps_and_comes_back_whole),
        cmocka_unit_test(the_same_calls_give_the_same_layout),
        cmocka_unit_test(every_size_class_holds_what_it_promises),
        cmocka_unit_test(exhaustion_is_a_refusal_and_not_the_end),
        cmocka_unit_test(a_region_without_room_refuses_everything),
        cmocka_unit_test(the_failpoint_refuses_exactly_one),
        cmocka_unit_test(zalloc_zeroes_reused_memory),
        cmocka_unit_test(what_is_trimmed_is_free_and_can_be_taken_again),
        cmocka_unit_test(wrong_frees_are_bugs),
        cmocka_unit_test(a_huge_region_is_touched_only_where_used),
    };

    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
