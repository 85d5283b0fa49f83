#include "broker/lifecycle.h"

enum {
    LIFECYCLE_BACKOFF_MS = 100,      /* doubling up to the heartbeat interval */
    LIFECYCLE_ARENA_MAX = 64 * 1024, /* of one answer */
};

static const struct {
    const char *name;
    uint32_t next; /* bits of legal moves */
} lifecycle_states[] = {
    [LIFECYCLE_NOT_RUNNING] = {"NOT_RUNNING", 1u << LIFECYCLE_STARTING},
    [LIFECYCLE_STARTING] = {"STARTING", 1u << LIFECYCLE_RECOVERY | 1u << LIFECYCLE_LEFT},
    [LIFECYCLE_RECOVERY] = {"RECOVERY", 1u << LIFECYCLE_RUNNING | 1u << LIFECYCLE_LEAVING |
                                            1u << LIFECYCLE_LEFT},
    [LIFECYCLE_RUNNING] = {"RUNNING", 1u << LIFECYCLE_LEAVING | 1u << LIFECYCLE_LEFT},
    [LIFECYCLE_LEAVING] = {"LEAVING", 1u << LIFECYCLE_LEFT},
    [LIFECYCLE_LEFT] = {"LEFT", 0},
};
_Static_assert(COUNT_OF(lifecycle_states) == LIFECYCLE_STATES, "one row a state");

const char *lifecycle_state_name(enum lifecycle_state state)
{
    return lifecycle_states[state].name;
}

static void lifecycle_set(struct lifecycle *lifecycle, enum lifecycle_state state)
{
    enum lifecycle_state old = lifecycle->state;

    if (old == state) return;
    ASSERT((lifecycle_states[old].next & (1u << state)) != 0);
    lifecycle->state = state;
    TRACE_TEXT(lifecycle->env->world, NODE_STATE, str_of(lifecycle_states[state].name),
               (int64_t)old, (int64_t)state);
    op_wake(&lifecycle->changed);
}

enum lifecycle_step {
    STEP_START,
    STEP_LEADER,
    STEP_REGISTERED,
    STEP_REGISTER_BACKOFF,
    STEP_HEARTBEAT_LEADER,
    STEP_HEARTBEAT_ANSWERED,
    STEP_HEARTBEAT_PAUSE,
};
static const char *const lifecycle_steps[] = {"START",
                                              "LEADER",
                                              "REGISTERED",
                                              "REGISTER_BACKOFF",
                                              "HEARTBEAT_LEADER",
                                              "HEARTBEAT_ANSWERED",
                                              "HEARTBEAT_PAUSE"};

/* Ids of the directories that are online, or that failed (and had an id). */
static uint32_t lifecycle_dirs(struct lifecycle *l, bool online)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < l->dirs_count; i++) {
        if (log_dir_online(l->dirs[i]) != online) continue;
        if (uuid_is_zero(l->dirs[i]->meta.directory_id)) continue;
        l->dir_ids[count++] = l->dirs[i]->meta.directory_id;
    }
    return count;
}

static void lifecycle_send_registration(struct lifecycle *l)
{
    const struct config_endpoint *endpoint = config_broker_endpoint(l->config);
    bool advertised = l->config->advertised_count > 0;
    struct features_range ranges[FEATURES_COUNT];

    broker_registration_request_default(&l->registration);
    broker_registration_request_listener_default(&l->listener);
    features_supported(l->config, ranges);
    l->listener.name = str_of(endpoint->name);
    /* Without an address of its own the listener is told of as loopback. */
    l->listener.host = endpoint->host[0] != '\0' ? str_of(endpoint->host) : STR("127.0.0.1");
    l->listener.port = advertised && endpoint->port != 0 ? endpoint->port : l->port;
    for (uint32_t i = 0; i < FEATURES_COUNT; i++)
        l->features[i] = (struct broker_registration_request_feature){ranges[i].name, ranges[i].min,
                                                                      ranges[i].max};
    l->registration.broker_id = (int32_t)l->config->node_id;
    l->registration.cluster_id = l->cluster_id;
    l->registration.incarnation_id = l->incarnation;
    l->registration.listeners = &l->listener;
    l->registration.listeners_count = 1;
    l->registration.features = l->features;
    l->registration.features_count = COUNT_OF(l->features);
    l->registration.rack = l->config->rack[0] != '\0' ? str_of(l->config->rack) : STR_NULL;
    l->registration.log_dirs = l->dir_ids;
    l->registration.log_dirs_count = lifecycle_dirs(l, true);
    l->registration.previous_broker_epoch = l->previous_broker_epoch;
    call_init(&l->call, API_BROKER_REGISTRATION);
    l->call.body = &l->registration;
    l->call.timeout_ms = (int32_t)l->config->broker_session_timeout_ms;
    peer_call(channel_peer(l->channel), &l->call);
}

