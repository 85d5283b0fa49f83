/* Proves that an empty log whose start lies inside of a batch takes that batch whole, as after
 * DeleteRecords (a follower asked for it for ever); that for this neither its start nor its end
 * goes back, whatever the machine dies of; and that it takes nothing that would leave a hole; which
 * what a compaction of the leader has taken away is not. */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"

#include <string.h>

static struct log_box box;

enum { START = 187, BASE = 180, END = 190, RECORDS = END - BASE, EPOCH = 3 };

static bool over(struct log_box *b)
{
    return b->log->state != LOG_TRUNCATING && b->log->flow == NULL;
}

static bool empty_at_start(void)
{
    log_reset(box.log, START);
    return log_box_wait(&box, over);
}

/* A batch as a leader sends it. */
static struct buf *sent(int64_t base, uint32_t records, struct bytes *bytes)
{
    struct buf *buf = log_box_batch(&box, records, 40, 1000, bytes);

    assert_true(bytes->data == buf->data);
    record_batch_set_offset(buf->data, base, EPOCH);
    return buf;
}

static enum err follow(int64_t base, uint32_t records, struct log_append *append)
{
    struct bytes bytes;
    struct buf *buf = sent(base, records, &bytes);
    enum err err = log_append_as_follower(box.log, buf, bytes, EPOCH, append);

    buf_unref(buf);
    return err;
}

/* With which base it would begin; -1: not with this one. */
static int64_t begins_with(int64_t base, uint32_t records)
{
    struct bytes bytes;
    struct buf *buf = sent(base, records, &bytes);
    int64_t with = -1;

    if (!log_begins_with(box.log, bytes, &with)) with = -1;
    buf_unref(buf);
    return with;
}

static bool hollow(void)
{
    log_begin_with(box.log, BASE);
    return log_box_wait(&box, over);
}

static bool filled(void)
{
    struct log_append append;

    return follow(BASE, RECORDS, &append) == ERR_NONE && log_box_await(&box, &append) &&
           log_append_state(box.log, &append) == LOG_APPEND_DONE;
}

static void box_begin(uint64_t seed)
{
    log_box_init(&box, seed);
    log_box_up(&box);
}

static void stands_at_start(void)
{
    assert_int_equal(LOG_OPEN, box.log->state);
    assert_int_equal(START, box.log->log_start);
    assert_int_equal(START, box.log->log_end);
    assert_int_equal(START, box.log->high_watermark);
}

static void the_batch_that_holds_the_start_is_taken_whole(void **state)
{
    struct log_append append;

    (void)state;
    box_begin(1);
    assert_true(empty_at_start());
    assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, follow(BASE, RECORDS, &append));
    assert_int_equal(BASE, begins_with(BASE, RECORDS));
    assert_false(log_hollow(box.log));
    assert_true(hollow());
    stands_at_start();
    assert_true(log_hollow(box.log));
    assert_int_equal(BASE, log_active(box.log)->base);
    assert_true(filled());
    assert_false(log_hollow(box.log));
    assert_int_equal(START, box.log->log_start);
    assert_int_equal(END, box.log->log_end);
    /* The epoch begins where the log does. */
    assert_int_equal(1, box.log->epochs.count);
    assert_int_equal(START, box.log->epochs.entries[0].start_offset);
    assert_int_equal(ERR_NONE, follow(END, 5, &append));
    assert_true(log_box_await(&box, &append));
    assert_true(log_box_sync(&box));
    log_box_kill(&box, true);
    log_box_up(&box);
    assert_int_equal(START, box.log->log_start);
    assert_int_equal(END + 5, box.log->log_end);
    assert_int_equal(START, box.log->epochs.entries[0].start_offset);
    log_box_over(&box);
}

static void nothing_that_would_leave_a_hole_is_taken(void **state)
{
    struct log_append append;

    (void)state;
    box_begin(2);
    assert_true(empty_at_start());
    assert_int_equal(-1, begins_with(BASE, START - BASE)); /* ends below the start */
    assert_int_equal(-1, begins_with(START + 1, 5));
    assert_int_equal(-1, begins_with(START, 5)); /* as it stands */
    assert_true(hollow());
    /* Not where its file begins: the leader is another one by now. */
    assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, follow(START, 5, &append));
    assert_int_equal(START, begins_with(START, 5));
    assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, follow(BASE + 2, RECORDS, &append));
    assert_int_equal(BASE + 2, begins_with(BASE + 2, RECORDS));
    assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, follow(BASE - 2, RECORDS, &append));
    assert_int_equal(BASE - 2, begins_with(BASE - 2, RECORDS));
    assert_true(filled());
    /* With something in it only its end counts. */
    assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, follow(BASE, RECORDS, &append));
    assert_int_equal(-1, begins_with(BASE, RECORDS + 5));
    log_box_over(&box);
}

