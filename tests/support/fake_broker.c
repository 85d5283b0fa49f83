#include "tests/support/fake_broker.h"

#include "client/wire/record_batch.h"
#include "wire/api_versions.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/fetch.h"
#include "wire/init_producer_id.h"
#include "wire/list_offsets.h"
#include "wire/metadata.h"
#include "wire/offset_for_leader_epoch.h"
#include "wire/produce.h"

#include <stdlib.h>
#include <string.h>

static const struct uuid fake_topic_id = {{7, 7, 7, 7, 7, 7, 7, 7, 1}};

enum fake_step { FAKE_START, FAKE_EVENT, FAKE_GONE, FAKE_STEPS };
static const char *const fake_steps[FAKE_STEPS] = {"START", "EVENT", "GONE"};
static enum op_result fake_connection_run(struct op *op);
static const struct op_kind fake_connection_kind = {"fake.connection", fake_steps, FAKE_STEPS,
                                                    fake_connection_run, NULL};
static enum op_result fake_listen_run(struct op *op);
static const struct op_kind fake_listen_kind = {"fake.listen", fake_steps, FAKE_STEPS,
                                                fake_listen_run, NULL};

/* ---- answers ------------------------------------------------------------------------------- */

struct fake_answer {
    struct fake_connection *from;
    struct request_header header;
    struct wire_reader reader;
    const struct fake_act *act; /* NULL: behave */
    const void *body;
    bool none; /* acks=0 */
};

static int16_t fake_error(const struct fake_answer *answer)
{
    return answer->act != NULL &&
                   (answer->act->trick == FAKE_ERROR || answer->act->trick == FAKE_ERROR_AFTER)
               ? (int16_t)answer->act->err
               : 0;
}

static void fake_write(struct fake_answer *answer, int32_t correlation, int16_t version)
{
    struct connection *connection = &answer->from->connection;
    const struct api_entry *entry = api_find(answer->header.request_api_key);
    struct wire_writer writer;
    struct wire_frame frame;
    struct connection_out *out = NULL;
    size_t size = 0;

    for (int pass = 0; pass < 2; pass++) {
        if (pass == 0) {
            wire_writer_measure(&writer);
        } else {
            out = connection_out_create(connection, size, 1, 0);
            assert_non_null(out);
            wire_writer_init(&writer, out->head, size);
        }
        frame = api_begin_response(&writer, entry->key, version, correlation);
        assert_int_equal(entry->response->encode(&writer, version, answer->body), ERR_NONE);
        wire_frame_end(&writer, frame);
        assert_int_equal(wire_writer_finish(&writer), ERR_NONE);
        size = wire_writer_size(&writer).bytes;
    }
    if (answer->act != NULL && answer->act->trick == FAKE_GARBAGE_BODY)
        memset(out->head + 8, 0xff, size - 8);
    if (answer->act != NULL && answer->act->trick == FAKE_HUGE_FRAME) out->head[0] = 0x7f;
    if (answer->act != NULL && answer->act->trick == FAKE_NEGATIVE_FRAME) out->head[0] = 0x80;
    out->slices[0] =
        (struct wire_slice){.kind = WIRE_SLICE_MEMORY, .length = (uint32_t)size, .data = out->head};
    if (connection_send(connection, out, 1) != ERR_NONE) connection_out_destroy(connection, out);
}

static void fake_api_versions(struct fake_broker *broker, struct fake_answer *answer)
{
    static struct api_versions_response_api_version entries[128];
    struct api_versions_response response;
    int16_t version = answer->header.request_api_version;

    api_versions_response_default(&response);
    response.api_keys = entries;
    for (int16_t key = 0; key < 128; key++) {
        if (broker->served[key].first > broker->served[key].last) continue;
        entries[response.api_keys_count++] = (struct api_versions_response_api_version){
            key, broker->served[key].first, broker->served[key].last};
    }
    if (version > broker->served[API_API_VERSIONS].last) {
        response.error_code = ERR_UNSUPPORTED_VERSION;
        version = 0;
        response.api_keys_count = 1;
        entries[0] = (struct api_versions_response_api_version){
            API_API_VERSIONS, 0, broker->served[API_API_VERSIONS].last};
    }
    answer->body = &response;
    fake_write(answer, answer->header.correlation_id, version);
    answer->none = true;
}

