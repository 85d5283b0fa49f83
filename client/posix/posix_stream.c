/* Bytes of a connection: receives and sends, from the first attempt to their completion. */
#include "client/posix/posix_net.h"

#include "client/posix/posix_ready.h"

#include <errno.h>
#include <limits.h>

/* ---- receiving ---- */

enum { NET_MORE_LIKELY = 16384 };

void posix_stream_recv_done(struct posix_net *net, struct posix_conn *c, enum err err)
{
    struct net_recv *recv = c->recv;

    c->recv = NULL;
    posix_ready(net->ready, &recv->req, err);
}

/* One read. AGAIN is told by `false`: nothing there, or no chunk to put it. */
static bool net_recv_some(struct posix_net *net, struct posix_conn *c, size_t *room, ssize_t *got)
{
    struct net_recv *recv = c->recv;
    uint8_t *to;

    if (recv->into != NULL) {
        to = recv->into + recv->done;
        *room = recv->want - recv->done;
    } else {
        to = posix_slab_room(&net->slab, room);
        if (to == NULL) {
            if (!list_linked(&c->starved)) list_push(&net->starved, &c->starved);
            posix_net_interest(net, c, c->interest & ~(uint32_t)EPOLLIN);
            return false;
        }
    }
    do {
        *got = net->calls->recv(c->fd, to, *room, 0);
    } while (*got < 0 && errno == EINTR);
    if (*got < 0 && errno == EAGAIN && !c->dead) {
        c->readable = false;
        posix_net_interest(net, c, c->interest | EPOLLIN);
        return false;
    }
    if (*got > 0 && recv->into == NULL) {
        recv->loan = (struct net_loan){
            .data = to,
            .length = (uint32_t)*got,
            .chunk = posix_slab_lend(&net->slab, (uint32_t)*got),
        };
    }
    return true;
}

void posix_stream_recv(struct posix_net *net, struct posix_conn *c)
{
    struct net_recv *recv = c->recv;
    uint32_t taken = 0;

    while (recv->into == NULL || recv->done < recv->want) {
        size_t room;
        ssize_t got;

        if (taken >= POSIX_RECV_TURN_MAX && !c->dead) {
            posix_net_interest(net, c, c->interest | EPOLLIN); /* the rest after the others */
            return;
        }
        if (!net_recv_some(net, c, &room, &got)) return;
        if (got <= 0) {
            enum err err = got == 0 ? ERR_EOF : posix_calls_err(errno);

            posix_stream_recv_done(net, c, c->error != ERR_NONE ? c->error : err);
            return;
        }
        /* A large read that was filled: more is likely there. A small one is mostly a frame. */
        c->readable = ((size_t)got == room && room >= NET_MORE_LIKELY) || c->dead;
        if (recv->into == NULL) break;
        recv->done += (uint32_t)got;
        taken += (uint32_t)got;
    }
    posix_stream_recv_done(net, c, ERR_NONE);
}

void posix_net_recv(struct posix_net *net, struct net_recv *recv)
{
    struct posix_conn *c = posix_net_conn(net, recv->conn);

    posix_take(&recv->req);
    ASSERT(c->recv == NULL);
    c->recv = recv;
    recv->done = 0;
    recv->loan = (struct net_loan){0};
    if (c->readable || c->dead || (recv->into != NULL && recv->want == 0)) {
        posix_stream_recv(net, c);
    } else {
        posix_net_interest(net, c, c->interest | EPOLLIN);
    }
}

void posix_net_release(struct posix_net *net, struct net_loan *loan)
{
    ASSERT(loan->chunk != NULL);
    posix_slab_release(&net->slab, loan->chunk);
    *loan = (struct net_loan){0};
}

bool posix_net_can_feed(struct posix_net *net)
{
    size_t room;

    return !list_empty(&net->starved) && posix_slab_room(&net->slab, &room) != NULL;
}

void posix_net_feed(struct posix_net *net)
{
    while (posix_net_can_feed(net)) {
        struct posix_conn *c = LIST_ENTRY(list_pop(&net->starved), struct posix_conn, starved);

        posix_stream_recv(net, c);
    }
}

/* ---- sending ---- */

