/* The assignor "uniform" of KIP-848 (groups.md 8.8): everybody as many as everybody else, and as
 * little as possible changes hands. Kafka walks hash maps, so which member gets a partition is not
 * specified, only balance and stickiness are; here everything goes by member id, topic name and
 * partition, so that the result is one.
 *
 * All subscribe to the same: member i keeps what it has up to total / members, the first ones (of
 * those that have more, before those that have not) one more while some are over; the rest fills
 * up in order. Otherwise: topics with the most partitions a subscriber first, each free partition
 * to the subscriber that has least; then, up to 16 times, from who has most, of those that have
 * some of the topic, to the subscriber that has least, while they differ by more than one. */
#ifndef BROKER_GROUP_UNIFORM_H
#define BROKER_GROUP_UNIFORM_H

#include "client/assignor.h"

/* `owned` is the target until now. Members in ascending order of id. ERR_NO_MEMORY. */
MUST_USE enum err uniform_run(struct assignor_task *task);

#endif