static void fake_metadata(struct fake_broker *broker, struct fake_answer *answer)
{
    static struct metadata_response response;
    static struct metadata_response_broker brokers[1];
    static struct metadata_response_topic topics[8];
    static struct metadata_response_partition partitions[FAKE_PARTITIONS];
    struct metadata_request request;

    assert_int_equal(metadata_request_decode(&answer->reader, answer->header.request_api_version,
                                             &broker->arena, &request),
                     ERR_NONE);
    metadata_response_default(&response);
    brokers[0] = (struct metadata_response_broker){
        .node_id = broker->id, .host = str_of(broker->node->name), .port = FAKE_PORT};
    response.brokers = brokers;
    response.brokers_count = 1;
    response.controller_id = broker->id;
    response.cluster_id = STR("fake");
    response.topics = topics;
    for (uint32_t i = 0; i < FAKE_PARTITIONS; i++)
        partitions[i] =
            (struct metadata_response_partition){.partition_index = (int32_t)i,
                                                 .leader_id = broker->id,
                                                 .leader_epoch = broker->partitions[i].leader_epoch,
                                                 .replica_nodes = &broker->id,
                                                 .replica_nodes_count = 1,
                                                 .isr_nodes = &broker->id,
                                                 .isr_nodes_count = 1};
    for (uint32_t i = 0; i < request.topics_count && i < 8; i++) {
        struct metadata_response_topic *topic = &topics[response.topics_count++];

        metadata_response_topic_default(topic);
        topic->name = request.topics[i].name;
        topic->topic_id = fake_topic_id;
        if (broker->missing_topic) {
            topic->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
        } else {
            topic->partitions = partitions;
            topic->partitions_count = FAKE_PARTITIONS;
        }
    }
    answer->body = &response;
}

/* The base offset, or what a leader would object. */
static enum err fake_append(struct fake_broker *broker, struct fake_partition *partition,
                            struct bytes records, int64_t *base)
{
    struct record_batch batch;
    struct fake_batch *made = &partition->batches[partition->batches_count];
    int32_t expected = 0;
    uint32_t seen = 0;

