/* Between the files of the space-time figure. */
#ifndef REPORTS_SPACETIME_PRIVATE_H
#define REPORTS_SPACETIME_PRIVATE_H

#include "reports/figures.h"

enum {
    TIME_X = 600,
    FIRST_LANE = 1350,
    LANE_STEP = 1580,
    LANE_STEP_MANY = 1330, /* of more than five */
    STORY_GAP = 900,
    STORY_WIDTH = 2700,
    TOP = 930, /* first row */
    ROW_MIN = 110,
    ROW_MAX = 240,
    BAND = 580,
    RIBBON = 160,    /* of a leader */
    THREAD = 60,     /* of a follower */
    BAND_HALF = 300, /* of a fault that lasts */
    CHIP_FONT = 80,
    LABEL_FONT = 80,
    TIME_APART = 190,
    SENTENCE = 125, /* a line of the story column, about */
};

struct spacetime {
    struct scene *scene;
    const struct digest *digest;
    int32_t y[DIGEST_ROWS_MAX];
    int32_t bottom;
    int32_t story_x;
    int32_t told_to; /* lower edge of the story column so far */
    /* of each lane: where its present ribbon began */
    int32_t since[DIGEST_LANES];
};

static inline int32_t spacetime_step(const struct spacetime *d)
{
    return d->digest->lane_count > 5 ? LANE_STEP_MANY : LANE_STEP;
}

static inline int32_t spacetime_x(const struct spacetime *d, int32_t lane)
{
    return FIRST_LANE + lane * spacetime_step(d);
}

/* Height of any moment: that of its row, or between two. */
int32_t spacetime_y(const struct spacetime *d, int64_t time_ns);

/* ---- spacetime_marks.c */
/* LEO and HW of everybody, where the figure begins. */
void spacetime_start_chips(struct spacetime *d);
/* The mark of a shown event; `before` is the state before it. */
void spacetime_mark(struct spacetime *d, const struct state *before, uint32_t at);
/* Faults that last, as bands behind the lanes of their nodes. */
void spacetime_bands(struct spacetime *d);

/* ---- spacetime_messages.c */
/* Arrows first, labels when everything else has its place. */
void spacetime_messages(struct spacetime *d, bool labels);
void spacetime_message_ends(const struct spacetime *d, const struct story_message *message,
                            struct scene_box *line);

#endif
