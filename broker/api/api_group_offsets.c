/* OffsetCommit, OffsetFetch, OffsetDelete (groups.md 5). A commit is answered when its record is
 * committed; a fetch answers from what is. */
#include "broker/api/api.h"
#include "broker/group/group_place.h"
#include "broker/node.h"
#include "wire/offset_commit.h"
#include "wire/offset_delete.h"
#include "wire/offset_fetch.h"

static bool partition_exists(const struct request *request, struct str topic, int32_t partition)
{
    const struct image_topic *found = image_topic_by_name(&request->node->loader.image, topic);

    return found != NULL && !found->deleted && partition >= 0 &&
           (uint32_t)partition < found->partitions_count;
}

/* ---- OffsetCommit ---------------------------------------------------------------------------- */

enum write_step { WRITE_START, WRITE_TOLD };
static const char *const write_steps[] = {"START", "TOLD"};

struct commit {
    struct op op;
    struct request *request;
    struct offset_commit_request body;
    struct offset_commit_response answer;
    struct coordinator_write *write;
};

/* The answer's shape; ERR_NONE everywhere. */
static enum err commit_prepare(struct commit *o)
{
    struct request *request = o->request;

    offset_commit_response_default(&o->answer);
    o->answer.topics =
        request_alloc(request, (o->body.topics_count + 1) * sizeof *o->answer.topics);
    if (o->answer.topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < o->body.topics_count; i++) {
        const struct offset_commit_request_topic *in = &o->body.topics[i];
        struct offset_commit_response_topic *out = &o->answer.topics[o->answer.topics_count++];

        offset_commit_response_topic_default(out);
        out->name = in->name;
        out->partitions =
            request_alloc(request, (in->partitions_count + 1) * sizeof *out->partitions);
        if (out->partitions == NULL) return ERR_NO_MEMORY;
        for (uint32_t j = 0; j < in->partitions_count; j++) {
            offset_commit_response_partition_default(&out->partitions[j]);
            out->partitions[j].partition_index = in->partitions[j].partition_index;
        }
        out->partitions_count = in->partitions_count;
    }
    return ERR_NONE;
}

/* Of those that have none of their own. */
static void commit_set_error(struct commit *o, enum err err)
{
    for (uint32_t i = 0; i < o->answer.topics_count; i++) {
        struct offset_commit_response_topic *topic = &o->answer.topics[i];

        for (uint32_t j = 0; j < topic->partitions_count; j++)
            if (topic->partitions[j].error_code == 0)
                topic->partitions[j].error_code = (int16_t)err;
    }
}

static enum err commit_partition(const struct commit *o, struct group_log *log, struct str topic,
                                 const struct offset_commit_request_partition *in)
{
    const struct request *request = o->request;
    int64_t now_ms = request->env->now.wall.ms;
    struct offset_commit_value value;

    if (!partition_exists(request, topic, in->partition_index))
        return ERR_UNKNOWN_TOPIC_OR_PARTITION;
    if ((int64_t)group_place_length(in->committed_metadata) >
        request->node->config.offset_metadata_max_bytes)
        return ERR_OFFSET_METADATA_TOO_LARGE;
    offset_commit_value_default(&value);
    value.offset = in->committed_offset;
    value.leader_epoch = in->committed_leader_epoch;
    value.metadata = in->committed_metadata.data != NULL ? in->committed_metadata : STR("");
    value.commit_timestamp = in->commit_timestamp >= 0 ? in->commit_timestamp : now_ms;
    if (o->body.retention_time_ms >= 0)
        value.expire_timestamp = value.commit_timestamp + o->body.retention_time_ms;
    group_log_offset(log, o->body.group_id, topic, in->partition_index, &value);
    return ERR_NONE;
}

static enum err commit_write(struct commit *o)
{
    const struct offset_commit_request *body = &o->body;
    struct group_who who = {.member_id = body->member_id,
                            .instance_id = body->group_instance_id,
                            .generation = body->generation_id_or_member_epoch,
                            .epochs_known = o->request->version >= 9};
    struct coordinator_shard *shard = NULL;
    struct group_log log;
    enum err err = coordinator_find(&o->request->node->groups, body->group_id, &shard);

