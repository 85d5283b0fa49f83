/* One rebalance seen from a member: JoinGroup, the leader's assignment, SyncGroup, and what each
 * error means (clients.md 5). An answer is judged by what the member is when it comes; only one of
 * these requests is under way at a time. */
#include "client/membership.h"

#include <string.h>

enum { JOIN_GRACE_MS = 5000, STATIC_JOIN_FROM = 5, STATIC_SYNC_FROM = 3 };

/* ---- what we own ---------------------------------------------------------------------------- */

static bool owned_before(const struct consumer_partition *one,
                         const struct consumer_partition *other)
{
    int compared = str_compare(metadata_name(one->topic), metadata_name(other->topic));

    return compared != 0 ? compared < 0 : one->index < other->index;
}

/* Grouped by topic, in ascending order. NO_MEMORY. */
static enum err owned_topics(struct membership *member, struct subscription_assignment *owned)
{
    struct consumer *consumer = member->consumer;
    uint32_t count = consumer->partitions_count;
    struct consumer_partition **sorted = arena_alloc(&member->arena, count * sizeof *sorted);
    int32_t *indexes = arena_alloc(&member->arena, count * sizeof *indexes);
    uint32_t at = 0;

    *owned = (struct subscription_assignment){0};
    owned->topics = arena_alloc(&member->arena, count * sizeof *owned->topics);
    if (sorted == NULL || indexes == NULL || owned->topics == NULL) return ERR_NO_MEMORY;
    LIST_FOR_EACH (link, &consumer->partitions) {
        struct consumer_partition *partition = LIST_ENTRY(link, struct consumer_partition, link);
        uint32_t place = at++;

        for (; place > 0 && owned_before(partition, sorted[place - 1]); place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = partition;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct subscription_topic *topic = &owned->topics[owned->topics_count];

        indexes[i] = sorted[i]->index;
        if (i > 0 && sorted[i]->topic == sorted[i - 1]->topic) {
            topic[-1].partitions_count++;
            continue;
        }
        *topic = (struct subscription_topic){metadata_name(sorted[i]->topic), &indexes[i], 1};
        owned->topics_count++;
    }
    return ERR_NONE;
}

/* ---- JoinGroup ------------------------------------------------------------------------------ */

/* What an assignor wants to be told by its members. */
static enum err user_data(struct membership *member, enum assignor assignor, struct bytes *data)
{
    struct subscription_assignment last = {0};
    struct wire_writer writer;
    int32_t generation = member->assignment_generation;
    uint8_t *bytes;
    size_t size;
    enum err err;

    *data = BYTES_NULL;
    if (generation < 0) return ERR_NONE;
    switch (assignor) {
    case ASSIGNOR_RANGE:
    case ASSIGNOR_ROUNDROBIN: return ERR_NONE;
    case ASSIGNOR_COOPERATIVE_STICKY:
        bytes = arena_alloc(&member->arena, sizeof(int32_t));
        if (bytes == NULL) return ERR_NO_MEMORY;
        be_put32(bytes, (uint32_t)generation);
        *data = (struct bytes){bytes, sizeof(int32_t)};
        return ERR_NONE;
    case ASSIGNOR_STICKY: break;
    }
    err = subscription_assignment_read(
        (struct bytes){member->assignment, member->assignment_length}, &member->arena, &last);
    if (err != ERR_NONE) return err;
    wire_writer_measure(&writer);
    subscription_sticky_write(&writer, &last, generation);
    size = writer.used;
    bytes = arena_alloc(&member->arena, size);
    if (bytes == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, bytes, size);
    subscription_sticky_write(&writer, &last, generation);
    *data = (struct bytes){bytes, (uint32_t)size};
    return wire_writer_finish(&writer);
}

static enum err write_protocol(struct membership *member,
                               const struct subscription_assignment *owned, enum assignor assignor,
                               struct join_group_request_protocol *protocol)
{
    struct subscription subscription = {.topics = member->subscribed,
                                        .topics_count = member->subscribed_count,
                                        .owned = owned->topics,
                                        .owned_count = owned->topics_count,
                                        .generation = member->generation};
    struct wire_writer writer;
    uint8_t *bytes;
    size_t size;
    enum err err = user_data(member, assignor, &subscription.user_data);