static void lifecycle_send_heartbeat(struct lifecycle *l)
{
    broker_heartbeat_request_default(&l->heartbeat);
    l->heartbeat.broker_id = (int32_t)l->config->node_id;
    l->heartbeat.broker_epoch = l->broker_epoch;
    l->heartbeat.current_metadata_offset = l->loader->image.last_offset;
    l->heartbeat.want_fence = !l->ready;
    l->heartbeat.want_shut_down = l->leave;
    l->heartbeat.offline_log_dirs = l->dir_ids;
    l->heartbeat.offline_log_dirs_count = lifecycle_dirs(l, false);
    call_init(&l->call, API_BROKER_HEARTBEAT);
    l->call.body = &l->heartbeat;
    l->call.timeout_ms = (int32_t)l->config->broker_session_timeout_ms;
    peer_call(channel_peer(l->channel), &l->call);
}

/* The error of the answer, of its decoding, or of the way there. */
static enum err lifecycle_registration_result(struct lifecycle *l)
{
    enum err err = l->call.result;

    arena_reset(&l->arena);
    if (err == ERR_NONE) {
        err = broker_registration_response_decode(&l->call.reader, l->call.version, &l->arena,
                                                  &l->registered);
    }
    call_release(&l->call);
    return err != ERR_NONE ? err : err_from_wire(l->registered.error_code);
}

static enum err lifecycle_heartbeat_result(struct lifecycle *l)
{
    enum err err = l->call.result;

    arena_reset(&l->arena);
    if (err == ERR_NONE) {
        err = broker_heartbeat_response_decode(&l->call.reader, l->call.version, &l->arena,
                                               &l->answer);
    }
    call_release(&l->call);
    return err != ERR_NONE ? err : err_from_wire(l->answer.error_code);
}

/* Answers that no later try can change. */
static bool lifecycle_final(enum err err)
{
    return err == ERR_INCONSISTENT_CLUSTER_ID || err == ERR_UNSUPPORTED_VERSION ||
           err == ERR_INVALID_REGISTRATION || err == ERR_INVALID_REQUEST;
}

static void lifecycle_take_heartbeat(struct lifecycle *l)
{
    enum err err = lifecycle_heartbeat_result(l);

    if (err != ERR_NONE) {
        l->failures++;
        return;
    }
    l->failures = 0;
    l->heard_ns = l->env->now.mono.ns;
    if (l->leave) {
        lifecycle_set(l, LIFECYCLE_LEAVING);
        if (l->answer.should_shut_down) l->abandoned = true;
    } else if (!l->answer.is_fenced && l->state == LIFECYCLE_RECOVERY) {
        lifecycle_set(l, LIFECYCLE_RUNNING);
    }
}

static int64_t lifecycle_pause_ms(const struct lifecycle *l)
{
    int64_t interval = l->config->broker_heartbeat_interval_ms;
    int64_t backoff = LIFECYCLE_BACKOFF_MS;

    if (l->failures == 0) {
        /* On the way in and out every heartbeat is news; afterwards they keep the lease. */
        return l->state == LIFECYCLE_RUNNING && !l->leave ? interval
               : interval < 20                            ? interval
                                                          : 20;
    }
    for (int64_t i = 1; i < l->failures && backoff < interval; i++)
        backoff *= 2;
    return backoff < interval ? backoff : interval;
}

/* The end of a leave that was asked for. A quorum that lives has a leader again within its fetch
 * timeout and two elections of at most twice their timeout. */
static int64_t lifecycle_leave_until(const struct lifecycle *l)
{
    int64_t election_ms =
        l->config->quorum_fetch_timeout_ms + 4 * l->config->quorum_election_timeout_ms;
    int64_t silent_ns = l->heard_ns + election_ms * NS_PER_MS;

    if (!l->leave) return OP_NO_DEADLINE;
    return silent_ns < l->give_up_ns ? silent_ns : l->give_up_ns;
}

static bool lifecycle_over(const struct lifecycle *l)
{
    return l->abandoned || l->env->now.mono.ns >= lifecycle_leave_until(l);
}

/* Whatever is waited for: a leave that was asked for ends when its time is over. */
static void lifecycle_wait_until(struct lifecycle *l, int64_t deadline_ns)
{
    int64_t until_ns = lifecycle_leave_until(l);

    op_deadline(&l->op, until_ns < deadline_ns ? until_ns : deadline_ns);
}

static enum op_result lifecycle_run(struct op *op)
{
    struct lifecycle *o = CONTAINER_OF(op, struct lifecycle, op);
    enum err err;

