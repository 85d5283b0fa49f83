/* A step: views of the members, what becomes of them, the difference as records (groups.md 8.3 to
 * 8.5). */
#include "broker/group/consumer_group.h"

#include "client/base/assert.h"
#include "client/base/uuid.h"
#include "client/pattern.h"

#include <string.h>

/* ---- views ----------------------------------------------------------------------------------- */

enum err consumer_group_step_begin(struct consumer_group_step *step)
{
    const struct consumer_group *group = step->group;
    uint32_t members = group != NULL ? group->members.count : 0;

    step->count = 0;
    step->max = members + 1;
    step->topics_changed = false;
    step->views = arena_zalloc(step->arena, step->max * sizeof *step->views);
    if (step->views == NULL) return ERR_NO_MEMORY;
    if (group == NULL) return ERR_NONE;
    step->epoch = group->epoch;
    step->assignment_epoch = group->assignment_epoch;
    step->topics = group->topics;
    step->topics_count = group->topics_count;
    MAP_FOR_EACH (node, &group->members) {
        struct consumer_group_member *member = MAP_ENTRY(node, struct consumer_group_member, node);

        step->views[step->count++] =
            (struct consumer_group_view){.was = member,
                                         .id = member->id,
                                         .metadata = member->metadata,
                                         .epoch = member->epoch,
                                         .previous_epoch = member->previous_epoch,
                                         .state = member->state,
                                         .assigned = member->assigned,
                                         .revoking = member->revoking,
                                         .target = member->target};
    }
    return ERR_NONE;
}

struct consumer_group_view *consumer_group_step_view(struct consumer_group_step *step,
                                                     struct str id)
{
    for (uint32_t i = 0; i < step->count; i++)
        if (!step->views[i].gone && str_equal(step->views[i].id, id)) return &step->views[i];
    return NULL;
}

struct consumer_group_view *consumer_group_step_instance(struct consumer_group_step *step,
                                                         struct str instance_id)
{
    for (uint32_t i = 0; i < step->count; i++) {
        struct consumer_group_view *view = &step->views[i];

        if (!view->gone && view->metadata.instance_id.data != NULL &&
            str_equal(view->metadata.instance_id, instance_id))
            return view;
    }
    return NULL;
}

struct consumer_group_view *consumer_group_step_add(struct consumer_group_step *step, struct str id)
{
    struct consumer_group_view *view;

    ASSERT(step->count < step->max);
    view = &step->views[step->count++];
    *view = (struct consumer_group_view){
        .id = id, .metadata_changed = true, .current_changed = true, .target_changed = true};
    consumer_group_metadata_none(&view->metadata);
    return view;
}

void consumer_group_step_remove(struct consumer_group_view *view)
{
    view->gone = true;
}

struct consumer_group_view *consumer_group_step_replace(struct consumer_group_step *step,
                                                        struct consumer_group_view *old,
                                                        struct str id)
{
    struct consumer_group_view *view = old;

    if (!str_equal(old->id, id)) {
        old->gone = true;
        view = consumer_group_step_add(step, id);
        view->metadata = old->metadata;
        view->assigned = old->assigned;
        view->target = old->target;
    }
    view->epoch = 0;
    view->previous_epoch = 0;
    view->state = CONSUMER_GROUP_STABLE;
    view->revoking = PARTS_NONE;
    view->current_changed = true;
    return view;
}

/* ---- subscribed topics ----------------------------------------------------------------------- */

/* Ascending, each once: a set. */
static enum err sorted_names(struct arena *arena, const struct str *names, uint32_t count,
                             struct str **sorted, uint32_t *kept)
{
    struct str *out = arena_alloc(arena, count * sizeof *out);
    uint32_t used = 0;

