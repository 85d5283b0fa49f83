#include "client/posix/posix_net.h"

#include "client/posix/posix_address.h"
#include "client/posix/posix_ready.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- handles: index + 1 in 20 bits, generation in 12 ---- */

enum { HANDLE_BITS = 20, HANDLE_MASK = (1 << HANDLE_BITS) - 1, GENERATION_MASK = 0xfff };

struct posix_conn *posix_net_conn(struct posix_net *net, const struct net_conn *conn)
{
    uint32_t index = (conn->handle & HANDLE_MASK) - 1;
    struct posix_conn *c;

    ASSERT(index < net->connections_max);
    c = &net->conns[index];
    ASSERT(c->state == POSIX_CONN_OPEN && c->generation == conn->handle >> HANDLE_BITS);
    return c;
}

static uint64_t net_subject(const struct posix_net *net, const struct posix_conn *c)
{
    return posix_subject(POSIX_CONN, c->generation, (uint32_t)(c - net->conns));
}

static struct posix_conn *net_conn_take(struct posix_net *net)
{
    struct posix_conn *c;

    if (net->free_first == 0) return NULL;
    c = &net->conns[net->free_first - 1];
    net->free_first = c->next_free;
    net->connections_open++;
    *c = (struct posix_conn){.generation = c->generation, .fd = -1};
    list_init(&c->starved);
    return c;
}

static void net_conn_give(struct posix_net *net, struct posix_conn *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->state = POSIX_CONN_FREE;
    c->generation = (c->generation + 1) & GENERATION_MASK;
    c->next_free = net->free_first;
    net->free_first = (uint32_t)(c - net->conns) + 1;
    net->connections_open--;
}

/* ---- the epoll set ---- */

static enum err net_add(struct posix_net *net, struct posix_conn *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.u64 = net_subject(net, c)}};

    if (epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) return posix_calls_err(errno);
    c->interest = events;
    return ERR_NONE;
}

void posix_net_interest(struct posix_net *net, struct posix_conn *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.u64 = net_subject(net, c)}};
    int result;

    if (c->dead || c->interest == events) return;
    result = epoll_ctl(net->epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
    ASSERT(result == 0);
    c->interest = events;
}

/* ---- birth ---- */

static void net_socket_options(int fd)
{
    const int one = 1;
    const int idle_s = 60;
    const int interval_s = 10;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* A peer that vanished without a word is found out in two minutes. */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
}

static void net_born(struct posix_net *net, struct posix_conn *c, struct net_conn *conn,
                     const struct net_address *peer)
{
    c->state = POSIX_CONN_OPEN;
    c->conn = conn;
    conn->peer = *peer;
    conn->id = ++net->last_id;
    conn->handle = ((uint32_t)(c - net->conns) + 1) | ((uint32_t)c->generation << HANDLE_BITS);
    posix_take(&conn->gone);
}

static void net_connect_failed(struct posix_net *net, struct posix_conn *c, enum err err)
{
    struct net_connect *connect = c->connecting;

    net_conn_give(net, c);
    posix_ready(net->ready, &connect->req, err);
}

/* A connect to a free port of the ephemeral range may meet itself (simultaneous open). */
static bool net_is_own_echo(int fd)
{
    union posix_sockaddr here = {0};
    union posix_sockaddr there = {0};
    socklen_t here_length = sizeof here;
    socklen_t there_length = sizeof there;
    struct net_address a;
    struct net_address b;

    if (getsockname(fd, &here.any, &here_length) != 0) return false;
    if (getpeername(fd, &there.any, &there_length) != 0) return false;
    posix_address_from(&here, &a);
    posix_address_from(&there, &b);
    return a.port == b.port && memcmp(a.ip, b.ip, sizeof a.ip) == 0;
}

static void net_connected(struct posix_net *net, struct posix_conn *c)
{
    struct net_connect *connect = c->connecting;
    int error = 0;
    socklen_t length = sizeof error;

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error == 0 && net_is_own_echo(c->fd)) error = ECONNREFUSED;
    if (error != 0) {
        net_connect_failed(net, c, posix_calls_err(error));
        return;
    }
    c->connecting = NULL;
    net_born(net, c, connect->conn, &connect->address);
    posix_net_interest(net, c, EPOLLIN);
    posix_ready(net->ready, &connect->req, ERR_NONE);
}

