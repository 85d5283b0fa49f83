/* The trace of a run in a file: whole, or its last blocks when it failed. Blocks are independent of
 * each other (client/world/trace_file.h), so the last n of them are a ring. */
#include "sim/run.h"

#include "client/world/trace_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TRACE_BLOCK = 64 * 1024, TRACE_RING_BLOCKS = 64 };

struct run_trace_file {
    FILE *file; /* FULL; NULL: cannot be written */
    struct trace_file_block block;
    uint8_t *buffers[TRACE_RING_BLOCKS]; /* RING; FULL uses the first */
    uint32_t lengths[TRACE_RING_BLOCKS];
    uint32_t at;
};

static void trace_directory(const struct run *run, char *path, size_t size)
{
    (void)mkdir(run->options->out_dir, 0777);
    (void)snprintf(path, size, "%s/%s-%llu", run->options->out_dir, run->scenario->name,
                   (unsigned long long)run->result->seed);
    (void)mkdir(path, 0777);
}

static FILE *trace_open(const struct run *run)
{
    uint8_t *head = sim_alloc(TRACE_FILE_HEAD_MAX);
    char path[1024];
    FILE *file;

    trace_directory(run, path, sizeof path - 16);
    strcat(path, "/trace.bin");
    file = fopen(path, "wb");
    if (file == NULL) {
        fprintf(stderr, "gregor-sim: %s: %s\n", path, strerror(errno));
    } else {
        (void)fwrite(head, 1, trace_file_head(head), file);
    }
    free(head);
    return file;
}

static void trace_begin_block(struct run_trace_file *trace)
{
    trace_file_begin(&trace->block, trace->buffers[trace->at], TRACE_BLOCK);
}

static void trace_end_block(const struct run *run, struct run_trace_file *trace)
{
    trace->lengths[trace->at] = trace_file_end(&trace->block);
    if (run->options->trace == RUN_TRACE_FULL) {
        if (trace->file == NULL) return;
        (void)fwrite(trace->buffers[0], 1, trace->lengths[0], trace->file);
        return;
    }
    trace->at = (trace->at + 1) % TRACE_RING_BLOCKS;
    trace->lengths[trace->at] = 0;
}

void run_trace_begin(struct run *run)
{
    struct run_trace_file *trace;

    if (run->options->trace == RUN_TRACE_NONE) return;
    trace = sim_alloc(sizeof *trace);
    for (uint32_t i = 0; i < TRACE_RING_BLOCKS; i++) {
        trace->buffers[i] = sim_alloc(TRACE_BLOCK);
        if (run->options->trace == RUN_TRACE_FULL) break;
    }
    if (run->options->trace == RUN_TRACE_FULL) trace->file = trace_open(run);
    trace_begin_block(trace);
    run->trace_file = trace;
}

void run_trace_event(struct run *run, int32_t node, const struct trace_event *event)
{
    struct run_trace_file *trace = run->trace_file;

    if (trace == NULL) return;
    if (trace_file_append(&trace->block, run->sim->now_ns, node, event)) return;
    trace_end_block(run, trace);
    trace_begin_block(trace);
    (void)trace_file_append(&trace->block, run->sim->now_ns, node, event);
}

static int64_t trace_check_number(const char *id)
{
    const struct check_info *info;

    for (uint32_t i = 0; (info = check_list(i)) != NULL; i++) {
        if (strcmp(info->id, id) == 0) return i;
    }
    return -1;
}

/* How the oracles are set up, as the first events of the file, of nobody else: whoever judges it
 * again knows no more than it says. Not in a ring: its front is lost. */
void run_trace_oracles(struct run *run)
{
    struct trace_event event = {.kind = TRACE_SIM_ORACLES, .fields = {1}, .field_count = 1};
    char text[CHECK_CONFIG_MAX];

    check_config_print(&run->check_config, text, sizeof text);
    event.text = str_of(text);
    run_trace_event(run, -1, &event);
    event.kind = TRACE_SIM_TOPIC;
    for (uint32_t i = 0; i < run->scenario->topic_count; i++) {
        event.fields[0] = run_min_isr(run, i);
        event.text = str_of(run->scenario->topics[i].name);
        run_trace_event(run, -1, &event);
    }
}

/* What was violated, as the last event: whoever draws the trace has only the file. It goes into the
 * file alone; nobody in the run may react to it. */
static void trace_verdict(struct run *run)
{
    const struct run_result *result = run->result;
    const struct check_violation *violation = check_violation(run->check);
    struct trace_event event = {.kind = TRACE_SIM_VIOLATION,
                                .fields = {trace_check_number(result->check), result->node}};
    char text[sizeof result->text + sizeof result->check + 2];

    if (result->verdict != RUN_FAIL && result->verdict != RUN_STUCK) return;
    event.fields[3] = -1;
    event.fields[4] = -1;
    event.fields[5] = -1;
    if (violation != NULL && strcmp(violation->id, result->check) == 0) {
        event.fields[2] = violation->topic;
        event.fields[3] = violation->topic != 0 ? violation->partition : -1;
        event.fields[4] = violation->epoch;
        event.fields[5] = violation->offset;
    }
    event.field_count = 6;
    (void)snprintf(text, sizeof text, "%s %s", result->check, result->text);
    event.text = str_of(text);
    run_trace_event(run, -1, &event);
}

void run_trace_end(struct run *run)
{
    struct run_trace_file *trace = run->trace_file;

    if (trace == NULL) return;
    if (run->check != NULL) trace_verdict(run);
    trace_end_block(run, trace);
    if (run->options->trace == RUN_TRACE_RING && run->result->verdict != RUN_PASS &&
        run->options->out_dir != NULL) {
        trace->file = trace_open(run);
        for (uint32_t i = 0; i < TRACE_RING_BLOCKS && trace->file != NULL; i++) {
            uint32_t block = (trace->at + i) % TRACE_RING_BLOCKS; /* the oldest first */

            (void)fwrite(trace->buffers[block], 1, trace->lengths[block], trace->file);
        }
    }
    if (trace->file != NULL) (void)fclose(trace->file);
    for (uint32_t i = 0; i < TRACE_RING_BLOCKS; i++)
        free(trace->buffers[i]);
    free(trace);
    run->trace_file = NULL;
}
