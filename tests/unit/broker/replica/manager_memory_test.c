/* What refused memory does to a broker's replicas: one that could not be begun keeps what it has on
 * disk, ends the start of the broker, and is tried again while the broker runs. */
#include "tests/support/replica_acts.h"

enum { A };

static void add_topic(struct replica_rig *rig)
{
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_TOPIC, .topic = 1});
    replica_rig_add(
        rig, &(struct rig_record){
                 .kind = RIG_PARTITION, .id = 1, .topic = 1, .replicas = {1, 2}, .isr = {1, 2}});
}

static void publish_refused(struct replica_rig *rig)
{
    rig->machines[A].refused_at = 1;
    replica_rig_publish(rig, A);
    rig->machines[A].refused_at = 0;
}

static bool follows(void *context)
{
    return replica_rig_part(context, A, 1)->role == PARTITION_FOLLOWER;
}

/* It is not for that a directory of nobody, to be put aside. */
static void a_replica_that_found_no_memory_at_the_start_keeps_its_log(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig);
    replica_rig_start(rig, A);
    replica_put(rig, A, 3);
    replica_rig_run_ms(rig, 1000);
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_end, 3);
    replica_rig_stop(rig, A);

    rig->machines[A].refused_at = 1;
    replica_rig_start(rig, A);
    assert_null(replica_rig_part(rig, A, 1));
    replica_rig_run_ms(rig, 1000);
    replica_rig_stop(rig, A);

    rig->machines[A].refused_at = 0;
    replica_rig_start(rig, A);
    assert_int_equal(replica_rig_part(rig, A, 1)->log->log_end, 3);
}

static void after_a_start_without_memory_nothing_is_begun(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig);
    rig->machines[A].refused_at = 1;
    replica_rig_start(rig, A);
    rig->machines[A].refused_at = 0;
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_CHANGE, .id = 2, .topic = 1});
    replica_rig_publish(rig, A);
    replica_rig_run_ms(rig, 20000);
    assert_null(replica_rig_part(rig, A, 1));
}

static void a_replica_that_found_no_memory_is_begun_later(void **state)
{
    struct replica_rig *rig = *state;

    replica_rig_start(rig, A);
    add_topic(rig);
    publish_refused(rig);
    assert_null(replica_rig_part(rig, A, 1));
    assert_true(replica_rig_until(rig, 20000, replica_rig_leads, rig));
}

static void a_change_that_found_no_memory_is_taken_later(void **state)
{
    struct replica_rig *rig = *state;

    add_topic(rig);
    replica_rig_start(rig, A);
    assert_true(replica_rig_until(rig, 20000, replica_rig_leads, rig));
    replica_rig_add(rig, &(struct rig_record){.kind = RIG_CHANGE, .id = 2, .topic = 1});
    publish_refused(rig);
    assert_int_equal(replica_rig_part(rig, A, 1)->leader, 1);
    assert_true(replica_rig_until(rig, 20000, follows, rig));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_replica_that_found_no_memory_at_the_start_keeps_its_log),
        WITH_RIG(after_a_start_without_memory_nothing_is_begun),
        WITH_RIG(a_replica_that_found_no_memory_is_begun_later),
        WITH_RIG(a_change_that_found_no_memory_is_taken_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
