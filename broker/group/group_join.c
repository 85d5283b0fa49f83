/* JoinGroup and the rebalance: from the first join to the new generation (groups.md 4.2 to 4.5, 4.9
 * for static members). */
#include "broker/group/group_internal.h"

#include <string.h>

static int64_t after(struct instant now, int64_t ms)
{
    return mono_add_ms(now.mono, ms).ns;
}

static int64_t rebalance_timeout_ms(const struct group *group)
{
    int64_t most = 0;

    MAP_FOR_EACH (node, &group->members) {
        int64_t ms = group_member_of(node)->rebalance_timeout_ms;

        if (ms > most) most = ms;
    }
    return most;
}

/* ---- answers --------------------------------------------------------------------------------- */

static struct str keep(struct arena *arena, struct str from, bool *failed)
{
    char *to;

    if (from.data == NULL) return STR_NULL;
    to = arena_alloc(arena, from.length);
    if (to == NULL) {
        *failed = true;
        return STR("");
    }
    if (from.length > 0) memcpy(to, from.data, from.length);
    return (struct str){to, from.length};
}

static void list_members(struct group *group, struct group_call *call, bool *failed)
{
    call->members =
        arena_zalloc(call->arena, (group_size(group) + 1) * sizeof(struct group_listed));
    if (call->members == NULL) {
        *failed = true;
        return;
    }
    MAP_FOR_EACH (node, &group->members) {
        const struct group_member *member = group_member_of(node);
        struct group_listed *listed = &call->members[call->members_count++];
        struct bytes metadata = group_subscription(group, member);
        struct str view =
            keep(call->arena, (struct str){(const char *)metadata.data, metadata.length}, failed);

        listed->id = keep(call->arena, member->id, failed);
        listed->instance_id = keep(call->arena, member->instance_id, failed);
        listed->metadata = (struct bytes){(const uint8_t *)view.data, view.length};
    }
}

/* The present generation, as this member is told of it. */
void group_join_answer(struct group *group, struct group_member *member, struct group_call *call)
{
    bool failed = false;

    call->err = ERR_NONE;
    call->generation = group->generation;
    call->protocol_type = keep(call->arena, group->protocol_type, &failed);
    call->protocol_name = keep(call->arena, group->protocol, &failed);
    call->leader = keep(call->arena, group->leader->id, &failed);
    call->member_id = keep(call->arena, member->id, &failed);
    if (group->leader == member) list_members(group, call, &failed);
    /* Its memory is used up: it may ask again. */
    if (failed) call->err = ERR_COORDINATOR_NOT_AVAILABLE;
}

static void refuse(const struct group_join *join, enum err err, struct group_effects *effects)
{
    struct group_call *call = join->call;

    call->member_id = err == ERR_GROUP_MAX_SIZE_REACHED ? STR("") : join->member_id;
    group_answer(&call, err, effects);
}

static void park(struct group_member *member, struct group_call *call,
                 struct group_effects *effects)
{
    /* An older one of a client that asked again. */
    group_answer(&member->join, ERR_REBALANCE_IN_PROGRESS, effects);
    member->join = call;
}

/* ---- the rebalance --------------------------------------------------------------------------- */

/* 4.5: the join phase is over. */
static void remove_missing(struct group *group, struct group_effects *effects)
{
    MAP_FOR_EACH_SAFE (node, next, &group->members) {
        struct group_member *member = group_member_of(node);

        if (member->join == NULL && member->instance_id.data == NULL)
            group_member_remove(group, member, ERR_UNKNOWN_MEMBER_ID, effects);
    }
}

/* A leader that joined; false: nobody did. */
static bool elect_leader(struct group *group)
{
    if (group->leader != NULL && group->leader->join != NULL) return true;
    MAP_FOR_EACH (node, &group->members) {
        if (group_member_of(node)->join != NULL) {
            group->leader = group_member_of(node);
            return true;
        }
    }
    return false;
}

static void answer_joins(struct group *group, struct instant now, struct group_effects *effects)
{
    MAP_FOR_EACH (node, &group->members) {
        struct group_member *member = group_member_of(node);

        member->is_new = false;
        member->pending_sync = true;
        group_restart_session(member, now);
        if (member->join == NULL) continue;
        group_join_answer(group, member, member->join);
        group_answer(&member->join, member->join->err, effects);
    }
}

