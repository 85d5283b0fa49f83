/* The kept state of a consumer group: records in, questions out. */
#include "broker/group/consumer_group.h"

#include "client/base/assert.h"
#include "client/base/text.h"

#include <string.h>

static struct consumer_group_member *member_of(struct map_node *node)
{
    return MAP_ENTRY(node, struct consumer_group_member, node);
}

struct consumer_group_member *consumer_group_find(const struct consumer_group *group, struct str id)
{
    struct map_node *node = map_find_str(&group->members, id);

    return node != NULL ? member_of(node) : NULL;
}

void consumer_group_metadata_none(consumer_group_metadata *metadata)
{
    consumer_group_member_metadata_value_default(metadata);
    metadata->instance_id = STR_NULL;
    metadata->rack_id = STR_NULL;
    metadata->subscribed_topic_regex = STR_NULL;
    metadata->server_assignor = STR_NULL;
    metadata->classic_member_metadata_null = true;
}

/* ---- life ------------------------------------------------------------------------------------ */

void consumer_group_init(struct consumer_group *group, struct mem *mem, struct str id,
                         uint64_t seed)
{
    *group = (struct consumer_group){.mem = mem, .id = id};
    map_init(&group->members, mem, seed, CONSUMER_GROUP_MEMBERS_MAX);
    map_init(&group->instances, mem, seed, CONSUMER_GROUP_MEMBERS_MAX);
}

static void drop_instance(struct consumer_group *group, struct consumer_group_member *member)
{
    if (member->reachable) map_remove(&group->instances, &member->by_instance);
    member->reachable = false;
}

static void drop_metadata(struct consumer_group *group, struct consumer_group_member *member)
{
    drop_instance(group, member);
    mem_free(group->mem, member->block, member->block_size);
    member->block = NULL;
    member->known = false;
    consumer_group_metadata_none(&member->metadata);
}

static void member_free(struct consumer_group *group, struct consumer_group_member *member)
{
    union {
        const char *view;
        void *block;
    } id = {.view = member->id.data};

    drop_metadata(group, member);
    parts_drop(group->mem, &member->assigned);
    parts_drop(group->mem, &member->revoking);
    parts_drop(group->mem, &member->target);
    map_remove(&group->members, &member->node);
    mem_free(group->mem, id.block, member->id.length + 1);
    mem_free(group->mem, member, sizeof *member);
}

static void drop_topics(struct consumer_group *group)
{
    mem_free(group->mem, group->topics, group->topics_size);
    group->topics = NULL;
    group->topics_count = 0;
    group->topics_size = 0;
}

void consumer_group_deinit(struct consumer_group *group)
{
    MAP_FOR_EACH_SAFE (node, next, &group->members)
        member_free(group, member_of(node));
    drop_topics(group);
    map_deinit(&group->members);
    map_deinit(&group->instances);
}

/* ---- copies that stay ------------------------------------------------------------------------ */

struct block {
    uint8_t *at;
    size_t used;
};

static void *place(struct block *block, size_t size)
{
    uint8_t *at = block->at + block->used;

    block->used += (size + 15) & ~(size_t)15;
    return at;
}

static struct str place_text(struct block *block, struct str from)
{
    char *copy;

    if (from.data == NULL) return STR_NULL;
    copy = place(block, from.length + 1);
    if (from.length > 0) memcpy(copy, from.data, from.length);
    return (struct str){copy, from.length};
}

static size_t room(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

static size_t metadata_size(const consumer_group_metadata *from)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        &from->classic_member_metadata;
    size_t size = room(from->instance_id.length + 1) + room(from->rack_id.length + 1) +
                  room(from->client_id.length + 1) + room(from->client_host.length + 1) +
                  room(from->subscribed_topic_regex.length + 1) +
                  room(from->server_assignor.length + 1) +
                  room(from->subscribed_topic_names_count * sizeof(struct str)) +
                  room(classic->supported_protocols_count * sizeof *classic->supported_protocols);

    for (uint32_t i = 0; i < from->subscribed_topic_names_count; i++)
        size += room(from->subscribed_topic_names[i].length + 1);
    for (uint32_t i = 0; i < classic->supported_protocols_count; i++)
        size += room(classic->supported_protocols[i].name.length + 1) +
                room(classic->supported_protocols[i].metadata.length + 1);
    return size;
}

