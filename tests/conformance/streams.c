/* W6: every byte once and in order, both ways of receiving, under back-pressure, to the end. */
#include "tests/conformance/pair.h"

static uint8_t buffer[32 * 1024 * 1024];
static uint8_t other[4 * 1024 * 1024];

static void bytes_of_every_size_arrive_in_order_both_ways_of_receiving(void **state)
{
    static const uint32_t sizes[] = {1, 2, 4095, 4096, 4097, 65536, 300000, 3000001};
    struct pair pair = {.listener = {.handle = 0}};
    uint64_t at = 0;

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    for (uint32_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
        uint32_t size = sizes[i / 2];
        struct net_send send;
        struct bytes slice;

        pair_send_start(&send, &slice, &pair.ends[0], 0, buffer, at, size);
        assert_int_equal(pair_receive(&pair.ends[1], 1, at, size, i % 2 == 0), size);
        assert_int_equal(suite_wait(&send.req), ERR_NONE);
        at += size;
    }
}

static void both_directions_flow_at_once(void **state)
{
    struct pair pair = {.listener = {.handle = 0}};
    struct net_send sends[2];
    struct bytes slices[2];

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    pair_send_start(&sends[0], &slices[0], &pair.ends[0], 0, buffer, 0, 4000000);
    pair_send_start(&sends[1], &slices[1], &pair.ends[1], 1, other, 0, 3000000);
    pair_receive(&pair.ends[1], 1, 0, 4000000, true);
    pair_receive(&pair.ends[0], 0, 0, 3000000, false);
    assert_int_equal(suite_wait(&sends[0].req), ERR_NONE);
    assert_int_equal(suite_wait(&sends[1].req), ERR_NONE);
}

static void send_of_the_most_slices_some_empty_is_one_stream(void **state)
{
    static struct bytes slices[NET_SLICES_MAX];
    struct pair pair = {.listener = {.handle = 0}};
    struct net_send send = {.conn = &pair.ends[0], .slices = slices, .slice_count = NET_SLICES_MAX};
    uint32_t length = 0;

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    suite_fill(buffer, 0, 4000000, 0);
    for (uint32_t i = 0; i < NET_SLICES_MAX; i++) {
        slices[i] = (struct bytes){buffer + length, i % 5 == 0 ? 0 : i * 7};
        length += slices[i].length;
    }
    SUBMIT(0, net_send, &send);
    pair_receive(&pair.ends[1], 1, 0, length, false);
    assert_int_equal(suite_wait(&send.req), ERR_NONE);
    slices[0].length = 0;
    send.slice_count = 1;
    SUBMIT(0, net_send, &send); /* nothing at all */
    assert_int_equal(suite_wait(&send.req), ERR_NONE);
}

static void peer_that_does_not_read_holds_the_sender_back(void **state)
{
    struct pair pair = {.listener = {.handle = 0}};
    struct net_send send;
    struct bytes slice;
    uint32_t got;

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    pair_send_start(&send, &slice, &pair.ends[0], 0, buffer, 0, sizeof buffer);
    suite_idle();
    assert_false(suite_told(&send.req));
    got = pair_receive(&pair.ends[1], 1, 0, sizeof buffer / 2, true);
    pair_receive(&pair.ends[1], 1, got, (uint32_t)sizeof buffer - got, false);
    assert_int_equal(suite_wait(&send.req), ERR_NONE);
}

/* ---- ranges of files ---- */

static struct disk_req range_req;

static enum err range_disk(enum disk_op op)
{
    range_req.op = op;
    SUBMIT(0, disk_submit, &range_req);
    return suite_wait(&range_req.req);
}

/* A file of world 0 with the bytes of positions 0 to `length`; open. */
static struct disk_file range_file(uint32_t length)
{
    struct bytes slice = {buffer, length};

    range_req = (struct disk_req){.path = "ranges", .flags = DISK_CREATE};
    assert_int_equal(range_disk(DISK_OPEN), ERR_NONE);
    suite_fill(buffer, 0, length, 0);
    range_req.slices = &slice;
    range_req.slice_count = 1;
    assert_int_equal(range_disk(DISK_WRITE), ERR_NONE);
    return range_req.file;
}

