/* Proves that a recovery reads what came after the last mark and no more, and that a log with marks
 * keeps, and loses, exactly what one without them does: after kills, power cuts, truncations, with
 * an index that lies, and without space for a mark. */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"

#include <string.h>

static struct log_box box;
static int32_t sequence;

static void box_begin(uint64_t seed, uint32_t segment_bytes, uint32_t recovery_bytes)
{
    log_box_init(&box, seed);
    box.recovery_bytes = recovery_bytes;
    box.config.segment_bytes = segment_bytes;
    box.config.index_interval_bytes = 300;
    sequence = 0;
    log_box_up(&box);
}

/* Of one producer, so that what recovery knows of it can be compared. */
static void box_fill(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct log_append append;
        struct bytes bytes;
        struct buf *buf = log_box_produce_batch(&box, 7, 0, sequence, 1 + i % 3, &bytes);

        assert_int_equal(ERR_NONE,
                         log_append_as_leader(box.log, buf, bytes, 1, LOG_CLIENT, &append));
        buf_unref(buf);
        assert_true(log_box_await(&box, &append));
        assert_int_equal(LOG_APPEND_DONE, log_append_state(box.log, &append));
        sequence += 1 + (int32_t)(i % 3);
    }
}

static uint64_t box_bytes_read(void)
{
    return sim_disk_stats(box.node->disk)->bytes_read;
}

/* What the log knows of the producer is what its last batches say. */
static void box_check_producer(void)
{
    const struct log_producer *p = log_producers_find(&box.log->producers, 7);
    uint32_t batches;

    /* What a power cut took is in the model still. */
    while (box.count > 0 && box.batches[box.count - 1].last_offset >= box.log->log_end)
        box.count--;
    batches = box.count < LOG_PRODUCER_BATCHES ? box.count : LOG_PRODUCER_BATCHES;
    if (box.count == 0) return;
    assert_non_null(p);
    assert_int_equal(batches, p->count);
    for (uint32_t i = 0; i < batches; i++)
        assert_true(p->batches[i].last_offset == box.batches[box.count - batches + i].last_offset);
    sequence =
        (p->batches[p->count - 1].first_sequence + p->batches[p->count - 1].offset_delta + 1);
}

static void box_again(void)
{
    log_box_up(&box);
    log_box_check(&box, 700);
    box_check_producer();
}

static bool box_unmarked(struct log_box *b)
{
    return b->dir.marker == NULL;
}

static void a_recovery_reads_what_came_after_the_last_mark(void **state)
{
    uint64_t read;
    int64_t end;

    (void)state;
    box_begin(1, 1 << 20, 8192);
    box_fill(2000);
    assert_true(log_size(box.log) > 160000);
    assert_int_equal(1, box.log->segment_count);
    assert_true(log_box_wait(&box, box_unmarked));
    assert_true(box.log->mark > 0 && box.log->exposed < 8192);
    end = box.log->log_end;
    log_box_kill(&box, false);
    read = box_bytes_read();
    log_box_up(&box);
    /* The walk, an index of 8 and one of up to 12 bytes an interval, and small files. */
    assert_true(box_bytes_read() - read < 8192 + log_size(box.log) / 300 * 20 + 4096);
    assert_true(box.log->log_end == end);
    assert_true(box.log->exposed < 8192);
    log_box_check(&box, 700);
    box_check_producer();
    box_fill(10);
    log_box_over(&box);
}

static void marks_change_nothing_of_what_a_log_keeps(void **state)
{
    uint32_t marked = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 80; seed++) {
        bool power = seed % 3 != 0;

        box_begin(seed, seed % 2 == 0 ? 6000 : 1 << 20, 1500);
        sim_disk_settings(box.node->disk)->loss =
            (struct sim_loss){SIM_LOSS_PAGES, 500000, 200000, 100000};
        for (uint32_t round = 0; round < 3; round++) {
            int64_t synced, end;

            box_fill(20 + (uint32_t)(seed * 7 + round * 13) % 60);
            if (seed % 4 == round) {
                assert_true(log_box_truncate(&box, box.log->log_end - 1 - (int64_t)(seed % 40)));
                box_check_producer();
                box_fill(5 + (uint32_t)seed % 30);
            }
            marked += box.log->mark > 0;
            if (seed % 5 == round) {
                log_box_stop(&box);
                box_again();
                box_fill(3);
            }
            synced = box.synced_end;
            end = box.log->log_end;
            log_box_kill(&box, power);
            box_again();
            assert_true(box.log->log_end >= synced && box.log->log_end <= end);
            if (!power) assert_true(box.log->log_end == end);
        }
        log_box_over(&box);
    }
    assert_true(marked > 60);
}

static void an_index_that_lies_at_a_mark_costs_time_and_nothing_else(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 40; at++) {
        int64_t end;

        box_begin(at + 1, 1 << 20, 4096);
        box_fill(150);
        assert_true(log_box_wait(&box, box_unmarked));
        assert_true(box.log->mark > 0);
        end = box.log->log_end;
        log_box_kill(&box, false);
        (void)sim_image_rot(sim_disk_image(box.node->disk),
                            "data/orders-0/00000000000000000000.index", at * 3, 1);
        box_again();
        assert_true(box.log->log_end == end);
        log_box_over(&box);
    }
}

/* Rot below a mark is damage below a promise; what a mark vouches for is never cut. */
static void what_a_mark_vouches_for_is_not_cut(void **state)
{
    uint64_t size;

    (void)state;
    box_begin(5, 1 << 20, 4096);
    box_fill(150);
    assert_true(log_box_wait(&box, box_unmarked));
    size = log_size(box.log);
    assert_true(box.log->exposed < size / 2);
    log_box_kill(&box, false);
    /* The index leads behind it: found by who reads it, not by the open. */
    assert_true(sim_image_rot(sim_disk_image(box.node->disk),
                              "data/orders-0/00000000000000000000.log", 400, 1));
    log_box_up(&box);
    assert_true(log_size(box.log) == size);
    log_box_kill(&box, false);
    /* Without the index it is found at once, and nothing is cut. */
    assert_true(sim_image_rot(sim_disk_image(box.node->disk),
                              "data/orders-0/00000000000000000000.index", 0, 4096));
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_DAMAGED, log_box_open(&box));
    log_box_over(&box);
}

static void without_space_for_a_mark_appends_go_on(void **state)
{
    struct sim_disk_rule rule = {
        .ops = 1u << DISK_OPEN, .glob = "*.producers.tmp", .nth = 1, .error = ERR_NO_SPACE};
    int64_t end;

    (void)state;
    box_begin(9, 1 << 20, 2048);
    (void)sim_disk_add_rule(box.node->disk, &rule);
    box_fill(300);
    assert_int_equal(-1, box.log->mark);
    assert_true(log_dir_online(&box.dir));
    assert_true(box.dir.marks_paused);
    sim_disk_clear_rules(box.node->disk);
    log_box_run_ms(&box, 2 * LOG_CHECKPOINT_MS);
    assert_true(box.log->mark > 0);
    end = box.log->log_end;
    log_box_kill(&box, true);
    box_again();
    assert_true(box.log->log_end == end); /* the mark synced it */
    log_box_over(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recovery_reads_what_came_after_the_last_mark),
        cmocka_unit_test(marks_change_nothing_of_what_a_log_keeps),
        cmocka_unit_test(an_index_that_lies_at_a_mark_costs_time_and_nothing_else),
        cmocka_unit_test(what_a_mark_vouches_for_is_not_cut),
        cmocka_unit_test(without_space_for_a_mark_appends_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
