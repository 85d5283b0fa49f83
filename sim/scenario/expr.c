#include "sim/scenario/expr_token.h"

#include "client/base/assert.h"
#include "client/base/list.h"

#include <string.h>

enum { EXPR_DEPTH_MAX = 64 };

/* Never NULL, so that no caller has to look: the failure is in the parser. */
static struct expr *parse_nothing(struct parser *p)
{
    return expr_token_make(p, EXPR_LITERAL, NULL, NULL);
}

static struct expr *parse_var(struct parser *p)
{
    struct expr_names *names = p->reader->names;
    struct expr *expr = expr_token_make(p, EXPR_VAR, NULL, NULL);
    const char *list[EXPR_VARS_MAX + 1] = {NULL};

    expr->is_set = true;
    expr->var = -2;
    if (strcmp(p->token.word, "it") == 0 && names->has_it) expr->var = -1;
    for (uint32_t i = 0; i < names->var_count; i++) {
        list[i] = names->vars[i];
        if (strcmp(names->vars[i], p->token.word) != 0) continue;
        expr->var = (int32_t)i;
        names->vars_used[i] = true;
    }
    if (expr->var == -2) {
        expr_token_fail_word(p, &p->token, "variable here", list);
        return expr;
    }
    expr_token_next(p);
    return expr;
}

static struct expr *parse_primary(struct parser *p)
{
    struct expr *expr;
    uint32_t at = p->token.at;

    if (p->failed) return parse_nothing(p);
    if (++p->depth > EXPR_DEPTH_MAX) {
        expr_token_fail(p, at, "nested too deeply", "");
        return parse_nothing(p);
    }
    if (p->token.kind == TOKEN_QUANTITY) {
        expr = expr_token_make(p, EXPR_LITERAL, NULL, NULL);
        expr->number = p->token.number;
        expr->unit = p->token.unit;
        expr_token_next(p);
    } else if (p->token.kind == TOKEN_VAR) {
        expr = parse_var(p);
    } else if (expr_token_take(p, TOKEN_SIGN, "(")) {
        expr = expr_grammar_or(p);
        expr_token_expect(p, ")");
    } else if (expr_token_take(p, TOKEN_WORD, "any")) {
        at = p->token.at;
        expr = expr_token_make(p, EXPR_ANY, parse_primary(p), NULL);
        expr->is_set = true;
        expr_term_need_set(p, at, expr->left);
    } else if (expr_token_take(p, TOKEN_WORD, "count")) {
        expr_token_expect(p, "(");
        at = p->token.at;
        expr = expr_token_make(p, EXPR_COUNT_OF, expr_grammar_or(p), NULL);
        expr_term_need_set(p, at, expr->left);
        expr_token_expect(p, ")");
    } else if (p->token.kind == TOKEN_WORD) {
        expr = expr_term_parse(p);
    } else {
        expr_token_fail(p, at, "something is missing here", "a term, a selector or a quantity");
        expr = parse_nothing(p);
    }
    p->depth--;
    return expr;
}

struct expr *expr_grammar_sum(struct parser *p)
{
    struct expr *left = parse_primary(p);

    while (expr_token_is(p, TOKEN_SIGN, "+") || expr_token_is(p, TOKEN_SIGN, "-")) {
        enum expr_op op = p->token.word[0] == '+' ? EXPR_ADD : EXPR_SUB;
        struct expr *sum;

        expr_token_next(p);
        sum = expr_token_make(p, op, left, NULL);
        sum->right = parse_primary(p);
        sum->is_set = left->is_set;
        sum->unit = left->unit;
        if (!p->failed && left->is_set != sum->right->is_set) {
            expr_token_fail(p, p->token.at, "a number and a set cannot be added", "");
        }
        left = sum;
    }
    return left;
}

/* Both sides must be of one kind; a time is compared with a time. */
static void parse_check_sides(struct parser *p, uint32_t at, const struct expr *both)
{
    const struct expr *l = both->left;
    const struct expr *r = both->right;
    bool order =
        both->op == EXPR_LT || both->op == EXPR_LE || both->op == EXPR_GT || both->op == EXPR_GE;

    if (p->failed) return;
    if (l->is_set != r->is_set || l->is_bool != r->is_bool) {
        expr_token_fail(p, at, "the two sides cannot be compared: one is a set of nodes",
                        "count(SET) is a number");
    } else if (order && l->is_set) {
        expr_token_fail(p, at, "sets have no order",
                        "count(SET) is a number, \"in\" is the subset");
    } else if (both->op == EXPR_IN && !l->is_set) {
        expr_token_fail(p, at, "\"in\" is between sets of nodes", "");
    } else if (!l->is_set && l->unit != r->unit) {
        expr_token_fail(p, at, "the two sides have different units",
                        "times have one, counts have none");
    }
}

/* group(g).state == preparing_rebalance */
static struct expr *parse_state(struct parser *p, const struct expr *both)
{
    struct expr *expr = expr_token_make(p, EXPR_STATE, NULL, NULL);
    int index = language_choice(LANGUAGE_GROUP_STATES, p->token.word);

    if (both->op != EXPR_EQ && both->op != EXPR_NE) {
        expr_token_fail(p, p->token.at, "states have no order", "== or !=");
    } else if (p->token.kind != TOKEN_WORD || index < 0) {
        expr_token_fail(p, p->token.at, "a state is wanted", LANGUAGE_GROUP_STATES);
    } else {
        expr->number = index;
        expr_token_next(p);
    }
    return expr;
}

