/* Proves that each fault of a disk that answers well and does worse really does it, and that a
 * watcher stands exactly between a decision and its durability. */
#include "tests/support/rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static uint8_t page[3 * SIM_PAGE];

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, 11, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

static uint64_t hits(enum sim_fault fault)
{
    return sim_fault_counted(rig.sim, fault).injected;
}

static void cycle(enum sim_down how)
{
    sim_crash(rig.node[0], how);
    sim_restart(rig.node[0]);
}

static void keep_all(void)
{
    sim_disk_settings(rig.node[0]->disk)->loss.policy = SIM_LOSS_NOTHING;
}

static struct disk_file open_file(const char *path)
{
    struct disk_file file;

    assert_int_equal(rig_open(&rig, 0, path, DISK_CREATE, &file), ERR_NONE);
    return file;
}

static uint32_t arm(uint32_t ops, enum sim_disk_effect effect)
{
    const struct sim_disk_rule rule = {.ops = ops, .nth = 1, .times = 1, .effect = effect};

    return sim_break_disk(rig.node[0], &rule);
}

static void lost_write_is_acknowledged_synced_and_gone(void **state)
{
    struct disk_file file;

    (void)state;
    keep_all();
    rig_put(&rig, 0, "a", "old..", 5, true, true);
    file = open_file("a");
    (void)arm(1u << DISK_WRITE, SIM_DISK_LOSE);
    assert_int_equal(hits(SIM_FAULT_LOST_WRITE), 0);
    assert_int_equal(rig_write(&rig, 0, file, 0, "new..", 5), ERR_NONE);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE);
    assert_int_equal(hits(SIM_FAULT_LOST_WRITE), 1);
    assert_true(rig_holds(&rig, 0, "a", "new.."));
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "old.."));
}

static void misdirected_write_damages_two_places(void **state)
{
    struct disk_file file;
    uint64_t done;
    uint8_t first;
    uint8_t second;

    (void)state;
    keep_all();
    memset(page, 'o', 2 * SIM_PAGE);
    rig_put(&rig, 0, "a", page, 2 * SIM_PAGE, true, true);
    file = open_file("a");
    (void)arm(1u << DISK_WRITE, SIM_DISK_MISDIRECT);
    assert_int_equal(rig_write(&rig, 0, file, 0, "new", 3), ERR_NONE);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE);
    assert_int_equal(hits(SIM_FAULT_MISDIRECTED), 1);
    cycle(SIM_DOWN_POWER);
    file = open_file("a");
    assert_int_equal(rig_read(&rig, 0, file, 0, &first, 1, &done), ERR_NONE);
    assert_int_equal(rig_read(&rig, 0, file, SIM_PAGE, &second, 1, &done), ERR_NONE);
    assert_int_equal(first, 'o');
    assert_int_equal(second, 'n');
}

static void misdirected_write_without_another_place_has_not_hit(void **state)
{
    struct disk_file file = open_file("a");

    (void)state;
    (void)arm(1u << DISK_WRITE, SIM_DISK_MISDIRECT);
    assert_int_equal(rig_write(&rig, 0, file, 0, "new", 3), ERR_NONE);
    assert_int_equal(hits(SIM_FAULT_MISDIRECTED), 0);
    assert_int_equal(sim_fault_counted(rig.sim, SIM_FAULT_MISDIRECTED).asked, 1);
}

static void stale_read_is_wrong_once(void **state)
{
    struct disk_file file;
    uint64_t done;
    char got[6] = "";

    (void)state;
    rig_put(&rig, 0, "a", "old..", 5, true, true);
    file = open_file("a");
    assert_int_equal(rig_write(&rig, 0, file, 0, "new..", 5), ERR_NONE);
    (void)arm(1u << DISK_READ, SIM_DISK_STALE);
    assert_int_equal(rig_read(&rig, 0, file, 0, got, 5, &done), ERR_NONE);
    assert_string_equal(got, "old..");
    assert_int_equal(rig_read(&rig, 0, file, 0, got, 5, &done), ERR_NONE);
    assert_string_equal(got, "new..");
    assert_int_equal(hits(SIM_FAULT_STALE_READ), 1);
}

