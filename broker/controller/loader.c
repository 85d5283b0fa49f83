#include "broker/controller/loader.h"

enum { LOADER_ARENA_MAX = RECORDS_BATCH_BYTES_MAX }; /* one decoded record */

void loader_init(struct loader *loader, struct world *world, struct mem *mem,
                 const struct loader_config *config)
{
    *loader = (struct loader){.failed = ERR_NONE, .world = world};
    image_init(&loader->image, mem, &config->limits, config->hash_seed, true);
    op_source_init(&loader->applied_source);
    arena_init(&loader->arena, mem, LOADER_ARENA_MAX);
    list_init(&loader->publishers);
}

void loader_deinit(struct loader *loader)
{
    while (list_pop(&loader->publishers) != NULL)
        continue;
    arena_deinit(&loader->arena);
    image_deinit(&loader->image);
}

void loader_add(struct loader *loader, struct loader_publisher *publisher)
{
    ASSERT(!loader->publishing);
    list_init(&publisher->link);
    list_push(&loader->publishers, &publisher->link);
}

static void tell_broker(struct loader *loader, int32_t id)
{
    const struct image_broker *broker = image_broker(&loader->image, id);

    if (broker != NULL) TRACE(loader->world, META_BROKER, id, broker->epoch, broker->fenced);
}

/* What people and oracles want to know of a record beyond the digest. */
static void tell(struct loader *loader, const struct metadata_record *record)
{
    switch (record->id) {
    case RECORD_REGISTER_BROKER: tell_broker(loader, record->register_broker.broker_id); break;
    case RECORD_BROKER_REGISTRATION_CHANGE:
        tell_broker(loader, record->registration_change.broker_id);
        break;
    case RECORD_TOPIC:
        TRACE_TEXT(loader->world, TOPIC_KNOWN, record->topic.name,
                   (int64_t)uuid_high(record->topic.topic_id), 0);
        break;
    case RECORD_REMOVE_TOPIC:
        TRACE(loader->world, TOPIC_KNOWN, (int64_t)uuid_high(record->remove_topic.topic_id), -1);
        break;
    case RECORD_UNREGISTER_BROKER:
    case RECORD_PARTITION:
    case RECORD_CONFIG:
    case RECORD_PARTITION_CHANGE:
    case RECORD_FEATURE_LEVEL:
    case RECORD_PRODUCER_IDS:
    case RECORD_NO_OP:
    case RECORD_REGISTER_CONTROLLER: break;
    }
}

enum err loader_record(struct loader *loader, int64_t offset, int32_t epoch, struct bytes value)
{
    struct metadata_record record;

    if (loader->failed != ERR_NONE) return loader->failed;
    ASSERT(offset > loader->image.last_offset); /* K25 */
    loader->failed = records_decode(value, &loader->arena, &record);
    if (loader->failed == ERR_NONE)
        loader->failed = image_apply(&loader->image, &record, offset, epoch);
    if (loader->failed == ERR_NONE) tell(loader, &record);
    arena_reset(&loader->arena);
    return loader->failed;
}

void loader_batch(struct loader *loader, int64_t end, int32_t epoch, bool caught_up)
{
    struct image *image = &loader->image;

    if (loader->failed != ERR_NONE) return;
    if (end - 1 > image->last_offset) image_advance(image, end - 1, epoch);
    TRACE(loader->world, META_APPLIED, image->last_offset, epoch, (int64_t)image->digest);
    if (caught_up) loader->publishing = true;
    if (loader->publishing) {
        LIST_FOR_EACH (link, &loader->publishers) {
            struct loader_publisher *publisher = LIST_ENTRY(link, struct loader_publisher, link);

            publisher->publish(publisher, image);
        }
        image_mark(image);
    }
    op_wake_below(&loader->applied_source, image->last_offset);
}
