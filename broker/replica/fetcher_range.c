/* A follower whose end the leader refused: where the leader's log ends, and begins when that is not
 * enough, says whether to cut, to reset, or to go on (replication.md 7). Also one whose log is
 * empty and knows nobody who wrote what is gone (log_stranger): the leader hands its producers over
 * together with its log start (log_handover.c). */
#include "broker/replica/fetcher_internal.h"
#include "broker/replica/follower.h"

static bool listed_valid(const struct fetcher *fetcher)
{
    const struct partition *part = fetcher->listed;

    return part->fetcher == fetcher && part->fetching == PARTITION_OUT_OF_RANGE &&
           part->leader_epoch == fetcher->listed_epoch && partition_quiet(part);
}

bool fetcher_list_offsets(struct fetcher *fetcher, int64_t timestamp)
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
    if (timestamp == FETCHER_LIST_EARLIEST) to->handover_at = fetcher->listed->log->log_end;
    fetcher->listed_own = fetcher->listed->log->log_end;
    fetcher->handover = (struct log_handover){0};
    call_init(&fetcher->call, API_LIST_OFFSETS);
    fetcher->call.body = request;
    peer_call(&fetcher->peer, &fetcher->call);
    return true;
}

/* The offset in the answer; -1 when there is none. */
int64_t fetcher_listed_offset(struct fetcher *fetcher)
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

int64_t fetcher_listed_start(struct fetcher *fetcher)
{
    int64_t start = fetcher_listed_offset(fetcher);

    if (start < 0) return start;
    fetcher->handover = (struct log_handover){
        .snapshot = fetcher->list_response.topics[0].partitions[0].producers,
        .window = fetcher->list_response.topics[0].partitions[0].producers_window};
    return start;
}

void fetcher_list_begin(struct fetcher *fetcher)
{
    fetcher->listed = LIST_ENTRY(fetcher->out_of_range.next, struct partition, fetch_link);
    fetcher->listed_epoch = fetcher->listed->leader_epoch;
    fetcher->listed_end = -1;
    partition_pin(fetcher->listed);
}

/* The leader's start is asked for only when its end does not say everything. */
bool fetcher_list_needs_start(const struct fetcher *fetcher)
{
    return fetcher->listed_end >= 0 && listed_valid(fetcher) &&
           fetcher->listed_end >= fetcher->listed->log->log_end;
}

/* An empty log that begins at `at`. Of a leader that tells of no producers (Kafka's), or of some
 * that make no sense, it begins without. */
static void range_begin(struct fetcher *fetcher, int64_t at)
{
    struct partition *part = fetcher->listed;
    bool told = fetcher->handover.snapshot.length > 0;
    enum err err;

    fetcher_set(part, PARTITION_BUSY);
    err = partition_reset(part, at, told ? &fetcher->handover : NULL);
    if (err == ERR_DAMAGED) {
        TRACE_TEXT(fetcher_world(fetcher), NODE_WARNING,
                   STR("producers that a leader handed over make no sense"), err);
        err = partition_reset(part, at, NULL);
    }
    if (err != ERR_NONE) fetcher_set(part, PARTITION_DELAYED);
}

/* It is where the leader's log is, and only has to be told. */
static void range_introduce(struct fetcher *fetcher)
{
    struct partition *part = fetcher->listed;

    if (fetcher->handover.snapshot.length > 0) {
        range_begin(fetcher, part->log->log_end);
        return;
    }
    log_stranger_met(part->log);
    fetcher_set(part, PARTITION_READY);
}

/* The end is within the leader's log, and yet it was refused. An epoch of ours above the leader's
 * was never written by anybody: rot of a batch's epoch, which its CRC does not cover (DF8). What
 * stands under it is dropped and fetched again; otherwise the leader has moved meanwhile. */
static void range_resume(struct partition *part)
{
    const struct log_epochs *epochs = &part->log->epochs;
    int64_t start = part->log->log_start;

    if (log_epochs_latest(epochs) <= part->leader_epoch) {
        fetcher_set(part, PARTITION_DELAYED);
        return;
    }
    if (epochs->entries[epochs->count - 1].start_offset > start) {
        start = epochs->entries[epochs->count - 1].start_offset;
    }
    fetcher_cut_to(part, start);
}

void fetcher_list_decide(struct fetcher *fetcher, int64_t leader_start)
{
    struct partition *part = fetcher->listed;

    if (!listed_valid(fetcher)) return;
    if (fetcher->listed_end < 0 || part->log->log_end != fetcher->listed_own ||
        (fetcher->listed_end >= part->log->log_end && leader_start < 0)) {
        fetcher_set(part, PARTITION_DELAYED);
        return;
    }
    switch (follower_out_of_range(part->log->log_start, part->log->log_end, fetcher->listed_end,
                                  leader_start)) {
    case FOLLOWER_RANGE_TRUNCATE: fetcher_cut_to(part, fetcher->listed_end); return;
    case FOLLOWER_RANGE_RESET: range_begin(fetcher, leader_start); return;
    case FOLLOWER_RANGE_RESUME:
        if (log_stranger(part->log)) {
            range_introduce(fetcher);
        } else {
            range_resume(part);
        }
        return;
    }
}

/* Whatever happened, it does not stay in the list at its place. */
void fetcher_list_end(struct fetcher *fetcher)
{
    struct partition *part = fetcher->listed;

    if (part->fetcher == fetcher && part->fetching == PARTITION_OUT_OF_RANGE) {
        fetcher_set(part, PARTITION_DELAYED);
    }
    fetcher->listed = NULL;
    partition_unpin(part);
}
