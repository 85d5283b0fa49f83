/* gregor-sim: runs scenarios, and says what they are made of. */
#include "sim/check_command.h"
#include "sim/determinism.h"
#include "sim/diff.h"
#include "sim/fuzz.h"
#include "sim/render_command.h"
#include "sim/replay.h"
#include "sim/shrink.h"
#include "sim/why.h"

#include "client/posix/codecs.h"

#include <glob.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef GREGOR_VERSION
#define GREGOR_VERSION "0.1.0"
#endif

enum { FILES_MAX = 1024 };

static const char usage_text[] =
    "usage: gregor-sim run FILE.yaml... [--seed N | --seeds A..B] [--jobs N] [--out DIR]\n"
    "                      [--trace none|ring|full] [--junit FILE] [--json FILE] [--no-fork]\n"
    "                      [--quiet] [-v] [--only-history] [--no-checks] [--plan]\n"
    "                      [--check-determinism 5%|always|off]\n"
    "       gregor-sim fuzz [FILE.yaml...] [--seeds FIRST | A..B] [--time-budget 60s] [--jobs N]\n"
    "                       [--max-fail N | --keep-going] [--shard I/N] [--out DIR]\n"
    "                       [--junit FILE] [--json FILE]\n"
    "       gregor-sim render TRACE|DIR... [--format html|svg|dot|text|perfetto] [--out DIR]\n"
    "                      [--window A..B] [--nodes 1,2,101] [--partition orders-0]\n"
    "                      [--follow orders-0@117]\n"
    "       gregor-sim check TRACE...\n"
    "       gregor-sim replay DIR|PLAN [--mode exact|guided|semantic] [--seed N]\n"
    "                      [--out DIR] [--same] [--pinned] [--print]\n"
    "       gregor-sim shrink DIR|PLAN [--out SMALL.yaml] [--time 60s]\n"
    "       gregor-sim why DIR|PLAN [--runs 10] [--out DIR]\n"
    "       gregor-sim diff DIR DIR [--out DIR]\n"
    "       gregor-sim lint FILE.yaml...\n"
    "       gregor-sim list [faults|checks|triggers|actions|conditions|workloads|marks|\n"
    "                       schema|reference]\n"
    "\n"
    "A seed is a number or a commit hash of 40 digits; GREGOR_SEED and GREGOR_JOBS stand in for\n"
    "--seeds and --jobs. fuzz without files takes those of scenarios/*.yaml with the tag\n"
    "campaign.\n"
    "One line per run on stdout. Exit: 0 all passed and were exercised, 1 safety, 2 usage or\n"
    "scenario error, 3 liveness, 4 not exercised, 5 nondeterminism, 6 crash of the system under\n"
    "test, 7 inconclusive, 8 simulator error.\n";

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "gregor-sim: %s%s%s; see gregor-sim --help\n", what, which != NULL ? ": " : "",
            which != NULL ? which : "");
    return CAMPAIGN_USAGE;
}

/* ---- options --------------------------------------------------------------------------------- */

/* Of a commit the first 12 digits count: small enough for any JSON reader. */
enum { COMMIT_DIGITS = 40, COMMIT_USED = 12 };

static bool parse_u64(const char *text, char **end, uint64_t *value)
{
    if (strspn(text, "0123456789abcdef") == COMMIT_DIGITS) {
        char digits[COMMIT_USED + 1] = "";

        memcpy(digits, text, COMMIT_USED);
        *value = strtoull(digits, NULL, 16);
        *end = (char *)(uintptr_t)text + COMMIT_DIGITS;
        return true;
    }
    if (*text < '0' || *text > '9') return false;
    *value = strtoull(text, end, 0);
    return true;
}

/* "7", "0x2a", "1..20" (both included), "5+100" */
static bool parse_seeds(const char *text, struct fuzz_options *fuzz)
{
    struct campaign_options *options = &fuzz->campaign;
    char *end = NULL;
    uint64_t last;

    if (!parse_u64(text, &end, &options->seed_first)) return false;
    options->has_seeds = true;
    options->seed_count = 1;
    if (*end == '\0') return true;
    fuzz->has_count = true;
    if (strncmp(end, "..", 2) == 0) {
        if (!parse_u64(end + 2, &end, &last) || *end != '\0') return false;
        if (last < options->seed_first || last - options->seed_first >= SCENARIO_SEEDS_MAX) {
            return false;
        }
        options->seed_count = last - options->seed_first + 1;
        return true;
    }
    if (*end != '+' || !parse_u64(end + 1, &end, &options->seed_count) || *end != '\0')
        return false;
    return options->seed_count > 0 && options->seed_count <= SCENARIO_SEEDS_MAX;
}

