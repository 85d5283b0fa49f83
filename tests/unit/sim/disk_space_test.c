/* Proves the account of space of a simulated disk: whatever happens to a file, the disk is charged
 * for the pages somebody can see and for those reserved, and never for more than it has. */
#include "sim/disk_private.h"
#include "tests/support/rig.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static uint8_t zeros[4 * SIM_PAGE];
static uint8_t data[16 * SIM_PAGE];

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, 11, 1);
    memset(data, 'd', sizeof data);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

static struct sim_image *image(void)
{
    return sim_disk_image(rig.node[0]->disk);
}

static void uses_pages(uint64_t pages)
{
    assert_int_equal(sim_image_used(image()), pages * SIM_PAGE);
    assert_int_equal(sim_image_recount(image()), pages * SIM_PAGE);
}

static struct disk_file open_file(const char *path)
{
    struct disk_file file;

    assert_int_equal(rig_open(&rig, 0, path, DISK_CREATE, &file), ERR_NONE);
    return file;
}

static void cycle(enum sim_down how)
{
    sim_crash(rig.node[0], how);
    sim_restart(rig.node[0]);
}

static void nothing_rots_where_nothing_was_ever_written(void **state)
{
    struct disk_file file = open_file("a");

    (void)state;
    assert_int_equal(rig_write(&rig, 0, file, 2 * SIM_PAGE, "alpha", 5), ERR_NONE);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_NONE);
    assert_false(sim_image_rot(image(), "a", 8, 1));
    assert_true(sim_image_rot(image(), "a", 2 * SIM_PAGE, 1));
    uses_pages(1);
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 0), ERR_NONE);
    uses_pages(0);
}

static void sync_that_reverts_gives_the_space_back(void **state)
{
    const struct sim_disk_rule rule = {
        .ops = 1u << DISK_SYNC, .times = 1, .error = ERR_IO, .reverts = true};
    struct disk_file file = open_file("a");

    (void)state;
    assert_int_equal(rig_write(&rig, 0, file, 0, data, 3 * SIM_PAGE), ERR_NONE);
    uses_pages(3);
    (void)sim_break_disk(rig.node[0], &rule);
    assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_IO);
    uses_pages(0);
    assert_int_equal(rig_write(&rig, 0, file, SIM_PAGE, data, SIM_PAGE), ERR_NONE);
    uses_pages(1);
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 0), ERR_NONE);
    uses_pages(0);
}

/* A page that a failed sync marked clean leaves the cache, and is read again from the device. */
static void page_read_again_is_cut_where_the_file_was(void **state)
{
    enum { FILES = 24 };
    const struct sim_disk_rule rule = {.ops = 1u << DISK_SYNC, .times = FILES, .error = ERR_IO};
    uint8_t got[SIM_PAGE];
    uint32_t read_again = 0;
    uint64_t done;

    (void)state;
    for (int i = 0; i < FILES; i++) {
        char path[8];

        (void)snprintf(path, sizeof path, "%d", i);
        rig_put(&rig, 0, path, data, 2 * SIM_PAGE, true, true);
    }
    (void)sim_break_disk(rig.node[0], &rule);
    for (int i = 0; i < FILES; i++) {
        struct disk_file file;
        char path[8];

        (void)snprintf(path, sizeof path, "%d", i);
        file = open_file(path);
        assert_int_equal(rig_write(&rig, 0, file, 0, "news", 4), ERR_NONE);
        assert_int_equal(rig_file(&rig, 0, DISK_SYNC, file, 0), ERR_IO);
        assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 4), ERR_NONE);
        assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, SIM_PAGE), ERR_NONE);
    }
    uses_pages(FILES);
    cycle(SIM_DOWN_KILL);
    uses_pages(FILES);
    for (int i = 0; i < FILES; i++) {
        struct disk_file file;
        char path[8];

        (void)snprintf(path, sizeof path, "%d", i);
        file = open_file(path);
        assert_int_equal(rig_read(&rig, 0, file, 0, got, sizeof got, &done), ERR_NONE);
        assert_int_equal(done, SIM_PAGE);
        assert_memory_equal(got + 4, zeros, SIM_PAGE - 4);
        read_again += memcmp(got, "dddd", 4) == 0;
        assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 0), ERR_NONE);
    }
    assert_true(read_again > 0 && read_again < FILES);
    uses_pages(0);
}

