/* The group's offsets: where partitions begin (OffsetFetch), and how far they are (OffsetCommit).
 * A commit is sent with the generation it was begun in, or not at all: after a rebalance its
 * partitions may be somebody else's (groups.md 11, G8). */
#include "client/membership.h"

#include <string.h>

enum {
    STATIC_COMMIT_FROM = 7,
    COMMIT_TO = 8,
    EPOCH_COMMIT = 9,
    FETCH_TO = 7,
    FETCH_BY_MEMBER = 9,
    COMMIT_AGAIN_FACTOR = 2
};

static struct consumer_partition *partition_of(struct list *link)
{
    return LIST_ENTRY(link, struct consumer_partition, link);
}

static void trace_offset(struct membership *member, struct str topic, int32_t partition,
                         int64_t offset, int32_t generation, int64_t what, enum err err)
{
    const int64_t fields[] = {partition, offset, generation,
                              what,      err,    member->env->world->node_id};

    membership_trace_partition(member, TRACE_CLIENT_OFFSET, topic, fields, COUNT_OF(fields));
}

void membership_snapshot(struct membership *member)
{
    LIST_FOR_EACH (link, &member->consumer->partitions) {
        struct consumer_partition *partition = partition_of(link);

        if (partition->position < 0 ||
            (partition->state != CONSUMER_FETCHING && partition->state != CONSUMER_VALIDATING))
            continue;
        partition->consumed = partition->position;
        partition->consumed_epoch = partition->position_epoch;
    }
}

/* ---- a commit ------------------------------------------------------------------------------- */

void membership_commit_init(struct membership_commit *commit, struct membership *member)
{
    *commit = (struct membership_commit){.member = member, .generation = member->generation};
    op_source_init(&commit->done);
    list_init(&commit->link);
    arena_init(&commit->arena, &member->env->mem, MEMBERSHIP_COMMIT_MAX);
    offset_commit_request_default(&commit->body);
}

void membership_commit_deinit(struct membership_commit *commit)
{
    ASSERT(!list_linked(&commit->link) && !op_live(&commit->call.op));
    call_release(&commit->call.call);
    arena_deinit(&commit->arena);
}

/* Arrays grow by doubling: at a power of two there is no room left. */
static void *grown(struct arena *arena, const void *old, uint32_t count, size_t size)
{
    void *more;

    if (count != 0 && (count & (count - 1)) != 0) return NULL;
    more = arena_alloc(arena, (count == 0 ? 1 : count * 2) * size);
    if (more != NULL && count > 0) memcpy(more, old, count * size);
    return more;
}

static bool full(uint32_t count)
{
    return count == 0 || (count & (count - 1)) == 0;
}

static struct str copied(struct arena *arena, struct str text)
{
    char *bytes = arena_alloc(arena, text.length);

    if (bytes == NULL) return STR_NULL;
    if (text.length > 0) memcpy(bytes, text.data, text.length);
    return (struct str){bytes, text.length};
}

static struct offset_commit_request_topic *commit_topic(struct membership_commit *commit,
                                                        struct str name)
{
    struct offset_commit_request *body = &commit->body;
    struct offset_commit_request_topic *topic;

    for (uint32_t i = body->topics_count; i-- > 0;)
        if (str_equal(body->topics[i].name, name)) return &body->topics[i];
    if (full(body->topics_count)) {
        void *more = grown(&commit->arena, body->topics, body->topics_count, sizeof *body->topics);

        if (more == NULL) return NULL;
        body->topics = more;
    }
    topic = &body->topics[body->topics_count];
    offset_commit_request_topic_default(topic);
    topic->name = copied(&commit->arena, name);
    if (topic->name.data == NULL) return NULL;
    body->topics_count++;
    return topic;
}

enum err membership_commit_add(struct membership_commit *commit, struct str name, int32_t partition,
                               int64_t offset, int32_t epoch, struct str metadata)
{
    struct offset_commit_request_topic *topic = commit_topic(commit, name);
    struct offset_commit_request_partition *one;

    if (topic == NULL) return ERR_NO_MEMORY;
    if (full(topic->partitions_count)) {
        void *more = grown(&commit->arena, topic->partitions, topic->partitions_count,
                           sizeof *topic->partitions);

        if (more == NULL) return ERR_NO_MEMORY;
        topic->partitions = more;
    }
    one = &topic->partitions[topic->partitions_count];
    offset_commit_request_partition_default(one);
    one->partition_index = partition;
    one->committed_offset = offset;
    one->committed_leader_epoch = epoch;
    one->committed_metadata = metadata.data != NULL ? copied(&commit->arena, metadata) : STR("");
    if (one->committed_metadata.data == NULL) return ERR_NO_MEMORY;
    topic->partitions_count++;
    return ERR_NONE;
}

