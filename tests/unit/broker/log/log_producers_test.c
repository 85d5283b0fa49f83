/* Proves the idempotence rules (storage.md 6): duplicates in the window of five, order, epochs,
 * wrapping sequences, staged batches that fail, and the files that carry all five over a
 * restart. */
#include "tests/support/support.h"

#include "broker/log/log_producers.h"

static struct support_memory memory;
static struct log_producers producers;
static const struct cpu cpu;

static int setup(void **state)
{
    (void)state;
    support_memory_init(&memory, 4 << 20);
    log_producers_init(&producers, &memory.mem, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_producers_deinit(&producers);
    support_memory_deinit(&memory);
    return 0;
}

static struct record_batch batch_of(int64_t id, int16_t epoch, int32_t sequence, int32_t count,
                                    int64_t offset)
{
    return (struct record_batch){.base_offset = offset,
                                 .last_offset_delta = count - 1,
                                 .record_count = count,
                                 .max_timestamp = 1000 + offset,
                                 .producer_id = id,
                                 .producer_epoch = epoch,
                                 .base_sequence = sequence};
}

static enum log_producer_verdict check(struct record_batch batch, int64_t *offset)
{
    struct log_producer_batch original = {0};
    enum log_producer_verdict verdict = log_producers_check(&producers, &batch, &original);

    if (verdict == LOG_PRODUCER_DUPLICATE) *offset = original.last_offset - original.offset_delta;
    return verdict;
}

static void apply(struct record_batch batch)
{
    struct log_aborted aborted;

    assert_int_equal(ERR_NONE, log_producers_apply(&producers, &batch, &aborted));
}

static void the_last_five_batches_are_known_and_older_ones_are_out_of_order(void **state)
{
    int64_t offset = -1;

    (void)state;
    assert_int_equal(LOG_PRODUCER_NEXT, check(batch_of(7, 0, 99, 1, 0), &offset));
    for (int32_t i = 0; i < 7; i++)
        apply(batch_of(7, 0, i * 3, 3, i * 3 + 100));
    for (int32_t i = 0; i < 7; i++) {
        if (i < 2) {
            assert_int_equal(LOG_PRODUCER_OUT_OF_ORDER,
                             check(batch_of(7, 0, i * 3, 3, 0), &offset));
        } else {
            assert_int_equal(LOG_PRODUCER_DUPLICATE, check(batch_of(7, 0, i * 3, 3, 0), &offset));
            assert_true(offset == i * 3 + 100);
        }
    }
    assert_int_equal(LOG_PRODUCER_OUT_OF_ORDER, check(batch_of(7, 0, 18, 2, 0), &offset));
    assert_int_equal(LOG_PRODUCER_NEXT, check(batch_of(7, 0, 21, 2, 0), &offset));
    assert_int_equal(LOG_PRODUCER_OUT_OF_ORDER, check(batch_of(7, 0, 22, 2, 0), &offset));
}

static void epochs_fence_and_begin_at_zero(void **state)
{
    int64_t offset;

    (void)state;
    apply(batch_of(7, 3, 0, 5, 0));
    assert_int_equal(LOG_PRODUCER_FENCED, check(batch_of(7, 2, 5, 1, 0), &offset));
    assert_int_equal(LOG_PRODUCER_OUT_OF_ORDER, check(batch_of(7, 4, 5, 1, 0), &offset));
    assert_int_equal(LOG_PRODUCER_NEXT, check(batch_of(7, 4, 0, 5, 0), &offset));
    apply(batch_of(7, 4, 0, 5, 10));
    assert_int_equal(1, log_producers_find(&producers, 7)->count);
}

static void sequences_wrap(void **state)
{
    int64_t offset = -1;

    (void)state;
    apply(batch_of(7, 0, INT32_MAX - 1, 4, 50)); /* ..., 2^31-1, 0, 1 */
    assert_int_equal(LOG_PRODUCER_NEXT, check(batch_of(7, 0, 2, 1, 0), &offset));
    assert_int_equal(LOG_PRODUCER_DUPLICATE, check(batch_of(7, 0, INT32_MAX - 1, 4, 0), &offset));
    assert_true(offset == 50);
}

static void staged_batches_count_until_their_write_fails(void **state)
{
    struct log_producer_staged a, b;
    struct log_aborted aborted;
    struct record_batch first = batch_of(9, 0, 0, 2, 10);
    struct record_batch second = batch_of(9, 0, 2, 2, 12);
    int64_t offset = -1;

    (void)state;
    assert_int_equal(ERR_NONE, log_producers_stage(&producers, &a, &first));
    assert_int_equal(LOG_PRODUCER_DUPLICATE, check(first, &offset));
    assert_true(offset == 10);
    assert_int_equal(ERR_NONE, log_producers_stage(&producers, &b, &second));
    log_producers_complete(&producers, &a, &first, &aborted);
    log_producers_unstage(&producers, &b);
    assert_int_equal(LOG_PRODUCER_NEXT, check(second, &offset));
    assert_int_equal(LOG_PRODUCER_DUPLICATE, check(first, &offset));
    /* One that only ever was staged leaves nothing. */
    first = batch_of(10, 0, 0, 2, 10);
    assert_int_equal(ERR_NONE, log_producers_stage(&producers, &a, &first));
    log_producers_unstage(&producers, &a);
    assert_null(log_producers_find(&producers, 10));
}

static void at_the_maximum_the_idlest_is_forgotten(void **state)
{
    (void)state;
    for (int64_t id = 0; id < 4; id++)
        apply(batch_of(id, 0, 0, 1, id));
    apply(batch_of(0, 0, 1, 1, 4));
    apply(batch_of(99, 0, 0, 1, 5));
    assert_non_null(log_producers_find(&producers, 0));
    assert_null(log_producers_find(&producers, 1));
    assert_non_null(log_producers_find(&producers, 99));
    /* Their batches say that they are old: that is their clients' clock. */
    log_producers_expire(&producers, 1000);
    assert_non_null(log_producers_find(&producers, 3));
    producers.clock_ms = 5000;
    apply(batch_of(0, 0, 1, 1, 6));
    producers.clock_ms = 5500;
    log_producers_expire(&producers, 1000);
    assert_null(log_producers_find(&producers, 3));
    assert_non_null(log_producers_find(&producers, 0));
}

static void many_are_found_by_their_ids_and_few_without_an_index(void **state)
{
    enum { MANY = 3 * LOG_PRODUCERS_FEW };
    int64_t offset = -1;

    (void)state;
    producers.max = MANY;
    for (int32_t round = 0; round < 3; round++) {
        for (int64_t id = 0; id < MANY; id++) {
            /* Staged ones stand in no index yet, and memory may be out on the way. */
            struct record_batch batch = batch_of(id, 0, 0, 1, id);
            struct log_producer_staged staged;
            enum err err;

            memory.mem.fail_at = round == 0 ? 0 : (uint64_t)(id % 4 + 1);
            err = log_producers_stage(&producers, &staged, &batch);
            memory.mem.fail_at = 0;
            if (err == ERR_NONE) {
                log_producers_unstage(&producers, &staged);
            } else {
                assert_int_equal(ERR_NO_MEMORY, err);
            }
            assert_null(log_producers_find(&producers, id));
            apply(batch);
        }
        assert_int_equal(MANY, producers.count);
        for (int64_t id = 0; id < MANY; id++) {
            assert_int_equal(LOG_PRODUCER_DUPLICATE, check(batch_of(id, 0, 0, 1, 0), &offset));
            assert_true(offset == id);
        }
        assert_null(log_producers_find(&producers, MANY));
        log_producers_clear(&producers);
        assert_null(log_producers_find(&producers, 1));
        assert_int_equal(0, producers.count);
    }
}

static void a_second_batch_without_memory_is_refused_and_changes_nothing(void **state)
{
    struct record_batch second = batch_of(7, 0, 1, 1, 1);
    struct log_producer_staged staged;
    int64_t offset = -1;

    (void)state;
    apply(batch_of(7, 0, 0, 1, 0));
    memory.mem.fail_at = 1;
    assert_int_equal(ERR_NO_MEMORY, log_producers_stage(&producers, &staged, &second));
    assert_int_equal(LOG_PRODUCER_DUPLICATE, check(batch_of(7, 0, 0, 1, 0), &offset));
    assert_int_equal(LOG_PRODUCER_NEXT, check(second, &offset));
    apply(second);
    assert_int_equal(LOG_PRODUCER_DUPLICATE, check(second, &offset));
    assert_true(offset == 1);
}

static void all_five_survive_in_the_files_and_damage_is_noticed(void **state)
{
    uint8_t snapshot[1000], window[1000];
    struct bytes files[2];
    int64_t offset = -1;

    (void)state;
    for (int32_t i = 0; i < 6; i++)
        apply(batch_of(7, 1, i * 2, 2, i * 2));
    apply(batch_of(8, 0, 0, 1, 12));
    assert_true(log_producers_snapshot_size(&producers) <= sizeof snapshot);
    files[0].data = snapshot;
    files[0].length = (uint32_t)log_producers_snapshot(&producers, INT64_MAX, cpu, snapshot);
    files[1].data = window;
    files[1].length = (uint32_t)log_producers_window(&producers, INT64_MAX, cpu, window, false);
    assert_int_equal(10 + 2 * 46, files[0].length);
    log_producers_clear(&producers);
    assert_int_equal(ERR_NONE, log_producers_load(&producers, cpu, files[0], files[1]));
    for (int32_t i = 1; i < 6; i++) {
        assert_int_equal(LOG_PRODUCER_DUPLICATE, check(batch_of(7, 1, i * 2, 2, 0), &offset));
        assert_true(offset == i * 2);
    }
    assert_int_equal(LOG_PRODUCER_OUT_OF_ORDER, check(batch_of(7, 1, 0, 2, 0), &offset));
    assert_int_equal(LOG_PRODUCER_NEXT, check(batch_of(8, 0, 1, 2, 0), &offset));
    for (uint32_t i = 0; i < files[0].length; i++) {
        log_producers_clear(&producers);
        snapshot[i] ^= 4;
        assert_int_equal(ERR_DAMAGED, log_producers_load(&producers, cpu, files[0], files[1]));
        snapshot[i] ^= 4;
    }
    window[20] ^= 1;
    assert_int_equal(ERR_NONE, log_producers_load(&producers, cpu, files[0], files[1]));
    assert_int_equal(1, log_producers_find(&producers, 7)->count);
}

static struct log_producer *reloaded(int64_t end, int64_t id)
{
    uint8_t snapshot[1000], window[1000];
    struct bytes files[2] = {{snapshot, 0}, {window, 0}};

    files[0].length = (uint32_t)log_producers_snapshot(&producers, end, cpu, snapshot);
    files[1].length = (uint32_t)log_producers_window(&producers, end, cpu, window, false);
    log_producers_clear(&producers);
    assert_int_equal(ERR_NONE, log_producers_load(&producers, cpu, files[0], files[1]));
    return log_producers_find(&producers, id);
}

/* For who begins at 20: what comes from there on it gets itself. */
static void of_an_offset_only_what_ends_below_it_counts(void **state)
{
    struct record_batch inside = batch_of(9, 2, 0, 10, 12);
    struct record_batch above = batch_of(10, 2, 0, 1, 22);
    const struct log_producer *producer;

    (void)state;
    inside.attributes = above.attributes = RECORD_TRANSACTIONAL;
    apply(batch_of(7, 1, 0, 2, 10));
    apply(inside); /* reaches to 21: not below, its transaction begins there */
    apply(above);
    apply(batch_of(7, 1, 2, 2, 23));
    apply(batch_of(8, 1, 0, 1, 25));
    assert_int_equal(4, producers.count);
    producer = reloaded(20, 7);
    assert_non_null(producer);
    assert_int_equal(1, producer->count);
    assert_int_equal(11, producer->batches[0].last_offset);
    assert_int_equal(1010, producer->last_timestamp);
    producer = log_producers_find(&producers, 9);
    assert_non_null(producer);
    assert_int_equal(0, producer->count);
    assert_int_equal(2, producer->epoch);
    assert_int_equal(12, producer->txn_first_offset);
    assert_int_equal(12, log_producers_first_unstable(&producers));
    assert_null(log_producers_find(&producers, 8));
    assert_null(log_producers_find(&producers, 10));
    assert_int_equal(2, producers.count);
    /* As who is known by a marker alone, whose place nobody knows. */
    assert_null(reloaded(0, 7));
    assert_int_equal(1, producers.count);
    assert_int_equal(-1, log_producers_first_unstable(&producers));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_last_five_batches_are_known_and_older_ones_are_out_of_order),
        TEST(epochs_fence_and_begin_at_zero),
        TEST(sequences_wrap),
        TEST(staged_batches_count_until_their_write_fails),
        TEST(at_the_maximum_the_idlest_is_forgotten),
        TEST(many_are_found_by_their_ids_and_few_without_an_index),
        TEST(a_second_batch_without_memory_is_refused_and_changes_nothing),
        TEST(all_five_survive_in_the_files_and_damage_is_noticed),
        TEST(of_an_offset_only_what_ends_below_it_counts),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
