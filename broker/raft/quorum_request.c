/* Requests of other voters and of observers. All go through the machine in order of arrival; a
 * Fetch may then be parked, and reads what it is given. */
#include "broker/raft/quorum_request.h"

#include "broker/raft/quorum_internal.h"
#include "client/base/assert.h"

#include <string.h>

bool quorum_request_is_metadata(const struct fetch_request *fetch)
{
    if (fetch->topics_count != 1) return false;
    return str_equal(fetch->topics[0].topic, QUORUM_TOPIC) ||
           uuid_equal(fetch->topics[0].topic_id, quorum_call_topic_id());
}

/* ---- answers
 * ---------------------------------------------------------------------------------- */

/* `top`: an error of the whole request, told without partitions. */
static void quorum_request_fill(struct quorum_request *request, enum err top,
                                const struct raft_reply *reply)
{
    struct quorum *quorum = request->quorum;
    int32_t id = RAFT_NOBODY;
    struct str host = STR_NULL;
    uint16_t port = 0;
    uint32_t one = top == ERR_NONE ? 1 : 0;
    uint32_t found = one == 1 && request->version >= 1 && reply->leader != RAFT_NOBODY &&
                             quorum_leader_address(quorum, &id, &host, &port) && id == reply->leader
                         ? 1
                         : 0;

    switch (request->kind) {
    case RAFT_REQUEST_VOTE:
        request->partition.vote =
            (struct vote_response_partition){.error_code = (int16_t)reply->err,
                                             .leader_id = reply->leader,
                                             .leader_epoch = reply->epoch,
                                             .vote_granted = reply->granted};
        request->topic.vote =
            (struct vote_response_topic){QUORUM_TOPIC, &request->partition.vote, 1};
        request->endpoint.vote = (struct vote_response_node_endpoint){id, host, port};
        request->response.vote = (struct vote_response){(int16_t)top, &request->topic.vote, one,
                                                        &request->endpoint.vote, found};
        break;
    case RAFT_REQUEST_BEGIN:
        request->partition.begin =
            (struct begin_quorum_epoch_response_partition){.error_code = (int16_t)reply->err,
                                                           .leader_id = reply->leader,
                                                           .leader_epoch = reply->epoch};
        request->topic.begin =
            (struct begin_quorum_epoch_response_topic){QUORUM_TOPIC, &request->partition.begin, 1};
        request->endpoint.begin =
            (struct begin_quorum_epoch_response_node_endpoint){id, host, port};
        request->response.begin = (struct begin_quorum_epoch_response){
            (int16_t)top, &request->topic.begin, one, &request->endpoint.begin, found};
        break;
    case RAFT_REQUEST_END:
        request->partition.end =
            (struct end_quorum_epoch_response_partition){.error_code = (int16_t)reply->err,
                                                         .leader_id = reply->leader,
                                                         .leader_epoch = reply->epoch};
        request->topic.end =
            (struct end_quorum_epoch_response_topic){QUORUM_TOPIC, &request->partition.end, 1};
        request->endpoint.end = (struct end_quorum_epoch_response_node_endpoint){id, host, port};
        request->response.end = (struct end_quorum_epoch_response){
            (int16_t)top, &request->topic.end, one, &request->endpoint.end, found};
        break;
    case RAFT_REQUEST_FETCH:
    case RAFT_REQUEST_SNAPSHOT: IMPOSSIBLE("answered elsewhere");
    }
}

static void quorum_request_done(struct quorum_request *request)
{
    request->done = true;
    op_wake(&request->source);
}

void quorum_request_answer(struct quorum_request *request, const struct raft_reply *reply)
{
    if (request->kind == RAFT_REQUEST_SNAPSHOT) {
        quorum_serve_answer(request, reply);
        return;
    }
    quorum_request_fill(request, ERR_NONE, reply);
    quorum_request_done(request);
}

