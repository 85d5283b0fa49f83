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
/* The cluster with its cuts and dead at the moment that matters most. False: nothing was cut, and
 * nobody was down or paused. */
bool topology_draw(struct scene *scene, const struct digest *digest);
/* What clients asked and how long it took, behind it the faults. False: no client operation. */
bool clients_draw(struct scene *scene, const struct digest *digest);
/* The states of consumer groups, and who had which partition when. False: there is no group. */
bool groups_draw(struct scene *scene, const struct digest *digest);
/* Transactions, their markers, and what readers of committed records wait for. False: none. */
bool transactions_draw(struct scene *scene, const struct digest *digest);

/* The digest as text, one line per event: for terminals, and for those who do not see figures. */
struct timeline_look {
    uint32_t columns; /* 0: as wide as it gets */
    bool colour;      /* 256 colours by escape sequences; letters and signs stay */
    bool ascii;
};
void timeline_write(struct out *out, const struct digest *digest, struct timeline_look look);
/* Chrome's trace format, of everything between two moments. */
void perfetto_write(struct out *out, const struct story *story, struct bytes trace, int64_t from_ns,
                    int64_t to_ns);
/* The life of one record of the story's partition; false: nothing in the trace is about it. */
bool follow_write(struct out *out, const struct story *story, struct bytes trace, int64_t offset);

/* Shared: "ISR 1 2 3", "LEO 45 HW 44". */
void figures_state_label(struct out *out, const struct state_replica *replica);

#endif
