#include "tests/support/quorum_box.h"

#include "tests/support/support.h"

#include "client/base/text.h"
#include "wire/api_versions.h"

#include <stdio.h>
#include <string.h>

enum { PORT = 9093 };

/* ---- the server
 * ------------------------------------------------------------------------------- */

static void accept_done(struct world_req *req, struct instant now)
{
    (void)now;
    op_wake(&CONTAINER_OF(CONTAINER_OF(req, struct net_accept, req), struct quorum_box_conn, accept)
                 ->source);
}

static void ignore(struct world_req *req, struct instant now)
{
    (void)req;
    (void)now;
}

static enum err answer(struct quorum_box_conn *c, const struct wire_message *message,
                       const void *value)
{
    struct wire_size size = message->measure(value, c->version);
    size_t head = size.bytes - size.payload + api_response_overhead(c->api, c->version) + 64;
    struct connection_out *out =
        connection_out_create(&c->connection, head, size.slices + 2, LOG_READ_SLICES);
    struct wire_writer writer;
    struct wire_frame frame;
    enum err err;

    assert_non_null(out);
    wire_writer_init(&writer, out->head, head);
    wire_writer_gather(&writer, out->slices, out->slices_max);
    frame = api_begin_response(&writer, c->api, c->version, c->correlation);
    err = message->encode(&writer, c->version, value);
    assert_int_equal(err, ERR_NONE);
    wire_frame_end(&writer, frame);
    err = wire_writer_finish(&writer);
    assert_int_equal(err, ERR_NONE);
    if (c->api == API_FETCH && c->request.reading) {
        for (uint32_t i = 0; i < c->request.read.count; i++) {
            connection_out_hold(out, c->request.read.holds[i]);
        }
    }
    if (c->api == API_FETCH_SNAPSHOT && c->request.part != NULL)
        connection_out_hold(out, c->request.part);
    err = connection_send(&c->connection, out, writer.slices_count);
    if (err != ERR_NONE) connection_out_destroy(&c->connection, out);
    return err;
}

static void answer_versions(struct quorum_box_conn *c)
{
    struct api_versions_response_api_version list[128];
    struct api_versions_response response;

    api_versions_response_default(&response);
    response.api_keys = list;
    response.api_keys_count = api_versions_list(API_ON_CONTROLLER, list);
    (void)answer(c, &api_versions_response_message, &response);
}

/* True: the quorum answers later. */
static bool dispatch(struct quorum_box_conn *c)
{
    struct quorum *quorum = &c->box->quorum;
    struct wire_reader reader;
    struct request_header header;
    enum err err;

    wire_reader_init(&reader, c->frame.data, c->frame.length);
    err = api_read_request_header(&reader, &c->arena, &header);
    assert_int_equal(err, ERR_NONE);
    c->api = header.request_api_key;
    c->version = header.request_api_version;
    c->correlation = header.correlation_id;
    if (c->api == API_API_VERSIONS) {
        answer_versions(c);
        return false;
    }
    if (c->api == API_VOTE) {
        struct vote_request vote;

        err = vote_request_decode(&reader, c->version, &c->arena, &vote);
        assert_int_equal(err, ERR_NONE);
        quorum_request_vote(&c->request, quorum, c->version, &vote);
    } else if (c->api == API_BEGIN_QUORUM_EPOCH) {
        struct begin_quorum_epoch_request begin;

        err = begin_quorum_epoch_request_decode(&reader, c->version, &c->arena, &begin);
        assert_int_equal(err, ERR_NONE);
        quorum_request_begin(&c->request, quorum, c->version, &begin);
    } else if (c->api == API_END_QUORUM_EPOCH) {
        struct end_quorum_epoch_request end;

        err = end_quorum_epoch_request_decode(&reader, c->version, &c->arena, &end);
        assert_int_equal(err, ERR_NONE);
        quorum_request_end(&c->request, quorum, c->version, &end);
    } else if (c->api == API_FETCH_SNAPSHOT) {
        struct fetch_snapshot_request snapshot;

        err = fetch_snapshot_request_decode(&reader, c->version, &c->arena, &snapshot);
        assert_int_equal(err, ERR_NONE);
        quorum_request_snapshot(&c->request, quorum, c->version, &snapshot);
    } else {
        struct fetch_request fetch;

        assert_int_equal(c->api, API_FETCH);
        err = fetch_request_decode(&reader, c->version, &c->arena, &fetch);
        assert_int_equal(err, ERR_NONE);
        quorum_request_fetch(&c->request, quorum, c->version, c->connection.net.id, &fetch);
    }
    return true;
}

