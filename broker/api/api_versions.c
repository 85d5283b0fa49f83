/* ApiVersions (KIP-35, KIP-511, KIP-584): what this listener serves, which features this build
 * knows and which levels of them count in the cluster. A version that is not served never
 * comes here: server.c answers it in form v0. */
#include "wire/api_versions.h"
#include "broker/api/api.h"
#include "broker/features.h"
#include "broker/node.h"

/* [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?, as Kafka wants both names (protocol.md 5). */
static bool api_versions_name_ok(struct str name)
{
    for (uint32_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool edge = i == 0 || i + 1 == name.length;

        if (!word && (edge || (c != '-' && c != '.'))) return false;
    }
    return name.length > 0;
}

struct versions_features {
    struct api_versions_response_supported_feature supported[FEATURES_COUNT];
    struct api_versions_response_finalized_feature finalized[IMAGE_FEATURES_MAX + 1];
};

/* To version 3 and lower a feature that begins at 0 is not told: their readers want at least 1
 * (KAFKA-17492). */
static void api_versions_supported(const struct request *request, struct versions_features *room,
                                   struct api_versions_response *response)
{
    struct features_range ranges[FEATURES_COUNT];

    features_supported(&request->node->config, ranges);
    response->supported_features = room->supported;
    for (uint32_t i = 0; i < FEATURES_COUNT; i++) {
        if (request->version < 4 && ranges[i].min == 0) continue;
        room->supported[response->supported_features_count++] =
            (struct api_versions_response_supported_feature){ranges[i].name, ranges[i].min,
                                                             ranges[i].max};
    }
}

/* Level 0 is as if it were not there. */
static void api_versions_finalized(const struct request *request, struct versions_features *room,
                                   struct api_versions_response *response)
{
    const struct image *image = &request->node->loader.image;
    int16_t kraft = request->node->quorum.voting.applied.kraft_version;
    uint32_t count = 0;

    if (image->last_offset < 0 || !loader_caught_up(&request->node->loader)) return;
    for (uint32_t i = 0; i < image->features_count; i++)
        room->finalized[count++] = (struct api_versions_response_finalized_feature){
            image->features[i].name, image->features[i].max, image->features[i].max};
    if (kraft > 0)
        room->finalized[count++] = (struct api_versions_response_finalized_feature){
            STR(FEATURES_KRAFT_VERSION), kraft, kraft};
    response->finalized_features = room->finalized;
    response->finalized_features_count = count;
    response->finalized_features_epoch = image->last_offset;
}

void api_versions_handle(struct request *request)
{
    struct api_versions_response_api_version rows[SERVER_APIS_MAX];
    struct api_versions_response response;
    struct versions_features features;
    struct api_versions_request body;

    if (request_decode(request, &body) != ERR_NONE) return;
    api_versions_response_default(&response);
    if (request->version >= 3 && (!api_versions_name_ok(body.client_software_name) ||
                                  !api_versions_name_ok(body.client_software_version))) {
        response.error_code = ERR_INVALID_REQUEST;
    } else {
        response.api_keys = rows;
        response.api_keys_count = api_versions_list(request->session->server->config.kind, rows);
        if (request->version >= 3) {
            api_versions_supported(request, &features, &response);
            api_versions_finalized(request, &features, &response);
        }
    }
    request_answer(request, &response);
}
