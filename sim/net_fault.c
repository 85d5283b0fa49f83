/* Faults of the network that know frames, and those that take time.
 *
 * Bytes that leave an end pass net_launch(): it follows the frames of the connection (end 0 asks,
 * end 1 answers; a response is known by its correlation id), and stops, breaks or damages what a
 * fault waits for. A held segment stops its pipe: everything behind it waits as well, as it would
 * in one TCP connection, and nothing about the connection tells that it does. */
#include "sim/disk.h"
#include "sim/disk_image.h"
#include "sim/fault.h"
#include "sim/net_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- frames ---------------------------------------------------------------------------------- */

enum { FRAME_MAX = 256 << 20, REQUEST_HEAD = 12, RESPONSE_HEAD = 8 };

static int32_t int_at(const uint8_t *data)
{
    return (int32_t)((uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 |
                     data[3]);
}

static int16_t request_api(const struct sim_frames *frames)
{
    return (int16_t)((uint16_t)frames->head[4] << 8 | frames->head[5]);
}

static struct sim_hold *hold_for(struct sim_pipe *pipe, int16_t api)
{
    struct sim_net *net = pipe->conn->sim->net;
    uint32_t asking = pipe->conn->end[0].node->index;
    uint32_t asked = pipe->conn->end[1].node->index;

    if (net->holding == 0) return NULL;
    LIST_FOR_EACH (link, &net->holds) {
        struct sim_hold *hold = LIST_ENTRY(link, struct sim_hold, link);

        if (hold->released || hold->asking != asking || hold->asked != asked) continue;
        if (hold->response != (pipe->side == 1)) continue;
        if (hold->api >= 0 && hold->api != api) continue;
        if (hold->held > 0 && !hold->every) continue;
        return hold;
    }
    return NULL;
}

/* A whole head stands: who it is. */
static struct sim_hold *frame_begins(struct sim_pipe *pipe)
{
    struct sim_conn *conn = pipe->conn;
    const struct sim_frames *frames = &pipe->frames;
    int32_t correlation = int_at(frames->head + (pipe->side == 0 ? 8 : 4));
    uint32_t slot = (uint32_t)correlation % CALLS_MAX;
    int16_t api;

    if (pipe->side == 0) {
        api = request_api(frames);
        conn->calls[slot].correlation = correlation;
        conn->calls[slot].api = api;
        conn->asked++;
    } else {
        api = conn->calls[slot].correlation == correlation ? conn->calls[slot].api : -1;
        conn->answered++;
    }
    return hold_for(pipe, api);
}

/* Follows the frames through a segment; where in it the first frame begins that is to be held. */
static uint32_t frames_scan(struct sim_pipe *pipe, const struct sim_segment *segment,
                            struct sim_hold **hold)
{
    struct sim_frames *frames = &pipe->frames;
    uint32_t head = pipe->side == 0 ? REQUEST_HEAD : RESPONSE_HEAD;
    uint32_t begins = 0; /* of the present frame, in this segment */
    uint32_t held_at = segment->length;

    for (uint32_t at = 0; at < segment->length && !frames->lost;) {
        if (frames->have == head) { /* within the body */
            uint32_t part = segment->length - at;

            if (part > frames->left) part = frames->left;
            frames->left -= part;
            at += part;
            if (frames->left == 0) frames->have = 0;
            continue;
        }
        if (frames->have == 0) begins = at;
        frames->head[frames->have++] = segment->data[at++];
        if (frames->have == 4) {
            int32_t length = int_at(frames->head);

            frames->lost = length < (int32_t)head - 4 || length > FRAME_MAX;
            frames->left = (uint32_t)length - (head - 4);
        }
        if (frames->have == head) {
            struct sim_hold *found = frame_begins(pipe);

            if (found != NULL && *hold == NULL) {
                *hold = found;
                held_at = begins;
            }
            if (frames->left == 0) frames->have = 0;
        }
    }
    return held_at;
}

/* ---- bytes that leave ------------------------------------------------------------------------ */

static struct sim_segment *segment_split(struct sim_segment *segment, uint32_t at)
{
    struct sim_segment *rest = net_segment_create(SEGMENT_DATA, segment->length - at);

    memcpy(rest->data, segment->data + at, rest->length);
    if (segment->inode != NULL) {
        rest->inode = segment->inode;
        rest->image = segment->image;
        rest->offset = segment->offset + at;
        sim_image_pin(rest->inode);
    }
    segment->length = at;
    return rest;
}

static void corrupt(struct sim_pipe *pipe, struct sim_link *link, struct sim_segment *segment)
{
    struct decide_site site = net_site(DECIDE_NET_CORRUPT, pipe->conn, pipe->side);
    uint64_t at = decide_below(pipe->conn->sim, site, segment->length);
    uint64_t bit = decide_below(pipe->conn->sim, site, 8);

    net_segment_bind(segment);
    segment->data[at] ^= (uint8_t)(1u << bit);
    link->corrupt--;
    sim_fault_hit(pipe->conn->sim, SIM_FAULT_CORRUPT);
}

/* Half of the bytes have gone, or none of an answer; both sides learn of it. */
static bool broken_here(struct sim_pipe *pipe, struct sim_segment *segment)
{
    struct sim_conn *conn = pipe->conn;
    struct sim *sim = conn->sim;
    struct sim_link *out = net_link(sim, conn->end[0].node, conn->end[1].node);
    bool middle = pipe->side == 0 && out->reset_moment == SIM_MOMENT_MID_FRAME;
    bool after = pipe->side == 1 && out->reset_moment == SIM_MOMENT_AFTER_REQUEST;
    struct sim_end *end = &conn->end[pipe->side];

    if ((!middle && !after) || (middle && segment->length < 2)) return false;
    out->reset_moment = SIM_MOMENT_NOW;
    sim_fault_hit(sim, SIM_FAULT_RESET);
    if (middle) {
        pipe->bytes -= segment->length - segment->length / 2;
        segment->length /= 2;
        net_pipe_put(pipe, segment);
    } else {
        pipe->bytes -= segment->length;
        net_segment_free(segment);
    }
    net_pipe_put(pipe, net_segment_create(SEGMENT_RST, 0));
    net_end_break(end, ERR_CONNECTION_RESET);
    return true;
}

void net_launch(struct sim_pipe *pipe, struct sim_segment *segment)
{
    struct sim_conn *conn = pipe->conn;
    struct sim *sim = conn->sim;
    struct sim_link *link =
        net_link(sim, conn->end[pipe->side].node, conn->end[1 - pipe->side].node);
    struct sim_hold *hold = NULL;
    uint32_t held_at = frames_scan(pipe, segment, &hold);

    if (broken_here(pipe, segment)) return;
    if (link->corrupt > 0) corrupt(pipe, link, segment);
    if (hold != NULL) {
        struct sim_segment *held = held_at > 0 ? segment_split(segment, held_at) : segment;

        if (held != segment) net_pipe_put(pipe, segment);
        held->hold = hold;
        hold->held++;
        segment = held;
    }
    net_pipe_put(pipe, segment);
}

bool net_held(const struct sim_pipe *pipe)
{
    LIST_FOR_EACH (link, &pipe->flight) {
        const struct sim_segment *segment = LIST_ENTRY(link, struct sim_segment, link);

        if (segment->hold != NULL && !segment->hold->released) return true;
    }
    return false;
}

struct sim_hold *sim_net_hold(struct sim *sim, const struct sim_hold *what)
{
    struct sim_hold *hold = sim_alloc(sizeof *hold);

    *hold = *what;
    list_init(&hold->link);
    list_push(&sim->net->holds, &hold->link);
    sim->net->holding++;
    return hold;
}

/* The end of the connection that stood behind a held message comes after it, not with it: the
 * message is read before what is unread is discarded. */
static void ends_later(struct sim *sim, const struct sim_hold *hold)
{
    LIST_FOR_EACH (at, &sim->net->conns) {
        struct sim_conn *conn = LIST_ENTRY(at, struct sim_conn, link);
        struct sim_pipe *pipe = &conn->pipe[hold->response ? 1 : 0];
        bool behind = false;

        LIST_FOR_EACH (link, &pipe->flight) {
            struct sim_segment *segment = LIST_ENTRY(link, struct sim_segment, link);

            behind = behind || segment->hold == hold;
            if (behind && segment->kind != SEGMENT_DATA) {
                segment->ready_ns = sim->now_ns + NS_PER_MS;
            }
        }
    }
}

void sim_net_let_go(struct sim *sim, struct sim_hold *hold)
{
    if (hold->released) return;
    hold->released = true;
    sim->net->holding--;
    ends_later(sim, hold);
    net_revive(sim, hold->asking, hold->asked);
}

/* ---- what becomes of connections ------------------------------------------------------------- */

static bool conn_idle(const struct sim_conn *conn)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct sim_pipe *pipe = &conn->pipe[i];

        if (pipe->bytes > 0 || !list_empty(&pipe->flight) || pipe->frames.have > 0) return false;
        if (conn->end[i].state != END_OPEN) return false;
    }
    return conn->asked == conn->answered;
}

