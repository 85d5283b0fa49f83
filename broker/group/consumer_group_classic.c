/* Classic members in a group of KIP-848, and groups that change sides (groups.md 8.7).
 *
 *   classic group                                           group of KIP-848
 *     all classic   --- the first ConsumerGroupHeartbeat -->  classic members and others
 *                   <-- the last of the others goes --------
 *
 * Either way is one batch: tombstones of what the group was, records of what it is. A classic
 * member knows nothing of it: its generation is its member epoch, a JoinGroup is a full heartbeat
 * that says what it owns, a SyncGroup fetches what it was given, a Heartbeat hears
 * REBALANCE_IN_PROGRESS when it has to join again:
 *
 *     join: reconciled ---> sync, in its rebalance timeout ---> heartbeats
 *          ^                                                        |
 *          +---- REBALANCE_IN_PROGRESS, in its rebalance timeout ---+
 *
 * What a member of a classic group was assigned last counts as its own until it says otherwise: it
 * may have it still, whatever its group was about to do (G7). */
#include "broker/group/consumer_group.h"

#include "client/base/assert.h"
#include "client/subscription.h"

#include <string.h>

typedef struct consumer_group_member_metadata_value_classic_protocol classic_protocol;

static const struct str consumer_type = {"consumer", 8};

/* ---- bytes of members ------------------------------------------------------------------------ */

/* Topics that the image does not know are nobody's. */
static enum err parts_of(struct consumer_group_step *step, const struct subscription_topic *topics,
                         uint32_t count, struct parts *parts)
{
    uint32_t total = 0;
    enum err err;

    for (uint32_t t = 0; t < count; t++)
        total += topics[t].partitions_count;
    err = parts_begin(step->arena, total, parts);
    if (err != ERR_NONE) return err;
    for (uint32_t t = 0; t < count; t++) {
        const struct image_topic *topic = image_topic_by_name(step->image, topics[t].name);

        if (topic == NULL || topic->deleted) continue;
        for (uint32_t p = 0; p < topics[t].partitions_count; p++)
            if (topics[t].partitions[p] >= 0 &&
                (uint32_t)topics[t].partitions[p] < topic->partitions_count)
                parts_push(parts, topic->id, topics[t].partitions[p]);
    }
    parts_end(parts);
    return ERR_NONE;
}

static enum err assigned_of(struct consumer_group_step *step, struct bytes bytes,
                            struct parts *parts)
{
    struct subscription_assignment assignment;
    enum err err = subscription_assignment_read(bytes, step->arena, &assignment);

    if (err == ERR_NO_MEMORY) return err;
    /* An assignor of the client's own keeps things there that nobody here would keep. */
    if (err != ERR_NONE || assignment.user_data.length > 0) return ERR_GROUP_ID_NOT_FOUND;
    return parts_of(step, assignment.topics, assignment.topics_count, parts);
}

