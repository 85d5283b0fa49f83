/* The production world under failing system calls: interrupted and short transfers are continued
 * until whole, real failures come back as the right error with the count done, and nothing of the
 * table of files or connections leaks. */
#include "tests/support/support.h"

#include "client/posix/posix_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One request is under way at a time, so workers and test never touch this at once. */
static struct {
    bool interrupt;     /* every second call of all is interrupted */
    size_t short_bytes; /* transfers move at most this many; 0: no limit */
    int error;          /* of the call named by fail_at */
    uint32_t fail_at;   /* counted down by transfers and syncs; 1 fails */
    uint32_t calls;
} faults;

static bool fault_now(void)
{
    if (faults.interrupt && faults.calls++ % 2 == 0) {
        errno = EINTR;
        return true;
    }
    if (faults.fail_at == 0 || --faults.fail_at > 0) return false;
    errno = faults.error;
    return true;
}

static ssize_t fault_pwritev(int fd, const struct iovec *slices, int count, off_t offset)
{
    size_t length = slices[0].iov_len;

    if (fault_now()) return -1;
    if (faults.short_bytes == 0) return pwritev(fd, slices, count, offset);
    return pwrite(fd, slices[0].iov_base, length < faults.short_bytes ? length : faults.short_bytes,
                  offset);
}

static ssize_t fault_preadv2(int fd, const struct iovec *slices, int count, off_t offset, int flags)
{
    struct iovec one = slices[0];

    if (fault_now()) return -1;
    if (faults.short_bytes != 0 && one.iov_len > faults.short_bytes)
        one.iov_len = faults.short_bytes;
    return preadv2(fd, &one, count, offset, flags);
}

static int fault_accept(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return fault_now() ? -1 : accept4(fd, address, length, flags);
}

static int fault_fdatasync(int fd)
{
    return fault_now() ? -1 : fdatasync(fd);
}
static int fault_fsync(int fd)
{
    return fault_now() ? -1 : fsync(fd);
}
static int fault_ftruncate(int fd, off_t length)
{
    return fault_now() ? -1 : ftruncate(fd, length);
}

static int fault_fallocate(int fd, int mode, off_t offset, off_t length)
{
    return fault_now() ? -1 : fallocate(fd, mode, offset, length);
}

static int fault_open(int dir, const char *path, int flags, mode_t mode)
{
    return fault_now() ? -1 : openat(dir, path, flags, mode);
}

static ssize_t fault_sendmsg(int fd, const struct msghdr *message, int flags)
{
    size_t length = message->msg_iov[0].iov_len;

    if (fault_now()) return -1;
    if (faults.short_bytes == 0) return sendmsg(fd, message, flags);
    return send(fd, message->msg_iov[0].iov_base,
                length < faults.short_bytes ? length : faults.short_bytes, flags);
}

static ssize_t fault_recv(int fd, void *into, size_t length, int flags)
{
    if (fault_now()) return -1;
    if (faults.short_bytes != 0 && length > faults.short_bytes) length = faults.short_bytes;
    return recv(fd, into, length, flags);
}

/* ---- one world and its completions ---- */

static struct posix_world *world;
static struct actor actor;
static struct posix_calls calls;
static char directory[64];

static void test_turn_end(struct actor *self, struct instant now)
{
    (void)self;
    (void)now;
}

static void test_complete(struct world_req *req, struct instant now)
{
    (void)now;
    assert_false(req->pending);
}

static int test_setup(void **state)
{
    struct posix_options options = posix_options_default();

    (void)state;
    memset(&faults, 0, sizeof faults);
    calls = posix_calls_real;
    calls.open = fault_open;
    calls.pwritev = fault_pwritev;
    calls.preadv2 = fault_preadv2;
    calls.fdatasync = fault_fdatasync;
    calls.fsync = fault_fsync;
    calls.ftruncate = fault_ftruncate;
    calls.fallocate = fault_fallocate;
    calls.sendmsg = fault_sendmsg;
    calls.recv = fault_recv;
    calls.accept = fault_accept;
    strcpy(directory, "/tmp/posix_faults.XX"
                      "XX"
                      "XX");
    if (mkdtemp(directory) == NULL) return -1;
    options.calls = &calls;
    options.directory = directory;
    options.region_size = 1 << 20;
    options.connections_max = 8;
    options.files_max = 4;
    options.timers_max = 16;
    options.chunks = 2;
    options.log_fd = -1;
    options.signals = true;
    if (posix_world_create(&options, &world) != ERR_NONE) return -1;
    actor.turn_end = test_turn_end;
    world->world.actor = &actor;
    return 0;
}

