#include "client/pattern.h"

#include "client/base/assert.h"

#include <string.h>

struct parser {
    struct pattern *pattern;
    const char *at;
    const char *end;
    uint32_t depth;
    bool bad;
};

/* ---- making the program --------------------------------------------------------------------- */

static void emit(struct parser *parser, enum pattern_kind kind, uint8_t value, int32_t offset)
{
    struct pattern *pattern = parser->pattern;

    if (pattern->steps_count == PATTERN_STEPS_MAX) {
        parser->bad = true;
        return;
    }
    pattern->steps[pattern->steps_count++] = (struct pattern_step){kind, value, (int16_t)offset};
}

/* Before a fragment: its own offsets are relative, so they stay right. */
static void insert(struct parser *parser, uint32_t place, enum pattern_kind kind, int32_t offset)
{
    struct pattern_step *steps = parser->pattern->steps;

    emit(parser, kind, 0, 0);
    if (parser->bad) return;
    memmove(&steps[place + 1], &steps[place],
            (parser->pattern->steps_count - 1 - place) * sizeof *steps);
    steps[place] = (struct pattern_step){kind, 0, (int16_t)offset};
}

static int32_t length_from(const struct parser *parser, uint32_t place)
{
    return (int32_t)(parser->pattern->steps_count - place);
}

static void set_add(uint8_t *set, uint8_t first, uint8_t last)
{
    for (uint32_t c = first; c <= last; c++)
        set[c / 8] |= (uint8_t)(1U << c % 8);
}

static void parse_set(struct parser *parser)
{
    struct pattern *pattern = parser->pattern;
    uint8_t *set;
    bool negated = parser->at < parser->end && *parser->at == '^';
    bool first = true;

    if (pattern->sets_count == PATTERN_SETS_MAX) {
        parser->bad = true;
        return;
    }
    set = pattern->sets[pattern->sets_count];
    memset(set, 0, 32);
    if (negated) parser->at++;
    while (parser->at < parser->end && (first || *parser->at != ']')) {
        uint8_t from = (uint8_t)*parser->at++;
        uint8_t to = from;

        first = false;
        if (parser->end - parser->at >= 2 && parser->at[0] == '-' && parser->at[1] != ']') {
            to = (uint8_t)parser->at[1];
            parser->at += 2;
        }
        if (to < from || (from == '[' && parser->at < parser->end && *parser->at == ':'))
            parser->bad = true; /* a class by name */
        if (!parser->bad) set_add(set, from, to);
    }
    if (parser->at == parser->end) {
        parser->bad = true;
        return;
    }
    parser->at++;
    if (negated)
        for (uint32_t i = 0; i < 32; i++)
            set[i] = (uint8_t)~set[i];
    emit(parser, PATTERN_SET, (uint8_t)pattern->sets_count++, 0);
}

static void parse_either(struct parser *parser);

static void parse_one(struct parser *parser)
{
    char c = *parser->at++;

    switch (c) {
    case '.': emit(parser, PATTERN_ANY, 0, 0); return;
    case '[': parse_set(parser); return;
    case '(':
        if (++parser->depth > PATTERN_DEPTH_MAX) {
            parser->bad = true;
            return;
        }
        parse_either(parser);
        parser->depth--;
        if (parser->at == parser->end || *parser->at != ')') {
            parser->bad = true;
            return;
        }
        parser->at++;
        return;
    case '\\':
        if (parser->at == parser->end) {
            parser->bad = true;
            return;
        }
        emit(parser, PATTERN_CHAR, (uint8_t)*parser->at++, 0);
        return;
    case '*':
    case '+':
    case '?':
    case '{':
    case '}':
    case '^':
    case '$': parser->bad = true; return;
    default: emit(parser, PATTERN_CHAR, (uint8_t)c, 0); return;
    }
}

/* x, then any number of * + ? */
static void parse_repeated(struct parser *parser)
{
    uint32_t place = parser->pattern->steps_count;

    parse_one(parser);
    while (!parser->bad && parser->at < parser->end) {
        int32_t length = length_from(parser, place);

        if (*parser->at == '*') { /* split over all; x; jump back */
            insert(parser, place, PATTERN_SPLIT, length + 2);
            emit(parser, PATTERN_JUMP, 0, -length - 1);
        } else if (*parser->at == '+') { /* x; split back */
            emit(parser, PATTERN_SPLIT, 0, -length);
        } else if (*parser->at == '?') { /* split over; x */
            insert(parser, place, PATTERN_SPLIT, length + 1);
        } else {
            return;
        }
        parser->at++;
    }
}

