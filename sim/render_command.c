/* gregor-sim render TRACE|DIR...: pages, figures, text and JSON from traces.
 *
 * A directory is what a run left: its trace.bin, and facts.txt with what a trace does not hold. A
 * page or figures go to the directory (of --out, else where the trace lies); text goes to stdout
 * unless --out is given.
 *
 * Several traces of real processes are one cluster, merged into one timeline. Several runs are told
 * one by one: below --out a directory each, and over their pages an index. Without --out each page
 * is drawn where its run lies; the index there is that of the campaign, and stays. */
#include "sim/render_command.h"

#include "sim/campaign.h"
#include "sim/render_index.h"

#include "client/base/err.h"
#include "reports/reports.h"
#include "sim/trace_inputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RENDER_INPUTS_MAX = 256, RENDER_NODES_MAX = 64, RENDER_PATH_MAX = 1024 };

enum render_format { RENDER_HTML, RENDER_SVG, RENDER_DOT, RENDER_TEXT, RENDER_PERFETTO };

struct render_options {
    enum render_format format;
    bool has_format;
    const char *out;
    bool has_window;
    int64_t from_ns;
    int64_t to_ns;
    int32_t nodes[RENDER_NODES_MAX];
    uint32_t node_count;
    char partition[256]; /* "": the most eventful */
    bool follow;
    int64_t offset;
    bool ascii;
    uint32_t columns; /* 0: as the terminal says */
    const char *inputs[RENDER_INPUTS_MAX];
    uint32_t input_count;
};

/* mkdir -p; what fails shows when a file is opened there. */
static void make_directory(const char *path)
{
    char part[RENDER_PATH_MAX];

    for (size_t i = 1; path[i - 1] != '\0' && i < sizeof part; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        (void)snprintf(part, sizeof part, "%.*s", (int)i, path);
        (void)mkdir(part, 0777);
    }
}

static int wrong(const char *what, const char *which)
{
    fprintf(stderr, "gregor-sim: render: %s%s%s; see gregor-sim --help\n", what,
            which != NULL ? ": " : "", which != NULL ? which : "");
    return CAMPAIGN_USAGE;
}

/* ---- options --------------------------------------------------------------------------------- */

/* "12", "12.5", "12s", "340ms", "7us": nanoseconds; seconds without a unit. */
static bool parse_time(const char *text, const char **end, int64_t *ns)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"ms", 1000000}, {"us", 1000}, {"ns", 1}, {"s", 1000000000}, {"", 1000000000}};
    int64_t whole = 0;
    int64_t part = 0;
    int64_t scale = 1;

    if (*text < '0' || *text > '9') return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (whole > 1000000000) return false;
        whole = whole * 10 + (*text - '0');
    }
    if (text[0] == '.' && text[1] >= '0' && text[1] <= '9') {
        for (text++; *text >= '0' && *text <= '9'; text++) {
            if (scale == 1000000000) continue;
            part = part * 10 + (*text - '0');
            scale *= 10;
        }
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t length = strlen(units[i].unit);

        if (strncmp(text, units[i].unit, length) != 0) continue;
        *ns = whole * units[i].ns + part * (units[i].ns / scale > 0 ? units[i].ns / scale : 0);
        if (units[i].ns % scale != 0) *ns = whole * units[i].ns + part * units[i].ns / scale;
        *end = text + length;
        return true;
    }
    return false;
}

static bool parse_window(struct render_options *options, const char *text)
{
    const char *at;

    options->from_ns = 0;
    options->to_ns = INT64_MAX;
    options->has_window = true;
    if (strncmp(text, "..", 2) != 0) {
        if (!parse_time(text, &at, &options->from_ns)) return false;
        text = at;
    }
    if (strncmp(text, "..", 2) != 0) return false;
    text += 2;
    if (*text == '\0') return true;
    return parse_time(text, &at, &options->to_ns) && *at == '\0' &&
           options->from_ns < options->to_ns;
}

static bool parse_nodes(struct render_options *options, const char *text)
{
    while (options->node_count < RENDER_NODES_MAX) {
        char *end;
        long id;

        if (*text < '0' || *text > '9') return false;
        id = strtol(text, &end, 10);
        if (id > INT32_MAX) return false;
        options->nodes[options->node_count++] = (int32_t)id;
        if (*end == '\0') return true;
        if (*end != ',') return false;
        text = end + 1;
    }
    return false;
}

