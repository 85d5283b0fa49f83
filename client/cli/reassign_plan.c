#include "client/cli/reassign_plan.h"

#include "client/cli/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parts ----------------------------------------------------------------------------------- */

bool plan_add(struct plan *plan, struct str topic, int32_t partition, const int32_t *replicas,
              uint32_t count)
{
    struct plan_part *part;

    if (plan->count == PLAN_PARTS_MAX || count > PLAN_REPLICAS_MAX) return false;
    if ((plan->count & (plan->count - 1)) == 0) { /* grows at powers of two */
        size_t room = plan->count == 0 ? 1 : 2 * (size_t)plan->count;
        struct plan_part *grown = realloc(plan->parts, room * sizeof *grown);

        if (grown == NULL) return false;
        plan->parts = grown;
    }
    part = &plan->parts[plan->count];
    *part = (struct plan_part){.partition = partition, .count = count};
    part->topic = strndup(topic.data, topic.length);
    if (part->topic == NULL) return false;
    if (count > 0) memcpy(part->replicas, replicas, count * sizeof *replicas);
    plan->count++;
    return true;
}

void plan_free(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++)
        free(plan->parts[i].topic);
    for (uint32_t i = 0; i < plan->topics_count; i++)
        free(plan->topics[i]);
    free(plan->parts);
    free(plan->topics);
    *plan = (struct plan){0};
}

static int by_name(const void *left, const void *right)
{
    const struct plan_part *a = left;
    const struct plan_part *b = right;
    int order = strcmp(a->topic, b->topic);

    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

void plan_sort(struct plan *plan)
{
    if (plan->count > 1) qsort(plan->parts, plan->count, sizeof *plan->parts, by_name);
}

const struct plan_part *plan_find(const struct plan *plan, struct str topic, int32_t partition)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_part *part = &plan->parts[i];

        if (part->partition == partition && str_equal(str_of(part->topic), topic)) return part;
    }
    return NULL;
}

/* Names of topics need no escapes. */
void plan_print(const struct plan *plan)
{
    printf("{\"version\":1,\"partitions\":[");
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_part *part = &plan->parts[i];

        printf("%s{\"topic\":\"%s\",\"partition\":%d,\"replicas\":[", i > 0 ? "," : "", part->topic,
               part->partition);
        for (uint32_t k = 0; k < part->count; k++)
            printf("%s%d", k > 0 ? "," : "", part->replicas[k]);
        printf("],\"log_dirs\":[");
        for (uint32_t k = 0; k < part->count; k++)
            printf("%s\"any\"", k > 0 ? "," : "");
        printf("]}");
    }
    printf("]}\n");
}

/* ---- files ----------------------------------------------------------------------------------- */

static char *slurp(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    size_t used = 0, room = 4096;
    char *text = malloc(room);

    if (file == NULL || text == NULL) {
        cli_complain(CLI_FAILED, "%s: the file cannot be read", path);
        if (file != NULL && file != stdin) fclose(file);
        free(text);
        return NULL;
    }
    for (;;) {
        size_t got = fread(text + used, 1, room - used - 1, file);
        char *grown;

        used += got;
        if (got == 0) break;
        if (used + 1 < room) continue;
        grown = realloc(text, room *= 2);
        if (grown == NULL) break;
        text = grown;
    }
    text[used] = 0;
    if (file != stdin) fclose(file);
    return text;
}

static bool wrong_at(const char *path, const struct json *at, const char *what)
{
    cli_complain(CLI_USAGE, "%s:%u:%u: %s", path, at->line, at->column, what);
    return false;
}

static struct json *load(const char *path, const char *list, const struct json **items)
{
    char *text = slurp(path);
    struct json_error error;
    struct json *root;
    const struct json *version;

    if (text == NULL) return NULL;
    root = json_parse(text, &error);
    free(text);
    if (root == NULL) {
        cli_complain(CLI_USAGE, "%s:%u:%u: %s", path, error.line, error.column, error.wrong);
        return NULL;
    }
    version = json_get(root, "version");
    *items = json_get(root, list);
    if (version != NULL &&
        (version->kind != JSON_NUMBER || !version->whole || version->number != 1)) {
        wrong_at(path, version, "the version is not 1");
    } else if (*items == NULL || (*items)->kind != JSON_LIST) {
        cli_complain(CLI_USAGE, "%s:%u:%u: \"%s\": [...] is wanted in the outermost {}", path,
                     root->line, root->column, list);
    } else if ((*items)->count == 0) {
        wrong_at(path, *items, "the list is empty");
    } else {
        return root;
    }
    json_free(root);
    return NULL;
}

static bool read_replicas(const char *path, const struct json *list, struct plan_part *part)
{
    if (list->kind != JSON_LIST || list->count == 0)
        return wrong_at(path, list, "\"replicas\" is a list of broker ids, at least one");
    if (list->count > PLAN_REPLICAS_MAX) return wrong_at(path, list, "too many replicas");
    for (uint32_t i = 0; i < list->count; i++) {
        if (!json_is_id(&list->items[i], &part->replicas[i]))
            return wrong_at(path, &list->items[i], "this is no broker id");
        for (uint32_t k = 0; k < i; k++)
            if (part->replicas[k] == part->replicas[i])
                return wrong_at(path, &list->items[i], "a broker is named twice");
    }
    part->count = list->count;
    return true;
}

