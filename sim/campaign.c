#include "sim/campaign.h"

#include "sim/determinism.h"
#include "sim/pages.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAMPAIGN_JOBS_MAX = 64, CAMPAIGN_EXIT_ASSERTION = 6, CAMPAIGN_REPEATS_MAX = 10 };

struct campaign_job {
    const struct scenario *scenario;
    uint64_t seed;
    struct run_options options;
    struct run_result *result;
    struct run_result *first; /* of a failure that runs again with its whole trace */
    bool done;
    /* while it runs */
    pid_t pid;
    int fd;
    size_t got;
};

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

/* ---- telling --------------------------------------------------------------------------------- */

void campaign_line(const struct scenario *scenario, const struct run_result *result, char *line,
                   size_t size)
{
    size_t used = (size_t)snprintf(
        line, size, "%s scenario=%s seed=%llu virtual=%lld.%03llds events=%llu hash=%016llx",
        run_verdict_name(result->verdict), scenario->name, (unsigned long long)result->seed,
        (long long)(result->virtual_ns / NS_PER_SEC),
        (long long)(result->virtual_ns % NS_PER_SEC / NS_PER_MS),
        (unsigned long long)result->events, (unsigned long long)result->hash);

    if (result->check[0] != '\0' && used < size) {
        used += (size_t)snprintf(line + used, size - used, " check=%s", result->check);
    }
    if (result->node >= 0 && used < size) {
        used += (size_t)snprintf(line + used, size - used, " node=%d", result->node);
    }
    if (result->partition[0] != '\0' && used < size) {
        used += (size_t)snprintf(line + used, size - used, " partition=%s", result->partition);
    }
    if (used < size) {
        (void)snprintf(line + used, size - used, "\twall=%lld.%02llds",
                       (long long)(result->wall_ns / NS_PER_SEC),
                       (long long)(result->wall_ns % NS_PER_SEC / (10 * NS_PER_MS)));
    }
}

static void tell_numbers(const struct run_result *result)
{
    if (result->verdict == RUN_PASS) fputs(result->report, stderr);
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        if (result->faults[i].asked == 0) continue;
        fprintf(stderr, "  fault %-20s %-4s asked %llu injected %llu weakened 0 refused 0\n",
                sim_fault_word((enum sim_fault)i), sim_fault_id((enum sim_fault)i),
                (unsigned long long)result->faults[i].asked,
                (unsigned long long)result->faults[i].injected);
    }
    for (uint32_t i = 0; i < result->oracles; i++) {
        const struct check_info *info = check_list(i);

        if (info == NULL) break;
        fprintf(stderr, "  check %-5s %-36s evaluated %llu\n", info->id, info->name,
                (unsigned long long)result->evaluations[i]);
    }
}

/* Enough for scripts: letters and digits pass, the rest is escaped. */
static void json_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            fprintf(file, "\\%c", c);
        } else if (c < 0x20) {
            fprintf(file, "\\u%04x", c);
        } else {
            fputc(c, file);
        }
    }
    fputc('"', file);
}

static void tell_json(FILE *file, const struct scenario *scenario, const struct run_result *result)
{
    const char *comma = "";

    fprintf(file,
            "{\"verdict\":\"%s\",\"scenario\":\"%s\",\"seed\":%llu,\"virtual_ns\":%lld,"
            "\"events\":%llu,\"hash\":\"%016llx\",\"check\":",
            run_verdict_name(result->verdict), scenario->name, (unsigned long long)result->seed,
            (long long)result->virtual_ns, (unsigned long long)result->events,
            (unsigned long long)result->hash);
    json_text(file, result->check);
    fprintf(file, ",\"text\":");
    json_text(file, result->text);
    fprintf(file, ",\"faults\":{");
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        if (result->faults[i].asked == 0) continue;
        fprintf(file, "%s\"%s\":{\"asked\":%llu,\"injected\":%llu,\"weakened\":0,\"refused\":0}",
                comma, sim_fault_word((enum sim_fault)i),
                (unsigned long long)result->faults[i].asked,
                (unsigned long long)result->faults[i].injected);
        comma = ",";
    }
    fprintf(file, "},\"checks\":{");
    comma = "";
    for (uint32_t i = 0; i < result->oracles && check_list(i) != NULL; i++) {
        fprintf(file, "%s\"%s\":%llu", comma, check_list(i)->id,
                (unsigned long long)result->evaluations[i]);
        comma = ",";
    }
    fprintf(file, "},\"wall_ns\":%lld}\n", (long long)result->wall_ns);
}

static void xml_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<') {
            fputs("&lt;", file);
        } else if (*text == '&') {
            fputs("&amp;", file);
        } else if (*text == '"') {
            fputs("&quot;", file);
        } else {
            fputc(*text, file);
        }
    }
}

/* One case per seed; inconclusive and not exercised are errors, not skipped. */
static void tell_junit(FILE *file, const struct scenario *scenario, const struct run_result *result)
{
    bool failure = result->verdict == RUN_FAIL || result->verdict == RUN_STUCK ||
                   result->verdict == RUN_CRASH || result->verdict == RUN_NONDET;

    fprintf(file, "  <testcase classname=\"%s\" name=\"seed %llu\" time=\"%lld.%03lld\">",
            scenario->name, (unsigned long long)result->seed,
            (long long)(result->wall_ns / NS_PER_SEC),
            (long long)(result->wall_ns % NS_PER_SEC / NS_PER_MS));
    if (result->verdict != RUN_PASS) {
        fprintf(file, "<%s type=\"%s\" message=\"", failure ? "failure" : "error",
                run_verdict_name(result->verdict));
        xml_text(file, result->text);
        fprintf(file, "\">");
        xml_text(file, result->report);
        fprintf(file, "</%s>", failure ? "failure" : "error");
    }
    fprintf(file, "</testcase>\n");
}

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
    if (campaign->options->run.verbose) tell_numbers(job->result);
    if (campaign->pages != NULL) {
        pages_add(campaign->pages, job->scenario, job->result,
                  job->options.trace == RUN_TRACE_FULL);
    }
    if (campaign->json != NULL) tell_json(campaign->json, job->scenario, job->result);
    if (campaign->junit != NULL) tell_junit(campaign->junit, job->scenario, job->result);
    free(job->result);
    job->result = NULL;
}

