/* Proves: calls to one node are pipelined within their bound and answered in order; a timeout, a
 * lost connection, a withdrawn call and an orderly close end every call once, with the right
 * reason; a node that was away is found again after a bounded backoff. */
#include "tests/support/fake_broker.h"

#include "client/peer.h"
#include "wire/metadata.h"

#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 40 };

struct rig {
    struct sim *sim;
    struct fake_broker *broker; /* NULL: nobody listens */
    struct sim_program program;
    struct env *env;
    struct peer_config config;
    struct peer peer;
    struct metadata_request body;
    struct call calls[CALLS_MAX];
    uint32_t count;
    int32_t cancel;         /* index, withdrawn 1 ms after all were queued; -1 none */
    int32_t close_after_ms; /* 0: when all are done */
    bool again;             /* one more call after all are done */
    uint32_t flights_peak;
    uint32_t waits;
    int64_t answered_ns; /* how long until the last of them was done */
    struct op op;
    bool closed;
    struct sim_observer observer;
};

enum rig_step { RIG_START, RIG_WAITED, RIG_DONE, RIG_AGAIN, RIG_CLOSED, RIG_STEPS };
static const char *const rig_steps[RIG_STEPS] = {"START", "WAITED", "DONE", "AGAIN", "CLOSED"};

static void rig_call(struct rig *rig, uint32_t i)
{
    call_init(&rig->calls[i], API_METADATA);
    rig->calls[i].version_min = 1;
    rig->calls[i].body = &rig->body;
    peer_call(&rig->peer, &rig->calls[i]);
}

static enum op_result rig_run(struct op *op)
{
    struct rig *o = CONTAINER_OF(op, struct rig, op);

    switch ((enum rig_step)op->step) {
    case RIG_START:
        o->answered_ns = -o->env->now.mono.ns;
        for (uint32_t i = 0; i < o->count; i++)
            rig_call(o, i);
        op_deadline(op, env_deadline(o->env, o->close_after_ms > 0 ? o->close_after_ms : 1));
        AWAIT(o, RIG_WAITED, NULL, op_expired(op));
        if (o->cancel >= 0) call_cancel(&o->calls[o->cancel]);
        if (o->close_after_ms > 0) peer_close(&o->peer);
        while (o->waits < o->count) {
            AWAIT(o, RIG_DONE, &o->calls[o->waits].done, call_done(&o->calls[o->waits]));
            o->waits++;
        }
        o->answered_ns += o->env->now.mono.ns;
        if (o->again) {
            call_release(&o->calls[0]);
            rig_call(o, 0);
            AWAIT(o, RIG_AGAIN, &o->calls[0].done, call_done(&o->calls[0]));
        }
        if (o->close_after_ms == 0) peer_close(&o->peer);
        for (uint32_t i = 0; i < o->count; i++)
            call_release(&o->calls[i]);
        AWAIT(o, RIG_CLOSED, &o->peer.changed, o->peer.state == PEER_CLOSED);
        o->closed = true;
        return OP_DONE;
    case RIG_STEPS: break;
    }
    IMPOSSIBLE("step");
}
static const struct op_kind rig_kind = {"rig", rig_steps, RIG_STEPS, rig_run, NULL};

static void rig_turned(struct sim_observer *observer, struct sim_world *node)
{
    struct rig *rig = CONTAINER_OF(observer, struct rig, observer);

    if (node->id != 9 || rig->env == NULL || !op_loop_idle(&rig->env->loop)) return;
    if (rig->peer.flight_count > rig->flights_peak) rig->flights_peak = rig->peer.flight_count;
    assert_null(op_loop_probe(&rig->env->loop));
}

static void rig_started(struct env *env)
{
    struct rig *rig = CONTAINER_OF(sim_world_of(env->world)->config.program, struct rig, program);

    assert_int_equal(peer_init(&rig->peer, env, &rig->config, 1, STR("node-1"), FAKE_PORT, 5),
                     ERR_NONE);
    op_start(&env->loop, &rig->op, &rig_kind, RIG_START);
}

static void rig_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct rig *rig = CONTAINER_OF(program, struct rig, program);
    struct env_limits limits = {.ops_max = 1000, .payload_bytes = 16 << 20};

    (void)now;
    rig->env = region_take(world->region, sizeof *rig->env, 16);
    assert_int_equal(env_init(rig->env, world, &limits, rig_started), ERR_NONE);
}

