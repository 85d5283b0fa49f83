#include "broker/api/session.h"

#include "broker/api/server.h"
#include "wire/api_versions.h"

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
                session->active_ns = session->server->env->loop.now_ns;
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
    session->active_ns = server->env->loop.now_ns;
    list_init(&request->link);
    arena_init(&request->arena, &server->env->mem, REQUEST_ARENA_MAX);
    list_push(&session->requests, &request->link);
    session->request_count++;
    session_dispatch(session, request);
    return true;
}

/* ---- idle connections ------------------------------------------------------------------------ */

static void session_look_later(struct session *session)
{
    int64_t idle_ms = session->server->config.idle_ms;

    session->seen_have = session->connection.partial_have;
    op_deadline(&session->op,
                idle_ms <= 0 ? OP_NO_DEADLINE : session->active_ns + idle_ms * NS_PER_MS);
}

/* The deadline is over: closes what was idle all that time, or sets the next one. */
static void session_look(struct session *session)
{
    const struct connection *connection = &session->connection;
    bool active = session->request_count > 0 || connection->partial_have != session->seen_have;

    if (connection->state != CONNECTION_OPEN) {
        op_deadline(&session->op, OP_NO_DEADLINE);
        return;
    }
    if (active) session->active_ns = session->server->env->loop.now_ns;
    if (!active && session->active_ns + session->server->config.idle_ms * NS_PER_MS <=
                       session->server->env->loop.now_ns) {
        op_deadline(&session->op, OP_NO_DEADLINE);
        connection_close(&session->connection, ERR_TIMED_OUT);
        return;
    }
    session_look_later(session);
}

static void session_finish(struct op *op)
{
    struct session *session = CONTAINER_OF(op, struct session, op);

    server_session_over(session->server, session);
}

static enum op_result session_run(struct op *op)
{
    struct session *o = CONTAINER_OF(op, struct session, op);

    switch ((enum session_step)op->step) {
    case SESSION_START:
        o->active_ns = o->server->env->loop.now_ns;
        session_look_later(o);
        for (;;) {
            if (op_expired(op)) session_look(o);
            session_drain(o);
            while (session_take(o))
                session_drain(o);
            session_drain(o);
            if (session_ended(o)) break;
            if (o->server->stopping && o->request_count == 0) {
                connection_finish(&o->connection);
            }
            AWAIT(o, SESSION_ACTIVE, &o->connection.events,
                  session_ended(o) || session_drainable(o) || op_expired(op) ||
                      (session_has_room(o) && connection_readable(&o->connection)) ||
                      (o->server->stopping && o->request_count == 0 &&
                       o->connection.state == CONNECTION_OPEN));
        }
        op_deadline(op, OP_NO_DEADLINE);
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

void session_start(struct session *session)
{
    op_start(&session->server->env->loop, &session->op, &session_kind, SESSION_START);
}