static enum err set_protocols(struct consumer_group_step *step, struct consumer_group_view *view,
                              const struct group_protocol *protocols, uint32_t count)
{
    classic_protocol *copy = arena_alloc(step->arena, (count + 1) * sizeof *copy);

    if (copy == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        copy[i] = (classic_protocol){.name = protocols[i].name, .metadata = protocols[i].metadata};
    view->metadata.classic_member_metadata_null = false;
    view->metadata.classic_member_metadata.supported_protocols = copy;
    view->metadata.classic_member_metadata.supported_protocols_count = count;
    return ERR_NONE;
}

/* ---- a classic group is taken over ----------------------------------------------------------- */

static enum err import_member(struct consumer_group_step *step, const struct group *classic,
                              const struct group_member *from, struct parts *taken)
{
    struct consumer_group_view *view = consumer_group_step_add(step, from->id);
    struct bytes said = group_subscription(classic, from);
    struct subscription subscription;
    bool changed = false;
    enum err err;

    if (said.length == 0 && from->protocols_count > 0) said = from->protocols[0].metadata;
    err = subscription_read(said, step->arena, &subscription);
    if (err == ERR_MALFORMED) return ERR_GROUP_ID_NOT_FOUND;
    if (err == ERR_NONE)
        err = consumer_group_step_subscribe(step, view, subscription.topics,
                                            subscription.topics_count, &changed);
    if (err == ERR_NONE) err = set_protocols(step, view, from->protocols, from->protocols_count);
    if (err == ERR_NONE) err = assigned_of(step, from->assignment, &view->assigned);
    /* No assignor gives a thing twice; one that did does not make two owners here. */
    if (err == ERR_NONE) err = parts_minus(step->arena, view->assigned, *taken, &view->assigned);
    if (err == ERR_NONE) err = parts_join(step->arena, *taken, view->assigned, taken);
    if (err != ERR_NONE) return err;
    view->metadata.classic_member_metadata.session_timeout_ms = from->session_timeout_ms;
    view->metadata.rebalance_timeout_ms = from->rebalance_timeout_ms;
    view->metadata.instance_id = from->instance_id;
    view->metadata.rack_id = subscription.rack;
    view->metadata.client_id = from->client_id;
    view->metadata.client_host = from->client_host;
    view->target = view->assigned;
    view->epoch = view->previous_epoch = step->epoch;
    return ERR_NONE;
}

enum err consumer_group_import(struct consumer_group_step *step, const struct group *classic)
{
    struct parts taken = PARTS_NONE;

    ASSERT(step->group == NULL);
    if (!step->config->upgrades || !str_equal(classic->protocol_type, consumer_type) ||
        (int64_t)classic->members.count > step->config->max_size)
        return ERR_GROUP_ID_NOT_FOUND;
    step->count = 0;
    step->max = classic->members.count + 1;
    step->epoch = step->assignment_epoch = classic->generation;
    step->views = arena_zalloc(step->arena, step->max * sizeof *step->views);
    if (step->views == NULL) return ERR_NO_MEMORY;
    MAP_FOR_EACH (node, &classic->members) {
        enum err err =
            import_member(step, classic, MAP_ENTRY(node, struct group_member, node), &taken);

        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

/* ---- and goes back --------------------------------------------------------------------------- */

static bool supports(const struct consumer_group_view *view, struct str protocol)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        &view->metadata.classic_member_metadata;

    for (uint32_t i = 0; i < classic->supported_protocols_count; i++)
        if (str_equal(classic->supported_protocols[i].name, protocol)) return true;
    return false;
}

/* Do all classic members but `except` support it? */
static bool all_support(const struct consumer_group_step *step,
                        const struct consumer_group_view *except, struct str protocol)
{
    for (uint32_t i = 0; i < step->count; i++) {
        const struct consumer_group_view *view = &step->views[i];

        if (view == except || view->gone || !consumer_group_is_classic(&view->metadata)) continue;
        if (!supports(view, protocol)) return false;
    }
    return true;
}

static struct str common_protocol(const struct consumer_group_step *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        const struct consumer_group_view *view = &step->views[i];

        if (view->gone) continue;
        for (uint32_t p = 0; p < view->metadata.classic_member_metadata.supported_protocols_count;
             p++) {
            struct str name = view->metadata.classic_member_metadata.supported_protocols[p].name;

            if (all_support(step, NULL, name)) return name;
        }
        return STR_NULL;
    }
    return STR_NULL;
}

bool consumer_group_goes_back(const struct consumer_group_step *step)
{
    bool other = false; /* somebody spoke the consumer protocol, before this step */
    uint32_t left = 0;

    if (!step->config->downgrades || step->group == NULL) return false;
    for (uint32_t i = 0; i < step->count; i++) {
        const struct consumer_group_view *view = &step->views[i];

        other = other || (view->was != NULL && !consumer_group_is_classic(&view->was->metadata));
        if (view->gone) continue;
        if (!consumer_group_is_classic(&view->metadata)) return false;
        left++;
    }
    return other && left > 0 && (int64_t)left <= step->config->classic_max_size &&
           common_protocol(step).data != NULL;
}

/* Names of topics by id; those that are gone are left out. */
static enum err write_parts(const struct image *image, struct arena *arena, struct parts parts,
                            int16_t version, struct bytes *bytes)
{
    struct subscription_topic *topics =
        arena_alloc(arena, ((size_t)parts_topics(parts) + 1) * sizeof *topics);
    int32_t *indexes = parts_indexes(arena, parts);
    struct subscription_assignment assignment = {.topics = topics};
    struct wire_writer writer;
    uint8_t *buffer;
    size_t size;

    if (topics == NULL || indexes == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0, end; i < parts.count; i = end) {
        const struct image_topic *topic = image_topic_by_id(image, parts.items[i].topic);

        end = parts_topic_end(parts, i);
        if (topic == NULL || topic->deleted) continue;
        topics[assignment.topics_count++] =
            (struct subscription_topic){topic->name, indexes + i, end - i};
    }
    wire_writer_measure(&writer);
    subscription_assignment_write(&writer, &assignment);
    size = writer.used;
    buffer = arena_alloc(arena, size);
    if (buffer == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, buffer, size);
    subscription_assignment_write(&writer, &assignment);
    if (version >= 0) { /* the reader's own; what follows is the same in all of them */
        buffer[0] = (uint8_t)((uint16_t)version >> 8);
        buffer[1] = (uint8_t)version;
    }
    *bytes = (struct bytes){buffer, (uint32_t)size};
    return wire_writer_finish(&writer);
}

/* As it says of itself; -1: it does not. */
static int16_t version_of(const consumer_group_metadata *metadata)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        &metadata->classic_member_metadata;
    struct bytes said;

    if (classic->supported_protocols_count == 0) return -1;
    said = classic->supported_protocols[0].metadata;
    if (said.length < 2) return -1;
    return (int16_t)((said.data[0] << 8 | said.data[1]) & 0x7fff);
}

