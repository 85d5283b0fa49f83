/* The first look at a trace: who is there, what topics are called, which partition has the most to
 * tell (reports.md 6.1): the one that the violation names; else the one with the most changes of
 * leadership and truncations; else, in a trace of a bare quorum, the metadata log. */
#ifndef REPORTS_SURVEY_H
#define REPORTS_SURVEY_H

#include "reports/story.h"

/* Fills nodes, focus, scenario, seed. */
MUST_USE enum err survey_read(struct story *story, struct bytes trace, const char *focus);

#endif
