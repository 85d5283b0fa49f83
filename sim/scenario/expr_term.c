/* The terms of conditions: one row of the table of language.c each, its arguments and its field. */
#include "sim/scenario/expr_token.h"

#include "client/base/err.h"
#include "client/base/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- terms ----------------------------------------------------------------------------------- */

/* "orders-0" */
void expr_term_tp(struct parser *p, struct expr *expr)
{
    const struct expr_names *names = p->reader->names;
    struct token token = p->token;
    char *dash = strrchr(token.word, '-');
    const char *list[65] = {NULL};
    char *end = NULL;
    long partition = dash != NULL ? strtol(dash + 1, &end, 10) : 0;

    if (token.kind != TOKEN_WORD || dash == NULL || end == dash + 1 || *end != '\0') {
        expr_token_fail(p, token.at, "a partition is wanted", "for example orders-0");
        return;
    }
    *dash = '\0';
    for (uint32_t i = 0; i < names->topic_count; i++) {
        list[i] = names->topics[i];
        if (strcmp(names->topics[i], token.word) == 0) expr->topic = (int32_t)i;
    }
    if (expr->topic < 0) {
        expr_token_fail_word(p, &token, "topic", list);
        return;
    }
    if (partition >= names->partitions[expr->topic]) {
        char what[192];

        (void)snprintf(what, sizeof what, "\"%s\" has partitions 0 to %d", token.word,
                       (int)names->partitions[expr->topic] - 1);
        expr_token_fail(p, token.at, what, "");
        return;
    }
    expr->partition = (int32_t)partition;
    expr_token_next(p);
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
        expr_token_fail(p, p->token.at, "the name of a client is wanted", "");
    } else if (expr->client < 0 && strcmp(p->token.word, "all") != 0) {
        expr_token_fail_word(p, &p->token, "client", list);
    } else {
        expr_token_next(p);
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
        expr_token_next(p);
        return;
    }
    expr_token_fail_word(p, &p->token, "error", names);
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
        expr_token_fail_word(p, &p->token, "rack", list);
        return;
    }
    expr_token_next(p);
}

void expr_term_need_set(struct parser *p, uint32_t at, const struct expr *expr)
{
    if (p->failed || expr->is_set) return;
    expr_token_fail(p, at, "a set of nodes is wanted here, this is a number or a condition",
                    "for example leader(orders-0)");
}

static void parse_topic(struct parser *p, struct expr *expr)
{
    const struct expr_names *names = p->reader->names;
    const char *list[65] = {NULL};

    for (uint32_t i = 0; i < names->topic_count; i++) {
        list[i] = names->topics[i];
        if (strcmp(names->topics[i], p->token.word) == 0) expr->topic = (int32_t)i;
    }
    if (p->token.kind != TOKEN_WORD || expr->topic < 0) {
        expr_token_fail_word(p, &p->token, "topic", list);
        return;
    }
    expr_token_next(p);
}

/* "g" or "group g" */
static void parse_group(struct parser *p, struct expr *expr)
{
    const struct expr_names *names = p->reader->names;
    const char *list[COUNT_OF(names->groups) + 1] = {NULL};
    bool found = false;

    if (expr_token_is(p, TOKEN_WORD, "txn")) {
        expr_token_fail_missing(p, &p->token);
        return;
    }
    (void)expr_token_take(p, TOKEN_WORD, "group");
    for (uint32_t i = 0; i < names->group_count; i++) {
        list[i] = names->groups[i];
        if (strcmp(names->groups[i], p->token.word) != 0) continue;
        expr->group = (int32_t)i;
        found = true;
    }
    if (p->token.kind != TOKEN_WORD || !found) {
        expr_token_fail_word(p, &p->token, "group", list);
        return;
    }
    expr_token_next(p);
}

static void parse_arg(struct parser *p, struct expr *expr, enum term_arg arg)
{
    uint32_t at = p->token.at;

    if (p->failed) return;
    switch (arg) {
    case TERM_ARG_NONE: return;
    case TERM_ARG_TP: expr_term_tp(p, expr); return;
    case TERM_ARG_CLIENT: parse_client(p, expr); return;
    case TERM_ARG_ERROR: parse_error_name(p, expr); return;
    case TERM_ARG_RACK: parse_rack(p, expr); return;
    case TERM_ARG_NODES:
        expr->nodes = expr_grammar_or(p);
        expr_term_need_set(p, at, expr->nodes);
        return;
    case TERM_ARG_OTHERS:
        expr->others = expr_grammar_or(p);
        expr_term_need_set(p, at, expr->others);
        return;
    case TERM_ARG_TOPIC: parse_topic(p, expr); return;
    case TERM_ARG_GROUP: parse_group(p, expr); return;
    case TERM_ARG_ID:
        if (p->token.kind != TOKEN_QUANTITY || p->token.unit != UNIT_COUNT) {
            expr_token_fail(p, at, "the number of a node is wanted", "");
            return;
        }
        expr->id = (int32_t)p->token.number;
        expr_token_next(p);
        return;
    }
}

