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

/* api, the controller's word for it, its bodies; TIMED: the request says how long it may take. */
#define DECIDE_LIST(X, TIMED)                                                          \
    X(BROKER_REGISTRATION, BROKER_REGISTRATION, broker_registration)                   \
    X(BROKER_HEARTBEAT, BROKER_HEARTBEAT, broker_heartbeat)                            \
    TIMED(CREATE_TOPICS, CREATE_TOPICS, create_topics)                                 \
    TIMED(DELETE_TOPICS, DELETE_TOPICS, delete_topics)                                 \
    X(ALTER_PARTITION, ALTER_PARTITION, alter_partition)                               \
    X(ASSIGN_REPLICAS_TO_DIRS, ASSIGN_DIRS, assign_dirs)                               \
    X(ALLOCATE_PRODUCER_IDS, ALLOCATE_PRODUCER_IDS, allocate_producer_ids)             \
    X(INCREMENTAL_ALTER_CONFIGS, INCREMENTAL_ALTER_CONFIGS, incremental_alter_configs) \
    X(ALTER_CONFIGS, ALTER_CONFIGS, alter_configs)                                     \
    TIMED(CREATE_PARTITIONS, CREATE_PARTITIONS, create_partitions)                     \
    TIMED(ALTER_PARTITION_REASSIGNMENTS, ALTER_REASSIGNMENTS, alter_reassignments)     \
    TIMED(LIST_PARTITION_REASSIGNMENTS, LIST_REASSIGNMENTS, list_reassignments)        \
    X(UNREGISTER_BROKER, UNREGISTER_BROKER, unregister_broker)                         \
    TIMED(ELECT_LEADERS, ELECT_LEADERS, elect_leaders)                                 \
    TIMED(UPDATE_FEATURES, UPDATE_FEATURES, update_features)                           \
    X(CONTROLLER_REGISTRATION, CONTROLLER_REGISTRATION, controller_registration)

#define DECIDE_CASE(key, word, body_of)              \
    case API_##key:                                  \
        call->api = CONTROLLER_##word;               \
        call->request.body_of = &o->body.body_of;    \
        call->response.body_of = &o->answer.body_of; \
        return true;
#define DECIDE_CASE_TIMED(key, word, body_of)                                          \
    case API_##key:                                                                    \
        call->api = CONTROLLER_##word;                                                 \
        call->request.body_of = &o->body.body_of;                                      \
        call->response.body_of = &o->answer.body_of;                                   \
        call->deadline_ns = env_deadline(o->request->env, o->body.body_of.timeout_ms); \
        return true;

/* The union's members all begin at its address, so one pointer serves every api. */
static bool decide_fill(struct decide *o, int16_t key)
{
    struct controller_call *call = &o->call;

    switch ((enum api_key)key) {
        DECIDE_LIST(DECIDE_CASE, DECIDE_CASE_TIMED)
    case API_DELETE_RECORDS:
    case API_WRITE_TXN_MARKERS:
    case API_ALTER_REPLICA_LOG_DIRS:
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
