/* What an answer to Metadata changes: nodes come, move and go, topics get their partitions, and
 * of a leader nothing older is believed than what is known (KIP-320). */
#include "client/metadata.h"

#include "wire/metadata.h"

#include <string.h>

static enum err metadata_take_nodes(struct metadata *metadata,
                                    const struct metadata_response *response)
{
    if (response->brokers_count == 0) return ERR_BROKER_NOT_AVAILABLE;
    metadata_reap(metadata);
    MAP_FOR_EACH (node, &metadata->nodes)
        MAP_ENTRY(node, struct metadata_node, by_id)->listed = false;
    for (uint32_t i = 0; i < response->brokers_count; i++) {
        const struct metadata_response_broker *broker = &response->brokers[i];
        struct metadata_node *known = metadata_find_node(metadata, broker->node_id);
        enum err err;

        if (broker->node_id < 0 || broker->port <= 0 || broker->port > METADATA_PORT_MAX)
            return ERR_MALFORMED;
        if (known != NULL) {
            known->listed = true;
            err = peer_move(&known->peer, broker->host, (uint16_t)broker->port);
        } else {
            err =
                metadata_add_node(metadata, broker->node_id, broker->host, (uint16_t)broker->port);
            known = metadata_find_node(metadata, broker->node_id);
        }
        if (err == ERR_NONE) err = metadata_rack_add(metadata, broker->rack, &known->rack);
        if (err != ERR_NONE) return err;
    }
    MAP_FOR_EACH_SAFE (node, after, &metadata->nodes) {
        struct metadata_node *known = MAP_ENTRY(node, struct metadata_node, by_id);

        if (!known->listed) metadata_drop_node(metadata, known);
    }
    metadata->bootstrapped = true;
    metadata->controller_id = response->controller_id;
    if (response->cluster_id.data != NULL &&
        response->cluster_id.length <= METADATA_CLUSTER_ID_MAX) {
        memcpy(metadata->cluster_id, response->cluster_id.data, response->cluster_id.length);
        metadata->cluster_id[response->cluster_id.length] = 0;
    }
    return ERR_NONE;
}

/* Room for `count` partitions; what is known stays, new ones have no leader. */
static enum err metadata_resize(struct metadata *metadata, struct metadata_topic *topic,
                                uint32_t count)
{
    struct metadata_partition *partitions;

    if (count == topic->partitions_count) return ERR_NONE;
    if (count > metadata->config.partitions_max) return ERR_TOO_MANY;
    partitions = mem_alloc(&metadata->env->mem, count * sizeof *partitions);
    if (partitions == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        partitions[i] = i < topic->partitions_count
                            ? topic->partitions[i]
                            : (struct metadata_partition){-1, -1, ERR_NONE, 0};
    metadata_free_partitions(metadata, topic);
    topic->partitions = partitions;
    topic->partitions_count = count;
    return ERR_NONE;
}

static bool metadata_take_partition(const struct metadata *metadata, struct metadata_topic *topic,
                                    bool same_topic, const struct metadata_response_partition *told)
{
    struct metadata_partition *known;
    uint64_t racks;

    if (told->partition_index < 0 || (uint32_t)told->partition_index >= topic->partitions_count)
        return false;
    known = &topic->partitions[told->partition_index];
    if (!metadata_epoch_acceptable(known->leader_epoch, told->leader_epoch, same_topic))
        return false; /* older than what we know: from a broker that lags */
    known->error = err_from_wire(told->error_code);
    known->leader = told->leader_id;
    known->leader_epoch = told->leader_epoch;
    racks = metadata_racks_of(metadata, told->replica_nodes, told->replica_nodes_count);
    topic->racks_version += racks != known->racks;
    known->racks = racks;
    return known->error == ERR_NONE && known->leader >= 0;
}

/* True when the topic is as it should be: no error, every partition has a leader. */
static bool metadata_take_topic(struct metadata *metadata, struct metadata_topic *topic,
                                const struct metadata_response_topic *told)
{
    bool same = uuid_is_zero(topic->id) || uuid_is_zero(told->topic_id) ||
                uuid_equal(topic->id, told->topic_id);
    bool first = topic->partitions_count == 0 || !same;
    bool settled = true;

    topic->error = err_from_wire(told->error_code);
    if (topic->error != ERR_NONE) return false;
    if (!same) {
        metadata_free_partitions(metadata, topic);
        topic->generation++;
    }
    if (told->partitions_count == 0) return false;
    topic->error = metadata_resize(metadata, topic, told->partitions_count);
    if (topic->error != ERR_NONE) return false;
    if (!uuid_is_zero(told->topic_id)) topic->id = told->topic_id;
    for (uint32_t i = 0; i < told->partitions_count; i++)
        if (!metadata_take_partition(metadata, topic, same, &told->partitions[i])) settled = false;
    if (first)
        TRACE_TEXT(metadata->env->world, TOPIC_KNOWN, metadata_name(topic),
                   (int64_t)uuid_high(topic->id), topic->partitions_count);
    return settled;
}

enum err metadata_take(struct metadata *metadata, bool *settled)
{
    struct metadata_response response;
    struct call *call = &metadata->call;
    enum err err = call->result;

    if (err == ERR_NONE)
        err = metadata_response_decode(&call->reader, call->version, &metadata->arena, &response);
    if (err == ERR_NONE) err = metadata_take_nodes(metadata, &response);
    if (err != ERR_NONE) return err;
    *settled = true;
    for (uint32_t i = 0; i < response.topics_count; i++) {
        const struct metadata_response_topic *told = &response.topics[i];
        struct map_node *node =
            told->name.data != NULL ? map_find_str(&metadata->topics, told->name) : NULL;

        if (node == NULL) continue; /* nobody uses it any more */
        if (!metadata_take_topic(metadata, MAP_ENTRY(node, struct metadata_topic, by_name), told))
            *settled = false;
    }
    return ERR_NONE;
}
