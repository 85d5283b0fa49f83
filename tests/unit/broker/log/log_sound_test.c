/* Proves that a read is answered with a range of a file only for bytes that were found sound, stand
 * in a closed segment below the high watermark and in the page cache; that what arrives is what was
 * promised though the log is cut and written again, or dropped, before it left (storage.md H11);
 * and that rot is not served (DF7). */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"
#include "sim/disk.h"

#include <string.h>

static struct log_box box;
static struct log_read reading;
static uint8_t bytes[1 << 20], again[1 << 20];

static bool read_done(struct log_box *b)
{
    (void)b;
    return reading.done;
}

static enum err read_from(int64_t offset, uint32_t max_bytes)
{
    reading = (struct log_read){.offset = offset,
                                .limit = box.log->log_end,
                                .max_bytes = max_bytes,
                                .first_whole = true,
                                .ranges = true};
    log_read(box.log, &reading);
    if (!reading.done) assert_true(log_box_wait(&box, read_done));
    return reading.err;
}

static bool is_range(void)
{
    return reading.count == 1 && reading.slices[0].data == NULL;
}

/* What a peer would get of the range now. */
static void range_bytes(uint8_t *into)
{
    struct sim_inode *inode = sim_disk_inode(box.node->disk, reading.range_file);

    assert_true(reading.slices[0].length <= sizeof bytes);
    assert_int_equal(reading.slices[0].length,
                     sim_image_read(inode, reading.range_offset, into, reading.slices[0].length,
                                    SIM_VIEW_VISIBLE));
}

/* The same bytes by a buffer, then as a range; pages may be out of the cache now and then. */
static bool read_twice(int64_t offset, uint32_t max_bytes)
{
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t length;
        int64_t next;

        assert_int_equal(ERR_NONE, read_from(offset, max_bytes));
        if (is_range()) return true;
        assert_int_equal(1, reading.count);
        length = reading.bytes;
        next = reading.next_offset;
        memcpy(again, reading.slices[0].data, length);
        log_read_release(&reading);
        assert_int_equal(ERR_NONE, read_from(offset, max_bytes));
        if (is_range()) {
            assert_true(reading.bytes <= length && reading.next_offset <= next);
            range_bytes(bytes);
            assert_memory_equal(again, bytes, reading.bytes);
            return true;
        }
        log_read_release(&reading);
    }
    return false;
}

/* Segments of about 200 KB in batches of 2 to 5 KB, all of it below the high watermark. */
static void box_begin(uint64_t seed)
{
    struct log_append append;

    log_box_init(&box, seed);
    box.cache_bytes = 4096;
    box.config.segment_bytes = 200000;
    log_box_up(&box);
    for (uint32_t i = 0; i < 150; i++) {
        assert_int_equal(ERR_NONE, log_box_append(&box, 1, 2 + i % 3, 900, &append));
        assert_true(log_box_await(&box, &append));
    }
    assert_true(box.log->segment_count > 2);
    log_note_high_watermark(box.log, box.log->log_end);
}

static void box_end(void)
{
    log_box_over(&box);
}

static void what_was_read_once_goes_out_as_a_range(void **state)
{
    (void)state;
    box_begin(1);
    assert_true(read_twice(0, 100000));
    assert_true(box.dir.ranged_files == 1);
    assert_true(box.dir.ranges_told == 1 && box.dir.ranges_bytes == reading.bytes);
    log_read_release(&reading);
    assert_int_equal(0, box.dir.ranged_files);
    /* Between the boundaries of what is known: by a buffer, up to the next of them. */
    assert_int_equal(ERR_NONE, read_from(3, 100000));
    assert_false(is_range());
    assert_true(log_sound_find(box.log->segments[0], reading.next_offset)->first ==
                reading.next_offset);
    log_read_release(&reading);
    /* Of the active segment, never. */
    assert_false(read_twice(log_active(box.log)->base, 100000));
    box_end();
}

static void above_the_high_watermark_and_for_others_there_are_buffers(void **state)
{
    (void)state;
    box_begin(2);
    box.log->high_watermark = 3;
    assert_false(read_twice(0, 100000));
    log_note_high_watermark(box.log, box.log->log_end);
    assert_true(read_twice(0, 100000));
    log_read_release(&reading);
    for (uint32_t i = 0; i < 20; i++) {
        reading = (struct log_read){.limit = box.log->log_end, .max_bytes = 100000};
        log_read(box.log, &reading);
        if (!reading.done) assert_true(log_box_wait(&box, read_done));
        assert_false(is_range());
        log_read_release(&reading);
    }
    box_end();
}

