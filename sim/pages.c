#include "sim/pages.h"

#include "reports/reports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES_RENDERED_MAX = 40, PAGES_PLAN_MAX = 1 << 16 };

struct pages_run {
    char page[128];
    char check[40];
    char text[640];
    struct reports_entry entry;
};

struct pages {
    const char *directory;
    struct pages_run *runs;
    uint64_t count;
    uint64_t max;
    uint32_t rendered;
    struct reports_check checks[RUN_ORACLES_MAX]; /* sums */
    uint32_t check_count;
    struct reports_fault faults[SIM_FAULT_COUNT];
};

struct pages *pages_create(const char *directory, uint64_t runs_max)
{
    struct pages *pages = sim_alloc(sizeof *pages);

    pages->directory = directory;
    pages->max = runs_max;
    pages->runs = sim_alloc((runs_max > 0 ? runs_max : 1) * sizeof *pages->runs);
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        const char *id = sim_fault_id((enum sim_fault)i);

        pages->faults[i].word = sim_fault_word((enum sim_fault)i);
        pages->faults[i].id = id[0] != '\0' ? id : NULL;
    }
    return pages;
}

static uint32_t pages_checks(const struct run_result *result, struct reports_check *checks)
{
    uint32_t count = 0;

    for (; count < result->oracles; count++) {
        const struct check_info *info = check_list(count);

        if (info == NULL) break;
        checks[count] =
            (struct reports_check){info->id, info->name, info->sentence, result->evaluations[count],
                                   strcmp(info->id, result->check) == 0};
    }
    return count;
}

/* Only what was asked for. */
static uint32_t pages_faults(const struct run_result *result, struct reports_fault *faults)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        const char *id = sim_fault_id((enum sim_fault)i);

        if (result->faults[i].asked == 0) continue;
        faults[count++] =
            (struct reports_fault){id[0] != '\0' ? id : NULL,  sim_fault_word((enum sim_fault)i),
                                   result->faults[i].asked,    result->faults[i].injected,
                                   result->faults[i].weakened, result->faults[i].refused};
    }
    return count;
}

static char *pages_plan(const struct scenario *scenario)
{
    char *text = sim_alloc(PAGES_PLAN_MAX);
    FILE *file = fopen(scenario->file, "rb");

    if (file == NULL) return text;
    (void)fread(text, 1, PAGES_PLAN_MAX - 1, file);
    (void)fclose(file);
    return text;
}

/* The checks of the quorum name no partition: what they judge is its log. */
static const char *pages_focus(const struct run_result *result)
{
    if (result->partition[0] != '\0') return result->partition;
    return result->check[0] == 'K' ? "__cluster_metadata-0" : NULL;
}

static void pages_render(struct pages *pages, const struct scenario *scenario,
                         const struct run_result *result, const char *name)
{
    struct reports_check checks[RUN_ORACLES_MAX];
    struct reports_fault faults[SIM_FAULT_COUNT];
    struct reports_result rendered;
    char directory[1024];
    char trace[1040];
    char replay[1200];
    char *plan = pages_plan(scenario);
    struct reports_run run = {.trace_path = trace,
                              .directory = directory,
                              .scenario = scenario->name,
                              .outcome = run_verdict_name(result->verdict),
                              .replay = replay,
                              .plan = plan,
                              .violation = result->text[0] != '\0' ? result->text : NULL,
                              .focus = pages_focus(result),
                              .has_seed = true,
                              .seed = result->seed,
                              .has_hash = true,
                              .hash = result->hash,
                              .virtual_ns = result->virtual_ns,
                              .events = result->events,
                              .checks = checks,
                              .faults = faults};
    enum err err;

    (void)snprintf(directory, sizeof directory, "%s/%s", pages->directory, name);
    (void)snprintf(trace, sizeof trace, "%s/trace.bin", directory);
    (void)snprintf(replay, sizeof replay, "gregor-sim run %s --seed %llu --no-fork", scenario->file,
                   (unsigned long long)result->seed);
    run.check_count = pages_checks(result, checks);
    run.fault_count = pages_faults(result, faults);
    err = reports_render_run(&run, &rendered);
    if (err != ERR_NONE) {
        fprintf(stderr, "gregor-sim: no page for %s: %s\n", name, err_name(err));
    } else {
        struct pages_run *own = &pages->runs[pages->count - 1];

        (void)snprintf(own->page, sizeof own->page, "%.100s/index.html", name);
        own->entry.page = own->page;
        pages->rendered++;
    }
    free(plan);
}

void pages_add(struct pages *pages, const struct scenario *scenario,
               const struct run_result *result, bool page)
{
    struct pages_run *own;
    char name[160];

    if (pages->count == pages->max) return;
    own = &pages->runs[pages->count++];
    (void)snprintf(own->check, sizeof own->check, "%s", result->check);
    (void)snprintf(own->text, sizeof own->text, "%s", result->text);
    own->entry = (struct reports_entry){.scenario = scenario->name,
                                        .outcome = run_verdict_name(result->verdict),
                                        .seed = result->seed,
                                        .events = result->events,
                                        .virtual_ns = result->virtual_ns,
                                        .hash = result->hash,
                                        .check = own->check[0] != '\0' ? own->check : NULL,
                                        .text = own->text[0] != '\0' ? own->text : NULL};
    if (result->oracles > pages->check_count) pages->check_count = result->oracles;
    for (uint32_t i = 0; i < result->oracles && check_list(i) != NULL; i++) {
        pages->checks[i].id = check_list(i)->id;
        pages->checks[i].name = check_list(i)->name;
        pages->checks[i].sentence = check_list(i)->sentence;
        pages->checks[i].evaluations += result->evaluations[i];
        pages->checks[i].violations += strcmp(check_list(i)->id, result->check) == 0;
    }
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        pages->faults[i].asked += result->faults[i].asked;
        pages->faults[i].injected += result->faults[i].injected;
        pages->faults[i].weakened += result->faults[i].weakened;
        pages->faults[i].refused += result->faults[i].refused;
    }
    if (!page || pages->rendered == PAGES_RENDERED_MAX) return;
    (void)snprintf(name, sizeof name, "%.100s-%llu", scenario->name,
                   (unsigned long long)result->seed);
    pages_render(pages, scenario, result, name);
}

bool pages_finish(struct pages *pages)
{
    struct reports_entry *entries = sim_alloc((pages->count + 1) * sizeof *entries);
    struct reports_index index = {.directory = pages->directory,
                                  .runs = entries,
                                  .run_count = (uint32_t)pages->count,
                                  .checks = pages->checks,
                                  .check_count = pages->check_count,
                                  .faults = pages->faults,
                                  .fault_count = SIM_FAULT_COUNT};
    enum err err;

    for (uint64_t i = 0; i < pages->count; i++)
        entries[i] = pages->runs[i].entry;
    err = reports_render_index(&index);
    if (err != ERR_NONE) {
        fprintf(stderr, "gregor-sim: %s/index.html: %s\n", pages->directory, err_name(err));
    }
    free(entries);
    free(pages->runs);
    free(pages);
    return err == ERR_NONE;
}
