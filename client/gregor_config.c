/* Configuration by Kafka's property names: one table says what there is, of which kind, with which
 * default. Values are checked when they are set, what they mean together when a handle is made. */
#include "client/gregor_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A part of a duration; in days, more than is left of time. */
#define DURATION_MAX INT64_C(100000000)
#define DAY_MS       INT64_C(86400000)

enum value_kind { VALUE_TEXT, VALUE_NUMBER, VALUE_SWITCH, VALUE_WORD, VALUE_RESET };

struct key {
    const char *name;
    enum value_kind kind;
    const char *otherwise; /* default; NULL: none */
    int64_t low;
    int64_t high;
    const char *words; /* of VALUE_WORD, a blank between */
};

#define NUMBER(name, otherwise, low, high)             \
    {                                                  \
        name, VALUE_NUMBER, otherwise, low, high, NULL \
    }
#define SWITCH(name, otherwise)                   \
    {                                             \
        name, VALUE_SWITCH, otherwise, 0, 0, NULL \
    }
#define TEXT(name, otherwise)                   \
    {                                           \
        name, VALUE_TEXT, otherwise, 0, 0, NULL \
    }
#define WORD(name, otherwise, words)             \
    {                                            \
        name, VALUE_WORD, otherwise, 0, 0, words \
    }

static const struct key keys[] = {
    TEXT("bootstrap.servers", NULL),
    TEXT("client.id", "gregor"),
    NUMBER("request.timeout.ms", "30000", 1, INT32_MAX),
    NUMBER("retry.backoff.ms", "100", 0, INT32_MAX),
    NUMBER("retry.backoff.max.ms", "1000", 0, INT32_MAX),
    NUMBER("reconnect.backoff.ms", "50", 0, INT32_MAX),
    NUMBER("reconnect.backoff.max.ms", "1000", 0, INT32_MAX),
    NUMBER("socket.connection.setup.timeout.ms", "10000", 1, INT32_MAX),
    NUMBER("socket.connection.setup.timeout.max.ms", "30000", 1, INT32_MAX),
    NUMBER("connections.max.idle.ms", "540000", 0, INT32_MAX),
    NUMBER("metadata.max.age.ms", "300000", 1, INT32_MAX),
    NUMBER("default.api.timeout.ms", "60000", 1, INT32_MAX),
    WORD("security.protocol", "PLAINTEXT", "PLAINTEXT"),
    /* producer */
    WORD("acks", "all", "all -1 0 1"),
    SWITCH("enable.idempotence", "true"),
    NUMBER("batch.size", "16384", 0, 1 << 26),
    NUMBER("linger.ms", "5", 0, INT32_MAX),
    NUMBER("buffer.memory", "33554432", 0, INT32_MAX),
    NUMBER("max.block.ms", "60000", 0, INT32_MAX),
    NUMBER("max.request.size", "1048576", 0, 1 << 26),
    NUMBER("delivery.timeout.ms", "120000", 0, INT32_MAX),
    NUMBER("retries", "2147483647", 0, INT32_MAX),
    NUMBER("max.in.flight.requests.per.connection", "5", 1, 30),
    WORD("compression.type", "none", "none gzip snappy lz4 zstd"),
    NUMBER("compression.gzip.level", "-1", -1, 9),
    NUMBER("compression.lz4.level", "9", 1, 17),
    NUMBER("compression.zstd.level", "3", -131072, 22),
    WORD("partitioner.class", "default",
         "default murmur2 sticky roundrobin "
         "org.apache.kafka.clients.producer.RoundRobinPartitioner"),
    SWITCH("partitioner.ignore.keys", "false"),
    /* consumer */
    TEXT("group.id", NULL),
    TEXT("group.instance.id", NULL),
    WORD("group.protocol", "classic", "classic consumer"),
    TEXT("group.remote.assignor", ""),
    {"auto.offset.reset", VALUE_RESET, "latest", 0, 0, "latest earliest none"},
    SWITCH("enable.auto.commit", "true"),
    NUMBER("auto.commit.interval.ms", "5000", 0, INT32_MAX),
    NUMBER("session.timeout.ms", "45000", 1, INT32_MAX),
    NUMBER("heartbeat.interval.ms", "3000", 1, INT32_MAX),
    NUMBER("max.poll.interval.ms", "300000", 1, INT32_MAX),
    NUMBER("max.poll.records", "500", 1, 1000000),
    NUMBER("fetch.min.bytes", "1", 0, INT32_MAX),
    NUMBER("fetch.max.bytes", "52428800", 0, INT32_MAX),
    NUMBER("fetch.max.wait.ms", "500", 0, INT32_MAX),
    NUMBER("max.partition.fetch.bytes", "1048576", 0, INT32_MAX),
    WORD("isolation.level", "read_uncommitted", "read_uncommitted read_committed"),
    SWITCH("allow.auto.create.topics", "true"),
    TEXT("client.rack", ""),
    TEXT("partition.assignment.strategy", "range,cooperative-sticky"),
};
_Static_assert(COUNT_OF(keys) <= GREGOR_KEYS, "room for every key");

