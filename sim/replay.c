#include "sim/replay.h"

#include "sim/campaign.h"
#include "sim/determinism.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- one run in a child ---------------------------------------------------------------------- */

static void guide_by_plan(struct decide *decide, void *context)
{
    const struct plan *plan = context;

    for (uint32_t i = 0; i < plan->site_count; i++) {
        for (uint32_t j = 0; j < plan->sites[i].count; j++)
            decide_answer(decide, plan->sites[i].site, plan->sites[i].values[j]);
    }
}

static void child_died(int status, struct run_result *result)
{
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

    result->verdict = killed ? RUN_INCONCLUSIVE : RUN_CRASH;
    result->node = -1;
    if (WIFSIGNALED(status)) {
        (void)snprintf(result->text, sizeof result->text, "the process died of signal %d",
                       WTERMSIG(status));
        (void)snprintf(result->signature, sizeof result->signature, "CRASH signal %d",
                       WTERMSIG(status));
    } else {
        (void)snprintf(result->text, sizeof result->text, "the process ended with status %d",
                       WEXITSTATUS(status));
        (void)snprintf(result->signature, sizeof result->signature, "CRASH status %d",
                       WEXITSTATUS(status));
    }
}

static bool send_result(int fd, const struct run_result *result)
{
    size_t done = 0;

    while (done < sizeof *result) {
        ssize_t n = write(fd, (const char *)result + done, sizeof *result - done);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static bool take_result(int fd, struct run_result *result)
{
    size_t got = 0;

    while (got < sizeof *result) {
        ssize_t n = read(fd, (char *)result + got, sizeof *result - got);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

static void child_run(const struct scenario *scenario, uint64_t seed,
                      const struct run_options *options, int fd)
{
    struct run_result *result = sim_alloc(sizeof *result);

    run_scenario(scenario, seed, options, result);
    _exit(send_result(fd, result) ? 0 : CAMPAIGN_SIMULATOR);
}

void replay_fork(const struct scenario *scenario, uint64_t seed, const struct run_options *options,
                 struct run_result *result)
{
    int status = 0;
    int fds[2];
    bool got;
    pid_t pid;

    memset(result, 0, sizeof *result);
    result->seed = seed;
    (void)fflush(NULL);
    if (pipe(fds) != 0 || (pid = fork()) < 0) {
        result->verdict = RUN_ERROR;
        (void)snprintf(result->text, sizeof result->text, "fork: %s", strerror(errno));
        return;
    }
    if (pid == 0) {
        (void)close(fds[0]);
        child_run(scenario, seed, options, fds[1]);
    }
    (void)close(fds[1]);
    got = take_result(fds[0], result);
    (void)close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (got) return;
    memset(result, 0, sizeof *result);
    result->seed = seed;
    child_died(status, result);
}

/* ---- from a checkpoint ----------------------------------------------------------------------- */

struct rewind {
    uint64_t event;
    uint64_t salt;
    int runs;
    int fd;
};

/* In the child that has come to the event: it stays there, and from it the runs go on, one after
 * another, each in a process of its own that has other choices. */
static void rewind_here(struct decide *decide, void *context)
{
    const struct rewind *rewind = context;
    struct run_result *died = sim_alloc(sizeof *died);

    for (int i = 0; i < rewind->runs; i++) {
        int status = 0;
        pid_t pid;

        (void)fflush(NULL);
        pid = fork();
        if (pid == 0) {
            decide_fork(decide, rewind->event, rewind->salt + (uint64_t)i);
            free(died);
            return;
        }
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        memset(died, 0, sizeof *died);
        child_died(status, died);
        if (!send_result(rewind->fd, died)) break;
    }
    _exit(0);
}

int replay_rewind(const struct plan *plan, const struct scenario *scenario,
                  const struct run_options *options, struct replay_rewind from)
{
    struct run_options with = *options;
    struct rewind rewind = {.event = from.event, .salt = from.salt, .runs = from.runs};
    struct run_result *result = sim_alloc(sizeof *result);
    int failed = 0;
    int status;
    int fds[2];
    pid_t pid;

    (void)fflush(NULL);
    if (pipe(fds) != 0) {
        free(result);
        return 0;
    }
    pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        rewind.fd = fds[1];
        with.rewind = rewind_here;
        with.rewind_context = &rewind;
        with.rewind_event = from.event;
        child_run(scenario, plan->seed, &with, fds[1]);
    }
    (void)close(fds[1]);
    while (pid > 0 && take_result(fds[0], result))
        failed += replay_same(plan, result);
    (void)close(fds[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    free(result);
    return failed;
}

bool replay_try(const char *name, const char *text, uint64_t seed, const struct plan *guide,
                const struct run_options *options, struct run_result *result,
                struct yaml_error *error)
{
    struct run_options with = *options;
    struct scenario *scenario;

    error->text[0] = '\0';
    scenario = scenario_parse(name, text, strlen(text), error);
    if (scenario == NULL) return false;
    if (guide != NULL) {
        with.guide = guide_by_plan;
        with.guide_context = (void *)(uintptr_t)guide;
    }
    replay_fork(scenario, seed, &with, result);
    scenario_destroy(scenario);
    return true;
}

/* ---- comparing ------------------------------------------------------------------------------- */

bool replay_same(const struct plan *plan, const struct run_result *result)
{
    return strcmp(plan->signature, result->signature) == 0;
}

static size_t word_length(const char *action)
{
    return strcspn(action, ":");
}

uint32_t replay_diverged(const struct plan *plan, const struct plan *again)
{
    for (uint32_t i = 0; i < plan->fault_count; i++) {
        const struct plan_fault *was = &plan->faults[i];
        const struct plan_fault *is = &again->faults[i];

        if (i >= again->fault_count) return i;
        if (strcmp(was->anchor, is->anchor) != 0) return i;
        if (word_length(was->does) != word_length(is->does)) return i;
        if (strncmp(was->does, is->does, word_length(was->does)) != 0) return i;
    }
    return plan->fault_count;
}

/* Brought to the same distance: those at multiples of the larger one. */
uint64_t replay_parted(const struct sim_checkpoints *one, const struct sim_checkpoints *other,
                       uint64_t *last_equal)
{
    uint32_t shift = one->shift > other->shift ? one->shift : other->shift;
    uint32_t step_one = 1u << (shift - one->shift);
    uint32_t step_other = 1u << (shift - other->shift);

    *last_equal = 0;
    for (uint32_t i = 1; i * step_one <= one->count && i * step_other <= other->count; i++) {
        if (one->hash[i * step_one - 1] != other->hash[i * step_other - 1]) {
            return (uint64_t)i << shift;
        }
        *last_equal = (uint64_t)i << shift;
    }
    return 0;
}

/* ---- the command ----------------------------------------------------------------------------- */

struct replay {
    const char *path;
    const char *out;
    int mode; /* -1: by the build */
    bool has_seed;
    bool pinned; /* the faults themselves, not the steps they came from */
    bool print;
    bool same; /* another failure than the plan's is no answer */
    uint64_t seed;
    struct plan *plan;
    struct run_options options;
    char directory[512]; /* of what this run leaves; removed when nobody asked for it */
};

static int replay_usage(const char *what, const char *which)
{
    fprintf(stderr, "gregor-sim: replay: %s: %s; see gregor-sim --help\n", what, which);
    return CAMPAIGN_USAGE;
}

static int replay_options(int argc, char **argv, struct replay *replay)
{
    for (int i = 2; i < argc; i++) {
        const char *arg = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(arg, "--same") == 0) {
            replay->same = true;
        } else if (strcmp(arg, "--pinned") == 0) {
            replay->pinned = true;
        } else if (strcmp(arg, "--print") == 0) {
            replay->print = true;
        } else if (arg[0] != '-') {
            if (replay->path != NULL) return replay_usage("one plan at a time", arg);
            replay->path = arg;
        } else if (language_choice("--mode --seed --out", arg) < 0) {
            return replay_usage("unknown option", arg);
        } else if (value == NULL) {
            return replay_usage("needs a value", arg);
        } else {
            char *end = NULL;

            i++;
            if (strcmp(arg, "--out") == 0) replay->out = value;
            if (strcmp(arg, "--mode") == 0) {
                replay->mode = language_choice("exact guided semantic", value);
                if (replay->mode < 0) return replay_usage("exact, guided or semantic", value);
            }
            if (strcmp(arg, "--seed") != 0) continue;
            replay->seed = strtoull(value, &end, 0);
            if (end == value || *end != '\0') return replay_usage("a number is wanted", value);
            replay->has_seed = true;
        }
    }
    if (replay->path == NULL) return replay_usage("wanted is", "a directory or a plan file");
    if (replay->has_seed && replay->mode != REPLAY_SEMANTIC) {
        return replay_usage("another seed needs", "--mode semantic");
    }
    return 0;
}

static void tell_line(const struct replay *replay, const struct run_result *result)
{
    struct scenario named = {.name = replay->plan->scenario};
    char line[1024];

    campaign_line(&named, result, line, sizeof line);
    printf("%s\n", line);
    (void)fflush(stdout);
}

/* The plan of the run that just ended; NULL: it left none (its process died). */
static struct plan *plan_again(const struct replay *replay, uint64_t seed)
{
    char error[PLAN_ERROR_MAX];
    char path[800];

    (void)snprintf(path, sizeof path, "%s/%s-%" PRIu64, replay->directory, replay->plan->scenario,
                   seed);
    return plan_load(path, error);
}

static void tell_divergence(const struct plan *plan, const struct plan *again, uint32_t at)
{
    const struct plan_fault *was = &plan->faults[at];

    printf("replay: diverged at event %" PRIu64 ", fault %u: anchor %s%s%s no longer occurs\n",
           at < again->fault_count ? again->faults[at].event : again->events, at + 1,
           was->anchor[0] != '\0' ? was->anchor : "(time)", was->when[0] != '\0' ? " when " : "",
           was->when);
    printf("  plan: %s\n", was->was);
    printf("  now:  %s\n", at < again->fault_count ? again->faults[at].was : "nothing more");
}

static int replay_code(const struct run_result *result)
{
    uint64_t verdicts[RUN_VERDICTS] = {0};

    verdicts[result->verdict]++;
    return campaign_exit_of(verdicts);
}

/* What a run that is not bound to the hash says. */
static int judge(const struct replay *replay, const struct run_result *result)
{
    if (result->verdict == RUN_PASS) {
        printf("replay: all faults of the plan occurred; no failure\n");
        return CAMPAIGN_PASSED;
    }
    if (replay_same(replay->plan, result)) {
        printf("replay: the same failure: %s\n  %s\n", result->signature, result->text);
        return replay_code(result);
    }
    printf("replay: another failure: %s (the plan's was %s)\n  %s\n", result->signature,
           replay->plan->signature, result->text);
    return replay->same ? REPLAY_SKIP : replay_code(result);
}

static int judge_exact(const struct replay *replay, const struct run_result *result)
{
    const struct plan *plan = replay->plan;
    bool same_build = plan->build == plan_build();
    struct plan *again;
    uint64_t equal;
    uint64_t parted;

    if (result->hash == plan->hash && result->events == plan->events) {
        printf("replay: exact: the same %" PRIu64 " events, hash %016" PRIx64 "\n", plan->events,
               plan->hash);
        return judge(replay, result);
    }
    parted = replay_parted(&plan->checkpoints, &result->checkpoints, &equal);
    if (parted != 0) {
        printf("replay: diverged between events %" PRIu64 " and %" PRIu64 "\n", equal, parted);
    } else {
        printf("replay: diverged after event %" PRIu64 "\n", equal);
    }
    again = plan_again(replay, plan->seed);
    if (again != NULL && replay_diverged(plan, again) < plan->fault_count) {
        tell_divergence(plan, again, replay_diverged(plan, again));
    }
    plan_destroy(again);
    if (!same_build) {
        printf("replay: the plan is of another build; use --mode guided or semantic\n");
        return REPLAY_SKIP;
    }
    printf("replay: this is the build that wrote the plan: a nondeterminism\n");
    return CAMPAIGN_NONDETERMINISM;
}

static int judge_guided(const struct replay *replay, const struct run_result *result)
{
    const struct plan *plan = replay->plan;
    struct plan *again = plan_again(replay, plan->seed);
    uint32_t at;

    printf("replay: guided: %" PRIu64 " choices from the plan, %" PRIu64 " of %" PRIu64
           " not in it\n",
           result->decisions.answered, result->decisions.missed, result->decisions.decisions);
    if (again == NULL) return judge(replay, result);
    at = replay_diverged(plan, again);
    if (at < plan->fault_count && !replay_same(plan, result)) {
        tell_divergence(plan, again, at);
        plan_destroy(again);
        return REPLAY_SKIP;
    }
    plan_destroy(again);
    return judge(replay, result);
}

static int judge_semantic(const struct replay *replay, const struct run_result *result)
{
    if (result->missed) {
        printf("replay: diverged at event %" PRIu64 ": %s: its anchor no longer occurs\n",
               result->events, result->text);
        if (!replay_same(replay->plan, result)) return REPLAY_SKIP;
    }
    return judge(replay, result);
}

static int replay_run(struct replay *replay)
{
    const struct plan *plan = replay->plan;
    uint64_t seed = replay->has_seed ? replay->seed : plan->seed;
    struct run_result *result = sim_alloc(sizeof *result);
    char *text = replay->mode == REPLAY_SEMANTIC ? plan_to_scenario(plan, replay->pinned) : NULL;
    struct yaml_error error;
    int status = CAMPAIGN_USAGE;
    char file[1200];

    (void)snprintf(file, sizeof file, "%s/scenario.yaml", replay->path);
    replay->options.plan_path = replay->out == NULL ? replay->path : NULL;
    replay->options.no_file =
        (text != NULL && strcmp(text, plan->text) != 0) || access(file, R_OK) != 0;
    if (!replay_try(
            replay->options.no_file ? plan->scenario : file, text != NULL ? text : plan->text, seed,
            replay->mode == REPLAY_GUIDED ? plan : NULL, &replay->options, result, &error)) {
        fprintf(stderr, "gregor-sim: the scenario of the plan: %s\n", error.text);
    } else {
        tell_line(replay, result);
        switch ((enum replay_mode)replay->mode) {
        case REPLAY_EXACT: status = judge_exact(replay, result); break;
        case REPLAY_GUIDED: status = judge_guided(replay, result); break;
        case REPLAY_SEMANTIC: status = judge_semantic(replay, result); break;
        }
        if (result->verdict != RUN_PASS) fprintf(stderr, "%s\n", result->report);
    }
    free(text);
    free(result);
    return status;
}

static void remove_left(const struct replay *replay)
{
    static const char *const names[] = {"plan.gplan",  "scenario.yaml", "report.txt",
                                        "report.json", "trace.bin",     ""};
    uint64_t seed = replay->has_seed ? replay->seed : replay->plan->seed;
    char path[900];

    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s-%" PRIu64 "/%s", replay->directory,
                       replay->plan->scenario, seed, names[i]);
        (void)remove(path);
    }
    (void)remove(replay->directory);
}

int replay_command(int argc, char **argv, struct codecs *codecs)
{
    struct replay replay = {.mode = -1, .options = {.plan = true}};
    char error[PLAN_ERROR_MAX];
    int status = replay_options(argc, argv, &replay);

    if (status != 0) return status;
    replay.plan = plan_load(replay.path, error);
    if (replay.plan == NULL) {
        fprintf(stderr, "gregor-sim: %s: %s\n", replay.path, error);
        return CAMPAIGN_USAGE;
    }
    if (replay.print) {
        char *text = plan_to_scenario(replay.plan, replay.pinned);

        fputs(text, stdout);
        free(text);
        plan_destroy(replay.plan);
        return 0;
    }
    if (replay.mode < 0) {
        replay.mode = replay.plan->build == plan_build() ? REPLAY_EXACT : REPLAY_GUIDED;
    }
    (void)snprintf(replay.directory, sizeof replay.directory, "%s",
                   replay.out != NULL ? replay.out : "/tmp/gregor-replay-XXXXXX");
    if (replay.out == NULL && mkdtemp(replay.directory) == NULL) {
        plan_destroy(replay.plan);
        return replay_usage("no room in", "/tmp");
    }
    replay.options.out_dir = replay.directory;
    replay.options.trace = replay.out != NULL ? RUN_TRACE_FULL : RUN_TRACE_NONE;
    replay.options.codecs = codecs;
    status = replay_run(&replay);
    if (replay.out == NULL) remove_left(&replay);
    plan_destroy(replay.plan);
    return status;
}
