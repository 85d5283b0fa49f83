/* Consumer groups of KIP-848: G7, G14, G21, G22 (groups.md 8, 11).
 *
 * The coordinator tells what of its records is committed: epochs of groups and members, and which
 * member has which partition, given up or not. One that loads tells it all again, at its own leader
 * epoch: what an older one said of a group does not count from then on. It tells it from the log's
 * beginning, the members of groups that had this name before too; what stands is told by the
 * group's epochs, which come last. Members are known by a number (FNV-1a of the id), as they tell
 * it of themselves. */
#include "sim/check/check_private.h"

#include <stdlib.h>

enum {
    OFFSET_SENT = 1, /* `what` of client.offset */
    OFFSET_ANSWERED = 2,
    MEMBER_IS_STABLE = 0, /* of group.member */
    MEMBER_IS_UNRELEASED = 2,
    MEMBER_IS_JOINING = 2, /* of client.group */
    MEMBER_IS_ASSIGNING = 5,
    MEMBER_HAS_ASSIGNED = 6,
    SHARD_IS_LOADING = 1,
    STATE_DEAD = 4, /* of a classic group */
};

struct group_ghost {
    int64_t leader_epoch; /* of the newest coordinator that spoke of it */
    uint32_t load;        /* of its shard, in that epoch */
    int64_t epoch;
    int64_t assignment;
    int64_t members;
    int64_t told; /* the highest member epoch that a record or an answer gave */
    uint32_t node;
    int64_t changed_ns; /* when its epoch went up last, or a coordinator had loaded it */
    int64_t loaded_ns;
};

struct member_ghost {
    uint64_t group;
    int64_t leader_epoch;
    int64_t epoch; /* -1: removed */
    int64_t state;
    uint64_t number;
    int64_t heard_ns; /* by its coordinator, at the latest, if no client speaks as it now */
};

/* One partition in one group. */
struct holder_ghost {
    int64_t leader_epoch;
    uint32_t load;   /* of its shard, in that epoch */
    uint64_t member; /* 0: nobody */
};

/* The commit that a client has under way. */
struct sent_ghost {
    uint64_t group;
    uint64_t member;
    int64_t epoch; /* of that member when it was sent; -1: removed; -2: not one of these */
};
enum { NOT_OURS = -2 };

/* Longer than members that live take to find their coordinator and to hand over. */
#define QUIET_NS (30 * INT64_C(1000000000))
/* From the end of a session until the member is removed, in a healthy cluster. */
#define REMOVAL_NS (15 * INT64_C(1000000000))

struct check_consumers {
    struct check_table groups_by_name;
    CHECK_VEC(struct group_ghost) groups;
    struct check_table members_by_name; /* (group, member) */
    CHECK_VEC(struct member_ghost) members;
    struct check_table holders_by_name; /* (group and topic, partition) */
    CHECK_VEC(struct holder_ghost) holders;
    struct check_table loads;         /* (shard, leader epoch): how often it began to load */
    uint64_t number[CHECK_NODES_MAX]; /* as which member a client speaks; 0: none */
    struct sent_ghost sent[CHECK_NODES_MAX];
};

/* ---- memory ---------------------------------------------------------------------------------- */