static void rot_behind_a_look_is_not_served(void **state)
{
    (void)state;
    box_begin(3);
    assert_true(read_twice(0, 100000));
    log_read_release(&reading);
    assert_true(sim_image_rot(sim_disk_image(box.node->disk),
                              "data/orders-0/00000000000000000000.log", 20000, 3));
    for (uint32_t i = 0; i < 20; i++) {
        enum err err = read_from(0, 100000);

        /* What stands before it may go out. */
        assert_true(err == ERR_NONE && reading.bytes < 20000);
        log_read_release(&reading);
    }
    box_end();
}

/* An unclean election takes what was committed: the answer was given before. */
static void a_cut_and_new_records_do_not_change_what_was_promised(void **state)
{
    static uint8_t promised[1 << 20];
    struct log_append append;
    uint32_t length;

    (void)state;
    box_begin(4);
    assert_true(read_twice(0, 150000));
    length = reading.bytes;
    range_bytes(promised);
    assert_true(log_box_truncate(&box, 5));
    assert_true(box.log->log_end <= 5);
    assert_false(log_active(box.log)->ranged);
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(ERR_NONE, log_box_append(&box, 2, 3, 800, &append));
        assert_true(log_box_await(&box, &append));
    }
    range_bytes(bytes);
    assert_memory_equal(promised, bytes, length);
    log_read_release(&reading);
    assert_int_equal(0, box.dir.ranged_files);
    log_box_check(&box, 5000);
    log_box_kill(&box, false);
    log_box_up(&box);
    log_box_check(&box, 5000);
    box_end();
}

static void a_crash_at_any_event_of_such_a_cut_leaves_a_sound_log(void **state)
{
    bool whole = false;

    (void)state;
    for (uint64_t events = 1; !whole; events++) {
        box_begin(5);
        assert_true(read_twice(0, 150000));
        assert_true(log_box_sync(&box));
        box.events_left = events;
        whole = log_box_truncate(&box, 20);
        log_box_kill(&box, events % 2 == 0);
        box.events_left = 0;
        box.spent = false;
        log_box_up(&box);
        assert_true(box.log->log_end >= 15);
        assert_true(!whole || box.log->log_end <= 20);
        box_end();
        assert_true(events < 1000);
    }
}

/* What the copy needs is there before anything is changed: the directory stays online. */
static void without_memory_for_the_copy_such_a_cut_is_asked_for_again(void **state)
{
    uint32_t refusals = 0;
    bool refused = true;

    (void)state;
    for (uint64_t nth = 1; refused; nth++) {
        int64_t end;

        box_begin(6);
        assert_true(read_twice(0, 150000));
        assert_true(log_box_sync(&box));
        log_read_release(&reading);
        end = box.log->log_end;
        box.env.mem.fail_at = nth;
        assert_true(log_box_truncate(&box, 20));
        refused = box.env.mem.fail_at == 0;
        box.env.mem.fail_at = 0;
        assert_true(log_dir_online(&box.dir));
        assert_int_equal(LOG_OPEN, box.log->state);
        if (box.log->err != ERR_NONE) {
            refusals++;
            assert_int_equal(ERR_NO_MEMORY, box.log->err);
            assert_int_equal(end, box.log->log_end);
            assert_true(box.log->segments[0]->ranged);
            assert_true(log_box_truncate(&box, 20));
        }
        assert_true(box.log->err == ERR_NONE && box.log->log_end <= 20);
        assert_false(log_active(box.log)->ranged);
        log_box_check(&box, 5000);
        box_end();
        assert_true(nth < 200);
    }
    assert_true(refusals > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_once_goes_out_as_a_range),
        cmocka_unit_test(above_the_high_watermark_and_for_others_there_are_buffers),
        cmocka_unit_test(rot_behind_a_look_is_not_served),
        cmocka_unit_test(a_cut_and_new_records_do_not_change_what_was_promised),
        cmocka_unit_test(a_crash_at_any_event_of_such_a_cut_leaves_a_sound_log),
        cmocka_unit_test(without_memory_for_the_copy_such_a_cut_is_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