    if (out == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t low = 0;
        uint32_t high = used;

        while (low < high) {
            uint32_t middle = low + (high - low) / 2;

            if (str_compare(out[middle], names[i]) < 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low < used && str_equal(out[low], names[i])) continue;
        memmove(&out[low + 1], &out[low], (used - low) * sizeof *out);
        out[low] = names[i];
        used++;
    }
    *sorted = out;
    *kept = used;
    return ERR_NONE;
}

static bool same_names(const consumer_group_metadata *metadata, const struct str *names,
                       uint32_t count)
{
    if (metadata->subscribed_topic_names_count != count) return false;
    for (uint32_t i = 0; i < count; i++)
        if (!str_equal(metadata->subscribed_topic_names[i], names[i])) return false;
    return true;
}

enum err consumer_group_step_subscribe(struct consumer_group_step *step,
                                       struct consumer_group_view *view, const struct str *said,
                                       uint32_t said_count, bool *changed)
{
    consumer_group_metadata *metadata = &view->metadata;
    struct str *names;
    uint32_t count;
    enum err err = sorted_names(step->arena, said, said_count, &names, &count);

    if (err != ERR_NONE || same_names(metadata, names, count)) return err;
    metadata->subscribed_topic_names = names;
    metadata->subscribed_topic_names_count = count;
    *changed = true;
    return ERR_NONE;
}

bool consumer_group_step_full(const struct consumer_group_step *step)
{
    uint32_t members = 0;

    for (uint32_t i = 0; i < step->count; i++)
        members += !step->views[i].gone;
    return (int64_t)members >= step->config->max_size || members >= CONSUMER_GROUP_MEMBERS_MAX;
}

struct str consumer_group_step_id(const struct consumer_group_step *step, struct uuid fresh)
{
    char *text = arena_alloc(step->arena, UUID_TEXT + 1);

