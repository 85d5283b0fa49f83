/* What the two parts of the parser of conditions share: tokens and errors (expr_token.c), terms and
 * their arguments (expr_term.c), the grammar itself (expr.c). Errors stick: after the first one
 * everything returns harmless values. */
#ifndef SIM_SCENARIO_EXPR_TOKEN_H
#define SIM_SCENARIO_EXPR_TOKEN_H

#include "sim/scenario/expr.h"

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

void expr_token_fail(struct parser *p, uint32_t at, const char *what, const char *hint);
/* "no such KIND: WORD; did you mean NEAREST?" */
void expr_token_fail_word(struct parser *p, const struct token *token, const char *kind,
                          const char *const *words);
/* A word of the full language whose feature is not there yet. */
void expr_token_fail_missing(struct parser *p, const struct token *token);
void expr_token_next(struct parser *p);
bool expr_token_is(const struct parser *p, enum token_kind kind, const char *word);
bool expr_token_take(struct parser *p, enum token_kind kind, const char *word);
void expr_token_expect(struct parser *p, const char *sign);
struct expr *expr_token_make(struct parser *p, enum expr_op op, struct expr *left,
                             struct expr *right);

/* A word that begins a term or selector, with its arguments and field. */
struct expr *expr_term_parse(struct parser *p);
void expr_term_tp(struct parser *p, struct expr *expr); /* "orders-0" */
void expr_term_need_set(struct parser *p, uint32_t at, const struct expr *expr);

struct expr *expr_grammar_or(struct parser *p);
struct expr *expr_grammar_sum(struct parser *p);

#endif
