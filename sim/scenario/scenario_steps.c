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
        names->has_it = true; /* what the one before has hit */
    }
    names->has_it = false;
}

static bool action_ends(const struct scenario_action *action)
{
    if (action->one_of_count > 0) return false; /* perhaps another one is drawn */
    return action->kind == ACTION_BEGIN_LIVENESS;
}

/* A step that can never have its turn. */
static void read_reachable(const struct read *read, const struct yaml *at, uint32_t index)
{
    const struct scenario *scenario = read->scenario;
    const struct scenario_step *step = &scenario->steps[index];

    for (uint32_t i = 0; i < index && !yaml_failed(read->error); i++) {
        const struct scenario_step *before = &scenario->steps[i];
        bool sure = before->only_if == NULL && before->chance == RNG_MILLION;

        if (before->parallel) continue;
        for (uint32_t j = 0; j < before->action_count; j++) {
            if (!sure || !action_ends(&before->actions[j])) continue;
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

/* What one value can be: as much as the words themselves say. */
static bool bounds_of(const struct expr *expr, int64_t *min, int64_t *max)
{
    *min = 0; /* counts, offsets, epochs and times of the terms are not negative */
    *max = INT64_MAX;
    if (expr->op == EXPR_LITERAL) {
        *min = *max = expr->number;
        return true;
    }
    if (expr->op == EXPR_COUNT_OF) {
        *max = EXPR_NODES_MAX;
        return true;
    }
    return expr->op == EXPR_TERM && !expr->is_set && !expr->is_bool;
}

/* True when no state of any cluster makes the condition hold. */
static bool never_true(const struct expr *expr)
{
    int64_t left_min, left_max, right_min, right_max;

    if (expr->op == EXPR_AND) return never_true(expr->left) || never_true(expr->right);
    if (expr->op == EXPR_OR) return never_true(expr->left) && never_true(expr->right);
    if (expr->left == NULL || expr->right == NULL) return false;
    if (expr->op == EXPR_EXISTS || expr->op == EXPR_NOT) return false;
    if (expr->left->is_set || expr->left->is_bool) return false;
    if (!bounds_of(expr->left, &left_min, &left_max)) return false;
    if (!bounds_of(expr->right, &right_min, &right_max)) return false;
    if (expr->op == EXPR_LT) return left_min >= right_max;
    if (expr->op == EXPR_LE) return left_min > right_max;
    if (expr->op == EXPR_GT) return left_max <= right_min;
    if (expr->op == EXPR_GE) return left_max < right_min;
    if (expr->op == EXPR_EQ) return left_max < right_min || left_min > right_max;
    return false;
}

static struct expr *read_condition(const struct read *read, const struct yaml *at, int64_t *hold_ns)
{
    struct expr_reader reader = read_expr(read);
    struct expr *condition = expr_parse_condition(&reader, at, hold_ns);

    if (condition != NULL && never_true(condition)) {
        read_fail(read, at, "this can never be true: %s", at->text);
    }
    return condition;
}

/* ---- guards ---------------------------------------------------------------------------------- */

static bool step_is_on(const struct scenario_step *step)
{
    return step->trigger == SCENARIO_POINT || step->trigger == SCENARIO_DISK ||
           step->trigger == SCENARIO_API;
}

static void read_times(const struct read *read, const struct yaml *at, struct scenario_step *step)
{
    step->times = step->trigger == SCENARIO_EVERY ? 0 : 1;
    if (at == NULL) return;
    step->times = (uint32_t)read_fixed(read, at, UNIT_COUNT, 1, 1000000);
    if (step->trigger == SCENARIO_AT) {
        read_fail(read, at, "times: belongs to every:, when:, on: and after:");
    }
}

static void read_guards(const struct read *read, const struct yaml *at, struct scenario_step *step)
{
    const struct yaml *value = yaml_get(at, "within");

    if (value != NULL) step->within_ns = read_fixed(read, value, UNIT_TIME, 1, INT64_MAX / 4);
    value = yaml_get(at, "hold");
    if (value != NULL) {
        if (step->hold_ns > 0)
            read_fail(read, value, "hold: and \"for\" say the same; one of them");
        step->hold_ns = read_fixed(read, value, UNIT_TIME, 1, INT64_MAX / 4);
    }
    if (value != NULL && step->trigger != SCENARIO_WHEN) {
        read_fail(read, value, "hold: belongs to when:");
    }
    value = yaml_get(at, "if");
    if (value != NULL) {
        int64_t hold_ns = 0;

        step->only_if = read_condition(read, value, &hold_ns);
        if (hold_ns > 0)
            read_fail(read, value, "if: looks at one moment; \"for\" belongs to when:");
    }
    value = yaml_get(at, "chance");
    if (value != NULL) {
        step->chance = (uint32_t)read_fixed(read, value, UNIT_SHARE, 1, RNG_MILLION);
    }
    value = yaml_get(at, "parallel");
    if (value != NULL) step->parallel = read_bool(read, value);
    value = yaml_get(at, "optional");
    if (value != NULL) step->optional = read_bool(read, value);
}

static void read_where(const struct read *read, const struct yaml *at, struct scenario_step *step)
{
    struct expr_reader reader = read_expr(read);
    const struct yaml *value = yaml_get(at, "node");

    if (value == NULL) return;
    if (!step_is_on(step)) read_fail(read, value, "node: belongs to on:");
    step->node =
        expr_parse_selector(&reader, value, 0, value->kind == YAML_SCALAR ? value->text : "");
}

/* ---- a step ---------------------------------------------------------------------------------- */

/* "step 2 (line 20): crash" */
static const char *step_words(const struct read *read, const struct scenario_step *step,
                              uint32_t index)
{
    return store_format(&read->scenario->store, "step %u (line %d): %s", index + 1, step->line,
                        step->actions[0].one_of_count > 0
                            ? "one_of"
                            : language_action(step->actions[0].kind)->name);
}

static void read_step(const struct read *read, const struct yaml *at, uint32_t index)
{
    static const char *const known[] = {"at",     "after",  "every",    "when",     "on", "node",
                                        "if",     "within", "hold",     "times",    "as", "do",
                                        "chance", "then",   "parallel", "optional", NULL};
    struct scenario_step *step = &read->scenario->steps[index];
    const struct yaml *value;

    *step = (struct scenario_step){.times = 1, .nth = 1, .chance = RNG_MILLION, .line = at->line};
    if (!read_map(read, at, "a step", known)) return;
    read->scenario->step_count = index + 1;
    read_trigger(read, at, step);
    if (step->when != NULL && never_true(step->when)) {
        read_fail(read, yaml_get(at, "when"), "this can never be true: %s",
                  yaml_get(at, "when")->text);
    }
    read_times(read, yaml_get(at, "times"), step);
    read_where(read, at, step);
    /* Whom the point, the disk or the request belongs to. */
    read->scenario->names.has_it = step_is_on(step);
    read_guards(read, at, step);
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
    step->text = step_words(read, step, index);
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
