/* gregor-broker: one node on real sockets and files. Reads the command line and the configuration,
 * makes the world, runs the node in it until SIGTERM. */
#include "broker/dump_command.h"
#include "broker/node.h"

#include "client/base/text.h"
#include "client/posix/codecs.h"
#include "client/posix/posix_recorder.h"
#include "client/posix/posix_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef GREGOR_VERSION
#define GREGOR_VERSION "0.1.0"
#endif

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { CONFIG_FILE_MAX = 1 << 20, SETTINGS_MAX = 256 };
/* Descriptors that are neither connections nor files; the fewest files a node gets on with. */
enum { MAIN_DESCRIPTORS = 64, MAIN_FILES_MIN = 1024 };

/* Address space of a node; pages come at first touch. The payload budget is part of it. */
#define MAIN_REGION_BASE ((size_t)1 << 30)

struct options {
    const char *config_file;
    const char *data_dir;
    const char *listen;
    const char *trace_file;
    const char *cluster_id;          /* format */
    const char *initial_controllers; /* format */
    int format_flags;                /* how many say who votes */
    enum node_format_voters format_voters;
    const char *settings[SETTINGS_MAX];
    int settings_count;
    bool format;
    bool ignore_formatted;
};

static const char usage_text[] =
    "usage: gregor-broker [server.properties] [--data-dir DIR] [--listen HOST:PORT]\n"
    "                     [--set key=value]... [--trace FILE]\n"
    "       gregor-broker format --cluster-id ID [--initial-controllers ID@HOST:PORT:DIRECTORY,... "
    "|\n"
    "                     --standalone | --no-initial-controllers] [--ignore-formatted] "
    "server.properties\n"
    "       gregor-broker dump-log [--digest] [--to HW|OFFSET] FILE|DIR...\n"
    "       gregor-broker dump-log --compare [--to HW|OFFSET] DIR DIR...\n"
    "\n"
    "Without a configuration: one node, broker and controller, on 127.0.0.1:9092, with its data "
    "in\n"
    "./gregor-data, formatted at the first start. With one, keys are Kafka's.\n"
    "format --ignore-formatted goes on where an earlier format was interrupted.\n"
    "--trace records every event into a trace file, as the simulator writes them.\n"
    "SIGTERM stops it in order. Prints \"ready HOST:PORT node=N\" when it serves.\n"
    "Exit: 0 stopped in order, 1 it could not be done, 2 wrong use, 3 internal error.\n";

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "gregor-broker: %s%s%s; see gregor-broker --help\n", what,
            which != NULL ? ": " : "", which != NULL ? which : "");
    return EXIT_USAGE;
}

/* 0, or an exit code; -1: done (help, version). */
static int parse_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        const char **value = NULL;

        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            fputs(usage_text, stdout);
            return -1;
        }
        if (strcmp(arg, "--version") == 0) {
            puts("gregor-broker " GREGOR_VERSION);
            return -1;
        }
        if (i == 1 && strcmp(arg, "format") == 0) {
            options->format = true;
            continue;
        }
        if (strcmp(arg, "--data-dir") == 0) {
            value = &options->data_dir;
        } else if (strcmp(arg, "--listen") == 0) {
            value = &options->listen;
        } else if (strcmp(arg, "--trace") == 0) {
            value = &options->trace_file;
        } else if (strcmp(arg, "--cluster-id") == 0 && options->format) {
            value = &options->cluster_id;
        } else if (strcmp(arg, "--initial-controllers") == 0 && options->format) {
            value = &options->initial_controllers;
            options->format_voters = NODE_FORMAT_INITIAL;
            options->format_flags++;
        } else if (strcmp(arg, "--standalone") == 0 && options->format) {
            options->format_voters = NODE_FORMAT_STANDALONE;
            options->format_flags++;
            continue;
        } else if (strcmp(arg, "--no-initial-controllers") == 0 && options->format) {
            options->format_voters = NODE_FORMAT_NO_INITIAL;
            options->format_flags++;
            continue;
        } else if (strcmp(arg, "--ignore-formatted") == 0 && options->format) {
            options->ignore_formatted = true;
            continue;
        } else if (strcmp(arg, "--set") == 0 || strcmp(arg, "--override") == 0) {
            if (options->settings_count == SETTINGS_MAX) return usage_error("too many --set", NULL);
            value = &options->settings[options->settings_count++];
        }
        if (value != NULL) {
            if (i + 1 == argc) return usage_error("needs a value", arg);
            *value = argv[++i];
        } else if (arg[0] == '-') {
            return usage_error("unknown option", arg);
        } else if (options->config_file != NULL) {
            return usage_error("more than one configuration file", arg);
        } else {
            options->config_file = arg;
        }
    }
    if (options->format_flags > 1) {
        return usage_error("only one of --initial-controllers, --standalone and "
                           "--no-initial-controllers may be given",
                           NULL);
    }
    if (options->format && (options->cluster_id == NULL || options->config_file == NULL)) {
        return usage_error("format needs --cluster-id ID and a configuration file", NULL);
    }
    return 0;
}

