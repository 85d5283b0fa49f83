/* An image as records, and an image as another image. Order: features, producer ids, brokers,
 * controllers, each topic with its partitions, configs. */
#include "broker/controller/image.h"
#include "broker/controller/image_parts.h"

/* ---- one record each --------------------------------------------------------------------------
 */

void image_fill_feature(const struct image_feature *feature, struct metadata_record *record)
{
    records_default(record, RECORD_FEATURE_LEVEL);
    record->feature_level.name = feature->name;
    record->feature_level.feature_level = feature->max;
}

void image_fill_producer_ids(const struct image *image, struct metadata_record *record)
{
    records_default(record, RECORD_PRODUCER_IDS);
    record->producer_ids.broker_id = -1;
    record->producer_ids.next_producer_id = image->next_producer_id;
}

void image_fill_broker(const struct image_broker *broker, struct image_scratch *scratch,
                       struct metadata_record *record)
{
    struct register_broker_record *r = &record->register_broker;

    records_default(record, RECORD_REGISTER_BROKER);
    r->broker_id = broker->id;
    r->broker_epoch = broker->epoch;
    r->kept_broker_epoch = broker->kept_epoch;
    r->incarnation_id = broker->incarnation;
    r->rack = broker->rack;
    r->fenced = broker->fenced;
    r->in_controlled_shutdown = broker->in_controlled_shutdown;
    r->log_dirs = broker->log_dirs;
    r->log_dirs_count = broker->log_dirs_count;
    for (uint32_t i = 0; i < broker->endpoints_count; i++)
        scratch->end_points[i] = (struct register_broker_record_end_point){
            broker->endpoints[i].name, broker->endpoints[i].host, broker->endpoints[i].port,
            broker->endpoints[i].security_protocol};
    for (uint32_t i = 0; i < broker->features_count; i++)
        scratch->features[i] = (struct register_broker_record_feature){
            broker->features[i].name, broker->features[i].min, broker->features[i].max};
    r->end_points = scratch->end_points;
    r->end_points_count = broker->endpoints_count;
    r->features = scratch->features;
    r->features_count = broker->features_count;
}

void image_fill_controller(const struct image_controller *controller, struct image_scratch *scratch,
                           struct metadata_record *record)
{
    struct register_controller_record *r = &record->register_controller;

    records_default(record, RECORD_REGISTER_CONTROLLER);
    r->controller_id = controller->id;
    r->incarnation_id = controller->incarnation;
    for (uint32_t i = 0; i < controller->endpoints_count; i++)
        scratch->controller_end_points[i] = (struct register_controller_record_end_point){
            controller->endpoints[i].name, controller->endpoints[i].host,
            controller->endpoints[i].port, controller->endpoints[i].security_protocol};
    r->end_points = scratch->controller_end_points;
    r->end_points_count = controller->endpoints_count;
    for (uint32_t i = 0; i < controller->features_count; i++)
        scratch->controller_features[i] = (struct register_controller_record_feature){
            controller->features[i].name, controller->features[i].min, controller->features[i].max};
    r->features = scratch->controller_features;
    r->features_count = controller->features_count;
}

void image_fill_topic(const struct image_topic *topic, struct metadata_record *record)
{
    records_default(record, RECORD_TOPIC);
    record->topic.name = topic->name;
    record->topic.topic_id = topic->id;
}

void image_fill_partition(const struct image_topic *topic, uint32_t index,
                          struct metadata_record *record)
{
    const struct image_partition *part = &topic->partitions[index];
    struct partition_record *r = &record->partition;
    int32_t *at = part->ids; /* the lists in their order (image.h) */

    records_default(record, RECORD_PARTITION);
    r->topic_id = topic->id;
    r->partition_id = (int32_t)index;
    r->leader = part->leader;
    r->leader_epoch = part->leader_epoch;
    r->partition_epoch = part->partition_epoch;
    r->leader_recovery_state = (int8_t)part->recovery;
    r->replicas = at;
    r->replicas_count = part->replicas_count;
    r->isr = at += part->replicas_count;
    r->isr_count = part->isr_count;
    r->removing_replicas = at += part->isr_count;
    r->removing_replicas_count = part->removing_count;
    r->adding_replicas = at += part->removing_count;
    r->adding_replicas_count = part->adding_count;
    if (part->elr_count > 0 || part->last_known_elr_count > 0) {
        r->eligible_leader_replicas = at += part->adding_count;
        r->eligible_leader_replicas_count = part->elr_count;
        r->eligible_leader_replicas_null = false;
        r->last_known_elr = at + part->elr_count;
        r->last_known_elr_count = part->last_known_elr_count;
        r->last_known_elr_null = false;
    }
}