static int test_teardown(void **state)
{
    (void)state;
    memset(&faults, 0, sizeof faults);
    posix_world_destroy(world);
    if (chdir(directory) == 0) (void)unlink("a");
    if (chdir("/") != 0) return -1;
    return rmdir(directory);
}

static enum err test_wait(const struct world_req *req)
{
    for (int i = 0; i < 10000 && req->pending; i++) {
        (void)posix_world_turn(world, 10 * NS_PER_MS);
    }
    assert_false(req->pending);
    return req->result;
}

static enum err test_disk(struct disk_req *req)
{
    world_req_init(&req->req, test_complete);
    disk_submit(&world->world, req);
    return test_wait(&req->req);
}

static struct disk_file test_open(void)
{
    struct disk_req req = {.op = DISK_OPEN, .path = "a", .flags = DISK_CREATE};

    assert_int_equal(test_disk(&req), ERR_NONE);
    return req.file;
}

static uint8_t bytes[10000];
static uint8_t into[10000];
static const struct bytes three[3] = {{bytes, 3000}, {bytes + 3000, 3}, {bytes + 3003, 6997}};

static enum err test_write(struct disk_file file, uint64_t *done)
{
    struct disk_req req = {.op = DISK_WRITE, .file = file, .slices = three, .slice_count = 3};
    enum err err;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    err = test_disk(&req);
    *done = req.done;
    return err;
}

static enum err test_read(struct disk_file file, uint32_t flags, uint64_t *done)
{
    struct disk_req req = {
        .op = DISK_READ, .file = file, .into = into, .length = sizeof into, .flags = flags};
    enum err err;

    memset(into, 0xee, sizeof into);
    err = test_disk(&req);
    *done = req.done;
    return err;
}

static void interrupted_and_short_disk_transfers_are_continued_until_whole(void **state)
{
    struct disk_file file;
    uint64_t done;

    (void)state;
    faults.interrupt = true;
    faults.short_bytes = 999;
    file = test_open();
    assert_int_equal(test_write(file, &done), ERR_NONE);
    assert_int_equal(done, sizeof bytes);
    assert_int_equal(test_read(file, 0, &done), ERR_NONE);
    assert_int_equal(done, sizeof bytes);
    assert_memory_equal(bytes, into, sizeof bytes);
    assert_int_equal(test_read(file, DISK_UNCACHED, &done), ERR_NONE);
    assert_memory_equal(bytes, into, sizeof bytes);
    for (int i = 0; i < 3; i++) {
        static const enum disk_op ops[3] = {DISK_SYNC, DISK_TRUNCATE, DISK_PREALLOCATE};
        struct disk_req req = {.op = ops[i], .file = file, .length = 5000};

        assert_int_equal(test_disk(&req), ERR_NONE);
    }
    assert_true(faults.calls > 20);
}

static void failed_write_tells_the_error_and_the_count_done(void **state)
{
    struct disk_file file = test_open();
    uint64_t done;

    (void)state;
    faults.short_bytes = 1000;
    faults.fail_at = 3;
    faults.error = ENOSPC;
    assert_int_equal(test_write(file, &done), ERR_NO_SPACE);
    assert_int_equal(done, 2000);
    faults.fail_at = 1;
    faults.error = EIO;
    assert_int_equal(test_write(file, &done), ERR_IO);
    assert_int_equal(done, 0);
    assert_int_equal(test_write(file, &done), ERR_NONE); /* and the file is as usable as before */
    assert_int_equal(done, sizeof bytes);
}

