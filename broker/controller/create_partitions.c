/* CreatePartitions: more partitions for topics that are there; each topic is accepted or refused on
 * its own, the accepted ones become one atomic batch (KIP-195). Existing partitions stay as they
 * are: records with keys may go elsewhere from now on, which is the caller's affair. */
#include "broker/controller/controller_parts.h"
#include "broker/controller/placement.h"

#include <string.h>

typedef struct create_partitions_request_topic grow_in;
typedef struct create_partitions_response_result grow_out;

struct growth {
    struct controller *c;
    const struct create_partitions_request *request;
    struct records *records;
    uint32_t partitions; /* accepted so far */
    /* of the topic at hand */
    const struct image_topic *topic;
    uint32_t factor;
    uint32_t fresh;    /* partitions to make */
    int32_t *replicas; /* fresh times factor, back to back */
};

static enum err refuse(grow_out *out, enum err err, const char *why)
{
    out->error_message = str_of(why);
    return err;
}

static enum err manual_layout(struct growth *g, const grow_in *in, grow_out *out)
{
    const struct image *image = &g->c->image;

    if (in->assignments_count != g->fresh)
        return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                      "One assignment is needed for each new partition, no more and no less.");
    g->replicas = arena_alloc(&g->c->arena, sizeof(int32_t) * g->fresh * g->factor);
    if (g->replicas == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < g->fresh; i++) {
        const struct create_partitions_request_assignment *assignment = &in->assignments[i];
        int32_t *replicas = g->replicas + (size_t)i * g->factor;
        bool active = false;

        if (assignment->broker_ids_count != g->factor)
            return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                          "An assignment has another number of replicas than the topic.");
        for (uint32_t k = 0; k < g->factor; k++) {
            int32_t id = assignment->broker_ids[k];

            if (image_ids_contain((struct image_ids){assignment->broker_ids, k}, id))
                return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                              "An assignment names a broker more than once.");
            if (image_broker(image, id) == NULL)
                return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                              "An assignment names a broker that is not registered.");
            active = active || image_broker_active(image, id);
            replicas[k] = id;
        }
        if (!active)
            return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                          "All brokers of an assignment are fenced or in controlled shutdown.");
    }
    return ERR_NONE;
}

static enum err striped_layout(struct growth *g, grow_out *out)
{
    struct controller *c = g->c;
    struct placement_order order = {g->fresh, g->factor};
    struct placement_broker *brokers =
        arena_alloc(&c->arena, (c->image.brokers.count + 1) * sizeof(*brokers));
    uint32_t usable = 0;
    enum err err;

    if (brokers == NULL) return ERR_NO_MEMORY;
    MAP_FOR_EACH (node, &c->image.brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);

        if (broker->in_controlled_shutdown) continue;
        brokers[usable++] = (struct placement_broker){broker->id, broker->rack, broker->fenced};
    }
    err = placement_place(brokers, usable, order, &c->placement, &c->arena, &g->replicas);
    if (err != ERR_INVALID_REPLICATION_FACTOR) return err;
    return refuse(out, err,
                  "Unable to replicate the new partitions: the topic's replication factor is "
                  "larger than the number of usable brokers, or all brokers are fenced.");
}

static void put_partition(const struct growth *g, uint32_t index)
{
    struct records *records = g->records;
    int32_t *replicas = g->replicas + (size_t)index * g->factor;
    int32_t *isr = arena_alloc(records->arena, g->factor * sizeof(int32_t));
    struct metadata_record *record = records_add(records, RECORD_PARTITION);
    uint32_t count = 0;

    if (isr == NULL) records->error = ERR_NO_MEMORY;
    if (isr == NULL || record == NULL) return;
    for (uint32_t i = 0; i < g->factor; i++)
        if (image_broker_active(&g->c->image, replicas[i])) isr[count++] = replicas[i];
    ASSERT(count > 0);
    record->partition.topic_id = g->topic->id;
    record->partition.partition_id = (int32_t)(g->topic->partitions_count + index);
    record->partition.replicas = replicas;
    record->partition.replicas_count = g->factor;
    record->partition.isr = isr;
    record->partition.isr_count = count;
    record->partition.leader = isr[0];
    record->partition.leader_epoch = 0;
    record->partition.partition_epoch = 0;
}

static enum err check_count(struct growth *g, const grow_in *in, grow_out *out)
{
    const struct image *image = &g->c->image;
    uint32_t now = g->topic->partitions_count;

    if (in->count <= 0 || (uint32_t)in->count < now)
        return refuse(out, ERR_INVALID_PARTITIONS,
                      "The topic has more partitions than that: partitions cannot be taken away.");
    if ((uint32_t)in->count == now)
        return refuse(out, ERR_INVALID_PARTITIONS, "The topic has that many partitions already.");
    g->fresh = (uint32_t)in->count - now;
    /* DIFFERS: Kafka counts those that a reassignment is about to remove, too. */
    g->factor = g->topic->partitions[0].replicas_count - g->topic->partitions[0].removing_count;
    if ((uint64_t)g->records->count + g->fresh > RECORDS_BATCH_MAX)
        return refuse(out, ERR_POLICY_VIOLATION,
                      "Excessively large number of partitions per request.");
    if ((uint64_t)image->partitions_count + g->partitions + g->fresh >
        g->c->config.limits.partitions_max)
        return refuse(out, ERR_POLICY_VIOLATION, "The cluster's limit of partitions.");
    return ERR_NONE;
}

static enum err grow_one(struct growth *g, uint32_t index, grow_out *out)
{
    const grow_in *in = &g->request->topics[index];
    enum err err;

    for (uint32_t i = 0; i < g->request->topics_count; i++)
        if (i != index && str_equal(g->request->topics[i].name, in->name))
            return refuse(out, ERR_INVALID_REQUEST, "Duplicate topic name.");
    g->topic = image_topic_by_name(&g->c->image, in->name);
    if (g->topic == NULL || g->topic->partitions_count == 0)
        return refuse(out, ERR_UNKNOWN_TOPIC_OR_PARTITION, "The topic does not exist.");
    err = check_count(g, in, out);
    if (err != ERR_NONE) return err;
    err = in->assignments_null ? striped_layout(g, out) : manual_layout(g, in, out);
    if (err != ERR_NONE || g->request->validate_only) return err;
    for (uint32_t i = 0; i < g->fresh; i++)
        put_partition(g, i);
    g->partitions += g->fresh;
    return ERR_NONE;
}

enum err create_partitions_decide(struct controller *c,
                                  const struct create_partitions_request *request,
                                  struct create_partitions_response *response, struct arena *arena)
{
    struct records records;
    struct growth growth = {.c = c, .request = request, .records = &records};
    uint32_t count = request->topics_count;

    response->results = arena_alloc(arena, (count + 1) * sizeof(*response->results));
    if (response->results == NULL) return ERR_NO_MEMORY;
    response->results_count = count;
    records_init(&records, &c->arena);
    for (uint32_t i = 0; i < count; i++) {
        grow_out *out = &response->results[i];
        enum err err;

        create_partitions_response_result_default(out);
        out->name = request->topics[i].name;
        out->error_message = STR_NULL;
        err = grow_one(&growth, i, out);
        if (err == ERR_NO_MEMORY) return err;
        out->error_code = (int16_t)err;
    }
    return controller_write(c, &records, CONTROLLER_ATOMIC);
}
