#include "sim/scenario/scenario.h"

#include "sim/scenario/read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENARIO_FILE_MAX = 1 << 20 };

static const char *const scenario_keys[] = {
    "gregor", "name",     "about", "tags",   "seeds",    "stop",        "cluster",
    "topics", "workload", "steps", "expect", "liveness", "loss_budget", NULL};

static void read_seeds(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"from", "count", NULL};
    struct scenario *scenario = read->scenario;
    const struct yaml *from = NULL;
    const struct yaml *count = NULL;

    if (at->kind == YAML_MAP) {
        if (!read_map(read, at, "seeds", known)) return;
        from = yaml_get(at, "from");
        count = yaml_get(at, "count");
        if (from == NULL || count == NULL) {
            read_fail(read, at, "seeds: {from: N, count: N} are both wanted");
            return;
        }
        scenario->seed_count = (uint32_t)read_fixed(read, count, UNIT_COUNT, 1, SCENARIO_SEEDS_MAX);
    } else {
        scenario->seed_count = at->kind == YAML_LIST ? at->count : 1;
    }
    if (scenario->seed_count == 0) {
        read_fail(read, at, "at least one seed is wanted");
        return;
    }
    scenario->seeds = store_take(&scenario->store, scenario->seed_count * sizeof(uint64_t));
    for (uint32_t i = 0; i < scenario->seed_count && !yaml_failed(read->error); i++) {
        const struct yaml *one = at->kind == YAML_LIST ? at->items[i] : from != NULL ? from : at;

        scenario->seeds[i] =
            (uint64_t)read_fixed(read, one, UNIT_COUNT, 0, INT64_MAX / 4) + (from != NULL ? i : 0);
    }
}

static void read_stop(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"time", "events", "wall", NULL};
    struct scenario *scenario = read->scenario;
    const struct yaml *value;

    if (!read_map(read, at, "stop", known)) return;
    value = yaml_get(at, "time");
    if (value != NULL) scenario->stop_ns = read_fixed(read, value, UNIT_TIME, 1, INT64_MAX / 4);
    value = yaml_get(at, "events");
    if (value != NULL) {
        scenario->stop_events = (uint64_t)read_fixed(read, value, UNIT_COUNT, 1, INT64_MAX / 4);
    }
    value = yaml_get(at, "wall");
    if (value != NULL) scenario->stop_wall_ns = read_fixed(read, value, UNIT_TIME, 1, INT64_MAX);
}

static void read_liveness(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"converge", "core", NULL};
    struct scenario *scenario = read->scenario;
    const struct yaml *value;

    if (at->kind == YAML_SCALAR) {
        scenario->liveness = read_choice(read, at, "liveness", "off on") == 1;
        return;
    }
    if (!read_map(read, at, "liveness", known)) return;
    value = yaml_get(at, "converge");
    if (value != NULL) {
        scenario->converge_ns = read_fixed(read, value, UNIT_TIME, 1, INT64_MAX / 4);
    }
    value = yaml_get(at, "core");
    if (value == NULL) return;
    if (value->kind != YAML_LIST) {
        scenario->core = (enum scenario_core)read_choice(read, value, "core", "all random");
        return;
    }
    scenario->core = SCENARIO_CORE_LIST;
    for (uint32_t i = 0; i < value->count; i++) {
        if (scenario->core_count == SCENARIO_BROKERS_MAX + SCENARIO_CONTROLLERS_MAX) break;
        scenario->core_nodes[scenario->core_count++] =
            (int32_t)read_fixed(read, value->items[i], UNIT_COUNT, 1, INT32_MAX);
    }
}

