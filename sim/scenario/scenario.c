#include "sim/scenario/scenario.h"

#include "sim/scenario/read.h"

#include "sim/scenario/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENARIO_FILE_MAX = 1 << 20 };

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
    struct scenario *scenario = read->scenario;
    const struct yaml *value;

    if (!read_map(read, at, "stop", keys_names(KEYS_STOP))) return;
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
    struct scenario *scenario = read->scenario;
    const struct yaml *value;

    if (at->kind == YAML_SCALAR) {
        scenario->liveness = read_choice(read, at, "liveness", "off on") == 1;
        return;
    }
    if (!read_map(read, at, "liveness", keys_names(KEYS_LIVENESS))) return;
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

static void read_tags(const struct read *read, const struct yaml *at)
{
    struct scenario *scenario = read->scenario;

    if (at->count == 0) return;
    scenario->tags = store_take(&scenario->store, at->count * sizeof *scenario->tags);
    for (uint32_t i = 0; i < at->count; i++)
        scenario->tags[i] = read_name(read, at->items[i], "a tag");
    scenario->tag_count = at->count;
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
    if (value != NULL && read_list(read, value, "tags")) read_tags(read, value);
    value = yaml_get(root, "canary");
    scenario->canary = value != NULL && read_bool(read, value);
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
uint32_t scenario_clients_room(const struct scenario *scenario)
{
    uint32_t nodes = scenario->brokers + (scenario->combined ? 0 : scenario->controllers);
    uint32_t room = SCENARIO_NAMED_MAX - SCENARIO_HELPERS - nodes;

    return room < SCENARIO_CLIENTS_MAX ? room : SCENARIO_CLIENTS_MAX;
}

uint32_t scenario_crowd(const struct scenario *scenario)
{
    uint32_t crowd = 0;

    for (uint32_t i = 0; i < scenario->client_count; i++)
        crowd += scenario->clients[i].crowd;
    return crowd;
}

/* Those that steps start are counted too: they have machines from the beginning. */
static void check_machines(const struct read *read, const struct yaml *root)
{
    const struct scenario *scenario = read->scenario;
    const struct yaml *workload = yaml_get(root, "workload");
    uint32_t room = scenario_clients_room(scenario);
    uint32_t clients = scenario->client_count;

    if (clients < (uint32_t)scenario->mix.max) clients = (uint32_t)scenario->mix.max;
    if (clients > room) {
        read_fail(
            read, workload != NULL ? workload : root,
            "%u clients: %u brokers and %u controllers leave %u of %d machines that steps can "
            "name; crowd: has room for %d members more",
            clients, scenario->brokers, scenario->combined ? 0 : scenario->controllers, room,
            SCENARIO_NAMED_MAX, SCENARIO_CROWD_MAX);
    }
    if (scenario_crowd(scenario) > SCENARIO_CROWD_MAX) {
        read_fail(read, workload, "crowd: %u in all, of at most %d", scenario_crowd(scenario),
                  SCENARIO_CROWD_MAX);
    }
}

static void read_scenario(const struct read *read, const struct yaml *root)
{
    static const struct {
        const char *key;
        void (*read)(const struct read *read, const struct yaml *at);
    } parts[] = {
        {"seeds", read_seeds},     {"stop", read_stop},         {"cluster", read_cluster},
        {"network", read_network}, {"disk", read_disk},         {"clock", read_clock},
        {"topics", read_topics},   {"workload", read_workload}, {"steps", read_steps},
        {"expect", read_expects},  {"liveness", read_liveness}, {"invariants", read_invariants},
        {"faults", read_faults},
    };
    const struct expr_names *names = &read->scenario->names;

    if (!read_map(read, root, "a scenario", keys_names(KEYS_TOP))) return;
    read_header(read, root);
    for (uint32_t i = 0; i < COUNT_OF(parts) && !yaml_failed(read->error); i++) {
        const struct yaml *value = yaml_get(root, parts[i].key);

        if (value != NULL) parts[i].read(read, value);
    }
    if (!yaml_failed(read->error)) check_machines(read, root);
    for (uint32_t i = 0; i < names->var_count && !yaml_failed(read->error); i++) {
        if (names->vars_used[i]) continue;
        yaml_fail(read->error, read->file, names->vars_line[i], 1,
                  "$%s is bound and never used; remove it or use it", names->vars[i]);
    }
}

/* The scenario of an empty file, if there were one: writing leaves out what is as here. */
static void scenario_init(struct scenario *scenario)
{
    scenario->stop_ns = 60 * NS_PER_SEC;
    scenario->controllers = 3;
    scenario->brokers = 3;
    scenario->net = sim_net_config_default();
    scenario->disk_profile = SIM_DISK_NVME;
    scenario->loss = sim_disk_config_default(SIM_DISK_NVME).loss;
    scenario->skew_ns = (struct unit_range){-500 * NS_PER_MS, 500 * NS_PER_MS};
    scenario->drift_ppb = (struct unit_range){-50000, 50000};
    scenario->clock_step_ns = (struct unit_range){-200 * NS_PER_MS, 200 * NS_PER_MS};
    scenario->coarse_ns = (struct unit_range){NS_PER_MS, 4 * NS_PER_MS};
    scenario->late_ns = (struct unit_range){0, NS_PER_MS / 5};
    scenario->liveness = true;
    scenario->core = SCENARIO_CORE_ALL;
    scenario->loss_budget = -1;
}

struct scenario *scenario_empty(void)
{
    struct scenario *scenario = sim_alloc(sizeof *scenario);

    scenario_init(scenario);
    return scenario;
}

static struct scenario *scenario_read(const char *file, const char *text, size_t length,
                                      const struct choices *choices, struct yaml_error *error)
{
    struct scenario *scenario = scenario_empty();
    const struct read read = {scenario, file, error, choices};
    struct yaml *root;

    scenario->file = store_text(&scenario->store, file, strlen(file));
    scenario->source = store_text(&scenario->store, text, length);
    scenario->source_length = length;
    root = yaml_parse(&scenario->store, file, text, length, error);
    if (root != NULL) {
        scenario->varies = vary_picks(&read, root);
        read_scenario(&read, root);
    }
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

/* ---- choices --------------------------------------------------------------------------------- */

struct tries {
    const struct scenario *scenario;
    struct yaml_error *error;
};

static void try_one(void *context, const char *path, uint32_t index)
{
    const struct tries *tries = context;
    const struct scenario *scenario = tries->scenario;
    const struct choices choices = {.path = path, .index = index};
    struct yaml_error error;
    struct scenario *read;

    if (yaml_failed(tries->error) || index == 0) return; /* the first was read already */
    read =
        scenario_read(scenario->file, scenario->source, scenario->source_length, &choices, &error);
    if (read == NULL) {
        (void)snprintf(tries->error->text, sizeof tries->error->text, "%.500s (choice %u of %.80s)",
                       error.text, index + 1, path);
    }
    scenario_destroy(read);
}

/* Each alternative must be right by itself, with the first one of all others. */
static bool scenario_try_all(const struct scenario *scenario, struct yaml_error *error)
{
    struct store store = {NULL};
    struct yaml *root =
        yaml_parse(&store, scenario->file, scenario->source, scenario->source_length, error);
    struct tries tries = {scenario, error};

    if (root != NULL) vary_each(root, try_one, &tries);
    store_free(&store);
    return !yaml_failed(error);
}

struct scenario *scenario_parse(const char *file, const char *text, size_t length,
                                struct yaml_error *error)
{
    struct scenario *scenario = scenario_read(file, text, length, NULL, error);

    if (scenario == NULL || !scenario->varies || scenario_try_all(scenario, error)) {
        return scenario;
    }
    scenario_destroy(scenario);
    return NULL;
}

struct scenario *scenario_for_seed(const struct scenario *scenario, uint64_t seed,
                                   struct yaml_error *error)
{
    const struct choices choices = {.draw = true, .seed = seed};
    struct scenario *made =
        scenario_read(scenario->file, scenario->source, scenario->source_length, &choices, error);

    if (made != NULL) made->varies = false;
    return made;
}

/* ---- files ----------------------------------------------------------------------------------- */

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
