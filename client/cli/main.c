#include "client/cli/cli.h"

#include "client/cli/kafka.h"
#include "client/gregor_internal.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A bug: the line says which, the code says so. */
_Noreturn void assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "gregor: internal error: %s (%s:%d)\n", expression, file, line);
    exit(CLI_INTERNAL);
}

enum cli_exit cli_complain(enum cli_exit code, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("gregor: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return code;
}

enum cli_exit cli_complain_err(const char *what, enum err err, const char *message)
{
    const char *more = message != NULL && message[0] != 0 ? message : err_text(err);

    return cli_complain(CLI_FAILED, "%s: %s%s%s", what, err_name(err), more[0] != 0 ? ": " : "",
                        more);
}

enum cli_exit cli_bad_option(const char *command, char *const *argv)
{
    const char *word = argv[optind - 1];
    char letter[] = {'-', (char)optopt, 0};

    if (word[0] != '-') word = letter; /* one of several behind one dash */
    return cli_complain(CLI_USAGE,
                        "%s: '%s': no such option, or its value is missing; see gregor --help",
                        command, word);
}

bool cli_number(const char *option, const char *text, int64_t low, int64_t high, int64_t *value)
{
    char *end = NULL;
    long long number = strtoll(text, &end, 10);

    if (end == text || *end != 0 || number < low || number > high) {
        cli_complain(CLI_USAGE, "%s: '%s' is not a number from %lld to %lld", option, text,
                     (long long)low, (long long)high);
        return false;
    }
    *value = number;
    return true;
}

void cli_metadata_config(const struct cli *cli, struct metadata_config *config)
{
    metadata_config_default(config);
    config->bootstrap = str_of(cli->bootstrap);
    config->auto_create = false;
}

struct gregor_config *cli_properties(const struct cli *cli)
{
    struct gregor_config *config = gregor_config_new();

    if (config == NULL) {
        cli_complain(CLI_FAILED, "not enough memory");
        return NULL;
    }
    if (cli_set_one(config, "bootstrap.servers", cli->bootstrap)) return config;
    gregor_config_free(config);
    return NULL;
}

bool cli_set_one(struct gregor_config *config, const char *key, const char *value)
{
    char why[GREGOR_TEXT_MAX + 1] = "";

    if (gregor_config_set(config, key, value, why, sizeof why) == GREGOR_OK) return true;
    cli_complain(CLI_USAGE, "%s", why);
    return false;
}

bool cli_set(struct gregor_config *config, const char *setting)
{
    const char *equals = strchr(setting, '=');
    char *key;
    bool good;

    if (equals == NULL) {
        cli_complain(CLI_USAGE, "--set: '%s' is not property=value", setting);
        return false;
    }
    key = strndup(setting, (size_t)(equals - setting));
    good = key != NULL && cli_set_one(config, key, equals + 1);
    free(key);
    return good;
}

bool cli_load(struct gregor_config *config, const char *path)
{
    char why[GREGOR_TEXT_MAX + 1] = "";

    if (gregor_config_load(config, path, why, sizeof why) == GREGOR_OK) return true;
    cli_complain(CLI_USAGE, "%s", why);
    return false;
}

/* ---- running -------------------------------------------------------------------------------- */

static void cli_started(struct env *env)
{
    struct cli *cli = CONTAINER_OF(env, struct cli, env);

    cli->begin(cli);
}

int cli_run(struct cli *cli, void (*begin)(struct cli *cli))
{
    struct posix_options options = posix_options_default();
    struct env_limits limits = {.ops_max = 100000, .payload_bytes = (size_t)512 << 20};
    int status = CLI_FAILED;

    options.region_size = (size_t)2 << 30;
    options.connections_max = 1000;
    options.disk_workers = 1;
    options.compute_workers = 1;
    options.log_fd = -1;
    options.signals = cli->signals;
    cli->begin = begin;
    if (codecs_create(&cli->codecs) != ERR_NONE)
        return (int)cli_complain(CLI_FAILED, "not enough memory for the compression libraries");
    if (posix_world_create(&options, &cli->posix) != ERR_NONE) {
        codecs_destroy(&cli->codecs);
        return (int)cli_complain(CLI_FAILED, "the operating system refused an event loop");
    }
    cli->posix->world.codecs = &cli->codecs;
    cli->posix->world.cpu = codecs_cpu();
    if (env_init(&cli->env, &cli->posix->world, &limits, cli_started) == ERR_NONE) {
        status = posix_world_run(cli->posix);
    } else {
        cli_complain(CLI_FAILED, "not enough memory");
    }
    posix_world_destroy(cli->posix);
    codecs_destroy(&cli->codecs);
    if (fflush(stdout) != 0 && status == CLI_FINE)
        status = (int)cli_complain(CLI_FAILED, "writing to stdout failed");
    return status;
}

void cli_end(struct cli *cli, enum cli_exit code)
{
    world_stop(cli->env.world, (int)code);
}

/* ---- admin commands ------------------------------------------------------------------------- */

enum cli_admin_step { CLI_ADMIN_START, CLI_ADMIN_DONE, CLI_ADMIN_CLOSED, CLI_ADMIN_STEPS };
static const char *const cli_admin_steps[CLI_ADMIN_STEPS] = {"START", "DONE", "CLOSED"};

/* Shows what came; the worst code counts. True: there is another task. */
static bool cli_admin_told(struct cli_admin *o)
{
    enum cli_exit code = o->show(o);
    if (code > o->code) o->code = code;
    admin_task_release(&o->task);
    return code == CLI_FINE && o->more != NULL && o->more(o);
}

static enum op_result cli_admin_step(struct op *op)
{
    struct cli_admin *o = CONTAINER_OF(op, struct cli_admin, op);

    switch ((enum cli_admin_step)op->step) {
    case CLI_ADMIN_START:
        do {
            o->task.timeout_ms = o->cli.timeout_ms;
            admin_start(&o->admin, &o->task);
            AWAIT(o, CLI_ADMIN_DONE, &o->task.done, o->task.finished);
        } while (cli_admin_told(o));
        metadata_close(&o->admin.metadata);
        AWAIT(o, CLI_ADMIN_CLOSED, &o->admin.metadata.changed, metadata_closed(&o->admin.metadata));
        admin_deinit(&o->admin);
        cli_end(&o->cli, o->code);
        return OP_DONE;
    case CLI_ADMIN_STEPS: break;
    }
    IMPOSSIBLE("step");
}

static void cli_admin_begin(struct cli *cli)
{
    static const struct op_kind kind = {"cli.admin", cli_admin_steps, CLI_ADMIN_STEPS,
                                        cli_admin_step, NULL};
    struct cli_admin *command = CONTAINER_OF(cli, struct cli_admin, cli);
    struct metadata_config config;
    enum err err;

    cli_metadata_config(cli, &config);
    err = admin_init(&command->admin, &cli->env, &config);
    if (err != ERR_NONE) {
        cli_end(cli, cli_complain(CLI_USAGE, "-b '%s': not a list of HOST:PORT", cli->bootstrap));
        return;
    }
    op_start(&cli->env.loop, &command->op, &kind, CLI_ADMIN_START);
}

int cli_admin_run(struct cli_admin *command)
{
    return cli_run(&command->cli, cli_admin_begin);
}

/* ---- arguments ------------------------------------------------------------------------------ */

static void usage(FILE *out)
{
    fputs(
        "usage: gregor [-b HOST:PORT,...] [--timeout SECONDS] COMMAND ...\n"
        "\n"
        "  topics list                      names of all topics\n"
        "  topics create NAME [--partitions N] [--replicas N] [--config k=v]... [--if-not-exists]\n"
        "  topics describe [NAME...]        partitions, leaders, replicas, settings\n"
        "  topics alter NAME --partitions N more partitions\n"
        "  topics delete NAME... [--if-exists]\n"
        "  produce TOPIC [-k SEP] [--acks all|1|0] [--partition N] [--file F]\n"
        "          [--sync] [--compression C] [--set property=value]... [--config-file F]\n"
        "                                   one record per line of stdin\n"
        "  consume TOPIC [--from beginning|end|OFFSET|TIME] [--partition N] [--count N]\n"
        "                [--exit-at-end] [--quiet MS] [--null TEXT] [--summary] [--format FMT]\n"
        "                [--set property=value]... [--config-file F]\n"
        "                                   FMT: %t topic %p partition %o offset %k key %s value\n"
        "                                   %T time %h headers %e epoch %K %S lengths\n"
        "  consume TOPIC -g GROUP [--from beginning|end] [--assignor NAME,...]\n"
        "                [--group-protocol classic|consumer] [--instance ID]\n"
        "                [--session-timeout MS] ...\n"
        "                                   as a member; what was printed is committed\n"
        "  groups list [--state]            all groups\n"
        "  groups describe GROUP... | --all [--members | --state]\n"
        "                                   offsets and lag, members, or state\n"
        "  groups delete GROUP...           groups without members\n"
        "  groups reset-offsets GROUP (--topic T[:P,...] | --all-topics) [--execute]\n"
        "         --to-earliest | --to-latest | --to-current | --to-offset N | --shift-by N |\n"
        "         --to-datetime TIME        where the group goes on; shown without --execute\n"
        "  configs describe topic NAME | broker [ID] [--all]\n"
        "                                   settings and where they come from\n"
        "  configs alter topic NAME | broker [ID] [--set k=v]... [--delete k]...\n"
        "  cluster describe                 nodes of the cluster\n"
        "  cluster quorum                   controllers and how far each is\n"
        "  cluster quorum add-controller ID DIRECTORY HOST:PORT [LISTENER]\n"
        "  cluster quorum remove-controller ID DIRECTORY\n"
        "  cluster features describe\n"
        "  cluster features upgrade|downgrade [--unsafe] [--dry-run] NAME=LEVEL...\n"
        "  cluster log-dirs                 what stands in the log directories\n"
        "  cluster elect [--unclean] [TOPIC PARTITION]\n"
        "                                   leaders anew: the preferred ones\n"
        "  cluster reassign generate|execute|verify|cancel|list ...\n"
        "                                   replicas on other brokers; cluster reassign --help\n"
        "  cluster unregister ID            a broker that will not come back\n"
        "  txn list|describe|abort          not there yet: gregor-broker coordinates no "
        "transactions\n"
        "  bench produce TOPIC [--records N] [--size BYTES] [--acks all|1|0] [--compression C]\n"
        "  bench consume TOPIC [--records N]\n"
        "                                   records a second, CPU and latency;\n"
        "                                   --set property=value as in client/README.md\n"
        "\n"
        "  -b, --bootstrap LIST   where to find the cluster (127.0.0.1:9092)\n"
        "      --timeout SECONDS  how long to try (30)\n"
        "      --help, --version\n"
        "\n"
        "Exit codes: 0 fine, 1 it could not be done, 2 wrong use, 3 internal error.\n",
        out);
}

static int dispatch(struct cli *cli, int argc, char **argv);

/* Kafka's words become ours. */
static int run_script(struct cli *cli, int argc, char **argv)
{
    struct kafka_words words;
    int code = kafka_translate(&words, argc, argv);

    if (code != CLI_FINE) return code;
    cli->bootstrap = words.bootstrap;
    if (words.timeout_ms > 0) cli->timeout_ms = (int32_t)words.timeout_ms;
    optind = 0;
    return dispatch(cli, words.count, words.words);
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct cli *cli, int argc, char **argv);
    } commands[] = {{"topics", topics_main},   {"configs", configs_main}, {"cluster", cluster_main},
                    {"produce", produce_main}, {"consume", consume_main}, {"groups", groups_main},
                    {"bench", bench_main},     {"txn", txn_main}};

    if (argc == 0) return (int)cli_complain(CLI_USAGE, "no command; see gregor --help");
    if (kafka_is_script(argv[0])) return run_script(cli, argc, argv);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(argv[0], commands[i].name) == 0) return commands[i].run(cli, argc, argv);
    return (int)cli_complain(CLI_USAGE, "no command '%s'; see gregor --help", argv[0]);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"bootstrap", required_argument, NULL, 'b'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    struct cli cli = {.bootstrap = "127.0.0.1:9092", .timeout_ms = 30000};
    int64_t seconds = 0;
    bool own_help;
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+b:h", options, NULL)) != -1) {
        switch (option) {
        case 'b': cli.bootstrap = optarg; break;
        case 't':
            if (!cli_number("--timeout", optarg, 1, 86400, &seconds)) return CLI_USAGE;
            cli.timeout_ms = (int32_t)seconds * 1000;
            break;
        case 'h': usage(stdout); return CLI_FINE;
        case 'v': puts("gregor " GREGOR_VERSION); return CLI_FINE;
        default:
            return (int)cli_complain(CLI_USAGE,
                                     "'%s': no such option, or its value is missing; "
                                     "see gregor --help",
                                     argv[optind - 1]);
        }
    }
    own_help = argc - optind > 1 && strcmp(argv[optind], "cluster") == 0 &&
               strcmp(argv[optind + 1], "reassign") == 0;
    for (int i = optind; i < argc && !own_help; i++)
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return CLI_FINE;
        }
    argc -= optind;
    argv += optind;
    optind = 0; /* glibc: begin anew */
    return dispatch(&cli, argc, argv);
}