/* TOPIC-P, with @OFFSET behind it. */
static bool parse_partition(struct render_options *options, const char *text, bool offset)
{
    const char *at = offset ? strrchr(text, '@') : text + strlen(text);
    size_t length = at != NULL ? (size_t)(at - text) : 0;
    const char *dash = NULL;
    char *end;

    if (length < 3 || length >= sizeof options->partition) return false;
    memcpy(options->partition, text, length);
    options->partition[length] = '\0';
    dash = strrchr(options->partition, '-');
    if (dash == NULL || dash[1] < '0' || dash[1] > '9' ||
        dash[1 + strspn(dash + 1, "0123456789")] != '\0')
        return false;
    if (!offset) return true;
    if (at[1] < '0' || at[1] > '9') return false;
    errno = 0;
    options->offset = strtoll(at + 1, &end, 10);
    options->follow = true;
    return *end == '\0' && errno == 0;
}

static int parse_value(struct render_options *options, const char *name, const char *value)
{
    static const char *const formats[] = {"html", "svg", "dot", "text", "perfetto"};

    if (strcmp(name, "--out") == 0) {
        options->out = value;
        return 0;
    }
    if (strcmp(name, "--format") == 0) {
        for (uint32_t i = 0; i < COUNT_OF(formats); i++) {
            if (strcmp(value, formats[i]) != 0) continue;
            options->format = (enum render_format)i;
            options->has_format = true;
            return 0;
        }
        return wrong("--format: html, svg, dot, text or perfetto", value);
    }
    if (strcmp(name, "--window") == 0)
        return parse_window(options, value)
                   ? 0
                   : wrong("--window: A..B as 12s..14.5s or 340ms..", value);
    if (strcmp(name, "--nodes") == 0)
        return parse_nodes(options, value) ? 0 : wrong("--nodes: numbers as 1,2,101", value);
    if (strcmp(name, "--partition") == 0)
        return parse_partition(options, value, false) ? 0
                                                      : wrong("--partition: as orders-0", value);
    if (strcmp(name, "--columns") == 0) {
        options->columns = (uint32_t)strtoul(value, NULL, 10);
        return options->columns >= 40 && options->columns <= 1000
                   ? 0
                   : wrong("--columns: 40 to 1000", value);
    }
    return parse_partition(options, value, true) ? 0 : wrong("--follow: as orders-0@117", value);
}

static int parse(int argc, char **argv, struct render_options *options)
{
    static const char *const values[] = {"--format", "--out",       "--window", "--nodes",
                                         "--follow", "--partition", "--columns"};

    for (int i = 2; i < argc; i++) {
        bool takes = false;

        for (uint32_t k = 0; k < COUNT_OF(values); k++)
            takes = takes || strcmp(argv[i], values[k]) == 0;
        if (takes) {
            int status;

            if (i + 1 == argc) return wrong("needs a value", argv[i]);
            status = parse_value(options, argv[i], argv[i + 1]);
            if (status != 0) return status;
            i++;
        } else if (strcmp(argv[i], "--ascii") == 0) {
            options->ascii = true;
        } else if (argv[i][0] == '-') {
            return wrong("unknown option", argv[i]);
        } else if (options->input_count == RENDER_INPUTS_MAX) {
            return wrong("too many traces", NULL);
        } else {
            options->inputs[options->input_count++] = argv[i];
        }
    }
    if (options->follow && options->has_format && options->format != RENDER_TEXT)
        return wrong("--follow is text", NULL);
    if (options->follow) options->format = RENDER_TEXT;
    return options->input_count > 0 ? 0
                                    : wrong("a trace or the directory of a run is wanted", NULL);
}

/* ---- one input ------------------------------------------------------------------------------- */

struct render_job {
    const struct render_options *options;
    struct reports_run run;
    char trace[RENDER_PATH_MAX];     /* the file */
    char directory[RENDER_PATH_MAX]; /* of what is written */
    char name[128];                  /* of the run: last part of its directory, or file */
    void *facts;
    struct render_index *index; /* NULL: none is made */
};

static void last_part(const char *path, char *name, size_t size)
{
    size_t end = strlen(path);
    size_t begin;

    while (end > 1 && path[end - 1] == '/')
        end--;
    begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    (void)snprintf(name, size, "%.*s", (int)(end - begin), path + begin);
}

static int said(const struct render_job *job, enum err err)
{
    switch (err) {
    case ERR_NOT_FOUND:
        if (access(job->trace, R_OK) != 0)
            fprintf(stderr, "gregor-sim: %s: %s\n", job->trace, strerror(errno));
        else if (job->options->follow)
            fprintf(stderr, "gregor-sim: %s: nothing is about %s@%lld\n", job->trace,
                    job->options->partition, (long long)job->options->offset);
        else
            fprintf(stderr, "gregor-sim: %s: no partition %s\n", job->trace,
                    job->options->partition);
        return CAMPAIGN_USAGE;
    case ERR_MALFORMED:
    case ERR_UNSUPPORTED:
        fprintf(stderr, "gregor-sim: %s: %s\n", job->trace,
                err == ERR_MALFORMED ? "no trace file" : "a trace of a newer version");
        return CAMPAIGN_USAGE;
    default:
        fprintf(stderr, "gregor-sim: %s: %s\n",
                job->directory[0] != '\0' ? job->directory : job->trace, err_name(err));
        return CAMPAIGN_SIMULATOR;
    }
}

