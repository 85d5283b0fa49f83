/* The coordinator on a simulated cluster: three members of one group commit and read their offsets
 * while the broker that coordinates them is killed, loses its power or is cut off at one step of
 * its
 * work after the other (what it traces and what it writes are the steps): between the joins, before
 * and after the record of a generation, with commits under way, while loading. Each time the group
 * must come to stand again, no acknowledged commit may be gone (G9), nothing is read that nobody
 * committed (G10), and the members of one generation have been given one plan (G5). */
#include "client/peer.h"
#include "client/posix/codecs.h"
#include "sim/cluster.h"
#include "sim/fault.h"
#include "tests/support/support.h"
#include "wire/find_coordinator.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/metadata.h"
#include "wire/offset_commit.h"
#include "wire/offset_fetch.h"
#include "wire/sync_group.h"

#include <stdio.h>
#include <string.h>

enum {
    BROKERS = 3,
    MEMBERS = 3,
    COMMITS_WANTED = 3, /* by each member after the fault */
    RESTART_MS = 5000,
    CUT_MS = 1500,
    LIMIT_MS = 120000,
    PAUSE_MS = 100,
    STEPS = 80,
    FACTOR = 1000, /* offsets of member i are i + n * FACTOR */
};

static const char scenario_text[] =
    "gregor: 1\nname: groups\nabout: A group and its coordinator.\n"
    "stop: {time: 10s}\n"
    "cluster:\n  controllers: 3\n  brokers: 3\n  combined: true\n"
    "  config:\n    offsets.topic.num.partitions: 2\n"
    "    group.initial.rebalance.delay.ms: 200\n"
    "    default.replication.factor: 3\n    num.partitions: 3\n    min.insync.replicas: 2\n"
    "    broker.session.timeout.ms: 3000\n    broker.heartbeat.interval.ms: 500\n"
    "    replica.lag.time.max.ms: 3000\n"
    "topics:\n  unused: {partitions: 1}\n"
    "workload:\n  - {producer: p1, topic: unused, rate: 1/s}\n";

/* CUT_OFF: the other brokers hear nothing of it any more, the members do; then it dies. */
enum fault { FAULT_KILL, FAULT_POWER, FAULT_CUT_OFF };

struct rig;

struct member {
    struct rig *rig;
    struct op op;
    struct peer peers[BROKERS];
    struct call call;
    struct arena arena;
    uint32_t index;
    uint32_t ask; /* whom to ask next */
    int32_t coordinator;
    char id[128];
    bool has_topic;
    bool joined;
    bool synced;
    bool leads;
    int32_t generation;
    char plan[32]; /* as the leader named it */
    char own[128]; /* of the leader: the ids it assigns to */
    struct str listed[8];
    char names[8][128];
    uint32_t listed_count;
    int64_t sent;     /* last offset committed, acknowledged or not */
    int64_t acked;    /* -1 none */
    int64_t floor;    /* acknowledged before the fetch was sent */
    uint32_t commits; /* acknowledged, ever */
    uint32_t commits_at_fault;
    bool over;
    union {
        struct metadata_request metadata;
        struct find_coordinator_request find;
        struct join_group_request join;
        struct sync_group_request sync;
        struct offset_commit_request commit;
        struct offset_fetch_request fetch;
        struct heartbeat_request beat;
    } body;
    struct metadata_request_topic metadata_topic;
    struct join_group_request_protocol protocol;
    struct sync_group_request_assignment assignments[8];
    struct offset_commit_request_topic commit_topic;
    struct offset_commit_request_partition commit_partition;
    struct offset_fetch_request_topic fetch_topic;
    int32_t fetch_partition;
};

struct rig {
    struct sim *sim;
    struct scenario *scenario;
    struct cluster *cluster;
    struct codecs codecs;
    struct sim_program program;
    struct sim_observer observer;
    struct sim_world *client;
    struct env *env;
    struct member members[MEMBERS];
    struct sim_event restart;
    struct sim_event crash;
    struct sim_world *victim;
    struct sim_world *coordinator; /* who was last heard of as one */
    uint64_t events;               /* of coordinators */
    uint64_t crash_at;
    enum fault fault_kind;
    bool crashed;
    bool restarted;
    char fault[64]; /* where it was, for the message */
};