/* "5%", "always", "off" */
static bool parse_share(const char *text, uint32_t *per_million)
{
    struct unit_range range = {0, 0};
    char why[128];

    if (strcmp(text, "always") == 0) range.min = RNG_MILLION;
    if (range.min == 0 && strcmp(text, "off") != 0 &&
        (!units_parse(UNIT_SHARE, text, &range, why) || range.min > RNG_MILLION)) {
        return false;
    }
    *per_million = (uint32_t)range.min;
    return true;
}

/* "2/8" */
static bool parse_shard(const char *text, struct fuzz_options *fuzz)
{
    uint64_t shard = 0;
    uint64_t shards = 0;
    char *end = NULL;

    if (!parse_u64(text, &end, &shard) || *end != '/') return false;
    if (!parse_u64(end + 1, &end, &shards) || *end != '\0') return false;
    if (shard < 1 || shard > shards || shards > 1000000) return false;
    fuzz->shard = (uint32_t)shard;
    fuzz->shards = (uint32_t)shards;
    return true;
}

/* Those of fuzz; 0, or an exit code. */
static int parse_fuzz_option(struct fuzz_options *fuzz, const char *name, const char *value)
{
    struct unit_range range;
    char why[128];
    char *end = NULL;

    if (strcmp(name, "--time-budget") == 0) {
        if (!units_parse(UNIT_TIME, value, &range, why) || range.min < 1) {
            return usage_error("--time-budget: a time, such as 60s", value);
        }
        fuzz->time_budget_ns = range.min;
    } else if (strcmp(name, "--max-fail") == 0) {
        if (!parse_u64(value, &end, &fuzz->max_fail) || *end != '\0') {
            return usage_error("--max-fail: a number; 0 keeps going", value);
        }
    } else if (!parse_shard(value, fuzz)) {
        return usage_error("--shard: I/N, I from 1 to N", value);
    }
    return 0;
}

/* 0, or an exit code. */
static int parse_option(struct fuzz_options *fuzz, const char *name, const char *value)
{
    struct campaign_options *options = &fuzz->campaign;
    uint64_t number;
    char *end = NULL;

    if (strcmp(name, "--seed") == 0 || strcmp(name, "--seeds") == 0) {
        if (!parse_seeds(value, fuzz)) return usage_error("wanted is N, A..B or A+COUNT", value);
    } else if (strcmp(name, "--jobs") == 0) {
        if (!parse_u64(value, &end, &number) || *end != '\0' || number < 1 || number > 64) {
            return usage_error("--jobs: 1 to 64", value);
        }
        options->jobs = (uint32_t)number;
    } else if (strcmp(name, "--out") == 0) {
        options->run.out_dir = value;
    } else if (strcmp(name, "--trace") == 0) {
        int index = language_choice("none ring full", value);

        if (index < 0) return usage_error("--trace: none, ring or full", value);
        options->run.trace = (enum run_trace)index;
        options->trace_given = true;
    } else if (strcmp(name, "--check-determinism") == 0) {
        if (!parse_share(value, &options->run.check_determinism)) {
            return usage_error("--check-determinism: always, off or a share such as 5%", value);
        }
    } else if (strcmp(name, "--junit") == 0) {
        options->junit_path = value;
    } else if (strcmp(name, "--json") == 0) {
        options->json_path = value;
    } else {
        return parse_fuzz_option(fuzz, name, value);
    }
    return 0;
}

static bool takes_value(const char *name, bool fuzz)
{
    if (fuzz && language_choice("--time-budget --max-fail --shard", name) >= 0) return true;
    return language_choice("--seed --seeds --jobs --out --trace --junit --json --check-determinism",
                           name) >= 0;
}

