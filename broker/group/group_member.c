/* Members of a group: made, changed, removed; votes for the protocol. Strings of a member stand in
 * its own block; protocols and assignments, which change, in blocks of their own. */
#include "broker/group/group_internal.h"

#include "client/wire/wire.h"

#include <string.h>

static struct str put(uint8_t **at, struct str from)
{
    struct str to = {(const char *)*at, from.length};

    if (from.data == NULL) return STR_NULL;
    if (from.length > 0) memcpy(*at, from.data, from.length);
    *at += from.length;
    return to;
}

/* ---- protocols ------------------------------------------------------------------------------- */

static size_t protocols_size(const struct group_protocol *protocols, uint32_t count)
{
    size_t size = (count + 1) * sizeof *protocols;

    for (uint32_t i = 0; i < count; i++)
        size += protocols[i].name.length + protocols[i].metadata.length;
    return size;
}

static struct group_protocol *copy_protocols(struct mem *mem, const struct group_protocol *from,
                                             uint32_t count, size_t *size)
{
    struct group_protocol *to;
    uint8_t *at;

    *size = protocols_size(from, count);
    to = *size > MEM_MAX ? NULL : mem_alloc(mem, *size);
    if (to == NULL) return NULL;
    at = (uint8_t *)(to + count + 1);
    for (uint32_t i = 0; i < count; i++) {
        to[i].name = put(&at, from[i].name);
        to[i].metadata = (struct bytes){at, from[i].metadata.length};
        if (from[i].metadata.length > 0) memcpy(at, from[i].metadata.data, from[i].metadata.length);
        at += from[i].metadata.length;
    }
    return to;
}

bool group_member_supports(const struct group_member *member, struct str protocol)
{
    for (uint32_t i = 0; i < member->protocols_count; i++)
        if (str_equal(member->protocols[i].name, protocol)) return true;
    return false;
}

/* Byte for byte, in the same order. */
bool group_member_same_protocols(const struct group_member *member, const struct group_join *join)
{
    if (member->protocols_count != join->protocols_count) return false;
    for (uint32_t i = 0; i < member->protocols_count; i++) {
        const struct group_protocol *a = &member->protocols[i];
        const struct group_protocol *b = &join->protocols[i];

        if (!str_equal(a->name, b->name) || a->metadata.length != b->metadata.length) return false;
        if (a->metadata.length > 0 &&
            memcmp(a->metadata.data, b->metadata.data, a->metadata.length) != 0)
            return false;
    }
    return true;
}

static bool supported_by_all(const struct group *group, struct str protocol)
{
    MAP_FOR_EACH (node, &group->members)
        if (!group_member_supports(group_member_of(node), protocol)) return false;
    return true;
}

/* A member votes for the first of its names that all support. */
static struct str vote_of(const struct group *group, const struct group_member *member)
{
    for (uint32_t i = 0; i < member->protocols_count; i++)
        if (supported_by_all(group, member->protocols[i].name)) return member->protocols[i].name;
    return STR_NULL;
}

static uint32_t votes_for(const struct group *group, struct str protocol)
{
    uint32_t votes = 0;

    MAP_FOR_EACH (node, &group->members)
        votes += str_equal(vote_of(group, group_member_of(node)), protocol) ? 1 : 0;
    return votes;
}

struct str group_vote(const struct group *group)
{
    const struct group_member *leader = group->leader;
    struct str best = STR_NULL;
    uint32_t most = 0;

    /* Every candidate is supported by the leader too, so its list has them all. */
    if (leader == NULL) return STR_NULL;
    for (uint32_t i = 0; i < leader->protocols_count; i++) {
        struct str name = leader->protocols[i].name;
        uint32_t votes;

        if (!supported_by_all(group, name)) continue;
        votes = votes_for(group, name);
        if (best.data == NULL || votes > most) {
            best = name;
            most = votes;
        }
    }
    return best;
}

/* ---- members --------------------------------------------------------------------------------- */

static void take_timeouts(struct group_member *member, const struct group_join *join)
{
    member->session_timeout_ms = join->session_timeout_ms;
    /* Version 0 has none: the session's. */
    member->rebalance_timeout_ms =
        join->rebalance_timeout_ms > 0 ? join->rebalance_timeout_ms : join->session_timeout_ms;
}

static void member_free(struct group *group, struct group_member *member)
{
    group_member_unassign(group, &member->assignment);
    group_member_unassign(group, &member->proposed);
    mem_free(group->mem, member->protocols, member->protocols_size);
    mem_free(group->mem, member, member->block_size);
}

static enum err put_in_maps(struct group *group, struct group_member *member)
{
    enum err err = map_add_str(&group->members, &member->node, member->id);

    if (err != ERR_NONE || member->instance_id.data == NULL) return err;
    err = map_add_str(&group->instances, &member->by_instance, member->instance_id);
    if (err != ERR_NONE) map_remove(&group->members, &member->node);
    return err;
}

enum err group_member_add(struct group *group, const struct group_join *join, struct str id,
                          struct group_member **added)
{
    size_t size = sizeof(struct group_member) + id.length + join->instance_id.length +
                  join->client_id.length + join->client_host.length;
    struct group_member *member = mem_zalloc(group->mem, size);
    uint8_t *at;