static void place_classic(struct block *block,
                          struct consumer_group_member_metadata_value_classic_member_metadata *to)
{
    struct consumer_group_member_metadata_value_classic_protocol *protocols =
        place(block, to->supported_protocols_count * sizeof *protocols);

    for (uint32_t i = 0; i < to->supported_protocols_count; i++) {
        struct bytes from = to->supported_protocols[i].metadata;
        uint8_t *copy = place(block, from.length + 1);

        if (from.length > 0) memcpy(copy, from.data, from.length);
        protocols[i].name = place_text(block, to->supported_protocols[i].name);
        protocols[i].metadata = (struct bytes){copy, from.length};
    }
    to->supported_protocols = protocols;
}

static enum err keep_metadata(struct consumer_group *group, struct consumer_group_member *member,
                              const consumer_group_metadata *from)
{
    size_t size = metadata_size(from);
    struct block block = {.at = mem_alloc(group->mem, size)};
    consumer_group_metadata to = *from;
    struct map_node *node;

    if (block.at == NULL) return ERR_NO_MEMORY;
    to.instance_id = place_text(&block, from->instance_id);
    to.rack_id = place_text(&block, from->rack_id);
    to.client_id = place_text(&block, from->client_id);
    to.client_host = place_text(&block, from->client_host);
    to.subscribed_topic_regex = place_text(&block, from->subscribed_topic_regex);
    to.server_assignor = place_text(&block, from->server_assignor);
    to.subscribed_topic_names =
        place(&block, from->subscribed_topic_names_count * sizeof *to.subscribed_topic_names);
    for (uint32_t i = 0; i < from->subscribed_topic_names_count; i++)
        to.subscribed_topic_names[i] = place_text(&block, from->subscribed_topic_names[i]);
    place_classic(&block, &to.classic_member_metadata);
    ASSERT(block.used <= size);
    drop_metadata(group, member);
    member->block = block.at;
    member->block_size = size;
    member->metadata = to;
    member->known = true;
    if (to.instance_id.data == NULL) return ERR_NONE;
    node = map_find_str(&group->instances, to.instance_id); /* of a record that is older */
    if (node != NULL)
        drop_instance(group, MAP_ENTRY(node, struct consumer_group_member, by_instance));
    if (map_add_str(&group->instances, &member->by_instance, to.instance_id) != ERR_NONE)
        return ERR_NO_MEMORY;
    member->reachable = true;
    return ERR_NONE;
}

/* ---- replay ---------------------------------------------------------------------------------- */

static enum err member_make(struct consumer_group *group, struct str id,
                            struct consumer_group_member **made)
{
    struct consumer_group_member *member = consumer_group_find(group, id);
    char *copy;

    *made = member;
    if (member != NULL) return ERR_NONE;
    member = mem_zalloc(group->mem, sizeof *member);
    copy = mem_alloc(group->mem, id.length + 1);
    if (member == NULL || copy == NULL) goto out;
    if (id.length > 0) memcpy(copy, id.data, id.length);
    member->id = (struct str){copy, id.length};
    member->session_ns = member->rebalance_ns = member->classic_ns = INT64_MAX;
    consumer_group_metadata_none(&member->metadata);
    if (map_add_str(&group->members, &member->node, member->id) != ERR_NONE) goto out;
    *made = member;
    return ERR_NONE;
out:
    mem_free(group->mem, member, sizeof *member);
    mem_free(group->mem, copy, id.length + 1);
    return ERR_NO_MEMORY;
}

static void trace_part(const struct consumer_group *group,
                       const struct consumer_group_member *member, struct parts_item part,
                       int64_t holds)
{
    char id[UUID_TEXT + 1];
    char buffer[640];
    struct text text;

    uuid_print(part.topic, id);
    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%S %S %s", group->id, member->id, id);
    TRACE_TEXT(group->world, GROUP_HOLDS, text_view(&text), group->partition, group->leader_epoch,
               part.partition, member->epoch, holds);
}

