#include "broker/api/server.h"

#include "wire/api_versions.h"

#include <string.h>

static void server_wake_sessions(struct server *server)
{
    LIST_FOR_EACH (link, &server->all)
        op_resume(&LIST_ENTRY(link, struct session, link)->op);
}

/* ---- requests -------------------------------------------------------------------------------- */

void *request_alloc(struct request *request, size_t size)
{
    return arena_zalloc(&request->arena, size);
}

enum err request_decode(struct request *request, void *body)
{
    const struct api_entry *entry = api_find(request->header.request_api_key);
    enum err err = entry->request->decode(&request->reader, request->header.request_api_version,
                                          &request->arena, body);

    if (err == ERR_NONE) return ERR_NONE;
    request->session->server->hostile++;
    connection_hostile(&request->session->connection, request->header.request_api_key,
                       request->header.request_api_version, err, STR("undecodable body"));
    request->answered = true;
    request_finish(request);
    return err;
}

enum err request_hold(struct request *request, struct buf *buf)
{
    if (request->holds_count == request->holds_max) {
        uint32_t max = request->holds_max == 0 ? 8 : request->holds_max * 2;
        struct buf **holds = arena_alloc(&request->arena, max * sizeof *holds);

        if (holds == NULL) return ERR_NO_MEMORY;
        if (request->holds_count > 0) {
            memcpy(holds, request->holds, request->holds_count * sizeof *holds);
        }
        request->holds = holds;
        request->holds_max = max;
    }
    request->holds[request->holds_count++] = buf_ref(buf);
    return ERR_NONE;
}

static void request_drop_holds(struct request *request)
{
    for (uint32_t i = 0; i < request->holds_count; i++)
        buf_unref(request->holds[i]);
    request->holds_count = 0;
}

static enum err request_encode(struct request *request, const void *response)
{
    const struct api_entry *entry = api_find(request->header.request_api_key);
    struct connection *connection = &request->session->connection;
    struct wire_size size = entry->response->measure(response, request->version);
    size_t head = api_response_overhead(entry->key, request->version) + size.bytes - size.payload;
    struct connection_out *out =
        connection_out_create(connection, head, size.slices + 1, request->holds_count);
    struct wire_writer writer;
    struct wire_frame frame;
    enum err err;

    if (out == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, out->head, out->head_size);
    wire_writer_gather(&writer, out->slices, out->slices_max);
    frame =
        api_begin_response(&writer, entry->key, request->version, request->header.correlation_id);
    err = entry->response->encode(&writer, request->version, response);
    wire_frame_end(&writer, frame);
    if (err == ERR_NONE) err = wire_writer_finish(&writer);
    if (err != ERR_NONE) {
        connection_out_destroy(connection, out);
        return err;
    }
    for (uint32_t i = 0; i < request->holds_count; i++) {
        connection_out_hold(out, request->holds[i]);
    }
    request->out = out;
    request->out_slices = writer.slices_count;
    TRACE(request->env->world, RPC_ANSWERED, (int64_t)connection->net.id,
          request->header.correlation_id, entry->key, (int64_t)(head + size.payload));
    return ERR_NONE;
}

void request_reply(struct request *request, const void *response)
{
    struct connection *connection = &request->session->connection;
    enum err err;

    ASSERT(!request->answered);
    request->answered = true;
    if (connection->state == CONNECTION_OPEN) {
        err = request_encode(request, response);
        if (err != ERR_NONE) connection_close(connection, err);
    }
    request_drop_holds(request);
    op_resume(&request->session->op);
}

void request_reply_nothing(struct request *request, bool close)
{
    ASSERT(!request->answered);
    request->answered = true;
    request_drop_holds(request);
    if (close) connection_finish(&request->session->connection);
    op_resume(&request->session->op);
}

void request_finish(struct request *request)
{
    ASSERT(request->answered);
    ASSERT(!request->finished);
    request->finished = true;
    op_resume(&request->session->op);
}

void request_answer(struct request *request, const void *response)
{
    request_reply(request, response);
    request_finish(request);
}

void request_abandon(struct request *request, enum err err)
{
    if (!request->answered) {
        request->answered = true;
        connection_close(&request->session->connection, err);
    }
    request_drop_holds(request);
    request_finish(request);
}

