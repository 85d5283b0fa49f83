/* The sticky assignors where members subscribe to different topics (GENERAL of groups.md 9.5):
 * keep what is owned, give the rest to whoever has least, then move partitions one by one from
 * members with more to members with less until nothing helps.
 *
 * Partitions are visited in the order P: topics by (number of subscribed members, name). "Least" is
 * by (partitions held, member id). A partition that would only exchange two of one topic is not
 * moved: the one that moved the other way goes back instead.
 * Where racks matter, what is far from its owner's rack is given up, and what nobody has goes to
 * members near to it first; moves for the balance take no notice of racks, as in Java.
 * DIFFERS: Java picks any of those that moved the other way; here it is the smallest. Java may move
 * a partition back to a previous owner that does not subscribe to it any more; here never. */
#include "client/assignor.h"

#include <string.h>

struct general {
    struct assignor_plan *plan;
    uint32_t *subscribers; /* of a topic */
    uint32_t *possible;    /* of a member: partitions it could have */
    bool *fixed_member;    /* has all it can have, and none of it can go elsewhere */
    uint32_t *visit;       /* partitions in the order P */
    uint32_t visit_count;
    uint32_t *fresh; /* those that nobody had, in the order P */
    uint32_t fresh_count;
    int32_t *previous; /* owner of an older generation; -1 */
    int32_t *moved_from;
    int32_t *moved_to; /* -1: the partition was not moved */
    bool revocation;   /* a member has what it must give up: not subscribed to, or far away */
};

static bool by_subscribers(const struct assignor_plan *plan, uint32_t a, uint32_t b)
{
    /* counts of subscribers stand in `order` while the topics are sorted */
    uint32_t one = plan->order[a];
    uint32_t other = plan->order[b];

    return one != other ? one < other : a < b;
}

static bool movable(const struct general *general, uint32_t topic)
{
    return general->subscribers[topic] >= 2;
}

static uint32_t held(const struct general *general, int32_t member)
{
    return general->plan->counts[member];
}

static bool suits(const struct assignor_plan *plan, uint32_t member, uint32_t partition, bool near)
{
    return assignor_wants(plan, member, plan->topic_of[partition]) &&
           (!near || assignor_near(plan, member, partition));
}

/* The first in S that may have the partition, or that is near to it, too; -1: nobody. */
static int32_t least(const struct general *general, uint32_t partition, bool near)
{
    const struct assignor_plan *plan = general->plan;
    int32_t found = -1;

    for (uint32_t m = 0; m < plan->task->members_count; m++) {
        if (general->fixed_member[m] || !suits(plan, m, partition, near)) continue;
        if (found < 0 || plan->counts[m] < held(general, found) ||
            (plan->counts[m] == held(general, found) && assignor_by_id(plan, m, (uint32_t)found)))
            found = (int32_t)m;
    }
    return found;
}

/* ---- before --------------------------------------------------------------------------------- */

static enum err general_init(struct general *general, struct assignor_plan *plan)
{
    const struct assignor_task *task = plan->task;
    struct arena *arena = task->arena;
    size_t partitions = plan->total;

    *general = (struct general){.plan = plan};
    general->subscribers = arena_zalloc(arena, task->topics_count * sizeof(uint32_t));
    general->possible = arena_zalloc(arena, task->members_count * sizeof(uint32_t));
    general->fixed_member = arena_zalloc(arena, task->members_count * sizeof(bool));
    general->visit = arena_alloc(arena, partitions * sizeof(uint32_t));
    general->fresh = arena_alloc(arena, partitions * sizeof(uint32_t));
    general->previous = arena_alloc(arena, partitions * sizeof(int32_t));
    general->moved_from = arena_alloc(arena, partitions * sizeof(int32_t));
    general->moved_to = arena_alloc(arena, partitions * sizeof(int32_t));
    if (general->subscribers == NULL || general->possible == NULL ||
        general->fixed_member == NULL || general->visit == NULL || general->fresh == NULL ||
        general->previous == NULL || general->moved_from == NULL || general->moved_to == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t p = 0; p < plan->total; p++) {
        general->previous[p] = -1;
        general->moved_from[p] = -1;
        general->moved_to[p] = -1;
    }
    for (uint32_t m = 0; m < task->members_count; m++) {
        for (uint32_t t = 0; t < task->topics_count; t++) {
            if (!assignor_wants(plan, m, t)) continue;
            general->subscribers[t]++;
            general->possible[m] += task->topics[t].partitions;
        }
    }
    return ERR_NONE;
}

