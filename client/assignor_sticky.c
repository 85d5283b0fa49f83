/* sticky and cooperative-sticky where all members subscribe to the same topics; the general case is
 * in assignor_general.c. The steps are numbered as in groups.md 9.5:
 *
 *   1  everybody keeps what he has, up to his quota; too much, or far from his rack, is released
 *   3  only where racks matter: what nobody has, the least wanted first, goes round those below the
 *      minimum that are near to it, or to the first one exactly at it that is
 *   4  what is left goes round those below the minimum, then to those exactly at it
 *   5  what one member released and another one got changes hands (withheld when cooperative)
 *
 * N partitions, M members: everybody gets N / M, and N % M of them one more ("over"). */
#include "client/assignor.h"

#include <string.h>

enum { JAVA_TABLE_MIN = 16 };

struct sticky {
    struct assignor_plan *plan;
    int32_t *claims;   /* of a partition: who has it; -1 */
    bool *doubly;      /* claimed by two of one generation */
    int32_t *released; /* by whom */
    uint32_t *visit;   /* members in the order of a Java hash table */
    uint32_t *under;   /* U: below the minimum */
    uint32_t under_count;
    uint32_t *exact; /* E: at the minimum; a queue */
    uint32_t exact_first;
    uint32_t exact_count;
    uint32_t minimum;
    uint32_t maximum;
    uint32_t want; /* members that may have the maximum */
    uint32_t over; /* those that do */
    uint32_t *scratch;
    uint32_t *unowned; /* UN */
    uint32_t unowned_count;
};

/* ---- the order in which Java visits members ------------------------------------------------- */

static uint32_t java_spread(struct str id)
{
    uint32_t hash = 0;

    for (uint32_t i = 0; i < id.length; i++)
        hash = hash * 31 + (uint8_t)id.data[i];
    return hash ^ hash >> 16;
}

static bool by_bucket(const struct assignor_plan *plan, uint32_t a, uint32_t b)
{
    const struct assignor_member *members = plan->task->members;
    uint32_t size = JAVA_TABLE_MIN;
    uint32_t one;
    uint32_t other;

    while (plan->task->members_count * 4 > size * 3)
        size *= 2;
    one = java_spread(members[a].id) & (size - 1);
    other = java_spread(members[b].id) & (size - 1);
    return one != other ? one < other : a < b;
}

/* ---- who has what --------------------------------------------------------------------------- */

/* Lower generation loses; two of one generation lose both. */
static void sticky_claim(struct sticky *sticky, uint32_t member, uint32_t partition, int32_t *last)
{
    const struct assignor_member *members = sticky->plan->task->members;
    int32_t other = last[partition];

    if (other == (int32_t)member) return; /* says it twice */
    if (other < 0) {
        sticky->claims[partition] = (int32_t)member;
        last[partition] = (int32_t)member;
    } else if (members[member].generation == members[other].generation) {
        sticky->doubly[partition] = true;
        if (sticky->claims[partition] == other) sticky->claims[partition] = -1;
        last[partition] = (int32_t)member;
    } else if (members[member].generation > members[other].generation) {
        sticky->claims[partition] = (int32_t)member;
        last[partition] = (int32_t)member;
    }
}

static enum err sticky_clean(struct sticky *sticky)
{
    struct assignor_plan *plan = sticky->plan;
    struct assignor_task *task = plan->task;
    int32_t *last = arena_alloc(task->arena, plan->total * sizeof *last);

    if (last == NULL) return ERR_NO_MEMORY;
    for (uint32_t p = 0; p < plan->total; p++) {
        last[p] = -1;
        sticky->claims[p] = -1;
        sticky->released[p] = -1;
    }
    for (uint32_t i = 0; i < task->members_count; i++)
        sticky->visit[i] = i;
    assignor_sort(sticky->visit, task->members_count, by_bucket, plan);
    for (uint32_t i = 0; i < task->members_count; i++) {
        const struct assignor_member *member = &task->members[sticky->visit[i]];

        if (member->generation > task->max_generation) task->max_generation = member->generation;
        for (uint32_t n = 0; n < member->owned_count; n++) {
            const struct assignor_partition *owned = &member->owned[n];

            if (owned->topic >= task->topics_count || owned->index < 0 ||
                (uint32_t)owned->index >= task->topics[owned->topic].partitions)
                continue;
            sticky_claim(sticky, sticky->visit[i],
                         plan->base[owned->topic] + (uint32_t)owned->index, last);
        }
    }
    return ERR_NONE;
}