    assert_int_equal(record_batch_parse(records, &batch), RECORD_BATCH_WHOLE);
    assert_int_equal(record_batch_check_client(broker->env->world->cpu, &batch), ERR_NONE);
    for (uint32_t i = partition->batches_count; batch.producer_id >= 0 && i > 0 && seen < 5; i--) {
        const struct fake_batch *old = &partition->batches[i - 1];

        if (old->producer_id != batch.producer_id) continue;
        if (batch.producer_epoch < old->producer_epoch) return ERR_INVALID_PRODUCER_EPOCH;
        if (batch.producer_epoch > old->producer_epoch) break;
        if (seen++ == 0) expected = record_batch_sequence_add(old->sequence, old->count);
        if (old->sequence == batch.base_sequence && old->count == batch.record_count) {
            broker->duplicates++;
            *base = old->base;
            return ERR_NONE;
        }
    }
    if (batch.producer_id >= 0 && batch.base_sequence != expected) {
        broker->out_of_order++;
        return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    assert_true(partition->batches_count < FAKE_BATCHES);
    *made = (struct fake_batch){.length = batch.bytes.length,
                                .base = partition->end,
                                .count = batch.record_count,
                                .producer_id = batch.producer_id,
                                .producer_epoch = batch.producer_epoch,
                                .sequence = batch.base_sequence};
    made->bytes = malloc(made->length);
    memcpy(made->bytes, batch.bytes.data, made->length);
    record_batch_set_offset(made->bytes, partition->end, partition->leader_epoch);
    *base = partition->end;
    partition->end += batch.record_count;
    partition->batches_count++;
    return ERR_NONE;
}

static void fake_produce(struct fake_broker *broker, struct fake_answer *answer)
{
    static struct produce_response response;
    static struct produce_response_topic topic;
    static struct produce_response_partition partitions[64];
    struct produce_request request;
    uint32_t count = 0;

    assert_int_equal(produce_request_decode(&answer->reader, answer->header.request_api_version,
                                            &broker->arena, &request),
                     ERR_NONE);
    produce_response_default(&response);
    produce_response_topic_default(&topic);
    for (uint32_t t = 0; t < request.topic_data_count; t++) {
        topic.name = request.topic_data[t].name;
        topic.topic_id = request.topic_data[t].topic_id;
        for (uint32_t p = 0; p < request.topic_data[t].partition_data_count; p++) {
            const struct produce_request_partition *told = &request.topic_data[t].partition_data[p];
            struct produce_response_partition *out = &partitions[count++];
            int64_t base = -1;
            enum err err = ERR_NONE;

            produce_response_partition_default(out);
            out->index = told->index;
            assert_in_range(told->index, 0, FAKE_PARTITIONS - 1);
            if (broker->batch_max != 0 && told->records.length > broker->batch_max)
                err = ERR_MESSAGE_TOO_LARGE;
            else if (answer->act == NULL || answer->act->trick != FAKE_ERROR)
                err = fake_append(broker, &broker->partitions[told->index], told->records, &base);
            out->error_code = fake_error(answer) != 0 ? fake_error(answer) : (int16_t)err;
            out->base_offset = out->error_code != 0 ? -1 : base;
        }
    }
    topic.partition_responses = partitions;
    topic.partition_responses_count = count;
    response.responses = &topic;
    response.responses_count = 1;
    answer->body = &response;
    answer->none = request.acks == 0;
}

static void fake_fetch(struct fake_broker *broker, struct fake_answer *answer)
{
    static struct fetch_response response;
    static struct fetch_response_topic topic;
    static struct fetch_response_partition partitions[FAKE_PARTITIONS];
    struct fetch_request request;
    uint32_t count = 0;

    assert_int_equal(fetch_request_decode(&answer->reader, answer->header.request_api_version,
                                          &broker->arena, &request),
                     ERR_NONE);
    fetch_response_default(&response);
    fetch_response_topic_default(&topic);
    assert_true(request.topics_count <= 1);
    for (uint32_t p = 0; request.topics_count > 0 && p < request.topics[0].partitions_count; p++) {
        const struct fetch_request_partition *asked = &request.topics[0].partitions[p];
        const struct fake_partition *log = &broker->partitions[asked->partition];
        struct fetch_response_partition *out = &partitions[count++];

        topic.topic = request.topics[0].topic;
        topic.topic_id = request.topics[0].topic_id;
        fetch_response_partition_default(out);
        out->partition_index = asked->partition;
        out->high_watermark = log->end;
        out->log_start_offset = log->start;
        out->records = (struct bytes){(const uint8_t *)"", 0};
        out->error_code = fake_error(answer);
        if (out->error_code != 0) continue;
        if (asked->current_leader_epoch >= 0 && asked->current_leader_epoch < log->leader_epoch) {
            out->error_code = ERR_FENCED_LEADER_EPOCH;
        } else if (asked->fetch_offset < log->start || asked->fetch_offset > log->end) {
            out->error_code = ERR_OFFSET_OUT_OF_RANGE;
        } else {
            for (uint32_t i = 0; i < log->batches_count; i++) {
                const struct fake_batch *batch = &log->batches[i];

                if (batch->base + batch->count <= asked->fetch_offset) continue;
                out->records = (struct bytes){batch->bytes, batch->length};
                break;
            }
        }
    }
    topic.partitions = partitions;
    topic.partitions_count = count;
    response.responses = &topic;
    response.responses_count = count > 0;
    answer->body = &response;
}

static void fake_list_offsets(struct fake_broker *broker, struct fake_answer *answer)
{
    static struct list_offsets_response response;
    static struct list_offsets_response_topic topic;
    static struct list_offsets_response_partition partitions[FAKE_PARTITIONS];
    struct list_offsets_request request;

    assert_int_equal(list_offsets_request_decode(&answer->reader,
                                                 answer->header.request_api_version, &broker->arena,
                                                 &request),
                     ERR_NONE);
    list_offsets_response_default(&response);
    list_offsets_response_topic_default(&topic);
    assert_int_equal(request.topics_count, 1);
    topic.name = request.topics[0].name;
    topic.partitions = partitions;
    for (uint32_t p = 0; p < request.topics[0].partitions_count; p++) {
        const struct list_offsets_request_partition *asked = &request.topics[0].partitions[p];
        const struct fake_partition *log = &broker->partitions[asked->partition_index];
        struct list_offsets_response_partition *out = &partitions[topic.partitions_count++];

        list_offsets_response_partition_default(out);
        out->partition_index = asked->partition_index;
        out->error_code = fake_error(answer);
        out->offset = asked->timestamp == -2 ? log->start : log->end;
        if (answer->header.request_api_version >= 4) out->leader_epoch = log->leader_epoch;
    }
    response.topics = &topic;
    response.topics_count = 1;
    answer->body = &response;
}

static void fake_offset_for_leader_epoch(struct fake_broker *broker, struct fake_answer *answer)
{
    static struct offset_for_leader_epoch_response response;
    static struct offset_for_leader_epoch_response_topic topic;
    static struct offset_for_leader_epoch_response_partition partition;
    struct offset_for_leader_epoch_request request;

    assert_int_equal(offset_for_leader_epoch_request_decode(&answer->reader,
                                                            answer->header.request_api_version,
                                                            &broker->arena, &request),
                     ERR_NONE);
    offset_for_leader_epoch_response_default(&response);
    offset_for_leader_epoch_response_topic_default(&topic);
    offset_for_leader_epoch_response_partition_default(&partition);
    partition.partition = request.topics[0].partitions[0].partition;
    partition.leader_epoch = request.topics[0].partitions[0].leader_epoch;
    partition.end_offset = broker->partitions[partition.partition].end;
    partition.error_code = fake_error(answer);
    topic.topic = request.topics[0].topic;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    response.topics = &topic;
    response.topics_count = 1;
    answer->body = &response;
}

static void fake_create_topics(struct fake_broker *broker, struct fake_answer *answer)
{
    static struct create_topics_response response;
    static struct create_topics_response_topic topic;
    struct create_topics_request request;

    assert_int_equal(create_topics_request_decode(&answer->reader,
                                                  answer->header.request_api_version,
                                                  &broker->arena, &request),
                     ERR_NONE);
    create_topics_response_default(&response);
    create_topics_response_topic_default(&topic);
    topic.name = request.topics[0].name;
    topic.error_code = fake_error(answer);
    topic.topic_id = fake_topic_id;
    response.topics = &topic;
    response.topics_count = 1;
    answer->body = &response;
}

static void fake_init_producer_id(struct fake_broker *broker, struct fake_answer *answer)
{
    static struct init_producer_id_response response;

    init_producer_id_response_default(&response);
    response.error_code = fake_error(answer);
    response.producer_id = broker->next_producer_id++;
    answer->body = &response;
}

/* ---- requests ------------------------------------------------------------------------------ */

static const struct fake_act *fake_find_act(struct fake_broker *broker, int16_t api)
{
    for (uint32_t i = 0; i < broker->script_count; i++) {
        struct fake_act *act = &broker->script[i];

        if (act->used || act->api != api || act->nth != broker->requests[api]) continue;
        act->used = true;
        return act;
    }
    return NULL;
}

static void fake_dispatch(struct fake_broker *broker, struct fake_answer *answer)
{
    switch (answer->header.request_api_key) {
    case API_API_VERSIONS: fake_api_versions(broker, answer); break;
    case API_METADATA: fake_metadata(broker, answer); break;
    case API_PRODUCE: fake_produce(broker, answer); break;
    case API_FETCH: fake_fetch(broker, answer); break;
    case API_LIST_OFFSETS: fake_list_offsets(broker, answer); break;
    case API_OFFSET_FOR_LEADER_EPOCH: fake_offset_for_leader_epoch(broker, answer); break;
    case API_CREATE_TOPICS: fake_create_topics(broker, answer); break;
    case API_INIT_PRODUCER_ID: fake_init_producer_id(broker, answer); break;
    default: fail_msg("api %d", answer->header.request_api_key);
    }
}

static void fake_request(struct fake_connection *from, const struct connection_frame *frame)
{
    struct fake_broker *broker = from->broker;
    struct fake_answer answer = {.from = from};
    int32_t correlation;

    arena_reset(&broker->arena);
    wire_reader_init(&answer.reader, frame->data, frame->length);
    assert_int_equal(api_read_request_header(&answer.reader, &broker->arena, &answer.header),
                     ERR_NONE);
    broker->requests[answer.header.request_api_key]++;
    answer.act = fake_find_act(broker, answer.header.request_api_key);
    if (answer.act != NULL && answer.act->trick == FAKE_CLOSE_BEFORE) {
        connection_finish(&from->connection); /* what was answered before still leaves */
        return;
    }
    fake_dispatch(broker, &answer);
    if (answer.none) return;
    if (answer.act != NULL && answer.act->trick == FAKE_SILENT) return;
    if (answer.act != NULL && answer.act->trick == FAKE_CLOSE_AFTER) {
        connection_finish(&from->connection); /* what was answered before still leaves */
        return;
    }
    correlation = answer.header.correlation_id;
    if (answer.act != NULL && answer.act->trick == FAKE_WRONG_CORRELATION) correlation += 17;
    fake_write(&answer, correlation, answer.header.request_api_version);
}

static enum op_result fake_connection_run(struct op *op)
{
    struct fake_connection *o = CONTAINER_OF(op, struct fake_connection, op);
    struct connection_frame frame;

