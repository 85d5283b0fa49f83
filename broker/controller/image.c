#include "broker/controller/image.h"

#include "broker/controller/image_parts.h"
#include "client/base/hash128.h"

#include <string.h>

void image_init(struct image *image, struct mem *mem, const struct image_limits *limits,
                uint64_t seed, bool tracks_changes)
{
    uint32_t resources_max = limits->topics_max + limits->brokers_max + 1;

    *image = (struct image){.last_offset = -1,
                            .last_epoch = -1,
                            .mem = mem,
                            .limits = *limits,
                            .tracks_changes = tracks_changes};
    map_init(&image->brokers, mem, seed, limits->brokers_max);
    map_init(&image->topics_by_id, mem, seed + 1, limits->topics_max);
    map_init(&image->topics_by_name, mem, seed + 2, limits->topics_max);
    map_init(&image->resources, mem, seed + 3, resources_max);
    map_init(&image->controllers, mem, seed + 4, IMAGE_CONTROLLERS_MAX);
    list_init(&image->changed_topics);
    list_init(&image->deleted_topics);
    list_init(&image->changed_brokers);
    list_init(&image->removed_brokers);
    list_init(&image->changed_resources);
}

/* ---- ids ------------------------------------------------------------------------------------- */

bool image_ids_contain(struct image_ids ids, int32_t id)
{
    for (uint32_t i = 0; i < ids.count; i++)
        if (ids.ids[i] == id) return true;
    return false;
}

bool image_ids_equal(struct image_ids a, struct image_ids b)
{
    if (a.count != b.count) return false;
    return a.count == 0 || memcmp(a.ids, b.ids, a.count * sizeof(int32_t)) == 0;
}

/* ---- hashes ---------------------------------------------------------------------------------- */

enum image_salt {
    SALT_BROKER = 1,
    SALT_TOPIC,
    SALT_PARTITION,
    SALT_CONFIG,
    SALT_FEATURE,
    SALT_CONTROLLER,
    SALT_PRODUCER_IDS
};

static void add_str(struct hash128 *hash, struct str text)
{
    hash128_add_u64(hash, text.data == NULL);
    hash128_add_bytes(hash, text.data != NULL ? text.data : "", text.length);
}

static void add_i64(struct hash128 *hash, int64_t value)
{
    hash128_add_u64(hash, (uint64_t)value);
}

static void add_endpoints(struct hash128 *hash, const struct image_endpoint *endpoints,
                          uint32_t count)
{
    hash128_add_u64(hash, count);
    for (uint32_t i = 0; i < count; i++) {
        add_str(hash, endpoints[i].name);
        add_str(hash, endpoints[i].host);
        hash128_add_u64(hash, endpoints[i].port);
        add_i64(hash, endpoints[i].security_protocol);
    }
}

static void add_features(struct hash128 *hash, const struct image_feature *features, uint32_t count)
{
    hash128_add_u64(hash, count);
    for (uint32_t i = 0; i < count; i++) {
        add_str(hash, features[i].name);
        add_i64(hash, features[i].min);
        add_i64(hash, features[i].max);
    }
}

static uint64_t finish_hash(const struct hash128 *hash)
{
    struct hash128_value value = hash128_final(hash);

    return value.high ^ value.low;
}

uint64_t image_broker_hash(const struct image_broker *broker)
{
    struct hash128 hash;

    hash128_init(&hash, SALT_BROKER);
    add_i64(&hash, broker->id);
    add_i64(&hash, broker->epoch);
    add_i64(&hash, broker->kept_epoch);
    hash128_add_bytes(&hash, broker->incarnation.bytes, sizeof(broker->incarnation.bytes));
    hash128_add_u64(&hash, broker->fenced);
    hash128_add_u64(&hash, broker->in_controlled_shutdown);
    add_str(&hash, broker->rack);
    add_endpoints(&hash, broker->endpoints, broker->endpoints_count);
    add_features(&hash, broker->features, broker->features_count);
    hash128_add_u64(&hash, broker->log_dirs_count);
    for (uint32_t i = 0; i < broker->log_dirs_count; i++)
        hash128_add_bytes(&hash, broker->log_dirs[i].bytes, sizeof(broker->log_dirs[i].bytes));
    return finish_hash(&hash);
}

