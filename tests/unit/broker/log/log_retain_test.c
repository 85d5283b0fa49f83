/* Proves that retention takes whole segments from the front, below the high watermark only, makes
 * the log start durable before any file loses its name, and that a crash anywhere in between leaves
 * a log that opens with the same records (storage.md 11, S28; replication.md R25, R26). */
#include "broker/log/log_private.h"
#include "tests/support/log_box.h"

#include <string.h>

static struct log_box box;

enum { SEGMENT = 1000, PADDING = 100 };

static void begin(uint64_t seed)
{
    log_box_init(&box, seed);
    box.config.segment_bytes = SEGMENT;
    box.config.index_interval_bytes = 100;
    box.config.deletes = true;
    box.config.delete_delay_ms = 1000;
    log_box_up(&box);
}

static void fill(uint32_t count)
{
    struct log_append append;

    for (uint32_t i = 0; i < count; i++) {
        struct bytes bytes;
        struct buf *buf =
            log_box_batch(&box, 1, PADDING, box.dir.env->now.wall.ms, &bytes); /* of today */

        assert_int_equal(ERR_NONE,
                         log_append_as_leader(box.log, buf, bytes, 1, LOG_CLIENT, &append));
        buf_unref(buf);
        assert_true(log_box_await(&box, &append));
    }
}

static bool ready(struct log_box *b)
{
    return log_retain_ready(b->log);
}

/* A pass; how often it had to wait. */
static uint32_t look(void)
{
    bool rolled = false;
    uint32_t waits = 0;

    while (log_retain_look(box.log, &rolled) == LOG_RETAIN_WAITS) {
        assert_true(log_box_wait(&box, ready));
        waits++;
        assert_true(waits < 100);
    }
    assert_true(log_retain_ready(box.log));
    return waits;
}

static uint64_t checkpoint;

static bool checkpointed(struct log_box *b)
{
    return b->dir.checkpoints_written >= checkpoint;
}

static bool dropped(struct log_box *b)
{
    return (b->log->wanted & LOG_WANT_DROP) == 0 && b->log->flow == NULL;
}

/* What the owner's op does after a look. False: the box ran out of events. */
static bool drop(void)
{
    checkpoint = log_dir_checkpoint(&box.dir);
    if (!log_box_wait(&box, checkpointed)) return false;
    log_retain_drop(box.log);
    return log_box_wait(&box, dropped);
}

static uint32_t segments(void)
{
    return box.log->segment_count;
}

static void size_retention_takes_the_oldest_segments_only(void **state)
{
    int64_t end_before;

    (void)state;
    begin(1);
    fill(40);
    end_before = box.log->log_end;
    assert_true(segments() > 4);
    box.config.retention_bytes = 3 * SEGMENT;
    log_note_high_watermark(box.log, box.log->log_end);
    look();
    assert_true(box.log->log_start > 0);
    assert_true(log_retain_pending(box.log));
    assert_true(drop());
    assert_false(log_retain_pending(box.log));
    assert_true(log_size(box.log) >= 3 * SEGMENT - SEGMENT);
    assert_true(log_size(box.log) < 4 * SEGMENT);
    assert_int_equal(box.log->log_end, end_before);
    log_box_check(&box, 4096);
    log_box_over(&box);
}

static void nothing_at_or_above_the_high_watermark_goes(void **state)
{
    (void)state;
    begin(2);
    fill(40);
    box.config.retention_bytes = 0;
    box.config.retention_ms = 0;
    log_note_high_watermark(box.log, 12);
    log_box_run_ms(&box, 10);
    look();
    assert_true(box.log->log_start <= 12);
    assert_true(box.log->log_start > 0);
    assert_true(drop());
    assert_true(box.log->log_start <= 12);
    assert_true(box.log->segments[0]->base <= 12);
    log_box_check(&box, 4096);
    log_box_over(&box);
}

static void an_old_log_goes_whole_and_an_empty_segment_takes_its_place(void **state)
{
    int64_t old_end;

    (void)state;
    begin(3);
    fill(20);
    old_end = box.log->log_end;
    log_note_high_watermark(box.log, old_end);
    box.config.retention_ms = 5000;
    look();
    assert_int_equal(box.log->log_start, 0); /* young */
    log_box_run_ms(&box, 60000);
    look();
    assert_int_equal(box.log->log_start, old_end);
    assert_true(drop());
    assert_int_equal(segments(), 1);
    assert_int_equal(log_size(box.log), 0);
    assert_int_equal(box.log->segments[0]->base, old_end);
    fill(3);
    assert_int_equal(box.log->log_end, old_end + 3);
    log_box_check(&box, 4096);
    log_box_over(&box);
}

