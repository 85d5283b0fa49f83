/* Metadata and DescribeCluster: what the committed image of this broker says.
 *
 * Only unfenced brokers are told of; a partition whose leader is not among them is answered
 * LEADER_NOT_AVAILABLE. As with every KRaft broker the controller id of the reply is a live broker,
 * never the real controller: clients send what is for the controller to any broker. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/describe_cluster.h"
#include "wire/metadata.h"

static const struct image *metadata_image(const struct request *request)
{
    return &request->node->loader.image;
}

const struct image_endpoint *api_metadata_endpoint(const struct request *request,
                                                   const struct image_broker *broker)
{
    struct str wanted = str_of(request->node->config.inter_broker_listener);

    for (uint32_t i = 0; i < broker->endpoints_count; i++) {
        if (str_equal(broker->endpoints[i].name, wanted)) return &broker->endpoints[i];
    }
    return broker->endpoints_count > 0 ? &broker->endpoints[0] : NULL;
}

/* Any live broker; this one if it is. */
static int32_t metadata_controller_id(const struct request *request)
{
    const struct image *image = metadata_image(request);

    if (image_broker_active(image, (int32_t)request->node->config.node_id)) {
        return (int32_t)request->node->config.node_id;
    }
    MAP_FOR_EACH (entry, &image->brokers) {
        const struct image_broker *broker = MAP_ENTRY(entry, struct image_broker, node);

        if (image_broker_active(image, broker->id)) return broker->id;
    }
    return -1;
}

enum err api_metadata_ids(struct request *request, struct image_ids from, int32_t **to,
                          uint32_t *count)
{
    int32_t *ids = request_alloc(request, (from.count + 1) * sizeof *ids);

    if (ids == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < from.count; i++)
        ids[i] = from.ids[i];
    *to = ids;
    *count = from.count;
    return ERR_NONE;
}

enum err api_metadata_leader(struct request *request, const struct image_partition *part,
                             int32_t *leader)
{
    bool there = part->leader >= 0 && image_broker_active(metadata_image(request), part->leader);

    *leader = there ? part->leader : -1;
    return there ? ERR_NONE : ERR_LEADER_NOT_AVAILABLE;
}

enum err api_metadata_offline(struct request *request, struct image_ids replicas, int32_t **to,
                              uint32_t *count)
{
    int32_t *offline = request_alloc(request, (replicas.count + 1) * sizeof *offline);

    if (offline == NULL) return ERR_NO_MEMORY;
    *to = offline;
    *count = 0;
    for (uint32_t i = 0; i < replicas.count; i++) {
        if (!image_broker_active(metadata_image(request), replicas.ids[i]))
            offline[(*count)++] = replicas.ids[i];
    }
    return ERR_NONE;
}

static enum err metadata_partition(struct request *request, const struct image_partition *part,
                                   int32_t index, struct metadata_response_partition *out)
{
    struct image_ids replicas = image_replicas(part);
    enum err err;

    metadata_response_partition_default(out);
    out->partition_index = index;
    out->leader_epoch = part->leader_epoch;
    out->error_code = (int16_t)api_metadata_leader(request, part, &out->leader_id);
    err = api_metadata_offline(request, replicas, &out->offline_replicas,
                               &out->offline_replicas_count);
    if (err != ERR_NONE) return err;
    err = api_metadata_ids(request, replicas, &out->replica_nodes, &out->replica_nodes_count);
    if (err != ERR_NONE) return err;
    return api_metadata_ids(request, image_isr(part), &out->isr_nodes, &out->isr_nodes_count);
}

static enum err metadata_topic(struct request *request, const struct image_topic *topic,
                               struct metadata_response_topic *out)
{
    metadata_response_topic_default(out);
    out->name = topic->name;
    out->topic_id = topic->id;
    out->is_internal = api_topics_internal(topic->name);
    out->partitions =
        request_alloc(request, (topic->partitions_count + 1) * sizeof *out->partitions);
    if (out->partitions == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        enum err err =
            metadata_partition(request, &topic->partitions[i], (int32_t)i, &out->partitions[i]);

        if (err != ERR_NONE) return err;
        out->partitions_count++;
    }
    return ERR_NONE;
}

