#include "sim/render_index.h"

#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_RUNS_MAX = 256, INDEX_CHECKS_MAX = 512, INDEX_FAULTS_MAX = 128 };

struct render_index_run {
    char page[160];
    char scenario[64];
    char outcome[16];
    char check[40];
    char text[256];
};

struct render_index {
    struct render_index_run runs[INDEX_RUNS_MAX];
    struct reports_entry entries[INDEX_RUNS_MAX];
    uint32_t run_count;
    struct reports_check checks[INDEX_CHECKS_MAX]; /* sums; their words are owned */
    uint32_t check_count;
    struct reports_fault faults[INDEX_FAULTS_MAX]; /* likewise */
    uint32_t fault_count;
    char *words[3 * INDEX_CHECKS_MAX + 2 * INDEX_FAULTS_MAX];
    uint32_t word_count;
};

struct render_index *render_index_create(void)
{
    return sim_alloc(sizeof(struct render_index));
}

static const char *copy(struct render_index *index, const char *text)
{
    char *own;

    if (text == NULL) return NULL;
    own = sim_alloc(strlen(text) + 1);
    memcpy(own, text, strlen(text) + 1);
    index->words[index->word_count++] = own;
    return own;
}

static void add_check(struct render_index *index, const struct reports_check *check)
{
    uint32_t at = 0;

    while (at < index->check_count && strcmp(index->checks[at].id, check->id) != 0)
        at++;
    if (at == INDEX_CHECKS_MAX) return;
    if (at == index->check_count) {
        index->checks[at] = (struct reports_check){.id = copy(index, check->id),
                                                   .name = copy(index, check->name),
                                                   .sentence = copy(index, check->sentence)};
        index->check_count++;
    }
    index->checks[at].evaluations += check->evaluations;
    index->checks[at].violations += check->violations;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void add_fault(struct render_index *index, const struct reports_fault *fault)
{
    uint32_t at = 0;

    while (at < index->fault_count &&
           !(same(index->faults[at].word, fault->word) && same(index->faults[at].id, fault->id)))
        at++;
    if (at == INDEX_FAULTS_MAX) return;
    if (at == index->fault_count) {
        index->faults[at] =
            (struct reports_fault){.id = copy(index, fault->id), .word = copy(index, fault->word)};
        index->fault_count++;
    }
    index->faults[at].asked += fault->asked;
    index->faults[at].injected += fault->injected;
    index->faults[at].weakened += fault->weakened;
    index->faults[at].refused += fault->refused;
}

void render_index_add(struct render_index *index, const struct reports_run *run,
                      const struct reports_result *result, const char *page)
{
    struct render_index_run *own = &index->runs[index->run_count];

    if (index->run_count == INDEX_RUNS_MAX) return;
    (void)snprintf(own->page, sizeof own->page, "%s", page);
    (void)snprintf(own->scenario, sizeof own->scenario, "%s", result->scenario);
    (void)snprintf(own->outcome, sizeof own->outcome, "%s", result->outcome);
    (void)snprintf(own->text, sizeof own->text, "%s", result->violation);
    for (uint32_t i = 0; i < run->check_count; i++) {
        add_check(index, &run->checks[i]);
        if (run->checks[i].violations > 0)
            (void)snprintf(own->check, sizeof own->check, "%s", run->checks[i].id);
    }
    for (uint32_t i = 0; i < run->fault_count; i++)
        add_fault(index, &run->faults[i]);
    index->entries[index->run_count++] =
        (struct reports_entry){.scenario = own->scenario,
                               .outcome = own->outcome,
                               .page = own->page,
                               .seed = result->seed,
                               .events = result->events,
                               .virtual_ns = result->virtual_ns,
                               .hash = run->hash,
                               .check = own->check[0] != '\0' ? own->check : NULL,
                               .text = own->text[0] != '\0' ? own->text : NULL};
}

enum err render_index_finish(struct render_index *index, const char *directory)
{
    enum err err = reports_render_index(&(struct reports_index){.directory = directory,
                                                                .runs = index->entries,
                                                                .run_count = index->run_count,
                                                                .checks = index->checks,
                                                                .check_count = index->check_count,
                                                                .faults = index->faults,
                                                                .fault_count = index->fault_count});

    render_index_free(index);
    return err;
}

void render_index_free(struct render_index *index)
{
    if (index == NULL) return;
    for (uint32_t i = 0; i < index->word_count; i++)
        free(index->words[i]);
    free(index);
}
