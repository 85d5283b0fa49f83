/* Actions as written: one row of the table of language.c, and its arguments. */
#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <stdio.h>
#include <stdlib.h>
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

static void read_topic_name(const struct read *read, const struct yaml *at,
                            struct scenario_value *value)
{
    const struct expr_names *names = &read->scenario->names;
    const char *list[COUNT_OF(names->topics) + 1] = {NULL};

    value->text = read_text(read, at, "a topic");
    value->topic = -1;
    for (uint32_t i = 0; i < names->topic_count; i++) {
        list[i] = names->topics[i];
        if (strcmp(names->topics[i], value->text) == 0) value->topic = (int32_t)i;
    }
    if (value->topic < 0 && !yaml_failed(read->error)) read_fail_word(read, at, "topic", list);
}

/* "orders-0", by the parser of conditions. */
static void read_partition(const struct read *read, const struct yaml *at,
                           struct scenario_value *value)
{
    struct expr_reader reader = read_expr(read);
    const char *text = read_text(read, at, "a partition");
    const struct expr *leader = expr_parse_partition(&reader, at, text);

    if (leader == NULL) return;
    value->topic = leader->topic;
    value->partition = leader->partition;
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
    case VALUE_TOPIC: read_topic_name(read, at, value); return;
    case VALUE_PARTITION: read_partition(read, at, value); return;
    case VALUE_CONFIGS:
        read_configs(read, at, -1, &value->configs, &value->config_count, NULL);
        return;
    }
}

/* At least one of "a b c". */
static void read_any_of(const struct read *read, const struct yaml *at,
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

static bool given(const struct scenario_action *action, const char *name)
{
    return scenario_arg(action, name) != NULL;
}

/* node, nodes or client: one of them, unless something was hit before. */
static void read_target_check(const struct read *read, const struct yaml *at,
                              const struct scenario_action *action)
{
    const struct action_word *word = language_action(action->kind);
    int count = given(action, "node") + given(action, "nodes") + given(action, "client");
    bool follows = read->scenario->names.has_it && action->kind == ACTION_RESTART;

    if (count > 1) {
        read_fail(read, at, "%s: node or %s, not both", word->name,
                  given(action, "client") ? "client" : "nodes");
    }
    if (count == 0 && !follows) read_fail(read, at, "%s: \"node\" is missing", word->name);
}

/* "topic NAME", "broker N", "brokers" */
static void read_scope(const struct read *read, const struct yaml *at, struct scenario_value *scope)
{
    const char *text = scope->text;
    struct yaml name = *at;
    char *end = NULL;
    long id;

    scope->topic = -1;
    scope->partition = -1; /* the broker */
    if (strcmp(text, "brokers") == 0) return;
    if (strncmp(text, "topic ", 6) == 0) {
        name.text = text + 6;
        name.kind = YAML_SCALAR;
        read_topic_name(read, &name, scope);
        scope->text = text;
        return;
    }
    id = strncmp(text, "broker ", 7) == 0 ? strtol(text + 7, &end, 10) : 0;
    if (end == NULL || *end != '\0' || id < 1 || id > (long)read->scenario->brokers) {
        read_fail(read, at, "config: \"%s\" is no scope; wanted is topic NAME, broker N or brokers",
                  text);
        return;
    }
    scope->partition = (int32_t)id;
}

static bool follows_power_loss(const struct scenario_action *action)
{
    const struct scenario_value *how = scenario_arg(action, "how");

    return how != NULL && how->choice == 1;
}

/* Arguments that belong together, beyond what the table says; names that an action makes. */
static void read_action_check(const struct read *read, const struct yaml *at,
                              struct scenario_action *action)
{
    if (yaml_failed(read->error)) return;
    if (action->kind == ACTION_CRASH || action->kind == ACTION_RESTART ||
        action->kind == ACTION_PAUSE) {
        read_target_check(read, at, action);
    }
    if (action->kind == ACTION_CRASH && given(action, "unsynced") && !follows_power_loss(action)) {
        read_fail(read, at, "crash: \"unsynced\" needs how: power_loss; a kill loses nothing");
    }
    read_any_of(read, at, action, ACTION_CLOCK, "jump drift skew coarse late");
    read_any_of(read, at, action, ACTION_SLOW_LINK, "latency rate");
    read_any_of(read, at, action, ACTION_CRASH_LOOP, "event point");
    if (action->kind == ACTION_HOLD_MESSAGE) read_hold_check(read, at, action);
    if (action->kind == ACTION_CONFIG) read_scope(read, at, &action->args[0]);
    if (action->kind == ACTION_MARK) {
        const struct yaml name = {.kind = YAML_SCALAR,
                                  .line = at->line,
                                  .column = at->column,
                                  .text = action->args[0].text};

        (void)read_name(read, &name, "a mark");
    }
    if (action->kind >= ACTION_CREATE_TOPIC && action->kind <= ACTION_FEATURES) {
        read->scenario->operates = true;
    }
    if (action->kind == ACTION_CREATE_TOPIC) read_new_topic(read, at, action);
    if (action->kind == ACTION_ADD_PARTITIONS) read_more_partitions(read, at, action);
    if (action->kind == ACTION_START_CLIENT) read_new_client(read, at, action);
}

static int read_action_name(const struct read *read, const struct yaml *at)
{
    const char *names[ACTIONS + 2] = {NULL};

    names[ACTIONS] = "one_of";
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

static void read_then(const struct read *read, const struct yaml *then,
                      struct scenario_action *action)
{
    bool had_it = read->scenario->names.has_it;

    action->then = store_take(&read->scenario->store, sizeof *action->then);
    read->scenario->names.has_it = true;
    read_action(read, then, action->then);
    read->scenario->names.has_it = had_it;
}

/* {one_of: [{...}, {...}]} */
static void read_one_of(const struct read *read, const struct yaml *at,
                        struct scenario_action *action)
{
    if (!read_list(read, at, "one_of")) return;
    if (at->count < 2 || at->count > SCENARIO_ACTIONS_MAX) {
        read_fail(read, at, "one_of: 2 to %d actions, of which one is drawn", SCENARIO_ACTIONS_MAX);
        return;
    }
    action->one_of = store_take(&read->scenario->store, at->count * sizeof *action->one_of);
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++)
        read_action(read, at->items[i], &action->one_of[i]);
    action->one_of_count = at->count;
    action->kind = action->one_of[0].kind;
}

/* {crash: {...}} or {crash: {...}, then: {...}} or a bare word */
void read_action(const struct read *read, const struct yaml *at, struct scenario_action *action)
{
    const struct yaml *then = at->kind == YAML_MAP ? yaml_get(at, "then") : NULL;
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
    if (strcmp(name->text, "one_of") == 0 && args != NULL) {
        read_one_of(read, args, action);
    } else {
        kind = read_action_name(read, name);
        if (kind < 0) return;
        action->kind = (enum action_kind)kind;
        if (args != NULL) {
            read_arguments(read, name, args, action);
        } else if (language_action(action->kind)->args[0].name != NULL) {
            read_fail(read, name, "%s needs its arguments", name->text);
        }
    }
    if (then != NULL) read_then(read, then, action);
}
