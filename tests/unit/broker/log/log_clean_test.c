/* Proves compaction against a naive model (storage.md S24, S25, S27): of each key the newest record
 * stays, a tombstone until its horizon; offsets, the end of the log and everything behind the
 * cleaned part stay; a producer is known by its last batches, and every epoch by a header. */
#include "tests/support/clean_box.h"

enum { KEYS = 12 };

static struct clean_box c;

static void of_each_key_the_newest_record_stays_at_its_offset(void **state)
{
    int64_t before;
    uint32_t segments;

    (void)state;
    clean_box_begin(&c, 1);
    for (int32_t i = 0; i < 200; i++)
        clean_box_put(&c, 1 + i % KEYS);
    segments = c.box.log->segment_count;
    before = c.box.log->log_end;
    assert_true(segments > 10);
    assert_true(clean_box_clean(&c, 1 << 20));
    assert_int_equal(ERR_NONE, c.cleaning.err);
    assert_int_equal(KEYS, c.cleaning.keys);
    assert_true(c.cleaning.bytes_kept * 4 < c.cleaning.bytes_read);
    clean_box_check(&c, true);
    assert_true(c.box.log->log_end == before);
    /* The closed part has one record a key; the active segment is as it was. */
    assert_true(clean_box_count_got(&c) <= KEYS + (uint32_t)(before - c.box.log->known->cleaned));
    clean_box_no_left_overs(&c);
    log_box_stop(&c.box);
    log_box_up(&c.box);
    assert_true(c.box.log->opened_clean);
    clean_box_check(&c, true);
    for (int32_t i = 0; i < 50; i++)
        clean_box_put(&c, 3);
    assert_true(clean_box_clean(&c, 1 << 20));
    assert_int_equal(ERR_NONE, c.cleaning.err);
    clean_box_check(&c, true);
    /* Segments that have become small become one. */
    assert_true(c.box.log->segment_count < segments);
    clean_box_over(&c);
}

static void a_map_that_fills_goes_on_where_it_ended(void **state)
{
    (void)state;
    clean_box_begin(&c, 2);
    for (int32_t i = 0; i < 400; i++)
        clean_box_put(&c, 1 + i % 150);
    for (uint32_t round = 0; round < 20; round++) {
        int64_t before = c.box.log->known->cleaned;

        assert_true(clean_box_clean(&c, 1));
        clean_box_check(&c, true);
        if (c.cleaning.err == ERR_CANCELED) break; /* nothing is left to do */
        assert_int_equal(ERR_NONE, c.cleaning.err);
        assert_true(c.box.log->known->cleaned > before);
        assert_true(c.cleaning.keys <= LOG_KEYMAP_ROOM_MIN);
    }
    assert_int_equal(ERR_CANCELED, c.cleaning.err);
    clean_box_over(&c);
}

static void a_tombstone_stays_for_its_time_after_the_first_cleaning(void **state)
{
    (void)state;
    clean_box_begin(&c, 3);
    clean_box_put(&c, 1);
    clean_box_put(&c, -1);
    for (int32_t i = 0; i < 60; i++)
        clean_box_put(&c, 2);
    log_box_run_ms(&c.box, 600000); /* its age does not count, the horizon does */
    assert_true(clean_box_clean(&c, 1 << 20));
    clean_box_read_all(&c);
    assert_true(c.got[0] == UINT32_MAX);
    assert_true(c.got[1] == 0);
    for (int32_t i = 0; i < 30; i++)
        clean_box_put(&c, 2);
    log_box_run_ms(&c.box, 50000);
    assert_true(clean_box_clean(&c, 1 << 20));
    clean_box_read_all(&c);
    assert_true(c.got[1] == 0);
    log_box_run_ms(&c.box, 11000);
    for (int32_t i = 0; i < 30; i++)
        clean_box_put(&c, 2);
    assert_true(clean_box_clean(&c, 1 << 20));
    clean_box_check(&c, false);
    assert_true(c.got[1] == UINT32_MAX);
    clean_box_over(&c);
}

/* Appended by a coordinator: ends the transaction of producer 77. */
static void put_abort(void)
{
    struct record_builder_config config = record_builder_config_control(c.box.env.world->cpu);
    struct record_builder builder;
    struct buf *buf = buf_take(&c.box.env.payload, 128, true);
    struct log_append append;

    assert_non_null(buf);
    config.producer_id = 77;
    config.producer_epoch = 2;
    config.attributes |= RECORD_TRANSACTIONAL;
    record_builder_init(&builder, &config, buf->data, 128);
    assert_int_equal(ERR_NONE, record_builder_append_marker(&builder, 1000, CONTROL_ABORT, 0));
    assert_int_equal(ERR_NONE, log_append_as_leader(c.box.log, buf, record_builder_finish(&builder),
                                                    c.epoch, LOG_COORDINATOR, &append));
    buf_unref(buf);
    assert_true(log_box_await(&c.box, &append));
    c.said[c.said_end] = (struct said){.key = UINT32_MAX};
    c.said_end++;
}

