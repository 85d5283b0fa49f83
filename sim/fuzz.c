#include "sim/fuzz.h"

#include "sim/campaign_child.h"
#include "sim/tally.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    FUZZ_REPEATS_MAX = 20,
    FUZZ_FEWEST_EVERY = 100,
    FUZZ_IDLE_TEXT = 8192,
    FUZZ_WAIT_MS = 500,
    FUZZ_SCRIPT_SHARE = 10
};
#define FUZZ_SEED_BITS       48 /* a seed survives being read as a double by some JSON tool */
#define PROGRESS_TERMINAL_NS (NS_PER_SEC / 2)
#define PROGRESS_PLAIN_NS    (30 * NS_PER_SEC)

/* What is told of a run when its turn comes. */
struct told {
    uint64_t turn;
    uint32_t scenario;
    char *line;
    char *report;
    char *json;
    char *junit;
};

struct course {
    struct scenario *scenario;
    uint64_t started; /* own runs */
    int64_t busy_ns;
};

struct fuzz_job {
    struct campaign_job job;
    uint64_t turn;
    uint32_t course; /* course_count: the canary */
    bool busy;
    char out_dir[1024];
};

struct fuzz {
    const struct fuzz_options *options;
    struct course *courses;
    uint32_t course_count;
    struct fuzz_job jobs[CAMPAIGN_JOBS_MAX];
    uint32_t running;
    uint64_t picks;
    struct told *records; /* done and not yet told */
    size_t record_count;
    size_t record_room;
    struct tally tally;
    uint64_t failures;
    uint32_t repeats;
    int64_t began_ns;
    int64_t progress_ns;
    FILE *json;
    FILE *junit;
    struct scenario *canary;
    uint32_t canary_started;
    bool canary_died;  /* as it must */
    bool canary_lived; /* with a seed that does not divide: as it must */
};

static const char canary_text[] =
    "gregor: 1\nname: canary\nstop: {time: 3s}\ncanary: true\n"
    "cluster: {controllers: 1, brokers: 1}\ntopics: {t: {partitions: 1, replicas: 1}}\n"
    "workload:\n  - {producer: p, topic: t, rate: 100/s}\n  - {consumer: c, topics: [t]}\n";

uint64_t fuzz_random_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        seed = (uint64_t)campaign_wall_ns();
    }
    return seed >> (64 - FUZZ_SEED_BITS);
}

uint64_t fuzz_turn(const struct fuzz_options *options, uint64_t n)
{
    return n * options->shards + options->shard - 1;
}

uint64_t fuzz_seed(const struct fuzz_options *options, uint32_t scenario, uint64_t turn)
{
    uint64_t apart = options->has_count ? 0 : FUZZ_APART;

    return options->campaign.seed_first + scenario * apart + turn;
}

/* ---- records --------------------------------------------------------------------------------- */

static char *text_of(void (*tell)(FILE *file, const struct scenario *scenario,
                                  const struct run_result *result),
                     const struct scenario *scenario, const struct run_result *result)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    if (file == NULL) return NULL;
    tell(file, scenario, result);
    (void)fclose(file);
    return text;
}

static void tell_line(FILE *file, const struct scenario *scenario, const struct run_result *result)
{
    char line[1024];

    campaign_line(scenario, result, line, sizeof line);
    fprintf(file, "%s\n", line);
}

static void tell_report(FILE *file, const struct scenario *scenario,
                        const struct run_result *result)
{
    if (result->report[0] != '\0') {
        fprintf(file, "%s\n", result->report);
        return;
    }
    fprintf(file, "%s: %s\n  again: gregor-sim run %s --seed %llu --no-fork\n\n",
            run_verdict_name(result->verdict), result->text, scenario->file,
            (unsigned long long)result->seed);
}