/* The stray bytes hit what is about to be freed: nobody sees them. */
static void page_behind_the_end_stays_unseen(void **state)
{
    const struct sim_disk_rule rule = {
        .ops = 1u << DISK_WRITE, .times = 8, .effect = SIM_DISK_MISDIRECT};
    uint8_t got[4 * SIM_PAGE];
    struct disk_file cut;
    struct disk_file file;
    uint64_t done;

    (void)state;
    rig_put(&rig, 0, "cut", data, 4 * SIM_PAGE, true, true);
    cut = open_file("cut");
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, cut, 0), ERR_NONE);
    file = open_file("a");
    (void)sim_break_disk(rig.node[0], &rule);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(rig_write(&rig, 0, file, i * SIM_PAGE, "stray", 5), ERR_NONE);
    assert_true(sim_fault_counted(rig.sim, SIM_FAULT_MISDIRECTED).injected > 0);
    cycle(SIM_DOWN_KILL);
    assert_int_equal(sim_image_used(image()), sim_image_recount(image()));
    cut = open_file("cut");
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, cut, sizeof got), ERR_NONE);
    assert_int_equal(rig_read(&rig, 0, cut, 0, got, sizeof got, &done), ERR_NONE);
    assert_int_equal(done, sizeof got);
    assert_memory_equal(got, zeros, sizeof got);
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, cut, 0), ERR_NONE);
    assert_int_equal(rig_path(&rig, 0, DISK_UNLINK, "a", NULL), ERR_NONE);
    uses_pages(0);
}

static void write_that_is_cut_short_takes_no_space_that_is_not_there(void **state)
{
    const struct sim_disk_rule rule = {
        .ops = 1u << DISK_WRITE, .times = 8, .error = ERR_IO, .partial = true};
    bool some = false;

    (void)state;
    for (uint32_t round = 0; round < 32; round++) {
        static struct disk_req write;
        struct disk_file file = open_file("a");
        const struct bytes slice = {.data = data, .length = sizeof data};

        assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, 0), ERR_NONE);
        sim_fill_disk(rig.node[0], 2 * SIM_PAGE);
        write =
            (struct disk_req){.op = DISK_WRITE, .file = file, .slices = &slice, .slice_count = 1};
        rig_req(&write.req);
        disk_submit(rig_world(&rig, 0), &write);
        cycle(SIM_DOWN_KILL);
        assert_true(sim_image_used(image()) <= 2 * SIM_PAGE);
        some = some || sim_image_used(image()) > 0;
    }
    assert_true(some);
    (void)sim_break_disk(rig.node[0], &rule);
    for (uint32_t i = 0; i < 8; i++) {
        struct disk_file file = open_file("b");

        assert_int_equal(rig_write(&rig, 0, file, 0, data, sizeof data), ERR_IO);
        assert_int_equal(disk_space_left(rig.node[0]->disk) + sim_image_used(image()),
                         sim_disk_settings(rig.node[0]->disk)->capacity);
    }
}

static void reservation_is_used_and_goes_with_a_truncate(void **state)
{
    struct disk_file file = open_file("a");

    (void)state;
    assert_int_equal(rig_file(&rig, 0, DISK_PREALLOCATE, file, 8 * SIM_PAGE), ERR_NONE);
    uses_pages(8);
    assert_int_equal(rig_write(&rig, 0, file, 7 * SIM_PAGE, data, 2 * SIM_PAGE), ERR_NONE);
    uses_pages(9);
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, SIM_PAGE), ERR_NONE);
    uses_pages(1);
    assert_int_equal(rig_file(&rig, 0, DISK_PREALLOCATE, file, 4 * SIM_PAGE), ERR_NONE);
    uses_pages(4);
    assert_int_equal(rig_file(&rig, 0, DISK_TRUNCATE, file, SIM_PAGE), ERR_NONE); /* its size */
    uses_pages(1);
}

/* ---- whatever happens ------------------------------------------------------------------------ */

enum { FILES = 4, STEPS = 30000, PAGES = 12 };

static const char *const names[FILES] = {"a", "b", "c", "d"};

struct churn {
    struct rng rng;
    struct sim_inode *open[FILES];
    uint32_t named; /* names that changed */
};

static void churn_close(struct churn *churn)
{
    for (uint32_t i = 0; i < FILES; i++) {
        if (churn->open[i] != NULL) sim_image_close(image(), churn->open[i], false);
        churn->open[i] = NULL;
    }
}

