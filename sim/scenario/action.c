/* Actions as written: one row of the table of language.c, and its arguments. */
#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <stdio.h>
#include <string.h>

const struct scenario_value *scenario_arg(const struct scenario_action *action, const char *name)
{
    const struct action_word *word = language_action(action->kind);

    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++) {
        if (strcmp(word->args[i].name, name) == 0) {
            return action->args[i].set ? &action->args[i] : NULL;
        }
    }
    return NULL;
}

static void read_selector(const struct read *read, const struct yaml *at,
                          struct scenario_value *value)
{
    struct expr_reader reader = read_expr(read);

    if (value->node_count == SCENARIO_TARGETS_MAX) {
        read_fail(read, at, "more than %d selectors", SCENARIO_TARGETS_MAX);
        return;
    }
    value->nodes[value->node_count++] =
        expr_parse_selector(&reader, at, 0, at->kind == YAML_SCALAR ? at->text : "");
}

static const char *skip_spaces(const char *text)
{
    while (*text == ' ')
        text++;
    return text;
}

/* "A -> B" or "A <-> B" */
static void read_link(const struct read *read, const struct yaml *at, struct scenario_value *value)
{
    struct expr_reader reader = read_expr(read);
    const char *text = read_text(read, at, "a link");
    const char *arrow = strstr(text, "->");
    struct scenario_link *link = &value->links[value->link_count];
    char *left;

    if (yaml_failed(read->error)) return;
    if (arrow == NULL) {
        read_fail(read, at, "\"%s\" is no link; wanted is \"A -> B\", \"A <-> B\" or all", text);
        return;
    }
    if (value->link_count == SCENARIO_TARGETS_MAX) {
        read_fail(read, at, "more than %d links", SCENARIO_TARGETS_MAX);
        return;
    }
    value->link_count++;
    link->both = arrow > text && arrow[-1] == '<';
    left = store_text(&read->scenario->store, text, (size_t)(arrow - text) - (link->both ? 1 : 0));
    arrow = skip_spaces(arrow + 2);
    link->from = expr_parse_selector(&reader, at, 0, left);
    link->to = expr_parse_selector(&reader, at, (uint32_t)(arrow - text), arrow);
}

static void read_arg(const struct read *read, const struct yaml *at, const struct action_arg *arg,
                     struct scenario_value *value)
{
    value->set = true;
    switch (arg->kind) {
    case VALUE_NODES:
        if (at->kind != YAML_LIST) read_selector(read, at, value);
        for (uint32_t i = 0; at->kind == YAML_LIST && i < at->count; i++)
            read_selector(read, at->items[i], value);
        return;
    case VALUE_LINKS:
        if (at->kind == YAML_SCALAR && strcmp(at->text, "all") == 0) {
            value->all_links = true;
            return;
        }
        if (at->kind != YAML_LIST) read_link(read, at, value);
        for (uint32_t i = 0; at->kind == YAML_LIST && i < at->count; i++)
            read_link(read, at->items[i], value);
        return;
    case VALUE_UNIT: value->quantity = read_range(read, at, arg->unit); return;
    case VALUE_CHOICE: value->choice = read_choice(read, at, arg->name, arg->choices); return;
    case VALUE_BOOL: value->truth = read_bool(read, at); return;
    case VALUE_TEXT: value->text = read_text(read, at, arg->name); return;
    }
}

/* At least one of "a b c". */
static void read_one_of(const struct read *read, const struct yaml *at,
                        const struct scenario_action *action, enum action_kind kind,
                        const char *names)
{
    if (action->kind != kind || yaml_failed(read->error)) return;
    for (const char *name = names; *name != '\0'; name += strcspn(name, " ")) {
        char one[32];

        while (*name == ' ')
            name++;
        (void)snprintf(one, sizeof one, "%.*s", (int)strcspn(name, " "), name);
        if (scenario_arg(action, one) != NULL) return;
    }
    read_fail(read, at, "%s: one of %s is missing", language_action(kind)->name, names);
}

static void read_hold_check(const struct read *read, const struct yaml *at,
                            const struct scenario_action *action)
{
    const struct scenario_value *api = scenario_arg(action, "api");
    const struct scenario_value *until = scenario_arg(action, "until");

    if (api != NULL && language_api(api->text) < 0) {
        read_fail(read, at, "hold_message: no such api: %s", api->text);
    }
    if (until != NULL && until->choice == 3 && scenario_arg(action, "for") == NULL) {
        read_fail(read, at, "hold_message: until: time needs \"for\"");
    }
}

