/* The client side of one node (host, port): finds it, connects, negotiates versions, sends calls,
 * matches the answers, and comes back after a failure. Used by producer, consumer and admin, and by
 * brokers and controllers among themselves.
 *
 *   IDLE --call queued--> RESOLVING --> CONNECTING --> NEGOTIATING --> READY
 *    ^                        |             |               |            |
 *    |                        +--failed-----+---------------+--ended-----+
 *    |                        v
 *    +--backoff passed--- BACKOFF          any --peer_close()--> CLOSING --> CLOSED
 *
 * - All addresses of a name are tried in turn; then the backoff: exponential with jitter (+-20 %),
 *   reset by a connection that became READY (clients.md 1.1).
 * - ApiVersions v3 first; error 35 is answered in v0 form: again with the maximum told there, or
 *   0 (protocol.md 5). Each call uses min(own maximum, peer's maximum), at least both minimums;
 *   else it fails with ERR_UNSUPPORTED_VERSION.
 * - Calls are sent in the order of peer_call(), pipelined up to in_flight_max; answers come in that
 *   order. Any other correlation id is fatal to the connection.
 * - A call unanswered for its timeout closes the connection. It fails with TIMED_OUT, the others in
 *   flight with CONNECTION_RESET. A call that is still queued fails alone.
 * - A failed attempt to connect fails all queued calls with its reason (`sent` false): who asked
 *   may ask another node. Calls queued during the backoff wait for the next attempt. */
#ifndef CLIENT_PEER_H
#define CLIENT_PEER_H

#include "client/base/rng.h"
#include "client/connection.h"
#include "client/wire/api.h"

enum {
    PEER_IN_FLIGHT_MAX = 32,
    PEER_HOST_MAX = 255,
    PEER_API_KEYS = 128, /* keys whose versions are remembered */
    CALL_HOLDS_MAX = 16,
};

/* One request and its answer. The owner (mostly an op) embeds it, fills the first part and waits:
 *
 *     call_init(&o->call, API_FETCH);
 *     o->call.body = &o->request;
 *     peer_call(peer, &o->call);
 *     AWAIT(o, FETCH_ANSWERED, &o->call.done, call_done(&o->call));
 *     if (o->call.result == ERR_NONE)
 *         err = fetch_response_decode(&o->call.reader, o->call.version, &arena, &response);
 *     ...
 *     call_release(&o->call);  */
struct call {
    /* in */
    int16_t api;
    int16_t version_min; /* what the caller can live with; default: all the codec knows */
    int16_t version_max;
    bool no_response;   /* Produce with acks=0: done when the transport has taken it */
    int32_t timeout_ms; /* 0: as configured */
    const void *body;   /* the generated request struct; borrowed until `sent` or done */
    /* Instead of body, when the request depends on the version: called twice (measure, write),
     * the same both times. May be NULL. */
    enum err (*encode)(struct call *call, int16_t version, struct wire_writer *writer);
    struct buf *holds[CALL_HOLDS_MAX]; /* what the records refer to; counted again by the frame */
    uint32_t holds_count;
    /* out */
    struct op_source done;
    enum err result; /* NONE: `reader` stands at the body of the answer */
    bool sent;       /* it may have reached the peer, whatever the result */
    int16_t version; /* once sent */
    int32_t correlation;
    struct wire_reader reader;
    struct connection_frame frame; /* the answer; until call_release() */
    /* private */
    struct peer *peer; /* while queued or in flight */
    bool finished;
    struct list link;
    int64_t deadline_ns;
};

void call_init(struct call *call, int16_t api);
static inline bool call_done(const struct call *call)
{
    return call->finished;
}
/* Withdraws a call that is not done (then it is, with CANCELED); its answer will be dropped. Wakes
 * nobody. Harmless otherwise. */
void call_cancel(struct call *call);
/* Gives the answer back. Harmless without one. The struct may be used for a new call then. */
void call_release(struct call *call);
/* For peer.c: the one way a call ends. */
void call_finish(struct call *call, enum err result);

