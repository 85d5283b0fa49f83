#include "broker/node_parts.h"

#include "broker/api/api.h"
#include "client/base/text.h"

#include <string.h>

enum {
    NODE_PARTITIONS_MAX = 200000,
    NODE_TOPICS_MAX = 100000,
    NODE_BROKERS_MAX = 1000,
    NODE_CALLS_MAX = 4096, /* controller requests at once */
    NODE_CACHE_SHARE = 4,  /* the tail cache may have a quarter of the payload */
    NODE_CACHE_BATCHES = 1 << 16,
};

/* ---- the committed metadata ------------------------------------------------------------------ */

/* The loader runs its publishers: replicas follow the image, and who waits for the node looks. */
static void node_published(struct loader_publisher *publisher, const struct image *image)
{
    struct node *node = CONTAINER_OF(publisher, struct node, publisher);

    /* Also while the first logs are still being opened: a delta comes once. */
    if (node->has_replicas) {
        manager_apply(&node->replicas);
        coordinator_apply(&node->groups, image);
    }
    op_wake(&node->changed);
}

/* ---- what the parts ask of the node ---------------------------------------------------------- */

static int64_t node_broker_epoch(struct manager_links *links)
{
    return CONTAINER_OF(links, struct node, manager_links)->lifecycle.broker_epoch;
}

static struct peer *node_controller_peer(struct manager_links *links)
{
    return channel_peer(&CONTAINER_OF(links, struct node, manager_links)->channel);
}

static void node_dir_failed(struct manager_links *links)
{
    lifecycle_dir_failed(&CONTAINER_OF(links, struct node, manager_links)->lifecycle);
}

static void node_dirs_failed(struct manager_links *links)
{
    struct node *node = CONTAINER_OF(links, struct node, manager_links);

    node_fail(node, ERR_IO, STR("the last log directory failed"));
}

/* The quorum tells what is committed. */
static void node_listener_record(struct quorum_listener *listener,
                                 const struct quorum_record *record)
{
    struct node *node = CONTAINER_OF(listener, struct node, listener);
    enum err err = loader_record(&node->loader, record->offset, record->epoch, record->value);

    if (err != ERR_NONE) {
        node_fail_err(node, "a record of the metadata log cannot be applied", err);
    }
}

static void node_listener_batch(struct quorum_listener *listener, int64_t end, int32_t epoch,
                                int64_t timestamp)
{
    struct node *node = CONTAINER_OF(listener, struct node, listener);

    (void)timestamp;
    loader_batch(&node->loader, end, epoch, end >= node->quorum.high_watermark);
    if (node->controls) controller_applied(&node->controller);
    op_wake(&node->changed);
}

static void node_set_leader(struct node *node, int32_t leader)
{
    struct str host = STR_NULL;
    uint16_t port = 0;
    int32_t id;

    if (leader >= 0) (void)quorum_leader_address(&node->quorum, &id, &host, &port);
    channel_set_leader(&node->channel, leader, host, port);
}

static void node_listener_leader(struct quorum_listener *listener, int32_t leader, int32_t epoch)
{
    struct node *node = CONTAINER_OF(listener, struct node, listener);

    (void)epoch;
    if (node->has_replicas) node_set_leader(node, leader);
    if (node->controls) controller_quorum_changed(&node->controller);
    op_wake(&node->changed);
}

static void node_snapshot_begun(struct quorum_listener *listener, int64_t end, int32_t epoch)
{
    loader_snapshot_begin(&CONTAINER_OF(listener, struct node, listener)->loader, end, epoch);
}

static enum err node_snapshot_record(struct quorum_listener *listener, struct bytes value)
{
    return loader_snapshot_record(&CONTAINER_OF(listener, struct node, listener)->loader, value);
}

static enum err node_snapshot_loaded(struct quorum_listener *listener, int64_t end, int32_t epoch)
{
    struct node *node = CONTAINER_OF(listener, struct node, listener);
    enum err err;

