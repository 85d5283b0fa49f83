/* gregor topics list|create|describe|alter|delete */
#include "client/cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIGS_MAX = 64, NAMES_MAX = 1000 };

struct topics {
    struct cli_admin admin;
    bool describe;
    enum err forgiven; /* --if-exists, --if-not-exists; NONE: nothing */
    int32_t names_count;
    struct create_topics_request_topic topic;
    struct create_topics_request_config configs[CONFIGS_MAX];
    struct metadata_request_topic wanted[NAMES_MAX];
    struct str names[NAMES_MAX];
    struct create_partitions_request_topic grown;
    struct describe_configs_request_resource resources[NAMES_MAX]; /* names are owned */
    uint32_t resources_count;
    char *heads[NAMES_MAX]; /* what is printed before and after the settings of each */
    char *bodies[NAMES_MAX];
};

enum { RESOURCE_TOPIC = 2, SOURCE_TOPIC = 1 };

static int by_name(const void *left, const void *right)
{
    const struct metadata_response_topic *a = left;
    const struct metadata_response_topic *b = right;

    return str_compare(a->name, b->name); /* names are unique in an answer */
}

static int by_index(const void *left, const void *right)
{
    const struct metadata_response_partition *a = left;
    const struct metadata_response_partition *b = right;

    return (a->partition_index > b->partition_index) - (a->partition_index < b->partition_index);
}

static void print_ids(FILE *out, const char *label, const int32_t *ids, uint32_t count)
{
    fprintf(out, "\t%s: ", label);
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s%d", i > 0 ? "," : "", ids[i]);
}

static void print_partitions(FILE *out, const struct metadata_response_topic *topic)
{
    if (topic->partitions_count > 1)
        qsort(topic->partitions, topic->partitions_count, sizeof *topic->partitions, by_index);
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        const struct metadata_response_partition *partition = &topic->partitions[i];

        fprintf(out, "\tTopic: %.*s\tPartition: %d\tLeader: ", STR_ARG(topic->name),
                partition->partition_index);
        if (partition->leader_id >= 0) {
            fprintf(out, "%d", partition->leader_id);
        } else {
            fprintf(out, "none");
        }
        print_ids(out, "Replicas", partition->replica_nodes, partition->replica_nodes_count);
        print_ids(out, "Isr", partition->isr_nodes, partition->isr_nodes_count);
        fputc('\n', out);
    }
}

/* The first line waits for the settings, which end it. */
static void print_head(FILE *out, const struct metadata_response_topic *topic)
{
    char id[UUID_TEXT + 1];

    uuid_print(topic->topic_id, id);
    fprintf(out, "Topic: %.*s\tTopicId: %s\tPartitionCount: %u\tReplicationFactor: %u\tConfigs: ",
            STR_ARG(topic->name), id, topic->partitions_count,
            topic->partitions_count > 0 ? topic->partitions[0].replica_nodes_count : 0);
}

static char *printed(void (*print)(FILE *out, const struct metadata_response_topic *topic),
                     const struct metadata_response_topic *topic)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) return NULL;
    print(out, topic);
    fclose(out);
    return text;
}

/* Remembered for the question about its settings. */
static void note_topic(struct topics *topics, const struct metadata_response_topic *topic)
{
    struct describe_configs_request_resource *resource;
    uint32_t at = topics->resources_count;
    char *copy;

    if (at == NAMES_MAX) return;
    copy = strndup(topic->name.data, topic->name.length);
    topics->heads[at] = printed(print_head, topic);
    topics->bodies[at] = printed(print_partitions, topic);
    resource = &topics->resources[at];
    resource->resource_type = RESOURCE_TOPIC;
    resource->resource_name = (struct str){copy, topic->name.length};
    resource->configuration_keys_null = true;
    if (copy == NULL || topics->heads[at] == NULL || topics->bodies[at] == NULL) return;
    topics->resources_count++;
}

/* What was set for the topic itself. */
static void print_settings(const struct describe_configs_response *response, struct str name)
{
    const char *between = "";

    for (uint32_t i = 0; i < response->results_count; i++) {
        const struct describe_configs_response_result *result = &response->results[i];

        if (!str_equal(result->resource_name, name)) continue;
        for (uint32_t k = 0; k < result->configs_count; k++) {
            if (result->configs[k].config_source != SOURCE_TOPIC) continue;
            printf("%s%.*s=%.*s", between, STR_ARG(result->configs[k].name),
                   STR_ARG(result->configs[k].value));
            between = ",";
        }
    }
}

/* `response` NULL: the settings are not known. */
static void show_described(struct topics *topics, const struct describe_configs_response *response)
{
    for (uint32_t i = 0; i < topics->resources_count; i++) {
        fputs(topics->heads[i], stdout);
        if (response != NULL) print_settings(response, topics->resources[i].resource_name);
        printf("\n%s", topics->bodies[i]);
    }
}

