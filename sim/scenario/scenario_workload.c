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
        /* A range follows the number of brokers, which may be drawn; a number is meant. */
        if (topic->replicas.min < topic->replicas.max && topic->replicas.min <= brokers &&
            topic->replicas.max > brokers) {
            topic->replicas.max = brokers;
        }
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

/* ---- what steps make ------------------------------------------------------------------------- */

/* create_topic: the name is known from here on, and the topic from when the step has fired. */
void read_new_topic(const struct read *read, const struct yaml *at, struct scenario_action *action)
{
    struct scenario *scenario = read->scenario;
    struct expr_names *names = &scenario->names;
    struct scenario_topic *topic = &scenario->topics[scenario->topic_count];
    const struct scenario_value *partitions = scenario_arg(action, "partitions");
    const struct scenario_value *replicas = scenario_arg(action, "replicas");
    const struct scenario_value *config = scenario_arg(action, "config");
    struct yaml name = *at;
    int64_t usual = scenario->brokers < 3 ? scenario->brokers : 3;

    name.text = action->args[0].text;
    for (uint32_t i = 0; i < scenario->topic_count; i++) { /* one that was deleted comes again */
        if (!scenario->topics[i].late || strcmp(scenario->topics[i].name, name.text) != 0) continue;
        if (partitions == NULL && replicas == NULL && config == NULL) {
            action->args[0].topic = (int32_t)i;
            return;
        }
    }
    if (scenario->topic_count == SCENARIO_TOPICS_MAX) {
        read_fail(read, at, "more than %d topics", SCENARIO_TOPICS_MAX);
        return;
    }
    *topic = (struct scenario_topic){.name = read_name(read, &name, "a topic"),
                                     .partitions = {1, 1},
                                     .replicas = {usual, usual},
                                     .late = true};
    for (uint32_t i = 0; i < names->topic_count; i++) {
        if (strcmp(names->topics[i], topic->name) != 0) continue;
        read_fail(read, at, "a topic \"%s\" is there already", topic->name);
    }
    if (partitions != NULL) topic->partitions = partitions->quantity;
    if (replicas != NULL) topic->replicas = replicas->quantity;
    if (topic->partitions.min < 1 || topic->partitions.max > 1000) {
        read_fail(read, at, "create_topic: 1 to 1000 partitions");
    }
    if (topic->replicas.min < 1 || topic->replicas.max > scenario->brokers) {
        read_fail(read, at, "create_topic: 1 to %u replicas can be placed on %u brokers",
                  scenario->brokers, scenario->brokers);
    }
    if (config != NULL) {
        topic->configs = config->configs;
        topic->config_count = config->config_count;
    }
    action->args[0].topic = (int32_t)scenario->topic_count++;
    names->topics[names->topic_count] = topic->name;
    names->partitions[names->topic_count++] = (int32_t)topic->partitions.max;
}

/* add_partitions: conditions may name the new ones from here on. */
void read_more_partitions(const struct read *read, const struct yaml *at,
                          const struct scenario_action *action)
{
    int32_t *known = &read->scenario->names.partitions[action->args[0].topic];
    struct unit_range count = action->args[1].quantity;

    if (count.min <= *known || count.max > 1000) {
        read_fail(read, at, "add_partitions: count is how many there are then: %d to 1000",
                  (int)*known + 1);
    } else {
        *known = (int32_t)count.max;
    }
}

/* One more machine for a copy of a client, switched on by a step. */
static void read_copy(const struct read *read, const struct yaml *at, int32_t of, const char *name)
{
    struct scenario *scenario = read->scenario;
    struct expr_names *names = &scenario->names;
    struct scenario_client *client = &scenario->clients[scenario->client_count];

    if (scenario->client_count == SCENARIO_CLIENTS_MAX) {
        read_fail(read, at, "more than %d clients, with those that steps start",
                  SCENARIO_CLIENTS_MAX);
        return;
    }
    *client = scenario->clients[of];
    client->name = name;
    client->copy_of = client->copy_of >= 0 ? client->copy_of : of;
    client->by_step = true;
    client->crowd = 0;
    if (client->instance != NULL) client->instance = name;
    for (uint32_t i = 0; i < names->client_count; i++) {
        if (strcmp(names->clients[i], client->name) != 0) continue;
        read_fail(read, at, "a client \"%s\" is there already", client->name);
    }
    scenario->client_count++;
    names->clients[names->client_count++] = client->name;
}

