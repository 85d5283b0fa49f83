/* Actions on the cluster: each becomes a job of the operator, a real admin client on a machine of
 * its own, which can be cut off or paused like any other. What is drawn is drawn here. */
#include "sim/run_act.h"

/* The brokers of a selector: `first` before the others, those by their numbers. */
static void take_nodes(struct run *run, struct workload_job *job, uint64_t nodes, uint64_t first)
{
    for (int pass = 0; pass < 2; pass++) {
        FOR_NODES (i, nodes) {
            bool is_first = (first >> i & 1) != 0;

            if (is_first != (pass == 0) || job->ids_count == WORKLOAD_IDS_MAX) continue;
            job->ids[job->ids_count++] = run->sim->nodes[i]->id;
        }
    }
}

/* A job of this step, or NULL: there have been too many. */
static struct workload_job *new_job(struct run *run, const struct scenario_action *action, int step)
{
    struct workload_job *job = workload_job(run->workload);

    if (job == NULL) {
        run_not_exercised(run, "step %d: more than %d requests of an administrator", step + 1,
                          WORKLOAD_JOBS_MAX);
        return NULL;
    }
    sim_fault_asked(run->sim, workload_fault(action->kind));
    job->action = action;
    job->step = step;
    return job;
}

void run_act_cluster(struct run *run, const struct scenario_action *action, int step)
{
    struct workload_job *job = new_job(run, action, step);
    struct cluster *cluster = run->cluster;
    uint32_t topic = action->args[0].topic >= 0 ? (uint32_t)action->args[0].topic : 0;

    if (job == NULL) return;
    if (action->kind == ACTION_ADD_PARTITIONS) {
        job->number = (uint32_t)run_draw(run, DECIDE_STEP_VALUE, 0, action->args[1].quantity);
    } else if (action->kind == ACTION_DELETE_TOPIC) {
        cluster->topics_off[topic] = true; /* from now on it may be gone at any moment */
    } else if (action->kind == ACTION_DELETE_RECORDS) {
        const struct scenario_value *before = scenario_arg(action, "before");
        int leader = cluster_partition_leader(cluster, topic, action->args[0].partition);

        if (before != NULL) job->before = run_draw(run, DECIDE_STEP_VALUE, 0, before->quantity);
        if (leader >= 0) job->node = cluster->nodes[leader].id;
    } else if (action->kind == ACTION_CONFIG && action->args[0].partition > 0) {
        job->node = action->args[0].partition; /* a broker answers for itself */
    }
    if (action->kind == ACTION_REASSIGN) {
        uint64_t to = act_nodes(run, scenario_arg(action, "to"));

        take_nodes(run, job, to, act_nodes(run, scenario_arg(action, "first")) & to);
    } else if (action->kind == ACTION_UNREGISTER) {
        take_nodes(run, job, act_nodes(run, scenario_arg(action, "broker")), 0);
    }
    workload_ask(run->workload);
}

void run_act_voters(struct run *run, const struct scenario_action *action, int step, uint64_t nodes)
{
    FOR_NODES (i, nodes) {
        struct workload_job *job;

        if (i >= run->cluster->count || (run->cluster->nodes[i].role & CLUSTER_CONTROLLER) == 0) {
            run_not_exercised(run, "step %d: node %d is no controller", step + 1,
                              (int)run->sim->nodes[i]->id);
            continue;
        }
        job = new_job(run, action, step);
        if (job == NULL) return;
        job->voter = run->sim->nodes[i]->id;
        workload_ask(run->workload);
    }
}

/* A request to each of these brokers: the directories are its own. */
void run_act_move_dir(struct run *run, const struct scenario_action *action, int step,
                      uint64_t nodes)
{
    FOR_NODES (i, nodes) {
        struct workload_job *job = new_job(run, action, step);

        if (job == NULL) return;
        job->node = run->sim->nodes[i]->id;
        workload_ask(run->workload);
    }
}