static void quorum_request_fill_fetch(struct quorum_request *request, enum err top)
{
    const struct raft_fetch_answer *answer = &request->answer;
    struct fetch_response_partition *part = &request->partition.fetch;
    struct fetch_response *response = &request->response.fetch;
    int32_t id;
    struct str host;
    uint16_t port;

    fetch_response_default(response);
    fetch_response_topic_default(&request->topic.fetch);
    fetch_response_partition_default(part);
    part->error_code = (int16_t)answer->err;
    part->high_watermark = answer->high_watermark;
    part->last_stable_offset = answer->high_watermark;
    part->log_start_offset = request->quorum->log->log_start;
    part->current_leader.leader_id = answer->leader;
    part->current_leader.leader_epoch = answer->epoch;
    part->diverging_epoch.epoch = answer->diverging_epoch;
    part->diverging_epoch.end_offset = answer->diverging_end;
    part->snapshot_id.epoch = answer->snapshot_epoch;
    part->snapshot_id.end_offset = answer->snapshot_end;
    part->records = (struct bytes){(const uint8_t *)"", 0};
    part->records_slices = request->slices;
    for (uint32_t i = 0; request->reading && i < request->read.count; i++) {
        request->slices[i] = (struct wire_slice){.kind = WIRE_SLICE_MEMORY,
                                                 .length = request->read.slices[i].length,
                                                 .data = request->read.slices[i].data};
        part->records_slices_count++;
    }
    request->topic.fetch.topic = QUORUM_TOPIC;
    request->topic.fetch.topic_id = quorum_call_topic_id();
    request->topic.fetch.partitions = part;
    request->topic.fetch.partitions_count = 1;
    response->error_code = (int16_t)top;
    response->responses = &request->topic.fetch;
    response->responses_count = top == ERR_NONE ? 1 : 0;
    if (request->version >= 16 && (answer->err != ERR_NONE || request->quorum->raft.set.dynamic) &&
        quorum_leader_address(request->quorum, &id, &host, &port) && id == answer->leader) {
        request->endpoint.fetch =
            (struct fetch_response_node_endpoint){.node_id = id, .host = host, .port = port};
        response->node_endpoints = &request->endpoint.fetch;
        response->node_endpoints_count = 1;
    }
}

void quorum_request_refuse(struct quorum_request *request, enum err err)
{
    struct raft_reply reply = {.err = err, .leader = RAFT_NOBODY, .epoch = request->quorum->epoch};

    if (request->kind == RAFT_REQUEST_FETCH) {
        request->answer = (struct raft_fetch_answer){.err = err,
                                                     .leader = RAFT_NOBODY,
                                                     .epoch = request->quorum->epoch,
                                                     .high_watermark = RAFT_NO_HW,
                                                     .diverging_epoch = -1,
                                                     .diverging_end = -1,
                                                     .snapshot_epoch = -1,
                                                     .snapshot_end = -1};
        quorum_request_fill_fetch(request, ERR_NONE);
        quorum_request_done(request);
    } else if (request->kind == RAFT_REQUEST_SNAPSHOT) {
        quorum_serve_refuse(request, ERR_NONE, err);
    } else {
        quorum_request_answer(request, &reply);
    }
}

/* ---- replicas as the leader sees them
 * --------------------------------------------------------- */

static struct quorum_replica *quorum_request_replica(struct quorum_request *request)
{
    struct quorum *quorum = request->quorum;
    const struct raft_fetch_request *fetch = &request->event.fetch;
    struct quorum_replica *place = &quorum->replicas[0];

    for (uint32_t i = 0; i < COUNT_OF(quorum->replicas); i++) {
        struct quorum_replica *replica = &quorum->replicas[i];

        if (replica->used && replica->id == fetch->replica &&
            uuid_equal(replica->directory, fetch->directory)) {
            return replica;
        }
        if (!place->used) continue;
        if (!replica->used || replica->last_fetch.mono.ns < place->last_fetch.mono.ns) {
            place = replica; /* a free one, else the one not heard for longest */
        }
    }
    *place = (struct quorum_replica){.id = fetch->replica,
                                     .directory = fetch->directory,
                                     .log_end = -1,
                                     .told_hw = RAFT_NO_HW,
                                     .caught_up = {-1},
                                     .used = true};
    return place;
}

