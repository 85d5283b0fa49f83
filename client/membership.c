#include "client/membership.h"

#include "client/base/text.h"

#include <string.h>

enum membership_step {
    MEMBERSHIP_START,
    MEMBERSHIP_EVENT,
    MEMBERSHIP_PEER_CLOSED,
    MEMBERSHIP_STEPS
};
static const char *const membership_steps[MEMBERSHIP_STEPS] = {
    [MEMBERSHIP_START] = "START",
    [MEMBERSHIP_EVENT] = "EVENT",
    [MEMBERSHIP_PEER_CLOSED] = "PEER_CLOSED",
};
static enum op_result membership_run(struct op *op);
static const struct op_kind membership_kind = {"membership", membership_steps, MEMBERSHIP_STEPS,
                                               membership_run, NULL};

enum { MEMBERSHIP_TURNS_MAX = 64 };

void membership_kick(struct membership *member)
{
    member->kicked = true;
    op_wake(&member->wake);
}

struct str membership_id(const struct membership *member)
{
    return (struct str){member->id, member->id_length};
}

struct str membership_instance(const struct membership *member)
{
    return member->config.instance_id.length > 0 ? member->config.instance_id : STR_NULL;
}

bool membership_cooperative(const struct membership *member)
{
    if (membership_is_consumer(member)) return true;
    for (uint32_t i = 0; i < member->config.assignors_count; i++)
        if (member->config.assignors[i] != ASSIGNOR_COOPERATIVE_STICKY) return false;
    return true;
}

/* ---- traces and states ---------------------------------------------------------------------- */

/* A member's id as a number: FNV-1a. */
static int64_t membership_number(const struct membership *member)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (uint32_t i = 0; i < member->id_length; i++)
        hash = (hash ^ (uint8_t)member->id[i]) * UINT64_C(0x100000001b3);
    return (int64_t)(hash >> 1);
}

void membership_trace_partition(struct membership *member, enum trace_kind kind, struct str topic,
                                const int64_t *fields, uint32_t count)
{
    char buffer[600];
    struct text text;

    if (!member->env->world->trace_detail) return;
    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%S %S", member->config.group_id, topic);
    trace_emit(member->env->world, kind, text_view(&text), fields, count);
}

void membership_set_state(struct membership *member, enum membership_state state)
{
    enum {
        END = 1U << MEMBERSHIP_FAILED | 1U << MEMBERSHIP_LEAVING,
        BACK = END | 1U << MEMBERSHIP_PREPARING,
    };
    static const uint32_t legal[MEMBERSHIP_STATES] = {
        [MEMBERSHIP_IDLE] = BACK,
        [MEMBERSHIP_PREPARING] = END | 1U << MEMBERSHIP_JOINING | 1U << MEMBERSHIP_IDLE,
        [MEMBERSHIP_JOINING] =
            BACK | 1U << MEMBERSHIP_COMPUTING | 1U << MEMBERSHIP_SYNCING | 1U << MEMBERSHIP_STABLE,
        [MEMBERSHIP_COMPUTING] = BACK | 1U << MEMBERSHIP_SYNCING,
        [MEMBERSHIP_SYNCING] = BACK | 1U << MEMBERSHIP_ASSIGNING,
        [MEMBERSHIP_ASSIGNING] = BACK | 1U << MEMBERSHIP_STABLE,
        [MEMBERSHIP_STABLE] = BACK | 1U << MEMBERSHIP_ASSIGNING,
        [MEMBERSHIP_FAILED] = 1U << MEMBERSHIP_LEAVING,
        [MEMBERSHIP_LEAVING] = 1U << MEMBERSHIP_CLOSED,
        [MEMBERSHIP_CLOSED] = 0,
    };
    enum membership_state old = member->state;

    ASSERT((legal[old] & 1U << state) != 0);
    member->state = state;
    if (state == MEMBERSHIP_STABLE) member->rebalances++;
    TRACE_TEXT(member->env->world, CLIENT_GROUP, member->config.group_id, (int64_t)old,
               (int64_t)state, member->generation, membership_number(member),
               (int64_t)member->rebalances);
    membership_kick(member);
    op_wake(&member->consumer->ready);
}

static bool membership_joined(const struct membership *member)
{
    switch (member->state) {
    case MEMBERSHIP_JOINING:
    case MEMBERSHIP_COMPUTING:
    case MEMBERSHIP_SYNCING:
    case MEMBERSHIP_ASSIGNING:
    case MEMBERSHIP_STABLE: return true;
    case MEMBERSHIP_IDLE:
    case MEMBERSHIP_PREPARING:
    case MEMBERSHIP_FAILED:
    case MEMBERSHIP_LEAVING:
    case MEMBERSHIP_CLOSED:
    case MEMBERSHIP_STATES: return false;
    }
    IMPOSSIBLE("state");
}