static int parse_options(int argc, char **argv, bool is_fuzz, struct fuzz_options *fuzz,
                         const char **files, uint32_t *file_count)
{
    struct campaign_options *options = &fuzz->campaign;

    for (int i = 2; i < argc; i++) {
        const char *arg = argv[i];

        if (takes_value(arg, is_fuzz)) {
            int status;

            if (i + 1 == argc) return usage_error("needs a value", arg);
            status = parse_option(fuzz, arg, argv[++i]);
            if (status != 0) return status;
        } else if (is_fuzz && strcmp(arg, "--keep-going") == 0) {
            fuzz->max_fail = 0;
        } else if (strcmp(arg, "--no-fork") == 0) {
            options->no_fork = true;
        } else if (strcmp(arg, "--no-checks") == 0) {
            options->run.no_checks = true;
        } else if (strcmp(arg, "--plan") == 0) {
            options->run.plan = true;
        } else if (strcmp(arg, "--only-history") == 0) {
            options->run.only_history = true;
        } else if (strcmp(arg, "--quiet") == 0) {
            options->quiet = true;
        } else if (strcmp(arg, "-v") == 0 || strcmp(arg, "--verbose") == 0) {
            options->run.verbose = true;
        } else if (arg[0] == '-') {
            return usage_error("unknown option", arg);
        } else if (*file_count == FILES_MAX) {
            return usage_error("too many files", NULL);
        } else {
            files[(*file_count)++] = arg;
        }
    }
    return *file_count > 0 || is_fuzz ? 0 : usage_error("a scenario file is wanted", NULL);
}

/* What the environment says where the command line does not. */
static int parse_environment(struct fuzz_options *fuzz)
{
    const char *seed = getenv("GREGOR_SEED");
    const char *jobs = getenv("GREGOR_JOBS");

    if (seed != NULL && seed[0] != '\0') {
        int status = parse_option(fuzz, "--seeds", seed);

        if (status != 0) return status;
    }
    return jobs != NULL && jobs[0] != '\0' ? parse_option(fuzz, "--jobs", jobs) : 0;
}

/* ---- commands -------------------------------------------------------------------------------- */

/* All files, or none: an error is said and stops everything. */
static int load_all(const char **files, uint32_t count, struct scenario **scenarios)
{
    struct yaml_error error;
    int status = 0;

    for (uint32_t i = 0; i < count; i++) {
        scenarios[i] = scenario_load(files[i], &error);
        if (scenarios[i] != NULL) continue;
        fprintf(stderr, "%s\n", error.text);
        status = CAMPAIGN_USAGE;
    }
    return status;
}

/* Also the configuration that the nodes would get. */
static int lint_all(struct scenario **scenarios, uint32_t count)
{
    int status = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct sim_config config = sim_config_default(1);
        struct sim *sim = sim_create(&config);
        struct errmsg error;
        struct cluster *cluster = cluster_create(sim, scenarios[i], NULL, &error);

        if (cluster == NULL) {
            fprintf(stderr, "%s: cluster: %s\n", scenarios[i]->file, error.text);
            status = CAMPAIGN_USAGE;
        }
        sim_destroy(sim);
        cluster_destroy(cluster);
    }
    return status;
}

enum command { COMMAND_RUN, COMMAND_LINT, COMMAND_FUZZ };

static bool of_campaigns(const char *path)
{
    struct yaml_error error = {.text = ""};
    struct scenario *scenario = scenario_load(path, &error);
    bool is = false;

    if (scenario == NULL) return true; /* it is told of when all are read */
    for (uint32_t i = 0; i < scenario->tag_count; i++)
        is = is || strcmp(scenario->tags[i], "campaign") == 0;
    scenario_destroy(scenario);
    return is;
}

/* Those of the library for campaigns: the random ones, and scripts of what chance brings about too
 * seldom for a campaign to come through it. */
static uint32_t default_files(const char **files, glob_t *found)
{
    uint32_t count = 0;

    if (glob("scenarios/*.yaml", 0, NULL, found) != 0) return 0;
    for (size_t i = 0; i < found->gl_pathc && count < FILES_MAX; i++) {
        if (of_campaigns(found->gl_pathv[i])) files[count++] = found->gl_pathv[i];
    }
    return count;
}

static int command_fuzz(struct scenario **scenarios, uint32_t count, struct fuzz_options *options)
{
    if (!options->campaign.has_seeds) {
        options->campaign.seed_first = fuzz_random_seed();
        options->campaign.has_seeds = true;
    }
    if (!options->has_count && options->time_budget_ns == 0) {
        options->time_budget_ns = 60 * NS_PER_SEC;
    }
    return fuzz_run(scenarios, count, options);
}

