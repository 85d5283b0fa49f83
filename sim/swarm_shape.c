#include "sim/swarm_shape.h"

#include "sim/sim.h"
#include "sim/swarm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SHAPE_STREAM = 0x5a4e,
    SHAPE_MORE, /* streams of their own: what is drawn there moves nothing else */
    SHAPE_GROUPS,
    SHAPE_RACKS,
    SHAPE_QUORUM,
    SHAPE_BUILD,
    SHAPE_HABITS,
    SHAPE_TRANSACTIONS,
    KNOB_VALUES_MAX = 6,
    PER_CENT = RNG_MILLION / 100,
};

/* Small and hostile values of settings that act in this broker; the default is among them by being
 * left out half of the time. Pairs that contradict each other are mended in shape_consistent(). */
struct knob {
    const char *key;
    const char *values[KNOB_VALUES_MAX];
};

static const struct knob cluster_knobs[] = {
    {"controller.quorum.election.timeout.ms", {"200", "500", "1000", "3000"}},
    {"controller.quorum.fetch.timeout.ms", {"600", "1000", "2000", "5000"}},
    {"controller.quorum.election.backoff.max.ms", {"50", "200", "1000"}},
    {"controller.quorum.append.linger.ms", {"0", "1", "100"}},
    {"controller.quorum.request.timeout.ms", {"500", "1000", "2000"}},
    {"controller.quorum.retry.backoff.ms", {"1", "20", "200"}},
    {"metadata.max.idle.interval.ms", {"50", "500", "2000"}},
    {"broker.heartbeat.interval.ms", {"100", "300", "1000"}},
    {"broker.session.timeout.ms", {"2000", "4000", "9000"}},
    {"replica.lag.time.max.ms", {"1000", "2000", "5000", "10000"}},
    {"replica.fetch.wait.max.ms", {"5", "50", "500"}},
    {"replica.fetch.min.bytes", {"1", "1000", "100000"}},
    {"replica.fetch.max.bytes", {"1", "500", "4096"}},
    {"replica.fetch.response.max.bytes", {"1", "2000", "65536"}},
    {"replica.fetch.backoff.ms", {"10", "100", "2000"}},
    {"replica.high.watermark.checkpoint.interval.ms", {"10", "500", "20000"}},
    {"replica.socket.timeout.ms", {"1000", "5000", "30000"}},
    {"log.segment.bytes", {"1024", "4096", "65536"}},
    {"log.index.interval.bytes", {"0", "100", "4096"}},
    {"log.index.size.max.bytes", {"96", "1024"}},
    {"log.message.timestamp.type", {"CreateTime", "LogAppendTime"}},
    {"fetch.max.bytes", {"1024", "16384"}},
};

/* What cleans, repairs, snapshots, and where logs stand. */
static const struct knob more_knobs[] = {
    {"log.cleaner.backoff.ms", {"200", "2000"}},
    {"log.cleaner.dedupe.buffer.size", {"1536", "65536"}},
    {"log.retention.check.interval.ms", {"300", "2000"}},
    {"log.segment.delete.delay.ms", {"100", "2000"}},
    {"gregor.scrub.interval.ms", {"500", "5000"}},
    {"gregor.durable.acks", {"true"}},
    {"metadata.log.max.record.bytes.between.snapshots", {"1500", "6000"}},
    {"metadata.max.retention.bytes", {"3000", "10000"}},
    {"metadata.log.segment.bytes", {"1500", "6000"}},
    {"group.initial.rebalance.delay.ms", {"0", "500"}},
    {"max.incremental.fetch.session.cache.slots", {"2", "10"}},
    {"log.dirs", {"data,second"}},
};

static const struct knob more_topic_knobs[] = {
    {"cleanup.policy", {"compact", "compact,delete"}},
    {"min.cleanable.dirty.ratio", {"0.1", "0.5"}},
    {"retention.bytes", {"4000", "30000"}},
    {"retention.ms", {"3000", "15000"}},
};

static const struct knob topic_knobs[] = {
    {"segment.bytes", {"1024", "3000", "20000"}},
    {"segment.ms", {"100", "2000", "30000"}},
    {"index.interval.bytes", {"0", "64", "1000"}},
    {"segment.index.bytes", {"96", "2048"}},
    {"message.timestamp.type", {"CreateTime", "LogAppendTime"}},
};

