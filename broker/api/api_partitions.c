/* DescribeTopicPartitions (KIP-966): the partitions of topics in the order of their names, page by
 * page, with their eligible leader replicas.
 *
 * A page ends with the partition that fills it; the answer then names the next one, which the next
 * request may name as its cursor. A cursor whose topic has gone goes on with the topic after it. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/describe_topic_partitions.h"

enum { PARTITIONS_PAGE_MAX = 2000 }; /* max.request.partition.size.limit */

typedef struct describe_topic_partitions_response_topic topic_out;
typedef struct describe_topic_partitions_response_partition partition_out;

/* Names that are still to be told, as a heap: the least is in front. */
struct names {
    struct str *items;
    uint32_t count;
};

static void names_sink(struct names *names, uint32_t at)
{
    for (;;) {
        uint32_t least = at;
        struct str item = names->items[at];

        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < names->count; child++)
            if (str_compare(names->items[child], names->items[least]) < 0) least = child;
        if (least == at) return;
        names->items[at] = names->items[least];
        names->items[least] = item;
        at = least;
    }
}

static struct str names_take(struct names *names)
{
    struct str first = names->items[0];

    names->items[0] = names->items[--names->count];
    if (names->count > 0) names_sink(names, 0);
    return first;
}

/* Those asked for, or all; from the cursor's on. */
static enum err names_fill(struct request *request,
                           const struct describe_topic_partitions_request *body,
                           struct names *names)
{
    const struct image *image = &request->node->loader.image;
    struct str from = body->cursor_null ? STR("") : body->cursor.topic_name;
    uint32_t most = body->topics_count > 0 ? body->topics_count : image->topics_by_id.count;

    names->count = 0;
    names->items = request_alloc(request, (most + 1) * sizeof *names->items);
    if (names->items == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < body->topics_count; i++)
        if (str_compare(body->topics[i].name, from) >= 0)
            names->items[names->count++] = body->topics[i].name;
    MAP_FOR_EACH (entry, &image->topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(entry, struct image_topic, by_id);

        if (body->topics_count == 0 && str_compare(topic->name, from) >= 0)
            names->items[names->count++] = topic->name;
    }
    for (uint32_t i = names->count / 2; i-- > 0;)
        names_sink(names, i);
    return ERR_NONE;
}

static enum err tell_partition(struct request *request, const struct image_partition *part,
                               int32_t index, partition_out *out)
{
    enum err err;

    describe_topic_partitions_response_partition_default(out);
    out->partition_index = index;
    out->leader_epoch = part->leader_epoch;
    out->error_code = (int16_t)api_metadata_leader(request, part, &out->leader_id);
    out->eligible_leader_replicas_null = false;
    out->last_known_elr_null = false;
    err = api_metadata_ids(request, image_replicas(part), &out->replica_nodes,
                           &out->replica_nodes_count);
    if (err == ERR_NONE)
        err = api_metadata_ids(request, image_isr(part), &out->isr_nodes, &out->isr_nodes_count);
    if (err == ERR_NONE)
        err = api_metadata_ids(request, image_elr(part), &out->eligible_leader_replicas,
                               &out->eligible_leader_replicas_count);
    if (err == ERR_NONE)
        err = api_metadata_ids(request, image_last_known_elr(part), &out->last_known_elr,
                               &out->last_known_elr_count);
    if (err != ERR_NONE) return err;
    return api_metadata_offline(request, image_replicas(part), &out->offline_replicas,
                                &out->offline_replicas_count);
}

/* Partitions from `first` on, `room` at most. */
static enum err tell_topic(struct request *request, const struct image_topic *topic, uint32_t first,
                           uint32_t room, topic_out *out)
{
    uint32_t left = first < topic->partitions_count ? topic->partitions_count - first : 0;
    uint32_t count = left < room ? left : room;

    out->topic_id = topic->id;
    out->is_internal = api_topics_internal(topic->name);
    out->partitions = request_alloc(request, (count + 1) * sizeof *out->partitions);
    if (out->partitions == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        enum err err = tell_partition(request, &topic->partitions[first + i], (int32_t)(first + i),
                                      &out->partitions[i]);

        if (err != ERR_NONE) return err;
    }
    out->partitions_count = count;
    return ERR_NONE;
}

static enum err tell(struct request *request, const struct describe_topic_partitions_request *body,
                     struct describe_topic_partitions_response *response)
{
    const struct image *image = &request->node->loader.image;
    struct str last = STR_NULL;
    struct names names;
    uint32_t room = PARTITIONS_PAGE_MAX;
    enum err err = names_fill(request, body, &names);

    if (err != ERR_NONE) return err;
    if (body->response_partition_limit < PARTITIONS_PAGE_MAX)
        room = body->response_partition_limit < 1 ? 1 : (uint32_t)body->response_partition_limit;
    response->topics = request_alloc(request, (names.count + 1) * sizeof *response->topics);
    if (response->topics == NULL) return ERR_NO_MEMORY;
    while (names.count > 0) {
        struct str name = names_take(&names);
        const struct image_topic *topic = image_topic_by_name(image, name);
        topic_out *out = &response->topics[response->topics_count];
        uint32_t first = 0;

        if (last.data != NULL && str_equal(last, name)) continue; /* named twice */
        last = name;
        if (!body->cursor_null && str_equal(body->cursor.topic_name, name))
            first = (uint32_t)body->cursor.partition_index;
        if (room == 0 || (topic != NULL && topic->partitions_count > first &&
                          topic->partitions_count - first > room)) {
            response->next_cursor_null = false;
            response->next_cursor.topic_name = name;
            response->next_cursor.partition_index = (int32_t)(first + room);
            if (room == 0) return ERR_NONE;
        }
        describe_topic_partitions_response_topic_default(out);
        out->name = name;
        response->topics_count++;
        if (topic == NULL) {
            out->error_code = (int16_t)(api_metadata_name_ok(name) ? ERR_UNKNOWN_TOPIC_OR_PARTITION
                                                                   : ERR_INVALID_TOPIC_EXCEPTION);
            continue;
        }
        err = tell_topic(request, topic, first, room, out);
        if (err != ERR_NONE || !response->next_cursor_null) return err;
        room -= out->partitions_count;
    }
    return ERR_NONE;
}

void api_partitions_handle(struct request *request)
{
    struct describe_topic_partitions_response response;
    struct describe_topic_partitions_request body;
    enum err err;

    if (request_decode(request, &body) != ERR_NONE) return;
    describe_topic_partitions_response_default(&response);
    /* There is no place for an error of the whole. */
    if (!body.cursor_null && body.cursor.partition_index < 0) {
        request_abandon(request, ERR_INVALID_REQUEST);
        return;
    }
    err = tell(request, &body, &response);
    if (err != ERR_NONE) {
        request_abandon(request, err);
        return;
    }
    request_answer(request, &response);
}
