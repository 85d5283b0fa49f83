/* gregor configs describe|alter topic NAME | broker [ID] */
#include "client/cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGES_MAX = 64, RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };
enum { OPERATION_SET = 0, OPERATION_DELETE = 1 };
enum { SOURCE_DEFAULT = 5 };

struct configs {
    struct cli_admin admin;
    bool all; /* defaults as well */
    struct describe_configs_request_resource asked;
    struct incremental_alter_configs_request_resource resource;
    struct incremental_alter_configs_request_config changes[CHANGES_MAX];
    uint32_t changes_count;
};

static const char *source_name(int8_t source)
{
    static const char *const names[] = {
        "unknown",           "topic",   "broker",       "all brokers",
        "server.properties", "default", "broker logger"};

    return source >= 0 && (size_t)source < COUNT_OF(names) ? names[source] : names[0];
}

static enum cli_exit show_configs(struct cli_admin *admin)
{
    const struct configs *o = CONTAINER_OF(admin, struct configs, admin);
    const struct describe_configs_response *response = &admin->task.response.describe_configs;

    if (admin->task.result != ERR_NONE)
        return cli_complain_err("configs describe", admin->task.result, admin->task.message);
    for (uint32_t i = 0; i < response->results_count; i++) {
        for (uint32_t k = 0; k < response->results[i].configs_count; k++) {
            const struct describe_configs_response_config *config =
                &response->results[i].configs[k];

            if (!o->all && config->config_source == SOURCE_DEFAULT) continue;
            printf("%.*s=%.*s\t%s%s\n", STR_ARG(config->name), STR_ARG(config->value),
                   source_name(config->config_source), config->read_only ? "\tread-only" : "");
        }
    }
    return CLI_FINE;
}

static enum cli_exit show_change(struct cli_admin *admin)
{
    if (admin->task.result != ERR_NONE)
        return cli_complain_err("configs alter", admin->task.result, admin->task.message);
    return CLI_FINE;
}

/* topic NAME | broker [ID]; how many words that were, 0: none that fit. */
static int parse_resource(int argc, char **argv, int8_t *type, struct str *name)
{
    if (argc >= 2 && strcmp(argv[0], "topic") == 0) {
        *type = RESOURCE_TOPIC;
        *name = str_of(argv[1]);
        return 2;
    }
    if (argc >= 1 && strcmp(argv[0], "broker") == 0) {
        *type = RESOURCE_BROKER;
        *name = argc >= 2 ? str_of(argv[1]) : STR("");
        return argc >= 2 ? 2 : 1;
    }
    return 0;
}

static int run_describe(struct configs *o, int argc, char **argv)
{
    static const struct option options[] = {{"all", no_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};
    struct describe_configs_request *request;
    int64_t id = -1;
    int used;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'a') return (int)cli_bad_option("configs describe", argv);
        o->all = true;
    }
    used = parse_resource(argc - optind, argv + optind, &o->asked.resource_type,
                          &o->asked.resource_name);
    if (used == 0 || used != argc - optind)
        return (int)cli_complain(CLI_USAGE, "configs describe: topic NAME, or broker [ID]");
    admin_task_init(&o->admin.task, API_DESCRIBE_CONFIGS);
    if (o->asked.resource_type == RESOURCE_BROKER && o->asked.resource_name.length > 0) {
        if (!cli_number("broker", argv[argc - 1], 0, INT32_MAX, &id)) return CLI_USAGE;
        o->admin.task.node = (int32_t)id; /* it alone knows its own file */
    }
    o->asked.configuration_keys_null = true;
    request = &o->admin.task.request.describe_configs;
    request->resources = &o->asked;
    request->resources_count = 1;
    o->admin.show = show_configs;
    return cli_admin_run(&o->admin);
}

static bool add_change(struct configs *o, char *text, int8_t operation)
{
    struct incremental_alter_configs_request_config *change = &o->changes[o->changes_count];
    char *equals = strchr(text, '=');

    if (o->changes_count == CHANGES_MAX) {
        cli_complain(CLI_USAGE, "configs alter: more than %d changes", CHANGES_MAX);
        return false;
    }
    if (operation == OPERATION_SET && (equals == NULL || equals == text)) {
        cli_complain(CLI_USAGE, "--set: '%s' is not key=value", text);
        return false;
    }
    change->config_operation = operation;
    change->name = str_of(text);
    change->value = STR_NULL;
    if (operation == OPERATION_SET) {
        change->name.length = (uint32_t)(equals - text);
        change->value = str_of(equals + 1);
    }
    o->changes_count++;
    return true;
}

static int run_alter(struct configs *o, int argc, char **argv)
{
    static const struct option options[] = {{"set", required_argument, NULL, 's'},
                                            {"delete", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    struct incremental_alter_configs_request *request;
    int used;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 's' && option != 'd') return (int)cli_bad_option("configs alter", argv);
        if (!add_change(o, optarg, option == 's' ? OPERATION_SET : OPERATION_DELETE))
            return CLI_USAGE;
    }
    used = parse_resource(argc - optind, argv + optind, &o->resource.resource_type,
                          &o->resource.resource_name);
    if (used == 0 || used != argc - optind)
        return (int)cli_complain(CLI_USAGE, "configs alter: topic NAME, or broker [ID]");
    if (o->changes_count == 0)
        return (int)cli_complain(CLI_USAGE, "configs alter: wants --set k=v or --delete k");
    admin_task_init(&o->admin.task, API_INCREMENTAL_ALTER_CONFIGS);
    o->resource.configs = o->changes;
    o->resource.configs_count = o->changes_count;
    request = &o->admin.task.request.incremental_alter_configs;
    request->resources = &o->resource;
    request->resources_count = 1;
    o->admin.show = show_change;
    return cli_admin_run(&o->admin);
}

int configs_main(struct cli *cli, int argc, char **argv)
{
    struct configs *o = calloc(1, sizeof *o);
    int code;

    if (o == NULL) return (int)cli_complain(CLI_FAILED, "not enough memory");
    o->admin.cli = *cli;
    if (argc >= 2 && strcmp(argv[1], "describe") == 0) {
        code = run_describe(o, argc - 1, argv + 1);
    } else if (argc >= 2 && strcmp(argv[1], "alter") == 0) {
        code = run_alter(o, argc - 1, argv + 1);
    } else {
        code = (int)cli_complain(CLI_USAGE, "configs: describe or alter?");
    }
    free(o);
    return code;
}