static enum err classic_member(const struct consumer_group_step *step,
                               const struct consumer_group_view *view, struct str protocol,
                               struct group_metadata_value_member *to)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        &view->metadata.classic_member_metadata;
    struct parts holds;
    enum err err = parts_join(step->arena, view->assigned, view->revoking, &holds);

    group_metadata_value_member_default(to);
    to->member_id = view->id;
    to->group_instance_id = view->metadata.instance_id;
    to->client_id = view->metadata.client_id;
    to->client_host = view->metadata.client_host;
    to->rebalance_timeout = view->metadata.rebalance_timeout_ms;
    to->session_timeout = classic->session_timeout_ms;
    for (uint32_t i = 0; i < classic->supported_protocols_count; i++)
        if (str_equal(classic->supported_protocols[i].name, protocol))
            to->subscription = classic->supported_protocols[i].metadata;
    if (err != ERR_NONE) return err;
    return write_parts(step->image, step->arena, holds, version_of(&view->metadata),
                       &to->assignment);
}

void consumer_group_step_write_classic(const struct consumer_group_step *step,
                                       struct group_log *log)
{
    struct group_metadata_value value;
    enum err err = ERR_NONE;

    consumer_group_step_write_gone(step, log);
    group_metadata_value_default(&value);
    value.protocol_type = consumer_type;
    value.generation = step->group->epoch;
    value.protocol = common_protocol(step);
    value.leader = STR_NULL;
    value.current_state_timestamp = step->now.wall.ms;
    value.members = arena_zalloc(log->arena, (step->count + 1) * sizeof *value.members);
    if (value.members == NULL) err = ERR_NO_MEMORY;
    for (uint32_t i = 0; i < step->count && err == ERR_NONE; i++)
        if (!step->views[i].gone)
            err = classic_member(step, &step->views[i], value.protocol,
                                 &value.members[value.members_count++]);
    if (err != ERR_NONE) {
        log->err = err;
        return;
    }
    group_log_group_value(log, step->id, &value);
}

/* ---- JoinGroup ------------------------------------------------------------------------------- */

static bool protocols_fit(struct consumer_group_step *step, const struct group_join *join)
{
    struct str id = join->member_id;
    const struct consumer_group_view *own =
        id.length > 0 ? consumer_group_step_view(step, id) : NULL;

    if (!str_equal(join->protocol_type, consumer_type)) return false;
    for (uint32_t i = 0; i < join->protocols_count; i++)
        if (all_support(step, own, join->protocols[i].name)) return true;
    return false;
}

static enum err find_joining(struct consumer_group_step *step, const struct group_join *join,
                             struct str id, struct consumer_group_view **found)
{
    struct consumer_group_view *holder;

    if (join->instance_id.data == NULL) {
        *found = consumer_group_step_view(step, id);
        return ERR_NONE;
    }
    holder = consumer_group_step_instance(step, join->instance_id);
    if (holder == NULL) return join->member_id.length > 0 ? ERR_UNKNOWN_MEMBER_ID : ERR_NONE;
    if (join->member_id.length > 0 && !str_equal(holder->id, join->member_id))
        return ERR_FENCED_INSTANCE_ID;
    *found = join->member_id.length > 0 ? holder : consumer_group_step_replace(step, holder, id);
    return ERR_NONE;
}

static bool same_protocols(const consumer_group_metadata *metadata, const struct group_join *join)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        &metadata->classic_member_metadata;

    if (!consumer_group_is_classic(metadata) ||
        classic->supported_protocols_count != join->protocols_count)
        return false;
    for (uint32_t i = 0; i < join->protocols_count; i++) {
        struct bytes a = classic->supported_protocols[i].metadata;
        struct bytes b = join->protocols[i].metadata;

        if (!str_equal(classic->supported_protocols[i].name, join->protocols[i].name) ||
            a.length != b.length || (a.length > 0 && memcmp(a.data, b.data, a.length) != 0))
            return false;
    }
    return true;
}

