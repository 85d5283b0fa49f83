/* ListGroups, DescribeGroups, DeleteGroups (groups.md 4.10). */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/delete_groups.h"
#include "wire/describe_groups.h"
#include "wire/list_groups.h"

/* ---- ListGroups ------------------------------------------------------------------------------ */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Filters do not look at case. */
static bool in_filter(const struct str *filter, uint32_t count, struct str word)
{
    for (uint32_t i = 0; i < count; i++) {
        bool same = filter[i].length == word.length;

        for (uint32_t j = 0; same && j < word.length; j++)
            same = lower(filter[i].data[j]) == lower(word.data[j]);
        if (same) return true;
    }
    return count == 0;
}

static enum err list_shard(const struct list_groups_request *body,
                           const struct coordinator_shard *shard,
                           struct list_groups_response *answer, uint32_t room)
{
    MAP_FOR_EACH (node, &shard->groups) {
        const struct coordinator_group *cg = MAP_ENTRY(node, struct coordinator_group, node);
        const struct group *group = &cg->group;
        bool consumer = cg->consumer != NULL;
        struct str type = consumer ? STR("consumer") : STR("classic");
        struct str state = str_of(consumer ? consumer_group_state_name(cg->consumer)
                                           : group_state_name(group->state));
        struct list_groups_response_group *out = &answer->groups[answer->groups_count];

        if (!consumer && cg->busy && group_blank(group))
            continue; /* its first record is on its way */
        if (!in_filter(body->states_filter, body->states_filter_count, state) ||
            !in_filter(body->types_filter, body->types_filter_count, type))
            continue;
        if (answer->groups_count == room) return ERR_NO_MEMORY;
        list_groups_response_group_default(out);
        out->group_id = group->id;
        out->protocol_type = consumer                            ? STR("consumer")
                             : group->protocol_type.data != NULL ? group->protocol_type
                                                                 : STR("");
        out->group_state = state;
        out->group_type = type;
        answer->groups_count++;
    }
    return ERR_NONE;
}

void api_group_admin_list_handle(struct request *request)
{
    struct coordinator *c = &request->node->groups;
    struct list_groups_response answer;
    struct list_groups_request body;
    uint32_t room = c->group_pool.in_use;
    enum err err = ERR_NONE;

    if (request_decode(request, &body) != ERR_NONE) return;
    list_groups_response_default(&answer);
    answer.groups = request_alloc(request, (room + 1) * sizeof *answer.groups);
    if (answer.groups == NULL) err = ERR_NO_MEMORY;
    LIST_FOR_EACH (link, &c->shards) {
        struct coordinator_shard *shard = LIST_ENTRY(link, struct coordinator_shard, link);

        if (shard->state == COORDINATOR_LOADING)
            answer.error_code = ERR_COORDINATOR_LOAD_IN_PROGRESS;
        if (err == ERR_NONE && coordinator_serves(shard, shard->epoch))
            err = list_shard(&body, shard, &answer, room);
    }
    if (err != ERR_NONE) answer.error_code = ERR_COORDINATOR_NOT_AVAILABLE;
    if (answer.error_code != 0) answer.groups_count = 0;
    request_answer(request, &answer);
}

/* ---- DescribeGroups -------------------------------------------------------------------------- */

static enum err describe_members(struct request *request, const struct group *group,
                                 struct describe_groups_response_group *out)
{
    bool stable = group->state == GROUP_STABLE;
    struct bytes none = {(const uint8_t *)"", 0};

    out->members = request_alloc(request, (group->members.count + 1) * sizeof *out->members);
    if (out->members == NULL) return ERR_NO_MEMORY;
    MAP_FOR_EACH (node, &group->members) {
        const struct group_member *from = MAP_ENTRY(node, struct group_member, node);
        struct describe_groups_response_member *member = &out->members[out->members_count++];

        describe_groups_response_member_default(member);
        member->member_id = from->id;
        member->group_instance_id = from->instance_id;
        member->client_id = from->client_id;
        member->client_host = from->client_host;
        member->member_metadata = none;
        member->member_assignment = none;
        if (!stable) continue;
        member->member_metadata = group_subscription(group, from);
        if (from->assignment.length > 0) member->member_assignment = from->assignment;
    }
    return ERR_NONE;
}

static void describe_missing(const struct request *request,
                             struct describe_groups_response_group *out)
{
    out->group_state = STR("Dead");
    if (request->version >= 6) {
        out->error_code = ERR_GROUP_ID_NOT_FOUND;
        out->error_message = STR("The group id does not exist.");
    }
}

static enum err describe_one(struct request *request, struct str id,
                             struct describe_groups_response_group *out)
{
    struct coordinator_shard *shard = NULL;
    enum err err = coordinator_find(&request->node->groups, id, &shard);
    const struct coordinator_group *cg;

    describe_groups_response_group_default(out);
    out->group_id = id;
    out->group_state = STR("");
    out->protocol_type = STR("");
    out->protocol_data = STR("");
    out->error_code = (int16_t)err;
    if (err != ERR_NONE) return ERR_NONE;
    cg = coordinator_group(shard, id);
    if (cg == NULL || cg->group.state == GROUP_DEAD || cg->consumer != NULL) {
        describe_missing(request, out); /* that of KIP-848 has an api of its own */
        return ERR_NONE;
    }
    out->group_state = str_of(group_state_name(cg->group.state));
    if (cg->group.protocol_type.data != NULL) out->protocol_type = cg->group.protocol_type;
    if (cg->group.state == GROUP_STABLE) out->protocol_data = cg->group.protocol;
    return describe_members(request, &cg->group, out);
}

