/* gregor cluster describe|quorum [add-controller|remove-controller]|features|log-dirs|elect|
 * unregister; reassign: reassign.c */
#include "client/cli/cluster.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BROKERS_MAX = 1000, FEATURES_MAX = 16 };

struct cluster {
    struct cli_admin admin;
    int32_t brokers[BROKERS_MAX]; /* of log-dirs */
    uint32_t brokers_count;
    uint32_t brokers_asked;
    struct describe_quorum_request_topic quorum_topic;
    struct describe_quorum_request_partition quorum_partition;
    struct add_raft_voter_request_listener voter_at;
    char voter_host[256];
    struct update_features_request_feature_update_key updates[FEATURES_MAX];
    struct elect_leaders_request_topic elected;
    int32_t elected_partition;
};

static int by_id(const void *left, const void *right)
{
    const struct metadata_response_broker *a = left;
    const struct metadata_response_broker *b = right;

    return (a->node_id > b->node_id) - (a->node_id < b->node_id);
}

static void sort_brokers(struct metadata_response *response)
{
    if (response->brokers_count > 1)
        qsort(response->brokers, response->brokers_count, sizeof *response->brokers, by_id);
}

static enum cli_exit show_cluster(struct cli_admin *admin)
{
    struct metadata_response *response = &admin->task.response.metadata;

    if (!admin->task.answered) return cli_complain_err("cluster", admin->task.result, NULL);
    sort_brokers(response);
    printf("ClusterId: %.*s\tController: %d\tBrokers: %u\n", STR_ARG(response->cluster_id),
           response->controller_id, response->brokers_count);
    for (uint32_t i = 0; i < response->brokers_count; i++) {
        const struct metadata_response_broker *broker = &response->brokers[i];

        printf("\tBroker: %d\tHost: %.*s\tPort: %d\tRack: %.*s\n", broker->node_id,
               STR_ARG(broker->host), broker->port,
               STR_ARG(broker->rack.data != NULL ? broker->rack : STR("-")));
    }
    return CLI_FINE;
}

static void init_metadata(struct admin_task *task)
{
    admin_task_init(task, API_METADATA);
    task->request.metadata.topics_null = false; /* no topics, only nodes */
}

/* ---- quorum --------------------------------------------------------------------------------- */

static void print_replicas(const char *what, const struct describe_quorum_response_replica_state *r,
                           uint32_t count, int64_t end)
{
    for (uint32_t i = 0; i < count; i++) {
        char directory[UUID_TEXT + 1];

        uuid_print(r[i].replica_directory_id, directory);
        printf("\t%s: %d\tDirectory: %s\tLogEnd: %lld\tLag: %lld\n", what, r[i].replica_id,
               uuid_is_zero(r[i].replica_directory_id) ? "-" : directory,
               (long long)r[i].log_end_offset,
               (long long)(r[i].log_end_offset < 0 ? -1 : end - r[i].log_end_offset));
    }
}

static void print_endpoints(const struct describe_quorum_response *response)
{
    for (uint32_t i = 0; i < response->nodes_count; i++)
        for (uint32_t j = 0; j < response->nodes[i].listeners_count; j++)
            printf("\tEndpoint: %d\tListener: %.*s\tHost: %.*s\tPort: %u\n",
                   response->nodes[i].node_id, STR_ARG(response->nodes[i].listeners[j].name),
                   STR_ARG(response->nodes[i].listeners[j].host),
                   (unsigned)response->nodes[i].listeners[j].port);
}

static enum cli_exit show_quorum(struct cli_admin *admin)
{
    const struct describe_quorum_response *response = &admin->task.response.describe_quorum;
    const struct describe_quorum_response_partition *part;
    int64_t end = 0;

    if (admin->task.result != ERR_NONE)
        return cli_complain_err("cluster quorum", admin->task.result, admin->task.message);
    if (response->topics_count == 0 || response->topics[0].partitions_count == 0)
        return cli_complain(CLI_FAILED, "cluster quorum: the answer is empty");
    part = &response->topics[0].partitions[0];
    if (part->error_code != 0)
        return cli_complain_err("cluster quorum", err_from_wire(part->error_code), NULL);
    for (uint32_t i = 0; i < part->current_voters_count; i++)
        if (part->current_voters[i].log_end_offset > end)
            end = part->current_voters[i].log_end_offset;
    printf("Leader: %d\tEpoch: %d\tHighWatermark: %lld\n", part->leader_id, part->leader_epoch,
           (long long)part->high_watermark);
    print_replicas("Voter", part->current_voters, part->current_voters_count, end);
    print_replicas("Observer", part->observers, part->observers_count, end);
    print_endpoints(response);
    return CLI_FINE;
}

