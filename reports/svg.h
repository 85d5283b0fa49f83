/* DOT to SVG: runs `neato` (posix_spawn, no shell; the only file here that starts a process) and
 * makes its output fit for a page: no prolog, no generated ids, tooltips as <title>, one class for
 * the style sheet (reports.md 5 and 7). */
#ifndef REPORTS_SVG_H
#define REPORTS_SVG_H

#include "reports/scene.h"

enum svg_result {
    SVG_DONE,
    SVG_MISSING, /* no neato in PATH */
    SVG_FAILED,  /* it said something, or left no file */
};

/* Reads dot_path, leaves the raw SVG at svg_path, appends the page's form to `out`. Whatever neato
 * says goes to `said` (bounded; may be NULL). */
enum svg_result svg_render(struct out *out, const struct scene *scene, const char *dot_path,
                           const char *svg_path, struct out *said);
/* The page's form of a raw SVG; false when there is none in it. */
bool svg_adopt(struct out *out, const struct scene *scene, const char *raw);

#endif
