/* topics and workload. */
#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <string.h>

static void read_replicas(const struct read *read, const struct yaml *at,
                          struct scenario_topic *topic)
{
    int64_t brokers = read->scenario->brokers;

    if (at->kind != YAML_LIST) {
        topic->replicas = read_range(read, at, UNIT_COUNT);
        if (topic->replicas.min < 1 || topic->replicas.max > brokers) {
            read_fail(read, at, "\"%s\": 1 to %d replicas can be placed on %d brokers", at->text,
                      (int)brokers, (int)brokers);
        }
        return;
    }
    if (at->count == 0 || at->count > SCENARIO_REPLICAS_MAX || at->count > brokers) {
        read_fail(read, at, "1 to %d brokers are wanted", (int)brokers);
        return;
    }
    for (uint32_t i = 0; i < at->count; i++) {
        topic->assignment[i] = (int32_t)read_fixed(read, at->items[i], UNIT_COUNT, 1, brokers);
        for (uint32_t j = 0; j < i; j++) {
            if (topic->assignment[i] != topic->assignment[j]) continue;
            read_fail(read, at->items[i], "broker %d is there twice", (int)topic->assignment[i]);
        }
    }
    topic->assignment_count = at->count;
    topic->replicas = (struct unit_range){at->count, at->count};
}

static void read_topic(const struct read *read, const struct yaml *key, const struct yaml *at)
{
    static const char *const known[] = {"partitions", "replicas", "config", NULL};
    struct scenario *scenario = read->scenario;
    struct expr_names *names = &scenario->names;
    struct scenario_topic *topic = &scenario->topics[scenario->topic_count++];
    const struct yaml *value;

    *topic = (struct scenario_topic){.name = read_name(read, key, "a topic"),
                                     .partitions = {1, 1},
                                     .replicas = {scenario->brokers < 3 ? scenario->brokers : 3,
                                                  scenario->brokers < 3 ? scenario->brokers : 3}};
    if (!read_map(read, at, "a topic", known)) return;
    value = yaml_get(at, "partitions");
    if (value != NULL) topic->partitions = read_range(read, value, UNIT_COUNT);
    if (topic->partitions.min < 1 || topic->partitions.max > 1000) {
        read_fail(read, value, "\"%s\": 1 to 1000 partitions", value->text);
    }
    value = yaml_get(at, "replicas");
    if (value != NULL) read_replicas(read, value, topic);
    value = yaml_get(at, "config");
    if (value != NULL) {
        read_configs(read, value, -1, &topic->configs, &topic->config_count, &topic->swarm);
    }
    names->topics[names->topic_count] = topic->name;
    names->partitions[names->topic_count++] = (int32_t)topic->partitions.max;
}

void read_topics(const struct read *read, const struct yaml *at)
{
    if (at->kind != YAML_MAP) {
        read_fail(read, at, "topics: is a map of names");
        return;
    }
    if (at->count > SCENARIO_TOPICS_MAX) {
        read_fail(read, at, "more than %d topics", SCENARIO_TOPICS_MAX);
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++)
        read_topic(read, at->keys[i], at->items[i]);
}

/* ---- clients --------------------------------------------------------------------------------- */

static void read_client_topic(const struct read *read, const struct yaml *at,
                              struct scenario_client *client)
{
    const struct expr_names *names = &read->scenario->names;
    const char *text = read_text(read, at, "a topic");
    const char *list[SCENARIO_TOPICS_MAX + 1] = {NULL};

    for (uint32_t i = 0; i < names->topic_count; i++) {
        list[i] = names->topics[i];
        if (strcmp(names->topics[i], text) != 0) continue;
        client->topics[client->topic_count++] = i;
        return;
    }
    read_fail_word(read, at, "topic", list);
}

static void read_acks(const struct read *read, const struct yaml *at,
                      struct scenario_client *client)
{
    static const int16_t acks[] = {-1, 1, 0};

    client->acks = acks[read_choice(read, at, "acks", "all 1 0")];
    if (client->acks != -1) client->idempotent = false; /* unless said otherwise below */
}

static void read_producer(const struct read *read, const struct yaml *at,
                          struct scenario_client *client)
{
    static const char *const known[] = {"producer", "topic",   "acks",    "idempotent",
                                        "batch",    "rate",    "records", "record_size",
                                        "linger",   "timeout", NULL};
    const struct yaml *value;