/* Arguments that belong together, beyond what the table says. */
static void read_action_check(const struct read *read, const struct yaml *at,
                              const struct scenario_action *action)
{
    const struct action_word *word = language_action(action->kind);
    bool follows = read->scenario->names.has_it;

    if (yaml_failed(read->error)) return;
    if (action->kind == ACTION_CRASH || action->kind == ACTION_RESTART) {
        bool node = scenario_arg(action, "node") != NULL;
        bool nodes = scenario_arg(action, "nodes") != NULL;

        if (node && nodes) read_fail(read, at, "%s: node or nodes, not both", word->name);
        if (!node && !nodes && !(follows && action->kind == ACTION_RESTART)) {
            read_fail(read, at, "%s: \"node\" is missing", word->name);
        }
    }
    if (action->kind == ACTION_CRASH && scenario_arg(action, "unsynced") != NULL) {
        const struct scenario_value *how = scenario_arg(action, "how");

        if (how == NULL || how->choice != 1) {
            read_fail(read, at, "crash: \"unsynced\" needs how: power_loss; a kill loses nothing");
        }
    }
    read_one_of(read, at, action, ACTION_CLOCK, "jump drift skew coarse late");
    read_one_of(read, at, action, ACTION_SLOW_LINK, "latency rate");
    read_one_of(read, at, action, ACTION_CRASH_LOOP, "event point");
    if (action->kind == ACTION_HOLD_MESSAGE) read_hold_check(read, at, action);
}

static int read_action_name(const struct read *read, const struct yaml *at)
{
    const char *names[ACTIONS + 1] = {NULL};

    for (int i = 0; i < ACTIONS; i++) {
        names[i] = language_action((enum action_kind)i)->name;
        if (strcmp(names[i], at->text) == 0) return i;
    }
    read_fail_word(read, at, "action", names);
    return -1;
}

static void read_arguments(const struct read *read, const struct yaml *name, const struct yaml *at,
                           struct scenario_action *action)
{
    const struct action_word *word = language_action(action->kind);
    const char *known[ACTION_ARGS_MAX + 2] = {NULL};
    uint32_t count = 0;
    const struct yaml *after;

    while (count < ACTION_ARGS_MAX && word->args[count].name != NULL) {
        known[count] = word->args[count].name;
        count++;
    }
    known[count] = "after";
    if (at->kind != YAML_MAP) {
        if (word->shorthand < 0) {
            if (at->kind == YAML_SCALAR && count == 0) return; /* check: all */
            read_fail(read, at, "%s needs a map of its arguments", word->name);
            return;
        }
        read_arg(read, at, &word->args[word->shorthand], &action->args[word->shorthand]);
    } else if (read_map(read, at, word->name, known)) {
        for (uint32_t i = 0; i < count; i++) {
            const struct yaml *value = yaml_get(at, word->args[i].name);

            if (value != NULL) read_arg(read, value, &word->args[i], &action->args[i]);
            if (value == NULL && word->args[i].required) {
                read_fail(read, at, "%s: \"%s\" is missing", word->name, word->args[i].name);
            }
        }
        after = yaml_get(at, "after");
        if (after != NULL && scenario_arg(action, "after") == NULL) { /* oom has its own */
            action->after = read_range(read, after, UNIT_TIME);
        }
    }
    read_action_check(read, name, action);
}

/* {crash: {...}} or {crash: {...}, then: {...}} or a bare word */
void read_action(const struct read *read, const struct yaml *at, struct scenario_action *action)
{
    const struct yaml *then = at->kind == YAML_MAP ? yaml_get(at, "then") : NULL;
    bool had_it = read->scenario->names.has_it;
    const struct yaml *name = NULL;
    const struct yaml *args = NULL;
    int kind;

    if (yaml_failed(read->error)) return;
    if (at->kind == YAML_SCALAR) {
        name = at;
    } else if (at->kind == YAML_MAP) {
        for (uint32_t i = 0; i < at->count; i++) {
            if (at->items[i] == then) continue;
            if (name != NULL) {
                read_fail(read, at->keys[i],
                          "a second action; several actions are a list: [{...}, {...}]");
                return;
            }
            name = at->keys[i];
            args = at->items[i];
        }
    }
    if (name == NULL) {
        read_fail(read, at, "an action is missing here; see gregor-sim list actions");
        return;
    }
    kind = read_action_name(read, name);
    if (kind < 0) return;
    action->kind = (enum action_kind)kind;
    if (args != NULL) {
        read_arguments(read, name, args, action);
    } else if (language_action(action->kind)->args[0].name != NULL) {
        read_fail(read, name, "%s needs its arguments", name->text);
    }
    if (then == NULL) return;
    action->then = store_take(&read->scenario->store, sizeof *action->then);
    read->scenario->names.has_it = true;
    read_action(read, then, action->then);
    read->scenario->names.has_it = had_it;
}
