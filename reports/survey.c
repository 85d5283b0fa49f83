#include "reports/survey.h"

#include "client/base/assert.h"
#include "client/world/trace_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * STORY_PARTITIONS_MAX };

struct survey_part {
    int64_t topic;
    int32_t partition;
    bool used;
    uint64_t drama;   /* changes of leadership, truncations, decisions */
    uint64_t traffic; /* appends */
    uint64_t first;   /* event that first named it: breaks ties */
};

struct survey_topic {
    int64_t id;
    char name[STORY_NAME];
};

struct survey {
    struct survey_part parts[SLOTS];
    uint32_t part_count;
    struct survey_topic topics[STORY_TOPICS_MAX];
    uint32_t topic_count;
    bool violated;
    int64_t violated_topic;
    int32_t violated_partition;
};

static struct survey_part *find_part(struct survey *survey, int64_t topic, int32_t partition)
{
    uint64_t hash = ((uint64_t)topic ^ (uint64_t)(uint32_t)partition) * 0x9e3779b97f4a7c15u;
    uint32_t slot = (uint32_t)(hash >> 40) % SLOTS;

    for (;; slot = (slot + 1) % SLOTS) {
        struct survey_part *part = &survey->parts[slot];

        if (part->used && part->topic == topic && part->partition == partition) return part;
        if (part->used) continue;
        if (survey->part_count == STORY_PARTITIONS_MAX) return NULL;
        survey->part_count++;
        *part = (struct survey_part){.topic = topic, .partition = partition, .used = true};
        return part;
    }
}

static const char *topic_name(const struct survey *survey, int64_t id)
{
    for (uint32_t i = 0; i < survey->topic_count; i++) {
        if (survey->topics[i].id == id) return survey->topics[i].name;
    }
    return NULL;
}

static void know_topic(struct survey *survey, int64_t id, struct str name)
{
    struct survey_topic *topic;

    if (topic_name(survey, id) != NULL || survey->topic_count == STORY_TOPICS_MAX) return;
    topic = &survey->topics[survey->topic_count++];
    topic->id = id;
    out_copy(topic->name, sizeof topic->name, name);
}

static struct story_node *know_node(struct story *story, int64_t id)
{
    int32_t index = story_find_node(story, id);
    struct story_node *node;

    if (index >= 0) return &story->nodes[index];
    if (id < 0 || id > INT32_MAX || story->node_count == STORY_NODES_MAX) return NULL;
    node = &story->nodes[story->node_count++];
    *node = (struct story_node){.id = (int32_t)id};
    return node;
}

/* What a node is, guessed from what it tells, when nobody introduced it. */
static void guess_kind(struct story_node *node, enum trace_kind kind)
{
    enum story_node_kind kinds = STORY_UNKNOWN;
    const char *name;
    struct trace_kind_info info;

    if (node->name[0] != '\0') return;
    trace_kind_describe(kind, &info);
    name = info.name;
    if (strncmp(name, "replica.", 8) == 0 || strncmp(name, "broker.", 7) == 0) kinds = STORY_BROKER;
    if (strncmp(name, "controller.", 11) == 0) kinds = STORY_CONTROLLER;
    if (strncmp(name, "client.", 7) == 0 && node->kind == STORY_UNKNOWN) kinds = STORY_CLIENT;
    if (kinds == STORY_UNKNOWN) return;
    if (kinds != STORY_CLIENT && node->kind == STORY_CLIENT) node->kind = STORY_UNKNOWN;
    node->kind = (enum story_node_kind)(node->kind | kinds);
}

static void introduce(struct story *story, const struct trace_event *event)
{
    struct story_node *node = know_node(story, event->fields[0]);
    int64_t kind = event->fields[1];

    if (node == NULL) return;
    if (kind >= STORY_BROKER && kind <= STORY_CLIENT) node->kind = (enum story_node_kind)kind;
    out_copy(node->name, sizeof node->name, event->text);
}

static void score(struct survey *survey, const struct trace_event *event, uint64_t number)
{
    uint64_t drama = 0;
    struct survey_part *part;

    switch ((int)event->kind) {
    case TRACE_REPLICA_ROLE: drama = event->fields[2] == TRACE_ROLE_LEADER ? 5 : 1; break;
    case TRACE_LOG_TRUNCATED: drama = 8; break;
    case TRACE_CONTROLLER_PARTITION: drama = 3; break;
    case TRACE_REPLICA_ISR: drama = 1; break;
    case TRACE_LOG_APPENDED: break;
    case TRACE_CLIENT_ACKED: break;
    default: return;
    }
    part = find_part(survey, event->fields[0], (int32_t)event->fields[1]);
    if (part == NULL) return;
    if (part->first == 0) part->first = number;
    /* A truncation of the metadata log does not make it more than the ground of the others. */
    if (event->fields[0] == 0) drama = 0;
    part->drama += drama;
    if (drama == 0 && event->fields[0] != 0) part->traffic++;
}