void posix_net_connect(struct posix_net *net, struct net_connect *connect)
{
    struct posix_conn *c = net_conn_take(net);
    union posix_sockaddr to;
    socklen_t length = posix_address_to(&connect->address, false, &to);
    enum err err;

    posix_take(&connect->req);
    if (c == NULL) {
        posix_ready(net->ready, &connect->req, ERR_TOO_MANY);
        return;
    }
    c->connecting = connect;
    c->state = POSIX_CONN_CONNECTING;
    c->fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        net_connect_failed(net, c, posix_calls_err(errno));
        return;
    }
    net_socket_options(c->fd);
    if (net->calls->connect(c->fd, &to.any, length) != 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        net_connect_failed(net, c, posix_calls_err(errno));
        return;
    }
    err = net_add(net, c, EPOLLOUT);
    if (err != ERR_NONE) net_connect_failed(net, c, err);
}

void posix_net_connect_cancel(struct posix_net *net, struct net_connect *connect)
{
    for (uint32_t i = 0; i < net->connections_max; i++) {
        struct posix_conn *c = &net->conns[i];

        if (c->state != POSIX_CONN_CONNECTING || c->connecting != connect) continue;
        net_connect_failed(net, c, ERR_CANCELED);
        return;
    }
}

/* ---- listeners ---- */

static struct posix_listener *net_listener(struct posix_net *net, const struct net_listener *of)
{
    struct posix_listener *l = &net->listeners[of->handle];

    ASSERT(of->handle < POSIX_LISTENERS_MAX && l->fd >= 0 && l->listener == of);
    return l;
}

static void net_listener_interest(struct posix_net *net, struct posix_listener *l, bool interest)
{
    struct epoll_event event = {
        .events = interest ? EPOLLIN : 0,
        .data = {.u64 =
                     posix_subject(POSIX_LISTENER, l->generation, (uint32_t)(l - net->listeners))},
    };
    int result;

    if (l->interest == interest) return;
    result = epoll_ctl(net->epoll_fd, EPOLL_CTL_MOD, l->fd, &event);
    ASSERT(result == 0);
    l->interest = interest;
}

