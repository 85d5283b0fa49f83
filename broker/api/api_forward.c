/* Requests that any broker takes and the active controller decides: settings, partitions,
 * elections. The decoded request goes on as this broker's own, at the newest version; the answer
 * comes back at the client's. A controller that turns out not to be active is asked for again until
 * the request's time is over. DIFFERS: Kafka wraps such requests into Envelope, which carries the
 * principal; there are no principals yet. CreateTopics and DeleteTopics: api_topics.c. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/add_raft_voter.h"
#include "wire/describe_quorum.h"
#include "wire/remove_raft_voter.h"
#include "wire/update_features.h"

enum { FORWARD_MARGIN_MS = 1000 }; /* the controller's own time-out comes first */

enum forward_step { FORWARD_START, FORWARD_LEADER, FORWARD_ANSWERED, FORWARD_BACKOFF };
static const char *const forward_steps[] = {"START", "LEADER", "ANSWERED", "BACKOFF"};

union forward_body {
    struct incremental_alter_configs_request incremental;
    struct alter_configs_request replace;
    struct create_partitions_request partitions;
    struct alter_partition_reassignments_request reassign;
    struct list_partition_reassignments_request reassigning;
    struct unregister_broker_request unregister;
    struct elect_leaders_request elect;
    struct describe_quorum_request quorum;
    struct add_raft_voter_request add_voter;
    struct remove_raft_voter_request remove_voter;
    struct update_features_request features;
};
union forward_answer {
    struct incremental_alter_configs_response incremental;
    struct alter_configs_response replace;
    struct create_partitions_response partitions;
    struct alter_partition_reassignments_response reassign;
    struct list_partition_reassignments_response reassigning;
    struct unregister_broker_response unregister;
    struct elect_leaders_response elect;
    struct describe_quorum_response quorum;
    struct add_raft_voter_response add_voter;
    struct remove_raft_voter_response remove_voter;
    struct update_features_response features;
};

struct forward {
    struct op op;
    struct request *request;
    struct call call;
    const struct api_entry *entry;
    int64_t give_up_ns;
    union forward_body body;
    union forward_answer answer;
};

static int32_t forward_timeout_ms(const struct forward *o)
{
    int32_t usual_ms = (int32_t)o->request->node->config.request_timeout_ms;

    if (o->entry->key == API_CREATE_PARTITIONS) return o->body.partitions.timeout_ms;
    if (o->entry->key == API_ELECT_LEADERS) return o->body.elect.timeout_ms;
    if (o->entry->key == API_UPDATE_FEATURES) return o->body.features.timeout_ms;
    if (o->entry->key == API_ADD_RAFT_VOTER) return o->body.add_voter.timeout_ms;
    if (o->entry->key == API_ALTER_PARTITION_REASSIGNMENTS) return o->body.reassign.timeout_ms;
    if (o->entry->key == API_LIST_PARTITION_REASSIGNMENTS) return o->body.reassigning.timeout_ms;
    return usual_ms;
}