    switch ((enum fake_step)op->step) {
    case FAKE_START:
        while (o->connection.state == CONNECTION_OPEN) {
            while (connection_next(&o->connection, false, &frame)) {
                fake_request(o, &frame);
                connection_frame_release(&frame);
            }
            AWAIT(o, FAKE_EVENT, &o->connection.events,
                  connection_readable(&o->connection) || o->connection.state != CONNECTION_OPEN);
        }
        AWAIT(o, FAKE_GONE, &o->connection.events, o->connection.state == CONNECTION_CLOSED);
        o->used = false;
        return OP_DONE;
    case FAKE_STEPS: break;
    }
    IMPOSSIBLE("step");
}

/* ---- listening ----------------------------------------------------------------------------- */

static void fake_accept_next(struct fake_broker *broker)
{
    struct connection_limits limits = {
        .frame_max = 1 << 20, .send_queue_max = 1000, .send_bytes_max = 1 << 24};

    for (uint32_t i = 0; i < FAKE_CONNECTIONS; i++) {
        struct fake_connection *slot = &broker->slots[i];

        if (slot->used) continue;
        slot->used = true;
        slot->broker = broker;
        connection_init(&slot->connection, broker->env, &limits);
        broker->accept.listener = &broker->listener;
        broker->accept.conn = &slot->connection.net;
        net_accept(broker->env->world, &broker->accept);
        return;
    }
    fail_msg("all slots taken");
}

static void fake_accepted(struct world_req *req, struct instant now)
{
    struct net_accept *accept = CONTAINER_OF(req, struct net_accept, req);

    (void)now;
    op_wake(&CONTAINER_OF(accept, struct fake_broker, accept)->wake);
}

static void fake_listened(struct world_req *req, struct instant now)
{
    struct net_listener *listener = CONTAINER_OF(req, struct net_listener, req);

    (void)now;
    assert_int_equal(req->result, ERR_NONE);
    op_wake(&CONTAINER_OF(listener, struct fake_broker, listener)->wake);
}

static enum op_result fake_listen_run(struct op *op)
{
    struct fake_broker *o = CONTAINER_OF(op, struct fake_broker, listen_op);

