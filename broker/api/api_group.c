/* JoinGroup, SyncGroup, Heartbeat, LeaveGroup: members of classic groups (groups.md 3, 4). A join
 * or sync waits as an op until the group's state machine has answered its call. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "client/base/text.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/sync_group.h"

enum { GROUP_HOST_MAX = 64 };

static struct coordinator *groups_of(const struct request *request)
{
    return &request->node->groups;
}

/* The gate of every request of a member (groups.md 3). */
static enum err gate(const struct request *request, struct str group,
                     struct coordinator_shard **shard)
{
    if (group.length == 0) return ERR_INVALID_GROUP_ID;
    return coordinator_find(groups_of(request), group, shard);
}

static struct str or_empty(struct str text)
{
    return text.data != NULL ? text : STR("");
}

/* As Java prints an InetAddress: "/10.0.0.1", "/0:0:0:0:0:0:0:1". */
struct str api_group_client_host(struct request *request)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const uint8_t *ip = request->session->connection.net.peer.ip;
    char *buffer = request_alloc(request, GROUP_HOST_MAX);
    bool v4 = true;
    struct text text;

    if (buffer == NULL) return STR("");
    for (uint32_t i = 0; i < sizeof mapped; i++)
        v4 = v4 && ip[i] == mapped[i];
    text_init(&text, buffer, GROUP_HOST_MAX);
    if (v4) {
        text_format(&text, "/%u.%u.%u.%u", (uint32_t)ip[12], (uint32_t)ip[13], (uint32_t)ip[14],
                    (uint32_t)ip[15]);
        return text_view(&text);
    }
    for (uint32_t i = 0; i < 16; i += 2) {
        text_char(&text, i == 0 ? '/' : ':');
        text_format(&text, "%x", (uint32_t)ip[i] << 8 | ip[i + 1]);
    }
    return text_view(&text);
}

/* ---- JoinGroup ------------------------------------------------------------------------------- */

enum join_step { JOIN_START, JOIN_IDLE, JOIN_ANSWERED };
static const char *const join_steps[] = {"START", "IDLE", "ANSWERED"};

struct join {
    struct op op;
    struct request *request;
    struct join_group_request body;
    struct group_call call;
};

static void join_reply(struct join *o)
{
    const struct group_call *call = &o->call;
    struct join_group_response answer;

    join_group_response_default(&answer);
    answer.error_code = (int16_t)call->err;
    answer.generation_id = call->generation;
    answer.protocol_type = call->protocol_type;
    answer.protocol_name =
        o->request->version >= 7 ? call->protocol_name : or_empty(call->protocol_name);
    answer.leader = or_empty(call->leader);
    answer.skip_assignment = call->skip_assignment;
    answer.member_id = call->member_id.data != NULL ? call->member_id : o->body.member_id;
    answer.members = request_alloc(o->request, (call->members_count + 1) * sizeof *answer.members);
    if (answer.members == NULL) {
        answer.error_code = ERR_COORDINATOR_NOT_AVAILABLE;
        answer.generation_id = -1;
    }
    for (uint32_t i = 0; answer.members != NULL && i < call->members_count; i++) {
        struct join_group_response_member *member = &answer.members[answer.members_count++];

        join_group_response_member_default(member);
        member->member_id = call->members[i].id;
        member->group_instance_id = call->members[i].instance_id;
        member->metadata = call->members[i].metadata;
    }
    request_reply(o->request, &answer);
}

static void join_begin(struct join *o)
{
    const struct join_group_request *body = &o->body;
    struct group_protocol *protocols =
        request_alloc(o->request, (body->protocols_count + 1) * sizeof *protocols);
    struct group_join join = {.member_id = body->member_id,
                              .instance_id = body->group_instance_id,
                              .client_id = or_empty(o->request->header.client_id),
                              .client_host = api_group_client_host(o->request),
                              .protocol_type = body->protocol_type,
                              .protocols = protocols,
                              .protocols_count = body->protocols_count,
                              .session_timeout_ms = body->session_timeout_ms,
                              .rebalance_timeout_ms = body->rebalance_timeout_ms,
                              .id_required = o->request->version >= 4,
                              .can_skip = o->request->version >= 9,
                              .call = &o->call};
    struct coordinator_shard *shard = NULL;
    enum err err = gate(o->request, body->group_id, &shard);

    if (err == ERR_NONE && protocols == NULL) err = ERR_COORDINATOR_NOT_AVAILABLE;
    if (err != ERR_NONE) {
        o->call.done = true;
        o->call.err = err;
        return;
    }
    for (uint32_t i = 0; i < body->protocols_count; i++) {
        protocols[i] = (struct group_protocol){.name = body->protocols[i].name,
                                               .metadata = body->protocols[i].metadata};
    }
    coordinator_join(shard, body->group_id, &join);
}

static enum op_result join_run(struct op *op)
{
    struct join *o = CONTAINER_OF(op, struct join, op);

    switch ((enum join_step)op->step) {
    case JOIN_START:
        /* One batch of a group of KIP-848 at a time. */
        op_deadline(
            op, env_deadline(o->request->env, o->request->node->config.offsets_commit_timeout_ms));
        AWAIT(o, JOIN_IDLE, &groups_of(o->request)->ended_source,
              coordinator_free(groups_of(o->request), o->body.group_id) || op_expired(op));
        op_deadline(op, OP_NO_DEADLINE);
        join_begin(o);
        AWAIT(o, JOIN_ANSWERED, &o->call.source, o->call.done);
        join_reply(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a join");
}

static void join_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct join, op)->request);
}

static const struct op_kind join_kind = {"join_group", join_steps, COUNT_OF(join_steps), join_run,
                                         join_finish};

