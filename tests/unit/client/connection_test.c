/* Proves: frames of any size cross a byte stream that is cut anywhere, whole and in order, both
 * ways; large ones arrive in a counted buffer of their own; an idle connection holds none; who does
 * not ask holds the sender back; a used-up budget stalls and goes on; everything comes back. */
#include "tests/support/support.h"

#include "client/base/rng.h"
#include "client/connection.h"
#include "sim/fault.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 300, PORT = 7000 };

struct side {
    struct sim_program program;
    struct sim_world *node;
    struct env *env;
    struct connection connection;
    struct op op;
    struct op_source wake;
    struct net_listener listener;
    struct net_accept accept;
    struct net_resolve resolve;
    struct net_connect connect;
    size_t payload_bytes;
    uint32_t frames; /* seen */
};

static struct rig {
    struct sim *sim;
    struct side server; /* echoes */
    struct side client;
    uint32_t count;
    uint32_t sizes[FRAMES_MAX];
    uint32_t sent;
    bool keep;                /* the client asks for kept frames */
    int64_t server_sleeps_ms; /* before it reads at all */
    uint32_t in_buffers;      /* echoes that came in a counted buffer */
    uint32_t queue_peak;
    bool idle_checked;
    bool closed;
} rig;

static uint8_t byte_at(uint32_t frame, uint32_t at)
{
    return (uint8_t)(frame * 31 + at * 7 + (at >> 8));
}

static const struct connection_limits limits = {
    .frame_max = 1 << 20, .send_queue_max = 8, .send_bytes_max = 1 << 20};

static struct side *side_of(struct env *env)
{
    return CONTAINER_OF(sim_world_of(env->world)->config.program, struct side, program);
}

static void woken(struct world_req *req, struct instant now)
{
    (void)now;
    assert_int_equal(req->result, ERR_NONE);
    op_wake(&rig.server.wake);
    op_wake(&rig.client.wake);
}

/*- the server: echoes every frame, its bytes not copied when they came in a buffer----- */

static bool echo(struct side *side, const struct connection_frame *frame)
{
    uint32_t inline_bytes = frame->buf != NULL ? 0 : frame->length;
    struct connection_out *out =
        connection_out_create(&side->connection, 4 + inline_bytes, 2, frame->buf != NULL);

    assert_non_null(out);
    out->head[0] = (uint8_t)(frame->length >> 24);
    out->head[1] = (uint8_t)(frame->length >> 16);
    out->head[2] = (uint8_t)(frame->length >> 8);
    out->head[3] = (uint8_t)frame->length;
    if (inline_bytes > 0) memcpy(out->head + 4, frame->data, inline_bytes);
    out->slices[0] = (struct wire_slice){
        .kind = WIRE_SLICE_MEMORY, .length = 4 + inline_bytes, .data = out->head};
    if (frame->buf != NULL) {
        connection_out_hold(out, frame->buf);
        out->slices[1] = (struct wire_slice){
            .kind = WIRE_SLICE_MEMORY, .length = frame->length, .data = frame->data};
    }
    if (connection_send(&side->connection, out, frame->buf != NULL ? 2 : 1) == ERR_NONE)
        return true;
    connection_out_destroy(&side->connection, out);
    return false;
}

enum step { START, LISTENING, ACCEPTED, SLEPT, READABLE, SENDABLE, CLOSED, STEPS };
static const char *const steps[STEPS] = {"START",    "LISTENING", "ACCEPTED", "SLEPT",
                                         "READABLE", "SENDABLE",  "CLOSED"};

static void server_read(struct side *side)
{
    struct connection_frame frame;

    while (connection_sendable(&side->connection, limits.frame_max / 2) &&
           connection_next(&side->connection, false, &frame)) {
        side->frames++;
        assert_true(echo(side, &frame));
        connection_frame_release(&frame);
    }
}

static enum op_result server_run(struct op *op)
{
    struct side *o = CONTAINER_OF(op, struct side, op);

