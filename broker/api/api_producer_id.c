/* InitProducerId for idempotent producers (KIP-98, KIP-360): a new id with epoch 0, or for a known
 * id the next epoch. Ids with a transactional id belong to the transaction coordinator, which
 * answers COORDINATOR_NOT_AVAILABLE until there is one.
 *
 * Without a transactional id the broker keeps no state of producers: a client that asks to bump its
 * epoch gets a fresh id, as Kafka gives it. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/init_producer_id.h"

enum init_step { INIT_START, INIT_BLOCK };
static const char *const init_steps[] = {"START", "BLOCK"};

enum { INIT_WAIT_MS = 5000 }; /* then retriable: the client asks again */

struct init {
    struct op op;
    struct request *request;
    uint64_t attempts;
};

static void init_reply(struct request *request, enum err err, int64_t id)
{
    struct init_producer_id_response response;

    init_producer_id_response_default(&response);
    response.error_code = (int16_t)err;
    response.producer_id = id;
    response.producer_epoch = err == ERR_NONE ? 0 : -1;
    request_reply(request, &response);
}

static enum op_result init_run(struct op *op)
{
    struct init *o = CONTAINER_OF(op, struct init, op);
    struct producer_ids *ids = &o->request->node->producer_ids;
    int64_t id = -1;

    switch ((enum init_step)op->step) {
    case INIT_START:
        o->attempts = ids->attempts;
        if (!producer_ids_take(ids, &id)) {
            AWAIT(o, INIT_BLOCK, &ids->source,
                  producer_ids_ready(ids) || ids->attempts != o->attempts || op_expired(op));
            if (!producer_ids_ready(ids) || !producer_ids_take(ids, &id)) {
                init_reply(o->request, ERR_COORDINATOR_LOAD_IN_PROGRESS, -1);
                return OP_DONE;
            }
        }
        init_reply(o->request, ERR_NONE, id);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a producer id");
}

static void init_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct init, op)->request);
}

static const struct op_kind init_kind = {"init_producer_id", init_steps, COUNT_OF(init_steps),
                                         init_run, init_finish};

void api_producer_id_handle(struct request *request)
{
    struct init_producer_id_request body;
    struct init *o;

    if (request_decode(request, &body) != ERR_NONE) return;
    if (body.transactional_id.data != NULL) {
        init_reply(request, ERR_COORDINATOR_NOT_AVAILABLE, -1);
        request_finish(request);
        return;
    }
    o = request_alloc(request, sizeof *o);
    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    o->request = request;
    op_start(&request->env->loop, &o->op, &init_kind, INIT_START);
    op_deadline(&o->op, env_deadline(request->env, INIT_WAIT_MS));
}