    if (err != ERR_NONE) return err;
    if (member->consumer->config.rack.length > 0) subscription.rack = member->consumer->config.rack;
    wire_writer_measure(&writer);
    subscription_write(&writer, &subscription);
    size = writer.used;
    bytes = arena_alloc(&member->arena, size);
    if (bytes == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, bytes, size);
    subscription_write(&writer, &subscription);
    protocol->name = assignor_name(assignor);
    protocol->metadata = (struct bytes){bytes, (uint32_t)size};
    return wire_writer_finish(&writer);
}

static enum err join_write(struct membership *member)
{
    struct join_group_request *body = &member->join_body;
    const struct membership_config *config = &member->config;
    struct subscription_assignment owned;
    enum err err;

    arena_reset(&member->arena);
    join_group_request_default(body);
    body->group_id = config->group_id;
    body->session_timeout_ms = config->session_timeout_ms;
    body->rebalance_timeout_ms = config->max_poll_interval_ms;
    body->member_id = membership_id(member);
    body->group_instance_id = membership_instance(member);
    body->protocol_type = STR("consumer");
    body->protocols =
        arena_zalloc(&member->arena, config->assignors_count * sizeof *body->protocols);
    if (body->protocols == NULL) return ERR_NO_MEMORY;
    err = owned_topics(member, &owned);
    for (uint32_t i = 0; i < config->assignors_count && err == ERR_NONE; i++)
        err = write_protocol(member, &owned, config->assignors[i],
                             &body->protocols[body->protocols_count++]);
    return err;
}

static void join_failed(struct membership *member, enum err err)
{
    switch (err) {
    case ERR_UNKNOWN_MEMBER_ID: membership_reset(member, true, err); return;
    case ERR_ILLEGAL_GENERATION: membership_reset(member, false, err); return;
    case ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case ERR_REBALANCE_IN_PROGRESS: break;
    default:
        if (membership_coordinator_gone(err)) break;
        if (err == ERR_FENCED_INSTANCE_ID) member->id_length = 0;
        membership_fail(member, err);
        return;
    }
    membership_retry(member, API_JOIN_GROUP, err); /* still JOINING: again */
}

static enum err take_id(struct membership *member, struct str id)
{
    if (id.length == 0) return ERR_MALFORMED;
    if (id.length > MEMBERSHIP_ID_MAX) return ERR_TOO_LARGE;
    memcpy(member->id, id.data, id.length);
    member->id[id.length] = 0;
    member->id_length = id.length;
    return ERR_NONE;
}

static enum err take_joined(struct membership *member)
{
    const struct join_group_response *joined = &member->joined;
    enum err err = take_id(member, joined->member_id);