/* start_client: without a name it may happen often, and starts whatever machine is off. */
void read_new_client(const struct read *read, const struct yaml *at, struct scenario_action *action)
{
    enum { SPARES = 2 };
    struct scenario *scenario = read->scenario;
    struct expr_names *names = &scenario->names;
    const char *list[SCENARIO_CLIENTS_MAX + 1] = {NULL};
    struct yaml word = *at;
    int of = -1;

    for (uint32_t i = 0; i < names->client_count; i++) {
        list[i] = names->clients[i];
        if (strcmp(names->clients[i], action->args[0].text) == 0) of = (int)i;
    }
    word.text = action->args[0].text;
    if (of < 0) {
        read_fail_word(read, &word, "client", list);
        return;
    }
    action->args[0].topic = of;
    action->args[1].topic = (int32_t)scenario->client_count; /* the number of the copy */
    word.text = action->args[1].text;
    if (action->args[1].set) {
        read_copy(read, at, of, read_name(read, &word, "a client"));
        return;
    }
    for (uint32_t i = 0; i < SPARES && !yaml_failed(read->error); i++) {
        read_copy(read, at, of,
                  store_format(&scenario->store, "%s-spare-%u", scenario->clients[of].name,
                               scenario->client_count));
    }
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
    static const char *const known[] = {"producer",   "topic",       "acks",    "idempotent",
                                        "batch",      "rate",        "records", "record_size",
                                        "linger",     "timeout",     "keys",    "first_sequence",
                                        "tombstones", "transaction", NULL};
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
    value = yaml_get(at, "keys");
    if (value != NULL) client->keys = (uint32_t)read_fixed(read, value, UNIT_COUNT, 1, 1000000);
    value = yaml_get(at, "tombstones");
    if (value != NULL) {
        client->tombstones = (uint32_t)read_fixed(read, value, UNIT_COUNT, 2, 1000000);
        if (client->keys == 0) read_fail(read, value, "tombstones: needs keys");
    }
    value = yaml_get(at, "linger");
    if (value != NULL) client->linger_ns = read_fixed(read, value, UNIT_TIME, 0, NS_PER_SEC * 60);
    value = yaml_get(at, "timeout");
    if (value != NULL) {
        client->delivery_timeout_ns =
            read_fixed(read, value, UNIT_TIME, 100 * NS_PER_MS, NS_PER_SEC * 3600);
    }
    value = yaml_get(at, "first_sequence");
    if (value != NULL) {
        client->first_sequence = (int32_t)read_fixed(read, value, UNIT_COUNT, 0, INT32_MAX);
        if (!client->idempotent) read_fail(read, value, "first_sequence: needs idempotent: true");
    }
    value = yaml_get(at, "transaction");
    if (value != NULL) {
        client->transaction = (uint32_t)read_fixed(read, value, UNIT_COUNT, 1, 1000);
        if (!client->idempotent) read_fail(read, value, "transaction: needs idempotent: true");
    }
}

/* The members behind the first are clients of their own: NAME_2, NAME_3, ... */
static void add_members(const struct read *read, const struct yaml *at, int64_t members, bool stays)
{
    struct scenario *scenario = read->scenario;
    struct expr_names *names = &scenario->names;
    uint32_t first = scenario->client_count - 1;

    if (scenario->client_count + members - 1 > SCENARIO_CLIENTS_MAX) {
        read_fail(read, at, "more than %d clients, members of groups included",
                  SCENARIO_CLIENTS_MAX);
        return;
    }
    for (int64_t i = 1; i < members; i++) {
        struct scenario_client *member = &scenario->clients[scenario->client_count++];

        *member = scenario->clients[first];
        member->copy_of = (int32_t)first;
        member->name = store_format(&scenario->store, "%s_%d", member->name, (int)i + 1);
        names->clients[names->client_count++] = member->name;
    }
    for (uint32_t i = first; i < scenario->client_count && stays; i++)
        scenario->clients[i].instance = scenario->clients[i].name;
}

/* Conditions name it: there are at most as many as clients. */
static int32_t read_group_number(const struct read *read, const char *name)
{
    struct expr_names *names = &read->scenario->names;

    for (uint32_t i = 0; i < names->group_count; i++) {
        if (strcmp(names->groups[i], name) == 0) return (int32_t)i;
    }
    names->groups[names->group_count] = name;
    return (int32_t)names->group_count++;
}

static void read_member(const struct read *read, const struct yaml *at,
                        struct scenario_client *client)
{
    static const char *const needs_group[] = {
        "members", "crowd", "commit", "protocol", "assignor", "static", "session", "poll", "work"};
    const struct yaml *value = yaml_get(at, "group");
    const struct yaml *stays = yaml_get(at, "static");
    int64_t members = 1;

