/* What the properties mean together (clients.md 2.5): the settings of producer, consumer and
 * membership, or the reason why there are none. Texts are borrowed from the configuration. */
#include "client/gregor_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct str text_of(const struct gregor_config *config, const char *key)
{
    const char *value = gregor_config_get(config, key);

    return value != NULL ? str_of(value) : STR("");
}

static bool word_is(const struct gregor_config *config, const char *key, const char *word)
{
    return strcasecmp(gregor_config_get(config, key), word) == 0;
}

static bool bootstrap_good(const char *servers)
{
    struct str list = str_of(servers);
    struct str host;
    uint16_t port = 0;
    enum err err = ERR_NONE;
    uint32_t count = 0;

    while (metadata_next_address(&list, &host, &port, &err))
        count++;
    return err == ERR_NONE && count > 0;
}

bool gregor_config_metadata(const struct gregor_config *config, struct metadata_config *metadata,
                            char *why, size_t why_size)
{
    const char *servers = gregor_config_get(config, "bootstrap.servers");
    struct peer_config *peer = &metadata->peer;

    metadata_config_default(metadata);
    if (servers == NULL) {
        gregor_explain(why, why_size, "bootstrap.servers is not set");
        return false;
    }
    if (!bootstrap_good(servers)) {
        gregor_explain(why, why_size, "bootstrap.servers: '%s' is not a list of HOST:PORT",
                       servers);
        return false;
    }
    metadata->bootstrap = str_of(servers);
    metadata->max_age_ms = gregor_config_int(config, "metadata.max.age.ms");
    metadata->retry_backoff_ms = gregor_config_int(config, "retry.backoff.ms");
    metadata->retry_backoff_max_ms = gregor_config_int(config, "retry.backoff.max.ms");
    metadata->auto_create = false;
    peer->client_id = text_of(config, "client.id");
    peer->request_timeout_ms = gregor_config_int(config, "request.timeout.ms");
    peer->setup_timeout_ms = gregor_config_int(config, "socket.connection.setup.timeout.ms");
    peer->setup_timeout_max_ms =
        gregor_config_int(config, "socket.connection.setup.timeout.max.ms");
    peer->reconnect_backoff_ms = gregor_config_int(config, "reconnect.backoff.ms");
    peer->reconnect_backoff_max_ms = gregor_config_int(config, "reconnect.backoff.max.ms");
    peer->idle_max_ms = gregor_config_int(config, "connections.max.idle.ms");
    return true;
}

/* ---- producer -------------------------------------------------------------------------------- */

static void map_codec(const struct gregor_config *config, struct producer_config *producer)
{
    static const struct {
        const char *name;
        enum codec codec;
        const char *level;
    } codecs[] = {{"none", CODEC_NONE, NULL},
                  {"gzip", CODEC_GZIP, "compression.gzip.level"},
                  {"snappy", CODEC_SNAPPY, NULL},
                  {"lz4", CODEC_LZ4, "compression.lz4.level"},
                  {"zstd", CODEC_ZSTD, "compression.zstd.level"}};

    for (size_t i = 0; i < COUNT_OF(codecs); i++) {
        if (!word_is(config, "compression.type", codecs[i].name)) continue;
        producer->codec = codecs[i].codec;
        if (codecs[i].level != NULL && gregor_config_is_set(config, codecs[i].level))
            producer->codec_level = gregor_config_int(config, codecs[i].level);
    }
}

static void map_partitioner(const struct gregor_config *config, struct producer_config *producer)
{
    producer->partitioning = PRODUCER_BY_KEY;
    if (word_is(config, "partitioner.class", "sticky") ||
        gregor_config_bool(config, "partitioner.ignore.keys"))
        producer->partitioning = PRODUCER_STICKY;
    if (word_is(config, "partitioner.class", "roundrobin") ||
        word_is(config, "partitioner.class",
                "org.apache.kafka.clients.producer.RoundRobinPartitioner"))
        producer->partitioning = PRODUCER_IN_TURN;
}

/* Idempotence goes when something said explicitly does not go with it, unless it was said too. */
static bool map_idempotence(const struct gregor_config *config, struct producer_config *producer,
                            char *why, size_t why_size)
{
    bool explicit = gregor_config_is_set(config, "enable.idempotence");
    const char *against = NULL;

    producer->acks = word_is(config, "acks", "0") ? 0 : word_is(config, "acks", "1") ? 1 : -1;
    producer->idempotent = gregor_config_bool(config, "enable.idempotence");
    if (!producer->idempotent) return true;
    if (producer->acks != -1) against = "acks=all";
    if (producer->retries == 0) against = "retries above 0";
    if (against != NULL && !explicit) {
        producer->idempotent = false;
        return true;
    }
    if (producer->in_flight_max > 5) against = "max.in.flight.requests.per.connection up to 5";
    if (against == NULL) return true;
    gregor_explain(why, why_size, "enable.idempotence: wants %s", against);
    return false;
}

static bool map_timeouts(const struct gregor_config *config, struct producer_config *producer,
                         char *why, size_t why_size)
{
    int64_t least = (int64_t)producer->linger_ms + producer->request_timeout_ms;

    if (producer->delivery_timeout_ms >= least) return true;
    if (least > INT32_MAX || gregor_config_is_set(config, "delivery.timeout.ms")) {
        gregor_explain(why, why_size,
                       "delivery.timeout.ms: %d is less than linger.ms + request.timeout.ms",
                       producer->delivery_timeout_ms);
        return false;
    }
    producer->delivery_timeout_ms = (int32_t)least;
    return true;
}

