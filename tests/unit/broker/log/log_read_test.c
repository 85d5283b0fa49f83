/* Proves the ways into a log besides a leader's append and a plain read: copying from a leader,
 * lookups by time, limits of a read, an index that lies, damage, two logs in one sync. */
#include "tests/support/log_box.h"

#include "broker/log/log_patch.h"
#include "broker/log/log_private.h"
#include "client/base/rng.h"

#include <string.h>

static struct log_patch the_patch;
static struct log_read lookup_read;

static void box_begin(struct log_box *box, uint64_t seed)
{
    log_box_init(box, seed);
    box->config.segment_bytes = 4096;
    box->config.index_interval_bytes = 200;
    log_box_up(box);
}

static void box_end(struct log_box *box)
{
    assert_null(op_loop_probe(&box->env.loop)); /* no wake-up was lost */
    log_box_over(box);
}

/* Batch i has 2 records of time 1000 + 2i. */
static void box_fill(struct log_box *box, uint32_t count)
{
    struct log_append append;

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ERR_NONE, log_box_append(box, 1, 2, 60, &append));
        assert_true(log_box_await(box, &append));
    }
}

static void a_follower_takes_whole_batches_of_no_later_epoch(void **state)
{
    static struct log_box box;
    struct bytes batches[3];
    struct buf *bufs[3];
    struct buf *all;
    struct log_append append;
    uint32_t size = 0, third;

    (void)state;
    box_begin(&box, 1);
    all = buf_take(&box.env.payload, 4096, true);
    assert_non_null(all);
    for (int i = 0; i < 3; i++) {
        bufs[i] = log_box_batch(&box, 2, 50, 1000, &batches[i]);
        memcpy(all->data + size, batches[i].data, batches[i].length);
        record_batch_set_offset(all->data + size, i * 2, i < 2 ? 4 : 6);
        size += batches[i].length;
        buf_unref(bufs[i]);
    }
    third = size - batches[2].length;
    /* A part of the third, and its epoch would be too new anyway. */
    assert_int_equal(ERR_NONE, log_append_as_follower(
                                   box.log, all, (struct bytes){all->data, size - 5}, 4, &append));
    assert_true(append.base_offset == 0 && append.last_offset == 3);
    assert_true(log_box_await(&box, &append));
    assert_true(box.log->log_end == 4);
    assert_int_equal(4, log_latest_epoch(box.log));
    assert_int_equal(
        ERR_NONE, log_append_as_follower(
                      box.log, all, (struct bytes){all->data + third, size - third}, 5, &append));
    assert_true(append.last_offset < append.base_offset);
    /* Not at the end; a damaged one. */
    assert_int_equal(
        ERR_OFFSET_OUT_OF_RANGE,
        log_append_as_follower(box.log, all, (struct bytes){all->data, third}, 9, &append));
    all->data[third + 70] ^= 1;
    assert_int_equal(ERR_CORRUPT_MESSAGE,
                     log_append_as_follower(box.log, all,
                                            (struct bytes){all->data + third, size - third}, 9,
                                            &append));
    all->data[third + 70] ^= 1;
    assert_int_equal(
        ERR_NONE, log_append_as_follower(
                      box.log, all, (struct bytes){all->data + third, size - third}, 9, &append));
    buf_unref(all);
    assert_true(log_box_await(&box, &append));
    assert_true(box.log->log_end == 6);
    assert_true(log_end_offset_for(box.log, 4).end_offset == 4);
    assert_true(log_end_offset_for(box.log, 5).end_offset == 4);
    assert_int_equal(4, log_end_offset_for(box.log, 5).epoch);
    log_box_check(&box, 1000);
    box_end(&box);
}

static struct log_time_lookup *looking(struct log_time_lookup *set)
{
    static struct log_time_lookup *lookup;

    if (set != NULL) lookup = set;
    return lookup;
}

static bool looked(struct log_box *box)
{
    (void)box;
    return looking(NULL)->done;
}

