/* The DOT back end: a scene for `neato -n2`, with every place given and nothing left to lay out
 * (reports.md 5: laying out is what costs, and a timeline already knows where things are). */
#ifndef REPORTS_DOT_H
#define REPORTS_DOT_H

#include "reports/scene.h"

void dot_write(struct out *out, const struct scene *scene);

#endif