/* ---- settings -------------------------------------------------------------------------------- */

static uint32_t knob_values(const struct knob *knob)
{
    uint32_t count = 0;

    while (count < KNOB_VALUES_MAX && knob->values[count] != NULL)
        count++;
    return count;
}

static bool is_set(const struct scenario_config *configs, uint32_t count, const char *key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(configs[i].key, key) == 0) return true;
    }
    return false;
}

/* The array of the original stays as it is. */
static void add_config(struct scenario *drawn, struct scenario_config **configs, uint32_t *count,
                       const char *key, const char *value)
{
    struct scenario_config *grown;

    if (*count == SCENARIO_CONFIGS_MAX) return;
    grown = store_take(&drawn->store, (*count + 1) * sizeof *grown);
    if (*count > 0) memcpy(grown, *configs, *count * sizeof *grown);
    grown[*count] = (struct scenario_config){key, value, -1};
    *configs = grown;
    (*count)++;
}

static void draw_knobs(struct scenario *drawn, struct rng *rng, const struct knob *knobs,
                       uint32_t knob_count, struct scenario_config **configs, uint32_t *count)
{
    for (uint32_t i = 0; i < knob_count; i++) {
        bool use = rng_chance(rng, RNG_MILLION / 3);
        uint64_t which = rng_below(rng, knob_values(&knobs[i]));

        if (!use || is_set(*configs, *count, knobs[i].key)) continue;
        add_config(drawn, configs, count, knobs[i].key, knobs[i].values[which]);
    }
}

/* A session outlives a few heartbeats: the default heartbeat needs the default session. */
static void shape_consistent(struct scenario *drawn)
{
    bool session = is_set(drawn->configs, drawn->config_count, "broker.session.timeout.ms");
    bool heartbeat = is_set(drawn->configs, drawn->config_count, "broker.heartbeat.interval.ms");

    if (session && !heartbeat) {
        add_config(drawn, &drawn->configs, &drawn->config_count, "broker.heartbeat.interval.ms",
                   "500");
    }
}

static void write_setting(struct rng *rng, const struct knob *knobs, uint32_t count, char *text,
                          size_t size)
{
    const struct knob *knob = &knobs[rng_below(rng, count)];
    uint64_t which = rng_below(rng, knob_values(knob));

    (void)snprintf(text, size, "%s=%s", knob->key, knob->values[which]);
}

/* Of one broker alone: nothing that the quorum or the controller must agree about. */
void swarm_shape_setting(struct rng *rng, char *text, size_t size)
{
    static const struct knob knobs[] = {
        {"replica.fetch.wait.max.ms", {"5", "50", "500"}},
        {"replica.fetch.max.bytes", {"1", "500", "4096", "1048576"}},
        {"replica.fetch.backoff.ms", {"10", "100", "2000"}},
        {"replica.high.watermark.checkpoint.interval.ms", {"10", "500", "20000"}},
        {"log.segment.bytes", {"1024", "4096", "65536"}},
        {"log.index.interval.bytes", {"0", "100", "4096"}},
        {"fetch.max.bytes", {"1024", "16384"}},
        {"max.incremental.fetch.session.cache.slots", {"2", "1000"}},
    };

    write_setting(rng, knobs, COUNT_OF(knobs), text, size);
}

void swarm_shape_topic_setting(struct rng *rng, char *text, size_t size)
{
    static const struct knob knobs[] = {
        {"segment.bytes", {"1024", "3000", "20000"}},  {"segment.ms", {"100", "2000", "30000"}},
        {"retention.bytes", {"4000", "30000", "-1"}},  {"retention.ms", {"3000", "15000", "-1"}},
        {"index.interval.bytes", {"0", "64", "1000"}},
    };

    write_setting(rng, knobs, COUNT_OF(knobs), text, size);
}

/* ---- shape ----------------------------------------------------------------------------------- */

static void draw_topic(struct scenario *drawn, struct scenario_topic *topic, struct rng *rng,
                       struct rng *more)
{
    int64_t partitions = units_draw(topic->partitions, rng);
    int64_t replicas = units_draw(topic->replicas, rng);
    uint64_t weight = rng_below(rng, 10);
    int64_t min_isr;

