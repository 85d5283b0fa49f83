#include "sim/scenario/expr.h"

#include "client/base/assert.h"
#include "client/base/err.h"
#include "client/base/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUANTITY, TOKEN_SIGN, TOKEN_VAR };

struct token {
    enum token_kind kind;
    uint32_t at; /* offset in the text */
    char word[96];
    int64_t number;
    enum unit unit;
};

struct parser {
    const struct expr_reader *reader;
    const struct yaml *where;
    uint32_t offset;
    const char *text;
    uint32_t at;
    uint32_t depth;
    struct token token; /* the next one */
    bool failed;
};

enum { EXPR_DEPTH_MAX = 64 };

static struct expr *parse_or(struct parser *p);

/* ---- errors ---------------------------------------------------------------------------------- */

static void parse_fail(struct parser *p, uint32_t at, const char *what, const char *hint)
{
    const struct yaml *where = p->where;

    p->failed = true;
    yaml_fail(p->reader->error, p->reader->file, where->line,
              where->column + (int)(p->offset + at) + (where->quoted ? 1 : 0), "%s%s%s", what,
              hint[0] != '\0' ? "; " : "", hint);
}

/* "no such WHAT: WORD; did you mean NEAREST?" */
static void parse_fail_word(struct parser *p, const struct token *token, const char *kind,
                            const char *const *words)
{
    const char *nearest = language_nearest(token->word, words);
    char what[192];
    char hint[192] = "";

    (void)snprintf(what, sizeof what, "no such %s: \"%s\"", kind, token->word);
    if (nearest != NULL) {
        (void)snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest);
    } else if (words[0] != NULL && words[1] == NULL) {
        (void)snprintf(hint, sizeof hint, "there is only \"%s\"", words[0]);
    }
    parse_fail(p, token->at, what, hint);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static bool word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool word_char(char c)
{
    return word_start(c) || (c >= '0' && c <= '9');
}

/* A word holds '-' and '.' inside: orders-0, controller.epoch. "a - b" is a subtraction. */
static uint32_t word_length(const char *text)
{
    uint32_t length = 0;

    while (word_char(text[length]) || (length > 0 && (text[length] == '-' || text[length] == '.') &&
                                       word_char(text[length + 1]))) {
        length++;
    }
    return length;
}

static void parse_next(struct parser *p)
{
    const char *text = p->text + p->at;
    struct token *token = &p->token;
    uint32_t length = 0;

    while (*text == ' ' || *text == '\n' || *text == '\t') {
        text++;
        p->at++;
    }
    *token = (struct token){.kind = TOKEN_END, .at = p->at};
    if (*text == '\0') return;
    if (*text == '$' || word_start(*text)) {
        uint32_t skip = *text == '$' ? 1 : 0;

        length = word_length(text + skip) + skip;
        token->kind = skip ? TOKEN_VAR : TOKEN_WORD;
        if (length - skip >= sizeof token->word) {
            parse_fail(p, p->at, "a very long word", "");
            return;
        }
        memcpy(token->word, text + skip, length - skip);
    } else if (*text >= '0' && *text <= '9') {
        token->kind = TOKEN_QUANTITY;
        if (!units_scan(text, &token->unit, &token->number, &length)) {
            parse_fail(p, p->at, "this is no quantity", "wanted is for example 3, 250ms or 64KiB");
            return;
        }
    } else {
        static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">",
                                            "(",  ")",  ",",  ".",  "+", "-"};

        token->kind = TOKEN_SIGN;
        for (uint32_t i = 0; i < COUNT_OF(signs) && length == 0; i++) {
            if (strncmp(text, signs[i], strlen(signs[i])) != 0) continue;
            length = (uint32_t)strlen(signs[i]);
            memcpy(token->word, signs[i], length);
        }
        if (length == 0) {
            char what[32];

            (void)snprintf(what, sizeof what, "\"%c\" is no part of a condition", *text);
            parse_fail(p, p->at, what, "");
            return;
        }
    }
    p->at += length;
}

static bool parse_is(const struct parser *p, enum token_kind kind, const char *word)
{
    return !p->failed && p->token.kind == kind && strcmp(p->token.word, word) == 0;
}

static bool parse_take(struct parser *p, enum token_kind kind, const char *word)
{
    if (!parse_is(p, kind, word)) return false;
    parse_next(p);
    return true;
}

static void parse_expect(struct parser *p, const char *sign)
{
    char what[64];

    if (p->failed || parse_take(p, TOKEN_SIGN, sign)) return;
    (void)snprintf(what, sizeof what, "\"%s\" is missing here", sign);
    parse_fail(p, p->token.at, what, "");
}