/* The order P. Borrows plan->order, which nobody needs yet. */
static enum err general_visit(struct general *general)
{
    struct assignor_plan *plan = general->plan;
    const struct assignor_task *task = plan->task;
    uint32_t *topics = arena_alloc(task->arena, task->topics_count * sizeof *topics);
    uint32_t *kept = plan->order;

    if (topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t t = 0; t < task->topics_count; t++)
        topics[t] = t;
    plan->order = general->subscribers;
    assignor_sort(topics, task->topics_count, by_subscribers, plan);
    plan->order = kept;
    for (uint32_t i = 0; i < task->topics_count; i++) {
        if (general->subscribers[topics[i]] == 0) continue;
        for (uint32_t p = plan->base[topics[i]]; p < plan->base[topics[i] + 1]; p++)
            general->visit[general->visit_count++] = p;
    }
    return ERR_NONE;
}

/* Who had it in an older generation: the latest of those. */
static void general_previous(struct general *general)
{
    struct assignor_plan *plan = general->plan;
    const struct assignor_task *task = plan->task;

    for (uint32_t m = 0; m < task->members_count; m++) {
        const struct assignor_member *member = &task->members[m];

        if (member->generation >= task->max_generation) continue;
        for (uint32_t n = 0; n < member->owned_count; n++) {
            const struct assignor_partition *owned = &member->owned[n];
            int32_t *previous;

            if (owned->topic >= task->topics_count || owned->index < 0 ||
                (uint32_t)owned->index >= task->topics[owned->topic].partitions ||
                !assignor_wants(plan, m, owned->topic))
                continue;
            previous = &general->previous[plan->base[owned->topic] + (uint32_t)owned->index];
            if (*previous < 0 || task->members[*previous].generation < member->generation)
                *previous = (int32_t)m;
        }
    }
}

static void general_keep(struct general *general, const int32_t *claims)
{
    struct assignor_plan *plan = general->plan;

    for (uint32_t p = 0; p < plan->total; p++) {
        if (claims[p] < 0 || general->subscribers[plan->topic_of[p]] == 0) continue;
        if (suits(plan, (uint32_t)claims[p], p, true)) {
            assignor_give(plan, p, (uint32_t)claims[p]);
        } else {
            general->revocation = true;
        }
    }
    for (uint32_t i = 0; i < general->visit_count; i++)
        if (plan->owner[general->visit[i]] < 0)
            general->fresh[general->fresh_count++] = general->visit[i];
}

static void general_deal(struct general *general, bool near)
{
    for (uint32_t i = 0; i < general->fresh_count; i++) {
        uint32_t p = general->fresh[i];
        int32_t member = general->plan->owner[p] >= 0 ? -1 : least(general, p, near);

        if (member >= 0) assignor_give(general->plan, p, (uint32_t)member);
    }
}

/* What cannot move is taken out of the lists. */
static uint32_t general_narrow(const struct general *general, uint32_t *list, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++)
        if (movable(general, general->plan->topic_of[list[i]])) list[kept++] = list[i];
    return kept;
}

static void general_fix(struct general *general)
{
    const struct assignor_plan *plan = general->plan;

    for (uint32_t m = 0; m < plan->task->members_count; m++)
        general->fixed_member[m] = plan->counts[m] >= general->possible[m];
    for (uint32_t p = 0; p < plan->total; p++)
        if (plan->owner[p] >= 0 && movable(general, plan->topic_of[p]))
            general->fixed_member[plan->owner[p]] = false;
}

/* ---- moving --------------------------------------------------------------------------------- */

static bool general_balanced(const struct general *general)
{
    const struct assignor_plan *plan = general->plan;
    const struct assignor_task *task = plan->task;
    uint32_t fewest = UINT32_MAX;
    uint32_t most = 0;

    for (uint32_t m = 0; m < task->members_count; m++) {
        if (general->fixed_member[m]) continue;
        if (plan->counts[m] < fewest) fewest = plan->counts[m];
        if (plan->counts[m] > most) most = plan->counts[m];
    }
    if (fewest == UINT32_MAX || fewest + 1 >= most) return true;
    for (uint32_t m = 0; m < task->members_count; m++) {
        if (general->fixed_member[m] || plan->counts[m] == general->possible[m]) continue;
        for (uint32_t p = 0; p < plan->total; p++) {
            int32_t owner = plan->owner[p];

            if (owner < 0 || owner == (int32_t)m || !assignor_wants(plan, m, plan->topic_of[p]))
                continue;
            if (plan->counts[m] + 1 < held(general, owner)) return false;
        }
    }
    return true;
}

