/* The target: who shall have what, by one of the server's assignors (groups.md 8.8). */
#include "broker/group/consumer_group.h"

#include "broker/group/uniform.h"
#include "client/assignor.h"
#include "client/base/assert.h"
#include "client/pattern.h"

struct target {
    struct consumer_group_step *step;
    struct assignor_task task;
    uint32_t *view_of; /* of a member of the task */
};

static bool topic_by_id(const struct consumer_group_step *step, struct uuid id, uint32_t *index)
{
    for (uint32_t i = 0; i < step->topics_count; i++) {
        if (!uuid_equal(step->topics[i].id, id)) continue;
        *index = i;
        return true;
    }
    return false;
}

/* Names that are topics, and topics that match; each once: `topics` has room for all. */
static enum err subscribed(const struct target *target, const consumer_group_metadata *metadata,
                           struct assignor_member *member)
{
    const struct consumer_group_step *step = target->step;
    bool *wanted = arena_zalloc(step->arena, step->topics_count);
    uint32_t *topics = arena_alloc(step->arena, step->topics_count * sizeof *topics);
    uint32_t index = 0;

    if (wanted == NULL || topics == NULL) return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < metadata->subscribed_topic_names_count; i++)
        if (assignor_topic_find(target->task.topics, target->task.topics_count,
                                metadata->subscribed_topic_names[i], &index))
            wanted[index] = true;
    if (metadata->subscribed_topic_regex.length > 0) {
        struct pattern *pattern = arena_alloc(step->arena, sizeof *pattern);

        if (pattern == NULL) return ERR_NO_MEMORY;
        if (pattern_compile(pattern, metadata->subscribed_topic_regex) == ERR_NONE)
            for (uint32_t i = 0; i < step->topics_count; i++)
                wanted[i] = wanted[i] || pattern_matches(pattern, step->topics[i].name);
    }
    member->topics = topics;
    for (uint32_t i = 0; i < step->topics_count; i++)
        if (wanted[i]) topics[member->topics_count++] = i;
    return ERR_NONE;
}

static enum err owned(const struct consumer_group_step *step, struct parts target,
                      struct assignor_member *member)
{
    struct assignor_partition *items = arena_alloc(step->arena, target.count * sizeof *items);
    uint32_t index = 0;

    if (items == NULL) return ERR_NO_MEMORY;
    member->owned = items;
    for (uint32_t i = 0, end; i < target.count; i = end) {
        end = parts_topic_end(target, i);
        if (!topic_by_id(step, target.items[i].topic, &index)) continue;
        for (uint32_t p = i; p < end; p++)
            items[member->owned_count++] =
                (struct assignor_partition){index, target.items[p].partition};
    }
    return ERR_NONE;
}

/* Members in ascending order of id. */
static void sort_views(struct target *target, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint32_t one = target->view_of[i];
        uint32_t place = i;

        for (; place > 0 && str_compare(target->step->views[one].id,
                                        target->step->views[target->view_of[place - 1]].id) < 0;
             place--)
            target->view_of[place] = target->view_of[place - 1];
        target->view_of[place] = one;
    }
}

static enum err fill(struct target *target)
{
    struct consumer_group_step *step = target->step;
    struct assignor_topic *topics = arena_alloc(step->arena, step->topics_count * sizeof *topics);
    uint32_t count = 0;
    enum err err = ERR_NONE;

    target->view_of = arena_alloc(step->arena, step->count * sizeof *target->view_of);
    target->task.members = arena_zalloc(step->arena, step->count * sizeof *target->task.members);
    if (topics == NULL || target->view_of == NULL || target->task.members == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t i = 0; i < step->topics_count; i++)
        topics[i] = (struct assignor_topic){.name = step->topics[i].name,
                                            .partitions = (uint32_t)step->topics[i].partitions};
    for (uint32_t i = 0; i < step->count; i++)
        if (!step->views[i].gone) target->view_of[count++] = i;
    sort_views(target, count);
    target->task.topics = topics;
    target->task.topics_count = step->topics_count;
    target->task.members_count = count;
    for (uint32_t i = 0; i < count && err == ERR_NONE; i++) {
        const struct consumer_group_view *view = &step->views[target->view_of[i]];
        struct assignor_member *member = &target->task.members[i];

        member->id = view->id;
        member->instance_id = view->metadata.instance_id;
        err = subscribed(target, &view->metadata, member);
        if (err == ERR_NONE) err = owned(step, view->target, member);
    }
    return err;
}

static enum err take(struct target *target)
{
    struct consumer_group_step *step = target->step;

    for (uint32_t i = 0; i < target->task.members_count; i++) {
        const struct assignor_member *member = &target->task.members[i];
        struct consumer_group_view *view = &step->views[target->view_of[i]];
        struct parts parts;
        enum err err = parts_begin(step->arena, member->assigned_count, &parts);

        if (err != ERR_NONE) return err;
        for (uint32_t p = 0; p < member->assigned_count; p++)
            parts_push(&parts, step->topics[member->assigned[p].topic].id,
                       member->assigned[p].index);
        parts_end(&parts);
        if (parts_equal(parts, view->target)) continue;
        view->target = parts;
        view->target_changed = true;
    }
    return ERR_NONE;
}

/* Of those that are left after this step. */
static enum consumer_group_assignor preferred(const struct consumer_group_step *step)
{
    uint32_t votes[CONSUMER_GROUP_ASSIGNORS] = {0};
    enum consumer_group_assignor most = step->config->assignors[0];

    for (uint32_t i = 0; i < step->count; i++) {
        struct str wish = step->views[i].metadata.server_assignor;

        if (step->views[i].gone || wish.data == NULL) continue;
        for (uint32_t a = 0; a < step->config->assignors_count; a++)
            if (str_equal(wish, consumer_group_assignor_name(step->config->assignors[a])))
                votes[step->config->assignors[a]]++;
    }
    for (uint32_t a = 0; a < step->config->assignors_count; a++)
        if (votes[step->config->assignors[a]] > votes[most]) most = step->config->assignors[a];
    return most;
}

enum err consumer_group_step_target(struct consumer_group_step *step)
{
    struct target target = {
        .step = step,
        .task = {.assignor = ASSIGNOR_RANGE, .max_generation = -1, .arena = step->arena}};
    enum err err;

    if (step->epoch == step->assignment_epoch) return ERR_NONE;
    err = fill(&target);
    if (err != ERR_NONE) return err;
    switch (preferred(step)) {
    case CONSUMER_GROUP_UNIFORM: err = uniform_run(&target.task); break;
    case CONSUMER_GROUP_RANGE: err = assignor_run(&target.task); break;
    }
    if (err == ERR_NONE) err = take(&target);
    if (err == ERR_NONE) step->assignment_epoch = step->epoch;
    return err;
}
