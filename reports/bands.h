/* Faults above and behind a chart whose time runs to the right: a bar for each with its words, and
 * a pale band through the chart for those that last. */
#ifndef REPORTS_BANDS_H
#define REPORTS_BANDS_H

#include "reports/digest.h"
#include "reports/scene.h"

enum { BANDS_ROW = 150, BANDS_ROWS = 6 };

struct bands {
    struct scene *scene;
    const struct digest *digest;
    int32_t left;
    int32_t width;
};

/* Where a moment lies, within [left, left + width]. */
int32_t bands_x(const struct bands *bands, int64_t time_ns);
/* The axis with its seconds under the chart. */
void bands_axis(const struct bands *bands, int32_t top, int32_t bottom);
/* Rows that the bars take at most: to leave room. */
uint32_t bands_rows(const struct bands *bands);
/* Bars from `top` downwards; `behind`: also bands from there to `bottom`, else only what strikes
 * once, as a line. Returns how many bars had no place. */
uint32_t bands_draw(const struct bands *bands, int32_t top, int32_t bottom, bool behind);
/* Behind the row of one node: its own faults. */
void bands_behind(const struct bands *bands, int32_t node, int32_t top, int32_t bottom);

#endif
