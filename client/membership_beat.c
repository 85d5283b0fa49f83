/* Being heard: heartbeats, and leaving. A heartbeat goes out every heartbeat_interval_ms from the
 * end of a join on, except while a request is held back by the coordinator on the same connection.
 * Nothing heard for the session timeout: the coordinator is looked for anew. No poll for
 * max_poll_interval_ms: the member leaves (clients.md 3.9). */
#include "client/membership.h"

static bool beats(const struct membership *member)
{
    switch (member->state) {
    case MEMBERSHIP_PREPARING:
    case MEMBERSHIP_COMPUTING:
    case MEMBERSHIP_ASSIGNING:
    case MEMBERSHIP_STABLE: return member->generation >= 0;
    case MEMBERSHIP_IDLE:
    case MEMBERSHIP_JOINING:
    case MEMBERSHIP_SYNCING:
    case MEMBERSHIP_FAILED:
    case MEMBERSHIP_LEAVING:
    case MEMBERSHIP_CLOSED:
    case MEMBERSHIP_STATES: return false;
    }
    IMPOSSIBLE("state");
}

static int64_t quiet_until(const struct membership *member)
{
    return member->heard_ns + member->config.session_timeout_ms * NS_PER_MS;
}

static int64_t poll_until(const struct membership *member)
{
    return member->polled_ns + member->config.max_poll_interval_ms * NS_PER_MS;
}

/* ---- heartbeat ------------------------------------------------------------------------------ */

static void beat_failed(struct membership *member, enum err err)
{
    bool current = member->beat_generation == member->generation;

    switch (err) {
    case ERR_REBALANCE_IN_PROGRESS:
        if (member->state == MEMBERSHIP_STABLE || member->state == MEMBERSHIP_ASSIGNING)
            member->rejoin = true;
        return;
    case ERR_ILLEGAL_GENERATION:
        if (current) membership_reset(member, false, err);
        return;
    case ERR_UNKNOWN_MEMBER_ID:
        if (current) membership_reset(member, true, err);
        return;
    case ERR_COORDINATOR_LOAD_IN_PROGRESS: return;
    default: break;
    }
    if (membership_coordinator_gone(err)) {
        membership_retry(member, API_HEARTBEAT, err);
    } else if (current) {
        membership_fail(member, err);
    }
}

static void beaten(struct membership *member)
{
    struct call *call = &member->beat.call;
    struct heartbeat_response response;
    enum err err = call->result;

    if (err == ERR_NONE) {
        arena_reset(&member->offsets_arena);
        err = heartbeat_response_decode(&call->reader, call->version, &member->offsets_arena,
                                        &response);
        arena_reset(&member->offsets_arena);
        if (err == ERR_NONE) {
            err = err_from_wire(response.error_code);
            member->heard_ns = member->env->now.mono.ns;
        }
    }
    call_release(call);
    if (err == ERR_NONE) {
        member->failures = 0;
    } else if (member->state < MEMBERSHIP_FAILED) {
        beat_failed(member, err);
    }
}

static void beat_send(struct membership *member)
{
    struct heartbeat_request *body = &member->beat_body;

    heartbeat_request_default(body);
    body->group_id = member->config.group_id;
    body->generation_id = member->generation;
    body->member_id = membership_id(member);
    body->group_instance_id = membership_instance(member);
    member->beat_generation = member->generation;
    member->beat_at_ns = env_deadline(member->env, member->config.heartbeat_interval_ms);
    membership_call_init(&member->beat, API_HEARTBEAT, body);
    membership_ask(member, &member->beat, &member->peer, member->config.request_timeout_ms, beaten);
}

bool membership_out_of_polls(struct membership *member)
{
    if (member->env->now.mono.ns < poll_until(member)) return false;
    if (member->coordinator_known) membership_leave_send(member);
    member->away = true;
    membership_reset(member, true, ERR_TIMED_OUT);
    return true;
}

bool membership_unheard(struct membership *member)
{
    if (!member->coordinator_known || member->env->now.mono.ns < quiet_until(member)) return false;
    peer_drop(&member->peer); /* what hangs there would hang on */
    membership_lose_coordinator(member);
    return true;
}

void membership_beat_turn(struct membership *member)
{
    int64_t now_ns = member->env->now.mono.ns;

    if (membership_is_consumer(member)) {
        membership_consumer_turn(member);
        return;
    }
    if (!beats(member) || membership_out_of_polls(member)) return;
    (void)membership_unheard(member);
    if (op_live(&member->beat.op) || now_ns < member->beat_at_ns) return;
    if (membership_find(member)) beat_send(member);
}

int64_t membership_silence_deadline(const struct membership *member)
{
    int64_t next = poll_until(member);

    if (member->coordinator_known && quiet_until(member) < next) next = quiet_until(member);
    return next;
}

int64_t membership_beat_deadline(const struct membership *member)
{
    int64_t next;

    if (membership_is_consumer(member)) return membership_consumer_deadline(member);
    if (!beats(member)) return OP_NO_DEADLINE;
    next = membership_silence_deadline(member);
    if (op_live(&member->beat.op)) return next;
    /* Due, but without a coordinator: the search for it wakes us. */
    if (!member->coordinator_known && member->beat_at_ns <= member->env->now.mono.ns) return next;
    if (member->beat_at_ns < next) next = member->beat_at_ns;
    return next;
}

/* ---- leave ---------------------------------------------------------------------------------- */

/* Whatever it says: we are gone. */
static void left(struct membership *member)
{
    call_release(&member->leave.call);
}

/* A static member stays: it comes back, or its session ends (KIP-345). */
void membership_leave_send(struct membership *member)
{
    struct leave_group_request *body = &member->leave_body;
    struct leave_group_request_member *one = &member->leave_member;
    enum { LIST_FROM = 3 };

    member->leave_sent = true;
    if (membership_is_consumer(member)) {
        membership_consumer_leave(member);
        return;
    }
    if (membership_instance(member).data != NULL || member->id_length == 0 ||
        op_live(&member->leave.op))
        return;
    leave_group_request_default(body);
    leave_group_request_member_default(one);
    body->group_id = member->config.group_id;
    body->members = one;
    body->members_count = 1;
    one->member_id = membership_id(member);
    membership_call_init(&member->leave, API_LEAVE_GROUP, body);
    member->leave.call.version_min = LIST_FROM;
    membership_ask(member, &member->leave, &member->peer, member->config.request_timeout_ms, left);
}
