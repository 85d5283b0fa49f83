/* The administrator of gregor.h: groups and offsets. What only one node can answer, a coordinator
 * or a leader, is asked of it; when it has moved meanwhile, of the next one. */
#include "client/gregor_internal.h"

#include <stdlib.h>
#include <string.h>

enum { FOUND_AGAIN_MAX = 5, OFFSETS_MAX = 100000 };

int gregor_admin_coordinator(struct gregor_admin *admin, const char *group, int32_t *node)
{
    struct admin_task task;
    int error;

    admin_task_init(&task, API_FIND_COORDINATOR);
    task.request.find_coordinator.key = str_of(group);
    task.request.find_coordinator.key_type = 0;
    error = gregor_admin_run(admin, &task);
    if (error == GREGOR_OK) *node = task.response.find_coordinator.node_id;
    admin_task_release(&task);
    return error;
}

int gregor_admin_leader(struct gregor_admin *admin, const char *topic, int32_t partition,
                        int32_t *node)
{
    struct gregor_topics *topics = NULL;
    int error = gregor_admin_describe_topic(admin, topic, &topics);

    if (error != GREGOR_OK) return error;
    error = GREGOR_ERR_UNKNOWN_TOPIC_OR_PARTITION;
    for (size_t i = 0; topics->count > 0 && i < topics->topics[0].partitions_count; i++) {
        const struct gregor_partition_info *one = &topics->topics[0].partitions[i];

        if (one->partition != partition) continue;
        *node = one->leader;
        error = one->leader >= 0 ? GREGOR_OK : GREGOR_ERR_LEADER_NOT_AVAILABLE;
    }
    gregor_free(topics);
    return error;
}

/* A question to the node that `find` names, filled by `fill`; asked again when that node says that
 * it is not the one. The caller releases `task`, unless `*asked` is false. */
struct question {
    int16_t api;
    const char *name; /* of the group or the topic */
    int32_t partition;
    void (*fill)(const struct question *question, struct admin_task *task);
    const void *context;
};

static bool moved(int error)
{
    return error == GREGOR_ERR_NOT_COORDINATOR || error == GREGOR_ERR_NOT_LEADER_OR_FOLLOWER;
}

static int ask(struct gregor_admin *admin, const struct question *question, bool of_group,
               struct admin_task *task, bool *asked)
{
    int error = GREGOR_OK;

    *asked = false;
    if (admin->client->delivering) return GREGOR_ERR_BAD_STATE;
    for (uint32_t i = 0; i < FOUND_AGAIN_MAX; i++) {
        int32_t node = -1;

        error = of_group ? gregor_admin_coordinator(admin, question->name, &node)
                         : gregor_admin_leader(admin, question->name, question->partition, &node);
        if (error != GREGOR_OK) return error;
        admin_task_init(task, question->api);
        question->fill(question, task);
        task->node = node;
        error = gregor_admin_run(admin, task);
        *asked = true;
        if (!moved(error) || i + 1 == FOUND_AGAIN_MAX) return error;
        admin_task_release(task);
        *asked = false;
    }
    return error;
}

static int ask_only(struct gregor_admin *admin, const struct question *question, bool of_group)
{
    struct admin_task task;
    bool asked = false;
    int error = ask(admin, question, of_group, &task, &asked);

    if (asked) admin_task_release(&task);
    return error;
}

static int finished(struct gregor_result *result, int error, void *to)
{
    if (error == GREGOR_OK && (result->failed || result->first == NULL))
        error = GREGOR_ERR_NO_MEMORY;
    if (error != GREGOR_OK) {
        gregor_free(result->first);
    } else {
        memcpy(to, &result->first, sizeof result->first);
    }
    return error;
}

/* ---- list ------------------------------------------------------------------------------------ */

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct gregor_group *)left)->name,
                  ((const struct gregor_group *)right)->name);
}

/* Adds the groups of one broker to the list, which is not of the result yet. */
static int list_of(struct gregor_admin *admin, int32_t node, struct gregor_result *result,
                   struct gregor_group **list, size_t *count)
{
    const struct list_groups_response *told;
    struct gregor_group *more;
    struct admin_task task;
    int error;

