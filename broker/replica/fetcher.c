#include "broker/replica/fetcher.h"

#include "broker/replica/follower.h"
#include "broker/replica/manager_internal.h"

#include <string.h>

enum {
    FETCHER_REQUEST_BYTES = 256, /* scratch for one partition of a request and its answer */
    FETCHER_SCRATCH = 1024 * 1024,
    FETCHER_FRAME_MAX = 48 * 1024 * 1024,
    LIST_LATEST = -1,
    LIST_EARLIEST = -2,
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

static struct world *world_of(const struct fetcher *fetcher)
{
    return fetcher->manager->env->world;
}

/* ---- where a partition stands ---------------------------------------------------------------- */

static struct partition *first_changed(const struct fetcher *fetcher)
{
    return LIST_ENTRY(fetcher->changed.next, struct partition_follow, changed_link)->part;
}

static void note_changed(struct fetcher *fetcher, struct partition *part)
{
    if (list_linked(&part->follow->changed_link)) return;
    list_push(&fetcher->changed, &part->follow->changed_link);
    fetcher->changed_count++;
}

static void note_unchanged(struct fetcher *fetcher, struct partition *part)
{
    if (!list_linked(&part->follow->changed_link)) return;
    list_remove(&part->follow->changed_link);
    fetcher->changed_count--;
}

void fetcher_changed(struct partition *part)
{
    if (part->fetcher != NULL) note_changed(part->fetcher, part);
}

static void set_fetching(struct partition *part, enum partition_fetching fetching)
{
    struct fetcher *fetcher = part->fetcher;

    ASSERT(fetcher != NULL);
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
    note_changed(fetcher, part);
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
    set_fetching(part, PARTITION_READY);
}

/* Without memory for it the next fetch is a full one, which forgets by not naming. */
static void note_forgotten(struct fetcher *fetcher, const struct partition *part)
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
    set_fetching(part, PARTITION_IDLE);
    note_unchanged(fetcher, part);
    note_forgotten(fetcher, part);
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

/* ---- request --------------------------------------------------------------------------------- */

static void fill_partition(const struct fetcher *fetcher, struct partition *part,
                           struct fetch_request_partition *to)
{
    const struct log *log = part->log;

    fetch_request_partition_default(to);
    part->follow->request = fetcher->requests;
    part->follow->request_epoch = part->leader_epoch;
    part->follow->request_offset = log->log_end;
    /* From the log itself, so that an empty answer cannot lose it (KAFKA-15510, F11). */
    part->follow->request_last_epoch = log_latest_epoch(log);
    part->follow->request_log_start = log->log_start;
    to->partition = part->index;
    to->current_leader_epoch = part->follow->request_epoch;
    to->fetch_offset = part->follow->request_offset;
    to->last_fetched_epoch = part->follow->request_last_epoch;
    to->log_start_offset = part->follow->request_log_start;
    to->partition_max_bytes = (int32_t)fetcher->manager->config->replica_fetch_max_bytes;
    to->replica_directory_id = log->dir->meta.directory_id;
}

/* The session knows it as it is. */
static bool named_so(const struct partition *part)
{
    return part->follow->request != 0 && part->follow->request_epoch == part->leader_epoch &&
           part->follow->request_offset == part->log->log_end &&
           part->follow->request_last_epoch == log_latest_epoch(part->log) &&
           part->follow->request_log_start == part->log->log_start;
}

/* What a request is filled into; partitions of one topic that follow each other stand together. */
struct fetcher_build {
    struct fetch_request_partition *parts;
    uint32_t parts_count;
    int32_t *forgotten;
    uint32_t forgotten_count;
};

static void name_partition(struct fetcher *fetcher, struct fetcher_build *build,
                           struct partition *part)
{
    struct fetch_request *request = &fetcher->request;
    struct fetch_request_topic *topic =
        request->topics_count > 0 ? &request->topics[request->topics_count - 1] : NULL;

    if (topic == NULL || !uuid_equal(topic->topic_id, part->topic_id)) {
        topic = &request->topics[request->topics_count++];
        fetch_request_topic_default(topic);
        topic->topic_id = part->topic_id;
        topic->topic = part->topic_name;
        topic->partitions = &build->parts[build->parts_count];
    }
    fill_partition(fetcher, part, &build->parts[build->parts_count++]);
    topic->partitions_count++;
}

static void forget_partition(struct fetcher *fetcher, struct fetcher_build *build,
                             struct uuid topic_id, int32_t index)
{
    struct fetch_request *request = &fetcher->request;
    struct fetch_request_forgotten_topic *topics = request->forgotten_topics_data;
    struct fetch_request_forgotten_topic *topic =
        request->forgotten_topics_data_count > 0 ? &topics[request->forgotten_topics_data_count - 1]
                                                 : NULL;

