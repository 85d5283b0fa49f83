/* Records every trace event of a process into a trace file (client/world/trace_file.h), as a
 * simulated cluster would: the same oracles and pictures read it. Times are the wall clock's where
 * the recording began and the monotonic clock's from there on. Written in blocks of 64 KiB by
 * the thread of the loop, the last one at the end; what a kill cuts off is that block. */
#ifndef CLIENT_POSIX_POSIX_RECORDER_H
#define CLIENT_POSIX_POSIX_RECORDER_H

#include "client/posix/posix_trace.h"
#include "client/world/trace_file.h"

enum { POSIX_RECORDER_BLOCK = 64 * 1024 };

struct posix_recorder {
    struct posix_trace_taker taker;
    struct posix_trace_taker *next; /* who also wants the events, or NULL */
    int fd;
    bool failed; /* a write failed: said once, nothing more is recorded */
    uint64_t events;
    int64_t base_ns; /* wall time when the monotonic clock was 0 */
    struct trace_file_block block;
    uint8_t buffer[POSIX_RECORDER_BLOCK];
};

/* Creates (or cuts) the file. NULL: errno says why. */
struct posix_recorder *posix_recorder_create(const char *path, struct posix_trace_taker *next);
/* Writes what is left. NULL is fine. */
void posix_recorder_destroy(struct posix_recorder *recorder);

#endif
