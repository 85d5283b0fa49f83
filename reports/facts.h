/* What a run's page needs and its trace does not hold: the verdict, the command, the checks, the
 * plan. A text file beside the trace, so that `gregor-sim render DIR` draws the page that the run
 * drew:
 *
 *   gregor-facts 1
 *   scenario leader-cut-off
 *   outcome FAIL
 *   ...
 *   check R6 leader-hw-monotone EVALUATIONS VIOLATIONS what has to hold
 *   fault P2 power loss\tASKED INJECTED WEAKENED REFUSED          (id "-": none)
 *   plan                                                          (the rest of the file)
 */
#ifndef REPORTS_FACTS_H
#define REPORTS_FACTS_H

#include "reports/out.h"
#include "reports/reports.h"

void facts_write(struct out *out, const struct reports_run *run);
/* Into `run`, whose strings then point into `text` and whose tables are `facts`'. What is not there
 * stays as it was; unknown lines are skipped. False: not such a file. */
enum { FACTS_CHECKS_MAX = 512, FACTS_FAULTS_MAX = 128 };
struct facts {
    struct reports_check checks[FACTS_CHECKS_MAX];
    struct reports_fault faults[FACTS_FAULTS_MAX];
};
bool facts_read(struct facts *facts, char *text, struct reports_run *run);

#endif
