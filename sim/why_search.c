/* Where does the share of failures rise? Pure: who runs is the probe. */
#include "sim/why.h"

#include <string.h>

static void insert(struct why_search *search, uint32_t at, struct why_point point)
{
    memmove(&search->points[at + 1], &search->points[at],
            (search->count - at) * sizeof search->points[0]);
    search->points[at] = point;
    search->count++;
}

static int rise(const struct why_search *search, uint32_t at)
{
    return search->points[at + 1].failed - search->points[at].failed;
}

/* The steepest place; of equal ones the last, since before it the run could still end well. */
static uint32_t steepest(const struct why_search *search, uint32_t from, uint32_t to)
{
    uint32_t best = from;

    for (uint32_t i = from; i < to; i++) {
        if (rise(search, i) >= rise(search, best)) best = i;
    }
    return best;
}

void why_search(struct why_search *search, uint64_t events, int runs, why_probe *probe,
                void *context)
{
    uint32_t from;

    memset(search, 0, sizeof *search);
    for (uint64_t i = 0; i < WHY_GRID; i++) {
        uint64_t event = events * i / WHY_GRID;

        if (search->count > 0 && search->points[search->count - 1].event == event) continue;
        insert(search, search->count, (struct why_point){event, probe(context, event)});
    }
    insert(search, search->count, (struct why_point){events, runs});
    from = steepest(search, 0, search->count - 1);
    while (search->count < WHY_POINTS_MAX) {
        uint64_t low = search->points[from].event;
        uint64_t high = search->points[from + 1].event;
        uint64_t middle = low + (high - low) / 2;

        if (high - low < 2 || rise(search, from) <= 0) break;
        insert(search, from + 1, (struct why_point){middle, probe(context, middle)});
        from = steepest(search, from, from + 2);
    }
    search->jump = from;
}