/* ---- a member -------------------------------------------------------------------------------- */

static struct peer *peer_of(struct member *m)
{
    if (m->coordinator >= 1) return &m->peers[m->coordinator - 1];
    return &m->peers[m->ask++ % BROKERS];
}

static void ask(struct member *m, int16_t api, int16_t version)
{
    call_init(&m->call, api);
    m->call.version_min = version;
    m->call.version_max = version;
    m->call.timeout_ms = 8000;
    m->call.body = &m->body;
    peer_call(peer_of(m), &m->call);
}

/* What a client makes of an error. */
static void take_error(struct member *m, enum err err)
{
    switch ((int)err) {
    case ERR_NONE: return;
    case ERR_COORDINATOR_LOAD_IN_PROGRESS: return;
    case ERR_REBALANCE_IN_PROGRESS: m->joined = m->synced = false; return;
    case ERR_ILLEGAL_GENERATION: m->joined = m->synced = false; return;
    case ERR_UNKNOWN_MEMBER_ID:
        m->joined = m->synced = false;
        m->id[0] = '\0';
        return;
    case ERR_UNKNOWN_TOPIC_OR_PARTITION: m->has_topic = false; return;
    case ERR_NOT_COORDINATOR:
    case ERR_COORDINATOR_NOT_AVAILABLE: m->coordinator = -1; return;
    default:
        /* Of the transport; anything else a client would give its user. */
        if (err_is_wire(err)) fail_msg("a member is told %s", err_name(err));
        m->coordinator = -1;
        return;
    }
}

#define DECODE(m, message, answer)                                                        \
    ((m)->call.result == ERR_NONE                                                         \
         ? message##_decode(&(m)->call.reader, (m)->call.version, &(m)->arena, &(answer)) \
         : (m)->call.result)

static void ended(struct member *m)
{
    call_release(&m->call);
    arena_reset(&m->arena);
}

static void metadata_ask(struct member *m)
{
    metadata_request_default(&m->body.metadata);
    metadata_request_topic_default(&m->metadata_topic);
    m->metadata_topic.name = STR("orders");
    m->body.metadata.topics = &m->metadata_topic;
    m->body.metadata.topics_count = 1;
    m->coordinator = -1;
    ask(m, API_METADATA, 4);
}

static void metadata_take(struct member *m)
{
    struct metadata_response answer;

    if (DECODE(m, metadata_response, answer) == ERR_NONE && answer.topics_count == 1)
        m->has_topic = answer.topics[0].error_code == 0 && answer.topics[0].partitions_count == 3;
    ended(m);
}

static void find_ask(struct member *m)
{
    find_coordinator_request_default(&m->body.find);
    m->body.find.key = STR("g");
    ask(m, API_FIND_COORDINATOR, 3);
}

static void find_take(struct member *m)
{
    struct find_coordinator_response answer;

    if (DECODE(m, find_coordinator_response, answer) == ERR_NONE && answer.error_code == 0)
        m->coordinator = answer.node_id;
    ended(m);
}

static void join_ask(struct member *m)
{
    static const uint8_t metadata[] = {0};

    join_group_request_default(&m->body.join);
    join_group_request_protocol_default(&m->protocol);
    m->protocol.name = STR("range");
    m->protocol.metadata = (struct bytes){metadata, sizeof metadata};
    m->body.join.group_id = STR("g");
    m->body.join.session_timeout_ms = 6000;
    m->body.join.rebalance_timeout_ms = 4000;
    m->body.join.member_id = str_of(m->id);
    m->body.join.protocol_type = STR("consumer");
    m->body.join.protocols = &m->protocol;
    m->body.join.protocols_count = 1;
    ask(m, API_JOIN_GROUP, 5);
}

static void copy_str(char *to, size_t size, struct str from)
{
    assert_true(from.length < size);
    memcpy(to, from.data, from.length);
    to[from.length] = '\0';
}

