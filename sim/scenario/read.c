#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void read_fail(const struct read *read, const struct yaml *at, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    yaml_fail(read->error, read->file, at->line, at->column, "%s", text);
}

void read_fail_word(const struct read *read, const struct yaml *at, const char *kind,
                    const char *const *known)
{
    const char *word = at->kind == YAML_SCALAR ? at->text : "";
    const char *nearest = language_nearest(word, known);
    char all[320] = "";
    size_t used = 0;

    if (language_missing(word) != NULL) {
        read_fail(read, at, "\"%s\" needs %s, which this version does not have", word,
                  language_missing(word));
        return;
    }
    if (nearest != NULL) {
        read_fail(read, at, "no such %s: \"%s\"; did you mean \"%s\"?", kind, word, nearest);
        return;
    }
    for (; *known != NULL && used + 40 < sizeof all; known++) {
        used +=
            (size_t)snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? ", " : "", *known);
    }
    read_fail(read, at, "no such %s: \"%s\"; there are: %s", kind, word, all);
}

static const char *kind_name(enum yaml_kind kind)
{
    switch (kind) {
    case YAML_SCALAR: return "a single value";
    case YAML_LIST: return "a list";
    case YAML_MAP: return "a map";
    }
    return "";
}

bool read_map(const struct read *read, const struct yaml *at, const char *what,
              const char *const *known)
{
    if (at->kind != YAML_MAP) {
        read_fail(read, at, "%s is a map of keys, not %s", what, kind_name(at->kind));
        return false;
    }
    for (uint32_t i = 0; i < at->count; i++) {
        const char *const *word = known;

        while (*word != NULL && strcmp(*word, at->keys[i]->text) != 0)
            word++;
        if (*word != NULL) continue;
        read_fail_word(read, at->keys[i], "key here", known);
        return false;
    }
    return true;
}

bool read_list(const struct read *read, const struct yaml *at, const char *what)
{
    if (at->kind == YAML_LIST) return true;
    read_fail(read, at, "%s is a list, not %s", what, kind_name(at->kind));
    return false;
}

const char *read_text(const struct read *read, const struct yaml *at, const char *what)
{
    if (at->kind == YAML_SCALAR) return at->text;
    read_fail(read, at, "%s is a text, not %s", what, kind_name(at->kind));
    return "";
}

const char *read_name(const struct read *read, const struct yaml *at, const char *what)
{
    const char *text = read_text(read, at, what);

    for (const char *c = text;; c++) {
        bool fine = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' ||
                    (c > text && ((*c >= '0' && *c <= '9') || *c == '-' || *c == '.'));

        if (*c == '\0' && c > text) return text;
        if (fine) continue;
        read_fail(read, at, "%s: \"%s\" is no name; letters, digits, '_', '-' and '.' make one",
                  what, text);
        return "";
    }
}

int read_choice(const struct read *read, const struct yaml *at, const char *what,
                const char *choices)
{
    const char *text = read_text(read, at, what);
    int index = language_choice(choices, text);
    char words[256];
    const char *list[17] = {NULL};

    if (index >= 0) return index;
    (void)snprintf(words, sizeof words, "%s", choices);
    for (uint32_t i = 0; i < 16 && i < COUNT_OF(list); i++) {
        list[i] = strtok(i == 0 ? words : NULL, " ");
        if (list[i] == NULL) break;
    }
    read_fail_word(read, at, what, list);
    return 0;
}

bool read_bool(const struct read *read, const struct yaml *at)
{
    return read_choice(read, at, "truth", "false true") == 1;
}

struct unit_range read_range(const struct read *read, const struct yaml *at, enum unit unit)
{
    struct unit_range range = {0, 0};
    char why[192];
    const char *text = read_text(read, at, "a quantity");

    if (!units_parse(unit, text, &range, why)) read_fail(read, at, "%s", why);
    return range;
}

int64_t read_fixed(const struct read *read, const struct yaml *at, enum unit unit, int64_t min,
                   int64_t max)
{
    struct unit_range range = read_range(read, at, unit);

    if (yaml_failed(read->error)) return min;
    if (range.min != range.max) {
        read_fail(read, at, "\"%s\" is a range; one fixed value is wanted here", at->text);
    } else if (range.min < min || range.min > max) {
        if (unit == UNIT_COUNT) {
            read_fail(read, at, "\"%s\" is out of range; wanted is %lld to %lld", at->text,
                      (long long)min, (long long)max);
        } else {
            read_fail(read, at, "\"%s\" is out of range; wanted is for example %s", at->text,
                      units_example(unit));
        }
    }
    return yaml_failed(read->error) ? min : range.min;
}

struct expr_reader read_expr(const struct read *read)
{
    return (struct expr_reader){&read->scenario->store, read->file, &read->scenario->names,
                                read->error};
}
