/* Proves that each fault of the network that knows frames or takes time hits, at full strength, and
 * counts as injected only then. */
#include "tests/support/rig.h"

#include <string.h>

static struct rig rig;
static struct rig_pair pair;
static uint8_t got[4096];

enum { ALL = 7 };

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, 7, 3);
    rig_open_pair(&rig, &pair, 0, 1);
    memset(got, 0, sizeof got);
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

static uint64_t asked(enum sim_fault fault)
{
    return sim_fault_counted(rig.sim, fault).asked;
}

static struct net_recv recv_req;

static void post_recv(uint32_t side, uint32_t want)
{
    recv_req = (struct net_recv){.conn = &pair.end[side], .into = got, .want = want};
    rig_req(&recv_req.req);
    net_recv(rig_world(&rig, pair.at[side]), &recv_req);
}

/* A frame of 20 bytes: a request with this api, or an answer. */
static void put_request(uint8_t *frame, uint8_t api, uint8_t correlation)
{
    memset(frame, 0x77, 20);
    memcpy(frame, (const uint8_t[]){0, 0, 0, 16, 0, api, 0, 1, 0, 0, 0, correlation}, 12);
}

static void put_answer(uint8_t *frame, uint8_t correlation)
{
    memset(frame, 0x55, 20);
    memcpy(frame, (const uint8_t[]){0, 0, 0, 16, 0, 0, 0, correlation}, 8);
}

static void held_request_and_what_is_behind_it_wait_for_the_release(void **state)
{
    uint8_t frames[60];
    struct sim_hold *hold;

    (void)state;
    put_request(frames, 3, 1);
    put_request(frames + 20, 1, 2);
    put_request(frames + 40, 3, 3);
    hold = sim_hold_message(rig.node[0], rig.node[1], 1, false, false);
    assert_int_equal(rig_send(&rig, &pair, 0, frames, 60), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 20), ERR_NONE); /* the one before it came */
    assert_int_equal(hold->held, 1);
    post_recv(1, 40);
    assert_false(rig_wait_ms(&rig, &recv_req.req, 60000)); /* longer than TCP would go on */
    assert_int_equal(hits(SIM_FAULT_HOLD), 0);
    sim_release(rig.sim, hold, true);
    assert_true(rig_wait_ms(&rig, &recv_req.req, 100));
    assert_memory_equal(got, frames + 20, 40);
    assert_int_equal(hits(SIM_FAULT_HOLD), 1);
}

static void held_answer_is_known_by_its_request(void **state)
{
    uint8_t frames[40];
    uint8_t answers[40];
    struct sim_hold *hold;

    (void)state;
    put_request(frames, 3, 1);
    put_request(frames + 20, 1, 2);
    put_answer(answers, 1);
    put_answer(answers + 20, 2);
    hold = sim_hold_message(rig.node[0], rig.node[1], 1, true, false);
    assert_int_equal(rig_send(&rig, &pair, 0, frames, 40), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 40), ERR_NONE);
    assert_int_equal(rig_send(&rig, &pair, 1, answers, 40), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 0, got, 20), ERR_NONE);
    post_recv(0, 20);
    assert_false(rig_wait_ms(&rig, &recv_req.req, 1000));
    sim_release(rig.sim, hold, true);
    assert_true(rig_wait_ms(&rig, &recv_req.req, 100));
    assert_memory_equal(got, answers + 20, 20);
}

static void held_request_outlives_the_process_that_sent_it(void **state)
{
    uint8_t frame[20];
    struct sim_hold *hold;

    (void)state;
    put_request(frame, 1, 9);
    hold = sim_hold_message(rig.node[0], rig.node[1], -1, false, false);
    assert_int_equal(rig_send(&rig, &pair, 0, frame, 20), ERR_NONE);
    sim_crash(rig.node[0], SIM_DOWN_KILL);
    sim_restart(rig.node[0]);
    post_recv(1, 20);
    assert_false(rig_wait_ms(&rig, &recv_req.req, 1000));
    sim_release(rig.sim, hold, true);
    assert_int_equal(rig_wait(&rig, &recv_req.req), ERR_NONE);
    assert_memory_equal(got, frame, 20);
    assert_int_equal(rig_wait(&rig, &pair.end[1].gone), ERR_CONNECTION_RESET);
}

static void message_that_never_left_was_not_held(void **state)
{
    struct sim_hold *hold = sim_hold_message(rig.node[0], rig.node[1], 1, false, false);

    (void)state;
    sim_release(rig.sim, hold, true);
    assert_int_equal(asked(SIM_FAULT_HOLD), 1);
    assert_int_equal(hits(SIM_FAULT_HOLD), 0);
}

