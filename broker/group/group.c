/* The state, the calls that wait, SyncGroup, Heartbeat, LeaveGroup, commits, time (groups.md 4.1,
 * 4.6 to 4.8, 5.1). */
#include "broker/group/group_internal.h"

#include <string.h>

static const struct {
    const char *name; /* as ListGroups and DescribeGroups say it */
    uint32_t next;    /* bits of legal moves */
} group_states[] = {
    [GROUP_EMPTY] = {"Empty", 1u << GROUP_PREPARING | 1u << GROUP_DEAD},
    [GROUP_PREPARING] = {"PreparingRebalance",
                         1u << GROUP_COMPLETING | 1u << GROUP_EMPTY | 1u << GROUP_DEAD},
    [GROUP_COMPLETING] = {"CompletingRebalance",
                          1u << GROUP_STABLE | 1u << GROUP_PREPARING | 1u << GROUP_DEAD},
    [GROUP_STABLE] = {"Stable", 1u << GROUP_PREPARING | 1u << GROUP_DEAD},
    [GROUP_DEAD] = {"Dead", 0},
};
_Static_assert(COUNT_OF(group_states) == GROUP_STATES, "one row a state");

const char *group_state_name(enum group_state state)
{
    return group_states[state].name;
}

bool group_state_may(enum group_state from, enum group_state to)
{
    return (group_states[from].next & (1u << to)) != 0;
}

static void trace(const struct group *group, enum group_state old)
{
    if (group->world == NULL) return;
    TRACE_TEXT(group->world, GROUP_STATE, group->id, group->partition, group->epoch, (int64_t)old,
               (int64_t)group->state, group->generation, (int64_t)group_size(group));
}

void group_set(struct group *group, enum group_state state, struct instant now)
{
    enum group_state old = group->state;

    ASSERT(group_state_may(old, state));
    group->state = state;
    group->state_since_ms = now.wall.ms;
    trace(group, old);
}

/* ---- small things ---------------------------------------------------------------------------- */

void group_call_init(struct group_call *call, struct arena *arena)
{
    *call = (struct group_call){.arena = arena, .generation = -1};
    op_source_init(&call->source);
    list_init(&call->link);
}

void group_effects_init(struct group_effects *effects)
{
    *effects = (struct group_effects){.write = GROUP_WRITE_NONE};
    list_init(&effects->answered);
}

/* The call is told and forgotten; NULL is fine. */
void group_answer(struct group_call **waiting, enum err err, struct group_effects *effects)
{
    struct group_call *call = *waiting;

    if (call == NULL) return;
    *waiting = NULL;
    ASSERT(!call->done);
    call->done = true;
    call->err = err;
    if (err != ERR_NONE) {
        call->generation = -1;
        call->protocol_type = STR_NULL;
        call->protocol_name = STR_NULL;
        call->leader = STR("");
        call->skip_assignment = false;
        call->members_count = 0;
        call->assignment = BYTES_NULL;
    }
    list_push(&effects->answered, &call->link);
}

uint64_t group_ask(struct group *group, enum group_write write, struct group_effects *effects)
{
    ASSERT(effects->write == GROUP_WRITE_NONE);
    effects->write = write;
    effects->ticket = ++group->write;
    return effects->ticket;
}

enum err group_copy(struct mem *mem, struct str from, struct str *to)
{
    char *copy;

    if (from.data == NULL) {
        *to = STR_NULL;
        return ERR_NONE;
    }
    copy = mem_alloc(mem, from.length + 1);
    if (copy == NULL) return ERR_NO_MEMORY;
    if (from.length > 0) memcpy(copy, from.data, from.length);
    *to = (struct str){copy, from.length};
    return ERR_NONE;
}

void group_drop(struct mem *mem, struct str *owned)
{
    union {
        const char *view;
        void *block;
    } copy = {.view = owned->data};

    if (owned->data != NULL) mem_free(mem, copy.block, owned->length + 1);
    *owned = STR_NULL;
}

struct group_member *group_find(const struct group *group, struct str member_id)
{
    struct map_node *node = map_find_str(&group->members, member_id);

    return node != NULL ? group_member_of(node) : NULL;
}

enum err group_validate(const struct group *group, struct str member_id, struct str instance_id,
                        struct group_member **member)
{
    struct group_member *found = group_find(group, member_id);

    if (instance_id.data != NULL) {
        struct map_node *node = map_find_str(&group->instances, instance_id);

        if (node == NULL) return ERR_UNKNOWN_MEMBER_ID;
        if (MAP_ENTRY(node, struct group_member, by_instance) != found)
            return ERR_FENCED_INSTANCE_ID;
    }
    if (found == NULL) return ERR_UNKNOWN_MEMBER_ID;
    *member = found;
    return ERR_NONE;
}