    (void)epoch;
    /* At a start nothing is known yet beyond the snapshot: the log is told first. */
    err = loader_snapshot_loaded(&node->loader, loader_caught_up(&node->loader) ||
                                                    (node->quorum.state == QUORUM_RUNNING &&
                                                     end >= node->quorum.high_watermark));
    if (err == ERR_NONE && node->controls) controller_applied(&node->controller);
    op_wake(&node->changed);
    return err;
}

static void node_snapshot_dropped(struct quorum_listener *listener)
{
    loader_snapshot_dropped(&CONTAINER_OF(listener, struct node, listener)->loader);
}

static enum err node_snapshot_open(struct quorum_listener *listener)
{
    return loader_snapshot_open(&CONTAINER_OF(listener, struct node, listener)->loader);
}

static enum err node_snapshot_next(struct quorum_listener *listener, struct bytes *value)
{
    return loader_snapshot_next(&CONTAINER_OF(listener, struct node, listener)->loader, value);
}

static void node_snapshot_close(struct quorum_listener *listener)
{
    loader_snapshot_close(&CONTAINER_OF(listener, struct node, listener)->loader);
}

static const struct quorum_listener node_listener = {.record = node_listener_record,
                                                     .batch = node_listener_batch,
                                                     .leader = node_listener_leader,
                                                     .snapshot_begun = node_snapshot_begun,
                                                     .snapshot_record = node_snapshot_record,
                                                     .snapshot_loaded = node_snapshot_loaded,
                                                     .snapshot_dropped = node_snapshot_dropped,
                                                     .snapshot_open = node_snapshot_open,
                                                     .snapshot_next = node_snapshot_next,
                                                     .snapshot_close = node_snapshot_close};

static struct quorum *node_quorum(struct controller_quorum *quorum)
{
    return &CONTAINER_OF(quorum, struct node, controller_quorum)->quorum;
}

static int32_t node_leading(struct controller_quorum *quorum)
{
    return node_quorum(quorum)->append_epoch;
}

static int64_t node_epoch_start(struct controller_quorum *quorum)
{
    return node_quorum(quorum)->raft.epoch_start;
}

static int64_t node_next_offset(struct controller_quorum *quorum)
{
    return node_quorum(quorum)->next_offset;
}

static enum err node_append(struct controller_quorum *quorum, int32_t epoch,
                            const struct bytes *values, uint32_t count, int64_t *first_offset,
                            int64_t *last_offset)
{
    return quorum_append(node_quorum(quorum), epoch, values, count, first_offset, last_offset);
}

static int64_t node_high_watermark(struct controller_quorum *quorum)
{
    return node_quorum(quorum)->high_watermark;
}

static void node_resign(struct controller_quorum *quorum, int32_t epoch)
{
    quorum_resign(node_quorum(quorum), epoch);
}

static int16_t node_kraft_version(struct controller_quorum *quorum)
{
    return quorum_kraft_version(node_quorum(quorum));
}

static enum err node_raise_kraft_version(struct controller_quorum *quorum, bool validate_only,
                                         int64_t *offset, const char **why)
{
    return quorum_change_kraft_version(node_quorum(quorum), validate_only, offset, why);
}

static const struct controller_quorum_ops node_quorum_ops = {.leading = node_leading,
                                                             .epoch_start = node_epoch_start,
                                                             .next_offset = node_next_offset,
                                                             .append = node_append,
                                                             .high_watermark = node_high_watermark,
                                                             .resign = node_resign,
                                                             .kraft_version = node_kraft_version,
                                                             .raise_kraft_version =
                                                                 node_raise_kraft_version};

void node_relay(struct node *node, struct op_source *from)
{
    ASSERT(node->relay_count < NODE_RELAYS_MAX);
    op_relay_start(&node->env.loop, &node->relays[node->relay_count++], from, &node->changed);
}

/* ---- parts come up --------------------------------------------------------------------------- */

static const struct image_limits node_image_limits = {.brokers_max = NODE_BROKERS_MAX,
                                                      .topics_max = NODE_TOPICS_MAX,
                                                      .partitions_max = NODE_PARTITIONS_MAX};

void node_parts_dir(struct node *node)
{
    size_t cache = (size_t)node->config.queued_max_request_bytes / NODE_CACHE_SHARE;

    log_cache_init(&node->cache, &node->env.mem, cache, NODE_CACHE_BATCHES);
    node_dirs_init(node);
}

