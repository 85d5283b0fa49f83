#include "client/peer.h"

#include "wire/api_versions.h"

#include <string.h>

enum {
    PEER_JITTER_PERCENT = 20,
    PEER_NEGOTIATE_VERSION = 3,           /* of ApiVersions */
    PEER_VERSIONS_ARENA_MAX = 256 * 1024, /* room to decode the peer's table in */
};

/* The op that brings the connection up and serves it. Steps name what has been awaited. */
enum peer_step {
    PEER_START,
    PEER_WANTED,
    PEER_RESOLVED,
    PEER_CONNECTED,
    PEER_SERVED,
    PEER_GONE,
    PEER_BACKED_OFF,
    PEER_STEP_COUNT
};

static const char *const peer_steps[PEER_STEP_COUNT] = {
    [PEER_START] = "START",           [PEER_WANTED] = "WANTED", [PEER_RESOLVED] = "RESOLVED",
    [PEER_CONNECTED] = "CONNECTED",   [PEER_SERVED] = "SERVED", [PEER_GONE] = "GONE",
    [PEER_BACKED_OFF] = "BACKED_OFF",
};

static enum op_result peer_run(struct op *op);
static const struct op_kind peer_kind = {"peer", peer_steps, PEER_STEP_COUNT, peer_run, NULL};

#define STATES(a)        (1U << PEER_##a)
#define STATES2(a, b)    (STATES(a) | STATES(b))
#define STATES3(a, b, c) (STATES2(a, b) | STATES(c))

static void peer_set_state(struct peer *peer, enum peer_state state)
{
    /* any -> CLOSING besides */
    static const uint32_t legal[PEER_STATE_COUNT] = {
        [PEER_IDLE] = STATES2(RESOLVING, CONNECTING),
        [PEER_RESOLVING] = STATES2(CONNECTING, BACKOFF),
        [PEER_CONNECTING] = STATES3(CONNECTING, NEGOTIATING, BACKOFF),
        [PEER_NEGOTIATING] = STATES3(READY, CONNECTING, BACKOFF),
        [PEER_READY] = STATES2(BACKOFF, IDLE),
        [PEER_BACKOFF] = STATES3(IDLE, CONNECTING, NEGOTIATING),
        [PEER_CLOSING] = STATES(CLOSED),
        [PEER_CLOSED] = 0,
    };

    ASSERT(state == PEER_CLOSING || (legal[peer->state] & 1U << state) != 0);
    peer->state = state;
    op_wake(&peer->changed);
}

/* ---- calls --------------------------------------------------------------------------------- */

static void peer_fail_queued(struct peer *peer, enum err result)
{
    struct list *link;

    while ((link = list_pop(&peer->queued)) != NULL) {
        peer->queued_count--;
        call_finish(LIST_ENTRY(link, struct call, link), result);
    }
}

/* Takes the oldest request off the line and tells its caller, if it still has one. */
static void peer_flight_end(struct peer *peer, enum err result)
{
    struct peer_flight *flight = &peer->flights[peer->flight_first];
    struct call *call = flight->call;

    ASSERT(peer->flight_count > 0);
    peer->flight_first = (peer->flight_first + 1) % PEER_IN_FLIGHT_MAX;
    peer->flight_count--;
    if (!flight->no_response || result != ERR_NONE)
        TRACE(peer->env->world, RPC_REPLIED, (int64_t)peer->connection.net.id, flight->correlation,
              flight->api, call != NULL ? call->frame.length : 0, result);
    if (call != NULL) call_finish(call, result);
}

static void peer_fail_flights(struct peer *peer, enum err result)
{
    while (peer->flight_count > 0) {
        const struct peer_flight *flight = &peer->flights[peer->flight_first];
        bool late = flight->deadline_ns <= peer->env->now.mono.ns;

        peer_flight_end(peer, result != ERR_CANCELED && late ? ERR_TIMED_OUT : result);
    }
}

