/* What runs on a client machine: one op over the real client library. */
#include "sim/workload_private.h"
#include "sim/workload_record.h"

#include <stdio.h>
#include <string.h>

enum {
    CLIENT_OPS_MAX = 4096,
    CLIENT_PAYLOAD = 128 << 20,
    CLIENT_RECORDS_MAX = 4096, /* handed over and not finished; then the producer skips beats */
    CLIENT_TAKEN_MAX = 500,    /* records taken per resumption */
    CLIENT_REQUEST_TIMEOUT_MS = 10000, /* of a member */
    CLIENT_POLL_MS = 200,              /* a member without records */
};

struct env *workload_client_env(struct workload_node *node)
{
    return &node->env;
}

void workload_client_finish(struct workload_node *node)
{
    node->finishing = true;
    op_wake(&node->wake);
    if (node->client->kind == WORKLOAD_CONSUMER) op_wake(&node->consumer.ready);
}

void workload_client_nudge(struct workload_node *node)
{
    node->nudged = true;
    op_wake(&node->wake);
}

static struct metadata_config client_metadata(const struct workload_node *node)
{
    struct metadata_config config;

    metadata_config_default(&config);
    config.bootstrap = str_of(node->client->workload->bootstrap);
    return config;
}

/* ---- admin ----------------------------------------------------------------------------------- */

static void admin_judge(struct workload_node *node)
{
    struct workload *workload = node->client->workload;
    enum err err = node->task.result;
    bool there = err == ERR_NONE || (err == ERR_TOPIC_ALREADY_EXISTS && node->task.unclear);

    if (!there && workload->problem[0] == '\0') {
        (void)snprintf(workload->problem, sizeof workload->problem,
                       "topic %s cannot be created: %s %.150s",
                       workload->cluster->scenario->topics[node->topic].name, err_name(err),
                       node->task.message);
    }
    admin_task_release(&node->task);
}

enum admin_step { ADMIN_START, ADMIN_CREATED, ADMIN_CLOSED };
static const char *const admin_steps[] = {"START", "CREATED", "CLOSED"};

static enum op_result client_admin_run(struct op *op)
{
    struct workload_node *o = CONTAINER_OF(op, struct workload_node, op);
    const struct scenario *scenario = o->client->workload->cluster->scenario;

    switch ((enum admin_step)op->step) {
    case ADMIN_START:
        for (o->topic = 0; o->topic < scenario->topic_count; o->topic++) {
            if (scenario->topics[o->topic].late) continue;
            workload_operator_create(o, o->topic);
            admin_start(&o->admin, &o->task);
            AWAIT(o, ADMIN_CREATED, &o->task.done, o->task.finished);
            admin_judge(o);
        }
        metadata_close(&o->admin.metadata);
        AWAIT(o, ADMIN_CLOSED, &o->admin.metadata.changed, metadata_closed(&o->admin.metadata));
        admin_deinit(&o->admin);
        return OP_DONE;
    }
    IMPOSSIBLE("step of an admin");
}

/* ---- producer -------------------------------------------------------------------------------- */

static void producer_reap(struct workload_node *node)
{
    while (!list_empty(&node->done)) {
        struct producer_record *record = LIST_ENTRY(node->done.next, struct producer_record, link);

        list_remove(&record->link);
        pool_give(&node->records, CONTAINER_OF(record, struct workload_record, record));
    }
}

bool workload_producer_has_more(const struct workload_node *node)
{
    const struct workload_client *client = node->client;

    return client->scenario->records == 0 || client->sent < (uint64_t)client->scenario->records;
}

/* By the client, not by the life of its process. */
int64_t workload_client_draw(const struct workload_node *node, enum decide_what what,
                             struct unit_range range)
{
    struct sim_world *world = node->client->world;

    return decide_range(world->sim, (struct decide_site){what, world->id, 0, 0}, range.min,
                        range.max);
}

/* The keys of a producer are its own: number << 32 | 1, 2, 3 ... one after the other; three
 * quarters of them in every 32nd round only, so that their newest record becomes old. */
static uint64_t producer_key(const struct workload_client *client)
{
    uint64_t keys = client->scenario->keys;
    uint64_t busy = client->sent / keys % 32 == 0 ? keys : keys / 4 + 1;

    return (uint64_t)client->number << 32 | (client->sent % busy + 1);
}

