/* What the files of the image share among themselves; nobody else includes this. */
#ifndef BROKER_CONTROLLER_IMAGE_PARTS_H
#define BROKER_CONTROLLER_IMAGE_PARTS_H

#include "broker/controller/image.h"

enum { IMAGE_NAME_MAX = 249 }; /* of a topic, as in Kafka; of any resource */

uint64_t image_broker_hash(const struct image_broker *broker);
uint64_t image_controller_hash(const struct image_controller *controller);
uint64_t image_topic_hash(const struct image_topic *topic);
uint64_t image_partition_hash(struct uuid topic, uint32_t index,
                              const struct image_partition *part);
uint64_t image_config_hash(int8_t type, struct str name, struct str key, struct str value);
uint64_t image_cluster_hash(const struct image *image);

uint32_t image_partition_ids_count(const struct image_partition *part);
/* Adds or subtracts what a partition contributes to its brokers' leader_count and isr_count. */
void image_count(struct image *image, const struct image_partition *part, bool add);
void image_recount(const struct image *image, int32_t id, uint32_t *leader_count,
                   uint32_t *isr_count);

void image_topic_free(struct image *image, struct image_topic *topic);
void image_broker_free(struct image *image, struct image_broker *broker);
void image_config_free(struct image *image, struct image_resource *resource,
                       struct image_config *config);
void image_resource_free(struct image *image, struct image_resource *resource);
static inline void image_text_free(struct image *image, struct str text)
{
    union {
        const char *constant;
        char *owned;
    } data = {.constant = text.data};

    if (text.data != NULL) mem_free(image->mem, data.owned, text.length + 1);
}
/* Parts of image_apply(), in image_brokers.c. */
MUST_USE enum err image_apply_register_broker(struct image *image,
                                              const struct register_broker_record *record);
MUST_USE enum err image_apply_unregister_broker(struct image *image,
                                                const struct unregister_broker_record *record);
MUST_USE enum err
image_apply_registration_change(struct image *image,
                                const struct broker_registration_change_record *record);
MUST_USE enum err image_apply_register_controller(struct image *image,
                                                  const struct register_controller_record *record);

/* An object as a record, which borrows from the object and from the scratch (image_emit.c). */
struct image_scratch {
    struct register_broker_record_end_point end_points[IMAGE_ENDPOINTS_MAX];
    struct register_broker_record_feature features[IMAGE_FEATURES_MAX];
    struct register_controller_record_end_point controller_end_points[IMAGE_ENDPOINTS_MAX];
    struct register_controller_record_feature controller_features[IMAGE_FEATURES_MAX];
};
void image_fill_feature(const struct image_feature *feature, struct metadata_record *record);
void image_fill_producer_ids(const struct image *image, struct metadata_record *record);
void image_fill_broker(const struct image_broker *broker, struct image_scratch *scratch,
                       struct metadata_record *record);
void image_fill_controller(const struct image_controller *controller, struct image_scratch *scratch,
                           struct metadata_record *record);
void image_fill_topic(const struct image_topic *topic, struct metadata_record *record);
void image_fill_partition(const struct image_topic *topic, uint32_t index,
                          struct metadata_record *record);
void image_fill_config(const struct image_resource *resource, const struct image_config *config,
                       struct metadata_record *record);
/* A partition that is there takes this state, whatever its epochs were: a snapshot says so. */
MUST_USE enum err image_put_partition(struct image *image, const struct partition_record *record);

struct image_config *image_config_find(const struct image_resource *resource, struct str key);

#endif