    admin_task_init(&task, API_LIST_GROUPS);
    task.node = node;
    error = gregor_admin_run(admin, &task);
    told = &task.response.list_groups;
    if (error == GREGOR_OK && told->groups_count > 0) {
        more = realloc(*list, (*count + told->groups_count) * sizeof *more);
        if (more == NULL) error = GREGOR_ERR_NO_MEMORY;
        if (more != NULL) *list = more;
        for (uint32_t i = 0; more != NULL && i < told->groups_count; i++) {
            const char *name = gregor_result_text(result, told->groups[i].group_id);

            more[(*count)++] = (struct gregor_group){
                .name = name != NULL ? name : "",
                .state = gregor_result_text(result, told->groups[i].group_state),
                .type = gregor_result_text(result, told->groups[i].group_type),
            };
        }
    }
    admin_task_release(&task);
    return error;
}

int gregor_admin_list_groups(struct gregor_admin *admin, struct gregor_groups **groups)
{
    struct gregor_result result = {NULL, false};
    struct gregor_cluster *cluster = NULL;
    struct gregor_groups *first = gregor_result_take(&result, sizeof *first);
    struct gregor_group *list = NULL;
    struct gregor_group *copy;
    size_t count = 0;
    int error = gregor_admin_describe_cluster(admin, &cluster);

    for (size_t i = 0; error == GREGOR_OK && i < cluster->nodes_count; i++)
        error = list_of(admin, cluster->nodes[i].id, &result, &list, &count);
    gregor_free(cluster);
    copy = gregor_result_take(&result, count * sizeof *copy);
    if (error == GREGOR_OK && copy != NULL && count > 0) {
        memcpy(copy, list, count * sizeof *copy);
        qsort(copy, count, sizeof *copy, by_name);
    }
    free(list);
    if (first != NULL) *first = (struct gregor_groups){copy, count};
    return finished(&result, error, groups);
}

/* ---- describe, delete ------------------------------------------------------------------------ */

static void fill_describe(const struct question *question, struct admin_task *task)
{
    struct str *name = (struct str *)(uintptr_t)question->context;

    task->request.describe_groups.groups = name;
    task->request.describe_groups.groups_count = 1;
}

/* Room for what is told of one group and its members, in `*members`. NULL: no memory, which
 * finished() tells. */
static struct gregor_group *take_one(struct gregor_result *result, uint32_t members_count,
                                     struct gregor_member **members)
{
    struct gregor_groups *groups = gregor_result_take(result, sizeof *groups);
    struct gregor_group *group = gregor_result_take(result, sizeof *group);

    *members = gregor_result_take(result, members_count * sizeof **members);
    if (groups == NULL || group == NULL || *members == NULL) return NULL;
    *group = (struct gregor_group){.members = *members, .members_count = members_count};
    *groups = (struct gregor_groups){group, 1};
    return group;
}

static void take_group(struct gregor_result *result, const struct describe_groups_response *told)
{
    const struct describe_groups_response_group *one = &told->groups[0];
    struct gregor_member *members;
    struct gregor_group *group = take_one(result, one->members_count, &members);

    if (group == NULL) return;
    for (uint32_t i = 0; i < one->members_count; i++)
        members[i] = (struct gregor_member){
            .id = gregor_result_text(result, one->members[i].member_id),
            .instance = gregor_result_text(result, one->members[i].group_instance_id),
            .client = gregor_result_text(result, one->members[i].client_id),
            .host = gregor_result_text(result, one->members[i].client_host),
        };
    group->name = gregor_result_text(result, one->group_id);
    group->state = gregor_result_text(result, one->group_state);
    group->type = "classic";
    group->assignor = gregor_result_text(result, one->protocol_data);
}

static void fill_consumers(const struct question *question, struct admin_task *task)
{
    struct str *name = (struct str *)(uintptr_t)question->context;

    task->request.consumer_group_describe.group_ids = name;
    task->request.consumer_group_describe.group_ids_count = 1;
}

static void take_consumers(struct gregor_result *result,
                           const struct consumer_group_describe_response *told)
{
    const struct consumer_group_describe_response_group *one = &told->groups[0];
    struct gregor_member *members;
    struct gregor_group *group = take_one(result, one->members_count, &members);

    if (group == NULL) return;
    for (uint32_t i = 0; i < one->members_count; i++)
        members[i] = (struct gregor_member){
            .id = gregor_result_text(result, one->members[i].member_id),
            .instance = gregor_result_text(result, one->members[i].instance_id),
            .client = gregor_result_text(result, one->members[i].client_id),
            .host = gregor_result_text(result, one->members[i].client_host),
        };
    group->name = gregor_result_text(result, one->group_id);
    group->state = gregor_result_text(result, one->group_state);
    group->type = "consumer";
    group->assignor = gregor_result_text(result, one->assignor_name);
}

