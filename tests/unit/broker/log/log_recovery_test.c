/* Proves that recovery is idempotent under crashes of its own, that errors and missing memory are
 * never taken for missing bytes, and that the known holes of Kafka's recovery are closed
 * (storage.md 17: H1, H3, H4, H5, H10, H13, H14; 18: DF11). */
#include "tests/support/log_box.h"

#include "broker/log/log_private.h"
#include "sim/disk.h"

#include <string.h>

static struct log_box box;

static void box_begin(uint64_t seed)
{
    log_box_init(&box, seed);
    box.config.segment_bytes = 1500;
    box.config.index_interval_bytes = 200;
    log_box_up(&box);
}

static void box_fill(int32_t epoch, uint32_t count)
{
    struct log_append append;

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ERR_NONE, log_box_append(&box, epoch, 1 + i % 3, 60, &append));
        assert_true(log_box_await(&box, &append));
    }
}

/* A synced half, an unsynced half with torn pages, and then the power goes. */
static void box_torn(uint64_t seed)
{
    box_begin(seed);
    sim_disk_settings(box.node->disk)->loss =
        (struct sim_loss){SIM_LOSS_PAGES, 500000, 500000, 200000};
    box_fill(1, 20);
    assert_true(log_box_sync(&box));
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 100);
    box_fill(2, 15);
    log_box_kill(&box, true);
}

static void a_crash_at_any_event_of_a_recovery_changes_nothing(void **state)
{
    uint32_t crashed = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        int64_t end, synced;

        box_torn(seed);
        synced = box.synced_end;
        log_box_up(&box);
        end = box.log->log_end;
        assert_true(end >= synced && synced > 0);
        log_box_kill(&box, false);
        log_box_deinit(&box);
        for (uint64_t at = 1;; at += 3) {
            bool whole;

            box_torn(seed); /* the same disk again */
            box.events_left = at;
            whole = log_box_start(&box) == ERR_NONE && log_box_open(&box) == ERR_NONE;
            box.events_left = 0;
            log_box_kill(&box, at % 2 == 0); /* what recovery cut is synced, or cut again */
            log_box_up(&box);
            assert_true(box.log->log_end >= synced && box.log->log_end <= end);
            if (at % 2 != 0) assert_true(box.log->log_end == end);
            log_box_check(&box, 1000);
            log_box_over(&box);
            crashed += !whole;
            if (whole || at > 400) break;
        }
    }
    assert_true(crashed > 60);
}

static void without_memory_an_open_fails_and_the_next_one_finds_everything(void **state)
{
    uint32_t refused = 0;

    (void)state;
    for (uint64_t nth = 1; nth < 60; nth++) {
        int64_t end;

        box_begin(nth);
        box_fill(1, 20);
        end = box.log->log_end;
        log_box_kill(&box, false);
        assert_int_equal(ERR_NONE, log_box_start(&box));
        box.env.mem.fail_at = nth;
        {
            struct log_open open = {.topic = STR("orders"), .partition = 0, .create = true};

            open.topic_id.bytes[3] = 7;
            box.log = log_open(&box.dir, &open, &box.config);
            if (box.log != NULL) log_box_run_ms(&box, 10000);
        }
        if (box.log != NULL && box.log->state == LOG_OPEN) {
            assert_true(box.log->log_end == end);
        } else {
            refused++;
            if (box.log != NULL) assert_int_equal(ERR_NO_MEMORY, box.log->err);
            if (box.log != NULL) assert_int_equal(LOG_FAILED, box.log->state);
        }
        box.env.mem.fail_at = 0;
        log_box_kill(&box, false);
        log_box_up(&box);
        assert_true(box.log->log_end == end);
        log_box_check(&box, 1000);
        log_box_over(&box);
    }
    assert_true(refused > 10);
}

