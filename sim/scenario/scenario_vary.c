/* What a run chooses of its scenario before it begins: {pick: [a, b, c]} anywhere a value stands,
 * and ranges where the shape of the cluster is decided. The tree is changed before it is read, so
 * that nothing behind knows of choices. */
#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VARY_PATH_MAX = 256 };

static const struct yaml *pick_of(const struct yaml *at)
{
    return at->kind == YAML_MAP && at->count == 1 ? yaml_get(at, "pick") : NULL;
}

/* The path of an item below `path`: cluster.brokers, steps.2.do */
static void path_down(char *down, const char *path, const struct yaml *at, uint32_t index)
{
    const char *dot = path[0] != '\0' ? "." : "";

    if (at->kind == YAML_MAP) {
        (void)snprintf(down, VARY_PATH_MAX, "%s%s%s", path, dot, at->keys[index]->text);
    } else {
        (void)snprintf(down, VARY_PATH_MAX, "%s%s%u", path, dot, index);
    }
}

static int64_t vary_draw(const struct choices *choices, const char *path, int64_t min, int64_t max)
{
    struct rng rng;

    if (choices == NULL || !choices->draw) return min;
    rng_init(&rng, sim_digest(choices->seed, path, strlen(path)));
    return rng_range(&rng, min, max);
}

static struct yaml *vary_item(const struct read *read, const struct yaml *list, const char *path)
{
    const struct choices *choices = read->choices;
    uint32_t index;

    if (list->kind != YAML_LIST || list->count == 0) {
        read_fail(read, list, "pick: is a list of values, one of which a run takes");
        return NULL;
    }
    index = (uint32_t)vary_draw(choices, path, 0, list->count - 1);
    if (choices != NULL && choices->path != NULL && strcmp(choices->path, path) == 0) {
        index = choices->index;
    }
    return list->items[index];
}

static bool vary_below(const struct read *read, struct yaml *at, const char *path)
{
    bool varies = false;

    for (uint32_t i = 0; at->kind != YAML_SCALAR && i < at->count; i++) {
        const struct yaml *list = pick_of(at->items[i]);
        char down[VARY_PATH_MAX];

        path_down(down, path, at, i);
        if (list != NULL) {
            struct yaml *item = vary_item(read, list, down);

            if (item == NULL) return true;
            at->items[i] = item;
            varies = true;
        }
        varies = vary_below(read, at->items[i], down) || varies;
    }
    return varies;
}

bool vary_picks(const struct read *read, struct yaml *root)
{
    return vary_below(read, root, "");
}

int64_t vary_range(const struct read *read, const struct yaml *at, const char *path, int64_t min,
                   int64_t max)
{
    struct unit_range range = read_range(read, at, UNIT_COUNT);

    if (yaml_failed(read->error)) return min;
    if (range.min < min || range.max > max) {
        read_fail(read, at, "\"%s\" is out of range; wanted is %lld to %lld", at->text,
                  (long long)min, (long long)max);
        return min;
    }
    if (range.min == range.max) return range.min;
    read->scenario->varies = true;
    return vary_draw(read->choices, path, range.min, range.max);
}

static void each_below(const struct yaml *at, const char *path,
                       void (*each)(void *context, const char *path, uint32_t index), void *context)
{
    for (uint32_t i = 0; at->kind != YAML_SCALAR && i < at->count; i++) {
        const struct yaml *list = pick_of(at->items[i]);
        char down[VARY_PATH_MAX];

        path_down(down, path, at, i);
        for (uint32_t j = 0; list != NULL && j < list->count; j++)
            each(context, down, j);
        each_below(at->items[i], down, each, context);
    }
}

void vary_each(const struct yaml *root,
               void (*each)(void *context, const char *path, uint32_t index), void *context)
{
    each_below(root, "", each, context);
}
