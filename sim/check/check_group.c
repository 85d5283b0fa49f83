/* Consumer groups: G1 to G18 as far as they show in what coordinators and members tell, and C15.
 *
 * A coordinator's word counts while no later one has spoken: a deposed leader may learn late that
 * its record was committed, when its successor is two generations further. A generation that became
 * STABLE is durable (its record was committed first), so nothing may fall behind it. What a member
 * holds when it dies is nobody's; what it believes to hold after its session ended (a zombie) stays
 * its own, so two owners are a violation only within one generation, and a commit only when a newer
 * generation was stable before it was sent.
 * A name that one group gave away numbers anew (G2: deleted, and begun again by others): each life
 * of a name has its own generations. What a zombie has from an earlier life it goes on believing,
 * and no generation of this life is meant by it. Which life a member is of the coordinator tells
 * before it answers: members are known by a number (FNV-1a of the id), as they tell it themselves.
 * Partitions are named by text, "group topic", since members know them before they know ids. */
#include "sim/check/check_private.h"

#include <stdlib.h>

enum {
    STATE_EMPTY = 0,
    STATE_PREPARING = 1,
    STATE_STABLE = 3, /* of the coordinator's group */
    STATE_COMPLETING = 2,
    STATE_DEAD = 4,
    SHARD_IS_ACTIVE = 2,
    MEMBER_IS_ASSIGNING = 5, /* has its assignment, and gives up what that leaves out */
    OFFSET_SENT = 1,         /* `what` of client.offset */
    OFFSET_ANSWERED = 2,
    OFFSET_FETCHED = 3,
    OWNS_ASSIGNED = 1, /* `how` of client.owns */
    EARLIER_LIFE = 0,  /* held in a generation, of those this life counts in none */
};

struct group_ghost {
    int64_t epoch;  /* of the newest coordinator that spoke of it */
    int64_t stable; /* the highest generation that was stable; -1 */
    int64_t floor;  /* the highest epoch while it was a group of KIP-848; -1 */
    bool over;      /* as one of KIP-848: deleted, unless a classic one goes on from it */
    uint32_t life;  /* how often the name began anew */
    bool empty;     /* a classic group without members, also when it is dead since */
};

/* One partition in one group. */
struct owned_ghost {
    uint64_t group;
    int64_t generation[CHECK_NODES_MAX]; /* in which a node has it; -1: it has not */
};

/* What was said of one offset of one partition in one group: when last. */
struct offset_ghost {
    uint64_t sent;  /* number of the commit */
    int64_t record; /* offset of its record; -1: not told */
};

struct progress_ghost {
    uint64_t acked_sent; /* number of the last acknowledged commit; 0: none */
    int64_t acked_record;
    int64_t acked_offset;
    uint64_t sent_now[CHECK_NODES_MAX]; /* number of the commit under way */
    int64_t stable_then[CHECK_NODES_MAX];
};

struct check_groups {
    struct check_table groups_by_name;
    CHECK_VEC(struct group_ghost) groups;
    struct check_table owned_by_name;
    CHECK_VEC(struct owned_ghost) owned;
    struct check_table offsets_by_name; /* (text and partition, offset) */
    CHECK_VEC(struct offset_ghost) offsets;
    struct check_table progress_by_name;
    CHECK_VEC(struct progress_ghost) progress;
    struct check_table active; /* (shard, epoch): node + 1 */
    struct check_table lives;  /* (group, member): of the group, when it spoke of that one; + 1 */
    uint64_t number[CHECK_NODES_MAX]; /* as which member a client speaks; 0: none */
    uint64_t commits;
};

/* ---- memory ---------------------------------------------------------------------------------- */

