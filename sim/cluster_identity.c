/* Who a node's directories say that it is, kept for an operator.
 *
 * A meta.properties that a disk has damaged (DF7, DF10) is not understood, or is of somebody else:
 * the node does not guess whose logs these are, and refuses to start, for ever. Nothing in the
 * cluster can help then; whoever runs it writes the few lines again. What they were is noted once
 * in each life that has read all of them. */
#include "sim/cluster.h"

static bool all_online(const struct node *node)
{
    for (uint32_t i = 0; i < node->dir_count; i++) {
        if (!log_dir_online(&node->log_dirs[i])) return false;
    }
    return node->has_dir;
}

/* By the node's own word, on its way down. */
static bool refused(const struct node *node)
{
    for (uint32_t i = 0; i < node->dir_count && node->has_dir; i++) {
        const struct log_dir *dir = &node->log_dirs[i];

        if (dir->state == LOG_DIR_CLOSED &&
            (dir->err == ERR_DAMAGED || dir->err == ERR_INCONSISTENT_CLUSTER_ID ||
             dir->err == ERR_BAD_CONFIG))
            return true;
    }
    return false;
}

static void keep(struct cluster_node *node)
{
    cluster_identity_forget(node);
    if (!all_online(node->node)) return; /* what one that is offline has, nobody has read */
    node->identity = sim_image_create();
    (void)sim_image_take(node->identity, sim_disk_image(node->world->disk), CLUSTER_META_GLOB,
                         NULL);
}

void cluster_identity_turned(struct cluster_node *node)
{
    if (node->node->state == NODE_READY && node->identity_life != node->world->incarnation) {
        node->identity_life = node->world->incarnation;
        keep(node);
    }
    if (node->node->state == NODE_CLOSING && node->node->status != 0 && node->disk_faulted)
        node->refused = refused(node->node);
}

void cluster_identity_forget(struct cluster_node *node)
{
    if (node->identity != NULL) sim_image_destroy(node->identity);
    node->identity = NULL;
    node->refused = false;
}

void cluster_identity_mend(struct cluster *cluster, uint32_t index)
{
    struct cluster_node *node = &cluster->nodes[index];

    if (node->world->up || !node->refused || node->identity == NULL) return;
    (void)sim_image_take(sim_disk_image(node->world->disk), node->identity, CLUSTER_META_GLOB,
                         NULL);
    node->refused = false;
}
