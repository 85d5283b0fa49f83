#include "client/connection.h"

#include <string.h>

static enum op_result connection_stall_run(struct op *op);

enum connection_stall_step { CONNECTION_STALL_BEGIN, CONNECTION_STALL_OVER };
static const char *const connection_stall_steps[] = {
    [CONNECTION_STALL_BEGIN] = "BEGIN",
    [CONNECTION_STALL_OVER] = "OVER",
};
static const struct op_kind connection_stall_kind = {"connection.stall", connection_stall_steps,
                                                     COUNT_OF(connection_stall_steps),
                                                     connection_stall_run, NULL};

/* ---- state --------------------------------------------------------------------------------- */

static void connection_set_state(struct connection *connection, enum connection_state state)
{
    /* legal[from] is a set of states */
    static const uint32_t legal[CONNECTION_STATE_COUNT] = {
        [CONNECTION_FREE] = 1U << CONNECTION_OPEN,
        [CONNECTION_OPEN] = 1U << CONNECTION_FINISHING | 1U << CONNECTION_CLOSING,
        [CONNECTION_FINISHING] = 1U << CONNECTION_CLOSING,
        [CONNECTION_CLOSING] = 1U << CONNECTION_CLOSED,
        [CONNECTION_CLOSED] = 0,
    };

    ASSERT((legal[connection->state] & 1U << state) != 0);
    connection->state = state;
    op_wake(&connection->events);
}

static void connection_release_loan(struct connection *connection)
{
    if (!connection->loaned) return;
    connection->loaned = false;
    net_release(connection->env->world, &connection->recv.loan);
}

static void connection_gone(struct world_req *req, struct instant now)
{
    struct connection *connection =
        CONTAINER_OF(CONTAINER_OF(req, struct net_conn, gone), struct connection, net);

    (void)now;
    if (req->result != ERR_CANCELED) connection_close(connection, req->result);
}

/* The last completion: nothing of the world refers to us any more. */
static void connection_closed(struct world_req *req, struct instant now)
{
    struct connection *connection =
        CONTAINER_OF(CONTAINER_OF(req, struct net_conn, closed), struct connection, net);
    struct list *link;

    (void)now;
    ASSERT(!connection->recv.req.pending);
    ASSERT(!connection->send.req.pending);
    connection_release_loan(connection);
    buf_unref(connection->partial);
    connection->partial = NULL;
    list_remove(&connection->flush.link);
    while ((link = list_pop(&connection->outgoing)) != NULL)
        connection_out_destroy(connection, LIST_ENTRY(link, struct connection_out, link));
    connection->send_queue = 0;
    connection->send_bytes = 0;
    TRACE(connection->env->world, CONN_CLOSED, (int64_t)connection->net.id, connection->ended);
    connection_set_state(connection, CONNECTION_CLOSED);
}

void connection_opened(struct connection *connection, int32_t peer, bool inbound)
{
    TRACE(connection->env->world, CONN_OPENED, (int64_t)connection->net.id, peer, inbound);
    connection_set_state(connection, CONNECTION_OPEN);
}

void connection_close(struct connection *connection, enum err why)
{
    switch (connection->state) {
    case CONNECTION_FREE:
    case CONNECTION_CLOSING:
    case CONNECTION_CLOSED: return;
    case CONNECTION_OPEN:
    case CONNECTION_FINISHING: break;
    case CONNECTION_STATE_COUNT: IMPOSSIBLE("state");
    }
    connection->ended = why;
    if (connection->stalled) {
        connection->stalled = false;
        op_cancel(&connection->stall);
    }
    connection_set_state(connection, CONNECTION_CLOSING);
    net_close(connection->env->world, &connection->net);
}

void connection_finish(struct connection *connection)
{
    if (connection->state != CONNECTION_OPEN) return;
    connection_set_state(connection, CONNECTION_FINISHING);
    env_stage_send(connection->env, &connection->flush);
}

void connection_hostile(struct connection *connection, int32_t api, int32_t version, enum err err,
                        struct str what)
{
    TRACE_TEXT(connection->env->world, CONN_HOSTILE, what, (int64_t)connection->net.id, api,
               version, err);
    connection_close(connection, err);
}

/* ---- receiving ----------------------------------------------------------------------------- */

