/* W7 and W8: every disk operation and flag, its errors, and what a loss of power leaves. */
#include "tests/conformance/suite.h"

#include <stdio.h>
#include <string.h>

static uint8_t bytes_out[1024 * 1024];
static uint8_t bytes_in[1024 * 1024 + 64];
static struct disk_req last; /* of the helpers: one request at a time */

static enum err disk_do(struct disk_req req)
{
    last = req;
    SUBMIT(0, disk_submit, &last);
    return suite_wait(&last.req);
}

static enum err disk_path(enum disk_op op, const char *path)
{
    return disk_do((struct disk_req){.op = op, .path = path});
}

static enum err disk_open(const char *path, uint32_t flags, struct disk_file *file)
{
    enum err err = disk_do((struct disk_req){.op = DISK_OPEN, .path = path, .flags = flags});

    if (err == ERR_NONE) {
        assert_int_not_equal(last.file.handle, 0);
        *file = last.file;
    }
    return err;
}

static struct disk_file disk_new(const char *path)
{
    struct disk_file file = {0};

    assert_int_equal(disk_open(path, DISK_CREATE | DISK_EXCLUSIVE, &file), ERR_NONE);
    assert_int_equal(last.size, 0);
    return file;
}

static enum err disk_file_op(enum disk_op op, struct disk_file file, uint64_t offset,
                             uint64_t length)
{
    return disk_do((struct disk_req){.op = op, .file = file, .offset = offset, .length = length});
}

static void disk_close(struct disk_file file)
{
    assert_int_equal(disk_file_op(DISK_CLOSE, file, 0, 0), ERR_NONE);
}

static void disk_write(struct disk_file file, uint64_t offset, uint32_t length, uint32_t salt)
{
    struct bytes slice = {bytes_out, length};

    suite_fill(bytes_out, offset, length, salt);
    assert_int_equal(
        disk_do((struct disk_req){
            .op = DISK_WRITE, .file = file, .offset = offset, .slices = &slice, .slice_count = 1}),
        ERR_NONE);
    assert_int_equal(last.done, length);
}

/* Into bytes_in; returns how much came. */
static uint64_t disk_read(struct disk_file file, uint64_t offset, uint64_t length, uint32_t flags)
{
    assert_int_equal(disk_do((struct disk_req){.op = DISK_READ,
                                               .file = file,
                                               .offset = offset,
                                               .length = length,
                                               .into = bytes_in,
                                               .flags = flags}),
                     ERR_NONE);
    return last.done;
}

static uint64_t disk_size(const char *path)
{
    struct disk_file file = {0};
    uint64_t size;

    assert_int_equal(disk_open(path, DISK_READ_ONLY, &file), ERR_NONE);
    size = last.size;
    disk_close(file);
    return size;
}

static void open_makes_only_with_create_and_exclusive_refuses_what_is_there(void **state)
{
    struct disk_file file = {0};

    (void)state;
    suite_begin(1, 1, 8);
    assert_int_equal(disk_open("a", 0, &file), ERR_NOT_FOUND);
    assert_int_equal(disk_open("a", DISK_READ_ONLY, &file), ERR_NOT_FOUND);
    assert_int_equal(disk_open("none/a", DISK_CREATE, &file), ERR_NOT_FOUND);
    disk_close(disk_new("a"));
    assert_int_equal(disk_open("a", DISK_CREATE | DISK_EXCLUSIVE, &file), ERR_EXISTS);
    assert_int_equal(disk_open("a", DISK_CREATE, &file), ERR_NONE);
    disk_write(file, 0, 77, 1);
    disk_close(file);
    assert_int_equal(disk_open("a", DISK_CREATE, &file), ERR_NONE); /* keeps what is in it */
    assert_int_equal(last.size, 77);
    disk_close(file);
}

static void lock_keeps_a_second_opener_out_until_closed(void **state)
{
    struct disk_file first = {0};
    struct disk_file second = {0};

    (void)state;
    suite_begin(1, 1, 8);
    assert_int_equal(disk_open(".lock", DISK_CREATE | DISK_LOCK, &first), ERR_NONE);
    assert_int_equal(disk_open(".lock", DISK_CREATE | DISK_LOCK, &second), ERR_LOCKED);
    disk_close(first);
    assert_int_equal(disk_open(".lock", DISK_CREATE | DISK_LOCK, &second), ERR_NONE);
    disk_close(second);
}

