/* Lookup, creation and end of partitions; start and stop; the timers. */
#include "broker/replica/manager.h"

#include "broker/log/log_move.h"
#include "broker/replica/fetcher.h"
#include "broker/replica/manager_internal.h"
#include "broker/topic_config.h"
#include "client/base/text.h"

#include <string.h>

enum { OPS_PER_FETCHER = 4, OPS_OF_MANAGER = 6 + 12 * MANAGER_DIRS_MAX };

uint32_t manager_ops_max(const struct manager_limits *limits)
{
    return limits->partitions_max + OPS_PER_FETCHER * MANAGER_FETCHERS_MAX + OPS_OF_MANAGER;
}

static struct isr_broker find_broker(const struct isr_brokers *brokers, int32_t id)
{
    const struct manager *manager =
        (const struct manager *)(const void *)((const char *)brokers -
                                               offsetof(struct manager, brokers));
    const struct image_broker *broker = image_broker(manager->image, id);

    if (broker == NULL) return (struct isr_broker){-1, false};
    return (struct isr_broker){broker->epoch, !broker->fenced && !broker->in_controlled_shutdown};
}

enum err manager_init(struct manager *manager, struct env *env, const struct config *config,
                      struct manager_links *links, struct log_dir **dirs, uint32_t dirs_count,
                      const struct manager_limits *limits)
{
    uint64_t hash_seed = dice_seed(env->world, DICE_HASH);
    enum err err;

    ASSERT(dirs_count <= MANAGER_DIRS_MAX);
    *manager = (struct manager){.env = env,
                                .config = config,
                                .links = links,
                                .broker = (int32_t)config->node_id,
                                .dirs = dirs,
                                .dirs_count = dirs_count,
                                .limits = *limits,
                                .brokers = {find_broker}};
    manager->seed = dice_seed(env->world, DICE_TIMEOUTS);
    rng_init(&manager->rng, dice_seed(env->world, DICE_IDENTITY));
    quota_init(&manager->leader_quota);
    quota_init(&manager->follower_quota);
    list_init(&manager->partitions);
    list_init(&manager->leading);
    list_init(&manager->unfetched);
    list_init(&manager->altering);
    list_init(&manager->held);
    op_source_init(&manager->quota_source);
    op_source_init(&manager->state_source);
    op_source_init(&manager->closed_source);
    op_source_init(&manager->alter_source);
    op_source_init(&manager->timer_source);
    pool_init(&manager->partition_pool, &env->mem, sizeof(struct partition),
              limits->partitions_max);
    map_init(&manager->topics, &env->mem, hash_seed, limits->topics_max);
    map_init(&manager->topics_by_name, &env->mem, hash_seed, limits->topics_max);
    map_init(&manager->fetchers, &env->mem, hash_seed, MANAGER_FETCHERS_MAX);
    err = manager_move_init(manager);
    if (err == ERR_NONE) err = manager_alter_init(manager);
    return err == ERR_NONE ? manager_lost_init(manager) : err;
}

void manager_deinit(struct manager *manager)
{
    ASSERT(manager->partitions_count == 0);
    ASSERT(list_empty(&manager->partitions));
    manager_alter_deinit(manager);
    manager_lost_deinit(manager);
    manager_move_deinit(manager);
    map_deinit(&manager->fetchers);
    map_deinit(&manager->topics_by_name);
    map_deinit(&manager->topics);
    pool_deinit(&manager->partition_pool);
}

/* ---- lookup ---------------------------------------------------------------------------------- */

struct manager_topic *manager_topic(const struct manager *manager, struct uuid topic_id)
{
    struct map_node *node = map_find_uuid(&manager->topics, topic_id);

    return node != NULL ? MAP_ENTRY(node, struct manager_topic, by_id) : NULL;
}

static struct partition *hosted(const struct manager_topic *topic, int32_t index)
{
    if (topic == NULL || index < 0 || (uint32_t)index >= topic->room) return NULL;
    return topic->partitions[index];
}