static void quorum_request_look_up(struct quorum_request *request)
{
    struct raft_fetch_request *fetch = &request->event.fetch;
    const struct log *log = request->quorum->log;
    struct log_epoch_end end = log_end_offset_for(log, fetch->last_fetched_epoch);

    if (log->log_start > 0 && end.epoch < request->quorum->keep.start_epoch) {
        /* Before the first epoch of the log: what the snapshot ends with. */
        end.epoch = request->quorum->keep.start_epoch;
        end.end_offset = log->log_start;
    } else if (end.epoch < 0) {
        end.epoch = quorum_log_last_epoch(request->quorum);
        end.end_offset = log->log_end;
    }
    fetch->end_epoch = end.epoch;
    fetch->end_offset = end.end_offset;
    fetch->known_hw = RAFT_NO_HW;
    fetch->park_allowed = request->quorum->env->now.mono.ns < request->until_ns;
    for (uint32_t i = 0; i < COUNT_OF(request->quorum->replicas); i++) {
        const struct quorum_replica *replica = &request->quorum->replicas[i];

        if (replica->used && replica->id == fetch->replica &&
            uuid_equal(replica->directory, fetch->directory)) {
            fetch->known_hw = replica->told_hw;
        }
    }
}

static void quorum_request_note_replica(struct quorum_request *request)
{
    struct quorum *quorum = request->quorum;
    struct quorum_replica *replica = quorum_request_replica(request);

    replica->log_end = request->event.fetch.fetch_offset;
    replica->last_fetch = quorum->env->now;
    if (replica->log_end >= quorum->raft.log_end) replica->caught_up = quorum->env->now.wall;
}

/* ---- fetch
 * ------------------------------------------------------------------------------------ */

enum quorum_fetch_step { FETCH_PARK, FETCH_WOKEN, FETCH_READ, FETCH_READ_DONE };
static const char *const quorum_fetch_steps[] = {"PARK", "WOKEN", "READ", "READ_DONE"};

/* Looks at the machine again; no effect on it. Not while something is being stored: the epoch in
 * memory may not be told yet. */
static bool quorum_request_woken(struct quorum_request *request)
{
    struct quorum *quorum = request->quorum;
    struct raft_fetch_request fetch = request->event.fetch;
    struct raft_fetch_answer answer;

    if (quorum_over(quorum)) return true;
    if (quorum->storing) return false;
    fetch.park_allowed = !quorum->hasty && quorum->env->now.mono.ns < request->until_ns;
    raft_fetch_check(&quorum->raft, &fetch, &answer);
    return answer.verdict != RAFT_FETCH_PARK;
}

static void quorum_request_read(struct quorum_request *request)
{
    struct quorum *quorum = request->quorum;

    request->read = (struct log_read){.offset = request->event.fetch.fetch_offset,
                                      .limit = quorum->raft.log_end,
                                      .max_bytes = request->max_bytes,
                                      .first_whole = true};
    op_source_init(&request->read.source);
    request->reading = true;
    log_read(quorum->log, &request->read);
}

static bool quorum_request_has_records(const struct quorum_request *request)
{
    return request->answer.verdict == RAFT_FETCH_SERVE &&
           request->event.fetch.fetch_offset < request->quorum->raft.log_end;
}

static enum op_result quorum_request_fetch_run(struct op *op)
{
    struct quorum_request *o = CONTAINER_OF(op, struct quorum_request, op);
    struct quorum *q = o->quorum;

