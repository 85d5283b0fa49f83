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
    case CONTROLLER_ALLOCATE_PRODUCER_IDS:
        allocate_producer_ids_response_default(call->response.allocate_producer_ids);
        call->response.allocate_producer_ids->error_code = (int16_t)err;
        return;
    }
    IMPOSSIBLE("api");
}
