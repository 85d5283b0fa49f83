/* Proves, of a controller of 100 brokers and 100,000 partitions: when a broker dies, all that it
 * led is led by others in one batch of the metadata log, every election is right, and a node that
 * applies the log agrees. And what may be led by who lacks records is so after one interval, all of
 * it, however much that is. */
#include "broker/controller/controller.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BROKERS = 100, TOPICS = 100, PER_TOPIC = 1000, FACTOR = 3, SESSION_MS = 9000 };
enum { LOG_MAX = TOPICS * (PER_TOPIC + 1) + 20000 };

struct entry {
    uint8_t *data; /* NULL: control record */
    uint32_t length;
};

static struct fixture {
    struct region region;
    struct env env;
    struct world world;
    struct controller_quorum quorum;
    struct op_source hw_source;
    struct entry *log;
    int64_t end, hw;
    int32_t leading;
    uint32_t appends;
    uint32_t last_append; /* records */
    struct loader loader;
    struct controller controller;
    struct arena arena;
} f;

static uint64_t fake_seed(struct world *world, enum dice_concern concern)
{
    (void)world;
    return 7 + (uint64_t)concern;
}

static void fake_trace(struct world *world, const struct trace_event *event)
{
    (void)world;
    (void)event;
}

static const struct world_ops world_ops = {.seed = fake_seed, .trace = fake_trace};

static int32_t fake_leading(struct controller_quorum *quorum)
{
    (void)quorum;
    return f.leading;
}

static int64_t fake_epoch_start(struct controller_quorum *quorum)
{
    (void)quorum;
    return 0;
}

static int64_t fake_next_offset(struct controller_quorum *quorum)
{
    (void)quorum;
    return f.end;
}

static int64_t fake_hw(struct controller_quorum *quorum)
{
    (void)quorum;
    return f.hw;
}

static enum err fake_append(struct controller_quorum *quorum, int32_t epoch,
                            const struct bytes *values, uint32_t count, int64_t *first,
                            int64_t *last)
{
    (void)quorum;
    (void)epoch;
    assert_true(f.end + count < LOG_MAX);
    *first = f.end;
    for (uint32_t i = 0; i < count; i++) {
        f.log[f.end].data = malloc(values[i].length);
        memcpy(f.log[f.end].data, values[i].data, values[i].length);
        f.log[f.end++].length = values[i].length;
    }
    *last = f.end - 1;
    f.appends++;
    f.last_append = count;
    return ERR_NONE;
}

static void fake_resign(struct controller_quorum *quorum, int32_t epoch)
{
    (void)quorum;
    fail_msg("the controller of epoch %d gives up", epoch);
}

static const struct controller_quorum_ops quorum_ops = {.leading = fake_leading,
                                                        .epoch_start = fake_epoch_start,
                                                        .next_offset = fake_next_offset,
                                                        .append = fake_append,
                                                        .high_watermark = fake_hw,
                                                        .resign = fake_resign};

static void pass_ms(int64_t ms)
{
    op_loop_run(&f.env.loop, f.env.loop.now_ns + ms * NS_PER_MS, 1000000);
}

static void commit(void)
{
    int64_t end = f.end;

    for (; f.hw < end; f.hw++) {
        const struct entry *entry = &f.log[f.hw];

        if (entry->data != NULL)
            assert_int_equal(
                loader_record(&f.loader, f.hw, 1, (struct bytes){entry->data, entry->length}),
                ERR_NONE);
    }
    loader_batch(&f.loader, end, 1, true);
    op_wake_below(&f.hw_source, f.hw - 1);
    controller_applied(&f.controller);
    pass_ms(0);
}

static void ask(struct controller_call *call)
{
    call->arena = &f.arena;
    call->deadline_ns = OP_NO_DEADLINE;
    controller_submit(&f.controller, call);
    pass_ms(0);
    commit();
    assert_true(call->finished);
    assert_int_equal(call->result, ERR_NONE);
}