static bool sticky_all_equal(const struct assignor_plan *plan)
{
    const struct assignor_task *task = plan->task;

    for (uint32_t m = 1; m < task->members_count; m++)
        if (memcmp(plan->wanted, plan->wanted + (size_t)m * task->topics_count,
                   task->topics_count) != 0)
            return false;
    return true;
}

/* ---- constrained: step 1 -------------------------------------------------------------------- */

/* By partition number, then topic. */
static bool by_index(const struct assignor_plan *plan, uint32_t a, uint32_t b)
{
    uint32_t one = a - plan->base[plan->topic_of[a]];
    uint32_t other = b - plan->base[plan->topic_of[b]];

    return one != other ? one < other : a < b;
}

static void sticky_keep(struct sticky *sticky, uint32_t member)
{
    struct assignor_plan *plan = sticky->plan;
    uint32_t count = 0;
    uint32_t kept;

    for (uint32_t p = 0; p < plan->total; p++) {
        if (sticky->claims[p] != (int32_t)member || sticky->doubly[p] ||
            !assignor_wants(plan, member, plan->topic_of[p]))
            continue;
        if (assignor_near(plan, member, p)) {
            sticky->scratch[count++] = p;
        } else {
            sticky->released[p] = (int32_t)member;
        }
    }
    assignor_sort(sticky->scratch, count, by_index, plan);
    if (count < sticky->minimum) {
        kept = count;
        sticky->under[sticky->under_count++] = member;
    } else if (count >= sticky->maximum && sticky->over < sticky->want) {
        kept = sticky->maximum;
        sticky->over++;
        if (sticky->over == sticky->want) sticky->exact_count = 0;
    } else {
        kept = sticky->minimum;
        if (sticky->over < sticky->want) sticky->exact[sticky->exact_count++] = member;
    }
    for (uint32_t i = 0; i < kept; i++)
        assignor_give(plan, sticky->scratch[i], member);
    for (uint32_t i = kept; i < count; i++)
        sticky->released[sticky->scratch[i]] = (int32_t)member;
}

/* ---- constrained: steps 2 and 3 ------------------------------------------------------------- */

/* By the number of members near to it, which stands in `order` of what nobody has yet. */
static bool by_wanted(const struct assignor_plan *plan, uint32_t a, uint32_t b)
{
    return plan->order[a] != plan->order[b] ? plan->order[a] < plan->order[b] : a < b;
}

static void sticky_unowned(struct sticky *sticky)
{
    struct assignor_plan *plan = sticky->plan;
    const struct assignor_task *task = plan->task;

    for (uint32_t p = 0; p < plan->total; p++)
        if (plan->owner[p] < 0 && assignor_wants(plan, 0, plan->topic_of[p]))
            sticky->unowned[sticky->unowned_count++] = p;
    if (plan->racks == NULL) return;
    for (uint32_t i = 0; i < sticky->unowned_count; i++) {
        uint32_t p = sticky->unowned[i];

        plan->order[p] = 0;
        for (uint32_t m = 0; m < task->members_count; m++)
            plan->order[p] += (task->members[m].rack & plan->racks[p]) != 0;
    }
    assignor_sort(sticky->unowned, sticky->unowned_count, by_wanted, plan);
}

/* The first of `list`, from `from` on and round, that is in a rack of the partition; -1: nobody. */
static int32_t sticky_near(const struct sticky *sticky, const uint32_t *list, uint32_t count,
                           uint32_t from, uint32_t partition)
{
    const struct assignor_plan *plan = sticky->plan;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (from + i) % count;

        if ((plan->task->members[list[at]].rack & plan->racks[partition]) != 0) return (int32_t)at;
    }
    return -1;
}

