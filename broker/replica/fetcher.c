#include "broker/replica/fetcher.h"

#include "broker/replica/fetcher_internal.h"

#include <string.h>

enum {
    FETCHER_REQUEST_BYTES = 256, /* scratch for one partition of a request and its answer */
    FETCHER_SCRATCH = 1024 * 1024,
    FETCHER_FRAME_MAX = 48 * 1024 * 1024,
};

enum fetcher_step {
    FETCHER_STARTED,
    FETCHER_WANTED,
    FETCHER_ANSWERED,
    FETCHER_LISTED_END,
    FETCHER_LISTED_START,
    FETCHER_WRITTEN,
    FETCHER_CLOSED,
};

static const char *const fetcher_steps[] = {"STARTED",      "WANTED",  "ANSWERED", "LISTED_END",
                                            "LISTED_START", "WRITTEN", "CLOSED"};

static enum op_result fetcher_run(struct op *op);
static void fetcher_finish(struct op *op);

static const struct op_kind fetcher_kind = {"fetcher", fetcher_steps, COUNT_OF(fetcher_steps),
                                            fetcher_run, fetcher_finish};

struct world *fetcher_world(const struct fetcher *fetcher)
{
    return fetcher->manager->env->world;
}

/* ---- where a partition stands ---------------------------------------------------------------- */

struct partition *fetcher_first_changed(const struct fetcher *fetcher)
{
    return LIST_ENTRY(fetcher->changed.next, struct partition_follow, changed_link)->part;
}

void fetcher_note_changed(struct fetcher *fetcher, struct partition *part)
{
    if (list_linked(&part->follow->changed_link)) return;
    list_push(&fetcher->changed, &part->follow->changed_link);
    fetcher->changed_count++;
}

void fetcher_note_unchanged(struct fetcher *fetcher, struct partition *part)
{
    if (!list_linked(&part->follow->changed_link)) return;
    list_remove(&part->follow->changed_link);
    fetcher->changed_count--;
}

void fetcher_changed(struct partition *part)
{
    if (part->fetcher != NULL) fetcher_note_changed(part->fetcher, part);
}

void fetcher_set(struct partition *part, enum partition_fetching fetching)
{
    struct fetcher *fetcher = part->fetcher;

    ASSERT(fetcher != NULL);
    /* Batches tell nothing of who wrote before them: first the leader is asked (log_handover.c). */
    if (fetching == PARTITION_READY && log_stranger(part->log)) fetching = PARTITION_OUT_OF_RANGE;
    list_remove(&part->fetch_link);
    if (part->fetching == PARTITION_READY) fetcher->ready_count--;
    if (part->fetching == PARTITION_BUSY) fetcher->busy_count--;
    part->fetching = fetching;
    switch (fetching) {
    case PARTITION_IDLE: break;
    case PARTITION_READY:
        fetcher->ready_count++;
        list_push(&fetcher->ready, &part->fetch_link);
        break;
    case PARTITION_BUSY:
        fetcher->busy_count++;
        list_push(&fetcher->still, &part->fetch_link);
        break;
    case PARTITION_DELAYED:
        part->follow->delayed_until_ns =
            env_deadline(fetcher->manager->env, fetcher->manager->config->replica_fetch_backoff_ms);
        list_push(&fetcher->delayed, &part->fetch_link);
        break;
    case PARTITION_OUT_OF_RANGE: list_push(&fetcher->out_of_range, &part->fetch_link); break;
    case PARTITION_PARKED: list_push(&fetcher->still, &part->fetch_link); break;
    }
    fetcher_note_changed(fetcher, part);
    op_wake(&fetcher->source);
}

/* ---- life ------------------------------------------------------------------------------------ */

