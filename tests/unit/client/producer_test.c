/* Proves: a producer over the simulated network ends every record exactly once; retries, lost
 * answers, lost connections and errors neither reorder nor duplicate with idempotence; outcomes are
 * "failed" only when no attempt can have reached a log. */
#include "tests/support/fake_broker.h"

#include "client/producer.h"
#include "client/wire/record.h"
#include "client/wire/record_batch.h"

#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 400 };

struct rig {
    struct sim *sim;
    struct fake_broker *broker;
    struct sim_program program;
    struct env *env;
    struct producer_config config;
    struct producer producer;
    struct producer_record records[RECORDS_MAX];
    char values[RECORDS_MAX][8];
    uint32_t count;
    uint32_t gap_ms;
    struct op op;
    uint32_t sent;
    bool closed;
    struct sim_observer observer;
};

/* After every turn: nobody waits for what already holds. */
static void rig_turned(struct sim_observer *observer, struct sim_world *node)
{
    struct rig *rig = CONTAINER_OF(observer, struct rig, observer);

    if (node->id != 9 || rig->env == NULL || !op_loop_idle(&rig->env->loop)) return;
    assert_null(op_loop_probe(&rig->env->loop));
}

enum rig_step { RIG_START, RIG_PAUSED, RIG_DRAINED, RIG_CLOSED, RIG_STEPS };
static const char *const rig_steps[RIG_STEPS] = {"START", "PAUSED", "DRAINED", "CLOSED"};

static enum op_result rig_run(struct op *op)
{
    struct rig *o = CONTAINER_OF(op, struct rig, op);

    switch ((enum rig_step)op->step) {
    case RIG_START:
        while (o->sent < o->count) {
            producer_send(&o->producer, &o->records[o->sent++]);
            if (o->gap_ms == 0) continue;
            op_deadline(op, env_deadline(o->env, o->gap_ms));
            AWAIT(o, RIG_PAUSED, NULL, op_expired(op));
        }
        AWAIT(o, RIG_DRAINED, &o->producer.changed, o->producer.pending == 0);
        producer_close(&o->producer, false);
        AWAIT(o, RIG_CLOSED, &o->producer.changed, producer_closed(&o->producer));
        producer_deinit(&o->producer);
        assert_int_equal(o->env->payload.used, 0);
        o->closed = true;
        return OP_DONE;
    case RIG_STEPS: break;
    }
    IMPOSSIBLE("step");
}
static const struct op_kind rig_kind = {"rig", rig_steps, RIG_STEPS, rig_run, NULL};

static struct rig *rig_of(struct env *env)
{
    return CONTAINER_OF(sim_world_of(env->world)->config.program, struct rig, program);
}

static void rig_started(struct env *env)
{
    struct rig *rig = rig_of(env);

    assert_int_equal(producer_init(&rig->producer, env, &rig->config), ERR_NONE);
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
    struct sim_config config = sim_config_default(7);

    assert_non_null(rig);
    rig->sim = sim_create(&config);
    rig->broker = fake_broker_create(rig->sim, 1);
    producer_config_default(&rig->config);
    rig->config.metadata.bootstrap = STR("node-1:9092");
    rig->config.request_timeout_ms = 2000;
    rig->config.delivery_timeout_ms = 20000;
    rig->count = count;
    for (uint32_t i = 0; i < count; i++) {
        producer_record_init(&rig->records[i]);
        rig->values[i][0] = (char)('0' + i / 100);
        rig->values[i][1] = (char)('0' + i / 10 % 10);
        rig->values[i][2] = (char)('0' + i % 10);
        rig->records[i].topic = STR("orders");
        rig->records[i].value = (struct bytes){(const uint8_t *)rig->values[i], 3};
        rig->records[i].partition = 0;
    }
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
        fail_msg("ended %d at %lld ns: %s", (int)end, (long long)rig->sim->now_ns,
                 rig->sim->failure.text);
    for (uint32_t i = 0; i < rig->count; i++)
        assert_int_not_equal(rig->records[i].outcome, PRODUCER_PENDING);
}

static void rig_destroy(struct rig *rig)
{
    fake_broker_destroy(rig->broker);
    sim_destroy(rig->sim);
    free(rig);
}