static void failed_read_tells_the_error_and_the_count_done(void **state)
{
    struct disk_file file = test_open();
    uint64_t done;

    (void)state;
    assert_int_equal(test_write(file, &done), ERR_NONE);
    faults.short_bytes = 1000;
    faults.fail_at = 4;
    faults.error = EIO;
    assert_int_equal(test_read(file, 0, &done), ERR_IO);
    assert_int_equal(done, 3000);
}

static void cold_read_is_finished_by_a_worker(void **state)
{
    struct disk_file file = test_open();
    uint64_t done;

    (void)state;
    assert_int_equal(test_write(file, &done), ERR_NONE);
    faults.short_bytes = 4000;
    faults.fail_at = 2; /* the first piece is warm, the second is not there */
    faults.error = EAGAIN;
    assert_int_equal(test_read(file, 0, &done), ERR_NONE);
    assert_int_equal(done, sizeof bytes);
    assert_memory_equal(bytes, into, sizeof bytes);
}

static void writes_to_a_slow_device_are_done_by_a_worker_and_end_the_same(void **state)
{
    struct disk_file file = test_open();
    struct posix_device *device = &world->disk.devices[0];
    struct disk_req req = {.op = DISK_WRITE, .file = file, .slices = three, .slice_count = 3};
    uint64_t done;

    (void)state;
    device->slow = true;
    device->quick_since_ns = INT64_MAX; /* for good */
    world_req_init(&req.req, test_complete);
    disk_submit(&world->world, &req);
    assert_int_equal(device->on_worker, 1);
    assert_int_equal(test_wait(&req.req), ERR_NONE);
    assert_int_equal(req.done, sizeof bytes);
    assert_int_equal(device->on_worker, 0);
    faults.fail_at = 1;
    faults.error = ENOSPC;
    assert_int_equal(test_write(file, &done), ERR_NO_SPACE);
    assert_int_equal(done, 0);
    assert_int_equal(test_write(file, &done), ERR_NONE);
    assert_int_equal(test_read(file, 0, &done), ERR_NONE);
    assert_memory_equal(bytes, into, sizeof bytes);
}

static void listings_end_the_same_while_quick_and_while_slow(void **state)
{
    static uint64_t entries[512];
    const struct disk_entry *entry = (const struct disk_entry *)(const void *)entries;
    struct posix_device *names = &world->disk.names;
    struct disk_req req;

    (void)state;
    (void)test_open();
    for (int slow = 0; slow < 2; slow++) {
        req = (struct disk_req){
            .op = DISK_LIST, .path = ".", .into = (uint8_t *)entries, .length = sizeof entries};
        names->slow = slow == 1;
        names->quick_since_ns = INT64_MAX; /* for good */
        world_req_init(&req.req, test_complete);
        disk_submit(&world->world, &req);
        assert_int_equal(names->on_worker, 1);
        assert_int_equal(test_wait(&req.req), ERR_NONE);
        assert_int_equal(names->on_worker, 0);
        assert_int_equal(names->calls, slow + 1);
        assert_int_equal(req.done, entry->entry_length); /* one file */
        assert_string_equal(entry->name, "a");
    }
    req = (struct disk_req){.op = DISK_LIST, .path = "none", .into = (uint8_t *)entries};
    assert_int_equal(test_disk(&req), ERR_NOT_FOUND);
}

static void file_system_without_nowait_reads_inline(void **state)
{
    struct disk_file file = test_open();
    uint64_t done;

    (void)state;
    assert_int_equal(test_write(file, &done), ERR_NONE);
    faults.fail_at = 1;
    faults.error = EOPNOTSUPP;
    assert_int_equal(test_read(file, 0, &done), ERR_NONE);
    assert_memory_equal(bytes, into, sizeof bytes);
    assert_true(world->disk.devices[0].no_nowait);
}

