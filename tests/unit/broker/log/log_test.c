/* Proves that a log keeps what it was given: appends, rolls, reads from memory and disk,
 * reopening after a clean stop, a kill and a power loss, truncation, duplicates, and disks that
 * fail. */
#include "tests/support/log_box.h"

static void box_append_some(struct log_box *box, int32_t epoch, uint32_t count)
{
    struct log_append append;

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ERR_NONE, log_box_append(box, epoch, 1 + i % 3, 40 + i % 50, &append));
        if (i % 4 == 3) assert_true(log_box_await(box, &append));
    }
    assert_true(log_box_await(box, &append));
    assert_int_equal(LOG_APPEND_DONE, log_append_state(box->log, &append));
}

static void box_small(struct log_box *box, uint64_t seed)
{
    log_box_init(box, seed);
    box->config.segment_bytes = 4096;
    box->config.index_interval_bytes = 200;
    log_box_up(box);
}

static void appended_batches_are_read_back_from_memory_and_from_disk(void **state)
{
    static struct log_box box;

    (void)state;
    box_small(&box, 1);
    box_append_some(&box, 0, 100);
    assert_true(box.log->log_end == box.batches[box.count - 1].last_offset + 1);
    assert_true(box.traced[TRACE_LOG_ROLLED] >= 2);
    log_box_check(&box, 100000);
    log_box_check(&box, 1);
    log_cache_cut(&box.cache, &box.log->cached, 0);
    log_box_check(&box, 100000);
    log_box_check(&box, 1);
    log_box_check(&box, 700);
    log_box_over(&box);
}

static void a_clean_stop_is_followed_by_a_clean_start(void **state)
{
    static struct log_box box;
    int64_t end;

    (void)state;
    box_small(&box, 2);
    box_append_some(&box, 3, 60);
    end = box.log->log_end;
    log_note_high_watermark(box.log, end - 5);
    log_box_stop(&box);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_true(box.dir.was_clean);
        assert_int_equal(ERR_NONE, log_box_open(&box));
        assert_true(box.log->opened_clean);
        assert_true(box.log->log_end == end);
        assert_true(box.log->synced_end == end);
        assert_true(box.log->high_watermark == end - 5);
        assert_int_equal(3, log_latest_epoch(box.log));
        log_box_check(&box, 500);
        log_box_stop(&box);
    }
    log_box_deinit(&box);
}

static void a_kill_loses_nothing_that_was_written(void **state)
{
    static struct log_box box;
    int64_t end;

    (void)state;
    box_small(&box, 3);
    box_append_some(&box, 1, 50);
    end = box.log->log_end;
    log_box_kill(&box, false);
    log_box_up(&box);
    assert_false(box.log->opened_clean);
    assert_true(box.log->log_end == end);
    log_box_check(&box, 500);
    box_append_some(&box, 2, 20);
    log_box_check(&box, 500);
    log_box_over(&box);
}

static void after_a_power_loss_the_log_is_a_prefix_with_all_that_was_synced(void **state)
{
    static struct log_box box;

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int64_t synced, end;

        box_small(&box, 100 + seed);
        sim_disk_settings(box.node->disk)->loss =
            (struct sim_loss){SIM_LOSS_PAGES, 500000, 200000, 100000};
        box_append_some(&box, 1, 5 + (uint32_t)(seed % 40));
        if (seed % 3 != 0) assert_true(log_box_sync(&box));
        box_append_some(&box, 2, 5 + (uint32_t)(seed % 20));
        synced = box.synced_end;
        end = box.log->log_end;
        log_box_kill(&box, true);
        log_box_up(&box);
        assert_true(box.log->log_end >= synced);
        assert_true(box.log->log_end <= end);
        log_box_check(&box, 500);
        end = box.log->log_end;
        /* What recovery accepted is not synced yet: a second cut may take it, not more. */
        log_box_kill(&box, false);
        log_box_up(&box);
        assert_true(box.log->log_end == end);
        log_box_check(&box, 5000);
        log_box_over(&box);
    }
}

