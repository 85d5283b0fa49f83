/* A machine's life: how it is added, starts, goes down, stands still. */
#include "sim/node_private.h"

#include "sim/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- life ------------------------------------------------------------------------------------ */

static void node_booted(struct world_req *req, struct instant now)
{
    struct sim_world *node = CONTAINER_OF(req, struct sim_world, boot);
    struct sim_program *program = node->config.program;

    program->boot(program, &node->world, now);
}

struct sim_world *sim_node_add(struct sim *sim, const struct sim_node_config *config)
{
    struct sim_world *node = sim_alloc(sizeof *node);
    void *base = mmap(NULL, config->region_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ASSERT(sim->node_count < sim->config.nodes_max);
    ASSERT(sim_node_find(sim, config->id) == NULL);
    if (base == MAP_FAILED) abort();
    region_init(&node->region, base, config->region_size);
    if (config->fill_size > 0) memset(base, config->fill, config->fill_size);
    node->sim = sim;
    node->config = *config;
    node->id = config->id;
    node->index = sim->node_count;
    node->powered = true;
    node->slow_permille = 1000;
    (void)snprintf(node->name, sizeof node->name, "node-%d", (int)config->id);
    /* Machines were not switched on at the same moment: no two monotonic clocks agree. */
    node->clock = (struct sim_clock){.since_ns = sim->now_ns,
                                     .drift_ppb = config->drift_ppb,
                                     .coarse_ms = config->coarse_ms,
                                     .late_ns = config->late_ns};
    node->clock.base_ns =
        decide_range(sim, (struct decide_site){DECIDE_NODE_CLOCK, config->id, 0, 0}, NS_PER_SEC,
                     1000 * NS_PER_SEC);
    node->clock.wall_ns = (sim->config.wall_start_ms + config->wall_offset_ms) * NS_PER_MS +
                          sim->now_ns - node->clock.base_ns;
    sim_event_init(&node->wake, node_turn);
    sim_event_init(&node->again, node_loop_again);
    list_init(&node->inbox);
    list_init(&node->turn);
    list_init(&node->jobs);
    heap_init(&node->timers, &sim->mem, config->timers_max);
    sim_net_node_init(node);
    node->disk = sim_disk_create(node, &config->disk);
    sim->nodes[sim->node_count++] = node;
    return node;
}

void sim_node_destroy(struct sim_world *node)
{
    struct region *region = &node->region;

    /* An abandoned run left everything where it was: free the simulator's side without a word. */
    while (!list_empty(&node->jobs)) {
        free(LIST_ENTRY(list_pop(&node->jobs), struct sim_job, link));
    }
    sim_net_node_free(node);
    sim_disk_destroy(node->disk);
    region_reset(region);
    munmap(region->base, region->size);
    free(node);
}

struct sim_world *sim_node_find(struct sim *sim, int32_t id)
{
    for (uint32_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i]->id == id) return sim->nodes[i];
    }
    return NULL;
}

/* How fast a checksum is, never what it is: the machine's own features change no result. */
static struct cpu node_cpu(void)
{
#if defined(__x86_64__)
    return (struct cpu){.sse42 = __builtin_cpu_supports("sse4.2") != 0};
#else
    return (struct cpu){.sse42 = false};
#endif
}

/* Of the machine since its power came back; no other machine's. */
static struct uuid node_boot(const struct sim_world *node)
{
    struct uuid boot = {{0xb0}};

    for (uint32_t i = 0; i < 4; i++) {
        boot.bytes[8 + i] = (uint8_t)((uint32_t)node->id >> (24 - 8 * i));
        boot.bytes[12 + i] = (uint8_t)(node->boots >> (24 - 8 * i));
    }
    return boot;
}

