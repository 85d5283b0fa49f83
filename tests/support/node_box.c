#include "tests/support/node_box.h"

#include <stdio.h>
#include <string.h>

static struct node_box_node *node_of(struct node_box *box, const struct sim_world *world)
{
    for (uint32_t i = 0; i < box->count; i++) {
        if (box->node[i].world == world) return &box->node[i];
    }
    return NULL;
}

static void box_traced(struct sim_observer *observer, struct sim_world *world,
                       const struct trace_event *event)
{
    struct node_box_node *n = node_of(CONTAINER_OF(observer, struct node_box, observer), world);

    if (n == NULL) return;
    if (event->kind == TRACE_CONN_HOSTILE) n->hostile++;
    if (event->kind == TRACE_NODE_RANGES) memcpy(n->ranges, event->fields, sizeof n->ranges);
    if (event->kind != TRACE_NODE_ERROR) return;
    if (n->errors++ == 0) {
        (void)snprintf(n->error, sizeof n->error, "%.*s", (int)event->text.length,
                       event->text.data);
    }
}

static void box_turned(struct sim_observer *observer, struct sim_world *world)
{
    struct node_box *box = CONTAINER_OF(observer, struct node_box, observer);
    struct node_box_node *n = node_of(box, world);
    const struct op *held;
    char text[160];

    if (n == NULL || n->node == NULL || !world->up) return;
    n->seen |= 1u << n->node->state;
    if (box->unwatched || n->node->state == NODE_STOPPED) return;
    if (!op_loop_idle(&n->node->env.loop)) return;
    held = op_loop_probe(&n->node->env.loop);
    if (held == NULL) return;
    (void)snprintf(text, sizeof text, "lost wake-up: node %d, op %s at %s", (int)n->id,
                   held->kind->name, op_step_name(held));
    sim_fail(box->sim, text, __FILE__, __LINE__);
}

static void box_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct node_box_node *n = CONTAINER_OF(program, struct node_box_node, program);
    struct errmsg error;
    enum err err;

    (void)now;
    n->errors = 0;
    n->error[0] = '\0';
    n->hostile = 0;
    memset(n->ranges, 0, sizeof n->ranges);
    n->seen = 0;
    if (n->formatting) {
        struct node_format *format = region_take(world->region, sizeof *format, 64);

        n->formatting = false;
        err = node_format_start(format, world, &n->config, str_of(n->cluster_id),
                                NODE_FORMAT_CONFIGURED, STR_NULL, n->format_keeps, &error);
    } else {
        n->node = region_take(world->region, sizeof *n->node, 64);
        err = node_start(n->node, world, &n->config, n->format_alone, &error);
    }
    if (err != ERR_NONE) fail_msg("node %d: %s", (int)n->id, error.text);
}

static void box_down(struct sim_program *program, struct world *world, enum sim_down how)
{
    (void)world;
    (void)how;
    CONTAINER_OF(program, struct node_box_node, program)->node = NULL;
}

/* ---- layout ---------------------------------------------------------------------------------- */

static void print_voters(const char *roles, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; roles[i] != '\0'; i++) {
        if (roles[i] == 'b') continue;
        used += (size_t)snprintf(text + used, size - used, "%s%u@node-%u:9093", used > 0 ? "," : "",
                                 i + 1, i + 1);
    }
}

