/* The operator: jobs of steps, asked for with the real admin client, one after the other. */
#include "sim/workload_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- requests -------------------------------------------------------------------------------- */

void workload_operator_create(struct workload_node *node, uint32_t index)
{
    const struct cluster *cluster = node->client->workload->cluster;
    const struct scenario_topic *topic = &cluster->scenario->topics[index];
    uint32_t partitions = cluster->partitions[index];

    admin_task_init(&node->task, API_CREATE_TOPICS);
    node->task.timeout_ms = CLIENT_ADMIN_TIMEOUT_MS;
    create_topics_request_topic_default(&node->request);
    node->request.name = str_of(topic->name);
    node->request.num_partitions = (int32_t)partitions;
    node->request.replication_factor = (int16_t)cluster->replicas[index];
    if (topic->assignment_count > 0) {
        for (uint32_t i = 0; i < partitions; i++) {
            create_topics_request_assignment_default(&node->assignments[i]);
            node->assignments[i].partition_index = (int32_t)i;
            node->assignments[i].broker_ids = (int32_t *)(uintptr_t)topic->assignment;
            node->assignments[i].broker_ids_count = topic->assignment_count;
        }
        node->request.num_partitions = -1;
        node->request.replication_factor = -1;
        node->request.assignments = node->assignments;
        node->request.assignments_count = partitions;
    }
    for (uint32_t i = 0; i < topic->config_count; i++) {
        node->configs[i].name = str_of(topic->configs[i].key);
        node->configs[i].value = str_of(topic->configs[i].value);
    }
    node->request.configs = node->configs;
    node->request.configs_count = topic->config_count;
    node->task.request.create_topics.topics = &node->request;
    node->task.request.create_topics.topics_count = 1;
    node->task.request.create_topics.timeout_ms = CLIENT_ADMIN_TIMEOUT_MS;
}

static void operator_delete(struct workload_node *node)
{
    admin_task_init(&node->task, API_DELETE_TOPICS);
    node->task.request.delete_topics.topic_names = &node->topic_name;
    node->task.request.delete_topics.topic_names_count = 1;
    node->task.request.delete_topics.timeout_ms = CLIENT_ADMIN_TIMEOUT_MS;
}

static void operator_add_partitions(struct workload_node *node)
{
    admin_task_init(&node->task, API_CREATE_PARTITIONS);
    create_partitions_request_topic_default(&node->more);
    node->more.name = node->topic_name;
    node->more.count = (int32_t)node->job->number;
    node->more.assignments_null = true;
    node->task.request.create_partitions.topics = &node->more;
    node->task.request.create_partitions.topics_count = 1;
    node->task.request.create_partitions.timeout_ms = CLIENT_ADMIN_TIMEOUT_MS;
}

static void operator_elect(struct workload_node *node)
{
    const struct scenario_value *how = scenario_arg(node->job->action, "how");

    admin_task_init(&node->task, API_ELECT_LEADERS);
    elect_leaders_request_topic_default(&node->elect);
    node->elect.topic = node->topic_name;
    node->elect.partitions = &node->partition;
    node->elect.partitions_count = 1;
    node->task.request.elect_leaders.election_type = how != NULL && how->choice == 1;
    node->task.request.elect_leaders.topic_partitions = &node->elect;
    node->task.request.elect_leaders.topic_partitions_count = 1;
    node->task.request.elect_leaders.timeout_ms = CLIENT_ADMIN_TIMEOUT_MS;
}

/* Without brokers: back to what it was. */
static void operator_reassign(struct workload_node *node)
{
    admin_task_init(&node->task, API_ALTER_PARTITION_REASSIGNMENTS);
    alter_partition_reassignments_request_partition_default(&node->reassigned);
    node->reassigned.partition_index = node->partition;
    node->reassigned.replicas = node->job->ids;
    node->reassigned.replicas_count = node->job->ids_count;
    node->reassigned.replicas_null = node->job->action->kind == ACTION_CANCEL_REASSIGN;
    alter_partition_reassignments_request_topic_default(&node->reassigned_of);
    node->reassigned_of.name = node->topic_name;
    node->reassigned_of.partitions = &node->reassigned;
    node->reassigned_of.partitions_count = 1;
    node->task.request.alter_reassignments.topics = &node->reassigned_of;
    node->task.request.alter_reassignments.topics_count = 1;
    node->task.request.alter_reassignments.timeout_ms = CLIENT_ADMIN_TIMEOUT_MS;
}

static void operator_unregister(struct workload_node *node)
{
    admin_task_init(&node->task, API_UNREGISTER_BROKER);
    node->task.request.unregister_broker.broker_id =
        node->job->ids_count > 0 ? node->job->ids[0] : -1;
}