void api_group_join_handle(struct request *request)
{
    struct join *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    group_call_init(&o->call, &request->arena);
    op_start(&request->env->loop, &o->op, &join_kind, JOIN_START);
}

/* ---- SyncGroup ------------------------------------------------------------------------------- */

enum sync_step { SYNC_START, SYNC_ANSWERED };
static const char *const sync_steps[] = {"START", "ANSWERED"};

struct sync {
    struct op op;
    struct request *request;
    struct sync_group_request body;
    struct group_call call;
};

static void sync_reply(struct sync *o)
{
    const struct group_call *call = &o->call;
    struct sync_group_response answer;

    sync_group_response_default(&answer);
    answer.error_code = (int16_t)call->err;
    answer.protocol_type = call->protocol_type;
    answer.protocol_name = call->protocol_name;
    answer.assignment =
        call->assignment.length > 0 ? call->assignment : (struct bytes){(const uint8_t *)"", 0};
    request_reply(o->request, &answer);
}

static void sync_begin(struct sync *o)
{
    const struct sync_group_request *body = &o->body;
    struct group_assignment *assignments =
        request_alloc(o->request, (body->assignments_count + 1) * sizeof *assignments);
    struct group_sync sync = {.member_id = body->member_id,
                              .instance_id = body->group_instance_id,
                              .generation = body->generation_id,
                              .protocol_type = body->protocol_type,
                              .protocol_name = body->protocol_name,
                              .assignments = assignments,
                              .assignments_count = body->assignments_count,
                              .call = &o->call};
    struct coordinator_shard *shard = NULL;
    enum err err = gate(o->request, body->group_id, &shard);

    /* Clients take LOAD_IN_PROGRESS here as fatal (groups.md 3). */
    if (err == ERR_COORDINATOR_LOAD_IN_PROGRESS) err = ERR_REBALANCE_IN_PROGRESS;
    if (err == ERR_NONE && assignments == NULL) err = ERR_COORDINATOR_NOT_AVAILABLE;
    if (err != ERR_NONE) {
        o->call.done = true;
        o->call.err = err;
        return;
    }
    for (uint32_t i = 0; i < body->assignments_count; i++) {
        assignments[i] = (struct group_assignment){.member_id = body->assignments[i].member_id,
                                                   .assignment = body->assignments[i].assignment};
    }
    coordinator_sync(shard, body->group_id, &sync);
}

static enum op_result sync_run(struct op *op)
{
    struct sync *o = CONTAINER_OF(op, struct sync, op);

    switch ((enum sync_step)op->step) {
    case SYNC_START:
        sync_begin(o);
        AWAIT(o, SYNC_ANSWERED, &o->call.source, o->call.done);
        sync_reply(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a sync");
}

static void sync_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct sync, op)->request);
}

static const struct op_kind sync_kind = {"sync_group", sync_steps, COUNT_OF(sync_steps), sync_run,
                                         sync_finish};

void api_group_sync_handle(struct request *request)
{
    struct sync *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    group_call_init(&o->call, &request->arena);
    op_start(&request->env->loop, &o->op, &sync_kind, SYNC_START);
}

/* ---- Heartbeat, LeaveGroup ------------------------------------------------------------------- */

void api_group_heartbeat_handle(struct request *request)
{
    struct heartbeat_response answer;
    struct heartbeat_request body;
    struct coordinator_shard *shard = NULL;
    enum err err;

    if (request_decode(request, &body) != ERR_NONE) return;
    heartbeat_response_default(&answer);
    err = gate(request, body.group_id, &shard);
    if (err == ERR_NONE) {
        struct group_who who = {.member_id = body.member_id,
                                .instance_id = body.group_instance_id,
                                .generation = body.generation_id};

        err = coordinator_heartbeat(shard, body.group_id, &who);
    } else if (err == ERR_COORDINATOR_LOAD_IN_PROGRESS) {
        err = ERR_NONE; /* its session begins anew once the group is loaded */
    }
    answer.error_code = (int16_t)err;
    request_answer(request, &answer);
}

static void leave_fill(const struct request *request, const struct leave_group_request *body,
                       struct leave_group_response *answer, const enum err *errs)
{
    if (request->version < 3) {
        answer->error_code = (int16_t)errs[0];
        return;
    }
    for (uint32_t i = 0; i < body->members_count; i++) {
        struct leave_group_response_member *member = &answer->members[answer->members_count++];

        leave_group_response_member_default(member);
        member->member_id = body->members[i].member_id;
        member->group_instance_id = body->members[i].group_instance_id;
        member->error_code = (int16_t)errs[i];
    }
}

void api_group_leave_handle(struct request *request)
{
    struct leave_group_response answer;
    struct leave_group_request body;
    struct coordinator_shard *shard = NULL;
    struct group_who *who;
    uint32_t count;
    enum err *errs;
    enum err err;

    if (request_decode(request, &body) != ERR_NONE) return;
    leave_group_response_default(&answer);
    count = request->version < 3 ? 1 : body.members_count;
    who = request_alloc(request, (count + 1) * sizeof *who);
    errs = request_alloc(request, (count + 1) * sizeof *errs);
    answer.members = request_alloc(request, (count + 1) * sizeof *answer.members);
    if (who == NULL || errs == NULL || answer.members == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool old = request->version < 3;

        who[i].member_id = old ? body.member_id : body.members[i].member_id;
        who[i].instance_id = old ? STR_NULL : body.members[i].group_instance_id;
        errs[i] = ERR_UNKNOWN_MEMBER_ID;
    }
    err = gate(request, body.group_id, &shard);
    if (err != ERR_NONE) {
        answer.error_code = (int16_t)err;
    } else {
        (void)coordinator_leave(shard, body.group_id, who, errs, count);
        leave_fill(request, &body, &answer, errs);
    }
    request_answer(request, &answer);
}