static uint64_t rolls(void)
{
    return box.traced[TRACE_LOG_ROLLED];
}

/* Nothing is left to roll when the old segments are not dropped yet. */
static void the_empty_segment_is_begun_once(void **state)
{
    uint64_t before;

    (void)state;
    begin(3);
    fill(20);
    log_note_high_watermark(box.log, box.log->log_end);
    box.config.retention_ms = 5000;
    log_box_run_ms(&box, 60000);
    before = rolls();
    assert_int_equal(look(), 1);
    assert_int_equal(rolls(), before + 1);
    assert_int_equal(look(), 0);
    assert_int_equal(rolls(), before + 1);
    assert_int_equal(box.log->log_start, box.log->log_end);
    log_box_over(&box);
}

/* That those before it go says nothing about the segment which the high watermark is in. */
static void a_segment_that_may_not_go_is_not_rolled_either(void **state)
{
    uint64_t before;

    (void)state;
    begin(3);
    fill(20);
    log_note_high_watermark(box.log, log_active(box.log)->base);
    box.config.retention_ms = 5000;
    log_box_run_ms(&box, 60000);
    before = rolls();
    assert_int_equal(look(), 0);
    assert_int_equal(rolls(), before);
    assert_int_equal(box.log->log_start, log_active(box.log)->base);
    log_box_over(&box);
}

static void append_old(void)
{
    struct log_append append;
    struct bytes bytes;
    struct buf *buf = log_box_batch(&box, 1, 0, 1000, &bytes);

    assert_int_equal(ERR_NONE, log_append_as_leader(box.log, buf, bytes, 1, LOG_CLIENT, &append));
    buf_unref(buf);
    assert_true(log_box_await(&box, &append));
    log_note_high_watermark(box.log, box.log->log_end);
}

/* The clock of a producer is behind by more than the retention: all it writes is old at once. */
static void what_is_old_when_it_is_written_costs_one_roll_a_pass(void **state)
{
    (void)state;
    begin(3);
    fill(1);
    box.config.retention_ms = 5000;
    log_box_run_ms(&box, 60000);
    for (uint32_t pass = 0; pass < 5; pass++) {
        uint64_t before = rolls();
        bool rolled = false;
        uint32_t waits = 0;

        append_old();
        while (log_retain_look(box.log, &rolled) == LOG_RETAIN_WAITS) {
            assert_true(log_box_wait(&box, ready));
            append_old();
            assert_true(++waits < 100);
        }
        assert_int_equal(rolls(), before + 1);
        assert_true(drop());
        assert_true(segments() <= 2);
    }
    log_box_check(&box, 4096);
    log_box_over(&box);
}

static void ages_of_segments_are_known_after_a_restart(void **state)
{
    (void)state;
    begin(4);
    fill(30);
    log_note_high_watermark(box.log, box.log->log_end);
    log_box_stop(&box);
    log_box_up(&box);
    log_note_high_watermark(box.log, box.log->log_end);
    box.config.retention_ms = 3600000;
    look();
    assert_int_equal(box.log->log_start, 0);
    log_box_run_ms(&box, 3700000);
    look();
    assert_int_equal(box.log->log_start, box.log->log_end);
    assert_true(drop());
    assert_int_equal(segments(), 1);
    log_box_over(&box);
}

static void a_log_without_the_policy_is_left_alone(void **state)
{
    (void)state;
    begin(5);
    fill(30);
    log_note_high_watermark(box.log, box.log->log_end);
    box.config.deletes = false;
    box.config.retention_ms = 0;
    box.config.retention_bytes = 0;
    log_box_run_ms(&box, 10000);
    look();
    assert_int_equal(box.log->log_start, 0);
    /* But what somebody deleted on purpose gives its room back. */
    log_raise_start(box.log, 15);
    look();
    assert_true(drop());
    assert_int_equal(box.log->log_start, 15);
    assert_true(box.log->segments[0]->base > 0 && box.log->segments[0]->base <= 15);
    log_box_check(&box, 4096);
    log_box_over(&box);
}