    switch ((enum step)op->step) {
    case START:
        o->listener.address.port = PORT;
        net_listen(o->env->world, &o->listener);
        AWAIT(o, LISTENING, &o->wake, !o->listener.req.pending);
        connection_init(&o->connection, o->env, &limits);
        o->accept.listener = &o->listener;
        o->accept.conn = &o->connection.net;
        net_accept(o->env->world, &o->accept);
        AWAIT(o, ACCEPTED, &o->wake, !o->accept.req.pending);
        connection_opened(&o->connection, -1, true);
        op_deadline(op, env_deadline(o->env, 1 + rig.server_sleeps_ms));
        AWAIT(o, SLEPT, NULL, op_expired(op));
        op_deadline(op, OP_NO_DEADLINE);
        while (o->connection.state == CONNECTION_OPEN) {
            server_read(o);
            AWAIT(o, READABLE, &o->connection.events,
                  o->connection.state != CONNECTION_OPEN ||
                      (connection_readable(&o->connection) &&
                       connection_sendable(&o->connection, limits.frame_max / 2)));
        }
        AWAIT(o, CLOSED, &o->connection.events, o->connection.state == CONNECTION_CLOSED);
        return OP_DONE;
    case SENDABLE:
    case STEPS: break;
    }
    IMPOSSIBLE("step");
}

/* ---- the client ------------------------------------------------------------------------------ */

static void client_send(struct side *side)
{
    while (rig.sent < rig.count && connection_sendable(&side->connection, rig.sizes[rig.sent])) {
        uint32_t size = rig.sizes[rig.sent];
        struct connection_out *out = connection_out_create(&side->connection, 4 + size, 1, 0);

        assert_non_null(out);
        out->head[0] = (uint8_t)(size >> 24);
        out->head[1] = (uint8_t)(size >> 16);
        out->head[2] = (uint8_t)(size >> 8);
        out->head[3] = (uint8_t)size;
        for (uint32_t i = 0; i < size; i++)
            out->head[4 + i] = byte_at(rig.sent, i);
        out->slices[0] =
            (struct wire_slice){.kind = WIRE_SLICE_MEMORY, .length = 4 + size, .data = out->head};
        assert_int_equal(connection_send(&side->connection, out, 1), ERR_NONE);
        rig.sent++;
        if (side->connection.send_queue > rig.queue_peak)
            rig.queue_peak = side->connection.send_queue;
    }
}

static void client_read(struct side *side)
{
    struct connection_frame frame;

    while (connection_next(&side->connection, rig.keep, &frame)) {
        assert_true(side->frames < rig.count);
        assert_int_equal(frame.length, rig.sizes[side->frames]);
        for (uint32_t i = 0; i < frame.length; i++)
            assert_int_equal(frame.data[i], byte_at(side->frames, i));
        if (frame.buf != NULL) rig.in_buffers++;
        if (rig.keep && frame.length > 0) assert_non_null(frame.buf);
        side->frames++;
        connection_frame_release(&frame);
    }
}

static enum op_result client_run(struct op *op)
{
    struct side *o = CONTAINER_OF(op, struct side, op);

    switch ((enum step)op->step) {
    case START:
        o->resolve.host = str_of(rig.server.node->name);
        o->resolve.port = PORT;
        net_resolve(o->env->world, &o->resolve);
        AWAIT(o, LISTENING, &o->wake, !o->resolve.req.pending);
        connection_init(&o->connection, o->env, &limits);
        o->connect.address = o->resolve.addresses[0];
        o->connect.conn = &o->connection.net;
        net_connect(o->env->world, &o->connect);
        AWAIT(o, ACCEPTED, &o->wake, !o->connect.req.pending);
        connection_opened(&o->connection, 1, false);
        while (o->frames < rig.count) {
            client_send(o);
            client_read(o);
            if (o->frames == rig.count) break;
            AWAIT(o, READABLE, &o->connection.events,
                  connection_readable(&o->connection) ||
                      (rig.sent < rig.count &&
                       connection_sendable(&o->connection, rig.sizes[rig.sent])));
            assert_int_equal(o->connection.state, CONNECTION_OPEN);
        }
        op_deadline(op, env_deadline(o->env, 5000)); /* idle for a while */
        AWAIT(o, SLEPT, NULL, op_expired(op));
        assert_int_equal(o->env->payload.used, 0);
        assert_int_equal(rig.server.env->payload.used, 0);
        assert_true(rig.server.connection.recv.req.pending);
        rig.idle_checked = true;
        connection_finish(&o->connection);
        op_deadline(op, OP_NO_DEADLINE);
        AWAIT(o, CLOSED, &o->connection.events, o->connection.state == CONNECTION_CLOSED);
        rig.closed = true;
        return OP_DONE;
    case SENDABLE:
    case STEPS: break;
    }
    IMPOSSIBLE("step");
}

