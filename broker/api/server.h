/* The serving side of one listener: accepts connections, reads requests, hands each to its handler,
 * and sends the answers in the order of the requests (protocol.md 1).
 *
 *   listener --accept--> session (one connection) --frame--> request --handler--> answer
 *
 * What a Produce request passes, by name: session_run, session_dispatch, api_produce_handle, the op
 * produce_run, request_reply, session_drain.
 *
 * - Requests of a connection start in order of arrival and may be worked on at once, up to
 *   SESSION_REQUESTS_MAX; then the connection is not read (back-pressure through TCP). Answers
 *   leave in order of arrival, whoever is done first.
 * - Bytes that no peer of Kafka would send close the connection and never more: unknown key,
 *   version out of range (but ApiVersions answers error 35 in form v0), undecodable body.
 * - A handler decodes from request->reader into request->arena, then answers at once with
 *   request_reply() or starts an op that does so later. The op lives in the request's arena and
 *   dies before it: request_finish() is the op's `finish`, or comes with the reply. */
#ifndef BROKER_API_SERVER_H
#define BROKER_API_SERVER_H

#include "client/base/map.h"
#include "client/base/pool.h"
#include "client/connection.h"
#include "client/wire/api.h"

enum {
    SESSION_REQUESTS_MAX = 8,            /* unanswered requests of one connection */
    REQUEST_ARENA_MAX = 8 * 1024 * 1024, /* decoded arrays and answer of one request */
    SERVER_APIS_MAX = 128,
};

struct node;
struct request;
struct server;

struct server_api {
    int16_t key;
    void (*handle)(struct request *request);
};

struct server_config {
    enum api_listener kind;
    struct str host; /* "" is every address; borrowed until listening */
    uint16_t port;
    uint32_t connections_max;
    uint32_t requests_max; /* of all connections; more are not read */
    uint32_t frame_max;
    const struct server_api *apis; /* constant */
    uint32_t api_count;
};

struct server {
    struct env *env;
    struct node *node;
    struct server_config config;
    uint16_t port; /* once listening */
    bool listening;
    enum err failed;          /* why it does not listen */
    struct op_source changed; /* listening, failed, stopped */
    bool stopped;
    uint64_t hostile; /* connections closed for what they sent */
    /* private */
    bool serving;
    bool stopping;
    bool unlistening;
    struct op op;
    struct net_resolve resolve;
    struct net_listener listener;
    struct net_accept accept;
    bool resolved;
    bool listen_done;
    bool accepted;
    bool closed;
    struct session *fresh; /* the session that is being accepted */
    struct op_source io;
    struct op_source room; /* a session or a request came back */
    struct pool sessions;
    struct pool requests;
    struct list all;
    uint32_t session_count;
    void (*handlers[SERVER_APIS_MAX])(struct request *request);
};

struct session {
    struct list link;
    struct server *server;
    struct connection connection;
    struct op op;
    struct list requests; /* in order of arrival */
    uint32_t request_count;
    bool accepted;
};

struct request {
    struct list link;
    struct session *session;
    struct node *node;
    struct env *env;
    struct request_header header;
    int16_t version;               /* of the answer; the request's, but for ApiVersions */
    struct connection_frame frame; /* counted: everything decoded points into it */
    struct wire_reader reader;     /* at the body */
    struct arena arena;
    struct instant received;
    /* private */
    bool answered;
    bool finished;
    struct connection_out *out; /* NULL: no answer is sent (acks=0) */
    uint32_t out_slices;
    struct buf **holds; /* in the arena */
    uint32_t holds_count;
    uint32_t holds_max;
};

void server_init(struct server *server, struct env *env, struct node *node,
                 const struct server_config *config);
/* Begins to listen; `changed` tells how it went. Connections are taken, requests not yet read. */
void server_start(struct server *server);
void server_serve(struct server *server);
/* Stops listening and closes every connection, after what is answered has left. */
void server_stop(struct server *server);
void server_deinit(struct server *server); /* stopped, or never started */

/* The body, decoded; an error has closed the connection and finished the request. */
MUST_USE enum err request_decode(struct request *request, void *body);
/* Memory of the request's life, zeroed; NULL past REQUEST_ARENA_MAX. */
void *request_alloc(struct request *request, size_t size);
/* The answer refers to `buf` (takes a count). NO_MEMORY when the arena is at its cap. */
MUST_USE enum err request_hold(struct request *request, struct buf *buf);
/* Encodes the generated response struct of this api and queues it behind the earlier ones. */
void request_reply(struct request *request, const void *response);
/* No answer: acks=0 (and then, after an error, the connection closes). */
void request_reply_nothing(struct request *request, bool close);
/* The request is over (answered, its op ended): gives everything back. */
void request_finish(struct request *request);
/* Reply and finish, for handlers without an op. */
void request_answer(struct request *request, const void *response);
/* Out of memory or bounds while serving: the connection closes, the request is over. */
void request_abandon(struct request *request, enum err err);

#endif
