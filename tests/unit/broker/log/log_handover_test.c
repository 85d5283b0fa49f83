/* Proves that a log which begins above batches it never had knows who wrote them, by what the
 * leader's log has handed over: no more and no less than what ends below; that this is so whatever
 * the machine dies of, or the log says that it knows nobody; and that it stays so while an empty
 * log begins anew where it is. */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"

#include <string.h>

static struct log_box box;

/* Producer 7 has batches of two at 0, 2 .. 10, producer 8 one at 12. */
enum { START = 8, BASE = 6, END = 14, EPOCH = 3 };

static uint8_t bytes_of[1024];
static struct log_handover handed;

static bool over(struct log_box *b)
{
    return b->log->state != LOG_TRUNCATING && b->log->flow == NULL;
}

static enum err send(int64_t producer, int32_t sequence, struct log_append *append)
{
    struct bytes bytes;
    struct buf *buf = log_box_produce_batch(&box, producer, 0, sequence, 2, &bytes);
    enum err err = log_append_as_leader(box.log, buf, bytes, EPOCH, LOG_CLIENT, append);

    buf_unref(buf);
    if (err == ERR_NONE && !append->duplicate) assert_true(log_box_await(&box, append));
    return err;
}

/* Whether a retry is known by its first time, at `offset`. */
static bool knows(int64_t producer, int32_t sequence, int64_t offset)
{
    struct log_append append;

    return send(producer, sequence, &append) == ERR_NONE && append.duplicate &&
           append.base_offset == offset;
}

static void box_begin(uint64_t seed)
{
    log_box_init(&box, seed);
    log_box_up(&box);
}

/* A leader's log with all of them, and what it hands over. */
static void lead(int64_t at)
{
    struct log_append append;

    for (int32_t i = 0; i < 6; i++)
        assert_int_equal(ERR_NONE, send(7, 2 * i, &append));
    assert_int_equal(ERR_NONE, send(8, 0, &append));
    assert_int_equal(END, box.log->log_end);
    assert_true(log_handover_size(box.log) <= sizeof bytes_of);
    log_handover_put(box.log, at, bytes_of, &handed);
}

static bool begin(int64_t at)
{
    assert_int_equal(ERR_NONE, log_reset_handed(box.log, at, &handed));
    return log_box_wait(&box, over);
}

static void begun(uint64_t seed)
{
    box_begin(seed);
    lead(START);
    assert_true(begin(START));
    box.count = 0;
    assert_int_equal(START, box.log->log_start);
    assert_int_equal(START, box.log->log_end);
    assert_false(log_stranger(box.log));
}

static void what_ends_below_is_known_and_nothing_else(void **state)
{
    struct log_append append;

    (void)state;
    begun(1);
    /* Of its last five batches, 2 to 10, those below 8. */
    assert_int_equal(1, box.log->producers.count);
    assert_true(knows(7, 2, 2));
    assert_true(knows(7, 4, 4));
    assert_true(knows(7, 6, 6));
    assert_int_equal(ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, send(7, 0, &append));
    assert_int_equal(ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, send(7, 10, &append));
    assert_int_equal(START, box.log->log_end);
    assert_int_equal(ERR_NONE, send(7, 8, &append));
    assert_int_equal(ERR_NONE, send(8, 0, &append));
    assert_int_equal(START + 4, box.log->log_end);
    log_box_over(&box);
}

static void a_batch_that_reaches_beyond_is_not_below(void **state)
{
    (void)state;
    box_begin(1);
    lead(START - 1);
    assert_true(begin(START - 1));
    box.count = 0;
    assert_true(knows(7, 4, 4));
    assert_int_equal(2, log_producers_find(&box.log->producers, 7)->count);
    log_box_over(&box);
}

