/* cluster: shape, configuration, network, disks, clocks. */
#include "sim/scenario/read.h"

#include "client/base/list.h"
#include "sim/scenario/keys.h"

#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);

    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* Kafka counts bytes and milliseconds; `segment.bytes: 64KiB` and `retention.ms: 5s` mean those. */
static const char *config_value(const struct read *read, const char *key, const char *text)
{
    struct unit_range range;
    char why[192];

    if (ends_with(key, "bytes") && units_parse(UNIT_SIZE, text, &range, why) &&
        range.min == range.max) {
        return store_format(&read->scenario->store, "%lld", (long long)range.min);
    }
    if (ends_with(key, ".ms") && units_parse(UNIT_TIME, text, &range, why) &&
        range.min == range.max && range.min % NS_PER_MS == 0) {
        return store_format(&read->scenario->store, "%lld", (long long)(range.min / NS_PER_MS));
    }
    return text;
}

void read_configs(const struct read *read, const struct yaml *at, int32_t node,
                  struct scenario_config **configs, uint32_t *count, bool *swarm)
{
    if (at->kind != YAML_MAP) {
        read_fail(read, at, "config: is a map of Kafka's property names to values");
        return;
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++) {
        const char *value = read_text(read, at->items[i], "a property");

        if (swarm != NULL && strcmp(at->keys[i]->text, "swarm") == 0) {
            *swarm = read_bool(read, at->items[i]);
            continue;
        }

        if (*count == SCENARIO_CONFIGS_MAX) {
            read_fail(read, at->keys[i], "more than %d properties", SCENARIO_CONFIGS_MAX);
            return;
        }
        *configs = store_grow(&read->scenario->store, *configs, *count, sizeof **configs);
        value = config_value(read, at->keys[i]->text, value);
        (*configs)[(*count)++] = (struct scenario_config){at->keys[i]->text, value, node};
    }
}

static void read_racks(const struct read *read, const struct yaml *at)
{
    struct scenario *scenario = read->scenario;
    struct expr_names *names = &scenario->names;

    if (!read_list(read, at, "racks")) return;
    if (at->count != scenario->brokers) {
        read_fail(read, at, "racks: one for each of the %u brokers, not %u", scenario->brokers,
                  at->count);
        return;
    }
    for (uint32_t i = 0; i < at->count; i++) {
        bool known = false;

        scenario->racks[i] = read_name(read, at->items[i], "a rack");
        for (uint32_t j = 0; j < names->rack_count; j++)
            known = known || strcmp(names->racks[j], scenario->racks[i]) == 0;
        if (!known) names->racks[names->rack_count++] = scenario->racks[i];
    }
}

void read_network(const struct read *read, const struct yaml *at)
{
    struct sim_net_config *net = &read->scenario->net;
    const struct yaml *value;

    if (!read_map(read, at, "network", keys_names(KEYS_NETWORK))) return;
    value = yaml_get(at, "latency");
    if (value != NULL) {
        struct unit_range range = read_range(read, value, UNIT_TIME);

        net->latency_min_ns = range.min;
        net->latency_max_ns = range.max;
    }
    value = yaml_get(at, "jitter");
    if (value != NULL) net->jitter_ns = read_fixed(read, value, UNIT_TIME, 0, NS_PER_SEC * 60);
    value = yaml_get(at, "bandwidth");
    if (value != NULL) { /* of each connection, per second */
        net->bytes_per_us = read_fixed(read, value, UNIT_SIZE, 1000000, INT64_MAX / 4) / 1000000;
    }
    value = yaml_get(at, "pieces");
    if (value != NULL) {
        net->pieces_per_million = (uint32_t)read_fixed(read, value, UNIT_SHARE, 0, RNG_MILLION);
    }
}