static void read_error_at_a_place_lasts_until_it_is_written(void **state)
{
    const struct sim_disk_rule rule = {.ops = 1u << DISK_READ,
                                       .times = 0,
                                       .error = ERR_IO,
                                       .offset = SIM_PAGE,
                                       .length = SIM_SECTOR,
                                       .until_written = true};
    struct disk_file file;
    uint64_t done;
    uint8_t byte;

    (void)state;
    rig_put(&rig, 0, "a", page, 2 * SIM_PAGE, true, true);
    file = open_file("a");
    (void)sim_break_disk(rig.node[0], &rule);
    assert_int_equal(rig_read(&rig, 0, file, 0, &byte, 1, &done), ERR_NONE);
    assert_int_equal(hits(SIM_FAULT_READ_ERROR), 0);
    assert_int_equal(rig_read(&rig, 0, file, SIM_PAGE + 5, &byte, 1, &done), ERR_IO);
    assert_int_equal(rig_read(&rig, 0, file, SIM_PAGE + 5, &byte, 1, &done), ERR_IO);
    assert_int_equal(hits(SIM_FAULT_READ_ERROR), 2);
    assert_int_equal(rig_write(&rig, 0, file, SIM_PAGE, "x", 1), ERR_NONE);
    assert_int_equal(rig_read(&rig, 0, file, SIM_PAGE, &byte, 1, &done), ERR_NONE);
    assert_int_equal(byte, 'x');
}

static void failed_sync_that_reverts_shows_the_old_bytes(void **state)
{
    const struct sim_disk_rule rule = {
        .ops = 1u << DISK_SYNC, .times = 1, .error = ERR_IO, .reverts = true};
    struct disk_file file;

    (void)state;
    rig_put(&rig, 0, "a", "old..", 5, true, true);
    file = open_file("a");
    assert_int_equal(rig_write(&rig, 0, file, 0, "new..", 5), ERR_NONE);
    (void)sim_break_disk(rig.node[0], &rule);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_IO);
    assert_int_equal(hits(SIM_FAULT_SYNC_ERROR), 1);
    assert_true(rig_holds(&rig, 0, "a", "old.."));
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE); /* proves nothing */
    assert_true(rig_holds(&rig, 0, "a", "old.."));
}

static void lying_sync_counts_when_it_had_something_to_settle(void **state)
{
    (void)state;
    sim_disk_settings(rig.node[0]->disk)->loss.policy = SIM_LOSS_EVERYTHING;
    rig_put(&rig, 0, "a", "old..", 5, true, true);
    sim_lying_disk(rig.node[0], true);
    assert_int_equal(hits(SIM_FAULT_DISK_LIE), 0);
    rig_put(&rig, 0, "a", "new..", 5, true, true);
    assert_int_equal(hits(SIM_FAULT_DISK_LIE), 1);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "old.."));
}

static void rot_flips_bits_of_one_sector(void **state)
{
    struct disk_file file;
    uint64_t done;
    uint32_t wrong = 0;

    (void)state;
    memset(page, 0, sizeof page);
    rig_put(&rig, 0, "a.log", page, 2 * SIM_PAGE, true, true);
    rig_put(&rig, 0, "b.index", page, SIM_PAGE, true, true);
    assert_string_equal(sim_rot_somewhere(rig.node[0], "*.log", UINT64_MAX, false, 1), "a.log");
    assert_int_equal(hits(SIM_FAULT_DISK_ROT), 1);
    file = open_file("a.log");
    assert_int_equal(rig_read(&rig, 0, file, 0, page, 2 * SIM_PAGE, &done), ERR_NONE);
    for (uint32_t i = 0; i < 2 * SIM_PAGE; i++)
        wrong += (uint32_t)__builtin_popcount(page[i]);
    assert_int_equal(wrong, 1);
    assert_non_null(sim_rot_somewhere(rig.node[0], "*.index", 7, false, 1));
    assert_int_equal(hits(SIM_FAULT_HEADER_ROT), 1);
    assert_null(sim_rot_somewhere(rig.node[0], "*.nothing", UINT64_MAX, false, 1));
}

static void header_rot_hits_the_head_of_a_batch(void **state)
{
    struct disk_file file;
    uint64_t done;
    uint32_t at = 0;

    (void)state;
    memset(page, 0, sizeof page);
    page[11] = 88; /* two batches of 100 bytes */
    page[100 + 11] = 88;
    rig_put(&rig, 0, "a.log", page, 200, true, true);
    assert_non_null(sim_rot_somewhere(rig.node[0], "*.log", UINT64_MAX, true, 1));
    page[11] = 0;
    page[111] = 0;
    file = open_file("a.log");
    assert_int_equal(rig_read(&rig, 0, file, 0, page, 200, &done), ERR_NONE);
    page[11] ^= 88;
    page[111] ^= 88;
    while (at < 200 && page[at] == 0)
        at++;
    assert_true(at < 21 || (at >= 100 && at < 121));
}