    if (err == ERR_NONE) {
        err = coordinator_commit(shard, body->group_id, &who,
                                 o->request->version >= 9 ? ERR_GROUP_ID_NOT_FOUND
                                                          : ERR_ILLEGAL_GENERATION);
    }
    if (err != ERR_NONE) return err;
    group_log_init(&log, &o->request->arena);
    for (uint32_t i = 0; i < body->topics_count; i++) {
        const struct offset_commit_request_topic *topic = &body->topics[i];

        for (uint32_t j = 0; j < topic->partitions_count; j++) {
            o->answer.topics[i].partitions[j].error_code =
                (int16_t)commit_partition(o, &log, topic->name, &topic->partitions[j]);
        }
    }
    if (log.count == 0) return log.err == ERR_NONE ? ERR_NONE : ERR_COORDINATOR_NOT_AVAILABLE;
    return coordinator_write(shard, &log, &o->write);
}

static enum op_result commit_run(struct op *op)
{
    struct commit *o = CONTAINER_OF(op, struct commit, op);

    switch ((enum write_step)op->step) {
    case WRITE_START:
        commit_set_error(o, commit_write(o));
        if (o->write != NULL) {
            AWAIT(o, WRITE_TOLD, &o->write->source, o->write->told);
            commit_set_error(o, o->write->err);
            coordinator_write_release(&o->request->node->groups, o->write);
        }
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a commit");
}

static void commit_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct commit, op)->request);
}

static const struct op_kind commit_kind = {"offset_commit", write_steps, COUNT_OF(write_steps),
                                           commit_run, commit_finish};

void api_group_offsets_commit_handle(struct request *request)
{
    struct commit *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    if (commit_prepare(o) != ERR_NONE) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    op_start(&request->env->loop, &o->op, &commit_kind, WRITE_START);
}

/* ---- OffsetFetch ----------------------------------------------------------------------------- */

enum fetch_step { FETCH_START, FETCH_STABLE };
static const char *const fetch_steps[] = {"START", "STABLE"};

/* One group of a request; version 8 and up name several. */
struct fetch_group {
    struct offset_fetch_request_group in;
    struct offset_fetch_response_group out;
    uint64_t load; /* RequireStable: what was under way when it came */
    uint64_t begun;
    bool waits;
};

struct fetch {
    struct op op;
    struct request *request;
    struct offset_fetch_request body;
    struct fetch_group *groups;
    uint32_t count;
    uint32_t at;
};

typedef struct offset_fetch_response_group_topic fetch_topic;
typedef struct offset_fetch_response_group_topic_partition fetch_partition;

static void fill_partition(fetch_partition *out, int32_t partition,
                           const struct group_offset *offset)
{
    offset_fetch_response_group_topic_partition_default(out);
    out->partition_index = partition;
    out->committed_offset = offset != NULL ? offset->offset : -1;
    out->committed_leader_epoch = offset != NULL ? offset->leader_epoch : -1;
    out->metadata = offset != NULL ? offset->metadata : STR("");
}

/* Views into the group: the answer is encoded before anything else runs. */
static enum err fill_all(struct request *request, const struct coordinator_group *cg,
                         struct offset_fetch_response_group *out)
{
    uint32_t topics = cg != NULL ? cg->offsets.topics.count : 0;

    out->topics = request_alloc(request, (topics + 1) * sizeof *out->topics);
    if (out->topics == NULL) return ERR_NO_MEMORY;
    if (cg == NULL) return ERR_NONE;
    MAP_FOR_EACH (node, &cg->offsets.topics) {
        const struct group_offsets_topic *from = MAP_ENTRY(node, struct group_offsets_topic, node);
        fetch_topic *topic = &out->topics[out->topics_count++];

        offset_fetch_response_group_topic_default(topic);
        topic->name = from->name;
        topic->partitions =
            request_alloc(request, (from->partitions.count + 1) * sizeof *topic->partitions);
        if (topic->partitions == NULL) return ERR_NO_MEMORY;
        MAP_FOR_EACH (each, &from->partitions) {
            const struct group_offset *offset = MAP_ENTRY(each, struct group_offset, node);

            fill_partition(&topic->partitions[topic->partitions_count++], offset->partition,
                           offset);
        }
    }
    return ERR_NONE;
}