void membership_fail(struct membership *member, enum err err)
{
    if (member->state >= MEMBERSHIP_FAILED) return;
    member->error = err;
    member->generation = -1;
    membership_unwatch(member);
    TRACE(member->env->world, CLIENT_ERROR, API_JOIN_GROUP, err, 0, -1);
    membership_set_state(member, MEMBERSHIP_FAILED);
}

void membership_reset(struct membership *member, bool forget, enum err err)
{
    TRACE(member->env->world, CLIENT_ERROR, API_JOIN_GROUP, err, 0, -1);
    member->generation = -1;
    member->leader = false;
    if (membership_is_consumer(member)) {
        membership_consumer_reset(member); /* its id is its own */
    } else if (forget) {
        member->id_length = 0;
    }
    membership_unwatch(member);
    if (membership_joined(member)) membership_set_state(member, MEMBERSHIP_PREPARING);
    membership_kick(member);
}

/* ---- calls ---------------------------------------------------------------------------------- */

enum call_step { CALL_START, CALL_ANSWERED, CALL_STEPS };
static const char *const call_steps[CALL_STEPS] = {"START", "ANSWERED"};

static enum op_result call_run(struct op *op)
{
    struct membership_call *o = CONTAINER_OF(op, struct membership_call, op);

    switch ((enum call_step)op->step) {
    case CALL_START:
        AWAIT(o, CALL_ANSWERED, &o->call.done, call_done(&o->call));
        membership_kick(o->member);
        if (o->call.result == ERR_CANCELED) {
            call_release(&o->call);
        } else {
            o->answered(o->member);
        }
        return OP_DONE;
    case CALL_STEPS: break;
    }
    IMPOSSIBLE("step");
}

void membership_call_init(struct membership_call *call, int16_t api, const void *body)
{
    ASSERT(!op_live(&call->op));
    call_release(&call->call);
    call_init(&call->call, api);
    call->call.body = body;
}

void membership_ask(struct membership *member, struct membership_call *call, struct peer *peer,
                    int32_t timeout_ms, void (*answered)(struct membership *member))
{
    static const struct op_kind kind = {"membership.call", call_steps, CALL_STEPS, call_run, NULL};

    call->member = member;
    call->answered = answered;
    call->call.timeout_ms = timeout_ms;
    op_start(&member->env->loop, &call->op, &kind, CALL_START);
    peer_call(peer, &call->call);
}

void membership_call_stop(struct membership_call *call)
{
    if (!op_live(&call->op)) return;
    call_cancel(&call->call);
    op_resume(&call->op);
}

/* ---- coordinator ---------------------------------------------------------------------------- */

bool membership_coordinator_gone(enum err err)
{
    return err == ERR_NOT_COORDINATOR || err == ERR_COORDINATOR_NOT_AVAILABLE || !err_is_wire(err);
}

void membership_lose_coordinator(struct membership *member)
{
    member->coordinator_known = false;
    membership_kick(member);
}

void membership_retry(struct membership *member, int16_t api, enum err err)
{
    struct metadata *metadata = &member->consumer->metadata;

    TRACE(member->env->world, CLIENT_ERROR, api, err, 0, -1);
    member->failures++;
    member->retry_at_ns =
        env_deadline(member->env, metadata_backoff_ms(metadata, member->failures));
    if (membership_coordinator_gone(err)) membership_lose_coordinator(member);
    membership_kick(member);
}

/* From version 4 on a list of keys. */
static enum err find_encode(struct call *call, int16_t version, struct wire_writer *writer)
{
    enum { LIST_FROM = 4 };
    const struct find_coordinator_request *body = call->body;
    struct find_coordinator_request request = *body;
    struct str key = request.key;

    if (version >= LIST_FROM) {
        request.key = STR("");
        request.coordinator_keys = &key;
        request.coordinator_keys_count = 1;
    }
    return find_coordinator_request_encode(writer, version, &request);
}

static enum err take_coordinator(struct membership *member, int32_t node, struct str host,
                                 int32_t port)
{
    enum err err;

    if (node < 0 || port <= 0 || port > UINT16_MAX) return ERR_MALFORMED;
    if (!member->peer_made) {
        struct metadata *metadata = &member->consumer->metadata;

        err = peer_init(&member->peer, member->env, &metadata->config.peer, node, host,
                        (uint16_t)port, rng_u64(&metadata->rng));
        if (err != ERR_NONE) return err;
        member->peer_made = true;
    } else {
        err = peer_move(&member->peer, host, (uint16_t)port);
        if (err != ERR_NONE) return err;
        member->peer.node_id = node;
    }
    member->coordinator = node;
    member->coordinator_known = true;
    member->heard_ns = member->env->now.mono.ns;
    return ERR_NONE;
}

