/* steps and expect. */
#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <stdlib.h>
#include <string.h>

static void read_as(const struct read *read, const struct yaml *at, struct scenario_step *step)
{
    struct expr_names *names = &read->scenario->names;
    struct expr_reader reader = read_expr(read);

    if (at->kind != YAML_MAP) {
        read_fail(read, at, "as: is a map of names to selectors, for example {old: leader(t-0)}");
        return;
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++) {
        const char *name = read_name(read, at->keys[i], "a variable");
        struct expr *selector = expr_parse_selector(
            &reader, at->items[i], 0, at->items[i]->kind == YAML_SCALAR ? at->items[i]->text : "");

        for (uint32_t j = 0; j < names->var_count; j++) {
            if (strcmp(names->vars[j], name) != 0) continue;
            read_fail(read, at->keys[i], "$%s is bound already, in line %d", name,
                      names->vars_line[j]);
        }
        if (strcmp(name, "it") == 0) read_fail(read, at->keys[i], "$it binds itself");
        if (names->var_count == EXPR_VARS_MAX) {
            read_fail(read, at->keys[i], "more than %d variables", EXPR_VARS_MAX);
        }
        if (yaml_failed(read->error)) return;
        step->as[step->as_count].var = (int32_t)names->var_count;
        step->as[step->as_count++].selector = selector;
        names->vars_line[names->var_count] = at->keys[i]->line;
        names->vars[names->var_count++] = name;
    }
}

static void read_do(const struct read *read, const struct yaml *at, struct scenario_step *step)
{
    struct expr_names *names = &read->scenario->names;
    uint32_t count = at->kind == YAML_LIST ? at->count : 1;

    if (count == 0 || count > SCENARIO_ACTIONS_MAX) {
        read_fail(read, at, "1 to %d actions are wanted", SCENARIO_ACTIONS_MAX);
        return;
    }
    step->actions = store_take(&read->scenario->store, count * sizeof *step->actions);
    step->action_count = count;
    for (uint32_t i = 0; i < count && !yaml_failed(read->error); i++) {
        read_action(read, at->kind == YAML_LIST ? at->items[i] : at, &step->actions[i]);
        names->has_it = true; /* what the first has hit */
    }
    names->has_it = false;
}

static void read_trigger(const struct read *read, const struct yaml *at, struct scenario_step *step)
{
    static const char *const keys[] = {"at", "after", "when"};
    struct expr_reader reader = read_expr(read);
    const struct yaml *found = NULL;

    for (uint32_t i = 0; i < COUNT_OF(keys); i++) {
        const struct yaml *value = yaml_get(at, keys[i]);

        if (value == NULL) continue;
        if (found != NULL) {
            read_fail(read, value, "a step has one trigger; at, after or when");
            return;
        }
        found = value;
        step->trigger = (enum scenario_trigger)i;
    }
    if (found == NULL) {
        read_fail(read, at, "a step needs a trigger: at, after or when");
        return;
    }
    if (step->trigger == SCENARIO_WHEN) {
        step->when = expr_parse_condition(&reader, found, &step->hold_ns);
    } else {
        step->time = read_range(read, found, UNIT_TIME);
        if (step->time.min < 0) read_fail(read, found, "time does not run backwards");
    }
    if (step->trigger == SCENARIO_AT && step->time.min >= read->scenario->stop_ns) {
        read_fail(read, found, "unreachable: the run stops before, at stop.time");
    }
}

/* A step that can never have its turn. */
static void read_reachable(const struct read *read, const struct yaml *at, uint32_t index)
{
    const struct scenario *scenario = read->scenario;
    const struct scenario_step *step = &scenario->steps[index];

    for (uint32_t i = 0; i < index && !yaml_failed(read->error); i++) {
        const struct scenario_step *before = &scenario->steps[i];

        for (uint32_t j = 0; j < before->action_count; j++) {
            if (before->actions[j].kind != ACTION_BEGIN_LIVENESS) continue;
            read_fail(read, at, "unreachable: step %u ends the safety phase", i + 1);
        }
        if (step->trigger == SCENARIO_AT && before->trigger == SCENARIO_AT &&
            step->time.max < before->time.min) {
            read_fail(read, at,
                      "out of order: steps fire in the order of the file, and step %u comes later",
                      i + 1);
        }
    }
}

static void read_step(const struct read *read, const struct yaml *at, uint32_t index)
{
    static const char *const known[] = {"at",       "after", "when", "within", "hold", "times",
                                        "optional", "as",    "do",   "then",   NULL};
    struct scenario_step *step = &read->scenario->steps[index];
    const struct yaml *value;

    *step = (struct scenario_step){.times = 1, .line = at->line};
    if (!read_map(read, at, "a step", known)) return;
    read->scenario->step_count = index + 1;
    read_trigger(read, at, step);
    value = yaml_get(at, "within");
    if (value != NULL) step->within_ns = read_fixed(read, value, UNIT_TIME, 1, INT64_MAX);
    value = yaml_get(at, "hold");
    if (value != NULL) step->hold_ns = read_fixed(read, value, UNIT_TIME, 1, INT64_MAX);
    if (value != NULL && step->trigger != SCENARIO_WHEN) {
        read_fail(read, value, "hold: belongs to when:");
    }
    value = yaml_get(at, "times");
    if (value != NULL) step->times = (uint32_t)read_fixed(read, value, UNIT_COUNT, 1, 1000);
    if (value != NULL && step->trigger == SCENARIO_AT) {
        read_fail(read, value, "times: belongs to when: and after:");
    }
    value = yaml_get(at, "optional");
    if (value != NULL) step->optional = read_bool(read, value);
    value = yaml_get(at, "as");
    if (value != NULL) read_as(read, value, step);
    value = yaml_get(at, "do");
    if (yaml_get(at, "then") != NULL) {
        read_fail(read, yaml_get(at, "then"),
                  "then: stands beside an action, inside do: {ACTION: {...}, then: {...}}");
    }
    if (value == NULL) {
        read_fail(read, at, "a step needs do:");
        return;
    }
    read_do(read, value, step);
    read_reachable(read, at, index);
    if (yaml_failed(read->error)) return;
    step->text = store_format(&read->scenario->store, "step %u (line %d): %s", index + 1, at->line,
                              language_action(step->actions[0].kind)->name);
}