void sim_net_reset_at(struct sim *sim, uint32_t first, uint32_t second, enum sim_moment moment)
{
    struct sim_link *link = net_link(sim, sim->nodes[first], sim->nodes[second]);

    if (moment == SIM_MOMENT_MID_FRAME || moment == SIM_MOMENT_AFTER_REQUEST) {
        link->reset_moment = moment;
        return;
    }
    LIST_FOR_EACH (at, &sim->net->conns) {
        struct sim_conn *conn = LIST_ENTRY(at, struct sim_conn, link);

        if (net_pipe_between(conn, first, second) == 2) continue;
        if (moment == SIM_MOMENT_IDLE && !conn_idle(conn)) continue;
        net_end_break(&conn->end[0], ERR_CONNECTION_RESET);
        net_end_break(&conn->end[1], ERR_CONNECTION_RESET);
        sim_fault_hit(sim, SIM_FAULT_RESET);
    }
}

uint32_t sim_net_half_open(struct sim *sim, uint32_t first, uint32_t second)
{
    uint32_t count = 0;

    LIST_FOR_EACH (at, &sim->net->conns) {
        struct sim_conn *conn = LIST_ENTRY(at, struct sim_conn, link);

        if (net_pipe_between(conn, first, second) == 2 || conn->blackholed) continue;
        conn->blackholed = true;
        count++;
    }
    return count;
}

