/* gregor produce: one record per line of stdin or a file. Reads in chunks, between turns, and only
 * while fewer than PENDING_MAX records are on their way; one with --sync. */
#include "client/cli/cli.h"
#include "client/gregor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PENDING_MAX = 10000, CHUNK = 65536, LINE_MAX_BYTES = 16 * 1024 * 1024, LOOK_AGAIN_MS = 5 };

struct line {
    struct producer_record record;
    size_t size;
    char text[];
};

struct produce {
    struct cli cli;
    struct producer producer;
    struct gregor_config *properties;
    struct producer_config config; /* what they say */
    struct op op;
    struct op_source done;
    struct list finished;
    const char *topic;
    const char *separator;
    int32_t partition;
    int fd;
    bool sync;
    bool eof;
    bool failed; /* complained already */
    char *buffer;
    size_t used;
    size_t capacity;
};

enum produce_step {
    PRODUCE_START,
    PRODUCE_READY,
    PRODUCE_DELIVERED,
    PRODUCE_CLOSED,
    PRODUCE_STEPS
};
static const char *const produce_steps[PRODUCE_STEPS] = {"START", "READY", "DELIVERED", "CLOSED"};

static void collect(struct produce *produce)
{
    struct list *link;

    while ((link = list_pop(&produce->finished)) != NULL) {
        struct line *line = (struct line *)(void *)LIST_ENTRY(link, struct producer_record, link);

        if (line->record.outcome != PRODUCER_ACKED && !produce->failed) {
            produce->failed = true;
            produce->eof = true;
            cli_complain_err(line->record.outcome == PRODUCER_UNKNOWN
                                 ? "a record may or may not have been written"
                                 : "a record was not written",
                             line->record.result, NULL);
        }
        free(line);
    }
}

static void send_line(struct produce *produce, const char *text, size_t length)
{
    struct line *line = malloc(sizeof *line + length + 1);
    const char *split = NULL;
    size_t separator_length = produce->separator != NULL ? strlen(produce->separator) : 0;

    if (line == NULL) {
        produce->eof = true;
        produce->failed = true;
        cli_complain(CLI_FAILED, "not enough memory");
        return;
    }
    memcpy(line->text, text, length);
    line->text[length] = 0;
    producer_record_init(&line->record);
    line->record.topic = str_of(produce->topic);
    line->record.partition = produce->partition;
    line->record.done = &produce->done;
    line->record.collect = &produce->finished;
    if (separator_length > 0)
        split = memmem(line->text, length, produce->separator, separator_length);
    if (split != NULL) {
        size_t key_length = (size_t)(split - line->text);

        line->record.key = (struct bytes){(const uint8_t *)line->text, (uint32_t)key_length};
        line->record.value = (struct bytes){(const uint8_t *)split + separator_length,
                                            (uint32_t)(length - key_length - separator_length)};
    } else {
        line->record.value = (struct bytes){(const uint8_t *)line->text, (uint32_t)length};
    }
    producer_send(&produce->producer, &line->record);
}

static bool has_room(const struct produce *produce)
{
    return produce->producer.pending < (produce->sync ? 1 : PENDING_MAX);
}

static bool all_sent(const struct produce *produce)
{
    return produce->failed || (produce->eof && produce->used == 0);
}

/* Whole lines out of the buffer, while there is room; at the end of input an unfinished one too. */
static void send_lines(struct produce *produce)
{
    size_t from = 0;

    while (!produce->failed && from < produce->used && has_room(produce)) {
        const char *start = produce->buffer + from;
        const char *end = memchr(start, '\n', produce->used - from);

        if (end == NULL && !produce->eof) break;
        if (end == NULL) end = produce->buffer + produce->used;
        send_line(produce, start, (size_t)(end - start));
        from += (size_t)(end - start) + 1;
    }
    if (from > produce->used) from = produce->used; /* the last line had no end */
    if (from == 0) return;
    memmove(produce->buffer, produce->buffer + from, produce->used - from);
    produce->used -= from;
}

static bool grow(struct produce *produce)
{
    size_t wanted = produce->capacity == 0 ? 2 * CHUNK : produce->capacity * 2;
    char *bigger;

    if (produce->capacity - produce->used >= CHUNK) return true;
    if (produce->used > LINE_MAX_BYTES) {
        cli_complain(CLI_FAILED, "a line is longer than %d bytes", LINE_MAX_BYTES);
        return false;
    }
    bigger = realloc(produce->buffer, wanted);
    if (bigger == NULL) {
        cli_complain(CLI_FAILED, "not enough memory");
        return false;
    }
    produce->buffer = bigger;
    produce->capacity = wanted;
    return true;
}

/* What stands ready on the input, without waiting for more. */
static void read_input(struct produce *produce)
{
    send_lines(produce);
    while (!produce->eof && has_room(produce)) {
        struct pollfd poll_fd = {.fd = produce->fd, .events = POLLIN};
        ssize_t got;

        if (poll(&poll_fd, 1, 0) <= 0) return;
        if (!grow(produce)) {
            produce->failed = true;
            produce->eof = true;
            return;
        }
        got = read(produce->fd, produce->buffer + produce->used, CHUNK);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            cli_complain(CLI_FAILED, "reading failed: %s", strerror(errno));
            produce->failed = true;
        }
        if (got <= 0) produce->eof = true;
        if (got > 0) produce->used += (size_t)got;
        send_lines(produce);
    }
}

