/* gregor cluster describe */
#include "client/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_id(const void *left, const void *right)
{
    const struct metadata_response_broker *a = left;
    const struct metadata_response_broker *b = right;

    return (a->node_id > b->node_id) - (a->node_id < b->node_id);
}

static enum cli_exit show_cluster(struct cli_admin *admin)
{
    struct metadata_response *response = &admin->task.response.metadata;

    if (!admin->task.answered) return cli_complain_err("cluster", admin->task.result, NULL);
    if (response->brokers_count > 1)
        qsort(response->brokers, response->brokers_count, sizeof *response->brokers, by_id);
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

int cluster_main(struct cli *cli, int argc, char **argv)
{
    struct cli_admin *command;
    int code;

    if (argc != 2 || strcmp(argv[1], "describe") != 0)
        return (int)cli_complain(CLI_USAGE, "cluster: describe?");
    command = calloc(1, sizeof *command);
    if (command == NULL) return (int)cli_complain(CLI_FAILED, "not enough memory");
    command->cli = *cli;
    command->show = show_cluster;
    admin_task_init(&command->task, API_METADATA);
    /* no topics, only nodes */
    command->task.request.metadata.topics_null = false;
    code = cli_admin_run(command);
    free(command);
    return code;
}
