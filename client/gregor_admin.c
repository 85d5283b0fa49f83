/* The administrator of gregor.h: topics, settings, the cluster. */
#include "client/gregor_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CHANGES_MAX = 1000 };

/* ---- life ------------------------------------------------------------------------------------ */

struct gregor_admin *gregor_admin_new(struct gregor_client *client,
                                      const struct gregor_config *config, char *why,
                                      size_t why_size)
{
    struct gregor_admin *admin = calloc(1, sizeof *admin);
    struct metadata_config settings;

    if (admin != NULL) admin->config = gregor_config_copy(config);
    if (admin == NULL || admin->config == NULL) {
        gregor_explain(why, why_size, "not enough memory");
        free(admin);
        return NULL;
    }
    admin->client = client;
    admin->timeout_ms = gregor_config_int(config, "default.api.timeout.ms");
    if (gregor_config_metadata(admin->config, &settings, why, why_size)) {
        gregor_enter(client);
        if (admin_init(&admin->admin, &client->env, &settings) == ERR_NONE) return admin;
        gregor_explain(why, why_size, "not enough memory");
    }
    gregor_config_free(admin->config);
    free(admin);
    return NULL;
}

static bool is_closed(void *context)
{
    return metadata_closed(&((struct gregor_admin *)context)->admin.metadata);
}

void gregor_admin_close(struct gregor_admin *admin)
{
    if (admin == NULL) return;
    gregor_enter(admin->client);
    metadata_close(&admin->admin.metadata);
    if (!gregor_wait(admin->client, is_closed, admin, gregor_deadline_ns(5000))) {
        gregor_leave(admin->client, &admin->left, admin);
        return;
    }
    admin_deinit(&admin->admin);
    gregor_config_free(admin->config);
    free(admin);
}

const char *gregor_admin_message(const struct gregor_admin *admin)
{
    return admin->message;
}

/* ---- one question ---------------------------------------------------------------------------- */

static bool is_finished(void *context)
{
    return ((struct admin_task *)context)->finished;
}

int gregor_admin_run(struct gregor_admin *admin, struct admin_task *task)
{
    task->timeout_ms = admin->timeout_ms;
    gregor_enter(admin->client);
    admin_start(&admin->admin, task);
    (void)gregor_wait(admin->client, is_finished, task, INT64_MAX); /* it has a deadline */
    memcpy(admin->message, task->message, sizeof admin->message);
    return (int)task->result;
}

static int run_and_release(struct gregor_admin *admin, struct admin_task *task)
{
    int error = gregor_admin_run(admin, task);

    admin_task_release(task);
    return error;
}

/* Callbacks of deliveries must not wait. */
static bool refused(const struct gregor_admin *admin)
{
    return admin->client->delivering;
}

static int finished(struct gregor_result *result, int error, void *to)
{
    if (error == GREGOR_OK && result->failed) error = GREGOR_ERR_NO_MEMORY;
    if (error != GREGOR_OK) {
        gregor_free(result->first);
    } else {
        memcpy(to, &result->first, sizeof result->first);
    }
    return error;
}

/* ---- topics ---------------------------------------------------------------------------------- */

int gregor_admin_create_topic(struct gregor_admin *admin, const struct gregor_new_topic *topic)
{
    struct create_topics_request_config *configs;
    struct create_topics_request_topic wanted;
    struct admin_task task;
    int error;

    if (refused(admin)) return GREGOR_ERR_BAD_STATE;
    if (topic->configs_count > CHANGES_MAX) return GREGOR_ERR_TOO_MANY;
    configs = calloc(topic->configs_count + 1, sizeof *configs);
    if (configs == NULL) return GREGOR_ERR_NO_MEMORY;
    create_topics_request_topic_default(&wanted);
    wanted.name = str_of(topic->name);
    wanted.num_partitions = topic->partitions > 0 ? topic->partitions : -1;
    wanted.replication_factor =
        topic->replication_factor > 0 ? (int16_t)topic->replication_factor : -1;
    for (size_t i = 0; i < topic->configs_count; i++) {
        create_topics_request_config_default(&configs[i]);
        configs[i].name = str_of(topic->configs[i].key);
        configs[i].value =
            topic->configs[i].value != NULL ? str_of(topic->configs[i].value) : STR_NULL;
    }
    wanted.configs = configs;
    wanted.configs_count = (uint32_t)topic->configs_count;
    admin_task_init(&task, API_CREATE_TOPICS);
    task.request.create_topics.topics = &wanted;
    task.request.create_topics.topics_count = 1;
    task.request.create_topics.timeout_ms = admin->timeout_ms;
    error = run_and_release(admin, &task);
    free(configs);
    return error;
}

