#include "broker/controller/controller.h"

#include "broker/controller/controller_parts.h"
#include "broker/controller/partition_change.h"
#include "client/base/text.h"

enum {
    /* Scratch of one decision. The largest: a broker leaves the ISR of 100,000 partitions. */
    CONTROLLER_ARENA_MAX = 64 << 20,
    CONTROLLER_TEXT = 800, /* of one partition's trace */
    LEASE_CHECKS_PER_SESSION = 8,
};

struct controller_config controller_config_default(void)
{
    return (struct controller_config){.node_id = -1,
                                      .features = {{STR("eligible.leader.replicas.version"), 0, 1},
                                                   {STR(FEATURES_GROUP_VERSION), 0, 1},
                                                   {STR("kraft.version"), 0, 1},
                                                   {STR("metadata.version"), 17, 23},
                                                   {STR("transaction.version"), 0, 0}},
                                      .cluster_id = STR_NULL,
                                      .session_timeout_ms = 9000,
                                      .heartbeat_interval_ms = 2000,
                                      .max_idle_interval_ms = 500,
                                      .balance_interval_ms = 300000,
                                      .unclean_interval_ms = 300000,
                                      .num_partitions = 1,
                                      .default_replication_factor = 1,
                                      .min_insync_replicas = 1,
                                      .unclean_leader_election = false,
                                      .metadata_version = 23, /* 4.0-IV1 */
                                      .elr_version = 1,
                                      .group_version = 1,
                                      .calls_max = 1000,
                                      .limits = {1000, 20000, 100000}};
}

/* ---- states ---------------------------------------------------------------------------------- */

static const char *const state_names[] = {
    [CONTROLLER_STANDBY] = "STANDBY",
    [CONTROLLER_CATCHING_UP] = "CATCHING_UP",
    [CONTROLLER_ACTIVE] = "ACTIVE",
};
_Static_assert(COUNT_OF(state_names) == CONTROLLER_STATES, "a name for each state");

const char *controller_state_name(enum controller_state state)
{
    return state_names[state];
}

static const bool state_moves[CONTROLLER_STATES][CONTROLLER_STATES] = {
    [CONTROLLER_STANDBY] = {[CONTROLLER_CATCHING_UP] = true},
    [CONTROLLER_CATCHING_UP] = {[CONTROLLER_STANDBY] = true, [CONTROLLER_ACTIVE] = true},
    [CONTROLLER_ACTIVE] = {[CONTROLLER_STANDBY] = true},
};

/* The one setter. `failed`: of a renouncement. */
static void set_state(struct controller *c, enum controller_state state, bool failed)
{
    int64_t end;

    ASSERT(state_moves[c->state][state]);
    if (c->state == CONTROLLER_ACTIVE)
        TRACE(c->env->world, CONTROLLER_RENOUNCED, c->epoch, c->image.last_offset, failed);
    c->state = state;
    if (state != CONTROLLER_ACTIVE) {
        c->epoch = -1;
        return;
    }
    c->epoch = c->catching_epoch;
    c->last_epoch = c->epoch;
    end = c->quorum->ops->next_offset(c->quorum);
    TRACE(c->env->world, CONTROLLER_ACTIVE, c->epoch, end);
}

static int32_t leading(const struct controller *c)
{
    return c->quorum->ops->leading(c->quorum);
}

