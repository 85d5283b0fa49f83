#include "sim/campaign.h"

#include "sim/campaign_child.h"
#include "sim/pages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CAMPAIGN_REPEATS_MAX = 10 };

struct campaign {
    const struct campaign_options *options;
    struct campaign_job *jobs;
    uint64_t job_count;
    uint64_t started;
    uint64_t told;
    uint32_t running;
    uint64_t verdicts[RUN_VERDICTS];
    FILE *json;
    FILE *junit;
    struct pages *pages; /* NULL: none are wanted */
    uint32_t repeated;
};

static void campaign_tell(struct campaign *campaign, struct campaign_job *job)
{
    char line[1024];

    campaign->verdicts[job->result->verdict]++;
    campaign_line(job->scenario, job->result, line, sizeof line);
    printf("%s\n", line);
    fflush(stdout);
    if (job->result->verdict != RUN_PASS && !campaign->options->quiet) {
        if (job->result->report[0] != '\0') {
            fprintf(stderr, "%s\n", job->result->report);
        } else {
            fprintf(stderr, "%s: %s\n  again: gregor-sim run %s --seed %llu --no-fork\n\n",
                    run_verdict_name(job->result->verdict), job->result->text, job->scenario->file,
                    (unsigned long long)job->seed);
        }
    }
    if (campaign->options->run.verbose) campaign_tell_numbers(job->result);
    if (campaign->pages != NULL) {
        pages_add(campaign->pages, job->scenario, job->result,
                  job->options.trace == RUN_TRACE_FULL);
    }
    if (campaign->json != NULL) campaign_tell_json(campaign->json, job->scenario, job->result);
    if (campaign->junit != NULL) campaign_tell_junit(campaign->junit, job->scenario, job->result);
    free(job->result);
    job->result = NULL;
}

/* In the order of the list. */
static void campaign_tell_ready(struct campaign *campaign)
{
    while (campaign->told < campaign->job_count && campaign->jobs[campaign->told].done)
        campaign_tell(campaign, &campaign->jobs[campaign->told++]);
}

/* ---- running --------------------------------------------------------------------------------- */

/* A failure that kept only the end of its trace runs once more with all of it: for its page, and
 * because a failure that does not come again is another kind of failure. */
static bool job_repeats(const struct campaign *campaign, const struct campaign_job *job)
{
    enum run_verdict verdict = job->result->verdict;

    return job->first == NULL && job->options.trace == RUN_TRACE_RING &&
           !campaign->options->trace_given && campaign->repeated < CAMPAIGN_REPEATS_MAX &&
           (verdict == RUN_FAIL || verdict == RUN_STUCK || verdict == RUN_CRASH ||
            verdict == RUN_UNEXERCISED);
}

/* True: it runs again, in the same place. */
static bool job_repeat(struct campaign *campaign, struct campaign_job *job)
{
    if (!job_repeats(campaign, job)) return false;
    campaign->repeated++;
    job->first = job->result;
    job->result = sim_alloc(sizeof *job->result);
    job->options.trace = RUN_TRACE_FULL;
    return true;
}

static void job_end(struct campaign *campaign, struct campaign_job *job)
{
    if (job_repeat(campaign, job)) {
        if (campaign_child_start(job)) return;
        free(job->result);
        job->result = job->first;
        job->first = NULL;
    }
    if (job->first != NULL) campaign_child_compare(job);
    job->done = true;
    campaign->running--;
}

/* Waits for news of any running child. */
static void campaign_wait(struct campaign *campaign)
{
    struct campaign_job *running[CAMPAIGN_JOBS_MAX];
    uint32_t count = 0;

    for (uint64_t i = campaign->told; i < campaign->started; i++) {
        if (!campaign->jobs[i].done) running[count++] = &campaign->jobs[i];
    }
    campaign_child_wait(running, count, -1);
    for (uint32_t i = 0; i < count; i++) {
        if (running[i]->ended) job_end(campaign, running[i]);
    }
}