static struct rig *rig_create(uint32_t count)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct sim_config config = sim_config_default(3);

    assert_non_null(rig);
    rig->sim = sim_create(&config);
    rig->broker = fake_broker_create(rig->sim, 1);
    peer_config_default(&rig->config);
    rig->config.request_timeout_ms = 1000;
    metadata_request_default(&rig->body);
    rig->count = count;
    rig->cancel = -1;
    return rig;
}

static bool rig_done(void *context)
{
    return ((struct rig *)context)->closed;
}

static void rig_go(struct rig *rig)
{
    struct sim_node_config node = sim_node_config_default(9);
    struct sim_limits limits = {.until_ns = 300 * NS_PER_SEC, .done = rig_done, .context = rig};
    enum sim_outcome end;

    rig->program.boot = rig_boot;
    rig->observer.turned = rig_turned;
    sim_observe(rig->sim, &rig->observer);
    node.program = &rig->program;
    sim_node_start(sim_node_add(rig->sim, &node));
    end = sim_run(rig->sim, &limits);
    if (end != SIM_END_DONE) fail_msg("ended %d: %s", (int)end, rig->sim->failure.text);
    peer_deinit(&rig->peer);
    assert_int_equal(rig->env->payload.used, 0);
}

static void rig_destroy(struct rig *rig)
{
    fake_broker_destroy(rig->broker);
    sim_destroy(rig->sim);
    free(rig);
}

static void calls_are_pipelined_within_their_bound(void **state)
{
    struct rig *rig = rig_create(30);

    (void)state;
    rig->config.in_flight_max = 3;
    rig_go(rig);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(rig->calls[i].result, ERR_NONE);
        assert_int_equal(rig->calls[i].version, 12);
        if (i > 0) assert_true(rig->calls[i].correlation > rig->calls[i - 1].correlation);
    }
    assert_int_equal(rig->flights_peak, 3);
    assert_int_equal(rig->broker->connections, 1);
    rig_destroy(rig);
}

static void more_than_the_queue_holds_is_refused(void **state)
{
    struct rig *rig = rig_create(10);

    (void)state;
    rig->config.queued_max = 6;
    rig_go(rig);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(rig->calls[i].result, i < 6 ? ERR_NONE : ERR_TOO_MANY);
    rig_destroy(rig);
}

static void silence_costs_the_connection_and_the_next_one_works(void **state)
{
    struct rig *rig = rig_create(3);

    (void)state;
    rig->again = true;
    for (uint32_t i = 1; i <= 3; i++)
        fake_broker_script(rig->broker, API_METADATA, i, FAKE_SILENT, ERR_NONE);
    rig_go(rig);
    assert_int_equal(rig->calls[1].result, ERR_TIMED_OUT);
    assert_true(rig->calls[1].sent);
    assert_int_equal(rig->calls[0].result, ERR_NONE); /* the second time */
    assert_int_equal(rig->broker->connections, 2);
    rig_destroy(rig);
}

static void a_lost_connection_ends_what_flies(void **state)
{
    struct rig *rig = rig_create(4);

    (void)state;
    fake_broker_script(rig->broker, API_METADATA, 2, FAKE_CLOSE_BEFORE, ERR_NONE);
    rig_go(rig);
    assert_int_equal(rig->calls[0].result, ERR_NONE);
    for (uint32_t i = 1; i < 4; i++) {
        assert_int_equal(rig->calls[i].result, ERR_CONNECTION_RESET);
        assert_true(rig->calls[i].sent);
    }
    rig_destroy(rig);
}

static void a_withdrawn_call_does_not_confuse_the_others(void **state)
{
    struct rig *rig = rig_create(5);

    (void)state;
    rig->cancel = 2;
    rig_go(rig);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(rig->calls[i].result, i == 2 ? ERR_CANCELED : ERR_NONE);
    assert_int_equal(rig->broker->connections, 1);
    rig_destroy(rig);
}

static void closing_ends_every_call(void **state)
{
    struct rig *rig = rig_create(8);

    (void)state;
    rig->close_after_ms = 20;
    rig->config.in_flight_max = 2;
    fake_broker_script(rig->broker, API_METADATA, 1, FAKE_SILENT, ERR_NONE);
    fake_broker_script(rig->broker, API_METADATA, 2, FAKE_SILENT, ERR_NONE);
    rig_go(rig);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(rig->calls[i].result, ERR_CANCELED);
        assert_int_equal(rig->calls[i].sent, i < 2);
    }
    rig_destroy(rig);
}