static void without_memory_appends_fail_one_by_one_and_nothing_is_lost(void **state)
{
    uint32_t refused = 0;

    (void)state;
    for (uint64_t nth = 1; nth < 40; nth++) {
        box_begin(nth);
        box_fill(1, 3);
        box.env.mem.fail_at = nth;
        for (uint32_t i = 0; i < 25 && box.log->state == LOG_OPEN; i++) { /* with rolls */
            struct log_append append;
            enum err err;
            struct bytes bytes;
            struct buf *buf;
            uint64_t armed = box.env.mem.fail_at;

            box.env.mem.fail_at = 0; /* the batch itself is the test's */
            buf = log_box_batch(&box, 2, 60, 1000, &bytes);
            box.env.mem.fail_at = armed;
            err =
                log_append_as_leader(box.log, buf, bytes, 1 + (int32_t)i / 10, LOG_CLIENT, &append);
            buf_unref(buf);
            if (err == ERR_NONE) {
                assert_true(log_box_await(&box, &append));
                if (log_append_state(box.log, &append) == LOG_APPEND_FAILED) refused++;
            } else {
                assert_true(err == ERR_NO_MEMORY || err == ERR_KAFKA_STORAGE_ERROR);
                refused++;
                log_box_run_ms(&box, 100); /* a repair under way */
            }
        }
        box.env.mem.fail_at = 0;
        if (box.log->state == LOG_OPEN) log_box_check(&box, 700);
        log_box_kill(&box, false);
        log_box_up(&box);
        log_box_check(&box, 700);
        assert_true(box.count == 0 ||
                    box.log->log_end == box.batches[box.count - 1].last_offset + 1);
        log_box_over(&box);
    }
    assert_true(refused > 10);
}

/* H1: the disk is full, or fails, while a log is recovered: nothing of it is cut. */
static void an_error_during_recovery_never_truncates(void **state)
{
    uint32_t failed = 0;

    (void)state;
    for (uint32_t nth = 1; nth < 60; nth++) {
        for (int kind = 0; kind < 2; kind++) {
            struct sim_disk_rule rule = {.ops = ~0u & ~(1u << DISK_CLOSE),
                                         .nth = nth,
                                         .times = 1 + nth % 3,
                                         .glob = "*orders-0*",
                                         .error = kind == 0 ? ERR_NO_SPACE : ERR_IO,
                                         .partial = true};
            int64_t end;

            box_begin(nth);
            box_fill(1, 20);
            end = box.log->log_end;
            log_box_kill(&box, false);
            (void)sim_disk_add_rule(box.node->disk, &rule);
            assert_int_equal(ERR_NONE, log_box_start(&box));
            failed += log_box_open(&box) != ERR_NONE;
            log_box_kill(&box, false);
            sim_disk_clear_rules(box.node->disk);
            log_box_up(&box);
            assert_true(box.log->log_end == end);
            log_box_check(&box, 1000);
            log_box_over(&box);
        }
    }
    assert_true(failed > 10);
}

static uint64_t image_read(const char *path, uint8_t *into, size_t room)
{
    uint64_t done, size;

    assert_int_equal(ERR_NONE, sim_image_peek(sim_disk_image(box.node->disk), path,
                                              SIM_VIEW_VISIBLE, 0, into, room, &done, &size));
    assert_true(size <= room);
    return done;
}

static void image_put(const char *path, const uint8_t *data, uint64_t length)
{
    struct sim_image *image = sim_disk_image(box.node->disk);
    struct sim_inode *inode;

    assert_int_equal(ERR_NONE, sim_image_open(image, path, DISK_CREATE, &inode));
    sim_image_write(image, inode, 0, data, length);
    sim_image_close(image, inode, false);
}

/* H4: the marker of an old stop comes back; it vouches for a size that no longer fits. */
static void a_clean_marker_that_comes_back_vouches_for_nothing(void **state)
{
    static uint8_t marker[4096];
    uint64_t length;
    int64_t end;

    (void)state;
    box_begin(1);
    box_fill(1, 5);
    log_box_stop(&box);
    length = image_read("data/.kafka_cleanshutdown", marker, sizeof marker);
    log_box_up(&box);
    assert_true(box.log->opened_clean);
    box_fill(1, 3);
    end = box.log->log_end;
    log_box_kill(&box, false);
    image_put("data/.kafka_cleanshutdown", marker, length);
    log_box_up(&box);
    assert_false(box.log->opened_clean);
    assert_true(box.log->log_end == end);
    log_box_check(&box, 1000);
    log_box_over(&box);
}

