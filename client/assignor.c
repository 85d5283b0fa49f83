#include "client/assignor.h"

#include <string.h>

static const char *const names[ASSIGNORS] = {
    [ASSIGNOR_RANGE] = "range",
    [ASSIGNOR_ROUNDROBIN] = "roundrobin",
    [ASSIGNOR_STICKY] = "sticky",
    [ASSIGNOR_COOPERATIVE_STICKY] = "cooperative-sticky",
};

struct str assignor_name(enum assignor assignor)
{
    return str_of(names[assignor]);
}

bool assignor_find(struct str name, enum assignor *assignor)
{
    for (uint32_t i = 0; i < ASSIGNORS; i++) {
        if (!str_equal(name, str_of(names[i]))) continue;
        *assignor = (enum assignor)i;
        return true;
    }
    return false;
}

/* ---- common --------------------------------------------------------------------------------- */

void assignor_give(struct assignor_plan *plan, uint32_t partition, uint32_t member)
{
    ASSERT(plan->owner[partition] < 0);
    plan->owner[partition] = (int32_t)member;
    plan->order[partition] = plan->given++;
    plan->counts[member]++;
}

void assignor_take(struct assignor_plan *plan, uint32_t partition)
{
    ASSERT(plan->owner[partition] >= 0);
    plan->counts[plan->owner[partition]]--;
    plan->owner[partition] = -1;
}

bool assignor_racks_matter(const struct assignor_plan *plan, uint32_t first, uint32_t end,
                           uint64_t members)
{
    uint64_t all = 0;

    if (plan->racks == NULL) return false;
    for (uint32_t p = first; p < end; p++)
        all |= plan->racks[p];
    if ((all & members) == 0) return false;
    for (uint32_t p = first; p < end; p++)
        if (plan->racks[p] != all) return true;
    return false;
}

