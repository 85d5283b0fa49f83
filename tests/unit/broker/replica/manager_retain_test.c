/* Retention, seen by who waits at a partition: when the log start has moved, a reader whose offset
 * is below it now is told at once, also while the log makes the segment that takes the old ones'
 * place. After every turn the rig asserts that no wake-up is lost. */
#include "tests/support/replica_acts.h"

enum { A };

/* Waits as a fetch does that has nothing to read. */
struct reader {
    struct op op;
    struct partition *part;
    int64_t offset;
    bool rolling; /* when it was told: the log was still at its new segment */
};

enum reader_step { READER_START, READER_TOLD };
static const char *const reader_steps[] = {"START", "TOLD"};

static enum op_result reader_run(struct op *op)
{
    struct reader *o = CONTAINER_OF(op, struct reader, op);

    switch ((enum reader_step)op->step) {
    case READER_START:
        AWAIT(o, READER_TOLD, &o->part->fetch_source, o->offset < o->part->log->log_start);
        o->rolling = !log_retain_ready(o->part->log);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a test");
}

static const struct op_kind reader_kind = {"reader", reader_steps, COUNT_OF(reader_steps),
                                           reader_run, NULL};

static bool reader_over(void *context)
{
    return !op_live(&((struct reader *)context)->op);
}

static bool has_seven(void *context)
{
    return replica_rig_part(context, A, 1)->high_watermark == 7;
}

static void append(struct replica_rig *rig, uint32_t records)
{
    replica_put(rig, A, records);
    replica_rig_run_ms(rig, 1000);
}

static void who_reads_below_the_new_log_start_is_told_while_the_log_still_rolls(void **state)
{
    struct replica_rig *rig = *state;
    struct rig_record part = {
        .kind = RIG_PARTITION, .id = 1, .topic = 1, .replicas = {1}, .isr = {1}};
    static struct reader o; /* a test that fails is left with the op in the loop */
    struct log_config *config;

    replica_rig_add(rig, &(struct rig_record){.kind = RIG_TOPIC, .topic = 1});
    replica_rig_add(rig, &part);
    replica_rig_start(rig, A);
    assert_true(replica_rig_until(rig, 20000, replica_rig_leads, rig));
    config = &replica_rig_part(rig, A, 1)->owner->config;
    append(rig, 5);
    config->segment_bytes = (uint32_t)log_size(replica_rig_part(rig, A, 1)->log);
    append(rig, 2);
    assert_true(replica_rig_until(rig, 20000, has_seven, rig));
    assert_int_equal(replica_rig_part(rig, A, 1)->log->segment_count, 2);
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_start, 0);
    o = (struct reader){.part = replica_rig_part(rig, A, 1), .offset = 4};
    op_start(&rig->machines[A].node.env.loop, &o.op, &reader_kind, READER_START);
    config->retention_ms = 1000;
    assert_true(replica_rig_until(rig, 2 * 300000, reader_over, &o));
    /* All of the log is old: its first segment goes at once, the last one when there is another. */
    assert_true(o.rolling);
    assert_int_equal(o.part->log->log_start, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(who_reads_below_the_new_log_start_is_told_while_the_log_still_rolls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