static bool box_vouched(struct log_box *b)
{
    return log_dir_vouched(&b->dir);
}

static void box_vouch(int64_t broker_epoch)
{
    log_dir_vouch(&box.dir, broker_epoch);
    assert_true(log_box_wait(&box, box_vouched));
}

static void box_restart(bool power, int64_t previous)
{
    log_box_kill(&box, power);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_true(box.dir.previous_broker_epoch == previous);
}

/* KIP-966: who was killed has lost nothing, who lost power may have. */
static void only_a_power_loss_takes_the_epoch_of_the_last_life(void **state)
{
    (void)state;
    box_begin(1);
    assert_true(box.dir.previous_broker_epoch == -1);
    box_vouch(42);
    box_restart(false, 42);
    assert_false(box.dir.was_clean);
    box_restart(false, 42); /* nothing was registered in between */
    box_vouch(50);
    box_restart(true, -1);
    box_restart(false, -1); /* what was not vouched for in this boot */
    box_vouch(60);
    box_restart(true, -1);
    box_vouch(70);
    box.dir.broker_epoch = 70;
    assert_int_equal(ERR_NONE, log_box_open(&box));
    log_box_stop(&box);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_true(box.dir.was_clean);
    assert_true(box.dir.previous_broker_epoch == 70);
    box_restart(false, 70); /* killed before it was registered: still nothing lost */
    box.dir.broker_epoch = 70;
    box.dir.unread = true; /* stopped before its logs were open: as if it had not run */
    log_box_stop(&box);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_false(box.dir.was_clean);
    assert_true(box.dir.previous_broker_epoch == 70);
    box_restart(true, -1);
    assert_int_equal(ERR_NONE, log_box_open(&box));
    log_box_over(&box);
}

/* DF14: the page cache shows what the device will never have; nobody vouches for that. */
static void a_directory_that_failed_is_not_vouched_for(void **state)
{
    (void)state;
    box_begin(1);
    box_vouch(42);
    log_dir_fail(&box.dir, ERR_IO);
    log_box_stop(&box);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_true(box.dir.previous_broker_epoch == -1);
    assert_int_equal(ERR_NONE, log_box_open(&box));
    /* Killed before it was closed: no time is lost. */
    box_vouch(43);
    log_dir_fail(&box.dir, ERR_IO);
    log_box_run_ms(&box, 5);
    box_restart(false, -1);
    /* Nor by the file of the life before, which this one had not replaced when it failed. */
    box_vouch(44);
    box_restart(false, 44);
    log_dir_fail(&box.dir, ERR_IO);
    log_box_run_ms(&box, 5);
    box_restart(false, -1);
    assert_int_equal(ERR_NONE, log_box_open(&box));
    log_box_over(&box);
}

/* H13: truncated, written again, and the power goes, with any part of the pages kept. */
static void nothing_of_a_truncated_history_survives_a_power_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        box_begin(seed);
        sim_disk_settings(box.node->disk)->loss =
            (struct sim_loss){seed % 2 == 0 ? SIM_LOSS_RANDOM : SIM_LOSS_PAGES, 500000, 300000, 0};
        box_fill(1, 20);
        if (seed % 3 == 0) assert_true(log_box_sync(&box));
        assert_true(log_box_truncate(&box, 6));
        box_fill(2, 12);
        log_box_kill(&box, true);
        log_box_up(&box);
        /* Every batch is one of the second history: the model forgot what was cut. */
        log_box_check(&box, 1000);
        log_box_over(&box);
    }
}

