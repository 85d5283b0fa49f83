/* AlterPartitionReassignments and ListPartitionReassignments (KIP-455): where replicas are to be.
 *
 *   {1,2,3} to {4,2,5}: replicas 4,2,5,1,3   adding 4,5   removing 1,3
 *   its end:            replicas 4,2,5                            partition_change.c
 *   cancelled:          replicas 2,1,3       out of the ISR: 4,5
 *
 * A new target replaces one under way. Who was being added and is no target any more is removed
 * like the others, at the end: it may lead by then, or be the whole ISR (KAFKA-14808). Who was
 * being added and is a target still stays one who is added: the end waits for it, a cancellation
 * takes it out. DIFFERS: Kafka forgets that it was new.
 *
 * Nothing of a reassignment is in memory only: another controller goes on with it. */
#include "broker/controller/controller_parts.h"

#include <string.h>

typedef struct alter_partition_reassignments_request_topic alter_in;
typedef struct alter_partition_reassignments_request_partition part_in;
typedef struct alter_partition_reassignments_response_response alter_out;
typedef struct alter_partition_reassignments_response_partition part_out;

struct ids {
    int32_t ids[IMAGE_REPLICAS_MAX];
    uint32_t count;
};

struct reassign {
    struct controller *c;
    const struct image_topic *topic; /* NULL: unknown */
    struct records *records;
    struct arena *arena; /* of the response */
};

static struct image_ids view(const struct ids *ids)
{
    return (struct image_ids){ids->ids, ids->count};
}

static void add(struct ids *ids, int32_t id)
{
    ASSERT(ids->count < IMAGE_REPLICAS_MAX);
    ids->ids[ids->count++] = id;
}

static void add_without(struct ids *ids, struct image_ids from, struct image_ids without)
{
    for (uint32_t i = 0; i < from.count; i++)
        if (!image_ids_contain(without, from.ids[i])) add(ids, from.ids[i]);
}

static enum err refuse(part_out *out, enum err err, const char *why)
{
    out->error_message = str_of(why);
    return err;
}

static void put(const struct reassign *r, const struct partition_change *change, int32_t index)
{
    struct partition_decision decision;

    partition_change_decide(change, &decision);
    if (decision.changed) partition_change_put(&decision, r->topic->id, index, r->records);
}

/* ---- a target -------------------------------------------------------------------------------- */

static enum err check_target(const struct reassign *r, struct image_ids target, part_out *out)
{
    if (target.count == 0)
        return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT, "The list of replicas is empty.");
    for (uint32_t i = 0; i < target.count; i++) {
        if (image_broker(&r->c->image, target.ids[i]) == NULL)
            return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                          "The replicas include a broker that is not registered.");
        if (image_ids_contain((struct image_ids){target.ids, i}, target.ids[i]))
            return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                          "The replicas include a broker more than once.");
    }
    return ERR_NONE;
}

static enum err start(const struct reassign *r, const struct image_partition *part,
                      const part_in *in, part_out *out)
{
    struct image_ids target = {in->replicas, in->replicas_count};
    struct image_ids now = image_replicas(part);
    struct ids replicas = {.count = 0}, adding = {.count = 0}, removing = {.count = 0};
    struct partition_change change;
    enum err err = check_target(r, target, out);

    if (err != ERR_NONE) return err;
    add_without(&removing, now, target);
    if (target.count + removing.count > IMAGE_REPLICAS_MAX)
        return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                      "Replicas and those to be removed are more than a partition can have.");
    for (uint32_t i = 0; i < target.count; i++) {
        int32_t id = target.ids[i];

        if (!image_ids_contain(now, id) || image_ids_contain(image_adding(part), id))
            add(&adding, id);
        add(&replicas, id);
    }
    add_without(&replicas, view(&removing), (struct image_ids){NULL, 0});
    replication_control_change(r->c, r->topic, part, &change);
    change.target_replicas = view(&replicas);
    change.target_adding = view(&adding);
    change.target_removing = view(&removing);
    put(r, &change, in->partition_index);
    return ERR_NONE;
}

/* ---- back ------------------------------------------------------------------------------------ */

static bool has_other_than(struct image_ids ids, struct image_ids others)
{
    for (uint32_t i = 0; i < ids.count; i++)
        if (!image_ids_contain(others, ids.ids[i])) return true;
    return false;
}