/* A small life with everything in it; ends early when the events are spent. */
static bool box_life(struct log_box *box)
{
    struct log_append append;

    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 8; i++) {
            if (log_box_append(box, (int32_t)round, 2, 100, &append) != ERR_NONE) return false;
            if (i % 3 == 2 && !log_box_await(box, &append)) return false;
        }
        if (!log_box_await(box, &append)) return false;
        if (round == 0 && !log_box_sync(box)) return false;
        if (round == 1 && !log_box_truncate(box, box->log->log_end - 5)) return false;
    }
    return true;
}

static void a_crash_at_any_event_leaves_a_sound_log(void **state)
{
    static struct log_box box;

    uint32_t promised = 0;

    (void)state;
    for (uint64_t at = 1; at < 1500; at += at < 100 ? 9 : 2) {
        int64_t synced, end;

        log_box_init(&box, at);
        box.config.segment_bytes = 2000;
        box.config.index_interval_bytes = 200;
        sim_disk_settings(box.node->disk)->loss =
            (struct sim_loss){SIM_LOSS_PAGES, 500000, 100000, 100000};
        box.events_left = at;
        if (log_box_start(&box) == ERR_NONE && log_box_open(&box) == ERR_NONE) (void)box_life(&box);
        synced = box.synced_end;
        end = box.count > 0 ? box.batches[box.count - 1].last_offset + 1 : 0;
        log_box_kill(&box, at % 8 != 1);
        log_box_up(&box);
        assert_true(box.log->log_end >= synced);
        /* In flight at the crash: it may be there although nobody was told. */
        if (box.log->log_end <= end) log_box_check(&box, 300);
        log_box_over(&box);
        promised += synced > 0;
    }
    assert_true(promised > 20); /* the sweep reached what it is about */
}

static void a_whole_life_comes_to_its_end(void **state)
{
    static struct log_box box;

    (void)state;
    log_box_init(&box, 77);
    box.config.segment_bytes = 2000;
    box.config.index_interval_bytes = 200;
    log_box_up(&box);
    assert_true(box_life(&box));
    log_box_check(&box, 300);
    assert_true(box.sim->events < 1500); /* so that the sweep above covers it */
    log_box_over(&box);
}

static void a_batch_sent_twice_is_written_once_also_after_a_restart(void **state)
{
    static struct log_box box;
    struct log_append first[5], again;
    struct bytes bytes;
    struct buf *buf;

    (void)state;
    box_small(&box, 5);
    for (int round = 0; round < 3; round++) {
        for (int32_t i = 0; i < 5; i++) {
            buf = log_box_produce_batch(&box, 42, 0, i * 2, 2, &bytes);
            assert_int_equal(ERR_NONE,
                             log_append_as_leader(box.log, buf, bytes, 0, LOG_CLIENT, &again));
            buf_unref(buf);
            if (round == 0) {
                first[i] = again;
                assert_false(again.duplicate);
            }
            /* In round 0 also against the staged one. */
            buf = log_box_produce_batch(&box, 42, 0, i * 2, 2, &bytes);
            assert_int_equal(ERR_NONE,
                             log_append_as_leader(box.log, buf, bytes, 0, LOG_CLIENT, &again));
            buf_unref(buf);
            assert_true(again.duplicate);
            assert_true(again.base_offset == first[i].base_offset);
        }
        buf = log_box_produce_batch(&box, 42, 0, 12, 2, &bytes);
        assert_int_equal(ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                         log_append_as_leader(box.log, buf, bytes, 0, LOG_CLIENT, &again));
        buf_unref(buf);
        assert_true(log_box_await(&box, &first[4]) || round > 0);
        assert_true(box.log->log_end == 10);
        if (round == 0) {
            log_box_stop(&box);
        } else {
            log_box_kill(&box, false);
        }
        log_box_up(&box);
        first[4].generation = box.log->generation;
    }
    log_box_over(&box);
}

