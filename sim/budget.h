/* How much a random fault may take (simulation.md 1.6): it is done, done with less, or refused, so
 * that no partition and no quorum loses more than it is entitled to survive. A scripted step is
 * never asked.
 *
 * The ledger itself is that of the oracles (check_loss_room): a unit is spent when a replica may
 * have lost records, and earned back when it holds all that is committed. */
#ifndef SIM_BUDGET_H
#define SIM_BUDGET_H

#include "sim/run.h"

enum budget_verdict {
    BUDGET_FULL,
    BUDGET_WEAKER, /* budget_weaken() makes something of it that takes nothing */
    BUDGET_REFUSED,
};

/* What may be done of an action, with those that follow it. */
enum budget_verdict budget_judge(struct run *run, const struct scenario_action *action);
/* The fault that it is counted as. */
enum sim_fault budget_fault(const struct scenario_action *action);
/* A power loss that loses nothing. */
void budget_weaken(struct scenario_action *action);

#endif