static void files_above_the_maximum_are_too_many_until_one_is_closed(void **state)
{
    struct disk_file files[3] = {{0}};
    const char *names[3] = {"a", "b", "c"};

    (void)state;
    suite_begin(1, 1, 2);
    files[0] = disk_new(names[0]);
    files[1] = disk_new(names[1]);
    assert_int_equal(disk_open(names[2], DISK_CREATE, &files[2]), ERR_TOO_MANY);
    disk_close(files[0]);
    assert_int_equal(disk_open(names[2], DISK_CREATE, &files[2]), ERR_NONE);
}

static void what_is_written_is_read_and_only_the_end_makes_a_read_short(void **state)
{
    struct disk_file file;

    (void)state;
    suite_begin(1, 1, 4);
    file = disk_new("a");
    assert_int_equal(disk_read(file, 0, 100, 0), 0);
    disk_write(file, 0, 1000000, 1);
    disk_write(file, 5000, 3, 2); /* over what is there */
    assert_int_equal(disk_read(file, 0, 1000064, 0), 1000000);
    suite_check(bytes_in, 0, 5000, 1);
    suite_check(bytes_in + 5000, 5000, 3, 2);
    suite_check(bytes_in + 5003, 5003, 1000000 - 5003, 1);
    assert_int_equal(disk_read(file, 999990, 5, 0), 5);
    suite_check(bytes_in, 999990, 5, 1);
    assert_int_equal(disk_read(file, 1000000, 5, 0), 0);
    assert_int_equal(disk_read(file, 7000000, 5, 0), 0);
    assert_int_equal(disk_read(file, 0, 0, 0), 0);
    assert_int_equal(disk_size("a"), 1000000);
}

static void uncached_read_gives_the_same_bytes(void **state)
{
    struct disk_file file;

    (void)state;
    suite_begin(1, 1, 4);
    file = disk_new("a");
    disk_write(file, 0, 100000, 1);
    assert_int_equal(disk_read(file, 4097, 50000, DISK_UNCACHED), 50000);
    suite_check(bytes_in, 4097, 50000, 1);
    assert_int_equal(disk_file_op(DISK_SYNC, file, 0, 0), ERR_NONE);
    assert_int_equal(disk_read(file, 3, 200000, DISK_UNCACHED), 99997);
    suite_check(bytes_in, 3, 99997, 1);
}

static void write_beyond_the_end_leaves_zeros_between(void **state)
{
    struct disk_file file;

    (void)state;
    suite_begin(1, 1, 4);
    file = disk_new("a");
    disk_write(file, 10000, 10, 1);
    assert_int_equal(disk_read(file, 0, 20000, 0), 10010);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(bytes_in[i], 0);
    suite_check(bytes_in + 10000, 10000, 10, 1);
}

static void write_gathers_the_most_slices_some_empty(void **state)
{
    static struct bytes slices[DISK_SLICES_MAX];
    struct disk_file file;
    uint32_t length = 0;

    (void)state;
    suite_begin(1, 1, 4);
    file = disk_new("a");
    suite_fill(bytes_out, 0, sizeof bytes_out, 3);
    for (uint32_t i = 0; i < DISK_SLICES_MAX; i++) {
        slices[i] = (struct bytes){bytes_out + length, i % 3 == 0 ? 0 : i};
        length += slices[i].length;
    }
    assert_int_equal(
        disk_do((struct disk_req){
            .op = DISK_WRITE, .file = file, .slices = slices, .slice_count = DISK_SLICES_MAX}),
        ERR_NONE);
    assert_int_equal(last.done, length);
    assert_int_equal(disk_read(file, 0, length + 10, 0), length);
    suite_check(bytes_in, 0, length, 3);
    assert_int_equal(disk_do((struct disk_req){.op = DISK_WRITE, .file = file, .slice_count = 0}),
                     ERR_NONE);
    assert_int_equal(last.done, 0);
}

static void truncate_cuts_and_extends_with_zeros(void **state)
{
    struct disk_file file;

    (void)state;
    suite_begin(1, 1, 4);
    file = disk_new("a");
    disk_write(file, 0, 5000, 1);
    assert_int_equal(disk_file_op(DISK_TRUNCATE, file, 0, 100), ERR_NONE);
    assert_int_equal(disk_size("a"), 100);
    assert_int_equal(disk_file_op(DISK_TRUNCATE, file, 0, 300), ERR_NONE);
    assert_int_equal(disk_read(file, 0, 1000, 0), 300);
    suite_check(bytes_in, 0, 100, 1);
    for (int i = 100; i < 300; i++)
        assert_int_equal(bytes_in[i], 0);
}

