/* The simulated world takes the suite: up to three machines on a network of their own.
 * usage: conformance-sim [SEED]     odd seeds: every stream comes in pieces */
#include "tests/conformance/conformance.h"

#include "sim/fault.h"

#include <stdlib.h>

struct conf_set {
    struct sim *sim;
    struct sim_world *nodes[CONF_WORLDS_MAX];
};

static uint64_t harness_seed = 2;

static struct conf_set *harness_create(const struct conf_options *options)
{
    struct conf_set *set = sim_alloc(sizeof *set);
    struct sim_config config = sim_config_default(harness_seed);

    /* The suite leaves half a megabyte unread and expects it to be taken, as a kernel would. */
    config.net.buffer_min = 1024 * 1024;
    if (harness_seed % 2 != 0) config.net.pieces_per_million = RNG_MILLION;
    set->sim = sim_create(&config);
    for (uint32_t i = 0; i < options->world_count; i++) {
        struct sim_node_config node = sim_node_config_default((int32_t)i + 1);

        node.region_size = CONF_REGION_SIZE;
        node.connections_max = options->connections_max;
        node.files_max = options->files_max;
        node.costs = sim_costs_default();
        /* Everything that may be lost is lost, and nothing else. */
        node.disk.loss = (struct sim_loss){.policy = SIM_LOSS_EVERYTHING};
        node.disk.writeback_ns = 0;
        set->nodes[i] = sim_node_add(set->sim, &node);
        sim_node_start(set->nodes[i]);
    }
    return set;
}

static void harness_destroy(struct conf_set *set)
{
    sim_destroy(set->sim);
    free(set);
}

static struct world *harness_world(struct conf_set *set, uint32_t index)
{
    return &set->nodes[index]->world;
}

static struct str harness_host(struct conf_set *set, uint32_t index)
{
    return str_of(set->nodes[index]->name);
}

static bool harness_run(struct conf_set *set, bool (*done)(void *context), void *context,
                        int64_t limit_ns)
{
    struct sim_limits limits = {
        .until_ns = set->sim->now_ns + limit_ns, .done = done, .context = context};
    enum sim_outcome outcome = sim_run(set->sim, &limits);

    return outcome == SIM_END_DONE;
}

static void harness_down(struct conf_set *set, uint32_t index, enum sim_down how)
{
    sim_crash(set->nodes[index], how);
    sim_restart(set->nodes[index]);
}

static void harness_crash(struct conf_set *set, uint32_t index)
{
    harness_down(set, index, SIM_DOWN_KILL);
}

static void harness_power_loss(struct conf_set *set, uint32_t index)
{
    harness_down(set, index, SIM_DOWN_POWER);
}

static uint64_t harness_traced(struct conf_set *set, uint32_t index)
{
    return set->nodes[index]->traced;
}

static bool harness_stopped(struct conf_set *set, uint32_t index, int *status)
{
    *status = set->nodes[index]->stop_status;
    return set->nodes[index]->stopped;
}

int main(int argc, char **argv)
{
    static const struct conf_harness harness = {
        .name = "sim",
        .can_crash = true,
        .can_power_loss = true,
        .virtual_time = true,
        .create = harness_create,
        .destroy = harness_destroy,
        .world = harness_world,
        .host = harness_host,
        .run = harness_run,
        .crash = harness_crash,
        .power_loss = harness_power_loss,
        .traced = harness_traced,
        .stopped = harness_stopped,
    };

    if (argc > 1) harness_seed = strtoull(argv[1], NULL, 10);
    return conformance_run(&harness);
}
