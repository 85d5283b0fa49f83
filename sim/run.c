#include "sim/run.h"

#include "sim/plan.h"
#include "sim/swarm.h"
#include "sim/swarm_shape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_SETUP_LIMIT_NS (120 * NS_PER_SEC)
#define RUN_DRAIN_LIMIT_NS (120 * NS_PER_SEC)
#define RUN_STOP_LIMIT_NS  (180 * NS_PER_SEC)

enum {
    RUN_WALL_LOOKS = 4096,  /* turns between two looks at the wall clock */
    RUN_MEMORY_TURNS = 256, /* turns between two comparisons of the ghost with memory */
    RUN_MEMORY_SOON = 64, /* after a cut or an opening in each of so many: what is wrong may heal */
};

const char *run_verdict_name(enum run_verdict verdict)
{
    static const char *const names[] = {"PASS",   "FAIL",  "STUCK",        "UNEXERCISED",
                                        "NONDET", "CRASH", "INCONCLUSIVE", "ERROR"};

    return names[verdict];
}

static int64_t wall_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

void run_decide(struct run *run, enum run_verdict verdict, const char *check, int32_t node,
                const char *format, ...)
{
    struct run_result *result = run->result;
    va_list args;

    if (run->decided) return;
    run->decided = true;
    result->verdict = verdict;
    result->node = node;
    (void)snprintf(result->check, sizeof result->check, "%s", check);
    va_start(args, format);
    (void)vsnprintf(result->text, sizeof result->text, format, args);
    va_end(args);
}

void run_not_exercised(struct run *run, const char *format, ...)
{
    va_list args;

    if (run->unexercised[0] != '\0') return;
    va_start(args, format);
    (void)vsnprintf(run->unexercised, sizeof run->unexercised, format, args);
    va_end(args);
}

int64_t run_draw(struct run *run, enum decide_what what, uint64_t which, struct unit_range range)
{
    return decide_range(run->sim, (struct decide_site){what, -1, (uint64_t)(run->step + 1), which},
                        range.min, range.max);
}

/* ---- watching -------------------------------------------------------------------------------- */

static void run_mark(struct run *run, const struct sim_world *node, const struct trace_event *event)
{
    uint32_t index = node != NULL ? node->index : MARK_NODES_MAX;

    if (event->kind == TRACE_SIM_DOWN && run->cluster != NULL) {
        int of = cluster_index(run->cluster, (int32_t)event->fields[0]);

        index = of >= 0 ? (uint32_t)of : MARK_NODES_MAX;
    }
    marks_event(&run->reached, index, event);
}

static void run_traced(struct sim_observer *observer, struct sim_world *node,
                       const struct trace_event *event)
{
    struct run *run = CONTAINER_OF(observer, struct run, observer);
    int32_t id = node != NULL ? node->id : -1;

    run->dirty = true;
    ring_add(run->ring, run->sim->now_ns, id, event);
    run_trace_event(run, id, event);
    if (run->tell_file != NULL) run_watch_told(run, id, event);
    if (!run->options->no_checks) check_event(run->check, run->sim->now_ns, id, event);
    /* initial.broker.registration.timeout.ms: whoever runs a broker starts it again. */
    if (run->swarm != NULL && event->kind == TRACE_NODE_ERROR &&
        node->index < run->cluster->count && event->fields[0] == ERR_TIMED_OUT) {
        run->cluster->nodes[node->index].given_up = true;
    }
    if (run->swarm != NULL && node != NULL) swarm_traced(run->swarm, node->index, event);
    if (run->scenario->canary && event->kind == TRACE_REPLICA_HW) {
        run->lie = *event;
        run->lie_node = id;
    }
    if (event->kind == TRACE_LOG_TRUNCATED || event->kind == TRACE_LOG_OPENED)
        run->memory_soon = RUN_MEMORY_SOON;
    if (run->holds != NULL) run_holds_look(run, id, event);
    run_mark(run, node, event);
    if (node != NULL && run->workload != NULL) workload_traced(run->workload, node, event);
    if (node != NULL || event->kind == TRACE_SIM_DOWN) {
        run_facts_event(run, node != NULL ? node->index : 0, event);
    }
    /* All nodes are ours: none has a reason to send what another cannot read or did not want. */
    if (event->kind == TRACE_CONN_HOSTILE && !run->options->only_history &&
        sim_fault_counted(run->sim, SIM_FAULT_CORRUPT).asked == 0) {
        run_decide(run, RUN_FAIL, "hostile", id, "a connection was given up as hostile: %.*s",
                   (int)event->text.length, event->text.data);
    }
    if (node != NULL) run_steps_point(run, node, event);
}

