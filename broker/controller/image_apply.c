/* One record onto an image. Every function does all its failing before its first change, so a
 * refused record leaves the image as it was. Rules of partitions: R12, R14, R36. */
#include "broker/controller/image.h"
#include "broker/controller/image_parts.h"

#include <string.h>

/* ---- topics and partitions ------------------------------------------------------------------- */

static enum err apply_topic(struct image *image, const struct topic_record *record)
{
    struct image_topic *topic;
    char *text;
    enum err err;

    if (record->name.length == 0 || record->name.length > IMAGE_NAME_MAX) return ERR_MALFORMED;
    if (uuid_is_zero(record->topic_id)) return ERR_MALFORMED;
    if (image_topic_by_id(image, record->topic_id) != NULL) return ERR_MALFORMED;
    if (image_topic_by_name(image, record->name) != NULL) return ERR_MALFORMED;
    topic = mem_zalloc(image->mem, sizeof(*topic) + record->name.length);
    if (topic == NULL) return ERR_NO_MEMORY;
    text = (char *)(topic + 1);
    memcpy(text, record->name.data, record->name.length);
    topic->id = record->topic_id;
    topic->name = (struct str){text, record->name.length};
    list_init(&topic->changed);
    err = map_add_uuid(&image->topics_by_id, &topic->by_id, topic->id);
    if (err == ERR_NONE) {
        err = map_add_str(&image->topics_by_name, &topic->by_name, topic->name);
        if (err != ERR_NONE) map_remove(&image->topics_by_id, &topic->by_id);
    }
    if (err != ERR_NONE) {
        mem_free(image->mem, topic, sizeof(*topic) + topic->name.length);
        return err;
    }
    topic->hash = image_topic_hash(topic);
    image->digest += topic->hash;
    if (image->tracks_changes) {
        topic->created = true;
        list_push(&image->changed_topics, &topic->changed);
    }
    return ERR_NONE;
}

static void remove_resource(struct image *image, int8_t type, struct str name)
{
    struct image_resource *resource = image_resource(image, type, name);

    if (resource == NULL) return;
    LIST_FOR_EACH_SAFE (link, after, &resource->configs)
        image_config_free(image, resource, LIST_ENTRY(link, struct image_config, link));
    if (!image->tracks_changes)
        image_resource_free(image, resource);
    else if (!list_linked(&resource->changed))
        list_push(&image->changed_resources, &resource->changed);
}

static enum err apply_remove_topic(struct image *image, const struct remove_topic_record *record)
{
    struct image_topic *topic = image_topic_by_id(image, record->topic_id);

    if (topic == NULL) return ERR_MALFORMED;
    image->digest -= topic->hash;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        image->digest -= topic->partitions[i].hash;
        image_count(image, &topic->partitions[i], false);
    }
    image->partitions_count -= topic->partitions_count;
    map_remove(&image->topics_by_id, &topic->by_id);
    map_remove(&image->topics_by_name, &topic->by_name);
    remove_resource(image, IMAGE_RESOURCE_TOPIC, topic->name);
    list_remove(&topic->changed);
    topic->deleted = true;
    if (image->tracks_changes)
        list_push(&image->deleted_topics, &topic->changed);
    else
        image_topic_free(image, topic);
    return ERR_NONE;
}

/* The full next state of a partition, its lists still borrowed. */
struct part_state {
    struct image_ids replicas, isr, removing, adding, elr, last_known_elr;
    int32_t leader, leader_epoch, partition_epoch;
    int8_t recovery;
};

static bool distinct(struct image_ids ids)
{
    for (uint32_t i = 0; i < ids.count; i++) {
        if (ids.ids[i] < 0) return false;
        for (uint32_t j = 0; j < i; j++)
            if (ids.ids[i] == ids.ids[j]) return false;
    }
    return true;
}

static bool part_of(struct image_ids ids, struct image_ids of)
{
    for (uint32_t i = 0; i < ids.count; i++)
        if (!image_ids_contain(of, ids.ids[i])) return false;
    return true;
}