/* H14: a segment in the middle is gone. */
static void a_missing_segment_is_damage_and_not_an_end(void **state)
{
    struct sim_image *image;
    char path[64];

    (void)state;
    box_begin(1);
    box_fill(1, 40);
    assert_true(box.traced[TRACE_LOG_ROLLED] > 3);
    assert_true(log_box_sync(&box));
    (void)log_dir_checkpoint(&box.dir);
    log_box_run_ms(&box, 100);
    memset(path, 0, sizeof path);
    {
        /* The second segment begins where a batch of the model does. */
        bool found = false;

        image = sim_disk_image(box.node->disk);
        for (uint32_t i = 1; i < box.count && !found; i++) {
            int64_t base = box.batches[i].base_offset;
            const char *name = "data/orders-0/000000000000000000";

            memcpy(path, name, strlen(name));
            path[strlen(name)] = (char)('0' + base / 10);
            path[strlen(name) + 1] = (char)('0' + base % 10);
            memcpy(path + strlen(name) + 2, ".log", 5);
            found = base < 100 && sim_image_unlink(image, path) == ERR_NONE;
        }
        assert_true(found);
    }
    log_box_kill(&box, false);
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_DAMAGED, log_box_open(&box));
    assert_int_equal(LOG_FAILED, box.log->state);
    /* A leader has it: start over. */
    box.count = 0;
    box.synced_end = 0;
    log_reset(box.log, 0);
    log_box_run_ms(&box, 1000);
    assert_int_equal(LOG_OPEN, box.log->state);
    assert_true(box.log->log_end == 0);
    box_fill(3, 5);
    log_box_check(&box, 1000);
    log_box_over(&box);
}

/* H5: pages that a failed sync marked clean are in the cache and not on the device. Whatever
 * recovery accepts is there after the next power loss. */
static void recovery_believes_the_device_and_not_the_cache(void **state)
{
    struct sim_disk_rule rule = {
        .ops = 1u << DISK_SYNC | 1u << DISK_SYNC_MANY, .nth = 1, .times = 1, .error = ERR_IO};
    uint32_t shorter = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        int64_t synced, written, end;

        box_begin(seed);
        box.config.segment_bytes = 1 << 20;
        sim_disk_settings(box.node->disk)->loss = (struct sim_loss){.policy = SIM_LOSS_EVERYTHING};
        sim_disk_settings(box.node->disk)->writeback_ns = 0;
        box_fill(1, 4);
        assert_true(log_box_sync(&box));
        synced = box.synced_end;
        box_fill(1, 60); /* pages of their own */
        written = box.log->log_end;
        (void)sim_disk_add_rule(box.node->disk, &rule);
        log_sync(box.log);
        log_box_run_ms(&box, 1000);
        assert_int_equal(LOG_DIR_OFFLINE, box.dir.state);
        log_box_kill(&box, false); /* the page cache stays, or some of it */
        sim_disk_clear_rules(box.node->disk);
        log_box_up(&box);
        end = box.log->log_end;
        assert_true(end >= synced && end <= written);
        shorter += end < written;
        if (log_size(box.log) > 0) {
            box.count = 0; /* the model told of what is gone now */
            box_fill(1, 1);
            assert_true(log_box_sync(&box));
            end = box.log->log_end;
        }
        log_box_kill(&box, true);
        log_box_up(&box);
        assert_true(box.log->log_end == end);
        log_box_over(&box);
    }
    assert_true(shorter > 0);
}

/* ---- files of another log (DF20) ------------------------------------------------------------ */

static uint8_t foreign[4096];
static uint64_t foreign_size;

static void file_take(const char *path)
{
    struct sim_image *image = sim_disk_image(box.node->disk);

    assert_int_equal(ERR_NONE, sim_image_peek(image, path, SIM_VIEW_VISIBLE, 0, foreign,
                                              sizeof foreign, &foreign_size, &foreign_size));
    assert_true(foreign_size > 0 && foreign_size < sizeof foreign);
}

static void file_put(const char *path)
{
    struct sim_image *image = sim_disk_image(box.node->disk);
    struct sim_inode *inode;

    assert_int_equal(ERR_NONE, sim_image_open(image, path, DISK_CREATE, &inode));
    sim_image_truncate(image, inode, 0);
    sim_image_write(image, inode, 0, foreign, foreign_size);
    (void)sim_image_sync(image, inode, UINT64_MAX);
    sim_image_close(image, inode, false);
}

static struct log_read foreign_read;

static bool foreign_read_done(struct log_box *b)
{
    (void)b;
    return foreign_read.done;
}