static void respond(struct quorum_box_conn *c)
{
    switch (c->request.kind) {
    case RAFT_REQUEST_VOTE:
        (void)answer(c, &vote_response_message, &c->request.response.vote);
        break;
    case RAFT_REQUEST_BEGIN:
        (void)answer(c, &begin_quorum_epoch_response_message, &c->request.response.begin);
        break;
    case RAFT_REQUEST_END:
        (void)answer(c, &end_quorum_epoch_response_message, &c->request.response.end);
        break;
    case RAFT_REQUEST_SNAPSHOT:
        (void)answer(c, &fetch_snapshot_response_message, &c->request.response.snapshot);
        break;
    case RAFT_REQUEST_FETCH:
        (void)answer(c, &fetch_response_message, &c->request.response.fetch);
        break;
    }
}

enum conn_step { CONN_START, CONN_ACCEPTED, CONN_FRAME, CONN_ANSWERED, CONN_CLOSED };
static const char *const conn_steps[] = {"START", "ACCEPTED", "FRAME", "ANSWERED", "CLOSED"};

static enum op_result conn_run(struct op *op)
{
    struct quorum_box_conn *o = CONTAINER_OF(op, struct quorum_box_conn, op);
    static const struct connection_limits limits = {
        .frame_max = 1 << 24, .send_queue_max = 64, .send_bytes_max = 1 << 24, .reserved = true};

    switch ((enum conn_step)op->step) {
    case CONN_START:
        while (true) {
            connection_init(&o->connection, &o->box->env, &limits);
            world_req_init(&o->accept.req, accept_done);
            o->accept.listener = &o->box->listening;
            o->accept.conn = &o->connection.net;
            net_accept(o->box->env.world, &o->accept);
            AWAIT(o, CONN_ACCEPTED, &o->source, !o->accept.req.pending);
            if (o->accept.req.result != ERR_NONE) return OP_DONE;
            connection_opened(&o->connection, -1, true);
            while (o->connection.state == CONNECTION_OPEN) {
                AWAIT(o, CONN_FRAME, &o->connection.events,
                      connection_readable(&o->connection) ||
                          o->connection.state != CONNECTION_OPEN);
                if (!connection_next(&o->connection, true, &o->frame)) continue;
                if (dispatch(o)) {
                    AWAIT(o, CONN_ANSWERED, &o->request.source, o->request.done);
                    if (o->connection.state == CONNECTION_OPEN) respond(o);
                    quorum_request_release(&o->request);
                }
                connection_frame_release(&o->frame);
                arena_reset(&o->arena);
            }
            AWAIT(o, CONN_CLOSED, &o->connection.events, o->connection.state == CONNECTION_CLOSED);
        }
    }
    IMPOSSIBLE("step");
}

static const struct op_kind conn_kind = {"conn", conn_steps, 5, conn_run, NULL};

/* ---- the node
 * --------------------------------------------------------------------------------- */

static void told_record(struct quorum_listener *listener, const struct quorum_record *record)
{
    struct quorum_box_node *n = CONTAINER_OF(listener, struct quorum_box_node, listener);

    n->records++;
    n->digest =
        sim_digest(n->digest, record->value.data, record->value.length) + (uint64_t)record->offset;
}