static enum err absent(const struct image_topic *topic, int32_t index, enum err unknown)
{
    if (topic == NULL || topic->deleted) return unknown;
    return image_partition(topic, index) == NULL ? ERR_UNKNOWN_TOPIC_OR_PARTITION
                                                 : ERR_NOT_LEADER_OR_FOLLOWER;
}

enum err manager_find(const struct manager *manager, struct uuid topic_id, int32_t index,
                      struct partition **part)
{
    struct partition *found = hosted(manager_topic(manager, topic_id), index);

    if (manager->image == NULL) return ERR_UNKNOWN_TOPIC_ID;
    if (found == NULL) {
        return absent(image_topic_by_id(manager->image, topic_id), index, ERR_UNKNOWN_TOPIC_ID);
    }
    *part = found;
    return ERR_NONE;
}

enum err manager_find_by_name(const struct manager *manager, struct str name, int32_t index,
                              struct partition **part)
{
    struct map_node *node = map_find_str(&manager->topics_by_name, name);
    struct partition *found =
        hosted(node != NULL ? MAP_ENTRY(node, struct manager_topic, by_name) : NULL, index);

    if (manager->image == NULL) return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (found == NULL) {
        return absent(image_topic_by_name(manager->image, name), index,
                      ERR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    *part = found;
    return ERR_NONE;
}

void manager_leader(const struct manager *manager, struct uuid topic_id, int32_t index,
                    int32_t *leader, int32_t *leader_epoch)
{
    const struct image_topic *topic =
        manager->image != NULL ? image_topic_by_id(manager->image, topic_id) : NULL;
    const struct image_partition *part = topic != NULL ? image_partition(topic, index) : NULL;

    *leader = part != NULL ? part->leader : -1;
    *leader_epoch = part != NULL ? part->leader_epoch : -1;
}

/* ---- configuration --------------------------------------------------------------------------- */

static int64_t topic_number(const struct manager *manager, struct str topic, struct str key)
{
    return topic_config_number(manager->config, manager->image, topic, key);
}

int32_t manager_min_isr(const struct manager *manager, struct str topic)
{
    int64_t number = topic_number(manager, topic, STR("min.insync.replicas"));

    return number < 1 || number > INT32_MAX ? 1 : (int32_t)number;
}

static struct log_config topic_log_config(const struct manager *manager, struct str topic)
{
    struct log_config log = log_config_default();

    log.segment_bytes = (uint32_t)topic_number(manager, topic, STR("segment.bytes"));
    log.index_bytes = (uint32_t)topic_number(manager, topic, STR("segment.index.bytes"));
    log.index_interval_bytes = (uint32_t)topic_number(manager, topic, STR("index.interval.bytes"));
    log.max_message_bytes = (uint32_t)topic_number(manager, topic, STR("max.message.bytes"));
    log.segment_ms = topic_number(manager, topic, STR("segment.ms"));
    log.retention_ms = topic_number(manager, topic, STR("retention.ms"));
    log.retention_bytes = topic_number(manager, topic, STR("retention.bytes"));
    log.delete_delay_ms = topic_number(manager, topic, STR("file.delete.delay.ms"));
    log.timestamp_after_max_ms =
        topic_number(manager, topic, STR("message.timestamp.after.max.ms"));
    log.timestamp_before_max_ms =
        topic_number(manager, topic, STR("message.timestamp.before.max.ms"));
    log.log_append_time = topic_config_is(manager->config, manager->image, topic,
                                          STR("message.timestamp.type"), STR("LogAppendTime"));
    log.delete_retention_ms = topic_number(manager, topic, STR("delete.retention.ms"));
    log.min_compaction_lag_ms = topic_number(manager, topic, STR("min.compaction.lag.ms"));
    log.max_compaction_lag_ms = topic_number(manager, topic, STR("max.compaction.lag.ms"));
    log.min_cleanable_ratio = topic_number(manager, topic, STR("min.cleanable.dirty.ratio"));
    log.flush_messages = topic_number(manager, topic, STR("flush.messages"));
    log.flush_ms = topic_number(manager, topic, STR("flush.ms"));
    log.producer_expiration_ms = manager->config->producer_id_expiration_ms;
    log.producer_check_ms = manager->config->producer_id_expiration_check_interval_ms;
    log.gaps = !topic_config_is(manager->config, manager->image, topic, STR("cleanup.policy"),
                                STR("delete"));
    log.deletes = !topic_config_is(manager->config, manager->image, topic, STR("cleanup.policy"),
                                   STR("compact"));
    log.durable = manager->config->gregor_durable_acks != 0;
    /* Compaction leaves the active segment alone: it ends in time (storage.md 3). */
    if (log.gaps && log.max_compaction_lag_ms < log.segment_ms)
        log.segment_ms = log.max_compaction_lag_ms;
    return log;
}

const struct log_config *manager_log_config(const struct manager *manager,
                                            const struct partition *part)
{
    struct manager_topic *topic = part->owner;

    if (!topic->configured) {
        topic->config = topic_log_config(manager, topic->name);
        topic->configured = true;
    }
    return &topic->config;
}

/* ---- directories ----------------------------------------------------------------------------- */

static struct log_known *known_in(const struct log_dir *dir, const struct partition *part)
{
    char name[LOG_NAME_MAX + 1];
    struct text text;

    text_init(&text, name, sizeof name);
    text_format(&text, "%S-%d", part->topic_name, part->index);
    return log_dir_find(dir, text_view(&text));
}

static bool moved_here(const struct log_dir *dir, const struct partition *part)
{
    const struct log_known *known = known_in(dir, part);

    return known != NULL && uuid_equal(log_move_id(dir, known), part->topic_id);
}

/* Where its directory is; one that was on its way when the broker died and can be the only one; or
 * else the one with the fewest partitions, as in Kafka. False: it is in none that can be read. */
static bool choose_dir(const struct manager *manager, struct partition *part, uint8_t *dir)
{
    uint32_t best = MANAGER_DIRS_MAX;

    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        const struct log_known *known = known_in(manager->dirs[i], part);

        if (known == NULL || !known->listed) continue;
        *dir = (uint8_t)i;
        return true;
    }
    for (uint32_t i = 0; i < manager->dirs_count && manager->starting; i++) {
        if (manager->dirs_lossy || !log_dir_online(manager->dirs[i])) continue;
        if (!moved_here(manager->dirs[i], part)) continue;
        *dir = (uint8_t)i;
        part->take = true;
        return true;
    }
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (!log_dir_online(manager->dirs[i])) continue;
        if (best == MANAGER_DIRS_MAX || manager->dir_load[i] < manager->dir_load[best]) best = i;
    }
    *dir = (uint8_t)(best < MANAGER_DIRS_MAX ? best : 0);
    return false;
}

