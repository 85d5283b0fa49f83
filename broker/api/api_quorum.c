/* What the members of the metadata quorum ask each other, on the controller's listener: votes, the
 * announcements of leaders, the metadata log itself. One op for all: the quorum answers when its
 * machine has taken the request and what the answer depends on is durable (kraft.md 5). */
#include "broker/api/api.h"
#include "broker/node.h"
#include "broker/raft/quorum_request.h"

enum ask_step { ASK_START, ASK_ANSWERED };
static const char *const ask_steps[] = {"START", "ANSWERED"};

struct ask {
    struct op op;
    struct request *request;
    struct quorum_request quorum;
};

static void ask_answer(struct ask *o)
{
    enum err err = ERR_NONE;

    if (o->request->header.request_api_key == API_FETCH) {
        for (uint32_t i = 0; i < o->quorum.read.count && err == ERR_NONE; i++) {
            err = request_hold(o->request, o->quorum.read.holds[i]);
        }
    }
    if (err == ERR_NONE && o->quorum.part != NULL) {
        err = request_hold(o->request, o->quorum.part);
    }
    if (err == ERR_NONE) {
        request_reply(o->request, &o->quorum.response);
    } else {
        request_reply_nothing(o->request, true);
    }
}

static enum op_result ask_run(struct op *op)
{
    struct ask *o = CONTAINER_OF(op, struct ask, op);

    switch ((enum ask_step)op->step) {
    case ASK_START:
        AWAIT(o, ASK_ANSWERED, &o->quorum.source, o->quorum.done);
        ask_answer(o);
        quorum_request_release(&o->quorum);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a quorum request");
}

static void ask_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct ask, op)->request);
}

static const struct op_kind ask_kind = {"quorum_request", ask_steps, COUNT_OF(ask_steps), ask_run,
                                        ask_finish};

static struct ask *ask_create(struct request *request, void *body)
{
    struct ask *o = request_alloc(request, sizeof *o);

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return NULL;
    }
    if (request_decode(request, body) != ERR_NONE) return NULL;
    o->request = request;
    return o;
}

static void ask_start(struct ask *o)
{
    op_start(&o->request->env->loop, &o->op, &ask_kind, ASK_START);
}

void api_quorum_vote_handle(struct request *request)
{
    struct vote_request body;
    struct ask *o = ask_create(request, &body);

    if (o == NULL) return;
    quorum_request_vote(&o->quorum, &request->node->quorum, request->version, &body);
    ask_start(o);
}

void api_quorum_begin_handle(struct request *request)
{
    struct begin_quorum_epoch_request body;
    struct ask *o = ask_create(request, &body);

    if (o == NULL) return;
    quorum_request_begin(&o->quorum, &request->node->quorum, request->version, &body);
    ask_start(o);
}

void api_quorum_end_handle(struct request *request)
{
    struct end_quorum_epoch_request body;
    struct ask *o = ask_create(request, &body);

    if (o == NULL) return;
    quorum_request_end(&o->quorum, &request->node->quorum, request->version, &body);
    ask_start(o);
}

void api_quorum_fetch_handle(struct request *request)
{
    struct fetch_request body;
    struct ask *o = ask_create(request, &body);

    if (o == NULL) return;
    quorum_request_fetch(&o->quorum, &request->node->quorum, request->version,
                         request->session->connection.net.id, &body);
    ask_start(o);
}

void api_quorum_describe_handle(struct request *request)
{
    struct describe_quorum_request body;
    struct describe_quorum_response response;

    if (request_decode(request, &body) != ERR_NONE) return;
    if (quorum_describe(&request->node->quorum, &body, &request->arena, &response) != ERR_NONE) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    request_answer(request, &response);
}

void api_quorum_snapshot_handle(struct request *request)
{
    struct fetch_snapshot_request body;
    struct ask *o = ask_create(request, &body);

    if (o == NULL) return;
    quorum_request_snapshot(&o->quorum, &request->node->quorum, request->version, &body);
    ask_start(o);
}
