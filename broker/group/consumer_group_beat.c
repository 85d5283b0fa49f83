/* ConsumerGroupHeartbeat, and what happens without one (groups.md 8.1 to 8.5). */
#include "broker/group/consumer_group.h"

#include "client/base/assert.h"
#include "client/base/uuid.h"
#include "client/pattern.h"

#include <string.h>

/* ---- is it a request at all? ----------------------------------------------------------------- */

static void refuse(struct consumer_group_answer *answer, enum err err, struct str message)
{
    answer->err = err;
    answer->message = message;
}

static bool is_empty(struct str text)
{
    return text.data != NULL && text.length == 0;
}

static bool supports(const struct consumer_group_config *config, struct str assignor)
{
    for (uint32_t i = 0; i < config->assignors_count; i++)
        if (str_equal(consumer_group_assignor_name(config->assignors[i]), assignor)) return true;
    return false;
}

static struct str join_fault(const struct consumer_group_beat *beat)
{
    if (beat->rebalance_timeout_ms == -1) return STR("RebalanceTimeoutMs must be set at first.");
    if (beat->owned_null || beat->owned.count > 0)
        return STR("TopicPartitions must be empty when (re-)joining.");
    if ((beat->topics_null || beat->topics_count == 0) && beat->regex.length == 0)
        return STR("SubscribedTopicNames or SubscribedTopicRegex must be set at first.");
    if (beat->own_id && beat->member_id.length == 0) return STR("MemberId can't be empty.");
    return STR_NULL;
}

static struct str fault(const struct consumer_group_beat *beat)
{
    if (is_empty(beat->instance_id)) return STR("InstanceId can't be empty.");
    if (is_empty(beat->rack_id)) return STR("RackId can't be empty.");
    if (beat->epoch < CONSUMER_GROUP_LEAVE_STATIC) return STR("MemberEpoch is invalid.");
    if (beat->epoch == 0) return join_fault(beat);
    if (beat->member_id.length == 0) return STR("MemberId can't be empty.");
    if (beat->epoch == CONSUMER_GROUP_LEAVE_STATIC && beat->instance_id.data == NULL)
        return STR("InstanceId can't be null.");
    return STR_NULL;
}

bool consumer_group_beat_ok(const struct consumer_group_beat *beat,
                            const struct consumer_group_config *config, struct arena *arena,
                            struct consumer_group_answer *answer)
{
    struct str wrong = fault(beat);
    struct pattern *pattern;
    enum err err;

    if (wrong.data != NULL) {
        refuse(answer, ERR_INVALID_REQUEST, wrong);
        return false;
    }
    if (beat->assignor.data != NULL && !supports(config, beat->assignor)) {
        refuse(answer, ERR_UNSUPPORTED_ASSIGNOR, STR("ServerAssignor is not supported."));
        return false;
    }
    if (beat->regex.data == NULL || beat->regex.length == 0) return true;
    pattern = arena_alloc(arena, sizeof *pattern);
    err = pattern != NULL ? pattern_compile(pattern, beat->regex) : ERR_NO_MEMORY;
    if (err == ERR_NONE) return true;
    refuse(answer,
           err == ERR_NO_MEMORY ? ERR_COORDINATOR_NOT_AVAILABLE : ERR_INVALID_REGULAR_EXPRESSION,
           STR("SubscribedTopicRegex is not a pattern that is supported."));
    return false;
}

/* ---- who is it? ------------------------------------------------------------------------------ */

/* A member whose answer was lost comes with the epoch before (groups.md 8.2). One that begins anew
 * with its id comes with 0 and nothing in its hands. */
static bool epoch_ok(const struct consumer_group_view *view, const struct consumer_group_beat *beat)
{
    if (beat->epoch == view->epoch || beat->epoch == 0) return true;
    return beat->epoch < view->epoch && beat->epoch == view->previous_epoch && !beat->owned_null &&
           parts_subset(beat->owned, view->assigned);
}

static enum err find_static(struct consumer_group_step *step,
                            const struct consumer_group_beat *beat,
                            struct consumer_group_view **found)
{
    struct consumer_group_view *holder = consumer_group_step_instance(step, beat->instance_id);
    bool same = holder != NULL && str_equal(holder->id, beat->member_id);

