/* gregor consume: records of a topic, one line each unless --format says otherwise. With -g as a
 * member of a group: partitions and positions are the group's, what was printed is committed. */
#include "client/cli/cli.h"
#include "client/consumer.h"
#include "client/gregor_internal.h"

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
    struct gregor_config *properties;
    struct consumer_config config; /* what they say */
    struct consumer_start start;
    struct metadata_topic *topic;
    struct op op;
    const char *name;
    const char *format;
    const char *group; /* NULL: none */
    struct membership member;
    struct membership_config membership;
    struct world_req signal;
    bool stopped;      /* SIGTERM, SIGINT */
    int64_t partition; /* -1: all */
    int64_t count;     /* -1: no limit */
    bool from;         /* said with --from */
    bool exit_at_end;
    bool summary;     /* says at the end how many there were */
    int64_t quiet_ms; /* ends when nothing came for so long; -1: never */
    int64_t heard_ns;
    int64_t printed;
    const char *null; /* what a null key or value is printed as */
    bool pipe_closed;
    enum cli_exit code;
};

enum consume_step {
    CONSUME_START,
    CONSUME_KNOWN,
    CONSUME_READY,
    CONSUME_LEFT,
    CONSUME_CLOSED,
    CONSUME_STEPS
};
static const char *const consume_steps[CONSUME_STEPS] = {"START", "KNOWN", "READY", "LEFT",
                                                         "CLOSED"};

static void print_bytes(struct bytes bytes)
{
    if (bytes.length > 0) fwrite(bytes.data, 1, bytes.length, stdout);
}

static void print_headers(const struct record *record)
{
    struct bytes rest = record->headers;
    struct record_header header;

    if (record->headers_count == 0) fputs("NO_HEADERS", stdout);
    for (uint32_t i = 0; i < record->headers_count; i++) {
        if (record_headers_next(&rest, &header) != ERR_NONE) return;
        if (i > 0) putchar(',');
        print_bytes(header.key);
        putchar(':');
        print_bytes(header.value.data != NULL ? header.value
                                              : (struct bytes){(const uint8_t *)"null", 4});
    }
}

static void print_or(struct bytes bytes, const char *null)
{
    if (bytes.data != NULL) {
        print_bytes(bytes);
    } else {
        fputs(null, stdout);
    }
}

