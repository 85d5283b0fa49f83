/* The leader's part of a rebalance: reads what the members subscribe to, learns the partitions of
 * all those topics, runs the assignor, writes everybody's assignment into the SyncGroup request.
 * Afterwards it watches the topics: more partitions, or other racks, mean a new rebalance. */
#include "client/membership.h"

struct leader {
    struct membership *member;
    struct subscription *subscriptions; /* of the members, in their order */
    struct assignor_topic *topics;
    struct assignor_task task;
};

/* ---- topics --------------------------------------------------------------------------------- */

void membership_unwatch(struct membership *member)
{
    for (uint32_t i = 0; i < member->watched_count; i++)
        metadata_unuse(&member->consumer->metadata, member->watched[i].topic);
    mem_free(&member->env->mem, member->watched, member->watched_size);
    member->watched = NULL;
    member->watched_count = 0;
    member->watched_size = 0;
}

bool membership_watched_changed(const struct membership *member)
{
    bool racks = member->consumer->config.rack.length > 0;

    for (uint32_t i = 0; i < member->watched_count; i++) {
        const struct membership_watched *watched = &member->watched[i];

        if (watched->topic->partitions_count != watched->partitions) return true;
        if (racks && watched->topic->racks_version != watched->racks_version) return true;
    }
    return false;
}

static enum err watch(struct membership *member, struct str name)
{
    struct membership_watched *watched;
    enum err err;

    for (uint32_t i = 0; i < member->watched_count; i++)
        if (str_equal(metadata_name(member->watched[i].topic), name)) return ERR_NONE;
    watched = &member->watched[member->watched_count];
    *watched = (struct membership_watched){0};
    err = metadata_use(&member->consumer->metadata, name, &watched->topic);
    if (err == ERR_INVALID_TOPIC_EXCEPTION) return ERR_NONE; /* somebody's mistake: nobody's */
    if (err == ERR_NONE) member->watched_count++;
    return err;
}

static enum err read_subscriptions(struct leader *leader)
{
    struct membership *member = leader->member;
    uint32_t count = member->joined.members_count;
    uint32_t topics = 0;
    enum err err = ERR_NONE;

    leader->subscriptions = arena_alloc(&member->arena, count * sizeof *leader->subscriptions);
    if (leader->subscriptions == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count && err == ERR_NONE; i++) {
        err = subscription_read(member->joined.members[i].metadata, &member->arena,
                                &leader->subscriptions[i]);
        topics += leader->subscriptions[i].topics_count;
    }
    if (err != ERR_NONE || member->watched != NULL || topics == 0) return err;
    member->watched_size = topics * sizeof *member->watched;
    member->watched = mem_alloc(&member->env->mem, member->watched_size);
    if (member->watched == NULL) {
        member->watched_size = 0;
        return ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t t = 0; t < leader->subscriptions[i].topics_count && err == ERR_NONE; t++)
            err = watch(member, leader->subscriptions[i].topics[t]);
    return err;
}

static bool all_known(const struct membership *member)
{
    for (uint32_t i = 0; i < member->watched_count; i++) {
        const struct metadata_topic *topic = member->watched[i].topic;

        if (topic->partitions_count == 0 && topic->error == ERR_NONE) return false;
    }
    return true;
}

/* ---- the task ------------------------------------------------------------------------------- */

static enum err sort_topics(struct leader *leader)
{
    struct membership *member = leader->member;
    uint32_t count = member->watched_count;
    struct assignor_topic *topics = arena_alloc(&member->arena, count * sizeof *topics);

    if (topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        struct membership_watched *watched = &member->watched[i];
        uint32_t place = i;

        watched->partitions = watched->topic->partitions_count;
        watched->racks_version = watched->topic->racks_version;
        for (; place > 0 && str_compare(metadata_name(watched->topic), topics[place - 1].name) < 0;
             place--)
            topics[place] = topics[place - 1];
        topics[place] = (struct assignor_topic){.name = metadata_name(watched->topic),
                                                .partitions = watched->partitions};
    }
    leader->topics = topics;
    leader->task.topics = topics;
    leader->task.topics_count = count;
    return ERR_NONE;
}