static void heal_lets_held_messages_go(void **state)
{
    uint8_t frame[20];

    (void)state;
    put_request(frame, 1, 9);
    (void)sim_hold_message(rig.node[0], rig.node[1], -1, false, true);
    assert_int_equal(rig_send(&rig, &pair, 0, frame, 20), ERR_NONE);
    rig_run_ms(&rig, 100);
    sim_heal_all(rig.sim);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 20), ERR_NONE);
    assert_int_equal(hits(SIM_FAULT_COALESCE), 0);
}

static void segments_come_one_by_one_on_a_connection_that_stands(void **state)
{
    struct net_recv loan = {.conn = &pair.end[1]};

    (void)state;
    sim_segment(rig.node[0], rig.node[1], SIM_PIECES_TINY);
    rig_req(&loan.req);
    net_recv(rig_world(&rig, 1), &loan);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    assert_int_equal(rig_wait(&rig, &loan.req), ERR_NONE);
    assert_int_equal(loan.loan.length, 1);
    net_release(rig_world(&rig, 1), &loan.loan);
    assert_true(hits(SIM_FAULT_SEGMENT) >= 4);
}

static void small_buffer_holds_the_sender_back(void **state)
{
    static uint8_t bytes[512];
    const struct bytes slice = {bytes, sizeof bytes};
    struct net_send send = {.conn = &pair.end[0], .slices = &slice, .slice_count = 1};

    (void)state;
    sim_small_buffers(rig.node[0], rig.node[1], 16);
    rig_req(&send.req);
    net_send(rig_world(&rig, 0), &send);
    assert_false(rig_wait_ms(&rig, &send.req, 1000)); /* nobody reads */
    assert_true(hits(SIM_FAULT_SMALL_BUFFERS) > 0);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 400), ERR_NONE);
    assert_true(send.req.pending);
    sim_small_buffers(rig.node[0], rig.node[1], 0);
    assert_true(rig_wait_ms(&rig, &send.req, 100));
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 112), ERR_NONE);
}

static void swizzle_freezes_and_thaws_within_its_window(void **state)
{
    (void)state;
    sim_swizzle(rig.sim, ALL, 4 * NS_PER_SEC);
    rig_run_ms(&rig, 2000);
    assert_true(hits(SIM_FAULT_SWIZZLE) > 0);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    rig_run_ms(&rig, 2100);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 5), ERR_NONE);
    assert_memory_equal(got, "hello", 5);
}

static void pairs_are_cut_and_the_bridge_is_not(void **state)
{
    static struct rig_pair bridge;

    (void)state;
    sim_cut_pair(rig.node[0], rig.node[1], SIM_CUT_HOLD);
    sim_cut_pair(rig.node[1], rig.node[0], SIM_CUT_HOLD);
    assert_int_equal(hits(SIM_FAULT_CUT_PAIRS), 2);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    post_recv(1, 5);
    assert_false(rig_wait_ms(&rig, &recv_req.req, 1000));
    rig_open_pair(&rig, &bridge, 0, 2);
    assert_int_equal(rig_send(&rig, &bridge, 0, "hello", 5), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &bridge, 1, got, 5), ERR_NONE);
}

static void flaky_link_clogs_often_and_ends(void **state)
{
    (void)state;
    sim_flaky(rig.node[0], rig.node[1], 50 * NS_PER_MS, 50 * NS_PER_MS,
              rig.sim->now_ns + 2 * NS_PER_SEC);
    rig_run_ms(&rig, 3000);
    assert_true(hits(SIM_FAULT_FLAKY) > 10);
    post_recv(1, 5);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    assert_true(rig_wait_ms(&rig, &recv_req.req, 20));
}

static void reset_in_the_middle_of_a_frame_leaves_half_of_it(void **state)
{
    uint8_t frame[20];
    struct net_recv loan = {.conn = &pair.end[1]};

    (void)state;
    put_request(frame, 1, 1);
    sim_reset_at(rig.node[0], rig.node[1], SIM_MOMENT_MID_FRAME);
    assert_int_equal(hits(SIM_FAULT_RESET), 0);
    rig_req(&loan.req);
    net_recv(rig_world(&rig, 1), &loan);
    assert_int_equal(rig_send(&rig, &pair, 0, frame, 20), ERR_CONNECTION_RESET);
    assert_int_equal(rig_wait(&rig, &loan.req), ERR_NONE);
    assert_int_equal(loan.loan.length, 10);
    net_release(rig_world(&rig, 1), &loan.loan);
    assert_int_equal(rig_wait(&rig, &pair.end[1].gone), ERR_CONNECTION_RESET);
    assert_int_equal(hits(SIM_FAULT_RESET), 1);
}

