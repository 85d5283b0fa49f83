#include "sim/diff.h"

#include "client/world/trace_file.h"
#include "reports/plain.h"
#include "reports/reports.h"
#include "sim/campaign.h"
#include "sim/plan.h"
#include "sim/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    DIFF_NODES_MAX = 128,
    DIFF_WINDOW = 256, /* so far ahead the sides are looked for again */
    DIFF_AGREE = 3,    /* so many events in a row must agree there */
    DIFF_TEXT_MAX = 80,
    DIFF_LINE_MAX = 512,
};

struct item {
    int64_t time_ns;
    uint64_t key;
    uint64_t place; /* in the events of the side */
};

struct side_node {
    int32_t node;
    struct item *items;
    uint64_t count;
    uint64_t capacity;
};

struct side_event {
    struct trace_event event;
    char text[DIFF_TEXT_MAX];
};

struct side {
    const char *path;
    struct side_node nodes[DIFF_NODES_MAX];
    uint32_t node_count;
    struct side_event *events;
    uint64_t count;
    uint64_t capacity;
    struct plan *plan; /* NULL: none */
};

/* What one node's two histories came to. */
struct parting {
    int32_t node;
    bool differs;
    int64_t time_ns;        /* of the earlier of the two events that differ */
    const struct item *one; /* NULL: that side has nothing more */
    const struct item *other;
    const struct item *common; /* the last that agreed, of side one; NULL: none */
    uint64_t only_one;
    uint64_t only_other;
    uint64_t agreed;
    bool lost;        /* the sides were not brought together again */
    int64_t shift_ns; /* where the first event at another time is; -1: none */
};

/* ---- reading --------------------------------------------------------------------------------- */

static struct side_node *side_node(struct side *side, int32_t node)
{
    for (uint32_t i = 0; i < side->node_count; i++) {
        if (side->nodes[i].node == node) return &side->nodes[i];
    }
    if (side->node_count == DIFF_NODES_MAX) return NULL;
    side->nodes[side->node_count] = (struct side_node){.node = node};
    return &side->nodes[side->node_count++];
}

static void *grow(void *array, uint64_t count, uint64_t *capacity, size_t size)
{
    if (count < *capacity) return array;
    *capacity = *capacity == 0 ? 1024 : *capacity * 2;
    array = realloc(array, *capacity * size);
    if (array == NULL) abort();
    return array;
}

static uint64_t event_key(const struct trace_event *event)
{
    uint64_t key = sim_digest((uint64_t)event->kind, event->text.data, event->text.length);

    if (event->kind == TRACE_SIM_STARTED) return key; /* that the seeds differ is no news */
    for (uint32_t i = 0; i < event->field_count; i++)
        key = sim_digest(key, &event->fields[i], sizeof event->fields[i]);
    return key;
}

static void side_add(struct side *side, const struct trace_file_reader *reader,
                     const struct trace_event *event)
{
    struct side_node *node = side_node(side, reader->node);
    struct side_event *kept;

    if (node == NULL) return;
    side->events = grow(side->events, side->count, &side->capacity, sizeof *side->events);
    kept = &side->events[side->count];
    kept->event = *event;
    (void)snprintf(kept->text, sizeof kept->text, "%.*s", (int)event->text.length,
                   event->text.length > 0 ? event->text.data : "");
    node->items = grow(node->items, node->count, &node->capacity, sizeof *node->items);
    node->items[node->count++] = (struct item){reader->time_ns, event_key(event), side->count};
    side->count++;
}

static bool side_read(struct side *side, struct bytes data)
{
    struct trace_file_reader *reader = sim_alloc(sizeof *reader);
    struct trace_event event;
    enum err err = trace_file_open(reader, data);

    if (err != ERR_NONE) {
        fprintf(stderr, "gregor-sim: %s: no trace file, or of a newer version\n", side->path);
    } else {
        while (trace_file_next(reader, &event))
            side_add(side, reader, &event);
        if (reader->err != ERR_NONE) {
            fprintf(stderr, "gregor-sim: %s: read up to what makes no sense\n", side->path);
        }
    }
    free(reader);
    return err == ERR_NONE;
}

/* A file, or the one in the directory of a run: true. */
static bool trace_path(const char *given, char *path, size_t size)
{
    struct stat about;
    bool inside = stat(given, &about) == 0 && S_ISDIR(about.st_mode);

    (void)snprintf(path, size, "%s%s", given, inside ? "/trace.bin" : "");
    return inside;
}

