/* The first screen of a failure (simulation.md 6): what, where, what led to it, how to see it
 * again. */
#include "sim/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { REPORT_EVENTS = 24, REPORT_SEARCH = 8000 };

static void put(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct run *run, const char *format, ...)
{
    char *report = run->result->report;
    size_t used = strlen(report);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(report + used, RUN_REPORT_MAX - used, format, args);
    va_end(args);
}

static const char *phase_name(enum run_phase phase)
{
    switch (phase) {
    case RUN_SETUP: return "setup";
    case RUN_SAFETY: return "safety";
    case RUN_LIVENESS: return "liveness";
    case RUN_DRAIN: return "final drain";
    case RUN_STOPPING: return "orderly stop";
    case RUN_DONE: return "end";
    }
    return "";
}

static void report_replicas(struct run *run)
{
    for (uint32_t topic = 0; topic < run->scenario->topic_count; topic++) {
        for (uint32_t i = 0; i < run->cluster->partitions[topic] && i < 4; i++) {
            for (uint32_t n = 0; n < run->cluster->count; n++) {
                const struct partition *part = cluster_replica(run->cluster, n, topic, (int32_t)i);

                if (part == NULL || part->log == NULL) continue;
                put(run, "    %s-%u on %-4d %-9s epoch %-4d hw %-8lld log end %-8lld\n",
                    run->scenario->topics[topic].name, i, run->cluster->nodes[n].id,
                    partition_role_name(part->role), part->leader_epoch,
                    (long long)part->high_watermark, (long long)part->log->log_end);
            }
        }
    }
}

static void report_nodes(struct run *run)
{
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        const struct cluster_node *node = &run->cluster->nodes[i];
        const struct node *own = cluster_node(run->cluster, i);

        if (own == NULL) {
            put(run, "    node %-4d down\n", node->id);
        } else {
            put(run, "    node %-4d %-12s quorum leader %d epoch %d\n", node->id,
                node_state_name(own->state), own->has_quorum ? own->quorum.leader : -1,
                own->has_quorum ? own->quorum.epoch : -1);
        }
    }
}

/* Those that people read first, oldest first, up to the end. */
static void report_events(struct run *run)
{
    const struct ring_event *chosen[REPORT_EVENTS];
    uint32_t count = 0;
    char line[RING_LINE_MAX];

    for (uint64_t n = 0; count < REPORT_EVENTS && n < REPORT_SEARCH; n++) {
        const struct ring_event *event = ring_last(run->ring, n);

        if (event == NULL) break;
        if (ring_matters(event) || n < 6) chosen[count++] = event;
    }
    while (count > 0) {
        ring_print(run->ring, chosen[--count], run->zero_ns, line);
        put(run, "  %s\n", line);
    }
}

void run_report_allowed(struct run *run)
{
    const struct check_violation *excused;

    for (uint32_t i = 0; i < 4 && (excused = check_excused(run->check, i)) != NULL; i++)
        put(run, "  allowed: %s %s\n", excused->id, excused->text);
}

/* What did not judge, and why: whoever reads a verdict must know. */
static void report_invariants(struct run *run)
{
    const struct scenario *scenario = run->scenario;

    for (uint32_t i = 0; i < scenario->off_count; i++) {
        put(run, "  invariant %s is off: %s\n", scenario->offs[i].name, scenario->offs[i].why);
    }
    for (uint32_t i = 0; i < scenario->only_count; i++)
        put(run, "  only invariant%s %s judges\n", i > 0 ? ", too," : "", scenario->onlys[i]);
}

/* How to see it again: by what is still there when this program has ended. */
static void report_again(struct run *run)
{
    const struct run_options *options = run->options;
    unsigned long long seed = run->result->seed;
    const char * or = "  again";

    if (!options->no_file) {
        put(run, "  again: gregor-sim run %s --seed %llu --no-fork\n", run->scenario->file, seed);
        or = "     or";
    }
    if (options->plan_path != NULL) {
        put(run, "%s: gregor-sim replay %s\n", or, options->plan_path);
    } else if (run->plan != NULL) {
        put(run, "%s: gregor-sim replay %s/%s-%llu\n", or, options->out_dir, run->scenario->name,
            seed);
    }
}

void run_report(struct run *run)
{
    const struct run_result *result = run->result;
    bool alive = run->sim->failure.text[0] == '\0';
    char core[RUN_CORE_TEXT];

    put(run, "%s: %s%s%s\n", run_verdict_name(result->verdict), result->check,
        result->check[0] != '\0' ? " " : "", result->text);
    put(run, "  scenario %s, seed %llu, phase %s, %.6f s (of the run: %.6f s), %llu events\n",
        run->scenario->name, (unsigned long long)result->seed, phase_name(run->phase),
        (double)run_time(run) / (double)NS_PER_SEC, (double)run->sim->now_ns / (double)NS_PER_SEC,
        (unsigned long long)run->sim->events);
    if (result->drawn[0] != '\0') put(run, "  drawn: %s\n", result->drawn);
    if (run->core != 0) {
        run_core_text(run, core, sizeof core);
        put(run, "  core and clients of the liveness phase: %s\n", core);
    }
    if (run->check != NULL) run_report_allowed(run);
    report_invariants(run);
    put(run, "  last events:\n");
    report_events(run);
    if (alive && run->cluster != NULL && run->phase != RUN_DONE) {
        put(run, "  nodes:\n");
        report_nodes(run);
        put(run, "  replicas:\n");
        report_replicas(run);
    }
    report_again(run);
}
