/* What of a group's offsets is over (KIP-211, groups.md 5.4): a pure decision.
 *
 *   the group                               an offset is over
 *   classic, Empty, with a protocol type    retention after the group became Empty
 *   classic, Stable, type "consumer"        retention after its commit, if nobody subscribes to it
 *   without members ever (a simple group)   retention after its commit
 *   consumer (KIP-848)                      retention after its commit, if nobody subscribes to it
 *   any                                     its topic is deleted; its own expiry (OffsetCommit 2-4)
 *
 * A group without members of which nothing is left goes with its last offset. */
#ifndef BROKER_GROUP_GROUP_EXPIRE_H
#define BROKER_GROUP_GROUP_EXPIRE_H

#include "broker/group/consumer_group.h"
#include "broker/group/group_offsets.h"

enum { GROUP_EXPIRE_MAX = 10000 }; /* tombstones at a time; the rest the next time */

struct group_expire {
    const struct group *group;
    const struct consumer_group *consumer; /* NULL: classic */
    const struct group_offsets *offsets;
    const struct image *image;
    int64_t retention_ms;
    int64_t now_ms; /* wall */
};
/* Tombstones of offsets. True: none is left, and the group has no members: it goes too. */
bool group_expire(const struct group_expire *expire, struct group_log *log);

#endif
