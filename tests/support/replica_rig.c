#include "tests/support/replica_rig.h"

#include "broker/api/api.h"
#include "client/wire/record_builder.h"
#include "wire/alter_partition.h"

#include <stdio.h>
#include <string.h>

static const struct env_limits rig_limits = {
    .ops_max = 4000, .payload_bytes = 24 << 20, .payload_reserved = 4 << 20};
static const struct image_limits rig_image_limits = {16, 16, 64};
static const struct manager_limits rig_manager_limits = {64, 16};

struct uuid replica_rig_topic_id(uint8_t topic)
{
    struct uuid id = {{1}};

    id.bytes[15] = topic;
    return id;
}

/* ---- records --------------------------------------------------------------------------------- */

static uint32_t ids_count(const int32_t *ids)
{
    uint32_t count = 0;

    while (count < RIG_IDS && ids[count] != 0)
        count++;
    return count;
}

static void apply_record(struct image *image, const struct rig_record *from)
{
    struct register_broker_record_end_point end_point = {STR("PLAINTEXT"), STR_NULL, 9092, 0};
    struct rig_record copy = *from;
    struct metadata_record record;
    char name[24];

    switch (from->kind) {
    case RIG_BROKER:
        records_default(&record, RECORD_REGISTER_BROKER);
        (void)snprintf(name, sizeof name, "node-%d", (int)from->id);
        end_point.host = str_of(name);
        record.register_broker.broker_id = from->id;
        record.register_broker.broker_epoch = image->last_offset + 1;
        record.register_broker.incarnation_id.bytes[0] = (uint8_t)(image->last_offset + 2);
        record.register_broker.end_points = &end_point;
        record.register_broker.end_points_count = 1;
        record.register_broker.fenced = false;
        break;
    case RIG_FENCE:
        records_default(&record, RECORD_BROKER_REGISTRATION_CHANGE);
        record.registration_change.broker_id = from->id;
        record.registration_change.broker_epoch = image_broker(image, from->id)->epoch;
        record.registration_change.fenced = 1;
        break;
    case RIG_TOPIC:
        records_default(&record, RECORD_TOPIC);
        record.topic.name = STR("orders");
        record.topic.topic_id = replica_rig_topic_id(from->topic);
        break;
    case RIG_REMOVE:
        records_default(&record, RECORD_REMOVE_TOPIC);
        record.remove_topic.topic_id = replica_rig_topic_id(from->topic);
        break;
    case RIG_PARTITION:
        records_default(&record, RECORD_PARTITION);
        record.partition.topic_id = replica_rig_topic_id(from->topic);
        record.partition.partition_id = from->index;
        record.partition.leader_epoch = 0;
        record.partition.partition_epoch = 0;
        record.partition.replicas = copy.replicas;
        record.partition.replicas_count = ids_count(copy.replicas);
        record.partition.isr = copy.isr;
        record.partition.isr_count = ids_count(copy.isr);
        record.partition.leader = from->id;
        break;
    case RIG_CHANGE:
        records_default(&record, RECORD_PARTITION_CHANGE);
        record.partition_change.topic_id = replica_rig_topic_id(from->topic);
        record.partition_change.partition_id = from->index;
        if (ids_count(copy.replicas) > 0) {
            record.partition_change.replicas = copy.replicas;
            record.partition_change.replicas_count = ids_count(copy.replicas);
            record.partition_change.replicas_null = false;
        }
        if (ids_count(copy.isr) > 0) {
            record.partition_change.isr = copy.isr;
            record.partition_change.isr_count = ids_count(copy.isr);
            record.partition_change.isr_null = false;
        }
        record.partition_change.leader = from->id;
        break;
    }
    assert_int_equal(ERR_NONE, image_apply(image, &record, image->last_offset + 1, 1));
}

void replica_rig_add(struct replica_rig *rig, const struct rig_record *record)
{
    assert_true(rig->count < RIG_RECORDS);
    rig->records[rig->count++] = *record;
    apply_record(&rig->truth, record);
    image_mark(&rig->truth);
}