static bool disjoint(struct image_ids a, struct image_ids b)
{
    for (uint32_t i = 0; i < a.count; i++)
        if (image_ids_contain(b, a.ids[i])) return false;
    return true;
}

/* R12 and R14: what no controller may write. */
static enum err check_state(const struct part_state *state)
{
    const struct image_ids lists[] = {state->replicas, state->isr, state->removing,
                                      state->adding,   state->elr, state->last_known_elr};

    for (uint32_t i = 0; i < COUNT_OF(lists); i++) {
        if (lists[i].count > IMAGE_REPLICAS_MAX) return ERR_TOO_MANY;
        if (!distinct(lists[i])) return ERR_MALFORMED;
    }
    if (state->replicas.count == 0) return ERR_MALFORMED;
    if (!part_of(state->isr, state->replicas) || !part_of(state->elr, state->replicas))
        return ERR_MALFORMED;
    if (!part_of(state->adding, state->replicas) || !part_of(state->removing, state->replicas))
        return ERR_MALFORMED;
    if (!disjoint(state->isr, state->elr) || !disjoint(state->adding, state->removing))
        return ERR_MALFORMED;
    if (state->leader < IMAGE_NO_LEADER) return ERR_MALFORMED;
    if (state->leader >= 0 && !image_ids_contain(state->isr, state->leader)) return ERR_MALFORMED;
    if (state->leader_epoch < 0 || state->partition_epoch < 0) return ERR_MALFORMED;
    if (state->recovery != IMAGE_RECOVERED && state->recovery != IMAGE_RECOVERING)
        return ERR_MALFORMED;
    return ERR_NONE;
}

static int32_t *put_ids(int32_t *at, struct image_ids ids)
{
    if (ids.count > 0) memcpy(at, ids.ids, ids.count * sizeof(int32_t));
    return at + ids.count;
}

/* A partition of that state, not yet in the image; its hash is missing. */
static enum err make_part(struct image *image, const struct part_state *state,
                          struct image_partition *part)
{
    struct image_partition made = {.leader = state->leader,
                                   .leader_epoch = state->leader_epoch,
                                   .partition_epoch = state->partition_epoch,
                                   .recovery = (uint8_t)state->recovery,
                                   .replicas_count = (uint8_t)state->replicas.count,
                                   .isr_count = (uint8_t)state->isr.count,
                                   .removing_count = (uint8_t)state->removing.count,
                                   .adding_count = (uint8_t)state->adding.count,
                                   .elr_count = (uint8_t)state->elr.count,
                                   .last_known_elr_count = (uint8_t)state->last_known_elr.count};
    int32_t *at;

    made.ids = mem_alloc(image->mem, image_partition_ids_count(&made) * sizeof(int32_t));
    if (made.ids == NULL) return ERR_NO_MEMORY;
    at = put_ids(made.ids, state->replicas);
    at = put_ids(at, state->isr);
    at = put_ids(at, state->removing);
    at = put_ids(at, state->adding);
    at = put_ids(at, state->elr);
    put_ids(at, state->last_known_elr);
    *part = made;
    return ERR_NONE;
}

static void part_changed(struct image *image, struct image_topic *topic, uint32_t index)
{
    if (!image->tracks_changes) return;
    if (!list_linked(&topic->changed)) list_push(&image->changed_topics, &topic->changed);
    if (topic->changed_first == topic->changed_end) {
        topic->changed_first = index;
        topic->changed_end = index + 1;
    }
    if (index < topic->changed_first) topic->changed_first = index;
    if (index >= topic->changed_end) topic->changed_end = index + 1;
    topic->partitions[index].changed = true;
}

static void part_install(struct image *image, struct image_topic *topic, uint32_t index,
                         struct image_partition part)
{
    part.hash = image_partition_hash(topic->id, index, &part);
    image->digest += part.hash;
    image_count(image, &part, true);
    topic->partitions[index] = part;
    part_changed(image, topic, index);
}