/* In the order of the list. */
static void campaign_tell_ready(struct campaign *campaign)
{
    while (campaign->told < campaign->job_count && campaign->jobs[campaign->told].done)
        campaign_tell(campaign, &campaign->jobs[campaign->told++]);
}

/* ---- processes ------------------------------------------------------------------------------- */

static void write_all(int fd, const void *data, size_t length)
{
    const char *at = data;

    while (length > 0) {
        ssize_t n = write(fd, at, length);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(CAMPAIGN_SIMULATOR);
        at += n;
        length -= (size_t)n;
    }
}

/* Some seeds twice, the second time in a process of another kind. */
static void job_run(struct campaign_job *job)
{
    run_scenario(job->scenario, job->seed, &job->options, job->result);
    if (determinism_chosen(job->seed, job->options.check_determinism)) {
        (void)determinism_rerun(job->scenario, job->seed, &job->options, job->result);
    }
}

static bool job_start(struct campaign_job *job)
{
    int fds[2];

    if (pipe(fds) != 0) return false;
    fflush(stdout);
    fflush(stderr);
    job->pid = fork();
    if (job->pid < 0) return false;
    if (job->pid == 0) {
        (void)close(fds[0]);
        job_run(job);
        write_all(fds[1], job->result, sizeof *job->result);
        _exit(0);
    }
    (void)close(fds[1]);
    job->fd = fds[0];
    job->got = 0;
    return true;
}

/* What the end of a child means that did not say it itself. */
static void job_died(struct campaign_job *job, int status)
{
    struct run_result *result = job->result;

    memset(result, 0, sizeof *result);
    result->seed = job->seed;
    result->node = -1;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        result->verdict = RUN_INCONCLUSIVE;
        (void)snprintf(result->text, sizeof result->text, "killed from outside");
    } else if (WIFSIGNALED(status)) {
        result->verdict = RUN_CRASH;
        (void)snprintf(result->text, sizeof result->text, "the process died of signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        result->verdict = WEXITSTATUS(status) == CAMPAIGN_EXIT_ASSERTION ? RUN_CRASH : RUN_ERROR;
        (void)snprintf(result->text, sizeof result->text, "the process ended with status %d",
                       WEXITSTATUS(status));
    }
}

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

/* Compares the two runs; only the whole trace's is kept. */
static void job_compare(struct campaign_job *job)
{
    const struct run_result *first = job->first;
    struct run_result *again = job->result;

    if (first->hash != again->hash || first->verdict != again->verdict) {
        again->verdict = RUN_NONDET;
        (void)snprintf(
            again->text, sizeof again->text,
            "two runs of one seed differ: hash %016llx %s, then %016llx; the first said: "
            "%.300s",
            (unsigned long long)first->hash, run_verdict_name(first->verdict),
            (unsigned long long)again->hash, first->text);
    }
    free(job->first);
    job->first = NULL;
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
    int status = 0;

    (void)close(job->fd);
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (job->got != sizeof *job->result) job_died(job, status);
    if (job_repeat(campaign, job)) {
        if (job_start(job)) return;
        free(job->result);
        job->result = job->first;
        job->first = NULL;
    }
    if (job->first != NULL) job_compare(job);
    job->done = true;
    campaign->running--;
}

/* Waits for news of any running child. */
static void campaign_wait(struct campaign *campaign)
{
    struct pollfd polls[CAMPAIGN_JOBS_MAX];
    struct campaign_job *owners[CAMPAIGN_JOBS_MAX];
    uint32_t count = 0;

    for (uint64_t i = campaign->told; i < campaign->started; i++) {
        struct campaign_job *job = &campaign->jobs[i];

        if (job->done) continue;
        owners[count] = job;
        polls[count++] = (struct pollfd){.fd = job->fd, .events = POLLIN};
    }
    if (poll(polls, count, -1) < 0) return;
    for (uint32_t i = 0; i < count; i++) {
        struct campaign_job *job = owners[i];
        ssize_t n;

        if (polls[i].revents == 0) continue;
        n = read(job->fd, (char *)job->result + job->got, sizeof *job->result - job->got);
        if (n < 0 && errno == EINTR) continue;
        if (n > 0) job->got += (size_t)n;
        if (n <= 0 || job->got == sizeof *job->result) job_end(campaign, job);
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
                job_run(job);
                if (job_repeat(campaign, job)) {
                    job_run(job);
                    job_compare(job);
                }
                job->done = true;
                break;
            }
            if (!job_start(job)) {
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

/* False: a file cannot be written, said. */
static bool campaign_open(const char *path, FILE **file)
{
    if (path == NULL) return true;
    *file = fopen(path, "w");
    if (*file != NULL) return true;
    fprintf(stderr, "gregor-sim: %s: %s\n", path, strerror(errno));
    return false;
}

/* mkdir -p; what fails shows when a file is opened there. */
static void campaign_directory(const char *path)
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