static void print_directive(char directive, const struct consumer_record *record, const char *null)
{
    const struct record *r = &record->record;

    switch (directive) {
    case 't': printf("%.*s", STR_ARG(metadata_name(record->partition->topic))); break;
    case 'p': printf("%" PRId32, record->partition->index); break;
    case 'o': printf("%" PRId64, r->offset); break;
    case 'k': print_or(r->key, null); break;
    case 's':
    case 'v': print_or(r->value, null); break;
    case 'K': printf("%" PRId64, r->key.data != NULL ? (int64_t)r->key.length : -1); break;
    case 'S': printf("%" PRId64, r->value.data != NULL ? (int64_t)r->value.length : -1); break;
    case 'T': printf("%" PRId64, r->timestamp); break;
    case 'e': printf("%" PRId32, record->leader_epoch); break;
    case 'h': print_headers(r); break;
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
            print_directive(*++at, record, consume->null);
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
    if (consume->group != NULL && consume->member.state != MEMBERSHIP_STABLE) return false;
    LIST_FOR_EACH (link, &consume->consumer.partitions)
        if (!consumer_at_end(LIST_ENTRY(link, struct consumer_partition, link))) return false;
    return true;
}

/* What came before is printed, so it may be committed; there is nothing to prepare. */
static void poll_group(struct consume *consume)
{
    (void)membership_poll(&consume->member);
    membership_handled(&consume->member);
}

static bool quiet(const struct consume *consume)
{
    return consume->quiet_ms >= 0 &&
           consume->cli.env.now.mono.ns - consume->heard_ns >= consume->quiet_ms * NS_PER_MS;
}

static bool ready(const struct consume *consume)
{
    return consumer_has_records(&consume->consumer) ||
           consumer_failed(&consume->consumer) != NULL || consume->stopped ||
           (consume->exit_at_end && at_end(consume)) ||
           (consume->group != NULL &&
            (membership_due(&consume->member) || consume->member.state == MEMBERSHIP_FAILED)) ||
           op_expired(&consume->op);
}

static void signalled(struct world_req *req, struct instant now)
{
    struct consume *consume = CONTAINER_OF(req, struct consume, signal);

    (void)now;
    if (consume->stopped) exit(CLI_FAILED); /* the second one does not wait */
    consume->stopped = true;
    op_wake(&consume->consumer.ready);
    op_wake(&consume->consumer.metadata.changed);
    posix_world_on_signal(consume->cli.posix, &consume->signal);
}

/* False: it is over. */
static bool take(struct consume *consume)
{
    struct consumer_partition *failed;
    struct consumer_record record;

    if (consume->group != NULL) poll_group(consume);
    for (uint32_t i = 0; i < TURN_RECORDS; i++) {
        if (consume->count == 0) return false;
        if (!consumer_next(&consume->consumer, &record)) break;
        print_record(consume, &record);
        consume->printed++;
        consume->heard_ns = consume->cli.env.now.mono.ns;
        if (consume->count > 0) consume->count--;
    }
    if (fflush(stdout) != 0) { /* whoever reads has enough */
        consume->pipe_closed = true;
        return false;
    }
    if (consume->count == 0 || consume->stopped) return false;
    if (consume->group != NULL && consume->member.state == MEMBERSHIP_FAILED) {
        consume->code = cli_complain_err(consume->group, consume->member.error, NULL);
        return false;
    }
    failed = consumer_failed(&consume->consumer);
    if (failed != NULL) {
        char what[300];

        snprintf(what, sizeof what, "%s-%d at offset %" PRId64, consume->name, failed->index,
                 failed->position);
        consume->code = cli_complain_err(what, failed->error, NULL);
        return false;
    }
    return !(consume->exit_at_end && at_end(consume)) && !quiet(consume);
}

static void join(struct consume *consume)
{
    struct str topic = str_of(consume->name);
    enum err err;

    consume->membership.group_id = str_of(consume->group);
    err = membership_init(&consume->member, &consume->consumer, &consume->membership);
    if (err == ERR_NONE) err = membership_subscribe(&consume->member, &topic, 1);
    if (err != ERR_NONE) consume->code = cli_complain_err(consume->group, err, NULL);
}

static bool topic_decided(const struct consume *consume)
{
    return consume->topic->partitions_count > 0 || consume->topic->error != ERR_NONE ||
           consume->stopped || op_expired(&consume->op);
}

static void topic_missing(struct consume *consume)
{
    enum err err = consume->topic->error;

    if (err == ERR_NONE) err = consume->consumer.metadata.last_error;
    consume->code = cli_complain_err(consume->name, err != ERR_NONE ? err : ERR_TIMED_OUT, NULL);
}

static int64_t look_again_ms(const struct consume *consume)
{
    return consume->quiet_ms >= 0 && consume->quiet_ms < 1000 ? consume->quiet_ms + 1 : 1000;
}

static enum op_result consume_run(struct op *op)
{
    struct consume *o = CONTAINER_OF(op, struct consume, op);

    switch ((enum consume_step)op->step) {
    case CONSUME_START:
        op_deadline(op, env_deadline(&o->cli.env, o->cli.timeout_ms));
        AWAIT(o, CONSUME_KNOWN, &o->consumer.metadata.changed, topic_decided(o));
        op_deadline(op, OP_NO_DEADLINE);
        o->heard_ns = o->cli.env.now.mono.ns;
        if (o->topic->partitions_count > 0 && o->group != NULL) {
            join(o);
        } else if (o->topic->partitions_count > 0) {
            assign(o);
        } else {
            topic_missing(o);
        }
        while (o->code == CLI_FINE && take(o)) {
            op_deadline(op, env_deadline(&o->cli.env, look_again_ms(o)));
            AWAIT(o, CONSUME_READY, &o->consumer.ready, ready(o));
        }
        op_deadline(op, OP_NO_DEADLINE);
        while (o->member.consumer != NULL && !membership_closed(&o->member)) {
            membership_close(&o->member);
            poll_group(o);
            AWAIT(o, CONSUME_LEFT, &o->consumer.ready,
                  membership_closed(&o->member) || membership_due(&o->member));
        }
        if (o->member.consumer != NULL) membership_deinit(&o->member);
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
    world_req_init(&consume->signal, signalled);
    if (consume->cli.signals) posix_world_on_signal(cli->posix, &consume->signal);
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

/* The properties, with what the options say on top. */
static int configure(struct consume *consume)
{
    char why[GREGOR_TEXT_MAX + 1] = "";
    struct gregor_config *properties = consume->properties;

    if (!gregor_config_is_set(properties, "heartbeat.interval.ms")) {
        char beat[16];

        snprintf(beat, sizeof beat, "%d", gregor_config_int(properties, "session.timeout.ms") / 5);
        if (gregor_config_is_set(properties, "session.timeout.ms") &&
            !cli_set_one(properties, "heartbeat.interval.ms", beat))
            return CLI_USAGE;
    }
    if (!gregor_config_consumer(properties, &consume->config, &consume->membership, why,
                                sizeof why))
        return (int)cli_complain(CLI_USAGE, "consume: %s", why);
    if (!gregor_config_is_set(properties, "allow.auto.create.topics"))
        consume->config.metadata.auto_create = false;
    if (!consume->from && consume->config.reset == CONSUMER_RESET_EARLIEST)
        consume->start.timestamp = CONSUMER_EARLIEST;
    if (consume->group == NULL) consume->config.reset = CONSUMER_RESET_NONE;
    return CLI_FINE;
}

/* A group says where to read; --from says where to begin what it has no offset for. */
static int check_group(struct consume *consume)
{
    if (consume->group == NULL) return CLI_FINE;
    consume->cli.signals = true; /* to leave in order */
    if (consume->group[0] == 0) return (int)cli_complain(CLI_USAGE, "-g: wants a name");
    if (consume->partition >= 0)
        return (int)cli_complain(CLI_USAGE, "-g and --partition: the group shares them out");
    if (consume->from && (consume->start.by_offset || consume->start.timestamp >= 0))
        return (int)cli_complain(CLI_USAGE, "-g: --from is beginning or end; for another place "
                                            "see gregor groups reset-offsets");
    if (consume->from)
        consume->config.reset = consume->start.timestamp == CONSUMER_EARLIEST
                                    ? CONSUMER_RESET_EARLIEST
                                    : CONSUMER_RESET_LATEST;
    return CLI_FINE;
}

static int parse(struct consume *consume, int argc, char **argv)
{
    static const struct option options[] = {{"from", required_argument, NULL, 'f'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"partition", required_argument, NULL, 'p'},
                                            {"exit-at-end", no_argument, NULL, 'e'},
                                            {"format", required_argument, NULL, 'F'},
                                            {"group", required_argument, NULL, 'g'},
                                            {"assignor", required_argument, NULL, 'a'},
                                            {"instance", required_argument, NULL, 'i'},
                                            {"group-protocol", required_argument, NULL, 'P'},
                                            {"session-timeout", required_argument, NULL, 's'},
                                            {"quiet", required_argument, NULL, 'q'},
                                            {"set", required_argument, NULL, 'x'},
                                            {"config-file", required_argument, NULL, 'C'},
                                            {"summary", no_argument, NULL, 'S'},
                                            {"null", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct gregor_config *properties = consume->properties;
    int64_t session_ms = 0;
    int option;

    while ((option = getopt_long(argc, argv, "g:", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            if (!parse_start(optarg, &consume->start)) return CLI_USAGE;
            consume->from = true;
            break;
        case 'g': consume->group = optarg; break;
        case 'a':
            if (!cli_set_one(properties, "partition.assignment.strategy", optarg)) return CLI_USAGE;
            break;
        case 'i':
            if (!cli_set_one(properties, "group.instance.id", optarg)) return CLI_USAGE;
            break;
        case 'x':
            if (!cli_set(properties, optarg)) return CLI_USAGE;
            break;
        case 'C':
            if (!cli_load(properties, optarg)) return CLI_USAGE;
            break;
        case 'P':
            if (!cli_set_one(properties, "group.protocol", optarg)) return CLI_USAGE;
            break;
        case 's':
            if (!cli_number("--session-timeout", optarg, 1000, 1800000, &session_ms))
                return CLI_USAGE;
            if (!cli_set_one(properties, "session.timeout.ms", optarg)) return CLI_USAGE;
            break;
        case 'c':
            if (!cli_number("--count", optarg, 1, INT64_MAX, &consume->count)) return CLI_USAGE;
            break;
        case 'p':
            if (!cli_number("--partition", optarg, 0, INT32_MAX, &consume->partition))
                return CLI_USAGE;
            break;
        case 'e': consume->exit_at_end = true; break;
        case 'S': consume->summary = true; break;
        case 'n': consume->null = optarg; break;
        case 'q':
            if (!cli_number("--quiet", optarg, 0, INT32_MAX, &consume->quiet_ms)) return CLI_USAGE;
            break;
        case 'F': consume->format = optarg; break;
        default: return (int)cli_bad_option("consume", argv);
        }
    }
    if (argc - optind != 1) return (int)cli_complain(CLI_USAGE, "consume: wants one topic");
    consume->name = argv[optind];
    if (consume->group == NULL) consume->group = gregor_config_get(properties, "group.id");
    if (configure(consume) != CLI_FINE) return CLI_USAGE;
    return check_group(consume);
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
    consume->quiet_ms = -1;
    consume->null = "";
    consume->partition = -1;
    consume->properties = cli_properties(cli);
    if (consume->properties == NULL) {
        free(consume);
        return CLI_USAGE;
    }
    code = parse(consume, argc, argv);
    if (consume->summary) consume->cli.signals = true;
    if (code == CLI_FINE) code = cli_run(&consume->cli, consume_begin);
    if (code != CLI_USAGE && consume->summary)
        fprintf(stderr, "Processed a total of %" PRId64 " messages\n", consume->printed);
    gregor_config_free(consume->properties);
    free(consume);
    return code;
}