    topic->partitions = (struct unit_range){partitions, partitions};
    if (topic->assignment_count == 0) {
        if (replicas > (int64_t)drawn->brokers) replicas = drawn->brokers;
        topic->replicas = (struct unit_range){replicas, replicas};
    }
    if (!topic->swarm) return;
    min_isr = weight < 6 ? replicas - 1 : weight < 8 ? replicas : 1;
    if (min_isr < 1) min_isr = 1;
    if (!is_set(topic->configs, topic->config_count, "min.insync.replicas")) {
        add_config(drawn, &topic->configs, &topic->config_count, "min.insync.replicas",
                   store_format(&drawn->store, "%d", (int)min_isr));
    }
    draw_knobs(drawn, rng, topic_knobs, COUNT_OF(topic_knobs), &topic->configs,
               &topic->config_count);
    draw_knobs(drawn, more, more_topic_knobs, COUNT_OF(more_topic_knobs), &topic->configs,
               &topic->config_count);
}

/* One of 1, 2, 5, 10 .. 5 * 10^(decades - 1), each with the same chance: decades, not values. */
static int64_t draw_decades(struct rng *rng, uint32_t decades)
{
    uint64_t step = rng_below(rng, (uint64_t)decades * 3);
    int64_t value = step % 3 == 0 ? 1 : step % 3 == 1 ? 2 : 5;

    for (uint64_t i = 0; i < step / 3; i++)
        value *= 10;
    return value;
}

static void draw_producer(struct scenario *drawn, struct scenario_client *client, bool mixed_acks,
                          struct rng *rng)
{
    int64_t rate = draw_decades(rng, 3);
    int64_t size = draw_decades(rng, 3);
    uint64_t topic = rng_below(rng, drawn->topic_count);
    uint64_t acks = rng_below(rng, 4);
    uint64_t batch = rng_below(rng, 20);
    uint64_t linger = rng_below(rng, 3);

    client->kind = SCENARIO_PRODUCER;
    client->topics[client->topic_count++] = (uint32_t)topic;
    client->rate = (struct unit_range){rate * 1000, rate * 1000};
    client->record_size = (struct unit_range){16, 16 + size * 4};
    client->batch = (uint32_t)batch + 1;
    client->linger_ns = (int64_t)linger * 5 * NS_PER_MS;
    client->acks = -1;
    client->idempotent = true;
    if (!mixed_acks) return;
    client->acks = acks < 2 ? -1 : acks == 2 ? 1 : 0;
    client->idempotent = acks == 0;
}

/* Where records are taken by their keys all have one. */
static void give_keys(const struct scenario *drawn, struct scenario_client *client, struct rng *rng)
{
    const struct scenario_topic *topic = &drawn->topics[client->topics[0]];
    int64_t keys = draw_decades(rng, 2);

    for (uint32_t i = 0; i < topic->config_count; i++) {
        if (strcmp(topic->configs[i].key, "cleanup.policy") == 0 &&
            strstr(topic->configs[i].value, "compact") != NULL)
            client->keys = (uint32_t)keys;
    }
}

/* A topic that is not in the file. */
static struct scenario_topic *add_topic(struct scenario *drawn, const char *name,
                                        int64_t partitions)
{
    struct scenario_topic *topic = &drawn->topics[drawn->topic_count++];
    int64_t replicas = drawn->brokers < 3 ? drawn->brokers : 3;

    *topic = (struct scenario_topic){
        .name = name, .partitions = {partitions, partitions}, .replicas = {replicas, replicas}};
    drawn->names.topics[drawn->names.topic_count] = name;
    drawn->names.partitions[drawn->names.topic_count++] = (int32_t)partitions;
    return topic;
}

static bool has_topic(const struct scenario *drawn, const char *name)
{
    for (uint32_t i = 0; i < drawn->topic_count; i++) {
        if (strcmp(drawn->topics[i].name, name) == 0) return true;
    }
    return false;
}

