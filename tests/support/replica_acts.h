/* What tests of replication say to a replica_rig: a topic of three replicas, a new leader, records,
 * and what to wait for. Where no topic is named it is topic 1. */
#ifndef TESTS_SUPPORT_REPLICA_ACTS_H
#define TESTS_SUPPORT_REPLICA_ACTS_H

#include "tests/support/replica_rig.h"

/* On machines 1, 2 and 3; in sync are all of them, or only its leader. */
void replica_topic(struct replica_rig *rig, uint8_t topic, int32_t leader, bool all_in_sync);
void replica_start_all(struct replica_rig *rig);
/* Not published yet. `leader` -2: no other one; `isr` ends with 0, NULL: as it was. */
void replica_change(struct replica_rig *rig, uint8_t topic, int32_t leader, const int32_t *isr);

/* With acks=1, and nobody waits for what comes of it. */
void replica_put(struct replica_rig *rig, uint32_t machine, uint32_t records);

/* Until the high watermark is there, the log ends there and is quiet, the replica has the role:
 * within 20 seconds, or the test fails. */
void replica_await_hw(struct replica_rig *rig, uint32_t machine, int64_t offset);
void replica_await_end(struct replica_rig *rig, uint32_t machine, int64_t offset);
void replica_await_role(struct replica_rig *rig, uint32_t machine, enum partition_role role);

#endif
