/* AlterPartition: proposed in-sync sets on their way to the active controller (KIP-497,
 * replication.md 9). One request at a time with everything that was proposed until then; so at
 * most one is in flight per partition.
 *
 *   partition_alter()  -> manager.altering -> request (sent) -> answer -> partition_altered()
 *                            ^                                              |
 *                            +---- after a backoff: not reached, again -----+
 *
 * The metadata may overtake the answer: partition_apply() takes a partition out of either list. */
#include "broker/replica/manager_internal.h"
#include "client/peer.h"

#include "wire/alter_partition.h"

enum {
    ALTER_SCRATCH = 4 * 1024 * 1024, /* MANAGER_ALTER_MAX partitions with up to 64 members */
};

struct manager_alter {
    struct op op;
    struct manager *manager;
    struct list sent; /* partitions, by `altering` */
    struct call call;
    struct arena arena;
    struct alter_partition_request request;
    struct alter_partition_response response;
    bool again; /* some must be sent again: back off first */
};

enum alter_step { ALTER_STARTED, ALTER_WANTED, ALTER_ANSWERED, ALTER_BACKED_OFF };
static const char *const alter_steps[] = {"STARTED", "WANTED", "ANSWERED", "BACKED_OFF"};

enum err manager_alter_init(struct manager *manager)
{
    struct manager_alter *alter = mem_zalloc(&manager->env->mem, sizeof *alter);

    if (alter == NULL) return ERR_NO_MEMORY;
    alter->manager = manager;
    list_init(&alter->sent);
    call_init(&alter->call, API_ALTER_PARTITION);
    arena_init(&alter->arena, &manager->env->mem, ALTER_SCRATCH);
    manager->alter = alter;
    return ERR_NONE;
}

void manager_alter_deinit(struct manager *manager)
{
    struct manager_alter *alter = manager->alter;

    ASSERT(!op_live(&alter->op));
    arena_deinit(&alter->arena);
    mem_free(&manager->env->mem, alter, sizeof *alter);
    manager->alter = NULL;
}

/* ---- request --------------------------------------------------------------------------------- */

static enum err fill_partition(struct manager_alter *alter, const struct partition *part,
                               struct alter_partition_request_partition *to)
{
    const struct isr *isr = &part->isr;
    struct alter_partition_request_broker_state *members;
    int32_t ids[ISR_REPLICAS_MAX];
    uint32_t count = isr_ids(isr, isr->proposed, ids);

    members = arena_alloc(&alter->arena, count * sizeof *members);
    if (members == NULL) return ERR_NO_MEMORY;
    alter_partition_request_partition_default(to);
    for (uint32_t i = 0; i < count; i++) {
        int32_t index = isr_index(isr, ids[i]);

        members[i].broker_id = ids[i];
        /* The incarnation that fetched, not the one the metadata knows now (KIP-903, F21). */
        members[i].broker_epoch = (uint32_t)index == isr->self ? alter->request.broker_epoch
                                                               : isr->replicas[index].broker_epoch;
    }
    to->partition_index = part->index;
    to->leader_epoch = part->leader_epoch;
    to->partition_epoch = part->partition_epoch;
    to->new_isr_with_epochs = members;
    to->new_isr_with_epochs_count = count;
    return ERR_NONE;
}

/* Moves what waits of one topic to `sent`, under one entry: the controller refuses a request that
 * names a topic twice. False: no memory for more. */
static bool build_topic(struct manager_alter *alter, struct alter_partition_request_topic *topic,
                        struct alter_partition_request_partition *parts, uint32_t room)
{
    struct manager *manager = alter->manager;

    LIST_FOR_EACH_SAFE (link, after, &manager->altering) {
        struct partition *part = LIST_ENTRY(link, struct partition, altering);

        if (topic->partitions_count == room) return true;
        if (topic->partitions_count > 0 && !uuid_equal(part->topic_id, topic->topic_id)) continue;
        ASSERT(part->isr.state != ISR_COMMITTED);
        if (fill_partition(alter, part, &parts[topic->partitions_count]) != ERR_NONE) return false;
        if (topic->partitions_count == 0) {
            alter_partition_request_topic_default(topic);
            topic->topic_id = part->topic_id;
            topic->partitions = parts;
        }
        topic->partitions_count++;
        list_remove(&part->altering);
        list_push(&alter->sent, &part->altering);
        part->alter_sent = true;
    }
    return true;
}

/* Moves what it takes to `sent`. False: nothing could be taken. */
static bool build(struct manager_alter *alter)
{
    struct manager *manager = alter->manager;
    struct alter_partition_request *request = &alter->request;
    struct alter_partition_request_topic *topics;
    struct alter_partition_request_partition *parts;
    uint32_t placed = 0;
    bool more = true;

    arena_reset(&alter->arena);
    alter_partition_request_default(request);
    topics = arena_zalloc(&alter->arena, MANAGER_ALTER_MAX * sizeof *topics);
    parts = arena_alloc(&alter->arena, MANAGER_ALTER_MAX * sizeof *parts);
    if (topics == NULL || parts == NULL) return false;
    request->broker_id = manager->broker;
    request->broker_epoch = manager->links->broker_epoch(manager->links);
    request->topics = topics;
    while (more && placed < MANAGER_ALTER_MAX && !list_empty(&manager->altering)) {
        struct alter_partition_request_topic *topic = &topics[request->topics_count];

        more = build_topic(alter, topic, &parts[placed], MANAGER_ALTER_MAX - placed);
        if (topic->partitions_count > 0) request->topics_count++;
        placed += topic->partitions_count;
    }
    return request->topics_count > 0;
}

