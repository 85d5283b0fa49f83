/* Names, ports, who connects and who is refused, and how connections end (W4, W6). */
#include "tests/conformance/pair.h"

static void name_of_a_world_resolves_and_an_unknown_one_does_not(void **state)
{
    struct net_resolve resolve = {.host = STR("no-such-host.invalid"), .port = 9092};

    (void)state;
    suite_begin(2, 4, 4);
    assert_int_equal(pair_address(0, 1, 9092).port, 9092);
    SUBMIT(0, net_resolve, &resolve);
    assert_int_not_equal(suite_wait(&resolve.req), ERR_NONE);
}

static void a_connect_that_is_withdrawn_completes_once_and_leaves_nothing(void **state)
{
    struct net_listener listener = {0};
    struct net_connect connect;
    struct net_conn conn = {0};

    (void)state;
    suite_begin(2, 1, 4); /* one connection: the second attempt needs the place of the first */
    pair_listen(&listener, 1);
    for (int i = 0; i < 3; i++) {
        pair_connect(&connect, &conn, 0, 1, listener.address.port);
        suite_enter(0);
        net_connect_cancel(suite_world(0), &connect);
        suite_leave(0, NULL);
        assert_int_equal(suite_wait(&connect.req), ERR_CANCELED);
        assert_false(suite_told(&conn.gone));
        assert_false(suite_told(&conn.closed));
    }
    suite_idle();
    assert_true(suite_told(&connect.req));
}

static void connect_to_a_port_where_nobody_listens_is_refused(void **state)
{
    struct net_listener listener = {0};
    struct net_connect connect;
    struct net_conn conn = {0};

    (void)state;
    suite_begin(2, 4, 4);
    pair_listen(&listener, 1);
    suite_watch(1, &listener.closed);
    suite_enter(1);
    net_unlisten(suite_world(1), &listener);
    suite_leave(1, NULL);
    assert_int_equal(suite_wait(&listener.closed), ERR_NONE);
    pair_connect(&connect, &conn, 0, 1, listener.address.port);
    assert_int_equal(suite_wait(&connect.req), ERR_CONNECTION_REFUSED);
    suite_idle();
    assert_false(suite_told(&conn.gone)); /* there never was a connection */
    assert_false(suite_told(&conn.closed));
}

static void port_that_is_listened_on_cannot_be_taken_again_until_it_is_free(void **state)
{
    struct net_listener first = {0};
    struct net_listener second = {0};

    (void)state;
    suite_begin(1, 4, 4);
    pair_listen(&first, 0);
    second.address = first.address;
    SUBMIT(0, net_listen, &second);
    assert_int_equal(suite_wait(&second.req), ERR_ADDRESS_IN_USE);
    suite_watch(0, &first.closed);
    suite_enter(0);
    net_unlisten(suite_world(0), &first);
    suite_leave(0, NULL);
    assert_int_equal(suite_wait(&first.closed), ERR_NONE);
    SUBMIT(0, net_listen, &second);
    assert_int_equal(suite_wait(&second.req), ERR_NONE);
    assert_int_equal(second.address.port, first.address.port);
}