void api_group_admin_describe_handle(struct request *request)
{
    struct describe_groups_response answer;
    struct describe_groups_request body;

    if (request_decode(request, &body) != ERR_NONE) return;
    describe_groups_response_default(&answer);
    answer.groups = request_alloc(request, (body.groups_count + 1) * sizeof *answer.groups);
    if (answer.groups == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < body.groups_count; i++) {
        if (describe_one(request, body.groups[i], &answer.groups[i]) != ERR_NONE) {
            request_abandon(request, ERR_NO_MEMORY);
            return;
        }
        answer.groups_count++;
    }
    request_answer(request, &answer);
}

/* ---- DeleteGroups ---------------------------------------------------------------------------- */

enum erase_step { ERASE_START, ERASE_DRAINED, ERASE_TOLD };
static const char *const erase_steps[] = {"START", "DRAINED", "TOLD"};

/* One group after the other: nothing else is done to it, what is under way ends, then tombstones of
 * its offsets and its record are committed. */
struct erase {
    struct op op;
    struct request *request;
    struct delete_groups_request body;
    struct delete_groups_response answer;
    uint32_t at;
    uint64_t load;
    uint64_t begun;
    bool marked;
    struct coordinator_write *write;
};

static struct str erase_id(const struct erase *o)
{
    return o->body.groups_names[o->at];
}

/* The group, while this is the shard that it was marked in. */
static struct coordinator_group *erase_group(const struct erase *o,
                                             struct coordinator_shard **shard)
{
    if (coordinator_find(&o->request->node->groups, erase_id(o), shard) != ERR_NONE) return NULL;
    if (o->marked && (*shard)->load != o->load) return NULL;
    return coordinator_group(*shard, erase_id(o));
}

static enum err erase_begin(struct erase *o)
{
    struct coordinator_shard *shard = NULL;
    struct coordinator_group *cg;
    enum err err = coordinator_find(&o->request->node->groups, erase_id(o), &shard);

    o->marked = false;
    o->write = NULL;
    if (err != ERR_NONE) return err;
    cg = coordinator_group(shard, erase_id(o));
    if (cg == NULL || cg->group.state == GROUP_DEAD) return ERR_GROUP_ID_NOT_FOUND;
    if (cg->deleting) return ERR_COORDINATOR_NOT_AVAILABLE;
    if (cg->group.state != GROUP_EMPTY ||
        (cg->consumer != NULL && cg->consumer->members.count > 0) || cg->busy)
        return ERR_NON_EMPTY_GROUP;
    cg->deleting = true;
    o->marked = true;
    o->load = shard->load;
    o->begun = shard->begun;
    return ERR_NONE;
}

static enum err erase_write(struct erase *o)
{
    struct coordinator_shard *shard = NULL;
    struct coordinator_group *cg = erase_group(o, &shard);
    struct group_log log;

    if (cg == NULL) return ERR_NOT_COORDINATOR;
    group_log_init(&log, &o->request->arena);
    MAP_FOR_EACH (node, &cg->offsets.topics) {
        const struct group_offsets_topic *topic = MAP_ENTRY(node, struct group_offsets_topic, node);

        MAP_FOR_EACH (each, &topic->partitions)
            group_log_offset_gone(&log, cg->group.id, topic->name,
                                  MAP_ENTRY(each, struct group_offset, node)->partition);
    }
    coordinator_log_gone(cg, &log);
    return coordinator_write(shard, &log, &o->write);
}

/* A group that is still there was not deleted: it may be used again. Too late is not too late for
 * the log, so then it stays closed until the record is committed or the epoch ends. */
static void erase_end(struct erase *o, enum err err)
{
    struct coordinator_shard *shard = NULL;
    struct coordinator_group *cg;

    o->answer.results[o->at].error_code = (int16_t)err;
    if (!o->marked || (o->write != NULL && !o->write->ended)) return;
    cg = erase_group(o, &shard);
    if (cg != NULL) cg->deleting = false;
}

static enum op_result erase_run(struct op *op)
{
    struct erase *o = CONTAINER_OF(op, struct erase, op);
    enum err err;

    switch ((enum erase_step)op->step) {
    case ERASE_START:
        for (; o->at < o->body.groups_names_count; o->at++) {
            err = erase_begin(o);
            if (err == ERR_NONE) {
                AWAIT(
                    o, ERASE_DRAINED, &o->request->node->groups.ended_source,
                    coordinator_drained(&o->request->node->groups, erase_id(o), o->load, o->begun));
                err = erase_write(o);
            }
            if (o->write != NULL) {
                AWAIT(o, ERASE_TOLD, &o->write->source, o->write->told);
                err = o->write->err;
            }
            erase_end(o, err);
            if (o->write != NULL) coordinator_write_release(&o->request->node->groups, o->write);
        }
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a group's deletion");
}

static void erase_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct erase, op)->request);
}

static const struct op_kind erase_kind = {"delete_groups", erase_steps, COUNT_OF(erase_steps),
                                          erase_run, erase_finish};

void api_group_admin_delete_handle(struct request *request)
{
    struct erase *o = request_alloc(request, sizeof *o);
    uint32_t count;

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    count = o->body.groups_names_count;
    delete_groups_response_default(&o->answer);
    o->answer.results = request_alloc(request, (count + 1) * sizeof *o->answer.results);
    if (o->answer.results == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        delete_groups_response_result_default(&o->answer.results[i]);
        o->answer.results[i].group_id = o->body.groups_names[i];
    }
    o->answer.results_count = count;
    op_start(&request->env->loop, &o->op, &erase_kind, ERASE_START);
}
