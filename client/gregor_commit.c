/* Positions and offsets of a consumer: seeks, pauses, commits, and what is committed. */
#include "client/gregor_internal.h"

#include <stdlib.h>

/* ---- positions ------------------------------------------------------------------------------- */

static int seek(struct gregor_consumer *consumer, const char *topic, int32_t partition,
                struct consumer_start start)
{
    struct consumer_partition *found = gregor_consumer_find(consumer, topic, partition);

    if (found == NULL) return GREGOR_ERR_NOT_FOUND;
    gregor_enter(consumer->client);
    consumer_seek(found, start);
    return GREGOR_OK;
}

int gregor_consumer_seek(struct gregor_consumer *consumer, const char *topic, int32_t partition,
                         int64_t offset)
{
    struct consumer_start start = {.by_offset = offset >= 0, .offset = offset};

    if (offset < GREGOR_BEGINNING) return GREGOR_ERR_OFFSET_OUT_OF_RANGE;
    if (offset < 0) start.timestamp = offset;
    return seek(consumer, topic, partition, start);
}

int gregor_consumer_seek_time(struct gregor_consumer *consumer, const char *topic,
                              int32_t partition, int64_t timestamp)
{
    if (timestamp < 0) return GREGOR_ERR_INVALID_TIMESTAMP;
    return seek(consumer, topic, partition, (struct consumer_start){.timestamp = timestamp});
}

int gregor_consumer_pause(struct gregor_consumer *consumer, const char *topic, int32_t partition)
{
    struct consumer_partition *found = gregor_consumer_find(consumer, topic, partition);

    if (found == NULL) return GREGOR_ERR_NOT_FOUND;
    gregor_enter(consumer->client);
    consumer_pause(found);
    return GREGOR_OK;
}

int gregor_consumer_resume(struct gregor_consumer *consumer, const char *topic, int32_t partition)
{
    struct consumer_partition *found = gregor_consumer_find(consumer, topic, partition);

    if (found == NULL) return GREGOR_ERR_NOT_FOUND;
    gregor_enter(consumer->client);
    consumer_resume(found);
    return GREGOR_OK;
}

struct located {
    struct gregor_consumer *consumer;
    const char *topic;
    int32_t partition;
};

static bool is_located(void *context)
{
    const struct located *asked = context;
    const struct consumer_partition *found =
        gregor_consumer_find(asked->consumer, asked->topic, asked->partition);

    return found == NULL || found->state == CONSUMER_FAILED ||
           (found->position >= 0 && found->state != CONSUMER_LOCATING);
}

int gregor_consumer_position(struct gregor_consumer *consumer, const char *topic, int32_t partition,
                             int timeout_ms, int64_t *offset)
{
    struct located asked = {consumer, topic, partition};
    const struct consumer_partition *found;

    if (!consumer->client->delivering && !is_located(&asked))
        (void)gregor_wait(consumer->client, is_located, &asked, gregor_deadline_ns(timeout_ms));
    found = gregor_consumer_find(consumer, topic, partition);
    if (found == NULL) return GREGOR_ERR_NOT_FOUND;
    if (found->state == CONSUMER_FAILED) return (int)found->error;
    if (!is_located(&asked)) return GREGOR_ERR_TIMED_OUT;
    *offset = found->position;
    return GREGOR_OK;
}

int64_t gregor_consumer_lag(struct gregor_consumer *consumer, const char *topic, int32_t partition)
{
    const struct consumer_partition *found = gregor_consumer_find(consumer, topic, partition);

    if (found == NULL || found->high_watermark < 0 || found->position < 0) return -1;
    return found->high_watermark > found->position ? found->high_watermark - found->position : 0;
}

/* ---- commits --------------------------------------------------------------------------------- */

struct gregor_commit {
    struct gregor_left left;
    struct list link;
    struct membership_commit core;
    gregor_committed *committed;
    void *context;
};

static void commit_end(struct gregor_commit *commit)
{
    list_remove(&commit->link);
    membership_commit_deinit(&commit->core);
    free(commit);
}

static bool commit_over(const struct gregor_commit *commit)
{
    return commit->core.finished && !op_live(&commit->core.call.op);
}