    if (value == NULL) {
        for (size_t i = 0; i < COUNT_OF(needs_group); i++)
            if (yaml_get(at, needs_group[i]) != NULL)
                read_fail(read, yaml_get(at, needs_group[i]), "%s: needs a group:", needs_group[i]);
        return;
    }
    client->group = read_name(read, value, "a group");
    client->group_number = read_group_number(read, client->group);
    client->commit_ns = NS_PER_SEC;
    client->session_ns = 10 * NS_PER_SEC;
    client->poll_max_ns = 30 * NS_PER_SEC;
    value = yaml_get(at, "protocol");
    for (uint32_t i = 0; value != NULL && value->kind == YAML_LIST && i < value->count; i++)
        (void)read_choice(read, value->items[i], "protocol", "classic consumer");
    if (value != NULL && value->kind != YAML_LIST) {
        client->protocol = (enum scenario_protocol)read_choice(read, value, "protocol",
                                                               "classic consumer mixed rolling");
    }
    value = yaml_get(at, "assignor");
    if (value != NULL)
        client->assignor =
            read_choice(read, value, "assignor", "range roundrobin sticky cooperative-sticky");
    value = yaml_get(at, "session");
    if (value != NULL)
        client->session_ns = read_fixed(read, value, UNIT_TIME, NS_PER_SEC, NS_PER_SEC * 1800);
    value = yaml_get(at, "poll");
    if (value != NULL)
        client->poll_max_ns = read_fixed(read, value, UNIT_TIME, NS_PER_SEC, NS_PER_SEC * 3600);
    value = yaml_get(at, "work");
    if (value != NULL) client->work = read_range(read, value, UNIT_TIME);
    value = yaml_get(at, "commit");
    if (value != NULL && read_map(read, value, "commit", (const char *const[]){"every", NULL})) {
        const struct yaml *every = yaml_get(value, "every");

        if (every == NULL) {
            read_fail(read, value, "commit: {every: TIME} is wanted");
        } else {
            client->commit_ns =
                read_fixed(read, every, UNIT_TIME, 10 * NS_PER_MS, NS_PER_SEC * 3600);
        }
    }
    value = yaml_get(at, "members");
    if (value != NULL) members = read_fixed(read, value, UNIT_COUNT, 1, SCENARIO_CLIENTS_MAX);
    client->members = (uint32_t)members;
    if (!yaml_failed(read->error))
        add_members(read, value, members, stays != NULL && read_bool(read, stays));
    value = yaml_get(at, "crowd");
    if (value == NULL || yaml_failed(read->error)) return;
    client->crowd = (uint32_t)read_fixed(read, value, UNIT_COUNT, 1, SCENARIO_CROWD_MAX);
    if (client->instance != NULL) read_fail(read, value, "crowd: its members are not static");
}

static void read_consumer(const struct read *read, const struct yaml *at,
                          struct scenario_client *client)
{
    static const char *const known[] = {"consumer", "topics",   "group",    "members", "crowd",
                                        "commit",   "protocol", "assignor", "static",  "session",
                                        "poll",     "work",     "rack",     "seek",    NULL};
    const struct yaml *value = yaml_get(at, "topics");
    const struct yaml *rack = yaml_get(at, "rack");

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
    if (rack != NULL) client->rack = read_name(read, rack, "a rack");
    value = yaml_get(at, "seek");
    if (value != NULL) {
        client->seek = read_range(read, value, UNIT_TIME);
        if (client->seek.min < NS_PER_MS) read_fail(read, value, "seek: 1ms or more is wanted");
        if (yaml_get(at, "group") != NULL) read_fail(read, value, "seek: needs no group:");
    }
    if (!yaml_failed(read->error)) read_member(read, at, client);
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
                                 .copy_of = -1,
                                 .members = 1,
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

/* {mix: standard, clients: 1..8}: drawn per run, by sim/swarm_shape.c; `groups`: with groups in
 * every run, of both protocols. */
static void read_mix(const struct read *read, const struct yaml *at)
{
    static const char *const known[] = {"mix", "clients", NULL};
    struct scenario *scenario = read->scenario;
    const struct yaml *mix;
    const struct yaml *clients;

    if (!read_map(read, at, "workload", known)) return;
    mix = yaml_get(at, "mix");
    if (mix == NULL) {
        read_fail(read, at,
                  "workload: is a list of clients, or {mix: standard|groups, clients: 1..8}");
        return;
    }
    scenario->mix_groups = read_choice(read, mix, "mix", "standard groups") == 1;
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