static void join_take(struct member *m)
{
    struct join_group_response answer;
    enum err err = DECODE(m, join_group_response, answer);

    if (err == ERR_NONE) {
        err = err_from_wire(answer.error_code);
        if (err == ERR_NONE || err == ERR_MEMBER_ID_REQUIRED)
            copy_str(m->id, sizeof m->id, answer.member_id);
        if (err == ERR_MEMBER_ID_REQUIRED)
            err = ERR_NONE;
        else
            m->joined = err == ERR_NONE;
    }
    if (m->joined && err == ERR_NONE) {
        m->generation = answer.generation_id;
        m->leads = str_equal(answer.leader, answer.member_id);
        m->listed_count = answer.members_count;
        assert_int_equal(answer.members_count > 0, m->leads);
        for (uint32_t i = 0; i < answer.members_count; i++)
            copy_str(m->names[i], sizeof m->names[i], answer.members[i].member_id);
    }
    take_error(m, err);
    ended(m);
}

static void sync_ask(struct member *m)
{
    sync_group_request_default(&m->body.sync);
    m->body.sync.group_id = STR("g");
    m->body.sync.generation_id = m->generation;
    m->body.sync.member_id = str_of(m->id);
    if (m->leads) {
        /* One plan of one leader: its name is the same for all. */
        int64_t now = m->rig->sim->now_ns;

        (void)snprintf(m->own, sizeof m->own, "%u/%lld", m->index, (long long)now);
        for (uint32_t i = 0; i < m->listed_count; i++) {
            sync_group_request_assignment_default(&m->assignments[i]);
            m->assignments[i].member_id = str_of(m->names[i]);
            m->assignments[i].assignment =
                (struct bytes){(const uint8_t *)m->own, (uint32_t)strlen(m->own)};
        }
        m->body.sync.assignments = m->assignments;
        m->body.sync.assignments_count = m->listed_count;
    }
    ask(m, API_SYNC_GROUP, 3);
}

static void sync_take(struct member *m)
{
    struct sync_group_response answer;
    enum err err = DECODE(m, sync_group_response, answer);

    if (err == ERR_NONE) err = err_from_wire(answer.error_code);
    if (err == ERR_NONE) {
        assert_true(answer.assignment.length > 0);
        copy_str(m->plan, sizeof m->plan,
                 (struct str){(const char *)answer.assignment.data, answer.assignment.length});
        m->synced = true;
    }
    take_error(m, err);
    ended(m);
}

static void commit_ask(struct member *m)
{
    offset_commit_request_default(&m->body.commit);
    offset_commit_request_topic_default(&m->commit_topic);
    offset_commit_request_partition_default(&m->commit_partition);
    m->sent = m->sent < 0 ? m->index : m->sent + FACTOR;
    m->commit_partition.partition_index = (int32_t)m->index;
    m->commit_partition.committed_offset = m->sent;
    m->commit_topic.name = STR("orders");
    m->commit_topic.partitions = &m->commit_partition;
    m->commit_topic.partitions_count = 1;
    m->body.commit.group_id = STR("g");
    m->body.commit.generation_id_or_member_epoch = m->generation;
    m->body.commit.member_id = str_of(m->id);
    m->body.commit.topics = &m->commit_topic;
    m->body.commit.topics_count = 1;
    ask(m, API_OFFSET_COMMIT, 7);
}

static void commit_take(struct member *m)
{
    struct offset_commit_response answer;
    enum err err = DECODE(m, offset_commit_response, answer);

    if (err == ERR_NONE) err = err_from_wire(answer.topics[0].partitions[0].error_code);
    if (err == ERR_NONE) {
        m->acked = m->sent;
        m->commits++;
    }
    take_error(m, err);
    ended(m);
}

