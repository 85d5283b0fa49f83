#include "sim/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKLOAD_ERR_BASE = 256, WORKLOAD_PROBE_TURNS = 64 };

/* ---- making ---------------------------------------------------------------------------------- */

static void workload_add(struct workload *workload, enum workload_kind kind, int32_t id,
                         const struct scenario_client *scenario, uint32_t number)
{
    struct workload_client *client = &workload->clients[workload->count++];
    struct sim_node_config config = sim_node_config_default(id);
    const struct scenario *of = workload->cluster->scenario;
    struct sim *sim = workload->cluster->sim;

    client->program = workload_program;
    client->workload = workload;
    client->kind = kind;
    client->scenario = scenario;
    client->number = number;
    client->off = scenario != NULL && scenario->by_step;
    config.program = &client->program;
    config.region_size = (size_t)512 << 20;
    config.connections_max = 256;
    if (!of->free_cpu) config.costs = sim_costs_default();
    cluster_draw_clock(sim, of, &config);
    client->world = sim_node_add(sim, &config);
}

static void workload_tell(const struct workload *workload, uint32_t from)
{
    static const int64_t kind_of_trace = 4;

    for (uint32_t i = from; i < workload->count; i++) {
        const struct workload_client *client = &workload->clients[i];
        const int64_t fields[] = {client->world->id, kind_of_trace, 0};
        bool named = client->scenario != NULL && !client->crowd;

        sim_tell(workload->cluster->sim, TRACE_SIM_NODE,
                 str_of(named ? client->scenario->name : client->world->name), fields, 3);
    }
}

static void workload_add_crowd(struct workload *workload)
{
    const struct scenario *scenario = workload->cluster->scenario;
    int32_t id = SCENARIO_FIRST_CLIENT + (int32_t)scenario->client_count + 2;

    for (uint32_t i = 0; i < scenario->client_count; i++) {
        for (uint32_t j = 0; j < scenario->clients[i].crowd; j++) {
            workload_add(workload, WORKLOAD_CONSUMER, id++, &scenario->clients[i], i);
            workload->clients[workload->count - 1].crowd = true;
        }
    }
}

struct workload *workload_create(struct cluster *cluster)
{
    struct workload *workload = sim_alloc(sizeof *workload);
    const struct scenario *scenario = cluster->scenario;
    size_t used = 0;

    workload->cluster = cluster;
    for (uint32_t i = 0; i < scenario->brokers; i++) {
        used += (size_t)snprintf(workload->bootstrap + used, sizeof workload->bootstrap - used,
                                 "%snode-%u:%d", i > 0 ? "," : "", i + 1, CLUSTER_BROKER_PORT);
    }
    workload_add(workload, WORKLOAD_ADMIN, SCENARIO_ADMIN, NULL, 0);
    for (uint32_t i = 0; i < scenario->client_count; i++) {
        const struct scenario_client *client = &scenario->clients[i];

        workload_add(workload,
                     client->kind == SCENARIO_PRODUCER ? WORKLOAD_PRODUCER : WORKLOAD_CONSUMER,
                     SCENARIO_FIRST_CLIENT + (int32_t)i, client, i);
    }
    workload_add(workload, WORKLOAD_DRAIN, SCENARIO_FIRST_CLIENT + (int32_t)scenario->client_count,
                 NULL, 0);
    if (scenario->operates) {
        workload_add(workload, WORKLOAD_OPERATOR,
                     SCENARIO_FIRST_CLIENT + (int32_t)scenario->client_count + 1, NULL, 0);
    }
    ASSERT(cluster->count + workload->count <= SCENARIO_NAMED_MAX);
    workload_tell(workload, 0);
    workload->named = workload->count;
    workload_add_crowd(workload);
    return workload;
}

void workload_destroy(struct workload *workload)
{
    if (workload == NULL) return;
    for (uint32_t i = 0; i < workload->count; i++)
        free(workload->clients[i].records);
    free(workload);
}

/* ---- steering -------------------------------------------------------------------------------- */

static void workload_start_kind(struct workload *workload, enum workload_kind kind)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        struct workload_client *client = &workload->clients[i];

        if (client->kind != kind || client->off || client->world->up) continue;
        sim_node_start(client->world);
    }
}

static void workload_finish_now(struct world_req *req, struct instant now)
{
    struct workload_client *client = CONTAINER_OF(req, struct workload_client, finish);

    (void)now;
    if (client->node != NULL) workload_client_finish(client->node);
}

