/* The life of a connection: what is drawn for it when it is made, whose handle stands for an end of
 * it, and when it is gone. */
#include "sim/net_private.h"

#include <stdlib.h>

static uint32_t draw_capacity(const struct sim_conn *conn, uint32_t side, uint32_t least,
                              uint32_t most)
{
    uint64_t capacity = least;

    /* Small and large ones alike: doubled a random number of times. */
    while (capacity < most &&
           decide_chance(conn->sim, net_site(DECIDE_NET_BUFFER, conn, side), RNG_MILLION * 3 / 4))
        capacity *= 2;
    return capacity > most ? most : (uint32_t)capacity;
}

static void conn_draw(struct sim_conn *conn)
{
    const struct sim_net_config *config = &conn->sim->config.net;
    struct decide_site site = net_site(DECIDE_NET_STYLE, conn, 0);

    if (decide_chance(conn->sim, site, config->pieces_per_million)) {
        conn->pieces = (enum sim_pieces)(1 + decide_below(conn->sim, site, SIM_PIECES_STYLES - 1));
    }
    for (uint32_t i = 0; i < 2; i++) {
        conn->pipe[i].base_ns = decide_range(conn->sim, net_site(DECIDE_NET_LATENCY, conn, i),
                                             config->latency_min_ns, config->latency_max_ns);
        conn->pipe[i].capacity = draw_capacity(conn, i, config->buffer_min, config->buffer_max);
    }
}

struct sim_conn *net_conn_create(struct sim *sim, struct sim_world *client,
                                 struct sim_world *server)
{
    struct sim_conn *conn = sim_alloc(sizeof *conn);

    conn->sim = sim;
    conn->id = sim->net->next_id++;
    conn->site = (uint64_t)(uint32_t)server->id << 32 | net_link(sim, client, server)->conns++;
    list_init(&conn->link);
    list_push(&sim->net->conns, &conn->link);
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_pipe *pipe = &conn->pipe[i];
        struct sim_end *end = &conn->end[i];

        net_end_init(end, conn, i);
        end->node = i == 0 ? client : server;
        list_push(&end->node->net.ends, &end->node_link);
        net_pipe_init(pipe, conn, i);
    }
    conn_draw(conn);
    return conn;
}

void net_conn_free(struct sim_conn *conn)
{
    for (uint32_t i = 0; i < 2; i++) {
        list_remove(&conn->end[i].node_link);
        list_remove(&conn->end[i].backlog);
        sim_unschedule(conn->sim, &conn->end[i].limit);
        sim_unschedule(conn->sim, &conn->pipe[i].arrive);
        sim_unschedule(conn->sim, &conn->pipe[i].space);
        net_segments_free(&conn->pipe[i].flight);
        net_segments_free(&conn->pipe[i].arrived);
    }
    list_remove(&conn->link);
    free(conn);
}

/* ---- handles --------------------------------------------------------------------------------- */

static uint32_t handle_take(struct sim_net *net, struct sim_end *end)
{
    uint32_t handle;

    if (net->free_count > 0) {
        handle = net->free_handles[--net->free_count];
    } else {
        if (net->handle_count + 1 >= net->handle_capacity) {
            net->handle_capacity = net->handle_capacity == 0 ? 64 : net->handle_capacity * 2;
            net->handles = realloc(net->handles, net->handle_capacity * sizeof *net->handles);
            net->free_handles =
                realloc(net->free_handles, net->handle_capacity * sizeof *net->free_handles);
            if (net->handles == NULL || net->free_handles == NULL) abort();
        }
        handle = ++net->handle_count;
    }
    net->handles[handle] = end;
    return handle;
}

/* Hands the end to the node: `gone` is outstanding from here on. */
void net_end_attach(struct sim_end *end, struct net_conn *user)
{
    struct sim_net *net = end->conn->sim->net;

    ASSERT(end->user == NULL && end->state != END_CLOSED);
    ASSERT(!user->gone.pending && !user->closed.pending);
    user->handle = handle_take(net, end);
    user->id = end->conn->id;
    user->peer = end->conn->address[1 - end->side];
    user->gone.pending = true;
    list_init(&user->gone.link);
    end->user = user;
    if (end->state == END_BROKEN) {
        sim_node_complete(end->node, &user->gone, SIM_KIND_GONE, end->broken, end->conn->id);
    }
}

/* The node has nothing to do with this end any more. Frees the connection with the second one. */
void net_end_detach(struct sim_end *end)
{
    struct sim_conn *conn = end->conn;
    struct sim_net *net = conn->sim->net;

    ASSERT(end->recv == NULL && end->send == NULL);
    if (end->user != NULL) {
        net->handles[end->user->handle] = NULL;
        net->free_handles[net->free_count++] = end->user->handle;
        end->node->net.conn_count--;
    }
    end->user = NULL;
    end->state = END_CLOSED;
    list_remove(&end->node_link);
    list_remove(&end->backlog);
    net_segments_free(&end_incoming(end)->arrived);
    end_incoming(end)->bytes = 0;
    LIST_FOR_EACH (link, &end_incoming(end)->flight) {
        end_incoming(end)->bytes += LIST_ENTRY(link, struct sim_segment, link)->length;
    }
    sim_unschedule(conn->sim, &end->limit);
    if (conn->end[1 - end->side].state == END_CLOSED) net_conn_free(conn);
}
