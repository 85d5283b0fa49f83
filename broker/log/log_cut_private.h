/* Shared by log_cut.c, log_reset.c, log_begin.c and log_open.c. */
#ifndef BROKER_LOG_LOG_CUT_PRIVATE_H
#define BROKER_LOG_LOG_CUT_PRIVATE_H

#include "broker/log/log_private.h"

void log_cut_begin(struct log_flow *o);
enum op_result log_cut_fail(struct log_flow *o);
/* Appends that were still to be told are gone, whatever the outcome. */
void log_cut_forget(struct log *log, int64_t end);
/* Asks for a checkpoint with the recovery point at or below `to`, the high watermark at or below
 * `high`; o->checkpoints is what to await. */
void log_cut_lower(struct log_flow *o, int64_t to, int64_t high);
bool log_cut_lowered(const struct log_flow *o);
/* From here on a crash may leave any end between the new one and the old. */
void log_cut_tell(const struct log_flow *o, int64_t end, int64_t reason);
/* Submits the removal of the next file of a segment with a base above `above`: six names a segment,
 * newest segment first. False: none is left. list_at is 0 at first. */
bool log_cut_next(struct log_flow *o, int64_t above);
void log_cut_save_epochs(struct log_flow *o);

/* The log's first file begins `below` that many offsets under `at`. `handed`: its producers are
 * those of `at`, and stay. */
void log_reset_below(struct log *log, int64_t at, int64_t below, bool handed);

#endif