static void init_quorum(struct cluster *o)
{
    struct describe_quorum_request *request = &o->admin.task.request.describe_quorum;

    admin_task_init(&o->admin.task, API_DESCRIBE_QUORUM);
    o->quorum_topic.topic_name = STR("__cluster_metadata");
    o->quorum_topic.partitions = &o->quorum_partition;
    o->quorum_topic.partitions_count = 1;
    request->topics = &o->quorum_topic;
    request->topics_count = 1;
    o->admin.show = show_quorum;
}

static enum cli_exit show_changed(struct cli_admin *admin)
{
    if (admin->task.result != ERR_NONE)
        return cli_complain_err("cluster", admin->task.result, admin->task.message);
    printf("done\n");
    return CLI_FINE;
}

/* ID DIRECTORY */
static bool voter_key(char **argv, int64_t *id, struct uuid *directory)
{
    if (!cli_number("ID", argv[0], 0, INT32_MAX, id)) return false;
    if (uuid_parse(str_of(argv[1]), directory) && !uuid_is_zero(*directory)) return true;
    (void)cli_complain(CLI_USAGE, "cluster quorum: DIRECTORY: the 22 characters of directory.id in "
                                  "meta.properties");
    return false;
}

/* add-controller ID DIRECTORY HOST:PORT [LISTENER] */
static int run_add_controller(struct cluster *o, int argc, char **argv)
{
    struct add_raft_voter_request *request = &o->admin.task.request.add_raft_voter;
    const char *colon = argc >= 3 ? strrchr(argv[2], ':') : NULL;
    struct uuid directory;
    int64_t id, port;

    if (argc < 3 || argc > 4 || colon == NULL || (size_t)(colon - argv[2]) >= sizeof o->voter_host)
        return (int)cli_complain(
            CLI_USAGE, "cluster quorum add-controller: ID DIRECTORY HOST:PORT [LISTENER]");
    if (!voter_key(argv, &id, &directory)) return CLI_USAGE;
    if (!cli_number("PORT", colon + 1, 1, UINT16_MAX, &port)) return CLI_USAGE;
    memcpy(o->voter_host, argv[2], (size_t)(colon - argv[2]));
    admin_task_init(&o->admin.task, API_ADD_RAFT_VOTER);
    o->voter_at = (struct add_raft_voter_request_listener){
        argc == 4 ? str_of(argv[3]) : STR("CONTROLLER"), str_of(o->voter_host), (uint16_t)port};
    request->cluster_id = STR_NULL;
    request->timeout_ms = o->admin.cli.timeout_ms;
    request->voter_id = (int32_t)id;
    request->voter_directory_id = directory;
    request->listeners = &o->voter_at;
    request->listeners_count = 1;
    o->admin.show = show_changed;
    return cli_admin_run(&o->admin);
}

static int run_remove_controller(struct cluster *o, int argc, char **argv)
{
    struct remove_raft_voter_request *request = &o->admin.task.request.remove_raft_voter;
    struct uuid directory;
    int64_t id;

    if (argc != 2)
        return (int)cli_complain(CLI_USAGE, "cluster quorum remove-controller: ID DIRECTORY");
    if (!voter_key(argv, &id, &directory)) return CLI_USAGE;
    admin_task_init(&o->admin.task, API_REMOVE_RAFT_VOTER);
    request->cluster_id = STR_NULL;
    request->voter_id = (int32_t)id;
    request->voter_directory_id = directory;
    o->admin.show = show_changed;
    return cli_admin_run(&o->admin);
}

static int run_quorum(struct cluster *o, int argc, char **argv)
{
    if (argc == 1) {
        init_quorum(o);
        return cli_admin_run(&o->admin);
    }
    if (strcmp(argv[1], "add-controller") == 0) return run_add_controller(o, argc - 2, argv + 2);
    if (strcmp(argv[1], "remove-controller") == 0)
        return run_remove_controller(o, argc - 2, argv + 2);
    return (int)cli_complain(CLI_USAGE,
                             "cluster quorum: nothing, add-controller or remove-controller?");
}

/* ---- features ------------------------------------------------------------------------------- */

static enum cli_exit show_features(struct cli_admin *admin)
{
    const struct api_versions_response *response = &admin->task.response.api_versions;

    if (admin->task.result != ERR_NONE)
        return cli_complain_err("cluster features", admin->task.result, admin->task.message);
    for (uint32_t i = 0; i < response->supported_features_count; i++) {
        const struct api_versions_response_supported_feature *feature =
            &response->supported_features[i];
        int level = 0;

        for (uint32_t j = 0; j < response->finalized_features_count; j++)
            if (str_equal(response->finalized_features[j].name, feature->name))
                level = response->finalized_features[j].max_version_level;
        printf("Feature: %.*s\tSupported: %d to %d\tFinalized: %d\tEpoch: %lld\n",
               STR_ARG(feature->name), feature->min_version, feature->max_version, level,
               (long long)response->finalized_features_epoch);
    }
    return CLI_FINE;
}