void peer_call(struct peer *peer, struct call *call)
{
    int32_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : peer->config.request_timeout_ms;

    ASSERT(!call->finished && call->peer == NULL && call->frame.buf == NULL);
    if (peer->close_wanted) {
        call_finish(call, ERR_CANCELED);
    } else if (peer->queued_count >= peer->config.queued_max) {
        call_finish(call, ERR_TOO_MANY);
    } else {
        call->peer = peer;
        call->deadline_ns = env_deadline(peer->env, timeout_ms);
        list_push(&peer->queued, &call->link);
        peer->queued_count++;
        op_resume(&peer->op);
    }
}

/* ---- sending ------------------------------------------------------------------------------- */

static enum err peer_pick(const struct peer *peer, const struct call *call, int16_t *version)
{
    const struct api_entry *entry = api_find(call->api);
    struct wire_range theirs;
    int16_t low, high;

    if (entry == NULL || call->api < 0 || call->api >= PEER_API_KEYS)
        return ERR_UNSUPPORTED_VERSION;
    theirs = peer->versions[call->api];
    if (call->api == API_API_VERSIONS && peer->state == PEER_NEGOTIATING)
        theirs = (struct wire_range){peer->negotiate_version, peer->negotiate_version};
    low = entry->served.first > theirs.first ? entry->served.first : theirs.first;
    high = entry->served.last < theirs.last ? entry->served.last : theirs.last;
    if (low < call->version_min) low = call->version_min;
    if (high > call->version_max) high = call->version_max;
    if (low > high) return ERR_UNSUPPORTED_VERSION;
    *version = high;
    return ERR_NONE;
}

static enum err peer_encode(struct peer *peer, struct call *call, int32_t correlation,
                            struct wire_writer *writer)
{
    const struct api_entry *entry = api_find(call->api);
    struct wire_frame frame =
        api_begin_request(writer, call->api, call->version, correlation, peer->config.client_id);
    enum err err = call->encode != NULL ? call->encode(call, call->version, writer)
                                        : entry->request->encode(writer, call->version, call->body);

    if (err != ERR_NONE) return err;
    wire_frame_end(writer, frame);
    return wire_writer_finish(writer);
}

/* Makes the frame of a call. The caller has picked the version. */
static enum err peer_frame(struct peer *peer, struct call *call, int32_t correlation,
                           struct connection_out **out, uint32_t *slices)
{
    struct wire_writer writer;
    struct wire_size size;
    enum err err;

    wire_writer_measure(&writer);
    err = peer_encode(peer, call, correlation, &writer);
    if (err != ERR_NONE) return err;
    size = wire_writer_size(&writer);
    *out = connection_out_create(&peer->connection, size.bytes - size.payload, size.slices,
                                 call->holds_count);
    if (*out == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, (*out)->head, (*out)->head_size);
    wire_writer_gather(&writer, (*out)->slices, (*out)->slices_max);
    err = peer_encode(peer, call, correlation, &writer);
    if (err != ERR_NONE) {
        connection_out_destroy(&peer->connection, *out);
        return err;
    }
    for (uint32_t i = 0; i < call->holds_count; i++)
        connection_out_hold(*out, call->holds[i]);
    *slices = writer.slices_count;
    return ERR_NONE;
}

/* On an error the call was not sent and is still the caller's to finish. */
static enum err peer_send(struct peer *peer, struct call *call, int32_t timeout_ms)
{
    int32_t correlation = peer->next_correlation;
    struct connection_out *out = NULL;
    struct peer_flight *flight;
    uint32_t slices = 0;
    enum err err = peer_pick(peer, call, &call->version);