static enum err grow_partitions(struct image *image, struct image_topic *topic)
{
    uint32_t capacity = topic->partitions_capacity == 0 ? 1 : topic->partitions_capacity * 2;
    struct image_partition *grown;

    if (topic->partitions_count < topic->partitions_capacity) return ERR_NONE;
    grown = mem_zalloc(image->mem, capacity * sizeof(*grown));
    if (grown == NULL) return ERR_NO_MEMORY;
    if (topic->partitions_count > 0)
        memcpy(grown, topic->partitions, topic->partitions_count * sizeof(*grown));
    mem_free(image->mem, topic->partitions, topic->partitions_capacity * sizeof(*grown));
    topic->partitions = grown;
    topic->partitions_capacity = capacity;
    return ERR_NONE;
}

static struct part_state state_of(const struct partition_record *record)
{
    return (struct part_state){
        .replicas = {record->replicas, record->replicas_count},
        .isr = {record->isr, record->isr_count},
        .removing = {record->removing_replicas, record->removing_replicas_count},
        .adding = {record->adding_replicas, record->adding_replicas_count},
        .elr = {record->eligible_leader_replicas, record->eligible_leader_replicas_count},
        .last_known_elr = {record->last_known_elr, record->last_known_elr_count},
        .leader = record->leader,
        .leader_epoch = record->leader_epoch,
        .partition_epoch = record->partition_epoch,
        .recovery = record->leader_recovery_state,
    };
}

static enum err apply_partition(struct image *image, const struct partition_record *record)
{
    struct image_topic *topic = image_topic_by_id(image, record->topic_id);
    struct part_state state = state_of(record);
    struct image_partition part;
    enum err err;

    if (topic == NULL) return ERR_MALFORMED;
    /* In order of their index, each once: that is how a controller writes them. */
    if (record->partition_id < 0 || (uint32_t)record->partition_id != topic->partitions_count)
        return ERR_MALFORMED;
    if (image->partitions_count >= image->limits.partitions_max) return ERR_TOO_MANY;
    err = check_state(&state);
    if (err != ERR_NONE) return err;
    err = grow_partitions(image, topic);
    if (err != ERR_NONE) return err;
    err = make_part(image, &state, &part);
    if (err != ERR_NONE) return err;
    topic->partitions_count++;
    image->partitions_count++;
    part_install(image, topic, (uint32_t)record->partition_id, part);
    return ERR_NONE;
}

static void part_swap(struct image *image, struct image_topic *topic, uint32_t index,
                      struct image_partition part)
{
    struct image_partition *old = &topic->partitions[index];

    image->digest -= old->hash;
    image_count(image, old, false);
    mem_free(image->mem, old->ids, image_partition_ids_count(old) * sizeof(int32_t));
    part.changed = old->changed;
    part_install(image, topic, index, part);
}

/* In the place of the partition that is there. */
static enum err part_replace(struct image *image, struct image_topic *topic, uint32_t index,
                             const struct part_state *state)
{
    struct image_partition part;
    enum err err = check_state(state);

    if (err != ERR_NONE) return err;
    err = make_part(image, state, &part);
    if (err != ERR_NONE) return err;
    part_swap(image, topic, index, part);
    return ERR_NONE;
}

enum err image_put_partition(struct image *image, const struct partition_record *record)
{
    struct image_topic *topic = image_topic_by_id(image, record->topic_id);
    struct part_state state = state_of(record);

    if (topic == NULL || image_partition(topic, record->partition_id) == NULL) return ERR_MALFORMED;
    return part_replace(image, topic, (uint32_t)record->partition_id, &state);
}

static struct image_ids changed_ids(bool null, const int32_t *ids, uint32_t count,
                                    struct image_ids old)
{
    return null ? old : (struct image_ids){ids, count};
}

static enum err apply_partition_change(struct image *image, const struct partition_change_record *r)
{
    struct image_topic *topic = image_topic_by_id(image, r->topic_id);
    struct image_partition *old;
    struct part_state state;

