/* Proves that a follower which begins where its leader's log does, since what it lacks is deleted,
 * is told who wrote that, and as a leader takes no retry of it as new; also one that began inside
 * of a batch, and one that lost its power as an empty log. */
#include "tests/support/replica_rig.h"

#include "broker/log/log_private.h"
#include "client/wire/record_builder.h"

#include <string.h>

enum { A, B };
enum { BATCH = 10, END = 40, PRODUCER = 77 };

static struct replica_rig *the_rig;
static int64_t the_start;

static struct partition *part_of(uint32_t machine)
{
    return replica_rig_part(the_rig, machine, 1);
}

static void add_topic(void)
{
    struct rig_record part = {.kind = RIG_PARTITION, .id = 1, .topic = 1};

    replica_rig_add(the_rig, &(struct rig_record){.kind = RIG_TOPIC, .topic = 1});
    memcpy(part.replicas, (int32_t[]){1, 2}, 2 * sizeof(int32_t));
    part.isr[0] = 1;
    replica_rig_add(the_rig, &part);
}

static struct partition_append append(uint32_t machine, int64_t producer, int32_t sequence)
{
    struct env *env = &the_rig->machines[machine].node.env;
    struct record_builder_config config = record_builder_config_default(env->world->cpu);
    struct buf *buf = buf_take(&env->payload, 1024, true);
    struct record_builder builder;
    struct partition_append one;

    assert_non_null(buf);
    config.producer_id = producer;
    config.producer_epoch = 0;
    config.base_sequence = sequence;
    env->now = sim_node_now(the_rig->machines[machine].world);
    record_builder_init(&builder, &config, buf->data, 1024);
    for (uint32_t i = 0; i < BATCH; i++)
        assert_int_equal(ERR_NONE,
                         record_builder_append(&builder, 1000, BYTES_NULL,
                                               (struct bytes){(const uint8_t *)"x", 1}, NULL, 0));
    assert_int_equal(ERR_NONE,
                     partition_append(part_of(machine), buf, record_builder_finish(&builder), 1,
                                      LOG_CLIENT, &one));
    buf_unref(buf);
    partition_append_end(&one, ERR_NONE);
    return one;
}

static bool leader_has_all(void *context)
{
    (void)context;
    return part_of(A)->high_watermark == END;
}

static bool level(void *context)
{
    const struct partition *part = part_of(B);

    (void)context;
    return part != NULL && part->opened && part->high_watermark == END && partition_quiet(part) &&
           part->log->log_start == the_start;
}

static bool leads(void *context)
{
    (void)context;
    return part_of(B) != NULL && part_of(B)->role == PARTITION_LEADER &&
           partition_quiet(part_of(B));
}

static bool in_sync(void *context)
{
    (void)context;
    return part_of(A)->isr.committed != 0 && part_of(A)->isr.state == ISR_COMMITTED &&
           isr_size(part_of(A)->isr.committed) == 2;
}

/* A has four batches of one producer, its log begins at `start`, and B is level with it. */
static void prepare(struct replica_rig *rig, int64_t start)
{
    the_rig = rig;
    the_start = start;
    add_topic();
    replica_rig_start(rig, A);
    replica_rig_start(rig, RIG_CONTROLLER);
    assert_true(replica_rig_until(rig, 20000, replica_rig_leads, rig));
    for (int32_t i = 0; i < END / BATCH; i++)
        (void)append(A, PRODUCER, i * BATCH);
    assert_true(replica_rig_until(rig, 20000, leader_has_all, rig));
    log_raise_start(part_of(A)->log, start); /* while B is away */
    replica_rig_start(rig, B);
    assert_true(replica_rig_until(rig, 20000, level, rig));
    assert_true(replica_rig_until(rig, 20000, in_sync, rig));
}

/* B leads: each of the batches is asked for again. */
static void judge(struct replica_rig *rig)
{
    struct partition_append one;

    replica_rig_add(rig, &(struct rig_record){.kind = RIG_CHANGE, .id = 2, .topic = 1});
    replica_rig_publish_all(rig);
    assert_true(replica_rig_until(rig, 20000, leads, rig));
    for (int32_t i = 0; i < END / BATCH; i++) {
        one = append(B, PRODUCER, i * BATCH);
        assert_true(one.append.duplicate);
        assert_int_equal(i * BATCH, one.append.base_offset);
    }
    assert_int_equal(END, part_of(B)->log->log_end);
    one = append(B, PRODUCER, END);
    assert_false(one.append.duplicate);
    assert_int_equal(END, one.append.base_offset);
    replica_rig_run_ms(rig, 500);
}

static void a_retry_of_what_it_never_had_is_known(void **state)
{
    prepare(*state, END);
    judge(*state);
}

static void also_of_what_ends_below_a_start_inside_of_a_batch(void **state)
{
    prepare(*state, 17);
    judge(*state);
}

static void also_after_a_power_loss_of_the_empty_log(void **state)
{
    struct replica_rig *rig = *state;

    prepare(rig, END);
    replica_rig_kill(rig, B, true);
    replica_rig_start(rig, B);
    assert_true(replica_rig_until(rig, 20000, level, rig));
    judge(rig);
}

static bool b_opened(void *context)
{
    (void)context;
    return part_of(B) != NULL && part_of(B)->opened && part_of(B)->role == PARTITION_FOLLOWER;
}

/* Where the leader's log is already, and nothing is refused: it asks for that alone. */
static void who_lost_them_with_its_log_asks_again(void **state)
{
    struct replica_rig *rig = *state;

    prepare(rig, END);
    replica_rig_stop(rig, B);
    replica_rig_start(rig, B);
    assert_true(replica_rig_until(rig, 20000, b_opened, rig));
    /* As after a crash within a reset: an empty log, and no snapshot. */
    log_producers_clear(&part_of(B)->log->producers);
    part_of(B)->log->stranger = true;
    assert_true(log_stranger(part_of(B)->log));
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_CHANGE, .id = 1, .topic = 1});
    replica_rig_publish_all(rig);
    replica_rig_run_ms(rig, 3000);
    assert_false(log_stranger(part_of(B)->log));
    assert_int_equal(END, part_of(B)->log->log_end);
    judge(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_retry_of_what_it_never_had_is_known),
        WITH_RIG(also_of_what_ends_below_a_start_inside_of_a_batch),
        WITH_RIG(also_after_a_power_loss_of_the_empty_log),
        WITH_RIG(who_lost_them_with_its_log_asks_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