static void fetch_ask(struct member *m)
{
    offset_fetch_request_default(&m->body.fetch);
    offset_fetch_request_topic_default(&m->fetch_topic);
    m->floor = m->acked;
    m->fetch_partition = (int32_t)m->index;
    m->fetch_topic.name = STR("orders");
    m->fetch_topic.partition_indexes = &m->fetch_partition;
    m->fetch_topic.partition_indexes_count = 1;
    m->body.fetch.group_id = STR("g");
    m->body.fetch.topics = &m->fetch_topic;
    m->body.fetch.topics_count = 1;
    m->body.fetch.require_stable = true;
    ask(m, API_OFFSET_FETCH, 7);
}

static void fetch_take(struct member *m)
{
    struct offset_fetch_response answer;
    enum err err = DECODE(m, offset_fetch_response, answer);

    if (err == ERR_NONE) err = err_from_wire(answer.error_code);
    if (err == ERR_NONE) {
        int64_t offset = answer.topics[0].partitions[0].committed_offset;

        if (offset < m->floor || offset > m->sent ||
            (offset >= 0 && offset % FACTOR != (int64_t)m->index)) {
            fail_msg("member %u reads %lld; acknowledged %lld, sent %lld (%s)", m->index,
                     (long long)offset, (long long)m->floor, (long long)m->sent, m->rig->fault);
        }
    }
    take_error(m, err);
    ended(m);
}

static void beat_ask(struct member *m)
{
    heartbeat_request_default(&m->body.beat);
    m->body.beat.group_id = STR("g");
    m->body.beat.generation_id = m->generation;
    m->body.beat.member_id = str_of(m->id);
    ask(m, API_HEARTBEAT, 3);
}

static void beat_take(struct member *m)
{
    struct heartbeat_response answer;
    enum err err = DECODE(m, heartbeat_response, answer);

    if (err == ERR_NONE) err = err_from_wire(answer.error_code);
    take_error(m, err);
    ended(m);
}

static bool all_stand(const struct rig *rig);

enum member_step { M_START, M_META, M_FIND, M_JOIN, M_SYNC, M_COMMIT, M_FETCH, M_BEAT, M_PAUSE };
static const char *const member_steps[] = {"START",  "META",  "FIND", "JOIN", "SYNC",
                                           "COMMIT", "FETCH", "BEAT", "PAUSE"};

static enum op_result member_run(struct op *op)
{
    struct member *o = CONTAINER_OF(op, struct member, op);

    switch ((enum member_step)op->step) {
    case M_START:
        while (!o->over) {
            if (!o->has_topic) {
                metadata_ask(o);
                AWAIT(o, M_META, &o->call.done, call_done(&o->call));
                metadata_take(o);
            }
            if (o->coordinator < 0) {
                find_ask(o);
                AWAIT(o, M_FIND, &o->call.done, call_done(&o->call));
                find_take(o);
            }
            if (o->coordinator >= 0 && !o->joined) {
                join_ask(o);
                AWAIT(o, M_JOIN, &o->call.done, call_done(&o->call));
                join_take(o);
            }
            if (o->coordinator >= 0 && o->joined && !o->synced) {
                sync_ask(o);
                AWAIT(o, M_SYNC, &o->call.done, call_done(&o->call));
                sync_take(o);
            }
            /* Before the next commit hides what became of the last one. */
            if (o->coordinator >= 0 && o->has_topic) {
                fetch_ask(o);
                AWAIT(o, M_FETCH, &o->call.done, call_done(&o->call));
                fetch_take(o);
            }
            if (o->coordinator >= 0 && o->synced) {
                commit_ask(o);
                AWAIT(o, M_COMMIT, &o->call.done, call_done(&o->call));
                commit_take(o);
            }
            if (o->coordinator >= 0 && o->synced) {
                beat_ask(o);
                AWAIT(o, M_BEAT, &o->call.done, call_done(&o->call));
                beat_take(o);
            }
            op_deadline(op, env_deadline(o->rig->env, PAUSE_MS));
            AWAIT(o, M_PAUSE, NULL, op_expired(op));
            op_deadline(op, OP_NO_DEADLINE);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of a member");
}

static const struct op_kind member_kind = {"member", member_steps, COUNT_OF(member_steps),
                                           member_run, NULL};

/* ---- the machine of the members -------------------------------------------------------------- */

static void client_started(struct env *env)
{
    struct rig *rig = CONTAINER_OF(sim_world_of(env->world)->config.program, struct rig, program);

    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct member *m = &rig->members[i];
        struct peer_config config;

        peer_config_default(&config);
        config.client_id = STR("member");
        *m = (struct member){.rig = rig, .index = i, .coordinator = -1, .sent = -1, .acked = -1};
        for (uint32_t b = 0; b < BROKERS; b++) {
            char host[16];

            (void)snprintf(host, sizeof host, "node-%u", b + 1);
            assert_int_equal(peer_init(&m->peers[b], env, &config, (int32_t)b + 1, str_of(host),
                                       CLUSTER_BROKER_PORT, i * 10 + b),
                             ERR_NONE);
        }
        arena_init(&m->arena, &env->mem, 1 << 20);
        op_start(&env->loop, &m->op, &member_kind, M_START);
    }
}

static void client_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct rig *rig = CONTAINER_OF(program, struct rig, program);
    struct env_limits limits = {.ops_max = 1000, .payload_bytes = 16 << 20};