static bool box_repaired(struct log_box *box)
{
    return box->log->wanted == 0 && box->log->flow == NULL;
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    static struct log_box box;
    struct sim_disk_rule rule = {.ops = 1u << DISK_WRITE,
                                 .glob = "*.log",
                                 .nth = 1,
                                 .times = 1,
                                 .error = ERR_NO_SPACE,
                                 .partial = true};
    struct log_append append, later;
    int64_t end;

    (void)state;
    box_small(&box, 6);
    box_append_some(&box, 0, 7);
    end = box.log->log_end;
    (void)sim_disk_add_rule(box.node->disk, &rule);
    assert_int_equal(ERR_NONE, log_box_append(&box, 0, 3, 100, &append));
    assert_int_equal(ERR_NONE, log_box_append(&box, 0, 3, 100, &later));
    assert_true(log_box_await(&box, &append));
    assert_int_equal(LOG_APPEND_FAILED, log_append_state(box.log, &append));
    assert_int_equal(LOG_APPEND_FAILED, log_append_state(box.log, &later));
    assert_true(box.log->log_end == end && box.log->assigned_end == end);
    assert_true(log_box_wait(&box, box_repaired));
    box_append_some(&box, 0, 9);
    log_box_check(&box, 300);
    log_box_kill(&box, true);
    log_box_up(&box);
    log_box_check(&box, 300);
    log_box_over(&box);
}

/* The table of open files is the node's: that it is full says nothing about the device. */
static void no_place_for_an_open_file_refuses_and_recovers(void **state)
{
    static struct log_box box;
    struct sim_disk_rule rule = {
        .ops = 1u << DISK_OPEN, .glob = "*.log", .nth = 1, .error = ERR_TOO_MANY};
    struct log_append append;
    struct log_read read = {0};
    int64_t end;
    uint32_t failed = 0;

    (void)state;
    box_small(&box, 8);
    box_append_some(&box, 0, 40);
    assert_true(box.log->segment_count > 1);
    end = box.log->log_end;
    (void)sim_disk_add_rule(box.node->disk, &rule);
    /* Into new segments: by a roll that cannot make its file, or with no way to the one it made. */
    for (uint32_t i = 0; i < 80; i++) {
        if (log_box_append(&box, 0, 3, 100, &append) != ERR_NONE) continue;
        assert_true(log_box_await(&box, &append));
        if (log_append_state(box.log, &append) == LOG_APPEND_FAILED) failed++;
    }
    assert_true(failed > 0);
    assert_true(box.log->log_end > end);
    /* A read of a segment that is not open is refused as well, and soon. */
    log_cache_cut(&box.cache, &box.log->cached, 0);
    read.offset = 0;
    read.limit = box.log->log_end;
    read.max_bytes = 1000;
    log_read(box.log, &read);
    log_box_run_ms(&box, 1000);
    assert_true(read.done);
    if (read.err != ERR_NONE) assert_int_equal(ERR_KAFKA_STORAGE_ERROR, read.err);
    log_read_release(&read);
    assert_true(log_dir_online(&box.dir));
    assert_int_equal(LOG_OPEN, box.log->state);
    sim_disk_clear_rules(box.node->disk);
    log_box_run_ms(&box, LOG_CHECKPOINT_MS + 1000);
    box_append_some(&box, 0, 40);
    log_box_check(&box, 300);
    assert_true(log_box_sync(&box));
    log_box_over(&box);
}

static void a_failing_device_takes_the_directory_offline(void **state)
{
    static struct log_box box;
    struct sim_disk_rule rule = {
        .ops = 1u << DISK_WRITE, .glob = "*.log", .nth = 1, .error = ERR_IO};
    struct log_append append;

    (void)state;
    box_small(&box, 7);
    box_append_some(&box, 0, 7);
    (void)sim_disk_add_rule(box.node->disk, &rule);
    assert_int_equal(ERR_NONE, log_box_append(&box, 0, 3, 100, &append));
    assert_true(log_box_await(&box, &append));
    assert_int_equal(LOG_APPEND_FAILED, log_append_state(box.log, &append));
    assert_int_equal(LOG_FAILED, box.log->state);
    assert_int_equal(LOG_DIR_OFFLINE, box.dir.state);
    assert_int_equal(1, box.traced[TRACE_DIR_OFFLINE]);
    assert_int_equal(ERR_KAFKA_STORAGE_ERROR, log_box_append(&box, 0, 3, 100, &append));
    log_box_over(&box);
}

