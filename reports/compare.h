/* Two runs beside each other: the turns of both, in one column of rows from the left and one from
 * the right. What is equal in both is pale and joined, what only one has stands alone; the first
 * difference is marked. Aligned by who did what, not by time: the longest common sequence. */
#ifndef REPORTS_COMPARE_H
#define REPORTS_COMPARE_H

#include "reports/digest.h"
#include "reports/scene.h"

enum { COMPARE_TURNS = 600, COMPARE_ROWS = 70, COMPARE_AROUND = 3 };

struct compare_turn {
    int64_t time_ns;
    uint64_t number; /* in its trace */
    bool red;
    char *words; /* owned */
};

struct compare_side {
    struct compare_turn turns[COMPARE_TURNS];
    uint32_t count;
    uint64_t left_out; /* turns behind those */
};

/* A row: a turn of one side, of the other, or of both; or `folded` rows that are equal in both. */
struct compare_row {
    int32_t one; /* turn, -1 */
    int32_t other;
    uint32_t folded;
};

struct compare {
    struct compare_side sides[2];
    struct compare_row rows[2 * COMPARE_TURNS];
    uint32_t row_count;
    uint32_t shown; /* of the rows */
    uint32_t equal; /* turns that both have */
    uint32_t only[2];
};

/* Free with compare_free(). */
struct compare *compare_make(const struct story *one, const struct story *other);
void compare_free(struct compare *compare);
void compare_draw(struct scene *scene, const struct compare *compare, const char *const names[2]);

#endif
