/* Leader epoch -> first offset of that epoch: what replicas compare to find where they part
 * (KIP-101, KIP-279; replication.md 8). Sorted, both columns strictly increasing. Pure: the file
 * leader-epoch-checkpoint is written by the flows of log.h, always before a
 * batch of a new epoch. */
#ifndef BROKER_LOG_LOG_EPOCHS_H
#define BROKER_LOG_LOG_EPOCHS_H

#include "client/base/bytes.h"
#include "client/base/err.h"
#include "client/base/mem.h"

struct log_epoch {
    int32_t epoch;
    int64_t start_offset;
};

struct log_epoch_end {
    int32_t epoch; /* -1 unknown */
    int64_t end_offset;
};

/* Epochs kept; older ones are dropped from the start (their range then reads as the first kept). */
enum { LOG_EPOCHS_MAX = 65536 };

struct log_epochs {
    struct mem *mem;
    struct log_epoch *entries;
    uint32_t count;
    uint32_t room;
};

void log_epochs_init(struct log_epochs *epochs, struct mem *mem);
void log_epochs_deinit(struct log_epochs *epochs);
/* Room for one more assign, so that it cannot fail later. */
MUST_USE enum err log_epochs_reserve(struct log_epochs *epochs, uint32_t more);
/* True when it changed: `epoch` begins at `start_offset`. Nothing when it is the newest and
 * begins no later. Otherwise entries with a higher epoch or start are dropped first. Room is
 * reserved. */
bool log_epochs_assign(struct log_epochs *epochs, int32_t epoch, int64_t start_offset);
/* What assign never was told: a batch of `epoch` stands at `offset`, and entries that start above
 * it may be known already. They stay, but for those that `epoch` contradicts. True when it changed;
 * not when the entry below covers it, or when there is no room: the oldest go first. */
bool log_epochs_found(struct log_epochs *epochs, int32_t epoch, int64_t offset);
struct log_epoch_end log_epochs_end_for(const struct log_epochs *epochs, int32_t epoch,
                                        int64_t log_end);
/* The epoch of the record at `offset`; -1 when no entry covers it. */
int32_t log_epochs_at(const struct log_epochs *epochs, int64_t offset);
/* `epoch` begins at `offset`. */
bool log_epochs_begins(const struct log_epochs *epochs, int32_t epoch, int64_t offset);
int32_t log_epochs_latest(const struct log_epochs *epochs); /* -1 none */
/* Drops entries that start at or above `log_end`. True when it changed. */
bool log_epochs_cut_end(struct log_epochs *epochs, int64_t log_end);
/* Drops the entries that start below `log_start`, but the last of these: it covers the record
 * before the log start, by which a follower that ends there is compared. DIFFERS: in Kafka an entry
 * below is moved up to the log start, and such a follower passes whatever it has. True when it
 * changed. */
bool log_epochs_cut_start(struct log_epochs *epochs, int64_t log_start);

/* Text of the checkpoint file: version 0, count, "epoch start" lines. */
size_t log_epochs_text_max(uint32_t count);
/* Returns the length; `size` as log_epochs_text_max() says. */
size_t log_epochs_print(const struct log_epochs *epochs, char *text, size_t size);
/* Replaces the entries; DAMAGED when it is not such a file or not increasing (then unchanged). */
MUST_USE enum err log_epochs_parse(struct log_epochs *epochs, struct str text);

#endif
