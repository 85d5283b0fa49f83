/* Compaction of one log (storage.md 12): of each key only the newest record stays, offsets never
 * change. One op, in slices of 256 KiB and 1,000 records, beside appends and reads.
 *
 *   0 .......... first_dirty .................... first_uncleanable ..... active segment
 *   | clean: one record a key | dirty: read into the map    | never touched             |
 *
 *   map      keys of the dirty part -> newest offset          as many as the map takes
 *   copy     segments below the map's end, clean ones too, in groups that fit one segment, batch by
 *            batch through log_filter.h into N.log.cleaned with indexes; synced
 *   swap     log_swap.c: the new files take the places of the old
 *   then     the end of the map is the next first_dirty: cleaner-offset-checkpoint
 *
 * The owner decides when (log_clean_look) and starts the op; the log waits for its end before it is
 * cut, closed or deleted, and the op gives up at the next slice when it is asked to. What it leaves
 * behind when the machine dies is cleared away, or brought to its end, by the next open. */
#ifndef BROKER_LOG_LOG_CLEAN_H
#define BROKER_LOG_LOG_CLEAN_H

#include "broker/log/log.h"

enum { LOG_CLEAN_GROUP = 16 /* segments that become one, at most */ };

struct log_clean_work;

/* What there is to do. */
struct log_clean_look {
    int64_t first_dirty;
    int64_t first_uncleanable;
    uint64_t clean_bytes;
    uint64_t dirty_bytes; /* that can be cleaned */
    bool overdue;         /* max.compaction.lag.ms has passed */
    bool wanted;          /* ratio or lag ask for it */
};
void log_clean_look(struct log *log, struct log_clean_look *look);
/* Dirty part of what would be read, in millionths. */
int64_t log_clean_ratio(const struct log_clean_look *look);

struct log_clean {
    /* out */
    bool busy;
    enum err err;        /* CANCELED: the log was wanted for something else */
    int64_t first_dirty; /* where it began */
    int64_t cleaned_to;  /* where the next one begins */
    uint64_t bytes_read; /* by the copy */
    uint64_t bytes_kept;
    uint32_t keys;
    uint32_t slices;
    struct op_source source;
    /* private */
    struct log *log;
    struct log_clean_work *work;
};

/* One round over an open log that no other round is at; AWAIT source until !busy. `map_bytes`:
 * log.cleaner.dedupe.buffer.size. */
void log_clean_start(struct log_clean *clean, struct log *log, uint64_t map_bytes);
/* Gives up soon. */
void log_clean_stop(struct log_clean *clean);

#endif