void replica_rig_publish(struct replica_rig *rig, uint32_t machine)
{
    struct rig_machine *m = &rig->machines[machine];

    while (m->published < rig->count) {
        apply_record(&m->image, &rig->records[m->published++]);
    }
    m->node.env.now = sim_node_now(m->world);
    m->node.env.mem.fail_at = m->refused_at;
    manager_apply(&m->node.replicas);
    m->node.env.mem.fail_at = 0;
    image_mark(&m->image);
}

void replica_rig_config(struct replica_rig *rig, uint32_t machine, const char *key,
                        const char *value)
{
    struct rig_machine *m = &rig->machines[machine];
    struct metadata_record record;

    records_default(&record, RECORD_CONFIG);
    record.config.resource_type = IMAGE_RESOURCE_TOPIC;
    record.config.resource_name = STR("orders");
    record.config.name = str_of(key);
    record.config.value = value != NULL ? str_of(value) : STR_NULL;
    assert_int_equal(ERR_NONE, image_apply(&m->image, &record, m->image.last_offset + 1, 1));
    replica_rig_publish(rig, machine);
}

void replica_rig_publish_all(struct replica_rig *rig)
{
    for (uint32_t i = 0; i < RIG_MACHINES; i++) {
        if (rig->machines[i].booted) replica_rig_publish(rig, i);
    }
}

/* ---- controller ------------------------------------------------------------------------------ */

static enum err decide(struct replica_rig *rig, const struct alter_partition_request *body,
                       const struct alter_partition_request_partition *in, uint8_t topic)
{
    const struct image_topic *of = image_topic_by_id(&rig->truth, replica_rig_topic_id(topic));
    const struct image_partition *part =
        of != NULL ? image_partition(of, in->partition_index) : NULL;
    struct rig_record change = {
        .kind = RIG_CHANGE, .id = -2, .topic = topic, .index = in->partition_index};

    if (part == NULL) return ERR_UNKNOWN_TOPIC_ID;
    if (in->leader_epoch != part->leader_epoch) return ERR_FENCED_LEADER_EPOCH;
    if (body->broker_id != part->leader) return ERR_INVALID_REQUEST;
    if (in->partition_epoch != part->partition_epoch) return ERR_INVALID_UPDATE_VERSION;
    for (uint32_t i = 0; i < in->new_isr_with_epochs_count; i++) {
        const struct image_broker *broker =
            image_broker(&rig->truth, in->new_isr_with_epochs[i].broker_id);

        if (broker == NULL || broker->fenced ||
            (in->new_isr_with_epochs[i].broker_epoch != -1 &&
             in->new_isr_with_epochs[i].broker_epoch != broker->epoch)) {
            return ERR_INELIGIBLE_REPLICA;
        }
        change.isr[i] = broker->id;
    }
    replica_rig_add(rig, &change);
    return ERR_NONE;
}

static void alter_one(struct request *request, struct replica_rig *rig,
                      const struct alter_partition_request *body,
                      const struct alter_partition_request_topic *topic,
                      const struct alter_partition_request_partition *in,
                      struct alter_partition_response_partition *out)
{
    enum err err = rig->alter_refusal;

    if (err == ERR_NONE) err = decide(rig, body, in, topic->topic_id.bytes[15]);
    alter_partition_response_partition_default(out);
    out->partition_index = in->partition_index;
    out->error_code = (int16_t)err;
    if (err == ERR_NONE) {
        const struct image_topic *of = image_topic_by_id(&rig->truth, topic->topic_id);
        const struct image_partition *part = image_partition(of, in->partition_index);
        int32_t *isr = request_alloc(request, RIG_IDS * sizeof *isr);

        memcpy(isr, image_isr(part).ids, image_isr(part).count * sizeof *isr);
        out->leader_id = part->leader;
        out->leader_epoch = part->leader_epoch;
        out->partition_epoch = part->partition_epoch;
        out->isr = isr;
        out->isr_count = image_isr(part).count;
    }
}

