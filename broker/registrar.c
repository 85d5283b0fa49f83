#include "broker/registrar.h"

enum { REGISTRAR_RETRY_MS = 500, REGISTRAR_ARENA_MAX = 16 << 10 };

static bool registrar_known(const struct registrar *r)
{
    struct map_node *node =
        map_find_u64(&r->loader->image.controllers, (uint32_t)r->config->node_id);

    return node != NULL &&
           uuid_equal(MAP_ENTRY(node, struct image_controller, node)->incarnation, r->incarnation);
}

static void registrar_fill(struct registrar *r)
{
    struct features_range ranges[FEATURES_COUNT];

    controller_registration_request_default(&r->request);
    features_supported(r->config, ranges);
    for (uint32_t i = 0; i < FEATURES_COUNT; i++)
        r->features[i] = (struct controller_registration_request_feature){
            ranges[i].name, ranges[i].min, ranges[i].max};
    r->listener = (struct controller_registration_request_listener){
        .name = str_of(r->config->controller_listener),
        .host = r->quorum->config.host,
        .port = r->quorum->config.port};
    r->request.controller_id = (int32_t)r->config->node_id;
    r->request.incarnation_id = r->incarnation;
    r->request.listeners = &r->listener;
    r->request.listeners_count = 1;
    r->request.features = r->features;
    r->request.features_count = FEATURES_COUNT;
}

/* False: nobody leads, as far as this node knows. */
static bool registrar_send(struct registrar *r)
{
    struct peer *peer = quorum_leader_peer(r->quorum);

    arena_reset(&r->arena);
    r->local = controller_active(r->controller);
    if (r->local) {
        r->own = (struct controller_call){.api = CONTROLLER_CONTROLLER_REGISTRATION,
                                          .arena = &r->arena,
                                          .deadline_ns = OP_NO_DEADLINE};
        r->own.request.controller_registration = &r->request;
        r->own.response.controller_registration = &r->response;
        controller_submit(r->controller, &r->own);
        return true;
    }
    if (peer == NULL) return false;
    call_init(&r->call, API_CONTROLLER_REGISTRATION);
    r->call.body = &r->request;
    peer_call(peer, &r->call);
    return true;
}

static bool registrar_answered(const struct registrar *r)
{
    return r->local ? r->own.finished : call_done(&r->call);
}

static struct op_source *registrar_answer(struct registrar *r)
{
    return r->local ? &r->own.done : &r->call.done;
}

/* What came of it is seen in the image; a refusal is said. */
static void registrar_take(struct registrar *r)
{
    enum err err = r->local ? r->own.result : r->call.result;

    if (!r->local && err == ERR_NONE)
        err = controller_registration_response_decode(&r->call.reader, r->call.version, &r->arena,
                                                      &r->response);
    if (err == ERR_NONE && err_from_wire(r->response.error_code) == ERR_UNSUPPORTED_VERSION)
        TRACE_TEXT(r->env->world, NODE_ERROR,
                   STR("the cluster uses levels of features that this controller does not know"),
                   ERR_UNSUPPORTED_VERSION);
    if (!r->local) call_release(&r->call);
}

enum registrar_step { REGISTRAR_START, REGISTRAR_DUE, REGISTRAR_ANSWERED };
static const char *const registrar_steps[] = {"START", "DUE", "ANSWERED"};

static enum op_result registrar_run(struct op *op)
{
    struct registrar *o = CONTAINER_OF(op, struct registrar, op);

    switch ((enum registrar_step)op->step) {
    case REGISTRAR_START:
        while (!o->stopping && !registrar_known(o)) {
            op_deadline(op, env_deadline(o->env, REGISTRAR_RETRY_MS));
            AWAIT(o, REGISTRAR_DUE, &o->wake, o->stopping || op_expired(op));
            op_deadline(op, OP_NO_DEADLINE);
            if (o->stopping || registrar_known(o)) break;
            if (!loader_caught_up(o->loader) || !registrar_send(o)) continue;
            AWAIT(o, REGISTRAR_ANSWERED, registrar_answer(o), registrar_answered(o));
            registrar_take(o);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of a registrar");
}

static void registrar_finish(struct op *op)
{
    arena_deinit(&CONTAINER_OF(op, struct registrar, op)->arena);
}

static const struct op_kind registrar_kind = {
    "registrar", registrar_steps, COUNT_OF(registrar_steps), registrar_run, registrar_finish};

void registrar_start(struct registrar *registrar, struct env *env, const struct config *config,
                     const struct loader *loader, struct quorum *quorum,
                     struct controller *controller, struct uuid incarnation)
{
    *registrar = (struct registrar){.env = env,
                                    .config = config,
                                    .loader = loader,
                                    .quorum = quorum,
                                    .controller = controller,
                                    .incarnation = incarnation};
    op_source_init(&registrar->wake);
    arena_init(&registrar->arena, &env->mem, REGISTRAR_ARENA_MAX);
    registrar_fill(registrar);
    op_start(&env->loop, &registrar->op, &registrar_kind, REGISTRAR_START);
}

void registrar_stop(struct registrar *registrar)
{
    registrar->stopping = true;
    if (op_live(&registrar->op)) op_wake(&registrar->wake);
}

bool registrar_stopped(const struct registrar *registrar)
{
    return !op_live(&registrar->op);
}