static void found(struct membership *member)
{
    struct call *call = &member->find.call;
    struct find_coordinator_response response;
    enum err err = call->result;

    arena_reset(&member->offsets_arena);
    if (err == ERR_NONE)
        err = find_coordinator_response_decode(&call->reader, call->version, &member->offsets_arena,
                                               &response);
    if (err == ERR_NONE && call->version >= 4) {
        const struct find_coordinator_response_coordinator *one = response.coordinators;

        err = response.coordinators_count == 1 ? err_from_wire(one->error_code) : ERR_MALFORMED;
        if (err == ERR_NONE) err = take_coordinator(member, one->node_id, one->host, one->port);
    } else if (err == ERR_NONE) {
        err = err_from_wire(response.error_code);
        if (err == ERR_NONE)
            err = take_coordinator(member, response.node_id, response.host, response.port);
    }
    call_release(call);
    arena_reset(&member->offsets_arena);
    if (err == ERR_NONE) return;
    if (err_is_wire(err) && err_retry(err) == ERR_FINAL) {
        membership_fail(member, err);
    } else {
        membership_retry(member, API_FIND_COORDINATOR, err);
    }
}

bool membership_find(struct membership *member)
{
    struct metadata *metadata = &member->consumer->metadata;
    struct peer *peer;

    if (member->coordinator_known) return true;
    if (op_live(&member->find.op) || member->retry_at_ns > member->env->now.mono.ns) return false;
    peer = metadata_any(metadata);
    if (peer == NULL) {
        membership_retry(member, API_FIND_COORDINATOR, ERR_BROKER_NOT_AVAILABLE);
        return false;
    }
    find_coordinator_request_default(&member->find_body);
    member->find_body.key = member->config.group_id;
    membership_call_init(&member->find, API_FIND_COORDINATOR, &member->find_body);
    member->find.call.encode = find_encode;
    membership_ask(member, &member->find, peer, member->config.request_timeout_ms, found);
    return false;
}

/* ---- the op --------------------------------------------------------------------------------- */

static bool quiet(const struct membership *member)
{
    return !op_live(&member->find.op) && !op_live(&member->join.op) && !op_live(&member->sync.op) &&
           !op_live(&member->beat.op) && !op_live(&member->offsets.op) &&
           !op_live(&member->list.op);
}

static void begin_leaving(struct membership *member)
{
    membership_set_state(member, MEMBERSHIP_LEAVING);
    /* An answer that the coordinator holds back would hold back what we have to say. */
    if (op_live(&member->join.op) || op_live(&member->sync.op)) peer_drop(&member->peer);
    membership_call_stop(&member->join);
    membership_call_stop(&member->sync);
    membership_call_stop(&member->beat);
    membership_call_stop(&member->offsets);
    membership_call_stop(&member->list);
    membership_unwatch(member);
    membership_mark(member);
}

/* True: nothing is left to do. */
static bool leaving_turn(struct membership *member)
{
    bool late = member->env->now.mono.ns >= member->close_deadline_ns;

    if (member->event == MEMBERSHIP_ASSIGNED) return false;
    if (!membership_give_up(member)) return false;
    if (!list_empty(&member->commits)) return false;
    if (!member->leave_sent && !late && member->id_length > 0 && member->coordinator_known)
        membership_leave_send(member);
    if (op_live(&member->leave.op) && !late) return false;
    membership_call_stop(&member->leave);
    membership_call_stop(&member->find);
    return quiet(member) && !op_live(&member->leave.op);
}

static void prepare_turn(struct membership *member)
{
    if (member->event != MEMBERSHIP_NOTHING && member->giving == GIVING_NOTHING) return;
    if (member->giving == GIVING_NOTHING) membership_mark(member);
    if (!membership_give_up(member) || membership_mark(member)) return;
    if (member->away) return;
    if (member->subscribed_count == 0 && member->pattern == NULL) {
        if (member->id_length > 0 && member->coordinator_known) membership_leave_send(member);
        member->generation = -1;
        if (membership_is_consumer(member)) membership_consumer_reset(member);
        if (!membership_is_consumer(member)) member->id_length = 0;
        membership_set_state(member, MEMBERSHIP_IDLE);
    } else if (membership_is_consumer(member)
                   ? member->subscribed_count > 0 || membership_tells_regex(member)
                   : member->pattern == NULL || member->listed) {
        membership_set_state(member, MEMBERSHIP_JOINING);
    }
}

