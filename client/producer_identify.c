/* The producer id: asked of any broker until one tells it, or none ever will. */
#include "client/producer.h"

enum producer_identify_step {
    PRODUCER_IDENTIFY_START,
    PRODUCER_IDENTIFY_ANSWERED,
    PRODUCER_IDENTIFY_BACKED_OFF,
    PRODUCER_IDENTIFY_COUNT
};
static const char *const producer_identify_steps[PRODUCER_IDENTIFY_COUNT] = {
    [PRODUCER_IDENTIFY_START] = "START",
    [PRODUCER_IDENTIFY_ANSWERED] = "ANSWERED",
    [PRODUCER_IDENTIFY_BACKED_OFF] = "BACKED_OFF",
};

static void producer_identify_ask(struct producer *producer)
{
    struct peer *peer = metadata_any(&producer->metadata);
    struct init_producer_id_request *body = &producer->identify_body;

    init_producer_id_request_default(body);
    body->transactional_id = STR_NULL;
    body->transaction_timeout_ms = INT32_MAX;
    call_init(&producer->identify_call, API_INIT_PRODUCER_ID);
    producer->identify_call.body = body;
    producer->identify_call.timeout_ms = producer->config.request_timeout_ms;
    if (peer != NULL) {
        peer_call(peer, &producer->identify_call);
    } else {
        producer->identify_call.finished = true;
        producer->identify_call.result = ERR_BROKER_NOT_AVAILABLE;
    }
}

static bool producer_identify_answered(struct producer *producer)
{
    struct call *call = &producer->identify_call;
    struct init_producer_id_response response;
    enum err err = call->result;

    arena_reset(&producer->arena);
    if (err == ERR_NONE)
        err = init_producer_id_response_decode(&call->reader, call->version, &producer->arena,
                                               &response);
    if (err == ERR_NONE) err = err_from_wire(response.error_code);
    if (err == ERR_NONE && response.producer_id < 0) err = ERR_MALFORMED;
    call_release(call);
    producer->last_error = err;
    if (err != ERR_NONE) {
        producer->identify_failures++;
        /* No id will ever come: nothing can be sent (clients.md 2.4). */
        if (err == ERR_UNSUPPORTED_VERSION ||
            (err_is_wire(err) && err_retry(err) == ERR_FINAL && err != ERR_UNKNOWN_SERVER_ERROR))
            producer->fatal = err;
        if (producer->fatal != ERR_NONE) producer_kick(producer);
        TRACE(producer->env->world, CLIENT_ERROR, API_INIT_PRODUCER_ID, err, 0, -1);
        return false;
    }
    producer->identify_failures = 0;
    producer->identity = (struct producer_identity){response.producer_id, response.producer_epoch};
    producer_kick(producer);
    return true;
}

static enum op_result producer_identify_run(struct op *op)
{
    struct producer *producer = CONTAINER_OF(op, struct producer, identify);

    switch ((enum producer_identify_step)op->step) {
    case PRODUCER_IDENTIFY_START:
    case PRODUCER_IDENTIFY_BACKED_OFF:
        if (op->step == PRODUCER_IDENTIFY_BACKED_OFF) {
            if (!op_expired(op)) return op_park(op, NULL, OP_NO_KEY);
            if (op_probing(op)) return OP_HOLDS;
        }
        producer_identify_ask(producer);
        op_enter(op, PRODUCER_IDENTIFY_ANSWERED);
        __attribute__((fallthrough));
    case PRODUCER_IDENTIFY_ANSWERED:
        if (!call_done(&producer->identify_call))
            return op_park(op, &producer->identify_call.done, OP_NO_KEY);
        if (op_probing(op)) return OP_HOLDS;
        if (producer_identify_answered(producer) || producer->fatal != ERR_NONE) return OP_DONE;
        op_deadline(op,
                    env_deadline(producer->env, metadata_backoff_ms(&producer->metadata,
                                                                    producer->identify_failures)));
        op_enter(op, PRODUCER_IDENTIFY_BACKED_OFF);
        return op_park(op, NULL, OP_NO_KEY);
    case PRODUCER_IDENTIFY_COUNT: break;
    }
    IMPOSSIBLE("step");
}

void producer_identify_start(struct producer *producer)
{
    static const struct op_kind kind = {"producer.identify", producer_identify_steps,
                                        PRODUCER_IDENTIFY_COUNT, producer_identify_run, NULL};

    op_start(&producer->env->loop, &producer->identify, &kind, PRODUCER_IDENTIFY_START);
}
