/* Proves: the accumulator of a partition never lets a batch overtake another, gives sequences once,
 * and starts anew only when nothing flies and the broker's state is known to be gone. */
#include "tests/support/support.h"

#include "client/producer_batch.h"

#include <string.h>

enum { BATCHES = 8, CAPACITY = 256 };

struct fixture {
    struct support_memory memory;
    struct buf_budget budget;
    struct producer_partition partition;
    struct producer_batch batches[BATCHES];
    uint8_t bytes[BATCHES][CAPACITY];
};

static void begin(struct fixture *fixture, uint32_t count, uint32_t records)
{
    struct record_builder_config config = record_builder_config_default((struct cpu){false});

    memset(fixture, 0, sizeof *fixture);
    support_memory_init(&fixture->memory, 1 << 20);
    buf_budget_init(&fixture->budget, &fixture->memory.mem, 1 << 18, 0);
    producer_partition_init(&fixture->partition, NULL, 3);
    fixture->partition.identity = (struct producer_identity){77, 0};
    for (uint32_t i = 0; i < count; i++) {
        struct producer_batch *batch = &fixture->batches[i];

        batch->partition = &fixture->partition;
        batch->sequence = -1;
        batch->number = fixture->partition.next_number++;
        list_init(&batch->link);
        list_init(&batch->by_age);
        list_init(&batch->records);
        record_builder_init(&batch->builder, &config, fixture->bytes[i], CAPACITY);
        for (uint32_t k = 0; k < records; k++)
            assert_int_equal(record_builder_append(&batch->builder, 1, BYTES_NULL,
                                                   (struct bytes){(const uint8_t *)"x", 1}, NULL,
                                                   0),
                             ERR_NONE);
        list_push(&fixture->partition.queue, &batch->link);
    }
}

/* The broker has taken sequences up to 9 of this producer. */
static void begin_known(struct fixture *fixture, uint32_t count, uint32_t records)
{
    begin(fixture, count, records);
    fixture->partition.last_acked = 9;
    fixture->partition.next_sequence = 10;
}

static void end(struct fixture *fixture)
{
    buf_budget_deinit(&fixture->budget);
    support_memory_deinit(&fixture->memory);
}

static struct producer_batch *fly(struct fixture *fixture, bool idempotent)
{
    struct producer_batch *batch = producer_partition_next(&fixture->partition, idempotent, 5);

    if (batch == NULL) return NULL;
    producer_batch_seal(batch, &fixture->budget, NULL, CODEC_NONE, 0, idempotent);
    producer_partition_depart(&fixture->partition, batch);
    return batch;
}

static int32_t sequence_on_the_wire(const struct producer_batch *sealed)
{
    struct record_batch batch;

    assert_int_equal(record_batch_parse(sealed->bytes, &batch), RECORD_BATCH_WHOLE);
    assert_int_equal(batch.base_sequence, sealed->sequence);
    return batch.base_sequence;
}

static void without_idempotence_one_batch_flies(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, 3, 1);
    assert_ptr_equal(fly(&fixture, false), &fixture.batches[0]);
    assert_null(fly(&fixture, false));
    producer_partition_return(&fixture.partition, &fixture.batches[0]);
    assert_ptr_equal(fly(&fixture, false), &fixture.batches[0]);
    producer_partition_settle(&fixture.partition, &fixture.batches[0], true);
    assert_ptr_equal(fly(&fixture, false), &fixture.batches[1]);
    assert_int_equal(sequence_on_the_wire(&fixture.batches[1]), -1);
    end(&fixture);
}

static void five_fly_with_sequences_that_follow(void **state)
{
    struct fixture fixture;

    (void)state;
    begin_known(&fixture, 7, 3);
    for (int32_t i = 0; i < 5; i++) {
        assert_ptr_equal(fly(&fixture, true), &fixture.batches[i]);
        assert_int_equal(sequence_on_the_wire(&fixture.batches[i]), 10 + 3 * i);
    }
    assert_null(fly(&fixture, true));
    producer_partition_settle(&fixture.partition, &fixture.batches[0], true);
    assert_int_equal(fixture.partition.last_acked, 12);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[5]);
    end(&fixture);
}

