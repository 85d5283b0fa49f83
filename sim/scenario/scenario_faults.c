/* faults: random faults.
 *
 *     faults:
 *       swarm: true
 *       classes: [process, network, disk, clock, membership, client]
 *       intensity: rough                             # or drawn
 *       quiet_start: 1s
 *       only: [P1, N6]                               # or
 *       off: [DF15]
 *       rate: {P1: 1/s}                              # always on, at this rate */
#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <string.h>

static const struct fault_class_info classes[] = {
#define X(name, id, group, often, about) \
    [FAULT_CLASS_##name] = {id, FAULT_GROUP_##group, FAULT_##often, about},
    FAULT_CLASS_LIST(X)
#undef X
};
_Static_assert(FAULT_CLASSES < 64, "classes are a bit mask");

const struct fault_class_info *fault_class_info(enum fault_class class)
{
    return &classes[class];
}

int fault_class_find(const char *id)
{
    for (int i = 0; i < FAULT_CLASSES; i++) {
        if (strcmp(classes[i].id, id) == 0) return i;
    }
    return -1;
}

/* ---- faults ---------------------------------------------------------------------------------- */

static uint64_t read_ids(const struct read *read, const struct yaml *at, const char *what)
{
    const char *names[FAULT_CLASSES + 1] = {NULL};
    uint64_t set = 0;

    for (int i = 0; i < FAULT_CLASSES; i++)
        names[i] = classes[i].id;
    if (!read_list(read, at, what)) return 0;
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++) {
        int class = fault_class_find(read_text(read, at->items[i], "an id"));

        if (class < 0) {
            read_fail_word(read, at->items[i], "random fault", names);
        } else {
            set |= UINT64_C(1) << class;
        }
    }
    return set;
}

static uint64_t read_groups(const struct read *read, const struct yaml *at)
{
    uint64_t set = 0;

    if (!read_list(read, at, "classes")) return 0;
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++) {
        int group = read_choice(read, at->items[i], "a class of faults", FAULT_GROUP_NAMES);

        for (int j = 0; j < FAULT_CLASSES; j++) {
            if ((int)classes[j].group == group) set |= UINT64_C(1) << j;
        }
    }
    return set;
}

static void read_rates(const struct read *read, const struct yaml *at, struct fault_profile *faults)
{
    const char *names[FAULT_CLASSES + 1] = {NULL};

    for (int i = 0; i < FAULT_CLASSES; i++)
        names[i] = classes[i].id;
    if (!read_map(read, at, "rate", names)) return;
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++) {
        int class = fault_class_find(at->keys[i]->text);

        faults->rate[class] = read_range(read, at->items[i], UNIT_RATE);
        if (faults->rate[class].min < 1) read_fail(read, at->items[i], "a rate above 0 is wanted");
        faults->always |= UINT64_C(1) << class;
    }
}

void read_faults(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"swarm", "classes", "intensity", "quiet_start",
                                        "only",  "off",     "rate",      NULL};
    struct fault_profile *faults = &read->scenario->faults;
    const struct yaml *value;

    if (!read_map(read, at, "faults", known)) return;
    faults->classes = (UINT64_C(1) << FAULT_CLASSES) - 1;
    faults->intensities = UINT32_C(1) << FAULT_ROUGH;
    value = yaml_get(at, "swarm");
    faults->swarm = value == NULL || read_bool(read, value);
    value = yaml_get(at, "classes");
    if (value != NULL) faults->classes = read_groups(read, value);
    value = yaml_get(at, "only");
    if (value != NULL) faults->classes = read_ids(read, value, "only");
    if (value != NULL && yaml_get(at, "classes") != NULL) {
        read_fail(read, value, "classes or only, not both");
    }
    value = yaml_get(at, "off");
    if (value != NULL) faults->classes &= ~read_ids(read, value, "off");
    value = yaml_get(at, "intensity");
    if (value != NULL)
        faults->intensities = UINT32_C(1)
                              << read_choice(read, value, "intensity", FAULT_INTENSITY_NAMES);
    value = yaml_get(at, "quiet_start");
    if (value != NULL)
        faults->quiet_start_ns = read_fixed(read, value, UNIT_TIME, 0, INT64_MAX / 4);
    value = yaml_get(at, "rate");
    if (value != NULL) read_rates(read, value, faults);
    faults->classes |= faults->always;
    if (faults->classes == 0) read_fail(read, at, "faults: no class is left");
}

/* ---- actions of one run ---------------------------------------------------------------------- */

const struct scenario_action *scenario_action_parse(struct scenario *scenario, const char *text,
                                                    struct yaml_error *error)
{
    const struct read read = {scenario, "action", error, NULL};
    struct scenario_action *action = store_take(&scenario->store, sizeof *action);
    struct yaml *root = yaml_parse(&scenario->store, "action", text, strlen(text), error);

    if (root == NULL) return NULL;
    read_action(&read, root, action);
    return yaml_failed(error) ? NULL : action;
}
