/* What steps do to clients, and through the operator to the cluster. Machines are told by injected
 * callbacks, each in a turn of its own. */
#include "sim/workload.h"

#include "sim/fault.h"

#include <stdio.h>
#include <string.h>

static struct workload_client *steps_client(struct workload *workload,
                                            const struct sim_world *world)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        if (workload->clients[i].world == world) return &workload->clients[i];
    }
    return NULL;
}

static void steps_nudge_now(struct world_req *req, struct instant now)
{
    struct workload_client *client = CONTAINER_OF(req, struct workload_client, nudge);

    (void)now;
    client->nudged = false;
    if (client->node != NULL) workload_client_nudge(client->node);
}

static bool steps_nudge(struct workload_client *client)
{
    if (!client->world->up) return false;
    if (client->nudged) return true;
    world_req_init(&client->nudge, steps_nudge_now);
    if (!sim_node_admit(client->world, &client->nudge)) return false;
    client->nudged = true;
    sim_node_complete(client->world, &client->nudge, SIM_KIND_TIMER, ERR_NONE, 0);
    return true;
}

/* ---- clients --------------------------------------------------------------------------------- */

static const struct workload_client *steps_number(const struct workload *workload, uint32_t number)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        const struct workload_client *client = &workload->clients[i];

        if (client->scenario != NULL && client->number == number) return client;
    }
    return NULL;
}

uint64_t workload_machine(const struct workload *workload, uint32_t number)
{
    const struct workload_client *client = steps_number(workload, number);

    return client != NULL ? UINT64_C(1) << client->world->index : 0;
}

bool workload_up(const struct workload *workload, uint32_t number)
{
    const struct workload_client *client = steps_number(workload, number);

    return client != NULL && client->world->up;
}

void workload_start_client(struct workload *workload, uint32_t number)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        struct workload_client *client = &workload->clients[i];

        if (client->scenario == NULL || client->number != number || client->world->up) continue;
        client->off = false;
        client->finished = false;
        sim_node_start(client->world);
    }
}

bool workload_stop_client(struct workload *workload, const struct sim_world *world, bool in_order)
{
    struct workload_client *client = steps_client(workload, world);

    if (client == NULL || client->scenario == NULL || !world->up) return false;
    client->off = true;
    if (in_order) return workload_finish_one(client);
    sim_crash(client->world, SIM_DOWN_KILL);
    return true;
}

bool workload_produce(struct workload *workload, const struct sim_world *world, uint32_t records)
{
    struct workload_client *client = steps_client(workload, world);

    if (client == NULL || client->kind != WORKLOAD_PRODUCER || !world->up) return false;
    client->extra += records;
    return steps_nudge(client);
}

/* Whether a group is served can only be judged when it has a member. */
void workload_restore_groups(struct workload *workload)
{
    const struct scenario *scenario = workload->cluster->scenario;

    for (uint32_t group = 0; group < scenario->names.group_count; group++) {
        int first = -1;
        bool served = false;

        for (uint32_t i = 0; i < scenario->client_count; i++) {
            if (scenario->clients[i].group == NULL) continue;
            if (scenario->clients[i].group_number != (int32_t)group) continue;
            if (first < 0) first = (int)i;
            served = served || workload_up(workload, i);
        }
        if (!served && first >= 0) workload_start_client(workload, (uint32_t)first);
    }
}

/* ---- the operator ---------------------------------------------------------------------------- */

struct workload_job *workload_job(struct workload *workload)
{
    struct workload_job *job;

    if (workload->job_count == WORKLOAD_JOBS_MAX) return NULL;
    job = &workload->jobs[workload->job_count++];
    *job = (struct workload_job){.before = -1, .node = -1};
    return job;
}

void workload_ask(struct workload *workload)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        if (workload->clients[i].kind == WORKLOAD_OPERATOR)
            (void)steps_nudge(&workload->clients[i]);
    }
}

uint32_t workload_partitions(const struct workload *workload, uint32_t topic)
{
    uint32_t count = workload->cluster->partitions[topic];

    for (uint32_t i = workload->job_next; i < workload->job_count; i++) {
        const struct workload_job *job = &workload->jobs[i];

        if (job->action->kind == ACTION_ADD_PARTITIONS &&
            job->action->args[0].topic == (int32_t)topic && job->number > count)
            count = job->number;
    }
    return count;
}

uint64_t workload_placements(const struct workload *workload)
{
    uint64_t set = 0;

    for (uint32_t i = workload->job_next; i < workload->job_count; i++) {
        const struct workload_job *job = &workload->jobs[i];

        if (job->action->kind == ACTION_CREATE_TOPIC || job->action->kind == ACTION_ADD_PARTITIONS)
            set |= cluster_brokers(workload->cluster);
        if (job->action->kind != ACTION_REASSIGN) continue;
        for (uint32_t k = 0; k < job->ids_count; k++) {
            int index = cluster_index(workload->cluster, job->ids[k]);

            if (index >= 0) set |= UINT64_C(1) << index;
        }
    }
    return set;
}

uint64_t workload_unregisters(const struct workload *workload)
{
    uint64_t set = 0;

    for (uint32_t i = workload->job_next; i < workload->job_count; i++) {
        const struct workload_job *job = &workload->jobs[i];
        int index = -1;

        if (job->action->kind == ACTION_UNREGISTER && job->ids_count > 0)
            index = cluster_index(workload->cluster, job->ids[0]);
        if (index >= 0) set |= UINT64_C(1) << index;
    }
    return set;
}

void workload_jobs_failed(const struct workload *workload, char *text, size_t size)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < workload->job_count; i++) {
        const struct workload_job *job = &workload->jobs[i];
        const char *name = language_action(job->action->kind)->name;

        if (job->step < 0) continue; /* random: the cluster may be in no state to answer */
        if (job->done && job->result == ERR_NONE) continue;
        if (job->done) {
            (void)snprintf(text, size, "step %d: %s was answered with %s: %s", job->step + 1, name,
                           err_name(job->result), job->message);
        } else {
            (void)snprintf(text, size, "step %d: %s was never answered", job->step + 1, name);
        }
        return;
    }
}