bool workload_finish_one(struct workload_client *client)
{
    if (!client->world->up || client->finish_sent) return false;
    if (client->world->paused) sim_node_resume(client->world);
    world_req_init(&client->finish, workload_finish_now);
    if (!sim_node_admit(client->world, &client->finish)) return false;
    client->finish_sent = true;
    sim_node_complete(client->world, &client->finish, SIM_KIND_TIMER, ERR_NONE, 0);
    return true;
}

static void workload_finish_kind(struct workload *workload, enum workload_kind kind)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        struct workload_client *client = &workload->clients[i];

        if (client->kind != kind) continue;
        (void)workload_finish_one(client);
        /* Killed, and its restart was due behind the faults, when none comes any more. */
        if (!client->world->up && !client->finished) client->off = true;
    }
}

static bool workload_finished_kind(const struct workload *workload, enum workload_kind kind)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        const struct workload_client *client = &workload->clients[i];

        if (client->kind == kind && !client->off && !client->finished) return false;
    }
    return true;
}

void workload_create_topics(struct workload *workload)
{
    workload_tell(workload, workload->named); /* oracles count the nodes that are told first */
    workload_start_kind(workload, WORKLOAD_ADMIN);
}

bool workload_topics_created(const struct workload *workload)
{
    return workload_finished_kind(workload, WORKLOAD_ADMIN);
}

void workload_start(struct workload *workload)
{
    workload_start_kind(workload, WORKLOAD_PRODUCER);
    workload_start_kind(workload, WORKLOAD_CONSUMER);
    workload_start_kind(workload, WORKLOAD_OPERATOR);
}

void workload_finish_producers(struct workload *workload)
{
    workload_finish_kind(workload, WORKLOAD_PRODUCER);
    workload_finish_kind(workload, WORKLOAD_OPERATOR);
}

bool workload_producers_finished(const struct workload *workload)
{
    return workload_finished_kind(workload, WORKLOAD_PRODUCER) &&
           workload_finished_kind(workload, WORKLOAD_OPERATOR);
}

void workload_finish_consumers(struct workload *workload)
{
    workload_finish_kind(workload, WORKLOAD_CONSUMER);
}

bool workload_consumers_finished(const struct workload *workload)
{
    return workload_finished_kind(workload, WORKLOAD_CONSUMER);
}

void workload_drain(struct workload *workload)
{
    workload_start_kind(workload, WORKLOAD_DRAIN);
}

bool workload_drained(const struct workload *workload)
{
    return workload_finished_kind(workload, WORKLOAD_DRAIN);
}

void workload_unread(const struct workload *workload, char *text, size_t size)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        const struct workload_client *client = &workload->clients[i];

        if (client->kind != WORKLOAD_DRAIN || client->node == NULL) continue;
        workload_drain_unread(client->node, text, size);
    }
}

/* ---- what they have seen --------------------------------------------------------------------- */

static struct workload_client *workload_of(struct workload *workload, const struct sim_world *world)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        if (workload->clients[i].world == world) return &workload->clients[i];
    }
    return NULL;
}

/* Marks the record that a value names. */
static void workload_mark(struct workload *workload, int64_t value, uint8_t bit)
{
    uint32_t number = (uint32_t)(value >> 32);
    uint32_t sequence = (uint32_t)value;

    for (uint32_t i = 0; i < workload->count && value >= 0; i++) {
        struct workload_client *client = &workload->clients[i];

        if (client->kind != WORKLOAD_PRODUCER || client->number != number) continue;
        if (sequence >= client->records_size) {
            uint32_t size = (sequence + 1024) * 2;
            uint8_t *grown = sim_alloc(size);

            if (client->records_size > 0) memcpy(grown, client->records, client->records_size);
            free(client->records);
            client->records = grown;
            client->records_size = size;
        }
        client->records[sequence] |= bit;
    }
}

static void workload_note_error(struct workload_client *client, int64_t err)
{
    int64_t index = err + WORKLOAD_ERR_BASE;

    if (index >= 0 && index < WORKLOAD_ERRORS) client->errors[index]++;
}

