/* The serving side of one listener: accepts connections and keeps their sessions.
 *
 *   listener --accept--> session (one connection) --frame--> request --handler--> answer
 *
 * What a Produce request passes, by name: session_run, session_dispatch, api_produce_handle, the op
 * produce_run, request_reply, session_drain. */
#ifndef BROKER_API_SERVER_H
#define BROKER_API_SERVER_H

#include "broker/api/session.h"
#include "client/base/pool.h"

enum {
    SERVER_APIS_MAX = 128,
};

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
    int64_t idle_ms;               /* connections.max.idle.ms; 0 and below: never */
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

void server_init(struct server *server, struct env *env, struct node *node,
                 const struct server_config *config);
/* Begins to listen; `changed` tells how it went. Connections are taken, requests not yet read. */
void server_start(struct server *server);
void server_serve(struct server *server);
/* Stops listening and closes every connection, after what is answered has left. */
void server_stop(struct server *server);
void server_deinit(struct server *server); /* stopped, or never started */

/* For sessions. */
void server_wake_sessions(struct server *server);
void server_session_over(struct server *server, struct session *session);

#endif
