/* Is a run a function of scenario, seed and build? The same run in a process of another kind: other
 * addresses, environment, working directory, locale, fresh memory and moment (simulation.md 2.4).
 *
 * Two runs that differ are compared by their checkpoints; the window in which they part is run
 * again on both sides with every delivery told, and the first that differs is shown from both. */
#ifndef SIM_DETERMINISM_H
#define SIM_DETERMINISM_H

#include "sim/run.h"

/* Runs it again and compares with `first`. False: they differ; `first` is made a NONDET that says
 * at which event. A second run that could not be started is said on stderr and counts as equal. */
bool determinism_rerun(const struct scenario *scenario, uint64_t seed,
                       const struct run_options *options, struct run_result *first);
/* Whether this seed is among the `per_million` that are run twice: by the seed itself. */
bool determinism_chosen(uint64_t seed, uint32_t per_million);

/* The other process: gregor-sim again SCENARIO SEED ONLY-HISTORY FD [FROM TO FILE] */
int determinism_child(int argc, char **argv, struct codecs *codecs);

#endif