static enum err set_owned(struct leader *leader, const struct subscription_topic *topics,
                          uint32_t count, struct assignor_member *to)
{
    struct assignor_partition *owned;
    uint32_t total = 0;
    uint32_t index = 0;

    for (uint32_t t = 0; t < count; t++)
        total += topics[t].partitions_count;
    owned = arena_alloc(&leader->member->arena, total * sizeof *owned);
    if (owned == NULL) return ERR_NO_MEMORY;
    to->owned = owned;
    to->owned_count = 0;
    for (uint32_t t = 0; t < count; t++) {
        if (!assignor_topic_find(leader->topics, leader->task.topics_count, topics[t].name, &index))
            continue;
        for (uint32_t p = 0; p < topics[t].partitions_count; p++)
            owned[to->owned_count++] = (struct assignor_partition){index, topics[t].partitions[p]};
    }
    return ERR_NONE;
}

/* What a member says it has: in the user data of sticky, in the subscription otherwise. */
static enum err set_claims(struct leader *leader, const struct subscription *subscription,
                           struct assignor_member *to)
{
    struct membership *member = leader->member;
    struct subscription_assignment owned = {.topics = subscription->owned,
                                            .topics_count = subscription->owned_count};

    to->generation = -1;
    switch (member->assignor) {
    case ASSIGNOR_RANGE:
    case ASSIGNOR_ROUNDROBIN: return ERR_NONE;
    case ASSIGNOR_STICKY:
        owned = (struct subscription_assignment){0};
        if (subscription->user_data.length > 0 &&
            subscription_sticky_read(subscription->user_data, &member->arena, &owned,
                                     &to->generation) == ERR_NO_MEMORY)
            return ERR_NO_MEMORY;
        break;
    case ASSIGNOR_COOPERATIVE_STICKY:
        to->generation = subscription->generation;
        if (to->generation < 0 &&
            subscription_cooperative_read(subscription->user_data, &to->generation) != ERR_NONE)
            to->generation = -1;
        break;
    }
    return set_owned(leader, owned.topics, owned.topics_count, to);
}

static enum err set_members(struct leader *leader)
{
    struct membership *member = leader->member;
    uint32_t count = member->joined.members_count;
    struct assignor_member *members = arena_zalloc(&member->arena, count * sizeof *members);
    enum err err = ERR_NONE;

    if (members == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count && err == ERR_NONE; i++) {
        const struct join_group_response_member *listed = &member->joined.members[i];
        const struct subscription *subscription = &leader->subscriptions[i];
        uint32_t *topics = arena_alloc(&member->arena, subscription->topics_count * sizeof *topics);

        if (topics == NULL) return ERR_NO_MEMORY;
        members[i].id = listed->member_id;
        members[i].instance_id = listed->group_instance_id;
        members[i].topics = topics;
        for (uint32_t t = 0; t < subscription->topics_count; t++)
            if (assignor_topic_find(leader->topics, leader->task.topics_count,
                                    subscription->topics[t], &topics[members[i].topics_count]))
                members[i].topics_count++;
        err = set_claims(leader, subscription, &members[i]);
    }
    leader->task.members = members;
    leader->task.members_count = count;
    return err;
}

/* Where the replicas are; only when some member says where it is. */
static enum err set_racks(struct leader *leader)
{
    struct membership *member = leader->member;
    const struct metadata *metadata = &member->consumer->metadata;
    bool any = false;