/* Without those being added nobody is left who is known to have what is committed. */
static bool would_lose(const struct image_partition *part)
{
    const struct image_ids known[] = {image_isr(part), image_elr(part), image_last_known_elr(part)};
    bool any = false;

    for (uint32_t i = 0; i < COUNT_OF(known); i++) {
        if (has_other_than(known[i], image_adding(part))) return false;
        any = any || known[i].count > 0;
    }
    return any;
}

static bool one_is_active(const struct image *image, const struct ids *ids)
{
    for (uint32_t i = 0; i < ids->count; i++)
        if (image_broker_active(image, ids->ids[i])) return true;
    return false;
}

static enum err cancel(const struct reassign *r, const struct image_partition *part, int32_t index,
                       part_out *out)
{
    struct image_ids none = {NULL, 0};
    struct ids replicas = {.count = 0}, isr = {.count = 0};
    struct partition_change change;
    enum election election = replication_control_election(r->c, r->topic);

    if (part->adding_count == 0 && part->removing_count == 0)
        return refuse(out, ERR_NO_REASSIGNMENT_IN_PROGRESS,
                      "No partition reassignment is in progress.");
    add_without(&replicas, image_replicas(part), image_adding(part));
    add_without(&isr, image_isr(part), image_adding(part));
    /* DIFFERS: Kafka takes the first replica, there or not, and calls the election clean. */
    if (replicas.count == 0 || (would_lose(part) && (election != ELECTION_UNCLEAN ||
                                                     !one_is_active(&r->c->image, &replicas))))
        return refuse(out, ERR_INVALID_REPLICA_ASSIGNMENT,
                      "Going back would require an unclean leader election.");
    replication_control_change(r->c, r->topic, part, &change);
    change.target_replicas = view(&replicas);
    change.target_isr = view(&isr);
    change.target_adding = none;
    change.target_removing = none;
    change.election = election;
    put(r, &change, index);
    return ERR_NONE;
}

/* ---- AlterPartitionReassignments ------------------------------------------------------------- */

static enum err alter_one(const struct reassign *r, uint8_t *seen, const part_in *in, part_out *out)
{
    const struct image_partition *part;
    uint8_t bit;

    if (r->topic == NULL)
        return refuse(out, ERR_UNKNOWN_TOPIC_OR_PARTITION, "The topic does not exist.");
    part = image_partition(r->topic, in->partition_index);
    if (part == NULL)
        return refuse(out, ERR_UNKNOWN_TOPIC_OR_PARTITION, "The partition does not exist.");
    bit = (uint8_t)(1u << (in->partition_index & 7));
    /* The second of two would be decided on a state that the first has changed. */
    if ((seen[in->partition_index >> 3] & bit) != 0)
        return refuse(out, ERR_INVALID_REQUEST, "The partition is named twice.");
    seen[in->partition_index >> 3] |= bit;
    if (in->replicas_null) return cancel(r, part, in->partition_index, out);
    return start(r, part, in, out);
}

static enum err alter_topic(const struct reassign *r, bool twice, const alter_in *in,
                            alter_out *out)
{
    uint32_t bytes = r->topic != NULL ? (r->topic->partitions_count + 7) / 8 : 0;
    uint8_t *seen = arena_zalloc(&r->c->arena, bytes + 1);

    alter_partition_reassignments_response_response_default(out);
    out->name = in->name;
    out->partitions = arena_alloc(r->arena, (in->partitions_count + 1) * sizeof *out->partitions);
    if (seen == NULL || out->partitions == NULL) return ERR_NO_MEMORY;
    out->partitions_count = in->partitions_count;
    for (uint32_t i = 0; i < in->partitions_count; i++) {
        part_out *part = &out->partitions[i];
        enum err err;

        alter_partition_reassignments_response_partition_default(part);
        part->partition_index = in->partitions[i].partition_index;
        part->error_message = STR_NULL;
        err = twice ? refuse(part, ERR_INVALID_REQUEST, "The topic is named twice.")
                    : alter_one(r, seen, &in->partitions[i], part);
        part->error_code = (int16_t)err;
    }
    return ERR_NONE;
}

enum err reassign_alter(struct controller *c,
                        const struct alter_partition_reassignments_request *request,
                        struct alter_partition_reassignments_response *response,
                        struct arena *arena)
{
    struct records records;
    struct reassign r = {.c = c, .records = &records, .arena = arena};
    uint32_t count = request->topics_count;

