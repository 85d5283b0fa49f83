#include "sim/determinism.h"

#include "sim/campaign.h"
#include "sim/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RERUN_PADDING = 3001, RERUN_LINE = 256, RERUN_TRIES = 12 };

struct rerun {
    char directory[64]; /* its own; the scenario as text, the windows */
    char scenario[96];
    uint64_t seed;
    bool only_history;
};

bool determinism_chosen(uint64_t seed, uint32_t per_million)
{
    struct rng rng;

    rng_init(&rng, rng_stream(seed, 0x6465746572, 0));
    return rng_chance(&rng, per_million);
}

/* ---- the other process ----------------------------------------------------------------------- */

int determinism_child(int argc, char **argv, struct codecs *codecs)
{
    struct run_options options = {.trace = RUN_TRACE_NONE};
    struct run_result *result = sim_alloc(sizeof *result);
    struct yaml_error error;
    struct scenario *scenario;
    size_t done = 0;
    int fd;

    if (argc != 6 && argc != 9) return CAMPAIGN_USAGE;
    fd = atoi(argv[5]);
    options.only_history = strcmp(argv[4], "1") == 0;
    if (argc == 9) {
        options.watch_from = strtoull(argv[6], NULL, 10);
        options.watch_to = strtoull(argv[7], NULL, 10);
        options.watch_path = argv[8];
    }
    scenario = scenario_load(argv[2], &error);
    if (scenario == NULL) return CAMPAIGN_USAGE;
    options.codecs = codecs;
    run_scenario(scenario, strtoull(argv[3], NULL, 10), &options, result);
    while (done < sizeof *result) {
        ssize_t n = write(fd, (const char *)result + done, sizeof *result - done);

        if (n <= 0) return CAMPAIGN_SIMULATOR;
        done += (size_t)n;
    }
    scenario_destroy(scenario);
    free(result);
    return 0;
}

/* In the child: becomes another process altogether. */
static void rerun_exec(const struct rerun *rerun, bool other, int fd, uint64_t from, uint64_t to,
                       const char *path)
{
    char padding[RERUN_PADDING + 16] = "PADDING=";
    char perturb[] = "MALLOC_PERTURB_=165";
    char locale[] = "LC_ALL=C.UTF-8";
    char zone[] = "TZ=Asia/Tokyo";
    char *const odd[] = {padding, perturb, locale, zone, NULL};
    char *const plain[] = {NULL};
    char program[] = "gregor-sim";
    char command[] = "again";
    char seed[32];
    char number[16];
    char first[32];
    char last[32];
    char history[2] = {rerun->only_history ? '1' : '0', '\0'};
    char *arguments[] = {
        program, command, (char *)(uintptr_t)rerun->scenario, seed, history, number, NULL, NULL,
        NULL,    NULL};

    (void)snprintf(seed, sizeof seed, "%" PRIu64, rerun->seed);
    (void)snprintf(number, sizeof number, "%d", fd);
    if (path != NULL) {
        (void)snprintf(first, sizeof first, "%" PRIu64, from);
        (void)snprintf(last, sizeof last, "%" PRIu64, to);
        arguments[6] = first;
        arguments[7] = last;
        arguments[8] = (char *)(uintptr_t)path;
    }
    memset(padding + 8, 'x', RERUN_PADDING);
    if (other) {
        (void)personality(ADDR_NO_RANDOMIZE);
        if (chdir("/") != 0) _exit(CAMPAIGN_SIMULATOR);
    }
    (void)execve("/proc/self/exe", arguments, other ? odd : plain);
    _exit(CAMPAIGN_SIMULATOR);
}