    for (uint32_t i = 0; i < leader->task.members_count; i++) {
        struct str rack = leader->subscriptions[i].rack;
        uint64_t bit = rack.length > 0 ? metadata_rack(metadata, rack) : 0;

        if (rack.length > 0 && bit == 0) bit = ASSIGNOR_RACK_ELSEWHERE;
        leader->task.members[i].rack = bit;
        any = any || bit != 0;
    }
    for (uint32_t i = 0; i < member->watched_count && any; i++) {
        const struct metadata_topic *topic = member->watched[i].topic;
        uint64_t *racks = arena_alloc(&member->arena, topic->partitions_count * sizeof *racks);
        uint32_t index = 0;
        bool found = assignor_topic_find(leader->topics, leader->task.topics_count,
                                         metadata_name(topic), &index);

        if (racks == NULL) return ERR_NO_MEMORY;
        ASSERT(found);
        for (uint32_t p = 0; p < topic->partitions_count; p++)
            racks[p] = topic->partitions[p].racks;
        leader->topics[index].racks = racks;
    }
    return ERR_NONE;
}

/* ---- the result ----------------------------------------------------------------------------- */

static enum err write_assignment(struct leader *leader, const struct assignor_member *of,
                                 struct bytes *written)
{
    struct arena *arena = &leader->member->arena;
    uint32_t topics_count = leader->task.topics_count;
    struct subscription_topic *topics = arena_zalloc(arena, topics_count * sizeof *topics);
    int32_t *indexes = arena_alloc(arena, of->assigned_count * sizeof *indexes);
    struct subscription_assignment assignment = {.topics = topics};
    struct wire_writer writer;
    uint8_t *bytes;
    size_t size;

    if (topics == NULL || indexes == NULL) return ERR_NO_MEMORY;
    for (uint32_t t = 0; t < topics_count; t++) {
        struct subscription_topic *topic = &topics[assignment.topics_count];

        *topic = (struct subscription_topic){leader->topics[t].name, indexes, 0};
        for (uint32_t i = 0; i < of->assigned_count; i++)
            if (of->assigned[i].topic == t)
                topic->partitions[topic->partitions_count++] = of->assigned[i].index;
        indexes += topic->partitions_count;
        if (topic->partitions_count > 0) assignment.topics_count++;
    }
    wire_writer_measure(&writer);
    subscription_assignment_write(&writer, &assignment);
    size = writer.used;
    bytes = arena_alloc(arena, size);
    if (bytes == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, bytes, size);
    subscription_assignment_write(&writer, &assignment);
    *written = (struct bytes){bytes, (uint32_t)size};
    return wire_writer_finish(&writer);
}

static enum err write_sync(struct leader *leader)
{
    struct membership *member = leader->member;
    struct sync_group_request *body = &member->sync_body;
    uint32_t count = leader->task.members_count;
    enum err err = ERR_NONE;

    sync_group_request_default(body);
    if (member->joined.skip_assignment) return ERR_NONE; /* KIP-814: it only watches */
    body->assignments = arena_zalloc(&member->arena, count * sizeof *body->assignments);
    if (body->assignments == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count && err == ERR_NONE; i++) {
        body->assignments[i].member_id = leader->task.members[i].id;
        err = write_assignment(leader, &leader->task.members[i], &body->assignments[i].assignment);
    }
    body->assignments_count = count;
    return err;
}

bool membership_compute(struct membership *member)
{
    struct leader leader = {.member = member,
                            .task = {.assignor = member->assignor,
                                     .max_generation = member->max_generation,
                                     .arena = &member->arena}};
    bool late = member->env->now.mono.ns >= member->compute_deadline_ns;
    enum err err = ERR_NONE;

    if (member->watched == NULL || all_known(member) || late) err = read_subscriptions(&leader);
    if (err == ERR_NONE && !all_known(member) && !late) return false;
    if (err == ERR_NONE) err = sort_topics(&leader);
    if (err == ERR_NONE) err = set_members(&leader);
    if (err == ERR_NONE) err = set_racks(&leader);
    if (err == ERR_NONE) err = assignor_run(&leader.task);
    if (err == ERR_NONE) err = write_sync(&leader);
    if (err != ERR_NONE) {
        membership_fail(member, err);
        return false;
    }
    member->max_generation = leader.task.max_generation;
    return true;
}
