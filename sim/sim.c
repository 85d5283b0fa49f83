#include "sim/sim.h"

#include "sim/fault.h"
#include "sim/node_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SIM_EVENTS_MAX = 1 << 22, SIM_EXIT_ASSERTION = 6 };
#define SIM_QUEUE_REGION ((size_t)1 << 30) /* address space; only what is used is touched */

/* The only writable static of the simulator: assert_failed() has no argument to find it by. */
static struct sim *sim_running;

struct sim *sim_current(void)
{
    return sim_running;
}

void *sim_alloc(size_t size)
{
    void *block = calloc(1, size);

    if (block == NULL) {
        fprintf(stderr, "gregor-sim: out of memory (%zu bytes)\n", size);
        exit(SIM_EXIT_NO_MEMORY);
    }
    return block;
}

uint64_t sim_digest(uint64_t digest, const void *data, size_t length)
{
    const uint8_t *at = data;
    uint64_t hash = digest ^ (length * UINT64_C(0x9e3779b97f4a7c15));

    for (; length >= 8; at += 8, length -= 8) {
        uint64_t word;

        memcpy(&word, at, 8); /* little-endian machines only, as the whole build (x86-64, arm64) */
        hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    for (; length > 0; at++, length--)
        hash = (hash ^ *at) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 29);
}

struct sim_config sim_config_default(uint64_t seed)
{
    return (struct sim_config){
        .seed = seed,
        .nodes_max = 64,
        .wall_start_ms = INT64_C(1704067200000), /* 2024-01-01T00:00:00Z */
        .net = sim_net_config_default(),
    };
}

struct sim *sim_create(const struct sim_config *config)
{
    struct sim *sim = sim_alloc(sizeof *sim);
    void *base = mmap(NULL, SIM_QUEUE_REGION, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED) exit(SIM_EXIT_NO_MEMORY);
    sim->config = *config;
    sim->checkpoints.shift = SIM_CHECKPOINT_SHIFT;
    region_init(&sim->region, base, SIM_QUEUE_REGION);
    mem_init(&sim->mem, &sim->region);
    heap_init(&sim->queue, &sim->mem, SIM_EVENTS_MAX);
    list_init(&sim->observers);
    hash128_init(&sim->hash, config->seed);
    sim->decide = decide_create(config->seed);
    sim->nodes = sim_alloc(config->nodes_max * sizeof *sim->nodes);
    sim->net = sim_net_create(sim);
    sim->counters = sim_fault_counters_create();
    return sim;
}

void sim_destroy(struct sim *sim)
{
    if (sim == NULL) return;
    sim_net_destroy(sim->net);
    for (uint32_t i = 0; i < sim->node_count; i++)
        sim_node_destroy(sim->nodes[i]);
    decide_destroy(sim->decide);
    free(sim->counters);
    free(sim->nodes);
    region_reset(&sim->region);
    munmap(sim->region.base, sim->region.size);
    free(sim);
}

/* ---- the queue ------------------------------------------------------------------------------- */

void sim_event_init(struct sim_event *event, void (*fire)(struct sim_event *event))
{
    event->fire = fire;
    heap_node_init(&event->node);
}

void sim_schedule(struct sim *sim, struct sim_event *event, int64_t time_ns)
{
    if (time_ns < sim->now_ns) time_ns = sim->now_ns;
    if (heap_queued(&event->node)) {
        heap_update(&sim->queue, &event->node, time_ns, sim->sequence++);
        return;
    }
    if (heap_push(&sim->queue, &event->node, time_ns, sim->sequence++) != ERR_NONE) {
        sim_fail(sim, "the simulator's queue is full", __FILE__, __LINE__);
    }
}

void sim_unschedule(struct sim *sim, struct sim_event *event)
{
    if (heap_queued(&event->node)) heap_remove(&sim->queue, &event->node);
}

static enum sim_outcome sim_loop(struct sim *sim, const struct sim_limits *limits)
{
    uint64_t turns = sim->turns;

    if (limits->done != NULL && limits->done(limits->context)) return SIM_END_DONE;
    for (;;) {
        struct heap_node *first = heap_peek(&sim->queue);
        struct sim_event *event;

        if (first == NULL || first->deadline > limits->until_ns) {
            if (limits->until_ns != INT64_MAX && limits->until_ns > sim->now_ns) {
                sim->now_ns = limits->until_ns;
            }
            return first == NULL ? SIM_END_QUIET : SIM_END_TIME;
        }
        if (limits->events_max != 0 && sim->events >= limits->events_max) return SIM_END_EVENTS;
        (void)heap_pop(&sim->queue);
        sim->now_ns = first->deadline;
        event = CONTAINER_OF(first, struct sim_event, node);
        event->fire(event);
        if (sim->turns == turns) continue;
        turns = sim->turns;
        if (limits->done != NULL && limits->done(limits->context)) return SIM_END_DONE;
    }
}

enum sim_outcome sim_run(struct sim *sim, const struct sim_limits *limits)
{
    enum sim_outcome end;

    if (sim->failure.text[0] != '\0') return SIM_END_FAILED;
    sim_running = sim;
    sim->running = true;
    /* A node's memory is one region and the run is over: nothing needs to be unwound. */
    if (setjmp(sim->escape) != 0) {
        sim = sim_running;
        sim->running = false;
        sim_running = NULL;
        return SIM_END_FAILED;
    }
    end = sim_loop(sim, limits);
    sim->running = false;
    sim_running = NULL;
    return end;
}