uint64_t image_controller_hash(const struct image_controller *controller)
{
    struct hash128 hash;

    hash128_init(&hash, SALT_CONTROLLER);
    add_i64(&hash, controller->id);
    hash128_add_bytes(&hash, controller->incarnation.bytes, sizeof(controller->incarnation.bytes));
    add_endpoints(&hash, controller->endpoints, controller->endpoints_count);
    add_features(&hash, controller->features, controller->features_count);
    return finish_hash(&hash);
}

uint64_t image_topic_hash(const struct image_topic *topic)
{
    struct hash128 hash;

    hash128_init(&hash, SALT_TOPIC);
    hash128_add_bytes(&hash, topic->id.bytes, sizeof(topic->id.bytes));
    add_str(&hash, topic->name);
    return finish_hash(&hash);
}

uint64_t image_partition_hash(struct uuid topic, uint32_t index, const struct image_partition *part)
{
    struct hash128 hash;
    uint32_t total = image_partition_ids_count(part);

    hash128_init(&hash, SALT_PARTITION);
    hash128_add_bytes(&hash, topic.bytes, sizeof(topic.bytes));
    hash128_add_u64(&hash, index);
    add_i64(&hash, part->leader);
    add_i64(&hash, part->leader_epoch);
    add_i64(&hash, part->partition_epoch);
    hash128_add_u64(&hash, part->recovery);
    hash128_add_u64(&hash, (uint64_t)part->replicas_count << 40 | (uint64_t)part->isr_count << 32 |
                               (uint64_t)part->removing_count << 24 |
                               (uint64_t)part->adding_count << 16 | (uint64_t)part->elr_count << 8 |
                               part->last_known_elr_count);
    for (uint32_t i = 0; i < total; i++)
        add_i64(&hash, part->ids[i]);
    return finish_hash(&hash);
}

uint64_t image_config_hash(int8_t type, struct str name, struct str key, struct str value)
{
    struct hash128 hash;

    hash128_init(&hash, SALT_CONFIG);
    add_i64(&hash, type);
    add_str(&hash, name);
    add_str(&hash, key);
    add_str(&hash, value);
    return finish_hash(&hash);
}

/* Features (in the order of their names' first setting: the same everywhere) and producer ids. */
uint64_t image_cluster_hash(const struct image *image)
{
    uint64_t sum = 0;
    struct hash128 hash;

    for (uint32_t i = 0; i < image->features_count; i++) {
        hash128_init(&hash, SALT_FEATURE);
        add_features(&hash, &image->features[i], 1);
        sum += finish_hash(&hash);
    }
    if (image->next_producer_id > 0) {
        hash128_init(&hash, SALT_PRODUCER_IDS);
        add_i64(&hash, image->next_producer_id);
        sum += finish_hash(&hash);
    }
    return sum;
}

/* ---- derived counts -------------------------------------------------------------------------- */

uint32_t image_partition_ids_count(const struct image_partition *part)
{
    return (uint32_t)part->replicas_count + part->isr_count + part->removing_count +
           part->adding_count + part->elr_count + part->last_known_elr_count;
}

void image_count(struct image *image, const struct image_partition *part, bool add)
{
    uint32_t one = add ? 1 : UINT32_MAX; /* minus one */
    struct image_ids isr = image_isr(part);
    struct image_broker *broker;

    if (part->leader >= 0 && (broker = image_broker(image, part->leader)) != NULL)
        broker->leader_count += one;
    for (uint32_t i = 0; i < isr.count; i++)
        if ((broker = image_broker(image, isr.ids[i])) != NULL) broker->isr_count += one;
}

void image_recount(const struct image *image, int32_t id, uint32_t *leader_count,
                   uint32_t *isr_count)
{
    *leader_count = 0;
    *isr_count = 0;
    MAP_FOR_EACH (node, &image->topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            const struct image_partition *part = &topic->partitions[i];

            *leader_count += part->leader == id;
            *isr_count += image_ids_contain(image_isr(part), id);
        }
    }
}

/* ---- freeing --------------------------------------------------------------------------------- */

void image_topic_free(struct image *image, struct image_topic *topic)
{
    for (uint32_t i = 0; i < topic->partitions_count; i++)
        mem_free(image->mem, topic->partitions[i].ids,
                 image_partition_ids_count(&topic->partitions[i]) * sizeof(int32_t));
    mem_free(image->mem, topic->partitions,
             topic->partitions_capacity * sizeof(struct image_partition));
    mem_free(image->mem, topic, sizeof(*topic) + topic->name.length);
}