void gregor_explain(char *why, size_t why_size, const char *format, ...)
{
    va_list arguments;

    if (why == NULL || why_size == 0) return;
    va_start(arguments, format);
    vsnprintf(why, why_size, format, arguments);
    va_end(arguments);
}

static int find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (strcmp(keys[i].name, name) == 0) return (int)i;
    return -1;
}

/* Insertions, deletions and changes from one word to another. */
static uint32_t distance(const char *a, const char *b)
{
    uint32_t row[64];
    size_t columns = strlen(b);

    if (columns >= COUNT_OF(row)) return UINT32_MAX;
    for (uint32_t k = 0; k <= columns; k++)
        row[k] = k;
    for (uint32_t i = 1; a[i - 1] != 0; i++) {
        uint32_t corner = row[0];

        row[0] = i;
        for (uint32_t k = 1; k <= columns; k++) {
            uint32_t best = corner + (tolower(a[i - 1]) != tolower(b[k - 1]));

            if (row[k] + 1 < best) best = row[k] + 1;
            if (row[k - 1] + 1 < best) best = row[k - 1] + 1;
            corner = row[k];
            row[k] = best;
        }
    }
    return row[columns];
}

static const char *nearest(const char *name)
{
    const char *best = keys[0].name;
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        uint32_t d = distance(name, keys[i].name);

        if (strstr(keys[i].name, name) != NULL && d > 3) d = 3; /* a part of it, as it stands */
        if (d < least) {
            least = d;
            best = keys[i].name;
        }
    }
    return best;
}