/* Every acked record stands at the offset it was told, once, and the order is that of sending. */
static void rig_check_exact(struct rig *rig)
{
    const struct fake_partition *log = &rig->broker->partitions[0];
    uint32_t next = 0;

    assert_int_equal(log->end, rig->count);
    for (uint32_t b = 0; b < log->batches_count; b++) {
        struct bytes bytes = {log->batches[b].bytes, log->batches[b].length};
        struct record_batch batch;
        struct record_iter iter;
        struct record record;

        assert_int_equal(record_batch_parse(bytes, &batch), RECORD_BATCH_WHOLE);
        record_iter_init(&iter, &batch, record_batch_payload(&batch));
        while (record_iter_next(&iter, &record) == ERR_NONE) {
            assert_int_equal(record.value.length, 3);
            assert_memory_equal(record.value.data, rig->values[next], 3);
            assert_int_equal(rig->records[next].outcome, PRODUCER_ACKED);
            assert_int_equal(rig->records[next].offset, record.offset);
            next++;
        }
    }
    assert_int_equal(next, rig->count);
}

static void records_arrive_in_order_with_their_offsets(void **state)
{
    struct rig *rig = rig_create(100);

    (void)state;
    rig_go(rig);
    rig_check_exact(rig);
    assert_int_equal(rig->broker->requests[API_INIT_PRODUCER_ID], 1);
    rig_destroy(rig);
}

static void many_batches_in_flight_keep_their_order(void **state)
{
    struct rig *rig = rig_create(300);

    (void)state;
    rig->config.linger_ms = 0;
    rig->config.batch_size = 100;
    rig_go(rig);
    rig_check_exact(rig);
    assert_true(rig->broker->partitions[0].batches_count > 20);
    rig_destroy(rig);
}

static void a_lost_answer_is_retried_without_a_duplicate(void **state)
{
    struct rig *rig = rig_create(200);

    (void)state;
    rig->config.linger_ms = 0;
    rig->config.batch_size = 100;
    fake_broker_script(rig->broker, API_PRODUCE, 3, FAKE_CLOSE_AFTER, ERR_NONE);
    fake_broker_script(rig->broker, API_PRODUCE, 12, FAKE_SILENT, ERR_NONE);
    rig_go(rig);
    rig_check_exact(rig);
    assert_true(rig->broker->duplicates >= 1);
    assert_true(rig->broker->connections >= 3);
    rig_destroy(rig);
}

static void a_refused_batch_in_the_middle_does_not_reorder(void **state)
{
    struct rig *rig = rig_create(200);

    (void)state;
    rig->config.linger_ms = 0;
    rig->config.batch_size = 100;
    fake_broker_script(rig->broker, API_PRODUCE, 2, FAKE_ERROR, ERR_NOT_ENOUGH_REPLICAS);
    fake_broker_script(rig->broker, API_PRODUCE, 9, FAKE_ERROR, ERR_NOT_LEADER_OR_FOLLOWER);
    fake_broker_script(rig->broker, API_PRODUCE, 15, FAKE_ERROR_AFTER,
                       ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    rig_go(rig);
    rig_check_exact(rig);
    assert_true(rig->broker->out_of_order > 0); /* those behind the refused one */
    rig_destroy(rig);
}

static void hostile_answers_cost_a_connection_and_nothing_else(void **state)
{
    static const enum fake_trick tricks[] = {FAKE_WRONG_CORRELATION, FAKE_HUGE_FRAME,
                                             FAKE_NEGATIVE_FRAME, FAKE_GARBAGE_BODY};

    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(tricks); i++) {
        struct rig *rig = rig_create(50);

        rig->config.linger_ms = 0;
        rig->config.batch_size = 100;
        fake_broker_script(rig->broker, API_PRODUCE, 2, tricks[i], ERR_NONE);
        rig_go(rig);
        rig_check_exact(rig);
        rig_destroy(rig);
    }
}

static void without_idempotence_order_holds_too(void **state)
{
    struct rig *rig = rig_create(150);

    (void)state;
    rig->config.idempotent = false;
    rig->config.linger_ms = 0;
    rig->config.batch_size = 100;
    fake_broker_script(rig->broker, API_PRODUCE, 2, FAKE_ERROR, ERR_NOT_ENOUGH_REPLICAS);
    fake_broker_script(rig->broker, API_PRODUCE, 5, FAKE_CLOSE_BEFORE, ERR_NONE);
    rig_go(rig);
    rig_check_exact(rig);
    rig_destroy(rig);
}