static void write_in_two_parts_can_be_cut_between_them(void **state)
{
    struct disk_file file = open_file("a");
    const struct bytes slice = {page, 2 * SIM_PAGE};
    struct disk_req req = {.op = DISK_WRITE, .file = file, .slices = &slice, .slice_count = 1};
    uint64_t size = 0;

    (void)state;
    memset(page, 'x', sizeof page);
    sim_short_io(rig.node[0], RNG_MILLION);
    rig_req(&req.req);
    disk_submit(rig_world(&rig, 0), &req);
    while (hits(SIM_FAULT_SHORT_IO) == 0) {
        struct sim_limits limits = {.until_ns = rig.sim->now_ns + 1000};

        (void)sim_run(rig.sim, &limits);
    }
    assert_true(req.req.pending);
    assert_int_equal(sim_image_peek(sim_disk_image(rig.node[0]->disk), "a", SIM_VIEW_VISIBLE, 0,
                                    page, 0, &req.done, &size),
                     ERR_NONE);
    assert_true(size > 0 && size < 2 * SIM_PAGE);
    assert_int_equal(rig_wait(&rig, &req.req), ERR_NONE);
    assert_int_equal(req.done, 2 * SIM_PAGE);
}

static void directory_that_fails_answers_nothing_below_it(void **state)
{
    struct disk_file file;

    (void)state;
    assert_int_equal(rig_path(&rig, 0, DISK_MKDIR, "data", NULL), ERR_NONE);
    rig_put(&rig, 0, "data/a", "alpha", 5, true, true);
    rig_put(&rig, 0, "other", "beta", 4, true, true);
    sim_dir_gone(rig.node[0], "data", SIM_GONE_FAILED);
    assert_int_equal(rig_open(&rig, 0, "data/a", 0, &file), ERR_IO);
    assert_int_equal(rig_open(&rig, 0, "other", 0, &file), ERR_NONE);
    assert_int_equal(hits(SIM_FAULT_DIR_GONE), 1);
}

static void read_only_directory_can_be_read(void **state)
{
    struct disk_file file;
    uint64_t done;
    char got[6] = "";

    (void)state;
    assert_int_equal(rig_path(&rig, 0, DISK_MKDIR, "data", NULL), ERR_NONE);
    rig_put(&rig, 0, "data/a", "alpha", 5, true, true);
    sim_dir_gone(rig.node[0], "data", SIM_GONE_READ_ONLY);
    assert_int_equal(rig_open(&rig, 0, "data/b", DISK_CREATE, &file), ERR_ACCESS);
    assert_int_equal(rig_open(&rig, 0, "data/a", DISK_READ_ONLY, &file), ERR_NONE);
    assert_int_equal(rig_read(&rig, 0, file, 0, got, 5, &done), ERR_NONE);
    assert_string_equal(got, "alpha");
}

static void emptied_directory_stays_empty(void **state)
{
    (void)state;
    assert_int_equal(rig_path(&rig, 0, DISK_MKDIR, "data", NULL), ERR_NONE);
    assert_int_equal(rig_path(&rig, 0, DISK_SYNC_DIR, "", NULL), ERR_NONE);
    rig_put(&rig, 0, "data/a", "alpha", 5, true, true);
    sim_crash(rig.node[0], SIM_DOWN_KILL);
    sim_dir_gone(rig.node[0], "data", SIM_GONE_EMPTY);
    sim_restart(rig.node[0]);
    cycle(SIM_DOWN_POWER);
    assert_false(rig_exists(&rig, 0, "data/a"));
    assert_int_equal(hits(SIM_FAULT_DIR_GONE), 1);
}

