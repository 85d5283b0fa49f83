/* Brokers: registration, heartbeats, leases, fencing, controlled shutdown (replication.md 11;
 * KIP-631, KIP-841).
 *
 *                    wants to run, has applied its registration
 *       FENCED ------------------------------------------------> UNFENCED
 *        |  ^              lease over, or wants to be fenced      |     | wants to go, and leads or
 *  wants |  +-----------------------------------------------------+     | is in an ISR
 *  to go |  |                          lease over                       v
 *        |  +-------------------------------------------- CONTROLLED_SHUTDOWN
 *        v                       leads nothing, all active brokers know   |
 *   SHUTDOWN_NOW <--------------------------------------------------------+   (fenced, may exit)
 */
#include "broker/controller/controller_parts.h"
#include "broker/controller/partition_change.h"

/* ---- leases ---------------------------------------------------------------------------------- */

static struct controller_lease *lease_of(const struct controller *c, int32_t id)
{
    struct map_node *node = map_find_u64(&c->lease_of, (uint32_t)id);

    return node != NULL ? MAP_ENTRY(node, struct controller_lease, node) : NULL;
}

/* The lease entry of a broker; made when missing, without a session. */
static enum err lease_need(struct controller *c, int32_t id, struct controller_lease **lease)
{
    enum err err;

    *lease = lease_of(c, id);
    if (*lease != NULL) return ERR_NONE;
    *lease = pool_take(&c->leases);
    if (*lease == NULL) return ERR_NO_MEMORY;
    **lease = (struct controller_lease){.metadata_offset = -1, .shutdown_offset = -1};
    err = map_add_u64(&c->lease_of, &(*lease)->node, (uint32_t)id);
    if (err != ERR_NONE) pool_give(&c->leases, *lease);
    return err;
}

static bool lease_holds(const struct controller *c, int32_t id, int64_t broker_epoch)
{
    const struct controller_lease *lease = lease_of(c, id);

    return lease != NULL && lease->valid && lease->broker_epoch == broker_epoch &&
           lease->expires_ns > c->env->loop.now_ns;
}

/* A lease that this leadership has granted without a word proves nothing, nor does what was said
 * before: the one may be long dead whose lease still holds. */
bool cluster_control_witnessed(const struct controller *c, const struct image_broker *broker,
                               struct image_ids others)
{
    for (uint32_t i = 0; i < others.count; i++) {
        const struct image_broker *other = image_broker(&c->image, others.ids[i]);

        if (other == NULL || other == broker || other->fenced) continue;
        if (lease_holds(c, other->id, other->epoch) &&
            lease_of(c, other->id)->metadata_offset >= broker->epoch)
            return true;
    }
    return false;
}

static int64_t after_ms(const struct controller *c, int64_t ms)
{
    return c->env->loop.now_ns + ms * NS_PER_MS;
}

enum err cluster_control_activate(struct controller *c)
{
    int64_t grace_ms = 3 * (int64_t)c->config.heartbeat_interval_ms;

    if (grace_ms > c->config.session_timeout_ms) grace_ms = c->config.session_timeout_ms;
    MAP_FOR_EACH (node, &c->image.brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);
        struct controller_lease *lease;
        enum err err = lease_need(c, broker->id, &lease);

        if (err != ERR_NONE) return err;
        lease->broker_epoch = broker->epoch;
        lease->valid = !broker->fenced;
        lease->expires_ns = after_ms(c, grace_ms);
        if (broker->in_controlled_shutdown)
            lease->shutdown_offset = c->quorum->ops->next_offset(c->quorum) - 1;
    }
    return ERR_NONE;
}

void cluster_control_renounce(struct controller *c)
{
    MAP_FOR_EACH_SAFE (node, after, &c->lease_of) {
        map_remove(&c->lease_of, node);
        pool_give(&c->leases, MAP_ENTRY(node, struct controller_lease, node));
    }
}

