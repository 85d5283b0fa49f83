/* The figures: each draws a digest into a scene. Sizes are for a page 1,080 points wide. */
#ifndef REPORTS_FIGURES_H
#define REPORTS_FIGURES_H

#include "reports/digest.h"
#include "reports/scene.h"

/* Lanes and messages, time downwards, with the story told at the side. */
void spacetime_draw(struct scene *scene, const struct digest *digest);
/* The logs of all replicas at no more than nine moments. False: there is no log to show. */
bool storyboard_draw(struct scene *scene, const struct digest *digest);
/* Who leads, follows, is in sync; log end, high watermark; time to the right. False: likewise. */
bool gantt_draw(struct scene *scene, const struct digest *digest);
/* The digest as text, one line per event: for terminals, and for those who do not see figures. */
void timeline_write(struct out *out, const struct digest *digest);

/* Shared: "ISR 1 2 3", "LEO 45 HW 44". */
void figures_state_label(struct out *out, const struct state_replica *replica);

#endif
