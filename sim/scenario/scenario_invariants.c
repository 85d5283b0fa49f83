/* invariants: which oracles do not judge, and why; which alone do; how often they look. */
#include "sim/scenario/read.h"

#include "client/base/list.h"
#include "sim/check/check.h"

#include <string.h>

enum { INVARIANTS_MAX = 192 };

/* "leader-hw-monotone", "leader_hw_monotone" and "R6" are the same oracle. */
static bool same_name(const char *word, const char *name)
{
    for (; *word != '\0' && *name != '\0'; word++, name++) {
        if ((*word == '_' ? '-' : *word) != *name) return false;
    }
    return *word == *name;
}

int scenario_oracle(const char *word)
{
    const struct check_info *info;

    for (uint32_t i = 0; (info = check_list(i)) != NULL; i++) {
        if (strcmp(word, info->id) == 0 || same_name(word, info->name)) return (int)i;
    }
    return -1;
}

static const char *read_oracle(const struct read *read, const struct yaml *at)
{
    const char *names[INVARIANTS_MAX + 1] = {NULL};
    const char *word = read_text(read, at, "an invariant");
    const struct check_info *info;

    if (yaml_failed(read->error) || scenario_oracle(word) >= 0) return word;
    for (uint32_t i = 0; i < INVARIANTS_MAX && (info = check_list(i)) != NULL; i++)
        names[i] = info->name;
    if (language_nearest(word, names) == NULL) {
        read_fail(read, at, "no such invariant: \"%s\"; see gregor-sim list checks", word);
    } else {
        read_fail_word(read, at, "invariant", names);
    }
    return word;
}

static void read_off(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"name", "why", NULL};
    struct scenario *scenario = read->scenario;
    struct scenario_off *off = &scenario->offs[scenario->off_count];
    const struct yaml *name;
    const struct yaml *why;

    if (!read_map(read, at, "an invariant that is off", known)) return;
    name = yaml_get(at, "name");
    why = yaml_get(at, "why");
    if (name == NULL || why == NULL || (why->kind == YAML_SCALAR && why->text[0] == '\0')) {
        read_fail(read, at, "an invariant is turned off by {name: ..., why: ...}; both are wanted");
        return;
    }
    off->name = read_oracle(read, name);
    off->why = read_text(read, why, "why");
    scenario->off_count++;
}

void read_invariants(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"off", "only", "every", NULL};
    struct scenario *scenario = read->scenario;
    const struct yaml *off;
    const struct yaml *only;
    const struct yaml *every;

    if (!read_map(read, at, "invariants", known)) return;
    off = yaml_get(at, "off");
    only = yaml_get(at, "only");
    every = yaml_get(at, "every");
    if (off != NULL && only != NULL) {
        read_fail(read, only, "invariants: off or only, not both");
        return;
    }
    if (off != NULL && !read_list(read, off, "off")) return;
    if (only != NULL && !read_list(read, only, "only")) return;
    if ((off != NULL && off->count > SCENARIO_OFFS_MAX) ||
        (only != NULL && only->count > SCENARIO_OFFS_MAX)) {
        read_fail(read, at, "more than %d invariants", SCENARIO_OFFS_MAX);
        return;
    }
    for (uint32_t i = 0; off != NULL && i < off->count && !yaml_failed(read->error); i++)
        read_off(read, off->items[i]);
    for (uint32_t i = 0; only != NULL && i < only->count && !yaml_failed(read->error); i++)
        scenario->onlys[scenario->only_count++] = read_oracle(read, only->items[i]);
    if (every != NULL) scenario->every = (uint32_t)read_fixed(read, every, UNIT_COUNT, 1, 1000000);
}