static void a_certain_refusal_is_failed_and_an_unclear_end_is_unknown(void **state)
{
    struct rig *rig = rig_create(1);

    (void)state;
    fake_broker_script(rig->broker, API_PRODUCE, 1, FAKE_ERROR, ERR_MESSAGE_TOO_LARGE);
    rig_go(rig);
    assert_int_equal(rig->records[0].outcome, PRODUCER_FAILED);
    assert_int_equal(rig->records[0].result, ERR_MESSAGE_TOO_LARGE);
    rig_destroy(rig);

    rig = rig_create(1);
    fake_broker_script(rig->broker, API_PRODUCE, 1, FAKE_ERROR_AFTER,
                       ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    fake_broker_script(rig->broker, API_PRODUCE, 2, FAKE_ERROR, ERR_MESSAGE_TOO_LARGE);
    rig_go(rig);
    assert_int_equal(rig->records[0].outcome, PRODUCER_UNKNOWN);
    rig_destroy(rig);
}

static void an_unknown_topic_fails_after_max_block(void **state)
{
    struct rig *rig = rig_create(3);

    (void)state;
    rig->broker->missing_topic = true;
    rig->config.max_block_ms = 3000;
    rig_go(rig);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(rig->records[i].outcome, PRODUCER_FAILED);
        assert_int_equal(rig->records[i].result, ERR_TIMED_OUT);
    }
    rig_destroy(rig);
}

static void acks_zero_is_done_when_it_is_written(void **state)
{
    struct rig *rig = rig_create(40);

    (void)state;
    rig->config.idempotent = false;
    rig->config.acks = 0;
    rig_go(rig);
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(rig->records[i].outcome, PRODUCER_ACKED);
        assert_int_equal(rig->records[i].offset, -1);
    }
    rig_destroy(rig);
}

static void an_old_broker_is_spoken_to_in_its_versions(void **state)
{
    struct rig *rig = rig_create(20);

    (void)state;
    rig->broker->served[API_API_VERSIONS].last = 0;
    rig->broker->served[API_PRODUCE] = (struct wire_range){0, 7};
    rig->broker->served[API_METADATA] = (struct wire_range){0, 4};
    rig->broker->served[API_INIT_PRODUCER_ID] = (struct wire_range){0, 1};
    rig_go(rig);
    rig_check_exact(rig);
    /* twice on the connection of the bootstrap entry, twice on that of the node */
    assert_int_equal(rig->broker->requests[API_API_VERSIONS], 4);
    rig_destroy(rig);
}

static void a_cluster_without_producer_ids_fails_at_once(void **state)
{
    struct rig *rig = rig_create(5);

    (void)state;
    rig->broker->served[API_INIT_PRODUCER_ID] = (struct wire_range){0, -1};
    rig_go(rig);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(rig->records[i].outcome, PRODUCER_FAILED);
        assert_int_equal(rig->records[i].result, ERR_UNSUPPORTED_VERSION);
    }
    assert_true(rig->sim->now_ns < 5 * NS_PER_SEC);
    rig_destroy(rig);
}

static void a_silent_network_ends_in_unknown_after_the_delivery_timeout(void **state)
{
    struct rig *rig = rig_create(5);

    (void)state;
    rig->config.delivery_timeout_ms = 5000;
    for (uint32_t i = 1; i <= 8; i++)
        fake_broker_script(rig->broker, API_PRODUCE, i, FAKE_SILENT, ERR_NONE);
    rig_go(rig);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(rig->records[i].outcome, PRODUCER_UNKNOWN);
        assert_int_equal(rig->records[i].result, ERR_TIMED_OUT);
    }
    rig_destroy(rig);
}

/*- many bad days------------------------------------------------------------*/

static struct sim_event outage;
static struct rig *outage_rig;

static void outage_fire(struct sim_event *event)
{
    struct sim_world *node = outage_rig->broker->node;

    if (node->up) {
        sim_crash(node, SIM_DOWN_KILL);
        sim_schedule(outage_rig->sim, event, outage_rig->sim->now_ns + 700 * NS_PER_MS);
    } else {
        sim_restart(node);
    }
}

