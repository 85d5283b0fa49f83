#include "broker/topic_config.h"

#include "broker/replica/quota.h"
#include "client/base/assert.h"
#include "client/base/text.h"

#define I32 INT32_MAX
#define I64 INT64_MAX

/* Acts; the default is the broker key's. */
#define NUMBER(name, broker, kind, min, max, scope, meaning)                                       \
    {                                                                                              \
        name, broker, NULL, min, max, "", TOPIC_CONFIG_##kind, TOPIC_CONFIG_##scope, true, meaning \
    }
#define WORD(name, broker, kind, words, scope, meaning)                                           \
    {                                                                                             \
        name, broker, NULL, 0, 0, words, TOPIC_CONFIG_##kind, TOPIC_CONFIG_##scope, true, meaning \
    }
/* A list: append and subtract begin with `fallback` where the topic has none. */
#define LISTED(name, broker, fallback, words, scope, meaning)                               \
    {                                                                                       \
        name, broker, fallback, 0, 0, words, TOPIC_CONFIG_LIST, TOPIC_CONFIG_##scope, true, \
            meaning                                                                         \
    }
/* Does not act: this value and no other. */
#define FIXED(name, kind, value, meaning)                                                     \
    {                                                                                         \
        name, NULL, value, 0, 0, "", TOPIC_CONFIG_##kind, TOPIC_CONFIG_STATIC, false, meaning \
    }

/* A list of replicas (quota.h); no broker key stands behind it. */
#define REPLICAS(name, meaning)                                                           \
    {                                                                                     \
        name, NULL, "", 0, 0, NULL, TOPIC_CONFIG_LIST, TOPIC_CONFIG_STATIC, true, meaning \
    }

/* Names and defaults of Kafka 4.0 (storage.md 16), in the order of their names. */
const struct topic_config_key topic_config_keys[] = {
    LISTED("cleanup.policy", "log.cleanup.policy", "delete",
           "delete compact compact,delete delete,compact ", EACH,
           "What happens to old segments: they are deleted, or of each key only the newest stays."),
    FIXED("compression.gzip.level", INT, "-1", "Level of gzip, were the broker to compress."),
    FIXED("compression.lz4.level", INT, "9", "Level of lz4, were the broker to compress."),
    FIXED("compression.type", WORD, "producer", "Batches stay as the producer compressed them."),
    FIXED("compression.zstd.level", INT, "3", "Level of zstd, were the broker to compress."),
    NUMBER("delete.retention.ms", "log.cleaner.delete.retention.ms", LONG, 0, I64, EACH,
           "How long compaction keeps tombstones."),
    NUMBER("file.delete.delay.ms", "log.segment.delete.delay.ms", LONG, 0, I64, EACH,
           "How long the files of a deleted segment stay under another name."),
    NUMBER("flush.messages", "log.flush.interval.messages", LONG, 1, I64, EACH,
           "Records between two forced syncs."),
    NUMBER("flush.ms", "log.flush.interval.ms", LONG, 0, I64, EACH,
           "Time between two forced syncs."),
    REPLICAS(
        "follower.replication.throttled.replicas",
        "Replicas, as partition:broker or *, that count against and are held to their broker's "
        "follower.replication.throttled.rate."),
    NUMBER("index.interval.bytes", "log.index.interval.bytes", INT, 0, I32, EACH,
           "Bytes of records between two entries of the offset index."),
    REPLICAS("leader.replication.throttled.replicas",
             "Replicas, as partition:broker or *, that as leaders count against and are held to "
             "their broker's leader.replication.throttled.rate."),
    FIXED("local.retention.bytes", LONG, "-2", "Size kept locally with remote storage."),
    FIXED("local.retention.ms", LONG, "-2", "Time kept locally with remote storage."),
    NUMBER("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", LONG, 1, I64, EACH,
           "Age at which records are compacted whatever the dirty ratio."),
    NUMBER("max.message.bytes", "message.max.bytes", INT, 0, I32, EACH,
           "Size of the largest batch that is taken from a producer."),
    NUMBER("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", LONG, 0, I64,
           EACH, "How far in the future a record's timestamp may lie."),
    NUMBER("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", LONG, 0, I64,
           EACH, "How far in the past a record's timestamp may lie."),
    WORD("message.timestamp.type", "log.message.timestamp.type", WORD, "CreateTime LogAppendTime ",
         EACH, "Whose clock a record's timestamp comes from."),
    {"min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", NULL, 0, 0, "",
     TOPIC_CONFIG_DOUBLE, TOPIC_CONFIG_EACH, true, "Dirty part of a log that asks for compaction."},
    NUMBER("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", LONG, 0, I64, EACH,
           "How long a record stays before compaction."),
    NUMBER("min.insync.replicas", "min.insync.replicas", INT, 1, I32, CLUSTER,
           "In-sync replicas that a write with acks=all needs."),
    FIXED("preallocate", BOOL, "false", "Whether a segment file gets its size at once."),
    FIXED("remote.storage.enable", BOOL, "false", "Whether old segments go to remote storage."),
    NUMBER("retention.bytes", "log.retention.bytes", LONG, -1, I64, EACH,
           "Size of a partition above which its oldest segments go; -1: none."),
    NUMBER("retention.ms", "log.retention.ms", LONG, -1, I64, EACH,
           "Age above which segments go; -1: none."),
    NUMBER("segment.bytes", "log.segment.bytes", INT, 14, I32, EACH, "Size of a segment file."),
    NUMBER("segment.index.bytes", "log.index.size.max.bytes", INT, 64, I32, EACH,
           "Size of an index file."),
    FIXED("segment.jitter.ms", LONG, "0", "Spread of the time at which segments end."),
    NUMBER("segment.ms", "log.roll.ms", LONG, 1, I64, EACH, "Time after which a segment ends."),
    WORD("unclean.leader.election.enable", "unclean.leader.election.enable", BOOL, "true false ",
         CLUSTER, "Whether a replica out of sync may lead when no other can."),
};
const uint32_t topic_config_keys_count = COUNT_OF(topic_config_keys);