static void told_batch(struct quorum_listener *listener, int64_t end, int32_t epoch,
                       int64_t timestamp)
{
    struct quorum_box_node *n = CONTAINER_OF(listener, struct quorum_box_node, listener);

    (void)epoch;
    (void)timestamp;
    assert_true(end > n->end);
    n->end = end;
}

static void told_leader(struct quorum_listener *listener, int32_t leader, int32_t epoch)
{
    struct quorum_box_node *n = CONTAINER_OF(listener, struct quorum_box_node, listener);

    assert_true(epoch >= n->leader_epoch);
    n->leader = leader;
    n->leader_epoch = epoch;
}

/* The state of this listener is what it was told so far; records told by a snapshot are padding but
 * for the first, so that one may be as big as a test wants. */
static void snapshot_begun(struct quorum_listener *listener, int64_t end, int32_t epoch)
{
    struct quorum_box_node *n = CONTAINER_OF(listener, struct quorum_box_node, listener);

    (void)epoch;
    assert_false(n->loading);
    assert_true(end >= n->end);
    n->loading = true;
    n->load_count = 0;
}

static enum err snapshot_record(struct quorum_listener *listener, struct bytes value)
{
    struct quorum_box_node *n = CONTAINER_OF(listener, struct quorum_box_node, listener);

    if (value.length < 16) return ERR_MALFORMED;
    if (n->load_count++ == 0) {
        memcpy(&n->load_records, value.data, 8);
        memcpy(&n->load_digest, value.data + 8, 8);
    }
    return ERR_NONE;
}

static enum err snapshot_loaded(struct quorum_listener *listener, int64_t end, int32_t epoch)
{
    struct quorum_box_node *n = CONTAINER_OF(listener, struct quorum_box_node, listener);

    (void)epoch;
    assert_int_equal(n->load_count, 1 + n->all->padding);
    n->records = n->load_records;
    n->digest = n->load_digest;
    n->end = end;
    n->snapshots_loaded++;
    n->loading = false;
    return ERR_NONE;
}

static void snapshot_dropped(struct quorum_listener *listener)
{
    CONTAINER_OF(listener, struct quorum_box_node, listener)->loading = false;
}

static enum err snapshot_open(struct quorum_listener *listener)
{
    CONTAINER_OF(listener, struct quorum_box_node, listener)->save_count = 0;
    return ERR_NONE;
}

static enum err snapshot_next(struct quorum_listener *listener, struct bytes *value)
{
    struct quorum_box_node *n = CONTAINER_OF(listener, struct quorum_box_node, listener);

    if (n->save_count > n->all->padding) return ERR_EOF;
    memset(n->save, (int)(n->save_count & 0xff), sizeof n->save);
    memcpy(n->save, &n->records, 8);
    memcpy(n->save + 8, &n->digest, 8);
    n->save_count++;
    *value = (struct bytes){n->save, sizeof n->save};
    return ERR_NONE;
}

static void snapshot_close(struct quorum_listener *listener)
{
    (void)listener;
}

static bool dir_settled(const struct quorum_box_node *n)
{
    return n->dir.flow == NULL && n->dir.state != LOG_DIR_OPENING &&
           n->dir.state != LOG_DIR_CLOSING;
}

static void open_log(struct quorum_box_node *n)
{
    struct log_open open = {.topic = STR("__cluster_metadata"), .create = true};
    struct log_config *config = &n->log_config;

    open.topic_id.bytes[15] = 1;
    *config = log_config_default();
    config->verify_all = true;
    config->timestamp_after_max_ms = INT64_MAX;
    config->deletes = false;
    config->retention_ms = -1;
    config->delete_delay_ms = 1000;
    if (n->all->segment_bytes > 0) config->segment_bytes = n->all->segment_bytes;
    n->log = log_open(&n->dir, &open, config);
    assert_non_null(n->log);
}