void image_broker_free(struct image *image, struct image_broker *broker)
{
    mem_free(image->mem, broker->block, broker->block_size);
    mem_free(image->mem, broker->log_dirs, broker->log_dirs_count * sizeof(struct uuid));
    mem_free(image->mem, broker, sizeof(*broker));
}

void image_config_free(struct image *image, struct image_resource *resource,
                       struct image_config *config)
{
    image->digest -= config->hash;
    resource->configs_count--;
    list_remove(&config->link);
    mem_free(image->mem, config, config->block_size);
}

void image_resource_free(struct image *image, struct image_resource *resource)
{
    ASSERT(resource->configs_count == 0);
    list_remove(&resource->changed);
    map_remove(&image->resources, &resource->node);
    mem_free(image->mem, resource, resource->block_size);
}

void image_mark(struct image *image)
{
    struct list *link;

    while ((link = list_pop(&image->changed_topics)) != NULL) {
        struct image_topic *topic = LIST_ENTRY(link, struct image_topic, changed);

        for (uint32_t i = topic->changed_first; i < topic->changed_end; i++)
            topic->partitions[i].changed = false;
        topic->created = false;
        topic->changed_first = topic->changed_end = 0;
    }
    while ((link = list_pop(&image->deleted_topics)) != NULL)
        image_topic_free(image, LIST_ENTRY(link, struct image_topic, changed));
    while (list_pop(&image->changed_brokers) != NULL)
        continue;
    while ((link = list_pop(&image->removed_brokers)) != NULL)
        image_broker_free(image, LIST_ENTRY(link, struct image_broker, changed));
    while ((link = list_pop(&image->changed_resources)) != NULL) {
        struct image_resource *resource = LIST_ENTRY(link, struct image_resource, changed);

        if (resource->configs_count == 0) image_resource_free(image, resource);
    }
    image->features_changed = false;
}

void image_clear(struct image *image)
{
    image_mark(image);
    MAP_FOR_EACH_SAFE (node, after, &image->topics_by_id) {
        struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        map_remove(&image->topics_by_id, &topic->by_id);
        map_remove(&image->topics_by_name, &topic->by_name);
        image_topic_free(image, topic);
    }
    MAP_FOR_EACH_SAFE (broker, after_broker, &image->brokers) {
        map_remove(&image->brokers, broker);
        image_broker_free(image, MAP_ENTRY(broker, struct image_broker, node));
    }
    MAP_FOR_EACH_SAFE (controller, after_controller, &image->controllers) {
        struct image_controller *gone = MAP_ENTRY(controller, struct image_controller, node);

        map_remove(&image->controllers, controller);
        mem_free(image->mem, gone->block, gone->block_size);
        mem_free(image->mem, gone, sizeof(*gone));
    }
    MAP_FOR_EACH_SAFE (node, after_node, &image->resources) {
        struct image_resource *resource = MAP_ENTRY(node, struct image_resource, node);

        LIST_FOR_EACH_SAFE (link, after_link, &resource->configs)
            image_config_free(image, resource, LIST_ENTRY(link, struct image_config, link));
        image_resource_free(image, resource);
    }
    for (uint32_t i = 0; i < image->features_count; i++)
        image_text_free(image, image->features[i].name);
    image->features_count = 0;
    image->partitions_count = 0;
    image->next_producer_id = 0;
    image->features_hash = 0;
    image->digest = 0;
    image->last_offset = -1;
    image->last_epoch = -1;
}

void image_deinit(struct image *image)
{
    image_clear(image);
    map_deinit(&image->brokers);
    map_deinit(&image->topics_by_id);
    map_deinit(&image->topics_by_name);
    map_deinit(&image->resources);
    map_deinit(&image->controllers);
}

/* ---- looking --------------------------------------------------------------------------------- */

struct image_broker *image_broker(const struct image *image, int32_t id)
{
    struct map_node *node = map_find_u64(&image->brokers, (uint32_t)id);

    return node != NULL ? MAP_ENTRY(node, struct image_broker, node) : NULL;
}

struct image_topic *image_topic_by_id(const struct image *image, struct uuid id)
{
    struct map_node *node = map_find_uuid(&image->topics_by_id, id);

    return node != NULL ? MAP_ENTRY(node, struct image_topic, by_id) : NULL;
}

struct image_topic *image_topic_by_name(const struct image *image, struct str name)
{
    struct map_node *node;

    if (name.data == NULL) return NULL;
    node = map_find_str(&image->topics_by_name, name);
    return node != NULL ? MAP_ENTRY(node, struct image_topic, by_name) : NULL;
}

