#include "sim/campaign_child.h"

#include "sim/determinism.h"

#include "sim/campaign.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CHILD_SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { CHILD_SANITIZED = 1 };
#else
enum { CHILD_SANITIZED = 0 };
#endif
#else
enum { CHILD_SANITIZED = 0 };
#endif
enum {
    CHILD_EXIT_ASSERTION = 6,
    CHILD_EXIT_SANITIZER = 1,
    CHILD_POLL_MS = 1000,
};

int64_t campaign_wall_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

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

static struct rlimit limit(uint64_t value)
{
    return (struct rlimit){value, value};
}

/* Shadow memory of sanitizers does not fit in any sensible address space. */
static void child_limits(void)
{
    const struct rlimit core = limit(0);
    const struct rlimit cpu = limit(CHILD_CPU_SECONDS);
    const struct rlimit memory = limit(CHILD_SANITIZED != 0 ? RLIM_INFINITY : CHILD_ADDRESS_SPACE);

    (void)setrlimit(RLIMIT_CORE, &core);
    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)setrlimit(RLIMIT_AS, &memory);
}

/* Some seeds twice, the second time in a process of another kind. */
void campaign_child_run(struct campaign_job *job)
{
    run_scenario(job->scenario, job->seed, &job->options, job->result);
    if (determinism_chosen(job->seed, job->options.check_determinism)) {
        (void)determinism_rerun(job->scenario, job->seed, &job->options, job->result);
    }
}

bool campaign_child_start(struct campaign_job *job)
{
    int fds[2];

    if (pipe(fds) != 0) return false;
    (void)fflush(NULL); /* the child would write once more what any file has buffered */
    job->pid = fork();
    if (job->pid < 0) return false;
    if (job->pid == 0) {
        (void)close(fds[0]);
        child_limits();
        campaign_child_run(job);
        write_all(fds[1], job->result, sizeof *job->result);
        _exit(0);
    }
    (void)close(fds[1]);
    job->fd = fds[0];
    job->got = 0;
    job->ended = job->late = false;
    job->deadline_ns = campaign_wall_ns() + CHILD_WALL_SECONDS * NS_PER_SEC;
    return true;
}

static bool child_crashed(int code)
{
    static const int crashes[] = {CHILD_EXIT_ASSERTION, CHILD_EXIT_SANITIZER};

    for (uint32_t i = 0; i < 1 + CHILD_SANITIZED; i++) {
        if (code == crashes[i]) return true;
    }
    return false;
}

/* What the end of a child means that did not say it itself. */
static void child_died(struct campaign_job *job, int status)
{
    struct run_result *result = job->result;
    int sign = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

    memset(result, 0, sizeof *result);
    result->seed = job->seed;
    result->node = -1;
    if (job->late || sign == SIGXCPU || code == CAMPAIGN_INCONCLUSIVE) {
        result->verdict = RUN_INCONCLUSIVE;
        (void)snprintf(result->text, sizeof result->text, "%s",
                       job->late         ? "the limit of wall time was reached"
                       : sign == SIGXCPU ? "the limit of CPU time was reached"
                                         : "the limit of memory was reached");
    } else if (sign == SIGKILL || sign == SIGTERM || sign == SIGINT) {
        result->verdict = RUN_INCONCLUSIVE;
        (void)snprintf(result->text, sizeof result->text, "killed from outside");
    } else if (sign != 0) {
        result->verdict = RUN_CRASH;
        (void)snprintf(result->text, sizeof result->text, "the process died of signal %d (%s)",
                       sign, strsignal(sign));
    } else if (child_crashed(code)) {
        result->verdict = RUN_CRASH;
        (void)snprintf(result->text, sizeof result->text, "%s",
                       code == CHILD_EXIT_ASSERTION ? "an assertion ended the process"
                                                    : "a sanitizer ended the process");
    } else {
        result->verdict = RUN_ERROR;
        (void)snprintf(result->text, sizeof result->text, "the process ended with status %d", code);
    }
}

static void child_ended(struct campaign_job *job)
{
    int status = 0;

    (void)close(job->fd);
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (job->got != sizeof *job->result) child_died(job, status);
    job->ended = true;
}

static void child_news(struct campaign_job *job)
{
    ssize_t n = read(job->fd, (char *)job->result + job->got, sizeof *job->result - job->got);

    if (n < 0 && errno == EINTR) return;
    if (n > 0) job->got += (size_t)n;
    if (n <= 0 || job->got == sizeof *job->result) child_ended(job);
}

void campaign_child_wait(struct campaign_job **jobs, uint32_t count, int timeout_ms)
{
    struct pollfd polls[CAMPAIGN_JOBS_MAX];
    int64_t now_ns = campaign_wall_ns();

    ASSERT(count <= CAMPAIGN_JOBS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        polls[i] = (struct pollfd){.fd = jobs[i]->fd, .events = POLLIN};
        if (now_ns < jobs[i]->deadline_ns || jobs[i]->late) continue;
        jobs[i]->late = true;
        (void)kill(jobs[i]->pid, SIGKILL);
    }
    if (timeout_ms < 0 || timeout_ms > CHILD_POLL_MS) timeout_ms = CHILD_POLL_MS;
    if (poll(polls, count, timeout_ms) <= 0) return;
    for (uint32_t i = 0; i < count; i++) {
        if (polls[i].revents != 0) child_news(jobs[i]);
    }
}

void campaign_child_compare(struct campaign_job *job)
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