struct peer_config {
    struct str client_id;   /* borrowed for the life of the peer */
    uint32_t in_flight_max; /* <= PEER_IN_FLIGHT_MAX */
    uint32_t queued_max;    /* calls waiting; more fail with TOO_MANY */
    int32_t request_timeout_ms;
    int32_t setup_timeout_ms; /* resolve + connect + negotiate, doubling up to the maximum */
    int32_t setup_timeout_max_ms;
    int32_t reconnect_backoff_ms;
    int32_t reconnect_backoff_max_ms;
    int32_t idle_max_ms; /* without any call the connection is closed; 0: never */
    struct connection_limits limits;
};
/* Kafka's defaults (clients.md 6.1). */
void peer_config_default(struct peer_config *config);

enum peer_state {
    PEER_IDLE,
    PEER_RESOLVING,
    PEER_CONNECTING,
    PEER_NEGOTIATING,
    PEER_READY,
    PEER_BACKOFF,
    PEER_CLOSING,
    PEER_CLOSED,
    PEER_STATE_COUNT
};

struct peer_flight {
    struct call *call; /* NULL: withdrawn, its answer is dropped */
    int32_t correlation;
    int16_t api;
    int16_t version;
    int64_t deadline_ns;
    uint64_t frame; /* number of the frame on its connection */
    bool no_response;
};

struct peer {
    int32_t node_id; /* -1: not known (bootstrap); also the peer of traces */
    uint16_t port;
    enum peer_state state;
    enum err last_error; /* of the latest failed attempt or connection; NONE after READY */
    uint32_t failures;   /* attempts in a row */
    uint64_t connects;   /* connections that became READY, ever */
    int64_t last_attempt_ns;
    struct op_source changed;                  /* state */
    struct wire_range versions[PEER_API_KEYS]; /* of the present connection; first > last: none */
    /* private */
    struct env *env;
    struct peer_config config;
    struct rng rng;
    struct op op;
    struct op_source wake; /* what the op waits on while there is no connection */
    struct connection connection;
    struct net_resolve resolve;
    struct net_connect connect;
    uint32_t address_at;
    bool close_wanted;
    bool connect_wanted;
    struct list queued; /* calls */
    uint32_t queued_count;
    uint32_t flight_first;
    uint32_t flight_count;
    struct peer_flight flights[PEER_IN_FLIGHT_MAX];
    int32_t next_correlation;
    uint64_t refused_at; /* frames_sent that a refused call waits for */
    int16_t negotiate_version;
    struct call negotiate;
    enum err attempt; /* how the present attempt to connect ended */
    int64_t throttled_until_ns;
    int64_t idle_since_ns;
    int64_t attempt_deadline_ns;
    bool withdrawn; /* the connect that is pending */
    int64_t backoff_until_ns;
    char host[PEER_HOST_MAX + 1];
    char resolve_host[PEER_HOST_MAX + 1]; /* while the world reads it */
};

/* `host` is copied; ERR_TOO_LARGE above PEER_HOST_MAX. `seed`: of the jitter (rng_stream()). */
MUST_USE enum err peer_init(struct peer *peer, struct env *env, const struct peer_config *config,
                            int32_t node_id, struct str host, uint16_t port, uint64_t seed);
/* CLOSED, or never used. */
void peer_deinit(struct peer *peer);

/* Queues a call. It never fails here: a refusal is the call's result, at once. */
void peer_call(struct peer *peer, struct call *call);
/* Begins to connect although there is no call yet. */
void peer_connect(struct peer *peer);
/* A call would not have to wait for a backoff. */
bool peer_usable(const struct peer *peer);
uint32_t peer_load(const struct peer *peer); /* calls queued and in flight */
/* READY: the version a call of this api would use; ERR_UNSUPPORTED_VERSION. Else ERR_BAD_STATE. */
MUST_USE enum err peer_version(const struct peer *peer, int16_t api, int16_t *version);
/* KIP-219: an answer asked for silence. */
void peer_throttle(struct peer *peer, int32_t ms);
/* The node moved (same id): drops the connection when host or port differ. */
MUST_USE enum err peer_move(struct peer *peer, struct str host, uint16_t port);

/* Whom we ask is not the right one any more: what is queued or in flight fails with
 * CONNECTION_RESET now, instead of waiting for an answer that may never come. */
void peer_drop(struct peer *peer);

/* Fails everything with CANCELED and closes; `changed` tells when it is CLOSED. */
void peer_close(struct peer *peer);

#endif