static bool put(const struct render_job *job, const char *file, const char *text, size_t length)
{
    char path[RENDER_PATH_MAX + 64];
    FILE *out = stdout;
    bool good;

    if (job->options->out != NULL) {
        make_directory(job->directory);
        (void)snprintf(path, sizeof path, "%s/%s", job->directory, file);
        out = fopen(path, "wb");
        if (out == NULL) return false;
    }
    good = fwrite(text, 1, length, out) == length;
    if (out != stdout) good = fclose(out) == 0 && good;
    if (good && out != stdout) printf("%s\n", path);
    return good;
}

static struct reports_look look_of(const struct render_options *options)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *locale = getenv("LC_ALL");
    struct reports_look look = {
        .columns = options->columns, .ascii = options->ascii, .offset = options->offset};
    struct winsize size;

    if (options->out != NULL || isatty(STDOUT_FILENO) == 0) return look;
    look.colour = no_colour == NULL || no_colour[0] == '\0';
    if (look.columns == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        look.columns = size.ws_col;
    if (locale == NULL || locale[0] == '\0') locale = getenv("LC_CTYPE");
    if (locale == NULL || locale[0] == '\0') locale = getenv("LANG");
    if (locale != NULL && (strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0))
        look.ascii = true;
    return look;
}

static int render_text(struct render_job *job)
{
    const struct render_options *options = job->options;
    bool perfetto = options->format == RENDER_PERFETTO;
    char *text = NULL;
    size_t length = 0;
    bool good;
    enum err err;

    err = reports_render_text(&job->run,
                              perfetto          ? REPORTS_PERFETTO
                              : options->follow ? REPORTS_FOLLOW
                                                : REPORTS_TIMELINE,
                              look_of(options), &text, &length);
    if (err != ERR_NONE) return said(job, err);
    if (options->format == RENDER_TEXT && options->out == NULL && options->input_count > 1)
        printf("== %s\n", job->name);
    good = put(job,
               perfetto          ? "trace.json"
               : options->follow ? "follow.txt"
                                 : "timeline.txt",
               text, length);
    free(text);
    if (good && options->format == RENDER_TEXT && !options->follow && options->out == NULL &&
        job->run.replay != NULL)
        printf("%s\n", job->run.replay);
    return good ? 0 : said(job, ERR_IO);
}

static int render_files(struct render_job *job)
{
    struct reports_result result = {.figures = false};
    bool html = job->options->format == RENDER_HTML;
    enum err err;

    if (html)
        err = reports_render_run(&job->run, &result);
    else
        err = reports_render_figures(&job->run, job->options->format == RENDER_SVG, &result);
    if (err != ERR_NONE) return said(job, err);
    if (result.note[0] != '\0') fprintf(stderr, "gregor-sim: %s\n", result.note);
    if (job->index != NULL) {
        char page[160];

        (void)snprintf(page, sizeof page, "%s/index.html", job->name);
        render_index_add(job->index, &job->run, &result, page);
    }
    printf("%s%s\n", job->directory, html ? "/index.html" : "/");
    return 0;
}

/* The last part of a path; where an earlier input has the same one, with a number behind it. */
static void name_of(const struct render_options *options, const char *input, char *name,
                    size_t size)
{
    uint32_t before = 0;

    last_part(input, name, size);
    for (uint32_t i = 0; i < options->input_count && options->inputs[i] != input; i++) {
        char other[128];

        last_part(options->inputs[i], other, sizeof other);
        before += strcmp(name, other) == 0;
    }
    if (before > 0) (void)snprintf(name + strlen(name), size - strlen(name), "~%u", before + 1);
}

