/* What is answered at once, without the machine: DescribeQuorum. */
#include "broker/raft/quorum_internal.h"

#include "client/base/assert.h"

/* With another directory it is an observer of the same id. */
static bool quorum_describe_is(const struct raft *raft, uint32_t place,
                               const struct quorum_replica *replica)
{
    struct uuid directory = raft->set.directories[place];

    return raft->set.ids[place] == replica->id &&
           (uuid_is_zero(directory) || uuid_equal(directory, replica->directory));
}

static struct describe_quorum_response_replica_state *
quorum_describe_states(struct quorum *quorum, struct arena *arena, bool voters, uint32_t *count)
{
    const struct raft *raft = &quorum->raft;
    size_t room = voters ? raft->set.count + 1 : COUNT_OF(quorum->replicas);
    struct describe_quorum_response_replica_state *states =
        arena_alloc(arena, room * sizeof *states);

    *count = 0;
    if (states == NULL) return NULL;
    for (uint32_t i = 0; voters && i < raft->set.count; i++) {
        struct describe_quorum_response_replica_state *state = &states[(*count)++];

        describe_quorum_response_replica_state_default(state);
        state->replica_id = raft->set.ids[i];
        state->replica_directory_id = raft->set.directories[i];
        state->log_end_offset = raft->voters[i].end_offset;
        if (i == raft->self) {
            state->replica_directory_id = raft->config.directory_id;
            state->log_end_offset = raft->log_end;
            state->last_caught_up_timestamp = quorum->env->now.wall.ms;
        }
    }
    for (uint32_t i = 0; i < COUNT_OF(quorum->replicas); i++) {
        const struct quorum_replica *replica = &quorum->replicas[i];
        struct describe_quorum_response_replica_state *state = NULL;
        int64_t silent_ms = mono_ms_between(replica->last_fetch.mono, quorum->env->now.mono);

        if (!replica->used || replica->id < 0) continue; /* who only reads is no replica */
        for (uint32_t j = 0; j < *count && voters; j++) {
            if (quorum_describe_is(raft, j, replica)) state = &states[j];
        }
        if (!voters && silent_ms <= QUORUM_OBSERVER_MS) {
            bool voter = false;

            for (uint32_t j = 0; j < raft->set.count; j++) {
                voter = voter || quorum_describe_is(raft, j, replica);
            }
            if (!voter) {
                state = &states[(*count)++];
                describe_quorum_response_replica_state_default(state);
                state->replica_id = replica->id;
                state->log_end_offset = replica->log_end;
            }
        }
        if (state == NULL) continue;
        state->replica_directory_id = replica->directory;
        state->last_fetch_timestamp = replica->last_fetch.wall.ms;
        state->last_caught_up_timestamp = replica->caught_up.ms;
    }
    return states;
}

static enum err quorum_describe_nodes(struct quorum *quorum, struct arena *arena,
                                      struct describe_quorum_response *response)
{
    const struct quorum_voters *voters = &quorum->voting.current;
    uint32_t count = voters->count;
    struct describe_quorum_response_node *nodes = arena_alloc(arena, (count + 1) * sizeof *nodes);
    struct describe_quorum_response_listener *listeners =
        arena_alloc(arena, (count + 1) * sizeof *listeners);

    if (nodes == NULL || listeners == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        const struct quorum_member *member = &voters->members[i];

        listeners[i] = (struct describe_quorum_response_listener){
            quorum->config.listener_name, str_of(member->host), member->port};
        nodes[i] = (struct describe_quorum_response_node){member->id, &listeners[i], 1};
    }
    response->nodes = nodes;
    response->nodes_count = count;
    return ERR_NONE;
}

enum err quorum_describe(struct quorum *quorum, const struct describe_quorum_request *request,
                         struct arena *arena, struct describe_quorum_response *response)
{
    bool one = request->topics_count == 1 && request->topics[0].partitions_count == 1;
    bool known = one && str_equal(request->topics[0].topic_name, QUORUM_TOPIC) &&
                 request->topics[0].partitions[0].partition_index == 0;
    bool leads = quorum->state == QUORUM_RUNNING && quorum->append_epoch >= 0 &&
                 quorum_leads(quorum, quorum->append_epoch);
    struct describe_quorum_response_topic *topic = arena_zalloc(arena, sizeof *topic);
    struct describe_quorum_response_partition *part = arena_alloc(arena, sizeof *part);

    if (topic == NULL || part == NULL) return ERR_NO_MEMORY;
    describe_quorum_response_default(response);
    describe_quorum_response_partition_default(part);
    if (!one) {
        response->error_code = ERR_INVALID_REQUEST;
        return ERR_NONE;
    }
    *topic = (struct describe_quorum_response_topic){request->topics[0].topic_name, part, 1};
    response->topics = topic;
    response->topics_count = 1;
    part->partition_index = request->topics[0].partitions[0].partition_index;
    part->leader_id = quorum->leader;
    part->leader_epoch = quorum->epoch;
    part->high_watermark = -1;
    if (!known) {
        part->error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
    } else if (!leads) {
        part->error_code = ERR_NOT_LEADER_OR_FOLLOWER;
    } else {
        part->high_watermark = raft_leader_hw(&quorum->raft);
        part->current_voters =
            quorum_describe_states(quorum, arena, true, &part->current_voters_count);
        part->observers = quorum_describe_states(quorum, arena, false, &part->observers_count);
        if (part->current_voters == NULL || part->observers == NULL) return ERR_NO_MEMORY;
    }
    return quorum_describe_nodes(quorum, arena, response);
}
