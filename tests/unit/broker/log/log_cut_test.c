/* Proves that a cut that meets a rotten batch below it changes nothing, says where, and comes to
 * its end once the place is sound again; and that rot which would be cut anyway is no hindrance
 * (storage.md DF7, DF8; swarm, seed 31010: such a replica was offline for ever). And that no high
 * watermark of what was cut comes back with the next start (R47), and no log start of a log that
 * was emptied (S18, R46); the start of a log is never above what a cut leaves of it. */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"
#include "sim/disk.h"

#include <string.h>

static struct log_box box;
static int32_t sequence;
static uint8_t before[4096], after[4096];

static void box_begin(uint64_t seed)
{
    sequence = 0;
    log_box_init(&box, seed);
    box.config.segment_bytes = 2500;
    box.config.index_interval_bytes = 200;
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_NONE, log_box_open(&box));
}

static void box_fill(int32_t epoch, uint32_t count)
{
    const struct log_producer *p = log_producers_find(&box.log->producers, 7);

    if (p != NULL)
        sequence =
            p->batches[p->count - 1].first_sequence + p->batches[p->count - 1].offset_delta + 1;
    for (uint32_t i = 0; i < count; i++) {
        struct log_append append;
        struct bytes bytes;
        struct buf *buf = log_box_produce_batch(&box, 7, 0, sequence, 1 + i % 3, &bytes);

        assert_int_equal(ERR_NONE,
                         log_append_as_leader(box.log, buf, bytes, epoch, LOG_CLIENT, &append));
        buf_unref(buf);
        assert_true(log_box_await(&box, &append));
        sequence += 1 + (int32_t)(i % 3);
    }
}

static void box_end(void)
{
    log_box_stop(&box);
    log_box_deinit(&box);
}

/* Bit 0 of a byte of the n-th batch; a second time it is sound again. */
static void box_rot(uint32_t nth, uint64_t byte)
{
    int64_t offset = box.batches[nth].base_offset;
    const struct log_segment *segment = box.log->segments[log_segment_find(box.log, offset)];
    static uint8_t file[8192];
    uint64_t done, size, at = 0;
    char path[LOG_PATH_MAX];

    log_path_of(path, box.log, segment->base, ".log");
    assert_int_equal(ERR_NONE,
                     sim_image_peek(sim_disk_image(box.node->disk), path, SIM_VIEW_VISIBLE, 0, file,
                                    sizeof file, &done, &size));
    /* By the lengths: the contents may be rotten already. */
    for (uint32_t i = 0; i < box.count && box.batches[i].base_offset < offset; i++)
        if (box.batches[i].base_offset >= segment->base) at += record_batch_total(file + at);
    assert_true(at + byte < size);
    assert_true(sim_image_rot(sim_disk_image(box.node->disk), path, at + byte, 0));
}

enum { EPOCH_BYTE = 15, CRC_BYTE = 20, VALUE_BYTE = 66 };

static size_t box_producers(uint8_t *at)
{
    return log_producers_snapshot(&box.log->producers, INT64_MAX, box.dir.env->world->cpu, at);
}

/* The first batch of segment `segment`, by its number, and one more. */
static uint32_t batch_in(uint32_t segment)
{
    for (uint32_t i = 0; i < box.count; i++)
        if (box.batches[i].base_offset == box.log->segments[segment]->base) return i + 1;
    fail_msg("no such batch");
    return 0;
}

static void refused(uint32_t nth, int64_t to, uint64_t byte)
{
    int64_t end = box.log->log_end;
    uint32_t segments = box.log->segment_count;
    uint32_t indexed = log_active(box.log)->index->offset_count;
    size_t size = box_producers(before);
    struct log_append append;

    assert_true(log_box_sync(&box));
    box_rot(nth, byte);
    assert_true(log_box_truncate(&box, to));
    assert_int_equal(LOG_OPEN, box.log->state);
    assert_int_equal(ERR_DAMAGED, box.log->err);
    assert_int_equal(box.batches[nth].base_offset, box.log->damaged);
    assert_int_equal(1, box.dir.damaged);
    /* As if nothing had been asked. */
    assert_int_equal(0, box.traced[TRACE_LOG_TRUNCATED]);
    assert_int_equal(end, box.log->log_end);
    assert_int_equal(segments, box.log->segment_count);
    assert_int_equal(indexed, log_active(box.log)->index->offset_count);
    for (uint32_t i = 0; i + 1 < segments; i++)
        assert_null(box.log->segments[i]->index);
    assert_int_equal(size, box_producers(after));
    assert_memory_equal(before, after, size);
    assert_int_equal(ERR_NONE, log_box_append(&box, 2, 1, 20, &append));
    assert_true(log_box_await(&box, &append));
    assert_int_equal(LOG_APPEND_DONE, log_append_state(box.log, &append));
    /* Sound again: now it comes to its end. */
    box_rot(nth, byte);
    log_undamaged(box.log);
    log_box_check(&box, 700);
    assert_true(log_box_truncate(&box, to));
    assert_int_equal(ERR_NONE, box.log->err);
    assert_int_equal(to, box.log->log_end);
    log_box_check(&box, 700);
}