/* `real`: the traces of all inputs, merged into one picture; NULL: this input alone. */
static int render_one(const struct render_options *options, const char *input,
                      const struct trace_inputs *real, struct render_index *index)
{
    struct render_job *job = calloc(1, sizeof *job);
    struct stat info;
    bool is_directory;
    char beside[RENDER_PATH_MAX];
    int status;

    if (job == NULL) return CAMPAIGN_SIMULATOR;
    job->options = options;
    job->index = index;
    is_directory = stat(input, &info) == 0 && S_ISDIR(info.st_mode);
    (void)snprintf(beside, sizeof beside, "%s", input);
    if (!is_directory) {
        char *slash = strrchr(beside, '/');

        if (slash != NULL)
            *slash = '\0';
        else
            (void)snprintf(beside, sizeof beside, ".");
    }
    (void)snprintf(job->trace, sizeof job->trace, "%s%s", input, is_directory ? "/trace.bin" : "");
    name_of(options, input, job->name, sizeof job->name);
    if (options->out == NULL)
        (void)snprintf(job->directory, sizeof job->directory, "%s", beside);
    else if (options->input_count == 1 || real != NULL)
        (void)snprintf(job->directory, sizeof job->directory, "%s", options->out);
    else
        (void)snprintf(job->directory, sizeof job->directory, "%s/%s", options->out, job->name);
    reports_facts_load(beside, &job->run, &job->facts);
    if (real != NULL)
        job->run.trace = real->trace;
    else
        job->run.trace_path = job->trace;
    job->run.directory = job->directory;
    if (options->partition[0] != '\0') job->run.focus = options->partition;
    job->run.has_window = options->has_window;
    job->run.from_ns = options->from_ns;
    job->run.to_ns = options->to_ns;
    job->run.nodes = options->nodes;
    job->run.node_count = options->node_count;
    /* The merged trace stays beside what was drawn from it. */
    if (real != NULL && options->out != NULL) {
        char path[RENDER_PATH_MAX + 16];
        FILE *file;

        (void)snprintf(path, sizeof path, "%s/trace.bin", job->directory);
        file = fopen(path, "wb");
        if (file != NULL) {
            (void)fwrite(real->trace.data, 1, real->trace.length, file);
            (void)fclose(file);
        }
    }
    status = options->format == RENDER_TEXT || options->format == RENDER_PERFETTO
                 ? render_text(job)
                 : render_files(job);
    free(job->facts);
    free(job);
    return status;
}

static int render_merged(const struct render_options *options)
{
    struct trace_inputs *inputs = calloc(1, sizeof *inputs);
    int status = CAMPAIGN_USAGE;

    if (inputs == NULL) return CAMPAIGN_SIMULATOR;
    if (trace_inputs_open(inputs, options->inputs, options->input_count)) {
        if (options->format != RENDER_TEXT) trace_inputs_tell(inputs, options->inputs);
        status = render_one(options, options->inputs[0], inputs, NULL);
    }
    trace_inputs_close(inputs);
    free(inputs);
    return status;
}

static int render_each(const struct render_options *options)
{
    bool indexed =
        options->format == RENDER_HTML && options->out != NULL && options->input_count > 1;
    struct render_index *index = indexed ? render_index_create() : NULL;
    int status = 0;

    for (uint32_t i = 0; status == 0 && i < options->input_count; i++)
        status = render_one(options, options->inputs[i], NULL, index);
    if (status != 0 || index == NULL) {
        render_index_free(index);
        return status;
    }
    if (render_index_finish(index, options->out) != ERR_NONE) {
        fprintf(stderr, "gregor-sim: %s/index.html: %s\n", options->out, strerror(errno));
        return CAMPAIGN_SIMULATOR;
    }
    printf("%s/index.html\n", options->out);
    return 0;
}

static int render_all(const struct render_options *options)
{
    uint32_t real = 0;
    uint32_t simulated = 0;
    struct stat info;

    for (uint32_t i = 0; i < options->input_count; i++) {
        bool of_simulation = false;

        if (!trace_inputs_kind(options->inputs[i], &of_simulation)) continue; /* said below */
        simulated += of_simulation;
        real += !of_simulation;
    }
    if (real > 0 && simulated > 0)
        return wrong("traces of real processes are merged, runs are not: one or the other", NULL);
    /* What a directory holds alone was merged before. */
    if (real > 1 ||
        (real == 1 && (options->input_count > 1 ||
                       (stat(options->inputs[0], &info) == 0 && S_ISREG(info.st_mode)))))
        return render_merged(options);
    return render_each(options);
}

int render_command(int argc, char **argv)
{
    struct render_options *options = calloc(1, sizeof *options);
    int status;

    if (options == NULL) return CAMPAIGN_SIMULATOR;
    status = parse(argc, argv, options);
    if (status == 0 && options->out != NULL) {
        make_directory(options->out);
        if (access(options->out, W_OK) != 0) {
            fprintf(stderr, "gregor-sim: %s: %s\n", options->out, strerror(errno));
            status = CAMPAIGN_SIMULATOR;
        }
    }
    if (status == 0) status = render_all(options);
    free(options);
    return status;
}