    response->error_message = STR_NULL;
    response->responses = arena_alloc(arena, (count + 1) * sizeof *response->responses);
    if (response->responses == NULL) return ERR_NO_MEMORY;
    response->responses_count = count;
    records_init(&records, &c->arena);
    for (uint32_t i = 0; i < count; i++) {
        bool twice = false;
        enum err err;

        for (uint32_t j = 0; j < i; j++)
            twice = twice || str_equal(request->topics[j].name, request->topics[i].name);
        r.topic = image_topic_by_name(&c->image, request->topics[i].name);
        err = alter_topic(&r, twice, &request->topics[i], &response->responses[i]);
        if (err != ERR_NONE) return err;
    }
    return controller_write(c, &records, CONTROLLER_ATOMIC);
}

/* ---- ListPartitionReassignments -------------------------------------------------------------- */

typedef struct list_partition_reassignments_response_topic list_out;
typedef struct list_partition_reassignments_response_partition ongoing_out;

static enum err copy_ids(struct arena *arena, struct image_ids ids, int32_t **to, uint32_t *count)
{
    *to = arena_alloc(arena, (ids.count + 1) * sizeof **to);
    if (*to == NULL) return ERR_NO_MEMORY;
    if (ids.count > 0) memcpy(*to, ids.ids, ids.count * sizeof **to);
    *count = ids.count;
    return ERR_NONE;
}

static bool ongoing(const struct image_topic *topic, int32_t index)
{
    const struct image_partition *part = image_partition(topic, index);

    return part != NULL && part->adding_count + part->removing_count > 0;
}

static enum err list_one(struct arena *arena, const struct image_topic *topic, int32_t index,
                         list_out *out)
{
    const struct image_partition *part = image_partition(topic, index);
    ongoing_out *to = &out->partitions[out->partitions_count];
    enum err err;

    list_partition_reassignments_response_partition_default(to);
    to->partition_index = index;
    err = copy_ids(arena, image_replicas(part), &to->replicas, &to->replicas_count);
    if (err == ERR_NONE)
        err = copy_ids(arena, image_adding(part), &to->adding_replicas, &to->adding_replicas_count);
    if (err == ERR_NONE)
        err = copy_ids(arena, image_removing(part), &to->removing_replicas,
                       &to->removing_replicas_count);
    if (err == ERR_NONE) out->partitions_count++;
    return err;
}

/* `wanted` NULL: all of its partitions. A topic without any is not told of. */
static enum err list_topic(struct list_partition_reassignments_response *response,
                           const struct image_topic *topic,
                           const struct list_partition_reassignments_request_topic *wanted,
                           struct arena *arena)
{
    list_out *out = &response->topics[response->topics_count];
    uint32_t named = wanted != NULL ? wanted->partition_indexes_count : topic->partitions_count;
    uint32_t count = 0;

    for (uint32_t i = 0; i < named; i++)
        count += ongoing(topic, wanted != NULL ? wanted->partition_indexes[i] : (int32_t)i);
    if (count == 0) return ERR_NONE;
    list_partition_reassignments_response_topic_default(out);
    out->partitions = arena_alloc(arena, count * sizeof *out->partitions);
    if (out->partitions == NULL) return ERR_NO_MEMORY;
    if (replication_control_keep_name(arena, topic, &out->name) != ERR_NONE) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < named; i++) {
        int32_t index = wanted != NULL ? wanted->partition_indexes[i] : (int32_t)i;
        enum err err = ongoing(topic, index) ? list_one(arena, topic, index, out) : ERR_NONE;

        if (err != ERR_NONE) return err;
    }
    response->topics_count++;
    return ERR_NONE;
}

/* Reads the working image; that is committed when the call ends. DIFFERS: walks all partitions
 * where all are asked for; Kafka keeps a list of those under way. */
enum err reassign_list(struct controller *c,
                       const struct list_partition_reassignments_request *request,
                       struct list_partition_reassignments_response *response, struct arena *arena)
{
    uint32_t most = request->topics_null ? c->image.topics_by_id.count : request->topics_count;
    enum err err = ERR_NONE;

    response->error_message = STR_NULL;
    response->topics = arena_alloc(arena, (most + 1) * sizeof *response->topics);
    if (response->topics == NULL) return ERR_NO_MEMORY;
    if (request->topics_null) {
        MAP_FOR_EACH (node, &c->image.topics_by_id) {
            if (err != ERR_NONE) return err;
            err = list_topic(response, MAP_ENTRY(node, struct image_topic, by_id), NULL, arena);
        }
    }
    for (uint32_t i = 0; err == ERR_NONE && i < request->topics_count; i++) {
        const struct image_topic *topic = image_topic_by_name(&c->image, request->topics[i].name);

        if (topic != NULL) err = list_topic(response, topic, &request->topics[i], arena);
    }
    return err;
}
