#include "sim/node_world.h"

#include "sim/fault.h"
#include "sim/node_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_node_config sim_node_config_default(int32_t id)
{
    return (struct sim_node_config){
        .id = id,
        .region_size = (size_t)64 << 20,
        .connections_max = 4096,
        .files_max = 65536,
        .timers_max = 65536,
        .disk = sim_disk_config_default(SIM_DISK_NVME),
    };
}

struct sim_costs sim_costs_default(void)
{
    /* A turn with one request costs a broker of today 10 to 30 us (performance.md). */
    return (struct sim_costs){.turn_ns = 2000,
                              .callback_ns = 1500,
                              .timer_ns = 500,
                              .submit_ns = 1000,
                              .send_ns = 4000,
                              .ps_per_byte = 300};
}

/* ---- clock ----------------------------------------------------------------------------------- */

static int64_t clock_drift(int64_t elapsed_ns, int64_t drift_ppb)
{
    int64_t seconds = elapsed_ns / NS_PER_SEC;
    int64_t rest = elapsed_ns % NS_PER_SEC;

    return seconds * drift_ppb + rest * drift_ppb / NS_PER_SEC;
}

int64_t node_clock_mono(const struct sim_clock *clock, int64_t time_ns)
{
    int64_t elapsed = time_ns - clock->since_ns;

    return clock->base_ns + elapsed + clock_drift(elapsed, clock->drift_ppb);
}

/* The first virtual time at which the node's monotonic clock shows `mono_ns` or more. */
static int64_t clock_when(const struct sim_clock *clock, int64_t mono_ns)
{
    int64_t ahead = mono_ns - clock->base_ns;
    int64_t time;

    if (ahead <= 0) return clock->since_ns;
    if (ahead > INT64_MAX / 4) return INT64_MAX;
    time = clock->since_ns + ahead - clock_drift(ahead, clock->drift_ppb);
    while (node_clock_mono(clock, time) < mono_ns) {
        int64_t missing = mono_ns - node_clock_mono(clock, time);

        time += missing > 1 ? missing / 2 : 1;
    }
    while (time > clock->since_ns && node_clock_mono(clock, time - 1) >= mono_ns)
        time--;
    return time;
}

struct instant sim_node_now(const struct sim_world *node)
{
    int64_t mono = node_clock_mono(&node->clock, node->sim->now_ns);
    int64_t wall = (mono + node->clock.wall_ns) / NS_PER_MS;

    if (node->clock.coarse_ms > 1) wall -= wall % node->clock.coarse_ms;
    return (struct instant){{mono}, {wall}};
}

void sim_clock_set_drift(struct sim_world *node, int64_t drift_ppb)
{
    if (!node->sleeping) { /* else it stands where it fell asleep */
        node->clock.base_ns = node_clock_mono(&node->clock, node->sim->now_ns);
        node->clock.since_ns = node->sim->now_ns;
    }
    node->clock.drift_ppb = drift_ppb;
    node_rearm(node);
}

void sim_clock_step_wall(struct sim_world *node, int64_t step_ms)
{
    node->clock.wall_ns += step_ms * NS_PER_MS;
}

void sim_clock_set_offset(struct sim_world *node, int64_t offset_ms)
{
    int64_t true_ns = node->sim->config.wall_start_ms * NS_PER_MS + node->sim->now_ns;

    node->clock.wall_ns =
        true_ns + offset_ms * NS_PER_MS - node_clock_mono(&node->clock, node->sim->now_ns);
}

