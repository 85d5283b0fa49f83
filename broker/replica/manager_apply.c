/* The committed metadata -> the replicas of this broker (replication.md 11). One delta may coalesce
 * many records: a topic deleted and made again under another id, a leader that went and came back.
 * Order: delete, lead, follow. */
#include "broker/replica/fetcher.h"
#include "broker/replica/manager_internal.h"
#include "client/base/text.h"

enum pass { PASS_LEAVE, PASS_LEAD, PASS_FOLLOW };

static void warn(struct manager *manager, const struct image_topic *topic, enum err err)
{
    if (err == ERR_NONE) return;
    manager->refused = manager->refused || err == ERR_NO_MEMORY;
    TRACE_TEXT(manager->env->world, NODE_ERROR, topic->name, (int64_t)err);
}

bool manager_assigned(const struct manager *manager, struct str name, int32_t index)
{
    const struct image_topic *topic = image_topic_by_name(manager->image, name);
    const struct image_partition *part = topic != NULL ? image_partition(topic, index) : NULL;

    return part != NULL && image_ids_contain(image_replicas(part), manager->broker);
}

static bool is_hosted(const struct manager *manager, struct uuid topic_id, int32_t index,
                      struct partition **part)
{
    const struct manager_topic *topic = manager_topic(manager, topic_id);

    if (topic == NULL || (uint32_t)index >= topic->room) return false;
    *part = topic->partitions[index];
    return *part != NULL;
}

static enum err take(struct manager *manager, const struct image_topic *topic, int32_t index,
                     const struct image_partition *record)
{
    struct image_ids replicas = image_replicas(record);
    struct image_ids isr = image_isr(record);
    struct partition_state state = {.leader = record->leader,
                                    .leader_epoch = record->leader_epoch,
                                    .partition_epoch = record->partition_epoch,
                                    .replicas = replicas.ids,
                                    .replicas_count = replicas.count,
                                    .isr = isr.ids,
                                    .isr_count = isr.count,
                                    .eligible =
                                        image_ids_contain(image_elr(record), manager->broker)};
    struct partition *part;
    bool promised = image_ids_contain(isr, manager->broker);
    enum err err = manager_host(manager, topic->id, topic->name, index, promised, &part);

    return err == ERR_NONE ? partition_apply(part, &state) : err;
}

static void apply_one(struct manager *manager, const struct image_topic *topic, int32_t index,
                      enum pass pass)
{
    const struct image_partition *record = image_partition(topic, index);
    bool ours = image_ids_contain(image_replicas(record), manager->broker);
    bool leads = ours && record->leader == manager->broker;
    struct partition *part;

    switch (pass) {
    case PASS_LEAVE:
        if (!ours && is_hosted(manager, topic->id, index, &part)) manager_unhost(manager, part);
        return;
    case PASS_LEAD:
        if (leads) warn(manager, topic, take(manager, topic, index, record));
        return;
    case PASS_FOLLOW:
        if (ours && !leads) warn(manager, topic, take(manager, topic, index, record));
        return;
    }
}

static void apply_deleted(struct manager *manager)
{
    LIST_FOR_EACH (link, &manager->image->deleted_topics) {
        const struct image_topic *deleted = LIST_ENTRY(link, struct image_topic, changed);
        struct manager_topic *topic = manager_topic(manager, deleted->id);

        if (topic == NULL) continue;
        manager_topic_deleted(manager, topic);
        for (uint32_t i = 0; i < topic->room; i++) {
            if (topic->partitions[i] != NULL) manager_unhost(manager, topic->partitions[i]);
        }
    }
}

static void apply_changed(struct manager *manager, enum pass pass)
{
    LIST_FOR_EACH (link, &manager->image->changed_topics) {
        const struct image_topic *topic = LIST_ENTRY(link, struct image_topic, changed);

        for (int32_t i = image_next_changed(topic, 0); i >= 0;
             i = image_next_changed(topic, (uint32_t)i + 1)) {
            apply_one(manager, topic, i, pass);
        }
    }
}