void node_parts_metadata(struct node *node)
{
    /* KRaft's reserved id (protocol.md 3). */
    struct log_open open = {.topic = STR("__cluster_metadata"), .create = true};
    struct log_config *config = &node->metadata_config;

    open.topic_id.bytes[15] = 1;
    *config = log_config_default();
    config->verify_all = true; /* every batch is read at every start (kraft.md 8) */
    config->max_message_bytes = QUORUM_BATCH_MAX;
    config->segment_bytes = (uint32_t)node->config.metadata_segment_bytes;
    config->segment_ms = node->config.metadata_segment_ms;
    config->deletes = false; /* what a snapshot holds goes, and nothing else (KAFKA-14238) */
    config->retention_ms = -1;
    node->metadata_log = log_open(node->meta_dir, &open, config);
    if (node->metadata_log != NULL) {
        op_relay_start(&node->env.loop, &node->metadata_relay, &node->metadata_log->state_source,
                       &node->changed);
    }
}

void node_parts_servers(struct node *node)
{
    const struct config *config = &node->config;
    const struct config_endpoint *clients = config_listener(config, config->inter_broker_listener);
    const struct config_endpoint *quorum = config_listener(config, config->controller_listener);
    struct server_config common = {
        .connections_max = (uint32_t)config->max_connections,
        .idle_ms = config->connections_max_idle_ms,
        .requests_max = (uint32_t)config->queued_max_requests,
        .frame_max = (uint32_t)config->socket_request_max_bytes,
    };

    if (node->has_broker) {
        struct server_config broker = common;

        broker.kind = API_ON_BROKER;
        broker.host = str_of(clients->host);
        broker.port = clients->port;
        broker.apis = api_broker;
        broker.api_count = api_broker_count;
        server_init(&node->broker_server, &node->env, node, &broker);
        server_start(&node->broker_server);
        node_relay(node, &node->broker_server.changed);
    }
    if (node->has_controller) {
        struct server_config controller = common;

        controller.kind = API_ON_CONTROLLER;
        controller.host = str_of(quorum->host);
        controller.port = quorum->port;
        controller.apis = api_controller;
        controller.api_count = api_controller_count;
        server_init(&node->controller_server, &node->env, node, &controller);
        server_start(&node->controller_server);
        node_relay(node, &node->controller_server.changed);
    }
    node->has_servers = true;
}

bool node_parts_listening(const struct node *node)
{
    if (node->has_broker && !node->broker_server.listening) return false;
    return !node->has_controller || node->controller_server.listening;
}

enum err node_parts_listen_failed(const struct node *node)
{
    if (node->has_broker && node->broker_server.failed != ERR_NONE) {
        return node->broker_server.failed;
    }
    return node->has_controller ? node->controller_server.failed : ERR_NONE;
}

void node_parts_fail_listen(struct node *node)
{
    bool broker = node->has_broker && node->broker_server.failed != ERR_NONE;
    const struct server *server = broker ? &node->broker_server : &node->controller_server;
    char buffer[320];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "cannot listen on %S:%u: %s", server->config.host,
                (uint32_t)server->config.port,
                server->failed == ERR_ADDRESS_IN_USE ? "the address is in use by another process"
                                                     : err_name(server->failed));
    node_fail(node, server->failed, text_view(&text));
}

/* A quorum of one that was not configured: itself, wherever its listener came to be. */
static void node_own_voter(struct node *node)
{
    struct config *config = &node->config;

    if (config->voter_count > 0 || config->bootstrap_count > 0) return;
    config->voters[0] =
        (struct config_voter){.id = (int32_t)config->node_id, .port = node->controller_server.port};
    memcpy(config->voters[0].host, "127.0.0.1", sizeof "127.0.0.1");
    config->voter_count = 1;
}