/* What it holds now and did not, and what it held and does not. */
static void trace_parts(const struct consumer_group *group,
                        const struct consumer_group_member *member, struct parts before_assigned,
                        struct parts before_revoking)
{
    if (group->world == NULL) return;
    for (uint32_t i = 0; i < before_assigned.count + before_revoking.count; i++) {
        struct parts_item part = i < before_assigned.count
                                     ? before_assigned.items[i]
                                     : before_revoking.items[i - before_assigned.count];

        if (!parts_contain(member->assigned, part) && !parts_contain(member->revoking, part))
            trace_part(group, member, part, 0);
    }
    for (uint32_t i = 0; i < member->assigned.count + member->revoking.count; i++) {
        struct parts_item part = i < member->assigned.count
                                     ? member->assigned.items[i]
                                     : member->revoking.items[i - member->assigned.count];

        if (!parts_contain(before_assigned, part) && !parts_contain(before_revoking, part))
            trace_part(group, member, part, 1);
    }
}

static void trace_member(const struct consumer_group *group,
                         const struct consumer_group_member *member, bool gone)
{
    char buffer[600];
    struct text text;

    if (group->world == NULL) return;
    text_init(&text, buffer, sizeof buffer);
    text_format(&text, "%S %S", group->id, member->id);
    TRACE_TEXT(group->world, GROUP_MEMBER, text_view(&text), group->partition, group->leader_epoch,
               gone ? -1 : member->epoch, (int64_t)member->state, (int64_t)member->assigned.count,
               (int64_t)member->revoking.count);
}

static void trace_group(const struct consumer_group *group)
{
    if (group->world == NULL) return;
    TRACE_TEXT(group->world, GROUP_EPOCHS, group->id, group->partition, group->leader_epoch,
               group->epoch, group->assignment_epoch, (int64_t)group->members.count);
}

static enum err replay_current(struct consumer_group *group, struct consumer_group_member *member,
                               const struct group_log_read *read, bool live, struct instant now)
{
    struct parts assigned = member->assigned;
    struct parts revoking = member->revoking;
    enum err err;

    member->assigned = member->revoking = PARTS_NONE;
    err = parts_keep(group->mem, read->assigned, &member->assigned);
    if (err == ERR_NONE) err = parts_keep(group->mem, read->revoking, &member->revoking);
    if (err != ERR_NONE) {
        parts_drop(group->mem, &member->assigned);
        member->assigned = assigned;
        member->revoking = revoking;
        return err;
    }
    member->epoch = read->tombstone ? CONSUMER_GROUP_LEAVE : read->epoch;
    member->previous_epoch = read->tombstone ? CONSUMER_GROUP_LEAVE : read->previous_epoch;
    member->state = read->tombstone ? CONSUMER_GROUP_STABLE : read->state;
    member->rebalance_ns = INT64_MAX;
    if (live && member->state == CONSUMER_GROUP_UNREVOKED && member->known)
        member->rebalance_ns = mono_add_ms(now.mono, member->metadata.rebalance_timeout_ms).ns;
    trace_parts(group, member, assigned, revoking);
    trace_member(group, member, false);
    parts_drop(group->mem, &assigned);
    parts_drop(group->mem, &revoking);
    return ERR_NONE;
}

static enum err keep_topics(struct consumer_group *group, const struct group_log_read *read)
{
    size_t size = room(read->topics_count * sizeof *group->topics);
    struct block block;

    for (uint32_t i = 0; i < read->topics_count; i++)
        size += room(read->topics[i].topic_name.length + 1);
    block = (struct block){.at = size > 0 ? mem_alloc(group->mem, size) : NULL};
    if (size > 0 && block.at == NULL) return ERR_NO_MEMORY;
    drop_topics(group);
    if (size == 0) return ERR_NONE;
    group->topics = place(&block, read->topics_count * sizeof *group->topics);
    group->topics_size = size;
    for (uint32_t i = 0; i < read->topics_count; i++) {
        group->topics[i] =
            (struct consumer_group_topic){.name = place_text(&block, read->topics[i].topic_name),
                                          .id = read->topics[i].topic_id,
                                          .partitions = read->topics[i].num_partitions};
        group->topics_count++;
    }
    return ERR_NONE;
}