static int command_run(int argc, char **argv, enum command command)
{
    struct fuzz_options options = {.campaign = {.jobs = 1, .run = {.out_dir = "build/report"}},
                                   .max_fail = FUZZ_MAX_FAIL,
                                   .shard = 1,
                                   .shards = 1};
    glob_t found = {0};
    const char *files[FILES_MAX];
    struct scenario *scenarios[FILES_MAX] = {NULL};
    struct codecs codecs;
    uint32_t count = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int status;

    if (cores > 1) options.campaign.jobs = cores > 64 ? 64 : (uint32_t)cores;
    if (command == COMMAND_FUZZ) options.campaign.run.check_determinism = RNG_MILLION / 20;
    status = parse_environment(&options);
    if (status == 0) {
        status = parse_options(argc, argv, command == COMMAND_FUZZ, &options, files, &count);
    }
    if (status != 0) return status;
    if (count == 0) count = default_files(files, &found);
    if (count == 0)
        return usage_error("no scenarios/*.yaml with the tag campaign here; name a file", NULL);
    status = load_all(files, count, scenarios);
    if (status == 0) status = lint_all(scenarios, count);
    if (status == 0 && command != COMMAND_LINT) {
        if (codecs_create(&codecs) != ERR_NONE) return usage_error("no memory", NULL);
        options.campaign.run.codecs = &codecs;
        status = command == COMMAND_RUN ? campaign_run(scenarios, count, &options.campaign)
                                        : command_fuzz(scenarios, count, &options);
        codecs_destroy(&codecs);
    }
    for (uint32_t i = 0; i < count; i++)
        scenario_destroy(scenarios[i]);
    globfree(&found);
    return status;
}

static void put_line(void *context, const char *line)
{
    (void)context;
    puts(line);
}

static int command_list(int argc, char **argv)
{
    const char *table = argc > 2 ? argv[2] : NULL;
    const struct check_info *info;

    if (argc > 3) return usage_error("one table at a time", argv[3]);
    if (table == NULL || strcmp(table, "checks") == 0) {
        puts("checks");
        for (uint32_t i = 0; (info = check_list(i)) != NULL; i++)
            printf("  %-6s %-36s %s\n", info->id, info->name, info->sentence);
        if (table != NULL) return 0;
    }
    if (table == NULL || strcmp(table, "marks") == 0) {
        puts("marks");
        for (uint32_t i = 0; i < MARKS; i++)
            printf("  %-26s %s\n", mark_name((enum mark)i), mark_about((enum mark)i));
        if (table != NULL) return 0;
    }
    if (language_list(table, put_line, NULL)) return 0;
    return usage_error("no such table", table);
}

static int with_codecs(int argc, char **argv,
                       int (*command)(int argc, char **argv, struct codecs *codecs))
{
    struct codecs codecs;
    int status;

    if (codecs_create(&codecs) != ERR_NONE) return usage_error("no memory", NULL);
    status = command(argc, argv, &codecs);
    codecs_destroy(&codecs);
    return status;
}

int main(int argc, char **argv)
{
    static const char *const later = "serve ctl";

    (void)setlocale(LC_ALL, "C");
    if (argc < 2) return usage_error("a command is wanted", NULL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0 && (i > 1 || strcmp(argv[i], "-h") != 0)) continue;
        fputs(usage_text, stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("gregor-sim " GREGOR_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "run") == 0) return command_run(argc, argv, COMMAND_RUN);
    if (strcmp(argv[1], "lint") == 0) return command_run(argc, argv, COMMAND_LINT);
    if (strcmp(argv[1], "fuzz") == 0) return command_run(argc, argv, COMMAND_FUZZ);
    if (strcmp(argv[1], "replay") == 0) return with_codecs(argc, argv, replay_command);
    if (strcmp(argv[1], "shrink") == 0) return with_codecs(argc, argv, shrink_command);
    if (strcmp(argv[1], "why") == 0) return with_codecs(argc, argv, why_command);
    if (strcmp(argv[1], "diff") == 0) return diff_command(argc, argv);
    if (strcmp(argv[1], "again") == 0) return with_codecs(argc, argv, determinism_child);
    if (strcmp(argv[1], "list") == 0) return command_list(argc, argv);
    if (strcmp(argv[1], "check") == 0) return check_command(argc, argv);
    if (strcmp(argv[1], "render") == 0) return render_command(argc, argv);
    if (language_choice(later, argv[1]) >= 0) {
        return usage_error("not available in this version", argv[1]);
    }
    return usage_error("unknown command", argv[1]);
}
