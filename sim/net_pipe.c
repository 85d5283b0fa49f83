/* What goes over a connection: two pipes, two ends, and every way they end. */
#include "sim/disk.h"
#include "sim/fault.h"
#include "sim/net_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- segments -------------------------------------------------------------------------------- */

struct sim_segment *net_segment_create(enum segment_kind kind, uint32_t length)
{
    struct sim_segment *segment = malloc(sizeof *segment + length);

    if (segment == NULL) abort();
    segment->kind = kind;
    segment->length = length;
    segment->from = 0;
    segment->ready_ns = 0;
    segment->hold = NULL;
    segment->inode = NULL;
    list_init(&segment->link);
    return segment;
}

/* The kernel sends pages of the file, no copies: what is written there before the peer has read
 * them arrives, and what was cut off arrives as zeros (performance.md 5.3; on a real machine only
 * those of the last page, and what was appended since is not always seen). */
void net_segment_bind(struct sim_segment *segment)
{
    uint64_t got;

    if (segment->inode == NULL) return;
    got = sim_image_read(segment->inode, segment->offset, segment->data, segment->length,
                         SIM_VIEW_VISIBLE);
    memset(segment->data + got, 0, segment->length - got);
    sim_image_unpin(segment->image, segment->inode);
    segment->inode = NULL;
}

void net_segment_free(struct sim_segment *segment)
{
    if (segment->inode != NULL) sim_image_unpin(segment->image, segment->inode);
    free(segment);
}

void net_segments_free(struct list *head)
{
    while (!list_empty(head))
        net_segment_free(LIST_ENTRY(list_pop(head), struct sim_segment, link));
}

/* Puts a piece on the wire: latency, jitter, rate; never before what was sent earlier. */
void net_pipe_put(struct sim_pipe *pipe, struct sim_segment *segment)
{
    struct sim_conn *conn = pipe->conn;
    struct sim *sim = conn->sim;
    const struct sim_link *link = net_link(sim, pipe_sender(pipe), pipe_receiver(pipe)->node);
    int64_t leaves = sim_node_issue_ns(pipe_sender(pipe));
    int64_t tail = decide_exponential(sim, net_site(DECIDE_NET_DELAY, conn, pipe->side),
                                      sim->config.net.jitter_ns);

    if (leaves < pipe->free_ns) leaves = pipe->free_ns;
    if (sim->config.net.bytes_per_us > 0) {
        leaves += (int64_t)segment->length * 1000 / sim->config.net.bytes_per_us;
    }
    if (link->bytes_per_ms > 0) {
        leaves += (int64_t)segment->length * NS_PER_MS / link->bytes_per_ms;
    }
    pipe->free_ns = leaves;
    segment->ready_ns = leaves + pipe->base_ns + link->extra_ns + tail;
    if (segment->ready_ns < pipe->last_ready_ns) segment->ready_ns = pipe->last_ready_ns;
    pipe->last_ready_ns = segment->ready_ns;
    if (list_empty(&pipe->flight)) sim_schedule(sim, &pipe->arrive, segment->ready_ns);
    list_push(&pipe->flight, &segment->link);
}

/* ---- sending --------------------------------------------------------------------------------- */

static uint32_t piece_length(struct sim_conn *conn, uint32_t side, enum sim_pieces pieces,
                             uint64_t sent, uint32_t room)
{
    struct decide_site site = net_site(DECIDE_NET_PIECE, conn, side);
    uint32_t length = room < SEGMENT_MAX ? room : SEGMENT_MAX;

    switch (pieces) {
    case SIM_PIECES_WHOLE:
    case SIM_PIECES_STYLES: return length;
    case SIM_PIECES_TINY: return sent < 8 ? 1 : length;
    case SIM_PIECES_RANDOM: return 1 + (uint32_t)decide_below(conn->sim, site, length);
    case SIM_PIECES_HEADER:
        if (sent >= 4 || length <= 4) return length;
        return 1 + (uint32_t)decide_below(conn->sim, site, sent == 0 ? 4 : 8);
    }
    return length;
}

static bool slice_is_range(const struct bytes *slice)
{
    return slice->data == NULL && slice->length > 0;
}