/* False: no result came. */
static bool rerun_process(const struct rerun *rerun, bool other, uint64_t from, uint64_t to,
                          const char *path, struct run_result *result)
{
    size_t got = 0;
    int fds[2];
    pid_t pid;

    if (pipe(fds) != 0) return false;
    (void)fflush(NULL);
    pid = fork();
    if (pid < 0) return false;
    if (pid == 0) {
        (void)close(fds[0]);
        rerun_exec(rerun, other, fds[1], from, to, path);
    }
    (void)close(fds[1]);
    for (;;) {
        ssize_t n = read(fds[0], (char *)result + got, sizeof *result - got);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    (void)close(fds[0]);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return got == sizeof *result;
}

/* ---- where they part ------------------------------------------------------------------------- */

static bool window_line(FILE *file, char line[RERUN_LINE])
{
    if (file == NULL || fgets(line, RERUN_LINE, file) == NULL) {
        (void)snprintf(line, RERUN_LINE, "nothing more");
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    return true;
}

/* The first lines that differ; false: none. */
static bool windows_differ(const char *one_path, const char *other_path, char one[RERUN_LINE],
                           char other[RERUN_LINE])
{
    FILE *first = fopen(one_path, "r");
    FILE *second = fopen(other_path, "r");
    bool differ = false;

    for (;;) {
        bool more_one = window_line(first, one);
        bool more_other = window_line(second, other);

        differ = strcmp(one, other) != 0;
        if (differ || !more_one || !more_other) break;
    }
    if (first != NULL) (void)fclose(first);
    if (second != NULL) (void)fclose(second);
    return differ;
}

/* Both once more, then the window between their last equal and their first other checkpoint. */
static void locate(const struct rerun *rerun, struct run_result *verdict)
{
    struct run_result *one = sim_alloc(sizeof *one);
    struct run_result *other = sim_alloc(sizeof *other);
    char one_path[96];
    char other_path[96];
    char one_line[RERUN_LINE];
    char other_line[RERUN_LINE];
    size_t used = strlen(verdict->text);
    uint64_t equal = 0;
    bool differ = false;
    uint64_t parted;

    (void)snprintf(one_path, sizeof one_path, "%s/one", rerun->directory);
    (void)snprintf(other_path, sizeof other_path, "%s/other", rerun->directory);
    if (rerun_process(rerun, false, 0, 0, NULL, one) &&
        rerun_process(rerun, true, 0, 0, NULL, other)) {
        parted = replay_parted(&one->checkpoints, &other->checkpoints, &equal);
        if (parted == 0) parted = UINT64_MAX;
        /* Chance may make two runs agree for once, or part elsewhere: from the start. */
        for (uint32_t i = 0; i < RERUN_TRIES && !differ; i++) {
            (void)rerun_process(rerun, false, 1, parted, one_path, one);
            (void)rerun_process(rerun, true, 1, parted, other_path, other);
            differ = windows_differ(one_path, other_path, one_line, other_line);
        }
        if (differ) {
            (void)snprintf(verdict->text + used, sizeof verdict->text - used,
                           "; they part behind event %" PRIu64
                           ", first at\n  one:   %s\n  other: %s",
                           equal, one_line, other_line);
        } else {
            (void)snprintf(verdict->text + used, sizeof verdict->text - used,
                           "; run once more they part behind event %" PRIu64
                           ", but not in what is delivered up to the next checkpoint",
                           equal);
        }
    }
    (void)remove(one_path);
    (void)remove(other_path);
    free(one);
    free(other);
}

/* ---- all ------------------------------------------------------------------------------------- */

static bool rerun_begin(struct rerun *rerun, const struct scenario *scenario)
{
    FILE *file;

    (void)snprintf(rerun->directory, sizeof rerun->directory, "/tmp/gregor-again-XXXXXX");
    if (mkdtemp(rerun->directory) == NULL) return false;
    (void)snprintf(rerun->scenario, sizeof rerun->scenario, "%s/scenario.yaml", rerun->directory);
    file = fopen(rerun->scenario, "w");
    if (file == NULL) return false;
    fputs(scenario->source, file);
    return fclose(file) == 0;
}

static void rerun_end(const struct rerun *rerun)
{
    (void)remove(rerun->scenario);
    (void)remove(rerun->directory);
}

bool determinism_rerun(const struct scenario *scenario, uint64_t seed,
                       const struct run_options *options, struct run_result *first)
{
    struct rerun rerun = {.seed = seed, .only_history = options->only_history};
    struct run_result *second;
    bool same = true;

    if (!rerun_begin(&rerun, scenario)) {
        fprintf(stderr, "gregor-sim: no room for a second run: %s\n", strerror(errno));
        return true;
    }
    second = sim_alloc(sizeof *second);
    if (!rerun_process(&rerun, true, 0, 0, NULL, second)) {
        fprintf(stderr, "gregor-sim: the second run of seed %" PRIu64 " gave no result\n", seed);
    } else if (second->hash != first->hash || second->events != first->events ||
               second->verdict != first->verdict) {
        same = false;
        (void)snprintf(first->text, sizeof first->text,
                       "two processes, one seed: hash %016" PRIx64 " %s after %" PRIu64
                       " events, and %016" PRIx64 " %s after %" PRIu64,
                       first->hash, run_verdict_name(first->verdict), first->events, second->hash,
                       run_verdict_name(second->verdict), second->events);
        first->verdict = RUN_NONDET;
        (void)snprintf(first->signature, sizeof first->signature, "NONDET");
        locate(&rerun, first);
        (void)snprintf(first->report, sizeof first->report,
                       "NONDET: %s\n  scenario %s, seed %" PRIu64 "\n", first->text, scenario->name,
                       seed);
    }
    free(second);
    rerun_end(&rerun);
    return same;
}