    (void)now;
    rig->env = region_take(world->region, sizeof *rig->env, 16);
    assert_int_equal(env_init(rig->env, world, &limits, client_started), ERR_NONE);
}

/* ---- the fault ------------------------------------------------------------------------------- */

static void restart_now(struct sim_event *event)
{
    struct rig *rig = CONTAINER_OF(event, struct rig, restart);

    sim_heal_all(rig->sim);
    sim_restart(rig->victim);
    rig->restarted = true;
    for (uint32_t i = 0; i < MEMBERS; i++)
        rig->members[i].commits_at_fault = rig->members[i].commits;
}

static void crash_now(struct sim_event *event)
{
    struct rig *rig = CONTAINER_OF(event, struct rig, crash);

    sim_crash(rig->victim, rig->fault_kind == FAULT_KILL ? SIM_DOWN_KILL : SIM_DOWN_POWER);
}

static void rig_traced(struct sim_observer *observer, struct sim_world *node,
                       const struct trace_event *event)
{
    static const char *const words[] = {"crash", "power loss", "isolation"};
    struct rig *rig = CONTAINER_OF(observer, struct rig, observer);

    if (node == NULL || rig->crashed) return;
    if (event->kind == TRACE_GROUP_COORDINATOR && event->fields[3] == 0) return; /* an empty log */
    if (event->kind == TRACE_GROUP_STATE || event->kind == TRACE_GROUP_OFFSET ||
        event->kind == TRACE_GROUP_COORDINATOR) {
        rig->coordinator = node;
    } else if (rig->coordinator != node ||
               (event->kind != TRACE_LOG_APPENDED && event->kind != TRACE_PRODUCE_APPENDED)) {
        return; /* what it wrote, before anybody has fetched it, is a step, too */
    }
    if (++rig->events != rig->crash_at) return;
    rig->crashed = true;
    rig->victim = node;
    (void)snprintf(rig->fault, sizeof rig->fault, "%s of node %d at step %llu",
                   words[rig->fault_kind], node->id, (unsigned long long)rig->crash_at);
    if (rig->fault_kind == FAULT_CUT_OFF) {
        uint64_t self = UINT64_C(1) << node->index;

        sim_partition(rig->sim, self, ((UINT64_C(1) << BROKERS) - 1) & ~self, SIM_CUT_HOLD);
        sim_schedule(rig->sim, &rig->crash, rig->sim->now_ns + CUT_MS * NS_PER_MS);
    } else {
        crash_now(&rig->crash);
    }
    sim_schedule(rig->sim, &rig->restart, rig->sim->now_ns + RESTART_MS * NS_PER_MS);
}

static void rig_turned(struct sim_observer *observer, struct sim_world *node)
{
    struct rig *rig = CONTAINER_OF(observer, struct rig, observer);

    cluster_turned(rig->cluster, node);
}

