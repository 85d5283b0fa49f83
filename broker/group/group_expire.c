#include "broker/group/group_expire.h"

static bool is_consumer(const struct group *group)
{
    return group->protocol_type.data != NULL && str_equal(group->protocol_type, STR("consumer"));
}

/* When its time began to run; -1: it does not. */
static int64_t base_ms(const struct group_expire *expire, const struct group_offset *offset,
                       bool subscribed)
{
    const struct group *group = expire->group;

    if (expire->consumer != NULL) return subscribed ? -1 : offset->commit_ms;
    switch (group->state) {
    case GROUP_EMPTY:
        if (group->protocol_type.data == NULL || group->state_since_ms < 0)
            return offset->commit_ms;
        return group->state_since_ms;
    case GROUP_STABLE: return is_consumer(group) && !subscribed ? offset->commit_ms : -1;
    case GROUP_PREPARING:
    case GROUP_COMPLETING:
    case GROUP_DEAD: return -1;
    }
    IMPOSSIBLE("state");
}

static bool is_over(const struct group_expire *expire, const struct group_offset *offset,
                    bool subscribed)
{
    int64_t base = base_ms(expire, offset, subscribed);

    if (base < 0) return false;
    if (offset->expire_ms >= 0) return expire->now_ms >= offset->expire_ms;
    return expire->now_ms - base >= expire->retention_ms;
}

/* Who leads its partition knows every topic that an offset was committed for, unless it is gone. */
static bool is_deleted(const struct image *image, struct str name)
{
    const struct image_topic *topic = image_topic_by_name(image, name);

    return topic == NULL || topic->deleted;
}

bool group_expire(const struct group_expire *expire, struct group_log *log)
{
    const struct group *group = expire->group;
    uint32_t left = expire->offsets->count;

    MAP_FOR_EACH (node, &expire->offsets->topics) {
        const struct group_offsets_topic *topic = MAP_ENTRY(node, struct group_offsets_topic, node);
        bool deleted = is_deleted(expire->image, topic->name);
        bool subscribed =
            !deleted &&
            (expire->consumer != NULL ? consumer_group_subscribes(expire->consumer, topic->name)
                                      : group_subscribes(group, topic->name));

        MAP_FOR_EACH (each, &topic->partitions) {
            const struct group_offset *offset = MAP_ENTRY(each, struct group_offset, node);

            if (log->count >= GROUP_EXPIRE_MAX) return false;
            if (!deleted && !is_over(expire, offset, subscribed)) continue;
            group_log_offset_gone(log, group->id, topic->name, offset->partition);
            left--;
        }
    }
    if (left > 0) return false;
    if (expire->consumer != NULL) return expire->consumer->members.count == 0;
    return group->state == GROUP_EMPTY && group->pending_count == 0;
}
