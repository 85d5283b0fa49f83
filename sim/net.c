/* The network as a whole: links between machines, what cuts and slows them, crash and return of a
 * machine. Pipes are in net_pipe.c, the way to a connection in net_connect.c. */
#include "sim/net.h"

#include "sim/net_private.h"

#include <stdlib.h>
#include <string.h>

struct sim_net_config sim_net_config_default(void)
{
    return (struct sim_net_config){
        .latency_min_ns = 100000,
        .latency_max_ns = 300000,
        .jitter_ns = 30000,
        .bytes_per_us = 1000,
        .buffer_min = 256 * 1024,
        .buffer_max = 4 * 1024 * 1024,
        .pieces_per_million = 200000,
        .retransmit_limit_ns = 15 * NS_PER_SEC,
        .connect_limit_ns = 20 * NS_PER_SEC,
        .backlog_max = 128,
    };
}

struct sim_net *sim_net_create(struct sim *sim)
{
    struct sim_net *net = sim_alloc(sizeof *net);
    size_t nodes = sim->config.nodes_max;

    net->sim = sim;
    net->next_id = 1;
    list_init(&net->conns);
    list_init(&net->holds);
    list_init(&net->plans);
    net->links = sim_alloc(nodes * nodes * sizeof *net->links);
    return net;
}

void sim_net_node_init(struct sim_world *node)
{
    list_init(&node->net.ends);
    list_init(&node->net.listeners);
    list_init(&node->net.connects);
    list_init(&node->net.loans);
    node->net.next_port = 32768;
}

void sim_net_node_free(struct sim_world *node)
{
    while (!list_empty(&node->net.listeners)) {
        free(LIST_ENTRY(list_pop(&node->net.listeners), struct sim_listener, link));
    }
    while (!list_empty(&node->net.connects)) {
        free(LIST_ENTRY(list_pop(&node->net.connects), struct sim_connect, link));
    }
    while (!list_empty(&node->net.loans)) {
        free(LIST_ENTRY(list_pop(&node->net.loans), struct sim_segment, link));
    }
}

void sim_net_destroy(struct sim_net *net)
{
    while (!list_empty(&net->conns)) {
        net_conn_free(LIST_ENTRY(net->conns.next, struct sim_conn, link));
    }
    while (!list_empty(&net->holds)) {
        free(LIST_ENTRY(list_pop(&net->holds), struct sim_hold, link));
    }
    while (!list_empty(&net->plans)) {
        free(LIST_ENTRY(list_pop(&net->plans), struct net_plan, link));
    }
    free(net->links);
    free(net->handles);
    free(net->free_handles);
    free(net->aliases);
    free(net);
}

bool sim_net_node_idle(const struct sim_world *node)
{
    return list_empty(&node->net.ends) && list_empty(&node->net.listeners) &&
           list_empty(&node->net.connects) && list_empty(&node->net.loans) &&
           node->net.conn_count == 0;
}

static uint32_t net_count(const struct list *head)
{
    uint32_t count = 0;

    LIST_FOR_EACH (link, head)
        count++;
    return count;
}

uint32_t sim_net_held(const struct sim_world *node)
{
    uint32_t held = net_count(&node->net.listeners);

    held += net_count(&node->net.connects);
    held += net_count(&node->net.loans);
    return held + node->net.conn_count;
}

/* ---- links ----------------------------------------------------------------------------------- */

struct sim_link *net_link(const struct sim *sim, const struct sim_world *from,
                          const struct sim_world *to)
{
    return &sim->net->links[(size_t)from->index * sim->config.nodes_max + to->index];
}

bool net_link_cut(const struct sim_link *link)
{
    for (uint32_t i = 0; i < SIM_CUT_STYLES; i++) {
        if (link->cuts[i] > 0) return true;
    }
    return false;
}

/* Which pipe of a connection runs from one node to the other; 2: none. */
uint32_t net_pipe_between(const struct sim_conn *conn, uint32_t from, uint32_t to)
{
    if (conn->end[0].node->index == from && conn->end[1].node->index == to) return 0;
    if (conn->end[1].node->index == from && conn->end[0].node->index == to) return 1;
    return 2;
}

static bool net_conn_between(const struct sim_conn *conn, uint32_t first, uint32_t second)
{
    return net_pipe_between(conn, first, second) < 2;
}

