/* The way to a connection: names, listening ports, attempts to connect, accepting.
 *
 *   connect:  SYN --latency--> listener's backlog (the server's end exists) --latency--> completes
 *   no answer (cut, power off, backlog full): again after 1, 2, 4 ... s until the limit */
#include "sim/net_private.h"

#include <stdlib.h>
#include <string.h>

enum { PORT_FIRST = 32768 };

/* ---- addresses ------------------------------------------------------------------------------- */

static struct net_address address_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct net_address){
        .ip = {[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d}, .port = port};
}

struct net_address sim_net_address(const struct sim_world *node, uint16_t port)
{
    uint32_t number = node->index + 1;

    return address_v4(10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number, port);
}

static bool address_mapped(const struct net_address *address)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address->ip, prefix, sizeof prefix) == 0;
}

static bool address_loopback(const struct net_address *address)
{
    static const uint8_t six[16] = {[15] = 1};

    if (memcmp(address->ip, six, sizeof six) == 0) return true;
    return address_mapped(address) && address->ip[12] == 127;
}

static bool address_any(const struct net_address *address)
{
    static const uint8_t zero[16];

    if (memcmp(address->ip, zero, sizeof zero) == 0) return true;
    return address_mapped(address) && memcmp(address->ip + 12, zero, 4) == 0;
}

/* The node behind a machine's own address; NULL: none. */
static struct sim_world *address_node(const struct sim *sim, const struct net_address *address)
{
    uint32_t number;

    if (!address_mapped(address) || address->ip[12] != 10) return NULL;
    number = (uint32_t)address->ip[13] << 16 | (uint32_t)address->ip[14] << 8 | address->ip[15];
    return number >= 1 && number <= sim->node_count ? sim->nodes[number - 1] : NULL;
}

static bool parse_v4(struct str host, struct net_address *address)
{
    uint8_t part[4] = {0};
    uint32_t value = 0;
    uint32_t digits = 0;
    uint32_t parts = 0;

    for (uint32_t i = 0; i <= host.length; i++) {
        char c = i < host.length ? host.data[i] : '.';

        if (c == '.') {
            if (digits == 0 || parts == 4) return false;
            part[parts++] = (uint8_t)value;
            value = 0;
            digits = 0;
        } else {
            if (c < '0' || c > '9') return false;
            value = value * 10 + (uint32_t)(c - '0');
            if (value > 255) return false;
            digits++;
        }
    }
    if (parts != 4) return false;
    *address = address_v4(part[0], part[1], part[2], part[3], 0);
    return true;
}

void sim_net_alias(struct sim *sim, struct str host, uint16_t port, int32_t node_id)
{
    struct sim_net *net = sim->net;
    struct sim_alias *alias;

    ASSERT(host.length < sizeof alias->host);
    net->aliases = realloc(net->aliases, (net->alias_count + 1) * sizeof *net->aliases);
    if (net->aliases == NULL) abort();
    alias = &net->aliases[net->alias_count++];
    *alias = (struct sim_alias){.port = port, .node_id = node_id};
    memcpy(alias->host, host.data, host.length);
}

static enum err resolve_name(const struct sim_world *node, struct net_resolve *resolve)
{
    struct sim *sim = node->sim;
    struct net_address address;

    if (node->net.names_fail) return ERR_ADDRESS_UNKNOWN;
    resolve->count = 1;
    for (uint32_t i = 0; i < sim->net->alias_count; i++) {
        const struct sim_alias *alias = &sim->net->aliases[i];
        const struct sim_world *to = sim_node_find(sim, alias->node_id);

        if (to == NULL || !str_equal(resolve->host, str_of(alias->host))) continue;
        if (alias->port != 0 && alias->port != resolve->port) continue;
        resolve->addresses[0] = sim_net_address(to, resolve->port);
        return ERR_NONE;
    }
    for (uint32_t i = 0; i < sim->node_count; i++) {
        if (!str_equal(resolve->host, str_of(sim->nodes[i]->name))) continue;
        resolve->addresses[0] = sim_net_address(sim->nodes[i], resolve->port);
        return ERR_NONE;
    }
    if (str_equal(resolve->host, STR("localhost"))) {
        address = address_v4(127, 0, 0, 1, 0);
    } else if (!parse_v4(resolve->host, &address)) {
        resolve->count = 0;
        return ERR_ADDRESS_UNKNOWN;
    }
    address.port = resolve->port;
    resolve->addresses[0] = address;
    return ERR_NONE;
}

