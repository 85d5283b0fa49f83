#include "sim/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- configuration --------------------------------------------------------------------------- */

/* Smaller than Kafka's where only memory is meant: a simulated node serves a handful of peers. */
static const char cluster_defaults[] = "max.connections=200\n"
                                       "queued.max.requests=200\n"
                                       "queued.max.request.bytes=33554432\n";

static void properties_add(struct cluster_node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void properties_add(struct cluster_node *node, const char *format, ...)
{
    size_t used = strlen(node->properties);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(node->properties + used, sizeof node->properties - used, format, args);
    va_end(args);
}

static bool cluster_initial(const struct cluster_node *node)
{
    const struct scenario *scenario = node->cluster->scenario;
    int32_t first = scenario->combined ? 1 : SCENARIO_FIRST_CONTROLLER;

    return (node->role & CLUSTER_CONTROLLER) != 0 && node->id < first + (int32_t)scenario->voters;
}

/* With voters in the log: controllers as bootstrap servers. */
static void properties_voters(struct cluster_node *node)
{
    const struct cluster *cluster = node->cluster;
    const char *comma = "";

    if (cluster->scenario->voters > 0) {
        properties_add(node, "controller.quorum.bootstrap.servers=");
        for (uint32_t i = 0; i < cluster->count; i++) {
            if ((cluster->nodes[i].role & CLUSTER_CONTROLLER) == 0) continue;
            properties_add(node, "%snode-%d:%d", comma, cluster->nodes[i].id,
                           CLUSTER_CONTROLLER_PORT);
            comma = ",";
        }
        properties_add(node, "\n");
        return;
    }
    properties_add(node, "controller.quorum.voters=");
    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct cluster_node *other = &cluster->nodes[i];

        if ((other->role & CLUSTER_CONTROLLER) == 0) continue;
        properties_add(node, "%s%d@node-%d:%d", comma, other->id, other->id,
                       CLUSTER_CONTROLLER_PORT);
        comma = ",";
    }
    properties_add(node, "\n");
}

/* The file that a person would write for this node. */
static void cluster_properties(struct cluster_node *node)
{
    const struct scenario *scenario = node->cluster->scenario;
    bool broker = (node->role & CLUSTER_BROKER) != 0;
    bool controller = (node->role & CLUSTER_CONTROLLER) != 0;

    properties_add(node, "node.id=%d\nprocess.roles=%s%s%s\n", node->id, broker ? "broker" : "",
                   broker && controller ? "," : "", controller ? "controller" : "");
    properties_add(node, "listeners=");
    if (broker) properties_add(node, "PLAINTEXT://node-%d:%d", node->id, CLUSTER_BROKER_PORT);
    if (broker && controller) properties_add(node, ",");
    if (controller) {
        properties_add(node, "CONTROLLER://node-%d:%d", node->id, CLUSTER_CONTROLLER_PORT);
    }
    properties_add(node, "\ncontroller.listener.names=CONTROLLER\nlog.dirs=data\n");
    properties_voters(node);
    if (broker && scenario->racks[node->id - 1] != NULL) {
        properties_add(node, "broker.rack=%s\n", scenario->racks[node->id - 1]);
    }
    properties_add(node, "%s", cluster_defaults);
    for (uint32_t i = 0; i < scenario->config_count; i++) {
        const struct scenario_config *config = &scenario->configs[i];

        if (config->node >= 0 && config->node != node->id) continue;
        properties_add(node, "%s=%s\n", config->key, config->value);
    }
}