/* The marker stands behind what is cleaned: in the active segment, or (closed) in one that is too
 * young. What was aborted is no newest record of its key all the same. */
static void an_aborted_record_hides_nothing_though_its_marker_stands_far_behind(void **state)
{
    (void)state;
    for (uint32_t closed = 0; closed < 2; closed++) {
        struct record_builder_config config;
        int32_t key = 5;

        clean_box_begin(&c, 4);
        config = clean_box_plain(&c);
        config.producer_id = 77;
        config.producer_epoch = 2;
        config.base_sequence = 0;
        config.attributes |= RECORD_TRANSACTIONAL;
        clean_box_put(&c, 5);
        clean_box_put_with(&c, config, &key, 1, 60);
        for (int32_t i = 0; i < 40; i++)
            clean_box_put(&c, 6);
        assert_true(log_box_sync(&c.box));
        log_note_high_watermark(c.box.log, c.box.log->log_end);
        assert_int_equal(1, log_last_stable(c.box.log));
        c.touched = log_active(c.box.log)->base;
        log_clean_start(&c.cleaning, c.box.log, 1 << 20);
        assert_true(log_box_wait(&c.box, clean_box_cleaned));
        clean_box_read_all(&c);
        assert_true(c.got[0] != UINT32_MAX && c.got[1] != UINT32_MAX); /* undecided: not touched */
        put_abort();
        for (int32_t i = 0; closed == 1 && i < 40; i++)
            clean_box_put(&c, 7);
        assert_true(clean_box_clean(&c, 1 << 20));
        clean_box_read_all(&c);
        assert_true(c.got[0] != UINT32_MAX);
        assert_true(c.got[1] == UINT32_MAX);
        clean_box_over(&c);
    }
}

/* As a retry of each of the last five is answered: with the offset of the first time (C2). */
static void the_headers_by_which_a_retry_is_known_stay(void **state)
{
    struct record_builder_config config;
    const struct log_producer *producer;
    int32_t key = 5;

    (void)state;
    clean_box_begin(&c, 4);
    config = clean_box_plain(&c);
    config.producer_id = 77;
    config.producer_epoch = 2;
    for (int32_t i = 0; i < 7; i++) {
        config.base_sequence = 9 + i;
        clean_box_put_with(&c, config, &key, 1, 60);
    }
    for (int32_t i = 0; i < 100; i++)
        clean_box_put(&c, 5);
    for (uint32_t round = 0; round < 2; round++) {
        assert_true(clean_box_clean(&c, 1 << 20));
        clean_box_check(&c, round == 0);
        for (uint32_t i = 0; i < 7; i++)
            assert_true(c.got[i] == UINT32_MAX);
        assert_int_equal(5, c.batches_of_77);
        for (int32_t i = 0; i < 40; i++)
            clean_box_put(&c, 5);
    }
    /* Without a snapshot that could tell: all is replayed from the batches. */
    log_box_kill(&c.box, false);
    assert_int_equal(ERR_NONE, log_box_start(&c.box));
    c.box.config.verify_all = true;
    assert_int_equal(ERR_NONE, log_box_open(&c.box));
    producer = log_producers_find(&c.box.log->producers, 77);
    assert_non_null(producer);
    assert_int_equal(2, producer->epoch);
    assert_int_equal(5, producer->count);
    for (int32_t i = 0; i < 5; i++) {
        assert_int_equal(11 + i, producer->batches[i].first_sequence);
        assert_int_equal(2 + i, producer->batches[i].last_offset);
    }
    clean_box_over(&c);
}

static void a_copy_knows_the_epochs(void)
{
    clean_box_read_all(&c);
    assert_int_equal(c.box.log->epochs.count, c.copied.count);
    for (uint32_t i = 0; i < c.copied.count; i++) {
        assert_int_equal(c.box.log->epochs.entries[i].epoch, c.copied.entries[i].epoch);
        assert_true(c.box.log->epochs.entries[i].start_offset == c.copied.entries[i].start_offset);
    }
}

/* Divergence is found by epochs (KIP-101): one that a copy has never heard of would make it, as a
 * leader, tell others to cut what is committed. The header that says so is nobody's: of a
 * transaction whose marker is gone it would begin one that never ends. */
