#include "broker/group/uniform.h"

#include <string.h>

enum { ROUNDS_MAX = 16, NOBODY = -1 };

struct plan {
    struct assignor_task *task;
    uint32_t *base;  /* partitions of topic t: base[t] .. base[t + 1] - 1 */
    int32_t *owner;  /* by partition number; NOBODY */
    uint32_t *count; /* by member */
    uint32_t *held;  /* by member: how many of the topic that is looked at */
    bool *wanted;    /* members x topics */
};

static bool wants(const struct plan *plan, uint32_t member, uint32_t topic)
{
    return plan->wanted[(size_t)member * plan->task->topics_count + topic];
}

static enum err plan_init(struct plan *plan, struct assignor_task *task)
{
    uint32_t total = 0;

    *plan = (struct plan){.task = task};
    plan->base = arena_alloc(task->arena, (task->topics_count + 1) * sizeof *plan->base);
    if (plan->base == NULL) return ERR_NO_MEMORY;
    for (uint32_t t = 0; t < task->topics_count; t++) {
        plan->base[t] = total;
        total += task->topics[t].partitions;
    }
    plan->base[task->topics_count] = total;
    plan->owner = arena_alloc(task->arena, total * sizeof *plan->owner);
    plan->count = arena_zalloc(task->arena, task->members_count * sizeof *plan->count);
    plan->held = arena_zalloc(task->arena, task->members_count * sizeof *plan->held);
    plan->wanted = arena_zalloc(task->arena, (size_t)task->members_count * task->topics_count);
    if (plan->owner == NULL || plan->count == NULL || plan->held == NULL || plan->wanted == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t p = 0; p < total; p++)
        plan->owner[p] = NOBODY;
    for (uint32_t m = 0; m < task->members_count; m++)
        for (uint32_t t = 0; t < task->members[m].topics_count; t++)
            plan->wanted[(size_t)m * task->topics_count + task->members[m].topics[t]] = true;
    return ERR_NONE;
}

static void give(struct plan *plan, uint32_t partition, uint32_t member)
{
    int32_t before = plan->owner[partition];

    if (before != NOBODY) plan->count[before]--;
    plan->owner[partition] = (int32_t)member;
    plan->count[member]++;
}

/* The number of a partition that this member has, may have and nobody else took; or UINT32_MAX. */
static uint32_t number_of(const struct plan *plan, uint32_t member, struct assignor_partition one)
{
    uint32_t number;

    if (one.index < 0 || (uint32_t)one.index >= plan->task->topics[one.topic].partitions ||
        !wants(plan, member, one.topic))
        return UINT32_MAX;
    number = plan->base[one.topic] + (uint32_t)one.index;
    return plan->owner[number] == NOBODY ? number : UINT32_MAX;
}

static void keep(struct plan *plan, uint32_t member, uint32_t most)
{
    const struct assignor_member *from = &plan->task->members[member];

    for (uint32_t i = 0; i < from->owned_count && plan->count[member] < most; i++) {
        uint32_t number = number_of(plan, member, from->owned[i]);

        if (number != UINT32_MAX) give(plan, number, member);
    }
}

/* ---- all the same ---------------------------------------------------------------------------- */

static bool all_same(const struct plan *plan)
{
    for (uint32_t m = 1; m < plan->task->members_count; m++)
        for (uint32_t t = 0; t < plan->task->topics_count; t++)
            if (wants(plan, m, t) != wants(plan, 0, t)) return false;
    return true;
}

static void assign_same(struct plan *plan)
{
    uint32_t members = plan->task->members_count;
    uint32_t total = 0;
    uint32_t extra;
    uint32_t least;
    uint32_t at = 0;

    for (uint32_t t = 0; t < plan->task->topics_count; t++)
        if (wants(plan, 0, t)) total += plan->task->topics[t].partitions;
    least = total / members;
    extra = total % members;
    for (uint32_t m = 0; m < members; m++)
        keep(plan, m, least);
    for (uint32_t m = 0; m < members && extra > 0; m++) {
        if (plan->count[m] < least) continue;
        keep(plan, m, least + 1);
        if (plan->count[m] > least) extra--;
    }
    for (uint32_t t = 0; t < plan->task->topics_count; t++) {
        for (uint32_t p = plan->base[t]; wants(plan, 0, t) && p < plan->base[t + 1]; p++) {
            if (plan->owner[p] != NOBODY) continue;
            while (plan->count[at] > least || (plan->count[at] == least && extra == 0))
                at++;
            if (plan->count[at] == least) extra--;
            give(plan, p, at);
        }
    }
}

/* ---- each its own ---------------------------------------------------------------------------- */

static uint32_t subscribers(const struct plan *plan, uint32_t topic)
{
    uint32_t count = 0;

    for (uint32_t m = 0; m < plan->task->members_count; m++)
        count += wants(plan, m, topic);
    return count;
}