    if (beat->epoch == 0) {
        if (holder == NULL) return ERR_NONE;
        /* One of the classic protocol does not say that it goes: it is replaced at any time. */
        if (holder->epoch == CONSUMER_GROUP_LEAVE_STATIC ||
            (!same && consumer_group_is_classic(&holder->metadata))) {
            *found = consumer_group_step_replace(step, holder, beat->member_id);
            return ERR_NONE;
        }
        /* Its own join again, or somebody else's while it lives. */
        if (!same) return ERR_UNRELEASED_INSTANCE_ID;
        *found = holder;
        return ERR_NONE;
    }
    if (holder == NULL) return ERR_UNKNOWN_MEMBER_ID;
    if (!same) return ERR_FENCED_INSTANCE_ID;
    *found = holder;
    if (beat->epoch < 0) return ERR_NONE;
    return epoch_ok(holder, beat) ? ERR_NONE : ERR_FENCED_MEMBER_EPOCH;
}

static enum err find_dynamic(struct consumer_group_step *step,
                             const struct consumer_group_beat *beat,
                             struct consumer_group_view **found)
{
    struct consumer_group_view *view = consumer_group_step_view(step, beat->member_id);

    *found = view;
    if (view == NULL) return beat->epoch == 0 ? ERR_NONE : ERR_UNKNOWN_MEMBER_ID;
    if (beat->epoch < 0) return ERR_NONE;
    return epoch_ok(view, beat) ? ERR_NONE : ERR_FENCED_MEMBER_EPOCH;
}

/* ---- what it says of itself ------------------------------------------------------------------ */

static bool same_text(struct str a, struct str b)
{
    return (a.data == NULL) == (b.data == NULL) && str_equal(a, b);
}

static void set_text(struct str *field, struct str said, bool *changed)
{
    if (same_text(*field, said)) return;
    *field = said;
    *changed = true;
}

/* True in *bump: it subscribes to something else than before. */
static enum err update(struct consumer_group_step *step, struct consumer_group_view *view,
                       const struct consumer_group_beat *beat, bool *bump)
{
    consumer_group_metadata *metadata = &view->metadata;
    bool *changed = &view->metadata_changed;
    bool subscribes = false;
    bool regex = false;

    if (beat->instance_id.data != NULL)
        set_text(&metadata->instance_id, beat->instance_id, changed);
    if (beat->rack_id.data != NULL) set_text(&metadata->rack_id, beat->rack_id, changed);
    if (beat->assignor.data != NULL) set_text(&metadata->server_assignor, beat->assignor, changed);
    set_text(&metadata->client_id, beat->client_id, changed);
    set_text(&metadata->client_host, beat->client_host, changed);
    if (beat->rebalance_timeout_ms >= 0 &&
        beat->rebalance_timeout_ms != metadata->rebalance_timeout_ms) {
        metadata->rebalance_timeout_ms = beat->rebalance_timeout_ms;
        *changed = true;
    }
    if (beat->regex.data != NULL)
        set_text(&metadata->subscribed_topic_regex, beat->regex.length > 0 ? beat->regex : STR_NULL,
                 &regex);
    if (consumer_group_is_classic(metadata)) { /* it speaks the new protocol from here on */
        metadata->classic_member_metadata_null = true;
        metadata->classic_member_metadata.supported_protocols_count = 0;
        *changed = true;
    }
    if (!beat->topics_null) {
        enum err err = consumer_group_step_subscribe(step, view, beat->topics, beat->topics_count,
                                                     &subscribes);

        if (err != ERR_NONE) return err;
    }
    *bump = subscribes || regex;
    *changed = *changed || *bump;
    return ERR_NONE;
}

/* ---- leaving --------------------------------------------------------------------------------- */

