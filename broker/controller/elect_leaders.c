/* ElectLeaders: elections that somebody asked for (KIP-183, KIP-460). Preferred: the first replica
 * leads if it may; unclean: a partition without a leader gets any live replica, whatever is lost.
 * Every decision about one partition is partition_change.c's. */
#include "broker/controller/controller_parts.h"

enum { ELECT_PREFERRED, ELECT_UNCLEAN };

typedef struct elect_leaders_response_partition elect_out;

struct elect {
    struct controller *c;
    int8_t type;
    struct records *records;
    struct arena *arena;
};

static enum err elect_one(const struct elect *e, const struct image_topic *topic, int32_t index)
{
    const struct image_partition *part = topic != NULL ? image_partition(topic, index) : NULL;
    struct partition_change change;
    struct partition_decision decision;

    if (part == NULL) return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if (e->type == ELECT_PREFERRED && part->leader == part->ids[0]) return ERR_ELECTION_NOT_NEEDED;
    if (e->type == ELECT_UNCLEAN && part->leader != IMAGE_NO_LEADER) return ERR_ELECTION_NOT_NEEDED;
    replication_control_change(e->c, topic, part, &change);
    change.election = e->type == ELECT_PREFERRED ? ELECTION_PREFERRED : ELECTION_UNCLEAN;
    partition_change_decide(&change, &decision);
    if (!decision.changed || decision.leader < 0) {
        return e->type == ELECT_PREFERRED ? ERR_PREFERRED_LEADER_NOT_AVAILABLE
                                          : ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE;
    }
    partition_change_put(&decision, topic->id, index, e->records);
    return ERR_NONE;
}

static const char *explain(enum err err)
{
    if (err == ERR_NONE) return NULL;
    if (err == ERR_UNKNOWN_TOPIC_OR_PARTITION) return "No such partition exists.";
    if (err == ERR_ELECTION_NOT_NEEDED) return "Leader election not needed for the partition.";
    if (err == ERR_PREFERRED_LEADER_NOT_AVAILABLE)
        return "The preferred leader is not in sync, or not there.";
    return "No replica of the partition is there.";
}

static void tell(elect_out *out, int32_t index, enum err err)
{
    elect_leaders_response_partition_default(out);
    out->partition_id = index;
    out->error_code = (int16_t)err;
    out->error_message = err == ERR_NONE ? STR_NULL : str_of(explain(err));
}

static enum err elect_named(const struct elect *e, const struct elect_leaders_request_topic *in,
                            struct elect_leaders_response_topic *out)
{
    const struct image_topic *topic = image_topic_by_name(&e->c->image, in->topic);

    out->topic = in->topic;
    out->partition_result =
        arena_alloc(e->arena, (in->partitions_count + 1) * sizeof *out->partition_result);
    if (out->partition_result == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < in->partitions_count; i++) {
        bool twice = false;

        /* The second of two would be decided on a state that the first has changed. */
        for (uint32_t j = 0; j < i; j++)
            twice = twice || in->partitions[j] == in->partitions[i];
        tell(&out->partition_result[i], in->partitions[i],
             twice ? ERR_ELECTION_NOT_NEEDED : elect_one(e, topic, in->partitions[i]));
    }
    out->partition_result_count = in->partitions_count;
    return ERR_NONE;
}

/* Of all partitions only those are told of for which an election was needed. */
static enum err elect_all(const struct elect *e, struct elect_leaders_response *response)
{
    const struct image *image = &e->c->image;

    response->replica_election_results = arena_zalloc(
        e->arena, (image->topics_by_id.count + 1) * sizeof *response->replica_election_results);
    if (response->replica_election_results == NULL) return ERR_NO_MEMORY;
    MAP_FOR_EACH (node, &image->topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);
        struct elect_leaders_response_topic *out =
            &response->replica_election_results[response->replica_election_results_count];

        if (topic->deleted) continue;
        if (replication_control_keep_name(e->arena, topic, &out->topic) != ERR_NONE)
            return ERR_NO_MEMORY;
        out->partition_result =
            arena_alloc(e->arena, (topic->partitions_count + 1) * sizeof *out->partition_result);
        if (out->partition_result == NULL) return ERR_NO_MEMORY;
        for (uint32_t i = 0; i < topic->partitions_count; i++) {
            enum err err = elect_one(e, topic, (int32_t)i);

            if (err == ERR_ELECTION_NOT_NEEDED) continue;
            tell(&out->partition_result[out->partition_result_count++], (int32_t)i, err);
        }
        if (out->partition_result_count > 0) response->replica_election_results_count++;
    }
    return ERR_NONE;
}

enum err elect_leaders_decide(struct controller *c, const struct elect_leaders_request *request,
                              struct elect_leaders_response *response, struct arena *arena)
{
    struct records records;
    struct elect e = {c, request->election_type, &records, arena};
    enum err err = ERR_NONE;

    if (e.type != ELECT_PREFERRED && e.type != ELECT_UNCLEAN) return ERR_INVALID_REQUEST;
    for (uint32_t i = 0; i < request->topic_partitions_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (str_equal(request->topic_partitions[i].topic, request->topic_partitions[j].topic))
                return ERR_INVALID_REQUEST;
    records_init(&records, &c->arena);
    if (request->topic_partitions_null) {
        err = elect_all(&e, response);
    } else {
        response->replica_election_results =
            arena_zalloc(arena, (request->topic_partitions_count + 1) *
                                    sizeof *response->replica_election_results);
        if (response->replica_election_results == NULL) return ERR_NO_MEMORY;
        for (uint32_t i = 0; err == ERR_NONE && i < request->topic_partitions_count; i++) {
            err = elect_named(&e, &request->topic_partitions[i],
                              &response->replica_election_results[i]);
            response->replica_election_results_count++;
        }
    }
    if (err != ERR_NONE) return err;
    return controller_write(c, &records, CONTROLLER_SPLIT);
}