static void who_copies_the_log_learns_of_every_epoch(void **state)
{
    struct record_builder_config config;
    int32_t key = 5;

    (void)state;
    clean_box_begin(&c, 14);
    config = clean_box_plain(&c);
    config.producer_id = 77;
    config.producer_epoch = 2;
    config.base_sequence = 0;
    config.attributes |= RECORD_TRANSACTIONAL;
    for (; c.epoch <= 8; c.epoch++) {
        if (c.epoch == 4) {
            clean_box_put_with(&c, config, &key, 1, 60);
            put_abort();
        }
        for (int32_t i = 0; i < 25; i++)
            clean_box_put(&c, 5);
    }
    for (uint32_t round = 0; round < 4; round++) {
        assert_true(clean_box_clean(&c, 1 << 20));
        assert_int_equal(8 + round, c.box.log->epochs.count);
        a_copy_knows_the_epochs();
        assert_true(c.batches_empty >= 7);
        log_box_run_ms(&c.box, 200000);
        log_producers_expire(&c.box.log->producers, -1); /* all */
        for (int32_t i = 0; i < 50; i++)
            clean_box_put(&c, 5);
        c.epoch++;
    }
    assert_int_equal(0, c.batches_of_77);
    log_box_kill(&c.box, false);
    assert_int_equal(ERR_NONE, log_box_start(&c.box));
    c.box.config.verify_all = true;
    assert_int_equal(ERR_NONE, log_box_open(&c.box));
    assert_null(log_producers_find(&c.box.log->producers, 77));
    a_copy_knows_the_epochs();
    clean_box_over(&c);
}

static void nothing_above_the_high_watermark_or_too_young_is_touched(void **state)
{
    struct log_clean_look look;

    (void)state;
    clean_box_begin(&c, 5);
    for (int32_t i = 0; i < 100; i++)
        clean_box_put(&c, 1);
    assert_true(log_box_sync(&c.box));
    log_note_high_watermark(c.box.log, 30);
    log_clean_look(c.box.log, &look);
    assert_true(look.first_uncleanable > 0 && look.first_uncleanable <= 30);
    assert_true(look.wanted);
    c.box.config.min_compaction_lag_ms = 1000000;
    log_clean_look(c.box.log, &look);
    assert_true(look.first_uncleanable == 0);
    assert_false(look.wanted);
    c.box.config.min_compaction_lag_ms = 0;
    c.box.config.min_cleanable_ratio = 1000000;
    log_clean_look(c.box.log, &look);
    assert_false(look.wanted);
    c.box.config.max_compaction_lag_ms = 1000;
    log_box_run_ms(&c.box, 5000);
    log_clean_look(c.box.log, &look);
    assert_true(look.overdue && look.wanted);
    clean_box_over(&c);
}

static void a_batch_larger_than_a_slice_is_cleaned(void **state)
{
    int32_t keys[3] = {1, 2, 1};

    (void)state;
    clean_box_begin(&c, 6);
    c.box.config.max_message_bytes = 4 << 20;
    c.box.config.segment_bytes = 4 << 20;
    clean_box_put_with(&c, clean_box_plain(&c), keys, 3, 300000);
    c.box.config.segment_bytes = CLEAN_BOX_SEGMENT;
    for (int32_t i = 0; i < 40; i++)
        clean_box_put(&c, 3);
    assert_true(clean_box_clean(&c, 1 << 20));
    assert_int_equal(ERR_NONE, c.cleaning.err);
    clean_box_check(&c, true);
    assert_true(c.got[0] == UINT32_MAX && c.got[1] != UINT32_MAX && c.got[2] != UINT32_MAX);
    clean_box_over(&c);
}

static void many_records_are_cleaned_in_slices(void **state)
{
    int32_t keys[1500];

    (void)state;
    clean_box_begin(&c, 7);
    for (uint32_t i = 0; i < 1500; i++)
        keys[i] = 1 + (int32_t)i % 700;
    c.box.config.segment_bytes = 1 << 20;
    clean_box_put_with(&c, clean_box_plain(&c), keys, 1500, 1);
    c.box.config.segment_bytes = CLEAN_BOX_SEGMENT;
    for (int32_t i = 0; i < 40; i++)
        clean_box_put(&c, 3);
    assert_true(clean_box_clean(&c, 1 << 20));
    assert_int_equal(ERR_NONE, c.cleaning.err);
    assert_true(c.cleaning.slices >= 4);
    clean_box_check(&c, true);
    clean_box_over(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_each_key_the_newest_record_stays_at_its_offset),
        cmocka_unit_test(a_map_that_fills_goes_on_where_it_ended),
        cmocka_unit_test(a_tombstone_stays_for_its_time_after_the_first_cleaning),
        cmocka_unit_test(an_aborted_record_hides_nothing_though_its_marker_stands_far_behind),
        cmocka_unit_test(the_headers_by_which_a_retry_is_known_stay),
        cmocka_unit_test(who_copies_the_log_learns_of_every_epoch),
        cmocka_unit_test(nothing_above_the_high_watermark_or_too_young_is_touched),
        cmocka_unit_test(a_batch_larger_than_a_slice_is_cleaned),
        cmocka_unit_test(many_records_are_cleaned_in_slices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