static void run_disk(struct sim_observer *observer, struct sim_world *node, enum disk_op op,
                     const char *path)
{
    run_steps_disk(CONTAINER_OF(observer, struct run, observer), node, op, path);
}

/* The ghosts of the oracles against what the nodes really hold. */
static void run_compare_memory(struct run *run, const struct sim_world *world)
{
    const struct node *node = cluster_node(run->cluster, world->index);

    if (node == NULL || !node->has_replicas || !node->replicas.started) return;
    for (const struct partition *part = manager_first(&node->replicas); part != NULL;
         part = manager_next(&node->replicas, part)) {
        struct check_replica replica = {(int64_t)part->topic,
                                        part->index,
                                        part->log != NULL ? part->log->log_end : 0,
                                        part->high_watermark,
                                        -1,
                                        (int32_t)part->role,
                                        false,
                                        -1,
                                        -1};

        if (part->log == NULL || part->role == PARTITION_NONE || part->role == PARTITION_OFFLINE) {
            continue;
        }
        replica.with_epoch = part->log->state == LOG_OPEN;
        replica.newest_epoch = log_latest_epoch(part->log);
        /* What is before the first entry reads as of its epoch (log_epochs.h). */
        if (part->log->epochs.count > 1) {
            replica.newest_start =
                part->log->epochs.entries[part->log->epochs.count - 1].start_offset;
        }
        if (!check_compare_replica(run->check, run->sim->now_ns, world->id, &replica)) return;
    }
}

static uint32_t run_memory_turns(const struct run *run)
{
    return run->scenario->every > 0 ? run->scenario->every : RUN_MEMORY_TURNS;
}

static void run_turned(struct sim_observer *observer, struct sim_world *node)
{
    struct run *run = CONTAINER_OF(observer, struct run, observer);

    if (!run->options->no_checks) check_turn_end(run->check, run->sim->now_ns, node->id);
    if (run->workload == NULL) return;
    cluster_turned(run->cluster, node);
    run_watch_turned(run, node);
    workload_turned(run->workload, node);
    if (run->memory_soon > 0) run->memory_soon--;
    if (!run->options->no_checks &&
        (run->memory_turns++ % run_memory_turns(run) == 0 || run->memory_soon > 0) &&
        node->index < run->cluster->count) {
        run_compare_memory(run, node);
    }
    run_look(run);
}

/* What ends any phase at once. */
bool run_broken(struct run *run)
{
    const struct check_violation *violation = check_violation(run->check);
    const struct cluster *cluster = run->cluster;
    const struct workload *workload = run->workload;

    if (run->decided) return true;
    if (violation != NULL) {
        run_decide(run, violation->class == CHECK_LIVENESS ? RUN_STUCK : RUN_FAIL, violation->id,
                   violation->node, "%s: %s", violation->name, violation->text);
        if (violation->topic != 0) {
            (void)snprintf(run->result->partition, sizeof run->result->partition, "%s-%d",
                           ring_topic(run->ring, violation->topic), violation->partition);
        }
    } else if (cluster->lost_wakeup[0] != '\0') {
        run_decide(run, RUN_FAIL, "lost-wake-up", cluster->lost_wakeup_node, "%s",
                   cluster->lost_wakeup);
    } else if (workload->lost_wakeup[0] != '\0') {
        run_decide(run, RUN_FAIL, "lost-wake-up", workload->lost_wakeup_node, "%s",
                   workload->lost_wakeup);
    } else if (cluster->problem[0] != '\0') {
        run_decide(run, RUN_FAIL, "node", cluster->problem_node, "%s", cluster->problem);
    } else if (workload->problem[0] != '\0') {
        run_decide(run, RUN_FAIL, "topics", -1, "%s", workload->problem);
    }
    if (run->sim->turns % RUN_WALL_LOOKS == 0 && wall_ns() > run->wall_deadline_ns) {
        run->out_of_wall = true;
        run_decide(run, RUN_INCONCLUSIVE, "", -1, "stop.wall was reached");
    }
    return run->decided;
}

/* ---- phases ---------------------------------------------------------------------------------- */