static void connection_received(struct world_req *req, struct instant now)
{
    struct net_recv *recv = CONTAINER_OF(req, struct net_recv, req);
    struct connection *connection = CONTAINER_OF(recv, struct connection, recv);

    (void)now;
    if (req->result != ERR_NONE) {
        connection_close(connection, req->result);
        return;
    }
    if (recv->into != NULL) {
        connection->partial_have += recv->done;
        ASSERT(connection->partial_have <= connection->partial_size);
    } else {
        ASSERT(recv->loan.length > 0);
        connection->loaned = true;
        connection->loan_at = 0;
    }
    op_wake(&connection->events);
}

/* What is missing of the partial frame goes straight to its place; else the world lends. */
static void connection_post(struct connection *connection)
{
    struct net_recv *recv = &connection->recv;

    ASSERT(!recv->req.pending && !connection->loaned);
    if (connection->partial != NULL) {
        recv->into = connection->partial->data + connection->partial_have;
        recv->want = connection->partial_size - connection->partial_have;
    } else {
        recv->into = NULL;
        recv->want = 0;
    }
    recv->done = 0;
    recv->conn = &connection->net;
    net_recv(connection->env->world, recv);
}

static enum op_result connection_stall_run(struct op *op)
{
    struct connection *connection = CONTAINER_OF(op, struct connection, stall);