static void an_open_that_clears_away_finds_all_other_files(void **state)
{
    (void)state;
    begin(8);
    fill(40);
    log_note_high_watermark(box.log, box.log->log_end);
    box.config.retention_bytes = 2 * SEGMENT;
    look();
    assert_true(drop());
    log_box_stop(&box); /* the renamed files are there still */
    log_box_up(&box);
    assert_true(box.log->opened_clean);
    log_box_check(&box, 4096);
    log_box_over(&box);
}

static uint32_t names(const char *end)
{
    uint8_t list[16384];
    struct log_io io;
    char path[LOG_PATH_MAX];
    uint32_t count = 0;

    log_io_init(&io);
    log_path_log(path, box.log);
    log_io_list(&io, box.env.world, path, list, sizeof list);
    log_box_run_ms(&box, 100);
    assert_true(log_io_done(&io));
    assert_int_equal(ERR_NONE, log_io_err(&io));
    for (uint64_t at = 0; at < io.req.done;) {
        const struct disk_entry *entry = (const void *)(list + at);
        size_t length = strlen(entry->name);

        count += length > strlen(end) && strcmp(entry->name + length - strlen(end), end) == 0;
        at += entry->entry_length;
    }
    return count;
}

static void orderly_stops_leave_one_snapshot_besides_those_of_segments(void **state)
{
    (void)state;
    begin(9);
    for (uint32_t i = 0; i < 6; i++) {
        fill(3);
        log_box_stop(&box);
        log_box_up(&box);
        assert_true(box.log->opened_clean);
        assert_true(names(".snapshot") <= segments());
        assert_true(names(".producers") <= segments());
    }
    assert_true(segments() > 1);
    assert_true(names(".snapshot") >= segments() - 1);
    log_box_check(&box, 4096);
    log_box_over(&box);
}

static void idle_producers_are_forgotten_by_the_clock_of_the_broker(void **state)
{
    struct log_append append;
    struct bytes bytes;
    struct buf *buf;

    (void)state;
    begin(10);
    box.config.producer_expiration_ms = 60000;
    box.config.producer_check_ms = 1000;
    buf = log_box_produce_batch(&box, 5, 0, 0, 1, &bytes); /* stamped long ago */
    assert_int_equal(ERR_NONE, log_append_as_leader(box.log, buf, bytes, 1, LOG_CLIENT, &append));
    buf_unref(buf);
    assert_true(log_box_await(&box, &append));
    log_box_run_ms(&box, 50000);
    look();
    assert_non_null(log_producers_find(&box.log->producers, 5));
    log_box_run_ms(&box, 20000);
    box.dir.env->now = sim_node_now(box.node);
    look();
    assert_null(log_producers_find(&box.log->producers, 5));
    log_box_over(&box);
}

/* Only the snapshot at the new beginning tells of a producer whose records are all gone; it counts
 * whatever the recovery point was (a retry of what was deleted would else be appended again, C2). */
static void a_producer_whose_records_are_gone_is_known_after_a_crash(void **state)
{
    (void)state;
    for (uint32_t power = 0; power < 2; power++) {
        struct log_append append;
        struct bytes bytes;
        struct buf *buf;

        begin(11);
        box.config.retention_ms = 5000;
        buf = log_box_produce_batch(&box, 5, 0, 0, 1, &bytes);
        assert_int_equal(ERR_NONE,
                         log_append_as_leader(box.log, buf, bytes, 1, LOG_CLIENT, &append));
        buf_unref(buf);
        assert_true(log_box_await(&box, &append));
        log_note_high_watermark(box.log, box.log->log_end);
        log_box_run_ms(&box, 10000);
        box.dir.env->now = sim_node_now(box.node);
        look();
        assert_int_equal(box.log->log_start, 1);
        assert_true(drop());
        log_box_kill(&box, power == 1);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(ERR_NONE, log_box_open(&box));
        assert_int_equal(box.log->log_start, 1);
        assert_int_equal(box.log->log_end, 1);
        assert_non_null(log_producers_find(&box.log->producers, 5));
        log_box_over(&box);
    }
}