/* By the protocol of KIP-848. A broker that knows only classic groups does not know this one. */
static int describe_consumers(struct gregor_admin *admin, const char *group,
                              struct gregor_result *result)
{
    struct str name = str_of(group);
    struct question question = {API_CONSUMER_GROUP_DESCRIBE, group, 0, fill_consumers, &name};
    struct admin_task task;
    bool asked = false;
    int error = ask(admin, &question, true, &task, &asked);

    if (error == GREGOR_ERR_UNSUPPORTED_VERSION) error = GREGOR_ERR_GROUP_ID_NOT_FOUND;
    if (error == GREGOR_OK && task.response.consumer_group_describe.groups_count != 1)
        error = GREGOR_ERR_MALFORMED;
    if (error == GREGOR_OK) take_consumers(result, &task.response.consumer_group_describe);
    if (asked) admin_task_release(&task);
    return error;
}

int gregor_admin_describe_group(struct gregor_admin *admin, const char *group,
                                struct gregor_groups **groups)
{
    struct gregor_result result = {NULL, false};
    struct str name = str_of(group);
    struct question question = {API_DESCRIBE_GROUPS, group, 0, fill_describe, &name};
    struct admin_task task;
    bool asked = false;
    int error = ask(admin, &question, true, &task, &asked);

    if (error == GREGOR_OK && task.response.describe_groups.groups_count != 1)
        error = GREGOR_ERR_MALFORMED;
    if (error == GREGOR_OK &&
        str_equal(task.response.describe_groups.groups[0].group_state, STR("Dead")))
        error = GREGOR_ERR_GROUP_ID_NOT_FOUND;
    if (error == GREGOR_OK) take_group(&result, &task.response.describe_groups);
    if (asked) admin_task_release(&task);
    if (error == GREGOR_ERR_GROUP_ID_NOT_FOUND) error = describe_consumers(admin, group, &result);
    return finished(&result, error, groups);
}

static void fill_delete(const struct question *question, struct admin_task *task)
{
    task->request.delete_groups.groups_names = (struct str *)(uintptr_t)question->context;
    task->request.delete_groups.groups_names_count = 1;
}

int gregor_admin_delete_group(struct gregor_admin *admin, const char *group)
{
    struct str name = str_of(group);
    struct question question = {API_DELETE_GROUPS, group, 0, fill_delete, &name};

    return ask_only(admin, &question, true);
}

/* ---- offsets of a group ---------------------------------------------------------------------- */

static void fill_offsets(const struct question *question, struct admin_task *task)
{
    task->request.offset_fetch.group_id = str_of(question->name);
    task->request.offset_fetch.topics_null = true; /* all */
}

static void take_offsets(struct gregor_result *result, const struct offset_fetch_response *told)
{
    struct gregor_offsets *offsets = gregor_result_take(result, sizeof *offsets);
    struct gregor_partition *list;
    size_t count = 0;

    for (uint32_t t = 0; t < told->topics_count; t++)
        count += told->topics[t].partitions_count;
    list = gregor_result_take(result, count * sizeof *list);
    if (offsets == NULL || list == NULL) return;
    offsets->partitions = list;
    for (uint32_t t = 0; t < told->topics_count; t++) {
        const char *name = gregor_result_text(result, told->topics[t].name);

        for (uint32_t p = 0; p < told->topics[t].partitions_count; p++) {
            const struct offset_fetch_response_partition *one = &told->topics[t].partitions[p];

            if (one->committed_offset < 0) continue;
            list[offsets->count++] = (struct gregor_partition){
                .topic = name,
                .partition = one->partition_index,
                .offset = one->committed_offset,
                .leader_epoch = one->committed_leader_epoch,
                .metadata = gregor_result_text(result, one->metadata),
            };
        }
    }
}

int gregor_admin_group_offsets(struct gregor_admin *admin, const char *group,
                               struct gregor_offsets **offsets)
{
    struct gregor_result result = {NULL, false};
    struct question question = {API_OFFSET_FETCH, group, 0, fill_offsets, NULL};
    struct admin_task task;
    bool asked = false;
    int error = ask(admin, &question, true, &task, &asked);

    if (error == GREGOR_OK) take_offsets(&result, &task.response.offset_fetch);
    if (asked) admin_task_release(&task);
    return finished(&result, error, offsets);
}

struct wanted_offsets {
    struct offset_commit_request_topic *topics; /* one for each partition */
    struct offset_commit_request_partition *partitions;
    uint32_t count;
};

static void fill_commit(const struct question *question, struct admin_task *task)
{
    const struct wanted_offsets *wanted = question->context;

    task->request.offset_commit.group_id = str_of(question->name);
    task->request.offset_commit.generation_id_or_member_epoch = -1;
    task->request.offset_commit.member_id = STR("");
    task->request.offset_commit.group_instance_id = STR_NULL;
    task->request.offset_commit.topics = wanted->topics;
    task->request.offset_commit.topics_count = wanted->count;
}

