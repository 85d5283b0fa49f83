/* Keys whose value is more than a number or a choice: roles, listeners, voters, directories,
 * names. */
#include "broker/config_internal.h"

#include "client/base/assert.h"

#include <string.h>

/* NAME://host:port; an IPv6 host stands in brackets. */
static bool config_endpoint_parse(struct str item, struct config_endpoint *endpoint)
{
    uint32_t at = 0;
    uint32_t colon;
    struct str host;
    int64_t port;

    while (at + 2 < item.length && memcmp(item.data + at, "://", 3) != 0)
        at++;
    if (at == 0 || at + 2 >= item.length) return false;
    if (!config_copy(endpoint->name, sizeof endpoint->name, (struct str){item.data, at})) {
        return false;
    }
    item = (struct str){item.data + at + 3, item.length - at - 3};
    colon = item.length;
    while (colon > 0 && item.data[colon - 1] != ':')
        colon--;
    if (colon == 0) return false;
    host = (struct str){item.data, colon - 1};
    if (host.length >= 2 && host.data[0] == '[' && host.data[host.length - 1] == ']') {
        host = (struct str){host.data + 1, host.length - 2};
    }
    if (!text_parse_i64((struct str){item.data + colon, item.length - colon}, &port)) return false;
    if (port < 0 || port > UINT16_MAX) return false;
    endpoint->port = (uint16_t)port;
    return config_copy(endpoint->host, sizeof endpoint->host, host);
}

static enum err config_endpoints(struct str key, struct str value,
                                 struct config_endpoint *endpoints, uint32_t *count,
                                 struct errmsg *error)
{
    struct str rest = value;
    struct str item;
    uint32_t n = 0;

    while (config_next(&rest, ',', &item)) {
        if (n == CONFIG_LISTENERS_MAX || !config_endpoint_parse(item, &endpoints[n])) {
            return config_wrong(error, key, value, "NAME://host:port[,...], at most 4");
        }
        for (uint32_t i = 0; i < n; i++) {
            if (strcmp(endpoints[i].name, endpoints[n].name) == 0) {
                return config_wrong(error, key, value, "each listener name once");
            }
        }
        n++;
    }
    *count = n;
    return ERR_NONE;
}

static enum err config_voters(struct config *config, struct str key, struct str value,
                              struct errmsg *error)
{
    struct str rest = value;
    struct str item;
    uint32_t n = 0;

    while (config_next(&rest, ',', &item)) {
        struct config_voter *voter = &config->voters[n];
        struct config_endpoint endpoint = {.port = 0};
        char form[CONFIG_HOST_MAX + 64];
        struct str id;
        struct text text;
        int64_t number;
        struct str tail = item;

        if (n == CONFIG_VOTERS_MAX || !config_next(&tail, '@', &id) || tail.data == NULL ||
            !text_parse_i64(id, &number) || number < 0 || number > INT32_MAX) {
            return config_wrong(error, key, value, "id@host:port[,...], at most 9");
        }
        text_init(&text, form, sizeof form);
        text_format(&text, "V://%S", tail);
        if (text.truncated || !config_endpoint_parse(text_view(&text), &endpoint) ||
            endpoint.host[0] == '\0' || endpoint.port == 0) {
            return config_wrong(error, key, value, "id@host:port[,...] with a host and a port");
        }
        voter->id = (int32_t)number;
        voter->port = endpoint.port;
        (void)config_copy(voter->host, sizeof voter->host, str_of(endpoint.host));
        for (uint32_t i = 0; i < n; i++) {
            if (config->voters[i].id == voter->id) {
                return config_wrong(error, key, value, "each voter id once");
            }
        }
        n++;
    }
    config->voter_count = n;
    return ERR_NONE;
}

/* host:port[,...] */
static enum err config_bootstrap(struct config *config, struct str key, struct str value,
                                 struct errmsg *error)
{
    struct str rest = value;
    struct str item;
    uint32_t n = 0;

