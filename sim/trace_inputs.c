#include "sim/trace_inputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The whole file; NULL: said, unless `quiet`. */
static uint8_t *read_whole(const char *path, bool quiet, uint32_t *length)
{
    char inside[4096];
    struct stat info;
    uint8_t *data;
    FILE *file;
    size_t got;

    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        (void)snprintf(inside, sizeof inside, "%s/trace.bin", path);
        path = inside;
    }
    file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &info) != 0 || info.st_size > UINT32_MAX) {
        if (!quiet)
            fprintf(stderr, "gregor-sim: %s: %s\n", path,
                    file == NULL ? strerror(errno) : "too large");
        if (file != NULL) (void)fclose(file);
        return NULL;
    }
    data = malloc((size_t)info.st_size + 1);
    got = data != NULL ? fread(data, 1, (size_t)info.st_size, file) : 0;
    (void)fclose(file);
    *length = (uint32_t)got;
    return data;
}

bool trace_inputs_kind(const char *path, bool *simulated)
{
    uint32_t length = 0;
    uint8_t *data = read_whole(path, true, &length);
    bool is_trace = data != NULL && length >= 8 && memcmp(data, "gregortr", 8) == 0;

    if (is_trace) *simulated = merge_is_simulated((struct bytes){data, length});
    free(data);
    return is_trace;
}

bool trace_inputs_open(struct trace_inputs *inputs, const char *const *paths, uint32_t count)
{
    struct bytes traces[MERGE_FILES_MAX];
    uint32_t which = 0;
    enum err err;

    *inputs = (struct trace_inputs){.count = 0};
    if (count > MERGE_FILES_MAX) {
        fprintf(stderr, "gregor-sim: at most %d traces\n", MERGE_FILES_MAX);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = 0;

        inputs->data[i] = read_whole(paths[i], false, &length);
        if (inputs->data[i] == NULL) return false;
        inputs->count++;
        traces[i] = (struct bytes){inputs->data[i], length};
        if (merge_is_simulated(traces[i])) {
            inputs->simulated = true;
            inputs->trace = traces[i];
        }
    }
    if (inputs->simulated && count > 1) {
        fprintf(stderr, "gregor-sim: the trace of a simulation stands alone\n");
        return false;
    }
    if (inputs->simulated) return true;
    err = merge_traces(traces, count, &inputs->merged, &which);
    inputs->trace = (struct bytes){inputs->merged.data, inputs->merged.length};
    if (err != ERR_NONE)
        fprintf(stderr, "gregor-sim: %s: %s\n", paths[which],
                err == ERR_MALFORMED     ? "no trace file"
                : err == ERR_UNSUPPORTED ? "a trace of a newer version"
                                         : err_name(err));
    return err == ERR_NONE;
}

void trace_inputs_close(struct trace_inputs *inputs)
{
    for (uint32_t i = 0; i < inputs->count; i++)
        free(inputs->data[i]);
    free(inputs->merged.data);
    *inputs = (struct trace_inputs){.count = 0};
}

void trace_inputs_tell(const struct trace_inputs *inputs, const char *const *paths)
{
    const struct merge_result *merged = &inputs->merged;

    if (inputs->simulated) return;
    printf("%u trace%s, %llu events, %llu messages with both ends; %llu events waited for their "
           "cause\n",
           inputs->count, inputs->count == 1 ? "" : "s", (unsigned long long)merged->events,
           (unsigned long long)merged->messages, (unsigned long long)merged->delayed);
    for (uint32_t i = 0; i < inputs->count; i++) {
        if (merged->shift_ns[i] != 0)
            printf("clock of %s moved by %lld us\n", paths[i],
                   (long long)merged->shift_ns[i] / 1000);
    }
    if (merged->cycles > 0)
        printf("%llu events contradict each other: these traces do not belong together\n",
               (unsigned long long)merged->cycles);
}