static void preallocate_keeps_the_size(void **state)
{
    struct disk_file file;

    (void)state;
    suite_begin(1, 1, 4);
    file = disk_new("a");
    disk_write(file, 0, 10, 1);
    assert_int_equal(disk_file_op(DISK_PREALLOCATE, file, 0, 1 << 20), ERR_NONE);
    assert_int_equal(disk_size("a"), 10);
    assert_int_equal(disk_read(file, 0, 100, 0), 10);
    suite_check(bytes_in, 0, 10, 1);
}

static void syncs_of_one_of_many_and_of_a_directory_succeed(void **state)
{
    struct disk_file files[2];

    (void)state;
    suite_begin(1, 1, 4);
    files[0] = disk_new("a");
    files[1] = disk_new("b");
    disk_write(files[0], 0, 10, 1);
    disk_write(files[1], 0, 10, 2);
    assert_int_equal(disk_file_op(DISK_SYNC, files[0], 0, 0), ERR_NONE);
    assert_int_equal(
        disk_do((struct disk_req){.op = DISK_SYNC_MANY, .files = files, .file_count = 2}),
        ERR_NONE);
    assert_int_equal(disk_do((struct disk_req){.op = DISK_SYNC_MANY}), ERR_NONE);
    assert_int_equal(disk_path(DISK_SYNC_DIR, "."), ERR_NONE);
    assert_int_equal(disk_path(DISK_SYNC_DIR, "none"), ERR_NOT_FOUND);
    assert_int_equal(disk_path(DISK_FREE_SPACE, "."), ERR_NONE);
    assert_true(last.size > 0);
}

static void rename_replaces_and_an_open_file_follows_its_bytes(void **state)
{
    struct disk_file file;
    struct disk_file old;

    (void)state;
    suite_begin(1, 1, 4);
    old = disk_new("to");
    disk_write(old, 0, 50, 1);
    file = disk_new("from");
    disk_write(file, 0, 70, 2);
    assert_int_equal(disk_do((struct disk_req){.op = DISK_RENAME, .path = "from", .path_to = "to"}),
                     ERR_NONE);
    assert_int_equal(disk_size("to"), 70);
    assert_int_equal(disk_read(file, 0, 100, 0), 70);
    suite_check(bytes_in, 0, 70, 2);
    assert_int_equal(disk_read(old, 0, 100, 0), 50); /* replaced, not destroyed while open */
    suite_check(bytes_in, 0, 50, 1);
    assert_int_equal(disk_do((struct disk_req){.op = DISK_RENAME, .path = "from", .path_to = "to"}),
                     ERR_NOT_FOUND);
}

static void unlinked_file_is_gone_by_name_and_there_while_open(void **state)
{
    struct disk_file file;
    struct disk_file again = {0};

    (void)state;
    suite_begin(1, 1, 4);
    file = disk_new("a");
    disk_write(file, 0, 50, 1);
    assert_int_equal(disk_path(DISK_UNLINK, "a"), ERR_NONE);
    assert_int_equal(disk_path(DISK_UNLINK, "a"), ERR_NOT_FOUND);
    assert_int_equal(disk_open("a", 0, &again), ERR_NOT_FOUND);
    assert_int_equal(disk_read(file, 0, 100, 0), 50);
    disk_close(file);
    disk_close(disk_new("a"));
}

static void directories_are_made_once_and_removed_when_empty(void **state)
{
    (void)state;
    suite_begin(1, 1, 4);
    assert_int_equal(disk_path(DISK_MKDIR, "d"), ERR_NONE);
    assert_int_equal(disk_path(DISK_MKDIR, "d"), ERR_EXISTS);
    assert_int_equal(disk_path(DISK_MKDIR, "none/d"), ERR_NOT_FOUND);
    disk_close(disk_new("d/a"));
    assert_int_equal(disk_path(DISK_RMDIR, "d"), ERR_EXISTS);
    assert_int_equal(disk_path(DISK_UNLINK, "d/a"), ERR_NONE);
    assert_int_equal(disk_path(DISK_RMDIR, "d"), ERR_NONE);
    assert_int_equal(disk_path(DISK_RMDIR, "d"), ERR_NOT_FOUND);
}