uint32_t sim_net_cut(struct sim *sim, uint32_t from, uint32_t to, enum sim_cut style)
{
    uint32_t hit = 0;

    ASSERT(from < sim->node_count && to < sim->node_count && style < SIM_CUT_STYLES);
    net_link(sim, sim->nodes[from], sim->nodes[to])->cuts[style]++;
    LIST_FOR_EACH (link, &sim->net->conns) {
        struct sim_conn *conn = LIST_ENTRY(link, struct sim_conn, link);

        if (net_pipe_between(conn, from, to) == 2) continue;
        hit++;
        switch (style) {
        case SIM_CUT_HOLD: break;
        case SIM_CUT_BLACKHOLE: conn->blackholed = true; break;
        case SIM_CUT_RESET:
            net_end_break(&conn->end[0], ERR_CONNECTION_RESET);
            net_end_break(&conn->end[1], ERR_CONNECTION_RESET);
            break;
        case SIM_CUT_STYLES: IMPOSSIBLE("a count, not a style");
        }
    }
    return hit;
}

/* What was held moves again. A pump never frees a connection, so the list stands still. */
void net_revive(struct sim *sim, uint32_t from, uint32_t to)
{
    LIST_FOR_EACH (link, &sim->net->conns) {
        struct sim_conn *conn = LIST_ENTRY(link, struct sim_conn, link);

        if (!net_conn_between(conn, from, to)) continue;
        for (uint32_t i = 0; i < 2; i++) {
            if (!list_empty(&conn->pipe[i].flight) || conn->pipe[i].silent) {
                sim_schedule(sim, &conn->pipe[i].arrive, sim->now_ns);
            }
            if (conn->end[i].send != NULL) {
                sim_schedule(sim, &conn->pipe[i].space, sim->now_ns + conn->pipe[1 - i].base_ns);
            }
        }
    }
}

void sim_net_mend(struct sim *sim, uint32_t from, uint32_t to, enum sim_cut style)
{
    struct sim_link *mended = net_link(sim, sim->nodes[from], sim->nodes[to]);

    ASSERT(mended->cuts[style] > 0);
    mended->cuts[style]--;
    if (!net_link_cut(mended)) net_revive(sim, from, to);
}

bool sim_net_mend_all(struct sim *sim, uint32_t from, uint32_t to)
{
    struct sim_link *mended = net_link(sim, sim->nodes[from], sim->nodes[to]);
    bool any = net_link_cut(mended) || mended->clog_until_ns > sim->now_ns ||
               mended->extra_ns > 0 || mended->bytes_per_ms > 0 || mended->buffer > 0 ||
               mended->has_pieces;

    *mended = (struct sim_link){0};
    net_plans_drop(sim->net, from, to);
    LIST_FOR_EACH (link, &sim->net->holds) {
        struct sim_hold *hold = LIST_ENTRY(link, struct sim_hold, link);
        bool this_way = hold->response ? hold->asked == from && hold->asking == to
                                       : hold->asking == from && hold->asked == to;

        if (!this_way || hold->released) continue;
        sim_net_let_go(sim, hold);
        any = true;
    }
    if (any) net_revive(sim, from, to);
    return any;
}

bool sim_net_is_cut(const struct sim *sim, uint32_t from, uint32_t to)
{
    return net_link_cut(net_link(sim, sim->nodes[from], sim->nodes[to]));
}

void sim_net_clog(struct sim *sim, uint32_t from, uint32_t to, int64_t until_ns)
{
    struct sim_link *link = net_link(sim, sim->nodes[from], sim->nodes[to]);

    /* Pipes look when their head is due, and come back at that time. */
    if (until_ns > link->clog_until_ns) link->clog_until_ns = until_ns;
}

void sim_net_slow(struct sim *sim, uint32_t from, uint32_t to, int64_t extra_ns,
                  int64_t bytes_per_ms)
{
    struct sim_link *link = net_link(sim, sim->nodes[from], sim->nodes[to]);

    ASSERT(extra_ns >= 0 && bytes_per_ms >= 0);
    link->extra_ns = extra_ns;
    link->bytes_per_ms = bytes_per_ms;
}