static void told_add(struct fuzz *fuzz, const struct fuzz_job *own)
{
    const struct scenario *scenario = own->job.scenario;
    const struct run_result *result = own->job.result;
    struct told *record;

    if (fuzz->record_count == fuzz->record_room) {
        fuzz->record_room = fuzz->record_room * 2 + 64;
        fuzz->records = realloc(fuzz->records, fuzz->record_room * sizeof *fuzz->records);
        ASSERT(fuzz->records != NULL);
    }
    record = &fuzz->records[fuzz->record_count++];
    *record = (struct told){.turn = own->turn, .scenario = own->course};
    record->line = text_of(tell_line, scenario, result);
    if (result->verdict != RUN_PASS) record->report = text_of(tell_report, scenario, result);
    if (fuzz->json != NULL) record->json = text_of(campaign_tell_json, scenario, result);
    if (fuzz->junit != NULL) record->junit = text_of(campaign_tell_junit, scenario, result);
}

static void put_text(FILE *file, char *text)
{
    if (file != NULL && text != NULL) fputs(text, file);
    free(text);
}

static void record_tell(struct fuzz *fuzz, struct told *record)
{
    put_text(stdout, record->line);
    fflush(stdout);
    put_text(fuzz->options->campaign.quiet ? NULL : stderr, record->report);
    put_text(fuzz->json, record->json);
    put_text(fuzz->junit, record->junit);
}

static int by_turn(const void *a, const void *b)
{
    const struct told *first = a;
    const struct told *second = b;

    if (first->turn != second->turn) return first->turn < second->turn ? -1 : 1;
    return first->scenario < second->scenario ? -1 : first->scenario > second->scenario;
}

static bool comes_before(uint64_t turn, uint32_t course, uint64_t other, uint32_t other_course)
{
    return turn < other || (turn == other && course < other_course);
}

static bool course_over(const struct fuzz *fuzz, const struct course *course)
{
    return fuzz->options->has_count &&
           fuzz_turn(fuzz->options, course->started) >= fuzz->options->campaign.seed_count;
}

/* Tells what nothing can come before any more. */
static void records_tell(struct fuzz *fuzz, bool all)
{
    uint64_t turn = UINT64_MAX;
    uint32_t course = 0;
    size_t told = 0;

    for (uint32_t i = 0; i < fuzz->course_count && !all; i++) {
        uint64_t next = fuzz_turn(fuzz->options, fuzz->courses[i].started);

        if (course_over(fuzz, &fuzz->courses[i]) || !comes_before(next, i, turn, course)) continue;
        turn = next;
        course = i;
    }
    for (uint32_t i = 0; i < CAMPAIGN_JOBS_MAX && !all; i++) {
        const struct fuzz_job *own = &fuzz->jobs[i];

        if (!own->busy || own->course == fuzz->course_count ||
            !comes_before(own->turn, own->course, turn, course)) {
            continue;
        }
        turn = own->turn;
        course = own->course;
    }
    if (fuzz->record_count == 0) return;
    qsort(fuzz->records, fuzz->record_count, sizeof *fuzz->records, by_turn);
    while (
        told < fuzz->record_count &&
        (all || comes_before(fuzz->records[told].turn, fuzz->records[told].scenario, turn, course)))
        record_tell(fuzz, &fuzz->records[told++]);
    fuzz->record_count -= told;
    memmove(fuzz->records, fuzz->records + told, fuzz->record_count * sizeof *fuzz->records);
}

/* ---- what a failure leaves behind ------------------------------------------------------------ */

static bool is_failure(enum run_verdict verdict)
{
    return verdict != RUN_PASS && verdict != RUN_INCONCLUSIVE;
}

static void write_text(const char *directory, const char *name, char *text)
{
    char path[1200];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "gregor-sim: %s: %s\n", path, strerror(errno));
        free(text);
        return;
    }
    put_text(file, text);
    (void)fclose(file);
}

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text;
    size_t length;

    if (file == NULL) return NULL;
    text = sim_alloc((1 << 20) + 1);
    length = fread(text, 1, 1 << 20, file);
    text[length] = '\0';
    (void)fclose(file);
    return text;
}

