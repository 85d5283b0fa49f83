/* Proves that transactions are read from what every replica and every client tells of them, in
 * whatever order: each once, with the markers of the log that counts; and that the last stable
 * offset is below every transaction without a replicated marker. */
#include "reports/story.h"
#include "tests/support/support.h"
#include "tests/support/trace_builder.h"

static struct trace_builder builder;
static struct story story;

static const struct txns *read_all(void)
{
    assert_int_equal(story_read(&story, trace_builder_finish(&builder), NULL), ERR_NONE);
    return &story.txns;
}

static void done(void)
{
    story_free(&story);
    trace_builder_free(&builder);
}

static void a_transaction_ends_with_the_markers_of_its_partitions(void **state)
{
    const struct txns *txns;
    uint32_t chosen[2];

    (void)state;
    trace_builder_init(&builder);
    trace_builder_txns(&builder);
    txns = read_all();
    assert_int_equal(txns->count, 4);
    assert_int_equal(txns_result(&txns->all[0]), TXNS_COMMITTED);
    assert_int_equal(txns_result(&txns->all[1]), TXNS_ABORTED);
    assert_int_equal(txns_result(&txns->all[2]), TXNS_OPEN); /* no marker in one of two */
    assert_int_equal(txns->all[2].part_count, 2);
    assert_int_equal(txns->all[2].parts[0].marker, 38);
    assert_int_equal(txns->all[2].parts[1].marker, -1);
    assert_true(txns->all[3].parts[0].lost);
    assert_int_equal(txns->all[0].parts[0].first, 12);
    assert_int_equal(txns->all[0].parts[0].marker, 18);
    assert_true(txns->all[0].decided_ns < txns_end(&txns->all[0], story.end_ns));
    assert_int_equal(txns_longest(txns, 0, story.end_ns, chosen, 2), 2);
    assert_int_equal(chosen[0], 2); /* the open ones */
    assert_int_equal(chosen[1], 3);
    done();
}

static void what_is_not_ended_is_not_stable(void **state)
{
    const struct txns *txns;
    uint32_t held = 0;

    (void)state;
    trace_builder_init(&builder);
    trace_builder_txns(&builder);
    txns = read_all();
    for (uint32_t i = 0; i < txns->sample_count; i++) {
        const struct txns_sample *sample = &txns->samples[i];
        int64_t wanted = sample->hw;

        if (sample->read) {
            assert_int_equal(sample->lso, 20);
            continue;
        }
        if (sample->hw > 12 && sample->hw <= 18) wanted = 12;
        if (sample->hw > 20 && sample->hw <= 26) wanted = 20;
        if (sample->hw > 30 && sample->hw <= 38) wanted = 30;
        if (sample->hw > 45) wanted = 45;
        assert_int_equal(sample->lso, wanted);
        held += wanted < sample->hw;
    }
    assert_true(held > 10);
    done();
}

/* The marker was in the log of a leader that is replaced, is written again, and counts once. */
static void a_marker_that_is_lost_is_written_again(void **state)
{
    const struct txns *txns;

    (void)state;
    trace_builder_init(&builder);
    trace_builder_steady(&builder, 3);
    TELL(&builder, 2000000, 1, LOG_TXN, NULL, builder.topic, 0, 7, 4, 0, 20, 1);
    TELL(&builder, 2000100, 2, LOG_TXN, NULL, builder.topic, 0, 7, 4, 0, 20, 1);
    TELL(&builder, 2000200, 1, LOG_TXN, NULL, builder.topic, 0, 7, 5, 2, 25, 1);
    TELL(&builder, 2100000, 2, REPLICA_LEADING, NULL, builder.topic, 0, 2, 24, 24);
    TELL(&builder, 2100050, 1, LOG_TXN, NULL, builder.topic, 0, 7, 5, 0, 30, 1); /* too late */
    TELL(&builder, 2100100, 2, LOG_TXN, NULL, builder.topic, 0, 7, 5, 2, 24, 2);
    TELL(&builder, 2100200, 1, LOG_TXN, NULL, builder.topic, 0, 7, 5, 2, 24, 2);
    txns = read_all();
    assert_int_equal(txns->count, 1);
    assert_int_equal(txns_result(&txns->all[0]), TXNS_ABORTED);
    assert_int_equal(txns->all[0].parts[0].marker, 24);
    assert_int_equal(txns_end(&txns->all[0], story.end_ns), 2100100000);
    done();
}

/* Older producers keep their epoch: the next record behind a marker begins another transaction. */
static void transactions_of_one_epoch_are_told_apart(void **state)
{
    const struct txns *txns;

    (void)state;
    trace_builder_init(&builder);
    trace_builder_steady(&builder, 3);
    for (int64_t i = 0; i < 3; i++) {
        TELL(&builder, 2000000 + i * 1000, 1, LOG_TXN, NULL, builder.topic, 0, 7, 4, 0, 20 + 10 * i,
             1);
        TELL(&builder, 2000500 + i * 1000, 1, LOG_TXN, NULL, builder.topic, 0, 7, 4, 1, 25 + 10 * i,
             1);
    }
    txns = read_all();
    assert_int_equal(txns->count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(txns_result(&txns->all[i]), TXNS_COMMITTED);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_ends_with_the_markers_of_its_partitions),
        cmocka_unit_test(what_is_not_ended_is_not_stable),
        cmocka_unit_test(a_marker_that_is_lost_is_written_again),
        cmocka_unit_test(transactions_of_one_epoch_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