static void alter_handle(struct request *request)
{
    struct rig_machine *m = CONTAINER_OF(request->node, struct rig_machine, node);
    struct replica_rig *rig = m->rig;
    struct alter_partition_request *body = request_alloc(request, sizeof *body);
    struct alter_partition_response response;
    struct alter_partition_response_topic *topics;

    if (request_decode(request, body) != ERR_NONE) return;
    rig->alters++;
    alter_partition_response_default(&response);
    topics = request_alloc(request, body->topics_count * sizeof *topics);
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct alter_partition_request_topic *topic = &body->topics[i];

        /* The controller refuses a request that names a topic twice. */
        for (uint32_t j = 0; j < i; j++)
            assert_false(uuid_equal(topic->topic_id, body->topics[j].topic_id));
        alter_partition_response_topic_default(&topics[i]);
        topics[i].topic_id = topic->topic_id;
        topics[i].partitions =
            request_alloc(request, topic->partitions_count * sizeof *topics[i].partitions);
        topics[i].partitions_count = topic->partitions_count;
        for (uint32_t p = 0; p < topic->partitions_count; p++)
            alter_one(request, rig, body, topic, &topic->partitions[p], &topics[i].partitions[p]);
    }
    rig->alter_refusal = ERR_NONE;
    response.topics = topics;
    response.topics_count = body->topics_count;
    request_answer(request, &response);
}

static const struct server_api rig_broker_apis[] = {
    {API_API_VERSIONS, api_versions_handle},
    {API_FETCH, api_fetch_handle},
    {API_LIST_OFFSETS, api_offsets_list_handle},
};
static const struct server_api rig_controller_apis[] = {
    {API_API_VERSIONS, api_versions_handle},
    {API_ALTER_PARTITION, alter_handle},
};

/* ---- machines -------------------------------------------------------------------------------- */

static int64_t rig_broker_epoch(struct manager_links *links)
{
    struct rig_machine *m = CONTAINER_OF(links, struct rig_machine, links);
    const struct image_broker *broker = image_broker(&m->image, m->id);

    return broker != NULL ? broker->epoch : -1;
}

static struct peer *rig_controller_peer(struct manager_links *links)
{
    return &CONTAINER_OF(links, struct rig_machine, links)->controller;
}

static uint32_t dirs_of(const struct rig_machine *m)
{
    return m->rig->second ? RIG_DIRS : 1;
}

static void rig_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct rig_machine *m = CONTAINER_OF(program, struct rig_machine, program);
    struct log_dir_limits limits = {.logs_max = 64,
                                    .files_max = 16,
                                    .flows_max = 4,
                                    .writes_max = 8,
                                    .staged_max = 512,
                                    .producers_max = 64,
                                    .index_bytes = 1 << 20,
                                    .recovery_bytes = 16 << 20};

    memset(&m->node, 0, sizeof m->node);
    world->node_id = m->id;
    assert_int_equal(ERR_NONE, env_init(&m->node.env, world, &rig_limits, NULL));
    m->node.env.now = now;
    config_default(&m->node.config);
    m->node.config.node_id = m->id;
    (void)snprintf(m->node.config.inter_broker_listener,
                   sizeof m->node.config.inter_broker_listener, "PLAINTEXT");
    log_cache_init(&m->node.cache, &m->node.env.mem, 256 << 10, 1024);
    for (uint32_t i = 0; i < dirs_of(m); i++) {
        log_dir_init(&m->node.log_dirs[i], &m->node.env, &m->node.cache,
                     i == 0 ? STR("data") : STR("second"), &limits);
        m->dirs[i] = &m->node.log_dirs[i];
    }
    m->published = 0;
    m->booted = true;
    m->down = false;
}

