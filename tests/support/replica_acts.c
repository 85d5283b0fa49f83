#include "tests/support/replica_acts.h"

#include <string.h>

void replica_topic(struct replica_rig *rig, uint8_t topic, int32_t leader, bool all_in_sync)
{
    struct rig_record part = {.kind = RIG_PARTITION, .id = leader, .topic = topic};

    replica_rig_add(rig, &(struct rig_record){.kind = RIG_TOPIC, .topic = topic});
    memcpy(part.replicas, (int32_t[]){1, 2, 3}, 3 * sizeof(int32_t));
    if (all_in_sync) {
        memcpy(part.isr, part.replicas, sizeof part.isr);
    } else {
        part.isr[0] = leader;
    }
    replica_rig_add(rig, &part);
}

void replica_start_all(struct replica_rig *rig)
{
    for (uint32_t i = 0; i < RIG_MACHINES; i++)
        replica_rig_start(rig, i);
}

void replica_change(struct replica_rig *rig, uint8_t topic, int32_t leader, const int32_t *isr)
{
    struct rig_record record = {.kind = RIG_CHANGE, .id = leader, .topic = topic};

    for (uint32_t i = 0; isr != NULL && isr[i] != 0; i++) {
        record.isr[i] = isr[i];
    }
    replica_rig_add(rig, &record);
}

struct wait {
    struct replica_rig *rig;
    uint32_t machine;
    int64_t offset;
    enum partition_role role;
};

static bool hw_reached(void *context)
{
    const struct wait *w = context;
    const struct partition *part = replica_rig_part(w->rig, w->machine, 1);

    return part != NULL && part->opened && part->high_watermark >= w->offset;
}

static bool end_is(void *context)
{
    const struct wait *w = context;
    const struct partition *part = replica_rig_part(w->rig, w->machine, 1);

    return part != NULL && part->log != NULL && part->opened && part->log->log_end == w->offset &&
           partition_quiet(part);
}

static bool has_role(void *context)
{
    const struct wait *w = context;
    const struct partition *part = replica_rig_part(w->rig, w->machine, 1);

    return part != NULL && part->role == w->role;
}

void replica_await_hw(struct replica_rig *rig, uint32_t machine, int64_t offset)
{
    struct wait w = {rig, machine, offset, PARTITION_NONE};

    if (!replica_rig_until(rig, 20000, hw_reached, &w)) {
        const struct partition *part = replica_rig_part(rig, machine, 1);

        fail_msg("hw %lld of %u, wanted %lld", (long long)part->high_watermark, machine,
                 (long long)offset);
    }
}

void replica_await_end(struct replica_rig *rig, uint32_t machine, int64_t offset)
{
    struct wait w = {rig, machine, offset, PARTITION_NONE};

    if (!replica_rig_until(rig, 20000, end_is, &w)) {
        const struct partition *part = replica_rig_part(rig, machine, 1);

        fail_msg("end %lld of %u, wanted %lld", (long long)part->log->log_end, machine,
                 (long long)offset);
    }
}

void replica_await_role(struct replica_rig *rig, uint32_t machine, enum partition_role role)
{
    struct wait w = {rig, machine, 0, role};

    assert_true(replica_rig_until(rig, 20000, has_role, &w));
}

void replica_put(struct replica_rig *rig, uint32_t machine, uint32_t records)
{
    struct partition_append append;

    assert_int_equal(replica_rig_append(rig, machine, 1, 1, records, &append), ERR_NONE);
    partition_append_end(&append, ERR_NONE);
}