/* False: too many are under way. */
bool workload_producer_one(struct workload_node *node)
{
    struct workload_client *client = node->client;
    const struct scenario_client *scenario = client->scenario;
    const struct scenario *all = client->workload->cluster->scenario;
    struct workload_record *record = pool_take(&node->records);
    uint32_t length =
        (uint32_t)workload_client_draw(node, DECIDE_CLIENT_SIZE, scenario->record_size);
    uint64_t name = (uint64_t)client->number << 32 | client->sent;
    bool tombstone = scenario->tombstones > 0 && client->sent % scenario->tombstones == 1;

    if (record == NULL) return false;
    client->sent++;
    producer_record_init(&record->record);
    record->record.topic = str_of(all->topics[scenario->topics[0]].name);
    if (tombstone) {
        workload_record_tombstone(record, name);
    } else {
        workload_record_value(record, length, name);
    }
    if (scenario->keys > 0) workload_record_key(record, producer_key(client));
    record->record.collect = &node->done;
    if (scenario->transaction > 0) record->record.done = &node->wake;
    producer_send(&node->producer, &record->record);
    return true;
}

static void producer_beat(struct workload_node *node)
{
    uint32_t batch = node->client->scenario->batch;

    for (uint32_t i = 0; i < batch && workload_producer_has_more(node); i++) {
        if (!workload_producer_one(node)) return;
    }
    if (batch > 1) producer_flush(&node->producer);
}

/* What a step has asked for, as fast as the producer takes it. */
static void producer_burst(struct workload_node *node)
{
    for (; node->client->extra > 0; node->client->extra--) {
        if (!workload_producer_one(node)) return;
    }
}

enum producer_step { PRODUCER_START, PRODUCER_BEAT, PRODUCER_CLOSED };
static const char *const producer_steps[] = {"START", "BEAT", "CLOSED"};

static enum op_result client_producer_run(struct op *op)
{
    struct workload_node *o = CONTAINER_OF(op, struct workload_node, op);

    switch ((enum producer_step)op->step) {
    case PRODUCER_START:
        o->next_ns = o->env.now.mono.ns;
        while (!o->finishing) {
            producer_reap(o);
            if (workload_producer_has_more(o) && o->env.now.mono.ns >= o->next_ns) {
                producer_beat(o);
                o->next_ns += o->beat_ns;
            }
            if (o->nudged) producer_burst(o);
            o->nudged = false;
            op_deadline(op, workload_producer_has_more(o) ? o->next_ns : OP_NO_DEADLINE);
            AWAIT(o, PRODUCER_BEAT, &o->wake, o->finishing || o->nudged || op_expired(op));
        }
        op_deadline(op, OP_NO_DEADLINE);
        producer_close(&o->producer, false);
        AWAIT(o, PRODUCER_CLOSED, &o->producer.changed, producer_closed(&o->producer));
        producer_reap(o);
        producer_deinit(&o->producer);
        pool_deinit(&o->records);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a producer");
}

static enum err producer_begin(struct workload_node *node)
{
    const struct scenario_client *scenario = node->client->scenario;
    struct producer_config config;
    int64_t rate;

