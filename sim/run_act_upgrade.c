/* P9: a node stops in order and comes back as another build, which knows other levels of features.
 * There is one build in this process: the levels are a setting of the node. */
#include "sim/run_act.h"

#include <stdio.h>

enum { UPGRADE_LOOK_MS = 100 };

static void later_upgraded(struct run_later *later)
{
    const struct scenario_action *action = later->action;
    struct run *run = later->run;
    uint64_t left = 0;

    FOR_NODES (i, later->nodes) {
        struct sim_world *node = run->sim->nodes[i];
        struct errmsg error = {.text = ""};
        char settings[80];

        if (node->up) {
            left |= UINT64_C(1) << i;
            continue;
        }
        (void)snprintf(settings, sizeof settings, "gregor.feature.metadata.version.max=%d",
                       (int)act_quantity(run, action, "to", 0));
        if (cluster_reconfigure(run->cluster, i, settings, &error)) {
            sim_fault_hit(run->sim, SIM_FAULT_VERSION);
        } else {
            run_not_exercised(run, "upgrade: %.160s", error.text);
        }
        sim_restart(node);
    }
    if (left == 0) return;
    later = run_later(run, UPGRADE_LOOK_MS * NS_PER_MS, later_upgraded);
    later->action = action;
    later->nodes = left;
}

void act_upgrade(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    struct run_later *later;

    FOR_NODES (i, nodes) {
        if (i >= run->cluster->count) continue;
        act_tell(run, SIM_FAULT_VERSION, true, step, i, "another build of");
        sim_fault_asked(run->sim, SIM_FAULT_VERSION);
        cluster_stop(run->cluster, i);
    }
    later = run_later(run, UPGRADE_LOOK_MS * NS_PER_MS, later_upgraded);
    later->action = action;
    later->nodes = nodes;
}
