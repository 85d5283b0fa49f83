/* One damaged batch of a log is written again in its place, with bytes that a replica in sync has
 * (storage.md DF7, S34: below the high watermark replicas are equal byte by byte).
 *
 *     where:  log->damaged .. (log_read found it, twice)
 *     what:   a whole batch that begins at that offset, whose crc holds and whose epoch is the one
 *             the log knows there
 *     fits:   the next batch stands behind it, or the segment ends there, or the length on disk is
 *             the same; else this replica was compacted differently, and nothing is written
 *     then:   written, synced, and no longer damaged until a read finds otherwise */
#ifndef BROKER_LOG_LOG_PATCH_H
#define BROKER_LOG_LOG_PATCH_H

#include "broker/log/log.h"

struct log_patch {
    bool busy;
    enum err err; /* BAD_STATE: does not fit; KAFKA_STORAGE_ERROR, NO_SPACE, NO_MEMORY */
    int64_t base_offset;
    struct op_source source;
    struct log_patch_work *work; /* private */
};
/* `batch` is borrowed until it is over: AWAIT(o, STEP, &patch->source, !patch->busy). The log is
 * open and damaged. */
void log_patch_start(struct log_patch *patch, struct log *log, struct bytes batch);

#endif
