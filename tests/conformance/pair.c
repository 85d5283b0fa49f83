#include "tests/conformance/pair.h"

#include <stdlib.h>

struct net_address pair_address(uint32_t from, uint32_t of, uint16_t port)
{
    static struct net_resolve resolve;

    resolve.host = suite.harness->host(suite.set, of);
    resolve.port = port;
    SUBMIT(from, net_resolve, &resolve);
    assert_int_equal(suite_wait(&resolve.req), ERR_NONE);
    assert_true(resolve.count >= 1 && resolve.count <= NET_ADDRESSES_MAX);
    assert_int_equal(resolve.addresses[0].port, port);
    return resolve.addresses[0];
}

void pair_listen(struct net_listener *listener, uint32_t of)
{
    listener->address = pair_address(of, of, 0);
    SUBMIT(of, net_listen, listener);
    assert_int_equal(suite_wait(&listener->req), ERR_NONE);
    assert_int_not_equal(listener->address.port, 0);
}

void pair_watch(struct net_conn *conn, uint32_t world)
{
    suite_watch(world, &conn->gone);
    suite_watch(world, &conn->closed);
}

void pair_connect(struct net_connect *connect, struct net_conn *conn, uint32_t from, uint32_t of,
                  uint16_t port)
{
    pair_watch(conn, from);
    connect->address = pair_address(from, of, port);
    connect->conn = conn;
    SUBMIT(from, net_connect, connect);
}

void pair_open(struct pair *pair)
{
    static struct net_accept accept;
    static struct net_connect connect;

    pair_listen(&pair->listener, 1);
    pair_watch(&pair->ends[1], 1);
    accept.listener = &pair->listener;
    accept.conn = &pair->ends[1];
    SUBMIT(1, net_accept, &accept);
    pair_connect(&connect, &pair->ends[0], 0, 1, pair->listener.address.port);
    assert_int_equal(suite_wait(&connect.req), ERR_NONE);
    assert_int_equal(suite_wait(&accept.req), ERR_NONE);
    assert_int_equal(pair->ends[0].peer.port, pair->listener.address.port);
    assert_int_not_equal(pair->ends[1].peer.port, 0);
}

void pair_close(struct net_conn *conn, uint32_t world)
{
    suite_enter(world);
    net_close(suite_world(world), conn);
    suite_leave(world, NULL);
    assert_int_equal(suite_wait(&conn->closed), ERR_NONE);
    assert_true(suite_told(&conn->gone));
}

void pair_send_start(struct net_send *send, struct bytes *slice, struct net_conn *conn,
                     uint32_t world, uint8_t *buffer, uint64_t from, uint32_t length)
{
    suite_fill(buffer, from, length, 0);
    *slice = (struct bytes){buffer, length};
    send->conn = conn;
    send->slices = slice;
    send->slice_count = 1;
    SUBMIT(world, net_send, send);
}

static uint32_t pair_receive_some(struct net_recv *recv, uint32_t world, uint64_t from)
{
    uint32_t length;

    recv->into = NULL;
    SUBMIT(world, net_recv, recv);
    assert_int_equal(suite_wait(&recv->req), ERR_NONE);
    length = recv->loan.length;
    assert_true(length >= 1);
    suite_check(recv->loan.data, from, length, 0);
    suite_enter(world);
    net_release(suite_world(world), &recv->loan);
    suite_leave(world, NULL);
    return length;
}

uint32_t pair_receive(struct net_conn *conn, uint32_t world, uint64_t from, uint32_t length,
                      bool loans)
{
    static struct net_recv recv;
    uint32_t got = 0;
    uint8_t *into;

    recv = (struct net_recv){.conn = conn, .want = length};
    if (loans) {
        while (got < length)
            got += pair_receive_some(&recv, world, from + got);
        return got;
    }
    into = malloc(length);
    assert_non_null(into);
    recv.into = into;
    SUBMIT(world, net_recv, &recv);
    assert_int_equal(suite_wait(&recv.req), ERR_NONE);
    assert_int_equal(recv.done, length);
    suite_check(into, from, length, 0);
    free(into);
    return length;
}

enum err pair_receive_end(struct net_conn *conn, uint32_t world)
{
    static struct net_recv recv;

    recv = (struct net_recv){.conn = conn};
    SUBMIT(world, net_recv, &recv);
    return suite_wait(&recv.req);
}
