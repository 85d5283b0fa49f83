/* Who votes in the metadata quorum, changed by an administrator or by a controller that joins
 * (KIP-853): AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter, on the controllers' listener. The
 * rules are the quorum's (quorum_change.c); here requests become changes, and answers. */
#include "broker/api/api.h"
#include "broker/node.h"

enum voters_step { VOTERS_START, VOTERS_CHANGED };
static const char *const voters_steps[] = {"START", "CHANGED"};

struct voters {
    struct op op;
    struct request *request;
    struct quorum_change change;
    union {
        struct add_raft_voter_response add;
        struct remove_raft_voter_response remove;
        struct update_raft_voter_response update;
    } answer;
};

static struct str voters_why(const struct voters *o)
{
    return o->change.why != NULL ? str_of(o->change.why) : STR_NULL;
}

static void voters_fill(struct voters *o, enum err err)
{
    const struct quorum *quorum = &o->request->node->quorum;
    struct update_raft_voter_response *update = &o->answer.update;
    struct str host;

    switch (o->change.kind) {
    case QUORUM_CHANGE_ADD:
        add_raft_voter_response_default(&o->answer.add);
        o->answer.add.error_code = (int16_t)err;
        o->answer.add.error_message = voters_why(o);
        return;
    case QUORUM_CHANGE_REMOVE:
        remove_raft_voter_response_default(&o->answer.remove);
        o->answer.remove.error_code = (int16_t)err;
        o->answer.remove.error_message = voters_why(o);
        return;
    case QUORUM_CHANGE_UPDATE: {
        int32_t id;
        uint16_t port;

        update_raft_voter_response_default(update);
        update->error_code = (int16_t)err;
        update->current_leader.leader_epoch = quorum->epoch;
        if (!quorum_leader_address(quorum, &id, &host, &port)) return;
        update->current_leader.leader_id = id;
        update->current_leader.host = host;
        update->current_leader.port = port;
        return;
    }
    case QUORUM_CHANGE_KRAFT_VERSION: break;
    }
    IMPOSSIBLE("no request of a client");
}

static enum op_result voters_run(struct op *op)
{
    struct voters *o = CONTAINER_OF(op, struct voters, op);

    switch ((enum voters_step)op->step) {
    case VOTERS_START:
        AWAIT(o, VOTERS_CHANGED, &o->change.source, o->change.done);
        voters_fill(o, o->change.err);
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a change of the voters");
}

static void voters_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct voters, op)->request);
}

static const struct op_kind voters_kind = {"voters", voters_steps, COUNT_OF(voters_steps),
                                           voters_run, voters_finish};

/* What is wrong with the request itself, or the change begins. */
static void voters_start(struct voters *o, enum quorum_change_kind kind, struct str cluster,
                         enum err err)
{
    struct node *node = o->request->node;

    o->change.kind = kind;
    if (cluster.data != NULL && !str_equal(cluster, node_cluster_id(node)))
        err = ERR_INCONSISTENT_CLUSTER_ID;
    if (err == ERR_NONE) {
        quorum_change_start(&o->change, &node->quorum, kind);
    } else {
        op_source_init(&o->change.source);
        o->change.err = err;
        o->change.done = true;
    }
    op_start(&o->request->env->loop, &o->op, &voters_kind, VOTERS_START);
}

static struct voters *voters_create(struct request *request, void *body)
{
    struct voters *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return NULL;
    }
    if (request_decode(request, body) != ERR_NONE) return NULL;
    o->request = request;
    o->change.deadline_ns = env_deadline(request->env, request->node->config.request_timeout_ms);
    return o;
}

/* Of several addresses that of the controllers' listener; without it: INVALID_REQUEST. */
static enum err voters_member(struct voters *o, int32_t id, struct uuid directory,
                              struct str listener, struct str host, uint16_t port)
{
    const char *name = o->request->node->config.controller_listener;

    if (id < 0 || uuid_is_zero(directory)) return ERR_INVALID_REQUEST;
    if (host.length == 0 || port == 0 || !str_equal(listener, str_of(name))) {
        o->change.why = "the address on the controllers' listener is missing";
        return ERR_INVALID_REQUEST;
    }
    if (quorum_voters_member(&o->change.member, id, directory, host, port) != ERR_NONE)
        return ERR_INVALID_REQUEST;
    return ERR_NONE;
}

void api_voters_add_handle(struct request *request)
{
    struct add_raft_voter_request body;
    struct voters *o = voters_create(request, &body);
    enum err err = ERR_INVALID_REQUEST;

    if (o == NULL) return;
    if (body.listeners_count == 0)
        err = voters_member(o, body.voter_id, body.voter_directory_id, STR(""), STR(""), 0);
    for (uint32_t i = 0; i < body.listeners_count && err != ERR_NONE; i++)
        err = voters_member(o, body.voter_id, body.voter_directory_id, body.listeners[i].name,
                            body.listeners[i].host, body.listeners[i].port);
    if (err == ERR_NONE) o->change.why = NULL;
    o->change.at_once = !body.ack_when_committed;
    o->change.deadline_ns = env_deadline(request->env, body.timeout_ms > 0 ? body.timeout_ms : 0);
    voters_start(o, QUORUM_CHANGE_ADD, body.cluster_id, err);
}

void api_voters_remove_handle(struct request *request)
{
    struct remove_raft_voter_request body;
    struct voters *o = voters_create(request, &body);

    if (o == NULL) return;
    o->change.member =
        (struct quorum_member){.id = body.voter_id, .directory = body.voter_directory_id};
    voters_start(o, QUORUM_CHANGE_REMOVE, body.cluster_id,
                 body.voter_id < 0 ? ERR_INVALID_REQUEST : ERR_NONE);
}

void api_voters_update_handle(struct request *request)
{
    struct update_raft_voter_request body;
    struct voters *o = voters_create(request, &body);
    enum err err = ERR_INVALID_REQUEST;

    if (o == NULL) return;
    for (uint32_t i = 0; i < body.listeners_count && err != ERR_NONE; i++)
        err = voters_member(o, body.voter_id, body.voter_directory_id, body.listeners[i].name,
                            body.listeners[i].host, body.listeners[i].port);
    o->change.member.kraft_min = body.kraft_version_feature.min_supported_version;
    o->change.member.kraft_max = body.kraft_version_feature.max_supported_version;
    o->change.leader_epoch = body.current_leader_epoch;
    voters_start(o, QUORUM_CHANGE_UPDATE, body.cluster_id, err);
}