static const struct image_endpoint *endpoint_of(const struct manager *manager, int32_t leader)
{
    const struct image_broker *broker = image_broker(manager->image, leader);
    struct str listener = str_of(manager->config->inter_broker_listener);

    if (broker == NULL) return NULL;
    for (uint32_t i = 0; i < broker->endpoints_count; i++) {
        if (str_equal(broker->endpoints[i].name, listener)) return &broker->endpoints[i];
    }
    return NULL;
}

static struct fetcher *fetcher_create(struct manager *manager, int32_t leader)
{
    const struct image_endpoint *endpoint = endpoint_of(manager, leader);
    const struct config *config = manager->config;
    struct peer_config peer_config;
    struct fetcher *fetcher;
    enum err err;

    if (endpoint == NULL) return NULL;
    fetcher = mem_zalloc(&manager->env->mem, sizeof *fetcher);
    if (fetcher == NULL) return NULL;
    if (map_add_u64(&manager->fetchers, &fetcher->node, (uint64_t)leader) != ERR_NONE) {
        mem_free(&manager->env->mem, fetcher, sizeof *fetcher);
        return NULL;
    }
    peer_config_default(&peer_config);
    peer_config.client_id = STR("gregor-replica");
    peer_config.in_flight_max = 1;
    peer_config.request_timeout_ms = (int32_t)config->replica_socket_timeout_ms;
    peer_config.limits.frame_max = FETCHER_FRAME_MAX;
    peer_config.limits.reserved = true; /* what waits for followers is released by this alone */
    err = peer_init(&fetcher->peer, manager->env, &peer_config, leader, endpoint->host,
                    endpoint->port, rng_stream(manager->seed, 1, (uint64_t)leader));
    if (err != ERR_NONE) {
        map_remove(&manager->fetchers, &fetcher->node);
        mem_free(&manager->env->mem, fetcher, sizeof *fetcher);
        return NULL;
    }
    fetcher->manager = manager;
    fetcher->leader = leader;
    list_init(&fetcher->ready);
    list_init(&fetcher->delayed);
    list_init(&fetcher->out_of_range);
    list_init(&fetcher->still);
    list_init(&fetcher->changed);
    op_source_init(&fetcher->source);
    call_init(&fetcher->call, API_FETCH);
    arena_init(&fetcher->arena, &manager->env->mem,
               FETCHER_SCRATCH + (size_t)manager->limits.partitions_max * FETCHER_REQUEST_BYTES);
    op_start(&manager->env->loop, &fetcher->op, &fetcher_kind, FETCHER_STARTED);
    return fetcher;
}

static void fetcher_finish(struct op *op)
{
    struct fetcher *fetcher = CONTAINER_OF(op, struct fetcher, op);
    struct manager *manager = fetcher->manager;

    ASSERT(fetcher->partitions_count == 0);
    mem_free(&manager->env->mem, fetcher->forgotten,
             fetcher->forgotten_room * sizeof *fetcher->forgotten);
    call_release(&fetcher->call);
    arena_deinit(&fetcher->arena);
    peer_deinit(&fetcher->peer);
    map_remove(&manager->fetchers, &fetcher->node);
    mem_free(&manager->env->mem, fetcher, sizeof *fetcher);
    manager_fetcher_ended(manager);
}

/* What only a follower with a leader needs. */
static struct partition_follow *follow_create(struct manager *manager, struct partition *part)
{
    struct partition_follow *follow = mem_alloc(&manager->env->mem, sizeof *follow);

    if (follow == NULL) return NULL;
    /* Requests are counted anew by each fetcher. */
    *follow = (struct partition_follow){.part = part, .leader_hw = -1, .told_hw = -1};
    list_init(&follow->changed_link);
    return follow;
}

/* No leader can tell a log without epochs where it diverges, and one that fetched from its end
 * would count as far as that (KIP-101): first the cut that did not happen, for damage or want of
 * memory. */
static bool cut_owed(const struct partition *part)
{
    return part->held_cut >= 0 && part->log->epochs.count == 0;
}