static void start_quorum(struct quorum_box_node *n)
{
    struct quorum_config config;
    enum err err;

    quorum_config_default(&config);
    config.node_id = n->id;
    config.directory_id = n->dir.meta.directory_id;
    config.cluster_id = n->foreign ? STR("another-cluster") : STR("cluster-of-the-test");
    config.dir = STR("data/__cluster_metadata-0");
    config.voter_count = n->all->voters;
    if (n->all->snapshot_bytes > 0) {
        config.snapshot_bytes = n->all->snapshot_bytes;
        config.retention_bytes = n->all->retention_bytes;
    }
    if (n->all->request_timeout_ms > 0) config.request_timeout_ms = n->all->request_timeout_ms;
    if (n->all->fetch_timeout_ms > 0) config.fetch_timeout_ms = n->all->fetch_timeout_ms;
    for (uint32_t i = 0; i < n->all->voters; i++) {
        static const char *const hosts[] = {"node-1", "node-2", "node-3", "node-4", "node-5"};

        config.voters[i] =
            (struct quorum_voter){.id = (int32_t)i + 1, .port = PORT, .host = str_of(hosts[i])};
        config.bootstrap[i] = config.voters[i];
    }
    if (n->all->bootstrap) config.bootstrap_count = n->all->voters;
    err = quorum_init(&n->quorum, &n->env, &config, n->log, &n->listener);
    assert_int_equal(err, ERR_NONE);
    quorum_start(&n->quorum);
    n->quorum_started = true;
    for (uint32_t i = 0; i < QUORUM_BOX_CONNS; i++) {
        n->conns[i].box = n;
        op_source_init(&n->conns[i].source);
        arena_init(&n->conns[i].arena, &n->env.mem, 1 << 16);
        op_start(&n->env.loop, &n->conns[i].op, &conn_kind, CONN_START);
    }
}

enum node_step {
    NODE_START,
    NODE_DIR_OPENED,
    NODE_FORMATTED,
    NODE_DIR_AGAIN,
    NODE_LOG_OPENED,
    NODE_LOG_RESET
};
static const char *const node_steps[] = {"START",     "DIR_OPENED", "FORMATTED",
                                         "DIR_AGAIN", "LOG_OPENED", "LOG_RESET"};

static enum op_result node_run(struct op *op)
{
    struct quorum_box_node *o = CONTAINER_OF(op, struct quorum_box_node, op);
    struct log_dir_meta meta = {.cluster_id = "cluster-of-the-test", .node_id = o->id};

