/* Proves that a follower whom the leaders' quota held back goes on as soon as the mean has come
 * down, and does not wait out its fetch (KIP-73); and that what waits for it waits on a latch. */
#include "tests/support/replica_acts.h"

#include <string.h>

enum { A, B };

static void add_topic(struct replica_rig *rig)
{
    struct rig_record part = {.kind = RIG_PARTITION, .id = 1, .topic = 1};

    replica_rig_add(rig, &(struct rig_record){.kind = RIG_TOPIC, .topic = 1});
    memcpy(part.replicas, (int32_t[]){1, 2}, 2 * sizeof(int32_t));
    part.isr[0] = 1;
    replica_rig_add(rig, &part);
}

static bool copied(void *context)
{
    const struct partition *part = replica_rig_part(context, B, 1);

    return part != NULL && part->log != NULL &&
           part->log->log_end == replica_rig_part(context, A, 1)->log->log_end;
}

static void who_was_held_back_goes_on_when_the_quota_is_free(void **state)
{
    struct replica_rig *rig = *state;
    struct manager *leaders = &rig->machines[A].node.replicas;
    uint64_t bytes;

    add_topic(rig);
    replica_rig_start(rig, A);
    assert_true(replica_rig_until(rig, 20000, replica_rig_leads, rig));
    replica_rig_config(rig, A, "leader.replication.throttled.replicas", "*");
    for (uint32_t i = 0; i < 60; i++)
        replica_put(rig, A, 1);
    replica_rig_run_ms(rig, 100);
    bytes = log_size(replica_rig_part(rig, A, 1)->log);
    /* Five seconds' worth, in pieces of a second's, asked for by fetches that wait a minute. */
    leaders->leader_quota.rate = (int64_t)bytes / 5;
    rig->machines[B].node.config.replica_fetch_wait_max_ms = 60000;
    rig->machines[B].node.config.replica_fetch_max_bytes = (int64_t)bytes / 5;
    replica_rig_start(rig, B);
    rig->machines[B].node.config.replica_fetch_wait_max_ms = 60000;
    rig->machines[B].node.config.replica_fetch_max_bytes = (int64_t)bytes / 5;
    replica_rig_run_ms(rig, 2500);
    assert_true(leaders->leader_held);
    assert_true(rig->traced[TRACE_REPLICA_THROTTLED] > 0);
    assert_false(copied(rig));
    assert_true(replica_rig_until(rig, 5000, copied, rig));
    replica_rig_run_ms(rig, 12000);
    assert_false(leaders->leader_held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(who_was_held_back_goes_on_when_the_quota_is_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
