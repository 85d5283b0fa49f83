#include "reports/facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void put_line(struct out *out, const char *key, const char *value)
{
    if (value == NULL) return;
    out_format(out, "%s ", key);
    for (; *value != '\0'; value++)
        out_bytes(out, *value == '\n' || *value == '\r' ? " " : value, 1);
    out_cstr(out, "\n");
}

void facts_write(struct out *out, const struct reports_run *run)
{
    out_cstr(out, "gregor-facts 1\n");
    put_line(out, "scenario", run->scenario);
    put_line(out, "outcome", run->outcome);
    put_line(out, "build", run->build);
    put_line(out, "replay", run->replay);
    put_line(out, "violation", run->violation);
    put_line(out, "focus", run->focus);
    if (run->has_seed) out_format(out, "seed %" PRIu64 "\n", run->seed);
    if (run->has_hash) out_format(out, "hash %" PRIx64 "\n", run->hash);
    out_format(out, "virtual_ns %" PRId64 "\nevents %" PRIu64 "\n", run->virtual_ns, run->events);
    for (uint32_t i = 0; i < run->check_count; i++) {
        const struct reports_check *check = &run->checks[i];

        out_format(out, "check %s %s %" PRIu64 " %" PRIu64, check->id,
                   check->name != NULL ? check->name : "-", check->evaluations, check->violations);
        if (check->sentence != NULL) out_format(out, " %s", check->sentence);
        out_cstr(out, "\n");
    }
    for (uint32_t i = 0; i < run->fault_count; i++) {
        const struct reports_fault *fault = &run->faults[i];

        out_format(out, "fault %s %s\t%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                   fault->id != NULL ? fault->id : "-", fault->word != NULL ? fault->word : "",
                   fault->asked, fault->injected, fault->weakened, fault->refused);
    }
    if (run->plan != NULL) {
        out_cstr(out, "plan\n");
        out_cstr(out, run->plan);
    }
}

/* Cuts the next word off. */
static char *word(char **at)
{
    char *begin = *at;
    size_t length = strcspn(begin, " ");

    *at = begin + length;
    if (**at != '\0') *(*at)++ = '\0';
    return begin;
}

static uint64_t number(char **at)
{
    return strtoull(word(at), NULL, 10);
}

static void read_check(struct facts *facts, char *value, struct reports_run *run)
{
    struct reports_check check = {.id = word(&value)};

    check.name = word(&value);
    check.evaluations = number(&value);
    check.violations = number(&value);
    if (strcmp(check.name, "-") == 0) check.name = NULL;
    if (*value != '\0') check.sentence = value;
    if (run->check_count == FACTS_CHECKS_MAX) return;
    facts->checks[run->check_count++] = check;
    run->checks = facts->checks;
}

static void read_fault(struct facts *facts, char *value, struct reports_run *run)
{
    struct reports_fault fault = {.id = word(&value)};
    char *tab = strchr(value, '\t');

    if (tab == NULL || run->fault_count == FACTS_FAULTS_MAX) return;
    *tab = '\0';
    fault.word = value;
    value = tab + 1;
    fault.asked = number(&value);
    fault.injected = number(&value);
    fault.weakened = number(&value);
    fault.refused = number(&value);
    if (strcmp(fault.id, "-") == 0) fault.id = NULL;
    facts->faults[run->fault_count++] = fault;
    run->faults = facts->faults;
}

static void read_line(struct facts *facts, const char *key, char *value, struct reports_run *run)
{
    const struct {
        const char *key;
        const char **place;
    } texts[] = {{"scenario", &run->scenario},
                 {"outcome", &run->outcome},
                 {"build", &run->build},
                 {"replay", &run->replay},
                 {"violation", &run->violation}};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(key, texts[i].key) == 0) *texts[i].place = value;
    }
    if (strcmp(key, "focus") == 0 && run->focus == NULL) run->focus = value;
    if (strcmp(key, "seed") == 0) {
        run->seed = strtoull(value, NULL, 10);
        run->has_seed = true;
    } else if (strcmp(key, "hash") == 0) {
        run->hash = strtoull(value, NULL, 16);
        run->has_hash = true;
    } else if (strcmp(key, "virtual_ns") == 0) {
        run->virtual_ns = strtoll(value, NULL, 10);
    } else if (strcmp(key, "events") == 0) {
        run->events = strtoull(value, NULL, 10);
    } else if (strcmp(key, "check") == 0) {
        read_check(facts, value, run);
    } else if (strcmp(key, "fault") == 0) {
        read_fault(facts, value, run);
    }
}

bool facts_read(struct facts *facts, char *text, struct reports_run *run)
{
    bool first = true;

    while (text != NULL && *text != '\0') {
        char *end = strchr(text, '\n');
        char *value;

        if (end != NULL) *end = '\0';
        if (first && strcmp(text, "gregor-facts 1") != 0) return false;
        first = false;
        if (strcmp(text, "plan") == 0) {
            run->plan = end != NULL ? end + 1 : "";
            return true;
        }
        value = text + strcspn(text, " ");
        if (*value != '\0') *value++ = '\0';
        read_line(facts, text, value, run);
        text = end != NULL ? end + 1 : NULL;
    }
    return !first;
}