static uint64_t name_of(struct str text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (uint32_t i = 0; i < text.length; i++)
        hash = (hash ^ (uint8_t)text.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* "group topic" -> "group" */
static struct str group_part(struct str text)
{
    for (uint32_t i = 0; i < text.length; i++)
        if (text.data[i] == ' ') return (struct str){text.data, i};
    return text;
}

static struct check_groups *all(struct check *check)
{
    if (check->groups != NULL) return check->groups;
    check->groups = calloc(1, sizeof *check->groups);
    ASSERT(check->groups != NULL);
    return check->groups;
}

void check_group_destroy(struct check *check)
{
    struct check_groups *groups = check->groups;

    if (groups == NULL) return;
    check_table_deinit(&groups->groups_by_name);
    check_table_deinit(&groups->owned_by_name);
    check_table_deinit(&groups->offsets_by_name);
    check_table_deinit(&groups->progress_by_name);
    check_table_deinit(&groups->active);
    check_table_deinit(&groups->lives);
    free(groups->groups.items);
    free(groups->owned.items);
    free(groups->offsets.items);
    free(groups->progress.items);
    free(groups);
}

static struct group_ghost *group_of(struct check *check, struct str name)
{
    struct check_groups *groups = all(check);
    uint32_t found = check_table_get(&groups->groups_by_name, name_of(name), 0);
    struct group_ghost fresh = {.epoch = -1, .stable = -1, .floor = -1};

    if (found == 0) {
        CHECK_PUSH(&groups->groups, fresh);
        found = groups->groups.count;
        check_table_set(&groups->groups_by_name, name_of(name), 0, found);
    }
    return &groups->groups.items[found - 1];
}

static struct owned_ghost *owned_of(struct check *check, struct str text, int64_t partition)
{
    struct check_groups *groups = all(check);
    uint64_t name = name_of(text);
    uint32_t found = check_table_get(&groups->owned_by_name, name, (uint64_t)partition);
    struct owned_ghost fresh = {.group = name_of(group_part(text))};

    if (found == 0) {
        for (uint32_t i = 0; i < CHECK_NODES_MAX; i++)
            fresh.generation[i] = -1;
        CHECK_PUSH(&groups->owned, fresh);
        found = groups->owned.count;
        check_table_set(&groups->owned_by_name, name, (uint64_t)partition, found);
    }
    return &groups->owned.items[found - 1];
}

static struct progress_ghost *progress_of(struct check *check, struct str text, int64_t partition)
{
    struct check_groups *groups = all(check);
    uint64_t name = name_of(text);
    uint32_t found = check_table_get(&groups->progress_by_name, name, (uint64_t)partition);
    struct progress_ghost fresh = {.acked_record = -1, .acked_offset = -1};

    if (found == 0) {
        CHECK_PUSH(&groups->progress, fresh);
        found = groups->progress.count;
        check_table_set(&groups->progress_by_name, name, (uint64_t)partition, found);
    }
    return &groups->progress.items[found - 1];
}

static struct offset_ghost *offset_of(struct check *check, struct str text, int64_t partition,
                                      int64_t offset)
{
    struct check_groups *groups = all(check);
    uint64_t name = name_of(text) * 31 + (uint64_t)partition;
    uint32_t found = check_table_get(&groups->offsets_by_name, name, (uint64_t)offset);
    struct offset_ghost fresh = {.record = -1};

    if (found == 0) {
        CHECK_PUSH(&groups->offsets, fresh);
        found = groups->offsets.count;
        check_table_set(&groups->offsets_by_name, name, (uint64_t)offset, found);
    }
    return &groups->offsets.items[found - 1];
}

static struct check_at at_group(uint32_t node, int64_t epoch, int64_t offset)
{
    return (struct check_at){node, NULL, epoch, offset};
}

/* ---- coordinators ---------------------------------------------------------------------------- */

/* G1. */
static void coordinator(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_groups *groups = all(check);
    uint64_t shard = (uint64_t)check_field(event, 0);
    uint64_t epoch = (uint64_t)check_field(event, 1);
    uint32_t known;

    if (check_field(event, 2) != SHARD_IS_ACTIVE) return;
    known = check_table_get(&groups->active, shard, epoch);
    check_count(check, CHECK_G1);
    if (known != 0 && known != node + 1) {
        CHECK_FAIL(check, G1, at_group(node, (int64_t)epoch, -1),
                   "two brokers coordinate partition %D of the offsets at leader epoch %D",
                   (int64_t)shard, (int64_t)epoch);
        return;
    }
    check_table_set(&groups->active, shard, epoch, node + 1);
}

/* The name begins anew: what members of its last life believe to hold counts no more. */
static void begin_life(struct check *check, struct group_ghost *group, struct str name)
{
    struct check_groups *groups = all(check);

    group->over = false;
    group->life++;
    for (uint32_t i = 0; i < groups->owned.count; i++) {
        struct owned_ghost *owned = &groups->owned.items[i];

        for (uint32_t n = 0; n < CHECK_NODES_MAX && owned->group == name_of(name); n++)
            if (owned->generation[n] > EARLIER_LIFE) owned->generation[n] = EARLIER_LIFE;
    }
}

/* The coordinator speaks of a member: "group member" or "group member topic". */
static void member_known(struct check *check, const struct trace_event *event)
{
    struct str name = group_part(event->text);
    struct str rest = {event->text.data + name.length, event->text.length - name.length};
    const struct group_ghost *group = group_of(check, name);

    if (check_field(event, 1) < group->epoch || rest.length == 0) return;
    rest = group_part((struct str){rest.data + 1, rest.length - 1});
    check_table_set(&all(check)->lives, name_of(name), name_of(rest) >> 1, group->life + 1);
}

/* G2, G18. */
static void state(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct group_ghost *group = group_of(check, event->text);
    int64_t epoch = check_field(event, 1);
    int64_t old = check_field(event, 2);
    int64_t new = check_field(event, 3);
    int64_t generation = check_field(event, 4);

    if (epoch < group->epoch || new == STATE_DEAD) return;
    group->epoch = epoch;
    group->empty = new == STATE_EMPTY;
    if (old == STATE_DEAD && new != STATE_EMPTY) group->over = false;
    /* One that had generations of the classic protocol would have to go on with them (G2). */
    if (old == STATE_EMPTY && new == STATE_PREPARING && generation == 0 && group->stable < 0)
        begin_life(check, group, event->text);
    if (old == STATE_DEAD && group->stable >= 0) {
        check_count(check, CHECK_G18);
        if (generation < group->stable)
            CHECK_FAIL(check, G18, at_group(node, epoch, -1),
                       "group %S is loaded with generation %D; members were given %D", event->text,
                       generation, group->stable);
    }
    if (old == STATE_DEAD && new == STATE_STABLE && group->floor >= 0) {
        check_count(check, CHECK_G18);
        if (generation < group->floor)
            CHECK_FAIL(check, G18, at_group(node, epoch, -1),
                       "group %S goes back to the classic protocol with generation %D; its epoch "
                       "was %D",
                       event->text, generation, group->floor);
    }
    /* A group without members gives its name away, and numbers begin anew. */
    if (old == STATE_DEAD || old == STATE_EMPTY) group->floor = -1;
    if (old != STATE_COMPLETING || new != STATE_STABLE) return;
    check_count(check, CHECK_G2);
    if (generation <= group->stable) {
        CHECK_FAIL(check, G2, at_group(node, epoch, -1),
                   "group %S is stable in generation %D; it was in %D before", event->text,
                   generation, group->stable);
        return;
    }
    group->stable = generation;
}

/* It is one of KIP-848 now: epochs go on where generations were, unless there was nobody left. 0:
 * it is one no more. */
static void epochs(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct group_ghost *group = group_of(check, event->text);
    int64_t leader_epoch = check_field(event, 1);
    int64_t epoch = check_field(event, 2);

    if (leader_epoch < group->epoch) return;
    if (epoch == 0) {
        group->over = true;
        return;
    }
    group->epoch = leader_epoch;
    if (group->over || group->empty) begin_life(check, group, event->text);
    if (group->stable >= 0 && !group->empty) {
        check_count(check, CHECK_G2);
        if (epoch < group->stable)
            CHECK_FAIL(check, G2, at_group(node, leader_epoch, -1),
                       "group %S has epoch %D after the upgrade; it was stable in generation %D",
                       event->text, epoch, group->stable);
    }
    group->stable = -1;
    group->empty = false;
    group->floor = epoch;
}

static void offset_committed(struct check *check, const struct trace_event *event)
{
    struct offset_ghost *ghost =
        offset_of(check, event->text, check_field(event, 2), check_field(event, 3));

    if (check_field(event, 4) > ghost->record) ghost->record = check_field(event, 4);
}

/* ---- members --------------------------------------------------------------------------------- */

/* What a client takes for its generation, as this life of the group counts. */
static int64_t counted(struct check *check, uint32_t node, struct str name, int64_t generation)
{
    struct check_groups *groups = all(check);
    uint32_t life = check_table_get(&groups->lives, name_of(name), groups->number[node]);

    return life == 0 || life == group_of(check, name)->life + 1 ? generation : EARLIER_LIFE;
}

/* G6, C15. */
static void owns(struct check *check, uint32_t node, const struct trace_event *event)
{
    int64_t partition = check_field(event, 0);
    int64_t generation = check_field(event, 1);
    bool gets = check_field(event, 2) == OWNS_ASSIGNED;
    struct owned_ghost *owned = owned_of(check, event->text, partition);

    check_count(check, CHECK_C15);
    if (gets == (owned->generation[node] >= 0)) {
        CHECK_FAIL(check, C15, at_group(node, generation, -1), "%S partition %D: %s", event->text,
                   partition, gets ? "assigned twice" : "taken from who does not have it");
        return;
    }
    owned->generation[node] = gets ? counted(check, node, group_part(event->text), generation) : -1;
    for (uint32_t other = 0; other < CHECK_NODES_MAX && gets; other++) {
        if (other == node || owned->generation[other] < 0) continue;
        check_count(check, CHECK_G6);
        if (check_consumer_takes_over(check, node, other, event)) return;
        if (owned->generation[other] != owned->generation[node] ||
            owned->generation[node] == EARLIER_LIFE)
            continue;
        CHECK_FAIL(check, G6, at_group(node, generation, -1),
                   "%S partition %D has two owners in generation %D", event->text, partition,
                   generation);
        return;
    }
    if (gets) check_count(check, CHECK_G6);
}

/* What a member holds when it gets an assignment it holds in that generation, also what it is about
 * to give up: nobody else may have that yet (G6, G20). */
static void member_state(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct check_groups *groups = all(check);
    int64_t generation;

    groups->number[node] = (uint64_t)check_field(event, 3);
    if (check_field(event, 1) != MEMBER_IS_ASSIGNING) return;
    generation = counted(check, node, event->text, check_field(event, 2));
    for (uint32_t i = 0; i < groups->owned.count; i++) {
        struct owned_ghost *owned = &groups->owned.items[i];

        if (owned->generation[node] < 0) continue;
        owned->generation[node] = generation;
        check_count(check, CHECK_G6);
        for (uint32_t other = 0; other < CHECK_NODES_MAX; other++) {
            if (other == node || owned->generation[other] != generation ||
                generation == EARLIER_LIFE)
                continue;
            CHECK_FAIL(check, G6, at_group(node, generation, -1),
                       "group %S: a partition that changes hands has two owners in generation %D",
                       event->text, generation);
            return;
        }
    }
}

/* G8. */
static void acked(struct check *check, uint32_t node, const struct trace_event *event,
                  struct progress_ghost *progress)
{
    int64_t offset = check_field(event, 1);
    int64_t generation = check_field(event, 2);
    const struct offset_ghost *ghost = offset_of(check, event->text, check_field(event, 0), offset);

    if (generation >= 0) {
        check_count(check, CHECK_G8);
        if (generation < progress->stable_then[node]) {
            CHECK_FAIL(check, G8, at_group(node, generation, offset),
                       "%S partition %D: a commit of generation %D was accepted; %D was stable "
                       "before it was sent",
                       event->text, check_field(event, 0), generation, progress->stable_then[node]);
            return;
        }
    }
    if (progress->sent_now[node] < progress->acked_sent) return;
    progress->acked_sent = progress->sent_now[node];
    progress->acked_offset = offset;
    if (ghost->record > progress->acked_record) progress->acked_record = ghost->record;
}

/* G9, G10. */
static void fetched(struct check *check, uint32_t node, const struct trace_event *event,
                    const struct progress_ghost *progress)
{
    int64_t partition = check_field(event, 0);
    int64_t offset = check_field(event, 1);
    const struct offset_ghost *ghost;

    if (offset < 0) {
        check_count(check, CHECK_G9);
        if (progress->acked_sent > 0)
            CHECK_FAIL(check, G9, at_group(node, -1, offset),
                       "%S partition %D: no offset is told; %D was acknowledged", event->text,
                       partition, progress->acked_offset);
        return;
    }
    ghost = offset_of(check, event->text, partition, offset);
    check_count(check, CHECK_G10);
    if (ghost->sent == 0) {
        CHECK_FAIL(check, G10, at_group(node, -1, offset),
                   "%S partition %D: offset %D is told, which nobody committed", event->text,
                   partition, offset);
        return;
    }
    check_count(check, CHECK_G9);
    if (ghost->sent < progress->acked_sent && ghost->record < progress->acked_record)
        CHECK_FAIL(check, G9, at_group(node, -1, offset),
                   "%S partition %D: offset %D is told; %D was committed and acknowledged later",
                   event->text, partition, offset, progress->acked_offset);
}

static void member_offset(struct check *check, uint32_t node, const struct trace_event *event)
{
    struct progress_ghost *progress = progress_of(check, event->text, check_field(event, 0));

    switch (check_field(event, 3)) {
    case OFFSET_SENT:
        progress->sent_now[node] = ++check->groups->commits;
        progress->stable_then[node] = group_of(check, group_part(event->text))->stable;
        offset_of(check, event->text, check_field(event, 0), check_field(event, 1))->sent =
            progress->sent_now[node];
        return;
    case OFFSET_ANSWERED:
        if (check_field(event, 4) == 0) acked(check, node, event, progress);
        return;
    case OFFSET_FETCHED:
        if (check_field(event, 4) == 0) fetched(check, node, event, progress);
        return;
    default: return;
    }
}

void check_group_down(struct check *check, uint32_t node)
{
    struct check_groups *groups = check->groups;

    for (uint32_t i = 0; groups != NULL && i < groups->owned.count; i++)
        groups->owned.items[i].generation[node] = -1;
}

bool check_group_event(struct check *check, uint32_t node, const struct trace_event *event)
{
    if (event->kind == TRACE_GROUP_COORDINATOR) {
        coordinator(check, node, event);
    } else if (event->kind == TRACE_GROUP_STATE) {
        state(check, node, event);
    } else if (event->kind == TRACE_GROUP_EPOCHS) {
        epochs(check, node, event);
    } else if (event->kind == TRACE_GROUP_MEMBER || event->kind == TRACE_GROUP_OWNED) {
        member_known(check, event);
    } else if (event->kind == TRACE_GROUP_OFFSET) {
        offset_committed(check, event);
    } else if (event->kind == TRACE_CLIENT_OWNS) {
        owns(check, node, event);
    } else if (event->kind == TRACE_CLIENT_OFFSET) {
        member_offset(check, node, event);
    } else if (event->kind == TRACE_CLIENT_GROUP) {
        member_state(check, node, event);
    } else {
        return false;
    }
    return true;
}