/* The whole file, or a message on stderr and NULL. */
static char *read_file(const char *path, size_t *length)
{
    char *text = malloc(CONFIG_FILE_MAX);
    size_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || text == NULL) {
        fprintf(stderr, "gregor-broker: %s: %s\n", path, strerror(errno));
        free(text);
        if (fd >= 0) close(fd);
        return NULL;
    }
    for (;;) {
        ssize_t n = read(fd, text + got, CONFIG_FILE_MAX - got);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
        if (got == CONFIG_FILE_MAX) break;
    }
    close(fd);
    *length = got;
    return text;
}

/* `at`: the message begins with a line of the file. */
static int config_error(const struct options *options, const struct errmsg *error, bool at)
{
    fprintf(stderr, "gregor-broker: %s%s%s\n", options->config_file ? options->config_file : "",
            options->config_file == NULL ? "" : (at ? ":" : ": "), error->text);
    return EXIT_USAGE;
}

static int apply_setting(struct config *config, const char *setting,
                         struct config_warnings *warnings, struct errmsg *error)
{
    const char *equals = strchr(setting, '=');

    if (equals == NULL) return usage_error("--set wants key=value", setting);
    if (config_set(config, (struct str){setting, (uint32_t)(equals - setting)}, str_of(equals + 1),
                   warnings, error) != ERR_NONE) {
        fprintf(stderr, "gregor-broker: --set %s\n", error->text);
        return EXIT_USAGE;
    }
    return 0;
}

static int apply_listen(struct config *config, const char *listen, struct config_warnings *warnings,
                        struct errmsg *error)
{
    char value[CONFIG_HOST_MAX + 32];
    struct config only = *config;

    snprintf(value, sizeof value, "PLAINTEXT://%s", listen);
    if (config_set(&only, STR("listeners"), str_of(value), warnings, error) != ERR_NONE) {
        fprintf(stderr, "gregor-broker: --listen %s: HOST:PORT is wanted\n", listen);
        return EXIT_USAGE;
    }
    config->listeners[0] = only.listeners[0]; /* the other listeners stay */
    return 0;
}

static int load_config(const struct options *options, struct config *config)
{
    struct config_warnings *warnings = calloc(1, sizeof *warnings);
    struct errmsg error;
    int status = 0;

    if (warnings == NULL) return EXIT_FAILED;
    if (options->config_file == NULL) {
        config_default(config);
    } else {
        size_t length;
        char *text = read_file(options->config_file, &length);

        if (text == NULL) {
            free(warnings);
            return EXIT_USAGE;
        }
        if (config_parse(config, (struct str){text, (uint32_t)length}, warnings, &error) !=
            ERR_NONE) {
            status = config_error(options, &error, true);
        }
        free(text);
    }
    if (status == 0 && options->listen != NULL) {
        status = apply_listen(config, options->listen, warnings, &error);
    }
    for (int i = 0; status == 0 && i < options->settings_count; i++) {
        status = apply_setting(config, options->settings[i], warnings, &error);
    }
    if (status == 0 && options->data_dir != NULL) {
        if (config_set(config, STR("log.dirs"), str_of(options->data_dir), warnings, &error) !=
            ERR_NONE) {
            status = config_error(options, &error, false);
        }
    }
    if (status == 0 && config_finish(config, &error) != ERR_NONE) {
        status = config_error(options, &error, false);
    }
    for (uint32_t i = 0; status == 0 && i < warnings->count && i < CONFIG_WARNINGS_MAX; i++) {
        fprintf(stderr, "gregor-broker: warning: %s\n", warnings->text[i].text);
    }
    free(warnings);
    return status;
}