static enum err read_from(int64_t offset, bool scrub)
{
    foreign_read = (struct log_read){.offset = offset,
                                     .limit = box.log->log_end,
                                     .max_bytes = 2000,
                                     .first_whole = true,
                                     .scrub = scrub};
    log_read(box.log, &foreign_read);
    assert_true(log_box_wait(&box, foreign_read_done));
    log_read_release(&foreign_read);
    return foreign_read.err;
}

static void the_directory_of_another_topic_is_not_opened(void **state)
{
    static const char other[] = "version: 0\ntopic_id: AAAAAQAAAAAAAAAAAAAAAA";

    (void)state;
    box_begin(1);
    box_fill(1, 10);
    log_box_stop(&box);
    foreign_size = sizeof other - 1;
    memcpy(foreign, other, foreign_size);
    file_put("data/orders-0/partition.metadata");
    assert_int_equal(ERR_NONE, log_box_start(&box));
    assert_int_equal(ERR_INCONSISTENT_TOPIC_ID, log_box_open(&box));
    assert_int_equal(0, box.traced[TRACE_LOG_TRUNCATED]);
    log_box_kill(&box, false);
    log_box_deinit(&box);
}

/* The bytes of the first segment under the name of the second: sound batches, of other offsets. */
static void a_segment_of_another_log_is_not_served(void **state)
{
    struct sim_image *image;
    char path[LOG_PATH_MAX];
    int64_t base;

    (void)state;
    for (uint32_t orderly = 0; orderly < 2; orderly++) {
        enum err err;

        box_begin(1);
        box_fill(1, 40);
        assert_true(box.log->segment_count > 3);
        base = box.log->segments[1]->base;
        log_path_of(path, box.log, base, ".log");
        assert_true(log_box_sync(&box));
        (void)log_dir_checkpoint(&box.dir);
        log_box_run_ms(&box, 100);
        if (orderly == 1) {
            log_box_stop(&box);
        } else {
            log_box_kill(&box, false);
        }
        file_take("data/orders-0/00000000000000000000.log");
        file_put(path);
        image = sim_disk_image(box.node->disk);
        /* Also without the note of what the segments were like (a directory from elsewhere). */
        assert_int_equal(ERR_NONE, sim_image_unlink(image, "data/orders-0/segment-manifest"));
        assert_int_equal(ERR_NONE, log_box_start(&box));
        err = log_box_open(&box);
        assert_true(err == ERR_NONE || err == ERR_DAMAGED);
        if (err == ERR_NONE) {
            assert_int_equal(ERR_CORRUPT_MESSAGE, read_from(base, false));
            assert_int_equal(base, box.log->damaged);
            assert_int_equal(ERR_NONE, read_from(0, false)); /* the others are served */
        }
        log_box_kill(&box, false);
        log_box_deinit(&box);
    }
}

/* The same offsets, of a history that was cut: its epochs are others than the log's own. */
static void a_segment_of_another_history_is_found_by_the_scrub(void **state)
{
    char path[LOG_PATH_MAX];
    int64_t base = -1;

    (void)state;
    for (int32_t epoch = 1; epoch <= 2; epoch++) {
        box_begin(1);
        box_fill(epoch, 40);
        base = box.log->segments[1]->base;
        log_path_of(path, box.log, base, ".log");
        assert_true(log_box_sync(&box));
        log_box_stop(&box);
        if (epoch == 1) {
            file_take(path);
            log_box_deinit(&box);
        }
    }
    file_put(path);
    log_box_up(&box);
    assert_int_equal(ERR_CORRUPT_MESSAGE, read_from(base, true));
    log_box_kill(&box, false);
    log_box_deinit(&box);
}

/* Epochs go to their file at once, the start of the log with the next checkpoint: a crash between
 * the two brings records back that the file says nothing about. A follower without epochs cuts to
 * its high watermark, which may be zero by then. */