/* ---- listening ------------------------------------------------------------------------------- */

static struct sim_listener *listener_find(const struct sim_world *node, uint16_t port)
{
    LIST_FOR_EACH (link, &node->net.listeners) {
        struct sim_listener *listener = LIST_ENTRY(link, struct sim_listener, link);

        if (listener->port == port) return listener;
    }
    return NULL;
}

static uint16_t port_take(struct sim_world *node)
{
    uint16_t port;

    do {
        port = node->net.next_port;
        node->net.next_port = port == UINT16_MAX ? PORT_FIRST : (uint16_t)(port + 1);
    } while (listener_find(node, port) != NULL);
    return port;
}

void sim_net_listen(struct world *world, struct net_listener *user)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_listener *listener;
    enum err result = ERR_NONE;

    if (!sim_node_admit(node, &user->req)) return;
    sim_node_charge(node, node->config.costs.submit_ns);
    if (!address_any(&user->address) && !address_loopback(&user->address) &&
        address_node(node->sim, &user->address) != node) {
        result = ERR_ADDRESS_UNKNOWN;
    } else if (user->address.port != 0 && listener_find(node, user->address.port) != NULL) {
        result = ERR_ADDRESS_IN_USE;
    } else {
        listener = sim_alloc(sizeof *listener);
        if (user->address.port == 0) user->address.port = port_take(node);
        listener->node = node;
        listener->user = user;
        listener->port = user->address.port;
        list_init(&listener->backlog);
        list_init(&listener->accepts);
        list_init(&listener->link);
        list_push(&node->net.listeners, &listener->link);
    }
    sim_node_complete(node, &user->req, SIM_KIND_LISTEN, result, user->address.port);
}

/* A node at its maximum of connections refuses the accept; the connection goes on waiting. */
static void listener_match(struct sim_listener *listener)
{
    struct sim_world *node = listener->node;

    while (!list_empty(&listener->accepts) && !list_empty(&listener->backlog)) {
        struct world_req *req = LIST_ENTRY(listener->accepts.next, struct world_req, link);
        struct net_accept *accept = CONTAINER_OF(req, struct net_accept, req);
        struct sim_end *end = LIST_ENTRY(listener->backlog.next, struct sim_end, backlog);

        list_remove(&req->link);
        if (node->net.conn_count >= node->world.connections_max) {
            sim_node_complete(node, req, SIM_KIND_ACCEPT, ERR_TOO_MANY, 0);
            continue;
        }
        list_remove(&end->backlog);
        listener->backlog_count--;
        node->net.conn_count++;
        sim_node_complete(node, req, SIM_KIND_ACCEPT, ERR_NONE, end->conn->id);
        net_end_attach(end, accept->conn);
    }
}

void sim_net_accept(struct world *world, struct net_accept *accept)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_listener *listener;

    if (!sim_node_admit(node, &accept->req)) return;
    sim_node_charge(node, node->config.costs.submit_ns);
    listener = listener_find(node, accept->listener->address.port);
    ASSERT(listener != NULL && listener->user == accept->listener);
    list_push(&listener->accepts, &accept->req.link);
    listener_match(listener);
}

void sim_net_unlisten(struct world *world, struct net_listener *user)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_listener *listener;

    if (!sim_node_admit(node, &user->closed)) return;
    listener = listener_find(node, user->address.port);
    ASSERT(listener != NULL && listener->user == user);
    while (!list_empty(&listener->accepts)) {
        struct world_req *req = LIST_ENTRY(list_pop(&listener->accepts), struct world_req, link);

        sim_node_complete(node, req, SIM_KIND_ACCEPT, ERR_CANCELED, 0);
    }
    while (!list_empty(&listener->backlog)) {
        struct sim_end *end = LIST_ENTRY(list_pop(&listener->backlog), struct sim_end, backlog);

        if (end->state == END_OPEN) net_end_rst(end);
        net_end_detach(end);
    }
    sim_node_complete(node, &user->closed, SIM_KIND_UNLISTENED, ERR_NONE, listener->port);
    list_remove(&listener->link);
    free(listener);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void connect_finish(struct sim_connect *connect)
{
    struct sim_world *node = connect->node;
    struct net_connect *user = connect->user;
    struct sim_conn *conn = connect->conn;
    enum err result = connect->result;

    if (conn != NULL && conn->end[0].state != END_OPEN) {
        result = conn->end[0].broken; /* reset before the answer was here */
        net_end_detach(&conn->end[0]);
        conn = NULL;
    }
    if (conn == NULL) node->net.conn_count--;
    sim_node_complete(node, &user->req, SIM_KIND_CONNECT, result, conn != NULL ? conn->id : 0);
    if (conn != NULL) net_end_attach(&conn->end[0], user->conn);
    list_remove(&connect->link);
    free(connect);
}