/* report.txt, report.json, scenario.yaml; the trace is written by the run itself. */
static void leave_behind(const struct fuzz *fuzz, const struct campaign_job *job)
{
    char directory[1100];

    (void)snprintf(directory, sizeof directory, "%s/%s-%llu", fuzz->options->campaign.run.out_dir,
                   job->scenario->name, (unsigned long long)job->seed);
    campaign_directory(directory);
    write_text(directory, "report.txt", text_of(tell_report, job->scenario, job->result));
    write_text(directory, "report.json", text_of(campaign_tell_json, job->scenario, job->result));
    write_text(directory, "scenario.yaml", file_text(job->scenario->file));
}

/* ---- progress -------------------------------------------------------------------------------- */

static void progress(struct fuzz *fuzz, bool last)
{
    bool terminal = isatty(STDERR_FILENO) != 0;
    int64_t now_ns = campaign_wall_ns();
    int64_t took_ns = now_ns - fuzz->began_ns;
    int64_t took_ms = took_ns / NS_PER_MS + 1;
    const struct course *longest = &fuzz->courses[0];

    if (fuzz->options->campaign.quiet) return;
    if (!last && now_ns - fuzz->progress_ns < (terminal ? PROGRESS_TERMINAL_NS : PROGRESS_PLAIN_NS))
        return;
    fuzz->progress_ns = now_ns;
    for (uint32_t i = 0; i < fuzz->course_count; i++) {
        if (fuzz->courses[i].busy_ns > longest->busy_ns) longest = &fuzz->courses[i];
    }
    fprintf(stderr,
            "%s%lld s: %llu runs, %llu failed, %lld events/s, %lld s simulated (%lldx), "
            "longest %s%s",
            terminal ? "\r\033[K" : "", (long long)(took_ns / NS_PER_SEC),
            (unsigned long long)fuzz->tally.runs, (unsigned long long)fuzz->failures,
            (long long)fuzz->tally.events * 1000 / took_ms,
            (long long)(fuzz->tally.virtual_ns / NS_PER_SEC),
            (long long)(fuzz->tally.virtual_ns / NS_PER_MS / took_ms), longest->scenario->name,
            terminal && !last ? "" : "\n");
}

/* ---- running --------------------------------------------------------------------------------- */

static bool wants_more(const struct fuzz *fuzz)
{
    const struct fuzz_options *options = fuzz->options;

    if (options->max_fail > 0 && fuzz->failures >= options->max_fail) return false;
    if (options->time_budget_ns > 0 &&
        campaign_wall_ns() - fuzz->began_ns >= options->time_budget_ns) {
        return false;
    }
    return true;
}

/* A script tells little with each further seed: it has a small share of the time. */
static int64_t spent(const struct course *course)
{
    return course->scenario->faults.swarm ? course->busy_ns : course->busy_ns * FUZZ_SCRIPT_SHARE;
}

/* The least run time so far; sometimes the fewest runs. -1: none is left. */
static int pick_course(struct fuzz *fuzz)
{
    bool fewest = ++fuzz->picks % FUZZ_FEWEST_EVERY == 0;
    int best = -1;

    for (uint32_t i = 0; i < fuzz->course_count; i++) {
        const struct course *course = &fuzz->courses[i];
        const struct course *other = best >= 0 ? &fuzz->courses[best] : NULL;

        if (course_over(fuzz, course)) continue;
        if (other == NULL || course->started == 0 ||
            (fewest ? course->started < other->started : spent(course) < spent(other))) {
            if (other != NULL && other->started == 0) continue;
            best = (int)i;
        }
    }
    return best;
}