    ASSERT(peer->flight_count < PEER_IN_FLIGHT_MAX);
    if (err == ERR_NONE) err = peer_frame(peer, call, correlation, &out, &slices);
    if (err != ERR_NONE) return err;
    err = connection_send(&peer->connection, out, slices);
    if (err != ERR_NONE) {
        connection_out_destroy(&peer->connection, out);
        return err;
    }
    TRACE(peer->env->world, RPC_SENT, (int64_t)peer->connection.net.id, correlation, call->api,
          call->version, (int64_t)out->bytes, peer->node_id);
    flight = &peer->flights[(peer->flight_first + peer->flight_count) % PEER_IN_FLIGHT_MAX];
    *flight = (struct peer_flight){.call = call,
                                   .correlation = correlation,
                                   .api = call->api,
                                   .version = call->version,
                                   .deadline_ns = env_deadline(peer->env, timeout_ms),
                                   .frame = peer->connection.frames_queued,
                                   .no_response = call->no_response};
    peer->flight_count++;
    peer->next_correlation = correlation == INT32_MAX ? 0 : correlation + 1;
    call->peer = peer;
    call->sent = true;
    call->correlation = correlation;
    return ERR_NONE;
}

/* A queued call may be sent now. A frame that was refused for its size waits until another one has
 * left. */
static bool peer_can_send(const struct peer *peer)
{
    return peer->state == PEER_READY && peer->connection.state == CONNECTION_OPEN &&
           !list_empty(&peer->queued) && peer->flight_count < peer->config.in_flight_max &&
           peer->throttled_until_ns <= peer->env->now.mono.ns &&
           connection_sendable(&peer->connection, 0) &&
           peer->refused_at <= peer->connection.frames_sent;
}

static void peer_send_queued(struct peer *peer)
{
    while (peer_can_send(peer)) {
        struct call *call = LIST_ENTRY(peer->queued.next, struct call, link);
        int32_t timeout_ms =
            call->timeout_ms > 0 ? call->timeout_ms : peer->config.request_timeout_ms;
        enum err err = peer_send(peer, call, timeout_ms);

        if (err == ERR_TOO_MANY && peer->connection.send_queue > 0) {
            peer->refused_at = peer->connection.frames_sent + 1;
            return;
        }
        list_remove(&call->link);
        peer->queued_count--;
        if (err != ERR_NONE) call_finish(call, err);
    }
}

/* ---- receiving ----------------------------------------------------------------------------- */

/* Requests without an answer are done when the transport has taken them. */
static void peer_end_written(struct peer *peer)
{
    while (peer->flight_count > 0) {
        const struct peer_flight *flight = &peer->flights[peer->flight_first];

        if (!flight->no_response || flight->frame > peer->connection.frames_sent) return;
        peer_flight_end(peer, ERR_NONE);
    }
}

static bool peer_written_waits(const struct peer *peer)
{
    const struct peer_flight *flight = &peer->flights[peer->flight_first];

    return peer->flight_count > 0 && flight->no_response &&
           flight->frame <= peer->connection.frames_sent;
}

/* One answer. It must be that of the oldest request that waits for one. */
static void peer_answer(struct peer *peer, struct connection_frame *frame)
{
    struct wire_reader reader;
    struct arena none;
    int32_t correlation = -1;
    struct peer_flight *flight;
    enum err err;

    while (peer->flight_count > 0 && peer->flights[peer->flight_first].no_response)
        peer_flight_end(peer, ERR_NONE); /* what came later was answered, so it was written */
    if (peer->flight_count == 0) {
        connection_hostile(&peer->connection, -1, -1, ERR_MALFORMED, STR("unasked answer"));
        return;
    }
    flight = &peer->flights[peer->flight_first];
    arena_init(&none, &peer->env->mem, 0);
    wire_reader_init(&reader, frame->data, frame->length);
    err = api_read_response_header(&reader, flight->api, flight->version, &none, &correlation);
    arena_deinit(&none);
    if (err == ERR_NONE && correlation != flight->correlation) err = ERR_MALFORMED;
    if (err != ERR_NONE) {
        connection_hostile(&peer->connection, flight->api, flight->version, err,
                           STR("unexpected correlation id, or no header"));
        return;
    }
    if (flight->call != NULL) {
        flight->call->frame = *frame;
        flight->call->reader = reader;
        *frame = (struct connection_frame){0};
    }
    peer_flight_end(peer, ERR_NONE);
}