    switch ((enum connection_stall_step)op->step) {
    case CONNECTION_STALL_BEGIN:
        op_deadline(op, env_deadline(connection->env, CONNECTION_STALL_MS));
        op_enter(op, CONNECTION_STALL_OVER);
        return op_park(op, NULL, OP_NO_KEY);
    case CONNECTION_STALL_OVER:
        if (!op_expired(op)) return op_park(op, NULL, OP_NO_KEY);
        if (op_probing(op)) return OP_HOLDS;
        connection->stalled = false;
        op_wake(&connection->events);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

/* Nothing tells when payload comes back to the budget, so look again in a while. */
static void connection_wait_for_budget(struct connection *connection)
{
    connection->stalled = true;
    op_start(&connection->env->loop, &connection->stall, &connection_stall_kind,
             CONNECTION_STALL_BEGIN);
}

/* The four bytes of the size, out of the loan. False when the loan ended before. */
static bool connection_take_size(struct connection *connection)
{
    const struct net_loan *loan = &connection->recv.loan;

    while (connection->size_have < sizeof connection->size_bytes) {
        if (connection->loan_at == loan->length) return false;
        connection->size_bytes[connection->size_have++] = loan->data[connection->loan_at++];
    }
    return true;
}

static void connection_fill_partial(struct connection *connection)
{
    const struct net_loan *loan = &connection->recv.loan;
    uint32_t missing = connection->partial_size - connection->partial_have;
    uint32_t there = loan->length - connection->loan_at;
    uint32_t count = missing < there ? missing : there;

    memcpy(connection->partial->data + connection->partial_have, loan->data + connection->loan_at,
           count);
    connection->partial_have += count;
    connection->loan_at += count;
}

enum connection_progress { CONNECTION_FRAME, CONNECTION_MORE, CONNECTION_STUCK };

/* With unread bytes in the loan: one step towards a frame. */
static enum connection_progress connection_read_loan(struct connection *connection, bool keep,
                                                     struct connection_frame *frame)
{
    const struct net_loan *loan = &connection->recv.loan;
    uint32_t size = 0;
    enum err err;

    if (connection->partial != NULL) {
        connection_fill_partial(connection);
        return CONNECTION_MORE;
    }
    if (!connection_take_size(connection)) return CONNECTION_MORE;
    err = wire_frame_size(connection->size_bytes, connection->limits.frame_max, &size);
    if (err != ERR_NONE) {
        connection_hostile(connection, -1, -1, err, STR("frame size"));
        return CONNECTION_STUCK;
    }
    if (size == 0 || (!keep && size <= loan->length - connection->loan_at)) {
        *frame = (struct connection_frame){loan->data + connection->loan_at, size, NULL};
        connection->loan_at += size;
        connection->size_have = 0;
        return CONNECTION_FRAME;
    }
    connection->partial = buf_take(&connection->env->payload, size, connection->limits.reserved);
    if (connection->partial == NULL) {
        connection_wait_for_budget(connection);
        return CONNECTION_STUCK;
    }
    connection->partial_size = size;
    connection->partial_have = 0;
    connection->size_have = 0;
    connection_fill_partial(connection);
    return CONNECTION_MORE;
}

bool connection_readable(const struct connection *connection)
{
    return connection->state == CONNECTION_OPEN && !connection->recv.req.pending &&
           !connection->stalled;
}

bool connection_next(struct connection *connection, bool keep, struct connection_frame *frame)
{
    while (connection_readable(connection)) {
        if (connection->partial != NULL && connection->partial_have == connection->partial_size) {
            *frame = (struct connection_frame){connection->partial->data, connection->partial_size,
                                               connection->partial};
            connection->partial = NULL;
            return true;
        }
        if (connection->loaned && connection->loan_at == connection->recv.loan.length)
            connection_release_loan(connection);
        if (!connection->loaned) {
            connection_post(connection);
            return false;
        }
        switch (connection_read_loan(connection, keep, frame)) {
        case CONNECTION_FRAME: return true;
        case CONNECTION_MORE: break;
        case CONNECTION_STUCK: return false;
        }
    }
    return false;
}

enum err connection_frame_keep(struct connection *connection, struct connection_frame *frame)
{
    struct buf *buf;

    if (frame->buf != NULL || frame->length == 0) return ERR_NONE;
    buf = buf_take(&connection->env->payload, frame->length, connection->limits.reserved);
    if (buf == NULL) return ERR_NO_MEMORY;
    memcpy(buf->data, frame->data, frame->length);
    frame->buf = buf;
    frame->data = buf->data;
    return ERR_NONE;
}

void connection_frame_release(struct connection_frame *frame)
{
    buf_unref(frame->buf);
    *frame = (struct connection_frame){0};
}

/* ---- sending ------------------------------------------------------------------------------- */

struct connection_out *connection_out_create(struct connection *connection, size_t head_size,
                                             uint32_t slices, uint32_t holds)
{
    size_t size = sizeof(struct connection_out) + slices * sizeof(struct wire_slice) +
                  holds * sizeof(struct buf *) + head_size;
    struct connection_out *out = mem_alloc(&connection->env->mem, size);

    if (out == NULL) return NULL;
    *out = (struct connection_out){
        .block_size = size, .slices_max = slices, .head_size = (uint32_t)head_size};
    list_init(&out->link);
    out->slices = (struct wire_slice *)(void *)(out + 1);
    out->holds = (struct buf **)(void *)(out->slices + slices);
    out->head = (uint8_t *)(out->holds + holds);
    return out;
}

void connection_out_destroy(struct connection *connection, struct connection_out *out)
{
    ASSERT(!list_linked(&out->link));
    for (uint32_t i = 0; i < out->holds_count; i++)
        buf_unref(out->holds[i]);
    mem_free(&connection->env->mem, out, out->block_size);
}

void connection_out_hold(struct connection_out *out, struct buf *buf)
{
    ASSERT((uint8_t *)(out->holds + out->holds_count + 1) <= out->head);
    out->holds[out->holds_count++] = buf_ref(buf);
}

bool connection_sendable(const struct connection *connection, size_t bytes)
{
    const struct connection_limits *limits = &connection->limits;

    if (connection->send_queue == 0) return true;
    return connection->send_queue < limits->send_queue_max &&
           connection->send_bytes <= limits->send_bytes_max &&
           bytes <= limits->send_bytes_max - connection->send_bytes;
}

enum err connection_send(struct connection *connection, struct connection_out *out,
                         uint32_t slices_count)
{
    size_t bytes = 0;

    ASSERT(slices_count > 0 && slices_count <= out->slices_max);
    if (connection->state != CONNECTION_OPEN) return ERR_BAD_STATE;
    for (uint32_t i = 0; i < slices_count; i++)
        bytes += out->slices[i].length;
    if (!connection_sendable(connection, bytes)) return ERR_TOO_MANY;
    out->bytes = bytes;
    out->slices_count = slices_count;
    list_push(&connection->outgoing, &out->link);
    connection->send_queue++;
    connection->send_bytes += bytes;
    connection->frames_queued++;
    env_stage_send(connection->env, &connection->flush);
    return ERR_NONE;
}

static void connection_gather_free(struct connection *connection)
{
    if (connection->gather_max > CONNECTION_GATHER_FEW)
        mem_free(&connection->env->mem, connection->gather,
                 connection->gather_max * sizeof *connection->gather);
    connection->gather = NULL;
    connection->gather_max = 0;
}

/* The transport has taken the slices handed to it: whole frames among them are done. */
static void connection_sent(struct world_req *req, struct instant now)
{
    struct connection *connection =
        CONTAINER_OF(CONTAINER_OF(req, struct net_send, req), struct connection, send);

    (void)now;
    connection_gather_free(connection);
    connection->env->range_misses += connection->send.range_misses;
    if (req->result != ERR_NONE) {
        connection_close(connection, req->result);
        return;
    }
    while (!list_empty(&connection->outgoing)) {
        struct connection_out *out =
            LIST_ENTRY(connection->outgoing.next, struct connection_out, link);

        if (out->slices_sent < out->slices_count) break;
        list_remove(&out->link);
        ASSERT(connection->send_queue > 0 && connection->send_bytes >= out->bytes);
        connection->send_queue--;
        connection->send_bytes -= out->bytes;
        connection->frames_sent++;
        connection_out_destroy(connection, out);
    }
    env_stage_send(connection->env, &connection->flush);
    op_wake(&connection->events);
}

/* Room for the slices of one send, at most NET_SLICES_MAX. */
static void connection_gather_take(struct connection *connection)
{
    uint32_t wanted = 0;

    LIST_FOR_EACH (link, &connection->outgoing) {
        const struct connection_out *out = LIST_ENTRY(link, struct connection_out, link);

        wanted += out->slices_count - out->slices_sent;
        if (wanted >= NET_SLICES_MAX) break;
    }
    if (wanted > NET_SLICES_MAX) wanted = NET_SLICES_MAX;
    connection->gather_max = wanted;
    if (wanted > CONNECTION_GATHER_FEW)
        connection->gather = mem_alloc(&connection->env->mem, wanted * sizeof *connection->gather);
    if (connection->gather == NULL) { /* few, or no memory: then in smaller sends */
        connection->gather = connection->gather_few;
        connection->gather_max = CONNECTION_GATHER_FEW;
    }
}

static struct bytes connection_gather(struct connection *connection, const struct wire_slice *slice,
                                      uint32_t *ranges)
{
    switch (slice->kind) {
    case WIRE_SLICE_MEMORY: return (struct bytes){slice->data, slice->length};
    case WIRE_SLICE_FILE:
        connection->ranges[(*ranges)++] = (struct net_range){{slice->file}, slice->offset};
        return (struct bytes){NULL, slice->length};
    }
    IMPOSSIBLE("kind");
}

static void connection_flush(struct env_flush *flush)
{
    struct connection *connection = CONTAINER_OF(flush, struct connection, flush);
    uint32_t count = 0;
    uint32_t ranges = 0;
    bool full = false;

    if (connection->state != CONNECTION_OPEN && connection->state != CONNECTION_FINISHING) return;
    if (connection->send.req.pending) return;
    if (list_empty(&connection->outgoing)) {
        if (connection->state == CONNECTION_FINISHING) connection_close(connection, ERR_NONE);
        return;
    }
    connection_gather_take(connection);
    LIST_FOR_EACH (link, &connection->outgoing) {
        struct connection_out *out = LIST_ENTRY(link, struct connection_out, link);

        while (out->slices_sent < out->slices_count && count < connection->gather_max) {
            const struct wire_slice *slice = &out->slices[out->slices_sent];

            if (slice->kind == WIRE_SLICE_FILE && ranges == CONNECTION_RANGES) {
                full = true;
                break;
            }
            connection->gather[count++] = connection_gather(connection, slice, &ranges);
            out->slices_sent++;
        }
        if (full || count == connection->gather_max) break;
    }
    connection->send.ranges = connection->ranges;
    connection->send.conn = &connection->net;
    connection->send.slices = connection->gather;
    connection->send.slice_count = count;
    net_send(connection->env->world, &connection->send);
}

/* ---- life ---------------------------------------------------------------------------------- */

void connection_init(struct connection *connection, struct env *env,
                     const struct connection_limits *limits)
{
    *connection = (struct connection){.env = env, .limits = *limits};
    if (connection->limits.frame_max > MEM_MAX) connection->limits.frame_max = MEM_MAX;
    op_source_init(&connection->events);
    list_init(&connection->outgoing);
    list_init(&connection->flush.link);
    connection->flush.flush = connection_flush;
    world_req_init(&connection->net.gone, connection_gone);
    world_req_init(&connection->net.closed, connection_closed);
    world_req_init(&connection->recv.req, connection_received);
    world_req_init(&connection->send.req, connection_sent);
}