    if (topic == NULL || !uuid_equal(topic->topic_id, topic_id)) {
        topic = &topics[request->forgotten_topics_data_count++];
        fetch_request_forgotten_topic_default(topic);
        topic->topic_id = topic_id;
        topic->partitions = &build->forgotten[build->forgotten_count];
    }
    build->forgotten[build->forgotten_count++] = index;
    topic->partitions_count++;
}

/* All that is READY. */
static void name_all(struct fetcher *fetcher, struct fetcher_build *build)
{
    while (!list_empty(&fetcher->changed)) {
        struct partition *part = first_changed(fetcher);

        part->follow->request = 0;
        note_unchanged(fetcher, part);
    }
    LIST_FOR_EACH (link, &fetcher->ready) {
        name_partition(fetcher, build, LIST_ENTRY(link, struct partition, fetch_link));
    }
}

static void name_changed(struct fetcher *fetcher, struct fetcher_build *build)
{
    for (uint32_t i = 0; i < fetcher->forgotten_count; i++) {
        forget_partition(fetcher, build, fetcher->forgotten[i].topic_id,
                         fetcher->forgotten[i].index);
    }
    while (!list_empty(&fetcher->changed)) {
        struct partition *part = first_changed(fetcher);

        note_unchanged(fetcher, part);
        if (part->fetching == PARTITION_READY) {
            if (!named_so(part)) name_partition(fetcher, build, part);
        } else if (part->follow->request != 0) {
            forget_partition(fetcher, build, part->topic_id, part->index);
            part->follow->request = 0;
        }
    }
}

static enum err build_fetch(struct fetcher *fetcher)
{
    struct manager *manager = fetcher->manager;
    const struct config *config = manager->config;
    struct fetch_request *request = &fetcher->request;
    bool full = fetcher->session_epoch == 0;
    uint32_t names = full ? fetcher->ready_count : fetcher->changed_count;
    uint32_t forgets = full ? 0 : fetcher->changed_count + fetcher->forgotten_count;
    struct fetcher_build build = {0};