static void who_leads_it_begins_at_its_end(void **state)
{
    struct log_append append;

    (void)state;
    box_begin(3);
    assert_true(empty_at_start());
    assert_true(hollow());
    log_reset(box.log, box.log->log_end);
    assert_true(log_box_wait(&box, over));
    stands_at_start();
    assert_false(log_hollow(box.log));
    assert_int_equal(ERR_NONE, log_box_append(&box, EPOCH, 4, 40, &append));
    assert_true(log_box_await(&box, &append));
    log_box_kill(&box, false);
    log_box_up(&box);
    assert_int_equal(START, box.log->log_start);
    assert_int_equal(START + 4, box.log->log_end);
    log_box_check(&box, 700);
    log_box_over(&box);
}

/* Whatever is under way when it ends, and however. */
static void its_start_does_not_go_back_with_any_death(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 * 200; i++) {
        bool power = i % 2 == 1, done;
        struct log_append append;

        box_begin(i + 1);
        assert_int_equal(ERR_NONE, log_box_append(&box, 1, 5, 40, &append));
        assert_true(log_box_await(&box, &append));
        assert_true(empty_at_start());
        box.count = 0;
        box.events_left = i / 2 + 1;
        done = hollow();
        done = done && filled() && log_box_sync(&box);
        box.count = 0;
        if (done) assert_int_equal(END, box.synced_end);
        log_box_kill(&box, power);
        log_box_up(&box);
        assert_int_equal(LOG_OPEN, box.log->state);
        if (done) assert_int_equal(END, box.log->log_end);
        if (box.log->log_start >= BASE) {
            assert_int_equal(START, box.log->log_start);
            if (box.log->log_end != START) assert_int_equal(END, box.log->log_end);
        } else {
            /* The reset itself was not known for good, nothing was made below it. */
            assert_false(done);
            assert_true(box.log->log_end <= 5);
        }
        log_box_over(&box);
        if (done) return;
    }
    fail_msg("it never came to its end");
}

/* Of a topic that is compacted no more: its leader sends what is left. */
static void offsets_that_a_compaction_took_are_no_hole(void **state)
{
    (void)state;
    for (uint32_t power = 0; power < 2; power++) {
        struct log_append append;
        struct bytes bytes;
        struct buf *buf;

        box_begin(power + 1);
        assert_int_equal(ERR_NONE, follow(0, 5, &append));
        assert_true(log_box_await(&box, &append));
        assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, follow(8, 5, &append));
        buf = sent(3, 5, &bytes);
        assert_false(log_has_gaps(box.log, bytes)); /* below the end it is something else */
        buf_unref(buf);
        buf = sent(5, 5, &bytes);
        assert_false(log_has_gaps(box.log, bytes));
        buf_unref(buf);
        buf = sent(8, 5, &bytes);
        assert_true(log_has_gaps(box.log, bytes));
        log_admit_gaps(box.log);
        assert_false(log_has_gaps(box.log, bytes));
        buf_unref(buf);
        /* Not before it is written down: the next open would take it for a hole. */
        assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, follow(8, 5, &append));
        log_box_run_ms(&box, 100);
        box.count = 0;
        assert_int_equal(ERR_NONE, follow(8, 5, &append));
        assert_true(log_box_await(&box, &append));
        assert_true(log_box_sync(&box));
        log_box_kill(&box, power == 1);
        log_box_up(&box);
        assert_int_equal(0, box.log->log_start);
        assert_int_equal(13, box.log->log_end);
        log_box_over(&box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_batch_that_holds_the_start_is_taken_whole),
        cmocka_unit_test(nothing_that_would_leave_a_hole_is_taken),
        cmocka_unit_test(who_leads_it_begins_at_its_end),
        cmocka_unit_test(its_start_does_not_go_back_with_any_death),
        cmocka_unit_test(offsets_that_a_compaction_took_are_no_hole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
