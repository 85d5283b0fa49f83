/* Proves that what lies below the start of a log is no part of any promise: damage there, after a
 * power loss, neither takes the log offline nor brings back what was deleted, and the end of an
 * open tells where the log really stands (storage.md 13.4; S12, R46). And that a high watermark
 * goes with the records it was of (R47). And that a life that is vouched for does not lose its tail
 * quietly: the broker has its place in an ELR for it (KIP-966, DF11). And that an epoch file which
 * begins above the first record is completed from the batches, and not replaced by what they say:
 * not every epoch has any (R4). */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"
#include "client/wire/record_batch.h"
#include "sim/disk.h"

static struct log_box box;

enum { ROUNDS = 24 };

static void box_begin(uint64_t seed)
{
    log_box_init(&box, seed);
    box.config.index_interval_bytes = 200;
    log_box_up(&box);
    sim_disk_settings(box.node->disk)->loss =
        (struct sim_loss){SIM_LOSS_PAGES, 500000, 500000, 200000};
}

static void box_fill(uint32_t count)
{
    struct log_append append;

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ERR_NONE, log_box_append(&box, 1, 1 + i % 3, 60, &append));
        assert_true(log_box_await(&box, &append));
    }
}

static void box_checkpoint(void)
{
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 100);
}

static void box_reopen(bool power)
{
    log_box_kill(&box, power);
    log_box_up(&box);
}

/* Nothing of it was ever synced, all but the last records are below its start, and one life later
 * the checkpoint of the recovery point says so much as the start does. */
static int64_t box_deleted(uint64_t seed, uint32_t behind)
{
    int64_t start;

    box_begin(seed);
    box_fill(60);
    start = box.log->log_end;
    box_fill(behind);
    assert_int_equal(0, box.log->synced_end);
    log_raise_start(box.log, start);
    box_checkpoint();
    box_reopen(false);
    assert_int_equal(start, box.log->log_start);
    assert_int_equal(start, box.log->synced_end);
    box_checkpoint();
    return start;
}

static void damage_below_the_start_is_not_below_a_promise(void **state)
{
    uint32_t torn = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        int64_t start = box_deleted(seed, (uint32_t)(seed % 3));
        uint64_t recovered = box.traced[TRACE_LOG_RECOVERED_TO];
        uint64_t opened = box.traced[TRACE_LOG_OPENED];
        uint64_t damaged = box.traced[TRACE_LOG_DAMAGED];
        int64_t end;

        box_reopen(true);
        assert_int_equal(damaged, box.traced[TRACE_LOG_DAMAGED]);
        assert_int_equal(opened + 1, box.traced[TRACE_LOG_OPENED]);
        assert_int_equal(start, box.log->log_start);
        assert_true(box.log->log_end >= start);
        assert_int_equal(start, box.log->synced_end);
        torn += box.traced[TRACE_LOG_RECOVERED_TO] > recovered;
        /* It goes on from there, and what is synced now is promised. */
        box_fill(5);
        end = box.log->log_end;
        assert_true(log_box_sync(&box));
        box_checkpoint();
        box_reopen(true);
        assert_int_equal(start, box.log->log_start);
        assert_int_equal(end, box.log->log_end);
        log_box_over(&box);
    }
    assert_true(torn > ROUNDS / 4);
}

/* The power goes again while the log starts over: every event of that recovery. */
static void a_log_that_starts_over_does_so_again_after_a_crash(void **state)
{
    uint32_t crashed = 0;

    (void)state;
    for (uint64_t at = 1;; at += 3) {
        int64_t start = box_deleted(5, 0);
        bool whole;

        log_box_kill(&box, true);
        box.events_left = at;
        whole = log_box_start(&box) == ERR_NONE && log_box_open(&box) == ERR_NONE;
        box.events_left = 0;
        box_reopen(at % 2 == 0);
        assert_int_equal(start, box.log->log_start);
        assert_int_equal(start, box.log->log_end);
        log_box_over(&box);
        crashed += !whole;
        if (whole) break;
        assert_true(at < 1000);
    }
    assert_true(crashed > 10);
}

/* An orderly stop vouches for the bytes below the start as well, and so it syncs them: what is
 * appended behind them later is found by walking over them. */
static void an_orderly_stop_syncs_what_stands_below_the_start(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        int64_t start = box_deleted(seed, 0);
        int64_t end;

        log_box_stop(&box);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        log_box_kill(&box, true);
        log_box_up(&box);
        assert_int_equal(start, box.log->log_end);
        box_fill(5);
        end = box.log->log_end;
        assert_true(log_box_sync(&box));
        box_checkpoint();
        box_reopen(true);
        assert_int_equal(start, box.log->log_start);
        assert_int_equal(end, box.log->log_end);
        log_box_over(&box);
    }
}