/* Where others find this controller, and whom to ask for the quorum beside the voters. */
static void node_dynamic_quorum(struct node *node, struct quorum_config *quorum)
{
    const struct config *config = &node->config;
    const struct config_endpoint *own = config_controller_endpoint(config);

    quorum->may_join = node->has_controller;
    quorum->auto_join = config->quorum_auto_join_enable != 0;
    quorum->kraft_version_max = (int16_t)config->feature_kraft_version_max;
    if (own != NULL) {
        quorum->host = str_of(own->host);
        quorum->port = own->port;
    }
    /* As the others were told, when they were. */
    for (uint32_t i = 0; i < config->voter_count; i++) {
        if (config->voters[i].id != (int32_t)config->node_id) continue;
        quorum->host = str_of(config->voters[i].host);
        quorum->port = config->voters[i].port;
    }
    for (uint32_t i = 0; i < config->bootstrap_count; i++) {
        const struct config_voter *server = &config->bootstrap[i];

        if (own != NULL && own->port == server->port && strcmp(own->host, server->host) == 0)
            continue; /* ourselves */
        quorum->bootstrap[quorum->bootstrap_count++] =
            (struct quorum_voter){.id = -1, .port = server->port, .host = str_of(server->host)};
    }
}

static enum err node_init_quorum(struct node *node)
{
    const struct config *config = &node->config;
    struct quorum_config quorum;
    struct text path;
    enum err err;

    quorum_config_default(&quorum);
    quorum.node_id = (int32_t)config->node_id;
    quorum.directory_id = node->meta_dir->meta.directory_id;
    quorum.cluster_id = node_cluster_id(node);
    text_init(&path, node->metadata_path, sizeof node->metadata_path);
    text_format(&path, "%s/__cluster_metadata-0", config->metadata_log_dir);
    quorum.dir = text_view(&path);
    for (uint32_t i = 0; i < config->voter_count; i++) {
        quorum.voters[i] = (struct quorum_voter){.id = config->voters[i].id,
                                                 .port = config->voters[i].port,
                                                 .host = str_of(config->voters[i].host)};
    }
    quorum.voter_count = config->voter_count;
    node_dynamic_quorum(node, &quorum);
    quorum.listener_name = str_of(config->controller_listener);
    quorum.election_timeout_ms = (int32_t)config->quorum_election_timeout_ms;
    quorum.fetch_timeout_ms = (int32_t)config->quorum_fetch_timeout_ms;
    quorum.election_backoff_max_ms = (int32_t)config->quorum_election_backoff_max_ms;
    quorum.append_linger_ms = (int32_t)config->quorum_append_linger_ms;
    quorum.request_timeout_ms = (int32_t)config->quorum_request_timeout_ms;
    quorum.retry_backoff_ms = (int32_t)config->quorum_retry_backoff_ms;
    quorum.snapshot_bytes = config->metadata_snapshot_bytes;
    quorum.snapshot_interval_ms = config->metadata_snapshot_interval_ms;
    quorum.retention_bytes = config->metadata_retention_bytes;
    quorum.retention_ms = config->metadata_retention_ms;
    node->listener = node_listener;
    err = quorum_init(&node->quorum, &node->env, &quorum, node->metadata_log, &node->listener);
    if (err != ERR_NONE) return err;
    node->has_quorum = true;
    node_relay(node, &node->quorum.state_source);
    return ERR_NONE;
}

static enum err node_init_controller(struct node *node)
{
    const struct config *config = &node->config;
    struct controller_config controller = controller_config_default();
    struct rng rng;
    enum err err;