static struct expr *parse_comparison(struct parser *p)
{
    static const struct {
        const char *sign;
        enum token_kind kind;
        enum expr_op op;
    } signs[] = {
        {"==", TOKEN_SIGN, EXPR_EQ}, {"!=", TOKEN_SIGN, EXPR_NE},     {"<", TOKEN_SIGN, EXPR_LT},
        {"<=", TOKEN_SIGN, EXPR_LE}, {">", TOKEN_SIGN, EXPR_GT},      {">=", TOKEN_SIGN, EXPR_GE},
        {"in", TOKEN_WORD, EXPR_IN}, {"subset", TOKEN_WORD, EXPR_IN},
    };
    struct expr *left = expr_grammar_sum(p);
    uint32_t at = p->token.at;

    for (uint32_t i = 0; i < COUNT_OF(signs); i++) {
        struct expr *both;

        if (!expr_token_take(p, signs[i].kind, signs[i].sign)) continue;
        both = expr_token_make(p, signs[i].op, left, NULL);
        both->right = left->field == FIELD_STATE ? parse_state(p, both) : expr_grammar_sum(p);
        both->is_bool = true;
        parse_check_sides(p, at, both);
        return both;
    }
    return left;
}

static struct expr *parse_not(struct parser *p)
{
    struct expr *expr;
    uint32_t at;

    if (expr_token_take(p, TOKEN_WORD, "not")) {
        if (++p->depth > EXPR_DEPTH_MAX) expr_token_fail(p, p->token.at, "nested too deeply", "");
        if (p->failed) return parse_nothing(p);
        expr = expr_token_make(p, EXPR_NOT, parse_not(p), NULL);
        p->depth--;
        expr->is_bool = true;
        return expr;
    }
    if (!expr_token_is(p, TOKEN_WORD, "exists")) return parse_comparison(p);
    expr_token_next(p);
    at = p->token.at;
    expr = expr_token_make(p, EXPR_EXISTS, expr_grammar_sum(p), NULL);
    expr->is_bool = true;
    expr_term_need_set(p, at, expr->left);
    return expr;
}

static struct expr *parse_and(struct parser *p)
{
    struct expr *left = parse_not(p);

    while (expr_token_take(p, TOKEN_WORD, "and")) {
        left = expr_token_make(p, EXPR_AND, left, NULL);
        left->right = parse_not(p);
        left->is_bool = true;
    }
    return left;
}

struct expr *expr_grammar_or(struct parser *p)
{
    struct expr *left = parse_and(p);

    while (expr_token_take(p, TOKEN_WORD, "or")) {
        left = expr_token_make(p, EXPR_OR, left, NULL);
        left->right = parse_and(p);
        left->is_bool = true;
    }
    return left;
}

/* ---- entry points ---------------------------------------------------------------------------- */

static bool parse_begin(struct parser *p, const struct expr_reader *reader, const struct yaml *at,
                        uint32_t offset, const char *text)
{
    *p = (struct parser){.reader = reader, .where = at, .offset = offset, .text = text};
    if (at->kind != YAML_SCALAR) {
        yaml_fail(reader->error, reader->file, at->line, at->column,
                  "a condition or selector is a text, not a list or map");
        return false;
    }
    expr_token_next(p);
    return !p->failed;
}

static bool parse_end(struct parser *p)
{
    if (p->failed) return false;
    if (p->token.kind == TOKEN_END) return true;
    expr_token_fail(p, p->token.at, "the condition should end here", "and, or, for TIME");
    return false;
}

struct expr *expr_parse_text(const struct expr_reader *reader, const struct yaml *at,
                             uint32_t offset, const char *text, int64_t *hold_ns)
{
    struct parser p;
    struct expr *expr;

    *hold_ns = 0;
    if (!parse_begin(&p, reader, at, offset, text)) return NULL;
    expr = expr_grammar_or(&p);
    if (!p.failed && !expr->is_bool) {
        expr_token_fail(&p, 0, "this is a value, not a condition",
                        expr->is_set ? "exists SET, or a comparison" : "compare it with something");
    }
    if (expr_token_take(&p, TOKEN_WORD, "for")) {
        if (p.token.kind != TOKEN_QUANTITY || p.token.unit != UNIT_TIME) {
            expr_token_fail(&p, p.token.at, "a time is wanted", units_example(UNIT_TIME));
        }
        *hold_ns = p.token.number;
        expr_token_next(&p);
    }
    return parse_end(&p) ? expr : NULL;
}

struct expr *expr_parse_condition(const struct expr_reader *reader, const struct yaml *at,
                                  int64_t *hold_ns)
{
    return expr_parse_text(reader, at, 0, at->text != NULL ? at->text : "", hold_ns);
}

struct expr *expr_parse_selector(const struct expr_reader *reader, const struct yaml *at,
                                 uint32_t offset, const char *text)
{
    struct parser p;
    struct expr *expr;

    if (!parse_begin(&p, reader, at, offset, text)) return NULL;
    if (p.token.kind == TOKEN_QUANTITY && p.token.unit == UNIT_COUNT) {
        /* A bare number is a node. */
        expr = expr_token_make(&p, EXPR_TERM, NULL, NULL);
        expr->term = TERM_NODE;
        expr->is_set = true;
        expr->id = (int32_t)p.token.number;
        expr_token_next(&p);
    } else {
        expr = expr_grammar_sum(&p);
    }
    expr_term_need_set(&p, 0, expr);
    return parse_end(&p) ? expr : NULL;
}

struct expr *expr_parse_partition(const struct expr_reader *reader, const struct yaml *at,
                                  const char *text)
{
    struct parser p;
    struct expr *expr;

    if (!parse_begin(&p, reader, at, 0, text)) return NULL;
    expr = expr_token_make(&p, EXPR_TERM, NULL, NULL);
    expr_term_tp(&p, expr);
    return parse_end(&p) ? expr : NULL;
}