/* The checkpoint is of a history that went with the power; what is written instead is not
 * replicated because other records once were. */
static void a_high_watermark_that_was_lost_does_not_come_back(void **state)
{
    uint32_t lost = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        int64_t end;

        box_begin(seed);
        box_fill(10);
        assert_true(log_box_sync(&box));
        box_fill(50);
        log_note_high_watermark(box.log, box.log->log_end);
        box_checkpoint();
        end = box.log->log_end;
        box_reopen(true);
        if (box.log->log_end < end) {
            lost++;
            end = box.log->log_end;
        }
        box_fill(50);
        box_reopen(false);
        assert_int_equal(end, box.log->high_watermark);
        log_box_over(&box);
    }
    assert_true(lost > ROUNDS / 2);
}

static bool box_vouched(struct log_box *b)
{
    return log_dir_vouched(&b->dir);
}

/* Killed with records that nobody synced; what is read of them then is what was there before. */
static int64_t box_misread(bool vouched)
{
    const struct sim_disk_rule rule = {.ops = 1u << DISK_READ,
                                       .glob = "*orders-0/*.log",
                                       .nth = 1,
                                       .times = 3,
                                       .effect = SIM_DISK_STALE};
    int64_t end;

    box_begin(1);
    log_dir_vouch(&box.dir, 42);
    assert_true(log_box_wait(&box, box_vouched));
    box_fill(20);
    end = box.log->log_end;
    log_box_kill(&box, false);
    (void)sim_disk_add_rule(box.node->disk, &rule);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(42, box.dir.previous_broker_epoch);
    if (!vouched) box.dir.previous_broker_epoch = -1;
    return end;
}

static void a_tail_that_was_vouched_for_is_told_and_not_cut(void **state)
{
    int64_t end = box_misread(true);
    uint64_t damaged = box.traced[TRACE_LOG_DAMAGED];

    (void)state;
    assert_int_equal(ERR_DAMAGED, log_box_open(&box));
    assert_int_equal(damaged + 1, box.traced[TRACE_LOG_DAMAGED]);
    log_box_kill(&box, false);
    sim_disk_clear_rules(box.node->disk);
    log_box_up(&box); /* nothing was touched */
    assert_int_equal(end, box.log->log_end);
    log_box_check(&box, 1000);
    log_box_over(&box);
}

static void a_tail_of_a_life_that_may_have_lost_it_is_cut(void **state)
{
    (void)state;
    (void)box_misread(false);
    assert_int_equal(ERR_NONE, log_box_open(&box));
    assert_int_equal(0, box.log->log_end);
    log_box_over(&box);
}

/* Of a write that a kill cut in two the beginning is there: nobody was told of it. */
static void the_beginning_of_a_last_write_is_cut_though_vouched_for(void **state)
{
    uint32_t torn = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct log_append append;
        uint64_t recovered;
        int64_t end;

        box_begin(seed);
        log_dir_vouch(&box.dir, 42);
        assert_true(log_box_wait(&box, box_vouched));
        box_fill(10);
        end = box.log->log_end;
        sim_disk_shorten(box.node->disk, 1000000);
        assert_int_equal(ERR_NONE, log_box_append(&box, 1, 5, 900, &append));
        box.events_left = 1 + seed % 4;
        (void)log_box_await(&box, &append);
        box.events_left = 0;
        recovered = box.traced[TRACE_LOG_RECOVERED_TO];
        log_box_kill(&box, false);
        log_box_up(&box);
        if (box.traced[TRACE_LOG_RECOVERED_TO] > recovered) {
            assert_int_equal(end, box.log->log_end);
            torn++;
        } else { /* all of it or nothing */
            assert_true(box.log->log_end == end || box.log->log_end == end + 5);
        }
        log_box_over(&box);
    }
    assert_true(torn > 0);
}

/* A batch of a leader whose log was compacted, ten offsets behind the end. */
static void box_copy(int32_t epoch)
{
    struct log_append append;
    struct bytes bytes;
    struct buf *batch = log_box_batch(&box, 2, 60, 1000, &bytes);

    record_batch_set_offset(batch->data, box.log->log_end + 10, epoch);
    assert_int_equal(ERR_NONE, log_append_as_follower(box.log, batch, bytes, epoch, &append));
    buf_unref(batch);
    assert_true(log_box_await(&box, &append));
}

enum { EPOCHS = 3 };
static const int32_t known[EPOCHS] = {1, 3, 5};

