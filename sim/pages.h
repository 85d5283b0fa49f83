/* Pages of a campaign: one for each run that left a trace and is worth looking at (the first seed
 * of a scenario, every failure), and the index over all runs. What a page shows is reports/. */
#ifndef SIM_PAGES_H
#define SIM_PAGES_H

#include "sim/run.h"

struct pages;

struct pages *pages_create(const char *directory, uint64_t runs_max);
/* One run, in the order of the campaign; `page`: its trace is there, render it. */
void pages_add(struct pages *pages, const struct scenario *scenario,
               const struct run_result *result, bool page);
/* The index; then everything is freed. False: it could not be written, said on stderr. */
bool pages_finish(struct pages *pages);

#endif
