/* Giving up partitions and taking them over, in step with the application:
 *
 *   marked `revoking`  --GIVING_POLL-->  the application polled: positions are those it processed
 *                      --GIVING_COMMIT-> committed, if that is automatic (not when they are lost)
 *                      --GIVING_EVENT--> REVOKED or LOST told and handled, then they are gone
 *
 * From the mark on no record of them is handed out, so a committed position is never behind what
 * was processed by more than what the application holds in its hands. */
#include "client/membership.h"

static struct consumer_partition *partition_of(struct list *link)
{
    return LIST_ENTRY(link, struct consumer_partition, link);
}

static bool any_revoking(const struct membership *member)
{
    LIST_FOR_EACH (link, &member->consumer->partitions)
        if (partition_of(link)->revoking) return true;
    return false;
}

bool membership_mark(struct membership *member)
{
    bool all = member->generation < 0 || !membership_cooperative(member) || member->closing ||
               (member->subscribed_count == 0 && member->pattern == NULL);
    bool any = false;

    if (!member->managed) return false;
    LIST_FOR_EACH (link, &member->consumer->partitions) {
        struct consumer_partition *partition = partition_of(link);

        if (!all && membership_subscribes(member, metadata_name(partition->topic))) continue;
        partition->revoking = true;
        any = true;
    }
    return any;
}

static void tell(struct membership *member, enum membership_event event)
{
    ASSERT(member->event == MEMBERSHIP_NOTHING);
    member->event = event;
    member->event_told = false;
    op_wake(&member->consumer->ready);
}

static void trace_owns(struct membership *member, const struct consumer_partition *partition,
                       int32_t generation, int64_t how)
{
    const int64_t fields[] = {partition->index, generation, how};

    membership_trace_partition(member, TRACE_CLIENT_OWNS, metadata_name(partition->topic), fields,
                               COUNT_OF(fields));
}

static void drop_revoking(struct membership *member)
{
    int64_t how = member->generation < 0 ? MEMBERSHIP_OWNS_LOST : MEMBERSHIP_OWNS_REVOKED;

    LIST_FOR_EACH_SAFE (link, after, &member->consumer->partitions) {
        struct consumer_partition *partition = partition_of(link);

        if (!partition->revoking) continue;
        trace_owns(member, partition, member->generation, how);
        consumer_unassign(partition);
    }
    member->round++;
}

/* Waits for nothing that the application has to do when there is no hope of it. */
static bool heard_of(const struct membership *member)
{
    return member->polled || member->closing || member->generation < 0;
}

bool membership_give_up(struct membership *member)
{
    for (;;) {
        switch (member->giving) {
        case GIVING_NOTHING:
            if (!any_revoking(member)) {
                if (!member->closing || member->managed || member->leave_sent) return true;
                /* At the close of a consumer without a subscription only the commit is left. */
                member->leave_sent = true;
            }
            member->polled = false;
            member->giving = GIVING_POLL;
            op_wake(&member->consumer->ready);
            break;
        case GIVING_POLL:
            if (!heard_of(member) || member->own_used) return false;
            member->giving = GIVING_COMMIT;
            if (!member->config.auto_commit) break;
            membership_auto_commit(
                member, true,
                member->closing
                    ? member->close_deadline_ns
                    : env_deadline(member->env, member->config.max_poll_interval_ms / 2));
            break;
        case GIVING_COMMIT:
            if (member->own_used) return false;
            member->giving = GIVING_EVENT;
            if (!any_revoking(member)) break;
            tell(member, member->generation < 0 ? MEMBERSHIP_LOST : MEMBERSHIP_REVOKED);
            break;
        case GIVING_EVENT:
            if (member->event != MEMBERSHIP_NOTHING) return false;
            drop_revoking(member);
            member->giving = GIVING_NOTHING;
            return true;
        }
    }
}

/* ---- a new assignment ----------------------------------------------------------------------- */

static enum err read_assignment(struct membership *member,
                                struct subscription_assignment *assignment)
{
    arena_reset(&member->arena);
    return subscription_assignment_read(
        (struct bytes){member->assignment, member->assignment_length}, &member->arena, assignment);
}

enum err membership_mark_left_out(struct membership *member)
{
    struct subscription_assignment assignment;
    enum err err = read_assignment(member, &assignment);

    if (err != ERR_NONE) return err;
    LIST_FOR_EACH (link, &member->consumer->partitions)
        partition_of(link)->claimed = false;
    for (uint32_t t = 0; t < assignment.topics_count; t++) {
        const struct subscription_topic *topic = &assignment.topics[t];

        for (uint32_t p = 0; p < topic->partitions_count; p++) {
            struct consumer_partition *partition =
                consumer_find(member->consumer, topic->name, topic->partitions[p]);

            if (partition != NULL) partition->claimed = true;
        }
    }
    member->gave = false;
    LIST_FOR_EACH (link, &member->consumer->partitions) {
        struct consumer_partition *partition = partition_of(link);

        partition->revoking = !partition->claimed;
        if (partition->revoking) member->gave = true;
    }
    arena_reset(&member->arena);
    return ERR_NONE;
}

static enum err take_new(struct membership *member)
{
    const struct consumer_start start = {.waiting = true};
    struct subscription_assignment assignment;
    enum err err = read_assignment(member, &assignment);

    for (uint32_t t = 0; t < assignment.topics_count && err == ERR_NONE; t++) {
        const struct subscription_topic *topic = &assignment.topics[t];

        for (uint32_t p = 0; p < topic->partitions_count && err == ERR_NONE; p++) {
            struct consumer_partition *made;

            if (topic->partitions[p] < 0) return ERR_MALFORMED;
            if (consumer_find(member->consumer, topic->name, topic->partitions[p]) != NULL)
                continue;
            err =
                consumer_assign(member->consumer, topic->name, topic->partitions[p], start, &made);
            if (err != ERR_NONE) break;
            made->fresh = true;
            trace_owns(member, made, member->generation, MEMBERSHIP_OWNS_ASSIGNED);
        }
    }
    arena_reset(&member->arena);
    return err;
}

bool membership_take_over(struct membership *member)
{
    enum err err;

    if (!member->assigned) {
        err = take_new(member);
        if (err != ERR_NONE) {
            membership_fail(member, err);
            return false;
        }
        member->assigned = true;
        member->round++;
        tell(member, MEMBERSHIP_ASSIGNED);
    }
    return member->event == MEMBERSHIP_NOTHING;
}