int gregor_admin_create_partitions(struct gregor_admin *admin, const char *topic, int32_t total)
{
    struct create_partitions_request_topic wanted;
    struct admin_task task;

    if (refused(admin)) return GREGOR_ERR_BAD_STATE;
    create_partitions_request_topic_default(&wanted);
    wanted.name = str_of(topic);
    wanted.count = total;
    wanted.assignments_null = true;
    admin_task_init(&task, API_CREATE_PARTITIONS);
    task.request.create_partitions.topics = &wanted;
    task.request.create_partitions.topics_count = 1;
    task.request.create_partitions.timeout_ms = admin->timeout_ms;
    return run_and_release(admin, &task);
}

int gregor_admin_delete_topic(struct gregor_admin *admin, const char *topic)
{
    struct str name = str_of(topic);
    struct admin_task task;

    if (refused(admin)) return GREGOR_ERR_BAD_STATE;
    admin_task_init(&task, API_DELETE_TOPICS);
    task.request.delete_topics.topic_names = &name;
    task.request.delete_topics.topic_names_count = 1;
    task.request.delete_topics.timeout_ms = admin->timeout_ms;
    return run_and_release(admin, &task);
}

static int by_partition(const void *left, const void *right)
{
    const struct gregor_partition_info *a = left;
    const struct gregor_partition_info *b = right;

    return (a->partition > b->partition) - (a->partition < b->partition);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct gregor_topic_info *)left)->name,
                  ((const struct gregor_topic_info *)right)->name);
}

static const int32_t *take_ids(struct gregor_result *result, const int32_t *ids, uint32_t count)
{
    int32_t *copy = gregor_result_take(result, count * sizeof *copy);

    if (copy != NULL && count > 0) memcpy(copy, ids, count * sizeof *copy);
    return copy;
}

static void take_partitions(struct gregor_result *result, struct gregor_topic_info *topic,
                            const struct metadata_response_topic *told)
{
    struct gregor_partition_info *partitions =
        gregor_result_take(result, told->partitions_count * sizeof *partitions);

    for (uint32_t i = 0; partitions != NULL && i < told->partitions_count; i++) {
        const struct metadata_response_partition *one = &told->partitions[i];

        partitions[i] = (struct gregor_partition_info){
            .partition = one->partition_index,
            .leader = one->leader_id,
            .leader_epoch = one->leader_epoch,
            .error = one->error_code,
            .replicas = take_ids(result, one->replica_nodes, one->replica_nodes_count),
            .replicas_count = one->replica_nodes_count,
            .isr = take_ids(result, one->isr_nodes, one->isr_nodes_count),
            .isr_count = one->isr_nodes_count,
        };
    }
    if (partitions != NULL && told->partitions_count > 1)
        qsort(partitions, told->partitions_count, sizeof *partitions, by_partition);
    topic->partitions = partitions;
    topic->partitions_count = told->partitions_count;
}

static void take_topics(struct gregor_result *result, const struct metadata_response *response)
{
    struct gregor_topics *topics = gregor_result_take(result, sizeof *topics);
    struct gregor_topic_info *list =
        gregor_result_take(result, response->topics_count * sizeof *list);

    if (topics == NULL || list == NULL) return;
    for (uint32_t i = 0; i < response->topics_count; i++) {
        const struct metadata_response_topic *told = &response->topics[i];

        list[i].name = gregor_result_text(result, told->name);
        if (list[i].name == NULL) list[i].name = "";
        uuid_print(told->topic_id, list[i].id);
        list[i].internal = told->is_internal;
        take_partitions(result, &list[i], told);
    }
    if (response->topics_count > 1) qsort(list, response->topics_count, sizeof *list, by_name);
    topics->topics = list;
    topics->count = response->topics_count;
}

/* One topic, or all. */
static int ask_topics(struct gregor_admin *admin, const char *name, struct gregor_topics **topics)
{
    struct gregor_result result = {NULL, false};
    struct metadata_request_topic wanted;
    struct admin_task task;
    int error;

    if (refused(admin)) return GREGOR_ERR_BAD_STATE;
    admin_task_init(&task, API_METADATA);
    if (name != NULL) {
        metadata_request_topic_default(&wanted);
        wanted.name = str_of(name);
        task.request.metadata.topics = &wanted;
        task.request.metadata.topics_count = 1;
        task.request.metadata.topics_null = false;
    }
    error = gregor_admin_run(admin, &task);
    if (error == GREGOR_OK) take_topics(&result, &task.response.metadata);
    admin_task_release(&task);
    return finished(&result, error, topics);
}

int gregor_admin_list_topics(struct gregor_admin *admin, struct gregor_topics **topics)
{
    return ask_topics(admin, NULL, topics);
}

int gregor_admin_describe_topic(struct gregor_admin *admin, const char *topic,
                                struct gregor_topics **topics)
{
    return ask_topics(admin, topic, topics);
}

/* ---- cluster --------------------------------------------------------------------------------- */