static void job_begin(struct fuzz *fuzz, struct fuzz_job *own, const struct scenario *scenario,
                      uint64_t seed)
{
    own->busy = true;
    own->job = (struct campaign_job){.scenario = scenario, .seed = seed};
    own->job.options = fuzz->options->campaign.run;
    if (!fuzz->options->campaign.trace_given) own->job.options.trace = RUN_TRACE_NONE;
    own->job.result = sim_alloc(sizeof *own->job.result);
    fuzz->running++;
    if (fuzz->options->campaign.no_fork) {
        campaign_child_run(&own->job);
        own->job.ended = true;
    } else if (!campaign_child_start(&own->job)) {
        own->job.result->verdict = RUN_ERROR;
        own->job.result->node = -1;
        (void)snprintf(own->job.result->text, sizeof own->job.result->text, "fork: %s",
                       strerror(errno));
        own->job.ended = true;
    }
}

/* One that divides and must be found out, one that does not and must pass. */
static bool start_canary(struct fuzz *fuzz, struct fuzz_job *own)
{
    uint64_t first = fuzz->options->campaign.seed_first;

    if (fuzz->canary_started == 2) return false;
    first += (FUZZ_CANARY_EVERY - first % FUZZ_CANARY_EVERY) % FUZZ_CANARY_EVERY;
    own->course = fuzz->course_count;
    own->turn = fuzz->canary_started;
    job_begin(fuzz, own, fuzz->canary, first + fuzz->canary_started);
    fuzz->canary_started++;
    return true;
}

static bool start_one(struct fuzz *fuzz, struct fuzz_job *own)
{
    int pick;

    if (start_canary(fuzz, own)) return true;
    if (!wants_more(fuzz)) return false;
    pick = pick_course(fuzz);
    if (pick < 0) return false;
    own->course = (uint32_t)pick;
    own->turn = fuzz_turn(fuzz->options, fuzz->courses[pick].started++);
    job_begin(fuzz, own, fuzz->courses[pick].scenario,
              fuzz_seed(fuzz->options, own->course, own->turn));
    return true;
}

/* A failure runs once more, with its whole trace: for its page, and to see that it comes again. */
static bool repeat(struct fuzz *fuzz, struct fuzz_job *own)
{
    struct campaign_job *job = &own->job;

    if (!is_failure(job->result->verdict) || job->first != NULL ||
        fuzz->options->campaign.no_fork || job->options.trace == RUN_TRACE_FULL ||
        fuzz->repeats >= FUZZ_REPEATS_MAX) {
        return false;
    }
    fuzz->repeats++;
    job->first = job->result;
    job->result = sim_alloc(sizeof *job->result);
    job->options.trace = RUN_TRACE_FULL;
    campaign_directory(job->options.out_dir);
    if (campaign_child_start(job)) return true;
    free(job->result);
    job->result = job->first;
    job->first = NULL;
    return false;
}

static void job_over(struct fuzz *fuzz, struct fuzz_job *own)
{
    struct campaign_job *job = &own->job;

    if (own->course < fuzz->course_count) {
        if (repeat(fuzz, own)) return;
        if (job->first != NULL) campaign_child_compare(job);
        fuzz->courses[own->course].busy_ns += job->result->wall_ns + 1;
        tally_add(&fuzz->tally, job->scenario, job->result);
        if (is_failure(job->result->verdict)) {
            fuzz->failures++;
            leave_behind(fuzz, job);
        }
        told_add(fuzz, own);
    } else if (own->turn == 0) {
        fuzz->canary_died = job->result->verdict == RUN_FAIL;
    } else {
        fuzz->canary_lived = job->result->verdict == RUN_PASS;
    }
    free(job->result);
    own->busy = false;
    fuzz->running--;
}

static void fuzz_wait(struct fuzz *fuzz)
{
    struct campaign_job *jobs[CAMPAIGN_JOBS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < CAMPAIGN_JOBS_MAX; i++) {
        if (fuzz->jobs[i].busy && !fuzz->jobs[i].job.ended) jobs[count++] = &fuzz->jobs[i].job;
    }
    if (count > 0) campaign_child_wait(jobs, count, FUZZ_WAIT_MS);
    for (uint32_t i = 0; i < CAMPAIGN_JOBS_MAX; i++) {
        if (fuzz->jobs[i].busy && fuzz->jobs[i].job.ended) job_over(fuzz, &fuzz->jobs[i]);
    }
}