/* upgrade|downgrade [--unsafe] [--dry-run] NAME=LEVEL... */
static int run_update(struct cluster *o, int argc, char **argv)
{
    struct update_features_request *request = &o->admin.task.request.update_features;
    int8_t how = strcmp(argv[0], "upgrade") == 0 ? 1 : 2;
    bool dry = false;
    uint32_t count = 0;

    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        int64_t level;

        if (strcmp(argv[i], "--unsafe") == 0 && how != 1) {
            how = 3;
        } else if (strcmp(argv[i], "--dry-run") == 0) {
            dry = true;
        } else if (equals == NULL || equals == argv[i] || count == FEATURES_MAX) {
            return (int)cli_complain(CLI_USAGE, "cluster features %s: NAME=LEVEL...", argv[0]);
        } else {
            if (!cli_number("LEVEL", equals + 1, 0, INT16_MAX, &level)) return CLI_USAGE;
            update_features_request_feature_update_key_default(&o->updates[count]);
            o->updates[count].feature = (struct str){argv[i], (uint32_t)(equals - argv[i])};
            o->updates[count++].max_version_level = (int16_t)level;
        }
    }
    if (count == 0)
        return (int)cli_complain(CLI_USAGE, "cluster features %s: NAME=LEVEL...", argv[0]);
    for (uint32_t i = 0; i < count; i++)
        o->updates[i].upgrade_type = how;
    admin_task_init(&o->admin.task, API_UPDATE_FEATURES);
    request->timeout_ms = o->admin.cli.timeout_ms;
    request->feature_updates = o->updates;
    request->feature_updates_count = count;
    request->validate_only = dry;
    o->admin.show = show_changed;
    return cli_admin_run(&o->admin);
}

static int run_features(struct cluster *o, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "describe") == 0) {
        admin_task_init(&o->admin.task, API_API_VERSIONS);
        o->admin.show = show_features;
        return cli_admin_run(&o->admin);
    }
    if (argc > 2 && (strcmp(argv[1], "upgrade") == 0 || strcmp(argv[1], "downgrade") == 0))
        return run_update(o, argc - 1, argv + 1);
    return (int)cli_complain(CLI_USAGE, "cluster features: describe, upgrade or downgrade?");
}

/* ---- log directories ------------------------------------------------------------------------ */

static enum cli_exit show_dirs(struct cli_admin *admin)
{
    const struct describe_log_dirs_response *response = &admin->task.response.describe_log_dirs;

    if (!admin->task.answered)
        return cli_complain_err("cluster log-dirs", admin->task.result, admin->task.message);
    for (uint32_t i = 0; i < response->results_count; i++) {
        const struct describe_log_dirs_response_result *dir = &response->results[i];

        printf("Broker: %d\tLogDir: %.*s\tState: %s\n", admin->task.node, STR_ARG(dir->log_dir),
               dir->error_code == 0 ? "online" : err_name(err_from_wire(dir->error_code)));
        for (uint32_t t = 0; t < dir->topics_count; t++) {
            const struct describe_log_dirs_response_topic *topic = &dir->topics[t];

            for (uint32_t p = 0; p < topic->partitions_count; p++)
                printf("\t%.*s-%d\tSize: %lld\tLag: %lld%s\n", STR_ARG(topic->name),
                       topic->partitions[p].partition_index,
                       (long long)topic->partitions[p].partition_size,
                       (long long)topic->partitions[p].offset_lag,
                       topic->partitions[p].is_future_key ? "\tMoves here" : "");
        }
    }
    return CLI_FINE;
}

/* First the nodes, then each of them. */
static enum cli_exit take_nodes(struct cli_admin *admin)
{
    struct cluster *o = CONTAINER_OF(admin, struct cluster, admin);
    struct metadata_response *response = &admin->task.response.metadata;

    if (admin->task.api != API_METADATA) return show_dirs(admin);
    if (!admin->task.answered)
        return cli_complain_err("cluster log-dirs", admin->task.result, NULL);
    sort_brokers(response);
    for (uint32_t i = 0; i < response->brokers_count && i < BROKERS_MAX; i++)
        o->brokers[o->brokers_count++] = response->brokers[i].node_id;
    return CLI_FINE;
}

static bool next_node(struct cli_admin *admin)
{
    struct cluster *o = CONTAINER_OF(admin, struct cluster, admin);

    if (o->brokers_asked == o->brokers_count) return false;
    admin_task_init(&admin->task, API_DESCRIBE_LOG_DIRS);
    admin->task.node = o->brokers[o->brokers_asked++];
    return true;
}

/* ---- elections ------------------------------------------------------------------------------ */

static enum cli_exit show_elected(struct cli_admin *admin)
{
    const struct elect_leaders_response *response = &admin->task.response.elect_leaders;
    enum cli_exit code = CLI_FINE;

