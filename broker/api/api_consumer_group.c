/* ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848, groups.md 8). A heartbeat waits until
 * nothing of its group is under way, and is answered when what it changed is committed. */
#include "broker/api/api.h"
#include "broker/features.h"
#include "broker/node.h"
#include "wire/consumer_group_describe.h"
#include "wire/consumer_group_heartbeat.h"

/* ---- ConsumerGroupHeartbeat ------------------------------------------------------------------ */

enum beat_step { BEAT_START, BEAT_IDLE, BEAT_TOLD };
static const char *const beat_steps[] = {"START", "IDLE", "TOLD"};

struct beat {
    struct op op;
    struct request *request;
    struct consumer_group_heartbeat_request body;
    struct consumer_group_beat beat;
    struct consumer_group_answer answer;
    struct coordinator_write *write;
    uint64_t load; /* of the shard that it came to */
};

static struct coordinator *groups_of(const struct beat *o)
{
    return &o->request->node->groups;
}

typedef struct consumer_group_heartbeat_response_topic_partition answered_topic;

static enum err fill_assignment(struct request *request, struct parts parts,
                                struct consumer_group_heartbeat_response *answer)
{
    int32_t *indexes = parts_indexes(&request->arena, parts);
    answered_topic *topics = request_alloc(request, (parts_topics(parts) + 1) * sizeof *topics);

    if (indexes == NULL || topics == NULL) return ERR_COORDINATOR_NOT_AVAILABLE;
    answer->assignment_null = false;
    answer->assignment.topic_partitions = topics;
    for (uint32_t i = 0, end; i < parts.count; i = end) {
        end = parts_topic_end(parts, i);
        topics[answer->assignment.topic_partitions_count++] =
            (answered_topic){parts.items[i].topic, indexes + i, end - i};
    }
    return ERR_NONE;
}

static void beat_reply(struct beat *o)
{
    struct consumer_group_heartbeat_response answer;
    const struct coordinator *c = groups_of(o);
    enum err err = o->answer.err;

    consumer_group_heartbeat_response_default(&answer);
    if (err == ERR_NONE && o->answer.has_assignment)
        err = fill_assignment(o->request, o->answer.assigned, &answer);
    answer.error_code = (int16_t)err;
    answer.error_message = o->answer.message;
    if (err == ERR_NONE) {
        answer.member_id = o->answer.member_id;
        answer.member_epoch = o->answer.epoch;
        answer.heartbeat_interval_ms = (int32_t)c->consumer_config.heartbeat_interval_ms;
    }
    request_reply(o->request, &answer);
}

static enum err read_owned(struct beat *o)
{
    const struct consumer_group_heartbeat_request *body = &o->body;
    uint32_t total = 0;
    enum err err;

    for (uint32_t t = 0; t < body->topic_partitions_count; t++)
        total += body->topic_partitions[t].partitions_count;
    err = parts_begin(&o->request->arena, total, &o->beat.owned);
    if (err != ERR_NONE) return err;
    for (uint32_t t = 0; t < body->topic_partitions_count; t++)
        for (uint32_t p = 0; p < body->topic_partitions[t].partitions_count; p++)
            parts_push(&o->beat.owned, body->topic_partitions[t].topic_id,
                       body->topic_partitions[t].partitions[p]);
    parts_end(&o->beat.owned);
    return ERR_NONE;
}

static enum err beat_read(struct beat *o)
{
    const struct consumer_group_heartbeat_request *body = &o->body;
    struct request *request = o->request;
    struct str client_id = request->header.client_id;

    o->beat = (struct consumer_group_beat){
        .member_id = body->member_id,
        .epoch = body->member_epoch,
        .instance_id = body->instance_id,
        .rack_id = body->rack_id,
        .client_id = client_id.data != NULL ? client_id : STR(""),
        .client_host = api_group_client_host(request),
        .rebalance_timeout_ms = body->rebalance_timeout_ms,
        .topics = body->subscribed_topic_names,
        .topics_count = body->subscribed_topic_names_count,
        .topics_null = body->subscribed_topic_names_null,
        .regex = body->subscribed_topic_regex,
        .assignor = body->server_assignor,
        .owned_null = body->topic_partitions_null,
        .own_id = request->version >= 1,
    };
    return read_owned(o);
}

