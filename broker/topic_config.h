/* The settings of topics: one table of names, types, limits, defaults and the broker keys they fall
 * back to. Whoever validates, describes or applies a setting asks here.
 *
 *     value of a topic's setting, the first that is there (KIP-226):
 *         the topic's own                      TOPIC            retention.ms
 *         this broker's, set at run time       BROKER           log.retention.ms of "1"
 *         all brokers', set at run time        DEFAULT_BROKER   log.retention.ms of ""
 *         server.properties                    STATIC           log.retention.ms
 *         the default of the house             DEFAULT
 *
 * A key that does not act yet takes its default and nothing else: who sets it to another value
 * hears so (DIFFERS: Kafka acts on all of them). Pure: reads an image and a config. */
#ifndef BROKER_TOPIC_CONFIG_H
#define BROKER_TOPIC_CONFIG_H

#include "broker/config.h"
#include "broker/controller/image.h"

enum topic_config_kind {
    TOPIC_CONFIG_INT,
    TOPIC_CONFIG_LONG,
    TOPIC_CONFIG_BOOL,
    TOPIC_CONFIG_DOUBLE,
    TOPIC_CONFIG_WORD,
    TOPIC_CONFIG_LIST,
};

/* Who may set the broker key at run time. */
enum topic_config_scope {
    TOPIC_CONFIG_STATIC,  /* nobody */
    TOPIC_CONFIG_CLUSTER, /* for all brokers only: the controller acts on it as well */
    TOPIC_CONFIG_EACH,    /* for all or for one */
};

struct topic_config_key {
    const char *name;
    const char *broker_key; /* NULL: none that is honoured; then `fallback` */
    const char *fallback;
    int64_t min; /* INT, LONG */
    int64_t max;
    const char *words; /* WORD, LIST, BOOL: "one two "; LIST, NULL: of throttled replicas */
    enum topic_config_kind kind;
    enum topic_config_scope scope;
    bool acts;
    const char *meaning;
};
extern const struct topic_config_key topic_config_keys[];
extern const uint32_t topic_config_keys_count;
/* Broker keys that may be set at run time and that no topic has: `name` is the broker key. */
extern const struct topic_config_key topic_config_broker_keys[];
extern const uint32_t topic_config_broker_keys_count;

/* NULL: no such key. */
const struct topic_config_key *topic_config_find(struct str name);
const struct topic_config_key *topic_config_find_broker(struct str broker_key);

/* NULL: fine. Else what is wrong. */
const char *topic_config_check(struct str name, struct str value);
/* Of brokers: one, or with `all` the default of all. */
const char *topic_config_check_broker(struct str name, struct str value, bool all);

/* As on the wire (DescribeConfigs). */
enum topic_config_source {
    TOPIC_CONFIG_FROM_TOPIC = 1,
    TOPIC_CONFIG_FROM_BROKER = 2,
    TOPIC_CONFIG_FROM_DEFAULT_BROKER = 3,
    TOPIC_CONFIG_FROM_STATIC = 4,
    TOPIC_CONFIG_FROM_DEFAULT = 5,
};
enum { TOPIC_CONFIG_LEVELS = 5 };

struct topic_config_level {
    enum topic_config_source source;
    struct str name;
    struct str value;
};
struct topic_config_chain {
    uint32_t count; /* at least 1; the first one counts */
    struct topic_config_level levels[TOPIC_CONFIG_LEVELS];
    struct errmsg fixed; /* text of STATIC */
    struct errmsg house; /* text of DEFAULT */
};
/* With a null topic: of the broker key itself. Strings are borrowed from image, table and chain. */
void topic_config_lookup(const struct config *config, const struct image *image, struct str topic,
                         const struct topic_config_key *key, struct topic_config_chain *chain);
/* The value that counts. The key is in the table and of a kind that fits. Of a DOUBLE:
 * millionths. */
int64_t topic_config_number(const struct config *config, const struct image *image,
                            struct str topic, struct str name);
/* Of a broker key that no topic has: at this broker, as set at run time or in its file. */
int64_t topic_config_broker_number(const struct config *config, const struct image *image,
                                   struct str name);
/* The text that counts, of a key that does not fall back to a broker's; borrowed. */
struct str topic_config_text(const struct config *config, const struct image *image,
                             struct str topic, struct str name);
bool topic_config_is(const struct config *config, const struct image *image, struct str topic,
                     struct str name, struct str word);

#endif
