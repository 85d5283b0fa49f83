#include "tests/support/raw_client.h"

#include "wire/create_topics.h"
#include "wire/find_coordinator.h"
#include "wire/metadata.h"
#include "wire/produce.h"

#include <stdlib.h>
#include <string.h>

static void raw_told(struct world_req *req, struct instant now)
{
    (void)req;
    (void)now;
}

static bool raw_is_done(void *context)
{
    return !((const struct world_req *)context)->pending;
}

static struct world *raw_world(struct raw_client *raw)
{
    return &raw->box->client->world;
}

void raw_open(struct raw_client *raw, struct node_box *box, uint32_t node, uint16_t port)
{
    *raw = (struct raw_client){.box = box};
    support_memory_init(&raw->memory, (size_t)1 << 28);
    arena_init(&raw->arena, &raw->memory.mem, (size_t)1 << 27);
    world_req_init(&raw->conn.gone, raw_told);
    world_req_init(&raw->conn.closed, raw_told);
    world_req_init(&raw->connect.req, raw_told);
    world_req_init(&raw->send.req, raw_told);
    world_req_init(&raw->recv.req, raw_told);
    raw->connect.conn = &raw->conn;
    raw->connect.address = sim_net_address(box->node[node].world, port);
    net_connect(raw_world(raw), &raw->connect);
    assert_true(node_box_until(box, RAW_WAIT_MS, raw_is_done, &raw->connect.req));
    assert_int_equal(raw->connect.req.result, ERR_NONE);
    raw->open = true;
}

void raw_close(struct raw_client *raw)
{
    if (raw->open) {
        net_close(raw_world(raw), &raw->conn);
        assert_true(node_box_until(raw->box, RAW_WAIT_MS, raw_is_done, &raw->conn.closed));
    }
    raw->open = false;
    free(raw->in);
    raw->in = NULL;
    arena_deinit(&raw->arena);
    support_memory_deinit(&raw->memory);
}

bool raw_send(struct raw_client *raw, const void *data, size_t length, int64_t ms)
{
    raw->slice = (struct bytes){data, (uint32_t)length};
    raw->send.conn = &raw->conn;
    raw->send.slices = &raw->slice;
    raw->send.slice_count = 1;
    net_send(raw_world(raw), &raw->send);
    return node_box_until(raw->box, ms, raw_is_done, &raw->send.req) &&
           raw->send.req.result == ERR_NONE;
}

uint8_t *raw_frame(struct raw_client *raw, int16_t key, int16_t version, const void *body,
                   size_t *length)
{
    const struct wire_message *message = api_find(key)->request;
    size_t size =
        api_request_overhead(key, version, STR("raw")) + message->measure(body, version).bytes;
    uint8_t *bytes = malloc(size);
    struct wire_writer writer;
    struct wire_frame frame;
    enum err err;

    assert_non_null(bytes);
    wire_writer_init(&writer, bytes, size);
    frame = api_begin_request(&writer, key, version, ++raw->sent, STR("raw"));
    err = message->encode(&writer, version, body);
    assert_int_equal(err, ERR_NONE);
    wire_frame_end(&writer, frame);
    err = wire_writer_finish(&writer);
    assert_int_equal(err, ERR_NONE);
    *length = size;
    return bytes;
}

void raw_request(struct raw_client *raw, int16_t key, int16_t version, const void *body)
{
    size_t length;
    uint8_t *bytes = raw_frame(raw, key, version, body, &length);

    assert_true(raw_send(raw, bytes, length, RAW_WAIT_MS));
    free(bytes);
}

static void raw_post(struct raw_client *raw, uint8_t *into, uint32_t want)
{
    raw->recv.conn = &raw->conn;
    raw->recv.into = into;
    raw->recv.want = want;
    net_recv(raw_world(raw), &raw->recv);
}

/* Sends what is not answered wait in raw->recv: the next call goes on with it. */
bool raw_answer(struct raw_client *raw, int64_t ms)
{
    uint32_t length;

    if (!raw->in_body) {
        /* Asked for earlier, the size may have come while something else was waited for. */
        if (!raw->in_size) raw_post(raw, raw->size, sizeof raw->size);
        raw->in_size = true;
        if (!node_box_until(raw->box, ms, raw_is_done, &raw->recv.req)) return false;
        raw->in_size = false;
        if (raw->recv.req.result != ERR_NONE) return false;
        assert_int_equal(wire_frame_size(raw->size, RAW_FRAME_MAX, &length), ERR_NONE);
        free(raw->in);
        raw->in = malloc(length + 1);
        raw->in_length = length;
        raw->in_body = true;
        if (length > 0) raw_post(raw, raw->in, length);
    }
    if (!node_box_until(raw->box, ms, raw_is_done, &raw->recv.req)) return false;
    if (raw->recv.req.result != ERR_NONE) return false;
    raw->in_body = false;
    return true;
}