_Noreturn void sim_fail(struct sim *sim, const char *text, const char *file, int line)
{
    if (sim->failure.text[0] == '\0') {
        sim->failure.time_ns = sim->now_ns;
        sim->failure.node = sim->turning != NULL ? sim->turning->id : -1;
        sim->failure.line = line;
        (void)snprintf(sim->failure.text, sizeof sim->failure.text, "%s:%d: %s", file, line, text);
    }
    if (sim->running) longjmp(sim->escape, 1);
    fprintf(stderr, "gregor-sim: %s (seed %llu, time %lld ns, node %d)\n", sim->failure.text,
            (unsigned long long)sim->config.seed, (long long)sim->failure.time_ns,
            (int)sim->failure.node);
    exit(SIM_EXIT_ASSERTION);
}

/* ---- watching -------------------------------------------------------------------------------- */

void sim_observe(struct sim *sim, struct sim_observer *observer)
{
    list_init(&observer->link);
    list_push(&sim->observers, &observer->link);
}

void sim_traced(struct sim *sim, struct sim_world *node, const struct trace_event *event)
{
    LIST_FOR_EACH (link, &sim->observers) {
        struct sim_observer *observer = LIST_ENTRY(link, struct sim_observer, link);

        if (observer->traced != NULL) observer->traced(observer, node, event);
    }
}

void sim_tell(struct sim *sim, enum trace_kind kind, struct str text, const int64_t *fields,
              uint32_t field_count)
{
    struct trace_event event = {.kind = kind, .field_count = field_count, .text = text};

    ASSERT(field_count <= TRACE_FIELDS_MAX);
    for (uint32_t i = 0; i < field_count; i++)
        event.fields[i] = fields[i];
    sim_traced(sim, NULL, &event);
}

void sim_disk_asked(struct sim *sim, struct sim_world *node, enum disk_op op, const char *path)
{
    LIST_FOR_EACH (link, &sim->observers) {
        struct sim_observer *observer = LIST_ENTRY(link, struct sim_observer, link);

        if (observer->disk != NULL) observer->disk(observer, node, op, path);
    }
}

void sim_turned(struct sim *sim, struct sim_world *node)
{
    sim->turns++;
    LIST_FOR_EACH (link, &sim->observers) {
        struct sim_observer *observer = LIST_ENTRY(link, struct sim_observer, link);

        if (observer->turned != NULL) observer->turned(observer, node);
    }
}

static void sim_checkpoint(struct sim *sim)
{
    struct sim_checkpoints *points = &sim->checkpoints;

    if (points->count == SIM_CHECKPOINTS) {
        for (uint32_t i = 0; i < SIM_CHECKPOINTS / 2; i++)
            points->hash[i] = points->hash[2 * i + 1];
        points->count = SIM_CHECKPOINTS / 2;
        points->shift++;
        if ((sim->events & ((UINT64_C(1) << points->shift) - 1)) != 0) return;
    }
    points->hash[points->count++] = sim_hash(sim).high;
}

static void sim_tell_delivery(struct sim *sim, uint32_t node, enum sim_kind kind, enum err result,
                              uint64_t digest)
{
    const struct sim_delivery delivery = {sim->events, node,   kind,
                                          result,      digest, decide_digest(sim->decide)};

    LIST_FOR_EACH (link, &sim->observers) {
        struct sim_observer *observer = LIST_ENTRY(link, struct sim_observer, link);

        if (observer->delivered != NULL) observer->delivered(observer, &delivery);
    }
}

const char *sim_kind_name(enum sim_kind kind)
{
    static const char *const names[] = {
        [SIM_KIND_BOOT] = "boot",
        [SIM_KIND_TIMER] = "timer",
        [SIM_KIND_RESOLVE] = "resolve",
        [SIM_KIND_LISTEN] = "listen",
        [SIM_KIND_UNLISTENED] = "unlistened",
        [SIM_KIND_ACCEPT] = "accept",
        [SIM_KIND_CONNECT] = "connect",
        [SIM_KIND_RECV] = "recv",
        [SIM_KIND_SEND] = "send",
        [SIM_KIND_GONE] = "gone",
        [SIM_KIND_CLOSED] = "closed",
        [SIM_KIND_DISK] = "disk",
        [SIM_KIND_COMPUTE] = "compute",
    };

    return names[kind];
}

void sim_hash_state(struct sim *sim, uint64_t digest)
{
    hash128_add_u64(&sim->hash, digest);
}

void sim_delivered(struct sim *sim, uint32_t node, enum sim_kind kind, enum err result,
                   uint64_t digest)
{
    sim->events++;
    hash128_add_u64(&sim->hash, (uint64_t)sim->now_ns);
    hash128_add_u64(&sim->hash, (uint64_t)node << 32 | (uint64_t)kind << 16 | (uint16_t)result);
    hash128_add_u64(&sim->hash, digest);
    hash128_add_u64(&sim->hash, decide_digest(sim->decide));
    if ((sim->events & ((UINT64_C(1) << sim->checkpoints.shift) - 1)) == 0) sim_checkpoint(sim);
    if (sim->events >= sim->watch_from && sim->events < sim->watch_to) {
        sim_tell_delivery(sim, node, kind, result, digest);
    }
    if (sim->events == sim->pause_at) sim->paused(sim->pause_context);
}

struct hash128_value sim_hash(const struct sim *sim)
{
    return hash128_final(&sim->hash);
}