static void read_header(const struct read *read, const struct yaml *root)
{
    struct scenario *scenario = read->scenario;
    const struct yaml *value = yaml_get(root, "gregor");

    if (value == NULL) {
        read_fail(read, root, "\"gregor: 1\" is missing: the version of the language");
        return;
    }
    if (read_fixed(read, value, UNIT_COUNT, 0, INT32_MAX) != 1 && !yaml_failed(read->error)) {
        read_fail(read, value, "this program reads version 1, not %s", value->text);
    }
    value = yaml_get(root, "name");
    if (value == NULL) {
        read_fail(read, root, "\"name\" is missing");
        return;
    }
    scenario->name = read_name(read, value, "name");
    value = yaml_get(root, "about");
    scenario->about = value != NULL ? read_text(read, value, "about") : "";
    value = yaml_get(root, "tags");
    if (value != NULL) (void)read_list(read, value, "tags");
    value = yaml_get(root, "loss_budget");
    if (value != NULL) {
        static const char *const known[] = {"replicas", NULL};
        const struct yaml *replicas =
            read_map(read, value, "loss_budget", known) ? yaml_get(value, "replicas") : NULL;

        if (replicas != NULL) {
            scenario->loss_budget = (int32_t)read_fixed(read, replicas, UNIT_COUNT, 0, 64);
        }
    }
}

/* The order matters: what is named must be known before it is used. */
static void read_scenario(const struct read *read, const struct yaml *root)
{
    static const struct {
        const char *key;
        void (*read)(const struct read *read, const struct yaml *at);
    } parts[] = {
        {"seeds", read_seeds},    {"stop", read_stop},         {"cluster", read_cluster},
        {"topics", read_topics},  {"workload", read_workload}, {"steps", read_steps},
        {"expect", read_expects}, {"liveness", read_liveness},
    };
    const struct expr_names *names = &read->scenario->names;

    if (!read_map(read, root, "a scenario", scenario_keys)) return;
    read_header(read, root);
    for (uint32_t i = 0; i < COUNT_OF(parts) && !yaml_failed(read->error); i++) {
        const struct yaml *value = yaml_get(root, parts[i].key);

        if (value != NULL) parts[i].read(read, value);
    }
    for (uint32_t i = 0; i < names->var_count && !yaml_failed(read->error); i++) {
        if (names->vars_used[i]) continue;
        yaml_fail(read->error, read->file, names->vars_line[i], 1,
                  "$%s is bound and never used; remove it or use it", names->vars[i]);
    }
}

struct scenario *scenario_parse(const char *file, const char *text, size_t length,
                                struct yaml_error *error)
{
    struct scenario *scenario = sim_alloc(sizeof *scenario);
    const struct read read = {scenario, file, error};
    struct yaml *root;

    scenario->stop_ns = 60 * NS_PER_SEC;
    scenario->controllers = 3;
    scenario->brokers = 3;
    scenario->net = sim_net_config_default();
    scenario->disk_profile = SIM_DISK_NVME;
    scenario->loss = sim_disk_config_default(SIM_DISK_NVME).loss;
    scenario->skew_ns = (struct unit_range){-500 * NS_PER_MS, 500 * NS_PER_MS};
    scenario->drift_ppb = (struct unit_range){-50000, 50000};
    scenario->liveness = true;
    scenario->core = SCENARIO_CORE_ALL;
    scenario->loss_budget = -1;
    scenario->file = store_text(&scenario->store, file, strlen(file));
    scenario->text = store_text(&scenario->store, text, length);
    root = yaml_parse(&scenario->store, file, text, length, error);
    if (root != NULL) read_scenario(&read, root);
    if (yaml_failed(error)) {
        scenario_destroy(scenario);
        return NULL;
    }
    if (scenario->seed_count == 0) {
        scenario->seeds = store_take(&scenario->store, sizeof(uint64_t));
        scenario->seeds[0] = 1;
        scenario->seed_count = 1;
    }
    return scenario;
}

struct scenario *scenario_load(const char *path, struct yaml_error *error)
{
    FILE *file = fopen(path, "rb");
    char *text = sim_alloc(SCENARIO_FILE_MAX);
    struct scenario *scenario = NULL;

    error->text[0] = '\0';
    if (file == NULL) {
        (void)snprintf(error->text, sizeof error->text, "%s: %s", path, strerror(errno));
    } else {
        size_t length = fread(text, 1, SCENARIO_FILE_MAX, file);

        if (ferror(file) || length == SCENARIO_FILE_MAX) {
            (void)snprintf(error->text, sizeof error->text, "%s: cannot be read, or above 1 MiB",
                           path);
        } else {
            scenario = scenario_parse(path, text, length, error);
        }
        (void)fclose(file);
    }
    free(text);
    return scenario;
}

void scenario_destroy(struct scenario *scenario)
{
    if (scenario == NULL) return;
    store_free(&scenario->store);
    free(scenario);
}
