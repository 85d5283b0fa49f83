/* Proves that a follower which begins inside of a batch of its leader (DeleteRecords) gets level,
 * and that one which is made the leader in the middle of that begins where its log ends. */
#include "tests/support/replica_rig.h"

#include "broker/log/log_private.h"

#include <string.h>

enum { A, B };
enum { BATCH = 10, START = 17, END = 40 };

static struct replica_rig *the_rig;

static const struct partition *part_of(uint32_t machine)
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

static void append(uint32_t machine, uint32_t records)
{
    struct partition_append one;

    assert_int_equal(ERR_NONE, replica_rig_append(the_rig, machine, 1, 1, records, &one));
    partition_append_end(&one, ERR_NONE);
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
           part->log->log_start == START;
}

static bool is_hollow(void *context)
{
    const struct partition *part = part_of(B);

    (void)context;
    return part != NULL && part->opened && part->log->state == LOG_OPEN && log_hollow(part->log);
}

static bool leads(void *context)
{
    (void)context;
    return part_of(B)->role == PARTITION_LEADER && partition_quiet(part_of(B));
}

static bool opened(void *context)
{
    (void)context;
    return part_of(B) != NULL && part_of(B)->opened;
}

/* A leads, its log begins inside of its second batch; B is about to start with nothing. */
static void prepare(struct replica_rig *rig)
{
    the_rig = rig;
    add_topic();
    replica_rig_start(rig, A);
    replica_rig_start(rig, RIG_CONTROLLER);
    assert_true(replica_rig_until(rig, 20000, replica_rig_leads, rig));
    for (uint32_t i = 0; i < END / BATCH; i++)
        append(A, BATCH);
    assert_true(replica_rig_until(rig, 20000, leader_has_all, NULL));
    log_raise_start(part_of(A)->log, START);
}

static void a_follower_takes_the_batch_that_holds_its_start(void **state)
{
    prepare(*state);
    replica_rig_start(the_rig, B);
    assert_true(replica_rig_until(the_rig, 20000, level, NULL));
    assert_int_equal(BATCH, part_of(B)->log->segments[0]->base);
}

static void one_that_is_to_lead_before_begins_at_its_end(void **state)
{
    struct rig_record lead = {.kind = RIG_CHANGE, .id = 2, .topic = 1, .isr = {2}};

    prepare(*state);
    replica_rig_start(the_rig, B);
    assert_true(replica_rig_until(the_rig, 20000, is_hollow, NULL));
    assert_int_equal(START, part_of(B)->log->log_end);
    replica_rig_add(the_rig, &lead);
    replica_rig_publish(the_rig, B);
    assert_true(replica_rig_until(the_rig, 20000, leads, NULL));
    assert_false(log_hollow(part_of(B)->log));
    assert_int_equal(START, part_of(B)->log->log_start);
    assert_int_equal(START, part_of(B)->leader_epoch_start);
    append(B, 3);
    replica_rig_run_ms(the_rig, 1000);
    replica_rig_kill(the_rig, B, false);
    replica_rig_start(the_rig, B);
    assert_true(replica_rig_until(the_rig, 20000, opened, NULL));
    assert_int_equal(START, part_of(B)->log->log_start);
    assert_int_equal(START + 3, part_of(B)->log->log_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_follower_takes_the_batch_that_holds_its_start),
        WITH_RIG(one_that_is_to_lead_before_begins_at_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