void read_steps(const struct read *read, const struct yaml *at)
{
    if (!read_list(read, at, "steps")) return;
    if (at->count > SCENARIO_STEPS_MAX) {
        read_fail(read, at, "more than %d steps", SCENARIO_STEPS_MAX);
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++)
        read_step(read, at->items[i], i);
}

/* ---- expect ---------------------------------------------------------------------------------- */

/* Cuts "eventually", "never" or "always" off the front; how many characters. */
static uint32_t read_verdict(const char *text, enum scenario_verdict *verdict)
{
    static const char *const words[] = {"", "eventually ", "never ", "always "};

    for (uint32_t i = 1; i < COUNT_OF(words); i++) {
        uint32_t length = (uint32_t)strlen(words[i]);

        if (strncmp(text, words[i], length) != 0) continue;
        *verdict = (enum scenario_verdict)i;
        return length;
    }
    *verdict = SCENARIO_HOLDS;
    return 0;
}

/* "C within 10s" -> C, and 10 s. */
static char *read_within(const struct read *read, const struct yaml *at, const char *text,
                         struct scenario_expect *expect)
{
    const char *within = strstr(text, " within ");
    struct unit_range range = {0, 0};
    char why[192];

    if (within == NULL) {
        if (expect->verdict == SCENARIO_EVENTUALLY) {
            read_fail(read, at, "eventually C within TIME: the time is missing");
        }
        return store_text(&read->scenario->store, text, strlen(text));
    }
    if (expect->verdict != SCENARIO_EVENTUALLY) {
        read_fail(read, at, "within belongs to eventually");
    } else if (!units_parse(UNIT_TIME, within + strlen(" within "), &range, why)) {
        read_fail(read, at, "%s", why);
    }
    expect->within_ns = range.min;
    return store_text(&read->scenario->store, text, (size_t)(within - text));
}

static void read_after(const struct read *read, const struct yaml *at,
                       struct scenario_expect *expect)
{
    const char *text = read_text(read, at, "after");
    char *end = NULL;
    long step = strncmp(text, "step ", 5) == 0 ? strtol(text + 5, &end, 10) : 0;

    if (end == NULL || *end != '\0' || step < 1) {
        read_fail(read, at, "\"%s\": wanted is for example after: step 2", text);
    } else if (step > (long)read->scenario->step_count) {
        read_fail(read, at, "there is no step %ld; there are %u", step, read->scenario->step_count);
    }
    expect->after_step = (int32_t)step - 1;
}

static void read_expect(const struct read *read, const struct yaml *at, uint32_t index)
{
    static const char *const known[] = {"that", "by", "after", NULL};
    struct scenario_expect *expect = &read->scenario->expects[index];
    struct expr_reader reader = read_expr(read);
    const struct yaml *that;
    const struct yaml *value;
    const char *text;
    uint32_t skip;

    *expect = (struct scenario_expect){.after_step = -1, .line = at->line};
    if (!read_map(read, at, "an expectation", known)) return;
    read->scenario->expect_count = index + 1;
    that = yaml_get(at, "that");
    if (that == NULL) {
        read_fail(read, at, "an expectation needs that: CONDITION");
        return;
    }
    text = read_text(read, that, "that");
    expect->text = text;
    skip = read_verdict(text, &expect->verdict);
    expect->condition = expr_parse_text(
        &reader, that, skip, read_within(read, that, text + skip, expect), &expect->hold_ns);
    value = yaml_get(at, "by");
    if (value != NULL) {
        (void)read_choice(read, value, "moment", "end");
        expect->at_end = true;
        if (expect->verdict != SCENARIO_HOLDS) {
            read_fail(read, value, "by: end judges a plain condition once");
        }
    }
    value = yaml_get(at, "after");
    if (value != NULL) read_after(read, value, expect);
    if (value != NULL && expect->verdict == SCENARIO_HOLDS) {
        read_fail(read, value, "after: step N wants eventually, never or always");
    }
    if (expect->verdict == SCENARIO_HOLDS) expect->at_end = true;
}

void read_expects(const struct read *read, const struct yaml *at)
{
    if (!read_list(read, at, "expect")) return;
    if (at->count > SCENARIO_EXPECTS_MAX) {
        read_fail(read, at, "more than %d expectations", SCENARIO_EXPECTS_MAX);
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++)
        read_expect(read, at->items[i], i);
}
