/* From a hundred thousand events to a figure's sixty rows (reports.md 6): which events of the story
 * are shown, which lanes there are, and what was left out between two rows.
 *
 * A row is one moment. Key moments (violation, faults, truncations, changes of leadership and of
 * the controller's mind) come first, by rank; then what is near them, nearest first, while there is
 * room. Deterministic: ties are broken by the order of the trace. */
#ifndef REPORTS_DIGEST_H
#define REPORTS_DIGEST_H

#include "reports/state.h"
#include "reports/theme.h"

enum {
    DIGEST_ROWS = 60,      /* of a figure: where people stop reading */
    DIGEST_PARTS = 3,      /* figures, where a story has more key moments than one can show */
    DIGEST_ROWS_MAX = 400, /* of any digest */
    DIGEST_LANES = 7,
    DIGEST_EPOCHS = 64,
};

struct digest_row {
    int64_t time_ns;
    uint32_t hidden_events; /* left out between the row before and this one */
    uint32_t hidden_messages;
    int64_t pause_ns; /* since the row before */
    bool cut;         /* a pause worth a band of its own */
};

/* What somebody asked to see; all zero: everything. */
struct digest_wish {
    bool has_window;
    int64_t from_ns;
    int64_t to_ns;
    uint64_t nodes; /* mask of node indexes; 0: the digest chooses */
    bool keys;      /* room for key moments before their surroundings */
};

struct digest {
    const struct story *story; /* borrowed */
    int64_t from_ns;           /* of the window; without one, of the story */
    int64_t to_ns;
    uint32_t outside; /* changes before and after the window */
    uint32_t *shown;  /* events, ascending; owned */
    uint32_t shown_count;
    struct digest_row rows[DIGEST_ROWS_MAX];
    uint32_t row_count;
    int16_t lanes[DIGEST_LANES]; /* node indexes, in the order of the story's nodes */
    uint32_t lane_count;
    uint32_t lanes_hidden;  /* nodes that took part and have no lane */
    struct state start;     /* before the first shown event */
    uint32_t hidden_events; /* of the focus: changes, not shown */
    uint32_t hidden_after;  /* of them: later than the last row */
    uint32_t hidden_keys;   /* of them: key moments */
    uint32_t part;          /* which of `parts`, from 0 */
    uint32_t parts;
    int64_t step_ns; /* the median pause between rows */
    int32_t epochs[DIGEST_EPOCHS];
    uint32_t epoch_count;
};

void digest_make(struct digest *digest, const struct story *story, uint32_t rows_max);
void digest_make_wish(struct digest *digest, const struct story *story, uint32_t rows_max,
                      struct digest_wish wish);
void digest_free(struct digest *digest);
/* Rows first .. first + count of `whole` as a digest of their own, which begins with the state that
 * everybody is in by then. */
void digest_cut(struct digest *part, const struct digest *whole, uint32_t first, uint32_t count);
/* Lane of a node, -1. */
int32_t digest_lane(const struct digest *digest, int32_t node);
/* Row of a moment; -1: none of its own. */
int32_t digest_row(const struct digest *digest, int64_t time_ns);
/* Tints in order of first appearance; epochs of before the trace are grey. */
enum theme digest_tint(const struct digest *digest, int32_t epoch);
enum theme digest_ink(const struct digest *digest, int32_t epoch);
/* 0..7; above 2: a key moment. */
uint32_t digest_rank(const struct story *story, const struct state *before,
                     const struct story_event *event);

#endif