/* The answer is that of a node that does not lead the quorum. */
static bool forward_astray(const struct forward *o)
{
    const union forward_answer *answer = &o->answer;

    switch (o->entry->key) {
    case API_INCREMENTAL_ALTER_CONFIGS:
        return answer->incremental.responses_count > 0 &&
               answer->incremental.responses[0].error_code == ERR_NOT_CONTROLLER;
    case API_ALTER_CONFIGS:
        return answer->replace.responses_count > 0 &&
               answer->replace.responses[0].error_code == ERR_NOT_CONTROLLER;
    case API_CREATE_PARTITIONS:
        return answer->partitions.results_count > 0 &&
               answer->partitions.results[0].error_code == ERR_NOT_CONTROLLER;
    case API_ALTER_PARTITION_REASSIGNMENTS:
        return answer->reassign.error_code == ERR_NOT_CONTROLLER;
    case API_LIST_PARTITION_REASSIGNMENTS:
        return answer->reassigning.error_code == ERR_NOT_CONTROLLER;
    case API_UNREGISTER_BROKER: return answer->unregister.error_code == ERR_NOT_CONTROLLER;
    case API_ELECT_LEADERS: return answer->elect.error_code == ERR_NOT_CONTROLLER;
    /* Who is told so now may have been the leader that wrote the change: asked again it says what
     * became of it (DUPLICATE_VOTER, VOTER_NOT_FOUND). */
    case API_UPDATE_FEATURES: return answer->features.error_code == ERR_NOT_CONTROLLER;
    case API_ADD_RAFT_VOTER: return answer->add_voter.error_code == ERR_NOT_LEADER_OR_FOLLOWER;
    case API_REMOVE_RAFT_VOTER:
        return answer->remove_voter.error_code == ERR_NOT_LEADER_OR_FOLLOWER;
    case API_DESCRIBE_QUORUM:
        return answer->quorum.error_code == ERR_NOT_LEADER_OR_FOLLOWER ||
               (answer->quorum.topics_count > 0 && answer->quorum.topics[0].partitions_count > 0 &&
                answer->quorum.topics[0].partitions[0].error_code == ERR_NOT_LEADER_OR_FOLLOWER);
    default: IMPOSSIBLE("api.c names this handler for these apis only");
    }
}

/* What a client can read when the controller could not be asked in time. */
static void forward_fail(struct forward *o, enum err err)
{
    struct arena *arena = &o->request->arena;

    switch (o->entry->key) {
    case API_INCREMENTAL_ALTER_CONFIGS:
        controller_answer_incremental(&o->body.incremental, &o->answer.incremental, err, arena);
        return;
    case API_ALTER_CONFIGS:
        controller_answer_replace(&o->body.replace, &o->answer.replace, err, arena);
        return;
    case API_CREATE_PARTITIONS:
        controller_answer_partitions(&o->body.partitions, &o->answer.partitions, err, arena);
        return;
    case API_ALTER_PARTITION_REASSIGNMENTS:
        alter_partition_reassignments_response_default(&o->answer.reassign);
        o->answer.reassign.error_code = (int16_t)err;
        return;
    case API_LIST_PARTITION_REASSIGNMENTS:
        list_partition_reassignments_response_default(&o->answer.reassigning);
        o->answer.reassigning.error_code = (int16_t)err;
        return;
    case API_UNREGISTER_BROKER:
        unregister_broker_response_default(&o->answer.unregister);
        o->answer.unregister.error_code = (int16_t)err;
        return;
    case API_ELECT_LEADERS:
        controller_answer_elect(&o->body.elect, &o->answer.elect, err, o->request->version, arena);
        return;
    case API_DESCRIBE_QUORUM:
        describe_quorum_response_default(&o->answer.quorum);
        o->answer.quorum.error_code = (int16_t)err;
        return;
    case API_UPDATE_FEATURES:
        update_features_response_default(&o->answer.features);
        o->answer.features.error_code = (int16_t)err;
        o->answer.features.error_message = STR_NULL;
        return;
    case API_ADD_RAFT_VOTER:
        add_raft_voter_response_default(&o->answer.add_voter);
        o->answer.add_voter.error_code = (int16_t)err;
        return;
    case API_REMOVE_RAFT_VOTER:
        remove_raft_voter_response_default(&o->answer.remove_voter);
        o->answer.remove_voter.error_code = (int16_t)err;
        return;
    default: IMPOSSIBLE("api.c names this handler for these apis only");
    }
}

/* The newest form says more plainly how a feature may go down. */
static void forward_newest(struct forward *o)
{
    struct update_features_request *features = &o->body.features;

    if (o->entry->key != API_UPDATE_FEATURES || o->request->version > 0) return;
    for (uint32_t i = 0; i < features->feature_updates_count; i++) {
        features->feature_updates[i].upgrade_type =
            features->feature_updates[i].allow_downgrade ? 2 : 1;
        features->feature_updates[i].allow_downgrade = false;
    }
}