static void add_fence(struct controller *c, const struct image_broker *broker,
                      struct records *records)
{
    struct metadata_record *record;

    replication_control_broker_leaves(c, broker->id, records);
    record = records_add(records, RECORD_BROKER_REGISTRATION_CHANGE);
    if (record == NULL) return;
    record->registration_change.broker_id = broker->id;
    record->registration_change.broker_epoch = broker->epoch;
    record->registration_change.fenced = 1;
}

/* The one whose lease ended first; ties go to the lower id. */
static const struct image_broker *stalest(const struct controller *c)
{
    const struct image_broker *found = NULL;
    int64_t expired_ns = INT64_MAX;

    MAP_FOR_EACH (node, &c->image.brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);
        const struct controller_lease *lease = lease_of(c, broker->id);

        if (broker->fenced || lease == NULL || lease->expires_ns > c->env->loop.now_ns) continue;
        if (lease->expires_ns > expired_ns) continue;
        if (found != NULL && lease->expires_ns == expired_ns && broker->id > found->id) continue;
        found = broker;
        expired_ns = lease->expires_ns;
    }
    return found;
}

int64_t cluster_control_next_expiry(const struct controller *c)
{
    int64_t next_ns = OP_NO_DEADLINE;

    MAP_FOR_EACH (node, &c->image.brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);
        const struct controller_lease *lease = lease_of(c, broker->id);

        if (broker->fenced || lease == NULL || lease->expires_ns <= c->env->loop.now_ns) continue;
        if (lease->expires_ns < next_ns) next_ns = lease->expires_ns;
    }
    return next_ns;
}

enum err cluster_control_check_leases(struct controller *c)
{
    const struct image_broker *broker = stalest(c);
    struct records records;

    if (broker == NULL) return ERR_NONE;
    TRACE(c->env->world, CONTROLLER_LEASE, broker->id, 1);
    records_init(&records, &c->arena);
    add_fence(c, broker, &records);
    return controller_write(c, &records, CONTROLLER_SPLIT);
}

enum err cluster_control_check_epoch(const struct controller *c, int32_t id, int64_t broker_epoch)
{
    const struct image_broker *broker = image_broker(&c->image, id);

    if (broker == NULL || broker->epoch != broker_epoch) return ERR_STALE_BROKER_EPOCH;
    return ERR_NONE;
}

enum err cluster_control_unregister(struct controller *c,
                                    const struct unregister_broker_request *request,
                                    struct unregister_broker_response *response)
{
    const struct image_broker *broker = image_broker(&c->image, request->broker_id);
    struct controller_lease *lease;
    struct metadata_record *record;
    struct records records;
    enum err err;

    if (broker == NULL) {
        response->error_code = ERR_BROKER_ID_NOT_REGISTERED;
        response->error_message = STR("No broker of this id is registered.");
        return ERR_NONE;
    }
    records_init(&records, &c->arena);
    /* DIFFERS: out of the ELRs too. When it comes back nobody remembers the incarnation that had
     * all the data, so nobody could tell whether it has them still. */
    replication_control_broker_lost(c, broker->id, &records);
    record = records_add(&records, RECORD_UNREGISTER_BROKER);
    if (record == NULL) return records.error;
    record->unregister_broker.broker_id = broker->id;
    record->unregister_broker.broker_epoch = broker->epoch;
    err = controller_write(c, &records, CONTROLLER_SPLIT);
    if (err != ERR_NONE) return err;
    lease = lease_of(c, request->broker_id);
    if (lease == NULL) return ERR_NONE;
    map_remove(&c->lease_of, &lease->node);
    pool_give(&c->leases, lease);
    return ERR_NONE;
}

/* ---- registration ---------------------------------------------------------------------------- */

static bool log_dir_taken(const struct controller *c, int32_t id, struct uuid dir)
{
    MAP_FOR_EACH (node, &c->image.brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);

        if (broker->id == id) continue;
        for (uint32_t i = 0; i < broker->log_dirs_count; i++)
            if (uuid_equal(broker->log_dirs[i], dir)) return true;
    }
    return false;
}