static void register_broker(int32_t id)
{
    struct broker_registration_request_listener listener = {STR("PLAINTEXT"), STR("h"), 9092, 0};
    struct broker_registration_request_feature features[3];
    struct broker_registration_request request;
    struct broker_registration_response response;
    struct controller_call call = {.api = CONTROLLER_BROKER_REGISTRATION,
                                   .request.broker_registration = &request,
                                   .response.broker_registration = &response,
                                   .version = 4};

    broker_registration_request_feature_default(&features[0]);
    features[0].name = STR("eligible.leader.replicas.version");
    features[0].max_supported_version = 1;
    broker_registration_request_feature_default(&features[1]);
    features[1].name = STR("metadata.version");
    features[1].min_supported_version = 17;
    features[1].max_supported_version = 25;
    broker_registration_request_feature_default(&features[2]);
    features[2].name = STR(FEATURES_GROUP_VERSION);
    features[2].max_supported_version = 1;
    broker_registration_request_default(&request);
    request.broker_id = id;
    request.cluster_id = STR("cluster");
    request.incarnation_id.bytes[0] = (uint8_t)id;
    request.listeners = &listener;
    request.listeners_count = 1;
    request.features = features;
    request.features_count = 3;
    ask(&call);
    assert_int_equal(response.error_code, ERR_NONE);
}

static void beat(int32_t id)
{
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    struct controller_call call = {.api = CONTROLLER_BROKER_HEARTBEAT,
                                   .request.broker_heartbeat = &request,
                                   .response.broker_heartbeat = &response,
                                   .version = 1};

    broker_heartbeat_request_default(&request);
    request.broker_id = id;
    request.broker_epoch = image_broker(&f.controller.image, id)->epoch;
    request.current_metadata_offset = f.loader.image.last_offset;
    ask(&call);
    assert_int_equal(response.error_code, ERR_NONE);
}

static void create_topic(uint32_t number)
{
    char name[16];
    struct create_topics_request_topic topic = {.num_partitions = PER_TOPIC,
                                                .replication_factor = FACTOR};
    struct create_topics_request request = {.topics = &topic, .topics_count = 1};
    struct create_topics_response response;
    struct controller_call call = {.api = CONTROLLER_CREATE_TOPICS,
                                   .request.create_topics = &request,
                                   .response.create_topics = &response,
                                   .version = 7};

    (void)snprintf(name, sizeof name, "t%u", number);
    topic.name = str_of(name);
    ask(&call);
    assert_int_equal(response.topics[0].error_code, ERR_NONE);
    arena_reset(&f.arena);
}

static int setup(void **state)
{
    struct controller_config config = controller_config_default();
    struct loader_config loader_config = {.limits = {BROKERS, TOPICS, TOPICS * PER_TOPIC},
                                          .hash_seed = 3};

    (void)state;
    f = (struct fixture){.leading = 1};
    f.log = calloc(LOG_MAX, sizeof *f.log);
    f.end = 1; /* the LeaderChange */
    support_region_init(&f.region, (size_t)1 << 30);
    f.world = (struct world){.ops = &world_ops, .region = &f.region};
    f.env.world = &f.world;
    mem_init(&f.env.mem, &f.region);
    assert_int_equal(op_loop_init(&f.env.loop, &f.env.mem, 64, NULL), ERR_NONE);
    op_source_init(&f.hw_source);
    f.quorum = (struct controller_quorum){&quorum_ops, &f.hw_source};
    loader_init(&f.loader, &f.world, &f.env.mem, &loader_config);
    arena_init(&f.arena, &f.env.mem, 16 << 20);
    config.node_id = 1;
    config.cluster_id = STR("cluster");
    config.limits = loader_config.limits;
    config.max_idle_interval_ms = 0;
    assert_int_equal(controller_init(&f.controller, &f.env, &config, &f.quorum, &f.loader),
                     ERR_NONE);
    pass_ms(0);
    commit();
    commit(); /* what activation wrote */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    controller_stop(&f.controller);
    pass_ms(0);
    controller_deinit(&f.controller);
    loader_deinit(&f.loader);
    arena_deinit(&f.arena);
    op_loop_deinit(&f.env.loop);
    assert_int_equal(mem_in_use(&f.env.mem), 0);
    support_region_deinit(&f.region);
    for (int64_t i = 0; i < f.end; i++)
        free(f.log[i].data);
    free(f.log);
    return 0;
}