static bool better(const struct survey_part *a, const struct survey_part *b)
{
    if (b == NULL) return true;
    if (a->drama != b->drama) return a->drama > b->drama;
    if (a->traffic != b->traffic) return a->traffic > b->traffic;
    return a->first < b->first;
}

static void name_part(const struct survey *survey, int64_t topic, int32_t partition, char *buffer,
                      size_t size)
{
    const char *name = topic_name(survey, topic);

    if (name == NULL && topic == 0) name = "__cluster_metadata";
    if (name != NULL) {
        snprintf(buffer, size, "%s-%d", name, (int)partition);
    } else {
        snprintf(buffer, size, "topic %llx-%d", (unsigned long long)topic, (int)partition);
    }
}

static void choose(struct story *story, const struct survey *survey, const char *focus)
{
    const struct survey_part *best = NULL;

    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct survey_part *part = &survey->parts[i];
        char name[sizeof story->focus];

        if (!part->used) continue;
        name_part(survey, part->topic, part->partition, name, sizeof name);
        if (focus != NULL && strcmp(name, focus) == 0) {
            best = part;
            break;
        }
        if (better(part, best)) best = part;
    }
    if (best != NULL) {
        story->topic = best->topic;
        story->partition = best->partition;
        story->has_focus = true;
    }
    if (focus == NULL && survey->violated) {
        story->topic = survey->violated_topic;
        story->partition = survey->violated_partition;
        story->has_focus = true;
    }
    if (story->has_focus) {
        name_part(survey, story->topic, story->partition, story->focus, sizeof story->focus);
    }
}

/* clients, brokers by number, controllers by number: the order of every figure. */
static int node_class(const struct story_node *node)
{
    switch (node->kind) {
    case STORY_CLIENT: return 0;
    case STORY_BROKER:
    case STORY_BOTH:
    case STORY_UNKNOWN: return 1;
    case STORY_CONTROLLER: return 2;
    }
    return 3;
}

static int node_order(const void *a, const void *b)
{
    const struct story_node *x = a;
    const struct story_node *y = b;

    if (node_class(x) != node_class(y)) return node_class(x) - node_class(y);
    return x->id < y->id ? -1 : x->id > y->id;
}

static void name_nodes(struct story *story)
{
    static const char *const words[] = {"node", "broker", "controller", "node", "client"};

    qsort(story->nodes, story->node_count, sizeof story->nodes[0], node_order); /* ids differ */
    for (uint32_t i = 0; i < story->node_count; i++) {
        struct story_node *node = &story->nodes[i];

        if (node->name[0] != '\0') continue;
        snprintf(node->name, sizeof node->name, "%s %d", words[node->kind], (int)node->id);
    }
}

/* The partition that was violated; on a controller that names none it is the quorum's own log. */
static void note_violation(struct survey *survey, const struct story *story,
                           const struct trace_event *event)
{
    int32_t node = story_find_node(story, event->fields[1]);

    if (event->fields[3] >= 0) {
        survey->violated = event->fields[2] != 0 || event->fields[5] >= 0;
        survey->violated_topic = event->fields[2];
        survey->violated_partition = (int32_t)event->fields[3];
    } else if (node >= 0 && story->nodes[node].kind == STORY_CONTROLLER) {
        survey->violated = true;
    }
}

enum err survey_read(struct story *story, struct bytes trace, const char *focus)
{
    struct survey *survey = calloc(1, sizeof *survey);
    struct trace_file_reader *reader = calloc(1, sizeof *reader);
    struct trace_event event;
    enum err err;

    ASSERT(survey != NULL && reader != NULL);
    err = trace_file_open(reader, trace);
    while (err == ERR_NONE && trace_file_next(reader, &event)) {
        struct story_node *node = know_node(story, reader->node);

        if (node != NULL) guess_kind(node, event.kind);
        score(survey, &event, reader->events);
        if (event.kind == TRACE_SIM_NODE) introduce(story, &event);
        if (event.kind == TRACE_TOPIC_KNOWN) know_topic(survey, event.fields[0], event.text);
        if (event.kind == TRACE_SIM_STARTED) {
            story->seed = event.fields[0];
            out_copy(story->scenario, sizeof story->scenario, event.text);
        }
        if (event.kind == TRACE_SIM_VIOLATION && !survey->violated)
            note_violation(survey, story, &event);
    }
    if (err == ERR_NONE) {
        choose(story, survey, focus);
        name_nodes(story);
    }
    free(reader);
    free(survey);
    return err;
}