    switch ((enum fake_step)op->step) {
    case FAKE_START:
        o->listener.address.port = FAKE_PORT;
        net_listen(o->env->world, &o->listener);
        op_enter(op, FAKE_EVENT);
        __attribute__((fallthrough));
    case FAKE_EVENT:
        if (o->listener.req.pending) return op_park(op, &o->wake, OP_NO_KEY);
        fake_accept_next(o);
        op_enter(op, FAKE_GONE);
        __attribute__((fallthrough));
    case FAKE_GONE:
        while (!o->accept.req.pending) {
            struct net_conn *net = o->accept.conn;
            struct connection *connection = CONTAINER_OF(net, struct connection, net);
            struct fake_connection *slot =
                CONTAINER_OF(connection, struct fake_connection, connection);

            if (op_probing(op)) return OP_HOLDS;
            assert_int_equal(o->accept.req.result, ERR_NONE);
            o->connections++;
            connection_opened(connection, -1, true);
            op_start(&o->env->loop, &slot->op, &fake_connection_kind, FAKE_START);
            fake_accept_next(o);
        }
        return op_park(op, &o->wake, OP_NO_KEY);
    case FAKE_STEPS: break;
    }
    IMPOSSIBLE("step");
}

static void fake_started(struct env *env)
{
    struct sim_world *node = sim_world_of(env->world);
    struct fake_broker *broker = CONTAINER_OF(node->config.program, struct fake_broker, program);

    arena_init(&broker->arena, &env->mem, 1 << 20);
    op_source_init(&broker->wake);
    memset(broker->slots, 0, sizeof broker->slots);
    broker->listener = (struct net_listener){0};
    broker->accept = (struct net_accept){0};
    world_req_init(&broker->listener.req, fake_listened);
    world_req_init(&broker->listener.closed, fake_listened);
    world_req_init(&broker->accept.req, fake_accepted);
    op_start(&env->loop, &broker->listen_op, &fake_listen_kind, FAKE_START);
}

static void fake_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct fake_broker *broker = CONTAINER_OF(program, struct fake_broker, program);
    struct env_limits limits = {
        .ops_max = 1000, .payload_bytes = 8 << 20, .payload_reserved = 1 << 20};