    if (topic == NULL) return ERR_MALFORMED;
    old = image_partition(topic, r->partition_id);
    if (old == NULL) return ERR_MALFORMED;
    if (r->leader < -2 || r->leader_recovery_state < -1) return ERR_MALFORMED;
    if (old->partition_epoch == INT32_MAX || old->leader_epoch == INT32_MAX) return ERR_MALFORMED;
    state = (struct part_state){
        .replicas =
            changed_ids(r->replicas_null, r->replicas, r->replicas_count, image_replicas(old)),
        .isr = changed_ids(r->isr_null, r->isr, r->isr_count, image_isr(old)),
        .removing = changed_ids(r->removing_replicas_null, r->removing_replicas,
                                r->removing_replicas_count, image_removing(old)),
        .adding = changed_ids(r->adding_replicas_null, r->adding_replicas, r->adding_replicas_count,
                              image_adding(old)),
        .elr = changed_ids(r->eligible_leader_replicas_null, r->eligible_leader_replicas,
                           r->eligible_leader_replicas_count, image_elr(old)),
        .last_known_elr = changed_ids(r->last_known_elr_null, r->last_known_elr,
                                      r->last_known_elr_count, image_last_known_elr(old)),
        /* R36 */
        .leader = r->leader == -2 ? old->leader : r->leader,
        .leader_epoch = r->leader == -2 ? old->leader_epoch : old->leader_epoch + 1,
        .partition_epoch = old->partition_epoch + 1,
        .recovery =
            r->leader_recovery_state == -1 ? (int8_t)old->recovery : r->leader_recovery_state,
    };
    return part_replace(image, topic, (uint32_t)r->partition_id, &state);
}

/* ---- ClearElr (KIP-966) ---------------------------------------------------------------------- */

/* What is made before anything is changed: with it all of them, or none. */
struct cleared {
    struct image_topic *topic;
    uint32_t index;
    struct image_partition part;
};

static bool has_elr(const struct image_partition *part)
{
    return part->elr_count > 0 || part->last_known_elr_count > 0;
}

static uint32_t count_elrs(const struct image_topic *topic)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < topic->partitions_count; i++)
        count += has_elr(&topic->partitions[i]);
    return count;
}

/* As a PartitionChange with two empty lists: the partition epoch moves. */
static enum err make_cleared(struct image *image, const struct image_partition *old,
                             struct image_partition *part)
{
    struct part_state state = {.replicas = image_replicas(old),
                               .isr = image_isr(old),
                               .removing = image_removing(old),
                               .adding = image_adding(old),
                               .leader = old->leader,
                               .leader_epoch = old->leader_epoch,
                               .partition_epoch = old->partition_epoch + 1,
                               .recovery = (int8_t)old->recovery};

    return old->partition_epoch == INT32_MAX ? ERR_MALFORMED : make_part(image, &state, part);
}

static enum err clear_topic(struct image *image, struct image_topic *topic, struct cleared *cleared,
                            uint32_t *count)
{
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        struct cleared *next = &cleared[*count];
        enum err err;

        if (!has_elr(&topic->partitions[i])) continue;
        err = make_cleared(image, &topic->partitions[i], &next->part);
        if (err != ERR_NONE) return err;
        next->topic = topic;
        next->index = i;
        (*count)++;
    }
    return ERR_NONE;
}

static void drop_cleared(struct image *image, const struct cleared *cleared, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct image_partition *part = &cleared[i].part;

        mem_free(image->mem, part->ids, image_partition_ids_count(part) * sizeof(int32_t));
    }
}

/* Of one topic, or without a name of all. */
static enum err apply_clear_elr(struct image *image, const struct clear_elr_record *record)
{
    bool all = record->topic_name.length == 0;
    struct image_topic *one = all ? NULL : image_topic_by_name(image, record->topic_name);
    struct cleared *cleared;
    uint32_t room = 0, count = 0;
    enum err err = ERR_NONE;

