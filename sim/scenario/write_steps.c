/* Steps and expectations as YAML: steps in block style, actions in one line each. */
#include "sim/scenario/write.h"

#include "client/base/assert.h"
#include "client/base/list.h"
#include "wire/api_table.h"

#include <stdio.h>
#include <string.h>

enum { WRITE_ON_MAX = 4096 };

/* The n-th word of "a b c". */
static void write_word(const struct write *w, const char *words, int index)
{
    for (; index > 0; index--)
        words += strcspn(words, " ") + 1;
    write_format(w, "%.*s", (int)strcspn(words, " "), words);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static void write_nodes(const struct write *w, const struct scenario_value *value)
{
    if (value->node_count != 1) write_text(w, "[");
    for (uint32_t i = 0; i < value->node_count; i++) {
        if (i > 0) write_text(w, ", ");
        write_expr(w, value->nodes[i]);
    }
    if (value->node_count != 1) write_text(w, "]");
}

static void write_link(const struct write *w, const struct scenario_link *link)
{
    char text[WRITE_ON_MAX];
    struct sink_buffer buffer;
    struct text_sink sink = sink_into(&buffer, text, sizeof text);

    expr_write(link->from, w->names, &sink);
    sink_text(&sink, link->both ? " <-> " : " -> ");
    expr_write(link->to, w->names, &sink);
    write_scalar(w, text);
}

static void write_links(const struct write *w, const struct scenario_value *value)
{
    if (value->all_links) {
        write_text(w, "all");
        return;
    }
    if (value->link_count != 1) write_text(w, "[");
    for (uint32_t i = 0; i < value->link_count; i++) {
        if (i > 0) write_text(w, ", ");
        write_link(w, &value->links[i]);
    }
    if (value->link_count != 1) write_text(w, "]");
}

static void write_value_configs(const struct write *w, const struct scenario_value *value)
{
    write_text(w, "{");
    for (uint32_t i = 0; i < value->config_count; i++) {
        if (i > 0) write_text(w, ", ");
        write_scalar(w, value->configs[i].key);
        write_text(w, ": ");
        write_scalar(w, value->configs[i].value);
    }
    write_text(w, "}");
}

static void write_value(const struct write *w, const struct action_arg *arg,
                        const struct scenario_value *value)
{
    char text[80];

    switch (arg->kind) {
    case VALUE_NODES: write_nodes(w, value); return;
    case VALUE_LINKS: write_links(w, value); return;
    case VALUE_UNIT:
        units_write(arg->unit, value->quantity, text, sizeof text);
        write_text(w, text);
        return;
    case VALUE_CHOICE: write_word(w, arg->choices, value->choice); return;
    case VALUE_BOOL: write_text(w, value->truth ? "true" : "false"); return;
    case VALUE_TOPIC:
    case VALUE_TEXT: write_scalar(w, value->text); return;
    case VALUE_PARTITION:
        write_format(w, "%s-%d", w->names->topics[value->topic], (int)value->partition);
        return;
    case VALUE_CONFIGS: write_value_configs(w, value); return;
    }
    IMPOSSIBLE("kind of an argument");
}

/* ---- actions --------------------------------------------------------------------------------- */

static void write_arguments(const struct write *w, const struct scenario_action *action)
{
    const struct action_word *word = language_action(action->kind);
    bool delayed = action->after.max > 0;
    const char *comma = "";
    uint32_t given = 0;

    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++)
        given += action->args[i].set;
    if (given == 1 && !delayed && word->shorthand >= 0 && action->args[word->shorthand].set) {
        write_value(w, &word->args[word->shorthand], &action->args[word->shorthand]);
        return;
    }
    write_text(w, "{");
    for (uint32_t i = 0; i < ACTION_ARGS_MAX && word->args[i].name != NULL; i++) {
        if (!action->args[i].set) continue;
        write_format(w, "%s%s: ", comma, word->args[i].name);
        write_value(w, &word->args[i], &action->args[i]);
        comma = ", ";
    }
    if (delayed) {
        write_text(w, comma);
        write_quantity(w, "after", UNIT_TIME, action->after);
    }
    write_text(w, "}");
}

static void write_action(const struct write *w, const struct scenario_action *action)
{
    write_text(w, "{");
    if (action->one_of_count > 0) {
        write_text(w, "one_of: [");
        for (uint32_t i = 0; i < action->one_of_count; i++) {
            if (i > 0) write_text(w, ", ");
            write_action(w, &action->one_of[i]);
        }
        write_text(w, "]");
    } else {
        write_format(w, "%s: ", language_action(action->kind)->name);
        write_arguments(w, action);
    }
    if (action->then != NULL) {
        write_text(w, ", then: ");
        write_action(w, action->then);
    }
    write_text(w, "}");
}