/* ---- deadlines ----------------------------------------------------------------------------- */

static int64_t peer_next_deadline(const struct peer *peer)
{
    int64_t next = OP_NO_DEADLINE;

    for (uint32_t i = 0; i < peer->flight_count; i++) {
        const struct peer_flight *flight =
            &peer->flights[(peer->flight_first + i) % PEER_IN_FLIGHT_MAX];

        if (flight->deadline_ns < next) next = flight->deadline_ns;
    }
    LIST_FOR_EACH (link, &peer->queued) {
        const struct call *call = LIST_ENTRY(link, struct call, link);

        if (call->deadline_ns < next) next = call->deadline_ns;
    }
    if (peer->throttled_until_ns > peer->env->now.mono.ns && peer->throttled_until_ns < next)
        next = peer->throttled_until_ns;
    if (peer->state == PEER_READY && peer->config.idle_max_ms > 0 && peer->flight_count == 0 &&
        list_empty(&peer->queued)) {
        int64_t idle = peer->idle_since_ns + peer->config.idle_max_ms * NS_PER_MS;

        if (idle < next) next = idle;
    }
    if (peer->state == PEER_NEGOTIATING && peer->attempt_deadline_ns < next)
        next = peer->attempt_deadline_ns;
    return next;
}

static void peer_expire_queued(struct peer *peer)
{
    LIST_FOR_EACH_SAFE (link, after, &peer->queued) {
        struct call *call = LIST_ENTRY(link, struct call, link);

        if (call->deadline_ns > peer->env->now.mono.ns) continue;
        list_remove(&call->link);
        peer->queued_count--;
        call_finish(call, ERR_TIMED_OUT);
    }
}

/* Closes when a request in flight is overdue, or when nobody wants the connection any more. */
static void peer_expire(struct peer *peer)
{
    int64_t now_ns = peer->env->now.mono.ns;

    peer_expire_queued(peer);
    for (uint32_t i = 0; i < peer->flight_count; i++) {
        const struct peer_flight *flight =
            &peer->flights[(peer->flight_first + i) % PEER_IN_FLIGHT_MAX];

        if (flight->deadline_ns <= now_ns) connection_close(&peer->connection, ERR_TIMED_OUT);
    }
    if (peer->state == PEER_NEGOTIATING && peer->attempt_deadline_ns <= now_ns)
        connection_close(&peer->connection, ERR_TIMED_OUT);
    if (peer->flight_count > 0 || !list_empty(&peer->queued)) {
        peer->idle_since_ns = now_ns;
    } else if (peer->state == PEER_READY && peer->config.idle_max_ms > 0 &&
               now_ns - peer->idle_since_ns >= peer->config.idle_max_ms * NS_PER_MS) {
        connection_close(&peer->connection, ERR_NONE);
    }
}

/* ---- negotiation --------------------------------------------------------------------------- */

static void peer_ask_versions(struct peer *peer)
{
    static const struct api_versions_request body = {
        .client_software_name = {"gregor", 6},
        .client_software_version = {"0.1", 3},
    };
    enum err err;

    call_init(&peer->negotiate, API_API_VERSIONS);
    peer->negotiate.body = &body;
    err = peer_send(peer, &peer->negotiate, peer->config.setup_timeout_max_ms);
    if (err != ERR_NONE) connection_close(&peer->connection, err);
}

static void peer_take_versions(struct peer *peer, const struct api_versions_response *response)
{
    for (uint32_t key = 0; key < PEER_API_KEYS; key++)
        peer->versions[key] = (struct wire_range){0, -1};
    for (uint32_t i = 0; i < response->api_keys_count; i++) {
        const struct api_versions_response_api_version *api = &response->api_keys[i];

        if (api->api_key < 0 || api->api_key >= PEER_API_KEYS) continue;
        peer->versions[api->api_key] = (struct wire_range){api->min_version, api->max_version};
    }
}

/* The version to ask again with after error 35: what the peer says it can, or 0; always lower, so
 * that it ends. -1: give up. */