/* ---- running --------------------------------------------------------------------------------- */

struct process {
    struct posix_trace_taker taker;
    struct world_req signal;
    struct posix_world *world;
    struct node *node;
    struct config config;
    uint64_t logs;       /* opened until the node was ready */
    uint64_t logs_clean; /* of them after an orderly stop */
    bool ready;
};

/* Each has a line of its own only while they are few (posix_trace.h). */
static void process_say_logs(const struct process *process)
{
    char buffer[120];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "opened %U logs, %U of them as an orderly stop left them", process->logs,
                process->logs_clean);
    trace_emit(&process->world->world, TRACE_NODE_NOTE, text_view(&text), NULL, 0); /* no fields */
}

/* One line for who waits: the node serves. */
static void process_take(struct posix_trace_taker *taker, struct instant now, int32_t node_id,
                         const struct trace_event *event)
{
    struct process *process = CONTAINER_OF(taker, struct process, taker);
    const struct config_endpoint *endpoint;

    (void)now;
    if (event->kind == TRACE_LOG_OPENED && !process->ready) {
        process->logs++;
        process->logs_clean += event->fields[6] != 0;
    }
    if (event->kind != TRACE_NODE_READY) return;
    process->ready = true;
    process_say_logs(process);
    endpoint = config_broker_endpoint(&process->config);
    printf("ready %s:%d node=%d\n",
           endpoint != NULL && endpoint->host[0] != '\0' ? endpoint->host : "127.0.0.1",
           (int)event->fields[0], (int)node_id);
    fflush(stdout);
}

static void process_signal(struct world_req *req, struct instant now)
{
    struct process *process = CONTAINER_OF(req, struct process, signal);

    (void)now;
    node_stop(process->node);
    posix_world_on_signal(process->world, &process->signal); /* a second one hurries */
}

/* What ended it is the last line, in words for people; the log has said it in its own. */
static int run_world(struct process *process, const struct errmsg *message)
{
    int status = posix_world_run(process->world);

    if (status != 0 && message->text[0] != '\0') {
        fprintf(stderr, "gregor-broker: %s\n", message->text);
    }
    posix_world_destroy(process->world);
    return status;
}

static int run_node(struct process *process, bool alone)
{
    struct world *world = &process->world->world;
    struct errmsg error;

    process->node = region_take(world->region, sizeof *process->node, 64);
    if (process->node == NULL ||
        node_start(process->node, world, &process->config, alone, &error) != ERR_NONE) {
        fprintf(stderr, "gregor-broker: %s\n",
                process->node == NULL ? "no memory for a node" : error.text);
        return EXIT_FAILED;
    }
    world_req_init(&process->signal, process_signal);
    posix_world_on_signal(process->world, &process->signal);
    return run_world(process, &process->node->message);
}

static int run_format(struct process *process, const struct options *options)
{
    struct world *world = &process->world->world;
    struct node_format *format = region_take(world->region, sizeof *format, 64);
    struct str initial = STR_NULL;
    struct errmsg error;
    enum err err = ERR_NO_MEMORY;

    if (options->initial_controllers != NULL) initial = str_of(options->initial_controllers);
    if (format != NULL)
        err = node_format_start(format, world, &process->config, str_of(options->cluster_id),
                                options->format_voters, initial, options->ignore_formatted, &error);
    if (err != ERR_NONE) {
        fprintf(stderr, "gregor-broker: %s\n", format == NULL ? "no memory" : error.text);
        return err == ERR_BAD_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    }
    return run_world(process, &format->dir.message);
}