static bool side_load(struct side *side)
{
    char inside[1100];
    char error[PLAN_ERROR_MAX];
    struct stat about;
    uint8_t *data;
    FILE *file;
    bool fine;

    if (trace_path(side->path, inside, sizeof inside)) side->plan = plan_load(side->path, error);
    file = fopen(inside, "rb");
    if (file == NULL || fstat(fileno(file), &about) != 0) {
        fprintf(stderr, "gregor-sim: %s: %s\n", inside, strerror(errno));
        if (file != NULL) (void)fclose(file);
        return false;
    }
    data = sim_alloc((size_t)about.st_size + 1);
    fine = fread(data, 1, (size_t)about.st_size, file) == (size_t)about.st_size &&
           side_read(side, (struct bytes){data, (uint32_t)about.st_size});
    (void)fclose(file);
    free(data);
    return fine;
}

static void side_free(struct side *side)
{
    for (uint32_t i = 0; i < side->node_count; i++)
        free(side->nodes[i].items);
    free(side->events);
    plan_destroy(side->plan);
}

/* ---- aligning -------------------------------------------------------------------------------- */

static bool agree(const struct side_node *one, uint64_t i, const struct side_node *other,
                  uint64_t j)
{
    for (uint32_t k = 0; k < DIFF_AGREE; k++) {
        bool end_one = i + k >= one->count;
        bool end_other = j + k >= other->count;

        if (end_one || end_other) return end_one && end_other && k > 0;
        if (one->items[i + k].key != other->items[j + k].key) return false;
    }
    return true;
}

/* The fewest events to leave out of either side so that they agree again. */
static bool together(const struct side_node *one, uint64_t *i, const struct side_node *other,
                     uint64_t *j)
{
    for (uint64_t left = 1; left <= DIFF_WINDOW; left++) {
        for (uint64_t a = 0; a <= left; a++) {
            if (!agree(one, *i + a, other, *j + left - a)) continue;
            *i += a;
            *j += left - a;
            return true;
        }
    }
    return false;
}

static void part_at(struct parting *parting, const struct item *one, const struct item *other)
{
    if (parting->differs) return;
    parting->differs = true;
    parting->one = one;
    parting->other = other;
    parting->time_ns = one == NULL                                      ? other->time_ns
                       : other == NULL || one->time_ns < other->time_ns ? one->time_ns
                                                                        : other->time_ns;
}

static struct parting compare_node(const struct side_node *one, const struct side_node *other)
{
    struct parting parting = {.node = one->node, .shift_ns = -1};
    uint64_t i = 0;
    uint64_t j = 0;