    producer_config_default(&config);
    config.metadata = client_metadata(node);
    config.acks = scenario->acks;
    config.idempotent = scenario->idempotent;
    config.first_sequence = scenario->first_sequence;
    if (scenario->transaction > 0) config.transactional_id = str_of(scenario->name);
    if (scenario->linger_ns > 0) config.linger_ms = (int32_t)(scenario->linger_ns / NS_PER_MS);
    if (scenario->delivery_timeout_ns > 0) {
        config.delivery_timeout_ms = (int32_t)(scenario->delivery_timeout_ns / NS_PER_MS);
        if (config.request_timeout_ms > config.delivery_timeout_ms - config.linger_ms)
            config.request_timeout_ms = config.delivery_timeout_ms - config.linger_ms;
    }
    rate = workload_client_draw(node, DECIDE_CLIENT_RATE, scenario->rate);
    node->beat_ns = (int64_t)scenario->batch * 1000 * NS_PER_SEC / rate;
    if (node->beat_ns < 1000) node->beat_ns = 1000;
    node->record_size_max = (uint32_t)scenario->record_size.max;
    if (config.batch_size < scenario->batch * (node->record_size_max + 64)) {
        config.batch_size = scenario->batch * (node->record_size_max + 64);
    }
    if (config.batch_size > config.max_request_size / 2) {
        config.batch_size = config.max_request_size / 2;
    }
    list_init(&node->done);
    pool_init(&node->records, &node->env.mem,
              sizeof(struct workload_record) + node->record_size_max, CLIENT_RECORDS_MAX);
    return producer_init(&node->producer, &node->env, &config);
}

/* ---- consumer and drain ---------------------------------------------------------------------- */

static bool in_group(const struct workload_client *client)
{
    return client->kind == WORKLOAD_CONSUMER && client->scenario->group != NULL;
}

/* Which protocol a member speaks in this life. */
static bool speaks_consumer(const struct workload_node *node)
{
    const struct workload_client *client = node->client;
    const struct scenario *scenario = client->workload->cluster->scenario;

    switch (client->scenario->protocol) {
    case SCENARIO_SPEAKS_CLASSIC: return false;
    case SCENARIO_SPEAKS_CONSUMER: return true;
    case SCENARIO_SPEAKS_BOTH:
        return (client->crowd ? client->world->id : client->scenario - scenario->clients) % 2 == 0;
    case SCENARIO_SPEAKS_ROLLING: return client->world->incarnation % 2 == 0;
    }
    IMPOSSIBLE("protocol of a member");
}

static enum err member_begin(struct workload_node *node)
{
    const struct scenario_client *of = node->client->scenario;
    const struct scenario *scenario = node->client->workload->cluster->scenario;
    struct str topics[SCENARIO_TOPICS_MAX];
    struct membership_config config;
    enum err err;

    membership_config_default(&config);
    config.group_id = str_of(of->group);
    if (of->instance != NULL) config.instance_id = str_of(of->instance);
    if (speaks_consumer(node)) config.protocol = MEMBERSHIP_CONSUMER;
    config.assignors[0] = (enum assignor)of->assignor;
    config.assignors_count = 1;
    config.session_timeout_ms = (int32_t)(of->session_ns / NS_PER_MS);
    config.heartbeat_interval_ms = config.session_timeout_ms / 5;
    config.max_poll_interval_ms = (int32_t)(of->poll_max_ns / NS_PER_MS);
    config.commit_interval_ms = (int32_t)(of->commit_ns / NS_PER_MS);
    config.request_timeout_ms = CLIENT_REQUEST_TIMEOUT_MS;
    for (uint32_t i = 0; i < of->topic_count; i++)
        topics[i] = str_of(scenario->topics[of->topics[i]].name);
    err = membership_init(&node->member, &node->consumer, &config);
    if (err != ERR_NONE) return err;
    return membership_subscribe(&node->member, topics, of->topic_count);
}

static enum err consumer_begin(struct workload_node *node)
{
    const struct workload_client *client = node->client;
    const struct cluster *cluster = client->workload->cluster;
    const struct consumer_start start = {.timestamp = CONSUMER_EARLIEST};
    struct consumer_config config;
    enum err err;

