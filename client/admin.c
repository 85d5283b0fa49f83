#include "client/admin.h"

#include <string.h>

enum admin_step { ADMIN_START, ADMIN_KNOWN, ADMIN_ANSWERED, ADMIN_BACKED_OFF, ADMIN_STEP_COUNT };
static const char *const admin_steps[ADMIN_STEP_COUNT] = {
    [ADMIN_START] = "START",
    [ADMIN_KNOWN] = "KNOWN",
    [ADMIN_ANSWERED] = "ANSWERED",
    [ADMIN_BACKED_OFF] = "BACKED_OFF",
};
enum {
    ADMIN_FIND_TO = 3,
    ADMIN_FETCH_TO = 7,
    ADMIN_COMMIT_TO = 8,
    ADMIN_STATES_FROM = 4,
    ADMIN_FEATURES_FROM = 3
};
static enum op_result admin_run(struct op *op);
static const struct op_kind admin_kind = {"admin", admin_steps, ADMIN_STEP_COUNT, admin_run, NULL};

/* ---- asking --------------------------------------------------------------------------------- */

/* Anybody may answer these. */
static bool admin_by_anybody(int16_t api)
{
    return api == API_METADATA || api == API_DESCRIBE_CONFIGS || api == API_DESCRIBE_LOG_DIRS ||
           api == API_DESCRIBE_QUORUM || api == API_API_VERSIONS || api == API_FIND_COORDINATOR ||
           api == API_LIST_GROUPS;
}

static struct peer *admin_target(struct admin_task *task)
{
    struct metadata *metadata = &task->admin->metadata;
    struct peer *peer = NULL;

    if (task->node >= 0) return metadata_peer(metadata, task->node);
    if (!admin_by_anybody(task->api)) peer = metadata_peer(metadata, metadata->controller_id);
    if (peer == NULL || !peer_usable(peer)) peer = metadata_any(metadata);
    return peer;
}

/* From version 6 on a topic to delete is an entry, before it is a name. */
static enum err admin_encode_delete(struct call *call, int16_t version, struct wire_writer *writer)
{
    enum { BY_ENTRY_FROM = 6 };
    struct admin_task *task = CONTAINER_OF(call, struct admin_task, call);
    struct delete_topics_request request = task->request.delete_topics;

    if (version >= BY_ENTRY_FROM) {
        arena_reset(&task->arena);
        request.topics =
            arena_zalloc(&task->arena, request.topic_names_count * sizeof *request.topics);
        if (request.topics == NULL) return ERR_NO_MEMORY;
        for (uint32_t i = 0; i < request.topic_names_count; i++)
            request.topics[i].name = request.topic_names[i];
        request.topics_count = request.topic_names_count;
    }
    return delete_topics_request_encode(writer, version, &request);
}