static void connections_wait_in_the_backlog_until_an_accept_is_posted(void **state)
{
    struct net_listener listener = {0};
    struct net_connect connects[3];
    struct net_accept accepts[3];
    struct net_conn conns[3] = {{.id = 0}};
    struct net_conn accepted[3] = {{.id = 0}};

    (void)state;
    suite_begin(2, 8, 4);
    pair_listen(&listener, 1);
    for (int i = 0; i < 3; i++) {
        pair_connect(&connects[i], &conns[i], 0, 1, listener.address.port);
        assert_int_equal(suite_wait(&connects[i].req), ERR_NONE);
    }
    for (int i = 0; i < 3; i++) {
        pair_watch(&accepted[i], 1);
        accepts[i].listener = &listener;
        accepts[i].conn = &accepted[i];
        SUBMIT(1, net_accept, &accepts[i]);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(suite_wait(&accepts[i].req), ERR_NONE);
    assert_true(suite_entry(&accepts[0].req)->order < suite_entry(&accepts[1].req)->order);
    assert_true(suite_entry(&accepts[1].req)->order < suite_entry(&accepts[2].req)->order);
    assert_int_not_equal(accepted[0].id, accepted[1].id);
    assert_int_not_equal(accepted[1].id, accepted[2].id);
    for (int i = 0; i < 3; i++) {
        pair_close(&conns[i], 0);
        assert_int_equal(pair_receive_end(&accepted[i], 1), ERR_EOF);
        pair_close(&accepted[i], 1);
    }
}

static void connections_above_the_maximum_are_too_many_until_one_is_closed(void **state)
{
    struct net_listener listener = {0};
    struct net_connect connects[3];
    struct net_accept accepts[3];
    struct net_conn conns[3] = {{.id = 0}};
    struct net_conn accepted[3] = {{.id = 0}};

    (void)state;
    suite_begin(3, 2, 4);
    pair_listen(&listener, 1);
    for (int i = 0; i < 2; i++) {
        pair_connect(&connects[i], &conns[i], 0, 1, listener.address.port);
        assert_int_equal(suite_wait(&connects[i].req), ERR_NONE);
    }
    pair_connect(&connects[2], &conns[2], 0, 1, listener.address.port);
    assert_int_equal(suite_wait(&connects[2].req), ERR_TOO_MANY);
    pair_connect(&connects[2], &conns[2], 2, 1, listener.address.port);
    assert_int_equal(suite_wait(&connects[2].req), ERR_NONE); /* into the backlog */
    for (int i = 0; i < 3; i++) {
        pair_watch(&accepted[i], 1);
        accepts[i].listener = &listener;
        accepts[i].conn = &accepted[i];
        SUBMIT(1, net_accept, &accepts[i]);
        assert_int_equal(suite_wait(&accepts[i].req), i < 2 ? ERR_NONE : ERR_TOO_MANY);
    }
    pair_close(&accepted[0], 1);
    SUBMIT(1, net_accept, &accepts[2]); /* it had waited */
    assert_int_equal(suite_wait(&accepts[2].req), ERR_NONE);
    assert_int_equal(pair_receive_end(&conns[0], 0), ERR_EOF);
    pair_close(&conns[0], 0);
    pair_close(&conns[2], 2);
    assert_int_equal(pair_receive_end(&accepted[2], 1), ERR_EOF);
}

static void unlisten_cancels_its_accepts_and_closes_last(void **state)
{
    struct net_listener listener = {0};
    struct net_accept accepts[2];
    struct net_conn conns[2] = {{.id = 0}};

    (void)state;
    suite_begin(1, 4, 4);
    pair_listen(&listener, 0);
    for (int i = 0; i < 2; i++) {
        pair_watch(&conns[i], 0);
        accepts[i].listener = &listener;
        accepts[i].conn = &conns[i];
        SUBMIT(0, net_accept, &accepts[i]);
    }
    suite_idle();
    assert_false(suite_told(&accepts[0].req));
    suite_watch(0, &listener.closed);
    suite_enter(0);
    net_unlisten(suite_world(0), &listener);
    suite_leave(0, NULL);
    assert_int_equal(suite_wait(&listener.closed), ERR_NONE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(suite_wait(&accepts[i].req), ERR_CANCELED);
        assert_true(suite_entry(&accepts[i].req)->order < suite_entry(&listener.closed)->order);
        assert_false(suite_told(&conns[i].gone));
    }
}

static void close_cancels_what_is_outstanding_and_tells_closed_last(void **state)
{
    static uint8_t big[32 * 1024 * 1024];
    struct pair pair = {.listener = {.handle = 0}};
    struct net_send send;
    struct bytes slice;
    struct net_recv recv = {.conn = &pair.ends[0]};

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    SUBMIT(0, net_recv, &recv);
    pair_send_start(&send, &slice, &pair.ends[0], 0, big, 0, sizeof big);
    suite_idle();
    assert_false(suite_told(&recv.req));
    assert_false(suite_told(&send.req)); /* nobody reads */
    assert_false(suite_told(&pair.ends[0].gone));
    pair_close(&pair.ends[0], 0);
    assert_int_equal(suite_wait(&recv.req), ERR_CANCELED);
    assert_int_equal(suite_wait(&send.req), ERR_CANCELED);
    assert_int_equal(suite_wait(&pair.ends[0].gone), ERR_CANCELED);
    assert_true(suite_entry(&recv.req)->order < suite_entry(&pair.ends[0].closed)->order);
    assert_true(suite_entry(&send.req)->order < suite_entry(&pair.ends[0].closed)->order);
    assert_true(suite_entry(&pair.ends[0].gone)->order < suite_entry(&pair.ends[0].closed)->order);
    suite_idle();
}

static void peer_that_closed_resets_who_goes_on_sending_and_gone_comes_once(void **state)
{
    static uint8_t bytes[65536];
    struct pair pair = {.listener = {.handle = 0}};
    struct net_send send;
    struct bytes slice;
    enum err err = ERR_NONE;

    (void)state;
    suite_begin(2, 4, 4);
    pair_open(&pair);
    pair_close(&pair.ends[1], 1);
    suite_idle();
    assert_false(suite_told(&pair.ends[0].gone)); /* an orderly end is told by a receive only */
    for (int i = 0; i < 100 && err == ERR_NONE; i++) {
        pair_send_start(&send, &slice, &pair.ends[0], 0, bytes, 0, sizeof bytes);
        err = suite_wait(&send.req);
        suite_pass_ms(1);
    }
    assert_int_equal(err, ERR_CONNECTION_RESET);
    assert_int_equal(suite_wait(&pair.ends[0].gone), ERR_CONNECTION_RESET);
    suite_idle();
    pair_send_start(&send, &slice, &pair.ends[0], 0, bytes, 0, sizeof bytes);
    assert_int_equal(suite_wait(&send.req), ERR_CONNECTION_RESET);
    assert_int_not_equal(pair_receive_end(&pair.ends[0], 0), ERR_NONE);
    pair_close(&pair.ends[0], 0); /* the book fails the test if gone came again */
}

static void peer_that_crashed_is_gone_or_ends_without_a_receive_losing_its_bytes(void **state)
{
    static uint8_t bytes[65536];
    struct pair pair = {.listener = {.handle = 0}};
    struct net_send send;
    struct bytes slice;
    enum err err;

    (void)state;
    if (!suite.harness->can_crash) skip();
    suite_begin(2, 4, 4);
    pair_open(&pair);
    suite_idle();
    suite.harness->crash(suite.set, 1);
    suite_attach(1);
    for (int i = 0; i < 100 && !suite_told(&pair.ends[0].gone); i++) {
        pair_send_start(&send, &slice, &pair.ends[0], 0, bytes, 0, sizeof bytes);
        (void)suite_wait(&send.req);
        suite_pass_ms(1);
    }
    assert_int_equal(suite_wait(&pair.ends[0].gone), ERR_CONNECTION_RESET);
    err = pair_receive_end(&pair.ends[0], 0);
    assert_true(err == ERR_CONNECTION_RESET || err == ERR_EOF);
    pair_close(&pair.ends[0], 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, suite_teardown)
const struct CMUnitTest suite_connections[] = {
    TEST(name_of_a_world_resolves_and_an_unknown_one_does_not),
    TEST(a_connect_that_is_withdrawn_completes_once_and_leaves_nothing),
    TEST(connect_to_a_port_where_nobody_listens_is_refused),
    TEST(port_that_is_listened_on_cannot_be_taken_again_until_it_is_free),
    TEST(connections_wait_in_the_backlog_until_an_accept_is_posted),
    TEST(connections_above_the_maximum_are_too_many_until_one_is_closed),
    TEST(unlisten_cancels_its_accepts_and_closes_last),
    TEST(close_cancels_what_is_outstanding_and_tells_closed_last),
    TEST(peer_that_closed_resets_who_goes_on_sending_and_gone_comes_once),
    TEST(peer_that_crashed_is_gone_or_ends_without_a_receive_losing_its_bytes),
};
const size_t suite_connections_count = COUNT_OF(suite_connections);