static struct expr *parse_make(struct parser *p, enum expr_op op, struct expr *left,
                               struct expr *right)
{
    struct expr *expr = store_take(p->reader->store, sizeof *expr);

    expr->op = op;
    expr->left = left;
    expr->right = right;
    expr->topic = -1;
    expr->client = -1;
    return expr;
}

/* Never NULL, so that no caller has to look: the failure is in the parser. */
static struct expr *parse_nothing(struct parser *p)
{
    return parse_make(p, EXPR_LITERAL, NULL, NULL);
}

/* ---- terms ----------------------------------------------------------------------------------- */

/* "orders-0" */
static void parse_tp(struct parser *p, struct expr *expr)
{
    const struct expr_names *names = p->reader->names;
    struct token token = p->token;
    char *dash = strrchr(token.word, '-');
    const char *list[65] = {NULL};
    char *end = NULL;
    long partition = dash != NULL ? strtol(dash + 1, &end, 10) : 0;

    if (token.kind != TOKEN_WORD || dash == NULL || end == dash + 1 || *end != '\0') {
        parse_fail(p, token.at, "a partition is wanted", "for example orders-0");
        return;
    }
    *dash = '\0';
    for (uint32_t i = 0; i < names->topic_count; i++) {
        list[i] = names->topics[i];
        if (strcmp(names->topics[i], token.word) == 0) expr->topic = (int32_t)i;
    }
    if (expr->topic < 0) {
        parse_fail_word(p, &token, "topic", list);
        return;
    }
    if (partition >= names->partitions[expr->topic]) {
        char what[192];

        (void)snprintf(what, sizeof what, "\"%s\" has partitions 0 to %d", token.word,
                       (int)names->partitions[expr->topic] - 1);
        parse_fail(p, token.at, what, "");
        return;
    }
    expr->partition = (int32_t)partition;
    parse_next(p);
}

static void parse_client(struct parser *p, struct expr *expr)
{
    const struct expr_names *names = p->reader->names;
    const char *list[66] = {"all"};

    for (uint32_t i = 0; i < names->client_count; i++) {
        list[i + 1] = names->clients[i];
        if (strcmp(names->clients[i], p->token.word) == 0) expr->client = (int32_t)i;
    }
    if (p->token.kind != TOKEN_WORD) {
        parse_fail(p, p->token.at, "the name of a client is wanted", "");
    } else if (expr->client < 0 && strcmp(p->token.word, "all") != 0) {
        parse_fail_word(p, &p->token, "client", list);
    } else {
        parse_next(p);
    }
}

static void parse_error_name(struct parser *p, struct expr *expr)
{
#define X(name, code, retry, text) #name,
    static const char *const names[] = {ERR_LIST(X) NULL};
#undef X
#define X(name, code, retry, text) (code),
    static const int32_t codes[] = {ERR_LIST(X)};
#undef X
    for (uint32_t i = 0; i < COUNT_OF(codes); i++) {
        if (p->token.kind != TOKEN_WORD || strcmp(names[i], p->token.word) != 0) continue;
        expr->error = codes[i];
        parse_next(p);
        return;
    }
    parse_fail_word(p, &p->token, "error", names);
}

static void parse_rack(struct parser *p, struct expr *expr)
{
    const struct expr_names *names = p->reader->names;
    const char *list[65] = {NULL};

    for (uint32_t i = 0; i < names->rack_count; i++) {
        list[i] = names->racks[i];
        if (strcmp(names->racks[i], p->token.word) == 0) expr->name = names->racks[i];
    }
    if (expr->name == NULL) {
        parse_fail_word(p, &p->token, "rack", list);
        return;
    }
    parse_next(p);
}

static void parse_need_set(struct parser *p, uint32_t at, const struct expr *expr)
{
    if (p->failed || expr->is_set) return;
    parse_fail(p, at, "a set of nodes is wanted here, this is a number or a condition",
               "for example leader(orders-0)");
}

static void parse_arg(struct parser *p, struct expr *expr, enum term_arg arg)
{
    uint32_t at = p->token.at;

    if (p->failed) return;
    switch (arg) {
    case TERM_ARG_NONE: return;
    case TERM_ARG_TP: parse_tp(p, expr); return;
    case TERM_ARG_CLIENT: parse_client(p, expr); return;
    case TERM_ARG_ERROR: parse_error_name(p, expr); return;
    case TERM_ARG_RACK: parse_rack(p, expr); return;
    case TERM_ARG_NODES:
        expr->nodes = parse_or(p);
        parse_need_set(p, at, expr->nodes);
        return;
    case TERM_ARG_ID:
        if (p->token.kind != TOKEN_QUANTITY || p->token.unit != UNIT_COUNT) {
            parse_fail(p, at, "the number of a node is wanted", "");
            return;
        }
        expr->id = (int32_t)p->token.number;
        parse_next(p);
        return;
    }
}