    node->controller_quorum =
        (struct controller_quorum){.ops = &node_quorum_ops, .hw_source = &node->quorum.hw_source};
    controller.node_id = (int32_t)config->node_id;
    controller.cluster_id = node_cluster_id(node);
    controller.session_timeout_ms = (int32_t)config->broker_session_timeout_ms;
    controller.heartbeat_interval_ms = (int32_t)config->broker_heartbeat_interval_ms;
    controller.max_idle_interval_ms = (int32_t)config->metadata_max_idle_interval_ms;
    controller.num_partitions = (int32_t)config->num_partitions;
    controller.default_replication_factor = (int16_t)config->default_replication_factor;
    controller.min_insync_replicas = (int32_t)config->min_insync_replicas;
    controller.unclean_leader_election = config->unclean_leader_election_enable != 0;
    controller.balance_interval_ms = config->auto_leader_rebalance_enable != 0
                                         ? config->leader_imbalance_check_interval_seconds * 1000
                                         : 0;
    controller.calls_max = NODE_CALLS_MAX;
    controller.limits = node_image_limits;
    features_supported(config, controller.features);
    controller.metadata_version =
        (int16_t)(config->feature_metadata_version_max < CONFIG_METADATA_VERSION
                      ? config->feature_metadata_version_max
                      : CONFIG_METADATA_VERSION);
    controller.elr_version = (int16_t)config->feature_elr_version_max;
    controller.group_version = (int16_t)config->feature_group_version_max;
    err = controller_init(&node->controller, &node->env, &controller, &node->controller_quorum,
                          &node->loader);
    if (err != ERR_NONE) return err;
    rng_init(&rng,
             rng_stream(dice_seed(node->env.world, DICE_IDENTITY), 2, (uint64_t)config->node_id));
    registrar_start(&node->registrar, &node->env, config, &node->loader, &node->quorum,
                    &node->controller, rng_uuid(&rng));
    return ERR_NONE;
}

struct manager_limits node_parts_replica_limits(void)
{
    return (struct manager_limits){.partitions_max = NODE_PARTITIONS_MAX,
                                   .topics_max = NODE_TOPICS_MAX};
}

static enum err node_init_broker(struct node *node)
{
    const struct config *config = &node->config;
    const struct manager_limits limits = node_parts_replica_limits();
    uint64_t identity = dice_seed(node->env.world, DICE_IDENTITY);
    struct rng rng;
    struct text text;
    enum err err;

    text_init(&text, node->client_id, sizeof node->client_id);
    text_format(&text, "broker-%D", config->node_id);
    err = channel_init(&node->channel, &node->env, config, str_of(node->client_id),
                       dice_seed(node->env.world, DICE_TIMEOUTS));
    node->has_channel = true;
    for (uint32_t i = 0; i < node->channel.count; i++) {
        node_relay(node, &node->channel.peers[i].changed);
    }
    if (err != ERR_NONE) return err;
    rng_init(&rng, identity);
    lifecycle_init(&node->lifecycle, &node->env, config, &node->channel, &node->loader,
                   rng_uuid(&rng));
    node->lifecycle.cluster_id = node_cluster_id(node);
    node->lifecycle.dirs = node->dirs;
    node->lifecycle.dirs_count = config->log_dir_count;
    node->lifecycle.previous_broker_epoch = node_dirs_previous_epoch(node);
    node->lifecycle.port = node->broker_server.port;
    producer_ids_init(&node->producer_ids, &node->env, &node->channel, &node->lifecycle,
                      (int32_t)config->node_id);
    api_topics_init(node);
    node->manager_links = (struct manager_links){.broker_epoch = node_broker_epoch,
                                                 .controller = node_controller_peer,
                                                 .dir_failed = node_dir_failed,
                                                 .dirs_failed = node_dirs_failed};
    err = manager_init(&node->replicas, &node->env, config, &node->manager_links, node->dirs,
                       config->log_dir_count, &limits);
    if (err != ERR_NONE) return err;
    node->replicas.dirs_lossy = node->dirs_lossy;
    coordinator_init(&node->groups, &node->env, config, &node->replicas);
    fetch_sessions_init(&node->fetch_sessions, &node->env, (uint32_t)config->fetch_session_slots);
    node->has_replicas = true;
    node_relay(node, &node->lifecycle.changed);
    node_relay(node, &node->replicas.state_source);
    return ERR_NONE;
}

enum err node_parts_init(struct node *node)
{
    struct loader_config loader = {.limits = node_image_limits,
                                   .metadata_version_max =
                                       (int16_t)node->config.feature_metadata_version_max,
                                   .hash_seed = dice_seed(node->env.world, DICE_HASH)};
    enum err err;

