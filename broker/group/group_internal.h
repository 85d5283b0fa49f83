/* Between the files of one group's state machine. */
#ifndef BROKER_GROUP_GROUP_INTERNAL_H
#define BROKER_GROUP_GROUP_INTERNAL_H

#include "broker/group/group.h"

static inline struct group_member *group_member_of(struct map_node *node)
{
    return MAP_ENTRY(node, struct group_member, node);
}
static inline uint32_t group_size(const struct group *group)
{
    return group->members.count;
}

/* ---- group.c */
void group_set(struct group *group, enum group_state state, struct instant now);
void group_answer(struct group_call **call, enum err err, struct group_effects *effects);
/* Session of a member that waits for nothing. */
void group_restart_session(struct group_member *member, struct instant now);
/* ERR_NONE with *member; UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID. */
MUST_USE enum err group_validate(const struct group *group, struct str member_id,
                                 struct str instance_id, struct group_member **member);
MUST_USE enum err group_copy(struct mem *mem, struct str from, struct str *to);
void group_drop(struct mem *mem, struct str *owned);
uint64_t group_ask(struct group *group, enum group_write write, struct group_effects *effects);

/* ---- group_member.c */
/* In the group; the first one fixes the protocol type and leads. */
MUST_USE enum err group_member_add(struct group *group, const struct group_join *join,
                                   struct str id, struct group_member **member);
MUST_USE enum err group_member_update(struct group *group, struct group_member *member,
                                      const struct group_join *join);
/* Answers what waits with `err`; another leader is picked. */
void group_member_remove(struct group *group, struct group_member *member, enum err err,
                         struct group_effects *effects);
MUST_USE enum err group_member_assign(struct group *group, struct bytes *place, struct bytes value);
void group_member_unassign(struct group *group, struct bytes *place);
bool group_member_supports(const struct group_member *member, struct str protocol);
bool group_member_same_protocols(const struct group_member *member, const struct group_join *join);
MUST_USE enum err group_pending_add(struct group *group, struct str id, int64_t deadline_ns);
struct group_pending *group_pending_find(const struct group *group, struct str id);
void group_pending_drop(struct group *group, struct group_pending *pending);
/* The name most members vote for; ties as the leader prefers. data NULL: no common one. */
struct str group_vote(const struct group *group);

/* ---- group_trace.c */
/* The partitions of every member, when a generation is STABLE. */
void group_trace_owned(const struct group *group);

/* ---- group_join.c */
/* A member is new, changed or gone. */
void group_rebalance(struct group *group, struct instant now, struct group_effects *effects);
void group_join_answer(struct group *group, struct group_member *member, struct group_call *call);
void group_complete(struct group *group, struct instant now, struct group_effects *effects);

#endif