    meta.directory_id.bytes[0] = (uint8_t)o->id;
    switch ((enum node_step)op->step) {
    case NODE_START:
        log_dir_open(&o->dir, STR("cluster-of-the-test"), o->id);
        AWAIT(o, NODE_DIR_OPENED, &o->dir.state_source, dir_settled(o));
        if (o->dir.state == LOG_DIR_CLOSED) log_dir_format(&o->dir, &meta, false);
        AWAIT(o, NODE_FORMATTED, &o->dir.state_source, dir_settled(o));
        if (o->dir.state == LOG_DIR_CLOSED) {
            log_dir_open(&o->dir, STR("cluster-of-the-test"), o->id);
        }
        AWAIT(o, NODE_DIR_AGAIN, &o->dir.state_source, dir_settled(o));
        assert_int_equal(o->dir.state, LOG_DIR_ONLINE);
        open_log(o);
        AWAIT(o, NODE_LOG_OPENED, &o->log->state_source, o->log->state != LOG_OPENING);
        /* Rot below what was synced: the log opens empty, and the quorum refetches it (F43). */
        o->was_damaged = o->log->state == LOG_FAILED && o->log->err == ERR_DAMAGED;
        if (o->was_damaged) log_reset(o->log, 0);
        AWAIT(o, NODE_LOG_RESET, &o->log->state_source, o->log->state != LOG_TRUNCATING);
        assert_int_equal(o->log->state, LOG_OPEN);
        start_quorum(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind node_kind = {"node", node_steps, 6, node_run, NULL};

static void node_started(struct env *env)
{
    struct quorum_box_node *n = CONTAINER_OF(env, struct quorum_box_node, env);
    struct log_dir_limits limits = log_dir_limits_default();

    n->booted = true;
    n->listener = (struct quorum_listener){
        told_record,     told_batch,       told_leader,   snapshot_begun, snapshot_record,
        snapshot_loaded, snapshot_dropped, snapshot_open, snapshot_next,  snapshot_close};
    log_cache_init(&n->cache, &env->mem, 1 << 20, 1024);
    log_dir_init(&n->dir, env, &n->cache, STR("data"), &limits);
    world_req_init(&n->listening.req, ignore);
    world_req_init(&n->listening.closed, ignore);
    n->listening.address.port = PORT;
    net_listen(env->world, &n->listening);
    op_start(&env->loop, &n->op, &node_kind, NODE_START);
}

static void node_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct quorum_box_node *n = CONTAINER_OF(program, struct quorum_box_node, program);
    struct env_limits limits = {
        .ops_max = 1024, .payload_bytes = 24 << 20, .payload_reserved = 8 << 20};
    enum err err;

    (void)now;
    n->records = 0;
    n->digest = 0;
    n->end = 0;
    n->loading = false;
    n->leader = RAFT_NOBODY;
    n->leader_epoch = -1;
    err = env_init(&n->env, world, &limits, node_started);
    assert_int_equal(err, ERR_NONE);
}

static void node_down(struct sim_program *program, struct world *world, enum sim_down how)
{
    struct quorum_box_node *n = CONTAINER_OF(program, struct quorum_box_node, program);

    (void)world;
    (void)how;
    n->booted = false;
    n->quorum_started = false;
}

void quorum_box_init(struct quorum_box *box, uint64_t seed, uint32_t nodes, uint32_t voters)
{
    struct sim_config config = sim_config_default(seed);

    memset(box, 0, sizeof *box);
    config.nodes_max = QUORUM_BOX_NODES;
    box->sim = sim_create(&config);
    box->nodes = nodes;
    box->voters = voters;
    for (uint32_t i = 0; i < nodes; i++) {
        struct quorum_box_node *n = &box->node[i];
        struct sim_node_config node = sim_node_config_default((int32_t)i + 1);

        n->all = box;
        n->id = (int32_t)i + 1;
        n->program = (struct sim_program){node_boot, node_down, NULL};
        node.program = &n->program;
        n->world = sim_node_add(box->sim, &node);
        sim_node_start(n->world);
    }
}

void quorum_box_deinit(struct quorum_box *box)
{
    sim_destroy(box->sim);
}

void quorum_box_start(struct quorum_box *box, uint32_t node)
{
    sim_node_start(box->node[node].world);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

void quorum_box_run_ms(struct quorum_box *box, int64_t ms)
{
    struct sim_limits limits = {.until_ns = box->sim->now_ns + ms * NS_PER_MS, .done = never};

    if (sim_run(box->sim, &limits) == SIM_END_FAILED) {
        fail_msg("%s (line %d)", box->sim->failure.text, box->sim->failure.line);
    }
}

int quorum_box_leader(const struct quorum_box *box)
{
    int found = -1;

    for (uint32_t i = 0; i < box->nodes; i++) {
        const struct quorum_box_node *n = &box->node[i];

        if (!n->quorum_started || !quorum_leads(&n->quorum, n->quorum.epoch)) continue;
        if (n->leader != n->id) continue;
        if (found >= 0 && box->node[found].quorum.epoch > n->quorum.epoch) continue;
        found = (int)i;
    }
    return found;
}

void quorum_box_poke(struct quorum_box *box, uint32_t node)
{
    struct quorum_box_node *n = &box->node[node];

    n->env.actor.turn_end(&n->env.actor, sim_node_now(n->world));
}