static void make_config(struct node_box_node *n, const char *roles, const char *extra)
{
    char role = roles[n->id - 1];
    char listeners[100];
    char voters[200];
    char text[NODE_BOX_TEXT];
    struct config_warnings warnings = {0};
    struct errmsg error;

    if (role == 'a') {
        (void)snprintf(listeners, sizeof listeners,
                       "PLAINTEXT://node-%d:9092,CONTROLLER://node-%d:9093", (int)n->id,
                       (int)n->id);
    } else {
        (void)snprintf(listeners, sizeof listeners,
                       role == 'b' ? "PLAINTEXT://node-%d:9092" : "CONTROLLER://node-%d:9093",
                       (int)n->id);
    }
    print_voters(roles, voters, sizeof voters);
    (void)snprintf(text, sizeof text,
                   "node.id=%d\nprocess.roles=%s\nlisteners=%s\n"
                   "controller.listener.names=CONTROLLER\ncontroller.quorum.voters=%s\n"
                   "log.dirs=data\nmax.connections=64\nqueued.max.requests=64\n"
                   "queued.max.request.bytes=33554432\nlog.segment.bytes=1048576\n"
                   "log.index.size.max.bytes=65536\n%s",
                   (int)n->id,
                   role == 'a'   ? "broker,controller"
                   : role == 'b' ? "broker"
                                 : "controller",
                   listeners, voters, extra);
    if (config_parse(&n->config, str_of(text), &warnings, &error) != ERR_NONE ||
        config_finish(&n->config, &error) != ERR_NONE) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(warnings.count, 0);
}

static void add_node(struct node_box *box, uint32_t i, const char *roles, const char *extra)
{
    struct node_box_node *n = &box->node[i];
    struct sim_node_config machine = sim_node_config_default((int32_t)i + 1);

    *n = (struct node_box_node){
        .all = box, .id = (int32_t)i + 1, .program = {box_boot, box_down, NULL}};
    make_config(n, roles, extra);
    machine.region_size = (size_t)256 << 20;
    machine.program = &n->program;
    n->world = sim_node_add(box->sim, &machine);
}

static void client_turn_end(struct actor *actor, struct instant now)
{
    (void)actor;
    (void)now;
}
static struct actor client_actor = {client_turn_end};

void node_box_init(struct node_box *box, uint64_t seed, const char *roles, const char *extra)
{
    struct sim_config config = sim_config_default(seed);
    struct sim_node_config client = sim_node_config_default(NODE_BOX_CLIENT);

    *box = (struct node_box){.count = (uint32_t)strlen(roles)};
    assert_true(box->count <= NODE_BOX_NODES);
    config.nodes_max = NODE_BOX_NODES + 1;
    box->sim = sim_create(&config);
    box->observer = (struct sim_observer){.traced = box_traced, .turned = box_turned};
    sim_observe(box->sim, &box->observer);
    for (uint32_t i = 0; i < box->count; i++)
        add_node(box, i, roles, extra);
    box->client = sim_node_add(box->sim, &client);
    sim_node_start(box->client);
    box->client->world.actor = &client_actor;
}

void node_box_deinit(struct node_box *box)
{
    sim_destroy(box->sim);
}

/* ---- running --------------------------------------------------------------------------------- */

