#include "sim/scenario/expr_token.h"

#include "client/base/list.h"

#include <stdio.h>
#include <string.h>

/* ---- errors ---------------------------------------------------------------------------------- */

void expr_token_fail(struct parser *p, uint32_t at, const char *what, const char *hint)
{
    const struct yaml *where = p->where;

    p->failed = true;
    yaml_fail(p->reader->error, p->reader->file, where->line,
              where->column + (int)(p->offset + at) + (where->quoted ? 1 : 0), "%s%s%s", what,
              hint[0] != '\0' ? "; " : "", hint);
}

/* "no such WHAT: WORD; did you mean NEAREST?" */
void expr_token_fail_word(struct parser *p, const struct token *token, const char *kind,
                          const char *const *words)
{
    const char *nearest = language_nearest(token->word, words);
    char what[192];
    char hint[192] = "";

    if (language_missing(token->word) != NULL) {
        expr_token_fail_missing(p, token);
        return;
    }
    (void)snprintf(what, sizeof what, "no such %s: \"%s\"", kind, token->word);
    if (nearest != NULL) {
        (void)snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest);
    } else if (words[0] != NULL && words[1] == NULL) {
        (void)snprintf(hint, sizeof hint, "there is only \"%s\"", words[0]);
    }
    expr_token_fail(p, token->at, what, hint);
}

void expr_token_fail_missing(struct parser *p, const struct token *token)
{
    char what[192];

    (void)snprintf(what, sizeof what, "\"%s\" needs %s, which this version does not have",
                   token->word, language_missing(token->word));
    expr_token_fail(p, token->at, what, "");
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

void expr_token_next(struct parser *p)
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
            expr_token_fail(p, p->at, "a very long word", "");
            return;
        }
        memcpy(token->word, text + skip, length - skip);
    } else if (*text == '"' || *text == '\'') {
        const char *end = strchr(text + 1, *text);

        if (end == NULL || end == text + 1 || (size_t)(end - text) > sizeof token->word) {
            expr_token_fail(p, p->at, "a quoted name is wanted here", "");
            return;
        }
        token->kind = TOKEN_WORD;
        memcpy(token->word, text + 1, (size_t)(end - text) - 1);
        length = (uint32_t)(end - text) + 1;
    } else if (*text >= '0' && *text <= '9') {
        token->kind = TOKEN_QUANTITY;
        if (!units_scan(text, &token->unit, &token->number, &length)) {
            expr_token_fail(p, p->at, "this is no quantity",
                            "wanted is for example 3, 250ms or 64KiB");
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
            expr_token_fail(p, p->at, what, "");
            return;
        }
    }
    p->at += length;
}

bool expr_token_is(const struct parser *p, enum token_kind kind, const char *word)
{
    return !p->failed && p->token.kind == kind && strcmp(p->token.word, word) == 0;
}

bool expr_token_take(struct parser *p, enum token_kind kind, const char *word)
{
    if (!expr_token_is(p, kind, word)) return false;
    expr_token_next(p);
    return true;
}

void expr_token_expect(struct parser *p, const char *sign)
{
    char what[64];

    if (p->failed || expr_token_take(p, TOKEN_SIGN, sign)) return;
    (void)snprintf(what, sizeof what, "\"%s\" is missing here", sign);
    expr_token_fail(p, p->token.at, what, "");
}

struct expr *expr_token_make(struct parser *p, enum expr_op op, struct expr *left,
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