int gregor_admin_alter_group_offsets(struct gregor_admin *admin, const char *group,
                                     const struct gregor_partition *offsets, size_t count)
{
    struct wanted_offsets wanted = {NULL, NULL, (uint32_t)count};
    struct question question = {API_OFFSET_COMMIT, group, 0, fill_commit, &wanted};
    int error = GREGOR_ERR_NO_MEMORY;

    if (count > OFFSETS_MAX) return GREGOR_ERR_TOO_MANY;
    wanted.topics = calloc(count + 1, sizeof *wanted.topics);
    wanted.partitions = calloc(count + 1, sizeof *wanted.partitions);
    for (size_t i = 0; wanted.topics != NULL && wanted.partitions != NULL && i < count; i++) {
        struct offset_commit_request_partition *one = &wanted.partitions[i];

        offset_commit_request_topic_default(&wanted.topics[i]);
        offset_commit_request_partition_default(one);
        wanted.topics[i].name = str_of(offsets[i].topic);
        wanted.topics[i].partitions = one;
        wanted.topics[i].partitions_count = 1;
        one->partition_index = offsets[i].partition;
        one->committed_offset = offsets[i].offset;
        one->committed_leader_epoch = -1;
        one->committed_metadata =
            offsets[i].metadata != NULL ? str_of(offsets[i].metadata) : STR("");
    }
    if (wanted.topics != NULL && wanted.partitions != NULL)
        error = ask_only(admin, &question, true);
    free(wanted.topics);
    free(wanted.partitions);
    return error;
}

/* ---- offsets of a partition ------------------------------------------------------------------ */

static void fill_listing(const struct question *question, struct admin_task *task)
{
    task->request.list_offsets.topics =
        (struct list_offsets_request_topic *)(uintptr_t)question->context;
    task->request.list_offsets.topics_count = 1;
}

int gregor_admin_offset(struct gregor_admin *admin, const char *topic, int32_t partition,
                        int64_t timestamp, int64_t *offset)
{
    struct list_offsets_request_topic wanted;
    struct list_offsets_request_partition one;
    struct question question = {API_LIST_OFFSETS, topic, partition, fill_listing, &wanted};
    const struct list_offsets_response *told;
    struct admin_task task;
    bool asked = false;
    int error;

    list_offsets_request_topic_default(&wanted);
    list_offsets_request_partition_default(&one);
    wanted.name = str_of(topic);
    wanted.partitions = &one;
    wanted.partitions_count = 1;
    one.partition_index = partition;
    one.current_leader_epoch = -1;
    one.timestamp = timestamp;
    error = ask(admin, &question, false, &task, &asked);
    told = &task.response.list_offsets;
    if (error == GREGOR_OK && (told->topics_count != 1 || told->topics[0].partitions_count != 1))
        error = GREGOR_ERR_MALFORMED;
    if (error == GREGOR_OK) *offset = told->topics[0].partitions[0].offset;
    if (asked) admin_task_release(&task);
    return error;
}

static void fill_delete_records(const struct question *question, struct admin_task *task)
{
    task->request.delete_records.topics =
        (struct delete_records_request_topic *)(uintptr_t)question->context;
    task->request.delete_records.topics_count = 1;
    task->request.delete_records.timeout_ms = 30000;
}

int gregor_admin_delete_records(struct gregor_admin *admin, const char *topic, int32_t partition,
                                int64_t before, int64_t *low)
{
    struct delete_records_request_topic wanted;
    struct delete_records_request_partition one;
    struct question question = {API_DELETE_RECORDS, topic, partition, fill_delete_records, &wanted};
    const struct delete_records_response *told;
    struct admin_task task;
    bool asked = false;
    int error;

    delete_records_request_topic_default(&wanted);
    delete_records_request_partition_default(&one);
    wanted.name = str_of(topic);
    wanted.partitions = &one;
    wanted.partitions_count = 1;
    one.partition_index = partition;
    one.offset = before;
    error = ask(admin, &question, false, &task, &asked);
    told = &task.response.delete_records;
    if (error == GREGOR_OK && (told->topics_count != 1 || told->topics[0].partitions_count != 1))
        error = GREGOR_ERR_MALFORMED;
    if (error == GREGOR_OK && low != NULL) *low = told->topics[0].partitions[0].low_watermark;
    if (asked) admin_task_release(&task);
    return error;
}