/* Gives the request's memory back; its answer has left or never will. */
static void request_release(struct request *request)
{
    struct session *session = request->session;
    struct server *server = session->server;
    bool was_full = pool_in_use(&server->requests) == server->config.requests_max;

    if (request->out != NULL) connection_out_destroy(&session->connection, request->out);
    request_drop_holds(request);
    connection_frame_release(&request->frame);
    arena_deinit(&request->arena);
    list_remove(&request->link);
    session->request_count--;
    pool_give(&server->requests, request);
    if (was_full) server_wake_sessions(server); /* those that did not read for want of a request */
}

/* ---- sessions -------------------------------------------------------------------------------- */

enum session_step { SESSION_START, SESSION_ACTIVE, SESSION_CLOSED };
static const char *const session_steps[] = {"START", "ACTIVE", "CLOSED"};

static struct request *session_first(const struct session *session)
{
    return list_empty(&session->requests)
               ? NULL
               : LIST_ENTRY(session->requests.next, struct request, link);
}

static bool session_ended(const struct session *session)
{
    return session->connection.state == CONNECTION_CLOSING ||
           session->connection.state == CONNECTION_CLOSED;
}

/* Nothing of the connection is left, and no handler works for it any more. */
static bool session_over(const struct session *session)
{
    return session->connection.state == CONNECTION_CLOSED && session->request_count == 0;
}

/* The first request can go: its answer is there (and fits), or there will be none. */
static bool session_drainable(const struct session *session)
{
    const struct request *first = session_first(session);

    if (first == NULL || !first->finished) return false;
    if (first->out == NULL || session->connection.state != CONNECTION_OPEN) return true;
    return connection_sendable(&session->connection, first->out->bytes);
}

static void session_drain(struct session *session)
{
    while (session_drainable(session)) {
        struct request *request = session_first(session);

        ASSERT(request != NULL);
        if (request->out != NULL && session->connection.state == CONNECTION_OPEN) {
            enum err err = connection_send(&session->connection, request->out, request->out_slices);

            if (err == ERR_NONE) {
                request->out = NULL; /* the connection's now */
            } else {
                connection_close(&session->connection, err);
            }
        }
        request_release(request);
    }
}

static bool session_has_room(const struct session *session)
{
    const struct server *server = session->server;

    return session->connection.state == CONNECTION_OPEN && server->serving && !server->stopping &&
           session->request_count < SESSION_REQUESTS_MAX &&
           pool_in_use(&server->requests) < server->config.requests_max;
}

/* ApiVersions in a version that is not served: error 35 in form v0, whatever the body
 * (protocol.md 5). */
static void session_refuse_api_versions(struct request *request)
{
    const struct api_entry *entry = api_find(API_API_VERSIONS);
    struct wire_range range = api_advertised(request->session->server->config.kind, entry);
    struct api_versions_response_api_version row;
    struct api_versions_response response;

    api_versions_response_default(&response);
    api_versions_response_api_version_default(&row);
    row.api_key = API_API_VERSIONS;
    row.min_version = range.first;
    row.max_version = range.last;
    response.error_code = ERR_UNSUPPORTED_VERSION;
    response.api_keys = &row;
    response.api_keys_count = 1;
    request->version = 0;
    request_answer(request, &response);
}

static void session_hostile(struct session *session, struct request *request, enum err err,
                            struct str what)
{
    session->server->hostile++;
    connection_hostile(&session->connection, request->header.request_api_key,
                       request->header.request_api_version, err, what);
    request->answered = true;
    request_finish(request);
}

static void session_dispatch(struct session *session, struct request *request)
{
    struct server *server = session->server;
    int16_t key;
    int16_t version;
    enum err err;

    wire_reader_init(&request->reader, request->frame.data, request->frame.length);
    err = api_read_request_header(&request->reader, &request->arena, &request->header);
    key = request->header.request_api_key;
    version = request->header.request_api_version;
    TRACE(server->env->world, RPC_RECEIVED, (int64_t)session->connection.net.id,
          request->header.correlation_id, key, version, request->frame.length);
    if (err != ERR_NONE) {
        session_hostile(session, request, err, STR("unknown api or undecodable header"));
        return;
    }
    request->version = version;
    if (key == API_API_VERSIONS && !api_accepts(server->config.kind, key, version)) {
        session_refuse_api_versions(request);
    } else if (!api_accepts(server->config.kind, key, version) || server->handlers[key] == NULL) {
        session_hostile(session, request, ERR_UNSUPPORTED_VERSION,
                        STR("api or version not served on this listener"));
    } else {
        server->handlers[key](request);
    }
}

