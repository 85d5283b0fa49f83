/* What leads from one place of a run to its violation. Pure: events in, numbers out. */
#include "sim/why.h"

#include <stdlib.h>
#include <string.h>

enum { WHY_BUCKETS = 1 << 14 };
#define NONE UINT32_MAX

struct near {
    uint32_t of[WHY_NEAR_MAX]; /* the nearest kept events before, numbers in `kept` */
    uint32_t count;
};

struct slice {
    const struct why_event *events;
    uint32_t count;
    uint32_t *before;  /* the event before on the same node */
    uint32_t *message; /* what was sent of what arrives here */
    uint8_t *after_start;
    uint8_t *leads;
};

/* ---- edges ----------------------------------------------------------------------------------- */

int32_t why_order(const struct why_event *event)
{
    switch (event->kind) {
    case TRACE_SIM_UP:
    case TRACE_SIM_DOWN: return (int32_t)event->fields[0];
    case TRACE_SIM_FAULT: return (int32_t)event->fields[2];
    default: return event->node;
    }
}

static uint32_t bucket_of(const struct why_event *event, int32_t kind)
{
    uint64_t key = (uint64_t)event->fields[0] * 1000003 + (uint64_t)event->fields[1] * 31;

    return (uint32_t)((key + (uint64_t)kind) % WHY_BUCKETS);
}

/* The last event of `kind` with the same connection and number. */
static uint32_t sender(const struct slice *slice, const uint32_t *heads, const uint32_t *next,
                       const struct why_event *event, int32_t kind)
{
    for (uint32_t i = heads[bucket_of(event, kind)]; i != NONE; i = next[i]) {
        const struct why_event *other = &slice->events[i];

        if (other->kind == kind && other->fields[0] == event->fields[0] &&
            other->fields[1] == event->fields[1]) {
            return i;
        }
    }
    return NONE;
}

static uint32_t last_of(const struct slice *slice, uint32_t behind, int32_t order)
{
    for (uint32_t i = behind; i-- > 0;) {
        if (why_order(&slice->events[i]) == order) return i;
    }
    return NONE;
}

static void find_edges(struct slice *slice)
{
    enum { ORDERS = 4096 };
    uint32_t *heads = sim_alloc(WHY_BUCKETS * sizeof *heads);
    uint32_t *next = sim_alloc((slice->count + 1) * sizeof *next);
    uint32_t *last = sim_alloc(ORDERS * sizeof *last);

    memset(heads, 0xff, WHY_BUCKETS * sizeof *heads);
    memset(last, 0xff, ORDERS * sizeof *last);
    for (uint32_t i = 0; i < slice->count; i++) {
        const struct why_event *event = &slice->events[i];
        int32_t order = why_order(event);
        uint32_t bucket;

        slice->before[i] = slice->message[i] = NONE;
        if (order >= ORDERS) {
            slice->before[i] = last_of(slice, i, order);
        } else if (order >= 0) {
            slice->before[i] = last[order];
            last[order] = i;
        }
        if (event->kind == TRACE_RPC_RECEIVED) {
            slice->message[i] = sender(slice, heads, next, event, TRACE_RPC_SENT);
        } else if (event->kind == TRACE_RPC_REPLIED) {
            slice->message[i] = sender(slice, heads, next, event, TRACE_RPC_ANSWERED);
        } else if (event->kind == TRACE_RPC_SENT || event->kind == TRACE_RPC_ANSWERED) {
            bucket = bucket_of(event, event->kind);
            next[i] = heads[bucket];
            heads[bucket] = i;
        }
    }
    free(heads);
    free(next);
    free(last);
}

/* ---- the chain ------------------------------------------------------------------------------- */

static void find_slice(struct slice *slice, uint64_t until, uint32_t violation)
{
    for (uint32_t i = 0; i < slice->count; i++) {
        uint32_t before = slice->before[i];
        uint32_t message = slice->message[i];

        slice->after_start[i] = slice->events[i].event <= until ||
                                (before != NONE && slice->after_start[before]) ||
                                (message != NONE && slice->after_start[message]);
    }
    slice->leads[violation] = 1;
    for (uint32_t i = violation + 1; i-- > 0;) {
        if (!slice->leads[i]) continue;
        if (slice->before[i] != NONE) slice->leads[slice->before[i]] = 1;
        if (slice->message[i] != NONE) slice->leads[slice->message[i]] = 1;
    }
}

static bool wanted(const struct slice *slice, uint32_t i, uint32_t violation)
{
    if (i == violation) return true;
    return slice->leads[i] && slice->after_start[i] && slice->events[i].weight > 0;
}