static void failed_syncs_and_opens_leave_the_table_as_it_was(void **state)
{
    struct disk_file file = test_open();
    struct disk_req sync = {.op = DISK_SYNC, .file = file};
    struct disk_req many = {.op = DISK_SYNC_MANY, .files = &file, .file_count = 1};
    struct disk_req dir = {.op = DISK_SYNC_DIR, .path = "."};
    struct disk_req again = {.op = DISK_OPEN, .path = "a"};

    (void)state;
    faults.error = EIO;
    faults.fail_at = 1;
    assert_int_equal(test_disk(&sync), ERR_IO);
    faults.fail_at = 1;
    assert_int_equal(test_disk(&many), ERR_IO);
    faults.fail_at = 2;
    assert_int_equal(test_disk(&dir), ERR_IO);
    faults.error = EMFILE;
    for (int i = 0; i < 10; i++) { /* more often than there are handles */
        faults.fail_at = 1;
        assert_int_equal(test_disk(&again), ERR_TOO_MANY);
        assert_int_equal(again.file.handle, 0);
    }
    assert_int_equal(world->disk.files_open, 1);
    assert_int_equal(test_disk(&sync), ERR_NONE);
}

/* ---- streams ---- */

static struct net_listener listener;
static struct net_conn ends[2];

static void test_pair(void)
{
    struct net_accept accept = {.listener = &listener, .conn = &ends[1]};
    struct net_connect connect = {.conn = &ends[0]};

    listener =
        (struct net_listener){.address = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}}};
    world_req_init(&listener.req, test_complete);
    for (int i = 0; i < 2; i++) {
        world_req_init(&ends[i].gone, test_complete);
        world_req_init(&ends[i].closed, test_complete);
    }
    net_listen(&world->world, &listener);
    assert_int_equal(test_wait(&listener.req), ERR_NONE);
    connect.address = listener.address;
    world_req_init(&accept.req, test_complete);
    world_req_init(&connect.req, test_complete);
    net_accept(&world->world, &accept);
    net_connect(&world->world, &connect);
    assert_int_equal(test_wait(&connect.req), ERR_NONE);
    assert_int_equal(test_wait(&accept.req), ERR_NONE);
}

static void test_recv(struct net_recv *recv)
{
    world_req_init(&recv->req, test_complete);
    net_recv(&world->world, recv);
}

static enum err test_send(uint32_t length)
{
    const struct bytes slice = {bytes, length};
    struct net_send send = {.conn = &ends[0], .slices = &slice, .slice_count = 1};

    world_req_init(&send.req, test_complete);
    net_send(&world->world, &send);
    return test_wait(&send.req);
}

static void interrupted_and_short_socket_transfers_are_continued(void **state)
{
    struct net_send send = {.conn = &ends[0], .slices = three, .slice_count = 3};
    struct net_recv recv = {.conn = &ends[1], .into = into, .want = sizeof into};

    (void)state;
    test_pair();
    faults.interrupt = true;
    faults.short_bytes = 700;
    memset(into, 0, sizeof into);
    test_recv(&recv);
    world_req_init(&send.req, test_complete);
    net_send(&world->world, &send);
    assert_int_equal(test_wait(&send.req), ERR_NONE);
    assert_int_equal(test_wait(&recv.req), ERR_NONE);
    assert_memory_equal(bytes, into, sizeof into);
}

static void receives_wait_while_every_chunk_is_lent_and_go_on_in_order(void **state)
{
    struct net_recv recvs[200];
    uint32_t held = 0;

    (void)state;
    test_pair();
    /* 8 KiB each, all kept. */
    while (held < COUNT_OF(recvs)) {
        recvs[held] = (struct net_recv){.conn = &ends[1]};
        test_recv(&recvs[held]);
        assert_int_equal(test_send(8192), ERR_NONE);
        for (int i = 0; i < 50 && recvs[held].req.pending; i++) {
            (void)posix_world_turn(world, NS_PER_MS);
        }
        if (recvs[held].req.pending) break;
        held++;
    }
    assert_true(held >= 50 && held < COUNT_OF(recvs)); /* two chunks of 256 KiB */
    assert_int_equal(world->net.slab.loans, held);
    for (uint32_t i = 0; i < held; i++)
        net_release(&world->world, &recvs[i].loan);
    assert_int_equal(test_wait(&recvs[held].req), ERR_NONE);
    net_release(&world->world, &recvs[held].loan);
    assert_int_equal(world->net.slab.loans, 0);
}