/* A request to a leader that is gone without a word, while the next one takes what follows: the
 * retry must still find itself among the five batches that a broker remembers. */
static void none_flies_further_ahead_than_a_broker_remembers(void **state)
{
    struct fixture fixture;

    (void)state;
    begin_known(&fixture, 7, 1);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[0]);
    for (uint32_t i = 1; i < 5; i++) {
        assert_ptr_equal(fly(&fixture, true), &fixture.batches[i]);
        producer_partition_settle(&fixture.partition, &fixture.batches[i], true);
    }
    assert_null(fly(&fixture, true));
    producer_partition_return(&fixture.partition, &fixture.batches[0]);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[0]);
    assert_int_equal(sequence_on_the_wire(&fixture.batches[0]), 10);
    assert_null(fly(&fixture, true));
    producer_partition_settle(&fixture.partition, &fixture.batches[0], true);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[5]);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[6]);
    end(&fixture);
}

/* swarm seed 9005: the first was too large and cut in two while four behind it were taken by a
 * broker that knew nothing of the producer; to make it good these were sent twice. */
static void the_first_of_an_identity_flies_alone(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, 4, 2);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[0]);
    assert_null(fly(&fixture, true));
    producer_partition_return(&fixture.partition, &fixture.batches[0]);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[0]);
    assert_null(fly(&fixture, true));
    producer_partition_settle(&fixture.partition, &fixture.batches[0], true);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[1]);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[2]);
    producer_partition_return(&fixture.partition, &fixture.batches[1]);
    producer_partition_return(&fixture.partition, &fixture.batches[2]);
    producer_partition_renumber(&fixture.partition, (struct producer_identity){77, 1});
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[1]);
    assert_null(fly(&fixture, true)); /* alone again, as a retry and as the first of its epoch */
    end(&fixture);
}

static void what_comes_back_goes_in_order_and_alone(void **state)
{
    struct fixture fixture;

    (void)state;
    begin_known(&fixture, 5, 2);
    for (uint32_t i = 0; i < 3; i++)
        assert_non_null(fly(&fixture, true));
    producer_partition_return(&fixture.partition, &fixture.batches[1]);
    assert_null(fly(&fixture, true)); /* batch 0 is still out, batch 3 may not overtake */
    producer_partition_return(&fixture.partition, &fixture.batches[0]);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[0]);
    assert_null(fly(&fixture, true));
    producer_partition_return(&fixture.partition, &fixture.batches[2]);
    producer_partition_settle(&fixture.partition, &fixture.batches[0], true);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[1]);
    assert_int_equal(sequence_on_the_wire(&fixture.batches[1]), 12);
    producer_partition_settle(&fixture.partition, &fixture.batches[1], true);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[2]);
    assert_null(fly(&fixture, true)); /* a retry flies alone */
    producer_partition_settle(&fixture.partition, &fixture.batches[2], true);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[3]);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[4]);
    end(&fixture);
}

static void out_of_order_behind_an_open_batch_is_only_a_retry(void **state)
{
    struct fixture fixture;

    (void)state;
    begin_known(&fixture, 2, 1);
    assert_non_null(fly(&fixture, true));
    assert_non_null(fly(&fixture, true));
    producer_partition_out_of_order(&fixture.partition, &fixture.batches[1]);
    assert_false(fixture.partition.bump);
    producer_partition_out_of_order(&fixture.partition, &fixture.batches[0]);
    assert_true(fixture.partition.bump); /* it was the next one expected: the broker forgot */
    end(&fixture);
}

