/* A pattern for whole names, in the part of extended regular expressions that names of topics need:
 *
 *   a          itself            .        any character       [a-z_] [^0-9]   one of, none of
 *   x* x+ x?   repetition        x|y      either              (x)             a group
 *   \.         the character itself       ^ at the start, $ at the end: nothing new, a name is
 *                                         always matched as a whole
 *
 * No {n,m}, no classes by name, no look-around: ERR_BAD_CONFIG. Bytes, not characters: topics have
 * ASCII names. Compiled to a small program that is run on all its threads at once (Thompson), so
 * time is bounded by name x program, whatever the pattern. libc's regex knows locales and
 * allocates, so it has no place in the core. */
#ifndef CLIENT_PATTERN_H
#define CLIENT_PATTERN_H

#include "client/base/bytes.h"
#include "client/base/err.h"

enum { PATTERN_STEPS_MAX = 512, PATTERN_SETS_MAX = 32, PATTERN_DEPTH_MAX = 16 };

enum pattern_kind {
    PATTERN_CHAR, /* value */
    PATTERN_ANY,
    PATTERN_SET,   /* number `value` */
    PATTERN_SPLIT, /* goes on at the next step and at `offset` */
    PATTERN_JUMP,  /* at `offset` */
    PATTERN_MATCH,
};

struct pattern_step {
    enum pattern_kind kind;
    uint8_t value;
    int16_t offset; /* from this step */
};

struct pattern {
    struct pattern_step steps[PATTERN_STEPS_MAX];
    uint32_t steps_count;
    uint8_t sets[PATTERN_SETS_MAX][32]; /* 256 bits each */
    uint32_t sets_count;
};

/* BAD_CONFIG: not a pattern, or beyond the bounds above. */
MUST_USE enum err pattern_compile(struct pattern *pattern, struct str text);
bool pattern_matches(const struct pattern *pattern, struct str name);

#endif