    if (member == NULL) return ERR_NO_MEMORY;
    member->block_size = size;
    at = (uint8_t *)(member + 1);
    member->id = put(&at, id);
    member->instance_id = put(&at, join->instance_id);
    member->client_id = put(&at, join->client_id);
    member->client_host = put(&at, join->client_host);
    member->deadline_ns = INT64_MAX;
    take_timeouts(member, join);
    member->protocols =
        copy_protocols(group->mem, join->protocols, join->protocols_count, &member->protocols_size);
    member->protocols_count = join->protocols_count;
    if (member->protocols == NULL) {
        mem_free(group->mem, member, size);
        return ERR_NO_MEMORY;
    }
    if (put_in_maps(group, member) != ERR_NONE) {
        member_free(group, member);
        return ERR_NO_MEMORY;
    }
    if (group->leader == NULL) group->leader = member;
    *added = member;
    return ERR_NONE;
}

enum err group_member_update(struct group *group, struct group_member *member,
                             const struct group_join *join)
{
    struct group_protocol *protocols;
    size_t size;

    if (!group_member_same_protocols(member, join)) {
        protocols = copy_protocols(group->mem, join->protocols, join->protocols_count, &size);
        if (protocols == NULL) return ERR_NO_MEMORY;
        mem_free(group->mem, member->protocols, member->protocols_size);
        member->protocols = protocols;
        member->protocols_size = size;
        member->protocols_count = join->protocols_count;
    }
    take_timeouts(member, join);
    return ERR_NONE;
}

void group_member_remove(struct group *group, struct group_member *member, enum err err,
                         struct group_effects *effects)
{
    group_answer(&member->join, err, effects);
    group_answer(&member->sync, err, effects);
    group_answer(&member->replace, err, effects);
    map_remove(&group->members, &member->node);
    if (member->instance_id.data != NULL) map_remove(&group->instances, &member->by_instance);
    if (group->leader == member) {
        struct map_node *first = map_first(&group->members);

        group->leader = first != NULL ? group_member_of(first) : NULL;
    }
    member_free(group, member);
}

enum err group_member_assign(struct group *group, struct bytes *place, struct bytes value)
{
    uint8_t *copy = NULL;

    if (value.length > 0) {
        copy = value.length > MEM_MAX ? NULL : mem_alloc(group->mem, value.length);
        if (copy == NULL) return ERR_NO_MEMORY;
        memcpy(copy, value.data, value.length);
    }
    group_member_unassign(group, place);
    *place = (struct bytes){copy, value.length};
    return ERR_NONE;
}

/* The copy is ours: the const is the view's. */
void group_member_unassign(struct group *group, struct bytes *place)
{
    union {
        const uint8_t *view;
        void *block;
    } owned = {.view = place->data};

    if (place->length > 0) mem_free(group->mem, owned.block, place->length);
    *place = BYTES_NULL;
}

/* ---- pending members ------------------------------------------------------------------------- */

enum err group_pending_add(struct group *group, struct str id, int64_t deadline_ns)
{
    size_t size = sizeof(struct group_pending) + id.length;
    struct group_pending *pending;
    uint8_t *at;

    if (group->pending_count >= GROUP_MEMBERS_MAX) return ERR_TOO_MANY;
    pending = mem_zalloc(group->mem, size);
    if (pending == NULL) return ERR_NO_MEMORY;
    at = (uint8_t *)(pending + 1);
    pending->block_size = size;
    pending->deadline_ns = deadline_ns;
    pending->id = put(&at, id);
    list_init(&pending->link);
    list_push(&group->pending, &pending->link);
    group->pending_count++;
    return ERR_NONE;
}

struct group_pending *group_pending_find(const struct group *group, struct str id)
{
    LIST_FOR_EACH (link, &group->pending) {
        struct group_pending *pending = LIST_ENTRY(link, struct group_pending, link);

        if (str_equal(pending->id, id)) return pending;
    }
    return NULL;
}

void group_pending_drop(struct group *group, struct group_pending *pending)
{
    list_remove(&pending->link);
    group->pending_count--;
    mem_free(group->mem, pending, pending->block_size);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

/* Topics that a member of the group subscribes to: ConsumerProtocolSubscription begins with a
 * version and the names (groups.md 9.1). Bytes that do not parse subscribe to nothing. */
static bool names(struct bytes subscription, struct str topic)
{
    struct wire_reader reader;
    int32_t count;

    wire_reader_init(&reader, subscription.data, subscription.length);
    if (wire_read_int16(&reader) < 0) return false;
    count = wire_read_int32(&reader);
    for (int32_t i = 0; i < count && reader.error == ERR_NONE; i++) {
        struct str name = wire_read_plain_string(&reader, false);

        if (reader.error == ERR_NONE && str_equal(name, topic)) return true;
    }
    return false;
}

bool group_subscribes(const struct group *group, struct str topic)
{
    MAP_FOR_EACH (node, &group->members) {
        const struct group_member *member = MAP_ENTRY(node, struct group_member, node);

        for (uint32_t i = 0; i < member->protocols_count; i++)
            if (names(member->protocols[i].metadata, topic)) return true;
    }
    return false;
}