/* ---- the rig --------------------------------------------------------------------------------- */

static const struct op_kind server_kind = {"server", steps, STEPS, server_run, NULL};
static const struct op_kind client_kind = {"client", steps, STEPS, client_run, NULL};

static void side_started(struct env *env)
{
    struct side *side = side_of(env);

    op_source_init(&side->wake);
    world_req_init(&side->listener.req, woken);
    world_req_init(&side->listener.closed, woken);
    world_req_init(&side->accept.req, woken);
    world_req_init(&side->resolve.req, woken);
    world_req_init(&side->connect.req, woken);
    op_start(&env->loop, &side->op, side == &rig.server ? &server_kind : &client_kind, START);
}

static void side_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct side *side = CONTAINER_OF(program, struct side, program);
    struct env_limits env_limits = {.ops_max = 100, .payload_bytes = side->payload_bytes};

    (void)now;
    side->env = region_take(world->region, sizeof *side->env, 16);
    assert_int_equal(env_init(side->env, world, &env_limits, side_started), ERR_NONE);
}

static void side_add(struct side *side, int32_t id, size_t payload_bytes)
{
    struct sim_node_config node = sim_node_config_default(id);

    side->payload_bytes = payload_bytes;
    side->program.boot = side_boot;
    node.program = &side->program;
    side->node = sim_node_add(rig.sim, &node);
    sim_node_start(side->node);
}

static bool rig_done(void *context)
{
    (void)context;
    return rig.closed && rig.server.connection.state == CONNECTION_CLOSED;
}

static void rig_begin(uint64_t seed)
{
    struct sim_config config = sim_config_default(seed);

    memset(&rig, 0, sizeof rig);
    rig.sim = sim_create(&config);
}

static void rig_go(size_t payload_bytes)
{
    struct sim_limits sim_limits = {.until_ns = 600 * NS_PER_SEC, .done = rig_done};
    enum sim_outcome end;

    side_add(&rig.server, 1, payload_bytes);
    side_add(&rig.client, 2, payload_bytes);
    end = sim_run(rig.sim, &sim_limits);
    if (end != SIM_END_DONE)
        fail_msg("%d after %u: %s", (int)end, rig.client.frames, rig.sim->failure.text);
    assert_int_equal(rig.client.frames, rig.count);
    assert_int_equal(rig.server.frames, rig.count);
    assert_true(rig.idle_checked);
    assert_int_equal(rig.server.connection.ended, ERR_EOF);
    assert_true(rig.queue_peak <= limits.send_queue_max);
    sim_destroy(rig.sim);
}

static void fill_sizes(uint32_t count, uint32_t most, uint64_t seed)
{
    struct rng rng;

    rng_init(&rng, seed);
    rig.count = count;
    for (uint32_t i = 0; i < count; i++)
        rig.sizes[i] = (uint32_t)rng_below(&rng, most);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void frames_of_any_size_cross_whole_and_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        rig_begin(seed);
        fill_sizes(60, 100000, seed);
        rig.sizes[0] = 0;
        rig.sizes[1] = 1;
        rig_go(16 << 20);
        assert_true(rig.in_buffers > 0);
    }
}

static void small_frames_need_no_buffer_unless_kept(void **state)
{
    (void)state;
    rig_begin(5);
    fill_sizes(200, 60, 5);
    rig_go(16 << 20);
    assert_true(rig.in_buffers < 100); /* only those that a cut went through */

    rig_begin(5);
    fill_sizes(200, 60, 5);
    rig.keep = true;
    rig_go(16 << 20);
    assert_true(rig.in_buffers > 150);
}

static void a_server_that_does_not_read_holds_the_client_back(void **state)
{
    (void)state;
    rig_begin(8);
    fill_sizes(100, 200000, 8);
    rig.server_sleeps_ms = 10000;
    rig_go(16 << 20);
    assert_true(rig.queue_peak >= 2);
}

static void a_used_up_budget_stalls_and_goes_on(void **state)
{
    (void)state;
    rig_begin(9);
    fill_sizes(60, 200000, 9);
    rig_go(256 * 1024); /* hardly one frame at a time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_any_size_cross_whole_and_in_order),
        cmocka_unit_test(small_frames_need_no_buffer_unless_kept),
        cmocka_unit_test(a_server_that_does_not_read_holds_the_client_back),
        cmocka_unit_test(a_used_up_budget_stalls_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