static void files_go_after_their_delay(void **state)
{
    struct log_sweep sweep;
    uint32_t unlinked = 0;

    (void)state;
    begin(6);
    fill(30);
    log_note_high_watermark(box.log, box.log->log_end);
    box.config.retention_bytes = 2 * SEGMENT;
    look();
    assert_true(drop());
    assert_true(log_sweep_due_ns(&box.dir) != OP_NO_DEADLINE);
    log_sweep_init(&sweep);
    assert_false(log_sweep_next(&sweep, &box.dir));
    log_box_run_ms(&box, 2000);
    box.dir.env->now.mono.ns = log_sweep_due_ns(&box.dir);
    while (log_sweep_next(&sweep, &box.dir)) {
        log_box_run_ms(&box, 10);
        assert_false(sweep.busy);
        unlinked++;
    }
    assert_true(unlinked >= 6);
    assert_true(unlinked % 6 == 0);
    log_box_over(&box);
}

/* The partitions and the metadata log of a combined node sweep the same directory. */
static void two_sweeps_of_a_directory_take_different_files(void **state)
{
    struct log_sweep sweeps[2];
    uint32_t unlinked = 0;
    bool some = true;

    (void)state;
    begin(6);
    fill(30);
    log_note_high_watermark(box.log, box.log->log_end);
    box.config.retention_bytes = 2 * SEGMENT;
    look();
    assert_true(drop());
    log_box_run_ms(&box, 2000);
    box.dir.env->now.mono.ns = log_sweep_due_ns(&box.dir);
    for (uint32_t i = 0; i < 2; i++)
        log_sweep_init(&sweeps[i]);
    while (some) {
        some = false;
        for (uint32_t i = 0; i < 2; i++) {
            if (!log_sweep_next(&sweeps[i], &box.dir)) continue;
            some = true;
            unlinked++;
        }
        if (some) assert_string_not_equal(sweeps[0].path, sweeps[1].path);
        log_box_run_ms(&box, 10);
    }
    assert_true(unlinked >= 12);
    assert_true(unlinked % 6 == 0);
    assert_int_equal(log_sweep_due_ns(&box.dir), OP_NO_DEADLINE);
    log_box_over(&box);
}

static void a_crash_at_any_event_keeps_what_was_not_deleted(void **state)
{
    uint32_t crashed = 0;

    (void)state;
    for (uint64_t at = 1; at < 400; at += 2) {
        int64_t kept, log_end;
        bool whole;

        begin(7);
        fill(30);
        assert_true(log_box_sync(&box));
        log_note_high_watermark(box.log, box.log->log_end);
        box.config.retention_bytes = 3 * SEGMENT;
        look();
        kept = box.log->log_start;
        log_end = box.log->log_end;
        assert_true(kept > 0);
        box.events_left = at;
        whole = drop();
        crashed += !whole;
        log_box_kill(&box, at % 4 == 1);
        log_box_up(&box);
        assert_true(box.log->log_start <= kept);
        assert_int_equal(box.log->log_end, log_end);
        log_box_check(&box, 4096);
        log_box_over(&box);
        if (whole) break;
    }
    assert_true(crashed > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_retention_takes_the_oldest_segments_only),
        cmocka_unit_test(nothing_at_or_above_the_high_watermark_goes),
        cmocka_unit_test(an_old_log_goes_whole_and_an_empty_segment_takes_its_place),
        cmocka_unit_test(the_empty_segment_is_begun_once),
        cmocka_unit_test(a_segment_that_may_not_go_is_not_rolled_either),
        cmocka_unit_test(what_is_old_when_it_is_written_costs_one_roll_a_pass),
        cmocka_unit_test(ages_of_segments_are_known_after_a_restart),
        cmocka_unit_test(a_log_without_the_policy_is_left_alone),
        cmocka_unit_test(an_open_that_clears_away_finds_all_other_files),
        cmocka_unit_test(orderly_stops_leave_one_snapshot_besides_those_of_segments),
        cmocka_unit_test(idle_producers_are_forgotten_by_the_clock_of_the_broker),
        cmocka_unit_test(a_producer_whose_records_are_gone_is_known_after_a_crash),
        cmocka_unit_test(files_go_after_their_delay),
        cmocka_unit_test(two_sweeps_of_a_directory_take_different_files),
        cmocka_unit_test(a_crash_at_any_event_keeps_what_was_not_deleted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
