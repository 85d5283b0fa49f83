/* range (groups.md 9.3): of each topic, every member that subscribes to it gets partitions /
 * members, the first partitions % members of them one more, in contiguous blocks.
 *
 * Where racks matter for some topic (KIP-881), two things go before:
 *   - topics with the same members and as many partitions are one group: partition n of all of them
 *     goes to the first member with room that is near to every one, so that joins stay possible;
 *   - a topic alone: each member in turn takes what it is near to, as far as it has room.
 * Then the rest goes as without racks, into the room that is left. Who takes one more first uses up
 * one of the partitions % members.
 * (9.3 names the second step for all topics; Java, like this, takes it for those alone only.) */
#include "client/assignor.h"

#include <string.h>

struct range {
    struct assignor_plan *plan;
    const uint32_t *sorted;
    /* of the topics that are dealt with: the same for all of a group */
    uint32_t share; /* for everybody */
    uint32_t extra; /* members that may still have one more */
    uint32_t *got;  /* of a member */
    uint32_t *got_together;
    uint32_t *group; /* topics */
    uint32_t group_count;
    bool *done; /* of a topic */
};

static uint32_t range_room(const struct range *range, uint32_t member)
{
    uint32_t most = range->share + (range->extra > 0);

    return most > range->got[member] ? most - range->got[member] : 0;
}

static void range_took(struct range *range, uint32_t member, uint32_t count)
{
    range->got[member] += count;
    if (count > 0 && range->got[member] > range->share) range->extra--;
}

/* By members in their order; `near`: only what they are near to. */
static void range_fill(struct range *range, uint32_t topic, bool near)
{
    struct assignor_plan *plan = range->plan;
    uint32_t first = plan->base[topic];

    for (uint32_t i = 0; i < plan->task->members_count; i++) {
        uint32_t member = range->sorted[i];
        uint32_t room = range_room(range, member);
        uint32_t count = 0;

        if (!assignor_wants(plan, member, topic)) continue;
        for (uint32_t p = first; p < plan->base[topic + 1] && count < room; p++) {
            if (!near) first = p;
            if (plan->owner[p] >= 0 || (near && !assignor_near(plan, member, p))) continue;
            assignor_give(plan, p, member);
            count++;
        }
        range_took(range, member, count);
    }
}

/* ---- topics that belong together ------------------------------------------------------------- */

static bool range_near_all(const struct range *range, uint32_t member, uint32_t partition)
{
    for (uint32_t i = 0; i < range->group_count; i++)
        if (!assignor_near(range->plan, member, range->plan->base[range->group[i]] + partition))
            return false;
    return true;
}

static void range_together(struct range *range)
{
    struct assignor_plan *plan = range->plan;
    uint32_t topic = range->group[0];

    for (uint32_t n = 0; n < plan->task->topics[topic].partitions; n++) {
        for (uint32_t i = 0; i < plan->task->members_count; i++) {
            uint32_t member = range->sorted[i];

            if (!assignor_wants(plan, member, topic) || range_room(range, member) == 0 ||
                !range_near_all(range, member, n))
                continue;
            for (uint32_t g = 0; g < range->group_count; g++)
                assignor_give(plan, plan->base[range->group[g]] + n, member);
            range_took(range, member, 1);
            break;
        }
    }
}

static bool range_same(const struct assignor_plan *plan, uint32_t topic, uint32_t other)
{
    if (plan->task->topics[topic].partitions != plan->task->topics[other].partitions) return false;
    for (uint32_t m = 0; m < plan->task->members_count; m++)
        if (assignor_wants(plan, m, topic) != assignor_wants(plan, m, other)) return false;
    return true;
}

/* ---- the run --------------------------------------------------------------------------------- */

static uint64_t range_racks(const struct assignor_plan *plan, uint32_t topic)
{
    uint64_t racks = 0;

    for (uint32_t m = 0; m < plan->task->members_count; m++)
        if (assignor_wants(plan, m, topic)) racks |= plan->task->members[m].rack;
    return racks;
}

static bool range_matters(const struct assignor_plan *plan, uint32_t topic)
{
    return assignor_racks_matter(plan, plan->base[topic], plan->base[topic + 1],
                                 range_racks(plan, topic));
}

/* `topic`, and with racks those that belong to it. */
static void range_topics(struct range *range, uint32_t topic, bool racks)
{
    const struct assignor_plan *plan = range->plan;
    const struct assignor_task *task = plan->task;
    uint32_t members = 0;
    uint32_t extra;

    for (uint32_t m = 0; m < task->members_count; m++)
        members += assignor_wants(plan, m, topic);
    if (members == 0) return;
    range->group_count = 0;
    for (uint32_t t = topic; t < (racks ? task->topics_count : topic + 1); t++) {
        if (range->done[t] || !range_same(plan, topic, t)) continue;
        range->done[t] = true;
        range->group[range->group_count++] = t;
    }
    range->share = task->topics[topic].partitions / members;
    range->extra = task->topics[topic].partitions % members;
    memset(range->got, 0, task->members_count * sizeof *range->got);
    if (racks && range->group_count > 1) {
        if (range_racks(plan, topic) != 0) range_together(range);
    } else if (racks && range_matters(plan, topic)) {
        range_fill(range, topic, true);
    }
    extra = range->extra;
    memcpy(range->got_together, range->got, task->members_count * sizeof *range->got);
    for (uint32_t g = 0; g < range->group_count; g++) {
        range->extra = extra;
        memcpy(range->got, range->got_together, task->members_count * sizeof *range->got);
        range_fill(range, range->group[g], false);
    }
}

enum err assignor_range(struct assignor_plan *plan, const uint32_t *sorted)
{
    const struct assignor_task *task = plan->task;
    struct range range = {.plan = plan, .sorted = sorted};
    bool racks = false;

    range.got = arena_alloc(task->arena, task->members_count * sizeof *range.got);
    range.got_together = arena_alloc(task->arena, task->members_count * sizeof *range.got);
    range.group = arena_alloc(task->arena, task->topics_count * sizeof *range.group);
    range.done = arena_zalloc(task->arena, task->topics_count * sizeof *range.done);
    if (range.got == NULL || range.got_together == NULL || range.group == NULL ||
        range.done == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t t = 0; t < task->topics_count && !racks; t++)
        racks = range_matters(plan, t);
    for (uint32_t t = 0; t < task->topics_count; t++)
        if (!range.done[t]) range_topics(&range, t, racks);
    for (uint32_t p = 0; p < plan->total; p++)
        plan->order[p] = p; /* results by topic and partition */
    return ERR_NONE;
}
