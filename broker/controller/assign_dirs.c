/* AssignReplicasToDirs (KIP-858): which log directory of its broker a replica lies in. What matters
 * here is a replica that lies in none that works: it leaves the ISR, and another replica leads.
 *
 * DIFFERS: which of the working directories it is, is checked and not recorded in the metadata; no
 * decision depends on it. A broker tells of a replica again as long as the metadata names it. */
#include "broker/controller/controller_parts.h"

typedef struct assign_replicas_to_dirs_request_topic assign_in;
typedef struct assign_replicas_to_dirs_response_topic assign_out;

struct assign {
    struct controller *c;
    const struct image_broker *broker;
    struct records *records;
    struct arena *arena;
    bool works; /* the directory at hand */
};

/* What is eligible goes for the sake of those in sync, and not before one of them was heard of in
 * this life of the broker: if all of them are dead, and come back with less, nobody else has what
 * was committed (R41). They are fenced meanwhile, and the broker asks again or leads. */
static bool spared(const struct assign *a, const struct image_partition *part)
{
    struct image_ids isr = image_isr(part);

    return isr.count > 0 && !image_ids_contain(isr, a->broker->id) &&
           image_ids_contain(image_elr(part), a->broker->id) &&
           !cluster_control_witnessed(a->c, a->broker, isr);
}

static enum err assign_one(const struct assign *a, const struct image_topic *topic, int32_t index)
{
    const struct image_partition *part = image_partition(topic, index);

    if (part == NULL) return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!image_ids_contain(image_replicas(part), a->broker->id)) return ERR_NOT_LEADER_OR_FOLLOWER;
    if (a->works) return ERR_NONE;
    if (spared(a, part)) return ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE;
    replication_control_replica_leaves(a->c, topic, (uint32_t)index, a->broker->id, a->records);
    return ERR_NONE;
}

static enum err assign_topic(const struct assign *a, const assign_in *in, assign_out *out)
{
    const struct image_topic *topic = image_topic_by_id(&a->c->image, in->topic_id);
    uint32_t bytes = topic != NULL ? (topic->partitions_count + 7) / 8 : 0;
    uint8_t *seen = arena_zalloc(&a->c->arena, bytes + 1);

    out->topic_id = in->topic_id;
    out->partitions = arena_zalloc(a->arena, (in->partitions_count + 1) * sizeof *out->partitions);
    if (seen == NULL || out->partitions == NULL) return ERR_NO_MEMORY;
    out->partitions_count = in->partitions_count;
    for (uint32_t i = 0; i < in->partitions_count; i++) {
        int32_t index = in->partitions[i].partition_index;
        enum err err = ERR_UNKNOWN_TOPIC_ID;

        if (topic != NULL && image_partition(topic, index) == NULL) {
            err = ERR_UNKNOWN_TOPIC_OR_PARTITION;
        } else if (topic != NULL) {
            uint8_t bit = (uint8_t)(1u << (index & 7));

            /* The second of two would be decided on a state that the first has changed. */
            err = (seen[index >> 3] & bit) != 0 ? ERR_INVALID_REQUEST : assign_one(a, topic, index);
            seen[index >> 3] |= bit;
        }
        out->partitions[i].partition_index = index;
        out->partitions[i].error_code = (int16_t)err;
    }
    return ERR_NONE;
}

static bool topic_twice(const struct assign_replicas_to_dirs_request *request, uint32_t dir,
                        uint32_t topic)
{
    struct uuid id = request->directories[dir].topics[topic].topic_id;

    for (uint32_t d = 0; d <= dir; d++) {
        uint32_t count = d == dir ? topic : request->directories[d].topics_count;

        for (uint32_t t = 0; t < count; t++)
            if (uuid_equal(request->directories[d].topics[t].topic_id, id)) return true;
    }
    return false;
}

static bool dir_works(const struct image_broker *broker, struct uuid id)
{
    for (uint32_t i = 0; i < broker->log_dirs_count; i++)
        if (uuid_equal(broker->log_dirs[i], id)) return true;
    return false;
}

enum err assign_dirs_decide(struct controller *c,
                            const struct assign_replicas_to_dirs_request *request,
                            struct assign_replicas_to_dirs_response *response, struct arena *arena)
{
    struct records records;
    struct assign a = {.c = c, .records = &records, .arena = arena};
    enum err err = cluster_control_check_epoch(c, request->broker_id, request->broker_epoch);

    for (uint32_t d = 0; d < request->directories_count && err == ERR_NONE; d++)
        for (uint32_t t = 0; t < request->directories[d].topics_count; t++)
            if (topic_twice(request, d, t)) err = ERR_INVALID_REQUEST;
    response->error_code = (int16_t)err;
    if (err != ERR_NONE) return ERR_NONE;
    a.broker = image_broker(&c->image, request->broker_id);
    records_init(&records, &c->arena);
    response->directories =
        arena_zalloc(arena, (request->directories_count + 1) * sizeof *response->directories);
    if (response->directories == NULL) return ERR_NO_MEMORY;
    response->directories_count = request->directories_count;
    for (uint32_t d = 0; d < request->directories_count; d++) {
        const struct assign_replicas_to_dirs_request_directory *in = &request->directories[d];
        struct assign_replicas_to_dirs_response_directory *out = &response->directories[d];

        a.works = dir_works(a.broker, in->id);
        out->id = in->id;
        out->topics = arena_zalloc(arena, (in->topics_count + 1) * sizeof *out->topics);
        if (out->topics == NULL) return ERR_NO_MEMORY;
        out->topics_count = in->topics_count;
        for (uint32_t t = 0; t < in->topics_count; t++) {
            err = assign_topic(&a, &in->topics[t], &out->topics[t]);
            if (err != ERR_NONE) return err;
        }
    }
    return controller_write(c, &records, CONTROLLER_SPLIT);
}