    (void)now;
    broker->env = region_take(world->region, sizeof *broker->env, 16);
    assert_int_equal(env_init(broker->env, world, &limits, fake_started), ERR_NONE);
}

struct fake_broker *fake_broker_create(struct sim *sim, int32_t id)
{
    struct fake_broker *broker = calloc(1, sizeof *broker);
    struct sim_node_config config = sim_node_config_default(id);

    assert_non_null(broker);
    broker->id = id;
    broker->next_producer_id = 1000;
    for (int16_t key = 0; key < 128; key++) {
        const struct api_entry *entry = api_find(key);

        broker->served[key] = entry != NULL ? entry->served : (struct wire_range){0, -1};
    }
    for (uint32_t i = 0; i < FAKE_PARTITIONS; i++)
        broker->partitions[i].leader_epoch = 1;
    broker->program.boot = fake_boot;
    config.program = &broker->program;
    broker->node = sim_node_add(sim, &config);
    sim_node_start(broker->node);
    return broker;
}

void fake_broker_destroy(struct fake_broker *broker)
{
    for (uint32_t i = 0; i < FAKE_PARTITIONS; i++)
        for (uint32_t k = 0; k < broker->partitions[i].batches_count; k++)
            free(broker->partitions[i].batches[k].bytes);
    free(broker);
}

void fake_broker_script(struct fake_broker *broker, int16_t api, uint32_t nth,
                        enum fake_trick trick, enum err err)
{
    assert_true(broker->script_count < FAKE_SCRIPT);
    broker->script[broker->script_count++] =
        (struct fake_act){.api = api, .nth = nth, .trick = trick, .err = err};
}
