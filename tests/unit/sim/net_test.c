/* Proves that each primitive fault of the simulated network has its effect, and only that one. */
#include "tests/support/rig.h"

#include <string.h>

static struct rig rig;
static struct rig_pair pair;
static char got[64];

enum { BOTH = 3, FIRST = 1, SECOND = 2 };

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig, 7, 2);
    rig_open_pair(&rig, &pair, 0, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_deinit(&rig);
    return 0;
}

static struct net_recv recv_req;

static void post_recv(uint32_t side)
{
    memset(got, 0, sizeof got);
    recv_req = (struct net_recv){.conn = &pair.end[side], .into = (uint8_t *)got, .want = 5};
    rig_req(&recv_req.req);
    net_recv(rig_world(&rig, pair.at[side]), &recv_req);
}

static void bytes_held_by_a_cut_arrive_after_it_is_mended(void **state)
{
    (void)state;
    sim_partition(rig.sim, FIRST, SECOND, SIM_CUT_HOLD);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    post_recv(1);
    assert_false(rig_wait_ms(&rig, &recv_req.req, 5000));
    sim_heal(rig.sim, FIRST, SECOND, SIM_CUT_HOLD);
    assert_true(rig_wait_ms(&rig, &recv_req.req, 100));
    assert_memory_equal(got, "hello", 5);
    assert_true(pair.end[0].gone.pending);
    assert_int_equal(sim_fault_counted(rig.sim, SIM_FAULT_CUT).injected, 1);
}

static void one_way_cut_lets_the_other_direction_through(void **state)
{
    (void)state;
    sim_partition_one_way(rig.sim, FIRST, SECOND, SIM_CUT_HOLD);
    assert_int_equal(rig_send(&rig, &pair, 1, "hello", 5), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 0, got, 5), ERR_NONE);
    assert_int_equal(rig_send(&rig, &pair, 0, "world", 5), ERR_NONE);
    post_recv(1);
    assert_false(rig_wait_ms(&rig, &recv_req.req, 5000));
}

static void sender_gives_up_at_the_retransmission_limit(void **state)
{
    int64_t start;

    (void)state;
    sim_partition(rig.sim, FIRST, SECOND, SIM_CUT_HOLD);
    start = rig.sim->now_ns;
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_TIMED_OUT);
    assert_true(rig.sim->now_ns - start >= 15 * NS_PER_SEC);
    assert_true(rig.sim->now_ns - start < 16 * NS_PER_SEC);
    assert_true(pair.end[1].gone.pending); /* it had nothing to send and knows nothing */
    /* When it sends after the heal, nobody has the connection any more. */
    sim_heal_all(rig.sim);
    rig_close(&rig, &pair, 0);
    assert_int_equal(rig_send(&rig, &pair, 1, "hello", 5), ERR_NONE);
    assert_int_equal(rig_wait(&rig, &pair.end[1].gone), ERR_CONNECTION_RESET);
}

static void idle_connection_survives_a_long_cut(void **state)
{
    (void)state;
    sim_partition(rig.sim, FIRST, SECOND, SIM_CUT_HOLD);
    rig_run_ms(&rig, 600 * 1000);
    sim_heal(rig.sim, FIRST, SECOND, SIM_CUT_HOLD);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 5), ERR_NONE);
}

static void cut_of_style_reset_breaks_connections_and_refuses_new_ones(void **state)
{
    static struct rig_pair other;

    (void)state;
    sim_partition(rig.sim, FIRST, SECOND, SIM_CUT_RESET);
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_CONNECTION_RESET);
    assert_int_equal(rig_wait(&rig, &pair.end[1].gone), ERR_CONNECTION_RESET);
    assert_int_equal(rig_connect(&rig, &other, 0, 1), ERR_CONNECTION_REFUSED);
    sim_heal(rig.sim, FIRST, SECOND, SIM_CUT_RESET);
    assert_int_equal(rig_connect(&rig, &other, 0, 1), ERR_NONE);
}

static void black_hole_outlives_its_cut(void **state)
{
    (void)state;
    sim_partition(rig.sim, FIRST, SECOND, SIM_CUT_BLACKHOLE);
    sim_heal(rig.sim, FIRST, SECOND, SIM_CUT_BLACKHOLE);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    post_recv(1);
    assert_false(rig_wait_ms(&rig, &recv_req.req, 60 * 1000));
    assert_false(pair.end[0].gone.pending);
    assert_int_equal(pair.end[0].gone.result, ERR_TIMED_OUT);
    assert_true(pair.end[1].gone.pending);
}