static void damage_below_the_cut_leaves_the_log_as_it_was(void **state)
{
    static const uint64_t bytes[] = {EPOCH_BYTE, CRC_BYTE, VALUE_BYTE};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(bytes) * 3; i++) {
        uint32_t segment, nth;

        box_begin(i + 1);
        box_fill(1, 70);
        assert_true(box.log->segment_count > 3);
        segment = box.log->segment_count - 1 - i % 3; /* the active one, and two closed ones */
        box_fill(1, i % 3 == 0 ? 6 : 0);
        segment = i % 3 == 0 ? box.log->segment_count - 1 : segment;
        nth = batch_in(segment);
        refused(nth, box.batches[nth + 2].base_offset, bytes[i / 3]);
        box_fill(3, 20);
        log_box_check(&box, 700);
        log_box_kill(&box, true);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(ERR_NONE, log_box_open(&box));
        log_box_check(&box, 700);
        box_end();
    }
}

/* What is not below the cut goes anyway. */
static void damage_at_the_cut_goes_with_it(void **state)
{
    (void)state;
    for (uint32_t above = 0; above < 2; above++) {
        uint32_t nth;

        box_begin(1);
        box_fill(1, 70);
        nth = batch_in(2);
        assert_true(log_box_sync(&box));
        box_rot(nth + above, CRC_BYTE);
        assert_true(log_box_truncate(&box, box.batches[nth].base_offset));
        assert_int_equal(LOG_OPEN, box.log->state);
        assert_int_equal(ERR_NONE, box.log->err);
        assert_int_equal(box.batches[nth - 1].last_offset + 1, box.log->log_end);
        box_fill(2, 20);
        log_box_check(&box, 700);
        box_end();
    }
}

/* A file that lost its end is not a log that ends there: nobody asked for that. */
static void bytes_that_are_missing_below_the_cut_are_damage(void **state)
{
    struct sim_image *image;
    struct sim_inode *inode;
    char path[LOG_PATH_MAX];
    uint32_t nth;
    int64_t end;

    (void)state;
    box_begin(1);
    box_fill(1, 70);
    end = box.log->log_end;
    nth = batch_in(2);
    assert_true(log_box_sync(&box));
    image = sim_disk_image(box.node->disk);
    log_path_of(path, box.log, box.log->segments[2]->base, ".log");
    assert_int_equal(ERR_NONE, sim_image_open(image, path, 0, &inode));
    sim_image_truncate(image, inode, 100);
    sim_image_close(image, inode, false);
    assert_true(log_box_truncate(&box, box.batches[nth + 1].base_offset));
    assert_int_equal(LOG_OPEN, box.log->state);
    assert_int_equal(ERR_DAMAGED, box.log->err);
    assert_int_equal(end, box.log->log_end);
    assert_true(box.log->damaged >= box.log->segments[2]->base);
    log_undamaged(box.log);
    log_box_kill(&box, false);
    log_box_deinit(&box);
}

/* No memory: the same, and nothing is the matter with the directory. */
static void without_memory_a_cut_is_asked_for_again(void **state)
{
    uint32_t refusals = 0;

    (void)state;
    for (uint64_t nth = 1; nth < 30; nth++) {
        int64_t to, end;
        bool cut;

        box_begin(nth);
        box_fill(1, 70);
        to = box.batches[batch_in(2)].base_offset;
        end = box.log->log_end;
        box.env.mem.fail_at = nth;
        assert_true(log_box_truncate(&box, to));
        box.env.mem.fail_at = 0;
        cut = box.log->state == LOG_OPEN && box.log->err == ERR_NONE;
        if (box.log->state == LOG_OPEN && !cut) {
            refusals++;
            assert_int_equal(ERR_NO_MEMORY, box.log->err);
            assert_int_equal(end, box.log->log_end);
            assert_true(log_box_truncate(&box, to));
            cut = true;
        }
        if (cut) assert_int_equal(to, box.log->log_end);
        if (cut) log_box_check(&box, 700);
        log_box_kill(&box, false);
        log_box_deinit(&box);
    }
    assert_true(refusals > 0);
}