static void general_move(struct general *general, uint32_t partition, int32_t to)
{
    struct assignor_plan *plan = general->plan;
    uint32_t topic = plan->topic_of[partition];
    int32_t source =
        general->moved_to[partition] >= 0 ? general->moved_from[partition] : plan->owner[partition];

    /* One of this topic that went the other way goes back instead. */
    for (uint32_t p = plan->base[topic]; p < plan->base[topic + 1]; p++) {
        if (general->moved_to[p] != source || general->moved_from[p] != to) continue;
        partition = p;
        break;
    }
    if (general->moved_to[partition] < 0) {
        general->moved_from[partition] = plan->owner[partition];
        general->moved_to[partition] = to;
    } else if (general->moved_from[partition] == to) {
        general->moved_from[partition] = -1;
        general->moved_to[partition] = -1;
    } else {
        general->moved_to[partition] = to;
    }
    assignor_take(plan, partition);
    assignor_give(plan, partition, (uint32_t)to);
}

/* True: it went somewhere better. */
static bool general_improve(struct general *general, uint32_t partition)
{
    struct assignor_plan *plan = general->plan;
    uint32_t has = held(general, plan->owner[partition]);
    int32_t previous = general->previous[partition];
    int32_t to;

    if (previous >= 0 && !general->fixed_member[previous] && has > held(general, previous) + 1) {
        general_move(general, partition, previous);
        return true;
    }
    to = least(general, partition, false); /* if anybody has less by two, he has */
    if (to < 0 || has <= held(general, to) + 1) return false;
    general_move(general, partition, to);
    return true;
}

static bool general_reassign(struct general *general, const uint32_t *list, uint32_t count)
{
    bool any = false;
    bool moved = true;

    while (moved) {
        moved = false;
        for (uint32_t i = 0; i < count && !general_balanced(general); i++)
            moved |= general_improve(general, list[i]);
        any |= moved;
    }
    return any;
}

static uint64_t general_score(const struct general *general, const uint32_t *counts)
{
    uint32_t members = general->plan->task->members_count;
    uint64_t score = 0;

    for (uint32_t a = 0; a < members; a++) {
        for (uint32_t b = a + 1; b < members; b++) {
            if (general->fixed_member[a] || general->fixed_member[b]) continue;
            score += counts[a] > counts[b] ? counts[a] - counts[b] : counts[b] - counts[a];
        }
    }
    return score;
}

enum err assignor_general(struct assignor_plan *plan, const int32_t *claims)
{
    const struct assignor_task *task = plan->task;
    size_t owners_size = plan->total * sizeof *plan->owner;
    size_t counts_size = task->members_count * sizeof *plan->counts;
    int32_t *owners = arena_alloc(task->arena, owners_size);
    uint32_t *orders = arena_alloc(task->arena, plan->total * sizeof *orders);
    uint32_t *counts = arena_alloc(task->arena, counts_size);
    struct general general;
    bool initializing = true;
    bool moved;
    enum err err = general_init(&general, plan);

    if (err == ERR_NONE) err = general_visit(&general);
    if (err != ERR_NONE) return err;
    if (owners == NULL || orders == NULL || counts == NULL) return ERR_NO_MEMORY;
    general_previous(&general);
    for (uint32_t p = 0; p < plan->total && initializing; p++)
        initializing = claims[p] < 0 || !suits(plan, (uint32_t)claims[p], p, true);
    general_keep(&general, claims);
    if (plan->racks != NULL) general_deal(&general, true);
    general_deal(&general, false);
    general.visit_count = general_narrow(&general, general.visit, general.visit_count);
    general.fresh_count = general_narrow(&general, general.fresh, general.fresh_count);
    general_fix(&general);
    memcpy(owners, plan->owner, owners_size);
    memcpy(orders, plan->order, plan->total * sizeof *orders);
    memcpy(counts, plan->counts, counts_size);
    if (!general.revocation) (void)general_reassign(&general, general.fresh, general.fresh_count);
    moved = general_reassign(&general, general.visit, general.visit_count);
    if (!initializing && moved &&
        general_score(&general, plan->counts) >= general_score(&general, counts)) {
        memcpy(plan->owner, owners, owners_size);
        memcpy(plan->order, orders, plan->total * sizeof *orders);
        memcpy(plan->counts, counts, counts_size);
    }
    return ERR_NONE;
}