    arena_reset(&fetcher->arena);
    fetch_request_default(request);
    request->topics = arena_alloc(&fetcher->arena, names * sizeof *request->topics);
    build.parts = arena_alloc(&fetcher->arena, names * sizeof *build.parts);
    request->forgotten_topics_data =
        arena_alloc(&fetcher->arena, forgets * sizeof *request->forgotten_topics_data);
    build.forgotten = arena_alloc(&fetcher->arena, forgets * sizeof *build.forgotten);
    if (request->topics == NULL || build.parts == NULL || request->forgotten_topics_data == NULL ||
        build.forgotten == NULL) {
        return ERR_NO_MEMORY;
    }
    request->replica_state.replica_id = manager->broker;
    request->replica_state.replica_epoch = manager->links->broker_epoch(manager->links);
    request->max_wait_ms = (int32_t)config->replica_fetch_wait_max_ms;
    request->min_bytes = (int32_t)config->replica_fetch_min_bytes;
    request->max_bytes = (int32_t)config->replica_fetch_response_max_bytes;
    request->session_id = fetcher->session_id;
    request->session_epoch = fetcher->session_epoch;
    fetcher->requests++;
    fetcher->full = full;
    if (full) {
        name_all(fetcher, &build);
    } else {
        name_changed(fetcher, &build);
    }
    fetcher->forgotten_count = 0;
    return ERR_NONE;
}

static void send_fetch(struct fetcher *fetcher)
{
    call_init(&fetcher->call, API_FETCH);
    fetcher->call.version_min = 15; /* names the broker epoch (KIP-903) and topics by id */
    fetcher->call.version_max = 17;
    fetcher->call.body = &fetcher->request;
    peer_call(&fetcher->peer, &fetcher->call);
}

/* ---- answer ---------------------------------------------------------------------------------- */

static void advance(struct partition *part)
{
    int64_t log_start = part->follow->leader_log_start;

    if (part->follow->leader_hw < 0) return;
    partition_follow_high_watermark(part, part->follow->leader_hw);
    part->follow->leader_hw = -1;
    if (log_start > part->high_watermark) log_start = part->high_watermark; /* R25 */
    if (log_start > part->log->log_start) log_raise_start(part->log, log_start);
    partition_note_start(part); /* the leader waits to hear of it */
}

void fetcher_applied(struct partition *part, bool failed)
{
    ASSERT(part->fetching == PARTITION_BUSY);
    ASSERT(part->role == PARTITION_FOLLOWER);
    if (failed) {
        part->follow->leader_hw = -1;
        set_fetching(part, PARTITION_DELAYED);
        return;
    }
    advance(part);
    set_fetching(part, PARTITION_READY);
}

static void append(struct fetcher *fetcher, struct partition *part, struct bytes records)
{
    struct log_append ticket = {.last_offset = -1};
    enum err err = log_append_as_follower(part->log, fetcher->call.frame.buf, records,
                                          part->follow->request_epoch, &ticket);

    if (err == ERR_NONE && part->throttled_following)
        quota_note(&fetcher->manager->follower_quota, fetcher->manager->env->now.mono.ns,
                   records.length);
    if (err == ERR_NONE && ticket.last_offset >= ticket.base_offset) {
        set_fetching(part, PARTITION_BUSY);
        op_wake(&part->work);
        return;
    }
    /* Nothing that may be appended: corrupt, not at our end, all of a newer epoch (KAFKA-18723), or
     * the disk is full. Later, the same. */
    part->follow->leader_hw = -1;
    set_fetching(part, PARTITION_DELAYED);
}

/* One that damage has stopped waits until that is mended. */
static void cut_to(struct partition *part, int64_t to)
{
    if (part->held_cut >= 0 && part->damaged) {
        set_fetching(part, PARTITION_DELAYED);
        return;
    }
    set_fetching(part, PARTITION_BUSY);
    partition_truncate(part, to);
}

static void cut(struct partition *part, struct log_epoch_end leader)
{
    struct follower_cut facts = {.leader = leader,
                                 .own = log_end_offset_for(part->log, leader.epoch),
                                 .log_end = part->log->log_end,
                                 .high_watermark = part->high_watermark};

    part->divergences++;
    TRACE(part->manager->env->world, REPLICA_DIVERGED, (int64_t)part->topic, part->index,
          leader.epoch, leader.end_offset, part->log->log_end, part->divergences);
    cut_to(part, follower_truncation(&facts));
}

static void take_partition(struct fetcher *fetcher, struct partition *part,
                           const struct fetch_response_partition *from)
{
    struct log_epoch_end leader = {from->diverging_epoch.epoch, from->diverging_epoch.end_offset};
    struct follower follower = {.leader_epoch = part->leader_epoch,
                                .log_end = part->log->log_end,
                                .ready =
                                    part->fetching == PARTITION_READY && partition_quiet(part)};
    struct follower_answer answer = {.request_epoch = part->follow->request_epoch,
                                     .request_offset = part->follow->request_offset,
                                     .err = err_from_wire(from->error_code),
                                     .diverged = leader.epoch >= 0,
                                     .data = from->records.length > 0};

    TRACE(world_of(fetcher), REPLICA_FETCH_REPLY, (int64_t)part->topic, part->index,
          part->follow->request_epoch, part->leader_epoch, part->follow->request_offset,
          part->log->log_end);
    part->follow->answered = fetcher->requests;
    part->follow->leader_hw = from->high_watermark;
    part->follow->told_hw = from->high_watermark;
    part->follow->leader_log_start = from->log_start_offset;
    switch (follower_judge(&follower, &answer)) {
    case FOLLOWER_APPEND: append(fetcher, part, from->records); return;
    case FOLLOWER_ADVANCE: advance(part); return;
    case FOLLOWER_IGNORE:
        /* The session believes that we know now what it told: it begins anew with this one. */
        note_forgotten(fetcher, part);
        part->follow->request = 0;
        note_changed(fetcher, part);
        break;
    case FOLLOWER_TRUNCATE:
        part->follow->leader_hw = -1; /* F9 */
        cut(part, leader);
        return;
    case FOLLOWER_OUT_OF_RANGE: set_fetching(part, PARTITION_OUT_OF_RANGE); break;
    case FOLLOWER_BACK_OFF: set_fetching(part, PARTITION_DELAYED); break;
    case FOLLOWER_PARK: set_fetching(part, PARTITION_PARKED); break;
    }
    part->follow->leader_hw = -1;
}

/* The leader was not reached, or made no sense: everything that was asked for waits. */
static void delay_request(struct fetcher *fetcher)
{
    LIST_FOR_EACH_SAFE (link, after, &fetcher->ready) {
        struct partition *part = LIST_ENTRY(link, struct partition, fetch_link);

        if (part->follow->request != 0) set_fetching(part, PARTITION_DELAYED);
    }
}

/* Asked for, and not answered. */
static void delay_unanswered(struct fetcher *fetcher)
{
    LIST_FOR_EACH_SAFE (link, after, &fetcher->ready) {
        struct partition *part = LIST_ENTRY(link, struct partition, fetch_link);

        if (part->follow->request == fetcher->requests &&
            part->follow->answered != fetcher->requests) {
            set_fetching(part, PARTITION_DELAYED);
        }
    }
}

/* No memory for a request. */
static void delay_all(struct fetcher *fetcher)
{
    LIST_FOR_EACH_SAFE (link, after, &fetcher->ready) {
        set_fetching(LIST_ENTRY(link, struct partition, fetch_link), PARTITION_DELAYED);
    }
}

/* The leader does not know the session as we do: the next fetch is a full one. */
static bool session_refused(struct fetcher *fetcher, enum err err)
{
    fetcher->session_epoch = 0;
    if (err == ERR_FETCH_SESSION_ID_NOT_FOUND) {
        fetcher->session_id = 0;
        return !fetcher->full;
    }
    return !fetcher->full &&
           (err == ERR_INVALID_FETCH_SESSION_EPOCH || err == ERR_FETCH_SESSION_TOPIC_ID_ERROR);
}

static void take_session(struct fetcher *fetcher, int32_t id)
{
    bool refused = fetcher->session_epoch == 0 && !fetcher->full; /* no memory meanwhile */

    fetcher->session_id = id;
    if (id == 0 || refused) {
        fetcher->session_epoch = 0;
    } else if (fetcher->session_epoch == INT32_MAX) {
        fetcher->session_epoch = 1;
    } else {
        fetcher->session_epoch++;
    }
}

static void take_fetch(struct fetcher *fetcher)
{
    struct call *call = &fetcher->call;
    struct fetch_response *response = &fetcher->response;
    enum err err = call->result;

    arena_reset(&fetcher->arena);
    if (err == ERR_NONE) {
        err = fetch_response_decode(&call->reader, call->version, &fetcher->arena, response);
    }
    if (err == ERR_NONE) err = err_from_wire(response->error_code);
    if (err != ERR_NONE) {
        if (!session_refused(fetcher, err)) delay_request(fetcher);
        return;
    }
    take_session(fetcher, response->session_id);
    for (uint32_t t = 0; t < response->responses_count; t++) {
        const struct fetch_response_topic *topic = &response->responses[t];

        for (uint32_t p = 0; p < topic->partitions_count; p++) {
            struct partition *part;

            err = manager_find(fetcher->manager, topic->topic_id,
                               topic->partitions[p].partition_index, &part);
            if (err != ERR_NONE || part->fetcher != fetcher || part->follow->request == 0 ||
                part->follow->answered == fetcher->requests) {
                continue; /* left meanwhile, or not asked for */
            }
            take_partition(fetcher, part, &topic->partitions[p]);
        }
    }
    if (fetcher->full) delay_unanswered(fetcher);
}

/* ---- out of range ---------------------------------------------------------------------------- */

static bool listed_valid(const struct fetcher *fetcher)
{
    const struct partition *part = fetcher->listed;

    return part->fetcher == fetcher && part->fetching == PARTITION_OUT_OF_RANGE &&
           part->leader_epoch == fetcher->listed_epoch && partition_quiet(part);
}

static bool list_offsets(struct fetcher *fetcher, int64_t timestamp)
{
    struct list_offsets_request *request = &fetcher->list_request;
    struct list_offsets_request_topic *topic;
    struct list_offsets_request_partition *to;

    arena_reset(&fetcher->arena);
    topic = arena_alloc(&fetcher->arena, sizeof *topic);
    to = arena_alloc(&fetcher->arena, sizeof *to);
    if (topic == NULL || to == NULL) return false;
    list_offsets_request_default(request);
    list_offsets_request_topic_default(topic);
    list_offsets_request_partition_default(to);
    request->replica_id = fetcher->manager->broker;
    request->topics = topic;
    request->topics_count = 1;
    topic->name = fetcher->listed->topic_name;
    topic->partitions = to;
    topic->partitions_count = 1;
    to->partition_index = fetcher->listed->index;
    to->current_leader_epoch = fetcher->listed_epoch;
    to->timestamp = timestamp;
    call_init(&fetcher->call, API_LIST_OFFSETS);
    fetcher->call.body = request;
    peer_call(&fetcher->peer, &fetcher->call);
    return true;
}

/* The offset in the answer; -1 when there is none. */
static int64_t listed_offset(struct fetcher *fetcher)
{
    struct call *call = &fetcher->call;
    const struct list_offsets_response *response = &fetcher->list_response;
    const struct list_offsets_response_partition *from;

    if (call->result != ERR_NONE) return -1;
    arena_reset(&fetcher->arena);
    if (list_offsets_response_decode(&call->reader, call->version, &fetcher->arena,
                                     &fetcher->list_response) != ERR_NONE ||
        response->topics_count != 1 || response->topics[0].partitions_count != 1) {
        return -1;
    }
    from = &response->topics[0].partitions[0];
    return from->error_code == 0 && from->partition_index == fetcher->listed->index ? from->offset
                                                                                    : -1;
}

static void list_begin(struct fetcher *fetcher)
{
    fetcher->listed = LIST_ENTRY(fetcher->out_of_range.next, struct partition, fetch_link);
    fetcher->listed_epoch = fetcher->listed->leader_epoch;
    fetcher->listed_end = -1;
    partition_pin(fetcher->listed);
}

/* The leader's start is asked for only when its end does not say everything. */
static bool list_needs_start(const struct fetcher *fetcher)
{
    return fetcher->listed_end >= 0 && listed_valid(fetcher) &&
           fetcher->listed_end >= fetcher->listed->log->log_end;
}

/* The end is within the leader's log, and yet it was refused. An epoch of ours above the leader's
 * was never written by anybody: rot of a batch's epoch, which its CRC does not cover (DF8). What
 * stands under it is dropped and fetched again; otherwise the leader has moved meanwhile. */
static void range_resume(struct partition *part)
{
    const struct log_epochs *epochs = &part->log->epochs;
    int64_t start = part->log->log_start;

    if (log_epochs_latest(epochs) <= part->leader_epoch) {
        set_fetching(part, PARTITION_DELAYED);
        return;
    }
    if (epochs->entries[epochs->count - 1].start_offset > start) {
        start = epochs->entries[epochs->count - 1].start_offset;
    }
    cut_to(part, start);
}

static void list_decide(struct fetcher *fetcher, int64_t leader_start)
{
    struct partition *part = fetcher->listed;

    if (!listed_valid(fetcher)) return;
    if (fetcher->listed_end < 0 ||
        (fetcher->listed_end >= part->log->log_end && leader_start < 0)) {
        set_fetching(part, PARTITION_DELAYED);
        return;
    }
    switch (follower_out_of_range(part->log->log_end, fetcher->listed_end, leader_start)) {
    case FOLLOWER_RANGE_TRUNCATE: cut_to(part, fetcher->listed_end); return;
    case FOLLOWER_RANGE_RESET:
        set_fetching(part, PARTITION_BUSY);
        partition_reset(part, leader_start);
        return;
    case FOLLOWER_RANGE_RESUME: range_resume(part); return;
    }
}

/* Whatever happened, it does not stay in the list at its place. */
static void list_end(struct fetcher *fetcher)
{
    struct partition *part = fetcher->listed;

    if (part->fetcher == fetcher && part->fetching == PARTITION_OUT_OF_RANGE) {
        set_fetching(part, PARTITION_DELAYED);
    }
    fetcher->listed = NULL;
    partition_unpin(part);
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
        set_fetching(LIST_ENTRY(fetcher->delayed.next, struct partition, fetch_link),
                     PARTITION_READY);
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
        set_fetching(part, PARTITION_DELAYED);
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
                list_begin(o);
                if (list_offsets(o, LIST_LATEST)) {
                    AWAIT(o, FETCHER_LISTED_END, &o->call.done, call_done(&o->call));
                    o->listed_end = listed_offset(o);
                    call_release(&o->call);
                }
                o->listed_start = -1;
                if (list_needs_start(o) && list_offsets(o, LIST_EARLIEST)) {
                    AWAIT(o, FETCHER_LISTED_START, &o->call.done, call_done(&o->call));
                    o->listed_start = listed_offset(o);
                    call_release(&o->call);
                }
                list_decide(o, o->listed_start);
                list_end(o);
            } else if (o->ready_count > 0 && build_fetch(o) == ERR_NONE) {
                send_fetch(o);
                AWAIT(o, FETCHER_ANSWERED, &o->call.done, call_done(&o->call));
                take_fetch(o);
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