/* UpdateFeatures 0 and 1 tell what became of each feature, when nothing is wrong with the whole. */
static void forward_results(struct forward *o)
{
    const struct update_features_request *request = &o->body.features;
    struct update_features_response *response = &o->answer.features;
    uint32_t count = request->feature_updates_count;

    if (response->error_code != ERR_NONE || count == 0) return;
    response->results = arena_zalloc(&o->request->arena, count * sizeof *response->results);
    if (response->results == NULL) return;
    for (uint32_t i = 0; i < count; i++) {
        response->results[i].feature = request->feature_updates[i].feature;
        response->results[i].error_message = STR_NULL;
    }
    response->results_count = count;
}

/* ElectLeaders 0 has no error at the top. */
static void forward_fit(struct forward *o)
{
    enum err err;

    if (o->entry->key == API_UPDATE_FEATURES && o->request->version <= 1) forward_results(o);
    if (o->entry->key != API_ELECT_LEADERS || o->request->version > 0) return;
    err = err_from_wire(o->answer.elect.error_code);
    if (err != ERR_NONE) forward_fail(o, err);
}

static bool forward_decoded(struct forward *o)
{
    return o->call.result == ERR_NONE &&
           o->entry->response->decode(&o->call.reader, o->call.version, &o->request->arena,
                                      &o->answer) == ERR_NONE;
}

static void forward_send(struct forward *o, struct peer *peer)
{
    call_init(&o->call, o->entry->key);
    o->call.body = &o->body;
    o->call.version_min = o->entry->served.last; /* the controller is one of ours */
    peer_call(peer, &o->call);
}

static enum op_result forward_run(struct op *op)
{
    struct forward *o = CONTAINER_OF(op, struct forward, op);
    struct channel *channel = &o->request->node->channel;

    switch ((enum forward_step)op->step) {
    case FORWARD_START:
        for (;;) {
            op_deadline(op, o->give_up_ns);
            AWAIT(o, FORWARD_LEADER, &channel->changed,
                  channel_peer(channel) != NULL || op_expired(op) ||
                      node_stopping(o->request->node));
            if (op_expired(op) || node_stopping(o->request->node)) break;
            forward_send(o, channel_peer(channel));
            AWAIT(o, FORWARD_ANSWERED, &o->call.done, call_done(&o->call));
            if (forward_decoded(o) && !forward_astray(o)) {
                forward_fit(o);
                request_reply(o->request, &o->answer);
                call_release(&o->call);
                return OP_DONE;
            }
            call_release(&o->call);
            if (o->request->env->now.mono.ns >= o->give_up_ns) break;
            op_deadline(op, env_deadline(o->request->env, CHANNEL_BACKOFF_MS));
            AWAIT(o, FORWARD_BACKOFF, NULL, op_expired(op));
        }
        forward_fail(o, ERR_REQUEST_TIMED_OUT);
        request_reply(o->request, &o->answer);
        return OP_DONE;
    }
    IMPOSSIBLE("step of a forwarded request");
}

static void forward_finish(struct op *op)
{
    request_finish(CONTAINER_OF(op, struct forward, op)->request);
}

static const struct op_kind forward_kind = {"forward", forward_steps, COUNT_OF(forward_steps),
                                            forward_run, forward_finish};

void api_forward_handle(struct request *request)
{
    struct forward *o = request_alloc(request, sizeof *o);
    int32_t timeout_ms;

    if (o == NULL) {
        request_abandon(request, ERR_NO_MEMORY);
        return;
    }
    if (request_decode(request, &o->body) != ERR_NONE) return;
    o->request = request;
    o->entry = api_find(request->header.request_api_key);
    forward_newest(o);
    timeout_ms = forward_timeout_ms(o);
    if (timeout_ms < 0) timeout_ms = 0;
    o->give_up_ns = env_deadline(request->env, (int64_t)timeout_ms + FORWARD_MARGIN_MS);
    op_start(&request->env->loop, &o->op, &forward_kind, FORWARD_START);
}
