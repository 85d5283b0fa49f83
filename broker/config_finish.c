/* What needs more than one key: the checks after the last one was set, the defaults that follow
 * from others, and the questions that a finished configuration answers. */
#include "broker/config_internal.h"

#include "client/base/assert.h"

#include <string.h>

void config_add_controller_listener(struct config *config)
{
    ASSERT(config->listener_count < CONFIG_LISTENERS_MAX);
    config->listeners[config->listener_count++] =
        (struct config_endpoint){"CONTROLLER", "127.0.0.1", 0};
    (void)config_copy(config->controller_listener, sizeof config->controller_listener,
                      STR("CONTROLLER"));
}

/* The voters stand in the metadata log (KIP-853). */
static enum err config_finish_dynamic(struct config *config, struct errmsg *error)
{
    const struct config_endpoint *own;

    if (config->controller_listener[0] == '\0') {
        return config_fail(error, "controller.listener.names: missing; the name of the listener "
                                  "that controllers use, such as CONTROLLER");
    }
    if (!config_has_role(config, CONFIG_ROLE_CONTROLLER)) return ERR_NONE;
    if (config_listener(config, config->controller_listener) == NULL) {
        return config_fail(error, "listeners: the listener named by controller.listener.names is "
                                  "missing");
    }
    own = config_controller_endpoint(config);
    if (own->host[0] == '\0' || own->port == 0) {
        return config_fail(error, "listeners: that of controller.listener.names needs a host and a "
                                  "port, here or in advertised.listeners: others have to find it");
    }
    return ERR_NONE;
}

static enum err config_finish_controller(struct config *config, struct errmsg *error)
{
    bool controller = config_has_role(config, CONFIG_ROLE_CONTROLLER);

    if (config->voter_count == 0 && config->bootstrap_count > 0)
        return config_finish_dynamic(config, error);
    if (config->voter_count == 0) {
        if (config->roles == (CONFIG_ROLE_BROKER | CONFIG_ROLE_CONTROLLER)) {
            if (config->controller_listener[0] != '\0') return ERR_NONE;
            if (config->listener_count == CONFIG_LISTENERS_MAX) {
                return config_fail(error, "controller.listener.names: missing");
            }
            config_add_controller_listener(config);
            return ERR_NONE;
        }
        return config_fail(error, "controller.quorum.voters: missing; id@host:port[,...] of every "
                                  "controller, or controller.quorum.bootstrap.servers");
    }
    if (config->controller_listener[0] == '\0') {
        return config_fail(error, "controller.listener.names: missing; the name of the listener "
                                  "that controllers use, such as CONTROLLER");
    }
    if (controller && !config_is_voter(config, (int32_t)config->node_id)) {
        return config_fail(error, "controller.quorum.voters: this node is a controller, but its "
                                  "node.id is not among the voters");
    }
    if (!controller && config_is_voter(config, (int32_t)config->node_id)) {
        return config_fail(error, "controller.quorum.voters: this node.id is a voter, but "
                                  "process.roles has no controller");
    }
    if (controller && config_listener(config, config->controller_listener) == NULL) {
        return config_fail(error, "listeners: the listener named by controller.listener.names is "
                                  "missing");
    }
    return ERR_NONE;
}

enum err config_finish(struct config *config, struct errmsg *error)
{
    enum err err;

    if (config->node_id < 0) return config_fail(error, "node.id: missing");
    if (config->roles == 0) {
        return config_fail(error, "process.roles: missing; broker, controller, or both");
    }
    if (config->log_dir_count == 0) {
        (void)config_copy(config->log_dirs[0], sizeof config->log_dirs[0], STR("/tmp/kafka-logs"));
        config->log_dir_count = 1;
    }
    if (config->metadata_log_dir[0] == '\0') {
        (void)config_copy(config->metadata_log_dir, sizeof config->metadata_log_dir,
                          str_of(config->log_dirs[0]));
    }
    if (config->listener_count == 0 && config_has_role(config, CONFIG_ROLE_BROKER)) {
        config->listeners[0] = (struct config_endpoint){"PLAINTEXT", "", 9092};
        config->listener_count = 1;
    }
    err = config_finish_controller(config, error);
    if (err != ERR_NONE) return err;
    if (config->inter_broker_listener[0] == '\0') {
        (void)config_copy(config->inter_broker_listener, sizeof config->inter_broker_listener,
                          STR("PLAINTEXT"));
    }
    if (config_has_role(config, CONFIG_ROLE_BROKER) &&
        config_listener(config, config->inter_broker_listener) == NULL) {
        return config_fail(error, "inter.broker.listener.name: no listener of that name");
    }
    if (config->broker_session_timeout_ms <= config->broker_heartbeat_interval_ms) {
        return config_fail(error, "broker.session.timeout.ms: must be above "
                                  "broker.heartbeat.interval.ms");
    }
    return ERR_NONE;
}

/* ---- questions ------------------------------------------------------------------------------- */

const struct config_endpoint *config_listener(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->listener_count; i++) {
        if (strcmp(config->listeners[i].name, name) == 0) return &config->listeners[i];
    }
    return NULL;
}

const struct config_endpoint *config_broker_endpoint(const struct config *config)
{
    for (uint32_t i = 0; i < config->advertised_count; i++) {
        if (strcmp(config->advertised[i].name, config->inter_broker_listener) == 0) {
            return &config->advertised[i];
        }
    }
    return config_listener(config, config->inter_broker_listener);
}

const struct config_endpoint *config_controller_endpoint(const struct config *config)
{
    if (!config_has_role(config, CONFIG_ROLE_CONTROLLER)) return NULL;
    for (uint32_t i = 0; i < config->advertised_count; i++) {
        if (strcmp(config->advertised[i].name, config->controller_listener) == 0)
            return &config->advertised[i];
    }
    return config_listener(config, config->controller_listener);
}

bool config_has_role(const struct config *config, enum config_role role)
{
    return (config->roles & (uint32_t)role) != 0;
}

bool config_is_voter(const struct config *config, int32_t node_id)
{
    for (uint32_t i = 0; i < config->voter_count; i++) {
        if (config->voters[i].id == node_id) return true;
    }
    return false;
}

bool config_other_voters(const struct config *config)
{
    for (uint32_t i = 0; i < config->voter_count; i++)
        if (config->voters[i].id != (int32_t)config->node_id) return true;
    return config->voter_count == 0 && config->bootstrap_count > 0;
}
