/* Random changes of the cluster by an administrator, and of its clients. Nobody waits for an
 * answer: the cluster may be in no state to give one. */
#include "sim/swarm.h"

#include "sim/swarm_shape.h"

#include <stdio.h>
#include <string.h>

enum { ADMIN_PARTITIONS_MAX = 8, ADMIN_PENDING_MAX = 6 };

/* ---- the cluster ----------------------------------------------------------------------------- */

uint32_t swarm_topic(struct swarm *swarm)
{
    const struct scenario *scenario = swarm->run->scenario;
    uint64_t which = rng_below(&swarm->rng, scenario->topic_count);

    return scenario->topics[which].swarm ? (uint32_t)which : 0;
}

static void admin_elect(struct swarm *swarm)
{
    uint32_t topic = swarm_topic(swarm);
    uint64_t partition = rng_below(&swarm->rng, swarm->run->cluster->partitions[topic]);

    (void)swarm_act_on(swarm, "{elect: {partition: %s-%u, how: preferred}}",
                       swarm->scenario->topics[topic].name, (unsigned)partition);
}

static void admin_add_partitions(struct swarm *swarm)
{
    uint32_t topic = swarm_topic(swarm);
    int32_t known = swarm->scenario->names.partitions[topic];

    if (known >= ADMIN_PARTITIONS_MAX || swarm_foreign_stands(swarm)) return;
    (void)swarm_act_on(swarm, "{add_partitions: {topic: %s, count: %d}}",
                       swarm->scenario->topics[topic].name, (int)known + 1);
}

/* One topic comes and goes; nobody produces to it. */
static void admin_create_delete(struct swarm *swarm)
{
    (void)swarm_act_on(swarm,
                       swarm->made ? "{delete_topic: {topic: %s}}" : "{create_topic: {topic: %s}}",
                       SWARM_SHAPE_TOPIC);
    swarm->made = !swarm->made;
}

static void admin_config(struct swarm *swarm)
{
    uint32_t topic = swarm_topic(swarm);
    char setting[96];
    char *equals;

    swarm_shape_topic_setting(&swarm->rng, setting, sizeof setting);
    equals = strchr(setting, '=');
    *equals = '\0';
    (void)swarm_act_on(swarm, "{config: {scope: topic %s, set: {%s: %s}}}",
                       swarm->scenario->topics[topic].name, setting, equals + 1);
}

static void admin_delete_records(struct swarm *swarm)
{
    uint32_t topic = swarm_topic(swarm);
    uint64_t partition = rng_below(&swarm->rng, swarm->run->cluster->partitions[topic]);
    int64_t before = swarm_ms(swarm, 10, 5);

    (void)swarm_act_on(swarm, "{delete_records: {partition: %s-%u, before: %lld}}",
                       swarm->scenario->topics[topic].name, (unsigned)partition, (long long)before);
}

/* A broker is taken out of service, as long as all replicas still find a place. */
void swarm_depart(struct swarm *swarm)
{
    int node = swarm_storage_victim(swarm);
    uint32_t most = 0;

    for (uint32_t i = 0; i < swarm->scenario->topic_count; i++) {
        if (swarm->run->cluster->replicas[i] > most) most = swarm->run->cluster->replicas[i];
    }
    if (node < 0 || swarm->departed >= 0 || swarm->scenario->brokers <= most) return;
    if (!swarm_act_on(swarm, "{crash: {node: node(%d), how: clean}}", swarm_id(swarm, node))) {
        return;
    }
    swarm->departed = node;
}

bool swarm_may_ask(const struct swarm *swarm)
{
    const struct workload *workload = swarm->run->workload;

    return workload->job_count - workload->job_next < ADMIN_PENDING_MAX &&
           workload->job_count + ADMIN_PENDING_MAX < WORKLOAD_JOBS_MAX;
}

void swarm_admin_fault(struct swarm *swarm)
{
    uint64_t what = rng_below(&swarm->rng, 12);

    if (what == 11) {
        swarm_depart(swarm);
        return;
    }
    if (!swarm_may_ask(swarm)) return;
    if (what < 3) {
        admin_elect(swarm);
    } else if (what < 5) {
        admin_add_partitions(swarm);
    } else if (what < 7) {
        admin_create_delete(swarm);
    } else if (what < 10) {
        admin_config(swarm);
    } else {
        admin_delete_records(swarm);
    }
}

/* ---- clients --------------------------------------------------------------------------------- */

/* Only members of groups die: another one goes on with their work. */
void swarm_client_fault(struct swarm *swarm)
{
    const struct scenario *scenario = swarm->scenario;
    uint64_t which = rng_below(&swarm->rng, scenario->client_count);
    const struct scenario_client *client = &scenario->clients[which];
    int id = SCENARIO_FIRST_CLIENT + (int)which;
    int64_t for_ms = swarm_ms(swarm, 50, 8);
    uint64_t how = rng_below(&swarm->rng, 3);
    uint64_t records = rng_below(&swarm->rng, 200);

    if (how == 0 && client->kind == SCENARIO_PRODUCER) {
        (void)swarm_act_on(swarm, "{produce: {client: node(%d), n: %u}}", id,
                           (unsigned)records + 1);
    } else if (how == 1 && client->group != NULL && client->copy_of >= 0) {
        (void)swarm_act_on(swarm,
                           "{crash: {node: node(%d), how: kill}, then: {restart: {after: %lldms}}}",
                           id, (long long)for_ms);
    } else {
        (void)swarm_act_on(swarm, "{pause: {client: node(%d), for: %lldms}}", id,
                           (long long)for_ms);
    }
}