static void all_five_are_known_after_any_end(void **state)
{
    (void)state;
    for (uint32_t how = 0; how < 3; how++) {
        begun(how + 1);
        if (how == 0) {
            log_box_stop(&box);
        } else {
            log_box_kill(&box, how == 2);
        }
        log_box_up(&box);
        assert_int_equal(START, box.log->log_start);
        assert_false(log_stranger(box.log));
        assert_true(knows(7, 2, 2));
        assert_true(knows(7, 6, 6));
        log_box_over(&box);
    }
}

/* It may have to ask once more, and never goes on as if there had been nobody. */
static void it_knows_them_or_that_it_does_not_whatever_it_dies_of(void **state)
{
    uint32_t strangers = 0;

    (void)state;
    for (uint32_t i = 0; i < 2 * 400; i++) {
        bool power = i % 2 == 1, done;
        struct log_append append;

        box_begin(i + 1);
        lead(START);
        box.events_left = i / 2 + 1;
        done = begin(START);
        box.count = 0;
        /* Hollow, then at its end again, as who is made its leader begins: still the same. */
        if (done) log_begin_with(box.log, BASE);
        done = done && log_box_wait(&box, over);
        if (done) log_reset(box.log, START);
        done = done && log_box_wait(&box, over);
        log_box_kill(&box, power);
        log_box_up(&box);
        box.count = 0;
        if (box.log->log_start == START) {
            assert_int_equal(START, box.log->log_end);
            strangers += log_stranger(box.log);
            if (!log_stranger(box.log)) assert_true(knows(7, 2, 2) && knows(7, 6, 6));
            if (done) assert_false(log_stranger(box.log));
            /* With a batch of its own behind it, too. */
            if (done) {
                assert_int_equal(ERR_NONE, send(7, 8, &append));
                assert_true(log_box_sync(&box));
                log_box_kill(&box, true);
                log_box_up(&box);
                assert_int_equal(START + 2, box.log->log_end);
                assert_true(knows(7, 4, 4) && knows(7, 8, 8));
            }
        }
        log_box_over(&box);
        if (done) {
            assert_true(strangers > 0);
            return;
        }
    }
    fail_msg("it never came to its end");
}

static void who_was_told_nothing_says_so_until_it_is(void **state)
{
    (void)state;
    box_begin(1);
    assert_false(log_stranger(box.log)); /* nobody wrote below 0 */
    lead(START);
    assert_false(log_stranger(box.log));
    log_reset(box.log, START);
    assert_true(log_box_wait(&box, over));
    box.count = 0;
    assert_true(log_stranger(box.log));
    log_box_stop(&box);
    log_box_up(&box);
    assert_true(log_stranger(box.log));
    assert_true(begin(START));
    assert_false(log_stranger(box.log));
    assert_true(knows(7, 6, 6));
    log_reset(box.log, START + 1); /* another beginning: of that nobody has told */
    assert_true(log_box_wait(&box, over));
    assert_true(log_stranger(box.log));
    log_stranger_met(box.log);
    assert_false(log_stranger(box.log));
    log_box_over(&box);
}

static void what_makes_no_sense_changes_nothing(void **state)
{
    (void)state;
    box_begin(1);
    lead(START);
    bytes_of[20] ^= 1;
    assert_int_equal(ERR_DAMAGED, log_reset_handed(box.log, START, &handed));
    handed.snapshot.length = 0;
    assert_int_equal(ERR_DAMAGED, log_reset_handed(box.log, START, &handed));
    assert_int_equal(LOG_OPEN, box.log->state);
    assert_int_equal(END, box.log->log_end);
    assert_true(knows(7, 10, 10));
    log_box_check(&box, 700);
    log_box_over(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_below_is_known_and_nothing_else),
        cmocka_unit_test(a_batch_that_reaches_beyond_is_not_below),
        cmocka_unit_test(all_five_are_known_after_any_end),
        cmocka_unit_test(it_knows_them_or_that_it_does_not_whatever_it_dies_of),
        cmocka_unit_test(who_was_told_nothing_says_so_until_it_is),
        cmocka_unit_test(what_makes_no_sense_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
