/* Traces of several processes as one, in an order that cause and effect agree with.
 *
 * Clocks of machines disagree, messages do not: a request is received after it was sent, an answer
 * is taken after it was given. Connections are matched first: each process numbers its own, but the
 * correlation numbers, kinds and sizes on one of them are a fingerprint. From the messages follow
 * bounds for how far two clocks may be apart; where 0 is not within them the clock is shifted, by
 * the middle of the bounds or to the one there is. What still stands in a wrong order (a clock that
 * drifts) waits for its cause: the order is always causal, times never decrease.
 *
 * The result is a trace file again: times from 0, connections with one number at both ends. */
#ifndef REPORTS_MERGE_H
#define REPORTS_MERGE_H

#include "client/base/bytes.h"
#include "client/base/err.h"

enum { MERGE_FILES_MAX = 64 };

struct merge_result {
    uint64_t events;
    uint64_t messages; /* with both ends in the traces */
    uint64_t delayed;  /* events that waited for their cause */
    uint64_t cycles;   /* that no order satisfies: 0, or the traces do not belong together */
    int64_t shift_ns[MERGE_FILES_MAX]; /* what was added to each file's clock */
    uint8_t *data;                     /* owned by the caller: free() */
    uint32_t length;
};

/* MALFORMED, UNSUPPORTED: one of them is no trace (`*which`); TOO_LARGE: more than a file holds. */
MUST_USE enum err merge_traces(const struct bytes *traces, uint32_t count,
                               struct merge_result *result, uint32_t *which);
/* Was it written by a simulation (which has one clock and needs no merging)? */
bool merge_is_simulated(struct bytes trace);

#endif
