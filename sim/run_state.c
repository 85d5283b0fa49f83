/* What the terms of conditions mean in a run. */
#include "sim/run.h"

#include <string.h>

static struct expr_value undefined(void)
{
    return (struct expr_value){.kind = EXPR_UNDEFINED};
}

static struct expr_value number(int64_t value)
{
    return (struct expr_value){.kind = EXPR_NUMBER, .number = value};
}

static struct expr_value set(uint64_t value)
{
    return (struct expr_value){.kind = EXPR_SET, .set = value};
}

static struct expr_value one(int index)
{
    return set(index < 0 ? 0 : UINT64_C(1) << index);
}

static int first_of(uint64_t set_of_nodes)
{
    for (int i = 0; i < EXPR_NODES_MAX; i++) {
        if ((set_of_nodes >> i & 1) != 0) return i;
    }
    return -1;
}

static struct expr_value field_of(const struct partition *part, enum field field)
{
    if (part == NULL) return undefined();
    switch (field) {
    case FIELD_LEO: return part->log != NULL ? number(part->log->log_end) : undefined();
    case FIELD_HW: return number(part->high_watermark);
    case FIELD_EPOCH: return number(part->leader_epoch);
    case FIELD_LOG_START: return part->log != NULL ? number(part->log->log_start) : undefined();
    case FIELD_NONE:
    case FIELDS: break;
    }
    return undefined();
}

static struct expr_value term_leader(const struct run *run, const struct expr *expr)
{
    int leader = cluster_partition_leader(run->cluster, (uint32_t)expr->topic, expr->partition);

    if (expr->field == FIELD_NONE) return one(leader);
    if (leader < 0) return undefined();
    return field_of(
        cluster_replica(run->cluster, (uint32_t)leader, (uint32_t)expr->topic, expr->partition),
        expr->field);
}

static struct expr_value term_replica(const struct run *run, const struct expr *expr,
                                      uint64_t argument)
{
    int index = first_of(argument);

    if (index < 0) return undefined();
    return field_of(
        cluster_replica(run->cluster, (uint32_t)index, (uint32_t)expr->topic, expr->partition),
        expr->field);
}

/* By the committed metadata. */
static uint64_t metadata_set(const struct run *run, const struct expr *expr, bool isr)
{
    const struct image_partition *part =
        cluster_partition(run->cluster, (uint32_t)expr->topic, expr->partition);

    if (part == NULL) return 0;
    return cluster_set(run->cluster, isr ? image_isr(part) : image_replicas(part));
}

static uint64_t rack_set(const struct run *run, const char *name)
{
    const struct scenario *scenario = run->scenario;
    uint64_t nodes = 0;

    for (uint32_t i = 0; i < scenario->brokers; i++) {
        if (scenario->racks[i] != NULL && strcmp(scenario->racks[i], name) == 0) {
            nodes |= UINT64_C(1) << i;
        }
    }
    return nodes;
}

static uint64_t node_set(const struct run *run, int32_t id)
{
    const struct sim_world *world = sim_node_find(run->sim, id);

    return world != NULL ? UINT64_C(1) << world->index : 0;
}

static uint64_t up_set(const struct run *run, uint64_t nodes)
{
    for (uint32_t i = 0; i < run->sim->node_count && i < EXPR_NODES_MAX; i++) {
        if (!run->sim->nodes[i]->up) nodes &= ~(UINT64_C(1) << i);
    }
    return nodes;
}

static struct expr_value term_controller(const struct run *run, enum term term)
{
    int index = cluster_active_controller(run->cluster);
    const struct node *node = index >= 0 ? cluster_node(run->cluster, (uint32_t)index) : NULL;

    if (node == NULL) return undefined();
    return number(term == TERM_CONTROLLER_EPOCH ? node->controller.epoch
                                                : node->quorum.high_watermark);
}

struct expr_value run_term(struct expr_source *source, const struct expr *expr, uint64_t argument)
{
    struct run *run = CONTAINER_OF(source, struct run, source);

    switch (expr->term) {
    case TERM_LEADER: return term_leader(run, expr);
    case TERM_FOLLOWERS: return set(metadata_set(run, expr, false) & ~term_leader(run, expr).set);
    case TERM_ISR: return set(metadata_set(run, expr, true));
    case TERM_REPLICAS: return set(metadata_set(run, expr, false));
    case TERM_ACTIVE_CONTROLLER: return one(cluster_active_controller(run->cluster));
    case TERM_CONTROLLERS: return set(cluster_controllers(run->cluster));
    case TERM_BROKERS: return set(cluster_brokers(run->cluster));
    case TERM_CLIENTS: return set(workload_set(run->workload));
    case TERM_RACK: return set(rack_set(run, expr->name));
    case TERM_NODE: return set(node_set(run, expr->id));
    case TERM_UP: return set(up_set(run, argument));
    case TERM_REPLICA: return term_replica(run, expr, argument);
    case TERM_CONTROLLER_EPOCH:
    case TERM_METADATA_OFFSET: return term_controller(run, expr->term);
    case TERM_ACKED: return number(workload_acked(run->workload, expr->client));
    case TERM_SENT: return number(workload_sent(run->workload, expr->client));
    case TERM_READ: return number(workload_read(run->workload, expr->client));
    case TERM_ERRORS: return number(workload_errors(run->workload, expr->client, expr->error));
    case TERM_LOST_ACKED:
        if (!run->drained) return undefined();
        return number(workload_lost_acked(run->workload, expr->client));
    case TERM_TIME: return number(run_time(run));
    case TERMS: break;
    }
    return undefined();
}
