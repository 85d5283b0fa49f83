/* FindCoordinator: the leader of the partition of __consumer_offsets that a group's id hashes to
 * (groups.md 1). The first question makes the topic; until it has a leader the answer is
 * COORDINATOR_NOT_AVAILABLE, which clients retry; of transactions, which nobody coordinates here,
 * always. */
#include "broker/api/api.h"
#include "broker/group/group_place.h"
#include "broker/node.h"
#include "wire/find_coordinator.h"

enum { KEY_GROUP = 0, KEY_TRANSACTION = 1 };

static enum err find(struct request *request, int8_t type, struct str key,
                     struct find_coordinator_response_coordinator *out)
{
    const struct image *image = &request->node->loader.image;
    const struct image_topic *topic = image_topic_by_name(image, STR(COORDINATOR_TOPIC));
    const struct image_endpoint *endpoint;
    const struct image_partition *part;

    find_coordinator_response_coordinator_default(out);
    out->key = key;
    out->node_id = -1;
    out->port = -1;
    if (type != KEY_GROUP && type != KEY_TRANSACTION) return ERR_INVALID_REQUEST;
    if (type == KEY_TRANSACTION) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (topic == NULL || topic->deleted) {
        api_topics_auto_create(request->node, STR(COORDINATOR_TOPIC));
        return ERR_COORDINATOR_NOT_AVAILABLE;
    }
    part = &topic->partitions[group_place(key, topic->partitions_count)];
    if (part->leader < 0 || !image_broker_active(image, part->leader))
        return ERR_COORDINATOR_NOT_AVAILABLE;
    endpoint = api_metadata_endpoint(request, image_broker(image, part->leader));
    if (endpoint == NULL) return ERR_COORDINATOR_NOT_AVAILABLE;
    out->node_id = part->leader;
    out->host = endpoint->host;
    out->port = endpoint->port;
    return ERR_NONE;
}

void api_coordinator_find_handle(struct request *request)
{
    struct find_coordinator_response_coordinator one;
    struct find_coordinator_response response;
    struct find_coordinator_request body;

    if (request_decode(request, &body) != ERR_NONE) return;
    find_coordinator_response_default(&response);
    if (request->version < 4) {
        response.error_code = (int16_t)find(request, body.key_type, body.key, &one);
        response.node_id = one.node_id;
        response.host = one.host;
        response.port = one.port;
        request_answer(request, &response);
        return;
    }
    response.coordinators =
        request_alloc(request, (body.coordinator_keys_count + 1) * sizeof *response.coordinators);
    if (response.coordinators == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < body.coordinator_keys_count; i++) {
        struct find_coordinator_response_coordinator *out = &response.coordinators[i];

        out->error_code = (int16_t)find(request, body.key_type, body.coordinator_keys[i], out);
        response.coordinators_count++;
    }
    request_answer(request, &response);
}