static void operator_delete_records(struct workload_node *node)
{
    admin_task_init(&node->task, API_DELETE_RECORDS);
    delete_records_request_partition_default(&node->records_at);
    node->records_at.partition_index = node->partition;
    node->records_at.offset = node->job->before;
    delete_records_request_topic_default(&node->records_of);
    node->records_of.name = node->topic_name;
    node->records_of.partitions = &node->records_at;
    node->records_of.partitions_count = 1;
    node->task.node = node->job->node;
    node->task.request.delete_records.topics = &node->records_of;
    node->task.request.delete_records.topics_count = 1;
    node->task.request.delete_records.timeout_ms = CLIENT_ADMIN_TIMEOUT_MS;
}

static void operator_move_dir(struct workload_node *node)
{
    admin_task_init(&node->task, API_ALTER_REPLICA_LOG_DIRS);
    alter_replica_log_dirs_request_topic_default(&node->moved);
    node->moved.name = node->topic_name;
    node->moved.partitions = &node->partition;
    node->moved.partitions_count = 1;
    alter_replica_log_dirs_request_dir_default(&node->moved_to);
    node->moved_to.path = str_of(scenario_arg(node->job->action, "to")->text);
    node->moved_to.topics = &node->moved;
    node->moved_to.topics_count = 1;
    node->task.node = node->job->node;
    node->task.request.alter_log_dirs.dirs = &node->moved_to;
    node->task.request.alter_log_dirs.dirs_count = 1;
}

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

static void operator_config(struct workload_node *node)
{
    const struct scenario_value *scope = scenario_arg(node->job->action, "scope");
    const struct scenario_value *set = scenario_arg(node->job->action, "set");

    admin_task_init(&node->task, API_INCREMENTAL_ALTER_CONFIGS);
    incremental_alter_configs_request_resource_default(&node->resource);
    node->resource.resource_type = scope->topic >= 0 ? RESOURCE_TOPIC : RESOURCE_BROKER;
    if (scope->topic < 0 && scope->partition > 0) {
        (void)snprintf(node->broker, sizeof node->broker, "%d", (int)scope->partition);
    } else {
        node->broker[0] = '\0'; /* the default of all brokers */
    }
    node->resource.resource_name = scope->topic >= 0 ? node->topic_name : str_of(node->broker);
    for (uint32_t i = 0; i < set->config_count; i++) {
        incremental_alter_configs_request_config_default(&node->alter[i]);
        node->alter[i].name = str_of(set->configs[i].key);
        node->alter[i].value = str_of(set->configs[i].value);
    }
    node->resource.configs = node->alter;
    node->resource.configs_count = set->config_count;
    node->task.node = node->job->node;
    node->task.request.incremental_alter_configs.resources = &node->resource;
    node->task.request.incremental_alter_configs.resources_count = 1;
}

/* As the newest set that a running node counts by has it; else as the voter itself has it. */
static struct uuid voter_directory(const struct cluster *cluster, int32_t id, bool in_set)
{
    struct uuid directory = {{0}};
    int64_t newest = -2;

    for (uint32_t i = 0; i < cluster->count; i++) {
        const struct node *node = cluster_node(cluster, i);
        const struct quorum_voters *voters;

        if (node == NULL || !node->has_quorum) continue;
        if (!in_set && cluster->nodes[i].id == id) return node->meta_dir->meta.directory_id;
        voters = &node->quorum.voting.current;
        for (uint32_t v = 0; in_set && v < voters->count; v++) {
            if (voters->members[v].id != id || voters->offset <= newest) continue;
            newest = voters->offset;
            directory = voters->members[v].directory;
        }
    }
    return directory;
}

static void operator_add_voter(struct workload_node *node)
{
    const struct workload_job *job = node->job;
    const struct scenario_value *ack = scenario_arg(job->action, "ack");

    admin_task_init(&node->task, API_ADD_RAFT_VOTER);
    node->task.request.add_raft_voter.ack_when_committed = ack == NULL || ack->choice == 0;
    (void)snprintf(node->voter_host, sizeof node->voter_host, "node-%d", (int)job->voter);
    node->voter_at = (struct add_raft_voter_request_listener){
        STR("CONTROLLER"), str_of(node->voter_host), CLUSTER_CONTROLLER_PORT};
    node->task.request.add_raft_voter.cluster_id = STR_NULL;
    node->task.request.add_raft_voter.voter_id = job->voter;
    node->task.request.add_raft_voter.voter_directory_id =
        voter_directory(node->client->workload->cluster, job->voter, false);
    node->task.request.add_raft_voter.timeout_ms = CLIENT_VOTER_TIMEOUT_MS;
    node->task.request.add_raft_voter.listeners = &node->voter_at;
    node->task.request.add_raft_voter.listeners_count = 1;
}

