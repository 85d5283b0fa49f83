/* Proves that the name of a segment that a crash, or a roll that failed, leaves behind is never
 * taken for one of the log later on, and that a name which only the page cache under a killed
 * process knows is made to last before anything depends on it (storage.md 17: H2, H14; 19: S14). */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"
#include "sim/disk.h"

static struct log_box box;

static void begin(uint64_t seed)
{
    log_box_init(&box, seed);
    box.config.segment_bytes = 1500;
    sim_disk_settings(box.node->disk)->loss = (struct sim_loss){.policy = SIM_LOSS_EVERYTHING};
    log_box_up(&box);
}

static void fill(uint32_t count, uint32_t records, uint32_t padding)
{
    struct log_append append;

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ERR_NONE, log_box_append(&box, 1, records, padding, &append));
        assert_true(log_box_await(&box, &append));
        assert_int_equal(LOG_APPEND_DONE, log_append_state(box.log, &append));
    }
}

/* One segment that has no room for much more. */
static void begin_nearly_full(uint64_t seed)
{
    begin(seed);
    fill(6, 2, 60);
    assert_int_equal(1, box.log->segment_count);
}

/* The machine dies `events` after this append was staged, and is up again. True: it had come to its
 * end. */
static bool die_within(struct log_append *append, uint64_t events, bool power)
{
    bool whole;

    box.events_left = events;
    whole = log_box_await(&box, append);
    log_box_kill(&box, power);
    log_box_up(&box);
    return whole;
}

/* All of it is synced and promised; the power goes; all of it is there. */
static void promise_and_lose_power(void)
{
    int64_t end = box.log->log_end;

    assert_true(log_box_sync(&box));
    assert_true(box.log->synced_end == end);
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 100);
    log_box_kill(&box, true);
    log_box_up(&box);
    assert_true(box.log->log_end == end);
    log_box_check(&box, 1000);
}

/* The bytes that called for the segment are lost, its name is not; the log goes on and is rolled
 * somewhere else. */
static void the_segment_of_a_roll_whose_bytes_are_lost_is_gone(void **state)
{
    uint32_t elsewhere = 0;

    (void)state;
    for (uint64_t at = 1;; at++) {
        struct log_append append;
        bool whole;

        begin_nearly_full(at);
        assert_int_equal(ERR_NONE, log_box_append(&box, 1, 10, 60, &append));
        whole = die_within(&append, at, true);
        while (box.log->log_end < 20 || box.log->segment_count < 2)
            fill(1, 3, 50);
        elsewhere += box.log->segments[1]->base != 12;
        promise_and_lose_power();
        while (box.log->segment_count < 4)
            fill(1, 3, 50);
        promise_and_lose_power();
        log_box_over(&box);
        if (whole) break;
    }
    assert_true(elsewhere > 3);
}

/* Killed anywhere in a roll: the name may be there without being on the device. */
static void a_name_that_was_not_synced_lasts_before_it_is_written_to(void **state)
{
    uint32_t empty = 0;

    (void)state;
    for (uint64_t at = 1;; at++) {
        struct log_append append;
        bool whole;

        begin_nearly_full(at);
        assert_true(log_box_sync(&box));
        for (uint32_t i = 0; i < 3; i++)
            assert_int_equal(ERR_NONE, log_box_append(&box, 1, 2, 60, &append));
        whole = die_within(&append, at, false);
        empty += log_active(box.log)->size == 0;
        if (box.log->log_end == box.batches[box.count - 1].last_offset + 1) { /* nothing untold */
            fill(2, 2, 60);
            promise_and_lose_power();
        }
        log_box_over(&box);
        if (whole) break;
    }
    assert_true(empty > 0);
}

/* Killed anywhere in a cut: a name that is gone may still be on the device. */
static void a_segment_that_a_killed_cut_removed_does_not_come_back(void **state)
{
    uint32_t gone = 0;

    (void)state;
    for (uint64_t at = 1;; at++) {
        bool whole;

        begin(at);
        fill(6, 2, 60);
        fill(2, 12, 60);
        assert_int_equal(3, box.log->segment_count);
        assert_true(log_box_sync(&box));
        box.events_left = at;
        whole = log_box_truncate(&box, 4);
        log_box_kill(&box, false);
        log_box_up(&box);
        gone += !whole && box.log->segment_count < 3;
        fill(2, 1, 1);
        promise_and_lose_power();
        log_box_over(&box);
        if (whole) break;
    }
    assert_true(gone > 0);
}

/* A roll that comes to nothing for want of memory; a smaller batch goes to the old segment. */
static void the_segment_of_a_roll_that_failed_is_gone(void **state)
{
    uint32_t failed = 0;

    (void)state;
    for (uint64_t nth = 1; nth < 12; nth++) {
        struct log_append append;
        struct bytes bytes;
        struct buf *buf;
        enum err err;

        begin_nearly_full(nth);
        assert_true(log_box_sync(&box));
        buf = log_box_batch(&box, 10, 60, 1000, &bytes);
        box.env.mem.fail_at = nth;
        err = log_append_as_leader(box.log, buf, bytes, 1, LOG_CLIENT, &append);
        buf_unref(buf);
        if (err == ERR_NONE) {
            assert_true(log_box_await(&box, &append));
            err = log_append_state(box.log, &append) == LOG_APPEND_DONE ? ERR_NONE : ERR_NO_MEMORY;
        }
        box.env.mem.fail_at = 0;
        failed += err != ERR_NONE;
        fill(2, 1, 1);
        promise_and_lose_power();
        fill(20, 3, 40);
        promise_and_lose_power();
        log_box_over(&box);
    }
    assert_true(failed > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_segment_of_a_roll_whose_bytes_are_lost_is_gone),
        cmocka_unit_test(a_name_that_was_not_synced_lasts_before_it_is_written_to),
        cmocka_unit_test(a_segment_that_a_killed_cut_removed_does_not_come_back),
        cmocka_unit_test(the_segment_of_a_roll_that_failed_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