struct log_dir *manager_dir(const struct manager *manager, const struct partition *part)
{
    return manager->dirs[part->dir];
}

bool manager_name_free(const struct manager *manager, const struct partition *part)
{
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        const struct log_known *known = known_in(manager->dirs[i], part);

        if (known != NULL && known->log != NULL) return false;
    }
    return true;
}

void manager_name_freed(struct manager *manager)
{
    manager->closes++;
    op_wake(&manager->closed_source);
}

/* ---- topics and partitions ------------------------------------------------------------------- */

static void topic_free(struct manager *manager, struct manager_topic *topic)
{
    struct mem *mem = &manager->env->mem;

    if (topic->named) map_remove(&manager->topics_by_name, &topic->by_name);
    map_remove(&manager->topics, &topic->by_id);
    mem_free(mem, topic->partitions, topic->room * sizeof(struct partition *));
    mem_free(mem, topic, sizeof *topic + topic->name.length);
}

static void topic_drop(struct manager *manager, struct manager_topic *topic)
{
    if (topic->hosted == 0 && topic->dying == 0) topic_free(manager, topic);
}

void manager_topic_deleted(struct manager *manager, struct manager_topic *topic)
{
    if (topic->named) map_remove(&manager->topics_by_name, &topic->by_name);
    topic->named = false;
}