static int64_t offset_for(struct log_box *box, int64_t timestamp)
{
    static struct log_time_lookup lookup;

    lookup = (struct log_time_lookup){.timestamp = timestamp, .limit = INT64_MAX};
    (void)looking(&lookup);
    log_offset_for_time(box->log, &lookup);
    if (!lookup.done) assert_true(log_box_wait(box, looked));
    assert_int_equal(ERR_NONE, lookup.err);
    return lookup.offset;
}

static void times_are_found_in_every_segment_before_and_after_a_restart(void **state)
{
    static struct log_box box;

    (void)state;
    box_begin(&box, 2);
    box_fill(&box, 120);
    assert_true(box.log->segment_count > 3);
    for (int round = 0; round < 2; round++) {
        for (int64_t i = 0; i < 120; i += 7) {
            assert_true(offset_for(&box, 1000 + 2 * i) == 2 * i);
            assert_true(offset_for(&box, 999 + 2 * i) == 2 * i);
        }
        assert_true(offset_for(&box, 5000) == -1);
        assert_true(offset_for(&box, -3) == 238);
        log_box_stop(&box);
        log_box_up(&box);
    }
    box_end(&box);
}

static struct log_read *reading(void)
{
    static struct log_read read;

    return &read;
}

static bool read_done(struct log_box *box)
{
    (void)box;
    return reading()->done;
}

static enum err read_at(struct log_box *box, int64_t offset, int64_t limit, uint32_t max_bytes,
                        bool whole)
{
    struct log_read *read = reading();

    read->offset = offset;
    read->limit = limit;
    read->max_bytes = max_bytes;
    read->first_whole = whole;
    log_read(box->log, read);
    if (!read->done) assert_true(log_box_wait(box, read_done));
    return read->err;
}

static void a_read_keeps_to_its_limits(void **state)
{
    static struct log_box box;

    (void)state;
    box_begin(&box, 3);
    box_fill(&box, 80);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, read_at(&box, 161, 500, 1000, true));
        assert_int_equal(ERR_NONE, read_at(&box, 160, 500, 1000, true));
        assert_int_equal(0, reading()->bytes);
        assert_int_equal(ERR_NONE, read_at(&box, 11, 11, 1000, true));
        assert_int_equal(0, reading()->bytes);
        /* From inside a batch: the batch; up to the limit: whole batches below it. */
        assert_int_equal(ERR_NONE, read_at(&box, 11, 15, 100000, true));
        assert_true(reading()->next_offset == 14);
        log_read_release(reading());
        assert_int_equal(ERR_NONE, read_at(&box, 11, 100, 1, false));
        assert_int_equal(0, reading()->bytes);
        assert_int_equal(ERR_NONE, read_at(&box, 11, 100, 1, true));
        assert_true(reading()->next_offset == 12);
        log_read_release(reading());
        log_cache_cut(&box.cache, &box.log->cached, 0);
    }
    log_raise_start(box.log, 20);
    assert_int_equal(ERR_OFFSET_OUT_OF_RANGE, read_at(&box, 19, 100, 1, true));
    box_end(&box);
}

static void a_new_log_is_read_where_the_offset_is_and_not_from_its_start(void **state)
{
    static struct log_box box;
    struct log_append append;
    uint64_t steps;

    (void)state;
    log_box_init(&box, 7);
    log_box_up(&box);
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(ERR_NONE, log_box_append(&box, 1, 1, 2000, &append));
        assert_true(log_box_await(&box, &append));
    }
    assert_int_equal(1, box.log->segment_count);
    log_cache_cut(&box.cache, &box.log->cached, 0);
    steps = box.traced[TRACE_OP_STEP];
    assert_int_equal(ERR_NONE, read_at(&box, 195, 200, 1, true));
    assert_true(reading()->next_offset == 196);
    log_read_release(reading());
    assert_in_range(box.traced[TRACE_OP_STEP] - steps, 1, 5); /* from the start it is about 50 */
    box_end(&box);
}