static enum err fill_asked(struct request *request, const struct coordinator_group *cg,
                           const struct offset_fetch_request_group *in,
                           struct offset_fetch_response_group *out)
{
    out->topics = request_alloc(request, (in->topics_count + 1) * sizeof *out->topics);
    if (out->topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < in->topics_count; i++) {
        const struct offset_fetch_request_group_topic *asked = &in->topics[i];
        fetch_topic *topic = &out->topics[out->topics_count++];

        offset_fetch_response_group_topic_default(topic);
        topic->name = asked->name;
        topic->partitions = request_alloc(request, (asked->partition_indexes_count + 1) *
                                                       sizeof *topic->partitions);
        if (topic->partitions == NULL) return ERR_NO_MEMORY;
        for (uint32_t j = 0; j < asked->partition_indexes_count; j++) {
            int32_t partition = asked->partition_indexes[j];

            fill_partition(&topic->partitions[topic->partitions_count++], partition,
                           cg == NULL ? NULL
                                      : group_offsets_find(&cg->offsets, asked->name, partition));
        }
    }
    return ERR_NONE;
}

static enum err fetch_fill(struct request *request, struct fetch_group *group)
{
    struct coordinator_shard *shard = NULL;
    enum err err = coordinator_find(&request->node->groups, group->in.group_id, &shard);
    const struct coordinator_group *cg = NULL;

    offset_fetch_response_group_default(&group->out);
    group->out.group_id = group->in.group_id;
    if (err == ERR_NONE) {
        cg = coordinator_group(shard, group->in.group_id);
        if (cg != NULL && cg->consumer != NULL)
            err = consumer_group_fetch(cg->consumer, group->in.member_id, group->in.member_epoch);
    }
    group->out.error_code = (int16_t)err;
    if (err != ERR_NONE) return ERR_NONE;
    return group->in.topics_null ? fill_all(request, cg, &group->out)
                                 : fill_asked(request, cg, &group->in, &group->out);
}

/* The form of versions up to 7; an error stands in every partition before version 2. */
static enum err fetch_reply_one(struct fetch *o)
{
    const struct offset_fetch_response_group *from = &o->groups[0].out;
    const struct offset_fetch_request_group *in = &o->groups[0].in;
    struct offset_fetch_response answer;
    uint32_t count = from->error_code == 0 ? from->topics_count : in->topics_count;

    offset_fetch_response_default(&answer);
    answer.error_code = from->error_code;
    answer.topics = request_alloc(o->request, (count + 1) * sizeof *answer.topics);
    if (answer.topics == NULL) return ERR_NO_MEMORY;
    if (from->error_code != 0 && o->request->version >= 2) count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct offset_fetch_response_topic *to = &answer.topics[answer.topics_count++];
        bool failed = from->error_code != 0;
        uint32_t parts =
            failed ? in->topics[i].partition_indexes_count : from->topics[i].partitions_count;

        offset_fetch_response_topic_default(to);
        to->name = failed ? in->topics[i].name : from->topics[i].name;
        to->partitions = request_alloc(o->request, (parts + 1) * sizeof *to->partitions);
        if (to->partitions == NULL) return ERR_NO_MEMORY;
        for (uint32_t j = 0; j < parts; j++) {
            struct offset_fetch_response_partition *part = &to->partitions[to->partitions_count++];

            offset_fetch_response_partition_default(part);
            part->error_code = from->error_code;
            part->partition_index = failed ? in->topics[i].partition_indexes[j]
                                           : from->topics[i].partitions[j].partition_index;
            part->committed_offset = failed ? -1 : from->topics[i].partitions[j].committed_offset;
            part->committed_leader_epoch =
                failed ? -1 : from->topics[i].partitions[j].committed_leader_epoch;
            part->metadata = failed ? STR("") : from->topics[i].partitions[j].metadata;
        }
    }
    request_reply(o->request, &answer);
    return ERR_NONE;
}

