/* The words of the language as people ask for them: the nearest right one, and all of a table. */
#include "sim/scenario/language.h"

#include "client/base/assert.h"
#include "client/base/list.h"
#include "sim/fault.h"
#include "sim/scenario/schema.h"

#include <stdio.h>
#include <string.h>

/* ---- the nearest word ------------------------------------------------------------------------ */

enum { WORD_MAX = 48 };

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b. */
static unsigned word_distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1];
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    unsigned *before = rows[0];
    unsigned *last = rows[1];
    unsigned *here = rows[2];

    if (a_length > WORD_MAX || b_length > WORD_MAX) return WORD_MAX;
    for (size_t j = 0; j <= b_length; j++) {
        last[j] = (unsigned)j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= a_length; i++) {
        unsigned *spare = before;

        here[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned cost = last[j - 1] + (a[i - 1] != b[j - 1]);

            cost = smaller(cost, smaller(last[j], here[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost = smaller(cost, before[j - 2] + 1);
            }
            here[j] = cost;
        }
        before = last;
        last = here;
        here = spare;
    }
    return last[b_length];
}

const char *language_nearest(const char *word, const char *const *words)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)(strlen(word) / 3 + 2);

    for (; *words != NULL; words++) {
        unsigned distance = word_distance(word, *words);

        if (distance < best_distance) {
            best_distance = distance;
            best = *words;
        }
    }
    return best;
}

/* ---- list ------------------------------------------------------------------------------------ */

struct listing {
    void (*put)(void *context, const char *line);
    void *context;
};

static void list_line(const struct listing *listing, const char *name, const char *about)
{
    char line[640];

    (void)snprintf(line, sizeof line, "  %-24s %s", name, about);
    listing->put(listing->context, line);
}

static void list_words(const struct listing *listing, const struct language_word *words)
{
    for (; words->name != NULL; words++)
        list_line(listing, words->name, words->about);
}

static const char *list_kind(const struct action_arg *arg)
{
    switch (arg->kind) {
    case VALUE_NODES: return "SELECTOR";
    case VALUE_LINKS: return "\"A -> B\"";
    case VALUE_UNIT: return units_example(arg->unit);
    case VALUE_CHOICE: return arg->choices;
    case VALUE_BOOL: return "true false";
    case VALUE_TEXT: return "TEXT";
    case VALUE_TOPIC: return "TOPIC";
    case VALUE_PARTITION: return "TOPIC-N";
    case VALUE_CONFIGS: return "{KEY: VALUE}";
    }
    IMPOSSIBLE("kind of an argument");
}

static void list_actions(const struct listing *listing)
{
    for (uint32_t i = 0; i < ACTIONS; i++) {
        const struct action_word *action = language_action((enum action_kind)i);
        char line[512];
        int used = snprintf(line, sizeof line, "%s%s%s%s", action->about,
                            action->faults[0] != '\0' ? " (" : "", action->faults,
                            action->faults[0] != '\0' ? ")" : "");

        (void)used;
        list_line(listing, action->name, line);
        for (uint32_t j = 0; j < ACTION_ARGS_MAX && action->args[j].name != NULL; j++) {
            const struct action_arg *arg = &action->args[j];

            (void)snprintf(line, sizeof line, "    %s: %s%s", arg->name, list_kind(arg),
                           arg->required ? "" : " (optional)");
            list_line(listing, "", line);
        }
    }
}

static void list_terms(const struct listing *listing)
{
    static const char *const arg_names[] = {"",     "TP", "NODE", "CLIENT", "ERROR",
                                            "RACK", "N",  "NODE", "TOPIC",  "GROUP"};

    for (uint32_t i = 0; i < TERMS; i++) {
        const struct term_word *term = language_term((enum term)i);
        char name[96];

        uint32_t used = (uint32_t)snprintf(name, sizeof name, "%s", term->name);

        for (uint32_t j = 0; j < TERM_ARGS_MAX && term->args[j] != TERM_ARG_NONE; j++) {
            used += (uint32_t)snprintf(name + used, sizeof name - used, "%s%s", j > 0 ? ", " : "(",
                                       arg_names[term->args[j]]);
        }
        if (term->args[0] != TERM_ARG_NONE) {
            (void)snprintf(name + used, sizeof name - used, ")%s%s",
                           term->fields == TERM_FIELDS_NONE ? "" : ".",
                           term->fields == TERM_FIELDS_REPLICA ? "leo"
                           : term->fields == TERM_FIELDS_GROUP ? "state"
                                                               : "");
        }
        list_line(listing, name, term->about);
    }
    list_words(listing, language_others());
}

static void list_faults(const struct listing *listing)
{
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        const struct sim_fault_info *info = sim_fault_info((enum sim_fault)i);
        char name[64];
        char about[400];

        if (info->kind == SIM_FAULT_END) continue;
        (void)snprintf(name, sizeof name, "%-5s%s", info->id, info->word);
        (void)snprintf(about, sizeof about, "%s: %s (%s)%s%s%s", sim_fault_class_name(info->class),
                       info->about, info->kind == SIM_FAULT_ABSENT ? "not injected" : "action",
                       info->actions[0] != '\0' ? ": " : "", info->actions,
                       info->ledger ? "; needs the loss budget" : "");
        list_line(listing, name, about);
    }
}

bool language_list(const char *table, void (*put)(void *context, const char *line), void *context)
{
    static const char *const tables[] = {"triggers", "actions", "conditions", "faults",
                                         "workloads"};
    const struct listing listing = {put, context};
    bool known = false;

    if (table != NULL && strcmp(table, "schema") == 0) {
        schema_write(put, context);
        return true;
    }
    if (table != NULL && strcmp(table, "reference") == 0) {
        reference_write(put, context);
        return true;
    }
    for (uint32_t i = 0; i < COUNT_OF(tables); i++) {
        if (table != NULL && strcmp(table, tables[i]) != 0) continue;
        known = true;
        put(context, tables[i]);
        if (i == 0) list_words(&listing, language_triggers());
        if (i == 1) list_actions(&listing);
        if (i == 2) list_terms(&listing);
        if (i == 3) list_faults(&listing);
        if (i == 4) list_words(&listing, language_workloads());
    }
    return known;
}