static enum err check_registration(const struct controller *c,
                                   const struct broker_registration_request *request)
{
    const struct image_broker *existing = image_broker(&c->image, request->broker_id);
    struct image_feature features[IMAGE_FEATURES_MAX];

    if (!str_equal(request->cluster_id, c->config.cluster_id)) return ERR_INCONSISTENT_CLUSTER_ID;
    if (request->broker_id < 0 || uuid_is_zero(request->incarnation_id)) return ERR_INVALID_REQUEST;
    if (existing != NULL && !uuid_equal(existing->incarnation, request->incarnation_id) &&
        lease_holds(c, existing->id, existing->epoch))
        return ERR_DUPLICATE_BROKER_REGISTRATION;
    if (request->listeners_count == 0 || request->listeners_count > IMAGE_ENDPOINTS_MAX)
        return ERR_INVALID_REGISTRATION;
    if (request->features_count > IMAGE_FEATURES_MAX) return ERR_INVALID_REGISTRATION;
    if (request->log_dirs_count > IMAGE_LOG_DIRS_MAX) return ERR_INVALID_REGISTRATION;
    for (uint32_t i = 0; i < request->log_dirs_count; i++) {
        if (log_dir_taken(c, request->broker_id, request->log_dirs[i]))
            return ERR_INVALID_REGISTRATION;
        for (uint32_t j = 0; j < i; j++)
            if (uuid_equal(request->log_dirs[i], request->log_dirs[j]))
                return ERR_INVALID_REGISTRATION;
    }
    for (uint32_t i = 0; i < request->features_count; i++) {
        const struct broker_registration_request_feature *feature = &request->features[i];

        features[i] = (struct image_feature){feature->name, feature->min_supported_version,
                                             feature->max_supported_version};
    }
    if (feature_control_admits(c, features, request->features_count) != ERR_NONE)
        return ERR_UNSUPPORTED_VERSION;
    if (existing == NULL && c->image.brokers.count >= c->config.limits.brokers_max)
        return ERR_INVALID_REGISTRATION;
    return ERR_NONE;
}

static void fill_registration(struct records *records,
                              const struct broker_registration_request *request,
                              struct register_broker_record *r)
{
    r->broker_id = request->broker_id;
    r->incarnation_id = request->incarnation_id;
    r->rack = request->rack;
    r->log_dirs = request->log_dirs;
    r->log_dirs_count = request->log_dirs_count;
    r->end_points = arena_zalloc(records->arena, request->listeners_count * sizeof(*r->end_points));
    r->features = arena_zalloc(records->arena, request->features_count * sizeof(*r->features));
    if (r->end_points == NULL || r->features == NULL) {
        records->error = ERR_NO_MEMORY;
        return;
    }
    r->end_points_count = request->listeners_count;
    r->features_count = request->features_count;
    for (uint32_t i = 0; i < request->listeners_count; i++) {
        const struct broker_registration_request_listener *from = &request->listeners[i];

        r->end_points[i] = (struct register_broker_record_end_point){
            from->name, from->host, from->port, from->security_protocol};
    }
    for (uint32_t i = 0; i < request->features_count; i++) {
        const struct broker_registration_request_feature *from = &request->features[i];

        r->features[i] = (struct register_broker_record_feature){
            from->name, from->min_supported_version, from->max_supported_version};
    }
}

/* ---- controllers (KIP-919) ------------------------------------------------------------------- */