static enum err add_positions(struct membership_commit *commit, bool only_news)
{
    enum err err = ERR_NONE;

    LIST_FOR_EACH (link, &commit->member->consumer->partitions) {
        const struct consumer_partition *partition = partition_of(link);

        if (partition->consumed < 0) continue;
        if (only_news && partition->consumed == partition->committed) continue;
        err = membership_commit_add(commit, metadata_name(partition->topic), partition->index,
                                    partition->consumed, partition->consumed_epoch, STR_NULL);
        if (err != ERR_NONE) break;
    }
    return err;
}

enum err membership_commit_positions(struct membership_commit *commit)
{
    membership_snapshot(commit->member);
    return add_positions(commit, false);
}

static void commit_finish(struct membership_commit *commit, enum err err)
{
    struct membership *member = commit->member;

    list_remove(&commit->link);
    commit->result = err;
    commit->finished = true;
    op_wake(&commit->done);
    op_wake(&member->consumer->ready);
    membership_kick(member);
}

static void own_finish(struct membership *member)
{
    if (!member->own_used || !member->own.finished || op_live(&member->own.call.op)) return;
    membership_commit_deinit(&member->own);
    member->own_used = false;
}

/* ---- its answer ----------------------------------------------------------------------------- */

static void commit_acked(struct membership *member, struct str topic,
                         const struct offset_commit_request_partition *asked)
{
    struct consumer_partition *partition =
        consumer_find(member->consumer, topic, asked->partition_index);

    if (partition != NULL) partition->committed = asked->committed_offset;
}

/* The first thing that went wrong; what was acknowledged is noted. */
static enum err commit_judge(struct membership_commit *commit,
                             const struct offset_commit_response *response)
{
    struct membership *member = commit->member;
    const struct offset_commit_request *body = &commit->body;
    enum err first = ERR_NONE;

    if (response->topics_count != body->topics_count) return ERR_MALFORMED;
    for (uint32_t t = 0; t < body->topics_count; t++) {
        const struct offset_commit_request_topic *topic = &body->topics[t];

        if (response->topics[t].partitions_count != topic->partitions_count) return ERR_MALFORMED;
        for (uint32_t p = 0; p < topic->partitions_count; p++) {
            const struct offset_commit_request_partition *asked = &topic->partitions[p];
            enum err err = err_from_wire(response->topics[t].partitions[p].error_code);

            if (response->topics[t].partitions[p].partition_index != asked->partition_index)
                return ERR_MALFORMED;
            trace_offset(member, topic->name, asked->partition_index, asked->committed_offset,
                         commit->generation, MEMBERSHIP_COMMIT_ANSWERED, err);
            if (err == ERR_NONE) {
                commit_acked(member, topic->name, asked);
            } else if (first == ERR_NONE) {
                first = err;
            }
        }
    }
    return first;
}

/* True: the same again may help. */
static bool commit_failed(struct membership_commit *commit, enum err err)
{
    struct membership *member = commit->member;
    bool current = commit->generation == member->generation && commit->generation >= 0;

    TRACE(member->env->world, CLIENT_ERROR, API_OFFSET_COMMIT, err, 0, -1);
    switch (err) {
    case ERR_REQUEST_TIMED_OUT: membership_lose_coordinator(member); return true;
    case ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case ERR_STALE_MEMBER_EPOCH: /* the next heartbeat tells the present one */
    case ERR_UNKNOWN_TOPIC_OR_PARTITION: return true;
    case ERR_UNKNOWN_MEMBER_ID:
        if (current) membership_reset(member, true, err);
        return false;
    case ERR_ILLEGAL_GENERATION:
        if (current) membership_reset(member, false, err);
        return false;
    case ERR_REBALANCE_IN_PROGRESS:
        if (current && member->state == MEMBERSHIP_STABLE) member->rejoin = true;
        return false;
    case ERR_FENCED_INSTANCE_ID:
        if (current) membership_fail(member, err);
        return false;
    default: break;
    }
    if (!membership_coordinator_gone(err)) return false;
    membership_lose_coordinator(member);
    return true;
}

