/* Requests of raft to the other voters: at most one of a kind to each; a new one takes the place
 * of an old one, whose answer nobody wants any more. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"

#include <string.h>

enum { QUORUM_KINDS = RAFT_REQUESTS };

struct uuid quorum_call_topic_id(void)
{
    struct uuid id = {{0}};

    id.bytes[15] = 1;
    return id;
}

/* ---- encode
 * ----------------------------------------------------------------------------------- */

/* Directory of a voter; zero: configured, or none. */
static struct uuid quorum_call_directory(const struct quorum *quorum, int32_t id)
{
    const struct quorum_member *member = quorum_voting_find(quorum, id);

    return member != NULL ? member->directory : (struct uuid){{0}};
}

static void quorum_call_vote(struct quorum_call *call, const struct raft_effect *effect)
{
    struct quorum *quorum = call->link->quorum;
    struct vote_request_partition *part = &call->partition.vote;

    vote_request_default(&call->request.vote);
    vote_request_topic_default(&call->topic.vote);
    vote_request_partition_default(part);
    part->replica_epoch = effect->epoch;
    part->replica_id = quorum->config.node_id;
    part->replica_directory_id = quorum->config.directory_id;
    part->voter_directory_id = quorum_call_directory(quorum, call->link->id);
    part->last_offset_epoch = effect->log_epoch;
    part->last_offset = effect->end;
    part->pre_vote = effect->pre_vote;
    call->topic.vote.topic_name = QUORUM_TOPIC;
    call->topic.vote.partitions = part;
    call->topic.vote.partitions_count = 1;
    call->request.vote.cluster_id = quorum->config.cluster_id;
    call->request.vote.voter_id = call->link->id;
    call->request.vote.topics = &call->topic.vote;
    call->request.vote.topics_count = 1;
    call->call.body = &call->request.vote;
    if (effect->pre_vote) call->call.version_min = 2; /* else: skip the pre-vote (KIP-996) */
}

static void quorum_call_begin(struct quorum_call *call, const struct raft_effect *effect)
{
    struct quorum *quorum = call->link->quorum;
    struct begin_quorum_epoch_request_partition *part = &call->partition.begin;

    begin_quorum_epoch_request_default(&call->request.begin);
    begin_quorum_epoch_request_topic_default(&call->topic.begin);
    begin_quorum_epoch_request_partition_default(part);
    part->leader_id = quorum->config.node_id;
    part->leader_epoch = effect->epoch;
    part->voter_directory_id = quorum_call_directory(quorum, call->link->id);
    call->topic.begin.topic_name = QUORUM_TOPIC;
    call->topic.begin.partitions = part;
    call->topic.begin.partitions_count = 1;
    call->begin_endpoint =
        (struct begin_quorum_epoch_request_leader_endpoint){.name = quorum->config.listener_name,
                                                            .host = quorum->config.host,
                                                            .port = quorum->config.port};
    call->request.begin.cluster_id = quorum->config.cluster_id;
    call->request.begin.voter_id = call->link->id;
    call->request.begin.topics = &call->topic.begin;
    call->request.begin.topics_count = 1;
    call->request.begin.leader_endpoints = &call->begin_endpoint;
    call->request.begin.leader_endpoints_count = 1;
    call->call.body = &call->request.begin;
}

static void quorum_call_end(struct quorum_call *call, const struct raft_effect *effect)
{
    struct quorum *quorum = call->link->quorum;
    const struct raft *raft = &quorum->raft;
    struct end_quorum_epoch_request_partition *part = &call->partition.end;

    end_quorum_epoch_request_default(&call->request.end);
    end_quorum_epoch_request_topic_default(&call->topic.end);
    end_quorum_epoch_request_partition_default(part);
    part->leader_id = quorum->config.node_id;
    part->leader_epoch = effect->epoch;
    for (uint32_t i = 0; i < raft->successor_count; i++) {
        call->successors[i] = raft->successors[i];
        call->candidates[i] = (struct end_quorum_epoch_request_preferred_candidate){
            .candidate_id = raft->successors[i],
            .candidate_directory_id = quorum_call_directory(quorum, raft->successors[i])};
    }
    part->preferred_successors = call->successors;
    part->preferred_successors_count = raft->successor_count;
    part->preferred_candidates = call->candidates;
    part->preferred_candidates_count = raft->successor_count;
    call->topic.end.topic_name = QUORUM_TOPIC;
    call->topic.end.partitions = part;
    call->topic.end.partitions_count = 1;
    call->end_endpoint =
        (struct end_quorum_epoch_request_leader_endpoint){.name = quorum->config.listener_name,
                                                          .host = quorum->config.host,
                                                          .port = quorum->config.port};
    call->request.end.cluster_id = quorum->config.cluster_id;
    call->request.end.topics = &call->topic.end;
    call->request.end.topics_count = 1;
    call->request.end.leader_endpoints = &call->end_endpoint;
    call->request.end.leader_endpoints_count = 1;
    call->call.body = &call->request.end;
}