bool gregor_config_producer(const struct gregor_config *config, struct producer_config *producer,
                            char *why, size_t why_size)
{
    producer_config_default(producer);
    if (!gregor_config_metadata(config, &producer->metadata, why, why_size)) return false;
    producer->metadata.auto_create = true;
    producer->metadata.nodes_max = 200; /* a request pool goes with each */
    producer->batch_size = (uint32_t)gregor_config_int(config, "batch.size");
    producer->max_request_size = (uint32_t)gregor_config_int(config, "max.request.size");
    producer->buffer_memory = (size_t)gregor_config_int(config, "buffer.memory");
    producer->linger_ms = gregor_config_int(config, "linger.ms");
    producer->max_block_ms = gregor_config_int(config, "max.block.ms");
    producer->delivery_timeout_ms = gregor_config_int(config, "delivery.timeout.ms");
    producer->request_timeout_ms = gregor_config_int(config, "request.timeout.ms");
    producer->retries = (uint32_t)gregor_config_int(config, "retries");
    producer->in_flight_max =
        (uint32_t)gregor_config_int(config, "max.in.flight.requests.per.connection");
    map_codec(config, producer);
    map_partitioner(config, producer);
    return map_idempotence(config, producer, why, why_size) &&
           map_timeouts(config, producer, why, why_size);
}

/* ---- consumer -------------------------------------------------------------------------------- */

/* Names of assignors, or of Kafka's classes: "org.apache...CooperativeStickyAssignor". */
static bool map_assignors(const struct gregor_config *config, struct membership_config *member,
                          char *why, size_t why_size)
{
    static const struct {
        const char *class;
        enum assignor assignor;
    } classes[] = {{"CooperativeStickyAssignor", ASSIGNOR_COOPERATIVE_STICKY},
                   {"RoundRobinAssignor", ASSIGNOR_ROUNDROBIN},
                   {"StickyAssignor", ASSIGNOR_STICKY},
                   {"RangeAssignor", ASSIGNOR_RANGE}};
    char copy[GREGOR_TEXT_MAX + 1];
    char *rest = copy;
    char *name;

    strncpy(copy, gregor_config_get(config, "partition.assignment.strategy"), sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    member->assignors_count = 0;
    while ((name = strsep(&rest, ", ")) != NULL) {
        enum assignor *place = &member->assignors[member->assignors_count];
        const char *last = strrchr(name, '.');
        bool found = false;

        if (name[0] == 0) continue;
        if (member->assignors_count < ASSIGNORS) {
            found = assignor_find(str_of(name), place);
            for (size_t i = 0; !found && i < COUNT_OF(classes); i++) {
                found = strcmp(last != NULL ? last + 1 : name, classes[i].class) == 0;
                if (found) *place = classes[i].assignor;
            }
        }
        if (!found) {
            gregor_explain(why, why_size,
                           "partition.assignment.strategy: '%s' is not range, roundrobin, sticky "
                           "or cooperative-sticky",
                           name);
            return false;
        }
        member->assignors_count++;
    }
    if (member->assignors_count > 0) return true;
    gregor_explain(why, why_size, "partition.assignment.strategy: is empty");
    return false;
}

static bool map_member(const struct gregor_config *config, struct membership_config *member,
                       char *why, size_t why_size)
{
    membership_config_default(member);
    member->group_id = text_of(config, "group.id");
    member->instance_id = text_of(config, "group.instance.id");
    member->protocol =
        word_is(config, "group.protocol", "consumer") ? MEMBERSHIP_CONSUMER : MEMBERSHIP_CLASSIC;
    member->remote_assignor = text_of(config, "group.remote.assignor");
    member->session_timeout_ms = gregor_config_int(config, "session.timeout.ms");
    member->heartbeat_interval_ms = gregor_config_int(config, "heartbeat.interval.ms");
    member->max_poll_interval_ms = gregor_config_int(config, "max.poll.interval.ms");
    member->auto_commit = gregor_config_bool(config, "enable.auto.commit");
    member->commit_interval_ms = gregor_config_int(config, "auto.commit.interval.ms");
    member->request_timeout_ms = gregor_config_int(config, "request.timeout.ms");
    if (member->heartbeat_interval_ms < member->session_timeout_ms)
        return map_assignors(config, member, why, why_size);
    gregor_explain(why, why_size, "heartbeat.interval.ms: %d is not below session.timeout.ms (%d)",
                   member->heartbeat_interval_ms, member->session_timeout_ms);
    return false;
}

bool gregor_config_consumer(const struct gregor_config *config, struct consumer_config *consumer,
                            struct membership_config *member, char *why, size_t why_size)
{
    consumer_config_default(consumer);
    if (!gregor_config_metadata(config, &consumer->metadata, why, why_size)) return false;
    consumer->metadata.auto_create = gregor_config_bool(config, "allow.auto.create.topics");
    consumer->reset = word_is(config, "auto.offset.reset", "earliest") ? CONSUMER_RESET_EARLIEST
                      : word_is(config, "auto.offset.reset", "none")   ? CONSUMER_RESET_NONE
                      : gregor_config_back(gregor_config_get(config, "auto.offset.reset"),
                                           &consumer->reset_back_ms)
                          ? CONSUMER_RESET_BACK
                          : CONSUMER_RESET_LATEST;
    consumer->min_bytes = gregor_config_int(config, "fetch.min.bytes");
    consumer->max_wait_ms = gregor_config_int(config, "fetch.max.wait.ms");
    consumer->max_bytes = gregor_config_int(config, "fetch.max.bytes");
    consumer->partition_max_bytes = gregor_config_int(config, "max.partition.fetch.bytes");
    consumer->request_timeout_ms = gregor_config_int(config, "request.timeout.ms");
    consumer->read_committed = word_is(config, "isolation.level", "read_committed");
    consumer->rack = text_of(config, "client.rack");
    return map_member(config, member, why, why_size);
}