static void ranges_of_a_file_between_memory_are_one_stream(void **state)
{
    static uint8_t head[1000];
    struct pair pair = {.listener = {.handle = 0}};
    struct disk_file file;
    struct bytes slices[6];
    struct net_range ranges[3];
    struct net_send send = {
        .conn = &pair.ends[0], .slices = slices, .slice_count = 6, .ranges = ranges};
    uint32_t got;

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    file = range_file(3000000);
    /* 0..1000 memory, to 5000 and to 2500000 ranges, an empty slice, to 2500100 memory, a range */
    suite_fill(head, 0, 1000, 0);
    suite_fill(other, 2500000, 100, 0);
    slices[0] = (struct bytes){head, 1000};
    slices[1] = (struct bytes){NULL, 4000};
    slices[2] = (struct bytes){NULL, 2495000};
    slices[3] = (struct bytes){NULL, 0};
    slices[4] = (struct bytes){other, 100};
    slices[5] = (struct bytes){NULL, 499900};
    ranges[0] = (struct net_range){file, 1000};
    ranges[1] = (struct net_range){file, 5000};
    ranges[2] = (struct net_range){file, 2500100};
    SUBMIT(0, net_send, &send);
    got = pair_receive(&pair.ends[1], 1, 0, 1500000, true);
    if (got < 3000000) pair_receive(&pair.ends[1], 1, got, 3000000 - got, false);
    assert_int_equal(suite_wait(&send.req), ERR_NONE);
}

static void a_file_without_a_name_is_sent_and_one_that_is_shorter_ends_the_send(void **state)
{
    struct pair pair = {.listener = {.handle = 0}};
    struct bytes slice = {NULL, 700000};
    struct net_range range = {.offset = 0};
    struct net_send send = {
        .conn = &pair.ends[0], .slices = &slice, .slice_count = 1, .ranges = &range};

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    range.file = range_file(700000);
    assert_int_equal(range_disk(DISK_UNLINK), ERR_NONE);
    range_req.file = range.file;
    SUBMIT(0, net_send, &send);
    assert_int_equal(pair_receive(&pair.ends[1], 1, 0, 700000, false), 700000);
    assert_int_equal(suite_wait(&send.req), ERR_NONE);
    range_req.length = 100000;
    assert_int_equal(range_disk(DISK_TRUNCATE), ERR_NONE);
    SUBMIT(0, net_send, &send);
    assert_int_equal(pair_receive(&pair.ends[1], 1, 0, 100000, false), 100000);
    assert_int_equal(suite_wait(&send.req), ERR_EOF);
    pair_close(&pair.ends[0], 0);
    assert_int_equal(pair_receive_end(&pair.ends[1], 1), ERR_EOF);
}

static void what_is_resident_is_a_beginning_of_the_range(void **state)
{
    struct disk_file file;

    (void)state;
    suite_begin(1, 4, 4);
    file = range_file(300000);
    range_req = (struct disk_req){.file = file, .offset = 1000, .length = 200000};
    assert_int_equal(range_disk(DISK_RESIDENT), ERR_NONE);
    assert_true(range_req.done <= 200000);
}

static void receive_waits_for_bytes_and_into_waits_for_all_of_them(void **state)
{
    struct pair pair = {.listener = {.handle = 0}};
    uint8_t into[10];
    struct net_recv recv = {.conn = &pair.ends[1], .into = into, .want = sizeof into};
    struct net_send send;
    struct bytes slice;

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    SUBMIT(1, net_recv, &recv);
    pair_send_start(&send, &slice, &pair.ends[0], 0, buffer, 0, 9);
    assert_int_equal(suite_wait(&send.req), ERR_NONE);
    suite_idle();
    assert_false(suite_told(&recv.req));
    pair_send_start(&send, &slice, &pair.ends[0], 0, buffer, 9, 3);
    assert_int_equal(suite_wait(&recv.req), ERR_NONE);
    assert_int_equal(recv.done, 10);
    suite_check(into, 0, 10, 0);
    pair_receive(&pair.ends[1], 1, 10, 2, true); /* what was more waits for its own receive */
}