static void draw_group(struct scenario *drawn, uint32_t number, struct rng *rng)
{
    uint64_t members = rng_below(rng, 4) + 1;
    uint64_t assignor = rng_below(rng, 4);
    int64_t session = draw_decades(rng, 1);
    int64_t commit = draw_decades(rng, 2);
    int64_t work = draw_decades(rng, 4);
    bool stays = rng_chance(rng, 25 * PER_CENT);
    bool works = rng_chance(rng, 50 * PER_CENT);
    uint32_t first = drawn->client_count;
    struct scenario_client one = {.kind = SCENARIO_CONSUMER, .batch = 1, .copy_of = -1};

    if (first + members > scenario_clients_room(drawn)) return;
    one.group = store_format(&drawn->store, "group%u", number);
    one.group_number = (int32_t)number;
    one.members = (uint32_t)members;
    one.assignor = (int)assignor;
    one.session_ns = (5 + session) * NS_PER_SEC;
    one.poll_max_ns = 20 * NS_PER_SEC;
    if (drawn->mix_groups) one.protocol = (enum scenario_protocol)rng_below(rng, 4);
    one.commit_ns = commit * 20 * NS_PER_MS;
    if (works) one.work = (struct unit_range){NS_PER_MS, work * NS_PER_MS};
    for (uint32_t j = 0; j < drawn->topic_count; j++)
        one.topics[one.topic_count++] = j;
    for (uint64_t i = 0; i < members; i++) {
        struct scenario_client *client = &drawn->clients[drawn->client_count++];

        *client = one;
        client->copy_of = i > 0 ? (int32_t)first : -1;
        client->name = i == 0 ? store_format(&drawn->store, "member%u", number)
                              : store_format(&drawn->store, "member%u_%d", number, (int)i + 1);
        if (stays) client->instance = client->name;
    }
}

/* In a third of the runs, or in each of `mix: groups`, of topics of the file; then the offsets get
 * their topic. */
static void draw_groups(struct scenario *drawn, struct rng *rng)
{
    uint64_t groups = rng_below(rng, 6);
    uint64_t partitions = rng_below(rng, 2);
    struct scenario_topic *topic;

    if (drawn->mix_groups) groups = 4 + groups % 2;
    if (groups < 4) return;
    for (uint32_t i = 0; i + 3 < groups; i++)
        draw_group(drawn, i, rng);
    if (has_topic(drawn, "__consumer_offsets") || drawn->topic_count == SCENARIO_TOPICS_MAX) return;
    topic = add_topic(drawn, "__consumer_offsets", (int64_t)partitions + 1);
    if (topic->replicas.max > 1) {
        add_config(drawn, &topic->configs, &topic->config_count, "min.insync.replicas",
                   store_format(&drawn->store, "%d", (int)topic->replicas.max - 1));
    }
}

/* Consumers who read from whom they have near. */
static void draw_racks(struct scenario *drawn, struct rng *rng)
{
    static const char *const names[] = {"north", "east", "south", "nowhere"};

    if (!rng_chance(rng, 25 * PER_CENT) || drawn->racks[0] != NULL) return;
    for (uint32_t i = 0; i < drawn->brokers; i++)
        drawn->racks[i] = names[i % 3];
    add_config(drawn, &drawn->configs, &drawn->config_count, "replica.selector.class",
               "org.apache.kafka.common.replica.RackAwareReplicaSelector");
    for (uint32_t i = 0; i < drawn->client_count; i++) {
        uint64_t rack = rng_below(rng, 4);

        if (drawn->clients[i].kind == SCENARIO_CONSUMER) drawn->clients[i].rack = names[rack];
    }
}

/* A consumer that jumps about asks for ends all the time. */
static void draw_seeks(struct scenario *drawn, struct rng *rng)
{
    for (uint32_t i = 0; i < drawn->client_count; i++) {
        struct scenario_client *client = &drawn->clients[i];
        bool seeks = rng_chance(rng, 15 * PER_CENT);

        if (client->kind != SCENARIO_CONSUMER || client->group != NULL || !seeks) continue;
        client->seek = (struct unit_range){50 * NS_PER_MS, 1000 * NS_PER_MS};
    }
}

/* What some clients do that most do not: give up soon, delete by tombstones; groups whose
 * coordinator assigns (KIP-848). */
static void draw_habits(struct scenario *drawn, struct rng *rng)
{
    bool consumer_protocol = rng_chance(rng, 40 * PER_CENT);

    for (uint32_t i = 0; i < drawn->client_count; i++) {
        struct scenario_client *client = &drawn->clients[i];
        bool hasty = rng_chance(rng, 15 * PER_CENT);
        bool deletes = rng_chance(rng, 50 * PER_CENT);
        int64_t timeout = draw_decades(rng, 1);
        int64_t records = draw_decades(rng, 2);

        if (client->group != NULL && !drawn->mix_groups && consumer_protocol)
            client->protocol = SCENARIO_SPEAKS_CONSUMER;
        if (client->kind != SCENARIO_PRODUCER || !client->idempotent) continue;
        if (hasty) client->delivery_timeout_ns = timeout * 500 * NS_PER_MS;
        if (client->keys > 0 && deletes) client->tombstones = (uint32_t)records + 1;
    }
}