struct image_partition *image_partition(const struct image_topic *topic, int32_t index)
{
    if (index < 0 || (uint32_t)index >= topic->partitions_count) return NULL;
    return &topic->partitions[index];
}

bool image_broker_active(const struct image *image, int32_t id)
{
    const struct image_broker *broker = image_broker(image, id);

    return broker != NULL && !broker->fenced && !broker->in_controlled_shutdown;
}

struct image_resource *image_resource(const struct image *image, int8_t type, struct str name)
{
    char key[1 + IMAGE_NAME_MAX];
    struct map_node *node;

    if (name.length > IMAGE_NAME_MAX) return NULL;
    key[0] = (char)type;
    if (name.length > 0) memcpy(key + 1, name.data, name.length);
    node = map_find_str(&image->resources, (struct str){key, name.length + 1});
    return node != NULL ? MAP_ENTRY(node, struct image_resource, node) : NULL;
}

struct image_config *image_config_find(const struct image_resource *resource, struct str key)
{
    LIST_FOR_EACH (link, &resource->configs) {
        struct image_config *config = LIST_ENTRY(link, struct image_config, link);

        if (str_equal(config->key, key)) return config;
    }
    return NULL;
}

struct str image_config_value(const struct image *image, int8_t type, struct str name,
                              struct str key)
{
    const struct image_resource *resource = image_resource(image, type, name);
    const struct image_config *config;

    if (resource == NULL) return STR_NULL;
    config = image_config_find(resource, key);
    return config != NULL ? config->value : STR_NULL;
}

int16_t image_feature_level(const struct image *image, struct str name)
{
    for (uint32_t i = 0; i < image->features_count; i++)
        if (str_equal(image->features[i].name, name)) return image->features[i].max;
    return 0;
}

bool image_has_changes(const struct image *image)
{
    return image->features_changed || !list_empty(&image->changed_topics) ||
           !list_empty(&image->deleted_topics) || !list_empty(&image->changed_brokers) ||
           !list_empty(&image->removed_brokers) || !list_empty(&image->changed_resources);
}

int32_t image_next_changed(const struct image_topic *topic, uint32_t from)
{
    for (uint32_t i = from < topic->changed_first ? topic->changed_first : from;
         i < topic->changed_end; i++)
        if (topic->partitions[i].changed) return (int32_t)i;
    return -1;
}

/* ---- checking -------------------------------------------------------------------------------- */

static uint64_t image_topic_check(const struct image_topic *topic)
{
    uint64_t digest = image_topic_hash(topic);

    ASSERT(topic->hash == digest);
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        const struct image_partition *part = &topic->partitions[i];
        uint64_t hash = image_partition_hash(topic->id, i, part);

        ASSERT(hash == part->hash);
        ASSERT(part->leader == IMAGE_NO_LEADER ||
               image_ids_contain(image_isr(part), part->leader)); /* R12 */
        if (part->changed) ASSERT(i >= topic->changed_first && i < topic->changed_end);
        digest += hash;
    }
    return digest;
}

void image_check(const struct image *image)
{
    uint64_t digest = image_cluster_hash(image);
    uint32_t partitions = 0;

    ASSERT(image->features_hash == digest);
    MAP_FOR_EACH (node, &image->topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        ASSERT(image_topic_by_name(image, topic->name) == topic);
        digest += image_topic_check(topic);
        partitions += topic->partitions_count;
    }
    ASSERT(partitions == image->partitions_count);
    MAP_FOR_EACH (node, &image->brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);
        uint32_t leader_count, isr_count;

        ASSERT(broker->hash == image_broker_hash(broker));
        image_recount(image, broker->id, &leader_count, &isr_count);
        ASSERT(leader_count == broker->leader_count);
        ASSERT(isr_count == broker->isr_count);
        digest += broker->hash;
    }
    MAP_FOR_EACH (node, &image->controllers)
        digest += image_controller_hash(MAP_ENTRY(node, struct image_controller, node));
    MAP_FOR_EACH (node, &image->resources) {
        const struct image_resource *resource = MAP_ENTRY(node, struct image_resource, node);

        LIST_FOR_EACH (link, &resource->configs) {
            const struct image_config *config = LIST_ENTRY(link, struct image_config, link);

            digest += image_config_hash(resource->type, resource->name, config->key, config->value);
        }
    }
    ASSERT(digest == image->digest);
}