static void campaign_go(struct campaign *campaign)
{
    const struct campaign_options *options = campaign->options;
    uint32_t jobs = options->jobs > CAMPAIGN_JOBS_MAX ? CAMPAIGN_JOBS_MAX : options->jobs;

    while (campaign->told < campaign->job_count) {
        while (campaign->running < jobs && campaign->started < campaign->job_count) {
            struct campaign_job *job = &campaign->jobs[campaign->started];

            job->result = sim_alloc(sizeof *job->result);
            if (options->no_fork) {
                campaign->started++;
                campaign_child_run(job);
                if (job_repeat(campaign, job)) {
                    campaign_child_run(job);
                    campaign_child_compare(job);
                }
                job->done = true;
                break;
            }
            if (!campaign_child_start(job)) {
                job->result->verdict = RUN_ERROR;
                (void)snprintf(job->result->text, sizeof job->result->text, "fork: %s",
                               strerror(errno));
                job->done = true;
                campaign->started++;
                break;
            }
            campaign->started++;
            campaign->running++;
        }
        campaign_tell_ready(campaign);
        if (campaign->running > 0) campaign_wait(campaign);
        campaign_tell_ready(campaign);
    }
}

/* ---- all ------------------------------------------------------------------------------------- */

int campaign_exit_of(const uint64_t verdicts[RUN_VERDICTS])
{
    static const struct {
        enum run_verdict verdict;
        enum campaign_exit code;
    } order[] = {
        {RUN_ERROR, CAMPAIGN_SIMULATOR},
        {RUN_NONDET, CAMPAIGN_NONDETERMINISM},
        {RUN_CRASH, CAMPAIGN_CRASH},
        {RUN_FAIL, CAMPAIGN_SAFETY},
        {RUN_STUCK, CAMPAIGN_LIVENESS},
        {RUN_UNEXERCISED, CAMPAIGN_UNEXERCISED},
        {RUN_INCONCLUSIVE, CAMPAIGN_INCONCLUSIVE},
    };

    for (uint32_t i = 0; i < COUNT_OF(order); i++) {
        if (verdicts[order[i].verdict] > 0) return (int)order[i].code;
    }
    return CAMPAIGN_PASSED;
}

static void campaign_plan(struct campaign *campaign, struct scenario **scenarios, uint32_t count)
{
    const struct campaign_options *options = campaign->options;
    uint64_t room = 0;

    for (uint32_t i = 0; i < count; i++)
        room += options->has_seeds ? options->seed_count : scenarios[i]->seed_count;
    campaign->jobs = sim_alloc((room > 0 ? room : 1) * sizeof *campaign->jobs);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t seeds = options->has_seeds ? options->seed_count : scenarios[i]->seed_count;

        for (uint64_t j = 0; j < seeds; j++) {
            struct campaign_job *job = &campaign->jobs[campaign->job_count++];

            job->scenario = scenarios[i];
            job->seed = options->has_seeds ? options->seed_first + j : scenarios[i]->seeds[j];
            job->options = options->run;
            if (!options->trace_given) {
                job->options.trace = j == 0 ? RUN_TRACE_FULL : RUN_TRACE_RING;
            }
        }
    }
}

bool campaign_open(const char *path, FILE **file)
{
    if (path == NULL) return true;
    *file = fopen(path, "w");
    if (*file != NULL) return true;
    fprintf(stderr, "gregor-sim: %s: %s\n", path, strerror(errno));
    return false;
}

void campaign_directory(const char *path)
{
    char part[1024];

    for (size_t i = 1; path[i - 1] != '\0' && i < sizeof part; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        (void)snprintf(part, sizeof part, "%.*s", (int)i, path);
        (void)mkdir(part, 0777);
    }
}

int campaign_run(struct scenario **scenarios, uint32_t count,
                 const struct campaign_options *options)
{
    struct campaign campaign = {.options = options};

    if (!campaign_open(options->json_path, &campaign.json)) return CAMPAIGN_USAGE;
    if (!campaign_open(options->junit_path, &campaign.junit)) return CAMPAIGN_USAGE;
    campaign_plan(&campaign, scenarios, count);
    if (!options->trace_given || options->run.trace != RUN_TRACE_NONE) {
        campaign_directory(options->run.out_dir);
    }
    if (!options->trace_given || options->run.trace == RUN_TRACE_FULL) {
        campaign.pages = pages_create(options->run.out_dir, campaign.job_count);
    }
    if (campaign.junit != NULL) {
        fprintf(campaign.junit, "<?xml version=\"1.0\"?>\n<testsuite name=\"gregor-sim\">\n");
    }
    campaign_go(&campaign);
    if (campaign.junit != NULL) {
        fprintf(campaign.junit, "</testsuite>\n");
        (void)fclose(campaign.junit);
    }
    if (campaign.json != NULL) (void)fclose(campaign.json);
    if (campaign.pages != NULL && pages_finish(campaign.pages) && !options->quiet) {
        fprintf(stderr, "report: %s/index.html\n", options->run.out_dir);
    }
    free(campaign.jobs);
    return campaign_exit_of(campaign.verdicts);
}