    if (text == NULL) return STR_NULL;
    uuid_print(fresh, text);
    return (struct str){text, UUID_TEXT};
}

struct topics {
    struct consumer_group_topic *items; /* by name */
    uint32_t count;
};

/* Room was taken for all. */
static void topics_put(struct topics *topics, const struct image_topic *topic)
{
    uint32_t low = 0;
    uint32_t high = topics->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int compared = str_compare(topics->items[middle].name, topic->name);

        if (compared == 0) return;
        if (compared < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    memmove(&topics->items[low + 1], &topics->items[low],
            (topics->count - low) * sizeof *topics->items);
    topics->items[low] = (struct consumer_group_topic){
        .name = topic->name, .id = topic->id, .partitions = (int32_t)topic->partitions_count};
    topics->count++;
}

static bool is_internal(struct str name)
{
    return str_equal(name, STR("__consumer_offsets")) ||
           str_equal(name, STR("__transaction_state"));
}

static enum err topics_match(struct topics *topics, const struct image *image, struct arena *arena,
                             struct str regex)
{
    struct pattern *pattern = arena_alloc(arena, sizeof *pattern);

    if (pattern == NULL) return ERR_NO_MEMORY;
    if (pattern_compile(pattern, regex) != ERR_NONE) return ERR_NONE; /* of another engine */
    MAP_FOR_EACH (node, &image->topics_by_id) {
        const struct image_topic *topic = MAP_ENTRY(node, struct image_topic, by_id);

        if (!topic->deleted && !is_internal(topic->name) && pattern_matches(pattern, topic->name))
            topics_put(topics, topic);
    }
    return ERR_NONE;
}

static bool has_regex(const consumer_group_metadata *metadata)
{
    return metadata->subscribed_topic_regex.data != NULL &&
           metadata->subscribed_topic_regex.length > 0;
}

static enum err topics_of(const struct consumer_group_step *step, struct topics *topics)
{
    uint32_t most = 0;
    bool regex = false;

    for (uint32_t i = 0; i < step->count; i++) {
        most += step->views[i].metadata.subscribed_topic_names_count;
        regex = regex || has_regex(&step->views[i].metadata);
    }
    if (regex || most > step->image->topics_by_id.count) most = step->image->topics_by_id.count;
    *topics = (struct topics){
        .items = arena_alloc(step->arena, ((size_t)most + 1) * sizeof *topics->items)};
    if (topics->items == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < step->count; i++) {
        const consumer_group_metadata *metadata = &step->views[i].metadata;
        enum err err = ERR_NONE;

        if (step->views[i].gone) continue;
        for (uint32_t t = 0; t < metadata->subscribed_topic_names_count; t++) {
            const struct image_topic *topic =
                image_topic_by_name(step->image, metadata->subscribed_topic_names[t]);

            if (topic != NULL && !topic->deleted) topics_put(topics, topic);
        }
        if (has_regex(metadata))
            err = topics_match(topics, step->image, step->arena, metadata->subscribed_topic_regex);
        if (err != ERR_NONE) return err;
    }
    return ERR_NONE;
}

static bool topics_equal(const struct consumer_group_step *step, const struct topics *topics)
{
    if (step->topics_count != topics->count) return false;
    for (uint32_t i = 0; i < topics->count; i++)
        if (!str_equal(step->topics[i].name, topics->items[i].name) ||
            !uuid_equal(step->topics[i].id, topics->items[i].id) ||
            step->topics[i].partitions != topics->items[i].partitions)
            return false;
    return true;
}

enum err consumer_group_step_epoch(struct consumer_group_step *step, bool bump)
{
    struct consumer_group *group = step->group;
    bool seen = group != NULL && group->image_compared && group->image_seen == step->image->digest;
    struct topics topics;
    enum err err;

    if (!bump && seen) return ERR_NONE;
    err = topics_of(step, &topics);
    if (err != ERR_NONE) return err;
    if (!topics_equal(step, &topics)) {
        step->topics = topics.items;
        step->topics_count = topics.count;
        step->topics_changed = true;
        bump = true;
    } else if (group != NULL) {
        group->image_seen = step->image->digest;
        group->image_compared = true;
    }
    if (bump) step->epoch++;
    return ERR_NONE;
}

/* ---- reconciliation (groups.md 8.4) ---------------------------------------------------------- */

/* What nobody else has or is still giving up, in place. True: something had to stay out. */
static bool leave_owned(const struct consumer_group_step *step,
                        const struct consumer_group_view *view, struct parts *wanted)
{
    uint32_t all = wanted->count;

    for (uint32_t i = 0; i < step->count; i++) {
        const struct consumer_group_view *other = &step->views[i];
        uint32_t kept = 0;

        if (other == view || other->gone) continue;
        for (uint32_t p = 0; p < wanted->count; p++)
            if (!parts_contain(other->assigned, wanted->items[p]) &&
                !parts_contain(other->revoking, wanted->items[p]))
                wanted->items[kept++] = wanted->items[p];
        wanted->count = kept;
    }
    return wanted->count < all;
}

static void become(struct consumer_group_view *view, int8_t state, int32_t epoch)
{
    view->previous_epoch = view->epoch;
    view->epoch = epoch;
    view->state = state;
    view->current_changed = true;
}

static enum err advance(struct consumer_group_step *step, struct consumer_group_view *view,
                        int32_t epoch, const struct parts *owned)
{
    struct parts keeps;
    struct parts gives;
    struct parts gains;
    bool unreleased;
    enum err err = parts_both(step->arena, view->assigned, view->target, &keeps);

    if (err == ERR_NONE) err = parts_minus(step->arena, view->assigned, keeps, &gives);
    if (err == ERR_NONE) err = parts_minus(step->arena, view->target, keeps, &gains);
    if (err != ERR_NONE) return err;
    unreleased = leave_owned(step, view, &gains);
    if (gives.count > 0 && (owned == NULL || parts_overlap(*owned, gives))) {
        view->assigned = keeps;
        view->revoking = gives;
        become(view, CONSUMER_GROUP_UNREVOKED, epoch);
        return ERR_NONE;
    }
    view->revoking = PARTS_NONE;
    err = parts_join(step->arena, keeps, gains, &view->assigned);
    if (err != ERR_NONE) return err;
    become(view, unreleased ? CONSUMER_GROUP_UNRELEASED : CONSUMER_GROUP_STABLE,
           step->assignment_epoch);
    return ERR_NONE;
}

enum err consumer_group_step_reconcile(struct consumer_group_step *step,
                                       struct consumer_group_view *view, const struct parts *owned)
{
    struct consumer_group_view before = *view;
    enum err err = ERR_NONE;

    switch (view->state) {
    case CONSUMER_GROUP_STABLE:
        if (view->epoch == step->assignment_epoch) return ERR_NONE;
        err = advance(step, view, view->epoch, owned);
        break;
    case CONSUMER_GROUP_UNREVOKED:
        if (owned == NULL || parts_overlap(*owned, view->revoking)) return ERR_NONE;
        err = advance(step, view, view->epoch + 1, owned);
        break;
    case CONSUMER_GROUP_UNRELEASED: err = advance(step, view, view->epoch, owned); break;
    default: /* of a newer broker: it begins anew, with nothing in its hands */
        if (owned == NULL || owned->count > 0) return ERR_FENCED_MEMBER_EPOCH;
        err = advance(step, view, step->assignment_epoch, owned);
        break;
    }
    /* Still waiting for the same: no record of that. */
    if (err == ERR_NONE && view->state == before.state && view->epoch == before.epoch &&
        parts_equal(view->assigned, before.assigned) &&
        parts_equal(view->revoking, before.revoking))
        *view = before;
    return err;
}

/* ---- records --------------------------------------------------------------------------------- */

static void write_topics(const struct consumer_group_step *step, struct group_log *log)
{
    struct consumer_group_partition_metadata_value value;

    consumer_group_partition_metadata_value_default(&value);
    value.topics = arena_zalloc(log->arena, step->topics_count * sizeof *value.topics);
    if (value.topics == NULL) {
        log->err = ERR_NO_MEMORY;
        return;
    }
    for (uint32_t i = 0; i < step->topics_count; i++) {
        consumer_group_partition_metadata_value_topic_metadata_default(&value.topics[i]);
        value.topics[i].topic_id = step->topics[i].id;
        value.topics[i].topic_name = step->topics[i].name;
        value.topics[i].num_partitions = step->topics[i].partitions;
    }
    value.topics_count = step->topics_count;
    group_log_consumer_topics(log, step->id, &value);
}

void consumer_group_step_write(const struct consumer_group_step *step, struct group_log *log)
{
    const struct consumer_group *group = step->group;

    for (uint32_t i = 0; i < step->count; i++)
        if (step->views[i].gone && step->views[i].was != NULL)
            group_log_consumer_member_gone(log, step->id, step->views[i].id);
    for (uint32_t i = 0; i < step->count; i++)
        if (!step->views[i].gone && step->views[i].metadata_changed)
            group_log_consumer_member(log, step->id, step->views[i].id, &step->views[i].metadata);
    if (step->topics_changed) write_topics(step, log);
    if (group == NULL || step->epoch != group->epoch)
        group_log_consumer_epoch(log, step->id, step->epoch);
    for (uint32_t i = 0; i < step->count; i++)
        if (!step->views[i].gone && step->views[i].target_changed)
            group_log_consumer_target(log, step->id, step->views[i].id, step->views[i].target);
    if (group == NULL || step->assignment_epoch != group->assignment_epoch)
        group_log_consumer_target_epoch(log, step->id, step->assignment_epoch);
    for (uint32_t i = 0; i < step->count; i++) {
        const struct consumer_group_view *view = &step->views[i];
        struct group_log_current current = {view->epoch, view->previous_epoch, view->state,
                                            view->assigned, view->revoking};

        if (!view->gone && view->current_changed)
            group_log_consumer_current(log, step->id, view->id, &current);
    }
}

void consumer_group_step_write_gone(const struct consumer_group_step *step, struct group_log *log)
{
    for (uint32_t i = 0; i < step->count; i++)
        if (step->views[i].was != NULL)
            group_log_consumer_member_gone(log, step->id, step->views[i].id);
    group_log_consumer_target_epoch_gone(log, step->id);
    group_log_consumer_topics_gone(log, step->id);
    group_log_consumer_epoch_gone(log, step->id);
}
