#include "broker/api/api.h"
#include "broker/node.h"

void api_hints_add(struct api_hints *hints, const struct request *request, int32_t leader)
{
    const struct image *image = request->node->replicas.image;
    const struct image_broker *broker = image != NULL ? image_broker(image, leader) : NULL;
    const struct image_endpoint *endpoint =
        broker != NULL ? api_metadata_endpoint(request, broker) : NULL;

    if (endpoint == NULL || !image_broker_active(image, leader)) return;
    for (uint32_t i = 0; i < hints->count; i++) {
        if (hints->items[i].id == leader) return;
    }
    if (hints->count == API_HINTS_MAX) return;
    hints->items[hints->count++] =
        (struct api_hint){leader, endpoint->host, endpoint->port, broker->rack};
}
