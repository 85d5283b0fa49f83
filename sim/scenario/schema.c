#include "sim/scenario/schema.h"

#include "client/base/assert.h"
#include "client/base/list.h"
#include "sim/scenario/keys.h"
#include "sim/scenario/language.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct out {
    void (*put)(void *context, const char *line);
    void *context;
};

static void line(const struct out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void line(const struct out *out, const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    out->put(out->context, text);
}

/* Within a JSON string. */
static const char *quoted(const char *text, char *buffer, size_t size)
{
    size_t used = 0;

    for (; *text != '\0' && used + 2 < size; text++) {
        if (*text == '"' || *text == '\\') buffer[used++] = '\\';
        buffer[used++] = *text;
    }
    buffer[used] = '\0';
    return buffer;
}

/* "a b" -> "\"a\", \"b\"" */
static const char *words_json(const char *words, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    while (*words != '\0') {
        size_t length = strcspn(words, " ");

        used += (size_t)snprintf(buffer + used, size - used, "%s\"%.*s\"", used > 0 ? ", " : "",
                                 (int)length, words);
        if (used >= size) used = size - 1;
        words += length;
        while (*words == ' ')
            words++;
    }
    return buffer;
}

/* ---- schema ---------------------------------------------------------------------------------- */

static const char *unit_def(enum unit unit)
{
    switch (unit) {
    case UNIT_COUNT: return "count";
    case UNIT_TIME: return "time";
    case UNIT_SIZE: return "size";
    case UNIT_RATE: return "rate";
    case UNIT_SHARE: return "share";
    case UNIT_DRIFT: return "drift";
    case UNIT_FACTOR: return "factor";
    case UNITS: break;
    }
    IMPOSSIBLE("a unit");
}

static void schema_defs(const struct out *out)
{
    for (enum unit unit = UNIT_COUNT; unit < UNITS; unit++) {
        char example[128];

        line(out,
             "    \"%s\": {\"anyOf\": [{\"type\": [\"string\", \"integer\"]}, {\"$ref\": "
             "\"#/$defs/pick\"}], \"description\": \"for example %s; a..b draws once per run\"},",
             unit_def(unit), quoted(units_example(unit), example, sizeof example));
    }
    line(out, "    \"pick\": {\"type\": \"object\", \"additionalProperties\": false, \"required\": "
              "[\"pick\"], \"properties\": {\"pick\": {\"type\": \"array\", \"minItems\": 1}}},");
    line(out, "    \"selector\": {\"type\": [\"string\", \"integer\"], \"description\": "
              "\"leader(t-0), followers(t-0), any brokers, node(2), $var\"},");
    line(out, "    \"selectors\": {\"anyOf\": [{\"$ref\": \"#/$defs/selector\"}, {\"type\": "
              "\"array\", \"items\": {\"$ref\": \"#/$defs/selector\"}}]},");
    line(out, "    \"links\": {\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", "
              "\"items\": {\"type\": \"string\"}}], \"description\": \"A -> B, A <-> B, a list, or "
              "all\"},");
}

static const char *arg_schema(const struct action_arg *arg, char *buffer, size_t size)
{
    char words[512];

    switch (arg->kind) {
    case VALUE_NODES: return "{\"$ref\": \"#/$defs/selectors\"}";
    case VALUE_LINKS: return "{\"$ref\": \"#/$defs/links\"}";
    case VALUE_UNIT:
        (void)snprintf(buffer, size, "{\"$ref\": \"#/$defs/%s\"}", unit_def(arg->unit));
        return buffer;
    case VALUE_CHOICE:
        (void)snprintf(buffer, size, "{\"enum\": [%s]}",
                       words_json(arg->choices, words, sizeof words));
        return buffer;
    case VALUE_BOOL: return "{\"type\": \"boolean\"}";
    case VALUE_TEXT:
    case VALUE_TOPIC:
    case VALUE_PARTITION: return "{\"type\": \"string\"}";
    case VALUE_CONFIGS: return "{\"type\": \"object\"}";
    }
    IMPOSSIBLE("kind of an argument");
}

static void schema_required(const struct action_word *word, char *buffer, size_t size)
{
    size_t used = (size_t)snprintf(buffer, size, ", \"required\": [");
    const char *comma = "";

    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++) {
        if (!word->args[i].required) continue;
        used += (size_t)snprintf(buffer + used, size - used, "%s\"%s\"", comma, word->args[i].name);
        comma = ", ";
    }
    (void)snprintf(buffer + used, size - used, "]");
    if (comma[0] == '\0') buffer[0] = '\0';
}

