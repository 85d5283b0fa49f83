/* Text into a bounded buffer, without stdio: no locale, no allocation, the same bytes everywhere.
 * What does not fit is cut off and remembered; the buffer is terminated at all times. */
#ifndef CLIENT_BASE_TEXT_H
#define CLIENT_BASE_TEXT_H

#include "client/base/bytes.h"
#include "client/base/err.h"

struct text {
    char *start;
    char *at;
    char *end; /* place of the terminator at the latest */
    bool truncated;
};

/* size > 0, terminator included. */
void text_init(struct text *text, char *buffer, size_t size);
/* What was written so far; borrowed from the buffer. */
struct str text_view(const struct text *text);

void text_char(struct text *text, char c);
void text_cstr(struct text *text, const char *terminated); /* NULL writes "null" */
void text_str(struct text *text, struct str s);            /* null writes "null" */
void text_i64(struct text *text, int64_t value);
void text_u64(struct text *text, uint64_t value);
/* Lower case, no prefix, at least `digits` digits (at most 16). */
void text_hex(struct text *text, uint64_t value, uint32_t digits);
void text_uuid(struct text *text, struct uuid id);

/* Directives, each with its argument type (no flags, no widths; any other is a bug):
 *
 *   %s const char *   %S struct str by value   %c int (a character)    %%
 *   %d int, int32_t   %D int64_t
 *   %u uint32_t       %U uint64_t              %x uint32_t   %X uint64_t, both hexadecimal
 *
 * A 64-bit argument needs a 64-bit expression: cast literals. */
void text_format(struct text *text, const char *format, ...);

/* An optional '-', then decimal digits and nothing else; false on anything else and on overflow,
 * the value then untouched. */
MUST_USE bool text_parse_i64(struct str s, int64_t *value);
MUST_USE bool text_parse_u64(struct str s, uint64_t *value);

#endif