/* In every third run one producer writes transactions: it is never killed (workload_txn.c). */
static void draw_transactions(struct scenario *drawn, struct rng *rng)
{
    bool wanted = rng_chance(rng, 33 * PER_CENT);
    int64_t records = draw_decades(rng, 2);

    for (uint32_t i = 0; i < drawn->client_count && wanted; i++) {
        struct scenario_client *client = &drawn->clients[i];

        if (client->kind != SCENARIO_PRODUCER || !client->idempotent) continue;
        client->transaction = (uint32_t)records;
        return;
    }
}

static void draw_clients(struct scenario *drawn, struct rng *rng, struct rng *more)
{
    uint32_t count = (uint32_t)units_draw(drawn->mix, rng);
    bool mixed_acks = rng_chance(rng, 25 * PER_CENT);

    for (uint32_t i = 0; i < count; i++) {
        struct scenario_client *client = &drawn->clients[drawn->client_count];
        bool consumer = rng_chance(rng, 30 * PER_CENT);

        if (i < 2) consumer = i == 1; /* one of each, at least */
        *client = (struct scenario_client){.kind = SCENARIO_CONSUMER, .batch = 1, .copy_of = -1};
        client->name = store_format(&drawn->store, "%s%u", consumer ? "consumer" : "producer", i);
        if (consumer) {
            for (uint32_t j = 0; j < drawn->topic_count; j++)
                client->topics[client->topic_count++] = j;
        } else {
            draw_producer(drawn, client, mixed_acks, rng);
            give_keys(drawn, client, more);
        }
        drawn->client_count++;
    }
}

/* ---- all ------------------------------------------------------------------------------------- */

bool swarm_shape_wanted(const struct scenario *scenario)
{
    bool topics = false;

    for (uint32_t i = 0; i < scenario->topic_count; i++)
        topics = topics || scenario->topics[i].swarm;
    return topics || scenario->swarm_config || scenario->mix.max > 0 || scenario->faults.swarm;
}

static bool may_draw(const struct scenario *drawn, enum fault_class class)
{
    return drawn->faults.swarm && (drawn->faults.classes >> class & 1) != 0;
}

/* Voters in the log, and controllers that could become some. */
static void draw_quorum(struct scenario *drawn, struct rng *rng)
{
    uint64_t more = rng_below(rng, 2);

    if (!may_draw(drawn, FAULT_CLASS_VOTERS) || drawn->combined || drawn->controllers < 3 ||
        drawn->voters > 0 || !rng_chance(rng, 40 * PER_CENT))
        return;
    drawn->voters = 3;
    if (drawn->controllers == 3) drawn->controllers += 1 + (uint32_t)more;
}

/* A cluster of an older build, whose nodes are exchanged one by one. */
static void draw_build(struct scenario *drawn, struct rng *rng)
{
    static const char key[] = SWARM_SHAPE_BUILD;

    if (!may_draw(drawn, FAULT_CLASS_UPGRADE) || !rng_chance(rng, 40 * PER_CENT) ||
        is_set(drawn->configs, drawn->config_count, key))
        return;
    add_config(drawn, &drawn->configs, &drawn->config_count, key,
               store_format(&drawn->store, "%d", SWARM_OLD_BUILD));
}

/* For an administrator: someone to ask, something to create. */
static void prepare_admin(struct scenario *drawn)
{
    bool asks = false;

    for (int i = 0; i < FAULT_CLASSES; i++)
        asks = asks || (may_draw(drawn, (enum fault_class)i) &&
                        fault_class_info((enum fault_class)i)->group == FAULT_GROUP_MEMBERSHIP);
    if (!asks) return;
    drawn->operates = true;
    if (drawn->topic_count == SCENARIO_TOPICS_MAX || has_topic(drawn, SWARM_SHAPE_TOPIC)) return;
    add_topic(drawn, SWARM_SHAPE_TOPIC, 1)->late = true;
}

