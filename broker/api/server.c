#include "broker/api/server.h"

void server_wake_sessions(struct server *server)
{
    LIST_FOR_EACH (link, &server->all)
        op_resume(&LIST_ENTRY(link, struct session, link)->op);
}

void server_session_over(struct server *server, struct session *session)
{
    list_remove(&session->link);
    server->session_count--;
    pool_give(&server->sessions, session);
    op_wake(&server->room);
}

/* ---- the listener ---------------------------------------------------------------------------- */

enum server_step {
    SERVER_START,
    SERVER_RESOLVED,
    SERVER_LISTENING,
    SERVER_ROOM,
    SERVER_ACCEPTED,
    SERVER_PAUSED,
    SERVER_UNLISTENED,
    SERVER_EMPTY,
    SERVER_CUT,
};
static const char *const server_steps[] = {"START",  "RESOLVED",   "LISTENING", "ROOM", "ACCEPTED",
                                           "PAUSED", "UNLISTENED", "EMPTY",     "CUT"};

enum {
    SERVER_PAUSE_MS = 100,   /* after an accept that failed: no descriptors, no memory */
    SERVER_LINGER_MS = 5000, /* for answers to leave at a stop; who reads nothing is cut off */
};

static void server_resolved(struct world_req *req, struct instant now)
{
    struct server *server =
        CONTAINER_OF(CONTAINER_OF(req, struct net_resolve, req), struct server, resolve);

    (void)now;
    server->resolved = true;
    op_wake(&server->io);
}

static void server_listens(struct world_req *req, struct instant now)
{
    struct server *server =
        CONTAINER_OF(CONTAINER_OF(req, struct net_listener, req), struct server, listener);

    (void)now;
    server->listen_done = true;
    op_wake(&server->io);
}

static void server_listener_closed(struct world_req *req, struct instant now)
{
    struct server *server =
        CONTAINER_OF(CONTAINER_OF(req, struct net_listener, closed), struct server, listener);

    (void)now;
    server->closed = true;
    op_wake(&server->io);
}

static void server_accepted(struct world_req *req, struct instant now)
{
    struct server *server =
        CONTAINER_OF(CONTAINER_OF(req, struct net_accept, req), struct server, accept);

    (void)now;
    server->accepted = true;
    op_wake(&server->io);
}

static void server_fail(struct server *server, enum err err)
{
    server->failed = err;
    op_wake(&server->changed);
}

static bool server_post_accept(struct server *server)
{
    const struct connection_limits limits = {
        .frame_max = server->config.frame_max,
        .send_queue_max = SESSION_REQUESTS_MAX + 1,
        .send_bytes_max = 1024 * 1024,
        .reserved = server->config.kind == API_ON_CONTROLLER,
    };
    struct session *session = pool_take(&server->sessions);

    if (session == NULL) return false;
    session->server = server;
    list_init(&session->link);
    list_init(&session->requests);
    connection_init(&session->connection, server->env, &limits);
    server->fresh = session;
    world_req_init(&server->accept.req, server_accepted);
    server->accept.listener = &server->listener;
    server->accept.conn = &session->connection.net;
    net_accept(server->env->world, &server->accept);
    return true;
}

/* False: there is no connection. */
static bool server_take_accepted(struct server *server)
{
    struct session *session = server->fresh;

    server->fresh = NULL;
    if (server->accept.req.result != ERR_NONE) {
        pool_give(&server->sessions, session);
        return false;
    }
    list_push(&server->all, &session->link);
    server->session_count++;
    connection_opened(&session->connection, -1, true);
    session_start(session);
    return true;
}

static void server_cut(struct server *server)
{
    LIST_FOR_EACH (link, &server->all)
        connection_close(&LIST_ENTRY(link, struct session, link)->connection, ERR_TIMED_OUT);
}

static void server_listen(struct server *server)
{
    server->listener = (struct net_listener){.address = server->resolve.addresses[0]};
    world_req_init(&server->listener.req, server_listens);
    world_req_init(&server->listener.closed, server_listener_closed);
    net_listen(server->env->world, &server->listener);
}