static void read_power_loss(const struct read *read, const struct yaml *at, struct sim_loss *loss)
{
    const char *const *known = keys_names(KEYS_POWER_LOSS);
    int64_t shares[4] = {0};
    int64_t sum = 0;

    if (!read_map(read, at, "power_loss", known)) return;
    for (uint32_t i = 0; i < 4; i++) {
        const struct yaml *value = yaml_get(at, known[i]);

        if (value != NULL) shares[i] = read_fixed(read, value, UNIT_SHARE, 0, RNG_MILLION);
        sum += shares[i];
    }
    if (sum != RNG_MILLION && !yaml_failed(read->error)) {
        read_fail(read, at, "power_loss: keep, drop, tear and garbage must sum up to 100%%");
    }
    *loss = (struct sim_loss){SIM_LOSS_PAGES, (uint32_t)shares[0], (uint32_t)shares[2],
                              (uint32_t)shares[3]};
}

/* The model has one of each; who writes them may rely on them. */
static void read_disk_sizes(const struct read *read, const struct yaml *at)
{
    const struct yaml *sector = yaml_get(at, "sector");
    const struct yaml *page = yaml_get(at, "page");

    if (sector != NULL) (void)read_fixed(read, sector, UNIT_SIZE, 512, 512);
    if (page != NULL) (void)read_fixed(read, page, UNIT_SIZE, 4096, 4096);
}

void read_disk(const struct read *read, const struct yaml *at)
{
    const struct yaml *value;

    if (!read_map(read, at, "disk", keys_names(KEYS_DISK))) return;
    value = yaml_get(at, "profile");
    if (value != NULL) {
        read->scenario->disk_profile =
            (enum sim_disk_profile)read_choice(read, value, "profile", "nvme ssd hdd");
    }
    value = yaml_get(at, "power_loss");
    if (value != NULL) read_power_loss(read, value, &read->scenario->loss);
    read_disk_sizes(read, at);
}

/* How the clocks differ; none: not at all. */
void read_clock(const struct read *read, const struct yaml *at)
{
    struct scenario *scenario = read->scenario;
    const struct {
        const char *key;
        enum unit unit;
        struct unit_range *range;
    } parts[] = {{"skew", UNIT_TIME, &scenario->skew_ns},
                 {"drift", UNIT_DRIFT, &scenario->drift_ppb},
                 {"step", UNIT_TIME, &scenario->clock_step_ns},
                 {"coarse", UNIT_TIME, &scenario->coarse_ns},
                 {"late", UNIT_TIME, &scenario->late_ns}};

    if (at->kind == YAML_SCALAR) {
        (void)read_choice(read, at, "clock", "none");
        for (uint32_t i = 0; i < COUNT_OF(parts); i++)
            *parts[i].range = (struct unit_range){0, 0};
        return;
    }
    if (!read_map(read, at, "clock", keys_names(KEYS_CLOCK))) return;
    for (uint32_t i = 0; i < COUNT_OF(parts); i++) {
        const struct yaml *value = yaml_get(at, parts[i].key);

        if (value != NULL) *parts[i].range = read_range(read, value, parts[i].unit);
    }
}

/* ---- one node -------------------------------------------------------------------------------- */

static void read_node_disk(const struct read *read, const struct yaml *at,
                           struct scenario_node *node)
{
    const struct yaml *value;

    if (!read_map(read, at, "disk", keys_names(KEYS_DISK))) return;
    value = yaml_get(at, "profile");
    node->has_profile = value != NULL;
    if (value != NULL) {
        node->profile = (enum sim_disk_profile)read_choice(read, value, "profile", "nvme ssd hdd");
    }
    value = yaml_get(at, "power_loss");
    node->has_loss = value != NULL;
    if (value != NULL) read_power_loss(read, value, &node->loss);
    read_disk_sizes(read, at);
}

static const char *const node_clock_keys[] = {"skew", "drift", NULL};

static void read_node_clock(const struct read *read, const struct yaml *at,
                            struct scenario_node *node)
{
    const struct yaml *value;

    if (!read_map(read, at, "clock of a node", node_clock_keys)) return;
    value = yaml_get(at, "skew");
    node->has_skew = value != NULL;
    if (value != NULL) node->skew_ns = read_range(read, value, UNIT_TIME);
    value = yaml_get(at, "drift");
    node->has_drift = value != NULL;
    if (value != NULL) node->drift_ppb = read_range(read, value, UNIT_DRIFT);
}

static bool node_known(const struct scenario *scenario, int64_t id)
{
    int64_t first = scenario->combined ? 1 : SCENARIO_FIRST_CONTROLLER;

    return (id >= 1 && id <= scenario->brokers) ||
           (id >= first && id < first + scenario->controllers);
}