bool api_metadata_name_ok(struct str name)
{
    if (name.length == 0 || name.length > 249) return false;
    if (str_equal(name, STR(".")) || str_equal(name, STR(".."))) return false;
    for (uint32_t i = 0; i < name.length; i++) {
        char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

/* Versions 10 and 11 can name a topic by id, and must not (protocol.md 7). */
static bool metadata_by_id_too_early(const struct request *request,
                                     const struct metadata_request_topic *asked)
{
    return request->version < 12 && (asked->name.data == NULL || !uuid_is_zero(asked->topic_id));
}

static void metadata_missing(struct request *request, const struct metadata_request *body,
                             const struct metadata_request_topic *asked,
                             struct metadata_response_topic *out)
{
    metadata_response_topic_default(out);
    out->name = asked->name;
    out->topic_id = asked->topic_id;
    if (metadata_by_id_too_early(request, asked)) {
        out->error_code = ERR_INVALID_REQUEST;
        if (asked->name.data == NULL) out->name = STR(""); /* may not be null below 12 */
    } else if (asked->name.data == NULL) {
        out->error_code = ERR_UNKNOWN_TOPIC_ID;
    } else if (!api_metadata_name_ok(asked->name)) {
        out->error_code = ERR_INVALID_TOPIC_EXCEPTION;
    } else {
        out->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
        if (body->allow_auto_topic_creation &&
            request->node->config.auto_create_topics_enable != 0) {
            api_topics_auto_create(request->node, asked->name);
            out->error_code = ERR_LEADER_NOT_AVAILABLE; /* as Kafka says while it is being made */
        }
    }
}

static enum err metadata_named(struct request *request, const struct metadata_request *body,
                               struct metadata_response *response)
{
    const struct image *image = metadata_image(request);

    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct metadata_request_topic *asked = &body->topics[i];
        struct metadata_response_topic *out = &response->topics[response->topics_count++];
        const struct image_topic *topic = asked->name.data != NULL
                                              ? image_topic_by_name(image, asked->name)
                                              : image_topic_by_id(image, asked->topic_id);
        enum err err = ERR_NONE;

        if (topic != NULL && !topic->deleted && !metadata_by_id_too_early(request, asked)) {
            err = metadata_topic(request, topic, out);
        } else {
            metadata_missing(request, body, asked, out);
        }
        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

static enum err metadata_all(struct request *request, struct metadata_response *response)
{
    MAP_FOR_EACH (entry, &metadata_image(request)->topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(entry, struct image_topic, by_id);
        enum err err = metadata_topic(request, topic, &response->topics[response->topics_count]);

        if (err != ERR_NONE) return err;
        response->topics_count++;
    }
    return ERR_NONE;
}

static enum err metadata_brokers(struct request *request, struct metadata_response *response)
{
    const struct image *image = metadata_image(request);

    response->brokers =
        request_alloc(request, (image->brokers.count + 1) * sizeof *response->brokers);
    if (response->brokers == NULL) return ERR_NO_MEMORY;
    MAP_FOR_EACH (entry, &image->brokers) {
        const struct image_broker *broker = MAP_ENTRY(entry, struct image_broker, node);
        const struct image_endpoint *endpoint = api_metadata_endpoint(request, broker);
        struct metadata_response_broker *out = &response->brokers[response->brokers_count];

        if (endpoint == NULL || !image_broker_active(image, broker->id)) continue;
        metadata_response_broker_default(out);
        out->node_id = broker->id;
        out->host = endpoint->host;
        out->port = endpoint->port;
        out->rack = broker->rack;
        response->brokers_count++;
    }
    return ERR_NONE;
}

void api_metadata_handle(struct request *request)
{
    const struct image *image = metadata_image(request);
    struct metadata_response response;
    struct metadata_request body;
    bool all;
    enum err err;

    if (request_decode(request, &body) != ERR_NONE) return;
    all = body.topics_null || (request->version == 0 && body.topics_count == 0);
    metadata_response_default(&response);
    response.cluster_id = node_cluster_id(request->node);
    response.controller_id = metadata_controller_id(request);
    response.topics =
        request_alloc(request, ((all ? image->topics_by_id.count : body.topics_count) + 1) *
                                   sizeof *response.topics);
    err = response.topics == NULL ? ERR_NO_MEMORY : metadata_brokers(request, &response);
    if (err == ERR_NONE) {
        err = all ? metadata_all(request, &response) : metadata_named(request, &body, &response);
    }
    if (err != ERR_NONE) {
        request_abandon(request, err);
        return;
    }
    request_answer(request, &response);
}

void api_metadata_cluster_handle(struct request *request)
{
    const struct image *image = metadata_image(request);
    struct describe_cluster_response response;
    struct describe_cluster_request body;

    if (request_decode(request, &body) != ERR_NONE) return;
    describe_cluster_response_default(&response);
    response.cluster_id = node_cluster_id(request->node);
    response.controller_id = metadata_controller_id(request);
    if (request->version >= 1 && body.endpoint_type != 1) {
        response.error_code = ERR_MISMATCHED_ENDPOINT_TYPE;
        request_answer(request, &response);
        return;
    }
    response.brokers =
        request_alloc(request, (image->brokers.count + 1) * sizeof *response.brokers);
    if (response.brokers == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    MAP_FOR_EACH (entry, &image->brokers) {
        const struct image_broker *broker = MAP_ENTRY(entry, struct image_broker, node);
        const struct image_endpoint *endpoint = api_metadata_endpoint(request, broker);
        struct describe_cluster_response_broker *out = &response.brokers[response.brokers_count];

        if (endpoint == NULL || !image_broker_active(image, broker->id)) continue;
        describe_cluster_response_broker_default(out);
        out->broker_id = broker->id;
        out->host = endpoint->host;
        out->port = endpoint->port;
        out->rack = broker->rack;
        response.brokers_count++;
    }
    request_answer(request, &response);
}