    while (config_next(&rest, ',', &item)) {
        struct config_endpoint endpoint = {.port = 0};
        char form[CONFIG_HOST_MAX + 64];
        struct text text;

        text_init(&text, form, sizeof form);
        text_format(&text, "V://%S", item);
        if (n == CONFIG_VOTERS_MAX || text.truncated ||
            !config_endpoint_parse(text_view(&text), &endpoint) || endpoint.host[0] == '\0' ||
            endpoint.port == 0) {
            return config_wrong(error, key, value, "host:port[,...], at most 9");
        }
        config->bootstrap[n] = (struct config_voter){.id = -1, .port = endpoint.port};
        (void)config_copy(config->bootstrap[n].host, sizeof config->bootstrap[n].host,
                          str_of(endpoint.host));
        n++;
    }
    config->bootstrap_count = n;
    return ERR_NONE;
}

static enum err config_dirs(struct config *config, struct str key, struct str value,
                            struct errmsg *error)
{
    struct str rest = value;
    struct str item;
    uint32_t n = 0;

    while (config_next(&rest, ',', &item)) {
        if (n == CONFIG_LOG_DIRS_MAX || item.length == 0 ||
            !config_copy(config->log_dirs[n], sizeof config->log_dirs[n], item)) {
            return config_wrong(error, key, value, "PATH[,...], 1 to 8 of at most 512 bytes");
        }
        for (uint32_t i = 0; i < n; i++) {
            if (str_equal(item, str_of(config->log_dirs[i])))
                return config_wrong(error, key, value, "each directory once");
        }
        n++;
    }
    config->log_dir_count = n;
    return ERR_NONE;
}

static enum err config_roles(struct config *config, struct str key, struct str value,
                             struct errmsg *error)
{
    struct str rest = value;
    struct str item;
    uint32_t roles = 0;

    while (config_next(&rest, ',', &item)) {
        if (str_equal(item, STR("broker"))) {
            roles |= CONFIG_ROLE_BROKER;
        } else if (str_equal(item, STR("controller"))) {
            roles |= CONFIG_ROLE_CONTROLLER;
        } else {
            return config_wrong(error, key, value, "broker, controller, or broker,controller");
        }
    }
    config->roles = roles;
    return ERR_NONE;
}

/* NAME:PLAINTEXT,... Another protocol cannot be served. */
static enum err config_protocols(struct str key, struct str value, struct errmsg *error)
{
    struct str rest = value;
    struct str item;

    while (config_next(&rest, ',', &item)) {
        struct str tail = item;
        struct str name;

        if (!config_next(&tail, ':', &name) || !str_equal(config_trim(tail), STR("PLAINTEXT"))) {
            return config_wrong(error, key, value, "NAME:PLAINTEXT[,...]: no other protocol yet");
        }
    }
    return ERR_NONE;
}

static enum err config_text(char *to, size_t size, struct str key, struct str value,
                            struct errmsg *error)
{
    if (config_copy(to, size, value)) return ERR_NONE;
    return config_wrong(error, key, value, "too long");
}

enum err config_special(struct config *config, struct str key, struct str value,
                        struct errmsg *error)
{
    if (str_equal(key, STR("process.roles"))) return config_roles(config, key, value, error);
    if (str_equal(key, STR("listeners"))) {
        return config_endpoints(key, value, config->listeners, &config->listener_count, error);
    }
    if (str_equal(key, STR("advertised.listeners"))) {
        return config_endpoints(key, value, config->advertised, &config->advertised_count, error);
    }
    if (str_equal(key, STR("controller.quorum.voters"))) {
        return config_voters(config, key, value, error);
    }
    if (str_equal(key, STR("controller.quorum.bootstrap.servers"))) {
        return config_bootstrap(config, key, value, error);
    }
    if (str_equal(key, STR("log.dirs")) || str_equal(key, STR("log.dir"))) {
        return config_dirs(config, key, value, error);
    }
    if (str_equal(key, STR("metadata.log.dir"))) {
        return config_text(config->metadata_log_dir, sizeof config->metadata_log_dir, key, value,
                           error);
    }
    if (str_equal(key, STR("broker.rack"))) {
        return config_text(config->rack, sizeof config->rack, key, value, error);
    }
    if (str_equal(key, STR("controller.listener.names"))) {
        return config_text(config->controller_listener, sizeof config->controller_listener, key,
                           value, error);
    }
    if (str_equal(key, STR("inter.broker.listener.name"))) {
        return config_text(config->inter_broker_listener, sizeof config->inter_broker_listener, key,
                           value, error);
    }
    ASSERT(str_equal(key, STR("listener.security.protocol.map")));
    return config_protocols(key, value, error);
}