bool node_box_until(struct node_box *box, int64_t ms, bool (*done)(void *context), void *context)
{
    struct sim_limits limits = {
        .until_ns = box->sim->now_ns + ms * NS_PER_MS, .done = done, .context = context};
    enum sim_outcome end = sim_run(box->sim, &limits);

    if (end == SIM_END_FAILED) {
        fail_msg("node %d: %s (line %d)", (int)box->sim->failure.node, box->sim->failure.text,
                 box->sim->failure.line);
    }
    return end == SIM_END_DONE;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

void node_box_run_ms(struct node_box *box, int64_t ms)
{
    (void)node_box_until(box, ms, never, NULL);
}

void node_box_run_events(struct node_box *box, uint64_t events)
{
    struct sim_limits limits = {.until_ns = INT64_MAX, .events_max = box->sim->events + events};

    if (sim_run(box->sim, &limits) == SIM_END_FAILED) {
        fail_msg("%s (line %d)", box->sim->failure.text, box->sim->failure.line);
    }
}

static bool is_ready(void *context)
{
    const struct node_box_node *n = context;

    return n->node == NULL ? !n->world->up : n->node->state == NODE_READY;
}

static bool all_ready(void *context)
{
    struct node_box *box = context;

    for (uint32_t i = 0; i < box->count; i++) {
        if (box->node[i].world->up && !is_ready(&box->node[i])) return false;
    }
    return true;
}

bool node_box_ready(struct node_box *box, uint32_t node, int64_t ms)
{
    return node_box_until(box, ms, is_ready, &box->node[node]) && box->node[node].node != NULL;
}

bool node_box_all_ready(struct node_box *box, int64_t ms)
{
    return node_box_until(box, ms, all_ready, box);
}

static bool is_down(void *context)
{
    return !((const struct node_box_node *)context)->world->up;
}

int node_box_wait_down(struct node_box *box, uint32_t node, int64_t ms)
{
    struct node_box_node *n = &box->node[node];

    if (!node_box_until(box, ms, is_down, n)) {
        fail_msg("node %d is not down: %s", (int)n->id,
                 n->node != NULL ? node_state_name(n->node->state) : "formatting");
    }
    assert_true(n->world->stopped);
    assert_int_equal(n->world->stop_leftover, 0);
    return n->world->stop_status;
}

void node_box_ask_stop(struct node_box *box, uint32_t node)
{
    struct node_box_node *n = &box->node[node];

    assert_non_null(n->node);
    node_stop(n->node);
    n->node->env.actor.turn_end(&n->node->env.actor, sim_node_now(n->world));
}

void node_box_stop(struct node_box *box, uint32_t node, int64_t ms)
{
    struct node_box_node *n = &box->node[node];

    node_box_ask_stop(box, node);
    if (node_box_wait_down(box, node, ms) != 0) fail_msg("stopped with 1: %s", n->error);
    assert_int_equal(n->errors, 0);
}

void node_box_start(struct node_box *box, uint32_t node)
{
    sim_node_start(box->node[node].world);
}

void node_box_format_one(struct node_box *box, uint32_t node, const char *cluster_id)
{
    struct node_box_node *n = &box->node[node];

    (void)snprintf(n->cluster_id, sizeof n->cluster_id, "%s", cluster_id);
    n->formatting = true;
    sim_node_start(n->world);
    if (node_box_wait_down(box, node, 10000) != 0) fail_msg("format: %s", n->error);
}

void node_box_format(struct node_box *box)
{
    for (uint32_t i = 0; i < box->count; i++)
        node_box_format_one(box, i, "cluster-of-the-test");
}

void node_box_start_all(struct node_box *box)
{
    node_box_format(box);
    for (uint32_t i = 0; i < box->count; i++)
        node_box_start(box, i);
    if (!node_box_all_ready(box, 60000)) fail_msg("the nodes do not become ready");
    for (uint32_t i = 0; i < box->count; i++) {
        if (box->node[i].node == NULL) fail_msg("node %u: %s", i + 1, box->node[i].error);
    }
}

int node_box_controller(const struct node_box *box)
{
    for (uint32_t i = 0; i < box->count; i++) {
        const struct node *node = box->node[i].node;

        if (node != NULL && node->controls && node->controller.state == CONTROLLER_ACTIVE) {
            return (int)i;
        }
    }
    return -1;
}

uint32_t node_box_files(struct node_box *box, uint32_t node, const char *path)
{
    static uint8_t entries[8][1 << 16];
    static uint32_t depth;
    uint8_t *into = entries[depth];
    struct rng rng;
    uint64_t done = 0, needed = 0;
    uint32_t count = 0;
    enum err err;

    rng_init(&rng, 1);
    err = sim_image_list(sim_disk_image(box->node[node].world->disk), path, &rng, into,
                         sizeof entries[0], &done, &needed);
    assert_int_equal(err, ERR_NONE);
    depth++;
    for (uint64_t at = 0; at < done;) {
        const struct disk_entry *entry = (const void *)(into + at);
        char below[300];

        count++;
        (void)snprintf(below, sizeof below, "%s/%s", path, entry->name);
        if (entry->directory != 0) count += node_box_files(box, node, below);
        at += entry->entry_length;
    }
    depth--;
    return count;
}
