/* Quantities as scenarios write them. Units are mandatory on times, sizes, rates, shares, drifts
 * and
 * factors; plain integers are counts. `a..b` is a range of which a run draws one value.
 *
 *     250ms  1.5s  64KiB  200/s  15%  -200ppm  20x  40  5M  1..8 */
#ifndef SIM_SCENARIO_UNITS_H
#define SIM_SCENARIO_UNITS_H

#include "client/base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unit {
    UNIT_COUNT,  /* plain; k and M are allowed */
    UNIT_TIME,   /* -> ns */
    UNIT_SIZE,   /* -> bytes */
    UNIT_RATE,   /* -> per 1,000 s */
    UNIT_SHARE,  /* -> per million */
    UNIT_DRIFT,  /* -> ppb */
    UNIT_FACTOR, /* -> permille */
    UNITS,
};

struct unit_range {
    int64_t min;
    int64_t max; /* included; == min: fixed */
};

/* False: `why` (at least 128 bytes) says what is wrong and what would be right. */
bool units_parse(enum unit unit, const char *text, struct unit_range *range, char *why);
/* A number with any unit at the start of `text`: its value, its unit, how many characters. False:
 * there is no digit, or an unknown unit. */
bool units_scan(const char *text, enum unit *unit, int64_t *value, uint32_t *used);
/* The words that units_parse() reads back: "1500ms", "1..8". `text` has room for 64 at least. */
void units_write(enum unit unit, struct unit_range range, char *text, size_t size);
/* "250ms, 3s" */
const char *units_example(enum unit unit);
/* One draw, also of a fixed value. */
int64_t units_draw(struct unit_range range, struct rng *rng);

#endif