static void schema_action(const struct out *out, const struct action_word *word, bool last)
{
    char about[512];
    char required[256];
    char one[640];
    bool after = false;

    schema_required(word, required, sizeof required);
    line(out, "        \"%s\": {\"description\": \"%s\", \"anyOf\": [", word->name,
         quoted(word->about, about, sizeof about));
    if (word->shorthand >= 0) {
        line(out, "          %s,", arg_schema(&word->args[word->shorthand], one, sizeof one));
    } else if (word->args[0].name == NULL) {
        line(out, "          {\"type\": [\"string\", \"null\"]},");
    }
    line(out,
         "          {\"type\": \"object\", \"additionalProperties\": false%s, \"properties\": {",
         required);
    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++) {
        after = after || strcmp(word->args[i].name, "after") == 0;
        line(out, "            \"%s\": %s%s", word->args[i].name,
             arg_schema(&word->args[i], one, sizeof one),
             after && (i + 1 == ACTION_ARGS_MAX || word->args[i + 1].name == NULL) ? "" : ",");
    }
    if (!after) line(out, "            \"after\": {\"$ref\": \"#/$defs/time\"}");
    line(out, "          }}]}%s", last ? "" : ",");
}

static void schema_actions(const struct out *out)
{
    line(out, "    \"action\": {\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"object\", "
              "\"additionalProperties\": false, \"minProperties\": 1, \"properties\": {");
    line(out, "        \"then\": {\"$ref\": \"#/$defs/action\"},");
    line(out, "        \"one_of\": {\"type\": \"array\", \"items\": {\"$ref\": "
              "\"#/$defs/action\"}},");
    for (int i = 0; i < ACTIONS; i++)
        schema_action(out, language_action((enum action_kind)i), i + 1 == ACTIONS);
    line(out, "    }}]},");
    line(out, "    \"actions\": {\"anyOf\": [{\"$ref\": \"#/$defs/action\"}, {\"type\": \"array\", "
              "\"items\": {\"$ref\": \"#/$defs/action\"}}]},");
    line(out, "    \"steps\": {\"type\": \"array\", \"items\": {\"type\": \"object\", "
              "\"additionalProperties\": false, \"required\": [\"do\"], \"properties\": {");
    line(out, "        \"on\": {\"type\": \"string\", \"description\": \"point GLOB, disk OP GLOB, "
              "api NAME; #n: the n-th\"},");
    for (const struct language_word *word = language_triggers(); word->name != NULL; word++) {
        char about[512];

        if (strcmp(word->name, "do") == 0 || strcmp(word->name, "then") == 0) continue;
        if (strcmp(word->name, "pick") == 0 || strncmp(word->name, "on: ", 4) == 0) continue;
        line(out, "        \"%s\": {\"description\": \"%s\"},", word->name,
             quoted(word->about, about, sizeof about));
    }
    line(out, "        \"do\": {\"$ref\": \"#/$defs/actions\"}");
    line(out, "    }}},");
}

static bool is_map(const char *shape)
{
    for (enum key_map map = KEYS_STOP; map < KEY_MAPS; map++) {
        if (strcmp(keys_map_name(map), shape) == 0) return true;
    }
    return strcmp(shape, "steps") == 0;
}

static const char *shape_schema(const char *shape, char *buffer, size_t size)
{
    const char *blank = strchr(shape, ' ');
    char words[256];

    if (strcmp(shape, "any") == 0) return "";
    if (strcmp(shape, "bool") == 0) return "\"type\": \"boolean\", ";
    if (strcmp(shape, "text") == 0) return "\"type\": \"string\", ";
    if (strncmp(shape, "one of ", 7) == 0) {
        (void)snprintf(buffer, size, "\"enum\": [%s], ",
                       words_json(shape + 7, words, sizeof words));
    } else if (blank != NULL && is_map(blank + 1)) {
        (void)snprintf(buffer, size,
                       "\"anyOf\": [{\"$ref\": \"#/$defs/%s\"}, {\"enum\": [\"%.*s\", false, "
                       "true, \"on\"]}], ",
                       blank + 1, (int)(blank - shape), shape);
    } else {
        (void)snprintf(buffer, size, "\"$ref\": \"#/$defs/%s\", ", shape);
    }
    return buffer;
}

static void schema_map(const struct out *out, enum key_map map)
{
    for (const struct key_word *word = keys_of(map); word->name != NULL; word++) {
        char about[512];
        char shape[512];

        line(out, "      \"%s\": {%s\"description\": \"%s\"}%s", word->name,
             shape_schema(word->shape, shape, sizeof shape),
             quoted(word->about, about, sizeof about), word[1].name != NULL ? "," : "");
    }
}