void run_enter(struct run *run, enum run_phase phase)
{
    static const int64_t told[] = {[RUN_SETUP] = 0, [RUN_SAFETY] = 1,   [RUN_LIVENESS] = 2,
                                   [RUN_DRAIN] = 2, [RUN_STOPPING] = 3, [RUN_DONE] = 3};
    bool news = told[phase] != told[run->phase];
    char core[RUN_CORE_TEXT];

    run->phase = phase;
    if (!news) return;
    run_core_text(run, core, sizeof core);
    sim_tell(run->sim, TRACE_SIM_PHASE, str_of(phase == RUN_LIVENESS ? core : ""), &told[phase], 1);
}

static bool done_ready(void *context)
{
    struct run *run = context;

    return run_broken(run) || cluster_ready(run->cluster);
}

static bool done_topics(void *context)
{
    struct run *run = context;

    return run_broken(run) || workload_topics_created(run->workload);
}

static bool done_in_sync(void *context)
{
    struct run *run = context;

    if (run_broken(run)) return true;
    if (run->sim->turns % 16 != 0) return false;
    return run_in_sync(run);
}

static bool done_safety(void *context)
{
    struct run *run = context;

    return run_broken(run) || run->liveness_asked;
}

static bool done_converged(void *context)
{
    struct run *run = context;

    return run_broken(run) || run->converged;
}

static bool done_never(void *context)
{
    return run_broken(context);
}

static bool done_drained(void *context)
{
    struct run *run = context;

    return run_broken(run) || workload_drained(run->workload);
}

static bool done_consumers(void *context)
{
    struct run *run = context;

    return run_broken(run) || workload_consumers_finished(run->workload);
}

static bool done_brokers_stopped(void *context)
{
    struct run *run = context;

    return run_broken(run) || cluster_down_set(run->cluster, cluster_brokers(run->cluster));
}

static bool done_stopped(void *context)
{
    struct run *run = context;

    return run_broken(run) || cluster_down_set(run->cluster, UINT64_MAX);
}

/* False: the run is over. Reaching the time is not an error here. */
static bool run_until(struct run *run, int64_t until_ns, bool (*done)(void *context),
                      enum sim_outcome *end)
{
    const struct sim_limits limits = {until_ns, run->scenario->stop_events, done, run};

    *end = sim_run(run->sim, &limits);
    if (*end == SIM_END_FAILED) {
        run_decide(run, RUN_CRASH, "", run->sim->failure.node, "%s", run->sim->failure.text);
    } else if (*end == SIM_END_EVENTS) {
        run_decide(run, RUN_STUCK, "", -1, "stop.events: %llu events and no end",
                   (unsigned long long)run->sim->events);
    }
    return !run->decided;
}

/* The same, but the time limit is a failure to make progress. */
static bool run_wait(struct run *run, int64_t limit_ns, bool (*done)(void *context),
                     const char *what)
{
    enum sim_outcome end;

    if (!run_until(run, run->sim->now_ns + limit_ns, done, &end)) return false;
    if (end == SIM_END_DONE) return true;
    if (done == done_drained) workload_unread(run->workload, run->missing, sizeof run->missing);
    run_decide(run, RUN_STUCK, "", -1, "%s within %.3f s%s%s", what,
               (double)limit_ns / (double)NS_PER_SEC, run->missing[0] != '\0' ? ": " : "",
               run->missing);
    return false;
}

static bool run_setup(struct run *run)
{
    cluster_start(run->cluster);
    if (!run_wait(run, RUN_SETUP_LIMIT_NS, done_ready, "the nodes are not all ready")) return false;
    workload_create_topics(run->workload);
    if (!run_wait(run, RUN_SETUP_LIMIT_NS, done_topics, "the topics are not there")) return false;
    return run_wait(run, RUN_SETUP_LIMIT_NS, done_in_sync, "the cluster does not stand");
}

/* A high watermark that goes back, as the oracles are told: does anybody notice? */
static void run_lie(struct run *run)
{
    struct trace_event lie = run->lie;

    if (!run->scenario->canary || run->result->seed % RUN_CANARY_EVERY != 0) return;
    if (run->lie.kind != TRACE_REPLICA_HW) return;
    lie.fields[2] = run->lie.fields[3];
    lie.fields[3] = run->lie.fields[2];
    check_event(run->check, run->sim->now_ns, run->lie_node, &lie);
}