static void operator_remove_voter(struct workload_node *node)
{
    const struct workload_job *job = node->job;

    admin_task_init(&node->task, API_REMOVE_RAFT_VOTER);
    node->task.request.remove_raft_voter.cluster_id = STR_NULL;
    node->task.request.remove_raft_voter.voter_id = job->voter;
    node->task.request.remove_raft_voter.voter_directory_id =
        voter_directory(node->client->workload->cluster, job->voter, true);
}

static void operator_features(struct workload_node *node)
{
    const struct scenario_value *set = scenario_arg(node->job->action, "set");
    const struct scenario_value *how = scenario_arg(node->job->action, "how");

    admin_task_init(&node->task, API_UPDATE_FEATURES);
    for (uint32_t i = 0; i < set->config_count; i++) {
        struct update_features_request_feature_update_key *key = &node->features[i];

        update_features_request_feature_update_key_default(key);
        key->feature = str_of(set->configs[i].key);
        key->max_version_level = (int16_t)atoi(set->configs[i].value);
        key->upgrade_type = (int8_t)(1 + (how != NULL ? how->choice : 0));
    }
    node->task.request.update_features.feature_updates = node->features;
    node->task.request.update_features.feature_updates_count = set->config_count;
    node->task.request.update_features.timeout_ms = CLIENT_ADMIN_TIMEOUT_MS;
}