static void committed(struct membership_commit *commit)
{
    struct call *call = &commit->call.call;
    struct membership *member = commit->member;
    struct offset_commit_response response;
    enum err err = call->result;

    commit->in_flight = false;
    if (err == ERR_NONE) {
        arena_reset(&member->offsets_arena);
        err = offset_commit_response_decode(&call->reader, call->version, &member->offsets_arena,
                                            &response);
        if (err == ERR_NONE) err = commit_judge(commit, &response);
        arena_reset(&member->offsets_arena);
        if (err == ERR_NONE) member->failures = 0;
    }
    call_release(call);
    if (err == ERR_NONE || !commit_failed(commit, err) || !commit->again) {
        commit_finish(commit, err);
        return;
    }
    commit->attempts++;
    commit->retry_at_ns = env_deadline(
        member->env, metadata_backoff_ms(&member->consumer->metadata, commit->attempts));
}

/* The calls of all commits come here; theirs is the one that is done. */
static void commit_answered(struct membership *member)
{
    LIST_FOR_EACH_SAFE (link, after, &member->commits) {
        struct membership_commit *commit = LIST_ENTRY(link, struct membership_commit, link);

        if (commit->in_flight && call_done(&commit->call.call)) committed(commit);
    }
}

/* ---- sending -------------------------------------------------------------------------------- */

static void commit_send(struct membership_commit *commit)
{
    struct membership *member = commit->member;
    struct offset_commit_request *body = &commit->body;

    body->group_id = member->config.group_id;
    body->generation_id_or_member_epoch = commit->generation;
    body->member_id = commit->generation >= 0 ? membership_id(member) : STR("");
    body->group_instance_id = commit->generation >= 0 ? membership_instance(member) : STR_NULL;
    membership_call_init(&commit->call, API_OFFSET_COMMIT, body);
    commit->call.call.version_max = COMMIT_TO;
    if (membership_is_consumer(member) && commit->generation >= 0) {
        commit->call.call.version_min = EPOCH_COMMIT;
        commit->call.call.version_max = EPOCH_COMMIT;
    } else if (body->group_instance_id.data != NULL)
        commit->call.call.version_min = STATIC_COMMIT_FROM;
    commit->in_flight = true;
    for (uint32_t t = 0; t < body->topics_count; t++)
        for (uint32_t p = 0; p < body->topics[t].partitions_count; p++)
            trace_offset(member, body->topics[t].name,
                         body->topics[t].partitions[p].partition_index,
                         body->topics[t].partitions[p].committed_offset, commit->generation,
                         MEMBERSHIP_COMMIT_SENT, ERR_NONE);
    membership_ask(member, &commit->call, &member->peer, member->config.request_timeout_ms,
                   commit_answered);
}

static void commit_turn(struct membership_commit *commit)
{
    struct membership *member = commit->member;
    int64_t now_ns = member->env->now.mono.ns;

    if (commit->in_flight || op_live(&commit->call.op)) return;
    /* The epoch goes up also when nothing changes hands: then the commit goes along (KIP-848). */
    if (membership_is_consumer(member) && member->managed && commit->round == member->round &&
        commit->generation >= 0 && member->generation >= 0)
        commit->generation = member->generation;
    if (member->managed && commit->generation != member->generation) {
        commit_finish(commit, ERR_ILLEGAL_GENERATION);
    } else if (member->managed && commit->generation < 0) {
        commit_finish(commit, ERR_UNKNOWN_MEMBER_ID);
    } else if (now_ns >= commit->deadline_ns) {
        commit_finish(commit, ERR_TIMED_OUT);
    } else if (now_ns >= commit->retry_at_ns && membership_find(member)) {
        commit_send(commit);
    }
}

void membership_commit_start(struct membership_commit *commit, bool again)
{
    struct membership *member = commit->member;

    ASSERT(!list_linked(&commit->link) && !commit->finished);
    commit->again = again;
    commit->generation = member->generation;
    commit->round = member->round;
    commit->deadline_ns =
        env_deadline(member->env, (int64_t)member->config.request_timeout_ms * COMMIT_AGAIN_FACTOR);
    list_push(&member->commits, &commit->link);
    if (commit->body.topics_count == 0) commit_finish(commit, ERR_NONE);
    membership_kick(member);
}

void membership_auto_commit(struct membership *member, bool again, int64_t deadline_ns)
{
    member->commit_at_ns = env_deadline(member->env, member->config.commit_interval_ms);
    if (member->own_used || (member->managed && member->generation < 0)) return;
    membership_commit_init(&member->own, member);
    if (add_positions(&member->own, true) != ERR_NONE || member->own.body.topics_count == 0) {
        membership_commit_deinit(&member->own); /* nothing to say, or no room: the next time */
        return;
    }
    member->own_used = true;
    membership_commit_start(&member->own, again);
    if (deadline_ns < member->own.deadline_ns) member->own.deadline_ns = deadline_ns;
}