static void connect_answered(struct sim_event *event)
{
    connect_finish(CONTAINER_OF(event, struct sim_connect, event));
}

/* From `asks` to `to` (NULL: nobody known), or back. */
static int64_t connect_latency(const struct sim_world *asks, const struct sim_world *to, bool back)
{
    struct sim *sim = asks->sim;
    const struct sim_net_config *config = &sim->config.net;
    const struct sim_link *link =
        back ? net_link(sim, to, asks) : net_link(sim, asks, to != NULL ? to : asks);
    uint64_t target = to != NULL ? (uint64_t)(uint32_t)to->id : UINT32_MAX;
    int64_t base =
        decide_range(sim, (struct decide_site){DECIDE_NET_CONNECT, asks->id, target, back},
                     config->latency_min_ns, config->latency_max_ns);

    return base + link->extra_ns;
}

/* The answer travels back. */
static void connect_answer(struct sim_connect *connect, struct sim_world *to, enum err result)
{
    struct sim *sim = connect->node->sim;
    int64_t back;

    connect->result = result;
    connect->event.fire = connect_answered;
    back = connect_latency(connect->node, to, true);
    sim_schedule(sim, &connect->event, sim->now_ns + back);
}

static void connect_again(struct sim_connect *connect)
{
    struct sim *sim = connect->node->sim;
    int64_t limit = connect->started_ns + sim->config.net.connect_limit_ns;
    int64_t next = sim->now_ns + connect->retry_ns;

    connect->retry_ns *= 2;
    if (next >= limit) {
        connect->result = ERR_TIMED_OUT;
        connect->event.fire = connect_answered;
        next = limit;
    }
    sim_schedule(sim, &connect->event, next);
}

/* Whom an address means, seen from a node; loopback: the own machine, or who listens there. */
static struct sim_world *connect_target(struct sim_world *node, const struct net_address *address)
{
    if (!address_loopback(address) && !address_any(address)) {
        return address_node(node->sim, address);
    }
    if (listener_find(node, address->port) != NULL) return node;
    for (uint32_t i = 0; i < node->sim->node_count; i++) {
        if (listener_find(node->sim->nodes[i], address->port) != NULL) return node->sim->nodes[i];
    }
    return node;
}

static void connect_establish(struct sim_connect *connect, struct sim_world *to,
                              struct sim_listener *listener)
{
    struct sim *sim = connect->node->sim;
    struct sim_conn *conn = net_conn_create(sim, connect->node, to);

    conn->address[0] = sim_net_address(connect->node, connect->port);
    conn->address[1] = connect->user->address;
    connect->conn = conn;
    connect_answer(connect, to, ERR_NONE);
    list_push(&listener->backlog, &conn->end[1].backlog);
    listener->backlog_count++;
    if (to->net.connect_faults > 0) { /* reset behind the handshake */
        to->net.connect_faults--;
        net_end_break(&conn->end[1], ERR_CONNECTION_RESET);
        net_end_rst(&conn->end[1]);
    }
    listener_match(listener);
}