static void a_refused_connect_fails_the_calls_unsent_and_is_tried_again(void **state)
{
    struct rig *rig = rig_create(2);

    (void)state;
    rig->again = true;
    sim_fail_connects(rig->broker->node, SIM_CONNECT_REFUSED, 1);
    rig_go(rig);
    assert_int_equal(rig->calls[1].result, ERR_CONNECTION_REFUSED);
    assert_false(rig->calls[1].sent);
    assert_int_equal(rig->calls[0].result, ERR_NONE); /* the second time, after the backoff */
    rig_destroy(rig);
}

static void a_connect_that_hangs_does_not_hold_calls_beyond_their_time(void **state)
{
    struct rig *rig = rig_create(2);

    (void)state;
    sim_fail_connects(rig->broker->node, SIM_CONNECT_TIMED_OUT, 1);
    rig_go(rig);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(rig->calls[i].result, ERR_TIMED_OUT);
        assert_false(rig->calls[i].sent);
    }
    assert_in_range(rig->answered_ns, NS_PER_SEC, 1100 * NS_PER_MS);
    rig_destroy(rig);
}

static void a_connect_that_hangs_is_withdrawn_by_a_close_and_by_the_setup_timeout(void **state)
{
    struct rig *closing = rig_create(1);
    struct rig *again = rig_create(1);

    (void)state;
    closing->close_after_ms = 20;
    sim_fail_connects(closing->broker->node, SIM_CONNECT_TIMED_OUT, 1);
    rig_go(closing);
    assert_int_equal(closing->calls[0].result, ERR_CANCELED);
    assert_in_range(closing->sim->now_ns, 0, NS_PER_SEC); /* not the transport's limit */
    rig_destroy(closing);
    /* The second attempt begins when the first is over time, and works. */
    again->config.request_timeout_ms = 20000;
    again->config.setup_timeout_ms = 2000;
    again->again = true;
    sim_fail_connects(again->broker->node, SIM_CONNECT_TIMED_OUT, 1);
    rig_go(again);
    assert_int_equal(again->calls[0].result, ERR_NONE);
    assert_in_range(again->sim->now_ns, 2 * NS_PER_SEC, 3 * NS_PER_SEC);
    rig_destroy(again);
}

static void what_the_peer_does_not_speak_is_refused(void **state)
{
    struct rig *rig = rig_create(1);

    (void)state;
    rig->broker->served[API_METADATA] = (struct wire_range){13, 20};
    rig_go(rig);
    assert_int_equal(rig->calls[0].result, ERR_UNSUPPORTED_VERSION);
    assert_false(rig->calls[0].sent);
    rig_destroy(rig);
}

static void garbage_instead_of_versions_is_not_taken(void **state)
{
    struct rig *rig = rig_create(1);

    (void)state;
    fake_broker_script(rig->broker, API_API_VERSIONS, 1, FAKE_GARBAGE_BODY, ERR_NONE);
    rig->again = true;
    rig_go(rig);
    assert_int_equal(rig->calls[0].result, ERR_NONE); /* the second time */
    assert_int_equal(rig->broker->connections, 2);
    rig_destroy(rig);
}

static void an_unused_connection_is_closed(void **state)
{
    struct rig *rig = rig_create(1);

    (void)state;
    rig->config.idle_max_ms = 500;
    rig->config.request_timeout_ms = 3000;
    rig->close_after_ms = 2000; /* the call is done long before */
    rig_go(rig);
    assert_int_equal(rig->calls[0].result, ERR_NONE);
    assert_int_equal(rig->peer.connection.ended, ERR_NONE); /* ours, before the close */
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_pipelined_within_their_bound),
        cmocka_unit_test(more_than_the_queue_holds_is_refused),
        cmocka_unit_test(silence_costs_the_connection_and_the_next_one_works),
        cmocka_unit_test(a_lost_connection_ends_what_flies),
        cmocka_unit_test(a_withdrawn_call_does_not_confuse_the_others),
        cmocka_unit_test(closing_ends_every_call),
        cmocka_unit_test(a_refused_connect_fails_the_calls_unsent_and_is_tried_again),
        cmocka_unit_test(a_connect_that_hangs_does_not_hold_calls_beyond_their_time),
        cmocka_unit_test(a_connect_that_hangs_is_withdrawn_by_a_close_and_by_the_setup_timeout),
        cmocka_unit_test(what_the_peer_does_not_speak_is_refused),
        cmocka_unit_test(garbage_instead_of_versions_is_not_taken),
        cmocka_unit_test(an_unused_connection_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