static bool run_safety(struct run *run)
{
    enum sim_outcome end;

    run->zero_ns = run->sim->now_ns;
    run_enter(run, RUN_SAFETY);
    workload_start(run->workload);
    run_snapshots_begin(run);
    run_clocks_begin(run);
    run_expects_begin(run);
    run_steps_begin(run);
    if (run->swarm != NULL) swarm_begin(run->swarm);
    if (!run_until(run, run->zero_ns + run->scenario->stop_ns, done_safety, &end)) return false;
    run_steps_end(run);
    run_lie(run);
    return !run_broken(run);
}

static bool run_liveness(struct run *run)
{
    int64_t began_ns = run->sim->now_ns;
    int64_t judged_ns = check_liveness_ns(&run->check_config);
    enum sim_outcome end;

    run_choose_core(run);
    run_enter(run, RUN_LIVENESS);
    run_liveness_begin(run);
    workload_restore_groups(run->workload);
    if (!run_wait(run, run_liveness_deadline_ns(run), done_converged,
                  "the core does not converge")) {
        return false;
    }
    /* The oracles of liveness judge only a phase that lasted as long as they say. */
    if (run->sim->now_ns - began_ns >= judged_ns) return true;
    return run_until(run, began_ns + judged_ns, done_never, &end);
}

static bool run_drain(struct run *run)
{
    run_enter(run, RUN_DRAIN);
    workload_drain(run->workload);
    run->missing[0] = '\0';
    if (!run_wait(run, RUN_DRAIN_LIMIT_NS, done_drained, "the final drain is not done")) {
        return false;
    }
    run->drained = true;
    /* It reads what nobody has read for long, and finds what has rotted: then another leads. */
    run_liveness_again(run);
    if (!run->converged && !run_wait(run, run_liveness_deadline_ns(run), done_converged,
                                     "the core does not converge after the drain"))
        return false;
    run_expects_end(run);
    return !run->decided;
}

static void run_stop_set(struct run *run, uint64_t nodes)
{
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        if ((nodes >> i & 1) != 0) cluster_stop(run->cluster, i);
    }
}

static bool run_stop(struct run *run)
{
    run_enter(run, RUN_STOPPING);
    run_heal_all(run);
    workload_finish_consumers(run->workload);
    if (!run_wait(run, RUN_STOP_LIMIT_NS, done_consumers, "the consumers do not stop")) {
        return false;
    }
    /* As people do it: brokers hand their partitions over while there is a controller. */
    run_stop_set(run, cluster_brokers(run->cluster));
    if (!run_wait(run, RUN_STOP_LIMIT_NS, done_brokers_stopped,
                  "the brokers do not stop in order")) {
        return false;
    }
    run_stop_set(run, UINT64_MAX);
    return run_wait(run, RUN_STOP_LIMIT_NS, done_stopped, "the controllers do not stop in order");
}

/* ---- one run --------------------------------------------------------------------------------- */

/* The run's own copy of a scenario that leaves something open, with nothing left open. */
static const struct scenario *run_shape(struct run *run, const struct scenario *scenario,
                                        uint64_t seed)
{
    if (!swarm_shape_wanted(scenario)) return scenario;
    run->drawn = swarm_shape_draw(scenario, seed);
    swarm_shape_tell(run->drawn, scenario, run->result->drawn, RUN_DRAWN_MAX);
    return run->drawn;
}

/* And its random faults. */
static void run_swarm(struct run *run)
{
    char *text = run->result->drawn;

    if (run->drawn == NULL) return;
    run->swarm = swarm_create(run, run->drawn);
    if (run->swarm == NULL || strlen(text) + 64 > RUN_DRAWN_MAX) return;
    (void)strcat(text, "; ");
    swarm_tell(run->swarm, text + strlen(text), RUN_DRAWN_MAX - strlen(text));
}

int32_t run_min_isr(const struct run *run, uint32_t topic)
{
    const struct scenario_topic *own = &run->scenario->topics[topic];

    for (uint32_t i = 0; i < own->config_count; i++) {
        if (strcmp(own->configs[i].key, "min.insync.replicas") == 0)
            return atoi(own->configs[i].value);
    }
    return run->check_config.min_isr;
}

static void run_paused(void *context)
{
    struct run *run = context;

    run->options->rewind(run->sim->decide, run->options->rewind_context);
}