static enum err check_controller(const struct controller *c,
                                 const struct controller_registration_request *request)
{
    struct image_feature features[IMAGE_FEATURES_MAX];

    if (request->controller_id < 0 || uuid_is_zero(request->incarnation_id))
        return ERR_INVALID_REQUEST;
    if (request->listeners_count == 0 || request->listeners_count > IMAGE_ENDPOINTS_MAX)
        return ERR_INVALID_REGISTRATION;
    if (request->features_count > IMAGE_FEATURES_MAX) return ERR_INVALID_REGISTRATION;
    if (c->image.controllers.count >= IMAGE_CONTROLLERS_MAX &&
        map_find_u64(&c->image.controllers, (uint32_t)request->controller_id) == NULL)
        return ERR_INVALID_REGISTRATION;
    for (uint32_t i = 0; i < request->features_count; i++)
        features[i] = (struct image_feature){request->features[i].name,
                                             request->features[i].min_supported_version,
                                             request->features[i].max_supported_version};
    return feature_control_admits(c, features, request->features_count);
}

enum err cluster_control_register_controller(struct controller *c,
                                             const struct controller_registration_request *request,
                                             struct controller_registration_response *response)
{
    struct register_controller_record *r;
    struct metadata_record *record;
    struct records records;
    enum err err = check_controller(c, request);

    response->error_code = (int16_t)err;
    response->error_message = STR_NULL;
    if (err != ERR_NONE) return ERR_NONE;
    records_init(&records, &c->arena);
    record = records_add(&records, RECORD_REGISTER_CONTROLLER);
    if (record == NULL) return records.error;
    r = &record->register_controller;
    r->controller_id = request->controller_id;
    r->incarnation_id = request->incarnation_id;
    r->end_points = arena_zalloc(records.arena, request->listeners_count * sizeof(*r->end_points));
    r->features = arena_zalloc(records.arena, (request->features_count + 1) * sizeof(*r->features));
    if (r->end_points == NULL || r->features == NULL) return ERR_NO_MEMORY;
    r->end_points_count = request->listeners_count;
    r->features_count = request->features_count;
    for (uint32_t i = 0; i < request->listeners_count; i++)
        r->end_points[i] = (struct register_controller_record_end_point){
            request->listeners[i].name, request->listeners[i].host, request->listeners[i].port,
            request->listeners[i].security_protocol};
    for (uint32_t i = 0; i < request->features_count; i++)
        r->features[i] = (struct register_controller_record_feature){
            request->features[i].name, request->features[i].min_supported_version,
            request->features[i].max_supported_version};
    return controller_write(c, &records, CONTROLLER_ATOMIC);
}

/* ---- brokers --------------------------------------------------------------------------------- */

/* Whether the broker tells of an epoch that proves it has all it ever answered for (KIP-966).
 *
 * Its directories tell of the life in which they were written last. A process that ends between its
 * registration and the writing tells of the life before, whose epoch the controller no longer has:
 * that is why the image keeps it (kept_epoch), from one such registration to the next, until the
 * broker is unfenced. Before that it is in no ISR, nothing was acknowledged for its sake, and what
 * it had at its last proof is all that its place in an ELR stands for. */
static bool register_kept(const struct image_broker *existing, int64_t previous)
{
    if (previous < 0) return false;
    return previous == existing->epoch || previous == existing->kept_epoch;
}

enum err cluster_control_register(struct controller *c,
                                  const struct broker_registration_request *request,
                                  struct broker_registration_response *response)
{
    const struct image_broker *existing = image_broker(&c->image, request->broker_id);
    struct controller_lease *lease;
    struct metadata_record *record;
    struct records records;
    bool amend = existing != NULL && uuid_equal(existing->incarnation, request->incarnation_id);
    int64_t kept_epoch = amend ? existing->kept_epoch : -1;
    int64_t epoch;
    enum err err = check_registration(c, request);