/* Empty slices, and those that have gone. */
static void send_skip(struct sim_end *end)
{
    const struct net_send *send = end->send;

    while (end->send_slice < send->slice_count &&
           end->send_offset == send->slices[end->send_slice].length) {
        if (slice_is_range(&send->slices[end->send_slice])) end->send_range++;
        end->send_slice++;
        end->send_offset = 0;
    }
}

/* How much may go in one piece: of memory, or of one range. */
static uint32_t send_left(const struct net_send *send, const struct sim_end *end, uint32_t most)
{
    uint64_t left = 0;

    for (uint32_t i = end->send_slice; i < send->slice_count && left < most; i++) {
        if (slice_is_range(&send->slices[i]) && i > end->send_slice) break;
        left += send->slices[i].length - (i == end->send_slice ? end->send_offset : 0);
        if (slice_is_range(&send->slices[i])) break;
    }
    return left < most ? (uint32_t)left : most;
}

static uint32_t send_next(struct sim_end *end)
{
    send_skip(end);
    return send_left(end->send, end, SEGMENT_MAX);
}

/* Of the present range; 0: the file ends before it does. */
static uint32_t send_range_left(const struct sim_end *end, uint32_t most)
{
    const struct net_range *range = &end->send->ranges[end->send_range];
    uint64_t size = sim_image_size(sim_disk_inode(end->node->disk, range->file));
    uint64_t offset = range->offset + end->send_offset;

    if (size <= offset) return 0;
    return size - offset < most ? (uint32_t)(size - offset) : most;
}

static void send_refer(struct sim_end *end, struct sim_segment *segment)
{
    const struct net_range *range = &end->send->ranges[end->send_range];
    struct sim_inode *inode = sim_disk_inode(end->node->disk, range->file);
    uint64_t offset = range->offset + end->send_offset;

    (void)sim_image_read(inode, offset, segment->data, segment->length, SIM_VIEW_VISIBLE);
    sim_image_pin(inode);
    segment->inode = inode;
    segment->image = sim_disk_image(end->node->disk);
    segment->offset = offset;
    end->send_offset += segment->length;
    end->send_done += segment->length;
}

static void send_copy(struct sim_end *end, uint8_t *to, uint32_t length)
{
    while (length > 0) {
        const struct bytes *slice = &end->send->slices[end->send_slice];
        uint32_t part = slice->length - end->send_offset;

        if (part > length) part = length;
        if (part > 0) memcpy(to, slice->data + end->send_offset, part);
        to += part;
        length -= part;
        end->send_offset += part;
        end->send_done += part;
        if (end->send_offset == slice->length && end->send_slice + 1 < end->send->slice_count) {
            end->send_slice++;
            end->send_offset = 0;
        }
    }
}

static enum sim_pieces pipe_pieces(const struct sim_pipe *pipe, const struct sim_link *link)
{
    return link->has_pieces ? link->pieces : pipe->conn->pieces;
}

static uint32_t pipe_capacity(const struct sim_pipe *pipe, const struct sim_link *link)
{
    return link->buffer > 0 && link->buffer < pipe->capacity ? link->buffer : pipe->capacity;
}

/* Takes as many bytes as the buffer holds; completes the send when that was all. */
static void end_push(struct sim_end *end)
{
    struct sim_pipe *pipe = end_outgoing(end);
    const struct sim_link *link = net_link(end->conn->sim, end->node, pipe_receiver(pipe)->node);

    while (end->send != NULL && end->state == END_OPEN) {
        uint32_t left = send_next(end);
        uint32_t capacity = pipe_capacity(pipe, link);
        uint32_t room = capacity > pipe->bytes ? capacity - pipe->bytes : 0;
        struct sim_segment *segment;
        bool range;

        if (left == 0) {
            struct net_send *send = end->send;

            end->send = NULL;
            sim_node_complete(end->node, &send->req, SIM_KIND_SEND, ERR_NONE, end->send_done);
            return;
        }
        if (left > room && capacity < pipe->capacity) {
            sim_fault_hit(end->conn->sim, SIM_FAULT_SMALL_BUFFERS);
        }
        if (room == 0) return;
        if (left > room) left = room;
        range = slice_is_range(&end->send->slices[end->send_slice]);
        if (range) left = send_range_left(end, left);
        if (left == 0) {
            struct net_send *send = end->send;

            end->send = NULL;
            sim_node_complete(end->node, &send->req, SIM_KIND_SEND, ERR_EOF, end->send_done);
            return;
        }
        segment = net_segment_create(
            SEGMENT_DATA,
            piece_length(end->conn, end->side, pipe_pieces(pipe, link), end->send_done, left));
        if (segment->length < left && link->has_pieces) {
            sim_fault_hit(end->conn->sim, SIM_FAULT_SEGMENT);
        }
        if (range) {
            send_refer(end, segment);
        } else {
            send_copy(end, segment->data, segment->length);
        }
        pipe->bytes += segment->length;
        net_launch(pipe, segment);
    }
}