static void reset_after_the_request_loses_only_the_answer(void **state)
{
    uint8_t frame[20];
    uint8_t answer[20];

    (void)state;
    put_request(frame, 1, 1);
    put_answer(answer, 1);
    sim_reset_at(rig.node[0], rig.node[1], SIM_MOMENT_AFTER_REQUEST);
    assert_int_equal(rig_send(&rig, &pair, 0, frame, 20), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 20), ERR_NONE);
    assert_int_equal(rig_send(&rig, &pair, 1, answer, 20), ERR_CONNECTION_RESET);
    post_recv(0, 1);
    assert_int_equal(rig_wait(&rig, &recv_req.req), ERR_CONNECTION_RESET);
    assert_int_equal(hits(SIM_FAULT_RESET), 1);
}

static void idle_reset_spares_those_who_wait_for_an_answer(void **state)
{
    uint8_t frame[20];
    uint8_t answer[20];

    (void)state;
    put_request(frame, 1, 1);
    put_answer(answer, 1);
    assert_int_equal(rig_send(&rig, &pair, 0, frame, 20), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 20), ERR_NONE);
    sim_reset_at(rig.node[0], rig.node[1], SIM_MOMENT_IDLE);
    assert_int_equal(hits(SIM_FAULT_RESET), 0);
    assert_int_equal(rig_send(&rig, &pair, 1, answer, 20), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 0, got, 20), ERR_NONE);
    sim_reset_at(rig.node[0], rig.node[1], SIM_MOMENT_IDLE);
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_CONNECTION_RESET);
    assert_int_equal(hits(SIM_FAULT_RESET), 1);
}

static void half_open_peer_is_noticed_by_the_limit_only(void **state)
{
    (void)state;
    sim_half_open(rig.node[0], rig.node[1]);
    assert_int_equal(hits(SIM_FAULT_HALF_OPEN), 1);
    rig_run_ms(&rig, 60000);
    assert_true(pair.end[0].gone.pending);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_TIMED_OUT);
    assert_true(pair.end[1].gone.pending);
}

static enum err resolve(struct net_resolve *resolve)
{
    *resolve = (struct net_resolve){.host = STR("node-2"), .port = RIG_PORT};
    rig_req(&resolve->req);
    net_resolve(rig_world(&rig, 0), resolve);
    return rig_wait(&rig, &resolve->req);
}

static void names_fail_and_lead_astray(void **state)
{
    struct net_resolve first;
    struct net_resolve second;

    (void)state;
    sim_fail_connects(rig.node[1], SIM_CONNECT_NO_NAME, 1);
    assert_int_equal(resolve(&first), ERR_ADDRESS_UNKNOWN);
    assert_int_equal(resolve(&first), ERR_NONE);
    sim_fail_connects(rig.node[1], SIM_CONNECT_MOVED, 1);
    assert_int_equal(resolve(&second), ERR_NONE);
    assert_memory_not_equal(first.addresses[0].ip, second.addresses[0].ip, 16);
    assert_int_equal(hits(SIM_FAULT_FAIL_CONNECTS), 2);
}

static void full_backlog_is_overcome_by_trying_again(void **state)
{
    static struct rig_pair other;
    int64_t start = rig.sim->now_ns;

    (void)state;
    sim_fail_connects(rig.node[1], SIM_CONNECT_BACKLOG_FULL, 2);
    assert_int_equal(rig_connect(&rig, &other, 0, 1), ERR_NONE);
    assert_true(rig.sim->now_ns - start >= 3 * NS_PER_SEC); /* 1 s, then 2 s */
    assert_int_equal(hits(SIM_FAULT_FAIL_CONNECTS), 2);
}

static void corruption_flips_one_bit_of_a_piece(void **state)
{
    uint32_t wrong = 0;

    (void)state;
    sim_corrupt(rig.node[0], rig.node[1], 1);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 5), ERR_NONE);
    for (uint32_t i = 0; i < 5; i++)
        wrong += (uint32_t)__builtin_popcount((uint8_t) "hello"[i] ^ got[i]);
    assert_int_equal(wrong, 1);
    assert_int_equal(hits(SIM_FAULT_CORRUPT), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(held_request_and_what_is_behind_it_wait_for_the_release),
        TEST(held_answer_is_known_by_its_request),
        TEST(held_request_outlives_the_process_that_sent_it),
        TEST(message_that_never_left_was_not_held),
        TEST(heal_lets_held_messages_go),
        TEST(segments_come_one_by_one_on_a_connection_that_stands),
        TEST(small_buffer_holds_the_sender_back),
        TEST(swizzle_freezes_and_thaws_within_its_window),
        TEST(pairs_are_cut_and_the_bridge_is_not),
        TEST(flaky_link_clogs_often_and_ends),
        TEST(reset_in_the_middle_of_a_frame_leaves_half_of_it),
        TEST(reset_after_the_request_loses_only_the_answer),
        TEST(idle_reset_spares_those_who_wait_for_an_answer),
        TEST(half_open_peer_is_noticed_by_the_limit_only),
        TEST(names_fail_and_lead_astray),
        TEST(full_backlog_is_overcome_by_trying_again),
        TEST(corruption_flips_one_bit_of_a_piece),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
