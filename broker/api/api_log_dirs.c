/* DescribeLogDirs (KIP-113): what stands in each log directory of this broker. The lag of a replica
 * is how far its end is behind the high watermark it knows. Sizes of the volume are not told (-1):
 * the disk below has no call for them. */
#include "broker/api/api.h"
#include "broker/node.h"
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

/* Two passes: count, then fill. */
static enum err dirs_fill(struct request *request, const struct describe_log_dirs_request *body,
                          uint32_t dir, dir_out *out)
{
    const struct manager *manager = &request->node->replicas;

    out->topics = request_alloc(request, (manager->partitions_count + 1) * sizeof *out->topics);
    if (out->topics == NULL) return ERR_NO_MEMORY;
    for (struct partition *part = manager_first(manager); part != NULL;
         part = manager_next(manager, part))
        if (part->log != NULL && part->dir == dir && dirs_wanted(body, part))
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
        struct describe_log_dirs_response_partition *p;
        topic_out *topic;

        if (part->log == NULL || part->dir != dir || !dirs_wanted(body, part)) continue;
        topic = dirs_topic(out, part->topic_name);
        p = &topic->partitions[topic->partitions_count++];
        describe_log_dirs_response_partition_default(p);
        p->partition_index = part->index;
        p->partition_size = (int64_t)log_size(part->log);
        p->offset_lag = part->high_watermark > part->log->log_end
                            ? part->high_watermark - part->log->log_end
                            : 0;
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