static bool box_read_done(struct log_box *box)
{
    (void)box;
    return lookup_read.done;
}

/* Reads one batch at an offset, and tells how many reads of the disk that took. */
static uint64_t box_look_up(struct log_box *box, int64_t offset)
{
    uint64_t reads = sim_disk_stats(box->node->disk)->reads;

    log_cache_cut(&box->cache, &box->log->cached, 0);
    for (uint32_t i = 0; i < box->log->segment_count; i++)
        box->log->segments[i]->hint_offset = -1;
    lookup_read = (struct log_read){
        .offset = offset, .limit = box->log->log_end, .max_bytes = 1, .first_whole = true};
    log_read(box->log, &lookup_read);
    assert_true(log_box_wait(box, box_read_done));
    assert_int_equal(ERR_NONE, lookup_read.err);
    assert_int_equal(1, lookup_read.count);
    assert_true((int64_t)be_get64(lookup_read.slices[0].data) <= offset);
    assert_true(lookup_read.next_offset > offset);
    log_read_release(&lookup_read);
    return sim_disk_stats(box->node->disk)->reads - reads;
}

static void an_offset_is_found_with_one_read_of_an_index_and_one_of_the_log(void **state)
{
    static struct log_box box;
    struct log_append append;
    struct rng rng;

    (void)state;
    for (uint32_t large = 0; large < 2; large++) {
        uint64_t warm = 0;

        log_box_init(&box, 31 + large);
        box.config.segment_bytes = large ? 200000 : 24000;
        box.config.index_interval_bytes = 400;
        log_box_up(&box);
        while (box.log->segment_count < 10) {
            assert_int_equal(ERR_NONE,
                             log_box_append(&box, 1, large ? 40 : 3, large ? 300 : 60, &append));
            assert_true(log_box_await(&box, &append));
        }
        rng_init(&rng, 5);
        for (uint32_t i = 0; i < 300; i++) {
            int64_t offset = (int64_t)rng_below(&rng, (uint64_t)box.log->log_end);

            for (uint32_t s = 0; s < box.log->segment_count; s++)
                log_lookup_forget(box.log, box.log->segments[s]);
            assert_int_equal(0, box.dir.index_bytes);
            assert_true(box_look_up(&box, offset) <= 2 + large);
            warm = box_look_up(&box, offset);
            assert_true(warm == 1 || (large && warm == 2));
        }
        /* With room for two indexes no more than two are in memory, and all is found. */
        box.dir.limits.index_bytes = 2048;
        for (uint32_t i = 0; i < 100; i++) {
            assert_true(box_look_up(&box, (int64_t)rng_below(&rng, (uint64_t)box.log->log_end)) <=
                        4 + large);
            assert_true(box.dir.index_bytes <= box.dir.limits.index_bytes);
        }
        box_end(&box);
    }
}

/* No memory for an index: it is searched in its file, by halves down to 64 entries. */
static void an_index_too_large_to_load_is_searched_in_its_file(void **state)
{
    static const char *const path = "data/orders-0/00000000000000000000.index";
    static struct log_box box;
    uint32_t most = 0;

    (void)state;
    log_box_init(&box, 41);
    box.config.segment_bytes = 100000;
    box.config.index_interval_bytes = 100;
    log_box_up(&box);
    while (box.log->segment_count < 2)
        box_fill(&box, 1);
    assert_true(box.log->segments[0]->offset_count > 300);
    box.dir.limits.index_bytes = 1024;
    for (uint32_t round = 0; round < 3; round++) {
        for (int64_t offset = 0; offset < box.log->segments[1]->base; offset += 5) {
            uint64_t reads;

            log_lookup_forget(box.log, box.log->segments[0]);
            reads = box_look_up(&box, offset);
            if (reads > most) most = (uint32_t)reads;
            assert_int_equal(0, box.dir.index_bytes);
        }
        if (round == 0) {
            assert_in_range(most, 4, 6); /* of some 500: three halves, the rest, the log */
            assert_false(box.log->segments[0]->index_bad);
            /* Entries that lie, about offsets first, then about positions: all is found. */
            for (uint64_t at = 3; at < 2400; at += 8 * 16)
                assert_true(sim_image_rot(sim_disk_image(box.node->disk), path, at, 1));
        } else if (round == 1) {
            box.log->segments[0]->index_bad = false;
            for (uint64_t at = 6; at < 2400; at += 8)
                assert_true(sim_image_rot(sim_disk_image(box.node->disk), path, at, 1));
        }
    }
    assert_true(box.log->segments[0]->index_bad);
    box_end(&box);
}

