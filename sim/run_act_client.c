/* Actions on clients: start, stop, a burst of records. */
#include "sim/run.h"

#include <stdio.h>

static void client_tell(struct run *run, int step, const char *what, const char *name)
{
    const int64_t fields[] = {step + 1};
    char text[128];
    int used = snprintf(text, sizeof text, "%s %.80s", what, name);

    ASSERT(used > 0);
    sim_tell(run->sim, TRACE_SIM_STEP, str_of(text), fields, 1);
}

/* The copy that has a name; else the first machine of the client and its copies that is off. That
 * all of them run is no failure of a step that asks for one more, again and again. */
static uint64_t start_client(struct run *run, const struct scenario_action *action, int step)
{
    int32_t of = action->args[0].topic;
    bool named = action->args[1].set;

    for (uint32_t i = 0; i < run->scenario->client_count; i++) {
        const struct scenario_client *client = &run->scenario->clients[i];
        uint64_t machine = workload_machine(run->workload, i);

        if (named ? i != (uint32_t)action->args[1].topic
                  : (int32_t)i != of && client->copy_of != of) {
            continue;
        }
        if (machine == 0 || workload_up(run->workload, i)) continue;
        client_tell(run, step, "start of client", client->name);
        workload_start_client(run->workload, i);
        return machine;
    }
    return named ? 0 : workload_client_set(run->workload, of);
}

uint64_t run_act_client(struct run *run, const struct scenario_action *action, int step,
                        uint64_t nodes)
{
    uint64_t hit = 0;

    if (action->kind == ACTION_START_CLIENT) return start_client(run, action, step);
    for (uint32_t i = run->cluster->count; i < run->sim->node_count && i < EXPR_NODES_MAX; i++) {
        struct sim_world *world = run->sim->nodes[i];
        bool done;

        if ((nodes >> i & 1) == 0) continue;
        if (action->kind == ACTION_STOP_CLIENT) {
            const struct scenario_value *how = scenario_arg(action, "how");

            done = workload_stop_client(run->workload, world, how == NULL || how->choice == 0);
            if (done) client_tell(run, step, "stop of client", world->name);
        } else {
            int64_t records =
                run_draw(run, DECIDE_STEP_VALUE, 0, scenario_arg(action, "n")->quantity);

            done = workload_produce(run->workload, world, (uint32_t)records);
        }
        if (done) hit |= UINT64_C(1) << i;
    }
    return hit;
}