/* DIFFERS: Kafka always asks for 500 ms. With a request timeout of no more than that, no fetch that
 * waits is ever answered in time, and a quiet quorum elects for ever; so it does when a fetch that
 * was lost may not be repeated within the fetch timeout (K34). */
static int32_t quorum_call_fetch_wait(const struct quorum_config *config)
{
    int32_t wait_ms = QUORUM_FETCH_WAIT_MS;

    if (wait_ms > config->request_timeout_ms / 2) wait_ms = config->request_timeout_ms / 2;
    if (wait_ms > config->fetch_timeout_ms / 2) wait_ms = config->fetch_timeout_ms / 2;
    return wait_ms;
}

/* Who asks an address, not knowing who is there, asks for the leader's name only. */
static bool quorum_call_asks_name(const struct quorum_call *call)
{
    return call->link->id <= RAFT_BOOTSTRAP(0);
}

/* DIFFERS: who asks for a name asks as nobody (replica -1: as a consumer would, whom no leader
 * counts) and does not wait for news; Kafka names itself there too. The leader may be behind the
 * address, and has us by a connection of its own as well: what waited here for an address that was
 * down, and says where our log ended then, would come to it after what we acknowledged since, by
 * the younger connection. It would take our disk for set back (K35). */
static void quorum_call_fetch(struct quorum_call *call, const struct raft_effect *effect)
{
    struct quorum *quorum = call->link->quorum;
    struct fetch_request *request = &call->request.fetch;
    struct fetch_request_partition *part = &call->partition.fetch;

    fetch_request_default(request);
    fetch_request_topic_default(&call->topic.fetch);
    fetch_request_partition_default(part);
    part->current_leader_epoch = effect->epoch;
    part->fetch_offset = effect->end;
    part->last_fetched_epoch = effect->log_epoch;
    part->partition_max_bytes = QUORUM_FETCH_BYTES;
    call->topic.fetch.topic = QUORUM_TOPIC;
    call->topic.fetch.topic_id = quorum_call_topic_id();
    call->topic.fetch.partitions = part;
    call->topic.fetch.partitions_count = 1;
    request->cluster_id = quorum->config.cluster_id;
    request->max_wait_ms = 0;
    if (!quorum_call_asks_name(call)) {
        request->replica_state.replica_id = quorum->config.node_id;
        part->replica_directory_id = quorum->config.directory_id;
        request->max_wait_ms = quorum_call_fetch_wait(&quorum->config);
    }
    request->max_bytes = QUORUM_FETCH_BYTES;
    request->topics = &call->topic.fetch;
    request->topics_count = 1;
    call->call.body = request;
    call->call.version_min = 17; /* the first that names the replica and its directory */
}

static void quorum_call_snapshot(struct quorum_call *call, const struct raft_effect *effect)
{
    struct quorum *quorum = call->link->quorum;
    struct fetch_snapshot_request *request = &call->request.snapshot;
    struct fetch_snapshot_request_partition *part = &call->partition.snapshot;

    fetch_snapshot_request_default(request);
    fetch_snapshot_request_topic_default(&call->topic.snapshot);
    fetch_snapshot_request_partition_default(part);
    part->current_leader_epoch = effect->epoch;
    part->snapshot_id.end_offset = effect->end;
    part->snapshot_id.epoch = effect->log_epoch;
    part->position = effect->position;
    part->replica_directory_id = quorum->config.directory_id;
    call->topic.snapshot.name = QUORUM_TOPIC;
    call->topic.snapshot.partitions = part;
    call->topic.snapshot.partitions_count = 1;
    request->cluster_id = quorum->config.cluster_id;
    request->replica_id = quorum->config.node_id;
    request->max_bytes = QUORUM_FETCH_BYTES;
    request->topics = &call->topic.snapshot;
    request->topics_count = 1;
    call->call.body = request;
}

/* ---- decode
 * ----------------------------------------------------------------------------------- */

