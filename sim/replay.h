/* A run again, from what it left behind.
 *
 *   exact     scenario and seed; the same build gives the same hash, or it is a nondeterminism
 *   guided    the same with every choice answered from the plan's log, by site; what the log lacks
 *             comes from the seed and is counted
 *   semantic  the faults only, each at its anchor, with any seed
 *
 * A replay that did not meet the faults of its plan never passes in silence: it says where it left
 * the plan and ends with REPLAY_SKIP, which `git bisect run` takes for "cannot be tested". */
#ifndef SIM_REPLAY_H
#define SIM_REPLAY_H

#include "sim/plan.h"

enum { REPLAY_SKIP = 125 };

enum replay_mode { REPLAY_EXACT, REPLAY_GUIDED, REPLAY_SEMANTIC };

/* Runs a scenario given as text in a forked child and waits for it. `guide`: its choices answer;
 * NULL: the seed does. False: the text is no scenario, said in `error`; a child that dies is a
 * verdict. */
bool replay_try(const char *name, const char *text, uint64_t seed, const struct plan *guide,
                const struct run_options *options, struct run_result *result,
                struct yaml_error *error);
/* The same of a scenario that is read already. */
void replay_fork(const struct scenario *scenario, uint64_t seed, const struct run_options *options,
                 struct run_result *result);
/* To an event with the plan's own choices, and from there on `runs` times with others: how many
 * fail alike. The way to the event is run once; there the process is the checkpoint. */
struct replay_rewind {
    uint64_t event;
    uint64_t salt; /* not 0; the choices of this and the `runs` - 1 numbers that follow */
    int runs;
};
int replay_rewind(const struct plan *plan, const struct scenario *scenario,
                  const struct run_options *options, struct replay_rewind from);
/* The same defect, as far as signatures can tell. */
bool replay_same(const struct plan *plan, const struct run_result *result);

/* The first fault of `plan` that `again` has not done in its place: its number, or the number of
 * faults when all were. Actions and roles are compared, not times and numbers of nodes. */
uint32_t replay_diverged(const struct plan *plan, const struct plan *again);
/* The first event behind which the runs may differ, by their checkpoints; 0: none. */
uint64_t replay_parted(const struct sim_checkpoints *one, const struct sim_checkpoints *other,
                       uint64_t *last_equal);

/* gregor-sim replay DIR|PLAN [--mode M] [--seed N] [--out DIR] [--same] [--pinned]
 * [--print] */
int replay_command(int argc, char **argv, struct codecs *codecs);

#endif