    if (err != ERR_NONE) return err;
    if (!assignor_find(joined->protocol_name, &member->assignor))
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    member->generation = joined->generation_id;
    member->leader = str_equal(joined->leader, membership_id(member));
    member->rejoin = false;
    member->failures = 0;
    member->heard_ns = member->env->now.mono.ns;
    member->beat_at_ns = env_deadline(member->env, member->config.heartbeat_interval_ms);
    return ERR_NONE;
}

static void joined(struct membership *member)
{
    struct call *call = &member->join.call;
    enum err err = call->result;

    if (member->state != MEMBERSHIP_JOINING) return;
    if (err == ERR_NONE) {
        join_group_response_default(&member->joined);
        err = join_group_response_decode(&call->reader, call->version, &member->arena,
                                         &member->joined);
        if (err == ERR_MALFORMED) err = ERR_CORRUPT_MESSAGE; /* and not a lost connection */
        if (err == ERR_NONE) err = err_from_wire(member->joined.error_code);
    }
    if (err == ERR_MEMBER_ID_REQUIRED) {
        err = take_id(member, member->joined.member_id);
        if (err == ERR_NONE) return; /* still JOINING: at once, with the id */
    } else if (err == ERR_NONE) {
        err = take_joined(member);
        if (err != ERR_NONE) {
            membership_fail(member, err);
            return;
        }
        member->compute_deadline_ns = env_deadline(member->env, member->config.request_timeout_ms);
        membership_set_state(member, member->leader ? MEMBERSHIP_COMPUTING : MEMBERSHIP_SYNCING);
        return;
    }
    join_failed(member, err);
}

void membership_join_send(struct membership *member)
{
    int64_t timeout_ms = (int64_t)member->config.max_poll_interval_ms + JOIN_GRACE_MS;
    enum err err;

    membership_unwatch(member);
    membership_call_init(&member->join, API_JOIN_GROUP, &member->join_body);
    member->leave_sent = false;
    member->joined_subscription = member->subscription;
    err = join_write(member);
    if (err != ERR_NONE) {
        membership_retry(member, API_JOIN_GROUP, ERR_NO_MEMORY);
        return;
    }
    if (timeout_ms < member->config.request_timeout_ms)
        timeout_ms = member->config.request_timeout_ms;
    if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX;
    if (membership_instance(member).data != NULL) member->join.call.version_min = STATIC_JOIN_FROM;
    membership_ask(member, &member->join, &member->peer, (int32_t)timeout_ms, joined);
}

/* ---- SyncGroup ------------------------------------------------------------------------------ */

static void sync_failed(struct membership *member, enum err err)
{
    switch (err) {
    case ERR_UNKNOWN_MEMBER_ID: membership_reset(member, true, err); return;
    case ERR_ILLEGAL_GENERATION: membership_reset(member, false, err); return;
    case ERR_REBALANCE_IN_PROGRESS: membership_set_state(member, MEMBERSHIP_PREPARING); return;
    case ERR_COORDINATOR_LOAD_IN_PROGRESS: break;
    default:
        if (membership_coordinator_gone(err)) break;
        membership_fail(member, err);
        return;
    }
    membership_retry(member, API_SYNC_GROUP, err);
    membership_set_state(member, MEMBERSHIP_PREPARING); /* the same member, from the start */
}

static enum err take_assignment(struct membership *member, struct bytes bytes)
{
    struct mem *mem = &member->env->mem;
    uint8_t *copy = NULL;

    if (bytes.length > 0) {
        copy = mem_alloc(mem, bytes.length);
        if (copy == NULL) return ERR_NO_MEMORY;
        memcpy(copy, bytes.data, bytes.length);
    }
    mem_free(mem, member->assignment, member->assignment_length);
    member->assignment = copy;
    member->assignment_length = bytes.length;
    member->assignment_generation = member->generation;
    return membership_mark_left_out(member);
}

static void synced(struct membership *member)
{
    struct call *call = &member->sync.call;
    struct sync_group_response response;
    enum err err = call->result;

    if (member->state != MEMBERSHIP_SYNCING) return;
    arena_reset(&member->arena);
    call_release(&member->join.call);
    sync_group_response_default(&response);
    if (err == ERR_NONE) {
        err = sync_group_response_decode(&call->reader, call->version, &member->arena, &response);
        if (err == ERR_NONE) err = err_from_wire(response.error_code);
    }
    if (err == ERR_NONE) {
        err = take_assignment(member, response.assignment);
        if (err != ERR_NONE) {
            call_release(call);
            membership_fail(member, err);
            return;
        }
        member->failures = 0;
        member->heard_ns = member->env->now.mono.ns;
        member->assigned = false;
        membership_set_state(member, MEMBERSHIP_ASSIGNING);
    } else {
        sync_failed(member, err);
    }
    call_release(call);
}

void membership_sync_send(struct membership *member)
{
    struct sync_group_request *body = &member->sync_body;

    if (!member->leader) sync_group_request_default(body);
    body->group_id = member->config.group_id;
    body->generation_id = member->generation;
    body->member_id = membership_id(member);
    body->group_instance_id = membership_instance(member);
    body->protocol_type = STR("consumer");
    body->protocol_name = assignor_name(member->assignor);
    membership_call_init(&member->sync, API_SYNC_GROUP, body);
    if (body->group_instance_id.data != NULL) member->sync.call.version_min = STATIC_SYNC_FROM;
    membership_ask(member, &member->sync, &member->peer,
                   member->config.max_poll_interval_ms > member->config.request_timeout_ms
                       ? member->config.max_poll_interval_ms
                       : member->config.request_timeout_ms,
                   synced);
}