static int16_t peer_lower_version(const struct peer *peer,
                                  const struct api_versions_response *response)
{
    int16_t told = 0;

    for (uint32_t i = 0; i < response->api_keys_count; i++)
        if (response->api_keys[i].api_key == API_API_VERSIONS)
            told = response->api_keys[i].max_version;
    if (told >= peer->negotiate_version || told < 0) told = 0;
    return peer->negotiate_version > 0 ? told : -1;
}

/* The answer in the version asked for; error 35 comes in v0 form, whatever was asked (KIP-511). */
static enum err peer_decode_versions(struct peer *peer, struct arena *arena,
                                     struct api_versions_response *response)
{
    struct wire_reader reader = peer->negotiate.reader;
    struct wire_reader again = reader;
    enum err err = ERR_MALFORMED;
    bool refused =
        wire_left(&reader) >= 2 && reader.at[0] == 0 && reader.at[1] == ERR_UNSUPPORTED_VERSION;

    if (!refused)
        err = api_versions_response_decode(&reader, peer->negotiate_version, arena, response);
    if (err != ERR_NONE) err = api_versions_response_decode(&again, 0, arena, response);
    return err;
}

static void peer_versions_answered(struct peer *peer)
{
    struct api_versions_response response;
    struct arena arena;
    enum err err;
    enum err told;

    arena_init(&arena, &peer->env->mem, PEER_VERSIONS_ARENA_MAX);
    err = peer_decode_versions(peer, &arena, &response);
    told = err == ERR_NONE ? err_from_wire(response.error_code) : err;
    if (told == ERR_NONE) {
        peer_take_versions(peer, &response);
        peer->connects++;
        peer->failures = 0;
        peer->last_error = ERR_NONE;
        peer->idle_since_ns = peer->env->now.mono.ns;
        peer_set_state(peer, PEER_READY);
    } else if (told == ERR_UNSUPPORTED_VERSION && peer_lower_version(peer, &response) >= 0) {
        peer->negotiate_version = peer_lower_version(peer, &response);
        call_release(&peer->negotiate);
        peer_ask_versions(peer);
    } else {
        connection_close(&peer->connection, told);
    }
    arena_deinit(&arena);
    if (peer->negotiate.finished) call_release(&peer->negotiate);
}

/* ---- the op -------------------------------------------------------------------------------- */

/* Everything a live connection gives to do. Afterwards nothing is due. */
static void peer_serve(struct peer *peer)
{
    struct connection_frame frame;

    peer_expire(peer);
    peer_end_written(peer);
    while (connection_next(&peer->connection, true, &frame)) {
        peer_answer(peer, &frame);
        connection_frame_release(&frame);
        if (peer->state == PEER_NEGOTIATING && peer->negotiate.finished)
            peer_versions_answered(peer);
    }
    peer_send_queued(peer);
}

static bool peer_has_work(const struct peer *peer)
{
    return peer->close_wanted || peer->connection.state != CONNECTION_OPEN ||
           connection_readable(&peer->connection) || peer_can_send(peer) ||
           peer_written_waits(peer) || op_expired(&peer->op) ||
           peer_next_deadline(peer) < peer->op.deadline_ns;
}

static int64_t peer_backoff_ms(struct peer *peer)
{
    int64_t ms = peer->config.reconnect_backoff_ms;
    int64_t spread;

    for (uint32_t i = 1; i < peer->failures && ms < peer->config.reconnect_backoff_max_ms; i++)
        ms *= 2;
    if (ms > peer->config.reconnect_backoff_max_ms) ms = peer->config.reconnect_backoff_max_ms;
    spread = ms * PEER_JITTER_PERCENT / 100;
    return rng_range(&peer->rng, ms - spread, ms + spread);
}