/* How many before the violation are wanted that weigh at least so much. */
static uint32_t count_of(const struct slice *slice, uint32_t violation, uint32_t weight)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < violation; i++)
        count += wanted(slice, i, violation) && slice->events[i].weight >= weight;
    return count;
}

/* All that weigh enough; of those that would be too many, the first and the last. */
static void choose(struct why_chain *chain, const struct slice *slice, uint32_t violation)
{
    enum { FIRST = 8, WEIGHTS = 8 };
    uint32_t least = 1;
    uint32_t all = count_of(slice, violation, 0) + 1;
    uint32_t heavy; /* those above the weight that does not fit */
    uint32_t room;
    uint32_t equal;
    uint32_t seen = 0;

    while (least < WEIGHTS && count_of(slice, violation, least) >= WHY_NODES_MAX)
        least++;
    heavy = count_of(slice, violation, least);
    least--; /* of this weight, as many as there is room for */
    room = WHY_NODES_MAX - 1 - heavy;
    equal = count_of(slice, violation, least) - heavy;
    for (uint32_t i = 0; i <= violation; i++) {
        uint32_t first = room < FIRST ? room / 2 : FIRST;

        if (!wanted(slice, i, violation)) continue;
        if (i != violation && slice->events[i].weight < least) continue;
        if (i != violation && slice->events[i].weight == least) {
            seen++;
            if (equal > room && seen > first && equal - seen >= room - first) continue;
        }
        chain->kept[chain->count++] = i;
    }
    chain->left_out = all - chain->count;
}

static void near_add(struct near *near, uint32_t number)
{
    for (uint32_t i = 0; i < near->count; i++) {
        if (near->of[i] == number) return;
    }
    if (near->count < WHY_NEAR_MAX) near->of[near->count++] = number;
}

static void near_take(struct near *near, const struct near *all, const uint32_t *number,
                      uint32_t of)
{
    if (of == NONE) return;
    if (number[of] != NONE) {
        near_add(near, number[of]);
        return;
    }
    for (uint32_t i = 0; i < all[of].count; i++)
        near_add(near, all[of].of[i]);
}

/* A link says nothing where a way over others leads to the same: only the shortest steps stay. */
static void reduce(struct why_chain *chain)
{
    uint64_t reach[WHY_NODES_MAX] = {0};
    uint32_t from[WHY_NEAR_MAX];
    uint32_t kept = 0;

    for (uint32_t i = 0; i < chain->link_count;) { /* in the order of `to` */
        uint32_t to = chain->links[i].to;
        uint32_t count = 0;

        for (; i < chain->link_count && chain->links[i].to == to; i++)
            from[count++] = chain->links[i].from;
        for (uint32_t j = 0; j < count; j++) {
            uint64_t over = 0; /* what the others come from */

            for (uint32_t k = 0; k < count; k++)
                over |= k != j ? reach[from[k]] : 0;
            reach[to] |= reach[from[j]] | (uint64_t)1 << from[j];
            if ((over >> from[j] & 1) == 0) chain->links[kept++] = (struct why_link){from[j], to};
        }
    }
    chain->link_count = kept;
}

/* Each kept event with those of the kept that came last before it. */
static void link_kept(struct why_chain *chain, const struct slice *slice)
{
    struct near *near = sim_alloc((slice->count + 1) * sizeof *near);
    uint32_t *number = sim_alloc((slice->count + 1) * sizeof *number);
    uint32_t last = chain->kept[chain->count - 1];

    memset(number, 0xff, slice->count * sizeof *number);
    for (uint32_t i = 0; i < chain->count; i++)
        number[chain->kept[i]] = i;
    for (uint32_t i = 0; i <= last; i++) {
        near_take(&near[i], near, number, slice->message[i]);
        near_take(&near[i], near, number, slice->before[i]);
        for (uint32_t j = 0; number[i] != NONE && j < near[i].count; j++)
            chain->links[chain->link_count++] = (struct why_link){near[i].of[j], number[i]};
    }
    reduce(chain);
    free(near);
    free(number);
}

void why_chain(struct why_chain *chain, const struct why_event *events, uint32_t count,
               uint64_t until, uint32_t violation)
{
    struct slice slice = {.events = events, .count = count};

    memset(chain, 0, sizeof *chain);
    if (violation >= count) return;
    slice.before = sim_alloc(count * sizeof *slice.before);
    slice.message = sim_alloc(count * sizeof *slice.message);
    slice.after_start = sim_alloc(count);
    slice.leads = sim_alloc(count);
    find_edges(&slice);
    find_slice(&slice, until, violation);
    choose(chain, &slice, violation);
    link_kept(chain, &slice);
    free(slice.before);
    free(slice.message);
    free(slice.after_start);
    free(slice.leads);
}
