#include "sim/decide.h"

#include "client/base/assert.h"
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum { DECIDE_BUCKETS_MIN = 1024, DECIDE_VALUES_MIN = 4 };

struct values {
    int64_t *at;
    uint32_t count;
    uint32_t capacity;
};

struct entry {
    struct decide_site site;
    uint64_t key; /* of the PRF; also the hash */
    uint32_t asked;
    struct values kept;
    struct values answers;
};

struct decide {
    uint64_t seed;
    struct entry *entries; /* in order of first use */
    uint32_t entry_count;
    uint32_t entry_capacity;
    uint32_t *buckets; /* entry + 1; 0: free; open addressing */
    uint32_t bucket_count;
    bool keeping;
    bool guided;
    uint64_t fork_event; /* from there on the salt counts */
    uint64_t salt;       /* 0: none */
    uint64_t digest;
    struct decide_stats stats;
};

static const char *const words[] = {
#define DECIDE_NAME(name, text) text,
    DECIDE_TABLE(DECIDE_NAME)
#undef DECIDE_NAME
};

const char *decide_word(enum decide_what what)
{
    return words[what];
}

bool decide_find(const char *word, enum decide_what *what)
{
    for (uint32_t i = 0; i < DECIDE_WHATS; i++) {
        if (strcmp(word, words[i]) != 0) continue;
        *what = (enum decide_what)i;
        return true;
    }
    return false;
}

/* ---- sites ----------------------------------------------------------------------------------- */

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of
 * the output. */
static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t site_key(uint64_t seed, const struct decide_site *site)
{
    uint64_t key = mix(seed ^ mix((uint64_t)site->what));

    key = mix(key ^ (uint64_t)site->node);
    key = mix(key ^ site->a);
    return mix(key ^ site->b);
}

static bool site_same(const struct decide_site *l, const struct decide_site *r)
{
    return l->what == r->what && l->node == r->node && l->a == r->a && l->b == r->b;
}

static void buckets_grow(struct decide *decide)
{
    uint32_t count = decide->bucket_count * 2;
    uint32_t *buckets = sim_alloc(count * sizeof *buckets);

    for (uint32_t i = 0; i < decide->entry_count; i++) {
        uint32_t at = (uint32_t)decide->entries[i].key & (count - 1);

        while (buckets[at] != 0)
            at = (at + 1) & (count - 1);
        buckets[at] = i + 1;
    }
    free(decide->buckets);
    decide->buckets = buckets;
    decide->bucket_count = count;
}

static struct entry *entry_add(struct decide *decide, const struct decide_site *site, uint64_t key)
{
    struct entry *entry;

    if (decide->entry_count == decide->entry_capacity) {
        decide->entry_capacity = decide->entry_capacity == 0 ? 512 : decide->entry_capacity * 2;
        decide->entries =
            realloc(decide->entries, decide->entry_capacity * sizeof *decide->entries);
        if (decide->entries == NULL) abort();
    }
    entry = &decide->entries[decide->entry_count++];
    *entry = (struct entry){.site = *site, .key = key};
    return entry;
}

static struct entry *entry_of(struct decide *decide, const struct decide_site *site)
{
    uint64_t key = site_key(decide->seed, site);
    uint32_t at;

    if (decide->entry_count * 2 >= decide->bucket_count) buckets_grow(decide);
    at = (uint32_t)key & (decide->bucket_count - 1);
    for (; decide->buckets[at] != 0; at = (at + 1) & (decide->bucket_count - 1)) {
        struct entry *entry = &decide->entries[decide->buckets[at] - 1];

        if (entry->key == key && site_same(&entry->site, site)) return entry;
    }
    decide->buckets[at] = decide->entry_count + 1;
    return entry_add(decide, site, key);
}

static void values_push(struct values *values, int64_t value)
{
    if (values->count == values->capacity) {
        values->capacity = values->capacity == 0 ? DECIDE_VALUES_MIN : values->capacity * 2;
        values->at = realloc(values->at, values->capacity * sizeof *values->at);
        if (values->at == NULL) abort();
    }
    values->at[values->count++] = value;
}

/* ---- deciding -------------------------------------------------------------------------------- */

/* The generator of this decision, or the answer of a replay; the answer is checked by the caller,
 * who knows what is legal. */
struct draw {
    struct decide *decide;
    struct entry *entry;
    struct rng rng;
    const int64_t *answer; /* NULL: draw */
};

static struct draw draw_begin(struct sim *sim, const struct decide_site *site)
{
    struct decide *decide = sim->decide;
    struct draw draw = {.decide = decide, .entry = entry_of(decide, site)};
    uint32_t n = draw.entry->asked++;