static void reverted_disk_is_as_it_was(void **state)
{
    (void)state;
    keep_all();
    assert_int_equal(rig_path(&rig, 0, DISK_MKDIR, "data", NULL), ERR_NONE);
    rig_put(&rig, 0, "data/a", "alpha", 5, true, true);
    rig_put(&rig, 0, "data/b", "beta", 4, false, false);
    sim_snapshot(rig.node[0]);
    rig_put(&rig, 0, "data/a", "later", 5, true, true);
    rig_put(&rig, 0, "data/c", "gamma", 5, true, true);
    for (int i = 0; i < 2; i++) { /* as often as wanted */
        sim_crash(rig.node[0], SIM_DOWN_KILL);
        sim_revert(rig.node[0]);
        sim_restart(rig.node[0]);
        assert_true(rig_holds(&rig, 0, "data/a", "alpha"));
        assert_true(rig_holds(&rig, 0, "data/b", "beta"));
        assert_false(rig_exists(&rig, 0, "data/c"));
        rig_put(&rig, 0, "data/b", "other", 5, true, true);
    }
    assert_int_equal(hits(SIM_FAULT_REVERT), 2);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "data/a", "alpha"));
}

static void revert_without_a_snapshot_has_not_hit(void **state)
{
    (void)state;
    sim_crash(rig.node[0], SIM_DOWN_KILL);
    sim_revert(rig.node[0]);
    assert_int_equal(hits(SIM_FAULT_REVERT), 0);
}

static void foreign_files_appear_under_the_other_name(void **state)
{
    (void)state;
    assert_int_equal(rig_path(&rig, 1, DISK_MKDIR, "data", NULL), ERR_NONE);
    assert_int_equal(rig_path(&rig, 1, DISK_MKDIR, "data/t-0", NULL), ERR_NONE);
    rig_put(&rig, 1, "data/t-0/x.log", "alpha", 5, true, true);
    sim_crash(rig.node[0], SIM_DOWN_KILL);
    sim_foreign(rig.node[0], rig.node[1], "*t-0/*", "t-1");
    sim_restart(rig.node[0]);
    assert_true(rig_holds(&rig, 0, "data/t-1/x.log", "alpha"));
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "data/t-1/x.log", "alpha"));
    assert_int_equal(hits(SIM_FAULT_FOREIGN), 1);
}

/* What had the name keeps the one it was given, although that was never made durable. */
static void foreign_file_takes_a_name_that_a_rename_left(void **state)
{
    (void)state;
    rig_put(&rig, 1, "x.tmp", "alpha", 5, true, true);
    rig_put(&rig, 0, "x.tmp", "beta", 4, true, true);
    assert_int_equal(rig_path(&rig, 0, DISK_RENAME, "x.tmp", "x"), ERR_NONE);
    sim_crash(rig.node[0], SIM_DOWN_KILL);
    sim_foreign(rig.node[0], rig.node[1], "x.tmp", NULL);
    sim_disk_settings(rig.node[0]->disk)->loss.policy = SIM_LOSS_EVERYTHING;
    sim_restart(rig.node[0]);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "x.tmp", "alpha"));
    assert_true(rig_holds(&rig, 0, "x", "beta"));
}

static void names_alone_are_lost_by_that_policy(void **state)
{
    (void)state;
    sim_disk_settings(rig.node[0]->disk)->loss =
        (struct sim_loss){.policy = SIM_LOSS_NAMES, .keep_per_million = 0};
    rig_put(&rig, 0, "a", "alpha", 5, true, true);
    rig_put(&rig, 0, "b", "beta", 4, true, false);
    rig_put(&rig, 0, "a", "later", 5, false, false);
    cycle(SIM_DOWN_POWER);
    assert_true(rig_holds(&rig, 0, "a", "later"));
    assert_false(rig_exists(&rig, 0, "b"));
    assert_int_equal(hits(SIM_FAULT_NAMES_LOST), 1);
    assert_int_equal(hits(SIM_FAULT_UNSYNCED_LOST), 1);
}

static void kill_with_unsynced_data_is_counted(void **state)
{
    (void)state;
    cycle(SIM_DOWN_KILL);
    assert_int_equal(hits(SIM_FAULT_UNSYNCED_KEPT), 0);
    rig_put(&rig, 0, "a", "alpha", 5, false, false);
    cycle(SIM_DOWN_KILL);
    assert_int_equal(hits(SIM_FAULT_UNSYNCED_KEPT), 1);
}

static void used_up_rules_make_room_for_others(void **state)
{
    struct disk_file file = open_file("a");

    (void)state;
    for (uint32_t i = 0; i < 3 * SIM_DISK_RULES_MAX; i++) {
        assert_int_not_equal(arm(1u << DISK_WRITE, SIM_DISK_FAIL), UINT32_MAX);
        assert_int_not_equal(rig_write(&rig, 0, file, 0, "x", 1), -1);
    }
    for (uint32_t i = 0; i < SIM_DISK_RULES_MAX; i++)
        (void)arm(1u << DISK_READ, SIM_DISK_FAIL);
    assert_int_equal(arm(1u << DISK_READ, SIM_DISK_FAIL), UINT32_MAX);
}