/* ---- what a link does to bytes --------------------------------------------------------------- */

void sim_net_segment(struct sim *sim, uint32_t from, uint32_t to, enum sim_pieces pieces)
{
    struct sim_link *link = net_link(sim, sim->nodes[from], sim->nodes[to]);

    link->has_pieces = pieces != SIM_PIECES_STYLES;
    link->pieces = pieces;
}

void sim_net_small_buffers(struct sim *sim, uint32_t from, uint32_t to, uint32_t bytes)
{
    net_link(sim, sim->nodes[from], sim->nodes[to])->buffer = bytes;
    if (bytes == 0) net_revive(sim, from, to);
}

void sim_net_corrupt(struct sim *sim, uint32_t from, uint32_t to, uint32_t count)
{
    net_link(sim, sim->nodes[from], sim->nodes[to])->corrupt = count;
}

/* ---- what takes time ------------------------------------------------------------------------- */

static void plan_free(struct net_plan *plan)
{
    sim_unschedule(plan->sim, &plan->event);
    list_remove(&plan->link);
    free(plan);
}

static void plan_fire(struct sim_event *event)
{
    struct net_plan *plan = CONTAINER_OF(event, struct net_plan, event);
    struct sim *sim = plan->sim;
    struct decide_site site = {DECIDE_NET_CLOG, sim->nodes[plan->from]->id,
                               (uint64_t)sim->nodes[plan->to]->id, 0};
    int64_t hold;
    int64_t gap;

    if (plan->hold_ns == 0) {
        sim_net_clog(sim, plan->from, plan->to, plan->until_ns);
        sim_fault_hit(sim, SIM_FAULT_SWIZZLE);
        plan_free(plan);
        return;
    }
    if (sim->now_ns >= plan->until_ns) {
        plan_free(plan);
        return;
    }
    hold = decide_range(sim, site, 1, plan->hold_ns);
    gap = decide_range(sim, site, 1, 2 * plan->gap_ns + 1);
    sim_net_clog(sim, plan->from, plan->to, sim->now_ns + hold);
    sim_fault_hit(sim, SIM_FAULT_FLAKY);
    sim_schedule(sim, event, sim->now_ns + hold + gap);
}

static struct net_plan *plan_create(struct sim *sim, uint32_t from, uint32_t to, int64_t at_ns,
                                    int64_t until_ns)
{
    struct net_plan *plan = sim_alloc(sizeof *plan);

    sim_event_init(&plan->event, plan_fire);
    list_init(&plan->link);
    list_push(&sim->net->plans, &plan->link);
    plan->sim = sim;
    plan->from = from;
    plan->to = to;
    plan->until_ns = until_ns;
    sim_schedule(sim, &plan->event, at_ns);
    return plan;
}

void sim_net_clog_later(struct sim *sim, uint32_t from, uint32_t to, int64_t from_ns,
                        int64_t until_ns)
{
    (void)plan_create(sim, from, to, from_ns, until_ns);
}

void sim_net_flaky(struct sim *sim, uint32_t from, uint32_t to, int64_t hold_ns, int64_t gap_ns,
                   int64_t until_ns)
{
    struct net_plan *plan = plan_create(sim, from, to, sim->now_ns, until_ns);

    plan->hold_ns = hold_ns > 0 ? hold_ns : 1;
    plan->gap_ns = gap_ns;
}

void net_plans_drop(struct sim_net *net, uint32_t from, uint32_t to)
{
    LIST_FOR_EACH_SAFE (link, after, &net->plans) {
        struct net_plan *plan = LIST_ENTRY(link, struct net_plan, link);

        if (plan->from == from && plan->to == to) plan_free(plan);
    }
}
