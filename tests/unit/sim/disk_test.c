/* Proves the crash model of the simulated disk: what a sync covers survives, what it does not may
 * go, each on its own; and that each primitive fault of a disk has its effect. */
#include "tests/support/rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, 11, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

static struct sim_loss *loss(void)
{
    return &sim_disk_settings(rig.node[0]->disk)->loss;
}

static void cycle(enum sim_down how)
{
    sim_crash(rig.node[0], how);
    sim_restart(rig.node[0]);
}

static void synced_file_with_synced_name_survives_power_loss(void **state)
{
    (void)state;
    rig_put(&rig, 0, "a", "alpha", 5, true, true);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "alpha"));
    assert_int_equal(sim_disk_losses(rig.node[0]->disk).count, 0);
}

static void synced_file_without_synced_name_is_gone(void **state)
{
    struct sim_losses losses;

    (void)state;
    rig_put(&rig, 0, "a", "alpha", 5, true, false);
    cycle(SIM_DOWN_POWER);
    assert_false(rig_exists(&rig, 0, "a"));
    losses = sim_disk_losses(rig.node[0]->disk);
    assert_int_equal(losses.count, 1);
    assert_true(losses.files[0].gone);
    assert_string_equal(losses.files[0].path, "a");
    assert_int_equal(losses.lost_bytes, 5);
}

static void name_without_synced_content_is_an_empty_file(void **state)
{
    struct sim_losses losses;

    (void)state;
    rig_put(&rig, 0, "a", "alpha", 5, false, true);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", ""));
    losses = sim_disk_losses(rig.node[0]->disk);
    assert_int_equal(losses.files[0].first, 0);
    assert_int_equal(losses.files[0].lost_bytes, 5);
    assert_int_equal(losses.files[0].synced_end, 0);
}

static void killed_process_loses_nothing_that_completed(void **state)
{
    (void)state;
    rig_put(&rig, 0, "a", "alpha", 5, false, false);
    cycle(SIM_DOWN_KILL);
    assert_true(rig_holds(&rig, 0, "a", "alpha"));
    cycle(SIM_DOWN_POWER); /* still only in the page cache */
    assert_false(rig_exists(&rig, 0, "a"));
}

static void unsynced_tail_is_lost_behind_what_was_synced(void **state)
{
    struct disk_file file;
    struct sim_losses losses;

    (void)state;
    rig_put(&rig, 0, "a", "alpha", 5, true, true);
    assert_int_equal(rig_open(&rig, 0, "a", 0, &file), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 5, "beta", 4), ERR_NONE);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "alpha"));
    losses = sim_disk_losses(rig.node[0]->disk);
    assert_int_equal(losses.count, 1);
    assert_int_equal(losses.files[0].first, 5);
    assert_int_equal(losses.files[0].lost_bytes, 4);
    assert_int_equal(losses.files[0].synced_end, 5);
}

static void rename_is_all_or_nothing(void **state)
{
    uint32_t old_seen = 0;
    uint32_t new_seen = 0;

    (void)state;
    *loss() = (struct sim_loss){.policy = SIM_LOSS_RANDOM, .keep_per_million = RNG_MILLION / 2};
    for (int i = 0; i < 40; i++) {
        rig_put(&rig, 0, "checkpoint", "old", 3, true, true);
        rig_put(&rig, 0, "checkpoint.tmp", "new", 3, true, true);
        assert_int_equal(rig_path(&rig, 0, DISK_RENAME, "checkpoint.tmp", "checkpoint"), ERR_NONE);
        assert_true(rig_holds(&rig, 0, "checkpoint", "new"));
        cycle(SIM_DOWN_POWER);
        if (rig_holds(&rig, 0, "checkpoint", "old")) {
            assert_true(rig_holds(&rig, 0, "checkpoint.tmp", "new"));
            old_seen++;
        } else {
            assert_true(rig_holds(&rig, 0, "checkpoint", "new"));
            assert_false(rig_exists(&rig, 0, "checkpoint.tmp"));
            new_seen++;
        }
    }
    assert_true(old_seen > 5 && new_seen > 5);
}

