/* An image as records, one at a time, in an order that only its state decides. Each kind of object
 * is taken out of a heap of pointers, so that sorting 100,000 topics is spread over the slices. */
#include "broker/controller/image.h"
#include "broker/controller/image_parts.h"

#include <string.h>

enum cursor_stage {
    CURSOR_FEATURES,
    CURSOR_PRODUCER_IDS,
    CURSOR_BROKERS,
    CURSOR_CONTROLLERS,
    CURSOR_TOPICS,
    CURSOR_RESOURCES,
    CURSOR_END,
};

struct image_cursor {
    const struct image *image;
    enum cursor_stage stage;
    bool entered;
    const void **heap; /* what is left of this stage, the least first */
    uint32_t heap_room;
    uint32_t count;
    struct str last_name; /* of the feature or config that came last; null: none yet */
    const struct image_topic *topic;
    uint32_t partition; /* next of the topic */
    const struct image_resource *resource;
    struct image_scratch scratch;
};

/* ---- order ----------------------------------------------------------------------------------- */

static int compare_str(struct str a, struct str b)
{
    uint32_t length = a.length < b.length ? a.length : b.length;
    int order = length > 0 ? memcmp(a.data, b.data, length) : 0;

    if (order != 0) return order;
    return a.length < b.length ? -1 : a.length > b.length;
}

static bool less(enum cursor_stage stage, const void *a, const void *b)
{
    const struct image_resource *x, *y;

    switch (stage) {
    case CURSOR_BROKERS:
        return ((const struct image_broker *)a)->id < ((const struct image_broker *)b)->id;
    case CURSOR_CONTROLLERS:
        return ((const struct image_controller *)a)->id < ((const struct image_controller *)b)->id;
    case CURSOR_TOPICS:
        return compare_str(((const struct image_topic *)a)->name,
                           ((const struct image_topic *)b)->name) < 0;
    case CURSOR_RESOURCES:
        x = a;
        y = b;
        return x->type != y->type ? x->type < y->type : compare_str(x->name, y->name) < 0;
    case CURSOR_FEATURES:
    case CURSOR_PRODUCER_IDS:
    case CURSOR_END: break;
    }
    IMPOSSIBLE("a stage without a heap");
}

static void sift_down(struct image_cursor *cursor, uint32_t at)
{
    const void *moved = cursor->heap[at];

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= cursor->count) break;
        if (child + 1 < cursor->count &&
            less(cursor->stage, cursor->heap[child + 1], cursor->heap[child]))
            child++;
        if (!less(cursor->stage, cursor->heap[child], moved)) break;
        cursor->heap[at] = cursor->heap[child];
        at = child;
    }
    cursor->heap[at] = moved;
}