static enum err topic_create(struct manager *manager, struct uuid id, struct str name,
                             struct manager_topic **created)
{
    struct mem *mem = &manager->env->mem;
    struct manager_topic *topic = mem_zalloc(mem, sizeof *topic + name.length);
    enum err err;

    if (topic == NULL) return ERR_NO_MEMORY;
    memcpy(topic + 1, name.data, name.length);
    topic->id = id;
    topic->name = (struct str){(const char *)(topic + 1), name.length};
    err = map_add_uuid(&manager->topics, &topic->by_id, id);
    if (err != ERR_NONE) {
        mem_free(mem, topic, sizeof *topic + name.length);
        return err;
    }
    err = map_add_str(&manager->topics_by_name, &topic->by_name, topic->name);
    if (err != ERR_NONE) {
        topic_free(manager, topic);
        return err;
    }
    topic->named = true;
    *created = topic;
    return ERR_NONE;
}

static enum err topic_grow(struct manager *manager, struct manager_topic *topic, uint32_t wanted)
{
    struct mem *mem = &manager->env->mem;
    uint32_t room = topic->room > 0 ? topic->room : 4;
    struct partition **fresh;

    if (wanted <= topic->room) return ERR_NONE;
    while (room < wanted) {
        room *= 2;
    }
    if (room > MEM_MAX / sizeof *fresh) return ERR_TOO_MANY;
    fresh = mem_zalloc(mem, room * sizeof(struct partition *));
    if (fresh == NULL) return ERR_NO_MEMORY;
    if (topic->room > 0) {
        memcpy(fresh, topic->partitions, topic->room * sizeof(struct partition *));
    }
    mem_free(mem, topic->partitions, topic->room * sizeof(struct partition *));
    topic->partitions = fresh;
    topic->room = room;
    return ERR_NONE;
}

enum err manager_host(struct manager *manager, struct uuid topic_id, struct str name, int32_t index,
                      bool promised, struct partition **part)
{
    struct manager_topic *topic = manager_topic(manager, topic_id);
    struct partition *fresh;
    enum err err = ERR_NONE;
    bool there;

    *part = hosted(topic, index);
    if (*part != NULL) return ERR_NONE;
    if (topic == NULL) err = topic_create(manager, topic_id, name, &topic);
    if (err != ERR_NONE) return err;
    err = topic_grow(manager, topic, (uint32_t)index + 1);
    if (err == ERR_NONE && pool_in_use(&manager->partition_pool) == manager->limits.partitions_max)
        err = ERR_TOO_MANY;
    fresh = err == ERR_NONE ? pool_take(&manager->partition_pool) : NULL;
    if (fresh == NULL) {
        topic_drop(manager, topic);
        return err != ERR_NONE ? err : ERR_NO_MEMORY;
    }
    partition_init(fresh, manager, topic->name, topic_id, index,
                   manager_min_isr(manager, topic->name));
    fresh->owner = topic;
    manager_throttle(fresh);
    there = choose_dir(manager, fresh, &fresh->dir);
    manager->dir_load[fresh->dir]++;
    fresh->missing = manager->starting && manager->dirs_lossy && promised && !there;
    topic->partitions[index] = fresh;
    topic->hosted++;
    list_push(&manager->partitions, &fresh->link);
    manager->partitions_count++;
    if (manager->starting) {
        fresh->counted = true;
        manager->opening++;
    }
    partition_start(fresh);
    *part = fresh;
    return ERR_NONE;
}

void manager_unhost(struct manager *manager, struct partition *part)
{
    struct manager_topic *topic = part->owner;

    ASSERT(topic->partitions[part->index] == part);
    topic->partitions[part->index] = NULL;
    topic->hosted--;
    topic->dying++;
    partition_remove(part);
    (void)manager;
}

