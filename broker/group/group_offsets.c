#include "broker/group/group_offsets.h"

#include <string.h>

void group_offsets_init(struct group_offsets *offsets, struct mem *mem, uint64_t seed)
{
    *offsets = (struct group_offsets){.mem = mem, .seed = seed};
    map_init(&offsets->topics, mem, seed, GROUP_OFFSETS_TOPICS_MAX);
}

static struct group_offsets_topic *find_topic(const struct group_offsets *offsets, struct str name)
{
    struct map_node *node = map_find_str(&offsets->topics, name);

    return node != NULL ? MAP_ENTRY(node, struct group_offsets_topic, node) : NULL;
}

static struct group_offset *find(const struct group_offsets_topic *topic, int32_t partition)
{
    struct map_node *node = map_find_u64(&topic->partitions, (uint32_t)partition);

    return node != NULL ? MAP_ENTRY(node, struct group_offset, node) : NULL;
}

static void drop(struct group_offsets *offsets, struct group_offsets_topic *topic,
                 struct group_offset *offset)
{
    map_remove(&topic->partitions, &offset->node);
    mem_free(offsets->mem, offset, offset->block_size);
    offsets->count--;
}

static void drop_topic(struct group_offsets *offsets, struct group_offsets_topic *topic)
{
    MAP_FOR_EACH_SAFE (node, next, &topic->partitions)
        drop(offsets, topic, MAP_ENTRY(node, struct group_offset, node));
    map_deinit(&topic->partitions);
    map_remove(&offsets->topics, &topic->node);
    mem_free(offsets->mem, topic, topic->block_size);
}

void group_offsets_deinit(struct group_offsets *offsets)
{
    MAP_FOR_EACH_SAFE (node, next, &offsets->topics)
        drop_topic(offsets, MAP_ENTRY(node, struct group_offsets_topic, node));
    map_deinit(&offsets->topics);
}

static struct group_offsets_topic *add_topic(struct group_offsets *offsets, struct str name)
{
    size_t size = sizeof(struct group_offsets_topic) + name.length;
    struct group_offsets_topic *topic = mem_zalloc(offsets->mem, size);
    char *copy;

    if (topic == NULL) return NULL;
    copy = (char *)(topic + 1);
    if (name.length > 0) memcpy(copy, name.data, name.length);
    topic->name = (struct str){copy, name.length};
    topic->block_size = size;
    map_init(&topic->partitions, offsets->mem, offsets->seed, GROUP_OFFSETS_PARTITIONS_MAX);
    if (map_add_str(&offsets->topics, &topic->node, topic->name) != ERR_NONE) {
        map_deinit(&topic->partitions);
        mem_free(offsets->mem, topic, size);
        return NULL;
    }
    return topic;
}

static struct group_offset *make(struct group_offsets *offsets, int32_t partition,
                                 const struct group_offsets_value *value)
{
    size_t size = sizeof(struct group_offset) + value->metadata.length;
    struct group_offset *offset = mem_zalloc(offsets->mem, size);
    char *copy;

    if (offset == NULL) return NULL;
    copy = (char *)(offset + 1);
    if (value->metadata.length > 0) memcpy(copy, value->metadata.data, value->metadata.length);
    offset->block_size = size;
    offset->partition = partition;
    offset->leader_epoch = value->leader_epoch;
    offset->offset = value->offset;
    offset->commit_ms = value->commit_ms;
    offset->expire_ms = value->expire_ms;
    offset->record = value->record;
    offset->metadata = (struct str){copy, value->metadata.length};
    return offset;
}

enum err group_offsets_put(struct group_offsets *offsets, struct str topic_name, int32_t partition,
                           const struct group_offsets_value *value)
{
    struct group_offsets_topic *topic = find_topic(offsets, topic_name);
    struct group_offset *old = topic != NULL ? find(topic, partition) : NULL;
    struct group_offset *fresh;
    enum err err;

    if (old != NULL && old->record > value->record) return ERR_NONE;
    fresh = make(offsets, partition, value);
    if (fresh == NULL) return ERR_NO_MEMORY;
    if (topic == NULL) topic = add_topic(offsets, topic_name);
    if (topic == NULL) {
        mem_free(offsets->mem, fresh, fresh->block_size);
        return ERR_NO_MEMORY;
    }
    if (old != NULL) drop(offsets, topic, old);
    err = map_add_u64(&topic->partitions, &fresh->node, (uint32_t)partition);
    if (err != ERR_NONE) {
        mem_free(offsets->mem, fresh, fresh->block_size);
        if (topic->partitions.count == 0) drop_topic(offsets, topic);
        return err;
    }
    offsets->count++;
    return ERR_NONE;
}

void group_offsets_remove(struct group_offsets *offsets, struct str topic_name, int32_t partition)
{
    struct group_offsets_topic *topic = find_topic(offsets, topic_name);
    struct group_offset *offset = topic != NULL ? find(topic, partition) : NULL;

    if (offset == NULL) return;
    drop(offsets, topic, offset);
    if (topic->partitions.count == 0) drop_topic(offsets, topic);
}

const struct group_offset *group_offsets_find(const struct group_offsets *offsets,
                                              struct str topic_name, int32_t partition)
{
    const struct group_offsets_topic *topic = find_topic(offsets, topic_name);

    return topic != NULL ? find(topic, partition) : NULL;
}