void sim_node_start(struct sim_world *node)
{
    int64_t fields[2];

    ASSERT(!node->up);
    ASSERT(sim_node_at_baseline(node));
    node->world = (struct world){.ops = &node_world_ops,
                                 .region = &node->region,
                                 .cpu = node_cpu(),
                                 .node_id = -1,
                                 .boot = node_boot(node),
                                 .connections_max = node->config.connections_max,
                                 .files_max = node->config.files_max,
                                 .trace_detail = true};
    node->up = true;
    node->powered = true;
    node->paused = false;
    node->stopped = false;
    node->stop_status = 0;
    node->doomed = SIM_DOWN_NOT;
    node->traced = 0;
    node->delivered = 0;
    node->points = 0;
    node->oom_armed = false;
    node->incarnation++;
    sim_unschedule(node->sim, &node->again);
    node->busy_until_ns = node->sim->now_ns;
    node->worker_free_ns = node->sim->now_ns;
    sim_net_host_up(node);
    fields[0] = node->id;
    fields[1] = node->incarnation;
    sim_tell(node->sim, TRACE_SIM_UP, STR_NULL, fields, 2);
    if (node->config.program == NULL) return;
    world_req_init(&node->boot, node_booted);
    node->boot.pending = true;
    sim_node_complete(node, &node->boot, SIM_KIND_BOOT, ERR_NONE, node->incarnation);
}

bool sim_node_at_baseline(const struct sim_world *node)
{
    return node->timers.count == 0 && list_empty(&node->inbox) && list_empty(&node->turn) &&
           list_empty(&node->jobs) && !sim_scheduled(&node->wake) && sim_net_node_idle(node) &&
           sim_disk_idle(node->disk);
}

void sim_node_down(struct sim_world *node, enum sim_down how)
{
    ASSERT(how != SIM_DOWN_NOT);
    if (!node->up) return;
    if (node->sim->turning == node) {
        if (node->doomed == SIM_DOWN_NOT || how == SIM_DOWN_POWER) node->doomed = how;
        return;
    }
    node_tear_down(node, how);
}

static void node_count_leftover(struct sim_world *node)
{
    node->stop_leftover = node->timers.count + sim_net_held(node) + sim_disk_held(node->disk);
    if (!list_empty(&node->inbox) || !list_empty(&node->turn)) node->stop_leftover++;
    if (!list_empty(&node->jobs)) node->stop_leftover++;
}

/* The order matters: the disk looks once more at buffers of writes in flight, then nothing touches
 * the region again before it is reset. */
void node_tear_down(struct sim_world *node, enum sim_down how)
{
    struct sim_program *program = node->config.program;
    uint64_t lost;
    int64_t fields[3];

    node_count_leftover(node);
    node->up = false;
    node->powered = how != SIM_DOWN_POWER;
    if (how == SIM_DOWN_POWER) node->boots++;
    sim_net_bind(node);
    lost = sim_disk_crash(node->disk, how == SIM_DOWN_POWER);
    sim_net_crash(node, how == SIM_DOWN_POWER);
    while (!list_empty(&node->jobs)) {
        struct sim_job *job = LIST_ENTRY(list_pop(&node->jobs), struct sim_job, link);

        sim_unschedule(node->sim, &job->event);
        free(job);
    }
    while (heap_pop(&node->timers) != NULL) {
    }
    list_init(&node->inbox);
    list_init(&node->turn);
    sim_unschedule(node->sim, &node->wake);
    node->cost_ns = 0;
    node->owed_ns = 0;
    node->paused = false;
    if (node->sleeping) node_clock_wake(node);
    node->sleeping = false;
    node->oom_armed = false;
    node->doomed = SIM_DOWN_NOT;
    node->world.actor = NULL;
    region_reset(&node->region);
    (void)madvise(node->region.base, node->region.size, MADV_DONTNEED);
    if (node->config.fill_size > 0) {
        memset(node->region.base, node->config.fill, node->config.fill_size);
    }
    ASSERT(sim_node_at_baseline(node));
    fields[0] = node->id;
    fields[1] = how;
    fields[2] = (int64_t)lost;
    sim_tell(node->sim, TRACE_SIM_DOWN, STR_NULL, fields, 3);
    if (program != NULL && program->down != NULL) program->down(program, &node->world, how);
}

void sim_node_pause(struct sim_world *node)
{
    node->paused = true;
    sim_unschedule(node->sim, &node->wake);
}

void sim_node_sleep(struct sim_world *node)
{
    sim_node_pause(node);
    node->clock.base_ns = node_clock_mono(&node->clock, node->sim->now_ns);
    node->clock.since_ns = node->sim->now_ns;
    node->sleeping = true;
}

void sim_node_resume(struct sim_world *node)
{
    if (!node->paused) return;
    node->paused = false;
    if (node->sleeping) node_clock_wake(node);
    node->sleeping = false;
    node_rearm(node);
}