/* ---- watches --------------------------------------------------------------------------------- */

static uint32_t fired;
static enum sim_down kill_as;

static void watch_fires(struct sim_disk_watch *watch, struct sim_world *node)
{
    (void)watch;
    fired++;
    if (kill_as != SIM_DOWN_NOT) sim_crash(node, kill_as);
}

static void watch_stands_between_the_write_and_its_sync(void **state)
{
    struct sim_disk_watch watch = {
        .ops = 1u << DISK_SYNC, .glob = "*a*", .nth = 2, .fire = watch_fires};
    struct disk_file file;
    struct disk_req req;

    (void)state;
    fired = 0;
    kill_as = SIM_DOWN_POWER;
    sim_disk_settings(rig.node[0]->disk)->loss.policy = SIM_LOSS_EVERYTHING;
    rig_put(&rig, 0, "a", "old..", 5, true, true);
    file = open_file("a");
    sim_disk_watch(rig.node[0]->disk, &watch);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE); /* the first */
    assert_int_equal(fired, 0);
    assert_int_equal(rig_write(&rig, 0, file, 0, "new..", 5), ERR_NONE);
    req = (struct disk_req){.op = DISK_SYNC, .file = file};
    rig_req(&req.req);
    disk_submit(rig_world(&rig, 0), &req);
    assert_int_equal(fired, 1);
    sim_disk_unwatch(&watch);
    sim_restart(rig.node[0]);
    assert_true(rig_holds(&rig, 0, "a", "old.."));
}

static void watch_of_the_other_moment_sees_it_done_and_untold(void **state)
{
    struct sim_disk_watch watch = {
        .ops = 1u << DISK_SYNC, .glob = "*a*", .nth = 1, .done = true, .fire = watch_fires};
    struct disk_file file;
    struct disk_req req;

    (void)state;
    fired = 0;
    kill_as = SIM_DOWN_POWER;
    sim_disk_settings(rig.node[0]->disk)->loss.policy = SIM_LOSS_EVERYTHING;
    rig_put(&rig, 0, "a", "old..", 5, true, true);
    file = open_file("a");
    assert_int_equal(rig_write(&rig, 0, file, 0, "new..", 5), ERR_NONE);
    sim_disk_watch(rig.node[0]->disk, &watch);
    req = (struct disk_req){.op = DISK_SYNC, .file = file};
    rig_req(&req.req);
    disk_submit(rig_world(&rig, 0), &req);
    rig_run_ms(&rig, 100);
    assert_int_equal(fired, 1);
    assert_true(req.req.pending); /* nobody was told */
    sim_disk_unwatch(&watch);
    sim_restart(rig.node[0]);
    assert_true(rig_holds(&rig, 0, "a", "new.."));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lost_write_is_acknowledged_synced_and_gone),
        TEST(misdirected_write_damages_two_places),
        TEST(misdirected_write_without_another_place_has_not_hit),
        TEST(stale_read_is_wrong_once),
        TEST(read_error_at_a_place_lasts_until_it_is_written),
        TEST(failed_sync_that_reverts_shows_the_old_bytes),
        TEST(lying_sync_counts_when_it_had_something_to_settle),
        TEST(rot_flips_bits_of_one_sector),
        TEST(header_rot_hits_the_head_of_a_batch),
        TEST(write_in_two_parts_can_be_cut_between_them),
        TEST(directory_that_fails_answers_nothing_below_it),
        TEST(read_only_directory_can_be_read),
        TEST(emptied_directory_stays_empty),
        TEST(reverted_disk_is_as_it_was),
        TEST(revert_without_a_snapshot_has_not_hit),
        TEST(foreign_files_appear_under_the_other_name),
        TEST(foreign_file_takes_a_name_that_a_rename_left),
        TEST(names_alone_are_lost_by_that_policy),
        TEST(kill_with_unsynced_data_is_counted),
        TEST(used_up_rules_make_room_for_others),
        TEST(watch_stands_between_the_write_and_its_sync),
        TEST(watch_of_the_other_moment_sees_it_done_and_untold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
