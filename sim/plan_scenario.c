/* A plan as a scenario: the same file with other steps, each of which is a fault of the plan.
 *
 * A fault waits for what had become true when it happened (`when`), or, where nothing new had, for
 * as long as it came after the one before. A node is named by its role; one that is needed again
 * after it has lost that role is bound to a variable while it still has it. */
#include "sim/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENARIO_TOKENS_MAX = 8192 };

/* "<2:leader(orders-0)>" in the action of a fault. */
struct token {
    uint32_t fault;
    const char *start;
    const char *end; /* behind the '>' */
    int32_t node;
    char role[PLAN_ANCHOR_MAX];
    int binds; /* number of the variable it is bound to from here on; -1: none */
    int uses;  /* variable that stands for it; -1: none */
};

struct writer {
    const struct plan *plan;
    struct token *tokens;
    uint32_t token_count;
    int vars;
    FILE *out;
};

static bool token_strong(const struct token *token)
{
    return token->role[0] != '\0' && strncmp(token->role, "any ", 4) != 0;
}

static void find_tokens(struct writer *writer, uint32_t fault)
{
    const char *at = writer->plan->faults[fault].does;

    while ((at = strchr(at, '<')) != NULL && writer->token_count < SCENARIO_TOKENS_MAX) {
        struct token *token = &writer->tokens[writer->token_count];
        const char *end = strchr(at, '>');
        char *stop = NULL;

        if (end == NULL) return;
        if (at[1] < '0' || at[1] > '9') { /* the arrow of a link */
            at++;
            continue;
        }
        *token = (struct token){fault, at, end + 1, (int32_t)strtol(at + 1, &stop, 10), "", -1, -1};
        if (stop != NULL && *stop == ':') {
            (void)snprintf(token->role, sizeof token->role, "%.*s", (int)(end - stop - 1),
                           stop + 1);
        }
        writer->token_count++;
        at = end;
    }
}

/* The next time the node is named it is nobody in particular any more, or one of many. */
static bool token_needed(const struct writer *writer, uint32_t index)
{
    for (uint32_t i = index + 1; i < writer->token_count; i++) {
        if (writer->tokens[i].node != writer->tokens[index].node) continue;
        return !token_strong(&writer->tokens[i]);
    }
    return false;
}

static void bind(struct writer *writer)
{
    for (uint32_t i = 0; i < writer->token_count; i++) {
        struct token *token = &writer->tokens[i];

        for (uint32_t j = i; j-- > 0 && !token_strong(token);) {
            const struct token *before = &writer->tokens[j];

            if (before->node != token->node) continue;
            token->uses = before->uses;
            break;
        }
        if (token->uses >= 0 || token->role[0] == '\0') continue;
        if (!token_needed(writer, i) || writer->vars == EXPR_VARS_MAX) continue;
        token->binds = writer->vars++;
        token->uses = token->binds;
    }
}

static void write_token(const struct writer *writer, const struct token *token)
{
    if (token->uses >= 0) {
        fprintf(writer->out, "$v%d", token->uses + 1);
    } else if (token->role[0] != '\0') {
        fprintf(writer->out, "%s", token->role);
    } else {
        fprintf(writer->out, "node(%d)", (int)token->node);
    }
}

static void write_action(const struct writer *writer, uint32_t fault)
{
    const char *at = writer->plan->faults[fault].does;

    for (uint32_t i = 0; i < writer->token_count; i++) {
        const struct token *token = &writer->tokens[i];

        if (token->fault != fault) continue;
        fprintf(writer->out, "%.*s", (int)(token->start - at), at);
        write_token(writer, token);
        at = token->end;
    }
    fputs(at, writer->out);
}

static void write_bindings(const struct writer *writer, uint32_t fault)
{
    const char *comma = "    as: {";

    for (uint32_t i = 0; i < writer->token_count; i++) {
        const struct token *token = &writer->tokens[i];

        if (token->fault != fault || token->binds < 0) continue;
        fprintf(writer->out, "%sv%d: %s", comma, token->binds + 1, token->role);
        comma = ", ";
    }
    if (comma[0] == ',') fputs("}\n", writer->out);
}

