/* Messages that are late by exactly one event of the cluster (known-failures.md 7).
 *
 *   ARMED --the message leaves--> HELD --leader change, restart, time--> (plus) RELEASED
 *
 * The event counts only while the message is held; `for` bounds the wait, and a message that is let
 * go because of it was not late by anything: then the fault has not hit. */
#include "sim/run_act.h"

#include "client/base/assert.h"

#include <stdlib.h>

enum hold_until {
    HOLD_LEADER_CHANGE,
    HOLD_CONTROLLER_CHANGE,
    HOLD_RESTART,
    HOLD_TIME,
};

struct run_hold {
    struct run *run;
    struct run_hold *next;
    struct sim_hold *hold;
    enum hold_until until;
    uint64_t of; /* whose restart */
    int64_t plus_ns;
    bool happened;
};

static struct run_later *hold_later(struct run_hold *hold, int64_t delay_ns,
                                    void (*act)(struct run_later *later))
{
    struct run_later *later = run_later(hold->run, delay_ns, act);

    later->context = hold;
    return later;
}

static void later_release(struct run_later *later)
{
    struct run_hold *hold = later->context;

    sim_release(later->run->sim, hold->hold, hold->happened || hold->until == HOLD_TIME);
}

/* Longer than any wait of the protocols: then it would be a loss, not a delay. */
#define HOLD_LIMIT_NS (60 * NS_PER_SEC)

static struct run_hold *hold_begin(struct run *run, struct sim_hold *held)
{
    struct run_hold *hold = sim_alloc(sizeof *hold);

    hold->run = run;
    hold->hold = held;
    hold->next = run->holds;
    run->holds = hold;
    return hold;
}

uint64_t act_hold(struct run *run, const struct scenario_action *action, int step)
{
    const struct scenario_value *api = scenario_arg(action, "api");
    const struct scenario_value *of = scenario_arg(action, "of");
    uint64_t from = act_nodes(run, scenario_arg(action, "from"));
    uint64_t to = act_nodes(run, scenario_arg(action, "to"));
    int64_t plus_ns = act_quantity(run, action, "plus", 0);
    int64_t limit_ns = act_quantity(run, action, "for", HOLD_LIMIT_NS);
    uint64_t whose = of != NULL ? act_nodes(run, of) : from;

    if (from == 0 || to == 0) return 0;
    FOR_NODES (i, from) {
        FOR_NODES (j, to) {
            struct run_hold *hold;

            if (i == j) continue;
            act_tell(run, SIM_FAULT_HOLD, true, step, i,
                     act_truth(action, "response") ? "held answer to" : "held request of");
            hold = hold_begin(run,
                              sim_hold_message(run->sim->nodes[i], run->sim->nodes[j],
                                               api != NULL ? language_api(api->text) : (int16_t)-1,
                                               act_truth(action, "response"), false));
            hold->until = (enum hold_until)act_choice(action, "until");
            hold->of = whose;
            hold->plus_ns = plus_ns;
            (void)hold_later(hold, limit_ns, later_release);
        }
    }
    return from;
}

void act_coalesce(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    uint64_t controllers = cluster_controllers(run->cluster);
    int64_t limit_ns = act_quantity(run, action, "for", NS_PER_SEC);

    FOR_NODES (i, nodes) {
        act_tell(run, SIM_FAULT_COALESCE, true, step, i, "late metadata of");
        FOR_NODES (j, controllers) {
            struct run_hold *hold;

            if (i == j) continue;
            hold = hold_begin(run, sim_hold_message(run->sim->nodes[i], run->sim->nodes[j],
                                                    language_api("Fetch"), true, true));
            hold->until = HOLD_TIME;
            (void)hold_later(hold, limit_ns, later_release);
        }
    }
}

static bool hold_ended(const struct run_hold *hold, int32_t node, const struct trace_event *event)
{
    switch (hold->until) {
    case HOLD_LEADER_CHANGE: return event->kind == TRACE_REPLICA_LEADING;
    case HOLD_CONTROLLER_CHANGE: return event->kind == TRACE_RAFT_ELECTED;
    case HOLD_RESTART: {
        int index = event->kind == TRACE_SIM_UP && node < 0
                        ? cluster_index(hold->run->cluster, (int32_t)event->fields[0])
                        : -1;

        return index >= 0 && (hold->of >> index & 1) != 0;
    }
    case HOLD_TIME: return false;
    }
    IMPOSSIBLE("end of a hold");
}

void run_holds_look(struct run *run, int32_t node, const struct trace_event *event)
{
    for (struct run_hold *hold = run->holds; hold != NULL; hold = hold->next) {
        if (hold->happened || hold->hold->held == 0 || hold->hold->released) continue;
        if (!hold_ended(hold, node, event)) continue;
        hold->happened = true;
        (void)hold_later(hold, hold->plus_ns, later_release);
    }
}

void run_holds_free(struct run *run)
{
    while (run->holds != NULL) {
        struct run_hold *next = run->holds->next;

        free(run->holds);
        run->holds = next;
    }
}
