#include "broker/controller/placement.h"

/* The brokers of one rack that are fenced, or that are not. */
struct placement_ring {
    int32_t *ids;
    uint32_t count;
    uint32_t offset; /* where a round begins */
    uint32_t taken;  /* in this round */
    uint32_t round;
};

struct placement_rack {
    struct placement_ring unfenced;
    struct placement_ring fenced;
};

struct placement_racks {
    struct placement_rack *racks;
    uint32_t *order; /* indexes of racks; shuffled instead of the racks */
    uint32_t count;
    uint32_t offset;
    uint32_t round; /* one per partition, from 1 */
    uint32_t unfenced;
    uint32_t since_shuffle;
};

static int order_of(const struct placement_broker *a, const struct placement_broker *b)
{
    int rack = str_compare(a->rack, b->rack);

    if (rack != 0) return rack;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* By (rack, id), a total order. Heap sort: in place, and no bad case. */
static void sift(struct placement_broker *brokers, uint32_t root, uint32_t count)
{
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        struct placement_broker swap = brokers[root];

        if (child + 1 < count && order_of(&brokers[child], &brokers[child + 1]) < 0) child++;
        if (order_of(&brokers[root], &brokers[child]) >= 0) return;
        brokers[root] = brokers[child];
        brokers[child] = swap;
    }
}

static void sort(struct placement_broker *brokers, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift(brokers, i, count);
    for (uint32_t end = count; end-- > 1;) {
        struct placement_broker swap = brokers[0];

        brokers[0] = brokers[end];
        brokers[end] = swap;
        sift(brokers, 0, end);
    }
}

static void draw_offset(struct placement_ring *ring, struct rng *rng)
{
    if (ring->count > 0) ring->offset = (uint32_t)rng_below(rng, ring->count);
}

/* Fills racks from sorted brokers; `ids` has room for all of them. */
static void fill(struct placement_racks *all, const struct placement_broker *brokers,
                 uint32_t count, int32_t *ids)
{
    for (uint32_t from = 0, to; from < count; from = to) {
        struct placement_rack *rack = &all->racks[all->count];

        to = from;
        while (to < count && str_compare(brokers[to].rack, brokers[from].rack) == 0)
            to++;
        *rack = (struct placement_rack){{0}, {0}};
        rack->unfenced.ids = ids;
        for (uint32_t i = from; i < to; i++)
            if (!brokers[i].fenced) rack->unfenced.ids[rack->unfenced.count++] = brokers[i].id;
        rack->fenced.ids = ids + rack->unfenced.count;
        for (uint32_t i = from; i < to; i++)
            if (brokers[i].fenced) rack->fenced.ids[rack->fenced.count++] = brokers[i].id;
        ids += to - from;
        all->unfenced += rack->unfenced.count;
        all->order[all->count] = all->count;
        all->count++;
    }
}

static enum err setup(struct placement_racks *all, const struct placement_broker *brokers,
                      uint32_t count, struct rng *rng, struct arena *arena)
{
    int32_t *ids = arena_alloc(arena, count * sizeof(*ids));

    *all = (struct placement_racks){.racks = arena_alloc(arena, count * sizeof(*all->racks)),
                                    .order = arena_alloc(arena, count * sizeof(*all->order))};
    if (ids == NULL || all->racks == NULL || all->order == NULL) return ERR_NO_MEMORY;
    fill(all, brokers, count, ids);
    all->offset = (uint32_t)rng_below(rng, all->count);
    for (uint32_t i = 0; i < all->count; i++) {
        draw_offset(&all->racks[i].unfenced, rng);
        draw_offset(&all->racks[i].fenced, rng);
    }
    return ERR_NONE;
}

static void shuffle_ring(struct placement_ring *ring, struct rng *rng)
{
    for (uint32_t i = ring->count; i > 1; i--) {
        uint32_t with = (uint32_t)rng_below(rng, i);
        int32_t swap = ring->ids[i - 1];

        ring->ids[i - 1] = ring->ids[with];
        ring->ids[with] = swap;
    }
}

static void shuffle(struct placement_racks *all, struct rng *rng)
{
    for (uint32_t i = all->count; i > 1; i--) {
        uint32_t with = (uint32_t)rng_below(rng, i);
        uint32_t swap = all->order[i - 1];

        all->order[i - 1] = all->order[with];
        all->order[with] = swap;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        shuffle_ring(&all->racks[i].unfenced, rng);
        shuffle_ring(&all->racks[i].fenced, rng);
    }
}

/* The next broker of this round, or -1: all taken. A new round begins one further. */
static int32_t next_of(struct placement_ring *ring, uint32_t round)
{
    if (ring->count == 0) return -1;
    if (ring->round != round) {
        if (ring->round != 0) ring->offset = (ring->offset + 1) % ring->count;
        ring->round = round;
        ring->taken = 0;
    }
    if (ring->taken == ring->count) return -1;
    return ring->ids[(ring->taken++ + ring->offset) % ring->count];
}

static int32_t next_in(struct placement_rack *rack, uint32_t round)
{
    int32_t id = next_of(&rack->unfenced, round);

    return id >= 0 ? id : next_of(&rack->fenced, round);
}

/* One partition. There are enough brokers, one of them unfenced: both loops end. */
static void place_one(struct placement_racks *all, uint32_t factor, struct rng *rng, int32_t *to)
{
    uint32_t first, at;
    bool skip = true; /* the rack of the first replica sits its first turn out */

    if (all->since_shuffle == all->unfenced) {
        shuffle(all, rng);
        all->since_shuffle = 0;
    }
    all->round++;
    all->offset %= all->count;
    first = all->offset;
    while ((to[0] = next_of(&all->racks[all->order[first]].unfenced, all->round)) < 0)
        first = (first + 1) % all->count;
    at = all->offset;
    for (uint32_t replica = 1; replica < factor; replica++) {
        to[replica] = -1;
        while (to[replica] < 0) {
            if (skip && at == first)
                skip = false;
            else
                to[replica] = next_in(&all->racks[all->order[at]], all->round);
            at = (at + 1) % all->count;
        }
    }
    all->since_shuffle++;
    all->offset++;
}

enum err placement_place(struct placement_broker *brokers, uint32_t count,
                         struct placement_order order, struct rng *rng, struct arena *arena,
                         int32_t **replicas)
{
    uint32_t factor = order.replication_factor;
    struct placement_racks all;
    int32_t *ids;
    enum err err;

    if (factor == 0 || factor > count) return ERR_INVALID_REPLICATION_FACTOR;
    sort(brokers, count);
    err = setup(&all, brokers, count, rng, arena);
    if (err != ERR_NONE) return err;
    if (all.unfenced == 0) return ERR_INVALID_REPLICATION_FACTOR;
    ids = arena_alloc(arena, sizeof(int32_t) * factor * order.partitions);
    if (ids == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < order.partitions; i++)
        place_one(&all, factor, rng, ids + i * factor);
    *replicas = ids;
    return ERR_NONE;
}
