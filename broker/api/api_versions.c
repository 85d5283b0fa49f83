/* ApiVersions (KIP-35, KIP-511): what this listener serves. A version that is not served never
 * comes here: server.c answers it in form v0. */
#include "wire/api_versions.h"
#include "broker/api/api.h"

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

void api_versions_handle(struct request *request)
{
    struct api_versions_response_api_version rows[SERVER_APIS_MAX];
    struct api_versions_response response;
    struct api_versions_request body;

    if (request_decode(request, &body) != ERR_NONE) return;
    api_versions_response_default(&response);
    if (request->version >= 3 && (!api_versions_name_ok(body.client_software_name) ||
                                  !api_versions_name_ok(body.client_software_version))) {
        response.error_code = ERR_INVALID_REQUEST;
    } else {
        response.api_keys = rows;
        response.api_keys_count = api_versions_list(request->session->server->config.kind, rows);
    }
    request_answer(request, &response);
}