static void operator_ask(struct workload_node *node)
{
    const struct scenario_action *action = node->job->action;
    const struct scenario *scenario = node->client->workload->cluster->scenario;
    const struct scenario_value *first = &action->args[0];

    if (action->kind == ACTION_ADD_VOTER) {
        operator_add_voter(node);
        admin_start(&node->admin, &node->task);
        return;
    }
    if (action->kind == ACTION_REMOVE_VOTER || action->kind == ACTION_FEATURES) {
        if (action->kind == ACTION_FEATURES)
            operator_features(node);
        else
            operator_remove_voter(node);
        admin_start(&node->admin, &node->task);
        return;
    }
    if (first->topic >= 0) node->topic_name = str_of(scenario->topics[first->topic].name);
    node->partition = first->partition;
    if (action->kind == ACTION_CREATE_TOPIC) {
        workload_operator_create(node, (uint32_t)first->topic);
    } else if (action->kind == ACTION_DELETE_TOPIC) {
        operator_delete(node);
    } else if (action->kind == ACTION_ADD_PARTITIONS) {
        operator_add_partitions(node);
    } else if (action->kind == ACTION_DELETE_RECORDS) {
        operator_delete_records(node);
    } else if (action->kind == ACTION_CONFIG) {
        operator_config(node);
    } else if (action->kind == ACTION_REASSIGN || action->kind == ACTION_CANCEL_REASSIGN) {
        operator_reassign(node);
    } else if (action->kind == ACTION_MOVE_DIR) {
        operator_move_dir(node);
    } else if (action->kind == ACTION_UNREGISTER) {
        operator_unregister(node);
    } else {
        ASSERT(action->kind == ACTION_ELECT);
        operator_elect(node);
    }
    admin_start(&node->admin, &node->task);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Partitions are told one by one; that a leader is the wanted one already is no failure. */
static enum err elect_result(const struct admin_task *task)
{
    const struct elect_leaders_response *answer = &task->response.elect_leaders;

    for (uint32_t i = 0; i < answer->replica_election_results_count; i++) {
        const struct elect_leaders_response_topic *topic = &answer->replica_election_results[i];

        for (uint32_t j = 0; j < topic->partition_result_count; j++) {
            enum err err = err_from_wire(topic->partition_result[j].error_code);

            if (err != ERR_NONE && err != ERR_ELECTION_NOT_NEEDED) return err;
        }
    }
    return ERR_NONE;
}

static enum err reassign_result(const struct admin_task *task, enum action_kind kind)
{
    const struct alter_partition_reassignments_response *answer =
        &task->response.alter_reassignments;
    enum err err = ERR_UNKNOWN_SERVER_ERROR;

    if (answer->responses_count == 1 && answer->responses[0].partitions_count == 1)
        err = err_from_wire(answer->responses[0].partitions[0].error_code);
    /* It was over already, or the old replicas have not what the new ones have. */
    if (kind == ACTION_CANCEL_REASSIGN &&
        (err == ERR_NO_REASSIGNMENT_IN_PROGRESS || err == ERR_INVALID_REPLICA_ASSIGNMENT))
        err = ERR_NONE;
    return err;
}

/* A repeated request finds its own effect. It need not be the operator who repeats it: a broker
 * asks again of its own accord when the controller resigned, which may have written the change. */
static bool own_effect(enum action_kind kind, enum err err)
{
    if (kind == ACTION_CREATE_TOPIC) return err == ERR_TOPIC_ALREADY_EXISTS;
    if (kind == ACTION_DELETE_TOPIC) return err == ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (kind == ACTION_UNREGISTER) return err == ERR_BROKER_ID_NOT_REGISTERED;
    if (kind == ACTION_ADD_PARTITIONS) return err == ERR_INVALID_PARTITIONS;
    if (kind == ACTION_ADD_VOTER) return err == ERR_DUPLICATE_VOTER;
    if (kind == ACTION_REMOVE_VOTER) return err == ERR_VOTER_NOT_FOUND;
    return false;
}

enum sim_fault workload_fault(enum action_kind kind)
{
    switch ((int)kind) {
    case ACTION_REASSIGN:
    case ACTION_CANCEL_REASSIGN: return SIM_FAULT_REASSIGN;
    case ACTION_MOVE_DIR: return SIM_FAULT_MOVE_DIR;
    case ACTION_UNREGISTER: return SIM_FAULT_UNREGISTER;
    case ACTION_ADD_VOTER:
    case ACTION_REMOVE_VOTER: return SIM_FAULT_VOTERS;
    case ACTION_FEATURES: return SIM_FAULT_FEATURES;
    default: return SIM_FAULT_MEMBERSHIP;
    }
}

/* A deletion is waiting for its turn already. */
static bool to_be_deleted(const struct workload *workload, int32_t topic)
{
    for (uint32_t i = workload->job_next; i < workload->job_count; i++) {
        const struct scenario_action *action = workload->jobs[i].action;

        if (action->kind == ACTION_DELETE_TOPIC && action->args[0].topic == topic) return true;
    }
    return false;
}

static void operator_judge(struct workload_node *node)
{
    struct workload_job *job = node->job;
    struct workload *workload = node->client->workload;
    struct cluster *cluster = workload->cluster;
    const struct scenario_action *action = job->action;
    enum err err = node->task.result;

    if (err == ERR_NONE && action->kind == ACTION_ELECT) err = elect_result(&node->task);
    if (err == ERR_NONE &&
        (action->kind == ACTION_REASSIGN || action->kind == ACTION_CANCEL_REASSIGN))
        err = reassign_result(&node->task, action->kind);
    if (own_effect(action->kind, err)) err = ERR_NONE;
    job->done = true;
    job->result = err;
    (void)snprintf(job->message, sizeof job->message, "%.120s", node->task.message);
    admin_task_release(&node->task);
    workload->job_next++;
    if (err != ERR_NONE) return;
    sim_fault_hit(cluster->sim, workload_fault(action->kind));
    if (action->kind == ACTION_CREATE_TOPIC && !to_be_deleted(workload, action->args[0].topic)) {
        cluster->topics_off[action->args[0].topic] = false;
    }
    /* Those that there are cannot be taken away (INVALID_PARTITIONS says that, too). */
    if (action->kind == ACTION_ADD_PARTITIONS &&
        job->number > cluster->partitions[action->args[0].topic]) {
        cluster->partitions[action->args[0].topic] = job->number;
    }
}

/* ---- the op ---------------------------------------------------------------------------------- */

static struct workload_job *next_job(struct workload_node *node)
{
    struct workload *workload = node->client->workload;

    return workload->job_next < workload->job_count ? &workload->jobs[workload->job_next] : NULL;
}

enum operator_step { OPERATOR_START, OPERATOR_IDLE, OPERATOR_ANSWERED, OPERATOR_CLOSED };
static const char *const operator_steps[] = {"START", "IDLE", "ANSWERED", "CLOSED"};

static enum op_result operator_run(struct op *op)
{
    struct workload_node *o = CONTAINER_OF(op, struct workload_node, op);

    switch ((enum operator_step)op->step) {
    case OPERATOR_START:
        for (;;) {
            AWAIT(o, OPERATOR_IDLE, &o->wake, o->finishing || o->nudged);
            o->nudged = false;
            while ((o->job = next_job(o)) != NULL) {
                operator_ask(o);
                AWAIT(o, OPERATOR_ANSWERED, &o->task.done, o->task.finished);
                operator_judge(o);
            }
            if (o->finishing) break;
        }
        metadata_close(&o->admin.metadata);
        AWAIT(o, OPERATOR_CLOSED, &o->admin.metadata.changed, metadata_closed(&o->admin.metadata));
        admin_deinit(&o->admin);
        return OP_DONE;
    }
    IMPOSSIBLE("step of an operator");
}

const struct op_kind workload_operator_kind = {"workload_operator", operator_steps,
                                               COUNT_OF(operator_steps), operator_run,
                                               workload_client_over};