/* Takes the next request, if its bytes are there. */
static bool session_take(struct session *session)
{
    struct server *server = session->server;
    struct connection_frame frame;
    struct request *request;

    if (!session_has_room(session)) return false;
    if (!connection_next(&session->connection, true, &frame)) return false;
    request = pool_take(&server->requests);
    if (request == NULL) {
        connection_frame_release(&frame);
        connection_close(&session->connection, ERR_NO_MEMORY);
        return false;
    }
    request->session = session;
    request->node = server->node;
    request->env = server->env;
    request->frame = frame;
    request->received = server->env->now;
    list_init(&request->link);
    arena_init(&request->arena, &server->env->mem, REQUEST_ARENA_MAX);
    list_push(&session->requests, &request->link);
    session->request_count++;
    session_dispatch(session, request);
    return true;
}

static void session_finish(struct op *op)
{
    struct session *session = CONTAINER_OF(op, struct session, op);
    struct server *server = session->server;

    list_remove(&session->link);
    server->session_count--;
    pool_give(&server->sessions, session);
    op_wake(&server->room);
}

static enum op_result session_run(struct op *op)
{
    struct session *o = CONTAINER_OF(op, struct session, op);

    switch ((enum session_step)op->step) {
    case SESSION_START:
        for (;;) {
            session_drain(o);
            while (session_take(o))
                session_drain(o);
            session_drain(o);
            if (session_ended(o)) break;
            if (o->server->stopping && o->request_count == 0) {
                connection_finish(&o->connection);
            }
            AWAIT(o, SESSION_ACTIVE, &o->connection.events,
                  session_ended(o) || session_drainable(o) ||
                      (session_has_room(o) && connection_readable(&o->connection)) ||
                      (o->server->stopping && o->request_count == 0 &&
                       o->connection.state == CONNECTION_OPEN));
        }
        while (!session_over(o)) {
            AWAIT(o, SESSION_CLOSED, &o->connection.events,
                  session_over(o) || session_drainable(o));
            session_drain(o);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of a session");
}

static const struct op_kind session_kind = {"session", session_steps, COUNT_OF(session_steps),
                                            session_run, session_finish};

/* ---- the listener ---------------------------------------------------------------------------- */

enum server_step {
    SERVER_START,
    SERVER_RESOLVED,
    SERVER_LISTENING,
    SERVER_ROOM,
    SERVER_ACCEPTED,
    SERVER_UNLISTENED,
    SERVER_EMPTY
};
static const char *const server_steps[] = {"START",    "RESOLVED",   "LISTENING", "ROOM",
                                           "ACCEPTED", "UNLISTENED", "EMPTY"};

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
    server->accepted = false;
    world_req_init(&server->accept.req, server_accepted);
    server->accept.listener = &server->listener;
    server->accept.conn = &session->connection.net;
    net_accept(server->env->world, &server->accept);
    return true;
}

static void server_take_accepted(struct server *server)
{
    struct session *session = server->fresh;

    server->fresh = NULL;
    if (server->accept.req.result != ERR_NONE) {
        pool_give(&server->sessions, session);
        return;
    }
    list_push(&server->all, &session->link);
    server->session_count++;
    connection_opened(&session->connection, -1, true);
    op_start(&server->env->loop, &session->op, &session_kind, SESSION_START);
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
            if (o->stopping || !server_post_accept(o)) break;
            AWAIT(o, SERVER_ACCEPTED, &o->io, o->accepted);
            server_take_accepted(o);
        }
        server_unlisten(o);
        AWAIT(o, SERVER_UNLISTENED, &o->io, o->closed);
        o->listening = false;
        AWAIT(o, SERVER_EMPTY, &o->room, o->session_count == 0);
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