static void an_error_at_any_disk_request_never_costs_a_synced_batch(void **state)
{
    static struct log_box box;

    (void)state;
    for (uint32_t nth = 1; nth < 120; nth++) {
        for (int kind = 0; kind < 2; kind++) {
            struct sim_disk_rule rule = {.ops = ~0u & ~(1u << DISK_CLOSE),
                                         .nth = nth,
                                         .times = 1,
                                         .error = kind == 0 ? ERR_NO_SPACE : ERR_IO,
                                         .partial = true};
            struct log_append append;
            int64_t synced;

            box_small(&box, nth);
            box.config.segment_bytes = 2000;
            (void)sim_disk_add_rule(box.node->disk, &rule);
            for (uint32_t i = 0; i < 12 && box.log->state == LOG_OPEN; i++) {
                if (log_box_append(&box, (int32_t)i / 4, 2, 100, &append) == ERR_NONE)
                    assert_true(log_box_await(&box, &append));
                if (i % 5 == 4) assert_true(log_box_sync(&box));
            }
            if (box.log->state == LOG_OPEN && box.log->wanted == 0 && box.log->log_end > 4)
                assert_true(log_box_truncate(&box, box.log->log_end - 3));
            synced = box.synced_end;
            log_box_kill(&box, true);
            sim_disk_clear_rules(box.node->disk);
            log_box_up(&box);
            assert_true(box.log->log_end >= synced);
            log_box_over(&box);
        }
    }
}

static void what_was_truncated_never_comes_back(void **state)
{
    static struct log_box box;

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        box_small(&box, 500 + seed);
        sim_disk_settings(box.node->disk)->loss =
            (struct sim_loss){SIM_LOSS_PAGES, 500000, 200000, 0};
        box_append_some(&box, 1, 20);
        if (seed % 2 == 0) assert_true(log_box_sync(&box));
        assert_true(log_box_truncate(&box, (int64_t)(seed % 25)));
        assert_int_equal(LOG_OPEN, box.log->state);
        assert_true(box.log->log_end <= (int64_t)(seed % 25));
        log_box_check(&box, 400);
        box_append_some(&box, 2, 10);
        assert_true(log_end_offset_for(box.log, 1).end_offset ==
                        box.log->epochs.entries[box.log->epochs.count - 1].start_offset ||
                    box.log->epochs.count == 1);
        log_box_check(&box, 400);
        log_box_kill(&box, true);
        log_box_up(&box);
        log_box_check(&box, 400); /* the model forgot what was truncated */
        log_box_over(&box);
    }
}

static void a_rotten_batch_below_the_recovery_point_is_told_not_cut(void **state)
{
    static struct log_box box;

    (void)state;
    box_small(&box, 8);
    box_append_some(&box, 1, 60);
    assert_true(log_box_sync(&box));
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 20000);
    box_append_some(&box, 1, 3);
    log_box_kill(&box, false);
    assert_true(sim_image_rot(sim_disk_image(box.node->disk),
                              "data/orders-0/00000000000000000000.log", 100, 3));
    box.config.verify_all = true;
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_DAMAGED, log_box_open(&box));
    assert_int_equal(LOG_FAILED, box.log->state);
    assert_int_equal(1, box.traced[TRACE_LOG_DAMAGED]);
    log_box_over(&box);
}

/* A checkpoint that is written while such a log is there, and a start after it, change nothing:
 * without its recovery point the damage would be a torn tail and be cut, of the only copy too. */
static void what_a_damaged_log_had_promised_outlives_a_checkpoint(void **state)
{
    static struct log_box box;

    (void)state;
    box_small(&box, 8);
    box_append_some(&box, 1, 60);
    assert_true(log_box_sync(&box));
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 20000);
    log_box_kill(&box, false);
    assert_true(sim_image_rot(sim_disk_image(box.node->disk),
                              "data/orders-0/00000000000000000000.log", 100, 3));
    box.config.verify_all = true;
    for (uint32_t life = 0; life < 3; life++) {
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(ERR_DAMAGED, log_box_open(&box));
        assert_int_equal(life + 1, box.traced[TRACE_LOG_DAMAGED]);
        assert_true(box.log->known->recovery_point > 0);
        (void)log_dir_checkpoint(&box.dir);
        log_box_run_ms(&box, 20000);
        assert_true(box.log->known->recovery_point > 0);
        if (life < 2) log_box_kill(&box, false);
    }
    log_box_over(&box);
}