    response->error_code = (int16_t)err;
    if (err != ERR_NONE) return ERR_NONE;
    err = lease_need(c, request->broker_id, &lease);
    if (err != ERR_NONE) return err;
    records_init(&records, &c->arena);
    /* KAFKA-18106: the earlier incarnation may never have been fenced; it leaves its ISRs all the
     * same. The registration comes last: it is what makes the new incarnation visible. */
    if (existing != NULL && !amend) {
        bool kept = register_kept(existing, request->previous_broker_epoch);

        if (kept) kept_epoch = request->previous_broker_epoch;
        if (!kept && partition_change_elr(&c->image))
            replication_control_broker_lost(c, request->broker_id, &records);
        else
            replication_control_broker_leaves(c, request->broker_id, &records);
    }
    epoch = amend ? existing->epoch : c->quorum->ops->next_offset(c->quorum) + records.count;
    record = records_add(&records, RECORD_REGISTER_BROKER);
    if (record == NULL) return records.error;
    fill_registration(&records, request, &record->register_broker);
    record->register_broker.broker_epoch = epoch;
    record->register_broker.kept_broker_epoch = kept_epoch;
    record->register_broker.fenced = amend ? existing->fenced : true;
    record->register_broker.in_controlled_shutdown = amend && existing->in_controlled_shutdown;
    err = controller_write(c, &records, CONTROLLER_SPLIT);
    if (err != ERR_NONE) return err;
    if (!amend) {
        lease->broker_epoch = epoch;
        lease->valid = false; /* begins with the first heartbeat */
        lease->metadata_offset = -1;
        lease->shutdown_offset = -1;
    }
    response->broker_epoch = epoch;
    return ERR_NONE;
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

enum broker_state {
    BROKER_FENCED,
    BROKER_UNFENCED,
    BROKER_CONTROLLED_SHUTDOWN,
    BROKER_SHUTDOWN_NOW
};

static enum broker_state state_of(const struct image_broker *broker)
{
    if (broker->fenced) return BROKER_FENCED;
    return broker->in_controlled_shutdown ? BROKER_CONTROLLED_SHUTDOWN : BROKER_UNFENCED;
}

/* The least that any active broker has applied: all of them know at least this. */
static int64_t lowest_active_offset(const struct controller *c)
{
    int64_t lowest = INT64_MAX;

    MAP_FOR_EACH (node, &c->image.brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);
        const struct controller_lease *lease = lease_of(c, broker->id);
        int64_t offset = lease != NULL ? lease->metadata_offset : -1;

        if (broker->fenced || broker->in_controlled_shutdown) continue;
        if (offset < lowest) lowest = offset;
    }
    return lowest;
}

static enum broker_state next_state(const struct controller *c, const struct image_broker *broker,
                                    const struct broker_heartbeat_request *request,
                                    const struct controller_lease *lease)
{
    switch (state_of(broker)) {
    case BROKER_FENCED:
        if (request->want_shut_down) return BROKER_SHUTDOWN_NOW;
        if (request->want_fence) return BROKER_FENCED;
        return request->current_metadata_offset >= broker->epoch ? BROKER_UNFENCED : BROKER_FENCED;
    case BROKER_UNFENCED:
        if (request->want_fence)
            return request->want_shut_down ? BROKER_SHUTDOWN_NOW : BROKER_FENCED;
        if (!request->want_shut_down) return BROKER_UNFENCED;
        return broker->leader_count > 0 || broker->isr_count > 0 ? BROKER_CONTROLLED_SHUTDOWN
                                                                 : BROKER_SHUTDOWN_NOW;
    case BROKER_CONTROLLED_SHUTDOWN:
        if (broker->leader_count > 0) return BROKER_CONTROLLED_SHUTDOWN;
        return lowest_active_offset(c) >= lease->shutdown_offset ? BROKER_SHUTDOWN_NOW
                                                                 : BROKER_CONTROLLED_SHUTDOWN;
    case BROKER_SHUTDOWN_NOW: break; /* is no state of the image */
    }
    IMPOSSIBLE("broker state");
}

static void add_transition(struct controller *c, const struct image_broker *broker,
                           enum broker_state to, struct records *records)
{
    struct metadata_record *record;