/* The batches that began 3 and 5 are gone. */
static void box_with_epochs(uint64_t seed, int64_t begun[EPOCHS + 1])
{
    box_begin(seed);
    begun[0] = 0;
    box_fill(10);
    box.config.gaps = true;
    for (uint32_t i = 1; i < EPOCHS; i++) {
        begun[i] = box.log->log_end;
        log_begin_epoch(box.log, known[i]);
        box_copy(known[i]);
        box_copy(known[i]);
    }
    begun[EPOCHS] = box.log->log_end;
    assert_true(log_box_sync(&box));
    box_checkpoint();
    assert_int_equal(EPOCHS, box.log->epochs.count);
}

/* The file follows the start of the log at once, its checkpoint comes later: after a crash between
 * them the records below are back, and the file knows no epoch of theirs. */
static void an_epoch_file_that_begins_late_is_right_about_the_rest(void **state)
{
    (void)state;
    for (uint32_t from = 0; from < EPOCHS; from++) {
        const struct log_epochs *epochs;
        int64_t begun[EPOCHS + 1];

        box_with_epochs(from + 1, begun);
        log_raise_start(box.log, begun[from] + 5);
        log_box_run_ms(&box, 100);
        assert_int_equal(EPOCHS - from, box.log->epochs.count);
        for (uint32_t life = 0; life < 2; life++) { /* and so it was written */
            box_reopen(from % 2 == 0);
            epochs = &box.log->epochs;
            assert_int_equal(0, box.log->log_start);
            assert_int_equal(begun[EPOCHS], box.log->log_end);
            assert_int_equal(EPOCHS, epochs->count);
            for (uint32_t i = 0; i < EPOCHS; i++) {
                int64_t late = i > 0 && i < from ? 10 : 0; /* forgotten: from its first batch */

                assert_int_equal(known[i], epochs->entries[i].epoch);
                assert_int_equal(begun[i] + late, epochs->entries[i].start_offset);
            }
            log_box_run_ms(&box, 100);
        }
        log_box_over(&box);
    }
}

/* A copy of a compacted log begins with a hole: its file begins behind the start at every open. */
static void a_log_that_begins_with_a_hole_keeps_its_epochs(void **state)
{
    (void)state;
    box_begin(1);
    box.config.gaps = true;
    box_copy(4);
    log_begin_epoch(box.log, 6);
    box_copy(6);
    for (uint32_t life = 0; life < 3; life++) {
        log_box_stop(&box);
        log_box_up(&box);
        assert_int_equal(2, box.log->epochs.count);
        assert_int_equal(10, box.log->epochs.entries[0].start_offset);
        assert_int_equal(12, box.log->epochs.entries[1].start_offset);
        assert_int_equal(6, log_epochs_latest(&box.log->epochs));
    }
    log_box_over(&box);
}

/* The crc is none of the length: a batch whose length has grown looks like the beginning of one. */
static void a_length_that_rots_is_no_write_that_was_cut_short(void **state)
{
    enum { BATCHES = 12, LENGTH_AT = 8 };
    uint64_t at[BATCHES];

    (void)state;
    for (uint32_t bit = 12; bit < 31; bit++) {
        for (uint32_t batch = 0; batch < BATCHES; batch += BATCHES - 1) {
            box_begin(bit);
            log_dir_vouch(&box.dir, 42);
            assert_true(log_box_wait(&box, box_vouched));
            for (uint32_t i = 0; i < BATCHES; i++) {
                at[i] = log_active(box.log)->size;
                box_fill(1);
            }
            assert_true(log_active(box.log)->size < 1 << 12);
            log_box_kill(&box, false);
            assert_true(sim_rot_disk(box.node, "data/orders-0/00000000000000000000.log",
                                     at[batch] + LENGTH_AT + 3 - bit / 8, bit % 8));
            assert_int_equal(ERR_NONE, log_box_start(&box));
            assert_int_equal(42, box.dir.previous_broker_epoch);
            assert_int_equal(ERR_DAMAGED, log_box_open(&box));
            log_box_kill(&box, false);
            log_box_deinit(&box);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_below_the_start_is_not_below_a_promise),
        cmocka_unit_test(a_log_that_starts_over_does_so_again_after_a_crash),
        cmocka_unit_test(an_orderly_stop_syncs_what_stands_below_the_start),
        cmocka_unit_test(a_high_watermark_that_was_lost_does_not_come_back),
        cmocka_unit_test(a_tail_that_was_vouched_for_is_told_and_not_cut),
        cmocka_unit_test(a_tail_of_a_life_that_may_have_lost_it_is_cut),
        cmocka_unit_test(the_beginning_of_a_last_write_is_cut_though_vouched_for),
        cmocka_unit_test(an_epoch_file_that_begins_late_is_right_about_the_rest),
        cmocka_unit_test(a_log_that_begins_with_a_hole_keeps_its_epochs),
        cmocka_unit_test(a_length_that_rots_is_no_write_that_was_cut_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