void group_complete(struct group *group, struct instant now, struct group_effects *effects)
{
    struct str protocol;

    ASSERT(group->state == GROUP_PREPARING);
    remove_missing(group, effects);
    if (group_size(group) > 0 && !elect_leader(group)) {
        /* Static members only, and none of them came: they are waited for. */
        group->initial = false;
        group->join_deadline_ns = after(now, rebalance_timeout_ms(group));
        return;
    }
    group->initial = false;
    group->join_deadline_ns = INT64_MAX;
    group->generation = group->generation == INT32_MAX ? 1 : group->generation + 1;
    group_drop(group->mem, &group->protocol);
    if (group_size(group) == 0) {
        group_set(group, GROUP_EMPTY, now);
        group_ask(group, GROUP_WRITE_EMPTY, effects);
        return;
    }
    protocol = group_vote(group);
    if (protocol.data == NULL || group_copy(group->mem, protocol, &group->protocol) != ERR_NONE) {
        /* No memory for a word: the phase goes on, a member asks again. */
        group->join_deadline_ns = after(now, 1000);
        return;
    }
    group_set(group, GROUP_COMPLETING, now);
    group->sync_deadline_ns = after(now, rebalance_timeout_ms(group));
    answer_joins(group, now, effects);
}

static void maybe_complete(struct group *group, struct instant now, struct group_effects *effects)
{
    if (group->state != GROUP_PREPARING || group->initial || group->pending_count > 0) return;
    MAP_FOR_EACH (node, &group->members)
        if (group_member_of(node)->join == NULL) return;
    group_complete(group, now, effects);
}

/* 4.4. */
static void prepare(struct group *group, struct instant now, struct group_effects *effects)
{
    int64_t timeout = rebalance_timeout_ms(group);

    if (group->state == GROUP_COMPLETING) {
        /* Kafka clears the assignments here. They stay, as what members may still have: a group
         * that becomes one of KIP-848 takes them over. */
        MAP_FOR_EACH (node, &group->members)
            group_answer(&group_member_of(node)->sync, ERR_REBALANCE_IN_PROGRESS, effects);
    }
    /* What is being appended is of a generation that has passed. */
    group->syncing = false;
    MAP_FOR_EACH (node, &group->members) {
        group_member_unassign(group, &group_member_of(node)->proposed);
        group_member_of(node)->pending_sync = false;
    }
    group->sync_deadline_ns = INT64_MAX;
    if (group->state == GROUP_EMPTY) {
        int64_t delay = group->config->initial_delay_ms;

        group->initial = true;
        group->new_member = false;
        group->remaining_ms = timeout > delay ? timeout - delay : 0;
        group->join_deadline_ns = after(now, delay);
    } else {
        group->initial = false;
        group->join_deadline_ns = after(now, timeout);
    }
    group_set(group, GROUP_PREPARING, now);
}

void group_rebalance(struct group *group, struct instant now, struct group_effects *effects)
{
    switch (group->state) {
    case GROUP_STABLE:
    case GROUP_COMPLETING:
    case GROUP_EMPTY:
        prepare(group, now, effects);
        maybe_complete(group, now, effects);
        return;
    case GROUP_PREPARING: maybe_complete(group, now, effects); return;
    case GROUP_DEAD: return;
    }
}

/* ---- joins ----------------------------------------------------------------------------------- */

static uint32_t awaiting(const struct group *group)
{
    uint32_t count = 0;

    MAP_FOR_EACH (node, &group->members)
        count += group_member_of(node)->join != NULL ? 1 : 0;
    return count;
}

static bool has_room(const struct group *group, const struct group_join *join)
{
    const struct group_member *member = group_find(group, join->member_id);

    switch (group->state) {
    case GROUP_EMPTY:
    case GROUP_DEAD: return true;
    case GROUP_PREPARING:
        return (member != NULL && member->join != NULL) ||
               (int64_t)awaiting(group) < group->config->max_size;
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        return member != NULL || (int64_t)group_size(group) < group->config->max_size;
    }
    IMPOSSIBLE("state of a group");
}

static bool protocols_fit(const struct group *group, const struct group_join *join)
{
    if (group_size(group) == 0) {
        return join->protocols_count > 0 && join->protocol_type.length > 0;
    }
    if (!str_equal(group->protocol_type, join->protocol_type)) return false;
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        bool all = true;

        MAP_FOR_EACH (node, &group->members)
            all = all && group_member_supports(group_member_of(node), join->protocols[i].name);
        if (all) return true;
    }
    return false;
}