static void configure(struct manager *manager, struct manager_topic *topic)
{
    int32_t min_isr = manager_min_isr(manager, topic->name);

    topic->configured = false;
    for (uint32_t i = 0; i < topic->room; i++) {
        struct partition *part = topic->partitions[i];
        bool throttled;

        if (part == NULL) continue;
        throttled = part->throttled_leading;
        part->min_isr = min_isr;
        manager_throttle(part);
        if (throttled) partition_wake_readers(part); /* perhaps there is no limit any more */
        if (part->log != NULL) part->log->config = manager_log_config(manager, part);
        partition_advance(part);
    }
}

static bool concerns(const struct manager *manager, struct str broker)
{
    int64_t id;

    return broker.length == 0 || (text_parse_i64(broker, &id) && id == manager->broker);
}

static void apply_configs(struct manager *manager)
{
    LIST_FOR_EACH (link, &manager->image->changed_resources) {
        const struct image_resource *resource = LIST_ENTRY(link, struct image_resource, changed);
        struct map_node *node;

        if (resource->type == IMAGE_RESOURCE_TOPIC) {
            node = map_find_str(&manager->topics_by_name, resource->name);
            if (node != NULL) configure(manager, MAP_ENTRY(node, struct manager_topic, by_name));
        } else if (resource->type == IMAGE_RESOURCE_BROKER && concerns(manager, resource->name)) {
            manager_quotas(manager);
            /* The default of all brokers, or ours: rare, and it concerns every topic. */
            MAP_FOR_EACH (each, &manager->topics) {
                configure(manager, MAP_ENTRY(each, struct manager_topic, by_id));
            }
        }
    }
}

static void apply_brokers(struct manager *manager)
{
    LIST_FOR_EACH (link, &manager->image->changed_brokers) {
        fetcher_leader_moved(manager, LIST_ENTRY(link, struct image_broker, changed)->id);
    }
    if (list_empty(&manager->image->changed_brokers)) return;
    manager_retry_fetchers(manager);
    /* The log start of a replica counts while its broker is active (KIP-107). */
    LIST_FOR_EACH (link, &manager->leading) {
        op_wake(&LIST_ENTRY(link, struct partition, leading)->start_source);
    }
}

/* Those that are not here yet, or have not heard the newest of themselves. */
static void host_all(struct manager *manager)
{
    manager->refused = false;
    MAP_FOR_EACH (node, &manager->image->topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        if (topic->deleted) continue;
        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            struct partition *part;

            if (is_hosted(manager, topic->id, (int32_t)i, &part) &&
                part->partition_epoch >= topic->partitions[i].partition_epoch)
                continue;
            apply_one(manager, topic, (int32_t)i, PASS_LEAD);
            apply_one(manager, topic, (int32_t)i, PASS_FOLLOW);
        }
    }
}

void manager_retry_replicas(struct manager *manager)
{
    if (manager->refused && manager->start_err == ERR_NONE) host_all(manager);
}

void manager_retry_fetchers(struct manager *manager)
{
    struct list again;

    list_init(&again);
    list_splice(&again, &manager->unfetched);
    for (struct list *link = list_pop(&again); link != NULL; link = list_pop(&again)) {
        fetcher_add(manager, LIST_ENTRY(link, struct partition, fetch_link));
    }
}

void manager_apply(struct manager *manager)
{
    if (manager->image == NULL || manager->stopping || manager->start_err != ERR_NONE) return;
    apply_brokers(manager);
    apply_deleted(manager);
    apply_changed(manager, PASS_LEAVE);
    apply_changed(manager, PASS_LEAD);
    apply_changed(manager, PASS_FOLLOW);
    apply_configs(manager);
}

enum err manager_start(struct manager *manager, const struct image *image)
{
    ASSERT(manager->image == NULL);
    manager->image = image;
    manager_quotas(manager);
    manager->starting = true;
    host_all(manager);
    manager->starting = false;
    manager->start_err = manager->refused ? ERR_NO_MEMORY : ERR_NONE;
    manager_stray_start(manager);
    manager_timers_start(manager);
    manager_alter_start(manager);
    manager_lost_start(manager);
    return manager->start_err;
}