static void unlinked_file_comes_back_unless_its_directory_was_synced(void **state)
{
    (void)state;
    rig_put(&rig, 0, "a", "alpha", 5, true, true);
    assert_int_equal(rig_path(&rig, 0, DISK_UNLINK, "a", NULL), ERR_NONE);
    assert_false(rig_exists(&rig, 0, "a"));
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "alpha"));
    assert_int_equal(rig_path(&rig, 0, DISK_UNLINK, "a", NULL), ERR_NONE);
    assert_int_equal(rig_path(&rig, 0, DISK_SYNC_DIR, ".", NULL), ERR_NONE);
    cycle(SIM_DOWN_POWER);
    assert_false(rig_exists(&rig, 0, "a"));
}

static void directory_and_its_files_need_each_their_sync(void **state)
{
    (void)state;
    assert_int_equal(rig_path(&rig, 0, DISK_MKDIR, "t-0", NULL), ERR_NONE);
    rig_put(&rig, 0, "t-0/log", "alpha", 5, true, false);
    assert_int_equal(rig_path(&rig, 0, DISK_SYNC_DIR, "t-0", NULL), ERR_NONE);
    cycle(SIM_DOWN_POWER); /* the name t-0 itself was never synced */
    assert_int_equal(rig_path(&rig, 0, DISK_SYNC_DIR, "t-0", NULL), ERR_NOT_FOUND);
    assert_int_equal(rig_path(&rig, 0, DISK_MKDIR, "t-0", NULL), ERR_NONE);
    rig_put(&rig, 0, "t-0/log", "alpha", 5, true, true); /* syncs the root */
    assert_int_equal(rig_path(&rig, 0, DISK_SYNC_DIR, "t-0", NULL), ERR_NONE);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "t-0/log", "alpha"));
}

static void truncated_file_keeps_its_old_end_until_synced(void **state)
{
    struct disk_file file;

    (void)state;
    rig_put(&rig, 0, "a", "alphabet", 8, true, true);
    assert_int_equal(rig_open(&rig, 0, "a", 0, &file), ERR_NONE);
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 5), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 5, "XY", 2), ERR_NONE);
    assert_true(rig_holds(&rig, 0, "a", "alphaXY"));
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "alphabet"));
    assert_int_equal(rig_open(&rig, 0, "a", 0, &file), ERR_NONE);
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 5), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 5, "XY", 2), ERR_NONE);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "alphaXY"));
}

/* Appends of 300 bytes over several pages; whatever the policy, synced bytes stay as they were and
 * every other byte is what it was, zero, or (with garbage) noise. */
static void any_policy_keeps_what_was_synced(void **state)
{
    static uint8_t written[300 * 64];
    static uint8_t read[300 * 64];
    bool shortened = false;
    bool whole = false;
    bool holed = false;

    (void)state;
    for (uint32_t i = 0; i < sizeof written; i++)
        written[i] = (uint8_t)(1 + i % 251);
    for (uint32_t round = 0; round < 60; round++) {
        struct disk_file file;
        uint32_t synced = 0;
        uint64_t done;
        uint64_t size;

        *loss() = (struct sim_loss){.policy = (enum sim_loss_policy)(round % SIM_LOSS_POLICIES),
                                    .keep_per_million = RNG_MILLION / 2,
                                    .tear_per_million = RNG_MILLION / 4,
                                    .garbage_per_million = round % 2 != 0 ? RNG_MILLION / 4 : 0};
        assert_int_equal(rig_open(&rig, 0, "log", DISK_CREATE, &file), ERR_NONE);
        assert_int_equal(rig_path(&rig, 0, DISK_SYNC_DIR, ".", NULL), ERR_NONE);
        assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 0), ERR_NONE);
        for (uint32_t at = 0; at < sizeof written; at += 300) {
            assert_int_equal(rig_write(&rig, 0, file, at, written + at, 300), ERR_NONE);
            if (at == 300 * (round % 50)) {
                assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE);
                synced = at + 300;
            }
        }
        cycle(SIM_DOWN_POWER);
        assert_int_equal(sim_image_peek(sim_disk_image(rig.node[0]->disk), "log", SIM_VIEW_VISIBLE,
                                        0, read, sizeof read, &done, &size),
                         ERR_NONE);
        assert_true(size >= synced && size <= sizeof written);
        assert_memory_equal(read, written, synced);
        if (round % SIM_LOSS_POLICIES == SIM_LOSS_NOTHING) assert_int_equal(size, sizeof written);
        if (round % SIM_LOSS_POLICIES == SIM_LOSS_EVERYTHING) assert_int_equal(size, synced);
        if (round % SIM_LOSS_POLICIES == SIM_LOSS_PREFIX) {
            uint64_t good = size - size % 300;

            assert_memory_equal(read, written, good > synced ? good : synced);
        }
        shortened = shortened || size < sizeof written;
        whole = whole || size == sizeof written;
        for (uint64_t i = synced; i < size && round % 2 == 0; i++) {
            assert_true(read[i] == written[i] || read[i] == 0);
            holed = holed || read[i] == 0;
        }
    }
    assert_true(shortened && whole && holed);
}