    while (i < one->count || j < other->count) {
        uint64_t from_i = i;
        uint64_t from_j = j;

        if (i < one->count && j < other->count && one->items[i].key == other->items[j].key) {
            if (parting.shift_ns < 0 && one->items[i].time_ns != other->items[j].time_ns) {
                parting.shift_ns = one->items[i].time_ns;
            }
            if (!parting.differs) parting.common = &one->items[i];
            parting.agreed++;
            i++;
            j++;
            continue;
        }
        part_at(&parting, i < one->count ? &one->items[i] : NULL,
                j < other->count ? &other->items[j] : NULL);
        if (!together(one, &i, other, &j)) {
            parting.lost = i < one->count && j < other->count;
            parting.only_one += one->count - i;
            parting.only_other += other->count - j;
            return parting;
        }
        parting.only_one += i - from_i;
        parting.only_other += j - from_j;
    }
    return parting;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void event_line(const struct side *side, const struct item *item, char line[DIFF_LINE_MAX])
{
    const struct side_event *kept;
    struct trace_kind_info info;
    const char *names;
    size_t used;

    if (item == NULL) {
        (void)snprintf(line, DIFF_LINE_MAX, "nothing more");
        return;
    }
    kept = &side->events[item->place];
    trace_kind_describe(kept->event.kind, &info);
    names = info.fields;
    used = (size_t)snprintf(line, DIFF_LINE_MAX, "%lld.%06lld %s",
                            (long long)(item->time_ns / NS_PER_SEC),
                            (long long)(item->time_ns % NS_PER_SEC / 1000), info.name);
    for (uint32_t i = 0; i < kept->event.field_count && used < DIFF_LINE_MAX; i++) {
        int length = (int)strcspn(names, " ");

        used += (size_t)snprintf(line + used, DIFF_LINE_MAX - used, " %.*s=%" PRId64, length, names,
                                 kept->event.fields[i]);
        names += length + (names[length] == ' ');
    }
    if (kept->text[0] != '\0' && used < DIFF_LINE_MAX) {
        (void)snprintf(line + used, DIFF_LINE_MAX - used, " \"%s\"", kept->text);
    }
}

static const char *node_word(int32_t node, char word[24])
{
    (void)snprintf(word, 24, node < 0 ? "the simulator" : "node %d", (int)node);
    return word;
}

static void tell_plans(const struct side *one, const struct side *other)
{
    uint32_t at;

    if (one->plan == NULL || other->plan == NULL) return;
    printf("  one:   %s seed %" PRIu64 " %s, %u faults\n", one->plan->scenario, one->plan->seed,
           one->plan->verdict, one->plan->fault_count);
    printf("  other: %s seed %" PRIu64 " %s, %u faults\n", other->plan->scenario, other->plan->seed,
           other->plan->verdict, other->plan->fault_count);
    at = replay_diverged(one->plan, other->plan);
    if (at == one->plan->fault_count && at == other->plan->fault_count) return;
    printf("first other fault: number %u\n  one:   %s\n  other: %s\n", at + 1,
           at < one->plan->fault_count ? one->plan->faults[at].was : "none",
           at < other->plan->fault_count ? other->plan->faults[at].was : "none");
}

static int parting_order(const void *l, const void *r)
{
    const struct parting *one = l;
    const struct parting *other = r;

    if (one->differs != other->differs) return one->differs ? -1 : 1;
    if (one->time_ns != other->time_ns) return one->time_ns < other->time_ns ? -1 : 1;
    return (one->node > other->node) - (one->node < other->node);
}

static void tell_first(const struct side *one, const struct side *other,
                       const struct parting *first)
{
    char line[DIFF_LINE_MAX];
    char word[24];

    printf("first difference: on %s\n", node_word(first->node, word));
    event_line(one, first->one, line);
    printf("  one:   %s\n", line);
    event_line(other, first->other, line);
    printf("  other: %s\n", line);
}

static void tell_spread(const struct side *one, const struct parting *partings, uint32_t count)
{
    char line[DIFF_LINE_MAX];
    char word[24];

    printf("how it spreads:\n");
    for (uint32_t i = 0; i < count && partings[i].differs; i++) {
        const struct parting *at = &partings[i];

        printf("  +%.6f s %-14s %" PRIu64 " agree, %" PRIu64 " only in one, %" PRIu64
               " only in other%s\n",
               (double)(at->time_ns - partings[0].time_ns) / (double)NS_PER_SEC,
               node_word(at->node, word), at->agreed, at->only_one, at->only_other,
               at->lost ? ", never together again" : "");
        if (at->common == NULL) continue;
        event_line(one, at->common, line);
        printf("     last common: %s\n", line);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (partings[i].differs) continue;
        printf("  same         %-14s %" PRIu64 " events%s\n", node_word(partings[i].node, word),
               partings[i].agreed, partings[i].shift_ns >= 0 ? ", at other times" : "");
    }
}

/* ---- drawing --------------------------------------------------------------------------------- */

static const char *topic_of(const struct side *side, int64_t id)
{
    for (uint64_t i = 0; i < side->count; i++) {
        const struct side_event *kept = &side->events[i];

        if (kept->event.kind == TRACE_TOPIC_KNOWN && kept->event.fields[0] == id) return kept->text;
    }
    return "?";
}

static void words_of(struct out *out, const struct side *side, const struct item *item)
{
    struct trace_event event;

    if (item == NULL) return;
    event = side->events[item->place].event;
    event.text = str_of(side->events[item->place].text);
    plain_event(out, &event, plain_has_topic(event.kind) ? topic_of(side, event.fields[0]) : "");
}

static void fields_of(struct out *out, const struct side *side, const struct item *item)
{
    char line[DIFF_LINE_MAX];

    event_line(side, item, line);
    out->length = 0;
    out_cstr(out, line + strcspn(line, " ") + 1); /* the time is told already */
}

/* "seed 7" where the directories were left by one scenario, else what they are called. */
static void name_of(const struct side *side, const struct reports_run *run,
                    char name[DIFF_TEXT_MAX])
{
    const char *slash = strrchr(side->path, '/');

    if (run->scenario != NULL && run->has_seed) {
        (void)snprintf(name, DIFF_TEXT_MAX, "%.40s, seed %" PRIu64 ": %.16s", run->scenario,
                       run->seed, run->outcome != NULL ? run->outcome : "");
    } else {
        (void)snprintf(name, DIFF_TEXT_MAX, "%.70s", slash != NULL ? slash + 1 : side->path);
    }
}

static int draw(const struct side *sides, const struct parting *partings, uint32_t count,
                const char *directory)
{
    struct reports_parting *told = sim_alloc((count + 1) * sizeof *told);
    struct out *words = sim_alloc(2 * (count + 1) * sizeof *words);
    char names[2][DIFF_TEXT_MAX];
    char paths[2][1100];
    struct reports_run runs[2] = {{.trace_path = paths[0]}, {.trace_path = paths[1]}};
    void *facts[2] = {NULL, NULL};
    struct reports_compare compare = {.directory = directory,
                                      .one = &runs[0],
                                      .other = &runs[1],
                                      .names = {names[0], names[1]},
                                      .partings = told,
                                      .parting_count = count};
    struct reports_result result;
    enum err err;

    for (uint32_t i = 0; i < 2; i++) {
        (void)trace_path(sides[i].path, paths[i], sizeof paths[i]);
        reports_facts_load(sides[i].path, &runs[i], &facts[i]);
        name_of(&sides[i], &runs[i], names[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct parting *at = &partings[i];

        words_of(&words[2 * i], &sides[0], at->one);
        words_of(&words[2 * i + 1], &sides[1], at->other);
        if (at->one != NULL && at->other != NULL &&
            strcmp(words[2 * i].data, words[2 * i + 1].data) == 0) { /* then in numbers */
            fields_of(&words[2 * i], &sides[0], at->one);
            fields_of(&words[2 * i + 1], &sides[1], at->other);
        }
        told[i] = (struct reports_parting){at->node,          at->differs,           at->time_ns,
                                           words[2 * i].data, words[2 * i + 1].data, at->agreed,
                                           at->only_one,      at->only_other};
    }
    (void)mkdir(directory, 0777);
    err = reports_render_compare(&compare, &result);
    for (uint32_t i = 0; i < 2 * count; i++)
        out_free(&words[i]);
    free(words);
    free(told);
    free(facts[0]);
    free(facts[1]);
    if (err != ERR_NONE) {
        fprintf(stderr, "gregor-sim: %s/compare.html: %s\n", directory, err_name(err));
        return CAMPAIGN_SIMULATOR;
    }
    if (result.note[0] != '\0') fprintf(stderr, "gregor-sim: %s\n", result.note);
    printf("%s/compare.html\n", directory);
    return 0;
}

static int diff_sides(struct side *one, struct side *other, const char *directory)
{
    struct parting partings[DIFF_NODES_MAX];
    uint32_t count = 0;
    bool same = true;

    for (uint32_t i = 0; i < other->node_count; i++)
        (void)side_node(one, other->nodes[i].node);
    for (uint32_t i = 0; i < one->node_count; i++) {
        const struct side_node empty = {.node = one->nodes[i].node};
        const struct side_node *peer = &empty;

        for (uint32_t j = 0; j < other->node_count; j++) {
            if (other->nodes[j].node == one->nodes[i].node) peer = &other->nodes[j];
        }
        partings[count] = compare_node(&one->nodes[i], peer);
        same = same && !partings[count].differs && partings[count].shift_ns < 0;
        count++;
    }
    qsort(partings, count, sizeof partings[0], parting_order);
    tell_plans(one, other);
    if (directory != NULL && draw(one, partings, count, directory) != 0) return CAMPAIGN_SIMULATOR;
    if (same) {
        printf("the same %" PRIu64 " events\n", one->count);
        return 0;
    }
    if (count > 0 && partings[0].differs) {
        tell_first(one, other, &partings[0]);
    } else {
        printf("the same events, at other times\n");
    }
    tell_spread(one, partings, count);
    return 1;
}

int diff_command(int argc, char **argv)
{
    struct side *sides = sim_alloc(2 * sizeof *sides);
    const char *directory = NULL;
    uint32_t count = 0;
    bool wrong = false;
    int status = CAMPAIGN_USAGE;

    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
            directory = argv[++i];
        else if (argv[i][0] == '-' || count == 2)
            wrong = true;
        else
            sides[count++].path = argv[i];
    }
    if (wrong || count != 2) {
        fprintf(stderr, "gregor-sim: diff: two directories or trace files are wanted\n");
        free(sides);
        return CAMPAIGN_USAGE;
    }
    if (side_load(&sides[0]) && side_load(&sides[1]))
        status = diff_sides(&sides[0], &sides[1], directory);
    side_free(&sides[0]);
    side_free(&sides[1]);
    free(sides);
    return status;
}
