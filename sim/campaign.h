/* Many runs: every scenario with every seed, each in a process of its own (or not), in parallel,
 * told in the order of scenarios and seeds whatever the order in which they end. */
#ifndef SIM_CAMPAIGN_H
#define SIM_CAMPAIGN_H

#include "sim/run.h"

#include <stdio.h>

enum { CAMPAIGN_JOBS_MAX = 64 };

/* simulation.md 7 */
enum campaign_exit {
    CAMPAIGN_PASSED = 0,
    CAMPAIGN_SAFETY = 1,
    CAMPAIGN_USAGE = 2,
    CAMPAIGN_LIVENESS = 3,
    CAMPAIGN_UNEXERCISED = 4,
    CAMPAIGN_NONDETERMINISM = 5,
    CAMPAIGN_CRASH = 6,
    CAMPAIGN_INCONCLUSIVE = 7,
    CAMPAIGN_SIMULATOR = 8,
};

struct campaign_options {
    struct run_options run;
    bool has_seeds; /* the command line wins over the file */
    uint64_t seed_first;
    uint64_t seed_count;
    uint32_t jobs;
    bool no_fork;
    bool quiet;
    bool trace_given; /* otherwise: full for the first seed of each scenario, ring for the others */
    const char *json_path;
    const char *junit_path;
};

/* Runs all; prints one line per run on stdout and reports on stderr. The exit code. */
int campaign_run(struct scenario **scenarios, uint32_t count,
                 const struct campaign_options *options);
/* The line of one run, without its end of line. */
void campaign_line(const struct scenario *scenario, const struct run_result *result, char *line,
                   size_t size);
/* A line a fault and a line an oracle, on stderr. */
void campaign_tell_numbers(const struct run_result *result);
/* One object on one line. */
void campaign_tell_json(FILE *file, const struct scenario *scenario,
                        const struct run_result *result);
void campaign_tell_junit(FILE *file, const struct scenario *scenario,
                         const struct run_result *result);
/* mkdir -p; what fails shows when a file is opened there. */
void campaign_directory(const char *path);
/* For writing; NULL is no file. False: it cannot be, said. */
bool campaign_open(const char *path, FILE **file);
/* The first of the order 8, 2, 5, 6, 1, 3, 4, 7 that is present. */
int campaign_exit_of(const uint64_t verdicts[RUN_VERDICTS]);

#endif