static void server_unlisten(struct server *server)
{
    if (server->unlistening) return;
    server->unlistening = true;
    net_unlisten(server->env->world, &server->listener);
}

static enum op_result server_run(struct op *op)
{
    struct server *o = CONTAINER_OF(op, struct server, op);

    switch ((enum server_step)op->step) {
    case SERVER_START:
        o->resolve.host = o->config.host;
        o->resolve.port = o->config.port;
        world_req_init(&o->resolve.req, server_resolved);
        net_resolve(o->env->world, &o->resolve);
        AWAIT(o, SERVER_RESOLVED, &o->io, o->resolved);
        if (o->resolve.req.result != ERR_NONE || o->resolve.count == 0) {
            server_fail(o, o->resolve.req.result != ERR_NONE ? o->resolve.req.result
                                                             : ERR_ADDRESS_UNKNOWN);
            return OP_DONE;
        }
        server_listen(o);
        AWAIT(o, SERVER_LISTENING, &o->io, o->listen_done);
        if (o->listener.req.result != ERR_NONE) {
            server_fail(o, o->listener.req.result);
            return OP_DONE;
        }
        o->port = o->listener.address.port;
        o->listening = true;
        op_wake(&o->changed);
        while (!o->stopping) {
            AWAIT(o, SERVER_ROOM, &o->room,
                  o->stopping || pool_in_use(&o->sessions) < o->config.connections_max);
            if (o->stopping) break;
            o->accepted = false;
            if (server_post_accept(o)) {
                AWAIT(o, SERVER_ACCEPTED, &o->io, o->accepted);
                if (server_take_accepted(o)) continue;
            }
            op_deadline(op, env_deadline(o->env, SERVER_PAUSE_MS));
            AWAIT(o, SERVER_PAUSED, &o->room, o->stopping || op_expired(op));
            op_deadline(op, OP_NO_DEADLINE);
        }
        server_unlisten(o);
        AWAIT(o, SERVER_UNLISTENED, &o->io, o->closed);
        o->listening = false;
        op_deadline(op, env_deadline(o->env, SERVER_LINGER_MS));
        AWAIT(o, SERVER_EMPTY, &o->room, o->session_count == 0 || op_expired(op));
        server_cut(o);
        op_deadline(op, OP_NO_DEADLINE);
        AWAIT(o, SERVER_CUT, &o->room, o->session_count == 0);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a server");
}

static void server_finish(struct op *op)
{
    struct server *server = CONTAINER_OF(op, struct server, op);

    server->stopped = true;
    op_wake(&server->changed);
}

static const struct op_kind server_kind = {"server", server_steps, COUNT_OF(server_steps),
                                           server_run, server_finish};

void server_init(struct server *server, struct env *env, struct node *node,
                 const struct server_config *config)
{
    *server = (struct server){.env = env, .node = node, .config = *config, .stopped = true};
    op_source_init(&server->changed);
    op_source_init(&server->io);
    op_source_init(&server->room);
    list_init(&server->all);
    pool_init(&server->sessions, &env->mem, sizeof(struct session), config->connections_max);
    pool_init(&server->requests, &env->mem, sizeof(struct request), config->requests_max);
    for (uint32_t i = 0; i < config->api_count; i++) {
        ASSERT(config->apis[i].key >= 0 && config->apis[i].key < SERVER_APIS_MAX);
        server->handlers[config->apis[i].key] = config->apis[i].handle;
    }
}

void server_start(struct server *server)
{
    ASSERT(server->stopped);
    server->stopped = false;
    op_start(&server->env->loop, &server->op, &server_kind, SERVER_START);
}

void server_serve(struct server *server)
{
    server->serving = true;
    server_wake_sessions(server);
}

void server_stop(struct server *server)
{
    if (server->stopped || server->stopping) return;
    server->stopping = true;
    /* An accept that waits for a connection completes with CANCELED when the listener goes. */
    if (server->listening) server_unlisten(server);
    op_wake(&server->room);
    server_wake_sessions(server);
}

void server_deinit(struct server *server)
{
    ASSERT(server->stopped);
    pool_deinit(&server->sessions);
    pool_deinit(&server->requests);
}