uint32_t sim_net_reset(struct sim *sim, uint32_t first, uint32_t second, enum sim_notice notice)
{
    uint32_t count = 0;

    LIST_FOR_EACH (link, &sim->net->conns) {
        struct sim_conn *conn = LIST_ENTRY(link, struct sim_conn, link);
        uint32_t side = net_pipe_between(conn, first, second);

        if (side == 2) continue;
        if (conn->end[side].state != END_OPEN && conn->end[1 - side].state != END_OPEN) continue;
        count++;
        if (notice != SIM_NOTICE_SECOND) net_end_break(&conn->end[side], ERR_CONNECTION_RESET);
        if (notice != SIM_NOTICE_FIRST) net_end_break(&conn->end[1 - side], ERR_CONNECTION_RESET);
    }
    return count;
}

uint32_t sim_net_conn_count(const struct sim *sim, uint32_t first, uint32_t second)
{
    uint32_t count = 0;

    LIST_FOR_EACH (link, &sim->net->conns) {
        count += net_conn_between(LIST_ENTRY(link, struct sim_conn, link), first, second);
    }
    return count;
}

void sim_net_fail_connects(struct sim_world *to, enum sim_connect_fault fault, uint32_t count)
{
    to->net.connect_fault = fault;
    to->net.connect_faults = count;
}

/* ---- crash ----------------------------------------------------------------------------------- */

/* The disk of a machine is about to change hands: what its ranges were is what arrives. */
void sim_net_bind(struct sim_world *node)
{
    LIST_FOR_EACH (link, &node->sim->net->conns) {
        struct sim_conn *conn = LIST_ENTRY(link, struct sim_conn, link);

        for (uint32_t i = 0; i < 2; i++) {
            if (conn->end[i].node != node) continue;
            LIST_FOR_EACH (at, &conn->pipe[i].flight) {
                net_segment_bind(LIST_ENTRY(at, struct sim_segment, link));
            }
            LIST_FOR_EACH (at, &conn->pipe[i].arrived) {
                net_segment_bind(LIST_ENTRY(at, struct sim_segment, link));
            }
        }
    }
}

/* Killed: the kernel of the machine resets the peers. Power loss: nobody says anything; what is on
 * the wire still arrives. */
void sim_net_crash(struct sim_world *node, bool power)
{
    struct sim_net_node *net = &node->net;

    while (!list_empty(&net->connects)) {
        struct sim_connect *connect =
            LIST_ENTRY(list_pop(&net->connects), struct sim_connect, link);

        sim_unschedule(node->sim, &connect->event);
        if (connect->user != NULL) net->conn_count--;
        free(connect);
    }
    while (!list_empty(&net->ends)) {
        struct sim_end *end = LIST_ENTRY(net->ends.next, struct sim_end, node_link);

        end->recv = NULL;
        end->send = NULL;
        if (!power && end->state == END_OPEN) net_end_rst(end);
        end->dead = power;
        net_end_detach(end);
    }
    ASSERT(net->conn_count == 0);
    sim_net_node_free(node);
}

void sim_net_host_up(struct sim_world *node)
{
    struct sim *sim = node->sim;

    LIST_FOR_EACH (link, &sim->net->conns) {
        struct sim_conn *conn = LIST_ENTRY(link, struct sim_conn, link);

        for (uint32_t i = 0; i < 2; i++) {
            if (conn->end[i].node != node || !conn->end[i].dead) continue;
            conn->end[i].dead = false;
            /* The peer retransmits what was never acknowledged; the answer is a reset. */
            if (conn->pipe[1 - i].stalled) {
                int64_t wait = decide_range(sim, net_site(DECIDE_NET_RETRANSMIT, conn, i),
                                            NS_PER_SEC / 5, 3 * NS_PER_SEC);

                sim_schedule(sim, &conn->pipe[1 - i].arrive, sim->now_ns + wait);
            }
        }
    }
}

struct sim_world *sim_net_peer(const struct sim_world *node, uint64_t id)
{
    LIST_FOR_EACH (link, &node->net.ends) {
        const struct sim_end *end = LIST_ENTRY(link, struct sim_end, node_link);

        if (end->user != NULL && end->user->id == id) {
            return end->conn->end[1 - end->side].node;
        }
    }
    return NULL;
}