static void connecting_across_a_cut_times_out(void **state)
{
    static struct rig_pair other;
    int64_t start = rig.sim->now_ns;

    (void)state;
    sim_partition(rig.sim, FIRST, SECOND, SIM_CUT_HOLD);
    assert_int_equal(rig_connect(&rig, &other, 0, 1), ERR_TIMED_OUT);
    assert_true(rig.sim->now_ns - start >= 19 * NS_PER_SEC);
    assert_int_equal(rig.node[0]->net.conn_count, 1);
}

static void clog_holds_until_its_time(void **state)
{
    int64_t until = rig.sim->now_ns + 3 * NS_PER_SEC;

    (void)state;
    sim_clog(rig.node[0], rig.node[1], until);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 5), ERR_NONE);
    assert_true(rig.sim->now_ns >= until);
    assert_true(rig.sim->now_ns < until + NS_PER_SEC);
}

static void slow_link_limits_the_rate(void **state)
{
    static uint8_t data[100000];
    static uint8_t into[100000];
    int64_t start = rig.sim->now_ns;

    (void)state;
    sim_slow_link(rig.node[0], rig.node[1], 0, 10); /* 10 bytes a millisecond */
    assert_int_equal(rig_send(&rig, &pair, 0, data, sizeof data), ERR_NONE);
    assert_int_equal(rig_recv(&rig, &pair, 1, into, sizeof into), ERR_NONE);
    assert_true(rig.sim->now_ns - start >= 10 * NS_PER_SEC);
}

static void reset_tells_both_sides_and_discards_unread_bytes(void **state)
{
    (void)state;
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    rig_run_ms(&rig, 100);
    sim_reset(rig.node[0], rig.node[1], SIM_NOTICE_BOTH);
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_CONNECTION_RESET);
    assert_int_equal(rig_wait(&rig, &pair.end[1].gone), ERR_CONNECTION_RESET);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 5), ERR_CONNECTION_RESET);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_CONNECTION_RESET);
}

static void reset_that_one_side_notices_is_found_out_by_sending(void **state)
{
    (void)state;
    sim_reset(rig.node[0], rig.node[1], SIM_NOTICE_FIRST);
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_CONNECTION_RESET);
    rig_run_ms(&rig, 60 * 1000);
    assert_true(pair.end[1].gone.pending);
    assert_int_equal(rig_send(&rig, &pair, 1, "hello", 5), ERR_NONE);
    assert_int_equal(rig_wait(&rig, &pair.end[1].gone), ERR_CONNECTION_RESET);
}

static void killed_node_resets_its_peers(void **state)
{
    (void)state;
    sim_crash(rig.node[1], SIM_DOWN_KILL);
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_CONNECTION_RESET);
    rig_close(&rig, &pair, 0);
    assert_true(sim_net_node_idle(rig.node[0]));
    assert_int_equal(sim_net_conn_count(rig.sim, 0, 1), 0);
}

static void node_without_power_says_nothing_until_it_runs_again(void **state)
{
    (void)state;
    sim_crash(rig.node[1], SIM_DOWN_POWER);
    rig_run_ms(&rig, 60 * 1000);
    assert_true(pair.end[0].gone.pending); /* half-open: nothing was sent */
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    rig_run_ms(&rig, 5000);
    assert_true(pair.end[0].gone.pending);
    sim_restart(rig.node[1]); /* its kernel answers the retransmission */
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_CONNECTION_RESET);
}

static void peer_without_power_is_found_out_at_the_limit(void **state)
{
    (void)state;
    sim_crash(rig.node[1], SIM_DOWN_POWER);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    assert_int_equal(rig_wait(&rig, &pair.end[0].gone), ERR_TIMED_OUT);
}

static void bytes_on_the_wire_outlive_their_sender(void **state)
{
    (void)state;
    sim_clog(rig.node[0], rig.node[1], rig.sim->now_ns + NS_PER_SEC);
    assert_int_equal(rig_send(&rig, &pair, 0, "hello", 5), ERR_NONE);
    sim_crash(rig.node[0], SIM_DOWN_POWER);
    assert_int_equal(rig_recv(&rig, &pair, 1, got, 5), ERR_NONE);
    assert_memory_equal(got, "hello", 5);
}