/* What the monotonic clock misses the wall clock gets. */
void node_clock_wake(struct sim_world *node)
{
    int64_t now = node->sim->now_ns;
    int64_t missed = node_clock_mono(&node->clock, now) - node->clock.base_ns;

    node->clock.since_ns = now;
    node->clock.wall_ns += missed;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void node_wake_at(struct sim_world *node, int64_t time_ns)
{
    if (node->paused || !node->up) return;
    if (time_ns < node->busy_until_ns) time_ns = node->busy_until_ns;
    if (time_ns < node->sim->now_ns) time_ns = node->sim->now_ns;
    if (sim_scheduled(&node->wake) && node->wake.node.deadline <= time_ns) return;
    sim_schedule(node->sim, &node->wake, time_ns);
}

static void node_wake_for_timers(struct sim_world *node)
{
    const struct heap_node *first = heap_peek(&node->timers);
    int64_t time;

    if (first == NULL) return;
    time = clock_when(&node->clock, first->deadline);
    if (time == INT64_MAX) return;
    if (node->clock.late_ns > 0 && time > node->sim->now_ns) {
        time += decide_exponential(
            node->sim, (struct decide_site){DECIDE_NODE_LATE, node->id, 0, 0}, node->clock.late_ns);
    }
    node_wake_at(node, time);
}

/* Looks again at everything that could be due. */
void node_rearm(struct sim_world *node)
{
    sim_unschedule(node->sim, &node->wake);
    if (!list_empty(&node->inbox)) node_wake_at(node, node->sim->now_ns);
    node_wake_for_timers(node);
}

bool sim_node_admit(struct sim_world *node, struct world_req *req)
{
    if (!node->up) return false;
    ASSERT(!req->pending);
    ASSERT(req->complete != NULL);
    req->pending = true; /* W1, also for who is dead and does not know: it never completes */
    if (node->doomed != SIM_DOWN_NOT) return false;
    list_init(&req->link);
    return true;
}

enum { KIND_SHIFT = 56 };

void sim_node_complete(struct sim_world *node, struct world_req *req, enum sim_kind kind,
                       enum err result, uint64_t digest)
{
    ASSERT(req->pending);
    ASSERT(!list_linked(&req->link));
    req->result = result;
    req->token = (uint64_t)kind << KIND_SHIFT | digest >> (64 - KIND_SHIFT);
    list_push(&node->inbox, &req->link);
    if (!sim_scheduled(&node->wake) || node->wake.node.deadline > node->sim->now_ns) {
        node_wake_at(node, sim_node_issue_ns(node));
    }
}

enum sim_kind sim_req_kind(const struct world_req *req)
{
    return (enum sim_kind)(req->token >> KIND_SHIFT);
}

void sim_node_charge(struct sim_world *node, int64_t ns)
{
    int64_t cost = ns * node->slow_permille / 1000;

    if (node->sim->turning == node) {
        node->cost_ns += cost;
    } else {
        node->owed_ns += cost; /* the work of the next turn: bytes that have arrived */
    }
}

int64_t sim_node_issue_ns(const struct sim_world *node)
{
    return node->sim->now_ns + (node->sim->turning == node ? node->cost_ns : 0);
}

/* N15: what was asked of different connections and files
 * becomes ready in any order; of each its own order stays. */
static const void *req_lane(const struct world_req *req)
{
    switch (sim_req_kind(req)) {
    case SIM_KIND_RECV: return CONTAINER_OF(req, struct net_recv, req)->conn;
    case SIM_KIND_SEND: return CONTAINER_OF(req, struct net_send, req)->conn;
    case SIM_KIND_GONE: return CONTAINER_OF(req, struct net_conn, gone);
    case SIM_KIND_CLOSED: return CONTAINER_OF(req, struct net_conn, closed);
    case SIM_KIND_ACCEPT: return CONTAINER_OF(req, struct net_accept, req)->conn;
    case SIM_KIND_CONNECT: return CONTAINER_OF(req, struct net_connect, req)->conn;
    case SIM_KIND_BOOT:
    case SIM_KIND_TIMER:
    case SIM_KIND_RESOLVE:
    case SIM_KIND_LISTEN:
    case SIM_KIND_UNLISTENED:
    case SIM_KIND_DISK:
    case SIM_KIND_COMPUTE: return NULL;
    }
    IMPOSSIBLE("kind of a request");
}

/* The first one of its lane? Lanes are compared, never ordered. */
static bool req_leads(const struct list *head, const struct world_req *req)
{
    const void *lane = req_lane(req);

    for (const struct list *at = head->next; at != &req->link; at = at->next) {
        if (req_lane(LIST_ENTRY(at, struct world_req, link)) == lane) return false;
    }
    return true;
}

static void node_shuffle(struct sim_world *node)
{
    struct list mixed;
    bool changed = false;

    list_init(&mixed);
    while (!list_empty(&node->inbox)) {
        struct list *pick = node->inbox.next;
        uint64_t heads = 0;

        LIST_FOR_EACH (at, &node->inbox) {
            if (!req_leads(&node->inbox, LIST_ENTRY(at, struct world_req, link))) continue;
            heads++;
            if (decide_below(node->sim, (struct decide_site){DECIDE_NODE_READY, node->id, 0, 0},
                             heads) == 0) {
                pick = at;
            }
        }
        changed = changed || pick != node->inbox.next;
        list_remove(pick);
        list_push(&mixed, pick);
    }
    list_splice(&node->inbox, &mixed);
    if (changed) sim_fault_hit(node->sim, SIM_FAULT_SHUFFLE);
}

static void loop_hit(struct sim_world *node)
{
    sim_fault_hit(node->sim, SIM_FAULT_CRASH_LOOP);
    node->loop.times--;
    sim_node_down(node, node->loop.how);
    if (node->loop.again_ns > 0) {
        sim_schedule(node->sim, &node->again, node->sim->now_ns + node->loop.again_ns);
    }
}

void node_loop_again(struct sim_event *event)
{
    struct sim_world *node = CONTAINER_OF(event, struct sim_world, again);

    if (!node->up) sim_node_start(node);
}

static void node_deliver(struct sim_world *node, struct world_req *req)
{
    const struct sim_costs *costs = &node->config.costs;
    enum sim_kind kind = sim_req_kind(req);

    req->pending = false;
    sim_node_charge(node, kind == SIM_KIND_TIMER ? costs->timer_ns : costs->callback_ns);
    sim_delivered(node->sim, node->index, kind, req->result, req->token);
    node->delivered++;
    req->complete(req, node->now);
    if (node->loop.times > 0 && node->loop.event == node->delivered &&
        node->doomed == SIM_DOWN_NOT) {
        loop_hit(node);
    }
}

static void node_take_due(struct sim_world *node)
{
    struct heap_node *first;

    while ((first = heap_peek(&node->timers)) != NULL && first->deadline <= node->now.mono.ns) {
        struct world_timer *timer = CONTAINER_OF(first, struct world_timer, node);

        (void)heap_pop(&node->timers);
        timer->req.result = ERR_NONE;
        timer->req.token = (uint64_t)SIM_KIND_TIMER << KIND_SHIFT;
        list_push(&node->turn, &timer->req.link);
    }
    if (node->net.shuffled) node_shuffle(node);
    list_splice(&node->turn, &node->inbox);
}

bool sim_node_oom(struct sim_world *node, uint64_t after, uint32_t times)
{
    struct sim_program *program = node->config.program;
    struct mem *mem = NULL;

    if (node->up && program != NULL && program->memory != NULL) mem = program->memory(program);
    if (mem == NULL) return false;
    mem->fail_at = after > 0 ? after : 1;
    node->oom_armed = true;
    node->oom_times = times > 0 ? times : 1;
    return true;
}

void sim_node_oom_off(struct sim_world *node)
{
    struct mem *mem = node->oom_armed ? node->config.program->memory(node->config.program) : NULL;

    node->oom_armed = false;
    if (mem != NULL) mem->fail_at = 0;
}

static void node_look_oom(struct sim_world *node)
{
    struct mem *mem = node->config.program->memory(node->config.program);

    if (mem == NULL || mem->fail_at != 0) return;
    sim_fault_hit(node->sim, SIM_FAULT_OOM);
    node->oom_times--;
    node->oom_armed = node->oom_times > 0;
    if (node->oom_armed) mem->fail_at = 1;
}

static void node_end_turn(struct sim_world *node)
{
    struct sim *sim = node->sim;

    if (node->oom_armed && node->doomed == SIM_DOWN_NOT) node_look_oom(node);
    sim->turning = NULL;
    node->busy_until_ns = sim->now_ns + node->cost_ns;
    node->cost_ns = 0;
    if (node->doomed != SIM_DOWN_NOT) {
        node_tear_down(node, node->doomed);
    } else {
        node_rearm(node);
    }
    sim_turned(sim, node);
}

void node_turn(struct sim_event *event)
{
    struct sim_world *node = CONTAINER_OF(event, struct sim_world, wake);
    struct sim *sim = node->sim;

    ASSERT(node->up && !node->paused && sim->turning == NULL);
    node->now = sim_node_now(node);
    node_take_due(node);
    if (list_empty(&node->turn)) { /* its timer was moved or cancelled meanwhile */
        node_rearm(node);
        return;
    }
    sim->turning = node;
    node->cost_ns = node->owed_ns;
    node->owed_ns = 0;
    sim_node_charge(node, node->config.costs.turn_ns);
    while (!list_empty(&node->turn) && node->doomed == SIM_DOWN_NOT) {
        node_deliver(node, LIST_ENTRY(list_pop(&node->turn), struct world_req, link));
    }
    if (node->doomed == SIM_DOWN_NOT && node->world.actor != NULL) {
        node->world.actor->turn_end(node->world.actor, node->now);
    }
    node_end_turn(node);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void timer_queue(struct sim_world *node, struct world_timer *timer)
{
    if (heap_push(&node->timers, &timer->node, timer->deadline.ns, node->timer_sequence++) !=
        ERR_NONE) {
        sim_fail(node->sim, "a node holds more timers than stated", __FILE__, __LINE__);
    }
    if (heap_peek(&node->timers) == &timer->node && node->sim->turning != node) {
        node_wake_for_timers(node); /* in a turn: at its end */
    }
}

static void world_timer_start(struct world *world, struct world_timer *timer)
{
    struct sim_world *node = sim_world_of(world);

    if (!sim_node_admit(node, &timer->req)) return;
    heap_node_init(&timer->node);
    timer_queue(node, timer);
}

static void world_timer_move(struct world *world, struct world_timer *timer,
                             struct mono_time deadline)
{
    struct sim_world *node = sim_world_of(world);

    if (!node->up || node->doomed != SIM_DOWN_NOT) return;
    ASSERT(timer->req.pending);
    timer->deadline = deadline;
    if (heap_queued(&timer->node)) {
        heap_remove(&node->timers, &timer->node);
    } else {
        /* Due in this very turn, not delivered yet; a cancelled one must not be moved. */
        ASSERT(timer->req.result == ERR_NONE);
        list_remove(&timer->req.link);
    }
    timer_queue(node, timer);
}

static void world_timer_cancel(struct world *world, struct world_timer *timer)
{
    struct sim_world *node = sim_world_of(world);

    if (!node->up || node->doomed != SIM_DOWN_NOT) return;
    ASSERT(timer->req.pending);
    if (heap_queued(&timer->node)) heap_remove(&node->timers, &timer->node);
    list_remove(&timer->req.link);
    sim_node_complete(node, &timer->req, SIM_KIND_TIMER, ERR_CANCELED, 0);
}

/* ---- compute, dice, trace, stop -------------------------------------------------------------- */

static void job_done(struct sim_event *event)
{
    struct sim_job *job = CONTAINER_OF(event, struct sim_job, event);
    struct sim_world *node = job->node;
    struct compute_job *compute = job->job;

    list_remove(&job->link);
    free(job);
    compute->run(compute);
    sim_node_complete(node, &compute->req, SIM_KIND_COMPUTE, ERR_NONE, compute->bytes);
}

/* One worker per node: jobs run one after the other at a modelled gigabyte a second. */
static void world_compute(struct world *world, struct compute_job *compute)
{
    struct sim_world *node = sim_world_of(world);
    struct sim_job *job;
    int64_t start;

    if (!sim_node_admit(node, &compute->req)) return;
    sim_node_charge(node, node->config.costs.submit_ns);
    job = sim_alloc(sizeof *job);
    job->node = node;
    job->job = compute;
    sim_event_init(&job->event, job_done);
    list_init(&job->link);
    list_push(&node->jobs, &job->link);
    start = sim_node_issue_ns(node);
    if (start < node->worker_free_ns) start = node->worker_free_ns;
    node->worker_free_ns = start + 5000 + (int64_t)compute->bytes * node->slow_permille / 1000;
    sim_schedule(node->sim, &job->event, node->worker_free_ns);
}

static uint64_t world_seed(struct world *world, enum dice_concern concern)
{
    struct sim_world *node = sim_world_of(world);
    uint64_t own = rng_stream(node->sim->config.seed, (uint64_t)SIM_DOMAIN_DICE + concern,
                              (uint64_t)(uint32_t)node->id);

    return rng_stream(own, (uint64_t)concern, node->incarnation);
}

static void world_trace(struct world *world, const struct trace_event *event)
{
    struct sim_world *node = sim_world_of(world);
    struct trace_kind_info info;

    if (node->doomed != SIM_DOWN_NOT) return; /* it is dead already: nobody hears it */
    node->traced++;
    sim_traced(node->sim, node, event);
    if (node->loop.times == 0 || node->loop.event > 0 || node->doomed != SIM_DOWN_NOT) return;
    trace_kind_describe(event->kind, &info);
    if (!sim_glob(node->loop.point, info.name)) return;
    if (++node->points >= node->loop.nth) loop_hit(node);
}

static void world_stop_node(struct world *world, int status)
{
    struct sim_world *node = sim_world_of(world);

    if (!node->up || node->doomed != SIM_DOWN_NOT) return;
    node->stopped = true;
    node->stop_status = status;
    sim_node_down(node, SIM_DOWN_CLEAN);
}

const struct world_ops node_world_ops = {
    .timer_start = world_timer_start,
    .timer_move = world_timer_move,
    .timer_cancel = world_timer_cancel,
    .resolve = sim_net_resolve,
    .listen = sim_net_listen,
    .unlisten = sim_net_unlisten,
    .accept = sim_net_accept,
    .connect = sim_net_connect,
    .connect_cancel = sim_net_connect_cancel,
    .recv = sim_net_recv,
    .release = sim_net_release,
    .send = sim_net_send,
    .close = sim_net_close,
    .disk = sim_disk_submit,
    .compute = world_compute,
    .seed = world_seed,
    .trace = world_trace,
    .stop = world_stop_node,
};
