/* DescribeConfigs: topics as any broker sees them, a broker as it sees itself. Answered from the
 * committed image and this broker's own configuration, each value with where it comes from and what
 * it would be without (KIP-226). Nothing here is sensitive. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "broker/topic_config.h"
#include "client/base/text.h"
#include "wire/describe_configs.h"

#include <string.h>

typedef struct describe_configs_request_resource describe_in;
typedef struct describe_configs_response_result describe_out;
typedef struct describe_configs_response_config config_out;

enum config_wire_type {
    CONFIG_WIRE_BOOL = 1,
    CONFIG_WIRE_STRING = 2,
    CONFIG_WIRE_INT = 3,
    CONFIG_WIRE_LONG = 5,
    CONFIG_WIRE_DOUBLE = 6,
    CONFIG_WIRE_LIST = 7,
};

struct describe {
    struct request *request;
    const struct describe_configs_request *body;
    const describe_in *in;
    describe_out *out;
    uint32_t room; /* of out->configs */
};

static int8_t config_wire(enum topic_config_kind kind)
{
    switch (kind) {
    case TOPIC_CONFIG_INT: return CONFIG_WIRE_INT;
    case TOPIC_CONFIG_LONG: return CONFIG_WIRE_LONG;
    case TOPIC_CONFIG_BOOL: return CONFIG_WIRE_BOOL;
    case TOPIC_CONFIG_DOUBLE: return CONFIG_WIRE_DOUBLE;
    case TOPIC_CONFIG_WORD: return CONFIG_WIRE_STRING;
    case TOPIC_CONFIG_LIST: return CONFIG_WIRE_LIST;
    }
    IMPOSSIBLE("kind");
}

static bool wanted(const struct describe *d, struct str name)
{
    /* Null is all; so is an empty list, as Kafka's own tools send it. */
    if (d->in->configuration_keys_null || d->in->configuration_keys_count == 0) return true;
    for (uint32_t i = 0; i < d->in->configuration_keys_count; i++)
        if (str_equal(d->in->configuration_keys[i], name)) return true;
    return false;
}

/* A copy that lives as long as the answer; null data when there is no memory. */
static struct str keep(const struct describe *d, struct str text)
{
    char *copy = request_alloc(d->request, text.length + 1);

    if (copy == NULL) return STR_NULL;
    if (text.length > 0) memcpy(copy, text.data, text.length);
    return (struct str){copy, text.length};
}

static config_out *add_config(struct describe *d, struct str name)
{
    config_out *config;

    ASSERT(d->out->configs_count < d->room);
    config = &d->out->configs[d->out->configs_count++];
    describe_configs_response_config_default(config);
    config->name = name;
    config->documentation = STR_NULL;
    return config;
}

static enum err add_levels(const struct describe *d, const struct topic_config_chain *chain,
                           config_out *config)
{
    config->value = keep(d, chain->levels[0].value);
    config->config_source = (int8_t)chain->levels[0].source;
    if (config->value.data == NULL) return ERR_NO_MEMORY;
    if (!d->body->include_synonyms) return ERR_NONE;
    config->synonyms = request_alloc(d->request, chain->count * sizeof *config->synonyms);
    if (config->synonyms == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < chain->count; i++) {
        describe_configs_response_synonym_default(&config->synonyms[i]);
        config->synonyms[i].name = chain->levels[i].name;
        config->synonyms[i].value = keep(d, chain->levels[i].value);
        config->synonyms[i].source = (int8_t)chain->levels[i].source;
        if (config->synonyms[i].value.data == NULL) return ERR_NO_MEMORY;
        config->synonyms_count++;
    }
    return ERR_NONE;
}

static enum err add_key(struct describe *d, struct str topic, const struct topic_config_key *key)
{
    const struct node *node = d->request->node;
    struct str name = str_of(topic.data != NULL ? key->name : key->broker_key);
    struct topic_config_chain chain;
    config_out *config;

    if (!wanted(d, name)) return ERR_NONE;
    topic_config_lookup(&node->config, &node->loader.image, topic, key, &chain);
    config = add_config(d, name);
    config->config_type = config_wire(key->kind);
    config->read_only = topic.data == NULL && key->scope == TOPIC_CONFIG_STATIC;
    if (d->body->include_documentation) config->documentation = str_of(key->meaning);
    return add_levels(d, &chain, config);
}

static enum err describe_topic(struct describe *d)
{
    const struct image *image = &d->request->node->loader.image;
    const struct image_topic *topic = image_topic_by_name(image, d->in->resource_name);