static int32_t rebalance_ms(const struct group_join *join)
{
    return join->rebalance_timeout_ms > 0 ? join->rebalance_timeout_ms : join->session_timeout_ms;
}

/* What it says of itself now. True in *bump: it subscribes to something else. */
static enum err update(struct consumer_group_step *step, struct consumer_group_view *view,
                       const struct group_join *join, const struct subscription *subscription,
                       bool *bump)
{
    consumer_group_metadata *metadata = &view->metadata;
    enum err err = ERR_NONE;

    *bump = metadata->subscribed_topic_regex.data != NULL;
    view->metadata_changed =
        view->metadata_changed || *bump || !same_protocols(metadata, join) ||
        metadata->classic_member_metadata.session_timeout_ms != join->session_timeout_ms ||
        metadata->rebalance_timeout_ms != rebalance_ms(join) ||
        !str_equal(metadata->client_id, join->client_id) ||
        !str_equal(metadata->client_host, join->client_host);
    metadata->subscribed_topic_regex = STR_NULL;
    metadata->server_assignor = STR_NULL;
    metadata->instance_id = join->instance_id;
    metadata->rack_id = subscription->rack;
    metadata->client_id = join->client_id;
    metadata->client_host = join->client_host;
    metadata->rebalance_timeout_ms = rebalance_ms(join);
    metadata->classic_member_metadata.session_timeout_ms = join->session_timeout_ms;
    err = set_protocols(step, view, join->protocols, join->protocols_count);
    if (err == ERR_NONE)
        err = consumer_group_step_subscribe(step, view, subscription->topics,
                                            subscription->topics_count, bump);
    view->metadata_changed = view->metadata_changed || *bump;
    return err;
}

static enum err keep(struct arena *arena, struct str from, struct str *to)
{
    char *copy = arena_alloc(arena, from.length + 1);

    if (copy == NULL) return ERR_NO_MEMORY;
    if (from.length > 0) memcpy(copy, from.data, from.length);
    *to = (struct str){copy, from.length};
    return ERR_NONE;
}

static enum err join_answer(const struct consumer_group_view *view, const struct group_join *join)
{
    struct group_call *call = join->call;

    call->generation = view->epoch;
    call->protocol_type = consumer_type;
    call->leader = STR("");
    call->members_count = 0;
    if (keep(call->arena, view->id, &call->member_id) != ERR_NONE) return ERR_NO_MEMORY;
    return keep(call->arena, join->protocols[0].name, &call->protocol_name);
}

enum err consumer_group_classic_join(struct consumer_group_step *step,
                                     const struct group_join *join)
{
    struct consumer_group_view *view = NULL;
    struct subscription subscription;
    struct str id = join->member_id;
    struct parts owned;
    bool bump = false;
    enum err err;

    if (!protocols_fit(step, join)) return ERR_INCONSISTENT_GROUP_PROTOCOL;
    err = subscription_read(join->protocols[0].metadata, step->arena, &subscription);
    if (err == ERR_MALFORMED) return ERR_INCONSISTENT_GROUP_PROTOCOL;
    if (err != ERR_NONE) return err;
    if (id.length == 0) id = consumer_group_step_id(step, join->fresh);
    if (id.data == NULL) return ERR_NO_MEMORY;
    if (join->member_id.length == 0 && join->instance_id.data == NULL && join->id_required) {
        err = keep(join->call->arena, id, &join->call->member_id);
        return err == ERR_NONE ? ERR_MEMBER_ID_REQUIRED : err;
    }
    err = find_joining(step, join, id, &view);
    if (err != ERR_NONE) return err;
    if (view == NULL && consumer_group_step_full(step)) return ERR_GROUP_MAX_SIZE_REACHED;
    if (view == NULL) view = consumer_group_step_add(step, id);
    if (view->was != NULL) consumer_group_restart_session(view->was, step->config, step->now);
    err = update(step, view, join, &subscription, &bump);
    if (err == ERR_NONE) err = consumer_group_step_epoch(step, bump);
    if (err == ERR_NONE) err = consumer_group_step_target(step);
    if (err == ERR_NONE) err = parts_of(step, subscription.owned, subscription.owned_count, &owned);
    if (err == ERR_NONE) err = consumer_group_step_reconcile(step, view, &owned);
    return err == ERR_NONE ? join_answer(view, join) : err;
}

/* ---- SyncGroup, Heartbeat, LeaveGroup -------------------------------------------------------- */