int gregor_consumer_deliver(struct gregor_consumer *consumer)
{
    int told = 0;

    LIST_FOR_EACH_SAFE (link, after, &consumer->commits) {
        struct gregor_commit *commit = LIST_ENTRY(link, struct gregor_commit, link);
        gregor_committed *committed = commit->committed;
        void *context = commit->context;
        int error = (int)commit->core.result;

        if (!commit_over(commit)) continue;
        commit_end(commit);
        if (committed == NULL) continue;
        consumer->client->delivering = true;
        committed(context, error);
        consumer->client->delivering = false;
        told++;
    }
    return told;
}

void gregor_commit_drop(struct gregor_consumer *consumer)
{
    (void)gregor_consumer_deliver(consumer);
    LIST_FOR_EACH_SAFE (link, after, &consumer->commits) {
        struct gregor_commit *commit = LIST_ENTRY(link, struct gregor_commit, link);

        list_remove(link); /* the member did not end in time, and knows of it */
        gregor_leave(consumer->client, &commit->left, commit);
    }
}

static int commit_begin(struct gregor_consumer *consumer, const struct gregor_partition *partitions,
                        size_t count, bool again, struct gregor_commit **begun)
{
    struct gregor_commit *commit;
    enum err err = ERR_NONE;

    if (!consumer->grouped) return GREGOR_ERR_INVALID_GROUP_ID;
    commit = calloc(1, sizeof *commit);
    if (commit == NULL) return GREGOR_ERR_NO_MEMORY;
    gregor_enter(consumer->client);
    membership_commit_init(&commit->core, &consumer->member);
    list_init(&commit->link);
    for (size_t i = 0; partitions != NULL && i < count && err == ERR_NONE; i++)
        err = membership_commit_add(
            &commit->core, str_of(partitions[i].topic), partitions[i].partition,
            partitions[i].offset, partitions[i].leader_epoch > 0 ? partitions[i].leader_epoch : -1,
            partitions[i].metadata != NULL ? str_of(partitions[i].metadata) : STR_NULL);
    if (partitions == NULL) err = membership_commit_positions(&commit->core);
    if (err != ERR_NONE) {
        membership_commit_deinit(&commit->core);
        free(commit);
        return (int)err;
    }
    membership_commit_start(&commit->core, again);
    *begun = commit;
    return GREGOR_OK;
}

static bool commit_done(void *context)
{
    return commit_over(context);
}

int gregor_consumer_commit(struct gregor_consumer *consumer,
                           const struct gregor_partition *partitions, size_t count)
{
    struct gregor_commit *commit = NULL;
    int error;

    if (consumer->client->delivering) return GREGOR_ERR_BAD_STATE;
    error = commit_begin(consumer, partitions, count, true, &commit);
    if (error != GREGOR_OK) return error;
    (void)gregor_wait(consumer->client, commit_done, commit, INT64_MAX); /* it has a deadline */
    error = (int)commit->core.result;
    commit_end(commit);
    return error;
}

int gregor_consumer_commit_async(struct gregor_consumer *consumer,
                                 const struct gregor_partition *partitions, size_t count,
                                 gregor_committed *committed, void *context)
{
    struct gregor_commit *commit = NULL;
    int error = commit_begin(consumer, partitions, count, false, &commit);

    if (error != GREGOR_OK) return error;
    commit->committed = committed;
    commit->context = context;
    list_push(&consumer->commits, &commit->link);
    return GREGOR_OK;
}

/* ---- what is committed ----------------------------------------------------------------------- */

int gregor_consumer_committed(struct gregor_consumer *consumer, const char *topic,
                              int32_t partition, int timeout_ms, int64_t *offset)
{
    struct gregor_offsets *offsets = NULL;
    int error;

    if (!consumer->grouped) return GREGOR_ERR_INVALID_GROUP_ID;
    if (consumer->client->delivering) return GREGOR_ERR_BAD_STATE;
    if (consumer->admin == NULL)
        consumer->admin = gregor_admin_new(consumer->client, consumer->config, NULL, 0);
    if (consumer->admin == NULL) return GREGOR_ERR_NO_MEMORY;
    consumer->admin->timeout_ms = timeout_ms < 0 ? INT32_MAX : timeout_ms;
    error = gregor_admin_group_offsets(consumer->admin,
                                       gregor_config_get(consumer->config, "group.id"), &offsets);
    if (error != GREGOR_OK) return error;
    *offset = -1;
    for (size_t i = 0; i < offsets->count; i++)
        if (offsets->partitions[i].partition == partition &&
            str_equal(str_of(offsets->partitions[i].topic), str_of(topic)))
            *offset = offsets->partitions[i].offset;
    gregor_free(offsets);
    return GREGOR_OK;
}