static enum err fetch_reply(struct fetch *o)
{
    struct offset_fetch_response answer;

    for (uint32_t i = 0; i < o->count; i++) {
        enum err err = fetch_fill(o->request, &o->groups[i]);

        if (err != ERR_NONE) return err;
    }
    if (o->request->version < 8) return fetch_reply_one(o);
    offset_fetch_response_default(&answer);
    answer.groups = request_alloc(o->request, (o->count + 1) * sizeof *answer.groups);
    if (answer.groups == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < o->count; i++)
        answer.groups[answer.groups_count++] = o->groups[i].out;
    request_reply(o->request, &answer);
    return ERR_NONE;
}

/* RequireStable waits for the commits that came before it: a new owner of a partition reads what
 * the old one was just committing (groups.md 5.2). */
static void fetch_begin(struct fetch *o)
{
    for (uint32_t i = 0; o->body.require_stable && i < o->count; i++) {
        struct fetch_group *group = &o->groups[i];
        struct coordinator_shard *shard = NULL;

        if (coordinator_find(&o->request->node->groups, group->in.group_id, &shard) != ERR_NONE)
            continue;
        group->waits = true;
        group->load = shard->load;
        group->begun = shard->begun;
    }
}

static bool fetch_stable(const struct fetch *o)
{
    const struct fetch_group *group = &o->groups[o->at];

    return !group->waits || coordinator_drained(&o->request->node->groups, group->in.group_id,
                                                group->load, group->begun);
}

static enum op_result fetch_run(struct op *op)
{
    struct fetch *o = CONTAINER_OF(op, struct fetch, op);

    switch ((enum fetch_step)op->step) {
    case FETCH_START:
        fetch_begin(o);
        for (; o->at < o->count; o->at++) {
            AWAIT(o, FETCH_STABLE, &o->request->node->groups.ended_source,
                  fetch_stable(o) || op_expired(op));
        }
        if (fetch_reply(o) != ERR_NONE) request_abandon(o->request, ERR_NO_MEMORY);
        return OP_DONE;
    }
    IMPOSSIBLE("step of an offset fetch");
}

static void fetch_finish(struct op *op)
{
    struct fetch *o = CONTAINER_OF(op, struct fetch, op);

    if (!o->request->finished) request_finish(o->request);
}

static const struct op_kind fetch_kind = {"offset_fetch", fetch_steps, COUNT_OF(fetch_steps),
                                          fetch_run, fetch_finish};

/* Up to version 7 the one group is put into the form of version 8. */
static enum err fetch_one(struct fetch *o)
{
    struct offset_fetch_request_group *in = &o->groups[0].in;

    offset_fetch_request_group_default(in);
    in->group_id = o->body.group_id;
    in->topics_null = o->body.topics_null;
    in->topics = request_alloc(o->request, (o->body.topics_count + 1) * sizeof *in->topics);
    if (in->topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < o->body.topics_count; i++) {
        const struct offset_fetch_request_topic *from = &o->body.topics[i];
        struct offset_fetch_request_group_topic *to = &in->topics[in->topics_count++];

        offset_fetch_request_group_topic_default(to);
        to->name = from->name;
        to->partition_indexes = from->partition_indexes;
        to->partition_indexes_count = from->partition_indexes_count;
    }
    return ERR_NONE;
}

void api_group_offsets_fetch_handle(struct request *request)
{
    struct fetch *o = request_alloc(request, sizeof *o);
    enum err err = ERR_NO_MEMORY;

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    o->count = request->version < 8 ? 1 : o->body.groups_count;
    o->groups = request_alloc(request, (o->count + 1) * sizeof *o->groups);
    if (o->groups != NULL) err = request->version < 8 ? fetch_one(o) : ERR_NONE;
    if (err != ERR_NONE) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; request->version >= 8 && i < o->count; i++)
        o->groups[i].in = o->body.groups[i];
    op_start(&request->env->loop, &o->op, &fetch_kind, FETCH_START);
    op_deadline(&o->op,
                env_deadline(request->env, request->node->config.offsets_commit_timeout_ms));
}

/* ---- OffsetDelete ---------------------------------------------------------------------------- */