void raw_response(struct raw_client *raw, int16_t key, int16_t version, void *response)
{
    struct wire_reader reader;
    int32_t correlation;
    enum err err;

    assert_true(raw_answer(raw, RAW_WAIT_MS));
    arena_reset(&raw->arena);
    wire_reader_init(&reader, raw->in, raw->in_length);
    err = api_read_response_header(&reader, key, version, &raw->arena, &correlation);
    assert_int_equal(err, ERR_NONE);
    assert_int_equal(correlation, ++raw->answered);
    err = api_find(key)->response->decode(&reader, version, &raw->arena, response);
    assert_int_equal(err, ERR_NONE);
    assert_ptr_equal(reader.at, reader.end);
}

void raw_ask(struct raw_client *raw, int16_t key, int16_t version, const void *body, void *response)
{
    raw_request(raw, key, version, body);
    raw_response(raw, key, version, response);
}

bool raw_closed(struct raw_client *raw, int64_t ms)
{
    assert_false(raw->in_body);
    if (!raw->in_size) raw_post(raw, raw->size, sizeof raw->size);
    return node_box_until(raw->box, ms, raw_is_done, &raw->recv.req) &&
           raw->recv.req.result != ERR_NONE;
}

struct bytes raw_batch_of(void *into, size_t size, uint32_t count, uint32_t value_size,
                          int64_t producer_id, int16_t epoch, int32_t sequence)
{
    struct cpu cpu = {0};
    struct record_builder_config config = record_builder_config_default(cpu);
    struct record_builder builder;
    uint8_t *value = calloc(1, value_size + 1);

    config.producer_id = producer_id;
    config.producer_epoch = epoch;
    config.base_sequence = sequence;
    record_builder_init(&builder, &config, into, size);
    for (uint32_t i = 0; i < count; i++) {
        enum err err;

        if (value_size > 0) value[0] = (uint8_t)i;
        err = record_builder_append(&builder, INT64_C(1700000000000) + (int64_t)i, BYTES_NULL,
                                    (struct bytes){value, value_size}, NULL, 0);
        assert_int_equal(err, ERR_NONE);
    }
    free(value);
    return record_builder_finish(&builder);
}

struct bytes raw_batch(void *into, size_t size, uint32_t count, uint32_t value_size)
{
    return raw_batch_of(into, size, count, value_size, -1, -1, -1);
}

static bool raw_topic_led(struct raw_client *raw, struct str name, uint32_t partitions)
{
    struct metadata_request_topic topic;
    struct metadata_request request;
    struct metadata_response response;
    bool led;

    metadata_request_default(&request);
    metadata_request_topic_default(&topic);
    topic.name = name;
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    raw_ask(raw, API_METADATA, 9, &request, &response);
    led = response.topics[0].error_code == 0 && response.topics[0].partitions_count == partitions;
    for (uint32_t i = 0; led && i < partitions; i++)
        led = response.topics[0].partitions[i].error_code == 0;
    return led;
}

void raw_create_topic(struct raw_client *raw, const char *name, int32_t partitions,
                      int16_t replicas)
{
    struct create_topics_request_topic topic;
    struct create_topics_request request;
    struct create_topics_response response;

    create_topics_request_default(&request);
    create_topics_request_topic_default(&topic);
    topic.name = str_of(name);
    topic.num_partitions = partitions;
    topic.replication_factor = replicas;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 10000;
    raw_ask(raw, API_CREATE_TOPICS, 5, &request, &response);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].error_code, ERR_NONE);
    for (uint32_t i = 0; i < 100; i++) {
        bool led = raw_topic_led(raw, topic.name, (uint32_t)partitions);

        node_box_run_ms(raw->box, led ? 300 : 50); /* then its log is open too */
        if (led) return;
    }
    fail_msg("topic %s has no leader", name);
}

void raw_produce(struct raw_client *raw, const char *topic, int32_t index, struct bytes batch)
{
    struct produce_request_partition part;
    struct produce_request_topic to;
    struct produce_request request;
    struct produce_response response;

    produce_request_default(&request);
    produce_request_topic_default(&to);
    produce_request_partition_default(&part);
    part.index = index;
    part.records = batch;
    to.name = str_of(topic);
    to.partition_data = &part;
    to.partition_data_count = 1;
    request.topic_data = &to;
    request.topic_data_count = 1;
    request.acks = -1;
    request.timeout_ms = 5000;
    raw_ask(raw, API_PRODUCE, 9, &request, &response);
    assert_int_equal(response.responses[0].partition_responses[0].error_code, 0);
}

int16_t raw_find_coordinator(struct raw_client *raw, const char *group)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;

    find_coordinator_request_default(&request);
    request.key = str_of(group);
    raw_ask(raw, API_FIND_COORDINATOR, 2, &request, &response);
    if (response.error_code == 0) {
        assert_int_equal(response.node_id, 1);
        assert_int_equal(response.port, NODE_BOX_PORT);
    }
    return response.error_code;
}

void raw_until_coordinated(struct raw_client *raw, const char *group)
{
    for (uint32_t i = 0; i < 100 && raw_find_coordinator(raw, group) != 0; i++)
        node_box_run_ms(raw->box, 100);
    assert_int_equal(raw_find_coordinator(raw, group), 0);
    node_box_run_ms(raw->box, 1000);
}