static void parse_field(struct parser *p, struct expr *expr)
{
    const char *names[FIELDS] = {NULL};

    if (!parse_take(p, TOKEN_SIGN, ".")) {
        expr->is_set = language_term(expr->term)->is_set;
        if (!expr->is_set && !p->failed) {
            parse_fail(p, p->token.at, "a field is missing here", ".leo, .hw, .epoch, .log_start");
        }
        return;
    }
    for (uint32_t i = 1; i < FIELDS; i++) {
        names[i - 1] = language_field((enum field)i);
        if (strcmp(names[i - 1], p->token.word) == 0) expr->field = (enum field)i;
    }
    if (expr->field == FIELD_NONE) {
        parse_fail_word(p, &p->token, "field", names);
        return;
    }
    expr->is_set = false;
    parse_next(p);
}

/* The number of a term's row; "active controller" is two words, "follower" is "followers". */
static int parse_term_word(struct parser *p)
{
    const char *list[TERMS + 8] = {"any", "count", "not", "exists"};
    uint32_t count = 4;
    struct token token = p->token;

    if (strcmp(token.word, "follower") == 0) strcpy(token.word, "followers");
    if (strcmp(token.word, "active") == 0) {
        parse_next(p);
        if (parse_is(p, TOKEN_WORD, "controller")) strcpy(token.word, "active controller");
    }
    for (uint32_t i = 0; i < TERMS; i++) {
        const char *name = language_term((enum term)i)->name;

        if (strcmp(name, token.word) == 0) return (int)i;
        list[count++] = name;
    }
    list[count] = NULL;
    parse_fail_word(p, &token, "term or selector", list);
    return -1;
}

static struct expr *parse_term(struct parser *p)
{
    struct expr *expr = parse_make(p, EXPR_TERM, NULL, NULL);
    int term = parse_term_word(p);
    const struct term_word *word;

    if (term < 0) return expr;
    expr->term = (enum term)term;
    word = language_term(expr->term);
    expr->is_set = word->is_set;
    if (expr->term == TERM_TIME) expr->unit = UNIT_TIME;
    parse_next(p);
    if (word->args[0] == TERM_ARG_NONE) return expr;
    parse_expect(p, "(");
    parse_arg(p, expr, word->args[0]);
    if (word->args[1] != TERM_ARG_NONE) {
        parse_expect(p, ",");
        parse_arg(p, expr, word->args[1]);
    }
    if (p->failed) return expr;
    parse_expect(p, ")");
    if (word->fields) parse_field(p, expr);
    return expr;
}

static struct expr *parse_var(struct parser *p)
{
    struct expr_names *names = p->reader->names;
    struct expr *expr = parse_make(p, EXPR_VAR, NULL, NULL);
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
        parse_fail_word(p, &p->token, "variable here", list);
        return expr;
    }
    parse_next(p);
    return expr;
}

static struct expr *parse_primary(struct parser *p)
{
    struct expr *expr;
    uint32_t at = p->token.at;

    if (p->failed) return parse_nothing(p);
    if (++p->depth > EXPR_DEPTH_MAX) {
        parse_fail(p, at, "nested too deeply", "");
        return parse_nothing(p);
    }
    if (p->token.kind == TOKEN_QUANTITY) {
        expr = parse_make(p, EXPR_LITERAL, NULL, NULL);
        expr->number = p->token.number;
        expr->unit = p->token.unit;
        parse_next(p);
    } else if (p->token.kind == TOKEN_VAR) {
        expr = parse_var(p);
    } else if (parse_take(p, TOKEN_SIGN, "(")) {
        expr = parse_or(p);
        parse_expect(p, ")");
    } else if (parse_take(p, TOKEN_WORD, "any")) {
        at = p->token.at;
        expr = parse_make(p, EXPR_ANY, parse_primary(p), NULL);
        expr->is_set = true;
        parse_need_set(p, at, expr->left);
    } else if (parse_take(p, TOKEN_WORD, "count")) {
        parse_expect(p, "(");
        at = p->token.at;
        expr = parse_make(p, EXPR_COUNT_OF, parse_or(p), NULL);
        parse_need_set(p, at, expr->left);
        parse_expect(p, ")");
    } else if (p->token.kind == TOKEN_WORD) {
        expr = parse_term(p);
    } else {
        parse_fail(p, at, "something is missing here", "a term, a selector or a quantity");
        expr = parse_nothing(p);
    }
    p->depth--;
    return expr;
}

static struct expr *parse_sum(struct parser *p)
{
    struct expr *left = parse_primary(p);

