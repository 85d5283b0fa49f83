/* Requests that the active controller decides: registration, heartbeat, topics, AlterPartition,
 * producer ids. One op for all: hand the decoded request to the controller, wait until what it
 * decided is committed, answer. A controller that is not active answers NOT_CONTROLLER in the
 * response of the api. */
#include "broker/api/api.h"
#include "broker/node.h"

enum decide_step { DECIDE_START, DECIDE_FINISHED };
static const char *const decide_steps[] = {"START", "FINISHED"};

struct decide {
    struct op op;
    struct request *request;
    struct controller_call call;
    const void *response;
    union {
        struct broker_registration_request broker_registration;
        struct broker_heartbeat_request broker_heartbeat;
        struct create_topics_request create_topics;
        struct delete_topics_request delete_topics;
        struct alter_partition_request alter_partition;
        struct assign_replicas_to_dirs_request assign_dirs;
        struct allocate_producer_ids_request allocate_producer_ids;
        struct incremental_alter_configs_request incremental_alter_configs;
        struct alter_configs_request alter_configs;
        struct create_partitions_request create_partitions;
        struct alter_partition_reassignments_request alter_reassignments;
        struct list_partition_reassignments_request list_reassignments;
        struct unregister_broker_request unregister_broker;
        struct elect_leaders_request elect_leaders;
        struct update_features_request update_features;
        struct controller_registration_request controller_registration;
    } body;
    union {
        struct broker_registration_response broker_registration;
        struct broker_heartbeat_response broker_heartbeat;
        struct create_topics_response create_topics;
        struct delete_topics_response delete_topics;
        struct alter_partition_response alter_partition;
        struct assign_replicas_to_dirs_response assign_dirs;
        struct allocate_producer_ids_response allocate_producer_ids;
        struct incremental_alter_configs_response incremental_alter_configs;
        struct alter_configs_response alter_configs;
        struct create_partitions_response create_partitions;
        struct alter_partition_reassignments_response alter_reassignments;
        struct list_partition_reassignments_response list_reassignments;
        struct unregister_broker_response unregister_broker;
        struct elect_leaders_response elect_leaders;
        struct update_features_response update_features;
        struct controller_registration_response controller_registration;
    } answer;
};

static enum op_result decide_run(struct op *op)
{
    struct decide *o = CONTAINER_OF(op, struct decide, op);

    switch ((enum decide_step)op->step) {
    case DECIDE_START:
        controller_submit(&o->request->node->controller, &o->call);
        AWAIT(o, DECIDE_FINISHED, &o->call.done, o->call.finished);
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a decision");
}

static void decide_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct decide, op)->request);
}

static const struct op_kind decide_kind = {"decide", decide_steps, COUNT_OF(decide_steps),
                                           decide_run, decide_finish};