/* ---- where to begin ------------------------------------------------------------------------- */

/* Without the topic's metadata nothing could be fetched, and its id, the name of the position in
 * traces, is not known. */
static bool begins(const struct consumer_partition *partition)
{
    return partition->state == CONSUMER_WAITING && !partition->fresh && !partition->revoking &&
           partition->topic->partitions_count > 0;
}

bool membership_offsets_wanted(const struct membership *member)
{
    if (member->state >= MEMBERSHIP_FAILED) return false;
    LIST_FOR_EACH (link, &member->consumer->partitions)
        if (begins(partition_of(link))) return true;
    return false;
}

static enum err offsets_write(struct membership *member)
{
    struct offset_fetch_request *body = &member->offsets_body;
    struct arena *arena = &member->fetch_arena;
    uint32_t count = member->consumer->partitions_count;

    offset_fetch_request_default(body);
    body->group_id = member->config.group_id;
    body->require_stable = true;
    body->topics = arena_zalloc(arena, count * sizeof *body->topics);
    if (body->topics == NULL) return ERR_NO_MEMORY;
    LIST_FOR_EACH (link, &member->consumer->partitions) {
        const struct consumer_partition *partition = partition_of(link);
        struct offset_fetch_request_topic *topic = &body->topics[body->topics_count];
        int32_t *index;

        if (!begins(partition)) continue;
        index = arena_alloc(arena, sizeof *index);
        if (index == NULL) return ERR_NO_MEMORY;
        *index = partition->index;
        *topic = (struct offset_fetch_request_topic){
            .name = metadata_name(partition->topic),
            .partition_indexes = index,
            .partition_indexes_count = 1,
        };
        body->topics_count++;
    }
    return ERR_NONE;
}

/* Version 9, the form that says who asks and at which epoch (KIP-848): a member that was fenced
 * without knowing is not told where to begin. */
static enum err offsets_name_member(struct membership *member)
{
    struct offset_fetch_request *body = &member->offsets_body;
    struct arena *arena = &member->fetch_arena;
    struct offset_fetch_request_group *group = arena_alloc(arena, sizeof *group);

    if (group == NULL) return ERR_NO_MEMORY;
    offset_fetch_request_group_default(group);
    group->group_id = member->config.group_id;
    group->member_id = membership_id(member);
    group->member_epoch = member->generation;
    group->topics = arena_alloc(arena, body->topics_count * sizeof *group->topics);
    if (group->topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < body->topics_count; i++)
        group->topics[i] = (struct offset_fetch_request_group_topic){
            .name = body->topics[i].name,
            .partition_indexes = body->topics[i].partition_indexes,
            .partition_indexes_count = body->topics[i].partition_indexes_count,
        };
    group->topics_count = body->topics_count;
    offset_fetch_request_default(body); /* this form has no other place for them */
    body->groups = group;
    body->groups_count = 1;
    body->require_stable = true;
    return ERR_NONE;
}

static void offsets_again(struct membership *member, enum err err)
{
    member->offsets_failures++;
    member->offsets_at_ns = env_deadline(
        member->env, metadata_backoff_ms(&member->consumer->metadata, member->offsets_failures));
    TRACE(member->env->world, CLIENT_ERROR, API_OFFSET_FETCH, err, 0, -1);
    if (membership_coordinator_gone(err)) membership_lose_coordinator(member);
}

typedef struct offset_fetch_response_partition answered_partition;

static enum err take_offset(struct membership *member, struct str topic,
                            const answered_partition *answer)
{
    struct consumer_partition *partition =
        consumer_find(member->consumer, topic, answer->partition_index);
    enum err err = err_from_wire(answer->error_code);

    if (partition == NULL || !begins(partition)) return ERR_NONE;
    trace_offset(member, topic, answer->partition_index, answer->committed_offset,
                 member->generation, MEMBERSHIP_OFFSET_FETCHED, err);
    if (err != ERR_NONE && err_retry(err) != ERR_FINAL && err != ERR_UNKNOWN_TOPIC_OR_PARTITION)
        return err;
    if (err != ERR_NONE) {
        consumer_fail(partition, err);
    } else if (answer->committed_offset >= 0) {
        partition->committed = answer->committed_offset;
        consumer_continue(partition, answer->committed_offset, answer->committed_leader_epoch);
    } else {
        consumer_reset(partition, ERR_OFFSET_OUT_OF_RANGE);
    }
    return ERR_NONE;
}

/* What went wrong with one of them, or none. */
static enum err take_one(struct membership *member, const struct offset_fetch_response *response)
{
    enum err err = ERR_NONE;