/* What the log holds, in order: indexes of records, by their text. */
static uint32_t log_indexes(const struct rig *rig, uint32_t indexes[RECORDS_MAX * 2])
{
    const struct fake_partition *log = &rig->broker->partitions[0];
    uint32_t count = 0;

    for (uint32_t b = 0; b < log->batches_count; b++) {
        struct bytes bytes = {log->batches[b].bytes, log->batches[b].length};
        struct record_batch batch;
        struct record_iter iter;
        struct record record;

        assert_int_equal(record_batch_parse(bytes, &batch), RECORD_BATCH_WHOLE);
        record_iter_init(&iter, &batch, record_batch_payload(&batch));
        while (record_iter_next(&iter, &record) == ERR_NONE) {
            const uint8_t *v = record.value.data;

            assert_int_equal(record.offset, count);
            assert_true(count < RECORDS_MAX * 2);
            indexes[count++] =
                (uint32_t)(v[0] - '0') * 100 + (uint32_t)(v[1] - '0') * 10 + (uint32_t)(v[2] - '0');
        }
    }
    return count;
}

/* Nothing twice, nothing out of order, acked where told, nothing that was called failed. */
static void check_history(const struct rig *rig)
{
    uint32_t indexes[RECORDS_MAX * 2];
    bool there[RECORDS_MAX] = {false};
    uint32_t count = log_indexes(rig, indexes);

    for (uint32_t i = 0; i < count; i++) {
        assert_true(indexes[i] < rig->count);
        assert_false(there[indexes[i]]);
        there[indexes[i]] = true;
        if (i > 0) assert_true(indexes[i] > indexes[i - 1]);
    }
    for (uint32_t i = 0; i < rig->count; i++) {
        const struct producer_record *record = &rig->records[i];

        if (record->outcome == PRODUCER_FAILED) assert_false(there[i]);
        if (record->outcome != PRODUCER_ACKED) continue;
        assert_true(there[i]);
        assert_in_range(record->offset, 0, count - 1);
        assert_int_equal(indexes[record->offset], i);
    }
}

static void random_faults_neither_lose_nor_repeat_nor_reorder(void **state)
{
    static const enum err errors[] = {ERR_NOT_ENOUGH_REPLICAS, ERR_NOT_LEADER_OR_FOLLOWER,
                                      ERR_REQUEST_TIMED_OUT, ERR_UNKNOWN_SERVER_ERROR,
                                      ERR_KAFKA_STORAGE_ERROR};
    uint32_t duplicates = 0, refused = 0, acked = 0, unknown = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig *rig = rig_create(300);
        struct rng rng;

        rng_init(&rng, seed);
        rig->config.batch_size = 100;
        rig->config.linger_ms = (int32_t)rng_below(&rng, 3);
        rig->gap_ms = (uint32_t)rng_below(&rng, 20);
        rig->config.delivery_timeout_ms = seed % 4 == 0 ? 2500 : 20000;
        rig->config.request_timeout_ms = seed % 4 == 0 ? 900 : 2000;
        for (uint32_t i = 0; i < FAKE_SCRIPT; i++) {
            uint32_t nth = 1 + (uint32_t)rng_below(&rng, 60);
            enum fake_trick trick = (enum fake_trick)rng_below(&rng, FAKE_GARBAGE_BODY + 1);
            enum err err = errors[rng_below(&rng, COUNT_OF(errors))];

            /* Before the append a leader says only what may be tried again. */
            if (trick == FAKE_ERROR && err == ERR_UNKNOWN_SERVER_ERROR) trick = FAKE_SILENT;
            if (trick == FAKE_ERROR_AFTER && err == ERR_NOT_ENOUGH_REPLICAS)
                err = ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND; /* the other one is said before */
            fake_broker_script(rig->broker, API_PRODUCE, nth, trick, err);
        }
        outage_rig = rig;
        sim_event_init(&outage, outage_fire);
        if (seed % 2 == 0)
            sim_schedule(rig->sim, &outage, (int64_t)rng_below(&rng, 4000) * NS_PER_MS + NS_PER_MS);
        rig_go(rig);
        check_history(rig);
        duplicates += rig->broker->duplicates;
        refused += rig->broker->out_of_order;
        for (uint32_t i = 0; i < rig->count; i++) {
            if (rig->records[i].outcome == PRODUCER_ACKED) acked++;
            if (rig->records[i].outcome == PRODUCER_UNKNOWN) unknown++;
        }
        sim_unschedule(rig->sim, &outage);
        rig_destroy(rig);
    }
    /* All of it was exercised. */
    assert_true(duplicates > 20);
    assert_true(refused > 20);
    assert_true(unknown > 20);
    assert_true(acked > 8000);
}

