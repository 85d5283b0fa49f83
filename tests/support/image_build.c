#include "tests/support/image_build.h"

#include "tests/support/support.h"

#include <string.h>

void image_build_apply(struct image *image, const struct metadata_record *record)
{
    assert_int_equal(image_apply(image, record, image->last_offset + 1, 1), ERR_NONE);
}

uint32_t image_build_count(const int32_t *ids)
{
    uint32_t count = 0;

    while (ids[count] >= 0)
        count++;
    return count;
}

void image_build_broker(struct image *image, int32_t id, bool fenced, const char *rack)
{
    struct register_broker_record_end_point end_point = {STR("PLAINTEXT"), STR("host"), 9092, 0};
    struct metadata_record record;

    records_default(&record, RECORD_REGISTER_BROKER);
    record.register_broker.broker_id = id;
    record.register_broker.broker_epoch = id + 100;
    record.register_broker.incarnation_id.bytes[0] = 7;
    record.register_broker.incarnation_id.bytes[15] = (uint8_t)id;
    record.register_broker.end_points = &end_point;
    record.register_broker.end_points_count = 1;
    record.register_broker.rack = rack != NULL ? str_of(rack) : STR_NULL;
    record.register_broker.fenced = fenced;
    image_build_apply(image, &record);
}

void image_build_fence(struct image *image, int32_t id, int8_t fenced)
{
    struct metadata_record record;

    records_default(&record, RECORD_BROKER_REGISTRATION_CHANGE);
    record.registration_change.broker_id = id;
    record.registration_change.broker_epoch = id + 100;
    record.registration_change.fenced = fenced;
    image_build_apply(image, &record);
}

void image_build_shutdown(struct image *image, int32_t id)
{
    struct metadata_record record;

    records_default(&record, RECORD_BROKER_REGISTRATION_CHANGE);
    record.registration_change.broker_id = id;
    record.registration_change.broker_epoch = id + 100;
    record.registration_change.in_controlled_shutdown = 1;
    image_build_apply(image, &record);
}

struct uuid image_build_topic(struct image *image, const char *name, uint8_t number)
{
    struct metadata_record record;

    records_default(&record, RECORD_TOPIC);
    record.topic.name = str_of(name);
    record.topic.topic_id.bytes[0] = 1;
    record.topic.topic_id.bytes[15] = number;
    image_build_apply(image, &record);
    return record.topic.topic_id;
}

void image_build_partition(struct image *image, struct uuid topic, const int32_t *replicas,
                           const int32_t *isr, int32_t leader)
{
    int32_t copy[2][IMAGE_REPLICAS_MAX] = {{0}};
    struct metadata_record record;

    records_default(&record, RECORD_PARTITION);
    record.partition.topic_id = topic;
    record.partition.partition_id = (int32_t)image_topic_by_id(image, topic)->partitions_count;
    record.partition.replicas_count = image_build_count(replicas);
    record.partition.isr_count = image_build_count(isr);
    memcpy(copy[0], replicas, record.partition.replicas_count * sizeof(int32_t));
    memcpy(copy[1], isr, record.partition.isr_count * sizeof(int32_t));
    record.partition.replicas = copy[0];
    record.partition.isr = copy[1];
    record.partition.leader = leader;
    record.partition.leader_epoch = 5;
    record.partition.partition_epoch = 9;
    image_build_apply(image, &record);
}

void image_build_config(struct image *image, const char *topic, const char *key, const char *value)
{
    struct metadata_record record;

    records_default(&record, RECORD_CONFIG);
    record.config.resource_type = IMAGE_RESOURCE_TOPIC;
    record.config.resource_name = str_of(topic);
    record.config.name = str_of(key);
    record.config.value = value != NULL ? str_of(value) : STR_NULL;
    image_build_apply(image, &record);
}
