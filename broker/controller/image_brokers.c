/* Registrations and what changes them: the part of image_apply() about brokers and controllers. As
 * there, everything that can fail fails before the first change. */
#include "broker/controller/image_parts.h"

#include <string.h>

/* Text and arrays of a registration in one block of memory. */
struct block {
    struct image_endpoint endpoints[IMAGE_ENDPOINTS_MAX];
    struct image_feature features[IMAGE_FEATURES_MAX];
    uint32_t endpoints_count;
    uint32_t features_count;
    struct str rack;
    /* out */
    void *memory;
    size_t size;
};

static struct str block_text(char **at, struct str text)
{
    struct str copy = {text.data != NULL ? *at : NULL, text.length};

    if (text.length > 0) memcpy(*at, text.data, text.length);
    *at += text.length;
    return copy;
}

/* Moves the text of `block` into memory of its own; its arrays then point there. */
static enum err block_build(struct image *image, struct block *block, struct image_endpoint **to,
                            struct image_feature **features)
{
    size_t endpoints_size = block->endpoints_count * sizeof(struct image_endpoint);
    size_t features_size = block->features_count * sizeof(struct image_feature);
    size_t size = 1 + endpoints_size + features_size + block->rack.length;
    uint8_t *memory;
    char *at;

    for (uint32_t i = 0; i < block->endpoints_count; i++)
        size += block->endpoints[i].name.length + (size_t)block->endpoints[i].host.length;
    for (uint32_t i = 0; i < block->features_count; i++)
        size += block->features[i].name.length;
    memory = mem_alloc(image->mem, size);
    if (memory == NULL) return ERR_NO_MEMORY;
    at = (char *)memory + endpoints_size + features_size;
    for (uint32_t i = 0; i < block->endpoints_count; i++) {
        block->endpoints[i].name = block_text(&at, block->endpoints[i].name);
        block->endpoints[i].host = block_text(&at, block->endpoints[i].host);
    }
    for (uint32_t i = 0; i < block->features_count; i++)
        block->features[i].name = block_text(&at, block->features[i].name);
    block->rack = block_text(&at, block->rack);
    if (endpoints_size > 0) memcpy(memory, block->endpoints, endpoints_size);
    if (features_size > 0) memcpy(memory + endpoints_size, block->features, features_size);
    block->memory = memory;
    block->size = size;
    *to = (struct image_endpoint *)(void *)memory;
    *features = (struct image_feature *)(void *)(memory + endpoints_size);
    return ERR_NONE;
}

static void broker_changed(struct image *image, struct image_broker *broker)
{
    image->digest -= broker->hash;
    broker->hash = image_broker_hash(broker);
    image->digest += broker->hash;
    if (image->tracks_changes && !list_linked(&broker->changed))
        list_push(&image->changed_brokers, &broker->changed);
}

static enum err copy_log_dirs(struct image *image, const struct uuid *from, uint32_t count,
                              struct uuid **to)
{
    if (count > IMAGE_LOG_DIRS_MAX) return ERR_TOO_MANY;
    *to = NULL;
    if (count == 0) return ERR_NONE;
    *to = mem_alloc(image->mem, count * sizeof(struct uuid));
    if (*to == NULL) return ERR_NO_MEMORY;
    memcpy(*to, from, count * sizeof(struct uuid));
    return ERR_NONE;
}

static enum err broker_find_or_add(struct image *image, int32_t id, struct image_broker **broker)
{
    struct image_broker *fresh;
    enum err err;

    *broker = image_broker(image, id);
    if (*broker != NULL) return ERR_NONE;
    fresh = mem_zalloc(image->mem, sizeof(*fresh));
    if (fresh == NULL) return ERR_NO_MEMORY;
    fresh->id = id;
    list_init(&fresh->changed);
    err = map_add_u64(&image->brokers, &fresh->node, (uint32_t)id);
    if (err != ERR_NONE) {
        mem_free(image->mem, fresh, sizeof(*fresh));
        return err;
    }
    image_recount(image, id, &fresh->leader_count, &fresh->isr_count);
    *broker = fresh;
    return ERR_NONE;
}

static enum err register_block(struct image *image, const struct register_broker_record *record,
                               struct block *block, struct image_endpoint **endpoints,
                               struct image_feature **features)
{
    if (record->end_points_count > IMAGE_ENDPOINTS_MAX) return ERR_TOO_MANY;
    if (record->features_count > IMAGE_FEATURES_MAX) return ERR_TOO_MANY;
    block->endpoints_count = record->end_points_count;
    block->features_count = record->features_count;
    block->rack = record->rack;
    for (uint32_t i = 0; i < record->end_points_count; i++)
        block->endpoints[i] = (struct image_endpoint){
            record->end_points[i].name, record->end_points[i].host, record->end_points[i].port,
            record->end_points[i].security_protocol};
    for (uint32_t i = 0; i < record->features_count; i++)
        block->features[i] = (struct image_feature){record->features[i].name,
                                                    record->features[i].min_supported_version,
                                                    record->features[i].max_supported_version};
    return block_build(image, block, endpoints, features);
}