/* The union's members all begin at its address, so one pointer serves every api. */
static bool decide_fill(struct decide *o, int16_t key)
{
    struct controller_call *call = &o->call;

    switch ((enum api_key)key) {
    case API_BROKER_REGISTRATION:
        call->api = CONTROLLER_BROKER_REGISTRATION;
        call->request.broker_registration = &o->body.broker_registration;
        call->response.broker_registration = &o->answer.broker_registration;
        return true;
    case API_BROKER_HEARTBEAT:
        call->api = CONTROLLER_BROKER_HEARTBEAT;
        call->request.broker_heartbeat = &o->body.broker_heartbeat;
        call->response.broker_heartbeat = &o->answer.broker_heartbeat;
        return true;
    case API_CREATE_TOPICS:
        call->api = CONTROLLER_CREATE_TOPICS;
        call->request.create_topics = &o->body.create_topics;
        call->response.create_topics = &o->answer.create_topics;
        call->deadline_ns = env_deadline(o->request->env, o->body.create_topics.timeout_ms);
        return true;
    case API_DELETE_TOPICS:
        call->api = CONTROLLER_DELETE_TOPICS;
        call->request.delete_topics = &o->body.delete_topics;
        call->response.delete_topics = &o->answer.delete_topics;
        call->deadline_ns = env_deadline(o->request->env, o->body.delete_topics.timeout_ms);
        return true;
    case API_ALTER_PARTITION:
        call->api = CONTROLLER_ALTER_PARTITION;
        call->request.alter_partition = &o->body.alter_partition;
        call->response.alter_partition = &o->answer.alter_partition;
        return true;
    case API_ASSIGN_REPLICAS_TO_DIRS:
        call->api = CONTROLLER_ASSIGN_DIRS;
        call->request.assign_dirs = &o->body.assign_dirs;
        call->response.assign_dirs = &o->answer.assign_dirs;
        return true;
    case API_ALLOCATE_PRODUCER_IDS:
        call->api = CONTROLLER_ALLOCATE_PRODUCER_IDS;
        call->request.allocate_producer_ids = &o->body.allocate_producer_ids;
        call->response.allocate_producer_ids = &o->answer.allocate_producer_ids;
        return true;
    case API_INCREMENTAL_ALTER_CONFIGS:
        call->api = CONTROLLER_INCREMENTAL_ALTER_CONFIGS;
        call->request.incremental_alter_configs = &o->body.incremental_alter_configs;
        call->response.incremental_alter_configs = &o->answer.incremental_alter_configs;
        return true;
    case API_ALTER_CONFIGS:
        call->api = CONTROLLER_ALTER_CONFIGS;
        call->request.alter_configs = &o->body.alter_configs;
        call->response.alter_configs = &o->answer.alter_configs;
        return true;
    case API_CREATE_PARTITIONS:
        call->api = CONTROLLER_CREATE_PARTITIONS;
        call->request.create_partitions = &o->body.create_partitions;
        call->response.create_partitions = &o->answer.create_partitions;
        call->deadline_ns = env_deadline(o->request->env, o->body.create_partitions.timeout_ms);
        return true;
    case API_ALTER_PARTITION_REASSIGNMENTS:
        call->api = CONTROLLER_ALTER_REASSIGNMENTS;
        call->request.alter_reassignments = &o->body.alter_reassignments;
        call->response.alter_reassignments = &o->answer.alter_reassignments;
        call->deadline_ns = env_deadline(o->request->env, o->body.alter_reassignments.timeout_ms);
        return true;
    case API_LIST_PARTITION_REASSIGNMENTS:
        call->api = CONTROLLER_LIST_REASSIGNMENTS;
        call->request.list_reassignments = &o->body.list_reassignments;
        call->response.list_reassignments = &o->answer.list_reassignments;
        call->deadline_ns = env_deadline(o->request->env, o->body.list_reassignments.timeout_ms);
        return true;
    case API_UNREGISTER_BROKER:
        call->api = CONTROLLER_UNREGISTER_BROKER;
        call->request.unregister_broker = &o->body.unregister_broker;
        call->response.unregister_broker = &o->answer.unregister_broker;
        return true;
    case API_ELECT_LEADERS:
        call->api = CONTROLLER_ELECT_LEADERS;
        call->request.elect_leaders = &o->body.elect_leaders;
        call->response.elect_leaders = &o->answer.elect_leaders;
        call->deadline_ns = env_deadline(o->request->env, o->body.elect_leaders.timeout_ms);
        return true;
    case API_UPDATE_FEATURES:
        call->api = CONTROLLER_UPDATE_FEATURES;
        call->request.update_features = &o->body.update_features;
        call->response.update_features = &o->answer.update_features;
        call->deadline_ns = env_deadline(o->request->env, o->body.update_features.timeout_ms);
        return true;
    case API_CONTROLLER_REGISTRATION:
        call->api = CONTROLLER_CONTROLLER_REGISTRATION;
        call->request.controller_registration = &o->body.controller_registration;
        call->response.controller_registration = &o->answer.controller_registration;
        return true;
    case API_DELETE_RECORDS:
    case API_WRITE_TXN_MARKERS:
    case API_DESCRIBE_LOG_DIRS:
    case API_PRODUCE:
    case API_FETCH:
    case API_LIST_OFFSETS:
    case API_METADATA:
    case API_FIND_COORDINATOR:
    case API_OFFSET_COMMIT:
    case API_OFFSET_FETCH:
    case API_JOIN_GROUP:
    case API_HEARTBEAT:
    case API_LEAVE_GROUP:
    case API_SYNC_GROUP:
    case API_DESCRIBE_GROUPS:
    case API_LIST_GROUPS:
    case API_DELETE_GROUPS:
    case API_OFFSET_DELETE:
    case API_CONSUMER_GROUP_HEARTBEAT:
    case API_CONSUMER_GROUP_DESCRIBE:
    case API_API_VERSIONS:
    case API_INIT_PRODUCER_ID:
    case API_OFFSET_FOR_LEADER_EPOCH:
    case API_DESCRIBE_CONFIGS:
    case API_VOTE:
    case API_BEGIN_QUORUM_EPOCH:
    case API_END_QUORUM_EPOCH:
    case API_DESCRIBE_QUORUM:
    case API_ENVELOPE:
    case API_FETCH_SNAPSHOT:
    case API_ADD_RAFT_VOTER:
    case API_REMOVE_RAFT_VOTER:
    case API_UPDATE_RAFT_VOTER:
    case API_DESCRIBE_CLUSTER:
    case API_DESCRIBE_TOPIC_PARTITIONS: return false;
    }
    return false;
}

void api_decide_handle(struct request *request)
{
    struct decide *o = request_alloc(request, sizeof *o);
    bool known;

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    o->call.deadline_ns = OP_NO_DEADLINE;
    known = decide_fill(o, request->header.request_api_key);
    ASSERT(known); /* api.c names this handler for these apis only */
    o->call.version = request->version;
    o->call.arena = &request->arena;
    op_start(&request->env->loop, &o->op, &decide_kind, DECIDE_START);
}