static bool cluster_configure(struct cluster_node *node, struct errmsg *error)
{
    struct config_warnings *warnings = sim_alloc(sizeof *warnings);
    struct errmsg why = {.text = ""};
    bool fine;

    cluster_properties(node);
    fine = config_parse(&node->config, str_of(node->properties), warnings, &why) == ERR_NONE &&
           config_finish(&node->config, &why) == ERR_NONE;
    if (!fine) {
        (void)snprintf(error->text, sizeof error->text, "node %d: %.200s", node->id, why.text);
    } else if (warnings->count > 0 && node->cluster->scenario->config_count > 0) {
        fine = false; /* an unknown key in a scenario would silently do nothing */
        (void)snprintf(error->text, sizeof error->text, "node %d: %.200s", node->id,
                       warnings->text[0].text);
    }
    free(warnings);
    return fine;
}

/* ---- lives ----------------------------------------------------------------------------------- */

static void cluster_problem(struct cluster_node *node, const char *what, const char *why)
{
    struct cluster *cluster = node->cluster;

    if (cluster->problem[0] != '\0') return;
    cluster->problem_node = node->id;
    (void)snprintf(cluster->problem, sizeof cluster->problem, "%s: %.256s", what, why);
}

/* What `gregor-broker format` is told of the voters, in `text`. A wiped disk is not one of the
 * first voters any more. */
static enum node_format_voters cluster_voters(const struct cluster_node *node, char *text,
                                              size_t size)
{
    const struct cluster *cluster = node->cluster;
    size_t used = 0;

    text[0] = '\0';
    if (cluster->scenario->voters == 0 || (node->role & CLUSTER_CONTROLLER) == 0)
        return NODE_FORMAT_CONFIGURED;
    if (node->wiped || !cluster_initial(node)) return NODE_FORMAT_NO_INITIAL;
    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct cluster_node *other = &cluster->nodes[i];

        if (!cluster_initial(other)) continue;
        used +=
            (size_t)snprintf(text + used, size - used, "%s%d@node-%d:%d:%s", used > 0 ? "," : "",
                             other->id, other->id, CLUSTER_CONTROLLER_PORT, other->directory);
    }
    return NODE_FORMAT_INITIAL;
}

static void cluster_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct cluster_node *node = CONTAINER_OF(program, struct cluster_node, program);
    struct errmsg error = {.text = "no memory"};
    char initial[RAFT_VOTERS_MAX * 64];
    enum node_format_voters voters = cluster_voters(node, initial, sizeof initial);
    struct str list = voters == NODE_FORMAT_INITIAL ? str_of(initial) : STR_NULL;
    enum err err = ERR_NO_MEMORY;

    (void)now;
    world->codecs = node->cluster->codecs;
    node->stop_sent = false;
    if (!node->formatted) {
        bool again = node->format_began;

        node->format_began = true;
        node->format_errors = sim_disk_stats(node->world->disk)->errors;
        node->format = region_take(world->region, sizeof *node->format, 64);
        if (node->format != NULL) {
            err = node_format_start(node->format, world, &node->config,
                                    str_of(node->cluster->cluster_id), voters, list, again, &error);
        }
    } else {
        struct node *own = region_take(world->region, sizeof *own, 64);

        if (own != NULL) err = node_start(own, world, &node->config, false, &error);
        if (err == ERR_NONE) node->node = own;
    }
    if (err == ERR_NONE) return;
    cluster_problem(node, "the node does not start", error.text);
    world_stop(world, 1);
}

static void cluster_down(struct sim_program *program, struct world *world, enum sim_down how)
{
    struct cluster_node *node = CONTAINER_OF(program, struct cluster_node, program);
    struct sim_world *machine = sim_world_of(world);

    node->node = NULL;
    if (node->format != NULL) {
        node->format = NULL;
        if (how != SIM_DOWN_CLEAN) return; /* formats again when it is started again */
        if (machine->stop_status != 0) {
            if (sim_disk_stats(machine->disk)->errors > node->format_errors) return; /* likewise */
            cluster_problem(node, "the directory cannot be formatted", "see its trace");
            return;
        }
        node->formatted = true;
        sim_schedule(node->cluster->sim, &node->boot_again, node->cluster->sim->now_ns);
        return;
    }
    if (how != SIM_DOWN_CLEAN) return;
    if (machine->stop_status != 0 && !node->disk_faulted && !node->given_up) {
        cluster_problem(node, "the node gave up by itself", "see its node.error");
    }
    if (machine->stop_leftover > CLUSTER_STOP_TIMER) {
        char text[80];

        (void)snprintf(text, sizeof text, "%u requests, connections or files were left",
                       machine->stop_leftover - CLUSTER_STOP_TIMER);
        cluster_problem(node, "an orderly stop gave not everything back", text);
    }
}

