/* A member by the protocol of KIP-848: one request, ConsumerGroupHeartbeat, joins, tells what it
 * subscribes to and has, hears what it shall have, and leaves (clients.md 3.10). What did not
 * change is left out, unless the last answer did not come: then everything is said again. The
 * member makes its id itself (KIP-1082) and keeps it for life. */
#include "client/membership.h"

#include "client/base/uuid.h"

#include <string.h>

enum { LEAVE = -1, LEAVE_STATIC = -2 };

bool membership_is_consumer(const struct membership *member)
{
    return member->config.protocol == MEMBERSHIP_CONSUMER;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static void make_id(struct membership *member)
{
    char text[UUID_TEXT + 1];

    if (member->id_length > 0) return;
    uuid_print(rng_uuid(&member->consumer->metadata.rng), text);
    memcpy(member->id, text, sizeof text);
    member->id_length = UUID_TEXT;
}

typedef struct consumer_group_heartbeat_request_topic_partition owned_topic;

static enum err write_owned(struct membership *member)
{
    struct consumer_group_heartbeat_request *body = &member->group_beat;
    uint32_t count = member->consumer->partitions_count;
    owned_topic *topics = arena_alloc(&member->beat_arena, count * sizeof *topics);
    uint32_t used = 0;

    if (topics == NULL) return ERR_NO_MEMORY;
    LIST_FOR_EACH (link, &member->consumer->partitions) {
        const struct consumer_partition *partition =
            LIST_ENTRY(link, struct consumer_partition, link);
        uint32_t t = 0;

        while (t < used && !uuid_equal(topics[t].topic_id, partition->topic->id))
            t++;
        if (t == used) {
            topics[used] = (owned_topic){.topic_id = partition->topic->id};
            topics[used].partitions = arena_alloc(&member->beat_arena, count * sizeof(int32_t));
            if (topics[used++].partitions == NULL) return ERR_NO_MEMORY;
        }
        topics[t].partitions[topics[t].partitions_count++] = partition->index;
    }
    body->topic_partitions_null = false;
    body->topic_partitions = topics;
    body->topic_partitions_count = used;
    return ERR_NONE;
}

/* Copies: the subscription may change while the request waits for its connection. */
static enum err write_names(struct membership *member)
{
    struct consumer_group_heartbeat_request *body = &member->group_beat;
    struct arena *arena = &member->beat_arena;

    body->subscribed_topic_names =
        arena_alloc(arena, member->subscribed_count * sizeof *body->subscribed_topic_names);
    if (body->subscribed_topic_names == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < member->subscribed_count; i++) {
        char *copy = arena_alloc(arena, member->subscribed[i].length);

        if (copy == NULL) return ERR_NO_MEMORY;
        memcpy(copy, member->subscribed[i].data, member->subscribed[i].length);
        body->subscribed_topic_names[i] = (struct str){copy, member->subscribed[i].length};
    }
    body->subscribed_topic_names_count = member->subscribed_count;
    body->subscribed_topic_names_null = false;
    return ERR_NONE;
}

/* The pattern goes to the coordinator, which resolves it; one that it had is taken back. */
static enum err write_subscription(struct membership *member)
{
    struct consumer_group_heartbeat_request *body = &member->group_beat;
    struct str pattern = membership_tells_regex(member) ? member->pattern_text : STR_NULL;
    char *copy;

    if (pattern.length == 0) {
        if (member->regex_told) body->subscribed_topic_regex = STR("");
        return write_names(member);
    }
    copy = arena_alloc(&member->beat_arena, pattern.length);
    if (copy == NULL) return ERR_NO_MEMORY;
    memcpy(copy, pattern.data, pattern.length);
    body->subscribed_topic_regex = (struct str){copy, pattern.length};
    body->subscribed_topic_names_count = 0;
    body->subscribed_topic_names_null = false;
    return ERR_NONE;
}

static enum err beat_write(struct membership *member)
{
    struct consumer_group_heartbeat_request *body = &member->group_beat;
    bool joins = member->state == MEMBERSHIP_JOINING;
    bool full = joins || member->beat_full;
    enum err err = ERR_NONE;

    arena_reset(&member->beat_arena);
    consumer_group_heartbeat_request_default(body);
    body->group_id = member->config.group_id;
    body->member_id = membership_id(member);
    body->member_epoch = joins ? 0 : member->generation;
    body->instance_id = membership_instance(member);
    body->subscribed_topic_names_null = true;
    body->topic_partitions_null = true;
    if (full) {
        body->rebalance_timeout_ms = member->config.max_poll_interval_ms;
        if (member->consumer->config.rack.length > 0) body->rack_id = member->consumer->config.rack;
        if (member->config.remote_assignor.length > 0)
            body->server_assignor = member->config.remote_assignor;
    }
    if (full || member->joined_subscription != member->subscription)
        err = write_subscription(member);
    if (err == ERR_NONE && (full || member->beat_owned)) err = write_owned(member);
    return err;
}

/* ---- what it hears --------------------------------------------------------------------------- */

static void drop_target(struct membership *member)
{
    mem_free(&member->env->mem, member->target, member->target_count * sizeof *member->target);
    member->target = NULL;
    member->target_count = 0;
}

static enum err keep_target(struct membership *member,
                            const struct consumer_group_heartbeat_response_assignment *from)
{
    struct membership_target *target = NULL;
    uint32_t count = 0;
    uint32_t at = 0;

    for (uint32_t t = 0; t < from->topic_partitions_count; t++)
        count += from->topic_partitions[t].partitions_count;
    if (count > 0) {
        target = mem_alloc(&member->env->mem, count * sizeof *target);
        if (target == NULL) return ERR_NO_MEMORY;
    }
    for (uint32_t t = 0; t < from->topic_partitions_count; t++)
        for (uint32_t p = 0; p < from->topic_partitions[t].partitions_count; p++)
            target[at++] = (struct membership_target){from->topic_partitions[t].topic_id,
                                                      from->topic_partitions[t].partitions[p]};
    drop_target(member);
    member->target = target;
    member->target_count = count;
    member->target_new = true;
    return ERR_NONE;
}

static void beat_failed(struct membership *member, enum err err)
{
    member->beat_full = true;
    if (err == ERR_UNSUPPORTED_VERSION && member->group_beat.subscribed_topic_regex.data != NULL) {
        member->regex_refused = true; /* version 0 knows names only */
        member->regex_told = false;
        if (member->subscribed_count == 0 && member->state == MEMBERSHIP_JOINING)
            membership_set_state(member, MEMBERSHIP_PREPARING);
        return;
    }
    switch (err) {
    case ERR_UNKNOWN_MEMBER_ID:
    case ERR_FENCED_MEMBER_EPOCH:
        membership_retry(member, API_CONSUMER_GROUP_HEARTBEAT, err);
        membership_reset(member, false, err);
        return;
    /* The holder's session will end. DIFFERS: the Java client gives up. */
    case ERR_UNRELEASED_INSTANCE_ID:
    case ERR_COORDINATOR_LOAD_IN_PROGRESS:
        membership_retry(member, API_CONSUMER_GROUP_HEARTBEAT, err);
        return;
    default: break;
    }
    if (membership_coordinator_gone(err)) {
        membership_retry(member, API_CONSUMER_GROUP_HEARTBEAT, err);
    } else {
        membership_fail(member, err);
    }
}

static enum err take_answer(struct membership *member,
                            const struct consumer_group_heartbeat_response *answer)
{
    enum err err = err_from_wire(answer->error_code);

    member->heard_ns = member->env->now.mono.ns;
    if (err != ERR_NONE) return err;
    if (!answer->assignment_null) err = keep_target(member, &answer->assignment);
    if (err != ERR_NONE) return err;
    member->failures = 0;
    member->generation = answer->member_epoch;
    member->joined_subscription = member->told_subscription;
    if (member->group_beat.subscribed_topic_regex.data != NULL)
        member->regex_told = member->group_beat.subscribed_topic_regex.length > 0;
    member->beat_full = false;
    if (answer->heartbeat_interval_ms > 0) {
        member->beat_interval_ms = answer->heartbeat_interval_ms;
        member->beat_at_ns = env_deadline(member->env, member->beat_interval_ms);
    }
    if (member->told_owned && member->round == member->told_round) member->beat_owned = false;
    if (member->state == MEMBERSHIP_JOINING) {
        member->target_first = true;
        membership_set_state(member, MEMBERSHIP_STABLE);
    }
    return ERR_NONE;
}

static void beaten(struct membership *member)
{
    struct call *call = &member->beat.call;
    struct consumer_group_heartbeat_response answer;
    enum err err = call->result;

    arena_reset(&member->offsets_arena);
    if (err == ERR_NONE)
        err = consumer_group_heartbeat_response_decode(&call->reader, call->version,
                                                       &member->offsets_arena, &answer);
    if (member->beat_generation != member->generation || member->state >= MEMBERSHIP_FAILED) {
        /* It was about a life that is over. */
    } else if (err == ERR_NONE) {
        err = take_answer(member, &answer);
        if (err != ERR_NONE) beat_failed(member, err);
    } else {
        beat_failed(member, err);
    }
    call_release(call);
    arena_reset(&member->offsets_arena);
}

/* ---- when ------------------------------------------------------------------------------------ */

static bool beats(const struct membership *member)
{
    switch (member->state) {
    case MEMBERSHIP_JOINING: return true;
    case MEMBERSHIP_PREPARING:
    case MEMBERSHIP_ASSIGNING:
    case MEMBERSHIP_STABLE: return member->generation >= 0;
    case MEMBERSHIP_COMPUTING:
    case MEMBERSHIP_SYNCING:
    case MEMBERSHIP_IDLE:
    case MEMBERSHIP_FAILED:
    case MEMBERSHIP_LEAVING:
    case MEMBERSHIP_CLOSED:
    case MEMBERSHIP_STATES: return false;
    }
    IMPOSSIBLE("state");
}

/* Something to say that does not wait for the interval. */
static bool has_news(const struct membership *member)
{
    return member->state == MEMBERSHIP_JOINING ||
           (member->state == MEMBERSHIP_STABLE &&
            (member->beat_owned || member->subscription != member->joined_subscription));
}

static void watch(struct membership *member)
{
    struct mem *mem = &member->env->mem;

    membership_unwatch(member);
    if (member->subscribed_count == 0) return;
    member->watched_size = member->subscribed_count * sizeof *member->watched;
    member->watched = mem_alloc(mem, member->watched_size);
    if (member->watched == NULL) {
        member->watched_size = 0;
        return; /* ids are learnt when there is room again */
    }
    for (uint32_t i = 0; i < member->subscribed_count; i++) {
        struct membership_watched *one = &member->watched[member->watched_count];

        *one = (struct membership_watched){0};
        if (metadata_use(&member->consumer->metadata, member->subscribed[i], &one->topic) ==
            ERR_NONE)
            member->watched_count++;
    }
}

static void beat_send(struct membership *member)
{
    make_id(member);
    membership_call_init(&member->beat, API_CONSUMER_GROUP_HEARTBEAT, &member->group_beat);
    if (beat_write(member) != ERR_NONE) {
        membership_retry(member, API_CONSUMER_GROUP_HEARTBEAT, ERR_COORDINATOR_LOAD_IN_PROGRESS);
        return;
    }
    if (member->group_beat.subscribed_topic_regex.data != NULL) member->beat.call.version_min = 1;
    if (member->watched == NULL || member->subscription != member->joined_subscription)
        watch(member);
    member->leave_sent = false;
    member->beat_generation = member->generation;
    member->told_subscription = member->subscription;
    member->told_owned = !member->group_beat.topic_partitions_null;
    member->told_round = member->round;
    member->beat_at_ns = env_deadline(member->env, member->beat_interval_ms);
    membership_ask(member, &member->beat, &member->peer, member->config.request_timeout_ms, beaten);
}

void membership_consumer_turn(struct membership *member)
{
    int64_t now_ns = member->env->now.mono.ns;

    if (!beats(member)) return;
    if (member->state != MEMBERSHIP_JOINING && membership_out_of_polls(member)) return;
    if (membership_unheard(member)) member->beat_full = true;
    if (op_live(&member->beat.op) || member->retry_at_ns > now_ns) return;
    if (now_ns < member->beat_at_ns && !has_news(member)) return;
    if (membership_find(member)) beat_send(member);
}

int64_t membership_consumer_deadline(const struct membership *member)
{
    int64_t next = OP_NO_DEADLINE;
    int64_t due;

    if (!beats(member)) return next;
    if (member->state != MEMBERSHIP_JOINING) next = membership_silence_deadline(member);
    if (op_live(&member->beat.op)) return next;
    due = member->beat_at_ns > member->retry_at_ns ? member->beat_at_ns : member->retry_at_ns;
    /* Due, but without a coordinator: the search for it wakes us. */
    if (!member->coordinator_known && due <= member->env->now.mono.ns) return next;
    return due < next ? due : next;
}

/* ---- the next target ------------------------------------------------------------------------- */

/* By names, as the assignment of the classic protocol is written. NOT_FOUND: a topic whose name is
 * not known yet. */
static enum err write_target(struct membership *member, struct wire_writer *writer)
{
    struct arena *arena = &member->arena;
    struct subscription_topic *topics = arena_alloc(arena, member->target_count * sizeof *topics);
    struct subscription_assignment assignment = {.topics = topics};

    if (topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < member->target_count; i++) {
        const struct metadata_topic *topic =
            metadata_topic_by_id(&member->consumer->metadata, member->target[i].topic);
        uint32_t t = 0;

        if (topic == NULL) return ERR_NOT_FOUND;
        while (t < assignment.topics_count && !str_equal(topics[t].name, metadata_name(topic)))
            t++;
        if (t == assignment.topics_count) {
            topics[t] = (struct subscription_topic){.name = metadata_name(topic)};
            topics[t].partitions = arena_alloc(arena, member->target_count * sizeof(int32_t));
            if (topics[t].partitions == NULL) return ERR_NO_MEMORY;
            assignment.topics_count++;
        }
        topics[t].partitions[topics[t].partitions_count++] = member->target[i].partition;
    }
    subscription_assignment_write(writer, &assignment);
    return ERR_NONE;
}

static enum err resolve(struct membership *member)
{
    struct mem *mem = &member->env->mem;
    struct wire_writer writer;
    uint8_t *bytes;
    size_t size;
    enum err err;

    arena_reset(&member->arena);
    wire_writer_measure(&writer);
    err = write_target(member, &writer);
    if (err != ERR_NONE) return err;
    size = writer.used;
    bytes = mem_alloc(mem, size);
    if (bytes == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, bytes, size);
    err = write_target(member, &writer);
    if (err == ERR_NONE) err = wire_writer_finish(&writer);
    if (err != ERR_NONE) {
        mem_free(mem, bytes, size);
        return err;
    }
    mem_free(mem, member->assignment, member->assignment_length);
    member->assignment = bytes;
    member->assignment_length = (uint32_t)size;
    return membership_mark_left_out(member);
}

/* True: exactly what it has. */
static bool has_all(const struct membership *member)
{
    if (member->target_count != member->consumer->partitions_count) return false;
    for (uint32_t i = 0; i < member->target_count; i++) {
        const struct metadata_topic *topic =
            metadata_topic_by_id(&member->consumer->metadata, member->target[i].topic);

        if (topic == NULL || consumer_find(member->consumer, metadata_name(topic),
                                           member->target[i].partition) == NULL)
            return false;
    }
    return true;
}

void membership_consumer_take(struct membership *member)
{
    int64_t soon_ms = member->consumer->config.metadata.retry_backoff_ms;
    enum err err;

    if (member->subscribed_count == 0 && member->pattern == NULL) {
        membership_set_state(member, MEMBERSHIP_PREPARING);
        return;
    }
    if (!member->target_new) return;
    if (!member->target_first && has_all(member)) {
        member->target_new = false;
        return;
    }
    err = resolve(member);
    if (err == ERR_NOT_FOUND) {
        if (member->target_count > 0) metadata_refresh(&member->consumer->metadata);
        /* A topic that only the coordinator has seen yet. */
        if (member->pattern != NULL && member->list_at_ns > env_deadline(member->env, soon_ms))
            member->list_at_ns = env_deadline(member->env, soon_ms);
        return;
    }
    if (err != ERR_NONE) {
        membership_fail(member, err);
        return;
    }
    member->target_new = false;
    member->target_first = false;
    member->assigned = false;
    membership_set_state(member, MEMBERSHIP_ASSIGNING);
}

/* ---- the end --------------------------------------------------------------------------------- */

void membership_consumer_reset(struct membership *member)
{
    drop_target(member);
    member->target_new = false;
    member->beat_full = true;
    member->beat_owned = false;
    member->beat_at_ns = 0;
}

/* Whatever it says: we are gone. */
static void left(struct membership *member)
{
    call_release(&member->leave.call);
}

/* A static member says that it will be back. */
void membership_consumer_leave(struct membership *member)
{
    struct consumer_group_heartbeat_request *body = &member->group_leave;

    if (member->id_length == 0 || op_live(&member->leave.op)) return;
    consumer_group_heartbeat_request_default(body);
    body->group_id = member->config.group_id;
    body->member_id = membership_id(member);
    body->instance_id = membership_instance(member);
    body->member_epoch = body->instance_id.data != NULL ? LEAVE_STATIC : LEAVE;
    body->subscribed_topic_names_null = true;
    body->topic_partitions_null = true;
    membership_call_init(&member->leave, API_CONSUMER_GROUP_HEARTBEAT, body);
    membership_ask(member, &member->leave, &member->peer, member->config.request_timeout_ms, left);
}
