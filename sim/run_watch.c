/* What makes two runs comparable: digests of the nodes' states, which go into the trace hash, and
 * the lines of a window of deliveries, which show where two runs part. */
#include "sim/run.h"

#include "reports/plain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WATCH_STATE_TURNS = 256 };

/* ---- state ----------------------------------------------------------------------------------- */

static uint64_t digest_add(uint64_t digest, int64_t value)
{
    return sim_digest(digest, &value, sizeof value);
}

/* Field by field: padding and addresses are nobody's state. */
static uint64_t digest_node(const struct node *node)
{
    uint64_t digest = digest_add(0, (int64_t)node->state);

    if (node->has_quorum) {
        digest = digest_add(digest, node->quorum.leader);
        digest = digest_add(digest, node->quorum.epoch);
    }
    if (node->has_loader) digest = digest_add(digest, node->loader.image.last_offset);
    if (!node->has_replicas || !node->replicas.started) return digest;
    for (const struct partition *part = manager_first(&node->replicas); part != NULL;
         part = manager_next(&node->replicas, part)) {
        digest = digest_add(digest, (int64_t)part->topic);
        digest = digest_add(digest, part->index);
        digest = digest_add(digest, (int64_t)part->role);
        digest = digest_add(digest, part->leader_epoch);
        digest = digest_add(digest, part->high_watermark);
        digest = digest_add(digest, part->log != NULL ? part->log->log_end : -1);
    }
    return digest;
}

void run_watch_turned(struct run *run, const struct sim_world *world)
{
    const struct node *node;

    if (run->sim->turns % WATCH_STATE_TURNS != 0 || world->index >= run->cluster->count) return;
    node = cluster_node(run->cluster, world->index);
    if (node != NULL) sim_hash_state(run->sim, digest_node(node));
}

/* ---- a window -------------------------------------------------------------------------------- */

static void watch_delivered(struct sim_observer *observer, const struct sim_delivery *delivery)
{
    struct run *run = CONTAINER_OF(observer, struct run, observer);
    const struct sim *sim = run->sim;

    if (run->watch_file == NULL) return;
    fprintf(run->watch_file,
            "event %llu at %lld.%09llds on %s: %s result %d digest %016llx "
            "decisions %016llx\n",
            (unsigned long long)delivery->event, (long long)(sim->now_ns / NS_PER_SEC),
            (long long)(sim->now_ns % NS_PER_SEC), sim->nodes[delivery->node]->name,
            sim_kind_name(delivery->kind), (int)delivery->result,
            (unsigned long long)delivery->digest, (unsigned long long)delivery->decisions);
}

/* Event, node, kind, whether people read it, three of its fields, time, partition ("-": none); then
 * the event in words. Times are the trace's, as on the pages. */
void run_watch_told(struct run *run, int32_t node, const struct trace_event *event)
{
    bool of_topic = plain_has_topic(event->kind);
    const char *topic = of_topic ? ring_topic(run->ring, event->fields[0]) : "";
    struct out words = {.data = NULL};
    char partition[96] = "-";

    if (run->sim->events < run->options->tell_from) return;
    if (of_topic && event->fields[0] != 0) {
        (void)snprintf(partition, sizeof partition, "%s-%d", topic, (int)event->fields[1]);
    }
    plain_event(&words, event, topic);
    fprintf(run->tell_file, "%llu %d %d %d %lld %lld %lld %lld %s %s\n",
            (unsigned long long)run->sim->events, (int)node, (int)event->kind,
            (int)ring_matters(ring_last(run->ring, 0)),
            event->field_count > 0 ? (long long)event->fields[0] : 0,
            event->field_count > 1 ? (long long)event->fields[1] : 0,
            event->field_count > 3 ? (long long)event->fields[3] : 0, (long long)run->sim->now_ns,
            partition, words.data);
    out_free(&words);
}

void run_watch_begin(struct run *run)
{
    const struct run_options *options = run->options;

    if (options->tell_path != NULL) run->tell_file = fopen(options->tell_path, "w");
    if (options->watch_path == NULL) return;
    run->watch_file = fopen(options->watch_path, "w");
    if (run->watch_file == NULL) {
        fprintf(stderr, "gregor-sim: %s: %s\n", options->watch_path, strerror(errno));
        return;
    }
    run->sim->watch_from = options->watch_from;
    run->sim->watch_to = options->watch_to;
    run->observer.delivered = watch_delivered;
}

void run_watch_end(struct run *run)
{
    if (run->watch_file != NULL) (void)fclose(run->watch_file);
    run->watch_file = NULL;
    if (run->tell_file != NULL) (void)fclose(run->tell_file);
    run->tell_file = NULL;
}