void controller_renounce(struct controller *c, bool failed)
{
    int32_t epoch = c->epoch;

    ASSERT(c->state == CONTROLLER_ACTIVE);
    set_state(c, CONTROLLER_STANDBY, failed);
    image_clear(&c->image);
    cluster_control_renounce(c);
    c->written = -1;
    if (failed) c->quorum->ops->resign(c->quorum, epoch);
    op_wake(c->quorum->hw_source);
    op_wake(&c->wake);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void text_ids(struct text *text, const char *name, struct image_ids ids)
{
    text_cstr(text, name);
    if (ids.count == 0) text_char(text, '-');
    for (uint32_t i = 0; i < ids.count; i++) {
        if (i > 0) text_char(text, ',');
        text_i64(text, ids.ids[i]);
    }
}

static void trace_partition(struct controller *c, struct uuid topic_id, int32_t index,
                            const char *how)
{
    const struct image_topic *topic = image_topic_by_id(&c->image, topic_id);
    const struct image_partition *part = image_partition(topic, index);
    char buffer[CONTROLLER_TEXT];
    struct text text;

    text_init(&text, buffer, sizeof(buffer));
    text_ids(&text, "isr ", image_isr(part));
    text_ids(&text, " replicas ", image_replicas(part));
    text_ids(&text, " elr ", image_elr(part));
    text_ids(&text, " last ", image_last_known_elr(part));
    if (part->adding_count + part->removing_count > 0) {
        text_ids(&text, " adding ", image_adding(part));
        text_ids(&text, " removing ", image_removing(part));
    }
    text_cstr(&text, how);
    TRACE_TEXT(c->env->world, CONTROLLER_PARTITION, text_view(&text), (int64_t)uuid_high(topic_id),
               index, part->leader, part->leader_epoch, part->partition_epoch,
               c->image.last_offset);
}

static void trace_broker(struct controller *c, int32_t id)
{
    const struct image_broker *broker = image_broker(&c->image, id);

    if (broker == NULL) { /* unregistered */
        TRACE(c->env->world, CONTROLLER_BROKER, id, -1, true, false, c->image.last_offset);
        return;
    }
    TRACE(c->env->world, CONTROLLER_BROKER, id, broker->epoch, broker->fenced,
          broker->in_controlled_shutdown, c->image.last_offset);
}

static void trace_record(struct controller *c, const struct metadata_record *record)
{
    switch (record->id) {
    case RECORD_REGISTER_BROKER: trace_broker(c, record->register_broker.broker_id); return;
    case RECORD_BROKER_REGISTRATION_CHANGE:
        trace_broker(c, record->registration_change.broker_id);
        return;
    case RECORD_PARTITION:
        trace_partition(c, record->partition.topic_id, record->partition.partition_id, "");
        return;
    case RECORD_PARTITION_CHANGE:
        trace_partition(c, record->partition_change.topic_id, record->partition_change.partition_id,
                        record->last_known ? " last-known"
                        : record->partition_change.leader_recovery_state == IMAGE_RECOVERING
                            ? " unclean"
                            : "");
        return;
    case RECORD_UNREGISTER_BROKER: trace_broker(c, record->unregister_broker.broker_id); return;
    case RECORD_REMOVE_TOPIC:
        TRACE(c->env->world, CONTROLLER_REMOVED, (int64_t)uuid_high(record->remove_topic.topic_id),
              c->image.last_offset);
        return;
    case RECORD_TOPIC:
    case RECORD_CONFIG:
    case RECORD_FEATURE_LEVEL:
    case RECORD_PRODUCER_IDS:
    case RECORD_NO_OP:
    case RECORD_BEGIN_TRANSACTION:
    case RECORD_END_TRANSACTION:
    case RECORD_ABORT_TRANSACTION:
    case RECORD_REGISTER_CONTROLLER:
    case RECORD_CLEAR_ELR: return;
    }
}

/* Nodes from `node` on that make the next batch. */
static uint32_t batch_size(const struct records_node *node)
{
    uint32_t count = 0;
    size_t bytes = 0;

    for (; node != NULL && count < RECORDS_BATCH_MAX; node = node->next) {
        bytes += node->value.length;
        if (count > 0 && bytes > RECORDS_BATCH_BYTES_MAX) break;
        count++;
    }
    return count;
}

/* Appends and replays `count` nodes from *at on, and moves *at behind them. */
static enum err write_batch(struct controller *c, struct records_node **at, uint32_t count)
{
    struct bytes *values = arena_alloc(&c->arena, count * sizeof(*values));
    struct records_node *node = *at;
    int64_t expected = c->quorum->ops->next_offset(c->quorum);
    int64_t first, last;
    enum err err;

    if (values == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++, node = node->next)
        values[i] = node->value;
    err = c->quorum->ops->append(c->quorum, c->epoch, values, count, &first, &last);
    if (err != ERR_NONE) {
        if (err == ERR_NOT_CONTROLLER) controller_renounce(c, false);
        return err;
    }
    ASSERT(first == expected && last == first + count - 1);
    node = *at;
    for (uint32_t i = 0; i < count; i++, node = node->next) {
        err = image_apply(&c->image, &node->record, first + i, c->epoch);
        if (err != ERR_NONE) {
            /* Half replayed: never go on from there (kraft.md 10). */
            TRACE_TEXT(c->env->world, NODE_WARNING, STR("controller: a record cannot be replayed"),
                       err);
            controller_renounce(c, true);
            return ERR_NOT_CONTROLLER;
        }
        trace_record(c, &node->record);
    }
    c->written = last;
    *at = node;
    return ERR_NONE;
}

enum err controller_write(struct controller *c, struct records *records,
                          enum controller_atomicity atomicity)
{
    struct records_node *at = records->first;
    enum err err = records_finish(records);

    ASSERT(c->state == CONTROLLER_ACTIVE);
    if (err != ERR_NONE) return err;
    if (records->count == 0) return ERR_NONE;
    if (atomicity == CONTROLLER_ATOMIC && batch_size(at) < records->count) return ERR_TOO_LARGE;
    while (at != NULL) {
        err = write_batch(c, &at, batch_size(at));
        if (err != ERR_NONE) return err;
    }
    if (c->config.max_idle_interval_ms > 0)
        c->next_no_op_ns = c->env->loop.now_ns + c->config.max_idle_interval_ms * NS_PER_MS;
    return ERR_NONE;
}

/* ---- active ---------------------------------------------------------------------------------- */

static int64_t in_ms(const struct controller *c, int64_t ms)
{
    return ms > 0 ? c->env->loop.now_ns + ms * NS_PER_MS : OP_NO_DEADLINE;
}

static int64_t lease_check_ms(const struct controller *c)
{
    int64_t ms = c->config.session_timeout_ms / LEASE_CHECKS_PER_SESSION;

    return ms > 0 ? ms : 1;
}

/* DIFFERS: on in every new cluster (Kafka: from 4.1 on). One min.insync.replicas for all stands in
 * the log: what a controller decides by must be what a leader holds its high watermark by. */
static void bootstrap_elr(const struct controller *c, struct records *records)
{
    struct metadata_record *record;

    if (c->config.elr_version < 1 || c->config.metadata_version < 23) return;
    record = records_add(records, RECORD_FEATURE_LEVEL);
    if (record == NULL) return;
    record->feature_level.name = STR(PARTITION_CHANGE_ELR_FEATURE);
    record->feature_level.feature_level = c->config.elr_version;
    feature_control_elr_safety(c, records);
}

/* As Kafka 4.0 formats: groups of KIP-848 are on from the first day. */
static void bootstrap_groups(const struct controller *c, struct records *records)
{
    struct metadata_record *record;

    if (c->config.group_version < 1 || c->config.metadata_version < FEATURES_GROUP_SINCE) return;
    record = records_add(records, RECORD_FEATURE_LEVEL);
    if (record == NULL) return;
    record->feature_level.name = STR(FEATURES_GROUP_VERSION);
    record->feature_level.feature_level = c->config.group_version;
}

/* The first leader of all writes what a cluster begins with. */
static enum err bootstrap(struct controller *c)
{
    struct metadata_record *record;
    struct records records;

    if (image_feature_level(&c->image, STR("metadata.version")) != 0) return ERR_NONE;
    records_init(&records, &c->arena);
    record = records_add(&records, RECORD_FEATURE_LEVEL);
    if (record == NULL) return records.error;
    record->feature_level.name = STR("metadata.version");
    record->feature_level.feature_level = c->config.metadata_version;
    bootstrap_elr(c, &records);
    bootstrap_groups(c, &records);
    return controller_write(c, &records, CONTROLLER_ATOMIC);
}

/* A controller of Kafka's died inside of a metadata transaction: what it began counts for nothing,
 * and nothing can be added before that is said (KIP-868). */
static enum err abort_transaction(struct controller *c)
{
    struct metadata_record *record;
    struct records records;

    if (!loader_in_transaction(c->loader)) return ERR_NONE;
    records_init(&records, &c->arena);
    record = records_add(&records, RECORD_ABORT_TRANSACTION);
    if (record == NULL) return records.error;
    record->abort_transaction.reason = STR("the controller that began it is gone");
    return controller_write(c, &records, CONTROLLER_ATOMIC);
}

static void activate(struct controller *c)
{
    enum err err = image_clone(&c->image, &c->loader->image);

    set_state(c, CONTROLLER_ACTIVE, false);
    c->written = -1;
    c->next_lease_check_ns = in_ms(c, lease_check_ms(c));
    c->next_no_op_ns = in_ms(c, c->config.max_idle_interval_ms);
    c->next_balance_ns = in_ms(c, c->config.balance_interval_ms);
    c->next_unclean_ns = in_ms(c, c->config.unclean_interval_ms);
    if (err == ERR_NONE) err = abort_transaction(c);
    if (err == ERR_NONE) err = cluster_control_activate(c);
    if (err == ERR_NONE) err = bootstrap(c);
    arena_reset(&c->arena);
    if (err != ERR_NONE && c->state == CONTROLLER_ACTIVE) controller_renounce(c, true);
}

static bool due(struct controller *c, int64_t *next_ns, int64_t every_ms)
{
    if (c->state != CONTROLLER_ACTIVE || *next_ns > c->env->loop.now_ns) return false;
    *next_ns = in_ms(c, every_ms);
    return true;
}

/* Work that nobody asked for. What fails for want of room is tried again when it is due again. */
static enum err tick_work(struct controller *c)
{
    struct records records;
    enum err err = ERR_NONE;

    if (due(c, &c->next_lease_check_ns, lease_check_ms(c))) {
        int64_t next_ns = cluster_control_next_expiry(c);

        err = cluster_control_check_leases(c);
        /* DIFFERS: Kafka looks eight times a session and no sooner. Who is dead is found out when
         * its lease ends; several that end at once still take their turns. */
        if (next_ns < c->next_lease_check_ns) c->next_lease_check_ns = next_ns;
    }
    if (err != ERR_NONE) return err;
    records_init(&records, &c->arena);
    if (due(c, &c->next_balance_ns, c->config.balance_interval_ms)) {
        replication_control_balance(c, &records);
        /* A pass has its bound; the rest does not wait for another interval. */
        if (records.count >= CONTROLLER_ELECTIONS_MAX) c->next_balance_ns = in_ms(c, 1);
    } else if (due(c, &c->next_unclean_ns, c->config.unclean_interval_ms)) {
        replication_control_unclean(c, &records);
        if (records.count >= CONTROLLER_ELECTIONS_MAX) c->next_unclean_ns = in_ms(c, 1);
    } else if (due(c, &c->next_no_op_ns, c->config.max_idle_interval_ms)) {
        /* Keeps offsets moving, so that brokers' lag can be measured. After an idle interval only:
         * any other record does as well. */
        (void)records_add(&records, RECORD_NO_OP);
    }
    return controller_write(c, &records, CONTROLLER_SPLIT);
}

static void tick(struct controller *c)
{
    enum err err = tick_work(c);

    arena_reset(&c->arena);
    if (err != ERR_NONE && c->state == CONTROLLER_ACTIVE)
        TRACE_TEXT(c->env->world, NODE_WARNING, STR("controller: periodic work is put off"), err);
}

static int64_t next_tick_ns(const struct controller *c)
{
    int64_t next_ns = c->next_lease_check_ns;

    if (c->next_no_op_ns < next_ns) next_ns = c->next_no_op_ns;
    if (c->next_balance_ns < next_ns) next_ns = c->next_balance_ns;
    if (c->next_unclean_ns < next_ns) next_ns = c->next_unclean_ns;
    return next_ns;
}

/* ---- the life of a controller ---------------------------------------------------------------- */

enum life_step { LIFE_START, LIFE_LEADING, LIFE_APPLIED, LIFE_TICK };
static const char *const life_steps[] = {"START", "LEADING", "APPLIED", "TICK"};

static bool applied_to_epoch_start(const struct controller *c)
{
    return loader_end(c->loader) >= c->quorum->ops->epoch_start(c->quorum);
}

static enum op_result life_run(struct op *op)
{
    struct controller *o = CONTAINER_OF(op, struct controller, op);

    switch ((enum life_step)op->step) {
    case LIFE_START:
        while (!o->stopping) {
            AWAIT(o, LIFE_LEADING, &o->wake, o->stopping || o->told_epoch > o->last_epoch);
            if (o->stopping) break;
            o->catching_epoch = o->told_epoch;
            set_state(o, CONTROLLER_CATCHING_UP, false);
            AWAIT(o, LIFE_APPLIED, &o->wake,
                  o->stopping || o->told_epoch != o->catching_epoch || applied_to_epoch_start(o));
            if (o->stopping || o->told_epoch != o->catching_epoch) {
                set_state(o, CONTROLLER_STANDBY, false);
                continue;
            }
            activate(o);
            while (o->state == CONTROLLER_ACTIVE) {
                op_deadline(op, next_tick_ns(o));
                AWAIT(o, LIFE_TICK, &o->wake, o->state != CONTROLLER_ACTIVE || op_expired(op));
                if (o->state != CONTROLLER_ACTIVE) break;
                tick(o);
            }
            op_deadline(op, OP_NO_DEADLINE);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of the controller");
}

static const struct op_kind life_kind = {"controller", life_steps, COUNT_OF(life_steps), life_run,
                                         NULL};

enum err controller_init(struct controller *c, struct env *env,
                         const struct controller_config *config, struct controller_quorum *quorum,
                         const struct loader *loader)
{
    uint64_t seed, hash_seed;

    if (config->session_timeout_ms < 1 || config->heartbeat_interval_ms < 1) return ERR_BAD_CONFIG;
    if (config->calls_max == 0 || config->limits.brokers_max == 0) return ERR_BAD_CONFIG;
    *c = (struct controller){.state = CONTROLLER_STANDBY,
                             .epoch = -1,
                             .written = -1,
                             .last_epoch = -1,
                             .config = *config,
                             .env = env,
                             .quorum = quorum,
                             .loader = loader};
    hash_seed = dice_seed(env->world, DICE_HASH);
    image_init(&c->image, &env->mem, &config->limits, hash_seed, false);
    arena_init(&c->arena, &env->mem, CONTROLLER_ARENA_MAX);
    seed = dice_seed(env->world, DICE_PLACEMENT);
    rng_init(&c->placement, seed);
    seed = dice_seed(env->world, DICE_IDENTITY);
    /* A stream of its own: the node draws other identities from the same concern. */
    rng_init(&c->identity, rng_stream(seed, 1, (uint64_t)config->node_id));
    /* One lease per broker of the image, and one for each that is about to register. */
    pool_init(&c->leases, &env->mem, sizeof(struct controller_lease),
              config->limits.brokers_max + 1);
    map_init(&c->lease_of, &env->mem, hash_seed, config->limits.brokers_max + 1);
    op_source_init(&c->wake);
    c->told_epoch = leading(c);
    op_start(&env->loop, &c->op, &life_kind, LIFE_START);
    return ERR_NONE;
}

void controller_stop(struct controller *c)
{
    c->stopping = true;
    if (c->state == CONTROLLER_ACTIVE) controller_renounce(c, false);
    op_wake(&c->wake);
}

void controller_deinit(struct controller *c)
{
    ASSERT(c->calls == 0);
    if (op_live(&c->op)) op_cancel(&c->op);
    cluster_control_renounce(c);
    image_deinit(&c->image);
    arena_deinit(&c->arena);
    map_deinit(&c->lease_of);
    pool_deinit(&c->leases);
}

void controller_quorum_changed(struct controller *c)
{
    c->told_epoch = leading(c);
    /* At once, not at the op's next turn: nothing may be decided on a lost image in between. */
    if (c->state == CONTROLLER_ACTIVE && c->told_epoch != c->epoch) controller_renounce(c, false);
    op_wake(&c->wake);
}

void controller_applied(struct controller *c)
{
    if (c->state == CONTROLLER_CATCHING_UP) op_wake(&c->wake);
}

/* ---- requests -------------------------------------------------------------------------------- */

enum call_step { CALL_START, CALL_COMMITTED };
static const char *const call_steps[] = {"START", "COMMITTED"};

static enum err decide(struct controller *c, struct controller_call *o)
{
    switch (o->api) {
    case CONTROLLER_BROKER_REGISTRATION:
        broker_registration_response_default(o->response.broker_registration);
        return cluster_control_register(c, o->request.broker_registration,
                                        o->response.broker_registration);
    case CONTROLLER_BROKER_HEARTBEAT:
        broker_heartbeat_response_default(o->response.broker_heartbeat);
        return cluster_control_heartbeat(c, o->request.broker_heartbeat,
                                         o->response.broker_heartbeat);
    case CONTROLLER_CREATE_TOPICS:
        create_topics_response_default(o->response.create_topics);
        return create_topics_decide(c, o->request.create_topics, o->response.create_topics,
                                    o->arena);
    case CONTROLLER_DELETE_TOPICS:
        delete_topics_response_default(o->response.delete_topics);
        return replication_control_delete(c, o->request.delete_topics, o->version,
                                          o->response.delete_topics, o->arena);
    case CONTROLLER_ALTER_PARTITION:
        alter_partition_response_default(o->response.alter_partition);
        return replication_control_alter(c, o->request.alter_partition, o->version,
                                         o->response.alter_partition, o->arena);
    case CONTROLLER_ASSIGN_DIRS:
        assign_replicas_to_dirs_response_default(o->response.assign_dirs);
        return assign_dirs_decide(c, o->request.assign_dirs, o->response.assign_dirs, o->arena);
    case CONTROLLER_ALLOCATE_PRODUCER_IDS:
        allocate_producer_ids_response_default(o->response.allocate_producer_ids);
        return producer_id_blocks_allocate(c, o->request.allocate_producer_ids,
                                           o->response.allocate_producer_ids);
    case CONTROLLER_INCREMENTAL_ALTER_CONFIGS:
        incremental_alter_configs_response_default(o->response.incremental_alter_configs);
        return config_control_incremental(c, o->request.incremental_alter_configs,
                                          o->response.incremental_alter_configs, o->arena);
    case CONTROLLER_ALTER_CONFIGS:
        alter_configs_response_default(o->response.alter_configs);
        return config_control_replace(c, o->request.alter_configs, o->response.alter_configs,
                                      o->arena);
    case CONTROLLER_CREATE_PARTITIONS:
        create_partitions_response_default(o->response.create_partitions);
        return create_partitions_decide(c, o->request.create_partitions,
                                        o->response.create_partitions, o->arena);
    case CONTROLLER_ALTER_REASSIGNMENTS:
        alter_partition_reassignments_response_default(o->response.alter_reassignments);
        return reassign_alter(c, o->request.alter_reassignments, o->response.alter_reassignments,
                              o->arena);
    case CONTROLLER_LIST_REASSIGNMENTS:
        list_partition_reassignments_response_default(o->response.list_reassignments);
        return reassign_list(c, o->request.list_reassignments, o->response.list_reassignments,
                             o->arena);
    case CONTROLLER_UNREGISTER_BROKER:
        unregister_broker_response_default(o->response.unregister_broker);
        return cluster_control_unregister(c, o->request.unregister_broker,
                                          o->response.unregister_broker);
    case CONTROLLER_ELECT_LEADERS:
        elect_leaders_response_default(o->response.elect_leaders);
        return elect_leaders_decide(c, o->request.elect_leaders, o->response.elect_leaders,
                                    o->arena);
    case CONTROLLER_UPDATE_FEATURES:
        update_features_response_default(o->response.update_features);
        return feature_control_update(c, o->request.update_features, o->version,
                                      o->response.update_features, o->arena);
    case CONTROLLER_CONTROLLER_REGISTRATION:
        controller_registration_response_default(o->response.controller_registration);
        return cluster_control_register_controller(c, o->request.controller_registration,
                                                   o->response.controller_registration);
    }
    IMPOSSIBLE("api");
}

/* Local conditions have no code on the wire. */
static enum err to_wire(enum err err)
{
    if (err_is_wire(err)) return err;
    if (err == ERR_TOO_LARGE) return ERR_POLICY_VIOLATION;
    return ERR_NOT_CONTROLLER; /* no room now: retriable, and nothing was decided */
}

static void call_finish(struct controller_call *o, enum err err)
{
    if (err != ERR_NONE) controller_answer_error(o, to_wire(err));
    o->result = to_wire(err);
    o->finished = true;
    ASSERT(o->controller->calls > 0);
    o->controller->calls--;
    op_wake(&o->done);
}

static enum err call_begin(struct controller_call *o)
{
    struct controller *c = o->controller;
    enum err err;

    /* `leading` too: the state may not have heard of it yet. */
    if (c->state != CONTROLLER_ACTIVE || leading(c) != c->epoch) return ERR_NOT_CONTROLLER;
    if (c->calls > c->config.calls_max) return ERR_TOO_MANY;
    err = decide(c, o);
    arena_reset(&c->arena);
    if (err != ERR_NONE) return err;
    o->epoch = c->epoch;
    o->required = c->written;
    return ERR_NONE;
}

/* `leading` too: what passed the high watermark since may be another leader's. */
static bool call_lost(const struct controller_call *o)
{
    return o->controller->epoch != o->epoch || leading(o->controller) != o->epoch;
}

static bool call_committed(const struct controller_call *o)
{
    struct controller_quorum *quorum = o->controller->quorum;

    return o->required < 0 || quorum->ops->high_watermark(quorum) > o->required;
}

static enum op_result call_run(struct op *op)
{
    struct controller_call *o = CONTAINER_OF(op, struct controller_call, op);

    switch ((enum call_step)op->step) {
    case CALL_START:
        o->result = call_begin(o);
        if (o->result != ERR_NONE) {
            call_finish(o, o->result);
            return OP_DONE;
        }
        AWAIT_KEY(o, CALL_COMMITTED, o->controller->quorum->hw_source, o->required,
                  o->controller->epoch != o->epoch || call_committed(o) || op_expired(op));
        if (call_lost(o))
            call_finish(o, ERR_NOT_CONTROLLER);
        else
            call_finish(o, call_committed(o) ? ERR_NONE : ERR_REQUEST_TIMED_OUT);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a call");
}

static const struct op_kind call_kind = {"controller_call", call_steps, COUNT_OF(call_steps),
                                         call_run, NULL};

void controller_submit(struct controller *c, struct controller_call *call)
{
    op_source_init(&call->done);
    call->finished = false;
    call->result = ERR_NONE;
    call->controller = c;
    call->epoch = -1;
    call->required = -1;
    c->calls++;
    op_start(&c->env->loop, &call->op, &call_kind, CALL_START);
    if (call->deadline_ns != OP_NO_DEADLINE) op_deadline(&call->op, call->deadline_ns);
}