static void churn_file(struct churn *churn, struct sim_inode *inode, uint64_t what)
{
    uint64_t at = rng_below(&churn->rng, PAGES * SIM_PAGE);
    uint64_t mark = sim_image_mark(image());

    switch (what) {
    case 0:
    case 1:
    case 2:
        sim_image_write(image(), inode, at, data, 1 + rng_below(&churn->rng, 2 * SIM_PAGE));
        break;
    case 3: sim_image_truncate(image(), inode, at); break;
    case 4: sim_image_truncate(image(), inode, sim_image_size(inode)); break;
    case 5: sim_image_reserve(image(), inode, at); break;
    case 6: (void)sim_image_sync(image(), inode, mark); break;
    case 7: sim_image_sync_failed(image(), inode); break;
    case 8: sim_image_sync_reverts(image(), inode); break;
    case 9:
        sim_image_write(image(), inode, at, data, SIM_PAGE);
        (void)sim_image_misdirect(image(), inode, mark, at);
        break;
    default:
        sim_image_write(image(), inode, at, data, SIM_PAGE);
        (void)sim_image_lose(image(), inode, mark);
        break;
    }
}

static void churn_names(struct churn *churn, const char *name, uint64_t what)
{
    const char *other = names[rng_below(&churn->rng, FILES)];
    struct sim_loss loss = {.policy = (enum sim_loss_policy)(what % SIM_LOSS_POLICIES),
                            .keep_per_million = RNG_MILLION / 2,
                            .tear_per_million = RNG_MILLION / 8,
                            .garbage_per_million = RNG_MILLION / 8};

    switch (what) {
    case 0: churn->named += sim_image_unlink(image(), name) == ERR_NONE; break;
    case 1:
    case 2: churn->named += sim_image_rename(image(), name, other) == ERR_NONE; break;
    case 3:
        assert_int_equal(sim_image_sync_dir(image(), "", sim_image_mark(image())), ERR_NONE);
        break;
    case 4:
    case 5: (void)sim_image_rot(image(), name, rng_below(&churn->rng, PAGES * SIM_PAGE), 3); break;
    case 6: (void)sim_image_writeback(image(), INT64_MAX); break;
    case 7:
        churn_close(churn);
        sim_image_evict_orphans(image(), rig.sim, 0);
        break;
    case 8: (void)sim_image_take(image(), image(), "?", NULL); break;
    case 9: sim_disk_snapshot(rig.node[0]->disk); break;
    case 10:
        churn_close(churn);
        (void)sim_disk_revert(rig.node[0]->disk);
        break;
    default:
        churn_close(churn);
        (void)sim_image_power_loss(image(), &loss, rig.sim, 0);
        break;
    }
}

static void whatever_happens_the_account_is_that_of_the_pages(void **state)
{
    struct churn churn = {0};

    (void)state;
    rng_init(&churn.rng, 7);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t i = rng_below(&churn.rng, FILES);
        uint64_t what = rng_below(&churn.rng, 100);

        if (churn.open[i] == NULL) {
            assert_int_equal(sim_image_open(image(), names[i], DISK_CREATE, &churn.open[i]),
                             ERR_NONE);
        } else if (what < 10) {
            sim_image_close(image(), churn.open[i], false);
            churn.open[i] = NULL;
        } else if (what < 80) {
            churn_file(&churn, churn.open[i], rng_below(&churn.rng, 11));
        } else {
            churn_names(&churn, names[i], rng_below(&churn.rng, 17));
        }
        assert_int_equal(sim_image_used(image()), sim_image_recount(image()));
    }
    assert_true(churn.named > STEPS / 100);
    churn_close(&churn);
    for (uint32_t i = 0; i < FILES; i++)
        churn.named += sim_image_unlink(image(), names[i]) == ERR_NONE;
    uses_pages(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_rots_where_nothing_was_ever_written),
        TEST(sync_that_reverts_gives_the_space_back),
        TEST(page_read_again_is_cut_where_the_file_was),
        TEST(page_behind_the_end_stays_unseen),
        TEST(write_that_is_cut_short_takes_no_space_that_is_not_there),
        TEST(reservation_is_used_and_goes_with_a_truncate),
        TEST(whatever_happens_the_account_is_that_of_the_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