static void admin_ask(struct admin_task *task)
{
    struct peer *peer = admin_target(task);
    int64_t left_ms = (task->deadline_ns - task->admin->metadata.env->now.mono.ns) / NS_PER_MS;
    int32_t usual_ms = task->admin->metadata.config.peer.request_timeout_ms;

    task->attempts++;
    call_init(&task->call, task->api);
    task->call.body = &task->request;
    task->call.timeout_ms = left_ms > 0 && left_ms < usual_ms ? (int32_t)left_ms : usual_ms;
    if (task->api == API_METADATA) task->call.version_min = 1;
    if (task->api == API_API_VERSIONS) task->call.version_min = ADMIN_FEATURES_FROM;
    if (task->api == API_UPDATE_FEATURES) task->call.version_min = 1;
    if (task->api == API_DELETE_TOPICS) task->call.encode = admin_encode_delete;
    /* One group, one coordinator: the newer forms say the same of many. */
    if (task->api == API_FIND_COORDINATOR) task->call.version_max = ADMIN_FIND_TO;
    if (task->api == API_OFFSET_FETCH) task->call.version_max = ADMIN_FETCH_TO;
    if (task->api == API_OFFSET_COMMIT) task->call.version_max = ADMIN_COMMIT_TO;
    if (task->api == API_LIST_GROUPS && task->request.list_groups.states_filter_count > 0)
        task->call.version_min = ADMIN_STATES_FROM;
    if (peer != NULL) {
        peer_call(peer, &task->call);
    } else {
        task->call.finished = true;
        task->call.result = ERR_BROKER_NOT_AVAILABLE;
    }
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void admin_note(struct admin_task *task, enum err *first, int16_t code, struct str message)
{
    enum err err = err_from_wire(code);
    uint32_t length = message.length < ADMIN_MESSAGE_MAX ? message.length : ADMIN_MESSAGE_MAX;

    if (err == ERR_NONE || *first != ERR_NONE) return;
    *first = err;
    if (message.data == NULL) length = 0;
    if (length > 0) memcpy(task->message, message.data, length);
    task->message[length] = 0;
}

static void admin_offsets_error(struct admin_task *task, enum err *first)
{
    if (task->api == API_OFFSET_FETCH) {
        const struct offset_fetch_response *response = &task->response.offset_fetch;

        admin_note(task, first, response->error_code, STR_NULL);
        for (uint32_t t = 0; t < response->topics_count; t++)
            for (uint32_t p = 0; p < response->topics[t].partitions_count; p++)
                admin_note(task, first, response->topics[t].partitions[p].error_code, STR_NULL);
    } else if (task->api == API_OFFSET_COMMIT) {
        const struct offset_commit_response *response = &task->response.offset_commit;

        for (uint32_t t = 0; t < response->topics_count; t++)
            for (uint32_t p = 0; p < response->topics[t].partitions_count; p++)
                admin_note(task, first, response->topics[t].partitions[p].error_code, STR_NULL);
    } else {
        const struct list_offsets_response *response = &task->response.list_offsets;

        for (uint32_t t = 0; t < response->topics_count; t++)
            for (uint32_t p = 0; p < response->topics[t].partitions_count; p++)
                admin_note(task, first, response->topics[t].partitions[p].error_code, STR_NULL);
    }
}

static void admin_records_error(struct admin_task *task, enum err *first)
{
    const struct delete_records_response *response = &task->response.delete_records;

    for (uint32_t t = 0; t < response->topics_count; t++)
        for (uint32_t p = 0; p < response->topics[t].partitions_count; p++)
            admin_note(task, first, response->topics[t].partitions[p].error_code, STR_NULL);
}

static void admin_log_dirs_error(struct admin_task *task, enum err *first)
{
    const struct alter_replica_log_dirs_response *response = &task->response.alter_log_dirs;

    for (uint32_t t = 0; t < response->results_count; t++)
        for (uint32_t p = 0; p < response->results[t].partitions_count; p++)
            admin_note(task, first, response->results[t].partitions[p].error_code, STR_NULL);
}

/* The error of an answer as a whole, and those of its rows; CODE: without a message. */
#define ADMIN_WHOLE_CODE(of) admin_note(task, &first, task->response.of.error_code, STR_NULL)
#define ADMIN_WHOLE(of) \
    admin_note(task, &first, task->response.of.error_code, task->response.of.error_message)
#define ADMIN_EACH_CODE(of, rows)                                 \
    for (uint32_t i = 0; i < task->response.of.rows##_count; i++) \
    admin_note(task, &first, task->response.of.rows[i].error_code, STR_NULL)
#define ADMIN_EACH(of, rows)                                       \
    for (uint32_t i = 0; i < task->response.of.rows##_count; i++)  \
    admin_note(task, &first, task->response.of.rows[i].error_code, \
               task->response.of.rows[i].error_message)

/* What an answer says went wrong, the first of it. */
static enum err admin_first_error(struct admin_task *task)
{
    enum err first = ERR_NONE;

    switch (task->api) {
    case API_METADATA: ADMIN_EACH_CODE(metadata, topics); break;
    case API_CREATE_TOPICS: ADMIN_EACH(create_topics, topics); break;
    case API_DELETE_TOPICS: ADMIN_EACH(delete_topics, responses); break;
    case API_DELETE_RECORDS: admin_records_error(task, &first); break;
    case API_ALTER_REPLICA_LOG_DIRS: admin_log_dirs_error(task, &first); break;
    case API_DESCRIBE_CONFIGS: ADMIN_EACH(describe_configs, results); break;
    case API_INCREMENTAL_ALTER_CONFIGS: ADMIN_EACH(incremental_alter_configs, responses); break;
    case API_CREATE_PARTITIONS: ADMIN_EACH(create_partitions, results); break;
    /* Of these two the caller looks at the partitions, which are told one by one. */
    case API_ELECT_LEADERS: ADMIN_WHOLE_CODE(elect_leaders); break;
    case API_ALTER_PARTITION_REASSIGNMENTS: ADMIN_WHOLE(alter_reassignments); break;
    case API_LIST_PARTITION_REASSIGNMENTS: ADMIN_WHOLE(list_reassignments); break;
    case API_UNREGISTER_BROKER: ADMIN_WHOLE(unregister_broker); break;
    case API_DESCRIBE_QUORUM: ADMIN_WHOLE(describe_quorum); break;
    case API_DESCRIBE_LOG_DIRS:
        ADMIN_WHOLE_CODE(describe_log_dirs);
        ADMIN_EACH_CODE(describe_log_dirs, results);
        break;
    case API_LIST_GROUPS: ADMIN_WHOLE_CODE(list_groups); break;
    case API_DESCRIBE_GROUPS: ADMIN_EACH(describe_groups, groups); break;
    case API_CONSUMER_GROUP_DESCRIBE: ADMIN_EACH(consumer_group_describe, groups); break;
    case API_DELETE_GROUPS: ADMIN_EACH_CODE(delete_groups, results); break;
    case API_FIND_COORDINATOR: ADMIN_WHOLE(find_coordinator); break;
    case API_ADD_RAFT_VOTER: ADMIN_WHOLE(add_raft_voter); break;
    case API_REMOVE_RAFT_VOTER: ADMIN_WHOLE(remove_raft_voter); break;
    case API_API_VERSIONS: ADMIN_WHOLE_CODE(api_versions); break;
    case API_UPDATE_FEATURES:
        ADMIN_WHOLE(update_features);
        ADMIN_EACH(update_features, results);
        break;
    case API_OFFSET_FETCH:
    case API_OFFSET_COMMIT:
    case API_LIST_OFFSETS: admin_offsets_error(task, &first); break;
    default: IMPOSSIBLE("api");
    }
    return first;
}

static enum err admin_decode(struct admin_task *task)
{
    struct call *call = &task->call;
    enum err err = api_find(task->api)->response->decode(&call->reader, call->version, &task->arena,
                                                         &task->response);

    if (err != ERR_NONE) return err;
    task->answered = true;
    return admin_first_error(task);
}

/* True: try again after a while. */
static bool admin_answered(struct admin_task *task)
{
    struct metadata *metadata = &task->admin->metadata;
    bool again;

    arena_reset(&task->arena);
    task->answered = false;
    task->result = task->call.result == ERR_NONE ? admin_decode(task) : task->call.result;
    if (task->result == ERR_NONE) return false;
    if (!err_is_wire(task->result) && task->call.sent) task->unclear = true;
    TRACE(metadata->env->world, CLIENT_ERROR, task->api, task->result, 0, -1);
    if (err_is_wire(task->result)) {
        again = err_retry(task->result) != ERR_FINAL;
        /* A topic that is not there is an answer, not something to wait for. */
        if (task->result == ERR_UNKNOWN_TOPIC_OR_PARTITION) again = false;
        /* Nor is a node that is not the right one any more: the caller finds the other. */
        if (task->node >= 0 &&
            (task->result == ERR_NOT_COORDINATOR || task->result == ERR_NOT_LEADER_OR_FOLLOWER))
            again = false;
        if (task->result == ERR_BROKER_NOT_AVAILABLE && !task->answered) again = true;
    } else {
        again = task->result != ERR_UNSUPPORTED_VERSION && task->result != ERR_MALFORMED &&
                !metadata->closing;
    }
    if (again) metadata_refresh(metadata);
    return again && metadata->env->now.mono.ns < task->deadline_ns;
}

/* ---- the op --------------------------------------------------------------------------------- */

static int64_t admin_retry_ns(struct admin_task *task)
{
    struct metadata *metadata = &task->admin->metadata;
    int64_t backoff_ms = metadata_backoff_ms(metadata, task->attempts);
    int64_t at_ns = env_deadline(metadata->env, backoff_ms);

    return at_ns < task->deadline_ns ? at_ns : task->deadline_ns;
}

/* The cluster was not found in time. */
static void admin_unknown(struct admin_task *task)
{
    const struct metadata *metadata = &task->admin->metadata;

    task->result = metadata->last_error != ERR_NONE ? metadata->last_error : ERR_TIMED_OUT;
}

static enum op_result admin_run(struct op *op)
{
    struct admin_task *o = CONTAINER_OF(op, struct admin_task, op);

    switch ((enum admin_step)op->step) {
    case ADMIN_START:
        for (;;) {
            /* Bootstrap connections go when the nodes are known, and calls with them. */
            op_deadline(op, o->deadline_ns);
            AWAIT(o, ADMIN_KNOWN, &o->admin->metadata.changed,
                  o->admin->metadata.bootstrapped || o->admin->metadata.closing || op_expired(op));
            if (!o->admin->metadata.bootstrapped) {
                admin_unknown(o);
                break;
            }
            admin_ask(o);
            AWAIT(o, ADMIN_ANSWERED, &o->call.done, call_done(&o->call));
            if (!admin_answered(o)) break;
            call_release(&o->call);
            op_deadline(op, admin_retry_ns(o));
            AWAIT(o, ADMIN_BACKED_OFF, NULL, op_expired(op));
        }
        TRACE_TEXT(o->admin->metadata.env->world, CLIENT_ADMIN, str_of(o->message), o->api,
                   o->result);
        o->finished = true;
        o->admin->tasks--;
        op_wake(&o->done);
        return OP_DONE;
    case ADMIN_STEP_COUNT: break;
    }
    IMPOSSIBLE("step");
}

/* ---- life ----------------------------------------------------------------------------------- */

enum err admin_init(struct admin *admin, struct env *env, const struct metadata_config *config)
{
    *admin = (struct admin){0};
    return metadata_init(&admin->metadata, env, config);
}

void admin_deinit(struct admin *admin)
{
    ASSERT(admin->tasks == 0);
    metadata_deinit(&admin->metadata);
}

void admin_task_init(struct admin_task *task, int16_t api)
{
    memset(task, 0, sizeof *task);
    task->api = api;
    task->node = -1;
    task->timeout_ms = 60000;
    op_source_init(&task->done);
    call_init(&task->call, api);
    switch (api) {
    case API_METADATA:
        metadata_request_default(&task->request.metadata);
        task->request.metadata.topics_null = true; /* all */
        task->request.metadata.allow_auto_topic_creation = false;
        return;
    case API_ADD_RAFT_VOTER: add_raft_voter_request_default(&task->request.add_raft_voter); return;
    case API_REMOVE_RAFT_VOTER:
        remove_raft_voter_request_default(&task->request.remove_raft_voter);
        return;
    case API_UPDATE_FEATURES:
        update_features_request_default(&task->request.update_features);
        return;
    case API_API_VERSIONS:
        api_versions_request_default(&task->request.api_versions);
        task->request.api_versions.client_software_name = STR("gregor");
        task->request.api_versions.client_software_version = STR("1");
        return;
    case API_CREATE_TOPICS: create_topics_request_default(&task->request.create_topics); return;
    case API_DELETE_TOPICS: delete_topics_request_default(&task->request.delete_topics); return;
    case API_DELETE_RECORDS: delete_records_request_default(&task->request.delete_records); return;
    case API_DESCRIBE_CONFIGS:
        describe_configs_request_default(&task->request.describe_configs);
        return;
    case API_INCREMENTAL_ALTER_CONFIGS:
        incremental_alter_configs_request_default(&task->request.incremental_alter_configs);
        return;
    case API_CREATE_PARTITIONS:
        create_partitions_request_default(&task->request.create_partitions);
        return;
    case API_ELECT_LEADERS: elect_leaders_request_default(&task->request.elect_leaders); return;
    case API_ALTER_PARTITION_REASSIGNMENTS:
        alter_partition_reassignments_request_default(&task->request.alter_reassignments);
        return;
    case API_LIST_PARTITION_REASSIGNMENTS:
        list_partition_reassignments_request_default(&task->request.list_reassignments);
        return;
    case API_UNREGISTER_BROKER:
        unregister_broker_request_default(&task->request.unregister_broker);
        return;
    case API_DESCRIBE_QUORUM:
        describe_quorum_request_default(&task->request.describe_quorum);
        return;
    case API_ALTER_REPLICA_LOG_DIRS:
        alter_replica_log_dirs_request_default(&task->request.alter_log_dirs);
        return;
    case API_DESCRIBE_LOG_DIRS:
        describe_log_dirs_request_default(&task->request.describe_log_dirs);
        task->request.describe_log_dirs.topics_null = true; /* all */
        return;
    case API_LIST_GROUPS: list_groups_request_default(&task->request.list_groups); return;
    case API_DESCRIBE_GROUPS:
        describe_groups_request_default(&task->request.describe_groups);
        return;
    case API_CONSUMER_GROUP_DESCRIBE:
        consumer_group_describe_request_default(&task->request.consumer_group_describe);
        return;
    case API_DELETE_GROUPS: delete_groups_request_default(&task->request.delete_groups); return;
    case API_FIND_COORDINATOR:
        find_coordinator_request_default(&task->request.find_coordinator);
        return;
    case API_OFFSET_FETCH: offset_fetch_request_default(&task->request.offset_fetch); return;
    case API_OFFSET_COMMIT: offset_commit_request_default(&task->request.offset_commit); return;
    case API_LIST_OFFSETS:
        list_offsets_request_default(&task->request.list_offsets);
        task->request.list_offsets.replica_id = -1;
        return;
    default: IMPOSSIBLE("no admin request");
    }
}

void admin_start(struct admin *admin, struct admin_task *task)
{
    struct env *env = admin->metadata.env;

    task->admin = admin;
    admin->tasks++;
    arena_init(&task->arena, &env->mem, ADMIN_ARENA_MAX);
    task->deadline_ns = env_deadline(env, task->timeout_ms);
    op_start(&env->loop, &task->op, &admin_kind, ADMIN_START);
}

void admin_task_release(struct admin_task *task)
{
    ASSERT(task->finished);
    call_release(&task->call);
    arena_deinit(&task->arena);
}