static void parse_field(struct parser *p, struct expr *expr)
{
    const struct term_word *word = language_term(expr->term);
    const char *names[FIELDS] = {NULL};
    uint32_t count = 0;

    if (!expr_token_take(p, TOKEN_SIGN, ".")) {
        if (word->is_set || p->failed) return;
        expr_token_fail(p, p->token.at, "a field is missing here",
                        word->fields == TERM_FIELDS_GROUP ? ".state, .generation, .members"
                                                          : ".leo, .hw, .epoch, .log_start");
        return;
    }
    for (uint32_t i = 1; i < FIELDS; i++) {
        if (language_field_of((enum field)i) != word->fields) continue;
        names[count++] = language_field((enum field)i);
        if (strcmp(names[count - 1], p->token.word) == 0) expr->field = (enum field)i;
    }
    if (expr->field == FIELD_NONE) {
        expr_token_fail_word(p, &p->token, "field", names);
        return;
    }
    expr->is_set = false;
    expr_token_next(p);
    if (expr->field != FIELD_EPOCH_END) return;
    expr_token_expect(p, "(");
    expr->argument = expr_grammar_sum(p);
    if (!p->failed && (expr->argument->is_set || expr->argument->unit != UNIT_COUNT)) {
        expr_token_fail(p, p->token.at, "the number of an epoch is wanted", "");
    }
    expr_token_expect(p, ")");
}

/* The number of a term's row; "active controller" is two words, "follower" is "followers". */
static int parse_term_word(struct parser *p)
{
    const char *list[TERMS + 8] = {"any", "count", "not", "exists"};
    uint32_t count = 4;
    struct token token = p->token;

    if (strcmp(token.word, "follower") == 0) strcpy(token.word, "followers");
    if (strcmp(token.word, "active") == 0) {
        expr_token_next(p);
        if (expr_token_is(p, TOKEN_WORD, "controller")) strcpy(token.word, "active controller");
    }
    if (strcmp(token.word, "all") == 0) {
        expr_token_next(p);
        if (expr_token_is(p, TOKEN_WORD, "replicas")) strcpy(token.word, "all replicas");
    }
    for (uint32_t i = 0; i < TERMS; i++) {
        const char *name = language_term((enum term)i)->name;

        if (strcmp(name, token.word) == 0) return (int)i;
        list[count++] = name;
    }
    list[count] = NULL;
    expr_token_fail_word(p, &token, "term or selector", list);
    return -1;
}

/* A bare name of a client, where no term has that name. */
static bool parse_client_name(struct parser *p, struct expr *expr)
{
    const struct expr_names *names = p->reader->names;

    for (uint32_t i = 0; i < TERMS; i++) {
        if (strcmp(language_term((enum term)i)->name, p->token.word) == 0) return false;
    }
    for (uint32_t i = 0; i < names->client_count; i++) {
        if (strcmp(names->clients[i], p->token.word) != 0) continue;
        expr->term = TERM_CLIENT;
        expr->is_set = true;
        expr->client = (int32_t)i;
        expr_token_next(p);
        return true;
    }
    return false;
}

static void parse_identical(struct parser *p)
{
    static const char *const words[] = {"identical", "below", "hw"};

    for (uint32_t i = 0; i < COUNT_OF(words); i++) {
        if (p->failed || expr_token_take(p, TOKEN_WORD, words[i])) continue;
        expr_token_fail(p, p->token.at, "wanted is all replicas(TOPIC) identical below hw", "");
    }
}

struct expr *expr_term_parse(struct parser *p)
{
    struct expr *expr = expr_token_make(p, EXPR_TERM, NULL, NULL);
    const struct term_word *word;
    int term;

    if (parse_client_name(p, expr)) return expr;
    term = parse_term_word(p);
    if (term < 0) return expr;
    expr->term = (enum term)term;
    word = language_term(expr->term);
    expr->is_set = word->is_set;
    expr->is_bool = word->is_bool;
    if (expr->term == TERM_TIME) expr->unit = UNIT_TIME;
    expr_token_next(p);
    if (word->args[0] == TERM_ARG_NONE) return expr;
    expr_token_expect(p, "(");
    for (uint32_t i = 0; i < TERM_ARGS_MAX && word->args[i] != TERM_ARG_NONE; i++) {
        if (i > 0) expr_token_expect(p, ",");
        parse_arg(p, expr, word->args[i]);
    }
    if (p->failed) return expr;
    expr_token_expect(p, ")");
    if (expr->term == TERM_IDENTICAL) parse_identical(p);
    if (word->fields != TERM_FIELDS_NONE) parse_field(p, expr);
    return expr;
}
