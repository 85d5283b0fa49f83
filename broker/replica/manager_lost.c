/* Replicas that this broker has and cannot serve: their directory failed, their log does not open,
 * or bytes of it are damaged. As long as the metadata has one of them lead, or in sync beside
 * others, the controller is told to do without it (AssignReplicasToDirs with the id of a lost
 * directory, KIP-858): another replica leads, and the in-sync set shrinks. So it is of one that is
 * eligible for more than it may have (partition_doubted), before this broker is unfenced.
 *
 * The metadata decides when it is over, not the answer: a request that was lost, or a leader that
 * was elected again, is told once more after a backoff. */
#include "broker/replica/manager_internal.h"
#include "client/peer.h"

#include "wire/assign_replicas_to_dirs.h"

enum { LOST_SCRATCH = 1024 * 1024, LOST_MAX = 1000, LOST_BACKOFF_MS = 200 };

typedef struct assign_replicas_to_dirs_request_topic lost_topic;
typedef struct assign_replicas_to_dirs_request_partition lost_partition;

struct manager_lost {
    struct op op;
    struct manager *manager;
    struct call call;
    struct arena arena;
    struct assign_replicas_to_dirs_request request;
    struct assign_replicas_to_dirs_request_directory directory;
    struct assign_replicas_to_dirs_response response;
};

enum lost_step { LOST_STARTED, LOST_WANTED, LOST_ANSWERED, LOST_BACKED_OFF };
static const char *const lost_steps[] = {"STARTED", "WANTED", "ANSWERED", "BACKED_OFF"};

enum err manager_lost_init(struct manager *manager)
{
    struct manager_lost *lost = mem_zalloc(&manager->env->mem, sizeof *lost);

    if (lost == NULL) return ERR_NO_MEMORY;
    lost->manager = manager;
    call_init(&lost->call, API_ASSIGN_REPLICAS_TO_DIRS);
    arena_init(&lost->arena, &manager->env->mem, LOST_SCRATCH);
    op_source_init(&manager->lost_source);
    manager->lost = lost;
    return ERR_NONE;
}

void manager_lost_deinit(struct manager *manager)
{
    struct manager_lost *lost = manager->lost;

    ASSERT(!op_live(&lost->op));
    arena_deinit(&lost->arena);
    mem_free(&manager->env->mem, lost, sizeof *lost);
    manager->lost = NULL;
}

void manager_lost_look(struct manager *manager)
{
    manager->lost_look = true;
    op_wake(&manager->lost_source);
}

/* By metadata it counts, or may count again (KIP-966), and others could do without it.
 * A leader that is alone is left without a leader when it has nothing to serve, and stays when it
 * has all but a few batches. */
static bool counts(const struct partition *part)
{
    bool leads = part->leader == part->manager->broker;
    const struct isr *isr = &part->isr;
    bool alone = isr_size(isr->committed) <= 1;
    bool member = (isr->committed >> isr->self & 1) != 0;

    if (partition_leaving(part)) return false;
    if (part->role == PARTITION_OFFLINE) return leads || (!alone && member) || part->eligible;
    return (part->damaged && leads && !alone) || partition_doubted(part);
}

bool manager_doubts(const struct manager *manager)
{
    LIST_FOR_EACH (link, &manager->partitions) {
        if (partition_doubted(LIST_ENTRY(link, struct partition, link))) return true;
    }
    return false;
}

/* False: there is nothing to tell. */
static bool build(struct manager_lost *lost)
{
    struct manager *manager = lost->manager;
    lost_topic *topics;
    lost_partition *parts;
    uint32_t count = 0;

    arena_reset(&lost->arena);
    assign_replicas_to_dirs_request_default(&lost->request);
    lost->directory = (struct assign_replicas_to_dirs_request_directory){0};
    lost->directory.id.bytes[15] = 1; /* DirectoryId.LOST */
    topics = arena_zalloc(&lost->arena, LOST_MAX * sizeof *topics);
    parts = arena_zalloc(&lost->arena, LOST_MAX * sizeof *parts);
    if (topics == NULL || parts == NULL) return false;
    /* By topic: the controller refuses a request that names one twice. */
    MAP_FOR_EACH (node, &manager->topics) {
        const struct manager_topic *from = MAP_ENTRY(node, struct manager_topic, by_id);
        lost_topic *topic = &topics[lost->directory.topics_count];

        for (uint32_t i = 0; i < from->room && count < LOST_MAX; i++) {
            if (from->partitions[i] == NULL || !counts(from->partitions[i])) continue;
            if (topic->partitions_count == 0) topic->partitions = &parts[count];
            topic->topic_id = from->id;
            topic->partitions_count++;
            parts[count++].partition_index = (int32_t)i;
        }
        if (topic->partitions_count > 0) lost->directory.topics_count++;
        if (count == LOST_MAX) break;
    }
    lost->directory.topics = topics;
    lost->request.broker_id = manager->broker;
    lost->request.broker_epoch = manager->links->broker_epoch(manager->links);
    lost->request.directories = &lost->directory;
    lost->request.directories_count = 1;
    return count > 0;
}

static bool send_lost(struct manager_lost *lost, struct peer *controller)
{
    if (controller == NULL) return false;
    call_init(&lost->call, API_ASSIGN_REPLICAS_TO_DIRS);
    lost->call.body = &lost->request;
    peer_call(controller, &lost->call);
    return true;
}

static enum op_result lost_run(struct op *op)
{
    struct manager_lost *o = CONTAINER_OF(op, struct manager_lost, op);
    struct manager *manager = o->manager;

    switch ((enum lost_step)op->step) {
    case LOST_STARTED:
        while (!manager->stopping) {
            AWAIT(o, LOST_WANTED, &manager->lost_source, manager->lost_look || manager->stopping);
            if (manager->stopping) break;
            manager->lost_look = false;
            while (!manager->stopping && build(o)) {
                if (send_lost(o, manager->links->controller(manager->links))) {
                    AWAIT(o, LOST_ANSWERED, &o->call.done,
                          call_done(&o->call) || manager->stopping);
                    call_cancel(&o->call); /* harmless when it is done */
                    call_release(&o->call);
                }
                op_deadline(op, env_deadline(manager->env, LOST_BACKOFF_MS));
                AWAIT(o, LOST_BACKED_OFF, &manager->timer_source,
                      op_expired(op) || manager->stopping);
                op_deadline(op, OP_NO_DEADLINE);
            }
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static void lost_finish(struct op *op)
{
    manager_check_stopped(CONTAINER_OF(op, struct manager_lost, op)->manager);
}

static const struct op_kind lost_kind = {"manager.lost", lost_steps, COUNT_OF(lost_steps), lost_run,
                                         lost_finish};

void manager_lost_start(struct manager *manager)
{
    op_start(&manager->env->loop, &manager->lost->op, &lost_kind, LOST_STARTED);
}

void manager_lost_stop(struct manager *manager)
{
    if (op_live(&manager->lost->op)) op_resume(&manager->lost->op);
}

bool manager_lost_ended(const struct manager *manager)
{
    return !op_live(&manager->lost->op);
}
