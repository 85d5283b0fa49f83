/* The answer to a fetch: each partition of it is judged (follower.h) and carried out. */
#include "broker/replica/fetcher_internal.h"
#include "broker/replica/follower.h"

static void advance(struct partition *part)
{
    int64_t log_start = part->follow->leader_log_start;

    if (part->follow->leader_hw < 0) return;
    partition_follow_high_watermark(part, part->follow->leader_hw);
    part->follow->leader_hw = -1;
    if (log_start > part->high_watermark) log_start = part->high_watermark; /* R25 */
    if (log_start > part->log->log_start) log_raise_start(part->log, log_start);
    partition_note_start(part); /* the leader waits to hear of it, when it is on disk */
}

void fetcher_applied(struct partition *part, bool failed)
{
    ASSERT(part->fetching == PARTITION_BUSY);
    ASSERT(part->role == PARTITION_FOLLOWER);
    if (failed) {
        part->follow->leader_hw = -1;
        fetcher_set(part, PARTITION_DELAYED);
        return;
    }
    advance(part);
    fetcher_set(part, PARTITION_READY);
}

static void append(struct fetcher *fetcher, struct partition *part, struct bytes records)
{
    struct log_append ticket = {.last_offset = -1};
    int64_t base;
    enum err err = log_append_as_follower(part->log, fetcher->call.frame.buf, records,
                                          part->follow->request_epoch, &ticket);

    if (err == ERR_NONE && part->throttled_following)
        quota_note(&fetcher->manager->follower_quota, fetcher->manager->env->now.mono.ns,
                   records.length);
    if (err == ERR_NONE && ticket.last_offset >= ticket.base_offset) {
        fetcher_set(part, PARTITION_BUSY);
        op_wake(&part->work);
        return;
    }
    part->follow->leader_hw = -1;
    /* The log start lies inside of it: asked for again when the log begins there. */
    if (err == ERR_OFFSET_OUT_OF_RANGE && log_begins_with(part->log, records, &base)) {
        fetcher_set(part, PARTITION_BUSY);
        partition_begin_with(part, base);
        return;
    }
    if (err == ERR_OFFSET_OUT_OF_RANGE && log_has_gaps(part->log, records))
        log_admit_gaps(part->log); /* later, the same */
    /* Nothing that may be appended: corrupt, not at our end, all of a newer epoch (KAFKA-18723), or
     * the disk is full. Later, the same. */
    fetcher_set(part, PARTITION_DELAYED);
}

/* One that damage has stopped waits until that is mended. */
void fetcher_cut_to(struct partition *part, int64_t to)
{
    if (part->held_cut >= 0 && part->damaged) {
        fetcher_set(part, PARTITION_DELAYED);
        return;
    }
    fetcher_set(part, PARTITION_BUSY);
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
    fetcher_cut_to(part, follower_truncation(&facts));
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

    TRACE(fetcher_world(fetcher), REPLICA_FETCH_REPLY, (int64_t)part->topic, part->index,
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
        fetcher_note_forgotten(fetcher, part);
        part->follow->request = 0;
        fetcher_note_changed(fetcher, part);
        break;
    case FOLLOWER_TRUNCATE:
        part->follow->leader_hw = -1; /* F9 */
        cut(part, leader);
        return;
    case FOLLOWER_OUT_OF_RANGE: fetcher_set(part, PARTITION_OUT_OF_RANGE); break;
    case FOLLOWER_BACK_OFF: fetcher_set(part, PARTITION_DELAYED); break;
    case FOLLOWER_PARK: fetcher_set(part, PARTITION_PARKED); break;
    }
    part->follow->leader_hw = -1;
}

/* The leader was not reached, or made no sense: everything that was asked for waits. */
static void delay_request(struct fetcher *fetcher)
{
    LIST_FOR_EACH_SAFE (link, after, &fetcher->ready) {
        struct partition *part = LIST_ENTRY(link, struct partition, fetch_link);

        if (part->follow->request != 0) fetcher_set(part, PARTITION_DELAYED);
    }
}

/* Asked for, and not answered. */
static void delay_unanswered(struct fetcher *fetcher)
{
    LIST_FOR_EACH_SAFE (link, after, &fetcher->ready) {
        struct partition *part = LIST_ENTRY(link, struct partition, fetch_link);

        if (part->follow->request == fetcher->requests &&
            part->follow->answered != fetcher->requests) {
            fetcher_set(part, PARTITION_DELAYED);
        }
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

void fetcher_take(struct fetcher *fetcher)
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
