/* expect. */
#include "sim/scenario/read.h"

#include "client/base/list.h"

#include <stdlib.h>
#include <string.h>

/* Cuts "eventually", "never" or "always" off the front; how many characters. */
static uint32_t read_verdict(const char *text, enum scenario_verdict *verdict)
{
    static const char *const words[] = {"", "eventually ", "never ", "always "};

    for (uint32_t i = 1; i < COUNT_OF(words); i++) {
        uint32_t length = (uint32_t)strlen(words[i]);

        if (strncmp(text, words[i], length) != 0) continue;
        *verdict = (enum scenario_verdict)i;
        return length;
    }
    *verdict = SCENARIO_HOLDS;
    return 0;
}

/* "C within 10s" -> C, and 10 s. */
static char *read_within(const struct read *read, const struct yaml *at, const char *text,
                         struct scenario_expect *expect)
{
    const char *within = strstr(text, " within ");
    struct unit_range range = {0, 0};
    char why[192];

    if (within == NULL) {
        if (expect->verdict == SCENARIO_EVENTUALLY) {
            read_fail(read, at, "eventually C within TIME: the time is missing");
        }
        return store_text(&read->scenario->store, text, strlen(text));
    }
    if (expect->verdict != SCENARIO_EVENTUALLY) {
        read_fail(read, at, "within belongs to eventually");
    } else if (!units_parse(UNIT_TIME, within + strlen(" within "), &range, why)) {
        read_fail(read, at, "%s", why);
    }
    expect->within_ns = range.min;
    return store_text(&read->scenario->store, text, (size_t)(within - text));
}

/* "C unless Y" -> C, and Y */
static const char *read_unless(const struct read *read, const struct yaml *at, const char *text,
                               uint32_t skip, struct scenario_expect *expect)
{
    struct expr_reader reader = read_expr(read);
    const char *unless = strstr(text + skip, " unless ");
    const char *excuse;
    int64_t hold_ns = 0;

    if (unless == NULL) return text + skip;
    if (expect->verdict != SCENARIO_NEVER) {
        read_fail(read, at, "unless belongs to never");
        return text + skip;
    }
    excuse = unless + strlen(" unless ");
    expect->unless = expr_parse_text(&reader, at, (uint32_t)(excuse - text), excuse, &hold_ns);
    if (hold_ns > 0) read_fail(read, at, "unless looks at one moment; \"for\" is not for it");
    return store_text(&read->scenario->store, text + skip, (size_t)(unless - text) - skip);
}

static void read_after(const struct read *read, const struct yaml *at,
                       struct scenario_expect *expect)
{
    const char *text = read_text(read, at, "after");
    char *end = NULL;
    long step = strncmp(text, "step ", 5) == 0 ? strtol(text + 5, &end, 10) : 0;

    if (end == NULL || *end != '\0' || step < 1) {
        read_fail(read, at, "\"%s\": wanted is for example after: step 2", text);
    } else if (step > (long)read->scenario->step_count) {
        read_fail(read, at, "there is no step %ld; there are %u", step, read->scenario->step_count);
    }
    expect->after_step = (int32_t)step - 1;
}

static void read_expect(const struct read *read, const struct yaml *at, uint32_t index)
{
    static const char *const known[] = {"that", "by", "after", NULL};
    struct scenario_expect *expect = &read->scenario->expects[index];
    struct expr_reader reader = read_expr(read);
    const struct yaml *that;
    const struct yaml *value;
    const char *text;
    uint32_t skip;

    *expect = (struct scenario_expect){.after_step = -1, .line = at->line};
    if (!read_map(read, at, "an expectation", known)) return;
    read->scenario->expect_count = index + 1;
    that = yaml_get(at, "that");
    if (that == NULL) {
        read_fail(read, at, "an expectation needs that: CONDITION");
        return;
    }
    text = read_text(read, that, "that");
    expect->text = text;
    skip = read_verdict(text, &expect->verdict);
    text = read_unless(read, that, text, skip, expect);
    expect->condition = expr_parse_text(&reader, that, skip, read_within(read, that, text, expect),
                                        &expect->hold_ns);
    value = yaml_get(at, "by");
    if (value != NULL) {
        (void)read_choice(read, value, "moment", "end");
        expect->at_end = true;
        if (expect->verdict != SCENARIO_HOLDS) {
            read_fail(read, value, "by: end judges a plain condition once");
        }
    }
    value = yaml_get(at, "after");
    if (value != NULL) read_after(read, value, expect);
    if (value != NULL && expect->verdict == SCENARIO_HOLDS) {
        read_fail(read, value, "after: step N wants eventually, never or always");
    }
    if (expect->verdict == SCENARIO_HOLDS) expect->at_end = true;
}

void read_expects(const struct read *read, const struct yaml *at)
{
    if (!read_list(read, at, "expect")) return;
    if (at->count > SCENARIO_EXPECTS_MAX) {
        read_fail(read, at, "more than %d expectations", SCENARIO_EXPECTS_MAX);
    }
    for (uint32_t i = 0; i < at->count && !yaml_failed(read->error); i++)
        read_expect(read, at->items[i], i);
}