static void reset_under_a_send_is_an_error_of_the_connection(void **state)
{
    (void)state;
    test_pair();
    faults.fail_at = 1;
    faults.error = EPIPE;
    assert_int_equal(test_send(10), ERR_CONNECTION_RESET);
    net_close(&world->world, &ends[0]);
    net_close(&world->world, &ends[1]);
    assert_int_equal(test_wait(&ends[0].closed), ERR_NONE);
    assert_int_equal(test_wait(&ends[1].closed), ERR_NONE);
    assert_int_equal(world->net.connections_open, 0);
}

static void accept_without_a_descriptor_is_too_many_and_a_lost_peer_is_skipped(void **state)
{
    struct net_accept accept = {.listener = &listener, .conn = &ends[1]};
    struct net_connect connect = {.conn = &ends[0]};

    (void)state;
    test_pair();
    net_close(&world->world, &ends[0]);
    net_close(&world->world, &ends[1]);
    assert_int_equal(test_wait(&ends[1].closed), ERR_NONE);
    connect.address = listener.address;
    world_req_init(&accept.req, test_complete);
    world_req_init(&connect.req, test_complete);
    faults.fail_at = 1;
    faults.error = EMFILE;
    net_accept(&world->world, &accept);
    net_connect(&world->world, &connect);
    assert_int_equal(test_wait(&accept.req), ERR_TOO_MANY);
    faults.fail_at = 1;
    faults.error = ECONNABORTED;
    net_accept(&world->world, &accept); /* the one that waits in the backlog */
    assert_int_equal(test_wait(&accept.req), ERR_NONE);
    assert_int_equal(faults.fail_at, 0);
    assert_int_equal(world->net.connections_open, 2);
}

/* ---- the rest of the machine ---- */

static void signal_completes_the_request_that_waits_or_the_next(void **state)
{
    struct world_req req;

    (void)state;
    world_req_init(&req, test_complete);
    posix_world_on_signal(world, &req);
    (void)posix_world_turn(world, 0);
    assert_true(req.pending);
    kill(getpid(), SIGTERM);
    assert_int_equal(test_wait(&req), ERR_NONE);
    kill(getpid(), SIGINT);
    (void)posix_world_turn(world, NS_PER_MS);
    posix_world_on_signal(world, &req);
    assert_true(req.pending);
    assert_int_equal(test_wait(&req), ERR_NONE);
}

static void idle_world_stops_polling(void **state)
{
    uint64_t before;

    (void)state;
    world->poll_us = 20;
    world->fruitless = 0;
    for (int i = 0; i < POSIX_FRUITLESS_MAX; i++)
        (void)posix_world_turn(world, NS_PER_MS / 10);
    assert_int_equal(world->fruitless, POSIX_FRUITLESS_MAX);
    assert_int_equal(world->pause, POSIX_PAUSE_MIN);
    before = world->sleeps;
    for (int i = 0; i < POSIX_PAUSE_MIN; i++)
        (void)posix_world_turn(world, NS_PER_MS / 10);
    assert_int_equal(world->sleeps, before + POSIX_PAUSE_MIN);
    assert_int_equal(world->pause, 0); /* the next wait tries one poll, and pauses longer */
    (void)posix_world_turn(world, NS_PER_MS / 10);
    assert_int_equal(world->pause, 2 * POSIX_PAUSE_MIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(interrupted_and_short_disk_transfers_are_continued_until_whole),
        TEST(failed_write_tells_the_error_and_the_count_done),
        TEST(failed_read_tells_the_error_and_the_count_done),
        TEST(cold_read_is_finished_by_a_worker),
        TEST(writes_to_a_slow_device_are_done_by_a_worker_and_end_the_same),
        TEST(listings_end_the_same_while_quick_and_while_slow),
        TEST(file_system_without_nowait_reads_inline),
        TEST(failed_syncs_and_opens_leave_the_table_as_it_was),
        TEST(interrupted_and_short_socket_transfers_are_continued),
        TEST(receives_wait_while_every_chunk_is_lent_and_go_on_in_order),
        TEST(accept_without_a_descriptor_is_too_many_and_a_lost_peer_is_skipped),
        TEST(reset_under_a_send_is_an_error_of_the_connection),
        TEST(signal_completes_the_request_that_waits_or_the_next),
        TEST(idle_world_stops_polling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