/* All are of one generation, under one plan, and have committed since. */
static bool all_stand(const struct rig *rig)
{
    const struct member *first = &rig->members[0];

    if (rig->crash_at > 0 && !rig->restarted) return false;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct member *m = &rig->members[i];

        if (!m->synced || m->commits < m->commits_at_fault + COMMITS_WANTED) return false;
        if (m->generation != first->generation) return false;
    }
    return true;
}

static bool rig_done(void *context)
{
    const struct rig *rig = context;

    return rig->cluster->lost_wakeup[0] != '\0' || all_stand(rig);
}

static bool rig_ready(void *context)
{
    return cluster_ready(((struct rig *)context)->cluster);
}

/* Returns the steps that the coordinators took. */
static uint64_t run(uint64_t crash_at, enum fault fault)
{
    static struct rig rig;
    struct sim_config config = sim_config_default(11 + crash_at);
    struct sim_node_config node = sim_node_config_default(1001);
    struct sim_limits limits = {.done = rig_ready, .context = &rig};
    struct yaml_error yaml = {0};
    struct errmsg error;
    enum sim_outcome end;

    memset(&rig, 0, sizeof rig);
    rig.crash_at = crash_at;
    rig.fault_kind = fault;
    assert_int_equal(codecs_create(&rig.codecs), ERR_NONE);
    rig.scenario = scenario_parse("groups", scenario_text, sizeof scenario_text - 1, &yaml);
    if (rig.scenario == NULL) fail_msg("the scenario: %s", yaml.text);
    rig.sim = sim_create(&config);
    rig.cluster = cluster_create(rig.sim, rig.scenario, &rig.codecs, &error);
    if (rig.cluster == NULL) fail_msg("%s", error.text);
    rig.observer.traced = rig_traced;
    rig.observer.turned = rig_turned;
    rig.program.boot = client_boot;
    node.program = &rig.program;
    sim_event_init(&rig.restart, restart_now);
    sim_event_init(&rig.crash, crash_now);
    sim_observe(rig.sim, &rig.observer);
    rig.client = sim_node_add(rig.sim, &node);
    cluster_start(rig.cluster);
    limits.until_ns = LIMIT_MS * NS_PER_MS;
    assert_int_equal(sim_run(rig.sim, &limits), SIM_END_DONE);
    sim_node_start(rig.client);
    limits.done = rig_done;
    limits.until_ns = rig.sim->now_ns + LIMIT_MS * NS_PER_MS;
    end = sim_run(rig.sim, &limits);
    if (rig.cluster->lost_wakeup[0] != '\0') fail_msg("lost wake-up: %s", rig.cluster->lost_wakeup);
    if (end != SIM_END_DONE)
        fail_msg("%s: ended %d: %s", rig.fault, (int)end, rig.sim->failure.text);
    for (uint32_t i = 1; i < MEMBERS; i++) /* G5 */
        assert_string_equal(rig.members[i].plan, rig.members[0].plan);
    sim_destroy(rig.sim);
    cluster_destroy(rig.cluster);
    scenario_destroy(rig.scenario);
    codecs_destroy(&rig.codecs);
    return rig.events;
}

static void a_group_comes_to_stand(void **state)
{
    (void)state;
    assert_true(run(0, FAULT_KILL) >= 20);
}

/* Joining, two generations, the first commits: whatever the coordinator does, it may die doing. */
static void the_coordinator_may_be_killed_at_any_step(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= STEPS; at++)
        assert_true(run(at, FAULT_KILL) >= at);
}

static void the_coordinator_may_lose_its_power_at_any_step(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= STEPS; at++)
        assert_true(run(at, FAULT_POWER) >= at);
}

/* What it acknowledges while nobody copies from it would be gone. */
static void the_coordinator_may_be_cut_off_at_any_step(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= STEPS; at++)
        assert_true(run(at, FAULT_CUT_OFF) >= at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_comes_to_stand),
        cmocka_unit_test(the_coordinator_may_be_killed_at_any_step),
        cmocka_unit_test(the_coordinator_may_lose_its_power_at_any_step),
        cmocka_unit_test(the_coordinator_may_be_cut_off_at_any_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