static void connect_arrived(struct sim_event *event)
{
    struct sim_connect *connect = CONTAINER_OF(event, struct sim_connect, event);
    struct sim_world *node = connect->node;
    struct sim *sim = node->sim;
    struct sim_world *to = connect_target(node, &connect->user->address);
    struct sim_link *there;
    struct sim_link *back;
    struct sim_listener *listener;

    if (to == NULL) {
        connect_again(connect);
        return;
    }
    there = net_link(sim, node, to);
    back = net_link(sim, to, node);
    if (there->cuts[SIM_CUT_RESET] > 0 || back->cuts[SIM_CUT_RESET] > 0) {
        connect_answer(connect, to, ERR_CONNECTION_REFUSED);
        return;
    }
    if (sim->now_ns < there->clog_until_ns) {
        sim_schedule(sim, &connect->event, there->clog_until_ns);
        return;
    }
    if (net_link_cut(there) || net_link_cut(back) || !to->powered) {
        connect_again(connect);
        return;
    }
    if (to->net.connect_faults > 0 && to->net.connect_fault != SIM_CONNECT_RESET) {
        to->net.connect_faults--;
        if (to->net.connect_fault == SIM_CONNECT_REFUSED) {
            connect_answer(connect, to, ERR_CONNECTION_REFUSED);
        } else {
            connect->retry_ns = sim->config.net.connect_limit_ns;
            connect_again(connect);
        }
        return;
    }
    listener = listener_find(to, connect->user->address.port);
    if (listener == NULL) {
        connect_answer(connect, to, ERR_CONNECTION_REFUSED);
    } else if (listener->backlog_count >= sim->config.net.backlog_max) {
        connect_again(connect);
    } else {
        connect_establish(connect, to, listener);
    }
}

static struct sim_connect *connect_create(struct sim_world *node)
{
    struct sim_connect *connect = sim_alloc(sizeof *connect);

    connect->node = node;
    connect->started_ns = sim_node_issue_ns(node);
    connect->retry_ns = NS_PER_SEC;
    list_init(&connect->link);
    list_push(&node->net.connects, &connect->link);
    sim_node_charge(node, node->config.costs.submit_ns);
    return connect;
}

void sim_net_connect(struct world *world, struct net_connect *user)
{
    struct sim_world *node = sim_world_of(world);
    struct sim *sim = node->sim;
    struct sim_connect *connect;
    struct sim_world *to;
    int64_t arrives;

    if (!sim_node_admit(node, &user->req)) return;
    if (node->net.conn_count >= world->connections_max) {
        sim_node_complete(node, &user->req, SIM_KIND_CONNECT, ERR_TOO_MANY, 0);
        return;
    }
    node->net.conn_count++;
    connect = connect_create(node);
    connect->user = user;
    connect->port = port_take(node);
    sim_event_init(&connect->event, connect_arrived);
    to = connect_target(node, &user->address);
    arrives = connect->started_ns + connect_latency(node, to, false);
    sim_schedule(sim, &connect->event, arrives);
}

void sim_net_connect_cancel(struct world *world, struct net_connect *user)
{
    struct sim_world *node = sim_world_of(world);

    ASSERT(user->req.pending);
    sim_node_charge(node, node->config.costs.submit_ns);
    LIST_FOR_EACH (link, &node->net.connects) {
        struct sim_connect *connect = LIST_ENTRY(link, struct sim_connect, link);

        if (connect->user != user) continue;
        sim_unschedule(node->sim, &connect->event);
        if (connect->conn != NULL) { /* the peer has accepted already, and learns of it */
            if (connect->conn->end[0].state == END_OPEN) net_end_rst(&connect->conn->end[0]);
            net_end_detach(&connect->conn->end[0]);
        }
        node->net.conn_count--;
        sim_node_complete(node, &user->req, SIM_KIND_CONNECT, ERR_CANCELED, 0);
        list_remove(&connect->link);
        free(connect);
        return;
    }
}

static void resolve_done(struct sim_event *event)
{
    struct sim_connect *connect = CONTAINER_OF(event, struct sim_connect, event);
    struct net_resolve *resolve = connect->resolve;
    enum err result = resolve_name(connect->node, resolve);

    sim_node_complete(connect->node, &resolve->req, SIM_KIND_RESOLVE, result, resolve->count);
    list_remove(&connect->link);
    free(connect);
}

void sim_net_resolve(struct world *world, struct net_resolve *resolve)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_connect *connect;

    if (!sim_node_admit(node, &resolve->req)) return;
    resolve->count = 0;
    connect = connect_create(node);
    connect->resolve = resolve;
    sim_event_init(&connect->event, resolve_done);
    sim_schedule(node->sim, &connect->event, connect->started_ns + 200000);
}