static void loans_keep_their_bytes_until_given_back(void **state)
{
    static struct net_recv recvs[32];
    struct pair pair = {.listener = {.handle = 0}};

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    for (uint32_t i = 0; i < COUNT_OF(recvs); i++) {
        struct net_send send;
        struct bytes slice;

        recvs[i] = (struct net_recv){.conn = &pair.ends[1]};
        pair_send_start(&send, &slice, &pair.ends[0], 0, buffer, (uint64_t)i * 100, 100);
        assert_int_equal(suite_wait(&send.req), ERR_NONE);
        SUBMIT(1, net_recv, &recvs[i]);
        assert_int_equal(suite_wait(&recvs[i].req), ERR_NONE);
        /* The rest of a piece that was cut. */
        if (recvs[i].loan.length < 100) {
            pair_receive(&pair.ends[1], 1, (uint64_t)i * 100 + recvs[i].loan.length,
                         100 - recvs[i].loan.length, false);
        }
    }
    for (uint32_t i = 0; i < COUNT_OF(recvs); i++) {
        uint32_t j = i * 7 % COUNT_OF(recvs); /* in another order than they came */

        suite_check(recvs[j].loan.data, (uint64_t)j * 100, recvs[j].loan.length, 0);
        suite_enter(1);
        net_release(suite_world(1), &recvs[j].loan);
        suite_leave(1, NULL);
    }
}

static void end_comes_after_all_bytes_and_stays(void **state)
{
    struct pair pair = {.listener = {.handle = 0}};
    struct net_recv recv = {.conn = &pair.ends[1], .into = other, .want = 1000};
    struct net_send send;
    struct bytes slice;
    uint32_t got;

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    pair_send_start(&send, &slice, &pair.ends[0], 0, buffer, 0, 2000100);
    got = pair_receive(&pair.ends[1], 1, 0, 1500000, true);
    assert_int_equal(suite_wait(&send.req), ERR_NONE);
    pair_close(&pair.ends[0], 0); /* orderly: the send has completed */
    assert_false(suite_told(&pair.ends[1].gone));
    pair_receive(&pair.ends[1], 1, got, 2000000 - got, false);
    SUBMIT(1, net_recv, &recv); /* 100 of 1000, then the end */
    assert_int_equal(suite_wait(&recv.req), ERR_EOF);
    assert_int_equal(recv.done, 100);
    suite_check(other, 2000000, 100, 0);
    assert_int_equal(pair_receive_end(&pair.ends[1], 1), ERR_EOF);
    assert_int_equal(pair_receive_end(&pair.ends[1], 1), ERR_EOF);
    pair_close(&pair.ends[1], 1);
}

static void end_wakes_a_receive_that_waits(void **state)
{
    struct pair pair = {.listener = {.handle = 0}};
    struct net_recv recv = {.conn = &pair.ends[1]};

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    SUBMIT(1, net_recv, &recv);
    suite_idle();
    assert_false(suite_told(&recv.req));
    pair_close(&pair.ends[0], 0);
    assert_int_equal(suite_wait(&recv.req), ERR_EOF);
}

#define TEST(name) cmocka_unit_test_teardown(name, suite_teardown)
const struct CMUnitTest suite_streams[] = {
    TEST(bytes_of_every_size_arrive_in_order_both_ways_of_receiving),
    TEST(both_directions_flow_at_once),
    TEST(send_of_the_most_slices_some_empty_is_one_stream),
    TEST(peer_that_does_not_read_holds_the_sender_back),
    TEST(ranges_of_a_file_between_memory_are_one_stream),
    TEST(a_file_without_a_name_is_sent_and_one_that_is_shorter_ends_the_send),
    TEST(what_is_resident_is_a_beginning_of_the_range),
    TEST(receive_waits_for_bytes_and_into_waits_for_all_of_them),
    TEST(loans_keep_their_bytes_until_given_back),
    TEST(end_comes_after_all_bytes_and_stays),
    TEST(end_wakes_a_receive_that_waits),
};
const size_t suite_streams_count = COUNT_OF(suite_streams);