    switch ((enum quorum_fetch_step)op->step) {
    case FETCH_PARK:
        op_deadline(op, o->until_ns);
        AWAIT(o, FETCH_WOKEN, &q->fetch_source, quorum_request_woken(o));
        op_deadline(op, OP_NO_DEADLINE);
        if (quorum_over(q)) {
            quorum_request_refuse(o, ERR_NOT_LEADER_OR_FOLLOWER);
            return OP_DONE;
        }
        quorum_request_look_up(o);
        raft_fetch_check(&q->raft, &o->event.fetch, &o->answer);
        op_enter(op, FETCH_READ);
        __attribute__((fallthrough));
    case FETCH_READ:
        if (quorum_request_has_records(o)) quorum_request_read(o);
        AWAIT(o, FETCH_READ_DONE, &o->read.source, !o->reading || o->read.done);
        if (o->reading && o->read.err != ERR_NONE) {
            o->answer.err = ERR_KAFKA_STORAGE_ERROR;
            o->read.count = 0;
        }
        if (o->answer.verdict == RAFT_FETCH_SERVE) {
            quorum_request_replica(o)->told_hw = o->answer.high_watermark;
        }
        quorum_request_fill_fetch(o, ERR_NONE);
        quorum_request_done(o);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind quorum_request_kind = {"quorum_fetch", quorum_fetch_steps,
                                                   COUNT_OF(quorum_fetch_steps),
                                                   quorum_request_fetch_run, NULL};

void quorum_request_answer_fetch(struct quorum_request *request,
                                 const struct raft_fetch_answer *answer)
{
    request->answer = *answer;
    if (answer->verdict != RAFT_FETCH_ERROR) quorum_request_note_replica(request);
    op_start(&request->quorum->env->loop, &request->op, &quorum_request_kind,
             answer->verdict == RAFT_FETCH_PARK ? FETCH_PARK : FETCH_READ);
}

/* ---- entry
 * ------------------------------------------------------------------------------------ */

void quorum_request_init(struct quorum_request *request, struct quorum *quorum,
                         enum raft_request kind, int16_t version)
{
    *request = (struct quorum_request){.quorum = quorum, .kind = kind, .version = version};
    op_source_init(&request->source);
    op_source_init(&request->read.source);
    list_init(&request->link);
}

struct raft_event *quorum_request_event(struct quorum_request *request)
{
    if (request->kind == RAFT_REQUEST_FETCH) quorum_request_look_up(request);
    return &request->event;
}

static void quorum_request_whole_error(struct quorum_request *request, enum err err)
{
    struct raft_reply nothing = {.leader = RAFT_NOBODY};

    if (request->kind == RAFT_REQUEST_SNAPSHOT) {
        quorum_serve_refuse(request, err, ERR_NONE);
        return;
    }
    if (request->kind == RAFT_REQUEST_FETCH) {
        quorum_request_fill_fetch(request, err);
    } else {
        quorum_request_fill(request, err, &nothing);
    }
    quorum_request_done(request);
}

/* The checks that are the same for all: whose cluster, which topic, whom it is for. */
bool quorum_request_admit(struct quorum_request *request, struct str cluster, bool one,
                          int32_t voter)
{
    struct quorum *quorum = request->quorum;
    enum err err = ERR_NONE;

    if (cluster.data != NULL && !str_equal(cluster, quorum->config.cluster_id)) {
        err = ERR_INCONSISTENT_CLUSTER_ID;
    } else if (!one) {
        err = ERR_INVALID_REQUEST;
    } else if (voter >= 0 && voter != quorum->config.node_id) {
        err = ERR_INVALID_VOTER_KEY;
    }
    if (err != ERR_NONE) {
        quorum_request_whole_error(request, err);
        return false;
    }
    if (quorum_over(quorum) || quorum->stop_wanted || quorum->state == QUORUM_IDLE) {
        quorum_request_refuse(request, ERR_NOT_LEADER_OR_FOLLOWER);
        return false;
    }
    list_push(&quorum->requests, &request->link);
    quorum_driver_wake(quorum);
    return true;
}

void quorum_request_vote(struct quorum_request *request, struct quorum *quorum, int16_t version,
                         const struct vote_request *vote)
{
    bool one = vote->topics_count == 1 && vote->topics[0].partitions_count == 1 &&
               str_equal(vote->topics[0].topic_name, QUORUM_TOPIC);
    const struct vote_request_partition *part;

    quorum_request_init(request, quorum, RAFT_REQUEST_VOTE, version);
    if (!quorum_request_admit(request, vote->cluster_id, one, vote->voter_id)) return;
    part = &vote->topics[0].partitions[0];
    request->event.kind = RAFT_VOTE_REQUEST;
    request->event.vote =
        (struct raft_vote_request){.epoch = part->replica_epoch,
                                   .candidate = part->replica_id,
                                   .candidate_directory = part->replica_directory_id,
                                   .voter_directory = part->voter_directory_id,
                                   .last_epoch = part->last_offset_epoch,
                                   .log_end = part->last_offset,
                                   .pre_vote = part->pre_vote};
}

/* What a leader says of its own address. */
#define QUORUM_LEADS_AT(quorum, request, id)                                                     \
    do {                                                                                         \
        for (uint32_t n = 0; n < (request)->leader_endpoints_count; n++) {                       \
            if (!str_equal((request)->leader_endpoints[n].name, (quorum)->config.listener_name)) \
                continue;                                                                        \
            quorum_voting_learn((quorum), (id), (request)->leader_endpoints[n].host,             \
                                (request)->leader_endpoints[n].port, true);                      \
        }                                                                                        \
    } while (0)

void quorum_request_begin(struct quorum_request *request, struct quorum *quorum, int16_t version,
                          const struct begin_quorum_epoch_request *begin)
{
    bool one = begin->topics_count == 1 && begin->topics[0].partitions_count == 1 &&
               str_equal(begin->topics[0].topic_name, QUORUM_TOPIC);
    const struct begin_quorum_epoch_request_partition *part;

    quorum_request_init(request, quorum, RAFT_REQUEST_BEGIN, version);
    if (!quorum_request_admit(request, begin->cluster_id, one, begin->voter_id)) return;
    part = &begin->topics[0].partitions[0];
    QUORUM_LEADS_AT(quorum, begin, part->leader_id);
    request->event.kind = RAFT_BEGIN_REQUEST;
    request->event.peer = part->leader_id;
    request->event.epoch = part->leader_epoch;
    request->event.directory = part->voter_directory_id;
}

void quorum_request_end(struct quorum_request *request, struct quorum *quorum, int16_t version,
                        const struct end_quorum_epoch_request *end)
{
    bool one = end->topics_count == 1 && end->topics[0].partitions_count == 1 &&
               str_equal(end->topics[0].topic_name, QUORUM_TOPIC);
    const struct end_quorum_epoch_request_partition *part;
    struct raft_event *event = &request->event;

    quorum_request_init(request, quorum, RAFT_REQUEST_END, version);
    if (!quorum_request_admit(request, end->cluster_id, one, -1)) return;
    part = &end->topics[0].partitions[0];
    QUORUM_LEADS_AT(quorum, end, part->leader_id);
    event->kind = RAFT_END_REQUEST;
    event->peer = part->leader_id;
    event->epoch = part->leader_epoch;
    if (version == 0) {
        for (uint32_t i = 0; i < part->preferred_successors_count && i < RAFT_VOTERS_MAX; i++) {
            event->successors[event->successor_count++] = part->preferred_successors[i];
        }
    } else {
        for (uint32_t i = 0; i < part->preferred_candidates_count && i < RAFT_VOTERS_MAX; i++) {
            event->successors[event->successor_count++] =
                part->preferred_candidates[i].candidate_id;
        }
    }
}

void quorum_request_fetch(struct quorum_request *request, struct quorum *quorum, int16_t version,
                          uint64_t connection, const struct fetch_request *fetch)
{
    bool one = quorum_request_is_metadata(fetch) && fetch->topics[0].partitions_count == 1 &&
               fetch->topics[0].partitions[0].partition == 0;
    int64_t wait =
        fetch->max_wait_ms < QUORUM_FETCH_WAIT_MS ? fetch->max_wait_ms : QUORUM_FETCH_WAIT_MS;
    const struct fetch_request_partition *part;

    quorum_request_init(request, quorum, RAFT_REQUEST_FETCH, version);
    if (!quorum_request_admit(request, fetch->cluster_id, one, -1)) return;
    part = &fetch->topics[0].partitions[0];
    request->until_ns = env_deadline(quorum->env, wait > 0 ? wait : 0);
    request->max_bytes = QUORUM_FETCH_BYTES;
    if (part->partition_max_bytes >= 0 && part->partition_max_bytes < QUORUM_FETCH_BYTES) {
        request->max_bytes = (uint32_t)part->partition_max_bytes;
    }
    request->event.kind = RAFT_FETCH_REQUEST;
    request->event.fetch = (struct raft_fetch_request){
        .replica = version >= 15 ? fetch->replica_state.replica_id : fetch->replica_id,
        .directory = part->replica_directory_id,
        .connection = connection,
        .leader_epoch = part->current_leader_epoch,
        .fetch_offset = part->fetch_offset,
        .last_fetched_epoch = part->last_fetched_epoch};
}

void quorum_request_cancel(struct quorum_request *request)
{
    if (request->done) return;
    list_remove(&request->link);
    if (request->quorum->answering == request) request->quorum->answering = NULL;
    if (request->reading && !request->read.done) return;
    if (request->io.req.req.pending) return;
    if (op_live(&request->op)) op_cancel(&request->op);
    request->done = true;
}

void quorum_request_release(struct quorum_request *request)
{
    ASSERT(request->done && !op_live(&request->op));
    if (request->reading) log_read_release(&request->read);
    request->reading = false;
    buf_unref(request->part);
    request->part = NULL;
}
