#include "broker/controller/loader.h"

#include "client/base/text.h"

#include <string.h>

enum { LOADER_ARENA_MAX = RECORDS_BATCH_BYTES_MAX }; /* one decoded record */

void loader_init(struct loader *loader, struct world *world, struct mem *mem,
                 const struct loader_config *config)
{
    *loader = (struct loader){
        .failed = ERR_NONE, .world = world, .metadata_version_max = config->metadata_version_max};
    image_init(&loader->image, mem, &config->limits, config->hash_seed, true);
    image_init(&loader->staging, mem, &config->limits, config->hash_seed + 16, false);
    op_source_init(&loader->applied_source);
    arena_init(&loader->arena, mem, LOADER_ARENA_MAX);
    list_init(&loader->publishers);
    list_init(&loader->held);
    loader->transaction = -1;
}

/* A record of a transaction that is not decided. */
struct loader_held {
    struct list link;
    int64_t offset;
    int32_t epoch;
    uint32_t length;
    uint8_t value[];
};

static void drop_held(struct loader *loader)
{
    struct list *link;

    while ((link = list_pop(&loader->held)) != NULL) {
        struct loader_held *held = LIST_ENTRY(link, struct loader_held, link);

        mem_free(loader->arena.mem, held, sizeof *held + held->length);
    }
    loader->held_bytes = 0;
    loader->transaction = -1;
}

void loader_deinit(struct loader *loader)
{
    while (list_pop(&loader->publishers) != NULL)
        continue;
    loader_snapshot_close(loader);
    drop_held(loader);
    arena_deinit(&loader->arena);
    image_deinit(&loader->staging);
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
    case RECORD_BEGIN_TRANSACTION:
    case RECORD_END_TRANSACTION:
    case RECORD_ABORT_TRANSACTION:
    case RECORD_REGISTER_CONTROLLER:
    case RECORD_CLEAR_ELR: break;
    }
}

/* A level that this build does not know: what comes after it may say things that would be lost
 * here. */
static enum err check_level(const struct loader *loader, const struct metadata_record *record)
{
    if (record->id != RECORD_FEATURE_LEVEL || loader->metadata_version_max == 0) return ERR_NONE;
    if (!str_equal(record->feature_level.name, STR("metadata.version"))) return ERR_NONE;
    return record->feature_level.feature_level > loader->metadata_version_max ? ERR_UNSUPPORTED
                                                                              : ERR_NONE;
}

/* Once per kind: what a directory of Kafka's has and this house does not act on. */
static void tell_foreign(struct loader *loader, uint32_t kind)
{
    char buffer[80];
    struct text text;

    if (kind == 0 || (loader->foreign & UINT32_C(1) << kind) != 0) return;
    loader->foreign |= UINT32_C(1) << kind;
    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "metadata records of kind %u have no effect here", kind);
    TRACE_TEXT(loader->world, NODE_WARNING, text_view(&text), ERR_UNSUPPORTED);
}

static enum err apply(struct loader *loader, const struct metadata_record *record, int64_t offset,
                      int32_t epoch)
{
    enum err err = image_apply(&loader->image, record, offset, epoch);

    if (err == ERR_NONE) tell(loader, record);
    return err;
}

static enum err hold(struct loader *loader, int64_t offset, int32_t epoch, struct bytes value)
{
    size_t size = sizeof(struct loader_held) + value.length;
    struct loader_held *held;

    if (loader->held_bytes + size > LOADER_HELD_MAX) return ERR_TOO_LARGE;
    held = mem_alloc(loader->arena.mem, size);
    if (held == NULL) return ERR_NO_MEMORY;
    *held = (struct loader_held){.offset = offset, .epoch = epoch, .length = value.length};
    list_init(&held->link);
    memcpy(held->value, value.data, value.length);
    list_push(&loader->held, &held->link);
    loader->held_bytes += size;
    return ERR_NONE;
}

static enum err apply_held(struct loader *loader)
{
    enum err err = ERR_NONE;

    LIST_FOR_EACH (link, &loader->held) {
        const struct loader_held *held = LIST_ENTRY(link, struct loader_held, link);
        struct metadata_record record;

        err = records_decode((struct bytes){held->value, held->length}, &loader->arena, &record);
        if (err == ERR_NONE) err = apply(loader, &record, held->offset, held->epoch);
        arena_reset(&loader->arena);
        if (err != ERR_NONE) break;
    }
    drop_held(loader);
    return err;
}

/* One record in its place among transactions. */
static enum err take(struct loader *loader, const struct metadata_record *record, int64_t offset,
                     int32_t epoch, struct bytes value)
{
    bool open = loader_in_transaction(loader);

    if (record->id == RECORD_BEGIN_TRANSACTION) {
        if (open) return ERR_MALFORMED;
        loader->transaction = offset;
        return ERR_NONE;
    }
    if (record->id == RECORD_ABORT_TRANSACTION) {
        if (!open) return ERR_MALFORMED;
        drop_held(loader);
        return ERR_NONE;
    }
    if (record->id == RECORD_END_TRANSACTION) return open ? apply_held(loader) : ERR_MALFORMED;
    return open ? hold(loader, offset, epoch, value) : apply(loader, record, offset, epoch);
}