void fetcher_add(struct manager *manager, struct partition *part)
{
    struct map_node *node = map_find_u64(&manager->fetchers, (uint64_t)part->leader);
    struct fetcher *fetcher = node != NULL ? MAP_ENTRY(node, struct fetcher, node) : NULL;

    ASSERT(part->fetcher == NULL);
    ASSERT(part->role == PARTITION_FOLLOWER);
    /* One that is closing its connection is not taken up again: its end makes room. */
    if (fetcher != NULL && fetcher->ending) fetcher = NULL;
    if (fetcher == NULL && node == NULL) fetcher = fetcher_create(manager, part->leader);
    if (fetcher != NULL) part->follow = follow_create(manager, part);
    if (part->follow == NULL) {
        list_remove(&part->fetch_link);
        list_push(&manager->unfetched, &part->fetch_link);
        return;
    }
    list_remove(&part->fetch_link);
    part->fetcher = fetcher;
    fetcher->partitions_count++;
    fetcher_set(part, cut_owed(part) ? PARTITION_DELAYED : PARTITION_READY);
}

/* Without memory for it the next fetch is a full one, which forgets by not naming. */
void fetcher_note_forgotten(struct fetcher *fetcher, const struct partition *part)
{
    struct mem *mem = &fetcher->manager->env->mem;
    uint32_t room = fetcher->forgotten_room;

    if (part->follow->request == 0 || fetcher->session_epoch == 0) return;
    if (fetcher->forgotten_count == room) {
        uint32_t more = room == 0 ? 16 : room * 2;
        struct fetcher_forgotten *grown = mem_alloc(mem, more * sizeof *grown);

        if (grown == NULL) {
            fetcher->session_epoch = 0;
            return;
        }
        if (room > 0) memcpy(grown, fetcher->forgotten, room * sizeof *grown);
        mem_free(mem, fetcher->forgotten, room * sizeof *grown);
        fetcher->forgotten = grown;
        fetcher->forgotten_room = more;
    }
    fetcher->forgotten[fetcher->forgotten_count++] =
        (struct fetcher_forgotten){part->topic_id, part->index};
}

void fetcher_remove(struct partition *part)
{
    struct fetcher *fetcher = part->fetcher;

    list_remove(&part->fetch_link);
    if (fetcher == NULL) return;
    fetcher_set(part, PARTITION_IDLE);
    fetcher_note_unchanged(fetcher, part);
    fetcher_note_forgotten(fetcher, part);
    fetcher->partitions_count--;
    part->fetcher = NULL;
    mem_free(&fetcher->manager->env->mem, part->follow, sizeof *part->follow);
    part->follow = NULL;
}

void fetcher_leader_moved(struct manager *manager, int32_t leader)
{
    struct map_node *node = map_find_u64(&manager->fetchers, (uint64_t)leader);
    const struct image_endpoint *endpoint = endpoint_of(manager, leader);

    if (node == NULL || endpoint == NULL) return;
    if (peer_move(&MAP_ENTRY(node, struct fetcher, node)->peer, endpoint->host, endpoint->port) !=
        ERR_NONE) {
        TRACE_TEXT(manager->env->world, NODE_WARNING, STR("address of a leader is too long"),
                   ERR_TOO_LARGE);
    }
}

bool fetcher_all_ended(const struct manager *manager)
{
    return manager->fetchers.count == 0;
}