static void parse_sequence(struct parser *parser)
{
    while (!parser->bad && parser->at < parser->end && *parser->at != '|' && *parser->at != ')')
        parse_repeated(parser);
}

/* x|y: split to y; x; jump behind y; y */
static void parse_either(struct parser *parser)
{
    uint32_t place = parser->pattern->steps_count;

    parse_sequence(parser);
    while (!parser->bad && parser->at < parser->end && *parser->at == '|') {
        uint32_t jump;

        parser->at++;
        insert(parser, place, PATTERN_SPLIT, length_from(parser, place) + 2);
        jump = parser->pattern->steps_count;
        emit(parser, PATTERN_JUMP, 0, 0);
        parse_sequence(parser);
        if (!parser->bad) parser->pattern->steps[jump].offset = (int16_t)length_from(parser, jump);
    }
}

enum err pattern_compile(struct pattern *pattern, struct str text)
{
    struct parser parser = {.pattern = pattern, .at = text.data, .end = text.data + text.length};

    pattern->steps_count = 0;
    pattern->sets_count = 0;
    if (text.length == 0) return ERR_BAD_CONFIG;
    if (*parser.at == '^') parser.at++;
    if (parser.end > parser.at && parser.end[-1] == '$' &&
        (parser.end - parser.at < 2 || parser.end[-2] != '\\'))
        parser.end--;
    parse_either(&parser);
    if (parser.at != parser.end) parser.bad = true; /* a ')' too much */
    emit(&parser, PATTERN_MATCH, 0, 0);
    return parser.bad ? ERR_BAD_CONFIG : ERR_NONE;
}

/* ---- running it ----------------------------------------------------------------------------- */

struct threads {
    uint16_t at[PATTERN_STEPS_MAX];
    uint32_t count;
    bool in[PATTERN_STEPS_MAX];
};

/* A thread at `step`, and wherever splits and jumps lead from there. */
static void add_thread(const struct pattern *pattern, struct threads *threads, uint32_t step)
{
    uint16_t pending[PATTERN_STEPS_MAX];
    uint32_t count = 0;

    if (threads->in[step]) return;
    threads->in[step] = true;
    pending[count++] = (uint16_t)step;
    while (count > 0) {
        uint32_t at = pending[--count];
        const struct pattern_step *one = &pattern->steps[at];
        uint32_t next[2];
        uint32_t nexts = 0;

        threads->at[threads->count++] = (uint16_t)at;
        if (one->kind == PATTERN_SPLIT) next[nexts++] = at + 1;
        if (one->kind == PATTERN_SPLIT || one->kind == PATTERN_JUMP)
            next[nexts++] = (uint32_t)((int32_t)at + one->offset);
        for (uint32_t i = 0; i < nexts; i++) {
            ASSERT(next[i] < pattern->steps_count);
            if (threads->in[next[i]]) continue;
            threads->in[next[i]] = true;
            pending[count++] = (uint16_t)next[i];
        }
    }
}

static bool takes(const struct pattern *pattern, const struct pattern_step *step, uint8_t c)
{
    switch (step->kind) {
    case PATTERN_CHAR: return step->value == c;
    case PATTERN_ANY: return true;
    case PATTERN_SET: return (pattern->sets[step->value][c / 8] & 1U << c % 8) != 0;
    case PATTERN_SPLIT:
    case PATTERN_JUMP:
    case PATTERN_MATCH: return false;
    }
    IMPOSSIBLE("kind of step");
}

bool pattern_matches(const struct pattern *pattern, struct str name)
{
    struct threads now = {.count = 0};

    add_thread(pattern, &now, 0);
    for (uint32_t i = 0; i < name.length && now.count > 0; i++) {
        struct threads next = {.count = 0};

        for (uint32_t t = 0; t < now.count; t++)
            if (takes(pattern, &pattern->steps[now.at[t]], (uint8_t)name.data[i]))
                add_thread(pattern, &next, now.at[t] + 1U);
        now = next;
    }
    for (uint32_t t = 0; t < now.count; t++)
        if (pattern->steps[now.at[t]].kind == PATTERN_MATCH) return true;
    return false;
}