    decide->stats.decisions++;
    if (n < draw.entry->answers.count) draw.answer = &draw.entry->answers.at[n];
    if (decide->salt != 0 && sim->events >= decide->fork_event) {
        draw.answer = NULL;
        rng_init(&draw.rng, mix(mix(draw.entry->key ^ decide->salt) ^ n));
    } else {
        rng_init(&draw.rng, mix(draw.entry->key ^ n));
    }
    return draw;
}

static bool draw_answered(struct draw *draw, int64_t first, int64_t last)
{
    if (!draw->decide->guided) return false;
    if (draw->answer != NULL && *draw->answer >= first && *draw->answer <= last) {
        draw->decide->stats.answered++;
        return true;
    }
    draw->decide->stats.missed++;
    return false;
}

static int64_t draw_end(struct draw *draw, int64_t value)
{
    struct decide *decide = draw->decide;

    decide->digest =
        (decide->digest ^ draw->entry->key ^ (uint64_t)value) * UINT64_C(0xff51afd7ed558ccd);
    decide->digest ^= decide->digest >> 32;
    if (decide->keeping) values_push(&draw->entry->kept, value);
    return value;
}

uint64_t decide_u64(struct sim *sim, struct decide_site site)
{
    struct draw draw = draw_begin(sim, &site);

    if (draw_answered(&draw, INT64_MIN, INT64_MAX)) {
        return (uint64_t)draw_end(&draw, *draw.answer);
    }
    return (uint64_t)draw_end(&draw, (int64_t)rng_u64(&draw.rng));
}

uint64_t decide_below(struct sim *sim, struct decide_site site, uint64_t bound)
{
    struct draw draw = draw_begin(sim, &site);

    ASSERT(bound > 0 && bound <= INT64_MAX);
    if (draw_answered(&draw, 0, (int64_t)bound - 1)) {
        return (uint64_t)draw_end(&draw, *draw.answer);
    }
    return (uint64_t)draw_end(&draw, (int64_t)rng_below(&draw.rng, bound));
}

int64_t decide_range(struct sim *sim, struct decide_site site, int64_t first, int64_t last)
{
    struct draw draw;

    if (first == last) return first; /* nothing is chosen */
    draw = draw_begin(sim, &site);
    if (draw_answered(&draw, first, last)) return draw_end(&draw, *draw.answer);
    return draw_end(&draw, rng_range(&draw.rng, first, last));
}

bool decide_chance(struct sim *sim, struct decide_site site, uint32_t per_million)
{
    struct draw draw;

    if (per_million == 0 || per_million >= RNG_MILLION) return per_million != 0;
    draw = draw_begin(sim, &site);
    if (draw_answered(&draw, 0, 1)) return draw_end(&draw, *draw.answer) != 0;
    return draw_end(&draw, rng_chance(&draw.rng, per_million)) != 0;
}

int64_t decide_exponential(struct sim *sim, struct decide_site site, int64_t mean)
{
    struct draw draw;

    if (mean == 0) return 0;
    draw = draw_begin(sim, &site);
    if (draw_answered(&draw, 0, INT64_MAX / 4)) return draw_end(&draw, *draw.answer);
    return draw_end(&draw, rng_exponential(&draw.rng, mean));
}

void decide_rng(struct sim *sim, struct decide_site site, struct rng *rng)
{
    rng_init(rng, decide_u64(sim, site));
}

/* ---- life, log ------------------------------------------------------------------------------- */

struct decide *decide_create(uint64_t seed)
{
    struct decide *decide = sim_alloc(sizeof *decide);

    decide->seed = seed;
    decide->bucket_count = DECIDE_BUCKETS_MIN;
    decide->buckets = sim_alloc(decide->bucket_count * sizeof *decide->buckets);
    return decide;
}

void decide_destroy(struct decide *decide)
{
    for (uint32_t i = 0; i < decide->entry_count; i++) {
        free(decide->entries[i].kept.at);
        free(decide->entries[i].answers.at);
    }
    free(decide->entries);
    free(decide->buckets);
    free(decide);
}

void decide_keep(struct decide *decide)
{
    decide->keeping = true;
}

void decide_each(const struct decide *decide, decide_visit *visit, void *context)
{
    for (uint32_t i = 0; i < decide->entry_count; i++) {
        const struct entry *entry = &decide->entries[i];

        if (entry->kept.count == 0) continue;
        visit(context, entry->site, entry->kept.at, entry->kept.count);
    }
}

void decide_answer(struct decide *decide, struct decide_site site, int64_t value)
{
    decide->guided = true;
    values_push(&entry_of(decide, &site)->answers, value);
}

void decide_fork(struct decide *decide, uint64_t event, uint64_t salt)
{
    decide->fork_event = event;
    decide->salt = salt;
}

struct decide_stats decide_stats(const struct decide *decide)
{
    struct decide_stats stats = decide->stats;

    stats.sites = decide->entry_count;
    return stats;
}

uint64_t decide_digest(const struct decide *decide)
{
    return decide->digest;
}