static void checkpoint(void)
{
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 100);
}

static bool reset_over(struct log_box *b)
{
    return b->log->state != LOG_TRUNCATING;
}

/* How the owner comes to cut. */
enum lowers {
    LOWERS_BY_CUT,     /* it says nothing of the high watermark */
    LOWERS_BEFORE,     /* it lowers it first, in the same turn (partition_truncate) */
    LOWERS_WHILE_KEPT, /* and a checkpoint is being written that has the lower one */
    LOWERS_KEPT_NOT,   /* and the checkpoint that had it could not be written */
    LOWERS_WAYS,
};

static void lower_by(enum lowers way, int64_t to)
{
    struct sim_disk_rule full = {.ops = 1u << DISK_WRITE,
                                 .glob = "*replication-offset-checkpoint*",
                                 .nth = 1,
                                 .times = 1,
                                 .error = ERR_NO_SPACE};

    if (way != LOWERS_BY_CUT) log_note_high_watermark(box.log, to);
    if (way == LOWERS_KEPT_NOT) {
        (void)sim_disk_add_rule(box.node->disk, &full);
        checkpoint();
        sim_disk_clear_rules(box.node->disk);
        assert_true(box.dir.checkpoint_dirty);
    }
    if (way == LOWERS_WHILE_KEPT) {
        (void)log_dir_checkpoint(&box.dir);
        while (!box.dir.checkpoint_busy)
            log_box_run_ms(&box, 0);
    }
}

/* Of the records that were cut: what is written instead may be replicated nowhere. Nothing of the
 * log was synced, so no recovery point has to be lowered for the cut. */
static void a_high_watermark_goes_with_what_is_cut(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 * LOWERS_WAYS; i++) {
        bool reset = i % 2 == 1;
        int64_t high, to;

        box_begin(i + 1);
        box.config.segment_bytes = 1 << 20;
        box_fill(1, 70);
        high = box.batches[60].base_offset;
        to = reset ? 0 : box.batches[10].base_offset;
        log_note_high_watermark(box.log, high);
        checkpoint();
        lower_by(i / 2, to);
        if (reset) {
            log_reset(box.log, 0);
            assert_true(log_box_wait(&box, reset_over));
            box.count = 0;
            box.synced_end = 0;
        } else {
            assert_true(log_box_truncate(&box, to));
        }
        assert_int_equal(LOG_OPEN, box.log->state);
        assert_int_equal(to, box.log->log_end);
        assert_int_equal(to, box.log->high_watermark);
        box_fill(2, 90);
        assert_true(box.log->log_end > high);
        log_box_kill(&box, false);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(ERR_NONE, log_box_open(&box));
        assert_true(box.log->log_end > high);
        if (box.log->high_watermark > to)
            fail_msg("way %u: %d after %d", i, (int)box.log->high_watermark, (int)to);
        log_box_check(&box, 700);
        box_end();
    }
}

/* What is fetched from the beginning again, into a log that began later before: the start of then
 * would empty it at the next open, of all that it has promised since. */
static void a_reset_takes_the_old_log_start_with_it(void **state)
{
    (void)state;
    for (uint32_t power = 0; power < 2; power++) {
        int64_t end;

        box_begin(power + 1);
        box_fill(1, 70);
        log_note_high_watermark(box.log, box.log->log_end);
        log_raise_start(box.log, box.batches[40].base_offset);
        checkpoint();
        log_reset(box.log, 0);
        assert_true(log_box_wait(&box, reset_over));
        assert_int_equal(LOG_OPEN, box.log->state);
        assert_int_equal(0, box.log->log_start);
        box.count = 0;
        box.synced_end = 0;
        box_fill(2, 10);
        assert_true(log_box_sync(&box));
        end = box.log->log_end;
        log_box_kill(&box, power == 1);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(ERR_NONE, log_box_open(&box));
        assert_int_equal(0, box.log->log_start);
        assert_int_equal(end, box.log->log_end);
        log_box_check(&box, 700);
        box_end();
    }
}

