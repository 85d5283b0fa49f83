/* Who of a group gets which partition: the assignors of the classic protocol, with results equal to
 * those of the Java client (groups.md 9; golden vectors in 9.6). Pure: input, arena, result.
 *
 *   range               per topic, contiguous blocks, by member order
 *   roundrobin          all partitions in turn over all members
 *   sticky              balanced, and as little as possible changes hands
 *   cooperative-sticky  the same, but what changes hands is left out for one round: its owner gives
 *                       it up first, the next rebalance hands it out (KIP-429)
 *
 * Racks (KIP-881): where some member has one, and the replicas of partitions are not in the same
 * racks throughout, range and the sticky ones first give partitions to members in one of their
 * racks, and then, as the balance demands, the rest. roundrobin takes no notice, as in Java. */
#ifndef CLIENT_ASSIGNOR_H
#define CLIENT_ASSIGNOR_H

#include "client/base/arena.h"
#include "client/base/bytes.h"
#include "client/base/err.h"

enum assignor {
    ASSIGNOR_RANGE,
    ASSIGNOR_ROUNDROBIN,
    ASSIGNOR_STICKY,
    ASSIGNOR_COOPERATIVE_STICKY,
};
enum { ASSIGNORS = ASSIGNOR_COOPERATIVE_STICKY + 1 };

/* A rack is a bit. */
#define ASSIGNOR_RACK_ELSEWHERE (UINT64_C(1) << 63) /* one where no broker is */

struct str assignor_name(enum assignor assignor);
bool assignor_find(struct str name, enum assignor *assignor);

/* In ascending order of name, each once: an index compares like its name. */
struct assignor_topic {
    struct str name;
    uint32_t partitions;   /* 0: not known */
    const uint64_t *racks; /* of each partition; NULL: not known */
};

/* By halves. True with *index. */
bool assignor_topic_find(const struct assignor_topic *topics, uint32_t count, struct str name,
                         uint32_t *index);

struct assignor_partition {
    uint32_t topic; /* index */
    int32_t index;
};

struct assignor_member {
    struct str id;
    struct str instance_id; /* data NULL: none */
    uint64_t rack;          /* its bit; 0: none */
    const uint32_t *topics; /* subscribed; each once */
    uint32_t topics_count;
    const struct assignor_partition *owned; /* what it says it has (the sticky ones) */
    uint32_t owned_count;
    int32_t generation; /* in which it got them; -1: none */
    /* out, from the arena */
    struct assignor_partition *assigned;
    uint32_t assigned_count;
};

struct assignor_task {
    enum assignor assignor;
    const struct assignor_topic *topics;
    uint32_t topics_count;
    struct assignor_member *members;
    uint32_t members_count;
    int32_t max_generation; /* in and out: the highest ever seen; -1 at first */
    struct arena *arena;
};

/* Fills `assigned` of every member. ERR_NO_MEMORY. */
MUST_USE enum err assignor_run(struct assignor_task *task);

/* ---- for assignor_*.c ---- */

/* Partitions by number: those of topic t are base[t] .. base[t + 1] - 1. */
struct assignor_plan {
    struct assignor_task *task;
    uint32_t *base;     /* topics_count + 1 */
    uint32_t total;     /* of all topics that somebody subscribes to, and the others */
    uint32_t *topic_of; /* of a partition number */
    bool *wanted;       /* members_count x topics_count */
    int32_t *owner;     /* of a partition number: member index or -1: the result */
    uint32_t *order;    /* sequence in which a member got them: results come in that order */
    uint32_t given;     /* so far */
    uint32_t *counts;   /* of a member */
    bool *withheld;     /* cooperative: changes hands, so nobody gets it now */
    uint64_t *racks;    /* of a partition number; NULL: they make no difference */
};
static inline bool assignor_wants(const struct assignor_plan *plan, uint32_t member, uint32_t topic)
{
    return plan->wanted[(size_t)member * plan->task->topics_count + topic];
}
/* A member without a rack is near to everything. */
static inline bool assignor_near(const struct assignor_plan *plan, uint32_t member,
                                 uint32_t partition)
{
    uint64_t rack = plan->racks != NULL ? plan->task->members[member].rack : 0;

    return rack == 0 || (rack & plan->racks[partition]) != 0;
}
/* Whether racks make a difference for partitions [first, end) and members in these racks. */
bool assignor_racks_matter(const struct assignor_plan *plan, uint32_t first, uint32_t end,
                           uint64_t members);
void assignor_give(struct assignor_plan *plan, uint32_t partition, uint32_t member);
void assignor_take(struct assignor_plan *plan, uint32_t partition);
/* Sorts indexes with a total order. */
void assignor_sort(uint32_t *indexes, uint32_t count,
                   bool (*before)(const struct assignor_plan *plan, uint32_t a, uint32_t b),
                   const struct assignor_plan *plan);
bool assignor_by_id(const struct assignor_plan *plan, uint32_t a, uint32_t b);

/* `sorted`: members in their order (groups.md 9.2). */
MUST_USE enum err assignor_range(struct assignor_plan *plan, const uint32_t *sorted);
MUST_USE enum err assignor_sticky(struct assignor_plan *plan);
/* What members own after conflicting claims are settled: claims[partition], -1 nobody. */
MUST_USE enum err assignor_general(struct assignor_plan *plan, const int32_t *claims);

#endif
