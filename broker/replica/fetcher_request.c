/* What a fetch names: all that is READY, or what the leader's session knows otherwise (KIP-227). */
#include "broker/replica/fetcher_internal.h"

/* The log start that the leader is told: one that a checkpoint has. A leader answers DeleteRecords
 * when all replicas that live have told theirs, and who of them is killed and leads next must not
 * serve what was deleted (S18).
 * DIFFERS: Kafka tells the one in memory, and may forget it for a minute. */
static int64_t start_told(struct partition *part)
{
    struct partition_follow *follow = part->follow;
    struct log_dir *dir = part->log->dir;
    int64_t start = part->log->log_start;

    if (start < follow->kept_start || start < follow->keeping_start) { /* a reset, or a cut */
        if (start < follow->kept_start) follow->kept_start = start;
        follow->keeping_start = follow->kept_start;
        follow->keeping_after = 0;
    }
    if (follow->keeping_after > 0 && dir->checkpoints_written >= follow->keeping_after) {
        follow->kept_start = follow->keeping_start;
        follow->keeping_after = 0;
    }
    if (start > follow->kept_start && follow->keeping_after == 0) {
        follow->keeping_start = start;
        follow->keeping_after = log_dir_checkpoint(dir);
    }
    return follow->kept_start;
}

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
    part->follow->request_log_start = start_told(part);
    to->partition = part->index;
    to->current_leader_epoch = part->follow->request_epoch;
    to->fetch_offset = part->follow->request_offset;
    to->last_fetched_epoch = part->follow->request_last_epoch;
    to->log_start_offset = part->follow->request_log_start;
    to->partition_max_bytes = (int32_t)fetcher->manager->config->replica_fetch_max_bytes;
    to->replica_directory_id = log->dir->meta.directory_id;
}

/* The session knows it as it is. */
static bool named_so(struct partition *part)
{
    return part->follow->request != 0 && part->follow->request_epoch == part->leader_epoch &&
           part->follow->request_offset == part->log->log_end &&
           part->follow->request_last_epoch == log_latest_epoch(part->log) &&
           part->follow->request_log_start == start_told(part);
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

/* It is looked at again with the next request. */
static void look_again(struct fetcher *fetcher, struct partition *part)
{
    if (part->follow->keeping_after > 0) fetcher_note_changed(fetcher, part);
}

/* All that is READY. */
static void name_all(struct fetcher *fetcher, struct fetcher_build *build)
{
    while (!list_empty(&fetcher->changed)) {
        struct partition *part = fetcher_first_changed(fetcher);

        part->follow->request = 0;
        fetcher_note_unchanged(fetcher, part);
    }
    LIST_FOR_EACH (link, &fetcher->ready) {
        struct partition *part = LIST_ENTRY(link, struct partition, fetch_link);

        name_partition(fetcher, build, part);
        look_again(fetcher, part);
    }
}

static void name_changed(struct fetcher *fetcher, struct fetcher_build *build)
{
    for (uint32_t i = 0; i < fetcher->forgotten_count; i++) {
        forget_partition(fetcher, build, fetcher->forgotten[i].topic_id,
                         fetcher->forgotten[i].index);
    }
    for (uint32_t left = fetcher->changed_count; left > 0; left--) {
        struct partition *part = fetcher_first_changed(fetcher);

        fetcher_note_unchanged(fetcher, part);
        if (part->fetching == PARTITION_READY) {
            if (!named_so(part)) name_partition(fetcher, build, part);
            look_again(fetcher, part);
        } else if (part->follow->request != 0) {
            forget_partition(fetcher, build, part->topic_id, part->index);
            part->follow->request = 0;
        }
    }
}

enum err fetcher_build_request(struct fetcher *fetcher)
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

void fetcher_send(struct fetcher *fetcher)
{
    call_init(&fetcher->call, API_FETCH);
    fetcher->call.version_min = 15; /* names the broker epoch (KIP-903) and topics by id */
    fetcher->call.version_max = 17;
    fetcher->call.body = &fetcher->request;
    peer_call(&fetcher->peer, &fetcher->call);
}
