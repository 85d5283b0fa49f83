/* gregor consume: records of a topic, one line each unless --format says otherwise. */
#include "client/cli/cli.h"
#include "client/consumer.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TURN_RECORDS = 10000 };

struct consume {
    struct cli cli;
    struct consumer consumer;
    struct consumer_config config;
    struct consumer_start start;
    struct metadata_topic *topic;
    struct op op;
    const char *name;
    const char *format;
    int64_t partition; /* -1: all */
    int64_t count;     /* -1: no limit */
    bool exit_at_end;
    bool pipe_closed;
    enum cli_exit code;
};

enum consume_step { CONSUME_START, CONSUME_KNOWN, CONSUME_READY, CONSUME_CLOSED, CONSUME_STEPS };
static const char *const consume_steps[CONSUME_STEPS] = {"START", "KNOWN", "READY", "CLOSED"};

static void print_bytes(struct bytes bytes)
{
    if (bytes.length > 0) fwrite(bytes.data, 1, bytes.length, stdout);
}

static void print_directive(char directive, const struct consumer_record *record)
{
    const struct record *r = &record->record;

    switch (directive) {
    case 't': printf("%.*s", STR_ARG(metadata_name(record->partition->topic))); break;
    case 'p': printf("%" PRId32, record->partition->index); break;
    case 'o': printf("%" PRId64, r->offset); break;
    case 'k': print_bytes(r->key); break;
    case 's':
    case 'v': print_bytes(r->value); break;
    case 'K': printf("%" PRId64, r->key.data != NULL ? (int64_t)r->key.length : -1); break;
    case 'S': printf("%" PRId64, r->value.data != NULL ? (int64_t)r->value.length : -1); break;
    case 'T': printf("%" PRId64, r->timestamp); break;
    case 'e': printf("%" PRId32, record->leader_epoch); break;
    case '%': putchar('%'); break;
    default:
        putchar('%');
        putchar(directive);
        break;
    }
}

static void print_record(const struct consume *consume, const struct consumer_record *record)
{
    for (const char *at = consume->format; *at != 0; at++) {
        if (*at == '%' && at[1] != 0) {
            print_directive(*++at, record);
        } else if (*at == '\\' && at[1] != 0) {
            at++;
            putchar(*at == 'n' ? '\n' : *at == 't' ? '\t' : *at == '0' ? 0 : *at);
        } else {
            putchar(*at);
        }
    }
}

static void assign(struct consume *consume)
{
    uint32_t count = consume->topic->partitions_count;
    struct consumer_partition *assigned;

    for (uint32_t i = 0; i < count; i++) {
        enum err err;

        if (consume->partition >= 0 && consume->partition != (int64_t)i) continue;
        err = consumer_assign(&consume->consumer, str_of(consume->name), (int32_t)i, consume->start,
                              &assigned);
        if (err != ERR_NONE) {
            consume->code = cli_complain_err(consume->name, err, NULL);
            return;
        }
    }
    if (consume->consumer.partitions_count == 0)
        consume->code = cli_complain(CLI_FAILED, "%s has no partition %" PRId64, consume->name,
                                     consume->partition);
}

static bool at_end(const struct consume *consume)
{
    LIST_FOR_EACH (link, &consume->consumer.partitions)
        if (!consumer_at_end(LIST_ENTRY(link, struct consumer_partition, link))) return false;
    return true;
}

/* False: it is over. */
static bool take(struct consume *consume)
{
    struct consumer_partition *failed;
    struct consumer_record record;

    for (uint32_t i = 0; i < TURN_RECORDS; i++) {
        if (consume->count == 0) return false;
        if (!consumer_next(&consume->consumer, &record)) break;
        print_record(consume, &record);
        if (consume->count > 0) consume->count--;
    }
    if (fflush(stdout) != 0) { /* whoever reads has enough */
        consume->pipe_closed = true;
        return false;
    }
    if (consume->count == 0) return false;
    failed = consumer_failed(&consume->consumer);
    if (failed != NULL) {
        char what[300];

        snprintf(what, sizeof what, "%s-%d at offset %" PRId64, consume->name, failed->index,
                 failed->position);
        consume->code = cli_complain_err(what, failed->error, NULL);
        return false;
    }
    return !(consume->exit_at_end && at_end(consume));
}

static bool topic_decided(const struct consume *consume)
{
    return consume->topic->partitions_count > 0 || consume->topic->error != ERR_NONE ||
           op_expired(&consume->op);
}

static void topic_missing(struct consume *consume)
{
    enum err err = consume->topic->error;

    if (err == ERR_NONE) err = consume->consumer.metadata.last_error;
    consume->code = cli_complain_err(consume->name, err != ERR_NONE ? err : ERR_TIMED_OUT, NULL);
}

static enum op_result consume_run(struct op *op)
{
    struct consume *o = CONTAINER_OF(op, struct consume, op);