static bool among(const char *words, const char *value)
{
    size_t length = strlen(value);

    for (const char *at = words; at != NULL && *at != 0;) {
        size_t word = strcspn(at, " ");

        if (word == length && strncasecmp(at, value, word) == 0) return true;
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

/* "36H": adds what it is and goes on behind it, if this unit stands there. */
static void duration_part(const char **at, char unit, int64_t unit_ms, int64_t *ms)
{
    int64_t number = 0;
    int64_t fraction = 0;
    int64_t tenth = unit_ms;
    const char *end = *at;

    for (; isdigit((unsigned char)*end) && number < DURATION_MAX; end++)
        number = number * 10 + (*end - '0');
    if (end == *at) return;
    if (unit == 'S' && *end == '.')
        for (end++; isdigit((unsigned char)*end); end++) {
            tenth /= 10;
            fraction += (*end - '0') * tenth;
        }
    if (*end != unit) return;
    *ms += number * unit_ms + fraction;
    *at = end + 1;
}

bool gregor_config_back(const char *value, int64_t *back_ms)
{
    static const char prefix[] = "by_duration:P";
    const char *at = value + sizeof prefix - 1;
    const char *begin;
    int64_t ms = 0;

    if (strncasecmp(value, prefix, sizeof prefix - 1) != 0) return false;
    begin = at;
    duration_part(&at, 'D', DAY_MS, &ms);
    if (*at == 'T') {
        begin = ++at;
        duration_part(&at, 'H', DAY_MS / 24, &ms);
        duration_part(&at, 'M', 60000, &ms);
        duration_part(&at, 'S', 1000, &ms);
    }
    if (at == begin || *at != 0) return false;
    *back_ms = ms;
    return true;
}

/* NULL: fine. Else what would be. */
static const char *check(const struct key *key, const char *value, char text[GREGOR_TEXT_MAX + 1])
{
    char *end = NULL;
    long long number;
    int64_t back_ms;

    switch (key->kind) {
    case VALUE_RESET:
        if (among(key->words, value) || gregor_config_back(value, &back_ms)) return NULL;
        snprintf(text, GREGOR_TEXT_MAX, "is not one of: %s by_duration:PnDTnHnMn.nS", key->words);
        return text;
    case VALUE_TEXT: return strlen(value) <= GREGOR_TEXT_MAX ? NULL : "is too long";
    case VALUE_SWITCH: return among("true false", value) ? NULL : "is not true or false";
    case VALUE_WORD:
        if (among(key->words, value)) return NULL;
        snprintf(text, GREGOR_TEXT_MAX, "is not one of: %s", key->words);
        return text;
    case VALUE_NUMBER:
        number = strtoll(value, &end, 10);
        if (end != value && *end == 0 && number >= key->low && number <= key->high) return NULL;
        snprintf(text, GREGOR_TEXT_MAX, "is not a number from %lld to %lld", (long long)key->low,
                 (long long)key->high);
        return text;
    }
    return "is of no kind";
}

struct gregor_config *gregor_config_new(void)
{
    return calloc(1, sizeof(struct gregor_config));
}

void gregor_config_free(struct gregor_config *config)
{
    if (config == NULL) return;
    for (size_t i = 0; i < COUNT_OF(config->values); i++)
        free(config->values[i]);
    free(config);
}

struct gregor_config *gregor_config_copy(const struct gregor_config *config)
{
    struct gregor_config *copy = gregor_config_new();

    for (size_t i = 0; copy != NULL && i < COUNT_OF(config->values); i++) {
        if (config->values[i] == NULL) continue;
        copy->values[i] = strdup(config->values[i]);
        if (copy->values[i] == NULL) {
            gregor_config_free(copy);
            return NULL;
        }
    }
    return copy;
}

int gregor_config_set(struct gregor_config *config, const char *key, const char *value, char *why,
                      size_t why_size)
{
    char text[GREGOR_TEXT_MAX + 1];
    const char *wrong;
    char *copy;
    int at = find(key);

    if (at < 0) {
        gregor_explain(why, why_size, "unknown property '%s': did you mean %s?", key, nearest(key));
        return GREGOR_ERR_BAD_CONFIG;
    }
    wrong = check(&keys[at], value, text);
    if (wrong != NULL) {
        gregor_explain(why, why_size, "%s: '%s' %s", key, value, wrong);
        return GREGOR_ERR_BAD_CONFIG;
    }
    copy = strdup(value);
    if (copy == NULL) return GREGOR_ERR_NO_MEMORY;
    free(config->values[at]);
    config->values[at] = copy;
    return GREGOR_OK;
}

const char *gregor_config_get(const struct gregor_config *config, const char *key)
{
    int at = find(key);

    if (at < 0) return NULL;
    return config->values[at] != NULL ? config->values[at] : keys[at].otherwise;
}

bool gregor_config_is_set(const struct gregor_config *config, const char *key)
{
    int at = find(key);

    return at >= 0 && config->values[at] != NULL;
}

int32_t gregor_config_int(const struct gregor_config *config, const char *key)
{
    return (int32_t)strtoll(gregor_config_get(config, key), NULL, 10);
}

bool gregor_config_bool(const struct gregor_config *config, const char *key)
{
    return strcasecmp(gregor_config_get(config, key), "true") == 0;
}

static char *trim(char *text)
{
    size_t length = strlen(text);

    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = 0;
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static int load_line(struct gregor_config *config, char *line, char *why, size_t why_size)
{
    char *key = trim(line);
    char *value;

    if (key[0] == 0 || key[0] == '#' || key[0] == '!') return GREGOR_OK;
    value = key + strcspn(key, "=:");
    if (*value == 0) {
        gregor_explain(why, why_size, "'%s' is not key=value", key);
        return GREGOR_ERR_BAD_CONFIG;
    }
    *value++ = 0;
    return gregor_config_set(config, trim(key), trim(value), why, why_size);
}

int gregor_config_load(struct gregor_config *config, const char *path, char *why, size_t why_size)
{
    char wrong[GREGOR_TEXT_MAX + 1] = "";
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    int error = GREGOR_OK;
    unsigned number = 0;

    if (file == NULL) {
        gregor_explain(why, why_size, "%s cannot be read", path);
        return GREGOR_ERR_NOT_FOUND;
    }
    while (error == GREGOR_OK && getline(&line, &room, file) >= 0) {
        number++;
        error = load_line(config, line, wrong, sizeof wrong);
    }
    if (error != GREGOR_OK) gregor_explain(why, why_size, "%s:%u: %s", path, number, wrong);
    free(line);
    fclose(file);
    return error;
}
