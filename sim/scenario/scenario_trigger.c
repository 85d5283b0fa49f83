/* What makes a step fire: at, after, every, when, and on: a point, a disk request, a request. */
#include "sim/scenario/read.h"

#include "client/base/list.h"
#include "client/world/trace.h"
#include "wire/api_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words of "point recovery.* #2", taken one after the other. */
struct words {
    const struct read *read;
    const struct yaml *at;
    const char *text;
    const char *next;
};

static const char *words_take(struct words *words)
{
    const char *start;
    size_t length;

    while (*words->next == ' ')
        words->next++;
    start = words->next;
    length = strcspn(start, " ");
    if (length == 0) return NULL;
    words->next += length;
    return store_text(&words->read->scenario->store, start, length);
}

static const char *words_need(struct words *words, const char *what)
{
    const char *word = words_take(words);

    if (word == NULL) read_fail(words->read, words->at, "on: %s is missing", what);
    return word != NULL ? word : "";
}

/* "#3", of which nothing is the first. */
static uint32_t words_nth(struct words *words)
{
    const char *before = words->next;
    const char *word = words_take(words);
    char *end = NULL;
    long nth;

    if (word == NULL || word[0] != '#') {
        words->next = before;
        return 1;
    }
    nth = strtol(word + 1, &end, 10);
    if (*end == '\0' && nth >= 1 && nth <= 1000000) return (uint32_t)nth;
    read_fail(words->read, words->at, "\"%s\": wanted is for example #3, from 1", word);
    return 1;
}

static void words_end(struct words *words)
{
    const char *word = words_take(words);

    if (word != NULL) read_fail(words->read, words->at, "on: should end before \"%s\"", word);
}

/* A glob over the names of trace events that no event fits would never fire. */
static void read_point(struct words *words, struct scenario_step *step)
{
    const char *names[TRACE_KIND_COUNT + 1] = {NULL};
    const struct yaml word = {.kind = YAML_SCALAR,
                              .line = words->at->line,
                              .column = words->at->column,
                              .text = words_need(words, "the name of a point")};
    bool fits = false;

    for (int i = 0; i < TRACE_KIND_COUNT; i++) {
        struct trace_kind_info info;

        trace_kind_describe((enum trace_kind)i, &info);
        names[i] = info.name;
        fits = fits || language_point(word.text, (enum trace_kind)i);
    }
    step->glob = word.text;
    if (!fits && word.text[0] != '\0') read_fail_word(words->read, &word, "point", names);
}

static void read_on_disk(struct words *words, struct scenario_step *step)
{
    const struct yaml op = {.kind = YAML_SCALAR,
                            .line = words->at->line,
                            .column = words->at->column,
                            .text = words_need(words, "the operation")};

    step->disk_op = read_choice(words->read, &op, "disk operation", SCENARIO_DISK_OPS);
    step->glob = words_need(words, "the file");
}

/* "AlterPartition", "ALTER_PARTITION" and "alter_partition" are the same API. */
static bool same_api(const char *word, const char *name)
{
    for (;;) {
        while (*word == '_')
            word++;
        while (*name == '_')
            name++;
        if ((*word | 0x20) != (*name | 0x20)) return false;
        if (*word == '\0') return true;
        word++;
        name++;
    }
}

static void read_api(struct words *words, struct scenario_step *step)
{
    const char *names[128] = {NULL};
    const struct yaml word = {.kind = YAML_SCALAR,
                              .line = words->at->line,
                              .column = words->at->column,
                              .text = words_need(words, "the name of an API")};

    step->api = -1;
    for (uint32_t i = 0; i < api_table_count && i + 1 < COUNT_OF(names); i++) {
        names[i] = api_table[i].name;
        if (same_api(word.text, names[i])) step->api = api_table[i].key;
    }
    if (step->api < 0 && word.text[0] != '\0') read_fail_word(words->read, &word, "API", names);
}