static void rig_down(struct sim_program *program, struct world *world, enum sim_down how)
{
    struct rig_machine *m = CONTAINER_OF(program, struct rig_machine, program);

    (void)world;
    (void)how;
    m->down = true;
    m->booted = false;
}

static void rig_traced(struct sim_observer *observer, struct sim_world *node,
                       const struct trace_event *event)
{
    struct replica_rig *rig = CONTAINER_OF(observer, struct replica_rig, observer);

    if (node != NULL) rig->traced[event->kind]++;
}

static void rig_turned(struct sim_observer *observer, struct sim_world *node)
{
    struct replica_rig *rig = CONTAINER_OF(observer, struct replica_rig, observer);
    struct rig_machine *m = &rig->machines[node->index];

    if (!m->booted || m->node.replicas.image == NULL) return;
    for (struct partition *part = manager_first(&m->node.replicas); part != NULL;
         part = manager_next(&m->node.replicas, part)) {
        partition_check(part);
    }
    if (op_loop_idle(&m->node.env.loop)) {
        const struct op *op = op_loop_probe(&m->node.env.loop);

        if (op != NULL) fail_msg("lost wake-up: %s", op_step_name(op));
    }
}

void replica_rig_init(struct replica_rig *rig, uint64_t seed)
{
    struct sim_config config = sim_config_default(seed);

    memset(rig, 0, sizeof *rig);
    config.nodes_max = RIG_MACHINES;
    rig->sim = sim_create(&config);
    rig->observer.traced = rig_traced;
    rig->observer.turned = rig_turned;
    list_init(&rig->observer.link);
    sim_observe(rig->sim, &rig->observer);
    support_memory_init(&rig->memory, 16 << 20);
    image_init(&rig->truth, &rig->memory.mem, &rig_image_limits, 1, true);
    for (uint32_t i = 0; i < RIG_MACHINES; i++) {
        struct rig_machine *m = &rig->machines[i];
        struct sim_node_config node = sim_node_config_default((int32_t)i + 1);

        m->program = (struct sim_program){rig_boot, rig_down, NULL};
        m->rig = rig;
        m->id = (int32_t)i + 1;
        m->links = (struct manager_links){rig_broker_epoch, rig_controller_peer, NULL, NULL};
        node.program = &m->program;
        m->world = sim_node_add(rig->sim, &node);
        replica_rig_add(rig, &(struct rig_record){.kind = RIG_BROKER, .id = m->id});
    }
}

struct rig_until {
    bool (*done)(void *context);
    void *context;
};

bool replica_rig_until(struct replica_rig *rig, int64_t ms, bool (*done)(void *context),
                       void *context)
{
    struct sim_limits limits = {
        .until_ns = rig->sim->now_ns + ms * NS_PER_MS, .done = done, .context = context};
    enum sim_outcome outcome;

    for (uint32_t i = 0; i < RIG_MACHINES; i++) {
        struct rig_machine *m = &rig->machines[i];

        if (m->booted) m->node.env.actor.turn_end(&m->node.env.actor, sim_node_now(m->world));
    }
    outcome = sim_run(rig->sim, &limits);
    if (outcome == SIM_END_FAILED) fail_msg("%s", rig->sim->failure.text);
    return outcome == SIM_END_DONE;
}

static bool rig_never(void *context)
{
    (void)context;
    return false;
}

void replica_rig_run_ms(struct replica_rig *rig, int64_t ms)
{
    assert_false(replica_rig_until(rig, ms, rig_never, NULL));
}

static bool is_booted(void *context)
{
    return ((struct rig_machine *)context)->booted;
}

static bool dir_settled(void *context)
{
    const struct rig_machine *m = context;

    for (uint32_t i = 0; i < dirs_of(m); i++) {
        const struct log_dir *dir = m->dirs[i];

        if (dir->flow != NULL || dir->state == LOG_DIR_OPENING || dir->state == LOG_DIR_CLOSING)
            return false;
    }
    return true;
}

