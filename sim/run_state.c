/* What the terms of conditions mean in a run. */
#include "sim/run.h"

#include "sim/check/check_query.h"

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

/* Where epoch E ends in the replica's own history (KIP-101); undefined when it knows nothing. */
static struct expr_value epoch_end(struct run *run, const struct partition *part,
                                   const struct expr *argument)
{
    struct expr_value epoch = expr_eval(argument, &run->source);
    struct log_epoch_end end;

    if (part->log == NULL || epoch.kind != EXPR_NUMBER || epoch.number > INT32_MAX) {
        return undefined();
    }
    end = log_end_offset_for(part->log, (int32_t)epoch.number);
    return end.epoch >= 0 ? number(end.end_offset) : undefined();
}

static struct expr_value field_of(struct run *run, const struct partition *part,
                                  const struct expr *expr)
{
    if (part == NULL) return undefined();
    switch (expr->field) {
    case FIELD_LEO: return part->log != NULL ? number(part->log->log_end) : undefined();
    case FIELD_HW: return number(part->high_watermark);
    case FIELD_EPOCH: return number(part->leader_epoch);
    case FIELD_LOG_START: return part->log != NULL ? number(part->log->log_start) : undefined();
    case FIELD_EPOCH_END: return epoch_end(run, part, expr->argument);
    case FIELD_STATE: /* of groups */
    case FIELD_GENERATION:
    case FIELD_MEMBERS:
    case FIELD_NONE:
    case FIELDS: break;
    }
    return undefined();
}

static struct expr_value term_leader(struct run *run, const struct expr *expr)
{
    int leader = cluster_partition_leader(run->cluster, (uint32_t)expr->topic, expr->partition);

    if (expr->field == FIELD_NONE) return one(leader);
    if (leader < 0) return undefined();
    return field_of(
        run,
        cluster_replica(run->cluster, (uint32_t)leader, (uint32_t)expr->topic, expr->partition),
        expr);
}

static struct expr_value term_replica(struct run *run, const struct expr *expr, uint64_t argument)
{
    int index = first_of(argument);

    if (index < 0) return undefined();
    return field_of(
        run, cluster_replica(run->cluster, (uint32_t)index, (uint32_t)expr->topic, expr->partition),
        expr);
}

/* By the committed metadata. */
static uint64_t metadata_set(const struct run *run, const struct expr *expr,
                             struct image_ids (*ids)(const struct image_partition *part))
{
    const struct image_partition *part =
        cluster_partition(run->cluster, (uint32_t)expr->topic, expr->partition);

    if (part == NULL) return 0;
    return cluster_set(run->cluster, ids(part));
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

    return world != NULL && world->index < EXPR_NODES_MAX ? UINT64_C(1) << world->index : 0;
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

static uint64_t client_set(const struct run *run, int32_t client)
{
    uint64_t machines = workload_client_set(run->workload, client);

    return run->only_up ? up_set(run, machines) : machines;
}

/* ---- logs side by side ----------------------------------------------------------------------- */

/* By what the nodes traced of their appends, so also of nodes that are down. */
static struct expr_value term_same_prefix(struct run *run, const struct expr *expr,
                                          uint64_t argument)
{
    int64_t topic = run->facts.topics[expr->topic];
    struct expr_value others = expr_eval(expr->others, &run->source);
    int a = first_of(argument);
    int b = others.kind == EXPR_SET ? first_of(others.set) : -1;

    if (a < 0 || b < 0 || topic == 0) return undefined();
    switch (check_query_same(run->check, topic, expr->partition, run->sim->nodes[a]->id,
                             run->sim->nodes[b]->id, INT64_MAX)) {
    case CHECK_QUERY_UNKNOWN: return undefined();
    case CHECK_QUERY_SAME: return number(1);
    case CHECK_QUERY_SHORT: return number(1); /* as far as both reach */
    case CHECK_QUERY_DIFFERS: return number(0);
    }
    return undefined();
}

static struct expr_value term_truncated(struct run *run, const struct expr *expr, uint64_t argument)
{
    int index = first_of(argument);

    if (index < 0) return undefined();
    return number(run_facts_truncated(run, (uint32_t)index, expr->topic, expr->partition));
}

/* Every running replica against the leader, up to the leader's high watermark. */
static bool partition_identical(struct run *run, const struct expr *expr, int32_t partition)
{
    uint32_t topic = (uint32_t)expr->topic;
    const struct image_partition *meta = cluster_partition(run->cluster, topic, partition);
    int leader = cluster_partition_leader(run->cluster, topic, partition);
    const struct partition *own;
    uint64_t replicas;

    if (meta == NULL || leader < 0) return false;
    own = cluster_replica(run->cluster, (uint32_t)leader, topic, partition);
    replicas = cluster_set(run->cluster, image_replicas(meta));
    for (uint32_t i = 0; i < run->cluster->count; i++) {
        if ((replicas >> i & 1) == 0 || i == (uint32_t)leader) continue;
        if (cluster_node(run->cluster, i) == NULL) continue; /* it is down */
        if (check_query_same(run->check, run->facts.topics[topic], partition,
                             run->cluster->nodes[i].id, run->cluster->nodes[leader].id,
                             own->high_watermark) != CHECK_QUERY_SAME) {
            return false;
        }
    }
    return true;
}

static struct expr_value term_identical(struct run *run, const struct expr *expr)
{
    const struct image *image = cluster_image(run->cluster);
    uint32_t topic = (uint32_t)expr->topic;

    if (image == NULL || run->facts.topics[topic] == 0) return undefined();
    for (int32_t i = 0; i < (int32_t)run->cluster->partitions[topic]; i++) {
        if (!partition_identical(run, expr, i)) return number(0);
    }
    return number(1);
}

struct expr_value run_term(struct expr_source *source, const struct expr *expr, uint64_t argument)
{
    struct run *run = CONTAINER_OF(source, struct run, source);

    switch (expr->term) {
    case TERM_LEADER: return term_leader(run, expr);
    case TERM_FOLLOWERS:
        return set(metadata_set(run, expr, image_replicas) & ~term_leader(run, expr).set);
    case TERM_ISR: return set(metadata_set(run, expr, image_isr));
    case TERM_REPLICAS: return set(metadata_set(run, expr, image_replicas));
    case TERM_ADDING: return set(metadata_set(run, expr, image_adding));
    case TERM_REMOVING: return set(metadata_set(run, expr, image_removing));
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
    case TERM_CLIENT: return set(client_set(run, expr->client));
    case TERM_SAME_PREFIX: return term_same_prefix(run, expr, argument);
    case TERM_TRUNCATED: return term_truncated(run, expr, argument);
    case TERM_IDENTICAL: return term_identical(run, expr);
    case TERM_COORDINATOR:
    case TERM_GROUP:
    case TERM_LAG:
    case TERM_COMMITTED_REGRESSED:
    case TERM_RESET:
    case TERM_SHARED_OWNER: return run_facts_group(run, expr);
    case TERMS: break;
    }
    return undefined();
}