/* on: api Produce #2 from SELECTOR */
static void read_from(struct words *words, struct scenario_step *step)
{
    struct expr_reader reader = read_expr(words->read);
    const char *before = words->next;
    const char *word = words_take(words);

    words->next = before;
    if (word == NULL || strcmp(word, "from") != 0) return;
    before = strstr(words->next, "from") + strlen("from");
    step->from = expr_parse_selector(&reader, words->at, (uint32_t)(before - words->text), before);
    words->next = before + strlen(before);
}

/* In a plain scalar YAML ends the text before " #2", silently. */
static void read_on_comment(const struct read *read, const struct yaml *at)
{
    const char *line = read->scenario->source;
    const char *found;

    for (int i = 1; i < at->line && line != NULL; i++) {
        line = strchr(line, '\n');
        if (line != NULL) line++;
    }
    if (line == NULL || at->quoted || strlen(line) < (size_t)at->column) return;
    found = strstr(line + at->column - 1, at->text);
    if (found == NULL) return;
    found += strlen(at->text);
    if (strncmp(found, " #", 2) != 0 || found[2] < '0' || found[2] > '9') return;
    read_fail(read, at, "YAML reads \"#\" after a blank as a comment; quote it: on: \"%s %.*s\"",
              at->text, (int)strcspn(found + 1, " \r\n,}"), found + 1);
}

static void read_on(const struct read *read, const struct yaml *at, struct scenario_step *step)
{
    static const char *const kinds[] = {"point", "disk", "api", NULL};
    const char *text = read_text(read, at, "on");
    struct words words = {read, at, text, text};
    const struct yaml kind = {.kind = YAML_SCALAR,
                              .line = at->line,
                              .column = at->column,
                              .text = words_need(&words, "point, disk or api")};

    if (strcmp(kind.text, "point") == 0) {
        step->trigger = SCENARIO_POINT;
        read_point(&words, step);
    } else if (strcmp(kind.text, "disk") == 0) {
        step->trigger = SCENARIO_DISK;
        read_on_disk(&words, step);
    } else if (strcmp(kind.text, "api") == 0) {
        step->trigger = SCENARIO_API;
        read_api(&words, step);
    } else {
        read_fail_word(read, &kind, "trigger on", kinds);
    }
    step->nth = words_nth(&words);
    if (step->trigger == SCENARIO_API) read_from(&words, step);
    words_end(&words);
    read_on_comment(read, at);
}

void read_trigger(const struct read *read, const struct yaml *at, struct scenario_step *step)
{
    static const char *const keys[] = {"at", "after", "every", "when", "on"};
    struct expr_reader reader = read_expr(read);
    const struct yaml *found = NULL;
    const char *key = "";

    for (uint32_t i = 0; i < COUNT_OF(keys); i++) {
        const struct yaml *value = yaml_get(at, keys[i]);

        if (value == NULL) continue;
        if (found != NULL) {
            read_fail(read, value, "a step has one trigger; at, after, every, when or on");
            return;
        }
        found = value;
        key = keys[i];
        step->trigger = (enum scenario_trigger)i;
    }
    if (found == NULL) {
        read_fail(read, at, "a step needs a trigger: at, after, every, when or on");
        return;
    }
    if (strcmp(key, "on") == 0) {
        read_on(read, found, step);
    } else if (step->trigger == SCENARIO_WHEN) {
        step->when = expr_parse_condition(&reader, found, &step->hold_ns);
    } else {
        step->time = read_range(read, found, UNIT_TIME);
        if (step->time.min < 0) read_fail(read, found, "time does not run backwards");
    }
    if (step->trigger == SCENARIO_EVERY && step->time.min < NS_PER_MS &&
        !yaml_failed(read->error)) {
        read_fail(read, found, "every: wants at least 1ms");
    }
    if (step->trigger == SCENARIO_AT && step->time.min >= read->scenario->stop_ns) {
        read_fail(read, found, "unreachable: the run stops before, at stop.time");
    }
}