void group_restart_session(struct group_member *member, struct instant now)
{
    member->deadline_ns = mono_add_ms(now.mono, member->session_timeout_ms).ns;
}

struct bytes group_subscription(const struct group *group, const struct group_member *member)
{
    for (uint32_t i = 0; group->protocol.data != NULL && i < member->protocols_count; i++)
        if (str_equal(member->protocols[i].name, group->protocol))
            return member->protocols[i].metadata;
    return (struct bytes){(const uint8_t *)"", 0};
}

bool group_writing(const struct group *group)
{
    MAP_FOR_EACH (node, &group->members)
        if (group_member_of(node)->replace != NULL) return true;
    return group->syncing;
}

bool group_blank(const struct group *group)
{
    return group->state == GROUP_EMPTY && group->generation == 0 && group->pending_count == 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

void group_init(struct group *group, struct mem *mem, const struct group_config *config,
                struct str id, uint64_t seed, int64_t wall_ms)
{
    *group = (struct group){.mem = mem,
                            .config = config,
                            .id = id,
                            .state = GROUP_EMPTY,
                            .state_since_ms = wall_ms,
                            .join_deadline_ns = INT64_MAX,
                            .sync_deadline_ns = INT64_MAX};
    map_init(&group->members, mem, seed, GROUP_MEMBERS_MAX);
    map_init(&group->instances, mem, seed, GROUP_MEMBERS_MAX);
    list_init(&group->pending);
}

/* Members and pending ones; what waits is answered with `err`. */
static void clear(struct group *group, enum err err, struct group_effects *effects)
{
    MAP_FOR_EACH_SAFE (node, next, &group->members)
        group_member_remove(group, group_member_of(node), err, effects);
    LIST_FOR_EACH_SAFE (link, next, &group->pending)
        group_pending_drop(group, LIST_ENTRY(link, struct group_pending, link));
    group->leader = NULL;
    group->syncing = false;
    group->join_deadline_ns = INT64_MAX;
    group->sync_deadline_ns = INT64_MAX;
}

void group_deinit(struct group *group)
{
    struct group_effects effects;

    group_effects_init(&effects);
    clear(group, ERR_NOT_COORDINATOR, &effects);
    ASSERT(list_empty(&effects.answered));
    group_drop(group->mem, &group->protocol_type);
    group_drop(group->mem, &group->protocol);
    map_deinit(&group->members);
    map_deinit(&group->instances);
}

void group_close(struct group *group, enum err err, struct instant now,
                 struct group_effects *effects)
{
    clear(group, err, effects);
    if (group->state != GROUP_DEAD) group_set(group, GROUP_DEAD, now);
}

/* ---- SyncGroup ------------------------------------------------------------------------------- */

static void answer_sync(struct group *group, struct group_member *member, struct group_call *call,
                        struct group_effects *effects)
{
    uint32_t type = group->protocol_type.length;
    uint32_t name = group->protocol.length;
    uint32_t length = member->assignment.length;
    uint8_t *copy = arena_alloc(call->arena, (size_t)type + name + length + 1);

    if (copy == NULL) {
        group_answer(&call, ERR_REBALANCE_IN_PROGRESS, effects); /* it joins again */
        return;
    }
    if (type > 0) memcpy(copy, group->protocol_type.data, type);
    if (name > 0) memcpy(copy + type, group->protocol.data, name);
    if (length > 0) memcpy(copy + type + name, member->assignment.data, length);
    call->protocol_type = (struct str){(const char *)copy, type};
    call->protocol_name = (struct str){(const char *)copy + type, name};
    call->assignment = (struct bytes){copy + type + name, length};
    call->generation = group->generation;
    group_answer(&call, ERR_NONE, effects);
}

static void forget_pending_sync(struct group *group, struct group_member *member)
{
    member->pending_sync = false;
    MAP_FOR_EACH (node, &group->members)
        if (group_member_of(node)->pending_sync) return;
    group->sync_deadline_ns = INT64_MAX;
}

/* The leader says who gets what; members it forgot get nothing. */
static enum err propose(struct group *group, const struct group_sync *sync)
{
    for (uint32_t i = 0; i < sync->assignments_count; i++) {
        struct group_member *member = group_find(group, sync->assignments[i].member_id);
        enum err err;

        if (member == NULL) continue;
        err = group_member_assign(group, &member->proposed, sync->assignments[i].assignment);
        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

static void sync_completing(struct group *group, struct group_member *member,
                            const struct group_sync *sync, struct group_effects *effects)
{
    struct group_call *call = sync->call;

    group_answer(&member->sync, ERR_REBALANCE_IN_PROGRESS, effects); /* it asked before */
    /* One append a generation: who asks again waits for its outcome (groups.md 4.6). */
    if (member == group->leader && !group->syncing) {
        if (propose(group, sync) != ERR_NONE) {
            MAP_FOR_EACH (node, &group->members)
                group_member_unassign(group, &group_member_of(node)->proposed);
            group_answer(&call, ERR_COORDINATOR_NOT_AVAILABLE, effects);
            return;
        }
        group->syncing = true;
        group->sync_write = group_ask(group, GROUP_WRITE_SYNC, effects);
    }
    member->sync = call;
    forget_pending_sync(group, member);
}

static bool says_otherwise(struct str said, struct str is)
{
    return said.data != NULL && !str_equal(said, is);
}

static enum err check_sync(const struct group *group, const struct group_sync *sync,
                           struct group_member **member)
{
    enum err err;

    if (group->state == GROUP_DEAD) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (group->state == GROUP_EMPTY) return ERR_UNKNOWN_MEMBER_ID;
    err = group_validate(group, sync->member_id, sync->instance_id, member);
    if (err != ERR_NONE) return err;
    if (sync->generation != group->generation) return ERR_ILLEGAL_GENERATION;
    if (says_otherwise(sync->protocol_type, group->protocol_type) ||
        (group->protocol.data != NULL && says_otherwise(sync->protocol_name, group->protocol)))
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    return group->state == GROUP_PREPARING ? ERR_REBALANCE_IN_PROGRESS : ERR_NONE;
}

void group_sync(struct group *group, const struct group_sync *sync, struct instant now,
                struct group_effects *effects)
{
    struct group_call *call = sync->call;
    struct group_member *member = NULL;
    enum err err = check_sync(group, sync, &member);

    if (err != ERR_NONE) {
        group_answer(&call, err, effects);
    } else if (group->state == GROUP_COMPLETING) {
        sync_completing(group, member, sync, effects);
    } else {
        forget_pending_sync(group, member);
        group_restart_session(member, now);
        answer_sync(group, member, call, effects);
    }
}

/* ---- what became of a record ----------------------------------------------------------------- */

static void sync_written(struct group *group, enum err err, struct instant now,
                         struct group_effects *effects)
{
    group->syncing = false;
    if (err == ERR_NONE) group_set(group, GROUP_STABLE, now);
    MAP_FOR_EACH (node, &group->members) {
        struct group_member *member = group_member_of(node);
        struct group_call *call = member->sync;

        if (err == ERR_NONE) {
            group_member_unassign(group, &member->assignment);
            member->assignment = member->proposed;
        } else {
            group_member_unassign(group, &member->proposed);
        }
        member->proposed = BYTES_NULL;
        if (call == NULL) continue;
        group_restart_session(member, now);
        if (err != ERR_NONE) {
            group_answer(&member->sync, err, effects);
            continue;
        }
        member->sync = NULL;
        answer_sync(group, member, call, effects);
    }
    if (err == ERR_NONE) group_trace_owned(group);
    if (err != ERR_NONE) group_rebalance(group, now, effects);
}

void group_written(struct group *group, uint64_t ticket, enum err err, struct instant now,
                   struct group_effects *effects)
{
    if (group->state == GROUP_DEAD) return;
    if (group->syncing && group->sync_write == ticket) {
        ASSERT(group->state == GROUP_COMPLETING);
        sync_written(group, err, now, effects);
        return;
    }
    MAP_FOR_EACH (node, &group->members) {
        struct group_member *member = group_member_of(node);

        if (member->replace == NULL || member->replace_write != ticket) continue;
        if (err != ERR_NONE) {
            member->replace->member_id = STR("");
        } else {
            err = member->replace->err; /* no memory for its answer */
        }
        group_restart_session(member, now);
        group_answer(&member->replace, err, effects);
        return;
    }
}

/* ---- Heartbeat, commit, LeaveGroup ----------------------------------------------------------- */

enum err group_heartbeat(struct group *group, const struct group_who *who, struct instant now)
{
    struct group_member *member;
    enum err err;

    if (group->state == GROUP_DEAD) return ERR_COORDINATOR_NOT_AVAILABLE;
    err = group_validate(group, who->member_id, who->instance_id, &member);
    if (err != ERR_NONE) return err;
    if (who->generation != group->generation) return ERR_ILLEGAL_GENERATION;
    if (!member->is_new) group_restart_session(member, now);
    return group->state == GROUP_PREPARING ? ERR_REBALANCE_IN_PROGRESS : ERR_NONE;
}

enum err group_commit(struct group *group, const struct group_who *who, struct instant now)
{
    struct group_member *member = NULL;
    enum err err;

    if (group->state == GROUP_DEAD) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (who->generation < 0 && group->state == GROUP_EMPTY) return ERR_NONE;
    if (who->generation < 0 && who->member_id.length == 0 && who->instance_id.data == NULL)
        return ERR_UNKNOWN_MEMBER_ID;
    err = group_validate(group, who->member_id, who->instance_id, &member);
    if (err != ERR_NONE) return err;
    if (who->generation != group->generation) return ERR_ILLEGAL_GENERATION;
    if (group->state == GROUP_COMPLETING) return ERR_REBALANCE_IN_PROGRESS;
    if (!member->is_new) group_restart_session(member, now);
    return ERR_NONE;
}

enum err group_leave(struct group *group, const struct group_who *who,
                     struct group_effects *effects)
{
    struct group_pending *pending = group_pending_find(group, who->member_id);
    struct group_member *member;
    struct map_node *node;
    enum err err;

    if (group->state == GROUP_DEAD) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (who->member_id.length == 0 && who->instance_id.data != NULL) {
        node = map_find_str(&group->instances, who->instance_id); /* an operator removes it */
        if (node == NULL) return ERR_UNKNOWN_MEMBER_ID;
        member = MAP_ENTRY(node, struct group_member, by_instance);
    } else if (pending != NULL && who->instance_id.data == NULL) {
        group_pending_drop(group, pending);
        group->left = group->left || group->state == GROUP_PREPARING;
        return ERR_NONE;
    } else {
        err = group_validate(group, who->member_id, who->instance_id, &member);
        if (err != ERR_NONE) return err;
    }
    group_member_remove(group, member, ERR_UNKNOWN_MEMBER_ID, effects);
    group->left = true;
    return ERR_NONE;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Somebody went: a rebalance, or the one under way may be complete. */
static void gone(struct group *group, struct instant now, struct group_effects *effects)
{
    if (group->state != GROUP_EMPTY) group_rebalance(group, now, effects);
}

void group_left(struct group *group, struct instant now, struct group_effects *effects)
{
    if (group->left) gone(group, now, effects);
    group->left = false;
}

/* True: a member was removed. */
static bool expire_members(struct group *group, struct instant now, struct group_effects *effects)
{
    bool removed = false;

    MAP_FOR_EACH_SAFE (node, next, &group->members) {
        struct group_member *member = group_member_of(node);
        bool waits = member->join != NULL || member->sync != NULL || member->replace != NULL;

        if (member->deadline_ns > now.mono.ns) continue;
        if (waits && !member->is_new) {
            member->deadline_ns = INT64_MAX; /* begins again when the call is answered */
            continue;
        }
        group_member_remove(group, member, ERR_UNKNOWN_MEMBER_ID, effects);
        removed = true;
    }
    LIST_FOR_EACH_SAFE (link, next, &group->pending) {
        struct group_pending *pending = LIST_ENTRY(link, struct group_pending, link);

        if (pending->deadline_ns > now.mono.ns) continue;
        group_pending_drop(group, pending);
        removed = removed || group->state == GROUP_PREPARING;
    }
    return removed;
}

static void expire_join(struct group *group, struct instant now, struct group_effects *effects)
{
    int64_t delay = group->config->initial_delay_ms;

    if (group->initial && group->new_member && group->remaining_ms > 0) {
        if (delay > group->remaining_ms) delay = group->remaining_ms;
        group->remaining_ms -= delay;
        group->new_member = false;
        group->join_deadline_ns = mono_add_ms(now.mono, delay).ns;
        return;
    }
    group_complete(group, now, effects);
}

static bool expire_sync(struct group *group, struct group_effects *effects)
{
    bool removed = false;

    group->sync_deadline_ns = INT64_MAX;
    MAP_FOR_EACH_SAFE (node, next, &group->members) {
        struct group_member *member = group_member_of(node);

        if (!member->pending_sync) continue;
        group_member_remove(group, member, ERR_UNKNOWN_MEMBER_ID, effects);
        removed = true;
    }
    return removed;
}

void group_tick(struct group *group, struct instant now, struct group_effects *effects)
{
    bool removed;

    if (group->state == GROUP_DEAD) return;
    removed = expire_members(group, now, effects);
    if ((group->state == GROUP_COMPLETING || group->state == GROUP_STABLE) &&
        group->sync_deadline_ns <= now.mono.ns) {
        removed = expire_sync(group, effects) || removed;
    }
    if (removed) gone(group, now, effects);
    if (group->state == GROUP_PREPARING && group->join_deadline_ns <= now.mono.ns) {
        expire_join(group, now, effects);
    }
}

int64_t group_next_deadline(const struct group *group)
{
    int64_t first = group->join_deadline_ns < group->sync_deadline_ns ? group->join_deadline_ns
                                                                      : group->sync_deadline_ns;

    MAP_FOR_EACH (node, &group->members)
        if (group_member_of(node)->deadline_ns < first) first = group_member_of(node)->deadline_ns;
    LIST_FOR_EACH (link, &group->pending) {
        int64_t deadline = LIST_ENTRY(link, struct group_pending, link)->deadline_ns;

        if (deadline < first) first = deadline;
    }
    return first;
}

/* ---- from the log ---------------------------------------------------------------------------- */

static enum err restore_member(struct group *group, const struct group_value *value,
                               const struct group_restored *from)
{
    struct group_protocol protocol = {.name = value->protocol, .metadata = from->subscription};
    struct group_join join = {.instance_id = from->instance_id,
                              .client_id = from->client_id,
                              .client_host = from->client_host,
                              .protocols = &protocol,
                              .protocols_count = value->protocol.data != NULL ? 1 : 0,
                              .session_timeout_ms = from->session_timeout_ms,
                              .rebalance_timeout_ms = from->rebalance_timeout_ms};
    struct group_member *member;
    enum err err;

    if (group_find(group, from->id) != NULL) return ERR_MALFORMED;
    if (from->instance_id.data != NULL &&
        map_find_str(&group->instances, from->instance_id) != NULL)
        return ERR_MALFORMED;
    err = group_member_add(group, &join, from->id, &member);
    if (err != ERR_NONE) return err;
    return group_member_assign(group, &member->assignment, from->assignment);
}

enum err group_restore(struct group *group, const struct group_value *value)
{
    struct group_effects effects;
    enum err err;

    group_effects_init(&effects);
    clear(group, ERR_NOT_COORDINATOR, &effects);
    ASSERT(list_empty(&effects.answered)); /* nothing is served while it loads */
    group_drop(group->mem, &group->protocol_type);
    group_drop(group->mem, &group->protocol);
    group->state = GROUP_EMPTY; /* another record, not a move */
    group->generation = value->generation;
    group->state_since_ms = value->state_since_ms;
    err = group_copy(group->mem, value->protocol_type.length > 0 ? value->protocol_type : STR_NULL,
                     &group->protocol_type);
    if (err == ERR_NONE && value->members_count > 0)
        err = group_copy(group->mem, value->protocol, &group->protocol);
    for (uint32_t i = 0; err == ERR_NONE && i < value->members_count; i++)
        err = restore_member(group, value, &value->members[i]);
    if (err != ERR_NONE) {
        clear(group, ERR_NOT_COORDINATOR, &effects);
        return err;
    }
    group->leaderless = value->leader.data == NULL && value->members_count > 0;
    if (value->leader.data != NULL && group_find(group, value->leader) != NULL)
        group->leader = group_find(group, value->leader);
    if (value->members_count > 0) group->state = GROUP_STABLE;
    return ERR_NONE;
}

void group_loaded(struct group *group, struct instant now, struct group_effects *effects)
{
    MAP_FOR_EACH (node, &group->members)
        group_restart_session(group_member_of(node), now);
    trace(group, GROUP_DEAD);
    if ((int64_t)group_size(group) > group->config->max_size ||
        group->leaderless) /* it was one of KIP-848 */
        group_rebalance(group, now, effects);
}

void group_check(const struct group *group)
{
    uint32_t statics = 0;
    bool leads = group->leader == NULL;

    MAP_FOR_EACH (node, &group->members) {
        const struct group_member *member = group_member_of(node);

        leads = leads || member == group->leader;
        statics += member->instance_id.data != NULL ? 1 : 0;
        ASSERT(member->join == NULL || group->state == GROUP_PREPARING);
        ASSERT(member->sync == NULL || group->state == GROUP_COMPLETING);
        ASSERT(member->proposed.length == 0 || group->syncing);
    }
    ASSERT(leads);
    ASSERT(statics == group->instances.count);
    ASSERT((group->leader == NULL) == (group->members.count == 0));
    ASSERT(!group->syncing || group->state == GROUP_COMPLETING);
    ASSERT(group->state != GROUP_EMPTY || group->members.count == 0);
    ASSERT(group->state != GROUP_STABLE || group->protocol.data != NULL);
}