static void records_that_come_back_from_below_the_start_have_their_epochs_again(void **state)
{
    static const int64_t starts[] = {20, 33, INT64_MAX}; /* in epoch 1, in epoch 2, all of it */

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(starts); i++) {
        int64_t second, end;

        box_begin(1);
        box_fill(1, 15);
        second = box.log->log_end;
        box_fill(2, 15);
        end = box.log->log_end;
        assert_true(starts[0] < second && second < starts[1] && starts[1] < end);
        assert_true(log_box_sync(&box));
        (void)log_dir_checkpoint(&box.dir);
        log_box_run_ms(&box, 100);
        log_raise_start(box.log, starts[i] < end ? starts[i] : end);
        log_box_run_ms(&box, 100);
        log_box_kill(&box, true);
        log_box_up(&box);
        assert_int_equal(0, box.log->log_start);
        assert_int_equal(end, box.log->log_end);
        assert_int_equal(2, box.log->epochs.count);
        assert_int_equal(1, log_epochs_at(&box.log->epochs, 0));
        assert_int_equal(1, log_epochs_at(&box.log->epochs, second - 1));
        assert_int_equal(2, log_epochs_at(&box.log->epochs, second));
        log_box_over(&box);
    }
}

/* H3: a partition that has just been made, one synced batch in it, and no checkpoint since: the
 * names on the way to it are as durable as the batch. */
static void a_new_partition_is_there_after_a_power_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        int64_t end;

        box_begin(seed);
        sim_disk_settings(box.node->disk)->loss =
            (struct sim_loss){.policy = seed % 2 == 0 ? SIM_LOSS_EVERYTHING : SIM_LOSS_NAMES};
        sim_disk_settings(box.node->disk)->writeback_ns = 0;
        box_fill(1, 1);
        end = box.log->log_end;
        assert_true(log_box_sync(&box));
        log_box_kill(&box, true);
        log_box_up(&box);
        assert_int_equal(end, box.log->log_end);
        log_box_check(&box, 1000);
        log_box_over(&box);
    }
}

/* H10: a text file of length zero says nothing, rather than that there is nothing. */
static void an_empty_checkpoint_takes_no_batch_and_no_epoch(void **state)
{
    static const char *const names[] = {"data/orders-0/leader-epoch-checkpoint",
                                        "data/recovery-point-offset-checkpoint",
                                        "data/replication-offset-checkpoint", "data/clean-state"};

    (void)state;
    for (uint32_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
        int64_t end, second;

        box_begin(i);
        box_fill(1, 10);
        second = box.log->log_end;
        box_fill(2, 10);
        end = box.log->log_end;
        assert_true(log_box_sync(&box));
        (void)log_dir_checkpoint(&box.dir);
        log_box_run_ms(&box, 100);
        if (i % 2 == 0) {
            log_box_stop(&box);
        } else {
            log_box_kill(&box, true);
        }
        foreign_size = 0;
        file_put(names[i / 2]);
        log_box_up(&box);
        assert_int_equal(end, box.log->log_end);
        assert_int_equal(2, box.log->epochs.count);
        assert_int_equal(1, log_epochs_at(&box.log->epochs, second - 1));
        assert_int_equal(2, log_epochs_at(&box.log->epochs, second));
        log_box_check(&box, 1000);
        log_box_over(&box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_event_of_a_recovery_changes_nothing),
        cmocka_unit_test(without_memory_an_open_fails_and_the_next_one_finds_everything),
        cmocka_unit_test(without_memory_appends_fail_one_by_one_and_nothing_is_lost),
        cmocka_unit_test(an_error_during_recovery_never_truncates),
        cmocka_unit_test(only_a_power_loss_takes_the_epoch_of_the_last_life),
        cmocka_unit_test(a_directory_that_failed_is_not_vouched_for),
        cmocka_unit_test(a_clean_marker_that_comes_back_vouches_for_nothing),
        cmocka_unit_test(nothing_of_a_truncated_history_survives_a_power_loss),
        cmocka_unit_test(a_missing_segment_is_damage_and_not_an_end),
        cmocka_unit_test(recovery_believes_the_device_and_not_the_cache),
        cmocka_unit_test(records_that_come_back_from_below_the_start_have_their_epochs_again),
        cmocka_unit_test(a_new_partition_is_there_after_a_power_loss),
        cmocka_unit_test(an_empty_checkpoint_takes_no_batch_and_no_epoch),
        cmocka_unit_test(the_directory_of_another_topic_is_not_opened),
        cmocka_unit_test(a_segment_of_another_log_is_not_served),
        cmocka_unit_test(a_segment_of_another_history_is_found_by_the_scrub),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