void workload_traced(struct workload *workload, const struct sim_world *world,
                     const struct trace_event *event)
{
    struct workload_client *client;
    const int64_t *fields = event->fields;

    if (event->kind < TRACE_CLIENT_SEND || event->kind > TRACE_CLIENT_ERROR) return;
    client = workload_of(workload, world);
    if (client == NULL) return;
    if (event->kind == TRACE_CLIENT_ACKED) {
        client->acked++;
        if (fields[3] >= 0 && (client->scenario == NULL || client->scenario->transaction == 0))
            workload_mark(workload, fields[2], WORKLOAD_BIT_ACKED);
    } else if (event->kind == TRACE_CLIENT_DECIDED) {
        if (fields[3] == 1) workload_mark(workload, fields[2], WORKLOAD_BIT_ACKED);
    } else if (event->kind == TRACE_CLIENT_FAILED) {
        client->failed++;
        workload_note_error(client, fields[3]);
    } else if (event->kind == TRACE_CLIENT_ERROR) {
        workload_note_error(client, fields[1]);
    } else if (event->kind == TRACE_CLIENT_READ) {
        client->read++;
        if (client->kind == WORKLOAD_DRAIN) {
            workload_mark(workload, fields[3], WORKLOAD_BIT_DRAINED);
        }
    }
}

void workload_turned(struct workload *workload, const struct sim_world *world)
{
    struct workload_client *client;

    if (world->index < workload->cluster->count) return;
    client = workload_of(workload, world);
    if (client == NULL || client->node == NULL || !world->up) return;
    if (++client->turns % WORKLOAD_PROBE_TURNS != 0 || workload->lost_wakeup[0] != '\0') return;
    if (cluster_probe(workload_client_env(client->node), workload->lost_wakeup,
                      sizeof workload->lost_wakeup)) {
        return;
    }
    workload->lost_wakeup_node = world->id;
}

/* ---- numbers --------------------------------------------------------------------------------- */

enum workload_sum { SUM_ACKED, SUM_SENT, SUM_READ, SUM_ERRORS, SUM_LOST };

static int64_t client_number(const struct workload_client *client, enum workload_sum sum,
                             int32_t err)
{
    int64_t lost = 0;

    switch (sum) {
    case SUM_ACKED: return (int64_t)client->acked;
    case SUM_SENT: return (int64_t)client->sent;
    case SUM_READ: return (int64_t)client->read;
    case SUM_ERRORS:
        if (err + WORKLOAD_ERR_BASE < 0 || err + WORKLOAD_ERR_BASE >= WORKLOAD_ERRORS) return 0;
        return client->errors[err + WORKLOAD_ERR_BASE];
    case SUM_LOST:
        for (uint32_t i = 0; i < client->records_size; i++)
            lost += client->records[i] == WORKLOAD_BIT_ACKED;
        return lost;
    }
    IMPOSSIBLE("number of a client");
}

static int64_t workload_number(const struct workload *workload, int32_t number,
                               enum workload_sum sum, int32_t err)
{
    int64_t total = 0;

    for (uint32_t i = 0; i < workload->count; i++) {
        const struct workload_client *client = &workload->clients[i];

        if (client->scenario == NULL) continue;
        if (number >= 0 && client->number != (uint32_t)number) continue;
        total += client_number(client, sum, err);
    }
    return total;
}

int64_t workload_acked(const struct workload *workload, int32_t client)
{
    return workload_number(workload, client, SUM_ACKED, 0);
}

int64_t workload_sent(const struct workload *workload, int32_t client)
{
    return workload_number(workload, client, SUM_SENT, 0);
}

int64_t workload_read(const struct workload *workload, int32_t client)
{
    return workload_number(workload, client, SUM_READ, 0);
}

int64_t workload_errors(const struct workload *workload, int32_t client, int32_t err)
{
    return workload_number(workload, client, SUM_ERRORS, err);
}

int64_t workload_lost_acked(const struct workload *workload, int32_t client)
{
    return workload_number(workload, client, SUM_LOST, 0);
}

uint64_t workload_client_set(const struct workload *workload, int32_t number)
{
    uint64_t set = 0;

    for (uint32_t i = 0; i < workload->count; i++) {
        const struct workload_client *client = &workload->clients[i];

        if (client->scenario == NULL || client->crowd) continue;
        if (number < 0 || client->number == (uint32_t)number ||
            client->scenario->copy_of == number) {
            set |= UINT64_C(1) << client->world->index;
        }
    }
    return set;
}

uint64_t workload_set(const struct workload *workload)
{
    uint64_t set = 0;

    for (uint32_t i = 0; i < workload->named; i++)
        set |= UINT64_C(1) << workload->clients[i].world->index;
    return set;
}
