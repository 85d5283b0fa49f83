/* Between the files of the figure of transactions. */
#ifndef REPORTS_TRANSACTIONS_PRIVATE_H
#define REPORTS_TRANSACTIONS_PRIVATE_H

#include "reports/bands.h"
#include "reports/figures.h"

enum {
    LEFT = 1900,
    WIDTH = 8400,
    ROW = 230,
    HELD = 300, /* of a chart of records that wait */
    STEPS = 620,
    BINS = 420,
    PRODUCERS = 6,
    PARTS = 6,
    CLOSE_PARTS = 4, /* in the panel below */
    LONG = 6,        /* those with a bar of their own above */
    SHORTEST_NS = 20000000,
};

struct transactions {
    struct bands bands;   /* the whole run */
    struct bands close;   /* around the longest */
    struct digest around; /* its window: a borrowed copy */
    const struct txns *txns;
    uint32_t longest[LONG];
    uint32_t longest_count;
    uint32_t longest_of_all; /* what the panel below is about */
    uint16_t producers[PRODUCERS];
    uint32_t producer_count;
    uint32_t producers_hidden;
    uint32_t parts[PARTS];
    uint32_t part_count;
    uint32_t parts_hidden;
};

/* ---- transactions.c -------------------------------------------------------------------------- */

/* `part` of `whole` as a share of a height; numbers of a trace are of any size. */
int32_t transactions_share(int64_t part, int64_t whole, int32_t height);
bool transactions_within(const struct bands *bands, const struct txns_one *one);
/* `words`: with words, where they fit. `event`: it is the mark of the transaction's first event. */
void transactions_bar(const struct bands *bands, const struct txns_one *one, int32_t y,
                      int32_t half, bool words, bool event);
void transactions_producer_name(const struct transactions *t, uint16_t producer, char *text,
                                size_t size);

/* ---- transactions_close.c -------------------------------------------------------------------- */

/* The window of the panel below: the longest of all and half of it on both sides. */
void transactions_look_closer(struct transactions *t);
/* Draws it from `top` on; returns where it ends. */
int32_t transactions_close(struct transactions *t, int32_t top);

#endif
