/* Proves: a consumer over the simulated network hands out every record once, in order, with its
 * offset, whatever the connections and answers do; positions move only by what was taken, by a
 * reset that is allowed, or to where the logs part after a truncation; rotten bytes stop it. */
#include "tests/support/fake_broker.h"

#include "client/consumer.h"
#include "client/posix/codecs.h"
#include "client/wire/record_builder.h"

#include <stdlib.h>
#include <string.h>

enum { TAKEN_MAX = 2000 };

struct rig {
    struct sim *sim;
    struct fake_broker *broker;
    struct codecs codecs;
    struct sim_program program;
    struct env *env;
    struct consumer_config config;
    struct consumer_start start;
    struct consumer consumer;
    struct consumer_partition *partition;
    uint32_t wanted;                 /* stops after so many, or when the partition has failed */
    void (*midway)(struct rig *rig); /* once, after `midway_at` records */
    uint32_t midway_at;
    uint32_t taken;
    int64_t offsets[TAKEN_MAX];
    char values[TAKEN_MAX][8];
    struct op op;
    enum err failed;
    int64_t position;
    bool closed;
    struct sim_observer observer;
};

/* ---- a log ----------------------------------------------------------------------------------- */

static void add_batch(struct rig *rig, uint32_t count, enum codec codec)
{
    struct fake_partition *log = &rig->broker->partitions[0];
    struct fake_batch *made = &log->batches[log->batches_count++];
    struct record_builder_config config = record_builder_config_default((struct cpu){false});
    struct record_builder builder;
    uint8_t buffer[4096];
    static uint8_t packed[256 * 1024];
    struct bytes bytes;

    record_builder_init(&builder, &config, buffer, sizeof buffer);
    for (uint32_t i = 0; i < count; i++) {
        int64_t n = log->end + i;
        char text[4] = {(char)('0' + n / 100 % 10), (char)('0' + n / 10 % 10),
                        (char)('0' + n % 10)};

        assert_int_equal(record_builder_append(&builder, 1000, BYTES_NULL,
                                               (struct bytes){(const uint8_t *)text, 3}, NULL, 0),
                         ERR_NONE);
    }
    if (codec == CODEC_NONE) {
        bytes = record_builder_finish(&builder);
    } else {
        size_t length = 0;

        assert_int_equal(compress_encode(&rig->codecs, codec, COMPRESS_LEVEL_DEFAULT,
                                         record_builder_records(&builder),
                                         packed + RECORD_BATCH_HEADER,
                                         sizeof packed - RECORD_BATCH_HEADER, &length),
                         ERR_NONE);
        bytes = record_builder_finish_compressed(&builder, codec, packed, length);
    }
    *made = (struct fake_batch){
        .length = bytes.length, .base = log->end, .count = (int32_t)count, .producer_id = -1};
    made->bytes = malloc(bytes.length);
    memcpy(made->bytes, bytes.data, bytes.length);
    record_batch_set_offset(made->bytes, log->end, log->leader_epoch);
    log->end += count;
}

/* ---- the run --------------------------------------------------------------------------------- */

enum rig_step { RIG_START, RIG_READY, RIG_CLOSED, RIG_STEPS };
static const char *const rig_steps[RIG_STEPS] = {"START", "READY", "CLOSED"};

static void rig_take(struct rig *rig)
{
    struct consumer_record record;

    while (rig->taken < rig->wanted && consumer_next(&rig->consumer, &record)) {
        rig->offsets[rig->taken] = record.record.offset;
        assert_int_equal(record.record.value.length, 3);
        memcpy(rig->values[rig->taken++], record.record.value.data, 3);
        if (rig->midway != NULL && rig->taken == rig->midway_at) {
            rig->midway(rig);
            rig->midway = NULL;
        }
    }
}

static enum op_result rig_run(struct op *op)
{
    struct rig *o = CONTAINER_OF(op, struct rig, op);

    switch ((enum rig_step)op->step) {
    case RIG_START:
        for (;;) {
            rig_take(o);
            if (o->taken == o->wanted || consumer_failed(&o->consumer) != NULL) break;
            AWAIT(o, RIG_READY, &o->consumer.ready,
                  consumer_has_records(&o->consumer) || consumer_failed(&o->consumer) != NULL);
        }
        o->failed = o->partition->error;
        o->position = o->partition->position;
        consumer_close(&o->consumer);
        AWAIT(o, RIG_CLOSED, &o->consumer.ready, consumer_closed(&o->consumer));
        consumer_deinit(&o->consumer);
        assert_int_equal(o->env->payload.used, 0);
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
    assert_null(op_loop_probe(&rig->env->loop));
}

static void rig_started(struct env *env)
{
    struct rig *rig = CONTAINER_OF(sim_world_of(env->world)->config.program, struct rig, program);

    assert_int_equal(consumer_init(&rig->consumer, env, &rig->config), ERR_NONE);
    assert_int_equal(consumer_assign(&rig->consumer, STR("orders"), 0, rig->start, &rig->partition),
                     ERR_NONE);
    op_start(&env->loop, &rig->op, &rig_kind, RIG_START);
}

static void rig_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct rig *rig = CONTAINER_OF(program, struct rig, program);
    struct env_limits limits = {.ops_max = 1000, .payload_bytes = 16 << 20};

