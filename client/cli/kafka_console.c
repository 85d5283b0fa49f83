/* kafka-console-producer.sh and kafka-console-consumer.sh. */
#include "client/cli/kafka.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unknown(const struct kafka_words *words, char **argv)
{
    return kafka_wrong(words, "not here, or without its value: ", argv[optind - 1]);
}

/* key=value: the value when the key is that, else NULL. */
static const char *value_of(const char *setting, const char *key)
{
    size_t length = strlen(key);

    return strncmp(setting, key, length) == 0 && setting[length] == '=' ? setting + length + 1
                                                                        : NULL;
}

static bool is_true(const char *value)
{
    return value != NULL && strcmp(value, "true") == 0;
}

/* "\t" as people type it. */
static const char *unescaped(const char *text)
{
    return strcmp(text, "\\t") == 0 ? "\t" : text;
}

/* ---- producer -------------------------------------------------------------------------------- */

struct producer_wish {
    const char *topic;
    const char *separator;
    bool keys;
};

static int producer_reader(struct kafka_words *words, struct producer_wish *wish,
                           const char *setting)
{
    if (value_of(setting, "parse.key") != NULL) {
        wish->keys = is_true(value_of(setting, "parse.key"));
    } else if (value_of(setting, "key.separator") != NULL) {
        wish->separator = unescaped(value_of(setting, "key.separator"));
    } else if (value_of(setting, "ignore.error") == NULL) {
        return kafka_wrong(words, "not here: --property ", setting);
    }
    return CLI_FINE;
}

/* An option of the script that is a property of the producer. */
static void add_property(struct kafka_words *words, const char *key, const char *value)
{
    char *setting = NULL;

    if (asprintf(&setting, "%s=%s", key, value) < 0) abort();
    kafka_add_two(words, "--set", setting);
}

static const char *producer_property(const char *option)
{
    static const struct {
        const char *option;
        const char *property;
    } names[] = {{"request-required-acks", "acks"},
                 {"batch-size", "batch.size"},
                 {"timeout", "linger.ms"},
                 {"message-send-max-retries", "retries"},
                 {"request-timeout-ms", "request.timeout.ms"},
                 {"retry-backoff-ms", "retry.backoff.ms"},
                 {"max-block-ms", "max.block.ms"},
                 {"max-memory-bytes", "buffer.memory"}};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(option, names[i].option) == 0) return names[i].property;
    return "metadata.max.age.ms";
}

static int producer_words(struct kafka_words *words, const struct producer_wish *wish)
{
    if (wish->topic == NULL) return kafka_wrong(words, "wants --topic", "");
    if (wish->keys) kafka_add_two(words, "-k", wish->separator);
    kafka_add(words, wish->topic);
    return CLI_FINE;
}

int kafka_producer(struct kafka_words *words, int argc, char **argv)
{
    static const struct option options[] = {
        {"bootstrap-server", required_argument, NULL, KAFKA_SERVER},
        {"broker-list", required_argument, NULL, KAFKA_SERVER},
        {"topic", required_argument, NULL, 't'},
        {"property", required_argument, NULL, 'p'},
        {"reader-property", required_argument, NULL, 'p'},
        {"producer-property", required_argument, NULL, 'P'},
        {"producer.config", required_argument, NULL, 'F'},
        {"sync", no_argument, NULL, 'S'},
        {"compression-codec", optional_argument, NULL, 'z'},
        {"request-required-acks", required_argument, NULL, KAFKA_PROPERTY},
        {"batch-size", required_argument, NULL, KAFKA_PROPERTY},
        {"timeout", required_argument, NULL, KAFKA_PROPERTY},
        {"message-send-max-retries", required_argument, NULL, KAFKA_PROPERTY},
        {"request-timeout-ms", required_argument, NULL, KAFKA_PROPERTY},
        {"retry-backoff-ms", required_argument, NULL, KAFKA_PROPERTY},
        {"max-block-ms", required_argument, NULL, KAFKA_PROPERTY},
        {"max-memory-bytes", required_argument, NULL, KAFKA_PROPERTY},
        {"metadata-expiry-ms", required_argument, NULL, KAFKA_PROPERTY},
        {NULL, 0, NULL, 0}};
    struct producer_wish wish = {NULL, "\t", false};
    int code = CLI_FINE;
    int index = 0;
    int option;

    kafka_add(words, "produce");
    while (code == CLI_FINE && (option = getopt_long(argc, argv, "", options, &index)) != -1) {
        switch (option) {
        case KAFKA_SERVER: words->bootstrap = optarg; break;
        case KAFKA_PROPERTY:
            add_property(words, producer_property(options[index].name), optarg);
            break;
        case 't': wish.topic = optarg; break;
        case 'p': code = producer_reader(words, &wish, optarg); break;
        case 'P': kafka_add_two(words, "--set", optarg); break;
        case 'F': kafka_add_two(words, "--config-file", optarg); break;
        case 'S': kafka_add(words, "--sync"); break;
        case 'z':
            if (optarg == NULL && optind < argc && argv[optind][0] != '-') optarg = argv[optind++];
            add_property(words, "compression.type", optarg != NULL ? optarg : "gzip");
            break;
        default: return unknown(words, argv);
        }
    }
    return code != CLI_FINE ? code : producer_words(words, &wish);
}

/* ---- consumer -------------------------------------------------------------------------------- */