static void pipe_space(struct sim_event *event)
{
    struct sim_pipe *pipe = CONTAINER_OF(event, struct sim_pipe, space);
    struct sim_conn *conn = pipe->conn;
    const struct sim_link *back = net_link(conn->sim, pipe_receiver(pipe)->node, pipe_sender(pipe));

    if (conn->blackholed || net_link_cut(back)) return; /* again when it is mended */
    if (conn->sim->now_ns < back->clog_until_ns) {
        sim_schedule(conn->sim, event, back->clog_until_ns);
        return;
    }
    end_push(&conn->end[pipe->side]);
}

static void pipe_consumed(struct sim_pipe *pipe, uint32_t length)
{
    ASSERT(pipe->bytes >= length);
    pipe->bytes -= length;
    if (length == 0 || pipe->conn->end[pipe->side].send == NULL) return;
    if (sim_scheduled(&pipe->space)) return;
    sim_schedule(pipe->conn->sim, &pipe->space,
                 pipe->conn->sim->now_ns + pipe->conn->pipe[1 - pipe->side].base_ns);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void recv_complete(struct sim_end *end, enum err result, uint64_t digest)
{
    struct net_recv *recv = end->recv;

    end->recv = NULL;
    sim_node_complete(end->node, &recv->req, SIM_KIND_RECV, result, digest);
}

static void recv_charge(struct sim_end *end, uint32_t length)
{
    sim_node_charge(end->node, (int64_t)length * end->node->config.costs.ps_per_byte / 1000);
}

static void recv_into(struct sim_end *end)
{
    struct sim_pipe *pipe = end_incoming(end);
    struct net_recv *recv = end->recv;

    while (recv->done < recv->want && !list_empty(&pipe->arrived)) {
        struct sim_segment *segment = LIST_ENTRY(pipe->arrived.next, struct sim_segment, link);
        uint32_t part = segment->length - segment->from;

        if (part > recv->want - recv->done) part = recv->want - recv->done;
        net_segment_bind(segment);
        memcpy(recv->into + recv->done, segment->data + segment->from, part);
        recv->done += part;
        segment->from += part;
        if (segment->from == segment->length) {
            list_remove(&segment->link);
            net_segment_free(segment);
        }
        recv_charge(end, part);
        pipe_consumed(pipe, part);
    }
    if (recv->done == recv->want) {
        recv_complete(end, ERR_NONE, sim_digest(end->conn->id, recv->into, recv->done));
    } else if (end->eof) {
        recv_complete(end, ERR_EOF, recv->done);
    }
}

/* Several pieces that wait are sometimes read as one, as a socket would give them. */
static struct sim_segment *recv_coalesce(struct sim_conn *conn, struct sim_pipe *pipe)
{
    struct sim_segment *first = LIST_ENTRY(pipe->arrived.next, struct sim_segment, link);
    struct sim_segment *all;
    uint32_t total = 0;

    if (pipe->arrived.next == pipe->arrived.prev ||
        !decide_chance(conn->sim, net_site(DECIDE_NET_COALESCE, conn, pipe->side),
                       RNG_MILLION / 2)) {
        list_remove(&first->link);
        return first;
    }
    LIST_FOR_EACH (link, &pipe->arrived) {
        const struct sim_segment *segment = LIST_ENTRY(link, struct sim_segment, link);

        if (total > 0 && total + segment->length - segment->from > COALESCE_MAX) break;
        total += segment->length - segment->from;
    }
    all = net_segment_create(SEGMENT_DATA, total);
    for (uint32_t at = 0; at < total;) {
        struct sim_segment *segment = LIST_ENTRY(pipe->arrived.next, struct sim_segment, link);

        net_segment_bind(segment);
        memcpy(all->data + at, segment->data + segment->from, segment->length - segment->from);
        at += segment->length - segment->from;
        list_remove(&segment->link);
        free(segment);
    }
    return all;
}

static void recv_loan(struct sim_end *end)
{
    struct sim_pipe *pipe = end_incoming(end);
    struct net_recv *recv = end->recv;
    struct sim_segment *segment;

    if (list_empty(&pipe->arrived)) {
        if (end->eof) recv_complete(end, ERR_EOF, 0);
        return;
    }
    segment = recv_coalesce(end->conn, pipe);
    net_segment_bind(segment);
    recv->loan = (struct net_loan){.data = segment->data + segment->from,
                                   .length = segment->length - segment->from,
                                   .chunk = segment};
    list_push(&end->node->net.loans, &segment->link);
    recv_charge(end, recv->loan.length);
    pipe_consumed(pipe, recv->loan.length);
    recv_complete(end, ERR_NONE, sim_digest(end->conn->id, recv->loan.data, recv->loan.length));
}

static void end_progress(struct sim_end *end)
{
    if (end->recv == NULL) return;
    if (end->state == END_BROKEN) {
        recv_complete(end, end->broken, end->recv->done);
    } else if (end->recv->into != NULL) {
        recv_into(end);
    } else {
        recv_loan(end);
    }
}

/* ---- arrival --------------------------------------------------------------------------------- */

static void pipe_arrived(struct sim_pipe *pipe, struct sim_segment *segment)
{
    struct sim_end *to = pipe_receiver(pipe);

    switch (segment->kind) {
    case SEGMENT_DATA:
        if (to->state == END_OPEN) {
            list_push(&pipe->arrived, &segment->link);
            return;
        }
        pipe_consumed(pipe, segment->length);
        net_end_rst(to); /* nobody has this connection any more */
        break;
    case SEGMENT_FIN:
        if (to->state == END_OPEN) to->eof = true;
        break;
    case SEGMENT_RST: net_end_break(to, ERR_CONNECTION_RESET); break;
    }
    net_segment_free(segment);
}

/* The sender gives up when nothing is acknowledged for so long (N11). */
static void end_arm_limit(struct sim_end *end)
{
    int64_t limit = end->conn->sim->config.net.retransmit_limit_ns;

    if (limit == 0 || end->state != END_OPEN || sim_scheduled(&end->limit)) return;
    sim_schedule(end->conn->sim, &end->limit, end->conn->sim->now_ns + limit);
}

static void end_limit(struct sim_event *event)
{
    struct sim_end *end = CONTAINER_OF(event, struct sim_end, limit);

    net_end_break(end, ERR_TIMED_OUT);
}

static bool pipe_blocked(struct sim_pipe *pipe, const struct sim_link *link)
{
    return pipe->conn->blackholed || net_link_cut(link) ||
           (pipe_receiver(pipe)->dead && !pipe_receiver(pipe)->node->powered);
}

void net_pipe_pump(struct sim_pipe *pipe)
{
    struct sim_conn *conn = pipe->conn;
    struct sim *sim = conn->sim;
    struct sim_end *to = pipe_receiver(pipe);
    const struct sim_link *link = net_link(sim, pipe_sender(pipe), to->node);
    bool moved = pipe->silent;

    pipe->stalled = false;
    pipe->silent = false;
    while (!list_empty(&pipe->flight)) {
        struct sim_segment *head = LIST_ENTRY(pipe->flight.next, struct sim_segment, link);
        int64_t due = head->ready_ns;

        if (head->hold != NULL && !head->hold->released) break;
        if (due < link->clog_until_ns) due = link->clog_until_ns;
        if (due > sim->now_ns) {
            sim_schedule(sim, &pipe->arrive, due);
            break;
        }
        if (pipe_blocked(pipe, link) && head->kind != SEGMENT_RST) {
            pipe->stalled = true;
            break;
        }
        list_remove(&head->link);
        if (head->kind == SEGMENT_RST && pipe_blocked(pipe, link)) {
            free(head); /* a reset is sent once; when it is lost, the peer learns by sending */
            continue;
        }
        moved = moved || head->kind == SEGMENT_DATA;
        pipe_arrived(pipe, head);
    }
    pipe->silent =
        moved && (conn->blackholed || net_link_cut(net_link(sim, to->node, pipe_sender(pipe))));
    if (pipe->stalled || pipe->silent) {
        end_arm_limit(&conn->end[pipe->side]);
    } else {
        sim_unschedule(sim, &conn->end[pipe->side].limit);
    }
    end_progress(to);
}

static void pipe_arrive(struct sim_event *event)
{
    net_pipe_pump(CONTAINER_OF(event, struct sim_pipe, arrive));
}

/* ---- endings --------------------------------------------------------------------------------- */

/* In half of the cases the reset overtakes bytes under way, which the receiver then never sees. */
void net_end_rst(struct sim_end *end)
{
    struct sim_pipe *pipe = end_outgoing(end);
    struct sim_segment *segment;
    struct list *place;

    if (pipe_receiver(pipe)->state != END_OPEN) return;
    segment = net_segment_create(SEGMENT_RST, 0);
    if (!decide_chance(end->conn->sim, net_site(DECIDE_NET_OVERTAKE, end->conn, end->side),
                       RNG_MILLION / 2) ||
        net_held(pipe)) {
        net_pipe_put(pipe, segment);
        return;
    }
    segment->ready_ns = sim_node_issue_ns(end->node) + pipe->base_ns;
    place = pipe->flight.next;
    while (place != &pipe->flight &&
           LIST_ENTRY(place, struct sim_segment, link)->ready_ns <= segment->ready_ns) {
        place = place->next;
    }
    list_push(place, &segment->link);
    if (pipe->flight.next == &segment->link) {
        sim_schedule(end->conn->sim, &pipe->arrive, segment->ready_ns);
    }
}

/* Unread bytes are discarded; everything outstanding on this side is told. */
void net_end_break(struct sim_end *end, enum err error)
{
    if (end->state != END_OPEN) return;
    end->state = END_BROKEN;
    end->broken = error;
    sim_unschedule(end->conn->sim, &end->limit);
    net_segments_free(&end_incoming(end)->arrived);
    end_incoming(end)->bytes = 0;
    LIST_FOR_EACH (link, &end_incoming(end)->flight) {
        end_incoming(end)->bytes += LIST_ENTRY(link, struct sim_segment, link)->length;
    }
    if (end->recv != NULL) recv_complete(end, error, end->recv->done);
    if (end->send != NULL) {
        struct net_send *send = end->send;

        end->send = NULL;
        sim_node_complete(end->node, &send->req, SIM_KIND_SEND, error, end->send_done);
    }
    if (end->user != NULL) {
        sim_node_complete(end->node, &end->user->gone, SIM_KIND_GONE, error, end->conn->id);
    }
}

/* ---- beginnings ------------------------------------------------------------------------------ */

void net_pipe_init(struct sim_pipe *pipe, struct sim_conn *conn, uint32_t side)
{
    pipe->conn = conn;
    pipe->side = side;
    sim_event_init(&pipe->arrive, pipe_arrive);
    sim_event_init(&pipe->space, pipe_space);
    list_init(&pipe->flight);
    list_init(&pipe->arrived);
}

void net_end_init(struct sim_end *end, struct sim_conn *conn, uint32_t side)
{
    end->conn = conn;
    end->side = side;
    sim_event_init(&end->limit, end_limit);
    list_init(&end->node_link);
    list_init(&end->backlog);
}

/* ---- the door -------------------------------------------------------------------------------- */

static struct sim_end *end_of(struct sim_world *node, const struct net_conn *conn)
{
    const struct sim_net *net = node->sim->net;
    struct sim_end *end;

    ASSERT(conn->handle != 0 && conn->handle <= net->handle_count);
    end = net->handles[conn->handle];
    ASSERT(end != NULL && end->node == node && end->user == conn);
    return end;
}

void sim_net_recv(struct world *world, struct net_recv *recv)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_end *end;

    if (!sim_node_admit(node, &recv->req)) return;
    end = end_of(node, recv->conn);
    ASSERT(end->recv == NULL);
    sim_node_charge(node, node->config.costs.submit_ns);
    recv->done = 0;
    recv->loan = (struct net_loan){0};
    end->recv = recv;
    end_progress(end);
}