    for (uint32_t t = 0; t < response->topics_count; t++) {
        for (uint32_t p = 0; p < response->topics[t].partitions_count; p++) {
            enum err one =
                take_offset(member, response->topics[t].name, &response->topics[t].partitions[p]);

            if (one != ERR_NONE) err = one;
        }
    }
    return err;
}

static enum err take_group(struct membership *member,
                           const struct offset_fetch_response_group *group)
{
    enum err err = ERR_NONE;

    for (uint32_t t = 0; t < group->topics_count; t++) {
        for (uint32_t p = 0; p < group->topics[t].partitions_count; p++) {
            const struct offset_fetch_response_group_topic_partition *from =
                &group->topics[t].partitions[p];
            const answered_partition answer = {.partition_index = from->partition_index,
                                               .committed_offset = from->committed_offset,
                                               .committed_leader_epoch =
                                                   from->committed_leader_epoch,
                                               .error_code = from->error_code};
            enum err one = take_offset(member, group->topics[t].name, &answer);

            if (one != ERR_NONE) err = one;
        }
    }
    return err;
}

static enum err take_fetched(struct membership *member,
                             const struct offset_fetch_response *response, bool named)
{
    const struct offset_fetch_response_group *group = response->groups;
    bool current = member->round == member->offsets_round;
    enum err err;

    if (named && response->groups_count != 1) return ERR_MALFORMED;
    err = err_from_wire(named ? group->error_code : response->error_code);
    if (err != ERR_NONE || !current) return err;
    return named ? take_group(member, group) : take_one(member, response);
}

/* Its epoch is another by now, or it is no member any more: the next heartbeat tells. */
static bool of_old_epoch(enum err err)
{
    return err == ERR_STALE_MEMBER_EPOCH || err == ERR_UNKNOWN_MEMBER_ID;
}

static void fetched(struct membership *member)
{
    struct call *call = &member->offsets.call;
    struct offset_fetch_response response;
    enum err err = call->result;

    arena_reset(&member->offsets_arena);
    if (err == ERR_NONE)
        err = offset_fetch_response_decode(&call->reader, call->version, &member->offsets_arena,
                                           &response);
    if (err == ERR_NONE) err = take_fetched(member, &response, call->version >= FETCH_BY_MEMBER);
    call_release(call);
    arena_reset(&member->offsets_arena);
    if (err == ERR_NONE) {
        member->offsets_failures = 0;
    } else if (err_is_wire(err) && err_retry(err) == ERR_FINAL && !of_old_epoch(err)) {
        membership_fail(member, err);
    } else {
        offsets_again(member, err);
    }
}

static void offsets_send(struct membership *member)
{
    bool by_member = membership_is_consumer(member) && member->managed && member->generation >= 0;
    enum err err;

    membership_call_init(&member->offsets, API_OFFSET_FETCH, &member->offsets_body);
    arena_reset(&member->fetch_arena);
    err = offsets_write(member);
    if (err == ERR_NONE && by_member) err = offsets_name_member(member);
    if (err != ERR_NONE) {
        offsets_again(member, ERR_COORDINATOR_LOAD_IN_PROGRESS); /* no room: later */
        return;
    }
    member->offsets.call.version_max = FETCH_TO;
    if (by_member) {
        member->offsets.call.version_min = FETCH_BY_MEMBER;
        member->offsets.call.version_max = FETCH_BY_MEMBER;
    }
    member->offsets_round = member->round;
    membership_ask(member, &member->offsets, &member->peer, member->config.request_timeout_ms,
                   fetched);
}

void membership_offsets_turn(struct membership *member)
{
    LIST_FOR_EACH_SAFE (link, after, &member->commits)
        commit_turn(LIST_ENTRY(link, struct membership_commit, link));
    own_finish(member);
    if (op_live(&member->offsets.op) || member->offsets_at_ns > member->env->now.mono.ns) return;
    if (membership_offsets_wanted(member) && membership_find(member)) offsets_send(member);
}

int64_t membership_offsets_deadline(const struct membership *member)
{
    int64_t now_ns = member->env->now.mono.ns;
    int64_t next = OP_NO_DEADLINE;

    if (member->offsets_at_ns > now_ns) next = member->offsets_at_ns;
    LIST_FOR_EACH (link, &member->commits) {
        const struct membership_commit *commit = LIST_ENTRY(link, struct membership_commit, link);

        if (commit->in_flight) continue;
        if (commit->deadline_ns < next) next = commit->deadline_ns;
        if (commit->retry_at_ns > now_ns && commit->retry_at_ns < next) next = commit->retry_at_ns;
    }
    return next;
}
