/* A snapshot in the place of what was applied: the difference is written onto the image as if
 * records had said it, so that publishers see an ordinary delta. What the snapshot lacks is
 * deleted (kraft.md 12). */
#include "broker/controller/image.h"
#include "broker/controller/image_parts.h"

static enum err put(struct image *image, const struct metadata_record *record)
{
    return image_apply(image, record, image->last_offset, image->last_epoch);
}

/* ---- what goes ------------------------------------------------------------------------------- */

static enum err drop_topics(struct image *image, const struct image *from)
{
    struct metadata_record record;
    enum err err = ERR_NONE;

    MAP_FOR_EACH_SAFE (node, after, &image->topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        if (err != ERR_NONE) return err;
        if (image_topic_by_id(from, topic->id) != NULL) continue;
        records_default(&record, RECORD_REMOVE_TOPIC);
        record.remove_topic.topic_id = topic->id;
        err = put(image, &record);
    }
    return err;
}

static enum err drop_brokers(struct image *image, const struct image *from)
{
    struct metadata_record record;
    enum err err = ERR_NONE;

    MAP_FOR_EACH_SAFE (node, after, &image->brokers) {
        const struct image_broker *broker = MAP_ENTRY(node, struct image_broker, node);

        if (err != ERR_NONE) return err;
        if (image_broker(from, broker->id) != NULL) continue;
        records_default(&record, RECORD_UNREGISTER_BROKER);
        record.unregister_broker.broker_id = broker->id;
        record.unregister_broker.broker_epoch = broker->epoch;
        err = put(image, &record);
    }
    return err;
}

static enum err drop_configs(struct image *image, const struct image_resource *resource,
                             const struct image *from)
{
    struct metadata_record record;
    enum err err = ERR_NONE;
    /* Without changes to remember, the last config takes the resource with it. */
    uint32_t left = resource->configs_count;
    struct list *link = resource->configs.next;

    while (left-- > 0 && err == ERR_NONE) {
        const struct image_config *config = LIST_ENTRY(link, struct image_config, link);

        link = link->next;
        if (image_config_value(from, resource->type, resource->name, config->key).data != NULL)
            continue;
        records_default(&record, RECORD_CONFIG);
        record.config.resource_type = resource->type;
        record.config.resource_name = resource->name;
        record.config.name = config->key;
        record.config.value = STR_NULL;
        err = put(image, &record);
    }
    return err;
}

static enum err drop_features(struct image *image, const struct image *from)
{
    struct metadata_record record;
    enum err err = ERR_NONE;

    for (uint32_t i = image->features_count; i > 0 && err == ERR_NONE; i--) {
        const struct image_feature *feature = &image->features[i - 1];

        if (image_feature_level(from, feature->name) != 0) continue;
        records_default(&record, RECORD_FEATURE_LEVEL);
        record.feature_level.name = feature->name;
        record.feature_level.feature_level = 0;
        err = put(image, &record);
    }
    return err;
}

static enum err drop_all(struct image *image, const struct image *from)
{
    enum err err = drop_topics(image, from);

    if (err == ERR_NONE) err = drop_brokers(image, from);
    if (err == ERR_NONE) err = drop_features(image, from);
    MAP_FOR_EACH_SAFE (node, after, &image->resources) {
        if (err != ERR_NONE) return err;
        err = drop_configs(image, MAP_ENTRY(node, struct image_resource, node), from);
    }
    return err;
}

/* ---- what comes, and what is different ------------------------------------------------------- */

static enum err take_cluster(struct image *image, const struct image *from)
{
    struct metadata_record record;
    enum err err = ERR_NONE;

    for (uint32_t i = 0; i < from->features_count && err == ERR_NONE; i++) {
        const struct image_feature *feature = &from->features[i];

        if (image_feature_level(image, feature->name) == feature->max) continue;
        image_fill_feature(feature, &record);
        err = put(image, &record);
    }
    if (err == ERR_NONE && from->next_producer_id != image->next_producer_id) {
        image_fill_producer_ids(from, &record);
        err = put(image, &record);
    }
    return err;
}

static enum err take_nodes(struct image *image, const struct image *from)
{
    struct metadata_record record;
    struct image_scratch scratch;
    enum err err = ERR_NONE;

    MAP_FOR_EACH (node, &from->brokers) {
        const struct image_broker *theirs = MAP_ENTRY(node, struct image_broker, node);
        const struct image_broker *ours = image_broker(image, theirs->id);

        if (err != ERR_NONE) return err;
        if (ours != NULL && ours->hash == theirs->hash) continue;
        image_fill_broker(theirs, &scratch, &record);
        err = put(image, &record);
    }
    MAP_FOR_EACH (node, &from->controllers) {
        const struct image_controller *theirs = MAP_ENTRY(node, struct image_controller, node);
        const struct map_node *found = map_find_u64(&image->controllers, (uint32_t)theirs->id);

        if (err != ERR_NONE) return err;
        if (found != NULL && MAP_ENTRY(found, struct image_controller, node)->hash == theirs->hash)
            continue;
        image_fill_controller(theirs, &scratch, &record);
        err = put(image, &record);
    }
    return err;
}

static enum err take_topic(struct image *image, const struct image_topic *theirs)
{
    const struct image_topic *ours = image_topic_by_id(image, theirs->id);
    struct metadata_record record;
    enum err err = ERR_NONE;

    if (ours == NULL) {
        image_fill_topic(theirs, &record);
        err = put(image, &record);
        if (err != ERR_NONE) return err;
        ours = image_topic_by_id(image, theirs->id);
    }
    if (ours->partitions_count > theirs->partitions_count) return ERR_MALFORMED;
    for (uint32_t i = 0; i < theirs->partitions_count && err == ERR_NONE; i++) {
        bool there = i < ours->partitions_count;

        if (there && ours->partitions[i].hash == theirs->partitions[i].hash) continue;
        image_fill_partition(theirs, i, &record);
        err = there ? image_put_partition(image, &record.partition) : put(image, &record);
    }
    return err;
}

static enum err take_configs(struct image *image, const struct image_resource *theirs)
{
    struct metadata_record record;
    enum err err = ERR_NONE;

    LIST_FOR_EACH (link, &theirs->configs) {
        const struct image_config *config = LIST_ENTRY(link, struct image_config, link);
        struct str ours = image_config_value(image, theirs->type, theirs->name, config->key);

        if (err != ERR_NONE) return err;
        if (ours.data != NULL && str_equal(ours, config->value)) continue;
        image_fill_config(theirs, config, &record);
        err = put(image, &record);
    }
    return err;
}

enum err image_replace(struct image *image, const struct image *from)
{
    enum err err;

    if (from->last_offset < image->last_offset) return ERR_MALFORMED;
    err = drop_all(image, from);
    if (err == ERR_NONE) err = take_cluster(image, from);
    if (err == ERR_NONE) err = take_nodes(image, from);
    MAP_FOR_EACH (node, &from->topics_by_id) {
        if (err != ERR_NONE) return err;
        err = take_topic(image, MAP_ENTRY(node, struct image_topic, by_id));
    }
    MAP_FOR_EACH (node, &from->resources) {
        if (err != ERR_NONE) return err;
        err = take_configs(image, MAP_ENTRY(node, struct image_resource, node));
    }
    if (err != ERR_NONE) return err;
    image_advance(image, from->last_offset, from->last_epoch);
    return image->digest == from->digest ? ERR_NONE : ERR_MALFORMED;
}