void manager_forget(struct partition *part)
{
    struct manager *manager = part->manager;
    struct manager_topic *topic = part->owner;

    if (part->removing) {
        topic->dying--;
    } else {
        topic->partitions[part->index] = NULL;
        topic->hosted--;
    }
    ASSERT(manager->dir_load[part->dir] > 0);
    manager->dir_load[part->dir]--;
    partition_deinit(part);
    list_remove(&part->link);
    manager->partitions_count--;
    pool_give(&manager->partition_pool, part);
    topic_drop(manager, topic);
    manager_check_stopped(manager);
}

/* ---- start ----------------------------------------------------------------------------------- */

void manager_opened(struct manager *manager, struct partition *part)
{
    if (part != NULL) {
        if (!part->counted) return;
        part->counted = false;
    }
    ASSERT(manager->opening > 0);
    manager->opening--;
    if (manager->opening > 0) return;
    manager->started = true;
    op_wake(&manager->state_source);
}

/* ---- timers ---------------------------------------------------------------------------------- */

enum expiry_step { EXPIRY_STARTED, EXPIRY_DUE, EXPIRY_SLICE };
static const char *const expiry_steps[] = {"STARTED", "DUE", "SLICE"};

/* From the head of the list to its tail: everybody once per round, whoever comes or goes. */
static void expire_slice(struct manager *manager)
{
    for (uint32_t i = 0; i < MANAGER_EXPIRY_SLICE && manager->expiry_left > 0; i++) {
        struct list *link = list_pop(&manager->leading);

        manager->expiry_left--;
        if (link == NULL) {
            manager->expiry_left = 0;
            return;
        }
        list_push(&manager->leading, link);
        partition_expire_isr(LIST_ENTRY(link, struct partition, leading));
    }
}

static enum op_result expiry_run(struct op *op)
{
    struct manager_op *o = CONTAINER_OF(op, struct manager_op, op);
    struct manager *manager = o->manager;