static bool is_started(void *context)
{
    const struct rig_machine *m = context;

    return m->node.replicas.started && m->node.broker_server.listening;
}

static void open_dir(struct rig_machine *m, uint32_t at)
{
    struct log_dir_meta meta = {.cluster_id = "cluster-of-the-test", .node_id = m->id};
    struct log_dir *dir = &m->node.log_dirs[at];

    meta.directory_id.bytes[14] = (uint8_t)at;
    meta.directory_id.bytes[15] = (uint8_t)m->id;
    log_dir_open(dir, STR("cluster-of-the-test"), m->id);
    assert_true(replica_rig_until(m->rig, 60000, dir_settled, m));
    if (dir->state == LOG_DIR_CLOSED && dir->err == ERR_NOT_FOUND) {
        log_dir_format(dir, &meta, false);
        assert_true(replica_rig_until(m->rig, 60000, dir_settled, m));
        log_dir_open(dir, STR("cluster-of-the-test"), m->id);
        assert_true(replica_rig_until(m->rig, 60000, dir_settled, m));
    }
    assert_int_equal(ERR_NONE, dir->err);
}

void replica_rig_start(struct replica_rig *rig, uint32_t machine)
{
    struct rig_machine *m = &rig->machines[machine];
    struct env *env = &m->node.env;
    struct peer_config peer;
    struct server_config server = {.kind = API_ON_BROKER,
                                   .port = 9092,
                                   .connections_max = 16,
                                   .requests_max = 32,
                                   .frame_max = 1 << 20,
                                   .apis = rig_broker_apis,
                                   .api_count = COUNT_OF(rig_broker_apis)};

    sim_node_start(m->world);
    assert_true(replica_rig_until(rig, 1000, is_booted, m));
    for (uint32_t i = 0; i < dirs_of(m); i++)
        open_dir(m, i);
    image_init(&m->image, &env->mem, &rig_image_limits, 1, true);
    peer_config_default(&peer);
    assert_int_equal(ERR_NONE, peer_init(&m->controller, env, &peer, RIG_CONTROLLER + 1,
                                         STR("node-4"), 9092, 1));
    assert_int_equal(ERR_NONE, manager_init(&m->node.replicas, env, &m->node.config, &m->links,
                                            m->dirs, dirs_of(m), &rig_manager_limits));
    while (m->published < rig->count) {
        apply_record(&m->image, &rig->records[m->published++]);
    }
    image_mark(&m->image);
    env->now = sim_node_now(m->world);
    env->mem.fail_at = m->refused_at;
    assert_int_equal(m->refused_at > 0 ? ERR_NO_MEMORY : ERR_NONE,
                     manager_start(&m->node.replicas, &m->image));
    env->mem.fail_at = 0;
    if (machine == RIG_CONTROLLER) {
        server.kind = API_ON_CONTROLLER;
        server.apis = rig_controller_apis;
        server.api_count = COUNT_OF(rig_controller_apis);
    }
    server.host = str_of(m->world->name);
    fetch_sessions_init(&m->node.fetch_sessions, env, 8);
    server_init(&m->node.broker_server, env, &m->node, &server);
    server_start(&m->node.broker_server);
    server_serve(&m->node.broker_server);
    if (!replica_rig_until(rig, 60000, is_started, m)) {
        fail_msg("started %d opening %u listening %d failed %d", m->node.replicas.started,
                 m->node.replicas.opening, m->node.broker_server.listening,
                 (int)m->node.broker_server.failed);
    }
}

void replica_rig_kill(struct replica_rig *rig, uint32_t machine, bool power)
{
    (void)rig;
    sim_node_down(rig->machines[machine].world, power ? SIM_DOWN_POWER : SIM_DOWN_KILL);
    assert_true(rig->machines[machine].down);
}