static enum op_result produce_run(struct op *op)
{
    struct produce *o = CONTAINER_OF(op, struct produce, op);

    switch ((enum produce_step)op->step) {
    case PRODUCE_START:
        for (;;) {
            read_input(o);
            if (all_sent(o)) break;
            op_deadline(op, env_deadline(&o->cli.env, LOOK_AGAIN_MS));
            AWAIT(o, PRODUCE_READY, &o->done, op_expired(op) || !list_empty(&o->finished));
            collect(o);
        }
        op_deadline(op, OP_NO_DEADLINE);
        producer_flush(&o->producer);
        AWAIT(o, PRODUCE_DELIVERED, &o->producer.changed, o->producer.pending == 0);
        collect(o);
        producer_close(&o->producer, false);
        AWAIT(o, PRODUCE_CLOSED, &o->producer.changed, producer_closed(&o->producer));
        producer_deinit(&o->producer);
        cli_end(&o->cli, o->failed ? CLI_FAILED : CLI_FINE);
        return OP_DONE;
    case PRODUCE_STEPS: break;
    }
    IMPOSSIBLE("step");
}

static void produce_begin(struct cli *cli)
{
    static const struct op_kind kind = {"cli.produce", produce_steps, PRODUCE_STEPS, produce_run,
                                        NULL};
    struct produce *produce = CONTAINER_OF(cli, struct produce, cli);

    op_source_init(&produce->done);
    list_init(&produce->finished);
    if (producer_init(&produce->producer, &cli->env, &produce->config) != ERR_NONE) {
        cli_end(cli, cli_complain(CLI_USAGE, "-b '%s': not a list of HOST:PORT", cli->bootstrap));
        return;
    }
    op_start(&cli->env.loop, &produce->op, &kind, PRODUCE_START);
}

static int configure(struct produce *produce)
{
    char why[GREGOR_TEXT_MAX + 1] = "";
    struct producer_config *config = &produce->config;

    if (!gregor_config_producer(produce->properties, config, why, sizeof why))
        return (int)cli_complain(CLI_USAGE, "produce: %s", why);
    if (!gregor_config_is_set(produce->properties, "max.block.ms"))
        config->max_block_ms = produce->cli.timeout_ms;
    config->waiting_max = PENDING_MAX + 1;
    return CLI_FINE;
}

static int parse(struct produce *produce, int argc, char **argv)
{
    static const struct option options[] = {{"key-separator", required_argument, NULL, 'k'},
                                            {"acks", required_argument, NULL, 'a'},
                                            {"partition", required_argument, NULL, 'p'},
                                            {"file", required_argument, NULL, 'f'},
                                            {"compression", required_argument, NULL, 'z'},
                                            {"set", required_argument, NULL, 's'},
                                            {"config-file", required_argument, NULL, 'c'},
                                            {"sync", no_argument, NULL, 'S'},
                                            {NULL, 0, NULL, 0}};
    struct gregor_config *properties = produce->properties;
    int64_t number = -1;
    int option;

    while ((option = getopt_long(argc, argv, "k:z:", options, NULL)) != -1) {
        switch (option) {
        case 'k': produce->separator = optarg; break;
        case 'a':
            if (!cli_set_one(properties, "acks", optarg)) return CLI_USAGE;
            break;
        case 'p':
            if (!cli_number("--partition", optarg, 0, INT32_MAX, &number)) return CLI_USAGE;
            break;
        case 'z':
            if (!cli_set_one(properties, "compression.type", optarg)) return CLI_USAGE;
            break;
        case 's':
            if (!cli_set(properties, optarg)) return CLI_USAGE;
            break;
        case 'c':
            if (!cli_load(properties, optarg)) return CLI_USAGE;
            break;
        case 'S': produce->sync = true; break;
        case 'f':
            produce->fd = open(optarg, O_RDONLY | O_CLOEXEC);
            if (produce->fd < 0)
                return (int)cli_complain(CLI_FAILED, "%s: %s", optarg, strerror(errno));
            break;
        default: return (int)cli_bad_option("produce", argv);
        }
    }
    if (argc - optind != 1) return (int)cli_complain(CLI_USAGE, "produce: wants one topic");
    produce->topic = argv[optind];
    produce->partition = (int32_t)number;
    return configure(produce);
}

int produce_main(struct cli *cli, int argc, char **argv)
{
    struct produce *produce = calloc(1, sizeof *produce);
    int code;

    if (produce == NULL) return (int)cli_complain(CLI_FAILED, "not enough memory");
    produce->cli = *cli;
    produce->fd = STDIN_FILENO;
    produce->properties = cli_properties(cli);
    if (produce->properties == NULL) {
        free(produce);
        return CLI_USAGE;
    }
    code = parse(produce, argc, argv);
    if (code == CLI_FINE) code = cli_run(&produce->cli, produce_begin);
    if (produce->fd > STDIN_FILENO) close(produce->fd);
    gregor_config_free(produce->properties);
    free(produce->buffer);
    free(produce);
    return code;
}