    (void)now;
    world->codecs = &rig->codecs;
    rig->env = region_take(world->region, sizeof *rig->env, 16);
    assert_int_equal(env_init(rig->env, world, &limits, rig_started), ERR_NONE);
}

static struct rig *rig_create(uint32_t batches, uint32_t records)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct sim_config config = sim_config_default(11);

    assert_non_null(rig);
    assert_int_equal(codecs_create(&rig->codecs), ERR_NONE);
    rig->sim = sim_create(&config);
    rig->broker = fake_broker_create(rig->sim, 1);
    consumer_config_default(&rig->config);
    rig->config.metadata.bootstrap = STR("node-1:9092");
    rig->config.request_timeout_ms = 2000;
    rig->start = (struct consumer_start){.timestamp = CONSUMER_EARLIEST};
    for (uint32_t i = 0; i < batches; i++)
        add_batch(rig, records, CODEC_NONE);
    rig->wanted = batches * records;
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
    if (end != SIM_END_DONE)
        fail_msg("ended %d after %u records: %s", (int)end, rig->taken, rig->sim->failure.text);
}

static void rig_check(const struct rig *rig, int64_t first, uint32_t count)
{
    assert_int_equal(rig->taken, count);
    for (uint32_t i = 0; i < count; i++) {
        int64_t n = first + i;

        assert_int_equal(rig->offsets[i], n);
        assert_int_equal(rig->values[i][0], '0' + n / 100 % 10);
        assert_int_equal(rig->values[i][1], '0' + n / 10 % 10);
        assert_int_equal(rig->values[i][2], '0' + n % 10);
    }
}

static void rig_destroy(struct rig *rig)
{
    fake_broker_destroy(rig->broker);
    sim_destroy(rig->sim);
    codecs_destroy(&rig->codecs);
    free(rig);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void everything_from_the_beginning_in_order(void **state)
{
    struct rig *rig = rig_create(30, 10);

    (void)state;
    rig_go(rig);
    rig_check(rig, 0, 300);
    assert_int_equal(rig->failed, ERR_NONE);
    assert_int_equal(rig->position, 300);
    rig_destroy(rig);
}

static void an_offset_inside_a_batch_begins_there(void **state)
{
    struct rig *rig = rig_create(5, 10);

    (void)state;
    rig->start = (struct consumer_start){.by_offset = true, .offset = 17};
    rig->wanted = 33;
    rig_go(rig);
    rig_check(rig, 17, 33);
    rig_destroy(rig);
}

static void failing_answers_lose_and_repeat_nothing(void **state)
{
    struct rig *rig = rig_create(20, 10);

    (void)state;
    fake_broker_script(rig->broker, API_FETCH, 2, FAKE_CLOSE_BEFORE, ERR_NONE);
    fake_broker_script(rig->broker, API_FETCH, 4, FAKE_ERROR, ERR_NOT_LEADER_OR_FOLLOWER);
    fake_broker_script(rig->broker, API_FETCH, 6, FAKE_GARBAGE_BODY, ERR_NONE);
    fake_broker_script(rig->broker, API_FETCH, 8, FAKE_SILENT, ERR_NONE);
    fake_broker_script(rig->broker, API_FETCH, 10, FAKE_WRONG_CORRELATION, ERR_NONE);
    fake_broker_script(rig->broker, API_FETCH, 12, FAKE_HUGE_FRAME, ERR_NONE);
    fake_broker_script(rig->broker, API_FETCH, 14, FAKE_ERROR, ERR_UNKNOWN_LEADER_EPOCH);
    fake_broker_script(rig->broker, API_LIST_OFFSETS, 1, FAKE_ERROR, ERR_LEADER_NOT_AVAILABLE);
    rig_go(rig);
    rig_check(rig, 0, 200);
    rig_destroy(rig);
}

static void old_fetch_versions_name_the_topic(void **state)
{
    struct rig *rig = rig_create(5, 10);

    (void)state;
    rig->broker->served[API_FETCH] = (struct wire_range){4, 4};
    rig->broker->served[API_LIST_OFFSETS] = (struct wire_range){1, 1};
    rig_go(rig);
    rig_check(rig, 0, 50);
    rig_destroy(rig);
}

static void compressed_batches_are_opened(void **state)
{
    static const enum codec codecs[] = {CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD};
    struct rig *rig = rig_create(1, 10);

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(codecs); i++)
        add_batch(rig, 50, codecs[i]);
    rig->wanted = 210;
    rig_go(rig);
    rig_check(rig, 0, 210);
    rig_destroy(rig);
}