static void sift(uint32_t *heap, uint32_t at, uint32_t count,
                 bool (*before)(const struct assignor_plan *plan, uint32_t a, uint32_t b),
                 const struct assignor_plan *plan)
{
    for (;;) {
        uint32_t child = at * 2 + 1;
        uint32_t moved;

        if (child >= count) return;
        if (child + 1 < count && before(plan, heap[child], heap[child + 1])) child++;
        if (!before(plan, heap[at], heap[child])) return;
        moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* A heap sort: no recursion, no memory, O(n log n) at worst. */
void assignor_sort(uint32_t *indexes, uint32_t count,
                   bool (*before)(const struct assignor_plan *plan, uint32_t a, uint32_t b),
                   const struct assignor_plan *plan)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift(indexes, i, count, before, plan);
    for (uint32_t last = count; last-- > 1;) {
        uint32_t largest = indexes[0];

        indexes[0] = indexes[last];
        indexes[last] = largest;
        sift(indexes, 0, last, before, plan);
    }
}

bool assignor_by_id(const struct assignor_plan *plan, uint32_t a, uint32_t b)
{
    const struct assignor_member *members = plan->task->members;
    int compared = str_compare(members[a].id, members[b].id);

    return compared != 0 ? compared < 0 : a < b;
}

/* Instance ids before member ids (groups.md 9.2). */
static bool by_instance(const struct assignor_plan *plan, uint32_t a, uint32_t b)
{
    struct str one = plan->task->members[a].instance_id;
    struct str other = plan->task->members[b].instance_id;
    int compared;

    if (one.data == NULL && other.data == NULL) return assignor_by_id(plan, a, b);
    if (one.data == NULL || other.data == NULL) return one.data != NULL;
    compared = str_compare(one, other);
    return compared != 0 ? compared < 0 : a < b;
}

/* ---- range (assignor_range.c) and roundrobin (9.4) ------------------------------------------ */

static void assign_roundrobin(struct assignor_plan *plan, const uint32_t *sorted)
{
    const struct assignor_task *task = plan->task;
    uint32_t at = 0;

    for (uint32_t partition = 0; partition < plan->total; partition++) {
        uint32_t topic = plan->topic_of[partition];
        uint32_t skipped = 0;

        while (skipped < task->members_count && !assignor_wants(plan, sorted[at], topic)) {
            at = (at + 1) % task->members_count;
            skipped++;
        }
        if (skipped == task->members_count) continue; /* nobody subscribes to it */
        assignor_give(plan, partition, sorted[at]);
        at = (at + 1) % task->members_count;
    }
}

static enum err assign_sorted(struct assignor_plan *plan)
{
    uint32_t count = plan->task->members_count;
    uint32_t *sorted = arena_alloc(plan->task->arena, count * sizeof *sorted);

    if (sorted == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = i;
    assignor_sort(sorted, count, by_instance, plan);
    if (plan->task->assignor == ASSIGNOR_RANGE) return assignor_range(plan, sorted);
    assign_roundrobin(plan, sorted);
    return ERR_NONE;
}

/* ---- the run -------------------------------------------------------------------------------- */

static enum err plan_init(struct assignor_plan *plan, struct assignor_task *task)
{
    struct arena *arena = task->arena;
    size_t partitions;

    *plan = (struct assignor_plan){.task = task};
    plan->base = arena_alloc(arena, (task->topics_count + 1) * sizeof *plan->base);
    if (plan->base == NULL) return ERR_NO_MEMORY;
    for (uint32_t t = 0; t < task->topics_count; t++) {
        ASSERT(t == 0 || str_compare(task->topics[t - 1].name, task->topics[t].name) < 0);
        plan->base[t] = plan->total;
        plan->total += task->topics[t].partitions;
    }
    plan->base[task->topics_count] = plan->total;
    partitions = plan->total;
    plan->topic_of = arena_alloc(arena, partitions * sizeof *plan->topic_of);
    plan->owner = arena_alloc(arena, partitions * sizeof *plan->owner);
    plan->order = arena_alloc(arena, partitions * sizeof *plan->order);
    plan->withheld = arena_zalloc(arena, partitions * sizeof *plan->withheld);
    plan->counts = arena_zalloc(arena, task->members_count * sizeof *plan->counts);
    plan->wanted = arena_zalloc(arena, (size_t)task->members_count * task->topics_count);
    if (plan->topic_of == NULL || plan->owner == NULL || plan->order == NULL ||
        plan->withheld == NULL || plan->counts == NULL || plan->wanted == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t t = 0; t < task->topics_count; t++) {
        for (uint32_t p = plan->base[t]; p < plan->base[t + 1]; p++) {
            plan->topic_of[p] = t;
            plan->owner[p] = -1;
        }
    }
    for (uint32_t m = 0; m < task->members_count; m++) {
        const struct assignor_member *member = &task->members[m];

        for (uint32_t t = 0; t < member->topics_count; t++)
            plan->wanted[(size_t)m * task->topics_count + member->topics[t]] = true;
    }
    return ERR_NONE;
}

/* Only when some member has one. */
static enum err plan_racks(struct assignor_plan *plan)
{
    const struct assignor_task *task = plan->task;
    uint64_t members = 0;

    for (uint32_t m = 0; m < task->members_count; m++)
        members |= task->members[m].rack;
    if (members == 0) return ERR_NONE;
    plan->racks = arena_zalloc(task->arena, plan->total * sizeof *plan->racks);
    if (plan->racks == NULL) return ERR_NO_MEMORY;
    for (uint32_t t = 0; t < task->topics_count; t++)
        if (task->topics[t].racks != NULL && task->topics[t].partitions > 0)
            memcpy(&plan->racks[plan->base[t]], task->topics[t].racks,
                   task->topics[t].partitions * sizeof *plan->racks);
    return ERR_NONE;
}

/* Where the order of giving is the order of the result. */
static bool by_order(const struct assignor_plan *plan, uint32_t a, uint32_t b)
{
    return plan->order[a] < plan->order[b];
}

static enum err plan_result(struct assignor_plan *plan)
{
    struct assignor_task *task = plan->task;
    uint32_t *sorted = arena_alloc(task->arena, plan->total * sizeof *sorted);
    uint32_t count = 0;

    if (sorted == NULL) return ERR_NO_MEMORY;
    for (uint32_t m = 0; m < task->members_count; m++) {
        struct assignor_member *member = &task->members[m];

        member->assigned_count = 0;
        member->assigned = arena_alloc(task->arena, plan->counts[m] * sizeof *member->assigned);
        if (member->assigned == NULL) return ERR_NO_MEMORY;
    }
    for (uint32_t p = 0; p < plan->total; p++)
        if (plan->owner[p] >= 0 && !plan->withheld[p]) sorted[count++] = p;
    assignor_sort(sorted, count, by_order, plan);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t p = sorted[i];
        struct assignor_member *member = &task->members[plan->owner[p]];

        member->assigned[member->assigned_count++] = (struct assignor_partition){
            plan->topic_of[p], (int32_t)(p - plan->base[plan->topic_of[p]])};
    }
    return ERR_NONE;
}

bool assignor_topic_find(const struct assignor_topic *topics, uint32_t count, struct str name,
                         uint32_t *index)
{
    uint32_t low = 0;
    uint32_t high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int compared = str_compare(topics[middle].name, name);

        if (compared == 0) {
            *index = middle;
            return true;
        }
        if (compared < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

enum err assignor_run(struct assignor_task *task)
{
    struct assignor_plan plan;
    enum err err;

    if (task->members_count == 0) return ERR_NONE;
    err = plan_init(&plan, task);
    if (err == ERR_NONE) err = plan_racks(&plan);
    if (err != ERR_NONE) return err;
    switch (task->assignor) {
    case ASSIGNOR_RANGE:
    case ASSIGNOR_ROUNDROBIN: err = assign_sorted(&plan); break;
    case ASSIGNOR_STICKY:
    case ASSIGNOR_COOPERATIVE_STICKY: err = assignor_sticky(&plan); break;
    }
    return err == ERR_NONE ? plan_result(&plan) : err;
}