static char *put_hex(char *at, const uint8_t *bytes, uint32_t count)
{
    static const char digits[] = "0123456789abcdef";

    for (uint32_t i = 0; i < count; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

/* "client-0189fe.." as Kafka makes them; in the memory of the call. */
static struct str make_id(const struct group_join *join)
{
    struct str prefix = join->instance_id.data != NULL ? join->instance_id : join->client_id;
    uint32_t length = prefix.length + 1 + GROUP_UUID_TEXT;
    char *id = length > INT16_MAX ? NULL : arena_alloc(join->call->arena, length);
    const uint8_t *uuid = join->fresh.bytes;
    char *at;

    if (id == NULL) return STR_NULL;
    if (prefix.length > 0) memcpy(id, prefix.data, prefix.length);
    at = id + prefix.length;
    *at++ = '-';
    at = put_hex(at, uuid, 4);
    for (uint32_t i = 4; i < 10; i += 2) {
        *at++ = '-';
        at = put_hex(at, uuid + i, 2);
    }
    *at++ = '-';
    put_hex(at, uuid + 10, 6);
    return (struct str){id, length};
}

static void add(struct group *group, const struct group_join *join, struct str id,
                struct instant now, struct group_effects *effects)
{
    struct group_member *member;
    bool first = group_size(group) == 0;

    if (first) {
        struct str type;

        if (group_copy(group->mem, join->protocol_type, &type) != ERR_NONE) {
            refuse(join, ERR_COORDINATOR_NOT_AVAILABLE, effects);
            return;
        }
        group_drop(group->mem, &group->protocol_type);
        group->protocol_type = type;
    }
    if (group_member_add(group, join, id, &member) != ERR_NONE) {
        refuse(join, ERR_COORDINATOR_NOT_AVAILABLE, effects);
        return;
    }
    member->is_new = true;
    member->deadline_ns = after(now, GROUP_NEW_MEMBER_MS);
    if (group->state == GROUP_PREPARING && group->initial) group->new_member = true;
    park(member, join->call, effects);
    group_rebalance(group, now, effects);
}

static void update_and_rebalance(struct group *group, struct group_member *member,
                                 const struct group_join *join, struct instant now,
                                 struct group_effects *effects)
{
    if (group_member_update(group, member, join) != ERR_NONE) {
        refuse(join, ERR_COORDINATOR_NOT_AVAILABLE, effects);
        return;
    }
    park(member, join->call, effects);
    group_rebalance(group, now, effects);
}

static void answer_now(struct group *group, struct group_member *member,
                       const struct group_join *join, struct group_effects *effects)
{
    struct group_call *call = join->call;

    group_join_answer(group, member, call);
    group_answer(&call, call->err, effects);
}

/* ---- a static member comes back under a new id (4.9) ----------------------------------------- */

/* In place of `old`, with its assignment; `old` is gone. */
static struct group_member *put_in_place(struct group *group, struct group_member *old,
                                         const struct group_join *join, struct str id,
                                         struct group_effects *effects)
{
    struct group_member *fresh;
    bool led = group->leader == old;
    struct bytes assignment = old->assignment;
    enum err err;

    map_remove(&group->instances, &old->by_instance);
    err = group_member_add(group, join, id, &fresh);
    if (err != ERR_NONE) {
        err = map_add_str(&group->instances, &old->by_instance, old->instance_id);
        ASSERT(err == ERR_NONE); /* its place was there a moment ago */
        return NULL;
    }
    old->assignment = BYTES_NULL;
    fresh->assignment = assignment;
    fresh->pending_sync = old->pending_sync;
    group_answer(&old->join, ERR_FENCED_INSTANCE_ID, effects);
    group_answer(&old->sync, ERR_FENCED_INSTANCE_ID, effects);
    group_answer(&old->replace, ERR_FENCED_INSTANCE_ID, effects);
    if (led) group->leader = fresh;
    old->instance_id = STR_NULL; /* the map has the new one */
    group_member_remove(group, old, ERR_FENCED_INSTANCE_ID, effects);
    return fresh;
}

/* DIFFERS: when the append fails, Kafka takes the replacement back; here the client that asks
 * again is one more replacement, which comes to the same. */
static void replace_in_stable(struct group *group, struct group_member *member,
                              const struct group_join *join, struct str old_id, bool led,
                              struct group_effects *effects)
{
    struct group_call *call = join->call;

    group_join_answer(group, member, call);
    if (led && join->can_skip) {
        call->skip_assignment = true;
    } else if (led) {
        /* It must not assign: it is told that its former self leads. */
        call->leader = old_id;
        call->members = NULL;
        call->members_count = 0;
    }
    member->replace = call;
    member->replace_write = group_ask(group, GROUP_WRITE_REPLACE, effects);
}

static void replace(struct group *group, struct group_member *old, const struct group_join *join,
                    struct str id, struct instant now, struct group_effects *effects)
{
    bool led = group->leader == old;
    bool failed = false;
    struct str old_id = keep(join->call->arena, old->id, &failed);
    struct group_member *member = failed ? NULL : put_in_place(group, old, join, id, effects);
    struct str vote;

    if (member == NULL) {
        refuse(join, ERR_COORDINATOR_NOT_AVAILABLE, effects);
        return;
    }
    group_restart_session(member, now);
    switch (group->state) {
    case GROUP_STABLE:
        vote = group_vote(group);
        if (vote.data != NULL && str_equal(vote, group->protocol)) {
            replace_in_stable(group, member, join, old_id, led, effects);
            return;
        }
        park(member, join->call, effects);
        group_rebalance(group, now, effects);
        return;
    case GROUP_COMPLETING:
    case GROUP_PREPARING:
        park(member, join->call, effects);
        group_rebalance(group, now, effects);
        return;
    case GROUP_EMPTY:
    case GROUP_DEAD: IMPOSSIBLE("a static member of an empty group");
    }
}

static void join_new(struct group *group, const struct group_join *join, struct instant now,
                     struct group_effects *effects)
{
    struct str id = make_id(join);
    struct map_node *known =
        join->instance_id.data == NULL ? NULL : map_find_str(&group->instances, join->instance_id);

    if (id.data == NULL) {
        refuse(join, ERR_COORDINATOR_NOT_AVAILABLE, effects);
    } else if (known != NULL) {
        replace(group, MAP_ENTRY(known, struct group_member, by_instance), join, id, now, effects);
    } else if (join->instance_id.data != NULL || !join->id_required) {
        add(group, join, id, now, effects);
    } else {
        struct group_call *call = join->call;
        enum err err = group_pending_add(group, id, after(now, join->session_timeout_ms));

        call->member_id = id;
        group_answer(&call,
                     err == ERR_NONE ? ERR_MEMBER_ID_REQUIRED : ERR_COORDINATOR_NOT_AVAILABLE,
                     effects);
    }
}

static void join_known(struct group *group, const struct group_join *join, struct instant now,
                       struct group_effects *effects)
{
    struct group_pending *pending = group_pending_find(group, join->member_id);
    struct group_member *member;
    enum err err;

    if (pending != NULL) {
        if (join->instance_id.data != NULL) {
            /* A static member is never pending: this client is not what it says. */
            refuse(join, ERR_UNKNOWN_MEMBER_ID, effects);
            return;
        }
        group_pending_drop(group, pending);
        add(group, join, join->member_id, now, effects);
        return;
    }
    err = group_validate(group, join->member_id, join->instance_id, &member);
    if (err != ERR_NONE) {
        refuse(join, err, effects);
        return;
    }
    switch (group->state) {
    case GROUP_PREPARING: update_and_rebalance(group, member, join, now, effects); return;
    case GROUP_COMPLETING:
        if (group_member_same_protocols(member, join)) {
            answer_now(group, member, join, effects);
        } else {
            update_and_rebalance(group, member, join, now, effects);
        }
        return;
    case GROUP_STABLE:
        if (group->leader != member && group_member_same_protocols(member, join)) {
            answer_now(group, member, join, effects);
        } else {
            update_and_rebalance(group, member, join, now, effects);
        }
        return;
    case GROUP_EMPTY: refuse(join, ERR_UNKNOWN_MEMBER_ID, effects); return;
    case GROUP_DEAD: refuse(join, ERR_COORDINATOR_NOT_AVAILABLE, effects); return;
    }
}

void group_join(struct group *group, const struct group_join *join, struct instant now,
                struct group_effects *effects)
{
    if (join->session_timeout_ms < group->config->session_min_ms ||
        join->session_timeout_ms > group->config->session_max_ms) {
        refuse(join, ERR_INVALID_SESSION_TIMEOUT, effects);
    } else if (!has_room(group, join)) {
        struct group_member *member = group_find(group, join->member_id);

        if (member != NULL) group_member_remove(group, member, ERR_UNKNOWN_MEMBER_ID, effects);
        refuse(join, ERR_GROUP_MAX_SIZE_REACHED, effects);
        if (member != NULL) group_rebalance(group, now, effects);
    } else if (group->state == GROUP_DEAD) {
        refuse(join, ERR_COORDINATOR_NOT_AVAILABLE, effects);
    } else if (!protocols_fit(group, join)) {
        refuse(join, ERR_INCONSISTENT_GROUP_PROTOCOL, effects);
    } else if (join->member_id.length == 0) {
        join_new(group, join, now, effects);
    } else {
        join_known(group, join, now, effects);
    }
}