enum err loader_record(struct loader *loader, int64_t offset, int32_t epoch, struct bytes value)
{
    struct metadata_record record;

    if (loader->failed != ERR_NONE) return loader->failed;
    ASSERT(offset > loader->image.last_offset); /* K25 */
    loader->failed = records_decode(value, &loader->arena, &record);
    if (loader->failed == ERR_NONE) loader->failed = check_level(loader, &record);
    if (loader->failed == ERR_NONE) {
        tell_foreign(loader, record.foreign);
        loader->failed = take(loader, &record, offset, epoch, value);
    }
    arena_reset(&loader->arena);
    return loader->failed;
}

static void publish(struct loader *loader, bool caught_up)
{
    struct image *image = &loader->image;

    loader->published = image->last_offset;
    TRACE(loader->world, META_APPLIED, image->last_offset, image->last_epoch,
          (int64_t)image->digest);
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

void loader_batch(struct loader *loader, int64_t end, int32_t epoch, bool caught_up)
{
    struct image *image = &loader->image;

    if (loader->failed != ERR_NONE) return;
    loader->told_end = end;
    if (loader_in_transaction(loader)) {
        /* What stands before it is published, once; the rest with its end. */
        if (loader->transaction - 1 > image->last_offset)
            image_advance(image, loader->transaction - 1, epoch);
        if (image->last_offset == loader->published && loader->publishing) return;
    } else if (end - 1 > image->last_offset) {
        image_advance(image, end - 1, epoch);
    }
    publish(loader, caught_up);
}

/* ---- a snapshot comes ------------------------------------------------------------------------ */

void loader_snapshot_begin(struct loader *loader, int64_t end, int32_t epoch)
{
    ASSERT(!loader->loading);
    loader->loading = true;
    loader->staging_end = end;
    loader->staging_epoch = epoch;
}

enum err loader_snapshot_record(struct loader *loader, struct bytes value)
{
    struct metadata_record record;
    enum err err;

    ASSERT(loader->loading);
    err = records_decode(value, &loader->arena, &record);
    if (err == ERR_NONE) err = check_level(loader, &record);
    if (err == ERR_NONE)
        err =
            image_apply(&loader->staging, &record, loader->staging_end - 1, loader->staging_epoch);
    arena_reset(&loader->arena);
    return err;
}

void loader_snapshot_dropped(struct loader *loader)
{
    image_clear(&loader->staging);
    loader->loading = false;
}

/* What a delta of many records leaves untold (see tell()). */
static void tell_replaced(struct loader *loader)
{
    const struct image *image = &loader->image;

    LIST_FOR_EACH (link, &image->deleted_topics) {
        const struct image_topic *topic = LIST_ENTRY(link, struct image_topic, changed);

        TRACE(loader->world, TOPIC_KNOWN, (int64_t)uuid_high(topic->id), -1);
    }
    LIST_FOR_EACH (link, &image->changed_topics) {
        const struct image_topic *topic = LIST_ENTRY(link, struct image_topic, changed);

        if (topic->created)
            TRACE_TEXT(loader->world, TOPIC_KNOWN, topic->name, (int64_t)uuid_high(topic->id), 0);
    }
    LIST_FOR_EACH (link, &image->changed_brokers) {
        tell_broker(loader, LIST_ENTRY(link, struct image_broker, changed)->id);
    }
}

enum err loader_snapshot_loaded(struct loader *loader, bool caught_up)
{
    ASSERT(loader->loading);
    if (loader->failed == ERR_NONE) {
        if (loader->staging_end - 1 > loader->staging.last_offset)
            image_advance(&loader->staging, loader->staging_end - 1, loader->staging_epoch);
        loader->failed = image_replace(&loader->image, &loader->staging);
    }
    loader_snapshot_dropped(loader);
    drop_held(loader); /* the snapshot says what became of it */
    if (loader->failed != ERR_NONE) return loader->failed;
    tell_replaced(loader);
    publish(loader, caught_up);
    return ERR_NONE;
}

/* ---- a snapshot goes ------------------------------------------------------------------------- */

enum err loader_snapshot_open(struct loader *loader)
{
    ASSERT(loader->cursor == NULL);
    /* The image stays at the record that failed; the quorum's end goes on. Under that end it would
     * be taken for all that the log says (K18, K22). */
    if (loader->failed != ERR_NONE) return loader->failed;
    if (loader_in_transaction(loader)) return ERR_BAD_STATE; /* told as more than it has */
    loader->cursor = image_cursor_create(&loader->image);
    return loader->cursor != NULL ? ERR_NONE : ERR_NO_MEMORY;
}

enum err loader_snapshot_next(struct loader *loader, struct bytes *value)
{
    struct metadata_record record;
    enum err err = image_cursor_next(loader->cursor, &record);

    arena_reset(&loader->arena);
    return err != ERR_NONE ? err : records_encode(&record, &loader->arena, value);
}

void loader_snapshot_close(struct loader *loader)
{
    if (loader->cursor == NULL) return;
    arena_reset(&loader->arena);
    image_cursor_destroy(loader->cursor);
    loader->cursor = NULL;
}
