#include "sim/tally.h"

#include <stdarg.h>
#include <string.h>

void tally_add(struct tally *tally, const struct scenario *scenario,
               const struct run_result *result)
{
    tally->runs++;
    tally->verdicts[result->verdict]++;
    tally->events += result->events;
    tally->virtual_ns += result->virtual_ns;
    tally->busy_ns += result->wall_ns;
    if (scenario->faults.swarm) tally->allowed |= scenario->faults.classes;
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        tally->faults[i].asked += result->faults[i].asked;
        tally->faults[i].injected += result->faults[i].injected;
        tally->faults[i].weakened += result->faults[i].weakened;
        tally->faults[i].refused += result->faults[i].refused;
        spread_add(&tally->spread[i], &result->spread[i]);
    }
    for (uint32_t i = 0; i < FAULT_CLASSES; i++) {
        tally->random[i].done += result->random[i].done;
        tally->random[i].full += result->random[i].full;
    }
    for (uint32_t i = 0; i < result->oracles; i++)
        tally->evaluations[i] += result->evaluations[i];
    for (uint32_t i = 0; i < MARKS; i++) {
        tally->marks[i] += result->marks[i];
        tally->marked[i] += result->marks[i] > 0;
    }
}

/* ---- idle ------------------------------------------------------------------------------------ */

struct idle {
    char *text;
    size_t size;
    uint32_t count;
};

static void idle_add(struct idle *idle, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void idle_add(struct idle *idle, const char *format, ...)
{
    size_t used = idle->text != NULL ? strlen(idle->text) : 0;
    va_list args;

    idle->count++;
    if (idle->text == NULL || used + 3 >= idle->size) return;
    if (used > 0) {
        strcat(idle->text, ", ");
        used += 2;
    }
    va_start(args, format);
    (void)vsnprintf(idle->text + used, idle->size - used, format, args);
    va_end(args);
}

uint32_t tally_idle(const struct tally *tally, char *text, size_t size)
{
    struct idle idle = {text, size, 0};

    if (text != NULL) text[0] = '\0';
    for (uint32_t i = 0; check_list(i) != NULL; i++) {
        if (tally->evaluations[i] == 0) idle_add(&idle, "check %s", check_list(i)->id);
    }
    for (uint32_t i = 0; i < FAULT_CLASSES; i++) {
        if ((tally->allowed >> i & 1) == 0 || tally->random[i].full > 0) continue;
        idle_add(&idle, "random fault %s", fault_class_info((enum fault_class)i)->id);
    }
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        const struct sim_fault_count *count = &tally->faults[i];

        if (sim_fault_is_end((enum sim_fault)i) || count->asked == 0) continue;
        if (count->injected > count->weakened) continue;
        idle_add(&idle, "fault %s", sim_fault_word((enum sim_fault)i));
    }
    return idle.count;
}

/* ---- telling --------------------------------------------------------------------------------- */

/* How often, in how many of a thousand runs, and those that no seed has reached. */
static void print_marks(FILE *file, const struct tally *tally)
{
    uint32_t never = 0;

    for (uint32_t i = 0; i < MARKS; i++) {
        if (tally->marks[i] == 0) {
            never++;
            continue;
        }
        fprintf(file, "  mark  %-26s %llu times, in %llu of 1000 runs\n", mark_name((enum mark)i),
                (unsigned long long)tally->marks[i],
                (unsigned long long)(tally->marked[i] * 1000 / tally->runs));
    }
    fprintf(file, "marks: %u of %u reached; never:", MARKS - never, MARKS);
    for (uint32_t i = 0; i < MARKS; i++) {
        if (tally->marks[i] == 0)
            fprintf(file, "\n  mark  %-26s never: %s", mark_name((enum mark)i),
                    mark_about((enum mark)i));
    }
    fputs(never == 0 ? " none\n" : "\n", file);
}

void tally_print(FILE *file, const struct tally *tally)
{
    fprintf(file, "campaign: %llu runs, %llu events, %lld s simulated in %lld.%01lld s\n",
            (unsigned long long)tally->runs, (unsigned long long)tally->events,
            (long long)(tally->virtual_ns / NS_PER_SEC), (long long)(tally->busy_ns / NS_PER_SEC),
            (long long)(tally->busy_ns % NS_PER_SEC / (100 * NS_PER_MS)));
    for (int i = 0; i < RUN_VERDICTS; i++) {
        if (tally->verdicts[i] == 0) continue;
        fprintf(file, "  verdict %-12s %llu\n", run_verdict_name((enum run_verdict)i),
                (unsigned long long)tally->verdicts[i]);
    }
    spread_print_faults(file, tally->faults, tally->spread);
    for (uint32_t i = 0; i < FAULT_CLASSES; i++) {
        const struct fault_class_count *class = &tally->random[i];

        if ((tally->allowed >> i & 1) == 0) continue;
        fprintf(file, "  random %-5s done %llu at full strength %llu\n",
                fault_class_info((enum fault_class)i)->id, (unsigned long long)class->done,
                (unsigned long long)class->full);
    }
    for (uint32_t i = 0; check_list(i) != NULL; i++) {
        fprintf(file, "  check %-5s %-36s evaluated %llu\n", check_list(i)->id, check_list(i)->name,
                (unsigned long long)tally->evaluations[i]);
    }
    if (tally->runs > 0) print_marks(file, tally);
}