static void fuzz_go(struct fuzz *fuzz)
{
    uint32_t jobs = fuzz->options->campaign.jobs;
    bool more = true;

    while (more || fuzz->running > 0) {
        for (uint32_t i = 0; i < jobs && more; i++) {
            if (!fuzz->jobs[i].busy) more = start_one(fuzz, &fuzz->jobs[i]);
        }
        fuzz_wait(fuzz);
        records_tell(fuzz, false);
        progress(fuzz, false);
    }
    records_tell(fuzz, true);
    progress(fuzz, true);
}

/* ---- all ------------------------------------------------------------------------------------- */

/* A shard is judged by whoever puts the shards together. */
static int fuzz_verdict(const struct fuzz *fuzz)
{
    char *idle = sim_alloc(FUZZ_IDLE_TEXT);
    int status = campaign_exit_of(fuzz->tally.verdicts);
    uint32_t count = tally_idle(&fuzz->tally, idle, FUZZ_IDLE_TEXT);
    bool red = !fuzz->canary_died || !fuzz->canary_lived;

    if (red) {
        printf("UNEXERCISED campaign canary=%s\n",
               !fuzz->canary_died ? "not found out" : "does not pass");
    }
    if (count > 0 && fuzz->options->shards == 1) {
        printf("UNEXERCISED campaign idle=%u %s\n", count, idle);
        red = true;
    }
    free(idle);
    if (status == CAMPAIGN_PASSED || status == CAMPAIGN_INCONCLUSIVE) {
        return red ? CAMPAIGN_UNEXERCISED : status;
    }
    return status;
}

static int fuzz_open(struct fuzz *fuzz)
{
    struct yaml_error error = {.text = ""};

    if (!campaign_open(fuzz->options->campaign.json_path, &fuzz->json) ||
        !campaign_open(fuzz->options->campaign.junit_path, &fuzz->junit)) {
        return CAMPAIGN_USAGE;
    }
    fuzz->canary = scenario_parse("canary", canary_text, sizeof canary_text - 1, &error);
    if (fuzz->canary == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return CAMPAIGN_SIMULATOR;
    }
    if (fuzz->junit != NULL) {
        fprintf(fuzz->junit, "<?xml version=\"1.0\"?>\n<testsuite name=\"gregor-sim\">\n");
    }
    return 0;
}

int fuzz_run(struct scenario **scenarios, uint32_t count, const struct fuzz_options *options)
{
    struct fuzz *fuzz = sim_alloc(sizeof *fuzz);
    int status;

    fuzz->options = options;
    fuzz->course_count = count;
    fuzz->courses = sim_alloc(count * sizeof *fuzz->courses);
    for (uint32_t i = 0; i < count; i++)
        fuzz->courses[i].scenario = scenarios[i];
    fuzz->began_ns = fuzz->progress_ns = campaign_wall_ns();
    printf("campaign first_seed=%llu shard=%u/%u scenarios=%u\n",
           (unsigned long long)options->campaign.seed_first, options->shard, options->shards,
           count);
    fflush(stdout);
    status = fuzz_open(fuzz);
    if (status == 0) {
        fuzz_go(fuzz);
        if (!options->campaign.quiet) tally_print(stderr, &fuzz->tally);
        status = fuzz_verdict(fuzz);
    }
    if (fuzz->junit != NULL) {
        fprintf(fuzz->junit, "</testsuite>\n");
        (void)fclose(fuzz->junit);
    }
    if (fuzz->json != NULL) (void)fclose(fuzz->json);
    scenario_destroy(fuzz->canary);
    free(fuzz->records);
    free(fuzz->courses);
    free(fuzz);
    return status;
}