static void read_node(const struct read *read, const struct yaml *key, const struct yaml *at)
{
    static const char *const known[] = {"config", "disk", "clock", NULL};
    struct scenario *scenario = read->scenario;
    struct scenario_node *node = &scenario->nodes[scenario->node_count];
    const struct yaml *value;

    *node = (struct scenario_node){.id = (int32_t)read_fixed(read, key, UNIT_COUNT, 1, INT32_MAX)};
    if (!node_known(scenario, node->id)) {
        read_fail(read, key, "there is no node %d; brokers are 1 to %u, controllers %d to %d",
                  node->id, scenario->brokers, scenario->combined ? 1 : SCENARIO_FIRST_CONTROLLER,
                  (scenario->combined ? 0 : SCENARIO_FIRST_CONTROLLER - 1) +
                      (int)scenario->controllers);
    }
    if (yaml_failed(read->error) || !read_map(read, at, "a node", known)) return;
    scenario->node_count++;
    value = yaml_get(at, "config");
    if (value != NULL) {
        read_configs(read, value, node->id, &scenario->configs, &scenario->config_count, NULL);
    }
    value = yaml_get(at, "disk");
    if (value != NULL) read_node_disk(read, value, node);
    value = yaml_get(at, "clock");
    if (value != NULL) read_node_clock(read, value, node);
}

static void read_nodes(const struct read *read, const struct yaml *at)
{
    if (at->kind != YAML_MAP) {
        read_fail(read, at, "node: is a map of node numbers");
        return;
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++)
        read_node(read, at->keys[i], at->items[i]);
}

void read_cluster(const struct read *read, const struct yaml *at)
{
    static const struct {
        const char *key;
        void (*read)(const struct read *read, const struct yaml *at);
    } parts[] = {{"racks", read_racks},
                 {"node", read_nodes},
                 {"network", read_network},
                 {"disk", read_disk},
                 {"clock", read_clock}};
    struct scenario *scenario = read->scenario;
    const struct yaml *value;

    if (!read_map(read, at, "cluster", keys_names(KEYS_CLUSTER))) return;
    value = yaml_get(at, "controllers");
    if (value != NULL) {
        scenario->controllers =
            (uint32_t)vary_range(read, value, "cluster.controllers", 1, SCENARIO_CONTROLLERS_MAX);
    }
    value = yaml_get(at, "brokers");
    if (value != NULL) {
        scenario->brokers =
            (uint32_t)vary_range(read, value, "cluster.brokers", 1, SCENARIO_BROKERS_MAX);
    }
    value = yaml_get(at, "voters");
    if (value != NULL) {
        scenario->voters =
            (uint32_t)vary_range(read, value, "cluster.voters", 1, SCENARIO_CONTROLLERS_MAX);
        if (scenario->voters > scenario->controllers)
            read_fail(read, value, "%u voters of %u controllers", scenario->voters,
                      scenario->controllers);
    }
    value = yaml_get(at, "combined");
    if (value != NULL) scenario->combined = read_bool(read, value);
    if (scenario->combined && scenario->brokers != scenario->controllers) {
        read_fail(read, value, "combined: true needs as many brokers as controllers, not %u and %u",
                  scenario->brokers, scenario->controllers);
    }
    value = yaml_get(at, "versions");
    if (value != NULL && strcmp(read_text(read, value, "versions"), "same") != 0) {
        read_fail(read, value,
                  "there is only \"same\", not \"%s\": a node's "
                  "gregor.feature.metadata.version.max and the action upgrade make versions differ",
                  value->text);
    }
    value = yaml_get(at, "config");
    if (value != NULL) {
        read_configs(read, value, -1, &scenario->configs, &scenario->config_count,
                     &scenario->swarm_config);
    }
    value = yaml_get(at, "cpu");
    if (value != NULL) scenario->free_cpu = read_choice(read, value, "cpu", "modelled free") == 1;
    for (uint32_t i = 0; i < COUNT_OF(parts) && !yaml_failed(read->error); i++) {
        value = yaml_get(at, parts[i].key);
        if (value != NULL) parts[i].read(read, value);
    }
}
