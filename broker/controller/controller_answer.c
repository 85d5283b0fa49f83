/* One error in every place of a response where it belongs: what a call gets that was not decided,
 * or whose decision is not known to be committed. */
#include "broker/controller/controller_parts.h"

/* An answer without its arrays still has its error at the top, where there is one. */
static void answer_create(const struct controller_call *call, enum err err)
{
    const struct create_topics_request *request = call->request.create_topics;
    struct create_topics_response *response = call->response.create_topics;
    uint32_t count = request->topics_count;

    create_topics_response_default(response);
    response->topics = arena_alloc(call->arena, count * sizeof(*response->topics));
    if (response->topics == NULL) return;
    response->topics_count = count;
    for (uint32_t i = 0; i < count; i++) {
        create_topics_response_topic_default(&response->topics[i]);
        response->topics[i].name = request->topics[i].name;
        response->topics[i].error_code = (int16_t)err;
        response->topics[i].error_message = STR_NULL;
    }
}

static void answer_delete(const struct controller_call *call, enum err err)
{
    const struct delete_topics_request *request = call->request.delete_topics;
    struct delete_topics_response *response = call->response.delete_topics;
    bool ids = call->version >= 6;
    uint32_t count = ids ? request->topics_count : request->topic_names_count;

    delete_topics_response_default(response);
    response->responses = arena_zalloc(call->arena, count * sizeof(*response->responses));
    if (response->responses == NULL) return;
    response->responses_count = count;
    for (uint32_t i = 0; i < count; i++) {
        response->responses[i].name = ids ? request->topics[i].name : request->topic_names[i];
        if (ids) response->responses[i].topic_id = request->topics[i].topic_id;
        response->responses[i].error_code = (int16_t)err;
        response->responses[i].error_message = STR_NULL;
    }
}

void controller_answer_incremental(const struct incremental_alter_configs_request *request,
                                   struct incremental_alter_configs_response *response,
                                   enum err err, struct arena *arena)
{
    uint32_t count = request->resources_count;

    incremental_alter_configs_response_default(response);
    response->responses = arena_zalloc(arena, (count + 1) * sizeof *response->responses);
    if (response->responses == NULL) return;
    response->responses_count = count;
    for (uint32_t i = 0; i < count; i++) {
        response->responses[i].error_code = (int16_t)err;
        response->responses[i].error_message = STR_NULL;
        response->responses[i].resource_type = request->resources[i].resource_type;
        response->responses[i].resource_name = request->resources[i].resource_name;
    }
}

void controller_answer_replace(const struct alter_configs_request *request,
                               struct alter_configs_response *response, enum err err,
                               struct arena *arena)
{
    uint32_t count = request->resources_count;

    alter_configs_response_default(response);
    response->responses = arena_zalloc(arena, (count + 1) * sizeof *response->responses);
    if (response->responses == NULL) return;
    response->responses_count = count;
    for (uint32_t i = 0; i < count; i++) {
        response->responses[i].error_code = (int16_t)err;
        response->responses[i].error_message = STR_NULL;
        response->responses[i].resource_type = request->resources[i].resource_type;
        response->responses[i].resource_name = request->resources[i].resource_name;
    }
}

void controller_answer_partitions(const struct create_partitions_request *request,
                                  struct create_partitions_response *response, enum err err,
                                  struct arena *arena)
{
    uint32_t count = request->topics_count;

    create_partitions_response_default(response);
    response->results = arena_zalloc(arena, (count + 1) * sizeof *response->results);
    if (response->results == NULL) return;
    response->results_count = count;
    for (uint32_t i = 0; i < count; i++) {
        response->results[i].name = request->topics[i].name;
        response->results[i].error_code = (int16_t)err;
        response->results[i].error_message = STR_NULL;
    }
}

/* Version 0 has no error at the top: there every partition has it. */
void controller_answer_elect(const struct elect_leaders_request *request,
                             struct elect_leaders_response *response, enum err err, int16_t version,
                             struct arena *arena)
{
    uint32_t count = request->topic_partitions_count;

