#include "sim/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PLAN_VALUES_MAX = 1 << 24 };

#ifndef GREGOR_VERSION
#define GREGOR_VERSION "0.1.0"
#endif

uint64_t plan_build(void)
{
    FILE *file = fopen("/proc/self/exe", "rb");
    char *buffer = sim_alloc(1 << 16);
    uint64_t digest = 0;
    size_t length;

    while (file != NULL && (length = fread(buffer, 1, 1 << 16, file)) > 0)
        digest = sim_digest(digest, buffer, length);
    if (file != NULL) (void)fclose(file);
    free(buffer);
    return digest;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void save_site(FILE *file, const struct plan_site *site)
{
    const struct decide_site *at = &site->site;

    fprintf(file, "%s %" PRId64 " %" PRIu64 " %" PRIu64 ":", decide_word(at->what), at->node, at->a,
            at->b);
    for (uint32_t i = 0; i < site->count;) {
        uint32_t same = 1;

        while (i + same < site->count && site->values[i + same] == site->values[i])
            same++;
        fprintf(file, " %" PRId64, site->values[i]);
        if (same > 1) fprintf(file, "*%u", same);
        i += same;
    }
    fputc('\n', file);
}

static void save_fault(FILE *file, const struct plan_fault *fault)
{
    fprintf(file,
            "fault at %" PRId64 ".%09" PRId64 "s event %" PRIu64 " step %d node %d anchor %s\n",
            fault->time_ns / NS_PER_SEC, fault->time_ns % NS_PER_SEC, fault->event, fault->step,
            fault->node, fault->anchor);
    fprintf(file, "  when %s\n", fault->when);
    fprintf(file, "  hint leo %" PRId64 " hw %" PRId64 " epoch %d\n", fault->log_end,
            fault->high_watermark, fault->epoch);
    fprintf(file, "  was %s\n", fault->was);
    fprintf(file, "  do %s\n", fault->does);
}

bool plan_save(const struct plan *plan, const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) return false;
    fprintf(file,
            "gregor-plan %d\nversion %s\nbuild %016" PRIx64 "\nscenario %s\nseed %" PRIu64 "\n",
            PLAN_VERSION, GREGOR_VERSION, plan->build, plan->scenario, plan->seed);
    fprintf(file, "verdict %s\nsignature %s\nevents %" PRIu64 "\nhash %016" PRIx64 "\n",
            plan->verdict, plan->signature, plan->events, plan->hash);
    fprintf(file, "checkpoints %u", plan->checkpoints.shift);
    for (uint32_t i = 0; i < plan->checkpoints.count; i++)
        fprintf(file, " %016" PRIx64, plan->checkpoints.hash[i]);
    fprintf(file, "\ntext %zu\n", plan->text_length);
    (void)fwrite(plan->text, 1, plan->text_length, file);
    fprintf(file, "\nfaults %u\n", plan->fault_count);
    for (uint32_t i = 0; i < plan->fault_count; i++)
        save_fault(file, &plan->faults[i]);
    fprintf(file, "decisions %u\n", plan->site_count);
    for (uint32_t i = 0; i < plan->site_count; i++)
        save_site(file, &plan->sites[i]);
    fprintf(file, "end\n");
    return fclose(file) == 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct plan_reader {
    char *at; /* terminated copy of the file; lines are cut in place */
    char *end;
    uint32_t line;
    uint64_t values; /* of decisions, so far */
    char *error;
    bool failed;
};

static void reader_fail(struct plan_reader *reader, const char *what)
{
    if (reader->failed) return;
    reader->failed = true;
    (void)snprintf(reader->error, PLAN_ERROR_MAX, "plan line %u: %s", reader->line, what);
}

/* The next line without its first word, which must be `word`; "" with a failure. */
static char *reader_line(struct plan_reader *reader, const char *word)
{
    static char nothing[1];
    char *line = reader->at;
    size_t length = strlen(word);
    char *stop;

    reader->line++;
    if (reader->failed) return nothing;
    stop = memchr(line, '\n', (size_t)(reader->end - line));
    if (stop == NULL) {
        reader_fail(reader, "the file ends too early");
        return nothing;
    }
    *stop = '\0';
    reader->at = stop + 1;
    if (strncmp(line, word, length) != 0 || (line[length] != ' ' && line[length] != '\0')) {
        char what[64];

        (void)snprintf(what, sizeof what, "\"%.32s\" is wanted", word);
        reader_fail(reader, what);
        return nothing;
    }
    return line[length] == ' ' ? line + length + 1 : line + length;
}

static uint64_t reader_number(struct plan_reader *reader, const char *word, int base)
{
    const char *text = reader_line(reader, word);
    char *stop = NULL;
    uint64_t value = strtoull(text, &stop, base);

    if (stop == text || *stop != '\0') reader_fail(reader, "a number is wanted");
    return value;
}

static void copy(char *into, size_t size, const char *text)
{
    (void)snprintf(into, size, "%s", text);
}

static void read_checkpoints(struct plan_reader *reader, struct sim_checkpoints *points)
{
    char *at = reader_line(reader, "checkpoints");

    points->shift = (uint32_t)strtoul(at, &at, 10);
    if (points->shift > 63) reader_fail(reader, "no distance of checkpoints");
    while (*at == ' ' && points->count < SIM_CHECKPOINTS)
        points->hash[points->count++] = strtoull(at, &at, 16);
    if (*at != '\0') reader_fail(reader, "checkpoints are no numbers");
}

static void read_text(struct plan_reader *reader, struct plan *plan)
{
    uint64_t length = reader_number(reader, "text", 10);

    if (reader->failed) return;
    if (length >= (uint64_t)(reader->end - reader->at) || reader->at[length] != '\n') {
        reader_fail(reader, "the scenario is not as long as stated");
        return;
    }
    plan->text = sim_alloc(length + 1);
    plan->text_length = length;
    memcpy(plan->text, reader->at, length);
    for (uint64_t i = 0; i < length; i++)
        reader->line += reader->at[i] == '\n';
    reader->line++;
    reader->at += length + 1;
}

static void read_fault(struct plan_reader *reader, struct plan_fault *fault)
{
    char *head = reader_line(reader, "fault");
    int64_t seconds = 0;
    int64_t nanos = 0;
    int used = 0;

    if (sscanf(head, "at %" SCNd64 ".%9" SCNd64 "s event %" SCNu64 " step %d node %d anchor %n",
               &seconds, &nanos, &fault->event, &fault->step, &fault->node, &used) != 5 ||
        used == 0) {
        reader_fail(reader, "no head of a fault");
        return;
    }
    fault->time_ns = seconds * NS_PER_SEC + nanos;
    copy(fault->anchor, sizeof fault->anchor, head + used);
    copy(fault->when, sizeof fault->when, reader_line(reader, "  when"));
    if (sscanf(reader_line(reader, "  hint"), "leo %" SCNd64 " hw %" SCNd64 " epoch %d",
               &fault->log_end, &fault->high_watermark, &fault->epoch) != 3) {
        reader_fail(reader, "no hint of a fault");
    }
    copy(fault->was, sizeof fault->was, reader_line(reader, "  was"));
    copy(fault->does, sizeof fault->does, reader_line(reader, "  do"));
}

static void site_value(struct plan_site *site, int64_t value)
{
    if ((site->count & (site->count - 1)) == 0) { /* full at each power of two */
        uint32_t room = site->count == 0 ? 1 : site->count * 2;

        site->values = realloc(site->values, room * sizeof *site->values);
        if (site->values == NULL) abort();
    }
    site->values[site->count++] = value;
}

/* A site that this program does not know any more is skipped: its choices are not made. */
static void read_site(struct plan_reader *reader, struct plan *plan)
{
    struct plan_site *site = &plan->sites[plan->site_count];
    char *line = reader->at;
    char *at = strchr(line, ' ');
    char word[40];

    if (at == NULL || at - line >= (int)sizeof word) {
        reader_fail(reader, "no decision");
        return;
    }
    (void)snprintf(word, sizeof word, "%.*s", (int)(at - line), line);
    at = reader_line(reader, word);
    if (reader->failed) return;
    if (!decide_find(word, &site->site.what)) return;
    plan->site_count++;
    site->site.node = strtoll(at, &at, 10);
    site->site.a = strtoull(at, &at, 10);
    site->site.b = strtoull(at, &at, 10);
    if (*at++ != ':') {
        reader_fail(reader, "no site of a decision");
        return;
    }
    while (*at == ' ' && !reader->failed) {
        char *stop = at;
        int64_t value = strtoll(at, &stop, 10);
        uint64_t times = *stop == '*' ? strtoull(stop + 1, &stop, 10) : 1;

        if (stop == at) break; /* no number */
        at = stop;
        if (times > PLAN_VALUES_MAX || reader->values + times > PLAN_VALUES_MAX) {
            reader_fail(reader, "too many values");
        }
        reader->values += times;
        for (; times > 0 && !reader->failed; times--)
            site_value(site, value);
    }
    if (*at != '\0') reader_fail(reader, "no value of a decision");
}

static void read_head(struct plan_reader *reader, struct plan *plan)
{
    uint64_t version = reader_number(reader, "gregor-plan", 10);

    if (reader->failed) {
        (void)snprintf(reader->error, PLAN_ERROR_MAX, "this is no plan file");
        return;
    }
    if (version > PLAN_VERSION || version == 0) {
        reader->failed = true;
        (void)snprintf(reader->error, PLAN_ERROR_MAX,
                       "a plan of version %" PRIu64 "; this program reads up to version %d",
                       version, PLAN_VERSION);
        return;
    }
    copy(plan->version, sizeof plan->version, reader_line(reader, "version"));
    plan->build = reader_number(reader, "build", 16);
    copy(plan->scenario, sizeof plan->scenario, reader_line(reader, "scenario"));
    plan->seed = reader_number(reader, "seed", 10);
    copy(plan->verdict, sizeof plan->verdict, reader_line(reader, "verdict"));
    copy(plan->signature, sizeof plan->signature, reader_line(reader, "signature"));
    plan->events = reader_number(reader, "events", 10);
    plan->hash = reader_number(reader, "hash", 16);
}

static void read_all(struct plan_reader *reader, struct plan *plan)
{
    uint64_t count;

    read_head(reader, plan);
    if (reader->failed) return;
    read_checkpoints(reader, &plan->checkpoints);
    read_text(reader, plan);
    count = reader_number(reader, "faults", 10);
    if (count > PLAN_FAULTS_MAX) reader_fail(reader, "too many faults");
    plan->faults = sim_alloc((PLAN_FAULTS_MAX + 1) * sizeof *plan->faults);
    for (; count > 0 && !reader->failed; count--)
        read_fault(reader, &plan->faults[plan->fault_count++]);
    count = reader_number(reader, "decisions", 10);
    if (count > (uint64_t)(reader->end - reader->at)) reader_fail(reader, "too many decisions");
    if (reader->failed) return;
    plan->sites = sim_alloc((count + 1) * sizeof *plan->sites);
    for (; count > 0 && !reader->failed; count--)
        read_site(reader, plan);
    (void)reader_line(reader, "end");
}

struct plan *plan_parse(const char *text, size_t length, char error[PLAN_ERROR_MAX])
{
    struct plan *plan = sim_alloc(sizeof *plan);
    char *copied = sim_alloc(length + 1);
    struct plan_reader reader = {.at = copied, .end = copied + length, .error = error};

    memcpy(copied, text, length);
    read_all(&reader, plan);
    free(copied);
    if (!reader.failed) return plan;
    plan_destroy(plan);
    return NULL;
}

struct plan *plan_load(const char *path, char error[PLAN_ERROR_MAX])
{
    char inside[1100];
    struct stat about;
    struct plan *plan = NULL;
    char *text;
    FILE *file;

    (void)snprintf(inside, sizeof inside, "%s", path);
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        (void)snprintf(inside, sizeof inside, "%s/plan.gplan", path);
    }
    file = fopen(inside, "rb");
    if (file == NULL || fstat(fileno(file), &about) != 0) {
        (void)snprintf(error, PLAN_ERROR_MAX, "%.180s: %s", inside, strerror(errno));
        return NULL;
    }
    text = sim_alloc((size_t)about.st_size + 1);
    if (fread(text, 1, (size_t)about.st_size, file) != (size_t)about.st_size) {
        (void)snprintf(error, PLAN_ERROR_MAX, "%.180s cannot be read", inside);
    } else {
        plan = plan_parse(text, (size_t)about.st_size, error);
    }
    free(text);
    (void)fclose(file);
    return plan;
}

void plan_destroy(struct plan *plan)
{
    if (plan == NULL) return;
    for (uint32_t i = 0; i < plan->site_count; i++)
        free(plan->sites[i].values);
    free(plan->sites);
    free(plan->faults);
    free(plan->text);
    free(plan);
}