void image_fill_config(const struct image_resource *resource, const struct image_config *config,
                       struct metadata_record *record)
{
    records_default(record, RECORD_CONFIG);
    record->config.resource_type = resource->type;
    record->config.resource_name = resource->name;
    record->config.name = config->key;
    record->config.value = config->value;
}

/* ---- all of them, in the order of the image ---------------------------------------------------
 */

static enum err emit_topic(const struct image_topic *topic, struct image_sink *sink)
{
    struct metadata_record record;
    enum err err;

    image_fill_topic(topic, &record);
    err = sink->put(sink, &record);
    for (uint32_t i = 0; err == ERR_NONE && i < topic->partitions_count; i++) {
        image_fill_partition(topic, i, &record);
        err = sink->put(sink, &record);
    }
    return err;
}

static enum err emit_resource(const struct image_resource *resource, struct image_sink *sink)
{
    struct metadata_record record;
    enum err err = ERR_NONE;

    LIST_FOR_EACH (link, &resource->configs) {
        image_fill_config(resource, LIST_ENTRY(link, struct image_config, link), &record);
        err = sink->put(sink, &record);
        if (err != ERR_NONE) return err;
    }
    return err;
}

static enum err emit_cluster(const struct image *image, struct image_sink *sink)
{
    struct metadata_record record;
    struct image_scratch scratch;
    enum err err = ERR_NONE;

    for (uint32_t i = 0; err == ERR_NONE && i < image->features_count; i++) {
        image_fill_feature(&image->features[i], &record);
        err = sink->put(sink, &record);
    }
    if (err == ERR_NONE && image->next_producer_id != 0) {
        image_fill_producer_ids(image, &record);
        err = sink->put(sink, &record);
    }
    MAP_FOR_EACH (node, &image->brokers) {
        if (err != ERR_NONE) return err;
        image_fill_broker(MAP_ENTRY(node, struct image_broker, node), &scratch, &record);
        err = sink->put(sink, &record);
    }
    MAP_FOR_EACH (node, &image->controllers) {
        if (err != ERR_NONE) return err;
        image_fill_controller(MAP_ENTRY(node, struct image_controller, node), &scratch, &record);
        err = sink->put(sink, &record);
    }
    return err;
}

enum err image_emit(const struct image *image, struct image_sink *sink)
{
    enum err err = emit_cluster(image, sink);

    MAP_FOR_EACH (node, &image->topics_by_id) {
        if (err != ERR_NONE) return err;
        err = emit_topic(MAP_ENTRY(node, struct image_topic, by_id), sink);
    }
    MAP_FOR_EACH (node, &image->resources) {
        if (err != ERR_NONE) return err;
        err = emit_resource(MAP_ENTRY(node, struct image_resource, node), sink);
    }
    return err;
}

/* ---- clone ----------------------------------------------------------------------------------- */

struct clone_sink {
    struct image_sink sink;
    struct image *to;
    const struct image *from;
};

static enum err clone_put(struct image_sink *sink, const struct metadata_record *record)
{
    struct clone_sink *clone = CONTAINER_OF(sink, struct clone_sink, sink);

    return image_apply(clone->to, record, clone->from->last_offset, clone->from->last_epoch);
}

enum err image_clone(struct image *to, const struct image *from)
{
    struct clone_sink clone = {.sink = {clone_put}, .to = to, .from = from};
    enum err err;

    ASSERT(to->last_offset == -1);
    err = image_emit(from, &clone.sink);
    if (err != ERR_NONE) {
        image_clear(to);
        return err;
    }
    image_advance(to, from->last_offset, from->last_epoch);
    ASSERT(to->digest == from->digest);
    return ERR_NONE;
}