    if (!all && one == NULL) return ERR_MALFORMED;
    MAP_FOR_EACH (node, &image->topics_by_id) {
        struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        if (all || topic == one) room += count_elrs(topic);
    }
    if (room == 0) return ERR_NONE;
    cleared = mem_alloc(image->mem, room * sizeof *cleared);
    if (cleared == NULL) return ERR_NO_MEMORY;
    MAP_FOR_EACH (node, &image->topics_by_id) {
        struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        if ((all || topic == one) && err == ERR_NONE)
            err = clear_topic(image, topic, cleared, &count);
    }
    if (err != ERR_NONE) drop_cleared(image, cleared, count);
    for (uint32_t i = 0; i < count && err == ERR_NONE; i++)
        part_swap(image, cleared[i].topic, cleared[i].index, cleared[i].part);
    mem_free(image->mem, cleared, room * sizeof *cleared);
    return err;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static enum err resource_find_or_add(struct image *image, int8_t type, struct str name,
                                     struct image_resource **resource)
{
    struct image_resource *fresh;
    size_t size = sizeof(*fresh) + 1 + name.length;
    enum err err;

    *resource = image_resource(image, type, name);
    if (*resource != NULL) return ERR_NONE;
    fresh = mem_zalloc(image->mem, size);
    if (fresh == NULL) return ERR_NO_MEMORY;
    fresh->type = type;
    fresh->block = (char *)(fresh + 1);
    fresh->block_size = size;
    fresh->block[0] = (char)type;
    if (name.length > 0) memcpy(fresh->block + 1, name.data, name.length);
    fresh->name = (struct str){fresh->block + 1, name.length};
    list_init(&fresh->configs);
    list_init(&fresh->changed);
    err = map_add_str(&image->resources, &fresh->node, (struct str){fresh->block, name.length + 1});
    if (err != ERR_NONE) {
        mem_free(image->mem, fresh, size);
        return err;
    }
    *resource = fresh;
    return ERR_NONE;
}

static void resource_changed(struct image *image, struct image_resource *resource)
{
    if (image->tracks_changes) {
        if (!list_linked(&resource->changed))
            list_push(&image->changed_resources, &resource->changed);
    } else if (resource->configs_count == 0) {
        image_resource_free(image, resource);
    }
}

static enum err apply_config(struct image *image, const struct config_record *record)
{
    struct image_resource *resource = NULL;
    struct image_config *config, *old = NULL;
    size_t size = sizeof(*config) + record->name.length + record->value.length;
    char *text;
    enum err err;

    if (record->resource_type != IMAGE_RESOURCE_TOPIC &&
        record->resource_type != IMAGE_RESOURCE_BROKER)
        return ERR_UNSUPPORTED;
    if (record->resource_name.length > IMAGE_NAME_MAX) return ERR_MALFORMED;
    if (record->value.data == NULL) {
        resource = image_resource(image, record->resource_type, record->resource_name);
        old = resource != NULL ? image_config_find(resource, record->name) : NULL;
        if (old == NULL) return ERR_NONE; /* deleting nothing is fine, as in Kafka */
        image_config_free(image, resource, old);
        resource_changed(image, resource);
        return ERR_NONE;
    }
    config = mem_zalloc(image->mem, size);
    if (config == NULL) return ERR_NO_MEMORY;
    err = resource_find_or_add(image, record->resource_type, record->resource_name, &resource);
    if (err == ERR_NONE) {
        old = image_config_find(resource, record->name);
        if (old == NULL && resource->configs_count >= IMAGE_CONFIGS_MAX) err = ERR_TOO_MANY;
    }
    if (err != ERR_NONE) {
        mem_free(image->mem, config, size);
        return err;
    }
    text = (char *)(config + 1);
    memcpy(text, record->name.data, record->name.length);
    if (record->value.length > 0)
        memcpy(text + record->name.length, record->value.data, record->value.length);
    config->key = (struct str){text, record->name.length};
    config->value = (struct str){text + record->name.length, record->value.length};
    config->block_size = size;
    config->hash = image_config_hash(resource->type, resource->name, config->key, config->value);
    list_init(&config->link);
    if (old != NULL) {
        list_push(&old->link, &config->link); /* keeps its place */
        image_config_free(image, resource, old);
    } else {
        list_push(&resource->configs, &config->link);
    }
    resource->configs_count++;
    image->digest += config->hash;
    resource_changed(image, resource);
    return ERR_NONE;
}

static void cluster_changed(struct image *image)
{
    image->digest -= image->features_hash;
    image->features_hash = image_cluster_hash(image);
    image->digest += image->features_hash;
    if (image->tracks_changes) image->features_changed = true;
}

static enum err apply_feature_level(struct image *image, const struct feature_level_record *record)
{
    uint32_t at = 0;
    char *name;