    while (parse_is(p, TOKEN_SIGN, "+") || parse_is(p, TOKEN_SIGN, "-")) {
        enum expr_op op = p->token.word[0] == '+' ? EXPR_ADD : EXPR_SUB;
        struct expr *sum;

        parse_next(p);
        sum = parse_make(p, op, left, NULL);
        sum->right = parse_primary(p);
        sum->is_set = left->is_set;
        sum->unit = left->unit;
        if (!p->failed && left->is_set != sum->right->is_set) {
            parse_fail(p, p->token.at, "a number and a set cannot be added", "");
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
        parse_fail(p, at, "the two sides cannot be compared: one is a set of nodes",
                   "count(SET) is a number");
    } else if (order && l->is_set) {
        parse_fail(p, at, "sets have no order", "count(SET) is a number, \"in\" is the subset");
    } else if (both->op == EXPR_IN && !l->is_set) {
        parse_fail(p, at, "\"in\" is between sets of nodes", "");
    } else if (!l->is_set && l->unit != r->unit) {
        parse_fail(p, at, "the two sides have different units", "times have one, counts have none");
    }
}

static struct expr *parse_comparison(struct parser *p)
{
    static const struct {
        const char *sign;
        enum token_kind kind;
        enum expr_op op;
    } signs[] = {
        {"==", TOKEN_SIGN, EXPR_EQ}, {"!=", TOKEN_SIGN, EXPR_NE}, {"<", TOKEN_SIGN, EXPR_LT},
        {"<=", TOKEN_SIGN, EXPR_LE}, {">", TOKEN_SIGN, EXPR_GT},  {">=", TOKEN_SIGN, EXPR_GE},
        {"in", TOKEN_WORD, EXPR_IN},
    };
    struct expr *left = parse_sum(p);
    uint32_t at = p->token.at;

    for (uint32_t i = 0; i < COUNT_OF(signs); i++) {
        struct expr *both;

        if (!parse_take(p, signs[i].kind, signs[i].sign)) continue;
        both = parse_make(p, signs[i].op, left, NULL);
        both->right = parse_sum(p);
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

    if (parse_take(p, TOKEN_WORD, "not")) {
        if (++p->depth > EXPR_DEPTH_MAX) parse_fail(p, p->token.at, "nested too deeply", "");
        if (p->failed) return parse_nothing(p);
        expr = parse_make(p, EXPR_NOT, parse_not(p), NULL);
        p->depth--;
        expr->is_bool = true;
        return expr;
    }
    if (!parse_is(p, TOKEN_WORD, "exists")) return parse_comparison(p);
    parse_next(p);
    at = p->token.at;
    expr = parse_make(p, EXPR_EXISTS, parse_sum(p), NULL);
    expr->is_bool = true;
    parse_need_set(p, at, expr->left);
    return expr;
}

static struct expr *parse_and(struct parser *p)
{
    struct expr *left = parse_not(p);

    while (parse_take(p, TOKEN_WORD, "and")) {
        left = parse_make(p, EXPR_AND, left, NULL);
        left->right = parse_not(p);
        left->is_bool = true;
    }
    return left;
}

static struct expr *parse_or(struct parser *p)
{
    struct expr *left = parse_and(p);

    while (parse_take(p, TOKEN_WORD, "or")) {
        left = parse_make(p, EXPR_OR, left, NULL);
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
    parse_next(p);
    return !p->failed;
}

static bool parse_end(struct parser *p)
{
    if (p->failed) return false;
    if (p->token.kind == TOKEN_END) return true;
    parse_fail(p, p->token.at, "the condition should end here", "and, or, for TIME");
    return false;
}

struct expr *expr_parse_text(const struct expr_reader *reader, const struct yaml *at,
                             uint32_t offset, const char *text, int64_t *hold_ns)
{
    struct parser p;
    struct expr *expr;

    *hold_ns = 0;
    if (!parse_begin(&p, reader, at, offset, text)) return NULL;
    expr = parse_or(&p);
    if (!p.failed && !expr->is_bool) {
        parse_fail(&p, 0, "this is a value, not a condition",
                   expr->is_set ? "exists SET, or a comparison" : "compare it with something");
    }
    if (parse_take(&p, TOKEN_WORD, "for")) {
        if (p.token.kind != TOKEN_QUANTITY || p.token.unit != UNIT_TIME) {
            parse_fail(&p, p.token.at, "a time is wanted", units_example(UNIT_TIME));
        }
        *hold_ns = p.token.number;
        parse_next(&p);
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
        expr = parse_make(&p, EXPR_TERM, NULL, NULL);
        expr->term = TERM_NODE;
        expr->is_set = true;
        expr->id = (int32_t)p.token.number;
        parse_next(&p);
    } else {
        expr = parse_sum(&p);
    }
    parse_need_set(&p, 0, expr);
    return parse_end(&p) ? expr : NULL;
}