/* Configured, and finalized in the cluster. The latter is judged where the group is coordinated
 * only: a broker that starts knows of no features yet, and UNSUPPORTED_VERSION is the end of a
 * member. */
static enum err supported_shard(const struct request *request, struct str group,
                                struct coordinator_shard **shard)
{
    struct node *node = request->node;
    enum err err;

    if (!node->groups.consumer_config.enabled) return ERR_UNSUPPORTED_VERSION;
    err = coordinator_find(&node->groups, group, shard);
    if (err != ERR_NONE) return err;
    return image_feature_level(&node->loader.image, STR(FEATURES_GROUP_VERSION)) > 0
               ? ERR_NONE
               : ERR_UNSUPPORTED_VERSION;
}

/* What is wrong without the group; NONE: it goes to its shard. */
static enum err beat_gate(struct beat *o)
{
    const struct coordinator *c = groups_of(o);
    struct coordinator_shard *shard;
    enum err err = supported_shard(o->request, o->body.group_id, &shard);

    if (err == ERR_UNSUPPORTED_VERSION) return err;
    if (o->body.group_id.length == 0) return ERR_INVALID_REQUEST;
    if (!consumer_group_beat_ok(&o->beat, &c->consumer_config, &o->request->arena, &o->answer))
        return o->answer.err;
    if (err == ERR_NONE) o->load = shard->load;
    return err;
}

static void beat_decide(struct beat *o)
{
    struct coordinator_shard *shard = NULL;
    enum err err = coordinator_find(groups_of(o), o->body.group_id, &shard);

    if (err == ERR_NONE && shard->load != o->load) err = ERR_NOT_COORDINATOR;
    if (err == ERR_NONE && !coordinator_settled(groups_of(o), o->body.group_id, o->load))
        err = ERR_COORDINATOR_NOT_AVAILABLE; /* the log does not take what came before */
    o->answer.err = err;
    if (err == ERR_NONE)
        coordinator_beat(shard, o->body.group_id, &o->beat, &o->request->arena, &o->answer,
                         &o->write);
}

static enum op_result beat_run(struct op *op)
{
    struct beat *o = CONTAINER_OF(op, struct beat, op);

    switch ((enum beat_step)op->step) {
    case BEAT_START:
        o->answer.err = beat_gate(o);
        if (o->answer.err == ERR_NONE) {
            op_deadline(op, env_deadline(o->request->env,
                                         o->request->node->config.offsets_commit_timeout_ms));
            AWAIT(o, BEAT_IDLE, &groups_of(o)->ended_source,
                  coordinator_settled(groups_of(o), o->body.group_id, o->load) || op_expired(op));
            op_deadline(op, OP_NO_DEADLINE);
            beat_decide(o);
        }
        if (o->write != NULL) {
            AWAIT(o, BEAT_TOLD, &o->write->source, o->write->told);
            if (o->write->err != ERR_NONE) o->answer.err = o->write->err;
            coordinator_write_release(groups_of(o), o->write);
        }
        beat_reply(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a heartbeat");
}

static void beat_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct beat, op)->request);
}

static const struct op_kind beat_kind = {"consumer_group_heartbeat", beat_steps,
                                         COUNT_OF(beat_steps), beat_run, beat_finish};

void api_consumer_group_heartbeat_handle(struct request *request)
{
    struct beat *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    if (beat_read(o) != ERR_NONE) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    op_start(&request->env->loop, &o->op, &beat_kind, BEAT_START);
}

/* ---- ConsumerGroupDescribe ------------------------------------------------------------------- */

typedef struct consumer_group_describe_response_group described_group;
typedef struct consumer_group_describe_response_member described_member;
typedef struct consumer_group_describe_response_assignment described_assignment;
typedef struct consumer_group_describe_response_topic_partition described_topic;