    if (topic == NULL || topic->deleted) return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    d->room = topic_config_keys_count;
    d->out->configs = request_alloc(d->request, d->room * sizeof *d->out->configs);
    if (d->out->configs == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < topic_config_keys_count; i++) {
        enum err err = add_key(d, d->in->resource_name, &topic_config_keys[i]);

        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

/* A key of server.properties that no topic setting falls back to: it stays as it is. */
static enum err add_static(struct describe *d, struct str name)
{
    const struct config *config = &d->request->node->config;
    struct topic_config_chain chain = {.count = 0};
    enum config_type type;
    config_out *out;
    bool given;

    if (!wanted(d, name)) return ERR_NONE;
    type = config_describe(config, name, &chain.fixed, &given);
    (void)config_describe(config, name, &chain.house, NULL);
    if (given) {
        chain.levels[chain.count++] =
            (struct topic_config_level){TOPIC_CONFIG_FROM_STATIC, name, str_of(chain.fixed.text)};
    }
    chain.levels[chain.count++] = (struct topic_config_level){
        TOPIC_CONFIG_FROM_DEFAULT, name, str_of(given ? chain.house.text : chain.fixed.text)};
    out = add_config(d, name);
    out->read_only = true;
    out->config_type = type == CONFIG_INT     ? CONFIG_WIRE_LONG
                       : type == CONFIG_RATIO ? CONFIG_WIRE_DOUBLE
                       : type == CONFIG_BOOL  ? CONFIG_WIRE_BOOL
                                              : CONFIG_WIRE_STRING;
    return add_levels(d, &chain, out);
}

/* Keys that are texts, the most asked for. */
static enum err add_texts(struct describe *d)
{
    const struct config *config = &d->request->node->config;
    struct {
        const char *name;
        const char *value;
    } texts[] = {{"log.dirs", config->log_dirs[0]},
                 {"broker.rack", config->rack},
                 {"inter.broker.listener.name", config->inter_broker_listener},
                 {"controller.listener.names", config->controller_listener}};

    for (uint32_t i = 0; i < COUNT_OF(texts); i++) {
        struct topic_config_chain chain = {.count = 1};
        config_out *out;

        if (texts[i].value[0] == '\0' || !wanted(d, str_of(texts[i].name))) continue;
        chain.levels[0] = (struct topic_config_level){
            TOPIC_CONFIG_FROM_STATIC, str_of(texts[i].name), str_of(texts[i].value)};
        out = add_config(d, str_of(texts[i].name));
        out->read_only = true;
        out->config_type = CONFIG_WIRE_STRING;
        if (add_levels(d, &chain, out) != ERR_NONE) return ERR_NO_MEMORY;
    }
    return ERR_NONE;
}

static enum err describe_self(struct describe *d)
{
    const struct config *config = &d->request->node->config;
    struct errmsg value;
    struct str name;
    uint32_t keys = 0;

    while (config_key(config, keys, &name, &value))
        keys++;
    d->room = keys + 8;
    d->out->configs = request_alloc(d->request, d->room * sizeof *d->out->configs);
    if (d->out->configs == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < keys; i++) {
        const struct topic_config_key *key;
        enum err err;

        if (!config_key(config, i, &name, &value)) IMPOSSIBLE("counted");
        key = topic_config_find_broker(name);
        err = key != NULL ? add_key(d, STR_NULL, key) : add_static(d, name);
        if (err != ERR_NONE) return err;
    }
    return add_texts(d);
}

/* The default of all brokers: what was set at run time, nothing else. */
static enum err describe_all_brokers(struct describe *d)
{
    const struct image *image = &d->request->node->loader.image;
    const struct image_resource *resource = image_resource(image, IMAGE_RESOURCE_BROKER, STR(""));

    if (resource == NULL) return ERR_NONE;
    d->room = resource->configs_count;
    d->out->configs = request_alloc(d->request, (d->room + 1) * sizeof *d->out->configs);
    if (d->out->configs == NULL) return ERR_NO_MEMORY;
    LIST_FOR_EACH (link, &resource->configs) {
        const struct image_config *set = LIST_ENTRY(link, struct image_config, link);
        const struct topic_config_key *key = topic_config_find_broker(set->key);
        struct topic_config_chain chain = {.count = 1};
        config_out *out;

        if (!wanted(d, set->key)) continue;
        chain.levels[0] = (struct topic_config_level){TOPIC_CONFIG_FROM_DEFAULT_BROKER,
                                                      keep(d, set->key), set->value};
        if (chain.levels[0].name.data == NULL) return ERR_NO_MEMORY;
        out = add_config(d, chain.levels[0].name);
        out->config_type = key != NULL ? config_wire(key->kind) : CONFIG_WIRE_STRING;
        if (add_levels(d, &chain, out) != ERR_NONE) return ERR_NO_MEMORY;
    }
    return ERR_NONE;
}

static enum err describe_broker(struct describe *d)
{
    int64_t id;

    if (d->in->resource_name.length == 0) return describe_all_brokers(d);
    if (!text_parse_i64(d->in->resource_name, &id)) return ERR_INVALID_REQUEST;
    /* As in Kafka: only it knows its own file. Clients send this to the broker they ask about. */
    if (id != d->request->node->config.node_id) return ERR_INVALID_REQUEST;
    return describe_self(d);
}

static enum err describe_one(struct describe *d)
{
    enum err err = ERR_INVALID_REQUEST;

    describe_configs_response_result_default(d->out);
    d->out->error_message = STR_NULL;
    d->out->resource_type = d->in->resource_type;
    d->out->resource_name = d->in->resource_name;
    if (d->in->resource_type == IMAGE_RESOURCE_TOPIC) err = describe_topic(d);
    if (d->in->resource_type == IMAGE_RESOURCE_BROKER) err = describe_broker(d);
    if (err == ERR_NO_MEMORY) return err;
    d->out->error_code = (int16_t)err;
    if (err == ERR_INVALID_REQUEST)
        d->out->error_message = STR("Only topics, this broker, and the default of all brokers (an "
                                    "empty name) can be described here.");
    return ERR_NONE;
}

void api_configs_handle(struct request *request)
{
    struct describe_configs_response response;
    struct describe_configs_request body;

    if (request_decode(request, &body) != ERR_NONE) return;
    describe_configs_response_default(&response);
    response.results =
        request_alloc(request, (body.resources_count + 1) * sizeof *response.results);
    for (uint32_t i = 0; response.results != NULL && i < body.resources_count; i++) {
        struct describe d = {request, &body, &body.resources[i], &response.results[i], 0};

        if (describe_one(&d) != ERR_NONE) break;
        response.results_count++;
    }
    if (response.results == NULL || response.results_count < body.resources_count) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    request_answer(request, &response);
}