static void take_cluster(struct gregor_result *result, const struct metadata_response *response)
{
    struct gregor_cluster *cluster = gregor_result_take(result, sizeof *cluster);
    struct gregor_node *nodes = gregor_result_take(result, response->brokers_count * sizeof *nodes);

    if (cluster == NULL || nodes == NULL) return;
    for (uint32_t i = 0; i < response->brokers_count; i++)
        nodes[i] = (struct gregor_node){
            .id = response->brokers[i].node_id,
            .host = gregor_result_text(result, response->brokers[i].host),
            .port = response->brokers[i].port,
            .rack = gregor_result_text(result, response->brokers[i].rack),
        };
    cluster->id = gregor_result_text(result, response->cluster_id);
    cluster->controller = response->controller_id;
    cluster->nodes = nodes;
    cluster->nodes_count = response->brokers_count;
}

int gregor_admin_describe_cluster(struct gregor_admin *admin, struct gregor_cluster **cluster)
{
    struct gregor_result result = {NULL, false};
    struct admin_task task;
    int error;

    if (refused(admin)) return GREGOR_ERR_BAD_STATE;
    admin_task_init(&task, API_METADATA);
    task.request.metadata.topics_null = false; /* none */
    error = gregor_admin_run(admin, &task);
    if (error == GREGOR_OK) take_cluster(&result, &task.response.metadata);
    admin_task_release(&task);
    return finished(&result, error, cluster);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void take_settings(struct gregor_result *result,
                          const struct describe_configs_response *response)
{
    struct gregor_settings *settings = gregor_result_take(result, sizeof *settings);
    const struct describe_configs_response_result *told =
        response->results_count > 0 ? &response->results[0] : NULL;
    uint32_t count = told != NULL ? told->configs_count : 0;
    struct gregor_setting *list = gregor_result_take(result, count * sizeof *list);

    if (settings == NULL || list == NULL) return;
    for (uint32_t i = 0; i < count; i++)
        list[i] = (struct gregor_setting){
            .key = gregor_result_text(result, told->configs[i].name),
            .value = gregor_result_text(result, told->configs[i].value),
            .source = told->configs[i].config_source,
            .read_only = told->configs[i].read_only,
        };
    settings->settings = list;
    settings->count = count;
}

/* What concerns one broker is asked of it. */
static int32_t node_of(enum gregor_resource type, const char *name)
{
    return type == GREGOR_BROKER && name[0] != 0 ? (int32_t)strtol(name, NULL, 10) : -1;
}

int gregor_admin_describe_configs(struct gregor_admin *admin, enum gregor_resource type,
                                  const char *name, struct gregor_settings **settings)
{
    struct gregor_result result = {NULL, false};
    struct describe_configs_request_resource wanted;
    struct admin_task task;
    int error;

    if (refused(admin)) return GREGOR_ERR_BAD_STATE;
    describe_configs_request_resource_default(&wanted);
    wanted.resource_type = (int8_t)type;
    wanted.resource_name = str_of(name);
    wanted.configuration_keys_null = true;
    admin_task_init(&task, API_DESCRIBE_CONFIGS);
    task.node = node_of(type, name);
    task.request.describe_configs.resources = &wanted;
    task.request.describe_configs.resources_count = 1;
    error = gregor_admin_run(admin, &task);
    if (error == GREGOR_OK) take_settings(&result, &task.response.describe_configs);
    admin_task_release(&task);
    return finished(&result, error, settings);
}

int gregor_admin_alter_configs(struct gregor_admin *admin, enum gregor_resource type,
                               const char *name, const struct gregor_entry *changes, size_t count)
{
    enum { SET = 0, DELETE = 1 };
    struct incremental_alter_configs_request_config *configs;
    struct incremental_alter_configs_request_resource wanted;
    struct admin_task task;
    int error;

    if (refused(admin)) return GREGOR_ERR_BAD_STATE;
    if (count > CHANGES_MAX) return GREGOR_ERR_TOO_MANY;
    configs = calloc(count + 1, sizeof *configs);
    if (configs == NULL) return GREGOR_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        incremental_alter_configs_request_config_default(&configs[i]);
        configs[i].name = str_of(changes[i].key);
        configs[i].config_operation = changes[i].value != NULL ? SET : DELETE;
        configs[i].value = changes[i].value != NULL ? str_of(changes[i].value) : STR_NULL;
    }
    incremental_alter_configs_request_resource_default(&wanted);
    wanted.resource_type = (int8_t)type;
    wanted.resource_name = str_of(name);
    wanted.configs = configs;
    wanted.configs_count = (uint32_t)count;
    admin_task_init(&task, API_INCREMENTAL_ALTER_CONFIGS);
    task.node = node_of(type, name);
    task.request.incremental_alter_configs.resources = &wanted;
    task.request.incremental_alter_configs.resources_count = 1;
    error = run_and_release(admin, &task);
    free(configs);
    return error;
}