static void an_index_that_lies_is_not_believed_and_a_rotten_batch_is_not_served(void **state)
{
    static struct log_box box;
    struct sim_image *image;

    (void)state;
    box_begin(&box, 4);
    box_fill(&box, 80);
    log_cache_cut(&box.cache, &box.log->cached, 0);
    image = sim_disk_image(box.node->disk);
    /* Positions of the first segment's index: the high byte of the low half. */
    for (uint64_t at = 6; at < 40; at += 8)
        assert_true(sim_image_rot(image, "data/orders-0/00000000000000000000.index", at, 1));
    for (int64_t i = 0; i < 80; i++) {
        assert_int_equal(ERR_NONE, read_at(&box, i * 2, 160, 1, true));
        assert_true(reading()->next_offset == i * 2 + 2);
        log_read_release(reading());
    }
    assert_true(sim_image_rot(image, "data/orders-0/00000000000000000000.log", 100, 1));
    assert_int_equal(ERR_CORRUPT_MESSAGE, read_at(&box, 0, 160, 1000, true));
    assert_int_equal(0, reading()->count);
    assert_int_equal(ERR_NONE, read_at(&box, 2, 160, 1000, true));
    log_read_release(reading());
    assert_true(box.traced[TRACE_LOG_DAMAGED] >= 1);
    box_end(&box);
}

static bool patched(struct log_box *box)
{
    (void)box;
    return !the_patch.busy;
}

static enum err patch_with(struct log_box *box, struct bytes batch)
{
    log_patch_start(&the_patch, box->log, batch);
    assert_true(log_box_wait(box, patched));
    return the_patch.err;
}

/* Behind the first batch: a read that comes from the beginning of the segment finds it, too. */
static void a_rotten_header_is_damage_until_the_same_batch_is_written_again(void **state)
{
    static uint8_t copies[2][1024];
    static struct log_box box;
    struct bytes batches[2];

    (void)state;
    box_begin(&box, 14);
    box_fill(&box, 80);
    log_cache_cut(&box.cache, &box.log->cached, 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(ERR_NONE, read_at(&box, 2 + 2 * i, 160, 1, true));
        assert_true(reading()->bytes < sizeof copies[i]);
        memcpy(copies[i], reading()->slices[0].data, reading()->bytes);
        batches[i] = (struct bytes){copies[i], reading()->bytes};
        log_read_release(reading());
    }
    /* The magic of the second batch. */
    assert_true(sim_image_rot(sim_disk_image(box.node->disk),
                              "data/orders-0/00000000000000000000.log", batches[0].length + 16, 1));
    assert_int_equal(ERR_CORRUPT_MESSAGE, read_at(&box, 2, 160, 1000, true));
    assert_int_equal(ERR_CORRUPT_MESSAGE, read_at(&box, 4, 160, 1000, true));
    assert_true(box.log->damaged == 2 && box.dir.damaged == 1);
    assert_true(box.log->damaged_position == batches[0].length);
    assert_int_equal(ERR_BAD_STATE, patch_with(&box, batches[1])); /* of another place */
    copies[0][70] ^= 1;
    assert_int_equal(ERR_BAD_STATE, patch_with(&box, batches[0])); /* not sound itself */
    copies[0][70] ^= 1;
    assert_true(box.log->damaged == 2);
    assert_int_equal(ERR_NONE, patch_with(&box, batches[0]));
    assert_true(box.log->damaged == -1 && box.dir.damaged == 0);
    assert_int_equal(1, box.traced[TRACE_LOG_REPAIRED]);
    for (int64_t i = 0; i < 80; i++) {
        assert_int_equal(ERR_NONE, read_at(&box, i * 2, 160, 1, true));
        assert_true(reading()->next_offset == i * 2 + 2);
        log_read_release(reading());
    }
    box_end(&box);
}