static enum err leave(struct consumer_group_step *step, struct consumer_group_view *view,
                      const struct consumer_group_beat *beat, struct consumer_group_answer *answer)
{
    answer->epoch = beat->epoch;
    if (beat->epoch == CONSUMER_GROUP_LEAVE) {
        consumer_group_step_remove(view);
        return consumer_group_step_epoch(step, true);
    }
    view->epoch = CONSUMER_GROUP_LEAVE_STATIC;
    view->previous_epoch = CONSUMER_GROUP_LEAVE_STATIC;
    view->state = CONSUMER_GROUP_STABLE;
    view->revoking = PARTS_NONE;
    view->current_changed = true;
    return ERR_NONE;
}

/* ---- the heartbeat --------------------------------------------------------------------------- */

static enum err stay(struct consumer_group_step *step, struct consumer_group_view *view,
                     const struct consumer_group_beat *beat, struct consumer_group_answer *answer)
{
    struct parts before = view->was != NULL ? view->was->assigned : PARTS_NONE;
    bool full = beat->epoch == 0 || (beat->rebalance_timeout_ms != -1 && !beat->owned_null &&
                                     (!beat->topics_null || beat->regex.data != NULL));
    bool bump = false;
    enum err err = update(step, view, beat, &bump);

    if (err == ERR_NONE) err = consumer_group_step_epoch(step, bump);
    if (err == ERR_NONE) err = consumer_group_step_target(step);
    if (err == ERR_NONE)
        err = consumer_group_step_reconcile(step, view, beat->owned_null ? NULL : &beat->owned);
    if (err != ERR_NONE) return err;
    answer->epoch = view->epoch;
    answer->has_assignment = full || view->was == NULL || !parts_equal(before, view->assigned);
    if (!answer->has_assignment) return ERR_NONE;
    return parts_join(step->arena, view->assigned, PARTS_NONE, &answer->assigned);
}

static enum err find(struct consumer_group_step *step, const struct consumer_group_beat *beat,
                     struct consumer_group_view **found)
{
    enum err err = beat->instance_id.data != NULL ? find_static(step, beat, found)
                                                  : find_dynamic(step, beat, found);

    if (err != ERR_NONE || *found != NULL) return err;
    if (consumer_group_step_view(step, beat->member_id) != NULL) return ERR_UNRELEASED_INSTANCE_ID;
    if (consumer_group_step_full(step)) return ERR_GROUP_MAX_SIZE_REACHED;
    *found = consumer_group_step_add(step, beat->member_id);
    return ERR_NONE;
}

void consumer_group_beat(struct consumer_group_step *step, const struct consumer_group_beat *said,
                         struct consumer_group_answer *answer)
{
    struct consumer_group_beat copy = *said;
    const struct consumer_group_beat *beat = &copy;
    struct consumer_group_view *view = NULL;
    enum err err = ERR_NO_MEMORY;

    if (copy.epoch == 0 && copy.member_id.length == 0)
        copy.member_id = consumer_group_step_id(step, copy.fresh);
    if (copy.member_id.data != NULL) err = find(step, beat, &view);
    if (err == ERR_NONE && view->was != NULL)
        consumer_group_restart_session(view->was, step->config, step->now);
    if (err == ERR_NONE)
        err = beat->epoch < 0 ? leave(step, view, beat, answer) : stay(step, view, beat, answer);
    /* The member's own id is gone by the time of the answer, when it leaves. */
    answer->member_id = beat->member_id;
    if (err == ERR_NONE) return;
    *answer = (struct consumer_group_answer){
        .err = err == ERR_NO_MEMORY ? ERR_COORDINATOR_NOT_AVAILABLE : err,
        .member_id = beat->member_id,
        .epoch = beat->epoch};
}

enum err consumer_group_expire(struct consumer_group_step *step)
{
    int64_t now_ns = step->now.mono.ns;
    bool gone = false;

    for (uint32_t i = 0; i < step->count; i++) {
        const struct consumer_group_member *member = step->views[i].was;

        if (member->session_ns > now_ns && member->rebalance_ns > now_ns &&
            member->classic_ns > now_ns)
            continue;
        consumer_group_step_remove(&step->views[i]);
        gone = true;
    }
    return gone ? consumer_group_step_epoch(step, true) : ERR_NONE;
}