struct scenario *swarm_shape_draw(const struct scenario *scenario, uint64_t seed)
{
    struct scenario *drawn = sim_alloc(sizeof *drawn);
    struct rng rng, more, groups, racks, quorum, build, habits, transactions;

    *drawn = *scenario;
    drawn->store = (struct store){NULL};
    rng_init(&rng, rng_stream(seed, SHAPE_STREAM, 0));
    rng_init(&more, rng_stream(seed, SHAPE_MORE, 0));
    rng_init(&groups, rng_stream(seed, SHAPE_GROUPS, 0));
    rng_init(&racks, rng_stream(seed, SHAPE_RACKS, 0));
    rng_init(&quorum, rng_stream(seed, SHAPE_QUORUM, 0));
    rng_init(&habits, rng_stream(seed, SHAPE_HABITS, 0));
    rng_init(&build, rng_stream(seed, SHAPE_BUILD, 0));
    rng_init(&transactions, rng_stream(seed, SHAPE_TRANSACTIONS, 0));
    for (uint32_t i = 0; i < drawn->topic_count; i++)
        draw_topic(drawn, &drawn->topics[i], &rng, &more);
    if (drawn->swarm_config) {
        draw_knobs(drawn, &rng, cluster_knobs, COUNT_OF(cluster_knobs), &drawn->configs,
                   &drawn->config_count);
        draw_knobs(drawn, &more, more_knobs, COUNT_OF(more_knobs), &drawn->configs,
                   &drawn->config_count);
        shape_consistent(drawn);
    }
    if (drawn->mix.max > 0) {
        draw_clients(drawn, &rng, &more);
        draw_seeks(drawn, &groups);
        draw_groups(drawn, &groups);
        if (drawn->swarm_config) draw_racks(drawn, &racks);
        draw_habits(drawn, &habits);
        draw_transactions(drawn, &transactions);
    }
    if (drawn->swarm_config) {
        draw_quorum(drawn, &quorum);
        draw_build(drawn, &build);
    }
    prepare_admin(drawn);
    return drawn;
}

static void put(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    if (used + 1 >= size) return;
    va_start(args, format);
    (void)vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

void swarm_shape_tell(const struct scenario *drawn, const struct scenario *from, char *text,
                      size_t size)
{
    static const char *const spoken[] = {"", " (KIP-848)", " (both protocols)",
                                         " (protocols in turn)"};

    text[0] = '\0';
    put(text, size, "controllers %u, brokers %u", drawn->controllers, drawn->brokers);
    if (drawn->voters > 0) put(text, size, ", voters %u", drawn->voters);
    for (uint32_t i = 0; i < drawn->topic_count; i++) {
        const struct scenario_topic *topic = &drawn->topics[i];
        uint32_t own = i < from->topic_count ? from->topics[i].config_count : 0;

        put(text, size, "; topic %s x%lld/%lld", topic->name, (long long)topic->partitions.min,
            (long long)topic->replicas.min);
        for (uint32_t j = own; j < topic->config_count; j++)
            put(text, size, " %s=%s", topic->configs[j].key, topic->configs[j].value);
    }
    for (uint32_t i = from->config_count; i < drawn->config_count; i++)
        put(text, size, "; %s=%s", drawn->configs[i].key, drawn->configs[i].value);
    for (uint32_t i = from->client_count; i < drawn->client_count; i++) {
        const struct scenario_client *client = &drawn->clients[i];

        if (client->kind == SCENARIO_CONSUMER) {
            put(text, size, "; %s%s%s%s%s", client->name, client->group != NULL ? " of " : "",
                client->group != NULL ? client->group : "",
                client->group != NULL ? spoken[client->protocol] : "",
                client->seek.max > 0 ? " seeks" : "");
        } else {
            put(text, size, "; %s %lld/s x%u of %lldB acks %d%s", client->name,
                (long long)client->rate.min / 1000, client->batch,
                (long long)client->record_size.max, client->acks,
                client->idempotent ? "" : " plain");
            if (client->transaction > 0)
                put(text, size, " transactions of %u", client->transaction);
            if (client->tombstones > 0) put(text, size, " tombstones %u", client->tombstones);
            if (client->delivery_timeout_ns > 0)
                put(text, size, " for %lldms",
                    (long long)(client->delivery_timeout_ns / NS_PER_MS));
        }
    }
}
