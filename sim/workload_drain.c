/* The final drain: it reads every partition from its start to its end, as one that wants to know
 * what is lost. */
#include "sim/workload_private.h"

#include <stdio.h>

enum { DRAIN_AGAIN_MAX = 200 }; /* 10 s: longer than a leader needs to give way */

/* A reader is told of a damaged batch once, and stands before it (clients.md 4). The leader gives
 * way to a replica that is sound, so the drain tries there again, as long as one may be found. */
static bool drain_hopes(const struct workload_node *node,
                        const struct consumer_partition *partition)
{
    return partition->error == ERR_CORRUPT_MESSAGE && partition->position >= 0 &&
           node->agains < DRAIN_AGAIN_MAX;
}

bool workload_drain_waits(const struct workload_node *node)
{
    if (node->client->kind != WORKLOAD_DRAIN) return false;
    LIST_FOR_EACH (link, &node->consumer.partitions) {
        const struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, link);

        if (partition->state == CONSUMER_FAILED && drain_hopes(node, partition)) return true;
    }
    return false;
}

void workload_drain_again(struct workload_node *node)
{
    LIST_FOR_EACH (link, &node->consumer.partitions) {
        struct consumer_partition *partition = LIST_ENTRY(link, struct consumer_partition, link);
        const struct consumer_start there = {.by_offset = true, .offset = partition->position};

        if (partition->state == CONSUMER_FAILED && drain_hopes(node, partition))
            consumer_seek(partition, there);
    }
    node->agains++;
    metadata_refresh(&node->consumer.metadata);
}

/* The drain has read all that was committed when it looked last. */
bool workload_drain_read(const struct workload_node *node)
{
    LIST_FOR_EACH (link, &node->consumer.partitions) {
        const struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, link);

        if (partition->state == CONSUMER_FAILED) {
            if (drain_hopes(node, partition)) return false;
            continue;
        }
        if (partition->position < 0 || partition->high_watermark < 0) return false;
        if (!consumer_at_end(partition)) return false;
    }
    return true;
}

void workload_drain_unread(const struct workload_node *node, char *text, size_t size)
{
    LIST_FOR_EACH (link, &node->consumer.partitions) {
        const struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, link);

        if (partition->state == CONSUMER_FAILED) continue;
        if (partition->position >= 0 && partition->high_watermark >= 0 &&
            consumer_at_end(partition))
            continue;
        (void)snprintf(text, size, "%s-%d was read up to %lld of %lld", partition->topic->name,
                       (int)partition->index, (long long)partition->position,
                       (long long)partition->high_watermark);
        return;
    }
}