static void quorum_call_reply(struct raft_reply *reply, int16_t top, int16_t part, int32_t leader,
                              int32_t epoch)
{
    *reply = (struct raft_reply){.err = err_from_wire(top != 0 ? top : part),
                                 .leader = top != 0 ? RAFT_NOBODY : leader,
                                 .epoch = top != 0 ? 0 : epoch};
}

/* Where the leader is that this answer names. */
#define QUORUM_LEARN(call, response, leader)                                                       \
    do {                                                                                           \
        for (uint32_t n = 0; n < (response).node_endpoints_count; n++) {                           \
            if ((response).node_endpoints[n].node_id != (leader)) continue;                        \
            quorum_voting_learn((call)->link->quorum, (leader), (response).node_endpoints[n].host, \
                                (uint16_t)(response).node_endpoints[n].port, false);               \
        }                                                                                          \
    } while (0)

/* The one partition of an answer; an answer without it is an error of the whole. */
#define QUORUM_PART(message, topics, part)                                                  \
    do {                                                                                    \
        if ((message).error_code == 0 &&                                                    \
            ((message).topics##_count != 1 || (message).topics[0].partitions_count != 1)) { \
            return ERR_MALFORMED;                                                           \
        }                                                                                   \
        if ((message).error_code == 0) (part) = (message).topics[0].partitions[0];          \
    } while (0)

static enum err quorum_call_decode_vote(struct quorum_call *call, struct arena *arena)
{
    struct vote_response response;
    struct vote_response_partition part = {0};
    enum err err = vote_response_decode(&call->call.reader, call->call.version, arena, &response);

    if (err != ERR_NONE) return err;
    QUORUM_PART(response, topics, part);
    quorum_call_reply(&call->event.reply, response.error_code, part.error_code, part.leader_id,
                      part.leader_epoch);
    call->event.reply.granted = part.vote_granted;
    QUORUM_LEARN(call, response, part.leader_id);
    call->event.kind = RAFT_VOTE_REPLY;
    return ERR_NONE;
}

static enum err quorum_call_decode_begin(struct quorum_call *call, struct arena *arena)
{
    struct begin_quorum_epoch_response response;
    struct begin_quorum_epoch_response_partition part = {0};
    enum err err = begin_quorum_epoch_response_decode(&call->call.reader, call->call.version, arena,
                                                      &response);

    if (err != ERR_NONE) return err;
    QUORUM_PART(response, topics, part);
    quorum_call_reply(&call->event.reply, response.error_code, part.error_code, part.leader_id,
                      part.leader_epoch);
    QUORUM_LEARN(call, response, part.leader_id);
    call->event.kind = RAFT_BEGIN_REPLY;
    return ERR_NONE;
}

static enum err quorum_call_decode_end(struct quorum_call *call, struct arena *arena)
{
    struct end_quorum_epoch_response response;
    struct end_quorum_epoch_response_partition part = {0};
    enum err err =
        end_quorum_epoch_response_decode(&call->call.reader, call->call.version, arena, &response);

    if (err != ERR_NONE) return err;
    QUORUM_PART(response, topics, part);
    quorum_call_reply(&call->event.reply, response.error_code, part.error_code, part.leader_id,
                      part.leader_epoch);
    QUORUM_LEARN(call, response, part.leader_id);
    call->event.kind = RAFT_END_REPLY;
    return ERR_NONE;
}

static enum err quorum_call_decode_fetch(struct quorum_call *call, struct arena *arena)
{
    struct fetch_response response;
    struct fetch_response_partition part;
    struct raft_fetch_reply *fetched = &call->event.fetched;
    struct record_batch_iter iter;
    struct record_batch first;
    enum err err = fetch_response_decode(&call->call.reader, call->call.version, arena, &response);

    if (err != ERR_NONE) return err;
    fetch_response_partition_default(&part);
    QUORUM_PART(response, responses, part);
    quorum_call_reply(&fetched->reply, response.error_code, part.error_code,
                      part.current_leader.leader_id, part.current_leader.leader_epoch);
    QUORUM_LEARN(call, response, part.current_leader.leader_id);
    /* Who answers without an error leads: we asked an address, and learn whose it is. */
    if (quorum_call_asks_name(call) && fetched->reply.err == ERR_NONE) {
        quorum_voting_learn(call->link->quorum, fetched->reply.leader,
                            str_of(call->link->peers[0].host), call->link->peers[0].port, true);
    }
    fetched->high_watermark = part.high_watermark;
    fetched->diverging = part.diverging_epoch.epoch >= 0;
    fetched->diverging_epoch = part.diverging_epoch.epoch;
    fetched->diverging_end = part.diverging_epoch.end_offset;
    record_batch_iter_init(&iter, part.records);
    fetched->has_records = part.records.length > 0 && record_batch_iter_next(&iter, &first);
    if (part.records.length > 0 && !fetched->has_records) return ERR_MALFORMED;
    fetched->wants_snapshot = part.snapshot_id.end_offset >= 0;
    fetched->snapshot_end = part.snapshot_id.end_offset;
    fetched->snapshot_epoch = part.snapshot_id.epoch;
    call->records = part.records;
    call->event.kind = RAFT_FETCH_REPLY;
    return ERR_NONE;
}

static enum err quorum_call_decode_snapshot(struct quorum_call *call, struct arena *arena)
{
    struct fetch_snapshot_response response;
    struct fetch_snapshot_response_partition part;
    struct raft_snapshot_reply *reply = &call->event.part;
    enum err err =
        fetch_snapshot_response_decode(&call->call.reader, call->call.version, arena, &response);

    if (err != ERR_NONE) return err;
    fetch_snapshot_response_partition_default(&part);
    QUORUM_PART(response, topics, part);
    quorum_call_reply(&reply->reply, response.error_code, part.error_code,
                      part.current_leader.leader_id, part.current_leader.leader_epoch);
    QUORUM_LEARN(call, response, part.current_leader.leader_id);
    reply->end = part.snapshot_id.end_offset;
    reply->epoch = part.snapshot_id.epoch;
    reply->size = part.size;
    reply->position = part.position;
    reply->bytes = part.unaligned_records.length;
    call->records = part.unaligned_records;
    call->event.kind = RAFT_SNAPSHOT_REPLY;
    return ERR_NONE;
}

static void quorum_call_answered(struct quorum_call *call)
{
    struct quorum *quorum = call->link->quorum;
    enum err err = call->call.result;

    call->event = (struct raft_event){.peer = call->link->id, .round = call->round};
    if (err == ERR_NONE) {
        switch (call->kind) {
        case RAFT_REQUEST_VOTE: err = quorum_call_decode_vote(call, &quorum->arena); break;
        case RAFT_REQUEST_BEGIN: err = quorum_call_decode_begin(call, &quorum->arena); break;
        case RAFT_REQUEST_END: err = quorum_call_decode_end(call, &quorum->arena); break;
        case RAFT_REQUEST_FETCH: err = quorum_call_decode_fetch(call, &quorum->arena); break;
        case RAFT_REQUEST_SNAPSHOT: err = quorum_call_decode_snapshot(call, &quorum->arena); break;
        }
        arena_reset(&quorum->arena);
        if (err == ERR_NONE) {
            const struct raft_reply *reply = &call->event.reply;

            if (call->kind == RAFT_REQUEST_FETCH) reply = &call->event.fetched.reply;
            if (call->kind == RAFT_REQUEST_SNAPSHOT) reply = &call->event.part.reply;
            call->link->foreign = reply->err == ERR_INCONSISTENT_CLUSTER_ID;
        }
    } else if (err == ERR_UNSUPPORTED_VERSION && call->kind == RAFT_REQUEST_VOTE) {
        call->event.kind = RAFT_VOTE_REPLY;
        call->event.reply = (struct raft_reply){.err = err, .leader = RAFT_NOBODY};
        err = ERR_NONE;
    }
    if (err != ERR_NONE) {
        call->event.kind = RAFT_SEND_FAILED;
        call->event.request = call->kind;
        call->event.err = err;
    }
}

/* ---- the op
 * ----------------------------------------------------------------------------------- */

enum quorum_call_step { CALL_SENT, CALL_ANSWERED };
static const char *const quorum_call_steps[] = {"SENT", "ANSWERED"};

static struct peer *quorum_call_peer(struct quorum_call *call)
{
    bool fetches = call->kind == RAFT_REQUEST_FETCH || call->kind == RAFT_REQUEST_SNAPSHOT;

    return &call->link->peers[fetches ? QUORUM_PEER_FETCHES : QUORUM_PEER_VOTES];
}

static enum op_result quorum_call_run(struct op *op)
{
    struct quorum_call *o = CONTAINER_OF(op, struct quorum_call, op);

    switch ((enum quorum_call_step)op->step) {
    case CALL_SENT:
        peer_call(quorum_call_peer(o), &o->call);
        AWAIT(o, CALL_ANSWERED, &o->call.done, call_done(&o->call));
        quorum_call_answered(o);
        o->answered = true;
        list_push(&o->link->quorum->replies, &o->ready);
        quorum_driver_wake(o->link->quorum);
        return OP_DONE;
    }
    IMPOSSIBLE("step");
}

static const struct op_kind quorum_call_kind = {"quorum_call", quorum_call_steps,
                                                COUNT_OF(quorum_call_steps), quorum_call_run, NULL};

void quorum_call_finish(struct quorum_call *call)
{
    call_release(&call->call);
    call->started = false;
    call->answered = false;
}

void quorum_call_drop(struct quorum_call *call)
{
    if (!call->started) return;
    if (op_live(&call->op)) op_cancel(&call->op);
    list_remove(&call->ready);
    call_cancel(&call->call);
    quorum_call_finish(call);
}

void quorum_call_prepare(struct quorum_link *link)
{
    for (uint32_t i = 0; i < QUORUM_KINDS; i++) {
        link->calls[i].link = link;
        link->calls[i].kind = (enum raft_request)i;
        list_init(&link->calls[i].ready);
    }
}

/* No way there is known: it fails, as if it had been lost. */
static void quorum_call_nowhere(struct quorum *quorum, const struct raft_effect *effect,
                                enum raft_request kind)
{
    struct quorum_call *call = &quorum->nowhere.calls[kind];

    quorum_call_drop(call);
    call_init(&call->call, API_FETCH);
    call->event = (struct raft_event){.kind = RAFT_SEND_FAILED,
                                      .peer = effect->peer,
                                      .round = effect->round,
                                      .request = kind,
                                      .err = ERR_NOT_FOUND};
    call->started = true;
    call->answered = true;
    list_push(&quorum->replies, &call->ready);
    quorum_driver_wake(quorum);
}

static enum raft_request quorum_call_kind_of(enum raft_effect_kind kind)
{
    if (kind == RAFT_SEND_VOTE) return RAFT_REQUEST_VOTE;
    if (kind == RAFT_SEND_BEGIN) return RAFT_REQUEST_BEGIN;
    if (kind == RAFT_SEND_END) return RAFT_REQUEST_END;
    return kind == RAFT_SEND_FETCH ? RAFT_REQUEST_FETCH : RAFT_REQUEST_SNAPSHOT;
}

void quorum_call_send(struct quorum *quorum, const struct raft_effect *effect)
{
    static const int16_t apis[] = {[RAFT_REQUEST_VOTE] = API_VOTE,
                                   [RAFT_REQUEST_BEGIN] = API_BEGIN_QUORUM_EPOCH,
                                   [RAFT_REQUEST_END] = API_END_QUORUM_EPOCH,
                                   [RAFT_REQUEST_FETCH] = API_FETCH,
                                   [RAFT_REQUEST_SNAPSHOT] = API_FETCH_SNAPSHOT};
    struct quorum_link *link = quorum_link_find(quorum, effect->peer);
    enum raft_request kind = quorum_call_kind_of(effect->kind);
    struct quorum_call *call;

    if (link == NULL) {
        quorum_call_nowhere(quorum, effect, kind);
        return;
    }
    call = &link->calls[kind];
    quorum_call_drop(call);
    call_init(&call->call, apis[kind]);
    call->call.timeout_ms = quorum->config.request_timeout_ms;
    call->round = effect->round;
    call->records = BYTES_NULL;
    switch (kind) {
    case RAFT_REQUEST_VOTE: quorum_call_vote(call, effect); break;
    case RAFT_REQUEST_BEGIN: quorum_call_begin(call, effect); break;
    case RAFT_REQUEST_END: quorum_call_end(call, effect); break;
    case RAFT_REQUEST_FETCH: quorum_call_fetch(call, effect); break;
    case RAFT_REQUEST_SNAPSHOT: quorum_call_snapshot(call, effect); break;
    }
    call->started = true;
    op_start(&quorum->env->loop, &call->op, &quorum_call_kind, CALL_SENT);
}

bool quorum_call_foreign(const struct quorum *quorum)
{
    uint32_t others = 0;
    uint32_t foreign = 0;

    for (uint32_t i = 0; i < QUORUM_LINKS_MAX; i++) {
        if (quorum->links[i].id == RAFT_NOBODY) continue;
        others++;
        if (quorum->links[i].foreign) foreign++;
    }
    return foreign > others / 2;
}

bool quorum_call_ends_out(const struct quorum *quorum)
{
    for (uint32_t i = 0; i < QUORUM_LINKS_MAX; i++) {
        const struct quorum_call *call = &quorum->links[i].calls[RAFT_REQUEST_END];

        if (call->started && !call->answered) return true;
    }
    return false;
}