/* The batch that holds the start goes whole, and with it all that the log has. Its start was told
 * and is in the checkpoint: neither it nor the end goes below, now or with the next start. */
static void a_cut_inside_of_the_batch_with_the_start_keeps_the_start(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        int64_t start, to;

        box_begin(i + 1);
        box_fill(1, 70);
        start = box.batches[41].base_offset + 1; /* of two records or three */
        if (box.batches[41].last_offset < start) start = box.batches[42].base_offset + 1;
        to = i % 2 == 0 ? start : start + 1;
        log_note_high_watermark(box.log, start);
        log_raise_start(box.log, start);
        if (i < 4) checkpoint();
        log_truncate(box.log, to);
        assert_true(log_box_wait(&box, reset_over));
        assert_int_equal(LOG_OPEN, box.log->state);
        if (box.log->log_end >= to) { /* between two batches after all */
            box_end();
            continue;
        }
        assert_int_equal(start, box.log->log_start);
        assert_int_equal(start, box.log->log_end);
        assert_int_equal(start, box.log->high_watermark);
        log_box_kill(&box, i % 4 > 1);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(ERR_NONE, log_box_open(&box));
        assert_int_equal(start, box.log->log_start);
        assert_int_equal(start, box.log->log_end);
        box_end();
    }
}

static void fail_made(enum err err)
{
    struct sim_disk_rule rule = {.ops = 1u << DISK_OPEN,
                                 .glob = "*/00000000000000000000.log",
                                 .nth = 1,
                                 .times = 1,
                                 .changes_only = true,
                                 .error = err};

    if (err != ERR_NONE) (void)sim_disk_add_rule(box.node->disk, &rule);
    rule.ops = 1u << DISK_WRITE;
    (void)strcpy(rule.glob, "*leader-epoch-checkpoint*");
    if (err != ERR_NONE) (void)sim_disk_add_rule(box.node->disk, &rule);
}

/* Neither memory nor space that is short for a while is a failure of the disk (storage.md DF15). */
static void a_reset_waits_for_memory_and_space(void **state)
{
    static const enum err short_of[] = {ERR_NONE, ERR_NO_SPACE, ERR_TOO_MANY};
    uint32_t refusals = 0;

    (void)state;
    for (uint64_t i = 1; i < 60; i++) {
        bool damaged = i % 2 == 1;

        box_begin(i);
        box_fill(1, 70);
        if (damaged) {
            assert_true(log_box_sync(&box));
            checkpoint();
            box_rot(30, CRC_BYTE);
            log_box_kill(&box, false);
            assert_int_equal(ERR_NONE, log_box_start(&box));
            box.config.verify_all = true; /* below the recovery point as well */
            assert_int_equal(ERR_DAMAGED, log_box_open(&box));
        }
        fail_made(i < 30 ? ERR_NONE : short_of[i % 3]);
        box.env.mem.fail_at = i < 30 ? (i + 1) / 2 : 0;
        log_reset(box.log, 0);
        assert_true(log_box_wait(&box, reset_over));
        if (i < 30 && box.env.mem.fail_at == 0) refusals++;
        box.env.mem.fail_at = 0;
        assert_int_equal(LOG_DIR_ONLINE, box.dir.state);
        assert_int_equal(LOG_OPEN, box.log->state);
        assert_int_equal(ERR_NONE, box.log->err);
        assert_int_equal(0, box.log->log_end);
        box.count = 0;
        box.synced_end = 0;
        sim_disk_clear_rules(box.node->disk);
        box_fill(3, 20);
        log_box_check(&box, 700);
        log_box_kill(&box, false);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        assert_int_equal(ERR_NONE, log_box_open(&box));
        log_box_check(&box, 700);
        box_end();
    }
    assert_true(refusals > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_below_the_cut_leaves_the_log_as_it_was),
        cmocka_unit_test(damage_at_the_cut_goes_with_it),
        cmocka_unit_test(bytes_that_are_missing_below_the_cut_are_damage),
        cmocka_unit_test(without_memory_a_cut_is_asked_for_again),
        cmocka_unit_test(a_high_watermark_goes_with_what_is_cut),
        cmocka_unit_test(a_reset_takes_the_old_log_start_with_it),
        cmocka_unit_test(a_cut_inside_of_the_batch_with_the_start_keeps_the_start),
        cmocka_unit_test(a_reset_waits_for_memory_and_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
