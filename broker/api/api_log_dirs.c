/* DescribeLogDirs and AlterReplicaLogDirs (KIP-113): what stands in each log directory of this
 * broker, and which replica is to move to another one (broker/replica/manager_move.c). The lag of a
 * replica is how far its end is behind the high watermark it knows; of a copy that grows in the
 * directory where it moves to (is_future_key) how far it is behind the replica. Sizes of the volume
 * are not told (-1): the disk below has no call for them. */
#include "broker/api/api.h"
#include "broker/node.h"
#include "wire/alter_replica_log_dirs.h"
#include "wire/describe_log_dirs.h"

typedef struct describe_log_dirs_response_result dir_out;
typedef struct describe_log_dirs_response_topic topic_out;

static bool dirs_wanted(const struct describe_log_dirs_request *body, const struct partition *part)
{
    if (body->topics_null) return true;
    for (uint32_t i = 0; i < body->topics_count; i++) {
        if (!str_equal(body->topics[i].topic, part->topic_name)) continue;
        for (uint32_t j = 0; j < body->topics[i].partitions_count; j++)
            if (body->topics[i].partitions[j] == part->index) return true;
    }
    return false;
}

static topic_out *dirs_topic(dir_out *out, struct str name)
{
    topic_out *topic;

    /* Partitions of a topic were made one after the other: it is mostly the last one. */
    for (uint32_t i = out->topics_count; i > 0; i--)
        if (str_equal(out->topics[i - 1].name, name)) return &out->topics[i - 1];
    topic = &out->topics[out->topics_count++];
    describe_log_dirs_response_topic_default(topic);
    topic->name = name;
    return topic;
}

static bool dirs_here(const struct partition *part, uint32_t dir)
{
    return part->log != NULL && (part->dir == dir || manager_move_to(part) == dir);
}

static void dirs_partition(const struct partition *part, uint32_t dir,
                           struct describe_log_dirs_response_partition *p)
{
    const struct log *log = part->log;
    const struct log *copy = manager_move_copy(part);
    int64_t copied = copy != NULL ? copy->log_end : log->log_start;

    describe_log_dirs_response_partition_default(p);
    p->partition_index = part->index;
    p->is_future_key = part->dir != dir;
    if (p->is_future_key) {
        p->partition_size = copy != NULL ? (int64_t)log_size(copy) : 0;
        p->offset_lag = log->log_end > copied ? log->log_end - copied : 0;
        return;
    }
    p->partition_size = (int64_t)log_size(log);
    p->offset_lag = part->high_watermark > log->log_end ? part->high_watermark - log->log_end : 0;
}

/* Two passes: count, then fill. */
static enum err dirs_fill(struct request *request, const struct describe_log_dirs_request *body,
                          uint32_t dir, dir_out *out)
{
    const struct manager *manager = &request->node->replicas;

    out->topics = request_alloc(request, (manager->partitions_count + 1) * sizeof *out->topics);
    if (out->topics == NULL) return ERR_NO_MEMORY;
    for (struct partition *part = manager_first(manager); part != NULL;
         part = manager_next(manager, part))
        if (dirs_here(part, dir) && dirs_wanted(body, part))
            dirs_topic(out, part->topic_name)->partitions_count++;
    for (uint32_t i = 0; i < out->topics_count; i++) {
        topic_out *topic = &out->topics[i];

        topic->partitions =
            request_alloc(request, (topic->partitions_count + 1) * sizeof *topic->partitions);
        if (topic->partitions == NULL) return ERR_NO_MEMORY;
        topic->partitions_count = 0;
    }
    for (struct partition *part = manager_first(manager); part != NULL;
         part = manager_next(manager, part)) {
        topic_out *topic;

        if (!dirs_here(part, dir) || !dirs_wanted(body, part)) continue;
        topic = dirs_topic(out, part->topic_name);
        dirs_partition(part, dir, &topic->partitions[topic->partitions_count++]);
    }
    return ERR_NONE;
}