static void a_directory_of_somebody_else_is_refused(void **state)
{
    static struct log_box box;

    (void)state;
    box_small(&box, 9);
    log_box_stop(&box);
    sim_node_start(box.node);
    log_box_run_ms(&box, 1);
    log_dir_open(&box.dir, STR("another"), 1);
    log_box_run_ms(&box, 1000);
    assert_int_equal(LOG_DIR_CLOSED, box.dir.state);
    assert_int_equal(ERR_INCONSISTENT_CLUSTER_ID, box.dir.err);
    log_dir_open(&box.dir, STR("cluster-of-the-test"), 2);
    log_box_run_ms(&box, 1000);
    assert_int_equal(ERR_BAD_CONFIG, box.dir.err);
    assert_string_equal("data: belongs to node 1, this is node 2", box.dir.message.text);
    log_box_over(&box);
}

static void a_deleted_partition_is_gone(void **state)
{
    static struct log_box box;

    (void)state;
    box_small(&box, 10);
    box_append_some(&box, 1, 30);
    log_delete(box.log);
    log_box_run_ms(&box, 1000);
    assert_int_equal(LOG_CLOSED, box.log->state);
    log_free(box.log);
    box.log = NULL;
    assert_null(log_dir_find(&box.dir, STR("orders-0")));
    box.count = 0;
    assert_int_equal(ERR_NONE, log_box_open(&box));
    assert_true(box.log->log_end == 0);
    log_box_over(&box);
}

/* The name is given away again at once, and the process is killed before the checkpoints come to be
 * written: the new log is not held to what the deleted one had promised. */
static void a_log_owes_nothing_of_a_deleted_one_of_its_name(void **state)
{
    static struct log_box box;

    (void)state;
    box_small(&box, 13);
    box_append_some(&box, 1, 60);
    assert_true(log_box_sync(&box));
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 1000);
    assert_true(box.log->known->recovery_point > 9);
    log_delete(box.log);
    log_box_run_ms(&box, 100);
    log_free(box.log);
    box.log = NULL;
    box.count = 0;
    for (uint32_t life = 0; life < 3; life++) {
        assert_int_equal(ERR_NONE, log_box_open(&box));
        assert_int_equal(3 * life, box.log->log_end);
        box_append_some(&box, 1, 2);
        assert_int_equal(3 * life + 3, box.log->log_end);
        log_box_kill(&box, false);
        assert_int_equal(ERR_NONE, log_box_start(&box));
    }
    assert_int_equal(0, box.traced[TRACE_LOG_DAMAGED]);
    log_box_over(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_batches_are_read_back_from_memory_and_from_disk),
        cmocka_unit_test(a_clean_stop_is_followed_by_a_clean_start),
        cmocka_unit_test(a_kill_loses_nothing_that_was_written),
        cmocka_unit_test(after_a_power_loss_the_log_is_a_prefix_with_all_that_was_synced),
        cmocka_unit_test(a_crash_at_any_event_leaves_a_sound_log),
        cmocka_unit_test(a_whole_life_comes_to_its_end),
        cmocka_unit_test(a_batch_sent_twice_is_written_once_also_after_a_restart),
        cmocka_unit_test(a_full_disk_refuses_and_recovers),
        cmocka_unit_test(no_place_for_an_open_file_refuses_and_recovers),
        cmocka_unit_test(a_failing_device_takes_the_directory_offline),
        cmocka_unit_test(an_error_at_any_disk_request_never_costs_a_synced_batch),
        cmocka_unit_test(what_was_truncated_never_comes_back),
        cmocka_unit_test(a_rotten_batch_below_the_recovery_point_is_told_not_cut),
        cmocka_unit_test(what_a_damaged_log_had_promised_outlives_a_checkpoint),
        cmocka_unit_test(a_directory_of_somebody_else_is_refused),
        cmocka_unit_test(a_deleted_partition_is_gone),
        cmocka_unit_test(a_log_owes_nothing_of_a_deleted_one_of_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