static void a_dead_broker_of_a_hundred_is_replaced_in_one_batch(void **state)
{
    uint32_t led, in_sync, appends;

    (void)state;
    for (int32_t id = 1; id <= BROKERS; id++) {
        register_broker(id);
        beat(id);
        arena_reset(&f.arena);
    }
    for (uint32_t i = 0; i < TOPICS; i++)
        create_topic(i);
    assert_int_equal(f.controller.image.partitions_count, TOPICS * PER_TOPIC);
    led = image_broker(&f.controller.image, 7)->leader_count;
    in_sync = image_broker(&f.controller.image, 7)->isr_count;
    assert_true(led > PER_TOPIC / 2 && in_sync > 2 * PER_TOPIC);
    appends = f.appends;
    for (int64_t ms = 0; ms < SESSION_MS; ms += 1000) {
        pass_ms(1000);
        for (int32_t id = 1; id <= BROKERS; id++)
            if (id != 7) beat(id);
        arena_reset(&f.arena);
    }
    pass_ms(1);
    assert_true(image_broker(&f.controller.image, 7)->fenced);
    assert_int_equal(f.appends, appends + 1);
    assert_int_equal(f.last_append, in_sync + 1); /* each partition once, and the fencing */
    assert_int_equal(image_broker(&f.controller.image, 7)->leader_count, 0);
    assert_int_equal(image_broker(&f.controller.image, 7)->isr_count, 0);
    for (uint32_t t = 0; t < TOPICS; t++) {
        char name[16];
        const struct image_topic *topic;

        (void)snprintf(name, sizeof name, "t%u", t);
        topic = image_topic_by_name(&f.controller.image, str_of(name));
        for (uint32_t i = 0; i < PER_TOPIC; i++)
            assert_true(topic->partitions[i].leader > 0 && topic->partitions[i].leader != 7);
    }
    commit();
    assert_true(f.controller.image.digest == f.loader.image.digest); /* K22 */
}

static void alive_for_ms(int32_t id, int64_t ms)
{
    for (int64_t at = 0; at < ms; at += 1000) {
        pass_ms(1000);
        commit();
        if (id > 0) beat(id);
        arena_reset(&f.arena);
    }
}

static uint32_t led_by(int32_t id)
{
    return image_broker(&f.controller.image, id)->leader_count;
}

static void all_that_may_be_led_uncleanly_is_so_after_one_interval(void **state)
{
    const struct image_topic *topic;

    (void)state;
    for (int32_t id = 1; id <= FACTOR; id++) {
        register_broker(id);
        beat(id);
    }
    for (uint32_t i = 0; i < 3; i++)
        create_topic(i);
    /* The others leave before 3 does, and only one of them comes back. */
    alive_for_ms(3, SESSION_MS + 2000);
    assert_int_equal(3 * PER_TOPIC, led_by(3));
    alive_for_ms(0, SESSION_MS + 2000);
    assert_int_equal(0, led_by(3));
    beat(1);
    alive_for_ms(1, f.controller.config.unclean_interval_ms + 2000);
    assert_false(image_broker(&f.controller.image, 1)->fenced);
    assert_int_equal(0, led_by(1));
    f.controller.config.unclean_leader_election = true;
    alive_for_ms(1, f.controller.config.unclean_interval_ms + 2000);
    assert_int_equal(3 * PER_TOPIC, led_by(1));
    topic = image_topic_by_name(&f.controller.image, STR("t0"));
    for (uint32_t i = 0; i < PER_TOPIC; i++)
        assert_int_equal(IMAGE_RECOVERING, topic->partitions[i].recovery); /* it is told */
    assert_true(f.controller.image.digest == f.loader.image.digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dead_broker_of_a_hundred_is_replaced_in_one_batch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(all_that_may_be_led_uncleanly_is_so_after_one_interval,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
