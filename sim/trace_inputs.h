/* Trace files as one trace: a simulation's as it is, those of real processes merged. */
#ifndef SIM_TRACE_INPUTS_H
#define SIM_TRACE_INPUTS_H

#include "reports/merge.h"

struct trace_inputs {
    struct bytes trace; /* of the files, as one */
    bool simulated;
    struct merge_result merged; /* of real ones; owned with the rest */
    uint8_t *data[MERGE_FILES_MAX];
    uint32_t count;
};

/* A file or the directory of a run each. False: said on stderr. */
bool trace_inputs_open(struct trace_inputs *inputs, const char *const *paths, uint32_t count);
/* Of a simulation, or of a real process? False: no trace that can be read; nothing is said. */
bool trace_inputs_kind(const char *path, bool *simulated);
void trace_inputs_close(struct trace_inputs *inputs);
/* How the clocks were brought together, in one or two lines. */
void trace_inputs_tell(const struct trace_inputs *inputs, const char *const *paths);

#endif
