#include "broker/group/parts.h"

#include "client/base/assert.h"

#include <string.h>

int parts_compare(struct parts_item a, struct parts_item b)
{
    int topics = uuid_compare(a.topic, b.topic);

    if (topics != 0) return topics;
    return a.partition < b.partition ? -1 : a.partition > b.partition;
}

bool parts_contain(struct parts set, struct parts_item one)
{
    uint32_t low = 0;
    uint32_t high = set.count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int compared = parts_compare(set.items[middle], one);

        if (compared == 0) return true;
        if (compared < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

bool parts_equal(struct parts a, struct parts b)
{
    if (a.count != b.count) return false;
    for (uint32_t i = 0; i < a.count; i++)
        if (parts_compare(a.items[i], b.items[i]) != 0) return false;
    return true;
}

bool parts_subset(struct parts a, struct parts of)
{
    for (uint32_t i = 0; i < a.count; i++)
        if (!parts_contain(of, a.items[i])) return false;
    return true;
}

bool parts_overlap(struct parts a, struct parts b)
{
    uint32_t i = 0;
    uint32_t j = 0;

    while (i < a.count && j < b.count) {
        int compared = parts_compare(a.items[i], b.items[j]);

        if (compared == 0) return true;
        if (compared < 0) {
            i++;
        } else {
            j++;
        }
    }
    return false;
}

/* Walks both: what is only in a, in both, only in b. */
static enum err merge(struct arena *arena, struct parts a, struct parts b, bool only_a, bool both,
                      bool only_b, struct parts *out)
{
    struct parts_item *items = arena_alloc(arena, ((size_t)a.count + b.count) * sizeof *items);
    uint32_t count = 0;
    uint32_t i = 0;
    uint32_t j = 0;

    if (items == NULL) return ERR_NO_MEMORY;
    while (i < a.count || j < b.count) {
        int compared = i == a.count ? 1 : j == b.count ? -1 : parts_compare(a.items[i], b.items[j]);

        if (compared < 0) {
            if (only_a) items[count++] = a.items[i];
            i++;
        } else if (compared > 0) {
            if (only_b) items[count++] = b.items[j];
            j++;
        } else {
            if (both) items[count++] = a.items[i];
            i++;
            j++;
        }
    }
    *out = (struct parts){items, count};
    return ERR_NONE;
}

enum err parts_minus(struct arena *arena, struct parts a, struct parts b, struct parts *out)
{
    return merge(arena, a, b, true, false, false, out);
}

enum err parts_both(struct arena *arena, struct parts a, struct parts b, struct parts *out)
{
    return merge(arena, a, b, false, true, false, out);
}

enum err parts_join(struct arena *arena, struct parts a, struct parts b, struct parts *out)
{
    return merge(arena, a, b, true, true, true, out);
}

/* ---- building -------------------------------------------------------------------------------- */

enum err parts_begin(struct arena *arena, uint32_t max, struct parts *set)
{
    *set = (struct parts){arena_alloc(arena, max * sizeof *set->items), 0};
    return set->items != NULL ? ERR_NONE : ERR_NO_MEMORY;
}

void parts_push(struct parts *set, struct uuid topic, int32_t partition)
{
    set->items[set->count++] = (struct parts_item){topic, partition};
}

static void sift(struct parts_item *items, uint32_t at, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        struct parts_item swap = items[at];

        if (child >= count) return;
        if (child + 1 < count && parts_compare(items[child], items[child + 1]) < 0) child++;
        if (parts_compare(items[at], items[child]) >= 0) return;
        items[at] = items[child];
        items[child] = swap;
        at = child;
    }
}

void parts_end(struct parts *set)
{
    bool sorted = true;
    uint32_t kept = 0;

    for (uint32_t i = 1; i < set->count; i++)
        sorted = sorted && parts_compare(set->items[i - 1], set->items[i]) < 0;
    if (sorted) return;
    for (uint32_t i = set->count / 2; i-- > 0;)
        sift(set->items, i, set->count);
    for (uint32_t last = set->count; last-- > 1;) {
        struct parts_item largest = set->items[0];

        set->items[0] = set->items[last];
        set->items[last] = largest;
        sift(set->items, 0, last);
    }
    for (uint32_t i = 0; i < set->count; i++)
        if (kept == 0 || parts_compare(set->items[kept - 1], set->items[i]) != 0)
            set->items[kept++] = set->items[i];
    set->count = kept;
}

/* ---- by topic -------------------------------------------------------------------------------- */

uint32_t parts_topic_end(struct parts set, uint32_t from)
{
    uint32_t end = from;

    while (end < set.count && uuid_equal(set.items[end].topic, set.items[from].topic))
        end++;
    return end;
}

uint32_t parts_topics(struct parts set)
{
    uint32_t topics = 0;

    for (uint32_t i = 0; i < set.count; i = parts_topic_end(set, i))
        topics++;
    return topics;
}

int32_t *parts_indexes(struct arena *arena, struct parts set)
{
    int32_t *indexes = arena_alloc(arena, set.count * sizeof *indexes);

    for (uint32_t i = 0; indexes != NULL && i < set.count; i++)
        indexes[i] = set.items[i].partition;
    return indexes;
}

/* ---- kept ------------------------------------------------------------------------------------ */

enum err parts_keep(struct mem *mem, struct parts from, struct parts *kept)
{
    struct parts_item *items = NULL;

    if (from.count > 0) {
        items = mem_alloc(mem, from.count * sizeof *items);
        if (items == NULL) return ERR_NO_MEMORY;
        memcpy(items, from.items, from.count * sizeof *items);
    }
    parts_drop(mem, kept);
    *kept = (struct parts){items, from.count};
    return ERR_NONE;
}

void parts_drop(struct mem *mem, struct parts *kept)
{
    if (kept->count > 0) mem_free(mem, kept->items, kept->count * sizeof *kept->items);
    *kept = PARTS_NONE;
}