static struct mem *cluster_memory(struct sim_program *program)
{
    const struct cluster_node *node = CONTAINER_OF(program, struct cluster_node, program);

    return node->node != NULL ? &node->node->env.mem : NULL;
}

static void cluster_boot_again(struct sim_event *event)
{
    struct cluster_node *node = CONTAINER_OF(event, struct cluster_node, boot_again);

    if (!node->world->up) sim_node_start(node->world);
}

static void cluster_stop_now(struct world_req *req, struct instant now)
{
    struct cluster_node *node = CONTAINER_OF(req, struct cluster_node, stop);

    (void)now;
    if (node->node != NULL) node_stop(node->node);
}

void cluster_stop(struct cluster *cluster, uint32_t index)
{
    struct cluster_node *node = &cluster->nodes[index];

    if (!node->world->up || node->stop_sent) return;
    if (node->world->paused) sim_node_resume(node->world);
    world_req_init(&node->stop, cluster_stop_now);
    if (!sim_node_admit(node->world, &node->stop)) return;
    node->stop_sent = true;
    sim_node_complete(node->world, &node->stop, SIM_KIND_TIMER, ERR_NONE, 0);
}

/* The file of the next start: lines of "key=value", one after a blank. */
bool cluster_reconfigure(struct cluster *cluster, uint32_t index, const char *settings,
                         struct errmsg *error)
{
    struct cluster_node *node = &cluster->nodes[index];
    struct config_warnings *warnings = sim_alloc(sizeof *warnings);
    struct config *config = sim_alloc(sizeof *config);
    size_t used = strlen(node->properties);
    bool fine;

    ASSERT(!node->world->up);
    properties_add(node, "%s\n", settings);
    for (char *at = node->properties + used; *at != '\0'; at++) {
        if (*at == ' ') *at = '\n';
    }
    fine = config_parse(config, str_of(node->properties), warnings, error) == ERR_NONE &&
           config_finish(config, error) == ERR_NONE && warnings->count == 0;
    if (fine) {
        node->config = *config;
    } else {
        if (warnings->count > 0) {
            (void)snprintf(error->text, sizeof error->text, "%.200s", warnings->text[0].text);
        }
        node->properties[used] = '\0';
    }
    free(config);
    free(warnings);
    return fine;
}

void cluster_wipe(struct cluster *cluster, uint32_t index, enum cluster_identity identity)
{
    struct cluster_node *node = &cluster->nodes[index];
    struct sim_image *image = sim_disk_image(node->world->disk);
    struct sim_image *before;

    ASSERT(!node->world->up);
    node->disk_faulted = true;
    cluster_identity_forget(node);
    before = sim_image_copy(image);
    sim_wipe(node->world);
    if (identity == CLUSTER_SAME_IDENTITY)
        (void)sim_image_take(image, before, CLUSTER_META_GLOB, NULL);
    if (identity == CLUSTER_NEW_IDENTITY) node->formatted = node->format_began = false;
    node->wiped = true;
    sim_image_destroy(before);
}

/* ---- making ---------------------------------------------------------------------------------- */

static int64_t clock_draw(struct sim *sim, enum decide_what what, int32_t id,
                          struct unit_range range)
{
    return decide_range(sim, (struct decide_site){what, id, 0, 0}, range.min, range.max);
}