/* Ends of faults come as long after as they did; so does what met nothing new. */
static bool fault_waits(const struct plan *plan, uint32_t index)
{
    const struct plan_fault *fault = &plan->faults[index];

    if (fault->when[0] == '\0') return false;
    if (strncmp(fault->does, "restart:", 8) == 0 || strncmp(fault->does, "heal:", 5) == 0) {
        return false;
    }
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(plan->faults[i].when, fault->when) == 0) return false;
    }
    return true;
}

static void write_step(const struct writer *writer, uint32_t index)
{
    const struct plan_fault *fault = &writer->plan->faults[index];
    int64_t before_ns = index > 0 ? fault[-1].time_ns : 0;
    int64_t gap_us = (fault->time_ns - before_ns) / 1000;

    if (fault_waits(writer->plan, index)) {
        fprintf(writer->out, "  - when: %s\n    within: %" PRId64 "s\n", fault->when,
                30 + 3 * gap_us / 1000000);
    } else {
        fprintf(writer->out, "  - after: %" PRId64 "us\n", gap_us);
    }
    write_bindings(writer, index);
    fputs("    do: {", writer->out);
    write_action(writer, index);
    fputs("}\n", writer->out);
}

/* ---- the rest of the file -------------------------------------------------------------------- */

static bool line_has_key(const char *line, const char *key)
{
    size_t length = strlen(key);

    return strncmp(line, key, length) == 0 && line[length] == ':';
}

/* Expectations that begin with a step of the old file mean nothing behind new steps. */
static bool item_of_step(const char *item, const char *end)
{
    const char *after = strstr(item, "after:");

    return after != NULL && after < end;
}

static const char *line_end(const char *line)
{
    const char *end = strchr(line, '\n');

    return end != NULL ? end + 1 : line + strlen(line);
}

/* One item of a block list: up to the next line that is not deeper than its dash. */
static const char *item_end(const char *item)
{
    size_t indent = strspn(item, " ");
    const char *at = line_end(item);

    while (*at != '\0' && (strspn(at, " ") > indent || *at == '\n'))
        at = line_end(at);
    return at;
}

static void copy_expects(const struct writer *writer, const char *at, const char *end)
{
    const char *key = at;
    bool headed = false;

    for (at = line_end(at); at < end; at = item_end(at)) {
        const char *next = item_end(at);

        if (item_of_step(at, next)) continue;
        if (!headed) (void)fwrite(key, 1, (size_t)(line_end(key) - key), writer->out);
        headed = true;
        (void)fwrite(at, 1, (size_t)(next - at), writer->out);
    }
}

/* Everything but the steps and the random faults, which have become steps. */
static void copy_rest(const struct writer *writer)
{
    const char *at = writer->plan->text;

    while (*at != '\0') {
        const char *end = line_end(at);

        while (*end == ' ' || *end == '#' || *end == '\n' || (*end == '-' && end[1] == ' '))
            end = line_end(end);
        if (line_has_key(at, "expect")) {
            copy_expects(writer, at, end);
        } else if (!line_has_key(at, "steps") && !line_has_key(at, "faults") &&
                   !line_has_key(at, "seeds")) {
            (void)fwrite(at, 1, (size_t)(end - at), writer->out);
        }
        at = end;
    }
}

static bool all_scripted(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        if (plan->faults[i].step == 0) return false;
    }
    return true;
}

char *plan_to_scenario(const struct plan *plan, bool always)
{
    struct writer writer = {.plan = plan};
    char *text = NULL;
    size_t length = 0;

    if (!always && all_scripted(plan)) return strdup(plan->text);
    writer.tokens = sim_alloc(SCENARIO_TOKENS_MAX * sizeof *writer.tokens);
    for (uint32_t i = 0; i < plan->fault_count; i++)
        find_tokens(&writer, i);
    bind(&writer);
    writer.out = open_memstream(&text, &length);
    if (writer.out == NULL) abort();
    copy_rest(&writer);
    fprintf(writer.out, "\nseeds: [%" PRIu64 "]\n", plan->seed);
    if (plan->fault_count > 0) fputs("steps:\n", writer.out);
    for (uint32_t i = 0; i < plan->fault_count; i++)
        write_step(&writer, i);
    (void)fclose(writer.out);
    free(writer.tokens);
    return text;
}