static void listing_has_every_entry_once_and_says_how_much_room_it_needs(void **state)
{
    static uint64_t into[512];
    struct disk_file file;
    uint64_t needed;
    uint32_t seen = 0;

    (void)state;
    suite_begin(1, 1, 32);
    assert_int_equal(disk_path(DISK_MKDIR, "d"), ERR_NONE);
    assert_int_equal(disk_path(DISK_MKDIR, "d/sub"), ERR_NONE);
    for (uint32_t i = 0; i < 20; i++) {
        char name[32];

        snprintf(name, sizeof name, "d/file-%.*s%02u", (int)(i % 5), "xxxxx", (unsigned)i);
        file = disk_new(name);
        if (i > 0) disk_write(file, 0, i * 10, 1);
    }
    assert_int_equal(disk_do((struct disk_req){
                         .op = DISK_LIST, .path = "d", .into = (uint8_t *)into, .length = 64}),
                     ERR_TOO_LARGE);
    needed = last.size;
    assert_true(needed > 64 && needed <= sizeof into);
    assert_int_equal(disk_do((struct disk_req){
                         .op = DISK_LIST, .path = "d", .into = (uint8_t *)into, .length = needed}),
                     ERR_NONE);
    assert_int_equal(last.done, needed);
    for (uint64_t at = 0; at < last.done;) {
        const struct disk_entry *entry = (const struct disk_entry *)(const void *)&into[at / 8];
        unsigned number = 20;

        assert_int_equal(entry->entry_length % 8, 0);
        assert_true(entry->entry_length >= offsetof(struct disk_entry, name) + strlen(entry->name));
        if (strcmp(entry->name, "sub") == 0) {
            assert_int_equal(entry->directory, 1);
        } else {
            assert_int_equal(strncmp(entry->name, "file-", 5), 0);
            number = (unsigned)(entry->name[strlen(entry->name) - 2] - '0') * 10 +
                     (unsigned)(entry->name[strlen(entry->name) - 1] - '0');
            assert_int_equal(entry->directory, 0);
            assert_int_equal(entry->size, number * 10);
        }
        assert_int_equal(seen & (1U << number), 0);
        seen |= 1U << number;
        at += entry->entry_length;
    }
    assert_int_equal(seen, (1U << 21) - 1);
    assert_int_equal(disk_path(DISK_LIST, "none"), ERR_NOT_FOUND);
}

static void path_above_its_maximum_is_too_large(void **state)
{
    static char path[DISK_PATH_MAX + 2];
    struct disk_file file = {0};

    (void)state;
    suite_begin(1, 1, 4);
    for (int i = 0; i <= DISK_PATH_MAX; i++)
        path[i] = i % 2 == 0 ? '.' : '/';
    assert_int_equal(disk_open(path, DISK_CREATE, &file), ERR_TOO_LARGE);
    assert_int_equal(disk_path(DISK_MKDIR, path), ERR_TOO_LARGE);
}

static void many_requests_at_once_complete_each_once(void **state)
{
    static struct disk_req reqs[40];
    static struct bytes slices[40];
    struct disk_file files[4];
    static const char *const names[4] = {"a", "b", "c", "d"};

    (void)state;
    suite_begin(1, 1, 8);
    suite_fill(bytes_out, 0, 40000, 1);
    for (int i = 0; i < 4; i++)
        files[i] = disk_new(names[i]);
    for (uint32_t i = 0; i < 40; i++) {
        slices[i] = (struct bytes){bytes_out, 1000};
        reqs[i] = (struct disk_req){.op = i < 4        ? DISK_WRITE
                                          : i % 2 == 0 ? DISK_SYNC
                                                       : DISK_READ,
                                    .file = files[i % 4],
                                    .slices = &slices[i],
                                    .slice_count = 1,
                                    .into = bytes_in + i * 1000,
                                    .length = 1000};
        SUBMIT(0, disk_submit, &reqs[i]);
    }
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(suite_wait(&reqs[i].req), ERR_NONE);
}

static void crash_keeps_completed_writes_and_tells_nothing_of_before(void **state)
{
    static struct disk_req pending;
    static struct world_timer timer;
    struct disk_file file;

    (void)state;
    if (!suite.harness->can_crash) skip();
    suite_begin(1, 4, 8);
    file = disk_new("a");
    disk_write(file, 0, 10000, 1);
    pending = (struct disk_req){.op = DISK_SYNC, .file = file};
    SUBMIT(0, disk_submit, &pending);
    timer.deadline = (struct mono_time){0};
    SUBMIT(0, timer_start, &timer);
    suite.harness->crash(suite.set, 0);
    suite_attach(0);
    suite_idle();
    assert_false(suite_told(&pending.req)); /* W9 */
    assert_false(suite_told(&timer.req));
    assert_int_equal(suite_world(0)->region->used, 0);
    assert_int_equal(disk_open("a", DISK_LOCK, &file), ERR_NONE);
    assert_int_equal(last.size, 10000);
    assert_int_equal(disk_read(file, 0, 10000, 0), 10000);
    suite_check(bytes_in, 0, 10000, 1);
}