static bool ask_settings(struct cli_admin *admin)
{
    struct topics *topics = CONTAINER_OF(admin, struct topics, admin);
    struct describe_configs_request *request;

    if (admin->task.api != API_METADATA || !topics->describe || topics->resources_count == 0)
        return false;
    admin_task_init(&admin->task, API_DESCRIBE_CONFIGS);
    request = &admin->task.request.describe_configs;
    request->resources = topics->resources;
    request->resources_count = topics->resources_count;
    return true;
}

static enum cli_exit show_topics(struct cli_admin *admin)
{
    struct topics *topics = CONTAINER_OF(admin, struct topics, admin);
    struct metadata_response *response = &admin->task.response.metadata;
    enum cli_exit code = CLI_FINE;

    if (!admin->task.answered) return cli_complain_err("topics", admin->task.result, NULL);
    if (admin->task.api == API_DESCRIBE_CONFIGS) {
        show_described(topics, &admin->task.response.describe_configs);
        return CLI_FINE;
    }
    if (response->topics_count > 1)
        qsort(response->topics, response->topics_count, sizeof *response->topics, by_name);
    for (uint32_t i = 0; i < response->topics_count; i++) {
        const struct metadata_response_topic *topic = &response->topics[i];
        enum err err = err_from_wire(topic->error_code);

        if (!topics->describe) {
            printf("%.*s\n", STR_ARG(topic->name));
        } else if (err != ERR_NONE && topic->partitions_count == 0) {
            code = cli_complain(CLI_FAILED, "topic %.*s: %s", STR_ARG(topic->name), err_name(err));
        } else {
            note_topic(topics, topic);
        }
    }
    if (code != CLI_FINE) show_described(topics, NULL); /* there will be no more questions */
    return code;
}

static enum cli_exit show_change(struct cli_admin *admin)
{
    const struct topics *topics = CONTAINER_OF(admin, struct topics, admin);
    const char *verb = admin->task.api == API_CREATE_TOPICS       ? "Created"
                       : admin->task.api == API_CREATE_PARTITIONS ? "Altered"
                                                                  : "Deleted";
    char what[300];

    if (admin->task.result == ERR_NONE) {
        for (int32_t i = 0; i < topics->names_count; i++)
            printf("%s topic %.*s.\n", verb, STR_ARG(topics->names[i]));
        return CLI_FINE;
    }
    if (topics->forgiven != ERR_NONE && admin->task.result == topics->forgiven) return CLI_FINE;
    snprintf(what, sizeof what, "topic %.*s%s", STR_ARG(topics->names[0]),
             admin->task.unclear ? " (an earlier attempt was not answered and may have worked)"
                                 : "");
    return cli_complain_err(what, admin->task.result, admin->task.message);
}

static int run_list(struct topics *topics, int argc, char **argv)
{
    struct metadata_request *request;

    admin_task_init(&topics->admin.task, API_METADATA);
    request = &topics->admin.task.request.metadata;
    topics->admin.show = show_topics;
    topics->admin.more = ask_settings;
    if (argc > NAMES_MAX) return (int)cli_complain(CLI_USAGE, "too many names");
    for (int i = 0; i < argc; i++) {
        metadata_request_topic_default(&topics->wanted[i]);
        topics->wanted[i].name = str_of(argv[i]);
    }
    if (argc > 0) {
        request->topics = topics->wanted;
        request->topics_count = (uint32_t)argc;
        request->topics_null = false;
    }
    return cli_admin_run(&topics->admin);
}

static bool add_config(struct topics *topics, char *text)
{
    char *equals = strchr(text, '=');
    uint32_t at = topics->topic.configs_count;

    if (equals == NULL || equals == text || at == CONFIGS_MAX) {
        cli_complain(CLI_USAGE, "--config '%s': wants name=value", text);
        return false;
    }
    create_topics_request_config_default(&topics->configs[at]);
    topics->configs[at].name = (struct str){text, (uint32_t)(equals - text)};
    topics->configs[at].value = str_of(equals + 1);
    topics->topic.configs_count++;
    return true;
}