    consumer_config_default(&config);
    config.metadata = client_metadata(node);
    config.trace_value = workload_record_name;
    config.read_committed = workload_any_txn(client->workload);
    if (client->scenario != NULL && client->scenario->rack != NULL)
        config.rack = str_of(client->scenario->rack);
    if (in_group(client)) config.reset = CONSUMER_RESET_EARLIEST;
    err = consumer_init(&node->consumer, &node->env, &config);
    if (in_group(client)) return err == ERR_NONE ? member_begin(node) : err;
    for (uint32_t topic = 0; topic < cluster->scenario->topic_count && err == ERR_NONE; topic++) {
        bool drains = client->kind == WORKLOAD_DRAIN;
        bool wanted = drains && !cluster->topics_off[topic];

        for (uint32_t i = 0; !drains && !wanted && i < client->scenario->topic_count; i++)
            wanted = client->scenario->topics[i] == topic;
        for (uint32_t i = 0; wanted && i < cluster->partitions[topic] && err == ERR_NONE; i++) {
            struct consumer_partition *assigned;

            err = consumer_assign(&node->consumer, str_of(cluster->scenario->topics[topic].name),
                                  (int32_t)i, start, &assigned);
        }
    }
    return err;
}

static bool consumer_over(const struct workload_node *node)
{
    if (node->client->kind == WORKLOAD_DRAIN) return workload_drain_read(node);
    return node->finishing;
}

/* Moves every partition that stands somewhere: to the end, to the start, or some records back. What
 * is asked for at that moment is answered for a position that is left (clients.md 4). */
static void consumer_seeks(struct workload_node *node)
{
    struct unit_range ways = {0, 3};
    struct unit_range far = {1, 40};

    LIST_FOR_EACH (link, &node->consumer.partitions) {
        struct consumer_partition *partition = LIST_ENTRY(link, struct consumer_partition, link);
        struct consumer_start start = {.timestamp = CONSUMER_LATEST};
        int64_t way = workload_client_draw(node, DECIDE_CLIENT_SEEK, ways);
        int64_t back = workload_client_draw(node, DECIDE_CLIENT_SEEK, far);

        if (partition->position < 0) continue;
        if (way == 1) start.timestamp = CONSUMER_EARLIEST;
        if (way > 1 && partition->position > back) {
            start.by_offset = true;
            start.offset = partition->position - back;
        }
        consumer_seek(partition, start);
    }
}

/* Whether the consumer of a scenario moves now; its next time is drawn. */
static void consumer_may_seek(struct workload_node *node)
{
    const struct scenario_client *of = node->client->scenario;
    int64_t now_ns = node->env.now.mono.ns;
    bool first = node->seek_ns == OP_NO_DEADLINE;

    if (of == NULL || of->seek.max == 0 || (!first && now_ns < node->seek_ns)) return;
    if (!first) consumer_seeks(node);
    node->seek_ns = now_ns + workload_client_draw(node, DECIDE_CLIENT_SEEK, of->seek);
}

enum consumer_step { CONSUMER_START, CONSUMER_READY, CONSUMER_AGAIN, CONSUMER_CLOSED };
static const char *const consumer_steps[] = {"START", "READY", "AGAIN", "CLOSED"};

static enum op_result client_consumer_run(struct op *op)
{
    struct workload_node *o = CONTAINER_OF(op, struct workload_node, op);
    struct consumer_record record;