static void an_epoch_that_began_without_a_batch_is_remembered(void **state)
{
    static struct log_box box;

    (void)state;
    box_begin(&box, 5);
    box_fill(&box, 5);
    log_begin_epoch(box.log, 7);
    assert_int_equal(7, log_latest_epoch(box.log));
    assert_true(log_end_offset_for(box.log, 1).end_offset == 10);
    log_box_run_ms(&box, 100);
    assert_false(box.log->epochs_dirty);
    box_fill(&box, 0);
    box_end(&box);
}

static bool both_synced(struct log_box *box)
{
    struct log_known *known = log_dir_find(&box->dir, STR("orders-1"));

    return box->log->synced_end == 10 && known->log->synced_end == 2;
}

static bool other_open(struct log_box *box)
{
    return log_dir_find(&box->dir, STR("orders-1"))->log->state == LOG_OPEN;
}

static bool other_closed(struct log_box *box)
{
    return log_dir_find(&box->dir, STR("orders-1"))->log->state == LOG_CLOSED;
}

static bool other_written(struct log_box *box)
{
    return log_dir_find(&box->dir, STR("orders-1"))->log->log_end == 2;
}

static void two_logs_share_a_sync(void **state)
{
    static struct log_box box;
    struct log_open open = {.topic = STR("orders"), .partition = 1, .create = true};
    struct log_append append;
    struct log *other;
    struct bytes bytes;
    struct buf *buf;
    uint64_t syncs;

    (void)state;
    box_begin(&box, 6);
    open.topic_id.bytes[3] = 7;
    other = log_open(&box.dir, &open, &box.config);
    assert_non_null(other);
    assert_null(log_open(&box.dir, &open, &box.config)); /* twice is once too often */
    assert_true(log_box_wait(&box, other_open));
    box_fill(&box, 5);
    buf = log_box_batch(&box, 2, 50, 1000, &bytes);
    assert_int_equal(ERR_NONE, log_append_as_leader(other, buf, bytes, 0, LOG_CLIENT, &append));
    buf_unref(buf);
    assert_true(log_box_wait(&box, other_written));
    syncs = sim_disk_stats(box.node->disk)->syncs;
    log_sync(box.log);
    log_sync(other);
    assert_true(log_box_wait(&box, both_synced));
    assert_true(sim_disk_stats(box.node->disk)->syncs - syncs <= 2);
    assert_true(sizeof *other + sizeof(void *) * 8 < 1400); /* an idle partition is small */
    log_close(other);
    assert_true(log_box_wait(&box, other_closed));
    log_box_run_ms(&box, 1);
    log_free(other);
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_takes_whole_batches_of_no_later_epoch),
        cmocka_unit_test(times_are_found_in_every_segment_before_and_after_a_restart),
        cmocka_unit_test(a_read_keeps_to_its_limits),
        cmocka_unit_test(a_new_log_is_read_where_the_offset_is_and_not_from_its_start),
        cmocka_unit_test(an_offset_is_found_with_one_read_of_an_index_and_one_of_the_log),
        cmocka_unit_test(an_index_too_large_to_load_is_searched_in_its_file),
        cmocka_unit_test(an_index_that_lies_is_not_believed_and_a_rotten_batch_is_not_served),
        cmocka_unit_test(a_rotten_header_is_damage_until_the_same_batch_is_written_again),
        cmocka_unit_test(an_epoch_that_began_without_a_batch_is_remembered),
        cmocka_unit_test(two_logs_share_a_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