static void run_rewind_begin(struct run *run)
{
    if (run->options->rewind == NULL) return;
    run->sim->pause_at = run->options->rewind_event;
    run->sim->paused = run_paused;
    run->sim->pause_context = run;
    if (run->sim->pause_at == 0) run_paused(run);
}

static struct run *run_create(const struct scenario *scenario, uint64_t seed,
                              const struct run_options *options, struct run_result *result)
{
    struct sim_config config = sim_config_default(seed);
    struct run *run = sim_alloc(sizeof *run);
    struct errmsg error;
    int64_t started[2];

    config.net = scenario->net;
    run->options = options;
    run->result = result;
    scenario = run_shape(run, scenario, seed);
    run->scenario = scenario;
    config.nodes_max = SCENARIO_NAMED_MAX + scenario_crowd(scenario);
    run->source.term = run_term;
    run_facts_begin(run);
    run->wall_start_ns = wall_ns();
    run->wall_deadline_ns =
        scenario->stop_wall_ns > 0 ? run->wall_start_ns + scenario->stop_wall_ns : INT64_MAX;
    run->ring = ring_create();
    run->sim = sim_create(&config);
    plan_note_begin(run);
    run_rewind_begin(run);
    if (options->guide != NULL) options->guide(run->sim->decide, options->guide_context);
    run_swarm(run);
    run->cluster = cluster_create(run->sim, scenario, options->codecs, &error);
    if (run->cluster == NULL) {
        run_decide(run, RUN_ERROR, "", -1, "%s: %s", scenario->file, error.text);
        return run;
    }
    run_configure_check(run);
    run_configure_invariants(run);
    run->check = check_create(&run->check_config);
    for (uint32_t i = 0; i < scenario->topic_count; i++)
        check_topic_min_isr(run->check, scenario->topics[i].name, run_min_isr(run, i));
    run_trace_begin(run);
    run->observer.traced = run_traced;
    run->observer.turned = run_turned;
    run->observer.disk = run_disk;
    sim_observe(run->sim, &run->observer);
    run_watch_begin(run);
    started[0] = (int64_t)seed;
    started[1] = run->cluster->count;
    sim_tell(run->sim, TRACE_SIM_STARTED, str_of(scenario->name), started, 2);
    run_trace_oracles(run);
    run->workload = workload_create(run->cluster);
    return run;
}

static void run_destroy(struct run *run)
{
    struct run_later *later = run->laters;

    plan_note_destroy(run);
    sim_destroy(run->sim);
    while (later != NULL) {
        struct run_later *next = later->next;

        free(later);
        later = next;
    }
    run_holds_free(run);
    run_trails_free(run);
    workload_destroy(run->workload);
    cluster_destroy(run->cluster);
    if (run->check != NULL) check_destroy(run->check);
    swarm_destroy(run->swarm);
    if (run->drawn != NULL) scenario_destroy(run->drawn);
    ring_destroy(run->ring);
    free(run);
}

static void run_made(const struct scenario *scenario, uint64_t seed,
                     const struct run_options *options, struct run_result *result)
{
    struct run *run = run_create(scenario, seed, options, result);
    if (!run->decided) {
        bool alive = run_setup(run) && run_safety(run);

        if (alive && scenario->liveness) alive = run_liveness(run) && run_drain(run);
        if (alive) (void)run_stop(run);
        run_judge(run);
    }
    result->wall_ns = wall_ns() - run->wall_start_ns;
    if (result->verdict != RUN_PASS && run->cluster != NULL) {
        run_report(run);
    } else if (run->check != NULL) {
        run_report_allowed(run);
    }
    if (run->cluster != NULL) plan_note_end(run);
    run_trace_end(run);
    run_watch_end(run);
    run_destroy(run);
}

void run_scenario(const struct scenario *scenario, uint64_t seed, const struct run_options *options,
                  struct run_result *result)
{
    struct scenario *made;
    struct yaml_error error;

    memset(result, 0, sizeof *result);
    result->seed = seed;
    result->node = -1;
    if (!scenario->varies) {
        run_made(scenario, seed, options, result);
        return;
    }
    made = scenario_for_seed(scenario, seed, &error);
    if (made == NULL) {
        result->verdict = RUN_ERROR;
        (void)snprintf(result->text, sizeof result->text, "%s", error.text);
        return;
    }
    run_made(made, seed, options, result);
    scenario_destroy(made);
}