const struct topic_config_key topic_config_broker_keys[] = {
    NUMBER("leader.replication.throttled.rate", "leader.replication.throttled.rate", LONG, 0, I64,
           EACH, "Bytes a second that this broker serves to throttled followers out of sync."),
    NUMBER("follower.replication.throttled.rate", "follower.replication.throttled.rate", LONG, 0,
           I64, EACH,
           "Bytes a second that this broker fetches for throttled replicas out of sync."),
};
const uint32_t topic_config_broker_keys_count = COUNT_OF(topic_config_broker_keys);

const struct topic_config_key *topic_config_find(struct str name)
{
    for (uint32_t i = 0; i < COUNT_OF(topic_config_keys); i++)
        if (str_equal(name, str_of(topic_config_keys[i].name))) return &topic_config_keys[i];
    return NULL;
}

const struct topic_config_key *topic_config_find_broker(struct str broker_key)
{
    for (uint32_t i = 0; i < COUNT_OF(topic_config_keys); i++) {
        const struct topic_config_key *key = &topic_config_keys[i];

        if (key->broker_key != NULL && str_equal(broker_key, str_of(key->broker_key))) return key;
    }
    for (uint32_t i = 0; i < COUNT_OF(topic_config_broker_keys); i++)
        if (str_equal(broker_key, str_of(topic_config_broker_keys[i].name)))
            return &topic_config_broker_keys[i];
    return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool is_word(struct str value, const char *words)
{
    while (*words != '\0') {
        uint32_t length = 0;

        while (words[length] != ' ')
            length++;
        if (str_equal(value, (struct str){words, length})) return true;
        words += length + 1;
    }
    return false;
}

static const char *check_value(const struct topic_config_key *key, struct str value)
{
    int64_t number;

    if (!key->acts) {
        if (str_equal(value, str_of(key->fallback))) return NULL;
        return "The config has no effect in this version: only its default value is taken.";
    }
    switch (key->kind) {
    case TOPIC_CONFIG_INT:
    case TOPIC_CONFIG_LONG:
        if (!text_parse_i64(value, &number)) return "The value is not a number.";
        return number < key->min || number > key->max ? "The value is out of range." : NULL;
    case TOPIC_CONFIG_BOOL:
        return is_word(value, key->words) ? NULL : "The value is neither true nor false.";
    case TOPIC_CONFIG_LIST:
        if (key->words == NULL) return quota_check_list(value);
        return is_word(value, key->words) ? NULL : "The value is not known.";
    case TOPIC_CONFIG_WORD: return is_word(value, key->words) ? NULL : "The value is not known.";
    case TOPIC_CONFIG_DOUBLE:
        return config_parse_ratio(value, &number) ? NULL : "The value is no number from 0 to 1.";
    }
    IMPOSSIBLE("kind");
}

const char *topic_config_check(struct str name, struct str value)
{
    const struct topic_config_key *key = topic_config_find(name);

    if (value.data == NULL) return "Null value not supported for topic configs.";
    return key == NULL ? "Unknown topic config name." : check_value(key, value);
}

const char *topic_config_check_broker(struct str name, struct str value, bool all)
{
    const struct topic_config_key *key = topic_config_find_broker(name);

    if (value.data == NULL) return "Null value not supported for broker configs.";
    if (key == NULL || key->scope == TOPIC_CONFIG_STATIC)
        return "Unknown broker config, or one that cannot be changed while the broker runs.";
    if (key->scope == TOPIC_CONFIG_CLUSTER && !all)
        return "The config can be set for all brokers only (an empty resource name).";
    return check_value(key, value);
}

/* ---- lookup ---------------------------------------------------------------------------------- */

static void add_level(struct topic_config_chain *chain, enum topic_config_source source,
                      struct str name, struct str value)
{
    if (value.data == NULL) return;
    ASSERT(chain->count < TOPIC_CONFIG_LEVELS);
    chain->levels[chain->count++] = (struct topic_config_level){source, name, value};
}

static void add_brokers(const struct config *config, const struct image *image,
                        const struct topic_config_key *key, struct topic_config_chain *chain)
{
    struct str name = str_of(key->broker_key);
    char id[16];
    struct text text;
    bool given;

    text_init(&text, id, sizeof id);
    text_i64(&text, config->node_id);
    add_level(chain, TOPIC_CONFIG_FROM_BROKER, name,
              image_config_value(image, IMAGE_RESOURCE_BROKER, text_view(&text), name));
    add_level(chain, TOPIC_CONFIG_FROM_DEFAULT_BROKER, name,
              image_config_value(image, IMAGE_RESOURCE_BROKER, STR(""), name));
    (void)config_describe(config, name, &chain->fixed, &given);
    if (given) add_level(chain, TOPIC_CONFIG_FROM_STATIC, name, str_of(chain->fixed.text));
    (void)config_describe(config, name, &chain->house, NULL);
    add_level(chain, TOPIC_CONFIG_FROM_DEFAULT, name, str_of(chain->house.text));
}

void topic_config_lookup(const struct config *config, const struct image *image, struct str topic,
                         const struct topic_config_key *key, struct topic_config_chain *chain)
{
    chain->count = 0;
    if (topic.data != NULL) {
        struct str name = str_of(key->name);

        add_level(chain, TOPIC_CONFIG_FROM_TOPIC, name,
                  image_config_value(image, IMAGE_RESOURCE_TOPIC, topic, name));
    }
    if (key->broker_key != NULL) {
        add_brokers(config, image, key, chain);
    } else {
        add_level(chain, TOPIC_CONFIG_FROM_DEFAULT, str_of(key->name), str_of(key->fallback));
    }
    ASSERT(chain->count > 0);
}

static int64_t number_of(const struct config *config, const struct image *image, struct str topic,
                         const struct topic_config_key *key)
{
    struct topic_config_chain chain;
    int64_t number = 0;

    ASSERT(key != NULL);
    topic_config_lookup(config, image, topic, key, &chain);
    /* Checked when it was set; one that came another way (a restored log) counts as absent. */
    for (uint32_t i = 0; i < chain.count; i++) {
        if (key->kind == TOPIC_CONFIG_DOUBLE ? !config_parse_ratio(chain.levels[i].value, &number)
                                             : !text_parse_i64(chain.levels[i].value, &number))
            continue;
        if (key->kind == TOPIC_CONFIG_DOUBLE) return number;
        if (chain.levels[i].source >= TOPIC_CONFIG_FROM_STATIC ||
            (number >= key->min && number <= key->max))
            return number;
    }
    IMPOSSIBLE("the default is a number");
}

int64_t topic_config_number(const struct config *config, const struct image *image,
                            struct str topic, struct str name)
{
    return number_of(config, image, topic, topic_config_find(name));
}

int64_t topic_config_broker_number(const struct config *config, const struct image *image,
                                   struct str name)
{
    return number_of(config, image, STR_NULL, topic_config_find_broker(name));
}

struct str topic_config_text(const struct config *config, const struct image *image,
                             struct str topic, struct str name)
{
    const struct topic_config_key *key = topic_config_find(name);
    struct topic_config_chain chain;

    ASSERT(key != NULL && key->broker_key == NULL);
    topic_config_lookup(config, image, topic, key, &chain);
    return chain.levels[0].value;
}

bool topic_config_is(const struct config *config, const struct image *image, struct str topic,
                     struct str name, struct str word)
{
    const struct topic_config_key *key = topic_config_find(name);
    struct topic_config_chain chain;

    ASSERT(key != NULL);
    topic_config_lookup(config, image, topic, key, &chain);
    return str_equal(chain.levels[0].value, word);
}