/* More partitions a subscriber first, then fewer subscribers, then by name. */
static bool before(const struct plan *plan, uint32_t a, uint32_t b)
{
    uint64_t subscribers_a = subscribers(plan, a);
    uint64_t subscribers_b = subscribers(plan, b);
    uint64_t one = plan->task->topics[a].partitions * subscribers_b;
    uint64_t other = plan->task->topics[b].partitions * subscribers_a;

    if (one != other) return one > other;
    if (subscribers_a != subscribers_b) return subscribers_a < subscribers_b;
    return a < b;
}

/* The subscriber that has least of all topics; UINT32_MAX: there is none. */
static uint32_t poorest(const struct plan *plan, uint32_t topic)
{
    uint32_t found = UINT32_MAX;

    for (uint32_t m = 0; m < plan->task->members_count; m++) {
        if (!wants(plan, m, topic)) continue;
        if (found == UINT32_MAX || plan->count[m] < plan->count[found]) found = m;
    }
    return found;
}

/* What the one has of all topics that has most, of those that have some of this one: another has
 * nothing to give here, however much it has. */
static uint32_t most_of_holders(const struct plan *plan)
{
    uint32_t most = 0;

    for (uint32_t m = 0; m < plan->task->members_count; m++)
        if (plan->held[m] > 0 && plan->count[m] > most) most = plan->count[m];
    return most;
}

/* True: something moved. The topic has subscribers: all of it is owned. */
static bool balance(struct plan *plan, uint32_t topic)
{
    bool moved = false;

    memset(plan->held, 0, plan->task->members_count * sizeof *plan->held);
    for (uint32_t p = plan->base[topic]; p < plan->base[topic + 1]; p++)
        plan->held[plan->owner[p]]++;
    for (uint32_t p = plan->base[topic]; p < plan->base[topic + 1]; p++) {
        uint32_t least = poorest(plan, topic);
        int32_t owner = plan->owner[p];

        if (plan->count[owner] <= plan->count[least] + 1) continue;
        if (plan->count[owner] < most_of_holders(plan)) continue;
        plan->held[owner]--;
        plan->held[least]++;
        give(plan, p, least);
        moved = true;
    }
    return moved;
}

static enum err assign_own(struct plan *plan)
{
    uint32_t topics = plan->task->topics_count;
    uint32_t *order = arena_alloc(plan->task->arena, topics * sizeof *order);

    if (order == NULL) return ERR_NO_MEMORY;
    for (uint32_t t = 0; t < topics; t++) {
        uint32_t place = t;

        for (; place > 0 && before(plan, t, order[place - 1]); place--)
            order[place] = order[place - 1];
        order[place] = t;
    }
    for (uint32_t m = 0; m < plan->task->members_count; m++)
        keep(plan, m, UINT32_MAX);
    for (uint32_t i = 0; i < topics; i++) {
        for (uint32_t p = plan->base[order[i]]; p < plan->base[order[i] + 1]; p++) {
            uint32_t least = poorest(plan, order[i]);

            if (least != UINT32_MAX && plan->owner[p] == NOBODY) give(plan, p, least);
        }
    }
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        bool moved = false;

        for (uint32_t i = 0; i < topics; i++)
            if (subscribers(plan, order[i]) > 1) moved = balance(plan, order[i]) || moved;
        if (!moved) break;
    }
    return ERR_NONE;
}

/* ---- the run --------------------------------------------------------------------------------- */

static enum err collect(const struct plan *plan)
{
    struct assignor_task *task = plan->task;

    for (uint32_t m = 0; m < task->members_count; m++) {
        struct assignor_member *member = &task->members[m];

        member->assigned_count = 0;
        member->assigned = arena_alloc(task->arena, plan->count[m] * sizeof *member->assigned);
        if (member->assigned == NULL) return ERR_NO_MEMORY;
    }
    for (uint32_t t = 0; t < task->topics_count; t++) {
        for (uint32_t p = plan->base[t]; p < plan->base[t + 1]; p++) {
            struct assignor_member *member;

            if (plan->owner[p] == NOBODY) continue;
            member = &task->members[plan->owner[p]];
            member->assigned[member->assigned_count++] =
                (struct assignor_partition){t, (int32_t)(p - plan->base[t])};
        }
    }
    return ERR_NONE;
}

enum err uniform_run(struct assignor_task *task)
{
    struct plan plan;
    enum err err;

    if (task->members_count == 0) return ERR_NONE;
    err = plan_init(&plan, task);
    if (err != ERR_NONE) return err;
    if (all_same(&plan)) {
        assign_same(&plan);
    } else {
        err = assign_own(&plan);
    }
    return err == ERR_NONE ? collect(&plan) : err;
}