struct remove {
    struct op op;
    struct request *request;
    struct offset_delete_request body;
    struct offset_delete_response answer;
    struct coordinator_write *write;
};

static enum err remove_check(const struct coordinator_group *cg)
{
    if (cg == NULL || cg->group.state == GROUP_DEAD) return ERR_GROUP_ID_NOT_FOUND;
    if (cg->deleting) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (cg->consumer != NULL || cg->group.state == GROUP_EMPTY) return ERR_NONE;
    if (cg->group.protocol_type.data != NULL && str_equal(cg->group.protocol_type, STR("consumer")))
        return ERR_NONE;
    return ERR_NON_EMPTY_GROUP;
}

static enum err remove_partition(const struct coordinator_group *cg, struct group_log *log,
                                 struct str topic, int32_t partition)
{
    if (cg->consumer != NULL ? consumer_group_subscribes(cg->consumer, topic)
                             : group_subscribes(&cg->group, topic))
        return ERR_GROUP_SUBSCRIBED_TO_TOPIC;
    if (group_offsets_find(&cg->offsets, topic, partition) != NULL)
        group_log_offset_gone(log, cg->group.id, topic, partition);
    return ERR_NONE;
}

static enum err remove_write(struct remove *o)
{
    struct coordinator_shard *shard = NULL;
    const struct coordinator_group *cg;
    struct group_log log;
    enum err err = o->body.group_id.length == 0
                       ? ERR_INVALID_GROUP_ID
                       : coordinator_find(&o->request->node->groups, o->body.group_id, &shard);

    if (err != ERR_NONE) return err;
    cg = coordinator_group(shard, o->body.group_id);
    err = remove_check(cg);
    if (err != ERR_NONE) return err;
    group_log_init(&log, &o->request->arena);
    o->answer.topics =
        request_alloc(o->request, (o->body.topics_count + 1) * sizeof *o->answer.topics);
    if (o->answer.topics == NULL) return ERR_COORDINATOR_NOT_AVAILABLE;
    for (uint32_t i = 0; i < o->body.topics_count; i++) {
        const struct offset_delete_request_topic *in = &o->body.topics[i];
        struct offset_delete_response_topic *out = &o->answer.topics[i];

        offset_delete_response_topic_default(out);
        out->name = in->name;
        out->partitions =
            request_alloc(o->request, (in->partitions_count + 1) * sizeof *out->partitions);
        if (out->partitions == NULL) return ERR_COORDINATOR_NOT_AVAILABLE;
        o->answer.topics_count++;
        for (uint32_t j = 0; j < in->partitions_count; j++) {
            struct offset_delete_response_partition *part = &out->partitions[j];

            offset_delete_response_partition_default(part);
            part->partition_index = in->partitions[j].partition_index;
            part->error_code = (int16_t)remove_partition(cg, &log, in->name, part->partition_index);
            out->partitions_count++;
        }
    }
    if (log.count == 0) return log.err == ERR_NONE ? ERR_NONE : ERR_COORDINATOR_NOT_AVAILABLE;
    return coordinator_write(shard, &log, &o->write);
}

static void remove_fail(struct remove *o, enum err err)
{
    if (err == ERR_NONE) return;
    o->answer.error_code = (int16_t)err;
    o->answer.topics_count = 0;
}

static enum op_result remove_run(struct op *op)
{
    struct remove *o = CONTAINER_OF(op, struct remove, op);

    switch ((enum write_step)op->step) {
    case WRITE_START:
        remove_fail(o, remove_write(o));
        if (o->write != NULL) {
            AWAIT(o, WRITE_TOLD, &o->write->source, o->write->told);
            remove_fail(o, o->write->err);
            coordinator_write_release(&o->request->node->groups, o->write);
        }
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of an offset delete");
}

static void remove_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct remove, op)->request);
}

static const struct op_kind remove_kind = {"offset_delete", write_steps, COUNT_OF(write_steps),
                                           remove_run, remove_finish};

void api_group_offsets_delete_handle(struct request *request)
{
    struct remove *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    offset_delete_response_default(&o->answer);
    op_start(&request->env->loop, &o->op, &remove_kind, WRITE_START);
}