static void state_turn(struct membership *member)
{
    bool ready = member->retry_at_ns <= member->env->now.mono.ns;

    switch (member->state) {
    case MEMBERSHIP_IDLE:
        if (member->subscribed_count > 0 || member->pattern != NULL)
            membership_set_state(member, MEMBERSHIP_PREPARING);
        return;
    case MEMBERSHIP_PREPARING: prepare_turn(member); return;
    case MEMBERSHIP_JOINING:
        if (!membership_is_consumer(member) && !op_live(&member->join.op) && ready &&
            membership_find(member))
            membership_join_send(member);
        return;
    case MEMBERSHIP_COMPUTING:
        if (membership_compute(member)) membership_set_state(member, MEMBERSHIP_SYNCING);
        return;
    case MEMBERSHIP_SYNCING:
        if (!op_live(&member->sync.op) && ready && membership_find(member))
            membership_sync_send(member);
        return;
    case MEMBERSHIP_ASSIGNING:
        if (!membership_give_up(member) || !membership_take_over(member)) return;
        if (membership_is_consumer(member)) {
            member->beat_owned = true;
            membership_set_state(member, MEMBERSHIP_STABLE);
            return;
        }
        membership_set_state(member, member->gave ? MEMBERSHIP_PREPARING : MEMBERSHIP_STABLE);
        return;
    case MEMBERSHIP_STABLE:
        if (membership_is_consumer(member)) {
            membership_consumer_take(member);
            return;
        }
        if (member->rejoin || member->subscription != member->joined_subscription ||
            membership_watched_changed(member))
            membership_set_state(member, MEMBERSHIP_PREPARING);
        return;
    case MEMBERSHIP_LEAVING:
        if (leaving_turn(member)) membership_set_state(member, MEMBERSHIP_CLOSED);
        return;
    case MEMBERSHIP_FAILED:
    case MEMBERSHIP_CLOSED: return;
    case MEMBERSHIP_STATES: break;
    }
    IMPOSSIBLE("state");
}

static void turn(struct membership *member)
{
    for (uint32_t i = 0; i < MEMBERSHIP_TURNS_MAX; i++) {
        member->kicked = false;
        member->seen = member->consumer->metadata.version;
        if (member->closing && member->state < MEMBERSHIP_LEAVING) begin_leaving(member);
        membership_beat_turn(member);
        membership_offsets_turn(member);
        membership_list_turn(member);
        state_turn(member);
        if (!member->kicked || member->state == MEMBERSHIP_CLOSED) return;
    }
}

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

static int64_t next_deadline(const struct membership *member)
{
    int64_t now_ns = member->env->now.mono.ns;
    int64_t next = membership_offsets_deadline(member);

    next = earlier(next, membership_beat_deadline(member));
    if (member->retry_at_ns > now_ns) next = earlier(next, member->retry_at_ns);
    if (member->state == MEMBERSHIP_COMPUTING) next = earlier(next, member->compute_deadline_ns);
    if (member->closing && member->close_deadline_ns > now_ns)
        next = earlier(next, member->close_deadline_ns);
    if (member->pattern != NULL && !op_live(&member->list.op) && !member->closing)
        next = earlier(next, member->list_at_ns);
    return next;
}

static enum op_result membership_run(struct op *op)
{
    struct membership *o = CONTAINER_OF(op, struct membership, op);

    switch ((enum membership_step)op->step) {
    case MEMBERSHIP_START:
        for (;;) {
            turn(o);
            if (o->state == MEMBERSHIP_CLOSED) break;
            op_deadline(op, next_deadline(o));
            AWAIT(o, MEMBERSHIP_EVENT, &o->wake,
                  o->kicked || o->seen != o->consumer->metadata.version || op_expired(op));
        }
        op_relay_stop(&o->relay);
        op_deadline(op, OP_NO_DEADLINE);
        if (o->peer_made) {
            peer_close(&o->peer);
            AWAIT(o, MEMBERSHIP_PEER_CLOSED, &o->peer.changed, o->peer.state == PEER_CLOSED);
            peer_deinit(&o->peer);
        }
        op_wake(&o->consumer->ready);
        return OP_DONE;
    case MEMBERSHIP_STEPS: break;
    }
    IMPOSSIBLE("step");
}

/* ---- the application's side ----------------------------------------------------------------- */