struct consumer_wish {
    const char *topic;
    const char *group;
    const char *partition;
    const char *offset;
    const char *count;
    const char *quiet_ms;
    const char *separator;
    const char *line;
    const char *null;
    bool beginning;
    bool key;
    bool no_value;
    bool timestamp;
    bool number; /* of the partition */
    bool position;
    bool epoch;
    bool headers;
};

static int consumer_printing(struct kafka_words *words, struct consumer_wish *wish,
                             const char *setting)
{
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {{"print.key", &wish->key},          {"print.timestamp", &wish->timestamp},
                 {"print.partition", &wish->number}, {"print.offset", &wish->position},
                 {"print.epoch", &wish->epoch},      {"print.headers", &wish->headers}};
    const struct {
        const char *key;
        const char **text;
    } texts[] = {{"key.separator", &wish->separator},
                 {"line.separator", &wish->line},
                 {"null.literal", &wish->null}};

    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (value_of(setting, flags[i].key) == NULL) continue;
        *flags[i].flag = is_true(value_of(setting, flags[i].key));
        return CLI_FINE;
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (value_of(setting, texts[i].key) == NULL) continue;
        *texts[i].text = value_of(setting, texts[i].key);
        return CLI_FINE;
    }
    if (value_of(setting, "print.value") == NULL)
        return kafka_wrong(words, "not here: --property ", setting);
    wish->no_value = !is_true(value_of(setting, "print.value"));
    return CLI_FINE;
}

/* As Kafka's formatter: time, partition, offset, epoch, headers, key, value. */
static const char *format_of(const struct consumer_wish *wish)
{
    const struct {
        bool wanted;
        const char *text;
    } parts[] = {{wish->timestamp, "CreateTime:%T"},
                 {wish->number, "Partition:%p"},
                 {wish->position, "Offset:%o"},
                 {wish->epoch, "Epoch:%e"},
                 {wish->headers, "%h"},
                 {wish->key, "%k"},
                 {!wish->no_value, "%s"}};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool first = true;

    if (out == NULL) return "%s\\n";
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (!parts[i].wanted) continue;
        if (!first) fputs(wish->separator, out);
        fputs(parts[i].text, out);
        first = false;
    }
    fputs(wish->line, out);
    fclose(out);
    return text;
}

static int consumer_words(struct kafka_words *words, const struct consumer_wish *wish)
{
    const char *from = wish->beginning                         ? "beginning"
                       : wish->offset == NULL                  ? NULL
                       : strcmp(wish->offset, "earliest") == 0 ? "beginning"
                       : strcmp(wish->offset, "latest") == 0   ? "end"
                                                               : wish->offset;

    if (wish->topic == NULL) return kafka_wrong(words, "wants --topic", "");
    if (wish->offset != NULL && wish->partition == NULL)
        return kafka_wrong(words, "--offset wants --partition", "");
    if (wish->beginning && wish->offset != NULL)
        return kafka_wrong(words, "--from-beginning or --offset, not both", "");
    if (wish->group != NULL) kafka_add_two(words, "-g", wish->group);
    if (from != NULL) kafka_add_two(words, "--from", from);
    if (wish->partition != NULL) kafka_add_two(words, "--partition", wish->partition);
    if (wish->count != NULL) kafka_add_two(words, "--count", wish->count);
    if (wish->quiet_ms != NULL) kafka_add_two(words, "--quiet", wish->quiet_ms);
    kafka_add_two(words, "--format", format_of(wish));
    kafka_add_two(words, "--null", wish->null);
    kafka_add_two(words, "--summary", wish->topic);
    return CLI_FINE;
}

int kafka_consumer(struct kafka_words *words, int argc, char **argv)
{
    static const struct option options[] = {
        {"bootstrap-server", required_argument, NULL, KAFKA_SERVER},
        {"topic", required_argument, NULL, 't'},
        {"group", required_argument, NULL, 'g'},
        {"from-beginning", no_argument, NULL, 'b'},
        {"partition", required_argument, NULL, 'p'},
        {"offset", required_argument, NULL, 'o'},
        {"max-messages", required_argument, NULL, 'm'},
        {"timeout-ms", required_argument, NULL, 'q'},
        {"property", required_argument, NULL, 'P'},
        {"formatter-property", required_argument, NULL, 'P'},
        {"consumer-property", required_argument, NULL, 'c'},
        {"consumer.config", required_argument, NULL, 'C'},
        {"isolation-level", required_argument, NULL, 'i'},
        {NULL, 0, NULL, 0}};
    struct consumer_wish wish = {.separator = "\\t", .line = "\\n", .null = "null"};
    int code = CLI_FINE;
    int option;

    kafka_add(words, "consume");
    while (code == CLI_FINE && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case KAFKA_SERVER: words->bootstrap = optarg; break;
        case 't': wish.topic = optarg; break;
        case 'g': wish.group = optarg; break;
        case 'b': wish.beginning = true; break;
        case 'p': wish.partition = optarg; break;
        case 'o': wish.offset = optarg; break;
        case 'm': wish.count = optarg; break;
        case 'q': wish.quiet_ms = optarg; break;
        case 'P': code = consumer_printing(words, &wish, optarg); break;
        case 'c': kafka_add_two(words, "--set", optarg); break;
        case 'C': kafka_add_two(words, "--config-file", optarg); break;
        case 'i': add_property(words, "isolation.level", optarg); break;
        default: return unknown(words, argv);
        }
    }
    return code != CLI_FINE ? code : consumer_words(words, &wish);
}