static void peer_attempt_begin(struct peer *peer)
{
    int64_t timeout_ms = peer->config.setup_timeout_ms;

    for (uint32_t i = 0; i < peer->failures && timeout_ms < peer->config.setup_timeout_max_ms; i++)
        timeout_ms *= 2;
    if (timeout_ms > peer->config.setup_timeout_max_ms)
        timeout_ms = peer->config.setup_timeout_max_ms;
    peer->attempt_deadline_ns = env_deadline(peer->env, timeout_ms);
    peer->last_attempt_ns = peer->env->now.mono.ns;
    peer->connect_wanted = false;
    peer->attempt = ERR_BAD_STATE;
    peer->resolve.count = 0;
    memcpy(peer->resolve_host, peer->host, sizeof peer->host);
    peer->resolve.host = str_of(peer->resolve_host);
    peer->resolve.port = peer->port;
    peer->address_at = 0;
    peer_set_state(peer, PEER_RESOLVING);
    net_resolve(peer->env->world, &peer->resolve);
}

static void peer_resolved(struct peer *peer)
{
    peer->attempt = peer->resolve.req.result;
    if (peer->attempt == ERR_NONE) {
        peer->attempt = peer->resolve.count > 0 ? ERR_BAD_STATE : ERR_ADDRESS_UNKNOWN;
    } else {
        peer->resolve.count = 0;
    }
}

static void peer_connect_next(struct peer *peer)
{
    peer_set_state(peer, PEER_CONNECTING);
    connection_init(&peer->connection, peer->env, &peer->config.limits);
    peer->refused_at = 0;
    peer->connect.address = peer->resolve.addresses[peer->address_at++];
    peer->connect.conn = &peer->connection.net;
    peer->withdrawn = false;
    net_connect(peer->env->world, &peer->connect);
}

static void peer_connected(struct peer *peer)
{
    peer->attempt = peer->connect.req.result;
    if (peer->attempt == ERR_CANCELED && !peer->close_wanted) peer->attempt = ERR_TIMED_OUT;
    if (peer->attempt != ERR_NONE) return;
    peer->attempt_deadline_ns = env_deadline(peer->env, peer->config.setup_timeout_ms);
    connection_opened(&peer->connection, peer->node_id, false);
    if (peer->close_wanted) return;
    peer->negotiate_version = PEER_NEGOTIATE_VERSION;
    peer_set_state(peer, PEER_NEGOTIATING);
    peer_ask_versions(peer);
}

/* The connection ended, orderly or not. */
static void peer_lost(struct peer *peer)
{
    enum err why = peer->connection.ended;

    peer_fail_flights(peer, peer->close_wanted ? ERR_CANCELED : ERR_CONNECTION_RESET);
    call_release(&peer->negotiate);
    if (why == ERR_EOF || why == ERR_NONE) why = ERR_CONNECTION_RESET;
    peer->last_error = why;
    peer->attempt = peer->state == PEER_READY ? ERR_NONE : why;
}

/* After the last address of an attempt: who waits may ask another node. */
static void peer_attempt_failed(struct peer *peer)
{
    peer->last_error = peer->attempt;
    if (peer->failures < UINT32_MAX) peer->failures++;
    peer_fail_queued(peer, peer->attempt);
}

static bool peer_more_addresses(const struct peer *peer)
{
    return !peer->close_wanted && peer->attempt != ERR_NONE &&
           peer->address_at < peer->resolve.count &&
           peer->env->now.mono.ns < peer->attempt_deadline_ns;
}

/* While there is no connection: queued calls end at their deadlines, also those that come yet. */
static void peer_wait_until(struct peer *peer, int64_t until_ns)
{
    int64_t queued_ns;

    peer_expire_queued(peer);
    queued_ns = peer_next_deadline(peer);
    op_deadline(&peer->op, queued_ns < until_ns ? queued_ns : until_ns);
}

static bool peer_wait_due(const struct peer *peer)
{
    return op_expired(&peer->op) || peer_next_deadline(peer) < peer->op.deadline_ns;
}

/* The present attempt's deadline. Once it has passed, or nobody wants the connection any more, the
 * connect is withdrawn. */