void sim_net_release(struct world *world, struct net_loan *loan)
{
    struct sim_segment *segment = loan->chunk;

    if (!sim_world_of(world)->up) return;
    ASSERT(segment != NULL);
    *loan = (struct net_loan){0};
    list_remove(&segment->link);
    free(segment);
}

void sim_net_send(struct world *world, struct net_send *send)
{
    struct sim_world *node = sim_world_of(world);
    const struct sim_costs *costs = &node->config.costs;
    struct sim_end *end;
    uint64_t total = 0;

    if (!sim_node_admit(node, &send->req)) return;
    end = end_of(node, send->conn);
    ASSERT(end->send == NULL);
    ASSERT(send->slice_count <= NET_SLICES_MAX);
    if (end->state == END_BROKEN) {
        sim_node_complete(node, &send->req, SIM_KIND_SEND, end->broken, 0);
        return;
    }
    for (uint32_t i = 0; i < send->slice_count; i++)
        total += send->slices[i].length;
    sim_node_charge(node, costs->send_ns + (int64_t)total * costs->ps_per_byte / 1000);
    if (total == 0) {
        sim_node_complete(node, &send->req, SIM_KIND_SEND, ERR_NONE, 0);
        return;
    }
    end->send = send;
    end->send_slice = 0;
    end->send_offset = 0;
    end->send_range = 0;
    end->send_done = 0;
    send->range_misses = 0;
    end_push(end);
}

