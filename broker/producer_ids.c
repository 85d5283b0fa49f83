#include "broker/producer_ids.h"

enum { PRODUCER_IDS_ARENA_MAX = 16 * 1024 };

enum producer_ids_step { PRODUCER_IDS_START, PRODUCER_IDS_ANSWERED };
static const char *const producer_ids_steps[] = {"START", "ANSWERED"};

static enum err producer_ids_result(struct producer_ids *ids)
{
    struct allocate_producer_ids_response response;
    enum err err = ids->call.result;

    if (err == ERR_NONE) {
        err = allocate_producer_ids_response_decode(&ids->call.reader, ids->call.version,
                                                    &ids->arena, &response);
    }
    call_release(&ids->call);
    arena_deinit(&ids->arena);
    if (err != ERR_NONE) return err;
    if (response.error_code != 0) return err_from_wire(response.error_code);
    if (response.producer_id_start < 0 || response.producer_id_len <= 0) return ERR_MALFORMED;
    ids->next = response.producer_id_start;
    ids->end = ids->next + response.producer_id_len;
    return ERR_NONE;
}

static enum op_result producer_ids_run(struct op *op)
{
    struct producer_ids *o = CONTAINER_OF(op, struct producer_ids, op);
    struct peer *peer = channel_peer(o->channel);

    switch ((enum producer_ids_step)op->step) {
    case PRODUCER_IDS_START:
        if (peer == NULL || o->lifecycle->broker_epoch < 0) {
            o->attempts++;
            return OP_DONE;
        }
        arena_init(&o->arena, &o->env->mem, PRODUCER_IDS_ARENA_MAX);
        allocate_producer_ids_request_default(&o->request);
        o->request.broker_id = o->broker_id;
        o->request.broker_epoch = o->lifecycle->broker_epoch;
        call_init(&o->call, API_ALLOCATE_PRODUCER_IDS);
        o->call.body = &o->request;
        peer_call(peer, &o->call);
        AWAIT(o, PRODUCER_IDS_ANSWERED, &o->call.done, call_done(&o->call));
        if (producer_ids_result(o) != ERR_NONE) o->attempts++;
        return OP_DONE;
    }
    IMPOSSIBLE("step of a block of producer ids");
}

static void producer_ids_finish(struct op *op)
{
    op_wake(&CONTAINER_OF(op, struct producer_ids, op)->source);
}

static const struct op_kind producer_ids_kind = {"producer_ids", producer_ids_steps,
                                                 COUNT_OF(producer_ids_steps), producer_ids_run,
                                                 producer_ids_finish};

void producer_ids_init(struct producer_ids *ids, struct env *env, struct channel *channel,
                       const struct lifecycle *lifecycle, int32_t broker_id)
{
    *ids = (struct producer_ids){
        .env = env, .channel = channel, .lifecycle = lifecycle, .broker_id = broker_id};
    op_source_init(&ids->source);
}

bool producer_ids_ready(const struct producer_ids *ids)
{
    return ids->next < ids->end;
}

bool producer_ids_idle(const struct producer_ids *ids)
{
    return !op_live(&ids->op);
}

bool producer_ids_take(struct producer_ids *ids, int64_t *id)
{
    if (producer_ids_ready(ids)) {
        *id = ids->next++;
        return true;
    }
    if (!op_live(&ids->op)) {
        op_start(&ids->env->loop, &ids->op, &producer_ids_kind, PRODUCER_IDS_START);
    }
    return false;
}