static int64_t peer_overdue(struct peer *peer)
{
    if (peer->withdrawn) return OP_NO_DEADLINE;
    if (!peer->close_wanted && peer->env->now.mono.ns < peer->attempt_deadline_ns)
        return peer->attempt_deadline_ns;
    peer->withdrawn = true;
    net_connect_cancel(peer->env->world, &peer->connect);
    return OP_NO_DEADLINE;
}

static bool peer_connect_due(const struct peer *peer)
{
    return !peer->connect.req.pending || (peer->close_wanted && !peer->withdrawn) ||
           peer_wait_due(peer);
}

static bool peer_idle_over(const struct peer *peer)
{
    return peer->close_wanted || peer->connect_wanted || !list_empty(&peer->queued);
}

static enum op_result peer_run(struct op *op)
{
    struct peer *o = CONTAINER_OF(op, struct peer, op);

    switch ((enum peer_step)op->step) {
    case PEER_START:
        for (;;) {
            op_deadline(op, OP_NO_DEADLINE);
            AWAIT(o, PEER_WANTED, &o->wake, peer_idle_over(o));
            if (o->close_wanted) break;
            peer_attempt_begin(o);
            while (o->resolve.req.pending) {
                peer_wait_until(o, OP_NO_DEADLINE);
                AWAIT(o, PEER_RESOLVED, &o->wake, !o->resolve.req.pending || peer_wait_due(o));
            }
            peer_resolved(o);
            while (peer_more_addresses(o)) {
                peer_connect_next(o);
                while (o->connect.req.pending) {
                    peer_wait_until(o, peer_overdue(o));
                    AWAIT(o, PEER_CONNECTED, &o->wake, peer_connect_due(o));
                }
                peer_connected(o);
                while (o->connection.state == CONNECTION_OPEN && !o->close_wanted) {
                    peer_serve(o);
                    op_deadline(op, peer_next_deadline(o));
                    AWAIT(o, PEER_SERVED, &o->connection.events, peer_has_work(o));
                }
                if (o->connection.state == CONNECTION_FREE) continue;
                connection_close(&o->connection, ERR_CANCELED);
                op_deadline(op, OP_NO_DEADLINE);
                AWAIT(o, PEER_GONE, &o->connection.events,
                      o->connection.state == CONNECTION_CLOSED);
                peer_lost(o);
            }
            if (o->close_wanted) break;
            if (o->attempt != ERR_NONE) peer_attempt_failed(o);
            if (o->state != PEER_BACKOFF) peer_set_state(o, PEER_BACKOFF);
            o->backoff_until_ns = env_deadline(o->env, peer_backoff_ms(o));
            while (!o->close_wanted && o->env->now.mono.ns < o->backoff_until_ns) {
                peer_wait_until(o, o->backoff_until_ns);
                AWAIT(o, PEER_BACKED_OFF, &o->wake, o->close_wanted || peer_wait_due(o));
            }
            if (o->close_wanted) break;
            peer_set_state(o, PEER_IDLE);
        }
        ASSERT(list_empty(&o->queued) && o->flight_count == 0);
        peer_set_state(o, PEER_CLOSED);
        return OP_DONE;
    case PEER_STEP_COUNT: break;
    }
    IMPOSSIBLE("step");
}

/* ---- life ---------------------------------------------------------------------------------- */

void peer_config_default(struct peer_config *config)
{
    *config = (struct peer_config){
        .client_id = STR("gregor"),
        .in_flight_max = 5,
        .queued_max = 1000,
        .request_timeout_ms = 30000,
        .setup_timeout_ms = 10000,
        .setup_timeout_max_ms = 30000,
        .reconnect_backoff_ms = 50,
        .reconnect_backoff_max_ms = 1000,
        .idle_max_ms = 540000,
        .limits = {.frame_max = 64 * 1024 * 1024,
                   .send_queue_max = 64,
                   .send_bytes_max = 16 * 1024 * 1024},
    };
}