static void a_batch_that_is_too_large_is_cut_until_it_fits(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 4; round++) {
        struct rig *rig = rig_create(300);

        rig->config.idempotent = round % 2 == 0;
        rig->config.batch_size = 1000;
        rig->config.linger_ms = round < 2 ? 50 : 0;
        rig->config.codec = CODEC_NONE;
        rig->broker->batch_max = 150;
        rig_go(rig);
        rig_check_exact(rig);
        assert_true(rig->producer.counts.splits >= 20);
        for (uint32_t b = 0; b < rig->broker->partitions[0].batches_count; b++)
            assert_true(rig->broker->partitions[0].batches[b].length <= 150);
        assert_int_equal(rig->broker->requests[API_INIT_PRODUCER_ID], round % 2 == 0);
        rig_destroy(rig);
    }
}

/* Else a reader would be given the records of an open transaction. */
static void what_is_cut_stays_in_its_transaction(void **state)
{
    struct rig *rig = rig_create(100);

    (void)state;
    rig->config.transactional_id = STR("t");
    rig->config.batch_size = 1000;
    rig->config.linger_ms = 50;
    rig->config.codec = CODEC_NONE;
    rig->broker->batch_max = 150;
    rig_go(rig);
    assert_true(rig->producer.counts.splits > 0);
    for (uint32_t b = 0; b < rig->broker->partitions[0].batches_count; b++) {
        const struct fake_batch *stored = &rig->broker->partitions[0].batches[b];
        struct record_batch batch;

        assert_int_equal(record_batch_parse((struct bytes){stored->bytes, stored->length}, &batch),
                         RECORD_BATCH_WHOLE);
        assert_true(record_batch_is_transactional(&batch));
    }
    rig_destroy(rig);
}

static void cut_batches_keep_order_and_number_under_faults(void **state)
{
    (void)state;
    for (uint32_t nth = 1; nth < 30; nth++) {
        struct rig *rig = rig_create(120);

        rig->config.batch_size = 500;
        rig->config.linger_ms = 0;
        rig->broker->batch_max = 200;
        fake_broker_script(rig->broker, API_PRODUCE, nth,
                           nth % 2 == 0 ? FAKE_CLOSE_AFTER : FAKE_ERROR, ERR_NOT_ENOUGH_REPLICAS);
        rig_go(rig);
        rig_check_exact(rig);
        assert_true(rig->producer.counts.splits > 0);
        rig_destroy(rig);
    }
}

/* The leader took it, its answer said nothing certain, and then the limit was lowered: it knows
 * none of the parts, and no new epoch may bring them in a second time. */
static void a_batch_that_may_be_in_the_log_is_cut_without_being_written_twice(void **state)
{
    (void)state;
    for (uint32_t nth = 1; nth < 60; nth++) {
        struct rig *rig = rig_create(120);
        bool taken = nth % 2 == 0;
        uint32_t unknown = 0;

        rig->config.batch_size = 200;
        rig->config.linger_ms = 10;
        rig->config.in_flight_max = 1 + nth % 5;
        fake_broker_script(rig->broker, API_PRODUCE, nth / 6 + 1,
                           taken ? FAKE_ERROR_AFTER : FAKE_ERROR, ERR_NOT_LEADER_OR_FOLLOWER);
        fake_broker_script(rig->broker, API_PRODUCE, nth / 6 + 1 + rig->config.in_flight_max,
                           FAKE_ERROR, ERR_MESSAGE_TOO_LARGE);
        rig_go(rig);
        check_history(rig);
        for (uint32_t i = 0; i < rig->count; i++) {
            assert_int_not_equal(rig->records[i].outcome, PRODUCER_FAILED);
            if (rig->records[i].outcome == PRODUCER_UNKNOWN) unknown++;
        }
        if (!taken) rig_check_exact(rig);
        if (rig->config.in_flight_max == 1) assert_int_equal(unknown > 0, taken);
        rig_destroy(rig);
    }
}

static void the_record_that_is_too_large_alone_fails_alone(void **state)
{
    static uint8_t large[400];
    struct rig *rig = rig_create(30);

    (void)state;
    rig->config.linger_ms = 50;
    rig->config.idempotent = false;
    rig->broker->batch_max = 300;
    rig->records[10].value = (struct bytes){large, sizeof large};
    rig_go(rig);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(rig->records[i].outcome, i == 10 ? PRODUCER_FAILED : PRODUCER_ACKED);
        assert_int_equal(rig->records[i].result, i == 10 ? ERR_MESSAGE_TOO_LARGE : ERR_NONE);
    }
    rig_destroy(rig);
}