static void a_gap_holds_new_batches_back_and_ends_in_a_new_epoch(void **state)
{
    struct fixture fixture;

    (void)state;
    begin_known(&fixture, 4, 2);
    assert_non_null(fly(&fixture, true));
    assert_non_null(fly(&fixture, true));
    producer_partition_settle(&fixture.partition, &fixture.batches[0], false); /* failed for good */
    producer_partition_out_of_order(&fixture.partition, &fixture.batches[1]);
    assert_true(fixture.partition.bump); /* nothing before it is open: it is not in the log */
    assert_null(fly(&fixture, true));
    producer_partition_return(&fixture.partition, &fixture.batches[1]);
    producer_partition_renumber(&fixture.partition, (struct producer_identity){77, 1});
    assert_false(fixture.partition.bump);
    assert_int_equal(sequence_on_the_wire(&fixture.batches[1]), 0);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[1]);
    producer_partition_settle(&fixture.partition, &fixture.batches[1], true);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[2]);
    assert_int_equal(sequence_on_the_wire(&fixture.batches[2]), 2);
    end(&fixture);
}

static void a_gap_that_was_none_goes_on(void **state)
{
    struct fixture fixture;

    (void)state;
    begin_known(&fixture, 3, 2);
    assert_non_null(fly(&fixture, true));
    assert_non_null(fly(&fixture, true));
    producer_partition_settle(&fixture.partition, &fixture.batches[0], false); /* timed out here */
    assert_true(fixture.partition.unresolved);
    assert_null(fly(&fixture, true));
    producer_partition_settle(&fixture.partition, &fixture.batches[1], true); /* so it was there */
    producer_partition_resolve(&fixture.partition);
    assert_false(fixture.partition.unresolved);
    assert_false(fixture.partition.bump);
    assert_ptr_equal(fly(&fixture, true), &fixture.batches[2]);
    assert_int_equal(sequence_on_the_wire(&fixture.batches[2]), 14);
    end(&fixture);
}

static void sequences_wrap(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, 2, 4);
    fixture.partition.next_sequence = INT32_MAX - 1;
    fixture.partition.last_acked = INT32_MAX - 2;
    assert_non_null(fly(&fixture, true));
    assert_non_null(fly(&fixture, true));
    assert_int_equal(fixture.batches[0].sequence, INT32_MAX - 1);
    assert_int_equal(fixture.batches[1].sequence, 2);
    producer_partition_settle(&fixture.partition, &fixture.batches[0], true);
    assert_int_equal(fixture.partition.last_acked, 1);
    end(&fixture);
}

static void a_new_identity_waits_for_what_is_numbered(void **state)
{
    struct fixture fixture;
    struct producer_identity next = {77, 1};

    (void)state;
    begin(&fixture, 2, 1);
    assert_false(producer_partition_stale(&fixture.partition, fixture.partition.identity));
    assert_non_null(fly(&fixture, true));
    assert_false(producer_partition_stale(&fixture.partition, next));
    producer_partition_return(&fixture.partition, &fixture.batches[0]);
    assert_false(producer_partition_stale(&fixture.partition, next));
    assert_non_null(fly(&fixture, true));
    producer_partition_settle(&fixture.partition, &fixture.batches[0], true);
    assert_true(producer_partition_stale(&fixture.partition, next));
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_idempotence_one_batch_flies),
        cmocka_unit_test(five_fly_with_sequences_that_follow),
        cmocka_unit_test(none_flies_further_ahead_than_a_broker_remembers),
        cmocka_unit_test(the_first_of_an_identity_flies_alone),
        cmocka_unit_test(what_comes_back_goes_in_order_and_alone),
        cmocka_unit_test(out_of_order_behind_an_open_batch_is_only_a_retry),
        cmocka_unit_test(a_gap_holds_new_batches_back_and_ends_in_a_new_epoch),
        cmocka_unit_test(a_gap_that_was_none_goes_on),
        cmocka_unit_test(sequences_wrap),
        cmocka_unit_test(a_new_identity_waits_for_what_is_numbered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