/* What the scenario says of this node alone. */
static struct scenario_node cluster_own(const struct scenario *scenario, int32_t id)
{
    for (uint32_t i = 0; i < scenario->node_count; i++) {
        if (scenario->nodes[i].id == id) return scenario->nodes[i];
    }
    return (struct scenario_node){.id = id};
}

void cluster_draw_clock(struct sim *sim, const struct scenario *scenario,
                        struct sim_node_config *config)
{
    struct scenario_node own = cluster_own(scenario, config->id);
    struct unit_range skew = own.has_skew ? own.skew_ns : scenario->skew_ns;
    struct unit_range drift = own.has_drift ? own.drift_ppb : scenario->drift_ppb;
    int32_t id = config->id;

    config->wall_offset_ms = clock_draw(sim, DECIDE_NODE_SKEW, id, skew) / NS_PER_MS;
    config->drift_ppb = clock_draw(sim, DECIDE_NODE_DRIFT, id, drift);
    config->coarse_ms = clock_draw(sim, DECIDE_NODE_COARSE, id, scenario->coarse_ns) / NS_PER_MS;
    config->late_ns = clock_draw(sim, DECIDE_NODE_TIMERS, id, scenario->late_ns);
}

static uint32_t topic_draw(struct sim *sim, enum decide_what what, uint32_t topic,
                           struct unit_range range)
{
    return (uint32_t)decide_range(sim, (struct decide_site){what, -1, topic, 0}, range.min,
                                  range.max);
}

static void cluster_add(struct cluster *cluster, int32_t id, enum cluster_role role)
{
    struct cluster_node *node = &cluster->nodes[cluster->count];
    const struct scenario *scenario = cluster->scenario;
    struct sim_node_config config = sim_node_config_default(id);
    struct scenario_node own = cluster_own(scenario, id);

    node->program = (struct sim_program){cluster_boot, cluster_down, cluster_memory};
    node->cluster = cluster;
    node->role = role;
    node->id = id;
    sim_event_init(&node->boot_again, cluster_boot_again);
    config.program = &node->program;
    config.region_size = CLUSTER_REGION_SIZE;
    config.connections_max = 512;
    config.files_max = 4096;
    if (!scenario->free_cpu) config.costs = sim_costs_default();
    config.disk = sim_disk_config_default(own.has_profile ? own.profile : scenario->disk_profile);
    config.disk.loss = own.has_loss ? own.loss : scenario->loss;
    cluster_draw_clock(cluster->sim, scenario, &config);
    node->world = sim_node_add(cluster->sim, &config);
    ASSERT(node->world->index == cluster->count);
    cluster->count++;
}

static void cluster_tell_nodes(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        const int64_t fields[] = {node->id, (int64_t)node->role, 0};

        sim_tell(cluster->sim, TRACE_SIM_NODE, str_of(node->world->name), fields, 3);
    }
}

struct cluster *cluster_create(struct sim *sim, const struct scenario *scenario,
                               struct codecs *codecs, struct errmsg *error)
{
    struct cluster *cluster = sim_alloc(sizeof *cluster);
    struct rng rng;

    cluster->sim = sim;
    cluster->scenario = scenario;
    cluster->codecs = codecs;
    cluster->nodes = sim_alloc(CLUSTER_NODES_MAX * sizeof *cluster->nodes);
    decide_rng(sim, (struct decide_site){DECIDE_CLUSTER_ID, -1, 0, 0}, &rng);
    uuid_print(rng_uuid(&rng), cluster->cluster_id);
    for (uint32_t i = 0; i < scenario->topic_count; i++) {
        cluster->partitions[i] =
            topic_draw(sim, DECIDE_TOPIC_PARTITIONS, i, scenario->topics[i].partitions);
        cluster->replicas[i] =
            topic_draw(sim, DECIDE_TOPIC_REPLICAS, i, scenario->topics[i].replicas);
        cluster->topics_off[i] = scenario->topics[i].late;
    }
    for (uint32_t i = 0; i < scenario->brokers; i++) {
        cluster_add(cluster, (int32_t)i + 1, scenario->combined ? CLUSTER_BOTH : CLUSTER_BROKER);
    }
    for (uint32_t i = 0; i < scenario->controllers && !scenario->combined; i++) {
        cluster_add(cluster, SCENARIO_FIRST_CONTROLLER + (int32_t)i, CLUSTER_CONTROLLER);
    }
    for (uint32_t i = 0; i < cluster->count; i++) {
        if (cluster_initial(&cluster->nodes[i]))
            uuid_print(rng_uuid(&rng), cluster->nodes[i].directory);
        if (cluster_configure(&cluster->nodes[i], error)) continue;
        cluster_destroy(cluster);
        return NULL;
    }
    return cluster;
}

