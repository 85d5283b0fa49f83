/* Shared by log_open.c, log_open_load.c and log_open_walk.c. */
#ifndef BROKER_LOG_LOG_OPEN_PRIVATE_H
#define BROKER_LOG_LOG_OPEN_PRIVATE_H

#include "broker/log/log_private.h"

enum {
    LOG_OPEN_SMALL_FILE = 16 << 20,
    LOG_OPEN_INDEX_MAX = 64 << 20,
};

/* ---- files beside the segments (log_open_load.c) --------------------------------------------- */

/* leader-epoch-checkpoint was read. False: flow->err. */
MUST_USE bool log_open_epochs(struct log_flow *o);
bool log_open_load_aborted(struct log_flow *o);
/* False: flow->err. */
MUST_USE bool log_open_take_aborted(struct log_flow *o);
int64_t log_open_newest(struct log_flow *o);
bool log_open_snapshot_fits(struct log_flow *o);
void log_open_submit_snapshot(struct log_flow *o);
void log_open_submit_window(struct log_flow *o);
bool log_open_take_snapshot(struct log_flow *o);
/* False: it counts for nothing, the next one is tried. */
bool log_open_accept(struct log_flow *o);
void log_open_submit_index(struct log_flow *o, const char *suffix, struct log_load *load);
void log_open_take_index(struct log_flow *o);
void log_open_load_mark_aborted(struct log_flow *o);
bool log_open_take_mark_aborted(struct log_flow *o);

/* ---- batches (log_open_walk.c) --------------------------------------------------------------- */

enum log_open_verdict {
    LOG_OPEN_NEXT,   /* this segment is whole */
    LOG_OPEN_TORN,   /* cut here */
    LOG_OPEN_ROTTEN, /* below a promise */
    LOG_OPEN_ERROR,
};

void log_open_choose(struct log_flow *o);
void log_open_walk(struct log_flow *o);
enum log_open_verdict log_open_judge(struct log_flow *o);
bool log_open_mark_fails(struct log_flow *o);
void log_open_save_part(struct log_flow *o, bool times);
void log_open_save_aborted(struct log_flow *o);
void log_open_index_closed(struct log_flow *o);
void log_open_take(struct log_flow *o);

#endif