void scenario_write_action(const struct scenario_action *action, const struct expr_names *names,
                           const struct text_sink *sink)
{
    const struct write w = {sink, names};

    write_action(&w, action);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static const char *api_name(int32_t key)
{
    for (uint32_t i = 0; i < api_table_count; i++) {
        if (api_table[i].key == key) return api_table[i].name;
    }
    return "";
}

static void write_on(const struct write *w, const struct scenario_step *step)
{
    char text[WRITE_ON_MAX];
    struct sink_buffer buffer;
    struct text_sink sink = sink_into(&buffer, text, sizeof text);
    const struct write inner = {&sink, w->names};

    if (step->trigger == SCENARIO_POINT) sink_format(&sink, "point %s", step->glob);
    if (step->trigger == SCENARIO_API) sink_format(&sink, "api %s", api_name(step->api));
    if (step->trigger == SCENARIO_DISK) {
        sink_text(&sink, "disk ");
        write_word(&inner, SCENARIO_DISK_OPS, step->disk_op);
        sink_format(&sink, " %s", step->glob);
    }
    if (step->nth > 1) sink_format(&sink, " #%u", step->nth);
    if (step->from != NULL) {
        sink_text(&sink, " from ");
        expr_write(step->from, w->names, &sink);
    }
    write_text(w, "on: ");
    write_scalar(w, text);
    if (step->node == NULL) return;
    write_text(w, "\n    node: ");
    write_expr(w, step->node);
}

static void write_trigger(const struct write *w, const struct scenario_step *step)
{
    switch (step->trigger) {
    case SCENARIO_AT: write_quantity(w, "at", UNIT_TIME, step->time); return;
    case SCENARIO_AFTER: write_quantity(w, "after", UNIT_TIME, step->time); return;
    case SCENARIO_EVERY: write_quantity(w, "every", UNIT_TIME, step->time); return;
    case SCENARIO_WHEN:
        write_text(w, "when: ");
        write_expr(w, step->when);
        return;
    case SCENARIO_POINT:
    case SCENARIO_DISK:
    case SCENARIO_API: write_on(w, step); return;
    }
    IMPOSSIBLE("trigger of a step");
}

static void write_fixed(const struct write *w, const char *key, int64_t ns)
{
    write_text(w, "\n    ");
    write_quantity(w, key, UNIT_TIME, (struct unit_range){ns, ns});
}

static void write_step(const struct write *w, const struct scenario_step *step)
{
    write_text(w, "  - ");
    write_trigger(w, step);
    if (step->hold_ns > 0) write_fixed(w, "hold", step->hold_ns);
    if (step->within_ns > 0) write_fixed(w, "within", step->within_ns);
    if (step->only_if != NULL) {
        write_text(w, "\n    if: ");
        write_expr(w, step->only_if);
    }
    if (step->times != (step->trigger == SCENARIO_EVERY ? 0 : 1)) {
        write_format(w, "\n    times: %u", step->times);
    }
    if (step->chance != RNG_MILLION) {
        write_text(w, "\n    ");
        write_share(w, "chance", step->chance);
    }
    if (step->parallel) write_text(w, "\n    parallel: true");
    if (step->optional) write_text(w, "\n    optional: true");
    for (uint32_t i = 0; i < step->as_count; i++) {
        write_format(w, "%s%s: ", i == 0 ? "\n    as: {" : ", ", w->names->vars[step->as[i].var]);
        write_expr(w, step->as[i].selector);
        if (i + 1 == step->as_count) write_text(w, "}");
    }
    write_text(w, "\n    do:");
    for (uint32_t i = 0; i < step->action_count; i++) {
        write_text(w, step->action_count == 1 ? " " : "\n      - ");
        write_action(w, &step->actions[i]);
    }
    write_text(w, "\n");
}

void write_steps(const struct write *w, const struct scenario *scenario)
{
    if (scenario->step_count > 0) write_text(w, "steps:\n");
    for (uint32_t i = 0; i < scenario->step_count; i++)
        write_step(w, &scenario->steps[i]);
}

/* ---- expectations ---------------------------------------------------------------------------- */

static void write_expect(const struct write *w, const struct scenario_expect *expect)
{
    static const char *const verdicts[] = {"", "eventually ", "never ", "always "};
    char text[WRITE_ON_MAX];
    char time[80];
    struct sink_buffer buffer;
    struct text_sink sink = sink_into(&buffer, text, sizeof text);

    sink_text(&sink, verdicts[expect->verdict]);
    expr_write(expect->condition, w->names, &sink);
    if (expect->hold_ns > 0) {
        units_write(UNIT_TIME, (struct unit_range){expect->hold_ns, expect->hold_ns}, time,
                    sizeof time);
        sink_format(&sink, " for %s", time);
    }
    if (expect->within_ns > 0) {
        units_write(UNIT_TIME, (struct unit_range){expect->within_ns, expect->within_ns}, time,
                    sizeof time);
        sink_format(&sink, " within %s", time);
    }
    if (expect->unless != NULL) {
        sink_text(&sink, " unless ");
        expr_write(expect->unless, w->names, &sink);
    }
    write_text(w, "  - that: ");
    write_scalar(w, text);
    if (expect->at_end) write_text(w, "\n    by: end");
    if (expect->after_step >= 0) write_format(w, "\n    after: step %d", expect->after_step + 1);
    write_text(w, "\n");
}

void write_expects(const struct write *w, const struct scenario *scenario)
{
    if (scenario->expect_count > 0) write_text(w, "expect:\n");
    for (uint32_t i = 0; i < scenario->expect_count; i++)
        write_expect(w, &scenario->expects[i]);
}