enum membership_event membership_poll(struct membership *member)
{
    int64_t now_ns = member->env->now.mono.ns;
    bool commit = member->config.auto_commit && now_ns >= member->commit_at_ns &&
                  member->state < MEMBERSHIP_FAILED;

    member->polled_ns = now_ns;
    if (member->giving == GIVING_POLL || commit) membership_snapshot(member);
    if (member->giving == GIVING_POLL || member->away) membership_kick(member);
    if (member->giving == GIVING_POLL) member->polled = true;
    member->away = false;
    if (commit) membership_auto_commit(member, false, OP_NO_DEADLINE);
    if (member->event != MEMBERSHIP_NOTHING) member->event_told = true;
    return member->event;
}

void membership_handled(struct membership *member)
{
    if (member->event == MEMBERSHIP_ASSIGNED) {
        LIST_FOR_EACH (link, &member->consumer->partitions)
            LIST_ENTRY(link, struct consumer_partition, link)->fresh = false;
    }
    member->event = MEMBERSHIP_NOTHING;
    member->polled_ns = member->env->now.mono.ns;
    membership_kick(member);
}

bool membership_due(const struct membership *member)
{
    return (member->event != MEMBERSHIP_NOTHING && !member->event_told) ||
           (member->giving == GIVING_POLL && !member->polled && !member->closing);
}

int64_t membership_next_poll_ns(const struct membership *member)
{
    int64_t next = member->polled_ns + member->config.max_poll_interval_ms / 3 * NS_PER_MS;

    return member->config.auto_commit ? earlier(next, member->commit_at_ns) : next;
}

/* ---- life ----------------------------------------------------------------------------------- */

void membership_config_default(struct membership_config *config)
{
    *config = (struct membership_config){
        .assignors = {ASSIGNOR_RANGE, ASSIGNOR_COOPERATIVE_STICKY},
        .assignors_count = 2,
        .session_timeout_ms = 45000,
        .heartbeat_interval_ms = 3000,
        .max_poll_interval_ms = 300000,
        .auto_commit = true,
        .commit_interval_ms = 5000,
        .request_timeout_ms = 30000,
        .close_timeout_ms = 30000,
    };
}

enum err membership_init(struct membership *member, struct consumer *consumer,
                         const struct membership_config *config)
{
    struct env *env = consumer->env;

    if (config->group_id.length == 0 || config->assignors_count == 0 ||
        config->assignors_count > ASSIGNORS ||
        config->heartbeat_interval_ms >= config->session_timeout_ms)
        return ERR_BAD_CONFIG;
    *member = (struct membership){.consumer = consumer,
                                  .env = env,
                                  .config = *config,
                                  .generation = -1,
                                  .assignment_generation = -1,
                                  .max_generation = -1,
                                  .coordinator = -1};
    op_source_init(&member->wake);
    list_init(&member->commits);
    member->beat_interval_ms = config->heartbeat_interval_ms;
    arena_init(&member->arena, &env->mem, MEMBERSHIP_ARENA_MAX);
    arena_init(&member->beat_arena, &env->mem, MEMBERSHIP_ARENA_MAX);
    arena_init(&member->fetch_arena, &env->mem, MEMBERSHIP_ARENA_MAX);
    arena_init(&member->offsets_arena, &env->mem, MEMBERSHIP_ARENA_MAX);
    member->polled_ns = env->now.mono.ns;
    member->commit_at_ns = env_deadline(env, config->commit_interval_ms);
    op_relay_start(&env->loop, &member->relay, &consumer->metadata.changed, &member->wake);
    op_start(&env->loop, &member->op, &membership_kind, MEMBERSHIP_START);
    return ERR_NONE;
}

void membership_close(struct membership *member)
{
    if (member->closing) return;
    member->closing = true;
    member->close_deadline_ns = env_deadline(member->env, member->config.close_timeout_ms);
    membership_snapshot(member);
    membership_kick(member);
}

bool membership_closed(const struct membership *member)
{
    return member->state == MEMBERSHIP_CLOSED && !op_live(&member->op);
}

void membership_deinit(struct membership *member)
{
    struct mem *mem = &member->env->mem;

    ASSERT(membership_closed(member) && list_empty(&member->commits));
    call_release(&member->join.call);
    call_release(&member->sync.call);
    call_release(&member->leave.call);
    mem_free(mem, member->subscribed, member->subscribed_size);
    mem_free(mem, member->assignment, member->assignment_length);
    membership_drop_pattern(member);
    mem_free(mem, member->target, member->target_count * sizeof *member->target);
    arena_deinit(&member->arena);
    arena_deinit(&member->beat_arena);
    arena_deinit(&member->fetch_arena);
    arena_deinit(&member->offsets_arena);
}