    if (!read_map(read, at, "a producer", known)) return;
    value = yaml_get(at, "topic");
    if (value == NULL) {
        read_fail(read, at, "a producer needs its topic");
        return;
    }
    read_client_topic(read, value, client);
    value = yaml_get(at, "acks");
    if (value != NULL) read_acks(read, value, client);
    value = yaml_get(at, "idempotent");
    if (value != NULL) client->idempotent = read_bool(read, value);
    if (client->idempotent && client->acks != -1) {
        read_fail(read, value != NULL ? value : at, "idempotent: true needs acks: all");
    }
    value = yaml_get(at, "batch");
    if (value != NULL) client->batch = (uint32_t)read_fixed(read, value, UNIT_COUNT, 1, 10000);
    value = yaml_get(at, "rate");
    if (value != NULL) client->rate = read_range(read, value, UNIT_RATE);
    if (client->rate.min < 1 && !yaml_failed(read->error)) {
        read_fail(read, value, "a rate above 0 is wanted");
    }
    value = yaml_get(at, "records");
    if (value != NULL) client->records = read_fixed(read, value, UNIT_COUNT, 1, INT32_MAX);
    value = yaml_get(at, "record_size");
    if (value != NULL) {
        client->record_size = read_range(read, value, UNIT_SIZE);
        if (client->record_size.min < 16 || client->record_size.max > 1024 * 1024) {
            read_fail(read, value, "\"%s\": records of 16B to 1MiB are wanted", value->text);
        }
    }
    value = yaml_get(at, "linger");
    if (value != NULL) client->linger_ns = read_fixed(read, value, UNIT_TIME, 0, NS_PER_SEC * 60);
    value = yaml_get(at, "timeout");
    if (value != NULL) {
        client->delivery_timeout_ns =
            read_fixed(read, value, UNIT_TIME, 100 * NS_PER_MS, NS_PER_SEC * 3600);
    }
}

static void read_consumer(const struct read *read, const struct yaml *at,
                          struct scenario_client *client)
{
    static const char *const known[] = {"consumer", "topics", NULL};
    const struct yaml *value = yaml_get(at, "topics");

    if (!read_map(read, at, "a consumer", known)) return;
    if (value == NULL) {
        read_fail(read, at, "a consumer needs its topics");
        return;
    }
    if (!read_list(read, value, "topics")) return;
    if (value->count == 0 || value->count > SCENARIO_TOPICS_MAX) {
        read_fail(read, value, "1 to %d topics", SCENARIO_TOPICS_MAX);
    }
    for (uint32_t i = 0; i < value->count && !yaml_failed(read->error); i++)
        read_client_topic(read, value->items[i], client);
}

static void read_client(const struct read *read, const struct yaml *at)
{
    struct scenario *scenario = read->scenario;
    struct expr_names *names = &scenario->names;
    struct scenario_client *client = &scenario->clients[scenario->client_count];
    const struct yaml *producer = yaml_get(at, "producer");
    const struct yaml *name = producer != NULL ? producer : yaml_get(at, "consumer");

    *client =
        (struct scenario_client){.kind = producer != NULL ? SCENARIO_PRODUCER : SCENARIO_CONSUMER,
                                 .acks = -1,
                                 .idempotent = true,
                                 .rate = {100 * 1000, 100 * 1000},
                                 .batch = 1,
                                 .record_size = {100, 100}};
    if (name == NULL) {
        read_fail(read, at, "a client is a producer: NAME or a consumer: NAME");
        return;
    }
    client->name = read_name(read, name, "a client");
    for (uint32_t i = 0; i < names->client_count; i++) {
        if (strcmp(names->clients[i], client->name) != 0) continue;
        read_fail(read, name, "a client \"%s\" is there already", client->name);
    }
    names->clients[names->client_count++] = client->name;
    scenario->client_count++;
    if (producer != NULL) {
        read_producer(read, at, client);
    } else {
        read_consumer(read, at, client);
    }
}

/* {mix: standard, clients: 1..8}: drawn per run, by sim/swarm_shape.c. */
static void read_mix(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"mix", "clients", NULL};
    struct scenario *scenario = read->scenario;
    const struct yaml *mix;
    const struct yaml *clients;

    if (!read_map(read, at, "workload", known)) return;
    mix = yaml_get(at, "mix");
    if (mix == NULL) {
        read_fail(read, at, "workload: is a list of clients, or {mix: standard, clients: 1..8}");
        return;
    }
    (void)read_choice(read, mix, "mix", "standard");
    clients = yaml_get(at, "clients");
    scenario->mix = (struct unit_range){2, 4};
    if (clients != NULL) scenario->mix = read_range(read, clients, UNIT_COUNT);
    if (scenario->mix.min < 1 || scenario->mix.max > SCENARIO_CLIENTS_MAX) {
        read_fail(read, clients, "1 to %d clients", SCENARIO_CLIENTS_MAX);
    }
    if (scenario->topic_count == 0) read_fail(read, at, "a mix needs topics");
}

void read_workload(const struct read *read, const struct yaml *at)
{
    if (at->kind == YAML_MAP) {
        read_mix(read, at);
        return;
    }
    if (!read_list(read, at, "workload")) return;
    if (at->count > SCENARIO_CLIENTS_MAX) {
        read_fail(read, at, "more than %d clients", SCENARIO_CLIENTS_MAX);
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++)
        read_client(read, at->items[i]);
}