static int run_create(struct topics *topics, int argc, char **argv)
{
    static const struct option options[] = {{"partitions", required_argument, NULL, 'p'},
                                            {"replicas", required_argument, NULL, 'r'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"if-not-exists", no_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct create_topics_request *request;
    int64_t partitions = -1;
    int64_t replicas = -1;
    int option;

    create_topics_request_topic_default(&topics->topic);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            if (!cli_number("--partitions", optarg, 1, 100000, &partitions)) return CLI_USAGE;
            break;
        case 'r':
            if (!cli_number("--replicas", optarg, 1, INT16_MAX, &replicas)) return CLI_USAGE;
            break;
        case 'c':
            if (!add_config(topics, optarg)) return CLI_USAGE;
            break;
        case 'n': topics->forgiven = ERR_TOPIC_ALREADY_EXISTS; break;
        default: return (int)cli_bad_option("topics create", argv);
        }
    }
    if (argc - optind != 1) return (int)cli_complain(CLI_USAGE, "topics create: wants one name");
    admin_task_init(&topics->admin.task, API_CREATE_TOPICS);
    request = &topics->admin.task.request.create_topics;
    topics->names[0] = str_of(argv[optind]);
    topics->names_count = 1;
    topics->topic.name = topics->names[0];
    topics->topic.num_partitions = (int32_t)partitions; /* -1: the broker's default */
    topics->topic.replication_factor = (int16_t)replicas;
    topics->topic.configs = topics->configs;
    request->topics = &topics->topic;
    request->topics_count = 1;
    request->timeout_ms = topics->admin.cli.timeout_ms;
    topics->admin.show = show_change;
    return cli_admin_run(&topics->admin);
}

static int run_delete(struct topics *topics, int argc, char **argv)
{
    static const struct option options[] = {{"if-exists", no_argument, NULL, 'e'},
                                            {NULL, 0, NULL, 0}};
    struct delete_topics_request *request;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'e') return (int)cli_bad_option("topics delete", argv);
        topics->forgiven = ERR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    argc -= optind;
    argv += optind;
    if (argc == 0 || argc > NAMES_MAX)
        return (int)cli_complain(CLI_USAGE, "topics delete: wants a name");
    admin_task_init(&topics->admin.task, API_DELETE_TOPICS);
    request = &topics->admin.task.request.delete_topics;
    for (int i = 0; i < argc; i++)
        topics->names[i] = str_of(argv[i]);
    topics->names_count = argc;
    request->topic_names = topics->names;
    request->topic_names_count = (uint32_t)argc;
    request->timeout_ms = topics->admin.cli.timeout_ms;
    topics->admin.show = show_change;
    return cli_admin_run(&topics->admin);
}

static int run_alter(struct topics *topics, int argc, char **argv)
{
    static const struct option options[] = {{"partitions", required_argument, NULL, 'p'},
                                            {"if-exists", no_argument, NULL, 'e'},
                                            {NULL, 0, NULL, 0}};
    struct create_partitions_request *request;
    int64_t partitions = -1;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'e') {
            topics->forgiven = ERR_UNKNOWN_TOPIC_OR_PARTITION;
            continue;
        }
        if (option != 'p') return (int)cli_bad_option("topics alter", argv);
        if (!cli_number("--partitions", optarg, 1, 100000, &partitions)) return CLI_USAGE;
    }
    if (argc - optind != 1 || partitions < 0)
        return (int)cli_complain(CLI_USAGE, "topics alter: wants one name and --partitions N");
    admin_task_init(&topics->admin.task, API_CREATE_PARTITIONS);
    request = &topics->admin.task.request.create_partitions;
    topics->names[0] = str_of(argv[optind]);
    topics->names_count = 1;
    create_partitions_request_topic_default(&topics->grown);
    topics->grown.name = topics->names[0];
    topics->grown.count = (int32_t)partitions;
    topics->grown.assignments_null = true;
    request->topics = &topics->grown;
    request->topics_count = 1;
    request->timeout_ms = topics->admin.cli.timeout_ms;
    topics->admin.show = show_change;
    return cli_admin_run(&topics->admin);
}

int topics_main(struct cli *cli, int argc, char **argv)
{
    struct topics *topics = calloc(1, sizeof *topics);
    int code;

    if (topics == NULL) return (int)cli_complain(CLI_FAILED, "not enough memory");
    topics->admin.cli = *cli;
    if (argc < 2) {
        code = (int)cli_complain(CLI_USAGE, "topics: list, create, describe, alter or delete?");
    } else if (strcmp(argv[1], "list") == 0 && argc == 2) {
        code = run_list(topics, 0, NULL);
    } else if (strcmp(argv[1], "describe") == 0) {
        topics->describe = true;
        code = run_list(topics, argc - 2, argv + 2);
    } else if (strcmp(argv[1], "create") == 0) {
        code = run_create(topics, argc - 1, argv + 1);
    } else if (strcmp(argv[1], "alter") == 0) {
        code = run_alter(topics, argc - 1, argv + 1);
    } else if (strcmp(argv[1], "delete") == 0) {
        code = run_delete(topics, argc - 1, argv + 1);
    } else {
        code = (int)cli_complain(CLI_USAGE, "topics: list, create, describe, alter or delete?");
    }
    for (uint32_t i = 0; i < NAMES_MAX; i++)
        free((void *)(uintptr_t)topics->resources[i].resource_name.data);
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        free(topics->heads[i]);
        free(topics->bodies[i]);
    }
    free(topics);
    return code;
}