static void connects_fail_as_told_and_then_work(void **state)
{
    static struct rig_pair others[4];

    (void)state;
    sim_fail_connects(rig.node[1], SIM_CONNECT_REFUSED, 1);
    assert_int_equal(rig_connect(&rig, &others[0], 0, 1), ERR_CONNECTION_REFUSED);
    sim_fail_connects(rig.node[1], SIM_CONNECT_TIMED_OUT, 1);
    assert_int_equal(rig_connect(&rig, &others[1], 0, 1), ERR_TIMED_OUT);
    sim_fail_connects(rig.node[1], SIM_CONNECT_RESET, 1);
    if (rig_connect(&rig, &others[2], 0, 1) == ERR_NONE) {
        assert_int_equal(rig_wait(&rig, &others[2].end[0].gone), ERR_CONNECTION_RESET);
    }
    assert_int_equal(rig_connect(&rig, &others[3], 0, 1), ERR_NONE);
}

static void unread_bytes_hold_the_sender_back(void **state)
{
    static uint8_t data[16 * 1024 * 1024];
    static uint8_t into[16 * 1024 * 1024];
    static struct net_send send;
    struct bytes slice = {data, sizeof data};

    (void)state;
    for (uint32_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 11));
    send = (struct net_send){.conn = &pair.end[0], .slices = &slice, .slice_count = 1};
    rig_req(&send.req);
    net_send(rig_world(&rig, 0), &send);
    assert_false(rig_wait_ms(&rig, &send.req, 60 * 1000));
    assert_int_equal(rig_recv(&rig, &pair, 1, into, sizeof into), ERR_NONE);
    assert_false(send.req.pending);
    assert_memory_equal(data, into, sizeof data);
}

static void every_style_of_pieces_keeps_the_stream(void **state)
{
    struct sim_config config = sim_config_default(0);
    struct sim_node_config node = sim_node_config_default(0);
    static uint8_t data[3000];
    static uint8_t into[3000];

    (void)state;
    rig_deinit(&rig);
    config.net.pieces_per_million = RNG_MILLION;
    config.net.buffer_min = 1;
    config.net.buffer_max = 4096;
    for (uint32_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 8));
    for (uint64_t seed = 1; seed <= 40; seed++) {
        config.seed = seed;
        rig_init_with(&rig, &config, &node, 2);
        rig_open_pair(&rig, &pair, 0, 1);
        recv_req = (struct net_recv){.conn = &pair.end[1], .into = into, .want = sizeof into};
        rig_req(&recv_req.req);
        net_recv(rig_world(&rig, 1), &recv_req);
        assert_int_equal(rig_send(&rig, &pair, 0, data, sizeof data), ERR_NONE);
        assert_int_equal(rig_wait(&rig, &recv_req.req), ERR_NONE);
        assert_memory_equal(data, into, sizeof data);
        if (seed < 40) rig_deinit(&rig);
    }
}

static void names_and_aliases_lead_to_nodes(void **state)
{
    static struct net_resolve resolve;
    struct net_address own = sim_net_address(rig.node[1], 9092);

    (void)state;
    sim_net_alias(rig.sim, STR("broker.example"), 0, 2);
    sim_net_alias(rig.sim, STR("127.0.0.1"), 9092, 2);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"node-2", "broker.example", "127.0.0.1"};

        resolve = (struct net_resolve){.host = str_of(names[i]), .port = 9092};
        rig_req(&resolve.req);
        net_resolve(rig_world(&rig, 0), &resolve);
        assert_int_equal(rig_wait(&rig, &resolve.req), ERR_NONE);
        assert_memory_equal(resolve.addresses[0].ip, own.ip, sizeof own.ip);
    }
    rig.node[0]->net.names_fail = true;
    net_resolve(rig_world(&rig, 0), &resolve);
    assert_int_equal(rig_wait(&rig, &resolve.req), ERR_ADDRESS_UNKNOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_held_by_a_cut_arrive_after_it_is_mended),
        TEST(one_way_cut_lets_the_other_direction_through),
        TEST(sender_gives_up_at_the_retransmission_limit),
        TEST(idle_connection_survives_a_long_cut),
        TEST(cut_of_style_reset_breaks_connections_and_refuses_new_ones),
        TEST(black_hole_outlives_its_cut),
        TEST(connecting_across_a_cut_times_out),
        TEST(clog_holds_until_its_time),
        TEST(slow_link_limits_the_rate),
        TEST(reset_tells_both_sides_and_discards_unread_bytes),
        TEST(reset_that_one_side_notices_is_found_out_by_sending),
        TEST(killed_node_resets_its_peers),
        TEST(node_without_power_says_nothing_until_it_runs_again),
        TEST(peer_without_power_is_found_out_at_the_limit),
        TEST(bytes_on_the_wire_outlive_their_sender),
        TEST(connects_fail_as_told_and_then_work),
        TEST(unread_bytes_hold_the_sender_back),
        TEST(every_style_of_pieces_keeps_the_stream),
        TEST(names_and_aliases_lead_to_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