    switch ((enum consume_step)op->step) {
    case CONSUME_START:
        op_deadline(op, env_deadline(&o->cli.env, o->cli.timeout_ms));
        AWAIT(o, CONSUME_KNOWN, &o->consumer.metadata.changed, topic_decided(o));
        op_deadline(op, OP_NO_DEADLINE);
        if (o->topic->partitions_count > 0) {
            assign(o);
        } else {
            topic_missing(o);
        }
        while (o->code == CLI_FINE && take(o)) {
            op_deadline(op, env_deadline(&o->cli.env, 1000));
            AWAIT(o, CONSUME_READY, &o->consumer.ready,
                  consumer_has_records(&o->consumer) || consumer_failed(&o->consumer) != NULL ||
                      (o->exit_at_end && at_end(o)) || op_expired(op));
        }
        op_deadline(op, OP_NO_DEADLINE);
        metadata_unuse(&o->consumer.metadata, o->topic);
        consumer_close(&o->consumer);
        AWAIT(o, CONSUME_CLOSED, &o->consumer.ready, consumer_closed(&o->consumer));
        consumer_deinit(&o->consumer);
        cli_end(&o->cli, o->code);
        return OP_DONE;
    case CONSUME_STEPS: break;
    }
    IMPOSSIBLE("step");
}

static void consume_begin(struct cli *cli)
{
    static const struct op_kind kind = {"cli.consume", consume_steps, CONSUME_STEPS, consume_run,
                                        NULL};
    struct consume *consume = CONTAINER_OF(cli, struct consume, cli);
    enum err err = consumer_init(&consume->consumer, &cli->env, &consume->config);

    if (err != ERR_NONE) {
        cli_end(cli, cli_complain(CLI_USAGE, "-b '%s': not a list of HOST:PORT", cli->bootstrap));
        return;
    }
    err = metadata_use(&consume->consumer.metadata, str_of(consume->name), &consume->topic);
    if (err != ERR_NONE) {
        cli_end(cli, cli_complain_err(consume->name, err, NULL));
        return;
    }
    op_start(&cli->env.loop, &consume->op, &kind, CONSUME_START);
}

/* beginning, end, an offset, or a time: 2026-03-01T12:00:00 (UTC) or 2026-03-01. */
static bool parse_start(const char *text, struct consumer_start *start)
{
    struct tm tm = {0};
    const char *rest;
    char *end = NULL;
    long long offset = strtoll(text, &end, 10);

    if (strcmp(text, "beginning") == 0) {
        *start = (struct consumer_start){.timestamp = CONSUMER_EARLIEST};
    } else if (strcmp(text, "end") == 0) {
        *start = (struct consumer_start){.timestamp = CONSUMER_LATEST};
    } else if (end != text && *end == 0 && offset >= 0) {
        *start = (struct consumer_start){.by_offset = true, .offset = offset};
    } else {
        rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        if (rest == NULL) {
            tm = (struct tm){0};
            rest = strptime(text, "%Y-%m-%d", &tm);
        }
        if (rest == NULL || (*rest != 0 && strcmp(rest, "Z") != 0)) {
            cli_complain(CLI_USAGE,
                         "--from: '%s' is not beginning, end, an offset or a time like "
                         "2026-03-01T12:00:00",
                         text);
            return false;
        }
        *start = (struct consumer_start){.timestamp = (int64_t)timegm(&tm) * 1000};
    }
    return true;
}

static int parse(struct consume *consume, int argc, char **argv)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},      {"count", required_argument, NULL, 'c'},
        {"partition", required_argument, NULL, 'p'}, {"exit-at-end", no_argument, NULL, 'e'},
        {"format", required_argument, NULL, 'F'},    {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            if (!parse_start(optarg, &consume->start)) return CLI_USAGE;
            break;
        case 'c':
            if (!cli_number("--count", optarg, 1, INT64_MAX, &consume->count)) return CLI_USAGE;
            break;
        case 'p':
            if (!cli_number("--partition", optarg, 0, INT32_MAX, &consume->partition))
                return CLI_USAGE;
            break;
        case 'e': consume->exit_at_end = true; break;
        case 'F': consume->format = optarg; break;
        default: return (int)cli_complain(CLI_USAGE, "consume: bad option or no value");
        }
    }
    if (argc - optind != 1) return (int)cli_complain(CLI_USAGE, "consume: wants one topic");
    consume->name = argv[optind];
    return CLI_FINE;
}

int consume_main(struct cli *cli, int argc, char **argv)
{
    struct consume *consume = calloc(1, sizeof *consume);
    int code;

    if (consume == NULL) return (int)cli_complain(CLI_FAILED, "not enough memory");
    consume->cli = *cli;
    consume->start = (struct consumer_start){.timestamp = CONSUMER_LATEST};
    consume->format = "%s\\n";
    consume->count = -1;
    consume->partition = -1;
    consumer_config_default(&consume->config);
    cli_metadata_config(cli, &consume->config.metadata);
    consume->config.reset = CONSUMER_RESET_NONE;
    code = parse(consume, argc, argv);
    if (code == CLI_FINE) code = cli_run(&consume->cli, consume_begin);
    free(consume);
    return code;
}