/* ---- answer ---------------------------------------------------------------------------------- */

static void take_partition(struct manager_alter *alter, struct uuid topic_id,
                           const struct alter_partition_response_partition *from)
{
    struct partition_altered altered = {.err = err_from_wire(from->error_code),
                                        .leader_epoch = from->leader_epoch,
                                        .partition_epoch = from->partition_epoch,
                                        .isr = from->isr,
                                        .isr_count = from->isr_count};
    struct partition *part;

    if (manager_find(alter->manager, topic_id, from->partition_index, &part) != ERR_NONE) return;
    switch (partition_altered(part, &altered)) {
    case PARTITION_ALTER_OVER: break;
    case PARTITION_ALTER_AGAIN: alter->again = true; break;
    }
}

static void take_answer(struct manager_alter *alter)
{
    struct call *call = &alter->call;
    struct alter_partition_response *response = &alter->response;
    enum err err = call->result;

    alter->again = false;
    arena_reset(&alter->arena);
    if (err == ERR_NONE) {
        err =
            alter_partition_response_decode(&call->reader, call->version, &alter->arena, response);
    }
    if (err == ERR_NONE) err = err_from_wire(response->error_code);
    for (uint32_t t = 0; err == ERR_NONE && t < response->topics_count; t++) {
        const struct alter_partition_response_topic *topic = &response->topics[t];

        for (uint32_t p = 0; p < topic->partitions_count; p++) {
            take_partition(alter, topic->topic_id, &topic->partitions[p]);
        }
    }
}

/* Not reached, refused as a whole, not in the answer: the same again. */
static void send_again(struct manager_alter *alter)
{
    for (struct list *link = list_pop(&alter->sent); link != NULL; link = list_pop(&alter->sent)) {
        struct partition *part = LIST_ENTRY(link, struct partition, altering);

        part->alter_sent = false;
        list_push(&alter->manager->altering, link);
        alter->again = true;
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool send_alter(struct manager_alter *alter)
{
    struct manager *manager = alter->manager;
    struct peer *controller = manager->links->controller(manager->links);

    if (controller == NULL || !build(alter)) {
        alter->again = true;
        return false;
    }
    call_init(&alter->call, API_ALTER_PARTITION);
    alter->call.version_min = 3;
    alter->call.version_max = 3;
    alter->call.body = &alter->request;
    manager->alters_sent++;
    peer_call(controller, &alter->call);
    return true;
}

static enum op_result alter_run(struct op *op)
{
    struct manager_alter *o = CONTAINER_OF(op, struct manager_alter, op);
    struct manager *manager = o->manager;

    switch ((enum alter_step)op->step) {
    case ALTER_STARTED:
        while (!manager->stopping) {
            AWAIT(o, ALTER_WANTED, &manager->alter_source,
                  !list_empty(&manager->altering) || manager->stopping);
            if (manager->stopping) break;
            if (send_alter(o)) {
                AWAIT(o, ALTER_ANSWERED, &o->call.done, call_done(&o->call) || manager->stopping);
                if (manager->stopping) break;
                take_answer(o);
                call_release(&o->call);
                send_again(o);
            }
            if (o->again) {
                o->again = false;
                op_deadline(op, env_deadline(manager->env, MANAGER_ALTER_BACKOFF_MS));
                AWAIT(o, ALTER_BACKED_OFF, &manager->timer_source,
                      op_expired(op) || manager->stopping);
                op_deadline(op, OP_NO_DEADLINE);
            }
        }
        call_cancel(&o->call);
        call_release(&o->call);
        for (struct list *link = list_pop(&o->sent); link != NULL; link = list_pop(&o->sent)) {
            LIST_ENTRY(link, struct partition, altering)->alter_sent = false;
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void alter_finish(struct op *op)
{
    manager_check_stopped(CONTAINER_OF(op, struct manager_alter, op)->manager);
}

static const struct op_kind alter_kind = {"manager.alter", alter_steps, COUNT_OF(alter_steps),
                                          alter_run, alter_finish};

void manager_alter_start(struct manager *manager)
{
    op_start(&manager->env->loop, &manager->alter->op, &alter_kind, ALTER_STARTED);
}

void manager_alter_stop(struct manager *manager)
{
    if (op_live(&manager->alter->op)) op_resume(&manager->alter->op);
}

bool manager_alter_ended(const struct manager *manager)
{
    return !op_live(&manager->alter->op);
}