static enum err describe_parts(struct request *request, struct parts parts,
                               described_assignment *out)
{
    const struct image *image = &request->node->loader.image;
    int32_t *indexes = parts_indexes(&request->arena, parts);

    out->topic_partitions =
        request_alloc(request, (parts_topics(parts) + 1) * sizeof *out->topic_partitions);
    if (indexes == NULL || out->topic_partitions == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0, end; i < parts.count; i = end) {
        const struct image_topic *topic = image_topic_by_id(image, parts.items[i].topic);

        end = parts_topic_end(parts, i);
        if (topic == NULL || topic->deleted) continue; /* of which only the id is left */
        out->topic_partitions[out->topic_partitions_count++] =
            (described_topic){parts.items[i].topic, topic->name, indexes + i, end - i};
    }
    return ERR_NONE;
}

static enum err describe_members(struct request *request, const struct consumer_group *group,
                                 described_group *out)
{
    out->members = request_alloc(request, (group->members.count + 1) * sizeof *out->members);
    if (out->members == NULL) return ERR_NO_MEMORY;
    MAP_FOR_EACH (node, &group->members) {
        const struct consumer_group_member *from =
            MAP_ENTRY(node, struct consumer_group_member, node);
        described_member *member = &out->members[out->members_count++];
        enum err err;

        consumer_group_describe_response_member_default(member);
        member->member_id = from->id;
        member->instance_id = from->metadata.instance_id;
        member->rack_id = from->metadata.rack_id;
        member->member_epoch = from->epoch;
        member->client_id = from->metadata.client_id;
        member->client_host = from->metadata.client_host;
        member->subscribed_topic_names = from->metadata.subscribed_topic_names;
        member->subscribed_topic_names_count = from->metadata.subscribed_topic_names_count;
        member->subscribed_topic_regex = from->metadata.subscribed_topic_regex;
        err = describe_parts(request, from->assigned, &member->assignment);
        if (err == ERR_NONE)
            err = describe_parts(request, from->target, &member->target_assignment);
        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

static enum err describe_one(struct request *request, struct str id, described_group *out)
{
    const struct coordinator *c = &request->node->groups;
    struct coordinator_shard *shard = NULL;
    const struct coordinator_group *cg = NULL;
    enum err err = supported_shard(request, id, &shard);

    consumer_group_describe_response_group_default(out);
    out->group_id = id;
    out->group_state = STR("");
    out->assignor_name = STR("");
    if (id.length == 0 && err != ERR_UNSUPPORTED_VERSION) err = ERR_INVALID_GROUP_ID;
    if (err == ERR_NONE) cg = coordinator_group(shard, id);
    if (err == ERR_NONE && (cg == NULL || cg->consumer == NULL)) {
        err = ERR_GROUP_ID_NOT_FOUND;
        out->error_message = STR("There is no consumer group of this id.");
    }
    out->error_code = (int16_t)err;
    if (err != ERR_NONE) return ERR_NONE;
    out->group_state = str_of(consumer_group_state_name(cg->consumer));
    out->group_epoch = cg->consumer->epoch;
    out->assignment_epoch = cg->consumer->assignment_epoch;
    out->assignor_name =
        consumer_group_assignor_name(consumer_group_assignor_of(cg->consumer, &c->consumer_config));
    return describe_members(request, cg->consumer, out);
}

void api_consumer_group_describe_handle(struct request *request)
{
    struct consumer_group_describe_response answer;
    struct consumer_group_describe_request body;

    if (request_decode(request, &body) != ERR_NONE) return;
    consumer_group_describe_response_default(&answer);
    answer.groups = request_alloc(request, (body.group_ids_count + 1) * sizeof *answer.groups);
    if (answer.groups == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < body.group_ids_count; i++) {
        if (describe_one(request, body.group_ids[i], &answer.groups[i]) != ERR_NONE) {
            request_abandon(request, ERR_NO_MEMORY);
            return;
        }
        answer.groups_count++;
    }
    request_answer(request, &answer);
}