/* "any" for each replica; a directory by name is not built. */
static bool check_dirs(const char *path, const struct json *dirs, uint32_t replicas)
{
    if (dirs == NULL) return true;
    if (dirs->kind != JSON_LIST || dirs->count != replicas)
        return wrong_at(path, dirs, "\"log_dirs\" has one entry for each replica");
    for (uint32_t i = 0; i < dirs->count; i++)
        if (dirs->items[i].kind != JSON_STRING || strcmp(dirs->items[i].text, "any") != 0)
            return wrong_at(path, &dirs->items[i],
                            "only \"any\" is possible: a reassignment chooses no directory");
    return true;
}

static bool read_part(struct plan *plan, const char *path, const struct json *in)
{
    const struct json *topic = json_get(in, "topic");
    const struct json *replicas = json_get(in, "replicas");
    struct plan_part part = {0};

    if (topic == NULL || topic->kind != JSON_STRING || replicas == NULL ||
        !json_is_id(json_get(in, "partition"), &part.partition))
        return wrong_at(path, in,
                        "{\"topic\": TEXT, \"partition\": N, \"replicas\": [N, ...]} is "
                        "wanted");
    if (!read_replicas(path, replicas, &part)) return false;
    if (!check_dirs(path, json_get(in, "log_dirs"), part.count)) return false;
    if (plan_find(plan, str_of(topic->text), part.partition) != NULL)
        return wrong_at(path, in, "the partition is named twice");
    if (plan_add(plan, str_of(topic->text), part.partition, part.replicas, part.count)) return true;
    return wrong_at(path, in, "too many partitions");
}

bool plan_read(struct plan *plan, const char *path)
{
    const struct json *items;
    struct json *root = load(path, "partitions", &items);
    bool good = root != NULL;

    for (uint32_t i = 0; good && i < items->count; i++)
        good = read_part(plan, path, &items->items[i]);
    json_free(root);
    plan_sort(plan);
    return good;
}

bool plan_read_topics(struct plan *plan, const char *path)
{
    const struct json *items;
    struct json *root = load(path, "topics", &items);
    bool good = root != NULL;

    if (good) plan->topics = calloc(items->count, sizeof *plan->topics);
    for (uint32_t i = 0; good && i < items->count; i++) {
        const struct json *topic = json_get(&items->items[i], "topic");

        good = topic != NULL && topic->kind == JSON_STRING && plan->topics != NULL;
        if (!good) wrong_at(path, &items->items[i], "{\"topic\": TEXT} is wanted");
        if (good) plan->topics[plan->topics_count++] = strdup(topic->text);
    }
    json_free(root);
    return good;
}

/* ---- generate -------------------------------------------------------------------------------- */

static int by_rack(const void *left, const void *right)
{
    const struct plan_broker *a = left;
    const struct plan_broker *b = right;
    int order = str_compare(a->rack, b->rack);

    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

static int by_id(const void *left, const void *right)
{
    const struct plan_broker *a = left;
    const struct plan_broker *b = right;

    return (a->id > b->id) - (a->id < b->id);
}

/* a1 a2 b1 b2 c1 to a1 b1 c1 a2 b2: neighbours are in different racks as long as there are any. */
static void take_turns(struct plan_broker *brokers, uint32_t count)
{
    struct plan_broker *sorted = malloc(count * sizeof *sorted);
    uint32_t filled = 0;

    qsort(brokers, count, sizeof *brokers, by_rack);
    if (sorted == NULL) return;
    memcpy(sorted, brokers, count * sizeof *sorted);
    for (uint32_t round = 0; filled < count; round++) {
        uint32_t in_rack = 0;

        for (uint32_t i = 0; i < count; i++) {
            in_rack = i > 0 && str_equal(sorted[i].rack, sorted[i - 1].rack) ? in_rack + 1 : 0;
            if (in_rack == round) brokers[filled++] = sorted[i];
        }
    }
    free(sorted);
}

static bool rack_used(const struct plan_broker *brokers, const uint32_t *taken, uint32_t count,
                      struct str rack)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_equal(brokers[taken[i]].rack, rack)) return true;
    return false;
}

static bool in_use(const uint32_t *taken, uint32_t count, uint32_t index)
{
    for (uint32_t i = 0; i < count; i++)
        if (taken[i] == index) return true;
    return false;
}

bool plan_spread(struct plan *plan, struct str topic, uint32_t partitions, uint32_t factor,
                 struct plan_broker *brokers, uint32_t brokers_count, uint32_t start)
{
    bool racks = true;

    if (factor == 0 || factor > brokers_count || factor > PLAN_REPLICAS_MAX) return false;
    for (uint32_t i = 0; i < brokers_count; i++)
        racks = racks && brokers[i].rack.data != NULL;
    if (racks)
        take_turns(brokers, brokers_count);
    else
        qsort(brokers, brokers_count, sizeof *brokers, by_id);
    for (uint32_t p = 0; p < partitions; p++) {
        uint32_t taken[PLAN_REPLICAS_MAX] = {(start + p) % brokers_count};
        int32_t ids[PLAN_REPLICAS_MAX] = {brokers[taken[0]].id};
        uint32_t shift = (start + p) / brokers_count;

        for (uint32_t k = 1; k < factor; k++) {
            uint32_t at = taken[0] + 1 + shift % brokers_count;
            uint32_t best = brokers_count;

            /* The next free one in a rack that has none yet, or else the next free one. */
            for (uint32_t i = 0; i < brokers_count; i++) {
                uint32_t index = (at + k - 1 + i) % brokers_count;

                if (in_use(taken, k, index)) continue;
                if (best == brokers_count) best = index;
                if (!racks || !rack_used(brokers, taken, k, brokers[index].rack)) {
                    best = index;
                    break;
                }
            }
            taken[k] = best;
            ids[k] = brokers[best].id;
        }
        if (!plan_add(plan, topic, (int32_t)p, ids, factor)) return false;
    }
    return true;
}
