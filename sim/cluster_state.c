/* What the nodes of a cluster believe, read from their memory between turns. */
#include "sim/cluster.h"

int64_t cluster_log_end(const struct partition *part)
{
    return part->log != NULL ? part->log->log_end : 0;
}

const struct partition *cluster_replica(const struct cluster *cluster, uint32_t index,
                                        uint32_t topic, int32_t partition)
{
    const struct node *node = cluster_node(cluster, index);
    struct partition *part = NULL;

    if (node == NULL || !node->has_replicas || !node->replicas.started) return NULL;
    if (manager_find_by_name(&node->replicas, str_of(cluster->scenario->topics[topic].name),
                             partition, &part) != ERR_NONE) {
        return NULL;
    }
    return part;
}

int cluster_partition_leader(const struct cluster *cluster, uint32_t topic, int32_t partition)
{
    int best = -1;
    int32_t best_epoch = -1;

    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct partition *part = cluster_replica(cluster, i, topic, partition);

        if (part == NULL || part->role != PARTITION_LEADER) continue;
        if (part->leader_epoch <= best_epoch) continue;
        best = (int)i;
        best_epoch = part->leader_epoch;
    }
    return best;
}

int cluster_active_controller(const struct cluster *cluster)
{
    int best = -1;
    int32_t best_epoch = -1;

    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct node *node = cluster_node(cluster, i);

        if (node == NULL || !node->controls || !controller_active(&node->controller)) continue;
        if (node->controller.epoch <= best_epoch) continue;
        best = (int)i;
        best_epoch = node->controller.epoch;
    }
    return best;
}

uint64_t cluster_voter_set(const struct cluster *cluster)
{
    int64_t newest = -1;
    uint64_t set = 0;

    for (uint32_t i = 0; i < cluster->count && cluster->scenario->voters > 0; i++) {
        const struct node *node = cluster_node(cluster, i);
        const struct quorum_voters *voters;

        if (node == NULL || !node->has_quorum) continue;
        voters = &node->quorum.voting.current;
        if (voters->count == 0 || voters->offset < newest) continue;
        newest = voters->offset;
        set = 0;
        for (uint32_t v = 0; v < voters->count; v++) {
            int index = cluster_index(cluster, voters->members[v].id);

            if (index >= 0) set |= UINT64_C(1) << index;
        }
    }
    return set;
}

bool cluster_quorum_spares(const struct cluster *cluster, uint64_t set)
{
    uint64_t voters = cluster_voter_set(cluster);
    int32_t epoch = -1;
    int64_t end = 0;

    if (voters == 0) voters = cluster_controllers(cluster);
    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct node *node = cluster_node(cluster, i);

        if ((voters >> i & 1) == 0) continue;
        if (node == NULL || !node->has_quorum || node->quorum.raft.storing) return false;
        if (node->quorum.raft.durable.epoch > epoch) epoch = node->quorum.raft.durable.epoch;
        if ((set >> i & 1) != 0 && node->quorum.raft.flushed_end > end)
            end = node->quorum.raft.flushed_end;
    }
    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct node *node = cluster_node(cluster, i);
        const struct raft *raft;

        if (((voters & ~set) >> i & 1) == 0) continue;
        raft = &node->quorum.raft;
        if (raft->state != RAFT_FOLLOWER && raft->state != RAFT_LEADER) return false;
        if (raft->durable.epoch != epoch || raft->flushed_end < end || raft->distrusted)
            return false;
    }
    return true;
}

const struct image *cluster_image(const struct cluster *cluster)
{
    const struct image *best = NULL;

    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct node *node = cluster_node(cluster, i);

        if (node == NULL || !node->has_loader) continue;
        if (best == NULL || node->loader.image.last_offset > best->last_offset) {
            best = &node->loader.image;
        }
    }
    return best;
}

const struct image_partition *cluster_partition(const struct cluster *cluster, uint32_t topic,
                                                int32_t partition)
{
    const struct image *image = cluster_image(cluster);
    const struct image_topic *found;

    if (image == NULL) return NULL;
    found = image_topic_by_name(image, str_of(cluster->scenario->topics[topic].name));
    return found != NULL ? image_partition(found, partition) : NULL;
}

uint64_t cluster_set(const struct cluster *cluster, struct image_ids ids)
{
    uint64_t set = 0;

    for (uint32_t i = 0; i < ids.count; i++) {
        int index = cluster_index(cluster, ids.ids[i]);

        if (index >= 0) set |= UINT64_C(1) << index;
    }
    return set;
}