static bool is_stopped(void *context)
{
    const struct rig_machine *m = context;

    return m->node.replicas.stopped && m->node.broker_server.stopped &&
           m->controller.state == PEER_CLOSED;
}

static bool is_down(void *context)
{
    return ((struct rig_machine *)context)->down;
}

void replica_rig_stop(struct replica_rig *rig, uint32_t machine)
{
    struct rig_machine *m = &rig->machines[machine];

    m->node.stop_wanted = true;
    manager_stop(&m->node.replicas);
    server_stop(&m->node.broker_server);
    peer_close(&m->controller);
    assert_true(replica_rig_until(rig, 60000, is_stopped, m));
    fetch_sessions_deinit(&m->node.fetch_sessions);
    manager_deinit(&m->node.replicas);
    server_deinit(&m->node.broker_server);
    peer_deinit(&m->controller);
    image_deinit(&m->image);
    m->node.replicas.image = NULL;
    for (uint32_t i = 0; i < dirs_of(m); i++)
        log_dir_close(m->dirs[i]);
    assert_true(replica_rig_until(rig, 60000, dir_settled, m));
    for (uint32_t i = 0; i < dirs_of(m); i++)
        log_dir_deinit(m->dirs[i]);
    log_cache_deinit(&m->node.cache);
    env_deinit(&m->node.env);
    world_stop(&m->world->world, 0);
    m->booted = false;
    assert_true(replica_rig_until(rig, 1000, is_down, m));
}

void replica_rig_deinit(struct replica_rig *rig)
{
    for (uint32_t i = 0; i < RIG_MACHINES; i++) {
        if (rig->machines[i].booted) replica_rig_stop(rig, i);
    }
    sim_destroy(rig->sim);
    image_deinit(&rig->truth);
    support_memory_deinit(&rig->memory);
}

/* ---- use ------------------------------------------------------------------------------------- */

struct partition *replica_rig_part(struct replica_rig *rig, uint32_t machine, uint8_t topic)
{
    return replica_rig_part_at(rig, machine, topic, 0);
}

struct partition *replica_rig_part_at(struct replica_rig *rig, uint32_t machine, uint8_t topic,
                                      int32_t index)
{
    struct partition *part;

    if (manager_find(&rig->machines[machine].node.replicas, replica_rig_topic_id(topic), index,
                     &part) != ERR_NONE) {
        return NULL;
    }
    return part;
}

enum err replica_rig_append(struct replica_rig *rig, uint32_t machine, uint8_t topic, int16_t acks,
                            uint32_t records, struct partition_append *append)
{
    struct env *env = &rig->machines[machine].node.env;
    struct record_builder_config config = record_builder_config_default(env->world->cpu);
    struct record_builder builder;
    size_t room = 128 + (size_t)records * 64;
    struct buf *buf = buf_take(&env->payload, room, true);
    struct bytes batch;
    enum err err;

    assert_non_null(buf);
    env->now = sim_node_now(rig->machines[machine].world);
    record_builder_init(&builder, &config, buf->data, room);
    for (uint32_t i = 0; i < records; i++) {
        rig->serial++;
        assert_int_equal(
            ERR_NONE,
            record_builder_append(&builder, 1000, BYTES_NULL,
                                  (struct bytes){(const uint8_t *)&rig->serial, sizeof rig->serial},
                                  NULL, 0));
    }
    batch = record_builder_finish(&builder);
    err = partition_append(replica_rig_part(rig, machine, topic), buf, batch, acks, LOG_CLIENT,
                           append);
    buf_unref(buf);
    return err;
}

bool replica_rig_leads(void *rig)
{
    const struct partition *part = replica_rig_part(rig, 0, 1);

    return part != NULL && part->role == PARTITION_LEADER;
}

int replica_rig_setup(void **state)
{
    static struct replica_rig rig;

    replica_rig_init(&rig, 7);
    *state = &rig;
    return 0;
}

int replica_rig_teardown(void **state)
{
    replica_rig_deinit(*state);
    return 0;
}