static void writeback_makes_old_data_durable(void **state)
{
    (void)state;
    sim_disk_settings(rig.node[0]->disk)->writeback_ns = 30 * NS_PER_SEC;
    rig_put(&rig, 0, "a", "alpha", 5, false, false);
    rig_run_ms(&rig, 31 * 1000);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "alpha"));
}

static void full_disk_refuses_and_recovers_by_unlink(void **state)
{
    static uint8_t data[64 * 1024];
    struct disk_file file;

    (void)state;
    rig_put(&rig, 0, "old", data, sizeof data, true, true);
    sim_fill_disk(rig.node[0], 8192);
    assert_int_equal(rig_open(&rig, 0, "new", DISK_CREATE, &file), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 0, data, sizeof data), ERR_NO_SPACE);
    assert_int_equal(sim_image_used(sim_disk_image(rig.node[0]->disk)), 64 * 1024 + 8192);
    assert_int_equal(rig_path(&rig, 0, DISK_UNLINK, "old", NULL), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 0, data, sizeof data), ERR_NONE);
}

static void rules_fail_the_nth_matching_call_so_many_times(void **state)
{
    struct disk_file log;
    struct disk_file index;
    const struct sim_disk_rule rule = {
        .ops = 1u << DISK_WRITE, .glob = "*.log", .nth = 2, .times = 2, .error = ERR_IO};
    uint32_t number;

    (void)state;
    assert_int_equal(rig_open(&rig, 0, "0.log", DISK_CREATE, &log), ERR_NONE);
    assert_int_equal(rig_open(&rig, 0, "0.index", DISK_CREATE, &index), ERR_NONE);
    number = sim_break_disk(rig.node[0], &rule);
    assert_int_equal(rig_write(&rig, 0, index, 0, "x", 1), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, log, 0, "x", 1), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, log, 1, "x", 1), ERR_IO);
    assert_int_equal(rig_write(&rig, 0, index, 1, "x", 1), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, log, 1, "x", 1), ERR_IO);
    assert_int_equal(rig_write(&rig, 0, log, 1, "x", 1), ERR_NONE);
    assert_int_equal(sim_disk_rule(rig.node[0]->disk, number)->injected, 2);
    assert_true(rig_holds(&rig, 0, "0.log", "xx"));
}

static void failed_sync_leaves_pages_clean_but_never_durable(void **state)
{
    struct disk_file file;
    const struct sim_disk_rule rule = {.ops = 1u << DISK_SYNC, .times = 1, .error = ERR_IO};
    static struct disk_req read;
    uint8_t into[5];
    uint64_t done;

    (void)state;
    rig_put(&rig, 0, "a", "-----", 5, true, true);
    assert_int_equal(rig_open(&rig, 0, "a", 0, &file), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 0, "alpha", 5), ERR_NONE);
    (void)sim_break_disk(rig.node[0], &rule);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_IO);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE); /* proves nothing */
    assert_int_equal(rig_read(&rig, 0, file, 0, into, 5, &done), ERR_NONE);
    assert_memory_equal(into, "alpha", 5);
    read = (struct disk_req){.op = DISK_READ, .file = file, .into = into, .length = 5};
    read.flags = DISK_UNCACHED; /* recovery sees the device */
    rig_req(&read.req);
    disk_submit(rig_world(&rig, 0), &read);
    assert_int_equal(rig_wait(&rig, &read.req), ERR_NONE);
    assert_memory_equal(into, "-----", 5);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "-----"));
    assert_int_equal(sim_disk_losses(rig.node[0]->disk).lost_bytes, 5);
}