/* A receive that completed in this turn but was not delivered yet is outstanding in the eyes of
 * the node: it is withdrawn as well (W4). */
static void close_withdraw(struct list *head, struct net_conn *conn)
{
    LIST_FOR_EACH (link, head) {
        struct world_req *req = LIST_ENTRY(link, struct world_req, link);
        struct net_recv *recv;

        if (sim_req_kind(req) != SIM_KIND_RECV) continue;
        recv = CONTAINER_OF(req, struct net_recv, req);
        if (recv->conn != conn) continue;
        if (recv->loan.chunk != NULL) {
            struct sim_segment *segment = recv->loan.chunk;

            list_remove(&segment->link);
            free(segment);
            recv->loan = (struct net_loan){0};
        }
        req->result = ERR_CANCELED;
    }
}

void sim_net_close(struct world *world, struct net_conn *conn)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_end *end;

    if (!sim_node_admit(node, &conn->closed)) return;
    end = end_of(node, conn);
    sim_node_charge(node, node->config.costs.submit_ns);
    close_withdraw(&node->inbox, conn);
    close_withdraw(&node->turn, conn);
    if (end->recv != NULL) recv_complete(end, ERR_CANCELED, 0);
    if (end->send != NULL) {
        struct net_send *send = end->send;

        end->send = NULL;
        sim_node_complete(node, &send->req, SIM_KIND_SEND, ERR_CANCELED, 0);
    }
    if (end->state == END_OPEN) {
        sim_node_complete(node, &conn->gone, SIM_KIND_GONE, ERR_CANCELED, conn->id);
        /* As Linux does: bytes nobody read make the close a reset. */
        if (!list_empty(&end_incoming(end)->arrived)) {
            net_end_rst(end);
        } else {
            net_pipe_put(end_outgoing(end), net_segment_create(SEGMENT_FIN, 0));
        }
    }
    sim_node_complete(node, &conn->closed, SIM_KIND_CLOSED, ERR_NONE, conn->id);
    net_end_detach(end);
}