static void out_of_range_without_a_policy_is_told(void **state)
{
    struct rig *rig = rig_create(2, 10);

    (void)state;
    rig->config.reset = CONSUMER_RESET_NONE;
    rig->start = (struct consumer_start){.by_offset = true, .offset = 5000};
    rig_go(rig);
    assert_int_equal(rig->taken, 0);
    assert_int_equal(rig->failed, ERR_OFFSET_OUT_OF_RANGE);
    rig_destroy(rig);
}

static void out_of_range_with_a_policy_is_reset(void **state)
{
    struct rig *rig = rig_create(2, 10);

    (void)state;
    rig->config.reset = CONSUMER_RESET_EARLIEST;
    rig->start = (struct consumer_start){.by_offset = true, .offset = 5000};
    rig_go(rig);
    rig_check(rig, 0, 20);
    rig_destroy(rig);
}

static void a_rotten_batch_stops_the_partition_there(void **state)
{
    struct rig *rig = rig_create(5, 10);

    (void)state;
    rig->broker->partitions[0].batches[3].bytes[RECORD_BATCH_HEADER + 5] ^= 1;
    rig_go(rig);
    rig_check(rig, 0, 30);
    assert_int_equal(rig->failed, ERR_CORRUPT_MESSAGE);
    assert_int_equal(rig->position, 30);
    rig_destroy(rig);
}

/* A new leader whose log ends earlier, and goes on with other records. */
static void truncate_midway(struct rig *rig)
{
    struct fake_partition *log = &rig->broker->partitions[0];

    log->leader_epoch = 2;
    while (log->batches_count > 2)
        free(log->batches[--log->batches_count].bytes);
    log->end = 20;
}

static void a_truncated_log_moves_the_position_back(void **state)
{
    struct rig *rig = rig_create(4, 10);

    (void)state;
    rig->config.reset = CONSUMER_RESET_EARLIEST;
    rig->midway = truncate_midway;
    rig->midway_at = 40;
    rig->wanted = 41; /* never comes: the log ends at 20 */
    rig->program.boot = rig_boot;
    rig->observer.turned = rig_turned;
    {
        struct sim_node_config node = sim_node_config_default(9);
        struct sim_limits limits = {.until_ns = 20 * NS_PER_SEC};

        node.program = &rig->program;
        sim_node_start(sim_node_add(rig->sim, &node));
        assert_int_equal(sim_run(rig->sim, &limits), SIM_END_TIME);
    }
    rig_check(rig, 0, 40);
    assert_int_equal(rig->partition->state, CONSUMER_FETCHING);
    assert_int_equal(rig->partition->position, 20);
    assert_true(rig->broker->requests[API_OFFSET_FOR_LEADER_EPOCH] >= 1);
    rig_destroy(rig);
}

static void a_truncated_log_without_a_policy_is_told(void **state)
{
    struct rig *rig = rig_create(4, 10);

    (void)state;
    rig->config.reset = CONSUMER_RESET_NONE;
    rig->midway = truncate_midway;
    rig->midway_at = 40;
    rig->wanted = 41;
    rig_go(rig);
    rig_check(rig, 0, 40);
    assert_int_equal(rig->failed, ERR_OFFSET_OUT_OF_RANGE);
    rig_destroy(rig);
}

static void a_small_buffer_still_reads_everything(void **state)
{
    struct rig *rig = rig_create(30, 10);

    (void)state;
    rig->config.buffer_bytes = 1;
    rig_go(rig);
    rig_check(rig, 0, 300);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_from_the_beginning_in_order),
        cmocka_unit_test(an_offset_inside_a_batch_begins_there),
        cmocka_unit_test(failing_answers_lose_and_repeat_nothing),
        cmocka_unit_test(old_fetch_versions_name_the_topic),
        cmocka_unit_test(compressed_batches_are_opened),
        cmocka_unit_test(out_of_range_without_a_policy_is_told),
        cmocka_unit_test(out_of_range_with_a_policy_is_reset),
        cmocka_unit_test(a_rotten_batch_stops_the_partition_there),
        cmocka_unit_test(a_truncated_log_moves_the_position_back),
        cmocka_unit_test(a_truncated_log_without_a_policy_is_told),
        cmocka_unit_test(a_small_buffer_still_reads_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