/* Records 5, 7, 8. A value may come before the other two of its member: the log is compacted. */
static enum err replay_member(struct consumer_group *group, const struct group_log_read *read,
                              const struct consumer_group_config *config, bool live,
                              struct instant now)
{
    struct consumer_group_member *member = consumer_group_find(group, read->member);
    enum err err = ERR_NONE;

    if (member == NULL && read->tombstone) return ERR_NONE;
    if (member == NULL) err = member_make(group, read->member, &member);
    if (err != ERR_NONE) return err;
    if (read->kind == GROUP_LOG_CONSUMER_TARGET)
        return parts_keep(group->mem, read->assigned, &member->target);
    if (read->kind == GROUP_LOG_CONSUMER_CURRENT)
        return replay_current(group, member, read, live, now);
    if (read->tombstone) {
        struct parts held = member->assigned;
        struct parts revoked = member->revoking;

        member->assigned = member->revoking = PARTS_NONE;
        trace_parts(group, member, held, revoked);
        trace_member(group, member, true);
        parts_drop(group->mem, &held);
        parts_drop(group->mem, &revoked);
        member_free(group, member);
        return ERR_NONE;
    }
    err = keep_metadata(group, member, &read->member_metadata);
    if (err == ERR_NONE && live) consumer_group_restart_session(member, config, now);
    return err;
}

enum err consumer_group_replay(struct consumer_group *group, const struct group_log_read *read,
                               const struct consumer_group_config *config, bool live,
                               struct instant now, bool *over)
{
    *over = false;
    switch (read->kind) {
    case GROUP_LOG_CONSUMER_GROUP:
        *over = read->tombstone;
        group->epoch = read->tombstone ? 0 : read->epoch;
        if (live) trace_group(group);
        return ERR_NONE;
    case GROUP_LOG_CONSUMER_TOPICS: group->image_compared = false; return keep_topics(group, read);
    case GROUP_LOG_CONSUMER_TARGET_EPOCH:
        group->assignment_epoch = read->tombstone ? 0 : read->epoch;
        if (live && !read->tombstone) trace_group(group);
        return ERR_NONE;
    case GROUP_LOG_CONSUMER_MEMBER:
    case GROUP_LOG_CONSUMER_TARGET:
    case GROUP_LOG_CONSUMER_CURRENT: return replay_member(group, read, config, live, now);
    case GROUP_LOG_OFFSET:
    case GROUP_LOG_GROUP:
    case GROUP_LOG_UNKNOWN: break;
    }
    IMPOSSIBLE("a record of another kind of group");
}

void consumer_group_loaded(struct consumer_group *group, const struct consumer_group_config *config,
                           struct instant now)
{
    MAP_FOR_EACH_SAFE (node, next, &group->members) {
        struct consumer_group_member *member = member_of(node);

        if (!member->known) { /* half of its tombstones were compacted away */
            member_free(group, member);
            continue;
        }
        consumer_group_restart_session(member, config, now);
        if (member->state == CONSUMER_GROUP_UNREVOKED)
            member->rebalance_ns = mono_add_ms(now.mono, member->metadata.rebalance_timeout_ms).ns;
    }
    trace_group(group);
}

/* ---- time ------------------------------------------------------------------------------------ */

void consumer_group_restart_session(struct consumer_group_member *member,
                                    const struct consumer_group_config *config, struct instant now)
{
    int64_t timeout_ms = consumer_group_is_classic(&member->metadata)
                             ? member->metadata.classic_member_metadata.session_timeout_ms
                             : config->session_timeout_ms;

    member->session_ns = mono_add_ms(now.mono, timeout_ms).ns;
}

int64_t consumer_group_next_deadline(const struct consumer_group *group)
{
    int64_t first = INT64_MAX;

    MAP_FOR_EACH (node, &group->members) {
        const struct consumer_group_member *member = member_of(node);

        if (member->session_ns < first) first = member->session_ns;
        if (member->rebalance_ns < first) first = member->rebalance_ns;
        if (member->classic_ns < first) first = member->classic_ns;
    }
    return first;
}