    switch ((enum consumer_step)op->step) {
    case CONSUMER_START:
        o->seek_ns = OP_NO_DEADLINE;
        o->agains = 0;
        while (!consumer_over(o)) {
            consumer_may_seek(o);
            op_deadline(op, o->seek_ns);
            for (int i = 0; i < CLIENT_TAKEN_MAX && consumer_next(&o->consumer, &record); i++) {
            }
            if (consumer_over(o)) break;
            AWAIT(o, CONSUMER_READY, &o->consumer.ready,
                  consumer_has_records(&o->consumer) || consumer_over(o) ||
                      workload_drain_waits(o) || op_expired(op));
            if (!workload_drain_waits(o)) continue;
            op_deadline(op, env_deadline(&o->env, WORKLOAD_DRAIN_AGAIN_MS));
            AWAIT(o, CONSUMER_AGAIN, &o->consumer.ready, op_expired(op));
            workload_drain_again(o);
        }
        op_deadline(op, OP_NO_DEADLINE);
        consumer_close(&o->consumer);
        AWAIT(o, CONSUMER_CLOSED, &o->consumer.ready, consumer_closed(&o->consumer));
        consumer_deinit(&o->consumer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a consumer");
}

/* ---- member of a group ----------------------------------------------------------------------- */

enum member_step { MEMBER_START, MEMBER_READY, MEMBER_CLOSED };
static const char *const member_steps[] = {"START", "READY", "CLOSED"};

/* One poll of the application, and what it does with what it got. */
static void member_turn(struct workload_node *node)
{
    const struct scenario_client *of = node->client->scenario;
    int64_t now_ns = node->env.now.mono.ns;
    struct consumer_record record;
    bool any = false;

    if (now_ns < node->working_ns && !node->finishing) return;
    (void)membership_poll(&node->member);
    membership_handled(&node->member);
    for (int i = 0; i < CLIENT_TAKEN_MAX && consumer_next(&node->consumer, &record); i++)
        any = true;
    if (any && of->work.max > 0)
        node->working_ns = now_ns + workload_client_draw(node, DECIDE_CLIENT_WORK, of->work);
    if (node->finishing) membership_close(&node->member);
}

static int64_t member_deadline(const struct workload_node *node)
{
    int64_t now_ns = node->env.now.mono.ns;

    return node->working_ns > now_ns ? node->working_ns : env_deadline(&node->env, CLIENT_POLL_MS);
}

static bool member_woken(const struct workload_node *node)
{
    if (node->finishing && !node->member.closing) return true;
    if (membership_closed(&node->member)) return true;
    if (node->working_ns >= node->op.deadline_ns) return false;
    return membership_due(&node->member) || consumer_has_records(&node->consumer);
}

static enum op_result client_member_run(struct op *op)
{
    struct workload_node *o = CONTAINER_OF(op, struct workload_node, op);

    switch ((enum member_step)op->step) {
    case MEMBER_START:
        for (;;) {
            member_turn(o);
            op_deadline(op, member_deadline(o));
            AWAIT(o, MEMBER_READY, &o->consumer.ready, member_woken(o) || op_expired(op));
            if (membership_closed(&o->member)) break;
        }
        op_deadline(op, OP_NO_DEADLINE);
        membership_deinit(&o->member);
        consumer_close(&o->consumer);
        AWAIT(o, MEMBER_CLOSED, &o->consumer.ready, consumer_closed(&o->consumer));
        consumer_deinit(&o->consumer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a member");
}

/* ---- life ------------------------------------------------------------------------------------ */

void workload_client_over(struct op *op)
{
    struct workload_node *node = CONTAINER_OF(op, struct workload_node, op);

    ASSERT(node->env.payload.used == 0);
    world_stop(node->env.world, 0);
}

static const struct op_kind client_kinds[] = {
    [WORKLOAD_ADMIN] = {"workload_admin", admin_steps, COUNT_OF(admin_steps), client_admin_run,
                        workload_client_over},
    [WORKLOAD_PRODUCER] = {"workload_producer", producer_steps, COUNT_OF(producer_steps),
                           client_producer_run, workload_client_over},
    [WORKLOAD_CONSUMER] = {"workload_consumer", consumer_steps, COUNT_OF(consumer_steps),
                           client_consumer_run, workload_client_over},
    [WORKLOAD_DRAIN] = {"workload_drain", consumer_steps, COUNT_OF(consumer_steps),
                        client_consumer_run, workload_client_over},
};
static const struct op_kind client_member_kind = {"workload_member", member_steps,
                                                  COUNT_OF(member_steps), client_member_run,
                                                  workload_client_over};

static void client_started(struct env *env)
{
    struct workload_node *node = CONTAINER_OF(env, struct workload_node, env);
    enum workload_kind kind = node->client->kind;
    struct metadata_config metadata = client_metadata(node);
    enum err err;

    if (kind == WORKLOAD_ADMIN || kind == WORKLOAD_OPERATOR) {
        err = admin_init(&node->admin, env, &metadata);
    } else if (kind == WORKLOAD_PRODUCER) {
        err = producer_begin(node);
    } else {
        err = consumer_begin(node);
    }
    ASSERT(err == ERR_NONE);
    op_start(&env->loop, &node->op,
             kind == WORKLOAD_OPERATOR    ? &workload_operator_kind
             : in_group(node->client)     ? &client_member_kind
             : workload_txn(node->client) ? &workload_txn_kind
                                          : &client_kinds[kind],
             0);
}

static void client_boot(struct sim_program *program, struct world *world, struct instant now)
{
    struct workload_client *client = CONTAINER_OF(program, struct workload_client, program);
    const struct env_limits limits = {.ops_max = CLIENT_OPS_MAX, .payload_bytes = CLIENT_PAYLOAD};
    struct workload_node *node = region_take(world->region, sizeof *node, 64);

    (void)now;
    ASSERT(node != NULL);
    *node = (struct workload_node){.client = client};
    op_source_init(&node->wake);
    world->codecs = client->workload->cluster->codecs;
    world->node_id = client->world->id;
    client->finish_sent = false;
    client->nudged = false;
    client->node = node;
    ASSERT(env_init(&node->env, world, &limits, client_started) == ERR_NONE);
}

static void client_down(struct sim_program *program, struct world *world, enum sim_down how)
{
    struct workload_client *client = CONTAINER_OF(program, struct workload_client, program);

    (void)world;
    client->node = NULL;
    if (how == SIM_DOWN_CLEAN) client->finished = true;
}

const struct sim_program workload_program = {client_boot, client_down, NULL};