static void partitions_are_taken_in_turn_or_as_the_caller_says(void **state)
{
    struct rig *rig = rig_create(80);

    (void)state;
    rig->config.partitioning = PRODUCER_IN_TURN;
    for (uint32_t i = 0; i < 80; i++)
        rig->records[i].partition = -1;
    rig_go(rig);
    for (uint32_t p = 0; p < FAKE_PARTITIONS; p++)
        assert_int_equal(rig->broker->partitions[p].end, 80 / FAKE_PARTITIONS);
    rig_destroy(rig);
}

static int32_t by_first_letter(void *context, const struct producer_record *record,
                               uint32_t partitions)
{
    (*(uint32_t *)context)++;
    if (record->value.data[2] == '7') return (int32_t)partitions; /* out of range */
    return record->value.data[2] % 2;
}

static void a_partitioner_of_the_caller_decides(void **state)
{
    struct rig *rig = rig_create(50);
    uint32_t calls = 0;

    (void)state;
    rig->config.partitioning = PRODUCER_BY_CALLER;
    rig->config.partitioner = by_first_letter;
    rig->config.partitioner_context = &calls;
    for (uint32_t i = 0; i < 50; i++)
        rig->records[i].partition = -1;
    rig_go(rig);
    assert_true(calls >= 50);
    for (uint32_t i = 0; i < 50; i++) {
        bool refused = i % 10 == 7;

        assert_int_equal(rig->records[i].result, refused ? ERR_INVALID_PARTITIONS : ERR_NONE);
        if (!refused) assert_int_equal(rig->records[i].partition, i % 2);
    }
    rig_destroy(rig);
}

static void retries_are_limited_when_the_caller_says_so(void **state)
{
    struct rig *rig = rig_create(1);

    (void)state;
    rig->config.retries = 2;
    rig->config.idempotent = false;
    for (uint32_t nth = 1; nth <= 4; nth++)
        fake_broker_script(rig->broker, API_PRODUCE, nth, FAKE_ERROR, ERR_NOT_ENOUGH_REPLICAS);
    rig_go(rig);
    assert_int_equal(rig->broker->requests[API_PRODUCE], 3);
    assert_int_equal(rig->records[0].outcome, PRODUCER_FAILED);
    assert_int_equal(rig->records[0].result, ERR_NOT_ENOUGH_REPLICAS);
    rig_destroy(rig);
}

static void memory_is_bounded_and_those_that_wait_come_in_order(void **state)
{
    struct rig *rig = rig_create(300);

    (void)state;
    rig->config.batch_size = 100;
    rig->config.buffer_memory = 300;
    rig_go(rig);
    rig_check_exact(rig);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_arrive_in_order_with_their_offsets),
        cmocka_unit_test(many_batches_in_flight_keep_their_order),
        cmocka_unit_test(a_lost_answer_is_retried_without_a_duplicate),
        cmocka_unit_test(a_refused_batch_in_the_middle_does_not_reorder),
        cmocka_unit_test(hostile_answers_cost_a_connection_and_nothing_else),
        cmocka_unit_test(without_idempotence_order_holds_too),
        cmocka_unit_test(a_certain_refusal_is_failed_and_an_unclear_end_is_unknown),
        cmocka_unit_test(an_unknown_topic_fails_after_max_block),
        cmocka_unit_test(acks_zero_is_done_when_it_is_written),
        cmocka_unit_test(an_old_broker_is_spoken_to_in_its_versions),
        cmocka_unit_test(a_cluster_without_producer_ids_fails_at_once),
        cmocka_unit_test(a_silent_network_ends_in_unknown_after_the_delivery_timeout),
        cmocka_unit_test(a_batch_that_is_too_large_is_cut_until_it_fits),
        cmocka_unit_test(what_is_cut_stays_in_its_transaction),
        cmocka_unit_test(cut_batches_keep_order_and_number_under_faults),
        cmocka_unit_test(a_batch_that_may_be_in_the_log_is_cut_without_being_written_twice),
        cmocka_unit_test(the_record_that_is_too_large_alone_fails_alone),
        cmocka_unit_test(partitions_are_taken_in_turn_or_as_the_caller_says),
        cmocka_unit_test(a_partitioner_of_the_caller_decides),
        cmocka_unit_test(retries_are_limited_when_the_caller_says_so),
        cmocka_unit_test(memory_is_bounded_and_those_that_wait_come_in_order),
        cmocka_unit_test(random_faults_neither_lose_nor_repeat_nor_reorder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