    node_own_voter(node);
    loader_init(&node->loader, node->env.world, &node->env.mem, &loader);
    node->has_loader = true;
    node->publisher.publish = node_published;
    loader_add(&node->loader, &node->publisher);
    err = node_init_quorum(node);
    if (err == ERR_NONE && node->has_controller) {
        err = node_init_controller(node);
        node->controls = err == ERR_NONE;
    }
    if (err == ERR_NONE && node->has_broker) err = node_init_broker(node);
    return err;
}

void node_parts_serve(struct node *node)
{
    if (node->has_broker) server_serve(&node->broker_server);
    if (node->has_controller) server_serve(&node->controller_server);
}

/* ---- parts go down --------------------------------------------------------------------------- */

/* The controller's calls end with its quorum's place, the broker's with its channel; only then can
 * the sessions that wait for them end. So all of these begin at once. */
void node_parts_close_servers(struct node *node)
{
    if (node->has_replicas) {
        lifecycle_abandon(&node->lifecycle);
        coordinator_stop(&node->groups);
        manager_stop(&node->replicas);
    }
    if (node->has_channel) {
        channel_close(&node->channel);
        op_wake(&node->channel.changed); /* who waits for a controller looks whether we stop */
    }
    if (node->controls) registrar_stop(&node->registrar);
    if (node->controls) quorum_hasten(&node->quorum);
    if (node->controls) controller_stop(&node->controller);
    if (node->has_servers && node->has_broker) server_stop(&node->broker_server);
    if (node->has_servers && node->has_controller) server_stop(&node->controller_server);
}

bool node_parts_servers_closed(const struct node *node)
{
    if (!node->has_servers) return true;
    if (node->has_broker && !node->broker_server.stopped) return false;
    return !node->has_controller || node->controller_server.stopped;
}

bool node_parts_replicas_closed(const struct node *node)
{
    if (!node->has_replicas) return true;
    return node->replicas.stopped && coordinator_stopped(&node->groups) &&
           list_empty(&node->auto_topics_live) && producer_ids_idle(&node->producer_ids) &&
           !op_live(&node->lifecycle.op);
}

bool node_parts_channel_closed(const struct node *node)
{
    return !node->has_channel || channel_closed(&node->channel);
}

void node_parts_close_quorum(struct node *node)
{
    if (node->has_quorum && node->quorum.state != QUORUM_IDLE) quorum_stop(&node->quorum);
}

bool node_parts_quorum_closed(const struct node *node)
{
    if (node->controls && !registrar_stopped(&node->registrar)) return false;
    return !node->has_quorum || node->quorum.state == QUORUM_IDLE || quorum_stopped(&node->quorum);
}

void node_parts_close_metadata(struct node *node)
{
    if (node->metadata_log != NULL) log_close(node->metadata_log); /* a failed one, too */
}

bool node_parts_metadata_closed(const struct node *node)
{
    return node->metadata_log == NULL || node->metadata_log->state == LOG_CLOSED;
}

void node_parts_close_dir(struct node *node)
{
    op_relay_stop(&node->metadata_relay); /* it stands in a source of the log */
    if (node->metadata_log != NULL) log_free(node->metadata_log);
    node->metadata_log = NULL;
    if (node->has_dir) node_dirs_close(node);
}

bool node_parts_dir_closed(const struct node *node)
{
    return node_dirs_closed(node);
}

void node_parts_deinit(struct node *node)
{
    for (uint32_t i = 0; i < node->relay_count; i++)
        op_relay_stop(&node->relays[i]);
    if (node->has_replicas) {
        coordinator_deinit(&node->groups);
        fetch_sessions_deinit(&node->fetch_sessions);
        manager_deinit(&node->replicas);
        lifecycle_deinit(&node->lifecycle);
        pool_deinit(&node->auto_topics);
    }
    if (node->has_channel) channel_deinit(&node->channel);
    if (node->controls) controller_deinit(&node->controller);
    if (node->has_quorum) quorum_deinit(&node->quorum);
    if (node->has_loader) loader_deinit(&node->loader);
    if (node->has_servers && node->has_broker) server_deinit(&node->broker_server);
    if (node->has_servers && node->has_controller) server_deinit(&node->controller_server);
    if (node->has_dir) {
        node_dirs_deinit(node);
        log_cache_deinit(&node->cache);
    }
}
