/* Short ways to put brokers, topics and partitions into an image, through records as always. */
#ifndef TESTS_SUPPORT_IMAGE_BUILD_H
#define TESTS_SUPPORT_IMAGE_BUILD_H

#include "broker/controller/image.h"

/* Epoch = id + 100. */
void image_build_broker(struct image *image, int32_t id, bool fenced, const char *rack);
void image_build_fence(struct image *image, int32_t id, int8_t fenced);
void image_build_shutdown(struct image *image, int32_t id);
struct uuid image_build_topic(struct image *image, const char *name, uint8_t number);
/* Lists end with -1. The next partition of the topic; leader epoch 5, partition epoch 9. */
void image_build_partition(struct image *image, struct uuid topic, const int32_t *replicas,
                           const int32_t *isr, int32_t leader);
void image_build_config(struct image *image, const char *topic, const char *key, const char *value);
uint32_t image_build_count(const int32_t *ids);
/* The next record is applied; the offset grows by one. */
void image_build_apply(struct image *image, const struct metadata_record *record);

#endif