    switch (to) {
    case BROKER_FENCED:
    case BROKER_SHUTDOWN_NOW: add_fence(c, broker, records); return;
    case BROKER_UNFENCED:
        record = records_add(records, RECORD_BROKER_REGISTRATION_CHANGE);
        if (record == NULL) return;
        record->registration_change.broker_id = broker->id;
        record->registration_change.broker_epoch = broker->epoch;
        record->registration_change.fenced = -1;
        replication_control_broker_joins(c, broker->id, records);
        return;
    case BROKER_CONTROLLED_SHUTDOWN:
        record = records_add(records, RECORD_BROKER_REGISTRATION_CHANGE);
        if (record == NULL) return;
        record->registration_change.broker_id = broker->id;
        record->registration_change.broker_epoch = broker->epoch;
        record->registration_change.in_controlled_shutdown = 1;
        replication_control_broker_leaves(c, broker->id, records);
        return;
    }
}

/* Directories that failed since the registration: it has the others from now on (KIP-858). What
 * the failed ones held is told by AssignReplicasToDirs. */
static void add_offline_dirs(const struct image_broker *broker,
                             const struct broker_heartbeat_request *request,
                             struct records *records)
{
    struct uuid *left = arena_alloc(records->arena, IMAGE_LOG_DIRS_MAX * sizeof *left);
    struct metadata_record *record;
    uint32_t count = 0;

    if (left == NULL) return; /* the next heartbeat says it again */
    for (uint32_t i = 0; i < broker->log_dirs_count; i++) {
        bool offline = false;

        for (uint32_t j = 0; j < request->offline_log_dirs_count; j++)
            offline = offline || uuid_equal(broker->log_dirs[i], request->offline_log_dirs[j]);
        if (!offline) left[count++] = broker->log_dirs[i];
    }
    /* A record cannot say that none is left; such a broker ends. */
    if (count == broker->log_dirs_count || count == 0) return;
    record = records_add(records, RECORD_BROKER_REGISTRATION_CHANGE);
    if (record == NULL) return;
    record->registration_change.broker_id = broker->id;
    record->registration_change.broker_epoch = broker->epoch;
    record->registration_change.log_dirs = left;
    record->registration_change.log_dirs_count = count;
}

enum err cluster_control_heartbeat(struct controller *c,
                                   const struct broker_heartbeat_request *request,
                                   struct broker_heartbeat_response *response)
{
    const struct image_broker *broker = image_broker(&c->image, request->broker_id);
    struct controller_lease *lease;
    struct records records;
    enum broker_state was, next;
    enum err err = cluster_control_check_epoch(c, request->broker_id, request->broker_epoch);

    response->error_code = (int16_t)err;
    if (err != ERR_NONE) return ERR_NONE;
    err = lease_need(c, request->broker_id, &lease);
    if (err != ERR_NONE) return err;
    was = state_of(broker);
    next = next_state(c, broker, request, lease);
    records_init(&records, &c->arena);
    add_offline_dirs(broker, request, &records);
    /* Of a fenced one that may go there is nothing left to say. */
    if (next != was && !(was == BROKER_FENCED && next == BROKER_SHUTDOWN_NOW))
        add_transition(c, broker, next, &records);
    err = controller_write(c, &records, CONTROLLER_SPLIT);
    if (err != ERR_NONE) return err;
    lease->broker_epoch = request->broker_epoch;
    lease->metadata_offset = request->current_metadata_offset;
    lease->expires_ns = after_ms(c, c->config.session_timeout_ms);
    /* Who was told to go has no session: its next incarnation need not wait for it to end. */
    lease->valid = next != BROKER_SHUTDOWN_NOW;
    if (next == BROKER_CONTROLLED_SHUTDOWN && lease->shutdown_offset < 0)
        lease->shutdown_offset = c->quorum->ops->next_offset(c->quorum) - 1;
    response->is_caught_up = request->current_metadata_offset >= request->broker_epoch;
    response->is_fenced = next == BROKER_FENCED || next == BROKER_SHUTDOWN_NOW;
    response->should_shut_down = next == BROKER_SHUTDOWN_NOW;
    return ERR_NONE;
}
