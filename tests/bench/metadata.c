/* What the change of one partition costs a node: the record decoded, applied to the committed image
 * and to a working one, told to a publisher that walks the delta. The setup stands outside of
 * change_partitions(), which is what callgrind counts (metadata.sh).
 * usage: bench-metadata PARTITIONS CHANGES */
#include "broker/controller/loader.h"
#include "client/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PER_TOPIC = 10, REGION = 512 << 20 };

static struct {
    struct region region;
    struct mem mem;
    struct world world;
    struct loader loader;
    struct image working;
    struct arena arena;
    struct loader_publisher publisher;
    int64_t offset;
    uint64_t seen;
} bench;

static void ignore(struct world *world, const struct trace_event *event)
{
    (void)world;
    (void)event;
}

static const struct world_ops ops = {.trace = ignore};

static void publish(struct loader_publisher *publisher, const struct image *image)
{
    (void)publisher;
    LIST_FOR_EACH (link, &image->changed_topics) {
        const struct image_topic *topic = LIST_ENTRY(link, struct image_topic, changed);

        for (int32_t i = image_next_changed(topic, 0); i >= 0;
             i = image_next_changed(topic, (uint32_t)i + 1)) {
            bench.seen++;
        }
    }
}

static void give(const struct metadata_record *record)
{
    struct bytes value;
    enum err err = records_encode(record, &bench.arena, &value);

    if (err == ERR_NONE) err = image_apply(&bench.working, record, bench.offset, 1);
    if (err == ERR_NONE) err = loader_record(&bench.loader, bench.offset, 1, value);
    ASSERT(err == ERR_NONE);
    loader_batch(&bench.loader, ++bench.offset, 1, true);
    arena_reset(&bench.arena);
}

static struct uuid topic_id(uint32_t number)
{
    struct uuid id = {{1}};

    memcpy(id.bytes + 8, &number, sizeof number);
    return id;
}

static void build(uint32_t partitions)
{
    static int32_t replicas[] = {1, 2, 3};
    struct metadata_record record;
    char name[32];

    for (int32_t i = 1; i <= 3; i++) {
        records_default(&record, RECORD_REGISTER_BROKER);
        record.register_broker.broker_id = i;
        record.register_broker.broker_epoch = i;
        give(&record);
    }
    for (uint32_t i = 0; i < partitions; i++) {
        if (i % PER_TOPIC == 0) {
            records_default(&record, RECORD_TOPIC);
            snprintf(name, sizeof name, "topic-%u", i / PER_TOPIC);
            record.topic.name = str_of(name);
            record.topic.topic_id = topic_id(i / PER_TOPIC);
            give(&record);
        }
        records_default(&record, RECORD_PARTITION);
        record.partition.topic_id = topic_id(i / PER_TOPIC);
        record.partition.partition_id = (int32_t)(i % PER_TOPIC);
        record.partition.replicas = record.partition.isr = replicas;
        record.partition.replicas_count = record.partition.isr_count = 3;
        record.partition.leader = 1;
        record.partition.leader_epoch = record.partition.partition_epoch = 0;
        give(&record);
    }
}

/* The leader moves, of partitions all over the cluster. */
__attribute__((noinline)) void change_partitions(uint32_t partitions, uint32_t changes);

void change_partitions(uint32_t partitions, uint32_t changes)
{
    struct metadata_record record;

    for (uint32_t i = 0; i < changes; i++) {
        uint32_t which = (uint32_t)((uint64_t)i * 7919 % partitions);

        records_default(&record, RECORD_PARTITION_CHANGE);
        record.partition_change.topic_id = topic_id(which / PER_TOPIC);
        record.partition_change.partition_id = (int32_t)(which % PER_TOPIC);
        record.partition_change.leader = 1 + (int32_t)(i % 3);
        give(&record);
    }
}

int main(int argc, char **argv)
{
    struct loader_config config = {.limits = {16, 20000, 200000}, .hash_seed = 1};
    uint32_t partitions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10;
    uint32_t changes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000;
    void *memory = aligned_alloc(REGION_ALIGN, REGION);

    if (memory == NULL || partitions < PER_TOPIC || partitions % PER_TOPIC != 0) return 2;
    region_init(&bench.region, memory, REGION);
    mem_init(&bench.mem, &bench.region);
    bench.world.ops = &ops;
    loader_init(&bench.loader, &bench.world, &bench.mem, &config);
    bench.publisher.publish = publish;
    loader_add(&bench.loader, &bench.publisher);
    image_init(&bench.working, &bench.mem, &config.limits, 2, false);
    arena_init(&bench.arena, &bench.mem, 1 << 20);
    build(partitions);
    bench.seen = 0;
    change_partitions(partitions, changes);
    if (bench.seen != changes) return 1;
    ASSERT(bench.loader.image.digest == bench.working.digest);
    return 0;
}