static void read_uncached(struct disk_file file, void *into, uint64_t length)
{
    static struct disk_req read;

    read = (struct disk_req){.op = DISK_READ, .file = file, .into = into, .length = length};
    read.flags = DISK_UNCACHED;
    rig_req(&read.req);
    disk_submit(rig_world(&rig, 0), &read);
    assert_int_equal(rig_wait(&rig, &read.req), ERR_NONE);
}

/* A read past the cache first writes back what is dirty: no kernel shows less than was written. */
static void what_is_written_after_a_failed_sync_is_seen_past_the_cache(void **state)
{
    const struct sim_disk_rule rule = {.ops = 1u << DISK_SYNC, .times = 1, .error = ERR_IO};
    struct disk_file file;
    uint8_t into[8];

    (void)state;
    rig_put(&rig, 0, "a", "--------", 8, true, true);
    assert_int_equal(rig_open(&rig, 0, "a", 0, &file), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 2, "gone..", 6), ERR_NONE);
    (void)sim_break_disk(rig.node[0], &rule);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_IO);
    assert_int_equal(rig_write(&rig, 0, file, 6, "xy", 2), ERR_NONE);
    read_uncached(file, into, 8);
    assert_memory_equal(into, "------xy", 8);
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 4), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 6, "z", 1), ERR_NONE);
    read_uncached(file, into, 7);
    assert_memory_equal(into, "----\0\0z", 7);
    cycle(SIM_DOWN_KILL);
    assert_int_equal(rig_open(&rig, 0, "a", 0, &file), ERR_NONE);
    read_uncached(file, into, 7);
    assert_memory_equal(into, "----\0\0z", 7);
}

static void lying_sync_settles_nothing(void **state)
{
    (void)state;
    sim_lying_disk(rig.node[0], true);
    rig_put(&rig, 0, "a", "alpha", 5, true, true);
    sim_lying_disk(rig.node[0], false);
    cycle(SIM_DOWN_POWER);
    assert_false(rig_exists(&rig, 0, "a"));
}

static void stalled_disk_completes_nothing_until_it_moves_again(void **state)
{
    static struct disk_req req;

    (void)state;
    sim_stall_disk(rig.node[0], INT64_MAX);
    req = (struct disk_req){.op = DISK_MKDIR, .path = "d"};
    rig_req(&req.req);
    disk_submit(rig_world(&rig, 0), &req);
    assert_false(rig_wait_ms(&rig, &req.req, 600 * 1000));
    sim_stall_disk(rig.node[0], 0);
    assert_true(rig_wait_ms(&rig, &req.req, 10));
    sim_stall_disk(rig.node[0], rig.sim->now_ns + NS_PER_SEC);
    disk_submit(rig_world(&rig, 0), &req);
    assert_false(rig_wait_ms(&rig, &req.req, 990));
    assert_true(rig_wait_ms(&rig, &req.req, 20));
    assert_int_equal(req.req.result, ERR_EXISTS);
}

static void slow_disk_multiplies_its_latency(void **state)
{
    struct disk_file file;
    int64_t start;
    int64_t normal;

    (void)state;
    assert_int_equal(rig_open(&rig, 0, "a", DISK_CREATE, &file), ERR_NONE);
    start = rig.sim->now_ns;
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE);
    normal = rig.sim->now_ns - start;
    sim_slow_disk(rig.node[0], 100000);
    start = rig.sim->now_ns;
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE);
    assert_true(rig.sim->now_ns - start > normal * 20);
}