static void list_drop(uint32_t *list, uint32_t *count, uint32_t at)
{
    memmove(&list[at], &list[at + 1], (*count - at - 1) * sizeof *list);
    (*count)--;
}

/* One of U; `at` goes round. False: none of them is near. */
static bool sticky_near_under(struct sticky *sticky, uint32_t partition, uint32_t *at)
{
    struct assignor_plan *plan = sticky->plan;
    int32_t found = sticky_near(sticky, sticky->under, sticky->under_count, *at, partition);
    uint32_t member;

    if (found < 0) return false;
    *at = (uint32_t)found;
    member = sticky->under[found];
    assignor_give(plan, partition, member);
    if (plan->counts[member] >= sticky->minimum) {
        list_drop(sticky->under, &sticky->under_count, (uint32_t)found);
        if (plan->counts[member] < sticky->maximum && sticky->over < sticky->want)
            sticky->exact[sticky->exact_count++] = member;
    } else {
        (*at)++;
    }
    *at = sticky->under_count == 0 ? 0 : *at % sticky->under_count;
    return true;
}

static bool sticky_near_exact(struct sticky *sticky, uint32_t partition)
{
    struct assignor_plan *plan = sticky->plan;
    int32_t found = sticky_near(sticky, sticky->exact, sticky->exact_count, 0, partition);
    uint32_t member;

    if (found < 0) return false;
    member = sticky->exact[found];
    assignor_give(plan, partition, member);
    if (plan->counts[member] != sticky->maximum) return true;
    list_drop(sticky->exact, &sticky->exact_count, (uint32_t)found);
    sticky->over++;
    if (sticky->over == sticky->want) sticky->exact_count = 0;
    return true;
}

static void sticky_fill_near(struct sticky *sticky)
{
    uint32_t at = 0;
    uint32_t left = 0;

    for (uint32_t i = 0; i < sticky->unowned_count; i++) {
        uint32_t p = sticky->unowned[i];

        if (!sticky_near_under(sticky, p, &at) && !sticky_near_exact(sticky, p))
            sticky->unowned[left++] = p;
    }
    sticky->unowned_count = left;
}

/* ---- constrained: step 4 -------------------------------------------------------------------- */

/* Whose turn it is; `at` goes round U. */
static uint32_t sticky_next(struct sticky *sticky, uint32_t *at)
{
    if (sticky->under_count > 0) {
        if (*at >= sticky->under_count) *at = 0;
        return sticky->under[(*at)++];
    }
    ASSERT(sticky->exact_count > 0);
    sticky->exact_count--;
    return sticky->exact[sticky->exact_first++];
}

static void sticky_fill(struct sticky *sticky)
{
    struct assignor_plan *plan = sticky->plan;
    uint32_t at = 0;

    for (uint32_t i = 0; i < sticky->unowned_count; i++) {
        uint32_t member = sticky_next(sticky, &at);

        assignor_give(plan, sticky->unowned[i], member);
        if (plan->counts[member] == sticky->minimum) {
            at--;
            list_drop(sticky->under, &sticky->under_count, at);
            sticky->exact[sticky->exact_first + sticky->exact_count++] = member;
        } else if (plan->counts[member] == sticky->maximum) {
            sticky->over++;
            if (sticky->over == sticky->want) sticky->exact_count = 0;
        }
    }
}

static void sticky_constrained(struct sticky *sticky)
{
    struct assignor_plan *plan = sticky->plan;
    const struct assignor_task *task = plan->task;
    uint32_t total = 0;

    for (uint32_t t = 0; t < task->topics_count; t++)
        if (assignor_wants(plan, 0, t)) total += task->topics[t].partitions;
    sticky->minimum = total / task->members_count;
    sticky->want = total % task->members_count;
    sticky->maximum = sticky->minimum + (sticky->want > 0);
    for (uint32_t i = 0; i < task->members_count; i++)
        sticky_keep(sticky, sticky->visit[i]);
    assignor_sort(sticky->under, sticky->under_count, assignor_by_id, plan);
    assignor_sort(sticky->exact, sticky->exact_count, assignor_by_id, plan);
    sticky_unowned(sticky);
    if (plan->racks != NULL) sticky_fill_near(sticky);
    sticky_fill(sticky);
    for (uint32_t p = 0; p < plan->total; p++) {
        bool moves = sticky->released[p] >= 0 && sticky->released[p] != plan->owner[p];

        plan->withheld[p] = plan->owner[p] >= 0 && (moves || sticky->doubly[p]);
    }
}