void posix_stream_send_done(struct posix_net *net, struct posix_conn *c, enum err err)
{
    struct net_send *send = c->send;

    c->send = NULL;
    posix_net_interest(net, c, c->interest & ~(uint32_t)EPOLLOUT);
    posix_ready(net->ready, &send->req, err);
}

static bool slice_is_range(const struct bytes *slice)
{
    return slice->data == NULL && slice->length > 0;
}

/* Memory up to the next range; 0: there is none before it. */
static int net_send_slices(const struct posix_conn *c, struct iovec *to, bool *more)
{
    const struct net_send *send = c->send;
    int count = 0;

    for (uint32_t i = c->send_slice; i < send->slice_count && count < IOV_MAX; i++) {
        uint32_t skip = i == c->send_slice ? c->send_offset : 0;

        if (send->slices[i].length == skip) continue;
        *more = slice_is_range(&send->slices[i]);
        if (*more) break;
        to[count].iov_base = (void *)(uintptr_t)(send->slices[i].data + skip);
        to[count].iov_len = send->slices[i].length - skip;
        count++;
    }
    return count;
}

/* Past what was taken, and past empty slices. */
static void net_send_advance(struct posix_conn *c, size_t taken)
{
    const struct net_send *send = c->send;

    while (c->send_slice < send->slice_count) {
        const struct bytes *slice = &send->slices[c->send_slice];
        uint32_t room = slice->length - c->send_offset;

        if (taken < room) {
            c->send_offset += (uint32_t)taken;
            return;
        }
        taken -= room;
        if (slice_is_range(slice)) c->send_range++;
        c->send_slice++;
        c->send_offset = 0;
    }
}

/* One step of a range: at most so much, so that others get their turn and each miss is counted. The
 * probe and the call do not exclude each other: a page that leaves between them is waited for. */
static ssize_t net_send_range(struct posix_net *net, struct posix_conn *c)
{
    const struct net_range *range = &c->send->ranges[c->send_range];
    uint32_t left = c->send->slices[c->send_slice].length - c->send_offset;
    off_t at = (off_t)(range->offset + c->send_offset);
    uint64_t resident;

    if (left > POSIX_SEND_STEP) left = POSIX_SEND_STEP;
    if (!posix_disk_warm(net->disk, range->file, (uint64_t)at, left, &resident)) {
        c->send->range_misses++;
        net->range_misses++;
    }
    return net->calls->sendfile(c->fd, posix_disk_fd(net->disk, range->file), &at, left);
}

void posix_stream_send(struct posix_net *net, struct posix_conn *c)
{
    struct iovec slices[IOV_MAX];
    size_t ranged = 0;

    for (;;) {
        struct msghdr message = {.msg_iov = slices};
        bool range = false;
        bool more = false;
        ssize_t n;
        int count;

        net_send_advance(c, 0);
        if (c->send_slice == c->send->slice_count) break;
        count = net_send_slices(c, slices, &more);
        if (count > 0) {
            message.msg_iovlen = (size_t)count;
            n = net->calls->sendmsg(c->fd, &message,
                                    MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
        } else if (ranged >= POSIX_SEND_TURN_MAX) {
            posix_net_interest(net, c, c->interest | EPOLLOUT); /* the rest after the others */
            return;
        } else {
            range = true;
            n = net_send_range(net, c);
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            posix_net_interest(net, c, c->interest | EPOLLOUT);
            return;
        }
        if (n < 0) {
            posix_stream_send_done(net, c,
                                   c->error != ERR_NONE ? c->error : posix_calls_err(errno));
            return;
        }
        if (n == 0 && range) { /* the file is shorter than it was */
            posix_stream_send_done(net, c, ERR_EOF);
            return;
        }
        if (range) ranged += (size_t)n;
        net_send_advance(c, (size_t)n);
    }
    posix_stream_send_done(net, c, ERR_NONE);
}

void posix_net_send(struct posix_net *net, struct net_send *send)
{
    struct posix_conn *c = posix_net_conn(net, send->conn);

    posix_take(&send->req);
    ASSERT(c->send == NULL && send->slice_count <= NET_SLICES_MAX);
    c->send = send;
    c->send_slice = 0;
    c->send_offset = 0;
    c->send_range = 0;
    send->range_misses = 0;
    if (c->dead) {
        posix_stream_send_done(net, c, c->error);
        return;
    }
    posix_stream_send(net, c);
}