static void rotten_bit_stays_rotten(void **state)
{
    (void)state;
    rig_put(&rig, 0, "a", "alpha", 5, true, true);
    assert_true(sim_rot_disk(rig.node[0], "a", 0, 1));
    assert_true(rig_holds(&rig, 0, "a", "clpha"));
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "clpha"));
    assert_false(sim_rot_disk(rig.node[0], "a", 5, 1));
}

static void wiped_disk_is_empty(void **state)
{
    (void)state;
    rig_put(&rig, 0, "a", "alpha", 5, true, true);
    sim_crash(rig.node[0], SIM_DOWN_KILL);
    sim_wipe(rig.node[0]);
    sim_restart(rig.node[0]);
    assert_false(rig_exists(&rig, 0, "a"));
    assert_int_equal(sim_image_used(sim_disk_image(rig.node[0]->disk)), 0);
}

/* In its place stands another machine: what was wrong with the disk went with it. */
static void wiped_disk_has_no_errors_of_the_one_before(void **state)
{
    const struct sim_disk_rule rule = {.ops = 1u << DISK_WRITE, .error = ERR_IO};
    struct disk_file file;

    (void)state;
    (void)sim_break_disk(rig.node[0], &rule);
    sim_dir_gone(rig.node[0], "second", SIM_GONE_FAILED);
    sim_crash(rig.node[0], SIM_DOWN_KILL);
    sim_wipe(rig.node[0]);
    sim_restart(rig.node[0]);
    assert_int_equal(rig_path(&rig, 0, DISK_MKDIR, "second", NULL), ERR_NONE);
    assert_int_equal(rig_open(&rig, 0, "a", DISK_CREATE, &file), ERR_NONE);
    assert_int_equal(rig_write(&rig, 0, file, 0, "x", 1), ERR_NONE);
}

static void lock_ends_with_its_process(void **state)
{
    struct disk_file file;
    struct disk_file other;

    (void)state;
    assert_int_equal(rig_open(&rig, 0, ".lock", DISK_CREATE | DISK_LOCK, &file), ERR_NONE);
    assert_int_equal(rig_open(&rig, 0, ".lock", DISK_CREATE | DISK_LOCK, &other), ERR_LOCKED);
    cycle(SIM_DOWN_KILL);
    assert_int_equal(rig_open(&rig, 0, ".lock", DISK_CREATE | DISK_LOCK, &file), ERR_NONE);
}

static void globs_match_as_in_a_shell(void **state)
{
    (void)state;
    assert_true(sim_glob("*", ""));
    assert_true(sim_glob("t-?/*.log", "t-0/00.log"));
    assert_true(sim_glob("a*b*c", "a-b-b-c"));
    assert_false(sim_glob("a*b", "a-b-c"));
    assert_false(sim_glob("?", ""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(synced_file_with_synced_name_survives_power_loss),
        TEST(synced_file_without_synced_name_is_gone),
        TEST(name_without_synced_content_is_an_empty_file),
        TEST(killed_process_loses_nothing_that_completed),
        TEST(unsynced_tail_is_lost_behind_what_was_synced),
        TEST(rename_is_all_or_nothing),
        TEST(unlinked_file_comes_back_unless_its_directory_was_synced),
        TEST(directory_and_its_files_need_each_their_sync),
        TEST(truncated_file_keeps_its_old_end_until_synced),
        TEST(any_policy_keeps_what_was_synced),
        TEST(writeback_makes_old_data_durable),
        TEST(full_disk_refuses_and_recovers_by_unlink),
        TEST(rules_fail_the_nth_matching_call_so_many_times),
        TEST(failed_sync_leaves_pages_clean_but_never_durable),
        TEST(what_is_written_after_a_failed_sync_is_seen_past_the_cache),
        TEST(lying_sync_settles_nothing),
        TEST(stalled_disk_completes_nothing_until_it_moves_again),
        TEST(slow_disk_multiplies_its_latency),
        TEST(rotten_bit_stays_rotten),
        TEST(wiped_disk_is_empty),
        TEST(wiped_disk_has_no_errors_of_the_one_before),
        TEST(lock_ends_with_its_process),
        TEST(globs_match_as_in_a_shell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
