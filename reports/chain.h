/* What led to a failure, as `gregor-sim why` found it: at most fifty events, a lane for each node,
 * a row for each event, time downwards; a line from each event to those that it needed. */
#ifndef REPORTS_CHAIN_H
#define REPORTS_CHAIN_H

#include "reports/reports.h"
#include "reports/scene.h"

void chain_draw(struct scene *scene, const struct reports_why *why);

#endif
