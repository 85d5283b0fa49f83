/* From where on does every run fail? Pure: who runs is the probe. */
#include "sim/why.h"

#include <string.h>

struct asking {
    why_probe *probe;
    void *context;
    int runs;
    uint32_t rounds; /* of each new place */
};

static void insert(struct why_search *search, uint32_t at, struct reports_why_point point)
{
    memmove(&search->points[at + 1], &search->points[at],
            (search->count - at) * sizeof search->points[0]);
    search->points[at] = point;
    search->count++;
}

static bool always(const struct reports_why_point *point)
{
    return point->failed == point->of;
}

/* The first point from which on all fail always. */
static uint32_t first_always(const struct why_search *search)
{
    uint32_t at = search->count - 1;

    while (at > 0 && always(&search->points[at - 1]))
        at--;
    return at;
}

/* Asked again until `rounds` have been, or a run escapes: ten of ten are still a chance in some. */
static bool confirm(struct reports_why_point *point, const struct asking *asking, uint32_t rounds)
{
    uint32_t runs = (uint32_t)asking->runs;

    for (uint32_t round = point->of / runs; round < rounds && always(point); round++) {
        point->failed += (uint32_t)asking->probe(asking->context, point->event, round);
        point->of += runs;
    }
    return always(point);
}

static void ask(struct why_search *search, uint32_t at, uint64_t event, const struct asking *asking)
{
    insert(search, at, (struct reports_why_point){.event = event});
    (void)confirm(&search->points[at], asking, asking->rounds);
}

void why_search(struct why_search *search, uint64_t events, int runs, why_probe *probe,
                void *context)
{
    struct asking asking = {probe, context, runs, 1};

    memset(search, 0, sizeof *search);
    for (uint64_t i = 0; i < WHY_GRID; i++) {
        uint64_t event = events * i / WHY_GRID;

        if (search->count > 0 && search->points[search->count - 1].event == event) continue;
        ask(search, search->count, event, &asking);
    }
    insert(search, search->count,
           (struct reports_why_point){events, (uint32_t)runs, (uint32_t)runs});
    for (;;) {
        uint32_t at = first_always(search);
        struct reports_why_point *point = &search->points[at];
        uint64_t low;

        search->at = at;
        search->decided = at > 0;
        if (search->count == WHY_POINTS_MAX) break;
        low = at > 0 ? search->points[at - 1].event : point->event;
        if (point->event - low >= 2) {
            ask(search, at, low + (point->event - low) / 2, &asking);
        } else if (point->event == events || confirm(point, &asking, WHY_ROUNDS)) {
            break;
        } else {
            asking.rounds =
                point->of / (uint32_t)runs; /* so many it takes here to see one escape */
        }
    }
}