static enum err find_classic(const struct consumer_group *group, struct str id,
                             struct str instance_id, struct consumer_group_member **found)
{
    struct consumer_group_member *member = consumer_group_find(group, id);

    if (instance_id.data != NULL) {
        struct map_node *node = map_find_str(&group->instances, instance_id);

        if (node == NULL) return ERR_UNKNOWN_MEMBER_ID;
        if (MAP_ENTRY(node, struct consumer_group_member, by_instance) != member)
            return ERR_FENCED_INSTANCE_ID;
    }
    if (member == NULL || !consumer_group_is_classic(&member->metadata))
        return ERR_UNKNOWN_MEMBER_ID;
    *found = member;
    return ERR_NONE;
}

static enum err join_again(struct consumer_group_member *member, struct instant now)
{
    if (member->classic_ns == INT64_MAX)
        member->classic_ns = mono_add_ms(now.mono, member->metadata.rebalance_timeout_ms).ns;
    return ERR_REBALANCE_IN_PROGRESS;
}

static bool says_otherwise(struct str said, struct str is)
{
    return said.data != NULL && !str_equal(said, is);
}

enum err consumer_group_classic_sync(struct consumer_group *group, const struct group_sync *sync,
                                     const struct consumer_group_config *config,
                                     const struct image *image, struct instant now)
{
    struct group_call *call = sync->call;
    struct consumer_group_member *member;
    struct str protocol;
    enum err err = find_classic(group, sync->member_id, sync->instance_id, &member);

    if (err != ERR_NONE) return err;
    if (sync->generation != member->epoch) return ERR_ILLEGAL_GENERATION;
    protocol = member->metadata.classic_member_metadata.supported_protocols[0].name;
    if (says_otherwise(sync->protocol_type, consumer_type) ||
        says_otherwise(sync->protocol_name, protocol))
        return ERR_INCONSISTENT_GROUP_PROTOCOL;
    /* Who gives something up first has joined for that, and joins again when it has. */
    if (group->epoch > member->epoch && member->state != CONSUMER_GROUP_UNREVOKED)
        return join_again(member, now);
    err = write_parts(image, call->arena, member->assigned, version_of(&member->metadata),
                      &call->assignment);
    if (err == ERR_NONE) err = keep(call->arena, protocol, &call->protocol_name);
    if (err != ERR_NONE) return ERR_REBALANCE_IN_PROGRESS; /* no memory: it joins again */
    call->protocol_type = consumer_type;
    call->generation = member->epoch;
    member->classic_ns = INT64_MAX;
    consumer_group_restart_session(member, config, now);
    return ERR_NONE;
}

/* Something of its target is still somebody else's. */
static bool has_to_wait(const struct consumer_group *group,
                        const struct consumer_group_member *member)
{
    for (uint32_t i = 0; i < member->target.count; i++) {
        struct parts_item part = member->target.items[i];

        if (parts_contain(member->assigned, part)) continue;
        MAP_FOR_EACH (node, &group->members) {
            const struct consumer_group_member *other =
                MAP_ENTRY(node, struct consumer_group_member, node);

            if (other != member &&
                (parts_contain(other->assigned, part) || parts_contain(other->revoking, part)))
                return true;
        }
    }
    return false;
}

enum err consumer_group_classic_beat(struct consumer_group *group, const struct group_who *who,
                                     const struct consumer_group_config *config, struct instant now)
{
    struct consumer_group_member *member;
    enum err err = find_classic(group, who->member_id, who->instance_id, &member);

    if (err != ERR_NONE) return err;
    if (who->generation != member->epoch) return ERR_ILLEGAL_GENERATION;
    consumer_group_restart_session(member, config, now);
    if (member->epoch < group->epoch || member->state == CONSUMER_GROUP_UNREVOKED ||
        (member->state == CONSUMER_GROUP_UNRELEASED && !has_to_wait(group, member)))
        return join_again(member, now);
    return ERR_NONE;
}

enum err consumer_group_classic_leave(struct consumer_group_step *step, const struct group_who *who)
{
    struct consumer_group_view *view;

    if (who->instance_id.data != NULL) {
        view = consumer_group_step_instance(step, who->instance_id);
        if (view != NULL && who->member_id.length > 0 && !str_equal(view->id, who->member_id))
            return ERR_FENCED_INSTANCE_ID;
    } else {
        view = consumer_group_step_view(step, who->member_id);
    }
    if (view == NULL || !consumer_group_is_classic(&view->metadata)) return ERR_UNKNOWN_MEMBER_ID;
    consumer_group_step_remove(view);
    return ERR_NONE;
}