/* No memory for a request. */
static void delay_all(struct fetcher *fetcher)
{
    LIST_FOR_EACH_SAFE (link, after, &fetcher->ready) {
        fetcher_set(LIST_ENTRY(link, struct partition, fetch_link), PARTITION_DELAYED);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static const struct partition *first_delayed(const struct fetcher *fetcher)
{
    return list_empty(&fetcher->delayed)
               ? NULL
               : LIST_ENTRY(fetcher->delayed.next, struct partition, fetch_link);
}

static bool wanted(const struct fetcher *fetcher)
{
    return fetcher->partitions_count == 0 || fetcher->ready_count > 0 ||
           !list_empty(&fetcher->out_of_range) || op_expired(&fetcher->op);
}

static void arm(struct fetcher *fetcher)
{
    const struct partition *first = first_delayed(fetcher);

    op_deadline(&fetcher->op, first != NULL ? first->follow->delayed_until_ns : OP_NO_DEADLINE);
}

static void take_due(struct fetcher *fetcher)
{
    int64_t now_ns = fetcher->op.loop->now_ns;

    op_deadline(&fetcher->op, OP_NO_DEADLINE);
    for (const struct partition *first = first_delayed(fetcher);
         first != NULL && first->follow->delayed_until_ns <= now_ns;
         first = first_delayed(fetcher)) {
        struct partition *part = LIST_ENTRY(fetcher->delayed.next, struct partition, fetch_link);

        if (!cut_owed(part)) {
            fetcher_set(part, PARTITION_READY);
        } else if (partition_quiet(part)) {
            fetcher_cut_to(part, part->held_cut);
        } else {
            fetcher_set(part, PARTITION_DELAYED);
        }
    }
}

/* Throttled replicas out of sync (KIP-73) ask later, when the quota is used up. Who is in sync goes
 * on: it must not fall out for having been copied slowly. */
static void hold_back(struct fetcher *fetcher)
{
    struct quota *quota = &fetcher->manager->follower_quota;

    if (quota->rate == INT64_MAX) return;
    if (!quota_exceeded(quota, fetcher->manager->env->now.mono.ns)) return;
    LIST_FOR_EACH_SAFE (link, after, &fetcher->ready) {
        struct partition *part = LIST_ENTRY(link, struct partition, fetch_link);
        bool in_sync = part->follow->told_hw >= 0 && part->log->log_end >= part->follow->told_hw;

        if (!part->throttled_following || in_sync) continue;
        manager_throttled(part, fetcher->manager->broker, quota);
        fetcher_set(part, PARTITION_DELAYED);
    }
}

static enum op_result fetcher_run(struct op *op)
{
    struct fetcher *o = CONTAINER_OF(op, struct fetcher, op);

    switch ((enum fetcher_step)op->step) {
    case FETCHER_STARTED:
        while (o->partitions_count > 0) {
            if (o->ready_count == 0) arm(o);
            AWAIT(o, FETCHER_WANTED, &o->source, wanted(o));
            take_due(o);
            hold_back(o);
            if (!list_empty(&o->out_of_range)) {
                fetcher_list_begin(o);
                if (fetcher_list_offsets(o, FETCHER_LIST_LATEST)) {
                    AWAIT(o, FETCHER_LISTED_END, &o->call.done, call_done(&o->call));
                    o->listed_end = fetcher_listed_offset(o);
                    call_release(&o->call);
                }
                o->listed_start = -1;
                if (fetcher_list_needs_start(o) && fetcher_list_offsets(o, FETCHER_LIST_EARLIEST)) {
                    AWAIT(o, FETCHER_LISTED_START, &o->call.done, call_done(&o->call));
                    o->listed_start = fetcher_listed_start(o);
                }
                fetcher_list_decide(o, o->listed_start);
                call_release(&o->call);
                fetcher_list_end(o);
            } else if (o->ready_count > 0 && fetcher_build_request(o) == ERR_NONE) {
                fetcher_send(o);
                AWAIT(o, FETCHER_ANSWERED, &o->call.done, call_done(&o->call));
                fetcher_take(o);
                call_release(&o->call);
            } else {
                delay_all(o);
            }
            AWAIT(o, FETCHER_WRITTEN, &o->source, o->busy_count == 0);
        }
        o->ending = true;
        peer_close(&o->peer);
        AWAIT(o, FETCHER_CLOSED, &o->peer.changed, o->peer.state == PEER_CLOSED);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}