void cluster_destroy(struct cluster *cluster)
{
    if (cluster == NULL) return;
    for (uint32_t i = 0; i < cluster->count; i++)
        cluster_identity_forget(&cluster->nodes[i]);
    free(cluster->nodes);
    free(cluster);
}

void cluster_start(struct cluster *cluster)
{
    cluster_tell_nodes(cluster);
    for (uint32_t i = 0; i < cluster->count; i++)
        sim_node_start(cluster->nodes[i].world);
}

/* ---- looking --------------------------------------------------------------------------------- */

const struct node *cluster_node(const struct cluster *cluster, uint32_t index)
{
    const struct cluster_node *node = &cluster->nodes[index];

    if (index >= cluster->count || !node->world->up) return NULL;
    return node->node;
}

bool cluster_ready(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct node *node = cluster_node(cluster, i);

        if (node == NULL || node->state != NODE_READY) return false;
    }
    return true;
}

bool cluster_down_set(const struct cluster *cluster, uint64_t nodes)
{
    for (uint32_t i = 0; i < cluster->count; i++) {
        if ((nodes >> i & 1) != 0 && cluster->nodes[i].world->up) return false;
    }
    return true;
}

static uint64_t cluster_of_role(const struct cluster *cluster, enum cluster_role role)
{
    uint64_t set = 0;

    for (uint32_t i = 0; i < cluster->count; i++) {
        if ((cluster->nodes[i].role & role) != 0) set |= UINT64_C(1) << i;
    }
    return set;
}

uint64_t cluster_brokers(const struct cluster *cluster)
{
    return cluster_of_role(cluster, CLUSTER_BROKER);
}

uint64_t cluster_controllers(const struct cluster *cluster)
{
    return cluster_of_role(cluster, CLUSTER_CONTROLLER);
}

int cluster_index(const struct cluster *cluster, int32_t id)
{
    for (uint32_t i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].id == id) return (int)i;
    }
    return -1;
}

bool cluster_probe(struct env *env, char *what, size_t size)
{
    const struct op *op;

    if (!op_loop_idle(&env->loop)) return true; /* the turn's budget was used up: not quiet */
    op = op_loop_probe(&env->loop);
    if (op == NULL) return true;
    (void)snprintf(what, size,
                   "lost wake-up: op %s (number %llu) is parked at %s and its condition holds",
                   op->kind->name, (unsigned long long)op->sequence, op_step_name(op));
    return false;
}

void cluster_turned(struct cluster *cluster, const struct sim_world *world)
{
    struct cluster_node *node;

    if (world->index >= cluster->count) return;
    node = &cluster->nodes[world->index];
    if (node->node == NULL || !world->up) return;
    cluster_identity_turned(node);
    if (++node->turns % CLUSTER_PROBE_TURNS != 0) return;
    /* A node that stops asks its ops to hurry by a flag that wakes nobody: bounded by deadlines. */
    if (cluster->lost_wakeup[0] != '\0' || node_stopping(node->node)) return;
    if (cluster_probe(&node->node->env, cluster->lost_wakeup, sizeof cluster->lost_wakeup)) return;
    cluster->lost_wakeup_node = node->id;
}