static const void *pop(struct image_cursor *cursor)
{
    const void *first = cursor->heap[0];

    cursor->count--;
    if (cursor->count > 0) {
        cursor->heap[0] = cursor->heap[cursor->count];
        sift_down(cursor, 0);
    }
    return first;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static void fill_heap(struct image_cursor *cursor)
{
    const struct image *image = cursor->image;
    uint32_t count = 0;

    if (cursor->stage == CURSOR_BROKERS)
        MAP_FOR_EACH (node, &image->brokers)
            cursor->heap[count++] = MAP_ENTRY(node, struct image_broker, node);
    if (cursor->stage == CURSOR_CONTROLLERS)
        MAP_FOR_EACH (node, &image->controllers)
            cursor->heap[count++] = MAP_ENTRY(node, struct image_controller, node);
    if (cursor->stage == CURSOR_TOPICS)
        MAP_FOR_EACH (node, &image->topics_by_id)
            cursor->heap[count++] = MAP_ENTRY(node, struct image_topic, by_id);
    if (cursor->stage == CURSOR_RESOURCES)
        MAP_FOR_EACH (node, &image->resources)
            cursor->heap[count++] = MAP_ENTRY(node, struct image_resource, node);
    ASSERT(count <= cursor->heap_room);
    cursor->count = count;
    for (uint32_t i = count / 2; i > 0; i--)
        sift_down(cursor, i - 1);
}

static bool next_feature(struct image_cursor *cursor, struct metadata_record *record)
{
    const struct image *image = cursor->image;
    const struct image_feature *least = NULL;

    for (uint32_t i = 0; i < image->features_count; i++) {
        const struct image_feature *feature = &image->features[i];

        if (cursor->last_name.data != NULL && compare_str(feature->name, cursor->last_name) <= 0)
            continue;
        if (least == NULL || compare_str(feature->name, least->name) < 0) least = feature;
    }
    if (least == NULL) return false;
    cursor->last_name = least->name;
    image_fill_feature(least, record);
    return true;
}

static bool next_config(struct image_cursor *cursor, struct metadata_record *record)
{
    const struct image_config *least = NULL;

    LIST_FOR_EACH (link, &cursor->resource->configs) {
        const struct image_config *config = LIST_ENTRY(link, struct image_config, link);

        if (cursor->last_name.data != NULL && compare_str(config->key, cursor->last_name) <= 0)
            continue;
        if (least == NULL || compare_str(config->key, least->key) < 0) least = config;
    }
    if (least == NULL) return false;
    cursor->last_name = least->key;
    image_fill_config(cursor->resource, least, record);
    return true;
}

static bool next_of_topics(struct image_cursor *cursor, struct metadata_record *record)
{
    if (cursor->topic != NULL && cursor->partition < cursor->topic->partitions_count) {
        image_fill_partition(cursor->topic, cursor->partition++, record);
        return true;
    }
    if (cursor->count == 0) return false;
    cursor->topic = pop(cursor);
    cursor->partition = 0;
    image_fill_topic(cursor->topic, record);
    return true;
}

static bool next_of_resources(struct image_cursor *cursor, struct metadata_record *record)
{
    while (cursor->resource == NULL || !next_config(cursor, record)) {
        if (cursor->count == 0) return false;
        cursor->resource = pop(cursor);
        cursor->last_name = STR_NULL;
    }
    return true;
}

/* False: nothing more of this stage. */
static bool next_of_stage(struct image_cursor *cursor, struct metadata_record *record)
{
    switch (cursor->stage) {
    case CURSOR_FEATURES: return next_feature(cursor, record);
    case CURSOR_PRODUCER_IDS:
        if (cursor->entered || cursor->image->next_producer_id == 0) return false;
        image_fill_producer_ids(cursor->image, record);
        return true;
    case CURSOR_BROKERS:
        if (cursor->count == 0) return false;
        image_fill_broker(pop(cursor), &cursor->scratch, record);
        return true;
    case CURSOR_CONTROLLERS:
        if (cursor->count == 0) return false;
        image_fill_controller(pop(cursor), &cursor->scratch, record);
        return true;
    case CURSOR_TOPICS: return next_of_topics(cursor, record);
    case CURSOR_RESOURCES: return next_of_resources(cursor, record);
    case CURSOR_END: break;
    }
    IMPOSSIBLE("past the end");
}

enum err image_cursor_next(struct image_cursor *cursor, struct metadata_record *record)
{
    while (cursor->stage != CURSOR_END) {
        bool found;

        if (!cursor->entered) fill_heap(cursor);
        found = next_of_stage(cursor, record);
        cursor->entered = true;
        if (found) return ERR_NONE;
        cursor->stage++;
        cursor->entered = false;
        cursor->last_name = STR_NULL;
    }
    return ERR_EOF;
}

struct image_cursor *image_cursor_create(const struct image *image)
{
    struct image_cursor *cursor = mem_zalloc(image->mem, sizeof *cursor);
    const uint32_t counts[] = {image->brokers.count, image->controllers.count,
                               image->topics_by_id.count, image->resources.count};

    if (cursor == NULL) return NULL;
    cursor->image = image;
    cursor->heap_room = 1;
    for (uint32_t i = 0; i < COUNT_OF(counts); i++)
        if (counts[i] > cursor->heap_room) cursor->heap_room = counts[i];
    cursor->heap = mem_alloc(image->mem, cursor->heap_room * sizeof *cursor->heap);
    if (cursor->heap == NULL) {
        mem_free(image->mem, cursor, sizeof *cursor);
        return NULL;
    }
    return cursor;
}

void image_cursor_destroy(struct image_cursor *cursor)
{
    struct mem *mem = cursor->image->mem;

    mem_free(mem, cursor->heap, cursor->heap_room * sizeof *cursor->heap);
    mem_free(mem, cursor, sizeof *cursor);
}