enum err image_apply_register_broker(struct image *image,
                                     const struct register_broker_record *record)
{
    struct image_broker *broker = image_broker(image, record->broker_id);
    struct block block = {.rack = STR_NULL};
    struct image_endpoint *endpoints;
    struct image_feature *features;
    struct uuid *log_dirs;
    enum err err;

    if (record->broker_id < 0 || record->broker_epoch < 0) return ERR_MALFORMED;
    /* K26: the epoch of an incarnation that is not the registered one lies above it. */
    if (broker != NULL && record->broker_epoch < broker->epoch) return ERR_MALFORMED;
    err = copy_log_dirs(image, record->log_dirs, record->log_dirs_count, &log_dirs);
    if (err != ERR_NONE) return err;
    err = register_block(image, record, &block, &endpoints, &features);
    if (err == ERR_NONE) {
        err = broker_find_or_add(image, record->broker_id, &broker);
        if (err != ERR_NONE) mem_free(image->mem, block.memory, block.size);
    }
    if (err != ERR_NONE) {
        mem_free(image->mem, log_dirs, record->log_dirs_count * sizeof(struct uuid));
        return err;
    }
    mem_free(image->mem, broker->block, broker->block_size);
    mem_free(image->mem, broker->log_dirs, broker->log_dirs_count * sizeof(struct uuid));
    broker->block = block.memory;
    broker->block_size = block.size;
    broker->endpoints = endpoints;
    broker->endpoints_count = block.endpoints_count;
    broker->features = features;
    broker->features_count = block.features_count;
    broker->rack = block.rack;
    broker->log_dirs = log_dirs;
    broker->log_dirs_count = record->log_dirs_count;
    broker->epoch = record->broker_epoch;
    broker->kept_epoch = record->kept_broker_epoch;
    broker->incarnation = record->incarnation_id;
    broker->fenced = record->fenced;
    broker->in_controlled_shutdown = record->in_controlled_shutdown;
    broker_changed(image, broker);
    return ERR_NONE;
}

enum err image_apply_unregister_broker(struct image *image,
                                       const struct unregister_broker_record *record)
{
    struct image_broker *broker = image_broker(image, record->broker_id);

    if (broker == NULL || broker->epoch != record->broker_epoch) return ERR_MALFORMED;
    image->digest -= broker->hash;
    map_remove(&image->brokers, &broker->node);
    list_remove(&broker->changed);
    broker->removed = true;
    if (image->tracks_changes)
        list_push(&image->removed_brokers, &broker->changed);
    else
        image_broker_free(image, broker);
    return ERR_NONE;
}

enum err image_apply_registration_change(struct image *image,
                                         const struct broker_registration_change_record *record)
{
    struct image_broker *broker = image_broker(image, record->broker_id);
    struct uuid *log_dirs;
    enum err err;

    if (broker == NULL || broker->epoch != record->broker_epoch) return ERR_MALFORMED;
    if (record->fenced < -1 || record->fenced > 1) return ERR_MALFORMED;
    if (record->in_controlled_shutdown < 0 || record->in_controlled_shutdown > 1)
        return ERR_MALFORMED;
    if (record->log_dirs_count > 0) {
        err = copy_log_dirs(image, record->log_dirs, record->log_dirs_count, &log_dirs);
        if (err != ERR_NONE) return err;
        mem_free(image->mem, broker->log_dirs, broker->log_dirs_count * sizeof(struct uuid));
        broker->log_dirs = log_dirs;
        broker->log_dirs_count = record->log_dirs_count;
    }
    if (record->fenced != 0) broker->fenced = record->fenced == 1;
    if (!broker->fenced) broker->kept_epoch = -1; /* from here on it may be in an ISR */
    if (record->in_controlled_shutdown == 1) broker->in_controlled_shutdown = true;
    broker_changed(image, broker);
    return ERR_NONE;
}

enum err image_apply_register_controller(struct image *image,
                                         const struct register_controller_record *record)
{
    struct map_node *node;
    struct image_controller *controller;
    struct image_feature *features;
    struct block block = {.rack = STR_NULL};
    struct image_endpoint *endpoints;
    enum err err;

    if (record->controller_id < 0) return ERR_MALFORMED;
    if (record->end_points_count > IMAGE_ENDPOINTS_MAX) return ERR_TOO_MANY;
    if (record->features_count > IMAGE_FEATURES_MAX) return ERR_TOO_MANY;
    block.endpoints_count = record->end_points_count;
    for (uint32_t i = 0; i < record->end_points_count; i++)
        block.endpoints[i] = (struct image_endpoint){
            record->end_points[i].name, record->end_points[i].host, record->end_points[i].port,
            record->end_points[i].security_protocol};
    block.features_count = record->features_count;
    for (uint32_t i = 0; i < record->features_count; i++)
        block.features[i] = (struct image_feature){record->features[i].name,
                                                   record->features[i].min_supported_version,
                                                   record->features[i].max_supported_version};
    err = block_build(image, &block, &endpoints, &features);
    if (err != ERR_NONE) return err;
    node = map_find_u64(&image->controllers, (uint32_t)record->controller_id);
    if (node != NULL) {
        controller = MAP_ENTRY(node, struct image_controller, node);
    } else {
        controller = mem_zalloc(image->mem, sizeof(*controller));
        err = controller == NULL ? ERR_NO_MEMORY
                                 : map_add_u64(&image->controllers, &controller->node,
                                               (uint32_t)record->controller_id);
        if (err != ERR_NONE) {
            mem_free(image->mem, controller, sizeof(*controller));
            mem_free(image->mem, block.memory, block.size);
            return err;
        }
    }
    mem_free(image->mem, controller->block, controller->block_size);
    controller->id = record->controller_id;
    controller->incarnation = record->incarnation_id;
    controller->endpoints = endpoints;
    controller->features = features;
    controller->endpoints_count = block.endpoints_count;
    controller->features_count = block.features_count;
    controller->block = block.memory;
    controller->block_size = block.size;
    image->digest -= controller->hash;
    controller->hash = image_controller_hash(controller);
    image->digest += controller->hash;
    image->features_changed = image->features_changed || image->tracks_changes;
    return ERR_NONE;
}