static void peer_resolve_complete(struct world_req *req, struct instant now)
{
    struct net_resolve *resolve = CONTAINER_OF(req, struct net_resolve, req);

    (void)now;
    op_wake(&CONTAINER_OF(resolve, struct peer, resolve)->wake);
}

static void peer_connect_complete(struct world_req *req, struct instant now)
{
    struct net_connect *connect = CONTAINER_OF(req, struct net_connect, req);

    (void)now;
    op_wake(&CONTAINER_OF(connect, struct peer, connect)->wake);
}

static enum err peer_set_address(struct peer *peer, struct str host, uint16_t port)
{
    if (host.length > PEER_HOST_MAX) return ERR_TOO_LARGE;
    if (host.length > 0) memcpy(peer->host, host.data, host.length);
    peer->host[host.length] = 0;
    peer->port = port;
    return ERR_NONE;
}

enum err peer_init(struct peer *peer, struct env *env, const struct peer_config *config,
                   int32_t node_id, struct str host, uint16_t port, uint64_t seed)
{
    ASSERT(config->in_flight_max > 0 && config->in_flight_max <= PEER_IN_FLIGHT_MAX);
    ASSERT(config->queued_max > 0);
    if (host.length > PEER_HOST_MAX) return ERR_TOO_LARGE;
    *peer = (struct peer){.env = env, .config = *config, .node_id = node_id};
    for (uint32_t key = 0; key < PEER_API_KEYS; key++)
        peer->versions[key] = (struct wire_range){0, -1};
    rng_init(&peer->rng, seed);
    list_init(&peer->queued);
    op_source_init(&peer->changed);
    op_source_init(&peer->wake);
    world_req_init(&peer->resolve.req, peer_resolve_complete);
    world_req_init(&peer->connect.req, peer_connect_complete);
    connection_init(&peer->connection, env, &config->limits);
    op_start(&env->loop, &peer->op, &peer_kind, PEER_START);
    return peer_set_address(peer, host, port);
}

void peer_deinit(struct peer *peer)
{
    ASSERT(peer->state == PEER_CLOSED);
    ASSERT(!op_live(&peer->op));
    ASSERT(op_source_empty(&peer->changed));
}

void peer_connect(struct peer *peer)
{
    if (peer->close_wanted) return;
    peer->connect_wanted = true;
    op_resume(&peer->op);
}

bool peer_usable(const struct peer *peer)
{
    return !peer->close_wanted && peer->state != PEER_BACKOFF;
}

uint32_t peer_load(const struct peer *peer)
{
    return peer->queued_count + peer->flight_count;
}

enum err peer_version(const struct peer *peer, int16_t api, int16_t *version)
{
    struct call probe;

    if (peer->state != PEER_READY) return ERR_BAD_STATE;
    call_init(&probe, api);
    return peer_pick(peer, &probe, version);
}

void peer_throttle(struct peer *peer, int32_t ms)
{
    int64_t until_ns = env_deadline(peer->env, ms);

    if (ms <= 0) return;
    if (until_ns > peer->throttled_until_ns) peer->throttled_until_ns = until_ns;
    if (op_live(&peer->op)) op_resume(&peer->op); /* to set its deadline anew */
}

enum err peer_move(struct peer *peer, struct str host, uint16_t port)
{
    if (host.length > PEER_HOST_MAX) return ERR_TOO_LARGE;
    if (port == peer->port && str_equal(host, str_of(peer->host))) return ERR_NONE;
    connection_close(&peer->connection, ERR_CANCELED);
    return peer_set_address(peer, host, port);
}

void peer_drop(struct peer *peer)
{
    if (peer->close_wanted) return;
    peer_fail_queued(peer, ERR_CONNECTION_RESET);
    if (peer->flight_count > 0) connection_close(&peer->connection, ERR_CANCELED);
}

void peer_close(struct peer *peer)
{
    if (peer->close_wanted) return;
    peer->close_wanted = true;
    peer_fail_queued(peer, ERR_CANCELED);
    peer_set_state(peer, PEER_CLOSING);
    op_resume(&peer->op);
}
