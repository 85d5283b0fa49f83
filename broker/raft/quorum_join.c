/* What a controller does for its own place among the voters (KIP-853), while it follows a leader,
 * every two fetch timeouts:
 *
 *   an observer, with controller.quorum.auto.join.enable   asks to be added; when a voter of its id
 *                                                          has another directory (our disk was
 *                                                          lost), first to have that one removed
 *   a voter whose address or versions are not as written   tells the leader (UpdateRaftVoter)
 *   a configured voter (kraft.version 0)                   tells each leader once who it is, so
 * that
 *                                                          the version can go to 1
 *
 * What came of it is seen in the log, and asked for again if nothing did. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"

static struct quorum_member join_self(const struct quorum *quorum)
{
    const struct quorum_config *config = &quorum->config;
    struct quorum_member member = {.id = -1};
    enum err err = quorum_voters_member(&member, config->node_id, config->directory_id,
                                        config->host, config->port);

    ASSERT(err == ERR_NONE); /* quorum_init() has looked */
    member.kraft_max = config->kraft_version_max;
    return member;
}

static void join_add(struct quorum *quorum)
{
    struct quorum_join *join = &quorum->join;
    const struct quorum_config *config = &quorum->config;
    struct add_raft_voter_request *add = &join->request.add;

    add_raft_voter_request_default(add);
    join->listener.add =
        (struct add_raft_voter_request_listener){config->listener_name, config->host, config->port};
    add->cluster_id = config->cluster_id;
    add->timeout_ms = config->request_timeout_ms;
    add->voter_id = config->node_id;
    add->voter_directory_id = config->directory_id;
    add->listeners = &join->listener.add;
    add->listeners_count = 1;
    add->ack_when_committed = false;
    join->api = API_ADD_RAFT_VOTER;
}

static void join_remove(struct quorum *quorum, struct uuid directory)
{
    struct remove_raft_voter_request *remove = &quorum->join.request.remove;

    remove_raft_voter_request_default(remove);
    remove->cluster_id = quorum->config.cluster_id;
    remove->voter_id = quorum->config.node_id;
    remove->voter_directory_id = directory;
    quorum->join.api = API_REMOVE_RAFT_VOTER;
}

static void join_update(struct quorum *quorum)
{
    struct quorum_join *join = &quorum->join;
    const struct quorum_config *config = &quorum->config;
    struct update_raft_voter_request *update = &join->request.update;

    update_raft_voter_request_default(update);
    join->listener.update = (struct update_raft_voter_request_listener){config->listener_name,
                                                                        config->host, config->port};
    update->cluster_id = config->cluster_id;
    update->current_leader_epoch = quorum->epoch;
    update->voter_id = config->node_id;
    update->voter_directory_id = config->directory_id;
    update->listeners = &join->listener.update;
    update->listeners_count = 1;
    update->kraft_version_feature.max_supported_version = config->kraft_version_max;
    join->api = API_UPDATE_RAFT_VOTER;
}

/* False: there is nothing to ask for. */
static bool join_wants(struct quorum *quorum)
{
    struct quorum_voters *voters = &quorum->voting.current;
    const struct quorum_member *own = quorum_voters_find(voters, quorum->config.node_id);
    struct quorum_member self;

    if (!quorum->config.may_join || quorum->raft.state != RAFT_FOLLOWER || quorum->storing)
        return false;
    self = join_self(quorum);
    if (voters->kraft_version == 0) {
        if (own == NULL || quorum->join.told_epoch == quorum->epoch) return false;
        join_update(quorum);
    } else if (own != NULL && uuid_equal(own->directory, self.directory)) {
        if (quorum_voters_same(own, &self)) return false;
        join_update(quorum);
    } else if (!quorum->config.auto_join || self.kraft_max < 1 || !quorum->raft.fetched_once) {
        return false;
    } else if (own != NULL) {
        join_remove(quorum, own->directory);
    } else {
        join_add(quorum);
    }
    return quorum_link_find(quorum, quorum->leader) != NULL;
}

static void join_send(struct quorum *quorum)
{
    struct quorum_join *join = &quorum->join;
    struct quorum_link *link = quorum_link_find(quorum, quorum->leader);

    call_init(&join->call, join->api);
    join->call.timeout_ms = quorum->config.request_timeout_ms;
    join->call.body = &join->request;
    peer_call(&link->peers[QUORUM_PEER_VOTES], &join->call);
}

/* Only of UpdateRaftVoter the answer says more than the log does. */
static void join_answered(struct quorum *quorum)
{
    struct quorum_join *join = &quorum->join;
    struct update_raft_voter_response response;

    if (join->call.result == ERR_NONE && join->api == API_UPDATE_RAFT_VOTER) {
        if (update_raft_voter_response_decode(&join->call.reader, join->call.version,
                                              &quorum->arena, &response) == ERR_NONE &&
            response.error_code == ERR_NONE)
            join->told_epoch = join->request.update.current_leader_epoch;
        arena_reset(&quorum->arena);
    }
    call_release(&join->call);
}

static int64_t join_period_ns(const struct quorum *quorum)
{
    return env_deadline(quorum->env, (int64_t)quorum->config.fetch_timeout_ms * 2);
}

enum join_step { JOIN_START, JOIN_PERIOD, JOIN_ANSWERED };
static const char *const join_steps[] = {"START", "PERIOD", "ANSWERED"};

static enum op_result join_run(struct op *op)
{
    struct quorum_join *o = CONTAINER_OF(op, struct quorum_join, op);
    struct quorum *q = CONTAINER_OF(o, struct quorum, join);

    switch ((enum join_step)op->step) {
    case JOIN_START:
        while (!quorum_over(q) && !q->stop_wanted) {
            op_deadline(op, join_period_ns(q));
            AWAIT(o, JOIN_PERIOD, &o->source, quorum_over(q) || q->stop_wanted || op_expired(op));
            op_deadline(op, OP_NO_DEADLINE);
            if (quorum_over(q) || q->stop_wanted) break;
            if (!join_wants(q)) continue;
            join_send(q);
            AWAIT(o, JOIN_ANSWERED, &o->call.done, call_done(&o->call));
            join_answered(q);
        }
        return OP_DONE;
    }
    IMPOSSIBLE("step of a join");
}

static void join_finish(struct op *op)
{
    struct quorum_join *join = CONTAINER_OF(op, struct quorum_join, op);

    op_wake(&CONTAINER_OF(join, struct quorum, join)->state_source);
}

static const struct op_kind join_kind = {"quorum_join", join_steps, COUNT_OF(join_steps), join_run,
                                         join_finish};

void quorum_join_start(struct quorum *quorum)
{
    quorum->join.told_epoch = -1;
    op_start(&quorum->env->loop, &quorum->join.op, &join_kind, JOIN_START);
}