    if (!admin->task.answered || response->error_code != 0)
        return cli_complain_err("cluster elect", admin->task.result, admin->task.message);
    for (uint32_t i = 0; i < response->replica_election_results_count; i++) {
        const struct elect_leaders_response_topic *topic = &response->replica_election_results[i];

        for (uint32_t k = 0; k < topic->partition_result_count; k++) {
            enum err err = err_from_wire(topic->partition_result[k].error_code);

            printf("%.*s-%d\t%s\n", STR_ARG(topic->topic), topic->partition_result[k].partition_id,
                   err == ERR_NONE ? "elected" : err_name(err));
            if (err != ERR_NONE && err != ERR_ELECTION_NOT_NEEDED) code = CLI_FAILED;
        }
    }
    return code;
}

static int run_elect(struct cluster *o, int argc, char **argv)
{
    static const struct option options[] = {{"unclean", no_argument, NULL, 'u'},
                                            {NULL, 0, NULL, 0}};
    struct elect_leaders_request *request = &o->admin.task.request.elect_leaders;
    int64_t partition = 0;
    bool unclean = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'u') return (int)cli_bad_option("cluster elect", argv);
        unclean = true;
    }
    if (argc - optind != 0 && argc - optind != 2)
        return (int)cli_complain(CLI_USAGE, "cluster elect: TOPIC PARTITION, or nothing for all");
    admin_task_init(&o->admin.task, API_ELECT_LEADERS);
    request->election_type = unclean ? 1 : 0;
    request->timeout_ms = o->admin.cli.timeout_ms;
    request->topic_partitions_null = argc == optind;
    if (argc - optind == 2) {
        if (!cli_number("PARTITION", argv[optind + 1], 0, INT32_MAX, &partition)) return CLI_USAGE;
        o->elected_partition = (int32_t)partition;
        o->elected.topic = str_of(argv[optind]);
        o->elected.partitions = &o->elected_partition;
        o->elected.partitions_count = 1;
        request->topic_partitions = &o->elected;
        request->topic_partitions_count = 1;
    }
    o->admin.show = show_elected;
    return cli_admin_run(&o->admin);
}

/* ---- unregistration ------------------------------------------------------------------------- */

static enum cli_exit show_unregistered(struct cli_admin *admin)
{
    if (admin->task.result != ERR_NONE)
        return cli_complain_err("cluster unregister", admin->task.result, admin->task.message);
    printf("Broker %d is no longer registered.\n", admin->task.request.unregister_broker.broker_id);
    return CLI_FINE;
}

static int run_unregister(struct cluster *o, int argc, char **argv)
{
    int64_t id;

    if (argc != 2)
        return (int)cli_complain(CLI_USAGE, "cluster unregister: the id of one broker is wanted");
    if (!cli_number("cluster unregister", argv[1], 0, INT32_MAX, &id)) return CLI_USAGE;
    admin_task_init(&o->admin.task, API_UNREGISTER_BROKER);
    o->admin.task.request.unregister_broker.broker_id = (int32_t)id;
    o->admin.show = show_unregistered;
    return cli_admin_run(&o->admin);
}

int cluster_main(struct cli *cli, int argc, char **argv)
{
    struct cluster *o = calloc(1, sizeof *o);
    int code;

    if (o == NULL) return (int)cli_complain(CLI_FAILED, "not enough memory");
    o->admin.cli = *cli;
    if (argc == 2 && strcmp(argv[1], "describe") == 0) {
        init_metadata(&o->admin.task);
        o->admin.show = show_cluster;
        code = cli_admin_run(&o->admin);
    } else if (argc >= 2 && strcmp(argv[1], "quorum") == 0) {
        code = run_quorum(o, argc - 1, argv + 1);
    } else if (argc >= 2 && strcmp(argv[1], "features") == 0) {
        code = run_features(o, argc - 1, argv + 1);
    } else if (argc == 2 && strcmp(argv[1], "log-dirs") == 0) {
        init_metadata(&o->admin.task);
        o->admin.show = take_nodes;
        o->admin.more = next_node;
        code = cli_admin_run(&o->admin);
    } else if (argc >= 2 && strcmp(argv[1], "elect") == 0) {
        code = run_elect(o, argc - 1, argv + 1);
    } else if (argc >= 2 && strcmp(argv[1], "unregister") == 0) {
        code = run_unregister(o, argc - 1, argv + 1);
    } else if (argc >= 2 && strcmp(argv[1], "reassign") == 0) {
        code = cluster_reassign(cli, argc - 1, argv + 1);
    } else {
        code = (int)cli_complain(CLI_USAGE, "cluster: describe, quorum, features, log-dirs, elect, "
                                            "reassign or unregister?");
    }
    free(o);
    return code;
}