    if (record->name.length == 0 || record->feature_level < 0) return ERR_MALFORMED;
    while (at < image->features_count && !str_equal(image->features[at].name, record->name))
        at++;
    if (record->feature_level == 0) {
        if (at == image->features_count) return ERR_NONE;
        image_text_free(image, image->features[at].name);
        image->features_count--;
        memmove(&image->features[at], &image->features[at + 1],
                (image->features_count - at) * sizeof(image->features[0]));
    } else {
        if (at == IMAGE_FEATURES_MAX) return ERR_TOO_MANY;
        if (at == image->features_count) {
            name = mem_alloc(image->mem, (size_t)record->name.length + 1);
            if (name == NULL) return ERR_NO_MEMORY;
            memcpy(name, record->name.data, record->name.length);
            image->features[at].name = (struct str){name, record->name.length};
            image->features_count++;
        }
        image->features[at].min = record->feature_level;
        image->features[at].max = record->feature_level;
    }
    cluster_changed(image);
    return ERR_NONE;
}

static enum err apply_producer_ids(struct image *image, const struct producer_ids_record *record)
{
    if (record->next_producer_id <= image->next_producer_id) return ERR_MALFORMED; /* K26 */
    image->next_producer_id = record->next_producer_id;
    cluster_changed(image);
    return ERR_NONE;
}

static enum err apply_one(struct image *image, const struct metadata_record *record)
{
    switch (record->id) {
    case RECORD_REGISTER_BROKER:
        return image_apply_register_broker(image, &record->register_broker);
    case RECORD_UNREGISTER_BROKER:
        return image_apply_unregister_broker(image, &record->unregister_broker);
    case RECORD_TOPIC: return apply_topic(image, &record->topic);
    case RECORD_PARTITION: return apply_partition(image, &record->partition);
    case RECORD_CONFIG: return apply_config(image, &record->config);
    case RECORD_PARTITION_CHANGE: return apply_partition_change(image, &record->partition_change);
    case RECORD_REMOVE_TOPIC: return apply_remove_topic(image, &record->remove_topic);
    case RECORD_FEATURE_LEVEL: return apply_feature_level(image, &record->feature_level);
    case RECORD_PRODUCER_IDS: return apply_producer_ids(image, &record->producer_ids);
    case RECORD_BROKER_REGISTRATION_CHANGE:
        return image_apply_registration_change(image, &record->registration_change);
    case RECORD_NO_OP:
    case RECORD_BEGIN_TRANSACTION: /* the loader applies a transaction whole, or not at all */
    case RECORD_END_TRANSACTION:
    case RECORD_ABORT_TRANSACTION: return ERR_NONE;
    case RECORD_REGISTER_CONTROLLER:
        return image_apply_register_controller(image, &record->register_controller);
    case RECORD_CLEAR_ELR: return apply_clear_elr(image, &record->clear_elr);
    }
    return ERR_UNSUPPORTED;
}

enum err image_apply(struct image *image, const struct metadata_record *record, int64_t offset,
                     int32_t epoch)
{
    enum err err = apply_one(image, record);

    if (err == ERR_NONE) image_advance(image, offset, epoch);
    return err;
}

void image_advance(struct image *image, int64_t last_offset, int32_t epoch)
{
    ASSERT(last_offset >= image->last_offset); /* K25 */
    image->last_offset = last_offset;
    image->last_epoch = epoch;
}