    switch ((enum lifecycle_step)op->step) {
    case STEP_START:
        for (;;) {
            op_deadline(op, o->give_up_ns);
            AWAIT(o, STEP_LEADER, &o->channel->changed,
                  channel_peer(o->channel) != NULL || lifecycle_over(o) || op_expired(op));
            if (lifecycle_over(o) || op_expired(op)) {
                o->failed = ERR_TIMED_OUT;
                return OP_DONE;
            }
            lifecycle_send_registration(o);
            AWAIT(o, STEP_REGISTERED, &o->call.done, call_done(&o->call) || o->abandoned);
            call_cancel(&o->call); /* harmless when it is done */
            err = lifecycle_registration_result(o);
            if (err == ERR_NONE) break;
            if (lifecycle_final(err) || lifecycle_over(o)) {
                o->failed = err;
                return OP_DONE;
            }
            op_deadline(op, env_deadline(o->env, LIFECYCLE_BACKOFF_MS));
            AWAIT(o, STEP_REGISTER_BACKOFF, &o->wake, op_expired(op) || o->abandoned);
        }
        o->broker_epoch = o->registered.broker_epoch;
        TRACE(o->env->world, BROKER_EPOCH, o->broker_epoch, o->previous_broker_epoch);
        lifecycle_set(o, LIFECYCLE_RECOVERY);
        while (!lifecycle_over(o)) {
            lifecycle_wait_until(o, OP_NO_DEADLINE);
            AWAIT(o, STEP_HEARTBEAT_LEADER, &o->channel->changed,
                  channel_peer(o->channel) != NULL || lifecycle_over(o));
            if (lifecycle_over(o)) break;
            lifecycle_send_heartbeat(o);
            AWAIT(o, STEP_HEARTBEAT_ANSWERED, &o->call.done,
                  call_done(&o->call) || lifecycle_over(o));
            call_cancel(&o->call);
            lifecycle_take_heartbeat(o);
            if (lifecycle_over(o)) break;
            lifecycle_wait_until(o, env_deadline(o->env, lifecycle_pause_ms(o)));
            o->hurry = false;
            AWAIT(o, STEP_HEARTBEAT_PAUSE, &o->wake,
                  op_expired(op) || o->hurry || lifecycle_over(o));
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of a lifecycle");
}

static void lifecycle_finish(struct op *op)
{
    struct lifecycle *l = CONTAINER_OF(op, struct lifecycle, op);

    arena_deinit(&l->arena);
    lifecycle_set(l, LIFECYCLE_LEFT);
}

static const struct op_kind lifecycle_kind = {
    "lifecycle", lifecycle_steps, COUNT_OF(lifecycle_steps), lifecycle_run, lifecycle_finish};

void lifecycle_init(struct lifecycle *lifecycle, struct env *env, const struct config *config,
                    struct channel *channel, const struct loader *loader, struct uuid incarnation)
{
    *lifecycle = (struct lifecycle){.env = env,
                                    .config = config,
                                    .channel = channel,
                                    .loader = loader,
                                    .incarnation = incarnation,
                                    .broker_epoch = -1,
                                    .previous_broker_epoch = -1};
    op_source_init(&lifecycle->changed);
    op_source_init(&lifecycle->wake);
}

void lifecycle_start(struct lifecycle *lifecycle)
{
    arena_init(&lifecycle->arena, &lifecycle->env->mem, LIFECYCLE_ARENA_MAX);
    lifecycle_set(lifecycle, LIFECYCLE_STARTING);
    lifecycle->give_up_ns =
        env_deadline(lifecycle->env, lifecycle->config->initial_broker_registration_timeout_ms);
    op_start(&lifecycle->env->loop, &lifecycle->op, &lifecycle_kind, STEP_START);
}

static void lifecycle_hurry(struct lifecycle *lifecycle)
{
    lifecycle->hurry = true;
    op_wake(&lifecycle->wake);
}

void lifecycle_dir_failed(struct lifecycle *lifecycle)
{
    lifecycle_hurry(lifecycle);
}

void lifecycle_ready(struct lifecycle *lifecycle)
{
    lifecycle->ready = true;
    lifecycle_hurry(lifecycle);
}

void lifecycle_leave(struct lifecycle *lifecycle)
{
    if (lifecycle->leave) return;
    lifecycle->leave = true;
    lifecycle->heard_ns = lifecycle->env->now.mono.ns;
    lifecycle->give_up_ns =
        env_deadline(lifecycle->env, lifecycle->config->controlled_shutdown_max_wait_ms);
    if (lifecycle->broker_epoch < 0) lifecycle->abandoned = true; /* nobody knows of us yet */
    lifecycle_hurry(lifecycle);
    if (!op_live(&lifecycle->op)) return;
    lifecycle_wait_until(lifecycle, lifecycle->op.deadline_ns);
    op_resume(&lifecycle->op);
}

void lifecycle_abandon(struct lifecycle *lifecycle)
{
    lifecycle->abandoned = true;
    if (op_live(&lifecycle->op)) op_resume(&lifecycle->op);
}

void lifecycle_deinit(struct lifecycle *lifecycle)
{
    ASSERT(lifecycle->state == LIFECYCLE_NOT_RUNNING || lifecycle->state == LIFECYCLE_LEFT);
}
