#include "broker/dump_command.h"

enum dump_command_step { DUMP_COMMAND_START, DUMP_COMMAND_DONE };
static const char *const dump_command_steps[] = {"START", "DONE"};

enum { DUMP_COMMAND_OPS_MAX = 16, DUMP_COMMAND_PAYLOAD = 1 << 20 };

static enum op_result dump_command_run(struct op *op)
{
    struct dump_command *o = CONTAINER_OF(op, struct dump_command, op);

    switch ((enum dump_command_step)op->step) {
    case DUMP_COMMAND_START:
        dump_start(&o->dump, &o->env, &o->request, o->sink);
        AWAIT(o, DUMP_COMMAND_DONE, &o->dump.done_source, o->dump.done);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a dump");
}

static void dump_command_finish(struct op *op)
{
    struct dump_command *command = CONTAINER_OF(op, struct dump_command, op);

    world_stop(command->env.world, command->dump.failed ? 1 : 0);
}

static const struct op_kind dump_command_kind = {"dump_command", dump_command_steps,
                                                 COUNT_OF(dump_command_steps), dump_command_run,
                                                 dump_command_finish};

static void dump_command_started(struct env *env)
{
    struct dump_command *command = CONTAINER_OF(env, struct dump_command, env);

    op_start(&env->loop, &command->op, &dump_command_kind, DUMP_COMMAND_START);
}

enum err dump_command_start(struct dump_command *command, struct world *world,
                            const struct dump_request *request, struct dump_sink *sink)
{
    const struct env_limits limits = {.ops_max = DUMP_COMMAND_OPS_MAX,
                                      .payload_bytes = DUMP_COMMAND_PAYLOAD};

    *command = (struct dump_command){.request = *request, .sink = sink};
    return env_init(&command->env, world, &limits, dump_command_started);
}