/* As many descriptors as the system allows; connections first, files with what is left. */
static void use_descriptors(struct posix_options *world)
{
    struct rlimit limit;
    rlim_t others = (rlim_t)world->connections_max + MAIN_DESCRIPTORS;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    if (limit.rlim_cur < others + MAIN_FILES_MIN) {
        world->files_max = MAIN_FILES_MIN;
    } else if (limit.rlim_cur - others < world->files_max) {
        world->files_max = (uint32_t)(limit.rlim_cur - others);
    }
}

static int run_broker(int argc, char **argv)
{
    struct process *process = calloc(1, sizeof *process);
    struct options options = {.config_file = NULL};
    struct posix_options world = posix_options_default();
    static struct codecs codecs;
    struct posix_recorder *recorder = NULL;
    int status;

    if (process == NULL) return EXIT_FAILED;
    status = parse_options(argc, argv, &options);
    if (status == 0) status = load_config(&options, &process->config);
    if (status != 0) {
        free(process);
        return status < 0 ? EXIT_FINE : status;
    }
    process->taker.take = process_take;
    world.region_size = MAIN_REGION_BASE + 2 * (size_t)process->config.queued_max_request_bytes;
    world.connections_max = (uint32_t)process->config.max_connections + 512;
    use_descriptors(&world);
    world.signals = true;
    world.log_fd = options.format ? -1 : STDERR_FILENO;
    world.taker = &process->taker;
    if (options.trace_file != NULL) {
        recorder = posix_recorder_create(options.trace_file, &process->taker);
        if (recorder == NULL) {
            fprintf(stderr, "gregor-broker: --trace %s: %s\n", options.trace_file, strerror(errno));
            free(process);
            return EXIT_FAILED;
        }
        world.taker = &recorder->taker;
    }
    if (codecs_create(&codecs) != ERR_NONE ||
        posix_world_create(&world, &process->world) != ERR_NONE) {
        fprintf(stderr, "gregor-broker: cannot make a world: %s\n", strerror(errno));
        free(process);
        return EXIT_FAILED;
    }
    process->world->world.codecs = &codecs;
    status = options.format ? run_format(process, &options)
                            : run_node(process, options.config_file == NULL);
    posix_recorder_destroy(recorder);
    codecs_destroy(&codecs);
    free(process);
    return status;
}

/* ---- dump-log -------------------------------------------------------------------------------- */

static void dump_out_line(struct dump_sink *sink, struct str line)
{
    (void)sink;
    fwrite(line.data, 1, line.length, stdout);
    putchar('\n');
}

static void dump_out_error(struct dump_sink *sink, struct str line)
{
    (void)sink;
    fflush(stdout);
    fprintf(stderr, "gregor-broker: %.*s\n", (int)line.length, line.data);
}

static int run_dump(int argc, char **argv)
{
    struct posix_options options = posix_options_default();
    struct dump_sink sink = {.line = dump_out_line, .error = dump_out_error};
    struct dump_request request;
    struct dump_command *command;
    struct posix_world *world;
    struct errmsg error;
    int status;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage_text, stdout);
            return EXIT_FINE;
        }
    }
    if (dump_parse(&request, argc, argv, &error) != ERR_NONE) return usage_error(error.text, NULL);
    options.region_size = MAIN_REGION_BASE;
    options.log_fd = -1;
    if (posix_world_create(&options, &world) != ERR_NONE) {
        fprintf(stderr, "gregor-broker: cannot make a world: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    command = region_take(world->world.region, sizeof *command, 64);
    if (command == NULL ||
        dump_command_start(command, &world->world, &request, &sink) != ERR_NONE) {
        fprintf(stderr, "gregor-broker: no memory\n");
        return EXIT_FAILED;
    }
    status = posix_world_run(world);
    posix_world_destroy(world);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "gregor-broker: cannot write: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "dump-log") == 0) return run_dump(argc - 2, argv + 2);
    return run_broker(argc, argv);
}