static uint64_t hash_of(struct str text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (uint32_t i = 0; i < text.length; i++)
        hash = (hash ^ (uint8_t)text.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The first word, and what stands behind it. */
static struct str split(struct str *text)
{
    struct str word = *text;

    for (uint32_t i = 0; i < text->length; i++) {
        if (text->data[i] != ' ') continue;
        word.length = i;
        *text = (struct str){text->data + i + 1, text->length - i - 1};
        return word;
    }
    *text = (struct str){"", 0};
    return word;
}

static struct check_consumers *all(struct check *check)
{
    if (check->consumers == NULL) check->consumers = calloc(1, sizeof *check->consumers);
    ASSERT(check->consumers != NULL);
    return check->consumers;
}

void check_consumer_destroy(struct check *check)
{
    struct check_consumers *consumers = check->consumers;

    if (consumers == NULL) return;
    check_table_deinit(&consumers->groups_by_name);
    check_table_deinit(&consumers->members_by_name);
    check_table_deinit(&consumers->holders_by_name);
    check_table_deinit(&consumers->loads);
    free(consumers->groups.items);
    free(consumers->members.items);
    free(consumers->holders.items);
    free(consumers);
}

static struct group_ghost *group_of(struct check *check, struct str name)
{
    struct check_consumers *consumers = all(check);
    uint32_t found = check_table_get(&consumers->groups_by_name, hash_of(name), 0);
    struct group_ghost fresh = {.leader_epoch = -1};

    if (found == 0) {
        CHECK_PUSH(&consumers->groups, fresh);
        found = consumers->groups.count;
        check_table_set(&consumers->groups_by_name, hash_of(name), 0, found);
    }
    return &consumers->groups.items[found - 1];
}

static struct member_ghost *member_of(struct check *check, uint64_t group, uint64_t member)
{
    struct check_consumers *consumers = all(check);
    uint32_t found = check_table_get(&consumers->members_by_name, group, member);
    struct member_ghost fresh = {
        .group = group, .leader_epoch = -1, .epoch = NOT_OURS, .number = member};

    if (found == 0) {
        CHECK_PUSH(&consumers->members, fresh);
        found = consumers->members.count;
        check_table_set(&consumers->members_by_name, group, member, found);
    }
    return &consumers->members.items[found - 1];
}

static struct holder_ghost *holder_of(struct check *check, uint64_t place, int64_t partition)
{
    struct check_consumers *consumers = all(check);
    uint32_t found = check_table_get(&consumers->holders_by_name, place, (uint64_t)partition);
    struct holder_ghost fresh = {.leader_epoch = -1};

    if (found == 0) {
        CHECK_PUSH(&consumers->holders, fresh);
        found = consumers->holders.count;
        check_table_set(&consumers->holders_by_name, place, (uint64_t)partition, found);
    }
    return &consumers->holders.items[found - 1];
}

static struct check_at at_group(uint32_t node, int64_t epoch)
{
    return (struct check_at){node, NULL, epoch, -1};
}

/* ---- coordinators ---------------------------------------------------------------------------- */

/* How often a coordinator of this leader epoch began to load the shard of the event. */
static uint32_t load_of(struct check *check, const struct trace_event *event)
{
    return check_table_get(&all(check)->loads, (uint64_t)check_field(event, 0),
                           (uint64_t)check_field(event, 1));
}

/* A coordinator that has loaded the group told of every member there is; none is ahead of it. */
static void all_told(struct check *check, uint32_t node, const struct trace_event *event)
{
    int64_t leader_epoch = check_field(event, 1);
    uint64_t name = hash_of(event->text);

    for (uint32_t i = 0; i < check->consumers->members.count && !check->violated; i++) {
        const struct member_ghost *one = &check->consumers->members.items[i];

        if (one->group != name || one->epoch < 0) continue;
        if (one->leader_epoch < leader_epoch)
            CHECK_FAIL(check, G21, at_group(node, leader_epoch),
                       "group %S is loaded without a member that had epoch %D", event->text,
                       one->epoch);
        else if (one->epoch > check_field(event, 2))
            CHECK_FAIL(check, G21, at_group(node, leader_epoch),
                       "group %S is loaded with epoch %D, and a member with %D", event->text,
                       check_field(event, 2), one->epoch);
    }
}

/* The group is deleted, or a classic one from here on: what was said of its members is over. */
static void over(struct check *check, struct group_ghost *group, uint32_t node,
                 int64_t leader_epoch, uint64_t name)
{
    struct check_consumers *consumers = check->consumers;

    *group = (struct group_ghost){.leader_epoch = leader_epoch, .node = node};
    for (uint32_t i = 0; i < consumers->members.count; i++)
        if (consumers->members.items[i].group == name) consumers->members.items[i].epoch = NOT_OURS;
    for (uint32_t i = 0; i < CHECK_NODES_MAX; i++)
        if (consumers->sent[i].group == name) consumers->sent[i].epoch = NOT_OURS;
}

/* A classic group was loaded, or made of one of KIP-848. */
static void classic(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct group_ghost *group;
    uint32_t found;

    if (check_field(event, 2) != STATE_DEAD || check_field(event, 3) == STATE_DEAD) return;
    found = check_table_get(&all(check)->groups_by_name, hash_of(event->text), 0);
    if (found == 0) return;
    group = &check->consumers->groups.items[found - 1];
    if (check_field(event, 1) >= group->leader_epoch)
        over(check, group, node, check_field(event, 1), hash_of(event->text));
}

/* G21. */
static void epochs(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct group_ghost *group = group_of(check, event->text);
    int64_t leader_epoch = check_field(event, 1);
    int64_t epoch = check_field(event, 2);

    if (leader_epoch < group->leader_epoch) return; /* a deposed one learns late */
    if (epoch == 0) {                               /* deleted */
        over(check, group, node, leader_epoch, hash_of(event->text));
        return;
    }
    check_count(check, CHECK_G21);
    if (epoch < group->epoch || epoch < group->told) {
        CHECK_FAIL(check, G21, at_group(node, leader_epoch),
                   "group %S has epoch %D; it had %D, and a member has %D", event->text, epoch,
                   group->epoch, group->told);
        return;
    }
    if (group->leader_epoch >= 0 && leader_epoch > group->leader_epoch)
        all_told(check, node, event);
    if (leader_epoch != group->leader_epoch || load_of(check, event) != group->load)
        group->changed_ns = group->loaded_ns = check->now_ns;
    if (epoch != group->epoch) group->changed_ns = check->now_ns;
    group->leader_epoch = leader_epoch;
    group->load = load_of(check, event);
    group->epoch = epoch;
    group->assignment = check_field(event, 3);
    group->members = check_field(event, 4);
    group->node = node;
}

static void member(struct check *check, const struct trace_event *event)
{
    struct str rest = event->text;
    struct str name = split(&rest);
    struct group_ghost *group = group_of(check, name);
    struct member_ghost *ghost = member_of(check, hash_of(name), hash_of(rest) >> 1);
    int64_t leader_epoch = check_field(event, 1);

    if (leader_epoch < ghost->leader_epoch) return;
    ghost->leader_epoch = leader_epoch;
    ghost->epoch = check_field(event, 2);
    ghost->state = check_field(event, 3);
    ghost->heard_ns = check->now_ns;
    /* Until it tells the epochs, a coordinator that loads tells the past. */
    if (leader_epoch != group->leader_epoch || load_of(check, event) != group->load) return;
    if (ghost->epoch > group->told) group->told = ghost->epoch;
}

/* Without memory a coordinator gives up and loads again, in the epoch that it has. */
static void loads(struct check *check, const struct trace_event *event)
{
    struct check_table *table = &all(check)->loads;
    uint64_t shard = (uint64_t)check_field(event, 0);
    uint64_t epoch = (uint64_t)check_field(event, 1);

    if (check_field(event, 2) == SHARD_IS_LOADING)
        check_table_set(table, shard, epoch, check_table_get(table, shard, epoch) + 1);
}

/* G7. */
static void holds(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct str rest = event->text;
    struct str group = split(&rest);
    struct str name = split(&rest);
    uint64_t place = hash_of(group) * 31 + hash_of(rest);
    uint64_t number = hash_of(name) >> 1;
    int64_t leader_epoch = check_field(event, 1);
    int64_t partition = check_field(event, 2);
    struct holder_ghost *holder = holder_of(check, place, partition);
    uint32_t load = load_of(check, event);

    if (leader_epoch < holder->leader_epoch) return;
    if (leader_epoch > holder->leader_epoch || load != holder->load)
        holder->member = 0; /* it tells everything again */
    holder->leader_epoch = leader_epoch;
    holder->load = load;
    if (check_field(event, 4) == 0) {
        if (holder->member == number) holder->member = 0;
        return;
    }
    check_count(check, CHECK_G7);
    if (holder->member != 0 && holder->member != number) {
        CHECK_FAIL(check, G7, at_group(node, leader_epoch),
                   "partition %D of %S: member %S of group %S has it, and another has it still",
                   partition, rest, name, group);
        return;
    }
    holder->member = number;
}

/* ---- members --------------------------------------------------------------------------------- */

/* G22. */
static void offset(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_consumers *consumers = all(check);
    struct sent_ghost *sent = &consumers->sent[node];
    struct str rest = event->text;
    uint64_t group = hash_of(split(&rest));
    int64_t generation = check_field(event, 2);

    if (check_field(event, 3) == OFFSET_SENT) {
        uint32_t found =
            check_table_get(&consumers->members_by_name, group, consumers->number[node]);

        *sent = (struct sent_ghost){group, consumers->number[node], NOT_OURS};
        if (found != 0 && generation >= 0) sent->epoch = consumers->members.items[found - 1].epoch;
        return;
    }
    if (check_field(event, 3) != OFFSET_ANSWERED || check_field(event, 4) != 0) return;
    if (sent->epoch == NOT_OURS || generation < 0) return;
    check_count(check, CHECK_G22);
    if (sent->epoch >= 0 && generation >= sent->epoch) return;
    CHECK_FAIL(check, G22, at_group(node, generation),
               "%S: a commit in member epoch %D was accepted; %D was committed before it was sent "
               "(-1: the member was removed)",
               event->text, generation, sent->epoch);
}

/* Is this the answer of the group as it is now? A group without members gives its name away, and
 * epochs begin anew: who slept meanwhile speaks of the group that was. Members with a record speak
 * of this one; so does one that no record ever told of and that says it has joined, by the protocol
 * of KIP-848: its answer came too early. */
static bool of_this_group(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_consumers *consumers = all(check);
    uint32_t found =
        check_table_get(&consumers->members_by_name, hash_of(event->text), consumers->number[node]);

    if (found != 0) return consumers->members.items[found - 1].epoch != NOT_OURS;
    return check_field(event, 0) == MEMBER_IS_JOINING &&
           check_field(event, 1) == MEMBER_HAS_ASSIGNED;
}

/* Nobody speaks as this member from now on. */
static void silent(struct check *check, uint64_t number)
{
    for (uint32_t i = 0; number != 0 && i < check->consumers->members.count; i++) {
        struct member_ghost *one = &check->consumers->members.items[i];

        if (one->number == number) one->heard_ns = check->now_ns;
    }
}

void check_consumer_down(struct check *check, uint32_t node)
{
    if (check->consumers != NULL) silent(check, check->consumers->number[node]);
}

/* What a member was told is committed; but JoinGroup of the classic protocol tells of generations
 * that may be lost, and states in which a member begins anew repeat what it had. */
static void told(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_consumers *consumers = all(check);
    uint32_t found = check_table_get(&consumers->groups_by_name, hash_of(event->text), 0);
    int64_t state = check_field(event, 1);
    int64_t epoch = check_field(event, 2);

    if (consumers->number[node] != (uint64_t)check_field(event, 3))
        silent(check, consumers->number[node]);
    consumers->number[node] = (uint64_t)check_field(event, 3);
    if (state != MEMBER_IS_ASSIGNING && state != MEMBER_HAS_ASSIGNED) return;
    if (found == 0 || consumers->groups.items[found - 1].epoch == 0) return;
    if (!of_this_group(check, node, event)) return;
    if (epoch > consumers->groups.items[found - 1].told)
        consumers->groups.items[found - 1].told = epoch;
}

bool check_consumer_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    if (event->kind == TRACE_GROUP_EPOCHS) {
        epochs(check, node, event);
        return false;
    } else if (event->kind == TRACE_GROUP_MEMBER) {
        member(check, event);
        return false;
    } else if (event->kind == TRACE_GROUP_HOLDS) {
        holds(check, node, event);
    } else if (event->kind == TRACE_GROUP_COORDINATOR) {
        loads(check, event);
        return false;
    } else if (event->kind == TRACE_GROUP_STATE) {
        classic(check, node, event);
        return false;
    } else if (event->kind == TRACE_CLIENT_GROUP) {
        told(check, node, event);
        return false;
    } else if (event->kind == TRACE_CLIENT_OFFSET) {
        offset(check, node, event);
        return false;
    } else {
        return false;
    }
    return true;
}

static bool removed(const struct check_consumers *consumers, uint64_t group, uint32_t node)
{
    uint32_t found = check_table_get(&consumers->members_by_name, group, consumers->number[node]);

    return found != 0 && consumers->members.items[found - 1].epoch < 0;
}

/* Who was removed may go on for a while without knowing, and may hear late what it was given; who
 * is still a member may not. */
bool check_consumer_takes_over(struct check *check, uint32_t node, uint32_t other,
                               const struct trace_event *event)
{
    struct check_consumers *consumers = all(check);
    struct str rest = event->text;
    uint64_t group = hash_of(split(&rest));

    if (check_table_get(&consumers->members_by_name, group, consumers->number[other]) == 0)
        return false;
    if (removed(consumers, group, other) || removed(consumers, group, node)) return false;
    check_count(check, CHECK_G7);
    CHECK_FAIL(check, G7, at_group(node, check_field(event, 1)),
               "%S partition %D is handed over; a member that is not removed has it still",
               event->text, check_field(event, 0));
    return true;
}

/* ---- G14 ------------------------------------------------------------------------------------- */

static bool spoken_as(const struct check *check, uint64_t number)
{
    for (uint32_t i = 0; i < check->node_count; i++)
        if (check->nodes[i].up && check->consumers->number[i] == number) return true;
    return false;
}

/* Its client died, began anew as another, or never heard that it is a member: what it has is its
 * own until its session ends, and sessions begin anew with a coordinator that loads (groups.md 8.4,
 * 8.5). */
static bool session_runs(const struct check *check, const struct group_ghost *group,
                         const struct member_ghost *one)
{
    int64_t since = one->heard_ns > group->loaded_ns ? one->heard_ns : group->loaded_ns;

    return !spoken_as(check, one->number) &&
           check->now_ns - since < check->config.member_session_ns + REMOVAL_NS;
}

/* Members behind the target; who waits for what one without a client has is at its epoch, and so
 * has to wait. */
static void reached(struct check *check, const struct group_ghost *group, uint64_t name)
{
    const struct member_ghost *behind = NULL;
    bool waits = true;
    bool dying = false;

    check_count(check, CHECK_G14);
    if (group->assignment != group->epoch) {
        CHECK_FAIL(check, G14, at_group(group->node, group->leader_epoch),
                   "a group of %D members has epoch %D, and its target is that of %D",
                   group->members, group->epoch, group->assignment);
        return;
    }
    for (uint32_t i = 0; i < check->consumers->members.count && waits; i++) {
        const struct member_ghost *one = &check->consumers->members.items[i];

        if (one->group != name || one->epoch < 0 || one->leader_epoch < group->leader_epoch)
            continue;
        if (one->state == MEMBER_IS_STABLE && one->epoch == group->assignment) continue;
        if (session_runs(check, group, one)) {
            dying = true;
            continue;
        }
        behind = one;
        waits = one->state == MEMBER_IS_UNRELEASED && one->epoch == group->assignment;
    }
    if (behind == NULL || (waits && dying)) return;
    CHECK_FAIL(check, G14, at_group(group->node, group->leader_epoch),
               "a member is in state %D at epoch %D; the target is that of %D", behind->state,
               behind->epoch, group->assignment);
}

/* Members come and go, and cannot reach their coordinator before the faults end. */
static bool quiet(const struct check *check, const struct group_ghost *group)
{
    int64_t since = group->changed_ns > check->liveness_ns ? group->changed_ns : check->liveness_ns;

    return check->now_ns - since >= QUIET_NS;
}

void check_consumer_finish(struct check *check)
{
    for (uint32_t i = 0; check->consumers != NULL && i < check->consumers->groups.count; i++) {
        const struct group_ghost *group = &check->consumers->groups.items[i];
        const struct check_node *node = &check->nodes[group->node];
        uint64_t name = 0;

        if (group->members == 0 || !node->up || check->violated) continue;
        if (!quiet(check, group)) continue;
        for (uint32_t m = 0; m < check->consumers->members.count && name == 0; m++) {
            uint64_t of = check->consumers->members.items[m].group;

            if (check_table_get(&check->consumers->groups_by_name, of, 0) == i + 1) name = of;
        }
        reached(check, group, name);
    }
}