    elect_leaders_response_default(response);
    if (version >= 1) response->error_code = (int16_t)err;
    response->replica_election_results =
        arena_zalloc(arena, (count + 1) * sizeof *response->replica_election_results);
    if (response->replica_election_results == NULL) return;
    for (uint32_t i = 0; i < count; i++) {
        const struct elect_leaders_request_topic *in = &request->topic_partitions[i];
        struct elect_leaders_response_topic *out = &response->replica_election_results[i];

        out->topic = in->topic;
        out->partition_result =
            arena_zalloc(arena, (in->partitions_count + 1) * sizeof *out->partition_result);
        if (out->partition_result == NULL) return;
        for (uint32_t k = 0; k < in->partitions_count; k++) {
            out->partition_result[k].partition_id = in->partitions[k];
            out->partition_result[k].error_code = (int16_t)err;
            out->partition_result[k].error_message = STR_NULL;
        }
        out->partition_result_count = in->partitions_count;
        response->replica_election_results_count++;
    }
}

void controller_answer_error(struct controller_call *call, enum err err)
{
    ASSERT(err_is_wire(err));
    switch (call->api) {
    case CONTROLLER_BROKER_REGISTRATION:
        broker_registration_response_default(call->response.broker_registration);
        call->response.broker_registration->error_code = (int16_t)err;
        return;
    case CONTROLLER_BROKER_HEARTBEAT:
        broker_heartbeat_response_default(call->response.broker_heartbeat);
        call->response.broker_heartbeat->error_code = (int16_t)err;
        return;
    case CONTROLLER_CREATE_TOPICS: answer_create(call, err); return;
    case CONTROLLER_DELETE_TOPICS: answer_delete(call, err); return;
    case CONTROLLER_ALTER_PARTITION:
        alter_partition_response_default(call->response.alter_partition);
        call->response.alter_partition->error_code = (int16_t)err;
        return;
    case CONTROLLER_ASSIGN_DIRS:
        assign_replicas_to_dirs_response_default(call->response.assign_dirs);
        call->response.assign_dirs->error_code = (int16_t)err;
        return;
    case CONTROLLER_INCREMENTAL_ALTER_CONFIGS:
        controller_answer_incremental(call->request.incremental_alter_configs,
                                      call->response.incremental_alter_configs, err, call->arena);
        return;
    case CONTROLLER_ALTER_CONFIGS:
        controller_answer_replace(call->request.alter_configs, call->response.alter_configs, err,
                                  call->arena);
        return;
    case CONTROLLER_CREATE_PARTITIONS:
        controller_answer_partitions(call->request.create_partitions,
                                     call->response.create_partitions, err, call->arena);
        return;
    case CONTROLLER_ALTER_REASSIGNMENTS:
        alter_partition_reassignments_response_default(call->response.alter_reassignments);
        call->response.alter_reassignments->error_code = (int16_t)err;
        return;
    case CONTROLLER_LIST_REASSIGNMENTS:
        list_partition_reassignments_response_default(call->response.list_reassignments);
        call->response.list_reassignments->error_code = (int16_t)err;
        return;
    case CONTROLLER_UNREGISTER_BROKER:
        unregister_broker_response_default(call->response.unregister_broker);
        call->response.unregister_broker->error_code = (int16_t)err;
        return;
    case CONTROLLER_ELECT_LEADERS:
        controller_answer_elect(call->request.elect_leaders, call->response.elect_leaders, err,
                                call->version, call->arena);
        return;
    case CONTROLLER_UPDATE_FEATURES:
        update_features_response_default(call->response.update_features);
        call->response.update_features->error_code = (int16_t)err;
        call->response.update_features->error_message = STR_NULL;
        return;
    case CONTROLLER_CONTROLLER_REGISTRATION:
        controller_registration_response_default(call->response.controller_registration);
        call->response.controller_registration->error_code = (int16_t)err;
        call->response.controller_registration->error_message = STR_NULL;
        return;
    case CONTROLLER_ALLOCATE_PRODUCER_IDS:
        allocate_producer_ids_response_default(call->response.allocate_producer_ids);
        call->response.allocate_producer_ids->error_code = (int16_t)err;
        return;
    }
    IMPOSSIBLE("api");
}