static void power_loss_leaves_what_was_synced_and_nothing_else(void **state)
{
    struct disk_file kept;
    struct disk_file unsynced;
    struct disk_file nameless;

    (void)state;
    if (!suite.harness->can_power_loss) skip();
    suite_begin(1, 4, 8);
    kept = disk_new("kept");
    unsynced = disk_new("unsynced");
    disk_write(kept, 0, 5000, 1);
    assert_int_equal(disk_file_op(DISK_SYNC, kept, 0, 0), ERR_NONE);
    assert_int_equal(disk_path(DISK_SYNC_DIR, "."), ERR_NONE);
    disk_write(kept, 5000, 100, 1);
    disk_write(unsynced, 0, 300, 2);
    nameless = disk_new("nameless"); /* synced, but its directory was not */
    disk_write(nameless, 0, 10, 3);
    assert_int_equal(disk_file_op(DISK_SYNC, nameless, 0, 0), ERR_NONE);
    suite.harness->power_loss(suite.set, 0);
    suite_attach(0);
    assert_int_equal(disk_size("kept"), 5000);
    assert_int_equal(disk_size("unsynced"), 0);
    assert_int_equal(disk_open("nameless", 0, &nameless), ERR_NOT_FOUND);
    assert_int_equal(disk_open("kept", 0, &kept), ERR_NONE);
    assert_int_equal(disk_read(kept, 0, 10000, 0), 5000);
    suite_check(bytes_in, 0, 5000, 1);
}

static void power_loss_forgets_a_rename_and_an_unlink_that_were_not_synced(void **state)
{
    struct disk_file file;

    (void)state;
    if (!suite.harness->can_power_loss) skip();
    suite_begin(1, 4, 8);
    file = disk_new("a");
    disk_write(file, 0, 10, 1);
    assert_int_equal(disk_file_op(DISK_SYNC, file, 0, 0), ERR_NONE);
    file = disk_new("b");
    assert_int_equal(disk_file_op(DISK_SYNC, file, 0, 0), ERR_NONE);
    assert_int_equal(disk_path(DISK_SYNC_DIR, "."), ERR_NONE);
    assert_int_equal(disk_do((struct disk_req){.op = DISK_RENAME, .path = "a", .path_to = "c"}),
                     ERR_NONE);
    assert_int_equal(disk_path(DISK_UNLINK, "b"), ERR_NONE);
    suite.harness->power_loss(suite.set, 0);
    suite_attach(0);
    assert_int_equal(disk_size("a"), 10);
    assert_int_equal(disk_size("b"), 0);
    assert_int_equal(disk_open("c", 0, &file), ERR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_teardown(name, suite_teardown)
const struct CMUnitTest suite_disk[] = {
    TEST(open_makes_only_with_create_and_exclusive_refuses_what_is_there),
    TEST(lock_keeps_a_second_opener_out_until_closed),
    TEST(files_above_the_maximum_are_too_many_until_one_is_closed),
    TEST(what_is_written_is_read_and_only_the_end_makes_a_read_short),
    TEST(uncached_read_gives_the_same_bytes),
    TEST(write_beyond_the_end_leaves_zeros_between),
    TEST(write_gathers_the_most_slices_some_empty),
    TEST(truncate_cuts_and_extends_with_zeros),
    TEST(preallocate_keeps_the_size),
    TEST(syncs_of_one_of_many_and_of_a_directory_succeed),
    TEST(rename_replaces_and_an_open_file_follows_its_bytes),
    TEST(unlinked_file_is_gone_by_name_and_there_while_open),
    TEST(directories_are_made_once_and_removed_when_empty),
    TEST(listing_has_every_entry_once_and_says_how_much_room_it_needs),
    TEST(path_above_its_maximum_is_too_large),
    TEST(many_requests_at_once_complete_each_once),
    TEST(crash_keeps_completed_writes_and_tells_nothing_of_before),
    TEST(power_loss_leaves_what_was_synced_and_nothing_else),
    TEST(power_loss_forgets_a_rename_and_an_unlink_that_were_not_synced),
};
const size_t suite_disk_count = COUNT_OF(suite_disk);