/* ---- questions ------------------------------------------------------------------------------- */

struct str consumer_group_assignor_name(enum consumer_group_assignor assignor)
{
    switch (assignor) {
    case CONSUMER_GROUP_UNIFORM: return STR("uniform");
    case CONSUMER_GROUP_RANGE: return STR("range");
    }
    IMPOSSIBLE("assignor");
}

enum consumer_group_assignor consumer_group_assignor_of(const struct consumer_group *group,
                                                        const struct consumer_group_config *config)
{
    uint32_t votes[CONSUMER_GROUP_ASSIGNORS] = {0};
    enum consumer_group_assignor most = config->assignors[0];

    MAP_FOR_EACH (node, &group->members) {
        struct str wish = member_of(node)->metadata.server_assignor;

        for (uint32_t i = 0; wish.data != NULL && i < config->assignors_count; i++)
            if (str_equal(wish, consumer_group_assignor_name(config->assignors[i])))
                votes[config->assignors[i]]++;
    }
    for (uint32_t i = 0; i < config->assignors_count; i++)
        if (votes[config->assignors[i]] > votes[most]) most = config->assignors[i];
    return most;
}

const char *consumer_group_state_name(const struct consumer_group *group)
{
    if (group->members.count == 0) return "Empty";
    if (group->epoch > group->assignment_epoch) return "Assigning";
    MAP_FOR_EACH (node, &group->members) {
        const struct consumer_group_member *member = member_of(node);

        if (member->state != CONSUMER_GROUP_STABLE || member->epoch != group->assignment_epoch)
            return "Reconciling";
    }
    return "Stable";
}

bool consumer_group_subscribes(const struct consumer_group *group, struct str topic)
{
    if (group->members.count == 0) return false;
    for (uint32_t i = 0; i < group->topics_count; i++)
        if (str_equal(group->topics[i].name, topic)) return true;
    MAP_FOR_EACH (node, &group->members) {
        const consumer_group_metadata *metadata = &member_of(node)->metadata;

        for (uint32_t i = 0; i < metadata->subscribed_topic_names_count; i++)
            if (str_equal(metadata->subscribed_topic_names[i], topic)) return true;
    }
    return false;
}

static enum err check_epoch(const struct consumer_group_member *member, int32_t epoch)
{
    if (epoch == member->epoch) return ERR_NONE;
    return consumer_group_is_classic(&member->metadata) ? ERR_ILLEGAL_GENERATION
                                                        : ERR_STALE_MEMBER_EPOCH;
}

enum err consumer_group_commit(const struct consumer_group *group,
                               const struct consumer_group_who *who)
{
    const struct consumer_group_member *member;

    if (who->epoch < 0 && group->members.count == 0) return ERR_NONE;
    member = consumer_group_find(group, who->member_id);
    if (member == NULL) return ERR_UNKNOWN_MEMBER_ID;
    if (!who->epochs_known && !consumer_group_is_classic(&member->metadata))
        return ERR_UNSUPPORTED_VERSION;
    if (who->instance_id.data != NULL &&
        (member->metadata.instance_id.data == NULL ||
         !str_equal(member->metadata.instance_id, who->instance_id)))
        return ERR_FENCED_INSTANCE_ID;
    return check_epoch(member, who->epoch);
}

enum err consumer_group_fetch(const struct consumer_group *group, struct str member_id,
                              int32_t epoch)
{
    const struct consumer_group_member *member;

    if (member_id.data == NULL && epoch < 0) return ERR_NONE;
    member = consumer_group_find(group, member_id);
    return member == NULL ? ERR_UNKNOWN_MEMBER_ID : check_epoch(member, epoch);
}

/* ---- invariants ------------------------------------------------------------------------------ */

void consumer_group_check(const struct consumer_group *group)
{
    uint32_t statics = 0;

    MAP_FOR_EACH (node, &group->members) {
        const struct consumer_group_member *member = member_of(node);

        statics += member->reachable;
        ASSERT(member->epoch <= group->epoch);
        ASSERT(!parts_overlap(member->assigned, member->revoking));
    }
    ASSERT(statics == group->instances.count);
    ASSERT(group->assignment_epoch <= group->epoch);
}