void api_log_dirs_handle(struct request *request)
{
    const struct manager *manager = &request->node->replicas;
    struct describe_log_dirs_response response;
    struct describe_log_dirs_request body;
    dir_out out[MANAGER_DIRS_MAX];
    enum err err = ERR_NONE;

    if (request_decode(request, &body) != ERR_NONE) return;
    describe_log_dirs_response_default(&response);
    for (uint32_t i = 0; i < manager->dirs_count && err == ERR_NONE; i++) {
        const struct log_dir *dir = manager->dirs[i];

        describe_log_dirs_response_result_default(&out[i]);
        out[i].log_dir = str_of(dir->path);
        if (!log_dir_online(dir)) {
            out[i].error_code = ERR_KAFKA_STORAGE_ERROR;
        } else {
            err = dirs_fill(request, &body, i, &out[i]);
        }
    }
    if (err != ERR_NONE) {
        request_abandon(request, err);
        return;
    }
    response.results = out;
    response.results_count = manager->dirs_count;
    request_answer(request, &response);
}

/* ---- AlterReplicaLogDirs --------------------------------------------------------------------- */

typedef struct alter_replica_log_dirs_request alter_in;
typedef struct alter_replica_log_dirs_response_result alter_out;

/* The index of a path of log.dirs; dirs_count: it is none of ours. */
static uint32_t alter_dir(const struct manager *manager, struct str path)
{
    uint32_t i = 0;

    while (i < manager->dirs_count && !str_equal(str_of(manager->dirs[i]->path), path))
        i++;
    return i;
}

static enum err alter_one(struct manager *manager, uint32_t dir, struct str topic, int32_t index)
{
    struct partition *part;
    enum err err;

    if (!api_metadata_name_ok(topic)) return ERR_INVALID_TOPIC_EXCEPTION;
    if (dir == manager->dirs_count) return ERR_LOG_DIR_NOT_FOUND;
    if (!log_dir_online(manager->dirs[dir])) return ERR_KAFKA_STORAGE_ERROR;
    err = manager_find_by_name(manager, topic, index, &part);
    /* It has no log on this broker (yet). */
    if (err != ERR_NONE) return ERR_REPLICA_NOT_AVAILABLE;
    err = manager_move(manager, part, dir);
    return err == ERR_NO_MEMORY ? ERR_REPLICA_NOT_AVAILABLE : err; /* asked again later */
}

static enum err alter_topic(struct request *request, uint32_t dir,
                            const struct alter_replica_log_dirs_request_topic *in, alter_out *out)
{
    alter_replica_log_dirs_response_result_default(out);
    out->topic_name = in->name;
    out->partitions = request_alloc(request, (in->partitions_count + 1) * sizeof *out->partitions);
    if (out->partitions == NULL) return ERR_NO_MEMORY;
    out->partitions_count = in->partitions_count;
    for (uint32_t i = 0; i < in->partitions_count; i++) {
        out->partitions[i].partition_index = in->partitions[i];
        out->partitions[i].error_code =
            (int16_t)alter_one(&request->node->replicas, dir, in->name, in->partitions[i]);
    }
    return ERR_NONE;
}

/* A topic that stands under several directories has an answer for each. */
void api_log_dirs_alter_handle(struct request *request)
{
    struct alter_replica_log_dirs_response response;
    uint32_t count = 0;
    enum err err = ERR_NONE;
    alter_in body;

    if (request_decode(request, &body) != ERR_NONE) return;
    alter_replica_log_dirs_response_default(&response);
    for (uint32_t i = 0; i < body.dirs_count; i++)
        count += body.dirs[i].topics_count;
    response.results = request_alloc(request, (count + 1) * sizeof *response.results);
    if (response.results == NULL) err = ERR_NO_MEMORY;
    for (uint32_t i = 0; i < body.dirs_count && err == ERR_NONE; i++) {
        uint32_t dir = alter_dir(&request->node->replicas, body.dirs[i].path);

        for (uint32_t t = 0; t < body.dirs[i].topics_count && err == ERR_NONE; t++)
            err = alter_topic(request, dir, &body.dirs[i].topics[t],
                              &response.results[response.results_count++]);
    }
    if (err != ERR_NONE) {
        request_abandon(request, err);
        return;
    }
    request_answer(request, &response);
}