static enum err net_listen_socket(struct net_listener *listener, int *fd)
{
    const int one = 1;
    const int zero = 0;
    union posix_sockaddr at;
    socklen_t length = posix_address_to(&listener->address, false, &at);
    enum err err = ERR_NONE;
    int opened = socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (opened < 0 && errno == EAFNOSUPPORT && posix_address_is_any(&listener->address)) {
        length = posix_address_to(&listener->address, true, &at);
        opened = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (opened < 0) return posix_calls_err(errno);
    (void)setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at.any.sa_family == AF_INET6) {
        (void)setsockopt(opened, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    }
    if (bind(opened, &at.any, length) != 0 || listen(opened, POSIX_BACKLOG) != 0) {
        err = posix_calls_err(errno);
    } else {
        length = sizeof at;
        if (getsockname(opened, &at.any, &length) != 0) err = posix_calls_err(errno);
    }
    if (err != ERR_NONE) {
        close(opened);
        return err;
    }
    listener->address.port = ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    *fd = opened;
    return ERR_NONE;
}

void posix_net_listen(struct posix_net *net, struct net_listener *listener)
{
    struct posix_listener *l = net->listeners;
    struct epoll_event event = {.events = 0};
    enum err err = ERR_NONE;
    int fd = -1;

    posix_take(&listener->req);
    while (l < net->listeners + POSIX_LISTENERS_MAX && l->fd >= 0)
        l++;
    if (l == net->listeners + POSIX_LISTENERS_MAX) {
        err = ERR_TOO_MANY;
        goto out;
    }
    err = net_listen_socket(listener, &fd);
    if (err != ERR_NONE) goto out;
    listener->handle = (uint32_t)(l - net->listeners);
    event.data.u64 = posix_subject(POSIX_LISTENER, l->generation, listener->handle);
    if (epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        err = posix_calls_err(errno);
        close(fd);
        goto out;
    }
    l->fd = fd;
    l->interest = false;
    l->listener = listener;
out:
    posix_ready(net->ready, &listener->req, err);
}

void posix_net_unlisten(struct posix_net *net, struct net_listener *listener)
{
    struct posix_listener *l = net_listener(net, listener);

    for (struct list *link; (link = list_pop(&l->accepts)) != NULL;) {
        posix_ready(net->ready, LIST_ENTRY(link, struct world_req, link), ERR_CANCELED);
    }
    close(l->fd);
    l->fd = -1;
    l->generation = (l->generation + 1) & GENERATION_MASK;
    posix_take(&listener->closed);
    posix_ready(net->ready, &listener->closed, ERR_NONE);
}

/* The first accept of the list is over. */
static void net_accepted(struct posix_net *net, struct posix_listener *l, enum err err)
{
    struct list *first = l->accepts.next;

    list_remove(first);
    posix_ready(net->ready, LIST_ENTRY(first, struct world_req, link), err);
}

static void net_listener_event(struct posix_net *net, struct posix_listener *l)
{
    while (!list_empty(&l->accepts)) {
        struct net_accept *accept = LIST_ENTRY(l->accepts.next, struct net_accept, req.link);
        struct posix_conn *c = net_conn_take(net);
        union posix_sockaddr from = {0};
        socklen_t length = sizeof from;
        struct net_address peer;
        enum err err;

        if (c == NULL) {
            net_accepted(net, l, ERR_TOO_MANY); /* it stays in the backlog */
            continue;
        }
        c->fd = net->calls->accept(l->fd, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c->fd < 0) {
            err = posix_calls_err(errno);
            net_conn_give(net, c);
            /* Nothing there, or the peer gave up before we came, or the network had an error of
             * that connection: if there is another one, epoll says so again. */
            if (err != ERR_TOO_MANY && err != ERR_NO_MEMORY) return;
            net_accepted(net, l, err);
            continue;
        }
        net_socket_options(c->fd);
        err = net_add(net, c, EPOLLIN);
        if (err != ERR_NONE) {
            net_conn_give(net, c);
        } else {
            posix_address_from(&from, &peer);
            net_born(net, c, accept->conn, &peer);
        }
        net_accepted(net, l, err);
    }
    net_listener_interest(net, l, false);
}

void posix_net_accept(struct posix_net *net, struct net_accept *accept)
{
    struct posix_listener *l = net_listener(net, accept->listener);

    posix_take(&accept->req);
    if (net->free_first == 0) {
        posix_ready(net->ready, &accept->req, ERR_TOO_MANY);
        return;
    }
    list_push(&l->accepts, &accept->req.link);
    net_listener_interest(net, l, true);
}

/* ---- death ---- */

static void net_died(struct posix_net *net, struct posix_conn *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    int result = epoll_ctl(net->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);

    ASSERT(result == 0);
    (void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    c->error = error != 0 ? posix_calls_err(error) : ERR_CONNECTION_RESET;
    c->dead = true;
    c->interest = 0;
    /* What arrived before is still to be had. */
    if (c->recv != NULL && !list_linked(&c->starved)) posix_stream_recv(net, c);
    if (c->send != NULL) posix_stream_send_done(net, c, c->error);
    c->gone_told = true;
    posix_ready(net->ready, &c->conn->gone, c->error);
}

/* Bytes we never read would turn the close into a reset, which destroys what the peer has not
 * received yet. Bounded: who keeps sending gets the reset. */
static void net_drain(const struct posix_conn *c)
{
    (void)shutdown(c->fd, SHUT_WR);
    for (int i = 0; i < 16; i++) {
        if (recv(c->fd, NULL, POSIX_RECV_TURN_MAX, MSG_TRUNC | MSG_DONTWAIT) <= 0) return;
    }
}

void posix_net_close(struct posix_net *net, struct net_conn *conn)
{
    struct posix_conn *c = posix_net_conn(net, conn);
    bool cut = c->send != NULL;

    if (c->recv != NULL) {
        list_remove(&c->starved);
        posix_stream_recv_done(net, c, ERR_CANCELED);
    }
    if (cut) posix_stream_send_done(net, c, ERR_CANCELED);
    if (!c->gone_told) posix_ready(net->ready, &conn->gone, ERR_CANCELED);
    if (!cut && !c->dead) net_drain(c);
    net_conn_give(net, c);
    posix_take(&conn->closed);
    posix_ready(net->ready, &conn->closed, ERR_NONE);
}

/* ---- events, names, life ---- */

static void net_conn_event(struct posix_net *net, struct posix_conn *c, uint32_t events)
{
    if (c->state == POSIX_CONN_CONNECTING) {
        net_connected(net, c);
        return;
    }
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        net_died(net, c);
        return;
    }
    if ((events & EPOLLIN) != 0) {
        c->readable = true;
        if (c->recv != NULL && !list_linked(&c->starved)) {
            posix_stream_recv(net, c);
        } else {
            posix_net_interest(net, c, c->interest & ~(uint32_t)EPOLLIN);
        }
    }
    if ((events & EPOLLOUT) != 0 && c->send != NULL) posix_stream_send(net, c);
}

void posix_net_event(struct posix_net *net, uint64_t subject, uint32_t events)
{
    uint32_t index = (uint32_t)subject;
    uint32_t generation = (uint32_t)(subject >> 32) & GENERATION_MASK;

    if (subject >> 60 == POSIX_LISTENER) {
        struct posix_listener *l = &net->listeners[index];

        if (l->fd >= 0 && l->generation == generation) net_listener_event(net, l);
        return;
    }
    if (net->conns[index].state == POSIX_CONN_FREE) return; /* closed by an earlier event */
    if (net->conns[index].generation != generation) return;
    net_conn_event(net, &net->conns[index], events);
}

static void net_resolve_run(void *owner, struct world_req *req)
{
    (void)owner;
    req->result = posix_address_lookup(CONTAINER_OF(req, struct net_resolve, req));
}

void posix_net_resolve(struct posix_net *net, struct net_resolve *resolve)
{
    posix_take(&resolve->req);
    if (posix_address_numeric(resolve)) {
        posix_ready(net->ready, &resolve->req, ERR_NONE);
    } else {
        posix_pool_submit(&net->resolver, &resolve->req);
    }
}

enum err posix_net_init(struct posix_net *net, const struct posix_calls *calls, struct list *ready,
                        struct posix_inbox *inbox, int epoll_fd, uint32_t connections_max,
                        uint32_t chunks)
{
    enum err err;

    ASSERT(connections_max > 0 && connections_max <= POSIX_CONNECTIONS_MAX);
    *net = (struct posix_net){
        .calls = calls, .ready = ready, .epoll_fd = epoll_fd, .connections_max = connections_max};
    list_init(&net->starved);
    for (uint32_t i = 0; i < POSIX_LISTENERS_MAX; i++) {
        net->listeners[i].fd = -1;
        list_init(&net->listeners[i].accepts);
    }
    net->conns = calloc(connections_max, sizeof *net->conns);
    if (net->conns == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = connections_max; i-- > 0;) {
        net->conns[i].fd = -1;
        net->conns[i].next_free = net->free_first;
        net->free_first = i + 1;
    }
    err = posix_slab_init(&net->slab, chunks);
    if (err == ERR_NONE) {
        err = posix_pool_init(&net->resolver, inbox, &inbox->plain, 1, net, net_resolve_run);
        if (err != ERR_NONE) posix_slab_deinit(&net->slab);
    }
    if (err != ERR_NONE) free(net->conns);
    return err;
}

void posix_net_deinit(struct posix_net *net)
{
    posix_pool_deinit(&net->resolver);
    for (uint32_t i = 0; i < net->connections_max; i++) {
        const struct posix_conn *c = &net->conns[i];

        if (c->state != POSIX_CONN_FREE && c->fd >= 0) close(c->fd);
    }
    for (uint32_t i = 0; i < POSIX_LISTENERS_MAX; i++) {
        if (net->listeners[i].fd >= 0) close(net->listeners[i].fd);
    }
    posix_slab_deinit(&net->slab);
    free(net->conns);
}