/* ---- general: what changes hands ------------------------------------------------------------ */

static enum err sticky_transfers(struct assignor_plan *plan)
{
    const struct assignor_task *task = plan->task;
    bool *had = arena_zalloc(task->arena, plan->total * sizeof *had);

    if (had == NULL) return ERR_NO_MEMORY;
    for (uint32_t m = 0; m < task->members_count; m++) {
        const struct assignor_member *member = &task->members[m];

        for (uint32_t n = 0; n < member->owned_count; n++) {
            const struct assignor_partition *owned = &member->owned[n];
            uint32_t p;

            if (owned->topic >= task->topics_count || owned->index < 0 ||
                (uint32_t)owned->index >= task->topics[owned->topic].partitions)
                continue;
            p = plan->base[owned->topic] + (uint32_t)owned->index;
            if (plan->owner[p] == (int32_t)m) {
                had[p] = true; /* nothing new for him, whoever else claims it */
            } else if (plan->owner[p] >= 0) {
                plan->withheld[p] = true;
            }
        }
    }
    for (uint32_t p = 0; p < plan->total; p++)
        if (had[p]) plan->withheld[p] = false;
    return ERR_NONE;
}

/* ---- both ----------------------------------------------------------------------------------- */

static enum err sticky_init(struct sticky *sticky, struct assignor_plan *plan)
{
    struct arena *arena = plan->task->arena;
    size_t members = plan->task->members_count;
    size_t partitions = plan->total;

    *sticky = (struct sticky){.plan = plan};
    sticky->claims = arena_alloc(arena, partitions * sizeof *sticky->claims);
    sticky->doubly = arena_zalloc(arena, partitions * sizeof *sticky->doubly);
    sticky->released = arena_alloc(arena, partitions * sizeof *sticky->released);
    sticky->visit = arena_alloc(arena, members * sizeof *sticky->visit);
    sticky->under = arena_alloc(arena, members * sizeof *sticky->under);
    sticky->exact = arena_alloc(arena, members * 2 * sizeof *sticky->exact);
    sticky->scratch = arena_alloc(arena, partitions * sizeof *sticky->scratch);
    sticky->unowned = arena_alloc(arena, partitions * sizeof *sticky->unowned);
    if (sticky->claims == NULL || sticky->doubly == NULL || sticky->released == NULL ||
        sticky->visit == NULL || sticky->under == NULL || sticky->exact == NULL ||
        sticky->scratch == NULL || sticky->unowned == NULL)
        return ERR_NO_MEMORY;
    return sticky_clean(sticky);
}

enum err assignor_sticky(struct assignor_plan *plan)
{
    bool cooperative = plan->task->assignor == ASSIGNOR_COOPERATIVE_STICKY;
    struct sticky sticky;
    uint64_t racks = 0;
    enum err err = sticky_init(&sticky, plan);

    if (err != ERR_NONE) return err;
    for (uint32_t m = 0; m < plan->task->members_count; m++)
        racks |= plan->task->members[m].rack;
    if (!assignor_racks_matter(plan, 0, plan->total, racks)) plan->racks = NULL;
    if (sticky_all_equal(plan)) {
        sticky_constrained(&sticky);
    } else {
        err = assignor_general(plan, sticky.claims);
        if (err == ERR_NONE && cooperative) err = sticky_transfers(plan);
    }
    if (!cooperative)
        for (uint32_t p = 0; p < plan->total; p++)
            plan->withheld[p] = false;
    return err;
}