void schema_write(void (*put)(void *context, const char *line), void *context)
{
    const struct out out = {put, context};

    line(&out, "{");
    line(&out, "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",");
    line(&out, "  \"title\": \"A scenario of gregor-sim, version 1\",");
    line(&out, "  \"type\": \"object\",");
    line(&out, "  \"additionalProperties\": false,");
    line(&out, "  \"required\": [\"gregor\", \"name\"],");
    line(&out, "  \"$defs\": {");
    schema_defs(&out);
    schema_actions(&out);
    for (enum key_map map = KEYS_STOP; map < KEY_MAPS; map++) {
        line(&out,
             "    \"%s\": {\"type\": \"object\", \"additionalProperties\": false, "
             "\"properties\": {",
             keys_map_name(map));
        schema_map(&out, map);
        line(&out, "    }}%s", map + 1 < KEY_MAPS ? "," : "");
    }
    line(&out, "  },");
    line(&out, "  \"properties\": {");
    schema_map(&out, KEYS_TOP);
    line(&out, "  }");
    line(&out, "}");
}

/* ---- reference ------------------------------------------------------------------------------- */

/* A bar would end the cell. */
static const char *cell(const char *text, char *buffer, size_t size)
{
    size_t used = 0;

    for (; *text != '\0' && used + 2 < size; text++) {
        if (*text == '|') buffer[used++] = '\\';
        buffer[used++] = *text;
    }
    buffer[used] = '\0';
    return buffer;
}

static void reference_action(const struct out *out, const struct action_word *word)
{
    char args[1024] = "";
    char about[512];
    size_t used = 0;

    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++) {
        const struct action_arg *arg = &word->args[i];
        const char *shape = arg->kind == VALUE_NODES    ? "SELECTOR"
                            : arg->kind == VALUE_LINKS  ? "LINKS"
                            : arg->kind == VALUE_UNIT   ? unit_def(arg->unit)
                            : arg->kind == VALUE_CHOICE ? arg->choices
                            : arg->kind == VALUE_BOOL   ? "true"
                                                        : "TEXT";

        used += (size_t)snprintf(args + used, sizeof args - used, "%s`%s%s: %s`", i > 0 ? ", " : "",
                                 arg->name, arg->required ? "" : "?", shape);
        if (used >= sizeof args) used = sizeof args - 1;
    }
    line(out, "| `%s` | %s | %s | %s |", word->name, args, cell(word->about, about, sizeof about),
         word->faults);
}

static void reference_faults(const struct out *out)
{
    line(out, "### Faults");
    line(out, "%s", "");
    line(out, "Ids of simulation.md 1 and storage.md 18.3. A fault counts as injected when it has "
              "hit something;");
    line(out, "one that was asked for and never did makes a run UNEXERCISED. L: counts against the "
              "loss budget.");
    line(out, "%s", "");
    line(out, "| id | class | fault | what happens | actions | |");
    line(out, "| --- | --- | --- | --- | --- | --- |");
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        const struct sim_fault_info *info = sim_fault_info((enum sim_fault)i);

        if (info->kind == SIM_FAULT_END) continue;
        line(out, "| %s | %s | %s | %s | %s | %s |", info->id, sim_fault_class_name(info->class),
             info->word, info->about,
             info->kind == SIM_FAULT_ABSENT ? "not injected" : info->actions,
             info->ledger ? "L" : "");
    }
}

void reference_write(void (*put)(void *context, const char *line), void *context)
{
    const struct out out = {put, context};
    char about[512];

    line(&out, "### Keys");
    for (enum key_map map = KEYS_TOP; map < KEY_MAPS; map++) {
        line(&out, "%s", "");
        line(&out, "`%s`:", keys_map_name(map));
        line(&out, "%s", "");
        for (const struct key_word *word = keys_of(map); word->name != NULL; word++)
            line(&out, "- `%s` (%s): %s", word->name, word->shape, word->about);
    }
    line(&out, "%s", "");
    line(&out, "### Steps");
    line(&out, "%s", "");
    for (const struct language_word *word = language_triggers(); word->name != NULL; word++)
        line(&out, "- `%s`: %s", word->name, word->about);
    line(&out, "%s", "");
    line(&out, "### Actions");
    line(&out, "%s", "");
    line(&out, "Arguments with ? may be left out; each action also takes `after: time`, a delay: "
               "in a `then` behind the action before, in the list of a step behind the step.");
    line(&out, "%s", "");
    line(&out, "| action | arguments | what happens | faults |");
    line(&out, "| --- | --- | --- | --- |");
    for (int i = 0; i < ACTIONS; i++)
        reference_action(&out, language_action((enum action_kind)i));
    line(&out, "%s", "");
    line(&out, "### Terms of conditions and selectors");
    line(&out, "%s", "");
    for (int i = 0; i < TERMS; i++) {
        const struct term_word *term = language_term((enum term)i);

        line(&out, "- `%s`: %s%s", term->name, cell(term->about, about, sizeof about),
             term->fields ? "; with .leo .hw .epoch .log_start" : "");
    }
    line(&out, "%s", "");
    reference_faults(&out);
}
