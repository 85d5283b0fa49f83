/* The index over the pages that one `gregor-sim render` made of several runs. */
#ifndef SIM_RENDER_INDEX_H
#define SIM_RENDER_INDEX_H

#include "reports/reports.h"

struct render_index;

struct render_index *render_index_create(void);
/* A page, in the order of the command line; what is needed of it is copied. `page`: its path, as
 * seen from the index. */
void render_index_add(struct render_index *index, const struct reports_run *run,
                      const struct reports_result *result, const char *page);
/* directory/index.html; then everything is freed. */
MUST_USE enum err render_index_finish(struct render_index *index, const char *directory);
void render_index_free(struct render_index *index);

#endif
