/* Proves the account of space of a simulated disk: whatever happens to a file, the disk is charged
 * for the pages somebody can see and for those reserved, and never for more than it has. */
#include "tests/support/rig.h"

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_rots_where_nothing_was_ever_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
