/* cluster: shape, configuration, network, disks, clocks. */
#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <string.h>

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

static void read_node(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"config", NULL};
    struct scenario *scenario = read->scenario;

    if (at->kind != YAML_MAP) {
        read_fail(read, at, "node: is a map of node numbers");
        return;
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++) {
        int32_t id = (int32_t)read_fixed(read, at->keys[i], UNIT_COUNT, 1, INT32_MAX);
        const struct yaml *config =
            read_map(read, at->items[i], "a node", known) ? yaml_get(at->items[i], "config") : NULL;

        if (config != NULL) {
            read_configs(read, config, id, &scenario->configs, &scenario->config_count, NULL);
        }
    }
}

static void read_network(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"latency", "jitter", "bandwidth", "pieces", NULL};
    struct sim_net_config *net = &read->scenario->net;
    const struct yaml *value;

    if (!read_map(read, at, "network", known)) return;
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

static void read_power_loss(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"keep", "drop", "tear", "garbage", NULL};
    struct sim_loss *loss = &read->scenario->loss;
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

static void read_disk(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"profile", "power_loss", NULL};
    const struct yaml *value;

    if (!read_map(read, at, "disk", known)) return;
    value = yaml_get(at, "profile");
    if (value != NULL) {
        read->scenario->disk_profile =
            (enum sim_disk_profile)read_choice(read, value, "profile", "nvme ssd hdd");
    }
    value = yaml_get(at, "power_loss");
    if (value != NULL) read_power_loss(read, value);
}

static void read_clock(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"skew", "drift", NULL};
    const struct yaml *value;

    if (!read_map(read, at, "clock", known)) return;
    value = yaml_get(at, "skew");
    if (value != NULL) read->scenario->skew_ns = read_range(read, value, UNIT_TIME);
    value = yaml_get(at, "drift");
    if (value != NULL) read->scenario->drift_ppb = read_range(read, value, UNIT_DRIFT);
}

void read_cluster(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"controllers", "brokers", "combined", "racks",
                                        "config",      "node",    "network",  "disk",
                                        "clock",       "cpu",     NULL};
    static const struct {
        const char *key;
        void (*read)(const struct read *read, const struct yaml *at);
    } parts[] = {{"racks", read_racks},
                 {"node", read_node},
                 {"network", read_network},
                 {"disk", read_disk},
                 {"clock", read_clock}};
    struct scenario *scenario = read->scenario;
    const struct yaml *value;

    if (!read_map(read, at, "cluster", known)) return;
    value = yaml_get(at, "controllers");
    if (value != NULL) {
        scenario->controllers = (uint32_t)read_pick(read, value, &scenario->controllers_pick, 1,
                                                    SCENARIO_CONTROLLERS_MAX);
    }
    value = yaml_get(at, "brokers");
    if (value != NULL) {
        scenario->brokers =
            (uint32_t)read_pick(read, value, &scenario->brokers_pick, 1, SCENARIO_BROKERS_MAX);
    }
    value = yaml_get(at, "combined");
    if (value != NULL) scenario->combined = read_bool(read, value);
    if (scenario->combined &&
        (scenario->controllers_pick.count > 0 || scenario->brokers_pick.count > 0)) {
        read_fail(read, value, "combined: true with numbers that are picked: write one number");
    }
    if (scenario->combined && scenario->brokers != scenario->controllers) {
        read_fail(read, value, "combined: true needs as many brokers as controllers, not %u and %u",
                  scenario->brokers, scenario->controllers);
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
