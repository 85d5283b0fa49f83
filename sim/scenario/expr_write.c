/* Expressions as words again: with the fewest parentheses that keep the binding. */
#include "sim/scenario/expr.h"

#include "client/base/assert.h"
#include "client/base/err.h"

#include <stdio.h>
#include <string.h>

/* How tightly an operator binds, as in the grammar of expr.h. */
enum level { LEVEL_OR, LEVEL_AND, LEVEL_NOT, LEVEL_COMPARISON, LEVEL_SUM, LEVEL_PRIMARY };

struct writer {
    const struct expr_names *names;
    const struct text_sink *sink;
};

static void write_at(const struct writer *w, const struct expr *expr, enum level level);

static enum level level_of(const struct expr *expr)
{
    switch (expr->op) {
    case EXPR_OR: return LEVEL_OR;
    case EXPR_AND: return LEVEL_AND;
    case EXPR_NOT:
    case EXPR_EXISTS: return LEVEL_NOT;
    case EXPR_EQ:
    case EXPR_NE:
    case EXPR_LT:
    case EXPR_LE:
    case EXPR_GT:
    case EXPR_GE:
    case EXPR_IN: return LEVEL_COMPARISON;
    case EXPR_ADD:
    case EXPR_SUB: return LEVEL_SUM;
    case EXPR_ANY:
    case EXPR_COUNT_OF:
    case EXPR_LITERAL:
    case EXPR_VAR:
    case EXPR_TERM:
    case EXPR_STATE: return LEVEL_PRIMARY;
    }
    IMPOSSIBLE("operator of an expression");
}

static void write_two(const struct writer *w, const struct expr *expr, enum level left,
                      const char *sign, enum level right)
{
    write_at(w, expr->left, left);
    sink_format(w->sink, " %s ", sign);
    write_at(w, expr->right, right);
}

static void write_arg(const struct writer *w, const struct expr *expr, enum term_arg arg)
{
    switch (arg) {
    case TERM_ARG_NONE: return;
    case TERM_ARG_TP:
        sink_format(w->sink, "%s-%d", w->names->topics[expr->topic], (int)expr->partition);
        return;
    case TERM_ARG_TOPIC: sink_text(w->sink, w->names->topics[expr->topic]); return;
    case TERM_ARG_CLIENT:
        sink_text(w->sink, expr->client < 0 ? "all" : w->names->clients[expr->client]);
        return;
    case TERM_ARG_ERROR: sink_text(w->sink, err_name((enum err)expr->error)); return;
    case TERM_ARG_RACK: sink_text(w->sink, expr->name); return;
    case TERM_ARG_ID: sink_format(w->sink, "%d", (int)expr->id); return;
    case TERM_ARG_NODES: write_at(w, expr->nodes, LEVEL_OR); return;
    case TERM_ARG_OTHERS: write_at(w, expr->others, LEVEL_OR); return;
    case TERM_ARG_GROUP:
        sink_format(w->sink, "%s%s",
                    expr->term == TERM_GROUP || expr->term == TERM_LAG ? "" : "group ",
                    w->names->groups[expr->group]);
        return;
    }
    IMPOSSIBLE("argument of a term");
}

static void write_term(const struct writer *w, const struct expr *expr)
{
    const struct term_word *word = language_term(expr->term);

    sink_text(w->sink, word->name);
    for (uint32_t i = 0; i < TERM_ARGS_MAX && word->args[i] != TERM_ARG_NONE; i++) {
        sink_text(w->sink, i == 0 ? "(" : ", ");
        write_arg(w, expr, word->args[i]);
    }
    if (word->args[0] != TERM_ARG_NONE) sink_text(w->sink, ")");
    if (expr->term == TERM_IDENTICAL) sink_text(w->sink, " identical below hw");
    if (expr->field == FIELD_NONE) return;
    sink_format(w->sink, ".%s", language_field(expr->field));
    if (expr->argument == NULL) return;
    sink_text(w->sink, "(");
    write_at(w, expr->argument, LEVEL_SUM);
    sink_text(w->sink, ")");
}

static void write_state(const struct writer *w, int64_t number)
{
    const char *state = LANGUAGE_GROUP_STATES;

    for (; number > 0; number--)
        state += strcspn(state, " ") + 1;
    sink_format(w->sink, "%.*s", (int)strcspn(state, " "), state);
}

static void write_primary(const struct writer *w, const struct expr *expr)
{
    char text[64];

    switch (expr->op) {
    case EXPR_LITERAL:
        units_write(expr->unit, (struct unit_range){expr->number, expr->number}, text, sizeof text);
        sink_text(w->sink, text);
        return;
    case EXPR_VAR:
        sink_format(w->sink, "$%s", expr->var < 0 ? "it" : w->names->vars[expr->var]);
        return;
    case EXPR_TERM: write_term(w, expr); return;
    case EXPR_STATE: write_state(w, expr->number); return;
    case EXPR_ANY:
        sink_text(w->sink, "any ");
        write_at(w, expr->left, LEVEL_PRIMARY);
        return;
    case EXPR_COUNT_OF:
        sink_text(w->sink, "count(");
        write_at(w, expr->left, LEVEL_OR);
        sink_text(w->sink, ")");
        return;
    case EXPR_EXISTS:
        sink_text(w->sink, "exists ");
        write_at(w, expr->left, LEVEL_SUM);
        return;
    case EXPR_NOT:
        sink_text(w->sink, "not ");
        write_at(w, expr->left, LEVEL_NOT);
        return;
    case EXPR_OR: write_two(w, expr, LEVEL_OR, "or", LEVEL_AND); return;
    case EXPR_AND: write_two(w, expr, LEVEL_AND, "and", LEVEL_NOT); return;
    case EXPR_EQ: write_two(w, expr, LEVEL_SUM, "==", LEVEL_SUM); return;
    case EXPR_NE: write_two(w, expr, LEVEL_SUM, "!=", LEVEL_SUM); return;
    case EXPR_LT: write_two(w, expr, LEVEL_SUM, "<", LEVEL_SUM); return;
    case EXPR_LE: write_two(w, expr, LEVEL_SUM, "<=", LEVEL_SUM); return;
    case EXPR_GT: write_two(w, expr, LEVEL_SUM, ">", LEVEL_SUM); return;
    case EXPR_GE: write_two(w, expr, LEVEL_SUM, ">=", LEVEL_SUM); return;
    case EXPR_IN: write_two(w, expr, LEVEL_SUM, "in", LEVEL_SUM); return;
    case EXPR_ADD: write_two(w, expr, LEVEL_SUM, "+", LEVEL_PRIMARY); return;
    case EXPR_SUB: write_two(w, expr, LEVEL_SUM, "-", LEVEL_PRIMARY); return;
    }
    IMPOSSIBLE("operator of an expression");
}

static void write_at(const struct writer *w, const struct expr *expr, enum level level)
{
    bool inner = level_of(expr) < level;

    if (inner) sink_text(w->sink, "(");
    write_primary(w, expr);
    if (inner) sink_text(w->sink, ")");
}

void expr_write(const struct expr *expr, const struct expr_names *names,
                const struct text_sink *sink)
{
    const struct writer writer = {names, sink};

    write_at(&writer, expr, LEVEL_OR);
}