    switch ((enum expiry_step)op->step) {
    case EXPIRY_STARTED:
        while (!manager->stopping) {
            op_deadline(op,
                        env_deadline(manager->env, manager->config->replica_lag_time_max_ms / 2));
            AWAIT(o, EXPIRY_DUE, &manager->timer_source, op_expired(op) || manager->stopping);
            manager->expiry_left = manager->leading_count;
            expire_slice(manager);
            while (manager->expiry_left > 0 && !manager->stopping) {
                op_deadline(op, env_deadline(manager->env, 1));
                AWAIT(o, EXPIRY_SLICE, &manager->timer_source, op_expired(op) || manager->stopping);
                expire_slice(manager);
            }
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

enum checkpoint_step { CHECKPOINT_STARTED, CHECKPOINT_DUE };
static const char *const checkpoint_steps[] = {"STARTED", "DUE"};

static enum op_result checkpoint_run(struct op *op)
{
    struct manager_op *o = CONTAINER_OF(op, struct manager_op, op);
    struct manager *manager = o->manager;

    switch ((enum checkpoint_step)op->step) {
    case CHECKPOINT_STARTED:
        while (!manager->stopping) {
            op_deadline(
                op, env_deadline(manager->env,
                                 manager->config->replica_high_watermark_checkpoint_interval_ms));
            AWAIT(o, CHECKPOINT_DUE, &manager->timer_source, op_expired(op) || manager->stopping);
            if (manager->stopping) return OP_DONE;
            for (uint32_t i = 0; i < manager->dirs_count; i++) {
                if (log_dir_online(manager->dirs[i])) log_dir_checkpoint(manager->dirs[i]);
            }
            manager_retry_replicas(manager);
            manager_retry_fetchers(manager);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

enum guard_step { GUARD_STARTED, GUARD_FAILED };
static const char *const guard_steps[] = {"STARTED", "FAILED"};

static void dir_failed(struct manager *manager, const struct log_dir *dir)
{
    bool any = false;

    LIST_FOR_EACH (link, &manager->partitions) {
        struct partition *part = LIST_ENTRY(link, struct partition, link);

        if (manager_dir(manager, part) == dir) partition_go_offline(part);
    }
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        any = any || log_dir_online(manager->dirs[i]);
    }
    manager_move_wake(manager);
    if (manager->links->dir_failed != NULL) manager->links->dir_failed(manager->links);
    if (!any && manager->links->dirs_failed != NULL) manager->links->dirs_failed(manager->links);
}

static enum op_result guard_run(struct op *op)
{
    struct manager_op *o = CONTAINER_OF(op, struct manager_op, op);

    switch ((enum guard_step)op->step) {
    case GUARD_STARTED:
        AWAIT(o, GUARD_FAILED, &o->dir->state_source,
              o->dir->state == LOG_DIR_OFFLINE || o->manager->stopping);
        if (o->dir->state == LOG_DIR_OFFLINE) dir_failed(o->manager, o->dir);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void flow_finish(struct op *op)
{
    manager_check_stopped(CONTAINER_OF(op, struct manager_op, op)->manager);
}

static const struct op_kind expiry_kind = {"manager.expiry", expiry_steps, COUNT_OF(expiry_steps),
                                           expiry_run, flow_finish};
static const struct op_kind checkpoint_kind = {"manager.checkpoint", checkpoint_steps,
                                               COUNT_OF(checkpoint_steps), checkpoint_run,
                                               flow_finish};
static const struct op_kind guard_kind = {"manager.guard", guard_steps, COUNT_OF(guard_steps),
                                          guard_run, flow_finish};

static void start_flow(struct manager *manager, struct manager_op *flow, struct log_dir *dir,
                       const struct op_kind *kind)
{
    flow->manager = manager;
    flow->dir = dir;
    op_start(&manager->env->loop, &flow->op, kind, 0);
}

void manager_timers_start(struct manager *manager)
{
    start_flow(manager, &manager->expiry, NULL, &expiry_kind);
    start_flow(manager, &manager->checkpoint, NULL, &checkpoint_kind);
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        start_flow(manager, &manager->guards[i], manager->dirs[i], &guard_kind);
    }
    manager_retain_start(manager);
    manager_move_start(manager);
    manager_clean_start(manager);
    manager_scrub_start(manager);
    manager_quota_start(manager);
}

/* ---- stop ------------------------------------------------------------------------------------ */

void manager_fetcher_ended(struct manager *manager)
{
    if (!manager->stopping) manager_retry_fetchers(manager);
    manager_check_stopped(manager);
}

static bool flows_ended(const struct manager *manager)
{
    if (op_live(&manager->expiry.op) || op_live(&manager->checkpoint.op) ||
        op_live(&manager->strays.op)) {
        return false;
    }
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (op_live(&manager->guards[i].op)) return false;
    }
    return manager_move_ended(manager) && manager_retain_ended(manager) &&
           manager_clean_ended(manager) && manager_scrub_ended(manager) &&
           manager_quota_ended(manager);
}

void manager_check_stopped(struct manager *manager)
{
    if (!manager->stopping || manager->stopped) return;
    if (manager->partitions_count > 0 || !fetcher_all_ended(manager) || !flows_ended(manager) ||
        !manager_alter_ended(manager) || !manager_lost_ended(manager)) {
        return;
    }
    manager->stopped = true;
    op_wake(&manager->state_source);
}

void manager_stop(struct manager *manager)
{
    if (manager->stopping) return;
    manager->stopping = true;
    op_wake(&manager->timer_source);
    for (uint32_t i = 0; i < manager->dirs_count; i++) {
        if (op_live(&manager->guards[i].op)) op_resume(&manager->guards[i].op);
    }
    manager_move_wake(manager);
    manager_retain_stop(manager);
    manager_clean_stop(manager);
    manager_scrub_stop(manager);
    manager_quota_stop(manager);
    manager_alter_stop(manager);
    manager_lost_stop(manager);
    LIST_FOR_EACH (link, &manager->partitions) {
        partition_stop(LIST_ENTRY(link, struct partition, link));
    }
    manager_check_stopped(manager);
}
